"""confluent-kafka, the Python client on librdkafka: producer, consumer, admin client, groups."""

import time

from confluent_kafka import (
    OFFSET_BEGINNING, OFFSET_END, Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException,
    Producer, TopicCollection, TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType,
)

from report import BOOTSTRAP, check, equal, eventually, run

ADMIN = AdminClient({"bootstrap.servers": BOOTSTRAP})


def create(name, partitions=1, **config):
    ADMIN.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(20)
    eventually(f"{name} is known", 10, lambda: name in ADMIN.list_topics(timeout=10).topics)


def produce(topic, records, partition=-1, **config):
    """Sends (key, value) pairs and returns the delivered messages."""
    delivered = []
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 5, **config})

    def done(error, message):
        if error is not None:
            raise KafkaException(error)
        delivered.append(message)

    for key, value in records:
        producer.produce(topic, value, key, partition=partition, on_delivery=done)
        producer.poll(0)
    equal("undelivered", 0, producer.flush(30))
    return delivered


def consumer(group, **config):
    return Consumer({
        "bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, **config,
    })


def take(client, count, seconds=30):
    """`count` records of a consumer."""
    taken = []
    end = time.monotonic() + seconds
    while len(taken) < count:
        assert time.monotonic() < end, f"{len(taken)} of {count} records after {seconds} s"
        for message in client.consume(count - len(taken), 0.5):
            assert message.error() is None, message.error()
            taken.append(message)
    return taken


@check
def the_cluster_describes_itself():
    cluster = ADMIN.describe_cluster().result(20)
    equal("nodes", 1, len(cluster.nodes))
    equal("address", BOOTSTRAP, f"{cluster.nodes[0].host}:{cluster.nodes[0].port}")
    assert cluster.cluster_id and cluster.controller is not None
    equal("cluster id", cluster.cluster_id, ADMIN.list_topics(timeout=10).cluster_id)


@check
def topics_are_created_described_and_deleted():
    create("ck-life", 3)
    described = ADMIN.describe_topics(TopicCollection(["ck-life"]))["ck-life"].result(20)
    equal("partitions", [0, 1, 2], sorted(p.id for p in described.partitions))
    equal("leader", {1}, {p.leader.id for p in described.partitions})
    assert described.topic_id is not None
    ADMIN.delete_topics(["ck-life"])["ck-life"].result(20)
    eventually("ck-life is gone", 10, lambda: "ck-life" not in ADMIN.list_topics(timeout=10).topics)


@check
def creating_a_topic_twice_is_an_error():
    create("ck-twice")
    try:
        ADMIN.create_topics([NewTopic("ck-twice", 1, 1)])["ck-twice"].result(20)
    except KafkaException as error:
        equal("code", KafkaError.TOPIC_ALREADY_EXISTS, error.args[0].code())
        assert "ck-twice" in error.args[0].str(), error.args[0].str()
    else:
        raise AssertionError("the second creation was accepted")


