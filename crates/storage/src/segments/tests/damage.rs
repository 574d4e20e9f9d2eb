//! What a folder may look like after someone or something was at it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vltava_core::id::{
    BrokerEpoch, BrokerId, Offset, PartitionIndex, Timestamp, TopicId, TopicName, TopicPartition, Uuid,
};
use vltava_core::log::{LogError, LogId, LogSettings, LogStore, ReadLimit};
use vltava_core::record::Batch;
use vltava_core::testing::{ManualClock, all_batches, bytes_of, plain_batch};

use super::super::*;
use super::{scratch, store_on};
use crate::files::SystemFiles;

fn id() -> LogId {
    LogId { topic: TopicId(Uuid::from_u128(9)), partition: partition("d") }
}

fn partition(topic: &str) -> TopicPartition {
    TopicPartition { topic: TopicName::new(topic).unwrap(), partition: PartitionIndex(0) }
}

fn settings() -> LogSettings {
    LogSettings { span_bytes_max: 20_000, index_interval_bytes: 500, ..LogSettings::default() }
}

/// 400 batches of 100 bytes and more in 4 segments.
fn batches() -> Vec<Batch> {
    (0..400).map(|number| plain_batch(number, 1, 1_000_000 + number, 100)).collect()
}

/// The files of a suffix, in order of their offsets.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == suffix))
        .collect();
    found.sort();
    found
}

fn flip(path: &Path, position: usize) {
    let mut content = fs::read(path).unwrap();
    content[position] ^= 0x5a;
    fs::write(path, content).unwrap();
}

fn cut(path: &Path, by: usize) {
    let content = fs::read(path).unwrap();
    fs::write(path, &content[..content.len() - by]).unwrap();
}

/// Writes a log, stops cleanly or not, damages it, and expects so many batches to come back, all of them readable and
/// to be found by their time.
fn check(what: &str, clean: bool, damage: &dyn Fn(&Path), expected: usize) {
    let place = scratch();
    let folder = place.path().join("d-0");
    {
        let store = store_on(Arc::new(SystemFiles), place.path());
        let log = store.open(&id(), settings(), None).unwrap();
        for batch in batches() {
            log.append(&[batch]).unwrap();
        }
        assert!(log.spans().len() == 4, "{:?}", log.spans());
        if clean {
            store.close().unwrap();
        }
    }
    damage(&folder);
    for attempt in 0..2 {
        let store = store_on(Arc::new(SystemFiles), place.path());
        let log = store.open(&id(), settings(), None).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = all_batches(&*log);
        assert_eq!(found.len(), expected, "{what}, clean {clean}, attempt {attempt}");
        assert_eq!(found, batches()[..expected], "{what}, clean {clean}");
        for (number, batch) in found.iter().enumerate().step_by(7) {
            let base = batch.header.base_offset;
            let limit = ReadLimit { below: log.bounds().end, bytes: 1, whole_first_batch: true };
            let read = bytes_of(log.read(base, limit).unwrap());
            assert_eq!(read.len(), batch.size(), "{what}: a read at {base}");
            let time = Timestamp(1_000_000 + i64::try_from(number).unwrap());
            assert_eq!(log.find(time).unwrap(), Some(base), "{what}: found by time {time}");
        }
        let next = plain_batch(log.bounds().end.0, 1, 2_000_000, 10);
        if attempt == 1 {
            log.append(&[next]).unwrap();
            assert_eq!(all_batches(&*log).len(), expected + 1, "{what}: appends go on");
        }
        store.close().unwrap();
    }
}

#[test]
fn damaged_indexes_are_made_anew() {
    type Damage = dyn Fn(&Path);
    let each = |suffix: &'static str, damage: fn(&Path)| {
        Box::new(move |folder: &Path| files(folder, suffix).iter().for_each(|path| damage(path)))
            as Box<Damage>
    };
    for suffix in ["index", "timeindex"] {
        for clean in [true, false] {
            check("missing", clean, &*each(suffix, |path| fs::remove_file(path).unwrap()), 400);
            check(
                "a torn entry",
                clean,
                &*each(suffix, |path| {
                    let mut content = fs::read(path).unwrap();
                    content.extend_from_slice(&[0, 0, 1]);
                    fs::write(path, content).unwrap();
                }),
                400,
            );
        }
        check("empty", false, &*each(suffix, |path| fs::write(path, b"").unwrap()), 400);
        check(
            "zeros behind",
            false,
            &*each(suffix, |path| {
                let mut content = fs::read(path).unwrap();
                content.extend_from_slice(&[0; 4800]);
                fs::write(path, content).unwrap();
            }),
            400,
        );
        check("garbage", false, &*each(suffix, |path| fs::write(path, [0x77; 4803]).unwrap()), 400);
    }
    for clean in [true, false] {
        check("garbage", clean, &*each("index", |path| fs::write(path, [0x77; 4803]).unwrap()), 400);
        check(
            "misleading",
            clean,
            &*each("index", |path| {
                let entries: Vec<u8> =
                    (1..40_u32).flat_map(|n| [n.to_be_bytes(), (n * 100).to_be_bytes()].concat()).collect();
                fs::write(path, entries).unwrap();
            }),
            400,
        );
    }
}

