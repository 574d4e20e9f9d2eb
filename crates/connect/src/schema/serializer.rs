//! From values to the bytes of records and back, with schemas from a registry.
//!
//! A [`Serializer`] finds the subject of a record, registers or looks up its schema once, and writes the id before the
//! payload or into a header; a [`Deserializer`] reads the id and fetches the schema once. Both remember what they know, so
//! that records cost no request. The registry stands behind [`RegistryClient`]: the one of the same process, or one over
//! HTTP. Settings have the names and defaults that users of the common clients know.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::RwLock;

use super::registry::contract::Reference;
use super::registry::plan::SchemaRequest;
use super::registry::subject::within;
use super::subject::{NamelessRecord, SubjectNameStrategy};
use super::wire::{FrameError, Guid, Part, SchemaId};
use super::{
    CompatibilityPolicy, DataError, Direction, Incompatibility, ParseError, Referenced, Schema, SchemaFormat,
    SchemaText, Validation,
};
use crate::value::Value;

/// Schemas that a deserializer remembers, and uses of schemas that a serializer does, unless told otherwise.
const CACHE_SIZE: usize = 1000;

/// Bytes that there is room for at first: most records are no longer.
const BYTES_LIKELY: usize = 256;

/// A schema as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SchemaSource {
    /// The name of its format, as `schemaType` of the API has it.
    pub format: String,
    /// Its text.
    pub text: String,
    /// What it refers to.
    pub references: Vec<SubjectVersion>,
}

/// A name within a schema, and what is registered for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubjectVersion {
    /// As the schema calls it.
    pub name: String,
    /// Where it is registered.
    pub subject: String,
    /// Its version there.
    pub version: i32,
}

impl From<&SchemaSource> for SchemaRequest {
    fn from(schema: &SchemaSource) -> SchemaRequest {
        let references = schema.references.iter().map(|reference| Reference {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: reference.version,
        });
        SchemaRequest {
            schema: Some(schema.text.clone()),
            schema_type: Some(schema.format.clone()),
            references: Some(references.collect()),
            ..SchemaRequest::default()
        }
    }
}

/// A schema that a registry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its id within the context.
    pub id: i32,
    /// Its identity everywhere; registries before 8.0 tell none.
    pub guid: Option<Guid>,
    /// The name of its format.
    pub format: String,
    /// Its text.
    pub text: String,
    /// The texts that it refers to, also by way of others: each after those that it refers to itself.
    pub referenced: Vec<Referenced>,
}

/// What a registry refuses, or that it cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry says: {message}{}", code.map(|code| format!(" (error {code})")).unwrap_or_default())]
pub struct RegistryError {
    /// The code of its API, when it answered.
    pub code: Option<u32>,
    /// What it said, or why it was not reached.
    pub message: String,
}

/// A registry, as serializers need it. Implementations need not remember anything.
#[async_trait]
pub trait RegistryClient: Send + Sync {
    /// Registers a schema under a subject, unless it is there.
    async fn register(
        &self,
        subject: &str,
        schema: &SchemaSource,
        normalize: bool,
    ) -> Result<Registered, RegistryError>;

    /// Finds a schema under a subject.
    async fn lookup(
        &self,
        subject: &str,
        schema: &SchemaSource,
        normalize: bool,
    ) -> Result<Registered, RegistryError>;

    /// The schema of an id; the subject says in which context.
    async fn by_id(&self, id: i32, subject: Option<&str>) -> Result<Registered, RegistryError>;

    /// The schema of a GUID.
    async fn by_guid(&self, guid: Guid) -> Result<Registered, RegistryError>;

    /// The latest version of a subject.
    async fn latest(&self, subject: &str) -> Result<Registered, RegistryError>;

