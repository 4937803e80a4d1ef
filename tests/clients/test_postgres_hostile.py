"""Bad messages over PostgreSQL's protocol: an error or the end of that connection, within bounds, and nobody else notices."""

import contextlib
import itertools
import random

import pytest

import raw_postgres as raw
from raw_postgres import FLUSH, SYNC, TERMINATE, frame, int16, int32, query, text
# survives and witness are fixtures, which count by being imported.
from witnesses import PROTOCOL_VIOLATION, count, goes_on, refused_and_closed, running, survives, wait_until, witness

NUMBERS = itertools.count(1)
# What a small message may make the server take.
GROWTH_MAX = 512 << 20

# A whole message of each type that a client may send.
MESSAGES = {
    "query": query("SELECT 1"),
    "parse": raw.parse("SELECT $1", "s", (23,)),
    "bind": raw.bind((b"1", None), (0, 0), (0,)),
    "describe": raw.describe(b"S", "s"),
    "execute": raw.execute(5),
    "close": raw.close(b"S", "s"),
    "copy data": frame(b"d", b"1\n"),
    "copy done": frame(b"c"),
    "copy fail": frame(b"f", text("no more")),
    "flush": FLUSH,
    "sync": SYNC,
    "terminate": TERMINATE,
    "password": frame(b"p", text("secret")),
    "function call": frame(b"F", int32(1) + int16(0) + int16(0) + int16(0)),
}
KNOWN = {message[0] for name, message in MESSAGES.items() if name != "function call"}


@pytest.fixture
def table(witness):
    name = f"hostile_{next(NUMBERS)}"
    witness.execute(f"CREATE TABLE {name} (id BIGINT, word TEXT)")
    yield name
    witness.execute(f"DROP TABLE {name}")


# Frames


@pytest.mark.parametrize("length", [0, 3, -1, -(1 << 31), (1 << 31) - 1, (256 << 20) + 1],
                         ids=["zero", "three", "minus-one", "lowest", "two-GiB", "over-the-bound"])
def test_lengths_that_cannot_be(server, length):
    for name, message in MESSAGES.items():
        with raw.login(server) as connection:
            connection.send(message[:1] + int32(length) + b"x" * 100)
            told = refused_and_closed(connection)
            assert told, f"{name} of length {length} was not answered"


@pytest.mark.parametrize("name", [name for name in MESSAGES if name not in ("copy data", "password")])
def test_bodies_that_are_cut_or_too_long(server, name):
    """Each beginning of a message, in a frame that is right, and the message with more behind it."""
    whole = MESSAGES[name][5:]
    kind = MESSAGES[name][:1]
    for body in [*(whole[:at] for at in range(len(whole))), whole + b"x", whole + b"\0" * 1000]:
        with raw.login(server) as connection:
            connection.send(frame(kind, body), SYNC)
            messages = []
            with contextlib.suppress(raw.Closed):
                messages = connection.until(b"E", b"Z")
            # It is told, or the connection is closed.
            assert not messages or messages[-1][0] == b"E", (body, messages)


def test_types_of_messages_that_are_none(server):
    for kind in range(256):
        if kind in KNOWN:
            continue
        with raw.login(server) as connection:
            connection.send(frame(bytes([kind]), b"whatever\0"))
            told = refused_and_closed(connection.try_send(TERMINATE), PROTOCOL_VIOLATION, "0A000")
            assert told, f"a message of type {kind} was not answered"


def test_noise_after_the_login(server):
    chance = random.Random(11)
    for _ in range(60):
        with raw.login(server) as connection:
            # Whatever is left of a frame that is never completed ends with the connection.
            connection.try_send(chance.randbytes(chance.randint(1, 5000)))
            connection.half_close()
            connection.to_the_end()


def test_texts_that_are_no_utf8(server):
    for message in (query(b"SELECT '\xff'"), raw.parse(b"SELECT '\xc3\x28'"), frame(b"B", b"\xff\0\0" + int16(0) * 3),
                    frame(b"D", b"S\xff\0"), frame(b"f", b"\xff\0")):
        with raw.login(server) as connection:
            told = raw.refusal(connection.send(message, SYNC).until(b"E"))
            assert told["C"] == "22021", told


# Parameters


