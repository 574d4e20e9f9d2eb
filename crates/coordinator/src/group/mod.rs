//! The group coordinator: the groups of one partition of `__consumer_offsets`, as a state machine.
//!
//! It owns who is a member of a group, which generation a group is in, and where its consumers are. It refuses to know
//! connections, threads and the wire: a handler of the broker translates a request into a [`GroupCommand`] and an answer
//! back, and the runtime brings the log, the clock and the timers. [`partition_for`] says which partition holds a group.
//!
//! A group is a *classic* one, whose members elect a leader that assigns, or a *consumer* group, to whose members the
//! coordinator assigns ([`consumer`]); or it has offsets only. One becomes the other while its members live.
//!
//! Of a classic group two states stand side by side. The *stored* one is what the log says and a failover restores: metadata of groups and
//! offsets. The *live* one is what only the leader of the partition knows: who has joined the coming generation, who has
//! synced, whose session ends when. Joining is volatile until the leader of the group has assigned, exactly as with Kafka;
//! a failover sends the members back to the last generation that was stored, from which they join again.

pub mod answer;
pub mod classic;
pub mod command;
mod commit;
pub mod consumer;
mod delete;
mod describe;
pub mod error;
pub mod event;
mod expiry;
mod fetch;
pub mod name;
mod offsets;
mod record;
pub mod settings;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use vltava_core::image::Image;
use vltava_core::machine::{Context, Decision, DecodeError, Encoded, Entry, Place, Reply, StateMachine};

pub use answer::GroupAnswer;
pub use command::{GroupCommand, GroupTimer};
pub use error::GroupError;
pub use event::{GroupEvent, GroupKey};
pub use name::{GroupId, InstanceId, MemberId, partition_for};
pub use settings::GroupSettings;

use classic::{ClassicGroup, Draft, session_timer};
use consumer::{ConsumerEvent, ConsumerGroup};
use event::{PendingOffset, StoredGroup};
use offsets::Offsets;

/// The coordinator of the groups of one partition of `__consumer_offsets`.
#[derive(Debug, Default, PartialEq)]
pub struct GroupCoordinator {
    settings: GroupSettings,
    groups: HashMap<GroupId, Group>,
    consumers: HashMap<GroupId, ConsumerGroup>,
    offsets: Offsets,
}

/// A classic group that has metadata. One that has offsets only, a *simple* group, is not here.
#[derive(Debug, Default, PartialEq)]
struct Group {
    /// What the log says.
    stored: Arc<StoredGroup>,
    /// What the leader of the partition knows.
    live: ClassicGroup,
}

impl GroupCoordinator {
    /// A coordinator that knows no groups yet.
    #[must_use]
    pub fn new(settings: GroupSettings) -> Self {
        GroupCoordinator { settings, ..GroupCoordinator::default() }
    }

    /// How many groups there are.
    #[must_use]
    pub fn group_count(&self) -> usize {
        let simple = self.offsets.groups().into_iter().filter(|id| self.is_simple(id)).count();
        self.groups.len() + self.consumers.len() + simple
    }

    /// A consumer group.
    #[must_use]
    pub fn consumer(&self, group: &GroupId) -> Option<&ConsumerGroup> {
        self.consumers.get(group)
    }

    /// Whether a group has no metadata.
    fn is_simple(&self, group: &GroupId) -> bool {
        !self.groups.contains_key(group) && !self.consumers.contains_key(group)
    }

    /// The offsets that open transactions would commit.
    #[must_use]
    pub fn pending_offsets(&self) -> Vec<PendingOffset> {
        self.offsets
            .pending()
            .map(|(producer, key, offset)| (producer, key.clone(), offset.clone()))
            .collect()
    }

    /// A classic group that has metadata.
    fn classic(&self, group: &GroupId) -> Option<&ClassicGroup> {
        self.groups.get(group).map(|group| &group.live)
    }

    fn apply_to_consumer(&mut self, group: &GroupId, event: &ConsumerEvent) {
        match self.consumers.get_mut(group) {
            Some(state) => {
                state.apply(event);
                if state.is_forgotten() {
                    self.consumers.remove(group);
                }
            }
            None => {
                let mut state = ConsumerGroup::default();
                state.apply(event);
                if !state.is_forgotten() {
                    self.consumers.insert(group.clone(), state);
                }
            }
        }
    }

    fn fired(&self, context: &Context<'_>, timer: &GroupTimer) -> Decision<Self> {
        match timer {
            GroupTimer::Session { group, member } => self.session_timed_out(context, group, member),
            GroupTimer::InitialDelay { group, delay, remaining } => {
                self.initial_delay_over(context, group, *delay, *remaining)
            }
            GroupTimer::Rebalance(group) => self.rebalance_timed_out(context, group),
            GroupTimer::PendingSync { group, generation } => {
                self.pending_sync_timed_out(context, group, *generation)
            }
            GroupTimer::Member { group, member, wait } => {
                self.member_timed_out(context, group, member, *wait)
            }
            GroupTimer::ResolveRegexes { group, visible } => self.resolve_regexes(context, group, visible),
            GroupTimer::Expiry => self.expire(context),
        }
    }
}

