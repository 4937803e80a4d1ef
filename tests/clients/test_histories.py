"""Random transactions of several conversations at once, checked for snapshot isolation; and the checker's own tests."""

import contextlib
import os
import random
import threading
import time

import duckdb
import pytest

import polder
from conversations import CONFLICT, conversations
from histories import (COMMITTED, REFUSED, ROLLED_BACK, Delete, Insert, Read, RollbackToSavepoint, Savepoint, Transaction,
                       Update, Violation, check)

TABLES = ("small", "large", "mixed")
KEYS = 12
CONVERSATIONS = 5
# Histories step by step, the same again for the same seed; and with as many threads as conversations.
SEEDS = range(int(os.environ.get("POLDER_HISTORIES", "4")))
STEPS = 160
THREADED_SECONDS = 8.0
# Keys and values of one conversation start at a multiple of this, so that no two are alike.
APART = 1_000_000


# The checker: a history that is allowed, and what is wrong with each that is not.

START = {"t": {1: 10, 2: 20}, "u": {1: 10}}


def committed(name: str, start: int, end: int, *events, **options) -> Transaction:
    return Transaction(name, list(events), start, end, COMMITTED, **options)


def seen(**tables) -> Read:
    return Read(tables)


ALLOWED = {
    "nothing": ([], {"t": [(1, 10), (2, 20)], "u": [(1, 10)]}),
    "write skew": (
        [committed("a", 5, 6, seen(t=[(1, 10), (2, 20)]), Update("t", 10, 1, 11, 1)),
         committed("b", 5, 7, seen(t=[(1, 10), (2, 20)]), Update("t", 10, 2, 22, 1))],
        {"t": [(1, 11), (2, 22)], "u": [(1, 10)]}),
    "own writes": (
        [committed("a", 5, 6, Insert("t", {3: 30}), Update("t", 10, 3, 31, 1), Savepoint(), Delete("t", 1, 0, 3),
                   seen(t=[], u=[(1, 10)]), RollbackToSavepoint(), seen(t=[(2, 20), (3, 31), (1, 10)]))],
        {"t": [(1, 10), (2, 20), (3, 31)]}),
    "an old snapshot": (
        [committed("a", 5, 6, Insert("t", {3: 30})), Transaction("b", [seen(t=[(1, 10), (2, 20)])], 5),
         Transaction("c", [seen(t=[(1, 10), (2, 20), (3, 30)])], 6)],
        {"t": [(1, 10), (2, 20), (3, 30)]}),
    "an emptied table keeps what came meanwhile": (
        [committed("a", 5, 6, Insert("t", {3: 30})), committed("b", 5, 7, Delete("t", 1, 0, 2))], {"t": [(3, 30)]}),
    "a refusal with its reason": (
        [committed("a", 5, 6, Update("t", 10, 1, 11, 1)),
         Transaction("b", [Update("t", 10, 1, 12, 1)], 5, None, REFUSED)], {"t": [(1, 11), (2, 20)]}),
}

