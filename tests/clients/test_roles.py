"""The SQL of roles and rights: the same scripts at Polder and at PostgreSQL, with the same tags, SQLSTATEs, messages, details and notices,
and the same lists of psql afterwards."""

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import threading

import psycopg
import pytest

import drivers
from test_postgres_psycopg import address

PASSWORD = "correct horse battery staple"
NUMBERS = itertools.count(1)
# What scripts call roles and schemas; each run of a script has its own.
NAMES = re.compile(r"\b(ana|ben|cas|dora|team|staff|shop|depot)\b")
# What is not about rights has words of Polder's own, with PostgreSQL's SQLSTATE.
OWN_WORDS = {"42P01", "42601", "42703", "42883", "25P01", "25P02", "3B001"}
PEOPLE = [
    *(f"root: CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'" for name in ("ana", "ben", "cas")),
    "root: CREATE ROLE team",
    "root: CREATE SCHEMA shop",
    "root: GRANT USAGE ON SCHEMA shop TO PUBLIC",
    "root: GRANT CREATE ON SCHEMA shop TO ana",
    "ana: CREATE TABLE shop.sale (id INT, city TEXT, amount INT)",
    "ana: CREATE VIEW shop.cities AS SELECT DISTINCT city FROM shop.sale",
    "ana: CREATE FUNCTION shop.twice(x INT) RETURNS INT LANGUAGE SQL RETURN x * 2",
]
MADE = "SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls, rolconnlimit, rolvaliduntil::text " \
       "FROM pg_roles WHERE rolname IN ('dora', 'staff') ORDER BY 1"
MEMBERS = "SELECT r.rolname, m.rolname, admin_option FROM pg_auth_members JOIN pg_roles AS r ON r.oid = roleid " \
          "JOIN pg_roles AS m ON m.oid = member WHERE r.rolname IN ('ana', 'ben', 'cas', 'dora', 'team', 'staff') ORDER BY 1, 2"
GRANTS = "SELECT grantor, grantee, table_name, privilege_type, is_grantable FROM information_schema.role_table_grants " \
         "WHERE table_schema = 'shop' ORDER BY 1, 2, 3, 4"
COLUMNS = "SELECT grantee, table_name, column_name, privilege_type FROM information_schema.role_column_grants " \
          "WHERE table_schema = 'shop' AND grantee <> 'ana' ORDER BY 1, 2, 3, 4"
OWNERS = "SELECT relname, rolname FROM pg_class JOIN pg_roles AS r ON r.oid = relowner JOIN pg_namespace AS n ON n.oid = relnamespace " \
         "WHERE nspname IN ('shop', 'depot') ORDER BY 1"

