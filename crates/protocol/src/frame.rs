//! The headers that stand before every request and response.
//!
//! A request frame tells which API and version follow before anything else can be read, so decoding has two steps:
//! [`RequestFrame::decode`] reads the header, whose own version follows from the API and version named in it, and leaves
//! the reader at the body. A version that is not known ends there, with what an answer needs.

use bytes::Bytes;
use vltava_core::wire::{Message, Reader, Segment, WireError, Writer};

use crate::api::{Api, ApiKey, Request};
use crate::messages::{RequestHeader, ResponseHeader};

/// Why a frame is no request that can be handed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header is malformed: close the connection.
    #[error("malformed request header: {0}")]
    Malformed(#[from] WireError),
    /// No API has this key: close the connection.
    #[error("there is no API with key {0}")]
    UnknownApi(i16),
    /// The API has no such version. ApiVersions answers in version 0; everything else closes the connection.
    #[error("{api} has no version {version}")]
    UnsupportedVersion {
        /// The API.
        api: ApiKey,
        /// The version that was asked for.
        version: i16,
        /// The number that the answer has to carry.
        correlation_id: i32,
    },
}

/// A request whose header has been read, with the reader at its body.
#[derive(Clone, Debug)]
pub struct RequestFrame {
    /// The row of the API.
    pub api: &'static Api,
    /// The header; the client id is a slice of the frame.
    pub header: RequestHeader,
    /// Stands at the first byte of the body.
    pub body: Reader,
}

impl RequestFrame {
    /// Reads the header of `frame`, which does not contain the length before it.
    pub fn decode(frame: Bytes) -> Result<Self, FrameError> {
        let (code, version, correlation_id) = peek(&frame)?;
        let key = ApiKey::from_code(code).ok_or(FrameError::UnknownApi(code))?;
        let api = key.api();
        if !api.versions.contains(&version) {
            return Err(FrameError::UnsupportedVersion { api: key, version, correlation_id });
        }
        let mut body = Reader::new(frame);
        let header = RequestHeader::decode(&mut body, api.request_header_version(version))?;
        Ok(Self { api, header, body })
    }

    /// The version of the request.
    #[must_use]
    pub fn version(&self) -> i16 {
        self.header.request_api_version
    }

    /// Reads the body as `R`, which must be the request of this API.
    pub fn read<R: Request>(&mut self) -> Result<R, WireError> {
        debug_assert_eq!(R::KEY, self.api.key);
        R::decode(&mut self.body, self.header.request_api_version)
    }
}

/// A whole request frame with the length in front, as segments for one vectored write.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Vec<Segment>, WireError> {
    let api = R::KEY.api();
    let header = RequestHeader {
        request_api_key: R::KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id: client_id.map(|id| id.to_owned().into()),
    };
    let mut writer = Writer::frame();
    header.encode(&mut writer, api.request_header_version(version))?;
    request.encode(&mut writer, version)?;
    writer.into_frame()
}

/// A whole response frame with the length in front, as segments for one vectored write.
pub fn encode_response<M: Message>(
    api: &Api,
    version: i16,
    correlation_id: i32,
    response: &M,
) -> Result<Vec<Segment>, WireError> {
    let mut writer = Writer::frame();
    let header = ResponseHeader { correlation_id };
    header.encode(&mut writer, api.response_header_version(version))?;
    response.encode(&mut writer, version)?;
    writer.into_frame()
}

/// Reads a response frame without its length: the correlation id, and the reader at the body.
pub fn decode_response_header(api: &Api, version: i16, frame: Bytes) -> Result<(i32, Reader), WireError> {
    let mut body = Reader::new(frame);
    let header = ResponseHeader::decode(&mut body, api.response_header_version(version))?;
    Ok((header.correlation_id, body))
}

/// The three numbers that begin a header of any version: API key, API version, correlation id.
fn peek(frame: &Bytes) -> Result<(i16, i16, i32), WireError> {
    let mut reader = Reader::new(frame.clone());
    Ok((reader.i16()?, reader.i16()?, reader.i32()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{ApiVersionsResponse, MetadataRequest};

    fn without_length(segments: &[Segment]) -> Bytes {
        let whole: Vec<&[u8]> =
            segments.iter().map(|segment| &segment.in_memory().expect("memory")[..]).collect();
        whole.concat()[4..].to_vec().into()
    }

    #[test]
    fn a_request_survives_with_either_header() {
        for version in [0, 8, 9, 13] {
            let request = MetadataRequest::default();
            let frame = without_length(&encode_request(&request, version, 7, Some("me")).expect("encodes"));
            let mut decoded = RequestFrame::decode(frame).expect("decodes");
            assert_eq!(decoded.api.key, ApiKey::Metadata);
            assert_eq!(decoded.header.correlation_id, 7);
            assert_eq!(decoded.header.client_id.as_deref(), Some("me"));
            assert_eq!(decoded.read::<MetadataRequest>(), Ok(request));
            assert_eq!(decoded.body.left(), 0);
        }
    }

    #[test]
    fn a_frame_that_cannot_be_read_says_why() {
        let check = |bytes: &'static [u8], expected: &str| {
            let error = RequestFrame::decode(Bytes::from_static(bytes)).expect_err(expected);
            assert_eq!(error.to_string(), expected);
        };
        check(&[0, 3], "malformed request header: 2 bytes are needed at position 2, but only 0 are left");
        check(&[0, 4, 0, 0, 0, 0, 0, 1, 255, 255], "there is no API with key 4");
        check(&[0, 18, 0, 9, 0, 0, 0, 1, 255, 255], "ApiVersions has no version 9");
    }

    #[test]
    fn api_versions_answers_with_the_oldest_header() {
        let api = ApiKey::ApiVersions.api();
        let response = ApiVersionsResponse::default();
        let frame = without_length(&encode_response(api, 3, 5, &response).expect("encodes"));
        let (correlation_id, mut body) = decode_response_header(api, 3, frame).expect("decodes");
        assert_eq!(correlation_id, 5);
        assert_eq!(ApiVersionsResponse::decode(&mut body, 3), Ok(response));
    }
}
