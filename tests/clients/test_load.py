"""Files of many kinds into tables, by one command each; every row is accounted for."""

import bz2
import contextlib
import csv
import gzip
import http.server
import io
import json
import pathlib
import random
import shutil
import ssl
import threading
import zipfile

import duckdb
import psycopg
import pytest

import polder
from test_postgres_psycopg import address
from test_postgres_tls import AUTHORITY, SERVER, certify


# Rows of each file, counted independently of Polder.
SHARED = {
    "flights/flights.csv.zip": 336_776,
    "flights/airports.csv": 1_458,
    "flights/planes.csv": 3_322,
    "flights/weather.csv": 26_115,
    "messy/artist_data.csv": 3_532,
    "messy/doaj-article-sample.csv": 1_001,
    "messy/hospital.csv": 1_000,
    "messy/hospital_clean.csv": 19_000,
    "logs/apache_logs": 10_000,
    "retail/online_retail.parquet": 525_461,
    "retail/CDNOW_master.txt": 69_659,
    "web/ecom_events.csv.gz": 31_106,
    "taxi/taxi.parquet": 50_000,
}


@pytest.mark.parametrize("name", SHARED)
def test_shared_data(server, client, shared, name):
    """One command without options; every row is loaded, and none rejected."""
    path = shared / name
    if not path.exists():
        pytest.skip(f"there is no {path}")
    report = server.load(path)
    assert len(report["tables"]) == 1, report
    table = report["tables"][0]
    print(f"{name}: {table['rows_loaded']} loaded, {table['rows_rejected']} rejected, {report['elapsed_ms']} ms")
    assert (table["rows_loaded"], table["rows_rejected"]) == (SHARED[name], 0), table
    assert client.value(f"SELECT count(*) AS n FROM {table['table']}") == SHARED[name]


def test_shared_types(server, client, shared):
    """Types and nulls as a careful person would choose them."""
    if not client.value("SELECT count(*) AS n FROM polder.tables WHERE table_name = 'airports'"):
        server.load(shared / "flights/airports.csv")
    kinds = {row["column_name"]: row["data_type"].lower() for row in client.sql(
        "SELECT column_name, data_type FROM polder.columns WHERE table_name = 'airports'")}
    assert kinds["faa"] in ("text", "varchar")
    assert kinds["lat"] in ("double", "double precision")
    assert kinds["alt"] == "bigint"
    # In a column of text `NA` may be a word; elsewhere it is a missing value.
    assert client.value("SELECT count(*) AS n FROM airports WHERE tzone = 'NA'") == 3
    assert client.value("SELECT count(*) AS n FROM airports WHERE alt IS NULL") == 0


def rows_of(report: dict) -> tuple:
    return (sum(table["rows_loaded"] for table in report["tables"]), sum(table["rows_rejected"] for table in report["tables"]))


def check(server, path, rows: list, table: str, **options):
    """Loads a file and compares what the table holds with `rows` (dictionaries)."""
    report = server.load(path, "--into", table, **options)
    assert rows_of(report) == (len(rows), 0), report
    assert server.client().sql(f"SELECT * FROM {table}") == rows


PEOPLE = [{"id": 1, "name": "Ada", "zip": "01234"}, {"id": 2, "name": "Éva", "zip": "90210"}]
PEOPLE_CSV = "id,name,zip\n1,Ada,01234\n2,Éva,90210\n"


def test_text_formats(server, tmp_path):
    files = {
        "comma.csv": PEOPLE_CSV.encode(),
        "semicolon.csv": PEOPLE_CSV.replace(",", ";").encode(),
        "tabs.tsv": PEOPLE_CSV.replace(",", "\t").encode(),
        "pipes.txt": PEOPLE_CSV.replace(",", "|").encode(),
        "crlf.csv": PEOPLE_CSV.replace("\n", "\r\n").encode(),
        "no_last_newline.csv": PEOPLE_CSV.rstrip("\n").encode(),
        "quoted.csv": b'"id","name","zip"\n"1","Ada","01234"\n"2","\xc3\x89va","90210"\n',
        "bom.csv": PEOPLE_CSV.encode("utf-8-sig"),
        "utf16.csv": PEOPLE_CSV.encode("utf-16"),
        "latin1.csv": PEOPLE_CSV.encode("latin-1"),
        "lines.ndjson": "".join(json.dumps(row) + "\n" for row in PEOPLE).encode(),
        "array.json": json.dumps(PEOPLE).encode(),
    }
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        check(server, path, PEOPLE, f"text_{path.stem}")


