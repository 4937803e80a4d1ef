"""Histories of topics: rows of the lake and records of the log, read as one table, each record once."""

import json
import threading
import time

import psycopg
import pytest
import requests
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

import drivers
import kafkas
import polder

LOAD_SECONDS = 12


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


def make(server, of, partitions=2, **config):
    name = kafkas.fresh_name(of)
    admin = AdminClient(kafkas.librdkafka(server))
    config = {key.replace("_", "."): str(value) for key, value in config.items()}
    admin.create_topics([NewTopic(name, partitions, config=config)])[name].result(20)
    return name


def produce(server, topic, count, partitions=2, first=0, size=0):
    producer = Producer(kafkas.librdkafka(server, linger_ms=5))
    for number in range(first, first + count):
        value = json.dumps({"n": number, "pad": "x" * size}).encode()
        producer.produce(topic, value, f"k{number}".encode(), number % partitions, headers=[("trace", b"7")])
        producer.poll(0)
    assert not producer.flush(60)


def starts(client, topic):
    return [row["s"] for row in client.sql(f"SELECT start_offset AS s FROM polder.topic_partitions WHERE topic_name = '{topic}' ORDER BY partition")]


def connect(server):
    place = drivers.polders(server)
    return psycopg.connect(host=place.host, port=place.port, user=place.user, password=place.password, dbname=place.database, autocommit=True)


def history(client, topic, seconds=1):
    client.sql(f"CREATE DELIVERY {topic}_kept FROM TOPIC {topic} INTO HISTORY BUFFER 64 MB OR {seconds} SECONDS")


def plan(client, sql):
    return "\n".join(str(row) for row in client.sql(f"EXPLAIN {sql}"))


def test_history_and_log_are_one_table(server, client):
    topic = make(server, "kept")
    produce(server, topic, 400)
    before = client.sql(f'SELECT * FROM {topic} ORDER BY partition, "offset"')
    history(client, topic)
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 400)
    client.sql(f"ALTER DELIVERY {topic}_kept PAUSE")
    produce(server, topic, 100, first=400)
    rows = client.sql(f'SELECT * FROM {topic} ORDER BY partition, "offset"')
    assert len(rows) == 500
    by_place = {(row["partition"], row["offset"]): row for row in rows}
    assert [by_place[row["partition"], row["offset"]] for row in before] == before
    kept = client.value(f"SELECT count(*) FROM topic_history.{topic}")
    assert kept == 400
    assert client.value(f"SELECT count(*) FROM {topic}") == 500
    assert client.value(f"SELECT count(*) FROM {topic} WHERE partition = 1") == 250
    assert client.value(f'SELECT count(*) FROM {topic} WHERE "offset" BETWEEN 190 AND 209') == 40
    assert client.value(f'SELECT count(*) FROM {topic} WHERE "offset" >= 200') == 100
    assert client.value(f"SELECT count(DISTINCT (value->>'n')::int) FROM {topic}") == 500
    assert client.value(f"SELECT count(*) FROM {topic} WHERE headers->>'trace' = '7' AND key_bytes IS NOT NULL") == 500
    middle = client.value(f"SELECT timestamp FROM {topic} WHERE value->>'n' = '390'")
    early = client.value(f"SELECT count(*) FROM {topic} WHERE timestamp < TIMESTAMPTZ '{middle}'")
    late = client.value(f"SELECT count(*) FROM {topic} WHERE timestamp >= TIMESTAMPTZ '{middle}'")
    assert (early + late, late >= 110) == (500, True)
    assert len(client.sql(f"SELECT key FROM {topic} LIMIT 450")) == 450
    assert "Union" in plan(client, f"SELECT * FROM {topic}")
    assert "Union" not in plan(client, f'SELECT * FROM {topic} WHERE "offset" >= 200')
    # Views and joins read it as any table.
    client.sql(f"CREATE VIEW {topic}_view AS SELECT key FROM topics.{topic}")
    assert client.value(f"SELECT count(*) FROM {topic}_view") == 500
    assert client.value(f'SELECT count(*) FROM {topic} a JOIN {topic} b USING (partition, "offset")') == 500


