//! The replicas of partitions: who leads, who is in sync, and where new ones go.

use std::cell::LazyCell;

use vltava_core::config::{BrokerLayers, Properties, TopicConfig};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicIdPartition};
use vltava_core::image::{ConfigResource, Partition, Topic};

use super::Cluster;
use super::command::{ElectLeaders, Election, ElectionResult};
use super::eligible::{self, Place};
use super::event::{Event, PartitionChange};

/// The feature that lets replicas outside the in-sync set lead without losing records (KIP-966).
pub const ELIGIBLE_LEADERS_FEATURE: &str = "eligible.leader.replicas.version";

/// Why a partition keeps its leader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionError {
    /// No such topic.
    #[error("No such topic as {0}")]
    UnknownTopic(String),
    /// No such partition.
    #[error("No such partition as {0}-{1}")]
    UnknownPartition(String, PartitionIndex),
    /// It already has the leader it should have.
    #[error("Leader election not needed for topic partition.")]
    NotNeeded,
    /// The preferred leader is not in sync, or not there.
    #[error("The preferred leader was not available.")]
    PreferredLeaderNotAvailable,
    /// No replica is there.
    #[error("Eligible topic partition leaders are not available.")]
    NoEligibleLeader,
}

impl ElectionError {
    /// Kafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownTopic(_) | Self::UnknownPartition(..) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            Self::NotNeeded => ErrorCode::ELECTION_NOT_NEEDED,
            Self::PreferredLeaderNotAvailable => ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE,
            Self::NoEligibleLeader => ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE,
        }
    }
}

/// What a change of the brokers means for partitions.
#[derive(Clone, Copy)]
struct Change {
    /// This broker is going: it cannot lead or be in sync any more.
    leaving: Option<BrokerId>,
    /// It has not stopped cleanly, and may have lost what it had.
    unclean: bool,
    /// This broker is coming: it can lead already, though it still counts as fenced.
    coming: Option<BrokerId>,
}

/// What a topic's configuration says about its leaders.
#[derive(Clone, Copy)]
struct Settings {
    unclean_leaders: bool,
    min_insync_replicas: usize,
}

impl Cluster {
    /// A new partition on these brokers; `None` when none of them can lead.
    pub(super) fn new_partition(&self, replicas: Vec<BrokerId>) -> Option<Partition> {
        let isr: Vec<BrokerId> = replicas.iter().copied().filter(|id| self.is_active(*id)).collect();
        let leader = *isr.first()?;
        Some(Partition {
            directories: replicas.iter().map(|id| self.directory_for_new_replica(*id)).collect(),
            replicas,
            isr,
            leader,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            ..Partition::default()
        })
    }

    /// A broker leaves: others lead what it led, and it is in sync nowhere. The last in-sync replica stays, so that the
    /// partition waits for it; where eligible leaders are kept it becomes one of those.
    pub(super) fn leave_partitions(&self, broker: BrokerId) -> Vec<Event> {
        self.take_leave(Change { leaving: Some(broker), unclean: false, coming: None })
    }

    /// A broker has come back and may have lost what it had: it is no eligible leader either.
    pub(super) fn leave_partitions_uncleanly(&self, broker: BrokerId) -> Vec<Event> {
        self.take_leave(Change { leaving: Some(broker), unclean: true, coming: None })
    }

    fn take_leave(&self, change: Change) -> Vec<Event> {
        let concerned = |ids: &[BrokerId]| change.leaving.is_some_and(|leaving| ids.contains(&leaving));
        self.changed_partitions(change, |partition| {
            concerned(&[partition.leader]) || concerned(&partition.isr) || concerned(&partition.eligible)
        })
    }

    /// A broker comes: it leads what nobody leads and it may lead.
    pub(super) fn lead_what_nobody_leads(&self, broker: BrokerId) -> Vec<Event> {
        self.changed_partitions(Change { leaving: None, unclean: false, coming: Some(broker) }, |partition| {
            partition.leader == BrokerId::NONE && partition.replicas.contains(&broker)
        })
    }

    fn changed_partitions(&self, change: Change, concerned: impl Fn(&Partition) -> bool) -> Vec<Event> {
        let layers = LazyCell::new(|| self.broker_layers());
        let mut events = Vec::new();
        for topic in self.image.topics.iter() {
            let settings = LazyCell::new(|| self.settings_of(&topic.name, &layers));
            for (index, partition) in topic.numbered().filter(|(_, partition)| concerned(partition)) {
                let changed = self.change_partition((topic.id, index), partition, change, || *settings);
                events.extend((!changed.is_empty()).then_some(Event::PartitionChanged(changed)));
            }
        }
        events
    }

