//! The seams of transforms and predicates: what happens to a record between a connector and the converters.

use std::fmt;

use crate::error::ConnectError;
use crate::record::Record;

/// Changes records, one at a time. Each task has its own.
pub trait Transform: fmt::Debug + Send {
    /// The record as it goes on; `None` drops it. An error of the kind
    /// [`Data`](crate::error::ErrorKind::Data) concerns this record, and may be tolerated.
    ///
    /// # Errors
    /// When the record cannot be changed.
    fn apply(&mut self, record: Record) -> Result<Option<Record>, ConnectError>;
}

/// Says whether a transform applies to a record.
pub trait Predicate: fmt::Debug + Send {
    /// Whether the record is meant.
    ///
    /// # Errors
    /// When that cannot be told.
    fn test(&mut self, record: &Record) -> Result<bool, ConnectError>;
}
