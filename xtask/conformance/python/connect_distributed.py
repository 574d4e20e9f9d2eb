"""Several workers of one group: ours among themselves, and beside a real worker of Kafka Connect; killed, cut and balanced."""

import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from connect_worker import WORK, Worker, java, ours
from report import BOOTSTRAP, check, equal, eventually, run

DATA = os.path.join(WORK, "data")
os.makedirs(DATA, exist_ok=True)


def worker(name, group, launch=ours, **settings):
    """A worker of a group, which has topics of its own."""
    group += os.environ.get("TAG", "")
    topics = {f"{kind}_storage_topic": f"{group}-{kind}" for kind in ["config", "offset", "status"]}
    settings = {"scheduled_rebalance_max_delay_ms": "1000", **topics, **settings}
    one = Worker(f"{group}-{name}", BOOTSTRAP, launch, **{"group_id": group, **settings})
    one.url = f"127.0.0.1:{one.port}"
    return one


def end(*workers):
    for one in workers:
        if one.process.poll() is None:
            one.end()


def put(one, name, config):
    status, body = one.ask("PUT", f"/connectors/{name}/config", config)
    assert status in (200, 201), (status, body)


def tasks(one, name):
    """The states of the tasks of a connector, and where they are."""
    status, body = one.ask("GET", f"/connectors/{name}/status")
    places = lambda text: text.replace("PORT", str(one.port))
    return [(task["state"], places(task["worker_id"])) for task in body["tasks"]] if status == 200 else []


def spread(one, names, count, urls, seconds=60):
    """Waits until so many tasks run, on all of these workers; how many on each."""

    def there():
        states = [state for name in names for state in tasks(one, name)]
        on = {url: sum(1 for state in states if state == ("RUNNING", url)) for url in urls}
        return on if sum(on.values()) == count == len(states) and all(on.values()) else None

    return eventually(f"{count} tasks run on {len(urls)} workers", seconds, there)


def datagen(topic, count, interval=60000):
    return {"connector.class": "Datagen", "kafka.topic": topic, "tasks.max": str(count), "max.interval": str(interval)}


@check
def workers_share_tasks_and_pass_requests_on():
    group = [worker(str(number), "share") for number in range(3)]
    try:
        urls = [one.url for one in group]
        for number, one in enumerate(group):
            status, body = one.ask("POST", "/connectors", {"name": f"d{number}", "config": datagen("share", 4)})
            equal(f"POST at worker {number}, {body}", 201, status)
        names = ["d0", "d1", "d2"]
        on = spread(group[0], names, 12, urls)
        equal("tasks of each", {4}, set(on.values()))
        for one in group:
            equal("connectors", names, one.ask("GET", "/connectors")[1])
            for verb, path, expected in [
                ("PUT", "/connectors/d1/pause", 202), ("PUT", "/connectors/d1/resume", 202),
                ("POST", "/connectors/d1/restart", 204), ("POST", "/connectors/d1/tasks/2/restart", 204),
                ("POST", "/connectors/d1/restart?includeTasks=true&onlyFailed=false", 202),
                ("PUT", "/connectors/d1/stop", 204), ("PUT", "/connectors/d1/resume", 202),
                ("PATCH", "/connectors/d2/config", 200), ("GET", "/connectors/nope/status", 404),
                ("POST", "/connectors/nope/restart", 404), ("DELETE", "/connectors/nope", 404),
            ]:
                body = {"seed": "7"} if verb == "PATCH" else None
                status, answer = one.ask(verb, path, body)
                equal(f"{verb} {path}, {answer}", expected, status)
            spread(one, names, 12, urls)
        equal("past two workers", 409, eventually("one is no leader", 5, lambda: next(
            (status for status in (one.ask("DELETE", "/connectors/d0?forward=false")[0] for one in group) if status == 409), None)))
        for one in group:
            equal("unsigned", 400, one.ask("POST", "/connectors/d1/tasks", [])[0])
            equal("unsigned", 400, one.ask("PUT", "/connectors/d1/fence")[0])
    finally:
        end(*group)


def level(one, logger):
    return one.ask("GET", f"/admin/loggers/{logger}")[1].get("level")


