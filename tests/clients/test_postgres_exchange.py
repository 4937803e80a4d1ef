"""Tables from and to Arrow by ADBC, and DuckDB that has Polder attached: all types, every way of writing, the same as at PostgreSQL."""

import contextlib
import datetime
import decimal
import itertools
import uuid

import adbc_driver_postgresql.dbapi
import duckdb
import duckdb_extensions
import psycopg
import pyarrow as pa
import pytest

import drivers

NUMBERS = itertools.count(1)
DAY, MOMENT = datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 34, 56, 789_012)


@pytest.fixture(scope="module")
def places(server, postgres):
    return [drivers.polders(server), drivers.postgresqls(postgres)]


@pytest.fixture
def name():
    return f"exchange_{next(NUMBERS)}"


# ADBC


@pytest.fixture
def both(places):
    """A connection of ADBC to each, without transactions."""
    with contextlib.ExitStack() as stack:
        uris = [f"postgresql://{place.user}:{place.password}@{place.host}:{place.port}/{place.database}" for place in places]
        yield [stack.enter_context(adbc_driver_postgresql.dbapi.connect(uri, autocommit=True)) for uri in uris]


ARROW = {
    "bool": pa.array([True, False, None]), "int8": pa.array([1, -128, None], pa.int8()), "int16": pa.array([1, -32768, None], pa.int16()),
    "int32": pa.array([1, -2**31, None], pa.int32()), "int64": pa.array([1, -2**63, None], pa.int64()), "uint8": pa.array([1, 255], pa.uint8()),
    "uint16": pa.array([1, 65535], pa.uint16()), "uint32": pa.array([1, 2**32 - 1], pa.uint32()), "uint64": pa.array([1, 2**63 - 1], pa.uint64()),
    "float32": pa.array([0.5, float("-inf"), None], pa.float32()), "float64": pa.array([0.1, float("inf"), None], pa.float64()),
    "string": pa.array(["a", "ü\n'\t", "", None]), "large_string": pa.array(["a", None], pa.large_string()),
    "string_view": pa.array(["a", None], pa.string_view()), "binary": pa.array([b"\0\xff", b"", None]),
    "large_binary": pa.array([b"\0", None], pa.large_binary()), "fixed_binary": pa.array([b"abcd", None], pa.binary(4)),
    "date32": pa.array([DAY, None]), "time64": pa.array([datetime.time(1, 2, 3, 4), None], pa.time64("us")),
    "timestamp[s]": pa.array([0, None], pa.timestamp("s")), "timestamp[ms]": pa.array([1, None], pa.timestamp("ms")),
    "timestamp[us]": pa.array([MOMENT, None], pa.timestamp("us")), "timestamp[ns]": pa.array([1000, None], pa.timestamp("ns")),
    "instant": pa.array([1, None], pa.timestamp("us", "UTC")), "instant elsewhere": pa.array([1, None], pa.timestamp("us", "Asia/Kolkata")),
    "duration": pa.array([1_000_000, None], pa.duration("us")), "interval": pa.array([pa.MonthDayNano([1, 2, 3000]), None]),
    "list of int64": pa.array([[1, None], [], None], pa.list_(pa.int64())), "list of string": pa.array([["a", None], None]),
    "fixed list": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)), "list of float64": pa.array([[0.5], None], pa.list_(pa.float64())),
    "list of timestamp": pa.array([[MOMENT], None], pa.list_(pa.timestamp("us"))), "list of bool": pa.array([[True, None]], pa.list_(pa.bool_())),
    "dictionary": pa.array(["a", "b", None]).dictionary_encode(), "null": pa.array([None, None], pa.null()),
}


