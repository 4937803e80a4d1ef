"""polder.audit: logins, refusals, and what changes who may come in; limits and estimates beside it."""

import json
import re

import psycopg
import pytest
import requests

import polder
from test_postgres_psycopg import address
from witnesses import wait_until


def audit(client, event: str) -> list:
    columns = "event, user_name, via, origin, object, outcome, error_code, times"
    return client.sql(f"SELECT {columns} FROM polder.audit WHERE event = '{event}' ORDER BY happened_at")


def logins(client, via: str) -> set:
    rows = (row for row in audit(client, "login") if row["via"] == via)
    return {(row["user_name"], row["origin"], row["outcome"], row["error_code"]) for row in rows}


def test_logins(server, client):
    user = server.credentials["user"]
    with pytest.raises(polder.Failed):
        polder.Client(client.url).login("eve", "a wrong password")
    assert {(user, "127.0.0.1", "ok", None), ("eve", "127.0.0.1", "refused", "28P01")} <= logins(client, "http")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**address(server, password="a wrong password"))
    psycopg.connect(**address(server)).close()
    assert {(user, "127.0.0.1", "ok", None), (user, "127.0.0.1", "refused", "28P01")} <= logins(client, "postgres")
    answer = requests.get(f"{client.url}/api/v1/queries", headers={"Authorization": "Bearer polder_none", "X-Polder": "1"}, timeout=30)
    assert answer.status_code == 401
    assert ("", None, "refused", "28000") in logins(client, "token")


def test_the_link_of_the_start(fresh):
    """It lets somebody in once; the second time is a refusal, and told as one."""
    server = fresh()
    server.start()
    shown = r"^\s*console\s+(http:\S+)"
    # It comes last, after the server has begun to listen.
    wait_until(lambda: re.search(shown, server.log(), re.MULTILINE), "there is no link")
    link = re.search(shown, server.log(), re.MULTILINE)[1]
    for _ in range(2):
        requests.get(link, timeout=30)
    rows = [row for row in audit(server.client(), "login") if row["via"] == "link"]
    assert [(row["user_name"], row["outcome"]) for row in rows] == [("polder", "ok"), ("", "refused")]


def test_tokens_and_users(server, client):
    user = server.credentials["user"]
    assert audit(client, "create user")[0]["object"] == user
    made = client.post("/tokens", json={"name": "for the audit"}).json()
    assert audit(client, "create token")[-1]["object"] == "for the audit"
    client.request("DELETE", f"/tokens/{made['token']['id']}")
    assert audit(client, "drop token")[-1]["user_name"] == user


def test_it_outlives_a_restart(fresh, tmp_path):
    server = fresh(tmp_path / "data").start()
    client = server.client()
    for _ in range(4):
        with pytest.raises(polder.Failed):
            polder.Client(client.url).login("mallory", "a wrong password")
    server.restart()
    rows = [row for row in audit(server.client(), "login") if row["user_name"] == "mallory"]
    assert sum(row["times"] for row in rows) == 4


@pytest.fixture(scope="module")
def big(client):
    client.sql("CREATE TABLE big AS SELECT value AS id, 'text ' || value AS t FROM generate_series(1, 500000) AS g(value)")
    return client


def test_an_estimate_is_what_is_read(big):
    def estimate(sql: str) -> dict:
        rows = big.sql(f"EXPLAIN (ESTIMATE) {sql}")
        assert [row["table_name"] for row in rows] == ["public.big", "(all)"]
        assert rows[0] == {**rows[1], "table_name": "public.big"}
        return rows[0]

    one, all_columns = estimate("SELECT sum(id) FROM big"), estimate("SELECT max(t), sum(id) FROM big")
    assert one["rows"] == all_columns["rows"] == 500_000
    assert 0 < one["bytes"] < all_columns["bytes"]
    sql = "SELECT max(t), sum(id), 'read it' FROM big"
    big.sql(sql)
    text = sql.replace("'", "''")
    read = big.value(f"SELECT max(bytes_scanned) FROM polder.queries WHERE sql = '{text}' AND state = 'done'")
    assert read == pytest.approx(all_columns["bytes"], rel=0.25)
    assert estimate("SELECT max(t), sum(id) FROM big")["seconds"] > 0
    told = json.loads(big.value("EXPLAIN (ESTIMATE, FORMAT JSON) SELECT max(t), sum(id) FROM big"))
    assert told["all"]["bytes"] == told["tables"][0]["bytes"] == all_columns["bytes"]
    assert told["measured"]["queries"] > 0


