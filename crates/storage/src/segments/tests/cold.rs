//! Which reads wait for a disk, and where.

use vltava_core::id::{Offset, PartitionIndex, TopicId, TopicName, TopicPartition, Uuid};
use vltava_core::log::{Log, LogData, LogId, LogSettings, ReadLimit};
use vltava_core::record::BatchHeader;
use vltava_core::testing::{bytes_of, plain_batch};

use super::*;
use crate::segments::names::{INDEX, file};

const FOLDER: &str = "/data";
const NOW: i64 = 1_700_000_000_000;

fn log_on(disk: &SeededDisk) -> Arc<dyn Log> {
    let id = LogId {
        topic: TopicId(Uuid::from_u128(3)),
        partition: TopicPartition { topic: TopicName::new("c").unwrap(), partition: PartitionIndex(0) },
    };
    let store = store_on(Arc::new(disk.clone()), Path::new(FOLDER));
    // Segments of some four batches.
    let settings = LogSettings { span_bytes_max: 4096, ..LogSettings::default() };
    let log = store.open(&id, settings, None).unwrap();
    for base in 0..200 {
        log.append(&[plain_batch(base, 1, NOW, 1000)]).unwrap();
    }
    assert!(log.spans().len() > 40, "{}", log.spans().len());
    log
}

fn read(log: &dyn Log, from: i64, bytes: usize) -> LogData {
    log.read(Offset(from), ReadLimit { below: Offset(200), bytes, whole_first_batch: true }).unwrap()
}

#[test]
fn a_cold_read_is_a_later_one_that_brings_the_same_bytes() {
    let disk = SeededDisk::new(1);
    let log = log_on(&disk);
    for (from, bytes) in [(0, 1), (3, 100), (60, 1 << 20), (120, 3000)] {
        disk.heal();
        let warm = read(&*log, from, bytes);
        assert!(!matches!(warm, LogData::Later(_)), "from {from}: {warm:?}");
        disk.fail(DiskFault::Cold, Path::new(FOLDER));
        let LogData::Later(later) = read(&*log, from, bytes) else { panic!("from {from}: it did not wait") };
        assert!(later.length > 0);
        assert_eq!(bytes_of((later.read)().unwrap()), bytes_of(warm), "from {from}");
    }
}

#[test]
fn the_end_of_the_log_is_read_at_once_even_where_the_disk_is_slow() {
    let disk = SeededDisk::new(1);
    let log = log_on(&disk);
    disk.fail(DiskFault::Cold, Path::new(FOLDER));
    let base = log.spans().last().unwrap().base;
    for from in base.0..200 {
        let data = read(&*log, from, 1 << 20);
        assert!(matches!(data, LogData::Bytes(_)) && !data.is_empty(), "from {from}: {data:?}");
    }
    assert!(read(&*log, 200, 1 << 20).is_empty());
}

#[test]
fn a_later_read_sees_what_has_become_of_the_log() {
    let disk = SeededDisk::new(1);
    let log = log_on(&disk);
    disk.fail(DiskFault::Cold, Path::new(FOLDER));
    let LogData::Later(later) = read(&*log, 0, 100) else { panic!("it did not wait") };
    log.trim(Offset(100)).unwrap();
    assert!((later.read)().is_err());
    let LogData::Later(later) = read(&*log, 100, 100) else { panic!("it did not wait") };
    drop(log);
    assert!((later.read)().is_err(), "the store is gone, too");
}

#[test]
fn a_reader_of_one_batch_at_a_time_searches_the_index_once() {
    let disk = SeededDisk::new(1);
    let log = log_on(&disk);
    let (first, second) = (log.spans()[3].base.0, log.spans()[4].base.0);
    assert!(second - first > 2);
    let whole = |from: i64| bytes_of(read(&*log, from, 1));
    // The next reader comes between the reads of this one.
    let expected: Vec<_> = (first..second).map(|from| (whole(from), whole(second - 1)).0).collect();
    let index = Path::new(FOLDER).join("c-0").join(file(Offset(first), INDEX));
    disk.fail(DiskFault::Read, &index);
    for (from, expected) in (first + 1..second).zip(&expected[1..]) {
        assert_eq!(&whole(from), expected, "from {from}");
    }
}

#[test]
fn readers_that_go_on_see_what_has_become_of_the_log() {
    let disk = SeededDisk::new(1);
    let log = log_on(&disk);
    let read_all = |end: i64| (0..end).map(|from| bytes_of(read(&*log, from, 1))).collect::<Vec<_>>();
    let before = read_all(200);
    log.truncate(Offset(77)).unwrap();
    for base in 77..200 {
        log.append(&[plain_batch(base, 1, NOW + 1, 10)]).unwrap();
    }
    let after = read_all(200);
    assert_eq!(after[..77], before[..77]);
    for (base, bytes) in (77..200).zip(&after[77..]) {
        assert_eq!(BatchHeader::parse(bytes).unwrap().base_offset, Offset(base));
        assert!(bytes.len() < 1000);
    }
}
