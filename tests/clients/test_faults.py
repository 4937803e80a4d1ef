"""Deaths at any instant: what was acknowledged is there, once; what was not is there whole or not at all."""

import itertools
import random
import shutil
import threading
import time

import psycopg
import pytest
import requests

import peers
import polder

WRITERS = 4
KILLS = 6
# A commit has fewer statements than this; more means that the points are passed without end.
POINTS_MAX = 200


def start_somewhere(server):
    """Starts the server; a fault may strike before it is ready."""
    server.launch()
    return server.wait_ready()


class Writer(threading.Thread):
    """Inserts one row after the other and remembers which were acknowledged."""

    def __init__(self, server, number: int, first: int):
        super().__init__(daemon=True)
        self.client = server.client()
        self.number = number
        self.next = first
        self.acknowledged = []
        self.refused = []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            row, self.next = self.next, self.next + 1
            try:
                self.client.sql(f"INSERT INTO kept VALUES ({self.number}, {row})")
                self.acknowledged.append(row)
            except polder.Failed as error:
                # A conflict or a busy server: the row must not be there.
                self.refused.append((row, error))
            except requests.RequestException:
                return


def test_kill_during_inserts(fresh):
    """`kill -9` again and again while four writers insert."""
    server = fresh()
    server.start()
    server.client().sql("CREATE TABLE kept (writer bigint, n bigint)")
    acknowledged, refused, sent = set(), set(), set()
    first = 0
    chance = random.Random(7)
    for _ in range(KILLS):
        writers = [Writer(server, number, first) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(0.2, 1.2))
        server.kill()
        for writer in writers:
            writer.stopping.set()
            writer.join(polder.SOON_SECONDS)
            assert not writer.is_alive()
            acknowledged |= {(writer.number, row) for row in writer.acknowledged}
            refused |= {(writer.number, row) for row, _ in writer.refused}
            sent |= {(writer.number, row) for row in range(first, writer.next)}
        first = max(writer.next for writer in writers)
        server.start()
        rows = [(row["writer"], row["n"]) for row in server.client().sql("SELECT writer, n FROM kept")]
        assert len(rows) == len(set(rows)), "a row is there twice"
        there = set(rows)
        assert acknowledged <= there, f"lost: {sorted(acknowledged - there)[:10]}"
        assert there <= sent
        assert not there & refused, f"refused and yet there: {sorted(there & refused)[:10]}"
        # At most the one row in flight of each writer and kill is there without having been acknowledged.
        assert len(there - acknowledged) <= WRITERS * KILLS
    assert len(acknowledged) > WRITERS * KILLS, "hardly anything was written"
    with_duckdb = peers.connect_duckdb()
    peers.attach(with_duckdb, server.data)
    assert set(with_duckdb.sql("SELECT writer, n FROM kept").fetchall()) == there
    print(f"{len(acknowledged)} acknowledged inserts survived {KILLS} kills")


TRANSACTION = """
BEGIN;
CREATE TABLE made AS SELECT value AS id FROM generate_series(1, 3000) AS s(value);
CREATE TABLE small (id bigint, word text);
INSERT INTO small VALUES (1, 'a'), (2, 'b');
INSERT INTO first SELECT value + 10000 FROM generate_series(1, 3000) AS s(value);
UPDATE first SET id = id + 100000 WHERE id <= 5;
DELETE FROM second WHERE id = 2;
ALTER TABLE third RENAME TO renamed;
COMMIT
"""

STATE = {
    "first": "SELECT count(*), sum(id) FROM first",
    "second": "SELECT count(*), sum(id) FROM second",
    "third": "SELECT count(*), sum(id) FROM third",
    "renamed": "SELECT count(*), sum(id) FROM renamed",
    "made": "SELECT count(*), sum(id) FROM made",
    "small": "SELECT count(*), sum(id) FROM small",
}


def prepare(server):
    client = server.client()
    client.sql("CREATE TABLE first AS SELECT value AS id FROM generate_series(1, 3000) AS s(value)")
    client.sql("CREATE TABLE second (id bigint)")
    client.sql("INSERT INTO second VALUES (1), (2), (3)")
    client.sql("CREATE TABLE third (id bigint)")
    client.sql("INSERT INTO third VALUES (7)")


def seen_by_polder(server) -> dict:
    client, seen = server.client(), {}
    for name, sql in STATE.items():
        try:
            seen[name] = tuple(client.sql(sql)[0].values())
        except polder.Failed as error:
            assert error.kind == "not_found", error
            seen[name] = None
    return seen


def seen_by_duckdb(data, metastore=None) -> dict:
    con, seen = peers.connect_duckdb(), {}
    peers.attach(con, data, metastore)
    for name, sql in STATE.items():
        try:
            seen[name] = con.sql(sql).fetchall()[0]
        except peers.duckdb.CatalogException:
            seen[name] = None
    con.close()
    return seen


@pytest.mark.parametrize("metastore", ["sqlite", "postgres"])
@pytest.mark.parametrize("point", ["commit.statement", "commit.begin", "commit.before_commit", "commit.after_commit",
                                   "file.before_sync", "file.after_sync"])
