//! End markers: written into every partition of a prepared transaction, here and at other brokers, until each has one.
//!
//! Invariants:
//!
//! 1. The coordinator is told that a transaction is complete only when every partition has answered that its marker is
//!    committed, or is gone. A marker that is refused because it was written before counts once that one is committed.
//! 2. A marker is written in the coordinator's leader epoch, so that a former coordinator is fenced by the partitions.
//! 3. Nothing is given up as long as this broker coordinates in that epoch; whoever coordinates next begins again from the
//!    log. A marker that is written twice changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use vltava_coordinator::group::command::EndTransaction;
use vltava_coordinator::group::{GroupAnswer, GroupCommand};
use vltava_coordinator::transaction::{Transaction, TransactionCommand, TransactionEffect, TransactionalId};
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    BrokerId, GROUP_OFFSETS_TOPIC, LeaderEpoch, PartitionIndex, TRANSACTION_STATE_TOPIC, TopicName,
    TopicPartition,
};
use vltava_core::machine::TransactionEnd;
use vltava_core::record::{EndTransactionMarker, TransactionResult};
use vltava_core::replicated::{MarkerEpoch, Origin, PlaceError, PlaceTerms, ReplicatedLog, committed};
use vltava_core::wire::WireStr;
use vltava_protocol::messages::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use vltava_protocol::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use vltava_replication::runtime::Committed;

use crate::node::Node;

/// The most transactions whose markers are being written at the same time. Beyond that coordinators wait.
const ENDING_MAX: usize = 10_000;

/// Decisions of coordinators that may wait for their markers to be begun.
pub(crate) const EFFECTS_MAX: usize = 1_000;

/// The first pause before markers are tried again; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a marker may take to be committed before it counts as not written.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes the markers of one transaction after another, many at the same time, until `stop`.
pub(crate) async fn run(
    node: Arc<Node>,
    mut effects: mpsc::Receiver<Committed<TransactionEffect>>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(ENDING_MAX));
    let mut endings = JoinSet::new();
    loop {
        let effect = tokio::select! {
            () = stop.cancelled() => return,
            effect = effects.recv() => effect,
            Some(_) = endings.join_next() => continue,
        };
        let Some(Committed { partition, epoch, effect }) = effect else { return };
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let TransactionEffect::WriteMarkers { id, prepared } = effect;
        let ending = Ending { node: node.clone(), partition, epoch, id, prepared };
        endings.spawn(async move {
            ending.finish().await;
            drop(place);
        });
    }
}

/// A transaction that is being ended.
struct Ending {
    node: Arc<Node>,
    /// Which partition of `__transaction_state` coordinates it.
    partition: PartitionIndex,
    /// In which leader epoch.
    epoch: LeaderEpoch,
    id: TransactionalId,
    prepared: Arc<Transaction>,
}

