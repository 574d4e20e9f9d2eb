"""Two brokers asked the same, and the comparison of what they answer."""

import json
import re
import socket
import struct
import time

from . import allowed, batch, wire

ANSWER_SECONDS = 15
# What brokers make up as the id of a member: 128 bits in base 64.
MEMBER_ID = re.compile(r"[\w-]{22}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# An id that the corpus asks for and no broker has.
UNKNOWN_ID = "12345678-1234-1234-1234-123456789abc"
# Numbers that differ between two runs of one broker; what stays is whether there is one.
VARYING = {
    "FinalizedFeaturesEpoch", "HighWatermarkOfQuorum", "LastFetchTimestamp", "LastCaughtUpTimestamp", "TotalBytes",
    "UsableBytes", "LastTimestamp", "LogAppendTimeMs",
}
# Arrays whose order says nothing, and the field that names an element.
KEYED = {
    "ApiKeys": "ApiKey", "SupportedFeatures": "Name", "FinalizedFeatures": "Name", "Topics": ("Name", "TopicName", "TopicId"),
    "Configs": ("Name", "ConfigName"), "Brokers": ("NodeId", "BrokerId"), "Groups": ("GroupId", "Group"), "ConfigResources": "ResourceName",
    "Partitions": ("PartitionIndex", "Partition"), "Members": "MemberId", "ActiveProducers": "ProducerId",
    "ResultsByPartition": "PartitionIndex", "ResultsByTransaction": "TransactionalId", "TransactionStates": "TransactionalId",
}
RECENT_MS = 1_750_000_000_000


class Closed(Exception):
    """The broker closed the connection instead of answering."""


class Side:
    """One broker, with the names that its ids have in the comparison."""

    def __init__(self, label, address):
        self.label = label
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.connections = {}
        self.symbols = {}
        self.ids = {}
        self.correlation = 0

    def connect(self, name):
        if name not in self.connections:
            self.connections[name] = socket.create_connection((self.host, self.port), ANSWER_SECONDS)
        return self.connections[name]

    def drop(self, name):
        connection = self.connections.pop(name, None)
        if connection:
            connection.close()

    def send(self, frame, name="main"):
        try:
            self.connect(name).sendall(frame)
        except OSError as error:
            self.drop(name)
            raise Closed from error

    def receive(self, name="main"):
        try:
            size = struct.unpack(">i", self._exactly(name, 4))[0]
            return self._exactly(name, size)
        except (ConnectionError, struct.error) as error:
            self.drop(name)
            raise Closed from error
        except TimeoutError:
            self.drop(name)
            raise

    def _exactly(self, name, size):
        data = b""
        while len(data) < size:
            part = self.connect(name).recv(size - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return data

    def ask(self, api, version, body, name="main"):
        """One request and its decoded answer."""
        self.correlation += 1
        self.send(wire.request_frame(api, version, body, self.correlation), name)
        correlation, answer = wire.response(api, version, self.receive(name))
        if correlation != self.correlation:
            raise wire.Malformed(f"correlation id {correlation} instead of {self.correlation}")
        return answer

    def symbol(self, kind, value):
        """A name for a value that differs between brokers: the order in which it was first seen."""
        known = self.symbols.setdefault(kind, {})
        return known.setdefault(value, f"<{kind} {len(known)}>")

    def plain(self, value, name="", api=""):
        """An answer with everything replaced that rightly differs between two brokers."""
        if isinstance(value, dict):
            return {key: self.plain(item, key, api) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return self.plain_list(value, name, api)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, bytes):
            return self.plain(batch.read(value), name, api) if name == "Records" else value.hex()
        if isinstance(value, int):
            return self.plain_number(value, name, api)
        return self.plain_text(value, name)

    def plain_list(self, value, name, api):
        value = list(value)
        keys = KEYED.get(name, ())
        keys = (keys,) if isinstance(keys, str) else keys
        if value and isinstance(value[0], dict):
            for key in keys:
                if key in value[0]:
                    if isinstance(value[0][key], str) and UUID.search(value[0][key]):
                        break  # ids sort differently on each broker
                    # Ids that brokers make up come last.
                    made_up = [key == "MemberId" and MEMBER_ID.fullmatch(item[key]) is not None for item in value]
                    value = [item for *_, item in sorted(zip(made_up, value), key=lambda row: (row[0], row[1][key] is None, row[1][key]))]
                    break
        plain = [self.plain(item, name, api) for item in value]
        # What a member or a transaction has is a set.
        is_set = name == "TopicPartitions" or (name == "Partitions" and all(isinstance(item, int) for item in plain))
        return sorted(plain, key=str) if is_set else plain

    def plain_number(self, value, name, api):
        if name == "Port":
            return "<port>" if value == self.port else self.symbol("port", value) if value > 0 else value
        if name == "ProducerId" and value >= 0:
            return self.symbol("producer", value)
        if name == "SessionId" and value:
            return self.symbol("session", value)
        if api == "DescribeQuorum" and name in ("LeaderEpoch", "HighWatermark", "LogEndOffset"):
            return "<positive>" if value > 0 else value
        if name in VARYING:
            return "<some>" if value > 0 else value
        if value > RECENT_MS and value < 1 << 62:
            return "<now>"
        return value

    def plain_text(self, value, name):
        if name.endswith("TopicId") or name.endswith("DirectoryId"):
            known = [topic for topic, known in self.ids.items() if known == value]
            return value if value in (wire.ZERO_ID, UNKNOWN_ID) else f"<id of {known[0]}>" if known else self.symbol(name, value)
        if name == "MemberId" and MEMBER_ID.fullmatch(value):
            return self.symbol("member", value)
        if name == "ClusterId" and value:
            return self.symbol("cluster", value)
        if name in ("ErrorMessage", "BatchIndexErrorMessage"):
            # Kafka's message of success is either nothing or the name of that error.
            return "<a message>" if value not in ("", "NONE") else value
        if name == "LogDir":
            return "<folder>"
        value = re.sub(r"[^\s,;]*/(server|oracle)/data", "<folder>", value)
        value = re.sub(r"(127\.0\.0\.1|CONTROLLER://[^:,]*):\d+", r"\1:<port>", value)
        return UUID.sub(lambda found: self.symbol("uuid", found.group()), value)


class Pair:
    """The oracle and the broker under test, in lock step."""

    def __init__(self, oracle, subject):
        self.oracle = Side("kafka", oracle)
        self.subject = Side("vltava", subject)
        self.sides = (self.oracle, self.subject)
        self.advertised = {row["ApiKey"]: row for row in self.oracle.ask("ApiVersions", 0, {})["ApiKeys"]}
        self.cases = []
        self.used = set()

    def versions(self, api, only=None):
        """The versions of an API that Kafka advertises."""
        request = wire.message(f"{api}Request")
        row = self.advertised[request.key]
        found = [v for v in request.versions if row["MinVersion"] <= v <= row["MaxVersion"]]
        return [v for v in found if only is None or v in only]

    def each(self, act):
        """Does the same on both sides, the oracle first; what it returns is not compared."""
        return [act(side) for side in self.sides]

    def outcome(self, side, act, api):
        """What came of `act`: a comparable answer, or how the connection ended."""
        side.symbols.clear()  # so that one difference does not shift the names of all later answers
        try:
            return side.plain(act(side), api=api)
        except Closed:
            return "the connection was closed"
        except TimeoutError:
            side.connections.clear()
            return f"no answer within {ANSWER_SECONDS} s"
        except (wire.Malformed, UnicodeDecodeError) as error:
            side.connections.clear()
            return f"undecodable: {error}"

    def compare(self, api, version, act):
        """The differences between both outcomes of `act` that are not allowed."""
        expected, got = (self.outcome(side, act, api) for side in self.sides)
        found = []
        for path, left, right in differences(expected, got):
            reason = allowed.reason(api, version, path, left, right)
            if reason is None:
                found.append(f"version {version}: {path or 'outcome'}: kafka {brief(left)}, got {brief(right)}")
            else:
                self.used.add(reason)
        return found


def differences(left, right, path=""):
    """(path, left, right) for everything that differs."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            yield from differences(left.get(key, "<absent>"), right.get(key, "<absent>"), f"{path}.{key}" if path else key)
    elif isinstance(left, list) and isinstance(right, list):
        names = [name_of(item) for item in left + right]
        if left + right and all(names) and len(set(names[:len(left)])) == len(left) and len(set(names[len(left):])) == len(right):
            ours, theirs = dict(zip(names, left)), dict(zip(names[len(left):], right))
            for name in [*ours, *(name for name in theirs if name not in ours)]:
                yield from differences(ours.get(name, "<absent>"), theirs.get(name, "<absent>"), f"{path}[{name}]")
        else:
            if len(left) != len(right):
                yield f"{path}.length", len(left), len(right)
            for at, (one, other) in enumerate(zip(left, right)):
                yield from differences(one, other, f"{path}[{at}]")
    elif left != right or type(left) is not type(right):
        yield path, left, right


def name_of(item):
    """What an element of a keyed array is called in a path."""
    if isinstance(item, dict):
        for key in ("Name", "ConfigName", "ApiKey", "TopicName", "ResourceName", "GroupId"):
            if item.get(key) not in (None, ""):
                return str(item[key])
    return None


def brief(value):
    text = json.dumps(value, default=str)
    return text if len(text) < 260 else f"{text[:260]}..."


def until(what, holds, seconds=20):
    """Waits until `holds()` is true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)
