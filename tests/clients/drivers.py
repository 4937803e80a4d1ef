"""Drivers of other languages: a program does the same by one of them at Polder and at PostgreSQL, and tells what came of it."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import urllib.parse

import pytest

import polder

HERE = pathlib.Path(__file__).resolve().parent
# A bound for what hangs.
PROGRAM_SECONDS = 600


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a server of PostgreSQL's protocol is, and who logs in."""

    host: str
    port: int
    user: str
    password: str
    database: str


def polders(server: polder.Server) -> Place:
    host, port = server.postgres.rsplit(":", 1)
    known = server.credentials
    return Place(host, int(port), known["user"], known["password"], "polder")


def postgresqls(postgres) -> Place:
    """A new database of the PostgreSQL that the tests have started."""
    address = urllib.parse.urlparse(postgres.database()[0])
    return Place(address.hostname, address.port, address.username, "", address.path.lstrip("/"))


@contextlib.contextmanager
def both(postgres):
    """A Polder that was just started and an empty database of PostgreSQL, by name."""
    with polder.Server() as running:
        yield {"polder": polders(running), "postgres": postgresqls(postgres)}


def needs(found: bool, what: str):
    """A mark for tests that need a program: skipped where it is missing, but not in the suites, for which all are installed."""
    if not found and os.environ.get("POLDER_ALL_PROGRAMS"):
        raise RuntimeError(f"there is no {what}: scripts/install test")
    return pytest.mark.skipif(not found, reason=f"there is no {what}: scripts/install test")


def told(*command, cwd=None) -> dict:
    """What a program tells: of each server, of each probe, what came of it."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=cwd, env={**os.environ, "TZ": "Asia/Kolkata"}, capture_output=True,
                              text=True, timeout=PROGRAM_SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        said = [(part or b"")[-4000:] for part in (late.stdout, late.stderr)]
        pytest.fail(f"no end within {PROGRAM_SECONDS} s: {said}")
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return json.loads(done.stdout)


def compare(name: str, outcomes: dict, differences: dict) -> None:
    """Fails unless a probe came to the same at both servers.

    `differences` has those that are known: what Polder says instead, whole, or for a map of answers those that differ.
    """
    ours, theirs = outcomes["polder"][name], outcomes["postgres"][name]
    assert "failed" not in (theirs if isinstance(theirs, dict) else {}), f"PostgreSQL: {theirs['failed']}"
    expected = theirs
    if name in differences:
        known = differences[name]
        expected = {**theirs, **known} if isinstance(theirs, dict) and isinstance(known, dict) else known
        assert expected != theirs, "there is no difference any more"
    assert ours == expected, "\n".join(differing(name, ours, expected))


def differing(place: str, ours, theirs) -> list:
    """Where two answers differ, a line each."""
    if ours == theirs:
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict) and list(ours) == list(theirs):
        return [line for key in ours for line in differing(f"{place}, {key}", ours[key], theirs[key])]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs))
        return [line for at, (one, other) in pairs for line in differing(f"{place}, {at}", one, other)]
    return [f"{place}: Polder {ours!r}, PostgreSQL {theirs!r}"]
