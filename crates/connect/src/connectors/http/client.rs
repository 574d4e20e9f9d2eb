//! Requests: where to, as whom, how long, and how often again.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::connectors::Allowed;
use crate::error::ConnectError;
use crate::notation::time::Pattern;
use crate::settings::{FieldError, Importance, Kind, Setting, Values};
use crate::tls::{self, Connector};

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What names of settings begin with that are headers.
const HEADER: &str = "http.header.";
/// The longest time that a server may have its clients wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// What the source and the sink have in common.
pub(super) fn settings(url: &str) -> [Setting; 11] {
    let retry = "How often a request is tried again in a row.";
    [
        Setting::required("http.url", Kind::String, url).not_empty(),
        Setting::new(
            "http.method",
            Kind::String,
            "",
            "The method; GET for sources and POST for sinks unless it is given.",
        )
        .one_of(["", "GET", "POST", "PUT", "PATCH"]),
        Setting::new(
            "http.auth.type",
            Kind::String,
            "none",
            "How requests say who asks: none, basic or bearer. Other headers \
            are settings that begin with http.header.",
        )
        .one_of(["none", "basic", "bearer"]),
        Setting::optional("http.auth.user", Kind::String, "The user, with http.auth.type=basic."),
        Setting::optional("http.auth.password", Kind::Password, "The password, with http.auth.type=basic."),
        Setting::optional("http.auth.token", Kind::Password, "The token, with http.auth.type=bearer."),
        Setting::new("http.connect.timeout.ms", Kind::Long, "10000", "How long a connection may take.")
            .at_least(1),
        Setting::new("http.request.timeout.ms", Kind::Long, "30000", "How long a request may take.")
            .at_least(1),
        Setting::new("http.retries.max", Kind::Int, "10", retry)
            .importance(Importance::Low)
            .between(0, 1_000_000),
        Setting::new(
            "http.retry.backoff.ms",
            Kind::Long,
            "1000",
            "The first wait before that; each is twice the last one.",
        )
        .importance(Importance::Low)
        .at_least(1),
        Setting::new("http.retry.backoff.max.ms", Kind::Long, "60000", "The longest such wait.")
            .importance(Importance::Low)
            .at_least(1),
    ]
}

/// Sends requests with the headers that settings name.
#[derive(Debug)]
pub(super) struct Client {
    pool: Pool<Connector, Full<Bytes>>,
    allowed: Arc<Allowed>,
    headers: HeaderMap,
    timeout: Duration,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// No answer, or one that says that there is none now.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: ConnectError,
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Client {
    pub(super) fn new(values: &Values, allowed: &Arc<Allowed>) -> Result<Self, ConnectError> {
        let milliseconds =
            |name| Ok::<_, ConnectError>(Duration::from_millis(values.number(name)?.unsigned_abs()));
        let connect_timeout = milliseconds("http.connect.timeout.ms")?;
        let connector = tls::connector(values.raw(), allowed, connect_timeout).map_err(FieldError::all)?;
        let pool = Pool::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        let (headers, timeout) = (headers(values)?, milliseconds("http.request.timeout.ms")?);
        Ok(Self { pool, allowed: Arc::clone(allowed), headers, timeout })
    }

    /// Sends a request; an answer that may be another one a little later is a failure.
    pub(super) async fn send(
        &self,
        method: &Method,
        url: &str,
        more: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let failed = |error| Failure { error, retry_after: None };
        self.allowed.check_url(url).map_err(|why| failed(ConnectError::config(why)))?;
        let uri: Uri = url
            .parse()
            .map_err(|error| failed(ConnectError::config(format!("{url} is no address")).because(error)))?;
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut()) = (method.clone(), uri);
        request.headers_mut().extend(self.headers.clone());
        more.iter().for_each(|(name, value)| drop(request.headers_mut().insert(name, value.clone())));
        let shown = url.split('?').next().unwrap_or_default();
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| unreachable(shown, error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| {
                ConnectError::retriable(format!("{shown} did not finish its answer")).because(error)
            })?;
            Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
        };
        let answered = tokio::time::timeout(self.timeout, exchange).await;
        let late =
            |_| ConnectError::retriable(format!("{shown} did not answer in {} ms", self.timeout.as_millis()));
        let answer = answered.map_err(late).and_then(|answer| answer).map_err(failed)?;
        let is_unready = answer.status.is_server_error() && answer.status != StatusCode::NOT_IMPLEMENTED;
        if is_unready || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&answer.status)
        {
            let error = ConnectError::retriable(answer.refusal(shown));
            return Err(Failure { error, retry_after: retry_after(&answer.headers) });
        }
        Ok(answer)
    }
}

