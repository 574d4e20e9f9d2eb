"""The same calls to a real Kafka Connect worker and to ours, each with a cluster of its own: statuses and bodies compared."""

import json
import os
import signal
import time

import report
from connect_worker import Worker, java, ours
from report import check

# Settings that only ours has.
OWN = {"delivery"}
# What each side calls itself and where it runs is no difference; texts for people are not compared either.
SILENT = {"worker_id", "version", "documentation", "recommended_values", "trace", "commit", "kafka_cluster_id"}


KAFKA = Worker("kafka", os.environ["ORACLE"], java)
OURS = Worker("ours", report.BOOTSTRAP, ours)
SIDES = (KAFKA, OURS)
SOURCE = {"connector.class": "FileStreamSource", "file": "FOLDER/in.txt", "topic": "lines"}
SINK = {"connector.class": "FileStreamSink", "file": "FOLDER/out.txt", "topics": "lines"}


def name_of(item):
    return item.get("definition", item).get("name") if isinstance(item, dict) else None


def plain(value):
    """Without what is told apart on purpose, and without an order where there is none."""
    if isinstance(value, dict):
        versioned = {"default_value", "value"} if str(value.get("name")).endswith("plugin.version") else set()
        return {key: plain(inner) for key, inner in value.items() if key not in SILENT | versioned}
    if isinstance(value, list):
        inner = [plain(item) for item in value if name_of(item) not in OWN]
        return sorted(inner) if all(isinstance(item, str) for item in inner) else inner
    return value


