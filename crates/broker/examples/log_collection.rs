//! Collecting logs and metrics: connectors follow the files that programs write, and every line becomes a record.
//!
//! `cargo run --example log_collection FOLDER`, and then `echo "GET / 200" >> FOLDER/access.log`
//!
//! A file that is rotated or truncated is read on where it goes on; where reading was is kept with the cluster, so that a
//! restart neither loses lines nor begins again.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use vltava_broker::{Broker, StartError};
use vltava_connect::settings::Config;
use vltava_connect::topics::kafka::KafkaTopics;
use vltava_connect::topics::{Consumer, NewTopic, Polled, Reads, Topics};
use vltava_connect::worker::Target;

/// The files of a folder that are followed, and the topics of their lines.
const FILES: [(&str, &str); 2] = [("access.log", "logs"), ("metrics.txt", "metrics")];

/// A broker with a worker of Connect whose connectors may read this folder.
pub async fn start(folder: &Path) -> Result<Broker, StartError> {
    Broker::builder()
        .set("vltava.connect.listeners", "http://127.0.0.1:0")
        .set("vltava.connect.group.id", "collectors")
        .set("vltava.connect.allowed.folders", &folder.display().to_string())
        .set("vltava.connect.value.converter", "StringConverter")
        .start()
        .await
}

/// Follows the files.
pub async fn follow(broker: &Broker, folder: &Path) -> Result<(), Box<dyn Error>> {
    while broker.connect_worker().is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let worker = broker.connect_worker()?;
    for (file, topic) in FILES {
        let path = folder.join(file).display().to_string();
        let settings =
            [("name", topic), ("connector.class", "FileStreamSource"), ("file", &path), ("topic", topic)];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        worker.create(topic, Config::from(settings), Target::Started).await?;
    }
    Ok(())
}

/// Reads both topics, which are there from now on.
pub async fn reader(broker: &Broker) -> Result<Box<dyn Consumer>, Box<dyn Error>> {
    let server = ("bootstrap.servers".to_owned(), broker.address().to_string());
    let topics = KafkaTopics::connect(&Config::from([server])).await?;
    let names = FILES.map(|(_, topic)| topic.to_owned());
    for name in names.clone() {
        topics
            .create(&NewTopic { name, partitions: -1, replication_factor: -1, settings: Config::new() })
            .await?;
    }
    let reads = Reads::Subscribed { group: "readers".to_owned(), topics: names.to_vec() };
    Ok(topics.consumer(reads, &Config::new()).await?)
}

/// The next lines, with their topics.
pub async fn lines(reader: &mut dyn Consumer) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let Polled::Records(records) = reader.poll(Duration::from_secs(1)).await? else { return Ok(Vec::new()) };
    let line = |value: Option<bytes::Bytes>| String::from_utf8_lossy(&value.unwrap_or_default()).into_owned();
    Ok(records.into_iter().map(|record| (record.topic.to_string(), line(record.value))).collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    let broker = start(Path::new(&folder)).await?;
    follow(&broker, Path::new(&folder)).await?;
    let mut reader = reader(&broker).await?;
    loop {
        for (topic, line) in lines(&mut *reader).await? {
            println!("{topic}: {line}");
        }
    }
}
