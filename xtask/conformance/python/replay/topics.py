"""Topics and configs: creation, deletion, growth, description, change."""

from . import wire
from .corpus import at_least, case, fill, gone, led, topic
from .sides import UNKNOWN_ID, until


def create(side, version, *rows, validate=False):
    return side.ask("CreateTopics", version, {"Topics": list(rows), "TimeoutMs": 10000, "ValidateOnly": validate})


def row(name, partitions=1, replicas=1, configs=None, assignments=()):
    return {
        "Name": name, "NumPartitions": partitions, "ReplicationFactor": replicas,
        "Assignments": [{"PartitionIndex": index, "BrokerIds": brokers} for index, brokers in assignments],
        "Configs": [{"Name": key, "Value": value} for key, value in (configs or {}).items()],
    }


@case("CreateTopics", "a topic, a second time, and validated only")
def create_topic(side, version):
    name = f"topics-create-{version}"
    first = create(side, version, row(name, 2, configs={"retention.ms": "1000000"}))
    until("creation", lambda: led(side, name, 2))
    return first, create(side, version, row(name, 2)), create(side, version, row(f"{name}-not", 2), validate=True)


@case("CreateTopics", "defaults for partitions and replicas", versions=at_least(4))
def create_defaults(side, version):
    return create(side, version, row(f"topics-defaults-{version}", -1, -1))


@case("CreateTopics", "an assignment by hand")
def create_assigned(side, version):
    return create(side, version, row(f"topics-assigned-{version}", -1, -1, assignments=[(0, [1]), (1, [1])]))


BAD_TOPICS = {
    "a name with a space": row("bad name"), "an empty name": row(""), "a dot": row("."), "two dots": row(".."), "a long name": row("a" * 250),
    "a slash": row("a/b"), "no partitions": row("topics-bad", 0), "negative partitions": row("topics-bad", -2), "no replicas": row("topics-bad", 1, 0),
    "more replicas than brokers": row("topics-bad", 1, 2), "negative replicas": row("topics-bad", 1, -2),
    "counts and an assignment": row("topics-bad", 1, 1, assignments=[(0, [1])]),
    "an unknown broker": row("topics-bad", -1, -1, assignments=[(0, [7])]),
    "a broker twice": row("topics-bad", -1, -1, assignments=[(0, [1, 1])]),
    "a gap in the partitions": row("topics-bad", -1, -1, assignments=[(0, [1]), (2, [1])]),
    "no broker at all": row("topics-bad", -1, -1, assignments=[(0, [])]),
    "an unknown key": row("topics-bad", configs={"no.such.key": "1"}), "a value of the wrong type": row("topics-bad", configs={"retention.ms": "soon"}),
    "a value below the least": row("topics-bad", configs={"segment.bytes": "1"}), "a value that is no choice": row("topics-bad", configs={"cleanup.policy": "shred"}),
    "a null value": row("topics-bad", configs={"retention.ms": None}), "an unknown codec": row("topics-bad", configs={"compression.type": "rar"}),
    "a broker's key": row("topics-bad", configs={"log.retention.ms": "1"}), "a timestamp type that is none": row("topics-bad", configs={"message.timestamp.type": "Never"}),
    "an internal name": row("__consumer_offsets_not"),
    "a decompressed size above the most": row("topics-bad", configs={"max.decompressed.message.bytes": "2147483640"}),
    "replicas to throttle that are none": row("topics-bad", configs={"leader.replication.throttled.replicas": "0"}),
}

for _title, _row in BAD_TOPICS.items():
    @case("CreateTopics", _title)
    def create_bad(side, version, given=_row):
        return create(side, version, given, validate=True)


@case("CreateTopics", "a name twice in one request, a good one beside a bad one")
def create_twice(side, version):
    twice = create(side, version, row("topics-twice"), row("topics-twice"))
    return twice, create(side, version, row("topics-good"), row("bad name"), validate=True)


@case("CreateTopics", "values are told as they were given", versions=at_least(5))
def create_given(side, version):
    given = {"max.message.bytes": " 5 ", "flush.messages": "007", "retention.ms": "+7", "min.cleanable.dirty.ratio": " .5", "preallocate": " TRUE ",
             "cleanup.policy": " compact , delete ", "leader.replication.throttled.replicas": " 0:1 , 1:1 "}
    def ask(name, **settings):
        rows = [{"Name": key, "Value": value} for key, value in settings.items()]
        return side.ask("CreateTopics", version, {"TimeoutMs": 10000, "ValidateOnly": True, "Topics": [
            {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1, "Configs": rows}]})
    return [ask("topics-given", **given)] + [ask("topics-ratio", **{"min.cleanable.dirty.ratio": ratio}) for ratio in (
        "NaN", "-NaN", "nan", "Infinity", "inf", "0.5f", ".5D", "1e-1", "1.", "-0.0", "f", "")]


