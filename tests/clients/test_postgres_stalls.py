"""Clients of PostgreSQL's protocol that stop in the middle, and requests to cancel."""

import contextlib
import struct
import time

import psycopg
import pytest

import polder
import raw_postgres as raw
from raw_postgres import FLUSH, frame, int32, query, text
from test_postgres_psycopg import address
# survives and witness are fixtures, which count by being imported.
from witnesses import ENDLESS, MEMORY_MAX, goes_on, refused_and_closed, running, survives, wait_until, witness


def stalled(server) -> dict:
    """Connections that stop in the middle of something, and stay open."""
    names = ("silent", "half a length", "half a start", "encryption", "half a handshake", "no password", "half a password")
    made = {name: raw.connect(server) for name in names}
    user = server.credentials["user"]
    start = raw.startup(user=user, database="polder")
    made["half a length"].send(start[:2])
    made["half a start"].send(start[:-5])
    made["encryption"].send(raw.early(raw.SSL_REQUEST)).take(1)
    made["half a handshake"].send(b"\x16\x03\x01\x02\0\x01")
    made["no password"].send(start).read()
    made["half a password"].send(start).read()
    made["half a password"].send(frame(b"p", text("SCRAM-SHA-256") + raw.sized(b"n,,n=,r=abc"))[:-2])
    for name, messages in {
        "half a head": query("SELECT 1")[:3],
        "half a query": query("SELECT 1")[:-1],
        "much announced": b"Q" + int32(200 << 20) + b"SELECT 1",
        "no sync": raw.asked("SELECT 1") + FLUSH,
        "an open transaction": query("BEGIN"),
        "half a row": query("COPY stalled FROM STDIN") + frame(b"d", b"1\n2"),
        "half a message of rows": query("COPY stalled FROM STDIN") + frame(b"d", b"1\n2\n")[:-3],
        "rows in a transaction": query("BEGIN") + query("COPY stalled FROM STDIN"),
        "a running query": query(ENDLESS),
        "no reading": query("SELECT * FROM generate_series(1, 50000000)"),
    }.items():
        made[name] = raw.login(server).send(messages)
    return made


def test_those_who_stall_keep_nobody_waiting(fresh):
    server = fresh()
    server.start()
    server.client().sql("CREATE TABLE stalled (id bigint)")
    there = stalled(server)
    try:
        with psycopg.connect(**address(server), autocommit=True) as connection:
            wait_until(lambda: running(connection, ENDLESS) == 1, "the query does not run")
            connection.execute("INSERT INTO stalled VALUES (7)")
            assert connection.execute("SELECT * FROM stalled").fetchall() == [(7,)]
            with connection.cursor() as cursor, cursor.copy("COPY stalled FROM STDIN") as copy:
                copy.write(b"8\n")
            assert connection.execute("SELECT count(*) FROM stalled").fetchone() == (2,)
        assert server.memory_bytes("VmHWM") < MEMORY_MAX
        # Nor do they keep the server from stopping.
        assert server.stop() == 0
        for connection in there.values():
            connection.to_the_end()
    finally:
        for connection in there.values():
            connection.socket.close()
    assert "panicked" not in server.log()
    server.start()
    with psycopg.connect(**address(server)) as connection:
        assert connection.execute("SELECT count(*) FROM stalled").fetchone() == (2,)


def test_rows_that_nobody_reads_wait_where_they_are(server, witness):
    """A reader that stops keeps little in memory; when it leaves, its statement ends."""
    sql = "SELECT s.value, repeat('x', 100) FROM generate_series(1, 20000000) AS s(value)"
    before = server.memory_bytes()
    with raw.login(server) as connection:
        connection.send(query(sql))
        assert connection.until(b"D")[0][0] == b"T"
        wait_until(lambda: running(witness, sql) == 1, "the query does not run")
        for _ in range(20):
            assert witness.execute("SELECT 1").fetchone() == (1,)
            time.sleep(0.05)
        assert server.memory_bytes() - before < 256 << 20
        assert running(witness, sql) == 1
    wait_until(lambda: running(witness, sql) == 0, "a query goes on without its client")


# Messages of which only a part comes


@pytest.fixture(scope="module")
def impatient():
    """A server that waits two seconds for the rest of a message."""
    with polder.Server(None, "--message-timeout", 2) as running:
        running.client().sql("CREATE TABLE stalled (id bigint)")
        yield running


@pytest.mark.parametrize("messages, codes", [
    (query("SELECT 1")[:1], ["08006"]), (query("SELECT 1")[:3], ["08006"]), (query("SELECT 1")[:-1], ["08006"]),
    (b"Q" + int32(200 << 20) + b"SELECT 1", ["08006"]), (raw.asked("SELECT 1") + FLUSH + raw.SYNC[:-1], ["08006"]),
    (query("BEGIN") + query("SELECT 1")[:-1], ["08006"]),
    # The copy fails, and then the connection ends.
    (query("COPY stalled FROM STDIN") + frame(b"d", b"1\n2\n")[:-3], ["08006", "08006"]),
], ids=["type", "head", "query", "much announced", "sync", "in a transaction", "rows"])
def test_half_messages_end_a_connection(impatient, messages, codes):
    with raw.login(impatient) as connection:
        begun = time.monotonic()
        answers = connection.send(messages).to_the_end()
        assert 1 < time.monotonic() - begun < 30
        told = [raw.fields(body) for kind, body in answers if kind == b"E"]
        assert [fields["C"] for fields in told] == codes and told[-1]["S"] == "FATAL", told
    with raw.login(impatient) as other:
        assert other.rows("SELECT count(*) FROM stalled") == [(b"0",)]


