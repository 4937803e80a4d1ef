"""DuckDB, unmodified, on the same catalog while the server runs: each reads what the other wrote."""

import datetime
import decimal
import uuid

import duckdb
import psycopg
import pytest

import polder
from test_postgres_psycopg import address

TYPES = {
    "a_boolean": ("boolean", "true", True),
    "a_smallint": ("smallint", "-32768", -32768),
    "an_integer": ("integer", "2147483647", 2147483647),
    "a_bigint": ("bigint", "-9223372036854775807", -9223372036854775807),
    "a_real": ("real", "1.5", 1.5),
    "a_double": ("double", "0.1", 0.1),
    "a_decimal": ("decimal(18,4)", "12345678901234.5678", decimal.Decimal("12345678901234.5678")),
    "a_text": ("text", "'line one' || chr(10) || 'zwei, \"drei\" — é 🙂 '''", "line one\nzwei, \"drei\" — é 🙂 '"),
    "a_date": ("date", "date '1969-12-31'", datetime.date(1969, 12, 31)),
    "a_timestamp": ("timestamp", "timestamp '2013-02-28 23:59:59.123456'",
                    datetime.datetime(2013, 2, 28, 23, 59, 59, 123456)),
    "a_timestamptz": ("timestamptz", "timestamptz '2013-07-01 12:00:00+02:00'",
                      datetime.datetime(2013, 7, 1, 10, 0, tzinfo=datetime.UTC)),
    "a_blob": ("bytea", "X'00ff41'", b"\x00\xffA"),
}


def test_types_written_small_and_large(pair):
    """Each type, inlined into the catalog (few rows) and in Parquet (many), null included."""
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in TYPES.items())
    literals = ", ".join(literal for _, literal, _ in TYPES.values())
    nulls = ", ".join("NULL" for _ in TYPES)
    expected = tuple(value for _, _, value in TYPES.values())
    pair.client.sql(f"CREATE TABLE types_small (id bigint, {columns})")
    pair.client.sql(f"INSERT INTO types_small VALUES (1, {literals}), (2, {nulls})")
    names = ", ".join(TYPES)
    got = pair.read(f"SELECT id, {names} FROM types_small ORDER BY id")
    assert got == [(1, *expected), (2, *[None] * len(TYPES))]

    pair.client.sql(f"CREATE TABLE types_large AS SELECT value AS id, {names} FROM types_small, generate_series(1, 20000) AS s(value) WHERE id = 1")
    assert pair.read("SELECT count(*), min(id), max(id) FROM types_large") == [(20000, 1, 20000)]
    assert pair.read(f"SELECT {names} FROM types_large WHERE id = 777") == [expected]


def test_intervals_and_json_are_texts_that_duckdb_can_cast(pair):
    """Neither Parquet's intervals nor its JSON keep all that PostgreSQL's do, so both are text, and lose nothing."""
    spans = {"1 year 2 mons 3 days 04:05:06.789": (14, 3, 14706789000), "-3 hours": (0, 0, -10800000000),
             "-1 mon 5 days": (-1, 5, 0), "00:00:00.000001": (0, 0, 1)}
    document = '{"b": [1, {"c": null}], "a": "é"}'
    for rows, table in ((1, "spans_small"), (20000, "spans_large")):
        pair.client.sql(f"CREATE TABLE {table} (id bigint, span interval, spelled json, value jsonb)")
        for number, span in enumerate(spans):
            pair.client.sql(f"INSERT INTO {table} SELECT {number}, '{span}'::interval, '{document}', '{document}' FROM generate_series(1, {rows})")
        parts = "datepart('year', s) * 12 + datepart('month', s), datepart('day', s), datepart('hour', s) * 3600000000 + datepart('minute', s) * 60000000 + datepart('microsecond', s)"
        got = pair.read(f"SELECT DISTINCT id, {parts} FROM (SELECT id, span::INTERVAL AS s FROM {table}) ORDER BY id")
        assert [row[1:] for row in got] == list(spans.values())
        assert pair.read(f"SELECT DISTINCT spelled::JSON ->> '$.a', value::JSON ->> '$.b[0]' FROM {table}") == [("é", "1")]
        wanted = f"SELECT count(*) AS n FROM {table} WHERE span > '1 year' AND value @> '{{\"a\": \"é\"}}'"
        assert pair.rows(wanted) == [(rows,)]


