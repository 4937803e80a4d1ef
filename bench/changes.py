"""UPDATE, MERGE, DELETE and an upsert of as many rows as are asked for: Polder beside DuckDB, in the same run.

Each with the same limit of memory, on the same numbers, one after the other in processes of their own. DuckDB in two ways:
a database file, and a DuckLake catalog with Parquet files, which is what Polder writes. Prints seconds, their ratio, the
memory of the process before each statement and its peak during it. After each statement the table's totals are read, with
the peak of that too, and compared with computed ones.

    python bench/changes.py --rows 100000000 --memory 2GiB --peers none --limit 86400 --folder /mnt/scratch
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

from common import table, timed

import polder

ROWS = 2_000_000
MEMORY = "512MiB"
LIMIT_SECONDS = 600
TICK_SECONDS = 60
WEEK_SECONDS = 7 * 24 * 3600

PARTS = {"file": "DuckDB, own file", "lake": "DuckDB, DuckLake", "polder": "Polder"}
MADE = {
    "t": ["CREATE TABLE t AS SELECT i AS id, i % 1000 AS v, 'word number ' || i AS word FROM {numbers}"],
    "a": ["CREATE TABLE a AS SELECT i AS id, i % 7 AS v FROM {numbers}"],
    # Half of them are in the table, half of them are new.
    "m": ["CREATE TABLE m AS SELECT i + {half} AS id, i AS v, 'new word number ' || i AS word FROM {numbers}"],
    "k": ["CREATE TABLE k (id bigint PRIMARY KEY, v bigint, word text)",
          "INSERT INTO k SELECT i, i % 1000, 'word number ' || i FROM {numbers}"],
}
# The tables that each is about, the changed one first.
STATEMENTS = {
    "update": ("t", "UPDATE t SET v = v + 1"),
    "update-from": ("ta", "UPDATE t SET v = t.v + a.v FROM a WHERE a.id = t.id"),
    "merge": ("tm", "MERGE INTO t USING m ON t.id = m.id WHEN MATCHED THEN UPDATE SET v = m.v"
              " WHEN NOT MATCHED THEN INSERT (id, v, word) VALUES (m.id, m.v, m.word)"),
    "delete": ("t", "DELETE FROM t WHERE id % 2 = 0"),
    "upsert": ("km", "INSERT INTO k SELECT id, v, word FROM m ON CONFLICT (id) DO UPDATE SET v = excluded.v"),
}


def progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}", file=sys.stderr, flush=True)


def mib(size: int) -> str:
    return f"{size >> 20} MiB"


def status_bytes(pid: int, field: str) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} of process {pid}")


@contextlib.contextmanager
def ticking(what: str, pid: int):
    """Says every minute that something still runs."""
    over, started = threading.Event(), time.monotonic()

    def tick():
        while not over.wait(TICK_SECONDS):
            progress(f"{what}: for {time.monotonic() - started:.0f} s, {mib(status_bytes(pid, 'VmRSS'))}")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def measured(what: str, pid: int, action) -> dict:
    """Seconds of a call, and the resident memory of a process before it and at its peak, as the kernel counted it."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = status_bytes(pid, "VmRSS")
    with ticking(what, pid):
        taken = {"seconds": timed(action), "before_bytes": before, "peak_bytes": status_bytes(pid, "VmHWM")}
    progress(f"{what}: {taken['seconds']:.1f} s, {mib(before)} before, {mib(taken['peak_bytes'])} at most")
    return taken


def sum_of(function, rows: int) -> int:
    """Sum of a function of i from 1 to `rows` that repeats itself every 14,000 rows, as i % 1000, i % 7 and i % 2 do."""
    period = 14_000
    whole, rest = divmod(rows, period)
    values = [function(i) for i in range(1, period + 1)]
    return whole * sum(values) + sum(values[:rest])


def expected(rows: int, done: list) -> list:
    """The number of rows, the sum of ids and the sum of v in the table that the last statement changed."""
    if done[-1] == "upsert":  # Of a table of its own, as it was made.
        done = ["merge"]
    half, step = rows // 2, 2 if "delete" in done else 1

    def old(i):
        kept = step == 1 or i % 2 == 1
        return kept * (i % 1000 + ("update" in done) + ("update-from" in done) * (i % 7))

    if "merge" not in done:
        ids = range(1, rows + 1, step)
        return [len(ids), sum_steps(ids), sum_of(old, rows)]
    # A row beyond the half has the source's value, which is its distance from there.
    ids, distances = range(1, rows + half + 1, step), range(1 + (step == 2 and half % 2), rows + 1, step)
    return [len(ids), sum_steps(ids), sum_of(old, half) + sum_steps(distances)]


def sum_steps(numbers: range) -> int:
    return (numbers[0] + numbers[-1]) * len(numbers) // 2


