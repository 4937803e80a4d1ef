"""A crash while jobs are made, asked for, due, run and dropped: what was told of a run is still so.

As in `test_power_cuts.py`. A run that was answered to be done is done, and what it did is there, once; one that was asked for
is there, and comes to an end once there is a server.
"""

import time

import pytest

import polder
from stories import Story, all_hold, crashes, goes_on, judge_steps, run_sql, sample_every, some_fail

ENDED = ("done", "failed", "cancelled", "interrupted", "missed")
# A job's runs each add the next id to its table.
ADD = "INSERT INTO {0} SELECT coalesce(max(id), 0) + 1, 'word' FROM {0}"
TABLES = {"by_hand": "asked", "behind": "followed", "tick": "ticked"}
OWN_JOBS = " OR ".join(f"job_name = '{name}'" for name in TABLES)
JOBS = "SELECT job_name, coalesce(schedule, '') AS due, coalesce(after_job, '') AS follows, is_paused FROM polder.jobs " \
       f"WHERE {OWN_JOBS} ORDER BY job_name"
RUNS = "SELECT run_id, job_name, state, coalesce(CAST(due_at AS varchar), '') AS due, reason FROM polder.runs"
DONE_BY = " UNION ALL ".join(
    f"SELECT '{job}' AS job, count(*) AS n, count(DISTINCT id) AS ids, coalesce(max(id), 0) AS newest FROM {table}"
    for job, table in TABLES.items())


class Jobs(Story):
    left_out = tuple(f"public.{table}" for table in TABLES.values())

    def tell(self) -> None:
        # Step → the rows of JOBS after it.
        self.jobs = {0: []}
        self.life(self.first)
        self.life(self.second)

    def job(self, client, sql: str) -> None:
        self.step(client, sql)
        self.jobs[len(self.steps) - 1] = [[str(value).lower() if isinstance(value, bool) else value for value in row.values()]
                                          for row in client.sql(JOBS)]

    def first(self, _, client) -> None:
        for table in TABLES.values():
            self.job(client, f"CREATE TABLE {table} (id bigint, word text)")
        self.job(client, f"CREATE JOB by_hand AS {ADD.format('asked')}")
        self.ends(client, self.asked(client))
        self.job(client, f"CREATE JOB behind AFTER by_hand AS {ADD.format('followed')}")
        self.ends(client, self.asked(client))
        self.due(client, "behind", 1)
        self.job(client, f"CREATE JOB tick SCHEDULE '* * * * * *' AS {ADD.format('ticked')}")
        self.due(client, "tick", 2)
        self.asked(client)

    def second(self, _, client) -> None:
        self.due(client, "tick", 3)
        self.job(client, "ALTER JOB tick PAUSE")
        self.ends(client, self.asked(client))
        self.job(client, "DROP JOB behind")
        self.job(client, f"CREATE OR REPLACE JOB by_hand SCHEDULE '@yearly' AS {ADD.format('asked')}")
        self.asked(client)
        self.asked(client)

    def asked(self, client) -> str:
        done = client.run("RUN JOB by_hand")
        run = done.json()[0]["run_id"]
        self.fact(done, "asked", run)
        return run

    def ends(self, client, run: str) -> None:
        self.until(client, f"/runs/{run}", lambda found: found["state"] == "done", lambda found: (run,))

    def due(self, client, job: str, count: int) -> None:
        done = lambda found: tuple(run["run_id"] for run in found["runs"] if run["state"] == "done")
        self.until(client, f"/runs?job={job}&limit=1000", lambda found: len(done(found)) >= count, done)

    def until(self, client, path: str, wanted, done) -> None:
        """Asks until it is so. That answer tells which runs are done."""
        deadline = time.monotonic() + polder.SOON_SECONDS
        while time.monotonic() < deadline:
            answer = client.request("GET", path)
            if wanted(answer.json()):
                return self.fact(answer, "done", done(answer.json()))
            time.sleep(0.05)
        raise TimeoutError(f"{path}: {answer.text}")


def told_done(known) -> set:
    return {run for runs in known.of("done") for run in runs}


def judge_runs(runs: list, done_by: list, known) -> str:
    """`runs` as of RUNS, `done_by` as of DONE_BY."""
    states = {run: state for run, _, state, _, _ in runs}
    if lost := (told_done(known) | known.of("asked")) - set(states):
        return f"runs that were told of are gone: {lost}"
    if undone := {run: states[run] for run in told_done(known) if states[run] != "done"}:
        return f"runs that were told to be done are not: {undone}"
    times = [(job, due) for _, job, _, due, reason in runs if reason == "schedule"]
    if len(set(times)) != len(times):
        return f"a time was due twice: {sorted(times)}"
    for job, rows, ids, newest in done_by:
        of_job = [state for _, name, state, _, _ in runs if name == job]
        done = of_job.count("done")
        unknown = sum(state in ("running", "interrupted", "cancelled") for state in of_job)
        if not rows == ids == newest or not done <= int(rows) <= done + unknown:
            return f"{job} has left {rows} rows with {ids} ids to {newest}; its runs: {of_job}"
    return ""


def judge(image, story: Story, crash) -> str:
    steps = range(len(story.steps))[crash.known.step:crash.known.step + 2]

    def more(names):
        has_all = set(story.left_out) <= set(names)
        statements = goes_on(None, [JOBS, *([RUNS, DONE_BY] if has_all else [])])

        def judge_answers(answers) -> str:
            jobs, *rest = answers[1:]
            if all(jobs != story.jobs[step] for step in steps):
                return f"the jobs are {jobs}"
            return judge_runs(*rest, crash.known) if has_all else ""

        return statements, judge_answers

    return judge_steps(image / "data", story, [story.steps[step] for step in steps], more)


def judge_server(image, _, crash) -> str:
    """What was asked for comes to an end, and what is done is done once."""
    with polder.Server(image / "data", kafka="off") as server:
        client = server.client()
        client.sql("ALTER JOB tick PAUSE")
        deadline = time.monotonic() + polder.SOON_SECONDS
        while time.monotonic() < deadline:
            states = {run["run_id"]: run["state"] for run in client.sql(RUNS)}
            if not any(state in ("waiting", "running") for state in states.values()):
                break
            time.sleep(0.05)
        if odd := {run: states.get(run) for run in crash.known.of("asked") if states.get(run) not in ("done", "interrupted")}:
            return f"runs that were asked for: {odd}"
    runs, done_by = run_sql(image / "data", RUNS, DONE_BY)[0]
    return judge_runs(runs, done_by, crash.known)


def judges_of(story: Story):
    with_tick = next(n for n, step in enumerate(story.steps) if "JOB tick" in step.sql)

    def judges(crash) -> list:
        is_answer = crash.after.endswith("an answer") and crash.name.endswith(":dropped:")
        return [judge, judge_server] if is_answer and crash.known.step >= with_tick else [judge]

    return judges


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return Jobs(tmp_path_factory.mktemp("jobs") / "disk")


def test_a_crash_after_every_operation(story, tmp_path):
    all_hold(tmp_path / "images", story, crashes(story, sample_every(logs=80, seeds=50, files=8, syncs=3)), judges_of(story))


def test_a_disk_that_lies_is_found_out(story, tmp_path):
    some_fail(tmp_path / "images", story, "the log", lambda path: path.endswith("-wal"), judges_of(story))
