//! JSON made of other JSON.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use datafusion::common::Result;

use super::look::steps;
use super::parse;
use polder_kernels::json::{Json, place};

use crate::functions::function::{Call, refuse};

fn edited(call: &Call<'_>, edit: impl Fn(Json, usize) -> Result<Json>) -> Result<ArrayRef> {
    call.texts(|row| {
        let json = parse(call.text(0).value(row))?;
        Ok(Some(edit(json, row)?.to_string()))
    })
}

fn second(call: &Call<'_>, at: usize, row: usize) -> Result<Json> {
    parse(call.text(at).value(row))
}

/// Objects merge, arrays follow one another, and what is neither is an array of one.
pub(super) fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |left, row| {
        Ok(match (left, second(call, 1, row)?) {
            (Json::Object(mut entries), Json::Object(more)) => {
                entries.extend(more);
                Json::object(entries)
            }
            (left, right) => {
                let list = |json: Json| match json {
                    Json::Array(items) => items,
                    other => vec![other],
                };
                let mut items = list(left);
                items.extend(list(right));
                Json::Array(items)
            }
        })
    })
}

fn scalar() -> datafusion::common::DataFusionError {
    refuse("22023", "nothing can be deleted from a JSON scalar")
}

fn without(json: Json, key: &str) -> Result<Json> {
    match json {
        Json::Object(mut entries) => {
            entries.retain(|(name, _)| name != key);
            Ok(Json::Object(entries))
        }
        Json::Array(mut items) => {
            items.retain(|item| !matches!(item, Json::Text(text) if text == key));
            Ok(Json::Array(items))
        }
        _ => Err(scalar()),
    }
}

pub(super) fn without_key(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |json, row| without(json, call.text(1).value(row)))
}

pub(super) fn without_keys(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |json, row| steps(call, 1, row).iter().flatten().try_fold(json, |json, key| without(json, key)))
}

pub(super) fn without_element(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |json, row| match json {
        Json::Array(mut items) => {
            if let Some(at) = place(call.primitive::<Int64Type>(1).value(row), items.len()) {
                items.remove(at);
            }
            Ok(Json::Array(items))
        }
        Json::Object(_) => Err(refuse("22023", "an object has no element with a number; its keys are texts")),
        _ => Err(scalar()),
    })
}

/// What is to be done at the end of a path.
enum Work<'a> {
    Delete,
    Set { value: &'a Json, create: bool },
    Insert { value: &'a Json, after: bool },
}

fn index(step: &str, at: usize) -> Result<i64> {
    step.trim()
        .parse()
        .map_err(|_| refuse("22P02", format!("path element at position {} is not an integer: {step:?}", at + 1)))
}

fn at_path(json: &mut Json, path: &[String], at: usize, work: &Work<'_>) -> Result<()> {
    let Some(step) = path.get(at) else { return Ok(()) };
    let last = at + 1 == path.len();
    match json {
        Json::Object(entries) => {
            let found = entries.iter().position(|(name, _)| name == step);
            match (found, last, work) {
                (Some(found), false, _) => at_path(&mut entries[found].1, path, at + 1, work)?,
                (Some(found), true, Work::Delete) => {
                    entries.remove(found);
                }
                (Some(found), true, Work::Set { value, .. }) => entries[found].1 = (*value).clone(),
                (Some(_), true, Work::Insert { .. }) => {
                    return Err(refuse("22023", "cannot replace existing key; jsonb_set replaces"));
                }
                (None, true, Work::Set { value, create: true } | Work::Insert { value, .. }) => {
                    entries.push((step.clone(), (*value).clone()));
                    *json = Json::object(std::mem::take(entries));
                }
                _ => {}
            }
        }
        Json::Array(items) => {
            let index = index(step, at)?;
            let found = place(index, items.len());
            match (found, last, work) {
                (Some(found), false, _) => at_path(&mut items[found], path, at + 1, work)?,
                (Some(found), true, Work::Delete) => {
                    items.remove(found);
                }
                (Some(found), true, Work::Set { value, .. }) => items[found] = (*value).clone(),
                (Some(found), true, Work::Insert { value, after }) => {
                    items.insert(found + usize::from(*after), (*value).clone());
                }
                (None, true, Work::Set { value, create: true } | Work::Insert { value, .. }) => {
                    let end = if index < 0 { 0 } else { items.len() };
                    items.insert(end, (*value).clone());
                }
                _ => {}
            }
        }
        _ if matches!(work, Work::Delete) && at == 0 => return Err(scalar()),
        _ if at == 0 => return Err(refuse("22023", "a path cannot be set in a JSON scalar")),
        _ => {}
    }
    Ok(())
}

fn path_of(call: &Call<'_>, row: usize) -> Result<Vec<String>> {
    steps(call, 1, row)
        .into_iter()
        .enumerate()
        .map(|(at, step)| step.ok_or_else(|| refuse("22004", format!("path element at position {} is NULL", at + 1))))
        .collect()
}

pub(super) fn without_path(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |mut json, row| {
        at_path(&mut json, &path_of(call, row)?, 0, &Work::Delete)?;
        Ok(json)
    })
}

fn flag(call: &Call<'_>, row: usize, default: bool) -> bool {
    use arrow::array::AsArray;
    call.arrays.get(3).map_or(default, |array| array.as_boolean().value(row))
}

pub(super) fn set(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |mut json, row| {
        let value = second(call, 2, row)?;
        at_path(&mut json, &path_of(call, row)?, 0, &Work::Set { value: &value, create: flag(call, row, true) })?;
        Ok(json)
    })
}

pub(super) fn insert(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |mut json, row| {
        let value = second(call, 2, row)?;
        at_path(&mut json, &path_of(call, row)?, 0, &Work::Insert { value: &value, after: flag(call, row, false) })?;
        Ok(json)
    })
}

fn stripped(json: Json) -> Json {
    match json {
        Json::Object(entries) => Json::Object(
            entries
                .into_iter()
                .filter(|(_, value)| *value != Json::Null)
                .map(|(key, value)| (key, stripped(value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(stripped).collect()),
        other => other,
    }
}

pub(super) fn strip_nulls(call: &Call<'_>) -> Result<ArrayRef> {
    edited(call, |json, _| Ok(stripped(json)))
}
