"""Quotas of clients: set and told over the wire, and what a producer notices of them."""

import time

import pytest

import kafkas
from test_deliveries import made_topic

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


def alter(admin, user: str, value, validate_only=False):
    """Sets the rate at which a user may produce, or takes it away."""
    request = quotas.AlterClientQuotasRequest
    entry = request.EntryData
    op = entry.OpData(key="producer_byte_rate", value=float(value or 0), remove=value is None)
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
    # 600 kB are far more than the rate allows at once, whatever it makes of the seconds before.
    held, wait = produce(server, topic, 60)
    assert wait > 0 and held > max(5, free), (free, held, wait)
    alter(admin, user, None)
    assert described(admin, user) == {}
