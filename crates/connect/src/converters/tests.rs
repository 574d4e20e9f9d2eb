use bytes::Bytes;

use super::plugins;
use crate::convert::HeaderConverter;
use crate::notation::text::{display, kind};
use crate::plugins::{Implementation, Plugins};
use crate::record::{ConnectSchema, DATE, Datum, Header, Type};
use crate::settings::Config;
use crate::value::Value;

fn converter(name: &str, settings: &[(&str, &str)]) -> Box<dyn HeaderConverter> {
    let mut all = Plugins::default();
    plugins().into_iter().for_each(|row| all.add(row));
    let factory = all.header_converter(name).unwrap_or_else(|| panic!("{name}"));
    let config: Config =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let values = factory.settings().values(&config).unwrap_or_else(|error| panic!("{error}"));
    factory.make(&values).unwrap_or_else(|error| panic!("{error}"))
}

fn datum(kind: Type, value: Value) -> Datum {
    Datum { schema: Some(ConnectSchema::of(kind)), value }
}

/// A class, data, and its bytes or the error.
type Encoded = (&'static str, Datum, Result<&'static [u8], &'static str>);

/// A class, bytes, and the shape and text of the data, or the error.
type Decoded = (&'static str, &'static [u8], Result<(&'static str, &'static str), &'static str>);

#[test]
fn every_class_converts_what_the_table_says() {
    let plain = |value: Value| Datum::schemaless(value);
    let text = |text: &'static str| Value::String(text.into());
    let cases: Vec<Encoded> = vec![
        ("ByteArrayConverter", Datum::bytes(&b"ab"[..]), Ok(b"ab")),
        (
            "ByteArrayConverter",
            plain(text("a")),
            Err("ByteArrayConverter is not compatible with objects of type class java.lang.String"),
        ),
        ("ByteArrayConverter", Datum::text("a"), Err("Invalid schema type for ByteArrayConverter: STRING")),
        ("StringConverter", plain(Value::Float64(1e7)), Ok(b"1.0E7")),
        ("StringConverter", plain(Value::Array(vec![Value::Int8(1), text("a")])), Ok(b"[1, a]")),
        ("BooleanConverter", datum(Type::Boolean, Value::Boolean(true)), Ok(&[1])),
        (
            "BooleanConverter",
            datum(Type::Int8, Value::Int8(1)),
            Err("Invalid schema type for BooleanConverter: INT8"),
        ),
        (
            "BooleanConverter",
            plain(Value::Int8(1)),
            Err("BooleanConverter is not compatible with objects of type class java.lang.Byte"),
        ),
        ("ShortConverter", plain(Value::Int16(-2)), Ok(&[255, 254])),
        ("IntegerConverter", plain(Value::Int32(258)), Ok(&[0, 0, 1, 2])),
        (
            "IntegerConverter",
            plain(Value::Int64(1)),
            Err("Failed to serialize to integer (was class java.lang.Long): "),
        ),
        (
            "IntegerConverter",
            Datum {
                schema: Some(ConnectSchema::new(Type::Int32).named(DATE).into()),
                value: Value::Int32(1),
            },
            Err("Failed to serialize to integer (was class java.util.Date): "),
        ),
        ("LongConverter", plain(Value::Int64(1)), Ok(&[0, 0, 0, 0, 0, 0, 0, 1])),
        ("FloatConverter", plain(Value::Float32(1.0)), Ok(&[63, 128, 0, 0])),
        ("DoubleConverter", plain(Value::Float64(1.0)), Ok(&[63, 240, 0, 0, 0, 0, 0, 0])),
    ];
    for (name, datum, expected) in cases {
        let encoded = converter(name, &[]).encode("t", &Header { name: "h".into(), value: datum.clone() });
        match (&encoded, expected) {
            (Ok(Some(bytes)), Ok(expected)) => assert_eq!(bytes, expected, "{name} of {datum:?}"),
            (Err(error), Err(expected)) => assert_eq!(error.message, expected),
            _ => panic!("{name} of {datum:?}: {encoded:?}"),
        }
    }
}

#[test]
fn bytes_are_read_or_refused() {
    let cases: [Decoded; 8] = [
        ("ByteArrayConverter", b"ab", Ok(("BYTES", "YWI="))),
        ("StringConverter", b"a\xff", Ok(("STRING", "a\u{fffd}"))),
        ("BooleanConverter", &[1], Ok(("BOOLEAN", "true"))),
        ("BooleanConverter", &[2], Err("Failed to deserialize boolean: ")),
        ("ShortConverter", &[1], Err("Failed to deserialize short: ")),
        ("IntegerConverter", &[0, 0, 1, 2], Ok(("INT32", "258"))),
        ("DoubleConverter", &[63, 240, 0, 0, 0, 0, 0, 0], Ok(("FLOAT64", "1.0"))),
        ("SimpleHeaderConverter", b"300", Ok(("INT16", "300"))),
    ];
    for (name, bytes, expected) in cases {
        let bytes = Bytes::from_static(bytes);
        let decoded = converter(name, &[]).decode("t", "h", Some(&bytes));
        match (&decoded, expected) {
            (Ok(datum), Ok((shape, text))) => {
                let schema = datum.schema.as_deref();
                assert_eq!(schema.map(|schema| kind(&schema.kind)), Some(shape));
                assert_eq!(display(schema, &datum.value), text);
            }
            (Err(error), Err(expected)) => assert_eq!(error.message, expected),
            _ => panic!("{name}: {decoded:?}"),
        }
    }
    for row in plugins() {
        if let Implementation::HeaderConverter(factory) = &row.implementation {
            let values = factory.settings().values(&Config::new()).expect("defaults");
            let made = factory.make(&values).expect("defaults fit");
            assert_eq!(made.decode("t", "h", None).expect("null").value, Value::Null, "{}", row.class);
        }
    }
}

#[test]
fn text_has_encodings() {
    let cases: [(&str, &str, &[u8]); 6] = [
        ("UTF8", "é", "é".as_bytes()),
        ("ISO-8859-1", "é€", &[0xe9, b'?']),
        ("US-ASCII", "é", b"?"),
        ("UTF-16", "é", &[0xfe, 0xff, 0, 0xe9]),
        ("utf-16le", "é", &[0xe9, 0]),
        ("UTF-16BE", "", &[]),
    ];
    for (name, text, bytes) in cases {
        let converter = converter("StringConverter", &[("converter.encoding", name)]);
        let header = Header { name: "h".into(), value: Datum::text(text) };
        assert_eq!(converter.encode("t", &header).expect("text").as_deref(), Some(bytes), "{name}");
        let read = converter.decode("t", "h", Some(&Bytes::from_static(bytes))).expect("bytes");
        let expected = text.replace('€', "?").replace('é', if name == "US-ASCII" { "?" } else { "é" });
        assert_eq!(read.value, Value::String(expected.into()), "{name}");
    }
}
