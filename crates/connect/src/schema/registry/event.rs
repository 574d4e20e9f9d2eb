//! What happens in a registry: each event is one record.

use std::sync::Arc;

use bytes::Bytes;

use super::association::{Association, AssociationKey};
use super::content::Content;
use super::settings::{Config, Mode};
use super::state::Subject;

/// A record of the topic: something is said, or said no more.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// About what.
    pub key: Key,
    /// What; nothing ends what was said before.
    pub value: Option<Value>,
    /// How the key was written, when that is not how we write it.
    pub form: Option<Bytes>,
}

impl Event {
    pub(super) fn put(key: Key, value: Value) -> Event {
        Event { key, value: Some(value), form: None }
    }

    pub(super) fn removed(key: Key) -> Event {
        Event { key, value: None, form: None }
    }
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A version of a subject.
    Schema(Subject, i32),
    /// The settings of a subject, or of everything.
    Config(Option<Subject>),
    /// The mode of a subject, or of everything.
    Mode(Option<Subject>),
    /// The versions of a subject up to one are deleted softly.
    DeleteSubject(Subject),
    /// The softly deleted versions of a subject are gone.
    ClearSubject(Option<Subject>),
    /// A context exists.
    Context(Arc<str>),
    /// The highest id of a context.
    Highest(Arc<str>),
    /// An association.
    Association(AssociationKey),
}

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a version.
    Schema(Stored),
    /// Of settings.
    Config(Arc<Config>),
    /// Of a mode.
    Mode(Mode),
    /// A version, or an id.
    UpTo(i32),
    /// Only that.
    Noted,
    /// Of an association.
    Association(Arc<Association>),
}

/// A version as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The id of the schema.
    pub id: i32,
    /// The schema.
    pub content: Arc<Content>,
    /// It is deleted softly.
    pub deleted: bool,
}
