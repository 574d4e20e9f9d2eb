"""The connectors of object stores on moto's S3, read with boto3 and pyarrow: kills, faults, refusals."""

import io
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pyarrow.parquet
from botocore.exceptions import ClientError
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import report
from connect_worker import WORK, Worker, free_port, ours
from report import BOOTSTRAP, check, equal, eventually

STARTED = []
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
        STARTED.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
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


class Proxy(BaseHTTPRequestHandler):
    """Stands before the store, and does what `mode` says."""

    protocol_version = "HTTP/1.1"
    mode, target, asked, fates = "pass", 0, 0, random.Random(SEED)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        Proxy.asked += 1
        mode = Proxy.mode
        if mode == "mixed":
            fates, weights = ["pass", "503", "500", "cut before", "cut after", "slow"], [50, 15, 5, 10, 15, 5]
            mode = Proxy.fates.choices(fates, weights)[0]
        if mode.isdigit():
            return self.answer(int(mode), [], f"<Error><Code>Injected{mode}</Code></Error>".encode())
        if mode == "silent":
            time.sleep(10)
        if mode in ("cut before", "silent"):
            return self.cut()
        if mode == "slow":
            time.sleep(1)
        connection = HTTPConnection("127.0.0.1", Proxy.target, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        given = connection.getresponse()
        headers, text = given.getheaders(), given.read()
        connection.close()
        if mode == "cut after":
            return self.cut()
        self.answer(given.status, headers, text)

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
        "connector.class": connector, "store.url": url, "store.region": REGION,
        "store.endpoint": f"http://127.0.0.1:{gate.server_port}", "store.allow.http": "true",
        "store.access.key.id": KEYS[0], "store.secret.access.key": KEYS[1],
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
    STARTED.append(worker.process)


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
    Proxy.mode = "mixed"
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
    Proxy.mode = "mixed"
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


@check
def parquet_is_what_pyarrow_reads():
    topic("people", 1)
    Proxy.mode = "mixed"
    schema = {"type": "struct", "name": "person", "fields": [
        {"field": "id", "type": "int64"}, {"field": "name", "type": "string", "optional": True},
        {"field": "tags", "type": "array", "items": {"type": "string"}}]}
    people = [{"id": number, "name": None if number % 7 == 0 else f"no {number}", "tags": ["a"] * (number % 3)}
              for number in range(1000)]
    produce("people", [{"schema": schema, "payload": person} for person in people], 1)
    put("people", settings("ObjectSink", "s3://bucket/people", topics="people", format="parquet", flush_size="100",
                           value_converter_schemas_enable="true"))
    eventually("something is written", 60, lambda: objects(s3, "bucket", "people/"))
    killed()
    eventually("all is written", 60, lambda: len(objects(s3, "bucket", "people/")) >= 10)
    tables = [pyarrow.parquet.read_table(io.BytesIO(text)) for text in objects(s3, "bucket", "people/").values()]
    equal("rows", people, [row for table in tables for row in table.to_pylist()])


@check
def a_store_that_is_away_is_waited_for():
    topic("waits", 1)
    Proxy.mode = "pass"
    put("waits", settings("ObjectSink", "s3://bucket/waits", topics="waits", flush_size="10",
                          store_request_timeout_ms="500"))
    running("waits")
    for number, mode in enumerate(["503", "429", "cut before", "silent", "cut after"]):
        Proxy.mode, asked = mode, Proxy.asked
        produce("waits", [{"n": at} for at in range(number * 10, number * 10 + 10)], 1)
        eventually(f"{mode}: the sink tries again", 30, lambda: Proxy.asked > asked + 3)
        equal(f"{mode}: the task", ["RUNNING"], [one["state"] for one in tasks("waits")])
        Proxy.mode = "pass"
        names = number + 1
        eventually(f"{mode}: the object is written", 30, lambda: len(objects(s3, "bucket", "waits/")) == names)
    equal("records", {"waits/topics/waits/partition=0": list(range(50))}, rows(objects(s3, "bucket", "waits/")))


@check
def a_refusal_is_told_in_the_status():
    topic("refused", 1)
    Proxy.mode = "pass"
    produce("refused", [{"n": number} for number in range(20)], 1)
    put("nowhere", settings("ObjectSink", "s3://missing", topics="refused", flush_size="10"))
    trace = failed("nowhere")
    assert "NoSuchBucket" in trace, trace
    put("nothing", settings("ObjectSource", "s3://missing", topic="refused-back"))
    trace = failed("nothing")
    assert "NoSuchBucket" in trace, trace
    Proxy.mode = "403"
    put("refused", settings("ObjectSink", "s3://bucket/refused", topics="refused", flush_size="10"))
    trace = failed("refused")
    assert "403" in trace and "Injected403" in trace and KEYS[1] not in trace, trace
    equal("others", ["RUNNING"], [one["state"] for one in tasks("waits")])
    equal("the worker", 200, worker.ask("GET", "/health")[0])
    Proxy.mode = "pass"
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
    Proxy.mode, Proxy.target = "pass", strict.port

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


try:
    store = Store()
    Proxy.target = store.port
    s3 = store.client()
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    gate = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    gate.handle_error = lambda *_: None
    threading.Thread(target=gate.serve_forever, daemon=True).start()
    print(f"seed {SEED}")
    worker = Worker("worker", BOOTSTRAP, ours, exactly_once_source_support="enabled",
                    scheduled_rebalance_max_delay_ms="1000",
                    allowed_urls=f"s3://bucket,s3://missing,http://127.0.0.1:{gate.server_port}")
    STARTED.append(worker.process)
    for function in report.CHECKS:
        report.attempt(function.__name__.replace("_", " "), function)
finally:
    for each in STARTED:
        if each.poll() is None:
            each.kill()
report.say("@done")
# Threads of the proxy may still wait.
os._exit(0)
