//! What is measured: a table of scenarios with everything that a figure depends on.

use super::floor::Floor;
use super::load::fetch::Fetch;
use super::load::latency::Latency;
use super::load::produce::Produce;

/// One line of the table.
pub struct Scenario {
    pub name: &'static str,
    /// The conditions, printed above every figure.
    pub conditions: &'static str,
    pub work: Work,
    /// The first one is what ratios refer to.
    pub floors: &'static [Floor],
    /// The figure that ratios are made of.
    pub key: &'static str,
    /// `--gate` fails when the ratio to the floor is above this: twice the goal.
    pub ratio_max: Option<f64>,
}

/// What a repetition does.
#[derive(Clone, Copy)]
pub enum Work {
    Produce(Produce),
    Fetch(Fetch),
    Latency(Latency),
    /// The start of a process with an empty folder.
    Start,
    /// A process without work.
    Process,
    /// So many idle connections.
    Connections(u64),
    /// So many empty partitions.
    Partitions(i32),
}

/// One partition, one connection, five requests in flight.
const PRODUCE: Produce = Produce {
    record_bytes: 1024,
    batch_records: &[1],
    partitions: 1,
    connections: 1,
    in_flight: 5,
    rate: None,
    bytes_max: 512 << 20,
    seconds_max: 2.0,
};

const FETCH: Fetch =
    Fetch { bytes_max: 1 << 20, topic_bytes: 256 << 20, read_bytes_max: 2 << 30, seconds_max: 2.0 };

/// Every scenario, in the order in which all are run.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "produce-one",
        conditions: "Produce v7, one record of 1 KiB a request, 1 partition, 1 connection, 5 in flight, acks 1, flush none, \
                     1 replica, no compression, no TLS; at most 512 MiB or 2 s",
        work: Work::Produce(PRODUCE),
        floors: &[Floor::Each, Floor::Grouped],
        key: "server µs/request",
        ratio_max: Some(6.0),
    },
    Scenario {
        name: "produce-16k",
        conditions: "Produce v7, batches of 16 records of 1 KiB, 1 partition, 1 connection, 5 in flight, acks 1, flush none, \
                     1 replica, no compression, no TLS; at most 512 MiB or 2 s",
        work: Work::Produce(Produce { batch_records: &[16], ..PRODUCE }),
        floors: &[Floor::Each],
        key: "server CPU-s/GB",
        ratio_max: None,
    },
    Scenario {
        name: "produce-64k",
        conditions: "Produce v7, batches of 64 records of 1 KiB, 1 partition, 1 connection, 5 in flight, acks 1, flush none, \
                     1 replica, no compression, no TLS; at most 512 MiB or 2 s",
        work: Work::Produce(Produce { batch_records: &[64], ..PRODUCE }),
        floors: &[Floor::Each],
        key: "server CPU-s/GB",
        ratio_max: Some(2.6),
    },
    Scenario {
        name: "produce-many",
        conditions: "Produce v7, batches of 1, 2 and 4 records of 1 KiB, 288 partitions, 200 connections, open loop at \
                     20,000 requests/s, acks 1, flush none, 1 replica, no compression, no TLS; 3 s",
        work: Work::Produce(Produce {
            batch_records: &[1, 2, 4],
            partitions: 288,
            connections: 200,
            rate: Some(20_000),
            bytes_max: u64::MAX,
            seconds_max: 3.0,
            ..PRODUCE
        }),
        floors: &[Floor::Each],
        key: "server µs/request",
        ratio_max: None,
    },
    Scenario {
        name: "fetch-1m",
        conditions: "Fetch v11 of 1 MiB from the page cache, batches of 64 KiB, 1 partition, 1 connection, 1 in flight, no TLS; \
                     at most 2 GiB or 2 s",
        work: Work::Fetch(FETCH),
        floors: &[Floor::Each],
        key: "server CPU-s/GB",
        ratio_max: None,
    },
    Scenario {
        name: "fetch-64k",
        conditions: "Fetch v11 of 66,200 bytes (one batch of 64 KiB) from the page cache, 1 partition, 1 connection, \
                     1 in flight, no TLS; at most 2 GiB or 2 s",
        work: Work::Fetch(Fetch { bytes_max: 66_200, ..FETCH }),
        floors: &[Floor::Each],
        key: "server µs/request",
        ratio_max: None,
    },
    Scenario {
        name: "latency-1k",
        conditions: "open loop, 1,000 messages/s of 1 KiB, produced one a request and fetched at the end of the log, \
                     1 partition, acks 1, flush none, 1 replica, no compression, no TLS; 4 s",
        work: Work::Latency(Latency { rate: 1_000, record_bytes: 1024, seconds: 4 }),
        floors: &[Floor::Relay],
        key: "e2e p50 µs",
        ratio_max: None,
    },
    Scenario {
        name: "latency-10k",
        conditions: "open loop, 10,000 messages/s of 1 KiB, produced one a request and fetched at the end of the log, \
                     1 partition, acks 1, flush none, 1 replica, no compression, no TLS; 4 s",
        work: Work::Latency(Latency { rate: 10_000, record_bytes: 1024, seconds: 4 }),
        floors: &[Floor::Relay],
        key: "e2e p50 µs",
        ratio_max: None,
    },
    Scenario {
        name: "start",
        conditions: "from starting the process, with an empty data folder (Kafka: formatted), to its first answer to \
                     ApiVersions",
        work: Work::Start,
        floors: &[],
        key: "ready ms",
        ratio_max: None,
    },
    Scenario {
        name: "idle",
        conditions: "a process that was just started and has nothing to do: 2 s to settle, 5 s of watching",
        work: Work::Process,
        floors: &[],
        key: "RSS MiB",
        ratio_max: None,
    },
    Scenario {
        name: "idle-connections",
        conditions: "10,000 connections (fewer where the limit of open files is lower), each idle after one ApiVersions; \
                     memory of the process, without the kernel's",
        work: Work::Connections(10_000),
        floors: &[],
        key: "RSS KiB/connection",
        ratio_max: None,
    },
    Scenario {
        name: "idle-partitions",
        conditions: "a topic of 10,000 empty partitions (Kafka: 1,000), 1 replica; memory of the process",
        work: Work::Partitions(10_000),
        floors: &[],
        key: "RSS KiB/partition",
        ratio_max: None,
    },
];
