"""The broker is killed without warning in the middle of rebalances, commits and transactions.

Members of a consumer group come and go and commit what they own; producers commit and abort transactions of two partitions
and a group's offset, and each round leaves one open for ever. No committed offset may get lost, no partition may have two
owners, no transaction may be half visible, and none may hang for longer than its timeout and 10 s. All of it is said on the
wire itself, so that no client's own way out of trouble stands between the broker and the promise.
"""

import os
import random
import threading
import time

import report
from replay import batch, corpus, transactions, wire
from replay.consumers import LEAVES, NEW
from replay.sides import Closed, Side

ROUNDS = int(os.environ.get("ROUNDS", "20"))
SEED = int(os.environ.get("SEED", "1")) or 1
GROUP, TOPIC, OUT = "kg-group", "kg-in", "kg-out"
PARTITIONS, MEMBERS, PRODUCERS = 6, 4, 3
TIMEOUT_MS = 3_000
# What a transaction may take beyond its timeout.
GRACE_SECONDS = 10
TROUBLE = (Closed, OSError, TimeoutError, wire.Malformed)
# A coordinator that is away, loads, or ends the last transaction.
PASSING = (3, 6, 7, 14, 15, 16, 51)


class Actor:
    """Does one step after another on a thread and a connection of its own, until it is stopped."""

    def __init__(self, name, world):
        self.name, self.world = name, world
        self.random = random.Random(f"{SEED} {name}")
        self.side = Side(name, report.BOOTSTRAP)
        self.side.ids = world.ids
        self.steps, self.failure, self.stopped = 0, None, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped:
            try:
                self.step()
                self.steps += 1
            except TROUBLE:
                self.side.drop("main")
                self.trouble()
                time.sleep(0.02)
            except Exception as error:  # a broken promise
                self.failure = error
                return

    def trouble(self):
        """The connection is gone, and nobody knows what became of the last request."""

    def stop(self):
        self.stopped = True
        self.thread.join()


class Member(Actor):
    """A member of the group, which leaves now and then, and commits one more for each partition that it owns."""

    def __init__(self, name, world):
        self.life, self.epoch, self.owned = 0, NEW, []
        super().__init__(name, world)

    def member(self):
        return f"{self.name}-{self.life}"

    def step(self):
        if self.epoch != NEW and self.random.random() < 0.03:
            self.give_up([])
            self.beat(LEAVES)
            self.begin_anew()
        self.beat(self.epoch)
        for partition in list(self.owned):
            self.commit(partition)

    def beat(self, epoch):
        joins = epoch == NEW
        owned = {} if joins else {TOPIC: self.owned} if self.owned else {}
        answer = self.side.ask("ConsumerGroupHeartbeat", 1, {
            "GroupId": GROUP, "MemberId": self.member(), "MemberEpoch": epoch, "RebalanceTimeoutMs": 30_000, "SubscribedTopicNames": [TOPIC],
            "TopicPartitions": [{"TopicId": self.world.ids[name], "Partitions": numbers} for name, numbers in owned.items()]})
        if answer["ErrorCode"] in (25, 110):
            self.begin_anew()
        elif answer["ErrorCode"] in PASSING:
            time.sleep(0.02)
        elif epoch != LEAVES:
            assert answer["ErrorCode"] == 0, answer
            self.epoch = answer["MemberEpoch"]
            if answer["Assignment"] is not None:
                self.give_up(sum((row["Partitions"] for row in answer["Assignment"]["TopicPartitions"]), []))

    def begin_anew(self):
        self.give_up([])
        self.life += 1
        self.epoch = NEW

    def give_up(self, but):
        """Owns these partitions from now on, which nobody else may own."""
        with self.world.lock:
            for partition in set(self.owned) - set(but):
                del self.world.owners[partition]
            for partition in set(but) - set(self.owned):
                other = self.world.owners.setdefault(partition, self.name)
                assert other == self.name, f"{self.name} is given partition {partition}, which {other} owns"
                self.world.moves += 1
            self.owned = list(but)

    def commit(self, partition):
        with self.world.lock:
            offset = self.world.asked[partition] + 1
            self.world.asked[partition] = offset
        answer = self.side.ask("OffsetCommit", 9, {"GroupId": GROUP, "GenerationIdOrMemberEpoch": self.epoch, "MemberId": self.member(), "Topics": [
            {"Name": TOPIC, "Partitions": [{"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": ""}]}]})
        code = answer["Topics"][0]["Partitions"][0]["ErrorCode"]
        assert code in (0, 25, 110, 113, *PASSING), answer
        if code == 0:
            with self.world.lock:
                self.world.acknowledged[partition] = max(offset, self.world.acknowledged[partition])


