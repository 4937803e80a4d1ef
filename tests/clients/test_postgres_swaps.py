"""Tables put in each other's place, as dbt does it: readers of both protocols, and DuckDB, see one or the other, always one."""

import itertools
import threading
import time

import duckdb
import psycopg
import pytest
from psycopg.pq import TransactionStatus

import peers
import polder
from test_postgres_psycopg import address
from witnesses import wait_until

NUMBERS = itertools.count(1)
ROWS = 500
SWAPS = 20


@pytest.fixture
def connect(server):
    opened = []

    def make():
        opened.append(psycopg.connect(**address(server), autocommit=True))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


class Reader(threading.Thread):
    """Reads the table and the list of tables again and again."""

    def __init__(self, name: str):
        super().__init__(daemon=True)
        self.table = name
        self.seen, self.failure = [], None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.look()
        except Exception as error:
            self.failure = error

    def look(self) -> None:
        ((rows, first, last),) = self.ask(f"SELECT count(*) AS n, min(generation) AS a, max(generation) AS b FROM {self.table}")
        assert (rows, first) == (ROWS, last), (rows, first, last)
        assert not self.seen or self.seen[-1] <= first, "an older table came back"
        self.seen.append(first)
        names = {name for (name,) in self.ask(f"SELECT table_name FROM information_schema.tables WHERE table_name LIKE '{self.table}%'")}
        assert names in ({self.table}, {self.table, f"{self.table}__dbt_backup"}), names

    def ask(self, sql: str) -> list:
        raise NotImplementedError


class PostgresReader(Reader):
    def __init__(self, name: str, connection):
        super().__init__(name)
        self.connection = connection

    def ask(self, sql):
        return self.connection.execute(sql).fetchall()


class PatientReader(PostgresReader):
    """What it reads in one transaction stays what it was, though it is swapped and dropped meanwhile."""

    def look(self):
        with self.connection.transaction():
            super().look()
            before = self.seen[-1]
            time.sleep(0.05)
            super().look()
            assert self.seen[-1] == before, "the table changed within a transaction"


class HttpReader(Reader):
    def __init__(self, name: str, client):
        super().__init__(name)
        self.client = client

    def ask(self, sql):
        return [tuple(row.values()) for row in self.client.sql(sql)]


class DuckDbReader(Reader):
    """DuckDB, which has the lake attached and asks nobody else."""

    def __init__(self, name: str, server):
        super().__init__(name)
        self.con = peers.connect_duckdb()
        peers.attach(self.con, server.data)

    def ask(self, sql):
        deadline = time.monotonic() + polder.SOON_SECONDS
        while True:
            try:
                return self.con.execute(sql.replace("information_schema.tables", "(SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake') t")).fetchall()
            except duckdb.Error as error:
                # The metastore is one file, which the server may be writing to.
                if "lock" not in str(error).lower() or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


def swap(connection, name: str, generation: int) -> None:
    """As dbt-postgres puts a table in another one's place."""
    connection.execute("BEGIN")
    connection.execute(f"CREATE TABLE {name}__dbt_tmp AS (SELECT {generation}::bigint AS generation, value "
                       f"FROM generate_series(1, {ROWS}) AS s(value))")
    connection.execute(f"ALTER TABLE {name} RENAME TO {name}__dbt_backup")
    connection.execute(f"ALTER TABLE {name}__dbt_tmp RENAME TO {name}")
    connection.execute("COMMIT")
    connection.execute(f"DROP TABLE IF EXISTS {name}__dbt_backup CASCADE")


def test_a_swap_is_seen_whole_by_everybody(server, connect):
    name = f"swapped_{next(NUMBERS)}"
    writer = connect()
    writer.execute(f"CREATE TABLE {name} AS SELECT 0::bigint AS generation, value FROM generate_series(1, {ROWS}) AS s(value)")
    readers = [PostgresReader(name, connect()), PatientReader(name, connect()), HttpReader(name, server.client()), DuckDbReader(name, server)]
    for reader in readers:
        reader.start()
    for generation in range(1, SWAPS + 1):
        swap(writer, name, generation)
        time.sleep(0.02)
    # Each of them has to see the last one too.
    for reader in readers:
        wait_until(lambda reader=reader: reader.failure or (reader.seen and reader.seen[-1] == SWAPS), "a reader stays behind")
        reader.stopping.set()
        reader.join(polder.SOON_SECONDS)
        assert not reader.is_alive() and reader.failure is None, reader.failure
        assert len(set(reader.seen)) > 2, "hardly any swap was seen"
    writer.execute(f"DROP TABLE {name}")


