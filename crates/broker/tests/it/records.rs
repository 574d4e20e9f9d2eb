//! Producing and fetching: offsets, sessions, long polls, and the order of replies on a connection.

use bytes::Bytes;
use vltava_broker::Broker;
use vltava_core::error::ErrorCode;
use vltava_protocol::messages::{ApiVersionsRequest, FetchRequest, ProduceRequest};

use crate::client::{Client, FETCH, Fetched, PRODUCE, batch, fetch_request, produce_bytes, produce_request};

const API_VERSIONS: i16 = 4;

async fn broker_with_topic() -> (Broker, Client) {
    let broker = Broker::builder().start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.create_topic("t", 1).await, ErrorCode::NONE);
    (broker, client)
}

#[tokio::test]
async fn records_are_fetched_from_the_offset_that_is_asked_for() {
    let (broker, mut client) = broker_with_topic().await;
    for (values, base) in [(&["a", "b"][..], 0), (&["c"], 2), (&["d", "e", "f"], 3)] {
        let produced = client.produce("t", values).await;
        assert_eq!((produced.error_code, produced.base_offset), (0, base));
    }
    for (offset, code, values) in [
        (0, ErrorCode::NONE, &["a", "b", "c", "d", "e", "f"][..]),
        (2, ErrorCode::NONE, &["c", "d", "e", "f"]),
        // A batch comes whole.
        (4, ErrorCode::NONE, &["d", "e", "f"]),
        (6, ErrorCode::NONE, &[]),
        (7, ErrorCode::OFFSET_OUT_OF_RANGE, &[]),
        (-5, ErrorCode::OFFSET_OUT_OF_RANGE, &[]),
    ] {
        let fetched = client.fetch("t", offset, 0).await;
        assert_eq!(fetched.code, code, "{offset}");
        assert_eq!(fetched.values, values, "{offset}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_appended_is_refused_and_changes_nothing() {
    let (broker, mut client) = broker_with_topic().await;
    let good = batch(&["a"]);
    let corrupt = {
        let mut bytes = good.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        Bytes::from(bytes)
    };
    let large = batch(&["x".repeat(2 << 20).as_str()]);
    for (what, topic, records, code) in [
        ("no batch", "t", Bytes::new(), ErrorCode::INVALID_RECORD),
        ("half a batch", "t", good.slice(..good.len() / 2), ErrorCode::INVALID_RECORD),
        ("a wrong checksum", "t", corrupt, ErrorCode::CORRUPT_MESSAGE),
        ("two batches", "t", Bytes::from([good.clone(), good.clone()].concat()), ErrorCode::INVALID_RECORD),
        ("a large batch", "t", large, ErrorCode::MESSAGE_TOO_LARGE),
        ("an unknown topic", "u", good.clone(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ] {
        let response = client.ask(&produce_bytes(topic, records, -1), PRODUCE).await;
        let code_seen = ErrorCode::from_code(response.responses[0].partition_responses[0].error_code);
        assert_eq!(code_seen, code, "{what}");
    }
    assert_eq!(client.produce("t", &["b"]).await.base_offset, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_long_poll_ends_when_records_come_or_its_time_is_over() {
    let (broker, mut consumer) = broker_with_topic().await;
    let mut producer = Client::connect(broker.address()).await;
    consumer.send(&fetch_request("t", 0, 600_000), FETCH).await;
    producer.produce("t", &["a"]).await;
    let (_, response) = consumer.receive::<FetchRequest>(FETCH).await;
    assert_eq!(Fetched::of(&response).values, ["a"]);
    let asked = std::time::Instant::now();
    let fetched = consumer.fetch("t", 1, 50).await;
    assert!(
        fetched.values.is_empty() && asked.elapsed().as_millis() >= 50,
        "{fetched:?} {:?}",
        asked.elapsed()
    );
    broker.shutdown().await;
}

/// One step of a fetch session: the session's id and epoch, whether the partition is named, and what comes back.
async fn step(
    client: &mut Client,
    session: (i32, i32),
    names_it: bool,
) -> (ErrorCode, i32, Vec<Vec<String>>) {
    let mut request = fetch_request("t", 0, 0);
    (request.session_id, request.session_epoch) = session;
    if !names_it {
        request.topics.clear();
    }
    let response = client.ask(&request, FETCH).await;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let values = partitions.map(crate::client::values).collect();
    (ErrorCode::from_code(response.error_code), response.session_id, values)
}

#[tokio::test]
async fn a_session_says_only_what_is_new() {
    let (broker, mut client) = broker_with_topic().await;
    let none: Vec<Vec<String>> = Vec::new();
    let (code, id, opened) = step(&mut client, (0, 0), true).await;
    assert!(code.is_none() && id > 0 && opened == [Vec::<String>::new()], "{code:?} {id} {opened:?}");
    assert_eq!(step(&mut client, (id, 1), false).await, (ErrorCode::NONE, id, none.clone()));
    client.produce("t", &["a"]).await;
    assert_eq!(step(&mut client, (id, 2), false).await, (ErrorCode::NONE, id, vec![vec!["a".to_owned()]]));
    for (session, code) in [
        ((id, 2), ErrorCode::INVALID_FETCH_SESSION_EPOCH),
        ((id, 9), ErrorCode::INVALID_FETCH_SESSION_EPOCH),
        ((id.wrapping_add(1).max(1), 3), ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
    ] {
        let (seen, _, values) = step(&mut client, session, false).await;
        assert_eq!((seen, values), (code, none.clone()), "{session:?}");
    }
    let (code, closed, _) = step(&mut client, (id, -1), true).await;
    assert_eq!((code, closed), (ErrorCode::NONE, 0));
    assert_eq!(step(&mut client, (id, 3), false).await.0, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    broker.shutdown().await;
}

#[tokio::test]
async fn replies_come_in_the_order_of_the_requests() {
    let (broker, mut client) = broker_with_topic().await;
    let mut sent = Vec::new();
    for round in 0..20 {
        sent.push((client.send(&produce_request("t", &["x"]), PRODUCE).await, Some(round)));
        if round % 5 == 0 {
            sent.push((client.send(&fetch_request("t", 1000, 0), FETCH).await, None));
        }
    }
    // The poll at the end of the log is a barrier, though nothing comes for it.
    let last = client.send(&fetch_request("t", 20, 100), FETCH).await;
    let after = client.send(&ApiVersionsRequest::default(), API_VERSIONS).await;
    for (id, produced) in sent {
        match produced {
            Some(offset) => {
                let (seen, response) = client.receive::<ProduceRequest>(PRODUCE).await;
                assert_eq!((seen, response.responses[0].partition_responses[0].base_offset), (id, offset));
            }
            None => assert_eq!(client.receive::<FetchRequest>(FETCH).await.0, id),
        }
    }
    assert_eq!(client.receive::<FetchRequest>(FETCH).await.0, last);
    assert_eq!(client.receive::<ApiVersionsRequest>(API_VERSIONS).await.0, after);
    broker.shutdown().await;
}

#[tokio::test]
async fn nothing_answers_a_producer_that_wants_no_answer() {
    let (broker, mut client) = broker_with_topic().await;
    client.send(&produce_bytes("t", batch(&["a"]), 0), PRODUCE).await;
    assert_eq!(client.fetch("t", 0, 10_000).await.values, ["a"]);
    // What goes wrong then can only be told by closing.
    client.send(&produce_bytes("missing", batch(&["a"]), 0), PRODUCE).await;
    assert!(client.frame().await.is_err());
    broker.shutdown().await;
}