@check
def levels_of_loggers_are_set_at_all_workers_that_run():
    group = [worker(str(number), "levels") for number in range(2)]
    try:
        there = lambda expected: [level(one, "vltava_connect") for one in group] == [expected] * len(group)
        for one, name in zip(group, ["DEBUG", "WARN"]):
            path = "/admin/loggers/vltava_connect"
            equal("scope=worker", 200, one.ask("PUT", path, {"level": "ERROR"})[0])
            equal("scope=cluster", 204, one.ask("PUT", f"{path}?scope=cluster", {"level": name.lower()})[0])
            eventually(f"{name} at both", 30, lambda: there(name))
        equal("a level", 404, group[0].ask("PUT", "/admin/loggers/root?scope=cluster", {"level": "loud"})[0])
        equal("any logger", 204, group[0].ask("PUT", "/admin/loggers/nope?scope=cluster", {"level": "info"})[0])
        group.append(worker("2", "levels"))
        equal("set before it started", "INFO", level(group[2], "vltava_connect"))
        equal("scope=cluster", 204, group[2].ask("PUT", "/admin/loggers/vltava_connect?scope=cluster", {"level": "TRACE"})[0])
        eventually("TRACE at all", 30, lambda: there("TRACE"))
    finally:
        end(*group)


@check
def work_of_a_killed_worker_is_unassigned_and_then_runs_elsewhere():
    group = [worker(str(number), "killed", scheduled_rebalance_max_delay_ms="5000") for number in range(3)]
    try:
        put(group[0], "d", datagen("killed", 9))
        spread(group[0], ["d"], 9, [one.url for one in group])
        group[2].end(signal.SIGKILL)
        lost = lambda: [state for state, url in tasks(group[0], "d") if url == group[2].url]
        eventually("its tasks are unassigned", 30, lambda: lost() == ["UNASSIGNED"] * 3)
        spread(group[0], ["d"], 9, [one.url for one in group[:2]])
        group[2].start()
        spread(group[0], ["d"], 9, [one.url for one in group])
    finally:
        end(*group)


def feed(path, written, count):
    with open(path, "a") as lines:
        lines.writelines(f"{number}\n" for number in range(written, written + count))
    return written + count


def kill_loop(group, path, rounds):
    """Kills workers, one after another, while a file grows; how many lines it has."""
    dice, written = random.Random(7), 0
    for _ in range(rounds):
        written = feed(path, written, 500)
        time.sleep(1 + dice.random())
        one = dice.choice(group)
        one.end(signal.SIGKILL)
        one.start()
    return feed(path, written, 500)


def lines_of(path):
    return [line.strip() for line in open(path)] if os.path.exists(path) else []


@check
def nothing_is_lost_when_workers_are_killed():
    group = [worker(str(number), "atleast") for number in range(3)]
    try:
        source, sink = os.path.join(DATA, "atleast.txt"), os.path.join(DATA, "atleast.out")
        feed(source, 0, 0)
        put(group[0], "source", {"connector.class": "FileStreamSource", "file": source, "topic": "atleast"})
        put(group[1], "sink", {"connector.class": "FileStreamSink", "file": sink, "topics": "atleast"})
        total = kill_loop(group, source, int(os.environ.get("KILLS", "6")))
        expected = {str(number) for number in range(total)}
        eventually("all lines arrive", 120, lambda: set(lines_of(sink)) >= expected)
        equal("lines that nobody wrote", set(), set(lines_of(sink)) - expected)
    finally:
        end(*group)


@check
def exactly_once_sources_write_each_line_once_when_workers_are_killed():
    group = [worker(str(number), "once", **{"exactly_once_source_support": "enabled"}) for number in range(3)]
    try:
        source = os.path.join(DATA, "once.txt")
        feed(source, 0, 0)
        put(group[0], "source", {"connector.class": "FileStreamSource", "file": source, "topic": "once", "batch.size": "50"})
        total = kill_loop(group, source, int(os.environ.get("KILLS", "6")))
        read = [os.environ["BINARY"], "consume", "once", "--from", "beginning", "--exit", "--read-committed", "-b", BOOTSTRAP]
        got = lambda: subprocess.run(read, capture_output=True, text=True, timeout=60).stdout.split()
        eventually("all lines arrive", 120, lambda: len(set(got())) == total)
        time.sleep(2)
        equal("each once, in order", [str(number) for number in range(total)], got())
    finally:
        end(*group)


