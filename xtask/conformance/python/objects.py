"""The connectors of object stores on moto's S3, fake-gcs-server and Azurite, read with the clients of S3 and Azure, with
pyarrow and fastavro: kills, faults, refusals, https."""

import base64
import datetime
import decimal
import io
import ipaddress
import json
import os
import random
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import boto3
import fastavro
import pyarrow.parquet
import requests
from azure.storage.blob import BlobServiceClient
from botocore.exceptions import ClientError
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from connect_worker import WORK, Worker, free_port, ours
from report import BOOTSTRAP, check, equal, eventually, run, started

KEYS = ("someone", "secret")
REGION = "eu-central-1"
SEED = int(os.environ.get("SEED") or random.randrange(1 << 32))


class Store:
    """The S3 server of moto; it looks at credentials after so many calls, if it is told to."""

    def __init__(self, calls_unchecked=None):
        self.port = free_port()
        environment = dict(os.environ)
        if calls_unchecked is not None:
            environment["INITIAL_NO_AUTH_ACTION_COUNT"] = str(calls_unchecked)
        log = open(os.path.join(WORK, f"moto-{self.port}.log"), "w")
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        started(command, stdout=log, stderr=log, env=environment)
        eventually("moto listens", 60, self.listens)

    def listens(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def client(self, service="s3", keys=KEYS):
        return boto3.client(service, endpoint_url=f"http://127.0.0.1:{self.port}", region_name=REGION,
                            aws_access_key_id=keys[0], aws_secret_access_key=keys[1])


def objects(client, bucket, prefix):
    """The bytes of all objects, by name, in the order of names."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    names = sorted(one["Key"] for page in pages for one in page.get("Contents", []))
    return {name: client.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names}


class Google:
    """fake-gcs-server, which lets everybody in, behind a gate that does not."""

    def __init__(self):
        self.port, self.gate = free_port(), Gate()
        log = open(os.path.join(WORK, "google.log"), "w")
        command = [os.environ["FAKE_GCS"], "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port),
                   "-backend", "memory", "-public-host", f"127.0.0.1:{self.gate.server_port}", "-log-level", "warn"]
        started(command, stdout=log, stderr=log)
        self.gate.target = self.port
        self.url = f"http://127.0.0.1:{self.port}/storage/v1/b"
        eventually("fake-gcs-server listens", 30, lambda: Store.listens(self))
        requests.post(self.url, json={"name": "bucket"}, timeout=10).raise_for_status()
        self.renew()

    def renew(self):
        """Only a new key is known."""
        key = rsa.generate_private_key(65537, 2048)
        name = f"key-{time.monotonic_ns()}"
        self.gate.keys = {name: key.public_key()}
        account = {"type": "service_account", "client_email": "sink@example.com", "private_key_id": name,
                   "private_key": pem(key)}
        self.settings = {"store.endpoint": self.gate.url, "store.allow.http": "true",
                         "store.service.account.key": json.dumps(account)}

    def objects(self, prefix):
        found = requests.get(f"{self.url}/bucket/o", {"prefix": prefix}, timeout=10).json().get("items", [])
        names = sorted(one["name"] for one in found)
        read = lambda name: requests.get(f"{self.url}/bucket/o/{quote(name, safe='')}", {"alt": "media"}, timeout=10)
        return {name: read(name).content for name in names}


class Azure:
    """Azurite, behind a gate."""

    def __init__(self):
        self.port, self.gate, self.process = free_port(), Gate(), None
        self.gate.target = self.port
        self.renew()
        self.container.create_container()

    def renew(self):
        """Only a new key is known."""
        if self.process:
            self.process.terminate()
            self.process.wait(30)
        key = base64.b64encode(os.urandom(64)).decode()
        log = open(os.path.join(WORK, "azure.log"), "a")
        command = ["node", os.environ["AZURITE"], "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--silent",
                   "--location", os.path.join(WORK, "azure"), "--skipApiVersionCheck", "--disableTelemetry"]
        environment = {**os.environ, "AZURITE_ACCOUNTS": f"someone:{key}"}
        self.process = started(command, stdout=log, stderr=log, env=environment)
        eventually("Azurite listens", 60, lambda: Store.listens(self))
        self.settings = {"store.endpoint": f"{self.gate.url}/someone", "store.allow.http": "true",
                         "store.account": "someone", "store.account.key": key}
        service = BlobServiceClient(f"http://127.0.0.1:{self.port}/someone",
                                    credential={"account_name": "someone", "account_key": key})
        self.container = service.get_container_client("bucket")

    def objects(self, prefix):
        names = sorted(one.name for one in self.container.list_blobs(name_starts_with=prefix))
        return {name: self.container.download_blob(name).readall() for name in names}


class Amazon:
    """The store of most checks."""

    def __init__(self):
        self.gate = gate
        self.settings = {"store.region": REGION, "store.endpoint": gate.url, "store.allow.http": "true",
                         "store.access.key.id": KEYS[0], "store.secret.access.key": KEYS[1]}

    def objects(self, prefix):
        return objects(s3, "bucket", prefix)


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def certificate(name, issuer=None):
    """A certificate for 127.0.0.1 with its key, both in PEM, and what it issues others with."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by, signing = issuer or (subject, key)
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(subject).issuer_name(by).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(issuer is None, None), True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(signing, hashes.SHA256()))
    return made.public_bytes(serialization.Encoding.PEM).decode() + pem(key), (subject, key)


