"""`kill -9` of the server while clients of PostgreSQL's protocol commit: all of a transaction or nothing of it."""

import random
import threading
import time

import psycopg

import peers
import polder
from test_postgres_psycopg import address

WRITERS = 4
KILLS = 5
COPIED = 30
MADE = 40
PARTS = {"small": 1, "copied": COPIED, "made": MADE}


class Writer(threading.Thread):
    """Commits one transaction after the other until the server is gone, and remembers what came of each."""

    def __init__(self, server, number: int, first: int):
        super().__init__(daemon=True)
        self.connection = psycopg.connect(**address(server))
        self.number, self.next = number, first
        self.acknowledged, self.refused, self.failure = set(), set(), None

    def run(self):
        while True:
            n, self.next = self.next, self.next + 1
            try:
                try:
                    self.work(n)
                    self.acknowledged.add((self.number, n))
                except psycopg.errors.SerializationFailure:
                    self.refused.add((self.number, n))
                    self.connection.rollback()
            except Exception as error:
                # A connection that is gone is what this is about.
                self.failure = None if self.connection.closed else error
                return

    def work(self, n: int) -> None:
        """A row, a row changed, rows by COPY, and rows that make a file, in one transaction."""
        with self.connection.cursor() as cursor:
            cursor.execute("INSERT INTO small VALUES (%s, %s, 0)", [self.number, n])
            cursor.execute(f"UPDATE counter_{self.number} SET n = n + 1")
            with cursor.copy("COPY copied FROM STDIN") as copy:
                for k in range(COPIED):
                    copy.write_row((self.number, n, k))
            cursor.execute("INSERT INTO made SELECT %s, %s, value FROM generate_series(1, %s) AS s(value)", [self.number, n, MADE])
        self.connection.commit()


def made_of(connection) -> dict:
    """Of each part the transactions whose rows are there; all of its rows, each once."""
    there = {}
    for part, size in PARTS.items():
        counts = connection.execute(f"SELECT worker, n, count(*), count(DISTINCT k) FROM {part} GROUP BY worker, n").fetchall()
        assert all(rows == different == size for _, _, rows, different in counts), (part, counts)
        there[part] = {(worker, n) for worker, n, _, _ in counts}
    return there


def test_kill_in_the_middle_of_commits(fresh):
    """`kill -9` again and again: each transaction is there with all of its parts or with none."""
    server = fresh()
    server.start()
    client = server.client()
    for part in PARTS:
        client.sql(f"CREATE TABLE {part} (worker bigint, n bigint, k bigint)")
    for number in range(WRITERS):
        client.sql(f"CREATE TABLE counter_{number} (n bigint)")
        client.sql(f"INSERT INTO counter_{number} VALUES (0)")
    acknowledged, refused, sent, first = set(), set(), set(), 0
    chance = random.Random(13)
    for _ in range(KILLS):
        writers = [Writer(server, number, first) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(0.5, 2.0))
        server.kill()
        for writer in writers:
            writer.join(polder.SOON_SECONDS)
            assert not writer.is_alive() and writer.failure is None, writer.failure
            acknowledged |= writer.acknowledged
            refused |= writer.refused
            sent |= {(writer.number, n) for n in range(first, writer.next)}
        first = max(writer.next for writer in writers)
        server.start()
        with psycopg.connect(**address(server), autocommit=True) as connection:
            parts = made_of(connection)
            there = parts["small"]
            assert all(part == there for part in parts.values()), "half of a transaction is there"
            assert acknowledged <= there <= sent, f"lost: {sorted(acknowledged - there)[:10]}"
            assert not there & refused, f"refused and yet there: {sorted(there & refused)[:10]}"
            # At most the one in flight of each writer and kill is there without having been acknowledged.
            assert len(there - acknowledged) <= WRITERS * KILLS
            for number in range(WRITERS):
                counted = connection.execute(f"SELECT n FROM counter_{number}").fetchall()
                assert counted == [(sum(1 for worker, _ in there if worker == number),)]
    assert len(acknowledged) > WRITERS * KILLS, "hardly anything was written"
    with_duckdb = peers.connect_duckdb()
    peers.attach(with_duckdb, server.data)
    assert set(with_duckdb.sql("SELECT worker, n FROM small").fetchall()) == there
    print(f"{len(acknowledged)} acknowledged transactions survived {KILLS} kills")
