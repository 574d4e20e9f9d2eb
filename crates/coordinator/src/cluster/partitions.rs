//! The replicas of partitions: who leads, who is in sync, and where new ones go.

use std::cell::LazyCell;

use vltava_core::config::{BrokerLayers, Properties, TopicConfig};
use vltava_core::error::ErrorCode;
use vltava_core::id::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId};
use vltava_core::image::{ConfigResource, Partition, Topic};

use super::Cluster;
use super::command::{ElectLeaders, Election, ElectionResult};
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
    /// partition waits for it.
    pub(super) fn leave_partitions(&self, broker: BrokerId) -> Vec<Event> {
        self.changed_partitions(Change { leaving: Some(broker), coming: None }, |partition| {
            partition.leader == broker
                || partition.isr.contains(&broker)
                || partition.eligible.contains(&broker)
        })
    }

    /// A broker comes: it leads what nobody leads and it may lead.
    pub(super) fn lead_what_nobody_leads(&self, broker: BrokerId) -> Vec<Event> {
        self.changed_partitions(Change { leaving: None, coming: Some(broker) }, |partition| {
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
        let mut changed = PartitionChange::of(topic, index);
        let stays = |id: &BrokerId| Some(*id) != change.leaving;
        let can_lead = |id: BrokerId| stays(&id) && (Some(id) == change.coming || self.is_active(id));
        let mut isr: Vec<BrokerId> = partition.isr.iter().copied().filter(stays).collect();
        if isr.is_empty() {
            isr.clone_from(&partition.isr);
        }
        let safe = |id: BrokerId| can_lead(id) && (isr.contains(&id) || partition.eligible.contains(&id));
        let mut leader = partition.leader;
        if !safe(leader) {
            let elected = partition.replicas.iter().copied().find(|id| safe(*id));
            let elected = elected.or_else(|| unclean_leader(partition, can_lead, &settings));
            if let Some(elected) = elected.filter(|elected| !isr.contains(elected)) {
                changed.recovering = (!partition.eligible.contains(&elected)).then_some(true);
                isr = vec![elected];
            }
            leader = elected.unwrap_or(BrokerId::NONE);
        }
        changed.leader = (leader != partition.leader).then_some(leader);
        self.settle_eligible(partition, &isr, settings, &mut changed);
        changed.isr = (isr != partition.isr).then_some(isr);
        changed
    }

    /// Eligible leaders are needed only as long as too few replicas are in sync.
    fn settle_eligible(
        &self,
        partition: &Partition,
        isr: &[BrokerId],
        settings: impl Fn() -> Settings,
        changed: &mut PartitionChange,
    ) {
        if partition.eligible.is_empty() && partition.last_known_eligible.is_empty() {
            return;
        }
        let enough = isr.len() >= settings().min_insync_replicas.min(partition.replicas.len());
        let keeps = self.image.feature(ELIGIBLE_LEADERS_FEATURE) > 0 && !enough;
        let eligible: Vec<BrokerId> =
            partition.eligible.iter().copied().filter(|id| keeps && !isr.contains(id)).collect();
        let last_known = if keeps { partition.last_known_eligible.clone() } else { Vec::new() };
        changed.eligible = (eligible != partition.eligible).then_some(eligible);
        changed.last_known_eligible = (last_known != partition.last_known_eligible).then_some(last_known);
    }

    /// The same for a partition of a topic whose settings were not looked at yet.
    pub(super) fn settle_eligible_of(
        &self,
        topic: &str,
        partition: &Partition,
        isr: &[BrokerId],
        changed: &mut PartitionChange,
    ) {
        self.settle_eligible(partition, isr, || self.settings_of(topic, &self.broker_layers()), changed);
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
        let active = |ids: &[BrokerId]| ids.iter().copied().find(|id| self.is_active(*id));
        if let Some(clean) = active(&partition.isr) {
            return Ok(PartitionChange { leader: Some(clean), ..change });
        }
        let leader = active(&partition.replicas).ok_or(ElectionError::NoEligibleLeader)?;
        let recovering = (!partition.eligible.contains(&leader)).then_some(true);
        Ok(PartitionChange { leader: Some(leader), isr: Some(vec![leader]), recovering, ..change })
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

/// A leader that may lack records: the last one that was known to be eligible, or any where the topic allows it.
fn unclean_leader(
    partition: &Partition,
    can_lead: impl Fn(BrokerId) -> bool,
    settings: impl Fn() -> Settings,
) -> Option<BrokerId> {
    let last_known = match partition.last_known_eligible.as_slice() {
        [only] if partition.isr.is_empty() && partition.eligible.is_empty() => Some(*only),
        _ => None,
    };
    let allowed = |id: &BrokerId| last_known == Some(*id) || settings().unclean_leaders;
    partition.replicas.iter().copied().find(|id| can_lead(*id) && allowed(id))
}