def test_compressed(server, tmp_path):
    import pyarrow

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", PEOPLE_CSV)
    files = {"people.csv.gz": gzip.compress(PEOPLE_CSV.encode()), "people.csv.bz2": bz2.compress(PEOPLE_CSV.encode()),
             "people.zip": packed.getvalue()}
    files["people.csv.zst"] = pyarrow.compress(PEOPLE_CSV.encode(), codec="zstd", asbytes=True)
    for number, (name, content) in enumerate(files.items()):
        path = tmp_path / name
        path.write_bytes(content)
        check(server, path, PEOPLE, f"packed_{number}")


def test_parquet_and_avro(server, tmp_path):
    import fastavro
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "people.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(PEOPLE), path)
    check(server, path, PEOPLE, "people_parquet")
    path = tmp_path / "people.avro"
    schema = fastavro.parse_schema({"type": "record", "name": "person", "fields": [
        {"name": "id", "type": "long"}, {"name": "name", "type": "string"}, {"name": "zip", "type": "string"}]})
    with path.open("wb") as file:
        fastavro.writer(file, schema, PEOPLE, codec="deflate")
    check(server, path, PEOPLE, "people_avro")


def test_workbooks(server, tmp_path):
    """Every sheet becomes a table."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "People"
    orders = book.create_sheet("Orders 2013")
    for sheet in (book.active, orders):
        sheet.append(["id", "name", "zip"])
        for row in PEOPLE:
            sheet.append(list(row.values()))
    path = tmp_path / "firm.xlsx"
    book.save(path)
    report = server.load(path)
    assert len(report["tables"]) == 2, report
    for table in report["tables"]:
        assert server.client().sql(f"SELECT id, name FROM {table['table']} ORDER BY id") == [
            {"id": row["id"], "name": row["name"]} for row in PEOPLE]


def write_ods(path, sheets: dict) -> None:
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P

    document = OpenDocumentSpreadsheet()
    for name, lines in sheets.items():
        sheet = Table(name=name)
        for line in lines:
            row = TableRow()
            for value in line:
                kind = {"valuetype": "float", "value": value} if isinstance(value, int) else {"valuetype": "string"}
                cell = TableCell(**kind)
                cell.addElement(P(text=str(value)))
                row.addElement(cell)
            sheet.addElement(row)
        document.spreadsheet.addElement(sheet)
    document.save(path)


def test_ods(server, client, tmp_path):
    """Every sheet becomes a table."""
    sheets = {"People": [["id", "name"], [1, "Ada"], [2, "Éva"]], "Orders 2013": [["number", "amount"], [7, 10], [8, 20], [9, 30]]}
    write_ods(tmp_path / "company.ods", sheets)
    report = server.load(tmp_path / "company.ods")
    assert sorted((table["rows_loaded"], table["rows_rejected"]) for table in report["tables"]) == [(2, 0), (3, 0)], report
    tables = {frozenset(rows[0]): rows for rows in (client.sql(f"SELECT * FROM {table['table']} ORDER BY 1") for table in report["tables"])}
    for header, *lines in sheets.values():
        assert tables[frozenset(header)] == [dict(zip(header, line, strict=True)) for line in lines]


LONG_ROWS = [["id", "note"]] + [[n, "x" * 200 if n == 7 else "short"] for n in range(1, 1001)]


def long_xlsx(path):
    import openpyxl

    book = openpyxl.Workbook()
    for row in LONG_ROWS:
        book.active.append(row)
    book.save(path)


def long_ods(path):
    write_ods(path, {"Long": LONG_ROWS})


def long_xls(path):
    """Three hundred of the rows, as xlwt writes them."""
    shutil.copy(polder.ROOT / "tests/data/long.xls", path)


@pytest.mark.parametrize("kind, write, rows", [("xlsx", long_xlsx, 1000), ("ods", long_ods, 1000), ("xls", long_xls, 300)])
def test_no_row_of_a_long_sheet_is_lost(server, client, tmp_path, kind, write, rows):
    """Also those with numbers and lengths of 128 and more."""
    path = tmp_path / f"long.{kind}"
    write(path)
    report = server.load(path, "--into", f"long_{kind}")
    assert rows_of(report) == (rows, 0), report
    assert client.sql(f"SELECT count(*) AS n, sum(id) AS ids, max(length(note)) AS longest FROM long_{kind}") == [
        {"n": rows, "ids": rows * (rows + 1) // 2, "longest": 200}]


def test_what_a_text_means_is_said(server, client, tmp_path):
    """Single quotes, a line that names the separator, a column without a name, and digits that a double has not."""
    for name, text, rows, remark in [
            ("apostrophes", "id,w\n" + "0,'a0,b'\n" * 50, [{"id": 0, "w": "a0,b"}] * 50, b""),
            ("excel_sep", "sep=;\r\nid;w\r\n1;x\r\n", [{"id": 1, "w": "x"}], b"the first line names the separator"),
            ("r_rows", "mpg,cyl\nMazda,21.5,6\nDatsun,22.5,4\n", [{"row_name": "Mazda", "mpg": 21.5, "cyl": 6},
             {"row_name": "Datsun", "mpg": 22.5, "cyl": 4}], b"the first column is called row_name"),
            ("open_ended_rows", "car,mpg,cyl\nMazda,21.5,6,\nDatsun,22.5,4,\n", [{"car": "Mazda", "mpg": 21.5, "cyl": 6},
             {"car": "Datsun", "mpg": 22.5, "cyl": 4}], b"each row ends with a separator that the header has not"),
            ("open_ended_years", "land;2019;2020\nNL;1;2;\nBE;3;4;\nDE;5;6;\n", [{"land": "NL", "_2019": 1, "_2020": 2},
             {"land": "BE", "_2019": 3, "_2020": 4}, {"land": "DE", "_2019": 5, "_2020": 6}], b"each row ends with a separator that the header has not"),
            ("many_digits", "n,w\n1,0.12345678901234567890\n", [{"n": 1, "w": 0.12345678901234567890}], b"decimal(38, 20)")]:
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        done = server.cli("load", path)
        assert done.returncode == 0 and remark in done.stdout + done.stderr, done
        assert client.sql(f"SELECT * FROM {name}") == rows
    done = server.cli("load", tmp_path / "many_digits.csv", "--into", "all_digits", "--type", "w=decimal(38, 20)")
    assert done.returncode == 0, done
    assert client.value("SELECT w::text AS w FROM all_digits") == "0.12345678901234567890"


def test_what_office_programs_export(server, client, tmp_path):
    """Rows with a separator at their end, titles above the header, and words for what is missing."""
    for name, text, rows, rejected in [
            ("open_ended", "id,w\n1,a,\n2,b,\n3,c,\n", [{"id": 1, "w": "a"}, {"id": 2, "w": "b"}, {"id": 3, "w": "c"}], 0),
            ("padded_titles", "Verslag;;\r\n;;\r\nRegio;Aantal;Omzet\r\nNoord;10;1.000,50\r\nZuid;20;2,75\r\n",
             [{"regio": "Noord", "aantal": 10, "omzet": 1000.5}, {"regio": "Zuid", "aantal": 20, "omzet": 2.75}], 1),
            ("bare_titles", "Report\nby Jan\n\nRegion,Units,Sum\nNorth,10,1.5\nSouth,20,2.5\nEast,5,1\n\nTotal,35,5\n",
             [{"region": region, "units": units, "sum": total} for region, units, total in
              (("North", 10, 1.5), ("South", 20, 2.5), ("East", 5, 1.0), ("Total", 35, 5.0))], 2),
            ("absent_words", "id;n\n1;1.234,50\n2;n.v.t.\n3;k.A.\n4;n.a.\n5;n/a\n",
             [{"id": 1, "n": 1234.5}] + [{"id": n, "n": None} for n in range(2, 6)], 0)]:
        path = tmp_path / f"{name}.csv"
        path.write_bytes(text.encode())
        table, = server.load(path)["tables"]
        assert (client.sql(f"SELECT * FROM {name}"), table["rows_rejected"]) == (rows, rejected), name


def test_words_that_are_kept_as_text_are_said(server, client, tmp_path):
    path = tmp_path / "tails.csv"
    path.write_text("id,tail\n" + "1,N10156\n2,NA\n" * 200)
    done = server.cli("load", path)
    assert b"`NA` is kept as text (200 cells); --nulls NA makes it NULL" in done.stdout + done.stderr, done
    assert client.value("SELECT count(*) AS n FROM tails WHERE tail IS NULL") == 0
    assert server.cli("load", path, "--into", "no_tails", "--nulls", "NA").returncode == 0
    assert client.value("SELECT count(*) AS n FROM no_tails WHERE tail IS NULL") == 200


def test_nested_json_stays_nested(server, tmp_path):
    path = tmp_path / "nested.json"
    path.write_text(json.dumps([{"id": 1, "where": {"city": "Delft", "at": [4.36, 52.0]}, "tags": ["a", "b"]}]))
    server.load(path, "--into", "nested")
    assert server.client().sql("SELECT * FROM nested") == [
        {"id": 1, "where": {"city": "Delft", "at": [4.36, 52.0]}, "tags": ["a", "b"]}]


def test_rejects_are_kept(server, client, tmp_path):
    """A row that cannot be read is kept with its line and reason."""
    path = tmp_path / "dirty.csv"
    path.write_text("a,b\n1,x\n2,y,too,many\n3,z\n")
    report = server.load(path, "--into", "dirty")
    assert rows_of(report) == (2, 1), report
    rejects = client.sql(f"SELECT * FROM {report['tables'][0]['rejects_table']}")
    assert len(rejects) == 1
    assert 3 in rejects[0].values(), rejects
    assert any("2,y,too,many" in str(value) for value in rejects[0].values()), rejects


def test_strict_changes_nothing(server, client, tmp_path):
    path = tmp_path / "strict.csv"
    path.write_text("a,b\n1,x\n2,y,too,many\n3,z\n")
    before = client.value("SELECT max(snapshot) AS n FROM polder.snapshots")
    done = server.cli("load", path, "--into", "strictly", "--strict")
    assert done.returncode == 1
    assert b"line 3" in done.stderr, done.stderr
    assert client.value("SELECT count(*) AS n FROM polder.tables WHERE table_name LIKE 'strictly%'") == 0
    assert client.value("SELECT max(snapshot) AS n FROM polder.snapshots") == before


def test_the_same_content_is_skipped(server, client, tmp_path):
    path = tmp_path / "twice.csv"
    path.write_text(PEOPLE_CSV)
    copy = tmp_path / "another_name.csv"
    shutil.copy(path, copy)
    server.load(path, "--into", "twice")
    again = server.load(copy, "--into", "twice", "--append")
    assert again["tables"][0]["sources"][0]["skipped"] is True, again
    assert client.value("SELECT count(*) AS n FROM twice") == 2
    server.load(path, "--into", "twice", "--append", "--again")
    assert client.value("SELECT count(*) AS n FROM twice") == 4


@pytest.mark.parametrize("emptying", ["DELETE FROM", "TRUNCATE", "DELETE FROM {} WHERE id > 0"])
def test_an_emptied_table_is_loaded_again(server, client, tmp_path, emptying):
    """What it held from earlier loads went with its rows."""
    path, other = tmp_path / "held.csv", tmp_path / "other.csv"
    path.write_text(PEOPLE_CSV)
    other.write_text("id,name,zip\n3,Grace,00501\n")
    table = f"held_{len(emptying)}"
    for _ in range(2):
        assert rows_of(server.load(path, "--into", table, "--append")) == (2, 0)
        assert rows_of(server.load(other, "--into", table, "--append")) == (1, 0)
        assert rows_of(server.load(path, "--into", table, "--append")) == (0, 0)
        client.sql(emptying.format(table) if "{}" in emptying else f"{emptying} {table}")
        assert client.value(f"SELECT count(*) AS n FROM {table}") == 0


def test_a_table_truncated_when_it_was_empty_is_loaded_again(server, client, tmp_path):
    """DELETE does not say which loads its rows were of; TRUNCATE says that none is left."""
    path = tmp_path / "gone.csv"
    path.write_text(PEOPLE_CSV)
    server.load(path, "--into", "gone")
    client.sql("DELETE FROM gone WHERE id > 0")
    client.sql("TRUNCATE gone")
    client.sql("INSERT INTO gone (id) VALUES (9)")
    assert rows_of(server.load(path, "--into", "gone", "--append")) == (2, 0)


def test_a_load_during_a_truncate_is_still_known(server, client, tmp_path):
    path, other = tmp_path / "before.csv", tmp_path / "between.csv"
    path.write_text(PEOPLE_CSV)
    other.write_text("id,name,zip\n3,Grace,00501\n")
    server.load(path, "--into", "meanwhile")
    with psycopg.connect(**address(server), autocommit=True) as truncating:
        truncating.execute("BEGIN")
        truncating.execute("TRUNCATE meanwhile")
        assert rows_of(server.load(other, "--into", "meanwhile", "--append")) == (1, 0)
        truncating.execute("COMMIT")
    assert client.value("SELECT count(*) AS n FROM meanwhile") == 1
    assert rows_of(server.load(other, "--into", "meanwhile", "--append")) == (0, 0)
    assert rows_of(server.load(path, "--into", "meanwhile", "--append")) == (2, 0)


def test_append_replace_and_create(server, client, tmp_path):
    path, other = tmp_path / "modes.csv", tmp_path / "more.csv"
    path.write_text("a,b\n1,x\n")
    other.write_text("a,b\n2,y\n")
    server.load(path, "--into", "modes")
    refused = server.cli("load", other, "--into", "modes")
    assert refused.returncode == 1 and b"--append" in refused.stderr, refused.stderr
    server.load(other, "--into", "modes", "--append")
    assert client.value("SELECT sum(a) AS n FROM modes") == 3
    server.load(other, "--into", "modes", "--replace", "--again")
    assert client.value("SELECT sum(a) AS n FROM modes") == 2


def test_standard_input_glob_and_directory(server, client, tmp_path):
    done = server.cli("load", "-", "--into", "piped", "--json", stdin=PEOPLE_CSV)
    assert done.returncode == 0, done.stderr
    assert client.value("SELECT count(*) AS n FROM piped") == 2
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(4):
        (folder / f"part-{number}.csv").write_text(f"id,word\n{number},w{number}\n")
    server.load(f"{folder}/*.csv", "--into", "globbed")
    assert client.value("SELECT sum(id) AS n FROM globbed") == 6
    server.load(folder, "--into", "foldered")
    assert client.value("SELECT count(*) AS n FROM foldered") == 4


def test_several_sources(server, client, tmp_path):
    """Each into a table of its own, or all into one; what is known is skipped, and one that is broken keeps back all."""
    paths = []
    for word in ("pears", "plums"):
        path = tmp_path / f"{word}.csv"
        path.write_text(f"id,word\n1,{word}\n")
        paths.append(path)
    assert {table["table"] for table in server.load(*paths)["tables"]} == {"public.pears", "public.plums"}
    table, = server.load(*paths, "--into", "fruit")["tables"]
    assert (table["rows_loaded"], client.value("SELECT string_agg(word, ' ' ORDER BY word) AS w FROM fruit")) == (2, "pears plums")
    more, broken = tmp_path / "more.csv", tmp_path / "broken.csv"
    more.write_text("id,word\n2,figs\n")
    broken.write_text("id,word\n3,dates\n4,kiwis,too,many\n")
    done = server.cli("load", more, broken, "--into", "fruit", "--append", "--strict")
    assert done.returncode == 1 and b"broken.csv" in done.stderr, done.stderr
    assert client.value("SELECT count(*) AS n FROM fruit") == 2
    table, = server.load(paths[0], more, "--into", "fruit", "--append")["tables"]
    assert [source["skipped"] for source in table["sources"]] == [True, False], table
    assert client.value("SELECT string_agg(word, ' ' ORDER BY word) AS w FROM fruit") == "figs pears plums"


def test_folders_that_a_table_has_no_column_for(server, client, tmp_path):
    for year, n in ((2013, 1), (2014, 2)):
        folder = tmp_path / "in" / f"year={year}"
        folder.mkdir(parents=True)
        (folder / "x.csv").write_text(f"n,word\n{n},a\n")
    # Named itself, a file is remembered without its folder, as all were before folders were read.
    server.load(tmp_path / "in" / "year=2013" / "x.csv", "--into", "yearless")
    table, = server.load(tmp_path / "in", "--into", "yearless", "--append")["tables"]
    assert {pathlib.Path(source["source"]).parent.name: source["skipped"] for source in table["sources"]} == {"year=2013": True, "year=2014": False}
    assert client.sql("SELECT n, word FROM yearless ORDER BY n") == [{"n": 1, "word": "a"}, {"n": 2, "word": "a"}]
    assert table["remarks"] == ["the table has no column for the values of folders `year=…`: they are left out"]
    # Whoever gives it a name wants it.
    server.load(tmp_path / "in" / "year=2013" / "x.csv", "--into", "no_years")
    done = server.cli("load", tmp_path / "in", "--into", "no_years", "--append", "--rename", "year=y")
    assert done.returncode == 1 and b"columns that the table has not: `year` [42703]" in done.stderr, done
    # Nor need all files be in such folders then.
    (tmp_path / "in" / "x.csv").write_text("n,word\n3,b\n")
    server.load(tmp_path / "in", "--into", "yearless", "--append")
    assert client.value("SELECT count(*) AS n FROM yearless") == 3


def test_files_of_before_folders_were_read_are_known(server, client, tmp_path):
    folder = tmp_path / "in" / "year=2013"
    folder.mkdir(parents=True)
    (folder / "x.csv").write_text("n,word\n1,a\n")
    client.sql("CREATE TABLE yearly (n bigint, word text, year bigint)")
    server.load(folder / "x.csv", "--into", "yearly", "--append")
    table, = server.load(tmp_path / "in", "--into", "yearly", "--append")["tables"]
    assert [source["skipped"] for source in table["sources"]] == [True]
    assert client.value("SELECT count(*) AS n FROM yearly") == 1


def test_a_folder_stands_in_for_a_column_of_another_case(server, client, tmp_path):
    folder = tmp_path / "places" / "city=Delft"
    folder.mkdir(parents=True)
    (folder / "x.csv").write_text("City,n\nLeiden,1\n")
    table, = server.load(tmp_path / "places", "--into", "places_once")["tables"]
    assert client.sql("SELECT * FROM places_once") == [{"city": "Delft", "n": 1}]
    assert table["remarks"] == ["`city`: it is in the file and in the name of its folder, whose value is taken"]
    duck = duckdb.sql(f"SELECT * FROM read_csv('{tmp_path}/places/*/*.csv')")
    assert (duck.columns, duck.fetchall()) == (["City", "n"], [("Delft", 1)])


def test_types_hold_for_the_whole_file(server, client, tmp_path):
    """A column that is a number for 60,000 rows and a word in the last is text; nothing is lost."""
    path = tmp_path / "late.csv"
    path.write_text("a,b,c\n" + "".join(f"{n},{n},{n}\n" for n in range(60_000)) + "60000,3.5,word\n")
    report = server.load(path, "--into", "late")
    assert rows_of(report) == (60_001, 0), report
    kinds = {row["column_name"]: row["data_type"].lower() for row in client.sql(
        "SELECT column_name, data_type FROM polder.columns WHERE table_name = 'late'")}
    assert kinds["a"] == "bigint"
    assert kinds["b"].startswith("double")
    assert kinds["c"] in ("text", "varchar")
    assert client.value("SELECT c FROM late WHERE a = 60000") == "word"


def test_names_are_safe(server, client, tmp_path):
    path = tmp_path / "2013 Sales (final).csv"
    path.write_text("Order ID,Größe,order id,,select\n1,2,3,4,5\n")
    report = server.load(path)
    table = report["tables"][0]["table"]
    columns = [row["column_name"] for row in client.sql(
        f"SELECT column_name FROM polder.columns WHERE table_name = '{table.split('.')[-1]}' ORDER BY ordinal_position")]
    assert len(set(columns)) == 5 and columns[0] == "order_id", columns
    assert all(client.sql(f'SELECT "{column}" FROM {table}') for column in columns)


def test_copy(server, client, tmp_path):
    path = tmp_path / "copied.csv"
    path.write_text(PEOPLE_CSV)
    client.sql("CREATE TABLE copied (id bigint, name text, zip text)")
    client.sql(f"COPY copied FROM '{path}'")
    assert client.value("SELECT count(*) AS n FROM copied") == 2


def test_upload(client):
    upload = client.upload("uploaded people.csv", PEOPLE_CSV.encode())
    preview = client.post("/loads/preview", json={"upload_id": upload}).json()["tables"][0]
    assert [column["name"] for column in preview["columns"]] == ["id", "name", "zip"]
    assert preview["rows"][0] == ["1", "Ada", "01234"]
    options = preview["options"]
    options["columns"] = [{"source": "id", "name": "number"}, {"source": "zip", "skip": True}]
    status = client.load(upload_ids=[upload], into="uploaded", options=options)
    assert status["state"] == "done", status
    assert client.sql("SELECT * FROM uploaded") == [{"number": 1, "name": "Ada"}, {"number": 2, "name": "Éva"}]


def test_loads_are_recorded(client):
    upload = client.upload("recorded.csv", PEOPLE_CSV.encode())
    assert client.load(upload_ids=[upload], into="recorded")["state"] == "done"
    record = "SELECT user_name, via, state, rows_scanned, snapshot, error_code FROM polder.queries WHERE sql LIKE '-- load%{}%'"
    row = client.sql(record.format("recorded.csv into recorded"))[0]
    assert (row["user_name"], row["state"], row["rows_scanned"], row["error_code"]) == ("polder", "done", 2, None), row
    assert row["snapshot"] == client.value("SELECT max(snapshot) AS newest FROM polder.snapshots")
    upload = client.upload("refused.csv", (PEOPLE_CSV + "3,Grace,00501\n").encode())
    assert client.load(upload_ids=[upload], into="recorded")["state"] == "failed"
    row = client.sql(record.format("refused.csv into recorded"))[0]
    assert row["state"] == "failed" and row["error_code"], row


def test_without_a_server(fresh, tmp_path):
    """The same commands open the directory themselves when no server runs."""
    path = tmp_path / "alone.csv"
    path.write_text(PEOPLE_CSV)
    server = fresh()
    assert rows_of(server.load(path, "--into", "alone")) == (2, 0)
    done = server.cli("sql", "-c", "SELECT count(*) AS n FROM alone", "--format", "json")
    assert json.loads(done.stdout) == [{"n": 2}], done.stderr
    done = server.cli("sql", "-c", "SELECT state FROM polder.queries WHERE sql LIKE '-- load%alone%'", "--format", "json")
    assert json.loads(done.stdout) == [{"state": "done"}], done.stderr


def test_a_workbook_has_a_limit(server, client, tmp_path):
    """A workbook is read as a whole, so its size is bounded, and the error says by what."""
    path = tmp_path / "huge.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/media/picture.bin", bytes(101 << 20))
    done = server.cli("load", path)
    assert done.returncode == 1
    assert b"huge.xlsx" in done.stderr and b"104857600" in done.stderr, done.stderr
    assert client.value("SELECT count(*) AS n FROM polder.tables WHERE table_name LIKE 'huge%'") == 0
    assert server.memory_bytes("VmHWM") < 1 << 30


def test_csv_module_agrees(server, client, tmp_path):
    """Quotes, separators and line ends within fields, as Python's csv module writes them."""
    rows = [["1", 'say "hi"'], ["2", "a,b"], ["3", "line\nbreak"], ["4", "'"], ["5", " spaces "]]
    path = tmp_path / "quotes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "word"], *rows])
    server.load(path, "--into", "quotes")
    assert [row["word"] for row in client.sql("SELECT word FROM quotes ORDER BY id")] == [word for _, word in rows]


