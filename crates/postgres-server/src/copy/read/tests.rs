use arrow::array::AsArray;
use arrow::util::pretty::pretty_format_batches;

use super::*;
use crate::sql::copy_options::read;
use crate::sql::scan::scan;
use crate::types::Kind;

fn reader(options: &str) -> CopyReader {
    let column = |name: &str| Column { name: name.into(), kind: Kind::text(), modifier: -1, origin: (0, 0) };
    CopyReader::new(read(&scan(options), false).unwrap(), vec![column("a"), column("b")])
}

fn rows(options: &str, data: &[u8]) -> Result<Vec<(Option<String>, Option<String>)>> {
    let mut reader = reader(options);
    // One byte at a time: pieces end anywhere.
    for byte in data {
        assert!(reader.feed(&[*byte])?.is_none());
    }
    let Some(batch) = reader.finish()? else { return Ok(Vec::new()) };
    let texts = |at: usize| batch.column(at).as_string::<i32>().iter().map(|text| text.map(str::to_owned));
    Ok(texts(0).zip(texts(1)).collect())
}

fn some(a: &str, b: &str) -> (Option<String>, Option<String>) {
    (Some(a.into()), Some(b.into()))
}

#[test]
fn rows_come_out_of_pieces() {
    assert_eq!(rows("", b"1\tx\n2\t\\N\n").unwrap(), [some("1", "x"), (Some("2".into()), None)]);
    assert_eq!(rows("", b"1\tx\n\\.\n2\ty\n").unwrap(), [some("1", "x")]);
    assert_eq!(rows("", b"1\tlast").unwrap(), [some("1", "last")]);
    assert_eq!(rows("", b"1\tx\r2\ty\r").unwrap(), [some("1", "x"), some("2", "y")]);
    assert_eq!(rows("", b"1\tx\r\n2\ty").unwrap(), [some("1", "x"), some("2", "y")]);
    assert_eq!(rows("CSV HEADER", b"a,b\r\n1,\"x\ny\"\r\n").unwrap(), [some("1", "x\ny")]);
    let forced = "(FORMAT csv, FORCE_NULL (b), FORCE_NOT_NULL (a))";
    assert_eq!(rows(forced, b",\"\"\n").unwrap(), [(Some(String::new()), None)]);
}

#[test]
fn wrong_rows_say_where_they_are() {
    for (options, data, message, place) in [
        ("", &b"1\tx\n2\n"[..], "missing data for column \"b\"", "line 2: \"2\""),
        ("", b"1\tx\ty\n", "extra data after last expected column", "line 1: \"1\tx\ty\""),
        ("CSV", b"1,\"x\n", "unterminated CSV quoted field", "line 1: \"1,\"x\n\""),
        ("CSV", b"1,x\n1,\"x\ny\"\n2\n", "missing data for column \"b\"", "line 4: \"2\""),
        ("", b"1\tx\n2\ty\r\n", "literal carriage return found in data", "line 2"),
        ("CSV", b"1,x\r\n2,y\n", "unquoted newline found in data", "line 2"),
        ("", b"1\tx\n\\.", "end-of-copy marker corrupt", "line 2"),
        (
            "(FORMAT csv, HEADER match)",
            b"a,c\n",
            "the names in the header line are not those of the columns",
            "line 1: \"a,c\"",
        ),
    ] {
        let error = rows(options, data).unwrap_err();
        assert_eq!((error.message(), error.place()), (message, Some(place)));
    }
}

#[test]
fn large_input_comes_in_batches() {
    let mut reader = reader("");
    let batch = reader.feed("1\tx\n".repeat(BATCH_ROWS).as_bytes()).unwrap().unwrap();
    assert_eq!(batch.num_rows(), BATCH_ROWS);
    assert!(reader.finish().unwrap().is_none());
    assert!(pretty_format_batches(&[batch.slice(0, 1)]).unwrap().to_string().contains("| 1 | x |"));
}

#[test]
fn other_encodings_come_in() {
    assert_eq!(rows("(ENCODING 'LATIN1')", b"\xe9\t\xff\n").unwrap(), [some("é", "ÿ")]);
    assert_eq!(rows("(FORMAT csv, ENCODING 'SJIS')", b"\x83\x5c,\"\x83\x5c\"\n").unwrap(), [some("ソ", "ソ")]);
    assert_eq!(rows("(ENCODING 'WIN1252')", b"a\tb\n\x81\tb\n").unwrap_err().code(), "22P05");
    assert_eq!(rows("(ENCODING 'EUC_JP')", b"a\tb\na\t\xa5").unwrap_err().code(), "22021");
    assert_eq!(rows("", b"\xe9\tb\n").unwrap_err().code(), "22021");
}

#[test]
fn what_stands_before_an_error_is_handed_on() {
    let mut cut_off = reader("CSV");
    assert_eq!(cut_off.feed(b"1,x\n2\n").unwrap_err().code(), "22P04");
    let before = cut_off.before_error().unwrap();
    let shape: Vec<_> = before.iter().map(|batch| (batch.num_rows(), batch.num_columns())).collect();
    // Each with its lines behind.
    assert_eq!(shape, [(1, 3), (1, 2)]);
    let mut broken = reader("");
    assert_eq!(broken.feed(b"1\tx\n2\t\xff\n").unwrap_err().code(), "22021");
    assert_eq!(broken.before_error().unwrap().iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1]);
}