SCRIPTS = {
    "making roles": [
        "root: CREATE ROLE dora", f"root: {MADE}", "root: CREATE ROLE dora", "root: ALTER ROLE dora WITH LOGIN CREATEDB CREATEROLE NOINHERIT CONNECTION LIMIT 3",
        f"root: {MADE}", "root: ALTER USER dora NOLOGIN NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT -1 VALID UNTIL '2030-01-02 03:04:05+00'", f"root: {MADE}",
        "root: ALTER ROLE dora PASSWORD NULL", "root: ALTER ROLE dora PASSWORD ''",
        "root: CREATE USER staff", "root: CREATE GROUP staff", f"root: {MADE}", "root: DROP USER staff", "root: CREATE GROUP staff", "root: DROP GROUP staff",
        "root: ALTER ROLE dora RENAME TO staff", f"root: {MADE}", "root: ALTER ROLE dora RENAME TO staff", "root: ALTER ROLE staff RENAME TO ana",
        "root: DROP ROLE dora", "root: DROP ROLE IF EXISTS dora, staff", f"root: {MADE}", "root: ALTER ROLE dora LOGIN",
        "root: CREATE ROLE dora SUPERUSER BYPASSRLS", f"root: {MADE}", "root: ALTER ROLE dora NOSUPERUSER NOBYPASSRLS", "root: DROP ROLE dora",
    ],
    "names and options that cannot be": [
        "root: CREATE ROLE public", "root: CREATE ROLE none", 'root: CREATE ROLE "public"', "root: CREATE ROLE pg_mine", "root: CREATE ROLE CURRENT_USER",
        "root: CREATE ROLE SESSION_USER", "root: CREATE ROLE dora LOGIN NOLOGIN", "root: CREATE ROLE dora FLYING", "root: CREATE ROLE dora CONNECTION LIMIT -2",
        "root: CREATE ROLE dora VALID UNTIL 'soon'", "root: CREATE ROLE dora UNENCRYPTED PASSWORD 'x'", "root: CREATE ROLE dora ENCRYPTED LOGIN",
        "root: CREATE ROLE dora IN ROLE nosuch", "root: CREATE ROLE dora ROLE nosuch", "root: CREATE ROLE", "root: ALTER ROLE nosuch LOGIN",
        "root: ALTER ROLE pg_monitor LOGIN", "root: ALTER ROLE public LOGIN", "root: ALTER ROLE none LOGIN", "root: ALTER ROLE ana RENAME TO pg_ana",
        "root: ALTER ROLE ana RENAME TO public", "root: DROP ROLE nosuch", "root: DROP ROLE public", "root: DROP ROLE CURRENT_USER", "root: DROP ROLE polder",
        "root: DROP ROLE pg_monitor", "root: ALTER ROLE CURRENT_USER RENAME TO x", "root: ALTER ROLE polder RENAME TO x",
        "root: CREATE ROLE dora LOGIN ADMIN ana ADMIN ben", f"root: {MADE}",
    ],
    "who may make roles": [
        "ana: CREATE ROLE dora", "ana: ALTER ROLE ben LOGIN", "ana: DROP ROLE ben", "ana: ALTER ROLE ben RENAME TO dora", "ana: ALTER ROLE ben PASSWORD 'something else'",
        "ana: ALTER ROLE ana PASSWORD 'something else'", "ana: ALTER ROLE ana LOGIN", "ana: ALTER ROLE CURRENT_USER PASSWORD 'something else' LOGIN",
        "ana: ALTER ROLE ana SUPERUSER", "ana: ALTER ROLE polder LOGIN", "ana: CREATE ROLE dora SUPERUSER", "root: ALTER ROLE ana CREATEROLE", "ana: LEAVE",
        f"root: ALTER ROLE ana PASSWORD '{PASSWORD}'",
        "ana: CREATE ROLE dora LOGIN", "ana: ALTER ROLE dora CREATEDB", "ana: ALTER ROLE dora SUPERUSER", "ana: CREATE ROLE staff SUPERUSER", "ana: CREATE ROLE staff BYPASSRLS",
        "ana: ALTER ROLE dora BYPASSRLS", "ana: ALTER ROLE polder NOLOGIN", "ana: DROP ROLE polder", "ana: ALTER ROLE polder RENAME TO dora2", "ana: GRANT polder TO dora",
        "ana: GRANT dora TO ben", "ana: GRANT team TO dora WITH ADMIN OPTION", "ana: DROP ROLE dora", "ana: DROP ROLE ana", f"root: {MEMBERS}",
    ],
    "members": [
        "root: GRANT team TO ana, ben", "root: GRANT team TO ana", "root: GRANT team TO ana WITH ADMIN OPTION", "root: GRANT team TO ana WITH ADMIN OPTION", f"root: {MEMBERS}",
        "root: GRANT ana TO team", "root: GRANT team TO team", "root: GRANT nosuch TO ana", "root: GRANT team TO nosuch", "root: GRANT team TO PUBLIC", "root: GRANT team(x) TO ana",
        "ben: GRANT team TO cas", "ana: GRANT team TO cas", "ana: GRANT team TO cas WITH ADMIN OPTION", "ben: GRANT ana TO cas", f"root: {MEMBERS}",
        "ana: REVOKE ADMIN OPTION FOR team FROM cas", "cas: REVOKE team FROM ben", "ana: REVOKE team FROM ben", "ana: REVOKE team FROM ben", f"root: {MEMBERS}",
        "root: REVOKE team FROM ana CASCADE", "root: REVOKE nosuch FROM ana", "root: ALTER GROUP team ADD USER ben, cas", "root: ALTER GROUP team DROP USER ben", f"root: {MEMBERS}",
        "ana: ALTER GROUP team ADD USER ana", "root: CREATE ROLE dora IN ROLE team ROLE ana ADMIN ben", f"root: {MEMBERS}", "root: GRANT team TO ben GRANTED BY ana",
        "root: DROP ROLE dora", f"root: {MEMBERS}", "root: GRANT team, ana TO ben, cas", f"root: {MEMBERS}", "root: REVOKE team, ana FROM ben, cas", f"root: {MEMBERS}",
    ],
    "taking on roles": [
        "ana: SET ROLE team", "root: GRANT team TO ana", "ana: SET ROLE team", "ana: SELECT current_user, session_user", "ana: SET ROLE ben", "ana: RESET ROLE",
        "ana: SELECT current_user", "ana: SET ROLE 'team'", "ana: SELECT current_user", "ana: SET ROLE NONE", "ana: SELECT current_user", "ana: SET ROLE nosuch",
        "ana: SET SESSION AUTHORIZATION ben", "ana: SET SESSION AUTHORIZATION ana", "ana: SET SESSION AUTHORIZATION nosuch",
        "root: SET SESSION AUTHORIZATION ana", "root: SELECT current_user, session_user", "root: SET ROLE team", "root: SELECT current_user, session_user",
        "root: SET ROLE ben", "root: CREATE ROLE dora", "root: RESET SESSION AUTHORIZATION", "root: SELECT current_user, session_user",
        "root: BEGIN", "root: SET LOCAL ROLE ana", "root: SELECT current_user", "root: COMMIT", "root: SELECT current_user",
        "root: BEGIN", "root: SET ROLE ana", "root: ROLLBACK", "root: SELECT current_user", "root: BEGIN", "root: SET SESSION AUTHORIZATION ben", "root: SELECT session_user",
        "root: SET SESSION AUTHORIZATION DEFAULT", "root: COMMIT", "root: SELECT session_user", "root: SET SESSION ROLE ana", "root: SELECT current_user",
        "root: SET role TO none", "root: SELECT current_user",
    ],
    "settings of roles": [
        "root: ALTER ROLE ana SET search_path = shop, public", "root: ALTER ROLE ana SET timezone TO 'Asia/Tokyo'", "ana: LEAVE", "ana: SHOW timezone",
        "ana: SHOW search_path", "root: SELECT rolconfig FROM pg_roles WHERE rolname = 'ana'", "ana: ALTER ROLE ana RESET timezone", "ana: LEAVE", "ana: SHOW search_path",
        "ana: ALTER ROLE ben SET timezone = 'UTC'", "ana: ALTER ROLE ana SET nosuch = 1", "ana: ALTER ROLE ana RESET ALL",
        "root: SELECT rolconfig FROM pg_roles WHERE rolname = 'ana'", "ana: ALTER ROLE polder SET timezone = 'UTC'", "root: ALTER ROLE pg_monitor SET timezone = 'UTC'",
        "root: ALTER USER ben SET search_path TO DEFAULT", "root: ALTER ROLE nosuch SET timezone = 'UTC'",
    ],
    "settings of roles that mean nothing": [
        "root: ALTER ROLE ana SET default_transaction_read_only = on", "root: ALTER ROLE ana SET enable_seqscan TO off", "ana: ALTER ROLE ana SET random_page_cost = 1.5",
        "ana: ALTER ROLE ana SET work_mem = '65536kB'", "ana: LEAVE", "ana: SHOW work_mem", "ana: SHOW enable_seqscan", "ana: SHOW random_page_cost",
        "ana: SHOW default_transaction_read_only", "ana: SHOW transaction_read_only", "ana: SET work_mem = '1MB'", "ana: SHOW work_mem", "ana: RESET work_mem", "ana: SHOW work_mem",
        "ana: RESET ALL", "ana: SHOW work_mem", "root: SELECT rolconfig FROM pg_roles WHERE rolname = 'ana'", "root: ALTER ROLE ana SET work_mem = 'x'",
        "root: ALTER ROLE ana SET max_connections = 5", "ana: SET default_transaction_read_only = off", "ana: ALTER ROLE ben SET work_mem = '8MB'",
        "ana: SET synchronous_commit = off", "ana: ALTER ROLE ana SET synchronous_commit FROM CURRENT", "ana: ALTER ROLE ana RESET work_mem", "ana: LEAVE",
        "ana: SHOW synchronous_commit",
        "root: SELECT rolconfig FROM pg_roles WHERE rolname = 'ana'", "root: ALTER ROLE ana RESET ALL", "root: SELECT rolconfig FROM pg_roles WHERE rolname = 'ana'",
        "ana: LEAVE", "ana: SHOW synchronous_commit", "ana: SHOW default_transaction_read_only",
    ],
    "rights on tables": [
        "ana: GRANT SELECT ON shop.sale TO ben", "ana: GRANT INSERT, UPDATE ON TABLE shop.sale, shop.cities TO ben, team", f"root: {GRANTS}",
        "ana: GRANT SELECT ON shop.sale TO ben WITH GRANT OPTION", "ben: GRANT SELECT ON shop.sale TO cas", "ben: GRANT INSERT ON shop.sale TO cas",
        "ben: GRANT SELECT, INSERT ON shop.sale TO cas", "ben: GRANT ALL ON shop.sale TO cas", "cas: GRANT SELECT ON shop.sale TO team", f"root: {GRANTS}",
        "ana: REVOKE SELECT ON shop.sale FROM ben", "ana: REVOKE GRANT OPTION FOR SELECT ON shop.sale FROM ben", "ana: REVOKE GRANT OPTION FOR SELECT ON shop.sale FROM ben CASCADE",
        f"root: {GRANTS}", "ana: REVOKE SELECT ON shop.sale FROM ben CASCADE", "ana: REVOKE ALL ON shop.sale FROM ben, team", f"root: {GRANTS}",
        "cas: REVOKE SELECT ON shop.sale FROM ben", "ana: GRANT ALL PRIVILEGES ON shop.sale TO PUBLIC", "ana: GRANT SELECT ON shop.sale TO PUBLIC WITH GRANT OPTION", f"root: {GRANTS}",
        "ana: REVOKE ALL ON shop.sale FROM PUBLIC, ana", f"root: {GRANTS}", "ana: SELECT * FROM shop.sale", "ana: GRANT ALL ON shop.sale TO ana", "ana: SELECT * FROM shop.sale",
        "root: GRANT SELECT ON shop.sale TO cas", f"root: {GRANTS}", "ana: GRANT SELECT ON shop.sale TO GROUP team", "ana: GRANT SELECT ON shop.sale TO ben GRANTED BY ana",
        "ana: GRANT SELECT ON shop.sale TO cas GRANTED BY ben", "ana: GRANT SELECT ON shop.sale TO ben WITH GRANT OPTION", "ben: GRANT SELECT ON shop.sale TO cas WITH GRANT OPTION",
        "cas: GRANT SELECT ON shop.sale TO ben WITH GRANT OPTION", f"root: {GRANTS}",
    ],
    "rights that cannot be": [
        "ana: GRANT FLYING ON shop.sale TO ben", "ana: GRANT USAGE ON shop.sale TO ben", "ana: GRANT EXECUTE ON shop.sale TO ben", "ana: GRANT CONNECT ON shop.sale TO ben",
        "ana: GRANT SELECT ON SCHEMA shop TO ben", "ana: GRANT SELECT ON DATABASE {db} TO ben", "ana: GRANT SELECT ON FUNCTION shop.twice(int) TO ben",
        "ana: GRANT DELETE (id) ON shop.sale TO ben", "ana: GRANT SELECT (nosuch) ON shop.sale TO ben", "ana: GRANT USAGE (id) ON SCHEMA shop TO ben",
        "ana: GRANT SELECT ON shop.nosuch TO ben", "ana: GRANT SELECT ON nosuch.sale TO ben", "ana: GRANT SELECT ON shop.sale TO nosuch", "ana: GRANT USAGE ON SCHEMA nosuch TO ben",
        "ana: GRANT CONNECT ON DATABASE nosuch TO ben", "ana: GRANT EXECUTE ON FUNCTION shop.nosuch(int) TO ben", "ana: GRANT SELECT ON SEQUENCE shop.sale TO ben",
        "ana: GRANT SELECT ON ALL TABLES IN SCHEMA nosuch TO ben", "ana: GRANT SELECT ON shop.sale", "ana: GRANT ON shop.sale TO ben", "ana: REVOKE GRANT OPTION FOR team FROM ben",
        "ben: GRANT SELECT ON shop.sale TO cas", "ben: GRANT USAGE ON SCHEMA shop TO cas", "ben: GRANT CREATE ON SCHEMA shop TO cas", "ben: GRANT EXECUTE ON FUNCTION shop.twice(int) TO cas",
        "ben: GRANT CONNECT ON DATABASE {db} TO cas", "ben: GRANT CREATE ON DATABASE {db} TO cas", "ben: REVOKE SELECT ON shop.sale FROM ana", f"root: {GRANTS}",
    ],
    "rights on columns": [
        "ana: GRANT SELECT (id, city), UPDATE (city) ON shop.sale TO ben", f"root: {COLUMNS}", "ben: SELECT id, city FROM shop.sale", "ben: SELECT amount FROM shop.sale",
        "ben: GRANT SELECT (id) ON shop.sale TO cas", "cas: GRANT SELECT (id) ON shop.sale TO ben", "ana: GRANT ALL (amount) ON shop.sale TO cas", f"root: {COLUMNS}",
        "ana: REVOKE SELECT (id) ON shop.sale FROM ben", f"root: {COLUMNS}", "ana: REVOKE SELECT ON shop.sale FROM ben", f"root: {COLUMNS}",
        "ana: REVOKE ALL ON shop.sale FROM ben, cas", f"root: {COLUMNS}", "ana: GRANT SELECT (city) ON shop.cities TO ben", f"root: {COLUMNS}",
        "ana: GRANT SELECT (id) ON shop.sale TO ben WITH GRANT OPTION", "ben: GRANT SELECT (id) ON shop.sale TO cas", "ana: REVOKE SELECT (id) ON shop.sale FROM ben",
        "ana: REVOKE SELECT (id) ON shop.sale FROM ben CASCADE", f"root: {COLUMNS}",
    ],
    "rights on all": [
        "ana: GRANT SELECT ON ALL TABLES IN SCHEMA shop TO ben", f"root: {GRANTS}", "ana: REVOKE SELECT ON ALL TABLES IN SCHEMA shop FROM ben", f"root: {GRANTS}",
        "root: CREATE TABLE shop.other (x INT)", "ana: GRANT SELECT ON ALL TABLES IN SCHEMA shop TO ben", "ana: GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA shop TO ben",
        "ana: GRANT EXECUTE ON ALL ROUTINES IN SCHEMA shop TO ben", "ana: GRANT USAGE ON ALL SEQUENCES IN SCHEMA shop TO ben", f"root: {GRANTS}",
    ],
    "rights on schemas, functions and the database": [
        "root: CREATE SCHEMA depot AUTHORIZATION ana", "ana: CREATE TABLE depot.box (x INT)", "ben: SELECT * FROM depot.box", "ana: GRANT USAGE ON SCHEMA depot TO ben",
        "ben: SELECT * FROM depot.box", "ana: GRANT SELECT ON depot.box TO ben", "ben: SELECT * FROM depot.box", "ana: GRANT ALL ON SCHEMA depot TO team WITH GRANT OPTION",
        "root: SELECT nspname, nspacl FROM pg_namespace WHERE nspname = 'depot'", "ana: REVOKE ALL ON SCHEMA depot FROM team, ben", "ben: SELECT * FROM depot.box",
        "root: SELECT nspname, nspacl FROM pg_namespace WHERE nspname = 'depot'", "ana: REVOKE EXECUTE ON FUNCTION shop.twice(int) FROM PUBLIC", "ben: SELECT shop.twice(2)",
        "ana: GRANT EXECUTE ON FUNCTION shop.twice TO ben", "ben: SELECT shop.twice(2)", "ana: GRANT ALL ON ROUTINE shop.twice(int) TO team",
        "root: SELECT proname, proacl FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace WHERE nspname = 'shop'",
        "ana: CREATE SCHEMA depot2", "root: GRANT CREATE ON DATABASE {db} TO ana", "ana: CREATE SCHEMA ana AUTHORIZATION ben", "ana: CREATE SCHEMA AUTHORIZATION ana", "ana: DROP SCHEMA ana",
        "root: REVOKE CREATE ON DATABASE {db} FROM ana",
    ],
    "defaults": [
        "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO ben", "ana: CREATE TABLE shop.later (x INT)", f"root: {GRANTS}",
        "ana: ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO team", "ana: CREATE TABLE shop.latest (x INT)", f"root: {GRANTS}",
        "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM ben", "ana: ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM team",
        "ana: CREATE TABLE shop.last (x INT)", f"root: {GRANTS}", "ana: ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
        "ana: CREATE FUNCTION shop.thrice(x INT) RETURNS INT LANGUAGE SQL RETURN x * 3", "ben: SELECT shop.thrice(2)", "ben: ALTER DEFAULT PRIVILEGES FOR ROLE ana GRANT SELECT ON TABLES TO ben",
        "root: ALTER DEFAULT PRIVILEGES FOR ROLE ana, ben IN SCHEMA shop GRANT ALL ON TABLES TO cas", "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT USAGE ON SCHEMAS TO ben",
        "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA nosuch GRANT SELECT ON TABLES TO ben", "ana: ALTER DEFAULT PRIVILEGES GRANT SELECT (x) ON TABLES TO ben",
        "ana: ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON TABLES TO ben", "ana: ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ben",
        "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT EXECUTE ON FUNCTIONS TO team",
        "root: SELECT d.defaclobjtype, r.rolname, n.nspname, d.defaclacl FROM pg_default_acl AS d JOIN pg_roles AS r ON r.oid = defaclrole "
        "LEFT JOIN pg_namespace AS n ON n.oid = defaclnamespace WHERE r.rolname IN ('ana', 'ben') ORDER BY 1, 2, 3",
    ],
    "owners": [
        "ben: ALTER TABLE shop.sale OWNER TO ben", "ana: ALTER TABLE shop.sale OWNER TO ben", "root: GRANT ben TO ana", "ana: LEAVE", "ana: ALTER TABLE shop.sale OWNER TO ben",
        "root: GRANT CREATE ON SCHEMA shop TO ben", "ana: GRANT SELECT ON shop.sale TO cas", "ana: ALTER TABLE shop.sale OWNER TO ben", f"root: {OWNERS}", f"root: {GRANTS}",
        "ana: ALTER VIEW shop.sale OWNER TO ana", "ana: ALTER VIEW shop.cities OWNER TO ben", "ana: ALTER FUNCTION shop.twice(int) OWNER TO ben", f"root: {OWNERS}",
        "root: ALTER TABLE IF EXISTS shop.nosuch OWNER TO ben", "root: ALTER TABLE shop.nosuch OWNER TO ben", "root: ALTER TABLE shop.sale OWNER TO nosuch",
        "root: ALTER SCHEMA shop OWNER TO ana", "ana: ALTER SCHEMA shop OWNER TO ana", "ben: ALTER SCHEMA shop OWNER TO ben", "root: ALTER TABLE shop.cities OWNER TO cas", f"root: {OWNERS}",
        "cas: REASSIGN OWNED BY ben TO cas", "root: REASSIGN OWNED BY ben, cas TO team", f"root: {OWNERS}", "root: REASSIGN OWNED BY polder TO team",
        "root: REASSIGN OWNED BY nosuch TO team", "root: DROP OWNED BY polder", "cas: DROP OWNED BY ben",
    ],
    "roles that are needed": [
        "root: DROP ROLE ana", "ana: GRANT SELECT ON shop.sale TO ben", "root: DROP ROLE ben", "ana: GRANT SELECT (city) ON shop.sale TO cas", "root: DROP ROLE cas",
        "ana: REVOKE SELECT ON shop.sale FROM ben, cas", "root: GRANT CREATE ON DATABASE {db} TO team", "root: DROP ROLE team", "root: REVOKE CREATE ON DATABASE {db} FROM team",
        "root: DROP ROLE team", "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO ben", "root: DROP ROLE ben", "root: DROP OWNED BY ben", "ben: LEAVE", "root: DROP ROLE ben",
        f"root: {GRANTS}", "root: DROP OWNED BY ana", f"root: {OWNERS}", "ana: LEAVE", "root: DROP ROLE ana", "root: DROP ROLE cas", "root: DROP SCHEMA shop CASCADE",
    ],
    "transactions": [
        "root: BEGIN", "root: CREATE ROLE dora", "root: GRANT dora TO ana", "root: GRANT SELECT ON shop.sale TO dora", "root: SAVEPOINT a", "root: CREATE ROLE staff",
        "root: ROLLBACK TO a", f"root: {MADE}", "root: ROLLBACK", f"root: {MADE}", f"root: {GRANTS}", f"root: {MEMBERS}",
        "root: BEGIN", "root: CREATE ROLE dora", "root: GRANT dora TO ana", "root: GRANT SELECT ON shop.sale TO dora", "root: ALTER TABLE shop.sale OWNER TO dora", f"ben: {MADE}",
        "root: COMMIT", f"ben: {MADE}", f"root: {GRANTS}", f"root: {MEMBERS}", f"root: {OWNERS}", "root: BEGIN", "root: DROP ROLE nosuch", "root: CREATE ROLE staff", "root: ROLLBACK", f"root: {MADE}",
        "root: REASSIGN OWNED BY dora TO ana", "root: DROP OWNED BY dora", "root: DROP ROLE dora",
    ],
}


