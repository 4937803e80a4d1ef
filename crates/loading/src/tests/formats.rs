//! What each format brings.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date64Array, Decimal256Array, DictionaryArray, Int32Array, RecordBatch, StringArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::i256;
use polder_capability::LoadOptions;

use super::memory::{Bench, shown, shown_with};

#[test]
fn separators_quotes_and_headers_are_found() {
    insta::assert_snapshot!(shown("tabs.tsv", "a\tb\n1\tx, y\n2\t\"q\tz\"\n"), @r"
    tabs: a bigint, b text
    1|x, y
    2|q	z
    ");
    insta::assert_snapshot!(shown("bars.txt", "1|x|2.5\n2|y|3\n"), @r"
    bars: column_1 bigint, column_2 text, column_3 double
    1|x|2.5
    2|y|3.0
    - there is no header line, so the columns are numbered
    ");
    insta::assert_snapshot!(shown("semicolons.csv", "naam;prijs;aantal\nmelk;1,25;3\nbrood;2,5;4\n"), @r"
    semicolons: naam text, prijs double, aantal bigint
    melk|1.25|3
    brood|2.5|4
    - `prijs`: the comma is the decimal sign
    ");
    insta::assert_snapshot!(shown("bedragen.csv", "naam;bedrag\nhuis;1.234.567,50\nfiets;n/a\nauto;12.000\nbrood;-2,5\n"), @r"
    bedragen: naam text, bedrag double
    huis|1234567.5
    fiets|∅
    auto|12000.0
    brood|-2.5
    - `bedrag`: points set thousands apart, and the comma is the decimal sign
    - `bedrag`: `n/a` means missing (1 cell)
    ");
    insta::assert_snapshot!(shown("amounts.csv", "name,people,amount\nhouse,\"1,234,567\",\"1,000.25\"\nbread,12,2.5\n"), @r"
    amounts: name text, people bigint, amount double
    house|1234567|1000.25
    bread|12|2.5
    - `people`: commas set thousands apart
    - `amount`: commas set thousands apart
    ");
    insta::assert_snapshot!(shown("single.csv", "'a','b'\n'x, y','it''s'\n"), @r"
    single: a text, b text
    x, y|it's
    ");
    insta::assert_snapshot!(shown("escaped.csv", "a,b\n\"say \\\"hi\\\"\",1\n\"x\",2\n"), @r#"
    escaped: a text, b bigint
    say "hi"|1
    x|2
    "#);
    insta::assert_snapshot!(shown("mac.csv", "a,b\r1,2\r3,4\r"), @r"
    mac: a bigint, b bigint
    1|2
    3|4
    ");
    insta::assert_snapshot!(shown("lines.csv", "id,note\r\n1,\"two\r\nlines\"\r\n2,\"\"\r\n3,\r\n"), @r"
    lines: id bigint, note text
    1|two
    lines
    2|
    3|∅
    ");
    insta::assert_snapshot!(shown("one.txt", "name\nAda\nGrace\n"), @r"
    one: name text
    Ada
    Grace
    - no separator was found, so each line is one cell
    ");
    insta::assert_snapshot!(shown("years.csv", "country,2019,2020\nNL,17.3,17.4\nBE,11.4,11.5\n"), @r"
    years: country text, _2019 double, _2020 double
    NL|17.3|17.4
    BE|11.4|11.5
    - names made safe: `2019` is `_2019`, `2020` is `_2020`
    ");
    insta::assert_snapshot!(shown("notes.csv", "# made by hand, in May\n# version 2\nid,word\n1,a\n2,b\n"), @r"
    notes: id bigint, word text
    1|a
    2|b
    - the first 2 lines begin with # and are left out: made by hand, in May
    ");
    // As many cells as the rows have: a note above a header, a header above rows, and a row among rows.
    insta::assert_snapshot!(shown("wide.csv", "# a, note\nid,word\n1,a\n2,b\n"), @r"
    wide: id bigint, word text
    1|a
    2|b
    - the first line begins with # and is left out: a, note
    ");
    insta::assert_snapshot!(shown("marked.csv", "# note\n#id,word\n1,a\n2,b\n"), @r"
    marked: id bigint, word text
    1|a
    2|b
    - names made safe: `#id` is `id`
    - the first line begins with # and is left out: note
    ");
    insta::assert_snapshot!(shown("rows.csv", "#1,5\n#2,6\n3,7\n"), @r"
    rows: column_1 text, column_2 bigint
    #1|5
    #2|6
    3|7
    - there is no header line, so the columns are numbered
    ");
    insta::assert_snapshot!(shown("only.csv", "#one\n#two\n"), @r"
    only: one text
    #two
    - names made safe: `#one` is `one`
    - no separator was found, so each line is one cell
    ");
    insta::assert_snapshot!(shown("measured.dat", "# by the second sensor\nt  v\n1  2.5\n2  2.75\n"), @r"
    measured: t bigint, v double
    1|2.5
    2|2.75
    - columns are separated by blanks
    - the first line begins with # and is left out: by the second sensor
    ");
    insta::assert_snapshot!(shown("title.csv", "Report of May\n\na,b,c\n1,2,3\n4,5,6\n"), @r"
    title: a bigint, b bigint, c bigint
    1|2|3
    4|5|6
    rejected line 1 None: stands before the header: Report of May
    ");
    insta::assert_snapshot!(shown("names.csv", "Naam,naam,,\"Prijs (€)\",2019,a b\nx,y,z,1,2,3\n"), @r"
    names: naam text, naam_2 text, column_3 text, prijs bigint, _2019 bigint, a_b bigint
    x|y|z|1|2|3
    - names made safe: `naam` is `naam_2`, `` is `column_3`, `Prijs (€)` is `prijs`, `2019` is `_2019`, `a b` is `a_b`
    ");
    insta::assert_snapshot!(shown("row_names.csv", "mpg,cyl,disp\nMazda,21,6,160\nDatsun,22.8,4,108\n"), @r"
    row_names: row_name text, mpg double, cyl bigint, disp bigint
    Mazda|21.0|6|160
    Datsun|22.8|4|108
    - each row has a cell more than the header, so the first column is called row_name
    ");
    insta::assert_snapshot!(shown("spaces.csv", "a, b\n1, \"x, y\"\n2, z\n"), @r"
    spaces: a bigint, b text
    1|x, y
    2| z
    ");
    insta::assert_snapshot!(shown("empty.csv", "a,b,c\n"), @r"
    empty: a text, b text, c text
    - `a`: no cell has a value
    - `b`: no cell has a value
    - `c`: no cell has a value
    ");
}

#[test]
fn encodings_are_found() {
    let text = "naam,stad\nZoë,Köln\nŁukasz,Łódź\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (name, content) in [
        ("utf8.csv", text.as_bytes().to_vec()),
        ("utf8_mark.csv", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("utf16_mark.csv", [b"\xff\xfe", utf16.as_slice()].concat()),
        ("utf16.csv", utf16.clone()),
        ("utf16_be.csv", [b"\xfe\xff", utf16_be.as_slice()].concat()),
    ] {
        let shown = shown(name, content);
        assert!(shown.contains("naam text, stad text\nZoë|Köln\nŁukasz|Łódź\n"), "{name}: {shown}");
    }
    insta::assert_snapshot!(shown("latin.csv", b"naam,stad\nZo\xeb,K\xf6ln\nAnn,Delft\n"), @r"
    latin: naam text, stad text
    Zoë|Köln
    Ann|Delft
    - read as windows-1252, because it is no valid UTF-8
    ");
    insta::assert_snapshot!(shown("broken.csv", b"naam,stad\nZo\xc3\xab,K\xc3\xb6ln\nAn\xffn,Delft\nBob,Goes\n"), @r"
    broken: naam text, stad text
    Zoë|Köln
    Bob|Goes
    rejected line 3 None: invalid bytes for the encoding: An�n,Delft
    ");
    let options = LoadOptions { encoding: Some("windows-1251".into()), ..LoadOptions::default() };
    insta::assert_snapshot!(shown_with("cyrillic.csv", b"a,b\n\xcf\xf0\xe8\xe2\xe5\xf2,1\n", options), @r"
    cyrillic: a text, b bigint
    Привет|1
    ");
}

#[test]
fn types_are_decided_over_the_whole_file() {
    insta::assert_snapshot!(shown("types.csv", "i,d,b,t,z,n,big,long\n1,1.5,true,2024-01-31 10:00:00,2024-01-31T10:00:00+02:00,NA,9223372036854775807,12345678901234567890\n-2,NaN,FALSE,2024-01-31,2024-01-31T10:00:00Z,7,1,1\n,1e3,,,,null,,\n"), @r"
    types: i bigint, d double, b boolean, t timestamp, z timestamptz, n bigint, big bigint, long decimal(38, 0)
    1|1.5|true|2024-01-31T10:00:00|2024-01-31T08:00:00Z|∅|9223372036854775807|12345678901234567890
    -2|NaN|false|2024-01-31T00:00:00|2024-01-31T10:00:00Z|7|1|1
    ∅|1000.0|∅|∅|∅|∅|∅|∅
    - `n`: `NA` and `null` mean missing (2 cells)
    - `long`: has numbers of 20 digits
    ");
    insta::assert_snapshot!(shown("codes.csv", "zip,plus,issn,phone_number,mixed\n00501,+31,1234-5678,2053258100,1\n35233,+32,0317-8471,2053258101,x\n"), @r"
    codes: zip text, plus text, issn text, phone_number text, mixed text
    00501|+31|1234-5678|2053258100|1
    35233|+32|0317-8471|2053258101|x
    - `zip`: text, because leading zeros and signs belong to it: `00501` in line 2
    - `plus`: text, because leading zeros and signs belong to it: `+31` in line 2
    - `phone_number`: text, because a column of this name holds codes, not quantities
    ");
    insta::assert_snapshot!(shown("dates.csv", "day,month,both,unknown,first\n31/01/2015,01/31/2015,31/01/2015,01/02/2015,01/02/2015\n01/02/2015,02/01/2015,01/31/2015,02/03/2015,01/03/2015\n03/02/2015,03/01/2015,01/02/2015,02/03/2015,01/11/2015\n"), @r"
    dates: day date, month date, both text, unknown date, first date
    2015-01-31|2015-01-31|31/01/2015|2015-02-01|2015-02-01
    2015-02-01|2015-02-01|01/31/2015|2015-03-02|2015-03-01
    2015-02-03|2015-03-01|01/02/2015|2015-03-02|2015-11-01
    - `day`: dates are day first, because 31/01/2015 is in line 2
    - `month`: dates are month first, because 01/31/2015 is in line 2
    - `both`: text, because `31/01/2015` in line 2 is day first and `01/31/2015` in line 3 is month first
    - `unknown`: dates are day first, which is the more common order, though no date proves it: 01/02/2015 is in line 2
    - `first`: dates are day first, because the first number is always 1, as in 01/02/2015, and the other varies
    ");
    insta::assert_snapshot!(shown("half.csv", "at\n01/02/2015 1:05 PM\n02/03/2015 12:00 AM\n"), @r"
    half: at timestamp
    2015-01-02T13:05:00
    2015-02-03T00:00:00
    - `at`: dates are month first, because its times have AM and PM, though no date proves it: 01/02/2015 1:05 PM is in line 2
    - no separator was found, so each line is one cell
    ");
    insta::assert_snapshot!(shown("nulls.csv", "a,b,c\nNA,NA,-\nx,1,2\n?,\\N,3\n"), @r"
    nulls: a text, b bigint, c bigint
    NA|∅|∅
    x|1|2
    ?|∅|3
    - `a`: `NA` is kept as text (1 cell); --nulls NA makes it NULL
    - `b`: `NA` and `\N` mean missing (2 cells)
    - `c`: `-` means missing (1 cell)
    ");
}

#[test]
fn a_late_surprise_changes_the_type_of_the_whole_column() {
    let bench = Bench::new();
    let mut content = String::from("id,n\n");
    for row in 0..300_000 {
        content += &format!("{row},{row}\n");
    }
    content += "300000,a few\n";
    let report = bench.load(bench.file("late.csv", content));
    assert_eq!(bench.columns("late"), ["id bigint", "n text"]);
    assert_eq!(report.remarks, ["`n`: text, because of `a few` in line 300002"]);
}

#[test]
fn blanks_separate_columns() {
    insta::assert_snapshot!(shown("old.txt", " id  date      amount\n 00001 19970101  11.77\n 00002 19970112   9.00\n"), @r"
    old: id text, date date, amount double
    00001|1997-01-01|11.77
    00002|1997-01-12|9.0
    - `id`: text, because leading zeros and signs belong to it: `00001` in line 2
    - `date`: numbers such as 20150131 are dates here, because of the name and because all of them are valid
    - columns are separated by blanks
    ");
    insta::assert_snapshot!(shown("table.txt", "\"name\" \"n\"\n\"a b\" 1\n\"c\" 2\n"), @r"
    table: name text, n bigint
    a b|1
    c|2
    - columns are separated by blanks
    ");
}

#[test]
fn web_logs_are_read() {
    let log = concat!(
        "83.149.9.216 - - [17/May/2015:10:05:03 +0000] \"GET /a?b=\\\"c\\\" HTTP/1.1\" 200 203023 \"http://x.org/\" \"Mozilla/5.0 (X11)\"\n",
        "::1 - ada [17/May/2015:12:05:03 +0200] \"-\" 408 - \"-\" \"-\"\n",
        "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\\x01\" 400 226\n",
        "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.0\" 200 5 \"-\" \"cut of",
    );
    insta::assert_snapshot!(shown("access.log", log), @r#"
    access: remote_host text, identity text, user_name text, time timestamptz, method text, path text, protocol text, status bigint, bytes bigint, referrer text, user_agent text
    83.149.9.216|∅|∅|2015-05-17T10:05:03Z|GET|/a?b="c"|HTTP/1.1|200|203023|http://x.org/|Mozilla/5.0 (X11)
    ::1|∅|ada|2015-05-17T10:05:03Z|∅|∅|∅|408|∅|∅|∅
    10.0.0.1|∅|∅|2015-05-17T10:05:03Z|∅|\x16\x03\x01|∅|400|226|∅|∅
    10.0.0.1|∅|∅|2015-05-17T10:05:03Z|GET|/|HTTP/1.0|200|5|∅|cut of
    - read as a web server's access log
    "#);
}

#[test]
fn json_keeps_what_is_nested() {
    insta::assert_snapshot!(shown("lines.jsonl", "{\"id\":1,\"tags\":[\"a\",\"b\"],\"who\":{\"name\":\"Ada\",\"born\":\"1815-12-10\"}}\n{\"id\":2.5,\"who\":{\"name\":null},\"new\":true}\n{\"id\":}\n{\"id\":3,\"id\":4}\n"), @r#"
    lines: id double, tags text[], who struct(name text, born date), new boolean
    1.0|[a, b]|{name: Ada, born: 1815-12-10}|∅
    2.5|∅|{name: ∅, born: ∅}|true
    rejected line 3 None: invalid JSON at byte 7: expected value: {"id":}
    rejected line 4 None: the key "id" is there twice: {"id":3,"id":4}
    - read as JSON, one document a line
    "#);
    insta::assert_snapshot!(shown("array.json", "[\n  {\"a\": 1, \"t\": \"2024-01-01T10:00:00Z\"},\n  {\"a\": \"x\", \"t\": null},\n  {\"a\": {\"b\": 2}}\n]\n"), @r#"
    array: a text, t timestamptz
    1|2024-01-01T10:00:00Z
    x|∅
    {"b":2}|∅
    - `a`: kept as JSON text, because it holds numbers and text and objects
    - read as JSON, the elements of one array
    "#);
    insta::assert_snapshot!(shown("pretty.json", "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n"), @r"
    pretty: a bigint
    1
    2
    - read as JSON, documents one after the other
    ");
    // As JSON has no numbers for them, and as they are written.
    insta::assert_snapshot!(shown("odd.jsonl", "{\"f\":1.5,\"i\":1,\"t\":\"NaN\"}\n{\"f\":\"NaN\",\"i\":\"NaN\",\"t\":\"Infinity\"}\n{\"f\":\"-Infinity\",\"i\":2,\"t\":null}\n"), @r"
    odd: f double, i text, t text
    1.5|1|NaN
    NaN|NaN|Infinity
    -inf|2|∅
    - `i`: kept as JSON text, because it holds numbers and text
    - read as JSON, one document a line
    ");
    insta::assert_snapshot!(shown("numbers.json", "[1, 2, 3.5]"), @r"
    numbers: value double
    1.0
    2.0
    3.5
    - read as JSON, the elements of one array
    ");
    insta::assert_snapshot!(shown("big.json", "{\"n\":18446744073709551615}\n{\"n\":1}\n"), @r"
    big: n decimal(20, 0)
    18446744073709551615
    1
    - read as JSON, one document a line
    ");
    insta::assert_snapshot!(shown("cut.json", "[{\"a\":1},{\"a\":2},{\"a\":"), @r#"
    cut: a bigint
    1
    2
    rejected line 1 None: not a whole JSON document: {"a":
    - read as JSON, the elements of one array
    "#);
}

#[test]
fn parquet_and_avro_keep_their_types() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("Customer ID", Arc::new(Int32Array::from(vec![Some(1), None]))),
        ("Word", Arc::new(["a", "b"].into_iter().collect::<DictionaryArray<arrow::datatypes::Int8Type>>())),
        ("At", Arc::new(TimestampNanosecondArray::from(vec![1, 2]).with_timezone("Europe/Amsterdam"))),
        ("Day", Arc::new(Date64Array::from(vec![86_400_000, 0]))),
        (
            "Huge",
            Arc::new(
                Decimal256Array::from(vec![i256::from(5), i256::from(7)]).with_precision_and_scale(60, 1).unwrap(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut parquet = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    insta::assert_snapshot!(shown("p.parquet", parquet), @r"
    p: customer_id integer, word text, at timestamptz, day date, huge text
    1|a|1970-01-01T00:00:00.000000001Z|1970-01-02|0.5
    ∅|b|1970-01-01T00:00:00.000000002Z|1970-01-01|0.7
    - names made safe: `Customer ID` is `customer_id`
    ");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        ("name", Arc::new(StringArray::from(vec![Some("x"), None]))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = arrow_avro::writer::AvroWriter::new(Vec::new(), batch.schema().as_ref().clone()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    insta::assert_snapshot!(shown("a.avro", writer.into_inner()), @r"
    a: id integer, name text
    1|x
    2|∅
    ");
}

#[test]
fn packed_files_are_unpacked() {
    let csv = b"a,b\n1,x\n2,y\n";
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(csv).unwrap();
    let gz = gz.finish().unwrap();
    let zst = zstd::encode_all(&csv[..], 3).unwrap();
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    bz.write_all(csv).unwrap();
    for (name, content) in [
        ("t.csv.gz", gz.clone()),
        ("t.csv.zst", zst),
        ("t.csv.bz2", bz.finish().unwrap()),
        // Known by its content, whatever it is called.
        ("t.csv", gz.clone()),
        ("t.csv.zip", zip(&[("t.csv", csv)])),
        ("inner.zip", zip(&[("t.csv.gz", &gz)])),
    ] {
        let bench = Bench::new();
        let report = bench.load(bench.file(name, content));
        assert_eq!((report.table.as_str(), report.rows_loaded), ("public.t", 2), "{name}");
    }
}

#[test]
fn each_member_of_a_zip_is_a_table_and_its_name_no_path() {
    let bench = Bench::new();
    let archive = zip(&[
        ("../../etc/evil.csv", b"a\n1\n"),
        ("in/t.csv", b"b\n2\n"),
        ("__MACOSX/in/._t.csv", b"\0\0"),
        ("pic.png", b"\x89PNG."),
    ]);
    let report = bench.load_request(bench.request(bench.file("all.zip", archive)));
    let tables: Vec<&str> = report.tables.iter().map(|table| table.table.as_str()).collect();
    assert_eq!(tables, ["public.evil", "public.t"]);
    let files: Vec<_> =
        std::fs::read_dir(bench.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
}

pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_sheet_of_a_workbook_is_a_table() {
    let sheet = |rows: &str| {
        format!(
            "<?xml version=\"1.0\"?><worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{rows}</sheetData></worksheet>"
        )
    };
    let text = |at: &str, value: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{value}</t></is></c>");
    let number = |at: &str, value: &str| format!("<c r=\"{at}\"><v>{value}</v></c>");
    let date = |at: &str, value: &str| format!("<c r=\"{at}\" s=\"1\"><v>{value}</v></c>");
    let first = sheet(&format!(
        "<row r=\"2\">{}{}{}</row><row r=\"3\">{}{}{}</row><row r=\"5\">{}{}<c r=\"D5\" t=\"e\"><v>#DIV/0!</v></c></row>",
        text("B2", "City"),
        text("C2", "Since"),
        text("D2", "People"),
        text("B3", "Delft"),
        date("C3", "36526"),
        number("D3", "104000"),
        text("B5", "Goes"),
        date("C5", "45943.5"),
    ));
    let second = sheet(&format!("<row r=\"1\">{}</row><row r=\"2\">{}</row>", text("A1", "code"), text("A2", "007")));
    let main = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
    let book = format!(
        "<?xml version=\"1.0\"?><workbook {main}><sheets><sheet name=\"My Towns\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"codes\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>"
    );
    let relations = "<?xml version=\"1.0\"?><Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet2.xml\"/></Relationships>";
    let styles = format!(
        "<?xml version=\"1.0\"?><styleSheet {main}><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
    );
    let content = zip(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/worksheets/sheet1.xml", first.as_bytes()),
        ("xl/worksheets/sheet2.xml", second.as_bytes()),
    ]);
    insta::assert_snapshot!(shown("Book.xlsx", content), @r"
    book_my_towns: city text, since timestamp, people bigint
    Delft|2000-01-01T00:00:00|104000
    Goes|2025-10-13T12:00:00|∅
    - 1 cell with an error such as #DIV/0! are missing
    book_codes: code text
    007
    - `code`: text, because leading zeros and signs belong to it: `007` in line 2
    ");
}

#[test]
fn open_document_sheets_are_read() {
    let cell = |kind: &str, value: &str, text: &str| {
        format!("<table:table-cell office:value-type=\"{kind}\" {value}><text:p>{text}</text:p></table:table-cell>")
    };
    let rows = [
        vec![cell("string", "", "day"), cell("string", "", "n")],
        vec![
            cell("date", "office:date-value=\"2024-01-31\"", "31-01-24"),
            cell("float", "office:value=\"1.5\"", "1,5"),
        ],
        vec![cell("date", "office:date-value=\"2024-02-01\"", "01-02-24"), cell("string", "", "n/a")],
    ];
    let rows: String =
        rows.iter().map(|cells| format!("<table:table-row>{}</table:table-row>", cells.concat())).collect();
    let content = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:spreadsheet><table:table table:name=\"Blad1\">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    let book = zip(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", content.as_bytes()),
        (
            "META-INF/manifest.xml",
            b"<manifest:manifest xmlns:manifest='urn:oasis:names:tc:opendocument:xmlns:manifest:1.0'/>",
        ),
    ]);
    insta::assert_snapshot!(shown("cijfers.ods", book), @r"
    cijfers: day date, n double
    2024-01-31|1.5
    2024-02-01|∅
    - `n`: `n/a` means missing (1 cell)
    ");
}

#[test]
fn types_that_no_table_holds_can_be_left_out() {
    use arrow::array::IntervalDayTimeArray;
    use arrow::datatypes::IntervalDayTime;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int32Array::from(vec![1]))),
        ("span", Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 2)]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut content = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut content, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let bench = Bench::new();
    let path = bench.file("spans.parquet", content);
    let message = bench.fail(bench.request(&path));
    assert!(message.starts_with("column `span` is Interval(DayTime), which no table can hold"), "{message}");
    let skip = polder_capability::ColumnChoice { source: "span".into(), skip: true, ..Default::default() };
    let options = LoadOptions { columns: vec![skip], ..LoadOptions::default() };
    bench.load_request(polder_capability::LoadRequest { options, ..bench.request(&path) });
    assert_eq!(bench.columns("spans"), ["n integer"]);
}