@pytest.mark.parametrize("message, codes", [
    (raw.bind((b"1", b"2")), (PROTOCOL_VIOLATION,)),
    (raw.bind(()), (PROTOCOL_VIOLATION,)),
    (raw.bind((b"1",) * 65_535), (PROTOCOL_VIOLATION,)),
    (raw.bind((b"1",), (0, 0)), (PROTOCOL_VIOLATION,)),
    (raw.bind((b"1",), (1,) * 65_535), (PROTOCOL_VIOLATION,)),
    (raw.bind((b"1",), (7,)), (PROTOCOL_VIOLATION, "22023")),
    (raw.bind((b"1",), (-1,)), (PROTOCOL_VIOLATION, "22023")),
    (raw.bind((b"1",), (0,), (0, 0)), (PROTOCOL_VIOLATION,)),
    (raw.bind((b"1",), (0,), (9,)), (PROTOCOL_VIOLATION, "22023")),
    (raw.bind((b"1",), (0,), (1,) * 65_535), (PROTOCOL_VIOLATION,)),
    (raw.bind((b"",), (1,)), ("22P03", PROTOCOL_VIOLATION)),
    (raw.bind((b"123",), (1,)), ("22P03", PROTOCOL_VIOLATION)),
    (raw.bind((b"123456789",), (1,)), ("22P03", PROTOCOL_VIOLATION)),
    (raw.bind((b"x",)), ("22P02",)),
    (raw.bind((b"",)), ("22P02",)),
    (raw.bind((b"\xff",)), ("22021",)),
    (raw.bind((b"1'); DROP TABLE x; --",)), ("22P02",)),
    (raw.bind((b"99999999999999999999",)), ("22003",)),
    (raw.bind((b"1",), statement="nosuch"), ("26000",)),
    (raw.execute(portal="nosuch"), ("34000",)),
    (raw.describe(b"S", "nosuch"), ("26000",)),
    (raw.describe(b"P", "nosuch"), ("34000",)),
], ids=itertools.count())
def test_what_does_not_fit_a_statement(server, message, codes):
    """The connection goes on after its next Sync."""
    with raw.login(server) as connection:
        connection.send(raw.parse("SELECT $1", types=(20,)), message, raw.execute(), SYNC)
        told = raw.refusal(connection.until(b"Z"))
        assert told["S"] == "ERROR" and told["C"] in codes, told
        goes_on(connection)


WRONG_BINARY = [
    (16, b""), (21, b"1"), (23, b"12345"), (20, b"1"), (700, b"123"), (701, b"1234567"), (1700, b""), (1700, int16(1) + int16(0) * 3),
    (1700, int16(1) + int16(0) * 3 + int16(10_000)), (1700, int16(0) * 2 + int16(0x1234) + int16(0)), (1700, int16(0) + int16(0x7fff) + int16(0) * 2),
    (1700, int16(0) * 3 + int16(0x7fff) + b"x"), (2950, b"short"), (2950, b"x" * 17), (1082, b"12345"), (1083, b"1"), (1114, b"123"), (1184, b""),
    (1186, b"x" * 15), (3802, b""), (3802, b"\x02{}"), (3802, b"\x01{"), (25, b"\xff"), (25, b"a\0b"),
    (1016, b""), (1016, int32(1)), (1016, int32(7) + int32(0) + int32(20)), (1016, int32(-1) + int32(0) + int32(20)),
    (1016, int32(1) + int32(0) + int32(20) + int32(-1) + int32(1)), (1016, int32(1) + int32(0) + int32(20) + int32(0x7fffffff) + int32(1)),
    (1016, int32(1) + int32(0) + int32(20) + int32(1) + int32(1) + int32(3) + b"123"), (1016, int32(0) + int32(0) + int32(20) + b"more"),
    # Times that no clock shows, and an interval of more than can be held: never another value.
    (1083, (-1).to_bytes(8, "big", signed=True)), (1083, (86_400_000_001).to_bytes(8, "big")), (1186, (1 << 62).to_bytes(8, "big") + int32(0) * 2),
    (600, b"x" * 16), (99_999, b"x"),
]


@pytest.mark.parametrize("oid, value", WRONG_BINARY, ids=[f"{oid}-{at}" for at, (oid, _) in enumerate(WRONG_BINARY)])
def test_values_in_binary_that_are_none(server, oid, value):
    with raw.login(server) as connection:
        connection.send(raw.parse("SELECT $1", types=(oid,)), raw.bind((value,), (1,)), raw.execute(), SYNC)
        told = raw.refusal(connection.until(b"Z"))
        assert told["S"] == "ERROR" and told["C"][:2] in ("08", "22", "0A", "42"), told
        goes_on(connection)


@pytest.fixture
def lean(fresh):
    """A server of its own, whose memory must not grow by much: what the others took is no measure for it."""
    server = fresh()
    server.start()
    before = server.memory_bytes("VmHWM")
    yield server
    grown = server.memory_bytes("VmHWM") - before
    assert grown < GROWTH_MAX, f"{grown >> 20} MiB more"


