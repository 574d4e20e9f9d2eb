//! Power losses at seeded points: nothing confirmed is lost, recovery never fails, the log is a run of whole batches.

use std::path::Path;
use std::sync::Arc;

use vltava_core::id::{Offset, PartitionIndex, TopicId, TopicName, TopicPartition, Uuid};
use vltava_core::log::{Log, LogError, LogId, LogSettings, LogStore, Sidecar, SidecarKind, Span};
use vltava_core::record::Batch;
use vltava_core::testing::{ManualClock, Random, all_batches, plain_batch, replay, seeds};

use super::super::*;
use super::store_on;
use crate::files::{DiskFault, SeededDisk};

/// Which seeds to run: a number or a range.
const SEEDS: &str = "VLTAVA_SEGMENT_SEEDS";
/// The seeds that are usual, and the crash points that so many reach at least; three lives to a seed.
const SEEDS_USUAL: u64 = 450;
const CRASH_POINTS: u64 = 1000;
const LOGS: usize = 2;

/// What is known of one log.
#[derive(Debug, Default)]
struct History {
    batches: Vec<Batch>,
    /// What the log holds instead when the last rewrite was put in place, though nobody was told.
    rewritten: Option<Vec<Batch>>,
    /// Where the log must reach to at least.
    confirmed: Offset,
    /// Where the log may begin at most.
    trimmed: Offset,
    end: Offset,
    /// What the sidecar may hold: what it held at the last flush, and all that was written since.
    sidecar: Vec<Option<Vec<u8>>>,
}

fn id(number: usize) -> LogId {
    LogId {
        topic: TopicId(Uuid::from_u128(9)),
        partition: TopicPartition {
            topic: TopicName::new("crash").unwrap(),
            partition: PartitionIndex(i32::try_from(number).unwrap()),
        },
    }
}

#[test]
fn no_crash_point_loses_what_was_confirmed() {
    let mut crashed = 0;
    let chosen = seeds(SEEDS, 0..SEEDS_USUAL);
    let crashed_min = if chosen.clone().count() as u64 >= SEEDS_USUAL { CRASH_POINTS } else { 0 };
    for seed in chosen {
        let mut random = Random::new(seed);
        let disk = SeededDisk::new(seed ^ 0x5eed);
        let mut histories: [History; LOGS] = Default::default();
        // Several lives on one disk: a crash must leave something that the next one can crash on.
        for life in 0..3 {
            let place = format!("life {life}, {}", replay(SEEDS, seed));
            disk.crash_at(disk.steps() + 1 + random.bits() % 200);
            let settings = LogSettings {
                span_bytes_max: 1500,
                index_interval_bytes: 200,
                delete_delay_ms: 0,
                ..LogSettings::default()
            };
            let lived = live(&disk, &mut random, settings, &mut histories, &place);
            assert!(disk.crashed() || lived.is_ok(), "{place}: {lived:?} without a crash");
            crashed += u64::from(disk.crashed());
            disk.lose_power();
            let store = store_on(Arc::new(disk.clone()), Path::new("/data"));
            for (number, history) in histories.iter_mut().enumerate() {
                let log = store
                    .open(&id(number), settings, None)
                    .unwrap_or_else(|error| panic!("{place}: log {number} does not open: {error}"));
                history.compare(&*log, &format!("{place}, log {number}"));
            }
            disk.kill_process();
        }
    }
    assert!(crashed >= crashed_min, "only {crashed} crashes");
}

/// Works until the power goes, or for a while.
fn live(
    disk: &SeededDisk,
    random: &mut Random,
    settings: LogSettings,
    histories: &mut [History],
    place: &str,
) -> Result<(), LogError> {
    let options = SegmentStoreOptions {
        recovery_bytes_max: 2000,
        ..SegmentStoreOptions::new(vec!["/data".into()], vltava_core::id::BrokerId(1), 7)
    };
    let clock = ManualClock::default();
    let store = match SegmentStore::open(options, Arc::new(disk.clone()), Arc::new(clock.clone())) {
        Ok(store) => store,
        Err(StoreError::NoDirectory(_)) if disk.crashed() => return Ok(()),
        Err(error) => panic!("{place}: the store does not open: {error}"),
    };
    for _ in 0..60 {
        let number = random.below(LOGS);
        let Some(history) = histories.get_mut(number) else { continue };
        let log = store.open(&id(number), settings, None)?;
        if log.bounds().end != history.end {
            // Opening after the crash of an earlier life has shown it already.
            assert_eq!(all_batches(&*log).len(), history.batches.len(), "{place}");
            history.end = log.bounds().end;
        }
        history.step(random, &*log)?;
        if random.once_in(8) {
            clock.advance(std::time::Duration::from_secs(1));
            store.maintain(&[])?;
        }
    }
    if random.once_in(2) {
        store.close()?;
        for history in histories {
            history.confirmed = history.end;
            history.sidecar.drain(..history.sidecar.len().saturating_sub(1));
        }
    }
    Ok(())
}