@check
def bad_topics_are_refused_each_with_its_code():
    cases = [
        (NewTopic("ck bad name", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic("ck-zero", 0, 1), KafkaError.INVALID_PARTITIONS),
        (NewTopic("ck-replicas", 1, 3), KafkaError.INVALID_REPLICATION_FACTOR),
        (NewTopic("ck-config", 1, 1, config={"no.such.key": "1"}), KafkaError.INVALID_CONFIG),
        (NewTopic("ck-value", 1, 1, config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG),
    ]
    for topic, code in cases:
        try:
            ADMIN.create_topics([topic])[topic.topic].result(20)
        except KafkaException as error:
            equal(topic.topic, code, error.args[0].code())
        else:
            raise AssertionError(f"{topic.topic} was accepted")


@check
def partitions_are_added_and_never_removed():
    create("ck-grow", 2)
    ADMIN.create_partitions([NewPartitions("ck-grow", 5)])["ck-grow"].result(20)
    eventually("5 partitions", 10, lambda: len(ADMIN.list_topics("ck-grow", 10).topics["ck-grow"].partitions) == 5)
    try:
        ADMIN.create_partitions([NewPartitions("ck-grow", 3)])["ck-grow"].result(20)
    except KafkaException as error:
        equal("code", KafkaError.INVALID_PARTITIONS, error.args[0].code())
    else:
        raise AssertionError("partitions were removed")


@check
def topic_configs_are_read_and_changed():
    create("ck-config-change", **{"retention.ms": "123456"})
    resource = ConfigResource(ResourceType.TOPIC, "ck-config-change")

    def read():
        return ADMIN.describe_configs([resource])[resource].result(20)

    equal("as created", "123456", read()["retention.ms"].value)
    equal("default", "delete", read()["cleanup.policy"].value)
    assert read()["cleanup.policy"].is_default and not read()["retention.ms"].is_default
    change = ConfigResource(ResourceType.TOPIC, "ck-config-change", incremental_configs=[
        ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND),
        ConfigEntry("retention.ms", None, incremental_operation=AlterConfigOpType.DELETE),
        ConfigEntry("max.message.bytes", "2000000", incremental_operation=AlterConfigOpType.SET),
    ])
    ADMIN.incremental_alter_configs([change])[change].result(20)
    eventually("the change is seen", 10, lambda: read()["max.message.bytes"].value == "2000000")
    equal("appended", "delete,compact", read()["cleanup.policy"].value)
    equal("deleted", "604800000", read()["retention.ms"].value)


@check
def every_codec_and_key_partitioning_round_trips():
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        topic = f"ck-codec-{codec}"
        create(topic, 3)
        sent = [(f"key-{n % 17}", f"{codec} value {n} " * 5) for n in range(300)]
        produce(topic, sent, **{"compression.type": codec})
        client = consumer(f"ck-codec-{codec}")
        client.subscribe([topic])
        got = take(client, 300)
        equal("records", sorted(sent), sorted((m.key().decode(), m.value().decode()) for m in got))
        places = {}
        for message in got:
            places.setdefault(message.key(), set()).add(message.partition())
        assert all(len(found) == 1 for found in places.values()), "a key is on two partitions"
        client.close()


@check
def delivery_reports_and_idempotence_give_dense_offsets():
    create("ck-idempotent")
    sent = [(None, str(n)) for n in range(2000)]
    delivered = produce("ck-idempotent", sent, **{"enable.idempotence": True, "batch.num.messages": 50})
    equal("offsets", list(range(2000)), [m.offset() for m in delivered])
    client = consumer("ck-idempotent")
    client.assign([TopicPartition("ck-idempotent", 0, 0)])
    equal("order", [v for _, v in sent], [m.value().decode() for m in take(client, 2000)])
    client.close()


@check
def headers_timestamps_and_null_values_survive():
    create("ck-parts")
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    producer.produce("ck-parts", None, b"tombstone", timestamp=1_600_000_000_123,
                     headers=[("a", b"1"), ("a", b"2"), ("none", None), ("empty", b"")])
    equal("undelivered", 0, producer.flush(20))
    client = consumer("ck-parts")
    client.subscribe(["ck-parts"])
    message = take(client, 1)[0]
    equal("value", None, message.value())
    equal("key", b"tombstone", message.key())
    equal("headers", [("a", b"1"), ("a", b"2"), ("none", None), ("empty", b"")], message.headers())
    equal("timestamp", (1, 1_600_000_000_123), message.timestamp())
    client.close()


@check
def seek_position_and_watermarks_agree():
    create("ck-seek")
    produce("ck-seek", [(None, str(n)) for n in range(100)])
    client = consumer("ck-seek")
    partition = TopicPartition("ck-seek", 0)
    client.assign([TopicPartition("ck-seek", 0, OFFSET_BEGINNING)])
    equal("first", "0", take(client, 1)[0].value().decode())
    client.seek(TopicPartition("ck-seek", 0, 42))
    equal("after a seek", "42", take(client, 1)[0].value().decode())
    equal("position", 43, client.position([partition])[0].offset)
    equal("watermarks", (0, 100), client.get_watermark_offsets(partition, 10))
    client.seek(TopicPartition("ck-seek", 0, OFFSET_END))
    equal("nothing at the end", None, client.poll(0.5))
    client.close()


@check
def offsets_are_listed_by_time_and_kind():
    create("ck-offsets")
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    for number in range(10):
        producer.produce("ck-offsets", str(number), timestamp=1_000_000 + number * 1000)
    producer.flush(20)
    partition = TopicPartition("ck-offsets", 0)
    for spec, offset in [
        (OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 10), (OffsetSpec.max_timestamp(), 9),
        (OffsetSpec.for_timestamp(1_004_500), 5), (OffsetSpec.for_timestamp(9_000_000), -1),
    ]:
        got = ADMIN.list_offsets({partition: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)[partition].result(20)
        equal(str(spec), offset, got.offset)
    client = consumer("ck-offsets")
    equal("offsets_for_times", 3, client.offsets_for_times([TopicPartition("ck-offsets", 0, 1_002_001)], 10)[0].offset)
    client.close()


@check
def records_are_deleted_up_to_an_offset():
    create("ck-delete-records")
    produce("ck-delete-records", [(None, str(n)) for n in range(30)])
    partition = TopicPartition("ck-delete-records", 0, 12)
    equal("low watermark", 12, ADMIN.delete_records([partition])[partition].result(20).low_watermark)
    client = consumer("ck-delete-records")
    client.subscribe(["ck-delete-records"])
    equal("first left", 12, take(client, 1)[0].offset())
    client.close()
    beyond = TopicPartition("ck-delete-records", 0, 500)
    try:
        ADMIN.delete_records([beyond])[beyond].result(20)
    except KafkaException as error:
        equal("code", KafkaError.OFFSET_OUT_OF_RANGE, error.args[0].code())
    else:
        raise AssertionError("an offset beyond the end was accepted")


@check
def commits_are_kept_and_read_back():
    create("ck-commit", 2)
    produce("ck-commit", [(str(n), str(n)) for n in range(40)])
    client = consumer("ck-commit", **{"enable.auto.commit": False})
    client.subscribe(["ck-commit"])
    take(client, 40)
    committed = client.commit(asynchronous=False)
    equal("sum", 40, sum(p.offset for p in committed if p.offset > 0))
    client.commit(offsets=[TopicPartition("ck-commit", 0, 7, metadata="half way")], asynchronous=False)
    client.close()
    client = consumer("ck-commit")
    got = client.committed([TopicPartition("ck-commit", 0)], 10)[0]
    equal("offset and metadata", (7, "half way"), (got.offset, got.metadata))
    client.close()


@check
def a_group_is_listed_described_altered_and_deleted():
    create("ck-admin", 2)
    produce("ck-admin", [(None, "x")] * 10)
    client = consumer("ck-admin", **{"client.id": "ck-member"})
    client.subscribe(["ck-admin"])
    take(client, 10)
    client.commit(asynchronous=False)
    described = ADMIN.describe_consumer_groups(["ck-admin"])["ck-admin"].result(20)
    equal("state", "STABLE", described.state.name)
    equal("members", ["ck-member"], [m.client_id for m in described.members])
    equal("partitions", 2, len(described.members[0].assignment.topic_partitions))
    equal("assignor", "range", described.partition_assignor)
    assert "ck-admin" in {g.group_id for g in ADMIN.list_consumer_groups().result(20).valid}
    try:
        ADMIN.delete_consumer_groups(["ck-admin"])["ck-admin"].result(20)
    except KafkaException as error:
        equal("while it has members", KafkaError.NON_EMPTY_GROUP, error.args[0].code())
    else:
        raise AssertionError("a group with members was deleted")
    client.close()
    eventually("the group is empty", 10, lambda: ADMIN.describe_consumer_groups(["ck-admin"])["ck-admin"].result(20).state.name == "EMPTY")
    change = ConsumerGroupTopicPartitions("ck-admin", [TopicPartition("ck-admin", 0, 3)])
    ADMIN.alter_consumer_group_offsets([change])["ck-admin"].result(20)
    ask = ConsumerGroupTopicPartitions("ck-admin", [TopicPartition("ck-admin", 0)])
    got = ADMIN.list_consumer_group_offsets([ask])["ck-admin"].result(20)
    equal("altered", 3, got.topic_partitions[0].offset)
    ADMIN.delete_consumer_groups(["ck-admin"])["ck-admin"].result(20)
    assert "ck-admin" not in {g.group_id for g in ADMIN.list_consumer_groups().result(20).valid}


@check
def every_assignor_shares_all_partitions_of_a_group():
    create("ck-assignors", 6)
    for assignor in ["range", "roundrobin", "cooperative-sticky"]:
        members = [consumer(f"ck-{assignor}", **{"partition.assignment.strategy": assignor}) for _ in range(3)]
        for client in members:
            client.subscribe(["ck-assignors"])

        def shared():
            for client in members:
                client.poll(0.05)
            parts = [sorted(p.partition for p in client.assignment()) for client in members]
            return sorted(sum(parts, [])) == list(range(6)) and all(len(part) == 2 for part in parts)

        eventually(f"{assignor} gives two partitions each", 30, shared)
        for client in members:
            client.close()


@check
def a_static_member_comes_back_without_a_rebalance():
    create("ck-static", 2)
    config = {"group.instance.id": "ck-instance", "session.timeout.ms": 10000}
    seen = []
    other = consumer("ck-static", **{"group.instance.id": "ck-other", "session.timeout.ms": 10000})
    other.subscribe(["ck-static"], on_assign=lambda _c, parts: seen.append(len(parts)))
    first = consumer("ck-static", **config)
    first.subscribe(["ck-static"])

    def settled():
        first.poll(0.1)
        other.poll(0.1)
        return len(first.assignment()) == 1 and len(other.assignment()) == 1

    eventually("both have one partition", 30, settled)
    rounds = len(seen)
    first.close()  # a static member leaves no group when it closes
    second = consumer("ck-static", **config)
    second.subscribe(["ck-static"])

    def back():
        second.poll(0.1)
        other.poll(0.1)
        return len(second.assignment()) == 1

    eventually("the instance is back", 20, back)
    equal("rounds seen by the other member", rounds, len(seen))
    second.close()
    other.close()


def next_generation(group, **config):
    """A consumer of the consumer protocol, whose times the broker sets."""
    resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=[
        ConfigEntry("consumer.heartbeat.interval.ms", "5000", incremental_operation=AlterConfigOpType.SET)])
    ADMIN.incremental_alter_configs([resource])[resource].result(20)
    return Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "group.protocol": "consumer", "auto.offset.reset": "earliest", **config})


