"""Places that cannot be reached, servers that stop or are killed meanwhile: what is told, and that nothing is lost."""

import time

import pytest

import kafkas
import places
import polder
from test_deliveries import made_topic, produce

KILLS = 5
STOP_SECONDS_MAX = 5
# A stop that was clean says none of them, nor does the start behind it.
UNCLEAN = ("did not stop in time", "before everything had ended", "metastore is closed", "was not closed", "cut off")


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


def told(client, name: str) -> dict:
    return client.sql(f"SELECT state, records, rejected, last_error, last_error_at FROM polder.deliveries WHERE delivery_name = '{name}'")[0]


def until(client, name: str, wanted) -> dict:
    deadline, row = time.monotonic() + kafkas.WAIT_SECONDS, None
    while time.monotonic() < deadline:
        row = told(client, name)
        if wanted(row):
            return row
        time.sleep(0.1)
    raise AssertionError(row)


@pytest.mark.parametrize("kind", places.KINDS)
def test_a_place_that_is_away_is_told_until_it_is_back_and_then_has_all(server, kind):
    client, name, port = server.client(), kafkas.fresh_name("away"), polder.free_port()
    topic = made_topic(server, f"{name}_t", 3)
    client.sql(f"CREATE DELIVERY {name} FROM TOPIC {topic} {kind.into(f'http://127.0.0.1:{port}', ', retry_seconds 120')} BUFFER 1 SECONDS")
    produce(server, topic, [{"id": number} for number in range(200)])
    row = until(client, name, lambda row: row["state"] == "failing")
    assert "not reached" in row["last_error"] and row["last_error_at"] and row["records"] == row["rejected"] == 0
    refuses = iter(range(2))

    def answer(path, body):
        return kind.answer(path, body) if next(refuses, None) is None else (503, {"message": "not now"})

    with places.Place(answer, port) as place:
        row = until(client, name, lambda row: row["records"] == 200)
        taken = place.requests[2:]
    row = until(client, name, lambda row: row["state"] == "running")
    assert (row["rejected"], row["last_error"], row["last_error_at"]) == (0, None, None)
    assert {one["id"] for one in kind.rows(taken)} == set(range(200))
    client.sql(f"DROP DELIVERY {name}")


@pytest.mark.parametrize("kind", places.KINDS)
def test_after_its_time_a_lot_is_rejected_and_the_error_stays_until_something_arrives(server, kind):
    client, name, port = server.client(), kafkas.fresh_name("over"), polder.free_port()
    topic = made_topic(server, f"{name}_t", 1)
    client.sql(f"CREATE DELIVERY {name} FROM TOPIC {topic} {kind.into(f'http://127.0.0.1:{port}', ', retry_seconds 1')} BUFFER 1 SECONDS")
    produce(server, topic, [{"id": number} for number in range(20)])
    row = until(client, name, lambda row: row["rejected"] == 20)
    time.sleep(2)
    row = told(client, name)
    assert (row["state"], row["records"]) == ("failing", 0) and "not reached" in row["last_error"]
    reasons = client.sql(f"SELECT reason FROM {name}__rejected")
    assert len(reasons) == 20 and all("not reached" in one["reason"] for one in reasons)
    with places.Place(kind.answer, port) as place:
        client.sql(f"ALTER DELIVERY {name} REDRIVE")
        row = told(client, name)
        assert (row["state"], row["last_error"]) == ("running", None)
        assert {one["id"] for one in kind.rows(place.requests)} == set(range(20))
        assert client.value(f"SELECT count(*) FROM {name}__rejected") == 0
    client.sql(f"DROP DELIVERY {name}")


def test_a_server_stops_at_once_while_deliveries_wait(fresh):
    server = fresh()
    server.start()
    client, ports = server.client(), {kind: polder.free_port() for kind in places.KINDS}
    topic = made_topic(server, "events", 3)
    for kind, port in ports.items():
        client.sql(f"CREATE DELIVERY to_{kind.__name__} FROM TOPIC {topic} {kind.into(f'http://127.0.0.1:{port}')} BUFFER 1 SECONDS")
    produce(server, topic, [{"id": number} for number in range(100)])
    for kind in places.KINDS:
        until(client, f"to_{kind.__name__.lower()}", lambda row: row["state"] == "failing")
    for _ in range(2):
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < STOP_SECONDS_MAX
        server.start()
        assert not [line for line in server.log().splitlines() if any(word in line for word in UNCLEAN)]
    client = server.client()
    for kind, port in ports.items():
        with places.Place(kind.answer, port) as place:
            until(client, f"to_{kind.__name__.lower()}", lambda row: row["records"] == 100)
            assert {one["id"] for one in kind.rows(place.requests)} == set(range(100))


def test_each_record_at_least_once_through_kills(tmp_path):
    """The server dies while an endpoint takes lots; afterwards each record that was acknowledged has arrived."""
    data, number = tmp_path / "data", 0

    def answer(path, body):
        # So that a kill comes between what is taken and what is written down.
        time.sleep(0.05)
        return places.Http.answer(path, body)

    with places.Place(answer) as place:
        for kill in range(KILLS + 1):
            with kafkas.start(data) as server:
                client = server.client()
                if kill == 0:
                    made_topic(server, "events", 3)
                    client.sql(f"CREATE DELIVERY events FROM TOPIC events {places.Http.into(place.url)} BUFFER 1 KB OR 1 SECONDS")
                before = len(place.requests)
                produce(server, "events", [{"id": number + more} for more in range(500)])
                number += 500
                if kill < KILLS:
                    place.until(lambda requests: len(requests) > before)
                    server.kill()
                    continue
                wanted = set(range(number))
                place.until(lambda requests: {one["id"] for one in places.Http.rows(requests)} == wanted)
                kafkas.until(client, "SELECT lag_records FROM polder.deliveries", 0, kafkas.WAIT_SECONDS)


def test_a_bucket_without_a_key_is_refused(server):
    client, name = server.client(), kafkas.fresh_name("keyless")
    topic = made_topic(server, f"{name}_t", 1)
    with pytest.raises(polder.Failed) as refused:
        client.sql(f"CREATE DELIVERY {name} FROM TOPIC {topic} INTO OBJECTS 's3://lake/raw' BUFFER 1 SECONDS")
    assert refused.value.code == "22023" and "there is no key for the bucket lake" in str(refused.value)
    assert client.value(f"SELECT count(*) FROM polder.deliveries WHERE delivery_name = '{name}'") == 0