def test_an_array_of_nothing_in_many_dimensions(lean):
    """Its lengths promise three hundred million arrays without an element, in two hundred bytes."""
    value = int32(6) + int32(0) + int32(20) + (int32(50) + int32(1)) * 5 + int32(0) + int32(1) + b"\0" * 200
    with raw.login(lean) as connection:
        connection.send(raw.parse("SELECT $1", types=(1016,)), raw.bind((value,), (1,)), raw.execute(), SYNC)
        raw.refusal(connection.until(b"Z"))
        goes_on(connection)


@pytest.mark.parametrize("number", ["0", "65536", "4294967296", "99999999999999999999999"])
def test_parameters_of_impossible_numbers(lean, number):
    with raw.login(lean) as connection:
        connection.send(raw.parse(f"SELECT ${number}::int"), raw.describe(b"S"), SYNC)
        raw.refusal(connection.until(b"Z"))
        raw.refusal(connection.run(f"SELECT ${number}::int"))
        goes_on(connection)


def test_more_types_than_parameters_can_be(server):
    with raw.login(server) as connection:
        connection.send(raw.parse("SELECT 1", types=(23,) * 65_535), raw.describe(b"S"), SYNC).until(b"Z")
        goes_on(connection)


# The order of messages


def test_rows_of_a_copy_that_nobody_began(server):
    with raw.login(server) as connection:
        connection.send(frame(b"d", b"1\n") * 1000, frame(b"c"), frame(b"f", text("why")))
        goes_on(connection)


def test_a_password_that_nobody_asked_for(server):
    with raw.login(server) as connection:
        connection.send(frame(b"p", text("secret")), SYNC)
        raw.refusal(connection.until(b"Z", b"E"))


def test_an_error_is_told_at_once(server):
    """Whoever asks by Flush, or not at all, must not wait for a Sync."""
    for messages in (raw.parse("SELECT nosuch FROM nosuch") + raw.describe(b"S") + FLUSH, raw.execute(portal="nosuch")):
        with raw.login(server) as connection:
            assert raw.refusal(connection.send(messages).until(b"E"))["S"] == "ERROR"
            assert connection.send(SYNC).until(b"Z")[-1] == (b"Z", b"I")
            goes_on(connection)


def test_what_follows_an_error_is_passed_over(lean):
    with raw.login(lean) as connection:
        connection.send(raw.execute(portal="nosuch"))
        for _ in range(200):
            connection.send(raw.parse("SELECT 1", "again") * 100, query("SELECT 2") * 100)
        messages = connection.send(SYNC).until(b"Z")
        assert [kind for kind, _ in messages] == [b"E", b"Z"]
        goes_on(connection)


def test_names_are_bounded(server):
    """Statements that nobody closes are refused at some number, and closing them makes room."""
    with raw.login(server) as connection:
        for first in range(0, 20_000, 1_000):
            connection.send(*(raw.parse("SELECT 1", f"s{number}") for number in range(first, first + 1_000)), SYNC)
            refused = [raw.fields(body) for kind, body in connection.until(b"Z") if kind == b"E"]
            if refused:
                break
        assert refused and refused[0]["C"] == "54000", refused
        connection.send(raw.close(b"S", "s0"), raw.parse("SELECT 1", "fits"), SYNC)
        assert [kind for kind, _ in connection.until(b"Z")] == [b"3", b"1", b"Z"]
        goes_on(connection)


# Sizes


