//! The other workers of a group, over HTTP.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use vltava_connect::tls::{Connector, TlsError, TlsSettings};
use vltava_connect::worker::group::{PeerReply, PeerRequest, Peers};

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The most connections to one worker that are kept while nobody uses them.
const IDLE_CONNECTIONS_MAX: usize = 2;
/// How long a connection may take.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// Workers behind HTTP. Connections are kept and shared.
#[derive(Debug)]
pub(crate) struct HttpPeers {
    client: Client<Connector, Full<Bytes>>,
}

impl HttpPeers {
    /// Nobody was asked yet.
    ///
    /// # Errors
    /// [`TlsError`] when certificates or keys cannot be read.
    pub(crate) fn new(tls: &TlsSettings) -> Result<HttpPeers, TlsError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(tls.connector(CONNECT_TIMEOUT)?);
        Ok(HttpPeers { client })
    }
}

#[async_trait::async_trait]
impl Peers for HttpPeers {
    async fn ask(&self, url: &str, request: PeerRequest) -> Result<PeerReply, String> {
        let mut builder = Request::builder()
            .method(request.method.as_str())
            .uri(format!("{}{}", url.trim_end_matches('/'), request.path))
            .header(ACCEPT, "application/json");
        if !request.body.is_empty() {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
        }
        let request = builder.body(Full::new(request.body)).map_err(|error| error.to_string())?;
        let (head, body) =
            self.client.request(request).await.map_err(|error| error.to_string())?.into_parts();
        let location = head.headers.get(LOCATION).and_then(|location| location.to_str().ok());
        let location = location.map(str::to_owned);
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
        Ok(PeerReply { status: head.status.as_u16(), location, body: body.to_bytes() })
    }
}