def answer(connection, sql: str, database: str) -> tuple:
    """What a statement gives: its tag, rows and notices, or its SQLSTATE, message and detail. Each server's database has a name of its own."""
    notices = []

    def heard(notice) -> None:
        # Settings of PostgreSQL's own are told to be of no use here.
        if "means nothing here" not in notice.message_primary:
            notices.append(notice.message_primary.replace(f'"{database}"', '"{db}"'))

    connection.add_notice_handler(heard)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall() if cursor.description else None
            return cursor.statusmessage, rows, notices
    except psycopg.Error as error:
        if error.sqlstate in OWN_WORDS:
            return error.sqlstate, None
        told = [error.diag.message_primary or str(error), error.diag.message_detail if error.sqlstate in ("2BP01", "42939") else None]
        return error.sqlstate, *(text and text.replace(f"database {database}", "database {db}") for text in told)
    finally:
        connection.remove_notice_handler(heard)


class Sessions:
    """The sessions of one script at one server. `connect` makes one of a user, of nobody: the superuser's."""

    def __init__(self, connect, number: int, database: str):
        self.connect, self.number, self.database = connect, number, database
        self.open = {}

    def close(self) -> None:
        for connection in self.open.values():
            connection.close()

    def named(self, text: str) -> str:
        return NAMES.sub(lambda found: f"{found[0]}_r{self.number}", text).replace("{db}", self.database)

    def step(self, text: str) -> tuple:
        """Of `who: statement`. `who: LEAVE` ends the session; the next statement makes another one."""
        who, _, sql = text.partition(": ")
        if sql == "LEAVE":
            if who in self.open:
                self.open.pop(who).close()
            return ()
        try:
            if who not in self.open:
                self.open[who] = self.connect(None if who == "root" else self.named(who))
        except psycopg.Error as error:
            return "no session", str(error).rpartition("FATAL:  ")[2].splitlines()[0]
        return answer(self.open[who], self.named(sql), self.database)


