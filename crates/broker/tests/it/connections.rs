//! Limits of connections, and frames that end them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use vltava_broker::Broker;
use vltava_core::error::ErrorCode;
use vltava_protocol::messages::ApiVersionsRequest;

use crate::client::{Client, FETCH, fetch_request};
use crate::http::{until, with_http};
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
        let served = client.frame();
        if served_at_once {
            assert!(served.await.is_ok());
        } else {
            assert!(timeout(QUIET, served).await.is_err(), "served beyond the rate");
        }
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
    let broker = Broker::builder().set("connections.max.idle.ms", "1000").start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert!(is_served(&mut client).await);
    assert!(client.frame().await.is_err());
    broker.shutdown().await;
}

/// Sixteen megabytes in a topic: more than the buffers of a connection hold on both sides.
async fn with_megabytes(client: &mut Client) {
    client.create_topic("large", 1).await;
    let megabyte = "x".repeat(1_000_000);
    for _ in 0..16 {
        assert_eq!(client.produce("large", &[&megabyte]).await.error_code, 0);
    }
}

async fn fetch_megabytes(client: &mut Client) {
    let mut fetch = fetch_request("large", 0, 0);
    fetch.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    client.send(&fetch, FETCH).await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_moves_is_closed_and_no_other() {
    // With buffers so small, what a reader takes soon makes room for more.
    let broker = with_http()
        .set("connections.max.idle.ms", "3000")
        .set("socket.send.buffer.bytes", "16384")
        .start()
        .await
        .unwrap();
    let connect = || Client::connect(broker.address());
    let mut witness = connect().await;
    with_megabytes(&mut witness).await;
    // They go on slowly: one byte of a request, a few of a reply at a time.
    let (mut sender, mut reader) = (connect().await, connect().await);
    SockRef::from(&reader.stream).set_recv_buffer_size(16_384).unwrap();
    sender.stream.write_all(&[0, 1, 0, 0]).await.unwrap();
    fetch_megabytes(&mut reader).await;
    let mut left = reader.stream.read_u32().await.unwrap() as usize;
    let mut buffer = [0; 1024];

    let (mut silent, mut partial, mut waiting, mut deaf) =
        (connect().await, connect().await, connect().await, connect().await);
    partial.stream.write_all(&[0, 0, 0, 100, 1, 2, 3]).await.unwrap();
    waiting.send(&fetch_request("large", 16, 600_000), FETCH).await;
    fetch_megabytes(&mut deaf).await;
    let mut closed = Box::pin(until(&broker, "vltava_network_idle_connections_closed_total", 4.0));
    loop {
        tokio::select! {
            biased;
            () = &mut closed => break,
            served = is_served(&mut witness) => assert!(served),
        }
        sender.stream.write_all(&[0]).await.unwrap();
        if left > 0 {
            left -= reader.stream.read(&mut buffer).await.unwrap();
        }
    }
    drop(closed);
    // What the deaf one had not been sent by then never comes.
    for victim in [&mut silent, &mut partial, &mut waiting, &mut deaf] {
        assert!(victim.frame().await.is_err());
    }
    while left > 0 {
        let read = reader.stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{left} bytes are missing");
        left -= read;
    }
    let still_open = sender.stream.try_read(&mut buffer).unwrap_err();
    assert_eq!(still_open.kind(), ErrorKind::WouldBlock);
    assert!(is_served(&mut witness).await);
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
