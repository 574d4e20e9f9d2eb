//! What idempotence and transactions cost a producer's broker: the same batches without and with them, in turns.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, ensure};

use super::{Figures, connect, microseconds, quantile};
use crate::bench::machine::{Usage, Used};
use crate::bench::wire::{self, Identity};

/// What the broker promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    Plain,
    Idempotent,
    /// So many batches in a transaction.
    Transactional(u64),
}

/// What the producer does.
#[derive(Clone, Copy, Debug)]
pub struct Guarded {
    pub guarantee: Guarantee,
    pub record_bytes: usize,
    pub batch_records: usize,
    pub in_flight: usize,
    /// Ends after so much data or so much time.
    pub bytes_max: u64,
    pub seconds_max: f64,
}

impl Guarded {
    /// What its figures depend on.
    pub fn conditions(&self) -> String {
        let promise = match self.guarantee {
            Guarantee::Plain => "plain".to_owned(),
            Guarantee::Idempotent => "idempotent, in turns with the same without".to_owned(),
            Guarantee::Transactional(1) => "a transaction for each batch".to_owned(),
            Guarantee::Transactional(batches) => {
                format!("a transaction for each {batches} batches, in turns with the same without")
            }
        };
        format!(
            "Produce v7, {promise}; batches of {} records of {} bytes, 1 partition, 1 connection, {} in flight, acks all, \
             flush none, 1 replica, AddPartitionsToTxn v0, EndTxn v0; at most {} MiB or {} s",
            self.batch_records,
            self.record_bytes,
            self.in_flight,
            self.bytes_max >> 20,
            self.seconds_max
        )
    }
}

/// How often a load without a guarantee and one with it take turns: what disturbs one disturbs the other.
const TURNS: u32 = 4;
/// The transactional id of every measurement.
const NAME: &str = "bench";
/// An earlier transaction is still being completed.
const CONCURRENT_TRANSACTIONS: i16 = 51;

/// Runs the load without its guarantee and with it, in turns.
pub fn beside_plain(load: &Guarded, address: &str, server: u32, topic: &str) -> anyhow::Result<Figures> {
    let turn = Guarded {
        bytes_max: load.bytes_max / u64::from(TURNS),
        seconds_max: load.seconds_max / f64::from(TURNS),
        ..*load
    };
    let (mut plain, mut guarded) = (Sum::default(), Sum::default());
    for _ in 0..TURNS {
        let without = Guarded { guarantee: Guarantee::Plain, ..turn };
        plain.add(&measure(&without, address, server, topic)?);
        guarded.add(&measure(&turn, address, server, topic)?);
    }
    let (cost, plain_cost) = (guarded.cost(), plain.cost());
    Ok(vec![
        ("x plain", cost / plain_cost),
        ("server CPU-s/GB", cost),
        ("plain CPU-s/GB", plain_cost),
        ("MB/s", guarded.gigabytes * 1e3 / guarded.seconds),
        ("plain MB/s", plain.gigabytes * 1e3 / plain.seconds),
        ("others cores", guarded.others.max(plain.others)),
    ])
}

/// What several turns have shown together.
#[derive(Default)]
struct Sum {
    server: f64,
    gigabytes: f64,
    seconds: f64,
    /// The most that others took in one turn.
    others: f64,
}

impl Sum {
    fn add(&mut self, measured: &Measured) {
        self.server += measured.used.server;
        self.gigabytes += measured.bytes as f64 / 1e9;
        self.seconds += measured.used.seconds;
        self.others = self.others.max(measured.used.others);
    }

    fn cost(&self) -> f64 {
        self.server / self.gigabytes
    }
}

/// Runs transactions one after the other.
pub fn transactions(load: &Guarded, address: &str, server: u32, topic: &str) -> anyhow::Result<Figures> {
    let mut measured = measure(load, address, server, topic)?;
    let count = measured.commits.len().max(1) as f64;
    Ok(vec![
        ("server µs/transaction", measured.used.server / count * 1e6),
        ("commit p50 µs", quantile(&mut measured.commits, 0.5)),
        ("commit p99 µs", quantile(&mut measured.commits, 0.99)),
        ("transactions/s", count / measured.used.seconds),
        ("client µs/transaction", measured.used.client / count * 1e6),
        ("others cores", measured.used.others),
    ])
}

