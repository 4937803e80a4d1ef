use super::*;
use crate::sql::copy_options::read;
use crate::sql::scan::scan;

fn options(sql: &str) -> CopyOptions {
    read(&scan(sql), false).unwrap()
}

fn text(value: &str) -> Field {
    Field::Text(value.as_bytes().to_vec())
}

#[test]
fn fields_of_the_text_format_are_unescaped() {
    for (line, expected) in [
        ("a\tb", vec![text("a"), text("b")]),
        ("", vec![text("")]),
        ("\\N\t", vec![Field::Null, text("")]),
        ("a\\tb\\\\\\n", vec![text("a\tb\\\n")]),
        ("a\\\tb", vec![text("a\tb")]),
        ("\\101\\x42", vec![text("AB")]),
        ("a\\", vec![text("a\\")]),
    ] {
        assert_eq!(text_fields(line.as_bytes(), &options("")), expected, "{line:?}");
    }
}

#[test]
fn fields_of_csv_know_quotes() {
    let csv = options("(FORMAT csv)");
    let fields = |line: &str| csv_fields(line.as_bytes(), &csv, |_, text, quoted| !quoted && text.is_empty());
    assert_eq!(fields("a,\"b,\"\"c\"\"\",").unwrap(), [text("a"), text("b,\"c\""), Field::Null]);
    assert_eq!(fields("\"\"").unwrap(), [text("")]);
    assert_eq!(fields("").unwrap(), [Field::Null]);
    assert_eq!(fields("\"a").unwrap_err().code(), "22P04");
}

#[test]
fn lines_end_outside_of_quotes_and_escapes() {
    let csv = options("(FORMAT csv)");
    let mut ends = LineEnds::default();
    let next = |ends: &mut LineEnds, data: &[u8], options: &CopyOptions| ends.next(data, options, false).unwrap();
    assert_eq!(next(&mut ends, b"a,\"b\n", &csv), None);
    assert!(ends.is_open());
    assert_eq!(next(&mut ends, b"a,\"b\nc\"\r\nd", &csv), Some((6, 2)));
    let plain = options("");
    let mut ends = LineEnds::default();
    assert_eq!(next(&mut ends, b"a\\", &plain), None);
    assert_eq!(next(&mut ends, b"a\\\nb\n", &plain), Some((4, 1)));
}

#[test]
fn lines_end_as_the_first_one_does() {
    let plain = options("");
    let next = |ends: &mut LineEnds, data: &[u8]| ends.next(data, &plain, false);
    for (first, wanted, wrong) in [
        (&b"a\nb"[..], (1, 1), &b"b\rc\n"[..]),
        (b"a\r\nb", (1, 2), b"b\n"),
        (b"a\r\n", (1, 2), b"b\rc"),
        (b"a\rb", (1, 1), b"b\n"),
    ] {
        let mut ends = LineEnds::default();
        assert_eq!(next(&mut ends, first).unwrap(), Some(wanted), "{first:?}");
        assert_eq!(next(&mut ends, wrong).unwrap_err().code(), "22P04", "{first:?}");
    }
    // What follows a carriage return says what it is; at the end of all it is one by itself.
    let mut ends = LineEnds::default();
    assert_eq!(next(&mut ends, b"a\r").unwrap(), None);
    assert_eq!(ends.next(b"a\r", &plain, true).unwrap(), Some((1, 1)));
    let csv = options("CSV");
    assert_eq!(LineEnds::default().next(b"\"a\r\nb\"\n", &csv, false).unwrap(), Some((6, 1)));
}
