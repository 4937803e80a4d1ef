"""Topics as tables: what Kafka's clients wrote, read with SQL."""

import datetime
import json
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import kafkas
import polder

PASSWORD = "a long word to log in with"


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


def make(server, name, partitions=1):
    admin = AdminClient(kafkas.librdkafka(server))
    admin.create_topics([NewTopic(name, partitions)])[name].result(20)
    return name


def produce(server, topic, records, **settings):
    """`records`: (key, value, partition, headers, milliseconds)."""
    producer = Producer(kafkas.librdkafka(server, **settings))
    for key, value, partition, headers, at in records:
        while True:
            try:
                producer.produce(topic, value, key, partition, headers=headers, timestamp=at)
                break
            except BufferError:
                producer.poll(0.1)
    assert not producer.flush(60)


@pytest.mark.parametrize("codec", kafkas.CODECS)
def test_a_record_is_a_row(server, client, codec):
    topic = make(server, kafkas.fresh_name("rows"), 2)
    # Not so old that retention deletes them meanwhile.
    at = int(time.time()) * 1_000 - 60_000
    produce(server, topic, [
        (b"a", b'{"id": 1, "name": "x"}', 0, [("trace", b"7"), ("trace", b"8")], at),
        (None, b"no json", 0, None, at + 1),
        (b"a", None, 1, None, at + 2),
        (b"\xff", b"\xff\xfe", 1, [("h", None)], at + 3),
    ], compression_codec=codec)
    rows = client.sql(f'SELECT partition, "offset", timestamp, key, headers, value, key_bytes, value_bytes FROM {topic} ORDER BY 1, 2')
    assert [(row["partition"], row["offset"]) for row in rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [row["key"] for row in rows] == ["a", None, "a", None]
    value = [row["value"] if isinstance(row["value"], (dict, type(None))) else json.loads(row["value"]) for row in rows]
    assert value == [{"id": 1, "name": "x"}, "no json", None, None]
    written = datetime.datetime.fromtimestamp(at / 1_000, datetime.UTC)
    assert rows[0]["timestamp"].replace("T", " ").startswith(f"{written:%Y-%m-%d %H:%M:%S}")
    assert client.value(f"SELECT value->>'name' FROM topics.{topic} WHERE (value->>'id')::int = 1") == "x"
    assert client.value(f"SELECT count(*) FROM {topic} WHERE value_bytes = '\\xfffe'::bytea") == 1
    assert client.value(f"SELECT count(*) FROM {topic} WHERE headers <> '{{}}'::jsonb") == 2


def test_conditions_on_places_and_times_are_those_of_the_rows(server, client):
    topic = make(server, kafkas.fresh_name("places"), 3)
    at = int(time.time() * 1000) - 3_000
    produce(server, topic, [(str(n).encode(), json.dumps({"n": n}).encode(), n % 3, None, at + n) for n in range(3_000)], linger_ms=5)
    assert client.value(f"SELECT count(*) FROM {topic}") == 3_000
    assert client.value(f"SELECT count(DISTINCT (value->>'n')::int) FROM {topic}") == 3_000
    assert client.value(f"SELECT count(*) FROM {topic} WHERE partition = 1") == 1_000
    assert client.value(f'SELECT sum((value->>\'n\')::int) FROM {topic} WHERE partition = 2 AND "offset" BETWEEN 10 AND 12') == 32 + 35 + 38
    assert client.value(f'SELECT count(*) FROM {topic} WHERE "offset" < 0 OR "offset" > 999') == 0
    middle = client.value(f"SELECT timestamp FROM {topic} WHERE value->>'n' = '1500'")
    assert client.value(f"SELECT count(*) FROM {topic} WHERE timestamp >= TIMESTAMPTZ '{middle}'") == 1_500
    assert client.value(f"SELECT count(*) FROM {topic} WHERE timestamp < TIMESTAMPTZ '{middle}'") == 1_500
    assert len(client.sql(f"SELECT key FROM {topic} LIMIT 7")) == 7
    plan = client.sql(f"EXPLAIN SELECT count(*) FROM {topic} WHERE partition = 1 AND timestamp > now()")
    assert plan


def test_what_is_open_or_aborted_is_not_seen(server, client):
    topic = make(server, kafkas.fresh_name("transactions"))
    producer = Producer(kafkas.librdkafka(server, transactional_id=kafkas.fresh_name("sql")))
    producer.init_transactions(20)
    for ends in (producer.commit_transaction, producer.abort_transaction, producer.commit_transaction):
        producer.begin_transaction()
        producer.produce(topic, ends.__name__.encode(), b"k")
        producer.flush(20)
        before = client.value(f"SELECT count(*) FROM {topic}")
        ends(20)
        after = client.value(f"SELECT count(*) FROM {topic}")
        assert after - before == (1 if ends is producer.commit_transaction or ends.__name__ == "commit_transaction" else 0)
    assert client.value(f"SELECT count(*) FROM {topic}") == 2


def test_a_table_comes_before_a_topic_of_its_name(server, client):
    topic = make(server, kafkas.fresh_name("twice"))
    produce(server, topic, [(b"k", b"1", 0, None, 0)] * 3)
    assert client.value(f"SELECT count(*) FROM {topic}") == 3
    client.sql(f"CREATE TABLE {topic} (id int)")
    assert client.value(f"SELECT count(*) FROM {topic}") == 0
    assert client.value(f"SELECT count(*) FROM topics.{topic}") == 3
    client.sql(f"CREATE VIEW seen AS SELECT count(*) AS n FROM topics.{topic}")
    assert client.value("SELECT n FROM seen") == 3
    client.sql(f"CREATE TABLE copied AS SELECT key, value FROM topics.{topic}")
    assert client.value("SELECT count(*) FROM copied") == 3
    with pytest.raises(polder.Failed):
        client.sql(f"INSERT INTO topics.{topic} (key) VALUES ('x')")


def test_a_topic_is_read_by_select_and_written_by_producers(server, client):
    topic = make(server, kafkas.fresh_name("produced"))
    produce(server, topic, [(b"k", b"1", 0, None, 0)])
    client.sql("CREATE TABLE sources (key text)")
    for name in (topic, f"topics.{topic}"):
        for statement in [f"INSERT INTO {name} (key) VALUES ('x')", f"INSERT INTO {name} SELECT * FROM {topic}", f"UPDATE {name} SET key = 'x'", f"DELETE FROM {name}",
                          f"TRUNCATE {name}", f"EXPLAIN DELETE FROM {name}",
                          f"MERGE INTO {name} AS t USING sources AS s ON t.key = s.key WHEN MATCHED THEN DELETE"]:
            with pytest.raises(polder.Failed) as refused:
                client.sql(statement)
            assert (refused.value.code, "is a topic" in refused.value.message) == ("42809", True), (statement, refused.value)
        described = client.sql(f"DESCRIBE {name}")
        assert [row["column_name"] for row in described] == ["partition", "offset", "timestamp", "key", "headers", "value", "key_bytes", "value_bytes"]
    client.sql(f"INSERT INTO sources SELECT key FROM {topic}")
    with pytest.raises(polder.Failed) as refused:
        client.sql("INSERT INTO topics.nothing (key) VALUES ('x')")
    assert refused.value.code == "42P01"
    client.sql("CREATE USER unaware PASSWORD 'a long word to log in with'")
    unaware = polder.Client(server.url).login("unaware", "a long word to log in with")
    for statement in [f"DELETE FROM {topic}", f"DESCRIBE {topic}"]:
        with pytest.raises(polder.Failed) as refused:
            unaware.sql(statement)
        assert refused.value.code != "42809", refused.value


def test_only_who_may_read_topics_knows_of_them(server, client):
    topic = make(server, kafkas.fresh_name("secret"))
    produce(server, topic, [(b"k", b"1", 0, None, 0)])
    client.sql(f"CREATE USER outsider PASSWORD '{PASSWORD}'")
    client.sql(f"CREATE USER insider PASSWORD '{PASSWORD}'")
    client.sql("GRANT pg_read_all_data TO insider")
    assert polder.Client(server.url).login("insider", PASSWORD).value(f"SELECT count(*) FROM {topic}") == 1
    outsider = polder.Client(server.url).login("outsider", PASSWORD)
    for name in (topic, f"topics.{topic}"):
        with pytest.raises(polder.Failed) as refused:
            outsider.sql(f"SELECT * FROM {name}")
        assert refused.value.status in (403, 404), refused.value


def test_topics_are_in_the_catalogs_that_clients_read(server, client):
    topic = make(server, kafkas.fresh_name("listed"))
    relation = client.sql(f"SELECT relkind, relnamespace::regnamespace::text AS schema, relnatts FROM pg_class WHERE oid = 'topics.{topic}'::regclass")
    assert relation == [{"relkind": "v", "schema": "topics", "relnatts": 8}]
    columns = client.sql(f"SELECT column_name, udt_name FROM information_schema.columns WHERE table_schema = 'topics' AND table_name = '{topic}' ORDER BY ordinal_position")
    assert [tuple(row.values()) for row in columns] == [
        ("partition", "int4"), ("offset", "int8"), ("timestamp", "timestamptz"), ("key", "text"), ("headers", "jsonb"),
        ("value", "jsonb"), ("key_bytes", "bytea"), ("value_bytes", "bytea")]
    attributes = client.sql(f"SELECT attname, atttypid::regtype::text AS type FROM pg_attribute WHERE attrelid = 'topics.{topic}'::regclass AND attnum > 0 ORDER BY attnum")
    assert [row["attname"] for row in attributes] == [row["column_name"] for row in columns]
    listed = f"SELECT count(*) AS n FROM information_schema.tables WHERE table_schema = 'topics' AND table_name = '{topic}'"
    assert client.value(listed) == 1
    assert client.value("SELECT count(*) AS n FROM information_schema.schemata WHERE schema_name = 'topics'") == 1
    other = kafkas.fresh_name("nobody").replace("-", "_")
    client.sql(f"CREATE USER {other} PASSWORD '{PASSWORD}'")
    theirs = polder.Client(server.url).login(other, PASSWORD)
    assert theirs.value(listed) == 0
    assert theirs.value(f"SELECT count(*) AS n FROM pg_class WHERE relname = '{topic}'") == 0
    # Nor of the schema, as long as there is nothing in it for them.
    schemas = ["SELECT count(*) AS n FROM information_schema.schemata WHERE schema_name = 'topics'", "SELECT count(*) AS n FROM pg_namespace WHERE nspname = 'topics'"]
    assert [theirs.value(sql) for sql in schemas] == [0, 0]
    listed_as = f"SELECT relowner::regrole::text AS owner, array_to_string(relacl, ' ') AS grants FROM pg_class WHERE relname = '{topic}'"
    assert client.sql(listed_as) == [{"owner": "polder", "grants": "polder=arU/polder"}]
    may = f"SELECT has_table_privilege('{other}', 'topics.{topic}', 'SELECT') AS may"
    assert not client.value(may)
    client.sql(f"GRANT SELECT ON TOPIC {topic} TO {other}")
    assert [theirs.value(sql) for sql in [*schemas, listed]] == [1, 1, 1]
    assert client.sql(listed_as) == [{"owner": "polder", "grants": f"polder=arU/polder {other}=r/polder"}]
    assert client.value(may) and theirs.sql(listed_as) == client.sql(listed_as)
    client.sql(f"ALTER TOPIC {topic} OWNER TO {other}")
    assert client.sql(listed_as)[0]["owner"] == other
    admin = AdminClient(kafkas.librdkafka(server))
    admin.delete_topics([topic])[topic].result(20)
    assert client.value(listed) == 0