class Mover(Actor):
    """Writes a value into two partitions and an offset, all or nothing."""

    def __init__(self, name, world):
        self.identity, self.number = None, 0
        self.committed, self.aborted, self.unknown = set(), set(), set()
        self.deciding = None
        # What was answered to the steps of the transaction, for the report of a failure.
        self.answers = {}
        super().__init__(name, world)

    def value(self, number):
        return f"{self.name}:{number}"

    def trouble(self):
        self.identity = None
        if self.deciding is not None:
            self.unknown.add(self.deciding)
        self.deciding = None

    def step(self):
        if self.identity is None:
            answer = transactions.init(self.side, 5, self.name, timeout=TIMEOUT_MS)
            if answer["ErrorCode"]:
                assert answer["ErrorCode"] in PASSING, answer
                time.sleep(0.02)
                return
            self.identity = (answer["ProducerId"], answer["ProducerEpoch"])
        self.number += 1
        if not all(self.accepted(act) for act in (lambda: self.write(0), lambda: self.write(1), self.offset)):
            self.identity = None
            self.aborted.add(self.value(self.number))
            return
        self.decide(self.random.random() < 0.8)

    def write(self, partition):
        answer = transactions.write(self.side, 12, self.name, OUT, *self.identity, partition=partition, values=[self.value(self.number).encode()])
        return answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]

    def offset(self):
        answer = transactions.commit_in(self.side, 5, self.name, self.name, *self.identity, OUT, self.number)
        return answer["Topics"][0]["Partitions"][0]["ErrorCode"]

    def accepted(self, act):
        code = act()
        while code in PASSING:
            time.sleep(0.01)
            code = act()
        self.answers.setdefault(self.number, []).append(code)
        # A transaction whose time was over while the broker was down.
        assert code in (0, 47, 48, 90, 120), f"{self.name}: {code}"
        return code == 0

    def decide(self, commits):
        self.deciding = self.value(self.number)
        answer = transactions.end(self.side, 5, self.name, *self.identity, commits)
        while answer["ErrorCode"] in PASSING:
            time.sleep(0.01)
            answer = transactions.end(self.side, 5, self.name, *self.identity, commits)
        self.answers[self.number].append((commits, answer["ErrorCode"]))
        if answer["ErrorCode"] == 0:
            (self.committed if commits else self.aborted).add(self.deciding)
            self.identity = (answer["ProducerId"], answer["ProducerEpoch"])
        else:
            assert answer["ErrorCode"] in (47, 48, 90), answer
            self.unknown.add(self.deciding)
            self.identity = None
        self.deciding = None


