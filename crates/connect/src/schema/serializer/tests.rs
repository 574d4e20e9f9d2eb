use std::sync::atomic::Ordering;

use super::super::avro::AvroFormat;
use super::testing::Memory;
use super::*;

const V1: &str = r#"{"type":"record","name":"shop.Order","fields":[{"name":"id","type":"int"}]}"#;
const V2: &str = r#"{"type":"record","name":"shop.Order","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}]}"#;
const OTHER: &str = r#"{"type":"record","name":"shop.Order","fields":[{"name":"id","type":"boolean"}]}"#;

fn avro(text: &str) -> SchemaSource {
    SchemaSource { format: "AVRO".to_owned(), text: text.to_owned(), references: Vec::new() }
}

fn formats() -> Formats {
    Formats::new([Arc::new(AvroFormat) as Arc<dyn SchemaFormat>])
}

fn settings(given: &[(&str, &str)]) -> Result<SerializerSettings, SettingError> {
    let given = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    SerializerSettings::of_client(Part::Value, &given)
}

fn order(id: Value) -> Value {
    Value::record(vec![("id".into(), id)])
}

struct Case {
    registered: &'static [(&'static str, &'static str)],
    settings: &'static [(&'static str, &'static str)],
    schema: &'static str,
    value: Value,
}

impl Case {
    /// Writes the value, and returns what is sent.
    async fn write(&self) -> Result<(Serialized, Arc<Memory>), SerdeError> {
        let memory = Memory::with(self.registered.iter().map(|(subject, text)| (*subject, avro(text))));
        let serializer = Serializer::new(memory.clone(), formats(), settings(self.settings).unwrap());
        let schema = RecordSchema::new(&formats(), avro(self.schema), &[])?;
        let first = serializer.serialize("orders", &schema, None, &self.value).await?;
        let asked = memory.requests.load(Ordering::Relaxed);
        let second = serializer.serialize("orders", &schema, None, &self.value).await?;
        assert_eq!(first, second);
        assert_eq!(memory.requests.load(Ordering::Relaxed), asked, "a second record costs no request");
        Ok((first, memory))
    }

    async fn check(self, subject: &str, bytes: &[u8]) {
        let (sent, memory) = self.write().await.unwrap();
        assert_eq!(&sent.bytes[..], bytes);
        assert!(memory.schemas.lock().iter().any(|(known, _)| known == subject), "{subject}");
        let deserializer = Deserializer::new(memory.clone(), formats(), Reader::Writer);
        let header = sent.header.map(|(name, value)| {
            assert_eq!(name, "__value_schema_id");
            value
        });
        let asked = memory.requests.load(Ordering::Relaxed);
        for _ in 0..2 {
            let read =
                deserializer.deserialize(Some(subject), header.clone(), sent.bytes.clone()).await.unwrap();
            assert_eq!(read.schema.encoded(None, &read.value).unwrap(), sent.bytes.slice(bytes.len() - 1..));
        }
        assert_eq!(memory.requests.load(Ordering::Relaxed), asked + 1, "a schema is fetched once");
    }

    async fn refused(self) -> SerdeError {
        self.write().await.map(|(sent, _)| panic!("{sent:?}")).unwrap_err()
    }
}

#[tokio::test]
async fn settings_choose_subject_schema_and_place_of_the_id() {
    let one = || order(Value::Int32(1));
    Case { registered: &[], settings: &[], schema: V1, value: one() }
        .check("orders-value", &[0, 0, 0, 0, 1, 2])
        .await;
    Case { registered: &[("x", V2)], settings: &[], schema: V1, value: one() }
        .check("orders-value", &[0, 0, 0, 0, 2, 2])
        .await;
    let settings = &[("value.subject.name.strategy", "a.b.RecordNameStrategy")];
    Case { registered: &[], settings, schema: V1, value: one() }
        .check("shop.Order", &[0, 0, 0, 0, 1, 2])
        .await;
    let settings = &[("value.subject.name.strategy", "TopicRecordNameStrategy")];
    Case { registered: &[], settings, schema: V1, value: one() }
        .check("orders-shop.Order", &[0, 0, 0, 0, 1, 2])
        .await;
    let settings = &[("value.schema.id.serializer", "x.HeaderSchemaIdSerializer")];
    Case { registered: &[], settings, schema: V1, value: one() }.check("orders-value", &[2]).await;
}

