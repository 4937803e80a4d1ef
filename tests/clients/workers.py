"""Programs that write to a server until it dies, and remember what it acknowledged."""

import pathlib
import random
import threading

import requests

import polder
from conversations import CONFLICT, Conversation

ACCOUNTS = 8
BALANCE = 1000
BATCH_ROWS = 40
LOAD_ROWS = 500
COUNTERS = 3
# What a statement of a server that is dying may answer.
DYING = (requests.RequestException,)

TABLES = {
    "small": "(worker bigint, n bigint)",
    "journal_left": "(worker bigint, n bigint, amount bigint)",
    "journal_right": "(worker bigint, n bigint, amount bigint)",
    "batch_first": "(worker bigint, n bigint, k bigint)",
    "batch_second": "(worker bigint, n bigint, k bigint)",
    "batch_third": "(worker bigint, n bigint, k bigint)",
    "loaded": "(worker bigint, n bigint, k bigint)",
}


def make_tables(client: polder.Client) -> None:
    for name, columns in TABLES.items():
        client.sql(f"CREATE TABLE {name} {columns}")
    # One side of the accounts in Parquet, the other in rows of the catalog.
    client.sql(f"CREATE TABLE left_side AS SELECT value AS id, {BALANCE} AS balance FROM generate_series(1, {ACCOUNTS}) AS s(value)")
    client.sql("CREATE TABLE right_side (id bigint, balance bigint)")
    client.sql("CREATE TABLE counters (id bigint, n bigint)")
    client.sql("INSERT INTO right_side VALUES " + ", ".join(f"({n}, {BALANCE})" for n in range(1, ACCOUNTS + 1)))
    client.sql("INSERT INTO counters VALUES " + ", ".join(f"({n}, 0)" for n in range(COUNTERS)))


class Worker(threading.Thread):
    """Does one thing after the other. Each has a number that is never used again."""

    def __init__(self, client: polder.Client, number: int, first: int, seed: int):
        super().__init__(daemon=True)
        self.client = client
        self.number = number
        self.next = first
        self.chance = random.Random(seed)
        self.acknowledged, self.refused, self.unknown = [], [], []
        self.failure = None

    def run(self):
        while True:
            n, self.next = self.next, self.next + 1
            try:
                self.work(n)
            except polder.Failed as error:
                self.refused.append(n)
                if error.code != CONFLICT:
                    # Anything else would be a defect of its own, unless the server is on its way down.
                    self.failure = error
                    return
            except DYING:
                self.unknown.append(n)
                return
            else:
                self.acknowledged.append(n)

    def work(self, n: int) -> None:
        raise NotImplementedError


class Inserter(Worker):
    """One row a statement."""

    def work(self, n):
        self.client.run(f"INSERT INTO small VALUES ({self.number}, {n})")


class Transferrer(Worker):
    """Moves an amount from one table to the other and writes it down in two more."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.talk = Conversation(self.client)

    def work(self, n):
        amount = self.chance.randint(1, 9)
        source, target = self.chance.randint(1, ACCOUNTS), self.chance.randint(1, ACCOUNTS)
        statements = [
            "BEGIN",
            f"UPDATE left_side SET balance = balance - {amount} WHERE id = {source}",
            f"INSERT INTO journal_left VALUES ({self.number}, {n}, {amount})",
            f"UPDATE right_side SET balance = balance + {amount} WHERE id = {target}",
            f"INSERT INTO journal_right VALUES ({self.number}, {n}, {amount})",
        ]
        for sql in statements:
            self.talk.run(sql)
        self.talk.commit()


class Batcher(Worker):
    """Many rows into three tables at once, all by one request."""

    def work(self, n):
        rows = f"SELECT {self.number} AS worker, {n} AS n, value FROM generate_series(1, {BATCH_ROWS}) AS s(value)"
        self.client.run(
            f"BEGIN; INSERT INTO batch_first {rows}; INSERT INTO batch_second {rows}; "
            f"INSERT INTO batch_third VALUES ({self.number}, {n}, 0); "
            f"DELETE FROM batch_second WHERE worker = {self.number} AND n = {n} AND k % 2 = 0; COMMIT")


class Counter(Worker):
    """Counts up in one row; only as many as were acknowledged may be missing."""

    def work(self, n):
        answer = self.client.run(f"UPDATE counters SET n = n + 1 WHERE id = {self.number % COUNTERS}")
        assert answer.headers["Polder-Rows"] == "1"


class LoadWorker(Worker):
    """Loads a file that no other load has."""

    folder = pathlib.Path()

    def work(self, n):
        path = self.folder / f"load-{self.number}-{n}.csv"
        path.write_text("worker,n,k\n" + "".join(f"{self.number},{n},{k}\n" for k in range(LOAD_ROWS)))
        status = self.client.load(sources=[str(path)], into="loaded", mode="append")
        if status["state"] != "done":
            raise polder.Failed(500, status.get("error") or {"message": str(status)})
        path.unlink()