class World:
    """What all actors know together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ids, self.owners, self.moves = {}, {}, 0
        self.asked = dict.fromkeys(range(PARTITIONS), 0)
        self.acknowledged = dict.fromkeys(range(PARTITIONS), 0)
        self.side = Side("observer", report.BOOTSTRAP)
        self.side.ids = self.ids
        self.abandoned = []
        self.members, self.movers = [], []

    def begin(self):
        corpus.coordinator(self.side)
        corpus.topic(self.side, TOPIC, PARTITIONS)
        corpus.topic(self.side, OUT, 2)
        transactions.identity(self.side, "kg-warm")
        self.side.ask("IncrementalAlterConfigs", 1, {"Resources": [
            {"ResourceType": 32, "ResourceName": GROUP, "Configs": [{"Name": "consumer.assignment.interval.ms", "ConfigOperation": 0, "Value": "0"}]}]})
        self.members = [Member(f"kg-member-{number}", self) for number in range(MEMBERS)]
        self.movers = [Mover(f"kg-mover-{number}", self) for number in range(PRODUCERS)]

    def actors(self):
        return [*self.members, *self.movers]

    def progress(self):
        """Waits until every actor has done something, and offsets and transactions were committed."""
        steps = [actor.steps for actor in self.actors()]
        before = (sum(self.acknowledged.values()), sum(len(mover.committed) for mover in self.movers), self.moves)

        def moved():
            for actor in self.actors():
                assert actor.failure is None, f"{actor.name}: {actor.failure!r}"
            now = (sum(self.acknowledged.values()), sum(len(mover.committed) for mover in self.movers), self.moves)
            return all(actor.steps > had for actor, had in zip(self.actors(), steps)) and all(one > other for one, other in zip(now, before))
        report.eventually("progress of everybody", 40, moved)

    def abandon(self, number):
        """A transaction that nobody will end."""
        name = f"kg-abandoned-{number}"
        producer, epoch = transactions.identity(self.side, name, timeout=TIMEOUT_MS)
        answer = transactions.write(self.side, 12, name, OUT, producer, epoch, partition=number % 2, values=[name.encode()])
        code = answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]
        assert code == 0, answer
        self.abandoned.append(name)

    def round(self, number):
        self.progress()
        self.abandon(number)
        time.sleep(random.Random(f"{SEED} {number}").uniform(0, 0.4))
        report.server("kill")
        self.side.drop("main")
        report.server("start")
        with self.lock:
            acknowledged = dict(self.acknowledged)
        found = report.eventually("the group can be asked", 20, self.committed)
        lost = {partition: (offset, found.get(partition)) for partition, offset in acknowledged.items() if offset > found.get(partition, 0)}
        report.equal("acknowledged offsets that are gone", {}, lost)

    def committed(self):
        try:
            answer = self.side.ask("OffsetFetch", 7, {"GroupId": GROUP, "Topics": [{"Name": TOPIC, "PartitionIndexes": list(range(PARTITIONS))}], "RequireStable": False})
        except TROUBLE:
            self.side.drop("main")
            return None
        return None if answer["ErrorCode"] else {row["PartitionIndex"]: row["CommittedOffset"] for row in answer["Topics"][0]["Partitions"]}

    def settle(self):
        for actor in self.actors():
            actor.stop()
            assert actor.failure is None, f"{actor.name}: {actor.failure!r}"
        began = time.monotonic()
        limit = TIMEOUT_MS / 1000 + GRACE_SECONDS
        report.eventually("the end of all transactions", limit, lambda: all(self.end(partition, 0) == self.end(partition, 1) for partition in range(2)))
        print(f"all transactions were over after {time.monotonic() - began:.1f} s")
        for name in self.abandoned:
            state = transactions.described(self.side, name)["TransactionStates"][0]["TransactionState"]
            report.equal(name, "CompleteAbort", state)

    def end(self, partition, isolation):
        answer = self.side.ask("ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": isolation, "Topics": [
            {"Name": OUT, "Partitions": [{"PartitionIndex": partition, "CurrentLeaderEpoch": -1, "Timestamp": -1}]}]})
        return answer["Topics"][0]["Partitions"][0]["Offset"]

    def visible(self, partition):
        """The values that a reader of what is committed sees."""
        seen, offset, end = [], 0, self.end(partition, 1)
        while offset < end:
            answer = self.side.ask("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "IsolationLevel": 1, "Topics": [
                {"Topic": OUT, "Partitions": [{"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]}]})
            row = answer["Responses"][0]["Partitions"][0]
            assert row["ErrorCode"] == 0, row
            waiting = sorted(((one["FirstOffset"], one["ProducerId"]) for one in row["AbortedTransactions"] or []), reverse=True)
            offset, values = read(row["Records"], offset, waiting)
            seen += values
        return seen

    def judge(self):
        seen = [self.visible(partition) for partition in range(2)]
        for partition, values in enumerate(seen):
            report.equal(f"values twice in partition {partition}", len(set(values)), len(values))
        report.equal("half visible", set(), set(seen[0]) ^ set(seen[1]))
        for mover in self.movers:
            own = {value for value in seen[0] if value.startswith(f"{mover.name}:")}
            report.equal(f"{mover.name}: committed and not there", set(), mover.committed - own)
            wrong = {value: mover.answers.get(int(value.split(":")[1])) for value in own - mover.committed - mover.unknown}
            report.equal(f"{mover.name}: there and not committed", {}, wrong)
            last = max(int(value.split(":")[1]) for value in own)
            answer = self.side.ask("OffsetFetch", 7, {"GroupId": mover.name, "Topics": [{"Name": OUT, "PartitionIndexes": [0]}], "RequireStable": True})
            report.equal(f"{mover.name}: the offset of its last transaction", last, answer["Topics"][0]["Partitions"][0]["CommittedOffset"])
        asked, found = dict(self.asked), self.committed()
        wrong = {partition: found[partition] for partition in found if not self.acknowledged[partition] <= found[partition] <= asked[partition]}
        report.equal("offsets that nobody committed, or that are gone", {}, wrong)
        counts = {"commits": sum(self.acknowledged.values()), "moves of partitions": self.moves, "committed": sum(len(mover.committed) for mover in self.movers),
                  "aborted": sum(len(mover.aborted) for mover in self.movers), "unknown": sum(len(mover.unknown) for mover in self.movers)}
        print(counts)
        for what in ("commits", "moves of partitions", "committed", "aborted"):
            assert counts[what] >= ROUNDS, counts


def read(data, offset, waiting):
    """The offset after the last whole batch, and the values of those from `offset` on that were not aborted."""
    values, aborted = [], set()
    for found in batch.read(data or b""):
        if found == "cut off":
            break
        last = found["BaseOffset"] + found["LastDelta"]
        while waiting and waiting[-1][0] <= last:
            aborted.add(waiting.pop()[1])
        if found["Attributes"] & 0x20:
            aborted.discard(found["ProducerId"])
        elif last >= offset and found["ProducerId"] not in aborted:
            values.append(value_of(bytes.fromhex(found["Records"])))
        offset = max(offset, last + 1)
    return offset, values


def value_of(record):
    """The value of the only record of a batch, which has no key."""
    reader = wire.Reader(record)
    reader.signed_varint()
    reader.take(1)
    reader.signed_varint()
    reader.signed_varint()
    assert reader.signed_varint() == -1
    return reader.take(reader.signed_varint()).decode()


def main():
    world = World()
    attempts = [("members and producers begin", world.begin)]
    attempts += [(f"kill {number + 1} of {ROUNDS}, seed {SEED}", lambda number=number: world.round(number)) for number in range(ROUNDS)]
    attempts += [("every transaction ends in time", world.settle), ("transactions are there as a whole or not at all, and offsets are kept", world.judge)]
    for name, act in attempts:
        if not report.attempt(name, act) and act == world.begin:
            break
    report.say("@done")
    os._exit(0)


main()
