"""PostgreSQL's protocol by hand: for messages that no driver would send, and for seeing each answer."""

import base64
import contextlib
import hashlib
import hmac
import os
import socket
import ssl
import struct

# A bound for what hangs.
WAIT_SECONDS = 60
PROTOCOL = 3 << 16
SSL_REQUEST = 80_877_103
GSS_REQUEST = 80_877_104
CANCEL_REQUEST = 80_877_102


class Closed(Exception):
    """The server has closed the connection."""


def text(value: str | bytes) -> bytes:
    return (value if isinstance(value, bytes) else value.encode()) + b"\0"


def int16(value: int) -> bytes:
    return struct.pack("!H", value & 0xffff)


def int32(value: int) -> bytes:
    return struct.pack("!I", value & 0xffffffff)


def sized(value: bytes | None) -> bytes:
    return int32(-1) if value is None else int32(len(value)) + value


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + int32(len(body) + 4) + body


def early(code: int, body: bytes = b"") -> bytes:
    """A message of the start, which has no type."""
    return int32(len(body) + 8) + int32(code) + body


def startup(code: int = PROTOCOL, **parameters: str) -> bytes:
    return early(code, b"".join(text(name) + text(value) for name, value in parameters.items()) + b"\0")


def query(sql: str | bytes) -> bytes:
    return frame(b"Q", text(sql))


def parse(sql: str | bytes, name: str = "", types: tuple = ()) -> bytes:
    return frame(b"P", text(name) + text(sql) + int16(len(types)) + b"".join(map(int32, types)))


def bind(values: tuple = (), formats: tuple = (), results: tuple = (), portal: str = "", statement: str = "") -> bytes:
    return frame(b"B", text(portal) + text(statement) + int16(len(formats)) + b"".join(map(int16, formats))
                 + int16(len(values)) + b"".join(map(sized, values)) + int16(len(results)) + b"".join(map(int16, results)))


def describe(kind: bytes = b"P", name: str = "") -> bytes:
    return frame(b"D", kind + text(name))


def execute(rows: int = 0, portal: str = "") -> bytes:
    return frame(b"E", text(portal) + int32(rows))


def close(kind: bytes, name: str = "") -> bytes:
    return frame(b"C", kind + text(name))


SYNC = frame(b"S")
FLUSH = frame(b"H")
TERMINATE = frame(b"X")


def asked(sql: str, *values: bytes | None, results: tuple = ()) -> bytes:
    """A statement by the extended protocol, without its Sync."""
    return parse(sql) + bind(values, results=results) + describe() + execute()


def fields(body: bytes) -> dict:
    """The fields of an error or a notice by their letters."""
    return {chr(part[0]): part[1:].decode() for part in body.split(b"\0") if part}


def row(body: bytes) -> tuple:
    """The values of a DataRow."""
    (count,), at, values = struct.unpack_from("!H", body), 2, []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append(None if length < 0 else body[at:at + length])
        at += max(length, 0)
    assert at == len(body), body
    return tuple(values)


class Raw:
    """One connection. Without `login` it has said nothing yet."""

    def __init__(self, host: str, port: int, origin: str = ""):
        self.socket = socket.create_connection((host, port), timeout=WAIT_SECONDS, source_address=(origin, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.key = None
        self.parameters = {}

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> "Raw":
        self.socket.sendall(b"".join(parts))
        return self

    def try_send(self, *parts: bytes) -> "Raw":
        """As `send`; the server may have closed the connection already."""
        with contextlib.suppress(ConnectionError):
            self.send(*parts)
        return self

    def half_close(self) -> None:
        """Says that nothing more will come, and goes on reading."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            try:
                part = self.socket.recv(1 << 16)
            except (ConnectionError, ssl.SSLError):
                part = b""
            if not part:
                raise Closed
            self.buffer += part
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def read(self) -> tuple:
        """The next message: its type and its body."""
        head = self.take(5)
        return head[:1], self.take(struct.unpack("!I", head[1:])[0] - 4)

    def until(self, *kinds: bytes) -> list:
        """All messages up to the first of these types, with it."""
        messages = [self.read()]
        while messages[-1][0] not in kinds:
            messages.append(self.read())
        return messages

    def to_the_end(self) -> list:
        """All messages until the server closes the connection."""
        messages = []
        with contextlib.suppress(Closed):
            while True:
                messages.append(self.read())
        return messages

    def run(self, sql: str) -> list:
        return self.send(query(sql)).until(b"Z")

    def rows(self, sql: str) -> list:
        messages = self.run(sql)
        wrong = [fields(body) for kind, body in messages if kind == b"E"]
        assert not wrong, wrong
        return [row(body) for kind, body in messages if kind == b"D"]

    def login(self, user: str, password: str | None = None, database: str = "polder", **more: str) -> "Raw":
        """Starts a session up to its first ReadyForQuery."""
        self.send(startup(user=user, database=database, **more))
        self.prove(password)
        for kind, body in self.until(b"Z"):
            assert kind != b"E", fields(body)
            if kind == b"K":
                self.key = body
            elif kind == b"S":
                name, value, _ = body.decode().split("\0")
                self.parameters[name] = value
        return self

    def prove(self, password: str | None) -> None:
        """Answers what is asked for until the server is content."""
        first = None
        while True:
            kind, body = self.read()
            assert kind == b"R", (kind, fields(body) if kind == b"E" else body)
            (code,) = struct.unpack_from("!I", body)
            if code == 0:
                return
            if code == 10:
                first = f"n=,r={base64.b64encode(os.urandom(18)).decode()}"
                self.send(frame(b"p", text("SCRAM-SHA-256") + sized(f"n,,{first}".encode())))
            elif code == 11:
                self.send(frame(b"p", proof(password, first, body[4:].decode()).encode()))
            else:
                assert code == 12, code


def proof(password: str, first: str, server_first: str) -> str:
    """The client's last message of SCRAM-SHA-256 (RFC 5802)."""
    parts = dict(part.split("=", 1) for part in server_first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = f"c=biws,r={parts['r']}"
    message = f"{first},{server_first},{without_proof}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    return f"{without_proof},p={base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()}"


def connect(server, origin: str = "") -> Raw:
    """A connection to Polder's server that has said nothing yet. `origin`: the address that it comes from."""
    host, port = server.postgres.rsplit(":", 1)
    return Raw(host, int(port), origin)


def login(server, **more: str) -> Raw:
    """A session of the first user."""
    known = server.credentials
    return connect(server).login(known["user"], known["password"], **more)


def refusal(messages: list) -> dict:
    """The fields of the last error among messages; it is a mistake if there is none."""
    errors = [fields(body) for kind, body in messages if kind == b"E"]
    assert errors, messages
    return errors[-1]