class Gate(ThreadingHTTPServer):
    """Stands before the store at a port, and does what `mode` says; over https with `tls`."""

    def __init__(self, target=0, tls=None):
        super().__init__(("127.0.0.1", 0), Proxy)
        self.mode, self.target, self.asked, self.fates = "pass", target, 0, random.Random(SEED)
        # Public keys of those who may ask, by their ids, where the store does not look at it.
        self.keys = None
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass

    def knows(self, token):
        """Whether a bearer's token is signed with a known key."""
        head, claims, signature = [base64.urlsafe_b64decode(part + "==") for part in token.split(".")]
        key = self.keys.get(json.loads(head)["kid"])
        if key:
            key.verify(signature, token.rpartition(".")[0].encode(), padding.PKCS1v15(), hashes.SHA256())
        return key is not None and json.loads(claims)["iss"] == "sink@example.com"


class Proxy(BaseHTTPRequestHandler):
    """A connection to a gate."""

    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.body()
        gate = self.server
        gate.asked += 1
        mode = gate.mode
        if gate.keys is not None and not gate.knows(self.headers.get("Authorization", "").removeprefix("Bearer ")):
            return self.answer(401, [], b"<Error><Code>AuthenticationRequired</Code></Error>")
        if mode == "mixed":
            fates, weights = ["pass", "503", "500", "cut before", "cut after", "slow"], [50, 15, 5, 10, 15, 5]
            mode = gate.fates.choices(fates, weights)[0]
        if mode.isdigit():
            return self.answer(int(mode), [], f"<Error><Code>Injected{mode}</Code></Error>".encode())
        if mode == "silent":
            time.sleep(10)
        if mode in ("cut before", "silent"):
            return self.cut()
        if mode == "slow":
            time.sleep(1)
        connection = HTTPConnection("127.0.0.1", gate.target, timeout=30)
        # fake-gcs-server knows this way to write an object only with the query of a signature, and answers without a tag.
        is_odd = gate.keys is not None and self.command == "PUT"
        path = f"{self.path}?X-Goog-Algorithm=none" if is_odd else self.path
        connection.request(self.command, path, body, dict(self.headers))
        given = connection.getresponse()
        headers, text = given.getheaders() + [("ETag", '"tag"')] * is_odd, given.read()
        connection.close()
        if mode == "cut after":
            return self.cut()
        self.answer(given.status, headers, text)

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        del self.headers["Transfer-Encoding"]
        return body

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    def answer(self, status, headers, text):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else text)

    def cut(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # Cut, or the worker is gone.

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, *_):
        pass


admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def topic(name, partitions):
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)


def produce(name, values, partitions):
    """Records to the partitions in turn."""
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 5})
    for number, value in enumerate(values):
        producer.produce(name, json.dumps(value).encode(), partition=number % partitions)
        producer.poll(0)
    equal("unsent records", 0, producer.flush(60))


def records(name, partitions):
    """What committed transactions wrote."""
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "reader", "enable.partition.eof": True,
                         "isolation.level": "read_committed", "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, at, 0) for at in range(partitions)])
    found, ended = [], 0
    while ended < partitions:
        one = consumer.poll(30)
        assert one is not None, "the topic does not end"
        if one.error():
            assert one.error().code() == KafkaError._PARTITION_EOF, one.error()
            ended += 1
        else:
            found.append(json.loads(one.value()))
    consumer.close()
    return found


