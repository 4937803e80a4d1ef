//! Columns that count themselves up: SERIAL, and how an identity begins and goes on.

use datafusion::sql::sqlparser::ast::{DataType, Expr, SequenceOptions, UnaryOperator, Value};
use polder_types::{Error, Result};

/// PostgreSQL's serial types are whole numbers that count themselves up.
pub(super) fn serial(data_type: &DataType) -> Option<DataType> {
    let DataType::Custom(name, modifiers) = data_type else { return None };
    if !modifiers.is_empty() {
        return None;
    }
    match name.to_string().to_lowercase().as_str() {
        "serial" | "serial4" => Some(DataType::Integer(None)),
        "bigserial" | "serial8" => Some(DataType::BigInt(None)),
        "smallserial" | "serial2" => Some(DataType::SmallInt(None)),
        _ => None,
    }
}

/// (start, step) of an identity.
pub(super) fn sequence(options: &[SequenceOptions]) -> Result<(i64, i64)> {
    let (mut start, mut step) = (None, 1);
    for option in options {
        match option {
            SequenceOptions::StartWith(expr, _) => start = Some(whole(expr)?),
            SequenceOptions::IncrementBy(expr, _) => step = whole(expr)?,
            // Numbers are given out from memory, so there is nothing to keep in advance.
            SequenceOptions::Cache(_) | SequenceOptions::Cycle(false) => {}
            SequenceOptions::MinValue(None) | SequenceOptions::MaxValue(None) => {}
            other => return Err(Error::unsupported(format!("an identity with{other} is not supported"))),
        }
    }
    if step == 0 {
        return Err(Error::invalid("the increment of an identity must not be zero").with_code("22023"));
    }
    Ok((start.unwrap_or(if step > 0 { 1 } else { -1 }), step))
}

fn whole(expr: &Expr) -> Result<i64> {
    let wrong = || Error::invalid(format!("{expr} is no whole number")).with_code("22023");
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.to_string().parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => whole(expr).map(|number| -number),
        _ => Err(wrong()),
    }
}
