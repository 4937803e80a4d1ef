"""Deliveries from topics into tables: each record once, whatever happens."""

import json
import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import kafkas
import polder



@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


def make(server, of, partitions=2):
    name = kafkas.fresh_name(of)
    admin = AdminClient(kafkas.librdkafka(server))
    admin.create_topics([NewTopic(name, partitions)])[name].result(20)
    return name


def produce(server, topic, values, **settings):
    producer = Producer(kafkas.librdkafka(server, **settings))
    for number, value in enumerate(values):
        producer.produce(topic, value if value is None or isinstance(value, bytes) else json.dumps(value).encode(), str(number).encode())
        producer.poll(0)
    assert not producer.flush(60)


def test_fields_become_columns_and_what_does_not_fit_is_kept_with_its_reason(server, client):
    topic = make(server, "orders")
    client.sql(f"CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_table BUFFER 1 SECONDS")
    produce(server, topic, [{"id": n, "name": f"n{n}", "price": n / 2, "more": {"a": [n]}} for n in range(500)])
    kafkas.until(client, f"SELECT count(*) FROM {topic}_table", 500)
    assert client.sql(f"SELECT sum(id) AS ids, count(DISTINCT name) AS names, sum(price) AS price FROM {topic}_table") == [{"ids": 124750, "names": 500, "price": 62375.0}]
    assert client.value(f"SELECT more->'a'->>0 FROM {topic}_table WHERE id = 7") == "7"
    # A new field is a new column; what is no object, or does not fit, takes no other along.
    produce(server, topic, [{"id": 1000, "late": True}, b"no json", {"id": "x"}, {"id": 1001}, None, [1], {"id": "1002"}])
    kafkas.until(client, f"SELECT count(*) FROM {topic}_table", 503)
    kafkas.until(client, f"SELECT count(*) FROM {topic}_table__rejected", 4)
    assert client.value(f"SELECT count(*) FROM {topic}_table WHERE late") == 1
    kept = client.sql(f"SELECT reason, encode(value, 'escape') AS value FROM {topic}_table__rejected ORDER BY partition, \"offset\"")
    assert all(row["reason"] for row in kept)
    assert any("column id" in row["reason"] for row in kept), kept
    assert {row["value"] for row in kept} == {"no json", '{"id": "x"}', None, "[1]"}
    status = client.sql(f"SELECT state, records, rejected, lag_records, last_error FROM polder.deliveries WHERE delivery_name = '{topic}_in'")[0]
    assert (status["state"], status["records"], status["rejected"], status["last_error"]) == ("running", 503, 4, None)


def test_a_transform_and_a_declared_table(server, client):
    topic = make(server, "clicks")
    client.sql(f"CREATE TABLE {topic}_t (page text NOT NULL, ms int CHECK (ms >= 0), at timestamptz)")
    client.sql(
        f"""CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_t
        TRANSFORM AS SELECT value->>'page' AS page, (value->>'ms')::int AS ms, timestamp AS at, partition AS part FROM {topic} WHERE value->>'page' <> 'skip'
        BUFFER 1 SECONDS ON ERROR INTO {topic}_bad"""
    )
    produce(server, topic, [{"page": "a", "ms": 1}, {"page": "b", "ms": "2"}, {"page": "skip"}, {"page": "c", "ms": "x"}, {"page": "d", "ms": -1}, {"page": "e", "ms": None}])
    kafkas.until(client, f"SELECT count(*) FROM {topic}_t", 3)
    assert [row["page"] for row in client.sql(f"SELECT page FROM {topic}_t WHERE part IS NOT NULL ORDER BY page")] == ["a", "b", "e"]
    kafkas.until(client, f"SELECT count(*) FROM {topic}_bad", 2)
    client.sql(f"ALTER DELIVERY {topic}_in SET TRANSFORM AS SELECT value->>'page' AS page, 0 AS ms, timestamp AS at FROM {topic}")
    client.sql(f"ALTER DELIVERY {topic}_in REDRIVE")
    kafkas.until(client, f"SELECT count(*) FROM {topic}_t", 5)
    assert client.value(f"SELECT count(*) FROM {topic}_bad") == 0


