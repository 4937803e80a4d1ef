"""Runs the functional tests of dbt-postgres itself, which are not part of this repository, at Polder and at PostgreSQL.

    python tests/clients/dbt_suite.py FOLDER [--only tests/functional/basic …] [--at-once 2] [--postgres-too] [--results FILE]

`FOLDER` is `dbt-postgres` of a checkout of github.com/dbt-labs/dbt-adapters. Besides this folder's requirements it takes dbt-tests-adapter,
freezegun, pytest-mock and pytest-dotenv. A test that fails at PostgreSQL too is no matter of Polder's. `dbt_excluded.txt` has the tests that
are known to fail, each with its reason. With `--results` what came of each test is kept in a file, to which the next run adds its own: so
a run of the whole suite, which takes an hour, can be made in parts. The exit code is 1 if another one fails, or if less than 95 of 100 pass.
"""

import argparse
import collections
import dataclasses
import datetime
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import drivers
import peers
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


def outcomes(folder: pathlib.Path, place: drivers.Place, only: list, at_once: int) -> dict:
    """What came of each test: "" when it passed, or the first line of what was wrong."""
    environment = {
        **os.environ, "POSTGRES_TEST_HOST": place.host, "POSTGRES_TEST_PORT": str(place.port), "POSTGRES_TEST_USER": place.user,
        "POSTGRES_TEST_PASS": place.password or "none", "POSTGRES_TEST_DATABASE": place.database, "POSTGRES_TEST_THREADS": "4",
        **{role.upper(): role for role in ROLES},
    }
    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(scratch) / "report.xml"
        subprocess.run([sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "-n", str(at_once), "--dist", "loadfile",
                        f"--junit-xml={report}", *(only or ["tests/functional"])], cwd=folder, env=environment, timeout=SUITE_SECONDS, check=False)
        return read(report)


def read(report: pathlib.Path) -> dict:
    """What came of each test, from pytest's report; those that were skipped are left out."""
    found = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("skipped") is not None:
            continue
        wrong = next((part for kind in ("failure", "error") if (part := case.find(kind)) is not None), None)
        message = "" if wrong is None else (wrong.get("message") or wrong.text or "failed").strip().splitlines()[0]
        found[name] = found.get(name) or message
    return found


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
    parser.add_argument("--results", type=pathlib.Path, help="a file in which what came of each test is kept, of earlier runs too")
    options = parser.parse_args()
    with peers.Postgres() as postgres, drivers.both(postgres) as places:
        # Some tests have the name of the database in what they expect; both have the same one, so that these fail at both.
        run(places["postgres"], f"CREATE DATABASE {places['polder'].database}")
        places["postgres"] = dataclasses.replace(places["postgres"], database=places["polder"].database)
        for place in places.values():
            run(place, *(f"CREATE ROLE {role}" for role in ROLES))
        ours = outcomes(options.folder, places["polder"], options.only, options.at_once)
        theirs = outcomes(options.folder, places["postgres"], options.only, options.at_once) if options.postgres_too else {}
    if options.results:
        kept = json.loads(options.results.read_text()) if options.results.exists() else {"polder": {}, "postgres": {}}
        ours, theirs = {**kept["polder"], **ours}, {**kept["postgres"], **theirs}
        options.results.write_text(json.dumps({"polder": ours, "postgres": theirs}, indent=1))
    return summary(ours, theirs)


def summary(ours: dict, theirs: dict) -> int:
    """Prints what came of it; the exit code."""
    counted = {name: wrong for name, wrong in ours.items() if not theirs.get(name)}
    failed = {name: wrong for name, wrong in counted.items() if wrong}
    known = excluded()
    unknown = [name for name in failed if not any(name.endswith(end) for end in known)]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("dbt-core", "dbt-postgres", "dbt-tests-adapter"))
    passed = len(counted) - len(failed)
    print(f"\n{datetime.date.today()}: {passed} of {len(counted)} pass, {passed / max(1, len(counted)):.1%} ({versions})")
    print(f"left out, since they fail at PostgreSQL too: {len(ours) - len(counted)}")
    for folder, tests in sorted(collections.Counter(map(folder_of, counted)).items()):
        print(f"  {folder:28}{sum(folder_of(name) == folder and name not in failed for name in counted):4} of {tests:4}")
    for name, wrong in sorted(failed.items()):
        reason = next((reason for end, reason in known.items() if name.endswith(end)), "UNKNOWN")
        print(f"- {name}: {reason}\n    {wrong[:300]}")
    return 1 if unknown or passed < WANTED * len(counted) else 0


if __name__ == "__main__":
    sys.exit(main())
