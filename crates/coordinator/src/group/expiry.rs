//! Offsets that nobody has used for `offsets.retention.minutes`, and groups that have nothing left (KIP-211).

use std::collections::BTreeSet;

use vltava_core::id::Timestamp;
use vltava_core::machine::{Context, Decision, Reply};

use super::GroupCoordinator;
use super::classic::{ClassicGroup, ClassicState};
use super::command::{GroupCommand, GroupTimer};
use super::delete::Tombstones;
use super::event::{CommittedOffset, GroupEvent, GroupKey, OffsetKey};
use super::name::GroupId;

/// Since when the offsets of a group are not used.
#[derive(Clone, Copy)]
enum Unused {
    /// Since they were committed.
    SinceCommit,
    /// Since the group has no members.
    Since(Timestamp),
    /// They are in use.
    Never,
}

impl GroupCoordinator {
    /// Sets the timer of the next search for expired offsets.
    pub(super) fn await_expiry(&self, context: &Context<'_>, decision: Decision<Self>) -> Decision<Self> {
        let at = context.now + self.settings.offsets_retention_check_interval;
        decision.set_timer(GroupKey::Expiry, at, GroupCommand::TimerFired(GroupTimer::Expiry))
    }

    /// Forgets what has expired, so much at a time.
    pub(super) fn expire(&self, context: &Context<'_>) -> Decision<Self> {
        let groups: BTreeSet<&GroupId> = self
            .offsets
            .groups()
            .into_iter()
            .chain(self.groups.keys())
            .chain(self.consumers.keys())
            .collect();
        let mut decision = Decision::with(Vec::new(), Reply::Nobody);
        let mut tombstones = Tombstones::default();
        for group in groups {
            self.expire_group(context, group, &mut tombstones, &mut decision);
            if tombstones.is_full() {
                let again = GroupCommand::TimerFired(GroupTimer::Expiry);
                return decision.set_timer(GroupKey::Expiry, context.now, again);
            }
        }
        self.await_expiry(context, decision)
    }

    fn expire_group(
        &self,
        context: &Context<'_>,
        group: &GroupId,
        tombstones: &mut Tombstones,
        decision: &mut Decision<Self>,
    ) {
        let (expired, nothing_left) = self.expired_offsets(context.wall, group, tombstones);
        if !expired.is_empty() {
            decision.events.push(GroupEvent::OffsetsExpired(expired.len()));
        }
        decision.events.extend(expired.into_iter().map(|key| GroupEvent::OffsetForgotten { key }));
        let empty_consumer = self.consumers.get(group).is_some_and(|group| group.members().is_empty());
        let empty = self.classic(group).is_some_and(|group| group.state == ClassicState::Empty);
        if empty_consumer
            && nothing_left
            && !self.offsets.is_pending_in(group)
            && tombstones.admit_group(group)
        {
            self.end_consumer_group(context, group, decision);
        }
        let over = nothing_left && empty && !self.offsets.is_pending_in(group);
        if over && tombstones.admit_group(group) {
            decision.events.push(GroupEvent::GroupForgotten { group: group.clone() });
            decision.timers.extend(self.sessions_of_pending(group));
        }
    }

    /// The offsets of a group that have expired, as many as there is room for, and whether those are all it has.
    fn expired_offsets(
        &self,
        now: Timestamp,
        group: &GroupId,
        tombstones: &mut Tombstones,
    ) -> (Vec<OffsetKey>, bool) {
        let classic = self.classic(group);
        let unused = classic.map_or(Unused::SinceCommit, unused);
        let used = self.used_topics(group);
        let mut expired = Vec::new();
        let mut nothing_left = true;
        for (topic, offsets) in self.offsets.of_group(group) {
            let subscribed = used.contain(topic);
            for (partition, offset) in offsets {
                let key = OffsetKey { group: group.clone(), topic: topic.clone(), partition };
                let keep = subscribed
                    || !self.is_expired(offset, unused, now)
                    || self.offsets.is_pending(&key)
                    || !tombstones.admit(&key);
                if keep {
                    nothing_left = false;
                } else {
                    expired.push(key);
                }
            }
        }
        (expired, nothing_left)
    }

    fn is_expired(&self, offset: &CommittedOffset, unused: Unused, now: Timestamp) -> bool {
        let since = match unused {
            Unused::SinceCommit => offset.commit_timestamp,
            Unused::Since(empty) => empty,
            Unused::Never => return false,
        };
        match offset.expire_timestamp {
            Some(expires) => now >= expires,
            None => {
                let retention =
                    i64::try_from(self.settings.offsets_retention.as_millis()).unwrap_or(i64::MAX);
                now.since(since) >= retention
            }
        }
    }
}

fn unused(group: &ClassicGroup) -> Unused {
    match group.state {
        _ if group.protocol_type.is_none() => Unused::SinceCommit,
        ClassicState::Empty => group.state_timestamp.map_or(Unused::SinceCommit, Unused::Since),
        ClassicState::Stable if group.subscribed_topics().is_some() => Unused::SinceCommit,
        _ => Unused::Never,
    }
}
