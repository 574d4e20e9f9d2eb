//! Starting, stopping, dying and coming back; and which setting counts.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use vltava_broker::config::{ConfigFile, load};
use vltava_broker::{Broker, Builder};
use vltava_core::error::ErrorCode;
use vltava_protocol::describe_configs_request::DescribeConfigsResource;
use vltava_protocol::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use vltava_protocol::messages::{ApiVersionsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use crate::client::{Client, FETCH, fetch_request};

async fn in_folder(folder: &Path) -> (Broker, Client) {
    let broker = Broker::builder().directory(folder).start().await.unwrap();
    let client = Client::connect(broker.address()).await;
    (broker, client)
}

#[tokio::test]
async fn two_brokers_fit_into_one_process() {
    let (one, other) = (Broker::builder().start().await.unwrap(), Broker::builder().start().await.unwrap());
    assert_ne!(one.cluster_id(), other.cluster_id());
    for (broker, value) in [(&one, "one"), (&other, "other")] {
        let mut client = Client::connect(broker.address()).await;
        client.create_topic("t", 1).await;
        assert_eq!(client.produce("t", &[value]).await.base_offset, 0);
        assert_eq!(client.fetch("t", 0, 0).await.values, [value]);
    }
    one.shutdown().await;
    let mut client = Client::connect(other.address()).await;
    assert_eq!(client.fetch("t", 0, 0).await.values, ["other"]);
    other.shutdown().await;
}

#[tokio::test]
async fn a_shutdown_answers_what_has_begun_and_closes_the_rest() {
    let (broker, mut busy) = {
        let broker = Broker::builder().start().await.unwrap();
        let client = Client::connect(broker.address()).await;
        (broker, client)
    };
    let mut idle = Client::connect(broker.address()).await;
    assert_eq!(idle.create_topic("t", 1).await, ErrorCode::NONE);
    busy.send(&fetch_request("t", 0, 500), FETCH).await;
    // The poll has begun once the broker has read it: then this one, behind it in time, is answered.
    assert_eq!(idle.fetch("t", 0, 0).await.code, ErrorCode::NONE);
    let address = broker.address();
    broker.shutdown().await;
    assert!(idle.frame().await.is_err());
    let _answered_or_closed = busy.frame().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_restart_keeps_topics_records_and_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = in_folder(folder.path()).await;
    let cluster = broker.cluster_id().to_owned();
    client.create_topic("t", 1).await;
    client.produce("t", &["a", "b"]).await;
    alter(&mut client, "1", "message.max.bytes", "2000000").await;
    broker.shutdown().await;
    let mark = std::fs::read_to_string(folder.path().join(".kafka_cleanshutdown")).unwrap();
    let epoch = mark.strip_prefix("{\"version\":0,\"brokerEpoch\":").and_then(|rest| rest.strip_suffix('}'));
    assert!(epoch.is_some_and(|epoch| epoch.parse::<i64>().unwrap() >= 0), "{mark}");
    let (broker, mut client) = in_folder(folder.path()).await;
    assert_eq!(broker.cluster_id(), cluster);
    assert_eq!(client.fetch("t", 0, 0).await.values, ["a", "b"]);
    assert_eq!(client.produce("t", &["c"]).await.base_offset, 2);
    assert_eq!(describe(&mut client, "message.max.bytes").await, ("2000000".to_owned(), 2));
    broker.shutdown().await;
}

#[tokio::test]
async fn a_broker_that_was_dropped_recovers_and_lets_go_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut client) = in_folder(folder.path()).await;
    client.create_topic("t", 1).await;
    client.produce("t", &["a"]).await;
    drop(broker);
    // Its threads end on their own.
    let broker = loop {
        match Broker::builder().directory(folder.path()).start().await {
            Ok(broker) => break broker,
            Err(error) => assert!(error.to_string().contains("is in use"), "{error}"),
        }
        tokio::task::yield_now().await;
    };
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.fetch("t", 0, 0).await.values, ["a"]);
    broker.shutdown().await;
}

