"""Many rows, and many connections, take little memory and wait for each other in turn."""

import contextlib
import pathlib
import selectors
import statistics
import time

import psycopg
import pytest

import raw_postgres as raw
from raw_postgres import SYNC, bind, execute, frame, parse, query
from test_postgres_psycopg import address

ROWS = 10_000_000
PART = 100_000
# What rows that pass may add to the server's memory: bounded by batches and buffers, whatever their number.
GROWTH_MAX = 128 << 20
IDLE = 200
IDLE_BYTES_MAX = 200 * 1000
CONNECTIONS = 200
STATEMENTS = 5
# The digits of 1 to 10,000,000, all together.
DIGITS = sum(9 * 10**(digits - 1) * digits for digits in range(1, 8)) + 8
READY = (b"Z\0\0\0\5I", b"Z\0\0\0\5T")


def drained(connection: raw.Raw, *messages: bytes) -> tuple:
    """Sends, and reads to ReadyForQuery without looking at what comes: how many bytes, and the last of them."""
    connection.send(*messages)
    buffer, total, tail = bytearray(1 << 20), 0, b""
    view = memoryview(buffer)
    while not tail.endswith(READY):
        count = connection.socket.recv_into(buffer)
        assert count, "the connection was closed"
        total += count
        tail = (tail + bytes(view[max(0, count - 64):count]))[-64:]
    return total, tail


@contextlib.contextmanager
def constant_memory(server):
    """What runs within adds hardly anything to the server's memory, at no moment."""
    # The mark of the peak is put back to what is held now.
    pathlib.Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before = server.memory_bytes()
    yield
    growth = server.memory_bytes("VmHWM") - before
    assert growth < GROWTH_MAX, f"{before >> 20} MiB before, {growth >> 20} MiB more at the peak"


