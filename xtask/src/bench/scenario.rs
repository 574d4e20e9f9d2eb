//! What is measured: a table of scenarios. The conditions printed above every figure are made from what is carried out.

use super::floor::Floor;
use super::load::commits;
use super::load::compaction::Compaction;
use super::load::connect::Connect;
use super::load::fetch::Fetch;
use super::load::group::{Group, Protocol};
use super::load::guarded::{Guarantee, Guarded};
use super::load::latency::Latency;
use super::load::produce::Produce;
use super::load::registry::{Registry, What};

/// One line of the table.
pub struct Scenario {
    pub name: &'static str,
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
    Compaction(Compaction),
    /// The start of a process whose folder holds a topic of so many empty partitions, or nothing.
    Start(i32),
    /// A process without work.
    Process,
    /// So many idle connections.
    Connections(u64),
    /// So many empty partitions.
    Partitions(i32),
    /// A guarantee beside its absence.
    BesidePlain(Guarded),
    /// Transactions one after the other.
    Transactions(Guarded),
    /// So many commits of an offset a second.
    Commits(u32),
    /// The start of a process with the offsets of so many groups.
    LoadOffsets(usize),
    /// The changes of a big group.
    Group(Group),
    /// A schema registry that is full.
    Registry(Registry),
    /// Connectors of files.
    Connect(Connect),
}

impl Work {
    /// Everything that a figure depends on.
    pub fn conditions(&self) -> String {
        match self {
            Work::Produce(load) => load.conditions(),
            Work::Fetch(load) => load.conditions(),
            Work::Latency(load) => load.conditions(),
            Work::Compaction(load) => load.conditions(),
            Work::Start(0) => {
                "from starting the process, with an empty data folder (Kafka: formatted), to its first \
                               answer to ApiVersions"
                    .to_owned()
            }
            Work::Start(partitions) => format!(
                "from starting the process, after a clean stop with a topic of {partitions} empty partitions (Kafka: 1,000), \
                 to its first answer to ApiVersions; and until it leads them all"
            ),
            Work::Process => {
                "a process that was just started and has nothing to do: 2 s to settle, 5 s of watching"
                    .to_owned()
            }
            Work::Connections(count) => format!(
                "{count} connections (fewer where the limit of open files is lower), each idle after one ApiVersions; \
                 memory of the process, without the kernel's"
            ),
            Work::BesidePlain(load) | Work::Transactions(load) => load.conditions(),
            Work::Group(load) => load.conditions(),
            Work::Registry(load) => load.conditions(),
            Work::Connect(load) => load.conditions(),
            Work::Commits(rate) => format!(
                "open loop, {rate} OffsetCommit v6/s of one offset without metadata, 10 connections and groups, 1 replica; \
                 {COMMITS_SECONDS} s"
            ),
            Work::LoadOffsets(groups) => format!(
                "from starting the process, after a clean stop with the offsets of {groups} groups for {} partitions each, \
                 until each group's offsets can be fetched",
                commits::PARTITIONS
            ),
            Work::Partitions(count) => format!(
                "a topic of {count} empty partitions (Kafka: 1,000), 1 replica; memory of the process"
            ),
        }
    }

    /// Whether it is a load on one topic of a server that others use before and after.
    pub fn partitions(&self) -> Option<i32> {
        match self {
            Work::Produce(load) => Some(load.partitions),
            Work::Fetch(_)
            | Work::Latency(_)
            | Work::BesidePlain(_)
            | Work::Transactions(_)
            | Work::Commits(_) => Some(1),
            _ => None,
        }
    }