@pytest.fixture(scope="module")
def both(server, postgres):
    where, keywords = postgres.database()
    database = where.rsplit("/", 1)[1]

    def ours(user=None):
        known = address(server)
        return psycopg.connect(**{**known, **({"user": user, "password": PASSWORD} if user else {})}, autocommit=True)

    def theirs(user=None):
        return psycopg.connect(f"{keywords} user={user}" if user else keywords, autocommit=True)

    return (ours, "polder"), (theirs, database)


def run(both, script: list, number: int) -> list:
    """Runs a script at Polder and at PostgreSQL: what they do not answer alike."""
    differences = []
    (ours, here), (theirs, there) = both
    with contextlib.closing(Sessions(ours, number, here)) as polder, contextlib.closing(Sessions(theirs, number, there)) as postgres:
        for text in [*PEOPLE, *script]:
            got, wanted = polder.step(text), postgres.step(text)
            if got != wanted:
                differences.append(f"{text}\n    Polder:     {got}\n    PostgreSQL: {wanted}")
    return differences


@pytest.mark.parametrize("name", SCRIPTS)
def test_as_postgres(both, name):
    differences = run(both, SCRIPTS[name], next(NUMBERS))
    assert not differences, "\n".join(["", *differences])


LISTED = [
    "root: GRANT team TO ana, ben", "root: ALTER ROLE cas CREATEDB CONNECTION LIMIT 4 VALID UNTIL '2040-01-01 00:00:00+00'", "ana: GRANT SELECT, INSERT ON shop.sale TO ben, team",
    "ana: GRANT SELECT (city) ON shop.sale TO cas", "ana: GRANT ALL ON shop.cities TO PUBLIC", "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO ben",
    "ana: ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT EXECUTE ON FUNCTIONS TO team", "ana: GRANT EXECUTE ON FUNCTION shop.twice(int) TO ben",
]


