//! What a small record of Avro costs through the serializer: `avro_cost files FOLDER` writes the schema and the bytes of the
//! record, `avro_cost measure WARM-UP SECONDS` serializes and deserializes it over and over and prints the nanoseconds of one
//! round. `cargo xtask bench avro-serializer` runs it beside the same work in Java.

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use vltava_connect::schema::SchemaFormat;
use vltava_connect::schema::avro::AvroFormat;
use vltava_connect::schema::serializer::{
    Deserializer, Formats, Reader, RecordSchema, Registered, RegistryClient, RegistryError, SchemaSource,
    Serializer, SerializerSettings,
};
use vltava_connect::schema::wire::{Guid, Part};
use vltava_connect::value::Value;

/// A record as services exchange them: ten fields, about a hundred bytes.
const SCHEMA: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
{"name":"id","type":"long"},{"name":"customer","type":"string"},{"name":"country","type":"string"},
{"name":"total","type":"double"},{"name":"count","type":"int"},{"name":"express","type":"boolean"},
{"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID","SENT"]}},
{"name":"note","type":["null","string"],"default":null},{"name":"time","type":{"type":"long","logicalType":"timestamp-millis"}},
{"name":"tags","type":{"type":"array","items":"string"}}]}"#;
/// Rounds between two looks at the clock.
const ROUNDS: u32 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["files", folder] => files(Path::new(folder)),
        ["measure", warm_up, seconds] => {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let (warm_up, seconds): (f64, f64) = (warm_up.parse()?, seconds.parse()?);
            println!("{}", runtime.block_on(measure(warm_up, seconds))?);
            Ok(())
        }
        _ => Err("usage: avro_cost files FOLDER | measure WARM-UP SECONDS".into()),
    }
}

fn files(folder: &Path) -> Result<(), Box<dyn Error>> {
    let schema = RecordSchema::new(&formats(), source(), &[])?;
    std::fs::write(folder.join("schema.json"), SCHEMA)?;
    std::fs::write(folder.join("record.bin"), schema.schema().encoded(None, &order())?)?;
    Ok(())
}

/// Nanoseconds of one round, once it is warm.
async fn measure(warm_up: f64, seconds: f64) -> Result<f64, Box<dyn Error>> {
    let registry = Arc::new(OneSchema);
    let serializer = Serializer::new(registry.clone(), formats(), SerializerSettings::new(Part::Value));
    let deserializer = Deserializer::new(registry, formats(), Reader::Writer);
    let schema = RecordSchema::new(&formats(), source(), &[])?;
    // One that was read, as a program has it that passes records on, and as Java's has it.
    let value = schema.schema().decode(&**schema.schema(), schema.schema().encoded(None, &order())?)?;
    let mut cost = 0.0;
    for seconds in [warm_up, seconds] {
        let (start, mut rounds) = (Instant::now(), 0.0);
        while start.elapsed() < Duration::from_secs_f64(seconds) {
            for _ in 0..ROUNDS {
                let sent = serializer.serialize("orders", &schema, None, black_box(&value)).await?;
                black_box(deserializer.deserialize(None, None, sent.bytes).await?);
            }
            rounds += f64::from(ROUNDS);
        }
        cost = start.elapsed().as_secs_f64() * 1e9 / rounds;
    }
    Ok(cost)
}

fn order() -> Value {
    let text = |text: &'static str| Value::String(text.into());
    let fields = vec![
        ("id", Value::Int64(1_234_567_890)),
        ("customer", text("customer-0000012345")),
        ("country", text("CZ")),
        ("total", Value::Float64(129.95)),
        ("count", Value::Int32(3)),
        ("express", Value::Boolean(true)),
        ("state", text("PAID")),
        ("note", text("leave it at the door, please")),
        ("time", Value::Int64(1_760_000_000_000)),
        ("tags", Value::Array(vec![text("gift"), text("returning")])),
    ];
    Value::record(fields.into_iter().map(|(name, value)| (name.into(), value)))
}

fn source() -> SchemaSource {
    SchemaSource { format: "AVRO".to_owned(), text: SCHEMA.to_owned(), references: Vec::new() }
}

fn formats() -> Formats {
    Formats::new([Arc::new(AvroFormat) as Arc<dyn SchemaFormat>])
}

/// A registry that holds the one schema.
struct OneSchema;

impl OneSchema {
    fn answer() -> Result<Registered, RegistryError> {
        let SchemaSource { format, text, .. } = source();
        Ok(Registered { id: 1, guid: Some(Guid([1; 16])), format, text, referenced: Vec::new() })
    }
}

#[async_trait]
impl RegistryClient for OneSchema {
    async fn register(&self, _: &str, _: &SchemaSource, _: bool) -> Result<Registered, RegistryError> {
        OneSchema::answer()
    }

    async fn lookup(&self, _: &str, _: &SchemaSource, _: bool) -> Result<Registered, RegistryError> {
        OneSchema::answer()
    }

    async fn by_id(&self, _: i32, _: Option<&str>) -> Result<Registered, RegistryError> {
        OneSchema::answer()
    }

    async fn by_guid(&self, _: Guid) -> Result<Registered, RegistryError> {
        OneSchema::answer()
    }

    async fn latest(&self, _: &str) -> Result<Registered, RegistryError> {
        OneSchema::answer()
    }

    async fn latest_with(&self, _: &str, _: &BTreeMap<String, String>) -> Result<Registered, RegistryError> {
        OneSchema::answer()
    }
}
