//! The fields of JSON objects as columns.

use std::collections::HashMap;

use arrow::array::{Array, StringArray, StringBuilder};
use jiter::Jiter;
use polder_types::limits::NAME_BYTES_MAX;

use crate::json::Json;

/// Why a record's bytes are no JSON; `None`: they are some. `schema`: by whose number they say that they were written, and of
/// which they were not read.
#[must_use]
pub fn why_no_json(bytes: Option<&[u8]>, schema: Option<i32>) -> Option<String> {
    let Some(bytes) = bytes else { return Some("there is no value: the record is a tombstone".to_owned()) };
    if let Some(id) = schema {
        return Some(format!("the value says that schema {id} wrote it, which is not registered or cannot read it"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Some("the value is no text: its bytes are not UTF-8".to_owned());
    };
    if memchr::memchr(0, bytes).is_some() {
        return Some("the value is no text: it has a byte that is zero".to_owned());
    }
    Json::parse(text).err().map(|error| format!("the value is no JSON: {}", error.message()))
}

/// What the values of a field have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// All of them are null.
    Null,
    Boolean,
    /// Whole numbers of 64 bits.
    Integer,
    Float,
    Text,
    /// Anything else: what is nested, whole numbers of more than 64 bits, and mixtures with those.
    Json,
}

impl FieldKind {
    /// Of a value, by its text in JSON.
    fn of(raw: &str) -> Self {
        match raw.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'"') => Self::Text,
            Some(b'-' | b'0'..=b'9') if raw.contains(['.', 'e', 'E']) => Self::Float,
            Some(b'-' | b'0'..=b'9') if raw.parse::<i64>().is_ok() => Self::Integer,
            _ => Self::Json,
        }
    }

    /// What has room for both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, kind) | (kind, Self::Null) => kind,
            (Self::Boolean, Self::Boolean) => Self::Boolean,
            (Self::Integer, Self::Integer) => Self::Integer,
            (Self::Integer | Self::Float, Self::Integer | Self::Float) => Self::Float,
            (Self::Json, _) | (_, Self::Json) => Self::Json,
            _ => Self::Text,
        }
    }
}

/// Where a value stands in the text of its row. Without a length there is none.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
}

/// One field of all objects.
#[derive(Debug)]
pub struct FieldColumn {
    name: String,
    kind: FieldKind,
    /// One for each row up to the last that has the field.
    spans: Vec<Span>,
    /// The row in which it was seen last.
    seen: Option<usize>,
}

impl FieldColumn {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub const fn kind(&self) -> FieldKind {
        self.kind
    }
}

/// The fields of a column of JSON objects, and which rows are none.
#[derive(Debug)]
pub struct Fields<'a> {
    values: &'a StringArray,
    columns: Vec<FieldColumn>,
    refused: Vec<(usize, String)>,
}

impl<'a> Fields<'a> {
    /// `values`: JSON, one object a row. `columns_max`: of all rows together; a row that brings more is refused.
    ///
    /// Names are one field's without regard to the case of ASCII letters, as a table has no two columns of such names. A row
    /// that has two of them would lose one, and is refused. Of names that are equal the last one counts, as everywhere in JSON.
    #[must_use]
    pub fn of(values: &'a StringArray, columns_max: usize) -> Self {
        let mut fields = Self { values, columns: Vec::new(), refused: Vec::new() };
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut found = Vec::new();
        for row in 0..values.len() {
            let known = fields.columns.len();
            found.clear();
            match fields.row(row, &mut places, &mut found, columns_max) {
                Ok(()) => {
                    for (column, span, kind) in found.drain(..) {
                        let column: &mut FieldColumn = &mut fields.columns[column];
                        column.spans.resize(row + 1, Span::default());
                        column.spans[row] = span;
                        column.kind = column.kind.with(kind);
                    }
                }
                Err(reason) => {
                    for column in fields.columns.drain(known..) {
                        places.remove(&column.name.to_ascii_lowercase());
                    }
                    fields.refused.push((row, reason));
                }
            }
        }
        fields
    }

    fn row(
        &mut self,
        row: usize,
        places: &mut HashMap<String, usize>,
        found: &mut Vec<(usize, Span, FieldKind)>,
        columns_max: usize,
    ) -> Result<(), String> {
        if self.values.is_null(row) {
            return Err("there is no value".to_owned());
        }
        let text = self.values.value(row);
        let mut reader = Jiter::new(text.as_bytes());
        let wrong = |error: jiter::JiterError| format!("not a JSON object: {error}");
        let mut are_checked = false;
        let mut name = reader.next_object().map_err(wrong)?.map(str::to_owned);
        while let Some(key) = name {
            let kind = reader.peek().map_err(wrong)?;
            let start = reader.current_index();
            reader.known_skip(kind).map_err(wrong)?;
            let raw = text.get(start..reader.current_index()).unwrap_or_default();
            // Objects mostly have the fields of the one before, in its order.
            let guess = found.len();
            let column = match self.columns.get(guess) {
                Some(column) if column.name.eq_ignore_ascii_case(&key) => guess,
                _ => self.place(key, places, columns_max)?,
            };
            // Once: it looks at all of them.
            if self.columns[column].seen.replace(row) == Some(row) && !std::mem::replace(&mut are_checked, true) {
                check_names(text)?;
            }
            let span = Span {
                start: u32::try_from(start).map_err(|_| "the value is longer than 4 GiB".to_owned())?,
                length: u32::try_from(raw.len()).map_err(|_| "the value is longer than 4 GiB".to_owned())?,
            };
            found.push((column, span, FieldKind::of(raw)));
            name = reader.next_key().map_err(wrong)?.map(str::to_owned);
        }
        reader.finish().map_err(wrong)
    }