impl History {
    fn step(&mut self, random: &mut Random, log: &dyn Log) -> Result<(), LogError> {
        match random.below(24) {
            0..12 => {
                let mut end = self.end.0;
                let batches: Vec<Batch> = (0..=random.below(3))
                    .map(|_| {
                        let batch = plain_batch(end, 2, 1000 + end, random.below(150));
                        end += 2;
                        batch
                    })
                    .collect();
                // A crash in the middle may keep any number of them.
                self.batches.extend_from_slice(&batches);
                self.end = log.append(&batches)?.end;
            }
            12..17 => {
                self.confirmed = self.confirmed.max(log.flush()?);
                self.sidecar.drain(..self.sidecar.len().saturating_sub(1));
            }
            17 => log.roll()?,
            21 | 22 => self.rewrite(random, log)?,
            18 | 19 => {
                let back = i64::try_from(random.below(12)).unwrap_or(0) * 2;
                let end = Offset((self.end.0 - back).max(0));
                // Below the start nothing is left to be kept: the log starts anew.
                self.confirmed = if end < self.trimmed { Offset::ZERO } else { self.confirmed.min(end) };
                self.trimmed = self.trimmed.min(end);
                log.truncate(end)?;
                self.batches.retain(|batch| batch.header.last_offset() < end);
                self.end = end;
            }
            20 => {
                let start = Offset(self.end.0 - i64::try_from(random.below(40)).unwrap_or(0));
                self.trimmed = self.trimmed.max(start);
                log.trim(start)?;
            }
            _ => {
                let content = vec![b'x'; random.below(900)];
                if self.sidecar.is_empty() {
                    self.sidecar.push(None);
                }
                self.sidecar.push(Some(content.clone()));
                log.sidecars()
                    .write(Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset::ZERO }, &content)?;
            }
        }
        Ok(())
    }

    /// Leaves out some batches of the sealed spans, but not the last one of them.
    fn rewrite(&mut self, random: &mut Random, log: &dyn Log) -> Result<(), LogError> {
        let sealed: Vec<Span> = log.spans().into_iter().filter(|span| span.sealed).collect();
        let chosen = sealed.get(random.below(sealed.len())..).unwrap_or_default();
        let (Some(first), Some(last)) = (chosen.first(), chosen.last()) else { return Ok(()) };
        let inside =
            |batch: &Batch| batch.header.base_offset >= first.base && batch.header.base_offset < last.end;
        let latest = self.batches.iter().rfind(|batch| inside(batch)).map(|batch| batch.header.base_offset);
        let mut kept = self.batches.clone();
        kept.retain(|batch| !inside(batch) || Some(batch.header.base_offset) == latest || random.once_in(2));
        let mut rewrite = log.rewrite(first.base, last.end)?;
        for batch in kept.iter().filter(|batch| inside(batch)) {
            rewrite.append(std::slice::from_ref(batch))?;
        }
        self.rewritten = Some(kept);
        rewrite.commit(&[])?;
        self.batches = self.rewritten.take().unwrap_or_default();
        self.confirmed = self.confirmed.max(last.end);
        Ok(())
    }

    /// Compares with what came back, and goes on from there.
    fn compare(&mut self, log: &dyn Log, place: &str) {
        let bounds = log.bounds();
        let found = all_batches(log);
        assert!(found.iter().all(Batch::crc_matches), "{place}: a broken batch came back");
        let first = found.first().map_or(bounds.end, |batch| batch.header.base_offset);
        let same = |batches: &Vec<Batch>| {
            let rest = batches.iter().filter(|batch| batch.header.base_offset >= first);
            rest.take(found.len()).eq(&found)
        };
        if let Some(rewritten) = self.rewritten.take().filter(same) {
            self.batches = rewritten;
        }
        let wanted = self.trimmed.max(bounds.start);
        let lost = |batch: &Batch| batch.header.base_offset >= wanted && batch.header.base_offset < first;
        assert!(!self.batches.iter().any(lost), "{place}: starts at {first}, trimmed to {}", self.trimmed);
        let known: Vec<Batch> = self
            .batches
            .iter()
            .filter(|batch| batch.header.base_offset >= first)
            .take(found.len())
            .cloned()
            .collect();
        let bases =
            |batches: &[Batch]| batches.iter().map(|batch| batch.header.base_offset.0).collect::<Vec<_>>();
        assert_eq!(
            bases(&found),
            bases(&known),
            "{place}: a run of the batches that were appended comes back"
        );
        assert!(found == known, "{place}: with their content");
        // An end behind a gap, where batches were left out and then truncated, may be forgotten.
        let confirmed = |batch: &&Batch| batch.header.next_offset() <= self.confirmed;
        let last =
            self.batches.iter().rfind(confirmed).map_or(bounds.start, |last| last.header.next_offset());
        assert!(
            bounds.end >= self.confirmed.min(last),
            "{place}: ends at {}, confirmed {}",
            bounds.end,
            self.confirmed
        );
        let sidecar =
            log.sidecars().read(Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset::ZERO }).unwrap();
        let sidecar = sidecar.map(|content| content.to_vec());
        // Before the first flush the whole folder may be gone.
        let gone = sidecar.is_none() && (self.confirmed == Offset::ZERO || self.sidecar.is_empty());
        assert!(gone || self.sidecar.contains(&sidecar), "{place}: another sidecar came back");
        self.sidecar = vec![sidecar];
        self.batches.retain(|batch| batch.header.last_offset() < bounds.end);
        self.end = bounds.end;
        self.trimmed = bounds.start;
        self.confirmed = self.confirmed.min(bounds.end);
    }
}

