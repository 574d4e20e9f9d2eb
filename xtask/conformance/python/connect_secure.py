"""Workers of Connect and mirrors at a real Kafka whose listeners encrypt, and ask who is there."""

import os
import socket
import subprocess

from connect_worker import WORK, Worker, free_port, ours
from report import BOOTSTRAP, check, equal, eventually, run, started

LIBRARIES = os.environ["CONNECT_LIBRARIES"] + "/*"
LOGINS = "org.apache.kafka.common.security."
LINES = [f"line {number}" for number in range(20)]
TOPICS = {f"{kind}.storage.topic": f"secure-{kind}" for kind in ["config", "offset", "status"]}


def file(name):
    return os.path.join(WORK, name)


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def authority():
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=authority", "-keyout", file("ca.key"), "-out", file("ca.pem"))
    for name in ["server", "client"]:
        with open(file("names"), "w") as names:
            names.write("subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n")
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", file(f"{name}.key"), "-out", file(f"{name}.csr"))
        openssl("x509", "-req", "-in", file(f"{name}.csr"), "-CA", file("ca.pem"), "-CAkey", file("ca.key"),
                "-CAcreateserial", "-days", "2", "-extfile", file("names"), "-out", file(f"{name}.crt"))
        with open(file(f"{name}.pem"), "w") as both:
            both.write(open(file(f"{name}.key")).read() + open(file(f"{name}.crt")).read())