    fn place(
        &mut self,
        name: String,
        places: &mut HashMap<String, usize>,
        columns_max: usize,
    ) -> Result<usize, String> {
        let folded = name.to_ascii_lowercase();
        if let Some(place) = places.get(&folded) {
            return Ok(*place);
        }
        if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            return Err(format!("{name:?} cannot be a column's name"));
        }
        if self.columns.len() >= columns_max {
            return Err(format!("there are more than {columns_max} different fields"));
        }
        let place = self.columns.len();
        places.insert(folded, place);
        self.columns.push(FieldColumn { name, kind: FieldKind::Null, spans: Vec::new(), seen: None });
        Ok(place)
    }

    /// In the order in which they were first seen.
    #[must_use]
    pub fn columns(&self) -> &[FieldColumn] {
        &self.columns
    }

    /// Tells of refused rows what is known better about them.
    pub fn explain(&mut self, why: impl Fn(usize) -> Option<String>) {
        for (row, reason) in &mut self.refused {
            if let Some(better) = why(*row) {
                *reason = better;
            }
        }
    }

    /// The rows that are no objects, in order, each with the reason.
    #[must_use]
    pub fn refused(&self) -> &[(usize, String)] {
        &self.refused
    }

    fn written(&self, column: &FieldColumn, mut write: impl FnMut(&mut StringBuilder, &str)) -> StringArray {
        let mut builder = StringBuilder::with_capacity(self.values.len(), self.values.len() * 8);
        for row in 0..self.values.len() {
            let span = column.spans.get(row).copied().unwrap_or_default();
            let (start, length) = (span.start as usize, span.length as usize);
            match self.values.value(row).get(start..start + length) {
                Some("" | "null") | None => builder.append_null(),
                Some(raw) => write(&mut builder, raw),
            }
        }
        builder.finish()
    }

    /// A field's values, one for each row: what is between the quotes of a string, all else as it is in JSON. Null and absent
    /// are NULL.
    #[must_use]
    pub fn texts(&self, column: &FieldColumn) -> StringArray {
        self.written(column, |builder, raw| match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(text) if !text.contains('\\') => builder.append_value(text),
            Some(_) => match Jiter::new(raw.as_bytes()).next_str() {
                Ok(text) => builder.append_value(text),
                // It has been read once before.
                Err(_) => builder.append_null(),
            },
            None => builder.append_value(raw),
        })
    }

    /// A field's values as JSON. Null and absent are NULL.
    #[must_use]
    pub fn json(&self, column: &FieldColumn) -> StringArray {
        self.written(column, |builder, raw| builder.append_value(raw))
    }
}

