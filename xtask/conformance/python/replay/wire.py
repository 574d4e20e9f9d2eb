"""Kafka's wire format, driven by the message tables: dictionaries to bytes and back."""

import json
import pathlib
import struct
import uuid as uuids

TABLES = pathlib.Path(__file__).resolve().parents[4] / "crates/protocol/messages/api"
INTEGERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}
ZERO_ID = str(uuids.UUID(int=0))


class Malformed(Exception):
    """Bytes that are not what the table says."""


def within(versions, version):
    """Whether `version` is in a range such as `3+`, `0-5`, `7` or `none`."""
    if versions in (None, "none"):
        return False
    if versions.endswith("+"):
        return version >= int(versions[:-1])
    low, _, high = versions.partition("-")
    return int(low) <= version <= int(high or low)


def capitalised(fields):
    """Fields with names in one style: the tables have both."""
    return [{**field, "name": field["name"][0].upper() + field["name"][1:],
             **({"fields": capitalised(field["fields"])} if "fields" in field else {})} for field in fields]


class Message:
    """One message of the tables."""

    def __init__(self, name):
        with open(TABLES / f"{name}.json", encoding="utf-8") as file:
            table = json.load(file)
        self.name = name
        self.key = table.get("apiKey")
        self.fields = capitalised(table.get("fields", []))
        self.flexible_versions = table.get("flexibleVersions")
        valid = table["validVersions"]
        low, _, high = valid.partition("-")
        # A message that Kafka has taken back keeps its key and has no version.
        self.versions = range(0) if valid == "none" else range(int(low), int(high or low) + 1)
        self.shared = {shared["name"]: capitalised(shared["fields"]) for shared in table.get("commonStructs", [])}

    def flexible(self, version):
        return within(self.flexible_versions, version)

    def encode(self, value, version):
        known = {field["name"] for field in self.fields}
        assert set(value) <= known, f"{self.name} has no {set(value) - known}"
        out = bytearray()
        self._put_struct(out, self.fields, value, version)
        return bytes(out)

    def decode(self, data, version):
        reader = Reader(data)
        value = self._get_struct(reader, self.fields, version)
        if reader.left():
            raise Malformed(f"{reader.left()} bytes are left after {self.name} {version}")
        return value

    def _put_struct(self, out, fields, value, version):
        tagged = []
        for field in fields:
            if not within(field.get("versions"), version):
                continue
            content = value.get(field["name"], default(field, self._members(field), version))
            if within(field.get("taggedVersions"), version):
                if field["name"] in value:
                    tagged.append((field["tag"], field, content))
                continue
            self._put(out, field, field["type"], content, version)
        if self.flexible(version):
            put_varint(out, len(tagged))
            for tag, field, content in sorted(tagged, key=lambda row: row[0]):
                body = bytearray()
                self._put(body, field, field["type"], content, version)
                put_varint(out, tag)
                put_varint(out, len(body))
                out += body

    def _members(self, field):
        return field.get("fields") or self.shared.get(field["type"].removeprefix("[]"))

    def _put(self, out, field, kind, value, version):
        flexible = within(field.get("flexibleVersions", self.flexible_versions), version)
        nullable = within(field.get("nullableVersions"), version)
        if kind.startswith("[]"):
            put_count(out, None if value is None else len(value), flexible, ">i")
            for element in value or []:
                self._put(out, {**field, "nullableVersions": None}, kind[2:], element, version)
        elif kind in INTEGERS:
            out += struct.pack(INTEGERS[kind], value)
        elif kind == "bool":
            out.append(1 if value else 0)
        elif kind == "uuid":
            out += uuids.UUID(value).bytes
        elif kind == "string":
            data = None if value is None else value.encode() if isinstance(value, str) else value
            put_count(out, None if data is None else len(data), flexible, ">h")
            out += data or b""
        elif kind in ("bytes", "records"):
            put_count(out, None if value is None else len(value), flexible, ">i")
            out += value or b""
        else:
            if nullable:
                out += struct.pack(">b", -1 if value is None else 1)
            if value is not None:
                known = {member["name"] for member in self._members(field)}
                assert set(value) <= known, f"{self.name}: {kind} has no {set(value) - known}"
                self._put_struct(out, self._members(field), value, version)

    def _get_struct(self, reader, fields, version):
        value = {}
        tags = {}
        for field in fields:
            if not within(field.get("versions"), version):
                continue
            if within(field.get("taggedVersions"), version):
                tags[field["tag"]] = field
                value[field["name"]] = default(field, self._members(field), version)
            else:
                value[field["name"]] = self._get(reader, field, field["type"], version)
        if self.flexible(version):
            for _ in range(reader.varint()):
                tag, size = reader.varint(), reader.varint()
                body = Reader(reader.take(size))
                if tag in tags:
                    value[tags[tag]["name"]] = self._get(body, tags[tag], tags[tag]["type"], version)
                else:
                    value[f"tag {tag}"] = body.data.hex()
        return value

    def _get(self, reader, field, kind, version):
        flexible = within(field.get("flexibleVersions", self.flexible_versions), version)
        if kind.startswith("[]"):
            count = reader.count(flexible, ">i")
            if count is None:
                return None
            if count > reader.left():
                raise Malformed(f"{field['name']} claims {count} elements")
            return [self._get(reader, {**field, "nullableVersions": None}, kind[2:], version) for _ in range(count)]
        if kind in INTEGERS:
            return reader.number(INTEGERS[kind])
        if kind == "bool":
            return reader.number(">b") != 0
        if kind == "uuid":
            return str(uuids.UUID(bytes=reader.take(16)))
        if kind == "string":
            count = reader.count(flexible, ">h")
            return None if count is None else reader.take(count).decode()
        if kind in ("bytes", "records"):
            count = reader.count(flexible, ">i")
            return None if count is None else reader.take(count)
        if within(field.get("nullableVersions"), version) and reader.number(">b") < 0:
            return None
        return self._get_struct(reader, self._members(field), version)


