"""Sessions of several roles at a server, Polder or PostgreSQL, and what they are answered."""

import contextlib
import itertools
import re

import psycopg

import peers
from test_postgres_psycopg import address

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

# Steps of which Polder gives another answer in some script: its tag or SQLSTATE, and why. What it lets through tells nothing that may not be read.
DIFFERENT = {
    # Whole rows as values are not there.
    "ben: SELECT sale FROM sale": "42703",
    # A role that was taken on goes with the membership; PostgreSQL leaves it to the session.
    "ben: SELECT count(*) AS still FROM sale": "42501",
}
# Why somebody is not let in is told to nobody who has not shown who they are.
NOT_IN = ("no session", "password authentication failed for user")


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


@contextlib.contextmanager
def both(server):
    """Makes sessions at Polder and at a PostgreSQL of these tests alone, whose roles nobody else sees."""
    with peers.Postgres() as postgres:
        postgres.call("createdb", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "polder", "polder")

        def ours(user):
            whom = {"user": user, "password": PASSWORD} if user else {}
            return psycopg.connect(**address(server, **whom), autocommit=True)

        def theirs(user):
            return psycopg.connect(host="127.0.0.1", port=postgres.port, user=user or "polder", dbname="polder", autocommit=True)

        yield ours, theirs


def compare(ours, theirs, script: list) -> None:
    """Runs a script at Polder and at PostgreSQL; each step has to give the same."""
    number = next(NUMBERS)
    differences = []
    with contextlib.closing(Sessions(ours, number)) as polder, contextlib.closing(Sessions(theirs, number)) as postgres:
        for text in [*PEOPLE, *script]:
            got, wanted = polder.step(text), postgres.step(text)
            is_known = bool(got) and (got[0] == DIFFERENT.get(text) or (got[0] == wanted[0] == NOT_IN[0] and got[1].startswith(NOT_IN[1])))
            if got != wanted and not is_known:
                differences.append(f"{text}\n    Polder:     {got}\n    PostgreSQL: {wanted}")
    assert not differences, "\n".join(["", *differences])
