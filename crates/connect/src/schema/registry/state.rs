//! What the registry knows. A copy costs nothing, so that whoever answers reads keeps one and disturbs nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use vltava_core::id::Offset;

use super::association::{Association, AssociationKey};
use super::content::Version;
use super::event::{Event, Key, Stored, Value};
use super::settings::{Config, Mode};
use super::subject::{DEFAULT_CONTEXT, GLOBAL_CONTEXT, Qualified, context_of, matches};
use crate::schema::wire::Guid;

/// The name of a subject, shared by everything that knows it.
pub type Subject = Arc<str>;

/// Everything that the registry knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub(super) subjects: OrdMap<Subject, Arc<Versions>>,
    pub(super) contexts: OrdMap<Arc<str>, Context>,
    /// Settings of nobody are those of everybody.
    pub(super) configs: OrdMap<Option<Subject>, Arc<Config>>,
    pub(super) modes: OrdMap<Option<Subject>, Mode>,
    /// Who refers to a version of a subject: contexts and ids.
    pub(super) referrers: OrdMap<(Subject, i32), Referrers>,
    pub(super) associations: OrdMap<AssociationKey, Arc<Association>>,
    /// The last change of settings or associations, on which much depends.
    pub(super) settings_changed: Option<Offset>,
}

/// Schemas by context and id.
pub(super) type Referrers = OrdSet<(Arc<str>, i32)>;

/// The versions of a subject, in order; there is at least one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Versions {
    pub(super) list: Vec<Version>,
    /// The last change of any of them.
    pub(super) changed: Option<Offset>,
}

/// The ids of a context.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Context {
    pub(super) ids: OrdMap<i32, Arc<Id>>,
    pub(super) guids: OrdSet<(Guid, i32)>,
    /// The highest id that was ever given.
    pub(super) highest: i32,
    /// The highest id that is written down on its own, because its schema may be gone.
    pub(super) written: i32,
    /// A record says that the context exists.
    pub(super) declared: bool,
}

/// Where a schema stands: under each subject, the version that was written last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Id {
    pub(super) places: Vec<(Subject, i32)>,
}

/// Which versions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Those that are not deleted.
    Live,
    /// All.
    All,
    /// Those that are deleted softly.
    Deleted,
}

impl Filter {
    /// As the parameters `deleted` and `deletedOnly` say.
    #[must_use]
    pub fn of(deleted: bool, only: bool) -> Filter {
        match (deleted, only) {
            (_, true) => Filter::Deleted,
            (true, false) => Filter::All,
            (false, false) => Filter::Live,
        }
    }

    pub(super) fn takes(self, deleted: bool) -> bool {
        match self {
            Filter::Live => !deleted,
            Filter::All => true,
            Filter::Deleted => deleted,
        }
    }
}

impl Versions {
    /// All, in order.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.list.iter()
    }

    /// Those that count, in order.
    pub fn filtered(&self, filter: Filter) -> impl DoubleEndedIterator<Item = &Version> {
        self.list.iter().filter(move |version| filter.takes(version.deleted))
    }

    /// One of them, deleted or not.
    #[must_use]
    pub fn get(&self, number: i32) -> Option<&Version> {
        let at = self.list.binary_search_by_key(&number, |version| version.number).ok()?;
        self.list.get(at)
    }

    /// The last one that is not deleted.
    #[must_use]
    pub fn latest(&self) -> Option<&Version> {
        self.filtered(Filter::Live).next_back()
    }
}

impl Context {
    /// The id of content: the first one, if others gave it several.
    fn id_of(&self, guid: Guid) -> Option<i32> {
        self.guids.range((guid, i32::MIN)..).next().filter(|(known, _)| *known == guid).map(|(_, id)| *id)
    }
}

impl State {
    /// The versions of a subject; `None` when there were never any, or all are deleted for good.
    #[must_use]
    pub fn versions(&self, subject: &str) -> Option<&Versions> {
        self.subjects.get(subject).map(|versions| &**versions)
    }

    /// A version of a subject; -1 is the latest one.
    #[must_use]
    pub fn version(&self, subject: &str, number: i32, filter: Filter) -> Option<&Version> {
        let versions = self.versions(subject)?;
        match number {
            -1 => versions.latest(),
            number => versions.get(number).filter(|version| filter.takes(version.deleted)),
        }
    }

