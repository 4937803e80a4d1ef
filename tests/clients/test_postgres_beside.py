"""The same messages to Polder and to PostgreSQL: the same answers, states and rows."""

import itertools

import pytest

import raw_postgres as raw
from raw_postgres import FLUSH, SYNC, asked, bind, close, describe, execute, frame, parse, query, text

NUMBERS = itertools.count(1)
# What is compared by its type alone. Remarks are each server's own.
PLAIN = (b"1", b"2", b"3", b"n", b"s", b"I", b"G", b"c")
# What may come before an error or not: PostgreSQL refuses at Parse or Bind what Polder refuses when it is described or run.
BEFORE_ERRORS = ("1", "2", "n", "T")


@pytest.fixture(scope="module")
def both(server, postgres):
    """Makes a session of each."""
    address, _ = postgres.database()
    database = address.rsplit("/", 1)[1]

    def make():
        return raw.login(server), raw.Raw("127.0.0.1", postgres.port).login("polder", database=database)

    return make


def names_of(body: bytes) -> tuple:
    """The columns' names of a RowDescription."""
    names, at = [], 2
    while at < len(body):
        end = body.index(b"\0", at)
        names.append(body[at:end].decode())
        at = end + 19
    return tuple(names)


def shown(kind: bytes, body: bytes):
    """What of a message must be the same for both; None: nothing."""
    if kind in PLAIN:
        return kind.decode()
    return {
        b"C": lambda: ("C", body[:-1].decode()),
        b"E": lambda: ("E", *(raw.fields(body).get(field) for field in "Cstcn")),
        b"Z": lambda: ("Z", body.decode()),
        b"D": lambda: ("D", *raw.row(body)),
        b"d": lambda: ("d", body),
        b"T": lambda: ("T", names_of(body)),
    }.get(kind, lambda: None)()


def answers(connection: raw.Raw, step: bytes) -> list:
    """All that is answered up to the last ReadyForQuery."""
    messages = connection.send(step).until(b"Z")
    for _ in range(max(0, step.count(SYNC) - 1)):
        messages += connection.until(b"Z")
    told = []
    for what in (shown(kind, body) for kind, body in messages):
        if what is not None and what[0] == "E":
            while told and told[-1][0] in BEFORE_ERRORS:
                told.pop()
        if what is not None:
            told.append(what)
    return told


def compare(both, steps: list) -> None:
    """Sends the steps to both, texts as simple queries; `{t}` in them is a table with a column `id`. Then compares its rows."""
    name = f"beside_{next(NUMBERS)}".encode()
    ours, theirs = both()
    differences = []
    with ours, theirs:
        for connection in (ours, theirs):
            connection.rows(f"CREATE TABLE {name.decode()} (id BIGINT)")
        for step in [*steps, "ROLLBACK", "SELECT id FROM {t} ORDER BY id"]:
            messages = with_table(query(step) if isinstance(step, str) else step, name)
            got, wanted = answers(ours, messages), answers(theirs, messages)
            if got != wanted:
                differences.append(f"{step}\n  Polder:     {got}\n  PostgreSQL: {wanted}")
    assert not differences, "\n".join(["", *differences])


def with_table(messages: bytes, name: bytes) -> bytes:
    """The messages with the table's name in them, each with its new length."""
    made, at = b"", 0
    while at < len(messages):
        end = at + 1 + int.from_bytes(messages[at + 1:at + 5])
        made += frame(messages[at:at + 1], messages[at + 5:end].replace(b"{t}", name))
        at = end
    return made


INSERT = "INSERT INTO {t} VALUES (%s)"
ONE, TWO, THREE = (INSERT % number for number in (1, 2, 3))
WRONG = "SELECT * FROM nosuch_table"