#[tokio::test]
async fn a_schema_of_the_registry_takes_the_place_of_the_given_one() {
    let registered: &[(&str, &str)] = &[("orders-value", V1), ("orders-value", V2)];
    let latest: &[(&str, &str)] = &[("auto.register.schemas", "false"), ("use.latest.version", "true")];
    let by_id: &[(&str, &str)] = &[("auto.register.schemas", "false"), ("use.schema.id", "2")];
    let by_guid: &[(&str, &str)] =
        &[("auto.register.schemas", "false"), ("use.schema.guid", "02020202-0202-0202-0202-020202020202")];
    let with: &[(&str, &str)] =
        &[("auto.register.schemas", "false"), ("use.latest.with.metadata", "place=2")];
    for settings in [latest, by_id, by_guid, with] {
        let case = Case { registered, settings, schema: V1, value: order(Value::Int32(1)) };
        let (sent, _) = case.write().await.unwrap();
        assert_eq!(&sent.bytes[..], [0, 0, 0, 0, 2, 2, 0]);
        let case = Case { registered, settings, schema: OTHER, value: order(Value::Boolean(true)) };
        let SerdeError::Incompatible { subject, reasons } = case.refused().await else { panic!() };
        assert_eq!((subject.as_str(), reasons.len(), reasons[0].kind), ("orders-value", 1, "TYPE_MISMATCH"));
    }
}

#[tokio::test]
async fn subjects_stand_in_the_context_that_is_set() {
    let memory = Arc::new(Memory::default());
    let settings =
        SerializerSettings { context: Some(":.shop:".to_owned()), ..SerializerSettings::new(Part::Key) };
    let serializer = Serializer::new(memory.clone(), formats(), settings);
    let schema = RecordSchema::new(&formats(), avro(V1), &[]).unwrap();
    serializer.serialize("orders", &schema, None, &order(Value::Int32(1))).await.unwrap();
    assert_eq!(memory.schemas.lock()[0].0, ":.shop:orders-key");
}

#[tokio::test]
async fn what_cannot_be_written_is_refused() {
    let value = || order(Value::Int32(1));
    let lookup: &[(&str, &str)] = &[("auto.register.schemas", "false")];
    let case = Case { registered: &[("orders-value", V2)], settings: lookup, schema: V1, value: value() };
    assert!(matches!(case.refused().await, SerdeError::Registry(RegistryError { code: Some(40403), .. })));
    let case = Case { registered: &[], settings: &[], schema: V1, value: Value::Null };
    assert!(matches!(case.refused().await, SerdeError::Data(_)));
    let case = Case { registered: &[], settings: &[], schema: "\"", value: Value::Null };
    assert!(matches!(case.refused().await, SerdeError::Schema(_)));
    let settings = &[("value.subject.name.strategy", "RecordNameStrategy")];
    let case = Case { registered: &[], settings, schema: "\"int\"", value: Value::Int32(1) };
    assert!(matches!(case.refused().await, SerdeError::Subject(_)));
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let deserializer = Deserializer::new(Memory::with([("s", avro(V1))]), formats(), Reader::Writer);
    let check = async |bytes: &'static [u8], header: Option<&'static [u8]>| {
        let header = header.map(Bytes::from_static);
        deserializer.deserialize(None, header, Bytes::from_static(bytes)).await.map(|read| read.value)
    };
    assert_eq!(check(&[0, 0, 0, 0, 1, 2], None).await.unwrap(), order(Value::Int32(1)));
    assert!(matches!(check(&[], None).await, Err(SerdeError::Frame(FrameError::Short(0)))));
    assert!(matches!(check(&[0, 0, 0, 1], None).await, Err(SerdeError::Frame(FrameError::Short(4)))));
    assert!(matches!(check(&[9, 0, 0, 0, 1, 2], None).await, Err(SerdeError::Frame(FrameError::Magic(9)))));
    assert!(matches!(check(&[0, 0, 0, 0, 7, 2], None).await, Err(SerdeError::Registry(_))));
    assert!(matches!(check(&[0, 0, 0, 0, 1], None).await, Err(SerdeError::Data(_))));
    assert!(matches!(check(&[2], Some(&[1, 2])).await, Err(SerdeError::Frame(FrameError::Short(2)))));
}

#[tokio::test]
async fn a_reader_may_have_a_schema_of_its_own() {
    let reader = formats().parse("AVRO", V2, &[]).unwrap();
    let deserializer = Deserializer::new(Memory::with([("s", avro(V1))]), formats(), Reader::Schema(reader));
    let read = deserializer.deserialize(None, None, Bytes::from_static(&[0, 0, 0, 0, 1, 2])).await.unwrap();
    let expected = Value::record(vec![("id".into(), Value::Int64(1)), ("note".into(), Value::Null)]);
    assert_eq!((read.value, read.id), (expected, SchemaId::Id(1)));
}

#[test]
fn settings_that_cannot_be_are_refused_by_name() {
    for (key, value) in [
        ("auto.register.schemas", "yes"),
        ("use.schema.id", "x"),
        ("use.schema.guid", "02"),
        ("use.latest.with.metadata", "place"),
        ("max.schemas.per.subject", "0"),
        ("value.subject.name.strategy", "MyStrategy"),
        ("value.schema.id.serializer", "x.y"),
    ] {
        assert_eq!(settings(&[(key, value)]).unwrap_err().key, key);
    }
    assert_eq!(
        settings(&[("key.subject.name.strategy", "?"), ("linger.ms", "5")]),
        Ok(SerializerSettings::new(Part::Value))
    );
}
