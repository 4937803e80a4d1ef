"""Ways to get at what is in a table, and somebody who tries them and remembers all that is answered.

`vault.staff` belongs to ana. Marks are in its values, in the number of its rows, and in rows that are not there any more;
whoever may not see them must find none in any answer, whatever it is: rows, errors, notices, plans, bodies, headers.
"""

import itertools
import re
import time
import urllib.parse

import psycopg

import permissions
import polder

NUMBERS = itertools.count(1)
TABLE = "vault.staff"
ROWS = 31_477
# Of rows that a policy hides; of columns that are masked; of rows that were deleted.
HIDDEN = ("hush7f3a", "734519027")
MASKED = ("mum9c1e", "918273645")
GONE = ("gone4d2b", "645128903")
# How many rows there are, and how many a policy hides. As a part of another number they mean nothing.
COUNTS = re.compile(rf"(?<![\w.-])({ROWS}|{ROWS - 2}|{ROWS - 3}|{ROWS + 1})(?![\w-])")

MADE = [
    "CREATE TABLE vault.staff (id INT PRIMARY KEY, team TEXT NOT NULL, salary INT NOT NULL CHECK (salary >= 0), note TEXT, pin INT, code TEXT)",
    f"INSERT INTO vault.staff SELECT value, 'blue', value, 'hush7f3a ' || value, value, 'mum9c1e' FROM generate_series(10, {ROWS + 6}) AS g(value)",
    "INSERT INTO vault.staff VALUES (1, 'red', 10, 'open', 918273645, 'mum9c1e'), (2, 'red', 20, 'open', 918273645, 'mum9c1e'), "
    "(3, 'blue', 734519027, 'hush7f3a', 1, 'x'), (4, 'green', 645128903, 'gone4d2b', 2, 'x')",
    "DELETE FROM vault.staff WHERE id = 4",
]


class Asker:
    """Somebody's session, and their login at the HTTP API if the server has one. `heard` is all that was answered."""

    def __init__(self, connection, client=None, world=None):
        self.connection = connection
        self.client = client
        self.world = world
        self.heard = []
        connection.add_notice_handler(lambda notice: self.heard.append(self.diagnosed(notice)))

    @staticmethod
    def diagnosed(diag) -> str:
        parts = (diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint, diag.context, diag.column_name, diag.constraint_name)
        return " | ".join(str(part) for part in parts if part)

    def sql(self, *statements: str) -> None:
        """Runs each, whatever became of those before. `{s}` is a schema where one may make things, `{n}` a number of these statements alone."""
        number = next(NUMBERS)
        version = self.world.version if self.world else 0
        for statement in statements:
            text = statement.format(t=TABLE, s="lab", n=number, v=version)
            try:
                self.heard.append(self.asked(text))
            except psycopg.Error as error:
                self.heard.append(self.diagnosed(error.diag) or str(error))
                if self.connection.closed:
                    raise

    def asked(self, text: str) -> str:
        with self.connection.cursor() as cursor:
            if "TO STDOUT" in text:
                with cursor.copy(text) as copy:
                    return b"".join(copy).decode("latin-1")
            cursor.execute(text)
            rows = cursor.fetchall() if cursor.description else None
            return f"{cursor.statusmessage} {[tuple(map(str, row)) for row in rows or ()]}"

    def http(self, method: str, path: str, **options) -> str:
        answer = self.client.http.request(method, f"{self.client.url}/api/v1{path}", timeout=self.client.timeout, **options)
        headers = {name: urllib.parse.unquote(value) for name, value in answer.headers.items() if name.lower().startswith("polder")}
        self.heard.append(f"{answer.status_code} {headers} {answer.content.decode('latin-1')}")
        return answer.text

    def found(self, *marks: str) -> set:
        """The marks that were heard."""
        text = "\n".join(self.heard)
        return {mark for mark in marks if mark in text} | set(COUNTS.findall(text))