#[test]
fn a_torn_tail_is_cut_off() {
    let last = |folder: &Path| files(folder, "log").pop().unwrap();
    let size = batches()[399].size();
    for by in [1, 50, size - 61, size - 60, size - 1] {
        check("cut", false, &|folder| cut(&last(folder), by), 399);
    }
    check("cut at a boundary", false, &|folder| cut(&last(folder), size), 399);
    check(
        "garbage behind",
        false,
        &|folder| {
            let mut content = fs::read(last(folder)).unwrap();
            content.extend_from_slice(&[0x11; 333]);
            fs::write(last(folder), content).unwrap();
        },
        400,
    );
    check(
        "zeros behind",
        false,
        &|folder| {
            let file = fs::OpenOptions::new().write(true).open(last(folder)).unwrap();
            file.set_len(file.metadata().unwrap().len() + 100_000).unwrap();
        },
        400,
    );
    check(
        "an old batch behind",
        false,
        &|folder| {
            let mut content = fs::read(last(folder)).unwrap();
            content.extend_from_slice(&batches()[5].to_bytes());
            fs::write(last(folder), content).unwrap();
        },
        400,
    );
    check(
        "a flipped byte in the last batch",
        false,
        &|folder| {
            let length = fs::metadata(last(folder)).unwrap().len();
            flip(&last(folder), usize::try_from(length).unwrap() - 3);
        },
        399,
    );
    check(
        "an empty last segment",
        false,
        &|folder| {
            let first = files(folder, "log")[3].file_name().unwrap().to_str().unwrap().to_owned();
            let base: usize = first[..20].parse().unwrap();
            assert_eq!(base, 351);
            fs::write(last(folder), b"").unwrap();
        },
        351,
    );
}

#[test]
fn a_flipped_byte_in_the_middle_ends_what_was_not_synced() {
    check(
        "in the second segment",
        false,
        &|folder| flip(&files(folder, "log")[1], 5000),
        117 + 5000 / batches()[120].size(),
    );
}

#[test]
fn foreign_and_leftover_files_do_no_harm() {
    check(
        "foreign",
        true,
        &|folder| {
            fs::write(folder.join("notes.txt"), b"hello").unwrap();
            fs::write(folder.join("12.log"), b"hello").unwrap();
            fs::create_dir(folder.join("lost+found")).unwrap();
        },
        400,
    );
    for clean in [true, false] {
        check(
            "leftovers",
            clean,
            &|folder| {
                for name in [
                    "00000000000000000000.log.deleted",
                    "00000000000000000999.index",
                    "00000000000000000117.log.tmp",
                    "00000000000000000117.log.cleaned",
                    "leader-epoch-checkpoint.tmp",
                ] {
                    fs::write(folder.join(name), b"left over").unwrap();
                }
            },
            400,
        );
    }
}

#[test]
fn an_interrupted_compaction_is_finished_or_undone() {
    // The second and third segment were compacted into one, which holds every tenth batch of both.
    let compacted = || -> Vec<u8> {
        batches()[117..351].iter().step_by(10).flat_map(|batch| batch.to_bytes().to_vec()).collect()
    };
    let kept: Vec<Batch> = batches()
        .into_iter()
        .enumerate()
        .filter(|(number, _)| !(117..351).contains(number) || (number - 117) % 10 == 0)
        .map(|(_, batch)| batch)
        .collect();
    for (names, expected) in [
        (&["log.swap"][..], kept.clone()),
        (&["log.swap", "index.swap", "timeindex.swap"][..], kept),
        (&["log.cleaned", "index.cleaned"][..], batches()),
        (&["log.swap", "log.cleaned"][..], batches()),
        (&["log.cleaned", "index.swap"][..], batches()),
        (&["log.swap", "index.cleaned"][..], batches()),
    ] {
        let place = scratch();
        {
            let store = store_on(Arc::new(SystemFiles), place.path());
            let log = store.open(&id(), settings(), None).unwrap();
            for batch in batches() {
                log.append(&[batch]).unwrap();
            }
            // What is compacted was flushed before.
            log.flush().unwrap();
            store.maintain(&[]).unwrap();
        }
        let folder = place.path().join("d-0");
        for name in names {
            let content = if name.starts_with("log") { compacted() } else { vec![0x55; 24] };
            fs::write(folder.join(format!("00000000000000000117.{name}")), content).unwrap();
        }
        for attempt in 0..2 {
            let store = store_on(Arc::new(SystemFiles), place.path());
            let log = store.open(&id(), settings(), None).unwrap();
            let found = all_batches(&*log);
            assert!(
                found == expected,
                "{names:?}, attempt {attempt}: {} instead of {}",
                found.len(),
                expected.len()
            );
            store.close().unwrap();
        }
    }
}

