//! Three replicas of a log in memory, whose agreement goes forward when a test says so.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Random;
use crate::error::ErrorCode;
use crate::id::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicName, TopicPartition};
use crate::log::{LaterRead, LogData};
use crate::machine::TransactionWrite;
use crate::record::Batch;
use crate::replicated::{
    Admission, Isolation, PlaceError, PlaceTerms, Placed, ReadError, ReadRecords, ReadTerms, ReplicatedLog,
    Watermarks,
};

/// How many replicas a [`FakeCluster`] has.
pub const REPLICAS: usize = 3;

/// A replicated log with three replicas in one process; two of them agree on what is committed.
///
/// Nothing moves by itself. [`FakeCluster::step`] lets one follower, chosen by the seed, fetch one batch;
/// [`FakeCluster::settle`] lets everybody catch up; a cluster made by [`FakeCluster::prompt`] settles after every
/// placed batch. Clones are the same cluster.
#[derive(Clone, Debug)]
pub struct FakeCluster(Arc<Mutex<Shared>>);

/// One replica of a [`FakeCluster`].
pub struct FakeLog {
    cluster: FakeCluster,
    index: usize,
    watch: watch::Sender<Watermarks>,
}

#[derive(Debug)]
struct Shared {
    random: Random,
    prompt: bool,
    on_disk: bool,
    logs: [Vec<Batch>; REPLICAS],
    /// How many batches of each log are known to be the leader's.
    matched: [usize; REPLICAS],
    senders: [watch::Sender<Watermarks>; REPLICAS],
    leader: Option<usize>,
    epoch: LeaderEpoch,
    /// How many batches are committed.
    committed: usize,
    batch_bytes_max: usize,
    refusal: Option<ErrorCode>,
    failing: Option<ErrorCode>,
}

impl FakeCluster {
    /// A cluster that commits when it is told to. Nobody leads.
    #[must_use]
    pub fn new(seed: u64) -> FakeCluster {
        let unknown = Watermarks {
            epoch: LeaderEpoch::NONE,
            leading: false,
            start: Offset::ZERO,
            stable: Offset::ZERO,
            high: Offset::ZERO,
            end: Offset::ZERO,
            flushed: Offset::ZERO,
            insync: true,
        };
        FakeCluster(Arc::new(Mutex::new(Shared {
            random: Random::new(seed),
            prompt: false,
            on_disk: false,
            logs: Default::default(),
            matched: [0; REPLICAS],
            senders: std::array::from_fn(|_| watch::Sender::new(unknown)),
            leader: None,
            epoch: LeaderEpoch::NONE,
            committed: 0,
            batch_bytes_max: 1 << 20,
            refusal: None,
            failing: None,
        })))
    }

    /// A cluster that commits whatever is placed at once, led by replica 0.
    #[must_use]
    pub fn prompt() -> FakeCluster {
        let cluster = FakeCluster::new(0);
        cluster.0.lock().prompt = true;
        cluster.elect(0);
        cluster
    }

    /// One of the replicas, counted from 0.
    #[must_use]
    pub fn replica(&self, index: usize) -> Arc<FakeLog> {
        let watch = self.0.lock().senders[index].clone();
        Arc::new(FakeLog { cluster: self.clone(), index, watch })
    }

    /// Makes a replica the leader of a new epoch; refuses one that lacks committed batches.
    pub fn elect(&self, index: usize) -> bool {
        self.0.lock().elect(index)
    }

    /// Makes one of the replicas that may lead the leader, as the seed chooses.
    pub fn elect_any(&self) -> usize {
        let mut shared = self.0.lock();
        loop {
            let index = shared.random.below(REPLICAS);
            if shared.elect(index) {
                return index;
            }
        }
    }

    /// Nobody leads any more.
    pub fn resign(&self) {
        let mut shared = self.0.lock();
        shared.leader = None;
        shared.publish();
    }

    /// One follower fetches one batch; true when there was one to fetch.
    pub fn step(&self) -> bool {
        let mut shared = self.0.lock();
        let first = shared.random.below(REPLICAS);
        let moved = (0..REPLICAS).any(|turn| shared.replicate((first + turn) % REPLICAS));
        shared.advance();
        moved
    }

    /// Every follower catches up, and everything is committed.
    pub fn settle(&self) {
        while self.step() {}
    }

    /// From now on some reads have to be finished on a thread that may block. Such a thread runs when it likes, so that a
    /// run is no longer the same every time.
    pub fn read_from_disk(&self) {
        self.0.lock().on_disk = true;
    }

    /// The most bytes of a batch from now on.
    pub fn limit_batches(&self, bytes: usize) {
        self.0.lock().batch_bytes_max = bytes;
    }

