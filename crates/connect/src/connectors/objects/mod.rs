//! Connectors of object stores: a sink, and a source that reads what it wrote.
//!
//! A store is a folder, the memory of the process, or one of a cloud (cargo feature `cloud`). What may pass is tried again,
//! first by the client of the store and then by the worker; what a store refuses (credentials, names, formats of requests)
//! ends the task, so that its status says why.

#[cfg(feature = "cloud")]
mod cloud;
mod container;
mod content;
#[cfg(feature = "cloud")]
mod http;
mod listing;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "cloud")]
mod profile;
mod sink;
mod source;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{Error, ObjectStore};

pub(super) use self::sink::ObjectSink;
pub(super) use self::source::ObjectSource;
use super::Allowed;
use crate::error::ConnectError;
use crate::settings::{FieldError, Kind, Setting, Values};

/// The setting that says which store.
const URL: &str = "store.url";

/// The stores that connectors may open.
#[derive(Debug)]
pub(super) struct Stores {
    allowed: Arc<Allowed>,
    /// The store of `memory:///`.
    memory: Arc<dyn ObjectStore>,
}

impl Stores {
    pub(super) fn new(allowed: &Arc<Allowed>) -> Arc<Self> {
        Self::with_memory(allowed, Arc::new(InMemory::new()))
    }

    /// With a store in the place of memory.
    fn with_memory(allowed: &Arc<Allowed>, memory: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { allowed: Arc::clone(allowed), memory })
    }

    /// Opens the store that settings name. Nothing is asked of it yet.
    ///
    /// # Errors
    /// All that is wrong with the settings.
    fn open(&self, values: &Values) -> Result<Arc<dyn ObjectStore>, Vec<FieldError>> {
        let url = values.string(URL).unwrap_or_default();
        let refuse = |why: String| vec![FieldError::new(URL, why)];
        match url.split_once("://") {
            Some(("memory", "/")) => Ok(Arc::clone(&self.memory)),
            Some(("file", path)) if path.starts_with('/') => self.folder(path).map_err(refuse),
            Some((scheme @ ("s3" | "gs" | "az"), place)) => self.cloud(scheme, place, values),
            _ => Err(refuse(format!("An address is one of {ADDRESSES}"))),
        }
    }

    fn folder(&self, path: &str) -> Result<Arc<dyn ObjectStore>, String> {
        self.allowed.check(&PathBuf::from(path))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
        Ok(Arc::new(store.with_fsync(true)))
    }

    #[cfg(feature = "cloud")]
    fn cloud(
        &self,
        scheme: &str,
        place: &str,
        values: &Values,
    ) -> Result<Arc<dyn ObjectStore>, Vec<FieldError>> {
        cloud::open(scheme, place, values, &self.allowed)
    }

    #[cfg(not(feature = "cloud"))]
    fn cloud(&self, scheme: &str, _: &str, _: &Values) -> Result<Arc<dyn ObjectStore>, Vec<FieldError>> {
        let why = format!("This build reaches no {scheme}://: it lacks the cargo feature cloud");
        Err(vec![FieldError::new(URL, why)])
    }

    /// [`Stores::open`] where the settings were validated before.
    fn open_valid(&self, values: &Values) -> Result<Arc<dyn ObjectStore>, ConnectError> {
        self.open(values).map_err(FieldError::all)
    }
}

/// Whether a store lists objects in the order of their paths.
fn is_ordered(url: &str) -> bool {
    let is_directory_bucket =
        url.strip_prefix("s3://").and_then(|place| place.split('/').next()?.strip_suffix("--x-s3")).is_some();
    !is_directory_bucket && !url.starts_with("file://")
}

/// The forms of addresses.
const ADDRESSES: &str =
    "file:///FOLDER, memory:///, s3://BUCKET/FOLDER, gs://BUCKET/FOLDER and az://CONTAINER/FOLDER";

/// The settings that say which store, and how it is reached.
fn settings() -> Vec<Setting> {
    let url = format!(
        "Where objects are: {ADDRESSES}. The last three are in builds with the cargo feature cloud, and need to \
        be among the allowed addresses, as does store.endpoint."
    );
    let url = Setting::required(URL, Kind::String, url).not_empty();
    #[cfg(feature = "cloud")]
    return std::iter::once(url).chain(cloud::settings()).collect();
    #[cfg(not(feature = "cloud"))]
    vec![url]
}

/// What the error of a store is to a task: what is refused ends it, anything else may pass.
fn failure(what: String, error: Error) -> ConnectError {
    let is_refused = match &error {
        Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::NotFound { .. }
        | Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::UnknownConfigurationKey { .. } => true,
        #[cfg(feature = "cloud")]
        _ => http::is_refused(&error),
        #[cfg(not(feature = "cloud"))]
        _ => false,
    };
    let kind = if is_refused { ConnectError::failed } else { ConnectError::retriable };
    kind(what).because(error)
}
