//! What a session knows of values, of names and of itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeBinaryBuilder, Int32Array, StringArray};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::function::{Call, Function, Gives, Kind as K, function, way, way_rest};
use super::types;

const NONE: &[K] = &[];

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "pg_typeof",
        "pg_typeof(value)",
        "What PostgreSQL calls the type of a value.",
        &[way(&[K::Any], Gives::Text, type_of)],
    ),
    function(
        "num_nulls",
        "num_nulls(value, …)",
        "How many of the values are NULL.",
        &[way_rest(&[], K::Any, Gives::Int4, num_nulls)],
    ),
    function(
        "num_nonnulls",
        "num_nonnulls(value, …)",
        "How many of the values are not NULL.",
        &[way_rest(&[], K::Any, Gives::Int4, num_nonnulls)],
    ),
    Function {
        volatility: Volatility::Volatile,
        ..function("gen_random_uuid", "gen_random_uuid()", "A new random UUID.", &[way(&[], Gives::Uuid, random_uuid)])
    },
    stable(
        "current_schema",
        "current_schema()",
        "The schema of names without one.",
        &[way(NONE, Gives::Text, current_schema)],
    ),
    stable(
        "current_database",
        "current_database()",
        "The name of the database.",
        &[way(NONE, Gives::Text, current_database)],
    ),
];

const fn stable(
    name: &'static str,
    syntax: &'static str,
    description: &'static str,
    overloads: &'static [super::function::Overload],
) -> Function {
    Function { volatility: Volatility::Stable, ..function(name, syntax, description, overloads) }
}

fn repeated(call: &Call<'_>, text: &str) -> Result<ArrayRef> {
    let array: StringArray = std::iter::repeat_n(Some(text), call.rows).collect();
    types::fit(Arc::new(array), call.gives)
}

fn type_of(call: &Call<'_>) -> Result<ArrayRef> {
    repeated(call, &types::field_name(&call.fields[0]))
}

fn nulls(call: &Call<'_>, row: usize) -> i32 {
    call.arrays
        .iter()
        .filter(|array| array.data_type() == &arrow::datatypes::DataType::Null || array.is_null(row))
        .count() as i32
}

fn num_nulls(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(Int32Array::from_iter_values((0..call.rows).map(|row| nulls(call, row)))))
}

fn num_nonnulls(call: &Call<'_>) -> Result<ArrayRef> {
    let all = call.arrays.len() as i32;
    Ok(Arc::new(Int32Array::from_iter_values((0..call.rows).map(|row| all - nulls(call, row)))))
}

fn random_uuid(call: &Call<'_>) -> Result<ArrayRef> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(call.rows, 16);
    for _ in 0..call.rows {
        builder.append_value(uuid::Uuid::new_v4().as_bytes())?;
    }
    Ok(Arc::new(builder.finish()))
}

fn current_schema(call: &Call<'_>) -> Result<ArrayRef> {
    repeated(call, &call.config.catalog.default_schema)
}

fn current_database(call: &Call<'_>) -> Result<ArrayRef> {
    repeated(call, &call.config.catalog.default_catalog)
}
