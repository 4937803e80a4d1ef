//! Texts and bytes without patterns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::Result;
use polder_types::Error;

use crate::error::into_datafusion;
use crate::functions::function::{Call, refuse};
use crate::functions::{text as shown, types};

fn session<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    call.config.execution.time_zone.as_deref()
}

/// Any value as PostgreSQL writes it.
pub(super) fn text(call: &Call<'_>) -> Result<ArrayRef> {
    types::fit(Arc::new(shown::texts(&call.arrays[0], session(call), call.bound())?), call.gives)
}

/// The first argument.
pub(super) fn same(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::clone(&call.arrays[0]))
}

/// The first argument, for a column that takes no NULL; the others are the names of the column and of its table.
pub(super) fn there(call: &Call<'_>) -> Result<ArrayRef> {
    if call.arrays[0].logical_null_count() == 0 {
        return same(call);
    }
    let (column, table) = (call.text(1).value(0), call.text(2).value(0));
    let message = format!("null value in column {column:?} of relation {table:?} violates not-null constraint");
    Err(into_datafusion(Error::invalid(message).with_code("23502").of_column(column)))
}

/// Words that cannot be names without quotes.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];

/// Whether a word in small letters means something else than a name.
pub(crate) fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word)
}

/// A name as SQL writes it, in quotes where it needs them.
pub(crate) fn ident(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A text as SQL writes it; one with a backslash in it begins with a blank.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

pub(super) fn quote_ident(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(Some(ident(call.text(0).value(row)))))
}

pub(super) fn quote_literal(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = shown::texts(&call.arrays[0], session(call), call.bound())?;
    call.texts(|row| Ok(Some(literal(texts.value(row)).trim_start().to_owned())))
}

pub(super) fn quote_nullable(call: &Call<'_>) -> Result<ArrayRef> {
    let texts = shown::texts(&call.arrays[0], session(call), call.bound())?;
    let quoted: arrow::array::StringArray = (0..call.rows)
        .map(|row| {
            let null = texts.is_null(row) || call.arrays[0].data_type() == &arrow::datatypes::DataType::Null;
            Some(if null { "NULL".to_owned() } else { literal(texts.value(row)).trim_start().to_owned() })
        })
        .collect();
    types::fit(Arc::new(quoted), call.gives)
}

pub(super) fn unistr(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let wrong = || refuse("42601", "invalid Unicode escape: \\XXXX, \\+XXXXXX, \\uXXXX or \\UXXXXXXXX is expected");
        let mut out = String::new();
        let mut rest = call.text(0).value(row);
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('\\') {
                out.push('\\');
                rest = after;
                continue;
            }
            let (skip, length) = match rest.chars().next() {
                Some('+') => (1, 6),
                Some('u') => (1, 4),
                Some('U') => (1, 8),
                _ => (0, 4),
            };
            let digits = rest.get(skip..skip + length).ok_or_else(wrong)?;
            let code = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
            out.push(char::from_u32(code).ok_or_else(wrong)?);
            rest = &rest[skip + length..];
        }
        out.push_str(rest);
        Ok(Some(out))
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Utf8,
    Latin1,
}

fn encoding(name: &str) -> Result<Encoding> {
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(Encoding::Utf8),
        "latin1" | "iso88591" => Ok(Encoding::Latin1),
        _ => Err(refuse("22023", format!("invalid encoding name {name:?}; UTF8 and LATIN1 are known"))),
    }
}

fn invalid_bytes() -> datafusion::common::DataFusionError {
    refuse("22021", "invalid byte sequence for encoding \"UTF8\"")
}

pub(super) fn convert_from(call: &Call<'_>) -> Result<ArrayRef> {
    let bytes = call.arrays[0].as_binary::<i32>();
    call.texts(|row| {
        let bytes = bytes.value(row);
        Ok(Some(match encoding(call.text(1).value(row))? {
            Encoding::Utf8 => std::str::from_utf8(bytes).map_err(|_| invalid_bytes())?.to_owned(),
            Encoding::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        }))
    })
}

/// Letters of a line of base64, after which PostgreSQL begins a new one.
const BASE64_LINE: usize = 76;

pub(super) fn encode(call: &Call<'_>) -> Result<ArrayRef> {
    use base64::Engine;
    let bytes = call.arrays[0].as_binary::<i32>();
    call.texts(|row| {
        let bytes = bytes.value(row);
        let format = call.text(1).value(row);
        Ok(Some(match format.to_lowercase().as_str() {
            "hex" => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            "base64" => {
                let letters = base64::engine::general_purpose::STANDARD.encode(bytes);
                let lines: Vec<&str> = letters
                    .as_bytes()
                    .chunks(BASE64_LINE)
                    .map(|line| std::str::from_utf8(line).unwrap_or_default())
                    .collect();
                lines.join("\n")
            }
            "escape" => bytes
                .iter()
                .map(|byte| match byte {
                    b'\\' => "\\\\".to_owned(),
                    0 | 0x80.. => format!("\\{byte:03o}"),
                    plain => char::from(*plain).to_string(),
                })
                .collect(),
            _ => {
                return Err(refuse(
                    "22023",
                    format!("unrecognized encoding: {format:?}; there are hex, base64 and escape"),
                ));
            }
        }))
    })
}

pub(super) fn byte_length(call: &Call<'_>) -> Result<ArrayRef> {
    let bytes = call.arrays[0].as_binary::<i32>();
    call.values::<Int32Type>(|row| Ok(i32::try_from(bytes.value(row).len()).ok()))
}

