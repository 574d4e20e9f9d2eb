//! A group of the consumer protocol (KIP-848): members send heartbeats, and the coordinator assigns.
//!
//! Three epochs drive it. The *group epoch* rises whenever members, subscriptions or the subscribed topics change. Then a
//! *target assignment* is computed, whose epoch is the group's at that time. Each member walks towards the target on its
//! own, with its heartbeats: it first gives up what it is not to have, then takes the *member epoch* of the target, and
//! gets what it is to have as the others give it up. Nobody stops for anybody else.
//!
//! What must hold, and what the schedules of the tests check:
//!
//! * a partition is had by one member at most, where those it has yet to give up count as had;
//! * epochs rise, the target's is never above the group's, a member's never above the target's;
//! * the target gives nobody a topic that it does not subscribe to;
//! * with everybody's heartbeats and no change from outside, everybody has its target.
//!
//! State mirrors records: one map for each kind, so that the order in which a compacted log brings them does not matter.
//! What follows from them — who has which partition, how many subscribe to which topic — is kept along and never stored.

mod beat;
mod classic_join;
mod classic_member;
mod convert;
mod describe;
mod draft;
pub mod event;
mod fence;
mod hash;
mod heartbeat;
pub mod member;
mod offsets;
mod protocol;
mod reconcile;
mod record;
mod regexes;
mod target;
mod timers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use vltava_core::clock::Moment;
use vltava_core::id::{Generation, Offset, PartitionIndex, Timestamp, TopicId};
use vltava_core::image::Image;

use super::error::GroupError;
use super::name::{InstanceId, MemberId};
use crate::assignor::Assignment;

pub use event::{CheckedTopics, ConsumerEvent};
pub use member::{Current, MemberMetadata, MemberState, ResolvedRegex};
pub(super) use offsets::CommitCheck;
pub(super) use record::{decode, encode, is_consumer_record};
pub use timers::MemberWait;

/// Where a consumer group is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerState {
    /// No members; perhaps offsets.
    Empty,
    /// The target is older than the group.
    Assigning,
    /// Members are on their way to the target.
    Reconciling,
    /// Everybody has its target.
    Stable,
}

impl ConsumerState {
    /// Kafka's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ConsumerState::Empty => "Empty",
            ConsumerState::Assigning => "Assigning",
            ConsumerState::Reconciling => "Reconciling",
            ConsumerState::Stable => "Stable",
        }
    }
}

/// A group of the consumer protocol, as its coordinator sees it. What grows with its members is shared with the copy that a
/// decision works on, until that changes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsumerGroup {
    /// The group epoch, and the hash of the subscribed topics.
    stored_epoch: Option<(Generation, i64)>,
    /// The epoch of the target, and when it was computed.
    stored_target: Option<(Generation, Option<Timestamp>)>,
    /// The log holds metadata of topics as brokers of old wrote it.
    has_topics: bool,
    members: Arc<BTreeMap<MemberId, Arc<MemberMetadata>>>,
    targets: Arc<HashMap<MemberId, Arc<Assignment>>>,
    currents: Arc<HashMap<MemberId, Arc<Current>>>,
    regexes: BTreeMap<Arc<str>, ResolvedRegex>,
    derived: Derived,
    live: Live,
}

/// What follows from the records.
#[derive(Clone, Debug, Default, PartialEq)]
struct Derived {
    /// Who has a partition.
    owners: Arc<HashMap<(TopicId, PartitionIndex), MemberId>>,
    /// How many members subscribe to a topic by its name.
    topics: BTreeMap<Arc<str>, usize>,
    /// How many members subscribe to a regular expression.
    regexes: BTreeMap<Arc<str>, usize>,
    instances: Arc<HashMap<InstanceId, MemberId>>,
    /// How many members speak the classic protocol.
    classic_members: usize,
}

/// What only the leader of the partition knows.
#[derive(Clone, Debug, Default, PartialEq)]
struct Live {
    /// When each member must have been heard of.
    deadlines: Arc<HashMap<MemberId, Moment>>,
    /// The topics that the group epoch's hash is of, and the image that they were compared with.
    checked: Option<CheckedTopics>,
    /// Until when the regular expressions count as being resolved.
    regexes_awaited: Option<Moment>,
    regexes_checked: Option<(Timestamp, Offset)>,
    /// Members of the classic protocol that were told to join again.
    joins_awaited: BTreeSet<MemberId>,
}

impl ConsumerGroup {
    /// The group epoch; 1 in a new group, as Kafka has it, so that a member always has an epoch.
    #[must_use]
    pub fn epoch(&self) -> Generation {
        self.stored_epoch.map_or(Generation(1), |(epoch, _)| epoch)
    }