impl Ending {
    async fn finish(self) {
        let mut left: BTreeSet<TopicPartition> = self.prepared.partitions.clone();
        let mut pause = PAUSE_MIN;
        loop {
            left = self.write(&left).await;
            if left.is_empty() && self.tell().await {
                return;
            }
            if !self.coordinates() {
                debug!(id = %self.id, "another broker coordinates the transaction now");
                return;
            }
            self.node.clock.sleep_until(self.node.clock.now() + pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Whether this broker still coordinates in the same epoch.
    fn coordinates(&self) -> bool {
        let Ok(lookup) = self.node.lookup_name(TRANSACTION_STATE_TOPIC) else { return false };
        lookup.leader(self.partition) == (self.node.id, self.epoch)
    }

    /// Tells the coordinator that all markers are written. Returns whether it has heard.
    async fn tell(&self) -> bool {
        let (producer, epoch) = (self.prepared.producer, self.prepared.epoch);
        let command = TransactionCommand::MarkersWritten { id: self.id.clone(), producer, epoch };
        self.node.transactions.ask(self.partition, command).await.is_ok()
    }

    /// One attempt; returns the partitions that still have no marker.
    async fn write(&self, wanted: &BTreeSet<TopicPartition>) -> BTreeSet<TopicPartition> {
        let mut left = BTreeSet::new();
        let mut here = Vec::new();
        let mut elsewhere: BTreeMap<BrokerId, Vec<TopicPartition>> = BTreeMap::new();
        for partition in wanted {
            match self.leader(partition) {
                None => {}
                Some(BrokerId::NONE) => drop(left.insert(partition.clone())),
                Some(broker) if broker == self.node.id => here.push(partition),
                Some(broker) => elsewhere.entry(broker).or_default().push(partition.clone()),
            }
        }
        let (end, marker_epoch) = (self.end(), self.marker_epoch());
        let markers = here.iter().map(|partition| write_marker(&self.node, partition, end, marker_epoch));
        for (partition, written) in here.iter().zip(join_all(markers).await) {
            if !self.is_done(partition, written) {
                left.insert((*partition).clone());
            }
        }
        for (broker, partitions) in elsewhere {
            left.extend(self.write_there(broker, partitions).await);
        }
        left
    }

    /// Who leads a partition; `None` when it is gone, and with it the transaction in it.
    fn leader(&self, partition: &TopicPartition) -> Option<BrokerId> {
        let lookup = self.node.lookup_name(&partition.topic).ok()?;
        lookup.topic().partition(partition.partition).map(|partition| partition.leader)
    }

    fn end(&self) -> TransactionEnd {
        TransactionEnd {
            producer: self.prepared.producer,
            epoch: self.prepared.epoch,
            commit: self.prepared.commits(),
            coordinator_epoch: self.epoch.0,
        }
    }

    fn marker_epoch(&self) -> MarkerEpoch {
        if self.prepared.version.raises_epoch() { MarkerEpoch::Above } else { MarkerEpoch::AtLeast }
    }

    fn is_done(&self, partition: &TopicPartition, written: Result<(), ErrorCode>) -> bool {
        match written {
            // An epoch that is used up there belongs to this marker, which was written before, or to a later one.
            Ok(()) | Err(ErrorCode::INVALID_PRODUCER_EPOCH) => true,
            Err(code) => {
                warn!(id = %self.id, %partition, %code, "a marker could not be written; it is tried again");
                false
            }
        }
    }

    async fn write_there(&self, broker: BrokerId, partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
        let request = self.to_request(&partitions);
        match self.node.ask_broker(broker, &request).await {
            Ok(response) => {
                let written = |partition: &TopicPartition| found(&response, partition);
                partitions
                    .into_iter()
                    .filter(|partition| !self.is_done(partition, written(partition)))
                    .collect()
            }
            Err(_) => partitions,
        }
    }

    fn to_request(&self, partitions: &[TopicPartition]) -> WriteTxnMarkersRequest {
        let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
        for partition in partitions {
            topics.entry(&partition.topic).or_default().push(partition.partition.0);
        }
        let topic = |(name, partition_indexes): (&TopicName, Vec<i32>)| WritableTxnMarkerTopic {
            name: WireStr::copy_of(name.as_str()),
            partition_indexes,
        };
        let end = self.end();
        let marker = WritableTxnMarker {
            producer_id: end.producer.0,
            producer_epoch: end.epoch.0,
            transaction_result: end.commit,
            topics: topics.into_iter().map(topic).collect(),
            coordinator_epoch: end.coordinator_epoch,
            transaction_version: i8::try_from(self.prepared.version.0).unwrap_or(i8::MAX),
        };
        WriteTxnMarkersRequest { markers: vec![marker] }
    }
}

/// What a response says of a partition; one that it does not speak of has no marker.
fn found(response: &WriteTxnMarkersResponse, partition: &TopicPartition) -> Result<(), ErrorCode> {
    let topics = response.markers.iter().flat_map(|marker| &marker.topics);
    let results = topics.filter(|topic| *topic.name == *partition.topic).flat_map(|topic| &topic.partitions);
    let code = results
        .filter(|result| result.partition_index == partition.partition.0)
        .map(|result| ErrorCode::from_code(result.error_code))
        .next_back();
    match code {
        Some(ErrorCode::NONE) => Ok(()),
        Some(code) => Err(code),
        None => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
    }
}

/// Writes one marker into a partition that is led here, and waits until it is committed. A marker among the offsets of
/// groups is written by their coordinator, which then counts the offsets (KAFKA-17507).
///
/// # Errors
/// Kafka's code of why there is no marker.
pub(crate) async fn write_marker(
    node: &Node,
    partition: &TopicPartition,
    end: TransactionEnd,
    marker_epoch: MarkerEpoch,
) -> Result<(), ErrorCode> {
    let hosted = node.lookup_name(&partition.topic)?.partition(partition.partition);
    let hosted = hosted.map_err(|code| match code {
        ErrorCode::NOT_LEADER_OR_FOLLOWER => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        code => code,
    })?;
    if &*partition.topic == GROUP_OFFSETS_TOPIC {
        let command = GroupCommand::EndTransaction(EndTransaction { end, marker_epoch });
        return match node.groups.ask(partition.partition, command).await {
            Ok(GroupAnswer::TransactionEnded) => Ok(()),
            Ok(_) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(error) => Err(match error.code() {
                ErrorCode::COORDINATOR_NOT_AVAILABLE
                | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                | ErrorCode::NOT_COORDINATOR => ErrorCode::NOT_LEADER_OR_FOLLOWER,
                code => code,
            }),
        };
    }
    let result = if end.commit { TransactionResult::Commit } else { TransactionResult::Abort };
    let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(end.coordinator_epoch) };
    let batch = marker
        .batch(end.producer, end.epoch, node.clock.wall())
        .map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
    let terms = PlaceTerms { marker_epoch, ..PlaceTerms::by(Origin::Coordinator) };
    let (placed, outcome) = match hosted.partition.place(batch, terms) {
        Ok(placed) | Err(PlaceError::Duplicate(placed)) => (placed, Ok(())),
        // The marker that has used up the epoch may not be committed yet, and is not there before that.
        Err(error) if error.code() == ErrorCode::INVALID_PRODUCER_EPOCH => {
            (hosted.partition.standing(), Err(error.code()))
        }
        Err(error) => return Err(error.code()),
    };
    tokio::select! {
        biased;
        committed = committed(hosted.partition.watch(), placed) => {
            committed.map_err(|error| error.code()).and(outcome)
        }
        () = node.clock.sleep_until(node.clock.now() + COMMIT_TIMEOUT) => Err(ErrorCode::REQUEST_TIMED_OUT),
    }
}