def test_arrays_of_json_are_arrays_of_texts_to_duckdb(pair):
    for rows, table in ((1, "documents_small"), (20000, "documents_large")):
        pair.client.sql(f"CREATE TABLE {table} (id bigint, spelled json[], kept jsonb[], deep jsonb[][])")
        pair.client.sql(f"INSERT INTO {table} SELECT value, '{{\"[1,  2]\",NULL}}', '{{\"[1,  2]\",NULL}}', '{{{{1,2}},{{3,4}}}}' FROM generate_series(1, {rows}) AS s(value)")
        assert pair.read(f"SELECT DISTINCT spelled, kept, deep FROM {table}") == [(["[1,  2]", None], ["[1, 2]", None], [["1", "2"], ["3", "4"]])]
        pair.write(f"INSERT INTO {table} VALUES (0, ['{{\"a\": 1}}'], ['{{\"a\": 1}}', 'true'], NULL)")
        assert pair.rows(f"SELECT kept[1] ->> 'a' AS a, to_jsonb(kept)::text AS all_of FROM {table} WHERE id = 0") == [("1", '[{"a": 1}, true]')]
        assert pair.rows(f"SELECT count(*) AS n FROM {table} WHERE kept[1] -> 1 = '2'") == [(rows,)]


def test_duckdb_reads_updates_and_deletes(pair):
    pair.client.sql("CREATE TABLE changed AS SELECT value AS id, 'first' AS word FROM generate_series(1, 30000) AS s(value)")
    assert pair.read("SELECT count(*), count(DISTINCT word) FROM changed") == [(30000, 1)]
    pair.client.sql("DELETE FROM changed WHERE id % 3 = 0")
    pair.client.sql("UPDATE changed SET word = 'second' WHERE id <= 10")
    pair.client.sql("INSERT INTO changed VALUES (50001, 'third'), (50002, 'third')")
    pair.client.sql("UPDATE changed SET word = 'fourth' WHERE id = 50001")
    pair.client.sql("DELETE FROM changed WHERE id = 50002")
    expected = [("first", 19993, 11), ("fourth", 1, 50001), ("second", 7, 1)]
    assert pair.read("SELECT word, count(*), min(id) FROM changed GROUP BY word ORDER BY word") == expected
    assert pair.rows("SELECT word, count(*) AS n, min(id) AS low FROM changed GROUP BY word ORDER BY word") == expected


def test_duckdb_reads_names(pair):
    pair.client.sql("CREATE TABLE before_rename (a bigint, b text)")
    pair.client.sql("INSERT INTO before_rename VALUES (1, 'x')")
    pair.client.sql("ALTER TABLE before_rename RENAME TO after_rename")
    pair.client.sql("ALTER TABLE after_rename RENAME COLUMN b TO c")
    pair.client.sql("ALTER TABLE after_rename ADD COLUMN d bigint")
    pair.client.sql("INSERT INTO after_rename VALUES (2, 'y', 3)")
    assert pair.read("SELECT a, c, d FROM after_rename ORDER BY a") == [(1, "x", None), (2, "y", 3)]
    pair.client.sql("CREATE VIEW seen AS SELECT a, c FROM after_rename WHERE a > 1")
    assert pair.read("SELECT * FROM seen") == [(2, "y")]
    pair.client.sql("DROP VIEW seen")
    pair.client.sql("DROP TABLE after_rename")
    with pytest.raises(duckdb.CatalogException):
        pair.read("SELECT * FROM after_rename")


