"""psqlODBC, unmodified, by pyodbc: what it gives at Polder is what it gives at PostgreSQL."""

import datetime
import decimal
import glob
import threading
import uuid

import pytest

import drivers

try:
    import pyodbc
except ImportError:
    drivers.needs(False, "pyodbc, or no unixODBC that it needs")
    pytest.skip("there is no pyodbc", allow_module_level=True)

# Where Debian's odbc-postgresql puts it. Named by its file, it needs no entry in the system's list of drivers.
FOUND = sorted(glob.glob("/usr/lib/*/odbc/psqlodbcw.so"))

pytestmark = drivers.needs(bool(FOUND), "psqlODBC")

LONG = "SELECT count(*) FROM generate_series(1, 100000) AS a(x), generate_series(1, 100000) AS b(y) WHERE (x + y) % 7 = 3"

SCHEMA = [
    "DROP SCHEMA IF EXISTS o_meta CASCADE",
    "CREATE SCHEMA o_meta",
    "CREATE TABLE o_meta.parent (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE, "
    "price NUMERIC(10, 2) DEFAULT 1.50, amount INTEGER DEFAULT 7, note TEXT, code CHAR(3), at TIMESTAMPTZ, day DATE, clock TIME, "
    "local TIMESTAMP, span INTERVAL, half REAL, whole DOUBLE PRECISION, tiny SMALLINT, flag BOOLEAN, body BYTEA, key UUID, doc JSON, "
    "docb JSONB, numbers INTEGER[], free NUMERIC, \"Mixed Case\" TEXT)",
    "CREATE TABLE o_meta.pairs (a INTEGER, b TEXT, c INTEGER, PRIMARY KEY (b, a))",
    "CREATE TABLE o_meta.refers (id INTEGER, parent BIGINT REFERENCES o_meta.parent ON DELETE CASCADE, pa INTEGER, pb TEXT, "
    "CONSTRAINT of_pairs FOREIGN KEY (pa, pb) REFERENCES o_meta.pairs (a, b) ON UPDATE SET NULL)",
    "CREATE INDEX parent_amount ON o_meta.parent (amount, note)",
    "CREATE VIEW o_meta.o_names AS SELECT id, name FROM o_meta.parent",
    "CREATE FUNCTION o_meta.o_half(x INTEGER) RETURNS INTEGER AS 'SELECT x / 2' LANGUAGE sql",
]


class Both:
    """One place of each kind; connections by ODBC to them."""

    def __init__(self, places: dict):
        self.places = places

    def connect(self, name: str, autocommit=True, **settings):
        place = self.places[name]
        wanted = {"Driver": FOUND[0], "Server": place.host, "Port": place.port, "Database": place.database, "UID": place.user,
                  "PWD": place.password, "SSLmode": "prefer", **settings}
        return pyodbc.connect(";".join(f"{key}={value}" for key, value in wanted.items()), autocommit=autocommit, timeout=30)

    def told(self, name: str, probe, **options):
        connection = self.connect(name, **options)
        try:
            return probe(connection)
        finally:
            connection.close()

    def same(self, probe, polder=None, **options):
        """What a probe comes to at both, which is the same unless it is known what `polder` says."""
        theirs = self.told("postgres", probe, **options)
        ours = self.told("polder", probe, **options)
        expected = theirs if polder is None else polder
        assert ours == expected, "\n".join(drivers.differing("", ours, expected))
        return theirs


@pytest.fixture(scope="module")
def both(postgres):
    with drivers.both(postgres) as places:
        yield Both(places)


@pytest.fixture(scope="module")
def schema(both):
    for name in both.places:
        connection = both.connect(name)
        for sql in SCHEMA:
            connection.execute(sql)
        connection.close()


def state(work) -> str:
    """The SQLSTATE of ODBC that something fails with; "none" if it does not."""
    try:
        work()
    except pyodbc.Error as error:
        return error.args[0]
    return "none"


def described(cursor) -> list:
    return [(column[0], column[1].__name__, *column[2:]) for column in cursor.description]


def listed(rows, *without) -> list:
    """The rows of a question about the catalog, but for columns that differ from server to server."""
    names = [column[0].lower() for column in rows.description]
    return [{name: value for name, value in zip(names, row) if name not in without} for row in rows]


# The database's name.
CATALOGS = ("table_cat", "pktable_cat", "fktable_cat", "procedure_cat")


