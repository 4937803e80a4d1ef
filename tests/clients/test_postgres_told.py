"""What PostgreSQL tells beside rows and tags, compared with it: the fields of errors."""

import pytest

import raw_postgres as raw
# both is a fixture, which counts by being imported.
from test_postgres_beside import NUMBERS, both

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
