//! Avro and Protobuf schemas with a registry in the same process: registered, evolved, written with and read with.
//!
//! `cargo run --example schemas`

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use vltava_broker::{Broker, StartError};
use vltava_connect::schema::avro::AvroFormat;
use vltava_connect::schema::protobuf::ProtobufFormat;
use vltava_connect::schema::serializer::{
    Deserializer, Formats, Reader, RecordSchema, SchemaSource, SerdeError, Serializer, SerializerSettings,
};
use vltava_connect::schema::wire::Part;
use vltava_connect::value::Value;

const ORDER: &str = r#"{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}"#;
/// The new field has a default, so that what was written before can be read.
const ORDER_WITH_NOTE: &str = r#"{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"}, {"name": "note", "type": "string", "default": "none"}]}"#;
/// The new field has no default: who reads with this could not read older orders.
const ORDER_WITH_PRICE: &str = r#"{"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "long"}, {"name": "price", "type": "double"}]}"#;
const PAYMENT: &str = "syntax = \"proto3\"; message Payment { int64 id = 1; }";
const PAYMENT_WITH_NOTE: &str = "syntax = \"proto3\"; message Payment { int64 id = 1; string note = 2; }";

/// A broker in memory, with its registry.
pub async fn start() -> Result<Broker, StartError> {
    Broker::builder().start().await
}

/// Writes and reads the values of one topic.
pub struct Values {
    formats: Formats,
    serializer: Serializer,
    broker: Arc<Broker>,
}

impl Values {
    /// With the registry of this broker.
    pub fn new(broker: Arc<Broker>) -> Self {
        let formats = Formats::new([Arc::new(AvroFormat) as _, Arc::new(ProtobufFormat) as _]);
        let settings = SerializerSettings::new(Part::Value);
        let serializer = Serializer::new(broker.schema_registry(), formats.clone(), settings);
        Self { formats, serializer, broker }
    }

    fn schema(&self, format: &str, text: &str) -> Result<Arc<RecordSchema>, SerdeError> {
        let source =
            SchemaSource { format: format.to_owned(), text: text.to_owned(), references: Vec::new() };
        RecordSchema::new(&self.formats, source, &[])
    }

    /// The value of a record; its schema is registered when it is new, and refused when older data could not be read with it.
    pub async fn write(
        &self,
        topic: &str,
        format: &str,
        text: &str,
        value: &Value,
    ) -> Result<Bytes, SerdeError> {
        let schema = self.schema(format, text)?;
        Ok(self.serializer.serialize(topic, &schema, None, value).await?.bytes)
    }

    /// What a record holds, as the schema of the reader sees it.
    pub async fn read(&self, format: &str, text: &str, bytes: Bytes) -> Result<Value, SerdeError> {
        let reader = Reader::Schema(self.schema(format, text)?.schema().clone());
        let deserializer = Deserializer::new(self.broker.schema_registry(), self.formats.clone(), reader);
        Ok(deserializer.deserialize(None, None, bytes).await?.value)
    }
}

fn order(id: i64) -> Value {
    Value::record(vec![("id".into(), Value::Int64(id))])
}

/// What a producer sends and what a consumer that is one version ahead makes of it, in both formats; then a schema that is
/// refused.
pub async fn evolve(values: &Values) -> Result<[Value; 2], Box<dyn Error>> {
    let written = values.write("orders", "AVRO", ORDER, &order(7)).await?;
    let read = values.read("AVRO", ORDER_WITH_NOTE, written).await?;
    let paid = values.write("payments", "PROTOBUF", PAYMENT, &order(8)).await?;
    let seen = values.read("PROTOBUF", PAYMENT_WITH_NOTE, paid).await?;
    let priced = Value::record(vec![("id".into(), Value::Int64(9)), ("price".into(), Value::Float64(1.5))]);
    match values.write("orders", "AVRO", ORDER_WITH_PRICE, &priced).await {
        Err(refusal) => println!("refused, as it should be: {refusal}"),
        Ok(_) => return Err("a schema was taken that cannot read older orders".into()),
    }
    Ok([read, seen])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let values = Values::new(Arc::new(start().await?));
    for value in evolve(&values).await? {
        println!("{value:?}");
    }
    Ok(())
}