def test_who_is_there(both):
    wanted = ["SQL_DBMS_NAME", "SQL_IDENTIFIER_QUOTE_CHAR", "SQL_MAX_COLUMN_NAME_LEN", "SQL_MAX_TABLE_NAME_LEN", "SQL_TXN_CAPABLE", "SQL_USER_NAME", "SQL_IDENTIFIER_CASE", "SQL_SCHEMA_TERM"]

    def probe(connection):
        told = [connection.getinfo(getattr(pyodbc, name)) for name in wanted]
        return [*told, connection.getinfo(pyodbc.SQL_DBMS_VER).split(".")[0], connection.execute("SELECT 1").fetchone()[0]]

    theirs = both.told("postgres", probe)
    # Names are longer here.
    both.same(probe, polder=[255 if name.endswith("_NAME_LEN") else value for name, value in zip(wanted, theirs)] + theirs[len(wanted):])


@pytest.mark.parametrize("protocol", ["7.4-0", "7.4-1", "7.4-2"])
def test_transactions(both, protocol):
    """What an error does to a transaction is the driver's setting: end it, leave it, or undo the statement."""

    def probe(connection):
        told = []
        connection.execute("DROP TABLE IF EXISTS o_tx")
        connection.execute("CREATE TABLE o_tx (id INTEGER PRIMARY KEY)")
        connection.commit()
        connection.execute("INSERT INTO o_tx VALUES (1)")
        connection.rollback()
        told.append(connection.execute("SELECT count(*) FROM o_tx").fetchval())
        connection.execute("INSERT INTO o_tx VALUES (1)")
        told.append(state(lambda: connection.execute("INSERT INTO o_tx VALUES (1)")))
        told.append(state(lambda: connection.execute("INSERT INTO o_tx VALUES (2)")))
        told.append(state(connection.commit))
        connection.rollback()
        told.append([tuple(row) for row in connection.execute("SELECT id FROM o_tx ORDER BY id")])
        connection.execute("DROP TABLE o_tx")
        connection.commit()
        return told

    both.same(probe, autocommit=False, Protocol=protocol)


def test_isolation(both):
    def probe(connection):
        told = []
        for level in (pyodbc.SQL_TXN_READ_COMMITTED, pyodbc.SQL_TXN_REPEATABLE_READ):
            told.append(state(lambda level=level: connection.set_attr(pyodbc.SQL_ATTR_TXN_ISOLATION, level)))
        return told + [connection.execute("SHOW transaction_isolation").fetchval()]

    both.same(probe)


VALUES = [
    ("boolean", True), ("smallint", -5), ("integer", 2**31 - 1), ("bigint", 2**40), ("real", 1.5), ("double precision", 0.1),
    ("numeric(12, 4)", decimal.Decimal("-12345.6700")), ("numeric(20, 0)", decimal.Decimal("99999999999999999999")),
    ("text", "it's \\ \"x\" é 😀"), ("text", ""), ("varchar(10)", "abc"), ("char(5)", "abcde"), ("bytea", b"\x00\xff\\"),
    ("date", datetime.date(2024, 2, 29)), ("time", datetime.time(23, 59, 59)),
    ("timestamp", datetime.datetime(2024, 2, 29, 1, 2, 3, 456_000)), ("timestamptz", datetime.datetime(2024, 2, 29, 1, 2, 3)),
    ("uuid", uuid.UUID("00010203-0405-0607-0809-0a0b0c0d0e0f")), ("json", '{"a": [1, null]}'), ("jsonb", '{"b": "x"}'),
    ("interval", "1 year 2 mons -3 days 04:05:06.5"), ("integer[]", "{1,NULL,3}"), ("text[]", '{a,"b,c"}'),
]


@pytest.mark.parametrize("prepares", ["0", "1"], ids=["in the text", "prepared"])
@pytest.mark.parametrize("type_name, value", VALUES, ids=[f"{name}-{at}" for at, (name, _) in enumerate(VALUES)])
def test_values(both, type_name, value, prepares):
    def probe(connection):
        cursor = connection.execute(f"SELECT CAST(? AS {type_name}) AS v, CAST(NULL AS {type_name}) AS n", value)
        return [cursor.fetchone()[:], described(cursor)]

    both.same(probe, UseServerSidePrepare=prepares)


def test_columns_of_all_types(both):
    columns = ", ".join(f"c{at} {name}" for at, (name, _) in enumerate(VALUES))

    def probe(connection):
        connection.execute("DROP TABLE IF EXISTS o_types")
        connection.execute(f"CREATE TABLE o_types ({columns})")
        places = ", ".join("?" * len(VALUES))
        connection.execute(f"INSERT INTO o_types VALUES ({places})", [value for _, value in VALUES])
        connection.execute(f"INSERT INTO o_types VALUES ({places})", [None] * len(VALUES))
        cursor = connection.execute("SELECT * FROM o_types ORDER BY c1 NULLS LAST")
        told = [[(name, kind) for name, kind, *_ in described(cursor)], [row[:] for row in cursor.fetchall()]]
        connection.execute("DROP TABLE o_types")
        return told

    both.same(probe)


