//! The clients of a measurement. Each speaks to any server by the same bytes, and reports what it saw as figures.

pub mod commits;
pub mod compaction;
pub mod connect;
pub mod fetch;
pub mod group;
pub mod guarded;
pub mod latency;
pub mod memory;
pub mod produce;
pub mod registry;
pub mod start;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::wire;

/// A client gives up when a server is silent for so long.
pub const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the partitions of a new topic may be without leaders.
const LEADERS_WITHIN: Duration = Duration::from_secs(300);

/// A request may not make more than 10,000 metadata records.
const PARTITIONS_OF_REQUEST_MAX: i32 = 5_000;

/// The kinds of resources in IncrementalAlterConfigs.
pub const OF_TOPIC: i8 = 2;
pub const OF_BROKER: i8 = 4;
pub const OF_GROUP: i8 = 32;

/// What one repetition has shown, by name; the name holds the unit.
pub type Figures = Vec<(&'static str, f64)>;

/// Connects like a Kafka client, without delaying small writes.
pub fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    Ok(stream)
}

/// Creates a topic and waits until the broker leads all its partitions: the metadata promises that a little earlier.
pub fn create_topic(address: &str, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(LEADERS_WITHIN))?;
    let mut created = partitions.min(PARTITIONS_OF_REQUEST_MAX);
    let code = wire::topic_error(&wire::ask(&mut stream, &wire::create_topic(topic, created))?)?;
    ensure!(code == 0, "the topic {topic} was not created: error {code}");
    while created < partitions {
        created = partitions.min(created + PARTITIONS_OF_REQUEST_MAX);
        let code = wire::topic_error(&wire::ask(&mut stream, &wire::create_partitions(topic, created))?)?;
        ensure!(code == 0, "the topic {topic} did not grow: error {code}");
    }
    wait_for_leaders(&mut stream, topic, partitions)
}

/// Waits until the broker leads all partitions of a topic.
pub fn wait_for_leaders(stream: &mut TcpStream, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let begun = Instant::now();
    let wanted = usize::try_from(partitions)?;
    while wire::led_partitions(&wire::ask(stream, &wire::list_offsets(topic, partitions))?)? < wanted {
        ensure!(begun.elapsed() < LEADERS_WITHIN, "the partitions of {topic} got no leaders");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// IncrementalAlterConfigs version 0, of one key.
pub fn set(address: &str, kind: i8, resource: &str, key: &str, value: &str) -> anyhow::Result<()> {
    let asked = wire::request(44, 0, |body| {
        body.i32(1).i8(kind).text(resource).i32(1).text(key).i8(0).text(value).i8(0);
    });
    let answer = wire::ask(&mut connect(address)?, &asked)?;
    let mut answer = wire::Reader(&answer);
    answer.take(8)?;
    let code = answer.i16()?;
    ensure!(code == 0, "{key} was not set: error {code}");
    Ok(())
}

/// Deletes a topic.
pub fn delete_topic(address: &str, topic: &str) -> anyhow::Result<()> {
    let mut stream = connect(address)?;
    let code = wire::topic_error(&wire::ask(&mut stream, &wire::delete_topic(topic))?)?;
    ensure!(code == 0, "the topic {topic} was not deleted: error {code}");
    Ok(())
}

/// The value below which this share of the samples lies. Sorts them.
pub fn quantile(samples: &mut [u32], share: f64) -> f64 {
    samples.sort_unstable();
    let place = (samples.len().saturating_sub(1) as f64 * share).round() as usize;
    samples.get(place).copied().map_or(0.0, f64::from)
}

/// Whole microseconds, as a sample.
pub fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}
