"""Values of every type, in text and in binary, as results, parameters and copies: the same bytes as PostgreSQL's."""

import itertools
import struct

import pytest

import raw_postgres as raw
from raw_postgres import SYNC, bind, describe, execute, frame, parse, query

NUMBERS = itertools.count(1)
FORMATS = {"text": 0, "binary": 1}
NINES = "9" * 38

# Each type with values at its ends and at the edges of how they are written.
VALUES = {
    "boolean": ["true", "false"],
    "smallint": ["0", "-32768", "32767"],
    "integer": ["0", "-2147483648", "2147483647"],
    "bigint": ["0", "-9223372036854775808", "9223372036854775807"],
    "real": ["0", "-0", "1", "0.1", "-1.5", "3.4028235e38", "-3.4028235e38", "1e-45", "1.1754944e-38", "999999", "1e6", "123456.7",
             "16777216", "0.0001", "0.00001", "Infinity", "-Infinity", "NaN"],
    "double precision": ["0", "-0", "1", "0.1", "-1.5", "1.7976931348623157e308", "-1.7976931348623157e308", "5e-324",
                         "2.2250738585072014e-308", "123456789012345680", "1e14", "1e15", "999999999999999", "0.0001", "0.00001",
                         "0.1234567890123456789", "Infinity", "-Infinity", "NaN"],
    "numeric(38, 0)": ["0", "1", "-1", NINES, f"-{NINES}", "10000", "100000000", "9999"],
    "numeric(38, 38)": ["0", f"0.{NINES}", f"-0.{'0' * 37}1"],
    "numeric(10, 2)": ["0", "0.01", "-0.01", "1.50", "99999999.99", "-99999999.99", "10000", "12345.6"],
    "numeric(20, 5)": ["10000.00001", "0.0001", "0.00012", "-123456789012345.67890"],
    "numeric(38, 10)": ["0", "1.5", "-9999999999999999999999999999.9999999999", "0.0000000001"],
    "text": ["", "a", "it''s", "ü € 😀", "tab\tline\nreturn\r", "back\\\\slash \"quoted\"", "NULL", "\\N", "\\.", " blanks ", "x" * 70_000],
    "varchar(5)": ["", "abcde", "ünï"],
    "bytea": ["\\x", "\\x00", "\\xdeadbeef", "\\x" + bytes(range(256)).hex()],
    "date": ["1970-01-01", "2000-01-01", "1999-12-31", "2024-02-29", "0001-01-01", "9999-12-31", "10000-01-01", "0001-12-31 BC", "4713-01-01 BC"],
    "time": ["00:00:00", "23:59:59.999999", "12:34:56.7", "00:00:00.000001"],
    "timestamp": ["1970-01-01 00:00:00", "2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "1970-01-01 00:00:00.000001", "0001-01-01 00:00:00",
                  "9999-12-31 23:59:59.999999", "10000-01-01 12:00:00", "4713-01-01 00:00:00 BC"],
    "timestamptz": ["1970-01-01 00:00:00+00", "2000-01-01 00:00:00+00", "1999-12-31 23:59:59.999999+00", "0001-01-01 00:00:00+00",
                    "9999-12-31 23:59:59.999999+00", "2024-03-31 01:30:00+00", "2024-07-01 12:00:00+05:30", "1883-11-18 12:00:00+00"],
    "interval": ["0", "1 year 2 mons 3 days 04:05:06.789", "-1 year", "1 mon -1 days", "-1 mon +1 day", "-00:00:00.000001", "100:00:00", "3 days -04:05:06",
                 "11 mons", "-178956970 years -8 mons", "178956970 years 7 mons", "2147483647 days", "-2147483648 days", "2562047:00:00"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "00010203-0405-0607-0809-0a0b0c0d0e0f"],
    "json": ["{\"b\": 1,   \"a\": [1, null]}", "null", "\"x\"", "1e400", "[]"],
    "jsonb": ["{\"a\": [1, null, {}], \"b\": \"x\"}", "null", "\"ü\"", "1.50", "[]", "true", "-12345678901234567890"],
    "boolean[]": ["{}", "{t,f,NULL}"],
    "smallint[]": ["{-32768,32767}"],
    "integer[]": ["{}", "{1,NULL,3}", "{NULL}"],
    "bigint[]": ["{9223372036854775807,-9223372036854775808}"],
    "real[]": ["{0.1,NaN,-Infinity}"],
    "double precision[]": ["{0.1,1e300,NULL}"],
    "numeric(10, 2)[]": ["{1.50,-0.01,NULL}"],
    "text[]": ["{}", "{a,NULL,\"NULL\",\"\",\"a b\",\"x,y\",\"{}\",\"q\\\"q\",\"b\\\\\\\\s\"}"],
    "bytea[]": ["{\"\\\\x00ff\",NULL}"],
    "date[]": ["{2024-02-29,1970-01-01}"],
    "time[]": ["{12:34:56.7}"],
    "timestamp[]": ["{\"2024-02-29 12:00:00\",NULL}"],
    "timestamptz[]": ["{\"2024-02-29 12:00:00+00\"}"],
    "interval[]": ["{\"1 day 02:03:04\",00:00:00}"],
    "uuid[]": ["{00010203-0405-0607-0809-0a0b0c0d0e0f,NULL}"],
    "jsonb[]": ["{\"{\\\"a\\\": 1}\",\"null\",NULL}"],
}
CASES = [(name, value) for name, values in VALUES.items() for value in values]
IDS = [f"{name}-{at}" for at, (name, _) in enumerate(CASES)]

