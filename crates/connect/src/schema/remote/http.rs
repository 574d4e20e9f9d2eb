//! Requests to a registry over HTTP: which of its addresses, as whom, how long, and how often again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;

use crate::schema::serializer::SettingError;
use crate::tls::{Connector, TlsError, TlsSettings};

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The most addresses of one registry.
const ADDRESSES_MAX: usize = 64;
/// The most connections to one address that are kept while nobody uses them.
const IDLE_CONNECTIONS_MAX: usize = 8;
/// What bodies are.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// Answers that may be another one a little later.
const RETRIED: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// How a registry is reached, in the settings that clients have.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Its addresses (`schema.registry.url`), the next one after one that fails: `http://host:port/path`, or `https`.
    pub addresses: Vec<String>,
    /// What goes into the header `Authorization` (`basic.auth.*`, `bearer.auth.*`).
    pub authorization: Option<String>,
    /// Whom to trust behind `https`, and who asks (`ssl.*`).
    pub tls: TlsSettings,
    /// More headers (`request.header.*`).
    pub headers: Vec<(String, String)>,
    /// What bodies are; the registry's type of JSON unless it is another server.
    pub media_type: &'static str,
    /// How long a connection may take (`http.connect.timeout.ms`).
    pub connect_timeout: Duration,
    /// How long an answer may take (`http.read.timeout.ms`).
    pub answer_timeout: Duration,
    /// How often a request is tried again after all addresses failed (`max.retries`).
    pub retries_max: u32,
    /// How long it waits before that the first time, twice as long each further time (`retries.wait.ms`).
    pub retry_wait: Duration,
    /// The longest such wait (`retries.max.wait.ms`).
    pub retry_wait_max: Duration,
}

/// Secrets are not shown.
impl std::fmt::Debug for HttpSettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HttpSettings").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl HttpSettings {
    /// The defaults of the common clients, for these addresses.
    #[must_use]
    pub fn new(addresses: Vec<String>) -> HttpSettings {
        HttpSettings {
            addresses,
            authorization: None,
            tls: TlsSettings::default(),
            headers: Vec::new(),
            media_type: MEDIA_TYPE,
            connect_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(60),
            retries_max: 3,
            retry_wait: Duration::from_secs(1),
            retry_wait_max: Duration::from_secs(20),
        }
    }

    /// Reads what a client is configured with, also below `schema.registry.`; keys that are for others are left to them.
    ///
    /// # Errors
    /// [`HttpError`] for a value that the setting cannot have.
    pub fn of_client(settings: &HashMap<String, String>) -> Result<HttpSettings, HttpError> {
        let given = |key: &str| settings.get(key).or_else(|| settings.get(&format!("schema.registry.{key}")));
        let refused = |key: &str, expected| {
            // The value may be a secret, or hold one.
            HttpError::Setting(SettingError { key: key.to_owned(), value: "…".to_owned(), expected })
        };
        let urls = settings.get("schema.registry.url").map(String::as_str).unwrap_or_default();
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        let expected = "http://host:port or https://host:port, several with commas between them";
        let mut read = HttpSettings::new(Vec::new());
        for url in urls {
            let (address, user) =
                without_user(url).ok_or_else(|| refused("schema.registry.url", expected))?;
            read.addresses.push(address);
            if let Some(user) = user
                && given("basic.auth.credentials.source").is_none_or(|source| source == "URL")
            {
                read.authorization = Some(basic(&user));
            }
        }
        if read.addresses.is_empty() || read.addresses.len() > ADDRESSES_MAX {
            return Err(refused("schema.registry.url", expected));
        }
        match given("basic.auth.credentials.source").map(String::as_str) {
            None | Some("URL") => {}
            Some("USER_INFO") => {
                let user = given("basic.auth.user.info").filter(|user| user.contains(':'));
                let user = user.ok_or_else(|| refused("basic.auth.user.info", "user:password"))?;
                read.authorization = Some(basic(user));
            }
            Some(_) => return Err(refused("basic.auth.credentials.source", "URL or USER_INFO")),
        }
        match given("bearer.auth.credentials.source").map(String::as_str) {
            None => {}
            Some("STATIC_TOKEN") => {
                let token = given("bearer.auth.token").filter(|token| !token.is_empty());
                let token = token.ok_or_else(|| refused("bearer.auth.token", "a token"))?;
                read.authorization = Some(format!("Bearer {token}"));
            }
            Some(_) => return Err(refused("bearer.auth.credentials.source", "STATIC_TOKEN")),
        }
        let number = |key: &str, default: Duration| match given(key) {
            None => Ok(default),
            Some(text) => {
                let parsed = text.trim().parse().map(Duration::from_millis);
                parsed.map_err(|_| refused(key, "a number of milliseconds"))
            }
        };
        read.connect_timeout = number("http.connect.timeout.ms", read.connect_timeout)?;
        read.answer_timeout = number("http.read.timeout.ms", read.answer_timeout)?;
        read.retry_wait = number("retries.wait.ms", read.retry_wait)?;
        read.retry_wait_max = number("retries.max.wait.ms", read.retry_wait_max)?;
        if let Some(text) = given("max.retries") {
            read.retries_max = text.trim().parse().map_err(|_| refused("max.retries", "a number"))?;
        }
        let header = |(key, value): (&String, &String)| {
            let name = key.strip_prefix("request.header.")?;
            Some((name.to_owned(), value.clone()))
        };
        read.headers = settings.iter().filter_map(header).collect();
        read.headers.sort();
        read.tls = TlsSettings::read(|key| given(key).map(String::as_str))?;
        Ok(read)
    }
}

