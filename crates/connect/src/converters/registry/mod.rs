//! Converters with a schema registry: schemas of the data model become schemas of a format and back.
//!
//! [`RegistryConverter`] owns what all formats share: which schema is registered or looked up, what is remembered, whose
//! fault an error is. A [`Mapping`] says how schemas and data are those of a format, as the common converters do it, so that
//! what they wrote is read and they read what is written here.

mod avro;
mod json;
mod protobuf;

#[cfg(feature = "object-store")]
pub(crate) use self::avro::{AvroSchema, put_long};

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;

use crate::connectors::Allowed;
use crate::convert::{CONVERTER_TYPE, Converter, Decoding, Encoding};
use crate::error::ConnectError;
use crate::plugins::{Factory, Implementation, Plugin};
use crate::record::{ConnectSchema, Datum, Type};
#[cfg(feature = "http")]
use crate::schema::remote::{HttpSettings, RemoteRegistry};
use crate::schema::serializer::{
    Deserializer, Formats, Reader, RecordSchema, RegistryClient, SchemaSource, SerdeError, Serializer,
    SerializerSettings,
};
use crate::schema::wire::{Part, SchemaId};
use crate::schema::{Schema, SchemaFormat};
use crate::settings::{Config, FieldError, Importance, Kind, Setting, Settings, Values};
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

/// The converters that need a registry. Those of connectors ask allowed addresses only, and read files in allowed folders.
#[must_use]
pub fn registry_plugins(registries: &Registries, allowed: &Arc<Allowed>) -> Vec<Plugin> {
    let around = &(Arc::clone(registries), Arc::clone(allowed));
    vec![
        row(around, "io.confluent.connect.avro.AvroConverter", [], |_| Ok(avro::Avro)),
        row(around, "io.confluent.connect.json.JsonSchemaConverter", json::settings(), json::Json::new),
        row(
            around,
            "io.confluent.connect.protobuf.ProtobufConverter",
            protobuf::settings(),
            protobuf::Protobuf::new,
        ),
    ]
}

fn row<M: Mapping>(
    around: &(Registries, Arc<Allowed>),
    class: &'static str,
    own: impl IntoIterator<Item = Setting>,
    mapping: fn(&Values) -> Result<M, ConnectError>,
) -> Plugin {
    let (registries, allowed) = around.clone();
    let settings: Settings = settings().iter().cloned().chain(own).collect();
    let make = move |values: &Values| -> Result<Box<dyn Converter>, ConnectError> {
        let registry = registries(values.raw())?;
        Ok(Box::new(RegistryConverter::new(registry, mapping(values)?, values.raw())?))
    };
    let refuse = move |config: &Config| refused(config, &allowed);
    let implementation = Implementation::Converter(Factory::<dyn Converter>::guarded(settings, make, refuse));
    Plugin { class, version: env!("CARGO_PKG_VERSION"), implementation }
}

/// What is wrong with how settings reach a registry, if they name one.
#[cfg(feature = "http")]
fn refused(config: &Config, allowed: &Allowed) -> Vec<FieldError> {
    const URL: &str = "schema.registry.url";
    if config.get(URL).is_none_or(|url| url.trim().is_empty()) {
        return Vec::new();
    }
    let given = config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    // Most may be given under two names.
    let wrong = |key: &str, why: String| {
        let longer = format!("schema.registry.{key}");
        let is_longer = !config.contains_key(key) && config.contains_key(&longer);
        FieldError::new(if is_longer { longer } else { key.to_owned() }, why)
    };
    match HttpSettings::of_client(&given) {
        Ok(settings) => {
            let urls = settings.addresses.iter().filter_map(|url| allowed.check_url(url).err());
            let files = settings.tls.refused(allowed).into_iter();
            urls.map(|why| wrong(URL, why)).chain(files.map(|error| wrong(error.key, error.why))).collect()
        }
        Err(error) => vec![wrong(error.key(), error.to_string())],
    }
}

#[cfg(not(feature = "http"))]
fn refused(_: &Config, _: &Allowed) -> Vec<FieldError> {
    Vec::new()
}

/// A flag that is off unless it is set.
fn flag(name: &str, doc: &str) -> Setting {
    Setting::new(name, Kind::Boolean, "false", doc).importance(Importance::Low)
}

fn settings() -> Settings {
    let url = "The addresses of the registry. Without one, it is the registry of the same process, if there is one.";
    let strategy =
        "How subjects are named: TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy.";
    let on = |name: &str, doc: &str| Setting::new(name, Kind::Boolean, "true", doc);
    Settings::from([
        Setting::optional("schema.registry.url", Kind::List, url).importance(Importance::High),
        on("auto.register.schemas", "Whether schemas are registered when they are first used."),
        flag("use.latest.version", "Whether the latest version of the subject is used, not the given one."),
        Setting::new(
            "use.schema.id",
            Kind::Int,
            "-1",
            "The id of the schema to use; -1 is the given schema.",
        ),
        on("latest.compatibility.strict", "Whether the latest version must read what the given one writes."),
        on("id.compatibility.strict", "Whether the schema of an id must read what the given one writes."),
        flag("normalize.schemas", "Whether texts that differ without a meaning are one schema."),
        Setting::new("key.subject.name.strategy", Kind::Class, "TopicNameStrategy", strategy),
        Setting::new("value.subject.name.strategy", Kind::Class, "TopicNameStrategy", strategy),
    ])
}

