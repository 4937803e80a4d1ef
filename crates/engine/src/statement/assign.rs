//! What may go into a column of another type by itself: numbers into numbers, moments into moments. A boolean in a column of
//! numbers is most often a value in the wrong place, and PostgreSQL refuses it; so it does a number in one of JSON.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection, Values};
use polder_lake::TableState;
use polder_types::{Error, Result};

use crate::functions::types;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Boolean,
    Number,
    Time,
    Moment,
    Span,
}

impl Family {
    /// `None` for texts, which are read, and for all that other casts look at.
    fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Boolean => Some(Self::Boolean),
            number if number.is_numeric() => Some(Self::Number),
            DataType::Time32(_) | DataType::Time64(_) => Some(Self::Time),
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Some(Self::Moment),
            DataType::Interval(_) | DataType::Duration(_) => Some(Self::Span),
            _ => None,
        }
    }
}

/// # Errors
/// `InvalidInput` (42804) for a value that belongs into another column.
pub(super) fn check(value: &DataType, column: &Field) -> Result<()> {
    let Some(from) = Family::of(value) else { return Ok(()) };
    let into_json = types::is_json(column);
    match Family::of(column.data_type()) {
        None if into_json => {}
        None => return Ok(()),
        // The time of day of a moment is a cast by assignment.
        Some(to) if from == to => return Ok(()),
        Some(Family::Time) if matches!(from, Family::Moment | Family::Span) => return Ok(()),
        Some(_) => {}
    }
    let (given, wanted) = (types::postgres_name(value), types::field_name(column));
    let hint = match into_json {
        true => "are the values in the order of the columns? if so, to_jsonb(…) makes JSON of any value".to_owned(),
        false => format!("are the values in the order of the columns? if so, CAST (… AS {wanted})"),
    };
    Err(Error::invalid(format!("column {:?} is of type {wanted} but expression is of type {given}", column.name()))
        .with_code("42804")
        .with_hint(hint))
}

/// As [`check`], of all that an INSERT's plan casts to the types of the columns.
///
/// # Errors
/// The same.
pub(super) fn check_insert(plan: &LogicalPlan, table: &TableState) -> Result<()> {
    let LogicalPlan::Dml(dml) = plan else { return Ok(()) };
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else { return Ok(()) };
    let schema = table.schema();
    let column = |name: &str| schema.field_with_name(name).ok();
    for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
        if let Some(column) = column(field.name()) {
            check_cast(expr, projection.input.schema(), column)?;
        }
    }
    let LogicalPlan::Values(values) = projection.input.as_ref() else { return Ok(()) };
    // Their columns are those of the table, in the order of the projection.
    for (at, expr) in projection.expr.iter().enumerate() {
        let (Some(place), Some(column)) = (place(expr, &values.schema), column(projection.schema.field(at).name()))
        else {
            continue;
        };
        for row in &values.values {
            if let Some(cell) = row.get(place) {
                check_cast(cell, &DFSchema::empty(), column)?;
            }
        }
    }
    Ok(())
}

/// The plan of an INSERT with missing values in its VALUES wherever they stand: what writes the rows refuses those that
/// may not be, and names the column of the table, where the rows of VALUES know their own columns only.
pub(super) fn with_missing(mut plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let LogicalPlan::Dml(dml) = &mut plan else { return Ok(plan) };
    let LogicalPlan::Projection(projection) = dml.input.as_ref() else { return Ok(plan) };
    let LogicalPlan::Values(values) = projection.input.as_ref() else { return Ok(plan) };
    let of_values = values.schema.iter();
    let fields = of_values.map(|(table, field)| (table.cloned(), Arc::new(field.as_ref().clone().with_nullable(true))));
    let schema = DFSchema::new_with_metadata(fields.collect(), values.schema.metadata().clone())?;
    let values = LogicalPlan::Values(Values { schema: Arc::new(schema), values: values.values.clone() });
    let projection = Projection::try_new(projection.expr.clone(), Arc::new(values))?;
    dml.input = Arc::new(LogicalPlan::Projection(projection));
    Ok(plan)
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

fn place(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match bare(expr) {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::Cast(cast) => place(&cast.expr, schema),
        _ => None,
    }
}

fn check_cast(expr: &Expr, schema: &DFSchema, column: &Field) -> Result<()> {
    let Expr::Cast(Cast { expr: inner, .. }) = bare(expr) else { return Ok(()) };
    // A cast that the statement itself has written is of a value that is cast again, or already of the type.
    match inner.get_type(schema) {
        Ok(given) => check(&given, column),
        Err(_) => Ok(()),
    }
}
