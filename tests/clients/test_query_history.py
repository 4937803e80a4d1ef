"""polder.queries says of a statement what happened, by whatever way it came: who, how, its words, rows and bytes that it read,
the version that it saw, how long it took, and why it failed."""

import json
import re
import time

import psycopg
import pytest

import polder
from test_postgres_psycopg import address

ROWS = 100_000
FIELDS = ("user_name", "via", "state", "rows_returned", "rows_changed", "rows_scanned", "bytes_scanned", "snapshot", "elapsed_ms",
          "error_code", "error_message")


def by_http(server):
    client = server.client()

    def run(sql: str) -> str | None:
        try:
            client.sql(sql)
        except polder.Failed as failed:
            return failed.code
        return None

    return run


def by_postgres(server):
    def run(sql: str) -> str | None:
        with psycopg.connect(**address(server), autocommit=True) as connection:
            try:
                connection.execute(sql)
            except psycopg.Error as failed:
                return failed.sqlstate
        return None

    return run


def by_command(server):
    def run(sql: str) -> str | None:
        done = server.cli("sql", "-c", sql)
        return None if done.returncode == 0 else re.search(r"\[(\w{5})\]", done.stderr.decode())[1]

    return run


def command(server, sql: str) -> list[dict]:
    done = server.cli("sql", "--format", "json", "-c", sql)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def recorded(server, sql: str) -> dict:
    """The only record of a statement, by exactly its words."""
    text = sql.replace("'", "''")
    row, = command(server, f"SELECT {', '.join(FIELDS)} FROM polder.queries WHERE sql = '{text}'")
    return row


@pytest.fixture(scope="module")
def filled(server, client):
    client.sql(f"CREATE TABLE history_of AS SELECT value AS a, 'word ' || value AS w FROM generate_series(1, {ROWS}) AS s(value)")
    return client.value("SELECT max(snapshot) AS n FROM polder.snapshots")


def check(server, run, via: str, snapshot: int) -> None:
    """`via` is within each statement, so that it is the only one of its words."""
    user = server.credentials["user"]
    whole = f"SELECT a, w FROM history_of WHERE a % 10 = 0 AND '{via}' <> ''"
    assert run(whole) is None
    told = recorded(server, whole)
    assert told.pop("bytes_scanned") > 0
    del told["elapsed_ms"]
    assert told == {"user_name": user, "via": via, "state": "done", "rows_returned": ROWS // 10, "rows_changed": 0, "rows_scanned": ROWS,
                    "snapshot": snapshot, "error_code": None, "error_message": None}, told

    slow = f"SELECT pg_sleep(0.2), '{via}' AS way"
    started = time.monotonic()
    assert run(slow) is None
    taken = (time.monotonic() - started) * 1000
    told = recorded(server, slow)
    assert 200 <= told["elapsed_ms"] <= taken + 1, (told, taken)
    assert (told["rows_returned"], told["rows_scanned"]) == (1, 0), told

    wrong = f"SELECT nosuch, '{via}' AS way FROM history_of"
    assert run(wrong) == "42703"
    told = recorded(server, wrong)
    assert (told["user_name"], told["via"], told["state"], told["error_code"], told["rows_returned"]) == (user, via, "failed", "42703", 0), told
    assert "nosuch" in told["error_message"], told


@pytest.mark.parametrize("via, way", [("console", by_http), ("postgres", by_postgres), ("cli", by_command)])
def test_what_happened_is_recorded(server, filled, via, way):
    check(server, way(server), via, filled)


def test_without_a_server_it_is_recorded_too(fresh):
    alone = fresh()
    run = by_command(alone)
    assert run(f"CREATE TABLE history_of AS SELECT value AS a, 'word ' || value AS w FROM generate_series(1, {ROWS}) AS s(value)") is None
    snapshot, = command(alone, "SELECT max(snapshot) AS n FROM polder.snapshots")
    check(alone, run, "cli", snapshot["n"])