@pytest.mark.parametrize("kind", ARROW)
def test_adbc_types(both, name, kind):
    def told(connection) -> tuple:
        with connection.cursor() as cursor:
            try:
                count = cursor.adbc_ingest(name, pa.table({"v": ARROW[kind]}), mode="create")
            except adbc_driver_postgresql.dbapi.Error as error:
                return type(error).__name__, error.sqlstate
            cursor.execute(f"SELECT v FROM {name}")
            read = cursor.fetch_arrow_table()
            cursor.execute(f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{name}'::regclass AND attnum = 1")
            made = cursor.fetchall()
            cursor.execute(f"DROP TABLE {name}")
            return count, str(read.schema), read.column(0).to_pylist(), made

    ours, theirs = map(told, both)
    assert ours == theirs


TABLE = pa.table({"id": [1, 2], "word": ["a", "b"]})
# Each a table's name, what goes in, and how.
WAYS = [
    ("{t}", TABLE, {"mode": "append"}), ("{t}", TABLE, {"mode": "create_append"}), ("{t}", TABLE, {"mode": "create_append"}),
    ("{t}", TABLE, {"mode": "append"}), ("{t}", TABLE, {"mode": "create"}), ("{t}", TABLE, {"mode": "replace"}),
    ("{t}", pa.table({"word": ["x"]}), {"mode": "append"}), ("{t}", pa.table({"nosuch": ["x"]}), {"mode": "append"}),
    ("{t}_other", TABLE, {"mode": "replace", "db_schema_name": "{t}"}), ("{t}_other", TABLE, {"mode": "append", "db_schema_name": "{t}"}),
    ("{t}_mine", TABLE, {"mode": "create", "temporary": True}), ("{t}_mine", TABLE, {"mode": "append", "temporary": True}),
    ("{t}_mine", TABLE, {"mode": "replace", "temporary": True}),
    ("{t}", pa.table({"id": range(50_000), "word": ["w"] * 50_000}), {"mode": "replace"}),
]


def test_adbc_ways_of_writing(both, name):
    def told(connection) -> list:
        all_told = []
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {name}")
            for table, data, how in WAYS:
                table = table.format(t=name)
                how = {key: value.format(t=name) if isinstance(value, str) else value for key, value in how.items()}
                try:
                    came = cursor.adbc_ingest(table, data, **how)
                except adbc_driver_postgresql.dbapi.Error as error:
                    came = type(error).__name__, error.sqlstate
                try:
                    cursor.execute(f"SELECT count(*), count(word) FROM {how.get('db_schema_name', 'public') + '.' if 'temporary' not in how else ''}{table}")
                    all_told.append((came, cursor.fetchall()))
                except adbc_driver_postgresql.dbapi.Error as error:
                    all_told.append((came, error.sqlstate))
            cursor.execute(f"DROP SCHEMA {name} CASCADE")
            cursor.execute(f"DROP TABLE public.{name}")
        return all_told

    ours, theirs = map(told, both)
    assert ours == theirs


def test_adbc_tells_of_tables(both, name):
    def sorted_parts(value):
        if isinstance(value, dict):
            return {key: sorted_parts(part) for key, part in value.items() if part is not None}
        return sorted(map(sorted_parts, value), key=str) if isinstance(value, list) else value

    def told(connection) -> list:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, word VARCHAR(10) NOT NULL UNIQUE, n INTEGER CHECK (n > 0), "
                           f"price NUMERIC(10, 2) DEFAULT 1.5, low INTEGER, CONSTRAINT {name}_low CHECK (low < n))")
            cursor.execute(f"CREATE VIEW {name}_view AS SELECT id FROM {name}")
            depths = [connection.adbc_get_objects(depth=depth, db_schema_filter="public", table_name_filter=f"{name}%").read_all().to_pylist()
                      for depth in ("tables", "all")]
            here = [[catalog["catalog_db_schemas"] for catalog in catalogs if catalog["catalog_db_schemas"]] for catalogs in depths]
            schema = str(connection.adbc_get_table_schema(name))
            shape = str(cursor.adbc_execute_schema(f"SELECT id, word, price, now() AS at FROM {name}"))
            cursor.execute(f"DROP VIEW {name}_view")
            cursor.execute(f"DROP TABLE {name}")
        return [sorted_parts(here), schema, shape, sorted(connection.adbc_get_table_types())]

    ours, theirs = map(told, both)
    assert ours == theirs


# DuckDB


@pytest.fixture(scope="module")
def attached(places):
    """DuckDB with each attached as `far`."""
    made = []
    for place in places:
        connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "allow_unsigned_extensions": "true"})
        duckdb_extensions.import_extension("postgres_scanner", con=connection)
        connection.execute("LOAD postgres_scanner; SET TimeZone = 'UTC'")
        connection.execute(f"ATTACH 'host={place.host} port={place.port} user={place.user} password={place.password or 'x'} dbname={place.database}' "
                           "AS far (TYPE postgres)")
        made.append(connection)
    yield made
    for connection in made:
        connection.close()