@contextlib.contextmanager
def web_server(folder: pathlib.Path, tls: ssl.SSLContext | None = None):
    """A web server of a folder's files: its address."""
    class Folder(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            """Clients that do not trust it go away."""

    with Quiet(("127.0.0.1", 0), Folder) as web:
        if tls:
            # Shaken hands by the thread that answers.
            web.socket = tls.wrap_socket(web.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{web.server_port}"
        web.shutdown()


def test_from_a_web_server(server, tmp_path):
    (tmp_path / "people.csv").write_text(PEOPLE_CSV)
    with web_server(tmp_path) as web:
        check(server, f"{web}/people.csv", PEOPLE, "from_the_web")
        done = server.cli("load", f"{web}/nobody.csv")
    assert done.returncode == 1 and b"404" in done.stderr and b"nobody.csv" in done.stderr, done.stderr


def test_from_a_web_server_with_tls(server, client, fresh, tmp_path):
    """By an authority that SSL_CERT_FILE names; without it the server is not trusted, and nothing is fetched."""
    certify(tmp_path, "root", None, "ecdsa", AUTHORITY)
    certify(tmp_path, "web", "root", "ecdsa", SERVER)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "web.crt", tmp_path / "web.key")
    (tmp_path / "people.csv").write_text(PEOPLE_CSV)
    with web_server(tmp_path, tls) as web:
        done = server.cli("load", f"{web}/people.csv", "--into", "by_tls")
        assert done.returncode == 1 and b"/people.csv" in done.stderr and b"UnknownIssuer" in done.stderr, done.stderr
        assert b"SSL_CERT_FILE" in done.stderr, done.stderr
        assert client.value("SELECT count(*) AS n FROM polder.tables WHERE table_name LIKE 'by_tls%'") == 0
        # Without a server the command itself fetches.
        alone = fresh(None, env={"SSL_CERT_FILE": str(tmp_path / "root.crt")})
        assert rows_of(alone.load(f"{web}/people.csv", "--into", "by_tls")) == (2, 0)
        alone.start()
        check(alone, f"{web}/people.csv", PEOPLE, "by_the_server", env={"SSL_CERT_FILE": ""})


def test_the_order_of_dates_is_said(server, client, tmp_path):
    """Which order was chosen, and the line that decided it."""
    for name, days, first, reason in [
            ("day_first", ["31/01/2024", "02/03/2024"], "2024-01-31", "31/01/2024 is in line 2"),
            ("month_first", ["02/03/2024", "01/31/2024"], "2024-02-03", "01/31/2024 is in line 3")]:
        path = tmp_path / f"{name}.csv"
        path.write_text("n,d\n" + "".join(f"{n},{day}\n" for n, day in enumerate(days)))
        done = server.cli("load", path)
        assert reason in done.stdout.decode() + done.stderr.decode(), done
        assert client.value(f"SELECT d FROM {name} WHERE n = 0") == first


def test_unknown_source(server):
    done = server.cli("load", "no/such/file.csv")
    assert done.returncode == 1
    assert b"no/such/file.csv" in done.stderr, done.stderr
    # The command line has told the whole path, so where it was looked up is no help.
    assert b"looked up from" not in done.stderr and b"is the last that is there" in done.stderr, done.stderr
    done = server.cli("load", "-", "--into", '"We ird".t', stdin=PEOPLE_CSV)
    assert done.returncode == 1 and b'CREATE SCHEMA "We ird"' in done.stderr, done.stderr


def test_copy_to_files(server, tmp_path):
    """`COPY … TO` with PostgreSQL's list of options, partitioned too; what was written loads again."""
    client = server.client()
    client.sql("CREATE TABLE trip (city text, n int)")
    client.sql("INSERT INTO trip VALUES ('Delft', 1), ('Gouda', 2), ('Delft', 3), (NULL, 4)")
    client.sql(f"COPY trip TO '{tmp_path}/trip.csv' (FORMAT csv, HEADER, DELIMITER ';', NULL '-')")
    assert sorted((tmp_path / "trip.csv").read_text().split()) == ["-;4", "Delft;1", "Delft;3", "Gouda;2", "city;n"]
    client.sql(f"COPY trip TO '{tmp_path}/plain.csv' (FORMAT csv, HEADER false)")
    assert "city" not in (tmp_path / "plain.csv").read_text()
    client.sql(f"COPY (SELECT * FROM trip WHERE city IS NOT NULL) TO '{tmp_path}/parts' (FORMAT parquet, PARTITION_BY (city))")
    folders = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert folders == ["city=Delft", "city=Gouda"], folders
    done = server.cli("load", tmp_path / "parts", "--into", "trip_parts")
    assert done.returncode == 0, done
    assert client.sql("SELECT n, city FROM trip_parts ORDER BY n") == \
        client.sql("SELECT n, city FROM trip WHERE city IS NOT NULL ORDER BY n")
    client.sql(f"COPY trip TO '{tmp_path}/trip.json' (FORMAT json)")
    client.sql(f"COPY again FROM '{tmp_path}/trip.json'")
    assert client.sql("SELECT city, n FROM again EXCEPT SELECT city, n FROM trip") == []
    with pytest.raises(polder.Failed) as refused:
        client.sql(f"COPY trip TO '{tmp_path}/x' (FORMAT xml)")
    assert refused.value.code == "0A000"


@pytest.mark.parametrize("form", ["ndjson", "json", "nested"])
def test_floats_of_json_are_the_nearest(server, client, tmp_path, form):
    """To the last digit: one in six was the neighbour of what was written."""
    chance = random.Random(5)
    floats = [chance.random() * 10 ** chance.randint(-20, 20) for _ in range(2_000)] + [4e81, 5e-324, 1.7976931348623157e308, 9163.453718085519]
    documents = [{"n": n, "x": {"y": x} if form == "nested" else x} for n, x in enumerate(floats)]
    path, table = tmp_path / f"floats.{'json' if form == 'json' else 'ndjson'}", f"floats_{form}"
    path.write_text(json.dumps(documents) if form == "json" else "".join(f"{json.dumps(document)}\n" for document in documents))
    assert rows_of(server.load(path, "--into", table)) == (len(floats), 0)
    rows = client.sql(f"SELECT n, {'(x).y' if form == 'nested' else 'x'} AS x FROM {table}")
    assert len(rows) == len(floats) and [row for row in rows if row["x"] != floats[row["n"]]] == []