def test_those_who_go_on_are_waited_for(impatient):
    """Nothing is not half a message; and a large one may take its time, as long as it goes on."""
    large = query("SELECT '" + "x" * 300_000 + "' AS a")
    with raw.login(impatient) as idle, raw.login(impatient) as copying, raw.login(impatient) as slow:
        copying.send(query("COPY stalled FROM STDIN")).until(b"G")
        for part in range(0, len(large), 100_000):
            slow.send(large[part:part + 100_000])
            time.sleep(1)
        assert slow.until(b"Z")[1][0] == b"D"
        copying.send(frame(b"c"))
        assert copying.until(b"Z")[0] == (b"C", b"COPY 0\0")
        goes_on(idle)


def takes_large(server) -> bool:
    """Whether a large message is read to its end, and then refused for what it is."""
    with raw.login(server) as connection, contextlib.suppress(ConnectionError, raw.Closed):
        if raw.refusal(connection.run("SELECT '" + "x" * (100 << 20) + "'"))["C"] == "54000":
            goes_on(connection)
            return True
    return False


def test_all_half_messages_together_are_bounded(fresh):
    """Each has less than a message may have; together they have no more than the server holds of them."""
    server = fresh()
    server.start()
    with psycopg.connect(**address(server), autocommit=True) as inside, contextlib.ExitStack() as stack:
        part = bytes(1 << 20)
        there = [stack.enter_context(raw.login(server)) for _ in range(12)]
        for connection in there:
            connection.try_send(b"Q" + int32(250 << 20))
            for _ in range(120):
                connection.try_send(part)
            assert inside.execute("SELECT 1").fetchone() == (1,)
        assert server.memory_bytes("VmHWM") < MEMORY_MAX
        # The first ones have their room, and wait; the last one had none.
        told = refused_and_closed(there[-1], "53200")
        assert not told or told["S"] == "FATAL"
        # What is small is not shut out by it.
        inside.execute("SELECT %s", ["x" * 200_000])
        for connection in there:
            connection.socket.close()
        # And there is room again once they are gone: this is whole, and merely too long.
        wait_until(lambda: takes_large(server), "there is no room")
    assert "panicked" not in server.log()


# Cancelling


def cancel(server, key: bytes) -> None:
    with raw.connect(server) as connection:
        connection.send(raw.early(raw.CANCEL_REQUEST, key))
        assert connection.to_the_end() == []


def test_only_the_right_key_cancels(server, witness):
    with raw.login(server) as connection:
        connection.send(query(ENDLESS))
        wait_until(lambda: running(witness, ENDLESS) == 1, "the query does not run")
        process, secret = struct.unpack("!II", connection.key)
        for wrong in (int32(process) + int32(secret ^ 1), int32(process) + int32(0), int32(process + 1) + int32(secret), int32(0) * 2, int32(-1) * 2,
                      int32(secret) + int32(process)):
            cancel(server, wrong)
        with raw.login(server) as other:
            goes_on(other)
        assert running(witness, ENDLESS) == 1
        cancel(server, connection.key)
        told = raw.refusal(connection.until(b"Z"))
        assert told["C"] == "57014", told
        # When nothing runs there is nothing to cancel, and what comes later is not struck.
        cancel(server, connection.key)
        goes_on(connection)


# More than the server gathers before it sends: whoever sees it knows that the server is busy with their message.
AT_WORK = "SELECT repeat('x', 200000) FROM generate_series(1, 2)"
ON_THE_WAY = {
    "with others": query(f"{AT_WORK}; SELECT 1; SELECT 2; SELECT 3; {ENDLESS}"),
    "unnamed": raw.asked(AT_WORK) + raw.asked(ENDLESS) + raw.SYNC,
    # It is planned when it is prepared.
    "prepared": raw.asked(AT_WORK) + raw.parse(ENDLESS, "s") + raw.bind(statement="s") + raw.execute() + raw.SYNC,
    "asked for": raw.asked(AT_WORK) + raw.parse(ENDLESS, "s") + raw.describe(b"S", "s") + raw.bind(statement="s") + raw.execute() + raw.SYNC,
}


@pytest.mark.parametrize("messages", ON_THE_WAY.values(), ids=ON_THE_WAY)
def test_what_is_on_its_way_is_cancelled(server, messages):
    """A client asks once, at any moment after it has sent its statement."""
    for delay in range(20):
        with raw.login(server) as connection:
            connection.send(messages).until(b"D")
            time.sleep(delay / 1000)
            cancel(server, connection.key)
            told = raw.refusal(connection.until(b"Z"))
            assert told["C"] == "57014", told
            # What comes later is not struck, and the transaction of those that came together is over.
            connection.send(raw.asked("SELECT 1"), raw.SYNC)
            assert connection.until(b"Z")[-1] == (b"Z", b"I")
            goes_on(connection)