def test_statements_of_deliveries(server, client):
    topic = make(server, "said")
    produce(server, topic, [{"n": 1}])
    client.sql(f"CREATE DELIVERY said FROM TOPIC {topic} INTO TABLE said_t STARTING AT LATEST BUFFER 1 SECONDS")
    for sql, code in [
        (f"CREATE DELIVERY said FROM TOPIC {topic} INTO TABLE said_t", "42710"),
        ("CREATE DELIVERY other FROM TOPIC nowhere INTO TABLE t", "42704"),
        (f"CREATE DELIVERY other FROM TOPIC {topic} INTO TABLE no_schema.t", "3F000"),
        (f"CREATE DELIVERY other FROM TOPIC {topic} INTO TABLE t TRANSFORM AS SELECT nothing FROM {topic}", "42703"),
        (f"CREATE DELIVERY other FROM TOPIC {topic} INTO TABLE t BUFFER 0 SECONDS", "22023"),
        ("ALTER DELIVERY nobody PAUSE", "42704"),
        ("DROP DELIVERY nobody", "42704"),
        ("CREATE JOB always SCHEDULE '@always' AS SELECT 1", "22023"),
    ]:
        with pytest.raises(polder.Failed) as failed:
            client.sql(sql)
        assert failed.value.code == code, (sql, failed.value)
    client.sql(f"CREATE DELIVERY IF NOT EXISTS said FROM TOPIC {topic} INTO TABLE said_t")
    client.sql("DROP DELIVERY IF EXISTS nobody")
    produce(server, topic, [{"n": 2}])
    kafkas.until(client, "SELECT n FROM said_t", 2)
    client.sql("ALTER DELIVERY said PAUSE")
    assert client.value("SELECT state FROM polder.deliveries WHERE delivery_name = 'said'") == "paused"
    produce(server, topic, [{"n": 3}])
    time.sleep(2)
    assert client.value("SELECT count(*) FROM said_t") == 1
    client.sql("ALTER DELIVERY said RESUME")
    kafkas.until(client, "SELECT count(*) FROM said_t", 2)
    client.sql("DROP DELIVERY said")
    assert client.sql("SELECT * FROM polder.deliveries WHERE delivery_name = 'said'") == []


def test_each_record_is_there_once_through_kills(fresh):
    server = fresh()
    server.start()
    topic = make(server, "killed", 3)
    server.client().sql(f"CREATE DELIVERY killed FROM TOPIC {topic} INTO TABLE killed_t BUFFER 1 SECONDS")
    acknowledged, stop = [], threading.Event()

    def work():
        number = 0
        producer = None
        while not stop.is_set():
            try:
                producer = producer or Producer(kafkas.librdkafka(server, message_timeout_ms=3_000, enable_idempotence=True))
                for _ in range(50):
                    taken = number
                    producer.produce(topic, json.dumps({"n": taken}).encode(), on_delivery=lambda error, _, taken=taken: None if error else acknowledged.append(taken))
                    number += 1
                producer.flush(4)
            except Exception:
                producer = None
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(6):
        time.sleep(1.7)
        server.kill()
        server.start()
    stop.set()
    thread.join()
    client = server.client()
    records = client.value(f"SELECT count(*) FROM {topic}")
    kafkas.until(client, "SELECT count(*) FROM killed_t", records, 40)
    there = {row["n"] for row in client.sql("SELECT n FROM killed_t")}
    assert set(acknowledged) <= there
    assert client.value("SELECT count(*) FROM killed_t") == client.value(f"SELECT count(*) FROM {topic}")
    assert client.value(f"SELECT count(*) FROM (SELECT (value->>'n')::int AS n FROM {topic} EXCEPT ALL SELECT n FROM killed_t) AS gone") == 0


def test_only_superusers_send_records_elsewhere(server, client):
    topic = make(server, "leaving")
    client.sql("CREATE USER sender PASSWORD 'a long word to log in with'")
    client.sql("GRANT pg_read_all_data, pg_write_all_data TO sender")
    client.sql("GRANT CREATE ON SCHEMA public TO sender")
    sender = polder.Client(server.url).login("sender", "a long word to log in with")
    with pytest.raises(polder.Failed) as failed:
        sender.sql(f"CREATE DELIVERY out FROM TOPIC {topic} INTO HTTP 'http://127.0.0.1:1/'")
    assert failed.value.code == "42501"
    sender.sql(f"CREATE DELIVERY kept FROM TOPIC {topic} INTO TABLE {topic}_t")
