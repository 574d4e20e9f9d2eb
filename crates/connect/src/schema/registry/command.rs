//! What a registry is asked to change, and what it answers.

use std::sync::Arc;

use vltava_core::id::Offset;

use super::association::{Association, AssociationKey};
use super::content::{Content, Version};
use super::error::RegistryError;
use super::settings::{Config, ConfigUpdate, Mode};
use super::state::{State, Subject};

/// Something to do. Subjects are normalised.
#[derive(Clone, Debug)]
pub enum Command {
    /// Hands out the state, as far as it is committed.
    View,
    /// Writes a version that [`plan`](super::plan) has found right.
    Register(Register),
    /// Deletes a version, -1 being the latest one.
    DeleteVersion {
        /// Of this subject.
        subject: String,
        /// Which one.
        version: i32,
        /// For good; it has to be deleted softly first.
        permanent: bool,
    },
    /// Deletes all versions of a subject.
    DeleteSubject {
        /// Which one.
        subject: String,
        /// For good; it has to be deleted softly first.
        permanent: bool,
    },
    /// Changes settings.
    SetConfig(Option<String>, Box<ConfigUpdate>),
    /// Forgets settings.
    DeleteConfig(Option<String>),
    /// Changes a mode; none forgets it.
    SetMode {
        /// Of this subject, or of everything.
        subject: Option<String>,
        /// To this.
        mode: Option<Mode>,
        /// To import beside schemas that are there.
        force: bool,
    },
    /// Forgets a mode.
    DeleteMode {
        /// Of this subject, or of everything.
        subject: Option<String>,
        /// With those of all subjects in the context that it is.
        recursive: bool,
    },
    /// Forgets a context that is empty.
    DeleteContext(String),
    /// Changes associations that were found right.
    Associate(Associate),
}

/// A version to be written, as long as nothing that it depends on has changed.
#[derive(Clone, Debug)]
pub struct Register {
    /// Under this subject.
    pub subject: Subject,
    /// This.
    pub content: Arc<Content>,
    /// As this version.
    pub version: i32,
    /// With this id; none gives it the id that it has, or the next one.
    pub id: Option<i32>,
    /// What it was found right by.
    pub seen: Seen,
}

/// Associations to be written, as long as nothing that they depend on has changed.
#[derive(Clone, Debug)]
pub struct Associate {
    /// What they are now; none removes one.
    pub changes: Vec<(AssociationKey, Option<Arc<Association>>)>,
    /// Schemas to be written with them.
    pub schemas: Vec<Register>,
    /// Subjects to be deleted for good with them.
    pub deletions: Vec<String>,
    /// What they were found right by.
    pub seen: Seen,
}

impl Associate {
    /// Nothing is to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.schemas.is_empty() && self.deletions.is_empty()
    }
}

/// How the state stood when something was decided outside: whatever could change the decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// When the subjects were changed last.
    pub subjects: Vec<(Subject, Option<Offset>)>,
    /// When settings were changed last.
    pub settings: Option<Offset>,
}

impl Seen {
    /// The settings of this state, and no subject yet.
    #[must_use]
    pub fn of(state: &State) -> Seen {
        Seen { subjects: Vec::new(), settings: state.settings_changed }
    }

    /// Also depends on a subject.
    pub fn note(&mut self, state: &State, subject: &str) {
        if self.subjects.iter().all(|(known, _)| &**known != subject) {
            let changed = state.versions(subject).and_then(|versions| versions.changed);
            self.subjects.push((subject.into(), changed));
        }
    }

    /// Nothing has changed since.
    #[must_use]
    pub fn holds(&self, state: &State) -> bool {
        let same = |(subject, seen): &(Subject, Option<Offset>)| {
            state.versions(subject).and_then(|versions| versions.changed) == *seen
        };
        self.settings == state.settings_changed && self.subjects.iter().all(same)
    }
}

/// What became of a command.
pub type Answer = Result<Done, RegistryError>;

/// What was done.
#[derive(Clone, Debug)]
pub enum Done {
    /// The state.
    View(Box<State>),
    /// The version that was written.
    Registered(Version),
    /// What the command depends on has changed: look again.
    Stale,
    /// The versions that were deleted.
    Deleted(Vec<i32>),
    /// The settings that count now, or that were deleted.
    Config(Box<Config>),
    /// The mode that counts now, or that was deleted.
    Mode(Option<Mode>),
    /// Nothing else to say.
    Nothing,
}
