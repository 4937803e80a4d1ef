"""Frames that no client sends: they end their connection, cost little, and disturb nobody."""

import concurrent.futures
import contextlib
import gzip
import pathlib
import socket
import struct
import time

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.record.util import calc_crc32c

import kafkas

PRODUCE, METADATA, API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 0, 3, 18, 17, 36
MEMORY_BYTES_MAX = 300 << 20
# Twenty times what each may unpack to would be 1,280 MiB. What is freed is not given back at once by every thread.
UNPACKING_BYTES_MAX = 512 << 20


@pytest.fixture(scope="module")
def server():
    with kafkas.start() as running:
        yield running


def connect(server) -> socket.socket:
    host, port = kafkas.address(server).rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=kafkas.WAIT_SECONDS)


def frame(key, version, body, flexible=False) -> bytes:
    header = struct.pack(">hhih", key, version, 7, -1) + (b"\0" if flexible else b"")
    return struct.pack(">i", len(header) + len(body)) + header + body


def answer(connection) -> bytes | None:
    """A frame; None: the server has hung up."""
    def exactly(count):
        read = b""
        while len(read) < count:
            part = connection.recv(count - len(read))
            if not part:
                return None
            read += part
        return read

    try:
        length = exactly(4)
        return None if length is None else exactly(struct.unpack(">i", length)[0])
    except ConnectionResetError:
        return None


def logged_in(server) -> socket.socket:
    connection, known = connect(server), server.credentials
    connection.sendall(frame(SASL_HANDSHAKE, 1, b"\0\5PLAIN"))
    assert answer(connection)[4:6] == b"\0\0"
    said = b"\0" + known["user"].encode() + b"\0" + known["password"].encode()
    connection.sendall(frame(SASL_AUTHENTICATE, 0, struct.pack(">i", len(said)) + said))
    assert answer(connection)[4:6] == b"\0\0"
    return connection


def serves(server) -> bool:
    with connect(server) as connection:
        connection.sendall(frame(API_VERSIONS, 0, b""))
        return answer(connection) is not None


def memory(server) -> int:
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


LIES = {
    "another protocol": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a negative length": struct.pack(">i", -1),
    "two gigabytes": struct.pack(">i", 2**31 - 1),
    "nothing": struct.pack(">i", 0),
    "half a header": struct.pack(">ihh", 4, METADATA, 1),
    "an unknown request": frame(999, 0, b""),
    "an array of two billion": frame(METADATA, 1, struct.pack(">i", 2**31 - 1)),
    "the same of variable size": frame(METADATA, 9, b"\xff\xff\xff\xff\x0f", flexible=True),
    "records of variable size": frame(PRODUCE, 9, b"\0\0\1\0\0\0\1\xff\xff\xff\xff\x0f", flexible=True),
    "a million topics": frame(METADATA, 1, struct.pack(">i", 10**6) + b"\0\1a" * 10**6),
    "tags without end": frame(API_VERSIONS, 3, b"\xff\xff\xff\xff\x0f", flexible=True),
    "a text of no characters": frame(METADATA, 1, struct.pack(">ih", 1, 2) + b"\xff\xfe"),
}


@pytest.mark.parametrize("name", LIES)
def test_frames_that_lie_end_their_connection(server, name):
    before = memory(server)
    for open_one in (connect, logged_in):
        with open_one(server) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(LIES[name])
            assert answer(connection) is None
    assert memory(server) < before + (64 << 20) and serves(server)


def test_whoever_has_not_logged_in_sends_little(server):
    with connect(server) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(struct.pack(">ihh", 1 << 20, PRODUCE, 9) + bytes(1 << 20))
        assert answer(connection) is None


def test_halves_of_large_frames_take_little(server):
    """They say that they bring 100 MB and bring next to nothing."""
    before = memory(server)
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            connection = stack.enter_context(logged_in(server))
            connection.sendall(struct.pack(">ihh", 90 << 20, PRODUCE, 9) + bytes(1_000))
        time.sleep(1)
        assert memory(server) < before + MEMORY_BYTES_MAX
        assert serves(server)
    assert serves(server)


def test_many_connections_that_say_nothing_keep_nobody_out(server):
    with contextlib.ExitStack() as stack:
        for _ in range(700):
            stack.enter_context(connect(server))
        with logged_in(server) as connection:
            connection.sendall(frame(METADATA, 1, struct.pack(">i", 0)))
            assert answer(connection) is not None


def test_answers_that_nobody_takes_take_little(server):
    """Thousands of questions in one go, and no answer is read."""
    before = memory(server)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(logged_in(server)) for _ in range(10)]

        def ask(connection):
            connection.settimeout(2)
            with contextlib.suppress(TimeoutError):
                for _ in range(2_000):
                    connection.sendall(frame(METADATA, 1, struct.pack(">i", -1)) * 50)

        with concurrent.futures.ThreadPoolExecutor(len(connections)) as all_at_once:
            list(all_at_once.map(ask, connections))
        assert memory(server) < before + MEMORY_BYTES_MAX
        assert serves(server)


def bomb(unpacked_bytes) -> bytes:
    """A batch of one record that is small by its headers and by its bytes."""
    records = gzip.compress(bytes(unpacked_bytes))
    # Attributes (gzip), last offset, times, producer, sequence, number of records.
    checked = struct.pack(">hiqqqhii", 1, 0, 0, 0, -1, -1, -1, 1) + records
    rest = struct.pack(">ibI", -1, 2, calc_crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


def produced(connection) -> int:
    """The error of an answer to a request of one batch."""
    said = answer(connection)
    name_bytes = struct.unpack(">h", said[8:10])[0]
    return struct.unpack(">h", said[18 + name_bytes:20 + name_bytes])[0]


@pytest.mark.parametrize("unpacked_mib", [60, 200])
def test_batches_that_unpack_to_much_take_little_together(server, unpacked_mib):
    """Twenty at once: one by one they may be 64 MiB each, and together they have a bound of their own."""
    name, batch = kafkas.fresh_name("bombs"), bomb(unpacked_mib << 20)
    assert len(batch) < 300_000
    admin = AdminClient(kafkas.librdkafka(server))
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)
    # No transaction, acks of all, a minute; one topic, one partition.
    body = struct.pack(">hhi", -1, -1, 60_000) + struct.pack(">ih", 1, len(name)) + name.encode()
    request = frame(PRODUCE, 7, body + struct.pack(">iii", 1, 0, len(batch)) + batch)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(logged_in(server)) for _ in range(20)]
        before = memory(server)
        # The highest it has been begins anew.
        pathlib.Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
        for connection in connections:
            connection.sendall(request)
        for connection in connections:
            assert produced(connection) != 0
        assert server.memory_bytes("VmHWM") < before + UNPACKING_BYTES_MAX
    assert serves(server)