def default(field, members, version):
    """The value of a field that is not given."""
    kind, given = field["type"], field.get("default")
    if given == "null":
        return None if within(field.get("nullableVersions"), version) else [] if kind.startswith("[]") else empty(kind)
    if kind.startswith("[]"):
        return []
    if kind == "bool":
        return given in (True, "true")
    if kind == "float64":
        return float(given or 0)
    if kind in INTEGERS:
        return given if isinstance(given, int) else int(given or "0", 0)
    if members and given is None:
        return {member["name"]: default(member, member.get("fields"), version) for member in members
                if within(member.get("versions"), version)}
    return given if kind == "string" and given else empty(kind)


def empty(kind):
    return {"string": "", "bytes": b"", "records": None, "uuid": ZERO_ID}.get(kind)


def put_varint(out, value):
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_count(out, count, flexible, form):
    if flexible:
        put_varint(out, 0 if count is None else count + 1)
    else:
        out += struct.pack(form, -1 if count is None else count)


class Reader:
    """Takes values off the front of bytes."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def left(self):
        return len(self.data) - self.at

    def take(self, size):
        if size < 0 or size > self.left():
            raise Malformed(f"{size} bytes are wanted, {self.left()} are left")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(">B")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise Malformed("a varint does not end")

    def signed_varint(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def count(self, flexible, form):
        count = self.varint() - 1 if flexible else self.number(form)
        return None if count < 0 else count


_MESSAGES = {}


def message(name):
    """The message of that name, read from its table once."""
    if name not in _MESSAGES:
        _MESSAGES[name] = Message(name)
    return _MESSAGES[name]


def request_frame(api, version, body, correlation, client="corpus"):
    """A frame with its length: header version 1 or 2 as the API's version asks for, then `body`."""
    request = message(f"{api}Request")
    header = struct.pack(">hhi", request.key, version, correlation) + struct.pack(">h", len(client)) + client.encode()
    if request.flexible(version):
        header += b"\0"
    payload = header + (body if isinstance(body, bytes) else request.encode(body, version))
    return struct.pack(">i", len(payload)) + payload


def response(api, version, payload):
    """The correlation id and the decoded body of a frame's payload."""
    answer = message(f"{api}Response")
    reader = Reader(payload)
    correlation = reader.number(">i")
    # ApiVersions keeps the old header so that a client can read the answer to a version the broker does not know.
    if answer.flexible(version) and api != "ApiVersions":
        for _ in range(reader.varint()):
            reader.varint()
            reader.take(reader.varint())
    return correlation, answer.decode(payload[reader.at:], version)
