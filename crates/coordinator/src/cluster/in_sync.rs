//! Leaders change who is in sync (AlterPartition, KIP-497).
//!
//! The controller decides it like any change of a partition, at one partition epoch: of two proposals for the same epoch
//! one is refused. It lets nobody in who could lead without being there: a broker that is fenced, shutting down, or has
//! registered again since it fetched (KIP-841, KIP-903).

use std::collections::BTreeSet;

use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, TopicIdPartition};
use vltava_core::image::Partition;

use super::Cluster;
use super::brokers::BrokerError;
use super::command::{AlterIsr, AlteredIsr};
use super::event::Event;

/// Why the in-sync replicas of a partition stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlterIsrError {
    /// No such topic.
    #[error("no topic has this id")]
    UnknownTopic,
    /// No such partition.
    #[error("the topic has no such partition")]
    UnknownPartition,
    /// The proposer knows a newer state than this controller, which has therefore been replaced.
    #[error("this node is no longer the controller")]
    NotController,
    /// Another leader epoch has begun.
    #[error("the leader epoch is {0} by now")]
    FencedLeaderEpoch(LeaderEpoch),
    /// The partition has changed since.
    #[error("the partition epoch is {0} by now")]
    PartitionEpoch(PartitionEpoch),
    /// The proposer does not lead, is not part of what it proposes, names a broker without a replica or one twice, or
    /// says that it recovers when it may not.
    #[error("these replicas cannot be in sync")]
    Invalid,
    /// The broker is fenced, shuts down, or has registered again.
    #[error("broker {0} may not be in sync")]
    Ineligible(BrokerId),
}

impl AlterIsrError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic => ErrorCode::UNKNOWN_TOPIC_ID,
            Self::UnknownPartition => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::NotController => ErrorCode::NOT_CONTROLLER,
            Self::FencedLeaderEpoch(_) => ErrorCode::FENCED_LEADER_EPOCH,
            Self::PartitionEpoch(_) => ErrorCode::INVALID_UPDATE_VERSION,
            Self::Invalid => ErrorCode::INVALID_REQUEST,
            Self::Ineligible(_) => ErrorCode::INELIGIBLE_REPLICA,
        }
    }
}

/// What became of one partition of the request.
pub type AlteredPartition = (TopicIdPartition, Result<AlteredIsr, AlterIsrError>);

impl Cluster {
    /// Decides changes of in-sync replicas. A partition that is there twice is changed by its first change alone.
    pub(super) fn alter_isr(
        &self,
        broker: BrokerId,
        epoch: BrokerEpoch,
        partitions: Vec<(TopicIdPartition, AlterIsr)>,
    ) -> (Vec<Event>, Result<Vec<AlteredPartition>, BrokerError>) {
        if let Err(error) = self.check_broker_epoch(broker, epoch) {
            return (Vec::new(), Err(error));
        }
        let mut events = Vec::new();
        let mut results = Vec::with_capacity(partitions.len());
        let mut changed = BTreeSet::new();
        for (id, change) in partitions {
            let result = self.alter_one(broker, id, &change, changed.contains(&id));
            let result = result.map(|(event, altered)| {
                if event.is_some() {
                    changed.insert(id);
                }
                events.extend(event);
                altered
            });
            results.push((id, result));
        }
        (events, Ok(results))
    }

    fn alter_one(
        &self,
        broker: BrokerId,
        id: TopicIdPartition,
        change: &AlterIsr,
        changed: bool,
    ) -> Result<(Option<Event>, AlteredIsr), AlterIsrError> {
        let topic = self.image.topics.by_id(id.topic).ok_or(AlterIsrError::UnknownTopic)?;
        let partition = topic.partition(id.partition).ok_or(AlterIsrError::UnknownPartition)?;
        check_state(broker, partition, change)?;
        let next = PartitionEpoch(partition.partition_epoch.0.wrapping_add(1));
        if changed {
            return Err(AlterIsrError::PartitionEpoch(next));
        }
        check_replicas(partition, change)?;
        let ineligible = |(id, epoch): &&(BrokerId, BrokerEpoch)| {
            let active = self.image.active_broker(*id);
            active.is_none_or(|active| epoch.0 != -1 && active.epoch != *epoch)
        };
        if let Some((id, _)) = change.isr.iter().find(ineligible) {
            return Err(AlterIsrError::Ineligible(*id));
        }
        let isr: Vec<BrokerId> = change.isr.iter().map(|(id, _)| *id).collect();
        let mut changed = self.change_in_sync(id, &topic.name, partition, isr.clone());
        changed.recovering = (change.recovering != partition.recovering).then_some(change.recovering);
        let changes = !changed.is_empty();
        let altered = AlteredIsr {
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            partition_epoch: if changes { next } else { partition.partition_epoch },
            isr,
            recovering: change.recovering,
        };
        Ok((changes.then_some(Event::PartitionChanged(changed)), altered))
    }
}

/// The proposal has to be made to the state as it is.
fn check_state(broker: BrokerId, partition: &Partition, change: &AlterIsr) -> Result<(), AlterIsrError> {
    if change.leader_epoch > partition.leader_epoch || change.partition_epoch > partition.partition_epoch {
        return Err(AlterIsrError::NotController);
    }
    if change.leader_epoch < partition.leader_epoch {
        return Err(AlterIsrError::FencedLeaderEpoch(partition.leader_epoch));
    }
    if broker != partition.leader {
        return Err(AlterIsrError::Invalid);
    }
    if change.partition_epoch < partition.partition_epoch {
        return Err(AlterIsrError::PartitionEpoch(partition.partition_epoch));
    }
    Ok(())
}

fn check_replicas(partition: &Partition, change: &AlterIsr) -> Result<(), AlterIsrError> {
    let isr: BTreeSet<BrokerId> = change.isr.iter().map(|(id, _)| *id).collect();
    let known = isr.len() == change.isr.len() && isr.iter().all(|id| partition.replicas.contains(id));
    let recovers = change.recovering && (isr.len() > 1 || !partition.recovering);
    if known && isr.contains(&partition.leader) && !recovers { Ok(()) } else { Err(AlterIsrError::Invalid) }
}
