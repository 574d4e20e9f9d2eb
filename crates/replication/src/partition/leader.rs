//! Leading a partition that has replicas elsewhere: taking up a role, answering the fetches of followers, and changing who
//! is in sync.
//!
//! A leader never asks a follower for anything: what a follower has is what it has last fetched up to, in this leader
//! epoch. A fetch says in which epoch the follower's last record was written, and is answered with where the logs part
//! instead of records when the leader's log does not continue the follower's (KIP-320, KIP-595). Such a fetch moves nothing
//! here: what the follower holds up to its offset is not what this leader holds (KAFKA-13141).

use vltava_core::id::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use vltava_core::log::{LogData, LogError, ReadLimit};
use vltava_core::replicated::{ReadError, Watermarks};

use super::assignment::{Assignment, IsrProposal, IsrVerdict};
use super::epochs::EpochEnd;
use super::follower::FetchPosition;
use super::replicas::{NotAReplica, ReplicaLimits, Replicas};
use super::state::State;
use super::{Partition, PartitionSettings};

/// What a partition has become by an [`Assignment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This broker leads.
    Leads,
    /// Another broker leads, or none does.
    Follows,
    /// The assignment is older than what is known already; nothing has changed.
    Outdated,
}

/// What a follower asks of its leader for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaFetch {
    /// Who asks.
    pub replica: BrokerId,
    /// In which epoch of its registration (KIP-903).
    pub broker_epoch: BrokerEpoch,
    /// Where its log stands.
    pub position: FetchPosition,
    /// The most bytes; the first batch comes whole.
    pub bytes: usize,
}

/// What a leader answers to a follower.
#[derive(Debug)]
pub struct ReplicaRecords {
    /// The records; none when the logs have parted.
    pub data: LogData,
    /// Where the leader's log ends the newest epoch that may be common to both, when the follower's log is not its beginning.
    pub diverging: Option<EpochEnd>,
    /// Where the leader stands.
    pub watermarks: Watermarks,
    /// A replica could join those in sync now: [`Partition::propose_isr`] has something to say.
    pub joining: bool,
}

impl Partition {
    /// Takes the place that the cluster gives to the replica of broker `local`. *Blocks.*
    ///
    /// # Errors
    /// [`LogError`] when the new epoch cannot be written down; the role is taken all the same, and the epoch is learnt from
    /// its batches when the partition is opened again.
    pub fn assume(&self, local: BrokerId, assignment: &Assignment) -> Result<Role, LogError> {
        let limits = ReplicaLimits::of(&self.settings());
        let role = {
            let mut shared = self.shared.lock();
            let (now, before) = (self.clock.now(), shared.state.epoch);
            let role = shared.state.assume(local, assignment, now, limits);
            let follows = role == Role::Follows && shared.state.epoch > before;
            if follows && shared.state.makes(super::Mistake::TruncateToHighWatermark) {
                let high = shared.state.high;
                self.cut(&mut shared, high)?;
            }
            shared.publish();
            role
        };
        self.write_sidecars()?;
        Ok(role)
    }

    /// Answers a follower, and takes in how far it is.
    ///
    /// # Errors
    /// [`ReadError::FencedEpoch`] and [`ReadError::UnknownEpoch`] for another idea of the leader or of who holds a replica,
    /// [`ReadError::NotLeader`] also for a broker that has registered again since; [`ReadError::OutOfRange`] for an offset
    /// below the log's start, whatever its epoch (KAFKA-12996), or one whose epoch says nothing here.
    pub fn fetch_as_replica(&self, fetch: &ReplicaFetch) -> Result<ReplicaRecords, ReadError> {
        let from = fetch.position.from;
        let now = self.clock.now();
        let (watermarks, diverging, joining) = {
            let mut shared = self.shared.lock();
            shared.state.check_replica(fetch)?;
            let diverging = shared.state.parting(&fetch.position)?;
            let mut joining = false;
            if diverging.is_none() || shared.state.makes(super::Mistake::CountDiverged) {
                joining = shared.state.replica_has(fetch, now);
                shared.publish();
            }
            (shared.state.watermarks(), diverging, joining)
        };
        if diverging.is_some() || from >= watermarks.end {
            return Ok(ReplicaRecords { data: LogData::empty(), diverging, watermarks, joining });
        }
        let limit = ReadLimit { below: watermarks.end, bytes: fetch.bytes, whole_first_batch: true };
        let data = self.log.read(from, limit).map_err(|error| match error {
            LogError::OutOfRange { from, start, end } => ReadError::OutOfRange { from, start, end },
            error => ReadError::Log(error),
        })?;
        Ok(ReplicaRecords { data, diverging, watermarks, joining })
    }

    /// The change of the in-sync replicas to ask the controller for now. Asked after a fetch that said so, and every half
    /// `replica.lag.time.max.ms`; the answer goes to [`Self::isr_answered`], also when there was none.
    pub fn propose_isr(&self) -> Option<IsrProposal> {
        let mut shared = self.shared.lock();
        let State { end, high, leading, ref mut replicas, .. } = shared.state;
        replicas.as_mut().filter(|_| leading)?.propose(end, high, self.clock.now())
    }

