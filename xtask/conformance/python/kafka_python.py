"""kafka-python, a client written in Python alone: it shares no code with librdkafka or with the Java client."""

import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import (
    InvalidTopicError, KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError, UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from report import BOOTSTRAP, check, equal, eventually, run

ADMIN = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def create(name, partitions=1, config=None):
    ADMIN.create_topics([NewTopic(name, partitions, 1, topic_configs=config or {})])
    eventually(f"{name} is known", 10, lambda: name in ADMIN.list_topics())


def produce(topic, records, **config):
    """Sends (key, value, partition) triples and returns their metadata."""
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, **config)
    futures = [producer.send(topic, value, key, partition=partition) for key, value, partition in records]
    producer.flush(30)
    sent = [future.get(30) for future in futures]
    producer.close()
    return sent


def values(*topics, count, **config):
    """The values of the first `count` records."""
    consumer = KafkaConsumer(*topics, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest",
                             consumer_timeout_ms=20000, **config)
    taken = []
    for record in consumer:
        taken.append(record)
        if len(taken) == count:
            break
    consumer.close()
    equal("count", count, len(taken))
    return taken


@check
def the_cluster_describes_itself():
    cluster = ADMIN.describe_cluster()
    text = str(cluster)
    assert BOOTSTRAP.split(":")[1] in text, text


@check
def topics_are_created_listed_and_deleted():
    create("kp-life", 2)
    ADMIN.delete_topics(["kp-life"])
    eventually("kp-life is gone", 10, lambda: "kp-life" not in ADMIN.list_topics())


@check
def bad_topics_are_refused():
    create("kp-twice")
    for name, expected in [("kp-twice", TopicAlreadyExistsError), ("kp bad", InvalidTopicError)]:
        try:
            ADMIN.create_topics([NewTopic(name, 1, 1)])
        except expected:
            continue
        raise AssertionError(f"{name} was accepted")
    try:
        ADMIN.delete_topics(["kp-never-there"])
    except UnknownTopicOrPartitionError:
        return
    raise AssertionError("an unknown topic was deleted")


@check
def every_codec_round_trips():
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        topic = f"kp-{codec}"
        create(topic)
        sent = [(b"key", f"{codec} {n} ".encode() * 10, 0) for n in range(200)]
        metadata = produce(topic, sent, compression_type=codec, linger_ms=20)
        equal("offsets", list(range(200)), [m.offset for m in metadata])
        equal("values", [v for _, v, _ in sent], [r.value for r in values(topic, count=200, group_id=None)])


@check
def the_idempotent_producer_is_accepted():
    create("kp-idempotent")
    sent = produce("kp-idempotent", [(None, str(n).encode(), 0) for n in range(500)], enable_idempotence=True)
    equal("offsets", list(range(500)), [m.offset for m in sent])


@check
def transactions_commit_and_abort_records_and_offsets():
    create("kp-txn")
    partition = TopicPartition("kp-txn", 0)

    def transactional():
        made = KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id="kp-txn")
        made.init_transactions()
        return made

    producer = transactional()
    for number in range(4):
        producer.begin_transaction()
        producer.send("kp-txn", str(number).encode(), partition=0)
        producer.send_offsets_to_transaction({partition: OffsetAndMetadata(10 + number, "", -1)}, "kp-txn")
        if number % 2 == 0:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    second = transactional()
    try:
        producer.begin_transaction()
        producer.send("kp-txn", b"fenced", partition=0).get(20)
        producer.commit_transaction()
    except KafkaError:
        pass
    else:
        raise AssertionError("a fenced producer has committed")
    second.begin_transaction()
    second.send("kp-txn", b"last", partition=0)
    second.commit_transaction()
    seen = values("kp-txn", count=3, group_id=None, isolation_level="read_committed")
    equal("committed", [b"0", b"2", b"last"], [record.value for record in seen])
    reader = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id="kp-txn")
    equal("offset", 12, reader.committed(partition))
    reader.close()
    for client in (second, producer):
        client.close(1)


@check
def every_ack_level_is_accepted():
    create("kp-acks")
    for acks in [0, 1, "all"]:
        # Without idempotence, which allows no other level than all.
        produce("kp-acks", [(None, b"x", 0)], acks=acks, enable_idempotence=False)
    equal("records", 3, len(values("kp-acks", count=3, group_id=None)))


