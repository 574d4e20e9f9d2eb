//! Converters with a schema registry: schemas of the data model become schemas of a format and back.
//!
//! Mappings are those of the common converters: what a format has no word for is kept in properties whose names begin with
//! `connect.`, so that data comes back as it went.

mod from_avro;
mod to_avro;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::convert::{CONVERTER_TYPE, Converter, Decoding, Encoding};
use crate::error::ConnectError;
use crate::plugins::{Factory, Implementation, Plugin};
use crate::record::{ConnectSchema, Datum, Type};
use crate::schema::avro::AvroFormat;
#[cfg(feature = "http")]
use crate::schema::remote::{HttpSettings, RemoteRegistry};
use crate::schema::serializer::{
    Deserializer, Formats, Reader, RecordSchema, RegistryClient, SchemaSource, SerdeError, Serializer,
    SerializerSettings,
};
use crate::schema::wire::{Part, SchemaId};
use crate::settings::{Config, Importance, Kind, Setting, Settings, Values};
use crate::value::Value;

/// Schemas that a converter remembers, each way.
const REMEMBERED_MAX: usize = 1000;

/// Finds the registry that a converter is configured for: by `schema.registry.url` and what else its settings say.
pub type Registries = Arc<dyn Fn(&Config) -> Result<Arc<dyn RegistryClient>, ConnectError> + Send + Sync>;

/// Registries over HTTP, at the addresses of `schema.registry.url`; without one, the registry of the same process, which is
/// asked for when a converter is made.
#[cfg(feature = "http")]
#[must_use]
pub fn registries(
    of_process: impl Fn() -> Option<Arc<dyn RegistryClient>> + Send + Sync + 'static,
) -> Registries {
    Arc::new(move |config: &Config| {
        if let Some(url) = config.get("schema.registry.url")
            && !url.trim().is_empty()
        {
            let given = config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let registry = HttpSettings::of_client(&given).and_then(RemoteRegistry::new);
            return Ok(Arc::new(registry.map_err(|error| ConnectError::config(error.to_string()))?));
        }
        let none = "schema.registry.url must be set: this process has no registry";
        of_process().ok_or_else(|| ConnectError::config(none))
    })
}

/// The converters that need a registry.
#[must_use]
pub fn registry_plugins(registries: &Registries) -> Vec<Plugin> {
    let registries = Arc::clone(registries);
    let make = move |values: &Values| -> Result<Box<dyn Converter>, ConnectError> {
        let registry = registries(values.raw())?;
        Ok(Box::new(AvroConverter::new(registry, values.raw())?))
    };
    let factory = Factory::<dyn Converter>::new(settings(), make);
    vec![Plugin {
        class: "io.confluent.connect.avro.AvroConverter",
        version: env!("CARGO_PKG_VERSION"),
        implementation: Implementation::Converter(factory),
    }]
}

fn settings() -> Settings {
    let url = "The addresses of the registry. Without one, it is the registry of the same process, if there is one.";
    let strategy =
        "How subjects are named: TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy.";
    let flag = |name: &str, default: &str, doc: &str| Setting::new(name, Kind::Boolean, default, doc);
    Settings::from([
        Setting::optional("schema.registry.url", Kind::List, url).importance(Importance::High),
        flag("auto.register.schemas", "true", "Whether schemas are registered when they are first used."),
        flag(
            "use.latest.version",
            "false",
            "Whether the latest version of the subject is used, not the given one.",
        ),
        Setting::new(
            "use.schema.id",
            Kind::Int,
            "-1",
            "The id of the schema to use; -1 is the given schema.",
        ),
        flag(
            "latest.compatibility.strict",
            "true",
            "Whether the latest version must read what the given one writes.",
        ),
        flag(
            "id.compatibility.strict",
            "true",
            "Whether the schema of an id must read what the given one writes.",
        ),
        flag("normalize.schemas", "false", "Whether texts that differ without a meaning are one schema."),
        Setting::new("key.subject.name.strategy", Kind::Class, "TopicNameStrategy", strategy),
        Setting::new("value.subject.name.strategy", Kind::Class, "TopicNameStrategy", strategy),
    ])
}

/// Data as Avro.
struct AvroConverter {
    part: Part,
    formats: Formats,
    serializer: Serializer,
    deserializer: Deserializer,
    written: Mutex<Vec<(Arc<ConnectSchema>, Arc<Written>)>>,
    read: Mutex<HashMap<SchemaId, Arc<from_avro::Found>>>,
}

impl std::fmt::Debug for AvroConverter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AvroConverter").field("part", &self.part).finish_non_exhaustive()
    }
}

/// What a schema became.
struct Written {
    schema: Arc<RecordSchema>,
    /// Data needs no change.
    is_plain: bool,
}

impl AvroConverter {
    fn new(registry: Arc<dyn RegistryClient>, config: &Config) -> Result<Self, ConnectError> {
        let is_key = config.get(CONVERTER_TYPE).is_some_and(|of| of == "key");
        let part = if is_key { Part::Key } else { Part::Value };
        let given = config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let settings = SerializerSettings::of_client(part, &given);
        let settings = settings.map_err(|error| ConnectError::config(error.to_string()))?;
        let formats = Formats::new([Arc::new(AvroFormat) as Arc<dyn crate::schema::SchemaFormat>]);
        Ok(Self {
            part,
            serializer: Serializer::new(Arc::clone(&registry), formats.clone(), settings),
            deserializer: Deserializer::new(registry, formats.clone(), Reader::Writer),
            formats,
            written: Mutex::default(),
            read: Mutex::default(),
        })
    }