/// Refuses an object of which two fields have names that are one column's and are not the same.
fn check_names(object: &str) -> Result<(), String> {
    let wrong = |error: jiter::JiterError| format!("not a JSON object: {error}");
    let mut reader = Jiter::new(object.as_bytes());
    let mut spelled: HashMap<String, String> = HashMap::new();
    let mut name = reader.next_object().map_err(wrong)?.map(str::to_owned);
    while let Some(key) = name {
        reader.next_skip().map_err(wrong)?;
        let other = spelled.entry(key.to_ascii_lowercase()).or_insert_with(|| key.clone());
        if *other != key {
            return Err(format!("two fields for column {}: {other:?} and {key:?}", other.to_ascii_lowercase()));
        }
        name = reader.next_key().map_err(wrong)?.map(str::to_owned);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(fields: &Fields<'_>, name: &str) -> Vec<Option<String>> {
        let column = fields.columns().iter().find(|column| column.name() == name).unwrap();
        fields.texts(column).iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn kinds(fields: &Fields<'_>) -> Vec<(String, FieldKind)> {
        fields.columns().iter().map(|column| (column.name().to_owned(), column.kind())).collect()
    }

    #[test]
    fn fields_become_columns_in_the_order_of_their_first_sight() {
        let values = StringArray::from(vec![
            r#" {"a": 1, "b": "x\ny", "c": [1, 2]}"#,
            r#"{"b":"ü","a":2.5,"d":null}"#,
            r#"{"c":{"e":true},"a":null,"a":-7}"#,
        ]);
        let fields = Fields::of(&values, 10);
        assert!(fields.refused().is_empty());
        let expected =
            [("a", FieldKind::Float), ("b", FieldKind::Text), ("c", FieldKind::Json), ("d", FieldKind::Null)];
        assert_eq!(kinds(&fields), expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert_eq!(texts(&fields, "a"), [Some("1".into()), Some("2.5".into()), Some("-7".into())]);
        assert_eq!(texts(&fields, "b"), [Some("x\ny".into()), Some("ü".into()), None]);
        assert_eq!(texts(&fields, "c"), [Some("[1, 2]".into()), None, Some(r#"{"e":true}"#.into())]);
        assert_eq!(texts(&fields, "d"), [None, None, None]);
        let b = &fields.columns()[1];
        assert_eq!(fields.json(b).iter().flatten().collect::<Vec<_>>(), [r#""x\ny""#, r#""ü""#]);
    }

    #[test]
    fn what_is_no_object_is_refused_and_leaves_nothing() {
        let long = format!(r#"{{"{}":1}}"#, "n".repeat(256));
        let values = StringArray::from(vec![
            Some(r#"{"a":1}"#),
            Some(r#"{"z":1,"a":2"#),
            Some("[1]"),
            None,
            Some(r#"{"a":3} x"#),
            Some(r#"{"":3}"#),
            Some(&long),
            Some(r#"{"a":4}"#),
            Some(""),
        ]);
        let fields = Fields::of(&values, 10);
        assert_eq!(fields.refused().iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 8]);
        assert!(fields.refused().iter().all(|(_, reason)| !reason.is_empty()));
        assert_eq!(kinds(&fields), [("a".to_owned(), FieldKind::Integer)]);
        let numbers = texts(&fields, "a");
        assert_eq!((numbers[0].as_deref(), numbers[7].as_deref()), (Some("1"), Some("4")));
        assert_eq!(numbers.iter().flatten().count(), 2);
    }

    #[test]
    fn what_is_no_json_is_told_apart() {
        let why = |bytes: &[u8], schema| why_no_json(Some(bytes), schema).unwrap_or_default();
        assert!(why_no_json(None, None).unwrap().contains("tombstone"));
        assert!(why(b"\0\0\0\0\x07x", Some(7)).contains("schema 7"));
        assert!(why(b"\xff", None).contains("UTF-8"));
        assert!(why(b"a\0b", None).contains("zero"));
        assert!(why(br#"{"_x":"\u0000"}"#, None).contains(r"\u0000"));
        assert!(why(b"no json", None).contains("no json"));
        assert_eq!(why_no_json(Some(br#"{"a":1}"#), None), None);
        let values = StringArray::from(vec![None, Some("[1]"), Some("{}")]);
        let mut fields = Fields::of(&values, 2);
        let before = fields.refused()[1].1.clone();
        fields.explain(|row| (row == 0).then(|| "better".to_owned()));
        assert_eq!(fields.refused(), [(0, "better".to_owned()), (1, before)]);
    }

    #[test]
    fn names_differ_by_more_than_the_case_of_letters() {
        let values = StringArray::from(vec![r#"{"userId":1,"b":2}"#, r#"{"b":3,"USERID":4,"USERID":5}"#]);
        let fields = Fields::of(&values, 2);
        assert!(fields.refused().is_empty());
        assert_eq!(texts(&fields, "userId"), [Some("1".into()), Some("5".into())]);
        assert_eq!(texts(&fields, "b"), [Some("2".into()), Some("3".into())]);
    }

    #[test]
    fn a_row_with_two_fields_for_a_column_is_refused() {
        let values = StringArray::from(vec![
            r#"{"id":1,"ID":2,"Id":3}"#,
            r#"{"Id":4,"n":1}"#,
            r#"{"n":2,"x":{"id":1,"ID":2},"ID":5}"#,
            r#"{"id":6,"n":3,"ID":6,"x":1}"#,
        ]);
        let fields = Fields::of(&values, 10);
        assert_eq!(fields.refused().iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 3]);
        assert!(fields.refused()[0].1.starts_with("two fields for column id: "), "{:?}", fields.refused());
        assert_eq!(texts(&fields, "Id"), [None, Some("4".into()), Some("5".into()), None]);
        assert_eq!(texts(&fields, "x")[2].as_deref(), Some(r#"{"id":1,"ID":2}"#));
    }

    #[test]
    fn a_row_with_too_many_new_fields_is_refused_and_another_may_still_bring_some() {
        let values = StringArray::from(vec![r#"{"a":1}"#, r#"{"b":1,"c":1,"d":1}"#, r#"{"e":1,"a":1}"#]);
        let fields = Fields::of(&values, 2);
        assert_eq!(fields.refused().iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1]);
        assert_eq!(kinds(&fields).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "e"]);
    }

    #[test]
    fn kinds_widen_without_losing_digits() {
        use FieldKind::{Boolean, Float, Integer, Json, Null, Text};
        let kind = |text: &str| FieldKind::of(text);
        assert_eq!(
            ["true", "1", "-9223372036854775808", "9223372036854775808", "1e3", "\"1\"", "{}", "null"].map(kind),
            [Boolean, Integer, Integer, Json, Float, Text, Json, Null]
        );
        for (left, right, both) in [
            (Null, Boolean, Boolean),
            (Integer, Float, Float),
            (Boolean, Integer, Text),
            (Text, Float, Text),
            (Json, Text, Json),
        ] {
            assert_eq!((left.with(right), right.with(left)), (both, both));
        }
    }
}
