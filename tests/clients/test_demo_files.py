"""The demo's files, which are in the repository and in the binary: small, and what their source says."""

import zipfile

import duckdb
import pytest

import polder

DEMO = polder.ROOT / "demo"
BYTES_MAX = 10_000_000


def test_they_are_small():
    size = sum(path.stat().st_size for path in DEMO.iterdir() if path.is_file())
    assert 1_000_000 < size <= BYTES_MAX, size


def test_they_are_what_their_source_says(shared, tmp_path):
    """Each row and value that is the source's own, as another program reads both: `NA` is null, a day is a date."""
    for name in ("flights.csv.zip", "airports.csv", "planes.csv", "weather.csv"):
        if not (shared / "flights" / name).exists():
            pytest.skip(f"there is no {shared / 'flights' / name}")
    with zipfile.ZipFile(shared / "flights" / "flights.csv.zip") as archive:
        flights = archive.extract("flights.csv", tmp_path)
    duck = duckdb.connect()
    # Clock readings stand beside the times that the demo has in their place.
    duck.execute(f"CREATE TABLE flights_source AS SELECT *, make_date(year, month, day) AS flight_date, dep_time % 2400 AS departed, arr_time % 2400 AS arrived"
                 f" FROM read_csv('{flights}', nullstr=['', 'NA'], sample_size=-1)")
    duck.execute(f"CREATE TABLE flights_demo AS SELECT *, extract(hour FROM dep_time) * 100 + extract(minute FROM dep_time) AS departed,"
                 f" extract(hour FROM arr_time) * 100 + extract(minute FROM arr_time) AS arrived FROM '{DEMO}/flights.parquet'")
    columns = {"flights": "flight_date, carrier, flight, tailnum, origin, dest, departed, dep_delay, arrived, arr_delay, air_time, distance, time_hour"}
    for table in ("airports", "planes", "weather"):
        source = shared / "flights" / f"{table}.csv"
        duck.execute(f"CREATE TABLE {table}_source AS SELECT * FROM read_csv('{source}', nullstr=['', 'NA'], sample_size=-1)")
        duck.execute(f"CREATE TABLE {table}_demo AS SELECT * FROM '{DEMO}/{table}.parquet'")
        columns[table] = ", ".join(row[0] for row in duck.sql(f"DESCRIBE {table}_demo").fetchall())
    for table, named in columns.items():
        rows = [duck.sql(f"SELECT count(*) FROM {table}_{side}").fetchone()[0] for side in ("source", "demo")]
        assert rows[0] == rows[1] > 1000, (table, rows)
        others = duck.sql(f"SELECT {named} FROM {table}_source EXCEPT ALL SELECT {named} FROM {table}_demo").fetchmany(3)
        assert others == [], (table, others)
