//! The hash of the topics that a group subscribes to: what tells that one of them has changed.
//!
//! It is Kafka's, so that a group that moves between brokers does not rebalance for nothing: XXH3 over the hashes of the
//! existing topics, ordered by name; each of them XXH3 over a version byte, identity, name, and for each partition its
//! number and the sorted racks of its replicas. Numbers are little-endian; a text is its UTF-16 units and then their
//! count.

use std::collections::BTreeSet;
use std::sync::Arc;

use twox_hash::XxHash3_64;
use vltava_core::image::{Image, Partition, Topic};

/// The version of the hash.
const VERSION: u8 = 0;

/// The hash of these topics; 0 when none of them exists.
pub(super) fn of_topics(names: &BTreeSet<Arc<str>>, image: &Image) -> i64 {
    let mut hash = Hash::default();
    let mut any = false;
    // Java orders names by UTF-16 units, which for names of topics is the order of bytes.
    for topic in names.iter().filter_map(|name| image.topics.by_name(name)) {
        any = true;
        hash.long(of_topic(topic, image));
    }
    if any { hash.finish() } else { 0 }
}

fn of_topic(topic: &Topic, image: &Image) -> i64 {
    let (high, low) = topic.id.0.as_u64_pair();
    let mut hash = Hash::default();
    hash.0.push(VERSION);
    hash.long(high.cast_signed());
    hash.long(low.cast_signed());
    hash.text(&topic.name);
    hash.count(topic.partitions.len());
    for (index, partition) in topic.partitions.iter().enumerate() {
        hash.count(index);
        for rack in racks(partition, image) {
            hash.count(rack.encode_utf16().count());
            hash.text(rack);
        }
    }
    hash.finish()
}

/// The racks of the replicas, sorted, each as often as it has one.
fn racks<'a>(partition: &Partition, image: &'a Image) -> Vec<&'a str> {
    let rack = |broker| image.brokers.get(broker)?.rack.as_deref();
    let mut racks: Vec<&str> = partition.replicas.iter().filter_map(rack).collect();
    racks.sort_unstable();
    racks
}

/// What is hashed.
#[derive(Default)]
struct Hash(Vec<u8>);

impl Hash {
    fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn count(&mut self, value: usize) {
        self.0.extend_from_slice(&i32::try_from(value).unwrap_or(i32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        for unit in text.encode_utf16() {
            self.0.extend_from_slice(&unit.to_le_bytes());
        }
        self.count(text.encode_utf16().count());
    }

    fn finish(self) -> i64 {
        XxHash3_64::oneshot(&self.0).cast_signed()
    }
}