@check
def headers_keys_and_timestamps_survive():
    create("kp-parts")
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    producer.send("kp-parts", None, b"key", headers=[("a", b"1"), ("b", b"")], timestamp_ms=1_500_000_000_000).get(20)
    producer.close()
    record = values("kp-parts", count=1, group_id=None)[0]
    equal("record", (None, b"key", 1_500_000_000_000), (record.value, record.key, record.timestamp))
    equal("headers", [("a", b"1"), ("b", b"")], list(record.headers))


@check
def positions_are_found_by_time_and_by_end():
    create("kp-offsets")
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for number in range(20):
        producer.send("kp-offsets", b"x", timestamp_ms=5_000_000 + number * 100).get(20)
    producer.close()
    partition = TopicPartition("kp-offsets", 0)
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, auto_offset_reset="earliest")
    consumer.assign([partition])
    equal("beginning", {partition: 0}, consumer.beginning_offsets([partition]))
    equal("end", {partition: 20}, consumer.end_offsets([partition]))
    equal("by time", 8, consumer.offsets_for_times({partition: 5_000_750})[partition].offset)
    equal("too late", None, consumer.offsets_for_times({partition: 6_000_000})[partition])
    consumer.seek(partition, 15)
    equal("after a seek", 15, next(consumer).offset)
    equal("position", 16, consumer.position(partition))
    consumer.close()


@check
def commits_carry_offset_and_metadata():
    create("kp-commit")
    produce("kp-commit", [(None, str(n).encode(), 0) for n in range(10)])
    partition = TopicPartition("kp-commit", 0)

    def member():
        return KafkaConsumer("kp-commit", bootstrap_servers=BOOTSTRAP, group_id="kp-commit", enable_auto_commit=False,
                             auto_offset_reset="earliest", consumer_timeout_ms=20000)

    first = member()
    for _, record in zip(range(6), first):
        last = record
    first.commit({partition: OffsetAndMetadata(last.offset + 1, "six", -1)})
    equal("committed", 6, first.committed(partition))
    first.close()
    second = member()
    equal("goes on", 6, next(second).offset)
    equal("metadata", "six", second.committed(partition, metadata=True).metadata)
    second.close()


@check
def two_members_share_a_group():
    create("kp-share", 4)
    members = [KafkaConsumer("kp-share", bootstrap_servers=BOOTSTRAP, group_id="kp-share", heartbeat_interval_ms=300)
               for _ in range(2)]
    stop = threading.Event()

    # Long polls: kafka-python loses the assignment of a join that ends between two polls of which the first has given
    # up waiting for it, with Kafka as well.
    def poll(member):
        while not stop.is_set():
            member.poll(10000)

    threads = [threading.Thread(target=poll, args=(member,)) for member in members]
    for thread in threads:
        thread.start()
    try:
        eventually("two partitions each", 30, lambda: [len(m.assignment()) for m in members] == [2, 2])
    finally:
        stop.set()
        produce("kp-share", [(None, b"wakes the polls", partition) for partition in range(4)])
        for thread in threads:
            thread.join()
    group = ADMIN.describe_groups(["kp-share"])
    assert "Stable" in str(group) or "STABLE" in str(group), group
    members[0].close()
    end = time.monotonic() + 30
    while len(members[1].assignment()) < 4:
        members[1].poll(2000)
        assert time.monotonic() < end, "the member that is left did not take over"
    members[1].close()


@check
def partitions_and_configs_are_changed():
    create("kp-change", 1, {"retention.ms": "1000000"})
    ADMIN.create_partitions({"kp-change": NewPartitions(3)})
    eventually("3 partitions", 10, lambda: len(ADMIN.describe_topics(["kp-change"])[0]["partitions"]) == 3)
    text = str(ADMIN.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "kp-change")]))
    assert "1000000" in text and "retention.ms" in text, text[:500]


@check
def records_that_are_too_large_are_refused():
    create("kp-small", 1, {"max.message.bytes": "2000"})
    try:
        produce("kp-small", [(None, b"x" * 5000, 0)])
    except MessageSizeTooLargeError:
        return
    raise AssertionError("a record above max.message.bytes was accepted")


if __name__ == "__main__":
    run()
