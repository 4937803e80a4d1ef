"""UPDATE of all rows of a table and MERGE of as many, half of them new: Polder beside DuckDB, in the same run.

Each with the same limit of memory, on the same numbers, each in files of its own. DuckDB in two ways: a database file, and
a DuckLake catalog with Parquet files, which is what Polder writes. Prints seconds, their ratio, and the peak memory of
the process during each statement. The outcome of all is compared.

    python bench/changes.py --rows 100000000     # some 20 GB of disk
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from common import table, timed

import peers
import polder

ROWS = 10_000_000
MEMORY = "2GiB"

UPDATE = "UPDATE {t} SET v = v + 1"
MERGE = ("MERGE INTO {t} USING {m} ON t.id = m.id WHEN MATCHED THEN UPDATE SET v = m.v"
         " WHEN NOT MATCHED THEN INSERT (id, v, word) VALUES (m.id, m.v, m.word)")
TOTALS = "SELECT count(*) AS n, sum(id) AS ids, sum(v) AS v FROM {t}"


def tables(rows: int, prefix: str = "") -> list:
    numbers = f"FROM generate_series(1, {rows}) AS g(i)"
    return [f"CREATE TABLE {prefix}t AS SELECT i AS id, i % 1000 AS v, 'word number ' || i AS word {numbers}",
            f"CREATE TABLE {prefix}m AS SELECT i + {rows // 2} AS id, i AS v, 'new word number ' || i AS word {numbers}"]


def status_bytes(pid: int, field: str) -> int:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} of process {pid}")


def forget_peak(pid: int) -> None:
    """Has the kernel count the peak of resident memory from now on."""
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def measure(pid: int, run, names: dict) -> dict:
    """Seconds and peak bytes of both statements, and what the table holds afterwards."""
    found = {}
    for name, sql in (("UPDATE", UPDATE), ("MERGE", MERGE)):
        forget_peak(pid)
        seconds = timed(lambda sql=sql: run(sql.format(**names)))
        found[name] = {"seconds": seconds, "peak_bytes": status_bytes(pid, "VmHWM")}
    found["totals"] = [int(value) for value in run(TOTALS.format(**names))]
    return found


def polder_part(folder: pathlib.Path, rows: int, memory: str) -> dict:
    with polder.Server(folder, "--memory", memory) as server:
        client = server.client()
        client.timeout = 24 * 3600
        for sql in tables(rows):
            client.sql(sql)
        server.restart()
        client = server.client()
        client.timeout = 24 * 3600

        def run(sql):
            return list((client.sql(sql) or [{}])[0].values())

        return measure(server.process.pid, run, {"t": "t", "m": "m"})


def duckdb_part(folder: pathlib.Path, rows: int, memory: str, lake: bool) -> dict:
    """In this process, which is one of its own: `--duckdb`."""
    con = peers.connect_duckdb() if lake else peers.duckdb.connect(str(folder / "own.db"))
    con.execute(f"SET memory_limit = '{memory}'; SET temp_directory = '{folder}/temp'; SET preserve_insertion_order = false")
    if lake:
        con.execute(f"ATTACH 'ducklake:sqlite:{folder}/m.sqlite' AS lake (DATA_PATH '{folder}/tables/')")
    prefix = "lake." if lake else ""
    for sql in tables(rows, prefix):
        con.execute(sql)
    names = {name: f"{prefix}{name} AS {name}" for name in ("t", "m")}
    return measure(os.getpid(), lambda sql: con.execute(sql).fetchone(), names)


def apart(kind: str, folder: pathlib.Path, options) -> dict:
    """DuckDB in a process of its own, so that its peak is its own."""
    folder.mkdir()
    command = [sys.executable, __file__, "--rows", str(options.rows), "--memory", options.memory, "--duckdb", kind, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:200]}
    return json.loads(done.stdout)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--memory", default=MEMORY, help="limit of each (default %(default)s)")
    parser.add_argument("--duckdb", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.duckdb:
        kind, folder = options.duckdb
        print(json.dumps(duckdb_part(pathlib.Path(folder), options.rows, options.memory, kind == "lake")))
        return 0
    found = {}
    # One after the other, each in a folder that goes before the next, for the disk's sake.
    for name, kind in (("DuckDB, own file", "file"), ("DuckDB, DuckLake", "lake"), ("Polder", None)):
        with tempfile.TemporaryDirectory(prefix="polder-bench-") as scratch:
            folder = pathlib.Path(scratch) / "data"
            found[name] = apart(kind, folder, options) if kind else polder_part(folder, options.rows, options.memory)
    ours = found["Polder"]
    lines = []
    for statement in ("UPDATE", "MERGE"):
        for name, part in found.items():
            if "error" in part:
                lines.append([statement, name, part["error"], "-", "-"])
                continue
            taken, ratio = part[statement], ours[statement]["seconds"] / part[statement]["seconds"]
            lines.append([statement, name, f"{taken['seconds']:.1f} s", f"{ratio:.2f}", f"{taken['peak_bytes'] >> 20} MiB"])
    table(f"UPDATE and MERGE of {options.rows:,} rows, {options.memory} of memory each",
          ["", "", "time", "Polder's time to it", "peak"], lines)
    totals = {tuple(part["totals"]) for part in found.values() if "error" not in part}
    print(f"outcome: {'the same' if len(totals) == 1 else f'DIFFERENT, {totals}'}; load of the machine {os.getloadavg()[0]:.1f}")
    return 0 if len(totals) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
