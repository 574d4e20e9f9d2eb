use bytes::Bytes;

use super::{Format, JsonFormat, NO_ENVELOPE, UNREADABLE, settings};
use crate::notation::text::{display, kind};
use crate::record::{ConnectSchema, DATE, DECIMAL, Datum, TIME, TIMESTAMP, Type};
use crate::settings::Config;
use crate::value::Value;

fn format(given: &[(&str, &str)]) -> JsonFormat {
    let config: Config = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let values = settings().values(&config).expect("settings");
    JsonFormat::new(&values).expect("settings fit")
}

/// The shape and the text of what was read, or the error.
fn read(format: &JsonFormat, text: &str) -> String {
    match format.decode(Some(&Bytes::from(text.to_owned()))) {
        Ok(Datum { schema, value }) => {
            let shape = schema.as_ref().map_or("-", |schema| kind(&schema.kind));
            format!("{shape} {}", display(schema.as_deref(), &value))
        }
        Err(error) => error.message,
    }
}

#[test]
fn plain_json_is_read() {
    let format = format(&[("schemas.enable", "false")]);
    let cases = [
        ("", "- null"),
        ("  ", "- null"),
        ("1 2", "- 1"),
        ("1x", UNREADABLE),
        ("truex", UNREADABLE),
        ("true x", "- true"),
        ("{\"a\":1}xyz", "- {a=1}"),
        ("\"a\"b", "- a"),
        ("007", "- 7"),
        ("-0.0", "- 0.0"),
        ("-01", "- -1"),
        ("00.5", "- 0.5"),
        ("1.", UNREADABLE),
        ("+1", UNREADABLE),
        (".5", UNREADABLE),
        ("1e5", "- 100000.0"),
        ("123456789012345678901234567890", "- -4362896299872285998"),
        ("[1,]", UNREADABLE),
        ("{\"a\":1,\"b\":3,\"a\":2}", "- {a=2, b=3}"),
        ("\"\\ud83d\\ude00 \\ud800\"", "- \u{1f600} ?"),
        ("nul", UNREADABLE),
        ("[", UNREADABLE),
        ("{\"a\"}", UNREADABLE),
        ("NaN", UNREADABLE),
        ("\u{feff}1", "- 1"),
        ("\"\u{1}\"", UNREADABLE),
        ("1e999999999", "- Infinity"),
        ("-", UNREADABLE),
        ("[1 2]", UNREADABLE),
        ("\"\\x\"", UNREADABLE),
    ];
    for (text, expected) in cases {
        assert_eq!(read(&format, text), expected, "{text}");
    }
    let nested = |depth: usize| read(&format, &("[".repeat(depth) + &"]".repeat(depth)));
    assert_ne!(nested(1000), UNREADABLE);
    assert_eq!(nested(1001), UNREADABLE);
    assert_eq!(read(&format, &"1".repeat(1001)), UNREADABLE);
    assert_eq!(
        format.decode(Some(&Bytes::from_static(b"\"\xff\""))).expect_err("not text").message,
        UNREADABLE
    );
}

#[test]
fn json_with_a_schema_is_read() {
    let cases = [
        ("null", "null", "- null"),
        ("null", "[1,{\"a\":\"b\"}]", "- [1, {a=b}]"),
        ("{\"type\":\"int32\"}", "\"12\"", "INT32 0"),
        ("{\"type\":\"string\"}", "12", "STRING null"),
        ("{\"type\":\"bytes\"}", "\"a\"", "Invalid bytes field"),
        ("{\"type\":\"bytes\"}", "\"YQ==\"", "BYTES YQ=="),
        ("{\"type\":\"int8\"}", "300.7", "INT8 44"),
        ("{\"type\":\"int32\"}", "null", "Invalid null value for required INT32 field"),
        ("{\"type\":\"int32\",\"optional\":true}", "null", "INT32 null"),
        ("{\"type\":\"int32\",\"default\":7}", "null", "INT32 7"),
        ("{\"type\":\"boolean\"}", "1", "BOOLEAN false"),
        ("{\"type\":\"float\"}", "1e400", "FLOAT32 Infinity"),
        ("{\"type\":\"int64\"}", "1e400", "INT64 0"),
        ("{\"type\":\"int32\"}", "3000000000", "INT32 -1294967296"),
        ("{\"type\":\"array\",\"items\":{\"type\":\"int32\"}}", "{\"a\":1}", "ARRAY [1]"),
        ("{\"type\":\"array\"}", "1", "Array schema did not specify the element type"),
        ("{\"type\":\"foo\"}", "1", "Unknown schema type: foo"),
        ("{}", "1", "Schema must contain 'type' field"),
        ("3", "1", "Schema must contain 'type' field"),
        ("{\"type\":\"struct\"}", "1", "Struct schema's \"fields\" argument is not an array."),
        (
            "{\"type\":\"struct\",\"fields\":[]}",
            "1",
            "Structs should be encoded as JSON objects, but found NUMBER",
        ),
        ("{\"type\":\"struct\",\"fields\":[3]}", "1", "Struct schema's field name not specified properly"),
        (
            "{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"string\"}]}",
            "{\"a\":3}",
            "Invalid value: null used for required field: \"a\", schema type: STRING",
        ),
        (
            "{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}",
            "{\"a\":[3]}",
            "Invalid value: null used for required element of array field: \"a\", schema type: STRING",
        ),
        (
            "{\"type\":\"struct\",\"fields\":[{\"field\":\"a\",\"type\":\"int8\"},{\"field\":\"b\",\"type\":\"int8\"}]}",
            "{\"b\":2,\"c\":3,\"a\":1}",
            "STRUCT Struct{a=1,b=2}",
        ),
        (
            "{\"type\":\"map\",\"keys\":{\"type\":\"int32\"},\"values\":{\"type\":\"int32\"}}",
            "[[1,2,3]]",
            "Found invalid map entry, expected length 2 but found :3",
        ),
        (
            "{\"type\":\"map\",\"keys\":{\"type\":\"int32\"},\"values\":{\"type\":\"int32\"}}",
            "[1]",
            "Found invalid map entry instead of array tuple: NUMBER",
        ),
        (
            "{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Date\"}",
            "1",
            "INT32 Fri Jan 02 00:00:00 UTC 1970",
        ),
        (
            "{\"type\":\"int32\",\"name\":\"org.apache.kafka.connect.data.Time\"}",
            "-1",
            "Time values must use number of milliseconds greater than 0 and less than 86400000",
        ),
        (
            "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"2\"}}",
            "1.5",
            "BYTES 1.50",
        ),
        (
            "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"2\"}}",
            "\"AJY=\"",
            "BYTES 1.50",
        ),
        (
            "{\"type\":\"bytes\",\"name\":\"org.apache.kafka.connect.data.Decimal\"}",
            "\"AJY=\"",
            "Invalid bytes for Decimal field",
        ),
    ];
    let format = format(&[]);
    for (schema, payload, expected) in cases {
        for _ in ["new", "remembered"] {
            let text = format!("{{\"schema\":{schema},\"payload\":{payload}}}");
            assert_eq!(read(&format, &text), expected, "{text}");
        }
        let turned = format!(" {{ \"payload\" : {payload} , \"schema\" : {schema} }} ");
        assert_eq!(read(&format, &turned), expected, "{turned}");
    }
    for text in ["{\"payload\":5}", "[]", "{}", "", "{\"schema\":null,\"payload\":1,\"x\":1}"] {
        assert_eq!(read(&format, text), NO_ENVELOPE, "{text}");
    }
}

