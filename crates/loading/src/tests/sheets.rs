//! Sheets as other programs write them.

use std::fmt::Write;

use super::formats::zip;
use super::memory::{Bench, shown};

const MAIN: &str = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";

/// A workbook of one sheet. Empty cells are left out, as Excel does.
fn book(rows: &[Vec<String>]) -> Vec<u8> {
    let mut cells = String::new();
    for (row, values) in (1..).zip(rows) {
        write!(cells, "<row r=\"{row}\">").unwrap();
        for (column, value) in ('A'..='Z').zip(values).filter(|(_, value)| !value.is_empty()) {
            let at = format!("{column}{row}");
            match value.parse::<f64>() {
                Ok(number) => write!(cells, "<c r=\"{at}\"><v>{number}</v></c>"),
                Err(_) => write!(cells, "<c r=\"{at}\" t=\"inlineStr\"><is><t>{value}</t></is></c>"),
            }
            .unwrap();
        }
        cells += "</row>";
    }
    let sheet = format!("<?xml version=\"1.0\"?><worksheet {MAIN}><sheetData>{cells}</sheetData></worksheet>");
    let book = format!(
        "<?xml version=\"1.0\"?><workbook {MAIN}><sheets><sheet name=\"one\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
    );
    let relations = "<?xml version=\"1.0\"?><Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>";
    zip(&[
        ("xl/workbook.xml", book.as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ])
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[test]
fn no_row_of_a_long_sheet_is_lost() {
    let mut rows = vec![row(&["id", "note"])];
    for id in 1..=1000_usize {
        // Cells of every length up to 300 bytes.
        rows.push(vec![id.to_string(), "x".repeat(1 + id % 300)]);
    }
    let bench = Bench::new();
    let report = bench.load(bench.file("long.xlsx", book(&rows)));
    assert_eq!((report.rows_loaded, report.rows_rejected), (1000, 0));
    assert_eq!(bench.columns("long"), ["id bigint", "note text"]);
    assert_eq!(bench.count("long"), 1000);
}

#[test]
fn a_title_is_no_header() {
    let title = [row(&["Report of May"]), row(&["a", "b", "c"]), row(&["1", "2", "3"]), row(&["4", "5", "6"])];
    insta::assert_snapshot!(shown("title.xlsx", book(&title)), @r"
    title: a bigint, b bigint, c bigint
    1|2|3
    4|5|6
    rejected line 1 None: stands before the header: Report of May
    ");
    // A column without a name is no title's.
    let unnamed = [row(&["town"]), row(&["Delft", "x"]), row(&["Goes", "y"])];
    insta::assert_snapshot!(shown("unnamed.xlsx", book(&unnamed)), @r"
    unnamed: town text, column_2 text
    Delft|x
    Goes|y
    - names made safe: `` is `column_2`
    ");
}
