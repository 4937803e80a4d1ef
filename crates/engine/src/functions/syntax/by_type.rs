//! `date(x)`: a call by the name of a type is a cast to it.

use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Function, TimezoneInfo};

use super::arguments;

/// The cast that a call is; none for any other call.
pub(super) fn cast(name: &str, function: &Function) -> Option<Expr> {
    let data_type = named(name)?;
    if function.over.is_some() || function.filter.is_some() {
        return None;
    }
    let [argument] = <[Expr; 1]>::try_from(arguments(function)?).ok()?;
    Some(Expr::Cast { kind: CastKind::Cast, expr: Box::new(argument), data_type, array: false, format: None })
}

/// The types that can be called. Those whose names are words of the grammar, such as `numeric`, cannot in PostgreSQL either.
fn named(function: &str) -> Option<DataType> {
    Some(match function {
        "bool" => DataType::Boolean,
        "bytea" => DataType::Bytea,
        "date" => DataType::Date,
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "int2" => DataType::SmallInt(None),
        "int4" => DataType::Integer(None),
        "int8" => DataType::BigInt(None),
        "json" => DataType::JSON,
        "jsonb" => DataType::JSONB,
        "text" => DataType::Text,
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::Tz),
        "uuid" => DataType::Uuid,
        _ => return None,
    })
}