@case("CreateTopics", "names that collide in metrics")
def create_collision(side, version):
    topic(side, "topics.collide")
    return create(side, version, row("topics_collide"), validate=True)


def delete(side, version, *names):
    rows = {"Topics": [{"Name": name} for name in names]} if version >= 6 else {"TopicNames": list(names)}
    return side.ask("DeleteTopics", version, {**rows, "TimeoutMs": 10000})


@case("DeleteTopics", "a topic and again")
def delete_topic(side, version):
    name = f"topics-delete-{version}"
    topic(side, name)
    first = delete(side, version, name)
    gone(side, name)
    return first, delete(side, version, name)


@case("DeleteTopics", "what cannot be deleted")
def delete_bad(side, version):
    return delete(side, version, "bad name"), delete(side, version, "topics-never"), delete(side, version, "x", "x"), delete(side, version)


@case("DeleteTopics", "by id", versions=at_least(6))
def delete_by_id(side, version):
    name = f"topics-delete-id-{version}"
    given = topic(side, name)
    def ask(*rows):
        return side.ask("DeleteTopics", version, {"Topics": list(rows), "TimeoutMs": 10000})
    answers = [ask({"TopicId": given, "Name": name}), ask({"TopicId": UNKNOWN_ID}), ask({"TopicId": wire.ZERO_ID}), ask({"TopicId": given})]
    gone(side, name)
    return answers


def grow(side, version, name, count, assignments=None, validate=False):
    rows = None if assignments is None else [{"BrokerIds": brokers} for brokers in assignments]
    return side.ask("CreatePartitions", version, {
        "Topics": [{"Name": name, "Count": count, "Assignments": rows}], "TimeoutMs": 10000, "ValidateOnly": validate})


@case("CreatePartitions", "more partitions")
def more_partitions(side, version):
    name = f"topics-grow-{version}"
    topic(side, name)
    answers = [grow(side, version, name, 3, validate=True), grow(side, version, name, 3), grow(side, version, name, 4, [[1]])]
    until("growth", lambda: led(side, name, 4))
    return answers


@case("CreatePartitions", "what cannot grow")
def no_more_partitions(side, version):
    topic(side, "topics-still", 2)
    name = "topics-still"
    return [grow(side, version, name, 1), grow(side, version, name, 2), grow(side, version, name, -1), grow(side, version, "topics-never", 3),
            grow(side, version, name, 3, [[1], [1]]), grow(side, version, name, 3, [[9]]), grow(side, version, name, 3, [[]]),
            grow(side, version, "bad name", 3)]


@case("DescribeTopicPartitions", "pages of a topic")
def describe_partitions(side, version):
    topic(side, "topics-pages", 5)
    def ask(limit, cursor=None, name="topics-pages"):
        return side.ask("DescribeTopicPartitions", version, {"Topics": [{"Name": name}], "ResponsePartitionLimit": limit, "Cursor": cursor})
    return [ask(2000), ask(2), ask(2, {"TopicName": "topics-pages", "PartitionIndex": 2}), ask(9, {"TopicName": "topics-pages", "PartitionIndex": 4}),
            ask(10, name="topics-never"), ask(10, name="bad name"), ask(0)]


@case("DescribeLogDirs", "the replicas of a topic")
def log_dirs(side, version):
    fill(side, "topics-dirs")
    def ask(name, partitions):
        return side.ask("DescribeLogDirs", version, {"Topics": [{"Topic": name, "Partitions": partitions}]})
    return ask("topics-dirs", [0]), ask("topics-dirs", [7]), ask("topics-never", [0])


TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32


