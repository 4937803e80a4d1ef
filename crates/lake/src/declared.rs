//! What the declaration of a column says beyond its stored type: the length of a text.
//!
//! It is a tag of the table in the catalog, one for each such column, and metadata of the field in memory. DuckDB passes
//! tags of tables over, as it does with every length of a VARCHAR.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use polder_types::{Error, ErrorKind, Result};

/// How the names of the tags begin; the column's id follows.
pub(crate) const TAG: &str = "polder_type:";

/// The name of the tag of a column.
pub(crate) fn tag(column: i64) -> String {
    format!("{TAG}{column}")
}

/// The column of a tag.
///
/// # Errors
/// `Corrupt` for a tag of another form.
pub(crate) fn column_of(tag: &str) -> Result<i64> {
    let number = tag.strip_prefix(TAG).and_then(|number| number.parse().ok());
    number
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("the catalog has a tag {tag:?}, which names no column")))
}

/// The key of a field's metadata whose value is the type as declared, such as `varchar(10)` or `char(3)`.
pub const DECLARED: &str = "polder:declared";

/// The length of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextLength {
    /// Characters.
    pub max: usize,
    /// `char(n)`: blanks at the end mean nothing.
    pub blank_padded: bool,
}

impl TextLength {
    /// `None` for a type without a length.
    #[must_use]
    pub fn of(declared: &str) -> Option<Self> {
        let (name, rest) = declared.split_once('(')?;
        let max = rest.strip_suffix(')')?.parse().ok()?;
        match name {
            "varchar" => Some(Self { max, blank_padded: false }),
            "char" => Some(Self { max, blank_padded: true }),
            _ => None,
        }
    }

    /// The length that a field's metadata tells. A cast keeps what is said of its source, so the field must be of texts.
    #[must_use]
    pub fn of_field(field: &Field) -> Option<Self> {
        if !field.data_type().is_string() {
            return None;
        }
        field.metadata().get(DECLARED).and_then(|declared| Self::of(declared))
    }

    /// PostgreSQL's name of the type.
    #[must_use]
    pub fn type_name(self) -> String {
        format!("{}({})", if self.blank_padded { "character" } else { "character varying" }, self.max)
    }

    /// A value as it is stored: blanks beyond the length are cut; `None` if something else is beyond it.
    #[must_use]
    pub fn fit(self, value: &str) -> Option<&str> {
        let kept = if value.len() <= self.max { value } else { self.cut(value) };
        if value[kept.len()..].bytes().any(|byte| byte != b' ') {
            return None;
        }
        Some(if self.blank_padded { kept.trim_end_matches(' ') } else { kept })
    }

    /// A value as a cast makes it: what is beyond the length is cut.
    #[must_use]
    pub fn cut(self, value: &str) -> &str {
        let end = value.char_indices().nth(self.max).map_or(value.len(), |(at, _)| at);
        let kept = &value[..end];
        if self.blank_padded { kept.trim_end_matches(' ') } else { kept }
    }
}

/// Texts as their column stores them.
///
/// # Errors
/// `InvalidInput` (22001) for a value that is too long.
pub(crate) fn fit_all(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let Some(length) = TextLength::of_field(field) else { return Ok(Arc::clone(array)) };
    match array.data_type() {
        DataType::Utf8View => {
            let values = array.as_string_view();
            let Some(kept) = kept(length, values.iter(), field)? else { return Ok(Arc::clone(array)) };
            let mut builder = StringViewBuilder::with_capacity(values.len());
            kept.iter().for_each(|value| builder.append_option(*value));
            Ok(Arc::new(builder.finish()))
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            let Some(kept) = kept(length, values.iter(), field)? else { return Ok(Arc::clone(array)) };
            let mut builder = StringBuilder::with_capacity(values.len(), values.value_data().len());
            kept.iter().for_each(|value| builder.append_option(*value));
            Ok(Arc::new(builder.finish()))
        }
        _ => Ok(Arc::clone(array)),
    }
}

/// The values as they are kept; `None` when that is as they are.
fn kept<'a>(
    length: TextLength,
    values: impl Iterator<Item = Option<&'a str>>,
    field: &Field,
) -> Result<Option<Vec<Option<&'a str>>>> {
    let mut changed = false;
    let mut kept = Vec::with_capacity(values.size_hint().0);
    for value in values {
        let Some(value) = value else {
            kept.push(None);
            continue;
        };
        let fitting = length.fit(value).ok_or_else(|| {
            let shown: String = value.chars().take(60).collect();
            Error::invalid(format!("value too long for column {:?} of type {}", field.name(), length.type_name()))
                .with_code("22001")
                .with_hint(format!("it is {} characters long: {shown:?}", value.chars().count()))
        })?;
        changed |= fitting.len() != value.len();
        kept.push(Some(fitting));
    }
    Ok(changed.then_some(kept))
}

#[cfg(test)]
mod tests;