def differences(theirs, ours, place=""):
    """Where two bodies differ, and by what."""
    theirs, ours = by_name(theirs), by_name(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from differences(theirs.get(key), ours.get(key), f"{place}/{key}")
    elif theirs != ours:
        yield f"{place}: {json.dumps(theirs)} and not {json.dumps(ours)}"


def by_name(items):
    """A list of named things by their names, in their order."""
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        return items
    names = [name_of(item) or str(number) for number, item in enumerate(items)]
    return {"order": names, **dict(zip(names, items))}


def same(method, path, body=None, **more):
    """Asks both, and compares."""
    theirs, ours = (side.ask(method, path, body, **more) for side in SIDES)
    report.equal(f"{method} {path} {body or ''} status, {ours[1]}", theirs[0], ours[0])
    report.equal(f"{method} {path} {body or ''}", [], list(differences(plain(theirs[1]), plain(ours[1]))))
    return ours


def same_status(method, path, body=None, **more):
    """Asks both, and compares the status alone."""
    theirs, ours = (side.ask(method, path, body, **more) for side in SIDES)
    report.equal(f"{method} {path} status, {theirs[1]} and {ours[1]}", theirs[0], ours[0])


def refused(method, path, body=None, **more):
    """Where Kafka Connect answers 500 to a mistake of the client, ours is a 400."""
    theirs, ours = (side.ask(method, path, body, **more) for side in SIDES)
    assert theirs[0] in (400, 500), theirs
    report.equal(f"{method} {path} status, {ours[1]}", 400, ours[0])
    assert set(ours[1]) == {"error_code", "message"}, ours


def settle(name, state, tasks):
    """Waits until the connector and so many tasks are in a state."""
    for side in SIDES:

        def there():
            status, body = side.ask("GET", f"/connectors/{name}/status")
            states = [task["state"] for task in body.get("tasks", [])] if status == 200 else None
            return status == 200 and body["connector"]["state"] == state and states == [state] * tasks

        report.eventually(f"{name} is {state} at {side.name}", 60, there)


@check
def connectors_are_created_and_shown():
    same("GET", "/connectors")
    same("POST", "/connectors", {"name": "src", "config": SOURCE})
    settle("src", "RUNNING", 1)
    same("PUT", "/connectors/snk/config", SINK)
    settle("snk", "RUNNING", 1)
    for path in ["", "/config", "/status", "/tasks", "/tasks/0/status"]:
        same("GET", f"/connectors/src{path}")
        same("GET", f"/connectors/snk{path}")
    same("GET", "/connectors?expand=status&expand=info")
    same("GET", "/connectors?expand=nope")


@check
def records_pass_and_topics_and_offsets_are_known():
    for side in SIDES:
        written = lambda: os.path.exists(side.path("out.txt")) and open(side.path("out.txt")).read()
        report.eventually(f"{side.name} writes", 60, lambda: written() == open(side.path("in.txt")).read())
    for name in ["src", "snk"]:
        for side in SIDES:
            report.eventually("offsets", 30, lambda: side.ask("GET", f"/connectors/{name}/offsets")[1]["offsets"])
            report.eventually("topics", 30, lambda: side.ask("GET", f"/connectors/{name}/topics")[1][name]["topics"])
        same("GET", f"/connectors/{name}/topics")
        same("GET", f"/connectors/{name}/offsets")


@check
def what_is_not_there_is_told():
    for path in ["", "/config", "/status", "/tasks", "/tasks/0/status", "/offsets", "/topics"]:
        same("GET", f"/connectors/nope{path}")
    for verb in ["pause", "resume", "stop"]:
        same("PUT", f"/connectors/nope/{verb}")
    same("DELETE", "/connectors/nope")
    same("DELETE", "/connectors/nope/offsets")
    same("PATCH", "/connectors/nope/config", {"a": "b"})
    same("PATCH", "/connectors/nope/offsets", {"offsets": [{"partition": {"a": 1}, "offset": None}]})
    same("POST", "/connectors/nope/restart")
    same("POST", "/connectors/src/tasks/7/restart")
    same("GET", "/connectors/src/tasks/7/status")
    same("GET", "/nope")
    same("DELETE", "/connectors")
    same("PUT", "/connectors/src/status")
    same("GET", "/connector-plugins/Nope/config")
    same("GET", "/admin/loggers/nope")


@check
def any_logger_has_a_level():
    same("PUT", "/admin/loggers/one.of.many", {"level": "debug"})
    same("PUT", "/admin/loggers/one.of", {"level": "Off"})
    same("PUT", "/admin/loggers/one", {"level": "ALL"})
    same("PUT", "/admin/loggers/one.of.many", {"level": "FATAL"})
    for wrong in [{"level": "loud"}, {"level": None}, {"level": 5}, {}]:
        same("PUT", "/admin/loggers/one", wrong)
        same("PUT", "/admin/loggers/one?scope=cluster", wrong)
    for side in SIDES:
        status, logger = side.ask("GET", "/admin/loggers/one.of")
        report.equal("of the wider one", (200, int), (status, type(logger["last_modified"])))
        report.equal("a further one", 200, side.ask("PUT", "/admin/loggers/other?scope=any", {"level": "INFO"})[0])


@check
def settings_are_refused_with_every_error():
    bad = {"connector.class": "FileStreamSource", "file": "x", "topic": "t", "tasks.max": "0", "errors.tolerance": "x"}
    same("POST", "/connectors", {"name": "bad", "config": {"connector.class": "FileStreamSource"}})
    same("POST", "/connectors", {"name": "bad", "config": bad})
    same("POST", "/connectors", {"name": "bad", "config": {**bad, "transforms": "a", "transforms.a.type": "Nope"}})
    same("POST", "/connectors", {"name": "bad", "config": {}})
    same("POST", "/connectors", {"config": SOURCE})
    same("POST", "/connectors", {"name": "bad", "config": {**SOURCE, "name": "other"}})
    same("PUT", "/connectors/snk/config", {**SINK, "name": "other"})
    same("POST", "/connectors", {"name": "src", "config": SOURCE})
    same_status("POST", "/connectors", {"name": "bad", "config": {"connector.class": "Nope"}})


@check
def bodies_that_are_none_are_refused():
    for raw in ["{not json", "[]", '{"name":"x","config":{},"more":1}', "", '{"name":"x"}']:
        refused("POST", "/connectors", raw=raw)
    refused("POST", "/connectors", {"name": "x", "config": SOURCE, "initial_state": "nope"})
    same("POST", "/connectors", {"name": "x", "config": SOURCE}, kind="text/plain")
    same("POST", "/connectors/src/tasks", [])
    same("PUT", "/connectors/src/fence")


@check
def validation_answers_field_by_field():
    for plugin, config in [
        ("FileStreamSource", {**SOURCE, "name": "v"}),
        ("FileStreamSink", {**SINK, "name": "v"}),
        ("FileStreamSource", {"connector.class": "FileStreamSource", "name": "v", "tasks.max": "x"}),
        ("FileStreamSink", {"connector.class": "FileStreamSource"}),
    ]:
        same("PUT", f"/connector-plugins/{plugin}/config/validate", config)
    for plugin in ["FileStreamSource", "FileStreamSink"]:
        same("GET", f"/connector-plugins/{plugin}/config")


@check
def settings_change_by_put_and_patch():
    same("PUT", "/connectors/snk/config", {**SINK, "tasks.max": "2"})
    settle("snk", "RUNNING", 2)
    same("PATCH", "/connectors/snk/config", {"tasks.max": None, "errors.tolerance": "all"})
    settle("snk", "RUNNING", 1)
    same("GET", "/connectors/snk/config")
    same("GET", "/connectors/snk/tasks")


@check
def states_follow_the_verbs():
    same("PUT", "/connectors/src/pause")
    settle("src", "PAUSED", 1)
    same("PUT", "/connectors/src/resume")
    settle("src", "RUNNING", 1)
    same("POST", "/connectors/src/restart")
    settle("src", "RUNNING", 1)
    same("POST", "/connectors/src/restart?includeTasks=true")
    settle("src", "RUNNING", 1)
    same_status("POST", "/connectors/src/tasks/0/restart")
    settle("src", "RUNNING", 1)
    same("POST", "/connectors", {"name": "st", "config": SOURCE, "initial_state": "STOPPED"})
    settle("st", "STOPPED", 0)
    same("GET", "/connectors/st/tasks")
    same("DELETE", "/connectors/st")


@check
def offsets_change_at_rest_alone():
    at = lambda offset: {"offsets": [{"partition": {"filename": "FOLDER/in.txt"}, "offset": offset}]}
    same("PATCH", "/connectors/src/offsets", at({"position": 7}))
    same("DELETE", "/connectors/src/offsets")
    same("PUT", "/connectors/src/stop")
    settle("src", "STOPPED", 0)
    same("PATCH", "/connectors/src/offsets", at({"position": 7}))
    same("GET", "/connectors/src/offsets")
    same("PATCH", "/connectors/src/offsets", {"offsets": []})
    same("PATCH", "/connectors/src/offsets", {})
    same_status("PATCH", "/connectors/src/offsets", at({"position": "x"}))
    same("PATCH", "/connectors/src/offsets", at(None))
    same("GET", "/connectors/src/offsets")
    same("DELETE", "/connectors/src/offsets")
    same("PUT", "/connectors/snk/stop")
    settle("snk", "STOPPED", 0)
    of = lambda partition, offset: {"offsets": [{"partition": partition, "offset": offset}]}
    lines = {"kafka_topic": "lines", "kafka_partition": 0}
    for side in SIDES:
        # As long as the consumer of the task is in its group, both refuse.
        taken = lambda: side.ask("PATCH", "/connectors/snk/offsets", of(lines, {"kafka_offset": 2}))[0] == 200
        report.eventually("offsets can change", 60, taken)
    same("PATCH", "/connectors/snk/offsets", of(lines, {"kafka_offset": 2}))
    same("GET", "/connectors/snk/offsets")
    same("PATCH", "/connectors/snk/offsets", of({"topic": "lines"}, {"kafka_offset": 2}))
    same("PATCH", "/connectors/snk/offsets", of({**lines, "kafka_partition": "a"}, {"kafka_offset": 2}))
    same("PATCH", "/connectors/snk/offsets", of(lines, {"kafka_offset": "q"}))
    same("PATCH", "/connectors/snk/offsets", of(lines, None))
    same("DELETE", "/connectors/snk/offsets")
    same("GET", "/connectors/snk/offsets")


@check
def connectors_go():
    same("PUT", "/connectors/src/topics/reset")
    for side in SIDES:
        forgotten = lambda: side.ask("GET", "/connectors/src/topics")[1]["src"]["topics"] == []
        report.eventually("its topics are forgotten", 30, forgotten)
    same("GET", "/connectors/src/topics")
    for name in ["src", "snk"]:
        same("DELETE", f"/connectors/{name}")
    for side in SIDES:
        report.eventually("both are gone", 30, lambda: side.ask("GET", "/connectors/src/status")[0] == 404)
    same("GET", "/connectors")
    same("GET", "/connectors/src")


@check
def a_worker_of_kafka_is_taken_over_and_given_back():
    """Ours goes on with the topics that Kafka Connect has written, in Kafka's own cluster."""
    KAFKA.ask("POST", "/connectors", {"name": "over", "config": {**SOURCE, "topic": "over"}})
    report.eventually("it runs", 60, lambda: KAFKA.ask("GET", "/connectors/over/offsets")[1]["offsets"])
    KAFKA.end()
    heir = Worker("heir", os.environ["ORACLE"], OURS.launch)
    try:
        report.equal("connectors", ["over"], heir.ask("GET", "/connectors")[1])
        running = lambda: heir.ask("GET", "/connectors/over/tasks/0/status")[1].get("state") == "RUNNING"
        report.eventually("the task runs", 60, running)
        with open(KAFKA.path("in.txt"), "a") as lines:
            lines.write("one more\n")
        size = os.path.getsize(KAFKA.path("in.txt"))
        offset = lambda: heir.ask("GET", "/connectors/over/offsets")[1]["offsets"][0]["offset"]
        report.eventually("it reads on", 60, lambda: offset() == {"position": size})
        heir.ask("PUT", "/connectors/over/pause")
    finally:
        heir.end()
    KAFKA.start()
    paused = lambda: KAFKA.ask("GET", "/connectors/over/tasks/0/status")[1].get("state") == "PAUSED"
    report.eventually("Kafka Connect knows what ours was told", 60, paused)


@check
def nothing_is_lost_when_the_worker_is_killed():
    written, total = 0, 3000
    config = {"connector.class": "FileStreamSource", "file": "FOLDER/kill.txt", "topic": "kill"}
    open(OURS.path("kill.txt"), "w").close()
    OURS.ask("PUT", "/connectors/ksrc/config", config)
    # The partitions of a killed reader are free when its session ends.
    sink = {**SINK, "file": "FOLDER/killed.txt", "topics": "kill", "consumer.override.session.timeout.ms": "6000"}
    OURS.ask("PUT", "/connectors/ksnk/config", sink)
    while written < total:
        with open(OURS.path("kill.txt"), "a") as lines:
            lines.writelines(f"{number}\n" for number in range(written, written + 500))
        written += 500
        time.sleep(0.3)
        OURS.end(signal.SIGKILL)
        OURS.start()
    seen = lambda: {line.strip() for line in open(OURS.path("killed.txt"))} if os.path.exists(OURS.path("killed.txt")) else set()
    report.eventually("all lines arrive", 90, lambda: seen() >= {str(number) for number in range(total)})
    assert len(seen()) == total, "lines that nobody wrote"


report.run()