@pytest.fixture(scope="module")
def numbers(server):
    """Ten million rows, that came in as constantly as they go out."""
    with raw.login(server) as connection:
        connection.rows("CREATE TABLE numbers (n BIGINT)")
        with constant_memory(server):
            connection.send(query("COPY numbers FROM STDIN")).until(b"G")
            for first in range(1, ROWS + 1, PART):
                lines = "\n".join(map(str, range(first, first + PART)))
                connection.send(frame(b"d", lines.encode() + b"\n"))
            messages = connection.send(frame(b"c")).until(b"Z")
        assert (b"C", f"COPY {ROWS}\0".encode()) in messages, messages
        assert connection.rows("SELECT count(*), sum(n) FROM numbers") == [(str(ROWS).encode(), str(ROWS * (ROWS + 1) // 2).encode())]
    return "numbers"


WHOLE = {
    "a simple query": ([query("SELECT n FROM {t}")], "SELECT"),
    "in binary": ([parse("SELECT n FROM {t}"), bind(results=(1,)) + execute() + SYNC], "SELECT"),
    "a copy": ([query("COPY {t} TO STDOUT")], "COPY"),
    "a copy in binary": ([query("COPY {t} TO STDOUT (FORMAT binary)")], "COPY"),
    "a copy as csv": ([query("COPY (SELECT n FROM {t}) TO STDOUT (FORMAT csv)")], "COPY"),
}


@pytest.mark.parametrize("way", WHOLE)
def test_ten_million_rows_at_once(server, numbers, way):
    messages, word = WHOLE[way]
    with raw.login(server) as connection, constant_memory(server):
        total, tail = drained(connection, *(renamed(message, numbers) for message in messages))
        assert f"{word} {ROWS}\0".encode() in tail, tail
        # A binary row has its eight bytes, whatever the number; a text its digits.
        assert total > (8 * ROWS if "binary" in way else DIGITS)


def renamed(messages: bytes, table: str) -> bytes:
    made, at = b"", 0
    while at < len(messages):
        end = at + 1 + int.from_bytes(messages[at + 1:at + 5])
        made += frame(messages[at:at + 1], messages[at + 5:end].replace(b"{t}", table.encode()))
        at = end
    return made


@pytest.mark.parametrize("way", ["a portal", "a cursor"])
def test_ten_million_rows_in_parts(server, numbers, way):
    with raw.login(server) as connection, constant_memory(server):
        connection.run("BEGIN")
        if way == "a portal":
            begun = parse(f"SELECT n FROM {numbers}") + bind(portal="p", results=(1,)) + SYNC
            connection.send(begun).until(b"Z")
            more = execute(PART, "p") + SYNC
        else:
            connection.run(f"DECLARE c CURSOR FOR SELECT n FROM {numbers}")
            more = query(f"FETCH {PART} FROM c")
        least = 0
        for _ in range(ROWS // PART):
            total, tail = drained(connection, more)
            assert tail.endswith(b"s\0\0\0\4Z\0\0\0\5T" if way == "a portal" else f"FETCH {PART}\0".encode() + READY[1]), tail
            least += total
        assert least > DIGITS
        _, tail = drained(connection, more)
        assert (b"SELECT 0\0" if way == "a portal" else b"FETCH 0\0") in tail, tail


@pytest.mark.parametrize("mode", ["disable", "require"], ids=["plain", "tls"])
def test_idle_connections_are_small(fresh, mode):
    """Of a server that few have used: what others gave back cannot hide what these hold."""
    server = fresh()
    server.start()

    def session():
        connection = psycopg.connect(**address(server, sslmode=mode), autocommit=True)
        # What its answers took is given back too, and what a prepared statement takes is counted.
        assert len(connection.execute("SELECT repeat('x', 100) FROM generate_series(1, 10000)").fetchall()) == 10_000
        connection.execute("SELECT %s::int", [1], prepare=True)
        return connection

    with contextlib.ExitStack() as stack:
        for _ in range(5):
            session().close()
        time.sleep(1)
        before = proportional_bytes(server)
        for _ in range(IDLE):
            stack.enter_context(contextlib.closing(session()))
        time.sleep(1)
        each = (proportional_bytes(server) - before) / IDLE
        assert each <= IDLE_BYTES_MAX, f"{each / 1000:.0f} kB"


def proportional_bytes(server) -> int:
    lines = pathlib.Path(f"/proc/{server.process.pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def test_two_hundred_connections_in_turn(server):
    """All are answered, and none waits longer than ten times the median."""
    with raw.login(server) as connection:
        connection.rows("CREATE TABLE short AS SELECT i AS id, i % 7 AS n FROM generate_series(1, 1000) AS s(i)")
        wanted = connection.rows("SELECT sum(n) FROM short WHERE id % 10 = 3")[0][0]
    message = query("SELECT sum(n) FROM short WHERE id % 10 = 3")
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(raw.login(server)) for _ in range(CONNECTIONS)]
        seconds = [second for _ in range(STATEMENTS) for second in one_round(connections, message, wanted)]
    assert len(seconds) == CONNECTIONS * STATEMENTS
    assert max(seconds) <= 10 * statistics.median(seconds), (max(seconds), statistics.median(seconds))


def one_round(connections: list, message: bytes, wanted: bytes) -> list:
    """Each sends its statement at the same time as the others: seconds until each has its answer."""
    waiting, answers, seconds = selectors.DefaultSelector(), dict.fromkeys(connections, b""), []
    for connection in connections:
        connection.send(message)
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
    begun = time.monotonic()
    while waiting.get_map():
        ready = waiting.select(raw.WAIT_SECONDS)
        assert ready, f"{len(waiting.get_map())} are still waiting"
        for key, _ in ready:
            part = key.data.socket.recv(65_536)
            assert part, "the connection was closed"
            answers[key.data] += part
            if answers[key.data].endswith(READY):
                assert wanted in answers[key.data]
                seconds.append(time.monotonic() - begun)
                waiting.unregister(key.fileobj)
    return seconds