@pytest.mark.parametrize("letter", [b"(", b"x", b"'", b"$1 "], ids=["brackets", "word", "quotes", "parameters"])
def test_a_statement_of_32_mib(lean, letter):
    sql = b"SELECT " + letter * ((32 << 20) // len(letter))
    with raw.login(lean) as connection:
        raw.refusal(connection.run(sql))
        raw.refusal(connection.send(raw.parse(sql), raw.describe(b"S"), SYNC).until(b"Z"))
        goes_on(connection)


def test_a_value_of_32_mib(server):
    """What is no statement may be large."""
    value = b"x" * (32 << 20)
    with raw.login(server) as connection:
        connection.send(raw.parse("SELECT length($1), $1", types=(25,)), raw.bind((value,)), raw.execute(), SYNC)
        [row] = [raw.row(body) for kind, body in connection.until(b"Z") if kind == b"D"]
        assert row[0] == str(len(value)).encode() and row[1] == value
        goes_on(connection)


def test_a_row_of_a_copy_that_never_ends(server, table, witness):
    with raw.login(server) as connection:
        connection.send(query(f"COPY {table} FROM STDIN (FORMAT csv)"))
        assert connection.until(b"G", b"E")[-1][0] == b"G"
        connection.try_send(frame(b"d", b"1,\""))
        for _ in range(200):
            connection.try_send(frame(b"d", b"x" * (1 << 20)))
        connection.try_send(frame(b"c"))
        assert raw.refusal(connection.until(b"Z"))["C"] in ("54000", "22P04")
        goes_on(connection)
    assert count(witness, table) == 0


# COPY


HEAD = b"PGCOPY\n\xff\r\n\0" + int32(0) * 2


@pytest.mark.parametrize("form, parts", [
    ("text", [b"1\ta\tb\n"]), ("text", [b"1\n"]), ("text", [b"\xff\t\xff\n"]), ("text", [b"x\ty\n"]), ("text", [b"1\t\0\n"]), ("text", [b"\\x\n"]),
    ("csv", [b"1,\"a"]), ("csv", [b"1,\"a\"\"\n" * 3]), ("csv", [b"\0" * 100 + b"\n"]),
    ("binary", [b""]), ("binary", [b"PGCOPX"]), ("binary", [HEAD[:11]]), ("binary", [b"x" * 100]),
    ("binary", [b"PGCOPY\n\xff\r\n\0" + int32(1 << 16) + int32(0)]), ("binary", [b"PGCOPY\n\xff\r\n\0" + int32(0) + int32(-1)]),
    ("binary", [HEAD, int16(3)]), ("binary", [HEAD, int16(-2)]), ("binary", [HEAD, int16(2) + int32(-2)]),
    ("binary", [HEAD, int16(2) + int32(8) + b"1234"]),
    ("binary", [HEAD, int16(2) + raw.sized(b"123") + raw.sized(None)]), ("binary", [HEAD, int16(2) + raw.sized(b"12345678") + raw.sized(b"\xff")]),
    ("binary", [HEAD, int16(2) + int32(0x7fffffff) + b"1"]),
], ids=itertools.count())
def test_rows_that_are_none(server, table, witness, form, parts):
    with raw.login(server) as connection:
        connection.send(query(f"COPY {table} FROM STDIN (FORMAT {form})"))
        assert connection.until(b"G", b"E")[-1][0] == b"G"
        connection.send(*(frame(b"d", part) for part in parts), frame(b"c"))
        messages = connection.until(b"Z")
        told = raw.refusal(messages)
        assert told["C"][:2] in ("22", "08", "54") and messages[-1] == (b"Z", b"I"), told
        goes_on(connection)
    assert count(witness, table) == 0


@pytest.mark.parametrize("message", [query("SELECT 1"), raw.parse("SELECT 1"), raw.bind(), raw.execute(), TERMINATE, frame(b"p", b"x"),
                                     frame(b"f", text("enough")), frame(b"?", b""), b"d" + int32(0), b"d" + int32(-1)],
                         ids=["query", "parse", "bind", "execute", "terminate", "password", "fail", "unknown", "no length", "negative length"])
def test_what_does_not_belong_into_a_copy(server, table, witness, message):
    with raw.login(server) as connection:
        connection.send(query(f"COPY {table} FROM STDIN"))
        assert connection.until(b"G", b"E")[-1][0] == b"G"
        connection.send(frame(b"d", b"1\ta\n"), message)
        if message == TERMINATE:
            # Nobody reads what is answered to a goodbye.
            connection.half_close()
            wait_until(lambda: running(witness, f"COPY {table} FROM STDIN") == 0, "a copy goes on without its client")
            assert count(witness, table) == 0
            return
        assert raw.refusal(connection.until(b"Z", b"E"))["S"] in ("ERROR", "FATAL")
    assert count(witness, table) == 0


def test_leaving_in_the_middle_of_a_copy_and_of_a_transaction(server, table, witness):
    with raw.login(server) as connection:
        connection.run("BEGIN")
        connection.run(f"INSERT INTO {table} VALUES (1, 'a')")
        connection.send(query(f"COPY {table} FROM STDIN")).until(b"G")
        connection.send(*(frame(b"d", b"2\tb\n") for _ in range(10_000)))
    with raw.login(server) as connection:
        connection.run("BEGIN")
        connection.run(f"INSERT INTO {table} VALUES (3, 'c')")
        connection.send(TERMINATE)
        assert connection.to_the_end() == []
    wait_until(lambda: running(witness, f"COPY {table} FROM STDIN") == 0, "a copy goes on without its client")
    assert count(witness, table) == 0
