"""Full disks under sinks and under the broker: what is told, what goes on, and that nothing is lost, torn or there twice.

Each disk is a small file system. It is mounted where nobody but this program and its children sees it, and is gone with the
last of these, however they end.
"""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import report
from connect_worker import WORK, Worker, free_port, ours
from report import BOOTSTRAP, check, equal, eventually

BINARY = os.environ["BINARY"]
ALONE = "MOUNTS_ARE_PRIVATE"


def alone():
    """Begins again where mounts are private, as root or as who is root there alone."""
    refused = []
    for unshare in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        tried = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", WORK], capture_output=True, text=True)
        if tried.returncode == 0:
            os.execvpe(unshare[0], [*unshare, sys.executable, "-u", *sys.argv], {**os.environ, ALONE: "yes"})
        refused.append(f"{' '.join(unshare)}: {tried.stderr.strip()}")
    report.say(f"@fail this machine lets nobody mount a small file system: {'; '.join(refused)}")
    report.done()


if ALONE not in os.environ:
    alone()

MIB = 1024 * 1024
# What is left of a disk that is filled, less than what is fed next.
ROOM = 64 * 1024
# How many lines are fed at once, and how many complete an object, which divides the former.
LINES, OBJECT = 4000, 250
# Sessions end soon, so that the work of the dead goes on soon.
TIMES = {
    "session_timeout_ms": "2000", "heartbeat_interval_ms": "500", "scheduled_rebalance_max_delay_ms": "500",
    "consumer_session_timeout_ms": "2000", "consumer_heartbeat_interval_ms": "500",
}
# Those who give up do so within seconds.
QUICK = {"request_timeout_ms": "3000", "offset_flush_timeout_ms": "1000"}
ONCE = {"exactly_once_source_support": "enabled", "consumer_isolation_level": "read_committed"}


