"""Kafka's protocol by hand: requests that cost their sender next to nothing, so that what is measured is the server."""

import collections
import socket
import struct
import time

PRODUCE, FETCH, HANDSHAKE, AUTHENTICATE = 0, 1, 17, 36
ANSWER_BYTES_MAX = 16 << 20
BATCH_HEAD_BYTES = 61
WAIT_SECONDS = 60


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def crc32c(data: bytes) -> int:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    sum_ = 0xFFFFFFFF
    for byte in data:
        sum_ = sum_ >> 8 ^ table[(sum_ ^ byte) & 0xFF]
    return sum_ ^ 0xFFFFFFFF


def varint(value: int) -> bytes:
    rest, found = value << 1 ^ value >> 63, bytearray()
    while rest >= 0x80:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*found, rest])


def batch(records: list) -> bytes:
    """A batch as librdkafka makes it, of no producer id."""
    body = bytearray()
    for number, value in enumerate(records):
        record = b"\0" + varint(0) + varint(number) + varint(-1) + varint(len(value)) + value + varint(0)
        body += varint(len(record)) + record
    now = int(time.time() * 1000)
    checked = struct.pack(">hiqqqhii", 0, len(records) - 1, now, now, -1, -1, -1, len(records)) + body
    return struct.pack(">qiibI", 0, len(checked) + 9, 0, 2, crc32c(checked)) + checked


class Connection:
    """One connection that has logged in."""

    def __init__(self, server, credentials: dict):
        host, port = server.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=WAIT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = memoryview(bytearray(ANSWER_BYTES_MAX + (2 << 20)))
        self.ask(HANDSHAKE, 1, text("PLAIN"))
        said = f"\0{credentials['user']}\0{credentials['password']}".encode()
        assert self.ask(AUTHENTICATE, 0, struct.pack(">i", len(said)) + said)[4:6] == b"\0\0", "not let in"

    def send(self, key: int, version: int, body: bytes) -> None:
        self.socket.sendall(struct.pack(">ihhih", len(body) + 10, key, version, 7, -1) + body)

    def receive(self) -> memoryview:
        """An answer, from the correlation id on; good until the next one."""
        length = struct.unpack(">i", self._exactly(4))[0]
        return self._exactly(length)

    def _exactly(self, count: int) -> memoryview:
        got = 0
        while got < count:
            more = self.socket.recv_into(self.buffer[got:count])
            assert more, "hung up on"
            got += more
        return self.buffer[:count]

    def ask(self, key: int, version: int, body: bytes) -> memoryview:
        self.send(key, version, body)
        return self.receive()

    def close(self) -> None:
        self.socket.close()


def produce_request(topic: str, partition: int, records: bytes) -> bytes:
    head = struct.pack(">hhi", -1, -1, 30_000) + struct.pack(">i", 1) + text(topic) + struct.pack(">ii", 1, partition)
    return head + struct.pack(">i", len(records)) + records


def check_produced(answer, topic: str) -> None:
    code = struct.unpack_from(">h", answer, 4 + 4 + 2 + len(topic) + 4 + 4)[0]
    assert code == 0, f"refused with {code}"


def produce(connection: Connection, topic: str, partitions: int, records: bytes, count: int, ahead: int) -> None:
    """`count` batches, `ahead` of them under way at once."""
    requests = [produce_request(topic, partition, records) for partition in range(partitions)]
    for number in range(count + ahead):
        if number < count:
            connection.send(PRODUCE, 3, requests[number % partitions])
        if number >= ahead:
            check_produced(connection.receive(), topic)


def acknowledgements(connection: Connection, topic: str, records: bytes, rate: float, seconds: float) -> list:
    """Sends batches at `rate` bytes a second; the sorted seconds to each one's answer, from when it was due."""
    import threading

    request, count = produce_request(topic, 0, records), int(rate * seconds / len(records))
    due, waits = collections.deque(), []

    def read():
        for _ in range(count):
            check_produced(connection.receive(), topic)
            waits.append(time.monotonic() - due.popleft())

    reader = threading.Thread(target=read)
    reader.start()
    begun = time.monotonic()
    for number in range(count):
        at = begun + number * len(records) / rate
        if (left := at - time.monotonic()) > 0:
            time.sleep(left)
        due.append(time.monotonic())
        connection.send(PRODUCE, 3, request)
    reader.join()
    return sorted(waits)


def fetch_request(topic: str, places: dict, wait_ms: int = 500, bytes_max: int = ANSWER_BYTES_MAX, each_max: int = 1 << 20) -> bytes:
    body = struct.pack(">iiiib", -1, wait_ms, 1, bytes_max, 0) + struct.pack(">i", 1) + text(topic)
    return body + struct.pack(">i", len(places)) + b"".join(struct.pack(">iqi", *place, each_max) for place in places.items())


def fetched(answer) -> dict:
    """By partition: bytes of records, and the offset behind them (`None` without any)."""
    found, at = {}, 4 + 4
    topics = struct.unpack_from(">i", answer, at)[0]
    at += 4
    for _ in range(topics):
        at += 2 + struct.unpack_from(">h", answer, at)[0]
        count = struct.unpack_from(">i", answer, at)[0]
        at += 4
        for _ in range(count):
            partition, code, _, _, aborted, size = struct.unpack_from(">ihqqii", answer, at)
            assert code == 0 and aborted <= 0, (code, aborted)
            at += 30
            end, place, behind = at + max(size, 0), at, None
            while place + BATCH_HEAD_BYTES <= end:
                base, length = struct.unpack_from(">qi", answer, place)
                if place + 12 + length > end:
                    break
                behind = base + struct.unpack_from(">i", answer, place + 23)[0] + 1
                place += 12 + length
            found[partition] = (place - at, behind)
            at = end
    return found


def consume(connection: Connection, topic: str, places: dict, records: int, each_max: int = 8 << 20) -> int:
    """Reads on until so many records have come; the bytes of them. The next question is asked when the answer has come."""
    total, left = 0, records
    while left > 0:
        for partition, (size, behind) in fetched(connection.ask(FETCH, 4, fetch_request(topic, places, each_max=each_max))).items():
            if behind is not None:
                left -= behind - places[partition]
                places[partition], total = behind, total + size
    return total