/// The binary, in a process of its own, and where it listens.
async fn process(folder: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vltava"))
        .args(["serve", "--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", "vltava.http.listeners="])
        .args(["--set", &format!("log.dirs={}", folder.display())])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, rest)) = line.split_once("bootstrap.servers=") {
            return (child, rest.split(' ').next().unwrap().parse().unwrap());
        }
    }
    panic!("the process has ended before it was ready");
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_the_death_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut wanted = Vec::new();
    for round in 0..3 {
        let (mut child, address) = process(folder.path()).await;
        let mut client = Client::connect(address).await;
        client.create_topic("t", 1).await;
        for number in 0..50 {
            let value = format!("{round}-{number}");
            assert_eq!(client.produce("t", &[&value]).await.base_offset, wanted.len() as i64);
            wanted.push(value);
        }
        child.kill().await.unwrap();
    }
    let (broker, mut client) = in_folder(folder.path()).await;
    assert_eq!(client.fetch("t", 0, 0).await.values, wanted);
    broker.shutdown().await;
}

/// Sets a broker setting; the empty name stands for all brokers.
pub(crate) async fn alter(client: &mut Client, broker: &str, key: &str, value: &str) {
    let config = AlterableConfig {
        name: key.to_owned().into(),
        value: Some(value.to_owned().into()),
        ..AlterableConfig::default()
    };
    let resource = AlterConfigsResource {
        resource_type: 4,
        resource_name: broker.to_owned().into(),
        configs: vec![config],
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = client.ask(&request, 1).await;
    assert_eq!(response.responses[0].error_code, 0, "{response:?}");
}

/// The value of a setting of broker 1, and where it comes from: 2 broker, 3 all brokers, 4 file and flags, 5 default.
async fn describe(client: &mut Client, key: &str) -> (String, i8) {
    let resource = DescribeConfigsResource {
        resource_type: 4,
        resource_name: "1".to_owned().into(),
        configuration_keys: Some(vec![key.to_owned().into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() };
    let response = client.ask(&request, 4).await;
    let config = &response.results[0].configs[0];
    (config.value.clone().unwrap_or_default().to_string(), config.config_source)
}

const FILE: &str = "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=CONTROLLER\n\
    listeners=PLAINTEXT://127.0.0.1:0\nvltava.storage=memory\nvltava.http.listeners=\n\
    offsets.topic.replication.factor=1\n";

fn from_file(text: &str, flags: &[&str]) -> Builder {
    let file = ConfigFile { path: "server.properties".into(), text: format!("{FILE}{text}") };
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    Broker::builder().config(load(Some(&file), &flags).unwrap())
}

#[tokio::test]
async fn the_nearest_setting_counts() {
    const KEY: &str = "message.max.bytes";
    let flag = format!("{KEY}=3000000");
    let text = format!("{KEY}=2000000\n");
    for (what, builder, dynamic, value, source) in [
        ("default", from_file("", &[]), &[][..], "1048588", 5),
        ("file", from_file(&text, &[]), &[], "2000000", 4),
        ("flag", from_file(&text, &[&flag]), &[], "3000000", 4),
        ("program", from_file(&text, &[&flag]).set(KEY, "4000000"), &[], "4000000", 4),
        ("all brokers", from_file(&text, &[&flag]), &[("", "5000000")], "5000000", 3),
        ("broker", from_file(&text, &[&flag]), &[("1", "6000000"), ("", "5000000")], "6000000", 2),
    ] {
        let broker = builder.start().await.unwrap();
        let mut client = Client::connect(broker.address()).await;
        for (name, value) in dynamic {
            alter(&mut client, name, KEY, value).await;
        }
        assert_eq!(describe(&mut client, KEY).await, (value.to_owned(), source), "{what}");
        broker.shutdown().await;
    }
}

#[tokio::test]
async fn a_running_broker_takes_new_limits() {
    let broker = from_file("", &[]).start().await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    for (name, value, served) in [("", "1", false), ("1", "2", true), ("1", "1", false)] {
        alter(&mut client, name, "max.connections.per.ip", value).await;
        let mut another = Client::connect(broker.address()).await;
        if served {
            another.send(&ApiVersionsRequest::default(), 4).await;
        }
        assert_eq!(another.frame().await.is_ok(), served, "broker '{name}': {value}");
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    for (key, value, said) in [
        ("num.partition", "3", "num.partitions"),
        ("num.partitions", "three", "num.partitions"),
        ("listeners", "PLAINTEXT://127.0.0.1:notaport", "listeners"),
    ] {
        let error = Broker::builder().set(key, value).start().await.unwrap_err().to_string();
        assert!(error.contains(said), "{key}={value}: {error}");
    }
}
