//! Writes a log into segment files, for Kafka's own tools to read:
//!
//! ```text
//! cargo run -p vltava-storage --example write_segments -- /tmp/logs
//! kafka-dump-log --deep-iteration --print-data-log --files /tmp/logs/orders-0/00000000000000000000.log
//! kafka-dump-log --index-sanity-check --files /tmp/logs/orders-0/00000000000000000000.index
//! ```

use std::sync::Arc;

use vltava_core::id::{BrokerId, PartitionIndex, TopicId, TopicName, TopicPartition, Uuid};
use vltava_core::log::{LogId, LogSettings, LogStore};
use vltava_core::testing::{ManualClock, plain_batch};
use vltava_storage::files::SystemFiles;
use vltava_storage::segments::{SegmentStore, SegmentStoreOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("say which folder to write to")?;
    let options = SegmentStoreOptions::new(vec![folder.into()], BrokerId(1), 42);
    let store = SegmentStore::open(options, Arc::new(SystemFiles), Arc::new(ManualClock::default()))?;
    let topic = TopicName::new("orders")?;
    let id = LogId {
        topic: TopicId(Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef)),
        partition: TopicPartition { topic, partition: PartitionIndex(0) },
    };
    let settings = LogSettings { span_bytes_max: 1 << 20, ..LogSettings::default() };
    let log = store.open(&id, settings, None)?;
    for _ in 0..4000 {
        let end = log.bounds().end.0;
        log.append(&[plain_batch(end, 3, 1_700_000_000_000 + end, 200)])?;
    }
    store.close()?;
    for span in log.spans() {
        println!("{} to {}: {} bytes", span.base, span.end, span.bytes);
    }
    Ok(())
}