CURSORS = "SELECT name, statement, is_holdable, is_binary FROM pg_cursors ORDER BY name"
PREPARED = "SELECT name, statement, parameter_types::text AS types, from_sql FROM pg_prepared_statements ORDER BY name"
SIMPLE = {
    "nothing": ["", ";", " ; ;; ", "-- a remark", "/* one /* in another */ */"],
    "several": ["SELECT 1 AS a; SELECT 2 AS b;; SELECT 3 AS c;"],
    "an error in the middle": ["SELECT 1 AS a; SELECT 1/0 AS b; SELECT 3 AS c", "SELECT 4 AS d"],
    "all or nothing": [f"{ONE}; {WRONG}; {TWO}"],
    "a commit between": [f"{ONE}; COMMIT; {TWO}; {WRONG}"],
    "a rollback between": [f"{ONE}; ROLLBACK; {TWO}"],
    "begin late": [f"{ONE}; BEGIN; {TWO}", "ROLLBACK"],
    "begin late and commit": [f"{ONE}; BEGIN; {TWO}", "COMMIT"],
    "a transaction and what follows": [f"BEGIN; {ONE}; COMMIT; {TWO}; {WRONG}"],
    "a failed transaction": [f"BEGIN; {ONE}; {WRONG}; {TWO}", "SELECT 1 AS a", TWO, "SHOW search_path", "COMMIT", THREE],
    "a failed transaction that is rolled back": ["BEGIN", ONE, WRONG, WRONG, "ROLLBACK", TWO],
    "a failed transaction that begins again": ["BEGIN", WRONG, "BEGIN", "SAVEPOINT a", "RELEASE a", "ROLLBACK"],
    "what fails before it is run": ["BEGIN", "SELEC 1", "SELECT 1 AS a", "END"],
    "ends without a beginning": ["COMMIT", "ROLLBACK", "END", "ABORT"],
    "chained transactions": ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "BEGIN", ONE, "COMMIT AND CHAIN", TWO, "ROLLBACK WORK AND CHAIN", THREE, "COMMIT", "BEGIN READ ONLY",
                             "COMMIT AND CHAIN", "SHOW transaction_read_only", ONE, "COMMIT AND CHAIN", "SHOW transaction_read_only", "END", "SHOW transaction_read_only", "BEGIN",
                             "SET LOCAL statement_timeout = '7s'", "SET LOCAL application_name = 'me'", "COMMIT AND CHAIN", "SHOW statement_timeout", "SHOW application_name",
                             "SET application_name = 'you'", "ABORT AND CHAIN", "SHOW application_name", "SAVEPOINT a", "END AND CHAIN", "ROLLBACK TO a", "ROLLBACK AND NO CHAIN",
                             f"{ONE}; COMMIT AND CHAIN; {TWO}", f"BEGIN; {ONE}; COMMIT AND CHAIN; {TWO}", "COMMIT AND NO CHAIN", "BEGIN",
                             "DECLARE c CURSOR FOR SELECT 1 AS a", "COMMIT AND CHAIN", "FETCH 1 FROM c", "ROLLBACK AND CHAIN", "COMMIT"],
    "begin twice": ["BEGIN", ONE, "BEGIN", "START TRANSACTION", TWO, "COMMIT"],
    "savepoints": ["BEGIN", ONE, "SAVEPOINT a", TWO, "ROLLBACK TO a", THREE, "RELEASE SAVEPOINT a", "COMMIT"],
    "a savepoint after an error": ["BEGIN", ONE, "SAVEPOINT a", WRONG, TWO, "ROLLBACK TO SAVEPOINT a", THREE, "COMMIT"],
    "savepoints of one name": ["BEGIN", "SAVEPOINT a", ONE, "SAVEPOINT a", TWO, "ROLLBACK TO a", "RELEASE a", THREE, "ROLLBACK TO a", "COMMIT"],
    "savepoints in savepoints": ["BEGIN", "SAVEPOINT a", ONE, "SAVEPOINT b", TWO, "ROLLBACK TO a", "ROLLBACK TO b", "ROLLBACK"],
    "a savepoint that is not there": ["BEGIN", ONE, "ROLLBACK TO nosuch", "SELECT 1 AS a", "ROLLBACK"],
    "a released savepoint": ["BEGIN", "SAVEPOINT a", "RELEASE a", "RELEASE a", "ROLLBACK"],
    "savepoints outside": ["SAVEPOINT a", "ROLLBACK TO a", "RELEASE a"],
    "savepoints among several": [f"{ONE}; SAVEPOINT a; {TWO}"],
    "a cursor that fails where it is fetched": ["BEGIN", "DECLARE c CURSOR FOR SELECT 1/(i-1) AS a FROM generate_series(1,10) AS g(i)", "SELECT 1 AS b", "FETCH 20 FROM c", "SELECT 2 AS b", "ROLLBACK"],
    "a cursor that nobody fetches": ["BEGIN", ONE, "DECLARE c CURSOR FOR SELECT 1/(i-500) AS a FROM generate_series(1,1000) AS g(i)", "SELECT 1 AS b", TWO, "COMMIT"],
    "cursors among several": ["DECLARE c CURSOR FOR SELECT 1 AS a; FETCH 1 FROM c; CLOSE c"],
    "tables come and go": ["BEGIN", "CREATE TABLE {t}_other (id BIGINT)", "INSERT INTO {t}_other VALUES (1)", "SELECT * FROM {t}_other", "ROLLBACK",
                           "SELECT * FROM {t}_other"],
    "a table dropped and back": [ONE, "BEGIN", "DROP TABLE {t}", "SELECT * FROM {t}", "ROLLBACK", "SELECT * FROM {t}"],
    "read only": ["BEGIN READ ONLY", "SELECT 1 AS a", ONE, "ROLLBACK"],
    "read only, said later": ["BEGIN", ONE, "SET TRANSACTION READ ONLY", "SHOW transaction_read_only", TWO, "ROLLBACK", "SHOW transaction_read_only",
                              "SET TRANSACTION READ ONLY", "BEGIN READ ONLY", "SHOW transaction_read_only", "SHOW default_transaction_read_only", "COMMIT"],
    "a session that only reads": ["SET default_transaction_read_only = on", "SHOW transaction_read_only", ONE, "SELECT * FROM {t}", "BEGIN", TWO, "ROLLBACK",
                                  "BEGIN READ WRITE", TWO, "COMMIT", "RESET default_transaction_read_only", THREE, "SELECT id FROM {t} ORDER BY id",
                                  "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", ONE, "BEGIN",
                                  "SET TRANSACTION READ WRITE, NOT DEFERRABLE", ONE, "COMMIT", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "DELETE FROM {t}",
                                  "SET default_transaction_read_only = maybe", "SELECT setting FROM pg_settings WHERE name = 'default_transaction_read_only'"],
    "what a session that only reads is refused": [
        "CREATE VIEW {t}_v AS SELECT 1 AS a", "CREATE MATERIALIZED VIEW {t}_m AS SELECT 1 AS a", "SET default_transaction_read_only = on",
        "CREATE ROLE {t}_r", "ALTER ROLE polder CREATEDB", "ALTER ROLE polder SET statement_timeout = 5000", "DROP ROLE polder", "GRANT SELECT ON {t} TO PUBLIC",
        "REVOKE SELECT ON {t} FROM PUBLIC", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC", "DROP OWNED BY polder", "REASSIGN OWNED BY polder TO polder",
        "VACUUM {t}", "ANALYZE {t}", "CREATE TABLE {t}_n (a INT)", "CREATE TABLE {t}_n AS SELECT 1 AS a", "SELECT 1 AS a INTO {t}_n", "CREATE TEMP TABLE {t}_t (a INT)",
        "CREATE VIEW {t}_w AS SELECT 1 AS a", "CREATE OR REPLACE VIEW {t}_v AS SELECT 2 AS a", "REFRESH MATERIALIZED VIEW {t}_m", "DROP VIEW {t}_v", "DROP MATERIALIZED VIEW {t}_m",
        "COMMENT ON TABLE {t} IS 'x'", "CREATE INDEX {t}_i ON {t} (id)", "ALTER TABLE {t} ADD COLUMN b INT", "ALTER TABLE {t} OWNER TO polder", "ALTER TABLE {t} RENAME TO {t}_n",
        "TRUNCATE {t}", ONE, "UPDATE {t} SET id = 1", "DELETE FROM {t} WHERE false", "MERGE INTO {t} USING (SELECT 1 AS a) AS s ON id = a WHEN NOT MATCHED THEN INSERT VALUES (a)",
        "EXPLAIN ANALYZE INSERT INTO {t} VALUES (1)", "CREATE SCHEMA {t}_s", "DROP SCHEMA public", "CREATE FUNCTION {t}_f() RETURNS INT LANGUAGE sql AS 'SELECT 1'",
        "CREATE POLICY {t}_p ON {t} USING (true)", f"PREPARE p AS {ONE}", "EXECUTE p", "COPY {t} FROM STDIN", "COPY {t} TO STDOUT", "DISCARD ALL", "SHOW default_transaction_read_only",
        "SELECT a FROM {t}_v"],
    "zones of hours and minutes": ["SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", "SHOW timezone", "SELECT '2024-01-01 00:00:00+00'::timestamptz AS at",
                                   "SET TIME ZONE INTERVAL '-05:30' HOUR TO MINUTE", "SHOW TIME ZONE", "SELECT '2024-01-01 00:00:00+00'::timestamptz AS at", "SET TIME ZONE -7",
                                   "SHOW timezone", "SET timezone = '<+03>-03'", "SHOW timezone", "SELECT '2024-01-01 00:00:00+00'::timestamptz AS at",
                                   "SELECT current_setting('timezone') AS a", "SET TIME ZONE INTERVAL '1 month'", "SET TIME ZONE INTERVAL '1 day'"],
    "settings go with a rollback": ["SET timezone = 'UTC'", "BEGIN", "SET timezone = 'Asia/Tokyo'", "SET statement_timeout = '7s'",
                                    "ROLLBACK", "SELECT '2024-01-01 00:00:00+00'::timestamptz AS at", "SHOW statement_timeout"],
    "settings of one transaction": ["BEGIN", "SET LOCAL statement_timeout = '7s'", "SHOW statement_timeout", "COMMIT", "SHOW statement_timeout"],
    # What the other server was started with is asked for only once it is set.
    "settings that mean nothing": ["SHOW work_mem", "SET work_mem = '64MB'", "SHOW work_mem", "SET work_mem TO 100000", "SHOW work_mem", "SET work_mem = '1.5 GB'", "SHOW work_mem",
                                   "SET work_mem = '64mb'", "SET work_mem = 1", "SET work_mem = '9TB'", "SET work_mem = x", "SET work_mem = 65, 66", "RESET work_mem", "SHOW work_mem",
                                   "BEGIN", "SET LOCAL work_mem = '8MB'", "SHOW work_mem", "COMMIT", "SHOW work_mem", "BEGIN", "SET work_mem = '8MB'", "ROLLBACK", "SHOW work_mem",
                                   "BEGIN", "SAVEPOINT a", "SET work_mem = '8MB'", "ROLLBACK TO a", "SHOW work_mem", "COMMIT", "SET LOCAL work_mem = '8MB'", "SHOW work_mem",
                                   "SET enable_seqscan = off", "SHOW enable_seqscan", "SET enable_seqscan TO true", "SHOW enable_seqscan", "SET enable_seqscan = 'of'", "SHOW enable_seqscan",
                                   "SET enable_seqscan = o", "SET enable_seqscan = 2", "SET enable_seqscan = DEFAULT", "SHOW enable_seqscan",
                                   "SET synchronous_commit = off", "SHOW synchronous_commit", "SET synchronous_commit = LOCAL", "SHOW synchronous_commit", "SET synchronous_commit = maybe",
                                   "SET synchronous_commit TO 'true'", "SHOW synchronous_commit",
                                   "SHOW lock_timeout", "SET lock_timeout = '1s'", "SHOW lock_timeout", "SET lock_timeout = 90000", "SHOW lock_timeout", "SET lock_timeout = -1",
                                   "SET lock_timeout = '2 min'", "SHOW lock_timeout", "SET lock_timeout = '1 week'", "SET lock_timeout = 0", "SHOW lock_timeout",
                                   "SET random_page_cost = 1.10", "SHOW random_page_cost", "SET random_page_cost = 10000000", "SHOW random_page_cost", "SET random_page_cost = -1",
                                   "RESET random_page_cost", "SHOW random_page_cost", "SHOW cpu_operator_cost", "SHOW geqo", "SHOW join_collapse_limit", "SHOW effective_cache_size",
                                   "SET temp_buffers = 1000", "SHOW temp_buffers", "SHOW maintenance_work_mem", "SHOW max_parallel_workers_per_gather", "SHOW min_parallel_index_scan_size",
                                   "SET max_connections = 10", "SET shared_buffers = '1GB'", "SET wal_level = 'logical'", "SET wal_level = DEFAULT", "RESET max_connections",
                                   "SELECT set_config('work_mem', '32MB', false)", "SELECT current_setting('work_mem') AS a", "SELECT set_config('work_mem', 'x', false)",
                                   "SELECT setting, unit, vartype, min_val, max_val FROM pg_settings WHERE name = 'work_mem'", "RESET ALL", "SHOW work_mem",
                                   "SELECT name, setting, unit, context, vartype, min_val, max_val, enumvals::text AS e FROM pg_settings WHERE name IN ('enable_sort', 'random_page_cost', "
                                   "'lock_timeout', 'plan_cache_mode', 'temp_buffers', 'geqo_threshold') ORDER BY name"],
    "statements by name": ["PREPARE p AS SELECT 1 AS a", "EXECUTE p", "PREPARE p AS SELECT 2", "DEALLOCATE p", "EXECUTE p", "DEALLOCATE ALL"],
    "statements of what is temporary": ["CREATE TEMP TABLE {t}_temp (a INT)", "INSERT INTO {t}_temp VALUES (7), (8)", "PREPARE p (int) AS SELECT a FROM {t}_temp WHERE a = $1",
                                        "EXECUTE p (7)", "CREATE TEMP VIEW {t}_view AS SELECT a + 1 AS b FROM {t}_temp", "PREPARE q AS SELECT b FROM {t}_view ORDER BY b",
                                        "EXECUTE q", "PREPARE r AS SELECT a FROM pg_temp.{t}_temp ORDER BY a", "EXECUTE r", "CREATE SCHEMA {t}_s", "CREATE TABLE {t}_s.{t}_there (a INT)",
                                        "SET search_path = public, {t}_s", "PREPARE s AS SELECT a FROM {t}_there", "EXECUTE s", "PREPARE u AS SELECT a FROM {t}_nowhere"],
    "tables of prepared statements": ["PREPARE p (int) AS SELECT $1 AS a, s AS b FROM generate_series(1, 3) AS s", "CREATE TABLE {t}_p AS EXECUTE p (7)",
                                      "SELECT a, b FROM {t}_p ORDER BY b", "CREATE TEMP TABLE {t}_q AS EXECUTE p (8)", "SELECT a, b FROM {t}_q ORDER BY b",
                                      "CREATE TABLE {t}_r AS EXECUTE nosuch", "CREATE TABLE {t}_r AS EXECUTE p", "EXPLAIN EXECUTE nosuch", "EXPLAIN EXECUTE p (1, 2)",
                                      asked("CREATE TABLE {t}_u AS EXECUTE p (9)") + SYNC,
                                      "SELECT a, b FROM {t}_u ORDER BY b"],
    "cursors": ["DECLARE c CURSOR FOR SELECT 1 AS a", "BEGIN", "DECLARE c CURSOR FOR SELECT s AS a FROM generate_series(1, 5) AS s",
                "FETCH 2 FROM c", "MOVE 1 IN c", "FETCH ALL FROM c", "FETCH 1 FROM c", "CLOSE c", "FETCH 1 FROM c", "ROLLBACK"],
    "cursors end with a transaction": ["BEGIN", "DECLARE c CURSOR FOR SELECT 1 AS a", "COMMIT", "FETCH 1 FROM c"],
    "cursors that are held": ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT s AS a FROM generate_series(1, 3) AS s",
                              "FETCH 1 FROM c", "COMMIT", "FETCH 1 FROM c", "BEGIN", "ROLLBACK", "FETCH 1 FROM c", "CLOSE c",
                              "CLOSE ALL"],
    "cursors that go back": ["BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT s AS a FROM generate_series(1, 5) AS s", "FETCH PRIOR FROM c", "FETCH 2 FROM c",
                             "FETCH PRIOR FROM c", "FETCH RELATIVE 0 FROM c", "FETCH FORWARD 0 FROM c", "FETCH BACKWARD 0 FROM c", "FETCH LAST FROM c",
                             "FETCH NEXT FROM c", "FETCH RELATIVE 0 FROM c", "FETCH BACKWARD 2 FROM c", "FETCH BACKWARD ALL FROM c", "FETCH FIRST FROM c",
                             "FETCH ABSOLUTE 4 FROM c", "FETCH ABSOLUTE -2 FROM c", "FETCH ABSOLUTE 9 FROM c", "FETCH PRIOR c", "FETCH ABSOLUTE -9 FROM c",
                             "FETCH ABSOLUTE 0 FROM c", "FETCH RELATIVE 3 IN c", "FETCH RELATIVE -2 FROM c", "FETCH -1 FROM c", "FETCH FORWARD -1 FROM c",
                             "FETCH BACKWARD -2 FROM c", "MOVE 2 IN c", "MOVE BACKWARD 3 IN c", "MOVE LAST IN c", "MOVE FORWARD ALL IN c", "MOVE BACKWARD ALL IN c",
                             "MOVE ABSOLUTE 3 IN c", "MOVE RELATIVE 0 IN c", "FETCH ALL FROM c", "FETCH BACKWARD ALL FROM c", "CLOSE c",
                             "SELECT is_scrollable FROM pg_cursors", "DECLARE d SCROLL CURSOR WITH HOLD FOR SELECT 1 AS a WHERE false",
                             "SELECT name, is_scrollable FROM pg_cursors", "FETCH LAST FROM d", "FETCH FIRST FROM d", "MOVE ALL IN d", "COMMIT", "FETCH PRIOR FROM d",
                             "CLOSE d", "BEGIN", "DECLARE e NO SCROLL CURSOR FOR SELECT 1 AS a", "FETCH PRIOR FROM e", "ROLLBACK"],
    "the row of a cursor again": ["BEGIN", "DECLARE c CURSOR FOR SELECT s::bigint AS a FROM generate_series(1, 5) AS s", "FETCH 0 FROM c", "MOVE 0 IN c", "FETCH 2 FROM c", "FETCH 0 FROM c",
                                  "FETCH RELATIVE 0 FROM c", "FETCH FORWARD 0 FROM c", "FETCH BACKWARD 0 FROM c", "MOVE 0 IN c", "FETCH NEXT FROM c", "MOVE 1 IN c", "FETCH 0 FROM c",
                                  "FETCH 1 FROM c", "FETCH RELATIVE 0 FROM c", asked("FETCH 0 FROM c", results=(1,)) + SYNC, "FETCH 0 FROM c", "FETCH 1 FROM c", "FETCH 0 FROM c",
                                  "MOVE RELATIVE 0 IN c", "ROLLBACK"],
    "settings by a query": ["SELECT set_config('a.b', 'x', false)", "SELECT pg_catalog.set_config('a.b', 'y', false) AS c", "SELECT current_setting('a.b') AS a",
                            "BEGIN", "SELECT set_config('a.b', 'z', true)", "SELECT current_setting('a.b') AS a", "COMMIT", "SELECT current_setting('a.b') AS a",
                            "BEGIN", "SELECT set_config('a.b', 'w', false)", "ROLLBACK", "SELECT current_setting('a.b') AS a",
                            "BEGIN", "SAVEPOINT s", "SELECT set_config('a.b', 'v', false)", "ROLLBACK TO s", "SELECT current_setting('a.b') AS a", "COMMIT",
                            "SELECT set_config('application_name', 'me', false)", "SHOW application_name", "BEGIN", "SELECT set_config('application_name', 'you', true)",
                            "SHOW application_name", "COMMIT", "SHOW application_name", "SELECT set_config('application_name', 'it', true)", "SHOW application_name",
                            "SELECT set_config('timezone', 'Asia/Tokyo', false)", "SELECT '2024-01-01 00:00:00+00'::timestamptz AS a", "SHOW timezone",
                            "SELECT set_config('nosuch', 'x', false)", "SELECT set_config(NULL, 'x', false)",
                            "SELECT set_config('a.b', 'one', true); SELECT current_setting('a.b') AS a", "SELECT current_setting('a.b') AS a",
                            "SELECT set_config('a.b', '1', false), set_config('a.c', '2', false) AS d", "SELECT current_setting('a.b') AS b, current_setting('a.c') AS c",
                            "SELECT set_config('a.b', '3', false), set_config('nosuch', '2', false) AS d", "SELECT current_setting('a.b') AS b",
                            "SELECT set_config('search_path', '', false)", "SHOW search_path", "SELECT * FROM {t}", "CREATE TABLE {t}_none (a INT)",
                            "SELECT count(*) FROM public.{t}", "SELECT set_config('search_path', ' \"Public\" ,public', false)", "SELECT count(*) FROM {t}",
                            "SELECT set_config('search_path', 'a b', false)", "SELECT set_config('role', 'nosuch', false)"],
    "a held cursor of a rollback": ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1 AS a", "ROLLBACK", "FETCH 1 FROM c"],
    "cursors are listed": ["DECLARE h CURSOR WITH HOLD FOR SELECT 1 AS a", CURSORS, "BEGIN", "DECLARE c BINARY CURSOR FOR SELECT 2 AS a", CURSORS, "FETCH 1 FROM c",
                           CURSORS, "CLOSE c", CURSORS, "DECLARE d CURSOR WITH HOLD FOR SELECT 3 AS a", "ROLLBACK", CURSORS, "CLOSE ALL", CURSORS],
    "prepared statements are listed": ["PREPARE p AS SELECT 1 AS a", "PREPARE q (int, text) AS SELECT $1 AS a, $2 AS b", "PREPARE r AS INSERT INTO {t} VALUES ($1)",
                                       PREPARED, "EXECUTE q (1, 'x')", "DEALLOCATE p", PREPARED, "DEALLOCATE ALL", PREPARED, "PREPARE s AS SELECT 1", "DISCARD ALL",
                                       PREPARED, "PREPARE t AS SELECT nosuch", PREPARED],
    "the row of a table": ["CREATE TABLE {t}_r (a INT, b TEXT)", "INSERT INTO {t}_r VALUES (3, 'x'), (1, NULL), (2, 'a b'), (NULL, NULL)",
                           "SELECT {t}_r FROM {t}_r ORDER BY a", "SELECT count(r), count(DISTINCT r) FROM {t}_r AS r", "SELECT r AS whole, r.a FROM {t}_r r ORDER BY a",
                           "SELECT r FROM (SELECT b, a + 1 AS c FROM {t}_r) AS r ORDER BY c", "SELECT r::text || '!' AS x FROM {t}_r AS r ORDER BY a",
                           "SELECT r IS NULL AS x, r IS NOT NULL AS y FROM {t}_r AS r ORDER BY a", "SELECT (r).a, (r).b FROM {t}_r AS r ORDER BY a",
                           "SELECT r FROM {t}_r AS r WHERE r.a = 3 GROUP BY r", "SELECT array_agg(r ORDER BY a) FROM {t}_r AS r",
                           # A column of that name is meant before the table is, here and around.
                           "SELECT b FROM {t}_r AS b ORDER BY a", "SELECT r FROM (SELECT a AS r FROM {t}_r) AS r ORDER BY r",
                           "SELECT g AS x FROM generate_series(1, 2) AS g",
                           "SELECT nosuch FROM {t}_r", "SELECT {t}_r FROM {t}_r AS r",
                           "SELECT count(*) FROM {t}_r AS l LEFT JOIN {t}_r AS r ON l.a = r.a AND r.a > 1 WHERE r IS NULL",
                           "CREATE VIEW {t}_v AS SELECT r::text AS whole FROM {t}_r AS r", "SELECT whole FROM {t}_v ORDER BY whole", "DROP VIEW {t}_v"],
    "discarding": ["BEGIN", "DISCARD ALL", "ROLLBACK", "DISCARD ALL", f"{ONE}; DISCARD ALL"],
    "tags": [ONE, "INSERT INTO {t} VALUES (2), (3)", "UPDATE {t} SET id = id + 10 WHERE id > 1", "SELECT id FROM {t} ORDER BY id",
             "DELETE FROM {t} WHERE id = 1", "INSERT INTO {t} VALUES (5) RETURNING id", "DELETE FROM {t} WHERE id = 99",
             "TRUNCATE {t}", "CREATE VIEW {t}_view AS SELECT 1 AS a", "DROP VIEW {t}_view", "ALTER TABLE {t} ADD COLUMN x TEXT",
             "ALTER TABLE {t} DROP COLUMN x", "COMMENT ON TABLE {t} IS 'x'", "CREATE SCHEMA {t}_schema", "DROP SCHEMA {t}_schema",
             "SHOW client_encoding", "SET extra_float_digits = 3", "RESET extra_float_digits", "VALUES (1), (2)",
             "CREATE TABLE {t}_made AS SELECT 1 AS a", "DROP TABLE {t}_made"],
    "more tags": ["CREATE TABLE {t}_m (id INT PRIMARY KEY, a INT)", "INSERT INTO {t}_m SELECT 1 WHERE false", "INSERT INTO {t}_m VALUES (1, 1)",
                  "MERGE INTO {t}_m AS m USING (VALUES (1), (2)) AS s (id) ON m.id = s.id WHEN MATCHED THEN UPDATE SET a = 2 WHEN NOT MATCHED THEN INSERT VALUES (s.id, 3)",
                  "UPDATE {t}_m SET a = 1 WHERE false", "SELECT * FROM {t}_m ORDER BY id", "WITH x AS (SELECT 1 AS b) SELECT * FROM x",
                  "WITH x AS (SELECT 7 AS b) INSERT INTO {t}_m SELECT b, b FROM x", "PREPARE p AS DELETE FROM {t}_m WHERE id = 7", "EXECUTE p",
                  "CREATE MATERIALIZED VIEW {t}_v AS SELECT 1 AS a", "REFRESH MATERIALIZED VIEW {t}_v", "COMMENT ON MATERIALIZED VIEW {t}_v IS 'x'",
                  "DROP MATERIALIZED VIEW {t}_v", "CREATE MATERIALIZED VIEW {t}_v AS SELECT 1 AS a WITH NO DATA",
                  "CREATE INDEX {t}_x ON {t}_m (a)", "DROP INDEX {t}_x", "CREATE FUNCTION {t}_f() RETURNS INT LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION {t}_f",
                  "CREATE VIEW {t}_w AS SELECT 1 AS a", "CREATE OR REPLACE VIEW {t}_w AS SELECT 2 AS a", "ALTER VIEW {t}_w RENAME TO {t}_w2",
                  "CREATE SCHEMA {t}_s", "ALTER SCHEMA {t}_s RENAME TO {t}_s2", "CREATE TABLE IF NOT EXISTS {t}_m AS SELECT 1 AS id",
                  "CREATE TABLE {t}_n AS SELECT 1 AS id WITH NO DATA", "CREATE TABLE {t}_l (LIKE {t}_m)", "CREATE TEMP TABLE {t}_t (id INT)",
                  "CREATE TEMP TABLE {t}_u AS VALUES (1), (2)", "ANALYZE {t}_m", "VACUUM {t}_m", "COPY {t}_l TO STDOUT", "TRUNCATE TABLE {t}_m", "DELETE FROM {t}_m",
                  "ALTER TABLE {t}_m RENAME TO {t}_o", "ALTER INDEX {t}_m_pkey RENAME TO {t}_o_pkey", "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP", "DISCARD TEMPORARY",
                  "DISCARD nosuch", "BEGIN", "SAVEPOINT s", "RELEASE s", "SET LOCAL statement_timeout = 0", "END", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
                  "CLOSE ALL", "DEALLOCATE PREPARE ALL", "SET TIME ZONE 'UTC'", "RESET ALL", "UNLISTEN *", "DROP TABLE {t}_o, {t}_n"],
    "codes": ["SELECT nosuch", "SELECT * FROM nosuch", "SELECT nosuch()", "SELECT 1/0", "SELECT 'x'::int", "SELECT 99999999999::int",
              "SELECT '2024-13-01'::date", "CREATE TABLE {t} (id BIGINT)", "DROP TABLE nosuch", "INSERT INTO {t} (nosuch) VALUES (1)",
              "INSERT INTO {t} VALUES (1, 2)", "SELECT 'x'::uuid", "EXECUTE nosuch", "SELECT (SELECT 1 UNION SELECT 2)",
              "SELECT id FROM {t} GROUP BY ()", "SELEC", "SELECT 1 +", "SET nosuch_setting = 1", "SHOW nosuch_setting",
              "SELECT '{'::jsonb", "SELECT sum(id) FROM {t} WHERE sum(id) > 1", "CREATE SCHEMA public", "SELECT 1 UNION SELECT 1, 2",
              "SELECT repeat('x', 3)::varchar(2)", "FETCH 1 FROM nosuch"],
}


