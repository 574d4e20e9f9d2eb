"""The list of cases, and what they share: topics with known ids, groups with members."""

from . import batch, wire
from .sides import until

CASES = []


def case(api, title, versions=None):
    """Adds a case: `act(side, version)` asks one broker and returns what is compared. It runs for every version."""
    def add(act):
        CASES.append((api, title, versions, act))
        return act
    return add


def at_least(version):
    return range(version, 100)


def below(version):
    return range(version)


def topic(side, name, partitions=1, **configs):
    """Creates a topic unless this corpus did so before, waits until it is led, and returns its id."""
    if name not in side.ids:
        rows = [{"Name": key.replace("_", "."), "Value": value} for key, value in configs.items()]
        side.ask("CreateTopics", 7, {"Topics": [{
            "Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, "Configs": rows}], "TimeoutMs": 10000})
        until(f"{name} is led", lambda: led(side, name, partitions))
        # Metadata may know of a leader a moment before the leader itself does.
        until(f"{name} is served", lambda: all(end_offset(side, name, number) >= 0 for number in range(partitions)))
    return side.ids[name]


def led(side, name, partitions=1):
    """Whether every partition of a topic has a leader; its id is remembered."""
    found = side.ask("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})["Topics"][0]
    if found["ErrorCode"] or len(found["Partitions"]) != partitions or any(p["LeaderId"] < 0 for p in found["Partitions"]):
        return False
    side.ids[name] = found["TopicId"]
    return True


def gone(side, name):
    """Waits until a topic is unknown."""
    side.ids.pop(name, None)
    until(f"{name} is gone", lambda: side.ask(
        "Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})["Topics"][0]["ErrorCode"] == 3)


def named(side, version, first_by_id, name, **fields):
    """A topic of a request that names topics in old versions and uses ids in new ones."""
    if version >= first_by_id:
        return {"TopicId": side.ids.get(name, wire.ZERO_ID), **fields}
    return {**fields}


def produce_body(side, version, name, records, partition=0, acks=-1, transactional=None):
    key = named(side, version, 13, name) or {"Name": name}
    return {"TransactionalId": transactional, "Acks": acks, "TimeoutMs": 10000, "TopicData": [
        {**key, "PartitionData": [{"Index": partition, "Records": records}]}]}


def produce(side, version, name, records, **more):
    """The answer to a Produce request for one partition."""
    return side.ask("Produce", version, produce_body(side, version, name, records, **more))


def fill(side, name, count=5, **configs):
    """A topic of `count` batches with one record each, made once."""
    fresh = name not in side.ids
    topic(side, name, **configs)
    if fresh:
        for number in range(count):
            answer = produce(side, 9, name, batch.batch([b"value %d" % number], keys=[b"key"], time=1_000_000 + number * 1000))
            assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0, answer
    return side.ids[name]


def end_offset(side, name, partition=0):
    answer = side.ask("ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [
        {"Name": name, "Partitions": [{"PartitionIndex": partition, "CurrentLeaderEpoch": -1, "Timestamp": -1}]}]})
    return answer["Topics"][0]["Partitions"][0]["Offset"]


def coordinator(side):
    """Waits until groups have a coordinator: the first one to ask creates its topic."""
    if "__consumer_offsets" not in side.ids:
        until("a coordinator", lambda: side.ask("FindCoordinator", 3, {"Key": "corpus", "KeyType": 0})["ErrorCode"] == 0)
        until("a loaded coordinator", lambda: side.ask(
            "Heartbeat", 3, {"GroupId": "corpus", "GenerationId": 1, "MemberId": "x"})["ErrorCode"] not in (14, 15, 16))
        side.ids["__consumer_offsets"] = "known"
