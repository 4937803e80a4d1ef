"""What PostgreSQL tells beside rows and tags, compared with it: the fields of errors, notices, settings that change."""

import pytest

import raw_postgres as raw
# both is a fixture, which counts by being imported.
from test_postgres_beside import NUMBERS, both, names_of

# What programs take from an error instead of its message.
FIELDS = "CMDstcn"

TABLE = "CREATE TABLE {t} (id INT PRIMARY KEY, a INT CHECK (a > 0), b TEXT NOT NULL, c INT, UNIQUE (a, c), CONSTRAINT {t}_both CHECK (a < c))"
CONSTRAINTS = {
    "not null": [TABLE, "INSERT INTO {t} VALUES (1, 1, NULL, 2)", "INSERT INTO {t} (id) VALUES (1)", "INSERT INTO {t} (b) VALUES ('x')",
                 "INSERT INTO {t} SELECT 1, 1, NULL, 2", "INSERT INTO {t} VALUES (1, 1, 'x', 2)", "UPDATE {t} SET b = NULL"],
    "keys": [TABLE, "INSERT INTO {t} VALUES (1, 1, 'x', 2)", "INSERT INTO {t} VALUES (1, 2, 'x', 3)", "INSERT INTO {t} VALUES (2, 1, 'x', 2)",
             "INSERT INTO {t} VALUES (3, 3, 'x', 4), (3, 5, 'x', 6)", "INSERT INTO {t} SELECT s, 1, 'x', 2 FROM generate_series(1, 3) AS s",
             "INSERT INTO {t} VALUES (4, 4, 'x', 5)", "UPDATE {t} SET id = 1 WHERE id = 4"],
    "checks": [TABLE, "INSERT INTO {t} VALUES (1, -1, 'x', 2)", "INSERT INTO {t} VALUES (1, 3, 'x', 2)", "INSERT INTO {t} VALUES (1, 1, 'x', 2)",
               "UPDATE {t} SET a = 0", "INSERT INTO {t} SELECT s, -1, 'it is', NULL FROM generate_series(1, 3) AS s"],
    "rows of each type": ["CREATE TABLE {t} (a BOOLEAN, b TIMESTAMP, c DATE, d NUMERIC(10, 2), e DOUBLE PRECISION, f TEXT, g INT NOT NULL)",
                          "INSERT INTO {t} VALUES (true, '2024-01-02 03:04:05', '2024-01-02', 1.5, 1.5, 'it''s, so', NULL)",
                          "INSERT INTO {t} VALUES (false, NULL, NULL, NULL, NULL, repeat('x', 100), NULL)"],
    "rules that come later": ["CREATE TABLE {t} (a INT, b INT)", "INSERT INTO {t} VALUES (1, NULL), (1, -2)", "ALTER TABLE {t} ADD UNIQUE (a)",
                              "ALTER TABLE {t} ADD CONSTRAINT one PRIMARY KEY (a)", "CREATE UNIQUE INDEX {t}_index ON {t} (a)",
                              "ALTER TABLE {t} ALTER COLUMN b SET NOT NULL", "ALTER TABLE {t} ADD CHECK (b > 0)",
                              "ALTER TABLE {t} ADD CONSTRAINT positive CHECK (b > 0)", "ALTER TABLE {t} ADD PRIMARY KEY (b)",
                              "ALTER TABLE {t} ADD COLUMN c INT NOT NULL", "SELECT * FROM {t} ORDER BY b"],
    "another schema": ["CREATE SCHEMA {t}_schema", "CREATE TABLE {t}_schema.x (id INT PRIMARY KEY)", "INSERT INTO {t}_schema.x VALUES (1), (1)",
                       "INSERT INTO {t}_schema.x VALUES (NULL)"],
    "names in quotes": ['CREATE TABLE "{t} X" ("A b" INT PRIMARY KEY)', 'INSERT INTO "{t} X" VALUES (1), (1)', 'INSERT INTO "{t} X" VALUES (NULL)'],
}


def told(connection: raw.Raw, sql: str) -> list:
    """The tag, or what is told of an error."""
    found = []
    for kind, body in connection.run(sql):
        if kind == b"C":
            found.append(body[:-1].decode())
        elif kind == b"E":
            fields = raw.fields(body)
            found.append({field: fields[field] for field in FIELDS if field in fields})
    return found


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_what_a_constraint_refuses(both, name):
    table = f"told_{next(NUMBERS)}"
    ours, theirs = both()
    differences = []
    with ours, theirs:
        for sql in CONSTRAINTS[name]:
            sql = sql.replace("{t}", table)
            got, wanted = told(ours, sql), told(theirs, sql)
            if got != wanted:
                differences.append(f"{sql}\n  Polder:     {got}\n  PostgreSQL: {wanted}")
    assert not differences, "\n".join(["", *differences])


