"""Workers of Connect and the broker are killed without warning while records flow from a file into a topic, from there
with a mirror into another one, and on into files.

Two groups of two workers each run such a flow: one at least once all the way, one exactly once all the way. Each round
feeds both files, kills a worker of each group or the broker or all of these in the middle, and waits until lines of the
round have arrived; so each round is a kill in each of the four modes of delivery. In the end nothing may be lost, and what
is exactly once must be what was fed, in order.
"""

import os
import random
import signal
import subprocess
import time

import report
from connect_worker import WORK, Worker, ours
from report import BOOTSTRAP, eventually, equal

# A round takes several seconds, most of which workers and groups take to notice.
ROUNDS = max(1, int(os.environ.get("ROUNDS", "20")) // 4)
SEED = int(os.environ.get("SEED", "1")) or 1
LINES = 500
WORKERS = 2
# How long lines may take that were fed before a kill.
PATIENCE = 120
DICE = random.Random(SEED)
KILLS = {"broker": 0, "least": 0, "once": 0}
# Sessions end soon, so that the work of the dead goes on soon.
TIMES = {
    "session_timeout_ms": "2000", "heartbeat_interval_ms": "500", "scheduled_rebalance_max_delay_ms": "500",
    "consumer_session_timeout_ms": "2000", "consumer_heartbeat_interval_ms": "500",
}


class Flow:
    """A file, a topic, its mirror, and where the lines of that end up."""

    def __init__(self, name, delivery, **settings):
        self.name, self.topic, self.mirrored, self.fed = name, f"kc-{name}", f"{name}.kc-{name}", 0
        self.source, self.sink = (os.path.join(WORK, f"{name}.{end}") for end in ["in", "out"])
        open(self.source, "w").close()
        if delivery == "exactly-once":
            os.makedirs(self.sink)
        topics = {f"{kind}_storage_topic": f"kc-{name}-{kind}" for kind in ["config", "offset", "status"]}
        self.workers = [
            Worker(f"kc-{name}-{number}", BOOTSTRAP, ours, **{"group_id": f"kc-{name}", **TIMES, **topics, **settings})
            for number in range(WORKERS)
        ]
        source = {"connector.class": "FileStreamSource", "file": self.source, "topic": self.topic, "batch.size": "50"}
        mirror = {
            "connector.class": "MirrorSource", "topics": self.topic, "refresh.topics.interval.seconds": "1",
            "source.cluster.alias": name, "source.cluster.bootstrap.servers": BOOTSTRAP,
            "target.cluster.alias": f"{name}-target", "target.cluster.bootstrap.servers": BOOTSTRAP,
            "replication.factor": "1", "offset-syncs.topic.replication.factor": "1",
            "source.consumer.isolation.level": "read_committed",
            "exactly.once.support": "required" if delivery == "exactly-once" else "requested",
        }
        sink = {
            "connector.class": "FileStreamSink", "file": self.sink, "topics": self.mirrored, "delivery": delivery,
            "consumer.override.isolation.level": "read_committed",
        }
        for connector, config in [("source", source), ("mirror", mirror), ("sink", sink)]:
            put = lambda: self.workers[0].ask("PUT", f"/connectors/{connector}/config", config)[0] in (200, 201)
            eventually(f"{name}: {connector} is created", 60, put)

    def feed(self):
        with open(self.source, "a") as lines:
            lines.writelines(f"{number}\n" for number in range(self.fed, self.fed + LINES))
        self.fed += LINES

    def written(self, topic):
        """The lines of a topic that readers of what is committed see."""
        read = [os.environ["BINARY"], "consume", topic, "--from", "beginning", "--exit", "--read-committed", "-b", BOOTSTRAP]
        return subprocess.run(read, capture_output=True, text=True, timeout=120).stdout.split()

    def arrived(self):
        """The lines that the sink has written; those of a folder in the order of their offsets."""
        if not os.path.isdir(self.sink):
            return open(self.sink).read().split("\n")[:-1] if os.path.exists(self.sink) else []
        chunks = [name for name in os.listdir(self.sink) if name.endswith(".txt")]
        chunks.sort(key=lambda name: int(name.removesuffix(".txt").rsplit("+", 1)[1].split("-")[0]))
        return [line for name in chunks for line in open(os.path.join(self.sink, name)).read().split("\n")[:-1]]

    def follows(self):
        """Whether the newest line has arrived."""
        return str(self.fed - 1) in set(self.arrived()[-20 * LINES:])

    def ends(self):
        """What has come to lie where."""
        topics = [("the topic", self.topic), ("the mirror", self.mirrored)]
        return [*((what, self.written(topic)) for what, topic in topics), ("the sink", self.arrived())]

    def expected(self):
        return [str(number) for number in range(self.fed)]


FLOWS = []


def begin():
    FLOWS.append(Flow("least", "at-least-once"))
    FLOWS.append(Flow("once", "exactly-once", exactly_once_source_support="enabled"))
    for flow in FLOWS:
        flow.feed()
    for flow in FLOWS:
        eventually(f"lines of {flow.name} arrive", PATIENCE, flow.follows)


def one_round():
    for flow in FLOWS:
        flow.feed()
    time.sleep(DICE.random() * 1.5)
    what = DICE.choice(["broker", "workers", "workers", "all"])
    dead = [DICE.choice(flow.workers) for flow in FLOWS] if what != "broker" else []
    for flow, one in zip(FLOWS, dead):
        one.end(signal.SIGKILL)
        KILLS[flow.name] += 1
    if what != "workers":
        report.server("kill")
        KILLS["broker"] += 1
        time.sleep(DICE.random() * 0.5)
        report.server("start")
    for flow in FLOWS:
        flow.feed()
    for one in dead:
        one.start()
    for flow in FLOWS:
        eventually(f"lines of {flow.name} arrive", PATIENCE, flow.follows)


def nothing_is_lost_at_least_once():
    flow = FLOWS[0]
    for what, lines in flow.ends():
        equal(f"lines that {what} lacks", set(), set(flow.expected()) - set(lines))
        equal(f"lines of {what} that nobody fed", set(), set(lines) - set(flow.expected()))
        print(f"{what}: {len(lines) - flow.fed} of {flow.fed} lines once more")


def exactly_once_is_what_was_fed():
    flow = FLOWS[1]
    for what, lines in flow.ends():
        first = next((place for place, pair in enumerate(zip(flow.expected(), lines)) if pair[0] != pair[1]), None)
        assert lines == flow.expected(), f"{what}: {len(lines)} lines of {flow.fed}, first wrong at {first}"
    print(f"{flow.fed} lines, each once; killed: {KILLS}")


rounds = [(f"kill {number + 1} of {ROUNDS}, seed {SEED}", one_round) for number in range(ROUNDS)]
ends = [(check.__name__.replace("_", " "), check) for check in [nothing_is_lost_at_least_once, exactly_once_is_what_was_fed]]
for name, attempted in [("two flows begin", begin), *rounds, *ends]:
    if not report.attempt(name, attempted):
        break
report.done()
