"""polder.audit: logins, refusals, and what changes who may come in; limits and estimates beside it."""

import json

import psycopg
import pytest
import requests

import polder
from test_postgres_psycopg import address


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
