//! Arguments that several commands take.

use std::time::Duration;

use clap::Args;

use crate::net::client::{Address, Client, ClientOptions};

/// Which cluster to talk to, and how to print.
#[derive(Clone, Debug, Args)]
pub struct ClusterArguments {
    /// Brokers to find the cluster by, separated by commas
    #[arg(long, short, value_name = "HOST:PORT", value_delimiter = ',', default_value = "127.0.0.1:9092")]
    bootstrap_server: Vec<Address>,
    /// Seconds an operation may take, retries included
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
    /// Print JSON instead of tables
    #[arg(long)]
    pub json: bool,
}

impl ClusterArguments {
    /// A client of the cluster.
    pub fn client(&self) -> Client {
        self.client_with_deadline(self.deadline())
    }

    /// A client whose single operations may take this long.
    pub fn client_with_deadline(&self, deadline: Duration) -> Client {
        let options = ClientOptions {
            deadline,
            patience: deadline.min(Duration::from_secs(10)),
            ..ClientOptions::default()
        };
        Client::new(self.bootstrap_server.clone(), options)
    }

    /// How long an operation may take.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// The same in milliseconds, for requests that carry it.
    pub fn timeout_ms(&self) -> i32 {
        i32::try_from(self.deadline().as_millis()).unwrap_or(i32::MAX)
    }
}

/// The longest an operation may be told to take: a day.
const SECONDS_MAX: f64 = 86_400.0;

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds".to_owned())?;
    if seconds > 0.0 && seconds <= SECONDS_MAX {
        Ok(seconds)
    } else {
        Err(format!("choose more than 0 and at most {SECONDS_MAX}"))
    }
}

/// A `key=value` argument.
pub fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} has no key and value; write key=value")),
    }
}