    fn written(&self, schema: &Arc<ConnectSchema>) -> Result<Arc<Written>, ConnectError> {
        let same = |(known, _): &&(Arc<ConnectSchema>, Arc<Written>)| Arc::ptr_eq(known, schema);
        let equal = |(known, _): &&(Arc<ConnectSchema>, Arc<Written>)| known == schema;
        let mut known = self.written.lock();
        if let Some((_, found)) = known.iter().find(same).or_else(|| known.iter().find(equal)) {
            return Ok(Arc::clone(found));
        }
        let source =
            SchemaSource { format: "AVRO".to_owned(), text: to_avro::text(schema)?, references: Vec::new() };
        let parsed = RecordSchema::new(&self.formats, source, &[]);
        let parsed = parsed
            .map_err(|error| ConnectError::data("The schema cannot be written as Avro").because(error))?;
        let new = Arc::new(Written { schema: parsed, is_plain: to_avro::is_plain(schema) });
        if known.len() >= REMEMBERED_MAX {
            known.remove(0);
        }
        known.push((Arc::clone(schema), Arc::clone(&new)));
        Ok(new)
    }

    async fn encoded(&self, item: &mut Encoding<'_>) -> Result<Option<Bytes>, ConnectError> {
        let value = &item.datum.value;
        if *value == Value::Null {
            return Ok(None);
        }
        let schema = match &item.datum.schema {
            Some(schema) => Arc::clone(schema),
            None => inferred(value)?,
        };
        let written = self.written(&schema)?;
        let changed;
        let value = if written.is_plain {
            value
        } else {
            changed = to_avro::value(&schema, value);
            &changed
        };
        let serialized = self.serializer.serialize(item.topic, &written.schema, None, value).await;
        let message = || format!("Failed to serialize Avro data from topic {} :", item.topic);
        let serialized = serialized.map_err(|error| failed(message(), error))?;
        if let Some((name, bytes)) = serialized.header {
            item.headers.retain(|(known, _)| known != name);
            item.headers.push((name.into(), Some(bytes)));
        }
        Ok(Some(serialized.bytes))
    }

    async fn decoded(&self, item: &Decoding<'_>) -> Result<Datum, ConnectError> {
        let Some(bytes) = item.bytes else { return Ok(Datum::default()) };
        let name = self.part.header();
        let header =
            item.headers.iter().rev().find(|(known, _)| known == name).and_then(|(_, value)| value.clone());
        let subject = format!("{}-{}", item.topic, self.part.word());
        let read = self.deserializer.deserialize(Some(&subject), header, bytes.clone()).await;
        let message = || format!("Failed to deserialize data for topic {} to Avro: ", item.topic);
        let read = read.map_err(|error| failed(message(), error))?;
        let known = self.read.lock().get(&read.id).cloned();
        let found = match known {
            Some(found) => found,
            None => {
                let text =
                    read.schema.render("resolved").map_err(|error| ConnectError::data(error.to_string()))?;
                let found = Arc::new(from_avro::schema(text)?);
                let mut known = self.read.lock();
                if known.len() >= REMEMBERED_MAX {
                    known.clear();
                }
                known.insert(read.id, Arc::clone(&found));
                found
            }
        };
        let value = if found.is_plain { read.value } else { from_avro::value(&found.schema, read.value) };
        Ok(Datum { schema: Some(Arc::clone(&found.schema)), value })
    }
}

/// The schema of simple data that has none.
fn inferred(value: &Value) -> Result<Arc<ConnectSchema>, ConnectError> {
    Ok(ConnectSchema::of(match value {
        Value::Boolean(_) => Type::Boolean,
        Value::Int8(_) => Type::Int8,
        Value::Int16(_) => Type::Int16,
        Value::Int32(_) => Type::Int32,
        Value::Int64(_) => Type::Int64,
        Value::Float32(_) => Type::Float32,
        Value::Float64(_) => Type::Float64,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        _ => {
            return Err(ConnectError::data(
                "Lists, maps and structs without a schema cannot be written as Avro",
            ));
        }
    }))
}

/// A registry that is not there may come back; everything else is the record's fault.
fn failed(message: String, error: SerdeError) -> ConnectError {
    let may_pass = matches!(&error, SerdeError::Registry(error) if error.code.is_none_or(|code| code >= 50_000 || (500..600).contains(&code)));
    let failed = if may_pass { ConnectError::retriable(message) } else { ConnectError::data(message) };
    failed.because(error)
}

#[async_trait]
impl Converter for AvroConverter {
    async fn encode(&self, items: &mut [Encoding<'_>]) -> Vec<Result<Option<Bytes>, ConnectError>> {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            results.push(self.encoded(item).await);
        }
        results
    }

    async fn decode(&self, items: &[Decoding<'_>]) -> Vec<Result<Datum, ConnectError>> {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            results.push(self.decoded(item).await);
        }
        results
    }
}

#[cfg(test)]
mod tests;
