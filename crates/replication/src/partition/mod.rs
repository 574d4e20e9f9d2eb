//! A partition: a log with a leader, watermarks, and a memory of its producers.
//!
//! Owns what Kafka calls the partition and the producer state: validation and stamping of batches, leader epochs,
//! the high watermark and the last stable offset, duplicates and gaps of idempotent producers, aborted transactions,
//! retention. It refuses to know where bytes lie (that is the [`Log`]) and what a request looks like (the broker).
//!
//! Invariants, tested by schedules of random acts against a model:
//!
//! 1. start ≤ stable ≤ high ≤ end, and within one leader epoch none of them goes back.
//! 2. Placed offsets are consecutive, and every placed batch reads back with the offset and epoch it was given.
//! 3. A batch that an idempotent producer repeats is placed once, as long as it is among the last five.
//! 4. What a reopened partition knows of producers, epochs and transactions is what it knew before, up to the batches
//!    that were lost, whatever sidecars were lost with them; of older duplicates it may know less.
//! 5. Once the log has failed nothing is acknowledged, and reading goes on.
//!
//! And with several replicas, checked after every step of the simulation of three (`crates/broker/tests/sim`):
//!
//! 6. *Leader in sync*: whoever the controller calls leader is among the in-sync replicas, and no two nodes ever place a
//!    batch in the same leader epoch.
//! 7. *Valid partition epoch*: no replica knows a partition epoch that the controller has not made, nor goes back to an
//!    older one.
//! 8. *In-sync replicas*: each member of the maximal in-sync set of a leader holds every record below that leader's high
//!    watermark (weak), and so does each member of the controller's set (strong), as far as its disk has kept what it said.
//! 9. *No divergence*: below the high watermarks of two replicas their logs are the same bytes.
//! 10. *Durability*: what was committed once, a later leader has, as long as one of the last in-sync replicas lives with its
//!     disk; unless an unclean election was allowed.
//! 11. The high watermark moves only while `min.insync.replicas` are in sync, and a follower's never before its log does.
//!
//! These hold for the rules of KIP-320 alone. Those before it (cutting to the high watermark; KIP-101; KIP-279) have
//! counter-examples; that the simulation finds them is a test, too.
//!
//! Why one mutex: it covers stamping and the write to the page cache, so that offsets and bytes come in one order, and
//! nothing is awaited under it. Checksums and records are looked at before it is taken. Pure logic lies in the modules
//! beside; this shell adds the lock, the log, the clock and the watch.

mod aborted;
mod assignment;
mod compaction;
mod epochs;
mod follower;
mod housekeeping;
mod leader;
mod mistake;
mod placing;
mod producers;
mod queries;
mod reading;
mod recovery;
mod replicas;
mod retention;
mod snapshot;
mod state;
mod verifications;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use vltava_core::clock::Clock;
use vltava_core::id::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use vltava_core::log::{Log, LogError, LogSettings, Span};
use vltava_core::machine::TransactionWrite;
use vltava_core::record::{Batch, ValidationRules};
use vltava_core::replicated::{
    Admission, PlaceError, PlaceTerms, Placed, ReadError, ReadRecords, ReadTerms, ReplicatedLog,
    Verification, Watermarks,
};

pub use aborted::Aborted;
pub use assignment::{Assignment, IsrProposal, IsrVerdict};
pub use compaction::{CompactionSettings, LastWritten};
pub use epochs::{EpochEnd, EpochStart, LeaderEpochs};
pub use follower::{FetchPosition, FetchedRecords, FollowError, Followed};
pub use leader::{ReplicaFetch, ReplicaRecords, Role};
#[cfg(feature = "testing")]
pub use mistake::Mistake;
pub use producers::{BATCHES_REMEMBERED, ProducedBatch, ProducerError, ProducerState};
pub use queries::{DeleteRecordsError, FoundOffset, OffsetQuery};
pub use reading::load;
pub use retention::{Retention, Trim, decide as decide_retention};
pub use verifications::{Opening, VERIFICATIONS_MAX};

#[cfg(not(feature = "testing"))]
use mistake::Mistake;
use replicas::ReplicaLimits;
use state::State;

/// A job for a thread that may block.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs on threads that may block, such as `tokio`'s blocking pool; tests run them when they like.
pub type Background = Arc<dyn Fn(Job) + Send + Sync>;

