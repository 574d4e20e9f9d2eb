use std::sync::Arc;

use bytes::Bytes;

#[cfg(feature = "http")]
use super::super::registries;
use super::super::testing::{converter, decode, encode, logical, of, structure};
use crate::error::ErrorKind;
use crate::record::{ConnectSchema, DATE, DECIMAL, Datum, TIME, TIMESTAMP, Type};
use crate::schema::serializer::testing::Memory;
use crate::schema::serializer::{RegistryClient, SchemaSource};
#[cfg(feature = "http")]
use crate::settings::Config;
use crate::value::Value;

const CLASS: &str = "AvroConverter";

#[tokio::test]
async fn schemas_and_data_come_back_as_they_went() {
    let text = |text: &'static str| Value::String(text.into());
    let decimal = || {
        let mut schema = logical(Type::Bytes, DECIMAL);
        schema.parameters.push(("scale".into(), "2".into()));
        schema
    };
    let with_default = |mut schema: ConnectSchema, default: Value| {
        schema.default = Some(default);
        schema
    };
    let inner = structure("shop.Inner", vec![("n", of(Type::Int8))]);
    let inner_value = |number: i8| Value::record(vec![("n".into(), Value::Int8(number))]);
    let numbers = Type::Map(of(Type::Int32).into(), of(Type::Int16).optional().into());
    let cases: Vec<(ConnectSchema, Value, &str)> = vec![
        (of(Type::String), text("a"), "\"string\""),
        (of(Type::Int64), Value::Int64(5), "\"long\""),
        (of(Type::Int16), Value::Int16(5), "{\"type\":\"int\",\"connect.type\":\"int16\"}"),
        (of(Type::Boolean).optional(), Value::Boolean(true), "[\"null\",\"boolean\"]"),
        (
            logical(Type::Int64, TIMESTAMP),
            Value::Int64(5),
            "{\"type\":\"long\",\"connect.version\":1,\"connect.name\":\"org.apache.kafka.connect.data.Timestamp\",\"logicalType\":\"timestamp-millis\"}",
        ),
        (logical(Type::Int32, DATE), Value::Int32(5), "\"logicalType\":\"date\"}"),
        (logical(Type::Int32, TIME), Value::Int32(5), "\"logicalType\":\"time-millis\"}"),
        (
            decimal(),
            Value::Bytes(Bytes::from_static(&[1, 44])),
            "{\"type\":\"bytes\",\"scale\":2,\"precision\":64,\"connect.version\":1,\"connect.parameters\":{\"scale\":\"2\"},\"connect.name\":\"org.apache.kafka.connect.data.Decimal\",\"logicalType\":\"decimal\"}",
        ),
        (
            of(Type::Array(of(Type::Float64).into())),
            Value::Array(vec![Value::Float64(1.5)]),
            "{\"type\":\"array\",\"items\":\"double\"}",
        ),
        (
            of(Type::Map(of(Type::String).into(), of(Type::Bytes).into())),
            Value::Map(vec![(text("k"), Value::Bytes(Bytes::from_static(b"v")))]),
            "{\"type\":\"map\",\"values\":\"bytes\"}",
        ),
        (
            of(numbers),
            Value::Map(vec![(Value::Int32(1), Value::Int16(2)), (Value::Int32(3), Value::Null)]),
            "\"connect.internal.type\":\"MapEntry\"}}",
        ),
        (
            structure(
                "shop.Order",
                vec![
                    ("id", of(Type::Int32)),
                    ("note", of(Type::String).optional()),
                    ("state", with_default(of(Type::String), text("open"))),
                    ("first", inner.clone()),
                    ("second", inner.clone().optional()),
                ],
            ),
            Value::record(vec![
                ("id".into(), Value::Int32(7)),
                ("note".into(), Value::Null),
                ("state".into(), text("done")),
                ("first".into(), inner_value(1)),
                ("second".into(), inner_value(2)),
            ]),
            "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":[{\"name\":\"id\",\"type\":\"int\"},{\"name\":\"note\",\"type\":[\"null\",\"string\"],\"default\":null},{\"name\":\"state\",\"type\":\"string\",\"default\":\"open\"},",
        ),
    ];
    let memory = Arc::new(Memory::default());
    let converter = converter(CLASS, &memory, &[]);
    for (schema, value, expected) in cases {
        let datum = Datum { schema: Some(schema.into()), value };
        for _ in ["new", "remembered"] {
            let bytes = encode(&*converter, &datum).await.expect("data").expect("bytes");
            let written =
                memory.schemas.lock().last().map(|(_, source)| source.text.clone()).unwrap_or_default();
            assert!(written.contains(expected), "{written}");
            let mut read = decode(&*converter, Some(&bytes)).await.expect("data");
            // A type at the root cannot say that it may be missing and be named.
            assert_eq!(read.value, datum.value, "{written}");
            let schema = Arc::make_mut(read.schema.as_mut().expect("a schema"));
            schema.optional = datum.schema.as_ref().is_some_and(|schema| schema.optional);
            assert_eq!(read.schema, datum.schema, "{written}");
        }
    }
    assert_eq!(memory.schemas.lock().iter().map(|(subject, _)| subject.as_str()).next(), Some("t-value"));
    assert_eq!(encode(&*converter, &Datum::default()).await.expect("null"), None);
    assert_eq!(decode(&*converter, None).await.expect("null"), Datum::default());
}

#[cfg(feature = "http")]
#[test]
fn the_registry_is_the_one_of_the_address_or_of_the_process() {
    let memory: Arc<dyn RegistryClient> = Arc::new(Memory::default());
    let with = |url: &str| Config::from([("schema.registry.url".to_owned(), url.to_owned())]);
    let cases = [
        (None, None, "schema.registry.url must be set: this process has no registry"),
        (Some(Arc::clone(&memory)), None, ""),
        (Some(memory), Some("http://127.0.0.1:8081"), ""),
        (None, Some("http://127.0.0.1:8081"), ""),
        (None, Some("ftp://127.0.0.1"), "schema.registry.url"),
    ];
    for (of_process, url, expected) in cases {
        let found = registries(move || of_process.clone())(&url.map(with).unwrap_or_default());
        let message = found.err().map(|error| error.message).unwrap_or_default();
        assert!(
            message.contains(expected) && message.is_empty() == expected.is_empty(),
            "{url:?}: {message}"
        );
    }
}

#[tokio::test]
async fn foreign_schemas_are_read() {
    let memory = Arc::new(Memory::default());
    let writer = converter(
        CLASS,
        &memory,
        &[
            ("auto.register.schemas", "false"),
            ("use.latest.version", "true"),
            ("latest.compatibility.strict", "false"),
        ],
    );
    let text = r#"{"type":"record","name":"A","namespace":"n","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["X","Y"]}},{"name":"f","type":"E"}]}"#;
    let source = SchemaSource { format: "AVRO".to_owned(), text: text.to_owned(), references: Vec::new() };
    memory.register("t-value", &source, false).await.expect("a schema");
    let symbol = |text: &'static str| Value::String(text.into());
    let schema = structure("n.A", vec![("e", of(Type::String)), ("f", of(Type::String))]);
    let value = Value::record(vec![("e".into(), symbol("X")), ("f".into(), symbol("Y"))]);
    let datum = Datum { schema: Some(schema.into()), value };
    let bytes = encode(&*writer, &datum).await.expect("data").expect("bytes");
    let read = decode(&*writer, Some(&bytes)).await.expect("data");
    assert_eq!(read.value, datum.value);
    let schema = read.schema.expect("a schema");
    let field = schema.field("f").expect("a field");
    assert_eq!(field.schema.parameter("io.confluent.connect.avro.Enum"), Some("n.E"));
    assert_eq!(field.schema.parameter("io.confluent.connect.avro.Enum.Y"), Some("Y"));
}

#[tokio::test]
async fn what_cannot_be_converted_is_an_error_of_the_record() {
    let memory = Arc::new(Memory::default());
    let converter = converter(CLASS, &memory, &[]);
    let list = Datum::schemaless(Value::Array(Vec::new()));
    let wrong = Datum { schema: Some(ConnectSchema::of(Type::Int32)), value: Value::String("a".into()) };
    let name = structure("no name", Vec::new());
    let unnamed = Datum { schema: Some(name.into()), value: Value::record([]) };
    for datum in [list, wrong, unnamed] {
        let error = encode(&*converter, &datum).await.expect_err("no data");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
    }
    for bytes in [&b""[..], b"x", &[0, 0, 0, 0, 99, 1]] {
        let error = decode(&*converter, Some(&Bytes::from_static(bytes))).await.expect_err("no data");
        assert_eq!(error.kind, ErrorKind::Data, "{error}");
        assert_eq!(error.message, "Failed to deserialize data for topic t to Avro: ");
    }
    let recursive =
        r#"{"type":"record","name":"R","fields":[{"name":"next","type":["null","R"],"default":null}]}"#;
    assert!(
        super::read::schema(recursive.to_owned())
            .is_err_and(|error| error.message.contains("contains itself"))
    );
    let union = r#"["int","string"]"#;
    assert!(
        super::read::schema(union.to_owned()).is_err_and(|error| error.message.contains("several types"))
    );
}