def describe(side, version, kind, name, keys=None, synonyms=True, documentation=False):
    body = {"Resources": [{"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}], "IncludeSynonyms": synonyms}
    if version >= 3:
        body["IncludeDocumentation"] = documentation
    answer = side.ask("DescribeConfigs", version, body)
    for result in answer["Results"]:
        for config in result["Configs"]:
            if config.get("Documentation"):
                config["Documentation"] = "<text>"
    return answer


@case("DescribeConfigs", "every key of a topic")
def describe_topic(side, version):
    topic(side, "topics-configs", retention_ms="1234567", cleanup_policy="compact,delete")
    return describe(side, version, TOPIC, "topics-configs", documentation=True)


@case("DescribeConfigs", "chosen keys of a topic, some unknown")
def describe_some(side, version):
    topic(side, "topics-configs", retention_ms="1234567", cleanup_policy="compact,delete")
    return describe(side, version, TOPIC, "topics-configs", ["retention.ms", "no.such.key"], False), describe(side, version, TOPIC, "topics-configs", [])


@case("DescribeConfigs", "every key of the broker", versions=[1, 4])
def describe_broker(side, version):
    return describe(side, version, BROKER, "1", documentation=True)


@case("DescribeConfigs", "the default of brokers")
def describe_default(side, version):
    return describe(side, version, BROKER, "")


@case("DescribeConfigs", "a group")
def describe_group(side, version):
    return describe(side, version, GROUP, "topics-group")


@case("DescribeConfigs", "resources that are none")
def describe_bad(side, version):
    return [describe(side, version, kind, name) for kind, name in ((TOPIC, "topics-never"), (TOPIC, "bad name"), (TOPIC, ""), (BROKER, "99"), (BROKER, "one"), (77, "x"), (GROUP, ""))]


def change(side, version, kind, name, *ops, validate=False):
    return side.ask("IncrementalAlterConfigs", version, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": kind, "ResourceName": name, "Configs": [{"Name": key, "ConfigOperation": op, "Value": value} for op, key, value in ops]}]})


SET, DELETE, APPEND, SUBTRACT = range(4)


@case("IncrementalAlterConfigs", "every operation on a topic")
def change_topic(side, version):
    name = f"topics-change-{version}"
    topic(side, name, cleanup_policy="delete")
    answers = [change(side, version, TOPIC, name, (SET, "retention.ms", "777"), (APPEND, "cleanup.policy", "compact"), (SET, "max.message.bytes", "5000"))]
    seen = lambda key, value: [c["Value"] for c in describe(side, 4, TOPIC, name, [key])["Results"][0]["Configs"]] == [value]
    until("the first change", lambda: seen("retention.ms", "777"))
    answers.append(describe(side, 4, TOPIC, name))
    answers.append(change(side, version, TOPIC, name, (DELETE, "retention.ms", None), (SUBTRACT, "cleanup.policy", "delete")))
    until("the second change", lambda: seen("cleanup.policy", "compact"))
    answers.append(describe(side, 4, TOPIC, name, ["retention.ms", "cleanup.policy", "max.message.bytes"]))
    return answers


BAD_CHANGES = {
    "an unknown key": [(SET, "no.such.key", "1")], "a bad value": [(SET, "retention.ms", "soon")], "a null value": [(SET, "retention.ms", None)],
    "appending to a number": [(APPEND, "retention.ms", "1")], "subtracting from a number": [(SUBTRACT, "retention.ms", "1")],
    "an operation that is none": [(9, "retention.ms", "1")], "a key twice": [(SET, "retention.ms", "1"), (DELETE, "retention.ms", None)],
    "a bad element": [(APPEND, "cleanup.policy", "shred")], "deleting an unknown key": [(DELETE, "no.such.key", None)],
    "nothing": [], "a value above the most": [(SET, "segment.index.bytes", "99999999999")], "a bad codec level": [(SET, "compression.gzip.level", "77")],
}

for _title, _ops in BAD_CHANGES.items():
    @case("IncrementalAlterConfigs", _title)
    def change_bad(side, version, ops=_ops):
        topic(side, "topics-unchanged")
        return change(side, version, TOPIC, "topics-unchanged", *ops, validate=True), change(side, version, TOPIC, "topics-unchanged", *ops)


@case("IncrementalAlterConfigs", "resources that are none")
def change_nothing(side, version):
    return [change(side, version, kind, name, (SET, "retention.ms", "1")) for kind, name in ((TOPIC, "topics-never"), (TOPIC, "bad name"), (TOPIC, ""), (BROKER, "99"), (77, "x"))]


@case("IncrementalAlterConfigs", "brokers and their default")
def change_broker(side, version):
    answers = [
        change(side, version, BROKER, "1", (SET, "log.cleaner.threads", "2"), validate=True), change(side, version, BROKER, "", (SET, "message.max.bytes", "1048588"), validate=True),
        change(side, version, BROKER, "1", (SET, "node.id", "3")), change(side, version, BROKER, "1", (SET, "log.dirs", "x")),
        change(side, version, BROKER, "1", (SET, "no.such.key", "3"), validate=True), change(side, version, BROKER, "", (SET, "listeners", "x")),
        change(side, version, BROKER, "1", (SET, "log.cleaner.threads", "0"), validate=True),
        change(side, version, BROKER, "1", (SET, "log.cleaner.dedupe.buffer.size", "7")), change(side, version, BROKER, "", (SET, "log.cleaner.dedupe.buffer.size", "7")),
        change(side, version, BROKER, "", (SET, "group.consumer.assignment.interval.ms", "2147483647")), change(side, version, BROKER, "1", (SET, "listeners", "abc")),
    ]
    return answers


@case("IncrementalAlterConfigs", "what a running broker cannot go over to at once")
def change_running(side, version):
    checked = lambda name, key, value: change(side, version, BROKER, name, (SET, key, value), validate=True)
    rows = {"num.io.threads": "3 4 16 17 0", "num.network.threads": "6 7", "background.threads": "4 5 20 21", "num.recovery.threads.per.data.dir": "1 4 5",
            "num.replica.fetchers": "2 3", "log.cleaner.threads": "2 3", "remote.log.reader.threads": "4 5 20 21", "listener.name.plaintext.num.network.threads": "6 7",
            "metric.reporters": "no.such.Reporter org.apache.kafka.common.metrics.JmxReporter", "log.cleaner.min.cleanable.ratio": "NaN nan Infinity 0.5f 1d 2"}
    return [checked(name, key, value) for name in ("1", "") for key, values in rows.items() for value in values.split()] + [
        checked("1", "cordoned.log.dirs", value) for value in ("/no/such/folder", "*", "")]


@case("DescribeConfigs", "the default of brokers as it was given")
def describe_given(side, version):
    change(side, 1, BROKER, "", (SET, "log.cleaner.io.max.bytes.per.second", " 1e9 "))
    value = lambda: [c["Value"] for c in describe(side, 4, BROKER, "1", ["log.cleaner.io.max.bytes.per.second"])["Results"][0]["Configs"]]
    until("the change", lambda: value() == ["1.0E9"])
    try:
        return [describe(side, version, BROKER, name, ["log.cleaner.io.max.bytes.per.second"]) for name in ("", "1")]
    finally:
        change(side, 1, BROKER, "", (DELETE, "log.cleaner.io.max.bytes.per.second", None))
        until("the old value", lambda: value() != ["1.0E9"])


@case("IncrementalAlterConfigs", "a group")
def change_group(side, version):
    return [change(side, version, GROUP, "topics-group-set", op) for op in (
        (SET, "consumer.session.timeout.ms", "46000"), (SET, "consumer.session.timeout.ms", "1"), (SET, "no.such.key", "1"), (DELETE, "consumer.session.timeout.ms", None))]


def replace(side, version, kind, name, configs, validate=False):
    return side.ask("AlterConfigs", version, {"ValidateOnly": validate, "Resources": [
        {"ResourceType": kind, "ResourceName": name, "Configs": [{"Name": key, "Value": value} for key, value in configs.items()]}]})


@case("AlterConfigs", "a topic's configs are replaced")
def replace_topic(side, version):
    name = f"topics-replace-{version}"
    topic(side, name, retention_ms="5", max_message_bytes="9000")
    first = replace(side, version, TOPIC, name, {"retention.ms": "6"})
    value = lambda key: describe(side, 4, TOPIC, name, [key])["Results"][0]["Configs"][0]["Value"]
    until("the change", lambda: value("retention.ms") == "6")
    return first, value("max.message.bytes")


@case("AlterConfigs", "what cannot be")
def replace_bad(side, version):
    topic(side, "topics-unchanged")
    return [replace(side, version, TOPIC, "topics-never", {"retention.ms": "1"}), replace(side, version, TOPIC, "topics-unchanged", {"no.such": "1"}),
            replace(side, version, TOPIC, "topics-unchanged", {"retention.ms": "x"}), replace(side, version, TOPIC, "topics-unchanged", {"retention.ms": None}),
            replace(side, version, 77, "x", {"a": "1"}), replace(side, version, BROKER, "99", {"a": "1"})]


def delete_records(side, version, name, partition, offset):
    return side.ask("DeleteRecords", version, {"Topics": [{"Name": name, "Partitions": [{"PartitionIndex": partition, "Offset": offset}]}], "TimeoutMs": 10000})


@case("DeleteRecords", "up to an offset, to the end, beyond it")
def delete_some_records(side, version):
    name = f"topics-records-{version}"
    fill(side, name)
    return [delete_records(side, version, name, 0, offset) for offset in (2, 1, -2, 6, 99, -1, 5)]


@case("DeleteRecords", "of nothing")
def delete_no_records(side, version):
    topic(side, "topics-unchanged")
    return [delete_records(side, version, name, partition, 0) for name, partition in (("topics-never", 0), ("topics-unchanged", 9), ("bad name", 0), ("topics-unchanged", -1))]
