//! `vltava connect`: a worker of Connect against any cluster.

use std::path::PathBuf;

use clap::Args;
use vltava_connect::settings::Config;

use super::error::CliError;
use crate::connect_properties;

/// Arguments of `vltava connect`.
#[derive(Debug, Args)]
#[command(after_help = "\
The files are those of Kafka Connect: connect-distributed.properties, and connector files as connect-standalone takes them.
Settings, offsets and states are kept in topics of the cluster; without names for them they are connect-configs,
connect-offsets and connect-status.

Examples:
  vltava connect --set bootstrap.servers=127.0.0.1:9092
  vltava connect connect-distributed.properties
  vltava connect worker.properties file-source.properties")]
pub struct ConnectArguments {
    /// The worker's settings, and then files of connectors
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One setting of the worker, over the file; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConnectArguments {
    /// The worker's settings, and those of the connectors to create.
    ///
    /// # Errors
    /// When a file cannot be read, or a setting is none.
    pub fn settings(&self) -> Result<(Config, Vec<Config>), CliError> {
        let mut files = self.files.iter();
        let mut config = files.next().map(|file| connect_properties(file)).transpose()?.unwrap_or_default();
        for setting in &self.set {
            let pair = setting.split_once('=');
            let (key, value) =
                pair.ok_or_else(|| CliError::Usage(format!("--set {setting}: write KEY=VALUE")))?;
            config.insert(key.trim().to_owned(), value.to_owned());
        }
        let connectors = files.map(|file| connect_properties(file)).collect::<Result<Vec<Config>, _>>()?;
        Ok((config, connectors))
    }
}
