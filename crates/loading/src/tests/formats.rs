//! What each format brings.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date64Array, Decimal256Array, DictionaryArray, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::i256;
use polder_capability::LoadOptions;

use super::memory::{Bench, shown, shown_with};

#[test]
fn separators_quotes_and_headers_are_found() {
    insta::assert_snapshot!(shown("tabs.tsv", "a\tb\n1\tx, y\n2\t\"q\tz\"\n"), @"");
    insta::assert_snapshot!(shown("bars.txt", "1|x|2.5\n2|y|3\n"), @"");
    insta::assert_snapshot!(shown("semicolons.csv", "naam;prijs;aantal\nmelk;1,25;3\nbrood;2,5;4\n"), @"");
    insta::assert_snapshot!(shown("single.csv", "'a','b'\n'x, y','it''s'\n"), @"");
    insta::assert_snapshot!(shown("escaped.csv", "a,b\n\"say \\\"hi\\\"\",1\n\"x\",2\n"), @"");
    insta::assert_snapshot!(shown("mac.csv", "a,b\r1,2\r3,4\r"), @"");
    insta::assert_snapshot!(shown("lines.csv", "id,note\r\n1,\"two\r\nlines\"\r\n2,\"\"\r\n3,\r\n"), @"");
    insta::assert_snapshot!(shown("one.txt", "name\nAda\nGrace\n"), @"");
    insta::assert_snapshot!(shown("years.csv", "country,2019,2020\nNL,17.3,17.4\nBE,11.4,11.5\n"), @"");
    insta::assert_snapshot!(shown("title.csv", "Report of May\n\na,b,c\n1,2,3\n4,5,6\n"), @"");
    insta::assert_snapshot!(shown("names.csv", "Naam,naam,,\"Prijs (€)\",2019,a b\nx,y,z,1,2,3\n"), @"");
    insta::assert_snapshot!(shown("row_names.csv", "mpg,cyl,disp\nMazda,21,6,160\nDatsun,22.8,4,108\n"), @"");
    insta::assert_snapshot!(shown("spaces.csv", "a, b\n1, \"x, y\"\n2, z\n"), @"");
    insta::assert_snapshot!(shown("empty.csv", "a,b,c\n"), @"");
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
    insta::assert_snapshot!(shown("latin.csv", b"naam,stad\nZo\xeb,K\xf6ln\nAnn,Delft\n"), @"");
    insta::assert_snapshot!(shown("broken.csv", b"naam,stad\nZo\xc3\xab,K\xc3\xb6ln\nAn\xffn,Delft\nBob,Goes\n"), @"");
    let options = LoadOptions { encoding: Some("windows-1251".into()), ..LoadOptions::default() };
    insta::assert_snapshot!(shown_with("cyrillic.csv", b"a,b\n\xcf\xf0\xe8\xe2\xe5\xf2,1\n", options), @"");
}

#[test]
fn types_are_decided_over_the_whole_file() {
    insta::assert_snapshot!(shown("types.csv", "i,d,b,t,z,n,big,long\n1,1.5,true,2024-01-31 10:00:00,2024-01-31T10:00:00+02:00,NA,9223372036854775807,12345678901234567890\n-2,NaN,FALSE,2024-01-31,2024-01-31T10:00:00Z,7,1,1\n,1e3,,,,null,,\n"), @"");
    insta::assert_snapshot!(shown("codes.csv", "zip,plus,issn,phone_number,mixed\n00501,+31,1234-5678,2053258100,1\n35233,+32,0317-8471,2053258101,x\n"), @"");
    insta::assert_snapshot!(shown("dates.csv", "day,month,both,unknown,first\n31/01/2015,01/31/2015,31/01/2015,01/02/2015,01/02/2015\n01/02/2015,02/01/2015,01/31/2015,02/03/2015,01/03/2015\n03/02/2015,03/01/2015,01/02/2015,02/03/2015,01/11/2015\n"), @"");
    insta::assert_snapshot!(shown("half.csv", "at\n01/02/2015 1:05 PM\n02/03/2015 12:00 AM\n"), @"");
    insta::assert_snapshot!(shown("nulls.csv", "a,b,c\nNA,NA,-\nx,1,2\n?,\\N,3\n"), @"");
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
    insta::assert_snapshot!(shown("old.txt", " id  date      amount\n 00001 19970101  11.77\n 00002 19970112   9.00\n"), @"");
    insta::assert_snapshot!(shown("table.txt", "\"name\" \"n\"\n\"a b\" 1\n\"c\" 2\n"), @"");
}

#[test]
fn web_logs_are_read() {
    let log = concat!(
        "83.149.9.216 - - [17/May/2015:10:05:03 +0000] \"GET /a?b=\\\"c\\\" HTTP/1.1\" 200 203023 \"http://x.org/\" \"Mozilla/5.0 (X11)\"\n",
        "::1 - ada [17/May/2015:12:05:03 +0200] \"-\" 408 - \"-\" \"-\"\n",
        "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\\x01\" 400 226\n",
        "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.0\" 200 5 \"-\" \"cut of",
    );
    insta::assert_snapshot!(shown("access.log", log), @"");
}