def asks(*statements: str):
    return lambda asker: asker.sql(*statements)


def in_transaction(*statements: str):
    return asks("BEGIN", *statements, "ROLLBACK")


def posts(sql: str, **options):
    return lambda asker: asker.http("POST", "/statements", json={"sql": sql.format(t=TABLE), **options})


def gets(path: str):
    return lambda asker: asker.http("GET", path)


BEST = "ORDER BY salary DESC LIMIT 5"

# Those that PostgreSQL has too.
COMMON = {
    "rows": asks("SELECT * FROM {t} " + BEST, "SELECT * FROM {t} ORDER BY id LIMIT 5"),
    "TABLE": asks("TABLE {t}"),
    "alias and column list": asks("SELECT * FROM {t} AS x (a, b, c, d, e, f) ORDER BY c DESC LIMIT 5"),
    "whole rows": asks("SELECT x.* FROM (SELECT s.* FROM {t} AS s) AS x " + BEST),
    "subquery": asks("SELECT * FROM (SELECT * FROM {t}) AS x " + BEST),
    "scalar subquery": asks("SELECT (SELECT min(note) FROM {t})", "SELECT (SELECT max(code) FROM {t})", "SELECT ARRAY(SELECT note FROM {t} " + BEST + ")"),
    "common table expression": asks("WITH x AS (SELECT * FROM {t}) SELECT * FROM x " + BEST, "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT salary FROM x JOIN {t} s ON s.id = x.n + 2) SELECT * FROM x"),
    "lateral join": asks("SELECT x.* FROM (VALUES (3)) AS v (id), LATERAL (SELECT * FROM {t} s WHERE s.id = v.id) AS x"),
    "joins": asks("SELECT a.note, b.code FROM {t} a JOIN {t} b ON a.id = b.id ORDER BY a.salary DESC LIMIT 5", "SELECT b.* FROM (VALUES (3)) AS v (id) LEFT JOIN {t} b USING (id)",
                  "SELECT b.* FROM (VALUES (3)) AS v (id) FULL JOIN {t} b USING (id) ORDER BY id LIMIT 5"),
    "set operations": asks("SELECT note, code FROM {t} UNION SELECT 'a', 'b' ORDER BY 1 DESC LIMIT 5", "SELECT salary FROM {t} EXCEPT SELECT 1 ORDER BY 1 DESC LIMIT 5"),
    "windows": asks("SELECT note, row_number() OVER (ORDER BY salary DESC), lag(code) OVER (ORDER BY id) FROM {t} LIMIT 5", "SELECT count(*) OVER () FROM {t} LIMIT 1"),
    "aggregates": asks("SELECT count(*), max(salary), min(note), max(note), max(pin), max(code) FROM {t}", "SELECT string_agg(note, ',') FROM {t} WHERE id < 9", "SELECT array_agg(pin) FROM {t} WHERE id < 9",
                       "SELECT count(pin), count(DISTINCT id) FROM {t}"),
    "groups": asks("SELECT note, count(*) FROM {t} GROUP BY note ORDER BY 1 DESC LIMIT 5", "SELECT code, count(*) FROM {t} GROUP BY ROLLUP (code)", "SELECT DISTINCT pin FROM {t} ORDER BY 1 DESC LIMIT 5"),
    "CASE": asks("SELECT CASE WHEN team = 'red' THEN code ELSE note END FROM {t} " + BEST),
    "conditions on what is hidden": asks("SELECT * FROM {t} WHERE salary > 700000000", "SELECT * FROM {t} WHERE note LIKE 'hush%' LIMIT 3", "SELECT count(*) FROM {t} WHERE pin > 0"),
    "EXISTS": asks("SELECT v.word FROM (VALUES ('hush' || '7f3a'), ('no')) AS v (word) WHERE EXISTS (SELECT 1 FROM {t} WHERE note = v.word)",
                   "SELECT v.word FROM (VALUES ('mum' || '9c1e'), ('no')) AS v (word) WHERE v.word IN (SELECT code FROM {t})"),
    "a cast that fails": asks("SELECT note::int FROM {t} WHERE id = 3", "SELECT code::int FROM {t} WHERE id = 1", "SELECT * FROM {t} WHERE note::date > '2000-01-01'", "SELECT note::uuid FROM {t}"),
    "a cast that fails behind a condition": asks("SELECT id FROM {t} WHERE team = 'blue' AND note::int > 0", "SELECT id FROM {t} WHERE CASE WHEN team = 'blue' THEN note::int END > 0"),
    "an object of that name": asks("SELECT note::regclass FROM {t} WHERE id = 3", "SELECT (code || 'x')::regclass FROM {t} WHERE id = 1", "SELECT has_table_privilege(note, 'SELECT') FROM {t} WHERE id = 3"),
    "texts that are no JSON": asks("SELECT note::json FROM {t} WHERE id = 3", "SELECT code::jsonb FROM {t} WHERE id = 1"),
    "COPY of the table": asks("COPY {t} TO STDOUT", "COPY {t} (note, code) TO STDOUT (FORMAT csv, HEADER)", "COPY {t} TO STDOUT (FORMAT binary)"),
    "COPY of a query": asks("COPY (SELECT * FROM {t} " + BEST + ") TO STDOUT", "COPY (SELECT code FROM {t} WHERE id = 1) TO STDOUT (FORMAT binary)"),
    "a cursor": in_transaction("DECLARE c CURSOR FOR SELECT * FROM {t} " + BEST, "FETCH 2 FROM c", "MOVE 1 IN c", "FETCH ALL FROM c"),
    "a cursor that is held": asks("BEGIN", "DECLARE c{n} CURSOR WITH HOLD FOR SELECT * FROM {t} " + BEST, "COMMIT", "FETCH ALL FROM c{n}", "CLOSE c{n}"),
    "a prepared statement": asks("PREPARE p{n} AS SELECT * FROM {t} WHERE id = $1", "EXECUTE p{n} (3)", "EXECUTE p{n} (1)"),
    "a table made of it": asks("CREATE TABLE {s}.t{n} AS SELECT * FROM {t}", "SELECT * FROM {s}.t{n} " + BEST, "SELECT count(*) FROM {s}.t{n}"),
    "a temporary table": asks("CREATE TEMP TABLE t{n} AS SELECT * FROM {t} " + BEST, "SELECT * FROM t{n}"),
    "INSERT … SELECT": asks("CREATE TABLE {s}.t{n} (a TEXT, b TEXT)", "INSERT INTO {s}.t{n} SELECT note, code FROM {t}", "SELECT * FROM {s}.t{n} ORDER BY 1 DESC LIMIT 5"),
    "a view": asks("CREATE VIEW {s}.v{n} AS SELECT * FROM {t}", "SELECT * FROM {s}.v{n} " + BEST),
    "a view of a view": asks("CREATE VIEW {s}.v{n} AS SELECT min(note) AS note, count(*) AS n FROM {t}", "CREATE VIEW {s}.w{n} AS SELECT * FROM {s}.v{n}", "SELECT * FROM {s}.w{n}"),
    "a materialized view": asks("CREATE MATERIALIZED VIEW {s}.m{n} AS SELECT * FROM {t}", "SELECT * FROM {s}.m{n} " + BEST, "REFRESH MATERIALIZED VIEW {s}.m{n}",
                                "SELECT * FROM {s}.m{n} " + BEST),
    "a function": asks("CREATE FUNCTION {s}.f{n}() RETURNS TEXT LANGUAGE sql AS 'SELECT min(note) FROM vault.staff'", "SELECT {s}.f{n}()"),
    "a function of rows": asks("CREATE FUNCTION {s}.f{n}() RETURNS TABLE (note TEXT, code TEXT) LANGUAGE sql AS 'SELECT note, code FROM vault.staff ORDER BY salary DESC LIMIT 5'",
                               "SELECT * FROM {s}.f{n}()"),
    "UPDATE of one's own table": asks("CREATE TABLE {s}.t{n} (id INT, a TEXT, b TEXT)", "INSERT INTO {s}.t{n} VALUES (1), (3)",
                                      "UPDATE {s}.t{n} AS x SET a = s.note, b = s.code FROM {t} s WHERE s.id = x.id RETURNING a, b"),
    "DELETE of one's own table": asks("CREATE TABLE {s}.t{n} (id INT)", "INSERT INTO {s}.t{n} VALUES (1), (3)", "DELETE FROM {s}.t{n} AS x USING {t} s WHERE s.id = x.id RETURNING s.note, s.code"),
    "MERGE into one's own table": asks("CREATE TABLE {s}.t{n} (id INT, a TEXT, b TEXT)",
                                       "MERGE INTO {s}.t{n} AS x USING {t} s ON s.id = x.id WHEN NOT MATCHED AND s.id < 9 THEN INSERT VALUES (s.id, s.note, s.code)", "SELECT * FROM {s}.t{n}"),
    "a subquery in RETURNING": asks("CREATE TABLE {s}.t{n} (id INT)", "INSERT INTO {s}.t{n} VALUES (1) RETURNING (SELECT min(note) FROM {t})"),
    "UPDATE … RETURNING": in_transaction("UPDATE {t} SET id = id WHERE id < 9 RETURNING *"),
    "UPDATE of all": in_transaction("UPDATE {t} SET salary = salary", "SAVEPOINT a", "UPDATE {t} SET note = code RETURNING note"),
    "DELETE … RETURNING": in_transaction("DELETE FROM {t} WHERE id < 9 RETURNING *"),
    "DELETE of all": in_transaction("DELETE FROM {t}"),
    "ON CONFLICT": in_transaction("INSERT INTO {t} VALUES (3, 'red', 1) ON CONFLICT (id) DO UPDATE SET team = staff.team RETURNING *", "ROLLBACK", "BEGIN",
                                  "INSERT INTO {t} VALUES (1, 'red', 1) ON CONFLICT (id) DO UPDATE SET note = staff.code RETURNING *"),
    "a masked value written elsewhere": in_transaction("UPDATE {t} SET note = code, salary = pin WHERE id = 1 RETURNING note, salary", "SELECT note, salary FROM {t} WHERE id = 1"),
    "a row that breaks a check": in_transaction("UPDATE {t} SET salary = -1 WHERE id = 3", "ROLLBACK", "BEGIN", "UPDATE {t} SET salary = -1 WHERE id = 1"),
    "a row that misses a value": in_transaction("UPDATE {t} SET team = NULL WHERE id = 3", "ROLLBACK", "BEGIN", "UPDATE {t} SET team = NULL WHERE id = 1"),
    "a unique index on what is hidden": asks("CREATE UNIQUE INDEX ON {t} (code)"),
    "the whole table's shape": asks("CREATE TABLE {s}.t{n} (LIKE {t} INCLUDING ALL)", "INSERT INTO {s}.t{n} SELECT * FROM {t} WHERE id < 9 RETURNING *"),
}

