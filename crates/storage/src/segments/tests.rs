use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use vltava_core::clock::{BoxFuture, Clock, Moment};
use vltava_core::id::*;
use vltava_core::log::*;
use vltava_core::record::{Attributes, Batch, BatchHeader};

use super::*;
use crate::files::{Files, SystemFiles};

/// A clock that stands where it is put.
#[derive(Debug)]
struct StandingClock(std::sync::atomic::AtomicI64);

impl StandingClock {
    fn new() -> Arc<StandingClock> {
        Arc::new(StandingClock(1_700_000_000_000.into()))
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Moment {
        Moment(std::time::Duration::from_millis(self.wall().0.cast_unsigned()))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }

    fn sleep_until(&self, _moment: Moment) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

fn batch(base: i64, count: i32, timestamp: i64, bytes: usize) -> Batch {
    let body = Bytes::from(vec![u8::try_from(base % 251).unwrap(); bytes]);
    let header = BatchHeader {
        base_offset: Offset(base),
        batch_length: i32::try_from(BatchHeader::SIZE - BatchHeader::LENGTH_OVERHEAD + bytes).unwrap(),
        partition_leader_epoch: LeaderEpoch(0),
        magic: BatchHeader::MAGIC,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: count - 1,
        base_timestamp: Timestamp(timestamp),
        max_timestamp: Timestamp(timestamp),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: Sequence::NONE,
        records_count: count,
    };
    let mut batch = Batch { header, body };
    batch.seal();
    batch
}

fn log_id(name: &str) -> LogId {
    LogId {
        topic: TopicId(Uuid::from_u128(42)),
        partition: TopicPartition { topic: TopicName::new(name).unwrap(), partition: PartitionIndex(0) },
    }
}

fn store_on(files: Arc<dyn Files>, folder: &Path) -> SegmentStore {
    let options = SegmentStoreOptions::new(vec![folder.to_path_buf()], BrokerId(1), 7);
    SegmentStore::open(options, files, StandingClock::new()).unwrap()
}

fn bytes_of(data: LogData) -> Vec<u8> {
    match data {
        LogData::Bytes(slices) => slices.concat(),
        LogData::File(range) => {
            let mut bytes = vec![0; range.length];
            std::os::unix::fs::FileExt::read_exact_at(&*range.file, &mut bytes, range.position).unwrap();
            bytes
        }
        LogData::Later(read) => read().unwrap().to_vec(),
    }
}

fn all(log: &dyn Log) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut from = log.bounds().start;
    while from < log.bounds().end {
        let limit = ReadLimit { below: log.bounds().end, bytes: 1 << 20, whole_first_batch: true };
        let read = bytes_of(log.read(from, limit).unwrap());
        let mut walk = vltava_core::record::HeaderWalk::new(&read);
        for header in walk.by_ref() {
            let Ok((_, header)) = header else { break };
            from = header.next_offset();
        }
        let whole = walk.position();
        assert!(whole > 0, "nothing whole at {from}");
        bytes.extend_from_slice(&read[..whole]);
    }
    bytes
}

#[test]
fn a_log_reopens_with_what_it_held_after_a_clean_stop_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings { span_bytes_max: 20_000, ..LogSettings::default() };
    let mut expected = Vec::new();
    let mut end = 0;
    for round in 0..6 {
        let store = store_on(Arc::new(SystemFiles), folder.path());
        let log = store.open(&log_id("t"), settings, None).unwrap();
        assert_eq!(log.bounds().end, Offset(end), "round {round}");
        assert_eq!(all(&*log), expected, "round {round}");
        for number in 0..40 {
            let batch = batch(end, 3, 1_700_000_000_000 + end, 100 + number * 37);
            expected.extend_from_slice(&batch.to_bytes());
            end += 3;
            assert_eq!(log.append(std::slice::from_ref(&batch)).unwrap().end, Offset(end));
        }
        assert_eq!(all(&*log), expected, "round {round}");
        if round % 2 == 0 {
            store.close().unwrap();
        }
    }
    let names: Vec<PathBuf> =
        std::fs::read_dir(folder.path().join("t-0")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(names.len() > 9, "{names:?}");
}
