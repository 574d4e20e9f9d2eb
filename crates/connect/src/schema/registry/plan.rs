//! What a registration, a lookup or a check of compatibility comes to, by the state as it is. Reads and compares schemas, so
//! it takes time; changes nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Settings;
use super::command::{Register, Seen};
use super::content::{AVRO, Content, Version};
use super::contract::{Metadata, Reference, RuleSet, VERSION_PROPERTY};
use super::decide::read_only;
use super::error::RegistryError;
use super::library::{Library, resolve};
use super::settings::{CompatibilityLevel, Config};
use super::state::{Filter, State, Subject};
use super::subject::Qualified;
use crate::schema::{Direction, EntityTags, Incompatibility, Schema, TagChange, Validation};

/// The most bytes of a schema's text.
pub const SCHEMA_BYTES_MAX: usize = 1_000_000;
/// How much of an old schema an answer shows, in characters.
const SHOWN_CHARS_MAX: usize = 10 * 1024;
/// The most versions that a transitive check compares.
const COMPARED_MAX: usize = 10_000;
/// How the names of reserved fields are told in metadata.
const RESERVED_PROPERTY: &str = "confluent:reserved";

/// A schema as a request brings it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SchemaRequest {
    /// The version that it is to become; -1 is the latest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The id that it has elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// Its format; Avro if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<String>,
    /// What it refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<Reference>>,
    /// What is said about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What serializers have to do.
    #[serde(alias = "ruleset", skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// Its text; that of the previous version if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Tags to be written into the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_tags_to_add: Option<Vec<EntityTags>>,
    /// Tags to be taken out of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_tags_to_remove: Option<Vec<EntityTags>>,
    /// Keeps the tags of the previous version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_schema_tags: Option<bool>,
}

/// How a request is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Remove differences without a meaning.
    pub normalize: bool,
    /// Do not compare with other versions.
    pub force: bool,
    /// Deleted versions count in a lookup.
    pub deleted: bool,
}

/// What a registration comes to.
#[derive(Clone, Debug)]
pub enum Planned {
    /// The schema is there.
    Known(Version),
    /// It has to be written.
    Write(Register),
}

/// Decides by one state.
#[derive(Clone, Copy, Debug)]
pub struct Planner<'a> {
    /// What is known.
    pub state: &'a State,
    /// What can be read.
    pub library: &'a Library,
    /// What counts where nothing is set.
    pub settings: &'a Settings,
}

/// A schema that was read, and stands as it would be written.
struct Candidate {
    content: Content,
    parsed: Arc<dyn Schema>,
    /// Where its references come from.
    subjects: Vec<String>,
}

