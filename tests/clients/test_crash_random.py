"""`kill -9` at random moments, again and again, while nine programs write in five ways.

After each: what was acknowledged is there, exactly once; what was refused is not; what was in flight is there wholly or
not at all, in all of its tables. DuckDB reads the same.
"""

import os
import random
import time

import pytest

import peers
import polder
import workers

# Together with those of test_faults.py more than 200.
KILLS = {"sqlite": int(os.environ.get("POLDER_KILLS", "170")), "postgres": int(os.environ.get("POLDER_KILLS_POSTGRES", "30"))}
# DuckDB is asked after every so many kills, and at the end.
ASK_DUCKDB_EVERY = 20
SEED = 11

KINDS = [workers.Inserter, workers.Inserter, workers.Transferrer, workers.Transferrer, workers.Batcher, workers.Batcher,
         workers.Counter, workers.Counter, workers.LoadWorker]


class Ledger:
    """What all workers of all lives of the server did."""

    def __init__(self):
        self.acknowledged = {kind: set() for kind in KINDS}
        self.refused = {kind: set() for kind in KINDS}
        self.unknown = {kind: set() for kind in KINDS}

    def take(self, worker: workers.Worker) -> None:
        kind = type(worker)
        for mine, theirs in ((self.acknowledged, worker.acknowledged), (self.refused, worker.refused),
                             (self.unknown, worker.unknown)):
            mine[kind] |= {(worker.number, n) for n in theirs}

    def judge(self, kind, there: set) -> None:
        """`there`: the (worker, n) whose change is wholly there."""
        acknowledged, refused, unknown = self.acknowledged[kind], self.refused[kind], self.unknown[kind]
        lost, revived = acknowledged - there, there & refused
        assert not lost, f"{kind.__name__}: acknowledged and lost: {sorted(lost)[:10]}"
        assert not revived, f"{kind.__name__}: refused and yet there: {sorted(revived)[:10]}"
        assert there <= acknowledged | unknown, f"{kind.__name__}: of nobody: {sorted(there - acknowledged - unknown)[:10]}"


def pairs(rows) -> list:
    return [tuple(row.values()) for row in rows]


def groups(client, table: str, first: int) -> dict:
    """(worker, n) → (rows, distinct k) of what was written since."""
    rows = client.sql(f"SELECT worker, n, count(*) AS rows, count(DISTINCT k) AS kinds FROM {table} WHERE n >= {first} GROUP BY worker, n")
    return {(row["worker"], row["n"]): (row["rows"], row["kinds"]) for row in rows}