    /// The same with a tenth of the connections and partitions.
    pub fn quick(self) -> Work {
        match self {
            Work::Start(partitions) => Work::Start(partitions / 10),
            Work::Connections(count) => Work::Connections(count / 10),
            Work::Partitions(count) => Work::Partitions(count / 10),
            Work::LoadOffsets(groups) => Work::LoadOffsets(groups / 10),
            Work::Registry(load) => Work::Registry(Registry { subjects: load.subjects / 10, ..load }),
            Work::Connect(Connect::Idle(count)) => Work::Connect(Connect::Idle(count / 10)),
            Work::Group(Group { protocol, members, partitions }) => {
                Work::Group(Group { protocol, members: members / 10, partitions: partitions / 10 })
            }
            load => load,
        }
    }
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

/// One message a request, one consumer.
const LATENCY: Latency =
    Latency { rate: 1_000, record_bytes: 1024, batch_records: 1, consumers: 1, seconds: 4 };

/// How long offsets are committed.
pub const COMMITS_SECONDS: u32 = 4;

const GUARDED: Guarded = Guarded {
    guarantee: Guarantee::Idempotent,
    record_bytes: 1024,
    batch_records: 64,
    in_flight: 5,
    bytes_max: 512 << 20,
    seconds_max: 2.0,
};

/// 43 of 100 records stay, scattered over the batches.
const COMPACTION: Compaction = Compaction {
    record_bytes: 1024,
    batch_records: 16,
    records: 512 << 10,
    keys: 256 << 10,
    segment_bytes: 64 << 20,
};

const GROUP: Group = Group { protocol: Protocol::Consumer, members: 1_000, partitions: 10_000 };

const REGISTRY: Registry = Registry { subjects: 10_000, versions: 10, what: What::Load };

const CPU_PER_GIGABYTE: &str = "server CPU-s/GB";
const CPU_PER_REQUEST: &str = "server µs/request";

const fn produce(name: &'static str, load: Produce, key: &'static str) -> Scenario {
    Scenario { name, work: Work::Produce(load), floors: &[Floor::Each], key, ratio_max: None }
}

const fn fetch(name: &'static str, bytes_max: i32, key: &'static str) -> Scenario {
    let load = Fetch { bytes_max, ..FETCH };
    Scenario { name, work: Work::Fetch(load), floors: &[Floor::Each], key, ratio_max: None }
}

const fn latency(name: &'static str, load: Latency, key: &'static str) -> Scenario {
    Scenario { name, work: Work::Latency(load), floors: &[Floor::Relay], key, ratio_max: None }
}

/// Something that no floor does.
const fn alone(name: &'static str, work: Work, key: &'static str) -> Scenario {
    Scenario { name, work, floors: &[], key, ratio_max: None }
}

/// Every scenario, in the order in which all are run.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        floors: &[Floor::Each, Floor::Grouped],
        ratio_max: Some(6.0),
        ..produce("produce-one", PRODUCE, CPU_PER_REQUEST)
    },
    produce("produce-16k", Produce { batch_records: &[16], ..PRODUCE }, CPU_PER_GIGABYTE),
    Scenario {
        ratio_max: Some(2.6),
        ..produce("produce-64k", Produce { batch_records: &[64], ..PRODUCE }, CPU_PER_GIGABYTE)
    },
    // As near to 1 MiB as the default of `message.max.bytes` allows.
    produce("produce-1m", Produce { batch_records: &[1_000], ..PRODUCE }, CPU_PER_GIGABYTE),
    produce(
        "produce-many",
        Produce {
            batch_records: &[1, 2, 4],
            partitions: 288,
            connections: 200,
            rate: Some(20_000),
            bytes_max: u64::MAX,
            seconds_max: 3.0,
            ..PRODUCE
        },
        CPU_PER_REQUEST,
    ),
    fetch("fetch-1m", 1 << 20, CPU_PER_GIGABYTE),
    fetch("fetch-10m", 10 << 20, CPU_PER_GIGABYTE),
    // One batch.
    fetch("fetch-64k", 66_200, CPU_PER_REQUEST),
    latency("latency-1k", LATENCY, "e2e p50 µs"),
    latency("latency-10k", Latency { rate: 10_000, ..LATENCY }, "e2e p50 µs"),
    latency("tail-16", Latency { rate: 200, batch_records: 64, consumers: 16, ..LATENCY }, CPU_PER_GIGABYTE),
    alone("compaction", Work::Compaction(COMPACTION), CPU_PER_GIGABYTE),
    alone("start", Work::Start(0), "ready ms"),
    alone("start-partitions", Work::Start(10_000), "ready ms"),
    alone("idle", Work::Process, "RSS MiB"),
    alone("idle-connections", Work::Connections(10_000), "RSS KiB/connection"),
    alone("idle-partitions", Work::Partitions(10_000), "RSS KiB/partition"),
    alone("produce-idempotent", Work::BesidePlain(GUARDED), "x plain"),
    alone(
        "produce-transactional",
        Work::BesidePlain(Guarded { guarantee: Guarantee::Transactional(100), ..GUARDED }),
        "x plain",
    ),
    alone(
        "transactions",
        Work::Transactions(Guarded { guarantee: Guarantee::Transactional(1), batch_records: 100, ..GUARDED }),
        "server µs/transaction",
    ),
    alone("group", Work::Group(Group { protocol: Protocol::Classic, ..GROUP }), "server CPU s"),
    alone("group-consumer", Work::Group(GROUP), "server CPU s"),
    Scenario {
        floors: &[Floor::Each],
        ..alone("offset-commits", Work::Commits(5_000), "server % of a core")
    },
    alone("registry-load", Work::Registry(REGISTRY), "loaded ms"),
    alone(
        "registry-lookup",
        Work::Registry(Registry { subjects: 1_000, what: What::Lookup, ..REGISTRY }),
        CPU_PER_REQUEST,
    ),
    alone(
        "registry-register",
        Work::Registry(Registry { subjects: 1_000, what: What::Register, ..REGISTRY }),
        "p99 µs",
    ),
    alone("load-offsets", Work::LoadOffsets(1_000), "loaded ms"),
    alone("connect-file", Work::Connect(Connect::Files), "records/CPU-s"),
    alone("connect-idle", Work::Connect(Connect::Idle(200)), "% of a core more"),
    alone("connect-stalled", Work::Connect(Connect::Stalled(20)), "RSS MiB more"),
];
