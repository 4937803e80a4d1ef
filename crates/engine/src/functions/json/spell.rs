//! `json` of values of any type: in PostgreSQL's spelling, with the keys in their order, and JSON within it as it is written.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use polder_kernels::json::Json;

use super::build::{is_digits, moment, names};
use super::look::steps;
use crate::functions::bounds::Bound;
use crate::functions::function::{Call, refuse};
use crate::functions::{text, types};

/// Writes the value of a row.
type Spell = Box<dyn Fn(usize, &mut String) -> Result<()>>;

fn quoted(text: &str) -> String {
    Json::Text(text.to_owned()).to_string()
}

/// How the values of a column are written; `between` the parts of a row or an array, but not of those within it.
fn speller(array: &ArrayRef, field: &Field, session: Option<&str>, between: &'static str) -> Result<Spell> {
    use DataType as D;
    let nulls = Arc::clone(array);
    let inner: Spell = match array.data_type() {
        D::Null => Box::new(|_: usize, out: &mut String| {
            out.push_str("null");
            Ok(())
        }),
        D::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |row: usize, out: &mut String| {
                out.push_str(if values.value(row) { "true" } else { "false" });
                Ok(())
            })
        }
        D::List(item) => {
            let lists = array.as_list::<i32>().clone();
            let spell = speller(lists.values(), &types::item(field, item), session, ",")?;
            Box::new(move |row: usize, out: &mut String| {
                let offsets = lists.value_offsets();
                list(offsets[row] as usize..offsets[row + 1] as usize, &spell, between, out)
            })
        }
        D::Struct(fields) => {
            let columns = names(fields)
                .into_iter()
                .zip(fields.iter().zip(array.as_struct().columns()))
                .map(|(name, (field, column))| Ok((quoted(&name), speller(column, field, session, ",")?)))
                .collect::<Result<Vec<_>>>()?;
            Box::new(move |row: usize, out: &mut String| {
                for (at, (name, spell)) in columns.iter().enumerate() {
                    out.push_str(if at == 0 { "{" } else { between });
                    out.push_str(name);
                    out.push(':');
                    spell(row, out)?;
                }
                out.push_str(if columns.is_empty() { "{}" } else { "}" });
                Ok(())
            })
        }
        other => {
            let write = text::writer(array, session, false)?;
            let number = other.is_numeric() && types::catalog_type(field).is_none();
            let json = types::is_json(field);
            let of_moment = matches!(other, D::Timestamp(..)).then(|| matches!(other, D::Timestamp(_, Some(_))));
            Box::new(move |row: usize, out: &mut String| {
                let text = write(row)?;
                match of_moment {
                    _ if json || (number && is_digits(&text)) => out.push_str(&text),
                    Some(zoned) => out.push_str(&quoted(&moment(&text, zoned))),
                    None => out.push_str(&quoted(&text)),
                }
                Ok(())
            })
        }
    };
    Ok(Box::new(move |row: usize, out: &mut String| {
        if nulls.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        inner(row, out)
    }))
}

/// As [`value`], with the parts of a row or an array on lines of their own where the second argument says so.
pub(super) fn pretty(call: &Call<'_>) -> Result<ArrayRef> {
    let session = call.config.execution.time_zone.as_deref();
    let plain = speller(&call.arrays[0], &call.fields[0], session, ",")?;
    let lines = speller(&call.arrays[0], &call.fields[0], session, ",\n ")?;
    let asked = call.arrays[1].as_boolean();
    each(call, |row, out| {
        if call.arrays[0].is_null(row) || asked.is_null(row) {
            return Ok(false);
        }
        let spell = if asked.value(row) { &lines } else { &plain };
        spell(row, out).map(|()| true)
    })
}

fn list(rows: std::ops::Range<usize>, spell: &Spell, between: &str, out: &mut String) -> Result<()> {
    out.push('[');
    for (at, row) in rows.enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        spell(row, out)?;
        Bound::WIDEST.check_length(Some(out.len()))?;
    }
    out.push(']');
    Ok(())
}

fn spellers(call: &Call<'_>) -> Result<Vec<Spell>> {
    let session = call.config.execution.time_zone.as_deref();
    call.arrays.iter().zip(&call.fields).map(|(array, field)| speller(array, field, session, ",")).collect()
}

/// One text a row, of rows that may have NULLs.
fn each(call: &Call<'_>, write: impl Fn(usize, &mut String) -> Result<bool>) -> Result<ArrayRef> {
    call.bound().check_written(&call.arrays)?;
    let (mut builder, mut made) = (StringBuilder::new(), call.bound().made());
    let mut text = String::new();
    for row in 0..call.rows {
        text.clear();
        let written = write(row, &mut text)?;
        made.value(text.len())?;
        builder.append_option(written.then_some(text.as_str()));
    }
    types::fit(Arc::new(builder.finish()), call.gives)
}

pub(super) fn value(call: &Call<'_>) -> Result<ArrayRef> {
    let spellers = spellers(call)?;
    each(call, |row, out| {
        if call.arrays[0].is_null(row) {
            return Ok(false);
        }
        spellers[0](row, out).map(|()| true)
    })
}