def test_values_are_equal_before_and_after_they_are_kept(server, client):
    topic = make(server, "formed", 1)
    values = [b'{"b":1,"a":2}', b'{"a":2,"b":1}', b'{"a": 2, "b": 1}', b'{"v":1,"v":2}', b'{"long": {"z": [1, {"y":0,"x":1}], "a":null},"s":"\\u00e4"}',
              b'1.50', b'[ ]', b'{"n": 1e2}', b'no json', b'{"z": "\\u0000"}', None, b"\xff"]
    producer = Producer(kafkas.librdkafka(server))
    # So many that a batch of them is kept whole in memory, and each of them longer than what lies in a view.
    for value in values * 10:
        producer.produce(topic, value)
        producer.produce(topic, value and value + b" " * 20)
    assert not producer.flush(20)
    ask = f'SELECT "offset", value::text AS value, value_bytes FROM {topic} ORDER BY "offset"'
    one = f"""SELECT count(*) FROM {topic} WHERE value::text = '{{"a": 2, "b": 1}}'"""
    before, same = client.sql(ask), client.value(one)
    history(client, topic)
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", len(values) * 20)
    assert client.sql(ask) == before
    assert (same, client.value(one)) == (60, 60)
    texts = [row["value"] for row in before[:24:2]]
    assert texts[3:8] == ['{"v": 2}', '{"s": "ä", "long": {"a": null, "z": [1, {"x": 1, "y": 0}]}}', "1.50", "[]", '{"n": 100}']


def test_each_record_once_while_it_is_written_and_kept(server, client):
    topic = make(server, "spliced", 3)
    history(client, topic)
    acknowledged, stop = [0], threading.Event()

    def write():
        producer = Producer(kafkas.librdkafka(server, linger_ms=2))

        def told(error, _):
            assert error is None
            acknowledged[0] += 1

        number = 0
        while not stop.is_set():
            producer.produce(topic, json.dumps({"n": number}).encode(), partition=number % 3, on_delivery=told)
            number += 1
            producer.poll(0)
            if number % 100 == 0:
                time.sleep(0.02)
        producer.flush(60)

    writer = threading.Thread(target=write)
    writer.start()
    seen, last = 0, 0
    try:
        with connect(server) as connection:
            end = time.monotonic() + LOAD_SECONDS
            while time.monotonic() < end:
                at_least = acknowledged[0]
                columns = "value->>'n'" if seen % 2 else '"offset" * 3 + partition'
                count, places = connection.execute(f"SELECT count(*), count(DISTINCT {columns}) FROM {topic}").fetchone()
                assert count == places, (count, places)
                assert count >= max(at_least, last), (count, at_least, last)
                ask = f'SELECT partition, count(*), max("offset") + 1 FROM {topic} GROUP BY partition'
                assert all(count == behind for _, count, behind in connection.execute(ask).fetchall())
                seen, last = seen + 1, count
    finally:
        stop.set()
        writer.join()
    assert seen > 5
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", acknowledged[0])
    assert client.value(f"SELECT count(*) FROM {topic}") == acknowledged[0]


def test_what_retention_deletes_is_answered_from_the_lake(server, client):
    topic = make(server, "old", 2, retention_ms=1000, segment_bytes=1048576)
    history(client, topic)
    client.sql(f"ALTER DELIVERY {topic}_kept PAUSE")
    produce(server, topic, 1_000, size=200)
    # Longer than the log waits between two looks. Nothing of it is kept, so all of it stays.
    time.sleep(14)
    assert starts(client, topic) == [0, 0]
    client.sql(f"ALTER DELIVERY {topic}_kept RESUME")
    end = time.monotonic() + 60
    while min(starts(client, topic)) < 500 and time.monotonic() < end:
        assert client.value(f"SELECT count(*) FROM {topic}") == 1_000
        time.sleep(0.3)
    assert starts(client, topic) == [500, 500]
    produce(server, topic, 10, first=1_000)
    rows = client.sql(f"SELECT count(*) AS n, count(DISTINCT value->>'n') AS d, min(\"offset\") AS first FROM {topic}")
    assert rows == [{"n": 1_010, "d": 1_010, "first": 0}]


def test_a_slow_reader_gets_all_that_retention_deletes_meanwhile(server, client):
    topic = make(server, "slow", 2, retention_ms=1000, segment_bytes=1048576)
    produce(server, topic, 20_000, size=500)
    with connect(server) as connection, connection.transaction():
        cursor = connection.cursor("slow")
        history(client, topic)
        cursor.itersize = 1_000
        cursor.execute(f"SELECT (value->>'n')::int, value->>'pad' FROM {topic}")
        seen = [number for number, _ in cursor.fetchmany(1_000)]
        kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 20_000)
        # The log looks for what is old every ten seconds, and would have none of it by now.
        time.sleep(14)
        while rows := cursor.fetchmany(5_000):
            seen.extend(number for number, _ in rows)
    assert sorted(seen) == list(range(20_000))
    end = time.monotonic() + 40
    while min(starts(client, topic)) < 10_000 and time.monotonic() < end:
        time.sleep(0.5)
    assert starts(client, topic) == [10_000, 10_000]
    assert client.value(f"SELECT count(DISTINCT value->>'n') FROM {topic}") == 20_000


