"""Whole numbers that are written out and that are sent along: the same types and values as from PostgreSQL."""

from decimal import Decimal

import psycopg
import pytest
from psycopg.types.numeric import Int2, Int4, Int8

from test_postgres_psycopg import address

WRITTEN = [
    "1", "-1", "2147483647", "2147483648", "-2147483648", "-2147483649", "9223372036854775807", "9223372036854775808",
    "1 + 1", "7 / 2", "7 % 4", "-(1 + 1)", "1 + 2147483648", "1::smallint + 1", "1::bigint + 1", "1::real * 2", "5 # 3", "1 << 4", "~ 5",
    "abs(-5)", "mod(7, 4)", "mod(7, 5000000000)", "coalesce(NULL, 1)", "coalesce(1, 5000000000)", "greatest(1, 2)", "nullif(1, 2)",
    "CASE WHEN true THEN 1 ELSE 2 END", "CASE WHEN true THEN 1 ELSE 5000000000 END", "ARRAY[1, 2]", "ARRAY[1, 5000000000]", "(ARRAY[1, 2])[1]",
    "ARRAY[1, 2] || 3", "(SELECT 1)", "ARRAY(SELECT 1)", "count(*)", "count(*) + 1", "sum(1)", "max(1)", "array_agg(1)", "length('abc') + 1",
    "date '2024-01-01' + 1", "date '2024-01-02' - date '2024-01-01'", "row_number() OVER () + 1", "generate_series(1, 2)",
    "generate_series(1, 5000000000, 5000000000)", "unnest(ARRAY[1, 2])", "x FROM (VALUES (1), (2)) AS v (x)", "x FROM (VALUES (1), (5000000000)) AS v (x)",
    "x FROM (SELECT 1 AS x UNION ALL SELECT 5000000000) AS u ORDER BY x", "x FROM generate_series(1, 3) AS s (x)",
    "x * 2 FROM generate_series(1, 3::bigint) AS s (x)", "sum(x) FROM generate_series(1, 3) AS s (x)",
]
TOO_LARGE = {
    "2147483647 + 1": "integer", "-2147483648 - 1": "integer", "65536 * 65536": "integer", "9223372036854775807 + 1": "bigint",
    "32767::smallint + 1::smallint": "smallint", "sum(x * 100000) FROM generate_series(1, 100000) AS s (x)": "integer",
}
# A query, and what is sent along.
SENT = [
    ("SELECT %s + 1", Int4(70_000)), ("SELECT %s + 1", Int8(5)), ("SELECT %s + 2147483647", Int8(5)), ("SELECT %s * 2", Int8(-(2**31))), ("SELECT %s", Int8(5)),
    ("SELECT %s / 2", Decimal(1)), ("SELECT %s", Decimal(-5)), ("SELECT %s", Int4(5)), ("SELECT coalesce(%s, 1)", Int8(-5)), ("SELECT ARRAY[%s, 1]", Int8(5)), ("SELECT %s + 1", Int2(5)),
    ("SELECT x FROM generate_series(1, %s) AS s (x)", Int4(3)), ("SELECT x FROM generate_series(1, %s) AS s (x)", Int8(3)),
    ("SELECT x FROM (VALUES (1), (2), (3)) AS v (x) ORDER BY x LIMIT %s", Int8(2)), ("SELECT x FROM (VALUES (1), (2)) AS v (x) WHERE x = %s", Int8(2)),
]


@pytest.fixture(scope="module")
def both(server, postgres):
    """A connection to each: first ours, then theirs."""
    with psycopg.connect(**address(server), autocommit=True) as ours, psycopg.connect(postgres.database()[0], autocommit=True) as theirs:
        yield ours, theirs


def told(connection, sql: str, *values) -> tuple:
    cursor = connection.execute(sql, values or None)
    return [column.type_code for column in cursor.description], cursor.fetchall()


@pytest.mark.parametrize("written", WRITTEN)
def test_written_out(both, written):
    ours, theirs = both
    assert told(ours, f"SELECT {written}") == told(theirs, f"SELECT {written}")


@pytest.mark.parametrize("written", TOO_LARGE)
def test_too_large(both, written):
    for connection in both:
        with pytest.raises(psycopg.errors.NumericValueOutOfRange, match=f"^{TOO_LARGE[written]} out of range"):
            connection.execute(f"SELECT {written}")


@pytest.mark.parametrize(("sql", "value"), SENT, ids=lambda part: f"{type(part).__name__} {part}" if isinstance(part, int) else part)
def test_sent_along(both, sql, value):
    ours, theirs = both
    assert told(ours, sql, value) == told(theirs, sql, value)


def test_columns_that_are_made(both):
    """What tools such as dbt compare with a contract, and what a driver binds rows by."""
    columns = []
    for connection in both:
        connection.execute("CREATE TABLE numbers_made AS SELECT 1 AS a, 5000000000 AS b, 1 + 1 AS c, ARRAY[1] AS d, count(*) AS e, sum(1) AS f")
        connection.execute("CREATE VIEW numbers_seen AS SELECT 1 AS one, a + 1 AS more, coalesce(e, 0) AS e, values_of.x FROM numbers_made, (VALUES (1)) AS values_of (x)")
        columns.append([
            connection.execute("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
                               [name]).fetchall()
            for name in ("numbers_made", "numbers_seen")])
        connection.execute("DROP VIEW numbers_seen")
        connection.execute("DROP TABLE numbers_made")
    assert columns[0] == columns[1]


def test_rows_are_found_by_numbers_of_either_width(both):
    found = []
    for connection in both:
        connection.execute("CREATE TABLE numbers_kept (small int, large bigint)")
        connection.execute("INSERT INTO numbers_kept SELECT x, x * 3000000000 FROM generate_series(1, 20) AS s (x)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO numbers_kept VALUES (%s, %s)", [(Int4(at), Int8(at)) for at in range(-5, 0)])
        found.append([
            connection.execute(f"SELECT small, large FROM numbers_kept WHERE {condition} ORDER BY small", values).fetchall()
            for condition, values in [
                ("large = 3000000000", None), ("small = 5", None), ("large = ANY(ARRAY[-1, -2])", None), ("small IN (1, 5000000000)", None),
                ("large = %s", [Int8(-3)]), ("small = %s", [Int8(2)]), ("small + 1 = %s", [Int4(3)]), ("large BETWEEN %s AND 5", [Int8(-2)])]])
        connection.execute("DROP TABLE numbers_kept")
    assert found[0] == found[1]