    fn change_partition(
        &self,
        (topic, index): (TopicId, PartitionIndex),
        partition: &Partition,
        change: Change,
        settings: impl Fn() -> Settings,
    ) -> PartitionChange {
        let keeps = self.keeps_eligible();
        let stays = |id: &BrokerId| Some(*id) != change.leaving;
        let can_lead = |id: BrokerId| stays(&id) && (Some(id) == change.coming || self.is_active(id));
        let mut isr: Vec<BrokerId> = partition.isr.iter().copied().filter(stays).collect();
        if isr.is_empty() && !keeps {
            // It is waited for: nobody else is known to have everything.
            isr.clone_from(&partition.isr);
        }
        let unclean = change.leaving.filter(|_| change.unclean);
        let eligible = if keeps {
            eligible::now(partition, &isr, unclean, || settings().min_insync_replicas)
        } else {
            Vec::new()
        };
        let mut place = Place { leader: partition.leader, isr, eligible, recovering: false };
        if !place.is_safe(place.leader) || !can_lead(place.leader) {
            place.elect(partition, can_lead, keeps, || settings().unclean_leaders);
        }
        place.changed(PartitionChange::of(topic, index), partition, keeps)
    }

    /// The change of a partition whose leader wants other replicas in sync.
    pub(super) fn change_in_sync(
        &self,
        id: TopicIdPartition,
        topic: &str,
        partition: &Partition,
        isr: Vec<BrokerId>,
    ) -> PartitionChange {
        let keeps = self.keeps_eligible();
        let minimum = || self.settings_of(topic, &self.broker_layers()).min_insync_replicas;
        let eligible = if keeps { eligible::now(partition, &isr, None, minimum) } else { Vec::new() };
        let place = Place { leader: partition.leader, isr, eligible, recovering: false };
        place.changed(PartitionChange::of(id.topic, id.partition), partition, keeps)
    }

    /// Whether replicas outside the in-sync set may lead that are known to have everything.
    pub(super) fn keeps_eligible(&self) -> bool {
        self.image.feature(ELIGIBLE_LEADERS_FEATURE) > 0
    }

    /// Decides elections.
    pub(super) fn elect_leaders(&self, request: ElectLeaders) -> (Vec<Event>, Vec<ElectionResult>) {
        let all = request.partitions.is_none();
        let partitions = request.partitions.unwrap_or_else(|| self.all_partitions());
        let mut events = Vec::new();
        let mut results = Vec::new();
        for (topic, partition) in partitions {
            let result =
                self.elect_leader(&topic, partition, request.election).map(|event| events.push(event));
            if !(all && result == Err(ElectionError::NotNeeded)) {
                results.push(ElectionResult { topic, partition, result });
            }
        }
        (events, results)
    }

    fn all_partitions(&self) -> Vec<(String, PartitionIndex)> {
        let of = |topic: &Topic| {
            let name = topic.name.to_string();
            topic.numbered().map(|(index, _)| (name.clone(), index)).collect::<Vec<_>>()
        };
        self.image.topics.iter().flat_map(|topic| of(topic)).collect()
    }

    fn elect_leader(
        &self,
        name: &str,
        index: PartitionIndex,
        election: Election,
    ) -> Result<Event, ElectionError> {
        let topic =
            self.image.topics.by_name(name).ok_or_else(|| ElectionError::UnknownTopic(name.to_owned()))?;
        let partition =
            topic.partition(index).ok_or_else(|| ElectionError::UnknownPartition(name.to_owned(), index))?;
        let change = PartitionChange::of(topic.id, index);
        match election {
            Election::Preferred => self.elect_preferred(partition, change),
            Election::Unclean => self.elect_unclean(partition, change),
        }
        .map(Event::PartitionChanged)
    }

    fn elect_preferred(
        &self,
        partition: &Partition,
        change: PartitionChange,
    ) -> Result<PartitionChange, ElectionError> {
        match partition.replicas.first() {
            Some(preferred) if *preferred == partition.leader => Err(ElectionError::NotNeeded),
            Some(preferred) if partition.isr.contains(preferred) && self.is_active(*preferred) => {
                Ok(PartitionChange { leader: Some(*preferred), ..change })
            }
            _ => Err(ElectionError::PreferredLeaderNotAvailable),
        }
    }

    fn elect_unclean(
        &self,
        partition: &Partition,
        change: PartitionChange,
    ) -> Result<PartitionChange, ElectionError> {
        if partition.leader != BrokerId::NONE {
            return Err(ElectionError::NotNeeded);
        }
        let keeps = self.keeps_eligible();
        let (isr, eligible) = (partition.isr.clone(), partition.eligible.clone());
        let mut place = Place { leader: BrokerId::NONE, isr, eligible, recovering: false };
        place.elect(partition, |id| self.is_active(id), keeps, || true);
        if place.leader == BrokerId::NONE {
            return Err(ElectionError::NoEligibleLeader);
        }
        Ok(place.changed(change, partition, keeps))
    }

    pub(super) fn is_active(&self, broker: BrokerId) -> bool {
        self.image.active_broker(broker).is_some()
    }

    /// What a topic's configuration says about its leaders. Where what is stored does not fit, as a foreign record may
    /// not, nothing may be lost.
    fn settings_of(&self, topic: &str, layers: &BrokerLayers) -> Settings {
        let none = Properties::new();
        let own = self.image.config(&ConfigResource::topic(topic)).map_or(&none, AsRef::as_ref);
        let config = TopicConfig::resolve(own, layers).ok();
        let minimum = config.as_ref().and_then(|config| usize::try_from(config.min_insync_replicas).ok());
        Settings {
            unclean_leaders: config.is_some_and(|config| config.unclean_leader_election_enable),
            min_insync_replicas: minimum.unwrap_or(1),
        }
    }
}
