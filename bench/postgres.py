"""PostgreSQL's protocol: Polder beside PostgreSQL itself, by the same clients, in turn, as ratios.

A round trip of a prepared SELECT 1 on one connection; two hundred connections that each run one short statement after the other, all
at the same time; the memory of an idle connection; rows by COPY in binary and by a query; psycopg's fetchall; and the peak of the
memory of the server, for PostgreSQL of the process that serves the connection, while the rows pass.

    python bench/postgres.py --rows 1000000 --parts trips,idle
"""

import argparse
import selectors
import sys
import time

from common import in_turn, median, table, timed, verdict

import peers
import polder
import psycopg
import raw_postgres as raw
from raw_postgres import SYNC, bind, execute, parse, query
from changes import choice, mib, progress, status_bytes

ROWS = 10_000_000
FETCHED = 1_000_000
ROUNDS = 3
TRIPS = 3_000
# Each runs so many statements.
CONNECTIONS = 200
STATEMENTS = 20
# What is to be reached: times to PostgreSQL's, the slowest to the median, bytes.
TRIP_TIMES = 2
SLOWEST_TIMES = 10
IDLE_BYTES = 200_000
PASSING_TIMES = 0.7
GROWTH_BYTES = 128 << 20
IDLE = 200
WARM = 5
PARTS = ("trips", "crowd", "idle", "rows")
SHORT = "SELECT sum(n) FROM short WHERE id % 10 = 3"
LAST = b"Z\0\0\0\5I"


class Peer:
    """One of the two servers, and how it is reached."""

    def __init__(self, name: str, login, connect, process_of):
        self.name, self.login, self.connect, self.process_of = name, login, connect, process_of
        # A connection that stays, to make tables and to ask.
        self.own = login()

    def run(self, *statements: str) -> list:
        return [self.own.rows(sql) for sql in statements]


def polder_peer(server) -> Peer:
    host, port = server.postgres.rsplit(":", 1)
    known = server.credentials
    where = {"host": host, "port": port, "user": known["user"], "password": known["password"], "dbname": "polder", "sslmode": "disable"}
    return Peer("Polder", lambda: raw.login(server), lambda: psycopg.connect(**where), lambda _: server.process.pid)


def postgres_peer(running) -> Peer:
    _, where = running.database()
    database = where.rsplit("dbname=", 1)[1]

    def login():
        return raw.Raw("127.0.0.1", running.port).login("polder", database=database)

    return Peer("PostgreSQL", login, lambda: psycopg.connect(where),
                lambda connection: int(connection.rows("SELECT pg_backend_pid()")[0][0]))


def make_tables(peer: Peer, rows: int) -> None:
    peer.run("CREATE TABLE short (id BIGINT, n BIGINT)",
             "INSERT INTO short SELECT i, i % 7 FROM generate_series(1, 1000) AS g(i)")
    if rows:
        peer.run("CREATE TABLE long (id BIGINT, share DOUBLE PRECISION, day DATE, word TEXT)",
                 "INSERT INTO long SELECT i, i / 7.0, DATE '2024-01-01' + (i % 365)::int, 'word number ' || i % 1000 "
                 f"FROM generate_series(1, {rows}) AS g(i)")
    if peer.name == "PostgreSQL":
        peer.run("VACUUM ANALYZE")


# One connection


def trips(ours: Peer, theirs: Peer) -> None:
    taken = {}
    for peer in (ours, theirs):
        peer.own.send(parse("SELECT 1", "one"), SYNC).until(b"Z")
        taken[peer] = []
    message = bind(statement="one", results=(1,)) + execute() + SYNC
    for _ in range(ROUNDS + 1):
        for peer, seconds in taken.items():
            socket = peer.own.socket
            for _ in range(TRIPS):
                started = time.perf_counter()
                socket.sendall(message)
                answer = socket.recv(4096)
                while not answer.endswith(LAST):
                    answer += socket.recv(4096)
                seconds.append(time.perf_counter() - started)
    rows = []
    # The first round warms up.
    base = sorted(taken[theirs][TRIPS:])
    for peer in (theirs, ours):
        seconds = sorted(taken[peer][TRIPS:])
        half, most = (seconds[int(len(seconds) * share)] for share in (0.5, 0.99))
        rows.append([peer.name, f"{half * 1e6:.0f} µs", f"{most * 1e6:.0f} µs", f"{half / base[len(base) // 2]:.2f}"])
    table(f"A prepared SELECT 1, one connection ({ROUNDS} rounds of {TRIPS} in turn)", ["", "p50", "p99", "p50 to PostgreSQL's"], rows)
    times = float(rows[-1][-1])
    print(f"at most {TRIP_TIMES} times PostgreSQL's: {times}, {verdict(times <= TRIP_TIMES)}")


# Many connections


