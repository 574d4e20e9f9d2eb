use bytes::Bytes;
use uuid::Uuid;

use super::*;

type Check = Box<dyn Fn(&mut Reader) -> Result<String, WireError>>;

/// Every row writes a value, says which bytes that are, and reads the same value back.
fn check<T: std::fmt::Debug + PartialEq>(
    value: T,
    bytes: &[u8],
    write: impl FnOnce(&mut Writer, &T) -> Result<(), WireError>,
    read: impl FnOnce(&mut Reader) -> Result<T, WireError>,
) {
    let mut writer = Writer::contiguous();
    write(&mut writer, &value).unwrap();
    let written = writer.into_bytes().unwrap();
    assert_eq!(written, bytes, "{value:?}");
    let mut reader = Reader::new(written);
    assert_eq!(read(&mut reader).as_ref(), Ok(&value));
    assert_eq!(reader.left(), 0, "{value:?}");
}

#[test]
fn numbers_have_kafkas_bytes() {
    fn number<T: Copy>(write: fn(&mut Writer, T)) -> impl FnOnce(&mut Writer, &T) -> Result<(), WireError> {
        move |writer, value| {
            write(writer, *value);
            Ok(())
        }
    }
    check(true, &[1], number(Writer::bool), Reader::bool);
    check(-2i16, &[0xff, 0xfe], number(Writer::i16), Reader::i16);
    check(65534u16, &[0xff, 0xfe], number(Writer::u16), Reader::u16);
    check(u32::MAX - 1, &[0xff, 0xff, 0xff, 0xfe], number(Writer::u32), Reader::u32);
    check(1.5f64, &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0], number(Writer::f64), Reader::f64);
    check(300u32, &[0xac, 0x02], number(Writer::unsigned_varint), Reader::unsigned_varint);
    check(-1i32, &[0x01], number(Writer::varint), Reader::varint);
    check(300i64, &[0xd8, 0x04], number(Writer::varlong), Reader::varlong);
    check(Uuid::nil(), &[0; 16], number(Writer::uuid), Reader::uuid);
}

#[test]
fn texts_bytes_and_arrays_have_kafkas_bytes() {
    let text = |flexible: bool| move |r: &mut Reader| r.nullable_string(flexible);
    let write_text = |flexible: bool| {
        move |w: &mut Writer, text: &Option<WireStr>| w.nullable_string(text.as_deref(), flexible)
    };
    check(Some("hi".into()), &[0, 2, b'h', b'i'], write_text(false), text(false));
    check(Some("hi".into()), &[3, b'h', b'i'], write_text(true), text(true));
    check(Some("".into()), &[1], write_text(true), text(true));
    check(None, &[0xff, 0xff], write_text(false), text(false));
    check(None, &[0], write_text(true), text(true));

    let bytes = |flexible: bool| move |r: &mut Reader| r.nullable_bytes(flexible);
    let write_bytes = |flexible: bool| {
        move |w: &mut Writer, bytes: &Option<Bytes>| w.nullable_bytes(bytes.as_ref(), flexible)
    };
    check(Some(Bytes::from_static(&[7])), &[0, 0, 0, 1, 7], write_bytes(false), bytes(false));
    check(Some(Bytes::new()), &[1], write_bytes(true), bytes(true));
    check(None, &[0xff; 4], write_bytes(false), bytes(false));

    let array = |flexible: bool| move |r: &mut Reader| r.nullable_array(flexible, 2, Reader::i16);
    let write_array = |flexible: bool| {
        move |w: &mut Writer, items: &Option<Vec<i16>>| {
            w.nullable_array(items.as_deref(), flexible, |w, item| {
                w.i16(*item);
                Ok(())
            })
        }
    };
    check(Some(vec![7]), &[0, 0, 0, 1, 0, 7], write_array(false), array(false));
    check(Some(vec![7]), &[2, 0, 7], write_array(true), array(true));
    check(None, &[0], write_array(true), array(true));
}

#[test]
fn a_string_beyond_the_protocols_limit_is_refused() {
    let text = "x".repeat(STRING_BYTES_MAX + 1);
    for flexible in [false, true] {
        let refused = Writer::contiguous().string(&text, flexible);
        assert_eq!(refused, Err(WireError::TooLong { what: "string", length: text.len() }));
        assert_eq!(Writer::contiguous().string(&text[1..], flexible), Ok(()));
    }
}

#[test]
fn numbers_survive_at_their_limits() {
    for value in [0, 1, -1, 63, 64, -64, -65, i64::from(i32::MIN), i64::from(i32::MAX), i64::MIN, i64::MAX] {
        let mut writer = Writer::contiguous();
        writer.varlong(value);
        writer.i64(value);
        writer.varint(value as i32);
        writer.unsigned_varint(value as u32);
        let mut reader = Reader::new(writer.into_bytes().unwrap());
        assert_eq!(reader.varlong(), Ok(value));
        assert_eq!(reader.i64(), Ok(value));
        assert_eq!(reader.varint(), Ok(value as i32));
        assert_eq!(reader.unsigned_varint(), Ok(value as u32));
        assert_eq!(reader.finish("numbers"), Ok(()));
    }
}