    /// The latest version of a subject whose metadata have these properties.
    async fn latest_with(
        &self,
        subject: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<Registered, RegistryError>;
}

/// Why a record cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SerdeError {
    /// The bytes name no schema.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The registry does not know the schema, does not accept it, or does not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The schema is none.
    #[error("the schema cannot be parsed: {0}")]
    Schema(#[from] ParseError),
    /// The value does not fit its schema, or the bytes do not.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The subject cannot be named.
    #[error(transparent)]
    Subject(#[from] NamelessRecord),
    /// The schema is in a language that nobody here speaks.
    #[error("schemas of the format {0} are not supported here")]
    UnknownFormat(String),
    /// The schema that is to be used cannot take the place of the one that the data was made for.
    #[error("the schema registered under {subject} cannot read what the given one writes: {}", list(reasons))]
    Incompatible {
        /// Where the schema is registered.
        subject: String,
        /// Why, all of it.
        reasons: Vec<Incompatibility>,
    },
    /// The registry told no GUID, which a header needs.
    #[error("the registry tells no GUID for the schema; write ids before the payload instead")]
    NoGuid,
}

fn list(reasons: &[Incompatibility]) -> String {
    reasons.iter().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Which schema records are written with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The given one, registered if need be (`auto.register.schemas`).
    #[default]
    Register,
    /// The one of that id (`use.schema.id`).
    Id(i32),
    /// The one of that GUID (`use.schema.guid`).
    Guid(Guid),
    /// The latest version of the subject (`use.latest.version`).
    Latest,
    /// The latest version of the subject whose metadata have these properties (`use.latest.with.metadata`).
    LatestWith(BTreeMap<String, String>),
    /// The given one, which must be registered already.
    Lookup,
}

/// Where the id of the schema is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Before the payload.
    #[default]
    Prefix,
    /// In a header, as a GUID.
    Header,
}

/// How records are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerializerSettings {
    /// Which part of records it is.
    pub part: Part,
    /// How subjects are named.
    pub subject_name_strategy: SubjectNameStrategy,
    /// The context in which subjects stand, as it stands before them; none is the registry's default one. Clients have a class
    /// for it (`context.name.strategy`), which programs here replace by this field.
    pub context: Option<String>,
    /// Which schema is used.
    pub choice: Choice,
    /// Whether texts that differ without a meaning are one schema (`normalize.schemas`).
    pub normalize: bool,
    /// Whether a schema chosen by [`Choice::Latest`] or [`Choice::LatestWith`] must read what the given one writes (`latest.compatibility.strict`).
    pub latest_compatibility_strict: bool,
    /// The same for [`Choice::Id`] and [`Choice::Guid`] (`id.compatibility.strict`).
    pub id_compatibility_strict: bool,
    /// Where the id is written.
    pub placement: Placement,
    /// Uses of schemas that are remembered (`max.schemas.per.subject`).
    pub cache_size: usize,
}

/// A setting with a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} cannot be {value:?}; use {expected}")]
pub struct SettingError {
    /// The setting.
    pub key: String,
    /// What it was given.
    pub value: String,
    /// What it takes.
    pub expected: &'static str,
}

impl SerializerSettings {
    /// The defaults of the common clients.
    pub fn new(part: Part) -> Self {
        Self {
            part,
            subject_name_strategy: SubjectNameStrategy::default(),
            context: None,
            choice: Choice::default(),
            normalize: false,
            latest_compatibility_strict: true,
            id_compatibility_strict: true,
            placement: Placement::default(),
            cache_size: CACHE_SIZE,
        }
    }

