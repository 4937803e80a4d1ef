"""Durable small inserts a second, from 1 and from 8 writers: Polder over HTTP beside a bare SQLite loop.

The loop runs the same disk in the same way: one row a transaction, WAL, synchronous=FULL. It has no network, no SQL
planner, no snapshots: it is the floor under what a lake on SQLite can do. A commit of Polder writes about ten rows into the
catalog. Both are measured in turn, on the same file system.
"""

import pathlib
import sqlite3
import sys
import tempfile
import threading
import time

from common import median, table

import polder

ROUNDS = 5
SECONDS = 3.0


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


def polder_inserts(server):
    name = f"t{time.monotonic_ns()}"
    server.client().sql(f"CREATE TABLE {name} (writer bigint, n bigint, word text)")

    def make(number):
        client = server.client()
        return lambda n: client.run(f"INSERT INTO {name} VALUES ({number}, {n}, 'a small row')")

    return make


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="polder-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        with polder.Server(scratch / "data") as server:
            rows = []
            for writers in (1, 8):
                rates = {"bare SQLite": [], "polder": []}
                for _ in range(ROUNDS):
                    rates["bare SQLite"].append(rate(writers, sqlite_inserts(scratch)))
                    rates["polder"].append(rate(writers, polder_inserts(server)))
                bare, ours = median(rates["bare SQLite"]), median(rates["polder"])
                rows.append([writers, f"{bare:.0f}/s", f"{ours:.0f}/s", f"{ours / bare:.2f}"])
    table(f"Durable inserts of one row ({ROUNDS} rounds of {SECONDS:.0f} s in turn, medians)",
          ["writers", "bare SQLite loop", "Polder over HTTP", "ratio"], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