def test_die_at_every_point(fresh, tmp_path, request, metastore, point):
    """Dies at the first, second, … passing of a fault point until a transaction gets through."""
    postgres = request.getfixturevalue("postgres") if metastore == "postgres" else None
    original = postgres.database()[0] if postgres else None
    template = fresh(tmp_path / "template", *(["--metastore", original] if postgres else []))
    template.start()
    prepare(template)
    before = seen_by_polder(template)
    template.stop()

    after = None
    deaths = whole = 0
    # Starting on PostgreSQL takes longer, and the order of the statements is the same: every third passing is enough there.
    for n in itertools.count(1, 3 if postgres else 1):
        assert n <= POINTS_MAX, f"{point} is passed more than {POINTS_MAX} times"
        data = tmp_path / f"run-{n}"
        shutil.copytree(template.data, data)
        address, of_duckdb = postgres.database(original) if postgres else (None, None)
        arguments = ["--metastore", address] if postgres else []
        server = fresh(data, *arguments, env={"POLDER_FAULT": f"{point}:{n}"})
        passed = False
        if start_somewhere(server):
            try:
                server.client().sql(TRANSACTION)
                passed = True
            except (requests.RequestException, polder.Failed):
                assert server.process.wait(polder.SOON_SECONDS) != 0
        fired = f"fault point {point}" in server.log()
        if not passed:
            assert fired, server.log()[-3000:]
        server.kill()
        server.env = {}
        server.start()
        seen = seen_by_polder(server)
        assert seen_by_duckdb(server.data, of_duckdb) == seen, f"DuckDB reads something else after a death at {point}:{n}"
        if passed:
            after = after or seen
            assert seen == after and seen != before
        elif seen != before:
            # The commit was durable, only its acknowledgement was lost. It must be the whole of it.
            whole += 1
            assert seen["made"] == (3000, 4501500), seen
            assert seen["renamed"] is not None and seen["third"] is None
        server.client().sql("INSERT INTO second VALUES (99)")
        server.stop()
        shutil.rmtree(data)
        if passed and not fired:
            break
        deaths += 1
    assert deaths > 0, f"{point} is never passed"
    print(f"{point}: {deaths} deaths, {whole} of them after the commit was durable")


def inserter(server, way):
    """What inserts a row into `kept` by itself, and returns when it is acknowledged."""
    if way == "http":
        client = server.client()
        return lambda row: client.sql(f"INSERT INTO kept VALUES ({row})")
    host, port = server.postgres.rsplit(":", 1)
    known = server.credentials
    connection = psycopg.connect(host=host, port=port, user=known["user"], password=known["password"], dbname="polder", autocommit=True)
    return lambda row: connection.execute("INSERT INTO kept VALUES (%s)", [row])


@pytest.mark.parametrize("way", ["http", "postgres"])
@pytest.mark.parametrize(("point", "times", "is_there"), [
    ("commit.here.statement", 14, False), ("commit.here.before_commit", 3, False), ("commit.here.after_commit", 3, True)])
def test_die_in_a_commit_by_the_thread_that_asks_for_it(fresh, way, point, times, is_there):
    """An INSERT of constants takes a way of its own: it dies at the first, second, … passing of each of its points."""
    server = fresh()
    server.start()
    server.client().sql("CREATE TABLE kept (n bigint)")
    expected, row = [], 0
    for n in range(1, times + 1):
        server.stop()
        server.env = {"POLDER_FAULT": f"{point}:{n}"}
        server.start()
        insert = inserter(server, way)
        with pytest.raises((requests.RequestException, psycopg.OperationalError)):
            # Each passes every point at least once.
            for _ in range(n + 1):
                row += 1
                insert(row)
                expected.append(row)
        assert server.process.wait(polder.SOON_SECONDS) != 0
        assert f"fault point {point}" in server.log()
        if is_there:
            expected.append(row)
        server.kill()
        server.env = {}
        server.start()
        assert [there["n"] for there in server.client().sql("SELECT n FROM kept ORDER BY n")] == expected, f"{point}:{n}"
    con = peers.connect_duckdb()
    peers.attach(con, server.data)
    assert con.sql("SELECT n FROM kept ORDER BY n").fetchall() == [(row,) for row in expected]


def test_a_load_dies_whole(fresh, tmp_path):
    """A load killed at any time leaves all of its rows or none, and can be done again."""
    source = tmp_path / "numbers.csv"
    source.write_text("id,word\n" + "".join(f"{n},word {n}\n" for n in range(200_000)))
    server = fresh()
    server.start()
    chance = random.Random(3)
    for attempt in range(5):
        client = server.client()
        client.post("/loads", json={"sources": [str(source)], "into": f"numbers_{attempt}"})
        time.sleep(chance.uniform(0.0, 0.4))
        server.kill()
        server.start()
        client = server.client()
        there = client.value(f"SELECT count(*) AS n FROM polder.tables WHERE table_name = 'numbers_{attempt}'")
        if there:
            assert client.value(f"SELECT count(*) AS n FROM numbers_{attempt}") == 200_000
        else:
            assert server.load(source, "--into", f"numbers_{attempt}")["tables"][0]["rows_loaded"] == 200_000


def test_a_locked_directory_is_free_after_a_kill(fresh):
    server = fresh()
    server.start()
    server.kill()
    server.start()
    assert server.client().value("SELECT 1 AS one") == 1