impl Planner<'_> {
    /// What counts for a subject.
    #[must_use]
    pub fn config(&self, subject: &str) -> Config {
        self.state.config_in_scope(Some(subject), &self.settings.defaults())
    }

    /// Finds the version that a schema is, or what has to be written for it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn register(
        &self,
        subject: &str,
        mut request: SchemaRequest,
        options: Options,
    ) -> Result<Planned, RegistryError> {
        let config = self.config(subject);
        let normalize = options.normalize || config.normalize == Some(true);
        self.retag(subject, &mut request)?;
        if !config.gives_contract()
            && request.propagate_schema_tags != Some(true)
            && let Some(known) = self.already(subject, &request, normalize)?
        {
            return Ok(Planned::Known(known));
        }
        self.check_mode(subject, request.id)?;
        let mode = self.state.mode_in_scope(Some(subject));
        let versions = self.state.versions(subject);
        let next = versions.and_then(|versions| versions.all().map(|version| version.number).max());
        let next = next.unwrap_or(0).saturating_add(1);
        if !mode.brings_ids() {
            let previous = versions.and_then(|versions| versions.latest());
            populate(&mut request, previous.map(|version| &*version.content), &config, Some(next))?;
            self.propagate_tags(subject, &mut request, previous)?;
        }
        let wanted = request.id.filter(|id| *id >= 0);
        let validation = if wanted.is_none() { validation(&config) } else { Validation::Stored };
        let Some(candidate) = self.candidate(subject, &request, validation, normalize)? else {
            return Err(RegistryError::InvalidSchema("Empty schema".to_owned()));
        };
        self.check_references(subject, &candidate)?;
        let number = request.version.unwrap_or(0);
        if number == 0
            && let Some(known) = self.known(subject, &candidate, wanted)
        {
            return Ok(Planned::Known(known));
        }
        if !mode.brings_ids() && !options.force {
            let messages = self.incompatibilities(subject, &candidate, &config, self.compared(subject))?;
            if !messages.is_empty() {
                return Err(RegistryError::Incompatible { subject: subject.to_owned(), messages });
            }
        }
        let version = match number {
            number if number <= 0 => next,
            number if number == next || mode.brings_ids() => number,
            _ => {
                let why = "Version is not one more than previous version".to_owned();
                return Err(RegistryError::InvalidSchema(why));
            }
        };
        let id = self.chosen_id(subject, &candidate.content, wanted)?;
        let mut seen = Seen::of(self.state);
        seen.note(self.state, subject);
        candidate.subjects.iter().for_each(|other| seen.note(self.state, other));
        let content = Arc::new(candidate.content);
        Ok(Planned::Write(Register { subject: subject.into(), content, version, id, seen }))
    }

    /// Writes the tags that a request asks for into its text.
    pub(super) fn retag(&self, subject: &str, request: &mut SchemaRequest) -> Result<(), RegistryError> {
        let changes = tag_changes(
            request.schema_tags_to_add.take().unwrap_or_default(),
            request.schema_tags_to_remove.take().unwrap_or_default(),
        );
        if changes.is_empty() {
            return Ok(());
        }
        let candidate = self.candidate(subject, request, Validation::Stored, false)?;
        let candidate = candidate.ok_or_else(|| RegistryError::InvalidSchema("Empty schema".to_owned()))?;
        let text = candidate.parsed.with_tags(&changes);
        request.schema = Some(text.map_err(|error| RegistryError::InvalidSchema(error.to_string()))?);
        // So that the version is told in the metadata.
        request.version = request.version.or(Some(-1));
        Ok(())
    }

    /// Gives a new text the tags that the previous one has, where what they stand at is still there.
    fn propagate_tags(
        &self,
        subject: &str,
        request: &mut SchemaRequest,
        previous: Option<&Version>,
    ) -> Result<(), RegistryError> {
        let Some(previous) = previous.filter(|_| request.propagate_schema_tags == Some(true)) else {
            return Ok(());
        };
        let tags = self.library.read_version(self.state, subject, previous)?.tags();
        for change in tag_changes(tags, Vec::new()) {
            let Some(candidate) = self.candidate(subject, request, Validation::Stored, false)? else { break };
            if let Ok(text) = candidate.parsed.with_tags(&[change]) {
                request.schema = Some(text);
            }
        }
        Ok(())
    }

    /// The version that the request means, when it is there as it is.
    fn already(
        &self,
        subject: &str,
        request: &SchemaRequest,
        normalize: bool,
    ) -> Result<Option<Version>, RegistryError> {
        let number = request.version.unwrap_or(0);
        let latest_only = number == -1;
        let options = Options { normalize, ..Options::default() };
        let Some(existing) = self.find(subject, request, options, latest_only)? else {
            return Ok(None);
        };
        let wanted = request.id.filter(|id| *id >= 0);
        if number == 0 || latest_only {
            return Ok(wanted.is_none_or(|id| id == existing.id).then_some(existing));
        }
        if wanted != Some(existing.id) {
            return Ok(None);
        }
        if existing.number == number {
            return Ok(Some(existing));
        }
        let other = self.state.version(subject, number, Filter::Live);
        Ok(other.filter(|other| other.id == existing.id && other.content == existing.content).cloned())
    }

    fn check_mode(&self, subject: &str, id: Option<i32>) -> Result<(), RegistryError> {
        let mode = self.state.mode_in_scope(Some(subject));
        if mode.is_read_only() {
            return Err(read_only(Some(subject)));
        }
        let context = Qualified::of(subject).prefix();
        let refused = |what: &str| {
            Err(RegistryError::NotPermitted(format!(
                "Subject {subject} in context {context} is not in {what} mode"
            )))
        };
        match id {
            Some(id) if id >= 0 && !mode.brings_ids() => refused("import"),
            Some(id) if id >= 0 => Ok(()),
            _ if mode != super::settings::Mode::ReadWrite => refused("read-write"),
            _ => Ok(()),
        }
    }

    fn check_references(&self, subject: &str, candidate: &Candidate) -> Result<(), RegistryError> {
        use super::association::Lifecycle;
        for reference in &candidate.content.references {
            let target = super::subject::within(subject, &reference.subject);
            let owned =
                |(key, association): (
                    &super::association::AssociationKey,
                    &Arc<super::association::Association>,
                )| { key.subject == target && association.lifecycle == Lifecycle::Strong };
            if self.state.associations.iter().any(owned) {
                return Err(RegistryError::NotPermitted(format!(
                    "Subject '{}' has a strong association and cannot be referenced",
                    reference.subject
                )));
            }
        }
        Ok(())
    }

    /// The version of the subject that a schema is.
    fn known(&self, subject: &str, candidate: &Candidate, wanted: Option<i32>) -> Option<Version> {
        let fits = |version: &&Version| wanted.is_none_or(|id| id == version.id);
        if let Some((_, Some(number))) = self.state.id_of(candidate.content.guid, subject)
            && let Some(version) = self.state.version(subject, number, Filter::Live).filter(fits)
        {
            return Some(version.clone());
        }
        let versions = self.state.versions(subject)?;
        versions
            .filtered(Filter::Live)
            .rev()
            .filter(fits)
            .find(|version| self.is_same(subject, candidate, version))
            .cloned()
    }

    /// The id that was asked for, unless it is another schema's.
    fn chosen_id(
        &self,
        subject: &str,
        content: &Content,
        wanted: Option<i32>,
    ) -> Result<Option<i32>, RegistryError> {
        let Some(id) = wanted else { return Ok(None) };
        let prefix = Qualified::of(subject).prefix();
        let holder = self.state.by_id(id, Some(&prefix));
        if holder.is_some_and(|(_, version)| *version.content != *content) {
            return Err(RegistryError::NotPermitted(format!(
                "Overwrite new schema with id {id} in context {prefix} is not permitted."
            )));
        }
        Ok(Some(id))
    }

    /// Finds the version that a schema is; `None` when it is none of them.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`].
    pub fn lookup(
        &self,
        subject: &str,
        request: &SchemaRequest,
        options: Options,
    ) -> Result<Option<Version>, RegistryError> {
        let config = self.config(subject);
        let options = Options { normalize: options.normalize || config.normalize == Some(true), ..options };
        if let Some(found) = self.find(subject, request, options, false)? {
            return Ok(Some(found));
        }
        // As a registration would be given them.
        let Some(latest) = self.state.versions(subject).and_then(|versions| versions.latest()) else {
            return Ok(None);
        };
        let mut given = request.clone();
        give_contract(&mut given, Some(&latest.content), &config, None);
        if given == *request {
            return Ok(None);
        }
        self.find(subject, &given, options, false)
    }

    /// [`Planner::lookup`] under a subject and, when it names no context, under that name in all of them.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`].
    pub fn lookup_everywhere(
        &self,
        subject: &str,
        request: &SchemaRequest,
        options: Options,
    ) -> Result<Option<(Subject, Version)>, RegistryError> {
        if let Some(found) = self.lookup(subject, request, options)? {
            return Ok(Some((subject.into(), found)));
        }
        let qualified = Qualified::of(subject);
        if !qualified.in_default() {
            return Ok(None);
        }
        let others =
            self.state.declared().map(|context| Qualified { context, name: qualified.name }.to_string());
        Ok(others
            .filter(|other| self.state.versions(other).is_some())
            .find_map(|other| Some((Subject::from(&*other), self.lookup(&other, request, options).ok()??))))
    }

    fn find(
        &self,
        subject: &str,
        request: &SchemaRequest,
        options: Options,
        latest_only: bool,
    ) -> Result<Option<Version>, RegistryError> {
        let Some(candidate) = self.candidate(subject, request, Validation::Stored, options.normalize)? else {
            return Ok(None);
        };
        let filter = Filter::of(options.deleted, false);
        let Some(versions) = self.state.versions(subject) else { return Ok(None) };
        if latest_only {
            let latest = versions.latest().filter(|latest| self.is_same(subject, &candidate, latest));
            return Ok(latest.cloned());
        }
        if let Some((_, Some(number))) = self.state.id_of(candidate.content.guid, subject)
            && let Some(version) = self.state.version(subject, number, filter)
        {
            return Ok(Some(version.clone()));
        }
        let mut descending = versions.filtered(filter).rev();
        Ok(descending.find(|version| self.is_same(subject, &candidate, version)).cloned())
    }

    /// Reads the schema of a request; `None` when it has no text.
    fn candidate(
        &self,
        subject: &str,
        request: &SchemaRequest,
        validation: Validation,
        normalize: bool,
    ) -> Result<Option<Candidate>, RegistryError> {
        let Some(text) = request.schema.as_deref().filter(|text| !text.trim().is_empty()) else {
            return Ok(None);
        };
        if text.len() > SCHEMA_BYTES_MAX {
            let why = format!(
                "Register operation failed because schema is too large: {} bytes; the limit is {SCHEMA_BYTES_MAX}",
                text.len()
            );
            return Err(RegistryError::SchemaTooLarge(why));
        }
        let mut references = request.references.clone().unwrap_or_default();
        let filter = if validation == Validation::Stored { Filter::All } else { Filter::Live };
        let resolved = resolve(self.state, subject, &mut references, filter)?;
        if let Some(conflict) = resolved.conflict.filter(|_| self.settings.one_version_of_each) {
            return Err(RegistryError::InvalidSchema(conflict));
        }
        let format = request.schema_type.as_deref().filter(|name| !name.is_empty()).unwrap_or(AVRO);
        let parsed = self.library.read(format, text, &resolved.texts, validation)?;
        let normalize = normalize && !self.state.mode_in_scope(Some(subject)).brings_ids();
        let text = if normalize {
            references.sort();
            references.dedup();
            parsed.normalized()
        } else {
            parsed.canonical().to_owned()
        };
        let content =
            Content::new(format, text, references, request.metadata.clone(), request.rule_set.clone());
        Ok(Some(Candidate { content, parsed, subjects: resolved.subjects }))
    }

    /// The same schema, but for the version in its metadata, or for references that stand in its text.
    fn is_same(&self, subject: &str, new: &Candidate, old: &Version) -> bool {
        let (content, known) = (&new.content, &old.content);
        if content.format != known.format || content.rules != known.rules || !same_metadata(content, old) {
            return false;
        }
        if content.references == known.references {
            return content.text == known.text;
        }
        if !content.references.is_empty() {
            return false;
        }
        let read = self.library.read_version(self.state, subject, old);
        let Some(resolved) = read.ok().and_then(|read| read.render("resolved").ok()) else { return false };
        // What is compared was normalised, or neither was.
        let own = self.library.read(&content.format, &content.text, &[], Validation::Stored);
        own.and_then(|own| {
            own.render("resolved").map_err(|error| RegistryError::InvalidSchema(error.to_string()))
        })
        .is_ok_and(|own| own == resolved)
    }

    /// The versions that a new one is compared with, in order.
    fn compared(&self, subject: &str) -> Vec<&Version> {
        let versions = self.state.versions(subject);
        versions.into_iter().flat_map(|versions| versions.filtered(Filter::Live)).collect()
    }

    /// Compares a schema with versions of a subject, as its level asks for. What is in the way is told; nothing when nothing
    /// is.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] when the schema cannot be read.
    pub fn check(
        &self,
        subject: &str,
        request: &SchemaRequest,
        options: Options,
        number: Option<i32>,
    ) -> Result<Vec<String>, RegistryError> {
        let config = self.config(subject);
        let normalize = options.normalize || config.normalize == Some(true);
        let candidate = self.candidate(subject, request, validation(&config), normalize)?;
        let candidate = candidate.ok_or_else(|| RegistryError::InvalidSchema("Empty schema".to_owned()))?;
        let previous = match number {
            Some(number) => self.state.version(subject, number, Filter::Live).into_iter().collect(),
            None => self.compared(subject),
        };
        self.incompatibilities(subject, &candidate, &config, previous)
    }

    fn incompatibilities(
        &self,
        subject: &str,
        new: &Candidate,
        config: &Config,
        mut previous: Vec<&Version>,
    ) -> Result<Vec<String>, RegistryError> {
        let mut messages = Vec::new();
        if config.validate_fields == Some(true) {
            messages.extend(removed_reservations(&new.content, previous.last().copied()));
            let taken = reserved(&new.content).into_iter().filter(|name| new.parsed.has_field(name));
            messages.extend(taken.map(|name| {
                format!("{{errorType:\"FIELD_CONFLICTS_WITH_RESERVED_FIELD\", description:\"The new schema has field that conflicts with the reserved field {name}.\"}}")
            }));
        }
        if let Some(group) = &config.compatibility_group {
            let value = |content: &Content| {
                content.metadata.as_ref().and_then(|metadata| metadata.property(group)).map(str::to_owned)
            };
            let own = value(&new.content);
            previous.retain(|version| value(&version.content) == own);
        }
        let level = config.level();
        let count = match level {
            CompatibilityLevel::None => 0,
            level if level.is_transitive() => COMPARED_MAX,
            _ => 1,
        };
        for version in previous.into_iter().rev().take(count) {
            let found = self.compare(subject, new, version, level, config)?;
            if !found.is_empty() {
                messages.extend(found);
                break;
            }
        }
        if !messages.is_empty() {
            let fields = config.validate_fields == Some(true);
            messages.push(format!("{{validateFields: '{fields}', compatibility: '{}'}}", level.name()));
        }
        Ok(messages)
    }

    fn compare(
        &self,
        subject: &str,
        new: &Candidate,
        version: &Version,
        level: CompatibilityLevel,
        config: &Config,
    ) -> Result<Vec<String>, RegistryError> {
        if new.content.format != version.content.format {
            return Ok(vec!["Incompatible because of different schema type".to_owned()]);
        }
        let old = self.library.read_version(self.state, subject, version)?;
        let policy = config.policy();
        let mut found = Vec::new();
        if level.is_backward() {
            found.extend(new.parsed.incompatibilities(&*old, Direction::NewReadsOld, policy));
        }
        if level.is_forward() {
            found.extend(old.incompatibilities(&*new.parsed, Direction::OldReadsNew, policy));
        }
        let mut messages: Vec<String> =
            found.iter().map(|incompatibility| told(&new.content.format, incompatibility)).collect();
        if !messages.is_empty() {
            messages.push(format!("{{oldSchemaVersion: {}}}", version.number));
            messages.push(shown(&version.content.text));
        }
        Ok(messages)
    }
}

