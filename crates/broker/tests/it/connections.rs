//! Limits of connections, and frames that end them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use vltava_broker::Broker;
use vltava_core::error::ErrorCode;
use vltava_protocol::messages::ApiVersionsRequest;

use crate::client::Client;
use crate::lifecycle::alter;

const API_VERSIONS: i16 = 4;

/// How long a test waits to see that nothing happens.
const QUIET: Duration = Duration::from_millis(200);

async fn is_served(client: &mut Client) -> bool {
    client.send(&ApiVersionsRequest::default(), API_VERSIONS).await;
    client.frame().await.is_ok()
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_free_place() {
    let broker = Broker::builder().set("max.connections", "2").start().await.unwrap();
    let mut first = Client::connect(broker.address()).await;
    let mut second = Client::connect(broker.address()).await;
    assert!(is_served(&mut first).await && is_served(&mut second).await);
    let mut third = Client::connect(broker.address()).await;
    third.send(&ApiVersionsRequest::default(), API_VERSIONS).await;
    assert!(timeout(QUIET, third.frame()).await.is_err(), "served beyond the limit");
    drop(first);
    assert!(third.frame().await.is_ok());
    broker.shutdown().await;
}

#[tokio::test]
async fn an_address_has_a_limit_of_its_own() {
    for (per_address, overrides, served) in [("1", "", 1), ("1", "127.0.0.1:2", 2), ("2", "127.0.0.2:1", 2)] {
        let broker = Broker::builder()
            .set("max.connections.per.ip", per_address)
            .set("max.connections.per.ip.overrides", overrides)
            .start()
            .await
            .unwrap();
        let mut clients = Vec::new();
        for _ in 0..served {
            let mut client = Client::connect(broker.address()).await;
            assert!(is_served(&mut client).await, "{per_address} {overrides}");
            clients.push(client);
        }
        let mut beyond = Client::connect(broker.address()).await;
        assert!(beyond.frame().await.is_err(), "{per_address} {overrides}");
        broker.shutdown().await;
    }
}

/// A broker with a listener for clients that has limits of its own, beside that of brokers.
async fn with_a_limited_listener(key: &str, value: &str) -> (Broker, SocketAddr) {
    let broker = Broker::builder()
        .set("listeners", "PLAINTEXT://127.0.0.1:0,CLIENTS://127.0.0.1:0")
        .set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CLIENTS:PLAINTEXT")
        .set(&format!("listener.name.clients.{key}"), value)
        .start()
        .await
        .unwrap();
    let clients = broker.listener("CLIENTS").unwrap();
    (broker, clients)
}

#[tokio::test]
async fn a_listener_has_a_limit_of_its_own_that_can_be_changed() {
    let (broker, clients) = with_a_limited_listener("max.connections", "1").await;
    let mut first = Client::connect(clients).await;
    assert!(is_served(&mut first).await);
    let mut second = Client::connect(clients).await;
    second.send(&ApiVersionsRequest::default(), API_VERSIONS).await;
    assert!(timeout(QUIET, second.frame()).await.is_err(), "served beyond the limit");
    let mut other = Client::connect(broker.address()).await;
    assert!(is_served(&mut other).await, "another listener does not suffer");
    alter(&mut other, "1", "listener.name.clients.max.connections", "2").await;
    assert!(second.frame().await.is_ok());
    broker.shutdown().await;
}

#[tokio::test]
async fn a_listener_has_a_rate_of_its_own() {
    let (broker, clients) = with_a_limited_listener("max.connection.creation.rate", "2").await;
    let mut waiting = Vec::new();
    for served_at_once in [true, true, false] {
        let mut client = Client::connect(clients).await;
        client.send(&ApiVersionsRequest::default(), API_VERSIONS).await;
        assert_eq!(timeout(QUIET, client.frame()).await.is_ok(), served_at_once);
        waiting.push(client);
    }
    for _ in 0..3 {
        assert!(
            is_served(&mut Client::connect(broker.address()).await).await,
            "another listener does not suffer"
        );
    }
    assert!(waiting[2].frame().await.is_ok());
    broker.shutdown().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let broker = Broker::builder().set("connections.max.idle.ms", "200").start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert!(is_served(&mut client).await);
    assert!(client.frame().await.is_err());
    broker.shutdown().await;
}

#[tokio::test]
async fn what_is_no_request_closes_its_connection_and_no_other() {
    let broker = Broker::builder().set("socket.request.max.bytes", "100000").start().await.unwrap();
    let mut witness = Client::connect(broker.address()).await;
    let header = |key: i16, version: i16| {
        [&10_i32.to_be_bytes()[..], &key.to_be_bytes(), &version.to_be_bytes(), &[0, 0, 0, 7], &[0xff; 2]]
            .concat()
    };
    for (what, bytes) in [
        ("a negative length", (-1_i32).to_be_bytes().to_vec()),
        ("a length beyond the limit", 100_001_i32.to_be_bytes().to_vec()),
        ("an empty frame", 0_i32.to_be_bytes().to_vec()),
        ("an API that does not exist", header(9_999, 0)),
        ("an API of controllers", header(52, 0)),
        ("a version that does not exist", header(0, 99)),
        ("a request that ends early", header(3, 9)),
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
    ] {
        let mut client = Client::connect(broker.address()).await;
        client.stream.write_all(&bytes).await.unwrap();
        assert!(client.frame().await.is_err(), "{what}");
        assert!(is_served(&mut witness).await, "{what}");
    }
    assert_eq!(witness.create_topic("t", 1).await, ErrorCode::NONE);
    broker.shutdown().await;
}