def test_a_topic_that_is_made_anew_has_a_history_of_its_own(server, client):
    topic = make(server, "anew")
    history(client, topic)
    produce(server, topic, 30)
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 30)
    admin = AdminClient(kafkas.librdkafka(server))
    admin.delete_topics([topic])[topic].result(20)
    admin.create_topics([NewTopic(topic, 2)])[topic].result(20)
    assert client.value(f"SELECT count(*) FROM {topic}") == 0
    produce(server, topic, 4, first=100)
    for _ in range(2):
        assert client.value(f"SELECT min((value->>'n')::int) FROM {topic}") == 100
        assert client.value(f"SELECT count(*) FROM {topic}") == 4
        kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 34, 60)
    assert client.value(f"SELECT count(DISTINCT topic_id) FROM topic_history.{topic}") == 2


def test_a_history_is_taken_up_again(server, client):
    topic = make(server, "again")
    history(client, topic)
    produce(server, topic, 50)
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 50)
    client.sql(f"DROP DELIVERY {topic}_kept")
    assert client.value(f"SELECT count(*) FROM {topic}") == 50
    produce(server, topic, 10, first=50)
    history(client, topic)
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 60)
    assert client.value(f"SELECT count(DISTINCT value->>'n') FROM topic_history.{topic}") == 60
    assert client.value(f"SELECT count(*) FROM {topic}") == 60


@pytest.mark.parametrize("clause", ["STARTING AT LATEST", "TRANSFORM AS SELECT 1 AS one"])
def test_a_history_has_all_records_as_they_are(server, client, clause):
    topic = make(server, "plain")
    with pytest.raises(polder.Failed):
        client.sql(f"CREATE DELIVERY {topic}_kept FROM TOPIC {topic} INTO HISTORY {clause}")


def test_what_has_no_history_says_why(server, client):
    topic = make(server, "compacted", cleanup_policy="compact")
    with pytest.raises(polder.Failed) as refused:
        history(client, topic)
    assert "compacted" in str(refused.value)
    topic = make(server, "single")
    history(client, topic)
    with pytest.raises(polder.Failed) as refused:
        client.sql(f"CREATE DELIVERY {topic}_second FROM TOPIC {topic} INTO HISTORY")
    assert f"{topic}_kept" in str(refused.value)
    with pytest.raises(polder.Failed):
        client.sql(f"ALTER DELIVERY {topic}_kept REDRIVE")


def test_who_may_read_the_topic_reads_its_history(server, client):
    topic = make(server, "rights")
    history(client, topic)
    produce(server, topic, 20)
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 20)
    word = "a long word to log in with"
    client.sql(f"CREATE USER reader_of_history PASSWORD '{word}'")
    client.sql(f"CREATE USER keeper_of_history PASSWORD '{word}'")
    client.sql("GRANT pg_read_all_data TO keeper_of_history")
    reader = polder.Client(server.url).login("reader_of_history", word)
    with pytest.raises(polder.Failed):
        reader.sql(f"SELECT * FROM {topic}")
    # The table's right is another one.
    client.sql("GRANT USAGE ON SCHEMA topic_history TO reader_of_history")
    client.sql(f"GRANT SELECT ON topic_history.{topic} TO reader_of_history")
    assert reader.value(f"SELECT count(*) FROM topic_history.{topic}") == 20
    with pytest.raises(polder.Failed):
        reader.sql(f"SELECT * FROM {topic}")
    keeper = polder.Client(server.url).login("keeper_of_history", word)
    assert keeper.value(f"SELECT count(*) FROM {topic}") == 20
    other = make(server, "forbidden")
    with pytest.raises(polder.Failed) as refused:
        keeper.sql(f"CREATE DELIVERY mine FROM TOPIC {other} INTO HISTORY")
    assert refused.value.status == 403, refused.value


def held(client, topic):
    return client.sql(f"SELECT held_bytes, held_bytes_max, lost FROM polder.deliveries WHERE topic = '{topic}'")[0]


