//! From a frame to a reply: find the row, decode, handle, encode.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tracing::error;
use vltava_core::clock::BoxFuture;
use vltava_core::wire::{Message, Reader, Segment, WireError};
use vltava_protocol::api::{Api, ApiKey, ListenerKind, Request};
use vltava_protocol::frame::{FrameError, RequestFrame, encode_response};

use super::error_codes::ErrorCodes;
use super::{Call, Peer, Row, TABLE, api_versions};
use crate::metrics::requests::Tally;
use crate::node::Node;

/// The most memory that the arrays of one request may take, in bytes: about 200,000 partitions of a Fetch, more than a
/// cluster has. Without it a frame could cost many times its size.
const REQUEST_ELEMENTS_BYTES_MAX: usize = 16 << 20;

/// A request whose header was read.
pub(crate) struct Incoming {
    call: Call<Reader>,
    handle: Handle,
}

type Handle = fn(Call<Reader>) -> Result<Handled, Unanswerable>;

/// What has become of a request.
pub(crate) enum Handled {
    /// It has its reply.
    Ready(Reply),
    /// It has started, and its reply comes later.
    Pending(BoxFuture<'static, Reply>),
    /// It starts once all earlier requests of the connection have their replies, and nothing behind it starts before it
    /// has its own.
    Barrier(BoxFuture<'static, Reply>),
}

/// What to write, and what to do then.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// The frame; nothing for a request that wants no reply.
    pub(crate) segments: Vec<Segment>,
    /// The error codes in it.
    pub(crate) tally: Tally,
    /// Close the connection then: only that tells the client of a failure that has no reply.
    pub(crate) close: bool,
}

impl Reply {
    /// No reply, and the end of the connection.
    fn closing() -> Reply {
        Reply { close: true, ..Reply::default() }
    }
}

/// What a handler returns that works on the connection's own task.
pub(crate) enum Answer<T> {
    /// The response.
    Now(T),
    /// The response, later.
    Later(BoxFuture<'static, T>),
    /// What is found once all earlier requests of the connection have their replies; nothing has begun.
    Ordered(BoxFuture<'static, Answer<T>>),
    /// No response was asked for.
    Silence,
    /// No response was asked for, but something went wrong.
    Close,
}

/// A request that cannot be answered; its connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswerable {
    /// The header makes no sense.
    #[error(transparent)]
    Header(#[from] FrameError),
    /// The API is not served, or not on this listener.
    #[error("{0} is not served on this listener")]
    NotServed(ApiKey),
    /// The body is not a request of its API and version.
    #[error("malformed {api} request of version {version}: {source}")]
    Malformed {
        /// The API.
        api: ApiKey,
        /// The version of the request.
        version: i16,
        /// What is wrong.
        source: WireError,
    },
}

impl Incoming {
    /// Reads the header of a frame and finds out who handles it.
    pub(crate) fn read(frame: Bytes, node: &Arc<Node>, peer: &Arc<Peer>) -> Result<Incoming, Unanswerable> {
        let bytes = frame.len();
        let mut frame = match RequestFrame::decode(frame) {
            Ok(frame) => frame,
            Err(FrameError::UnsupportedVersion { api, version, correlation_id }) => {
                return unsupported(api, version, correlation_id, node, peer);
            }
            Err(error) => return Err(error.into()),
        };
        let row = served(frame.api, peer).ok_or(Unanswerable::NotServed(frame.api.key))?;
        if !row.versions().contains(&frame.version()) {
            return unsupported(row.key, frame.version(), frame.header.correlation_id, node, peer);
        }
        frame.body.limit_elements(REQUEST_ELEMENTS_BYTES_MAX);
        node.metrics.requests.arrived(frame.api, frame.version(), bytes);
        let call = Call {
            node: node.clone(),
            peer: peer.clone(),
            api: frame.api,
            version: frame.version(),
            correlation_id: frame.header.correlation_id,
            client_id: frame.header.client_id.clone(),
            request: frame.body,
        };
        Ok(Incoming { call, handle: row.handle })
    }

    /// The API that is asked.
    pub(crate) fn api(&self) -> &'static Api {
        self.call.api
    }

    /// Whether the request may start while those before it still wait.
    pub(crate) fn overlaps(&self) -> bool {
        self.call.api.key == ApiKey::Produce
    }

    /// Starts the request.
    pub(crate) fn start(self) -> Result<Handled, Unanswerable> {
        (self.handle)(self.call)
    }
}

/// The row of an API that is served behind the peer's listener.
pub(crate) fn served(api: &Api, peer: &Peer) -> Option<&'static Row> {
    let kind = if peer.controller_listener { ListenerKind::Controller } else { ListenerKind::Broker };
    TABLE.iter().find(|row| row.key == api.key && api.is_on(kind))
}

/// ApiVersions is answered whatever its version, so that a client can find out what to speak (KIP-511).
fn unsupported(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    node: &Arc<Node>,
    peer: &Arc<Peer>,
) -> Result<Incoming, Unanswerable> {
    if api != ApiKey::ApiVersions {
        return Err(FrameError::UnsupportedVersion { api, version, correlation_id }.into());
    }
    let call = Call {
        node: node.clone(),
        peer: peer.clone(),
        api: api.api(),
        version: 0,
        correlation_id,
        client_id: None,
        request: Reader::new(Bytes::new()),
    };
    Ok(Incoming {
        call,
        handle: |call| Ok(Handled::Ready(reply(call.envelope(), &api_versions::fallback(&call)))),
    })
}

/// Runs a handler that may wait, once everything before it has its reply.
pub(crate) fn ordered<R, F>(call: Call<Reader>, handler: fn(Call<R>) -> F) -> Result<Handled, Unanswerable>
where
    R: Request,
    R::Response: ErrorCodes,
    F: Future<Output = R::Response> + Send + 'static,
{
    let envelope = call.envelope();
    let response = handler(call.read()?);
    // Not awaited in a block of its own, which would keep room for the handler twice.
    Ok(Handled::Pending(Box::pin(response.map(move |response| reply(envelope, &response)))))
}

/// Runs a handler that does what it can at once.
pub(crate) fn direct<R>(
    call: Call<Reader>,
    handler: fn(Call<R>) -> Answer<R::Response>,
) -> Result<Handled, Unanswerable>
where
    R: Request,
    R::Response: ErrorCodes + Send + 'static,
{
    let envelope = call.envelope();
    Ok(match handler(call.read()?) {
        Answer::Now(response) => Handled::Ready(reply(envelope, &response)),
        Answer::Later(response) => {
            Handled::Pending(Box::pin(response.map(move |response| reply(envelope, &response))))
        }
        Answer::Ordered(answer) => Handled::Barrier(Box::pin(settle(envelope, answer))),
        Answer::Silence => Handled::Ready(Reply::default()),
        Answer::Close => Handled::Ready(Reply::closing()),
    })
}

/// The reply to what a handler finds at last.
async fn settle<T: Message + ErrorCodes>(
    envelope: Envelope,
    mut answer: BoxFuture<'static, Answer<T>>,
) -> Reply {
    loop {
        answer = match answer.await {
            Answer::Now(response) => return reply(envelope, &response),
            Answer::Later(response) => return reply(envelope, &response.await),
            Answer::Ordered(next) => next,
            Answer::Silence => return Reply::default(),
            Answer::Close => return Reply::closing(),
        };
    }
}

/// What a reply needs to know of its request.
#[derive(Clone, Copy)]
pub(crate) struct Envelope {
    api: &'static Api,
    version: i16,
    correlation_id: i32,
}

impl<R> Call<R> {
    fn envelope(&self) -> Envelope {
        Envelope { api: self.api, version: self.version, correlation_id: self.correlation_id }
    }
}

impl Call<Reader> {
    fn read<R: Request>(self) -> Result<Call<R>, Unanswerable> {
        let (api, version) = (self.api.key, self.version);
        let malformed = |source| Unanswerable::Malformed { api, version, source };
        let (call, mut body) = self.with(());
        // What follows a request is ignored, as Kafka does: librdkafka sends a few bytes too many in some versions.
        let request = R::decode(&mut body, version).map_err(malformed)?;
        Ok(call.with(request).0)
    }
}

fn reply<M: Message + ErrorCodes>(envelope: Envelope, response: &M) -> Reply {
    let Envelope { api, version, correlation_id } = envelope;
    match encode_response(api, version, correlation_id, response) {
        Ok(segments) => {
            let mut tally = Tally::default();
            response.tally(&mut tally);
            Reply { segments, tally, close: false }
        }
        Err(error) => {
            error!(api = api.name, version, %error, "a response cannot be expressed in its version");
            Reply { close: true, ..Reply::default() }
        }
    }
}