def test_limits_over_postgres(server, big):
    with psycopg.connect(**address(server), autocommit=True) as connection:
        connection.execute("SET max_bytes_scanned = '100kB'")
        assert connection.execute("SHOW max_bytes_scanned").fetchone() == ("100kB",)
        with pytest.raises(psycopg.Error) as refused:
            connection.execute("SELECT max(t) FROM big")
        assert refused.value.sqlstate == "53400"
        assert "EXPLAIN (ESTIMATE)" in refused.value.diag.message_hint
        with pytest.raises(psycopg.Error) as refused:
            connection.execute("COPY big TO STDOUT")
        assert refused.value.sqlstate == "53400"
        names = [column.name for column in connection.execute("EXPLAIN (ESTIMATE) SELECT t FROM big").description]
        assert names == ["table_name", "files", "rows", "bytes", "seconds"]
        connection.execute("RESET max_bytes_scanned")
        assert connection.execute("SELECT count(t) FROM big").fetchone() == (500_000,)


def test_a_days_bytes_outlive_a_restart(fresh, tmp_path):
    server = fresh(tmp_path / "data").start()
    client = server.client()
    client.sql("CREATE TABLE big AS SELECT value AS id, 'text ' || value AS t FROM generate_series(1, 500000) AS g(value)")
    client.sql("SELECT max(t) FROM big")
    server.restart()
    with psycopg.connect(**address(server), autocommit=True) as connection:
        connection.execute("SET max_bytes_scanned_per_day = '64kB'")
        with pytest.raises(psycopg.Error, match="were read today") as refused:
            connection.execute("SELECT max(t) FROM big")
        assert refused.value.sqlstate == "53400"


LIMITED = "a password that is long"


@pytest.fixture(scope="module")
def limited(server, big):
    """A role with limits of its own, which reads a table of some 3 MB."""
    big.sql(f"CREATE ROLE limited LOGIN PASSWORD '{LIMITED}'")
    big.sql("GRANT SELECT ON big TO limited")
    for setting in ("statement_timeout = '1s'", "statement_memory = '4MB'", "max_bytes_scanned = '4MB'", "max_bytes_scanned_per_day = '8MB'"):
        big.sql(f"ALTER ROLE limited SET {setting}")
    return "limited"


def codes_of(client):
    """Runs statements over HTTP: each gives its error's code, or None."""
    def run(sql: str):
        try:
            client.sql(sql)
        except polder.Failed as error:
            return error.code
        return None

    return run


def by_http(server, user: str):
    return codes_of(polder.Client(server.url).login(user, LIMITED))


def by_token(server, user: str):
    secret = polder.Client(server.url).login(user, LIMITED).post("/tokens", json={"name": "of a program"}).json()["secret"]
    client = polder.Client(server.url)
    client.http.headers["Authorization"] = f"Bearer {secret}"
    return codes_of(client)


def by_postgres(server, user: str):
    def run(sql: str):
        with psycopg.connect(**address(server, user=user, password=LIMITED), autocommit=True) as connection:
            try:
                connection.execute(sql)
            except psycopg.Error as error:
                return error.sqlstate
            return None

    return run


@pytest.mark.parametrize("way", [by_http, by_token, by_postgres])
def test_limits_of_a_role_hold_in_every_way(server, big, limited, way):
    run = way(server, limited)
    assert run("SELECT pg_sleep(5)") == "57014"
    assert run("SELECT count(*) FROM (SELECT DISTINCT id, t FROM big) x") == "53400"
    # All columns are more than one statement may read, one of them is not.
    assert run("SELECT max(id) FROM big") is None
    assert run("SELECT sum(length(a.t)), sum(length(b.t)) FROM big a JOIN big b ON a.id = b.id") == "53400"
    for setting in ("max_bytes_scanned", "max_bytes_scanned_per_day", "statement_memory"):
        assert run(f"SET {setting} = '1TB'") == "42501", setting


@pytest.mark.parametrize("way", [by_http, by_postgres])
def test_a_profile_is_within_the_limits(server, big, way):
    name = f"profiler_{way.__name__}"
    big.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{LIMITED}'")
    big.sql(f"GRANT SELECT ON big TO {name}")
    run = way(server, name)
    assert run("SELECT * FROM profile('big')") is None
    read = big.value(f"SELECT max(bytes_scanned) FROM polder.queries WHERE user_name = '{name}' AND state = 'done'")
    assert read > 1_000_000
    big.sql(f"ALTER ROLE {name} SET max_bytes_scanned = '100kB'")
    run = way(server, name)
    assert run("SELECT * FROM profile('big')") == "53400"
    assert run("SELECT column_name FROM profile('public.big') LIMIT 1") == "53400"
    assert run("EXPLAIN ANALYZE SELECT * FROM profile('big')") == "53400"
    big.sql(f"ALTER ROLE {name} RESET max_bytes_scanned")
    big.sql(f"ALTER ROLE {name} SET max_bytes_scanned_per_day = '1MB'")
    assert way(server, name)("SELECT * FROM profile('big')") == "53400"