def settings(connector, url, **more):
    return {
        "connector.class": connector, "store.url": url, **clouds[url[:2]].settings,
        # The group forgets a killed worker's consumer soon.
        "consumer.override.session.timeout.ms": "6000", "consumer.override.heartbeat.interval.ms": "1000",
        "store.retries.max": "2", "store.retry.backoff.ms": "50", "store.request.timeout.ms": "3000",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false",
        **{name.replace("_", "."): value for name, value in more.items()},
    }


def put(name, config):
    status, body = worker.ask("PUT", f"/connectors/{name}/config", config)
    assert status in (200, 201), (status, body)


def tasks(name):
    status, body = worker.ask("GET", f"/connectors/{name}/status")
    return body["tasks"] if status == 200 else []


def running(name):
    eventually(f"{name} runs", 60, lambda: [one["state"] for one in tasks(name)] == ["RUNNING"])


def failed(name):
    """The trace of the only task."""
    eventually(f"{name} fails", 60, lambda: [one["state"] for one in tasks(name)] == ["FAILED"])
    return tasks(name)[0]["trace"]


def killed():
    worker.end(signal.SIGKILL)
    worker.start()


def rows(found):
    """The numbers in lines of JSON, by folder."""
    numbers = {}
    for name, text in found.items():
        numbers.setdefault(name.rsplit("/", 1)[0], []).extend(json.loads(line)["n"] for line in text.splitlines())
    return numbers


ROUNDS, EACH, SIZE = 3, 3000, 100


@check
def every_wrong_setting_is_told_at_once():
    config = settings("ObjectSink", "s3://other/once", name="wrong", topics="orders", store_endpoint="http://127.0.0.2:9",
                      store_region="eu.example.com/", store_secret_access_key="")
    status, body = worker.ask("PUT", "/connector-plugins/ObjectSink/config/validate", config)
    wrong = {one["value"]["name"]: one["value"]["errors"] for one in body["configs"] if one["value"]["errors"]}
    equal("fields", (200, {"store.url", "store.endpoint", "store.region", "store.secret.access.key"}), (status, set(wrong)))
    assert "allowed.urls" in wrong["store.url"][0] and "allowed.urls" in wrong["store.endpoint"][0], wrong


