//! What the leader of a partition with several replicas knows of the others: where they are, who is in sync. Pure.
//!
//! It is Kafka's rule in its final form (KIP-497, KIP-903, KIP-966), in three sets:
//!
//! * The *committed* in-sync replicas are those of the newest partition epoch known. Producers are refused by their number.
//! * The *maximal* ones are these and the one that a proposal under way adds. The high watermark waits for all of them,
//!   because the controller may have accepted the proposal already; one that is to be removed is waited for until that is
//!   accepted.
//! * Who has *caught up* within `replica.lag.time.max.ms` and may join is waited for too, or a follower that is always a
//!   little behind would never get in.
//!
//! The high watermark stands still while fewer than `min.insync.replicas` are in sync: what is committed is held by as many.

use std::time::Duration;

use vltava_core::clock::Moment;
use vltava_core::id::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use super::assignment::{Assignment, IsrProposal, IsrVerdict};

/// The replicas of a partition as its leader sees them.
#[derive(Clone, Debug)]
pub(super) struct Replicas {
    local: BrokerId,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    /// Where the log ended when this leadership began.
    epoch_start: Offset,
    isr: Vec<BrokerId>,
    followers: Vec<Follower>,
    local_broker_epoch: BrokerEpoch,
    pending: Option<Pending>,
    /// The last time that anybody told: a little old is on the safe side, since followers then seem less late.
    now: Moment,
    pub(super) limits: ReplicaLimits,
}

/// The settings that decide who is in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplicaLimits {
    /// `min.insync.replicas`.
    pub(super) min_insync: usize,
    /// `replica.lag.time.max.ms`.
    pub(super) lag_max: Duration,
}

/// A replica elsewhere.
#[derive(Clone, Debug)]
struct Follower {
    id: BrokerId,
    /// The epoch of its registration, when it may be in sync.
    active: Option<BrokerEpoch>,
    /// What its fetches have told in this leader epoch.
    fetched: Option<FetchState>,
    /// When it last had everything; it is taken to have it when an epoch begins in which it is in sync.
    caught_up_at: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct FetchState {
    broker_epoch: BrokerEpoch,
    end: Offset,
    at: Moment,
    /// The leader's end then: whoever reaches it later had caught up at that time.
    leader_end: Offset,
}

/// A proposal whose fate is open.
#[derive(Clone, Debug)]
struct Pending {
    proposal: IsrProposal,
    adds: Option<BrokerId>,
    in_flight: bool,
}

/// A fetch of a broker that has registered again since, or that holds no replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAReplica {
    /// No replica of the present assignment.
    Unknown,
    /// It speaks for a former life.
    Stale,
}

impl Replicas {
    /// Leadership begins, in the epoch of `assignment`, with a log that ends at `epoch_start`.
    pub(super) fn new(
        local: BrokerId,
        assignment: &Assignment,
        epoch_start: Offset,
        now: Moment,
        limits: ReplicaLimits,
    ) -> Replicas {
        let mut replicas = Replicas {
            local,
            leader_epoch: assignment.leader_epoch,
            partition_epoch: assignment.partition_epoch,
            epoch_start,
            isr: Vec::new(),
            followers: Vec::new(),
            local_broker_epoch: BrokerEpoch(-1),
            pending: None,
            now,
            limits,
        };
        replicas.take_over(assignment, now);
        replicas
    }

    /// Takes in a newer image of the same leader epoch. The same partition epoch only tells who is active: a proposal
    /// that is under way to it stays.
    pub(super) fn take_over(&mut self, assignment: &Assignment, now: Moment) {
        if assignment.partition_epoch < self.partition_epoch {
            return;
        }
        if assignment.partition_epoch > self.partition_epoch {
            self.pending = None;
        }
        self.tick(now);
        self.partition_epoch = assignment.partition_epoch;
        self.isr.clone_from(&assignment.isr);
        self.local_broker_epoch = assignment.active_epoch(self.local).unwrap_or(self.local_broker_epoch);
        let mut known = std::mem::take(&mut self.followers);
        for id in assignment.replicas.iter().copied().filter(|id| *id != self.local) {
            let position = known.iter().position(|follower| follower.id == id);
            let caught_up_at = self.isr.contains(&id).then_some(now);
            let mut follower = position
                .map_or(Follower { id, active: None, fetched: None, caught_up_at }, |at| {
                    known.swap_remove(at)
                });
            follower.active = assignment.active_epoch(id);
            self.followers.push(follower);
        }
    }

    /// Says what time it is.
    pub(super) fn tick(&mut self, now: Moment) {
        self.now = self.now.max(now);
    }

    /// Where the log ended when this leadership began.
    pub(super) fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    pub(super) fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    pub(super) fn isr(&self) -> &[BrokerId] {
        &self.isr
    }

    /// How many replicas must be in sync for a write to be safe: never more than there are.
    pub(super) fn min_insync(&self) -> usize {
        self.limits.min_insync.min(self.followers.len() + 1)
    }

    /// Whether producers that ask for it are let in.
    pub(super) fn is_enough_in_sync(&self) -> bool {
        self.isr.len() >= self.min_insync()
    }

    /// Whether what is committed may be acknowledged; a replica about to join counts.
    pub(super) fn is_enough_to_acknowledge(&self) -> bool {
        self.isr.len() + usize::from(self.adding().is_some()) >= self.min_insync()
    }

    /// Up to where everybody who has to has the records of a log that ends at `end`. `None` when that cannot be said, or
    /// nothing may be committed now.
    pub(super) fn agreed(&self, end: Offset) -> Option<Offset> {
        if !self.is_enough_in_sync() {
            return None;
        }
        let mut agreed = end;
        for follower in &self.followers {
            let waited_for =
                self.is_maximal(follower.id) || (follower.may_join() && self.has_caught_up(follower, end));
            if waited_for {
                agreed = agreed.min(follower.fetched?.end);
            }
        }
        Some(agreed)
    }

