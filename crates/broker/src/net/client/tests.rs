use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use vltava_core::error::ErrorCode;
use vltava_core::wire::Message;
use vltava_protocol::api::ApiKey;
use vltava_protocol::api_versions_response::ApiVersion;
use vltava_protocol::frame::encode_response;
use vltava_protocol::messages::{ApiVersionsResponse, ListGroupsRequest, ListGroupsResponse};

use super::*;

#[test]
fn addresses_are_read_and_shown() {
    for (text, expected) in [
        ("localhost:9092", Some(("localhost", 9092, "localhost:9092"))),
        ("localhost", Some(("localhost", 9092, "localhost:9092"))),
        ("PLAINTEXT://a.b:1", Some(("a.b", 1, "a.b:1"))),
        (" [::1]:9093 ", Some(("::1", 9093, "[::1]:9093"))),
        ("[::1]", Some(("::1", 9092, "[::1]:9092"))),
        ("::1", None),
        ("", None),
        (":9092", None),
        ("a:b", None),
        ("a:99999", None),
        ("[::1", None),
    ] {
        let parsed = text.parse::<Address>().ok();
        let shown = parsed.as_ref().map(ToString::to_string);
        let found = parsed
            .as_ref()
            .zip(shown.as_deref())
            .map(|(address, shown)| (address.host.as_str(), address.port, shown));
        assert_eq!(found, expected, "{text:?}");
    }
}

/// A broker that answers ApiVersions as told and everything else with what `answer` makes of the request's frame. Ends with
/// the listener.
async fn peer(answer: impl Fn(i16, i16, i32) -> Vec<u8> + Send + 'static) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(length) = stream.read_i32().await {
                let mut frame = vec![0; usize::try_from(length).unwrap()];
                stream.read_exact(&mut frame).await.unwrap();
                let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
                let correlation = i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]);
                let answer = answer(number(0), number(2), correlation);
                if answer.is_empty() || stream.write_all(&answer).await.is_err() {
                    break;
                }
            }
        }
    });
    Address { host: "127.0.0.1".to_owned(), port }
}

fn frame<M: Message>(key: ApiKey, version: i16, correlation: i32, message: &M) -> Vec<u8> {
    let segments = encode_response(key.api(), version, correlation, message).unwrap();
    segments.iter().flat_map(|segment| segment.in_memory().unwrap().to_vec()).collect()
}

fn versions(apis: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let row = |(key, min_version, max_version): &(ApiKey, i16, i16)| ApiVersion {
        api_key: key.code(),
        min_version: *min_version,
        max_version: *max_version,
    };
    ApiVersionsResponse { api_keys: apis.iter().map(row).collect(), ..ApiVersionsResponse::default() }
}

fn options() -> ClientOptions {
    ClientOptions {
        deadline: Duration::from_millis(600),
        patience: Duration::from_millis(200),
        ..ClientOptions::default()
    }
}

async fn list(address: Address) -> Result<ListGroupsResponse, ClientError> {
    let mut client = Client::new(vec![address], options());
    client
        .call(&Route::Any, |_| ListGroupsRequest::default(), |answer: &ListGroupsResponse| answer.error_code)
        .await
}

#[tokio::test]
async fn versions_are_agreed_on_with_new_and_old_brokers() {
    const LIST: ApiKey = ApiKey::ListGroups;
    for (known, offered, agreed) in [(3, (0, 5), 5), (0, (0, 2), 2), (3, (1, 100), 5)] {
        let address = peer(move |key, version, correlation| {
            if key == ApiKey::ApiVersions.code() && version > known {
                // An old broker answers what it does not know in version 0 (KIP-511).
                let refused = ApiVersionsResponse { error_code: 35, ..ApiVersionsResponse::default() };
                return frame(ApiKey::ApiVersions, 0, correlation, &refused);
            }
            if key == ApiKey::ApiVersions.code() {
                return frame(
                    ApiKey::ApiVersions,
                    version,
                    correlation,
                    &versions(&[(LIST, offered.0, offered.1)]),
                );
            }
            assert_eq!(version, agreed);
            frame(LIST, version, correlation, &ListGroupsResponse::default())
        });
        assert!(list(address.await).await.is_ok(), "{known} {offered:?}");
    }
}

#[tokio::test]
async fn a_missing_api_or_version_is_named() {
    for offered in [vec![], vec![(ApiKey::ListGroups, 90, 91)]] {
        let address = peer(move |_, version, correlation| {
            frame(ApiKey::ApiVersions, version, correlation, &versions(&offered))
        });
        let error = list(address.await).await.unwrap_err();
        assert!(error.to_string().contains("does not support ListGroups"), "{error}");
    }
}

#[tokio::test]
async fn a_retriable_code_is_tried_again_until_it_goes_or_time_is_up() {
    for (failures, passes) in [(2, true), (usize::MAX, false)] {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = tries.clone();
        let address = peer(move |key, version, correlation| {
            if key == ApiKey::ApiVersions.code() {
                return frame(
                    ApiKey::ApiVersions,
                    version,
                    correlation,
                    &versions(&[(ApiKey::ListGroups, 0, 5)]),
                );
            }
            let loading = counted.fetch_add(1, Ordering::Relaxed) < failures;
            let error_code = if loading { ErrorCode::COORDINATOR_LOAD_IN_PROGRESS.code() } else { 0 };
            frame(
                ApiKey::ListGroups,
                version,
                correlation,
                &ListGroupsResponse { error_code, ..ListGroupsResponse::default() },
            )
        });
        let outcome = list(address.await).await;
        assert_eq!(outcome.as_ref().is_ok_and(|answer| answer.error_code == 0), passes, "{outcome:?}");
        assert!(tries.load(Ordering::Relaxed) >= 3);
    }
}

#[tokio::test]
async fn what_is_not_kafkas_protocol_is_refused_without_waiting_or_allocating() {
    for (sent, part) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "impossible length"),
        (&[0x7f, 0xff, 0xff, 0xff][..], "impossible length"),
        (&[0xff, 0xff, 0xff, 0xff][..], "impossible length"),
        (&[0, 0, 0, 4, 0, 0, 0, 99][..], "answer Some(99)"),
        (&[0, 0, 0, 0][..], "answer None"),
        (&[0, 0, 0, 6, 0, 0, 0, 1, 0, 0][..], "ApiVersionsResponse version 3"),
    ] {
        let sent = sent.to_vec();
        let error = list(peer(move |_, _, _| sent.clone()).await).await.unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("plaintext Kafka listener"), "{error}");
    }
}

#[tokio::test]
async fn silence_and_closed_connections_end_at_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = Address { host: "127.0.0.1".to_owned(), port: silent.local_addr().unwrap().port() };
    for address in [peer(|_, _, _| Vec::new()).await, silent] {
        let error = list(address).await.unwrap_err();
        assert!(matches!(error, ClientError::Deadline { .. }), "{error}");
    }
}