    /// Reads the settings that a client is configured with; keys that are for others are left to them.
    ///
    /// # Errors
    /// [`SettingError`] for a value that the setting cannot have.
    pub fn of_client(part: Part, settings: &HashMap<String, String>) -> Result<Self, SettingError> {
        let given = Given { part, settings };
        let mut read = Self::new(part);
        let id = given.parsed("use.schema.id", "an id, or -1 for none", |text| text.parse::<i32>().ok())?;
        let guid = given.parsed("use.schema.guid", "a GUID", Guid::parse)?;
        let metadata = "names and values: app=orders,major=2";
        let metadata = given.parsed("use.latest.with.metadata", metadata, properties_of)?;
        read.choice = if given.flag("auto.register.schemas", true)? {
            Choice::Register
        } else if let Some(id) = id.filter(|id| *id >= 0) {
            Choice::Id(id)
        } else if let Some(guid) = guid {
            Choice::Guid(guid)
        } else if let Some(properties) = metadata.filter(|properties| !properties.is_empty()) {
            Choice::LatestWith(properties)
        } else if given.flag("use.latest.version", false)? {
            Choice::Latest
        } else {
            Choice::Lookup
        };
        read.normalize = given.flag("normalize.schemas", false)?;
        read.latest_compatibility_strict = given.flag("latest.compatibility.strict", true)?;
        read.id_compatibility_strict = given.flag("id.compatibility.strict", true)?;
        let strategy = "TopicNameStrategy, RecordNameStrategy or TopicRecordNameStrategy";
        let found = given.of_part("subject.name.strategy", strategy, SubjectNameStrategy::of_class)?;
        read.subject_name_strategy = found.unwrap_or_default();
        let placement = "PrefixSchemaIdSerializer or HeaderSchemaIdSerializer";
        read.placement = given.of_part("schema.id.serializer", placement, placement_of)?.unwrap_or_default();
        let size = |text: &str| text.parse().ok().filter(|size| *size > 0);
        read.cache_size =
            given.parsed("max.schemas.per.subject", "a positive number", size)?.unwrap_or(CACHE_SIZE);
        Ok(read)
    }
}

/// Names and values: `app=orders,major=2`.
fn properties_of(text: &str) -> Option<BTreeMap<String, String>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            pair.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn placement_of(class: &str) -> Option<Placement> {
    match class.rsplit('.').next() {
        Some("PrefixSchemaIdSerializer") => Some(Placement::Prefix),
        Some("HeaderSchemaIdSerializer") => Some(Placement::Header),
        _ => None,
    }
}

/// What a client was configured with.
struct Given<'s> {
    part: Part,
    settings: &'s HashMap<String, String>,
}

impl Given<'_> {
    fn parsed<T>(
        &self,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        let Some(value) = self.settings.get(key) else { return Ok(None) };
        match parse(value.trim()) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(SettingError { key: key.to_owned(), value: value.clone(), expected }),
        }
    }

    fn of_part<T>(
        &self,
        key: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        self.parsed(&format!("{}.{key}", self.part.word()), expected, parse)
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, SettingError> {
        let parse = |text: &str| text.to_ascii_lowercase().parse().ok();
        Ok(self.parsed(key, "true or false", parse)?.unwrap_or(default))
    }
}

/// The formats that a serializer speaks.
#[derive(Clone)]
pub struct Formats(Arc<[Arc<dyn SchemaFormat>]>);

impl Formats {
    /// These.
    pub fn new(formats: impl IntoIterator<Item = Arc<dyn SchemaFormat>>) -> Self {
        Self(formats.into_iter().collect())
    }

    fn parse(
        &self,
        format: &str,
        text: &str,
        references: &[Referenced],
    ) -> Result<Arc<dyn Schema>, SerdeError> {
        let known = self.0.iter().find(|known| known.name() == format);
        let known = known.ok_or_else(|| SerdeError::UnknownFormat(format.to_owned()))?;
        Ok(known.parse(SchemaText { text, references, validation: Validation::Stored })?)
    }
}

/// A schema that a program writes records with.
#[derive(Debug)]
pub struct RecordSchema {
    source: SchemaSource,
    schema: Arc<dyn Schema>,
}

impl RecordSchema {
    /// A schema, parsed. `referenced` are the texts behind the references of the source.
    ///
    /// # Errors
    /// [`SerdeError::UnknownFormat`] or [`SerdeError::Schema`].
    pub fn new(
        formats: &Formats,
        source: SchemaSource,
        referenced: &[Referenced],
    ) -> Result<Arc<Self>, SerdeError> {
        let schema = formats.parse(&source.format, &source.text, referenced)?;
        Ok(Arc::new(Self { source, schema }))
    }

    /// The schema.
    pub fn schema(&self) -> &Arc<dyn Schema> {
        &self.schema
    }
}

/// A part of a record, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serialized {
    /// The key or value.
    pub bytes: Bytes,
    /// A header to add: its name and value.
    pub header: Option<(&'static str, Bytes)>,
}

