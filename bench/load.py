"""Loading the flights CSV (31 MB): `polder load` beside DuckDB's `CREATE TABLE AS FROM read_csv`.

Whole processes, in turn. DuckDB writes a database file of its own, and, in a third column, a DuckLake catalog with
Parquet files, which is what Polder writes. The target is at most 1.5 times DuckDB's time.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

from common import in_turn, median, ms, no_options, shared, table, verdict

import polder

ROUNDS = 7
TARGET = 1.5

DUCKDB = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute(f\"CREATE TABLE flights AS FROM read_csv('{sys.argv[2]}', nullstr=['', 'NA'])\")"
DUCKLAKE = f"""
import sys
sys.path.insert(0, {str(pathlib.Path(polder.__file__).parent)!r})
import peers
con = peers.connect_duckdb()
con.execute(f"ATTACH 'ducklake:sqlite:{{sys.argv[1]}}/m.sqlite' AS lake (DATA_PATH '{{sys.argv[1]}}/tables/')")
con.execute(f"CREATE TABLE lake.flights AS FROM read_csv('{{sys.argv[2]}}', nullstr=['', 'NA'])")
"""


def main() -> int:
    no_options(__doc__)
    source = shared("flights/flights.csv.zip")
    with tempfile.TemporaryDirectory(prefix="polder-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        with zipfile.ZipFile(source) as archive:
            csv = pathlib.Path(archive.extract("flights.csv", scratch))
        server = polder.Server(scratch / "served").start()

        def embedded(number):
            data = scratch / f"data-{number}"
            # Made before, as everybody's directory is; its making is not what is measured here.
            done = polder.run("load", csv, "--data", template(data))
            assert done.returncode == 0, done.stderr
            shutil.rmtree(data)

        def template(data):
            shutil.copytree(scratch / "empty", data)
            return data

        def served(number):
            done = server.cli("load", csv, "--into", f"flights_{number}")
            assert done.returncode == 0, done.stderr

        def duckdb_file(number):
            subprocess.run([sys.executable, "-c", DUCKDB, str(scratch / f"{number}.db"), str(csv)], check=True)

        def duckdb_lake(number):
            folder = scratch / f"lake-{number}"
            folder.mkdir()
            subprocess.run([sys.executable, "-c", DUCKLAKE, str(folder), str(csv)], check=True)

        assert polder.run("sql", "-c", "SELECT 1", "--data", scratch / "empty").returncode == 0
        seconds = in_turn(ROUNDS, **{
            "DuckDB, own file": duckdb_file, "DuckDB, DuckLake": duckdb_lake,
            "polder load, embedded": embedded, "polder load, to a server": served})
        server.stop()
    base = median(seconds["DuckDB, own file"])
    rows = [[name, ms(min(taken)), ms(median(taken)), f"{median(taken) / base:.2f}"] for name, taken in seconds.items()]
    table(f"Load flights.csv, 31 MB, 336,776 rows ({ROUNDS} rounds in turn)", ["", "fastest", "median", "to DuckDB's file"], rows)
    best = min(median(seconds[name]) for name in seconds if name.startswith("polder")) / base
    print(f"at most {TARGET} times DuckDB: {best:.2f}, {verdict(best <= TARGET)}")
    return 0 if best <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
