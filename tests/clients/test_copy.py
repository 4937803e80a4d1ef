"""COPY in both directions: columns and defaults as PostgreSQL has them, errors by their SQLSTATE, nothing left of what fails."""

import gzip
import json
import shutil

import duckdb
import pytest

import polder


def refused(client, sql: str) -> polder.Failed:
    with pytest.raises(polder.Failed) as error:
        client.sql(sql)
    return error.value


def rows(client, sql: str) -> list[tuple]:
    return [tuple(row.values()) for row in client.sql(sql)]


def test_missing_values_have_a_folder_of_their_own(server, tmp_path):
    """What is missing is neither zero nor 1970, nor the row before; other engines read the folders back."""
    client = server.client()
    client.sql("CREATE TABLE parted (i INT, t TEXT, d DATE, b BOOLEAN, f DOUBLE PRECISION, v INT)")
    client.sql("INSERT INTO parted VALUES (1, 'x', '2024-02-29', true, 1.5, 1), (NULL, NULL, NULL, NULL, NULL, 2),"
               " (0, '', '1970-01-01', false, 0, 3), (NULL, 'y z', NULL, true, 2, 4)")
    for column in ("i", "t", "d", "b", "f"):
        place = tmp_path / column
        client.sql(f"COPY (SELECT {column}, v FROM parted) TO '{place}' (FORMAT parquet, PARTITION_BY ({column}))")
        missing = {path.parent.name for path in place.rglob("*.parquet") if "__HIVE" in str(path)}
        assert missing == {f"{column}=__HIVE_DEFAULT_PARTITION__"}, list(place.rglob("*"))
        known = client.sql(f"SELECT v, {column} IS NULL AS gone FROM parted ORDER BY v")
        read = duckdb.sql(f"SELECT v, {column} IS NULL FROM read_parquet('{place}/**/*.parquet', hive_partitioning = true)"
                          " ORDER BY v").fetchall()
        # Whether a folder `t=` is the empty text, readers do not agree upon.
        agreed = [1, 2, 4] if column == "t" else [1, 2, 3, 4]
        assert [pair for pair in read if pair[0] in agreed] == \
            [(row["v"], row["gone"]) for row in known if row["v"] in agreed]
        assert not list(tmp_path.glob(".copy-*"))
        # Into a table that is there, and into one that is made.
        client.sql(f"CREATE TABLE back_{column} AS SELECT {column}, v FROM parted WHERE v < 0")
        for table in (f"back_{column}", f"made_{column}"):
            client.sql(f"COPY {table} FROM '{place}' (FORMAT parquet)")
            assert rows(client, f"SELECT {column}::text AS t, v FROM {table} ORDER BY v") == \
                rows(client, f"SELECT {column}::text AS t, v FROM parted ORDER BY v"), table
    assert {path.name for path in (tmp_path / "i").iterdir()} == {"i=0", "i=1", "i=__HIVE_DEFAULT_PARTITION__"}
    assert "d=2024-02-29" in {path.name for path in (tmp_path / "d").iterdir()}
    wrong = refused(client, f"COPY parted TO '{tmp_path}/none' (FORMAT parquet, PARTITION_BY (nowhere))")
    assert wrong.code == "42703"


def test_floats_that_are_no_numbers_come_back(server, tmp_path):
    """As PostgreSQL's to_json has them: they are neither missing nor lost, whatever takes the file."""
    client = server.client()
    client.sql("CREATE TABLE odd_floats (n int, a float8, b float4, l float8[])")
    client.sql("INSERT INTO odd_floats VALUES (1, 'NaN', '-Infinity', ARRAY['Infinity'::float8, 1.5]), (2, 0.5, 'NaN', NULL), (3, NULL, 1, '{}')")
    path = tmp_path / "odd.json"
    client.sql(f"COPY (SELECT * FROM odd_floats ORDER BY n) TO '{path}' (FORMAT json)")
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"n": 1, "a": "NaN", "b": "-Infinity", "l": ["Infinity", 1.5]}, {"n": 2, "a": 0.5, "b": "NaN", "l": None},
        {"n": 3, "a": None, "b": 1.0, "l": []}]
    look = "SELECT n, a::text AS a, b::text AS b, l::text AS l FROM {} ORDER BY n"
    client.sql("CREATE TABLE floats_back (n int, a float8, b float4, l float8[])")
    client.sql(f"COPY floats_back FROM '{path}' (FORMAT json)")
    assert server.cli("load", path, "--into", "floats_made").returncode == 0
    for table in ("floats_back", "floats_made"):
        assert rows(client, look.format(table)) == rows(client, look.format("odd_floats")), table


