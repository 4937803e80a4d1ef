"""Sessions of several roles at a server, Polder or PostgreSQL, and what they are answered."""

import contextlib
import itertools
import re

import psycopg

PASSWORD = "correct horse battery staple"
NUMBERS = itertools.count(1)
# What scripts call roles and schemas; each run of a script has its own.
NAMES = re.compile(r"\b(ana|ben|cas|team|staff|shop|depot)\b")
# Three people and a group, and a schema in which the first may make things.
PEOPLE = [
    *(f"root: CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'" for name in ("ana", "ben", "cas")),
    "root: CREATE ROLE team",
    "root: CREATE SCHEMA shop",
    "root: GRANT USAGE ON SCHEMA shop TO PUBLIC",
    "root: GRANT CREATE ON SCHEMA shop TO ana",
]
# What is not about rights has words of Polder's own, with PostgreSQL's SQLSTATE.
OWN_WORDS = {"42P01", "42601", "42702", "42703", "42883", "23505", "25P01", "25P02", "26000", "34000"}


def answer(connection, sql: str) -> tuple:
    """What a statement gives: its tag and rows, or its SQLSTATE and message. Rows of COPY … FROM STDIN stand behind its first line."""
    try:
        with connection.cursor() as cursor:
            rows = None
            if "TO STDOUT" in sql:
                with cursor.copy(sql) as copy:
                    rows = b"".join(copy).decode().splitlines()
            elif "FROM STDIN" in sql:
                statement, _, lines = sql.partition("\n")
                with cursor.copy(statement) as copy:
                    copy.write(lines)
            else:
                cursor.execute(sql)
                # Plans are each server's own.
                rows = cursor.fetchall() if cursor.description and not sql.startswith("EXPLAIN") else None
            return cursor.statusmessage, rows
    except psycopg.Error as error:
        return error.sqlstate, None if error.sqlstate in OWN_WORDS else error.diag.message_primary or str(error)


class Sessions:
    """The sessions of one script at one server. `connect` makes one of a user, of nobody: the superuser's."""

    def __init__(self, connect, number: int):
        self.connect = connect
        self.number = number
        self.open = {}

    def close(self) -> None:
        for connection in self.open.values():
            connection.close()

    def named(self, text: str) -> str:
        return NAMES.sub(lambda found: f"{found[0]}{self.number}", text)

    def of(self, who: str):
        if who not in self.open:
            connection = self.connect(None if who == "root" else self.named(who))
            connection.execute(self.named("SET search_path = shop, public"))
            self.open[who] = connection
        return self.open[who]

    def step(self, text: str) -> tuple:
        """Of `who: statement`. `who: LEAVE` ends the session; the next statement makes another one."""
        who, _, sql = text.partition(": ")
        if sql == "LEAVE":
            self.open.pop(who).close()
            return ()
        try:
            connection = self.of(who)
        except psycopg.Error as error:
            # Before a session there is no SQLSTATE in psycopg.
            return "no session", str(error).rpartition("FATAL:  ")[2].splitlines()[0]
        return answer(connection, self.named(sql))


def compare(ours, theirs, script: list) -> None:
    """Runs a script at Polder and at PostgreSQL; each step has to give the same."""
    number = next(NUMBERS)
    differences = []
    with contextlib.closing(Sessions(ours, number)) as polder, contextlib.closing(Sessions(theirs, number)) as postgres:
        for text in [*PEOPLE, *script]:
            got, wanted = polder.step(text), postgres.step(text)
            if got != wanted:
                differences.append(f"{text}\n    Polder:     {got}\n    PostgreSQL: {wanted}")
    assert not differences, "\n".join(["", *differences])