impl StateMachine for GroupCoordinator {
    type Command = GroupCommand;
    type Answer = GroupAnswer;
    type Event = GroupEvent;
    type Key = GroupKey;
    type Effect = Infallible;

    fn decide(&self, context: &Context<'_>, command: GroupCommand) -> Decision<Self> {
        match command {
            GroupCommand::Join(join) => self.join(context, &join),
            GroupCommand::Sync(sync) => self.sync(context, sync),
            GroupCommand::Heartbeat(heartbeat) => self.heartbeat(context, &heartbeat),
            GroupCommand::Leave(leave) => self.leave(context, leave),
            GroupCommand::CommitOffsets(commit) => self.commit_offsets(context, commit),
            GroupCommand::CommitInTransaction(commit) => self.commit_in_transaction(context, commit),
            GroupCommand::EndTransaction(end) => self.end_transaction(end),
            GroupCommand::ConsumerHeartbeat(heartbeat) => self.consumer_heartbeat(context, &heartbeat),
            GroupCommand::DescribeConsumerGroup(group) => self.describe_consumer(context, &group),
            GroupCommand::FetchOffsets(fetch) => self.fetch_offsets(fetch),
            GroupCommand::DeleteOffsets(delete) => self.delete_offsets(&delete),
            GroupCommand::DeleteGroup(group) => self.delete_group(context, &group),
            GroupCommand::DescribeGroup(group) => self.describe_group(&group),
            GroupCommand::ListGroups(filter) => self.list_groups(&filter),
            GroupCommand::TopicsDeleted(topics) => self.topics_deleted(context, &topics),
            GroupCommand::TimerFired(timer) => self.fired(context, &timer),
        }
    }

    fn apply(&mut self, event: &GroupEvent, place: Place) {
        match event {
            GroupEvent::GroupStored { group, stored } => {
                let group = self.groups.entry(group.clone()).or_default();
                group.live.restore(stored);
                group.stored = stored.clone();
            }
            GroupEvent::GroupForgotten { group } => {
                self.groups.remove(group);
            }
            GroupEvent::OffsetCommitted { key, offset } => self.offsets.commit(key, offset, place),
            GroupEvent::OffsetForgotten { key } => self.offsets.forget(key),
            GroupEvent::TransactionEnded(end) => self.offsets.end(*end),
            GroupEvent::Consumer { group, event } => self.apply_to_consumer(group, event),
            GroupEvent::OffsetsExpired(_) => {}
            GroupEvent::Volatile { group, change } => {
                if let Some(group) = self.groups.get_mut(group) {
                    group.live.apply(change);
                }
            }
        }
    }

    fn encode(&self, event: &GroupEvent, _image: &Image) -> Encoded {
        record::encode(event)
    }

    fn decode(&self, entry: Entry<'_>) -> Result<Option<GroupEvent>, DecodeError> {
        record::decode(entry)
    }

    /// Sets the sessions of all members going, and lets groups rebalance that have become too large.
    fn loaded(&self, context: &Context<'_>) -> Decision<Self> {
        let mut loaded = Decision::with(Vec::new(), Reply::Nobody);
        for (id, group) in &self.groups {
            for member in group.live.members.values() {
                let (key, command) = session_timer(id, &member.id);
                loaded = loaded.set_timer(key, context.now + member.session_timeout, command);
            }
            if group.live.members.len() > self.settings.group_size_max {
                let mut draft = Draft::new(context, &self.settings, id, group.live.clone());
                draft.prepare_rebalance();
                let rebalance = draft.decide();
                loaded.events.extend(rebalance.events);
                loaded.timers.extend(rebalance.timers);
            }
        }
        self.await_consumers(context, &mut loaded);
        self.await_expiry(context, loaded)
    }

    /// What the log says. What open transactions would commit is not in it.
    fn snapshot(&self) -> Vec<GroupEvent> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by(|one, other| one.0.cmp(other.0));
        let stored = groups.into_iter().map(|(group, state)| GroupEvent::GroupStored {
            group: group.clone(),
            stored: state.stored.clone(),
        });
        let mut consumers: Vec<_> = self.consumers.iter().collect();
        consumers.sort_by(|one, other| one.0.cmp(other.0));
        let consumers = consumers.into_iter().flat_map(|(group, state)| {
            let event = |event| GroupEvent::Consumer { group: group.clone(), event };
            state.snapshot().into_iter().map(event).collect::<Vec<_>>()
        });
        let offsets = self.offsets.committed().into_iter();
        let committed =
            offsets.map(|(key, offset)| GroupEvent::OffsetCommitted { key, offset: offset.clone() });
        stored.chain(consumers).chain(committed).collect()
    }
}