@pytest.mark.parametrize("name", SIMPLE)
def test_simple_queries(both, name):
    compare(both, SIMPLE[name])


SERIES = parse("SELECT s AS a FROM generate_series(1, 8) AS s")
SETS = parse("SELECT set_config($1, $2, $3)")
EXTENDED = {
    "settings by a query": [SETS + describe(b"S") + bind((b"a.b", b"x", b"true")) + describe(b"P") + execute() + asked("SELECT current_setting('a.b') AS a") + SYNC,
                            SETS + bind((b"application_name", b"me", b"f")) + describe(b"P") + execute() + SYNC, "SHOW application_name",
                            SETS + bind((b"application_name", b"you", b"t")) + execute() + asked("SHOW application_name") + SYNC, "SHOW application_name"],
    "cursors that go back": ["BEGIN", asked("DECLARE c SCROLL CURSOR FOR SELECT s AS a FROM generate_series(1, 5) AS s") + asked("FETCH LAST FROM c") + SYNC,
                             asked("FETCH BACKWARD 3 FROM c") + asked("MOVE FIRST IN c") + asked("FETCH NEXT FROM c") + SYNC, "ROLLBACK"],
    "cursors that go back, and the protocol's own way": [
        "BEGIN", "DECLARE c SCROLL CURSOR FOR SELECT s AS a FROM generate_series(1, 5) AS s", execute(2, "c") + SYNC, "FETCH PRIOR FROM c",
        execute(3, "c") + SYNC, execute(9, "c") + SYNC, execute(0, "c") + SYNC, "FETCH BACKWARD 2 FROM c", execute(0, "c") + SYNC, "ROLLBACK"],
    "one": [asked(ONE) + SYNC, asked("SELECT id FROM {t}") + SYNC],
    "several are one transaction": [asked(ONE) + asked(WRONG) + asked(TWO) + SYNC],
    "each with its sync": [asked(ONE) + SYNC + asked(WRONG) + SYNC + asked(TWO) + SYNC],
    "together": [asked(ONE) + asked(TWO) + SYNC],
    "a transaction in a pipeline": [asked("BEGIN") + asked(ONE) + asked("COMMIT") + asked(TWO) + asked(WRONG) + SYNC],
    "begin late": [asked(ONE) + asked("BEGIN") + asked(TWO) + SYNC, asked("ROLLBACK") + SYNC],
    "a rollback without a beginning": [asked(ONE) + asked("ROLLBACK") + SYNC],
    "a commit without a beginning": [asked(ONE) + asked("COMMIT") + asked(TWO) + asked(WRONG) + SYNC],
    "an error in a transaction": [asked("BEGIN") + SYNC, asked(ONE) + asked(WRONG) + asked(TWO) + SYNC, asked("ROLLBACK") + SYNC],
    "reads before changes": [asked("SELECT count(*) AS a FROM {t}") + asked(ONE) + asked("SELECT count(*) AS a FROM {t}") + asked(WRONG) + SYNC],
    "simple after an error": [asked(WRONG) + query("SELECT 1 AS a") + SYNC, "SELECT 2 AS b"],
    "rows in parts": [SERIES + bind() + execute(3) + execute(3) + execute(3) + execute(3) + SYNC],
    "exactly as many rows": [SERIES + bind() + execute(8) + execute(8) + SYNC],
    "a portal ends with its sync": [SERIES + bind(portal="p") + execute(2, "p") + SYNC, execute(2, "p") + SYNC],
    "a portal stays in a transaction": ["BEGIN", SERIES + bind(portal="p") + execute(2, "p") + SYNC, execute(2, "p") + SYNC,
                                        close(b"P", "p") + execute(2, "p") + SYNC, "ROLLBACK"],
    "a portal of a name that is taken": ["BEGIN", SERIES + bind(portal="p") + bind(portal="p") + SYNC, "ROLLBACK"],
    "unnamed portals take each other's place": ["BEGIN", SERIES + bind() + execute(2) + bind() + execute(2) + SYNC, "ROLLBACK"],
    "statements by name": [parse("SELECT 1 AS a", "s") + parse("SELECT 2 AS a", "s") + SYNC, bind(statement="s") + execute() + SYNC,
                           close(b"S", "s") + SYNC, bind(statement="s") + SYNC, close(b"S", "nosuch") + close(b"P", "nosuch") + SYNC],
    "names of both kinds": [parse("SELECT 1 AS a", "s") + SYNC, "EXECUTE s", "DEALLOCATE s", bind(statement="s") + SYNC, "PREPARE q AS SELECT 2 AS a",
                            bind(statement="q") + execute() + SYNC, parse("SELECT 3", "q") + SYNC],
    "values by name": ["PREPARE p (int, text) AS SELECT $1 + 1 AS a, $2 AS b", "EXECUTE p (1, 'it''s (a), $1')", "EXECUTE p (1 + 2, NULL)", "EXECUTE p (1)",
                       "EXECUTE p ('x', 'y')", asked("EXECUTE p (7, 'z')") + SYNC,
                       bind((b"3", b"w"), statement="p") + execute() + SYNC, parse("SELECT $1::int * 2 AS a", "s", (23,)) + SYNC, "EXECUTE s (21)", "EXECUTE s",
                       close(b"S", "s") + SYNC, "EXECUTE s (1)", "PREPARE s AS SELECT nosuch", "PREPARE s AS BEGIN", "EXECUTE s", "BEGIN", "EXECUTE p (1, 'a')",
                       "PREPARE r AS INSERT INTO {t} VALUES ($1) RETURNING id", "EXECUTE r (5)", WRONG, "EXECUTE r (6)", "ROLLBACK", "EXECUTE r (7)",
                       "DEALLOCATE ALL", "EXECUTE r (8)", "DEALLOCATE r"],
    "void": [parse("SELECT * FROM abs($1, $2) AS a", types=(2278, 23)) + describe(b"S") + bind((None, b"-4")) + execute() + SYNC,
             parse("SELECT abs($2, $1) AS a", types=(2278, 23)) + bind((None, b"-4")) + execute() + SYNC],
    "the unnamed statement": [parse("SELECT 1 AS a") + SYNC, "SELECT 2 AS b", bind() + execute() + SYNC],
    "nothing": [parse("") + bind() + describe() + execute() + SYNC, parse("-- nothing") + describe(b"S") + bind() + execute() + SYNC],
    "two at once": [parse("SELECT 1; SELECT 2") + SYNC],
    "descriptions": [parse("SELECT id FROM {t} WHERE id = $1") + describe(b"S") + SYNC, parse(ONE) + describe(b"S") + bind() + describe() + SYNC,
                     parse("INSERT INTO {t} VALUES ($1) RETURNING id AS a") + describe(b"S") + SYNC, parse("BEGIN") + describe(b"S") + SYNC],
    "returning": [asked("INSERT INTO {t} VALUES (1), (2), (3) RETURNING id") + SYNC, asked("UPDATE {t} SET id = id + 1 RETURNING id - 1 AS a") + SYNC,
                  asked("DELETE FROM {t} WHERE id = 4 RETURNING id") + SYNC],
    "returning in parts": [parse("INSERT INTO {t} VALUES (1), (2), (3) RETURNING id") + bind() + execute(1) + execute(1) + SYNC],
    "executing what is prepared": [f"PREPARE p AS {ONE}", asked("EXECUTE p") + SYNC, asked("EXECUTE p") + asked(WRONG) + SYNC,
                                   "PREPARE q AS SELECT 1 AS a", asked("EXECUTE q") + SYNC],
    "a cursor in either format": ["BEGIN", "DECLARE c CURSOR FOR SELECT s::bigint AS a FROM generate_series(1, 5) AS s",
                                  asked("FETCH 1 FROM c", results=(1,)) + SYNC, asked("FETCH 1 FROM c") + SYNC, "FETCH 1 FROM c",
                                  "ROLLBACK"],
    "a binary cursor": ["BEGIN", "DECLARE c BINARY CURSOR FOR SELECT s::bigint AS a FROM generate_series(1, 5) AS s", "FETCH 1 FROM c", "ROLLBACK"],
    "values": [parse("SELECT $1::bigint + $2::bigint AS a, $3::text AS b") + bind((b"1", b"2", None)) + execute() + SYNC,
               parse("SELECT $2::bigint AS a, $1::bigint AS b", types=(20, 20)) + bind((b"\0" * 7 + b"\1", b"2"), (1, 0), (0, 1)) + execute() + SYNC],
    "savepoints": ["BEGIN", asked(ONE) + asked("SAVEPOINT a") + asked(WRONG) + SYNC, asked("ROLLBACK TO a") + asked(TWO) + SYNC,
                   asked("COMMIT") + SYNC],
    "in a failed transaction": ["BEGIN", WRONG, asked("SELECT 1 AS a") + SYNC, asked(ONE) + SYNC, asked("COMMIT") + SYNC],
    "mistakes": [asked("SELEC 1") + SYNC, parse("SELECT 1 AS a") + bind((b"1",)) + execute() + SYNC],
    "what is prepared is listed": [parse("SELECT $1::date AS a, $2 AS b", "s") + SYNC, PREPARED, close(b"S", "s") + SYNC, PREPARED, parse("SELECT 1") + SYNC, PREPARED,
                                   "BEGIN", parse("SELECT 1 AS a") + bind(portal="c") + SYNC, CURSORS, close(b"P", "c") + SYNC, CURSORS, "ROLLBACK"],
    "flushes": [parse("SELECT 1 AS a") + FLUSH + bind() + FLUSH + execute() + FLUSH + SYNC],
}