def shared(members, counts):
    """Whether the members have so many partitions each, with no partition twice."""
    for client in members:
        client.poll(0.05)
    parts = [{(p.topic, p.partition) for p in client.assignment()} for client in members]
    return sorted(map(len, parts)) == sorted(counts) and len(set().union(*parts)) == sum(counts)


@check
def the_broker_assigns_partitions_in_the_consumer_protocol():
    create("ck-next", 4)
    produce("ck-next", [(str(n), str(n)) for n in range(40)])
    for assignor in ["uniform", "range"]:
        group = f"ck-next-{assignor}"
        members = [next_generation(group, **{"group.remote.assignor": assignor, "client.id": f"ck-next-{n}"}) for n in range(2)]
        members[0].subscribe(["ck-next"])
        equal("records", 40, len(take(members[0], 40)))
        members[0].commit(asynchronous=False)
        members[1].subscribe(["ck-next"])
        eventually(f"{assignor} gives two partitions each", 40, lambda: shared(members, [2, 2]))
        described = ADMIN.describe_consumer_groups([group])[group].result(20)
        equal("type", "CONSUMER", described.type.name)
        equal("assignor", assignor, described.partition_assignor)
        equal("members", ["ck-next-0", "ck-next-1"], sorted(m.client_id for m in described.members))
        members[0].close()
        eventually("the other takes over", 40, lambda: shared(members[1:], [4]))
        members[1].close()