def look(client, ledger: Ledger, first: int) -> None:
    """Compares what is there with what was acknowledged, for all changes numbered `first` and later."""
    small = pairs(client.sql(f"SELECT worker, n FROM small WHERE n >= {first}"))
    assert len(small) == len(set(small)), "a row is there twice"

    left = pairs(client.sql(f"SELECT worker, n, amount FROM journal_left WHERE n >= {first}"))
    right = pairs(client.sql(f"SELECT worker, n, amount FROM journal_right WHERE n >= {first}"))
    assert sorted(left) == sorted(right), "half a transfer"
    assert len(left) == len({(worker, n) for worker, n, _ in left}), "a transfer is there twice"

    whole, half, one = (workers.BATCH_ROWS,) * 2, (workers.BATCH_ROWS // 2,) * 2, (1, 1)
    batches = groups(client, "batch_first", first)
    assert set(batches.values()) <= {whole}, "half a batch in the first table"
    assert groups(client, "batch_second", first) == dict.fromkeys(batches, half), "the second table has other batches"
    assert groups(client, "batch_third", first) == dict.fromkeys(batches, one), "the third table has other batches"

    loads = groups(client, "loaded", first)
    assert set(loads.values()) <= {(workers.LOAD_ROWS,) * 2}, "half a load, or one twice"
    new = {kind: {(worker, n) for worker, n in there} for kind, there in (
        (workers.Inserter, small), (workers.Transferrer, [row[:2] for row in left]), (workers.Batcher, batches),
        (workers.LoadWorker, loads))}
    for kind, there in new.items():
        recent = Ledger()
        for mine, theirs in ((recent.acknowledged, ledger.acknowledged), (recent.refused, ledger.refused),
                             (recent.unknown, ledger.unknown)):
            mine[kind] = {(worker, n) for worker, n in theirs[kind] if n >= first}
        recent.judge(kind, there)
    look_at_sums(client, ledger)


def look_at_sums(client, ledger: Ledger) -> None:
    """What every commit keeps, over all of the history."""
    moved = client.value("SELECT coalesce(sum(amount), 0) AS n FROM journal_left")
    total = workers.ACCOUNTS * workers.BALANCE
    assert client.sql("SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(balance) AS total FROM left_side") == [
        {"n": workers.ACCOUNTS, "ids": workers.ACCOUNTS, "total": total - moved}]
    assert client.sql("SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(balance) AS total FROM right_side") == [
        {"n": workers.ACCOUNTS, "ids": workers.ACCOUNTS, "total": total + moved}]
    counted = dict(pairs(client.sql("SELECT id, n FROM counters")))
    assert sorted(counted) == list(range(workers.COUNTERS))
    for counter, found in counted.items():
        of = lambda numbers: sum(worker % workers.COUNTERS == counter for worker, _ in numbers[workers.Counter])
        low, high = of(ledger.acknowledged), of(ledger.acknowledged) + of(ledger.unknown)
        assert low <= found <= high, f"counter {counter} stands at {found}, not between {low} and {high}"


def wait_until_all_did_something(ledger: Ledger, team: list) -> None:
    """On a busy machine all lives together can be too short for the slowest kind; the last one lasts until it is not."""
    end = time.monotonic() + polder.SOON_SECONDS
    idle = lambda kind: not ledger.acknowledged[kind] and not any(w.acknowledged for w in team if type(w) is kind)
    while any(idle(kind) for kind in KINDS) and all(w.is_alive() for w in team):
        assert time.monotonic() < end, f"{[kind.__name__ for kind in set(KINDS) if idle(kind)]} got nothing done"
        time.sleep(0.05)


def same_in_duckdb(server, metastore) -> None:
    con = peers.connect_duckdb()
    try:
        peers.attach(con, server.data, metastore)
        client = polder.Client(server.url)
        for table in (*workers.TABLES, "left_side", "right_side", "counters"):
            last = "amount" if "journal" in table else "balance" if "side" in table else "k" if table not in ("small", "counters") else "n"
            sql = f"SELECT count(*), sum({last}), min({last}), max({last}) FROM {table}"
            ours = client.sql(sql.replace("count(*)", "count(*) AS a").replace(f"sum({last})", f"sum({last}) AS b")
                              .replace(f"min({last})", f"min({last}) AS c").replace(f"max({last})", f"max({last}) AS d"))
            assert con.sql(sql).fetchall() == pairs(ours), f"DuckDB reads something else of {table}"
    finally:
        con.close()


@pytest.mark.parametrize("metastore", ["sqlite", "postgres"])
def test_kill_at_random_moments(request, fresh, tmp_path, metastore):
    arguments, of_duckdb = [], None
    if metastore == "postgres":
        address, of_duckdb = request.getfixturevalue("postgres").database()
        arguments = ["--metastore", address]
    server = fresh(tmp_path / "data", "--auth", "trust", *arguments)
    server.start()
    workers.make_tables(polder.Client(server.url))
    workers.LoadWorker.folder = tmp_path
    ledger, chance, first = Ledger(), random.Random(SEED), 0
    kills = KILLS[metastore]
    for kill in range(kills):
        team = [kind(polder.Client(server.url), number, first, SEED * 1000 + kill * 100 + number)
                for number, kind in enumerate(KINDS)]
        for worker in team:
            worker.start()
        # Mostly early, now and then late: the first statements, the middle of a load, a full log.
        time.sleep(chance.choice((0.02, 0.2, 0.5, 0.9)) * chance.uniform(0.3, 1.7))
        if kill == kills - 1:
            wait_until_all_did_something(ledger, team)
        assert server.process.poll() is None, server.log()[-3000:]
        server.kill()
        for worker in team:
            worker.join(polder.SOON_SECONDS)
            assert not worker.is_alive(), f"{worker} hangs"
            assert worker.failure is None, f"{type(worker).__name__}: {worker.failure}"
            ledger.take(worker)
        next_first = max(worker.next for worker in team)
        server.start()
        look(polder.Client(server.url), ledger, first)
        first = next_first
        if kill % ASK_DUCKDB_EVERY == ASK_DUCKDB_EVERY - 1:
            same_in_duckdb(server, of_duckdb)
    look(polder.Client(server.url), ledger, 0)
    same_in_duckdb(server, of_duckdb)
    assert "panicked" not in server.log()
    done = {kind.__name__: len(ledger.acknowledged[kind]) for kind in KINDS}
    for kind in set(KINDS):
        assert ledger.acknowledged[kind], f"{kind.__name__} got nothing done"
    in_flight = sum(len(ledger.unknown[kind]) for kind in set(KINDS))
    print(f"{metastore}: {kills} kills, acknowledged and kept: {done}; in flight at a kill: {in_flight}")