fn bytes(call: &Call<'_>, of: impl Fn(usize) -> Result<Option<Vec<u8>>>) -> Result<ArrayRef> {
    let mut builder = BinaryBuilder::new();
    for row in 0..call.rows {
        builder.append_option(if call.is_whole(row) { of(row)? } else { None });
    }
    Ok(Arc::new(builder.finish()))
}

pub(super) fn convert_to(call: &Call<'_>) -> Result<ArrayRef> {
    bytes(call, |row| {
        let text = call.text(0).value(row);
        match encoding(call.text(1).value(row))? {
            Encoding::Utf8 => Ok(Some(text.as_bytes().to_vec())),
            Encoding::Latin1 => text
                .chars()
                .map(|letter| {
                    u8::try_from(u32::from(letter))
                        .map_err(|_| refuse("22P05", format!("{letter:?} has no equivalent in LATIN1")))
                })
                .collect::<Result<Vec<u8>>>()
                .map(Some),
        }
    })
}

pub(super) fn to_hex_int4(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(Some(format!("{:x}", call.primitive::<Int32Type>(0).value(row)))))
}

pub(super) fn to_hex_int8(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(Some(format!("{:x}", call.primitive::<Int64Type>(0).value(row)))))
}

pub(super) fn chr(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| match call.primitive::<Int64Type>(0).value(row) {
        0 => Err(refuse("54000", "null character not permitted")),
        code => {
            let letter = u32::try_from(code).ok().and_then(char::from_u32);
            letter
                .map(|letter| Some(letter.to_string()))
                .ok_or_else(|| refuse("54000", format!("requested character too large for encoding: {code}")))
        }
    })
}

pub(super) fn split_part(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let (text, delimiter) = (call.text(0).value(row), call.text(1).value(row));
        let parts: Vec<&str> = if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
        let at = match call.primitive::<Int64Type>(2).value(row) {
            0 => return Err(refuse("22023", "field position must not be zero")),
            n if n < 0 => parts.len() as i64 + n,
            n => n - 1,
        };
        let part = usize::try_from(at).ok().and_then(|at| parts.get(at));
        Ok(Some(part.copied().unwrap_or_default().to_owned()))
    })
}

/// The half open range of places, counted from 0, that `substr` means.
fn range(call: &Call<'_>, row: usize) -> Result<(usize, usize)> {
    let start = call.primitive::<Int64Type>(1).value(row);
    let end = match call.arrays.get(2) {
        Some(array) => {
            let length = array.as_primitive::<Int64Type>().value(row);
            if length < 0 {
                return Err(refuse("22011", "negative substring length not allowed"));
            }
            start.saturating_add(length)
        }
        None => i64::MAX,
    };
    let place = |at: i64| usize::try_from(at.saturating_sub(1).max(0)).unwrap_or(usize::MAX);
    Ok((place(start), place(end)))
}

pub(super) fn substr(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let (start, end) = range(call, row)?;
        let text = call.text(0).value(row);
        if text.is_ascii() {
            let (start, end) = (start.min(text.len()), end.min(text.len()));
            return Ok(Some(text.get(start..end).unwrap_or_default().to_owned()));
        }
        Ok(Some(text.chars().skip(start).take(end.saturating_sub(start)).collect()))
    })
}

pub(super) fn subbytes(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.arrays[0].as_binary::<i32>();
    bytes(call, |row| {
        let (start, end) = range(call, row)?;
        let value = values.value(row);
        Ok(Some(value.get(start.min(value.len())..end.min(value.len())).unwrap_or_default().to_vec()))
    })
}

fn byte_place(values: &BinaryArray, row: usize, at: i64) -> Result<usize> {
    let length = values.value(row).len();
    usize::try_from(at)
        .ok()
        .filter(|at| *at < length)
        .ok_or_else(|| refuse("2202E", format!("index {at} out of valid range, 0..{}", length as i64 - 1)))
}

pub(super) fn get_byte(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.arrays[0].as_binary::<i32>();
    call.values::<Int32Type>(|row| {
        let at = byte_place(values, row, call.primitive::<Int64Type>(1).value(row))?;
        Ok(Some(values.value(row)[at].into()))
    })
}

pub(super) fn set_byte(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.arrays[0].as_binary::<i32>();
    bytes(call, |row| {
        let at = byte_place(values, row, call.primitive::<Int64Type>(1).value(row))?;
        let mut value = values.value(row).to_vec();
        value[at] = (call.primitive::<Int64Type>(2).value(row) & 0xff) as u8;
        Ok(Some(value))
    })
}

/// The parts of `a."B".c`.
pub(super) fn parse_ident(call: &Call<'_>) -> Result<ArrayRef> {
    let mut lists = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if !call.is_whole(row) {
            lists.push(None);
            continue;
        }
        let text = call.text(0).value(row);
        let wrong = || refuse("22023", format!("string is not a valid identifier: {text:?}"));
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            if let Some(quoted) = rest.strip_prefix('"') {
                let end = quoted.find('"').ok_or_else(wrong)?;
                parts.push(Some(quoted[..end].to_owned()));
                rest = quoted[end + 1..].trim_start();
            } else {
                let end = rest
                    .find(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '$')
                    .unwrap_or(rest.len());
                if end == 0 {
                    return Err(wrong());
                }
                parts.push(Some(rest[..end].to_lowercase()));
                rest = rest[end..].trim_start();
            }
            match rest.strip_prefix('.') {
                Some(more) => rest = more.trim_start(),
                None if rest.is_empty() => break,
                None => return Err(wrong()),
            }
        }
        lists.push(Some(parts));
    }
    types::text_lists(lists, call.gives)
}