def test_a_transaction_is_one_snapshot(pair):
    before = pair.read("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0]
    pair.client.sql("""
        BEGIN;
        CREATE TABLE one AS SELECT value AS id FROM generate_series(1, 5) AS s(value);
        CREATE TABLE two (id bigint);
        INSERT INTO two SELECT id * 10 FROM one;
        UPDATE one SET id = id + 100 WHERE id = 5;
        COMMIT""")
    after = pair.read("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')")[0][0]
    assert after == before + 1
    assert pair.read("SELECT (SELECT sum(id) FROM one), (SELECT sum(id) FROM two)") == [(115, 150)]
    with pair.duckdb() as con, pytest.raises(duckdb.CatalogException):
        con.sql(f"SELECT * FROM one AT (VERSION => {before})").fetchall()


def test_polder_reads_what_duckdb_wrote(pair):
    pair.write("CREATE TABLE d_large AS SELECT range AS id, 'row ' || range AS word FROM range(50000)")
    assert pair.rows("SELECT count(*) AS n, sum(id) AS total FROM d_large") == [(50000, 1249975000)]
    pair.write("CREATE TABLE d_small (id bigint, word varchar, moment timestamptz, amount decimal(10,2), price double)",
               "INSERT INTO d_small VALUES (1, 'inlined', '2013-01-01 00:00:00+00', 12.34, 0.5), (2, NULL, NULL, NULL, NULL)")
    assert pair.rows("SELECT id, word, price FROM d_small ORDER BY id") == [(1, "inlined", 0.5), (2, None, None)]
    assert pair.client.value("SELECT CAST(amount AS text) AS amount FROM d_small WHERE id = 1") == "12.34"
    assert pair.client.value("SELECT count(*) AS n FROM d_small WHERE moment = timestamptz '2013-01-01 00:00:00+00'") == 1


def test_polder_reads_deletes_updates_and_renames_of_duckdb(pair):
    pair.write("CREATE TABLE d_changed AS SELECT range AS id, 'first' AS word FROM range(40000)",
               "DELETE FROM d_changed WHERE id % 4 = 0",
               "UPDATE d_changed SET word = 'second' WHERE id < 10",
               "INSERT INTO d_changed VALUES (90001, 'third')",
               "DELETE FROM d_changed WHERE id = 1")
    expected = [("first", 29993), ("second", 6), ("third", 1)]
    assert pair.rows("SELECT word, count(*) AS n FROM d_changed GROUP BY word ORDER BY word") == expected
    pair.write("ALTER TABLE d_changed RENAME TO d_renamed", "ALTER TABLE d_renamed RENAME COLUMN word TO term",
               "ALTER TABLE d_renamed ADD COLUMN note VARCHAR DEFAULT 'none'")
    assert pair.rows("SELECT term, note, count(*) AS n FROM d_renamed GROUP BY term, note ORDER BY term") == [
        (term, "none", n) for term, n in expected]


def test_both_write_one_table(pair):
    pair.client.sql("CREATE TABLE shared_table (who text, n bigint)")
    for n in range(5):
        pair.client.sql(f"INSERT INTO shared_table VALUES ('polder', {n})")
        pair.write(f"INSERT INTO shared_table VALUES ('duckdb', {n})")
    pair.write("INSERT INTO shared_table SELECT 'duckdb', range FROM range(100, 20100)")
    pair.client.sql("INSERT INTO shared_table SELECT 'polder', value FROM generate_series(100, 20099) AS s(value)")
    pair.client.sql("DELETE FROM shared_table WHERE who = 'duckdb' AND n >= 10100")
    pair.write("DELETE FROM shared_table WHERE who = 'polder' AND n >= 15100")
    expected = [("duckdb", 10005), ("polder", 15005)]
    assert pair.rows("SELECT who, count(*) AS n FROM shared_table GROUP BY who ORDER BY who") == expected
    assert pair.read("SELECT who, count(*) AS n FROM shared_table GROUP BY who ORDER BY who") == expected


def test_a_row_that_duckdb_has_updated(pair):
    """A small row that DuckDB updates keeps its id: a transaction that began before must not take the new row for the old one."""
    pair.client.sql("CREATE TABLE updated_twice (key bigint, value bigint)")
    for key in (1, 2, 3):
        pair.client.sql(f"INSERT INTO updated_twice VALUES ({key}, {key})")
    for statement in ("UPDATE updated_twice SET value = 7 WHERE key = 2", "DELETE FROM updated_twice WHERE key = 2"):
        session = str(uuid.uuid4())
        pair.client.sql("BEGIN", session=session)
        pair.client.sql("SELECT * FROM updated_twice", session=session)
        pair.write("UPDATE updated_twice SET value = value + 100 WHERE key = 2")
        pair.client.sql(statement, session=session)
        with pytest.raises(polder.Failed) as refused:
            pair.client.sql("COMMIT", session=session)
        assert refused.value.code == "40001"
    assert pair.read("SELECT value FROM updated_twice ORDER BY key") == [(1,), (202,), (3,)]


def is_refused(con) -> bool:
    """DuckDB hears of a conflict, or that its transaction on SQLite has been overtaken."""
    with pytest.raises(duckdb.Error) as refused:
        con.execute("COMMIT")
    return any(word in str(refused.value).lower() for word in ("conflict", "lock"))


def test_a_row_of_a_file_is_deleted_by_one_of_two(pair):
    """DuckDB's small deletes stand in the catalog, Polder's in a file: the second to commit must hear of the first."""
    pair.client.sql("CREATE TABLE deleted_twice AS SELECT value AS n FROM generate_series(1, 100) AS s(value)")
    with pair.duckdb() as con:
        con.execute("BEGIN")
        con.execute("DELETE FROM deleted_twice WHERE n IN (3, 50)")
        pair.client.sql("DELETE FROM deleted_twice WHERE n IN (3, 4)")
        assert is_refused(con)
    pair.write("DELETE FROM deleted_twice WHERE n IN (50, 60, 70)")
    left = [(n,) for n in range(1, 101) if n not in (3, 4, 50, 60, 70)]
    assert pair.rows("SELECT n FROM deleted_twice ORDER BY n") == left
    assert pair.read("SELECT n FROM deleted_twice ORDER BY n") == left


def test_a_small_delete_is_not_lost_in_a_compaction(pair):
    pair.client.sql("CREATE TABLE moved_away AS SELECT value AS n FROM generate_series(1, 100) AS s(value)")
    pair.client.sql("INSERT INTO moved_away SELECT value FROM generate_series(101, 200) AS s(value)")
    with pair.duckdb() as con:
        con.execute("BEGIN")
        con.execute("DELETE FROM moved_away WHERE n IN (3, 150)")
        assert pair.client.sql("OPTIMIZE moved_away")[0]["files_removed"] == 2
        assert is_refused(con)
    pair.write("DELETE FROM moved_away WHERE n IN (3, 150)")
    left = [(n,) for n in range(1, 201) if n not in (3, 150)]
    assert pair.rows("SELECT n FROM moved_away ORDER BY n") == left
    assert pair.read("SELECT n FROM moved_away ORDER BY n") == left


def test_renamed_tables_after_a_vacuum(pair):
    """DuckDB looks for a table in the version in which its place for small rows was made, even when that has expired."""
    pair.client.sql("CREATE SCHEMA called_before")
    for table in ("swapped_one", "swapped_two", "renamed_before", "called_before.moved"):
        pair.client.sql(f"CREATE TABLE {table} AS SELECT '{table}' AS word")
    pair.client.sql("ALTER TABLE renamed_before ADD COLUMN n bigint")
    pair.client.sql("ALTER TABLE swapped_one SWAP WITH swapped_two")
    pair.client.sql("ALTER TABLE renamed_before RENAME TO renamed_between")
    pair.client.sql("ALTER TABLE renamed_between RENAME TO renamed_after")
    pair.client.sql("ALTER SCHEMA called_before RENAME TO called_after")
    pair.client.sql("VACUUM RETAIN 0 HOURS GRACE 0 MINUTES")
    expected = {"swapped_one": "swapped_two", "swapped_two": "swapped_one", "renamed_after": "renamed_before",
                "called_after.moved": "called_before.moved"}
    for table, word in expected.items():
        assert pair.read(f"SELECT word FROM lake.{table if '.' in table else f'public.{table}'}") == [(word,)]
        assert pair.rows(f"SELECT word FROM {table}") == [(word,)]
    # Both write on, and a second run finds nothing to do.
    for table, word in expected.items():
        pair.write(f"UPDATE {table} SET word = 'of duckdb'", f"INSERT INTO {table} (word) VALUES ('another')")
        pair.client.sql(f"INSERT INTO {table} (word) VALUES ('of polder')")
    pair.client.sql("VACUUM RETAIN 0 HOURS GRACE 0 MINUTES")
    pair.write("CALL ducklake_flush_inlined_data('lake')")
    for table in expected:
        three = [("another",), ("of duckdb",), ("of polder",)]
        assert pair.read(f"SELECT word FROM {table} ORDER BY word") == three
        assert pair.rows(f"SELECT word FROM {table} ORDER BY word") == three
    assert pair.client.sql("CHECK TABLES") == []


def test_a_clone_takes_no_room_and_is_nobodys_but_its_own(pair):
    """Its files are further names of the same bytes; what DuckDB or Polder cleans up of one table is not the other's."""
    pair.client.sql("CREATE TABLE origin AS SELECT value AS n, md5(value::text) AS word FROM generate_series(1, 50000) AS s(value)")
    pair.client.sql("DELETE FROM origin WHERE n % 10 = 0")
    pair.client.sql("CREATE TABLE twin CLONE origin")

    def bytes_of(table):
        return {path.stat().st_ino: path.stat().st_size for path in pair.server.data.rglob("*.parquet") if f"/{table}-" in str(path)}

    # A delete file names the file whose rows it deletes, so the twin has one of its own.
    both = bytes_of("origin").keys() & bytes_of("twin").keys()
    held, own = sum(bytes_of("twin").values()), sum(size for file, size in bytes_of("twin").items() if file not in both)
    assert held > 1_000_000 and own < held / 20, f"{own} of {held} bytes are copied"
    sums = "SELECT count(*) AS n, sum(n) AS total, count(DISTINCT word) AS words FROM {}"
    whole = (45000, 50000 * 50001 // 2 - 10 * 5000 * 5001 // 2, 45000)
    pair.client.sql("UPDATE twin SET word = 'changed' WHERE n <= 5")
    pair.write("DELETE FROM twin WHERE n > 49990")
    assert pair.rows(sums.format("origin")) == pair.read(sums.format("origin")) == [whole]
    changed = (whole[0] - 9, whole[1] - sum(range(49991, 50000)), whole[2] - 9 - 4)
    assert pair.rows(sums.format("twin")) == pair.read(sums.format("twin")) == [changed]
    pair.client.sql("DROP TABLE origin")
    pair.client.sql("VACUUM RETAIN 0 HOURS GRACE 0 MINUTES")
    pair.write("CALL ducklake_expire_snapshots('lake', older_than => now())", "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
    assert not bytes_of("origin")
    assert pair.rows(sums.format("twin")) == pair.read(sums.format("twin")) == [changed]
    assert pair.client.sql("CHECK TABLES") == []
    pair.client.sql("DROP TABLE twin")


def test_no_number_is_wider_than_duckdb_has_any(pair):
    """One such column, and DuckDB would read no table of the lake."""
    with pytest.raises(polder.Failed) as refused:
        pair.client.sql("CREATE TABLE wide_number (n numeric(50, 2))")
    assert refused.value.code == "0A000"
    pair.client.sql("CREATE TABLE wide_number AS SELECT 1::numeric(40, 0) AS n")
    assert pair.read("SELECT n FROM wide_number") == [(1,)]
    pair.client.sql("CREATE TABLE wide_sum AS SELECT sum(v) AS n, sum(v * v) AS m FROM (VALUES (12.5::numeric(38, 2)), (0.25)) AS s(v)")
    assert pair.read("SELECT n FROM wide_sum") == [(decimal.Decimal("12.75"),)]
    for nested in ("ARRAY[1::numeric(42, 0)]", "ROW(1::numeric(42, 0))", "1::numeric(50, 45)"):
        with pytest.raises(polder.Failed) as refused:
            pair.client.sql(f"CREATE TABLE wide_within AS SELECT {nested} AS n")
        assert refused.value.code == "0A000"
    assert pair.read("SELECT n FROM wide_number") == [(1,)]


def test_functions_of_arrays_leave_the_lake_readable(pair):
    pair.client.sql("CREATE TABLE beside AS SELECT 1 AS n")
    pair.client.sql("CREATE FUNCTION first_of(a int[], t text[]) RETURNS int RETURN a[1]")
    pair.client.sql("CREATE FUNCTION of_wide(n numeric(50, 2), i interval, j jsonb, u uuid, z timestamptz, b bytea) RETURNS int RETURN 7")
    assert pair.client.value("SELECT first_of(ARRAY[3, 4], ARRAY['x'])") == 3
    assert pair.read("SELECT n FROM beside") == [(1,)]
    assert pair.read("SELECT first_of([3, 4], ['x'])") == [(3,)]




def test_types_that_only_duckdb_writes(pair):
    """Maps are JSON by PostgreSQL's protocol. Rows with DuckDB's intervals are read, but not written; other tables are compacted."""
    pair.write("CREATE TABLE only_duckdb AS SELECT 1 AS n, MAP {'a': 1, 'b': NULL} AS m, MAP {7: 'x'} AS k, MAP {'a': 'NaN'::DOUBLE} AS f, INTERVAL 90 MINUTE AS took",
               "CREATE TABLE of_both (n bigint)")
    for n in range(3):
        pair.client.sql(f"INSERT INTO of_both SELECT value FROM generate_series({n * 100}, {n * 100 + 50}) AS s(value)")
    with psycopg.connect(**address(pair.server), autocommit=True) as connection:
        assert connection.execute("SELECT m, k, f FROM only_duckdb").fetchone() == ('{"a":1,"b":null}', '{"7":"x"}', '{"a":"NaN"}')
        assert connection.execute("SELECT took FROM only_duckdb").fetchone() == (datetime.timedelta(minutes=90),)
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="took"):
            connection.execute("UPDATE only_duckdb SET n = 2")
    compacted = {row["table_name"] for row in pair.client.sql("OPTIMIZE")}
    assert "public.of_both" in compacted and "public.only_duckdb" not in compacted
    assert pair.read("SELECT n FROM only_duckdb") == [(1,)]