/// How schemas and data of the data model are those of a format.
trait Mapping: std::fmt::Debug + Send + Sync + 'static {
    /// The format.
    fn format(&self) -> Arc<dyn SchemaFormat>;

    /// What is said when data of a topic cannot be written.
    fn encoding_failed(&self, topic: &str) -> String;

    /// What is said when bytes of a topic cannot be read.
    fn decoding_failed(&self, topic: &str) -> String;

    /// What a schema becomes.
    fn written(&self, schema: &ConnectSchema) -> Result<Written, ConnectError>;

    /// Data of a schema, as the format has it.
    fn write(&self, schema: &ConnectSchema, value: &Value) -> Result<Value, ConnectError>;

    /// The part of the bytes that says which type of a schema they are; nothing in formats with one type.
    fn selector(&self, bytes: &Bytes) -> Bytes;

    /// What a schema of the format, or the type of it that the selector means, becomes.
    fn found(&self, schema: &dyn Schema, selector: &Bytes) -> Result<Found, ConnectError>;

    /// Data of the format, as a schema has it.
    fn read(&self, schema: &ConnectSchema, value: Value) -> Result<Value, ConnectError>;
}

/// What a schema became in a format.
struct Written {
    text: String,
    /// The type that is meant, when the text has several.
    type_name: Option<String>,
    /// Data needs no change.
    is_plain: bool,
}

/// What a schema of a format became.
struct Found {
    schema: Arc<ConnectSchema>,
    /// Data needs no change.
    is_plain: bool,
}

/// How deep schemas of a format nest.
const NESTING_MAX: usize = 100;

/// Data in a format, with schemas from a registry.
struct RegistryConverter<M> {
    mapping: M,
    part: Part,
    formats: Formats,
    serializer: Serializer,
    deserializer: Deserializer,
    outgoing: Mutex<Vec<(Arc<ConnectSchema>, Arc<Outgoing>)>>,
    incoming: Mutex<HashMap<(SchemaId, Bytes), Arc<Found>>>,
}

impl<M: Mapping> std::fmt::Debug for RegistryConverter<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("RegistryConverter");
        shown.field("mapping", &self.mapping).field("part", &self.part).finish_non_exhaustive()
    }
}

/// What records of a schema are written with.
struct Outgoing {
    schema: Arc<RecordSchema>,
    type_name: Option<String>,
    is_plain: bool,
}

impl<M: Mapping> RegistryConverter<M> {
    fn new(registry: Arc<dyn RegistryClient>, mapping: M, config: &Config) -> Result<Self, ConnectError> {
        let is_key = config.get(CONVERTER_TYPE).is_some_and(|of| of == "key");
        let part = if is_key { Part::Key } else { Part::Value };
        let given = config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let settings = SerializerSettings::of_client(part, &given);
        let settings = settings.map_err(|error| ConnectError::config(error.to_string()))?;
        let formats = Formats::new([mapping.format()]);
        Ok(Self {
            mapping,
            part,
            serializer: Serializer::new(Arc::clone(&registry), formats.clone(), settings),
            deserializer: Deserializer::new(registry, formats.clone(), Reader::Writer),
            formats,
            outgoing: Mutex::default(),
            incoming: Mutex::default(),
        })
    }

    fn outgoing(&self, schema: &Arc<ConnectSchema>) -> Result<Arc<Outgoing>, ConnectError> {
        let same = |(known, _): &&(Arc<ConnectSchema>, Arc<Outgoing>)| Arc::ptr_eq(known, schema);
        let equal = |(known, _): &&(Arc<ConnectSchema>, Arc<Outgoing>)| known == schema;
        let mut known = self.outgoing.lock();
        if let Some((_, found)) = known.iter().find(same).or_else(|| known.iter().find(equal)) {
            return Ok(Arc::clone(found));
        }
        let format = self.mapping.format().name();
        let Written { text, type_name, is_plain } = self.mapping.written(schema)?;
        let source = SchemaSource { format: format.to_owned(), text, references: Vec::new() };
        let refuse =
            |error| ConnectError::data(format!("The schema cannot be written as {format}")).because(error);
        let parsed = RecordSchema::new(&self.formats, source, &[]).map_err(refuse)?;
        let new = Arc::new(Outgoing { schema: parsed, type_name, is_plain });
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
        let outgoing = self.outgoing(&schema)?;
        let changed;
        let value = if outgoing.is_plain {
            value
        } else {
            changed = self.mapping.write(&schema, value)?;
            &changed
        };
        let type_name = outgoing.type_name.as_deref();
        let serialized = self.serializer.serialize(item.topic, &outgoing.schema, type_name, value).await;
        let serialized =
            serialized.map_err(|error| failed(self.mapping.encoding_failed(item.topic), error))?;
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
        let read = read.map_err(|error| failed(self.mapping.decoding_failed(item.topic), error))?;
        let key = (read.id, self.mapping.selector(&read.bytes));
        let known = self.incoming.lock().get(&key).cloned();
        let found = match known {
            Some(found) => found,
            None => {
                let found = Arc::new(self.mapping.found(&*read.schema, &key.1)?);
                let mut known = self.incoming.lock();
                if known.len() >= REMEMBERED_MAX {
                    known.clear();
                }
                // The selector is a slice of a record, which need not stay for it.
                known.insert((key.0, Bytes::copy_from_slice(&key.1)), Arc::clone(&found));
                found
            }
        };
        let value = if found.is_plain { read.value } else { self.mapping.read(&found.schema, read.value)? };
        Ok(Datum { schema: Some(Arc::clone(&found.schema)), value })
    }
}

/// An entry of a map, where the format has no maps with keys like its.
fn map_entry(key: Value, value: Value) -> Value {
    let name = ByteString::from_static;
    Value::record([(name("key"), key), (name("value"), value)])
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
                "Lists, maps and structs without a schema cannot be written with a registry",
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
impl<M: Mapping> Converter for RegistryConverter<M> {
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
mod testing;
