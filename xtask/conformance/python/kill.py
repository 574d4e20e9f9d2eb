"""The broker is killed without warning, over and over, under load: nothing it acknowledged may be gone.

Three clients work all the time and outlive the broker: an idempotent producer with acks=all, a producer with acks=1, and a
group that commits. After the last round every acknowledged record is read back.
"""

import os
import random
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import report
from report import BOOTSTRAP, equal, eventually

ROUNDS = int(os.environ.get("ROUNDS", "20"))
SEED = int(os.environ.get("SEED", "1")) or 1
PRODUCERS = {
    "kill-idempotent": {"enable.idempotence": True, "acks": "all"},
    "kill-plain": {"enable.idempotence": False, "acks": "1", "max.in.flight": 1},
}
CODECS = ["none", "lz4", "zstd", "gzip", "snappy"]


class Load:
    """A producer on a thread of its own; remembers the offset of each value that was acknowledged."""

    def __init__(self, topic, config, codec):
        self.topic = topic
        self.acknowledged = {}
        self.failed = []
        self.stopped = False
        self.producer = Producer({
            "bootstrap.servers": BOOTSTRAP, "linger.ms": 2, "compression.type": codec, "message.timeout.ms": 120_000,
            "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 50, **config})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopped:
            try:
                self.producer.produce(self.topic, str(number), on_delivery=self.delivered)
                number += 1
            except BufferError:
                self.producer.poll(0.05)
            self.producer.poll(0)
            if number % 50 == 0:
                time.sleep(0.005)
        self.left = self.producer.flush(60)

    def delivered(self, error, message):
        value = int(message.value())
        if error is None:
            self.acknowledged[value] = message.offset()
        else:
            self.failed.append((value, str(error)))

    def stop(self):
        self.stopped = True
        self.thread.join()


class Commits:
    """A group without members whose offset rises by one with each commit."""

    def __init__(self):
        self.highest = 0
        self.stopped = False
        self.consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "kill-group", "enable.auto.commit": False, "reconnect.backoff.max.ms": 200})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopped:
            try:
                self.consumer.commit(offsets=[TopicPartition("kill-plain", 0, self.highest + 1)], asynchronous=False)
                self.highest += 1
            except KafkaException:
                time.sleep(0.05)

    def committed(self):
        """What the broker says, or nothing while it cannot be reached."""
        try:
            return self.consumer.committed([TopicPartition("kill-plain", 0)], 10)[0]
        except KafkaException:
            return None

    def stop(self):
        self.stopped = True
        self.thread.join()


def read(topic, end):
    """All (offset, value) of a topic, up to offset `end`."""
    client = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "kill-read", "enable.auto.commit": False, "fetch.wait.max.ms": 100})
    client.assign([TopicPartition(topic, 0, 0)])
    found = []
    limit = time.monotonic() + 50
    while not found or found[-1][0] < end - 1:
        assert time.monotonic() < limit, f"{len(found)} records of {topic} read, its end is {end}"
        for message in client.consume(10_000, 0.5):
            assert message.error() is None, message.error()
            found.append((message.offset(), int(message.value())))
    client.close()
    return found


def end_of(topic):
    client = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "kill-read"})
    end = client.get_watermark_offsets(TopicPartition(topic, 0), 20)[1]
    client.close()
    return end


def main():
    randomness = random.Random(SEED)
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP, "reconnect.backoff.max.ms": 200})
    loads = {}
    commits = None
    created = []

    def begin():
        nonlocal commits
        for future in admin.create_topics([NewTopic(topic, 1, 1) for topic in PRODUCERS]).values():
            future.result(20)
        for topic, config in PRODUCERS.items():
            loads[topic] = Load(topic, config, randomness.choice(CODECS))
        commits = Commits()
        eventually("load", 30, lambda: all(load.acknowledged for load in loads.values()) and commits.highest)

    def one_round(number):
        before = {topic: len(load.acknowledged) for topic, load in loads.items()}
        eventually("progress", 40, lambda: all(len(load.acknowledged) > before[topic] for topic, load in loads.items()))
        name = f"kill-topic-{number}"
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)
        created.append(name)
        time.sleep(randomness.uniform(0, 1))
        report.server("kill")
        time.sleep(randomness.uniform(0, 0.3))
        report.server("start")

    def settle():
        for load in loads.values():
            load.stop()
            equal("never delivered", (0, []), (load.left, load.failed[:3]))
        commits.stop()

    def idempotent():
        load = loads["kill-idempotent"]
        found = read("kill-idempotent", end_of("kill-idempotent"))
        values = [value for _, value in found]
        equal("values in order, each once", list(range(len(load.acknowledged))), values)
        equal("acknowledged offsets", load.acknowledged, {value: offset for offset, value in found})

    def plain():
        load = loads["kill-plain"]
        at = dict(read("kill-plain", end_of("kill-plain")))
        lost = [(value, offset) for value, offset in load.acknowledged.items() if at.get(offset) != value]
        equal("acknowledged and not where it was said", [], lost[:5])
        offsets = [load.acknowledged[value] for value in sorted(load.acknowledged)]
        equal("order of the acknowledged", sorted(offsets), offsets)

    def kept():
        found = eventually("an answer", 20, commits.committed)
        assert found.offset >= commits.highest, f"offset {found.offset} is committed, {commits.highest} was acknowledged"
        missing = set(created) - set(admin.list_topics(timeout=20).topics)
        equal("topics that are gone", set(), missing)

    attempts = [("load from three clients", begin)]
    attempts += [(f"kill {number + 1} of {ROUNDS}, seed {SEED}", lambda number=number: one_round(number)) for number in range(ROUNDS)]
    attempts += [
        ("the clients come to an end", settle), ("the idempotent producer's records are there once and in order", idempotent),
        ("the records acknowledged by the leader are there", plain), ("commits and topics are there", kept),
    ]
    for name, act in attempts:
        if not report.attempt(name, act) and act is begin:
            break
    report.say("@done")
    os._exit(0)


main()
