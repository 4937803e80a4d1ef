"""Statements that are cancelled, or whose client goes away, at any moment: most of all in the middle of a commit."""

import json
import random
import socket
import threading
import time
import urllib.parse
import uuid

import pytest
import requests

import polder
from conversations import conversations

TRIES = 60
# Within which a statement that was sent has begun, if it ever will.
ARRIVES_SECONDS = 1.0
# More than go into the catalog as rows, so that each change writes a file.
ROWS = 200
ENDLESS = "SELECT count(*) AS n FROM generate_series(1, 1000000::bigint) a(x), generate_series(1, 1000000) b(y) WHERE (x * y) % 7 = 3"


def send_and_leave(server, body: dict, seconds: float, begun=False) -> None:
    """Sends a statement and closes the connection after a while, as a program does that is killed."""
    content = json.dumps(body).encode()
    where = urllib.parse.urlsplit(server.url)
    head = (f"POST /api/v1/statements HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
            f"X-Polder: 1\r\nContent-Length: {len(content)}\r\n\r\n").encode()
    with socket.create_connection((where.hostname, where.port), timeout=polder.SOON_SECONDS) as connection:
        connection.sendall(head + content)
        if begun:
            begins(polder.Client(server.url), body["query_id"])
        time.sleep(seconds)


def send_and_cancel(server, body: dict, seconds: float, begun=False) -> str | None:
    """Sends a statement and cancels it after a while. The code that it was answered with; None if it went well."""
    client, answer = polder.Client(server.url), []

    def run():
        try:
            polder.Client(server.url).post("/statements", json=body)
            answer.append(None)
        except polder.Failed as error:
            answer.append(error.code)
        except requests.exceptions.ChunkedEncodingError:
            # It was cancelled when its answer had begun, which then breaks off.
            answer.append("57014")

    thread = threading.Thread(target=run)
    thread.start()
    if begun:
        begins(client, body["query_id"])
    time.sleep(seconds)
    try:
        client.request("DELETE", f"/queries/{body['query_id']}")
    except polder.Failed as error:
        assert error.status == 404, vars(error)
    thread.join(polder.SOON_SECONDS)
    assert not thread.is_alive()
    return answer[0]


def statement(sql: str, **more) -> dict:
    return {"sql": sql, "format": "json", "query_id": str(uuid.uuid4()), **more}


def state_of(client, query_id: str) -> str | None:
    """None while the server has not heard of the statement."""
    try:
        return client.get(f"/queries/{query_id}")["state"]
    except polder.Failed as error:
        if error.status != 404:
            raise
        return None


def begins(client, query_id: str) -> None:
    """Waits until the server runs a statement that ends in no test's time."""
    deadline = time.monotonic() + polder.SOON_SECONDS
    while (state := state_of(client, query_id)) != "running":
        assert state is None and time.monotonic() < deadline, f"the statement is {state}, not running"
        time.sleep(0.01)


def ended(client, query_id: str) -> None:
    """Waits until the server has done with a statement, whatever came of it. One whose client left at once may never begin."""
    deadline = time.monotonic() + polder.SOON_SECONDS
    arrival = time.monotonic() + ARRIVES_SECONDS
    while time.monotonic() < deadline:
        state = state_of(client, query_id)
        if state not in ("running", None) or (state is None and time.monotonic() > arrival):
            return
        time.sleep(0.01)
    pytest.fail("an interrupted statement still runs")


@pytest.fixture(params=["sqlite", "postgres"])
def house(request, fresh):
    arguments = []
    if request.param == "postgres":
        arguments = ["--metastore", request.getfixturevalue("postgres").database()[0]]
    server = fresh(None, "--auth", "trust", *arguments)
    server.start()
    return server


def typical_seconds(client, sql: str) -> float:
    started = time.monotonic()
    client.sql(sql)
    return time.monotonic() - started


