"""Deliveries from topics into tables: each record once, whatever happens."""

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
    reasons = {row["value"]: row["reason"] for row in kept}
    assert "tombstone" in reasons[None] and "no JSON" in reasons["no json"] and "object" in reasons["[1]"], reasons
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


def test_a_partitioning_that_cannot_be_is_refused_at_once(server, client):
    topic = make(server, "parted", 1)
    client.sql("CREATE TABLE parted_there (a text, b bigint, at date) PARTITIONED BY (a)")
    client.sql("CREATE TABLE parted_not (a text, b bigint, at date)")
    transform = f"""TRANSFORM AS SELECT value->>'a' AS a, ("timestamp" AT TIME ZONE 'UTC')::date AS at FROM {topic}"""
    begin = f"CREATE DELIVERY parted FROM TOPIC {topic} INTO"
    bucket = "OBJECTS 's3://b/f' WITH (prefix '!{partitionKeyFromQuery:NAME}/', access_key_id 'a', secret_access_key 'b')"
    for rest, code in [
        ("TABLE parted_new PARTITION BY bucket(4, b)", "0A000"),
        ("TABLE parted_new PARTITION BY truncate(3, a)", "0A000"),
        ("TABLE parted_new PARTITION BY day(at)", "0A000"),
        (f"TABLE parted_new {transform} PARTITION BY nonexist", "42703"),
        (f"TABLE parted_new {transform} PARTITION BY day(a)", "0A000"),
        ("TABLE parted_there PARTITION BY b", "22023"),
        ("TABLE parted_there PARTITION BY a, day(at)", "22023"),
        ("TABLE parted_not PARTITION BY a", "22023"),
        (f"TABLE parted_not {transform} PARTITION BY day(at)", "22023"),
        ("HISTORY PARTITION BY nonexist", "42703"),
        (bucket.replace("NAME", "zz"), "42703"),
        (f"{bucket.replace('NAME', 'key')} {transform}", "42703"),
    ]:
        with pytest.raises(polder.Failed) as failed:
            client.sql(f"{begin} {rest}")
        assert failed.value.code == code, (rest, failed.value)
    for rest in ["TABLE parted_there PARTITION BY a", f"TABLE parted_new {transform} PARTITION BY a, day(at)", "TABLE parted_new PARTITION BY a"]:
        client.sql(f"{begin} {rest}")
        if "there" in rest:
            with pytest.raises(polder.Failed) as failed:
                client.sql("ALTER DELIVERY parted SET PARTITION BY b")
            assert (failed.value.code, bool(failed.value.hint)) == ("22023", True)
        client.sql("DROP DELIVERY parted")


def test_a_change_is_not_refused_for_what_it_leaves_as_it_is(server, client):
    topic = make(server, "settled", 1)
    client.sql(f"CREATE TABLE {topic}_t (a text, b bigint) PARTITIONED BY (a)")
    client.sql(f"CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_t PARTITION BY a BUFFER 1 SECONDS")
    client.sql(f"ALTER TABLE {topic}_t SET PARTITIONED BY (b)")
    client.sql(f"ALTER DELIVERY {topic}_in SET BUFFER 2 SECONDS")
    client.sql(f"ALTER DELIVERY {topic}_in SET TRANSFORM AS SELECT value->>'a' AS a FROM {topic}")
    client.sql(f"ALTER DELIVERY {topic}_in DROP TRANSFORM")
    with pytest.raises(polder.Failed) as failed:
        client.sql(f"ALTER DELIVERY {topic}_in SET PARTITION BY day(b)")
    assert failed.value.code == "22023"
    produce(server, topic, [{"a": "x", "b": 1}])
    kafkas.until(client, f"SELECT count(*) FROM {topic}_t", 1)
    # Without its table, what a transform makes of the columns decides again.
    client.sql(f"CREATE DELIVERY {topic}_late FROM TOPIC {topic} INTO TABLE {topic}_new PARTITION BY day(at) "
               f"""TRANSFORM AS SELECT ("timestamp" AT TIME ZONE 'UTC')::date AS at, value->>'a' AS a FROM {topic} WHERE value->>'a' = 'y'""")
    with pytest.raises(polder.Failed) as failed:
        client.sql(f"ALTER DELIVERY {topic}_late SET TRANSFORM AS SELECT value->>'a' AS at FROM {topic} WHERE value->>'a' = 'y'")
    assert failed.value.code == "0A000"
    client.sql(f"ALTER DELIVERY {topic}_late SET BUFFER 2 SECONDS")


