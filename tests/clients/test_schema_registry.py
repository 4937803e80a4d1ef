"""Confluent's own client of the registry of schemas, with its serializers, against the registry."""

import json
import threading

import pytest
import requests

import kafkas
from witnesses import wait_until

confluent_kafka = pytest.importorskip("confluent_kafka")
pytest.importorskip("confluent_kafka.schema_registry")
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PASSWORD = "a long word to log in with"
TYPE = {"Content-Type": "application/vnd.schemaregistry.v1+json"}


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


def address(server) -> str:
    return f"{server.url}/schema-registry"


def connected(server, user=None, password=None) -> SchemaRegistryClient:
    known = server.credentials
    login = f"{user or known['user']}:{password or known['password']}"
    return SchemaRegistryClient({"url": address(server), "basic.auth.user.info": login})


@pytest.fixture(scope="module")
def registry(server):
    return connected(server)


@pytest.fixture
def subject():
    return kafkas.fresh_name("subject") + "-value"


def avro(*fields, name="R") -> Schema:
    return Schema(json.dumps({"type": "record", "name": name, "fields": list(fields)}), "AVRO")


def refused(call) -> tuple:
    with pytest.raises(SchemaRegistryError) as caught:
        call()
    return caught.value.http_status_code, caught.value.error_code


A = {"name": "a", "type": "int"}
B = {"name": "b", "type": ["null", "string"], "default": None}
C = {"name": "c", "type": "string"}


def test_versions_and_ids(registry, subject):
    name = subject.replace("-", "_")
    one, two = avro(A, name=name), avro(A, B, name=name)
    first = registry.register_schema(subject, one)
    assert registry.register_schema(subject, one) == first
    second = registry.register_schema(subject, two)
    assert second > first
    assert registry.get_versions(subject) == [1, 2]
    latest = registry.get_latest_version(subject)
    assert (latest.version, latest.schema_id) == (2, second)
    assert json.loads(latest.schema.schema_str) == json.loads(two.schema_str)
    assert registry.lookup_schema(subject, one).version == 1
    # The order of keys and blanks count for nothing.
    spaced = Schema(f'{{ "name":"{name}",\n "fields":[{{"type":"int","name":"a"}}], "type":"record" }}', "AVRO")
    assert registry.lookup_schema(subject, spaced).schema_id == first
    # One text has one id wherever it is registered.
    other = subject.replace("-value", "-key")
    assert registry.register_schema(other, one) == first
    assert {subject, other} <= set(registry.get_subjects())
    assert set(registry.get_subjects_by_schema_id(first)) == {subject, other}
    assert {(use.subject, use.version) for use in registry.get_schema_versions(first)} == {(subject, 1), (other, 1)}
    assert registry.get_schema_types() == ["JSON", "PROTOBUF", "AVRO"]


def test_errors_have_the_numbers_that_clients_know(registry, subject):
    assert refused(lambda: registry.get_latest_version("nobody-value")) == (404, 40401)
    registry.register_schema(subject, avro(A))
    assert refused(lambda: registry.get_version(subject, 7)) == (404, 40402)
    assert refused(lambda: registry.get_schema(2**31 - 1)) == (404, 40403)
    assert refused(lambda: registry.lookup_schema(subject, avro(C))) == (404, 40403)
    assert refused(lambda: registry.register_schema(subject, avro(A, C))) == (409, 409)
    assert refused(lambda: registry.register_schema(subject, Schema('{"type": "nothing"}', "AVRO"))) == (422, 42201)
    assert refused(lambda: registry.register_schema(subject, Schema("x", "XML"))) == (422, 42201)
    assert refused(lambda: registry.get_version(subject, 0)) == (422, 42202)
    assert refused(lambda: registry.set_compatibility(subject, "SIDEWAYS")) == (422, 42203)
    assert refused(lambda: registry.update_mode(subject, "SLEEPING")) == (422, 42204)
    assert refused(lambda: registry.register_schema(":.elsewhere:x", avro(A))) == (422, 42205)
    assert refused(lambda: registry.get_compatibility(subject)) == (404, 40408)
    assert refused(lambda: registry.get_mode(subject)) == (404, 40409)