/// The settings of a partition, from its topic's and the broker's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionSettings {
    /// What a produced batch must keep to.
    pub rules: ValidationRules,
    /// How long records are kept.
    pub retention: Retention,
    /// How the log is compacted; `None` when `cleanup.policy` has no `compact`.
    pub compaction: Option<CompactionSettings>,
    /// What storage acts on.
    pub log: LogSettings,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `replica.lag.time.max.ms`: how long a follower may go without having had everything before it is out of sync.
    pub replica_lag_max: Duration,
    /// `flush.messages`: after so many unflushed records a batch is acknowledged only once it is durable.
    pub flush_records: i64,
    /// `flush.ms`: flush when so much time has passed since the last time; `None` leaves it to the system.
    pub flush_ms: Option<i64>,
    /// `producer.id.expiration.ms`: how long a silent producer is remembered.
    pub producer_expiry_ms: i64,
    /// `transaction.partition.verification.enable`: ask the coordinator whether a client has added the partition to its
    /// transaction. Whoever is to ask sees it here; the partition itself goes by what it is shown.
    pub verify_transactions: bool,
}

impl Default for PartitionSettings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            rules: ValidationRules::default(),
            retention: Retention::default(),
            compaction: None,
            log: LogSettings::default(),
            min_insync_replicas: 1,
            replica_lag_max: Duration::from_secs(30),
            flush_records: i64::MAX,
            flush_ms: None,
            producer_expiry_ms: 86_400_000,
            verify_transactions: true,
        }
    }
}

/// A partition of which this broker holds a replica.
pub struct Partition {
    id: TopicPartition,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    background: Background,
    settings: RwLock<Arc<PartitionSettings>>,
    shared: Mutex<Shared>,
    /// Held while the log is cut at its beginning or its end, from the decision on. Taken before `shared`, which need not be
    /// held for the work on files.
    cutting: Mutex<()>,
    /// Held while sidecars are written, so that an older content cannot overtake a newer one.
    sidecars: Mutex<()>,
    myself: Weak<Self>,
}

/// What the mutex covers.
struct Shared {
    state: State,
    watch: watch::Sender<Watermarks>,
    /// The same, told only when leadership changes. Made for the first who asks: few partitions have somebody.
    leadership: Option<watch::Sender<Watermarks>>,
    /// A flush is on its way.
    flushing: bool,
    /// The end of the last batch that is acknowledged only once it is durable.
    durable_wanted: Offset,
    flushed_at: vltava_core::clock::Moment,
}

/// What a partition is made of.
pub struct PartitionParts {
    /// Which partition.
    pub id: TopicPartition,
    /// Its log.
    pub log: Arc<dyn Log>,
    /// The last high watermark known of it (`replication-offset-checkpoint`).
    pub high_watermark: Offset,
    /// Its settings.
    pub settings: PartitionSettings,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// Where it runs what blocks.
    pub background: Background,
}

impl Partition {
    /// Opens a partition on its log and brings back what the log tells of producers and epochs. *Blocks.*
    ///
    /// It neither leads nor follows before [`Partition::lead`].
    ///
    /// # Errors
    /// [`LogError`] when the log cannot be read.
    pub fn open(parts: PartitionParts) -> Result<Arc<Self>, LogError> {
        let PartitionParts { id, log, high_watermark, settings, clock, background } = parts;
        log.configure(settings.log);
        let expiry = settings.producer_expiry_ms;
        let state = recovery::recover(id.clone(), &*log, high_watermark, clock.wall(), expiry)?;
        let watch = watch::Sender::new(state.watermarks());
        let shared = Shared {
            state,
            watch,
            leadership: None,
            flushing: false,
            durable_wanted: Offset::ZERO,
            flushed_at: clock.now(),
        };
        Ok(Arc::new_cyclic(|myself| Self {
            id,
            log,
            clock,
            background,
            settings: RwLock::new(Arc::new(settings)),
            shared: Mutex::new(shared),
            cutting: Mutex::new(()),
            sidecars: Mutex::new(()),
            myself: myself.clone(),
        }))
    }

    /// Which partition this is.
    #[must_use]
    pub fn id(&self) -> &TopicPartition {
        &self.id
    }

