//! The task that fetches from one leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::oneshot;
use vltava_core::clock::Moment;
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerEpoch, BrokerId, TopicIdPartition};

use super::{FetcherParts, Followed};
use crate::partition::{FetchPosition, FetchedRecords, FollowError, Partition};
use crate::peers::FetchFromLeader;

/// A partition and where it stood when it was asked about.
type Asked = (TopicIdPartition, Arc<Partition>, FetchPosition);

/// What is written by one job.
type Written = Vec<(TopicIdPartition, Result<(), FollowError>)>;

/// Fetches from `leader` until the task is aborted.
pub(super) async fn run(
    leader: BrokerId,
    parts: FetcherParts,
    broker_epoch: Arc<AtomicI64>,
    followed: Arc<Followed>,
) {
    let mut task = Task { leader, parts, broker_epoch, followed, last: None };
    loop {
        match task.due() {
            Due::Now(asked) => task.fetch(asked).await,
            Due::At(moment) => task.sleep(moment).await,
        }
    }
}

struct Task {
    leader: BrokerId,
    parts: FetcherParts,
    broker_epoch: Arc<AtomicI64>,
    followed: Arc<Followed>,
    /// The last partition of a request that did not hold all: the next one goes on behind it.
    last: Option<TopicIdPartition>,
}

enum Due {
    Now(Vec<Asked>),
    At(Option<Moment>),
}

impl Task {
    /// What to ask, or when there will be something.
    fn due(&mut self) -> Due {
        let now = self.parts.clock.now();
        let partitions = self.followed.partitions.lock();
        let mut asked = Vec::new();
        let mut next: Option<Moment> = None;
        let behind = self.last.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let rest = partitions.range((behind, std::ops::Bound::Unbounded));
        let before = partitions.iter().take_while(|(id, _)| self.last.is_some_and(|last| **id <= last));
        for (id, entry) in rest.chain(before) {
            if let Some(at) = entry.not_before.filter(|at| *at > now) {
                next = Some(next.map_or(at, |next| next.min(at)));
                continue;
            }
            let position = entry.partition.fetch_position().filter(|(leader, _)| *leader == self.leader);
            let Some((_, position)) = position else { continue };
            if asked.len() == self.parts.limits.partitions_max {
                break;
            }
            asked.push((*id, entry.partition.clone(), position));
        }
        self.last =
            asked.last().map(|(id, ..)| *id).filter(|_| asked.len() == self.parts.limits.partitions_max);
        if asked.is_empty() { Due::At(next) } else { Due::Now(asked) }
    }

    async fn sleep(&self, until: Option<Moment>) {
        let changed = self.followed.changed.notified();
        match until {
            None => changed.await,
            Some(moment) => tokio::select! {
                biased;
                () = changed => {}
                () = self.parts.clock.sleep_until(moment) => {}
            },
        }
    }

    async fn fetch(&self, asked: Vec<Asked>) {
        let request = FetchFromLeader {
            replica: self.parts.local,
            broker_epoch: BrokerEpoch(self.broker_epoch.load(Ordering::Relaxed)),
            wait: self.parts.limits.wait,
            partition_bytes: self.parts.limits.partition_bytes,
            partitions: asked.iter().map(|(id, _, position)| (*id, *position)).collect(),
        };
        let answers = match self.parts.peers.fetch(self.leader, request).await {
            Ok(answers) => answers,
            Err(error) => {
                tracing::debug!(leader = %self.leader, %error, "a leader could not be fetched from");
                return self.sleep(Some(self.parts.clock.now() + self.parts.limits.backoff)).await;
            }
        };
        let mut asked: BTreeMap<TopicIdPartition, Asked> =
            asked.into_iter().map(|asked| (asked.0, asked)).collect();
        let mut fetched = Vec::new();
        for (id, answer) in answers {
            let Some(asked) = asked.remove(&id) else { continue };
            match answer {
                Ok(answer) => fetched.push((asked, answer)),
                Err(ErrorCode::OFFSET_OUT_OF_RANGE) => self.reset(asked).await,
                Err(code) => self.put_off(id, &code),
            }
        }
        self.write(fetched).await;
    }

    /// The leader's log does not hold what was asked for.
    async fn reset(&self, (id, partition, position): Asked) {
        match self.parts.peers.bounds(self.leader, id, position.epoch).await {
            Ok(Ok((start, end))) => {
                let reset = self.run(move || partition.reset(&position, start, end)).await;
                if let Some(Err(error)) = reset {
                    self.put_off(id, &error);
                }
            }
            Ok(Err(code)) => self.put_off(id, &code),
            Err(error) => self.put_off(id, &error),
        }
    }

    async fn write(&self, fetched: Vec<(Asked, FetchedRecords)>) {
        let take = |((id, partition, position), answer): (Asked, FetchedRecords)| {
            (id, partition.take_fetched(&position, &answer).map(drop))
        };
        let written: Option<Written> = self.run(move || fetched.into_iter().map(take).collect()).await;
        for (id, result) in written.unwrap_or_default() {
            if let Err(error) = result {
                tracing::error!(partition = ?id, %error, "what was fetched could not be written");
                self.put_off(id, &error);
            }
        }
    }

    /// Runs what blocks; `None` when whoever runs it has gone away.
    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, result) = oneshot::channel();
        // Nobody waits for the result when the task has ended meanwhile.
        (self.parts.background)(Box::new(move || drop(sender.send(job()))));
        result.await.ok()
    }

    fn put_off(&self, id: TopicIdPartition, why: &dyn std::fmt::Display) {
        tracing::debug!(leader = %self.leader, partition = ?id, %why, "a partition is put off");
        if let Some(entry) = self.followed.partitions.lock().get_mut(&id) {
            entry.not_before = Some(self.parts.clock.now() + self.parts.limits.backoff);
        }
    }
}