@pytest.mark.parametrize("level, adds_with_default, adds_without, removes", [
    ("NONE", True, True, True), ("BACKWARD", True, False, True), ("FORWARD", True, True, False), ("FULL", True, False, False),
    ("BACKWARD_TRANSITIVE", True, False, True), ("FORWARD_TRANSITIVE", True, True, False), ("FULL_TRANSITIVE", True, False, False),
])
def test_levels(registry, subject, level, adds_with_default, adds_without, removes):
    registry.set_compatibility(subject, level)
    assert registry.get_compatibility(subject) == level
    registry.register_schema(subject, avro(A, C))
    assert registry.test_compatibility(subject, avro(A, B, C)) == adds_with_default
    assert registry.test_compatibility(subject, avro(A, C, {"name": "d", "type": "int"})) == adds_without
    assert registry.test_compatibility(subject, avro(A)) == removes
    if not removes:
        assert refused(lambda: registry.register_schema(subject, avro(A))) == (409, 409)


def test_transitive_levels_look_at_all_versions(server, registry, subject):
    d = {"name": "d", "type": "string"}
    registry.register_schema(subject, avro(A, d))
    registry.register_schema(subject, avro(A))
    with_default = {"name": "d", "type": "int", "default": 0}
    assert registry.test_compatibility_all_versions(subject, avro(A, with_default))
    registry.set_compatibility(subject, "BACKWARD_TRANSITIVE")
    assert not registry.test_compatibility_all_versions(subject, avro(A, with_default))
    known = server.credentials
    answer = requests.post(
        f"{address(server)}/compatibility/subjects/{subject}/versions?verbose=true", headers=TYPE,
        auth=(known["user"], known["password"]), json={"schema": avro(A, with_default).schema_str}, timeout=60).json()
    assert not answer["is_compatible"] and "TYPE_MISMATCH" in answer["messages"][0] and "version 1" in answer["messages"][0]


def test_deleting(server, registry, subject):
    registry.register_schema(subject, avro(A))
    registry.register_schema(subject, avro(A, B))
    assert refused(lambda: registry.delete_version(subject, 1, permanent=True)) == (404, 40407)
    assert registry.delete_version(subject, 1) == 1
    assert registry.get_versions(subject) == [2]
    assert refused(lambda: registry.get_version(subject, 1)) == (404, 40402)
    assert registry.get_version(subject, 1, deleted=True).version == 1
    assert refused(lambda: registry.delete_version(subject, 1)) == (404, 40406)
    assert registry.delete_subject(subject) == [2]
    assert subject not in registry.get_subjects()
    assert subject in registry.get_subjects(deleted=True)
    assert refused(lambda: registry.delete_subject(subject)) == (404, 40404)
    # What was deleted comes back as another version of the same id.
    again = connected(server).register_schema(subject, avro(A))
    assert registry.get_versions(subject) == [3]
    registry.delete_version(subject, 3)
    assert registry.delete_subject(subject, permanent=True) == [1, 2, 3]
    assert subject not in registry.get_subjects(deleted=True)
    fresh = registry.register_schema(subject, avro(A, name="Another"))
    assert fresh > again and registry.get_versions(subject) == [1]


def test_references(server, registry):
    base, user = kafkas.fresh_name("base"), kafkas.fresh_name("user")
    registry.register_schema(base, Schema('{"type": "enum", "name": "x.Colour", "symbols": ["RED"]}', "AVRO"))
    reference = SchemaReference("x.Colour", base, 1)
    schema = Schema('{"type": "record", "name": "x.Car", "fields": [{"name": "colour", "type": "Colour"}]}', "AVRO", [reference])
    car = registry.register_schema(user, schema)
    found = connected(server).get_schema(car)
    assert [(found.name, found.subject, found.version) for found in found.references] == [("x.Colour", base, 1)]
    assert registry.get_referenced_by(base, 1) == [car]
    assert refused(lambda: registry.delete_version(base, 1)) == (422, 42206)
    resolved = connected(server).get_schema(car, fmt="resolved").schema_str
    assert json.loads(resolved)["fields"][0]["type"]["symbols"] == ["RED"]
    missing = Schema(schema.schema_str, "AVRO", [SchemaReference("x.Colour", base, 9)])
    assert refused(lambda: registry.register_schema(user + "2", missing)) == (422, 42201)