    /// Refuses to admit coordinators, and clients that ask for in-sync replicas, from now on, with this code.
    pub fn refuse(&self, code: ErrorCode) {
        self.0.lock().refusal = Some(code);
    }

    /// Refuses even what was admitted from now on, as a failed disk does.
    pub fn fail(&self, code: ErrorCode) {
        self.0.lock().failing = Some(code);
    }

    /// Takes back [`FakeCluster::refuse`] and [`FakeCluster::fail`].
    pub fn accept(&self) {
        let mut shared = self.0.lock();
        (shared.refusal, shared.failing) = (None, None);
    }

    /// The batches that are committed.
    #[must_use]
    pub fn committed(&self) -> Vec<Batch> {
        let shared = self.0.lock();
        let longest = shared.logs.iter().max_by_key(|log| log.len().min(shared.committed));
        longest.map(|log| log[..shared.committed.min(log.len())].to_vec()).unwrap_or_default()
    }

    /// The batches of one replica, committed or not.
    #[must_use]
    pub fn batches(&self, index: usize) -> Vec<Batch> {
        self.0.lock().logs[index].clone()
    }
}

impl ReplicatedLog for FakeLog {
    fn admit(&self) -> Result<Admission, PlaceError> {
        let shared = self.cluster.0.lock();
        shared.check_leader(self.index)?;
        if let Some(code) = shared.refusal {
            return Err(refused(code, "the test refuses it"));
        }
        Ok(Admission {
            epoch: shared.epoch,
            end: end_of(&shared.logs[self.index]),
            batch_bytes_max: shared.batch_bytes_max,
        })
    }

    fn admit_transaction(&self, _write: &TransactionWrite) -> Result<(), PlaceError> {
        Ok(())
    }

    fn place(&self, batch: Batch, terms: PlaceTerms) -> Result<Placed, PlaceError> {
        let mut shared = self.cluster.0.lock();
        shared.check_leader(self.index)?;
        shared.check_terms(&batch, terms, end_of(&shared.logs[self.index]))?;
        let placed = shared.append(self.index, batch);
        if shared.prompt {
            while (0..REPLICAS).any(|index| shared.replicate(index)) {}
        }
        shared.advance();
        Ok(placed)
    }

    fn read(&self, from: Offset, terms: ReadTerms) -> Result<ReadRecords, ReadError> {
        let mut shared = self.cluster.0.lock();
        let watermarks = shared.watermarks(self.index);
        let below = match terms.isolation {
            Isolation::Uncommitted => watermarks.high,
            Isolation::Committed => watermarks.stable,
            Isolation::LogEnd => watermarks.end,
        };
        if from < watermarks.start || from > watermarks.end {
            let (start, end) = (watermarks.start, watermarks.end);
            return Err(ReadError::OutOfRange { from, start, end });
        }
        let bytes = region(&shared.logs[self.index], from, below, terms);
        Ok(ReadRecords { data: shared.somewhere(bytes), watermarks, aborted: Vec::new() })
    }

    fn watch(&self) -> watch::Receiver<Watermarks> {
        self.watch.subscribe()
    }

    fn watch_leadership(&self) -> watch::Receiver<Watermarks> {
        self.watch()
    }
}

impl fmt::Debug for FakeLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeLog({})", self.index)
    }
}

impl Shared {
    fn check_leader(&self, index: usize) -> Result<(), PlaceError> {
        if self.leader == Some(index) { Ok(()) } else { Err(PlaceError::NotLeader(name())) }
    }

    fn check_terms(&self, batch: &Batch, terms: PlaceTerms, end: Offset) -> Result<(), PlaceError> {
        if terms.expected_epoch.is_some_and(|expected| expected != self.epoch) {
            return Err(PlaceError::NotLeader(name()));
        }
        if let Some(expected) = terms.expected_end.filter(|expected| *expected != end) {
            return Err(PlaceError::EndMoved { expected, actual: end });
        }
        if let Some(code) = self.refusal.filter(|_| terms.require_min_insync).or(self.failing) {
            return Err(refused(code, "the test refuses it"));
        }
        if batch.size() > self.batch_bytes_max {
            return Err(refused(ErrorCode::MESSAGE_TOO_LARGE, "the batch is larger than the log allows"));
        }
        Ok(())
    }

    fn append(&mut self, index: usize, mut batch: Batch) -> Placed {
        let base = end_of(&self.logs[index]);
        batch.header.base_offset = base;
        batch.header.partition_leader_epoch = self.epoch;
        let end = batch.header.next_offset();
        self.logs[index].push(batch);
        self.matched[index] += 1;
        Placed {
            epoch: self.epoch,
            base,
            end,
            append_time: Timestamp::NONE,
            log_start: Offset::ZERO,
            sync: false,
            converted: None,
        }
    }

