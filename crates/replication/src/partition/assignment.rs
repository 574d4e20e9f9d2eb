//! What the cluster says about the replicas of one partition.

use vltava_core::id::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use vltava_core::image::{self, Image};

/// Who holds a partition, who leads it and who is in sync, as one image of the cluster says it.
///
/// A broker that has started shows its partitions only images in which it is registered in its present life: by then
/// the controller has taken it out of the in-sync replicas, or begun a new leader epoch with it. An older image would let
/// it go on in an epoch of its former life, whose unsynced records it may have lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// How often leadership has changed.
    pub leader_epoch: LeaderEpoch,
    /// How often anything of this has changed.
    pub partition_epoch: PartitionEpoch,
    /// The brokers that hold a replica, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The in-sync replicas.
    pub isr: Vec<BrokerId>,
    /// Which of the replicas may be in sync: the brokers that are neither fenced nor shutting down, each in the epoch of
    /// its registration (KIP-841, KIP-903).
    pub active: Vec<(BrokerId, BrokerEpoch)>,
}

impl Assignment {
    /// What `image` says about `partition`, which must be one of its partitions.
    #[must_use]
    pub fn of(image: &Image, partition: &image::Partition) -> Assignment {
        let active = |id: &BrokerId| Some((*id, image.active_broker(*id)?.epoch));
        Assignment {
            leader: partition.leader,
            leader_epoch: partition.leader_epoch,
            partition_epoch: partition.partition_epoch,
            replicas: partition.replicas.clone(),
            isr: partition.isr.clone(),
            active: partition.replicas.iter().filter_map(active).collect(),
        }
    }

    /// In which epoch this broker is registered, when it may be in sync.
    pub(super) fn active_epoch(&self, broker: BrokerId) -> Option<BrokerEpoch> {
        self.active.iter().find(|(id, _)| *id == broker).map(|(_, epoch)| *epoch)
    }
}

/// The in-sync replicas that a leader wants its partition to have (AlterPartition, KIP-497).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    /// The leader epoch of the proposer.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the change is made to: the controller refuses it when anything has changed since.
    pub partition_epoch: PartitionEpoch,
    /// The replicas to be in sync, each with the epoch in which it fetched; [`BrokerEpoch`] -1 where that is not known,
    /// which only a replica that is in sync already can be.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
}

impl IsrProposal {
    /// The replicas to be in sync.
    pub fn brokers(&self) -> impl Iterator<Item = BrokerId> {
        self.isr.iter().map(|(broker, _)| *broker)
    }
}

/// What the controller answers to an [`IsrProposal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsrVerdict {
    /// The partition is like this now.
    Accepted {
        /// Its leader epoch.
        leader_epoch: LeaderEpoch,
        /// Its partition epoch.
        partition_epoch: PartitionEpoch,
        /// Its in-sync replicas.
        isr: Vec<BrokerId>,
    },
    /// A replica may not be in sync (`INELIGIBLE_REPLICA`): the proposal was made to the right state, and was not, and
    /// never will be, carried out.
    Ineligible,
    /// The proposal was made to a state that is over, or makes no sense there. What the state is comes with an image.
    Outdated,
    /// Nobody knows what became of it: no answer came, or one from no controller. It is made again.
    Unknown,
}
