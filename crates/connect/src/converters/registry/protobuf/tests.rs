use std::sync::Arc;

use bytes::Bytes;

use super::super::testing::{
    Given, Random, converter, decode, encode, logical, of, structure, there_and_back,
};
use super::{ENUM, UNION};
use crate::error::ErrorKind;
use crate::record::{ConnectSchema, DATE, DECIMAL, Datum, TIME, TIMESTAMP, Type};
use crate::schema::serializer::testing::Memory;
use crate::schema::serializer::{RegistryClient, SchemaSource};
use crate::value::Value;

const CLASS: &str = "io.confluent.connect.protobuf.ProtobufConverter";

fn text(text: &'static str) -> Value {
    Value::String(text.into())
}

/// A schema without what only a message says: numbers of fields, names in full, what may be missing.
fn shape(schema: &ConnectSchema) -> ConnectSchema {
    let inside = |schema: &Arc<ConnectSchema>| Arc::new(shape(schema));
    let field = |field: &crate::record::Field| crate::record::Field {
        name: field.name.clone(),
        schema: inside(&field.schema),
    };
    let kind = match &schema.kind {
        Type::Array(items) => Type::Array(inside(items)),
        Type::Map(keys, values) => Type::Map(inside(keys), inside(values)),
        Type::Struct(fields) => Type::Struct(fields.iter().map(field).collect()),
        plain => plain.clone(),
    };
    let is_type = matches!(kind, Type::Struct(_) | Type::Map(..));
    let short = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let name = schema.name.as_deref().map(|name| if is_type { short(name) } else { name.to_owned() });
    let mut parameters = schema.parameters.clone();
    parameters.retain(|(name, _)| name != super::TAG);
    ConnectSchema { kind, name: name.map(Into::into), parameters, optional: false, ..schema.clone() }
}

fn one(name: &'static str, schema: ConnectSchema, value: Value) -> (ConnectSchema, Value) {
    (structure("shop.One", vec![(name, schema)]), Value::record(vec![(name.into(), value)]))
}