def test_modes(server, registry, subject):
    registry.update_mode(subject, "READONLY")
    assert refused(lambda: registry.register_schema(subject, avro(A))) == (422, 42205)
    registry.update_mode(subject, "IMPORT")
    assert registry.get_mode(subject) == "IMPORT"
    known = server.credentials

    def register(**body) -> requests.Response:
        return requests.post(f"{address(server)}/subjects/{subject}/versions", headers=TYPE, json=body,
                             auth=(known["user"], known["password"]), timeout=60)

    schema = avro(A, name="Imported").schema_str
    assert register(schema=schema).json()["error_code"] == 42205
    assert register(schema=schema, id=100_000, version=7).json()["id"] == 100_000
    assert registry.get_versions(subject) == [7]
    assert register(schema=avro(C, name="Imported").schema_str, id=100_000, version=8).status_code == 422
    assert registry.delete_mode(subject) == "IMPORT"
    assert register(schema=avro(A, B, name="Imported").schema_str, id=100_001).json()["error_code"] == 42205
    assert register(schema=avro(A, B, name="Imported").schema_str).json()["id"] == 100_001


def through(server, topic, serialize, deserialize, values) -> list:
    """Writes values to a topic and reads them back, as programs do."""
    producer = Producer(kafkas.librdkafka(server))
    context = SerializationContext(topic, MessageField.VALUE)
    for value in values:
        producer.produce(topic, serialize(value, context))
    assert producer.flush(kafkas.WAIT_SECONDS) == 0
    consumer = Consumer(kafkas.librdkafka(server, group_id=topic, auto_offset_reset="earliest"))
    consumer.subscribe([topic])
    read = []
    while len(read) < len(values):
        message = consumer.poll(kafkas.WAIT_SECONDS)
        assert message is not None and message.error() is None, message and message.error()
        read.append(deserialize(message.value(), context))
    consumer.close()
    return read


def in_sql(server, topic) -> list:
    rows = server.client().sql(f'SELECT value FROM topics.{topic} ORDER BY "offset"')
    return [row["value"] if isinstance(row["value"], dict) else json.loads(row["value"]) for row in rows]


def test_avro_through_a_topic(server, registry):
    topic = kafkas.fresh_name("avro")
    schema = avro(A, B, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}).schema_str
    values = [{"a": 1, "b": None, "at": 0}, {"a": 2, "b": "x", "at": 1}]
    serialize, deserialize = AvroSerializer(registry, schema), AvroDeserializer(connected(server))
    read = through(server, topic, serialize, deserialize, values)
    assert [(value["a"], value["b"]) for value in read] == [(1, None), (2, "x")]
    assert registry.get_versions(f"{topic}-value") == [1]
    assert in_sql(server, topic) == [{"a": 1, "b": None, "at": "1970-01-01T00:00:00.000Z"},
                                     {"a": 2, "b": "x", "at": "1970-01-01T00:00:00.001Z"}]


def test_json_through_a_topic(server, registry):
    topic = kafkas.fresh_name("json")
    schema = json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", "title": "User", "type": "object",
                         "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}, "required": ["name"]})
    values = [{"name": "ann", "age": 7}, {"name": "bob"}]
    serialize = JSONSerializer(schema, registry)
    deserialize = JSONDeserializer(None, schema_registry_client=connected(server))
    assert through(server, topic, serialize, deserialize, values) == values
    assert in_sql(server, topic) == values