@pytest.mark.parametrize("name", EXTENDED)
def test_extended_queries(both, name):
    compare(both, EXTENDED[name])


def test_a_text_with_a_mistake_at_its_end_does_nothing(both):
    ours, theirs = both()
    name = f"beside_{next(NUMBERS)}"
    with ours, theirs:
        for connection in (ours, theirs):
            connection.rows(f"CREATE TABLE {name} (id BIGINT)")
            assert raw.refusal(connection.run(f"INSERT INTO {name} VALUES (1); SELEC 1"))["C"] == "42601"
            assert connection.rows(f"SELECT count(*) FROM {name}") == [(b"0",)]


def test_plans_of_prepared_statements(both):
    ours, theirs = both()
    with ours, theirs:
        for connection in (ours, theirs):
            connection.rows("PREPARE p (int) AS SELECT s FROM generate_series(1, 9) AS s WHERE s > $1")
            assert connection.rows("EXPLAIN EXECUTE p (8)")
            assert connection.rows("EXPLAIN (FORMAT json) EXECUTE p (8)")
            assert connection.rows("EXPLAIN ANALYZE VERBOSE EXECUTE p (8)")
            # A column may be called so.
            assert connection.rows("EXPLAIN (ANALYZE) SELECT count(*) execute FROM generate_series(1, 9)")


