"""Deliveries: what a Kafka client writes comes into tables and elsewhere, into tables each record once whatever happens."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import kafkas
import polder

confluent_kafka = pytest.importorskip("confluent_kafka")
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

KILLS = 20
RECORDS_BETWEEN_KILLS = 500


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


@pytest.fixture
def topic(server):
    return made_topic(server, kafkas.fresh_name("events"), 3)


def made_topic(server, name: str, partitions: int) -> str:
    admin = AdminClient(kafkas.librdkafka(server))
    for made in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        made.result(kafkas.WAIT_SECONDS)
    return name


def produce(server, topic: str, values, partition=None):
    producer = Producer(kafkas.librdkafka(server, enable_idempotence=True))
    for value in values:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        place = {} if partition is None else {"partition": partition}
        producer.produce(topic, value=data, **place)
        producer.poll(0)
    assert producer.flush(kafkas.WAIT_SECONDS) == 0


def eventually(client, sql: str, wanted, seconds=kafkas.WAIT_SECONDS):
    """Asks until the answer is the wanted one. A table that is not there yet is no answer."""
    deadline, seen = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            seen = client.sql(sql)
        except Exception as error:
            seen = error
        if seen == wanted:
            return
        time.sleep(0.2)
    raise AssertionError(f"{sql}: {seen!r} instead of {wanted!r}")


def test_a_table_is_made_and_grows(server, topic):
    client, name = server.client(), kafkas.fresh_name("delivery")
    client.sql(f"CREATE DELIVERY {name} FROM TOPIC {topic} INTO TABLE {name}_t BUFFER 1 MB OR 1 SECONDS")
    produce(server, topic, [{"id": 1, "who": "ada"}, {"id": 2, "who": "bob"}])
    eventually(client, f"SELECT id, who FROM {name}_t ORDER BY id", [{"id": 1, "who": "ada"}, {"id": 2, "who": "bob"}])
    produce(server, topic, [{"id": 3, "who": "cem", "paid": True}])
    eventually(client, f"SELECT id, paid FROM {name}_t WHERE id > 1 ORDER BY id",
               [{"id": 2, "paid": None}, {"id": 3, "paid": True}])
    rows = client.sql(f"SELECT state, records, rejected, lag_records FROM polder.deliveries WHERE delivery_name = '{name}'")
    assert rows == [{"state": "running", "records": 3, "rejected": 0, "lag_records": 0}]
    client.sql(f"DROP DELIVERY {name}")


def test_what_does_not_fit_is_kept_and_can_be_delivered_again(server, topic):
    client, name = server.client(), kafkas.fresh_name("delivery")
    client.sql(f"CREATE TABLE {name}_t (id bigint, price integer)")
    client.sql(f"CREATE DELIVERY {name} FROM TOPIC {topic} INTO TABLE {name}_t BUFFER 1 SECONDS")
    produce(server, topic, [{"id": 1, "price": 5}, b"no JSON", {"id": 2, "price": "much"}, {"id": 3, "price": 7}], partition=0)
    eventually(client, f"SELECT id FROM {name}_t ORDER BY id", [{"id": 1}, {"id": 3}])
    rejected = client.sql(f'SELECT topic, partition, "offset", reason FROM {name}_t__rejected ORDER BY "offset"')
    assert [(row["topic"], row["partition"], row["offset"]) for row in rejected] == [(topic, 0, 1), (topic, 0, 2)]
    assert all(row["reason"] for row in rejected)
    client.sql(f"ALTER TABLE {name}_t ALTER COLUMN price TYPE text")
    client.sql(f"ALTER DELIVERY {name} REDRIVE")
    eventually(client, f"SELECT price FROM {name}_t WHERE id = 2", [{"price": "much"}])
    assert client.value(f"SELECT count(*) FROM {name}_t__rejected") == 1
    client.sql(f"DROP DELIVERY {name}")


def test_a_transform_chooses_columns_and_rows(server, topic):
    client, name = server.client(), kafkas.fresh_name("delivery")
    client.sql(
        f"CREATE DELIVERY {name} FROM TOPIC {topic} INTO TABLE {name}_t TRANSFORM AS "
        f"SELECT (value->>'id')::bigint AS id FROM {topic} WHERE value->>'kind' = 'sale' BUFFER 1 SECONDS")
    produce(server, topic, [{"id": 1, "kind": "sale"}, {"id": 2, "kind": "visit"}, {"id": 3, "kind": "sale"}])
    eventually(client, f"SELECT * FROM {name}_t ORDER BY id", [{"id": 1}, {"id": 3}])
    client.sql(f"DROP DELIVERY {name}")


def test_pausing_holds_and_resuming_goes_on(server, topic):
    client, name = server.client(), kafkas.fresh_name("delivery")
    for one in (name, f"{name}_other"):
        client.sql(f"CREATE DELIVERY {one} FROM TOPIC {topic} INTO TABLE {one}_t BUFFER 1 SECONDS")
    produce(server, topic, [{"id": 1}])
    eventually(client, f"SELECT count(*) AS n FROM {name}_t", [{"n": 1}])
    client.sql(f"ALTER DELIVERY {name} PAUSE")
    produce(server, topic, [{"id": 2}])
    # Where nothing holds, it has come by then.
    eventually(client, f"SELECT count(*) AS n FROM {name}_other_t", [{"n": 2}])
    time.sleep(0.3)
    assert client.value(f"SELECT count(*) FROM {name}_t") == 1
    client.sql(f"ALTER DELIVERY {name} RESUME")
    eventually(client, f"SELECT count(*) AS n FROM {name}_t", [{"n": 2}])
    for one in (name, f"{name}_other"):
        client.sql(f"DROP DELIVERY {one}")


def test_a_delivery_is_no_job_to_be_dropped(server, topic):
    client = server.client()
    client.sql(f"CREATE DELIVERY kept FROM TOPIC {topic} INTO TABLE kept")
    for sql in ("DROP JOB kept", "CREATE OR REPLACE JOB kept SCHEDULE '@daily' AS SELECT 1"):
        with pytest.raises(polder.Failed) as failed:
            client.sql(sql)
        assert failed.value.code == "42809" and "DROP DELIVERY" in failed.value.hint
    for ask in (lambda: client.request("DELETE", "/jobs/kept"), lambda: client.request("PUT", "/jobs/kept", json={"sql": "SELECT 1"})):
        with pytest.raises(polder.Failed) as failed:
            ask()
        assert failed.value.code == "42809"
    assert client.value("SELECT count(*) AS n FROM polder.deliveries WHERE delivery_name = 'kept'") == 1
    client.sql("DROP DELIVERY kept")


def test_an_endpoint_gets_firehoses_requests(server, topic):
    got, lock = [], threading.Lock()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                got.append((self.headers.get("X-Amz-Firehose-Access-Key"), len(body["records"])))
            answer = json.dumps({"requestId": body["requestId"], "timestamp": body["timestamp"]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    client, name = server.client(), kafkas.fresh_name("delivery")
    try:
        client.sql(f"CREATE DELIVERY {name} FROM TOPIC {topic} INTO HTTP 'http://127.0.0.1:{endpoint.server_port}/in' "
                   "WITH (access_key 'open sesame') BUFFER 1 SECONDS")
        produce(server, topic, [{"id": number} for number in range(10)])
        deadline = time.monotonic() + kafkas.WAIT_SECONDS
        while sum(count for _, count in got) < 10 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert sum(count for _, count in got) == 10
        assert {key for key, _ in got} == {"open sesame"}
        assert "sesame" not in json.dumps(client.sql("SELECT * FROM polder.jobs"))
        client.sql(f"DROP DELIVERY {name}")
    finally:
        endpoint.shutdown()


def test_each_record_once_through_twenty_kills(tmp_path):
    """A producer goes on while the server dies again and again; each acknowledged record is in the table once."""
    data, acknowledged, number = tmp_path / "data", set(), 0
    for kill in range(KILLS + 1):
        with kafkas.start(data) as server:
            client = server.client()
            if kill == 0:
                made_topic(server, "events", 3)
                client.sql("CREATE DELIVERY events FROM TOPIC events INTO TABLE loaded BUFFER 1 KB OR 1 SECONDS")

            def told(error, message):
                if error is None:
                    acknowledged.add(json.loads(message.value())["id"])

            producer = Producer(kafkas.librdkafka(server, enable_idempotence=True, linger_ms=2))
            for _ in range(RECORDS_BETWEEN_KILLS):
                producer.produce("events", value=json.dumps({"id": number}).encode(), on_delivery=told)
                number += 1
                producer.poll(0.002)
            if kill < KILLS:
                server.kill()
                producer.purge()
                producer.flush(1)
                continue
            assert producer.flush(kafkas.WAIT_SECONDS) == 0
            end = client.value("SELECT count(*) FROM topics.events")
            eventually(client, "SELECT count(*) AS n FROM loaded", [{"n": end}], seconds=180)
            ids = [row["id"] for row in client.sql("SELECT id FROM loaded ORDER BY id")]
            assert len(ids) == len(set(ids)), "a record is there twice"
            assert acknowledged <= set(ids), f"{len(acknowledged - set(ids))} acknowledged records are missing"


def test_headers_that_are_sent_packed_are_delivered_before_they_fill_the_memory(tmp_path):
    """A megabyte of the log, of which 800 are made: no keys and hardly any values, for which the lot would wait."""
    with kafkas.start(tmp_path / "data") as server:
        client, topic = server.client(), made_topic(server, "packed", 1)
        client.sql(f"CREATE DELIVERY d FROM TOPIC {topic} INTO TABLE d_t BUFFER 1 MB OR 900 SECONDS")
        producer = Producer(kafkas.librdkafka(server, compression_type="zstd", linger_ms=50))
        for number in range(16_000):
            while True:
                try:
                    producer.produce(topic, json.dumps({"id": number}), headers=[("h", b"x" * 50_000)])
                    break
                except BufferError:
                    producer.poll(0.05)
            producer.poll(0)
        assert producer.flush(300) == 0
        # The last of them wait for others to come.
        eventually(client, "SELECT count(*) > 14000 AND count(*) = max(id) + 1 AS most FROM d_t", [{"most": True}], seconds=300)
        peak = server.memory_bytes("VmHWM")
        assert peak < 800 << 20, f"{peak >> 20} MiB"
