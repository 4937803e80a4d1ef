"""Durable small inserts a second, from 1 and from 8 writers: Polder over HTTP and by a prepared statement of PostgreSQL's
protocol, beside a bare SQLite loop.

The loop runs the same disk in the same way: one row a transaction, WAL, synchronous=FULL. It has no network, no SQL
planner, no snapshots: it is the floor under what a lake on SQLite can do. A commit of Polder writes about ten rows into the
catalog. Both are measured in turn, on the same file system.

Virtual machines often answer a sync at once, without a disk having been asked. So with `strace` the same is measured again
with every sync made to take longer, as those of a disk do that keeps what it is given.

The same with PostgreSQL as the metastore, beside a bare loop over that PostgreSQL (psycopg, prepared).
"""

import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import psycopg
from common import median, no_options, table

import peers
import polder
import raw_postgres
from raw_postgres import SYNC, bind, execute, parse

ROUNDS = 5
SECONDS = 3.0
SYNC_MS = (0, 2)
# The end of an answer: ready, in no transaction.
READY = b"Z\0\0\0\5I"


class Connection:
    """A kept connection that sends statements and reads answers, and does nothing else: a library for HTTP takes more of
    the processor than the server does."""

    def __init__(self, client):
        url = urllib.parse.urlparse(client.url)
        self.socket = socket.create_connection((url.hostname, url.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        headers = {**client.http.headers, "Host": url.netloc, "Content-Type": "application/json"}
        headers["Cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.http.cookies)
        self.path = "/api/v1/statements"
        self.headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "Accept-Encoding")

    def run(self, sql: str) -> None:
        body = json.dumps({"sql": sql, "format": "json"}).encode()
        head = f"POST {self.path} HTTP/1.1\r\n{self.headers}Content-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)
        answer = self.socket.recv(65536)
        while b"\r\n\r\n" not in answer:
            answer += self.more()
        head, _, rest = answer.partition(b"\r\n\r\n")
        lower = head.lower()
        if b"transfer-encoding: chunked" in lower:
            while not rest.endswith(b"0\r\n\r\n"):
                rest += self.more()
        else:
            length = int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(rest) < length:
                rest += self.more()
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(rest.decode(errors="replace"))

    def more(self) -> bytes:
        part = self.socket.recv(65536)
        if not part:
            raise RuntimeError("the connection was closed")
        return part


def rate(writers: int, make_insert) -> float:
    """Inserts a second that `writers` threads get done in `SECONDS`. `make_insert()` gives each thread its function."""
    inserts = [make_insert(number) for number in range(writers)]
    counts = [0] * writers
    failures = []
    barrier = threading.Barrier(writers + 1)
    ends = [0.0]

    def work(number):
        barrier.wait()
        try:
            while time.monotonic() < ends[0]:
                inserts[number](counts[number])
                counts[number] += 1
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    ends[0] = time.monotonic() + 3600
    for thread in threads:
        thread.start()
    started = time.monotonic()
    ends[0] = started + SECONDS
    barrier.wait()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.monotonic() - started)


def sqlite_inserts(folder: pathlib.Path):
    path = folder / f"bare-{time.monotonic_ns()}.sqlite"

    def connect():
        con = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        con.execute("PRAGMA journal_mode=WAL")
        con.execute("PRAGMA synchronous=FULL")
        return con

    connect().execute("CREATE TABLE t (writer INTEGER, n INTEGER, word TEXT)")

    def make(number):
        con = connect()
        return lambda n: con.execute("INSERT INTO t VALUES (?, ?, ?)", (number, n, "a small row"))

    return make


def made_table(server) -> str:
    name = f"t{time.monotonic_ns()}"
    server.client().sql(f"CREATE TABLE {name} (writer bigint, n bigint, word text)")
    return name


def prepared_inserts(server):
    """As drivers insert in a loop: prepared once, then bound and executed, the values as text."""
    name = made_table(server)

    def make(number):
        connection = raw_postgres.login(server)
        connection.send(parse(f"INSERT INTO {name} VALUES ($1, $2, $3)", "row"), SYNC).until(b"Z")
        writer = str(number).encode()

        def insert(n):
            connection.socket.sendall(bind((writer, str(n).encode(), b"a small row"), statement="row") + execute() + SYNC)
            answer = connection.socket.recv(4096)
            while not answer.endswith(READY):
                part = connection.socket.recv(4096)
                if not part:
                    raise RuntimeError("the connection was closed")
                answer += part
            if b"INSERT 0 1" not in answer:
                raise RuntimeError(answer.decode(errors="replace"))

        return insert

    return make


def polder_inserts(server):
    name = made_table(server)

    def make(number):
        connection = Connection(server.client())
        return lambda n: connection.run(f"INSERT INTO {name} VALUES ({number}, {n}, 'a small row')")

    return make


def slowed(milliseconds: int) -> list:
    """What to put before a command so that each of its syncs takes this much longer."""
    if not milliseconds:
        return []
    return ["strace", "--follow-forks", "--seccomp-bpf", "--output=/dev/null", "--trace=fsync,fdatasync",
            f"--inject=fsync,fdatasync:delay_exit={milliseconds * 1000}"]


def bare_rate(writers: int, folder: pathlib.Path, milliseconds: int) -> float:
    """The loop in a process of its own, so that its syncs can be slowed."""
    command = [*slowed(milliseconds), sys.executable, __file__, "--bare", str(writers), str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(scratch: pathlib.Path, milliseconds: int) -> list:
    if milliseconds:
        program = scratch / "slowed-polder"
        program.write_text(f'#!/bin/sh\nexec {" ".join(slowed(milliseconds))} {polder.binary()} "$@"\n')
        program.chmod(0o755)
        os.environ["POLDER_BINARY"] = str(program)
    rows = []
    with polder.Server(scratch / f"data-{milliseconds}") as server:
        for writers in (1, 8):
            rates = {"bare": [], "http": [], "prepared": []}
            for _ in range(ROUNDS):
                rates["bare"].append(bare_rate(writers, scratch, milliseconds))
                rates["http"].append(rate(writers, polder_inserts(server)))
                rates["prepared"].append(rate(writers, prepared_inserts(server)))
            bare, http, prepared = (median(rates[way]) for way in ("bare", "http", "prepared"))
            rows.append([writers, f"{bare:.0f}/s", f"{http:.0f}/s", f"{http / bare:.2f}",
                         f"{prepared:.0f}/s", f"{prepared / bare:.2f}"])
        if milliseconds:
            # The server is a child of the program that slows it, which does not pass signals on.
            subprocess.run(["pkill", "-TERM", "-P", str(server.process.pid)], check=False)
    return rows


def postgres_inserts(address: str):
    name = f"bare_{time.monotonic_ns()}"

    def connect():
        return psycopg.connect(address, autocommit=True, prepare_threshold=0)

    with connect() as con:
        con.execute(f"CREATE TABLE {name} (writer bigint, n bigint, word text)")

    def make(number):
        con = connect()
        return lambda n: con.execute(f"INSERT INTO {name} VALUES (%s, %s, %s)", (number, n, "a small row"))

    return make


def measure_on_postgres(scratch: pathlib.Path) -> list:
    rows = []
    with peers.Postgres() as postgres:
        bare_address = postgres.database()[0]
        with polder.Server(scratch / "data-postgres", "--metastore", postgres.database()[0]) as server:
            for writers in (1, 8):
                rates = {"bare": [], "http": [], "prepared": []}
                for _ in range(ROUNDS):
                    rates["bare"].append(rate(writers, postgres_inserts(bare_address)))
                    rates["http"].append(rate(writers, polder_inserts(server)))
                    rates["prepared"].append(rate(writers, prepared_inserts(server)))
                bare, http, prepared = (median(rates[way]) for way in ("bare", "http", "prepared"))
                rows.append([writers, f"{bare:.0f}/s", f"{http:.0f}/s", f"{http / bare:.2f}",
                             f"{prepared:.0f}/s", f"{prepared / bare:.2f}"])
    return rows


def main() -> int:
    if sys.argv[1:2] == ["--bare"]:
        print(rate(int(sys.argv[2]), sqlite_inserts(pathlib.Path(sys.argv[3]))))
        return 0
    no_options(__doc__)
    binary = str(polder.binary())
    with tempfile.TemporaryDirectory(prefix="polder-bench-") as scratch:
        for milliseconds in SYNC_MS:
            if milliseconds and not shutil.which("strace"):
                print("skipped: there is no strace, which slows syncs")
                continue
            slow = f", each sync made {milliseconds} ms longer" if milliseconds else ""
            table(f"Durable inserts of one row ({ROUNDS} rounds of {SECONDS:.0f} s in turn, medians{slow})",
                  ["writers", "bare SQLite loop", "Polder over HTTP", "ratio", "prepared", "ratio"],
                  measure(pathlib.Path(scratch), milliseconds))
        os.environ["POLDER_BINARY"] = binary
        table(f"The same with PostgreSQL as the metastore ({ROUNDS} rounds of {SECONDS:.0f} s in turn, medians)",
              ["writers", "bare PostgreSQL loop", "Polder over HTTP", "ratio", "prepared", "ratio"],
              measure_on_postgres(pathlib.Path(scratch)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
