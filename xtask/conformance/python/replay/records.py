"""Records: produce, fetch, list offsets, producer ids; batches that are wrong in every way."""

from . import batch, wire
from .corpus import at_least, case, end_offset, fill, produce, produce_body, topic
from .sides import UNKNOWN_ID, until


@case("Produce", "a batch at every version")
def produce_plain(side, version):
    name = f"records-plain-{version}"
    topic(side, name)
    return produce(side, version, name, batch.batch([b"a", b"b"])), produce(side, version, name, batch.batch([b"c"]), acks=1), end_offset(side, name)


@case("Produce", "without an answer")
def produce_silent(side, version):
    name = f"records-silent-{version}"
    topic(side, name)
    side.correlation += 1
    side.send(wire.request_frame("Produce", version, produce_body(side, version, name, batch.batch([b"a"]), acks=0), side.correlation))
    until("the record", lambda: end_offset(side, name) == 1)
    return "appended"


@case("Produce", "a number of acks that is none")
def produce_acks(side, version):
    topic(side, "records-acks")
    return produce(side, version, "records-acks", batch.batch(), acks=2), produce(side, version, "records-acks", batch.batch(), acks=-2), end_offset(side, "records-acks")


@case("Produce", "to what is not there")
def produce_nowhere(side, version):
    topic(side, "records-acks")
    return [produce(side, version, "records-acks", batch.batch(), partition=5), produce(side, version, "records-acks", batch.batch(), partition=-1)] + (
        [produce(side, version, "records-never", batch.batch())] if version < 13 else [])


@case("Produce", "to an unknown id", versions=at_least(13))
def produce_unknown_id(side, version):
    return [side.ask("Produce", version, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [{"TopicId": given, "PartitionData": [{"Index": 0, "Records": batch.batch()}]}]})
            for given in (UNKNOWN_ID, wire.ZERO_ID)]


GZIPPED = batch.batch([b"x" * 100] * 3, codec="gzip")
WRONG = {
    "a wrong checksum": batch.batch(crc=1), "magic 0": batch.old_message_set(0), "magic 1": batch.old_message_set(1), "magic 3": batch.batch(magic=3),
    "a count above the records": batch.batch(count=2, last_delta=1), "a count below the records": batch.batch([b"a", b"b"], count=1, last_delta=0),
    "a last delta that is not the last": batch.batch([b"a", b"b"], last_delta=5), "a negative count": batch.batch(count=-1), "a count of nothing": batch.batch([], count=0, last_delta=0),
    "a length above the bytes": batch.batch(length=500), "a length below the header": batch.batch(length=10), "a negative length": batch.batch(length=-5),
    "no batch": b"", "a byte": b"\0", "a header and no more": batch.batch()[:61], "bytes after the batch": batch.batch() + b"tail",
    "two batches": batch.batch([b"a"]) + batch.batch([b"b"], base=1), "a base offset": batch.batch(base=77), "deltas out of order": batch.batch([b"a", b"b"], deltas=[1, 0]),
    "a control batch": batch.batch(attributes=0x20), "a transactional batch": batch.batch(attributes=0x10, producer=5, epoch=0, sequence=0),
    "unknown attributes": batch.batch(attributes=0x400), "an unknown codec": batch.batch(attributes=7), "log append time from a client": batch.batch(attributes=8),
    "a delete horizon": batch.batch(attributes=0x40), "gzip": GZIPPED, "gzip that is none": batch.batch(attributes=1), "gzip cut off": batch.batch(records=b"\x1f\x8b\x08\0\0\0", attributes=1),
    "a maximum time below the first": batch.batch(time=1_700_000_000_000, max_time=5), "a negative time": batch.batch(time=-5), "no time": batch.batch(time=-1),
    "a time of the future": batch.batch(time=1 << 55), "a producer id without epoch": batch.batch(producer=5), "a sequence without producer": batch.batch(sequence=3),
    "a record that claims more": batch.batch(records=batch.varint(5000) + b"abc"), "a record of negative length": batch.batch(records=batch.varint(-3) + b"abc"),
    "a key that claims more": batch.batch(records=batch.varint(10) + b"\0\0\0" + batch.varint(999) + b"abcdefg"), "an empty value": batch.batch([b""]), "a null value": batch.batch([None]),
    "headers without a name": batch.batch(records=batch.varint(9) + b"\0\0\0\x01\x01" + batch.varint(1) + batch.varint(-1) + b"\0\0"),
}

