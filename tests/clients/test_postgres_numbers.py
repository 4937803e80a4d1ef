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
    "-(2147483648)", "-(-2147483648)", "-(-(5))", "1::smallint << 1", "20000::smallint << 2", "~ 1::smallint", "gcd(12, 18)", "lcm(4, 6::bigint)",
    "cardinality(ARRAY[1, 2])", "array_ndims(ARRAY[1, 2])", "array_position(ARRAY[1, 2], 2)", "array_positions(ARRAY[1, 2], 2)", "substr('abc', 2)",
    "x FROM generate_series(1, NULL::int) AS s (x)", "DISTINCT ON (x % 2) x % 2 FROM (VALUES (1), (2)) AS v (x) ORDER BY x % 2",
    "DISTINCT x + 1 FROM (VALUES (1), (2)) AS v (x) ORDER BY x + 1",
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
    ("SELECT x FROM (VALUES (1), (2), (3)) AS v (x) ORDER BY x LIMIT %s", Decimal(2)), ("SELECT x FROM (VALUES (1), (2), (3)) AS v (x) ORDER BY x OFFSET %s", Decimal("0.5")),
    ("SELECT x FROM (VALUES (1), (2), (3)) AS v (x) ORDER BY x LIMIT %s", Decimal("1.5")),
]
# Parameters of which nobody says what they are: they are what stands beside them.
OPEN = [
    "SELECT coalesce($1, 0)", "SELECT coalesce($1, $2, 1.5)", "SELECT coalesce(1, $1, 5000000000)", "SELECT coalesce($1, large) FROM numbers_told",
    "SELECT coalesce($1, current_date)", "SELECT CASE WHEN true THEN $1 ELSE 0 END", "SELECT CASE WHEN small = $1 THEN $2 ELSE 5 END FROM numbers_told",
    "SELECT CASE small WHEN $1 THEN 2 END FROM numbers_told", "SELECT greatest($1, 1), least(2.5, $2)", "VALUES ($1), (1)", "VALUES (1, $1), ($2, 'x')",
    "SELECT n FROM (VALUES ($1, 'a'), (1, 'b')) AS v (n, t)", "SELECT 1 UNION SELECT $1", "SELECT $1 UNION ALL SELECT 1", "SELECT large FROM numbers_told UNION SELECT $1",
    "SELECT ARRAY[$1, 1]", "SELECT nullif($1, 0), nullif(0, $2)", "SELECT nullif(large, $1) FROM numbers_told", "SELECT x FROM generate_series(1, $1) AS s (x)",
    "SELECT x FROM generate_series($1, 10) AS s (x) WHERE x > $2", "SELECT x FROM generate_series(1, $1::bigint) AS s (x)", "SELECT $1 IN (1, 2)",
    "SELECT $1 BETWEEN 1 AND 2", "SELECT $1 = ANY(ARRAY[1, 2])", "SELECT small = ANY($1) FROM numbers_told", "SELECT $1::int, coalesce($2, 3)",
    "INSERT INTO numbers_told VALUES ($1, coalesce($2, 1))", "INSERT INTO numbers_told VALUES ($1, $2) RETURNING small, $2 + 1",
    "UPDATE numbers_told SET large = coalesce($1, 5) WHERE small = $2", "SELECT 1 LIMIT $1 OFFSET $2",
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


@pytest.fixture(scope="module")
def numbers_told(both):
    for connection in both:
        connection.execute("CREATE TABLE numbers_told (small int, large bigint)")
    yield
    for connection in both:
        connection.execute("DROP TABLE numbers_told")


def described(connection, sql: str) -> tuple:
    """The types of the parameters and of the columns."""
    wire = connection.pgconn
    wire.prepare(b"", sql.encode())
    answer = wire.describe_prepared(b"")
    assert answer.status == psycopg.pq.ExecStatus.COMMAND_OK, answer.error_message
    return [answer.param_type(at) for at in range(answer.nparams)], [answer.ftype(at) for at in range(answer.nfields)]


@pytest.mark.parametrize("sql", OPEN)
def test_open_parameters(both, numbers_told, sql):
    ours, theirs = both
    assert described(ours, sql) == described(theirs, sql)


def test_values_of_execute_are_what_their_columns_are(both, numbers_told):
    found = []
    for connection in both:
        connection.execute("PREPARE numbers_put AS INSERT INTO numbers_told VALUES ($1, $2) RETURNING small, large, $2 + 1")
        connection.execute("PREPARE numbers_or AS SELECT coalesce($1, 5)")
        found.append([told(connection, "EXECUTE numbers_put (501, 2147483647)"), told(connection, "EXECUTE numbers_or (7)")])
        with pytest.raises(psycopg.errors.NumericValueOutOfRange):
            connection.execute("EXECUTE numbers_or (3000000000)")
        connection.execute("DEALLOCATE ALL")
    assert found[0] == found[1]


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