def test_lengths_of_columns(both):
    def probe(connection):
        connection.execute("DROP TABLE IF EXISTS o_lengths")
        connection.execute("CREATE TABLE o_lengths (a VARCHAR(10), b CHAR(5), c NUMERIC(12, 4), d TEXT, e INTEGER)")
        told = described(connection.execute("SELECT * FROM o_lengths ORDER BY e"))
        connection.execute("DROP TABLE o_lengths")
        return told

    both.same(probe)


@pytest.mark.parametrize("fast", [False, True], ids=["one by one", "arrays of parameters"])
def test_many_rows(both, fast):
    def probe(connection):
        connection.execute("DROP TABLE IF EXISTS o_many")
        connection.execute("CREATE TABLE o_many (id INTEGER, name VARCHAR(20), price NUMERIC(10, 2), at TIMESTAMP)")
        cursor = connection.cursor()
        cursor.fast_executemany = fast
        at = datetime.datetime(2024, 2, 29, 1, 2, 3)
        rows = [(number, f"name {number}" if number % 7 else None, decimal.Decimal(number) / 4, at) for number in range(200)]
        cursor.executemany("INSERT INTO o_many VALUES (?, ?, ?, ?)", rows)
        told = [connection.execute("SELECT count(*), sum(id), sum(price), count(name), max(at) FROM o_many").fetchone()[:]]
        told.append(connection.execute("UPDATE o_many SET name = ? WHERE id < ?", "x", 10).rowcount)
        told.append(connection.execute("DELETE FROM o_many WHERE name = ?", "x").rowcount)
        told.append([row[0] for row in connection.execute("SELECT id FROM o_many WHERE name LIKE ? AND id < ? ORDER BY id", "name 1%", 20)])
        connection.execute("DROP TABLE o_many")
        return told

    both.same(probe)


def test_cursors_of_the_server(both):
    """UseDeclareFetch: the driver declares a cursor for each query and fetches so many rows at a time."""

    def probe(connection):
        cursor = connection.execute("SELECT x, x * 2 AS y FROM generate_series(1, 1000) AS s(x) ORDER BY x")
        first = [row[:] for row in cursor.fetchmany(5)]
        rest = sum(row[1] for row in cursor)
        left = connection.execute("SELECT x FROM generate_series(1, 100000) AS s(x)")
        left.fetchone()
        left.close()
        empty = connection.execute("SELECT x FROM generate_series(1, 10) AS s(x) WHERE x > ?", 10).fetchall()
        return [first, rest, empty, connection.execute("SELECT 1").fetchval()]

    for autocommit in (False, True):
        both.same(probe, autocommit=autocommit, UseDeclareFetch="1", Fetch="100")


@pytest.mark.parametrize("autocommit", [True, False], ids=["out of a transaction", "in a transaction"])
@pytest.mark.parametrize("fetch", ["1", "100", "3000"])
def test_a_table_by_a_cursor_of_the_server(both, autocommit, fetch):
    """10,000 rows, by as many at a time as the driver is told, all of them and in their order; what the transaction has written among them."""
    rows = 10_000 if fetch != "1" else 300

    def probe(connection):
        connection.execute("DROP TABLE IF EXISTS o_fetched")
        connection.execute("CREATE TABLE o_fetched (id INTEGER PRIMARY KEY, word VARCHAR(20), price NUMERIC(10, 2), at TIMESTAMP, blank TEXT)")
        connection.execute(f"INSERT INTO o_fetched SELECT g, 'word ' || g, g / 4.0, TIMESTAMP '2024-02-29 01:02:03', NULL FROM generate_series(1, {rows}) AS s(g)")
        cursor = connection.execute("SELECT id, word, price, at, blank FROM o_fetched ORDER BY id")
        read = [row[:] for row in cursor.fetchmany(7)]
        # The cursor stays where it is while its connection does something else.
        other = connection.cursor().execute("SELECT count(*) FROM o_fetched").fetchval()
        read += [row[:] for row in cursor]
        assert [row[0] for row in read] == list(range(1, rows + 1))
        cursor.execute("SELECT id FROM o_fetched WHERE id > ? ORDER BY id DESC", rows - 250)
        last = [row[0] for row in cursor.fetchall()]
        # An end in the middle of the rows, and an error behind some of them.
        cursor.execute("SELECT id FROM o_fetched ORDER BY id")
        cursor.fetchmany(3)
        cursor.close()
        if not autocommit:
            connection.commit()
        failed = state(lambda: connection.execute(f"SELECT 1 / (id - {rows}) FROM o_fetched ORDER BY id").fetchall())
        if not autocommit:
            connection.rollback()
        connection.execute("DROP TABLE o_fetched")
        if not autocommit:
            connection.commit()
        return [read[:3], read[-3:], sum(row[2] for row in read), other, last, failed, connection.execute("SELECT 1").fetchval()]

    theirs = both.same(probe, autocommit=autocommit, UseDeclareFetch="1", Fetch=fetch)
    assert theirs[3] == rows