# Those that PostgreSQL has too, and that tell there how many rows are hidden.
COUNTING = {
    "EXPLAIN ANALYZE": asks("EXPLAIN ANALYZE SELECT * FROM {t} WHERE note <> 'x'", "EXPLAIN ANALYZE SELECT count(*) FROM {t}", "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {t} " + BEST),
    "EXPLAIN ANALYZE of changes": in_transaction("EXPLAIN ANALYZE UPDATE {t} SET note = code", "EXPLAIN ANALYZE DELETE FROM {t}"),
    "the catalog's counts": asks("SELECT relname, reltuples::bigint FROM pg_class WHERE relname IN ('staff', 'staff_pkey')", "SELECT n_live_tup, n_tup_ins FROM pg_stat_user_tables"),
}

POLDERS = {
    "EXPLAIN (ESTIMATE)": asks("EXPLAIN (ESTIMATE) SELECT * FROM {t}", "EXPLAIN (ESTIMATE) SELECT * FROM {t} WHERE salary > 700000000", "EXPLAIN (ESTIMATE, FORMAT JSON) SELECT note FROM {t}"),
    "an old version": asks("SELECT * FROM {t} AT (VERSION => {v}) " + BEST, "SELECT * FROM {t} AT (TIMESTAMP => now()) " + BEST, "SELECT count(*) FROM {t} AT (VERSION => {v})"),
    "a session in an old version": asks("SET snapshot = {v}", "SELECT * FROM {t} " + BEST, "TABLE {t}", "RESET snapshot"),
    "the change feed": asks("SELECT * FROM table_changes('vault.staff', 1) " + BEST, "SELECT change_type, count(*) FROM table_changes('vault.staff', 1) GROUP BY 1",
                            "SELECT * FROM table_changes('vault.staff', {v}, {v}) " + BEST),
    "views of the change feed and the profile": asks("CREATE VIEW {s}.v{n} AS SELECT * FROM table_changes('vault.staff', 1)", "SELECT * FROM {s}.v{n} " + BEST, "SELECT change_type, count(*) FROM {s}.v{n} GROUP BY 1",
        "CREATE VIEW {s}.w{n} AS SELECT * FROM profile('vault.staff')", "SELECT * FROM {s}.w{n}", "CREATE MATERIALIZED VIEW {s}.m{n} AS SELECT * FROM {s}.v{n}", "SELECT * FROM {s}.m{n} " + BEST),
    "the table's history": asks("SELECT * FROM history('vault.staff')", "DESCRIBE HISTORY {t}"),
    "the table's profile": asks("SELECT * FROM profile('vault.staff')"),
    "a clone": asks("CREATE TABLE {s}.t{n} CLONE {t}", "SELECT * FROM {s}.t{n} " + BEST, "CREATE TABLE {s}.u{n} CLONE {t} AT (VERSION => {v})", "SELECT * FROM {s}.u{n} " + BEST),
    "a restore": in_transaction("RESTORE TABLE {t} TO (VERSION => {v})", "SELECT * FROM {t} " + BEST),
    "warehouses' queries": asks("SELECT * FROM {t} QUALIFY row_number() OVER (ORDER BY salary DESC) < 4", "SELECT * EXCLUDE (id) FROM {t} " + BEST, "SELECT team, count(*) FROM {t} GROUP BY ALL",
                                "SELECT * FROM (SELECT code, note FROM {t} " + BEST + ") UNPIVOT (v FOR k IN (code, note))"),
    "INSERT … RETURNING of MERGE": in_transaction("MERGE INTO {t} AS x USING (VALUES (1), (3)) AS v (id) ON x.id = v.id WHEN MATCHED THEN UPDATE SET team = team RETURNING *"),
    "MERGE that deletes": in_transaction("MERGE INTO {t} AS x USING (VALUES (1), (3)) AS v (id) ON x.id = v.id WHEN MATCHED THEN DELETE RETURNING *"),
    "polder.tables": asks("SELECT * FROM polder.tables", "SELECT sum(row_count) FROM polder.tables WHERE table_name = 'staff'"),
    "polder.columns and constraints": asks("SELECT * FROM polder.columns", "SELECT * FROM polder.constraints", "EXPLAIN REFRESH MATERIALIZED VIEW vault.kept", "SELECT * FROM vault.kept " + BEST),
    "polder.queries": asks("SELECT * FROM polder.queries", "SELECT rows_scanned, rows_returned, rows_changed FROM polder.queries"),
    "polder.snapshots": asks("SELECT * FROM polder.snapshots"),
    "polder.jobs": asks("SELECT * FROM polder.jobs"),
    "polder.runs": asks("SELECT * FROM polder.runs"),
    "HTTP: JSON": posts("SELECT * FROM {t} " + BEST, format="json"),
    "HTTP: Arrow": posts("SELECT note, code FROM {t} " + BEST, format="arrow"),
    "HTTP: CSV": posts("SELECT * FROM {t} " + BEST, format="csv"),
    "HTTP: lines": posts("SELECT * FROM {t}", format="ndjson"),
    "HTTP: an error": posts("SELECT note::int FROM {t} WHERE id = 3", format="json"),
    "HTTP: an old version": lambda asker: asker.http("POST", "/statements", json={"sql": f"SELECT * FROM {TABLE} {BEST}", "format": "json", "snapshot": asker.world.version}),
    "HTTP: the catalog": gets("/catalog"),
    "HTTP: the table": gets("/catalog/vault/staff"),
    "HTTP: the profile": gets("/catalog/vault/staff/profile"),
    "HTTP: the history": gets("/catalog/vault/staff/history"),
    "HTTP: the queries": gets("/queries?limit=1000"),
    "HTTP: one of the queries": lambda asker: asker.http("GET", f"/queries/{asker.world.query}"),
    "HTTP: one of the queries that failed": lambda asker: asker.http("GET", f"/queries/{asker.world.failed}"),
    "HTTP: the jobs": gets("/jobs"),
    "HTTP: one of the jobs": gets("/jobs/reads"),
    "HTTP: the runs": gets("/runs"),
    "HTTP: one of the runs": lambda asker: asker.http("GET", f"/runs/{asker.world.run}"),
    "HTTP: the log of a run": lambda asker: asker.http("GET", f"/runs/{asker.world.run}/log"),
    "HTTP: somebody's file": lambda asker: asker.http("POST", "/loads/preview", json={"upload_id": asker.world.upload}),
    "HTTP: somebody's load": lambda asker: asker.http("GET", f"/loads/{asker.world.load}"),
}