BAD = {
    "lost update": (
        "both changed",
        [committed("a", 5, 6, Update("t", 10, 1, 11, 1)), committed("b", 5, 7, Update("t", 10, 1, 12, 1))],
        {"t": [(1, 12), (2, 20)]}),
    "deleted and changed": (
        "both changed",
        [committed("a", 5, 6, Delete("t", 10, 1, 1)), committed("b", 5, 7, Update("t", 10, 1, 12, 1))],
        {"t": [(1, 12), (2, 20)]}),
    "dirty read": (
        "read t", [Transaction("a", [Update("t", 10, 1, 11, 1)], 5), Transaction("b", [seen(t=[(1, 11), (2, 20)])], 5)], {}),
    "read skew between tables": (
        "read u",
        [committed("a", 5, 6, Update("t", 10, 1, 11, 1), Update("u", 10, 1, 11, 1)),
         Transaction("b", [seen(t=[(1, 11), (2, 20)], u=[(1, 10)])], 6)], {}),
    "not repeatable": (
        "read t",
        [committed("a", 5, 6, Insert("t", {3: 30})),
         Transaction("b", [seen(t=[(1, 10), (2, 20)]), seen(t=[(1, 10), (2, 20), (3, 30)])], 5)], {}),
    "own write not read": (
        "read t", [Transaction("a", [Insert("t", {3: 30}), seen(t=[(1, 10), (2, 20)])], 5)], {}),
    "savepoint not taken back": (
        "read t", [Transaction("a", [Savepoint(), Delete("t", 10, 1, 1), RollbackToSavepoint(), seen(t=[(2, 20)])], 5)], {}),
    "lost row": ("missing [3]", [committed("a", 5, 6, Insert("t", {3: 30}))], {"t": [(1, 10), (2, 20)]}),
    "row of a rolled back transaction": (
        "surplus [3]", [Transaction("a", [Insert("t", {3: 30})], 5)], {"t": [(1, 10), (2, 20), (3, 30)]}),
    "row of a refused transaction": (
        "surplus [3]",
        [committed("a", 5, 6, Update("t", 10, 1, 11, 1)),
         Transaction("b", [Insert("t", {3: 30}), Update("t", 10, 1, 12, 1)], 5, None, REFUSED)],
        {"t": [(1, 11), (2, 20), (3, 30)]}),
    "row twice": ("twice", [], {"t": [(1, 10), (1, 10), (2, 20)]}),
    "half a transaction": (
        "at the end, u", [committed("a", 5, 6, Insert("t", {3: 30}), Insert("u", {3: 30}))],
        {"t": [(1, 10), (2, 20), (3, 30)], "u": [(1, 10)]}),
    "wrong number of changed rows": ("changed 2 rows", [Transaction("a", [Update("t", 10, 1, 11, 2)], 5)], {}),
    "one version made twice": (
        "same version", [committed("a", 5, 6, Insert("t", {3: 30})), committed("b", 5, 6, Insert("t", {4: 30}))], {}),
    "a version older than what was read": ("not newer", [committed("a", 6, 6, Insert("t", {3: 30}))], {}),
    "acknowledged and not read": (
        "was acknowledged before",
        [committed("a", 5, 6, Insert("t", {3: 30}), acknowledged_at=1.0), Transaction("b", [], 5, begun_at=2.0)], {}),
    "refused without a reason": (
        "was refused", [committed("a", 5, 6, Update("t", 10, 1, 11, 1)),
                        Transaction("b", [Insert("t", {3: 30})], 5, None, REFUSED)], {}),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_checker_allows(name):
    history, final = ALLOWED[name]
    check(START, 5, history, final)


@pytest.mark.parametrize("name", BAD)
def test_checker_finds(name):
    words, history, final = BAD[name]
    with pytest.raises(Violation) as caught:
        check(START, 5, history, final)
    assert words in str(caught.value)


# Real histories.

class Actor:
    """One conversation that does random things, each written into a history."""

    def __init__(self, talk, number: int, chance: random.Random, names: dict):
        self.talk = talk
        self.number = number
        self.chance = chance
        self.names = names
        self.next = (number + 1) * APART
        self.transaction = None
        self.saved = False
        self.left = 0
        self.history = []

    def fresh(self) -> int:
        self.next += 1
        return self.next

    def step(self) -> None:
        """One statement."""
        if self.transaction is None:
            one = Transaction(f"{self.number}.{len(self.history)}", begun_at=time.monotonic())
            one.start = self.talk.begin()
            self.transaction, self.saved, self.left = one, False, self.chance.randint(1, 6)
            self.history.append(one)
        elif self.left == 0:
            self.end()
        else:
            self.left -= 1
            self.transaction.events.append(self.act())

    def end(self) -> None:
        one, self.transaction = self.transaction, None
        if self.chance.random() < 0.15:
            self.talk.rollback()
            return
        try:
            version = self.talk.commit()
        except polder.Failed as error:
            if error.code != CONFLICT:
                raise
            one.outcome = REFUSED
            return
        one.outcome, one.acknowledged_at = COMMITTED, time.monotonic()
        if version > one.start:
            one.end = version

    def act(self):
        table = self.chance.choice(TABLES)
        name, act = self.names[table], self.chance.random()
        if act < 0.3:
            return self.read(self.chance.sample(TABLES, self.chance.randint(1, len(TABLES))))
        if act < 0.55:
            # More than ten rows become a file, fewer rows of the catalog.
            count = 12 if table == "large" or (table == "mixed" and self.chance.random() < 0.5) else self.chance.randint(1, 3)
            rows = {self.fresh(): self.fresh() for _ in range(count)}
            values = ", ".join(f"({key}, {value})" for key, value in rows.items())
            assert self.talk.changed(f"INSERT INTO {name} VALUES {values}") == count
            return Insert(table, rows)
        divisor = self.chance.choice((3, 7, 13))
        remainder = self.chance.randrange(divisor)
        if act < 0.8:
            value = self.fresh()
            count = self.talk.changed(f"UPDATE {name} SET value = {value} WHERE key % {divisor} = {remainder}")
            return Update(table, divisor, remainder, value, count)
        if act < 0.92:
            if self.chance.random() < 0.05:
                return Delete(table, 1, 0, self.talk.changed(f"DELETE FROM {name}"))
            return Delete(table, divisor, remainder,
                          self.talk.changed(f"DELETE FROM {name} WHERE key % {divisor} = {remainder}"))
        if self.saved:
            self.talk.run("ROLLBACK TO SAVEPOINT here")
            return RollbackToSavepoint()
        self.saved = True
        self.talk.run("SAVEPOINT here")
        return Savepoint()

    def read(self, tables: list) -> Read:
        sql = " UNION ALL ".join(f"SELECT '{table}' AS name, key, value FROM {self.names[table]}" for table in tables)
        seen = {table: [] for table in tables}
        for table, key, value in self.talk.rows(sql):
            seen[table].append((key, value))
        return Read(seen)


class DuckdbTransactions:
    """Transactions of DuckDB on the same catalog, written into a history as well."""

    def __init__(self, pair, number: int, chance: random.Random, names: dict):
        self.pair = pair
        self.number = number
        self.chance = chance
        self.names = names
        self.next = (number + 1) * APART
        self.history = []

    def has_committed(self) -> bool:
        return any(one.end is not None for one in self.history)

    def fresh(self) -> int:
        self.next += 1
        return self.next

    def transact(self, con) -> None:
        one = Transaction(f"duckdb.{len(self.history)}", begun_at=time.monotonic())
        try:
            con.execute("BEGIN")
            # DuckLake takes its snapshot at the first statement that needs it.
            one.start = con.execute("SELECT id FROM ducklake_current_snapshot('lake')").fetchone()[0]
            for _ in range(self.chance.randint(1, 3)):
                one.events.append(self.act(con))
            con.execute("COMMIT")
        except duckdb.Error as error:
            with contextlib.suppress(duckdb.Error):
                con.execute("ROLLBACK")
            words = str(error).lower()
            assert any(word in words for word in ("lock", "conflict", "concurrent", "duplicate key", "serialize")), error
            one.outcome = ROLLED_BACK
            if one.start < 0:
                return
        else:
            one.outcome, one.acknowledged_at = COMMITTED, time.monotonic()
            made = con.execute("SELECT id FROM ducklake_last_committed_snapshot('lake')").fetchone()[0]
            if made is not None and made > one.start:
                one.end = made
        self.history.append(one)

    def act(self, con):
        table = self.chance.choice(TABLES)
        name, act = self.names[table], self.chance.random()
        if act < 0.3:
            return Read({table: con.execute(f"SELECT key, value FROM {name}").fetchall()})
        if act < 0.6:
            rows = {self.fresh(): self.fresh() for _ in range(self.chance.choice((1, 2, 30)))}
            con.execute(f"INSERT INTO {name} VALUES " + ", ".join(f"({key}, {value})" for key, value in rows.items()))
            return Insert(table, rows)
        divisor = self.chance.choice((7, 13))
        remainder = self.chance.randrange(divisor)
        if act < 0.8:
            value = self.fresh()
            count = con.execute(f"UPDATE {name} SET value = {value} WHERE key % {divisor} = {remainder}").fetchone()[0]
            return Update(table, divisor, remainder, value, count)
        count = con.execute(f"DELETE FROM {name} WHERE key % {divisor} = {remainder}").fetchone()[0]
        return Delete(table, divisor, remainder, count)


def make_tables(pair, label: str) -> tuple:
    """Fresh tables: their names, their rows, and the version that has them."""
    names = {table: f"history_{label}_{table}" for table in TABLES}
    rows = {key: key * 10 for key in range(1, KEYS + 1)}
    values = ", ".join(f"({key}, {value})" for key, value in rows.items())
    pair.client.sql(f"CREATE TABLE {names['small']} (key bigint, value bigint)")
    for key, value in rows.items():
        pair.client.sql(f"INSERT INTO {names['small']} VALUES ({key}, {value})")
    pair.client.sql(f"CREATE TABLE {names['large']} AS SELECT * FROM (VALUES {values}) AS v(key, value)")
    pair.client.sql(f"CREATE TABLE {names['mixed']} AS SELECT * FROM (VALUES {values}) AS v(key, value) WHERE key <= 6")
    answer = pair.client.run(f"INSERT INTO {names['mixed']} SELECT * FROM (VALUES {values}) AS v(key, value) WHERE key > 6")
    return names, {table: dict(rows) for table in TABLES}, int(answer.headers["Polder-Snapshot"])


def final_rows(pair, names: dict) -> dict:
    """What is there at the end, for Polder and for DuckDB alike."""
    final = {}
    for table, name in names.items():
        sql = f"SELECT key, value FROM {name} ORDER BY key, value"
        final[table] = pair.rows(sql)
        assert pair.read(sql) == final[table], f"DuckDB reads other rows of {name}"
    return final


def summary(history: list) -> str:
    count = {outcome: sum(one.outcome == outcome for one in history) for outcome in (COMMITTED, ROLLED_BACK, REFUSED)}
    return ", ".join(f"{number} {outcome}" for outcome, number in count.items())


@pytest.mark.parametrize("seed", SEEDS)
def test_histories_step_by_step(pair, seed):
    """One statement at a time, so that a seed gives the same history every time."""
    names, start, base = make_tables(pair, f"step{seed}")
    chance = random.Random(seed)
    with conversations(pair.client, CONVERSATIONS) as talks:
        actors = [Actor(talk, number, chance, names) for number, talk in enumerate(talks)]
        for _ in range(STEPS):
            chance.choice(actors).step()
        for actor in actors:
            if actor.transaction is not None:
                actor.end()
    history = [one for actor in actors for one in actor.history]
    assert any(one.outcome == COMMITTED for one in history) and any(one.outcome == REFUSED for one in history)
    check(start, base, history, final_rows(pair, names))
    print(f"seed {seed}: {summary(history)}")


@pytest.mark.parametrize("with_duckdb", [False, True], ids=["alone", "with_duckdb"])
def test_histories_at_once(pair, with_duckdb):
    """Each conversation in a thread of its own; DuckDB writes to the same tables meanwhile, or not."""
    names, start, base = make_tables(pair, f"once{int(with_duckdb)}")
    stop, failures = threading.Event(), []

    def work(act):
        try:
            while not stop.is_set():
                act()
        except Exception as error:
            failures.append(error)
            stop.set()

    with contextlib.ExitStack() as stack:
        talks = stack.enter_context(conversations(pair.client, CONVERSATIONS))
        actors = []
        for number, talk in enumerate(talks):
            # A connection of its own: one HTTP session must not be shared by threads.
            talk.client = pair.server.client()
            actors.append(Actor(talk, number, random.Random(1000 + number), names))
        threads = [threading.Thread(target=work, args=(actor.step,)) for actor in actors]
        beside = None
        if with_duckdb:
            con = stack.enter_context(pair.duckdb())
            beside = DuckdbTransactions(pair, CONVERSATIONS, random.Random(2000), names)
            threads.append(threading.Thread(target=work, args=(lambda: beside.transact(con),)))
        for thread in threads:
            thread.start()
        stop.wait(THREADED_SECONDS)
        # Its transactions take longer, and on a busy machine all of the first ones may have lost.
        later = time.monotonic() + polder.SOON_SECONDS
        while beside is not None and not beside.has_committed() and time.monotonic() < later and not stop.wait(0.1):
            pass
        stop.set()
        for thread in threads:
            thread.join(polder.SOON_SECONDS)
            assert not thread.is_alive(), "a conversation waits for ever"
        if failures:
            raise failures[0]
        for actor in actors:
            if actor.transaction is not None:
                actor.end()
    history = [one for actor in actors for one in actor.history]
    if beside is not None:
        assert beside.has_committed(), "DuckDB got nothing done"
        history += beside.history
    assert sum(one.end is not None for one in history) > CONVERSATIONS
    check(start, base, history, final_rows(pair, names))
    print(f"{summary(history)}; of DuckDB: {summary(beside.history) if beside else 'nothing'}")