def metric(server, name):
    lines = requests.get(f"{server.url}/metrics", timeout=20).text.splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def test_what_a_history_makes_the_log_keep_is_told_and_bounded(server, client):
    topic = make(server, "held", 2, retention_ms=1000, segment_bytes=1048576)
    history(client, topic)
    client.sql(f"ALTER DELIVERY {topic}_kept PAUSE")
    assert held(client, topic) == {"held_bytes": 0, "held_bytes_max": None, "lost": 0}
    produce(server, topic, 6_000, size=2_000)
    end = time.monotonic() + 40
    while held(client, topic)["held_bytes"] < 12_000_000 and time.monotonic() < end:
        time.sleep(0.5)
    assert 12_000_000 <= held(client, topic)["held_bytes"] < 40_000_000 and starts(client, topic) == [0, 0]
    assert metric(server, "polder_log_held_bytes") >= held(client, topic)["held_bytes"]
    client.sql(f"ALTER DELIVERY {topic}_kept SET HOLD 6 MB")
    end = time.monotonic() + 40
    while held(client, topic)["held_bytes"] > 6 << 20 and time.monotonic() < end:
        time.sleep(0.5)
    assert held(client, topic)["held_bytes"] <= 6 << 20 and held(client, topic)["held_bytes_max"] == 6 << 20
    gone = starts(client, topic)
    # The oldest went, whatever their partition, and not all.
    assert 0 < sum(gone) < 6_000, gone
    client.sql(f"ALTER DELIVERY {topic}_kept RESUME")
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 6_000 - sum(gone), 60)
    assert client.value(f"SELECT min((value->>'n')::int) FROM {topic}") >= min(gone)
    client.sql(f"ALTER DELIVERY {topic}_kept DROP HOLD")
    assert held(client, topic)["held_bytes_max"] is None
    with pytest.raises(polder.Failed):
        client.sql(f"CREATE DELIVERY {topic}_t FROM TOPIC {topic} INTO TABLE {topic}_t HOLD 1 GB")


def test_who_reads_while_a_history_is_dropped_gets_all_of_it(server, client):
    topic = make(server, "dropped", 2, retention_ms=1000, segment_bytes=1048576)
    history(client, topic)
    client.sql(f"ALTER DELIVERY {topic}_kept PAUSE")
    produce(server, topic, 20_000, size=500)
    with connect(server) as connection, connection.transaction():
        cursor = connection.cursor("slow")
        cursor.itersize = 1_000
        cursor.execute(f"SELECT (value->>'n')::int, value->>'pad' FROM {topic}")
        seen = [number for number, _ in cursor.fetchmany(1_000)]
        client.sql(f"DROP DELIVERY {topic}_kept")
        # The log looks for what is old every ten seconds, and all of it is.
        time.sleep(14)
        assert starts(client, topic) == [0, 0]
        while rows := cursor.fetchmany(5_000):
            seen.extend(number for number, _ in rows)
    assert sorted(seen) == list(range(20_000))
    end = time.monotonic() + 40
    while min(starts(client, topic)) < 10_000 and time.monotonic() < end:
        time.sleep(0.5)
    assert starts(client, topic) == [10_000, 10_000]


def test_two_topics_share_no_table(server, client):
    topic = make(server, "shared")
    admin = AdminClient(kafkas.librdkafka(server))
    admin.create_topics([NewTopic(f"{topic}__rejected", 1)])[f"{topic}__rejected"].result(20)
    history(client, topic)
    with pytest.raises(polder.Failed) as refused:
        history(client, f"{topic}__rejected")
    assert refused.value.code == "42P07" and "ON ERROR INTO" in refused.value.hint
    client.sql(f"DROP DELIVERY {topic}_kept")
    history(client, f"{topic}__rejected")
    with pytest.raises(polder.Failed):
        history(client, topic)
    client.sql(f"CREATE DELIVERY {topic}_kept FROM TOPIC {topic} INTO HISTORY BUFFER 1 SECONDS ON ERROR INTO {topic}_failed")


def test_a_delivery_that_is_dropped_is_no_history_any_more(server, client):
    topic = make(server, "jobless")
    history(client, topic)
    produce(server, topic, 10)
    kafkas.until(client, f"SELECT count(*) FROM topic_history.{topic}", 10)
    assert "Union" in plan(client, f"SELECT * FROM {topic}")
    with pytest.raises(polder.Failed) as failed:
        client.sql(f"DROP JOB {topic}_kept")
    assert failed.value.code == "42809"
    assert "Union" in plan(client, f"SELECT * FROM {topic}")
    client.sql(f"DROP DELIVERY {topic}_kept")
    assert "Union" not in plan(client, f"SELECT * FROM {topic}")
    assert client.value(f"SELECT count(*) FROM {topic}") == 10
