//! Rows of topics as messages.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use polder_capability::schemas::framed_schema_id;
use polder_capability::topics::columns;
use polder_types::{Error, Result};

use crate::model::streams::{Message, Payload, PayloadKind};
use crate::streams::moment;

/// How much of a key, a value or the headers is told, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes(usize);

impl Sizes {
    /// In a list: enough for a line and a look.
    pub const LISTED: Self = Self(2 << 10);
    pub const WHOLE: Self = Self(1 << 20);
}

/// The columns that messages are made of, in the order in which [`Rows`] has them.
pub(super) const COLUMNS: [usize; 8] = [
    columns::PARTITION,
    columns::OFFSET,
    columns::TIMESTAMP,
    columns::KEY,
    columns::HEADERS,
    columns::VALUE,
    columns::KEY_BYTES,
    columns::VALUE_BYTES,
];

/// Which messages are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    key: Option<String>,
    /// What `key` says as `\x…`: keys that are no text are written so.
    key_bytes: Option<Vec<u8>>,
    /// In small letters.
    search: Option<String>,
}

impl Filter {
    pub fn new(key: Option<String>, search: Option<String>) -> Self {
        let key_bytes = key.as_deref().and_then(|text| text.strip_prefix("\\x")).and_then(bytes_of);
        let search = search.filter(|text| !text.is_empty()).map(|text| text.to_lowercase());
        Self { key, key_bytes, search }
    }

    pub fn is_none(&self) -> bool {
        self.key.is_none() && self.search.is_none()
    }
}

/// A batch of rows.
pub(super) struct Rows<'a> {
    batch: &'a RecordBatch,
}

impl<'a> Rows<'a> {
    /// # Errors
    /// `Internal` for a batch that is not made of [`COLUMNS`].
    pub fn new(batch: &'a RecordBatch) -> Result<Self> {
        let types: Vec<_> =
            polder_capability::topics::topic_schema().fields().iter().map(|f| f.data_type().clone()).collect();
        let fits = batch.columns().iter().map(|column| column.data_type()).eq(types.iter());
        if fits { Ok(Self { batch }) } else { Err(Error::internal("rows of a topic have other columns")) }
    }

    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn offset(&self, row: usize) -> i64 {
        self.batch.column(1).as_primitive::<Int64Type>().value(row)
    }

    fn text(&self, column: usize, row: usize) -> Option<&'a str> {
        let array = self.batch.column(column).as_string_view();
        array.is_valid(row).then(|| array.value(row))
    }

    fn bytes(&self, column: usize, row: usize) -> Option<&'a [u8]> {
        let array = self.batch.column(column).as_binary_view();
        array.is_valid(row).then(|| array.value(row))
    }

    pub fn matches(&self, row: usize, filter: &Filter) -> bool {
        if let Some(key) = &filter.key {
            let has_key = match self.text(3, row) {
                Some(text) => text == key,
                None => filter.key_bytes.as_deref().is_some_and(|bytes| self.bytes(6, row) == Some(bytes)),
            };
            if !has_key {
                return false;
            }
        }
        let Some(search) = &filter.search else { return true };
        [3, 5, 4].into_iter().any(|column| self.text(column, row).is_some_and(|text| contains(text, search)))
    }

    pub fn message(&self, row: usize, sizes: Sizes) -> Message {
        let times = self.batch.column(2).as_primitive::<TimestampMicrosecondType>();
        let timestamp = times.is_valid(row).then(|| times.value(row).div_euclid(1000)).and_then(moment);
        Message {
            partition: self.batch.column(0).as_primitive::<Int32Type>().value(row),
            offset: self.offset(row),
            timestamp,
            key: key(self.text(3, row), self.bytes(6, row), sizes),
            headers: headers(self.text(4, row).unwrap_or("{}"), sizes),
            value: value(self.text(5, row), self.bytes(7, row), sizes),
        }
    }
}

/// Whether a text has another one, which is in small letters, in it.
fn contains(text: &str, small: &str) -> bool {
    if small.is_ascii() {
        let small = small.as_bytes();
        return text.as_bytes().windows(small.len()).any(|window| window.eq_ignore_ascii_case(small));
    }
    text.to_lowercase().contains(small)
}

