//! One producer at a fixed rate and consumers at the end of the log.
//!
//! The loop is open: a message is sent when it is due, whatever became of those before it, and its latency counts from
//! then. So a server that stalls cannot slow down the clock it is measured by. The producer's own lateness is printed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{Figures, connect, microseconds, quantile};
use crate::bench::machine::Usage;
use crate::bench::wire;

/// What the producer does; the consumers take what comes.
#[derive(Clone, Copy, Debug)]
pub struct Latency {
    /// Messages a second; each is a batch.
    pub rate: u32,
    pub record_bytes: usize,
    pub batch_records: u32,
    /// Each gets every message.
    pub consumers: u32,
    pub seconds: u32,
}

impl Latency {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        format!(
            "open loop, {} messages/s of {} records of {} bytes, produced one a request and fetched by {} consumers at the \
             end of the log, 1 partition, acks 1, flush none, 1 replica, no compression, no TLS; {} s",
            self.rate, self.batch_records, self.record_bytes, self.consumers, self.seconds
        )
    }
}

/// A tenth of the messages warms up and is not counted.
const WARM_UP: u32 = 10;
/// How long both sides have to get ready.
const LEAD_TIME: Duration = Duration::from_millis(200);
/// The most bytes of one fetch.
const FETCH_BYTES_MAX: i32 = 1 << 20;

/// How messages look, and where each has its number.
#[derive(Clone, Copy)]
struct Shape {
    batch_bytes: usize,
    batch_records: i64,
    number_at: usize,
}

/// When which message is due.
#[derive(Clone, Copy)]
struct Schedule {
    begin: Instant,
    rate: u32,
    messages: u32,
}

impl Schedule {
    fn due(&self, message: u32) -> Instant {
        self.begin + Duration::from_secs_f64(f64::from(message) / f64::from(self.rate))
    }

    fn counts(&self, message: u32) -> bool {
        message >= self.messages / WARM_UP
    }
}

/// Sends and receives all messages of one repetition, on a topic that is empty.
pub fn run(load: &Latency, address: &str, server: u32, topic: &str) -> anyhow::Result<Figures> {
    let messages = load.rate * load.seconds;
    let batch = wire::batch(usize::try_from(load.batch_records)?, load.record_bytes, 7);
    let producer = connect(address)?;
    let answers = producer.try_clone()?;
    let consumers: Vec<TcpStream> =
        (0..load.consumers).map(|_| connect(address)).collect::<anyhow::Result<_>>()?;
    let usage = Usage::begin(server)?;
    let schedule = Schedule { begin: Instant::now() + LEAD_TIME, rate: load.rate, messages };
    let shape = Shape {
        batch_bytes: batch.len(),
        batch_records: i64::from(load.batch_records),
        number_at: number_at(batch.len(), load.record_bytes),
    };
    let (mut received, mut acknowledged, mut late) = std::thread::scope(|threads| {
        let receiving: Vec<_> = consumers
            .into_iter()
            .map(|consumer| threads.spawn(move || receive(consumer, topic, shape, schedule)))
            .collect();
        let acknowledged = threads.spawn(|| acknowledge(answers, topic, schedule));
        let late = send(producer, topic, (batch, shape.number_at), schedule)?;
        let joined = |_| anyhow::anyhow!("a thread of the load generator panicked");
        let mut received = Vec::new();
        for consumer in receiving {
            received.append(&mut consumer.join().map_err(joined)??);
        }
        anyhow::Ok((received, acknowledged.join().map_err(joined)??, late))
    })?;
    let used = usage.end()?;
    let count = f64::from(messages);
    let delivered = count * shape.batch_bytes as f64 * f64::from(load.consumers) / 1e9;
    Ok(vec![
        ("e2e p50 µs", quantile(&mut received, 0.5)),
        ("e2e p99 µs", quantile(&mut received, 0.99)),
        ("e2e p99.9 µs", quantile(&mut received, 0.999)),
        ("e2e max µs", quantile(&mut received, 1.0)),
        ("ack p50 µs", quantile(&mut acknowledged, 0.5)),
        ("ack p99 µs", quantile(&mut acknowledged, 0.99)),
        ("sender late p50 µs", quantile(&mut late, 0.5)),
        ("sender late p99 µs", quantile(&mut late, 0.99)),
        ("server µs/message", used.server / count * 1e6),
        ("server CPU-s/GB", used.server / delivered),
        ("client µs/message", used.client / count * 1e6),
        ("others cores", used.others),
    ])
}

/// Sends every message when it is due; returns how late each was.
fn send(
    mut stream: TcpStream,
    topic: &str,
    (mut batch, number_at): (Vec<u8>, usize),
    schedule: Schedule,
) -> anyhow::Result<Vec<u32>> {
    // The kernel may otherwise sleep 50 µs longer than asked.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut late = Vec::new();
    for message in 0..schedule.messages {
        let due = schedule.due(message);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if schedule.counts(message) {
            late.push(microseconds(due.elapsed()));
        }
        batch[number_at..number_at + 4].copy_from_slice(&message.to_be_bytes());
        wire::seal(&mut batch);
        stream.write_all(&wire::produce(topic, 0, &batch))?;
    }
    Ok(late)
}

/// Where the message's number lies in its batch: at the start of the last value, which the empty headers follow.
fn number_at(batch_bytes: usize, record_bytes: usize) -> usize {
    batch_bytes - 1 - record_bytes
}

fn acknowledge(mut stream: TcpStream, topic: &str, schedule: Schedule) -> anyhow::Result<Vec<u32>> {
    let mut answer = vec![0; wire::produced_bytes(topic)];
    let mut latencies = Vec::new();
    for message in 0..schedule.messages {
        stream.read_exact(&mut answer)?;
        wire::check_produced(&answer)?;
        if schedule.counts(message) {
            latencies.push(microseconds(schedule.due(message).elapsed()));
        }
    }
    Ok(latencies)
}

fn receive(mut stream: TcpStream, topic: &str, shape: Shape, schedule: Schedule) -> anyhow::Result<Vec<u32>> {
    let mut request = wire::fetch(topic, 0, FETCH_BYTES_MAX);
    let offset_at = wire::fetch_offset_at(topic);
    let mut head = vec![0; wire::fetched_head_bytes(topic)];
    let mut records = vec![0; usize::try_from(FETCH_BYTES_MAX)?];
    let mut latencies = Vec::new();
    let mut next = 0_u32;
    while next < schedule.messages {
        let offset = i64::from(next) * shape.batch_records;
        request[offset_at..offset_at + 8].copy_from_slice(&offset.to_be_bytes());
        stream.write_all(&request)?;
        stream.read_exact(&mut head)?;
        let bytes = wire::fetched_records(&head)?;
        let records = records.get_mut(..bytes).context("more was fetched than was asked for")?;
        stream.read_exact(records)?;
        let now = Instant::now();
        for batch in records.chunks_exact(shape.batch_bytes) {
            let number = batch.get(shape.number_at..shape.number_at + 4).context("a batch is short")?;
            let message = u32::from_be_bytes(number.try_into()?);
            ensure!(message == next, "message {message} came in the place of {next}");
            if schedule.counts(message) {
                latencies.push(microseconds(now.saturating_duration_since(schedule.due(message))));
            }
            next += 1;
        }
    }
    Ok(latencies)
}
