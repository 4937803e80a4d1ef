"""Fixtures: a server for a module's tests, and the peers for the whole run."""

import contextlib
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import peers
import polder


def pytest_sessionstart():
    if not polder.binary().is_file():
        pytest.exit(f"there is no {polder.binary()}: run make build", returncode=2)


@pytest.fixture(scope="module")
def server():
    with polder.Server() as running:
        yield running


@pytest.fixture(scope="module")
def client(server):
    return server.client()


@pytest.fixture(scope="session")
def postgres():
    with peers.Postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgres"], scope="module")
def pair(request):
    """A server on either metastore, with DuckDB beside it on the same catalog."""
    arguments, metastore = [], None
    if request.param == "postgres":
        address, metastore = request.getfixturevalue("postgres").database()
        arguments = ["--metastore", address]
    with polder.Server(None, *arguments) as running:
        with contextlib.closing(peers.Pair(running, metastore)) as made:
            yield made


@pytest.fixture(scope="session")
def s3():
    with peers.S3() as running:
        yield running


@pytest.fixture
def fresh():
    """Makes servers that a test starts and stops as it likes; what is left is stopped at its end."""
    with contextlib.ExitStack() as stack:
        def make(data=None, *arguments, **options):
            made = polder.Server(data, *arguments, **options)
            stack.push(made.__exit__)
            return made

        yield make


@pytest.fixture(scope="session")
def shared():
    """The folder of real data, which is not part of the repository."""
    folder = pathlib.Path(os.environ.get("POLDER_SHARED_DATA", polder.ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"there is no shared data in {folder}: set POLDER_SHARED_DATA")
    return folder


# When files run beside each other, what takes longest must not come last.
LONGEST_FIRST = ("test_crash_random.py", "test_power_cuts.py", "test_writers.py", "test_disk.py", "test_histories.py", "test_faults.py",
                 "test_power_cuts_layouts.py", "test_power_cuts_jobs.py", "test_power_cuts_backups.py",
                 "test_dbt.py", "test_load_memory.py", "test_load.py", "test_topic_history.py", "test_kafka_rust.py", "test_kafka_confluent.py", "test_duckdb.py",
                 "test_postgres_exchange.py", "test_leaks.py", "test_kafka_clients.py", "test_expectations.py", "test_jobs.py", "test_postgres_drivers.py",
                 "test_topic_tables.py", "test_permissions.py", "test_postgres_starts.py", "test_deliveries.py", "test_postgres_stalls.py",
                 "test_postgres_transactions.py", "test_limits.py", "test_backup.py")


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
    skip_pending(items)


def skip_pending(items):
    """Tests of what is being built: listed with their reason in `pending.txt`, and counted as skipped."""
    path = pathlib.Path(__file__).parent / "pending.txt"
    pending = {}
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" # ")
            pending[name.strip()] = reason.strip()
    for item in items:
        name = f"{item.path.name}::{item.name}"
        reason = pending.get(name) or pending.get(f"{item.path.name}::{item.originalname}")
        if reason:
            item.add_marker(pytest.mark.skip(reason=f"pending: {reason}"))