def test_a_stranger_learns_nothing_of_a_delivery(server, client):
    topic = make(server, "hidden", 1)
    client.sql(f"CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_t")
    client.sql("CREATE USER stranger PASSWORD 'a long word to log in with'")
    client.sql("GRANT pg_read_all_data TO stranger")
    stranger = polder.Client(server.url).login("stranger", "a long word to log in with")
    assert stranger.sql("SELECT delivery_name FROM polder.deliveries") == []

    def answer(statement, name):
        try:
            stranger.sql(statement.format(name))
        except polder.Failed as failed:
            return failed.code, str(failed).replace(name, "…")
        return "", ""

    for statement in ["ALTER DELIVERY {} PAUSE", "ALTER DELIVERY {} RESUME", "ALTER DELIVERY {} REDRIVE", "ALTER DELIVERY {} SET BUFFER 1 SECONDS",
                      "ALTER DELIVERY {} DROP TRANSFORM", "DROP DELIVERY {}", "DROP DELIVERY IF EXISTS {}"]:
        there, absent = answer(statement, f"{topic}_in"), answer(statement, f"{topic}_no")
        assert there == absent, statement
        assert there[0] == ("" if "IF EXISTS" in statement else "42704"), there
    assert answer(f"CREATE OR REPLACE DELIVERY {{}} FROM TOPIC {topic} INTO TABLE {topic}_t", f"{topic}_in")[0] == "42710"
    assert client.value(f"SELECT state FROM polder.deliveries WHERE delivery_name = '{topic}_in'") != "paused"


def test_rows_that_no_policy_lets_in_are_rejected_by_themselves(server, client):
    topic = make(server, "guarded", 1)
    client.sql("CREATE USER keeper PASSWORD 'a long word to log in with'")
    client.sql("GRANT pg_read_all_data TO keeper")
    client.sql("GRANT CREATE ON SCHEMA public TO keeper")
    keeper = polder.Client(server.url).login("keeper", "a long word to log in with")
    tables = {f"{topic}_plain": "", f"{topic}_made": f"TRANSFORM AS SELECT (value->>'n')::int AS n FROM {topic}"}
    for table, transform in tables.items():
        client.sql(f"CREATE TABLE {table} (n int)")
        client.sql(f"GRANT INSERT ON {table} TO keeper")
        client.sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        client.sql(f"CREATE POLICY small ON {table} FOR INSERT WITH CHECK (n < 10)")
        client.sql(f"CREATE POLICY odd ON {table} AS RESTRICTIVE FOR INSERT WITH CHECK (n % 2 = 1)")
        keeper.sql(f"CREATE DELIVERY {table}_in FROM TOPIC {topic} INTO TABLE {table} {transform} BUFFER 1 SECONDS ON ERROR INTO {table}_bad")
    produce(server, topic, [{"n": n} for n in (1, 2, 3, 11, 12, 5, "x")])
    for table in tables:
        kafkas.until(client, f"SELECT count(*) FROM {table}_bad", 4)
        assert client.sql(f"SELECT n FROM {table} ORDER BY n") == [{"n": 1}, {"n": 3}, {"n": 5}]
        reasons = {row["value"]: row["reason"] for row in client.sql(f"SELECT encode(value, 'escape') AS value, reason FROM {table}_bad")}
        assert reasons['{"n": 2}'] == f'new row violates row-level security policy "odd" for table "{table}"', reasons
        assert reasons['{"n": 11}'] == f'new row violates row-level security policy for table "{table}"', reasons
        assert "policy" not in reasons['{"n": "x"}']
        assert client.sql(f"SELECT state, last_error FROM polder.deliveries WHERE delivery_name = '{table}_in'") == [{"state": "running", "last_error": None}]
        # What is refused for whoever delivers, and not for a row, stops all as before.
        client.sql(f"REVOKE INSERT ON {table} FROM keeper")
    produce(server, topic, [{"n": 7}])
    for table in tables:
        kafkas.until(client, f"SELECT count(*) FROM polder.deliveries WHERE delivery_name = '{table}_in' AND last_error LIKE '%permission denied%'", 1)
        assert client.value(f"SELECT count(*) FROM {table}_bad") == 4
        client.sql(f"GRANT INSERT ON {table} TO keeper")
        client.sql(f"CREATE POLICY large ON {table} FOR INSERT WITH CHECK (n > 10)")
        keeper.sql(f"ALTER DELIVERY {table}_in REDRIVE")
        kafkas.until(client, f"SELECT count(*) FROM {table} WHERE n IN (7, 11)", 2)