@check
def the_sink_writes_each_record_once_killed_on_a_failing_store():
    topic("orders", 3)
    gate.mode = "mixed"
    put("once", settings("ObjectSink", "s3://bucket/once", topics="orders", flush_size=str(SIZE)))
    for round in range(ROUNDS):
        before = len(objects(s3, "bucket", "once/"))
        produce("orders", [{"n": number} for number in range(round * EACH, (round + 1) * EACH)], 3)
        eventually("more is written", 60, lambda: len(objects(s3, "bucket", "once/")) > before + 3)
        killed()
    total = ROUNDS * EACH
    eventually("all is written", 120, lambda: len(objects(s3, "bucket", "once/")) >= total // SIZE)
    found = objects(s3, "bucket", "once/")
    expected = {f"once/topics/orders/partition={at}": list(range(at, total, 3)) for at in range(3)}
    equal("records in objects", expected, rows(found))
    assert all(text.count(b"\n") == SIZE for text in found.values()), "objects of one size"


@check
def the_source_reads_each_record_once_killed_on_a_failing_store():
    topic("back", 1)
    gate.mode = "mixed"
    put("back", settings("ObjectSource", "s3://bucket/once", topic="back", poll_interval_ms="200",
                         exactly_once_support="required", transaction_boundary="poll"))
    for round in range(2):
        eventually("more is read", 60, lambda: len(records("back", 1)) > round * 1000)
        killed()
    total = ROUNDS * EACH
    eventually("all is read", 120, lambda: len(records("back", 1)) >= total)
    found = [one["n"] for one in records("back", 1)]
    equal("records read back", list(range(total)), sorted(found))
    for at in range(3):
        equal("the order of a partition", list(range(at, total, 3)), [number for number in found if number % 3 == at])
    # What comes later is found where the last listing stood.
    s3.put_object(Bucket="bucket", Key="once/topics/orders/partition=0/orders+0+0000999999.json", Body=b'{"n": -1}\n')
    eventually("a new object is read", 30, lambda: len(records("back", 1)) == total + 1)


def city(number):
    return {"n": number, "name": None if number % 7 == 0 else f"no {number}", "tags": ["a"] * (number % 3)}


CITY = {"type": "struct", "name": "city", "fields": [
    {"field": "n", "type": "int64"}, {"field": "name", "type": "string", "optional": True},
    {"field": "tags", "type": "array", "items": {"type": "string"}}]}
FORMATS = ("json", "avro", "parquet")
# How each cloud's objects of Avro and of Parquet are compressed.
CODECS = {"s3": ("deflate", "snappy"), "gs": ("snappy", "zstd"), "az": ("zstandard", "gzip")}


def cities(format, found):
    """The records in objects, in the order of names."""
    if format == "json":
        return [json.loads(line) for text in found.values() for line in text.splitlines()]
    if format == "avro":
        return [row for text in found.values() for row in fastavro.reader(io.BytesIO(text))]
    tables = [pyarrow.parquet.read_table(io.BytesIO(text)) for text in found.values()]
    return [row for table in tables for row in table.to_pylist()]


@check
def every_cloud_holds_each_record_once_in_every_format_and_gives_it_back():
    topic("cities", 3)
    produce("cities", [{"schema": CITY, "payload": city(number)} for number in range(450)], 3)
    for cloud, at in clouds.items():
        at.gate.mode = "mixed"
        avro, parquet = CODECS[cloud]
        for format in FORMATS:
            put(f"{cloud}-{format}", settings("ObjectSink", f"{cloud}://bucket/all/{format}", topics="cities", format=format,
                                              flush_size="50", value_converter_schemas_enable="true",
                                              avro_codec=avro, parquet_codec=parquet))
    each = [(at, format) for at in clouds.values() for format in FORMATS]
    for at, format in each:
        eventually(f"{format} is written", 60, lambda: at.objects(f"all/{format}/"))
    killed()
    produce("cities", [{"schema": CITY, "payload": city(number)} for number in range(450, 900)], 3)
    expected = [city(number) for at in range(3) for number in range(at, 900, 3)]
    for at, format in each:
        eventually(f"all {format} is written", 90, lambda: len(at.objects(f"all/{format}/")) >= 18)
        equal(f"{type(at).__name__}: {format}", expected, cities(format, at.objects(f"all/{format}/")))
    for cloud in clouds:
        for format in FORMATS:
            worker.ask("DELETE", f"/connectors/{cloud}-{format}")
        topic(f"{cloud}-back", 1)
        put(f"{cloud}-back", settings("ObjectSource", f"{cloud}://bucket/all", topics_dir="", topic=f"{cloud}-back",
                                      poll_interval_ms="200", exactly_once_support="required"))
    eventually("something is read", 60, lambda: records("s3-back", 1))
    killed()
    for cloud in clouds:
        eventually("all is read", 90, lambda: len(records(f"{cloud}-back", 1)) >= 900 * len(FORMATS))
        found = sorted(records(f"{cloud}-back", 1), key=lambda one: one["n"])
        equal(f"{cloud}: read back", [city(number) for number in range(900) for _ in FORMATS], found)
        worker.ask("DELETE", f"/connectors/{cloud}-back")
        clouds[cloud].gate.mode = "pass"


@check
def files_of_pyarrow_are_read():
    rows = [{
        "truth": n % 2 == 0, "small": n - 5, "large": n * 10**12, "unsigned": 2**32 - 1 - n, "half": n / 2, "text": f"€ {n}",
        "bytes": bytes([n]), "day": datetime.date(2026, 1, 1 + n), "at": datetime.datetime(2026, 1, 1, 0, 0, n),
        "price": decimal.Decimal(f"-{n}.25"), "fixed": bytes([n] * 4), "none": None,
        "word": ["a", "b"][n % 2], "lists": [[1, None], None, []][: n % 4], "map": [(f"k{n}", {"a": n})] * (n % 2),
        "inner": None if n % 3 == 0 else {"x": None if n % 3 == 1 else n, "deep": [{"y": [n] * n}]},
    } for n in range(12)]
    arrow = pyarrow
    schema = arrow.schema([
        ("truth", arrow.bool_()), ("small", arrow.int8()), ("large", arrow.int64()), ("unsigned", arrow.uint32()),
        ("half", arrow.float32()), ("text", arrow.string()), ("bytes", arrow.binary()), ("day", arrow.date32()),
        ("at", arrow.timestamp("ms")), ("price", arrow.decimal128(9, 2)), ("fixed", arrow.binary(4)), ("none", arrow.float64()),
        ("word", arrow.dictionary(arrow.int32(), arrow.string())), ("lists", arrow.list_(arrow.list_(arrow.int32()))),
        ("map", arrow.map_(arrow.string(), arrow.struct([("a", arrow.int16())]))),
        ("inner", arrow.struct([("x", arrow.int32()), ("deep", arrow.list_(arrow.struct([("y", arrow.list_(arrow.int64()))])))])),
    ])
    table = arrow.Table.from_pylist(rows, schema)
    ways = [{}, {"compression": "none", "use_dictionary": False, "data_page_version": "2.0"}, {"row_group_size": 5},
            {"use_deprecated_int96_timestamps": True}, {"data_page_size": 8, "version": "1.0"},
            {"compression": "zstd", "data_page_version": "2.0"}, {"compression": "gzip"},
            {"compression": "gzip", "data_page_version": "2.0", "data_page_size": 8}, {"compression": "lz4"}]
    for number, way in enumerate(ways):
        file = io.BytesIO()
        pyarrow.parquet.write_table(table, file, **way)
        s3.put_object(Bucket="bucket", Key=f"arrow/topics/{number}.parquet", Body=file.getvalue())

    def expected(row):
        text = lambda number, size: base64.b64encode(number.to_bytes(size, "big", signed=True)).decode()
        since = lambda moment: int((moment - datetime.datetime(1970, 1, 1)).total_seconds() * 1000)
        cents = int(row["price"] * 100)
        size = next(size for size in range(1, 5) if -(1 << 8 * size - 1) <= cents < 1 << 8 * size - 1)
        return {**row, "bytes": base64.b64encode(row["bytes"]).decode(), "fixed": base64.b64encode(row["fixed"]).decode(),
                "day": (row["day"] - datetime.date(1970, 1, 1)).days, "at": since(row["at"]), "price": text(cents, size),
                "map": dict(row["map"])}

    topic("arrow", 1)
    put("arrow", settings("ObjectSource", "s3://bucket/arrow", topic="arrow", poll_interval_ms="200"))
    eventually("all is read", 30, lambda: len(records("arrow", 1)) >= len(ways) * len(rows))
    found = records("arrow", 1)
    for number, way in enumerate(ways):
        equal(way, [expected(row) for row in rows], found[number * len(rows):(number + 1) * len(rows)])
    # What is not read is told.
    for name, way in [("a", {"compression": "brotli"}), ("b", {"use_dictionary": False, "column_encoding": "DELTA_BINARY_PACKED"})]:
        file = io.BytesIO()
        pyarrow.parquet.write_table(table.select(["large"]), file, **way)
        s3.put_object(Bucket="bucket", Key=f"odd/{name}/x.parquet", Body=file.getvalue())
        put("odd", settings("ObjectSource", "s3://bucket/odd", topic="arrow", topics_dir=name))
        trace = failed("odd")
        assert "x.parquet" in trace and ("which is not read" in trace or "encoded in way 5" in trace), trace
    for name in ["arrow", "odd"]:
        worker.ask("DELETE", f"/connectors/{name}")


@check
def files_of_fastavro_are_read():
    schema = {"type": "record", "name": "city", "fields": [
        {"name": "n", "type": "long"}, {"name": "name", "type": ["null", "string"]},
        {"name": "tags", "type": {"type": "array", "items": "string"}}]}
    codecs = ["null", "deflate", "snappy", "zstandard"]
    for at, codec in enumerate(codecs):
        file = io.BytesIO()
        fastavro.writer(file, schema, [city(number) for number in range(at * 500, at * 500 + 500)], codec=codec,
                        sync_interval=2000)
        s3.put_object(Bucket="bucket", Key=f"fast/topics/{at}.avro", Body=file.getvalue())
    topic("fast", 1)
    put("fast", settings("ObjectSource", "s3://bucket/fast", topic="fast", poll_interval_ms="200"))
    eventually("all is read", 30, lambda: len(records("fast", 1)) >= 500 * len(codecs))
    equal("rows", [city(number) for number in range(500 * len(codecs))], records("fast", 1))
    # What is not read is told.
    file = io.BytesIO()
    fastavro.writer(file, schema, [city(1)], codec="bzip2")
    s3.put_object(Bucket="bucket", Key="odd/fast/x.avro", Body=file.getvalue())
    put("odd", settings("ObjectSource", "s3://bucket/odd", topic="fast", topics_dir="fast"))
    trace = failed("odd")
    assert "x.avro" in trace and "bzip2, which is not read" in trace, trace
    for name in ["fast", "odd"]:
        worker.ask("DELETE", f"/connectors/{name}")


@check
def stores_are_reached_over_https_with_certificates():
    topic("sealed", 1)
    produce("sealed", [{"n": number} for number in range(20)], 1)

    def config(**more):
        return settings("ObjectSink", "s3://bucket/sealed", topics="sealed", flush_size="10",
                        store_endpoint=secure.url, store_allow_http="false", **more)

    untrusted, trusted = {}, {"ssl_truststore_location": sealed["authority"]}
    known = {**trusted, "ssl_keystore_location": sealed["client"]}
    for given in [untrusted, trusted]:
        put("sealed", config(**given))
        trace = failed("sealed")
        assert "ertificate" in trace and "PRIVATE" not in trace, trace
        equal("objects", {}, objects(s3, "bucket", "sealed/"))
    put("sealed", config(**known))
    eventually("all is written", 60, lambda: len(objects(s3, "bucket", "sealed/")) == 2)
    equal("records", {"sealed/topics/sealed/partition=0": list(range(20))}, rows(objects(s3, "bucket", "sealed/")))
    topic("unsealed", 1)
    put("unsealed", settings("ObjectSource", "s3://bucket/sealed", topic="unsealed", store_endpoint=secure.url, **known))
    eventually("all is read", 60, lambda: len(records("unsealed", 1)) == 20)
    outside = config(name="sealed", ssl_truststore_location="/etc/hosts", value_converter_schema_registry_url="http://127.0.0.2:1",
                     value_converter="AvroConverter")
    status, body = worker.ask("PUT", "/connector-plugins/ObjectSink/config/validate", outside)
    wrong = {one["value"]["name"]: one["value"]["errors"][0] for one in body["configs"] if one["value"]["errors"]}
    equal("fields", {"ssl.truststore.location", "value.converter.schema.registry.url"}, set(wrong))
    assert "allowed.folders" in wrong["ssl.truststore.location"], wrong
    for name in ["sealed", "unsealed"]:
        worker.ask("DELETE", f"/connectors/{name}")


@check
def keys_of_google_and_azure_that_are_revoked_end_the_task_and_new_ones_lose_nothing():
    for cloud in ["gs", "az"]:
        at, name = clouds[cloud], f"{cloud}-secret"
        topic(name, 1)
        produce(name, [{"n": number} for number in range(10)], 1)
        sink = lambda: settings("ObjectSink", f"{cloud}://bucket/secret", topics=name, flush_size="10")
        put(name, sink())
        eventually("an object is written", 30, lambda: len(at.objects("secret/")) == 1)
        at.renew()
        produce(name, [{"n": number} for number in range(10, 30)], 1)
        trace = failed(name)
        assert "the store answered 40" in trace and "PRIVATE" not in trace, trace
        equal("the worker", 200, worker.ask("GET", "/health")[0])
        put(name, sink())
        eventually("all is written", 60, lambda: len(at.objects("secret/")) == 3)
        equal("records", {f"secret/topics/{name}/partition=0": list(range(30))}, rows(at.objects("secret/")))
        worker.ask("DELETE", f"/connectors/{name}")


@check
def a_store_that_is_away_is_waited_for():
    topic("waits", 1)
    gate.mode = "pass"
    put("waits", settings("ObjectSink", "s3://bucket/waits", topics="waits", flush_size="10",
                          store_request_timeout_ms="500"))
    running("waits")
    for number, mode in enumerate(["503", "429", "cut before", "silent", "cut after"]):
        gate.mode, asked = mode, gate.asked
        produce("waits", [{"n": at} for at in range(number * 10, number * 10 + 10)], 1)
        eventually(f"{mode}: the sink tries again", 30, lambda: gate.asked > asked + 3)
        equal(f"{mode}: the task", ["RUNNING"], [one["state"] for one in tasks("waits")])
        gate.mode = "pass"
        names = number + 1
        eventually(f"{mode}: the object is written", 30, lambda: len(objects(s3, "bucket", "waits/")) == names)
    equal("records", {"waits/topics/waits/partition=0": list(range(50))}, rows(objects(s3, "bucket", "waits/")))


@check
def a_refusal_is_told_in_the_status():
    topic("refused", 1)
    gate.mode = "pass"
    produce("refused", [{"n": number} for number in range(20)], 1)
    put("nowhere", settings("ObjectSink", "s3://missing", topics="refused", flush_size="10"))
    trace = failed("nowhere")
    assert "NoSuchBucket" in trace, trace
    put("nothing", settings("ObjectSource", "s3://missing", topic="refused-back"))
    trace = failed("nothing")
    assert "NoSuchBucket" in trace, trace
    gate.mode = "403"
    put("refused", settings("ObjectSink", "s3://bucket/refused", topics="refused", flush_size="10"))
    trace = failed("refused")
    assert "403" in trace and "Injected403" in trace and KEYS[1] not in trace, trace
    equal("others", ["RUNNING"], [one["state"] for one in tasks("waits")])
    equal("the worker", 200, worker.ask("GET", "/health")[0])
    gate.mode = "pass"
    worker.ask("POST", "/connectors/refused/restart?includeTasks=true&onlyFailed=true")
    eventually("all is written", 30, lambda: len(objects(s3, "bucket", "refused/")) == 2)
    equal("records", {"refused/topics/refused/partition=0": list(range(20))}, rows(objects(s3, "bucket", "refused/")))


@check
def revoked_credentials_end_the_task_and_new_ones_lose_nothing():
    strict = Store(calls_unchecked=7)
    keys = {}
    iam = strict.client("iam")
    for user in ["admin", "sink"]:
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = (key["AccessKeyId"], key["SecretAccessKey"])
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=json.dumps(policy))
    strict.client().create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    try:
        strict.client().list_objects_v2(Bucket="bucket")
        raise AssertionError("moto does not look at credentials")
    except ClientError as error:
        equal("a stranger", 403, error.response["ResponseMetadata"]["HTTPStatusCode"])
    iam, reader = strict.client("iam", keys["admin"]), strict.client(keys=keys["admin"])
    topic("secret", 1)
    gate.mode, gate.target = "pass", strict.port

    def config(key):
        return settings("ObjectSink", "s3://bucket/secret", topics="secret", flush_size="10",
                        store_access_key_id=key[0], store_secret_access_key=key[1])

    produce("secret", [{"n": number} for number in range(10)], 1)
    put("secret", config(keys["sink"]))
    eventually("an object is written", 30, lambda: len(objects(reader, "bucket", "secret/")) == 1)
    iam.delete_access_key(UserName="sink", AccessKeyId=keys["sink"][0])
    produce("secret", [{"n": number} for number in range(10, 30)], 1)
    trace = failed("secret")
    assert "InvalidAccessKeyId" in trace and keys["sink"][1] not in trace, trace
    equal("the worker", 200, worker.ask("GET", "/health")[0])
    key = iam.create_access_key(UserName="sink")["AccessKey"]
    put("secret", config((key["AccessKeyId"], key["SecretAccessKey"])))
    eventually("all is written", 60, lambda: len(objects(reader, "bucket", "secret/")) == 3)
    equal("records", {"secret/topics/secret/partition=0": list(range(30))}, rows(objects(reader, "bucket", "secret/")))


store = Store()
s3 = store.client()
s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
gate = Gate(store.port)
clouds = {"s3": Amazon(), "gs": Google(), "az": Azure()}
folder = os.path.join(WORK, "certificates")
os.makedirs(folder)
authority, issuer = certificate("authority")
texts = {"authority": authority, "server": certificate("server", issuer)[0], "client": certificate("client", issuer)[0]}
sealed = {name: os.path.join(folder, f"{name}.pem") for name in texts}
for name, text in texts.items():
    with open(sealed[name], "w") as file:
        file.write(text)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sealed["server"])
context.load_verify_locations(sealed["authority"])
context.verify_mode = ssl.CERT_REQUIRED
secure = Gate(store.port, context)
urls = ["s3://bucket", "s3://missing", "gs://bucket", "az://bucket", secure.url, *(at.gate.url for at in clouds.values())]
print(f"seed {SEED}")
worker = Worker("worker", BOOTSTRAP, ours, exactly_once_source_support="enabled",
                scheduled_rebalance_max_delay_ms="1000",
                allowed_urls=",".join(urls), allowed_folders=folder)
run()
