"""Starts of PostgreSQL's protocol that are none, logins that fail, and more clients than can be."""

import collections
import concurrent.futures
import contextlib
import hashlib
import itertools
import math
import random
import ssl
import struct
import threading
import time

import psycopg
import pytest
import requests

import polder
import raw_postgres as raw
from raw_postgres import SYNC, frame, int32, query, text
from test_postgres_psycopg import address
# survives and witness are fixtures, which count by being imported.
from witnesses import MEMORY_MAX, PROTOCOL_VIOLATION, comes_in, goes_on, refused_and_closed, survives, witness

# What the server takes at once, and as many more that are logging in.
SESSIONS_MAX = 500
# For a login while others flood: it takes a few milliseconds when the machine has time.
COMING_IN_SECONDS_MAX = 10
GUESSES, GUESSERS = 1_000, 20


# Before the login


def garbage() -> list:
    chance = random.Random(5)
    user = text("user") + text("polder")
    return [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\0\0\1\0\0\0\0",
        b"\0" * 64,
        b"\xff" * 64,
        int32(7) + b"abc",
        int32(10_001) + int32(raw.PROTOCOL) + b"x" * 10_000,
        raw.early(raw.PROTOCOL),
        raw.early(raw.PROTOCOL, b"user"),
        raw.early(raw.PROTOCOL, user),
        raw.early(raw.PROTOCOL, user + b"\0x"),
        raw.early(raw.PROTOCOL, user + text("database")),
        raw.early(raw.PROTOCOL, b"\0"),
        raw.startup(user=""),
        raw.early(raw.PROTOCOL, text("user") + text(b"\xff\xfe") + b"\0"),
        raw.startup(user="polder", replication="true"),
        raw.startup(user="polder", replication="database"),
        raw.early(1234 << 16),
        raw.early(raw.CANCEL_REQUEST),
        raw.early(raw.CANCEL_REQUEST, int32(1)),
        raw.early(raw.GSS_REQUEST) * 5,
        # Two requests for encryption: the second is no beginning of TLS.
        raw.early(raw.SSL_REQUEST) + raw.early(raw.SSL_REQUEST),
        # What is sent along in the clear must not count as sent in secret.
        raw.early(raw.SSL_REQUEST) + raw.startup(user="polder"),
        raw.early(raw.SSL_REQUEST) + b"\x16\x03\x01" + b"\xff" * 100,
        b"\x16\x03\x01\x02\0" + b"\0" * 512,
        *(chance.randbytes(size) for size in (1, 4, 8, 9, 100, 9_999)),
        *(int32(size) + chance.randbytes(size - 4) for size in (8, 9, 100, 9_999)),
    ]


@pytest.mark.parametrize("packet", garbage(), ids=itertools.count())
def test_garbage_at_the_start(server, packet):
    with raw.connect(server) as connection:
        connection.send(packet)
        # It may be the beginning of something longer.
        connection.half_close()
        answer = b""
        with contextlib.suppress(raw.Closed):
            while True:
                answer += connection.take(1)
        assert b"\0\0\0\x08\0\0\0\0" not in answer, "somebody was let in"
        # An error, a word about encryption, or nothing; a name of no password's owner is asked for one like any other.
        assert answer[:1] in (b"", b"E", b"S", b"N", b"R", b"v", b"\x15"), answer


def test_options_of_the_start_that_are_none(server):
    known = server.credentials
    for options in ("-c", "--", "-c x", "-c =1", "-c a.b.c=1 -d 5", "-c \\", "-c search_path", "'", "-c nosuch';DROP=1", "-c statement_timeout=x"):
        with raw.connect(server) as connection:
            connection.send(raw.startup(user=known["user"], database="polder", options=options))
            connection.prove(known["password"])
            told = raw.refusal(connection.to_the_end())
            assert told["S"] == "FATAL", (options, told)


def test_quotes_in_settings_of_the_start_are_values(server, witness):
    with raw.login(server, options="-c search_path=a';DROP\\ TABLE\\ x;--,public") as connection:
        assert connection.rows("SELECT 1") == [(b"1",)]
        assert b"DROP TABLE" in connection.rows("SHOW search_path")[0][0]


