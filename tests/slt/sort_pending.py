"""Sorts the records of the .slt files into those that Polder passes and those that wait for work.

    sort_pending.py [--runner PROGRAM]

What fails stands in `pending/`, in a file of the same name, with the statements that it needs before it; what passes
stands outside of that folder, and the tests run it. This puts both together again, runs all, and divides anew: after a
gap is closed its records leave `pending/` by themselves. No expectation is changed here: they come from `expect.py`.
"""

import argparse
import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from expect import HERE, DuckDB, Postgres, Record, oracle_of, peers, read, visit

PENDING = HERE / "pending"
CARGO = ["cargo", "test", "--release", "-p", "polder-engine", "--test", "slt", "--"]
# A query that begins with one of these and has none of the words below leaves everything as it was.
PLAIN = re.compile(r"\s*(?:--[^\n]*\n\s*)*\(*(SELECT|VALUES|TABLE|SHOW|EXPLAIN|FROM|WITH|PIVOT|UNPIVOT)\b", re.IGNORECASE)
EFFECT = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|nextval|setval)\b", re.IGNORECASE)
OPENS = re.compile(r"(BEGIN|START)\b", re.IGNORECASE)
CLOSES = re.compile(r"(COMMIT|END|ABORT|ROLLBACK)\s*(WORK|TRANSACTION)?$", re.IGNORECASE)


def whole(passing: list[Record], waiting: list[Record]) -> list[Record]:
    """Both lists in one; what stands in both is where they meet."""
    keys = [[(record.connection, record.sql) for record in records] for records in (passing, waiting)]
    merged = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        merged += passing[a:b]
        merged += [] if kind == "equal" else [record for record in waiting[c:d] if record.sql]
    return merged


def divide(records: list[Record], failed: set[int]) -> tuple[list[Record], list[Record]]:
    """What passes; and what failed, with everything before it that changes something."""
    passing = [record for at, record in enumerate(records) if at not in failed]
    last, waiting, opened = max(failed, default=-1), [], set()
    for at, record in enumerate(records[:last + 1]):
        within = record.connection in opened
        if OPENS.match(record.sql):
            opened.add(record.connection)
        elif CLOSES.match(record.sql):
            opened.discard(record.connection)
        plain = bool(PLAIN.match(record.sql)) and not EFFECT.search(record.sql)
        error = (record.header or "").startswith("statement error")
        if at in failed or (record.sql and (within or not (plain or error))):
            waiting.append(record)
    head = [record for record in records[:1] if not record.sql]
    return passing, head + waiting if failed else []


def write(path: pathlib.Path, records: list[Record]) -> None:
    if not any(record.sql for record in records):
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(record.text() for record in records) + "\n")


def heads_apart(records: list[Record]) -> list[Record]:
    """The file's first comment as a record of its own."""
    first = records[0]
    if first.comments and first.sql:
        raise SystemExit(f"no empty line behind the first comment of {first.comments[0]}")
    return records


def run(runner: list[str], root: pathlib.Path) -> dict[str, set[int]]:
    """Which lines of which files fail in Polder."""
    done = subprocess.run([*runner, "--nocapture"], env={**os.environ, "SLT_ROOT": str(root)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    (root / "log").write_text(done.stdout)
    if "records of" not in done.stdout:
        raise SystemExit(f"the runner did not come to its end:\n{done.stdout[-3000:]}")
    failed = {}
    for file, line in re.findall(rf"^at {re.escape(str(root))}/(\S+\.slt):(\d+)$", done.stdout, re.MULTILINE):
        failed.setdefault(file, set()).add(int(line))
    return failed


def places(records: list[Record], lines: set[int]) -> set[int]:
    """The records in which the lines lie."""
    return {max(at for at, record in enumerate(records) if record.line <= line) for line in lines}


def different(path: pathlib.Path, oracles: dict) -> set[int]:
    """The lines whose expectation is not what the oracle says of this file."""
    name = oracle_of(path)
    if name == "hand":
        return set()
    _, found = visit(path, oracles[name], write=False)
    return {int(line) for line in re.findall(r"^\S+\.slt:(\d+): ", "\n".join(found), re.MULTILINE)}


def settle(runner: list[str], oracles: dict, root: pathlib.Path) -> None:
    """Divides until what is left outside of `pending/` passes, in Polder and in the oracle."""
    files = {str(path.relative_to(HERE).relative_to("pending") if path.is_relative_to(PENDING) else path.relative_to(HERE))
             for path in HERE.rglob("*.slt")}
    waits = {}
    for file in files:
        parts = [heads_apart(read(path)) if path.exists() else [] for path in (HERE / file, PENDING / file)]
        write(root / file, whole(*parts))
        write(root / "whole" / file, whole(*parts))
        waits[file] = set()
    sources = {file: read(root / "whole" / file) for file in files}
    shutil.rmtree(root / "whole")
    while True:
        failed = run(runner, root)
        for file in files:
            if (root / file).exists():
                failed.setdefault(file, set()).update(different(root / file, oracles) if waits[file] else set())
        if not any(failed.values()):
            break
        for file, lines in failed.items():
            if not lines:
                continue
            now = read(root / file)
            index = [at for at in range(len(sources[file])) if at not in waits[file]]
            waits[file] |= {index[at] for at in places(now, lines)}
            write(root / file, divide(sources[file], waits[file])[0])
        print(f"{sum(map(len, waits.values()))} records wait so far")
    for file in files:
        passing, waiting = divide(sources[file], waits[file])
        write(HERE / file, passing)
        write(PENDING / file, waiting)
    print(f"{sum(map(len, waits.values()))} records wait, "
          f"{sum(1 for file in files for record in sources[file] if record.sql) - sum(map(len, waits.values()))} pass")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runner", help="the built test program, when not through cargo")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="polder-slt-") as root, peers.Postgres() as cluster:
        settle([given.runner] if given.runner else CARGO, {"postgres": Postgres(cluster), "duckdb": DuckDB()},
               pathlib.Path(root).resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