struct Measured {
    used: Used,
    bytes: u64,
    /// How long each commit took to be answered.
    commits: Vec<u32>,
}

fn measure(load: &Guarded, address: &str, server: u32, topic: &str) -> anyhow::Result<Measured> {
    let mut producer = Producer::new(load, connect(address)?, topic)?;
    let usage = Usage::begin(server)?;
    let begun = Instant::now();
    while producer.bytes < load.bytes_max && begun.elapsed().as_secs_f64() < load.seconds_max {
        match load.guarantee {
            Guarantee::Transactional(batches) => producer.transaction(batches)?,
            _ => producer.send(load.in_flight)?,
        }
    }
    producer.settle()?;
    Ok(Measured { used: usage.end()?, bytes: producer.bytes, commits: producer.commits })
}

struct Producer<'a> {
    stream: TcpStream,
    topic: &'a str,
    in_flight: usize,
    batch: Vec<u8>,
    batch_records: i32,
    identity: Option<Identity>,
    transactional: bool,
    sequence: i32,
    waiting: VecDeque<()>,
    answer: Vec<u8>,
    bytes: u64,
    commits: Vec<u32>,
}

impl<'a> Producer<'a> {
    fn new(load: &Guarded, mut stream: TcpStream, topic: &'a str) -> anyhow::Result<Producer<'a>> {
        let transactional = matches!(load.guarantee, Guarantee::Transactional(_));
        let identity = match load.guarantee {
            Guarantee::Plain => None,
            Guarantee::Idempotent => Some(wire::identity(&mut stream, None)?),
            Guarantee::Transactional(_) => Some(wire::identity(&mut stream, Some(NAME))?),
        };
        Ok(Producer {
            stream,
            topic,
            in_flight: load.in_flight,
            batch: wire::batch(load.batch_records, load.record_bytes, 3),
            batch_records: i32::try_from(load.batch_records)?,
            identity,
            transactional,
            sequence: 0,
            waiting: VecDeque::new(),
            answer: vec![0; wire::produced_bytes(topic)],
            bytes: 0,
            commits: Vec::new(),
        })
    }

    /// Sends one batch when fewer than so many wait for their answer.
    fn send(&mut self, in_flight: usize) -> anyhow::Result<()> {
        while self.waiting.len() >= in_flight {
            self.receive()?;
        }
        match self.identity {
            Some(identity) => {
                wire::identify(&mut self.batch, identity, self.sequence, self.transactional);
                // The sequence goes on from 0 behind the greatest number.
                self.sequence = self.sequence.wrapping_add(self.batch_records) & i32::MAX;
            }
            // As much work, so that the requests come at the same pace and the server is woken as often.
            None => wire::identify(&mut self.batch, Identity::NOBODY, -1, false),
        }
        let name = self.transactional.then_some(NAME);
        self.stream.write_all(&wire::produce_as(name, -1, self.topic, 0, &self.batch))?;
        self.waiting.push_back(());
        self.bytes += self.batch.len() as u64;
        Ok(())
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        self.stream.read_exact(&mut self.answer)?;
        wire::check_produced(&self.answer)?;
        self.waiting.pop_front().context("an answer without a request")
    }

    /// Waits for all answers.
    fn settle(&mut self) -> anyhow::Result<()> {
        while !self.waiting.is_empty() {
            self.receive()?;
        }
        Ok(())
    }

    fn transaction(&mut self, batches: u64) -> anyhow::Result<()> {
        let identity = self.identity.context("a transactional producer has an identity")?;
        loop {
            let request = wire::add_partition(NAME, identity, self.topic, 0);
            match wire::added_error(&wire::ask(&mut self.stream, &request)?)? {
                0 => break,
                CONCURRENT_TRANSACTIONS => {}
                code => anyhow::bail!("the partition was not added: error {code}"),
            }
        }
        for _ in 0..batches {
            self.send(self.in_flight)?;
        }
        self.settle()?;
        let asked = Instant::now();
        let code = wire::ended_error(&wire::ask(&mut self.stream, &wire::end_transaction(NAME, identity))?)?;
        ensure!(code == 0, "a transaction was not committed: error {code}");
        self.commits.push(microseconds(asked.elapsed()));
        Ok(())
    }
}
