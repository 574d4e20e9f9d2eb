"""Input that no client would send: the broker lives, its memory stays bounded, and other clients are served meanwhile."""

import os
import random
import socket
import struct
import threading
import time

import report
from replay import batch, wire
from report import BOOTSTRAP, TARGET, check, equal, eventually, run

HOST, PORT = BOOTSTRAP.rsplit(":", 1)
SECONDS = int(os.environ.get("SECONDS_BUDGET", "60"))
SEED = int(os.environ.get("SEED", "1")) or 1
MEBIBYTE = 1 << 20
GROWTH_MAX = 256 * MEBIBYTE
SERVED_WITHIN = 3.0
IDLE = 10_000
# Kafka sets aside what a frame claims, within a heap whose pages it touches as it goes: its memory proves nothing.
BOUNDED = TARGET != "kafka"
CLAIMS = [-1, 0, 1, 3, 7, 8, 1000, 0x7FFFFFFF, -0x80000000, 104_857_601] + ([104_857_600, 50_000_000] if BOUNDED else [])


def connect(seconds=10):
    return socket.create_connection((HOST, int(PORT)), seconds)


def exactly(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionResetError("closed")
        data += part
    return data


def answer(connection):
    return exactly(connection, struct.unpack(">i", exactly(connection, 4))[0])


class Client:
    """A client that behaves, and how long its slowest request took."""

    def __init__(self):
        self.connection = connect()
        self.number = 0
        self.took = []

    def ask(self, api, version, body):
        self.number += 1
        begun = time.monotonic()
        self.connection.sendall(wire.request_frame(api, version, body, self.number))
        number, found = wire.response(api, version, answer(self.connection))
        equal("correlation id", self.number, number)
        self.took.append(time.monotonic() - begun)
        return found

    def work(self, topic="hostile-good"):
        """One record written and the end read back."""
        body = {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": topic, "PartitionData": [{"Index": 0, "Records": batch.batch()}]}]}
        found = self.ask("Produce", 9, body)["Responses"][0]["PartitionResponses"][0]
        equal("error of a good record", 0, found["ErrorCode"])
        return found["BaseOffset"]


def good_client():
    client = Client()
    client.ask("CreateTopics", 7, {"Topics": [{"Name": "hostile-good", "NumPartitions": 1, "ReplicationFactor": 1}], "TimeoutMs": 5000})

    def served():
        try:
            client.work()
            return True
        except AssertionError:
            return False

    eventually("the topic is served", 10, served)
    client.took.clear()
    return client


def memory():
    return int(report.server("rss"))


def bounded(before):
    after = memory()
    print(f"{before // MEBIBYTE} MiB before, {after // MEBIBYTE} MiB after")
    assert not BOUNDED or after <= before + GROWTH_MAX, f"memory grew from {before // MEBIBYTE} to {after // MEBIBYTE} MiB"
    equal("alive", "yes", report.server("alive"))


def ends(data, seconds=8):
    """Sends bytes; what came back: `closed`, or the length of an answer."""
    with connect(seconds) as connection:
        try:
            connection.sendall(data)
            return len(answer(connection))
        except ConnectionError:
            return "closed"
        except TimeoutError:
            return "silence"


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def head(key, version, flexible=False):
    return struct.pack(">hhih", key, version, 1, 2) + b"xx" + (b"\0" if flexible else b"")


@check
def counts_that_cannot_be_close_the_connection():
    cases = {
        "an array of 2^31-1 topics": frame(head(3, 0) + b"\x7f\xff\xff\xff\0"),
        "a compact array of 2^63": frame(head(3, 12, True) + b"\xff" * 9 + b"\x01"),
        "a varint without end": frame(head(3, 12, True) + b"\xff" * 30),
        "a string of 32767": frame(head(3, 0) + b"\0\0\0\1\x7f\xff"),
        "2^32-1 tags": frame(head(18, 3, True)[:-1] + b"\xff\xff\xff\xff\x0f"),
        "a client id of 32767": frame(struct.pack(">hhih", 3, 0, 1, 0x7FFF) + b"x"),
        "a header of three bytes": frame(b"\0\3\0"),
        "a name that is no text": frame(head(3, 0) + b"\0\0\0\1\0\2\xff\xfe") if TARGET != "kafka" else frame(b"\0"),
    }
    before = memory()
    for name, data in cases.items():
        equal(name, "closed", ends(data))
    bounded(before)


@check
def pipelined_requests_are_answered_in_order():
    total = 10_000
    with connect(30) as connection:
        frames = b"".join(wire.request_frame("ApiVersions", 0, {}, number) for number in range(total))
        sender = threading.Thread(target=connection.sendall, args=(frames,))
        sender.start()
        for number in range(total):
            equal("correlation id", number, struct.unpack(">i", answer(connection)[:4])[0])
        sender.join()


@check
def half_frames_and_trickled_bytes_hold_nobody_up():
    client = good_client()
    before = memory()
    good = wire.request_frame("Metadata", 12, {"Topics": []}, 5)
    slow = [connect() for _ in range(200)]
    for index, connection in enumerate(slow):
        connection.sendall(good[:index % len(good)])
    for _ in range(50):
        client.work()
    # One of them goes on byte by byte and is answered in the end.
    patient = connect(20)
    for byte in good:
        patient.sendall(bytes([byte]))
        time.sleep(0.005)
    equal("correlation id", 5, struct.unpack(">i", answer(patient)[:4])[0])
    for connection in [*slow, patient]:
        connection.close()
    assert max(client.took) < SERVED_WITHIN, f"the slowest good request took {max(client.took):.1f} s"
    bounded(before)


@check
def claims_of_100_mebibytes_cost_nothing():
    client = good_client()
    before = memory()
    claims = [connect() for _ in range(1000 if BOUNDED else 2)]
    for connection in claims:
        connection.sendall(struct.pack(">i", 100 * MEBIBYTE) + head(0, 9, True) + b"x" * 500)
    for _ in range(50):
        client.work()
    bounded(before)
    for connection in claims:
        connection.close()


@check
def decompression_bombs_are_refused():
    client = good_client()
    before = memory()
    zeros = batch.record(0, None, b"\0" * (300 * MEBIBYTE // 4))
    for bomb in (batch.batch(records=zeros, codec="gzip", count=1, last_delta=0), batch.batch(records=zeros * 3, codec="gzip", count=3, last_delta=2)):
        body = {"Acks": -1, "TimeoutMs": 5000, "TopicData": [{"Name": "hostile-good", "PartitionData": [{"Index": 0, "Records": bomb}]}]}
        with connect(30) as connection:
            connection.sendall(wire.request_frame("Produce", 9, body, 1))
            try:
                found = wire.response("Produce", 9, answer(connection))[1]["Responses"][0]["PartitionResponses"][0]
                print("answered", found["ErrorCode"], found["ErrorMessage"])
            except ConnectionError:
                print("closed")
    client.work()
    bounded(before)


def samples():
    """A good frame of every API and version that the broker serves."""
    client = Client()
    served = {row["ApiKey"]: row for row in client.ask("ApiVersions", 0, {})["ApiKeys"]}
    found = []
    for path in sorted(wire.TABLES.glob("*Request.json")):
        request = wire.message(path.stem)
        row = served.get(request.key)
        # Kafka lets a client of no rights end the broker's part in the cluster; that is no malformed input.
        if row is None or path.stem in ("UnregisterBrokerRequest", "RemoveRaftVoterRequest", "UpdateFeaturesRequest", "AlterConfigsRequest", "IncrementalAlterConfigsRequest", "AlterClientQuotasRequest", "AddRaftVoterRequest"):
            continue
        for version in request.versions:
            if row["MinVersion"] <= version <= row["MaxVersion"]:
                found.append(wire.request_frame(path.stem.removesuffix("Request"), version, rich(path.stem, version), 1))
    return found


def rich(name, version):
    """A body with one element in each array, so that mutation reaches nested fields."""
    def fill(fields, message):
        value = {}
        for field in fields:
            if not wire.within(field.get("versions"), version):
                continue
            kind = field["type"]
            if kind.startswith("[]"):
                members = field.get("fields") or message.shared.get(kind[2:])
                value[field["name"]] = [fill(members, message) if members else sample(kind[2:])]
            elif kind in ("string", "bytes", "records", "uuid"):
                value[field["name"]] = sample(kind)
        return value

    message = wire.message(name)
    return fill(message.fields, message)


def sample(kind):
    return {"string": "hostile-victim", "bytes": b"\0\1\2\3", "records": batch.batch([b"x"] * 3), "uuid": wire.ZERO_ID, "bool": True}.get(kind, 1)


def mutate(data, randomness):
    data = bytearray(data)
    for _ in range(randomness.choice([1, 1, 1, 2, 4, 16])):
        how = randomness.randrange(6)
        at = randomness.randrange(4, len(data)) if len(data) > 5 else 4
        if how == 0 and at < len(data):
            data[at] ^= 1 << randomness.randrange(8)
        elif how == 1 and at < len(data):
            data[at] = randomness.choice([0, 1, 0x7F, 0x80, 0xFE, 0xFF])
        elif how == 2:
            del data[at:at + randomness.randrange(1, 9)]
        elif how == 3:
            data[at:at] = randomness.randbytes(randomness.randrange(1, 9))
        elif how == 4 and len(data) >= at + 4:
            data[at:at + 4] = struct.pack(">i", randomness.choice(CLAIMS))
        else:
            data = data[:max(at, 8)]
    if randomness.random() < 0.9:
        data[:4] = struct.pack(">i", len(data) - 4)
    elif randomness.random() < 0.5:
        data[:4] = struct.pack(">i", randomness.choice(CLAIMS))
    return bytes(data)


@check
def mutated_frames_harm_nobody():
    client = good_client()
    frames = samples()
    for data in frames:  # warm up, so that the baseline has every code path
        ends_quietly(data)
    before = memory()
    stop = time.monotonic() + SECONDS
    sent = [0] * 4

    def attack(index):
        randomness = random.Random(SEED * 1000 + index)
        while time.monotonic() < stop:
            try:
                with connect(0.05) as connection:
                    for _ in range(randomness.randrange(1, 6)):
                        connection.sendall(mutate(randomness.choice(frames), randomness))
                        sent[index] += 1
                    if randomness.random() < 0.5:
                        connection.recv(4096)
            except OSError:
                pass

    threads = [threading.Thread(target=attack, args=(index,)) for index in range(len(sent))]
    for thread in threads:
        thread.start()
    last = -1
    while time.monotonic() < stop:
        offset = client.work()
        assert offset > last, "offsets go back"
        last = offset
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    took = sorted(client.took)
    print(f"{sum(sent)} mutated frames, seed {SEED}; {len(took)} good requests, p99 {took[len(took) * 99 // 100] * 1000:.0f} ms, slowest {took[-1] * 1000:.0f} ms")
    assert sum(sent) > 100 * SECONDS, f"only {sum(sent)} frames were sent"
    assert took[len(took) * 99 // 100] < SERVED_WITHIN, "good requests were held up"
    bounded(before)


def ends_quietly(data):
    try:
        with connect(0.3) as connection:
            connection.sendall(data)
            connection.recv(4096)
    except OSError:
        pass


@check
def ten_thousand_idle_connections_are_held():
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE, soft - 200)
    equal("connections that this system allows", IDLE, count)
    client = good_client()
    before = memory()
    idle = []
    for _ in range(count):
        idle.append(connect(20))
    ask = wire.request_frame("ApiVersions", 0, {}, 9)
    for connection in idle[::10]:
        connection.sendall(ask)
        equal("correlation id", 9, struct.unpack(">i", answer(connection)[:4])[0])
    for _ in range(20):
        client.work()
    print(f"{(memory() - before) // count} bytes a connection")
    bounded(before)
    for connection in idle:
        connection.close()
    client.work()


if __name__ == "__main__":
    run()
