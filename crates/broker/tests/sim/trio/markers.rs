//! The writer of end markers, as the broker has it: into every partition of a prepared transaction, until each has one, as
//! long as this node coordinates in that epoch; and then the coordinator is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use vltava_coordinator::group::command::EndTransaction;
use vltava_coordinator::group::{GroupAnswer, GroupCommand};
use vltava_coordinator::transaction::{Transaction, TransactionCommand, TransactionEffect, TransactionalId};
use vltava_core::error::ErrorCode;
use vltava_core::id::{
    BrokerId, LeaderEpoch, PartitionIndex, TRANSACTION_STATE_TOPIC, TopicIdPartition, TopicPartition,
};
use vltava_core::machine::TransactionEnd;
use vltava_core::record::{EndTransactionMarker, TransactionResult};
use vltava_core::replicated::{MarkerEpoch, Origin, PlaceTerms};
use vltava_replication::runtime::Committed;

use super::clients::{commit, place};
use super::network::Place;
use super::node::{Life, index_of};
use super::{Breach, World};

/// How long after a failure markers are tried again.
const PAUSE: Duration = Duration::from_millis(40);

/// Writes the markers of one transaction after another, many at the same time.
pub async fn run(life: Arc<Life>, mut prepared: mpsc::Receiver<Committed<TransactionEffect>>) {
    while let Some(Committed { epoch, effect, .. }) = prepared.recv().await {
        let TransactionEffect::WriteMarkers { id, prepared } = effect;
        life.note(&format!("writes the markers of {id}: {} in epoch {}", prepared.status, prepared.epoch));
        life.world.tempt(life.index);
        let ending = Ending { life: life.clone(), epoch, id, prepared };
        life.spawn(ending.finish());
    }
}

/// A transaction that is being ended.
struct Ending {
    life: Arc<Life>,
    /// The leader epoch in which this node coordinates.
    epoch: LeaderEpoch,
    id: TransactionalId,
    prepared: Arc<Transaction>,
}

impl Ending {
    async fn finish(self) {
        let world = &self.life.world;
        let mut left: BTreeSet<TopicPartition> = self.prepared.partitions.clone();
        loop {
            for partition in left.clone() {
                let written = self.write(&partition).await;
                // An epoch that is used up belongs to this marker, which was written before, or to a later one.
                let done = matches!(written, Ok(()) | Err(ErrorCode::INVALID_PRODUCER_EPOCH));
                if done || world.options.breach == Some(Breach::MarkersOnce) {
                    left.remove(&partition);
                }
                world.tempt(self.life.index);
            }
            if (left.is_empty() && self.tell().await) || !self.coordinates() {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Whether this node still coordinates in the same epoch, as far as it knows.
    fn coordinates(&self) -> bool {
        let image = self.life.image();
        let partition = image.partition(TRANSACTION_STATE_TOPIC, PartitionIndex(0));
        partition.is_some_and(|known| (known.leader, known.leader_epoch) == (self.life.id, self.epoch))
    }

    async fn tell(&self) -> bool {
        let (producer, epoch) = (self.prepared.producer, self.prepared.epoch);
        let command = TransactionCommand::MarkersWritten { id: self.id.clone(), producer, epoch };
        matches!(self.life.world.ask_transaction(self.life.index, command).await, Some(Ok(_)))
    }

    async fn write(&self, partition: &TopicPartition) -> Result<(), ErrorCode> {
        let world = &self.life.world;
        let known =
            self.life.image().partition(&partition.topic, partition.partition).map(|known| known.leader);
        let Some(to) = known.filter(|leader| *leader != BrokerId::NONE).map(index_of) else {
            return Err(ErrorCode::LEADER_NOT_AVAILABLE);
        };
        let end = TransactionEnd {
            producer: self.prepared.producer,
            epoch: self.prepared.epoch,
            commit: self.prepared.commits(),
            coordinator_epoch: self.epoch.0,
        };
        let raises = self.prepared.version.raises_epoch();
        let marker_epoch = if raises { MarkerEpoch::Above } else { MarkerEpoch::AtLeast };
        let id = world.id_of(partition);
        if let Some(later) = world.network.echo().filter(|_| raises) {
            let world = world.clone();
            tokio::spawn(async move {
                sleep(later).await;
                write_marker(&world, to, id, end, marker_epoch).await;
            });
        }
        let answer = write_marker(world, to, id, end, marker_epoch);
        let (from, to) = (Place::Node(self.life.index), Place::Node(to));
        world.network.call(from, to, answer).await.unwrap_or(Err(ErrorCode::NETWORK_EXCEPTION))
    }
}

/// Writes one marker at a node, and waits until it is committed. `None` when the node goes away.
async fn write_marker(
    world: &Arc<World>,
    to: usize,
    id: TopicIdPartition,
    end: TransactionEnd,
    marker_epoch: MarkerEpoch,
) -> Option<Result<(), ErrorCode>> {
    if id == world.groups {
        let command = GroupCommand::EndTransaction(EndTransaction { end, marker_epoch });
        return Some(match world.ask_group(to, command).await? {
            Ok(GroupAnswer::TransactionEnded) => Ok(()),
            Ok(_) => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
            Err(code) => Err(code),
        });
    }
    let result = if end.commit { TransactionResult::Commit } else { TransactionResult::Abort };
    let marker = EndTransactionMarker { result, coordinator_epoch: LeaderEpoch(end.coordinator_epoch) };
    let batch = marker.batch(end.producer, end.epoch, world.clock.wall()).unwrap();
    let terms = PlaceTerms { marker_epoch, ..PlaceTerms::by(Origin::Coordinator) };
    let life = world.life(to)?;
    let placed = place(world, &life, id, batch, terms);
    world.tempt(to);
    match placed {
        Ok(placed) => Some(commit(world, &life, id, placed).await?.map(drop)),
        // The marker that has used up the epoch is not there before it is committed.
        Err(code @ ErrorCode::INVALID_PRODUCER_EPOCH) => {
            let standing = life.partition(id)?.standing();
            Some(commit(world, &life, id, standing).await?.and(Err(code)))
        }
        Err(code) => Some(Err(code)),
    }
}