# What PostgreSQL has and Polder has not: refused, never another value.
REFUSED = [
    ("date", "infinity"), ("date", "5874897-12-31"), ("timestamp", "infinity"), ("timestamp", "-infinity"), ("timestamptz", "infinity"),
    ("timestamp", "294276-12-31 23:59:59.999999"), ("time", "24:00:00"), ("interval", "2562048:00:00"), ("interval", "-2562047788:00:54.775807"),
    ("numeric", "NaN"), ("numeric", "Infinity"), ("numeric", "1" + "0" * 200),
]


class Refused(Exception):
    """An error of either server; its code."""


class Asker:
    """A session that gives values as they came."""

    def __init__(self, connection: raw.Raw):
        self.connection = connection

    def ask(self, sql: str, values=(), types=(), formats=(), results=()) -> tuple:
        """OIDs of the columns, and rows."""
        messages = self.connection.send(parse(sql, types=types), bind(values, formats, results), describe(), execute(), SYNC).until(b"Z")
        for kind, body in messages:
            if kind == b"E":
                raise Refused(raw.fields(body)["C"], raw.fields(body)["M"])
        oids = next((oids_of(body) for kind, body in messages if kind == b"T"), ())
        return oids, [raw.row(body) for kind, body in messages if kind == b"D"]

    def run(self, sql: str) -> None:
        self.connection.rows(sql)

    def copy_out(self, sql: str) -> bytes:
        messages = self.connection.run(sql)
        assert not [body for kind, body in messages if kind == b"E"], messages
        return b"".join(body for kind, body in messages if kind == b"d")

    def copy_in(self, sql: str, data: bytes) -> None:
        self.connection.send(query(sql), *(frame(b"d", data[at:at + 1000]) for at in range(0, len(data), 1000)), frame(b"c"))
        wrong = [raw.fields(body) for kind, body in self.connection.until(b"Z") if kind == b"E"]
        assert not wrong, wrong


def oids_of(body: bytes) -> tuple:
    """The types' OIDs of a RowDescription."""
    oids, at = [], 2
    while at < len(body):
        at = body.index(b"\0", at) + 1
        oids.append(struct.unpack_from("!I", body, at + 6)[0])
        at += 18
    return tuple(oids)


