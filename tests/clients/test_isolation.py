"""The anomalies that Hermitage tests for, and what snapshot isolation makes of each: https://github.com/ept/hermitage.

Polder checks for conflicts when a transaction commits, so nobody waits and the first to commit wins. Rows stand in the
catalog ("rows") or in one Parquet file ("file"); changes in one file exclude each other as a whole.
"""

import itertools

import pytest

import polder
from conversations import conversations

NUMBERS = itertools.count(1)
START = [(1, 10), (2, 20)]


@pytest.fixture(params=["rows", "file"])
def kept(request):
    return request.param


@pytest.fixture
def table(pair, kept):
    """A table of its own with the rows (1, 10) and (2, 20)."""
    name = f"hermitage_{next(NUMBERS)}"
    if kept == "rows":
        pair.client.sql(f"CREATE TABLE {name} (id bigint, value bigint)")
        pair.client.sql(f"INSERT INTO {name} VALUES (1, 10), (2, 20)")
    else:
        pair.client.sql(f"CREATE TABLE {name} AS SELECT * FROM (VALUES (1, 10), (2, 20)) AS v(id, value)")
    yield name
    pair.client.sql(f"DROP TABLE {name}")


def content(pair, table: str) -> list:
    """What everybody sees, Polder and DuckDB alike."""
    sql = f"SELECT id, value FROM {table} ORDER BY id"
    rows = pair.rows(sql)
    assert pair.look(sql) == rows
    return rows


def value_of(talk, table: str, number: int):
    return talk.rows(f"SELECT value FROM {table} WHERE id = {number}")[0][0]


def set_value(talk, table: str, number: int, value) -> None:
    assert talk.changed(f"UPDATE {table} SET value = {value} WHERE id = {number}") == 1