    /// Its log, for what needs no leadership: sizes, spans.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<PartitionSettings> {
        self.settings.read().clone()
    }

    /// Puts new settings in force, from the next batch on.
    pub fn configure(&self, settings: PartitionSettings) {
        self.log.configure(settings.log);
        if let Some(replicas) = &mut self.shared.lock().state.replicas {
            replicas.limits = ReplicaLimits::of(&settings);
        }
        *self.settings.write() = Arc::new(settings);
    }

    /// Leads in `epoch` from here on, as the only replica. Returns whether it does: an epoch older than the current one is refused. *Blocks.*
    ///
    /// # Errors
    /// [`LogError`] when the new epoch cannot be written down; the partition leads all the same, and learns the epoch
    /// from its batches when it is opened again.
    pub fn lead(&self, epoch: LeaderEpoch) -> Result<bool, LogError> {
        let leads = {
            let mut shared = self.shared.lock();
            let leads = shared.state.lead(epoch);
            if leads {
                shared.state.replicas = None;
                shared.state.advance();
            }
            if !leads {
                let current = shared.state.epoch;
                tracing::warn!(partition = %self.id, %epoch, %current, "refuses to lead in an epoch that is over");
            }
            shared.publish();
            leads
        };
        self.write_sidecars()?;
        Ok(leads)
    }

    /// Stops leading: from `epoch` on another broker leads, or none. Returns whether it did; an older epoch is refused.
    pub fn resign(&self, epoch: LeaderEpoch) -> bool {
        let mut shared = self.shared.lock();
        let resigned = shared.state.resign(epoch);
        shared.publish();
        resigned
    }

    /// Says what a batch that belongs to a transaction has to show when it is placed: nothing when the transaction is
    /// open here, else the guard that is handed out now, once the transaction's coordinator has agreed (KIP-890).
    ///
    /// # Errors
    /// [`PlaceError::NotLeader`]; [`PlaceError::Refused`] for a producer that was replaced.
    pub fn verify(&self, opening: &Opening) -> Result<Verification, PlaceError> {
        let now = self.clock.wall();
        self.shared.lock().state.verify(opening, now)
    }

    /// The watermarks and leadership now.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.shared.lock().state.watermarks()
    }

    /// Everything that stands in the log now, as if it was placed at once: to wait until what was decided upon it is
    /// committed.
    #[must_use]
    pub fn standing(&self) -> Placed {
        let Watermarks { epoch, start, end, .. } = self.watermarks();
        let append_time = Timestamp::NONE;
        Placed { epoch, base: end, end, append_time, log_start: start, sync: false, converted: None }
    }

    /// The spans of its log.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.log.spans()
    }
}

impl Shared {
    /// Tells everybody who watches, if there is news.
    fn publish(&self) {
        let now = self.state.watermarks();
        self.watch.send_if_modified(|seen| std::mem::replace(seen, now) != now);
        if let Some(leadership) = &self.leadership {
            leadership.send_if_modified(|seen| {
                let before = std::mem::replace(seen, now);
                (before.epoch, before.leading) != (now.epoch, now.leading)
            });
        }
    }

    /// Gives up writing. Those who wait for a commit learn it from the end of their watch.
    fn fail(&mut self, error: &LogError) {
        tracing::error!(partition = %self.state.id, %error, "the log of the partition has failed");
        self.state.failure.get_or_insert_with(|| error.to_string());
        self.watch = watch::Sender::new(self.state.watermarks());
        self.leadership = None;
    }
}

impl ReplicatedLog for Partition {
    fn admit(&self) -> Result<Admission, PlaceError> {
        self.admission()
    }

    fn admit_transaction(&self, write: &TransactionWrite) -> Result<(), PlaceError> {
        self.shared.lock().state.admit_transaction(write)
    }

    fn place(&self, batch: Batch, terms: PlaceTerms) -> Result<Placed, PlaceError> {
        self.place_batch(batch, &terms)
    }

    fn read(&self, from: Offset, terms: ReadTerms) -> Result<ReadRecords, ReadError> {
        self.read_records(from, &terms)
    }

    fn watch(&self) -> watch::Receiver<Watermarks> {
        self.shared.lock().watch.subscribe()
    }

    fn watch_leadership(&self) -> watch::Receiver<Watermarks> {
        let mut shared = self.shared.lock();
        let now = shared.state.watermarks();
        shared.leadership.get_or_insert_with(|| watch::Sender::new(now)).subscribe()
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watermarks = self.watermarks();
        f.debug_struct("Partition")
            .field("id", &self.id)
            .field("watermarks", &watermarks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod replication_tests;
#[cfg(test)]
mod tests;
