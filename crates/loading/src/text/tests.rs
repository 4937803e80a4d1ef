//! Any way of cutting gives the same records as reading from front to back.

use std::sync::Arc;

use bytes::Bytes;
use polder_runtime::SystemClock;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::block::{Block, Records};
use super::layout;
use super::split::{Fault, Scan, Splitter};
use super::units::{Cut, Cutter};
use crate::format::blanks::Blanks;
use crate::format::csv::Dialect;
use crate::format::workbook::Frames;
use crate::progress::{Job, Progress};
use crate::source::spool::Body;

/// What a simple reader of RFC 4180 makes of a text.
fn reference(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv_core::Reader::new();
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text;
    loop {
        let mut buffer = [0; 64];
        let (result, read, written) = reader.read_field(rest, &mut buffer);
        rest = &rest[read..];
        field.extend_from_slice(&buffer[..written]);
        match result {
            csv_core::ReadFieldResult::Field { record_end } => {
                row.push(String::from_utf8(std::mem::take(&mut field)).unwrap());
                if record_end {
                    rows.push(std::mem::take(&mut row));
                }
            }
            csv_core::ReadFieldResult::End => return rows,
            _ => {}
        }
    }
}

/// All records of a text, scanned from front to back, in pieces that end where `cut` says.
fn in_pieces(dialect: &Dialect, text: &[u8], least: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = dialect.cut(rest, least.clamp(1, rest.len()), true).unwrap();
        assert!(end > 0);
        rows.extend(scan_all(dialect, &rest[..end]));
        rest = &rest[end..];
    }
    rows
}

fn scan_all(dialect: &Dialect, text: &[u8]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut at, mut fields) = (0, Vec::new());
    while at < text.len() {
        fields.clear();
        let scan = dialect.scan(text, at, true, &mut fields);
        match scan {
            Scan::Record { .. } => rows.push(fields.iter().map(|field| layout::text(dialect, text, field)).collect()),
            Scan::Broken { end, fault } => {
                rows.push(vec![format!("{fault:?}"), String::from_utf8_lossy(&text[at..end]).into_owned()]);
            }
            Scan::Blank { .. } => {}
            Scan::More => panic!("more is wanted of a whole text"),
        }
        at = scan.end().unwrap();
    }
    rows
}

/// A cell, quoted as a writer would.
fn written(cell: &str, quote: bool) -> String {
    if quote || cell.contains(['"', ',', '\n', '\r']) || cell.starts_with(' ') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

prop_compose! {
    fn table()(width in 2_usize..5)(
        rows in prop::collection::vec(prop::collection::vec(("[ab\",\r\n é0-9]{0,6}", any::<bool>()), width), 0..30),
        newline in prop_oneof![Just("\n"), Just("\r\n")],
        ends in any::<bool>(),
    ) -> String {
        let lines: Vec<String> = rows
            .iter()
            .map(|row| row.iter().map(|(cell, quote)| written(cell, *quote)).collect::<Vec<_>>().join(","))
            .collect();
        let mut text = lines.join(newline);
        if ends && !text.is_empty() {
            text.push_str(newline);
        }
        text
    }
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_rows_of_a_simple_reader(text in table(), least in 1_usize..200) {
        let dialect = Dialect::default();
        prop_assert_eq!(scan_all(&dialect, text.as_bytes()), reference(text.as_bytes()));
        prop_assert_eq!(in_pieces(&dialect, text.as_bytes(), least), reference(text.as_bytes()));
    }

    #[test]
    fn pieces_of_any_size_break_at_the_same_lines(text in "[a\",\n\\\\ \r]{0,200}", least in 1_usize..100, escape in any::<bool>()) {
        let dialect = Dialect { escape: escape.then_some(b'\\'), ..Dialect::default() };
        // A quote that is closed beyond the piece is told as never closed; the line is the same.
        let lines = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
            rows.into_iter()
                .map(|mut row| {
                    if row[0] == format!("{:?}", Fault::TextAfterQuote) {
                        row[0] = format!("{:?}", Fault::QuoteNeverClosed);
                    }
                    row
                })
                .collect()
        };
        let whole = lines(scan_all(&dialect, text.as_bytes()));
        prop_assert_eq!(lines(in_pieces(&dialect, text.as_bytes(), least)), whole);
    }

    #[test]
    fn a_growing_buffer_gives_the_same_record(text in "[a\",\n\r ]{1,60}") {
        let dialect = Dialect::default();
        let (mut whole, mut part) = (Vec::new(), Vec::new());
        let expected = dialect.scan(text.as_bytes(), 0, true, &mut whole);
        for end in 0..text.len() {
            part.clear();
            match dialect.scan(&text.as_bytes()[..end], 0, false, &mut part) {
                Scan::More => {}
                found => {
                    prop_assert_eq!(found.end(), expected.end(), "{:?} of {:?}", &text[..end], text);
                }
            }
        }
    }
}