    fn elect(&mut self, index: usize) -> bool {
        let committed = (0..REPLICAS).map(|other| self.logs[other].len().min(self.committed)).max();
        if self.logs[index].len() < committed.unwrap_or(0) || !self.holds_committed(index) {
            return false;
        }
        self.leader = Some(index);
        self.epoch = LeaderEpoch(self.epoch.0 + 1);
        self.matched = [0; REPLICAS];
        self.matched[index] = self.logs[index].len();
        self.publish();
        self.advance();
        true
    }

    /// Two of three hold every committed batch, so a log that is equal to another's up to there holds it.
    fn holds_committed(&self, index: usize) -> bool {
        let mine = &self.logs[index][..self.committed];
        let equal = |other: &Vec<Batch>| other.len() >= self.committed && &other[..self.committed] == mine;
        self.logs.iter().filter(|other| equal(other)).count() >= 2
    }

    fn replicate(&mut self, index: usize) -> bool {
        let Some(leader) = self.leader.filter(|leader| *leader != index) else { return false };
        let at = self.matched[index];
        let Some(next) = self.logs[leader].get(at).cloned() else { return false };
        if self.logs[index].get(at) != Some(&next) {
            self.logs[index].truncate(at);
            self.logs[index].push(next);
        }
        self.matched[index] = at + 1;
        true
    }

    fn advance(&mut self) {
        if self.leader.is_some() {
            let mut matched = self.matched;
            matched.sort_unstable();
            self.committed = self.committed.max(matched[REPLICAS - 2]);
        }
        self.publish();
    }

    fn watermarks(&self, index: usize) -> Watermarks {
        let log = &self.logs[index];
        let known = if self.leader.is_some() { self.matched[index].min(self.committed) } else { 0 };
        let before = *self.senders[index].borrow();
        let high =
            end_of(&log[..known]).max(if before.epoch == self.epoch { before.high } else { Offset::ZERO });
        Watermarks {
            epoch: self.epoch,
            leading: self.leader == Some(index),
            start: Offset::ZERO,
            stable: first_open_transaction(log).map_or(high, |open| open.min(high)),
            high,
            end: end_of(log),
            flushed: end_of(log),
            insync: true,
        }
    }

    fn publish(&mut self) {
        for index in 0..REPLICAS {
            let now = self.watermarks(index);
            self.senders[index].send_if_modified(|last| std::mem::replace(last, now) != now);
        }
    }

    /// Readers have to cope with records in one piece, in several, and on a disk.
    fn somewhere(&mut self, mut bytes: Bytes) -> LogData {
        match self.random.below(if self.on_disk { 3 } else { 2 }) {
            0 => LogData::Bytes([bytes].into_iter().collect()),
            1 => {
                let rest = bytes.split_off(self.random.below(bytes.len()));
                LogData::Bytes([bytes, rest].into_iter().collect())
            }
            _ => LogData::Later(LaterRead {
                length: bytes.len(),
                read: Box::new(move || Ok(LogData::Bytes(smallvec::smallvec![bytes]))),
            }),
        }
    }
}

fn region(log: &[Batch], from: Offset, below: Offset, terms: ReadTerms) -> Bytes {
    let mut out = BytesMut::new();
    let visible =
        log.iter().filter(|batch| batch.header.last_offset() >= from && batch.header.next_offset() <= below);
    for (index, batch) in visible.enumerate() {
        batch.encode_into(&mut out);
        if out.len() > terms.bytes {
            let whole = index == 0 && terms.whole_first_batch;
            out.truncate(if whole { out.len() } else { terms.bytes });
            break;
        }
    }
    out.freeze()
}

fn end_of(log: &[Batch]) -> Offset {
    log.last().map_or(Offset::ZERO, |batch| batch.header.next_offset())
}

fn first_open_transaction(log: &[Batch]) -> Option<Offset> {
    let mut open = std::collections::BTreeMap::new();
    for batch in log.iter().filter(|batch| batch.header.is_transactional()) {
        if batch.header.is_control() {
            open.remove(&batch.header.producer_id);
        } else {
            open.entry(batch.header.producer_id).or_insert(batch.header.base_offset);
        }
    }
    open.into_values().min()
}

fn refused(code: ErrorCode, message: &str) -> PlaceError {
    PlaceError::Refused { code, message: message.to_owned(), records: Vec::new() }
}

fn name() -> TopicPartition {
    TopicPartition {
        topic: TopicName::new("fake").unwrap_or_else(|_| unreachable!("a valid name")),
        partition: PartitionIndex(0),
    }
}
