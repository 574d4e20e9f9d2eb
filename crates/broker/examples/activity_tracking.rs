//! Activity tracking: what the visitors of a site do, written once and read by whoever wants to know.
//!
//! `cargo run --example activity_tracking`
//!
//! Views are keyed by visitor, so that those of one visitor stay in order. Every reader is a group of its own: who counts
//! pages and who follows visitors read the same records, each at its own pace, and a reader that comes later reads them all.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use vltava_broker::Broker;
use vltava_connect::settings::Config;
use vltava_connect::topics::kafka::KafkaTopics;
use vltava_connect::topics::{Message, NewTopic, Polled, Reads, Topics};

const TOPIC: &str = "page-views";
const PARTITIONS: i32 = 6;

/// A visitor looked at a page.
pub type View = (String, String);

/// Makes the topic: how long activity is worth keeping is a setting of it.
pub async fn create(topics: &KafkaTopics) -> Result<(), Box<dyn Error>> {
    let settings = Config::from([("retention.ms".to_owned(), "604800000".to_owned())]);
    let topic = NewTopic { name: TOPIC.to_owned(), partitions: PARTITIONS, replication_factor: -1, settings };
    Ok(topics.create(&topic).await?)
}

/// Writes views, and waits until they are there.
pub async fn track(topics: &KafkaTopics, views: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
    let producer = topics.producer(None, &Config::new()).await?;
    let message = |(visitor, page): &(&str, &str)| Message {
        topic: TOPIC.into(),
        key: Some((*visitor).to_owned().into()),
        value: Some((*page).to_owned().into()),
        ..Message::default()
    };
    let sent = producer.send(views.iter().map(message).collect()).await;
    sent.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    producer.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Reads the next views as a member of a group, and commits that it has.
pub async fn read(topics: &KafkaTopics, group: &str, count: usize) -> Result<Vec<View>, Box<dyn Error>> {
    let reads = Reads::Subscribed { group: group.to_owned(), topics: vec![TOPIC.to_owned()] };
    let mut consumer = topics.consumer(reads, &Config::new()).await?;
    let mut views = Vec::new();
    while views.len() < count {
        if let Polled::Records(records) = consumer.poll(Duration::from_secs(1)).await? {
            let text = |bytes: Option<bytes::Bytes>| String::from_utf8(bytes.unwrap_or_default().into());
            for record in records {
                views.push((text(record.key)?, text(record.value)?));
            }
        }
    }
    let positions = consumer.positions().await;
    consumer.commit(&positions).await?;
    consumer.close().await;
    Ok(views)
}

/// How often each page was looked at.
pub fn counts(views: &[View]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    views.iter().for_each(|(_, page)| *counts.entry(page.as_str()).or_default() += 1);
    counts
}

/// The way of each visitor through the site.
pub fn paths(views: &[View]) -> BTreeMap<&str, Vec<&str>> {
    let mut paths: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    views.iter().for_each(|(visitor, page)| paths.entry(visitor).or_default().push(page));
    paths
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::builder().start().await?;
    let server = ("bootstrap.servers".to_owned(), broker.address().to_string());
    let topics = KafkaTopics::connect(&Config::from([server])).await?;
    create(&topics).await?;
    let views = [("ann", "/"), ("bob", "/"), ("ann", "/shoes"), ("bob", "/help"), ("ann", "/cart")];
    track(&topics, &views).await?;
    println!("{:?}", counts(&read(&topics, "dashboard", views.len()).await?));
    println!("{:?}", paths(&read(&topics, "recommendations", views.len()).await?));
    broker.shutdown().await;
    Ok(())
}