def test_what_fails_leaves_nothing(server, tmp_path):
    client = server.client()
    client.sql("CREATE TABLE divided (a INT)")
    client.sql("INSERT INTO divided VALUES (1), (0)")
    kept = tmp_path / "kept.csv"
    kept.write_text("old\n")
    for place, options in (("new.csv", "FORMAT csv"), ("kept.csv", "FORMAT csv"), ("new.parquet", "FORMAT parquet"),
                           ("new.json", "FORMAT json"), ("folder", "FORMAT parquet, PARTITION_BY (a)")):
        error = refused(client, f"COPY (SELECT a, 1 / a AS x FROM divided) TO '{tmp_path}/{place}' ({options})")
        assert error.code == "22012"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.csv"]
    assert kept.read_text() == "old\n"
    client.sql(f"COPY (SELECT 7 AS a) TO '{kept}' (FORMAT csv)")
    assert kept.read_text() == "a\n7\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.csv"]
    for options in ("FORMAT parquet", "FORMAT csv, PARTITION_BY (a)"):
        client.sql(f"COPY (SELECT a, 2 AS b FROM divided) TO '{tmp_path}/many' ({options})")
        before = sorted((tmp_path / "many").rglob("*"))
        # Whoever reads the folder would have all rows twice.
        again = refused(client, f"COPY (SELECT a, 2 AS b FROM divided) TO '{tmp_path}/many' ({options})")
        assert again.code == "58P02" and "not empty" in again.message, vars(again)
        assert before and sorted((tmp_path / "many").rglob("*")) == before
        shutil.rmtree(tmp_path / "many")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.csv"]


def test_cells_come_back_as_what_they_were(server, tmp_path):
    """The empty text, a missing value, and texts that look like one or like several cells are told apart."""
    client = server.client()
    client.sql('CREATE TABLE cells (id INT, "a;b" TEXT, d DATE)')
    client.sql("INSERT INTO cells VALUES (1, '', '2024-02-29'), (2, NULL, NULL), (3, E'two\nlines', NULL), (4, 'say \"x\"; y', NULL),"
               " (5, '\\N', NULL), (6, '-', NULL), (7, 'NULL', NULL)")
    wanted = rows(client, "SELECT * FROM cells ORDER BY id")
    for number, options in enumerate(["", ", NULL '-'", ", NULL '\\N'", ", DELIMITER ';'", ", DELIMITER '-'", ", HEADER false"]):
        path = tmp_path / f"{number}.csv"
        client.sql(f"COPY (SELECT * FROM cells ORDER BY id) TO '{path}' (FORMAT csv{options})")
        client.sql(f"CREATE TABLE back{number} AS SELECT * FROM cells WHERE false")
        missing = "" if "NULL" in options else ", NULL ''"
        header = "" if "HEADER" in options else ", HEADER"
        client.sql(f"COPY back{number} FROM '{path}' (FORMAT csv{options}{missing}{header})")
        assert rows(client, f"SELECT * FROM back{number} ORDER BY id") == wanted, (options, path.read_text())
    lines = (tmp_path / "0.csv").read_text().splitlines()
    assert lines[:3] == ["id,a;b,d", '1,"",2024-02-29', "2,,"]


