"""dbt: a hundred models of a second each, on four threads, at Polder and at PostgreSQL in turn.

Each model is a table of one row that takes a second to compute. What is measured is the whole of `dbt run`, dbt's own start included.

    python bench/dbt.py --models 20 --threads 8
"""

import argparse
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from common import median, table, verdict

import drivers
import peers

MODELS = 100
THREADS = 4
SECONDS = 1
ROUNDS = 3
# A bound for what hangs: a hundred models take half a minute.
RUN_SECONDS = 1200
DBT = pathlib.Path(sys.executable).with_name("dbt")

PROJECT = """
name: waits
version: 1.0.0
profile: waits
models: {waits: {+materialized: table}}
flags: {send_anonymous_usage_stats: false}
"""

PROFILE = """
waits:
  target: it
  outputs:
    it: {{type: postgres, host: "{host}", port: {port}, user: "{user}", password: "{password}", dbname: "{database}", schema: waits, threads: {threads}}}
"""


def made(folder: pathlib.Path, place: drivers.Place, models: int, threads: int) -> pathlib.Path:
    """A project for one of the servers."""
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE.format(
        host=place.host, port=place.port, user=place.user, password=place.password or "none", database=place.database, threads=threads))
    for number in range(models):
        (folder / "models" / f"wait_{number}.sql").write_text(f"select {number} as id, pg_sleep({SECONDS})::text as waited")
    return folder


def run(folder: pathlib.Path) -> float:
    started = time.monotonic()
    done = subprocess.run([DBT, "run"], cwd=folder, env={**os.environ, "DBT_PROFILES_DIR": str(folder)}, capture_output=True, text=True,
                          timeout=RUN_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout[-4000:] + done.stderr[-4000:])
    return time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=MODELS, help="default %(default)s")
    parser.add_argument("--threads", type=int, default=THREADS, help="default %(default)s")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        places = stack.enter_context(drivers.both(stack.enter_context(peers.Postgres())))
        folders = {name: made(scratch / name, place, options.models, options.threads) for name, place in places.items()}
        taken = {name: [] for name in ("postgres", "polder")}
        for _ in range(ROUNDS):
            for name, seconds in taken.items():
                seconds.append(run(folders[name]))
    base = median(taken["postgres"])
    rows = [[label, f"{median(taken[name]):.1f} s", f"{median(taken[name]) / base:.2f}"] for label, name in (("PostgreSQL", "postgres"), ("Polder", "polder"))]
    table(f"dbt run of {options.models} models of {SECONDS} s on {options.threads} threads ({ROUNDS} rounds in turn)", ["", "median", "to PostgreSQL's"], rows)
    times = median(taken["polder"]) / base
    print(f"at most PostgreSQL's time: {times:.2f}, {verdict(times <= 1)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