@pytest.mark.parametrize("code, words", [(2 << 16, "unsupported frontend protocol 2.0"), (4 << 16, "unsupported frontend protocol 4.0"), (0, "0.0"),
                                         (0xffff_ffff, "unsupported frontend protocol")])
def test_versions_that_are_not_spoken(server, code, words):
    with raw.connect(server) as connection:
        told = raw.refusal(connection.send(raw.startup(code, user="polder")).to_the_end())
        assert (told["S"], told["C"]) == ("FATAL", "0A000") and words in told["M"], told


@pytest.mark.parametrize("minor, options", [(2, {}), (9999, {}), (0, {"_pq_.compression": "zstd", "_pq_.other": "1"}), (2, {"_pq_.x": "y"})])
def test_newer_versions_are_negotiated(server, minor, options):
    known = server.credentials
    with raw.connect(server) as connection:
        connection.send(raw.startup(raw.PROTOCOL + minor, user=known["user"], database="polder", **options))
        kind, body = connection.read()
        assert kind == b"v"
        version, unknown = struct.unpack_from("!II", body)
        names = body[8:].decode().split("\0")[:-1]
        assert version == raw.PROTOCOL and unknown == len(options) and names == list(options)
        connection.prove(known["password"])
        assert connection.until(b"Z")[-1] == (b"Z", b"I")
        goes_on(connection)


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_encryption_is_asked_for_twice(server):
    known = server.credentials
    with raw.connect(server) as connection:
        connection.send(raw.early(raw.SSL_REQUEST))
        assert connection.take(1) == b"S"
        connection.socket = tls().wrap_socket(connection.socket)
        connection.send(raw.early(raw.SSL_REQUEST))
        assert connection.take(1) == b"N"
        connection.login(known["user"], known["password"])
        goes_on(connection)


def test_tls_at_once_without_its_name(server):
    with raw.connect(server) as connection:
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            connection.socket = tls().wrap_socket(connection.socket)
            assert connection.try_send(raw.startup(user="polder")).to_the_end() == []


# Logging in


SCRAM = text("SCRAM-SHA-256")


@pytest.mark.parametrize("answer", [
    query("SELECT 1"), SYNC, frame(b"p"), frame(b"p", b"SCRAM"), frame(b"p", text("MD5") + raw.sized(b"n,,n=,r=abc")),
    frame(b"p", text("SCRAM-SHA-256-PLUS") + raw.sized(b"p=tls-server-end-point,,n=,r=abc")), frame(b"p", SCRAM + int32(-1)),
    frame(b"p", SCRAM + int32(1 << 20) + b"n,,"), frame(b"p", SCRAM + int32(-2)), frame(b"p", SCRAM + raw.sized(b"")),
    frame(b"p", SCRAM + raw.sized(b"n,,n=,r=")), frame(b"p", SCRAM + raw.sized(b"n,,n=,r=\x01")), frame(b"p", SCRAM + raw.sized(b"\xff,,n=,r=abc")),
    frame(b"p", SCRAM + raw.sized(b"y,,m=x,r=abc")), frame(b"p", b"x" * 20_000), b"p" + int32(3), b"p" + int32(-1), frame(b"\0"),
], ids=itertools.count())
def test_logins_that_are_none(server, answer):
    known = server.credentials
    with raw.connect(server) as connection:
        connection.send(raw.startup(user=known["user"], database="polder"))
        assert connection.read()[0] == b"R"
        told = raw.refusal(connection.send(answer).to_the_end())
        assert told["S"] == "FATAL" and told["C"] in (PROTOCOL_VIOLATION, "22021", "28000", "54000", "28P01"), told


@pytest.mark.parametrize("change", [lambda proof: "", lambda proof: proof[:-8], lambda proof: proof.replace("c=biws", "c=eSws"),
                                    lambda proof: proof.replace("r=", "r=x"), lambda proof: proof.split(",p=")[0] + ",p=!!!",
                                    lambda proof: proof.split(",p=")[0] + ",p=", lambda proof: proof + "\0", lambda proof: "c=biws," * 1000],
                         ids=itertools.count())