#[tokio::test]
async fn schemas_and_data_come_back_as_they_went() {
    let decimal = || {
        let mut schema = logical(Type::Bytes, DECIMAL);
        schema.parameters.push(("scale".into(), "2".into()));
        schema
    };
    let mut symbol = of(Type::String).named("Colour");
    symbol.parameters = vec![(ENUM.into(), "Colour".into())];
    symbol.parameters.extend(
        [("RED", "0"), ("BLUE", "5")].map(|(name, number)| (format!("{ENUM}.{name}").into(), number.into())),
    );
    let inner = structure("shop.Inner", vec![("n", of(Type::Int8))]);
    let inner_value = |number: i8| Value::record(vec![("n".into(), Value::Int8(number))]);
    let union = structure("x", vec![("card", of(Type::String)), ("cash", of(Type::Int32))])
        .named(format!("{UNION}.paid"));
    let union_value = Value::record(vec![("card".into(), Value::Null), ("cash".into(), Value::Int32(0))]);
    let map = |keys, values: ConnectSchema| of(Type::Map(of(keys).into(), values.into())).named("Stock");
    // Settings, a schema and data; a part of the text of the schema.
    #[rustfmt::skip]
    let cases: Vec<(Given<'_>, (ConnectSchema, Value), &str)> = vec![
        (&[], one("b", of(Type::Boolean), Value::Boolean(true)), "package shop;\n\nmessage One {\n  bool b = 1;\n}\n"),
        (&[], one("n", of(Type::Int8), Value::Int8(-5)), "key: \"connect.type\""),
        (&[], one("n", of(Type::Int16), Value::Int16(-5)), "value: \"int16\""),
        (&[], one("n", of(Type::Int32), Value::Int32(-5)), "int32 n = 1;"),
        (&[], one("n", of(Type::Int64), Value::Int64(i64::MIN)), "int64 n = 1;"),
        (&[], one("n", of(Type::Float32), Value::Float32(-0.0)), "float n = 1;"),
        (&[], one("n", of(Type::Float64), Value::Float64(1e300)), "double n = 1;"),
        (&[], one("s", of(Type::String), text("a")), "string s = 1;"),
        (&[], one("s", of(Type::Bytes), Value::Bytes(Bytes::from_static(b"\0"))), "bytes s = 1;"),
        (&[], one("s", symbol, text("BLUE")), "enum Colour {\n    RED = 0;\n    BLUE = 5;\n  }"),
        (&[], one("t", logical(Type::Int64, TIMESTAMP), Value::Int64(-1)), "google.protobuf.Timestamp t = 1;"),
        (&[], one("t", logical(Type::Int32, DATE), Value::Int32(-719_000)), "google.type.Date t = 1;"),
        (&[], one("t", logical(Type::Int32, TIME), Value::Int32(86_399_999)), "google.type.TimeOfDay t = 1;"),
        (&[], one("d", decimal(), Value::Bytes(Bytes::from_static(&[0xfe, 44]))), "confluent.type.Decimal d = 1 [(confluent.field_meta)"),
        (&[], one("l", of(Type::Array(of(Type::Int32).into())), Value::Array(vec![Value::Int32(0), Value::Int32(1)])), "repeated int32 l = 1;"),
        (&[], one("m", map(Type::String, of(Type::Int32)), Value::Map(vec![(text("k"), Value::Int32(0))])), "repeated StockEntry m = 1;"),
        (&[], one("m", map(Type::Int32, inner.clone()), Value::Map(vec![(Value::Int32(4), inner_value(1))])), "message StockEntry {"),
        (&[], one("Inner", inner.clone(), inner_value(3)), "InnerMessage Inner = 1;"),
        (&[], one("inner", inner.clone(), inner_value(3)), "message Inner {"),
        (&[], one("n", of(Type::Int32).optional(), Value::Int32(0)), "int32 n = 1;"),
        (&[("optional.for.nullables", "true")], one("n", of(Type::Int32).optional(), Value::Null), "optional int32 n = 1;"),
        (&[("wrapper.for.nullables", "true")], one("n", of(Type::Int32).optional(), Value::Null), "google.protobuf.Int32Value n = 1;"),
        (&[("wrapper.for.nullables", "true")], one("n", of(Type::String).optional(), text("")), "google.protobuf.StringValue n = 1;"),
        (&[("generate.index.for.unions", "false")], one("paid", union.clone(), union_value.clone()), "oneof paid {\n    string card = 1;\n    int32 cash = 2;\n  }"),
    ];
    for (settings, (schema, value), expected) in cases {
        let memory = Arc::new(Memory::default());
        let converter = converter(CLASS, &memory, settings);
        let datum = Datum { schema: Some(schema.into()), value };
        for _ in ["new", "remembered"] {
            let bytes = encode(&*converter, &datum)
                .await
                .unwrap_or_else(|error| panic!("{expected}: {}", error.trace()));
            let source = memory.schemas.lock().last().map(|(_, source)| source.clone()).expect("a schema");
            let written = crate::schema::SchemaFormat::parse(
                &crate::schema::protobuf::ProtobufFormat,
                crate::schema::SchemaText {
                    text: &source.text,
                    references: &[],
                    validation: crate::schema::Validation::New,
                },
            )
            .expect("the language");
            assert!(written.canonical().contains(expected), "{}", written.canonical());
            let read = decode(&*converter, bytes.as_ref()).await.expect("data");
            assert_eq!(read.value, datum.value, "{}", source.text);
            let schemas = (read.schema.map(|schema| shape(&schema)), datum.schema.as_deref().map(shape));
            let name = |schema: &Option<ConnectSchema>| schema.as_ref().map(|schema| schema.kind.clone());
            if !source.text.contains("InnerMessage") {
                assert_eq!(name(&schemas.0), name(&schemas.1), "{}", source.text);
            }
        }
    }
}

#[tokio::test]
async fn made_up_data_comes_back_as_it_went() {
    for seed in 1..100 {
        let mut random = Random(seed);
        let schema = random.root(false);
        let value = random.value(&schema, false);
        let memory = Arc::new(Memory::default());
        let converter = converter(CLASS, &memory, &[]);
        let datum = Datum { schema: Some(schema.into()), value };
        let read = there_and_back(&*converter, &datum, seed).await;
        assert_eq!(read.value, datum.value, "seed {seed}");
        let (found, given) = (read.schema.expect("a schema"), datum.schema.expect("a schema"));
        assert_eq!(shape(&found), shape(&given), "seed {seed}");
        // What was read can be written, and is the same then.
        let again = Datum { schema: Some(found), value: read.value };
        assert_eq!(there_and_back(&*converter, &again, seed).await, again, "seed {seed}");
    }
}

#[tokio::test]
async fn plain_values_are_wrappers() {
    let memory = Arc::new(Memory::default());
    let converter = converter(CLASS, &memory, &[]);
    let text = Datum::text("a");
    let number = Datum { schema: Some(ConnectSchema::of(Type::Int64)), value: Value::Int64(7) };
    let without = Datum::schemaless(Value::Boolean(true));
    let bytes = Datum::bytes(Bytes::from_static(b"x"));
    for datum in [text, number, without, bytes] {
        let written = encode(&*converter, &datum).await.unwrap_or_else(|error| panic!("{}", error.trace()));
        let read = decode(&*converter, written.as_ref()).await.expect("data");
        assert_eq!(read.value, datum.value);
        assert_eq!(read.schema.map(|schema| schema.optional), Some(false));
    }
    assert_eq!(memory.schemas.lock().len(), 1, "they share a schema");
    assert_eq!(encode(&*converter, &Datum::default()).await.expect("null"), None);
}