    /// Takes in what became of a proposal.
    pub fn isr_answered(&self, proposal: &IsrProposal, verdict: &IsrVerdict) {
        let mut shared = self.shared.lock();
        if let Some(replicas) = &mut shared.state.replicas {
            replicas.answered(proposal, verdict);
            shared.state.advance();
        }
        shared.publish();
    }

    /// The replicas in sync as this leader knows them; `None` when it does not lead, or there is no other replica.
    #[must_use]
    pub fn isr(&self) -> Option<Vec<BrokerId>> {
        self.shared.lock().state.replicas.as_ref().map(|replicas| replicas.isr().to_vec())
    }
}

impl ReplicaLimits {
    pub(super) fn of(settings: &PartitionSettings) -> ReplicaLimits {
        let min_insync = usize::try_from(settings.min_insync_replicas).unwrap_or(usize::MAX);
        ReplicaLimits { min_insync, lag_max: settings.replica_lag_max }
    }
}

impl State {
    /// See [`Partition::assume`].
    fn assume(
        &mut self,
        local: BrokerId,
        assignment: &Assignment,
        now: vltava_core::clock::Moment,
        limits: ReplicaLimits,
    ) -> Role {
        let known =
            self.replicas.as_ref().map_or(self.partition_epoch, |replicas| replicas.partition_epoch());
        if assignment.leader_epoch < self.epoch
            || assignment.partition_epoch < known.max(self.partition_epoch)
        {
            return Role::Outdated;
        }
        self.partition_epoch = assignment.partition_epoch;
        self.leader = assignment.leader;
        if assignment.leader != local {
            self.replicas = None;
            self.resign(assignment.leader_epoch);
            return Role::Follows;
        }
        let begins = assignment.leader_epoch > self.epoch || !self.leading;
        match &mut self.replicas {
            Some(replicas) if !begins => replicas.take_over(assignment, now),
            _ => {
                let alone = assignment.replicas.len() <= 1;
                let replicas = || Replicas::new(local, assignment, self.end, now, limits);
                self.replicas = (!alone).then(|| Box::new(replicas()));
            }
        }
        self.lead(assignment.leader_epoch);
        self.advance();
        Role::Leads
    }

    fn check_replica(&self, fetch: &ReplicaFetch) -> Result<(), ReadError> {
        let given = fetch.position.epoch;
        self.check_reader(given)?;
        let unknown = ReadError::UnknownEpoch { given, current: self.epoch };
        let Some(replicas) = &self.replicas else { return Err(unknown) };
        replicas.check(fetch.replica, fetch.broker_epoch).map_err(|error| match error {
            NotAReplica::Unknown => unknown,
            NotAReplica::Stale => ReadError::NotLeader(self.id.clone()),
        })
    }

    /// Where the log of a follower that stands at `position` parts from this one; `None` when it is this one's beginning.
    fn parting(&self, position: &FetchPosition) -> Result<Option<EpochEnd>, ReadError> {
        let FetchPosition { from, last_epoch, .. } = *position;
        let out_of_range = ReadError::OutOfRange { from, start: self.start, end: self.end };
        if last_epoch == LeaderEpoch::NONE {
            return if from < self.start || from > self.end { Err(out_of_range) } else { Ok(None) };
        }
        let Some(ours) = self.epochs.end_of(last_epoch, self.end) else { return Err(out_of_range) };
        if from < self.start {
            return Err(out_of_range);
        }
        let parted = ours.epoch < last_epoch || ours.end < from;
        Ok(parted.then_some(ours))
    }

    /// A follower has everything below the offset it fetches from. Returns whether somebody may join those in sync.
    fn replica_has(&mut self, fetch: &ReplicaFetch, now: vltava_core::clock::Moment) -> bool {
        let (end, high) = (self.end, self.high);
        let Some(replicas) = &mut self.replicas else { return false };
        replicas.fetched(fetch.replica, fetch.broker_epoch, fetch.position.from, end, now);
        let joining = replicas.has_joining(high);
        self.advance();
        joining
    }

    /// Where the log ended when this leadership began, when the high watermark has not got there yet.
    pub(super) fn behind_epoch_start(&self) -> Option<Offset> {
        let epoch_start = self.replicas.as_ref()?.epoch_start();
        (self.high < epoch_start).then_some(epoch_start)
    }

    /// Moves the high watermark to where the replicas agree: to the end, where there is only this one.
    pub(super) fn advance(&mut self) {
        let agreed = match &self.replicas {
            None => Some(self.end),
            Some(_) if self.makes(super::Mistake::CommitAlone) => Some(self.end),
            Some(replicas) => replicas.agreed(self.end),
        };
        self.high = agreed.map_or(self.high, |agreed: Offset| self.high.max(agreed));
        self.producers.committed(self.high);
    }
}