#[test]
fn malformed_values_are_refused() {
    let check = |bytes: &'static [u8], read: Check, expected: &str| {
        let error = read(&mut Reader::new(Bytes::from_static(bytes))).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    fn read<T: std::fmt::Debug>(read: impl Fn(&mut Reader) -> Result<T, WireError> + 'static) -> Check {
        Box::new(move |reader| read(reader).map(|value| format!("{value:?}")))
    }
    check(&[1, 2, 3], read(Reader::i32), "4 bytes are needed at position 0, but only 3 are left");
    check(&[0xff; 6], read(Reader::unsigned_varint), "variable-length integer at position 0 is too long");
    check(
        &[0xff, 0xff, 0xff, 0xff, 0x10],
        read(Reader::unsigned_varint),
        "variable-length integer at position 0 is too long",
    );
    check(&[0xff; 11], read(Reader::varlong), "variable-length integer at position 0 is too long");
    check(&[0xff, 0xff], read(|r| r.string(false)), "null at position 2, where a value is required");
    check(&[0x80, 0x00], read(|r| r.string(false)), "invalid length -32768 at position 2");
    check(&[0, 1, 0xff], read(|r| r.string(false)), "text at position 2 is not UTF-8");
    check(&[0x81, 0x80, 0x02, 0], read(|r| r.string(true)), "invalid length 32768 at position 3");
    check(
        &[0x7f, 0xff, 0xff, 0xff, 0],
        read(|r| r.array(false, 1, Reader::i8)),
        "an array at position 4 claims 2147483647 elements, but only 1 bytes are left",
    );
    check(
        &[0, 0, 0, 2, 0, 0, 0],
        read(|r| r.array(false, 2, Reader::i16)),
        "an array at position 4 claims 2 elements, but only 3 bytes are left",
    );
    check(&[0xfe], read(Reader::presence), "invalid presence marker -2 at position 0");
    check(
        &[1, 0, 9, 0],
        read(Reader::skip_tagged_fields),
        "9 bytes are needed at position 3, but only 1 are left",
    );
    check(
        &[1, 4, 2, 0, 0],
        read(|r| r.tagged_fields(|r, _| r.i8().map(|_| true))),
        "tagged field 4 claims 2 bytes, but has 1",
    );
}

#[test]
fn elements_without_content_are_bounded_by_the_frame() {
    let mut reader = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3]));
    let result = reader.array(false, 0, |_| Ok(()));
    assert!(matches!(result, Err(WireError::CountTooLarge { .. })), "{result:?}");
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let mut reader = Reader::new(Bytes::from_static(&[2, 0, 1, 5, 9, 3, 1, 2, 3, 42]));
    let mut known = 0;
    reader
        .tagged_fields(|reader, tag| {
            if tag == 0 {
                known = reader.i8()?;
            }
            Ok(tag == 0)
        })
        .unwrap();
    assert_eq!((known, reader.i8()), (5, Ok(42)));
}

#[test]
fn large_payloads_are_placed_and_never_copied() {
    let large = Bytes::from(vec![7; PAYLOAD_SEGMENT_BYTES_MIN]);
    let small = Bytes::from_static(b"small");
    let mut writer = Writer::frame();
    writer
        .tagged_field(1, |writer| {
            writer.payload(&[small.clone(), large.clone(), small.clone()].into_iter().collect(), true)
        })
        .unwrap();
    writer.uuid(Uuid::nil());
    let length = writer.len() - 4;
    let segments = writer.into_frame().unwrap();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[1].in_memory().unwrap().as_ptr(), large.as_ptr());
    let whole: Payload = segments.iter().map(|segment| segment.in_memory().unwrap().clone()).collect();
    let mut reader = Reader::new(whole.into_bytes().unwrap());
    assert_eq!(reader.i32(), Ok(i32::try_from(length).unwrap()));
    let mut payload = Payload::new();
    reader
        .tagged_fields_of_one(|reader| {
            payload = reader.payload(true)?;
            Ok(true)
        })
        .unwrap();
    let expected: Payload = [small.clone(), large, small].into_iter().collect();
    assert_eq!(payload, expected);
    assert_eq!(reader.uuid(), Ok(Uuid::nil()));
}

impl Reader {
    /// One tagged field without the count in front.
    fn tagged_fields_of_one(
        &mut self,
        field: impl FnOnce(&mut Self) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        self.unsigned_varint()?;
        let claimed = self.unsigned_varint()? as usize;
        let start = self.position();
        field(self)?;
        assert_eq!(self.position() - start, claimed);
        Ok(())
    }
}

#[test]
fn strings_compare_by_content_and_share_the_frame() {
    let frame = Bytes::from_static(&[0, 1, b'a', 0, 1, b'a']);
    let mut reader = Reader::new(frame.clone());
    let (first, second) = (reader.string(false).unwrap(), reader.string(false).unwrap());
    assert_eq!(first, second);
    assert_eq!(first, "a");
    assert_eq!(first.as_str().as_ptr(), frame[2..].as_ptr());
    assert!(std::collections::HashSet::from([first]).contains("a"));
}

#[test]
fn elements_of_all_arrays_share_one_allowance() {
    let mut reader = Reader::new(Bytes::from_static(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9]));
    reader.limit_elements(2);
    let mut bytes = || reader.array(false, 1, Reader::i8);
    assert_eq!(bytes(), Ok(vec![7, 8]));
    assert_eq!(bytes(), Err(WireError::ElementsTooLarge { position: 10, count: 1 }));
}