ALL = {**COMMON, **COUNTING, **POLDERS}

# Ways by which the owner finds nothing either: plans, keys, and names of what statements are made of within.
BARE = {
    "EXPLAIN": asks("EXPLAIN SELECT * FROM {t} WHERE note = 'x'", "EXPLAIN VERBOSE SELECT * FROM {t} " + BEST, "EXPLAIN DELETE FROM {t} WHERE pin = 1", "EXPLAIN UPDATE {t} SET note = code"),
    "what others do": asks("SELECT * FROM pg_stat_activity", "SELECT * FROM pg_cursors", "SELECT * FROM pg_prepared_statements"),
    "statistics": asks("SELECT * FROM pg_stats WHERE schemaname = 'vault'", "SELECT * FROM pg_stats_ext", "SELECT * FROM pg_statistic"),
    "a key that is there": in_transaction("UPDATE {t} SET id = 3 WHERE id = 1", "ROLLBACK", "BEGIN", "INSERT INTO {t} (id, team, salary) VALUES (3, 'red', 1)"),
    "a number that does not fit": asks("SELECT salary::smallint FROM {t} WHERE id = 3", "SELECT pin::smallint FROM {t} WHERE id = 1", "SELECT salary * 1000000 FROM {t}"),
    "a column's type": in_transaction("ALTER TABLE {t} ALTER COLUMN note TYPE INT USING note::int"),
    "a check that rows break": in_transaction("ALTER TABLE {t} ADD CHECK (note = 'x')"),
    "EXPLAIN ANALYZE as JSON": asks("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM {t} WHERE note <> 'x'"),
    "rows as one value": asks("SELECT s FROM {t} AS s " + BEST, "SELECT row_to_json(s) FROM {t} AS s " + BEST, "SELECT count(s) FROM {t} AS s"),
    "names from within": asks(*(f"SELECT * FROM {name}" for name in (
        '"polder$rows".vault.staff', '"polder$sealed".input.staff', '"polder$rows".staff', 'polder.vault."staff$rows"', 'vault."staff$rows"', 'vault."staff__rejects"', "metastore.ducklake_file_column_stats",
        "ducklake_file_column_stats", "ducklake_table_stats", "polder.ducklake_table_stats"))),
}