@pytest.fixture(scope="module")
def ours(server):
    with raw.login(server) as connection:
        connection.run("SET timezone = 'UTC'")
        yield Asker(connection)


@pytest.fixture(scope="module")
def theirs(postgres):
    address, _ = postgres.database()
    with raw.Raw("127.0.0.1", postgres.port).login("polder", database=address.rsplit("/", 1)[1]) as connection:
        connection.run("SET timezone = 'UTC'")
        yield Asker(connection)


def literal(name: str, value: str) -> str:
    # Escapes only where they are meant: the text of a value has backslashes of its own.
    return f"'{value}'::{name}"


def short(rows: list) -> str:
    return str(rows)[:500]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name, value", CASES, ids=IDS)
def test_results(ours, theirs, name, value, form):
    sql = f"SELECT {literal(name, value)} AS v"
    got, wanted = ours.ask(sql, results=(FORMATS[form],)), theirs.ask(sql, results=(FORMATS[form],))
    assert got == wanted, (short(got), short(wanted))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name, value", CASES, ids=IDS)
def test_parameters(ours, theirs, name, value, form):
    """What PostgreSQL gives comes back from Polder, in both formats, of a type that is said and of one that is found."""
    code = FORMATS[form]
    (oid,), [(sent,)] = theirs.ask(f"SELECT {literal(name, value)} AS v", results=(code,))
    for types in ((oid,), ()):
        for results in (0, 1):
            got = ours.ask(f"SELECT $1::{name} AS v", (sent,), types, (code,), (results,))
            wanted = theirs.ask(f"SELECT $1::{name} AS v", (sent,), types, (code,), (results,))
            assert got == wanted, (types, results, short(got), short(wanted))


@pytest.mark.parametrize("name", VALUES)
def test_missing_values(ours, theirs, name):
    for code in FORMATS.values():
        sql = f"SELECT NULL::{name} AS v"
        assert ours.ask(sql, results=(code,)) == theirs.ask(sql, results=(code,))
        ((oid,), rows) = ours.ask(f"SELECT $1::{name} AS v", (None,), results=(code,))
        assert rows == [(None,)] and oid == theirs.ask(sql)[0][0]


@pytest.mark.parametrize("name, value", REFUSED, ids=[f"{name}-{at}" for at, (name, _) in enumerate(REFUSED)])
def test_what_there_is_not_is_refused(ours, theirs, name, value):
    (oid,), [(in_text,)] = theirs.ask(f"SELECT {literal(name, value)} AS v")
    _, [(in_binary,)] = theirs.ask(f"SELECT {literal(name, value)} AS v", results=(1,))
    for sql, values, formats in ((f"SELECT {literal(name, value)} AS v", (), ()), (f"SELECT $1::{name} AS v", (in_text,), (0,)),
                                 (f"SELECT $1::{name} AS v", (in_binary,), (1,))):
        with pytest.raises(Refused) as caught:
            answer = ours.ask(sql, values, (oid,) if values else (), formats)
            pytest.fail(f"{sql} {values} gave {answer}")
        assert caught.value.args[0][:2] in ("22", "0A", "08"), caught.value


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York", "Europe/Berlin", "Pacific/Apia"])
def test_instants_in_zones(ours, theirs, zone):
    try:
        for asker in (ours, theirs):
            asker.run(f"SET timezone = '{zone}'")
        for value in VALUES["timestamptz"]:
            for code in FORMATS.values():
                for kind, written in (("timestamptz", value), ("timestamptz[]", f'{{"{value}"}}')):
                    sql = f"SELECT {literal(kind, written)} AS v"
                    got, wanted = ours.ask(sql, results=(code,)), theirs.ask(sql, results=(code,))
                    assert got == wanted, (kind, value, code)
    finally:
        for asker in (ours, theirs):
            asker.run("SET timezone = 'UTC'")


