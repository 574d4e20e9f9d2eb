//! Asks a schema registry over HTTP, one request after another.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde_json::Value;
use vltava_connect::schema::remote::{self, Http, HttpSettings};

use crate::cli::arguments::key_value;
use crate::cli::error::CliError;

/// Where the registry is, and how answers are printed.
#[derive(Clone, Debug, Args)]
pub struct RegistryArguments {
    /// The registry: ours, or any other with the same API
    #[arg(
        long,
        short = 'r',
        value_name = "URL",
        env = "VLTAVA_REGISTRY",
        default_value = "http://127.0.0.1:8081"
    )]
    registry: String,
    /// A setting of the registry's client, several by several: `ssl.truststore.location=ca.pem`
    #[arg(short = 'X', value_name = "KEY=VALUE", value_parser = key_value)]
    client: Vec<(String, String)>,
    /// How long a request may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a registry answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// The answer, when it is none of an error.
    ///
    /// # Errors
    /// [`CliError::Failed`] with the registry's own words.
    pub fn done(self) -> Result<Value, CliError> {
        if self.status < 300 {
            return Ok(self.body);
        }
        let code = self.body.get("error_code").and_then(Value::as_i64);
        let message = self.body.get("message").and_then(Value::as_str);
        let shown = message.map_or_else(|| self.body.to_string(), str::to_owned);
        Err(CliError::Failed(format!("{shown} ({})", code.unwrap_or_else(|| i64::from(self.status)))))
    }
}

impl RegistryArguments {
    /// Asks for `path`, with a body unless that is null.
    ///
    /// # Errors
    /// [`CliError`] when nobody answers in time.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Answer, CliError> {
        let failed = |why: String| {
            CliError::Failed(format!(
                "{}: {why}\nIs the registry running? Give its address with --registry URL.",
                self.registry
            ))
        };
        let url = ("schema.registry.url".to_owned(), self.registry.clone());
        let given: HashMap<String, String> = self.client.iter().cloned().chain([url]).collect();
        let settings = HttpSettings::of_client(&given);
        let mut settings = settings.map_err(|error| failed(error.to_string()))?;
        settings.answer_timeout = Duration::from_secs(self.timeout);
        settings.connect_timeout = settings.answer_timeout;
        settings.retries_max = 0;
        let http = Http::new(settings).map_err(|error| failed(error.to_string()))?;
        let answered = http.ask(method, path, body).await;
        let known = |remote::Answer { status, body }| Answer { status, body };
        answered.map(known).map_err(|error| failed(error.why))
    }
}