/// Why a registry cannot be asked at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// A setting.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// What `https` needs.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl HttpError {
    /// The setting that is wrong.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Setting(error) => &error.key,
            Self::Tls(error) => error.key,
        }
    }
}

fn basic(user: &str) -> String {
    format!("Basic {}", STANDARD.encode(user))
}

/// An address, and the user that stands in it; `None` when it is none.
fn without_user(url: &str) -> Option<(String, Option<String>)> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    (!host.is_empty()).then(|| (format!("{scheme}://{host}{slash}{path}"), user.map(str::to_owned)))
}

/// What a registry answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The body; a text when it is no JSON.
    pub body: Value,
}

/// Nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address}: {why}")]
pub struct Unreachable {
    /// The address that was tried last.
    pub address: String,
    /// What happened.
    pub why: String,
}

/// A registry behind HTTP. Connections are kept and shared.
#[derive(Debug)]
pub struct Http {
    settings: HttpSettings,
    client: Client<Connector, Full<Bytes>>,
    /// The address that answered last.
    current: AtomicUsize,
}

impl Http {
    /// A registry that was not asked yet. It has to be asked within a runtime of tokio with time and network.
    ///
    /// # Errors
    /// [`HttpError`] when certificates or keys cannot be read.
    pub fn new(settings: HttpSettings) -> Result<Http, HttpError> {
        let connector = settings.tls.connector(settings.connect_timeout)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Ok(Http { settings, client, current: AtomicUsize::new(0) })
    }

    /// Asks for `path`, with a body unless that is null; at the next address, and after a while again, when one does not answer
    /// or is not ready.
    ///
    /// # Errors
    /// [`Unreachable`] when nobody answers.
    pub async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Answer, Unreachable> {
        let mut wait = self.settings.retry_wait;
        for _ in 0..self.settings.retries_max {
            match self.ask_all(&method, path, body).await {
                Ok(answer) if !RETRIED.contains(&answer.status) => return Ok(answer),
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(wait.min(self.settings.retry_wait_max)).await;
            wait = wait.saturating_mul(2);
        }
        self.ask_all(&method, path, body).await
    }

    /// Asks every address until one answers that it is ready.
    async fn ask_all(&self, method: &Method, path: &str, body: &Value) -> Result<Answer, Unreachable> {
        let count = self.settings.addresses.len();
        let first = self.current.load(Ordering::Relaxed);
        let mut last = None;
        for place in (first..first + count).map(|place| place % count) {
            let Some(address) = self.settings.addresses.get(place) else { continue };
            let exchanged = tokio::time::timeout(
                self.settings.answer_timeout,
                self.exchange(address, method, path, body),
            );
            let answered = exchanged.await.unwrap_or_else(|_| {
                Err(format!("no answer in {} ms", self.settings.answer_timeout.as_millis()))
            });
            match answered {
                Ok(answer) if !RETRIED.contains(&answer.status) => {
                    self.current.store(place, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(answer) => last = Some(Ok(answer)),
                Err(why) => last = last.or(Some(Err(Unreachable { address: address.clone(), why }))),
            }
        }
        let nobody =
            || Err(Unreachable { address: String::new(), why: "no address is configured".to_owned() });
        last.unwrap_or_else(nobody)
    }

    async fn exchange(
        &self,
        address: &str,
        method: &Method,
        path: &str,
        body: &Value,
    ) -> Result<Answer, String> {
        let uri: Uri = format!("{address}{path}").parse().map_err(|error| format!("{error}"))?;
        let text = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(ACCEPT, self.settings.media_type)
            .header(CONTENT_TYPE, self.settings.media_type)
            .body(Full::new(text))
            .map_err(|error| error.to_string())?;
        let own = self.settings.authorization.iter().map(|value| (AUTHORIZATION.as_str(), value.as_str()));
        let more = self.settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(more) {
            let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
            let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
            request.headers_mut().insert(name, value);
        }
        let response = self.client.request(request).await.map_err(|error| reasons(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) })
    }
}

/// An error with what is behind it, which says more.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    told
}

/// A part of a path, with everything encoded that means something there.
#[must_use]
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