def test_columns_of_one_name(server, tmp_path):
    """CSV has them as they are, in its header too; other formats cannot."""
    client = server.client()
    client.sql("CREATE TABLE named (a INT, \"x;y\" TEXT)")
    client.sql("INSERT INTO named VALUES (2, 'p'), (1, 'q')")
    for query, options, wanted in (
            ("SELECT 1, 2", "", ["?column?,?column?", "1,2"]),
            ('SELECT a, "x;y", "x;y", a FROM named ORDER BY a', ", DELIMITER ';'", ['a;"x;y";"x;y";a', "1;q;q;1", "2;p;p;2"]),
            ("SELECT 10 - a AS a, a FROM named AS n ORDER BY n.a", "", ["a,a", "9,1", "8,2"]),
            ("SELECT 10 - n.a AS a FROM named AS n ORDER BY n.a", "", ["a", "9", "8"])):
        client.sql(f"COPY ({query}) TO '{tmp_path}/n.csv' (FORMAT csv{options})")
        assert (tmp_path / "n.csv").read_text().splitlines() == wanted, query
    for format in ("json", "parquet", "arrow"):
        error = refused(client, f"COPY (SELECT 1, 2) TO '{tmp_path}/n.{format}' (FORMAT {format})")
        assert error.code == "42701" and '"?column?"' in error.message and format in error.message, vars(error)
        assert not (tmp_path / f"n.{format}").exists()
    client.sql(f"COPY (SELECT 10 - n.a AS a FROM named AS n ORDER BY n.a) TO '{tmp_path}/n.json' (FORMAT json)")
    assert (tmp_path / "n.json").read_text() == '{"a":9}\n{"a":8}\n'
    for analyze in ("", "ANALYZE "):
        assert refused(client, f"EXPLAIN {analyze}COPY named TO '{tmp_path}/none.csv'").code == "42601"
    assert not (tmp_path / "none.csv").exists()


def test_missing_values_in_json_come_back_as_missing(server, tmp_path):
    """Not as what a column has by default; within objects and lists too."""
    client = server.client()
    client.sql("CREATE TABLE holed (id INT, city TEXT DEFAULT 'Delft', n INT DEFAULT 7, l INT[])")
    client.sql("INSERT INTO holed VALUES (1, NULL, NULL, NULL), (2, 'Gouda', 3, ARRAY[1, NULL])")
    client.sql(f"COPY (SELECT * FROM holed ORDER BY id) TO '{tmp_path}/h.json' (FORMAT json)")
    assert [json.loads(line) for line in (tmp_path / "h.json").read_text().splitlines()] == [
        {"id": 1, "city": None, "n": None, "l": None}, {"id": 2, "city": "Gouda", "n": 3, "l": [1, None]}]
    wanted = client.sql("SELECT * FROM holed ORDER BY id")
    client.sql(f"TRUNCATE holed; COPY holed FROM '{tmp_path}/h.json' (FORMAT json)")
    assert client.sql("SELECT * FROM holed ORDER BY id") == wanted
    client.sql(f"COPY (SELECT id, n FROM holed) TO '{tmp_path}/parts' (FORMAT json, PARTITION_BY (id))")
    assert sorted(path.read_text() for path in (tmp_path / "parts").rglob("*.json")) == ['{"n":3}\n', '{"n":null}\n']
    client.sql(f"COPY (SELECT id, n FROM holed ORDER BY id) TO '{tmp_path}/h.json.gz' (FORMAT json, COMPRESSION gzip)")
    assert gzip.decompress((tmp_path / "h.json.gz").read_bytes()) == b'{"id":1,"n":null}\n{"id":2,"n":3}\n'


def test_values_that_a_format_has_no_type_for(server, tmp_path):
    client = server.client()
    query = ("SELECT 1 AS n, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS u, '\\x00ff'::bytea AS b,"
             " INTERVAL '1 day 2 hours' AS i, ARRAY[1, 2] AS l")
    client.sql(f"COPY ({query}) TO '{tmp_path}/all.csv' (FORMAT csv)")
    assert (tmp_path / "all.csv").read_text().splitlines()[1] == \
        '1,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,\\x00ff,1 day 02:00:00,"{1,2}"'
    client.sql(f"COPY ({query}) TO '{tmp_path}/all.json' (FORMAT json)")
    assert json.loads((tmp_path / "all.json").read_text()) == {
        "n": 1, "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "b": "\\x00ff", "i": "1 day 02:00:00", "l": [1, 2]}
    client.sql(f"COPY ({query}) TO '{tmp_path}/all.parquet' (FORMAT parquet)")
    assert duckdb.sql(f"SELECT u, i, l FROM '{tmp_path}/all.parquet'").fetchone() == \
        ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "1 day 02:00:00", [1, 2])


