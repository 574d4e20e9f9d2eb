//! Puts the settings of a node together and points at the place of every mistake.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vltava_core::config::{
    BrokerConfig, BrokerLayers, ConfigError, Properties, broker_keys, is_foreign, listener_key, retired,
};

use super::flat_toml;
use super::properties::{self, Entry, SyntaxError};

/// The settings of a node, and what its operator should hear about them.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The settings, read and checked.
    pub config: BrokerConfig,
    /// Keys that change nothing, one sentence each, for the log.
    pub warnings: Vec<String>,
}

/// A file of settings.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// What to call it in messages.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Why a node has no settings to start with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}. Give the path of a server.properties or .toml file to --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not in its format.
    #[error("{}:{}: {}", path.display(), error.line, error.problem)]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: SyntaxError,
    },
    /// A `--set` without a key and a value.
    #[error("--set {0}: write --set key=value")]
    Flag(String),
    /// A key or value that cannot be used, with its place.
    #[error("{place}{error}{}", advice(error))]
    Config {
        /// `FILE:LINE: `, `--set: `, or nothing when no single place is to blame.
        place: String,
        /// What is wrong.
        error: ConfigError,
    },
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`LoadError::Read`].
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { path: path.to_owned(), text }),
            Err(source) => Err(LoadError::Read { path: path.to_owned(), source }),
        }
    }

    fn is_toml(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
    }

    /// The keys of the file, in their order.
    ///
    /// # Errors
    /// [`LoadError::Syntax`].
    pub fn entries(&self) -> Result<Vec<Entry>, LoadError> {
        let entries =
            if self.is_toml() { flat_toml::parse(&self.text) } else { properties::parse(&self.text) };
        entries.map_err(|error| LoadError::Syntax { path: self.path.clone(), error })
    }
}

/// The settings of a node that was given no file: broker and controller in one, on loopback, data below the current folder,
/// and internal topics with as many replicas as there are nodes.
#[must_use]
pub fn standalone() -> Properties {
    [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092"),
        ("log.dirs", "./data"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Puts the settings together: the file, or [`standalone`] without one, and `key=value` flags over them.
///
/// # Errors
/// The first mistake, with its place.
pub fn load(file: Option<&ConfigFile>, flags: &[String]) -> Result<LoadedConfig, LoadError> {
    let mut sources = Sources::default();
    match file {
        Some(file) => sources.add_file(file)?,
        None => sources.properties = standalone(),
    }
    flags.iter().try_for_each(|flag| sources.add_flag(flag))?;
    sources.resolve()
}

impl LoadedConfig {
    /// The same settings with `key=value` flags over them.
    ///
    /// # Errors
    /// The first mistake.
    pub fn with(self, flags: &[String]) -> Result<LoadedConfig, LoadError> {
        let mut sources = Sources {
            properties: self.config.layers.file.clone(),
            places: BTreeMap::new(),
            warnings: self.warnings,
        };
        flags.iter().try_for_each(|flag| sources.add_flag(flag))?;
        sources.resolve()
    }
}

/// What has been read so far.
#[derive(Default)]
struct Sources {
    properties: Properties,
    places: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Sources {
    fn resolve(self) -> Result<LoadedConfig, LoadError> {
        let Sources { properties, places, warnings } = self;
        let config =
            BrokerConfig::resolve(BrokerLayers::of_file(properties)).map_err(|error| at(&places, error))?;
        Ok(LoadedConfig { config, warnings })
    }

    fn add_file(&mut self, file: &ConfigFile) -> Result<(), LoadError> {
        for entry in file.entries()? {
            let place = format!("{}:{}: ", file.path.display(), entry.line);
            self.add(entry.key, entry.value, place, file.is_toml())?;
        }
        Ok(())
    }

    fn add_flag(&mut self, flag: &str) -> Result<(), LoadError> {
        let (key, value) = flag.split_once('=').ok_or_else(|| LoadError::Flag(flag.to_owned()))?;
        if key.trim().is_empty() {
            return Err(LoadError::Flag(flag.to_owned()));
        }
        self.add(key.trim().to_owned(), value.to_owned(), "--set: ".to_owned(), true)
    }

    fn add(&mut self, key: String, value: String, place: String, strict: bool) -> Result<(), LoadError> {
        match broker_keys().require(&key) {
            Ok(declared) => self.warn_inert(&place, &key, declared.inert),
            Err(unknown) => match (listener_key(&key), retired(&key)) {
                (Some((_listener, behind)), _) => self.warn_inert(&place, &key, behind.inert),
                (None, Some(reason)) => self.warn_inert(&place, &key, Some(reason)),
                (None, None) if is_foreign(&key) => {}
                (None, None) if strict => return Err(LoadError::Config { place, error: unknown }),
                (None, None) => {
                    self.warnings.push(format!("{place}{unknown}; the key is kept and changes nothing"));
                }
            },
        }
        self.places.insert(key.clone(), place);
        self.properties.insert(key, value);
        Ok(())
    }

    fn warn_inert(&mut self, place: &str, key: &str, reason: Option<&str>) {
        self.warnings.extend(reason.map(|reason| format!("{place}{key} changes nothing: {reason}")));
    }
}

/// Adds the place of the key an error is about.
fn at(places: &BTreeMap<String, String>, error: ConfigError) -> LoadError {
    let place = error.key().and_then(|key| places.get(key)).cloned().unwrap_or_default();
    LoadError::Config { place, error }
}

/// What to do about an error that does not say so itself.
fn advice(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::Missing { key } if key == "process.roles" => {
            " Add process.roles=broker,controller for a node that is both, as one node alone must be."
        }
        ConfigError::Missing { key } if key == "node.id" => {
            " Add node.id=1, or another number no other node has."
        }
        ConfigError::Missing { key } if key == "controller.listener.names" => {
            " Add controller.listener.names=CONTROLLER, and CONTROLLER://host:port to listeners on a controller."
        }
        _ => "",
    }
}