for _title, _records in WRONG.items():
    @case("Produce", f"records that are {_title}", versions=[3, 8, 9, 13])
    def produce_wrong(side, version, title=_title, records=_records):
        name = "records-wrong-" + "".join(letter if letter.isalnum() else "-" for letter in title) + f"-{version}"
        topic(side, name)
        return produce(side, version, name, records), end_offset(side, name), fetch(side, 11, name, 0) if end_offset(side, name) else None


@case("Produce", "records above the limit of the topic")
def produce_large(side, version):
    topic(side, "records-small", max_message_bytes="500")
    return produce(side, version, "records-small", batch.batch([b"x" * 600])), produce(side, version, "records-small", batch.batch([b"x" * 200] * 2)), end_offset(side, "records-small")


@case("Produce", "records without keys to a compacted topic")
def produce_keyless(side, version):
    name = f"records-compacted-{version}"
    topic(side, name, cleanup_policy="compact")
    return produce(side, version, name, batch.batch([b"a"])), produce(side, version, name, batch.batch([b"a", b"b"], keys=[b"k", None])), produce(side, version, name, batch.batch([b"a"], keys=[b"k"]))


@case("Produce", "times out of bounds")
def produce_times(side, version):
    topic(side, "records-bounds", message_timestamp_before_max_ms="1000", message_timestamp_after_max_ms="1000")
    return produce(side, version, "records-bounds", batch.batch(time=5)), produce(side, version, "records-bounds", batch.batch(time=99_999_999_999_999))


@case("Produce", "to a topic that stamps and one that converts")
def produce_converted(side, version):
    stamped, converted = f"records-stamped-{version}", f"records-gzip-{version}"
    topic(side, stamped, message_timestamp_type="LogAppendTime")
    topic(side, converted, compression_type="gzip")
    topic(side, f"{converted}-not", compression_type="uncompressed")
    answers = [produce(side, version, stamped, batch.batch([b"a", b"b"])), produce(side, version, converted, batch.batch([b"a", b"b"])),
               produce(side, version, f"{converted}-not", GZIPPED)]
    return answers, fetch(side, 11, stamped, 0), fetch(side, 11, converted, 0), fetch(side, 11, f"{converted}-not", 0)


def new_producer(side, version=4):
    def ask():
        return side.ask("InitProducerId", version, {"TransactionalId": None, "TransactionTimeoutMs": 1000})["ProducerId"]

    until("a block of producer ids", lambda: ask() >= 0)  # the first one to ask may be too early
    return ask()


@case("Produce", "sequences of an idempotent producer", versions=[3, 9, 11, 13])
def produce_sequences(side, version):
    name = f"records-sequence-{version}"
    topic(side, name)
    producer = new_producer(side)
    def send(sequence, values=(b"a",), epoch=0, who=producer):
        return produce(side, version, name, batch.batch(list(values), producer=who, epoch=epoch, sequence=sequence))
    return [
        send(0, [b"a", b"b"]), send(2), send(2), send(0, [b"a", b"b"]),  # in order, then both once more
        send(9), send(1), send(3, epoch=1), send(0, epoch=1), send(3, epoch=0),  # a gap, a part, a new epoch not at zero, at zero, the old epoch
        send(5, who=999_999), send(0, epoch=-1), end_offset(side, name), fetch(side, 11, name, 0),
    ]


@case("Produce", "sequences that wrap", versions=[9])
def produce_wrap(side, version):
    topic(side, "records-wrap")
    producer = new_producer(side)
    top = 0x7FFFFFFF
    def send(sequence, count=1):
        return produce(side, version, "records-wrap", batch.batch([b"a"] * count, producer=producer, epoch=0, sequence=sequence))
    return send(top - 1, 3), send(1), send(1)


@case("Produce", "a transactional batch without its id", versions=[9])
def produce_transactional(side, version):
    topic(side, "records-acks")
    return produce(side, version, "records-acks", batch.batch(attributes=0x10, producer=new_producer(side), epoch=0, sequence=0))


