//! The suites: one row each.

use std::time::Duration;

use super::eos::Workers;
use super::{BUDGETS, Options};
use crate::ci::Share;

/// What a suite is written in, and so how it is prepared and started.
pub enum Program {
    /// A script of `xtask/conformance/sh`.
    Shell(&'static str),
    /// A script of `xtask/conformance/python` that needs the standard library alone.
    Python(&'static str),
    /// A script of `xtask/conformance/python` that needs the packages of `requirements.txt`.
    PythonWithPackages(&'static str),
    /// A script that needs the packages of `objects.txt`, servers that stand for clouds, and a binary built with `--features cloud,parquet`.
    PythonWithStores(&'static str),
    /// A class of `xtask/conformance/java`, on the class path of Kafka's tools.
    Java(&'static str),
    /// A command of the Go module `xtask/conformance/go`.
    Go(&'static str),
    /// A script of the npm package `xtask/conformance/node`.
    Node(&'static str),
    /// The exactly-once workload with one client's workers.
    ExactlyOnce(Workers),
    /// The comparison of message classes, which needs no server.
    Messages,
    /// The comparison with Avro's own library, which needs none either.
    Avro,
    /// The comparison with Kafka Connect's own classes, which needs none either.
    Connect,
}

/// One program with checks, and what it needs.
pub struct Suite {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// The program.
    pub program: Program,
    /// What its time in a whole run is taken from.
    pub share: Share,
    /// Whether it restarts or kills the server under test.
    pub controls_server: bool,
    /// Whether an Apache Kafka runs first, whose folder the server under test takes over.
    pub begins_with_kafka: bool,
    /// Whether it compares with an Apache Kafka, which is started beside the server under test.
    pub needs_oracle: bool,
    /// Whether it starts workers of Connect, Kafka's and ours.
    pub starts_connect: bool,
    /// Whether it starts nodes of its own, with other settings.
    pub starts_nodes: bool,
    /// Whether one of its checks runs for as long as `--seconds` says.
    pub takes_budget: bool,
    /// The longest that one check may take.
    pub check_limit: Duration,
}

/// How long a suite may take.
#[derive(Clone, Copy)]
pub struct Limits {
    /// One check.
    pub check: Duration,
    /// The whole program.
    pub program: Duration,
}

/// The longest that a whole suite may take, budgets of the command line aside.
const PROGRAM_LIMIT: Duration = Duration::from_secs(600);
/// How much longer for each round beyond the usual number, in seconds.
const ROUND_SECONDS: u64 = 5;

impl Suite {
    /// Whether it is run against a server.
    pub fn needs_server(&self) -> bool {
        !matches!(self.program, Program::Messages | Program::Avro | Program::Connect)
    }

    /// Whether its binary is one with optional features.
    pub fn needs_features(&self) -> bool {
        matches!(self.program, Program::PythonWithStores(_))
    }

    /// Whether it starts processes of its own from the binary under test.
    pub fn needs_binary(&self) -> bool {
        self.starts_connect || self.starts_nodes || self.needs_features()
    }

    /// The limits under the budgets of the command line.
    pub fn limits(&self, options: &Options) -> Limits {
        let budget = Duration::from_secs(if self.takes_budget { options.seconds } else { 0 });
        let rounds = Duration::from_secs(options.rounds.saturating_sub(BUDGETS.1) * ROUND_SECONDS);
        Limits { check: self.check_limit + budget, program: PROGRAM_LIMIT + budget + rounds }
    }
}

const fn suite(name: &'static str, about: &'static str, program: Program, check_seconds: u64) -> Suite {
    let check_limit = Duration::from_secs(check_seconds);
    Suite {
        name,
        about,
        program,
        share: Share::Clients,
        controls_server: false,
        begins_with_kafka: false,
        needs_oracle: false,
        starts_connect: false,
        starts_nodes: false,
        takes_budget: false,
        check_limit,
    }
}

/// All suites, in the order in which they run.
pub const SUITES: &[Suite] = &[
    Suite {
        controls_server: true,
        ..suite(
            "kcat",
            "kcat: metadata, codecs, keys, headers, offsets by time, groups",
            Program::Shell("kcat.sh"),
            60,
        )
    },
    suite(
        "confluent",
        "confluent-kafka (Python on librdkafka): producer, consumer, admin client, groups",
        Program::PythonWithPackages("confluent.py"),
        90,
    ),
    suite(
        "python",
        "kafka-python: producer, consumer, admin client, groups",
        Program::PythonWithPackages("kafka_python.py"),
        90,
    ),
    Suite {
        needs_oracle: true,
        ..suite(
            "corpus",
            "requests of every API and version, compared with Kafka's answers",
            Program::Python("corpus.py"),
            60,
        )
    },
    suite("tools", "Kafka's command line tools, all in one JVM", Program::Java("Tools"), 120),
    suite("java", "the Java client: producer, consumer, admin client, groups", Program::Java("Clients"), 120),
    suite(
        "compaction",
        "compacted topics: the Java client from the start, kafka-dump-log on their files",
        Program::Java("Compaction"),
        200,
    ),
    suite(
        "transactions",
        "the Java client's transactions in both versions: fencing, timeouts, offsets, administrators",
        Program::Java("Transactions"),
        120,
    ),
    Suite {
        controls_server: true,
        begins_with_kafka: true,
        ..suite(
            "adoption",
            "the folder of an Apache Kafka, taken over with records, groups, transactions and settings",
            Program::Java("Adoption"),
            60,
        )
    },
    suite("franz", "franz-go: producer, consumer, admin client, groups", Program::Go("franz"), 90),
    suite(
        "groups",
        "the Java client with the consumer protocol: assignors, regexes, static members, and the way there and back",
        Program::Java("Groups"),
        120,
    ),
    suite(
        "sarama",
        "Sarama (Go): producer, consumer, admin client, groups, old versions",
        Program::Go("sarama"),
        90,
    ),
    suite(
        "kafkajs",
        "kafkajs (Node): producer, consumer, admin client, groups",
        Program::Node("kafkajs.js"),
        90,
    ),
    Suite {
        share: Share::Registry,
        controls_server: true,
        starts_nodes: true,
        ..suite(
            "registry-python",
            "confluent-kafka's schema registry client and serializers (Python)",
            Program::PythonWithPackages("registry.py"),
            60,
        )
    },
    Suite {
        share: Share::Registry,
        ..suite(
            "registry-node",
            "the schema registry client and serializers of npm (Node)",
            Program::Node("registry.js"),
            60,
        )
    },
    Suite {
        share: Share::Registry,
        ..suite(
            "registry-go",
            "franz-go's schema registry client and serializer (Go)",
            Program::Go("registry"),
            60,
        )
    },
    Suite {
        share: Share::Registry,
        ..suite(
            "registry-confluent-go",
            "confluent-kafka-go's schema registry client, serializers and rules",
            Program::Go("confluent"),
            60,
        )
    },
    Suite {
        share: Share::Connect,
        needs_oracle: true,
        starts_connect: true,
        ..suite(
            "connect-rest",
            "a worker of Kafka Connect and ours: the same calls, the same answers; topics handed over; kills",
            Program::Python("connect_rest.py"),
            150,
        )
    },
    Suite {
        share: Share::Connect,
        starts_connect: true,
        ..suite(
            "connect-go",
            "CloudHut's client of the REST API (Go): every call, against ours or Kafka's worker",
            Program::Go("connect"),
            60,
        )
    },
    Suite {
        share: Share::Connect,
        starts_connect: true,
        ..suite(
            "connect-distributed",
            "workers of one group, ours and Kafka Connect's: shares, requests passed on, kills, a thousand tasks moved",
            Program::Python("connect_distributed.py"),
            300,
        )
    },
    Suite {
        share: Share::Connect,
        controls_server: true,
        starts_connect: true,
        ..suite(
            "kill-connect",
            "workers and the broker killed while files flow through topics into files, at least and exactly once",
            Program::Python("kill_connect.py"),
            300,
        )
    },
    Suite {
        share: Share::Connect,
        starts_connect: true,
        ..suite(
            "connect-secure",
            "workers and mirrors at an Apache Kafka that encrypts, and asks for passwords and certificates",
            Program::Python("connect_secure.py"),
            200,
        )
    },
    Suite {
        share: Share::Connect,
        needs_oracle: true,
        starts_connect: true,
        ..suite(
            "mirror",
            "mirrors to and from an Apache Kafka: records, groups, circles, kills, handed over; MirrorMaker's classes read them",
            Program::Python("mirror.py"),
            120,
        )
    },
    Suite {
        share: Share::Connect,
        ..suite(
            "objects",
            "connectors of object stores on moto's S3, fake-gcs-server and Azurite: kills, failing stores, refusals, https",
            Program::PythonWithStores("objects.py"),
            200,
        )
    },
    Suite {
        share: Share::Connect,
        ..suite(
            "connect-full",
            "full disks under sinks of files and objects, and under the broker: told, survived, nothing lost, torn or twice",
            Program::PythonWithStores("connect_full.py"),
            90,
        )
    },
    Suite {
        controls_server: true,
        ..suite(
            "job",
            "events through every codec and a group, a kill and a restart",
            Program::Java("Job"),
            120,
        )
    },
    Suite {
        controls_server: true,
        ..suite(
            "kill",
            "the broker killed under load, round after round",
            Program::PythonWithPackages("kill.py"),
            120,
        )
    },
    Suite {
        share: Share::Groups,
        controls_server: true,
        ..suite(
            "kill-groups",
            "the broker killed in the middle of rebalances, commits and transactions, round after round",
            Program::Python("kill_groups.py"),
            60,
        )
    },
    Suite {
        controls_server: true,
        takes_budget: true,
        ..suite(
            "hostile",
            "mutated, half and slow frames, false claims, idle connections",
            Program::Python("hostile.py"),
            90,
        )
    },
    Suite {
        share: Share::Groups,
        controls_server: true,
        ..suite(
            "eos-java",
            "exactly once by the Java client, everything killed at random behind a bad network",
            Program::ExactlyOnce(Workers::Java),
            0,
        )
    },
    Suite {
        share: Share::Groups,
        controls_server: true,
        ..suite(
            "eos-librdkafka",
            "the same with workers on librdkafka",
            Program::ExactlyOnce(Workers::Librdkafka),
            0,
        )
    },
    Suite {
        share: Share::Groups,
        ..suite(
            "streams",
            "Kafka Streams: a word count, its reset, a windowed join",
            Program::Java("Streams"),
            120,
        )
    },
    Suite {
        share: Share::Groups,
        controls_server: true,
        ..suite(
            "streams-eos",
            "Kafka Streams with exactly_once_v2, killed over and over",
            Program::Java("StreamsExactlyOnce"),
            400,
        )
    },
    suite(
        "messages",
        "Kafka's own message classes: every message and record in every version, both ways",
        Program::Messages,
        0,
    ),
    Suite {
        share: Share::Registry,
        ..suite(
            "avro-compatibility",
            "Avro's own library: compatibility, canonical texts and data of schemas",
            Program::Avro,
            0,
        )
    },
    suite(
        "connect",
        "Kafka Connect's own converters, transforms and predicates, with random records",
        Program::Connect,
        0,
    ),
];