def crowd_of(peer: Peer, count: int) -> dict:
    """Each of the connections runs its statements one after the other, all connections at once: seconds of each statement."""
    message, wanted = query(SHORT), peer.run(SHORT)[0]
    connections = [peer.login() for _ in range(count)]
    waiting = selectors.DefaultSelector()
    started, left, answers, seconds = {}, {}, {}, {connection: [] for connection in connections}
    begun = time.monotonic()
    for connection in connections:
        left[connection], answers[connection] = STATEMENTS - 1, b""
        started[connection] = time.monotonic()
        connection.send(message)
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
    wrong = 0
    while waiting.get_map():
        ready = waiting.select(raw.WAIT_SECONDS)
        if not ready:
            break
        for key, _ in ready:
            connection = key.data
            part = connection.socket.recv(65_536)
            answers[connection] += part
            if part and not answers[connection].endswith(LAST):
                continue
            seconds[connection].append(time.monotonic() - started[connection])
            wrong += wanted[0][0] not in answers[connection]
            answers[connection] = b""
            if not part or not left[connection]:
                waiting.unregister(connection.socket)
                continue
            left[connection] -= 1
            started[connection] = time.monotonic()
            connection.send(message)
    whole = time.monotonic() - begun
    for connection in connections:
        connection.socket.close()
    return {"seconds": sorted(second for each in seconds.values() for second in each), "whole": whole, "wrong": wrong,
            "sums": sorted(sum(each) for each in seconds.values())}


def crowd(ours: Peer, theirs: Peer) -> bool:
    count = CONNECTIONS
    rows, good, whole, times = [], True, {}, 0.0
    for peer in (theirs, ours):
        crowd_of(peer, count)
        found = crowd_of(peer, count)
        wanted = count * STATEMENTS
        answered = len(found["seconds"]) - found["wrong"]
        good &= answered == wanted
        whole[peer] = found["whole"]
        middle, slowest = median(found["seconds"]), found["seconds"][-1]
        times = slowest / middle
        rows.append([peer.name, f"{answered} of {wanted}", f"{found['whole']:.2f} s", f"{found['whole'] / whole[theirs]:.2f}",
                     f"{middle * 1e3:.1f} ms", f"{slowest * 1e3:.1f} ms", f"{slowest / middle:.1f}",
                     f"{found['sums'][-1] / median(found['sums']):.2f}"])
    table(f"{count} connections at once, {STATEMENTS} short statements each",
          ["", "answered", "whole", "to PostgreSQL's", "median", "slowest", "slowest to median", "slowest connection to median"], rows)
    print(f"all answered, the slowest at most {SLOWEST_TIMES} times the median: {times:.1f}, {verdict(good and times <= SLOWEST_TIMES)}")
    return good


# Idle connections