def message_of(name: str, field: str):
    """A message with a text and a message within it, which protoc would have made."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    outer = file.message_type.add(name="Order")
    outer.field.add(name=field, number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    outer.field.add(name="amount_cents", number=2, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    outer.field.add(name="at", number=3, type=kinds.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp", label=kinds.LABEL_OPTIONAL)
    inner = outer.nested_type.add(name="Line")
    inner.field.add(name="product", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    from google.protobuf import timestamp_pb2
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


def test_protobuf_through_a_topic(server, registry):
    topic = kafkas.fresh_name("protobuf")
    of = message_of(topic, "order_id")
    value = of(order_id="o1", amount_cents=1250)
    value.at.seconds = 1
    serialize = ProtobufSerializer(of, registry, {"use.deprecated.format": False})
    deserialize = ProtobufDeserializer(of, {"use.deprecated.format": False}, connected(server))
    assert through(server, topic, serialize, deserialize, [value]) == [value]
    assert in_sql(server, topic) == [{"order_id": "o1", "amount_cents": 1250, "at": "1970-01-01T00:00:01Z"}]
    # The same file as a text is the same schema.
    text = ('syntax = "proto3"; package shop; import "google/protobuf/timestamp.proto"; message Order { string order_id = 1; '
            'int64 amount_cents = 2; google.protobuf.Timestamp at = 3; message Line { string product = 1; } }')
    latest = registry.get_latest_version(f"{topic}-value")
    assert registry.register_schema(f"{topic}-value", Schema(text, "PROTOBUF", latest.schema.references)) == latest.schema_id
    changed = text.replace("int64 amount_cents", "string amount_cents")
    assert not registry.test_compatibility(f"{topic}-value", Schema(changed, "PROTOBUF", latest.schema.references))


def test_protobuf_files_that_import_others(server, registry):
    """The serializer registers what is imported under a subject of its own, and refers to it."""
    topic = kafkas.fresh_name("imports")
    kinds = descriptor_pb2.FieldDescriptorProto
    part = descriptor_pb2.FileDescriptorProto(name=f"{topic}/part.proto", package="shop", syntax="proto3")
    part.message_type.add(name="Part").field.add(name="name", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    whole = descriptor_pb2.FileDescriptorProto(name=f"{topic}/whole.proto", package="shop", syntax="proto3")
    whole.dependency.append(part.name)
    message = whole.message_type.add(name="Whole")
    message.field.add(name="parts", number=1, type=kinds.TYPE_MESSAGE, type_name=".shop.Part", label=kinds.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(part)
    pool.Add(whole)
    of = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Whole"))
    value = of(parts=[{"name": "a"}, {"name": "b"}])
    serialize = ProtobufSerializer(of, registry, {"use.deprecated.format": False})
    deserialize = ProtobufDeserializer(of, {"use.deprecated.format": False}, connected(server))
    assert through(server, topic, serialize, deserialize, [value]) == [value]
    assert in_sql(server, topic) == [{"parts": [{"name": "a"}, {"name": "b"}]}]
    references = registry.get_latest_version(f"{topic}-value").schema.references
    assert [(found.name, found.subject) for found in references] == [(part.name, part.name)]


def test_many_register_at_once(server, subject):
    """Each text gets one id, and each version one text."""
    ids, failures = {}, []

    def work(number):
        try:
            mine = connected(server)
            for turn in range(8):
                of = (number + turn) % 8
                ids.setdefault(of, set()).add(mine.register_schema(f"{subject}{of}", avro(A, name=f"N{subject[:-6]}{of}")))
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures
    assert all(len(found) == 1 for found in ids.values()) and len(set.union(*ids.values())) == 8
    assert all(connected(server).get_versions(f"{subject}{of}") == [1] for of in ids)


def test_what_is_registered_outlives_a_kill(fresh):
    server = fresh()
    server.start()
    registry = connected(server)
    first = registry.register_schema("kept-value", avro(A))
    registry.set_compatibility("kept-value", "FULL")
    server.kill()
    server.start()
    registry = connected(server)
    assert registry.get_latest_version("kept-value").schema_id == first
    assert registry.get_compatibility("kept-value") == "FULL"
    assert registry.register_schema("other-value", avro(C)) > first


def test_logins_and_rights(server, registry, subject):
    client = server.client()
    for name, role in [("reads", "pg_read_all_data"), ("writes", "pg_write_all_data"), ("nothing", None)]:
        client.sql(f"CREATE USER sr_{name} PASSWORD '{PASSWORD}'")
        if role:
            client.sql(f"GRANT {role} TO sr_{name}")
    known = registry.register_schema(subject, avro(A))
    reads, writes, nothing = (connected(server, f"sr_{name}", PASSWORD) for name in ("reads", "writes", "nothing"))
    assert reads.get_latest_version(subject).schema_id == known
    assert refused(lambda: reads.register_schema(subject, avro(A, B))) == (403, 40301)
    assert writes.register_schema(subject, avro(A, B)) > known
    assert refused(lambda: writes.delete_subject(subject)) == (403, 40301)
    assert refused(lambda: writes.set_compatibility(None, "NONE")) == (403, 40301)
    # Whoever may know nothing learns nothing.
    assert nothing.get_subjects() == []
    assert refused(lambda: nothing.get_latest_version(subject)) == (404, 40401)
    assert refused(lambda: nothing.get_schema(known)) == (404, 40403)
    assert refused(lambda: nothing.delete_subject(subject)) == (404, 40401)
    topic = subject.removesuffix("-value")
    told = "SELECT user_name, via, message, error_code FROM polder.audit WHERE event = 'request' AND user_name LIKE 'sr_%'"
    wanted = {(f"sr_{who}", "http", f"permission denied to {what}", "42501") for who, what in (
        ("reads", f"write to topic {topic}"), ("writes", f"delete topic {topic}"), ("writes", "alter the server"), ("nothing", f"know of topic {topic}"))}
    wait_until(lambda: {tuple(row.values()) for row in client.sql(told)} == wanted, "the refusals are not told")
    url = f"{address(server)}/subjects"
    answer = requests.get(url, timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (401, 40101)
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert requests.get(url, auth=("sr_reads", "wrong"), timeout=60).status_code == 401
    # Whoever is dropped is out at once.
    assert requests.get(url, auth=("sr_reads", PASSWORD), timeout=60).status_code == 200
    client.sql("DROP USER sr_reads")
    assert requests.get(url, auth=("sr_reads", PASSWORD), timeout=60).status_code == 401


def test_what_is_strange_is_refused(server, subject):
    known = server.credentials
    url, login = f"{address(server)}/subjects/{subject}/versions", (known["user"], known["password"])

    def sent(body, kind="application/vnd.schemaregistry.v1+json", path=url):
        data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        answer = requests.post(path, data=data, headers={"Content-Type": kind}, auth=login, timeout=60)
        return answer.status_code, answer.json()["error_code"]

    assert sent({"schema": '"int"'}, "text/plain") == (415, 415)
    assert sent("{") == (422, 422)
    assert sent({"schema": ""}) == (422, 42201)
    assert sent({"schema": '"int"', "ruleSet": {"domainRules": [{"name": "x"}]}}) == (422, 42205)
    assert sent({"schema": json.dumps({"type": "enum", "name": "E", "symbols": [f"S{n}" for n in range(150_000)]})}) == (422, 42209)
    assert sent({"schema": "[" * 1000 + "]" * 1000}) == (422, 42201)
    assert sent({"schema": '"int"'}, path=url + "?sideways=true") == (400, 400)
    assert sent({"schema": '"int"'}, path=f"{address(server)}/subjects/{'s' * 300}/versions") == (422, 42208)
    origin = requests.delete(f"{address(server)}/subjects/{subject}", auth=login, headers={"Origin": "http://elsewhere.example"}, timeout=60)
    assert origin.status_code == 403
    assert requests.get(f"{address(server)}/nowhere", auth=login, timeout=60).json()["error_code"] == 404