#[test]
fn a_corrupt_batch_in_a_believed_segment_is_an_error_of_the_reads_that_meet_it() {
    let place = scratch();
    {
        let store = store_on(Arc::new(SystemFiles), place.path());
        let log = store.open(&id(), settings(), None).unwrap();
        for batch in batches() {
            log.append(&[batch]).unwrap();
        }
        store.close().unwrap();
    }
    let second = files(&place.path().join("d-0"), "log")[1].clone();
    let before = fs::metadata(&second).unwrap().len();
    let index = second.with_extension("index");
    fs::write(&index, b"").unwrap();
    // The magic byte of the eleventh batch.
    flip(&second, batches()[120].size() * 10 + 16);
    let store = store_on(Arc::new(SystemFiles), place.path());
    let log = store.open(&id(), settings(), None).unwrap();
    let limit = ReadLimit { below: log.bounds().end, bytes: 1, whole_first_batch: true };
    assert!(log.read(Offset(120), limit).is_ok(), "before it");
    let error = log.read(Offset(200), limit).unwrap_err();
    assert!(matches!(error, LogError::Corrupt { .. }), "behind it: {error}");
    assert!(log.read(Offset(300), limit).is_ok(), "in another segment");
    assert_eq!(fs::metadata(&second).unwrap().len(), before, "what was believed is never cut");
}

