//! Looking into JSON.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryBuilder};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::Result;

use super::parse;
use polder_kernels::json::Json;

use crate::functions::function::{Call, refuse};
use crate::functions::types;

/// The texts of an array in one row.
pub(super) fn steps(call: &Call<'_>, at: usize, row: usize) -> Vec<Option<String>> {
    let items = call.arrays[at].as_list::<i32>().value(row);
    items.as_string::<i32>().iter().map(|step| step.map(str::to_owned)).collect()
}

/// Follows a path; a NULL in it leads nowhere.
fn follow(json: &Json, steps: &[Option<String>]) -> Option<Json> {
    let mut at = json;
    for step in steps {
        at = at.step(step.as_deref()?)?;
    }
    Some(at.clone())
}

fn found(call: &Call<'_>, text: bool, find: impl Fn(&Json, usize) -> Option<Json>) -> Result<ArrayRef> {
    call.texts(|row| {
        let json = parse(call.text(0).value(row))?;
        let found = find(&json, row);
        Ok(if text { found.and_then(|found| found.as_text()) } else { found.map(|found| found.to_string()) })
    })
}

fn element(call: &Call<'_>, text: bool) -> Result<ArrayRef> {
    found(call, text, |json, row| json.element(call.primitive::<Int64Type>(1).value(row)).cloned())
}

pub(super) fn get_element(call: &Call<'_>) -> Result<ArrayRef> {
    element(call, false)
}

pub(super) fn get_element_text(call: &Call<'_>) -> Result<ArrayRef> {
    element(call, true)
}

pub(super) fn get_key(call: &Call<'_>) -> Result<ArrayRef> {
    found(call, false, |json, row| json.get(call.text(1).value(row)).cloned())
}

pub(super) fn get_key_text(call: &Call<'_>) -> Result<ArrayRef> {
    found(call, true, |json, row| json.get(call.text(1).value(row)).cloned())
}

pub(super) fn path(call: &Call<'_>) -> Result<ArrayRef> {
    found(call, false, |json, row| follow(json, &steps(call, 1, row)))
}

pub(super) fn path_text(call: &Call<'_>) -> Result<ArrayRef> {
    found(call, true, |json, row| follow(json, &steps(call, 1, row)))
}

fn all_steps(call: &Call<'_>, row: usize) -> Vec<Option<String>> {
    (1..call.arrays.len()).map(|at| Some(call.text(at).value(row).to_owned())).collect()
}

pub(super) fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    found(call, false, |json, row| follow(json, &all_steps(call, row)))
}

pub(super) fn extract_text(call: &Call<'_>) -> Result<ArrayRef> {
    found(call, true, |json, row| follow(json, &all_steps(call, row)))
}

/// Whether an object has a key, an array a text, or a text is it.
fn exists(json: &Json, key: &str) -> bool {
    match json {
        Json::Object(_) => json.get(key).is_some(),
        Json::Array(items) => items.iter().any(|item| matches!(item, Json::Text(text) if text == key)),
        Json::Text(text) => text == key,
        _ => false,
    }
}

pub(super) fn has(call: &Call<'_>) -> Result<ArrayRef> {
    call.bools(|row| Ok(Some(exists(&parse(call.text(0).value(row))?, call.text(1).value(row)))))
}

pub(super) fn has_any(call: &Call<'_>) -> Result<ArrayRef> {
    call.bools(|row| {
        let json = parse(call.text(0).value(row))?;
        Ok(Some(steps(call, 1, row).iter().flatten().any(|key| exists(&json, key))))
    })
}

pub(super) fn has_all(call: &Call<'_>) -> Result<ArrayRef> {
    call.bools(|row| {
        let json = parse(call.text(0).value(row))?;
        Ok(Some(steps(call, 1, row).iter().flatten().all(|key| exists(&json, key))))
    })
}

pub(super) fn contains(call: &Call<'_>) -> Result<ArrayRef> {
    call.bools(|row| Ok(Some(parse(call.text(0).value(row))?.contains(&parse(call.text(1).value(row))?))))
}

pub(super) fn sort_key(call: &Call<'_>) -> Result<ArrayRef> {
    let mut keys = BinaryBuilder::new();
    for row in 0..call.rows {
        keys.append_option(if call.is_whole(row) { Some(parse(call.text(0).value(row))?.sort_key()) } else { None });
    }
    types::fit(Arc::new(keys.finish()), call.gives)
}

pub(super) fn kind(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| Ok(Some(parse(call.text(0).value(row))?.kind().to_owned())))
}

pub(super) fn pretty(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let mut out = String::new();
        parse(call.text(0).value(row))?.pretty(0, &mut out);
        Ok(Some(out))
    })
}

fn array_of(json: Json, what: &str) -> Result<Vec<Json>> {
    match json {
        Json::Array(items) => Ok(items),
        other => Err(refuse("22023", format!("cannot {what} of a JSON {}: it is no array", other.kind()))),
    }
}

fn object_of(json: Json, what: &str) -> Result<Vec<(String, Json)>> {
    match json {
        Json::Object(entries) => Ok(entries),
        other => Err(refuse("22023", format!("cannot {what} of a JSON {}: it is no object", other.kind()))),
    }
}

pub(super) fn array_length(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Int32Type>(|row| {
        let items = array_of(parse(call.text(0).value(row))?, "get the length")?;
        Ok(Some(items.len() as i32))
    })
}

/// One list a row, of what is found in it.
fn lists(call: &Call<'_>, of: impl Fn(Json) -> Result<Vec<Option<String>>>) -> Result<ArrayRef> {
    let mut lists = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        lists.push(if call.is_whole(row) { Some(of(parse(call.text(0).value(row))?)?) } else { None });
    }
    types::text_lists(lists, call.gives)
}

pub(super) fn object_keys(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |json| Ok(object_of(json, "get the keys")?.into_iter().map(|(key, _)| Some(key)).collect()))
}

pub(super) fn elements(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |json| Ok(array_of(json, "get the elements")?.iter().map(|item| Some(item.to_string())).collect()))
}

pub(super) fn elements_text(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |json| Ok(array_of(json, "get the elements")?.iter().map(Json::as_text).collect()))
}

pub(super) fn values(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |json| {
        Ok(object_of(json, "get the values")?.iter().map(|(_, value)| Some(value.to_string())).collect())
    })
}

pub(super) fn values_text(call: &Call<'_>) -> Result<ArrayRef> {
    lists(call, |json| Ok(object_of(json, "get the values")?.iter().map(|(_, value)| value.as_text()).collect()))
}
