"""INSERTs of constants by themselves, which take a way of their own: what comes of one is what comes of it with a comment in it, which
the planner's parser reads and the workers carry out."""

import concurrent.futures
import threading
import time
import uuid

import polder
import psycopg
import pytest

from test_postgres_psycopg import address

TYPES = ["boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric(6, 2)", "text", "varchar(3)", "char(3)",
         "date", "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "bytea", "integer[]"]

LITERALS = ["NULL", "true", "FALSE", "0", "007", "-1", "32768", "2147483648", "9223372036854775808", "0.5", "-0.125", "12345.678", "''",
            "'a'", "'it''s'", "'äbc'", "'1'", "'-1.5'", "' 2 '", "'t'", "'NaN'", "'2026-02-30'", "'2026-01-31'", "'2026-01-31 12:00:00.5'",
            "'2026-01-31 12:00:00+02'", "'12:30'", "'1 day'", "'00000000-0000-0000-0000-00000000000a'", "'{\"a\": 1}'", "'{1,2}'", "'\\x0001'",
            "'back\\slash'"]

PARAMETERS = [None, True, 0, -5, 2**40, 0.5, -1e300, "text", "1", "2026-01-31", b"\x00\x01", uuid.UUID(int=10)]


@pytest.fixture
def connection(server):
    with psycopg.connect(**address(server), autocommit=True) as connection:
        yield connection


@pytest.fixture
def table(connection):
    name = f"i_{uuid.uuid4().hex[:12]}"
    yield name
    connection.execute(f"DROP TABLE IF EXISTS {name}")


def outcome(connection, table, text, values=None, **options):
    """The row that is there then, or the error."""
    try:
        done = connection.execute(text, values, **options)
    except psycopg.Error as error:
        return error.sqlstate, str(error).splitlines()[0]
    row = connection.execute(f"SELECT v::text FROM {table}").fetchall()
    connection.execute(f"DELETE FROM {table}")
    return done.statusmessage, row


@pytest.mark.parametrize("type_name", TYPES)
def test_a_constant_is_what_it_is_for_the_planner(connection, table, type_name):
    connection.execute(f"CREATE TABLE {table} (v {type_name})")
    for literal in LITERALS:
        text = f"INSERT INTO {table} VALUES ({literal})"
        planned = outcome(connection, table, f"INSERT INTO {table} /* planned */ VALUES ({literal})")
        assert outcome(connection, table, text) == planned, text


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("binary", [False, True])
def test_a_parameter_is_what_it_is_for_the_planner(connection, table, type_name, binary):
    connection.execute(f"CREATE TABLE {table} (v {type_name})")
    for value in PARAMETERS:
        text = f"INSERT INTO {table} (v) VALUES (%b)" if binary else f"INSERT INTO {table} (v) VALUES (%t)"
        planned = outcome(connection, table, text.replace(" VALUES", " /* planned */ VALUES"), (value,))
        for _ in range(2):
            assert outcome(connection, table, text, (value,), prepare=True) == planned, (text, value)


def test_what_a_table_asks_of_its_rows_is_kept(connection, table):
    connection.execute(f"CREATE TABLE {table} (id bigint PRIMARY KEY, n integer NOT NULL CHECK (n > 0), w text DEFAULT 'd')")
    connection.execute(f"INSERT INTO {table} VALUES (1, 1)")
    for text, code in [("(1, 2)", "23505"), ("(2, NULL)", "23502"), ("(2, 0)", "23514"), ("(2, 1, 'a', 'b')", "42601")]:
        with pytest.raises(psycopg.Error) as refused:
            connection.execute(f"INSERT INTO {table} VALUES {text}")
        assert refused.value.sqlstate == code, text
    assert connection.execute(f"SELECT * FROM {table}").fetchall() == [(1, 1, "d")]


def test_only_who_may_insert_does(server, connection, table):
    connection.execute(f"CREATE TABLE {table} (a bigint, b bigint)")
    user = f"u_{uuid.uuid4().hex[:8]}"
    connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'long enough 1'")
    with psycopg.connect(**address(server, user=user, password="long enough 1"), autocommit=True) as other:
        insert = f"INSERT INTO {table} (a) VALUES (1)"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(insert)
        connection.execute(f"GRANT INSERT (a) ON {table} TO {user}")
        other.execute(insert)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(f"INSERT INTO {table} VALUES (1, 2)")
        connection.execute(f"REVOKE INSERT (a) ON {table} FROM {user}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            other.execute(insert)
    assert connection.execute(f"SELECT * FROM {table}").fetchall() == [(1, None)]
    connection.execute(f"DROP ROLE {user}")


def test_an_open_transaction_and_a_session_that_reads_are_respected(connection, table):
    connection.execute(f"CREATE TABLE {table} (v bigint)")
    insert = f"INSERT INTO {table} VALUES (1)"
    connection.execute("BEGIN")
    connection.execute(insert)
    connection.execute("ROLLBACK")
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute(insert)
    connection.execute("SET default_transaction_read_only = off")
    connection.execute(f"CREATE TEMPORARY TABLE {table} (v bigint)")
    connection.execute(insert)
    assert connection.execute(f"SELECT count(*) FROM public.{table}").fetchone() == (0,)
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
    connection.execute(f"DROP TABLE {table}")


def test_the_record_and_the_history_tell_of_it(server, connection, table):
    connection.execute(f"CREATE TABLE {table} (v bigint, w text)")
    insert = f"INSERT INTO {table} VALUES (1, 'it''s'), (-2, NULL)"
    server.client().sql(insert)
    told = "SELECT message FROM polder.snapshots ORDER BY snapshot DESC LIMIT 1"
    assert connection.execute(told).fetchone() == (insert,)
    ran = "SELECT state, rows_changed FROM polder.queries WHERE sql = %s"
    deadline = time.monotonic() + polder.SOON_SECONDS
    while not (found := connection.execute(ran, (insert,)).fetchall()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == [("done", 2)]


def test_many_at_once_are_all_there(server, connection, table):
    connection.execute(f"CREATE TABLE {table} (writer bigint, n bigint)")

    def work(writer):
        with psycopg.connect(**address(server), autocommit=True) as own:
            for n in range(50):
                own.execute(f"INSERT INTO {table} VALUES (%s, %s)", (writer, n), prepare=True)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    counted = connection.execute(f"SELECT writer, count(DISTINCT n) FROM {table} GROUP BY writer ORDER BY writer").fetchall()
    assert counted == [(writer, 50) for writer in range(8)]


# A statement that makes the table `{t}`, what the session does, and the values.
KINDS = {
    "generated": (["CREATE TABLE {t} (v bigint, w bigint GENERATED ALWAYS AS (v * 2) STORED)"], "{t} (v) VALUES (1)"),
    "generated, given": (["CREATE TABLE {t} (v bigint, w bigint GENERATED ALWAYS AS (v * 2) STORED)"], "{t} VALUES (1, 2)"),
    "identity": (["CREATE TABLE {t} (v bigint, w bigint GENERATED BY DEFAULT AS IDENTITY)"], "{t} (v) VALUES (1)"),
    "identity, given": (["CREATE TABLE {t} (v bigint, w bigint GENERATED ALWAYS AS IDENTITY)"], "{t} VALUES (1, 7)"),
    "defaults": (["CREATE TABLE {t} (v bigint, w text DEFAULT 'w' || 1, x bigint DEFAULT 3)"], "{t} (v) VALUES (1), (2)"),
    "partitions": (["CREATE TABLE {t} (v bigint, w text) PARTITIONED BY (w)"], "{t} VALUES (1, 'a'), (2, 'b')"),
    "a view": (["CREATE TABLE {t} (v bigint)", "CREATE VIEW {t}_v AS SELECT v FROM {t}"], "{t}_v VALUES (1)"),
    "a materialized view": (["CREATE TABLE {t} (v bigint)", "CREATE MATERIALIZED VIEW {t}_v AS SELECT v FROM {t}"], "{t}_v VALUES (1)"),
    "a unique index": (["CREATE TABLE {t} (v bigint)", "CREATE UNIQUE INDEX {t}_i ON {t} (v)"], "{t} VALUES (1), (1)"),
    "a file": (["CREATE TABLE {t} AS SELECT value AS v FROM generate_series(1, 30) AS s(value)"], "{t} VALUES (31)"),
    "too few columns": (["CREATE TABLE {t} (v bigint, w bigint)"], "{t} VALUES (1)"),
    "no such column": (["CREATE TABLE {t} (v bigint)"], "{t} (w) VALUES (1)"),
    "a column twice": (["CREATE TABLE {t} (v bigint)"], "{t} (v, v) VALUES (1, 2)"),
    "no such table": (["CREATE TABLE {t} (v bigint)"], "{t}_none VALUES (1)"),
    "two schemas": (["CREATE SCHEMA {t}_s", "SET search_path = {t}_s, public", "CREATE TABLE public.{t} (v bigint)"], "{t} VALUES (1)"),
    "the second schema's is hidden": (
        ["CREATE SCHEMA {t}_s", "CREATE TABLE public.{t} (v bigint)", "CREATE TABLE {t}_s.{t} (v text)", "SET search_path = {t}_s, public"],
        "{t} VALUES (1)"),
    "no schema": (["CREATE TABLE {t} (v bigint)", "SET search_path = ''"], "{t} VALUES (1)"),
    "in capitals": (["CREATE TABLE {t} (v bigint, \"W\" bigint)"], "{t} (V, \"W\") VALUES (1, 2)"),
    "another role": (["CREATE TABLE {t} (v bigint)", "CREATE ROLE {t}_r", "SET ROLE {t}_r"], "{t} VALUES (1)"),
    "another role that may": (["CREATE TABLE {t} (v bigint)", "CREATE ROLE {t}_r", "GRANT INSERT ON {t} TO {t}_r", "SET ROLE {t}_r"],
                              "{t} VALUES (1)"),
    "a policy": (["CREATE TABLE {t} (v bigint)", "CREATE ROLE {t}_r", "GRANT INSERT, SELECT ON {t} TO {t}_r",
                  "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON {t} USING (v > 1)", "SET ROLE {t}_r"], "{t} VALUES (1)"),
    "a policy that lets pass": (["CREATE TABLE {t} (v bigint)", "CREATE ROLE {t}_r", "GRANT INSERT, SELECT ON {t} TO {t}_r",
                                 "ALTER TABLE {t} ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON {t} USING (v > 1)", "SET ROLE {t}_r"],
                                "{t} VALUES (2)"),
}


def undone(server, table):
    """Everything of that name goes, whatever the session has become."""
    with psycopg.connect(**address(server), autocommit=True) as clean:
        clean.execute(f"DROP SCHEMA IF EXISTS {table}_s CASCADE")
        clean.execute(f"DROP TABLE IF EXISTS public.{table} CASCADE")
        clean.execute(f"DROP ROLE IF EXISTS {table}_r")


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_what_it_is_for_the_planner(server, kind):
    made, insert = KINDS[kind]
    name, found = f"i_{uuid.uuid4().hex[:12]}", []
    for way in ("INSERT INTO", "INSERT /* planned */ INTO"):
        with psycopg.connect(**address(server), autocommit=True) as own:
            for statement in made:
                own.execute(statement.format(t=name))
            try:
                said = own.execute(f"{way} {insert.format(t=name)}").statusmessage
            except psycopg.Error as error:
                said = error.sqlstate, str(error).splitlines()[0]
            own.execute("RESET ROLE")
            own.execute("RESET search_path")
            found.append((said, own.execute(f"SELECT * FROM public.{name} ORDER BY 1").fetchall()))
        undone(server, name)
    assert found[0] == found[1]


def test_a_cancelled_one_is_not_there_and_a_finished_one_is(connection, table):
    connection.execute(f"CREATE TABLE {table} (v bigint)")
    finished, stop = [], threading.Event()

    def cancel():
        while not stop.is_set():
            connection.cancel()

    beside = threading.Thread(target=cancel)
    beside.start()
    try:
        cancelled = 0
        for n in range(400):
            try:
                connection.execute(f"INSERT INTO {table} VALUES ({n})")
                finished.append(n)
            except psycopg.errors.QueryCanceled:
                cancelled += 1
    finally:
        stop.set()
        beside.join()
    while True:
        try:
            there = connection.execute(f"SELECT v FROM {table} ORDER BY v").fetchall()
            break
        except psycopg.errors.QueryCanceled:
            continue
    assert there == [(n,) for n in finished]
    print(f"{cancelled} cancelled, {len(finished)} finished")


def test_shapes_change_beside_it(server, connection, table):
    """A table gets and loses columns while others insert: each row that was acknowledged is there once, and has what was the default."""
    connection.execute(f"CREATE TABLE {table} (writer bigint, n bigint)")
    stop = threading.Event()

    def alter(change):
        """Where four writers are always there before it, it is told to run again."""
        for tries in range(50):
            try:
                return connection.execute(f"ALTER TABLE {table} {change}")
            except psycopg.errors.SerializationFailure:
                if tries == 49:
                    raise

    def work(writer):
        n = 0
        with psycopg.connect(**address(server), autocommit=True) as own:
            while not stop.is_set():
                own.execute(f"INSERT INTO {table} (writer, n) VALUES ({writer}, {n})")
                n += 1
        return n

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(work, writer) for writer in range(4)]
        try:
            for n in range(15):
                alter(f"ADD COLUMN c{n} bigint DEFAULT {n}")
                if n % 3 == 2:
                    alter(f"DROP COLUMN c{n}")
                    alter(f"RENAME COLUMN c{n - 1} TO d{n - 1}")
        finally:
            stop.set()
        acknowledged = [writer.result(polder.SOON_SECONDS) for writer in writers]
    counted = connection.execute(f"SELECT writer, count(*), count(DISTINCT n) FROM {table} GROUP BY writer ORDER BY writer").fetchall()
    assert counted == [(writer, rows, rows) for writer, rows in enumerate(acknowledged)]
    assert connection.execute(f"SELECT DISTINCT c0, d1, c3 FROM {table}").fetchall() == [(0, 1, 3)]