def test_two_swaps_at_once(connect):
    """One of them wins, the other leaves nothing behind."""
    name = f"swapped_{next(NUMBERS)}"
    one, two = connect(), connect()
    one.execute(f"CREATE TABLE {name} AS SELECT 0::bigint AS generation")
    for generation, connection in enumerate((one, two), 1):
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE {name}__dbt_tmp AS (SELECT {generation}::bigint AS generation)")
        connection.execute(f"ALTER TABLE {name} RENAME TO {name}__dbt_backup")
        connection.execute(f"ALTER TABLE {name}__dbt_tmp RENAME TO {name}")
    two.execute("COMMIT")
    with pytest.raises(psycopg.errors.SerializationFailure):
        one.execute("COMMIT")
    assert one.info.transaction_status == TransactionStatus.IDLE
    assert one.execute(f"SELECT generation FROM {name}").fetchall() == [(2,)]
    names = one.execute(f"SELECT table_name FROM information_schema.tables WHERE table_name LIKE '{name}%' ORDER BY 1").fetchall()
    assert names == [(name,), (f"{name}__dbt_backup",)]
    one.execute(f"DROP TABLE {name}; DROP TABLE {name}__dbt_backup")


def read_by(connection, view: str) -> list:
    return connection.execute(
        "SELECT DISTINCT t.relname FROM pg_class v JOIN pg_rewrite r ON r.ev_class = v.oid JOIN pg_depend d ON d.objid = r.oid "
        "JOIN pg_class t ON t.oid = d.refobjid AND t.oid <> v.oid WHERE v.relname = %s ORDER BY 1", [view]).fetchall()


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_two_tables_below_one_view_are_swapped_at_once(connect, kind):
    """As threads of dbt do it. The view follows both; the one that drops it later finds it gone, and minds it no more than PostgreSQL."""
    number = next(NUMBERS)
    names, view = [f"swapped_{number}_{side}" for side in ("a", "b")], f"above_{number}"
    connections = [connect(), connect()]
    for name in names:
        connections[0].execute(f"CREATE TABLE {name} AS SELECT 0::bigint AS generation")
    both = " UNION ALL ".join(f"SELECT generation FROM {name}" for name in names)
    connections[0].execute(f"CREATE {kind} {view} AS {both}")
    ((oid,),) = connections[0].execute("SELECT oid FROM pg_class WHERE relname = %s", [view]).fetchall()
    for connection, name in zip(connections, names):
        connection.execute("BEGIN")
        connection.execute(f"CREATE TABLE {name}__dbt_tmp AS (SELECT 1::bigint AS generation)")
        connection.execute(f"ALTER TABLE {name} RENAME TO {name}__dbt_backup")
        connection.execute(f"ALTER TABLE {name}__dbt_tmp RENAME TO {name}")
    for connection in connections:
        connection.execute("COMMIT")
    assert connections[0].execute("SELECT oid FROM pg_class WHERE relname = %s", [view]).fetchall() == [(oid,)]
    assert connections[0].execute(f"SELECT generation FROM {view}").fetchall() == [(0,), (0,)]
    assert read_by(connections[0], view) == [(f"{name}__dbt_backup",) for name in names]
    for connection, name in zip(connections, names):
        connection.execute("BEGIN")
        connection.execute(f"DROP TABLE {name}__dbt_backup CASCADE")
    for connection in connections:
        connection.execute("COMMIT")
    left = connections[0].execute("SELECT relname FROM pg_class WHERE relname LIKE %s AND relkind IN ('r', 'v', 'm') ORDER BY 1",
                                  [f"%\\_{number}%"]).fetchall()
    assert left == [(name,) for name in names]
    assert [connections[0].execute(f"SELECT generation FROM {name}").fetchall() for name in names] == [[(1,)], [(1,)]]
    connections[0].execute(f"DROP TABLE {names[0]}; DROP TABLE {names[1]}")


def test_a_view_is_renamed_while_what_it_reads_is(connect):
    number = next(NUMBERS)
    table, view = f"swapped_{number}", f"above_{number}"
    one, two = connect(), connect()
    one.execute(f"CREATE TABLE {table} AS SELECT 7 AS n")
    one.execute(f"CREATE VIEW {view} AS SELECT n FROM {table}")
    one.execute("BEGIN")
    one.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
    two.execute(f"ALTER VIEW {view} RENAME TO {view}_new")
    one.execute("COMMIT")
    assert two.execute(f"SELECT n FROM {view}_new").fetchall() == [(7,)]
    # What is put in the view's place by its text is of a name that is no more.
    one.execute("BEGIN")
    one.execute(f"ALTER TABLE {table}_old RENAME TO {table}")
    two.execute(f"CREATE OR REPLACE VIEW {view}_new AS SELECT n FROM {table}_old")
    with pytest.raises(psycopg.errors.SerializationFailure):
        one.execute("COMMIT")
    assert two.execute(f"SELECT n FROM {view}_new").fetchall() == [(7,)]
    two.execute(f"DROP TABLE {table}_old CASCADE")