fn filled(disk: &SeededDisk) -> (SegmentStore, Arc<dyn Log>, Vec<Batch>) {
    let store = store_on(Arc::new(disk.clone()), Path::new("/data"));
    let log = store.open(&id(0), LogSettings::default(), None).unwrap();
    let batches: Vec<Batch> = (0..20).map(|number| plain_batch(number, 1, 1000, 100)).collect();
    log.append(&batches).unwrap();
    (store, log, batches)
}

fn check_offline(store: &SegmentStore, log: &dyn Log, batches: &[Batch], says: &str) {
    for refused in [
        log.append(&[plain_batch(20, 1, 1000, 10)]).map(|_| ()),
        log.flush().map(|_| ()),
        log.truncate(Offset(3)),
        log.trim(Offset(3)),
    ] {
        match refused {
            Err(LogError::Offline(reason)) => assert!(reason.contains(says), "{reason}"),
            other => panic!("an offline log must refuse to change, not {other:?}"),
        }
    }
    assert_eq!(all_batches(log), batches, "reads go on");
    assert!(log.bounds().end == Offset(20), "nothing that failed is visible");
    let failure = store.directories()[0].failure.clone().unwrap_or_default();
    assert!(failure.contains(says), "the directory says why: {failure}");
    let other = store.open(&id(1), LogSettings::default(), None).map(|_| ());
    assert!(matches!(other, Err(LogError::Offline(_))), "no other log can be opened there: {other:?}");
}

#[test]
fn a_full_disk_takes_the_log_offline_and_reads_go_on() {
    let disk = SeededDisk::new(1);
    let (store, log, batches) = filled(&disk);
    assert_eq!(log.flush().unwrap(), Offset(20));
    disk.set_room(Some(100));
    let error = log.append(&[plain_batch(20, 1, 1000, 500)]).unwrap_err();
    assert!(matches!(error, LogError::Io { act: "append", .. }), "{error:?}");
    check_offline(&store, &*log, &batches, "cannot append");
    drop((store, log));
    disk.set_room(None);
    disk.lose_power();
    let store = store_on(Arc::new(disk.clone()), Path::new("/data"));
    let log = store.open(&id(0), LogSettings::default(), None).unwrap();
    assert_eq!(all_batches(&*log), batches, "what was torn by the full disk is cut off");
    log.append(&[plain_batch(20, 1, 1000, 500)]).unwrap();
}