/// An incompatibility as clients show it.
fn told(format: &str, incompatibility: &Incompatibility) -> String {
    let Incompatibility { kind, message, detail, .. } = incompatibility;
    if format == AVRO {
        format!("{{errorType:'{kind}', description:'{message}', additionalInfo:'{detail}'}}")
    } else {
        format!("{{errorType:\"{kind}\", description:\"{message}\"}}")
    }
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{{oldSchema: <truncated> '{}...'}}", text.get(..end).unwrap_or_default()),
        None => format!("{{oldSchema: '{text}'}}"),
    }
}

/// How much of a new schema is checked.
fn validation(config: &Config) -> Validation {
    match (config.validate_new_schemas, config.validate_fields) {
        (Some(false), _) => Validation::Stored,
        (_, Some(true)) => Validation::Strict,
        _ => Validation::New,
    }
}

/// One change for each entity, in the order in which they are named.
fn tag_changes(add: Vec<EntityTags>, remove: Vec<EntityTags>) -> Vec<TagChange> {
    let mut changes: Vec<TagChange> = Vec::new();
    let asked = add.into_iter().map(|tags| (tags, true)).chain(remove.into_iter().map(|tags| (tags, false)));
    for (EntityTags { schema_entity: mut entity, tags }, adds) in asked {
        // Paths may begin with a dot.
        if let Some(path) = entity.entity_path.strip_prefix('.') {
            entity.entity_path = path.to_owned();
        }
        let known = changes.iter().position(|change| change.entity == entity);
        let at = known.unwrap_or_else(|| {
            changes.push(TagChange { entity, add: Vec::new(), remove: Vec::new() });
            changes.len() - 1
        });
        if let Some(change) = changes.get_mut(at) {
            if adds { change.add.extend(tags) } else { change.remove.extend(tags) }
        }
    }
    changes
}