/// Writes values as records with schemas.
pub struct Serializer {
    registry: Arc<dyn RegistryClient>,
    formats: Formats,
    settings: SerializerSettings,
    used: RwLock<Vec<Used>>,
}

/// What is known about a schema in a topic.
struct Used {
    schema: Arc<RecordSchema>,
    topic: Box<str>,
    type_name: Option<Box<str>>,
    /// What records are written with.
    writer: Arc<dyn Schema>,
    id: SchemaId,
}

impl Serializer {
    /// A serializer that knows nothing yet.
    pub fn new(registry: Arc<dyn RegistryClient>, formats: Formats, settings: SerializerSettings) -> Self {
        Self { registry, formats, settings, used: RwLock::default() }
    }

    /// Writes a key or value for `topic`. `type_name` is the full name of the type in schemas that have several.
    ///
    /// # Errors
    /// [`SerdeError`].
    pub async fn serialize(
        &self,
        topic: &str,
        schema: &Arc<RecordSchema>,
        type_name: Option<&str>,
        value: &Value,
    ) -> Result<Serialized, SerdeError> {
        if let Some(used) = self.used.read().iter().rev().find(|used| used.is(topic, schema, type_name)) {
            return self.write(used, value);
        }
        let used = self.find(topic, schema, type_name).await?;
        let written = self.write(&used, value)?;
        self.remember(used);
        Ok(written)
    }

    /// The id and the value in one buffer, cut where a header ends.
    fn write(&self, used: &Used, value: &Value) -> Result<Serialized, SerdeError> {
        let mut bytes = Vec::with_capacity(BYTES_LIKELY);
        used.id.write(&mut bytes);
        let start = bytes.len() + used.writer.encode(used.type_name.as_deref(), value, &mut bytes)?;
        let mut bytes = Bytes::from(bytes);
        let header = match self.settings.placement {
            Placement::Prefix => None,
            Placement::Header => Some((self.settings.part.header(), bytes.split_to(start))),
        };
        Ok(Serialized { bytes, header })
    }

    fn remember(&self, new: Used) {
        let mut used = self.used.write();
        if used.iter().any(|used| used.is(&new.topic, &new.schema, new.type_name.as_deref())) {
            return;
        }
        if used.len() == self.settings.cache_size {
            used.remove(0);
        }
        used.push(new);
    }

    /// Asks the registry.
    async fn find(
        &self,
        topic: &str,
        schema: &Arc<RecordSchema>,
        type_name: Option<&str>,
    ) -> Result<Used, SerdeError> {
        let SerializerSettings { part, normalize, .. } = self.settings;
        let record = type_name.or_else(|| schema.schema.record_name());
        let subject = self.settings.subject_name_strategy.subject(topic, part, record)?;
        let source = &schema.source;
        let subject = self
            .settings
            .context
            .as_deref()
            .map_or_else(|| subject.clone(), |context| within(context, &subject));
        let strict_latest = self.settings.latest_compatibility_strict;
        let (registered, other, strict) = match &self.settings.choice {
            Choice::Register => (self.registry.register(&subject, source, normalize).await?, false, false),
            Choice::Lookup => (self.registry.lookup(&subject, source, normalize).await?, false, false),
            Choice::Id(id) => {
                let strict = self.settings.id_compatibility_strict;
                (self.registry.by_id(*id, Some(&subject)).await?, true, strict)
            }
            Choice::Guid(guid) => {
                (self.registry.by_guid(*guid).await?, true, self.settings.id_compatibility_strict)
            }
            Choice::Latest => (self.registry.latest(&subject).await?, true, strict_latest),
            Choice::LatestWith(properties) => {
                (self.registry.latest_with(&subject, properties).await?, true, strict_latest)
            }
        };
        let writer = match other {
            true => self.formats.parse(&registered.format, &registered.text, &registered.referenced)?,
            false => Arc::clone(&schema.schema),
        };
        if strict {
            check(&subject, &*writer, &*schema.schema)?;
        }
        let id = match self.settings.placement {
            Placement::Prefix => SchemaId::Id(registered.id),
            Placement::Header => SchemaId::Guid(registered.guid.ok_or(SerdeError::NoGuid)?),
        };
        let (topic, type_name) = (topic.into(), type_name.map(Into::into));
        Ok(Used { schema: Arc::clone(schema), topic, type_name, writer, id })
    }
}