fn unreachable(shown: &str, error: hyper_util::client::legacy::Error) -> ConnectError {
    let kind = if tls::is_refused(&error) { ConnectError::failed } else { ConnectError::retriable };
    kind(format!("{shown} cannot be reached")).because(error)
}

impl Answer {
    /// What is said of an answer that is no success.
    pub(super) fn refusal(&self, shown: &str) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
        format!("{shown} answered {}: {text}", self.status)
    }
}

/// What is wrong with the settings that both have.
pub(super) fn validate(values: &Values, allowed: &Allowed) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let url = values.string("http.url").unwrap_or_default();
    if !url.starts_with("http://") && !url.starts_with("https://") {
        errors.push(FieldError::invalid("http.url", url, "An address begins with http:// or https://"));
    } else if let Err(why) = allowed.check_url(url.split("${").next().unwrap_or_default()) {
        errors.push(FieldError::new("http.url", why));
    }
    if let Err(error) = headers(values) {
        errors.push(FieldError::new("http.auth.type", error.message));
    }
    errors.extend(tls::connector(values.raw(), allowed, Duration::ZERO).err().unwrap_or_default());
    errors
}

fn headers(values: &Values) -> Result<HeaderMap, ConnectError> {
    let mut headers = HeaderMap::new();
    for (name, value) in values.raw() {
        let Some(name) = name.strip_prefix(HEADER) else { continue };
        let refuse = || ConnectError::config(format!("{HEADER}{name} is no header"));
        let value = HeaderValue::try_from(value).map_err(|_| refuse())?;
        headers.insert(HeaderName::try_from(name).map_err(|_| refuse())?, value);
    }
    let given =
        |name: &str| Ok::<_, ConnectError>(values.optional_string(name)?.unwrap_or_default().to_owned());
    let authorization = match values.string("http.auth.type")? {
        "basic" => {
            let (user, password) = (given("http.auth.user")?, given("http.auth.password")?);
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        "bearer" => format!("Bearer {}", given("http.auth.token")?),
        _ => return Ok(headers),
    };
    let mut value = HeaderValue::try_from(authorization)
        .map_err(|_| ConnectError::config("the user, the password or the token cannot stand in a header"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// How long a server wants to be left alone: seconds, or a date beside the one of the answer.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let given = text(RETRY_AFTER)?;
    let wait = match given.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let pattern = Pattern::new("EEE, dd MMM yyyy HH:mm:ss 'GMT'").ok()?;
            let (until, now) = (pattern.read(given)?, pattern.read(text(DATE)?)?);
            Duration::from_millis(u64::try_from(until - now).unwrap_or(0))
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Tries in a row.
#[derive(Debug)]
pub(super) struct Tries {
    first: Duration,
    longest: Duration,
    most: u32,
    failed: u32,
}

impl Tries {
    pub(super) fn new(values: &Values) -> Result<Self, ConnectError> {
        let milliseconds =
            |name| Ok::<_, ConnectError>(Duration::from_millis(values.number(name)?.unsigned_abs()));
        Ok(Self {
            first: milliseconds("http.retry.backoff.ms")?,
            longest: milliseconds("http.retry.backoff.max.ms")?,
            most: u32::try_from(values.number("http.retries.max")?).unwrap_or(0),
            failed: 0,
        })
    }

    /// It worked.
    pub(super) fn done(&mut self) {
        self.failed = 0;
    }

    /// How long to wait before the next try.
    ///
    /// # Errors
    /// The error itself, when it does not pass or was tried often enough.
    pub(super) fn again(&mut self, failure: Failure) -> Result<Duration, ConnectError> {
        let may_pass = failure.error.kind == crate::error::ErrorKind::Retriable;
        if !may_pass || self.failed >= self.most {
            self.failed = 0;
            return Err(failure.error);
        }
        let doubled = self.first.saturating_mul(1 << self.failed.min(20)).min(self.longest);
        self.failed += 1;
        tracing::warn!(error = %failure.error, tries = self.failed, "a request is tried again");
        Ok(failure.retry_after.unwrap_or(doubled))
    }
}

/// A text as a part of an address.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
