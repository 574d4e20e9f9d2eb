//! Reading schemas: by the format that they name, with all that they refer to. What was read is kept for a while.
//!
//! Reading and comparing takes time that a text decides over; none of it belongs on a thread that others wait for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest, Md5};

use super::content::{Content, Version};
use super::contract::Reference;
use super::error::RegistryError;
use super::state::{Filter, State};
use super::subject::within;
use crate::schema::{Referenced, Schema, SchemaFormat, SchemaText, Validation};

/// The most schemas that one may refer to, also by way of others.
pub const REFERENCES_MAX: usize = 1000;
/// How deep references may go.
pub const REFERENCE_DEPTH_MAX: usize = 64;
/// The most bytes of a text together with all that it refers to.
pub const RESOLVED_BYTES_MAX: usize = 8 << 20;
/// The most bytes of the texts, with all that they refer to, of the schemas that are kept after they were read. A schema that was
/// read may take two hundred times the memory of its text.
const RECENT_BYTES_MAX: usize = 4 << 20;

/// The formats that there are, and the schemas that were read last.
pub struct Library {
    formats: Vec<Arc<dyn SchemaFormat>>,
    read: Mutex<Recent>,
}

impl fmt::Debug for Library {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Library").field("formats", &self.formats).finish_non_exhaustive()
    }
}

/// The schemas that were read last. When the newer half is full, by number or by bytes, it becomes the older one.
#[derive(Default)]
struct Recent {
    newer: HashMap<[u8; 16], Kept>,
    older: HashMap<[u8; 16], Kept>,
    newer_bytes: usize,
    half: usize,
}

/// A schema that was read, and the bytes of its text with all that it refers to.
#[derive(Clone)]
struct Kept {
    schema: Arc<dyn Schema>,
    bytes: usize,
}

impl Recent {
    fn get(&mut self, key: [u8; 16]) -> Option<Arc<dyn Schema>> {
        if let Some(known) = self.newer.get(&key) {
            return Some(known.schema.clone());
        }
        let known = self.older.remove(&key)?;
        let schema = known.schema.clone();
        self.put(key, known);
        Some(schema)
    }

    fn put(&mut self, key: [u8; 16], kept: Kept) {
        if self.newer.len() >= self.half || self.newer_bytes + kept.bytes > RECENT_BYTES_MAX / 2 {
            self.older = std::mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
        self.newer_bytes += kept.bytes;
        if let Some(same) = self.newer.insert(key, kept) {
            self.newer_bytes -= same.bytes;
        }
    }
}

/// What a schema refers to, read from the state.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// All of it, each after those that it refers to itself.
    pub texts: Vec<Referenced>,
    /// The subjects that it comes from.
    pub subjects: Vec<String>,
    /// What is wrong with a name that refers to several versions; the first one counts.
    pub conflict: Option<String>,
}

impl Library {
    /// A library that keeps up to `kept_max` schemas, fewer of large ones. Of formats with one name the last one counts.
    #[must_use]
    pub fn new(formats: Vec<Arc<dyn SchemaFormat>>, kept_max: usize) -> Library {
        let half = (kept_max / 2).max(1);
        Library { formats, read: Mutex::new(Recent { half, ..Recent::default() }) }
    }

