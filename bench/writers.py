"""Sixteen writers for a minute, on one table and on ten, on SQLite and on PostgreSQL: rows a second, and who got least.

Each inserts durable single rows over HTTP, one after the other. The totals are checked against what was acknowledged.
"""

import sys
import tempfile
import pathlib

from common import no_options, table

import peers
import polder
import writing

SECONDS = 60.0


def main() -> int:
    no_options(__doc__)
    wrong = False
    rows = []
    with tempfile.TemporaryDirectory(prefix="polder-bench-") as scratch, peers.Postgres() as postgres:
        for metastore in ("SQLite", "PostgreSQL"):
            arguments = ["--metastore", postgres.database()[0]] if metastore == "PostgreSQL" else []
            with polder.Server(pathlib.Path(scratch) / metastore, *arguments) as server:
                for count in (1, 10):
                    names = writing.tables(server.client(), count, f"bench_{count}")
                    run = writing.write(server, names, SECONDS)
                    if run.failures:
                        raise run.failures[0]
                    exact = writing.counted(server.client(), names) == {
                        number: (done, done) for number, done in enumerate(run.acknowledged) if done}
                    wrong |= not exact or not all(run.acknowledged)
                    slowest, fastest = min(run.acknowledged), max(run.acknowledged)
                    rows.append([metastore, count, f"{run.total / run.seconds:.0f}/s", slowest, fastest,
                                 f"{slowest / fastest:.2f}" if fastest else "-", "exact" if exact else "WRONG"])
    table(f"{writing.WRITERS} writers of single rows for {SECONDS:.0f} s",
          ["metastore", "tables", "rows", "slowest writer", "fastest writer", "ratio", "totals"], rows)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
