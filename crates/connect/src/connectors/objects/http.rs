//! Requests to the stores of clouds, over the connections that every HTTP client here has.
//!
//! An answer is read as a whole, within the time and the bytes that one may take. Nothing leads a request elsewhere:
//! redirects are not followed.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::header::{HeaderValue, USER_AGENT};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpService,
};

use crate::tls::{self, Connector};

/// The most bytes of an answer, those of the largest object with some room.
const ANSWER_BYTES_MAX: usize = 257 << 20;
/// The most bytes of a refusal that are shown.
const SHOWN_BYTES_MAX: usize = 500;
/// Who asks.
const AGENT: &str = concat!("vltava/", env!("CARGO_PKG_VERSION"));

/// Carries requests.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    client: Client<Connector, HttpRequestBody>,
    timeout: Duration,
}

impl Requests {
    /// Over these connections; a request with its answer takes no longer than `timeout`.
    pub(super) fn new(connector: Connector, timeout: Duration) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Self { client, timeout }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_listing = request.uri().query().is_some_and(|query| query.contains("list"));
        let (head, body) = self.client.request(request).await.map_err(unreachable)?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let bytes = body.map_err(cut_short)?.to_bytes();
        // Of these the client of the store makes errors that are not always told from what may pass.
        let is_refused = match head.status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
            StatusCode::NOT_FOUND => is_listing,
            status => status.is_redirection() && status != StatusCode::NOT_MODIFIED,
        };
        if is_refused {
            let text = String::from_utf8_lossy(bytes.get(..SHOWN_BYTES_MAX).unwrap_or(&bytes)).into_owned();
            return Err(HttpError::new(HttpErrorKind::Unknown, Refused { status: head.status, text }));
        }
        Ok(HttpResponse::from_parts(head, bytes.into()))
    }
}

impl HttpConnector for Requests {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Requests {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        let late = |elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed);
        tokio::time::timeout(self.timeout, self.exchange(request)).await.map_err(late)?
    }
}

/// An answer that is the same however often one asks.
#[derive(Debug, thiserror::Error)]
#[error("the store answered {status}: {text}")]
struct Refused {
    status: StatusCode,
    text: String,
}

/// Whether the cause of an error is an answer that stays the same, or a certificate that is not taken.
pub(super) fn is_refused(error: &(dyn Error + 'static)) -> bool {
    error.is::<Refused>() || tls::is_refused(error) || error.source().is_some_and(is_refused)
}

fn unreachable(error: ClientError) -> HttpError {
    let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
    HttpError::new(kind, error)
}

fn cut_short(error: Box<dyn Error + Send + Sync>) -> HttpError {
    let is_long = error.is::<LengthLimitError>();
    HttpError::new_boxed(if is_long { HttpErrorKind::Decode } else { HttpErrorKind::Interrupted }, error)
}