    fn is_maximal(&self, id: BrokerId) -> bool {
        self.isr.contains(&id) || self.adding() == Some(id)
    }

    fn adding(&self) -> Option<BrokerId> {
        self.pending.as_ref().and_then(|pending| pending.adds)
    }

    fn has_caught_up(&self, follower: &Follower, end: Offset) -> bool {
        let at_end = follower.fetched.is_some_and(|fetched| fetched.end == end);
        at_end || follower.caught_up_at.is_some_and(|at| self.now.since(at) <= self.limits.lag_max)
    }

    /// Whether this broker may fetch as a replica.
    pub(super) fn check(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<(), NotAReplica> {
        let follower =
            self.followers.iter().find(|follower| follower.id == id).ok_or(NotAReplica::Unknown)?;
        let newest = follower.active.max(follower.fetched.map(|fetched| fetched.broker_epoch));
        if newest.is_some_and(|newest| epoch < newest) { Err(NotAReplica::Stale) } else { Ok(()) }
    }

    /// Takes in that a follower, which was checked, has everything below `end`, in a log of its leader that ends at
    /// `leader_end`.
    pub(super) fn fetched(
        &mut self,
        id: BrokerId,
        broker_epoch: BrokerEpoch,
        end: Offset,
        leader_end: Offset,
        now: Moment,
    ) {
        self.tick(now);
        let Some(follower) = self.followers.iter_mut().find(|follower| follower.id == id) else { return };
        let before = follower.fetched.filter(|before| before.broker_epoch == broker_epoch);
        if end >= leader_end {
            follower.caught_up_at = follower.caught_up_at.max(Some(now));
        } else if let Some(before) = before.filter(|before| end >= before.leader_end) {
            follower.caught_up_at = follower.caught_up_at.max(Some(before.at));
        }
        follower.fetched = Some(FetchState { broker_epoch, end, at: now, leader_end });
    }

    /// The change of the in-sync replicas that is due now: one that was answered with nothing comes again, a replica that
    /// has everything committed joins, those that fell behind leave. One at a time is under way.
    pub(super) fn propose(&mut self, end: Offset, high: Offset, now: Moment) -> Option<IsrProposal> {
        self.tick(now);
        if let Some(pending) = &mut self.pending {
            let again = !std::mem::replace(&mut pending.in_flight, true);
            return again.then(|| pending.proposal.clone());
        }
        let adds = self.joining(high);
        let isr = match adds {
            Some(id) => self.isr.iter().copied().chain([id]).collect(),
            None => self.staying(end),
        };
        if isr == self.isr {
            return None;
        }
        let proposal = IsrProposal {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            isr: isr.into_iter().map(|id| (id, self.broker_epoch(id))).collect(),
        };
        self.pending = Some(Pending { proposal: proposal.clone(), adds, in_flight: true });
        Some(proposal)
    }

    /// Whether [`Self::propose`] would propose that a replica joins: asked after each fetch.
    pub(super) fn has_joining(&self, high: Offset) -> bool {
        self.pending.is_none() && self.joining(high).is_some()
    }

    /// A replica that may join: it has everything that is committed, and has reached this leader epoch, before whose start
    /// there may be committed records that the high watermark here does not show yet.
    fn joining(&self, high: Offset) -> Option<BrokerId> {
        let reached = |follower: &&Follower| {
            follower.fetched.is_some_and(|fetched| fetched.end >= high && fetched.end >= self.epoch_start)
        };
        let outside = self.followers.iter().filter(|follower| !self.isr.contains(&follower.id));
        outside.filter(|follower| follower.may_join()).find(reached).map(|follower| follower.id)
    }

    fn staying(&self, end: Offset) -> Vec<BrokerId> {
        let stays = |id: &BrokerId| {
            let follower = self.followers.iter().find(|follower| follower.id == *id);
            *id == self.local || follower.is_some_and(|follower| self.has_caught_up(follower, end))
        };
        self.isr.iter().copied().filter(stays).collect()
    }

    fn broker_epoch(&self, id: BrokerId) -> BrokerEpoch {
        if id == self.local {
            return self.local_broker_epoch;
        }
        let follower = self.followers.iter().find(|follower| follower.id == id);
        let fetched = follower.and_then(|follower| follower.fetched);
        fetched.map_or(BrokerEpoch(-1), |fetched| fetched.broker_epoch)
    }

    /// Takes in what the controller says to `proposal`; an answer to any but the one under way says nothing.
    pub(super) fn answered(&mut self, proposal: &IsrProposal, verdict: &IsrVerdict) {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.proposal == *proposal) else {
            return;
        };
        match verdict {
            IsrVerdict::Accepted { leader_epoch, partition_epoch, isr } => {
                if *leader_epoch == self.leader_epoch && *partition_epoch >= self.partition_epoch {
                    self.partition_epoch = *partition_epoch;
                    self.isr.clone_from(isr);
                    self.pending = None;
                }
            }
            // What the partition is now comes with an image, and with it a new partition epoch or leader epoch.
            IsrVerdict::Outdated => {}
            IsrVerdict::Ineligible => self.pending = None,
            IsrVerdict::Unknown => pending.in_flight = false,
        }
    }
}

impl Follower {
    /// It is active, in the life in which it fetches.
    fn may_join(&self) -> bool {
        let fetched = self.fetched.map(|fetched| fetched.broker_epoch);
        fetched.is_some() && fetched == self.active
    }
}

#[cfg(test)]
mod tests;