def mixed(first, second, group):
    """Workers of two kinds are one group, whoever leads; what the first ran goes on at the second, and back."""
    sink = lambda number: {"connector.class": "FileStreamSink", "file": os.path.join(DATA, f"{group}-{number}"),
                           "topics": f"{group}-in", "tasks.max": "3"}
    source = os.path.join(DATA, f"{group}.txt")
    feed(source, 0, 100)
    one = worker("first", group, first)
    both = [one]
    try:
        put(one, "source", {"connector.class": "FileStreamSource", "file": source, "topic": f"{group}-in"})
        for number in range(3):
            put(one, f"sink{number}", sink(number))
        names = ["source", "sink0", "sink1", "sink2"]
        spread(one, names, 10, [one.url])
        two = worker("second", group, second)
        both.append(two)
        on = spread(two, names, 10, [one.url, two.url], 90)
        equal("tasks of each", {5}, set(on.values()))
        for place in both:
            status, body = place.ask("PUT", "/connectors/sink3/config", sink(3))
            assert status in (200, 201), (status, body)
            spread(one, [*names, "sink3"], 13, [one.url, two.url], 90)
            status, body = place.ask("POST", "/connectors/sink3/restart?includeTasks=true&onlyFailed=false")
            equal(f"restart, {body}", 202, status)
            spread(two, [*names, "sink3"], 13, [one.url, two.url], 90)
            equal("delete", 204, place.ask("DELETE", "/connectors/sink3")[0])
            eventually("it is gone", 30, lambda: one.ask("GET", "/connectors/sink3/status")[0] == 404)
        feed(source, 100, 100)
        for number in range(3):
            eventually("all lines arrive", 90, lambda: len(set(lines_of(os.path.join(DATA, f"{group}-{number}")))) == 200)
        one.end()
        spread(two, names, 10, [two.url], 90)
        one.start()
        spread(two, names, 10, [one.url, two.url], 90)
    finally:
        end(*both)


@check
def tasks_that_stop_while_they_join_leave_nobody_in_their_groups():
    one = worker("0", "hasty")
    try:
        put(one, "from", datagen("hasty", 1, 10))
        names = [f"sink-{number}" for number in range(60)]
        sink = {"connector.class": "FileStreamSink", "topics": "hasty"}

        def change_and_stop(name):
            for change in range(6):
                put(one, name, {**sink, "file": os.path.join(DATA, name), "errors.retry.timeout": str(change)})
                time.sleep(random.random() * 0.2)
            equal("stopped", 204, one.ask("PUT", f"/connectors/{name}/stop")[0])

        with ThreadPoolExecutor(10) as threads:
            list(threads.map(change_and_stop, names))
        # A member that nobody knows of would stay for 45 seconds.
        start = time.monotonic()
        for name in names:
            is_free = lambda: one.ask("DELETE", f"/connectors/{name}/offsets")[0] == 200
            eventually(f"the group of {name} is empty", 20, is_free)
        print(f"{time.monotonic() - start:.1f} s until all groups were empty")
    finally:
        end(one)


def held(one):
    """The threads of tasks, the open files, and the resident KiB of a worker."""
    process = f"/proc/{one.process.pid}"
    names = [open(f"{process}/task/{thread}/comm").read() for thread in os.listdir(f"{process}/task")]
    resident = next(line for line in open(f"{process}/status") if line.startswith("VmRSS"))
    return len([name for name in names if name.startswith("bad-")]), len(os.listdir(f"{process}/fd")), int(resident.split()[1])


