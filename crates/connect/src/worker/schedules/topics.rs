//! The topics as a worker reaches them: late, or not for a while; nothing that a process sent before its end comes after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::link::Link;
use crate::connector::{TopicOffsets, TopicPartition};
use crate::settings::Config;
use crate::testing::MemoryTopics;
use crate::topics::{
    Acknowledgement, Consumer, Message, NewTopic, Polled, Producer, Reads, Topics, TopicsError,
    TopicsErrorKind,
};

/// The cluster of a worker.
#[derive(Debug)]
pub(super) struct FarTopics {
    pub(super) near: MemoryTopics,
    pub(super) link: Arc<Link>,
}

#[async_trait]
impl Topics for FarTopics {
    async fn cluster_id(&self) -> Result<Option<String>, TopicsError> {
        self.link.reach_topics().await;
        self.near.cluster_id().await
    }

    async fn list(&self) -> Result<Vec<String>, TopicsError> {
        self.link.reach_topics().await;
        self.near.list().await
    }

    async fn partitions(&self, topic: &str) -> Result<Option<i32>, TopicsError> {
        self.link.reach_topics().await;
        self.near.partitions(topic).await
    }

    async fn create(&self, topic: &NewTopic) -> Result<(), TopicsError> {
        self.link.reach_topics().await;
        self.near.create(topic).await
    }

    async fn producer(&self, id: Option<&str>, settings: &Config) -> Result<Box<dyn Producer>, TopicsError> {
        self.link.reach_topics().await;
        let near: Arc<dyn Producer> = Arc::from(self.near.producer(id, settings).await?);
        Ok(Box::new(FarProducer { near, link: self.link.clone(), order: Arc::default() }))
    }

    async fn consumer(&self, reads: Reads, settings: &Config) -> Result<Box<dyn Consumer>, TopicsError> {
        self.link.reach_topics().await;
        let near = self.near.consumer(reads, settings).await?;
        Ok(Box::new(FarConsumer { near, link: self.link.clone() }))
    }

    async fn group_offsets(&self, group: &str) -> Result<TopicOffsets, TopicsError> {
        self.near.group_offsets(group).await
    }

    async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> Result<(), TopicsError> {
        self.near.alter_group_offsets(group, offsets).await
    }

    async fn delete_group(&self, group: &str) -> Result<(), TopicsError> {
        self.near.delete_group(group).await
    }
}

#[derive(Debug)]
struct FarProducer {
    near: Arc<dyn Producer>,
    link: Arc<Link>,
    /// Messages arrive in the order in which they were sent.
    order: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl Producer for FarProducer {
    async fn send(&self, messages: Vec<Message>) -> Acknowledgement {
        let (near, link, order) = (self.near.clone(), self.link.clone(), self.order.clone());
        let (told, outcomes) = oneshot::channel();
        let count = messages.len();
        // Whether anybody waits or not, it goes its way.
        tokio::spawn(async move {
            let turn = order.lock().await;
            link.reach_topics().await;
            let outcomes = near.send(messages).await.await;
            drop(turn);
            link.reach_topics().await;
            let _ = told.send(outcomes);
        });
        Box::pin(async move {
            let gone = |_| {
                let error = || TopicsError::new(TopicsErrorKind::Retriable, "nobody knows");
                std::iter::repeat_with(|| Err(error())).take(count).collect()
            };
            outcomes.await.unwrap_or_else(gone)
        })
    }

    async fn flush(&self) {
        let _turn = self.order.lock().await;
        self.near.flush().await;
    }

    async fn begin(&self) -> Result<(), TopicsError> {
        self.near.begin().await
    }

    async fn commit(&self) -> Result<(), TopicsError> {
        let _turn = self.order.lock().await;
        self.link.reach_topics().await;
        let outcome = self.near.commit().await;
        self.link.reach_topics().await;
        outcome
    }

    async fn abort(&self) -> Result<(), TopicsError> {
        let _turn = self.order.lock().await;
        self.link.reach_topics().await;
        self.near.abort().await
    }

    async fn close(&self, timeout: Duration) {
        // What was sent goes out within the time.
        let _ = tokio::time::timeout(timeout, self.order.lock()).await;
    }
}

#[derive(Debug)]
struct FarConsumer {
    near: Box<dyn Consumer>,
    link: Arc<Link>,
}

#[async_trait]
impl Consumer for FarConsumer {
    async fn poll(&mut self, timeout: Duration) -> Result<Polled, TopicsError> {
        // The way first: a poll may be dropped, and has taken nothing then.
        self.link.be_seen().await;
        self.near.poll(timeout).await
    }

    async fn seek(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError> {
        self.near.seek(offsets).await
    }

    async fn pause(&mut self, partitions: &[TopicPartition]) {
        self.near.pause(partitions).await;
    }

    async fn resume(&mut self, partitions: &[TopicPartition]) {
        self.near.resume(partitions).await;
    }

    async fn commit(&mut self, offsets: &TopicOffsets) -> Result<(), TopicsError> {
        self.near.commit(offsets).await
    }

    async fn positions(&mut self) -> TopicOffsets {
        self.near.positions().await
    }

    async fn ends(&mut self) -> Result<TopicOffsets, TopicsError> {
        self.link.reach_topics().await;
        self.near.ends().await
    }

    async fn close(&mut self) {
        self.near.close().await;
    }
}
