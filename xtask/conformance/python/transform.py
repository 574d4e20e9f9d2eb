"""A worker of the exactly-once workload on librdkafka: `work NAME SEED SLOTS`.

It does what the role `work` of `java/Transform.java` does, and tells it in the same lines.
"""

import json
import os
import random
import sys
import threading
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

IN, OUT = "eos-in", "eos-out"
RECORDS_OF_TRANSACTION_MAX = 2
ABORT_ONE_IN = 20
TRIES_MAX = 3
CLIENT = {
    "bootstrap.servers": os.environ["BOOTSTRAP"], "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 20, "socket.timeout.ms": 5_000, "topic.metadata.refresh.interval.ms": 5_000,
    # When all brokers are down librdkafka begins anew with the bootstrap addresses and gives up the brokers that it knew.
    # Offsets of a transaction then wait for ever for the coordinator that was given up (its issues 5511 and 5456).
    "metadata.recovery.strategy": "none",
    # That a connection was cut is no news here.
    "log_level": 5,
}
LOCK = threading.Lock()


def tell(*line):
    with LOCK:
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def now():
    return time.monotonic_ns()


class Worker:
    """One consumer and one transactional producer."""

    def __init__(self, name, slot, seed):
        self.who = f"{name}/{slot}"
        self.random = random.Random(seed + slot)
        self.transactions = 0
        self.producer = Producer({
            **CLIENT, "transactional.id": f"eos-{name.split('.')[0]}-{slot}", "transaction.timeout.ms": 10_000,
            "message.timeout.ms": 10_000, "linger.ms": 0})
        self.consumer = Consumer({
            **CLIENT, "group.id": "eos-group", "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "isolation.level": "read_committed", "session.timeout.ms": 1_500, "heartbeat.interval.ms": 300,
            # A member that waits for its transaction holds up a rebalance for so long.
            "max.poll.interval.ms": 15_000})

    def run(self):
        self.producer.init_transactions(30)
        self.consumer.subscribe([IN], on_assign=lambda *_: tell("assign", self.who, now()))
        while True:
            records = [record for record in self.consumer.consume(RECORDS_OF_TRANSACTION_MAX, 0.2) if record.error() is None]
            if records:
                self.transact(records)

    def transact(self, records):
        self.transactions += 1
        number = str(self.transactions)
        outputs = [(record.partition(), f"{record.value().decode()}@{self.who}:{number}") for record in records]
        offsets = {record.partition(): record.offset() + 1 for record in records}
        tell("begin", self.who, now(), number,
             [[f"{IN}-{record.partition()}", record.offset(), record.value().decode()] for record in records],
             [[f"{OUT}-{partition}", value] for partition, value in outputs],
             [[f"{IN}-{partition}", offset] for partition, offset in offsets.items()])
        placed = []

        def delivered(error, message):
            if error is None:
                placed.append([message.value().decode(), message.offset()])

        try:
            self.producer.begin_transaction()
            for partition, value in outputs:
                self.producer.produce(OUT, value, partition=partition, on_delivery=delivered)
            places = [TopicPartition(IN, partition, offset) for partition, offset in offsets.items()]
            group = self.consumer.consumer_group_metadata()
            again(lambda: self.producer.send_offsets_to_transaction(places, group, 5))
            if self.random.randrange(ABORT_ONE_IN) == 0:
                tell("ending", self.who, now(), number, False)
                self.abort(number, records)
                return
            tell("ending", self.who, now(), number, True)
            # A commit that takes too long is asked for again: it cannot be taken back.
            again(lambda: self.producer.commit_transaction(5))
            tell("end", self.who, now(), number, "ok", placed)
        except KafkaException as failure:
            print(f"{self.who} failed: {failure}", flush=True)
            if not failure.args[0].txn_requires_abort():
                raise
            self.abort(number, records)

    def abort(self, number, records):
        again(lambda: self.producer.abort_transaction(5))
        tell("end", self.who, now(), number, "fail", [])
        # What was read is read again.
        tell("assign", self.who, now())
        first = {}
        for record in records:
            first.setdefault(record.partition(), record.offset())
        assigned = {partition.partition for partition in self.consumer.assignment()}
        for partition, offset in first.items():
            if partition in assigned:
                self.consumer.seek(TopicPartition(IN, partition, offset))


def again(call):
    """Calls until it is done, or has failed for another reason than time."""
    for tries in range(TRIES_MAX):
        try:
            return call()
        except KafkaException as failure:
            if not failure.args[0].retriable() or tries == TRIES_MAX - 1:
                raise


def live(name, slot, seed):
    """A worker whose producer is over ends the process: a member without a producer must not hold its partitions."""
    try:
        Worker(name, slot, seed).run()
    except BaseException as failure:
        print(f"{name}/{slot} ends: {failure!r}", flush=True)
        os._exit(1)


def work(name, seed, slots):
    workers = [threading.Thread(target=live, args=(name, slot, seed)) for slot in range(slots)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    assert sys.argv[1] == "work", sys.argv
    work(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