ROWS = frame(b"d", b"1\n2\n") + frame(b"d", b"3\n") + frame(b"c")
COPIES = {
    "rows": [query("COPY {t} FROM STDIN") + ROWS],
    "no rows": [query("COPY {t} FROM STDIN") + frame(b"c")],
    "rows and a query": [query("COPY {t} FROM STDIN; SELECT count(*) AS a FROM {t}") + ROWS],
    "rows, then an error": [query(f"COPY {{t}} FROM STDIN; {WRONG}") + ROWS],
    "a wrong row": [query("COPY {t} FROM STDIN") + frame(b"d", b"1\nx\n") + frame(b"c")],
    "the client gives up": [query("COPY {t} FROM STDIN") + frame(b"d", b"1\n") + frame(b"f", text("enough"))],
    "in a transaction": ["BEGIN", query("COPY {t} FROM STDIN") + ROWS, "SELECT count(*) AS a FROM {t}", "ROLLBACK"],
    "a wrong row in a transaction": ["BEGIN", ONE, query("COPY {t} FROM STDIN") + frame(b"d", b"x\n") + frame(b"c"), ONE, "COMMIT"],
    "rows out": [query("COPY {t} FROM STDIN") + ROWS, "COPY (SELECT id FROM {t} ORDER BY id) TO STDOUT",
                 "COPY (SELECT id FROM {t} WHERE id > 9) TO STDOUT",
                 "COPY (SELECT id FROM {t} ORDER BY id) TO STDOUT (FORMAT csv, HEADER)"],
    "by the other protocol": [parse("COPY {t} FROM STDIN") + bind() + execute() + ROWS + SYNC,
                              parse("COPY (SELECT 1) TO STDOUT") + bind() + describe() + execute() + SYNC],
    "an error by the other protocol": [parse("COPY {t} FROM STDIN") + bind() + execute() + frame(b"d", b"x\n") + frame(b"c") + SYNC],
    "a table that is not there": ["COPY nosuch FROM STDIN", "COPY nosuch TO STDOUT", "COPY (SELECT nosuch) TO STDOUT"],
}


@pytest.mark.parametrize("name", COPIES)
def test_copies(both, name):
    compare(both, COPIES[name])
