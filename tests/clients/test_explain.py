"""EXPLAIN of statements that change: what would run, without running; with ANALYZE what ran."""

import pytest

import polder

# Statement → its name, and the rows that it changes.
CHANGES = {
    "INSERT INTO t SELECT id + 10, v FROM t": ("INSERT", 3),
    "INSERT INTO t VALUES (1, 5), (7, 7) ON CONFLICT (id) DO UPDATE SET v = excluded.v": ("INSERT", 2),
    "UPDATE t SET v = t.v + s.v FROM s WHERE s.id = t.id": ("UPDATE", 1),
    "DELETE FROM t WHERE v > (SELECT min(v) + 9 FROM s)": ("DELETE", 2),
    "DELETE FROM t": ("DELETE", 3),
    "MERGE INTO t USING s ON s.id = t.id WHEN MATCHED THEN UPDATE SET v = s.v "
    "WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)": ("MERGE", 2),
}


@pytest.fixture
def tables(client):
    for sql in ("DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS s", "CREATE TABLE t (id bigint PRIMARY KEY, v bigint)",
                "CREATE TABLE s (id bigint, v bigint)", "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)",
                "INSERT INTO s VALUES (2, 1), (4, 100)"):
        client.sql(sql)
    return client


def explained(client, sql: str) -> dict:
    return {row["plan_type"]: row["plan"] for row in client.sql(sql)}


def contents(client) -> list:
    return [tuple(row.values()) for row in client.sql("SELECT id, v FROM t ORDER BY id, v")]


@pytest.mark.parametrize("sql", CHANGES)
def test_explained_and_not_done(tables, sql):
    before = contents(tables), tables.value("SELECT max(snapshot) FROM polder.snapshots")
    told = explained(tables, f"EXPLAIN {sql}")
    assert told["change"] == f"{CHANGES[sql][0]} of public.t, of the rows that this query finds"
    assert "Exec" in told["physical_plan"] and "logical_plan" in told
    assert "initial_physical_plan" in explained(tables, f"EXPLAIN VERBOSE {sql}")
    assert "┌" in explained(tables, f"EXPLAIN FORMAT TREE {sql}")["physical_plan"]
    assert (contents(tables), tables.value("SELECT max(snapshot) FROM polder.snapshots")) == before


@pytest.mark.parametrize("sql", CHANGES)
def test_analyzed_and_done(tables, sql):
    tables.sql(sql)
    after = contents(tables)
    tables.sql("DELETE FROM t; INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)")
    told = explained(tables, f"EXPLAIN ANALYZE {sql}")
    verb, changed = CHANGES[sql]
    assert told["change"] == f"{verb} of public.t: {changed} {'row' if changed == 1 else 'rows'}"
    assert "output_rows=" in told["Plan with Metrics"]
    assert contents(tables) == after


def test_the_query_of_a_create(tables):
    for sql in ("CREATE TABLE u AS SELECT id FROM t WHERE v > 10", "CREATE VIEW u AS SELECT id FROM t WHERE v > 10"):
        assert "physical_plan" in explained(tables, f"EXPLAIN {sql}")
        with pytest.raises(polder.Failed, match="0A000"):
            tables.sql(f"EXPLAIN ANALYZE {sql}")
    assert tables.sql("SELECT table_name FROM polder.tables WHERE table_name = 'u'") == []


def test_a_read_only_transaction_explains_changes(tables):
    tables.sql("BEGIN READ ONLY; EXPLAIN UPDATE t SET v = 0; COMMIT")
    with pytest.raises(polder.Failed, match="25006"):
        tables.sql("BEGIN READ ONLY; EXPLAIN ANALYZE UPDATE t SET v = 0; COMMIT")


def test_analyzed_in_a_transaction_that_is_rolled_back(tables):
    before = contents(tables)
    tables.sql("BEGIN; EXPLAIN ANALYZE DELETE FROM t; ROLLBACK")
    assert contents(tables) == before


@pytest.mark.parametrize("sql,code", [
    ("EXPLAIN DROP TABLE t", "0A000"),
    ("EXPLAIN UPDATE nowhere SET v = 1", "42P01"),
    ("EXPLAIN UPDATE t SET w = 1", "42703"),
    ("EXPLAIN ANALYZE UPDATE t SET v = 1 / 0", "22012"),
    ("EXPLAIN ANALYZE FORMAT TREE UPDATE t SET v = 1", "0A000"),
])
def test_what_cannot_be_explained_says_so(tables, sql, code):
    before = contents(tables)
    with pytest.raises(polder.Failed) as failed:
        tables.sql(sql)
    assert failed.value.code == code, failed.value
    assert contents(tables) == before


def test_plans_show_no_tricks(tables):
    """What only tells the names of two columns apart is not shown, nor is a node's name twice."""
    query = "SELECT max(v), max(v::text), max(v::numeric(10, 2)) FROM t GROUP BY id, id::text"
    for options in ("", "ANALYZE ", "VERBOSE ", "(FORMAT pgjson) "):
        text = "\n".join(row["plan"] for row in tables.sql(f"EXPLAIN {options}{query}"))
        assert "polder_same" not in text and "\x01" not in text and "u0001" not in text, text
        assert "max(t.v)" in text, text
    tables.sql("DELETE FROM t WHERE id = 1")
    tree = tables.sql("EXPLAIN (FORMAT tree) SELECT v, v FROM t JOIN (SELECT id AS other, id AS other_too FROM t) AS o ON t.id = o.other")
    lines = "\n".join(row["plan"] for row in tree).splitlines()
    assert all("TableScanExec:" not in line for line in lines) and any("TableScanExec" in line for line in lines), lines
    alone = [line.rstrip() for line in lines if line.startswith("│") and line.count("│") == 2 and line.rstrip().endswith("│")]
    assert len({len(line) for line in alone}) == 1, lines


def test_what_floats_are_sorted_by_passes_over_files(client):
    """Both zeros are one value for what rows are sorted by; files without them are passed over as by other columns."""
    client.sql("CREATE TABLE priced (i int, f float8)")
    for start in (0, 40_000, 20_000):
        client.sql(f"INSERT INTO priced SELECT value, value::float8 / 2 + 1 FROM generate_series({start} + 1, {start} + 20000) AS s(value)")
    plan = str(client.sql("EXPLAIN ANALYZE SELECT i, f FROM priced ORDER BY f DESC, i LIMIT 3"))
    assert "pruning_predicate=" in plan, plan
    assert client.sql("SELECT i FROM priced ORDER BY f DESC, i LIMIT 3") == [{"i": 60_000}, {"i": 59_999}, {"i": 59_998}]
    assert client.sql("SELECT i FROM priced ORDER BY f, i LIMIT 2") == [{"i": 1}, {"i": 2}]
    # The first files fill the answer with one zero, and what belongs before it is the other one, in the next.
    client.sql("CREATE TABLE zeros (i int, f float8)")
    for zero, start in (("0", 40_000), ("-0", 20_000), ("0", 0), ("-0", -20_000)):
        client.sql(f"INSERT INTO zeros SELECT value, '{zero}'::float8 FROM generate_series({start} + 1, {start} + 20000) AS s(value)")
    for order in ("f", "f DESC"):
        found = client.sql(f"SELECT i FROM zeros ORDER BY {order}, i LIMIT 3")
        assert found == [{"i": -19_999}, {"i": -19_998}, {"i": -19_997}], (order, found)