FAR = {
    "boolean": "true", "smallint": "-5", "integer": "7", "bigint": "9007199254740993", "real": "0.5", "double precision": "0.1",
    "numeric(10, 2)": "1.50", "text": "'ü'", "varchar(5)": "'abc'", "bytea": "'\\x00ff'", "date": "'2024-02-29'", "time": "'12:34:56.7'",
    "timestamp": "'2024-02-29 12:00:00.5'", "timestamptz": "'2024-02-29 12:00:00+02'", "interval": "'1 mon 2 days 03:04:05'",
    "uuid": f"'{uuid.UUID(int=7)}'", "json": "'{\"a\": 1}'", "jsonb": "'{\"a\": 1}'", "integer[]": "'{1,NULL,3}'", "text[]": "'{a,NULL}'",
    "bigint[]": "'{1}'", "double precision[]": "'{0.5}'", "numeric(10, 2)[]": "'{1.50}'", "boolean[]": "'{t}'", "date[]": "'{2024-02-29}'",
    "uuid[]": f"'{{{uuid.UUID(int=7)}}}'", "timestamptz[]": "'{\"2024-02-29 12:00:00+02\"}'",
}


@pytest.mark.parametrize("kind", FAR)
def test_duckdb_types(attached, name, kind):
    def told(connection) -> list:
        run = f"CREATE TABLE {name} (id BIGINT, v {kind}); INSERT INTO {name} VALUES (1, {FAR[kind]}), (2, NULL)"
        connection.execute("CALL postgres_execute('far', ?)", [run])
        connection.execute("CALL pg_clear_cache()")
        table = f"far.public.{name}"
        before = connection.sql(f"SELECT id, v, typeof(v) FROM {table} ORDER BY id").fetchall()
        connection.execute(f"INSERT INTO {table} SELECT id + 10, v FROM {table}")
        after = connection.sql(f"SELECT count(*), count(v), count(DISTINCT v) FROM {table}").fetchall()
        connection.execute(f"DROP TABLE {table}")
        return [before, after]

    ours, theirs = map(told, attached)
    assert ours == theirs


def test_duckdb_reads_a_large_table(attached, name):
    """PostgreSQL's is read by its pages, several at once; Polder has none, and gives it as one."""
    def told(connection) -> list:
        table = f"far.public.{name}"
        connection.execute(f"CREATE TABLE {table} AS SELECT range AS id, 'w' || range AS word, range % 7 AS m, (range * 1.5)::DECIMAL(18, 2) AS price "
                           "FROM range(300000)")
        connection.execute("CALL pg_clear_cache()")
        asked = [f"SELECT count(*), sum(id), min(word), count(DISTINCT m), sum(price) FROM {table}", f"SELECT count(*), sum(id) FROM {table} WHERE m = 3",
                 f"SELECT id, word FROM {table} WHERE id = 77 OR (id BETWEEN 100 AND 102 AND word LIKE 'w1%') ORDER BY id",
                 f"SELECT count(*) FROM {table} WHERE word IN ('w1', 'w2') AND m IS NOT NULL", f"SELECT id FROM {table} ORDER BY id DESC LIMIT 3",
                 f"SELECT count(*) FROM {table} f JOIN range(100) r ON r.range = f.id"]
        answers = []
        for filters in ("true", "false"):
            connection.execute(f"SET pg_experimental_filter_pushdown = {filters}")
            answers += [connection.sql(sql).fetchall() for sql in asked]
        connection.execute(f"DROP TABLE {table}")
        return answers

    ours, theirs = map(told, attached)
    assert ours == theirs and ours[0] == [(300_000, 44_999_850_000, "w0", 7, decimal.Decimal("67499775000.00"))]


def test_duckdb_is_told_how_to_change_rows(attached, name):
    """It names rows by their place, and Polder's have none; statements that it sends as they are work."""
    ours, _ = attached
    table = f"far.public.{name}"
    ours.execute(f"CREATE TABLE {table} AS SELECT range AS id, 'w' AS word FROM range(3)")
    for change in (f"UPDATE {table} SET word = 'x' WHERE id = 1", f"DELETE FROM {table} WHERE id = 1"):
        with pytest.raises(duckdb.Error, match="rows have no ctid.*(\n.*)*postgres_execute"):
            ours.execute(change)
    ours.execute("CALL postgres_execute('far', ?)", [f"UPDATE {name} SET word = 'x' WHERE id = 1; DELETE FROM {name} WHERE id = 2"])
    assert ours.sql(f"SELECT id, word FROM {table} ORDER BY id").fetchall() == [(0, "w"), (1, "x")]
    ours.execute(f"DROP TABLE {table}")


