//! Who, where and when.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, ListBuilder, StringArray, StringViewBuilder,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::Result;
use polder_capability::POSTGRES_VERSION;

use crate::error::into_datafusion;
use crate::functions::function::{Call, refuse};
use crate::functions::types;
use crate::system::pg_catalog::{World, activity, oids, schemas as fixed};

/// As `pg_database` has it, in the type of the function.
const UTF8_NUMBER: i32 = 6;

fn repeated(call: &Call<'_>, text: &str) -> Result<ArrayRef> {
    let array: StringArray = std::iter::repeat_n(Some(text), call.rows).collect();
    types::fit(Arc::new(array), call.gives)
}

pub(super) fn version(call: &Call<'_>) -> Result<ArrayRef> {
    repeated(call, &format!("PostgreSQL {POSTGRES_VERSION} (Polder {})", env!("CARGO_PKG_VERSION")))
}

pub(super) fn user(call: &Call<'_>) -> Result<ArrayRef> {
    repeated(call, World::of(call.config)?.who().role_name())
}

pub(super) fn session_user(call: &Call<'_>) -> Result<ArrayRef> {
    repeated(call, World::of(call.config)?.who().user_name())
}

pub(super) fn utf8(call: &Call<'_>) -> Result<ArrayRef> {
    repeated(call, "UTF8")
}

pub(super) fn encoding(call: &Call<'_>) -> Result<ArrayRef> {
    let numbers = call.primitive::<Int64Type>(0);
    call.texts(|row| Ok(Some(if numbers.value(row) == fixed::UTF8 { "UTF8" } else { "" }.to_owned())))
}

pub(super) fn encoding_number(call: &Call<'_>) -> Result<ArrayRef> {
    let names = call.text(0);
    let known = |name: &str| name.eq_ignore_ascii_case("utf8") || name.eq_ignore_ascii_case("utf-8");
    call.values::<Int32Type>(|row| Ok(Some(if known(names.value(row)) { UTF8_NUMBER } else { -1 })))
}

pub(super) fn schemas(call: &Call<'_>) -> Result<ArrayRef> {
    let directory = World::of(call.config)?.directory();
    let with_system = call.arrays[0].as_any().downcast_ref::<BooleanArray>();
    let mut lists = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        if !call.is_whole(row) {
            lists.append_null();
            continue;
        }
        let all = with_system.is_some_and(|all| all.value(row));
        let path = directory.path().iter().filter(|oid| all || **oid != oids::PG_CATALOG);
        lists.append_value(path.filter_map(|oid| directory.schema(*oid)).map(Some));
    }
    types::fit(Arc::new(lists.finish()), call.gives)
}

/// A setting by its name. With true as the second argument there is NULL for one that is not there.
pub(super) fn setting(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let lenient = call.arrays.get(1).and_then(|array| array.as_any().downcast_ref::<BooleanArray>());
    call.texts(|row| {
        let name = call.text(0).value(row);
        let found = activity::setting(world, name);
        if found.is_none() && !lenient.is_some_and(|lenient| lenient.value(row)) {
            return Err(refuse("42704", format!("unrecognized configuration parameter \"{name}\"")));
        }
        Ok(found)
    })
}

/// What sets is a column of a SELECT (`statement/set_config.rs`). Anywhere else it can only say that something is set as is
/// wanted.
pub(super) fn set_config(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    call.texts(|row| {
        let (name, wanted) = (call.text(0).value(row), call.text(1).value(row));
        match activity::setting(world, name) {
            None => Err(refuse("42704", format!("unrecognized configuration parameter \"{name}\""))),
            Some(value) if value == wanted => Ok(Some(value)),
            Some(value) => {
                let message = format!(
                    "{name} is {value:?}: set_config sets it as a column of a SELECT, without current_setting beside it"
                );
                Err(refuse("0A000", message))
            }
        }
    })
}

pub(super) fn always(call: &Call<'_>) -> Result<ArrayRef> {
    call.bools(|_| Ok(Some(true)))
}

pub(super) fn process(call: &Call<'_>) -> Result<ArrayRef> {
    let of_all = || i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    let id = World::of(call.config)?.process().unwrap_or_else(of_all);
    Ok(Arc::new(Int32Array::from(vec![id; call.rows])))
}

pub(super) fn cancel(call: &Call<'_>) -> Result<ArrayRef> {
    signal(call, false)
}

pub(super) fn terminate(call: &Call<'_>) -> Result<ArrayRef> {
    signal(call, true)
}

fn signal(call: &Call<'_>, terminate: bool) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let processes = call.primitive::<Int64Type>(0);
    call.bools(|row| {
        let Ok(process) = i32::try_from(processes.value(row)) else { return Ok(Some(false)) };
        activity::signal(world, process, terminate).map(Some).map_err(into_datafusion)
    })
}

pub(super) fn never(call: &Call<'_>) -> Result<ArrayRef> {
    call.bools(|_| Ok(Some(false)))
}

pub(super) fn nothing(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(new_null_array(call.gives, call.rows))
}

/// The object id of nothing.
pub(super) fn none(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(Int64Array::from(vec![0; call.rows])))
}

pub(super) fn started(call: &Call<'_>) -> Result<ArrayRef> {
    let started = World::of(call.config)?.engine().started.timestamp_micros();
    Ok(Arc::new(TimestampMicrosecondArray::from(vec![started; call.rows]).with_timezone("UTC")))
}

pub(super) fn version_read(call: &Call<'_>) -> Result<ArrayRef> {
    let id = World::of(call.config)?.snapshot().id;
    Ok(Arc::new(Int64Array::from(vec![id; call.rows])))
}

pub(super) fn role(call: &Call<'_>) -> Result<ArrayRef> {
    let book = &World::of(call.config)?.who().book;
    let numbers = call.primitive::<Int64Type>(0);
    call.texts(|row| {
        let oid = numbers.value(row);
        let found = book.name(oid).map(str::to_owned);
        Ok(Some(found.unwrap_or_else(|| format!("unknown (OID={oid})"))))
    })
}