def test_several_results(both):
    def probe(connection):
        cursor = connection.execute("SELECT 1::int AS a; SELECT 2::int AS b, 'x' AS c")
        told = [described(cursor), [row[:] for row in cursor.fetchall()]]
        assert cursor.nextset()
        return told + [described(cursor), [row[:] for row in cursor.fetchall()], cursor.nextset()]

    both.same(probe)


def test_errors(both):
    def probe(connection):
        texts = ["SELECT 1 / 0", "SELECT * FROM nosuch", "SELECT nosuch", "SELEC", "SELECT 'x'::integer", "DROP TABLE nosuch", "LOCK"]
        told = [state(lambda sql=sql: connection.execute(sql)) for sql in texts]
        return told + [state(lambda: connection.execute("SELECT CAST(? AS integer)", "x")), connection.execute("SELECT 1").fetchval()]

    both.same(probe)


def test_time(both):
    def probe(connection):
        connection.execute("SET statement_timeout = 300")
        told = [state(lambda: connection.execute(LONG))]
        connection.execute("SET statement_timeout = 0")
        cursor = connection.cursor()
        done = threading.Event()

        def cancel():
            # Again and again: one that comes before its statement has begun cancels nothing.
            while not done.wait(0.3):
                cursor.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        told.append(state(lambda: cursor.execute(LONG)))
        done.set()
        canceller.join()
        return told + [connection.execute("SELECT 1").fetchval()]

    both.same(probe)


def test_tables(both, schema):
    def probe(connection):
        cursor = connection.cursor()
        return [listed(cursor.tables(schema="o_meta"), *CATALOGS), listed(cursor.tables(table="pai%", schema="o_meta", tableType="TABLE"), *CATALOGS),
                listed(cursor.tables(schema="o%meta", tableType="VIEW"), *CATALOGS), listed(cursor.tables(table="nosuch"), *CATALOGS)]

    assert both.same(probe)[0]


def test_columns(both, schema):
    def probe(connection):
        cursor = connection.cursor()
        # Numbers that each server gives as it likes.
        own = (*CATALOGS, "table oid", "physical number")
        return [listed(cursor.columns(table="parent", schema="o_meta"), *own), listed(cursor.columns(table="pairs", schema="o_meta", column="b"), *own),
                listed(cursor.columns(table="nosuch"))]

    assert both.same(probe)[0]


def test_keys(both, schema):
    def probe(connection):
        cursor = connection.cursor()
        told = [listed(cursor.primaryKeys(table=table, schema="o_meta"), *CATALOGS) for table in ("parent", "pairs", "nosuch")]
        told += [listed(cursor.foreignKeys(table=table, schema="o_meta"), *CATALOGS) for table in ("parent", "pairs", "refers")]
        told.append(listed(cursor.foreignKeys(foreignTable="refers", foreignSchema="o_meta"), *CATALOGS))
        return told + [listed(cursor.rowIdColumns(table="pairs", schema="o_meta"))]

    assert both.same(probe)[1]


def test_statistics(both, schema):
    def probe(connection):
        cursor = connection.cursor()
        # How many rows and pages there are is an estimate.
        return [listed(cursor.statistics(table="parent", schema="o_meta", unique=unique), *CATALOGS, "cardinality", "pages", "table_qualifier")
                for unique in (False, True)]

    assert both.same(probe)[0]


def test_procedures(both, schema):
    def probe(connection):
        cursor = connection.cursor()
        return [listed(cursor.procedures(schema="o_meta"), *CATALOGS), listed(cursor.procedureColumns(procedure="o_half", schema="o_meta"), *CATALOGS, "specific_name")]

    assert both.same(probe)[0]


def test_types(both):
    assert both.same(lambda connection: listed(connection.cursor().getTypeInfo()))