@pytest.mark.parametrize("how", ["cancelled", "left"])
def test_an_interrupted_change_is_whole_or_absent(house, how):
    """Each try changes two tables in one transaction. A commit that goes through must keep its files."""
    client = polder.Client(house.url)
    client.sql("CREATE TABLE first (n bigint, k bigint)")
    client.sql("CREATE TABLE second (n bigint, k bigint)")

    def change(n):
        rows = f"SELECT {n}, value FROM generate_series(1, {ROWS}) AS s(value)"
        return f"BEGIN; INSERT INTO first {rows}; INSERT INTO second {rows}; COMMIT"

    usual = max(typical_seconds(client, change(n)) for n in (-3, -2, -1))
    chance = random.Random(5)
    answers = {}
    for n in range(TRIES):
        body = statement(change(n))
        seconds = chance.uniform(0.2, 1.3) * usual
        if how == "cancelled":
            answers[n] = send_and_cancel(house, body, seconds)
        else:
            send_and_leave(house, body, seconds)
        ended(client, body["query_id"])
    # Files of a rollback are removed by a task of its own: whatever removes too much has done it by then.
    time.sleep(0.5)
    seen = {}
    for table in ("first", "second"):
        rows = client.sql(f"SELECT n, count(*) AS rows, sum(k) AS total FROM {table} GROUP BY n")
        seen[table] = {row["n"] for row in rows}
        assert {(row["rows"], row["total"]) for row in rows} == {(ROWS, ROWS * (ROWS + 1) // 2)}
    assert seen["first"] == seen["second"]
    assert {-3, -2, -1} <= seen["first"]
    for n, code in answers.items():
        assert code in (None, "57014"), code
        # A success is there. So is nothing that was answered with "cancelled": that says it did not happen.
        assert (n in seen["first"]) == (code is None), f"change {n} was answered with {code}"
    # A restart reads the same.
    house.kill()
    house.start()
    client = polder.Client(house.url)
    assert client.value("SELECT count(*) AS n FROM first") == ROWS * len(seen["first"])
    interrupted = len([n for n in range(TRIES) if n not in seen["first"]])
    print(f"{how}: {interrupted} of {TRIES} changes were absent, the others whole")


@pytest.mark.parametrize("how", ["cancelled", "left"])
def test_an_interrupted_statement_fails_its_transaction(house, how):
    """As an error does: nobody knows how much of it was done, so only ROLLBACK is taken."""
    client = polder.Client(house.url)
    client.sql("CREATE TABLE touched (n bigint)")
    with conversations(client, 1) as (talk,):
        talk.begin()
        talk.run("INSERT INTO touched VALUES (1)")
        body = statement(ENDLESS, session=talk.session)
        if how == "cancelled":
            assert send_and_cancel(house, body, 0.1, begun=True) == "57014"
        else:
            send_and_leave(house, body, 0.1, begun=True)
        ended(client, body["query_id"])
        with pytest.raises(polder.Failed) as caught:
            talk.rows("SELECT count(*) AS n FROM touched")
        assert caught.value.code == "25P02", vars(caught.value)
        assert talk.run("COMMIT").headers["Polder-Command"] == "ROLLBACK"
    assert client.value("SELECT count(*) AS n FROM touched") == 0


@pytest.mark.parametrize("how", ["cancelled", "left"])
def test_rows_held_back_survive_an_interrupted_read(house, how):
    """Small inserts are held in memory until a read needs them. A read that is cut off must not lose them: the COMMIT
    that follows keeps all of them, or is a rollback."""
    client = polder.Client(house.url)
    client.sql("CREATE TABLE held (n bigint)")
    chance = random.Random(9)
    kept = 0
    for n in range(TRIES // 2):
        with conversations(client, 1) as (talk,):
            talk.begin()
            talk.run(f"INSERT INTO held VALUES ({n}), ({n}), ({n})")
            body = statement("SELECT count(*) AS n FROM held", session=talk.session)
            seconds = chance.uniform(0.0, 0.012)
            if how == "cancelled":
                send_and_cancel(house, body, seconds)
            else:
                send_and_leave(house, body, seconds)
            ended(client, body["query_id"])
            if talk.run("COMMIT").headers["Polder-Command"] == "COMMIT":
                kept += 1
                rows = client.value(f"SELECT count(*) AS n FROM held WHERE n = {n}")
                assert rows == 3, f"COMMIT kept {rows} of 3 rows"
            else:
                assert client.value(f"SELECT count(*) AS n FROM held WHERE n = {n}") == 0
    assert client.value("SELECT count(*) AS n FROM held") == 3 * kept
