//! What is decided of commands. Everything that takes time, such as reading and comparing schemas, was done before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::{Answer, Associate, Command, Done, Register};
use super::content::Version;
use super::error::RegistryError;
use super::event::{Event, Key, Stored, Value};
use super::settings::{Config, ConfigUpdate, Mode};
use super::state::{Filter, State, Subject, is_context};
use super::subject::{DEFAULT_CONTEXT, Qualified, context_of};
use super::{Registry, Settings};

type Decided = Result<(Vec<Event>, Done), RegistryError>;

/// Decides on a command: the events in order, and the answer.
pub(super) fn decide(registry: &Registry, command: Command) -> (Vec<Event>, Answer) {
    let decider = Decider { state: &registry.state, settings: &registry.settings };
    match decider.decide(command) {
        Ok((events, done)) => (registry.complete(events), Ok(done)),
        Err(error) => (Vec::new(), Err(error)),
    }
}

struct Decider<'a> {
    state: &'a State,
    settings: &'a Settings,
}

impl Decider<'_> {
    fn decide(&self, command: Command) -> Decided {
        match command {
            Command::View => Ok((Vec::new(), Done::View(Box::new(self.state.clone())))),
            Command::Register(register) => self.register(&register),
            Command::DeleteVersion { subject, version, permanent } => {
                self.delete_version(&subject, version, permanent)
            }
            Command::DeleteSubject { subject, permanent } => self.delete_subject(&subject, permanent),
            Command::SetConfig(subject, update) => self.set_config(subject, *update),
            Command::DeleteConfig(subject) => self.delete_config(subject),
            Command::SetMode { subject, mode, force } => self.set_mode(subject, mode, force),
            Command::DeleteMode { subject, recursive } => self.delete_mode(subject, recursive),
            Command::DeleteContext(context) => self.delete_context(&context),
            Command::Associate(associate) => self.associate(&associate),
        }
    }

    fn register(&self, register: &Register) -> Decided {
        if !register.seen.holds(self.state) {
            return Ok((Vec::new(), Done::Stale));
        }
        let mut events = Vec::new();
        let version = self.write_version(register, &mut BTreeMap::new(), &mut events);
        Ok((events, Done::Registered(version)))
    }

    /// The events of a new version. `given` are the ids that this decision has given before, by context.
    fn write_version(
        &self,
        register: &Register,
        given: &mut BTreeMap<String, i32>,
        events: &mut Vec<Event>,
    ) -> Version {
        let Register { subject, content, version, id, .. } = register;
        let name = context_of(subject);
        let context = self.state.contexts.get(name);
        if name != DEFAULT_CONTEXT && !context.is_some_and(|context| context.declared) {
            events.push(Event::put(Key::Context(name.into()), Value::Noted));
        }
        let known = id.or_else(|| self.state.id_of(content.guid, subject).map(|(id, _)| id));
        let id = known.unwrap_or_else(|| {
            let highest = context.map_or(0, |context| context.highest);
            let next = given.entry(name.to_owned()).or_insert(highest);
            *next = next.saturating_add(1);
            *next
        });
        for older in
            self.state.versions(subject).into_iter().flat_map(|versions| versions.filtered(Filter::Deleted))
        {
            let same = older.id == id && older.number < *version;
            if same && self.state.referrers(subject, older.number, Filter::All).is_empty() {
                events.push(Event::removed(Key::Schema(subject.clone(), older.number)));
            }
        }
        let stored = Stored { id, content: content.clone(), deleted: false };
        events.push(Event::put(Key::Schema(subject.clone(), *version), Value::Schema(stored)));
        Version { number: *version, id, content: content.clone(), deleted: false, timestamp: 0 }
    }

    fn check_writable(&self, subject: Option<&str>) -> Result<(), RegistryError> {
        if self.state.mode_in_scope(subject).is_read_only() {
            return Err(read_only(subject));
        }
        Ok(())
    }

    fn delete_version(&self, subject: &str, number: i32, permanent: bool) -> Decided {
        let version = self.version_to_delete(subject, number, permanent)?;
        self.check_writable(Some(subject))?;
        let live =
            self.state.versions(subject).into_iter().flat_map(|versions| versions.filtered(Filter::Live));
        let associated = self.state.associations.keys().any(|key| key.subject == subject);
        if associated && !permanent && live.filter(|other| other.number != version.number).count() == 0 {
            return Err(RegistryError::NoActiveVersion(subject.to_owned()));
        }
        let filter = if permanent { Filter::All } else { Filter::Live };
        if !self.state.referrers(subject, version.number, filter).is_empty() {
            return Err(RegistryError::ReferenceExists(subject.to_owned(), version.number));
        }
        if permanent && !version.deleted {
            return Err(RegistryError::VersionNotSoftDeleted(subject.to_owned(), version.number));
        }
        let key = Key::Schema(subject.into(), version.number);
        let events = if permanent {
            let last = self.state.versions(subject).is_some_and(|versions| versions.all().count() == 1);
            let mut events = vec![Event::removed(key)];
            if last {
                events.extend(self.forget_settings(subject));
            }
            events
        } else {
            let stored = Stored { id: version.id, content: version.content.clone(), deleted: true };
            vec![Event::put(key, Value::Schema(stored))]
        };
        Ok((events, Done::Deleted(vec![version.number])))
    }

    fn version_to_delete(
        &self,
        subject: &str,
        number: i32,
        permanent: bool,
    ) -> Result<&Version, RegistryError> {
        let version = self.state.version(subject, number, Filter::All);
        match version {
            Some(version) if version.deleted && !permanent => {
                Err(RegistryError::VersionSoftDeleted(subject.to_owned(), number))
            }
            Some(version) => Ok(version),
            None if self.state.has_subjects(Some(subject), Filter::All) => {
                Err(RegistryError::VersionNotFound(number))
            }
            None => Err(RegistryError::SubjectNotFound(subject.to_owned())),
        }
    }

    fn forget_settings(&self, subject: &str) -> Vec<Event> {
        let key: Option<Subject> = Some(subject.into());
        let mode = self.state.modes.contains_key(&key).then(|| Event::removed(Key::Mode(key.clone())));
        let config = self.state.configs.contains_key(&key).then(|| Event::removed(Key::Config(key.clone())));
        mode.into_iter().chain(config).collect()
    }

    fn delete_subject(&self, subject: &str, permanent: bool) -> Decided {
        if !self.state.has_subjects(Some(subject), Filter::All) {
            return Err(RegistryError::SubjectNotFound(subject.to_owned()));
        }
        if !permanent && !self.state.has_subjects(Some(subject), Filter::Live) {
            return Err(RegistryError::SubjectSoftDeleted(subject.to_owned()));
        }
        self.check_writable(Some(subject))?;
        if self.state.associations.keys().any(|key| key.subject == subject) {
            return Err(RegistryError::SubjectAssociated(subject.to_owned()));
        }
        self.delete_versions(subject, permanent)
    }

    fn delete_versions(&self, subject: &str, permanent: bool) -> Decided {
        let filter = if permanent { Filter::All } else { Filter::Live };
        let Some(versions) = self.state.versions(subject) else {
            return Ok((Vec::new(), Done::Deleted(Vec::new())));
        };
        for version in versions.filtered(filter) {
            let referring = self.state.referring_subjects(subject, version.number, filter);
            if referring.iter().any(|other| &**other != subject) {
                return Err(RegistryError::ReferenceExists(subject.to_owned(), version.number));
            }
            if permanent && !version.deleted {
                return Err(RegistryError::SubjectNotSoftDeleted(subject.to_owned()));
            }
        }
        let deleted: Vec<i32> = versions.filtered(filter).map(|version| version.number).collect();
        let events = if permanent {
            // Those that refer to others go first.
            let removed =
                deleted.iter().rev().map(|number| Event::removed(Key::Schema(subject.into(), *number)));
            removed.chain(self.forget_settings(subject)).collect()
        } else {
            // Also those that are deleted already: the record takes the place of the one that said so.
            let last = versions.all().map(|version| version.number).max().unwrap_or(0);
            vec![Event::put(Key::DeleteSubject(subject.into()), Value::UpTo(last))]
        };
        Ok((events, Done::Deleted(deleted)))
    }

    fn set_config(&self, subject: Option<String>, update: ConfigUpdate) -> Decided {
        self.check_writable(subject.as_deref())?;
        let key: Option<Subject> = subject.map(Subject::from);
        let config = update.apply(self.state.configs.get(&key).map(|config| &**config));
        let event = Event::put(Key::Config(key), Value::Config(Arc::new(config.clone())));
        Ok((vec![event], Done::Config(Box::new(config))))
    }

    fn delete_config(&self, subject: Option<String>) -> Decided {
        let before = self.state.config(subject.as_deref(), &self.settings.defaults());
        let before: Config = before.ok_or_else(|| not_found(subject.as_deref()))?;
        self.check_writable(subject.as_deref())?;
        let key: Option<Subject> = subject.map(Subject::from);
        let known = self.state.configs.contains_key(&key);
        let events = known.then(|| Event::removed(Key::Config(key))).into_iter().collect();
        Ok((events, Done::Config(Box::new(before))))
    }

    fn check_modes_change(&self) -> Result<(), RegistryError> {
        if self.settings.modes_change {
            return Ok(());
        }
        Err(RegistryError::NotPermitted("Mode changes are not allowed".to_owned()))
    }

    fn set_mode(&self, subject: Option<String>, mode: Option<Mode>, force: bool) -> Decided {
        self.check_modes_change()?;
        let pattern = subject.as_deref();
        let mut events = Vec::new();
        let imports = mode == Some(Mode::Import) && self.state.mode_in_scope(pattern) != Mode::Import;
        if imports && !force {
            if self.state.has_subjects(pattern, Filter::Live) {
                let why = "Cannot import since found existing subjects".to_owned();
                return Err(RegistryError::NotPermitted(why));
            }
            events = self.clear(pattern)?;
        }
        let key: Option<Subject> = subject.as_deref().map(Subject::from);
        events.push(match mode {
            Some(mode) => Event::put(Key::Mode(key), Value::Mode(mode)),
            None => Event::removed(Key::Mode(key)),
        });
        Ok((events, Done::Mode(mode)))
    }

    /// Removes what is deleted softly, so that what is imported finds nothing in its way.
    fn clear(&self, pattern: Option<&str>) -> Result<Vec<Event>, RegistryError> {
        let mut events = Vec::new();
        for (subject, versions) in self.state.matching(pattern) {
            for version in versions.all() {
                if !self.state.referrers(subject, version.number, Filter::All).is_empty() {
                    return Err(RegistryError::ReferenceExists(subject.to_string(), version.number));
                }
                events.push(Event::removed(Key::Schema(subject.clone(), version.number)));
            }
        }
        events.push(Event::put(Key::ClearSubject(pattern.map(Subject::from)), Value::Noted));
        Ok(events)
    }

    fn delete_mode(&self, subject: Option<String>, recursive: bool) -> Decided {
        let before = self.state.mode(subject.as_deref());
        if before.is_none() && !recursive {
            return Err(not_found(subject.as_deref()));
        }
        self.check_modes_change()?;
        let key: Option<Subject> = subject.as_deref().map(Subject::from);
        let mut keys: Vec<Option<Subject>> =
            self.state.modes.contains_key(&key).then_some(key).into_iter().collect();
        if recursive && subject.as_deref().is_none_or(is_context) {
            let context = subject.as_deref().map_or(DEFAULT_CONTEXT, context_of);
            let within = |name: &&Option<Subject>| {
                name.as_deref().is_some_and(|name| context_of(name) == context && !is_context(name))
            };
            keys.extend(self.state.modes.keys().filter(within).cloned());
        }
        let events = keys.into_iter().map(|key| Event::removed(Key::Mode(key))).collect();
        Ok((events, Done::Mode(before)))
    }

    fn delete_context(&self, name: &str) -> Decided {
        if self.state.has_subjects(Some(name), Filter::All) {
            return Err(RegistryError::ContextNotEmpty(name.to_owned()));
        }
        let context = Qualified::of(name).context;
        let declared = self.state.contexts.get(context).is_some_and(|known| known.declared);
        let events = declared.then(|| Event::removed(Key::Context(context.into()))).into_iter().collect();
        Ok((events, Done::Nothing))
    }

    fn associate(&self, associate: &Associate) -> Decided {
        if !associate.seen.holds(self.state) {
            return Ok((Vec::new(), Done::Stale));
        }
        let (mut events, mut given) = (Vec::new(), BTreeMap::new());
        for schema in &associate.schemas {
            self.write_version(schema, &mut given, &mut events);
        }
        for (key, association) in &associate.changes {
            let key = Key::Association(key.clone());
            events.push(match association {
                Some(association) => Event::put(key, Value::Association(association.clone())),
                None => Event::removed(key),
            });
        }
        for subject in &associate.deletions {
            let versions = self.state.versions(subject).into_iter().flat_map(super::state::Versions::all);
            let removed = versions
                .rev()
                .map(|version| Event::removed(Key::Schema(subject.as_str().into(), version.number)));
            events.extend(removed);
            events.extend(self.forget_settings(subject));
        }
        Ok((events, Done::Nothing))
    }
}

fn not_found(subject: Option<&str>) -> RegistryError {
    RegistryError::SubjectNotFound(subject.unwrap_or_default().to_owned())
}

/// Nothing may be written here.
pub(super) fn read_only(subject: Option<&str>) -> RegistryError {
    let context = subject.map(|subject| Qualified::of(subject).prefix()).unwrap_or_default();
    let subject = subject.unwrap_or("null");
    RegistryError::NotPermitted(format!("Subject {subject} in context {context} is in read-only mode"))
}