class Disk:
    """A file system, much of which a ballast may take."""

    def __init__(self, name, size):
        self.folder = os.path.join(WORK, name)
        self.ballast = self.path("ballast")
        os.makedirs(self.folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.folder], check=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def fill(self):
        now = os.statvfs(self.folder)
        with open(self.ballast, "wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, now.f_bavail * now.f_frsize - ROOM)

    def clear(self):
        os.remove(self.ballast)


class Feed:
    """A file that lines are added to, whose lengths differ so that few end where a page does."""

    def __init__(self, name):
        self.file, self.lines = os.path.join(WORK, name), []
        open(self.file, "w").close()

    def more(self):
        begun = len(self.lines)
        self.lines += [f"{number} {'.' * (number % 97)}" for number in range(begun, begun + LINES)]
        with open(self.file, "a") as file:
            file.writelines(f"{line}\n" for line in self.lines[begun:])

    def source(self, topic, **more):
        own = {"connector.class": "FileStreamSource", "file": self.file, "topic": topic, "batch.size": "200"}
        return {**own, **{name.replace("_", "."): value for name, value in more.items()}}

    def check_least(self, what, lines):
        equal(f"lines that {what} lacks", [], sorted(set(self.lines) - set(lines))[:3])
        equal(f"lines of {what} that nobody fed", [], sorted(set(lines) - set(self.lines))[:3])

    def check_once(self, what, lines):
        first = next((at for at, pair in enumerate(zip(self.lines, lines)) if pair[0] != pair[1]), None)
        assert lines == self.lines, f"{what}: {len(lines)} lines of {len(self.lines)}, first wrong at {first}"


def worker(name, bootstrap, **settings):
    topics = {f"{kind}_storage_topic": f"{name}-{kind}" for kind in ["config", "offset", "status"]}
    return Worker(name, bootstrap, ours, **{"group_id": name, **TIMES, **topics, **settings})


def put(at, name, config):
    status, body = at.ask("PUT", f"/connectors/{name}/config", config)
    assert status in (200, 201), (status, body)


def task(at, name):
    """The state of the only task, and its trace."""
    status, body = at.ask("GET", f"/connectors/{name}/status")
    tasks = body["tasks"] if status == 200 else []
    return (tasks[0]["state"], tasks[0].get("trace", "")) if len(tasks) == 1 else ("", "")


def goes_on(at, name, last, lines):
    """Waits until the last line is among others. Whoever has failed needs a restart for that, and gets it."""

    def there():
        if task(at, name)[0] == "FAILED":
            print(f"{name} is restarted: {at.ask('POST', f'/connectors/{name}/restart?includeTasks=true&onlyFailed=true')}")
        return last in lines()

    eventually(f"the last line comes through {name}", 30, there)
    eventually(f"{name} runs", 10, lambda: task(at, name)[0] == "RUNNING")


def whole(file):
    """The lines of a file that have an end."""
    if not os.path.exists(file):
        return []
    with open(file) as lines:
        return lines.read().split("\n")[:-1]


def folder(path, ending=".txt"):
    """The lines of files that are named by offsets, in their order."""
    names = sorted(name for name in os.listdir(path) if name.endswith(ending)) if os.path.isdir(path) else []
    return [line for name in names for line in whole(os.path.join(path, name))]


# Full disks under sinks.


class Sink:
    """A sink with a disk of its own, how what it has written is read, and what it is to name when it cannot write."""

    def __init__(self, name, read, named, **config):
        self.name, self.disk, self.named = name, Disk(name, 2 * MIB), named
        self.lines = lambda: read(self.disk.folder)
        own = {name.replace("_", "."): value.format(self.disk.folder) for name, value in config.items()}
        self.config = {"topics": "lines", **own}

    def fill(self):
        self.since = os.path.getsize(MAIN.path("log"))
        self.disk.fill()

    def told(self):
        """What is said of it since its disk was filled: in the status of its task, or in the log."""
        with open(MAIN.path("log")) as log:
            log.seek(self.since)
            logged = [line for line in log if f'connector="{self.name}"' in line and ("WARN" in line or "ERROR" in line)]
        return task(MAIN, self.name)[1] or "".join(logged)

    def check_told(self):
        told = self.told()
        assert "No space left" in told, f"it is not said that no space is left: {told[:300]}"
        assert self.named in told, f"{self.named} is not named: {told[:300]}"

    def goes_on(self):
        goes_on(MAIN, self.name, FED.lines[-1], self.lines)


OBJECTS = "topics/lines/partition=0"
FED, BESIDE = Feed("fed"), os.path.join(WORK, "beside")
MAIN = worker("main", BOOTSTRAP, **ONCE)
APPENDED = Sink(
    "appended", lambda disk: whole(f"{disk}/lines"), "appended/lines", connector_class="FileStreamSink", file="{}/lines"
)
RENAMED = Sink("renamed", folder, "renamed/", connector_class="FileStreamSink", file="{}", delivery="exactly-once")
STORED = Sink(
    "stored", lambda disk: [json.loads(line) for line in folder(f"{disk}/{OBJECTS}", ".json")], f"{OBJECTS}/lines+0+",
    connector_class="ObjectSink", store_url="file://{}", flush_size=str(OBJECT),
)
SINKS = [APPENDED, RENAMED, STORED]


def fill():
    for sink in SINKS:
        sink.fill()
    FED.more()
    for sink in SINKS:
        eventually(f"trouble of {sink.name}", 20, sink.told)


def clear():
    for sink in SINKS:
        sink.disk.clear()
    for sink in SINKS:
        sink.goes_on()


@check
def sinks_write_to_small_disks():
    put(MAIN, "fed", FED.source("lines"))
    put(MAIN, "beside", {"connector.class": "FileStreamSink", "file": BESIDE, "topics": "lines"})
    for sink in SINKS:
        put(MAIN, sink.name, sink.config)
    FED.more()
    for sink in SINKS:
        sink.goes_on()


@check
def full_disks_stop_their_sinks_and_no_others():
    fill()
    FED.more()
    eventually("the last line is elsewhere", 30, lambda: FED.lines[-1] in whole(BESIDE))
    equal("states", ["RUNNING"] * 2, [task(MAIN, name)[0] for name in ["fed", "beside"]])


@check
def it_is_told_which_file_cannot_be_appended_to_and_why():
    APPENDED.check_told()


@check
def it_is_told_which_file_of_a_folder_cannot_be_written_and_why():
    RENAMED.check_told()


@check
def it_is_told_which_object_cannot_be_stored_and_why():
    STORED.check_told()


@check
def with_room_again_sinks_go_on():
    clear()


@check
def with_room_again_sinks_of_a_killed_worker_go_on():
    fill()
    MAIN.end(signal.SIGKILL)
    MAIN.start()
    clear()


@check
def a_file_elsewhere_has_each_line():
    FED.check_least("the file", whole(BESIDE))


@check
def a_file_that_is_appended_to_has_each_line_and_none_torn():
    FED.check_least("the file", APPENDED.lines())


@check
def a_folder_has_each_line_once():
    FED.check_once("the folder", RENAMED.lines())


@check
def a_store_has_each_line_once_and_nothing_else():
    FED.check_once("the store", STORED.lines())
    names = [name for _, _, names in os.walk(STORED.disk.folder) for name in names]
    equal("what is no object", [], [name for name in names if not name.endswith(".json")])


# A full disk under the broker.


class Broker:
    """A broker whose disk is small."""

    def __init__(self):
        self.disk, port, controller = Disk("broker", 8 * MIB), free_port(), free_port()
        self.address, self.log = f"127.0.0.1:{port}", os.path.join(WORK, "broker.log")
        self.settings = os.path.join(WORK, "broker.properties")
        settings = {
            "process.roles": "broker,controller", "node.id": "1", "log.dirs": self.disk.path("data"),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER", "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "offsets.topic.num.partitions": "2", "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "2", "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1", "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000", "vltava.http.listeners": "", "vltava.registry.listeners": "",
            "vltava.connect.listeners": "",
        }
        with open(self.settings, "w") as properties:
            properties.writelines(f"{key}={value}\n" for key, value in settings.items())
        self.start()

    def start(self):
        log = open(self.log, "a")
        self.since = os.path.getsize(self.log)
        command = [BINARY, "serve", "--config", self.settings]
        self.process = report.started(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def end(self):
        self.process.terminate()
        return self.process.wait(30)

    def told(self):
        """What it says since it was started."""
        with open(self.log) as log:
            log.seek(self.since)
            return log.read()


class Flow:
    """A worker at the broker, two sources that read a file, and a sink that writes elsewhere what one of them has read."""

    def __init__(self, name, delivery, **settings):
        self.name, self.feed, self.sink = name, Feed(f"{name}.in"), os.path.join(WORK, f"{name}.out")
        if delivery == "exactly-once":
            os.makedirs(self.sink)
        self.worker = worker(f"at-{name}", BROKER.address, **QUICK, **settings)
        put(self.worker, "patient", self.feed.source(f"{name}-patient"))
        # It gives up after seconds, and not after two minutes.
        put(self.worker, "hasty", self.feed.source(f"{name}-hasty", producer_override_delivery_timeout_ms="4000"))
        sink = {"connector.class": "FileStreamSink", "topics": f"{name}-patient", "delivery": delivery, "file": self.sink}
        put(self.worker, "sink", sink)

    def topic(self, source):
        """What readers of what is committed see."""
        read = [BINARY, "consume", f"{self.name}-{source}", "--from", "beginning", "--exit", "--read-committed"]
        read = subprocess.run([*read, "-b", BROKER.address], capture_output=True, text=True, timeout=60)
        return read.stdout.split("\n")[:-1]

    def has_given_up(self):
        with open(self.worker.path("log")) as log:
            return 'a task has failed connector="hasty"' in log.read()

    def written(self):
        return folder(self.sink) if os.path.isdir(self.sink) else whole(self.sink)

    def go_on(self):
        self.feed.more()
        for source in ["patient", "hasty"]:
            goes_on(self.worker, source, self.feed.lines[-1], lambda: self.topic(source))
        goes_on(self.worker, "sink", self.feed.lines[-1], self.written)

    def ends(self):
        """What has come to lie where."""
        topics = [(f"the {source} topic", self.topic(source)) for source in ["patient", "hasty"]]
        return [*topics, ("the sink", self.written())]


BROKER, FLOWS, ASKED, BORN = None, [], [], None
ASIDE = ThreadPoolExecutor()


@check
def workers_write_to_a_broker_with_a_small_disk():
    global BROKER
    BROKER = Broker()
    FLOWS.append(Flow("least", "at-least-once"))
    FLOWS.append(Flow("once", "exactly-once", **ONCE))
    for flow in FLOWS:
        flow.go_on()


@check
def a_broker_with_a_full_disk_says_so():
    BROKER.disk.fill()
    for flow in FLOWS:
        flow.feed.more()
    eventually("the broker says so", 20, lambda: "No space left" in BROKER.told())


@check
def workers_at_it_answer():
    global BORN
    BORN = ASIDE.submit(worker, "born", BROKER.address)
    for flow in FLOWS:
        ASKED.append(ASIDE.submit(put, flow.worker, "late", flow.feed.source("late")))
    for flow in FLOWS:
        # A transaction may be about to be committed, which is tried for longer.
        if flow.name == "least":
            eventually("the hasty source gives up", 20, flow.has_given_up)
        for path in ["/", "/health", "/connectors?expand=status", "/connectors/patient", "/connectors/patient/offsets"]:
            begun = time.monotonic()
            status, body = flow.worker.ask("GET", path)
            equal(f"{path}, {body}", 200, status)
            assert time.monotonic() - begun < 2, f"{path} took {time.monotonic() - begun} s"


@check
def it_ends_when_asked():
    equal("how it ends", 0, BROKER.end())


@check
def a_broker_that_begins_on_a_full_disk_serves_or_says_why_not_and_ends():
    BROKER.start()
    try:
        ended = lambda: BROKER.process.poll() is not None
        eventually("it serves or ends", 10, lambda: "Vltava is ready" in BROKER.told() or ended())
        if ended():
            assert BROKER.process.returncode > 0 and "No space left" in BROKER.told(), (BROKER.process.returncode, BROKER.told())
        else:
            equal("how it ends when asked", 0, BROKER.end())
    finally:
        BROKER.process.kill()
        BROKER.process.wait()


@check
def with_room_again_it_is_started_and_all_go_on():
    BROKER.disk.clear()
    BROKER.start()
    for flow in FLOWS:
        flow.go_on()


@check
def what_was_asked_for_meanwhile_is_done():
    BORN.result(30)
    for flow, asked in zip(FLOWS, ASKED):
        asked.result(30)
        eventually(f"{flow.name}: the late source runs", 30, lambda: task(flow.worker, "late")[0] == "RUNNING")


@check
def nothing_is_lost_at_least_once():
    for what, lines in FLOWS[0].ends():
        FLOWS[0].feed.check_least(what, lines)


@check
def exactly_once_is_what_was_fed():
    for what, lines in FLOWS[1].ends():
        FLOWS[1].feed.check_once(what, lines)


report.run()