#[test]
fn json_keeps_what_is_nested() {
    insta::assert_snapshot!(shown("lines.jsonl", "{\"id\":1,\"tags\":[\"a\",\"b\"],\"who\":{\"name\":\"Ada\",\"born\":\"1815-12-10\"}}\n{\"id\":2.5,\"who\":{\"name\":null},\"new\":true}\n{\"id\":}\n{\"id\":3,\"id\":4}\n"), @"");
    insta::assert_snapshot!(shown("array.json", "[\n  {\"a\": 1, \"t\": \"2024-01-01T10:00:00Z\"},\n  {\"a\": \"x\", \"t\": null},\n  {\"a\": {\"b\": 2}}\n]\n"), @"");
    insta::assert_snapshot!(shown("pretty.json", "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}\n"), @"");
    insta::assert_snapshot!(shown("numbers.json", "[1, 2, 3.5]"), @"");
    insta::assert_snapshot!(shown("big.json", "{\"n\":18446744073709551615}\n{\"n\":1}\n"), @"");
    insta::assert_snapshot!(shown("cut.json", "[{\"a\":1},{\"a\":2},{\"a\":"), @"");
}

#[test]
fn parquet_and_avro_keep_their_types() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("Customer ID", Arc::new(Int32Array::from(vec![Some(1), None]))),
        ("Word", Arc::new(["a", "b"].into_iter().collect::<DictionaryArray<arrow::datatypes::Int8Type>>())),
        ("At", Arc::new(TimestampNanosecondArray::from(vec![1, 2]).with_timezone("Europe/Amsterdam"))),
        ("Day", Arc::new(Date64Array::from(vec![86_400_000, 0]))),
        ("Huge", Arc::new(Decimal256Array::from(vec![i256::from(5), i256::from(7)]).with_precision_and_scale(60, 1).unwrap())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut parquet = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    insta::assert_snapshot!(shown("p.parquet", parquet), @"");
    let columns: Vec<(&str, ArrayRef)> =
        vec![("id", Arc::new(Int32Array::from(vec![1, 2]))), ("name", Arc::new(StringArray::from(vec![Some("x"), None])))];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = arrow_avro::writer::AvroWriter::new(Vec::new(), batch.schema().as_ref().clone()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    insta::assert_snapshot!(shown("a.avro", writer.into_inner()), @"");
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
    let archive = zip(&[("../../etc/evil.csv", b"a\n1\n"), ("in/t.csv", b"b\n2\n"), ("__MACOSX/in/._t.csv", b"\0\0"), ("pic.png", b"\x89PNG.")]);
    let report = bench.load_request(bench.request(bench.file("all.zip", archive)));
    let tables: Vec<&str> = report.tables.iter().map(|table| table.table.as_str()).collect();
    assert_eq!(tables, ["public.evil", "public.t"]);
    let files: Vec<_> = std::fs::read_dir(bench.directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
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
    let sheet = |rows: &str| format!("<?xml version=\"1.0\"?><worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{rows}</sheetData></worksheet>");
    let text = |at: &str, value: &str| format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{value}</t></is></c>");
    let number = |at: &str, value: &str| format!("<c r=\"{at}\"><v>{value}</v></c>");
    let date = |at: &str, value: &str| format!("<c r=\"{at}\" s=\"1\"><v>{value}</v></c>");
    let first = sheet(&format!(
        "<row r=\"2\">{}{}{}</row><row r=\"3\">{}{}{}</row><row r=\"5\">{}{}<c r=\"D5\" t=\"e\"><v>#DIV/0!</v></c></row>",
        text("B2", "City"), text("C2", "Since"), text("D2", "People"),
        text("B3", "Delft"), date("C3", "36526"), number("D3", "104000"),
        text("B5", "Goes"), date("C5", "45943.5"),
    ));
    let second = sheet(&format!("<row r=\"1\">{}</row><row r=\"2\">{}</row>", text("A1", "code"), text("A2", "007")));
    let main = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
    let book = format!("<?xml version=\"1.0\"?><workbook {main}><sheets><sheet name=\"My Towns\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"codes\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>");
    let relations = "<?xml version=\"1.0\"?><Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet2.xml\"/></Relationships>";
    let styles = format!("<?xml version=\"1.0\"?><styleSheet {main}><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>");
    let content = zip(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/styles.xml", styles.as_bytes()),
        ("xl/worksheets/sheet1.xml", first.as_bytes()),
        ("xl/worksheets/sheet2.xml", second.as_bytes()),
    ]);
    insta::assert_snapshot!(shown("Book.xlsx", content), @"");
}

#[test]
fn open_document_sheets_are_read() {
    let cell = |kind: &str, value: &str, text: &str| format!("<table:table-cell office:value-type=\"{kind}\" {value}><text:p>{text}</text:p></table:table-cell>");
    let rows = [
        vec![cell("string", "", "day"), cell("string", "", "n")],
        vec![cell("date", "office:date-value=\"2024-01-31\"", "31-01-24"), cell("float", "office:value=\"1.5\"", "1,5")],
        vec![cell("date", "office:date-value=\"2024-02-01\"", "01-02-24"), cell("string", "", "n/a")],
    ];
    let rows: String = rows.iter().map(|cells| format!("<table:table-row>{}</table:table-row>", cells.concat())).collect();
    let content = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\" xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:spreadsheet><table:table table:name=\"Blad1\">{rows}</table:table></office:spreadsheet></office:body></office:document-content>");
    let book = zip(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", content.as_bytes())]);
    insta::assert_snapshot!(shown("cijfers.ods", book), @"");
}
