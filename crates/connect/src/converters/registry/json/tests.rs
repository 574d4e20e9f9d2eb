use std::sync::Arc;

use bytes::Bytes;

use super::super::testing::{
    Given, Random, converter, decode, encode, logical, of, structure, there_and_back,
};
use super::{ENUM, ONE_OF, read};
use crate::error::ErrorKind;
use crate::record::{ConnectSchema, DATE, DECIMAL, Datum, TIME, TIMESTAMP, Type};
use crate::schema::Referenced;
use crate::schema::serializer::testing::Memory;
use crate::value::Value;

const CLASS: &str = "io.confluent.connect.json.JsonSchemaConverter";

fn text(text: &'static str) -> Value {
    Value::String(text.into())
}

fn decimal() -> ConnectSchema {
    let mut schema = logical(Type::Bytes, DECIMAL);
    schema.parameters.push(("scale".into(), "2".into()));
    schema
}

fn with_default(mut schema: ConnectSchema, default: Value) -> ConnectSchema {
    schema.default = Some(default);
    schema
}

#[tokio::test]
async fn schemas_and_data_come_back_as_they_went() {
    let inner = structure("shop.Inner", vec![("n", of(Type::Int8))]);
    let inner_value = |number: i8| Value::record(vec![("n".into(), Value::Int8(number))]);
    let mut symbol = of(Type::String);
    symbol.parameters = vec![(ENUM.into(), "".into())];
    symbol.parameters.extend(["red", "blue"].map(|name| (format!("{ENUM}.{name}").into(), name.into())));
    let member = |index: usize| format!("{ONE_OF}.field.{index}");
    let member_of = |index: usize, kind| crate::record::Field {
        name: member(index).into(),
        schema: of(kind).optional().into(),
    };
    let union = of(Type::Struct(vec![member_of(0, Type::String), member_of(1, Type::Int32)])).named(ONE_OF);
    let union_value =
        Value::record(vec![(member(0).into(), Value::Null), (member(1).into(), Value::Int32(5))]);
    // Settings, a schema and data; the text of the schema, and of the data.
    #[rustfmt::skip]
    let cases: Vec<(Given<'_>, ConnectSchema, Value, &str, &str)> = vec![
        (&[], of(Type::Boolean), Value::Boolean(true), r#"{"type":"boolean"}"#, "true"),
        (&[], of(Type::Int8), Value::Int8(-5), r#"{"type":"integer","connect.type":"int8"}"#, "-5"),
        (&[], of(Type::Int16), Value::Int16(5), r#"{"type":"integer","connect.type":"int16"}"#, "5"),
        (&[], of(Type::Int32), Value::Int32(5), r#"{"type":"integer","connect.type":"int32"}"#, "5"),
        (&[], of(Type::Int64), Value::Int64(i64::MIN), r#"{"type":"integer","connect.type":"int64"}"#, "-9223372036854775808"),
        (&[], of(Type::Float32), Value::Float32(0.1), r#"{"type":"number","connect.type":"float32"}"#, "0.1"),
        (&[], of(Type::Float64), Value::Float64(2.0), r#"{"type":"number","connect.type":"float64"}"#, "2.0"),
        (&[], of(Type::String), text("a\"b"), r#"{"type":"string"}"#, r#""a\"b""#),
        (&[], of(Type::Bytes), Value::Bytes(Bytes::from_static(b"\0\x01")), r#"{"type":"string","connect.type":"bytes"}"#, r#""AAE=""#),
        (&[], of(Type::String).optional(), text("a"), r#"{"oneOf":[{"type":"null"},{"type":"string"}]}"#, r#""a""#),
        (&[], symbol, text("blue"), r#"{"enum":["red","blue"]}"#, r#""blue""#),
        (&[], logical(Type::Int64, TIMESTAMP), Value::Int64(5),
            r#"{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64","connect.version":1}"#, "5"),
        (&[], logical(Type::Int32, DATE), Value::Int32(5), r#""title":"org.apache.kafka.connect.data.Date""#, "5"),
        (&[], logical(Type::Int32, TIME), Value::Int32(5), r#""title":"org.apache.kafka.connect.data.Time""#, "5"),
        (&[], decimal(), Value::Bytes(Bytes::from_static(&[1, 44])),
            r#"{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.version":1,"connect.parameters":{"scale":"2"}}"#,
            r#""ASw=""#),
        (&[("decimal.format", "NUMERIC")], decimal(), Value::Bytes(Bytes::from_static(&[1, 45])), r#"{"type":"number","title""#, "3.01"),
        (&[("decimal.format", "NUMERIC")], decimal(), Value::Bytes(Bytes::from_static(&[1, 44])), r#"{"type":"number","title""#, "3"),
        (&[], of(Type::Array(of(Type::Float64).into())), Value::Array(vec![Value::Float64(1.5)]),
            r#"{"type":"array","items":{"type":"number","connect.type":"float64"}}"#, "[1.5]"),
        (&[], of(Type::Map(of(Type::String).into(), of(Type::Int32).into())), Value::Map(vec![(text("k"), Value::Int32(1))]),
            r#"{"type":"object","connect.type":"map","additionalProperties":{"type":"integer","connect.type":"int32"}}"#, r#"{"k":1}"#),
        (&[], of(Type::Map(of(Type::Int32).into(), of(Type::Int16).optional().into())),
            Value::Map(vec![(Value::Int32(1), Value::Int16(2)), (Value::Int32(3), Value::Null)]),
            r#"{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"integer","connect.index":0,"connect.type":"int32"},"value":{"oneOf":[{"type":"null"},{"type":"integer","connect.type":"int16"}],"connect.index":1}}}}"#,
            r#"[{"key":1,"value":2},{"key":3,"value":null}]"#),
        (&[], union, union_value, r#"{"oneOf":[{"type":"string","connect.index":0},{"type":"integer","connect.index":1,"connect.type":"int32"}]}"#, "5"),
        (&[],
            structure("shop.Order", vec![
                ("z", of(Type::Int32)),
                ("note", of(Type::String).optional()),
                ("state", with_default(of(Type::String), text("open"))),
                ("first", inner.clone()),
                ("second", inner.clone().optional()),
            ]),
            Value::record(vec![
                ("z".into(), Value::Int32(7)),
                ("note".into(), Value::Null),
                ("state".into(), text("done")),
                ("first".into(), inner_value(1)),
                ("second".into(), inner_value(2)),
            ]),
            r#""state":{"type":"string","default":"open","connect.index":2}"#,
            r#"{"z":7,"note":null,"state":"done","first":{"n":1},"second":{"n":2}}"#),
        (&[("object.additional.properties", "false"), ("use.optional.for.nonrequired", "true")], inner.clone(), inner_value(1),
            r#""required":["n"],"additionalProperties":false}"#, r#"{"n":1}"#),
    ];
    for (settings, schema, value, expected, data) in cases {
        let memory = Arc::new(Memory::default());
        let converter = converter(CLASS, &memory, settings);
        let datum = Datum { schema: Some(schema.into()), value };
        for _ in ["new", "remembered"] {
            let bytes = encode(&*converter, &datum).await.expect("data").expect("bytes");
            let written =
                memory.schemas.lock().last().map(|(_, source)| source.text.clone()).unwrap_or_default();
            assert!(written.contains(expected), "{written}");
            assert_eq!(String::from_utf8_lossy(&bytes[5..]), data, "{written}");
            assert_eq!(decode(&*converter, Some(&bytes)).await.expect("data"), datum, "{written}");
        }
    }
}

#[tokio::test]
async fn made_up_data_comes_back_as_it_went() {
    for seed in 1..100 {
        let mut random = Random(seed);
        let schema = random.root(true);
        let value = random.value(&schema, true);
        let memory = Arc::new(Memory::default());
        let converter = converter(CLASS, &memory, &[]);
        let datum = Datum { schema: Some(schema.into()), value };
        let read = there_and_back(&*converter, &datum, seed).await;
        assert_eq!(read, datum, "seed {seed}");
    }
}

#[test]
fn foreign_schemas_are_read() {
    let references = [Referenced {
        name: "https://example.com/address.json".to_owned(),
        text: r##"{"definitions":{"zip":{"type":"string"}},"type":"object","properties":{"zip":{"$ref":"#/definitions/zip"}}}"##.to_owned(),
    }];
    let field = |schema: &ConnectSchema, name: &str| schema.field(name).map(|field| (*field.schema).clone());
    #[rustfmt::skip]
    let cases: &[(&str, Type, bool)] = &[
        (r#"{"type":"integer"}"#, Type::Int64, false),
        (r#"{"type":"number"}"#, Type::Float64, false),
        (r#"{"type":["null","string"]}"#, Type::String, true),
        (r#"{"anyOf":[{"type":"boolean"},{"type":"null"}]}"#, Type::Boolean, true),
        (r#"{"const":"a"}"#, Type::String, false),
        (r#"{"allOf":[{"type":"string"},{"format":"date"}]}"#, Type::String, false),
        (r#"{"$ref":"https://example.com/address.json#/definitions/zip"}"#, Type::String, false),
        (r##"{"$defs":{"a/b":{"type":"integer","connect.type":"int8"}},"$ref":"#/$defs/a~1b"}"##, Type::Int8, false),
        (r#"{"type":"object","additionalProperties":{"type":"number"}}"#,
            Type::Map(ConnectSchema::of(Type::String), ConnectSchema::of(Type::Float64)), false),
    ];
    for (text, kind, optional) in cases {
        let read = read::schema(false, &format!(r#"{{"properties":{{"x":{text}}}}}"#), &references);
        // A reference within the text is seen from its root.
        let read = if text.contains("$defs") {
            read::schema(false, text, &references)
        } else {
            read.map(|read| field(&read, "x").expect("the field"))
        };
        let read = read.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((&read.kind, read.optional), (kind, *optional), "{text}");
    }
    let many = r#"{"allOf":[{"properties":{"a":{"type":"string"}}},{"$ref":"address.json"}]}"#;
    let read = read::schema(true, many, &references).expect("a schema");
    let names: Vec<&str> = read.fields().iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["a", "zip"]);
    assert!(read.fields().iter().all(|field| field.schema.optional), "nothing is required");
}

#[tokio::test]
async fn what_cannot_be_converted_is_an_error_of_the_record() {
    let refused = [
        (r##"{"properties":{"next":{"$ref":"#"}}}"##, "contains itself"),
        (r##"{"$defs":{"a":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##, "contains itself"),
        (r#"{"$ref":"elsewhere.json"}"#, "is not known"),
        ("{}", "says no type"),
        (r#"{"type":"array"}"#, "items type"),
        (r#"{"type":"null"}"#, "nothing but null"),
        ("[]", "says no type"),
    ];
    for (text, expected) in refused {
        let error = read::schema(false, text, &[]).expect_err(text);
        assert!(error.message.contains(expected), "{text}: {error}");
    }
    let bomb: String = (0..30).map(|n| format!(r##""a{n}":{{"properties":{{"x":{{"$ref":"#/$defs/a{m}"}},"y":{{"$ref":"#/$defs/a{m}"}}}}}},"##, m = n + 1)).collect();
    let bomb = format!(r##"{{"$defs":{{{bomb}"a30":{{"type":"string"}}}},"$ref":"#/$defs/a0"}}"##);
    assert!(read::schema(false, &bomb, &[]).is_err_and(|error| error.message.contains("more than")));

    let memory = Arc::new(Memory::default());
    let converter = converter(CLASS, &memory, &[("decimal.format", "NUMERIC")]);
    let wrong = Datum { schema: Some(ConnectSchema::of(Type::Int32)), value: text("a") };
    let missing = structure("a", vec![("x", of(Type::String))]);
    let missing =
        Datum { schema: Some(missing.into()), value: Value::record(vec![("x".into(), Value::Null)]) };
    let long = Value::Bytes(Bytes::from_static(&[1; 20]));
    let list = Datum::schemaless(Value::Array(Vec::new()));
    for datum in [wrong, missing, Datum { schema: Some(decimal().into()), value: long }, list] {
        let error = encode(&*converter, &datum).await.expect_err("no data");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
    }
    let values = [
        (of(Type::Int8), Value::Int64(300)),
        (of(Type::String), Value::Int64(3)),
        (of(Type::Int32), Value::Null),
    ];
    for (schema, value) in values {
        assert!(read::value(&schema, value).is_err_and(|error| error.kind == ErrorKind::Data));
    }
    for bytes in [&b""[..], b"x", &[0, 0, 0, 0, 99, 1]] {
        let error = decode(&*converter, Some(&Bytes::from_static(bytes))).await.expect_err("no data");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
    }
}
