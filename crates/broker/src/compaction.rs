//! Compacts the logs of compacted topics in the background, the dirtiest first.
//!
//! One task looks which logs are due (`storage::compaction` says so) and lets at most `log.cleaner.threads` rounds run on
//! threads that may block. Their maps share `log.cleaner.dedupe.buffer.size` and live only as long as a round; all rounds
//! together keep to `log.cleaner.io.max.bytes.per.second`. When what is dynamic among these settings changes, it looks at
//! once, as Kafka does: the pause of the settings before may be long.
//!
//! A log that cannot be read rests until the broker restarts, as in Kafka; one that changed beside its round, or whose disk
//! failed it, until the next look.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use vltava_core::clock::{Clock, Moment};
use vltava_core::config::{BrokerConfig, CleanerSettings};
use vltava_core::id::{Offset, ProducerId};
use vltava_core::image::Image;
use vltava_core::log::{LogError, LogId, Rewrite};
use vltava_replication::partition::{Partition, PartitionSettings};
use vltava_storage::compaction::{
    AbortedRange, Compacted, CompactionBudget, CompactionError, CompactionRules, Dirt, LastOfProducer,
    Producers, compact, survey,
};

use crate::node::Node;
use crate::partitions::Hosted;

/// Runs until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    if !node.config.cleaner.enable {
        info!("log.cleaner.enable is false: compacted topics are not compacted");
        return;
    }
    let mut cleaner = Cleaner {
        node,
        stop,
        throttle: Arc::default(),
        rounds: JoinSet::new(),
        busy: HashSet::new(),
        resting: HashMap::new(),
    };
    let node = cleaner.node.clone();
    let mut images = node.images.subscribe();
    loop {
        let settings = settings(&node);
        cleaner.throttle.limit(settings.io_bytes_per_second_max);
        cleaner.start_rounds(&settings).await;
        let backoff = Duration::from_millis(u64::try_from(settings.backoff_ms).unwrap_or(0)).max(BACKOFF_MIN);
        let next_look = cleaner.node.clock.now() + backoff;
        tokio::select! {
            () = cleaner.stop.cancelled() => break,
            Some(finished) = cleaner.rounds.join_next() => match finished {
                Ok(round) => cleaner.finish(round, next_look),
                Err(error) => error!(%error, "a round of compaction has failed"),
            },
            () = changed(&node, &mut images, &settings) => {}
            () = node.clock.sleep_until(next_look) => {}
        }
    }
    // They are told to stop, too.
    while cleaner.rounds.join_next().await.is_some() {}
}

/// However small `log.cleaner.backoff.ms` is, looking takes its time.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// The settings in force.
fn settings(node: &Node) -> CleanerSettings {
    let image = node.view.load().image.clone();
    match BrokerConfig::resolve(node.layers(&image)) {
        Ok(config) => config.cleaner,
        Err(_) => node.config.cleaner,
    }
}

/// Resolves when other settings than these are in force.
async fn changed(node: &Node, images: &mut watch::Receiver<Arc<Image>>, known: &CleanerSettings) {
    let mut configs = images.borrow_and_update().configs.clone();
    while settings(node) == *known {
        let other = |image: &Arc<Image>| !Arc::ptr_eq(&image.configs, &configs);
        match images.wait_for(other).await.map(|image| image.configs.clone()) {
            Ok(now) => configs = now,
            // The broker ends.
            Err(_) => std::future::pending().await,
        }
    }
}

struct Cleaner {
    node: Arc<Node>,
    stop: CancellationToken,
    throttle: Arc<Throttle>,
    rounds: JoinSet<Round>,
    /// Logs with a round under way, and those that cannot be compacted.
    busy: HashSet<LogId>,
    /// Logs whose last round failed, until this time.
    resting: HashMap<LogId, Moment>,
}

/// A log that is due.
struct Due {
    id: LogId,
    hosted: Arc<Hosted>,
    dirt: Dirt,
    rules: CompactionRules,
}

/// A round that has ended.
struct Round {
    due: Due,
    took: Duration,
    result: Result<Compacted, CompactionError>,
    /// Where the log lies, when the round has failed.
    directory: Option<String>,
}

impl Cleaner {
    /// Starts rounds on the dirtiest logs, as many as may run.
    async fn start_rounds(&mut self, settings: &CleanerSettings) {
        let threads = usize::try_from(settings.threads).unwrap_or(1).max(1);
        let now = self.node.clock.now();
        self.resting.retain(|_, until| *until > now);
        while self.rounds.len() < threads && !self.stop.is_cancelled() {
            let skip: HashSet<LogId> = self.busy.iter().chain(self.resting.keys()).cloned().collect();
            let node = self.node.clone();
            let found = spawn_blocking(move || filthiest(&node, &skip)).await;
            let Ok(Some(due)) = found else { return };
            self.busy.insert(due.id.clone());
            self.begin(due, budget(settings, threads));
        }
    }