/// Gives a new schema what it does not say itself: the text of the previous version, and metadata and rules.
fn populate(
    request: &mut SchemaRequest,
    previous: Option<&Content>,
    config: &Config,
    version: Option<i32>,
) -> Result<(), RegistryError> {
    if request.schema.as_ref().is_none_or(|text| text.trim().is_empty()) {
        let previous = previous.ok_or_else(|| RegistryError::InvalidSchema("Empty schema".to_owned()))?;
        request.schema = Some(previous.text.to_string());
        request.schema_type = Some(previous.format.to_string());
        request.references = Some(previous.references.to_vec());
    }
    give_contract(request, previous, config, version);
    Ok(())
}

fn give_contract(
    request: &mut SchemaRequest,
    previous: Option<&Content>,
    config: &Config,
    version: Option<i32>,
) {
    let before = || previous.and_then(|content| content.metadata.as_deref().cloned());
    let own = request.metadata.clone().or_else(before);
    let mut metadata = Metadata::merged(
        Metadata::merged(config.default_metadata.clone(), own),
        config.override_metadata.clone(),
    );
    let before = || previous.and_then(|content| content.rules.as_deref().cloned());
    let own = request.rule_set.clone().or_else(before);
    let rules = RuleSet::merged(
        RuleSet::merged(config.default_rule_set.clone(), own),
        config.override_rule_set.clone(),
    );
    let told = metadata.as_ref().is_some_and(|metadata| metadata.property(VERSION_PROPERTY).is_some());
    if let Some(version) = version.filter(|_| request.version.unwrap_or(0) != 0 || told) {
        metadata = Some(Metadata::with_version(metadata, version));
    }
    if metadata.is_some() || rules.is_some() {
        request.metadata = metadata;
        request.rule_set = rules;
    }
}

