//! Producers: each connection keeps so many requests in flight, as fast as the answers come or at a fixed rate.
//!
//! One thread drives all connections by `epoll`. Requests are encoded once; only the partition number changes. Answers of
//! one topic have one length, so they are counted, and their error codes looked at, without being taken apart.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::event::{Timespec, epoll};

use super::{Figures, SILENCE_MAX, connect, microseconds, quantile};
use crate::bench::machine::Usage;
use crate::bench::wire;

/// What producers do.
#[derive(Clone, Copy, Debug)]
pub struct Produce {
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// The sizes of batches in records; the connections take turns.
    pub batch_records: &'static [usize],
    pub partitions: i32,
    pub connections: usize,
    /// The most requests of one connection that wait for their answer.
    pub in_flight: usize,
    /// Requests a second of all connections together; none goes as fast as the answers come.
    pub rate: Option<u32>,
    /// A repetition ends after so much data or so much time.
    pub bytes_max: u64,
    pub seconds_max: f64,
}

impl Produce {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        let sizes: Vec<String> = self.batch_records.iter().map(usize::to_string).collect();
        let pace = match self.rate {
            Some(rate) => format!("open loop at {rate} requests/s; {} s", self.seconds_max),
            None => {
                let mebibytes = self.bytes_max >> 20;
                format!("{} in flight; at most {mebibytes} MiB or {} s", self.in_flight, self.seconds_max)
            }
        };
        format!(
            "Produce v7, batches of {} records of {} bytes, {} partitions, {} connections, acks 1, flush none, 1 replica, \
             no compression, no TLS, {pace}",
            sizes.join(", "),
            self.record_bytes,
            self.partitions,
            self.connections,
        )
    }
}

struct Producer {
    stream: TcpStream,
    /// One whole request.
    request: Vec<u8>,
    batch_bytes: u64,
    partition_at: usize,
    partition: i32,
    /// When each request that waits for its answer was sent or, at a fixed rate, due.
    waiting: VecDeque<Instant>,
    answers: Vec<u8>,
}

/// Runs producers against a topic that exists.
pub fn run(load: &Produce, address: &str, server: u32, topic: &str) -> anyhow::Result<Figures> {
    let mut producers = producers(load, address, topic)?;
    let poll = watch(&producers)?;
    let usage = Usage::begin(server)?;
    let mut run = Run::new(load, topic);
    while run.goes_on() {
        run.send(&mut producers)?;
        run.receive(&mut producers, &poll)?;
    }
    let used = usage.end()?;
    let (requests, gigabytes) = (run.answered as f64, run.answered_bytes as f64 / 1e9);
    Ok(vec![
        ("server CPU-s/GB", used.server / gigabytes),
        ("server µs/request", used.server / requests * 1e6),
        ("client µs/request", used.client / requests * 1e6),
        ("MB/s", gigabytes * 1e3 / used.seconds),
        ("requests/s", requests / used.seconds),
        ("ack p50 µs", quantile(&mut run.latencies, 0.5)),
        ("ack p99 µs", quantile(&mut run.latencies, 0.99)),
        ("others cores", used.others),
    ])
}

fn producers(load: &Produce, address: &str, topic: &str) -> anyhow::Result<Vec<Producer>> {
    (0..load.connections)
        .map(|number| {
            let records =
                load.batch_records.get(number % load.batch_records.len()).context("no batch size")?;
            let batch = wire::batch(*records, load.record_bytes, number as u64 + 1);
            Ok(Producer {
                stream: connect(address)?,
                request: wire::produce(topic, 0, &batch),
                batch_bytes: batch.len() as u64,
                partition_at: wire::produce_partition_at(topic),
                // Neighbours start apart, so that the connections spread over all partitions.
                partition: i32::try_from(number * 7)? % load.partitions,
                waiting: VecDeque::with_capacity(load.in_flight),
                answers: Vec::new(),
            })
        })
        .collect()
}

