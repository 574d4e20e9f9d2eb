//! The examples do what they say.

use std::sync::Arc;

use vltava_broker::Broker;
use vltava_connect::settings::Config;
use vltava_connect::topics::kafka::KafkaTopics;
use vltava_connect::value::Value;
use vltava_core::error::ErrorCode;
use vltava_core::testing::log_suite;
use vltava_storage::memory::MemoryStore;

use crate::client::Client;

#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/activity_tracking.rs"]
mod activity_tracking;
#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/commit_log.rs"]
mod commit_log;
#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/custom_authorizer.rs"]
mod custom_authorizer;
#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/custom_broker.rs"]
mod custom_broker;
#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/custom_storage.rs"]
mod custom_storage;
#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/log_collection.rs"]
mod log_collection;
#[allow(dead_code, reason = "an example has a main function")]
#[path = "../../examples/schemas.rs"]
mod schemas;

use custom_storage::Counting;

#[tokio::test]
async fn a_custom_broker_serves_from_memory_and_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for place in [None, folder.path().to_str()] {
        let broker = custom_broker::start(place).await.unwrap();
        let mut client = Client::connect(broker.address()).await;
        client.create_topic("t", -1).await;
        assert_eq!(client.produce("t", &["hello"]).await.error_code, 0, "{place:?}");
        assert_eq!(client.fetch("t", 0, 0).await.values, ["hello"], "{place:?}");
        assert!(broker.http_address().is_some(), "{place:?}");
        broker.shutdown().await;
    }
    assert!(folder.path().join("t-2").is_dir(), "num.partitions=3 counts");
}

#[tokio::test]
async fn a_custom_store_sees_what_is_appended() {
    let store = Arc::new(Counting::new(Arc::new(MemoryStore::new())));
    let broker = custom_storage::start(store.clone()).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.create_topic("t", 1).await;
    let before = store.bytes();
    client.produce("t", &["x".repeat(1000).as_str()]).await;
    assert!(store.bytes() > before + 1000, "{before} {}", store.bytes());
    assert_eq!(client.fetch("t", 0, 0).await.values[0].len(), 1000);
    broker.shutdown().await;
}

#[test]
fn a_custom_store_keeps_the_contract() {
    log_suite(&mut || Arc::new(Counting::new(Arc::new(MemoryStore::new()))));
}

#[tokio::test]
async fn a_custom_authorizer_is_asked() {
    let broker = custom_authorizer::start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    for (topic, code) in
        [("orders", ErrorCode::NONE), ("audit.orders", ErrorCode::TOPIC_AUTHORIZATION_FAILED)]
    {
        assert_eq!(client.create_topic(topic, 1).await, ErrorCode::NONE, "{topic}");
        let produced = client.produce(topic, &["x"]).await;
        assert_eq!(ErrorCode::from_code(produced.error_code), code, "{topic}");
        assert_eq!(client.fetch(topic, 0, 0).await.code, ErrorCode::NONE, "{topic}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn values_with_schemas_go_through_a_topic_and_evolve() {
    let broker = Arc::new(schemas::start().await.unwrap());
    let values = schemas::Values::new(broker.clone());
    let text = |text: &str| Value::String(text.into());
    let seen = |id, note| Value::record(vec![("id".into(), Value::Int64(id)), ("note".into(), text(note))]);
    assert_eq!(schemas::evolve(&values).await.unwrap(), [seen(7, "none"), seen(8, "")]);
    let schema = r#"{"type": "array", "items": "string"}"#;
    let sent = Value::Array(vec![text("a"), text("b")]);
    let written = values.write("t", "AVRO", schema, &sent).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.create_topic("t", 1).await;
    // Schema ids and the text are UTF-8 here, as the client's values are.
    let shown = String::from_utf8(written.to_vec()).unwrap();
    assert_eq!(client.produce("t", &[&shown]).await.error_code, 0);
    let fetched = client.fetch("t", 0, 0).await.values.remove(0);
    assert_eq!(values.read("AVRO", schema, fetched.into()).await.unwrap(), sent);
}

async fn client_of(broker: &Broker) -> KafkaTopics {
    let server = ("bootstrap.servers".to_owned(), broker.address().to_string());
    KafkaTopics::connect(&Config::from([server])).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_reads_all_activity_in_the_order_of_each_visitor() {
    let broker = Broker::builder().start().await.unwrap();
    let topics = client_of(&broker).await;
    activity_tracking::create(&topics).await.unwrap();
    let views = [("ann", "/"), ("bob", "/"), ("ann", "/shoes"), ("bob", "/help"), ("ann", "/cart")];
    activity_tracking::track(&topics, &views).await.unwrap();
    let seen = activity_tracking::read(&topics, "dashboard", 5).await.unwrap();
    assert_eq!(activity_tracking::counts(&seen)["/"], 2);
    let seen = activity_tracking::read(&topics, "recommendations", 5).await.unwrap();
    assert_eq!(activity_tracking::paths(&seen)["ann"], ["/", "/shoes", "/cart"]);
    activity_tracking::track(&topics, &[("bob", "/shoes")]).await.unwrap();
    let seen = activity_tracking::read(&topics, "dashboard", 1).await.unwrap();
    assert_eq!(seen, [("bob".to_owned(), "/shoes".to_owned())], "what was read before does not come again");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_what_replaying_its_log_gives() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let broker = Broker::builder().directory(folder.path()).start().await.unwrap();
        let mut accounts = commit_log::Accounts::open(&client_of(&broker).await).await.unwrap();
        assert_eq!((accounts.get("ann"), accounts.get("bob")), ((round > 0).then_some(7), None));
        accounts.set("ann", Some(3)).await.unwrap();
        accounts.set("bob", Some(4)).await.unwrap();
        accounts.set("ann", Some(7)).await.unwrap();
        accounts.set("bob", None).await.unwrap();
        assert_eq!((accounts.get("ann"), accounts.get("bob")), (Some(7), None));
        broker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_files_become_records_as_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    write("access.log", "GET / 200\n");
    write("metrics.txt", "load 0.5\n");
    let broker = log_collection::start(folder.path()).await.unwrap();
    log_collection::follow(&broker, folder.path()).await.unwrap();
    let mut reader = log_collection::reader(&broker).await.unwrap();
    let mut seen = Vec::new();
    for (count, more) in [(2, "GET /shoes 200\n"), (3, "")] {
        while seen.len() < count {
            seen.extend(log_collection::lines(&mut *reader).await.unwrap());
        }
        write("access.log", more);
    }
    let of = |wanted: &str| {
        let lines = seen.iter().filter(|(topic, _)| topic == wanted);
        lines.map(|(_, line)| line.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("logs"), ["GET / 200", "GET /shoes 200"]);
    assert_eq!(of("metrics"), ["load 0.5"]);
    reader.close().await;
    broker.shutdown().await;
}