/// The metadata are the same, but for a version that only one of them tells and that is right.
fn same_metadata(new: &Content, old: &Version) -> bool {
    let (own, known) = (new.metadata.as_deref(), old.content.metadata.as_deref());
    let version = |metadata: Option<&Metadata>| metadata?.property(VERSION_PROPERTY)?.parse::<i32>().ok();
    let without = |metadata: Option<&Metadata>| Metadata::without_version(metadata);
    let nothing =
        |metadata: Option<&Metadata>| metadata.cloned().filter(|metadata| *metadata != Metadata::default());
    match (version(own), version(known)) {
        (None, Some(_)) => nothing(own) == without(known),
        (Some(told), None) => told == old.number && without(own) == nothing(known),
        _ => own == known,
    }
}

/// The names that a schema reserves.
fn reserved(content: &Content) -> Vec<String> {
    let text = content.metadata.as_ref().and_then(|metadata| metadata.property(RESERVED_PROPERTY));
    let names = text.into_iter().flat_map(|text| text.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Names that the previous version reserves and the new one does not.
fn removed_reservations(new: &Content, previous: Option<&Version>) -> Vec<String> {
    let kept = reserved(new);
    let before = previous.map(|version| reserved(&version.content)).unwrap_or_default();
    let removed = before.into_iter().filter(|name| !kept.contains(name));
    removed
        .map(|name| {
            format!("{{errorType:\"RESERVED_FIELD_REMOVED\", description:\"The new schema has reserved field {name} removed from its metadata which is present in the old schema's metadata.\"}}")
        })
        .collect()
}