@drivers.needs(shutil.which("psql") is not None, "psql")
def test_lists_of_psql(both, server, postgres):
    number = next(NUMBERS)
    differences = run(both, LISTED, number)
    (_, _), (_, database) = both
    host, port = server.postgres.rsplit(":", 1)
    environments = [
        {"PGHOST": host, "PGPORT": port, "PGUSER": server.credentials["user"], "PGPASSWORD": server.credentials["password"], "PGDATABASE": "polder"},
        {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port), "PGUSER": "polder", "PGDATABASE": database},
    ]
    lists = [rf"\du *_r{number}", rf"\dp shop_r{number}.*", rf"\z shop_r{number}.*", rf"\ddp shop_r{number}", rf"\dn+ shop_r{number}"]
    for asked in lists:
        shown = [
            subprocess.run(["psql", "-X", "-c", asked], env={**os.environ, **environment}, text=True, capture_output=True, timeout=60)
            for environment in environments
        ]
        got, wanted = (done.stdout + done.stderr for done in shown)
        if got != wanted:
            differences.append(f"{asked}\n{got}\n{wanted}")
    assert not differences, "\n".join(["", *differences])


def test_audit(server, client):
    """What was done to roles and rights is told, and what was refused."""
    for sql in ("CREATE ROLE told_one LOGIN", "CREATE TABLE told (x INT)", "GRANT SELECT ON told TO told_one", "REVOKE SELECT ON told FROM told_one",
                "ALTER TABLE told OWNER TO told_one", "CREATE SCHEMA told_place AUTHORIZATION told_one", "DROP OWNED BY told_one", "DROP ROLE told_one"):
        client.sql(sql)
    told = client.sql("SELECT event, user_name, object, message FROM polder.audit WHERE object LIKE '%told%' AND outcome = 'ok' ORDER BY happened_at")
    events = [row["event"] for row in told]
    assert events == ["create role", "grant", "revoke", "alter owner", "alter owner", "drop owned", "drop role"], told
    assert (told[4]["object"], told[4]["message"]) == ("schema told_place", "to told_one")
    grant = told[1]
    assert (grant["object"], grant["message"]) == ("table public.told", "SELECT to told_one")


