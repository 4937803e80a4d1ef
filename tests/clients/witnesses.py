"""A client that was there before and goes on working, while others on PostgreSQL's protocol misbehave."""

import time

import psycopg
import pytest

import polder
import raw_postgres as raw
from test_postgres_psycopg import address

MEMORY_MAX = 1 << 30
PROTOCOL_VIOLATION = "08P01"
ENDLESS = "SELECT count(*) AS n FROM generate_series(1, 1000000::bigint) a(x), generate_series(1, 1000000) b(y) WHERE (x * y) % 7 = 3"


@pytest.fixture(scope="module")
def witness(server):
    """A client that was there before, and goes on working."""
    with psycopg.connect(**address(server), autocommit=True) as connection:
        yield connection


@pytest.fixture(autouse=True)
def survives(server, witness):
    yield
    assert witness.execute("SELECT 1").fetchone() == (1,)
    with psycopg.connect(**address(server)) as newcomer:
        assert newcomer.execute("SELECT 1").fetchone() == (1,)
    assert server.process.poll() is None, server.log()[-3000:]
    assert "panicked" not in server.log(), server.log()[-3000:]
    peak = server.memory_bytes("VmHWM")
    assert peak < MEMORY_MAX, f"peak memory {peak >> 20} MiB"


def count(witness, table: str) -> int:
    return witness.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def refused_and_closed(connection: raw.Raw, *codes: str) -> dict:
    """The server says what is wrong, if it can, and hangs up."""
    messages = connection.to_the_end()
    told = [raw.fields(body) for kind, body in messages if kind == b"E"]
    if told:
        assert told[-1]["S"] in ("ERROR", "FATAL") and told[-1]["M"], told
        assert not codes or told[-1]["C"] in codes, told
    return told[-1] if told else {}


def goes_on(connection: raw.Raw) -> None:
    assert connection.rows("SELECT 1") == [(b"1",)]


def running(witness, sql: str) -> int:
    return witness.execute("SELECT count(*) FROM polder.queries WHERE state = 'running' AND sql = %s", [sql]).fetchone()[0]


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + polder.SOON_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def comes_in(server) -> None:
    """There is room again once the others have left."""
    deadline = time.monotonic() + polder.SOON_SECONDS
    while True:
        try:
            psycopg.connect(**address(server)).close()
            return
        except psycopg.OperationalError as error:
            if "too many clients" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
