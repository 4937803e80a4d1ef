"""Runs the functional tests of dbt-postgres itself, which are not part of this repository, at Polder and at PostgreSQL.

    python tests/clients/dbt_suite.py FOLDER [--only tests/functional/basic …] [--at-once 2] [--postgres-too] [--results FILE]

`FOLDER` is `dbt-postgres` of a checkout of github.com/dbt-labs/dbt-adapters. Besides this folder's requirements it takes dbt-tests-adapter,
freezegun, pytest-mock and pytest-dotenv. A test that fails at PostgreSQL too is no matter of Polder's. `dbt_excluded.txt` has the tests that
are known to fail, each with its reason. With `--results` what came of each test is kept in files as soon as it is known, and the next run
leaves out what is there: so a run of the whole suite, which takes an hour, can be made in parts, and one that was broken off goes on. All of
it is of one binary; `--failed-again` runs those that failed once more. The exit code is 1 if another test fails than those, if less than 95
of 100 pass, or if the run does not come to its end.
"""

import argparse
import collections
import contextlib
import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import drivers
import peers
import polder
import raw_postgres as raw

WANTED = 0.95
SUITE_SECONDS = 4 * 3600
# To whom the suite grants.
ROLES = ("dbt_test_user_1", "dbt_test_user_2", "dbt_test_user_3")
EXCLUDED = drivers.HERE / "dbt_excluded.txt"


def excluded() -> dict:
    """The reason of each test that is known to fail, by the end of its name."""
    lines = [line for line in EXCLUDED.read_text().splitlines() if line and not line.startswith("#")]
    return dict(tuple(part.strip() for part in line.split(" # ", 1)) for line in lines)


class Results:
    """What came of each test at each server, in a folder: a file of lines for each of them, and one that tells the binary."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        binary = hashlib.sha256(polder.binary().read_bytes()).hexdigest()
        of = folder / "binary"
        if of.exists() and of.read_text().strip() != binary:
            raise SystemExit(f"{folder} has results of another binary: name another folder, or take this one away")
        of.write_text(binary + "\n")

    def path(self, server: str) -> pathlib.Path:
        return self.folder / f"{server}.jsonl"

    def read(self, server: str) -> dict:
        """The last outcome of each test by its name. A line that a killed run has left unfinished counts for nothing."""
        found = {}
        for line in self.path(server).read_text().splitlines() if self.path(server).exists() else []:
            try:
                outcome = json.loads(line)
            except ValueError:
                continue
            found[outcome["name"]] = outcome
        return found


def run_suite(folder: pathlib.Path, server: str, place: drivers.Place, options, results: Results) -> bool:
    """Runs what is not in the results yet and adds it to them; whether it came to its end."""
    environment = {
        **os.environ, "POSTGRES_TEST_HOST": place.host, "POSTGRES_TEST_PORT": str(place.port), "POSTGRES_TEST_USER": place.user,
        "POSTGRES_TEST_PASS": place.password or "none", "POSTGRES_TEST_DATABASE": place.database, "POSTGRES_TEST_THREADS": "4",
        **{role.upper(): role for role in ROLES}, "PYTHONPATH": str(drivers.HERE),
    }
    known = [name for name, outcome in results.read(server).items() if not (options.failed_again and outcome["came"] == "failed")]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        # It is not the file of results itself: a process that takes the place of one that ended must find the same tests as the others.
        json.dump(known, file)
        file.flush()
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-p", "dbt_suite_results", "-n", str(options.at_once),
                 "--dist", "loadfile", f"--kept-results={results.path(server).resolve()}", f"--known-results={file.name}",
                 *(options.only or ["tests/functional"])], cwd=folder, env=environment, timeout=SUITE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return False
    # Some failed; there were none left.
    return done.returncode in (0, 1, 5)


def folder_of(name: str) -> str:
    """The part of the suite that a test is in: its folder, and of those in none "others"."""
    part = name.split("::")[0].split(".")[2]
    return "others" if part.startswith("test_") else part


def run(place: drivers.Place, *statements: str) -> None:
    with raw.Raw(place.host, place.port).login(place.user, place.password, database=place.database) as connection:
        for statement in statements:
            connection.run(statement)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", default=[], help="files or folders, as pytest takes them")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--postgres-too", action="store_true", help="run it at PostgreSQL as well, to leave out what fails there")
    parser.add_argument("--results", type=pathlib.Path, help="a folder in which what came of each test is kept, of earlier runs too")
    parser.add_argument("--failed-again", action="store_true", help="run those that failed before once more")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        results = Results(options.results or pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())))
        places = stack.enter_context(drivers.both(stack.enter_context(peers.Postgres())))
        # Some tests have the name of the database in what they expect; both have the same one, so that these fail at both.
        run(places["postgres"], f"CREATE DATABASE {places['polder'].database}")
        places["postgres"] = dataclasses.replace(places["postgres"], database=places["polder"].database)
        for place in places.values():
            run(place, *(f"CREATE ROLE {role}" for role in ROLES))
        ended = [run_suite(options.folder, server, places[server], options, results)
                 for server in ("polder", *(["postgres"] if options.postgres_too else []))]
        return max(summary(results.read("polder"), results.read("postgres")), 0 if all(ended) else 1)


def summary(ours: dict, theirs: dict) -> int:
    """Prints what came of it; the exit code."""
    skipped = [name for name, outcome in ours.items() if outcome["came"] == "skipped"]
    counted = {name: outcome for name, outcome in ours.items()
               if name not in skipped and theirs.get(name, {}).get("came") != "failed"}
    failed = {name: outcome["wrong"] for name, outcome in counted.items() if outcome["came"] == "failed"}
    known = excluded()
    unknown = [name for name in failed if not any(name.endswith(end) for end in known)]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("dbt-core", "dbt-postgres", "dbt-tests-adapter"))
    passed = len(counted) - len(failed)
    print(f"\n{datetime.date.today()}: {passed} of {len(counted)} pass, {passed / max(1, len(counted)):.1%} ({versions})")
    print(f"left out, since they fail at PostgreSQL too: {len(ours) - len(counted) - len(skipped)}; skipped by the suite itself: {len(skipped)}")
    for folder, tests in sorted(collections.Counter(map(folder_of, counted)).items()):
        print(f"  {folder:28}{sum(folder_of(name) == folder and name not in failed for name in counted):4} of {tests:4}")
    for name, wrong in sorted(failed.items()):
        reason = next((reason for end, reason in known.items() if name.endswith(end)), "UNKNOWN")
        print(f"- {name}: {reason}\n    {wrong[:300]}")
    return 1 if unknown or passed < WANTED * len(counted) else 0


if __name__ == "__main__":
    sys.exit(main())
