"""What a role may do with topics: nothing, read, or write, whatever Kafka's client asks for."""

import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import kafkas
from witnesses import wait_until

PASSWORD = "a long word to log in with"


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        client = server.client()
        for role, member in (("nobody", None), ("reader", "pg_read_all_data"), ("writer", "pg_write_all_data")):
            client.sql(f"CREATE USER {role} PASSWORD '{PASSWORD}'")
            if member:
                client.sql(f"GRANT {member} TO {role}")
        admin = AdminClient(kafkas.librdkafka(server))
        admin.create_topics([NewTopic("salaries", 1)])["salaries"].result(20)
        producer = Producer(kafkas.librdkafka(server))
        producer.produce("salaries", b"100")
        assert not producer.flush(20)
        yield server


def settings(server, role, **more):
    return {**kafkas.librdkafka(server, **more), "sasl.username": role, "sasl.password": PASSWORD}


def topics(server, role):
    admin = AdminClient(settings(server, role))
    return set(admin.list_topics(timeout=20).topics)


def written(server, role):
    """What came of writing: `None` if it was taken."""
    outcomes = []
    producer = Producer(settings(server, role, message_timeout_ms=5_000))
    try:
        producer.produce("salaries", b"1000000", on_delivery=lambda error, _: outcomes.append(error))
    except KafkaException as error:
        return error.args[0].code()
    producer.flush(20)
    return outcomes[0].code() if outcomes[0] else None


def read(server, role, seconds=20):
    """The first record, why there is none, or `None` as long as the topic is not known."""
    consumer = Consumer(settings(server, role, group_id=kafkas.fresh_name("group")))
    consumer.assign([TopicPartition("salaries", 0, 0)])
    message = consumer.poll(seconds)
    consumer.close()
    if message is None:
        return None
    return message.error().code() if message.error() else message.value()


def test_nobody_knows_of_a_topic(server):
    assert "salaries" not in topics(server, "nobody")
    refused = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._MSG_TIMED_OUT}
    assert written(server, "nobody") in refused
    # As with Kafka, the client goes on looking for a topic that it does not see; who may read has it by then.
    assert read(server, "reader") == b"100"
    assert read(server, "nobody", 2) in refused | {None}


def test_who_reads_does_not_write(server):
    assert "salaries" in topics(server, "reader")
    assert read(server, "reader") == b"100"
    assert written(server, "reader") == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_who_writes_does_not_read(server):
    assert "salaries" in topics(server, "writer")
    assert read(server, "writer") == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert written(server, "writer") is None


def test_nobody_but_the_owner_makes_and_drops(server):
    for role in ("nobody", "reader", "writer"):
        admin = AdminClient(settings(server, role))
        with pytest.raises(KafkaException) as refused:
            admin.create_topics([NewTopic("mine", 1)])["mine"].result(20)
        assert refused.value.args[0].code() in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
        with pytest.raises(KafkaException):
            admin.delete_topics(["salaries"])["salaries"].result(20)
    assert "salaries" in topics(server, "reader")
    # However often they ask, it is told once.
    for _ in range(3):
        with pytest.raises(KafkaException):
            AdminClient(settings(server, "reader")).delete_topics(["salaries"])["salaries"].result(20)
    told = server.client().sql("SELECT via, origin, object, outcome, error_code, message, times FROM polder.audit WHERE event = 'request' AND user_name = 'reader' AND message LIKE '%delete%'")
    assert [tuple(row.values()) for row in told] == [("kafka", "127.0.0.1", "topic salaries", "refused", "42501", "permission denied to delete topic salaries", 1)]


def test_topics_that_are_not_made_by_the_way_are_told(server):
    """A client that asks for a topic which there is not gets a new one, if it may make one."""
    producer = Producer(settings(server, "reader", message_timeout_ms=2_000))
    producer.produce("unmade", b"1")
    told = "SELECT object, message, error_code FROM polder.audit WHERE event = 'request' AND user_name = 'reader' AND message LIKE '%create topic unmade'"
    wanted = [("topic unmade", "permission denied to create topic unmade", "42501")]
    wait_until(lambda: [tuple(row.values()) for row in server.client().sql(told)] == wanted, "the refusal is not told")
    producer.flush(20)
    assert "unmade" not in topics(server, "reader")


def test_a_group_is_read_only_by_who_may(server):
    consumer = Consumer(settings(server, "nobody", group_id="payroll"))
    with pytest.raises(KafkaException) as refused:
        consumer.committed([TopicPartition("salaries", 0)], 20)
    assert refused.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED
    consumer.close()


def test_a_right_that_is_taken_away_is_gone_in_open_connections(server):
    client = server.client()
    client.sql(f"CREATE USER leaver PASSWORD '{PASSWORD}'")
    client.sql("GRANT pg_read_all_data TO leaver")
    producer = Producer(kafkas.librdkafka(server))
    producer.produce("plans", b"stay")
    assert not producer.flush(20)
    consumer = Consumer(settings(server, "leaver", group_id=kafkas.fresh_name("group")))
    consumer.assign([TopicPartition("plans", 0, 0)])
    assert consumer.poll(20).value() == b"stay"
    client.sql("REVOKE pg_read_all_data FROM leaver")
    # What waits for records has been let in before, and ends within half a second.
    time.sleep(1)
    producer.produce("plans", b"go")
    assert not producer.flush(20)
    # Who may read it has it by now.
    other = Consumer(kafkas.librdkafka(server, group_id=kafkas.fresh_name("group")))
    other.assign([TopicPartition("plans", 0, 1)])
    assert other.poll(20).value() == b"go"
    other.close()
    # The one that left is told, or finds the topic gone.
    until = time.monotonic() + 2
    while time.monotonic() < until:
        message = consumer.poll(0.5)
        assert message is None or message.error(), "it reads on"
    consumer.close()


def test_the_audit_tells_of_logins(server):
    topics(server, "reader")
    consumer = Consumer({**settings(server, "reader", group_id="audited"), "sasl.password": "not that"})
    with pytest.raises(KafkaException):
        consumer.list_topics(timeout=3)
    consumer.close()
    plain = AdminClient({**settings(server, "reader"), "sasl.mechanism": "PLAIN"})
    assert "salaries" in plain.list_topics(timeout=20).topics
    deadline = time.monotonic() + 10
    wanted = {("login", "kafka", "ok"), ("login", "kafka", "refused")}
    while time.monotonic() < deadline:
        rows = server.client().sql("SELECT * FROM polder.audit WHERE user_name = 'reader'")
        told = {(row["event"], row["via"], row["outcome"]) for row in rows}
        if told >= wanted:
            break
        time.sleep(0.2)
    assert told >= wanted, told
    assert {via for _, via, _ in told} == {"kafka"}