class World:
    """`vault.staff` at Polder, with what its owner did with it. `connect` makes a session of somebody."""

    def __init__(self, server, connect):
        self.server = server
        self.connect = connect
        root, self.root = server.client(), connect(None)
        for name in ("ana", "eve"):
            self.root.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{permissions.PASSWORD}'")
        for sql in ("CREATE SCHEMA vault", "CREATE SCHEMA lab", "GRANT USAGE, CREATE ON SCHEMA vault TO ana", "GRANT USAGE ON SCHEMA vault TO eve", "GRANT USAGE, CREATE ON SCHEMA lab TO ana, eve"):
            self.root.execute(sql)
        self.ana = connect("ana")
        for sql in MADE[:-1]:
            self.ana.execute(sql)
        self.version = root.value("SELECT max(snapshot) FROM polder.snapshots")
        self.ana.execute(MADE[-1])
        self.ana.execute("CREATE MATERIALIZED VIEW vault.kept AS SELECT * FROM vault.staff")
        self.at_http(polder.Client(server.url).login("ana", permissions.PASSWORD), root)
        self.guess()

    def at_http(self, ana: polder.Client, root: polder.Client) -> None:
        """What is left behind by what ana did: queries, an error, a job and its run, a file, a load."""
        self.query = ana.run("SELECT 'hush7f3a' AS word").headers["Polder-Query-Id"]
        ana.http.post(f"{ana.url}/api/v1/statements", json={"sql": "SELECT note::int FROM vault.staff WHERE id = 3", "format": "json"}, timeout=60)
        self.failed = root.value("SELECT max(query_id) FROM polder.queries WHERE state = 'failed' AND error_message LIKE '%hush7f3a%'")
        ana.sql("CREATE JOB reads AS SELECT note::int, 'hush7f3a' FROM vault.staff WHERE id = 3")
        self.run = next(iter(ana.sql("RUN JOB reads")[0].values()))
        deadline = time.monotonic() + polder.SOON_SECONDS
        while root.value(f"SELECT state FROM polder.runs WHERE run_id = '{self.run}'") in ("waiting", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.upload = ana.upload("hush.csv", b"a,b\n734519027,hush7f3a\n")
        loaded = ana.post("/loads", json={"upload_ids": [ana.upload("hush7f3a.csv", b"a,b\n1,hush7f3a\n")], "into": "vault.loaded"}).json()
        self.load = loaded["load_id"]

    def guess(self) -> None:
        """What nobody but the owner knows they have to guess: here everybody knows it."""
        self.ana.execute("CREATE TEMP TABLE aside AS SELECT * FROM vault.staff WHERE id < 9")

    def limit(self) -> None:
        """eve may read and change the table, but is shown two rows of it, and masks."""
        for sql in (
            "GRANT SELECT, INSERT, UPDATE, DELETE ON vault.staff TO eve", "CREATE POLICY own ON vault.staff TO eve USING (team = 'red')",
            "ALTER TABLE vault.staff ENABLE ROW LEVEL SECURITY", "ALTER TABLE vault.staff ALTER COLUMN pin SET MASK (0)", "ALTER TABLE vault.staff ALTER COLUMN code SET MASK ('***')",
        ):
            self.ana.execute(sql)

    def asker(self, name: str) -> Asker:
        return Asker(self.connect(name), polder.Client(self.server.url).login(name, permissions.PASSWORD), self)


def marks(asker: Asker) -> set:
    """Those of what must not come out that an asker has been told."""
    return asker.found(*HIDDEN, *MASKED, *GONE)
