"""confluent-kafka's schema registry client and serializers: Avro, Protobuf and JSON Schema, through topics."""

import json
import os
import socket
import subprocess
import threading

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from report import BOOTSTRAP, check, equal, eventually, run, server

REGISTRY = os.environ["REGISTRY"]
CLIENT = SchemaRegistryClient({"url": REGISTRY})


def record(*fields, name="User"):
    """An Avro record; a field with a question mark has a default."""
    shown = [
        {"name": field[:-1], "type": "int", "default": 0} if field.endswith("?") else {"name": field, "type": "int"}
        for field in fields
    ]
    return json.dumps({"type": "record", "name": name, "namespace": "example", "fields": shown})


def refused(code, act, *words):
    """Fails unless the registry refuses with this code and these words."""
    try:
        act()
    except SchemaRegistryError as error:
        equal("code", code, error.error_code)
        for word in words:
            assert word in error.error_message, f"{error.error_message!r} lacks {word!r}"
        return
    raise AssertionError(f"not refused with {code}")


def through_topic(topic, serializer, deserializer, values):
    """Writes values into a topic and reads them back."""
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    context = SerializationContext(topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    for value in values:
        producer.produce(topic, serializer(value, context))
    equal("undelivered", 0, producer.flush(30))
    consumer = Consumer(
        {"bootstrap.servers": BOOTSTRAP, "group.id": f"registry-{topic}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    got = []

    def read():
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            got.append((message.value(), deserializer(message.value(), context)))
        return len(got) == len(values)

    eventually(f"{len(values)} records", 30, read)
    consumer.close()
    assert all(payload[0] == 0 for payload, _ in got), "every payload begins with the magic byte"
    return [value for _, value in got]


@check
def schemas_are_registered_and_found():
    first = CLIENT.register_schema("py-value", Schema(record("a"), "AVRO"))
    equal("again", first, CLIENT.register_schema("py-value", Schema(record("a"), "AVRO")))
    second = CLIENT.register_schema("py-value", Schema(record("a", "b?"), "AVRO"))
    assert second > first
    equal("type by id", "AVRO", CLIENT.get_schema(first).schema_type)
    found = CLIENT.lookup_schema("py-value", Schema(record("a"), "AVRO"))
    equal("lookup", (first, 1), (found.schema_id, found.version))
    latest = CLIENT.get_latest_version("py-value")
    equal("latest", (second, 2, "py-value"), (latest.schema_id, latest.version, latest.subject))
    equal("versions", [1, 2], CLIENT.get_versions("py-value"))
    assert "py-value" in CLIENT.get_subjects()
    fresh = SchemaRegistryClient({"url": REGISTRY})
    equal("by guid", json.loads(record("a")), json.loads(fresh.get_schema_by_guid(found.guid).schema_str))


@check
def errors_have_their_codes():
    refused(40401, lambda: CLIENT.get_versions("py-none"), "Subject 'py-none' not found.")
    refused(40403, lambda: CLIENT.get_schema(999_999), "Schema 999999 not found")
    refused(42201, lambda: CLIENT.register_schema("py-bad", Schema("{", "AVRO")), "Invalid schema")
    CLIENT.register_schema("py-strict", Schema(record("a"), "AVRO"))
    refused(
        40901,
        lambda: CLIENT.register_schema("py-strict", Schema(record("a", "b"), "AVRO")),
        "incompatible with an earlier schema",
        "READER_FIELD_MISSING_DEFAULT_VALUE",
    )
    assert not CLIENT.test_compatibility("py-strict", Schema(record("a", "b"), "AVRO"))
    assert CLIENT.test_compatibility("py-strict", Schema(record("a", "b?"), "AVRO"))


@check
def compatibility_is_set_for_subjects_and_everything():
    equal("global", "BACKWARD", CLIENT.get_compatibility())
    equal("set", "FULL", CLIENT.set_compatibility("py-level", "FULL")["compatibility"])
    equal("got", "FULL", CLIENT.get_compatibility("py-level"))
    refused(40408, lambda: CLIENT.get_compatibility("py-no-level"))


@check
def deletion_is_soft_and_then_for_good():
    CLIENT.register_schema("py-gone", Schema(record("a"), "AVRO"))
    CLIENT.register_schema("py-gone", Schema(record("a", "b?"), "AVRO"))
    equal("version", 2, CLIENT.delete_version("py-gone", 2))
    equal("subject", [1], CLIENT.delete_subject("py-gone"))
    equal("for good", [1, 2], CLIENT.delete_subject("py-gone", permanent=True))
    refused(40401, lambda: CLIENT.get_versions("py-gone"))


@check
def avro_goes_through_a_topic_and_evolves():
    old = AvroSerializer(CLIENT, record("a"), lambda value, _: value)
    new = AvroDeserializer(SchemaRegistryClient({"url": REGISTRY}), record("a", "b?"))
    values = [{"a": number} for number in range(20)]
    got = through_topic("py-avro", old, new, values)
    equal("values", [{**value, "b": 0} for value in values], got)


@check
def avro_references_are_resolved():
    CLIENT.register_schema("py-inner", Schema(record("x", name="Inner"), "AVRO"))
    outer = json.dumps(
        {"type": "record", "name": "Outer", "fields": [{"name": "inner", "type": "example.Inner"}]}
    )
    reference = SchemaReference("example.Inner", "py-inner", 1)
    schema = Schema(outer, "AVRO", [reference])
    CLIENT.register_schema("py-outer-value", schema)
    serializer = AvroSerializer(CLIENT, schema, lambda value, _: value)
    deserializer = AvroDeserializer(SchemaRegistryClient({"url": REGISTRY}))
    values = [{"inner": {"x": 7}}]
    equal("values", values, through_topic("py-outer", serializer, deserializer, values))
    refused(42206, lambda: CLIENT.delete_version("py-inner", 1), "references exist")


@check
def protobuf_goes_through_a_topic():
    file = descriptor_pb2.FileDescriptorProto(name="person.proto", package="example", syntax="proto3")
    message = file.message_type.add(name="Person")
    message.field.add(name="name", number=1, type=9, label=1)
    message.field.add(name="age", number=2, type=5, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    person = message_factory.GetMessageClass(pool.FindMessageTypeByName("example.Person"))
    serializer = ProtobufSerializer(person, CLIENT, {"use.deprecated.format": False})
    # A client of its own: one that has registered a text does not ask for it in the form that is needed here.
    deserializer = ProtobufDeserializer(
        person, {"use.deprecated.format": False}, SchemaRegistryClient({"url": REGISTRY})
    )
    values = [person(name=f"p{number}", age=number) for number in range(10)]
    equal("values", values, through_topic("py-protobuf", serializer, deserializer, values))
    equal("type", "PROTOBUF", CLIENT.get_latest_version("py-protobuf-value").schema.schema_type)


@check
def json_schema_goes_through_a_topic():
    schema = json.dumps(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Order",
            "type": "object",
            "properties": {"id": {"type": "integer"}, "note": {"type": "string"}},
            "required": ["id"],
        }
    )
    serializer = JSONSerializer(schema, CLIENT, lambda value, _: value)
    deserializer = JSONDeserializer(schema, lambda value, _: value, SchemaRegistryClient({"url": REGISTRY}))
    values = [{"id": number, "note": "n"} for number in range(10)]
    equal("values", values, through_topic("py-json", serializer, deserializer, values))


@check
def nothing_acknowledged_is_lost_when_the_server_is_killed():
    """Several register and delete for good while the process is killed, three times."""
    given, failed = {}, []

    def write(writer, kill):
        client = SchemaRegistryClient({"url": REGISTRY, "max.retries": 0})
        for number in range(1000):
            subject = f"py-kill-{kill}-{writer}-{number}"
            text = record("a", name=f"K{kill}x{writer}x{number}")
            try:
                given[subject] = client.register_schema(subject, Schema(text, "AVRO")), text
                if number % 3 == 2:
                    gone = f"py-kill-{kill}-{writer}-{number - 1}"
                    # Once it is asked for, it may be gone or not.
                    text_of_gone = given.pop(gone)
                    client.delete_subject(gone)
                    client.delete_subject(gone, permanent=True)
                    given[f"-{gone}"] = text_of_gone
            except Exception as error:  # the process is gone
                failed.append(error)
                return

    for kill in range(3):
        before = len(given)
        writers = [threading.Thread(target=write, args=(writer, kill)) for writer in range(4)]
        for writer in writers:
            writer.start()
        eventually("some registrations", 30, lambda: len(given) > before + 40 or failed[kill * 4 :])
        assert len(failed) == kill * 4, f"refused: {failed[-1]}"
        server("kill")
        for writer in writers:
            writer.join()
        server("start")

        def serves():
            try:
                return CLIENT.get_subjects()
            except Exception:  # it starts
                return False

        there = set(eventually("the registry answers", 30, serves))
    equal("writers that were cut off", 12, len(failed))
    equal("ids", len(given), len({number for number, _ in given.values()}))
    fresh = SchemaRegistryClient({"url": REGISTRY})
    for subject, (number, text) in given.items():
        if subject.startswith("-"):
            assert subject[1:] not in there, f"{subject[1:]} came back"
            continue
        found = fresh.get_latest_version(subject)
        equal(subject, (number, json.loads(text)), (found.schema_id, json.loads(found.schema.schema_str)))
    newest = CLIENT.register_schema("py-kill-last", Schema(record("a", name="Last"), "AVRO"))
    assert newest > max(number for number, _ in given.values()), "an id was given again"


def certificate(name):
    """A certificate for this machine that signs itself, and a file that holds it with its key."""
    key, own, both = (os.path.join(os.environ["WORK"], f"{name}.{kind}.pem") for kind in ("key", "own", "both"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    # Who presents a certificate of an authority as its own is not let in.
    kinds = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*command.split(), *kinds, "-keyout", key, "-out", own], check=True, capture_output=True)
    with open(both, "w") as file:
        file.write(open(key).read() + open(own).read())
    return key, own, both


@check
def the_registry_is_asked_over_https():
    server_key, server, store = certificate("server")
    client_key, client, _ = certificate("client")
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        broker, registry = one.getsockname()[1], other.getsockname()[1]
    settings = {
        "log.dirs": os.path.join(os.environ["WORK"], "https"),
        "listeners": f"PLAINTEXT://127.0.0.1:{broker}",
        "vltava.http.listeners": "",
        "vltava.registry.listeners": f"https://127.0.0.1:{registry}",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": store,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": client,
        "ssl.client.auth": "required",
    }
    further = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    with open(os.path.join(os.environ["WORK"], "https.log"), "w") as log:
        node = subprocess.Popen([os.environ["BINARY"], "serve", *further], stdout=log, stderr=log)
    try:
        known = {"ssl.ca.location": server, "ssl.certificate.location": client, "ssl.key.location": client_key}
        address = {"url": f"https://127.0.0.1:{registry}", "max.retries": 0}
        trusted = SchemaRegistryClient({**address, **known})

        def answers():
            try:
                return trusted.get_subjects() == []
            except Exception:  # it starts
                return False

        eventually("the registry answers over https", 30, answers)
        number = trusted.register_schema("tls-value", Schema(record("a"), "AVRO"))
        equal("by id", json.loads(record("a")), json.loads(trusted.get_schema(number).schema_str))
        refused(40403, lambda: trusted.get_schema(999_999))
        strange = {"ssl.ca.location": client}, {"ssl.ca.location": server}, {**known, "ssl.ca.location": client}
        for others in strange:
            try:
                SchemaRegistryClient({**address, **others}).get_subjects()
            except Exception as error:
                assert not isinstance(error, SchemaRegistryError), f"an answer: {error}"
            else:
                raise AssertionError(f"answered without trust: {sorted(others)}")
    finally:
        node.terminate()
        equal("how the node ended", 0, node.wait(30))


run()