# What Arrow has no type for, through what makes other values of it.
OF_CATALOG = ["array_agg(oid)", "array_agg(oid ORDER BY oid DESC)", "array_agg(typname)", "array_agg(DISTINCT typtype)", "array_agg('{}'::jsonb)",
              "array_agg('{}'::json)"]
OF_CATALOG_TOO = ["CASE WHEN oid > 5 THEN oid END", "CASE WHEN oid > 5 THEN NULL ELSE typname END", "coalesce(oid, typelem)", "nullif(oid, typelem)",
                  "CASE WHEN oid > 5 THEN '{}'::jsonb ELSE NULL END", "CASE WHEN oid > 5 THEN '1'::json WHEN oid > 4 THEN '2'::json END",
                  "ARRAY[oid, typelem]", "ARRAY['{}'::jsonb, NULL]", "ARRAY(SELECT oid FROM pg_class)", "('{}'::jsonb[])::text[]",
                  "(SELECT array_agg(relname) FROM pg_class WHERE pg_class.oid = pg_type.typrelid)",
                  "CASE WHEN typtype = 'c' THEN (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = typrelid) ELSE NULL END",
                  "CASE WHEN oid > 5 THEN 1::smallint END", "typname::text", "ARRAY[typname]::text[]", "typtype::text", "coalesce(oid, 0)",
                  "CASE WHEN oid > 5 THEN typname ELSE 'x' END", "(ARRAY[typname])[1]", "(ARRAY[oid, 5])[2]", "(ARRAY['{}'::jsonb])[1]",
                  "ARRAY(SELECT typname FROM pg_type)", "ARRAY(SELECT '{}'::jsonb)", "ARRAY(SELECT typname::text FROM pg_type)",
                  "(SELECT t.typname FROM pg_type t WHERE t.oid = pg_type.typelem)", "(SELECT t.oid FROM pg_type t WHERE t.oid = pg_type.typelem LIMIT 1)",
                  "unnest(ARRAY[oid])", "unnest(ARRAY[typname])", "coalesce('{}'::jsonb, '{}')", "CASE WHEN oid > 5 THEN '{}'::jsonb ELSE '[]' END",
                  "('{1}'::jsonb[])[1]", "('{1}'::json[])[1]", "('{1}'::jsonb[])[1:1]", "'{1}'::jsonb[] || '2'::jsonb",
                  "'1'::json || '{2}'::json[]", "array_cat('{1}'::jsonb[], '{2}'::jsonb[])", "array_append('{}'::json[], '1'::json)",
                  "array_remove('{1}'::jsonb[], '1'::jsonb)", "unnest('{1}'::jsonb[])", "coalesce('{1}'::jsonb[], '{}')",
                  "CASE WHEN oid > 5 THEN '{}' ELSE '1'::json END", "(ARRAY[oid])[1]",
                  "json_build_object('a', oid)", "json_build_array(1)", "to_json(oid)", "to_jsonb(oid)", "row_to_json(row(1))", "jsonb_array_elements('[]')",
                  "array_to_json(ARRAY[1])", "json_object('{a,b}')", "nullif(typname, 'x')::text"]
# Queries around them.
OF_QUERIES = ["SELECT ARRAY[oid] AS v FROM pg_type WHERE oid < 0 GROUP BY ARRAY[oid]", "SELECT v FROM (SELECT coalesce(oid, 0) AS v FROM pg_type) s WHERE v < 0",
              "SELECT json_agg(oid) AS v FROM pg_type WHERE oid < 0", "SELECT json_object_agg(oid, typname) AS v FROM pg_type WHERE oid < 0",
              "SELECT CASE WHEN true THEN oid END AS v FROM pg_type WHERE oid < 0 UNION ALL SELECT NULL",
              "SELECT DISTINCT typname::text AS v FROM pg_type WHERE oid < 0 ORDER BY v",
              "WITH RECURSIVE s (v, n) AS (SELECT typname::text, 1 FROM pg_type WHERE oid < 0 UNION ALL SELECT v, n + 1 FROM s WHERE n < 3) SELECT v FROM s",
              "WITH RECURSIVE s (v, n) AS (SELECT ARRAY[oid], 1 FROM pg_type WHERE oid < 0 UNION ALL SELECT v, n + 1 FROM s WHERE n < 3) SELECT v FROM s",
              "WITH RECURSIVE s (v, n) AS (SELECT oid::regclass::text, 1 FROM pg_class WHERE oid < 0 UNION ALL SELECT v, n + 1 FROM s WHERE n < 3) SELECT v FROM s"]


