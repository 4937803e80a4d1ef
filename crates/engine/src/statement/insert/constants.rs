//! Rows of constants, made without a plan.
//!
//! Applications insert rows that are written out, and planning them takes many times as long as storing them. What is
//! anything but a plain constant, or would be refused, is left to the planner: so there is one place that explains, and
//! none that differs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{self, CastKind, Expr, Insert, Query, SetExpr, UnaryOperator, Value};

use crate::functions::{casts, types};
use crate::semantics::Zone;
use crate::statement::names::parts;
use crate::statement::target::Target;

/// All columns of the table, in its order and types; none when a plan is needed.
///
/// Each constant takes the type of its column by itself, as in PostgreSQL.
pub(super) fn rows(target: &Target, insert: &Insert, zone: &str) -> Option<RecordBatch> {
    let source = insert.source.as_deref()?;
    let SetExpr::Values(values) = source.body.as_ref() else { return None };
    if insert.on.is_some() || insert.returning.is_some() || !is_bare(source) || values.rows.is_empty() {
        return None;
    }
    let schema = target.table.schema();
    let fields = schema.fields();
    let width = values.rows.first()?.content.len();
    if values.rows.iter().any(|row| row.content.len() != width) {
        return None;
    }
    let places = places(target, insert, width)?;
    let columns = fields.iter().enumerate().map(|(at, field)| {
        let Some(place) = places.get(&at) else {
            return is_null_by_default(target, field).then(|| nulls(field, values.rows.len())).flatten();
        };
        if target.gives_own_value(target.column_id(field.name()).ok()?) {
            return None;
        }
        let cells: Option<Vec<_>> = values.rows.iter().map(|row| constant(&row.content[*place], field, zone)).collect();
        ScalarValue::iter_to_array(cells?).ok()
    });
    RecordBatch::try_new(nullable(target), columns.collect::<Option<Vec<ArrayRef>>>()?).ok()
}

/// The table's schema without NOT NULL, which the table itself checks.
fn nullable(target: &Target) -> arrow::datatypes::SchemaRef {
    let schema = target.table.schema();
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    Arc::new(arrow::datatypes::Schema::new(fields))
}

/// A list of VALUES, and nothing around it.
fn is_bare(query: &Query) -> bool {
    query.with.is_none()
        && query.order_by.is_none()
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && query.locks.is_empty()
        && query.for_clause.is_none()
}

/// For each column of the table that is given: where in a row its value stands.
fn places(target: &Target, insert: &Insert, width: usize) -> Option<HashMap<usize, usize>> {
    let fields = target.table.arrow_schema.fields();
    if insert.columns.is_empty() {
        return (width <= fields.len()).then(|| (0..width).map(|at| (at, at)).collect());
    }
    let mut places = HashMap::new();
    for (place, name) in insert.columns.iter().enumerate() {
        let name = parts(name).ok()?.pop()?;
        let at = fields.iter().position(|field| *field.name() == name)?;
        if places.insert(at, place).is_some() {
            return None;
        }
    }
    (places.len() == width).then_some(places)
}

fn is_null_by_default(target: &Target, field: &FieldRef) -> bool {
    let Some(column) = target.table.top_columns().find(|column| column.name == *field.name()) else { return false };
    column.default_value.as_deref().is_none_or(|text| text == "NULL")
        && !target.has_computed_default(field.name())
        && !target.gives_own_value(column.id)
}

fn nulls(field: &FieldRef, rows: usize) -> Option<ArrayRef> {
    Some(arrow::array::new_null_array(field.data_type(), rows))
}

fn constant(expr: &Expr, field: &FieldRef, zone: &str) -> Option<ScalarValue> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Null => ScalarValue::try_from(field.data_type()).ok(),
            Value::Boolean(value) if *field.data_type() == DataType::Boolean => {
                Some(ScalarValue::Boolean(Some(*value)))
            }
            Value::Number(digits, _) => number(digits, field.data_type()),
            Value::SingleQuotedString(text) => text_as(text, field, zone),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) => number(&format!("-{digits}"), field.data_type()),
                _ => None,
            },
            _ => None,
        },
        Expr::Nested(inner) => constant(inner, field, zone),
        // A parameter of a driver: what is cast to the column's own type is what the text would be there.
        Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None } => {
            let Expr::Value(value) = expr.as_ref() else { return None };
            match &value.value {
                Value::SingleQuotedString(text) if is_type_of(data_type, field.data_type()) => {
                    text_as(text, field, zone)
                }
                Value::Null if is_type_of(data_type, field.data_type()) => {
                    ScalarValue::try_from(field.data_type()).ok()
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a type's name means just the type of a column.
fn is_type_of(name: &ast::DataType, column: &DataType) -> bool {
    use ast::{DataType as Name, TimezoneInfo};
    match column {
        DataType::Date32 => matches!(name, Name::Date),
        DataType::Float64 => matches!(name, Name::DoublePrecision),
        DataType::FixedSizeBinary(16) => matches!(name, Name::Uuid),
        DataType::Timestamp(TimeUnit::Microsecond, None) => matches!(name, Name::Timestamp(None, TimezoneInfo::None)),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            matches!(name, Name::Timestamp(None, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz))
        }
        _ => false,
    }
}

/// Longer ones may be beyond what a decimal of the planner's holds, which refuses them.
const DIGITS_MAX: usize = 30;

fn number(digits: &str, to: &DataType) -> Option<ScalarValue> {
    let whole = digits.strip_prefix('-').unwrap_or(digits).bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.'));
    if digits.len() > DIGITS_MAX || !plain {
        return None;
    }
    match to {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 if whole => {
            let value = ScalarValue::Int64(Some(digits.parse().ok()?));
            // What is too large comes back as NULL from a lenient cast; here it is an error.
            value.cast_to(to).ok().filter(|value| !value.is_null())
        }
        DataType::Float64 => Some(ScalarValue::Float64(Some(digits.parse().ok()?))),
        DataType::Decimal128(..) => read(digits, to),
        _ => None,
    }
}

fn text_as(text: &str, field: &FieldRef, zone: &str) -> Option<ScalarValue> {
    let to = field.data_type();
    // What is JSON is read when it is stored.
    if types::is_text(to) {
        return match to {
            DataType::Utf8 => Some(ScalarValue::Utf8(Some(text.to_owned()))),
            DataType::Utf8View => Some(ScalarValue::Utf8View(Some(text.to_owned()))),
            _ => None,
        };
    }
    if let DataType::Timestamp(TimeUnit::Microsecond, Some(stored)) = to {
        let instant = Zone::known(zone).ok()?.read(text).ok()?;
        return Some(ScalarValue::TimestampMicrosecond(Some(instant), Some(Arc::clone(stored))));
    }
    let simple = matches!(
        to,
        DataType::Boolean
            | DataType::Date32
            | DataType::Decimal128(..)
            | DataType::Timestamp(_, None)
            | DataType::FixedSizeBinary(16)
    ) || to.is_signed_integer()
        || to.is_floating();
    if simple { read(text, to) } else { None }
}

fn read(text: &str, to: &DataType) -> Option<ScalarValue> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
    ScalarValue::try_from_array(&casts::as_type(&text, to).ok()?, 0).ok()
}
