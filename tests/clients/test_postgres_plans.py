"""EXPLAIN (FORMAT JSON), as programs read it that draw plans: what stands where in it is as at PostgreSQL."""

import json

import psycopg
import pytest

import drivers

TABLES = ("DROP TABLE IF EXISTS plans", "CREATE TABLE plans (id INT, v INT)", "INSERT INTO plans VALUES (1, 2), (3, 4)")
STATEMENTS = ("SELECT * FROM plans", "SELECT v, count(*) FROM plans WHERE id > 1 GROUP BY v ORDER BY v", "UPDATE plans SET v = 1 WHERE id = 1",
              "INSERT INTO plans SELECT id + 1, v FROM plans", "DELETE FROM plans WHERE v = 1")


@pytest.fixture(scope="module")
def both(server, postgres):
    """A connection to each."""
    with connected(drivers.polders(server)) as ours, connected(drivers.postgresqls(postgres)) as theirs:
        for connection in (ours, theirs):
            for sql in TABLES:
                connection.execute(sql)
        yield ours, theirs


def connected(place: drivers.Place) -> psycopg.Connection:
    return psycopg.connect(host=place.host, port=place.port, user=place.user, password=place.password, dbname=place.database, autocommit=True)


def shape(connection: psycopg.Connection, sql: str, binary: bool = False) -> tuple:
    """The column, its type, how many rows there are, and how the plan in them begins."""
    answer = connection.cursor(binary=binary).execute(sql)
    rows = answer.fetchall()
    plan = rows[0][0]
    assert isinstance(plan, list), json.dumps(plan)
    return answer.description[0].name, answer.description[0].type_code, len(answer.description), len(rows), len(plan), "Node Type" in plan[0]["Plan"]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_plan_in_json(both, sql):
    ours, theirs = (shape(connection, f"EXPLAIN (FORMAT JSON) {sql}") for connection in both)
    assert ours == theirs


def test_described_and_in_binary(both):
    ours, theirs = (shape(connection, f"EXPLAIN (FORMAT JSON) {STATEMENTS[0]}", binary=True) for connection in both)
    assert ours == theirs


def test_analyzed(both):
    ours, theirs = (shape(connection, f"EXPLAIN (ANALYZE, FORMAT JSON) {STATEMENTS[1]}") for connection in both)
    assert ours == theirs


def test_nothing_is_changed(both):
    ours, _ = both
    assert ours.execute("SELECT id, v FROM plans ORDER BY id").fetchall() == [(1, 2), (3, 4)]