def test_proofs_that_are_none(server, change):
    known = server.credentials
    with raw.connect(server) as connection:
        connection.send(raw.startup(user=known["user"], database="polder"))
        assert connection.read()[0] == b"R"
        connection.send(frame(b"p", SCRAM + raw.sized(b"n,,n=,r=abcdefgh")))
        _, challenge = connection.read()
        proof = change(raw.proof(known["password"], "n=,r=abcdefgh", challenge[4:].decode()))
        told = raw.refusal(connection.send(frame(b"p", proof.encode())).to_the_end())
        assert told["S"] == "FATAL" and told["C"] in (PROTOCOL_VIOLATION, "28000", "28P01"), told


def test_wrong_passwords_are_slowed_down_here_and_at_the_console(fresh):
    server = fresh()
    server.start()
    known = server.credentials
    with psycopg.connect(**address(server), autocommit=True) as inside:
        messages = []
        for number in range(30):
            with pytest.raises(psycopg.OperationalError) as caught:
                psycopg.connect(**address(server, password=f"guess {number}", sslmode="disable"))
            messages.append(str(caught.value))
        tried = [message for message in messages if "password authentication failed" in message]
        slowed = [message for message in messages if "too many wrong passwords" in message]
        assert len(tried) + len(slowed) == len(messages) and tried and len(slowed) > len(tried), messages
        # One wait for both doors, and whoever is inside stays there.
        refused = []
        for number in range(5):
            with pytest.raises(polder.Failed) as caught:
                polder.Client(server.url).login(known["user"], f"one more guess {number}")
            refused.append(caught.value.message)
        assert any("too many wrong passwords" in message for message in refused), refused
        assert inside.execute("SELECT 1").fetchone() == (1,)


def newcomers(server, count: int) -> None:
    """Who has the right password comes in, and soon."""
    for _ in range(count):
        begun = time.monotonic()
        with psycopg.connect(**address(server)) as newcomer:
            assert newcomer.execute("SELECT 1").fetchone() == (1,)
        assert time.monotonic() - begun < COMING_IN_SECONDS_MAX


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("answer", [
    lambda known: known["password"],
    lambda known: "md5" + hashlib.md5((hashlib.md5((known["password"] + known["user"]).encode()).hexdigest() + "salt").encode()).hexdigest(),
], ids=["in the clear", "md5"])
def test_the_right_password_is_not_taken_like_that(server, answer, encrypted):
    """Nobody has asked for it, and who sends it all the same must not be let in, nor learn whether it was right."""
    known = server.credentials
    with raw.connect(server) as connection:
        if encrypted:
            assert connection.send(raw.early(raw.SSL_REQUEST)).take(1) == b"S"
            connection.socket = tls().wrap_socket(connection.socket)
        kind, body = connection.send(raw.startup(user=known["user"], database="polder")).read()
        assert kind == b"R" and struct.unpack_from("!I", body) == (10,)
        messages = connection.send(frame(b"p", text(answer(known)))).to_the_end()
        assert [kind for kind, _ in messages] == [b"E"]
        told = raw.refusal(messages)
        assert (told["S"], told["C"]) == ("FATAL", PROTOCOL_VIOLATION), told
        assert known["password"] not in told["M"]


def guess(server, user: str, origin: str, password: str) -> dict:
    with raw.connect(server, origin) as connection:
        connection.send(raw.startup(user=user, database="polder"))
        try:
            connection.prove(password)
        except AssertionError as refused:
            (_, told), = refused.args
            return told
    raise AssertionError("somebody was let in")


def measured(work, seconds: list) -> None:
    begun = time.monotonic()
    work()
    seconds.append(time.monotonic() - begun)