fn watch(producers: &[Producer]) -> anyhow::Result<OwnedFd> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, producer) in producers.iter().enumerate() {
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, &producer.stream, data, epoll::EventFlags::IN)?;
    }
    Ok(poll)
}

struct Run<'a> {
    load: &'a Produce,
    answer_bytes: usize,
    begun: Instant,
    sent: u64,
    sent_bytes: u64,
    answered: u64,
    answered_bytes: u64,
    latencies: Vec<u32>,
    buffer: Vec<u8>,
    /// Whose turn it is at a fixed rate.
    next: usize,
}

impl<'a> Run<'a> {
    fn new(load: &'a Produce, topic: &str) -> Run<'a> {
        Run {
            load,
            answer_bytes: wire::produced_bytes(topic),
            begun: Instant::now(),
            sent: 0,
            sent_bytes: 0,
            answered: 0,
            answered_bytes: 0,
            latencies: Vec::new(),
            buffer: vec![0; 64 << 10],
            next: 0,
        }
    }

    fn ended(&self) -> bool {
        self.sent_bytes >= self.load.bytes_max || self.begun.elapsed().as_secs_f64() > self.load.seconds_max
    }

    fn goes_on(&self) -> bool {
        !self.ended() || self.answered < self.sent
    }

    fn send(&mut self, producers: &mut [Producer]) -> anyhow::Result<()> {
        if self.ended() {
            return Ok(());
        }
        match self.load.rate {
            None => {
                let now = Instant::now();
                for producer in producers {
                    while producer.waiting.len() < self.load.in_flight {
                        self.send_one(producer, now)?;
                    }
                }
            }
            Some(rate) => {
                while self.due(rate) <= Instant::now() {
                    // One that has too many in flight still gets its turn: the delay is the server's.
                    let due = self.due(rate);
                    let Some(producer) = producers.get_mut(self.next) else { bail!("nobody to send") };
                    self.send_one(producer, due)?;
                    self.next = (self.next + 1) % self.load.connections;
                }
            }
        }
        Ok(())
    }

    fn due(&self, rate: u32) -> Instant {
        self.begun + Duration::from_secs_f64(self.sent as f64 / f64::from(rate))
    }

    fn send_one(&mut self, producer: &mut Producer, since: Instant) -> anyhow::Result<()> {
        let place = producer.partition_at;
        producer.request[place..place + 4].copy_from_slice(&producer.partition.to_be_bytes());
        producer.partition = (producer.partition + 1) % self.load.partitions;
        producer.stream.write_all(&producer.request)?;
        producer.waiting.push_back(since);
        self.sent += 1;
        self.sent_bytes += producer.batch_bytes;
        Ok(())
    }

    fn receive(&mut self, producers: &mut [Producer], poll: &OwnedFd) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(64);
        let patience = match self.load.rate {
            Some(rate) if !self.ended() => self.due(rate).saturating_duration_since(Instant::now()),
            _ => SILENCE_MAX,
        };
        let patience = Timespec::try_from(patience)?;
        match epoll::wait(poll, rustix::buffer::spare_capacity(&mut events), Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events {
            let number = usize::try_from(event.data.u64())?;
            let producer = producers.get_mut(number).context("an event of nobody")?;
            self.take_answers(producer)?;
        }
        Ok(())
    }

    fn take_answers(&mut self, producer: &mut Producer) -> anyhow::Result<()> {
        let read = match producer.stream.read(&mut self.buffer) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        producer.answers.extend_from_slice(&self.buffer[..read]);
        let now = Instant::now();
        let mut whole = producer.answers.chunks_exact(self.answer_bytes);
        for answer in &mut whole {
            wire::check_produced(answer)?;
            let since = producer.waiting.pop_front().context("an answer without a request")?;
            self.latencies.push(microseconds(now.saturating_duration_since(since)));
            self.answered += 1;
            self.answered_bytes += producer.batch_bytes;
        }
        let rest = whole.remainder().len();
        producer.answers.drain(..producer.answers.len() - rest);
        Ok(())
    }
}