    /// The latest version of a subject whose metadata have these properties.
    #[must_use]
    pub fn latest_with(
        &self,
        subject: &str,
        properties: &BTreeMap<String, String>,
        filter: Filter,
    ) -> Option<&Version> {
        let fits = |version: &&Version| {
            let metadata = version.content.metadata.as_deref();
            metadata.is_some_and(|metadata| {
                metadata.properties.is_some()
                    && properties.iter().all(|(name, value)| metadata.property(name) == Some(value))
            })
        };
        self.versions(subject)?.filtered(filter).rev().find(fits)
    }

    /// The subjects whose name begins like this ([`has_prefix`](super::subject::has_prefix)), with their versions, in order.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a Subject, &'a Versions)> + use<'a> {
        let everywhere = prefix.starts_with(super::subject::ANY_CONTEXT);
        let start: &str = if everywhere { "" } else { prefix };
        self.subjects
            .range(Subject::from(start)..)
            .take_while(move |(subject, _)| everywhere || subject.starts_with(prefix))
            .filter(move |(subject, _)| super::subject::has_prefix(subject, prefix))
            .map(|(subject, versions)| (subject, &**versions))
    }

    /// The subjects that are meant by a name: itself, or those of the context that it is.
    pub fn matching<'a>(
        &'a self,
        pattern: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = (&'a Subject, &'a Versions)> + 'a> {
        let all = self.subjects.iter().map(|(subject, versions)| (subject, &**versions));
        match pattern {
            Some(name) if !is_context(name) => Box::new(
                self.subjects
                    .get_key_value(name)
                    .into_iter()
                    .map(|(subject, versions)| (subject, &**versions)),
            ),
            pattern => Box::new(all.filter(move |(subject, _)| matches(pattern, subject))),
        }
    }

    /// Whether there is a version under a subject, or in the context that it is.
    #[must_use]
    pub fn has_subjects(&self, pattern: Option<&str>, filter: Filter) -> bool {
        self.matching(pattern).any(|(_, versions)| versions.filtered(filter).next().is_some())
    }

    /// The contexts, the default one first.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        let others =
            self.contexts.iter().filter(|(name, context)| &***name != DEFAULT_CONTEXT && context.declared);
        std::iter::once(DEFAULT_CONTEXT).chain(others.map(|(name, _)| &**name))
    }

    /// The highest id that was given in the context of a subject; 1 when none was, as other registries say it.
    #[must_use]
    pub fn highest_id(&self, subject: &str) -> i32 {
        self.contexts.get(context_of(subject)).map_or(1, |context| context.highest.max(1))
    }

    /// A place of an id in the context of `subject`: under that subject if it names one, else anywhere.
    pub(super) fn place_of_id(&self, id: i32, subject: &str) -> Option<(&Subject, i32)> {
        let qualified = Qualified::of(subject);
        let places = &self.contexts.get(qualified.context)?.ids.get(&id)?.places;
        let mut places = places.iter().map(|(subject, version)| (subject, *version));
        if qualified.name.is_empty() { places.next() } else { places.find(|(name, _)| &***name == subject) }
    }

    /// A version that has this id: under `subject`, else under that name in any context, else anywhere in its context. Without
    /// a subject, in the default context.
    #[must_use]
    pub fn by_id(&self, id: i32, subject: Option<&str>) -> Option<(&Subject, &Version)> {
        let asked = subject.unwrap_or("");
        let qualified = Qualified::of(asked);
        let place = self.place_of_id(id, asked);
        let place = if place.is_some() || qualified.name.is_empty() || !qualified.in_default() {
            place
        } else {
            self.declared()
                .find_map(|context| {
                    self.place_of_id(id, &Qualified { context, name: qualified.name }.to_string())
                })
                .or_else(|| self.place_of_id(id, ""))
        };
        let (subject, number) = place?;
        Some((subject, self.versions(subject)?.get(number)?))
    }

    /// Contexts besides the default one.
    pub(super) fn declared(&self) -> impl Iterator<Item = &str> {
        self.contexts().skip(1)
    }

    /// Every place of the schema with this id, as [`State::by_id`] finds it.
    #[must_use]
    pub fn places(&self, id: i32, subject: Option<&str>, filter: Filter) -> Option<Vec<(Subject, i32)>> {
        let (found, _) = self.by_id(id, subject)?;
        let places = &self.contexts.get(context_of(found))?.ids.get(&id)?.places;
        let counts = |(subject, number): &&(Subject, i32)| self.version(subject, *number, filter).is_some();
        Some(places.iter().filter(counts).cloned().collect())
    }

    /// The ids of content, by context.
    #[must_use]
    pub fn ids_of(&self, guid: Guid) -> Vec<(&str, i32)> {
        let id_in = |context| {
            let id = self.contexts.get(context)?.id_of(guid)?;
            Some((context, id))
        };
        self.contexts().filter_map(id_in).collect()
    }

    /// The id that content has in a context, with the version of `subject` that has it.
    pub(super) fn id_of(&self, guid: Guid, subject: &str) -> Option<(i32, Option<i32>)> {
        let context = self.contexts.get(context_of(subject))?;
        let id = context.id_of(guid)?;
        let places = &context.ids.get(&id)?.places;
        let version = places.iter().find(|(name, _)| &**name == subject).map(|(_, version)| *version);
        Some((id, version))
    }

    /// The ids of the schemas that refer to a version, in order. Those that are deleted softly count when `filter` says so.
    #[must_use]
    pub fn referrers(&self, subject: &str, number: i32, filter: Filter) -> Vec<(Arc<str>, i32)> {
        let Some(all) = self.referrers.get(&(Subject::from(subject), number)) else { return Vec::new() };
        let counts = |(context, id): &&(Arc<str>, i32)| {
            let places = self.contexts.get(context).and_then(|context| context.ids.get(id));
            places.is_some_and(|known| {
                known.places.iter().any(|(subject, number)| self.version(subject, *number, filter).is_some())
            })
        };
        all.iter().filter(counts).cloned().collect()
    }

    /// The subjects under which schemas refer to a version.
    pub(super) fn referring_subjects(&self, subject: &str, number: i32, filter: Filter) -> Vec<Subject> {
        let places = |(context, id): (Arc<str>, i32)| {
            let known = self.contexts.get(&context).and_then(|context| context.ids.get(&id).cloned());
            known.map(|known| known.places.clone()).unwrap_or_default()
        };
        let counts = |(subject, number): &(Subject, i32)| self.version(subject, *number, filter).is_some();
        let all = self.referrers(subject, number, filter).into_iter().flat_map(places);
        all.filter(counts).map(|(subject, _)| subject).collect()
    }

    /// What is set for exactly this; for everything the defaults count, too.
    #[must_use]
    pub fn config(&self, subject: Option<&str>, defaults: &Config) -> Option<Config> {
        let own = self.configs.get(&subject.map(Subject::from));
        let everybody = subject.is_none_or(|subject| context_of(subject) == GLOBAL_CONTEXT);
        own.map(|own| with_level(own, defaults)).or_else(|| everybody.then(|| defaults.clone()))
    }

    /// What counts for a subject: its own settings over those for everything; or those of its context, or those for
    /// everything.
    #[must_use]
    pub fn config_in_scope(&self, subject: Option<&str>, defaults: &Config) -> Config {
        if let Some(subject) = subject
            && let Some(own) = self.config(Some(subject), defaults)
        {
            let wider = self.config(None, defaults).unwrap_or_default();
            return own.over(&wider);
        }
        let found = scopes(subject).find_map(|scope| self.configs.get(&scope));
        found.map_or_else(|| defaults.clone(), |found| with_level(found, defaults))
    }

    /// The mode that is set for exactly this; for everything the default counts, too.
    #[must_use]
    pub fn mode(&self, subject: Option<&str>) -> Option<Mode> {
        let own = self.modes.get(&subject.map(Subject::from)).copied();
        let everybody = subject.is_none_or(|subject| context_of(subject) == GLOBAL_CONTEXT);
        own.or_else(|| everybody.then(Mode::default))
    }

    /// The mode that counts for a subject.
    #[must_use]
    pub fn mode_in_scope(&self, subject: Option<&str>) -> Mode {
        let scopes = std::iter::once(subject.map(Subject::from)).chain(scopes(subject));
        let mut scopes = scopes.map(|scope| self.modes.get(&scope).copied());
        // The older way to close everything counts over all others.
        match self.modes.get(&None) {
            Some(Mode::ReadOnlyOverride) => Mode::ReadOnlyOverride,
            _ => scopes.find_map(|mode| mode).unwrap_or_default(),
        }
    }

    /// The subject that answers for this one.
    #[must_use]
    pub fn behind_alias(&self, subject: &str) -> String {
        let config = self.configs.get(&Some(Subject::from(subject)));
        let alias = config.and_then(|config| config.alias.as_deref()).filter(|alias| !alias.is_empty());
        alias.map_or_else(|| subject.to_owned(), |alias| super::subject::within(subject, alias))
    }

    /// The subjects that have an alias, with the subject that answers for them.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, String)> {
        let alias = |(subject, config): (&'_ Option<Subject>, &'_ Arc<Config>)| {
            let alias = config.alias.clone().filter(|alias| !alias.is_empty())?;
            Some((subject.clone()?, alias))
        };
        self.configs.iter().filter_map(move |(subject, config)| {
            alias((subject, config)).and_then(|(name, alias)| {
                subject.as_deref().map(|subject| (subject, super::subject::within(&name, &alias)))
            })
        })
    }

    /// Every association.
    pub fn associations(&self) -> impl Iterator<Item = (&AssociationKey, &Association)> {
        self.associations.iter().map(|(key, association)| (key, &**association))
    }

    /// The associations of a subject.
    pub fn associations_of<'a>(
        &'a self,
        subject: &'a str,
    ) -> impl Iterator<Item = (&'a AssociationKey, &'a Association)> {
        self.associations().filter(move |(key, _)| key.subject == subject)
    }

    /// How much there is: subjects, versions that are not deleted, deleted versions, ids.
    #[must_use]
    pub fn size(&self) -> Size {
        let mut size = Size { subjects: self.subjects.len(), ..Size::default() };
        for versions in self.subjects.values() {
            for version in &versions.list {
                if version.deleted { size.deleted += 1 } else { size.versions += 1 }
            }
        }
        size.ids = self.contexts.values().map(|context| context.ids.len()).sum();
        size
    }
}

