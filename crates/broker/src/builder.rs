//! Composing a broker: settings, and what of it is your own.

use std::path::Path;
use std::sync::Arc;

use tracing::warn;
use vltava_connect::plugins::Plugin;
use vltava_connect::schema::SchemaFormat;
use vltava_coordinator::assignor::Assignor;
use vltava_core::log::LogStore;

use crate::authorizer::Authorizer;
use crate::broker::{Broker, StartError};
use crate::config::{self, LoadError, LoadedConfig};
use crate::log_levels::LogLevels;

/// Starts a broker with your own parts. Everything has a default: a builder that is only started is a broker in memory
/// on a free port of this machine.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let broker = vltava_broker::Broker::builder().set("num.partitions", "3").start().await?;
/// println!("bootstrap.servers={}", broker.address());
/// broker.shutdown().await;
/// # Ok::<(), vltava_broker::StartError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    settings: Vec<(String, String)>,
    directory: Option<String>,
    loaded: Option<LoadedConfig>,
    parts: Parts,
}

/// What a program brings to its broker.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) store: Option<Arc<dyn LogStore>>,
    pub(crate) authorizer: Option<Arc<dyn Authorizer>>,
    pub(crate) assignors: Vec<Arc<dyn Assignor>>,
    pub(crate) log_levels: Option<LogLevels>,
    pub(crate) formats: Vec<Arc<dyn SchemaFormat>>,
    pub(crate) plugins: Vec<Plugin>,
}

impl Builder {
    /// Keeps everything in files below this folder instead of in memory.
    #[must_use]
    pub fn directory(mut self, path: impl AsRef<Path>) -> Builder {
        self.directory = Some(path.as_ref().to_string_lossy().into_owned());
        self
    }

    /// Sets a key of the configuration; the reference lists them. The last value of a key counts.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Builder {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Uses a configuration that was read from a file and flags, instead of the defaults of an embedded broker.
    /// [`Builder::set`] and [`Builder::directory`] count over it.
    #[must_use]
    pub fn config(mut self, config: LoadedConfig) -> Builder {
        self.loaded = Some(config);
        self
    }

    /// Keeps every log in a store of your own. Check it with `vltava_core::testing::log_suite`.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn LogStore>) -> Builder {
        self.parts.store = Some(store);
        self
    }

    /// Asks this authorizer before anything is done.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Builder {
        self.parts.authorizer = Some(authorizer);
        self
    }

    /// Offers an assignor of your own to consumer groups. Name it in `group.consumer.assignors`; check it with
    /// `vltava_coordinator::assignor::testing::assignor_suite`.
    #[must_use]
    pub fn assignor(mut self, assignor: Arc<dyn Assignor>) -> Builder {
        self.parts.assignors.push(assignor);
        self
    }

    /// Lets schemas be written in a language of your own; one of the name of a built-in format takes its place.
    #[must_use]
    pub fn schema_format(mut self, format: Arc<dyn SchemaFormat>) -> Builder {
        self.parts.formats.push(format);
        self
    }

    /// Offers a connector, transform, predicate or converter of your own to Connect; one of the class of a built-in plugin takes
    /// its place.
    #[must_use]
    pub fn plugin(mut self, plugin: Plugin) -> Builder {
        self.parts.plugins.push(plugin);
        self
    }

    /// Lets clients see and change the log levels of the process.
    #[must_use]
    pub fn log_levels(mut self, levels: LogLevels) -> Builder {
        self.parts.log_levels = Some(levels);
        self
    }

    /// Starts the broker; returns when clients can use it.
    ///
    /// # Errors
    /// [`StartError`] says which setting, address or folder is at fault.
    pub async fn start(self) -> Result<Broker, StartError> {
        let mut flags = Vec::new();
        flags.extend(self.directory.map(|path| format!("log.dirs={path}")));
        let loaded = match self.loaded {
            Some(loaded) => loaded,
            None => embedded(flags.is_empty())?,
        };
        flags.extend(self.settings.into_iter().map(|(key, value)| format!("{key}={value}")));
        let LoadedConfig { config, warnings } =
            if flags.is_empty() { loaded } else { loaded.with(&flags)? };
        for warning in warnings {
            warn!("{warning}");
        }
        Broker::start(config, self.parts).await
    }
}

/// The settings of a broker within another program: a free port, no HTTP, in memory unless there is a folder.
fn embedded(in_memory: bool) -> Result<LoadedConfig, LoadError> {
    let mut flags = vec![
        "listeners=PLAINTEXT://127.0.0.1:0",
        "group.initial.rebalance.delay.ms=0",
        "vltava.http.listeners=",
        "vltava.registry.listeners=",
        "vltava.connect.listeners=",
    ];
    if in_memory {
        flags.push("vltava.storage=memory");
    }
    let flags: Vec<String> = flags.into_iter().map(str::to_owned).collect();
    config::load(None, &flags)
}
