"""Conversations with BEGIN and COMMIT, for the tests of transactions."""

import contextlib
import uuid

import polder

CONFLICT = "40001"


class Conversation:
    """Statements that share one session of the server, and so one transaction."""

    def __init__(self, client: polder.Client):
        self.client = client
        self.session = str(uuid.uuid4())

    def run(self, sql: str, **options):
        """The whole response, with its headers."""
        return self.client.run(sql, session=self.session, **options)

    def rows(self, sql: str) -> list:
        return [tuple(row.values()) for row in self.client.sql(sql, session=self.session)]

    def changed(self, sql: str) -> int:
        """Runs a change and gives the number of rows that it says it changed."""
        return int(self.run(sql).headers["Polder-Rows"])

    def begin(self) -> int:
        """BEGIN; the version that the transaction reads."""
        return int(self.run("BEGIN").headers["Polder-Snapshot"])

    def commit(self) -> int:
        """COMMIT; the version that it made. A COMMIT that rolled back instead is an error here."""
        answer = self.run("COMMIT")
        assert answer.headers["Polder-Command"] == "COMMIT", dict(answer.headers)
        return int(answer.headers["Polder-Snapshot"])

    def refused_commit(self) -> polder.Failed:
        """COMMIT, which must be refused as a conflict."""
        try:
            self.run("COMMIT")
        except polder.Failed as error:
            assert (error.status, error.kind, error.code) == (409, "conflict", CONFLICT), vars(error)
            return error
        raise AssertionError("the commit went through")

    def rollback(self) -> None:
        self.run("ROLLBACK")

    def end(self) -> None:
        with contextlib.suppress(polder.Failed):
            self.client.request("DELETE", f"/sessions/{self.session}")


@contextlib.contextmanager
def conversations(client: polder.Client, count: int):
    """Several conversations, ended afterwards: they take memory in the server."""
    made = [Conversation(client) for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.end()