SYNTAX = ["SELECT 1 LIMIT 1 LIMIT 2", "SELECT 1 frm x y z", "SELCT 1", "SELECT * FROM", "SELECT (1", "CREATE TABEL x (a INT)", "DROP"]


@pytest.mark.parametrize("sql", SYNTAX)
def test_where_syntax_is_wrong(both, sql):
    """Programs look for PostgreSQL's words; what was expected comes behind them."""
    ours, theirs = both()
    with ours, theirs:
        (got,), (wanted,) = told(ours, sql), told(theirs, sql)
    assert got["C"] == wanted["C"] == "42601"
    assert got["M"].lower().startswith(wanted["M"].lower()), (got["M"], wanted["M"])


def test_what_a_copy_breaks(both):
    """The same fields, by COPY; and nothing of it stays."""
    table = f"told_{next(NUMBERS)}"
    ours, theirs = both()
    with ours, theirs:
        for connection in (ours, theirs):
            connection.rows(f"CREATE TABLE {table} (id INT PRIMARY KEY, a INT CHECK (a > 0), b TEXT NOT NULL DEFAULT 'x')")
            connection.rows(f"INSERT INTO {table} VALUES (1, 1, 'x')")
        for rows in (b"2\t1\ty\n1\t1\ty\n", b"2\t1\ty\n3\t-1\ty\n", b"2\t1\ty\n3\t1\t\\N\n", b"2\t1\ty\n2\t1\ty\n"):
            answers = []
            for connection in (ours, theirs):
                connection.send(raw.query(f"COPY {table} FROM STDIN"), raw.frame(b"d", rows), raw.frame(b"c"))
                fields = raw.refusal(connection.until(b"Z"))
                answers.append({field: fields[field] for field in FIELDS if field in fields})
                assert connection.rows(f"SELECT id FROM {table}") == [(b"1",)]
            assert answers[0] == answers[1], rows


# Notices


NOTICES = {
    "transactions": ["BEGIN", "BEGIN", "START TRANSACTION", "COMMIT", "COMMIT", "ROLLBACK", "ABORT", "SELECT 1; COMMIT", "SELECT 1; ROLLBACK; SELECT 2"],
    "settings outside": ["SET LOCAL statement_timeout = '7s'", "SET LOCAL TimeZone = 'Asia/Tokyo'", "SHOW statement_timeout"],
    "nothing to drop": ["DROP TABLE IF EXISTS nosuch", "DROP TABLE IF EXISTS nosuch, {t}_nosuch", "DROP VIEW IF EXISTS nosuch", "DROP SCHEMA IF EXISTS nosuch",
                        "DROP INDEX IF EXISTS nosuch", "DROP MATERIALIZED VIEW IF EXISTS nosuch", "ALTER TABLE IF EXISTS nosuch ADD COLUMN a INT",
                        "ALTER TABLE {t} DROP COLUMN IF EXISTS nosuch", "ALTER TABLE {t} DROP CONSTRAINT IF EXISTS nosuch",
                        "ALTER TABLE {t} DROP COLUMN IF EXISTS nosuch, ADD COLUMN b INT", "SELECT * FROM {t}"],
    "nothing to make": ["CREATE TABLE IF NOT EXISTS {t} (id INT)", "CREATE TABLE IF NOT EXISTS {t} AS SELECT 1 AS a", "CREATE SCHEMA IF NOT EXISTS public",
                        "CREATE UNIQUE INDEX {t}_index ON {t} (id)", "CREATE UNIQUE INDEX IF NOT EXISTS {t}_index ON {t} (id)",
                        "CREATE MATERIALIZED VIEW {t}_view AS SELECT 1 AS a", "CREATE MATERIALIZED VIEW IF NOT EXISTS {t}_view AS SELECT 2 AS a",
                        "ALTER TABLE {t} ADD COLUMN IF NOT EXISTS id INT", "ALTER TABLE {t} ADD COLUMN IF NOT EXISTS c INT"],
    "what goes along": ["CREATE VIEW {t}_v AS SELECT id FROM {t}", "DROP TABLE {t} CASCADE", "CREATE TABLE {t} (id INT PRIMARY KEY)",
                        "CREATE TABLE {t}_c (id INT REFERENCES {t})", "DROP TABLE {t} CASCADE", "CREATE TABLE {t} (id INT PRIMARY KEY)",
                        "CREATE VIEW {t}_v AS SELECT id FROM {t}", "CREATE MATERIALIZED VIEW {t}_m AS SELECT id FROM {t}_v", "DROP VIEW {t}_v CASCADE",
                        "CREATE VIEW {t}_v AS SELECT id FROM {t}", "CREATE VIEW {t}_w AS SELECT id FROM {t}_v", "DROP TABLE {t} CASCADE",
                        "CREATE SCHEMA {t}_s", "DROP SCHEMA {t}_s CASCADE", "CREATE SCHEMA {t}_s", "CREATE TABLE {t}_s.a (id INT)", "DROP SCHEMA {t}_s CASCADE",
                        "CREATE SCHEMA {t}_s", "CREATE TABLE {t}_s.a (id INT)", "CREATE VIEW {t}_v AS SELECT id FROM {t}_s.a", "DROP SCHEMA {t}_s CASCADE",
                        "CREATE TABLE {t} (id INT)", "CREATE SCHEMA {t}_s", "CREATE VIEW {t}_s.v AS SELECT id FROM {t}", "DROP TABLE {t} CASCADE", "DROP SCHEMA {t}_s"],
    "hushed": ["SET client_min_messages = warning", "DROP TABLE IF EXISTS nosuch", "COMMIT", "SHOW client_min_messages", "SET client_min_messages = 'ERROR'",
               "DROP TABLE IF EXISTS nosuch", "COMMIT", "SELECT 1/0", "RESET client_min_messages", "COMMIT", "DROP TABLE IF EXISTS nosuch",
               "SET client_min_messages TO log", "SHOW client_min_messages", "SET client_min_messages = nosuch", "SET client_min_messages TO DEFAULT",
               "SHOW client_min_messages"],
}


