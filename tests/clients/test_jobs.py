"""Jobs: made by SQL and over HTTP, run by a schedule, tried again, cancelled, paused, and not lost by a kill."""

import datetime
import itertools
import os
import time

import polder
import pytest

# Takes minutes, and stops within a second when it is cancelled.
LONG = ("INSERT INTO sink SELECT count(*) FROM generate_series(1, 1000000::bigint) a(x), generate_series(1, 1000000) b(y) "
        "WHERE (x * y) % 7 = 3")
EVERY_SECOND = "* * * * * *"
ENDED = ("done", "failed", "cancelled", "interrupted", "missed")


@pytest.fixture
def own(fresh):
    """A server of the test's own, with two tables."""
    with fresh() as server:
        client = server.client()
        client.sql("CREATE TABLE sink (n BIGINT)")
        client.sql("CREATE TABLE source (n BIGINT)")
        yield server


def run_job(client, name: str) -> str:
    rows = client.sql(f"RUN JOB {name}")
    assert list(rows[0]) == ["run_id"]
    return rows[0]["run_id"]


def until(client, run_id: str, *states: str, seconds: float = polder.SOON_SECONDS) -> dict:
    """Waits until a run is in one of the states."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run = client.get(f"/runs/{run_id}")
        if run["state"] in states:
            return run
        assert run["state"] not in ENDED, f"{run} instead of {states}\n{log(client, run_id)}"
        time.sleep(0.05)
    raise TimeoutError(f"the run is {run['state']}, not {states}\n{log(client, run_id)}")


def log(client, run_id: str) -> str:
    return client.get(f"/runs/{run_id}/log")["text"]


def runs(client, job: str) -> list:
    """The oldest first."""
    return client.get(f"/runs?job={job}&limit=1000")["runs"][::-1]


def wait_for(check, what: str, seconds: float = polder.SOON_SECONDS):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds} s: {what}")


def refused(client, sql: str) -> polder.Failed:
    with pytest.raises(polder.Failed) as caught:
        client.sql(sql)
    return caught.value


def test_a_statement_by_a_schedule(own):
    client = own.client()
    client.sql(f"CREATE JOB fill SCHEDULE '{EVERY_SECOND}' IN TIME ZONE 'Europe/Amsterdam' AS INSERT INTO sink VALUES (1)")
    wait_for(lambda: client.value("SELECT count(*) AS n FROM sink") >= 2, "two runs")
    client.sql("ALTER JOB fill PAUSE")
    wait_for(lambda: all(run["state"] in ENDED for run in runs(client, "fill")), "rest")
    done = [run for run in runs(client, "fill") if run["state"] == "done"]
    assert client.value("SELECT count(*) AS n FROM sink") == len(done)
    assert all(run["reason"] == "schedule" and run["due_at"] and run["attempt"] == 1 for run in done)
    job = client.sql(
        "SELECT job_name, kind, owner, schedule, time_zone, is_paused, next_at, sql, last_state FROM polder.jobs WHERE job_name = 'fill'")
    assert job == [{
        "job_name": "fill", "kind": "statement", "owner": "polder", "schedule": EVERY_SECOND, "time_zone": "Europe/Amsterdam",
        "is_paused": True, "next_at": None, "sql": "INSERT INTO sink VALUES (1)", "last_state": "done"}]
    # Its statements are on record like all others, and the log names them.
    queries = client.sql("SELECT query_id, user_name, state FROM polder.queries WHERE via = 'job'")
    assert {query["user_name"] for query in queries} == {"polder"}
    assert f"query {queries[0]['query_id']}" in "".join(log(client, run["run_id"]) for run in done)
    assert "INSERT: 1 rows changed" in log(client, done[0]["run_id"])
    client.sql("ALTER JOB fill RESUME")
    wait_for(lambda: len(runs(client, "fill")) > len(done) + 1, "more runs")
    client.sql("DROP JOB fill")
    assert client.sql("SELECT job_name FROM polder.jobs WHERE job_name = 'fill'") == []
    assert client.value("SELECT count(*) AS n FROM polder.runs WHERE job_name = 'fill' AND state = 'done'") >= len(done)


def test_asked_for_and_the_next_job(own):
    client = own.client()
    client.sql("CREATE JOB first AS $$ BEGIN; INSERT INTO sink VALUES (1); INSERT INTO source VALUES (2); COMMIT $$")
    client.sql("CREATE JOB second AFTER first AS INSERT INTO sink SELECT n FROM source")
    run_id = run_job(client, "first")
    assert until(client, run_id, "done")["reason"] == "asked"
    after = wait_for(lambda: runs(client, "second"), "the second job's run")[0]
    after = until(client, after["run_id"], "done")
    assert (after["reason"], after["caused_by"]) == ("after", run_id)
    assert client.sql("SELECT n FROM sink ORDER BY n") == [{"n": 1}, {"n": 2}]
    error = refused(client, "DROP JOB first")
    assert (error.code, error.hint) == ("2BP01", "DROP JOB second first")
    assert refused(client, "CREATE OR REPLACE JOB first AFTER second AS SELECT 1").code == "42P17"


def test_failures_and_further_attempts(own):
    client = own.client()
    client.sql("CREATE JOB shaky RETRY 5 BACKOFF '1 s' AS INSERT INTO late SELECT 1")
    first = run_job(client, "shaky")
    run = until(client, first, "failed")
    assert run["error"]["code"] == "42P01" and "late" in run["error"]["message"]
    assert "attempt 1 of 6" in log(client, first)
    # Another attempt waits; once the table is there, one succeeds.
    client.sql("CREATE TABLE late (n BIGINT)")
    wait_for(lambda: runs(client, "shaky")[-1]["state"] == "done", "success")
    attempts = runs(client, "shaky")
    assert [run["attempt"] for run in attempts] == list(range(1, len(attempts) + 1))
    assert {run["state"] for run in attempts[:-1]} == {"failed"}
    assert {run["reason"] for run in attempts[1:]} == {"retry"}
    assert client.value("SELECT count(*) AS n FROM late") == 1
    again = client.post(f"/runs/{first}/again").json()["run_id"]
    assert until(client, again, "done")["caused_by"] == first


def test_cancelled_and_timed_out(own):
    client = own.client()
    client.sql(f"CREATE JOB long AS {LONG}")
    run_id = run_job(client, "long")
    until(client, run_id, "running")
    # The log is read while it runs.
    part = wait_for(lambda: (found := client.get(f"/runs/{run_id}/log"))["text"].count("\n") >= 2 and found, "a log")
    assert not part["ended"] and "asked for by polder" in part["text"]
    second = run_job(client, "long")
    assert client.get(f"/runs/{second}")["state"] == "waiting"
    client.request("DELETE", f"/runs/{second}")
    assert client.get(f"/runs/{second}")["state"] == "cancelled"
    client.request("DELETE", f"/runs/{run_id}")
    until(client, run_id, "cancelled")
    rest = client.get(f"/runs/{run_id}/log?from={part['next']}")
    assert rest["ended"] and rest["text"].endswith("cancelled\n")
    with pytest.raises(polder.Failed) as caught:
        client.request("DELETE", f"/runs/{run_id}")
    assert caught.value.status == 404

    client.sql(f"CREATE OR REPLACE JOB long TIMEOUT '1 s' AS {LONG}")
    run = until(client, run_job(client, "long"), "failed")
    assert run["error"]["message"] == "stopped at the timeout of 1 s"
    # Dropping a job stops it.
    client.sql(f"CREATE OR REPLACE JOB long AS {LONG}")
    run_id = run_job(client, "long")
    until(client, run_id, "running")
    client.sql("DROP JOB long")
    until(client, run_id, "cancelled")
    assert client.value("SELECT count(*) AS n FROM sink") == 0
    assert client.sql("SELECT query_id FROM polder.queries WHERE via = 'job' AND state = 'running'") == []


def test_over_http(own):
    client = own.client()
    job = client.post("/jobs", json={
        "name": "two words", "sql": "INSERT INTO sink VALUES (7)", "schedule": "0 3 * * *", "time_zone": "America/New_York"}).json()
    assert job["next_at"] and job["catch_up"] == "one" and not job["paused"]
    run_id = client.post("/jobs/two%20words/run").json()["run_id"]
    until(client, run_id, "done")
    assert client.get("/jobs/two%20words")["last_run"]["run_id"] == run_id
    assert client.post("/jobs/two%20words/pause").json()["next_at"] is None
    assert client.post("/jobs/two%20words/resume").json()["next_at"] == job["next_at"]
    changed = client.request("PUT", "/jobs/two%20words", json={"sql": "SELECT 1", "after": None}).json()
    assert changed["schedule"] is None and changed["payload"] == {"sql": "SELECT 1"}
    standing = ["cleanup", "compaction", "scrub"]
    assert [job["name"] for job in client.get("/jobs")["jobs"]] == [*standing, "two words"]
    client.request("DELETE", "/jobs/two%20words")
    assert [job["name"] for job in client.get("/jobs")["jobs"]] == standing


def test_upkeep(own):
    client = own.client()
    job = client.get("/jobs/compaction")
    assert job["schedule"] and job["next_at"] and not job["paused"]
    # Its time may come in the middle of the test.
    client.sql("ALTER JOB compaction PAUSE")
    # Of nearly one size.
    for start in range(0, 200_000, 20_000):
        client.sql(f"INSERT INTO sink SELECT value FROM generate_series({start}, {start + 19_999}) AS s(value)")
    files = "SELECT file_count FROM polder.tables WHERE table_name = 'sink'"
    assert client.value(files) == 10
    run_id = run_job(client, "compaction")
    until(client, run_id, "done")
    assert "sink: 10 files into 1" in log(client, run_id)
    assert client.value(files) == 1
    assert client.sql("SELECT count(*) AS n, sum(n) AS total FROM sink") == [{"n": 200_000, "total": 199_999 * 100_000}]
    # Nothing is left to do, and nothing is done.
    snapshot = "SELECT max(snapshot) AS newest FROM polder.snapshots"
    before = client.value(snapshot)
    until(client, run_job(client, "compaction"), "done")
    assert client.value(snapshot) == before
    client.post("/jobs", json={"name": "tidy", "kind": "vacuum"})
    until(client, run_job(client, "tidy"), "done")
    assert refused(client, "DROP JOB compaction").code == "42809"
    # Paused, it stays so.
    own.restart()
    assert own.client().get("/jobs/compaction")["paused"]


def test_refresh_of_a_materialized_view(own):
    client = own.client()
    client.sql('CREATE MATERIALIZED VIEW "How Many" AS SELECT count(*) AS n, sum(n) AS total FROM sink')
    view = 'SELECT n, total FROM "How Many"'
    job = client.post("/jobs", json={"name": "fresh", "kind": "refresh", "payload": {"view": "public.How Many"}, "schedule": EVERY_SECOND}).json()
    assert job["next_at"] and client.sql("SELECT kind FROM polder.jobs WHERE job_name = 'fresh'") == [{"kind": "refresh"}]
    client.sql("INSERT INTO sink VALUES (3), (4)")
    wait_for(lambda: client.sql(view) == [{"n": 2, "total": 7}], "a refresh by the schedule")
    client.sql("ALTER JOB fresh PAUSE")
    wait_for(lambda: all(run["state"] in ENDED for run in runs(client, "fresh")), "rest")
    client.sql("INSERT INTO sink VALUES (5)")
    assert client.sql(view) == [{"n": 2, "total": 7}]
    run_id = run_job(client, "fresh")
    until(client, run_id, "done")
    assert client.sql(view) == [{"n": 3, "total": 12}]
    assert client.value("SELECT count(*) AS n FROM polder.queries WHERE via = 'job' AND sql = 'REFRESH MATERIALIZED VIEW \"public\".\"How Many\"'") >= 2
    for payload in ({}, {"view": "fresh"}, {"view": "public.v", "table": "public.t"}):
        with pytest.raises(polder.Failed) as caught:
            client.post("/jobs", json={"name": "wrong", "kind": "refresh", "payload": payload})
        assert "refresh" in caught.value.message, payload
    client.sql('DROP MATERIALIZED VIEW "How Many"')
    failed = until(client, run_job(client, "fresh"), "failed")
    assert failed["error"]["code"] == "42P01" and "How Many" in failed["error"]["message"]


def test_cleanup(own):
    client = own.client()
    client.sql("INSERT INTO sink SELECT value FROM generate_series(1, 50000) AS s(value)")
    named = next(own.data.rglob("polder-*.parquet"))
    orphan, young, foreign = (named.with_name(name) for name in
                              ("polder-left-by-a-crash.parquet", "polder-just-written.parquet", "theirs.parquet"))
    for path in (orphan, young, foreign):
        path.write_bytes(b"rest")
    for path in (named, orphan, foreign):
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    run_id = run_job(client, "cleanup")
    until(client, run_id, "done")
    assert "polder-left-by-a-crash.parquet, which nothing names" in log(client, run_id)
    assert [path.exists() for path in (named, orphan, young, foreign)] == [True, False, True, True]
    assert client.value("SELECT count(*) FROM sink") == 50_000


def test_scrub(own):
    client = own.client()
    client.sql("INSERT INTO sink SELECT value FROM generate_series(1, 50000) AS s(value)")
    run_id = run_job(client, "scrub")
    until(client, run_id, "done")
    assert "1 files" in log(client, run_id) and "all have been read" in log(client, run_id)
    path = next(own.data.rglob("polder-*.parquet"))
    harmed = bytearray(path.read_bytes())
    harmed[len(harmed) // 2] ^= 1
    path.write_bytes(harmed)
    failed = until(client, run_job(client, "scrub"), "failed")
    assert path.name in failed["error"]["message"]


@pytest.mark.parametrize("sql, code, words", [
    ("CREATE JOB j SCHEDULE '61 * * * *' AS SELECT 1", "22023", "cannot be used"),
    ("CREATE JOB j SCHEDULE '0 0 30 2 *' AS SELECT 1", "22023", "never due"),
    ("CREATE JOB j SCHEDULE '* * * * *' IN TIME ZONE 'Mars/Olympus' AS SELECT 1", "22023", "no time zone"),
    ("CREATE JOB j AFTER nobody AS SELECT 1", "42704", "no job"),
    ("CREATE JOB j AS SELEC 1", "42601", ""),
    ("CREATE JOB j SCHEDULE '* * * * *'", "42601", "expected"),
    ("ALTER JOB nobody PAUSE", "42704", "no job"),
    ("DROP JOB nobody", "42704", "no job"),
    ("RUN JOB nobody", "42704", "no job"),
])
def test_refusals(client, sql, code, words):
    error = refused(client, sql)
    assert error.code == code and words in error.message, error


def test_not_within_a_transaction(client):
    session = "11111111-2222-4333-8444-555555555555"
    client.sql("BEGIN", session=session)
    with pytest.raises(polder.Failed) as caught:
        client.sql("CREATE JOB j AS SELECT 1", session=session)
    assert caught.value.code == "25001"
    client.sql("ROLLBACK", session=session)
    client.sql("CREATE JOB j AS SELECT 1")
    assert refused(client, "CREATE JOB j AS SELECT 2").code == "42710"
    client.sql("CREATE JOB IF NOT EXISTS j AS SELECT 2")
    assert client.value("SELECT sql FROM polder.jobs WHERE job_name = 'j'") == "SELECT 1"
    client.sql("DROP JOB j")
    client.sql("DROP JOB IF EXISTS j")


def test_a_stranger_learns_nothing_of_a_job(own):
    """Nor of a delivery, whose name is a job's too: each statement answers as it does of a name that is nobody's."""
    client, password = own.client(), "a long word to log in with"
    client.sql("CREATE JOB hidden SCHEDULE '@yearly' AS INSERT INTO sink VALUES (1)")
    client.sql("CREATE TOPIC clicks")
    client.sql("CREATE DELIVERY shown FROM TOPIC clicks INTO TABLE clicks_t")
    client.sql(f"CREATE USER stranger PASSWORD '{password}'")
    stranger = polder.Client(own.url).login("stranger", password)
    assert stranger.sql("SELECT job_name FROM polder.jobs") == []

    def answer(ask, name):
        try:
            ask(name)
        except polder.Failed as failed:
            return failed.code, failed.message.replace(name, "…"), failed.hint
        return "", "", None

    absent = "nobodys"
    for statement in ("ALTER JOB {} PAUSE", "ALTER JOB {} RESUME", "RUN JOB {}", "DROP JOB {}", "DROP JOB IF EXISTS {}", "CREATE JOB mine AFTER {} AS SELECT 1",
                      "CREATE OR REPLACE JOB mine AFTER {} AS SELECT 1", "CREATE JOB mine SCHEDULE 'never' AFTER {} AS SELECT 1", "ALTER DELIVERY {} PAUSE", "DROP DELIVERY {}"):
        wanted = answer(lambda name: stranger.sql(statement.format(name)), absent)
        assert wanted[0] == ("" if "IF EXISTS" in statement else "42704"), statement
        # What upkeep does is nobody's matter, too.
        for name in ("hidden", "shown", "compaction"):
            assert answer(lambda name: stranger.sql(statement.format(name)), name) == wanted, (statement, name)
    for name in ("hidden", "shown"):
        assert refused(stranger, f"CREATE OR REPLACE JOB {name} AS SELECT 1").code == "42710"
        for ask in (lambda name: stranger.get(f"/jobs/{name}"), lambda name: stranger.post(f"/jobs/{name}/run"), lambda name: stranger.post("/jobs", json={"name": "mine", "sql": "SELECT 1", "after": name})):
            assert answer(ask, name) == answer(ask, absent)
            assert answer(ask, absent)[0] == "42704"
    assert client.sql("SELECT job_name FROM polder.jobs WHERE is_paused") == []
    # What is one's own may run behind one another.
    stranger.sql("CREATE JOB mine AS SELECT 1")
    stranger.sql("CREATE JOB next AFTER mine AS SELECT 1")
    assert refused(stranger, "CREATE JOB mine AFTER hidden AS SELECT 1").code == "42710"
    stranger.sql("CREATE JOB IF NOT EXISTS mine AFTER hidden AS SELECT 1")


@pytest.mark.parametrize("ends", ["kill", "stop"])
@pytest.mark.parametrize("metastore", ["sqlite", "postgres"])
def test_a_restart_in_the_middle(fresh, request, metastore, ends):
    arguments = []
    if metastore == "postgres":
        arguments = ["--metastore", request.getfixturevalue("postgres").database()[0]]
    with fresh(None, *arguments) as server:
        client = server.client()
        client.sql("CREATE TABLE sink (n BIGINT)")
        client.sql(f"CREATE JOB again RETRY 1 AS {LONG}")
        client.sql(f"CREATE JOB once AS {LONG}")
        client.sql("CREATE JOB missed SCHEDULE '* * * * * *' CATCH UP ALL AS INSERT INTO sink VALUES (1)")
        again, once = run_job(client, "again"), run_job(client, "once")
        until(client, again, "running")
        until(client, once, "running")
        waiting = run_job(client, "once")
        getattr(server, ends)()
        time.sleep(3)
        server.start()
        client = server.client()
        for run_id in (again, once):
            run = client.get(f"/runs/{run_id}")
            assert (run["state"], run["error"]["code"]) == ("interrupted", "57P01")
        # The job that may be tried again is; the run that waited runs; the other is left alone.
        attempts = runs(client, "again")
        assert [run["attempt"] for run in attempts] == [1, 2]
        until(client, attempts[1]["run_id"], "running")
        until(client, waiting, "running")
        assert len(runs(client, "once")) == 2
        for run_id in (attempts[1]["run_id"], waiting):
            client.request("DELETE", f"/runs/{run_id}")
            until(client, run_id, "cancelled")
        # Each second that passed meanwhile has its run, once.
        all_done = lambda: [run for run in runs(client, "missed") if run["state"] == "done"]
        wait_for(lambda: len(all_done()) >= 5, "five due times")
        client.sql("ALTER JOB missed PAUSE")
        wait_for(lambda: all(run["state"] in ENDED for run in runs(client, "missed")), "rest")
        done = all_done()
        every = [datetime.datetime.fromisoformat(run["due_at"]) for run in runs(client, "missed") if run["reason"] == "schedule"]
        assert {later - earlier for earlier, later in itertools.pairwise(every)} == {datetime.timedelta(seconds=1)}
        cut = [run for run in runs(client, "missed") if run["state"] == "interrupted"]
        assert 0 <= client.value("SELECT count(*) AS n FROM sink") - len(done) <= len(cut)


def test_no_server_no_runs(fresh):
    """Without a server jobs are made and asked for; the next server runs them."""
    server = fresh()
    made = server.cli("sql", "-c", "CREATE TABLE sink (n BIGINT); CREATE JOB j AS INSERT INTO sink VALUES (1); RUN JOB j")
    assert made.returncode == 0, made.stderr
    with server:
        client = server.client()
        # Its row is there a little before the run is told as done.
        wait_for(lambda: any(run["state"] in ENDED for run in runs(client, "j")), "the run")
        assert [run["state"] for run in runs(client, "j")] == ["done"]
        assert client.value("SELECT count(*) AS n FROM sink") == 1