#[test]
fn one_schema_may_be_set_for_all() {
    assert_eq!(read(&format(&[("schema.content", "{\"type\":\"int32\"}")]), "5"), "INT32 5");
    let without = [("schema.content", "{\"type\":\"int32\"}"), ("schemas.enable", "false")];
    assert_eq!(read(&format(&without), "5"), "- 5");
}

#[test]
fn data_is_written() {
    let of = |kind: Type| ConnectSchema::new(kind);
    let decimal = || {
        let mut schema = of(Type::Bytes).named(DECIMAL);
        schema.parameters.push(("scale".into(), "2".into()));
        schema
    };
    let text = |text: &'static str| Value::String(text.into());
    let map = vec![(text("a"), Value::Int8(1)), (text("b"), Value::Null), (text("a"), Value::Int8(2))];
    let cases: Vec<(Option<ConnectSchema>, Value, &str)> = vec![
        (
            None,
            text("\u{1f600} \u{7f} \u{1} \u{1f} / é \"\\\u{8}\t"),
            "\"\\uD83D\\uDE00 \u{7f} \\u0001 \\u001F / é \\\"\\\\\\b\\t\"",
        ),
        (None, Value::Float64(f64::NAN), "\"NaN\""),
        (None, Value::Float32(1e10), "1.0E10"),
        (None, Value::Map(map), "{\"a\":2,\"b\":null}"),
        (None, Value::Map(vec![(Value::Int8(1), text("x"))]), "[[1,\"x\"]]"),
        (Some(of(Type::String).optional()), Value::Null, "null"),
        (
            Some(of(Type::String)),
            Value::Null,
            "Conversion error: null value for field that is required and has no default value",
        ),
        (Some(of(Type::Int32)), text("a"), "Invalid type for INT32: class java.lang.String"),
        (Some(of(Type::Int32).named(DATE)), Value::Int32(1), "1"),
        (
            Some(of(Type::Int32).named(TIME)),
            Value::Int32(-1),
            "Kafka Connect Time type should not have any date fields set to non-zero values.",
        ),
        (Some(of(Type::Int64).named(TIMESTAMP)), Value::Int64(5), "5"),
        (
            Some(of(Type::Int64).named(TIMESTAMP)),
            text("5"),
            "Invalid type for Timestamp, expected Date but was class java.lang.String",
        ),
        (Some(decimal()), Value::Bytes(Bytes::from_static(&[0, 150])), "\"AJY=\""),
    ];
    let plain = format(&[("schemas.enable", "false")]);
    for (schema, value, expected) in cases {
        let datum = Datum { schema: schema.map(Into::into), value };
        let written = match plain.encode(&datum) {
            Ok(bytes) => String::from_utf8(bytes.expect("not null").to_vec()).expect("text"),
            Err(error) => error.message,
        };
        assert_eq!(written, expected, "{datum:?}");
    }
    let numeric = format(&[("decimal.format", "numeric")]);
    let datum = Datum { schema: Some(decimal().into()), value: Value::Bytes(Bytes::from_static(&[0, 150])) };
    let written = "{\"schema\":{\"type\":\"bytes\",\"optional\":false,\
        \"name\":\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"2\"}},\"payload\":1.50}";
    for _ in ["new", "remembered"] {
        assert_eq!(numeric.encode(&datum).expect("data").as_deref(), Some(written.as_bytes()));
    }
    assert_eq!(numeric.encode(&Datum::default()).expect("null"), None);
}