def test_two_changes_at_once_are_both_made(server, client):
    topic = make(server, "both", 1)
    client.sql(f"CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_table")
    together, wrong = threading.Barrier(2, timeout=polder.SOON_SECONDS), []

    def change(words):
        own = server.client()
        try:
            for number in range(2, 12):
                together.wait()
                own.sql(f"ALTER DELIVERY {topic}_in SET " + words.format(number))
                together.wait()
                row = own.sql(f"SELECT * FROM polder.deliveries WHERE delivery_name = '{topic}_in'")[0]
                assert f"bad_{number}" in str(row) and row["buffer_seconds"] == number, row
        except Exception as error:
            wrong.append(error)
            together.abort()

    threads = [threading.Thread(target=change, args=(words,)) for words in ("BUFFER {} SECONDS", "ON ERROR INTO bad_{}")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def test_arrays_of_json_come_into_columns_of_arrays(server, client):
    topic = make(server, "arrays", 1)
    client.sql(f"CREATE TABLE {topic}_table (id bigint, tags text[], numbers integer[], moments timestamptz[], parts jsonb[])")
    client.sql(f"CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_table BUFFER 1 SECONDS")
    produce(server, topic, [
        {"id": 1, "tags": ["a", "b,c", 'say "no"', "", None, "NULL"], "numbers": [1, None, -3], "moments": ["2026-11-28T12:00:00Z"], "parts": [{"a": [1]}, "x", 2]},
        {"id": 2, "tags": [], "numbers": "{4,5}", "parts": None},
        {"id": 3, "numbers": ["six"]},
        {"id": 4, "numbers": 7},
    ])
    kafkas.until(client, f"SELECT count(*) FROM {topic}_table", 2)
    kafkas.until(client, f"SELECT count(*) FROM {topic}_table__rejected", 2)
    assert client.sql(f"SELECT tags[3] AS quoted, tags[5] IS NULL AS none, tags[6] AS word, cardinality(tags) AS n, numbers[3] AS third, parts[1]->'a'->>0 AS one, "
                      f"moments[1] = '2026-11-28 12:00:00+00' AS at FROM {topic}_table WHERE id = 1") == [
        {"quoted": 'say "no"', "none": True, "word": "NULL", "n": 6, "third": -3, "one": "1", "at": True}]
    assert client.sql(f"SELECT cardinality(tags) AS n, numbers[2] AS second, parts IS NULL AS none FROM {topic}_table WHERE id = 2") == [{"n": 0, "second": 5, "none": True}]
    assert all("column numbers" in row["reason"] for row in client.sql(f"SELECT reason FROM {topic}_table__rejected"))


def test_a_redrive_reads_registered_schemas_and_headers(server, client):
    topic = make(server, "framed", 1)
    known = server.credentials
    schema = json.dumps({"type": "object", "properties": {"id": {"type": "integer"}, "price": {"type": "string"}}})
    made = requests.post(f"{server.url}/schema-registry/subjects/{topic}-value/versions", auth=(known["user"], known["password"]),
                         json={"schemaType": "JSON", "schema": schema}, timeout=20)
    made.raise_for_status()
    frame = b"\0" + made.json()["id"].to_bytes(4, "big")
    client.sql(f"CREATE TABLE {topic}_table (id bigint, price integer, trace text)")
    client.sql(f"CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_table TRANSFORM AS "
               f"SELECT (value->>'id')::bigint AS id, (value->>'price')::integer AS price, headers->>'trace' AS trace FROM {topic} BUFFER 1 SECONDS")
    producer = Producer(kafkas.librdkafka(server))
    for number, price in enumerate(["5", "much"]):
        producer.produce(topic, frame + json.dumps({"id": number, "price": price}).encode(), headers=[("trace", f"t{number}".encode())])
    assert not producer.flush(20)
    kafkas.until(client, f"SELECT count(*) FROM {topic}_table", 1)
    kafkas.until(client, f"SELECT headers->>'trace' FROM {topic}_table__rejected", "t1")
    client.sql(f"ALTER DELIVERY {topic}_in SET TRANSFORM AS SELECT (value->>'id')::bigint AS id, 9 AS price, headers->>'trace' AS trace FROM {topic}")
    client.sql(f"ALTER DELIVERY {topic}_in REDRIVE")
    assert client.sql(f"SELECT * FROM {topic}_table ORDER BY id") == [{"id": 0, "price": 5, "trace": "t0"}, {"id": 1, "price": 9, "trace": "t1"}]
    assert client.value(f"SELECT count(*) FROM {topic}_table__rejected") == 0


def test_a_table_of_rejected_records_from_before_headers_is_filled_on(server, client):
    topic = make(server, "older", 1)
    client.sql(f"CREATE TABLE {topic}_table (id bigint)")
    client.sql(f'CREATE TABLE {topic}_table__rejected (delivery text, topic text, partition integer, "offset" bigint, timestamp timestamptz, '
               "key bytea, value bytea, reason text, at timestamptz)")
    client.sql(f"CREATE DELIVERY {topic}_in FROM TOPIC {topic} INTO TABLE {topic}_table BUFFER 1 SECONDS")
    produce(server, topic, [{"id": "x"}])
    kafkas.until(client, f"SELECT count(*) FROM {topic}_table__rejected", 1)
    client.sql(f"ALTER TABLE {topic}_table ALTER COLUMN id TYPE text")
    client.sql(f"ALTER DELIVERY {topic}_in REDRIVE")
    assert client.sql(f"SELECT id FROM {topic}_table") == [{"id": "x"}]


def test_arrays_come_into_a_table_of_postgresql(server, client, postgres):
    topic = make(server, "sent", 1)
    place = drivers.postgresqls(postgres)
    with psycopg.connect(host=place.host, port=place.port, user=place.user, dbname=place.database, autocommit=True) as there:
        there.execute("CREATE TABLE orders (id bigint, tags text[], numbers integer[], parts jsonb)")
        to = (f"INTO POSTGRES WITH (host '{place.host}', port {place.port}, database '{place.database}', user '{place.user}', table 'orders') "
              "{} BUFFER 1 SECONDS")
        client.sql(f"CREATE DELIVERY {topic}_plain FROM TOPIC {topic} {to.format('')}")
        client.sql(f"CREATE DELIVERY {topic}_made FROM TOPIC {topic} " + to.format(
            f"TRANSFORM AS SELECT 100 + (value->>'id')::bigint AS id, ARRAY['x', value->'tags'->>0] AS tags, ARRAY[1, NULL] AS numbers FROM {topic}"))
        produce(server, topic, [{"id": 1, "tags": ["a", "b,c", None], "numbers": [1, -2], "parts": [1, {"a": 2}]}, {"id": 2, "numbers": ["no"]}])
        deadline, rows = time.monotonic() + 60, []
        while len(rows) < 3 and time.monotonic() < deadline:
            rows = there.execute("SELECT id, tags, numbers, parts FROM orders ORDER BY id").fetchall()
            time.sleep(0.2)
    assert rows == [(1, ["a", "b,c", None], [1, -2], [1, {"a": 2}]), (101, ["x", "a"], [1, None], None), (102, ["x", None], [1, None], None)]
    kafkas.until(client, f"SELECT count(*) FROM {topic}_plain__rejected", 1)