@pytest.mark.parametrize("user, origin", [(None, "127.0.0.2"), ("nobody", "127.0.0.1")], ids=["another address", "another user"])
def test_a_thousand_wrong_passwords(fresh, user, origin):
    """Each gets its answer, few are looked at, and nobody else notices: neither who is in, nor who comes from another address or as another user."""
    server = fresh()
    server.start()
    known = server.credentials
    answers, guessing, working = [], [], []
    begun = time.monotonic()

    def guesser(number: int):
        for turn in range(GUESSES // GUESSERS):
            measured(lambda: answers.append(guess(server, user or known["user"], origin, f"guess {number} {turn}")), guessing)

    with psycopg.connect(**address(server), autocommit=True) as inside, concurrent.futures.ThreadPoolExecutor(GUESSERS) as threads:
        work = [threads.submit(guesser, number) for number in range(GUESSERS)]
        while not all(one.done() for one in work):
            measured(lambda: inside.execute("SELECT 1").fetchone(), working)
            newcomers(server, 1)
        for one in work:
            one.result()
        assert inside.execute("SELECT 1").fetchone() == (1,)
    assert len(answers) == GUESSES and {told["S"] for told in answers} == {"FATAL"}
    assert {told["C"] for told in answers} == {"28P01", "57P03"}
    looked_at = sum(told["C"] == "28P01" for told in answers)
    # Five are free; then the waits double.
    assert looked_at <= 6 + math.log2(time.monotonic() - begun + 1), looked_at
    assert max(guessing) < COMING_IN_SECONDS_MAX and max(working) < COMING_IN_SECONDS_MAX, (max(guessing), max(working))
    # The right one from there has to wait as well.
    if user is None:
        assert guess(server, known["user"], origin, known["password"])["C"] == "57P03"
    assert server.memory_bytes("VmHWM") < MEMORY_MAX
    assert "panicked" not in server.log()


# Many at once


def test_a_flood_of_starts_shuts_nobody_out(server, witness):
    """Who only begins takes no session, and makes room for those who mean it, while they stand beside those who say nothing."""
    start = raw.startup(user=server.credentials["user"], database="polder")
    with contextlib.ExitStack() as stack:
        begun = [stack.enter_context(raw.connect(server)).send(start) for _ in range(SESSIONS_MAX)]
        for connection in begun:
            assert connection.read()[0] in (b"R", b"E")
        newcomers(server, 5)
        silent = [stack.enter_context(raw.connect(server)) for _ in range(2 * SESSIONS_MAX)]
        newcomers(server, 20)
        assert witness.execute("SELECT 1").fetchone() == (1,)
        assert requests.get(f"{server.url}/healthz", timeout=polder.SOON_SECONDS).status_code == 200
        # The oldest have had to leave, and those of them who had said who they are were told why.
        told = refused_and_closed(begun[0])
        assert (told.get("S"), told.get("C")) in (("FATAL", "53300"), (None, None)), told
        refused_and_closed(silent[0], "53300")
        # The newest still stand, and may go on.
        silent[-1].login(server.credentials["user"], server.credentials["password"])
        goes_on(silent[-1])
        newcomers(server, 5)


def test_starts_that_come_all_the_time(server, witness):
    """A flood that goes on, each connection from the same address as those who mean it."""
    over, counts = threading.Event(), []

    def flood():
        there, count = collections.deque(maxlen=100), 0
        while not over.is_set():
            with contextlib.suppress(OSError):
                there.append(raw.connect(server))
                count += 1
            # The system has so many ports.
            time.sleep(0.001)
        counts.append(count)

    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        newcomers(server, 10)
        assert witness.execute("SELECT 1").fetchone() == (1,)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert min(counts) > 0


def test_sessions_are_bounded(server, witness):
    """Of those who are in there are so many; the next one is told so, once they have proven who they are."""
    with contextlib.ExitStack() as stack:
        with pytest.raises(psycopg.OperationalError, match="too many clients already"):
            for _ in range(SESSIONS_MAX):
                stack.enter_context(contextlib.closing(psycopg.connect(**address(server, sslmode="disable"))))
        assert witness.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**address(server, password="wrong"))
    comes_in(server)


def test_starts_that_go_no_further_are_ended(server, witness):
    """One has half a minute."""
    start = raw.startup(user=server.credentials["user"], database="polder")
    with raw.connect(server) as silent, raw.connect(server) as half, raw.connect(server) as unproven:
        half.send(start[:-5])
        assert unproven.send(start).read()[0] == b"R"
        for connection in (silent, half, unproven):
            told = refused_and_closed(connection)
            assert (told["S"], told["C"]) == ("FATAL", "57014"), told


def test_many_short_sessions(server, witness):
    failures = []

    def work():
        try:
            for _ in range(25):
                with psycopg.connect(**address(server)) as connection:
                    assert connection.execute("SELECT 1").fetchone() == (1,)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
