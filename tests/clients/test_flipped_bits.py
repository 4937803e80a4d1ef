"""One bit is another one: in a data file, in a delete file, in the metastore. `polder check` names the file, and so does a
query that stumbles over it."""

import pathlib
import re
import sqlite3
import time

import psycopg
import pytest

import peers
import polder

ROWS = 20_000
REGIONS = ("magic", "page", "footer", "footer length", "footer length, high", "end")
# What is read first, and never without an error.
STRUCTURE = ("footer length", "footer length, high", "end")


def flip(path: pathlib.Path, offset: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def offset_of(path: pathlib.Path, region: str) -> int:
    """A byte of a region of a Parquet file: magic, pages, footer, the footer's length, magic."""
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little")
    return {
        "magic": 1,
        "page": (len(content) - 8 - footer) // 2,
        "footer": len(content) - 8 - footer // 2,
        "footer length": len(content) - 7,
        # A footer longer than the file.
        "footer length, high": len(content) - 5,
        "end": len(content) - 2,
    }[region]


def parquet_files(server) -> set:
    return set((server.data / "tables").rglob("*.parquet"))


def prepare(server) -> tuple:
    """A stopped server with a sound table and one of one data file and one delete file: both files' paths."""
    client = polder.Client(server.url)
    client.sql("CREATE TABLE sound AS SELECT value AS n FROM generate_series(1, 100) AS s(value)")
    before = parquet_files(server)
    client.sql(f"CREATE TABLE harmed AS SELECT value AS n, 'word ' || value AS word FROM generate_series(1, {ROWS}) AS s(value)")
    data, = parquet_files(server) - before
    client.sql("DELETE FROM harmed WHERE n % 3 = 0")
    delete, = parquet_files(server) - before - {data}
    server.stop()
    return data, delete


@pytest.fixture
def server(fresh):
    made = fresh(None, "--auth", "trust")
    made.start()
    return made


@pytest.mark.parametrize("which", ["data", "delete"])
@pytest.mark.parametrize("region", REGIONS)
def test_a_query_names_the_file(server, which, region):
    """Parquet's structure tells a harmed footer at once. A harmed page may still decode; then only its checksum tells."""
    path = prepare(server)[which == "delete"]
    flip(path, offset_of(path, region))
    server.start()
    client = polder.Client(server.url)
    left = [n for n in range(1, ROWS + 1) if n % 3]
    words = [f"word {n}" for n in left]
    query = "SELECT count(*) AS n, sum(n) AS total, min(word) AS low, max(word) AS high FROM harmed"
    try:
        answer = client.sql(query)
    except polder.Failed as error:
        assert path.name in error.message, error.message
        assert error.kind == "corrupt", vars(error)
    except polder.requests.RequestException as error:
        pytest.fail(f"no answer: {error}; {server.log()[-2000:]}")
    else:
        assert region not in STRUCTURE, "a harmed structure was read without an error"
        # Of a page that still decodes, its file's checksum tells alone, which queries do not verify.
        assert region == "page" or answer == [{"n": len(left), "total": sum(left), "low": min(words), "high": max(words)}]
    assert client.value("SELECT sum(n) AS n FROM sound") == 5050
    # The reader of Parquet panics at some numbers; that ends the statement alone.
    assert server.process.poll() is None and (region == "footer length, high" or "panicked" not in server.log())


@pytest.mark.parametrize("region", STRUCTURE)
def test_a_change_names_the_file(server, region):
    """UPDATE and DELETE read files, too. The change is refused, and nothing is changed."""
    data, _ = prepare(server)
    flip(data, offset_of(data, region), bit=3)
    server.start()
    client = polder.Client(server.url)
    for sql in ("UPDATE harmed SET word = 'x' WHERE n > 10", "DELETE FROM harmed WHERE word = 'word 5'"):
        with pytest.raises(polder.Failed) as caught:
            client.sql(sql)
        assert data.name in caught.value.message and caught.value.kind == "corrupt", vars(caught.value)
    flip(data, offset_of(data, region), bit=3)
    expected = ROWS - ROWS // 3
    assert client.value("SELECT count(*) AS n FROM harmed WHERE word = 'word ' || n") == expected


@pytest.mark.parametrize("which", ["data", "delete"])
@pytest.mark.parametrize("region", REGIONS)
def test_check_names_the_file(server, which, region):
    """Every byte counts for the checksum, so every flipped bit is found."""
    path = prepare(server)[which == "delete"]
    sound = server.cli("check")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    flip(path, offset_of(path, region))
    found = server.cli("check")
    words = (found.stdout + found.stderr).decode()
    assert found.returncode == 1, words
    assert path.name in words and "harmed" in words, words
    flip(path, offset_of(path, region))
    assert server.cli("check").returncode == 0


def test_check_finds_a_missing_file(server):
    data, _ = prepare(server)
    data.rename(data.with_suffix(".away"))
    found = server.cli("check")
    assert found.returncode == 1 and data.name in (found.stdout + found.stderr).decode()


def metastore_page(path: pathlib.Path, table: str) -> tuple:
    """(offset of the root page of a table, size of a page)"""
    con = sqlite3.connect(path)
    try:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size, = con.execute("PRAGMA page_size").fetchone()
        root, = con.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", [table]).fetchone()
        return (root - 1) * size, size
    finally:
        con.close()


# The first byte of a page says what kind it is; the first bytes of the file, that it is a database.
PLACES = ("header", "ducklake_snapshot", "ducklake_data_file", "ducklake_table")


@pytest.mark.parametrize("place", PLACES)
def test_a_harmed_metastore_names_itself(server, place):
    """The server refuses to start on it, or the first query says so: never an empty lake."""
    prepare(server)
    path = server.data / "metastore.sqlite"
    offset = 3 if place == "header" else metastore_page(path, place)[0]
    flip(path, offset, bit=4)
    server.launch()
    if server.wait_ready():
        with pytest.raises(polder.Failed) as caught:
            polder.Client(server.url).sql("SELECT count(*) AS n FROM harmed")
        words = f"{caught.value.message} {caught.value.hint}"
        assert caught.value.kind == "corrupt", vars(caught.value)
    else:
        words = server.log()
        assert server.process.returncode == 1, words
    assert "metastore.sqlite" in words, words
    assert not re.search("panicked", server.log())
    server.kill()
    flip(path, offset, bit=4)
    server.start()
    assert polder.Client(server.url).value("SELECT sum(n) AS n FROM sound") == 5050


@pytest.mark.parametrize("place", PLACES)
def test_check_finds_a_harmed_metastore(server, place):
    prepare(server)
    path = server.data / "metastore.sqlite"
    offset = 3 if place == "header" else metastore_page(path, place)[0]
    flip(path, offset, bit=4)
    found = server.cli("check")
    words = (found.stdout + found.stderr).decode()
    assert found.returncode == 1 and "metastore.sqlite" in words, words


def run_scrub(client) -> dict:
    run_id = client.sql("RUN JOB scrub")[0]["run_id"]
    deadline = time.monotonic() + polder.SOON_SECONDS
    while time.monotonic() < deadline:
        run = client.get(f"/runs/{run_id}")
        if run["state"] in ("done", "failed"):
            return run
        time.sleep(0.05)
    raise TimeoutError(f"the scrub is {run['state']}")


def test_the_scrub_finds_a_harmed_metastore(server):
    """Nobody asks for this page: it has nothing on it."""
    prepare(server)
    path = server.data / "metastore.sqlite"
    offset, _ = metastore_page(path, "ducklake_file_variant_stats")
    flip(path, offset, bit=4)
    server.start()
    run = run_scrub(polder.Client(server.url))
    assert run["state"] == "failed" and "metastore.sqlite" in run["error"]["message"], run
    server.stop()
    flip(path, offset, bit=4)
    server.start()
    assert run_scrub(polder.Client(server.url))["state"] == "done"


def test_a_check_finds_a_harmed_page_of_postgres(fresh):
    """With data checksums, PostgreSQL does not read a page that is not as it was written: a bit inside of a small row here."""
    with peers.Postgres() as postgres:
        address, of_duckdb = postgres.database()
        server = fresh(None, "--auth", "trust", "--metastore", address)
        server.start()
        client = polder.Client(server.url)
        client.sql("CREATE TABLE small (word text)")
        client.sql("INSERT INTO small VALUES ('a word of its own')")
        server.stop()
        with psycopg.connect(of_duckdb) as con:
            file, = con.execute("SELECT pg_relation_filepath(relname::regclass) FROM pg_class WHERE relname LIKE 'ducklake\\_inlined\\_data\\_%' "
                                "AND relname <> 'ducklake_inlined_data_tables' AND relkind = 'r'").fetchone()
        postgres.stop()
        path = postgres.folder / "data" / file
        flip(path, path.read_bytes().index(b"a word of its own"), bit=2)
        postgres.start()
        server.start()
        client = polder.Client(server.url)
        run = run_scrub(client)
        assert run["state"] == "failed" and "ducklake_inlined_data" in run["error"]["message"], run
        assert any("ducklake_inlined_data" in row["problem"] for row in client.sql("CHECK TABLES"))
        server.stop()
