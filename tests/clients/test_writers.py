"""Sixteen writers at once: totals are exact, and every writer gets through."""

import threading
import time

import pytest

import polder
import recorded_disk
import writing

SECONDS = 10.0
COUNTING_SECONDS = 5.0
GROUPING_SECONDS = 60.0
GROUPED_COMMITS = 200
# Longer than a few writers take to come back, also on a busy machine.
SYNC_MICROSECONDS = 200_000


@pytest.mark.parametrize("tables", [1, 10])
def test_sixteen_writers(pair, tables):
    names = writing.tables(pair.client, tables, f"by_{tables}")
    run = writing.write(pair.server, names, SECONDS)
    assert not run.failures, run.failures[0]
    # Inserts commute: none of them has anybody to conflict with.
    assert sum(run.refused) == 0, run.refused
    assert writing.counted(pair.client, names) == {
        number: (rows, rows) for number, rows in enumerate(run.acknowledged) if rows}
    assert all(run.acknowledged), f"a writer never got through: {run.acknowledged}"
    union = " UNION ALL ".join(f"SELECT writer FROM {name}" for name in names)
    assert dict(pair.read(f"SELECT writer, count(*) FROM ({union}) GROUP BY writer")) == dict(enumerate(run.acknowledged))
    print(f"{run.total / run.seconds:.0f} rows/s; slowest {min(run.acknowledged)}, fastest {max(run.acknowledged)}")


@pytest.mark.parametrize("kept", ["rows", "file"])
def test_sixteen_writers_count_in_one_row(pair, kept):
    """The worst case: all change the same row. Each acknowledged one counts once, and everybody gets his turn."""
    name = f"counted_{kept}"
    if kept == "rows":
        pair.client.sql(f"CREATE TABLE {name} (n bigint)")
        pair.client.sql(f"INSERT INTO {name} VALUES (0)")
    else:
        pair.client.sql(f"CREATE TABLE {name} AS SELECT CAST(0 AS bigint) AS n")
    acknowledged, refused, failures = [0] * writing.WRITERS, [0] * writing.WRITERS, []
    end = time.monotonic() + COUNTING_SECONDS

    def work(number: int) -> None:
        client = pair.server.client()
        try:
            while time.monotonic() < end or not acknowledged[number]:
                try:
                    assert client.run(f"UPDATE {name} SET n = n + 1").headers["Polder-Rows"] == "1"
                    acknowledged[number] += 1
                except polder.Failed as error:
                    # A single statement is run again by itself, but not for ever.
                    if error.code != "40001":
                        raise
                    refused[number] += 1
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writing.WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * polder.SOON_SECONDS)
        assert not thread.is_alive(), f"a writer never gets through: {acknowledged}, refused {refused}"
    assert not failures, failures[0]
    assert pair.rows(f"SELECT n FROM {name}") == [(sum(acknowledged),)]
    assert pair.read(f"SELECT n FROM {name}") == [(sum(acknowledged),)]
    print(f"{sum(acknowledged)} counted by {acknowledged}, {sum(refused)} refused")


def test_duckdb_writes_meanwhile(pair):
    """What DuckDB writes to the same tables through the same catalog is seen, and never overwritten."""
    names = writing.tables(pair.client, 2, "with_duckdb")
    written, stop, failures = [], threading.Event(), []

    def work() -> None:
        n = 0
        try:
            while not stop.is_set():
                name = names[n % len(names)]
                # Now and then as many rows as make a file.
                count = 20 if n % 5 == 0 else 1
                pair.write(f"INSERT INTO {name} SELECT -1, {n} * 1000 + range, 'of DuckDB' FROM range({count})")
                written.append(count)
                seen = pair.client.value(f"SELECT count(*) AS n FROM {name} WHERE writer = -1 AND n / 1000 = {n}")
                assert seen == count, f"{seen} of {count} rows are seen right after DuckDB committed them"
                n += 1
        except Exception as error:
            failures.append(error)

    beside = threading.Thread(target=work)
    beside.start()
    run = writing.write(pair.server, names, SECONDS / 2)
    stop.set()
    beside.join(2 * polder.SOON_SECONDS)
    assert not beside.is_alive()
    assert not failures, failures[0]
    assert not run.failures, run.failures[0]
    assert written, "DuckDB got nothing done"
    expected = {number: (rows, rows) for number, rows in enumerate(run.acknowledged)} | {-1: (sum(written), sum(written))}
    assert writing.counted(pair.client, names) == expected
    union = " UNION ALL ".join(f"SELECT writer FROM {name}" for name in names)
    assert dict(pair.read(f"SELECT writer, count(*) FROM ({union}) GROUP BY writer")) == {
        number: rows for number, (rows, _) in expected.items()}
    print(f"{run.total} rows of sixteen writers, {len(written)} transactions of DuckDB")


def test_commits_of_many_writers_are_synced_together(fresh, tmp_path):
    """On a disk whose syncs take their time, those who wait for one commit with one sync, and not one after the other."""
    server, record = fresh(), tmp_path / "syncs"
    with recorded_disk.traced(record, "--trace=fsync,fdatasync", f"--inject=fsync,fdatasync:delay_exit={SYNC_MICROSECONDS}"):
        server.start()
    server.client().sql("CREATE TABLE grouped (writer bigint, n bigint)")
    acknowledged, failures = [0] * writing.WRITERS, []
    clients = [server.client() for _ in range(writing.WRITERS)]
    for client in clients:
        # What is written of a login is no commit.
        client.sql("SELECT 1")
    began, end = syncs(record), time.monotonic() + GROUPING_SECONDS

    def work(number: int) -> None:
        client = clients[number]
        try:
            while time.monotonic() < end and sum(acknowledged) < GROUPED_COMMITS:
                client.run(f"INSERT INTO grouped VALUES ({number}, {acknowledged[number]})")
                acknowledged[number] += 1
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(writing.WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted, total = syncs(record) - began, sum(acknowledged)
    assert not failures, failures[0]
    print(f"{total} commits in {counted} syncs")
    assert server.client().value("SELECT count(*) AS n FROM grouped") == total
    assert counted > 0
    assert total > 3 * counted, f"{total} commits took {counted} syncs"


def syncs(record) -> int:
    """How many have ended."""
    return sum("sync(" in line or "sync resumed" in line for line in record.read_text().splitlines() if "= 0" in line)
