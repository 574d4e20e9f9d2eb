//! A commit log: a store writes down every change before it counts, and is what replaying them gives.
//!
//! `cargo run --example commit_log FOLDER`, twice
//!
//! The topic is compacted: it keeps the last value of each key, and forgets a key some time after its tombstone. So replay
//! stays as short as the state, however many changes there were.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use vltava_broker::Broker;
use vltava_connect::settings::Config;
use vltava_connect::topics::kafka::KafkaTopics;
use vltava_connect::topics::{Message, NewTopic, Polled, Producer, Reads, Topics};

const TOPIC: &str = "accounts";

/// Balances by account.
pub struct Accounts {
    state: BTreeMap<String, i64>,
    producer: Box<dyn Producer>,
}

impl Accounts {
    /// Replays the log from its beginning to where it ends now.
    pub async fn open(topics: &KafkaTopics) -> Result<Self, Box<dyn Error>> {
        let settings = Config::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
        let topic = NewTopic { name: TOPIC.to_owned(), partitions: 1, replication_factor: -1, settings };
        topics.create(&topic).await?;
        let mut consumer = topics.consumer(Reads::All { topic: TOPIC.to_owned() }, &Config::new()).await?;
        let mut state = BTreeMap::new();
        let ends = consumer.ends().await?;
        while consumer.positions().await != ends {
            let Polled::Records(records) = consumer.poll(Duration::from_millis(100)).await? else { continue };
            for record in records {
                let account = String::from_utf8(record.key.unwrap_or_default().into())?;
                match record.value {
                    Some(balance) => state.insert(account, std::str::from_utf8(&balance)?.parse()?),
                    None => state.remove(&account),
                };
            }
        }
        consumer.close().await;
        // Every replica in sync has it before it counts.
        let acks = Config::from([("acks".to_owned(), "all".to_owned())]);
        Ok(Self { state, producer: topics.producer(None, &acks).await? })
    }

    /// The balance of an account.
    pub fn get(&self, account: &str) -> Option<i64> {
        self.state.get(account).copied()
    }

    /// Sets a balance, or closes the account.
    pub async fn set(&mut self, account: &str, balance: Option<i64>) -> Result<(), Box<dyn Error>> {
        let message = Message {
            topic: TOPIC.into(),
            key: Some(account.to_owned().into()),
            value: balance.map(|balance| Bytes::from(balance.to_string())),
            ..Message::default()
        };
        let written = self.producer.send(vec![message]).await;
        written.await.into_iter().collect::<Result<Vec<_>, _>>()?;
        match balance {
            Some(balance) => self.state.insert(account.to_owned(), balance),
            None => self.state.remove(account),
        };
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder")?;
    let broker = Broker::builder().directory(folder).start().await?;
    let server = ("bootstrap.servers".to_owned(), broker.address().to_string());
    let topics = KafkaTopics::connect(&Config::from([server])).await?;
    let mut accounts = Accounts::open(&topics).await?;
    let balance = accounts.get("ann").unwrap_or(0);
    println!("ann had {balance}");
    accounts.set("ann", Some(balance + 10)).await?;
    accounts.set("bob", None).await?;
    broker.shutdown().await;
    Ok(())
}
