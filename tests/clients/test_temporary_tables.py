"""Temporary tables: seen by one session, gone with it, and gone after a crash."""

import contextlib
import sqlite3
import time

import psycopg
import pytest

from test_postgres_psycopg import address

WAIT_SECONDS = 20


def connect(server, **more):
    return psycopg.connect(**address(server, **more), autocommit=True)


def schemas(connection):
    """The schemas of temporary tables, as somebody sees them who looks past the sessions."""
    rows = connection.execute("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'pg_temp%'").fetchall()
    return [name for (name,) in rows]


def lake_schemas(server):
    """The schemas of the lake, as they stand in the metastore."""
    with contextlib.closing(sqlite3.connect(f"file:{server.data / 'metastore.sqlite'}?mode=ro", uri=True, timeout=WAIT_SECONDS)) as catalog:
        return {name for (name,) in catalog.execute("SELECT schema_name FROM ducklake_schema WHERE end_snapshot IS NULL")}


def gone(server, name):
    """Whether nobody, not even DuckDB, finds the schema any more, within a while."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        if name not in lake_schemas(server):
            return True
        time.sleep(0.05)
    return False


def test_others_do_not_see_them(server):
    with connect(server) as one, connect(server) as other:
        one.execute("CREATE TEMP TABLE seen (id INT)")
        one.execute("INSERT INTO seen VALUES (1)")
        (own,) = schemas(one)
        assert schemas(other) == []
        with pytest.raises(psycopg.errors.UndefinedTable):
            other.execute("SELECT * FROM seen")
        with pytest.raises((psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege)):
            other.execute(f"SELECT * FROM {own}.seen")
        with pytest.raises((psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege)):
            other.execute(f"INSERT INTO {own}.seen VALUES (2)")
        with pytest.raises((psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege)):
            other.execute(f"DROP TABLE {own}.seen")
        assert other.execute("SELECT count(*) FROM polder.tables WHERE table_name = 'seen'").fetchone() == (0,)
        # One of the same name is another table.
        other.execute("CREATE TEMP TABLE seen (text TEXT)")
        other.execute("INSERT INTO seen VALUES ('a'), ('b')")
        assert one.execute("SELECT count(*) FROM seen").fetchone() == (1,)
        assert other.execute("SELECT count(*) FROM seen").fetchone() == (2,)


def test_they_go_with_the_session(server):
    with connect(server) as connection:
        connection.execute("CREATE TEMP TABLE brief AS SELECT 1 AS id")
        (own,) = schemas(connection)
        assert own in lake_schemas(server)
    assert gone(server, own)


def test_they_go_after_a_crash(fresh):
    server = fresh()
    server.start()
    connection = connect(server)
    connection.execute("CREATE TEMP TABLE brief AS SELECT 1 AS id")
    connection.execute("CREATE TABLE kept AS SELECT 2 AS id")
    (own,) = schemas(connection)
    server.kill()
    connection.close()
    assert own in lake_schemas(server)
    server.start()
    assert own not in lake_schemas(server)
    with connect(server) as again:
        assert again.execute("SELECT id FROM kept").fetchone() == (2,)


def test_rolled_back_they_were_never_there(server):
    with connect(server) as connection:
        with pytest.raises(ZeroDivisionError), connection.transaction():
            connection.execute("CREATE TEMP TABLE undone (id INT)")
            raise ZeroDivisionError
        assert schemas(connection) == []
        connection.execute("CREATE TEMP TABLE undone (id INT)")
        assert connection.execute("SELECT count(*) FROM undone").fetchone() == (0,)


def test_a_view_that_stays_cannot_stand_on_one(server):
    with connect(server) as connection:
        connection.execute("CREATE TEMP TABLE below (id INT)")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="temporary"):
            connection.execute("CREATE VIEW above AS SELECT * FROM below")