#[test]
fn a_clean_stop_leaves_kafkas_files() {
    let place = scratch();
    {
        let store = store_on(Arc::new(SystemFiles), place.path());
        store.set_broker_epoch(BrokerEpoch(77));
        let log = store.open(&id(), settings(), None).unwrap();
        for batch in batches() {
            log.append(&[batch]).unwrap();
        }
        log.trim(Offset(150)).unwrap();
        store.maintain(&[(id(), Offset(390))]).unwrap();
        store.close().unwrap();
    }
    let text = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(text("recovery-point-offset-checkpoint"), "0\n1\nd 0 400\n");
    assert_eq!(text("log-start-offset-checkpoint"), "0\n1\nd 0 150\n");
    assert_eq!(text("replication-offset-checkpoint"), "0\n1\nd 0 390\n");
    assert_eq!(text(".kafka_cleanshutdown"), "{\"version\":0,\"brokerEpoch\":77}");
    assert_eq!(text("d-0/partition.metadata"), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAACQ");
    assert!(text("meta.properties").ends_with("node.id=1\nversion=1\n"), "{}", text("meta.properties"));
    let names: Vec<String> = files(&place.path().join("d-0"), "log")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for suffix in ["index", "timeindex"] {
        assert_eq!(files(&place.path().join("d-0"), suffix).len(), 3);
    }
    assert_eq!(files(&place.path().join("d-0"), "deleted").len(), 3, "the trimmed segment waits for its end");
    let store = store_on(Arc::new(SystemFiles), place.path());
    assert_eq!(store.previous_broker_epoch(), BrokerEpoch(77));
    assert!(!place.path().join(".kafka_cleanshutdown").exists(), "the mark is good for one start");
}

#[test]
fn a_log_whose_topic_is_not_told_is_an_error_that_names_the_file() {
    let whole = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAACQ";
    let mangled = whole.replace("version", "reversal");
    for (content, clean, usable) in [
        (mangled.as_str(), true, false),
        (mangled.as_str(), false, false),
        // A crash may leave a file that is not whole, but no clean stop does.
        ("", true, false),
        ("", false, true),
        (&whole[..30], false, true),
        (whole, true, true),
    ] {
        let place = scratch();
        let other = LogId { topic: TopicId(Uuid::from_u128(8)), partition: partition("other") };
        {
            let store = store_on(Arc::new(SystemFiles), place.path());
            for id in [&id(), &other] {
                store.open(id, settings(), None).unwrap().append(&[plain_batch(0, 1, 1, 10)]).unwrap();
            }
            if clean {
                store.close().unwrap();
            }
        }
        let file = place.path().join("d-0/partition.metadata");
        fs::write(&file, content).unwrap();
        let store = store_on(Arc::new(SystemFiles), place.path());
        match store.open(&id(), settings(), None) {
            Ok(log) => assert!(usable && log.bounds().end == Offset(1), "{content:?}, clean {clean}"),
            Err(error) => {
                assert!(
                    !usable && error.to_string().contains("d-0/partition.metadata"),
                    "{content:?}: {error}"
                );
                assert_eq!(fs::read_to_string(&file).unwrap(), content, "left as it is");
            }
        }
        assert_eq!(store.open(&other, settings(), None).unwrap().bounds().end, Offset(1), "the others work");
    }
}

#[test]
fn nothing_is_appended_to_a_closed_store() {
    let place = scratch();
    let store = store_on(Arc::new(SystemFiles), place.path());
    let log = store.open(&id(), settings(), None).unwrap();
    log.append(&[plain_batch(0, 1, 1, 10)]).unwrap();
    store.close().unwrap();
    let offline =
        |result: Result<(), LogError>| assert!(matches!(result, Err(LogError::Offline(_))), "{result:?}");
    offline(log.append(&[plain_batch(1, 1, 1, 10)]).map(drop));
    offline(log.roll());
    offline(log.trim(Offset(1)));
    offline(log.truncate(Offset(0)));
    offline(store.open(&id(), settings(), None).map(drop));
    offline(store.remove(&id()));
    offline(store.maintain(&[]));
    assert_eq!(all_batches(&*log).len(), 1, "what is there can be read");
    let next = store_on(Arc::new(SystemFiles), place.path());
    assert_eq!(
        next.open(&id(), settings(), None).unwrap().bounds().end,
        Offset(1),
        "another may have it now"
    );
}

#[test]
fn discarded_files_go_after_their_delay() {
    let place = scratch();
    let clock = ManualClock::default();
    let open = || {
        let options = SegmentStoreOptions::new(vec![place.path().into()], BrokerId(1), 7);
        SegmentStore::open(options, Arc::new(SystemFiles), Arc::new(clock.clone())).unwrap()
    };
    let folders = || {
        let names = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().starts_with("d-0")).count()
    };
    let store = open();
    let log = store.open(&id(), LogSettings { delete_delay_ms: 5000, ..settings() }, None).unwrap();
    for batch in batches() {
        log.append(&[batch]).unwrap();
    }
    log.trim(Offset(200)).unwrap();
    let deleted = || files(&place.path().join("d-0"), "deleted").len();
    for (seconds, left) in [(0, 3), (4, 3), (1, 0)] {
        clock.advance(Duration::from_secs(seconds));
        store.maintain(&[]).unwrap();
        assert_eq!(deleted(), left, "files of the trimmed segment after {seconds} s more");
    }
    store.remove(&id()).unwrap();
    for (seconds, left) in [(0, 1), (4, 1), (1, 0)] {
        clock.advance(Duration::from_secs(seconds));
        store.maintain(&[]).unwrap();
        assert_eq!(folders(), left, "folders of the removed log after {seconds} s more");
    }
    // A process that dies before the delay is over leaves the folder to the next one.
    store.open(&id(), settings(), None).unwrap();
    store.remove(&id()).unwrap();
    drop((log, store));
    assert_eq!(folders(), 1);
    open().maintain(&[]).unwrap();
    assert_eq!(folders(), 0);
}

#[test]
fn a_second_process_is_told_which_directory_is_in_use() {
    let place = scratch();
    let _store = store_on(Arc::new(SystemFiles), place.path());
    let options = SegmentStoreOptions::new(vec![place.path().into()], BrokerId(1), 7);
    let error =
        SegmentStore::open(options, Arc::new(SystemFiles), Arc::new(ManualClock::default())).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{} is in use", place.path().display())), "{error}");
}

#[test]
fn a_kill_leaves_no_more_to_read_again_than_the_bound() {
    let place = scratch();
    let options = SegmentStoreOptions {
        recovery_bytes_max: 10_000,
        ..SegmentStoreOptions::new(vec![place.path().into()], BrokerId(1), 7)
    };
    let store = SegmentStore::open(options, Arc::new(SystemFiles), Arc::new(ManualClock::default())).unwrap();
    let log = store.open(&id(), settings(), None).unwrap();
    for batch in batches() {
        log.append(&[batch]).unwrap();
        store.maintain(&[]).unwrap();
    }
    let checkpoint = fs::read_to_string(place.path().join("recovery-point-offset-checkpoint")).unwrap();
    let point: usize = checkpoint.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let behind: usize = batches()[point..].iter().map(Batch::size).sum();
    assert!(behind <= 10_000, "{behind} bytes lie beyond the recovery point {point}");
}
