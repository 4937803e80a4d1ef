//! Rows as bytes.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use polder_capability::json::FloatsInFull;
use polder_capability::schemas::framed_schema_id;
use polder_capability::topics::columns;
use polder_kernels::fields::why_no_json;
use polder_types::{Error, Result};

use super::{Lot, Refused};

/// The bytes of some rows, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Each row, and where its bytes end.
    ends: Vec<(usize, usize)>,
}

impl Texts {
    fn end(&mut self, row: usize) {
        self.ends.push((row, self.bytes.len()));
    }

    /// The rows in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(row, end)| {
            let text = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            (*row, text)
        })
    }
}

/// Does what takes long with a lot where nobody waits for the thread.
pub(super) async fn apart<T: Send + 'static>(
    lot: &Lot,
    work: impl FnOnce(&Lot) -> Result<T> + Send + 'static,
) -> Result<T> {
    let lot = lot.clone();
    let done = tokio::task::spawn_blocking(move || work(&lot)).await;
    done.map_err(|error| Error::internal(format!("writing the rows of a lot: {error}")))?
}

/// The rows as they came: the bytes of records' values, or objects of the transform's columns. Tombstones are left out, as
/// there is nothing of them to be sent.
pub(super) fn raw(lot: &Lot) -> Result<Texts> {
    if !lot.is_untouched() {
        return objects(lot);
    }
    let values = lot.rows.column(columns::VALUE_BYTES).as_binary_view();
    let mut texts = Texts::default();
    for (row, value) in values.iter().enumerate() {
        if let Some(value) = value {
            texts.bytes.extend_from_slice(value);
            texts.end(row);
        }
    }
    Ok(texts)
}

/// Each row as one JSON value without line breaks. Tombstones are left out; a record whose bytes are no text is refused.
pub(super) fn json(lot: &Lot) -> Result<(Texts, Vec<Refused>)> {
    let mut refused = Vec::new();
    if !lot.is_untouched() {
        return Ok((objects(lot)?, refused));
    }
    let values = lot.rows.column(columns::VALUE).as_string_view();
    let bytes = lot.rows.column(columns::VALUE_BYTES).as_binary_view();
    let mut texts = Texts::default();
    for (row, value) in values.iter().enumerate() {
        match value {
            Some(value) => {
                // Breaks of lines stand between tokens only: in a string they are escaped.
                texts.bytes.extend(value.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
                texts.end(row);
            }
            None if bytes.is_valid(row) => {
                let bytes = bytes.value(row);
                let why = why_no_json(Some(bytes), framed_schema_id(bytes));
                refused.push(Refused::new(row, why.unwrap_or_else(|| "its value is no text".to_owned())));
            }
            None => {}
        }
    }
    Ok((texts, refused))
}

/// Each row as an object of its columns, NULLs included.
fn objects(lot: &Lot) -> Result<Texts> {
    let unreadable = |error: ArrowError| Error::invalid(format!("the rows cannot be written as JSON: {error}"));
    let options = EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(AsText));
    let schema = lot.rows.schema();
    let mut encoders = Vec::with_capacity(schema.fields().len());
    for (field, column) in schema.fields().iter().zip(lot.rows.columns()) {
        let name = serde_json::to_string(field.name()).map_err(|error| Error::internal(error.to_string()))?;
        encoders.push((name, make_encoder(field, column, &options).map_err(unreadable)?));
    }
    let mut texts = Texts::default();
    for row in 0..lot.rows.num_rows() {
        let to = &mut texts.bytes;
        to.push(b'{');
        for (place, (name, encoder)) in encoders.iter_mut().enumerate() {
            if place > 0 {
                to.push(b',');
            }
            to.extend_from_slice(name.as_bytes());
            to.push(b':');
            if encoder.is_null(row) {
                to.extend_from_slice(b"null");
            } else {
                encoder.encode(row, to);
            }
        }
        to.push(b'}');
        texts.end(row);
    }
    Ok(texts)
}

/// JSON stays what it is, numbers of any length are numbers, NaN and infinities are strings, bytes are as PostgreSQL writes
/// them.
#[derive(Debug)]
struct AsText;

impl EncoderFactory for AsText {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let is_json = field.metadata().get("ARROW:extension:name").is_some_and(|mark| mark == "arrow.json");
        let around = match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if is_json => "",
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                ""
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "\"",
            _ => return FloatsInFull.make_default_encoder(field, array, options),
        };
        let before = if around.is_empty() { "" } else { "\"\\\\x" };
        let formatter = ArrayFormatter::try_new(array, &FormatOptions::new().with_display_error(true))?;
        let encoder = Shown { formatter, before, behind: around, text: String::new() };
        Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())))
    }
}

struct Shown<'a> {
    formatter: ArrayFormatter<'a>,
    before: &'static str,
    behind: &'static str,
    text: String,
}

impl Encoder for Shown<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{}{}{}", self.before, self.formatter.value(row), self.behind);
        out.extend(self.text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    }
}
