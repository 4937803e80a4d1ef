//! JSON of values of any type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::Result;

use super::look::steps;
use super::parse;
use polder_kernels::json::Json;

use crate::functions::function::{Call, refuse};
use crate::functions::{text, types};

type ToJson = Box<dyn Fn(usize) -> Result<Json>>;

/// How the values of a column become JSON.
fn converter(array: &ArrayRef, field: &Field, session: Option<&str>) -> Result<ToJson> {
    use DataType as D;
    let nulls = Arc::clone(array);
    let inner: ToJson = match array.data_type() {
        D::Null => Box::new(|_| Ok(Json::Null)),
        D::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |row| Ok(Json::Bool(values.value(row))))
        }
        D::List(item) => {
            let lists = array.as_list::<i32>().clone();
            let convert = converter(lists.values(), &types::item(field, item), session)?;
            Box::new(move |row| {
                let offsets = lists.value_offsets();
                (offsets[row] as usize..offsets[row + 1] as usize)
                    .map(&convert)
                    .collect::<Result<Vec<_>>>()
                    .map(Json::Array)
            })
        }
        D::Struct(fields) => {
            let columns = names(fields)
                .into_iter()
                .zip(fields.iter().zip(array.as_struct().columns()))
                .map(|(name, (field, column))| Ok((name, converter(column, field, session)?)))
                .collect::<Result<Vec<_>>>()?;
            Box::new(move |row| {
                let entries = columns.iter().map(|(name, convert)| Ok((name.clone(), convert(row)?)));
                entries.collect::<Result<Vec<_>>>().map(Json::object)
            })
        }
        other => {
            let write = text::writer(array, session, false)?;
            let number = other.is_numeric() && types::catalog_type(field).is_none();
            let json = types::is_json(field);
            let time = matches!(other, D::Timestamp(..));
            let zoned = matches!(other, D::Timestamp(_, Some(_)));
            Box::new(move |row| {
                let text = write(row)?;
                // What is no number in JSON, such as NaN, is a text.
                if number && is_digits(&text) {
                    parse(&text)
                } else if json {
                    parse(&text)
                } else if time {
                    Ok(Json::Text(moment(&text, zoned)))
                } else {
                    Ok(Json::Text(text))
                }
            })
        }
    };
    Ok(Box::new(move |row| if nulls.is_null(row) { Ok(Json::Null) } else { inner(row) }))
}

/// The names of a row's columns. Those of `ROW(…)`, which has none, are `f1` and so on.
pub(super) fn names(fields: &Fields) -> Vec<String> {
    let nameless = fields.iter().enumerate().all(|(at, field)| *field.name() == format!("c{at}"));
    let name = |(at, field): (usize, &FieldRef)| match nameless {
        true => format!("f{}", at + 1),
        false => field.name().clone(),
    };
    fields.iter().enumerate().map(name).collect()
}

/// Whether a number is one in JSON, as NaN is not.
pub(super) fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
}

/// A moment as ISO 8601 has it.
pub(super) fn moment(text: &str, zoned: bool) -> String {
    let text = text.replacen(' ', "T", 1);
    if zoned { with_minutes(text) } else { text }
}

/// The offset at the end as hours and minutes: `+00:00`, where a text has `+00`.
fn with_minutes(text: String) -> String {
    let offset = text.rfind(['+', '-']).map_or("", |at| &text[at..]);
    if offset.len() == 3 { text + ":00" } else { text }
}

fn converters(call: &Call<'_>) -> Result<Vec<ToJson>> {
    let session = call.config.execution.time_zone.as_deref();
    call.bound().check_written(&call.arrays)?;
    call.arrays.iter().zip(&call.fields).map(|(array, field)| converter(array, field, session)).collect()
}

/// One JSON a row, of rows that may have NULLs.
fn each(call: &Call<'_>, of: impl Fn(usize) -> Result<Option<Json>>) -> Result<ArrayRef> {
    let (mut builder, mut made) = (StringBuilder::new(), call.bound().made());
    for row in 0..call.rows {
        let text = of(row)?.map(|json| json.to_string());
        made.value(text.as_ref().map_or(0, String::len))?;
        builder.append_option(text);
    }
    types::fit(Arc::new(builder.finish()), call.gives)
}

pub(super) fn to_json(call: &Call<'_>) -> Result<ArrayRef> {
    let converters = converters(call)?;
    each(call, |row| if call.arrays[0].is_null(row) { Ok(None) } else { converters[0](row).map(Some) })
}

pub(super) fn array(call: &Call<'_>) -> Result<ArrayRef> {
    let converters = converters(call)?;
    each(call, |row| {
        converters.iter().map(|convert| convert(row)).collect::<Result<Vec<_>>>().map(|all| Some(Json::Array(all)))
    })
}

fn key(json: &Json, at: usize) -> Result<String> {
    json.as_text().ok_or_else(|| refuse("22023", format!("argument {at}: key must not be null")))
}

pub(super) fn object(call: &Call<'_>) -> Result<ArrayRef> {
    if !call.arrays.len().is_multiple_of(2) {
        return Err(refuse("22023", "argument list must have even number of elements: keys and values alternate"));
    }
    let converters = converters(call)?;
    each(call, |row| {
        let entries =
            converters.chunks(2).enumerate().map(|(at, pair)| Ok((key(&pair[0](row)?, at * 2 + 1)?, pair[1](row)?)));
        entries.collect::<Result<Vec<_>>>().map(|entries| Some(Json::object(entries)))
    })
}

fn text_value(value: Option<String>) -> Json {
    value.map_or(Json::Null, Json::Text)
}

pub(super) fn object_of_pairs(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let all = steps(call, 0, row);
        if !all.len().is_multiple_of(2) {
            return Err(refuse("2202E", "array must have even number of elements"));
        }
        let mut entries = Vec::new();
        let mut all = all.into_iter();
        while let (Some(name), Some(value)) = (all.next(), all.next()) {
            let name = name.ok_or_else(|| refuse("22004", "null value not allowed for object key"))?;
            entries.push((name, text_value(value)));
        }
        Ok(Some(Json::object(entries).to_string()))
    })
}

pub(super) fn object_of_lists(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let (names, values) = (steps(call, 0, row), steps(call, 1, row));
        if names.len() != values.len() {
            return Err(refuse("2202E", "mismatched array dimensions"));
        }
        let entries = names.into_iter().zip(values).map(|(name, value)| {
            let name = name.ok_or_else(|| refuse("22004", "null value not allowed for object key"))?;
            Ok((name, text_value(value)))
        });
        Ok(Some(Json::object(entries.collect::<Result<Vec<_>>>()?).to_string()))
    })
}

/// What `json_agg` makes of the values that were gathered.
pub(super) fn group(call: &Call<'_>) -> Result<ArrayRef> {
    to_json(call)
}

/// What `json_object_agg` makes of the keys and values that were gathered.
pub(super) fn group_object(call: &Call<'_>) -> Result<ArrayRef> {
    let converters = converters(call)?;
    each(call, |row| {
        if call.arrays[0].is_null(row) {
            return Ok(None);
        }
        let (Json::Array(keys), Json::Array(values)) = (converters[0](row)?, converters[1](row)?) else {
            return Ok(None);
        };
        let entries = keys.iter().zip(values).map(|(name, value)| {
            let name = name.as_text().ok_or_else(|| refuse("22023", "field name must not be null"))?;
            Ok((name, value))
        });
        entries.collect::<Result<Vec<_>>>().map(|entries| Some(Json::object(entries)))
    })
}