def remarks(connection: raw.Raw, sql: str) -> list:
    """Notices and errors, rows, and settings that changed, which PostgreSQL tells in no order."""
    found, settings = [], []
    for kind, body in connection.run(sql):
        if kind == b"N":
            fields = raw.fields(body)
            found.append((fields["V"], fields["C"], fields["M"]))
        elif kind == b"E":
            found.append(raw.fields(body)["C"])
        elif kind == b"D":
            found.append(raw.row(body))
        elif kind == b"S":
            settings.append(tuple(body[:-1].decode().split("\0")))
    return found + sorted(settings)


def compare_remarks(ours: raw.Raw, theirs: raw.Raw, steps: list) -> None:
    differences = []
    for sql in steps:
        got, wanted = remarks(ours, sql), remarks(theirs, sql)
        if got != wanted:
            differences.append(f"{sql}\n  Polder:     {got}\n  PostgreSQL: {wanted}")
    assert not differences, "\n".join(["", *differences])


@pytest.mark.parametrize("name", NOTICES)
def test_notices(both, name):
    table = f"told_{next(NUMBERS)}"
    ours, theirs = both()
    with ours, theirs:
        compare_remarks(ours, theirs, [f"CREATE TABLE {table} (id INT)", *(sql.replace("{t}", table) for sql in NOTICES[name])])


# What means less than at PostgreSQL is taken, and says so: nothing is accepted and ignored.
LESS = {
    "CREATE UNLOGGED TABLE {t} (id INT, a INT)": "UNLOGGED makes no difference",
    "CREATE INDEX {t}_a ON {t} (a DESC)": "DESC and NULLS FIRST or LAST is not kept",
    "CREATE INDEX {t}_b ON {t} USING hash (id)": "USING HASH is not kept",
    "ANALYZE {t}": "there is nothing to gather",
    "SET work_mem = '64kB'": "means nothing here",
    "SET synchronous_commit = off": "means nothing here",
    "SET enable_hashjoin = off": "means nothing here",
}


def test_what_means_less_says_so(both):
    table = f"told_{next(NUMBERS)}"
    ours, theirs = both()
    with ours, theirs:
        for sql, words in LESS.items():
            told_of = remarks(ours, sql.replace("{t}", table))
            assert any(words in remark[2] for remark in told_of if remark[0] == "NOTICE"), f"{sql}: {told_of}"


# Settings that clients keep count of