#[tokio::test]
async fn foreign_schemas_are_read() {
    let memory = Arc::new(Memory::default());
    let source = r#"syntax = "proto3";
        package shop;
        message Other { string a = 1; }
        message Order {
          message Line { uint32 count = 1; }
          oneof payment { string card = 4; Line line = 5; }
          int64 id = 1;
          map<string, Line> lines = 2;
          optional string note = 3;
          Colour colour = 6;
        }
        enum Colour { RED = 0; BLUE = 1; }"#;
    let source =
        SchemaSource { format: "PROTOBUF".to_owned(), text: source.to_owned(), references: Vec::new() };
    memory.register("t-value", &source, false).await.expect("a schema");
    let bytes = Bytes::from_static(&[
        0, 0, 0, 0, 1, 2, 2, // the second message
        8, 7, // id
        18, 7, 10, 1, b'k', 18, 2, 8, 3, // lines
        42, 2, 8, 9, // line of payment
        48, 4, // a colour without a name
    ]);
    let read = decode(&*converter(CLASS, &memory, &[]), Some(&bytes)).await.expect("data");
    let line = |count| Value::record(vec![("count".into(), Value::Int64(count))]);
    let expected = Value::record(vec![
        ("payment_0".into(), Value::record(vec![("card".into(), Value::Null), ("line".into(), line(9))])),
        ("id".into(), Value::Int64(7)),
        ("lines".into(), Value::Map(vec![(text("k"), line(3))])),
        ("note".into(), Value::Null),
        ("colour".into(), text("UNKNOWN_ENUM_VALUE_Colour_4")),
    ]);
    assert_eq!(read.value, expected);
    let schema = read.schema.expect("a schema");
    assert_eq!(schema.name.as_deref(), Some("Order"));
    let union = schema.field("payment_0").expect("the oneof");
    assert_eq!(union.schema.name.as_deref(), Some("io.confluent.connect.protobuf.Union.payment"));
    assert_eq!(schema.field("id").and_then(|field| field.schema.parameter(super::TAG)), Some("1"));
    let settings = [("enhanced.protobuf.schema.support", "true"), ("int.for.enums", "true")];
    let read = decode(&*converter(CLASS, &memory, &settings), Some(&bytes)).await.expect("data");
    let schema = read.schema.expect("a schema");
    assert_eq!(schema.name.as_deref(), Some("shop.Order"));
    assert_eq!(schema.field("colour").map(|field| field.schema.kind.clone()), Some(Type::Int32));
}

#[tokio::test]
async fn what_cannot_be_converted_is_an_error_of_the_record() {
    let memory = Arc::new(Memory::default());
    let plain = converter(CLASS, &memory, &[]);
    let nested = of(Type::Array(of(Type::Array(of(Type::Int32).into())).into()));
    let (nested, of_nested) = one("l", nested, Value::Array(Vec::new()));
    let (strange, of_strange) = one("a b", of(Type::Int32), Value::Int32(1));
    let (wrong, of_wrong) = one("a", of(Type::Int32), text("b"));
    let (late, of_late) = one("a", logical(Type::Int32, TIME), Value::Int32(-1));
    let list = (of(Type::Array(of(Type::Int32).into())), Value::Array(Vec::new()));
    for (schema, value) in
        [(nested, of_nested), (strange.clone(), of_strange.clone()), (wrong, of_wrong), (late, of_late), list]
    {
        let datum = Datum { schema: Some(schema.into()), value };
        let error = encode(&*plain, &datum).await.expect_err("no data");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
    }
    let scrubbing = converter(CLASS, &memory, &[("scrub.invalid.names", "true")]);
    let datum = Datum { schema: Some(strange.into()), value: of_strange };
    let bytes = encode(&*scrubbing, &datum).await.expect("data");
    let read = decode(&*scrubbing, bytes.as_ref()).await.expect("data");
    assert_eq!(read.value, Value::record(vec![("a_b".into(), Value::Int32(1))]));

    let recursive = "syntax = \"proto3\"; message R { R next = 1; }";
    let source =
        SchemaSource { format: "PROTOBUF".to_owned(), text: recursive.to_owned(), references: Vec::new() };
    let id = memory.register("r-value", &source, false).await.expect("a schema").id as u8;
    let error = decode(&*plain, Some(&Bytes::from(vec![0, 0, 0, 0, id, 0]))).await.expect_err("no data");
    assert!(error.message.contains("contains itself"), "{error}");
    for bytes in [&b""[..], b"x", &[0, 0, 0, 0, 99, 1], &[0, 0, 0, 0, 1, 2, 200]] {
        let error = decode(&*plain, Some(&Bytes::from_static(bytes))).await.expect_err("no data");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
    }
}