struct Cuts(Dialect);

impl Cut for Cuts {
    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize> {
        self.0.cut(buffer, least, last)
    }

    fn lines(&self, bytes: &[u8]) -> u64 {
        self.0.lines(bytes)
    }
}

/// A file and the same bytes in memory are cut into the same records, with the right line numbers.
#[test]
fn files_and_memory_are_cut_alike() {
    let mut text = String::new();
    for row in 0..400_000 {
        let note = if row % 7 == 0 { "\"two\nlines, \"\"quoted\"\"\"" } else { "plain" };
        text += &format!("{row},{note}\n");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rows.csv");
    std::fs::write(&path, &text).unwrap();
    let progress = Arc::new(Progress::new(Arc::new(SystemClock)));
    let job = Job::new(CancellationToken::new(), progress, directory.path().to_owned());
    job.check().unwrap();
    for body in [Body::memory(Bytes::from(text.clone())), Body::file(&path, None).unwrap()] {
        let cuts = Cuts(Dialect::default());
        let mut cutter = Cutter::new(&body, &cuts, 0, 1).unwrap();
        let (mut rows, mut units, mut block) = (0_u64, 0, Block::default());
        while let Some((unit, bytes)) = cutter.next().unwrap() {
            assert!(unit.len < 2 << 20);
            assert_eq!(unit.read(&mut body.reader().unwrap()).unwrap(), bytes);
            units += 1;
            let mut records = Records::new(&cuts.0, &bytes, 2, unit.line);
            while records.next(&mut block) {
                assert!(block.bad.is_empty());
                for row in &block.rows {
                    // Each seventh row takes two lines.
                    let line = rows + 1 + rows.div_ceil(7);
                    assert_eq!(row.line, line);
                    rows += 1;
                }
            }
        }
        assert_eq!(rows, 400_000);
        assert!(units > 3, "{units}");
    }
}

/// Numbers and lengths in front of cells are no text: rows 128 and 384 and cells of 200 bytes are as good as others.
#[test]
fn only_the_cells_of_a_frame_are_text() {
    let frame = |row: u32, cells: &[&[u8]]| -> Vec<u8> {
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut bytes = [row.to_le_bytes(), number(cells.len())].concat();
        for cell in cells {
            bytes.extend(number(cell.len()));
            bytes.extend(*cell);
        }
        bytes
    };
    let long = "é".repeat(100);
    let mut buffer = Vec::new();
    for row in 1..=600_u32 {
        buffer.extend(frame(row, &[row.to_string().as_bytes(), long.as_bytes()]));
    }
    buffer.extend(frame(601, &[&b"\xff"[..], b"x"]));
    buffer.extend(frame(602, &[&b"a\0"[..], b"x"]));
    let (mut records, mut block) = (Records::new(&Frames, &buffer, 2, 1), Block::default());
    assert!(records.next(&mut block));
    assert_eq!(block.rows.iter().map(|row| row.line).collect::<Vec<_>>(), (1..=600_u64).collect::<Vec<_>>());
    let bad: Vec<_> = block.bad.iter().map(|bad| (bad.row.line, bad.fault)).collect();
    assert_eq!(bad, [(601, Fault::InvalidEncoding), (602, Fault::ZeroByte)]);
}

#[test]
fn blanks_split_words() {
    let check = |line: &str, expected: &[&str]| {
        let mut fields = Vec::new();
        let splitter = Blanks { quote: Some(b'"') };
        splitter.scan(line.as_bytes(), 0, true, &mut fields);
        let words: Vec<&str> =
            fields.iter().map(|field| std::str::from_utf8(field.bytes(line.as_bytes())).unwrap()).collect();
        assert_eq!(words, expected, "{line:?}");
    };
    check("a b", &["a", "b"]);
    check("  a \t b  \r\n", &["a", "b"]);
    check("\"a b\" c", &["a b", "c"]);
    check("\"a b c", &["\"a", "b", "c"]);
    check("\"a\"b c", &["\"a\"b", "c"]);
    check("   ", &[]);
}