def test_bytes_uuids_and_decimals_are_read(server, tmp_path):
    """As PostgreSQL reads them: bytes in both of their forms, UUIDs in any spelling, decimals rounded half away from zero."""
    client = server.client()
    client.sql("CREATE TABLE odd (id INT, u UUID, b BYTEA, n NUMERIC(5,2), w NUMERIC(3,0))")
    lines = [(1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\\x00fF", "1.239", "9.5"),
             (2, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", "a\\\\b\\000", "-1.235", "-.5"),
             (3, "a0eebc999c0b4ef8bb6d6bb9bd380a11", "", ".005", "0.49")]
    shown = "SELECT id, u::text AS u, b::text AS b, n::text AS n, w::text AS w FROM odd ORDER BY id"
    uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    wanted = [(1, uuid, "\\x00ff", "1.24", "10"), (2, uuid, "\\x615c6200", "-1.24", "-1"), (3, uuid, "\\x", "0.01", "0")]
    (tmp_path / "o.csv").write_text("id,u,b,n,w\n" + "".join(f'{n},{u},"{b}",{d},{w}\n' for n, u, b, d, w in lines) + "4,,,,\n")
    client.sql(f"COPY odd FROM '{tmp_path}/o.csv' (FORMAT csv, HEADER)")
    assert rows(client, shown) == [*wanted, (4, None, None, None, None)]
    for format in ("csv", "json", "parquet"):
        header = ", HEADER" if format == "csv" else ""
        client.sql(f"COPY (SELECT * FROM odd ORDER BY id) TO '{tmp_path}/back.{format}' (FORMAT {format})")
        client.sql("CREATE TABLE odd_back AS SELECT * FROM odd WHERE false")
        client.sql(f"COPY odd_back FROM '{tmp_path}/back.{format}' (FORMAT {format}{header})")
        assert rows(client, shown.replace("odd", "odd_back")) == rows(client, shown), format
        client.sql("DROP TABLE odd_back; TRUNCATE odd")
        documents = [dict(zip(("id", "u", "b", "n", "w"), line)) for line in lines]
        documents[0]["n"] = 1.239
        (tmp_path / "o.json").write_text("".join(json.dumps(document) + "\n" for document in documents))
        client.sql(f"COPY odd FROM '{tmp_path}/o.json' (FORMAT json)")
        assert rows(client, shown) == wanted
    for u, b, n, code in (("a0eebc99", "", "1", "22P02"), (uuid, "\\x0", "1", "22P02"), (uuid, "a\\9", "1", "22P02"),
                          (uuid, "", "999.995", "22P02"), (uuid, "", "1.2.3", "22P02")):
        (tmp_path / "bad.json").write_text(json.dumps({"id": 9, "u": u, "b": b, "n": n}) + "\n")
        assert refused(client, f"COPY odd FROM '{tmp_path}/bad.json' (FORMAT json)").code == code, (u, b, n)
    assert rows(client, "SELECT count(*) FROM odd") == [(3,)]


def test_times_without_a_zone_are_the_sessions(server, tmp_path):
    """Skipped and doubled hours as PostgreSQL takes them; a zone in the file counts for itself; `polder load` has no session."""
    client = server.client()
    client.sql("CREATE TABLE placed (id INT, at TIMESTAMPTZ, shown TIMESTAMP)")
    texts = ["2024-07-01 12:00:00", "2024-07-01T12:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-07-01",
             "2024-07-01 12:00:00Z", "2024-07-01 12:00:00+05:30"]
    times = [text[:19] for text in texts]
    lines = [f"{n},{at},{shown}\n" for n, (at, shown) in enumerate(zip(texts, times))]
    (tmp_path / "t.csv").write_text("id,at,shown\n" + "".join(lines))
    (tmp_path / "t.json").write_text("".join(json.dumps({"id": n, "at": at, "shown": shown}) + "\n"
                                             for n, (at, shown) in enumerate(zip(texts, times))))
    values = ", ".join(f"({n}, '{at}', TIMESTAMP '2024-07-01 12:00:00')" for n, at in enumerate(texts))
    duckdb.sql(f"COPY (SELECT * FROM (VALUES {values}) AS t(id, \"at\", shown)) TO '{tmp_path}/texts.parquet'")
    utc = "SELECT id, (at AT TIME ZONE 'UTC')::text AS at, shown::text AS shown FROM placed ORDER BY id"
    wanted = ["2024-07-01 10:00:00", "2024-07-01 10:00:00", "2024-03-31 01:30:00", "2024-10-27 01:30:00", "2024-06-30 22:00:00",
              "2024-07-01 12:00:00", "2024-07-01 06:30:00"]
    for name in ("t.csv", "t.json", "texts.parquet"):
        header = ", HEADER" if name.endswith("csv") else ""
        format = name.rpartition(".")[2]
        found = client.sql(f"SET timezone = 'Europe/Paris'; COPY placed FROM '{tmp_path}/{name}' (FORMAT {format}{header}); {utc}")
        assert [row["at"] for row in found] == wanted, name
        assert {row["shown"] for row in found if row["id"] in (0, 1, 5, 6)} == {"2024-07-01 12:00:00"}, name
        client.sql("TRUNCATE placed")
    duckdb.sql(f"COPY (SELECT 0 AS id, TIMESTAMP '2024-07-01 12:00:00' AS at, DATE '2024-07-01' AS shown) TO '{tmp_path}/typed.parquet'")
    for zone, at in (("Europe/Paris", "2024-07-01 10:00:00"), ("+02", "2024-07-01 10:00:00"), ("UTC", "2024-07-01 12:00:00")):
        found = client.sql(f"SET timezone = '{zone}'; COPY placed FROM '{tmp_path}/typed.parquet' (FORMAT parquet); {utc}")
        assert found == [{"id": 0, "at": at, "shown": "2024-07-01 00:00:00"}], zone
        client.sql("TRUNCATE placed")
    server.load(tmp_path / "t.csv", "--into", "placed", "--append", "--again")
    assert client.sql(utc)[0]["at"] == "2024-07-01 12:00:00"


def test_names_in_quotes(server, tmp_path):
    client = server.client()
    (tmp_path / "q.csv").write_text("a\n1\n")
    client.sql('CREATE SCHEMA "Sq"')
    for name in ('"Sq".t', '"MiX"', '"dot.ted"'):
        client.sql(f"CREATE TABLE {name} (a INT)")
        client.sql(f"COPY {name} FROM '{tmp_path}/q.csv' (FORMAT csv, HEADER)")
        assert rows(client, f"SELECT a FROM {name}") == [(1,)]


def test_where_is_refused(server, tmp_path):
    client = server.client()
    (tmp_path / "w.csv").write_text("a\n1\n2\n")
    client.sql("CREATE TABLE wanted (a INT)")
    error = refused(client, f"COPY wanted FROM '{tmp_path}/w.csv' (FORMAT csv, HEADER) WHERE a > 1")
    assert error.code == "0A000" and "WHERE" in error.message and "INSERT" in error.hint
    assert refused(client, f"COPY wanted FROM '{tmp_path}/w.csv' and more").code == "42601"
    assert rows(client, "SELECT count(*) FROM wanted") == [(0,)]


def test_older_spellings(server, tmp_path):
    """Options in no brackets, as PostgreSQL had them before 9.0 and still takes them, mean what they mean in the list."""
    client = server.client()
    client.sql("CREATE TABLE older (a INT, b TEXT, c TEXT)")
    client.sql("INSERT INTO older VALUES (1, 'x;y', NULL), (2, '', 'z')")
    wanted = rows(client, "SELECT * FROM older ORDER BY a")
    for number, (old, new) in enumerate([("CSV HEADER", "(FORMAT csv, HEADER)"), ("WITH CSV HEADER", "(FORMAT csv, HEADER)"),
                                         ("WITH DELIMITER AS ';' NULL '-' CSV HEADER", "(DELIMITER ';', NULL '-', FORMAT csv, HEADER)"),
                                         ("CSV HEADER QUOTE AS '~'", "(FORMAT csv, HEADER, QUOTE '~')"),
                                         ("CSV HEADER QUOTE ''''", "(FORMAT csv, HEADER, QUOTE '''')"),
                                         ("CSV HEADER NULL AS E'\\\\N'", "(FORMAT csv, HEADER, NULL '\\N')")]):
        one, other = (tmp_path / f"{number}{kind}.csv" for kind in "on")
        for path, options in ((one, old), (other, new)):
            client.sql(f"COPY (SELECT * FROM older ORDER BY a) TO '{path}' {options}")
        assert one.read_text() == other.read_text(), old
        missing = old if "NULL" in old else f"{old} NULL AS ''"
        client.sql(f"CREATE TABLE older{number} AS SELECT * FROM older WHERE false")
        client.sql(f"COPY older{number} (a, b, c) FROM '{one}' {missing}")
        assert rows(client, f"SELECT * FROM older{number} ORDER BY a") == wanted, old
    assert refused(client, f"COPY older FROM '{tmp_path}/0o.csv' CSV HEADER WHERE a > 1").code == "0A000"
    assert refused(client, f"COPY older FROM '{tmp_path}/0o.csv' CSV NOSUCH").code == "42601"
    assert refused(client, f"COPY older TO '{tmp_path}/x.csv' CSV FORCE QUOTE a, b").code == "0A000"


def test_list_of_columns(server, tmp_path):
    client = server.client()
    client.sql("CREATE TABLE listed (id INT, \"Full Name\" TEXT, city TEXT DEFAULT 'Delft', twice INT GENERATED ALWAYS AS (id * 2) STORED)")
    path = tmp_path / "l.csv"
    path.write_text("Ann,1\nBob,2\n")
    client.sql(f"COPY listed (\"Full Name\", id) FROM '{path}' (FORMAT csv, HEADER false)")
    assert rows(client, "SELECT * FROM listed ORDER BY id") == [(1, "Ann", "Delft", 2), (2, "Bob", "Delft", 4)]
    path.write_text("Full Name,id\nCid,3\n")
    client.sql(f"COPY listed (id, \"Full Name\") FROM '{path}' (FORMAT csv, HEADER)")
    assert rows(client, "SELECT * FROM listed WHERE id = 3") == [(3, "Cid", "Delft", 6)]
    # Without a list, all columns that are not generated, in their order.
    path.write_text("4,Dan,Gouda\n")
    client.sql(f"COPY listed FROM '{path}' (FORMAT csv, HEADER false)")
    assert rows(client, "SELECT * FROM listed WHERE id = 4") == [(4, "Dan", "Gouda", 8)]
    for columns, code in (("id", "22P04"), ("id, city", "22P04"), ("id, nowhere", "42703"), ("id, id", "42701"),
                          ("id, twice", "42P10"), ("id, city, \"Full Name\"", None)):
        sql = f"COPY listed ({columns}) FROM '{path}' (FORMAT csv, HEADER false)"
        if code is None:
            client.sql(sql)
        else:
            assert refused(client, sql).code == code, columns
    path.write_text("id,city\n5,Gouda\n")
    assert refused(client, f"COPY listed (id) FROM '{path}' (FORMAT csv, HEADER)").code == "42703"
    assert refused(client, f"COPY listed (id, city, \"Full Name\") FROM '{path}' (FORMAT csv, HEADER)").code == "22P04"
    assert refused(client, f"COPY not_there (a) FROM '{path}' (FORMAT csv, HEADER)").code == "42P01"


def test_defaults(server, tmp_path):
    """A column that the file lacks gets its default; a generated one takes no value."""
    client = server.client()
    client.sql("""CREATE TABLE filled (id SERIAL, always INT GENERATED ALWAYS AS IDENTITY (START WITH 10 INCREMENT BY 5),
                  name TEXT, city VARCHAR(10) DEFAULT 'Delft', n NUMERIC(6,2) DEFAULT 1.5, d DATE DEFAULT CURRENT_DATE,
                  at TIMESTAMPTZ DEFAULT now(), r DOUBLE PRECISION DEFAULT random(), nothing INT,
                  needed INT NOT NULL DEFAULT 3, up TEXT GENERATED ALWAYS AS (upper(name)) STORED)""")
    path = tmp_path / "d.csv"
    path.write_text("name\nann\nbob\ncid\n")
    client.sql(f"COPY filled FROM '{path}' (FORMAT csv, HEADER)")
    assert rows(client, "SELECT id, always, name, city, n::text, nothing, needed, up FROM filled ORDER BY id") == [
        (1, 10, "ann", "Delft", "1.50", None, 3, "ANN"), (2, 15, "bob", "Delft", "1.50", None, 3, "BOB"),
        (3, 20, "cid", "Delft", "1.50", None, 3, "CID")]
    found = rows(client, "SELECT count(DISTINCT at) AS a, count(DISTINCT r) AS b, count(d) AS c, max(at) > now() - INTERVAL '1 hour' AS d FROM filled")
    assert found == [(1, 3, 3, True)]
    client.sql("INSERT INTO filled (name) VALUES ('dan')")
    assert rows(client, "SELECT id, always FROM filled WHERE name = 'dan'") == [(4, 25)]
    server.load(path, "--into", "filled", "--append", "--again")
    assert rows(client, "SELECT id, always, city, needed FROM filled WHERE id > 4 ORDER BY id") == [
        (5, 30, "Delft", 3), (6, 35, "Delft", 3), (7, 40, "Delft", 3)]
    # As in PostgreSQL, COPY takes the values of an identity that always counts; what is missing in the file stays so.
    path.write_text("always,name,city\n100,eve,\n")
    client.sql(f"COPY filled FROM '{path}' (FORMAT csv, HEADER)")
    assert rows(client, "SELECT id, always, city FROM filled WHERE name = 'eve'") == [(8, 100, None)]
    path.write_text("name,up\nfay,FAY\n")
    error = refused(client, f"COPY filled FROM '{path}' (FORMAT csv, HEADER)")
    assert error.code == "428C9" and "up" in error.message
    client.sql(f"COPY (SELECT 'gus' AS name) TO '{tmp_path}/g.parquet' (FORMAT parquet)")
    client.sql(f"COPY filled FROM '{tmp_path}/g.parquet'")
    client.sql(f"COPY (SELECT 'hal' AS name) TO '{tmp_path}/h.json' (FORMAT json)")
    client.sql(f"COPY filled FROM '{tmp_path}/h.json'")
    assert rows(client, "SELECT id, city, needed, d = CURRENT_DATE FROM filled WHERE name IN ('gus', 'hal') ORDER BY id") == [
        (9, "Delft", 3, True), (10, "Delft", 3, True)]


def test_many_rows_count_in_the_order_of_the_file(server, tmp_path):
    client = server.client()
    client.sql("CREATE TABLE counted (id BIGINT GENERATED BY DEFAULT AS IDENTITY, line BIGINT, pad TEXT)")
    path = tmp_path / "many.csv"
    path.write_text("line,pad\n" + "".join(f"{line},{'x' * 60}\n" for line in range(1, 150_001)))
    client.sql(f"COPY counted FROM '{path}' (FORMAT csv, HEADER)")
    assert rows(client, "SELECT count(*) AS a, count(*) FILTER (WHERE id <> line) AS b FROM counted") == [(150_000, 0)]


def test_rules_have_their_codes(server, tmp_path):
    client = server.client()
    client.sql("CREATE TABLE ruled (id INT PRIMARY KEY, n INT CHECK (n > 0), t VARCHAR(3), must INT NOT NULL)")
    client.sql("INSERT INTO ruled VALUES (1, 1, 'a', 1)")
    path = tmp_path / "r.csv"
    for content, code in (("id,n,t,must\n1,1,a,1\n", "23505"), ("id,n,t,must\n2,0,a,1\n", "23514"),
                          ("id,n,t,must\n2,1,abcd,1\n", "22001"), ("id,n,t,must\n2,1,a,\n", "23502"),
                          ("id,n,t\n2,1,a\n", "23502"), ("id,n,t,must\n2,x,a,1\n", "22P02"),
                          ("id,n,t,must\n2,1,a,1\n3,1,a\n", "22P04"), ("id,other\n2,1\n", "42703")):
        path.write_text(content)
        assert refused(client, f"COPY ruled FROM '{path}' (FORMAT csv, HEADER)").code == code, content
    assert rows(client, "SELECT * FROM ruled") == [(1, 1, "a", 1)]


def test_empty_cells(server, tmp_path):
    """An empty cell in quotes is the empty text; one without is missing, unless NULL names another word."""
    client = server.client()
    client.sql("CREATE TABLE empty (a INT, b TEXT)")
    path = tmp_path / "e.csv"
    path.write_text('a,b\n1,""\n2,\n3,\\N\n4,"\\N"\n')
    client.sql(f"COPY empty FROM '{path}' (FORMAT csv, HEADER)")
    assert rows(client, "SELECT a, b FROM empty ORDER BY a") == [(1, ""), (2, None), (3, "\\N"), (4, "\\N")]
    client.sql("TRUNCATE empty")
    client.sql(f"COPY empty FROM '{path}' (FORMAT csv, HEADER, NULL '\\N')")
    assert rows(client, "SELECT a, b FROM empty ORDER BY a") == [(1, ""), (2, ""), (3, None), (4, "\\N")]
    client.sql("TRUNCATE empty")
    client.sql(f"COPY empty FROM '{path}' (FORMAT csv, HEADER, NULL '')")
    assert rows(client, "SELECT a, b FROM empty ORDER BY a") == [(1, ""), (2, None), (3, "\\N"), (4, "\\N")]