@check
def tasks_that_fail_over_and_over_leave_nothing_behind():
    one = worker("0", "fails")
    try:
        put(one, "from", datagen("fails", 1, 10))
        # They fail at their first record: when the sinks have joined their groups, and the sources have their producers.
        number = {"transforms": "cast", "transforms.cast.type": "Cast$Value", "transforms.cast.spec": "int8"}
        for which in range(5):
            put(one, f"bad-from-{which}", {**datagen("failed", 1, 10), **number})
            sink = {"connector.class": "FileStreamSink", "topics": "fails", "file": os.path.join(DATA, f"bad-{which}")}
            put(one, f"bad-to-{which}", {**sink, **number})

        def failures():
            return open(one.path("log")).read().count("a task has failed")

        def fail(rounds):
            for _ in range(rounds):
                known = failures()
                for which in range(5):
                    for name in [f"bad-from-{which}", f"bad-to-{which}"]:
                        equal("restart", 204, one.ask("POST", f"/connectors/{name}/tasks/0/restart")[0])
                eventually("all have failed again", 30, lambda: failures() >= known + 10)

        eventually("all have failed", 30, lambda: failures() >= 10)
        fail(10)
        _, files, memory = held(one)
        fail(30)
        eventually("no thread of a task is left", 10, lambda: held(one)[0] == 0)
        threads, files_now, memory_now = held(one)
        print(f"{failures()} failures: open files {files} and then {files_now}, KiB {memory} and then {memory_now}")
        assert files_now <= files + 10, f"open files: {files}, and after 300 failures more {files_now}"
        assert memory_now <= memory + 8192, f"KiB: {memory}, and after 300 failures more {memory_now}"
    finally:
        end(one)


@check
def sinks_that_hang_fail_and_hold_nobody_up():
    one = worker("0", "hangs", task_call_timeout_ms="2000")
    try:
        put(one, "from", datagen("hangs", 1, 10))
        sink = {"connector.class": "FileStreamSink", "topics": "hangs"}
        # Nobody reads the pipes, so that to open one takes for ever.
        names = [f"hung-{number}" for number in range(8)]
        for name in names:
            os.mkfifo(os.path.join(DATA, name))
            put(one, name, {**sink, "file": os.path.join(DATA, name)})
        after = os.path.join(DATA, "after")
        put(one, "after", {**sink, "file": after})
        eventually("another sink writes", 10, lambda: os.path.exists(after) and os.path.getsize(after) > 0)
        for name in names:
            eventually(f"{name} has failed", 20, lambda: [state for state, _ in tasks(one, name)] == ["FAILED"])
            trace = one.ask("GET", f"/connectors/{name}/tasks/0/status")[1]["trace"]
            assert "The task hangs: it has blocked its thread for more than 2000 ms" in trace, trace
        grown = os.path.getsize(after)
        eventually("and writes on", 10, lambda: os.path.getsize(after) > grown)
        start = time.monotonic()
        one.end()
        print(f"{time.monotonic() - start:.1f} s until it had ended")
    finally:
        end(one)


@check
def ours_joins_a_worker_of_kafka():
    mixed(java, ours, "theirs-first")


@check
def a_worker_of_kafka_joins_ours():
    mixed(ours, java, "ours-first")


def assigned(one):
    """What the log of a worker says of each round that it was in."""
    rounds = []
    for line in open(one.path("log")):
        if " assigned " in line:
            rounds.append({key: int(value) for key, _, value in (word.partition("=") for word in line.split()) if value.isdigit()})
    return rounds


@check
def a_thousand_tasks_move_in_five_seconds_and_only_those_that_must():
    group = [worker(str(number), "many") for number in range(4)]
    try:
        names = [f"d{number}" for number in range(20)]
        for name in names:
            put(group[0], name, datagen("many", 50))
        spread(group[0], names, 1000, [one.url for one in group], 240)
        before = [len(assigned(one)) for one in group]
        start = time.monotonic()
        group.append(worker("4", "many"))
        fifth = group[4]
        ready = time.monotonic()
        on = spread(fifth, names, 1000, [one.url for one in group], 60)
        took = time.monotonic() - ready
        print(f"{took:.1f} s until the tasks were balanced, {ready - start:.1f} s to start a worker")
        equal("tasks of each", {200}, set(on.values()))
        for one, known in zip(group, before):
            rounds = assigned(one)[known:]
            equal("started where they ran", 0, sum(each["starts"] for each in rounds))
            equal("moved away, tasks and a connector", 51, sum(each["stops"] for each in rounds))
        assert took <= 5, f"it took {took:.1f} s"
    finally:
        end(*group)


run()
