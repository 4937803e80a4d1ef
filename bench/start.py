"""How soon the server is ready, how much memory it keeps at rest, and how long `polder sql -c 'SELECT 1'` takes.

Targets: ready within 1 s on an existing directory, at most 200 MB at rest, at most 100 ms for the whole process.
The peer for the last is `psql -c 'SELECT 1'` against a local PostgreSQL, where there is one.
"""

import shutil
import subprocess
import sys
import time

from common import in_turn, median, ms, no_options, table, verdict

import peers
import polder

ROUNDS = 15
READY_SECONDS = 1.0
RESIDENT_BYTES = 200e6
SELECT_SECONDS = 0.1


def fill(server) -> None:
    """A directory that has seen use: tables, rows, queries."""
    client = server.client()
    for number in range(20):
        client.sql(f"CREATE TABLE t{number} AS SELECT value AS id, 'word ' || value AS word FROM generate_series(1, 20000) AS s(value)")
        client.sql(f"INSERT INTO t{number} VALUES (0, 'small')")
        client.sql(f"SELECT count(*) AS n FROM t{number}")


def main() -> int:
    no_options(__doc__)
    with polder.Server() as server:
        fill(server)
        ready, resident = [], []
        for _ in range(ROUNDS):
            server.restart()
            ready.append(server.ready_seconds)
            time.sleep(0.5)
            resident.append(server.memory_bytes())

        def select(_):
            assert server.cli("sql", "-c", "SELECT 1").returncode == 0

        actions = {"polder sql -c 'SELECT 1'": select}
        if shutil.which("psql"):
            with peers.Postgres() as postgres:
                address, _ = postgres.database()
                actions["psql -c 'SELECT 1'"] = lambda _: subprocess.run(
                    ["psql", address, "-c", "SELECT 1"], check=True, capture_output=True)
                seconds = in_turn(ROUNDS, **actions)
        else:
            seconds = in_turn(ROUNDS, **actions)
    ours = median(seconds["polder sql -c 'SELECT 1'"])
    rows = [
        ["ready after polder up", ms(min(ready)), ms(median(ready)), "1000 ms", verdict(median(ready) <= READY_SECONDS)],
        ["resident at rest", f"{min(resident) / 1e6:.0f} MB", f"{median(resident) / 1e6:.0f} MB", "200 MB",
         verdict(median(resident) <= RESIDENT_BYTES)],
    ]
    for name, taken in seconds.items():
        target = ("100 ms", verdict(ours <= SELECT_SECONDS)) if name.startswith("polder") else ("", f"{ours / median(taken):.2f} times")
        rows.append([name, ms(min(taken)), ms(median(taken)), *target])
    table(f"Start and rest, 20 tables ({ROUNDS} rounds)", ["", "best", "median", "target", ""], rows)
    return 1 if any(row[-1] == "MISSED" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