@case("Produce", "one partition twice in a request", versions=[9])
def produce_twice(side, version):
    topic(side, "records-twice")
    part = {"Index": 0, "Records": batch.batch()}
    return side.ask("Produce", version, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [{"Name": "records-twice", "PartitionData": [part, part]}]})


def fetch_body(side, version, name, offset, partition=0, **more):
    given = {"TopicId": side.ids.get(name, UNKNOWN_ID)} if version >= 13 else {"Topic": name}
    row = {"Partition": partition, "CurrentLeaderEpoch": more.pop("leader_epoch", -1), "FetchOffset": offset, "PartitionMaxBytes": more.pop("partition_bytes", 1 << 20)}
    if version >= 12:
        row["LastFetchedEpoch"] = more.pop("last_epoch", -1)
    if version >= 5:
        row["LogStartOffset"] = -1
    body = {"MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 1 << 24, "IsolationLevel": 0, "Topics": [{**given, "Partitions": [row]}]}
    if version <= 14:
        body["ReplicaId"] = -1
    if version >= 7:
        body.update({"SessionId": 0, "SessionEpoch": -1})
    body.update(more)
    return body


def fetch(side, version, name, offset, **more):
    return side.ask("Fetch", version, fetch_body(side, version, name, offset, **more))


@case("Fetch", "from the start, the middle, the end")
def fetch_plain(side, version):
    fill(side, "records-fetch")
    return [fetch(side, version, "records-fetch", offset) for offset in (0, 3, 4, 5)]


@case("Fetch", "offsets that are out of range")
def fetch_range(side, version):
    fill(side, "records-fetch")
    return fetch(side, version, "records-fetch", 6), fetch(side, version, "records-fetch", -1), fetch(side, version, "records-fetch", 1 << 40)


@case("Fetch", "limits of bytes")
def fetch_limits(side, version):
    fill(side, "records-fetch")
    return [fetch(side, version, "records-fetch", 0, partition_bytes=size) for size in (0, 1, 100, 170)] + [fetch(side, version, "records-fetch", 1, MaxBytes=size) for size in (0, 1, 200)]


@case("Fetch", "what is not there")
def fetch_nowhere(side, version):
    fill(side, "records-fetch")
    return [fetch(side, version, "records-fetch", 0, partition=4), fetch(side, version, "records-never", 0)]


@case("Fetch", "leader epochs that are none", versions=at_least(9))
def fetch_epochs(side, version):
    fill(side, "records-fetch")
    return [fetch(side, version, "records-fetch", 0, leader_epoch=epoch) for epoch in (0, 1, 99)]


@case("Fetch", "a diverging epoch", versions=at_least(12))
def fetch_diverging(side, version):
    fill(side, "records-fetch")
    return [fetch(side, version, "records-fetch", 3, last_epoch=epoch) for epoch in (0, 1, 5)]


@case("Fetch", "only what is committed")
def fetch_committed(side, version):
    fill(side, "records-fetch")
    return fetch(side, version, "records-fetch", 0, IsolationLevel=1)


@case("Fetch", "sessions", versions=at_least(7))
def fetch_sessions(side, version):
    fill(side, "records-fetch")
    full = fetch(side, version, "records-fetch", 2, SessionEpoch=0)
    session = full["SessionId"]
    def again(epoch, rows=(), forgotten=(), given=session):
        body = fetch_body(side, version, "records-fetch", 0, SessionId=given, SessionEpoch=epoch)
        body["Topics"] = list(rows)
        key = {"TopicId": side.ids["records-fetch"]} if version >= 13 else {"Topic": "records-fetch"}
        body["ForgottenTopicsData"] = [{**key, "Partitions": [0]}] if forgotten else []
        return side.ask("Fetch", version, body)
    moved = fetch_body(side, version, "records-fetch", 4)["Topics"]
    return [full, again(1, moved), again(2), again(9), again(3, forgotten=[0]), again(1, given=123_456_789), again(-1)]


@case("Fetch", "a session without partitions", versions=at_least(7))
def fetch_empty(side, version):
    body = fetch_body(side, version, "records-fetch", 0)
    body.update({"Topics": [], "MaxWaitMs": 10})
    return side.ask("Fetch", version, body)


def list_offsets(side, version, name, when, partition=0, leader_epoch=-1, isolation=0):
    row = {"PartitionIndex": partition, "Timestamp": when}
    if version >= 4:
        row["CurrentLeaderEpoch"] = leader_epoch
    body = {"ReplicaId": -1, "Topics": [{"Name": name, "Partitions": [row]}]}
    if version >= 2:
        body["IsolationLevel"] = isolation
    if version >= 10:
        body["TimeoutMs"] = 5000
    return side.ask("ListOffsets", version, body)


@case("ListOffsets", "by time and by kind")
def offsets_by_time(side, version):
    fill(side, "records-fetch")
    return {str(when): list_offsets(side, version, "records-fetch", when) for when in (0, 1_000_000, 1_000_001, 1_004_000, 1_004_001, -1, -2, -3, -4, -5, -6, -7, -99)}


@case("ListOffsets", "what is not there, epochs, isolation")
def offsets_nowhere(side, version):
    fill(side, "records-fetch")
    found = [list_offsets(side, version, "records-never", -1), list_offsets(side, version, "records-fetch", -1, partition=3)]
    if version >= 4:
        found += [list_offsets(side, version, "records-fetch", -1, leader_epoch=epoch) for epoch in (0, 7)]
    if version >= 2:
        found.append(list_offsets(side, version, "records-fetch", -1, isolation=1))
    return found


@case("ListOffsets", "of an empty partition")
def offsets_empty(side, version):
    topic(side, "records-empty")
    return [list_offsets(side, version, "records-empty", when) for when in (-1, -2, 5)] + ([list_offsets(side, version, "records-empty", -3)] if version >= 7 else [])


@case("ListOffsets", "one partition twice")
def offsets_twice(side, version):
    fill(side, "records-fetch")
    row = {"PartitionIndex": 0, "Timestamp": -1}
    return side.ask("ListOffsets", version, {"ReplicaId": -1, "Topics": [{"Name": "records-fetch", "Partitions": [row, row]}]})


@case("OffsetForLeaderEpoch", "epochs that are and that are not")
def leader_epochs(side, version):
    fill(side, "records-fetch")
    def ask(name, epoch, current=-1, partition=0):
        return side.ask("OffsetForLeaderEpoch", version, {**({"ReplicaId": -1} if version >= 3 else {}), "Topics": [
            {"Topic": name, "Partitions": [{"Partition": partition, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}]}]})
    return [ask("records-fetch", 0), ask("records-fetch", 3), ask("records-fetch", -1), ask("records-fetch", 0, 9), ask("records-fetch", 0, 0, 8), ask("records-never", 0)]


@case("InitProducerId", "a producer without transactions")
def init_producer(side, version):
    new_producer(side)
    body = {"TransactionalId": None, "TransactionTimeoutMs": 5000}
    return side.ask("InitProducerId", version, body), side.ask("InitProducerId", version, {**body, "TransactionTimeoutMs": 0}), side.ask("InitProducerId", version, {**body, "TransactionTimeoutMs": -1})


@case("InitProducerId", "an empty transactional id")
def init_empty(side, version):
    return side.ask("InitProducerId", version, {"TransactionalId": "", "TransactionTimeoutMs": 5000})


@case("InitProducerId", "an id or an epoch of one's own", versions=at_least(3))
def init_own(side, version):
    return [side.ask("InitProducerId", version, {"TransactionalId": None, "TransactionTimeoutMs": 5000, "ProducerId": who, "ProducerEpoch": epoch}) for who, epoch in ((5, -1), (-1, 5), (5, 5), (-5, -5))]


@case("DescribeProducers", "of a partition")
def producers(side, version):
    name = "records-producers"
    topic(side, name)
    producer = new_producer(side)
    for sequence in range(2):
        produce(side, 9, name, batch.batch([b"a"], producer=producer, epoch=0, sequence=sequence))
    def ask(given, partition):
        return side.ask("DescribeProducers", version, {"Topics": [{"Name": given, "PartitionIndexes": [partition]}]})
    return ask(name, 0), ask(name, 6), ask("records-never", 0), ask("bad name", 0)
