//! Where in what a client copies something stands, in PostgreSQL's words: `line 3, column a: "x"`.

use std::collections::HashMap;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, UInt64Type};

/// The key of the metadata of the field that has the rows' lines, behind the columns of a batch.
const LINES: &str = "polder:copy_lines";

/// What that says of a copy whose values are no texts: they are not shown.
const BINARY: &str = "binary";

/// Bytes of a line or a value that are shown, as many as PostgreSQL shows.
const SHOWN_BYTES_MAX: usize = 100;

/// The field of the column behind those of [`crate::RowsIn`] that has the line of each row.
#[must_use]
pub fn copy_lines_field(binary: bool) -> Field {
    let format = if binary { BINARY } else { "text" };
    let metadata = HashMap::from([(LINES.to_owned(), format.to_owned())]);
    Field::new("line", DataType::UInt64, false).with_metadata(metadata)
}

/// How many columns of a batch have values: all, but for the one of lines.
#[must_use]
pub fn copied_columns(batch: &RecordBatch) -> usize {
    batch.num_columns() - usize::from(lines(batch).is_some())
}

fn lines(batch: &RecordBatch) -> Option<(&ArrayRef, bool)> {
    let schema = batch.schema_ref();
    let format = schema.fields().last()?.metadata().get(LINES)?;
    Some((batch.columns().last()?, format == BINARY))
}

/// Where a value of a batch stands: of what was sent by lines.
#[must_use]
pub fn place_of_value(batch: &RecordBatch, row: usize, column: &str, texts: &ArrayRef) -> Option<String> {
    let (lines, binary) = lines(batch)?;
    let line = lines.as_primitive_opt::<UInt64Type>()?.values().get(row)?;
    let mut place = format!("line {line}, column {column}");
    if let Some(texts) = texts.as_string_opt::<i32>().filter(|_| !binary) {
        let shown = texts.iter().nth(row).flatten().map(|text| format!(": \"{}\"", clipped(text)));
        place.push_str(shown.as_deref().unwrap_or(": null input"));
    }
    Some(place)
}

/// Where a line stands. `text`: the line, if it has been read to its end.
#[must_use]
pub fn place_of_line(line: u64, text: Option<&[u8]>) -> String {
    match text {
        Some(text) => format!("line {line}: \"{}\"", clipped(&String::from_utf8_lossy(text))),
        None => format!("line {line}"),
    }
}

fn clipped(text: &str) -> String {
    if text.len() <= SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=SHOWN_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(place_of_line(3, None), "line 3");
        assert_eq!(place_of_line(3, Some(b"1\tx")), "line 3: \"1\tx\"");
        assert_eq!(place_of_line(1, Some("x".repeat(100).as_bytes())), format!("line 1: \"{}\"", "x".repeat(100)));
        let long = format!("{}é{}", "x".repeat(99), "y".repeat(9));
        assert_eq!(place_of_line(1, Some(long.as_bytes())), format!("line 1: \"{}...\"", "x".repeat(99)));
    }
}
