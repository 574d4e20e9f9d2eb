//! Asks a schema registry over HTTP, one request after another.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use clap::Args;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::cli::error::CliError;

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What bodies are.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

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
        let limit = Duration::from_secs(self.timeout);
        let failed = |why: String| {
            CliError::Failed(format!(
                "{}: {why}\nIs the registry running? Give its address with --registry URL.",
                self.registry
            ))
        };
        match tokio::time::timeout(limit, self.exchange(method, path, body)).await {
            Ok(answered) => answered.map_err(failed),
            Err(_) => Err(failed(format!("no answer in {} s", self.timeout))),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: &Value) -> Result<Answer, String> {
        let rest = self.registry.strip_prefix("http://").ok_or("only http:// is spoken")?;
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
        let stream = TcpStream::connect(&address).await.map_err(|error| error.to_string())?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        let driven = tokio::spawn(connection);
        let prefix = prefix.trim_end_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{slash}{prefix}{path}"))
            .header(HOST, authority)
            .header(ACCEPT, MEDIA_TYPE)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .body(Body::from(text))
            .map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let bytes = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        driven.abort();
        let shown = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| shown()) })
    }
}

/// A part of a path, with everything encoded that means something there.
pub fn part(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn names_are_encoded_for_a_path() {
        for (name, expected) in
            [("orders-value", "orders-value"), (":.c:a/b", ":.c:a%2Fb"), ("á %", "%C3%A1%20%25")]
        {
            assert_eq!(part(name), expected);
        }
    }
}
