"""node's `pg` with its cursors, streams and COPY does at Polder what it does at PostgreSQL: see `node/`, which is run once for all tests."""

import dataclasses
import json
import shutil

import pytest

import drivers

FOLDER = drivers.HERE / "node"

pytestmark = drivers.needs(shutil.which("node") is not None and (FOLDER / "node_modules" / "pg").is_dir(), "Node or no `pg`")

PROBES = [
    "connect", "values as texts", "values in binary", "json in binary", "returned columns", "columns", "several statements", "prepared",
    "prepared in vain", "transactions", "cursors", "streams", "copy",
    "errors", "notices", "listen", "timeouts", "pool", "leaving",
]

# What Polder does not do, or does in another way. Each is told in docs/clients.md.
DIFFERENCES = {
    "listen": ["0A000", "none"],
    # A column of one type has arrays of as many dimensions as the type says.
    "values as texts": {"integer[] 25": {"failed": "22P02"}},
}


@pytest.fixture(scope="module")
def outcomes(postgres):
    with drivers.both(postgres) as places:
        servers = {name: dataclasses.asdict(place) for name, place in places.items()}
        return drivers.told("node", FOLDER / "probes.mjs", json.dumps(servers))


def test_all_probes_are_looked_at(outcomes):
    assert list(outcomes["polder"]) == list(outcomes["postgres"]) == PROBES


@pytest.mark.parametrize("name", PROBES)
def test_same_as_postgresql(outcomes, name):
    drivers.compare(name, outcomes, DIFFERENCES)