def test_roles_made_at_once(server):
    """Statements by themselves wait for each other, and transactions that are open together get different numbers."""
    failed = []

    def make(name: str) -> None:
        with psycopg.connect(**address(server), autocommit=True) as connection:
            for number in range(10):
                try:
                    connection.execute(f"CREATE ROLE once_{name}_{number}")
                except psycopg.Error as error:
                    failed.append(str(error))

    makers = [threading.Thread(target=make, args=(name,)) for name in "abcd"]
    with psycopg.connect(**address(server)) as one, psycopg.connect(**address(server)) as other:
        one.execute("CREATE ROLE once_one")
        other.execute("CREATE ROLE once_other")
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        one.commit()
        other.commit()
        assert not failed, failed[0]
        made = other.execute("SELECT count(*), count(DISTINCT oid) FROM pg_roles WHERE rolname LIKE 'once%'").fetchone()
        assert made == (42, 42)


def test_sessions_go_on(server):
    """Through a new name of their role; and they can leave a role that is gone, with which nothing runs."""
    with psycopg.connect(**address(server), autocommit=True) as root:
        root.execute(f"CREATE ROLE goes_on LOGIN PASSWORD '{PASSWORD}'")
        root.execute("CREATE ROLE goes ROLE goes_on")
        with psycopg.connect(**address(server, user="goes_on", password=PASSWORD), autocommit=True) as session:
            session.execute("SELECT 1")
            root.execute("ALTER ROLE goes_on RENAME TO went_on")
            assert session.execute("SELECT current_user, session_user").fetchone() == ("went_on", "went_on")
            session.execute("SET ROLE goes")
            assert session.info.parameter_status("session_authorization") == "went_on"
            root.execute("DROP ROLE goes")
            with pytest.raises(psycopg.Error) as refused:
                session.execute("SELECT 1")
            assert refused.value.sqlstate == "28000"
            session.execute("RESET ROLE")
            assert session.execute("SELECT current_user").fetchone() == ("went_on",)
        root.execute("CREATE ROLE taken_on ROLE went_on")
        root.execute("ALTER ROLE went_on SET role = 'taken_on'")
        with psycopg.connect(**address(server, user="went_on", password=PASSWORD)) as session:
            assert session.execute("SELECT current_user, session_user").fetchone() == ("taken_on", "went_on")


def test_passwords_are_not_recorded(client):
    client.sql("CREATE ROLE unrecorded PASSWORD 'a secret of somebody'")
    client.sql("ALTER ROLE unrecorded PASSWORD $$a secret of somebody$$")
    told = [row["sql"] for row in client.sql("SELECT sql FROM polder.queries WHERE sql LIKE '%ROLE unrecorded%' AND sql NOT LIKE 'SELECT%'")]
    assert sorted(told) == ["ALTER ROLE unrecorded PASSWORD '***'", "CREATE ROLE unrecorded PASSWORD '***'"]