def test_what_a_role_reads_in_a_day_is_counted_over_all_ways(server, big, limited):
    big.sql("ALTER ROLE limited RESET statement_memory")
    ways = [way(server, limited) for way in (by_http, by_postgres, by_token)]
    outcomes = [ways[number % 3]("SELECT sum(length(t)) FROM big") for number in range(9)]
    # Some 3 MB each: two or three are let through, whichever way they come, and then none is.
    through = outcomes.count(None)
    assert 0 < through < 4 and outcomes == [None] * through + ["53400"] * (9 - through), outcomes
    told = big.sql("SELECT via, times FROM polder.audit WHERE event = 'statement' AND user_name = 'limited' AND error_code = '53400' AND message LIKE '%were read today%'")
    assert {row["via"] for row in told} == {"console", "http", "postgres"}


def test_seconds_are_by_what_was_read_before(fresh):
    """An estimate has no seconds as long as nothing was read, and then those that the bytes take."""
    server = fresh()
    client = server.start().client()
    client.sql("CREATE TABLE read AS SELECT value AS id, md5(value::text) AS t FROM generate_series(1, 1000000) AS g(value)")
    sql = "SELECT sum(length(t)) AS n FROM read"
    assert {row["seconds"] for row in client.sql(f"EXPLAIN (ESTIMATE) {sql}")} == {None}
    for _ in range(3):
        client.sql(sql)
    taken = client.sql(f"SELECT sum(bytes_scanned) AS bytes, sum(elapsed_ms) AS ms FROM polder.queries WHERE sql = '{sql}' AND state = 'done'")[0]
    row = client.sql(f"EXPLAIN (ESTIMATE) {sql}")[-1]
    assert row["seconds"] == pytest.approx(row["bytes"] * float(taken["ms"]) / 1000 / float(taken["bytes"]), rel=0.5)


def test_what_changes_who_is_shown_what(client):
    """Policies, masks, row level security and the rights that views read with, each in its transaction."""
    user = client.value("SELECT current_user")
    for sql in (
        "CREATE TABLE shown (id INT, salary INT)", "CREATE VIEW of_shown AS SELECT id FROM shown", "CREATE ROLE auditors",
        "CREATE POLICY own ON shown USING (id > 1)", "ALTER POLICY own ON shown USING (id > 2)", "ALTER POLICY own ON shown RENAME TO mine",
        "ALTER TABLE shown ENABLE ROW LEVEL SECURITY", "ALTER TABLE shown FORCE ROW LEVEL SECURITY", "ALTER TABLE shown NO FORCE ROW LEVEL SECURITY", "ALTER TABLE shown DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE shown ALTER COLUMN salary SET MASK (0) EXCEPT TO auditors", "ALTER TABLE shown ALTER COLUMN salary DROP MASK", "DROP POLICY mine ON shown",
        "ALTER VIEW of_shown SET (security_invoker = true)", "DROP POLICY IF EXISTS mine ON shown", "CREATE TABLE swapped (id INT)", "ALTER TABLE shown SWAP WITH swapped",
    ):
        client.sql(sql)
    told = client.sql("SELECT event, user_name, object, outcome, message FROM polder.audit WHERE object IN ('public.shown', 'public.of_shown') ORDER BY happened_at")
    assert {(row["user_name"], row["outcome"]) for row in told} == {(user, "ok")}
    assert [row["event"] for row in told] == [
        "create policy", "alter policy", "alter policy", "enable row level security", "force row level security", "no force row level security",
        "disable row level security", "set mask", "drop mask", "drop policy", "alter view", "swap tables",
    ]
    assert told[-1]["message"] == "with public.swapped"
    assert [row["message"] for row in told if "mask" in row["event"]] == ["column salary, except for auditors", "column salary"]
    with pytest.raises(polder.Failed):
        client.sql("BEGIN; CREATE POLICY never ON shown USING (true); SELECT 1 / 0; COMMIT")
    assert client.value("SELECT count(*) FROM polder.audit WHERE message = 'policy never'") == 0
