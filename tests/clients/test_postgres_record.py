"""polder.queries has each statement that came by PostgreSQL's protocol, in the words in which it was sent: those that the
server of the protocol carries out by itself, those that stand for others, and those that are refused before they begin."""

import psycopg
import pytest

from test_postgres_psycopg import address


@pytest.fixture
def connection(server):
    with psycopg.connect(**address(server), autocommit=True) as opened:
        yield opened


@pytest.fixture
def recorded(server, connection):
    """What has been recorded since, without transactions: text, state, rows returned and changed, code. Oldest first."""
    since = connection.execute("SELECT clock_timestamp()").fetchone()[0]

    def look() -> list[tuple]:
        with psycopg.connect(**address(server), autocommit=True) as other:
            rows = other.execute("SELECT sql, state, rows_returned, rows_changed, error_code FROM polder.queries"
                                 " WHERE via = 'postgres' AND started_at >= %s AND sql NOT LIKE '%%polder.queries%%'"
                                 " AND sql NOT IN ('BEGIN', 'COMMIT', 'ROLLBACK') ORDER BY started_at, query_id", [since]).fetchall()
        return rows

    return look


def test_copy_is_recorded_as_it_was_sent(connection, recorded):
    connection.execute("CREATE TABLE copied_twice (a int)")
    with connection.cursor().copy("COPY copied_twice (a) FROM STDIN") as copy:
        copy.write("7\n8\n")
    for out in ("COPY copied_twice TO STDOUT", "COPY (SELECT a + 1 FROM copied_twice) TO STDOUT (FORMAT csv)"):
        with connection.cursor().copy(out) as copy:
            assert len(list(copy)) >= 1
    with pytest.raises(psycopg.errors.UndefinedTable):
        with connection.cursor().copy("COPY never_there FROM STDIN") as copy:
            copy.write("1\n")
    assert recorded() == [
        ("CREATE TABLE copied_twice (a int)", "done", 0, 0, None),
        ("COPY copied_twice (a) FROM STDIN", "done", 0, 2, None),
        ("COPY copied_twice TO STDOUT", "done", 2, 0, None),
        ("COPY (SELECT a + 1 FROM copied_twice) TO STDOUT (FORMAT csv)", "done", 2, 0, None),
        ("COPY never_there FROM STDIN", "failed", 0, 0, "42P01")]


def test_cursors_are_recorded(connection, recorded):
    connection.execute("CREATE TABLE fetched AS SELECT value AS a FROM generate_series(1, 5) AS s(value)")
    with connection.transaction():
        connection.execute("DECLARE mine CURSOR FOR SELECT a FROM fetched")
        assert len(connection.execute("FETCH 2 FROM mine").fetchall()) == 2
        connection.execute("MOVE 1 IN mine")
        assert len(connection.execute("FETCH ALL FROM mine").fetchall()) == 2
        connection.execute("CLOSE mine")
    with pytest.raises(psycopg.errors.InvalidCursorName):
        connection.execute("FETCH 1 FROM nobodys")
    # A cursor is begun before its rows are asked for, and ends with them.
    assert recorded()[1:] == [
        ("DECLARE mine CURSOR FOR SELECT a FROM fetched", "done", 5, 0, None), ("FETCH 2 FROM mine", "done", 2, 0, None),
        ("MOVE 1 IN mine", "done", 0, 0, None), ("FETCH ALL FROM mine", "done", 2, 0, None), ("CLOSE mine", "done", 0, 0, None),
        ("FETCH 1 FROM nobodys", "failed", 0, 0, "34000")]


def test_prepared_statements_are_recorded(connection, recorded):
    connection.execute("CREATE TABLE named (a int)")
    connection.execute("PREPARE put (int) AS INSERT INTO named VALUES ($1)")
    connection.execute("EXECUTE put (7)")
    connection.execute("PREPARE one AS SELECT 1")
    for _ in range(3):
        assert connection.execute("EXECUTE one").fetchall() == [(1,)]
    with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
        connection.execute("PREPARE one AS SELECT 2")
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        connection.execute("EXECUTE nobodys (1)")
    connection.execute("DEALLOCATE put")
    seen = recorded()
    for expected in (("PREPARE put (int) AS INSERT INTO named VALUES ($1)", "done", 0, 0, None), ("EXECUTE put (7)", "done", 0, 1, None),
                     ("PREPARE one AS SELECT 2", "failed", 0, 0, "42P05"), ("EXECUTE nobodys (1)", "failed", 0, 0, "26000"),
                     ("DEALLOCATE put", "done", 0, 0, None)):
        assert seen.count(expected) == 1, (expected, seen)
    assert seen.count(("EXECUTE one", "done", 1, 0, None)) == 3, seen
    assert not [row for row in seen if row[0] == "SELECT 1"], seen


def test_comments_stay_with_their_statements(connection, recorded):
    alone = ["/* app=x */ SELECT 11 AS a", "-- name: x\nSELECT 12 AS a", "SELECT 13 AS a /* y */", "/* z */ SHOW server_version",
             "/* w */ PREPARE tagged AS SELECT 14 AS a", "/* v */ EXECUTE tagged"]
    for sql in alone:
        connection.execute(sql + " ;\n")
    connection.execute("/* u */ SELECT %s::int AS a", [15])
    connection.execute("/* first */ SELECT 16 AS a; -- second\nSELECT 17 AS a /* too */; SELECT 18 AS a -- last")
    connection.execute("CREATE TABLE tagged (a int)")
    with connection.cursor().copy("/* t */ COPY tagged FROM STDIN") as copy:
        copy.write("7\n")
    # Not as many as one likes.
    connection.execute(f"/* {'x' * 5000} */ SELECT 19 AS a")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("-- two\n/* s */ SELECT never FROM tagged")
    seen = [row[0] for row in recorded() if not row[0].startswith("DEALLOCATE")]
    assert seen == [
        *alone, "/* u */ SELECT $1::int AS a", "/* first */ SELECT 16 AS a", "-- second\nSELECT 17 AS a /* too */",
        "SELECT 18 AS a -- last", "CREATE TABLE tagged (a int)", "/* t */ COPY tagged FROM STDIN", "SELECT 19 AS a",
        "-- two\n/* s */ SELECT never FROM tagged"]


def test_statements_that_came_together_and_those_of_the_protocol(connection, recorded):
    connection.execute("CREATE TABLE together (a int); INSERT INTO together VALUES (1), (2); SELECT 'both' FROM together; SHOW server_version;"
                       " SET extra_float_digits = 1")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT a FROM together; SELECT never FROM together; SELECT 'not reached'")
    with pytest.raises(psycopg.errors.SyntaxError):
        connection.execute("FETCH 1 2 3 FROM together")
    # A statement with a name is looked at when it is prepared, and that is all that comes of a wrong one.
    with pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT nothing_like_it FROM together", prepare=True)
    assert recorded() == [
        ("CREATE TABLE together (a int)", "done", 0, 0, None), ("INSERT INTO together VALUES (1), (2)", "done", 0, 2, None),
        ("SELECT 'both' FROM together", "done", 2, 0, None), ("SHOW server_version", "done", 0, 0, None),
        ("SET extra_float_digits = 1", "done", 0, 0, None),
        ("SELECT a FROM together", "done", 2, 0, None), ("SELECT never FROM together", "failed", 0, 0, "42703"),
        ("FETCH 1 2 3 FROM together", "failed", 0, 0, "42601"),
        ("SELECT nothing_like_it FROM together", "failed", 0, 0, "42703")]