    /// The epoch of the target; 1 when there is none.
    #[must_use]
    pub fn target_epoch(&self) -> Generation {
        self.stored_target.map_or(Generation(1), |(epoch, _)| epoch)
    }

    /// The members, ordered by id.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<MemberId, Arc<MemberMetadata>> {
        &self.members
    }

    /// Where a member is and what it has.
    #[must_use]
    pub fn current(&self, member: &MemberId) -> Arc<Current> {
        self.currents.get(member).cloned().unwrap_or_default()
    }

    /// What a member is to have.
    #[must_use]
    pub fn target(&self, member: &MemberId) -> Arc<Assignment> {
        self.targets.get(member).cloned().unwrap_or_default()
    }

    /// Where the group is.
    #[must_use]
    pub fn state(&self) -> ConsumerState {
        let target = self.target_epoch();
        let reconciled = |member: &MemberId| self.current(member).is_reconciled_to(target);
        if self.members.is_empty() {
            ConsumerState::Empty
        } else if self.epoch() > target {
            ConsumerState::Assigning
        } else if self.members.keys().all(reconciled) {
            ConsumerState::Stable
        } else {
            ConsumerState::Reconciling
        }
    }

    fn metadata_hash(&self) -> i64 {
        self.stored_epoch.map_or(0, |(_, hash)| hash)
    }

    fn member(&self, member: &MemberId) -> Result<&Arc<MemberMetadata>, GroupError> {
        self.members.get(member).ok_or(GroupError::UnknownMember)
    }

    /// The id of the static member of this instance id.
    fn static_member(&self, instance: &InstanceId) -> Option<&MemberId> {
        self.derived.instances.get(instance)
    }

    fn owner(&self, topic: TopicId, partition: PartitionIndex) -> Option<&MemberId> {
        self.derived.owners.get(&(topic, partition))
    }

    /// How many members subscribe to a regular expression.
    fn regex_members(&self, regex: &str) -> usize {
        self.derived.regexes.get(regex).copied().unwrap_or_default()
    }

    /// The topics that members subscribe to, by name or by a regular expression that is resolved.
    pub(super) fn subscribed_topics(&self) -> BTreeSet<Arc<str>> {
        let matched = self.regexes.values().flat_map(|resolved| resolved.topics.iter());
        self.derived.topics.keys().chain(matched).cloned().collect()
    }

    /// The topics of one member that exist.
    fn topics_of(&self, metadata: &MemberMetadata, image: &Image) -> BTreeSet<TopicId> {
        let resolved = metadata.regex().and_then(|regex| self.regexes.get(regex));
        let matched = resolved.into_iter().flat_map(|resolved| resolved.topics.iter());
        let names = metadata.topics.iter().chain(matched);
        names.filter_map(|name| image.topics.by_name(name)).map(|topic| topic.id).collect()
    }

    /// Whether the log holds nothing of this group any more.
    pub(super) fn is_forgotten(&self) -> bool {
        self.stored_epoch.is_none()
            && self.stored_target.is_none()
            && !self.has_topics
            && self.members.is_empty()
            && self.targets.is_empty()
            && self.currents.is_empty()
            && self.regexes.is_empty()
    }

    /// What the log says, as events that build it from nothing.
    pub(super) fn snapshot(&self) -> Vec<ConsumerEvent> {
        let mut events = Vec::new();
        let stored = |(member, metadata): (&MemberId, &Arc<MemberMetadata>)| ConsumerEvent::MemberStored {
            member: member.clone(),
            metadata: metadata.clone(),
        };
        events.extend(self.members.iter().map(stored));
        events.extend(
            self.stored_epoch
                .map(|(epoch, metadata_hash)| ConsumerEvent::EpochStored { epoch, metadata_hash }),
        );
        events.extend(self.has_topics.then_some(ConsumerEvent::TopicsStored));
        let target = |(member, target): (&MemberId, &Arc<Assignment>)| ConsumerEvent::MemberTargetStored {
            member: member.clone(),
            target: target.clone(),
        };
        events.extend(ordered(&self.targets).map(target));
        events.extend(self.stored_target.map(|(epoch, at)| ConsumerEvent::TargetStored { epoch, at }));
        let current = |(member, current): (&MemberId, &Arc<Current>)| ConsumerEvent::CurrentStored {
            member: member.clone(),
            current: (**current).clone(),
        };
        events.extend(ordered(&self.currents).map(current));
        events.extend(self.regexes.iter().map(|(regex, resolved)| ConsumerEvent::RegexStored {
            regex: regex.clone(),
            resolved: resolved.clone(),
        }));
        events
    }

    /// Applies an event. One that speaks of what is not there changes nothing.
    pub(super) fn apply(&mut self, event: &ConsumerEvent) {
        match event {
            ConsumerEvent::EpochStored { epoch, metadata_hash } => {
                self.stored_epoch = Some((*epoch, *metadata_hash));
            }
            ConsumerEvent::EpochForgotten => self.stored_epoch = None,
            ConsumerEvent::TopicsStored => self.has_topics = true,
            ConsumerEvent::TopicsForgotten => self.has_topics = false,
            ConsumerEvent::MemberStored { member, metadata } => self.put_member(member, metadata),
            ConsumerEvent::MemberForgotten(member) => self.forget_member(member),
            ConsumerEvent::TargetStored { epoch, at } => self.stored_target = Some((*epoch, *at)),
            ConsumerEvent::TargetForgotten => self.stored_target = None,
            ConsumerEvent::MemberTargetStored { member, target } => {
                Arc::make_mut(&mut self.targets).insert(member.clone(), target.clone());
            }
            ConsumerEvent::MemberTargetForgotten(member) => {
                Arc::make_mut(&mut self.targets).remove(member);
            }
            ConsumerEvent::CurrentStored { member, current } => {
                self.put_current(member, Some(Arc::new(current.clone())));
            }
            ConsumerEvent::CurrentForgotten(member) => self.put_current(member, None),
            ConsumerEvent::RegexStored { regex, resolved } => {
                self.regexes.insert(regex.clone(), resolved.clone());
            }
            ConsumerEvent::RegexForgotten(regex) => {
                self.regexes.remove(regex);
            }
            ConsumerEvent::Heard { member, deadline } => {
                Arc::make_mut(&mut self.live.deadlines).insert(member.clone(), *deadline);
            }
            ConsumerEvent::MetadataChecked(topics) => self.live.checked = Some(topics.clone()),
            ConsumerEvent::RegexesAwaited(until) => self.live.regexes_awaited = Some(*until),
            ConsumerEvent::RegexesChecked { at, version } => {
                self.live.regexes_awaited = None;
                self.live.regexes_checked = Some((*at, *version));
            }
            ConsumerEvent::JoinAwaited(member) => {
                self.live.joins_awaited.insert(member.clone());
            }
            ConsumerEvent::Joined(member) => {
                self.live.joins_awaited.remove(member);
            }
        }
    }

    fn put_member(&mut self, member: &MemberId, metadata: &Arc<MemberMetadata>) {
        self.count_out(member);
        for topic in &*metadata.topics {
            *self.derived.topics.entry(topic.clone()).or_default() += 1;
        }
        if let Some(regex) = metadata.regex() {
            *self.derived.regexes.entry(regex.clone()).or_default() += 1;
        }
        if let Some(instance) = &metadata.instance {
            Arc::make_mut(&mut self.derived.instances).insert(instance.clone(), member.clone());
        }
        self.derived.classic_members += usize::from(metadata.is_classic());
        Arc::make_mut(&mut self.members).insert(member.clone(), metadata.clone());
    }

    fn forget_member(&mut self, member: &MemberId) {
        self.count_out(member);
        Arc::make_mut(&mut self.members).remove(member);
        Arc::make_mut(&mut self.live.deadlines).remove(member);
        self.live.joins_awaited.remove(member);
    }

    /// Takes a member's metadata out of what is counted.
    fn count_out(&mut self, member: &MemberId) {
        let Some(metadata) = self.members.get(member) else { return };
        let derived = &mut self.derived;
        for topic in &*metadata.topics {
            take_one(&mut derived.topics, topic);
        }
        if let Some(regex) = metadata.regex() {
            take_one(&mut derived.regexes, regex);
        }
        if let Some(instance) = &metadata.instance
            && derived.instances.get(instance) == Some(member)
        {
            Arc::make_mut(&mut derived.instances).remove(instance);
        }
        derived.classic_members -= usize::from(metadata.is_classic());
    }

    fn put_current(&mut self, member: &MemberId, current: Option<Arc<Current>>) {
        let currents = Arc::make_mut(&mut self.currents);
        let before = currents.remove(member);
        let owners = Arc::make_mut(&mut self.derived.owners);
        for partition in before.iter().flat_map(|current| current.partitions()) {
            if owners.get(&partition) == Some(member) {
                owners.remove(&partition);
            }
        }
        if let Some(current) = current {
            owners.extend(current.partitions().map(|partition| (partition, member.clone())));
            currents.insert(member.clone(), current);
        }
    }
}

fn take_one(counts: &mut BTreeMap<Arc<str>, usize>, key: &Arc<str>) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn ordered<T>(map: &HashMap<MemberId, T>) -> impl Iterator<Item = (&MemberId, &T)> {
    let ordered: BTreeMap<&MemberId, &T> = map.iter().collect();
    ordered.into_iter()
}