pub(super) fn array(call: &Call<'_>) -> Result<ArrayRef> {
    let spellers = spellers(call)?;
    each(call, |row, out| {
        out.push('[');
        for (at, spell) in spellers.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            spell(row, out)?;
        }
        out.push(']');
        Ok(true)
    })
}

/// Writes a value as a key: in quotes, whatever it is.
fn key(spell: &Spell, row: usize, out: &mut String) -> Result<()> {
    let start = out.len();
    spell(row, out)?;
    let text = &out[start..];
    if text.starts_with(['{', '[']) {
        return Err(refuse("22023", "key value must be scalar, not array, composite, or json"));
    }
    if !text.starts_with('"') {
        let quoted = quoted(text);
        out.truncate(start);
        out.push_str(&quoted);
    }
    out.push_str(" : ");
    Ok(())
}

pub(super) fn object(call: &Call<'_>) -> Result<ArrayRef> {
    if !call.arrays.len().is_multiple_of(2) {
        return Err(refuse("22023", "argument list must have even number of elements: keys and values alternate"));
    }
    let spellers = spellers(call)?;
    each(call, |row, out| {
        out.push('{');
        for (at, pair) in spellers.chunks(2).enumerate() {
            let keys = &call.arrays[at * 2];
            if keys.is_null(row) || *keys.data_type() == DataType::Null {
                return Err(refuse("22023", format!("argument {} cannot be null", at * 2 + 1)));
            }
            if at > 0 {
                out.push_str(", ");
            }
            key(&pair[0], row, out)?;
            pair[1](row, out)?;
        }
        out.push('}');
        Ok(true)
    })
}

fn object_of_texts(entries: impl Iterator<Item = (Option<String>, Option<String>)>) -> Result<String> {
    let entries = entries.map(|(name, value)| {
        let name = name.ok_or_else(|| refuse("22004", "null value not allowed for object key"))?;
        let value = value.map_or_else(|| "null".to_owned(), |value| quoted(&value));
        Ok(format!("{} : {value}", quoted(&name)))
    });
    Ok(format!("{{{}}}", entries.collect::<Result<Vec<_>>>()?.join(", ")))
}

pub(super) fn object_of_pairs(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let all = steps(call, 0, row);
        if !all.len().is_multiple_of(2) {
            return Err(refuse("2202E", "array must have even number of elements"));
        }
        let pair = |pair: &[Option<String>]| (pair[0].clone(), pair[1].clone());
        object_of_texts(all.chunks(2).map(pair)).map(Some)
    })
}

pub(super) fn object_of_lists(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let (names, values) = (steps(call, 0, row), steps(call, 1, row));
        if names.len() != values.len() {
            return Err(refuse("2202E", "mismatched array dimensions"));
        }
        object_of_texts(names.into_iter().zip(values)).map(Some)
    })
}

/// What `json_agg` makes of the values that were gathered. Rows and arrays stand on lines of their own.
pub(super) fn group(call: &Call<'_>) -> Result<ArrayRef> {
    let lists = call.arrays[0].as_list::<i32>();
    let DataType::List(item) = lists.data_type() else { return value(call) };
    let session = call.config.execution.time_zone.as_deref();
    let spell = speller(lists.values(), &types::item(&call.fields[0], item), session, ",")?;
    let between = if item.data_type().is_nested() { ", \n " } else { ", " };
    let offsets = lists.value_offsets();
    each(call, |row, out| {
        if lists.is_null(row) {
            return Ok(false);
        }
        list(offsets[row] as usize..offsets[row + 1] as usize, &spell, between, out).map(|()| true)
    })
}

/// What `json_object_agg` makes of the keys and values that were gathered.
pub(super) fn group_object(call: &Call<'_>) -> Result<ArrayRef> {
    let session = call.config.execution.time_zone.as_deref();
    let spell = |at: usize| {
        let lists = call.arrays[at].as_list::<i32>();
        let field: &Field = &call.fields[at];
        match lists.data_type() {
            DataType::List(item) => speller(lists.values(), &types::item(field, item), session, ","),
            _ => speller(lists.values(), field, session, ","),
        }
    };
    let (names, values) = (call.arrays[0].as_list::<i32>(), call.arrays[1].as_list::<i32>());
    let (name, value) = (spell(0)?, spell(1)?);
    each(call, |row, out| {
        if names.is_null(row) || values.is_null(row) {
            return Ok(false);
        }
        let (first, end) = (names.value_offsets()[row] as usize, names.value_offsets()[row + 1] as usize);
        let values_first = values.value_offsets()[row] as usize;
        out.push_str("{ ");
        for at in 0..end - first {
            if names.values().is_null(first + at) {
                return Err(refuse("22023", "field name must not be null"));
            }
            if at > 0 {
                out.push_str(", ");
            }
            key(&name, first + at, out)?;
            value(values_first + at, out)?;
        }
        out.push_str(" }");
        Ok(true)
    })
}
