"""Sorts the records of the .slt files into those that Polder passes and those that wait for work.

    sort_pending.py [--runner PROGRAM]

A file of which all records pass stands in its folder. One with records that do not pass yet stands in `pending/` as a
whole, `# waits` above each of them, and what passes of it stands in its folder, where the tests run it. Write new
records of such a file into the one in `pending/`. This runs all of them and divides anew, so that records stop waiting
once the gap is closed. No expectation is changed here: they come from `expect.py`.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from expect import HERE, DuckDB, Postgres, Record, oracle_of, peers, read, visit

PENDING = HERE / "pending"
CARGO = ["cargo", "test", "--release", "-p", "polder-engine", "--test", "slt", "--"]
WAITS = "# waits"


def whole(file: str) -> list[Record]:
    """All records of a file, whether they pass or not."""
    outside = read(HERE / file) if (HERE / file).exists() else []
    if not (PENDING / file).exists():
        return outside
    records = read(PENDING / file)
    for record in records:
        record.comments = [comment for comment in record.comments if comment != WAITS]
    rest = iter([(record.connection, record.sql) for record in records])
    for record in outside:
        if record.sql and (record.connection, record.sql) not in rest:
            raise SystemExit(f"{file}:{record.line} is not in pending/{file}, where the whole file stands: write it there")
    return records


def marked(records: list[Record], failed: set[int]) -> list[Record]:
    """The records with a line above each of those that failed."""
    return [Record([*record.comments, WAITS], record.connection, record.header, record.sql, record.rows, record.line)
            if at in failed else record for at, record in enumerate(records)]


def write(path: pathlib.Path, records: list[Record]) -> None:
    if not any(record.sql for record in records):
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(record.text() for record in records) + "\n")


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


def settle(runner: list[str], oracles: dict, root: pathlib.Path) -> tuple[int, int]:
    """Divides until what is left outside of `pending/` passes, in Polder and in the oracle: how many wait, and pass."""
    files = {str(path.relative_to(PENDING if path.is_relative_to(PENDING) else HERE)) for path in HERE.rglob("*.slt")}
    sources = {file: whole(file) for file in files}
    waits = {file: set() for file in files}
    for file in files:
        write(root / file, sources[file])
    while True:
        failed = run(runner, root)
        for file in files:
            if waits[file] and (root / file).exists():
                failed.setdefault(file, set()).update(different(root / file, oracles))
        if not any(failed.values()):
            break
        for file, lines in failed.items():
            index = [at for at in range(len(sources[file])) if at not in waits[file]]
            waits[file] |= {index[at] for at in places(read(root / file), lines)}
            write(root / file, [record for at, record in enumerate(sources[file]) if at not in waits[file]])
        print(f"{sum(map(len, waits.values()))} records wait so far")
    for file in files:
        write(HERE / file, [record for at, record in enumerate(sources[file]) if at not in waits[file]])
        write(PENDING / file, marked(sources[file], waits[file]) if waits[file] else [])
    waiting = sum(map(len, waits.values()))
    return waiting, sum(bool(record.sql) for source in sources.values() for record in source) - waiting


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runner", help="the built test program, when not through cargo")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="polder-slt-") as root, peers.Postgres() as cluster:
        waiting, passing = settle([given.runner] if given.runner else CARGO,
                                  {"postgres": Postgres(cluster), "duckdb": DuckDB()}, pathlib.Path(root).resolve())
    print(f"{waiting} records wait, {passing} pass")
    return 0


if __name__ == "__main__":
    sys.exit(main())