def test_duckdb_transactions(attached, name):
    def told(connection) -> list:
        table = f"far.public.{name}"
        counted = f"SELECT count(*), sum(a) FROM {table}"
        connection.execute(f"CREATE TABLE {table} (a INTEGER PRIMARY KEY, b VARCHAR NOT NULL)")
        answers = []
        for end in ("ROLLBACK", "COMMIT"):
            connection.execute("BEGIN")
            connection.execute(f"INSERT INTO {table} VALUES (1, 'x'), (2, 'y')")
            answers.append(connection.sql(counted).fetchall())
            connection.execute(end)
            answers.append(connection.sql(counted).fetchall())
        with pytest.raises(duckdb.Error, match="duplicate key"):
            connection.execute(f"INSERT INTO {table} VALUES (1, 'again')")
        connection.execute(f"ALTER TABLE {table} ADD COLUMN c INTEGER")
        connection.execute(f"ALTER TABLE {table} RENAME COLUMN c TO d")
        answers.append(connection.sql(f"SELECT * FROM {table} ORDER BY a").fetchall())
        connection.execute(f"CREATE OR REPLACE VIEW far.public.{name}_view AS SELECT 42 AS a")
        answers.append(connection.sql(f"SELECT * FROM far.public.{name}_view").fetchall())
        connection.execute(f"DROP VIEW far.public.{name}_view")
        connection.execute(f"DROP TABLE {table}")
        return answers

    ours, theirs = map(told, attached)
    assert ours == theirs


def test_duckdb_reads_what_its_transaction_has_written(attached, name):
    """A table that it has filled itself it asks for by `ctid`, in ranges that cover all pages there may be."""
    def told(connection) -> list:
        table = f"far.public.{name}"
        answers = []
        for end in ("ROLLBACK", "COMMIT"):
            connection.execute("BEGIN")
            connection.execute(f"CREATE TABLE {table} AS SELECT range AS id, range % 7 AS m FROM range(30000)")
            answers.append(connection.sql(f"SELECT count(*), sum(id) FROM {table}").fetchall())
            connection.execute(f"INSERT INTO {table} SELECT id + 30000, m FROM {table} WHERE m = 3")
            answers.append(connection.sql(f"SELECT count(*), count(DISTINCT id), sum(id) FROM {table} WHERE m > 1").fetchall())
            answers.append(connection.sql(f"SELECT count(*) FROM {table} AS a JOIN {table} AS b USING (id)").fetchall())
            connection.execute(end)
        connection.execute("BEGIN")
        connection.execute(f"INSERT INTO {table} SELECT range, NULL FROM range(100000, 110000)")
        answers.append(connection.sql(f"SELECT count(*), count(m), max(id) FROM {table}").fetchall())
        connection.execute("COMMIT")
        answers.append(connection.sql(f"SELECT count(*), count(m), max(id) FROM {table}").fetchall())
        connection.execute(f"DROP TABLE {table}")
        return answers

    ours, theirs = map(told, attached)
    assert ours == theirs and ours[0] == [(30_000, 449_985_000)]


def test_ranges_of_pages_give_each_row_once(places, name):
    """Whole pages: all of them, one after the other, or from one on. A single row has no place at Polder, so that no change by it is taken."""
    def told(place) -> list:
        with psycopg.connect(host=place.host, port=place.port, user=place.user, password=place.password or "x", dbname=place.database, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE {name} AS SELECT g AS id FROM generate_series(1, 5000) AS s(g)")
            bounds = ["(0,0)", "(1,0)", "(7,0)", "(4294967295,0)"]
            whole = connection.execute(f"SELECT count(*), sum(id) FROM {name} WHERE ctid BETWEEN '(0,0)'::tid AND '(4294967295,0)'::tid").fetchall()
            parts, found = [f"t.ctid >= '{low}'::tid AND t.ctid < '{high}'::tid" for low, high in zip(bounds, bounds[1:])], []
            for part in parts:
                found += connection.execute(f"SELECT id FROM {name} AS t WHERE {part}").fetchall()
            tail = connection.execute(f"SELECT count(*) FROM {name} WHERE ctid > '(4294967294,0)'::tid AND id > 0").fetchall()
            if place is places[0]:
                for refused in (f"DELETE FROM {name} WHERE ctid BETWEEN '(0,0)'::tid AND '(0,1)'::tid", f"SELECT id FROM {name} WHERE ctid = '(0,1)'::tid"):
                    with pytest.raises(psycopg.Error):
                        connection.execute(refused)
            left = connection.execute(f"SELECT count(*) FROM {name}").fetchall()
            connection.execute(f"DROP TABLE {name}")
            return [whole, sorted(found), tail, left]

    ours, theirs = map(told, places)
    assert ours == theirs and ours[0] == [(5_000, 12_502_500)]
