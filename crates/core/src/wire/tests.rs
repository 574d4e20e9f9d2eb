use bytes::Bytes;
use uuid::Uuid;

use super::*;

type Check = Box<dyn Fn(&mut Reader) -> Result<String, WireError>>;

/// Every row writes a value, says which bytes that are, and reads it back.
fn check(name: &str, bytes: &[u8], write: impl FnOnce(&mut Writer), read: impl Fn(&mut Reader) -> String) {
    let mut writer = Writer::contiguous();
    write(&mut writer);
    let written = writer.into_bytes().unwrap();
    assert_eq!(written, bytes, "{name}");
    let mut reader = Reader::new(written);
    let _ = read(&mut reader);
    reader.finish("the value").unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn values_have_kafkas_bytes() {
    check("i16", &[0xff, 0xfe], |w| w.i16(-2), |r| format!("{:?}", r.i16()));
    check("u16", &[0xff, 0xfe], |w| w.u16(65534), |r| format!("{:?}", r.u16()));
    check("u32", &[0xff, 0xff, 0xff, 0xfe], |w| w.u32(u32::MAX - 1), |r| format!("{:?}", r.u32()));
    check("uvarint", &[0xac, 0x02], |w| w.unsigned_varint(300), |r| format!("{:?}", r.unsigned_varint()));
    check("varint", &[0x01], |w| w.varint(-1), |r| format!("{:?}", r.varint()));
    check("varlong", &[0xd8, 0x04], |w| w.varlong(300), |r| format!("{:?}", r.varlong()));
    check(
        "string",
        &[0, 2, b'h', b'i'],
        |w| w.string("hi", false).unwrap(),
        |r| format!("{:?}", r.string(false)),
    );
    check(
        "compact string",
        &[3, b'h', b'i'],
        |w| w.string("hi", true).unwrap(),
        |r| format!("{:?}", r.string(true)),
    );
    check(
        "null string",
        &[0xff, 0xff],
        |w| w.nullable_string(None, false).unwrap(),
        |r| format!("{:?}", r.nullable_string(false)),
    );
    check(
        "null compact string",
        &[0],
        |w| w.nullable_string(None, true).unwrap(),
        |r| format!("{:?}", r.nullable_string(true)),
    );
    check(
        "null bytes",
        &[0xff; 4],
        |w| w.nullable_bytes(None, false).unwrap(),
        |r| format!("{:?}", r.nullable_bytes(false)),
    );
    check(
        "array",
        &[0, 0, 0, 1, 0, 7],
        |w| {
            w.array(&[7i16], false, |w, item| {
                w.i16(*item);
                Ok(())
            })
            .unwrap();
        },
        |r| format!("{:?}", r.array(false, 2, Reader::i16)),
    );
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
