//! The other workers of a group, over HTTP.

use std::time::Duration;

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
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take, with all that comes before it: less than a request that waits for it, so that whoever asked
/// hears which worker does not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(80);

/// Workers behind HTTP. Connections are kept and shared.
#[derive(Debug)]
pub(crate) struct HttpPeers {
    client: Client<Connector, Full<Bytes>>,
    answer_timeout: Duration,
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
        Ok(HttpPeers { client, answer_timeout: ANSWER_TIMEOUT })
    }
}

#[async_trait::async_trait]
impl Peers for HttpPeers {
    async fn ask(&self, url: &str, request: PeerRequest) -> Result<PeerReply, String> {
        let late = |_| format!("{url} does not answer within {} ms", self.answer_timeout.as_millis());
        tokio::time::timeout(self.answer_timeout, self.exchange(url, request)).await.map_err(late)?
    }
}

impl HttpPeers {
    async fn exchange(&self, url: &str, request: PeerRequest) -> Result<PeerReply, String> {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks a worker that says no more than this.
    async fn asked(says: &'static [u8]) -> Result<PeerReply, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let peer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut heard).await.expect("a request");
            }
            stream.write_all(says).await.expect("a part of an answer");
            // Until the other has enough of it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let tls = TlsSettings::read(|_| None).expect("no certificates");
        let answer_timeout = Duration::from_millis(300);
        let peers = HttpPeers { answer_timeout, ..HttpPeers::new(&tls).expect("a client") };
        let (method, path) = ("GET".to_owned(), "/connectors".to_owned());
        let request = PeerRequest { method, path, headers: Vec::new(), body: Bytes::new() };
        let answered = peers.ask(&url, request).await.map_err(|error| error.replace(&url, "URL "));
        drop(peers);
        peer.await.expect("it heard the end");
        answered
    }

    #[tokio::test]
    async fn a_worker_that_does_not_answer_is_not_waited_for() {
        let late = Err("URL  does not answer within 300 ms".to_owned());
        assert_eq!(asked(b"").await, late);
        assert_eq!(asked(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[").await, late);
        let reply = asked(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").await.expect("an answer");
        assert_eq!((reply.status, &*reply.body), (200, &b"[]"[..]));
    }
}