/// Bytes that are written with two hexadecimal digits each. `None`: they are not.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let mut halves = digits.chars().map(|digit| digit.to_digit(16).and_then(|half| u8::try_from(half).ok()));
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    while let Some(high) = halves.next() {
        bytes.push((high? << 4) | halves.next()??);
    }
    Some(bytes)
}

fn key(text: Option<&str>, bytes: Option<&[u8]>, sizes: Sizes) -> Payload {
    match (text, bytes) {
        (_, None) => none(),
        (None, Some(bytes)) => binary(bytes, sizes),
        (Some(text), Some(bytes)) => told(PayloadKind::Text, text, bytes, sizes),
    }
}

fn value(json: Option<&str>, bytes: Option<&[u8]>, sizes: Sizes) -> Payload {
    match (json, bytes) {
        (_, None) => none(),
        (None, Some(bytes)) => binary(bytes, sizes),
        // A JSON string that did not come as JSON is the text that came.
        (Some(json), Some(bytes)) if json.starts_with('"') && !bytes.trim_ascii_start().starts_with(b"\"") => {
            match framed_schema_id(bytes).map_or_else(|| std::str::from_utf8(bytes).ok(), |_| None) {
                Some(text) => told(PayloadKind::Text, text, bytes, sizes),
                None => told(PayloadKind::Json, json, bytes, sizes),
            }
        }
        (Some(json), Some(bytes)) => told(PayloadKind::Json, json, bytes, sizes),
    }
}

fn headers(json: &str, sizes: Sizes) -> Payload {
    told(PayloadKind::Json, json, json.as_bytes(), sizes)
}

fn none() -> Payload {
    Payload { kind: PayloadKind::None, text: String::new(), bytes: 0, cut: false, schema_id: None }
}

fn told(kind: PayloadKind, text: &str, bytes: &[u8], sizes: Sizes) -> Payload {
    let end = text.floor_char_boundary(sizes.0);
    let shown = text.get(..end).unwrap_or(text);
    Payload {
        kind,
        text: shown.to_owned(),
        bytes: bytes.len() as u64,
        cut: shown.len() < text.len(),
        schema_id: framed_schema_id(bytes),
    }
}

fn binary(bytes: &[u8], sizes: Sizes) -> Payload {
    // Two digits each.
    let shown = bytes.get(..sizes.0 / 2).unwrap_or(bytes);
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    let text = shown.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    Payload {
        kind: PayloadKind::Binary,
        text,
        bytes: bytes.len() as u64,
        cut: shown.len() < bytes.len(),
        schema_id: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sizes, bytes_of, contains, value};
    use crate::model::streams::PayloadKind;

    #[test]
    fn what_a_value_is() {
        let kind = |json: Option<&str>, bytes: Option<&[u8]>| {
            let value = value(json, bytes, Sizes(8));
            (value.kind, value.text, value.cut)
        };
        assert_eq!(kind(None, None), (PayloadKind::None, String::new(), false));
        assert_eq!(kind(Some("{\"a\":1}"), Some(b"{\"a\":1}")), (PayloadKind::Json, "{\"a\":1}".to_owned(), false));
        assert_eq!(kind(Some("\"words\""), Some(b"words")), (PayloadKind::Text, "words".to_owned(), false));
        assert_eq!(kind(Some("\"words\""), Some(b"\"words\"")), (PayloadKind::Json, "\"words\"".to_owned(), false));
        assert_eq!(kind(None, Some(b"\xff\0\x0a\x0b\x0c")), (PayloadKind::Binary, "ff000a0b".to_owned(), true));
        assert_eq!(kind(Some("\"ééééé\""), Some("ééééé".as_bytes())), (PayloadKind::Text, "éééé".to_owned(), true));
        let framed = value(Some("{}"), Some(b"\0\0\0\0\x07abc"), Sizes::LISTED);
        assert_eq!((framed.kind, framed.schema_id), (PayloadKind::Json, Some(7)));
    }

    #[test]
    fn bytes_are_read_from_their_digits() {
        assert_eq!(bytes_of("00fFa0"), Some(vec![0, 255, 160]));
        assert_eq!(bytes_of(""), Some(Vec::new()));
        assert_eq!(bytes_of("0"), None);
        assert_eq!(bytes_of("0g"), None);
    }

    #[test]
    fn texts_are_found_whatever_their_case() {
        assert!(contains("Hello World", "lo wo"));
        assert!(contains("GRÜSSE", "grü"));
        assert!(!contains("Hello", "hello!"));
    }
}
