//! The schema registry as a state machine over the compacted topic [`SCHEMAS_TOPIC`].
//!
//! It owns subjects and their versions, ids, settings, modes, contexts and associations, in the records that other
//! registries write and read. It refuses to read schemas: [`plan`] does, outside of the machine and with time of its own, and
//! what it finds right the machine writes only while nothing has changed that it was found right by ([`Seen`]).
//!
//! Invariants, tested by tables and by schedules of random commands with a second writer, compaction and deletions:
//!
//! 1. An id is given once in a context, and never again: not after a deletion for good, a replay, or compaction.
//! 2. The same content has the same id under all subjects of a context, as long as any of its versions is there.
//! 3. A version that others refer to is not deleted.
//! 4. Records of others, whatever they hold, are applied or skipped; none of them stops the registry.
//!
//! Why reads do not come here: [`Command::View`] hands out the whole state, which costs nothing as its maps share their
//! parts. Whoever answers reads keeps it for as long as the log ends where it ended then.

mod apply;
pub mod associate;
pub mod association;
pub mod command;
pub mod content;
pub mod contract;
mod decide;
pub mod error;
pub mod event;
pub mod library;
pub mod plan;
mod record;
pub mod settings;
pub mod state;
pub mod subject;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::Bytes;
use imbl::OrdMap;
use vltava_core::image::Image;
use vltava_core::machine::{Context, Decision, DecodeError, Encoded, Entry, Place, Reply, StateMachine};

pub use command::{Answer, Command, Done, Register, Seen};
pub use error::RegistryError;
use event::{Event, Key, Value};
use settings::{CompatibilityLevel, Config};
use state::{Filter, State};
use subject::context_of;

/// The topic that holds everything, in one partition.
pub const SCHEMAS_TOPIC: &str = "_schemas";

/// What a registry is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The level where none is set.
    pub level: CompatibilityLevel,
    /// Modes may be changed (`mode.mutability`).
    pub modes_change: bool,
    /// Subjects without a name, and `*`, are refused (`schema.reject.empty.subject`).
    pub subjects_have_names: bool,
    /// A name refers to one version in all that a new schema refers to (`schema.providers.reference.versions.strict`).
    pub one_version_of_each: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            level: CompatibilityLevel::Backward,
            modes_change: true,
            subjects_have_names: false,
            one_version_of_each: false,
        }
    }
}

impl Settings {
    /// What counts where nothing is set.
    #[must_use]
    pub fn defaults(&self) -> Config {
        Config::of_level(self.level)
    }
}

/// The schema registry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    settings: Settings,
    state: State,
    /// How others wrote keys that are still in force, where we write them in another way.
    forms: OrdMap<Key, BTreeSet<Bytes>>,
}

impl Registry {
    /// A registry that knows nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Registry {
        Registry { settings, ..Registry::default() }
    }

    /// What it knows.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Adds what has to be written along: the highest id of a context whose schema goes, and the removal of keys that others
    /// wrote in their way.
    fn complete(&self, events: Vec<Event>) -> Vec<Event> {
        let mut all = Vec::with_capacity(events.len());
        let mut after = BTreeSet::new();
        for event in events {
            if let Key::Schema(subject, number) = &event.key
                && let Some(before) = self.state.version(subject, *number, Filter::All)
                && !matches!(&event.value, Some(Value::Schema(stored)) if stored.id == before.id)
            {
                after.insert(context_of(subject).to_owned());
            }
            let forms = self.forms.get(&event.key).into_iter().flatten();
            let forms =
                forms.map(|form| Event { form: Some(form.clone()), ..Event::removed(event.key.clone()) });
            all.extend(forms);
            all.push(event);
        }
        let highest = after.into_iter().filter_map(|name| {
            let context = self.state.contexts.get(&*name)?;
            let unwritten = context.written < context.highest;
            unwritten.then(|| Event::put(Key::Highest(name.into()), Value::UpTo(context.highest)))
        });
        highest.chain(all).collect()
    }

    /// The highest ids that no record holds any more, because others deleted their schemas for good.
    fn unwritten(&self) -> Vec<Event> {
        let contexts = self.state.contexts.iter();
        contexts
            .filter(|(_, context)| {
                context.written < context.highest && !context.ids.contains_key(&context.highest)
            })
            .map(|(name, context)| Event::put(Key::Highest(name.clone()), Value::UpTo(context.highest)))
            .collect()
    }
}

impl StateMachine for Registry {
    type Command = Command;
    type Answer = Answer;
    type Event = Event;
    type Key = ();
    type Effect = ();
    const SHARED_LOG: bool = true;

    fn decide(&self, _context: &Context<'_>, command: Command) -> Decision<Registry> {
        let (events, answer) = decide::decide(self, command);
        Decision::with(events, Reply::Committed(answer))
    }

    fn apply(&mut self, event: &Event, place: Place) {
        match (&event.form, &event.value) {
            (Some(form), Some(_)) => {
                self.forms.entry(event.key.clone()).or_default().insert(form.clone());
            }
            (Some(form), None) => {
                if let Some(forms) = self.forms.get_mut(&event.key) {
                    forms.remove(form);
                    if forms.is_empty() {
                        self.forms.remove(&event.key);
                    }
                }
            }
            (None, _) => {}
        }
        self.state.apply(event, place);
    }

    fn encode(&self, event: &Event, _image: &Image) -> Encoded {
        record::encode(event)
    }

    fn decode(&self, entry: Entry<'_>) -> Result<Option<Event>, DecodeError> {
        record::decode(entry)
    }

    fn loaded(&self, _context: &Context<'_>) -> Decision<Registry> {
        Decision::with(self.unwritten(), Reply::Nobody)
    }

    fn snapshot(&self) -> Vec<Event> {
        self.state.events()
    }
}