def carry_out(options, run, pid, settle) -> None:
    """Makes the tables, and carries out the statements: a line of JSON for each. When one fails, the next is tried."""
    made, done = set(), []
    words = {"numbers": f"generate_series(1, {options.rows}) AS g(i)", "half": options.rows // 2}
    for name in options.statements:
        tables, sql = STATEMENTS[name]
        what = f"{PARTS[options.part]}, {name}"
        try:
            for missing in [one for one in tables if one not in made]:
                statements = [make.format(**words) for make in MADE[missing]]
                measured(f"{what}, making {missing}", pid(), lambda: [run(make) for make in statements])
                made.add(missing)
            # What the making of tables left with the allocator is not this statement's.
            settle()
            found = measured(what, pid(), lambda: run(sql))
            done.append(name)
            totals = []
            read = f"SELECT count(*) AS n, sum(id) AS ids, sum(v) AS v FROM {tables[0]}"
            found["reading"] = measured(f"{what}, totals", pid(), lambda: totals.extend(map(int, run(read))))
            wanted = expected(options.rows, done)
            found["totals"] = "right" if totals == wanted else f"WRONG: {totals}, not {wanted}"
        except Exception as error:  # Whatever it is, of DuckDB or of Polder, it is this statement's outcome.
            found = {"error": (str(error).splitlines() or [repr(error)])[0][:200]}
            progress(f"{what}: {found['error']}")
        print(json.dumps({"statement": name, **found}), flush=True)


def polder_part(folder: pathlib.Path, options) -> None:
    with polder.Server(folder, "--memory", options.memory) as server:
        def run(sql):
            client = server.client()
            client.timeout = WEEK_SECONDS
            return list((client.sql(sql) or [{}])[0].values())

        carry_out(options, run, lambda: server.process.pid, server.restart)


def duckdb_part(folder: pathlib.Path, options) -> None:
    import peers

    con = peers.connect_duckdb() if options.part == "lake" else peers.duckdb.connect(str(folder / "own.db"))
    con.execute(f"SET memory_limit = '{options.memory}'; SET temp_directory = '{folder}/temp'; SET preserve_insertion_order = false")
    if options.part == "lake":
        con.execute(f"ATTACH 'ducklake:sqlite:{folder}/m.sqlite' AS lake (DATA_PATH '{folder}/tables/'); USE lake")
    carry_out(options, lambda sql: con.execute(sql).fetchone(), os.getpid, lambda: None)


def apart(part: str, options) -> dict:
    """What one part finds, in processes of its own, which are ended when its time is over; then its folder goes."""
    with tempfile.TemporaryDirectory(prefix="polder-bench-", dir=options.folder, ignore_cleanup_errors=True) as scratch:
        command = [sys.executable, __file__, "--part", part, "--folder", scratch, "--rows", str(options.rows),
                   "--memory", options.memory, "--statements", ",".join(options.statements)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True,
                                 env={**os.environ, "TMPDIR": scratch})
        try:
            output, _ = child.communicate(timeout=options.limit)
            missing = f"ended with {child.returncode}"
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            output, _ = child.communicate()
            missing = f"not done in {options.limit} s"
            progress(f"{PARTS[part]}: {missing}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
    found = {line.pop("statement"): line for line in map(json.loads, output.splitlines())}
    return {name: found.get(name, {"error": missing}) for name in options.statements}


def lines(name: str, found: dict) -> list:
    ours = found["polder"][name].get("seconds")
    for part, one in ((part, of[name]) for part, of in found.items()):
        if "error" in one:
            yield [name, PARTS[part], one["error"], *["-"] * 5]
        else:
            ratio = f"{ours / one['seconds']:.2f}" if ours else "-"
            memory = [mib(one["before_bytes"]), mib(one["peak_bytes"]), mib(one["reading"]["peak_bytes"])]
            yield [name, PARTS[part], f"{one['seconds']:.1f} s", ratio, *memory, one["totals"]]


def choice(known):
    """An argument of names out of `known`, with commas between them; `none` for none."""
    def chosen(text):
        names = [name for name in text.split(",") if name != "none"]
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: one of {', '.join(known)} was expected")
        return [name for name in known if name in names]
    return chosen


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="of each table (default %(default)s)")
    parser.add_argument("--memory", default=MEMORY, help="limit of each part (default %(default)s)")
    parser.add_argument("--peers", type=choice(["file", "lake"]), default="file,lake", help="file, lake or none (default %(default)s)")
    parser.add_argument("--statements", type=choice(STATEMENTS), default=",".join(STATEMENTS), help="default %(default)s")
    parser.add_argument("--limit", type=int, default=LIMIT_SECONDS, help="seconds that a part may take (default %(default)s)")
    parser.add_argument("--folder", type=pathlib.Path, help="where tables and temporary files are put (default: where those are)")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.part:
        data = options.folder / "data"
        if options.part == "polder":
            polder_part(data, options)
        else:
            data.mkdir()
            duckdb_part(data, options)
        return 0
    # So that what runs is ended and its folder removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = {part: apart(part, options) for part in [*options.peers, "polder"]}
    table(f"Changes of {options.rows:,} rows, {options.memory} of memory each",
          ["statement", "", "time", "Polder's time to it", "before", "peak", "peak of totals", "totals"],
          [line for name in options.statements for line in lines(name, found)])
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    wrong = any(one.get("totals", "right") != "right" for part in found.values() for one in part.values())
    return 1 if wrong or any("error" in one for one in found["polder"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
