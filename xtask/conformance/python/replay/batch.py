"""Record batches, right and wrong: every field of the header can be set to what it should not be."""

import gzip
import struct

from .wire import Malformed, Reader


def _table():
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


_CRC = _table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(value):
    """A zigzag varint."""
    value = value << 1 ^ value >> 63
    out = bytearray()
    while value & ~0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def sized(data):
    return varint(-1) if data is None else varint(len(data)) + data


def record(delta, key=None, value=b"value", headers=(), time_delta=0):
    body = b"\0" + varint(time_delta) + varint(delta) + sized(key) + sized(value) + varint(len(headers))
    for name, content in headers:
        body += sized(name) + sized(content)
    return varint(len(body)) + body


def batch(values=(b"one",), *, keys=None, time=1_700_000_000_000, max_time=None, attributes=0, magic=2, producer=-1,
          epoch=-1, sequence=-1, base=0, leader_epoch=-1, count=None, last_delta=None, crc=None, length=None, codec=None,
          records=None, deltas=None):
    """A batch of `values`. What is given by name replaces what would be right."""
    if records is None:
        records = b"".join(
            record(deltas[at] if deltas else at, keys[at] if keys else None, value) for at, value in enumerate(values))
    if codec == "gzip":
        records = gzip.compress(records, mtime=0)
        attributes |= 1
    number = len(values)
    head = struct.pack(
        ">hiqqqhii", attributes, number - 1 if last_delta is None else last_delta, time,
        time if max_time is None else max_time, producer, epoch, sequence, number if count is None else count)
    checked = head + records
    body = struct.pack(">ibI", leader_epoch, magic, crc32c(checked) if crc is None else crc) + checked
    return struct.pack(">qi", base, len(body) if length is None else length) + body


def old_message_set(magic, value=b"old"):
    """One message of format 0 or 1."""
    import zlib

    body = struct.pack(">bb", magic, 0)
    if magic == 1:
        body += struct.pack(">q", 1_700_000_000_000)
    body += struct.pack(">i", -1) + struct.pack(">i", len(value)) + value
    message = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", 0, len(message)) + message


def read(data):
    """What a Fetch answered: a dictionary per batch. A batch that is cut off at the end is named so."""
    batches = []
    while data:
        if len(data) < 12 or len(data) < 12 + struct.unpack_from(">i", data, 8)[0]:
            batches.append("cut off")
            break
        reader = Reader(data)
        base, length = reader.number(">q"), reader.number(">i")
        leader_epoch, magic, crc = reader.number(">i"), reader.number(">b"), reader.number(">I")
        if magic != 2:
            raise Malformed(f"magic {magic}")
        checked = data[21:12 + length]
        found = {
            "BaseOffset": base, "LeaderEpoch": leader_epoch, "CrcIsRight": crc == crc32c(checked),
            "Attributes": reader.number(">h"), "LastDelta": reader.number(">i"), "FirstTimestamp": reader.number(">q"),
            "MaxTimestamp": reader.number(">q"), "ProducerId": reader.number(">q"), "ProducerEpoch": reader.number(">h"),
            "BaseSequence": reader.number(">i"), "Count": reader.number(">i"),
        }
        codec = found["Attributes"] & 7
        if codec in (0, 1):
            body = data[61:12 + length]
            found["Records"] = (gzip.decompress(body) if codec else body).hex()
        batches.append(found)
        data = data[12 + length:]
    return batches