@check
def the_broker_resolves_regular_expressions():
    for name in ["ck-re-a", "ck-re-b", "ck-xre"]:
        create(name)
    client = next_generation("ck-re")
    client.subscribe(["^ck-re-.*"])
    eventually("both topics", 40, lambda: shared([client], [2]))
    create("ck-re-c")
    eventually("a topic that came later", 40, lambda: shared([client], [3]))
    client.close()


@check
def static_members_of_the_consumer_protocol_come_back():
    create("ck-next-static", 4)
    members = [next_generation("ck-next-static", **{"group.instance.id": f"ck-i-{n}"}) for n in range(2)]
    for client in members:
        client.subscribe(["ck-next-static"])
    eventually("two partitions each", 40, lambda: shared(members, [2, 2]))
    had = sorted(p.partition for p in members[0].assignment())
    members[0].close()
    members[0] = next_generation("ck-next-static", **{"group.instance.id": "ck-i-0"})
    members[0].subscribe(["ck-next-static"])
    eventually("two partitions each again", 40, lambda: shared(members, [2, 2]))
    equal("partitions", had, sorted(p.partition for p in members[0].assignment()))
    equal("members", 2, len(ADMIN.describe_consumer_groups(["ck-next-static"])["ck-next-static"].result(20).members))
    for client in members:
        client.close()


@check
def transactions_commit_and_abort_records_and_offsets():
    create("ck-txn")
    place = TopicPartition("ck-txn", 0)

    def transactional():
        made = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": "ck-txn"})
        made.init_transactions(20)
        return made

    reader = consumer("ck-txn", **{"isolation.level": "read_committed"})
    producer = transactional()
    for number in range(4):
        producer.begin_transaction()
        producer.produce("ck-txn", str(number))
        producer.send_offsets_to_transaction([TopicPartition("ck-txn", 0, 10 + number)], reader.consumer_group_metadata(), 20)
        if number % 2 == 0:
            producer.commit_transaction(20)
        else:
            producer.abort_transaction(20)
    second = transactional()
    try:
        producer.begin_transaction()
        producer.produce("ck-txn", "fenced")
        producer.commit_transaction(20)
    except KafkaException as error:
        assert error.args[0].fatal(), error
    else:
        raise AssertionError("a fenced producer has committed")
    second.begin_transaction()
    second.produce("ck-txn", "last")
    second.commit_transaction(20)
    eventually("the offset counts", 10, lambda: reader.committed([place], 10)[0].offset == 12)
    reader.assign([TopicPartition("ck-txn", 0, 0)])
    equal("committed", ["0", "2", "last"], [message.value().decode() for message in take(reader, 3)])
    reader.close()


@check
def unknown_partitions_are_errors():
    try:
        produce("ck-seek", [(None, "x")], partition=7, **{"message.timeout.ms": 5000})
    except KafkaException as error:
        assert error.args[0].code() in (KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART), error
    else:
        raise AssertionError("partition 7 of 1 was accepted")


if __name__ == "__main__":
    run()