    /// The names of the formats, the newest first, as other registries list them.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for format in self.formats.iter().rev() {
            if !names.contains(&format.name()) {
                names.push(format.name());
            }
        }
        names
    }

    /// Reads a schema.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] with the place in the text, or the formats that there are.
    pub fn read(
        &self,
        format: &str,
        text: &str,
        references: &[Referenced],
        validation: Validation,
    ) -> Result<Arc<dyn Schema>, RegistryError> {
        let key = key_of(format, text, references, validation);
        if let Some(known) = self.recent(|recent| recent.get(key)) {
            return Ok(known);
        }
        let reader = self.formats.iter().rev().find(|known| known.name() == format);
        let reader = reader.ok_or_else(|| {
            let shown: String = format.chars().take(64).collect();
            let message = format!("Invalid schema type {shown}; there are {}", self.names().join(", "));
            RegistryError::InvalidSchema(message)
        })?;
        let parsed = reader.parse(SchemaText { text, references, validation });
        let parsed = parsed.map_err(|error| {
            RegistryError::InvalidSchema(format!("Invalid schema of type {format}, details: {error}"))
        })?;
        let bytes = text.len() + references.iter().map(|reference| reference.text.len()).sum::<usize>();
        let kept = Kept { schema: parsed.clone(), bytes };
        self.recent(|recent| recent.put(key, kept));
        Ok(parsed)
    }

    /// Reads a version that was accepted before.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] when its format is not here, or what it refers to is gone.
    pub fn read_version(
        &self,
        state: &State,
        subject: &str,
        version: &Version,
    ) -> Result<Arc<dyn Schema>, RegistryError> {
        self.read_content(state, subject, &version.content)
    }

    /// Reads content that was accepted before under a subject.
    ///
    /// # Errors
    /// As [`Library::read_version`].
    pub fn read_content(
        &self,
        state: &State,
        subject: &str,
        content: &Content,
    ) -> Result<Arc<dyn Schema>, RegistryError> {
        let mut references = content.references.to_vec();
        let resolved = resolve(state, subject, &mut references, Filter::All)?;
        self.read(&content.format, &content.text, &resolved.texts, Validation::Stored)
    }

    fn recent<T>(&self, act: impl FnOnce(&mut Recent) -> T) -> T {
        act(&mut self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn key_of(format: &str, text: &str, references: &[Referenced], validation: Validation) -> [u8; 16] {
    let mut hash = Md5::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(format.as_bytes());
    part(&[validation as u8]);
    part(text.as_bytes());
    for reference in references {
        part(reference.name.as_bytes());
        part(reference.text.as_bytes());
    }
    hash.finalize().into()
}

/// Finds what a schema refers to. A version of -1 becomes the latest one.
///
/// # Errors
/// [`RegistryError::InvalidSchema`] when something is not there, goes round in a circle, or is too much.
pub fn resolve(
    state: &State,
    subject: &str,
    references: &mut [Reference],
    filter: Filter,
) -> Result<Resolved, RegistryError> {
    let mut search = Search {
        state,
        filter,
        names: HashMap::new(),
        open: Vec::new(),
        bytes: 0,
        found: Resolved::default(),
    };
    search.all(subject, references)?;
    Ok(search.found)
}

struct Search<'a> {
    state: &'a State,
    filter: Filter,
    /// The first schema of a name counts.
    names: HashMap<String, i32>,
    /// The versions that are being looked into.
    open: Vec<(String, i32)>,
    bytes: usize,
    found: Resolved,
}

impl Search<'_> {
    fn all(&mut self, subject: &str, references: &mut [Reference]) -> Result<(), RegistryError> {
        for reference in references {
            self.one(subject, reference)?;
        }
        Ok(())
    }

    fn one(&mut self, subject: &str, reference: &mut Reference) -> Result<(), RegistryError> {
        if reference.name.is_empty() || reference.version == 0 || reference.version < -1 {
            let Reference { name, subject, version } = reference;
            return Err(invalid(&format!(
                "Invalid reference: {{name='{name}', subject='{subject}', version={version}}}"
            )));
        }
        let target = within(subject, &reference.subject);
        let version = self.state.version(&target, reference.version, self.filter).ok_or_else(|| {
            let number = reference.version;
            invalid(&format!("No schema reference found for subject \"{target}\" and version {number}"))
        })?;
        reference.version = version.number;
        let known = self.names.len();
        if !self.found.subjects.contains(&target) {
            self.found.subjects.push(target.clone());
        }
        let place = (target, version.number);
        if self.open.contains(&place) {
            return Err(invalid(&format!(
                "The references of \"{}\" version {} lead back to it",
                place.0, place.1
            )));
        }
        let first = *self.names.entry(reference.name.clone()).or_insert(version.number);
        if self.names.len() == known {
            if first != version.number && self.found.conflict.is_none() {
                let (name, other) = (&reference.name, version.number);
                self.found.conflict = Some(format!(
                    "Conflicting reference versions for \"{name}\": version {first} and version {other}"
                ));
            }
            return Ok(());
        }
        self.bytes += version.content.text.len();
        if self.open.len() >= REFERENCE_DEPTH_MAX
            || self.names.len() > REFERENCES_MAX
            || self.bytes > RESOLVED_BYTES_MAX
        {
            return Err(invalid(&format!(
                "The references go over {REFERENCE_DEPTH_MAX} levels, {REFERENCES_MAX} schemas or {RESOLVED_BYTES_MAX} bytes"
            )));
        }
        let (content, parent) = (version.content.clone(), place.0.clone());
        self.open.push(place);
        self.all(&parent, &mut content.references.to_vec())?;
        self.open.pop();
        let text = content.text.to_string();
        self.found.texts.push(Referenced { name: reference.name.clone(), text });
        Ok(())
    }
}

fn invalid(why: &str) -> RegistryError {
    RegistryError::InvalidSchema(why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::super::testing::WordsFormat;
    use super::*;

    #[test]
    fn schemas_that_were_read_are_kept_up_to_their_number_and_their_bytes() {
        // The bytes of a text, those of what it refers to, how many are read, and how many of them are kept.
        for (bytes, referenced, read, kept) in [
            (1 << 10, 0, 90, 90),
            (1 << 10, 0, 1000, 100),
            (1 << 20, 0, 8, 4),
            (1 << 10, 1 << 20, 8, 2),
            (RECENT_BYTES_MAX, 0, 3, 2),
        ] {
            let library = Library::new(vec![Arc::new(WordsFormat)], 100);
            let text = |number: usize| format!("{number:08}{}", "x".repeat(bytes - 8));
            let references = [Referenced { name: "r".to_owned(), text: "r".repeat(referenced) }];
            let schemas: Vec<Weak<dyn Schema>> = (0..read)
                .map(|number| {
                    let schema = library.read("WORDS", &text(number), &references, Validation::Stored);
                    Arc::downgrade(&schema.unwrap())
                })
                .collect();
            let alive = schemas.iter().filter(|schema| schema.strong_count() > 0).count();
            assert_eq!(alive, kept, "{read} of {bytes} and {referenced} bytes");
            let again = library.read("WORDS", &text(read - 1), &references, Validation::Stored).unwrap();
            assert!(std::ptr::addr_eq(Arc::as_ptr(&again), schemas.last().unwrap().as_ptr()));
        }
    }
}