def test_g0_dirty_write(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        set_value(one, table, 1, 11)
        set_value(two, table, 1, 12)
        set_value(one, table, 2, 21)
        one.commit()
        assert content(pair, table) == [(1, 11), (2, 21)]
        set_value(two, table, 2, 22)
        two.refused_commit()
    assert content(pair, table) == [(1, 11), (2, 21)]


def test_g1a_aborted_read(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        set_value(one, table, 1, 101)
        assert two.rows(f"SELECT * FROM {table} ORDER BY id") == START
        one.rollback()
        assert two.rows(f"SELECT * FROM {table} ORDER BY id") == START
        two.commit()
    assert content(pair, table) == START


def test_g1b_intermediate_read(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        set_value(one, table, 1, 101)
        assert two.rows(f"SELECT * FROM {table} ORDER BY id") == START
        set_value(one, table, 1, 11)
        one.commit()
        # Read committed would show 11 now.
        assert two.rows(f"SELECT * FROM {table} ORDER BY id") == START
        two.commit()
    assert content(pair, table) == [(1, 11), (2, 20)]


def test_g1c_circular_information_flow(pair, table, kept):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        set_value(one, table, 1, 11)
        set_value(two, table, 2, 22)
        assert value_of(one, table, 2) == 20
        assert value_of(two, table, 1) == 10
        one.commit()
        if kept == "rows":
            two.commit()
        else:
            two.refused_commit()
    assert content(pair, table) == ([(1, 11), (2, 22)] if kept == "rows" else [(1, 11), (2, 20)])


def test_otv_observed_transaction_vanishes(pair, table):
    with conversations(pair.client, 3) as (one, two, three):
        one.begin()
        two.begin()
        set_value(one, table, 1, 11)
        set_value(one, table, 2, 19)
        set_value(two, table, 1, 12)
        one.commit()
        three.begin()
        assert value_of(three, table, 1) == 11
        set_value(two, table, 2, 18)
        assert value_of(three, table, 2) == 19
        two.refused_commit()
        assert (value_of(three, table, 2), value_of(three, table, 1)) == (19, 11)
        three.commit()
    assert content(pair, table) == [(1, 11), (2, 19)]


def test_pmp_predicate_many_preceders(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert one.rows(f"SELECT * FROM {table} WHERE value = 30") == []
        assert two.changed(f"INSERT INTO {table} VALUES (3, 30)") == 1
        two.commit()
        assert one.rows(f"SELECT * FROM {table} WHERE value % 3 = 0") == []
        one.commit()
    assert content(pair, table) == [*START, (3, 30)]


def test_pmp_for_write_predicates(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert one.changed(f"UPDATE {table} SET value = value + 10") == 2
        assert two.rows(f"SELECT * FROM {table} WHERE value = 20") == [(2, 20)]
        assert two.changed(f"DELETE FROM {table} WHERE value = 20") == 1
        one.commit()
        assert two.rows(f"SELECT * FROM {table} WHERE value = 20") == []
        two.refused_commit()
    assert content(pair, table) == [(1, 20), (2, 30)]


def test_p4_lost_update(pair, table):
    with conversations(pair.client, 2) as (one, two):
        for talk in (one, two):
            talk.begin()
            assert value_of(talk, table, 1) == 10
        set_value(one, table, 1, "value + 1")
        set_value(two, table, 1, "value + 1")
        one.commit()
        two.refused_commit()
        # Run again, as the hint says, it counts on what the first one left.
        two.begin()
        set_value(two, table, 1, "value + 1")
        two.commit()
    assert content(pair, table) == [(1, 12), (2, 20)]


def test_p4_lost_update_by_delete(pair, table):
    """A row that one transaction deletes and another changes, in either order of commits."""
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert one.changed(f"DELETE FROM {table} WHERE id = 1") == 1
        set_value(two, table, 1, 11)
        one.commit()
        two.refused_commit()
        one.begin()
        two.begin()
        assert one.changed(f"DELETE FROM {table} WHERE id = 2") == 1
        set_value(two, table, 2, 22)
        two.commit()
        one.refused_commit()
    assert content(pair, table) == [(2, 22)]


def test_g_single_read_skew(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert value_of(one, table, 1) == 10
        assert two.rows(f"SELECT * FROM {table} ORDER BY id") == START
        set_value(two, table, 1, 12)
        set_value(two, table, 2, 18)
        two.commit()
        assert value_of(one, table, 2) == 20
        one.commit()


def test_g_single_predicate_dependencies(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert one.rows(f"SELECT * FROM {table} WHERE value % 5 = 0 ORDER BY id") == START
        assert two.changed(f"UPDATE {table} SET value = 12 WHERE value = 10") == 1
        two.commit()
        assert one.rows(f"SELECT * FROM {table} WHERE value % 3 = 0") == []
        one.commit()
    assert content(pair, table) == [(1, 12), (2, 20)]


def test_g_single_write_predicate(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert value_of(one, table, 1) == 10
        assert two.rows(f"SELECT * FROM {table} ORDER BY id") == START
        set_value(two, table, 1, 12)
        set_value(two, table, 2, 18)
        two.commit()
        # The snapshot still has the row, so it is found; the commit is refused.
        assert one.changed(f"DELETE FROM {table} WHERE value = 20") == 1
        one.refused_commit()
    assert content(pair, table) == [(1, 12), (2, 18)]


def test_g_single_interleaved_writes(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert value_of(one, table, 1) == 10
        set_value(two, table, 1, 12)
        set_value(two, table, 2, 18)
        assert one.changed(f"DELETE FROM {table} WHERE value = 20") == 1
        two.commit()
        one.refused_commit()
    assert content(pair, table) == [(1, 12), (2, 18)]


def test_g2_item_write_skew_is_allowed(pair, table, kept):
    """Each reads both rows and changes another one: snapshot isolation lets both pass, serializability would not."""
    with conversations(pair.client, 2) as (one, two):
        for talk in (one, two):
            talk.begin()
            assert talk.rows(f"SELECT * FROM {table} WHERE id IN (1, 2) ORDER BY id") == START
        set_value(one, table, 1, 11)
        set_value(two, table, 2, 21)
        one.commit()
        if kept == "rows":
            two.commit()
        else:
            # Not the anomaly is refused, only the second change in one data file.
            two.refused_commit()
    assert content(pair, table) == ([(1, 11), (2, 21)] if kept == "rows" else [(1, 11), (2, 20)])


def test_g2_write_skew_by_predicate_is_allowed(pair, table):
    with conversations(pair.client, 2) as (one, two):
        for talk in (one, two):
            talk.begin()
            assert talk.rows(f"SELECT * FROM {table} WHERE value % 3 = 0") == []
        assert one.changed(f"INSERT INTO {table} VALUES (3, 30)") == 1
        assert two.changed(f"INSERT INTO {table} VALUES (4, 42)") == 1
        one.commit()
        two.commit()
    assert content(pair, table) == [*START, (3, 30), (4, 42)]


def test_g2_two_antidependency_edges_are_allowed(pair, table, kept):
    """A read-only transaction sees a state that no serial order has (Fekete and others, 2004)."""
    with conversations(pair.client, 3) as (one, two, three):
        one.begin()
        assert one.rows(f"SELECT * FROM {table} ORDER BY id") == START
        two.begin()
        set_value(two, table, 2, "value + 5")
        two.commit()
        three.begin()
        assert three.rows(f"SELECT * FROM {table} ORDER BY id") == [(1, 10), (2, 25)]
        three.commit()
        set_value(one, table, 1, 0)
        if kept == "rows":
            one.commit()
        else:
            one.refused_commit()
    assert content(pair, table) == [(1, 0 if kept == "rows" else 10), (2, 25)]


def test_write_skew_between_tables_is_allowed(pair, table):
    other = f"{table}_other"
    pair.client.sql(f"CREATE TABLE {other} AS SELECT * FROM {table}")
    with conversations(pair.client, 2) as (one, two):
        for talk in (one, two):
            talk.begin()
            assert talk.rows(f"SELECT (SELECT sum(value) FROM {table}) + (SELECT sum(value) FROM {other}) AS n") == [(60,)]
        set_value(one, table, 1, 0)
        set_value(two, other, 1, 0)
        one.commit()
        two.commit()
    assert content(pair, table) == content(pair, other) == [(1, 0), (2, 20)]
    pair.client.sql(f"DROP TABLE {other}")


def test_own_writes_are_read_and_go_with_a_rollback(pair, table):
    with conversations(pair.client, 1) as (one,):
        one.begin()
        set_value(one, table, 1, 11)
        one.run("SAVEPOINT here")
        assert one.changed(f"INSERT INTO {table} VALUES (3, 30)") == 1
        assert one.changed(f"DELETE FROM {table} WHERE id = 2") == 1
        assert one.rows(f"SELECT * FROM {table} ORDER BY id") == [(1, 11), (3, 30)]
        one.run("ROLLBACK TO SAVEPOINT here")
        assert one.rows(f"SELECT * FROM {table} ORDER BY id") == [(1, 11), (2, 20)]
        set_value(one, table, 1, "value + 1")
        assert content(pair, table) == START
        one.commit()
    assert content(pair, table) == [(1, 12), (2, 20)]


def test_inserts_commute_and_an_emptied_table_keeps_them(pair, table):
    """DELETE of all rows is of all rows that it saw; one that was inserted meanwhile stays."""
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        assert one.changed(f"DELETE FROM {table}") == 2
        assert two.changed(f"INSERT INTO {table} VALUES (3, 30)") == 1
        two.commit()
        one.commit()
    assert content(pair, table) == [(3, 30)]


def test_shapes_and_names_conflict(pair, table):
    with conversations(pair.client, 2) as (one, two):
        one.begin()
        two.begin()
        one.run(f"ALTER TABLE {table} ADD COLUMN note text")
        set_value(two, table, 1, 11)
        one.commit()
        two.refused_commit()
        one.begin()
        two.begin()
        for talk in (one, two):
            talk.run(f"CREATE TABLE {table}_new (id bigint)")
        two.commit()
        one.refused_commit()
        one.begin()
        two.begin()
        one.run(f"DROP TABLE {table}_new")
        assert two.changed(f"INSERT INTO {table}_new VALUES (1)") == 1
        one.commit()
        two.refused_commit()
    assert pair.rows(f"SELECT id, value, note FROM {table} ORDER BY id") == [(1, 10, None), (2, 20, None)]


def test_readers_are_never_kept_waiting(pair, table):
    """A reader in the middle of many changes of the same rows: each read answers, and always the same."""
    with conversations(pair.client, 2) as (reader, writer):
        reader.begin()
        assert reader.rows(f"SELECT * FROM {table} ORDER BY id") == START
        writer.begin()
        for n in range(10):
            set_value(writer, table, 1, n)
            assert reader.rows(f"SELECT * FROM {table} ORDER BY id") == START
            assert pair.rows(f"SELECT * FROM {table} ORDER BY id") == START
        writer.commit()
        assert reader.rows(f"SELECT * FROM {table} ORDER BY id") == START


def test_a_single_statement_wins_against_a_slow_transaction(pair, table):
    """The first to commit wins, however long the other one has been at it."""
    with conversations(pair.client, 1) as (slow,):
        slow.begin()
        set_value(slow, table, 1, 100)
        assert pair.client.run(f"UPDATE {table} SET value = value + 1 WHERE id = 1").headers["Polder-Rows"] == "1"
        slow.refused_commit()
    assert content(pair, table) == [(1, 11), (2, 20)]


def test_a_conflict_is_told_in_words(pair, table):
    """Which table, and what both have done to it: neither has to know the catalog's numbers."""
    with conversations(pair.client, 1) as (slow,):
        slow.begin()
        slow.run(f"ALTER TABLE {table} ADD COLUMN more int")
        assert pair.client.run(f"INSERT INTO {table} VALUES (3, 30)").headers["Polder-Rows"] == "1"
        told = slow.refused_commit().message
        assert f"another transaction has added rows to table public.{table} meanwhile" in told, told
        assert f"this one has altered table public.{table}" in told, told
        slow.begin()
        slow.run(f"ALTER TABLE {table} ADD COLUMN more int")
        pair.client.sql(f"DELETE FROM {table} WHERE id = 1")
        told = slow.refused_commit().message
        assert f"another transaction has changed or deleted rows of table public.{table} meanwhile" in told, told
        assert f"this one has altered table public.{table}" in told, told


def test_serializable_is_refused_and_the_level_is_shown(pair):
    with conversations(pair.client, 1) as (talk,):
        for sql in ("BEGIN ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"):
            with pytest.raises(polder.Failed) as caught:
                talk.run(sql)
            assert (caught.value.kind, caught.value.code) == ("unsupported", "0A000"), (sql, vars(caught.value))
        # None of them has left a transaction open.
        assert talk.run("COMMIT").headers.get("Polder-Notices"), "a transaction was open"
        for level in ("", " ISOLATION LEVEL READ COMMITTED", " ISOLATION LEVEL REPEATABLE READ"):
            talk.run(f"BEGIN{level}")
            assert talk.rows("SHOW transaction_isolation") == [("snapshot",)]
            assert talk.rows("SHOW TRANSACTION ISOLATION LEVEL") == [("snapshot",)]
            talk.rollback()
