"""Mirrors between the server under test and a real Kafka, in both directions; Kafka's own classes read what they write."""

import json
import os
import signal
import subprocess
import time

from connect_worker import WORK, Worker, java, ours
from report import BOOTSTRAP, check, equal, eventually, run, started

ORACLE = os.environ["ORACLE"]
LIBRARIES = os.environ["CONNECT_LIBRARIES"] + "/*"
PROGRAMS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(PROGRAMS, "../../crates/connect/src/connectors/mirror/tests/kafka.tsv")
KAFKA = "org.apache.kafka.connect.mirror."


class Oracle:
    """Kafka's own clients and MirrorMaker's classes, in one process."""

    def __init__(self):
        folder = os.path.join(WORK, "classes")
        source = os.path.join(PROGRAMS, "java/mirror/Mirror.java")
        subprocess.run(["javac", "-nowarn", "-encoding", "UTF-8", "-cp", LIBRARIES, "-d", folder, source], check=True)
        self.command = ["java", "-Xmx256M", "-Dstdout.encoding=UTF-8", "-cp", f"{folder}:{LIBRARIES}", f"{KAFKA}Mirror"]
        log = open(os.path.join(WORK, "oracle.log"), "w")
        self.process = started(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8")

    def ask(self, *words):
        """The lines of an answer."""
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line == ".":
                return lines
            assert not line.startswith("! "), f"{words}: {line}"
            lines.append(line)
        raise AssertionError(f"{words}: no answer")


oracle = Oracle()


def worker(name, bootstrap, launch=ours, **settings):
    topics = {f"{kind}_storage_topic": f"connect-{name}-{kind}" for kind in ["config", "offset", "status"]}
    quick = {"scheduled_rebalance_max_delay_ms": "1000"}
    return Worker(name, bootstrap, launch, **{"group_id": name, **topics, **quick, **settings})


def flow(source, target, **settings):
    """The settings of a mirror: `kafka` is the real one, `ours` the server under test."""
    servers = {"kafka": ORACLE, "ours": BOOTSTRAP}
    return {
        "source.cluster.alias": source, "source.cluster.bootstrap.servers": servers[source],
        "target.cluster.alias": target, "target.cluster.bootstrap.servers": servers[target],
        "tasks.max": "3", "replication.factor": "1", "offset-syncs.topic.replication.factor": "1",
        "checkpoints.topic.replication.factor": "1", "heartbeats.topic.replication.factor": "1",
        "refresh.topics.interval.seconds": "1", "sync.topic.configs.interval.seconds": "1",
        "refresh.groups.interval.seconds": "1", "emit.checkpoints.interval.seconds": "1",
        "sync.group.offsets.interval.seconds": "1", "offset.lag.max": "5",
        "topics.exclude": "mm2.*\\.internal,.*\\.replica,__.*,connect-.*",
        **{name.replace("_", "."): value for name, value in settings.items()},
    }


def put(one, name, connector, config):
    status, body = one.ask("PUT", f"/connectors/{name}/config", {"connector.class": f"{KAFKA}{connector}Connector", **config})
    assert status in (200, 201), (status, body)


def states(one, name):
    status, body = one.ask("GET", f"/connectors/{name}/status")
    return [part["state"] for part in [body["connector"], *body["tasks"]]] if status == 200 else []


def running(one, name, tasks):
    eventually(f"{name} runs", 60, lambda: states(one, name) == ["RUNNING"] * (tasks + 1))


def topics(bootstrap):
    return {name: int(count) for name, count in (line.rsplit(" ", 1) for line in oracle.ask("topics", bootstrap))}


def records(bootstrap, topic):
    """The records of each partition, in order, without their offsets."""
    found = {}
    for line in oracle.ask("dump", bootstrap, topic):
        partition, offset, rest = line.split("\t", 2)
        found.setdefault(partition, []).append((int(offset), rest))
    return {partition: [rest for _, rest in sorted(rows)] for partition, rows in found.items()}


def same(topic, copy, source=ORACLE, target=BOOTSTRAP, seconds=30):
    expected = records(source, topic)
    eventually(f"{copy} has as many records", seconds, lambda: copy in topics(target) and sum(
        map(len, records(target, copy).values())) >= sum(map(len, expected.values())))
    equal(copy, expected, records(target, copy))


def parsed(lines):
    """What a formatter of MirrorMaker prints: `Name{field=value, …}`."""
    return [dict(part.split("=", 1) for part in line[line.index("{") + 1:-1].split(", ")) for line in lines]


@check
def bytes_names_and_translations_are_those_of_mirrormaker():
    table = subprocess.run([*oracle.command, "table"], capture_output=True, check=True).stdout
    equal("the table that unit tests read", open(TABLE, "rb").read(), table)


@check
def records_are_copied_with_all_that_they_have():
    oracle.ask("create", ORACLE, "orders", 3, "retention.ms=86400000", "segment.bytes=2097152", "min.insync.replicas=1")
    oracle.ask("produce", ORACLE, "orders", 0, 300)
    put(here, "source", "MirrorSource", flow("kafka", "ours"))
    running(here, "source", 3)
    same("orders", "kafka.orders")
    equal("settings", ["retention.ms=86400000", "segment.bytes=2097152"], oracle.ask("settings", BOOTSTRAP, "kafka.orders"))
    eventually("all are counted", 30, lambda: counted(here, "mirrorsourceconnector_record_count", 'topic="kafka.orders"') == 300)


def counted(one, figure, label):
    """The sum of a figure over the series that have a label."""
    lines = one.ask("GET", "/metrics")[1].splitlines()
    ours = [line for line in lines if line.startswith(f"kafka_connect_mirror_{figure}{{") and label in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in ours)


@check
def partitions_topics_and_settings_follow():
    oracle.ask("grow", ORACLE, "orders", 5)
    oracle.ask("set", ORACLE, "orders", "retention.ms", 3600000)
    oracle.ask("create", ORACLE, "later", 2)
    oracle.ask("produce", ORACLE, "orders", 300, 100)
    oracle.ask("produce", ORACLE, "later", 0, 50)
    eventually("partitions and topics are there", 30, lambda: {
        "kafka.orders": 5, "kafka.later": 2}.items() <= topics(BOOTSTRAP).items())
    same("orders", "kafka.orders")
    same("later", "kafka.later")
    eventually("settings follow", 30, lambda: "retention.ms=3600000" in oracle.ask("settings", BOOTSTRAP, "kafka.orders"))


@check
def mirrormaker_reads_offset_syncs_checkpoints_and_heartbeats():
    oracle.ask("commit", ORACLE, "readers", "orders", 0, 110, "note")
    oracle.ask("commit", ORACLE, "readers", "orders", 1, 120, "end")
    oracle.ask("commit", ORACLE, "console-consumer-1", "orders", 1, 120, "end")
    put(here, "checkpoint", "MirrorCheckpoint", flow("kafka", "ours", sync_group_offsets_enabled="true"))
    put(here, "heartbeat", "MirrorHeartbeat", flow("kafka", "ours"))
    running(here, "checkpoint", 1)
    running(here, "heartbeat", 1)
    syncs = parsed(oracle.ask("syncs", ORACLE, "mm2-offset-syncs.ours.internal"))
    assert {f"orders-{partition}" for partition in range(5)} <= {sync["topicPartition"] for sync in syncs}, syncs
    for sync in syncs:
        equal("a copy without gaps", sync["upstreamOffset"], sync["downstreamOffset"])
    checkpoints = lambda: {
        (one["consumerGroupId"], one["topicPartition"]): (int(one["upstreamOffset"]), int(one["downstreamOffset"]), one["metadata"])
        for one in parsed(oracle.ask("checkpoints", BOOTSTRAP, "kafka.checkpoints.internal"))}
    eventually("checkpoints", 30, lambda: len(checkpoints()) == 2)
    found = checkpoints()
    equal("groups", {"readers"}, {group for group, _ in found})
    upstream, downstream, metadata = found["readers", "kafka.orders-0"]
    assert (upstream, metadata) == (110, "note") and 90 < downstream <= 110, found
    upstream, downstream, metadata = found["readers", "kafka.orders-1"]
    equal("a group at the end", (120, 120, "end"), (upstream, downstream, metadata))
    translated = dict(line.split(" ") for line in oracle.ask("translate", BOOTSTRAP, "kafka", "readers"))
    equal("translated by MirrorMaker's client", {place: str(row[1]) for (_, place), row in found.items()}, translated)
    eventually("offsets are committed", 30, lambda: dict(
        line.split(" ") for line in oracle.ask("committed", BOOTSTRAP, "readers")) == translated)
    heartbeats = eventually("heartbeats", 30, lambda: parsed(oracle.ask("heartbeats", BOOTSTRAP, "heartbeats")))
    equal("aliases", {("kafka", "ours")}, {(one["sourceClusterAlias"], one["targetClusterAlias"]) for one in heartbeats})
    assert all(abs(time.time() * 1000 - int(one["timestamp"])) < 600_000 for one in heartbeats), heartbeats


@check
def two_mirrors_do_not_copy_in_circles():
    put(there, "source", "MirrorSource", flow("ours", "kafka"))
    put(there, "heartbeat", "MirrorHeartbeat", flow("ours", "kafka"))
    oracle.ask("create", BOOTSTRAP, "payments", 2)
    oracle.ask("produce", BOOTSTRAP, "payments", 0, 60)
    same("payments", "ours.payments", source=BOOTSTRAP, target=ORACLE)
    oracle.ask("produce", ORACLE, "later", 50, 20)
    same("later", "kafka.later")
    hops = lambda cluster, alias: oracle.ask("upstream", cluster, alias)
    eventually("flows are discovered", 30, lambda: hops(BOOTSTRAP, "kafka") == [
        "[kafka] 1 [kafka.checkpoints.internal] [heartbeats, kafka.heartbeats]"])
    eventually("and back", 30, lambda: hops(ORACLE, "ours") == ["[ours] 1 [] [heartbeats, ours.heartbeats]"])
    for cluster, own, other in [(BOOTSTRAP, "ours", "kafka"), (ORACLE, "kafka", "ours")]:
        circles = [name for name in topics(cluster) if name.startswith((f"{own}.", f"{other}.{own}.", f"{other}.{other}."))]
        equal("topics that came back", [], circles)


@check
def nothing_is_lost_or_doubled_when_a_worker_is_killed():
    oracle.ask("create", ORACLE, "events", 3)
    once = worker("once", BOOTSTRAP, exactly_once_source_support="enabled")
    config = flow("kafka", "ours", topics="events", source_consumer_isolation_level="read_committed",
                  exactly_once_support="required", replication_policy_separator="--")
    put(once, "source", "MirrorSource", config)
    for round in range(3):
        oracle.ask("produce", ORACLE, "events", round * 2000, 2000)
        oracle.ask("abort", ORACLE, "events")
        eventually("some is copied", 30, lambda: "kafka--events" in topics(BOOTSTRAP) and records(BOOTSTRAP, "kafka--events"))
        once.end(signal.SIGKILL)
        once.start()
    same("events", "kafka--events", seconds=60)
    # What was read twice would have come by now.
    oracle.ask("produce", ORACLE, "events", 6000, 3)
    same("events", "kafka--events")
    once.end()


@check
def a_worker_of_kafka_takes_over_and_hands_back():
    oracle.ask("create", ORACLE, "shared", 2)
    oracle.ask("produce", ORACLE, "shared", 0, 100)
    name = "takeover"
    one = worker(name, BOOTSTRAP)
    # A worker of Kafka takes its own converters where a mirror names none.
    bytes = {f"{part}_converter": "org.apache.kafka.connect.converters.ByteArrayConverter" for part in ["key", "value", "header"]}
    put(one, "source", "MirrorSource", flow("kafka", "ours", topics="shared", replication_policy_separator="-", **bytes))
    same("shared", "kafka-shared")
    stored = lambda one: sorted(json.dumps(row, sort_keys=True) for row in one.ask("GET", "/connectors/source/offsets")[1]["offsets"])
    rows = [{"offset": {"offset": end}, "partition": {"cluster": "kafka", "partition": at, "topic": "shared"}}
            for at, end in [(0, 49), (1, 49)]]
    eventually("positions are stored", 20, lambda: [row for row in stored(one) if "shared" in row] == sorted(
        json.dumps(row, sort_keys=True) for row in rows))
    for number, launch in [(1, java), (2, ours)]:
        one.end()
        one.launch = launch
        one.start()
        oracle.ask("produce", ORACLE, "shared", number * 100, 100)
        same("shared", "kafka-shared", seconds=60)
    one.end()


here, there = worker("here", BOOTSTRAP), worker("there", ORACLE)
run()
