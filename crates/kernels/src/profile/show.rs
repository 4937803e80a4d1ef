//! Values as a person reads them.

use arrow::array::{ArrayData, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::calendar;
use super::kind::{Kind, Meaning};

/// Letters shown of a text, and half as many bytes of a binary value.
const CHARS_MAX: usize = 200;

/// As much of a value as is shown, and a little more, so that the cut can be seen. Cutting keeps the order: if
/// `a <= b` then so are their cuts.
pub(super) fn cut(value: &[u8], kind: Kind) -> &[u8] {
    if value.len() <= CHARS_MAX / 2 {
        return value;
    }
    let end = match kind {
        Kind::Text => {
            let starts = value.iter().enumerate().filter(|(_, byte)| **byte & 0b1100_0000 != 0b1000_0000);
            starts.skip(CHARS_MAX + 1).map(|(at, _)| at).next().unwrap_or(value.len())
        }
        _ => value.len().min(CHARS_MAX / 2 + 1),
    };
    &value[..end]
}

/// A text, or bytes in hexadecimal, of what [`cut`] left.
pub(super) fn bytes(value: &[u8], kind: Kind) -> String {
    let mut text = match kind {
        Kind::Text => String::from_utf8_lossy(value).into_owned(),
        _ => value.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if kind == Kind::Uuid && text.len() == 32 {
        [20, 16, 12, 8].into_iter().for_each(|at| text.insert(at, '-'));
    }
    if let Some((end, _)) = text.char_indices().nth(CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Fixed-width values of a column. Floats come as the bits of their `f64`, the rest as numbers.
pub(super) fn fixed(values: &[i128], data_type: &DataType, kind: Kind) -> Vec<String> {
    if *data_type == DataType::Boolean {
        return values.iter().map(|value| (*value != 0).to_string()).collect();
    }
    let bytes = values.iter().flat_map(|value| native(*value, data_type)).collect();
    formatted(bytes, values.len(), data_type)
        .into_iter()
        .zip(values)
        .map(|(text, value)| text.unwrap_or_else(|| plain(*value, kind)))
        .collect()
}

/// The 256-bit decimals whose bytes are given.
pub(super) fn big(value: &[u8], data_type: &DataType) -> String {
    formatted(value.to_vec(), 1, data_type).into_iter().flatten().next().unwrap_or_default()
}

fn native(value: i128, data_type: &DataType) -> Vec<u8> {
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    let float = || f64::from_bits(value as u64);
    match data_type {
        DataType::Float16 => Half::from_f64(float()).to_le_bytes().to_vec(),
        DataType::Float32 => (float() as f32).to_le_bytes().to_vec(),
        other => value.to_le_bytes()[..other.primitive_width().unwrap_or(8).min(16)].to_vec(),
    }
}

/// As Arrow writes them; none for those that it cannot write.
fn formatted(bytes: Vec<u8>, rows: usize, data_type: &DataType) -> Vec<Option<String>> {
    let builder = ArrayData::builder(data_type.clone()).len(rows).add_buffer(Buffer::from_vec(bytes));
    let Ok(data) = builder.align_buffers(true).build() else { return vec![None; rows] };
    let array = make_array(data);
    let options = FormatOptions::default().with_display_error(false);
    let Ok(formatter) = ArrayFormatter::try_new(&array, &options) else { return vec![None; rows] };
    (0..rows).map(|row| formatter.value(row).try_to_string().ok()).collect()
}

/// Years that Arrow's calendar does not reach, and zones that it does not know.
fn plain(value: i128, kind: Kind) -> String {
    match kind {
        Kind::Whole(meaning) => edge(value, meaning),
        _ => value.to_string(),
    }
}

/// A date, time or timestamp in ISO 8601; those with a zone in UTC.
pub(super) fn edge(value: i128, meaning: Meaning) -> String {
    match meaning {
        Meaning::Number { .. } => value.to_string(),
        Meaning::Date { day } => calendar::date_text(value.div_euclid(day)),
        Meaning::Timestamp { per_second, zoned } => {
            let text = calendar::timestamp_text(value, per_second);
            if zoned { text + "Z" } else { text }
        }
        Meaning::Time { per_second } if value < 0 => format!("-{}", calendar::time_text(-value, per_second)),
        Meaning::Time { per_second } => calendar::time_text(value, per_second),
    }
}