    fn begin(&mut self, due: Due, budget: CompactionBudget) {
        let (clock, stop, throttle) = (self.node.clock.clone(), self.stop.clone(), self.throttle.clone());
        let handle = Handle::current();
        self.rounds.spawn_blocking(move || {
            let begun = clock.now();
            let mut pace = |bytes| throttle.pace(&*clock, &handle, &stop, bytes);
            let partition = &due.hosted.partition;
            let result = compact(
                &**partition.log(),
                &Remembered(partition),
                &due.dirt,
                &due.rules,
                budget,
                clock.wall(),
                &mut pace,
            );
            let noted = result.and_then(|done| {
                due.hosted.store.note_compacted(&due.id, done.end).map_err(CompactionError::from)?;
                Ok(done)
            });
            let directory = noted.is_err().then(|| directory(&due));
            Round { took: clock.now().since(begun), due, result: noted, directory }
        });
    }

    fn finish(&mut self, round: Round, rests_until: Moment) {
        let Round { due, took, result, directory } = round;
        let partition = due.id.partition.clone();
        self.busy.remove(&due.id);
        match result {
            Ok(done) => {
                let Compacted { end, bytes_read, bytes_written, records_without_key, .. } = done;
                info!(%partition, from = %due.dirt.from, %end, bytes_read, bytes_written, ?took, "compacted");
                if records_without_key > 0 {
                    warn!(%partition, records_without_key, "dropped records without key from a compacted topic");
                }
                self.node.metrics.compaction.finished(&done, took);
                return;
            }
            Err(CompactionError::Interrupted) => debug!(%partition, "a round of compaction was interrupted"),
            Err(CompactionError::Log(LogError::Offline(reason))) => {
                debug!(%partition, reason, "a log went away under its round of compaction");
            }
            Err(CompactionError::Log(problem @ LogError::Io { .. })) => {
                error!(%partition, %problem, "cannot be compacted now");
            }
            Err(problem) => {
                error!(%partition, %problem, "cannot be compacted; restore it from a replica, and restart the broker");
                let directory = directory.unwrap_or_default();
                self.node.metrics.compaction.uncleanable(directory, due.dirt.dirty_bytes);
                // For ever.
                self.busy.insert(due.id);
                return;
            }
        }
        self.resting.insert(due.id, rests_until);
    }
}

/// A round's share of the memory for all.
fn budget(settings: &CleanerSettings, threads: usize) -> CompactionBudget {
    let share = |bytes: i64| u64::try_from(bytes).unwrap_or(0) / threads as u64;
    CompactionBudget {
        map_bytes_max: share(settings.map_bytes),
        map_load_max: settings.map_load_max,
        // Kafka has one buffer for reading and one for writing.
        buffer_bytes: usize::try_from(share(i64::from(settings.buffer_bytes)) / 2).unwrap_or(0),
    }
}

/// The dirtiest log of those that are due. *Blocks.*
fn filthiest(node: &Node, skip: &HashSet<LogId>) -> Option<Due> {
    let view = node.view.load_full();
    let now = node.clock.wall();
    let mut filthiest: Option<Due> = None;
    let (mut ratio_max, mut overdue_ms_max) = (0.0_f64, 0);
    for (topic, hosted) in view.hosted() {
        let settings = hosted.partition.settings();
        let Some(rules) = rules(&settings) else { continue };
        let id = LogId { topic, partition: hosted.partition.id().clone() };
        if skip.contains(&id) {
            continue;
        }
        let (compacted, stable) = (hosted.store.compacted(&id), hosted.partition.watermarks().stable);
        let dirt = match survey(&**hosted.partition.log(), compacted, stable, &rules, now) {
            Ok(dirt) => dirt,
            Err(problem) => {
                warn!(partition = %id.partition, %problem, "cannot be looked at for compaction");
                continue;
            }
        };
        ratio_max = ratio_max.max(dirt.ratio());
        overdue_ms_max = overdue_ms_max.max(dirt.overdue_ms);
        if dirt.is_due(&rules) && filthiest.as_ref().is_none_or(|other| dirt.ratio() > other.dirt.ratio()) {
            filthiest = Some(Due { id, hosted: hosted.clone(), dirt, rules });
        }
    }
    node.metrics.compaction.looked(node.clock.now(), ratio_max, overdue_ms_max);
    filthiest
}