/// How much a registry holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Subjects with at least one version, deleted or not.
    pub subjects: usize,
    /// Versions that are not deleted.
    pub versions: usize,
    /// Versions that are deleted softly.
    pub deleted: usize,
    /// Distinct schemas, over all contexts.
    pub ids: usize,
}

fn with_level(config: &Config, defaults: &Config) -> Config {
    let mut config = config.clone();
    config.compatibility_level = config.compatibility_level.or(defaults.compatibility_level);
    config
}

/// A name without a name in its context is the context.
pub(super) fn is_context(subject: &str) -> bool {
    Qualified::of(subject).name.is_empty()
}

/// Where else settings are looked up: in the context of the subject, or for everything, and for all contexts.
fn scopes(subject: Option<&str>) -> impl Iterator<Item = Option<Subject>> + use<> {
    let context = subject.map(Qualified::of).filter(|qualified| !qualified.in_default());
    let nearer = context.map(|qualified| Subject::from(qualified.prefix()));
    [nearer, Some(Subject::from(format!(":{GLOBAL_CONTEXT}:")))].into_iter()
}

impl State {
    /// The events that build this from nothing.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (name, context) in &self.contexts {
            if context.declared {
                events.push(Event::put(Key::Context(name.clone()), Value::Noted));
            }
            if context.written > 0 {
                events.push(Event::put(Key::Highest(name.clone()), Value::UpTo(context.written)));
            }
        }
        for (subject, versions) in &self.subjects {
            for version in versions.all() {
                let stored =
                    Stored { id: version.id, content: version.content.clone(), deleted: version.deleted };
                events.push(Event::put(Key::Schema(subject.clone(), version.number), Value::Schema(stored)));
            }
        }
        for (subject, config) in &self.configs {
            events.push(Event::put(Key::Config(subject.clone()), Value::Config(config.clone())));
        }
        for (subject, mode) in &self.modes {
            events.push(Event::put(Key::Mode(subject.clone()), Value::Mode(*mode)));
        }
        for (key, association) in &self.associations {
            let association = Arc::new(Association { updated: 0, ..(**association).clone() });
            events.push(Event::put(Key::Association(key.clone()), Value::Association(association)));
        }
        events
    }
}
