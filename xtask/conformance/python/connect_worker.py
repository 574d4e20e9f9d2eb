"""A worker of Connect as a process, Kafka's or ours, and requests to it."""

import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import report

WORK = os.environ["WORK"]
LINES = 20


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Worker:
    """A worker, and the folder that its connectors read and write."""

    def __init__(self, name, bootstrap, launch, **settings):
        self.name, self.port, self.launch = name, free_port(), launch
        self.folder = os.path.join(WORK, name)
        os.makedirs(self.folder)
        with open(self.path("in.txt"), "w") as lines:
            lines.writelines(f"line {number}\n" for number in range(LINES))
        self.settings = {
            "bootstrap.servers": bootstrap,
            "group.id": "connect",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "config.storage.topic": "connect-configs",
            "config.storage.replication.factor": "1",
            "offset.storage.topic": "connect-offsets",
            "offset.storage.partitions": "2",
            "offset.storage.replication.factor": "1",
            "status.storage.topic": "connect-status",
            "status.storage.partitions": "2",
            "status.storage.replication.factor": "1",
            "offset.flush.interval.ms": "500",
            "listeners": f"http://127.0.0.1:{self.port}",
            "rest.advertised.host.name": "127.0.0.1",
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "1000",
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
        self.start()

    def path(self, file):
        return os.path.join(self.folder, file)

    def start(self):
        file = self.path("worker.properties")
        with open(file, "w") as properties:
            properties.writelines(f"{key}={value}\n" for key, value in self.settings.items())
        log = open(self.path("log"), "a")
        self.process = report.started(self.launch(file), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        report.eventually(f"{self.name} is healthy", 90, lambda: self.ask("GET", "/health")[0] == 200)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(30)

    def ask(self, method, path, body=None, raw=None, kind="application/json"):
        text = raw if raw is not None else None if body is None else json.dumps(body).replace("FOLDER", self.folder)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", None if text is None else text.encode(), method=method
        )
        if text is not None:
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, self.read(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, self.read(error.read())
        except OSError as error:
            return 0, str(error)

    def read(self, body):
        text = body.decode().replace(self.folder, "FOLDER").replace(f":{self.port}", ":PORT")
        return json.loads(text) if text.startswith(("{", "[")) else text


def java(file):
    libraries = os.environ["CONNECT_LIBRARIES"]
    return ["java", "-Xmx320M", "-cp", f"{libraries}/*", "org.apache.kafka.connect.cli.ConnectDistributed", file]


def ours(file):
    return [os.environ["BINARY"], "connect", file]