impl Used {
    fn is(&self, topic: &str, schema: &Arc<RecordSchema>, type_name: Option<&str>) -> bool {
        Arc::ptr_eq(&self.schema, schema) && *self.topic == *topic && self.type_name.as_deref() == type_name
    }
}

fn check(subject: &str, registered: &dyn Schema, given: &dyn Schema) -> Result<(), SerdeError> {
    let reasons = registered.incompatibilities(given, Direction::OldReadsNew, CompatibilityPolicy::default());
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(SerdeError::Incompatible { subject: subject.to_owned(), reasons }),
    }
}

/// As which schema records are read.
#[derive(Clone, Debug, Default)]
pub enum Reader {
    /// The one that each was written with.
    #[default]
    Writer,
    /// This one.
    Schema(Arc<dyn Schema>),
}

/// A value that was read.
#[derive(Clone, Debug)]
pub struct Deserialized {
    /// The value.
    pub value: Value,
    /// The schema that it was written with.
    pub schema: Arc<dyn Schema>,
    /// What the record calls that schema.
    pub id: SchemaId,
    /// What was read: what names the type within the schema, when the format has that, and the payload.
    pub bytes: Bytes,
}

/// Reads records with schemas.
pub struct Deserializer {
    registry: Arc<dyn RegistryClient>,
    formats: Formats,
    reader: Reader,
    cache_size: usize,
    known: RwLock<BTreeMap<SchemaId, Arc<dyn Schema>>>,
}

impl Deserializer {
    /// A deserializer that knows nothing yet, and remembers a thousand schemas.
    pub fn new(registry: Arc<dyn RegistryClient>, formats: Formats, reader: Reader) -> Self {
        Self { registry, formats, reader, cache_size: CACHE_SIZE, known: RwLock::default() }
    }

    /// Reads a key or value. `header` is the value of the part's header ([`Part::header`]), when the record has it; it comes
    /// first. `subject` says in which context ids are meant.
    ///
    /// # Errors
    /// [`SerdeError`].
    pub async fn deserialize(
        &self,
        subject: Option<&str>,
        header: Option<Bytes>,
        mut bytes: Bytes,
    ) -> Result<Deserialized, SerdeError> {
        let id = match header {
            Some(mut header) => {
                let id = SchemaId::take(&mut header)?;
                bytes = joined(header, bytes);
                id
            }
            None => SchemaId::take(&mut bytes)?,
        };
        let known = self.known.read().get(&id).cloned();
        let schema = match known {
            Some(schema) => schema,
            None => self.fetch(id, subject).await?,
        };
        let value = match &self.reader {
            Reader::Writer => schema.decode(&*schema, bytes.clone())?,
            Reader::Schema(reader) => reader.decode(&*schema, bytes.clone())?,
        };
        Ok(Deserialized { value, schema, id, bytes })
    }

    async fn fetch(&self, id: SchemaId, subject: Option<&str>) -> Result<Arc<dyn Schema>, SerdeError> {
        let registered = match id {
            SchemaId::Id(id) => self.registry.by_id(id, subject).await?,
            SchemaId::Guid(guid) => self.registry.by_guid(guid).await?,
        };
        let schema = self.formats.parse(&registered.format, &registered.text, &registered.referenced)?;
        let mut known = self.known.write();
        if known.len() >= self.cache_size {
            let any = known.keys().next().copied();
            any.and_then(|id| known.remove(&id));
        }
        known.insert(id, Arc::clone(&schema));
        Ok(schema)
    }
}

/// The selector of a header and the payload of a record.
fn joined(selector: Bytes, payload: Bytes) -> Bytes {
    if selector.is_empty() {
        return payload;
    }
    let mut joined = BytesMut::with_capacity(selector.len() + payload.len());
    joined.extend_from_slice(&selector);
    joined.extend_from_slice(&payload);
    joined.freeze()
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