def proportional_bytes(pids) -> int:
    """Memory of some processes, what they share counted once."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
    return total


def children(pid: int) -> list:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def idle(ours: Peer, theirs: Peer, server, running) -> None:
    processes = {ours: lambda: [server.process.pid], theirs: lambda: [running.process.pid, *children(running.process.pid)]}
    taken = {}
    for peer, pids in processes.items():
        # What a first statement brings along is not counted for any of them. More connections than a few would leave room behind, in which
        # those that are counted then have their place.
        for connection in [peer.login() for _ in range(WARM)]:
            connection.rows(SHORT)
            connection.socket.close()
        time.sleep(1)
        before = proportional_bytes(pids())
        connections = [peer.login() for _ in range(IDLE)]
        for connection in connections:
            connection.rows("SELECT 1")
        time.sleep(1)
        taken[peer] = (proportional_bytes(pids()) - before) / IDLE
        for connection in connections:
            connection.socket.close()
    rows = [[peer.name, f"{taken[peer] / 1024:.0f} KiB", f"{taken[peer] / taken[theirs]:.2f}"] for peer in (theirs, ours)]
    table(f"Memory of an idle connection, of {IDLE} that have run SELECT 1", ["", "each", "to PostgreSQL's"], rows)
    print(f"at most {IDLE_BYTES // 1000} kB: {taken[ours] / 1000:.0f} kB, {verdict(taken[ours] <= IDLE_BYTES)}")


# Rows


def drained(connection, *messages: bytes) -> tuple:
    """Sends, and reads to the end without looking at what comes: bytes, and the words that say what was done."""
    connection.send(*messages)
    buffer, total, tail = bytearray(1 << 20), 0, b""
    view = memoryview(buffer)
    while not tail.endswith(LAST):
        count = connection.socket.recv_into(buffer)
        if not count:
            raise RuntimeError("the connection was closed")
        total += count
        tail = (tail + bytes(view[max(0, count - 64):count]))[-64:]
    return total, tail[:-len(LAST)].rsplit(b"C\0\0\0", 1)[1][1:-1].decode()


def ways(rows: int) -> dict:
    """What is asked for, as messages, and the words that must come back."""
    results = bind(results=(1,)) + execute() + SYNC
    return {
        "COPY (SELECT …) TO STDOUT, binary": ([query("COPY (SELECT * FROM long) TO STDOUT (FORMAT binary)")], f"COPY {rows}"),
        "COPY (SELECT …) TO STDOUT, text": ([query("COPY (SELECT * FROM long) TO STDOUT")], f"COPY {rows}"),
        "SELECT, binary": ([parse("SELECT * FROM long"), results], f"SELECT {rows}"),
        "SELECT, text": ([query("SELECT * FROM long")], f"SELECT {rows}"),
    }


def passing(ours: Peer, theirs: Peer, rows: int) -> bool:
    lines, good, growth, times = [], True, 0, []
    for what, (messages, wanted) in ways(rows).items():
        found = {}
        for peer in (theirs, ours):
            with peer.login() as connection:
                pid = peer.process_of(connection)
                seconds, told = [], None
                with open(f"/proc/{pid}/clear_refs", "w") as file:
                    file.write("5")
                before = status_bytes(pid, "VmRSS")
                for _ in range(ROUNDS):
                    answers = []
                    seconds.append(timed(lambda: answers.append(drained(connection, *messages))))
                    total, told = answers[0]
                found[peer] = median(seconds)
                peak = status_bytes(pid, "VmHWM")
            good &= told == wanted
            growth = max(growth, peak - before) if peer is ours else growth
            lines.append([what, peer.name, f"{found[peer]:.2f} s", f"{rows / found[peer] / 1e6:.2f} M/s",
                          f"{total / found[peer] / 1e6:.0f} MB/s", f"{found[peer] / found[theirs]:.2f}", mib(before), mib(peak),
                          "right" if told == wanted else f"WRONG: {told}"])
            progress(f"{what}, {peer.name}: {found[peer]:.2f} s")
        times.append(found[ours] / found[theirs])
    table(f"{rows:,} rows ({ROUNDS} rounds, medians)",
          ["", "", "time", "rows", "bytes", "to PostgreSQL's time", "memory before", "peak", "count"], lines)
    print(f"COPY in binary at most {PASSING_TIMES} times PostgreSQL's: {times[0]:.2f}, {verdict(times[0] <= PASSING_TIMES)}")
    print(f"memory that does not grow with the rows: {mib(growth)} more at the peak, {verdict(growth <= GROWTH_BYTES)}")
    return good


def fetching(ours: Peer, theirs: Peer, rows: int) -> bool:
    lines, good = [], True
    for binary in (False, True):
        arrived = {peer.name: [] for peer in (theirs, ours)}

        def fetch(peer):
            def action(_):
                nonlocal good
                with peer.connect() as connection:
                    begun = time.perf_counter()
                    cursor = connection.cursor(binary=binary).execute(f"SELECT * FROM long LIMIT {rows}")
                    # By now libpq has all rows; what follows makes objects of them, and asks the server for nothing.
                    arrived[peer.name].append(time.perf_counter() - begun)
                    good &= len(cursor.fetchall()) == rows
            return action

        seconds = in_turn(ROUNDS, **{peer.name: fetch(peer) for peer in (theirs, ours)})
        base, base_arrived = median(seconds["PostgreSQL"]), median(arrived["PostgreSQL"])
        form = "binary" if binary else "text"
        for name, taken in seconds.items():
            # in_turn warms up with a round that it does not count.
            own = [whole - until for whole, until in zip(taken, arrived[name][-len(taken):])]
            lines.append([form, name, f"{median(taken):.2f} s", f"{median(taken) / base:.2f}", f"{median(arrived[name]):.2f} s",
                          f"{median(arrived[name]) / base_arrived:.2f}", f"{median(own):.2f} s", f"{median(own) / base:.2f}"])
    table(f"psycopg's fetchall of {rows:,} rows ({ROUNDS} rounds in turn)",
          ["", "", "median", "to PostgreSQL's", "until all rows are there", "to PostgreSQL's", "objects of Python's", "to PostgreSQL's whole"], lines)
    times, least = median(seconds["Polder"]) / base, float(lines[-2][-1])
    print(f"in binary at most {PASSING_TIMES} times PostgreSQL's: {times:.2f}, {verdict(times <= PASSING_TIMES)}; "
          f"a server that took no time at all would come to {least:.2f}")
    return good


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="that pass by COPY and SELECT (default %(default)s)")
    parser.add_argument("--fetched", type=int, default=FETCHED, help="rows that psycopg fetches (default %(default)s)")
    parser.add_argument("--parts", type=choice(PARTS), default=",".join(PARTS), help="default %(default)s")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    good = True
    with peers.Postgres(f"max_connections={CONNECTIONS + 50}") as running, polder.Server() as server:
        ours, theirs = polder_peer(server), postgres_peer(running)
        for peer in (ours, theirs):
            make_tables(peer, options.rows if "rows" in options.parts else 0)
        if "idle" in options.parts:
            # Others would have left room behind, in which these have their place.
            with polder.Server() as quiet:
                alone = polder_peer(quiet)
                make_tables(alone, 0)
                idle(alone, theirs, quiet, running)
        if "trips" in options.parts:
            trips(ours, theirs)
        if "crowd" in options.parts:
            good &= crowd(ours, theirs)
        if "rows" in options.parts:
            good &= passing(ours, theirs, options.rows)
            good &= fetching(ours, theirs, min(options.fetched, options.rows))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