def login(module, user, password):
    return f'{LOGINS}{module}LoginModule required username="{user}" password="{password}";'


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def kafka():
    """A broker with a listener of each kind; where each is."""
    ports = {name: free_port() for name in ["PLAINTEXT", "CONTROLLER", "SASL_PLAINTEXT", "SSL", "SASL_SSL"]}
    own = ports.keys() - {"CONTROLLER"}
    users = f'{LOGINS}plain.PlainLoginModule required user_alice="alice secret" user_bob="bob-secret";'
    settings = {
        "process.roles": "broker,controller", "node.id": "1", "log.dirs": file("kafka"),
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{ports[name]}" for name in sorted(own)),
        "listener.security.protocol.map": ",".join(["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in sorted(own))]),
        "controller.listener.names": "CONTROLLER", "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.voters": f"1@127.0.0.1:{ports['CONTROLLER']}",
        "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1", "group.initial.rebalance.delay.ms": "0",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "ssl.keystore.type": "PEM", "ssl.keystore.location": file("server.pem"),
        "ssl.truststore.type": "PEM", "ssl.truststore.location": file("ca.pem"),
        "listener.name.ssl.ssl.client.auth": "required",
    }
    for listener in ["sasl_plaintext", "sasl_ssl"]:
        settings[f"listener.name.{listener}.plain.sasl.jaas.config"] = users
        for mechanism in ["scram-sha-256", "scram-sha-512"]:
            settings[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = f"{LOGINS}scram.ScramLoginModule required;"
    with open(file("kafka.properties"), "w") as properties:
        properties.writelines(f"{name}={value}\n" for name, value in settings.items())
    java = ["java", "-Xmx512M", "-cp", LIBRARIES]
    scram = [word for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] for word in [
        "--add-scram", f'{mechanism}=[name=alice,password="{mechanism} secret"]']]
    subprocess.run([*java, "kafka.tools.StorageTool", "format", "-t", "VltavaConformance0AAAA", "-c", file("kafka.properties"), *scram],
                   check=True, capture_output=True)
    log = open(file("kafka.log"), "w")
    started([*java, "kafka.Kafka", file("kafka.properties")], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    eventually("Kafka listens", 60, lambda: all(listens(ports[name]) for name in own))
    return {name: f"127.0.0.1:{port}" for name, port in ports.items()}


def text(name):
    """A file as the value of a property."""
    return open(file(name)).read().replace("\n", "\\n")


SCRAM = {f"SCRAM-SHA-{bits}": {
    "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": f"SCRAM-SHA-{bits}",
    "sasl.jaas.config": login("scram.Scram", "alice", f"SCRAM-SHA-{bits} secret")} for bits in [256, 512]}
PLAIN = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
         "sasl.jaas.config": login("plain.Plain", "alice", "alice secret")}


def worker(name, security):
    """A worker that reaches Kafka so. A worker of Kafka wants its producers and consumers told of it too."""
    clients = {f"{client}.{key}": value for client in ["producer", "consumer", "admin"] for key, value in security.items()}
    one = Worker(name, KAFKA[security["security.protocol"]], ours, **{
        "group.id": f"secure-{name}", **{key: f"{topic}-{name}" for key, topic in TOPICS.items()}, **security, **clients})
    return one


def put(one, name, config):
    status, body = one.ask("PUT", f"/connectors/{name}/config", config)
    assert status in (200, 201), (status, body)


def read(path):
    return open(path).read().splitlines() if os.path.exists(path) else []


def flows(name, security):
    """A file goes through a topic into a file; the worker."""
    one = worker(name, security)
    put(one, "source", {"connector.class": "FileStreamSource", "file": one.path("in.txt"), "topic": f"lines-{name}"})
    put(one, "sink", {"connector.class": "FileStreamSink", "file": one.path("out.txt"), "topics": f"lines-{name}"})
    eventually("all lines are there", 60, lambda: read(one.path("out.txt")) == LINES)
    return one


@check
def files_flow_under_passwords():
    flows("plain", PLAIN).end()
    for mechanism, security in SCRAM.items():
        flows(mechanism.lower(), security).end()


@check
def files_flow_under_certificates():
    stores = {"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": file("ca.pem"),
              "ssl.keystore.type": "PEM", "ssl.keystore.location": file("client.pem")}
    flows("stores", stores).end()
    texts = {"security.protocol": "SSL", "ssl.truststore.certificates": text("ca.pem"),
             "ssl.keystore.certificate.chain": text("client.crt"), "ssl.keystore.key": text("client.key"),
             "ssl.truststore.type": "PEM", "ssl.keystore.type": "PEM", "ssl.endpoint.identification.algorithm": "https"}
    flows("texts", texts).end()


@check
def files_flow_under_both_and_exactly_once():
    both = {**SCRAM["SCRAM-SHA-512"], "security.protocol": "SASL_SSL", "ssl.truststore.location": file("ca.pem"),
            "ssl.truststore.type": "PEM", "exactly.once.source.support": "enabled"}
    flows("both", both).end()


@check
def a_connector_may_be_somebody_else():
    one = worker("else", PLAIN)
    source = {"connector.class": "FileStreamSource", "file": one.path("in.txt"), "topic": "lines-else"}
    task = lambda: (one.ask("GET", "/connectors/source/tasks/0/status")[1] or {})
    put(one, "source", {**source, "producer.override.sasl.jaas.config": login("plain.Plain", "bob", "guessed")})
    eventually("a wrong password fails", 60, lambda: isinstance(task(), dict) and task().get("state") == "FAILED")
    assert "uthenticat" in task()["trace"], task()
    put(one, "source", {**source, "producer.override.sasl.jaas.config": login("plain.Plain", "bob", "bob-secret")})
    put(one, "sink", {"connector.class": "FileStreamSink", "file": one.path("out.txt"), "topics": "lines-else"})
    eventually("all lines are there", 60, lambda: read(one.path("out.txt")) == LINES)
    put(one, "source", {**source, "producer.override.bootstrap.servers": "127.0.0.1:1"})
    eventually("another cluster fails", 60, lambda: isinstance(task(), dict) and task().get("state") == "FAILED")
    assert "bootstrap.servers: " in task()["trace"], task()
    one.end()


def told(settings, bootstrap):
    """What a worker says that does not begin."""
    words = [f"--set={name}={value}" for name, value in {
        "bootstrap.servers": bootstrap, "group.id": "refused", "listeners": "http://127.0.0.1:0", **settings}.items()]
    ended = subprocess.run([os.environ["BINARY"], "connect", *words], capture_output=True, text=True, timeout=30)
    assert ended.returncode != 0, (settings, ended)
    return ended.stdout + ended.stderr


@check
def what_cannot_be_done_is_refused_by_name():
    for protocol, name, value in [
        ("SSL", "ssl.truststore.type", "JKS"), ("SSL", "ssl.keystore.type", "PKCS12"), ("SSL", "ssl.key.password", "x"),
        ("SSL", "ssl.endpoint.identification.algorithm", ""), ("SSL", "ssl.engine.factory.class", "a.B"),
        ("SASL_SSL", "sasl.mechanism", "GSSAPI"), ("SASL_SSL", "sasl.mechanism", "OAUTHBEARER"),
        ("SASL_PLAINTEXT", "sasl.login.callback.handler.class", "a.B"),
        ("SASL_PLAINTEXT", "sasl.jaas.config", "com.sun.security.auth.module.Krb5LoginModule required;"),
    ]:
        if "ssl.truststore" not in name and "keystore" not in name:
            settings = {**PLAIN, "security.protocol": protocol, name: value}
        else:
            settings = {"security.protocol": protocol, name: value}
        said = told(settings, KAFKA[protocol])
        assert f"{name}: " in said, (name, said)


@check
def who_may_not_come_in_does_not():
    names = {"wrong": {**PLAIN, "sasl.jaas.config": login("plain.Plain", "alice", "guessed")},
             "stranger": {"security.protocol": "SSL", "ssl.truststore.location": file("ca.pem")},
             "doubt": {**PLAIN, "security.protocol": "SASL_SSL"}}
    for name, security in names.items():
        log = file(f"{name}.log")
        words = [f"--set={key}={value}" for key, value in {
            "bootstrap.servers": KAFKA[security["security.protocol"]], "group.id": name, "listeners": "http://127.0.0.1:0", **security}.items()]
        process = started([os.environ["BINARY"], "connect", *words], stdout=open(log, "w"), stderr=subprocess.STDOUT)
        eventually(f"{name} is told", 30, lambda: "cannot start" in open(log).read())
        equal("it goes on trying", None, process.poll())
        process.terminate()
        process.wait(30)


@check
def a_mirror_reads_from_an_encrypted_cluster():
    one = Worker("mirror", BOOTSTRAP, ours, **{"group.id": "secure-mirror", **TOPICS})
    security = {**PLAIN, "security.protocol": "SASL_SSL", "ssl.truststore.location": file("ca.pem"), "ssl.truststore.type": "PEM"}
    put(one, "mirror", {
        "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "topics": "lines-plain",
        "source.cluster.alias": "kafka", "source.cluster.bootstrap.servers": KAFKA["SASL_SSL"],
        "target.cluster.bootstrap.servers": BOOTSTRAP, "replication.factor": "1", "offset-syncs.topic.replication.factor": "1",
        **{f"source.cluster.{name}": value for name, value in security.items()}})
    put(one, "sink", {"connector.class": "FileStreamSink", "file": one.path("out.txt"), "topics": "kafka.lines-plain"})
    eventually("all lines are there", 60, lambda: read(one.path("out.txt")) == LINES)
    one.end()


authority()
KAFKA = kafka()
run()
