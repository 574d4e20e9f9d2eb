//! Logs that come and go under the same name.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use vltava_core::id::{DirectoryId, Offset, PartitionIndex, TopicId, TopicName, TopicPartition, Uuid};
use vltava_core::log::{Log, LogId, LogSettings, LogStore, Sidecar, SidecarKind};
use vltava_core::testing::{ManualClock, all_batches, plain_batch};

use super::super::directory::LogDirectory;
use super::super::log::{SegmentLog, Shared};
use super::super::open_files::OpenFiles;
use super::store_on;
use crate::files::{Files, SeededDisk};
use crate::random::Random;

fn id(topic: u128, partition: i32) -> LogId {
    LogId {
        topic: TopicId(Uuid::from_u128(topic)),
        partition: TopicPartition {
            topic: TopicName::new("n").unwrap(),
            partition: PartitionIndex(partition),
        },
    }
}

fn append(log: &dyn Log, count: i64) {
    for number in 0..count {
        log.append(&[plain_batch(number, 1, 1_000_000 + number, 100)]).unwrap();
    }
}

/// Ten records, of which five are deleted, with all of that in the checkpoints; then the topic is removed.
fn predecessor(disk: &SeededDisk) -> super::SegmentStore {
    let store = store_on(Arc::new(disk.clone()), Path::new("/data"));
    let log = store.open(&id(1, 0), LogSettings::default(), None).unwrap();
    append(&*log, 10);
    log.flush().unwrap();
    log.trim(Offset(5)).unwrap();
    store.maintain(&[(id(1, 0), Offset(10))]).unwrap();
    store.remove(&id(1, 0)).unwrap();
    store
}

fn check_bounds(disk: &SeededDisk, expected: (i64, i64), what: &str) {
    let store = store_on(Arc::new(disk.clone()), Path::new("/data"));
    let log = store.open(&id(2, 0), LogSettings::default(), None).unwrap();
    let bounds = log.bounds();
    assert_eq!((bounds.start.0, bounds.end.0), expected, "{what}");
    let [stored] = &*store.list().unwrap() else { panic!("{what}: one log") };
    assert_eq!(stored.high_watermark, Offset::ZERO, "{what}");
}

#[test]
fn a_log_takes_nothing_over_from_an_earlier_one_of_its_name() {
    let disk = SeededDisk::new(3);
    drop(predecessor(&disk));
    disk.kill_process();
    check_bounds(&disk, (0, 0), "made after a restart");

    let disk = SeededDisk::new(4);
    let store = predecessor(&disk);
    let log = store.open(&id(2, 0), LogSettings::default(), None).unwrap();
    append(&*log, 3);
    log.flush().unwrap();
    drop((log, store));
    disk.lose_power();
    check_bounds(&disk, (0, 3), "made at once, then the power went");
}

#[test]
fn a_log_that_is_removed_does_not_keep_others_from_being_synced() {
    let disk = SeededDisk::new(5);
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    drop(store_on(Arc::clone(&files), Path::new("/data")));
    let settings = LogSettings { span_bytes_max: 500, ..LogSettings::default() };
    let lock = files.lock(Path::new("/data/.lock")).unwrap().unwrap();
    let directory =
        LogDirectory::load(DirectoryId::MIGRATING, "/data".into(), Arc::clone(&files), lock).unwrap();
    let directory = Arc::new(directory);
    let shared = Arc::new(Shared {
        open_files: Arc::new(OpenFiles::new(Arc::clone(&files), 8)),
        clock: Arc::new(ManualClock::default()),
        witness: Arc::new(()),
        random: Mutex::new(Random::new(1)),
    });
    let open = |partition: i32| {
        let folder = Path::new("/data").join(format!("n-{partition}"));
        files.create_folder(&folder).unwrap();
        files.open(&folder.join("partition.metadata"), crate::files::Open::OrCreate).unwrap();
        let id = id(1, partition);
        let log =
            SegmentLog::open(id, settings, folder, Arc::clone(&directory), Arc::clone(&shared)).unwrap();
        let epochs = Sidecar { kind: SidecarKind::LeaderEpochs, at: Offset::ZERO };
        log.sidecars().write(epochs, b"0\n1\n0 0\n").unwrap();
        append(&*log, 20);
        log
    };
    let logs = [open(0), open(1)];
    drop(logs[1].retire());
    SegmentLog::advance_flushed(&logs).unwrap();
    logs[0].flush().unwrap();
    drop((logs, directory, shared));
    disk.lose_power();
    let store = store_on(files, Path::new("/data"));
    let log = store.open(&id(1, 0), settings, None).unwrap();
    assert_eq!(all_batches(&*log).len(), 20);
}