#[test]
fn a_failing_sync_takes_the_log_offline_and_confirms_nothing() {
    let disk = SeededDisk::new(2);
    let (store, log, batches) = filled(&disk);
    disk.fail(DiskFault::Sync, Path::new("/data/crash-0"));
    let error = log.flush().unwrap_err();
    assert!(matches!(error, LogError::Io { act: "sync", .. }), "{error:?}");
    assert_eq!(log.bounds().flushed, Offset::ZERO, "nothing is confirmed");
    disk.heal();
    check_offline(&store, &*log, &batches, "cannot sync");
    assert!(store.close().is_ok(), "an offline directory is left alone");
    drop((store, log));
    disk.lose_power();
    let store = store_on(Arc::new(disk.clone()), Path::new("/data"));
    let log = store.open(&id(0), LogSettings::default(), None).unwrap();
    assert!(log.bounds().end <= Offset(20), "and no clean shutdown is claimed");
}

#[test]
fn a_failing_directory_goes_offline_and_the_others_live_on() {
    let disk = SeededDisk::new(3);
    let directories = vec!["/one".into(), "/two".into()];
    let options = SegmentStoreOptions::new(directories, vltava_core::id::BrokerId(1), 7);
    let open =
        || SegmentStore::open(options.clone(), Arc::new(disk.clone()), Arc::new(ManualClock::default()));
    let store = open().unwrap();
    let ids: Vec<_> = store.directories().iter().map(|directory| directory.id).collect();
    let logs: Vec<_> =
        (0..4).map(|number| store.open(&id(number), LogSettings::default(), None).unwrap()).collect();
    let places: Vec<_> = store.list().unwrap().iter().map(|log| log.directory).collect();
    assert_eq!(places, [ids[0], ids[1], ids[0], ids[1]], "new logs go to the directory with the fewest");
    disk.fail(DiskFault::Write, Path::new("/one"));
    assert!(logs[0].append(&[plain_batch(0, 1, 1000, 10)]).is_err());
    assert!(matches!(logs[2].append(&[plain_batch(0, 1, 1000, 10)]), Err(LogError::Offline(_))));
    for alive in [&logs[1], &logs[3]] {
        alive.append(&[plain_batch(0, 1, 1000, 10)]).unwrap();
        alive.flush().unwrap();
    }
    store.maintain(&[]).unwrap();
    store.open(&id(9), LogSettings::default(), None).unwrap();
    assert_eq!(store.list().unwrap().last().unwrap().directory, ids[1], "a new log goes to the healthy one");
    store.close().unwrap();
    drop((logs, store));
    disk.fail(DiskFault::Read, Path::new("/one"));
    disk.kill_process();
    let store = open().unwrap();
    let failures: Vec<bool> =
        store.directories().iter().map(|directory| directory.failure.is_some()).collect();
    assert_eq!(failures, [true, false], "a directory that cannot be read at the start is offline");
    let log = store.open(&id(1), LogSettings::default(), None).unwrap();
    assert_eq!(log.bounds().end, Offset(1));
    disk.heal();
}

#[test]
fn a_directory_in_use_or_of_another_owner_is_refused() {
    let disk = SeededDisk::new(4);
    let open = |node: i32, cluster: Option<&str>| {
        let options = SegmentStoreOptions {
            cluster_id: cluster.map(str::to_owned),
            ..SegmentStoreOptions::new(vec!["/data".into()], vltava_core::id::BrokerId(node), 7)
        };
        SegmentStore::open(options, Arc::new(disk.clone()), Arc::new(ManualClock::default()))
    };
    let store = open(1, Some("mine")).unwrap();
    assert_eq!(store.cluster_id(), "mine");
    let error = open(1, None).unwrap_err();
    assert_eq!(error.to_string(), "/data is in use by another broker; stop it, or set another log.dirs");
    drop(store);
    for (node, cluster, says) in [
        (2, None, "/data belongs to node 1, not 2; set the right log.dirs, or node.id to 1"),
        (
            1,
            Some("other"),
            "/data belongs to cluster mine, not other; set the right log.dirs, or cluster.id to mine",
        ),
    ] {
        assert_eq!(open(node, cluster).unwrap_err().to_string(), says);
    }
    assert_eq!(open(1, None).unwrap().cluster_id(), "mine");
}