SETTINGS = {
    "set and put back": ["SET application_name = 'x'", "SET application_name = 'x'", "SET TimeZone = 'Asia/Tokyo'", "SET TIME ZONE 'UTC'", "RESET TimeZone",
                         "SET SESSION application_name TO y", "RESET application_name", "SHOW application_name", "SHOW TimeZone"],
    "all put back": ["SET application_name = 'x'; SET TimeZone = 'Asia/Tokyo'; SET statement_timeout = '7s'", "RESET ALL", "SHOW TimeZone", "SHOW statement_timeout"],
    "the default": ["SET application_name = 'x'", "SET application_name TO DEFAULT", "SET TimeZone = 'Asia/Tokyo'", "SET TimeZone TO DEFAULT",
                    "SET TIME ZONE 'Asia/Tokyo'", "SET TIME ZONE DEFAULT", "SET TIME ZONE 'Asia/Tokyo'", "SET TIME ZONE LOCAL", "SHOW TimeZone"],
    "for one transaction": ["BEGIN", "SET LOCAL application_name = 'x'", "SET LOCAL TimeZone = 'Asia/Tokyo'", "SHOW application_name", "COMMIT",
                            "SHOW application_name", "BEGIN", "SET LOCAL application_name = 'x'", "ROLLBACK", "BEGIN", "SET application_name = 'y'",
                            "SET LOCAL application_name = 'z'", "COMMIT", "BEGIN", "SET LOCAL application_name = 'z'", "RESET application_name", "COMMIT"],
    "rolled back": ["BEGIN", "SET application_name = 'x'", "SET TimeZone = 'Asia/Tokyo'", "ROLLBACK", "SHOW application_name", "SHOW TimeZone"],
    "of a transaction that fails": ["BEGIN", "SET application_name = 'x'", "SET TimeZone = 'Asia/Tokyo'", "SELECT 1/0", "ROLLBACK", "SHOW application_name",
                                    "SHOW TimeZone"],
    "to a savepoint": ["BEGIN", "SET application_name = 'x'", "SAVEPOINT s", "SET application_name = 'y'", "SET TimeZone = 'Asia/Tokyo'",
                       "SET LOCAL statement_timeout = '7s'", "ROLLBACK TO s", "SHOW statement_timeout", "SAVEPOINT t", "SET application_name = 'z'", "RELEASE t",
                       "SHOW application_name", "SELECT 1/0", 'ROLLBACK TO SAVEPOINT "s"', "SHOW application_name", "COMMIT", "SHOW application_name", "SHOW TimeZone"],
    "of a text that failed": ["SET application_name = 'x'; SET TimeZone = 'Asia/Tokyo'; SELECT 1/0", "SHOW application_name", "SHOW TimeZone",
                              "SET application_name = 'x'; SELECT 1", "SHOW application_name"],
    "discarded": ["SET application_name = 'x'", "SET TimeZone = 'Asia/Tokyo'", "SET search_path = nosuch", "SET statement_timeout = '7s'", "DISCARD ALL",
                  "SHOW application_name", "SHOW TimeZone", "SHOW search_path", "SHOW statement_timeout"],
    "refused": ["SET server_version = 'x'", "SET is_superuser = off", "SET integer_datetimes = off", "SET in_hot_standby = on", "SET TimeZone = 'Nowhere/At_All'"],
}
START = {"application_name": "first", "TimeZone": "Europe/Berlin", "search_path": "a, b", "options": "-c statement_timeout=9s"}


@pytest.fixture
def started(server, postgres):
    """A session of each that begins with settings."""
    address, _ = postgres.database()
    with raw.login(server, **START) as ours, raw.Raw("127.0.0.1", postgres.port) as theirs:
        yield ours, theirs.login("polder", database=address.rsplit("/", 1)[1], **START)


def test_what_is_told_at_the_start(started):
    told = [dict(session.parameters) for session in started]
    versions = [parameters.pop("server_version").split(".")[0] for parameters in told]
    assert told[0] == told[1] and versions[0] == versions[1] == "15"


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_change(started, name):
    compare_remarks(*started, SETTINGS[name])


# PostgreSQL has none of these.
LIMITS = {b"max_bytes_scanned", b"max_bytes_scanned_per_day", b"statement_memory"}


def test_all_settings_are_shown(both):
    """Each is one that PostgreSQL has, under its name, or a limit of ours; the session's own values are there, by either way of asking."""
    ours, theirs = both()
    with ours, theirs:
        known = {row[0]: row[2] for row in theirs.rows("SHOW ALL")}
        ours.rows("SET application_name = 'it''s me'")
        ours.rows("SET statement_timeout = '7s'")
        ours.rows("SET TimeZone = 'Asia/Tokyo'")
        shown = ours.rows("SHOW ALL")
        names = [row[0] for row in shown]
        assert set(names) - LIMITS <= set(known) and LIMITS <= set(names) and len(set(names)) == len(names)
        values = {row[0]: row[1] for row in shown}
        assert (values[b"application_name"], values[b"statement_timeout"], values[b"TimeZone"]) == (b"it's me", b"7s", b"Asia/Tokyo")
        for name, value in values.items():
            assert ours.rows(f"SHOW {name.decode()}") == [(value,)], name
        ours.send(raw.parse("SHOW ALL") + raw.describe(b"S") + raw.bind() + raw.execute() + raw.SYNC)
        messages = ours.until(b"Z")
        assert [raw.row(body) for kind, body in messages if kind == b"D"] == shown
        described = [body for kind, body in messages if kind == b"T"]
        assert [names_of(body) for body in described] == [("name", "setting", "description")]
        assert (b"C", b"SHOW\0") in messages