/// What storage has to know of a topic's settings; `None` when it is not compacted.
fn rules(settings: &PartitionSettings) -> Option<CompactionRules> {
    let own = settings.compaction?;
    Some(CompactionRules {
        delete_retention_ms: own.delete_retention_ms,
        min_lag_ms: own.min_lag_ms,
        max_lag_ms: own.max_lag_ms,
        min_dirty_ratio: own.min_dirty_ratio,
        span_bytes_max: settings.log.span_bytes_max,
        index_bytes_max: settings.log.index_bytes_max,
        index_interval_bytes: settings.log.index_interval_bytes,
    })
}

/// The path of the directory that a log lies in.
fn directory(due: &Due) -> String {
    let store = &due.hosted.store;
    let logs = store.list().unwrap_or_default();
    let directory = logs.iter().find(|log| log.id == due.id).map(|log| log.directory);
    let directories = store.directories();
    let found = directories.iter().find(|known| Some(known.id) == directory);
    found.map(|known| known.path.display().to_string()).unwrap_or_default()
}

/// What a partition remembers of its producers.
struct Remembered<'a>(&'a Partition);

impl Producers for Remembered<'_> {
    fn last_of_producers(&self) -> HashMap<ProducerId, LastOfProducer> {
        let last = self.0.last_written();
        last.into_iter()
            .map(|last| (last.producer, LastOfProducer { offset: last.offset, epoch: last.epoch }))
            .collect()
    }

    fn aborted(&self, from: Offset, below: Offset) -> Vec<AbortedRange> {
        let aborted = self.0.aborted(from, below);
        aborted
            .into_iter()
            .map(|aborted| AbortedRange {
                producer: aborted.producer,
                first: aborted.first,
                marker: aborted.last,
            })
            .collect()
    }

    fn replace(
        &self,
        rewrite: Box<dyn Rewrite + '_>,
        from: Offset,
        to: Offset,
        markers: &[Offset],
    ) -> Result<(), LogError> {
        self.0.replace(rewrite, from, to, markers)
    }
}

/// Keeps all rounds together below a number of bytes a second.
#[derive(Debug, Default)]
struct Throttle(Mutex<Pacing>);

#[derive(Debug)]
struct Pacing {
    bytes_per_second: f64,
    /// When the next bytes may pass.
    next: Moment,
}

impl Default for Pacing {
    fn default() -> Self {
        Pacing { bytes_per_second: f64::MAX, next: Moment::default() }
    }
}

impl Throttle {
    /// No number is no limit, as it is for Kafka.
    fn limit(&self, bytes_per_second: f64) {
        self.0.lock().bytes_per_second = if bytes_per_second.is_nan() { f64::MAX } else { bytes_per_second };
    }

    /// When so many bytes have had their time.
    fn admit(&self, now: Moment, bytes: u64) -> Moment {
        let pacing = &mut *self.0.lock();
        let seconds = bytes as f64 / pacing.bytes_per_second.max(1.0);
        pacing.next = pacing.next.max(now) + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        pacing.next
    }

    /// Waits until so many bytes have had their time; breaks at the end of the broker. *Blocks.*
    fn pace(
        &self,
        clock: &dyn Clock,
        handle: &Handle,
        stop: &CancellationToken,
        bytes: u64,
    ) -> ControlFlow<()> {
        let ready = self.admit(clock.now(), bytes);
        if ready.since(clock.now()) >= WAIT_MIN {
            handle.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = clock.sleep_until(ready) => {}
                }
            });
        }
        if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Shorter waits are added up.
const WAIT_MIN: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_their_time() {
        let throttle = Throttle::default();
        let at = |seconds| Moment(Duration::from_secs(seconds));
        assert_eq!(throttle.admit(at(1), 1 << 40), at(1), "no limit, no wait");
        throttle.limit(100.0);
        assert_eq!(throttle.admit(at(1), 100), at(2));
        assert_eq!(throttle.admit(at(1), 300), at(5), "what passed before counts");
        assert_eq!(throttle.admit(at(9), 100), at(10), "but what was not used is lost");
    }

    #[test]
    fn threads_share_the_memory() {
        let settings = CleanerSettings {
            enable: true,
            threads: 4,
            io_bytes_per_second_max: 1.0,
            map_bytes: 400,
            map_load_max: 0.5,
            buffer_bytes: 80,
            backoff_ms: 1,
        };
        let expected = CompactionBudget { map_bytes_max: 100, map_load_max: 0.5, buffer_bytes: 10 };
        assert_eq!(budget(&settings, 4), expected);
    }
}
