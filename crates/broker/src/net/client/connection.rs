//! One connection: frames, correlation and version negotiation.

use std::collections::HashMap;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use vltava_core::error::ErrorCode;
use vltava_core::wire::{Message, Segment};
use vltava_protocol::api::{Api, ApiKey, Request};
use vltava_protocol::frame::{decode_response_header, encode_request};
use vltava_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use super::{Address, ClientError};

/// The largest response frame that is read.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// How much a read asks for at a time, so that nothing is allocated on the word of a length alone.
const READ_BYTES: usize = 64 << 10;

/// The version of ApiVersions that is asked first; a broker that lacks it answers in version 0 (KIP-511).
const API_VERSIONS_VERSION: i16 = 3;

/// A connection to one broker, with the versions of every API it has.
///
/// One request at a time. A call that is dropped before its answer leaves the connection in the middle of a frame, so it
/// must be dropped too; [`super::Client`] does.
#[derive(Debug)]
pub struct Connection {
    address: Address,
    stream: TcpStream,
    client_id: Arc<str>,
    versions: HashMap<i16, (i16, i16)>,
    next_correlation_id: i32,
}

impl Connection {
    /// Connects and asks for the versions of every API.
    ///
    /// # Errors
    /// When the broker cannot be reached within `patience`, or does not speak Kafka's protocol.
    pub async fn open(
        address: Address,
        client_id: Arc<str>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let connect = TcpStream::connect((address.host.as_str(), address.port));
        let refused = |source| ClientError::Connect { address: address.clone(), source };
        let stream = timeout(patience, connect)
            .await
            .map_err(|_| refused(io::ErrorKind::TimedOut.into()))?
            .map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let mut connection =
            Self { address, stream, client_id, versions: HashMap::new(), next_correlation_id: 0 };
        timeout(patience, connection.negotiate())
            .await
            .map_err(|_| connection.broken(io::ErrorKind::TimedOut.into()))??;
        Ok(connection)
    }

    /// Where the connection leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The newest version of an API both sides have, within `wanted`.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`].
    pub fn version(&self, api: &Api, wanted: &RangeInclusive<i16>) -> Result<i16, ClientError> {
        let theirs = self.versions.get(&api.key.code()).copied();
        let unsupported = || ClientError::Unsupported { address: self.address.clone(), api: api.key, theirs };
        let (low, high) = theirs.ok_or_else(unsupported)?;
        let ours = api.stable_versions();
        let newest = high.min(*ours.end()).min(*wanted.end());
        if newest >= low && newest >= *ours.start() && newest >= *wanted.start() {
            Ok(newest)
        } else {
            Err(unsupported())
        }
    }

    /// Sends a request in `version` and waits for its answer.
    ///
    /// # Errors
    /// When the request cannot be written, the connection breaks or the answer cannot be read. The connection is of no use
    /// afterwards.
    pub async fn call<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, ClientError> {
        let frame = self.exchange(request, version).await?;
        self.decode::<R>(version, frame)
    }

    /// Sends a request that is not answered, as Produce with `acks=0`.
    ///
    /// # Errors
    /// When the request cannot be written or the connection breaks.
    pub async fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<(), ClientError> {
        self.next_correlation_id = self.next_correlation_id.wrapping_add(1);
        let segments = encode_request(request, version, self.next_correlation_id, Some(&self.client_id))
            .map_err(|source| ClientError::Unsendable { api: R::KEY, source })?;
        self.write(&segments).await.map_err(|source| self.broken(source))
    }

    async fn negotiate(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest {
            client_software_name: "vltava".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
            ..ApiVersionsRequest::default()
        };
        let frame = self.exchange(&request, API_VERSIONS_VERSION).await?;
        // Version 0 is what a broker answers that lacks the version, and the code stands at the same place in all.
        let code = frame.get(4..6).and_then(|bytes| bytes.try_into().ok()).map_or(0, i16::from_be_bytes);
        let response = if ErrorCode::from_code(code) == ErrorCode::UNSUPPORTED_VERSION {
            self.call(&ApiVersionsRequest::default(), 0).await?
        } else {
            self.decode::<ApiVersionsRequest>(API_VERSIONS_VERSION, frame)?
        };
        ClientError::check(response.error_code, None)?;
        self.learn(&response);
        Ok(())
    }

    fn learn(&mut self, response: &ApiVersionsResponse) {
        self.versions =
            response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect();
    }

    /// Sends a request and returns the frame of its answer, whose correlation id has been checked.
    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<Bytes, ClientError> {
        self.send(request, version).await?;
        let frame = self.read().await?;
        let found = frame.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_be_bytes);
        if found != Some(self.next_correlation_id) {
            return Err(self.protocol(format!("answer {found:?} to request {}", self.next_correlation_id)));
        }
        Ok(frame)
    }

    fn decode<R: Request>(&self, version: i16, frame: Bytes) -> Result<R::Response, ClientError> {
        let decoded = decode_response_header(R::KEY.api(), version, frame)
            .and_then(|(_, mut body)| R::Response::decode(&mut body, version));
        decoded.map_err(|error| self.protocol(format!("{} version {version}: {error}", R::Response::NAME)))
    }

    async fn write(&mut self, segments: &[Segment]) -> io::Result<()> {
        for segment in segments {
            let bytes = segment.in_memory().ok_or(io::ErrorKind::Unsupported)?;
            self.stream.write_all(bytes).await?;
        }
        self.stream.flush().await
    }

    async fn read(&mut self) -> Result<Bytes, ClientError> {
        let length = self.stream.read_i32().await.map_err(|source| self.broken(source))?;
        let length = usize::try_from(length).ok().filter(|length| *length <= FRAME_BYTES_MAX);
        let length = length.ok_or_else(|| self.protocol("a frame of an impossible length".to_owned()))?;
        let mut frame = BytesMut::with_capacity(length.min(READ_BYTES));
        while frame.len() < length {
            let wanted = (length - frame.len()).min(READ_BYTES.max(frame.len()));
            frame.reserve(wanted);
            let read = (&mut self.stream).take(wanted as u64).read_buf(&mut frame).await;
            match read {
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(source) => return Err(self.broken(source)),
            }
        }
        Ok(frame.freeze())
    }

    fn broken(&self, source: io::Error) -> ClientError {
        ClientError::Broken { address: self.address.clone(), source }
    }

    fn protocol(&self, problem: String) -> ClientError {
        ClientError::Protocol { address: self.address.clone(), problem }
    }
}

impl Connection {
    /// Whether the broker has the API in a version known here.
    #[must_use]
    pub fn supports(&self, key: ApiKey) -> bool {
        let api = key.api();
        self.version(api, &api.versions).is_ok()
    }
}