@pytest.mark.parametrize("expression", [*OF_CATALOG, *OF_CATALOG_TOO])
def test_types_of_expressions(ours, theirs, expression):
    sql = f"SELECT {expression} AS v FROM pg_type WHERE oid < 0"
    assert ours.ask(sql)[0] == theirs.ask(sql)[0]


@pytest.mark.parametrize("sql", OF_QUERIES)
def test_types_of_queries(ours, theirs, sql):
    assert ours.ask(sql)[0] == theirs.ask(sql)[0]


# Tables


# In lists there are no intervals, which tables keep as text.
KEPT = [name for name in VALUES if name != "interval[]"]


@pytest.fixture(scope="module")
def tables(ours, theirs):
    """Gives a table of both with a column of a type, filled by parameters in binary as PostgreSQL writes them."""
    made = {}

    def of(kind: str) -> str:
        if kind not in made:
            name = f"types_{next(NUMBERS)}"
            for asker in (ours, theirs):
                asker.run(f"CREATE TABLE {name} (id BIGINT, v {kind})")
            for number, value in enumerate([*VALUES[kind], None]):
                item = f"NULL::{kind}" if value is None else literal(kind, value)
                oids, [values] = theirs.ask(f"SELECT {number}::bigint, {item}", results=(1,))
                for asker in (ours, theirs):
                    asker.ask(f"INSERT INTO {name} VALUES ($1, $2)", values, oids, (1,))
            # Only now: a table that could not be filled is another test's failure too.
            made[kind] = name
        return made[kind]

    return of


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", KEPT)
def test_columns(ours, theirs, tables, kind, form):
    sql = f"SELECT id, v FROM {tables(kind)} ORDER BY id"
    got, wanted = ours.ask(sql, results=(FORMATS[form],)), theirs.ask(sql, results=(FORMATS[form],))
    assert got[0] == wanted[0]
    for mine, other in zip(got[1], wanted[1], strict=True):
        assert mine == other, (short(mine), short(other))


OPTIONS = {"text": "", "csv": "(FORMAT csv, HEADER)", "binary": "(FORMAT binary)"}


@pytest.mark.parametrize("form", OPTIONS)
@pytest.mark.parametrize("kind", KEPT)
def test_copies(ours, theirs, tables, kind, form):
    """Out of both the same bytes; and PostgreSQL's into Polder, which then has the same values."""
    out = f"COPY (SELECT id, v FROM {tables(kind)} ORDER BY id) TO STDOUT {OPTIONS[form]}"
    wanted = theirs.copy_out(out)
    got = ours.copy_out(out)
    assert short(got) == short(wanted) and got == wanted
    name = f"copied_{next(NUMBERS)}"
    ours.run(f"CREATE TABLE {name} (id BIGINT, v {kind})")
    ours.copy_in(f"COPY {name} FROM STDIN {OPTIONS[form]}", wanted)
    assert ours.copy_out(f"COPY (SELECT id, v FROM {name} ORDER BY id) TO STDOUT {OPTIONS[form]}") == wanted
    ours.run(f"DROP TABLE {name}")


def test_characters_of_a_fixed_number(ours, theirs):
    for value in ("", "ab", "abcde"):
        for code in FORMATS.values():
            got, wanted = (asker.ask(f"SELECT '{value}'::char(5) AS v", results=(code,)) for asker in (ours, theirs))
            assert got == wanted, (value, code)
