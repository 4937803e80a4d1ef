"""Quotas of clients: set and told over the wire, and what a producer notices of them."""

import time

import pytest

import kafkas
from test_deliveries import made_topic

confluent_kafka = pytest.importorskip("confluent_kafka")
kafka = pytest.importorskip("kafka")
quotas = pytest.importorskip("kafka.protocol.admin.client_quotas")

BYTES_A_SECOND = 20_000
VALUE = b"x" * 10_000


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


@pytest.fixture
def admin(server):
    client = kafka.KafkaAdminClient(**kafkas.python(server))
    yield client
    client.close()


def alter(admin, user: str, value, validate_only=False, key="producer_byte_rate"):
    """Sets the rate at which a user may produce, or takes it away."""
    request = quotas.AlterClientQuotasRequest
    entry = request.EntryData
    op = entry.OpData(key=key, value=float(value or 0), remove=value is None)
    entries = [entry(entity=[entry.EntityData(entity_type="user", entity_name=user)], ops=[op])]
    answer = admin._manager.run(admin._manager.send, request(entries=entries, validate_only=validate_only))
    assert [one.error_code for one in answer.entries] == [0]


def described(admin, user: str) -> dict:
    request = quotas.DescribeClientQuotasRequest
    component = request.ComponentData(entity_type="user", match_type=0, match=user)
    answer = admin._manager.run(admin._manager.send, request(components=[component], strict=True))
    assert answer.error_code == 0
    return {value.key: value.value for entry in answer.entries for value in entry.values}


def produce(server, topic: str, count: int) -> tuple:
    """Produces one by one; gives the seconds that it took and the longest wait that an answer asked for, in milliseconds."""
    producer = kafka.KafkaProducer(**kafkas.python(server), linger_ms=0, batch_size=0)
    try:
        producer.send(topic, b"first").get(kafkas.WAIT_SECONDS)
        began = time.monotonic()
        for _ in range(count):
            producer.send(topic, VALUE).get(kafkas.WAIT_SECONDS)
        took = time.monotonic() - began
        groups = producer.metrics().values()
        return took, max(0, *(value for group in groups for name, value in group.items() if name.endswith("throttle-time-max")))
    finally:
        producer.close()


def test_a_producer_is_held_to_its_rate_and_told_so(server, admin):
    user, topic = server.credentials["user"], made_topic(server, kafkas.fresh_name("quota"), 1)
    assert described(admin, user) == {}
    alter(admin, user, BYTES_A_SECOND, validate_only=True)
    assert described(admin, user) == {}
    free, wait = produce(server, topic, 5)
    assert wait == 0
    alter(admin, user, BYTES_A_SECOND)
    assert described(admin, user) == {"producer_byte_rate": BYTES_A_SECOND}
    # 180 kB are far more than the rate allows at once, whatever it makes of the seconds before.
    held, wait = produce(server, topic, 18)
    assert wait > 0 and held > max(5, free), (free, held, wait)
    alter(admin, user, None)
    assert described(admin, user) == {}


def read(reader, count: int) -> float:
    """Reads so many records of partition 0 with librdkafka; gives the seconds that it took."""
    offsets, began = [], time.monotonic()
    while len(offsets) < count and time.monotonic() < began + kafkas.WAIT_SECONDS:
        message = reader.poll(1)
        if message is not None:
            assert message.error() is None and message.value() == VALUE, message.error()
            offsets.append(message.offset())
    assert offsets == list(range(count))
    return time.monotonic() - began


def reader_of(server, topic: str, waits: list):
    """One that notes the waits that answers ask for, in seconds."""
    settings = kafkas.librdkafka(server, group_id=kafkas.fresh_name("quota"), fetch_message_max_bytes=20_000, queued_max_messages_kbytes=20)
    reader = confluent_kafka.Consumer({**settings, "throttle_cb": lambda event: waits.append(event.throttle_time)})
    reader.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    return reader


def consume(server, topic: str, count: int) -> tuple:
    """Reads so many records; gives the seconds that it took, and the waits that answers asked for."""
    waits = []
    reader = reader_of(server, topic, waits)
    try:
        return read(reader, count), waits
    finally:
        reader.close()


def test_a_consumer_is_held_to_its_rate_and_told_so(server, admin):
    user, topic = server.credentials["user"], made_topic(server, kafkas.fresh_name("quota"), 1)
    # Batches are read whole, so each record is one.
    producer = confluent_kafka.Producer(kafkas.librdkafka(server, batch_num_messages=1))
    for _ in range(18):
        producer.produce(topic, VALUE, partition=0)
    assert producer.flush(kafkas.WAIT_SECONDS) == 0
    free, waits = consume(server, topic, 18)
    assert not any(waits)
    alter(admin, user, BYTES_A_SECOND, key="consumer_byte_rate")
    assert described(admin, user) == {"consumer_byte_rate": BYTES_A_SECOND}
    try:
        held, waits = consume(server, topic, 18)
        assert any(wait > 0 for wait in waits) and held > max(5, free), (free, held, waits)
        # Who writes is not held by it.
        _, wait = produce(server, topic, 10)
        assert wait == 0
    finally:
        alter(admin, user, None, key="consumer_byte_rate")
    assert described(admin, user) == {}
    again, _ = consume(server, topic, 18)
    assert again < held, (again, held)


def test_what_was_read_at_once_is_made_up_for_on_every_connection(server, admin):
    user, topic = server.credentials["user"], made_topic(server, kafkas.fresh_name("quota"), 1)
    # One batch, which is read whole.
    producer = confluent_kafka.Producer(kafkas.librdkafka(server, linger_ms=500))
    for _ in range(16):
        producer.produce(topic, VALUE, partition=0)
    assert producer.flush(kafkas.WAIT_SECONDS) == 0
    alter(admin, user, BYTES_A_SECOND, key="consumer_byte_rate")
    one = two = None
    try:
        one = reader_of(server, topic, [])
        first, waits = read(one, 16), []
        # While the other one is open: it may have asked for more already, and would be closed only once it has its answer.
        two = reader_of(server, topic, waits)
        second = read(two, 16)
        assert second > max(5, first) and any(wait > 0 for wait in waits), (first, second, waits)
    finally:
        alter(admin, user, None, key="consumer_byte_rate")
        for reader in filter(None, (one, two)):
            reader.close()
