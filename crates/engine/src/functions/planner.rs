//! Operators and types that the planner asks about: which function an operator is, given the types of its operands.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions_nested::expr_fn::{array_element, make_array};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, GetFieldAccess, Operator, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator as B;

use super::arrays::{check_dimensions, dimensions_of};
use super::function::refuse;
use super::{call, dates, rows, types};
use crate::rewrite::whole_numbers::narrowed;

#[derive(Debug)]
pub(crate) struct FunctionPlanner;

/// An operand, and what is known of it.
struct Operand {
    expr: Expr,
    field: FieldRef,
}

impl Operand {
    fn data_type(&self) -> &DataType {
        self.field.data_type()
    }

    fn is_json(&self) -> bool {
        types::is_json(&self.field)
    }

    /// JSON that can be put together; text beside `json` makes a text.
    fn is_jsonb(&self) -> bool {
        self.is_json() && types::field_name(&self.field) != polder_lake::JSON
    }

    fn is_list(&self) -> bool {
        matches!(self.data_type(), DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
    }

    /// A list of values that are no lists or rows themselves.
    fn is_flat_list(&self) -> bool {
        matches!(self.data_type(), DataType::List(item) if !item.data_type().is_nested())
    }

    /// Text in quotes, which has no type of its own yet.
    fn is_literal(&self) -> bool {
        matches!(&self.expr, Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, _))
    }

    fn is_interval(&self) -> bool {
        matches!(self.data_type(), DataType::Interval(_) | DataType::Duration(_))
    }

    fn is_time_of_day(&self) -> bool {
        matches!(self.data_type(), DataType::Time32(_) | DataType::Time64(_))
    }

    fn is_moment(&self) -> bool {
        matches!(self.data_type(), DataType::Timestamp(..))
    }

    fn is_date(&self) -> bool {
        matches!(self.data_type(), DataType::Date32)
    }

    fn is_number(&self) -> bool {
        self.data_type().is_numeric()
    }

    fn to(self, field: FieldRef) -> Expr {
        Expr::Cast(Cast::new_from_field(Box::new(self.expr), field))
    }
}

fn is_comparison(op: &B) -> bool {
    matches!(op, B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq)
}

fn compare(left: Expr, op: &B, right: Expr) -> Expr {
    let op = match op {
        B::Eq => Operator::Eq,
        B::NotEq => Operator::NotEq,
        B::Lt => Operator::Lt,
        B::LtEq => Operator::LtEq,
        B::Gt => Operator::Gt,
        _ => Operator::GtEq,
    };
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// Intervals, moments and times of day.
fn of_times(op: &B, left: &Operand, right: &Operand) -> Option<Expr> {
    let (l, r) = (left.expr.clone(), right.expr.clone());
    if left.is_interval() && right.is_interval() && is_comparison(op) {
        return Some(compare(call("polder_interval_order", vec![l]), op, call("polder_interval_order", vec![r])));
    }
    let moments = left.is_moment() && (right.is_moment() || right.is_date()) || left.is_date() && right.is_moment();
    Some(match op {
        B::Multiply if left.is_interval() && right.is_number() => call("polder_interval_times", vec![l, r]),
        B::Multiply if left.is_number() && right.is_interval() => call("polder_interval_times", vec![r, l]),
        B::Divide if left.is_interval() && right.is_number() => call("polder_interval_over", vec![l, r]),
        B::Minus if left.is_date() && right.is_date() => call("polder_days_between", vec![l, r]),
        B::Minus if moments => call("polder_moments_between", vec![l, r]),
        B::Minus if left.is_time_of_day() && right.is_time_of_day() => call("polder_moments_between", vec![l, r]),
        B::Plus if left.is_time_of_day() && right.is_interval() => call("polder_time_plus", vec![l, r]),
        B::Plus if left.is_interval() && right.is_time_of_day() => call("polder_time_plus", vec![r, l]),
        B::Minus if left.is_time_of_day() && right.is_interval() => {
            call("polder_time_plus", vec![l, Expr::Negative(Box::new(r))])
        }
        B::Plus if left.is_date() && right.is_time_of_day() => call("polder_date_time", vec![l, r]),
        B::Plus if left.is_time_of_day() && right.is_date() => call("polder_date_time", vec![r, l]),
        _ => return None,
    })
}

/// The operators of JSON.
fn of_json(op: &B, left: &Operand, right: &Operand) -> Option<Expr> {
    let (l, r) = (left.expr.clone(), right.expr.clone());
    let text = types::is_text(left.data_type());
    if !text {
        return None;
    }
    let json = left.is_json() || right.is_json();
    Some(match op {
        B::Arrow => call("polder_json_get", vec![l, r]),
        B::LongArrow => call("polder_json_get_text", vec![l, r]),
        B::HashArrow => call("polder_json_path", vec![l, path(right)]),
        B::HashLongArrow => call("polder_json_path_text", vec![l, path(right)]),
        B::Question => call("polder_json_has", vec![l, r]),
        B::QuestionPipe => call("polder_json_has_any", vec![l, path(right)]),
        B::QuestionAnd => call("polder_json_has_all", vec![l, path(right)]),
        B::HashMinus => call("polder_json_without_path", vec![l, path(right)]),
        B::AtArrow if !right.is_list() => call("polder_json_contains", vec![l, r]),
        B::ArrowAt if !right.is_list() => call("polder_json_contains", vec![r, l]),
        B::StringConcat
            if left.is_json() && right.is_json()
                || left.is_jsonb() && right.is_literal()
                || right.is_jsonb() && left.is_literal() =>
        {
            call("polder_json_concat", vec![l, r])
        }
        B::Minus if left.is_json() => call("polder_json_without", vec![l, r]),
        _ if is_comparison(op) && json && types::is_text(right.data_type()) => {
            compare(call("polder_json_order", vec![l]), op, call("polder_json_order", vec![r]))
        }
        _ => return None,
    })
}

/// A path is an array of texts, or text in quotes that is read as one.
fn path(operand: &Operand) -> Expr {
    let texts = DataType::new_list(DataType::Utf8View, true);
    if operand.is_list() { operand.expr.clone() } else { cast(operand.expr.clone(), texts) }
}

/// The digits of a text in quotes that stands beside a number.
fn number_type(literal: &Expr, beside: &DataType) -> DataType {
    if !types::is_decimal(beside) {
        return beside.clone();
    }
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = literal else { return beside.clone() };
    let scale = text.trim().split_once('.').map_or(0, |(_, fraction)| fraction.len().min(20));
    DataType::Decimal128(38, scale as i8)
}

fn is_uuid(operand: &Operand) -> bool {
    matches!(operand.data_type(), DataType::FixedSizeBinary(16))
}

/// A text that is a number of days or hours rather than a day.
fn is_span(literal: &Expr) -> bool {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = literal else { return false };
    super::input::time(text, "timestamp").is_err()
}

/// A text in quotes takes the type of what it stands beside.
fn of_literals(op: &B, left: Operand, right: Operand) -> (Operand, Operand) {
    let arithmetic = matches!(op, B::Plus | B::Minus | B::Multiply | B::Divide | B::Modulo);
    let arrays = matches!(op, B::AtArrow | B::ArrowAt | B::PGOverlap | B::StringConcat) || is_comparison(op);
    let wanted = |literal: &Operand, beside: &Operand| -> Option<FieldRef> {
        if !literal.is_literal() || matches!(&literal.expr, Expr::Literal(ScalarValue::Null, _)) {
            return None;
        }
        let typed = |data_type: DataType| Some(Arc::new(Field::new("", data_type, true)));
        // The name of what a reference is compared with.
        if let Some(name) = types::catalog_type(&beside.field).filter(|name| name.starts_with("reg"))
            && is_comparison(op)
        {
            return Some(Arc::new(types::of_catalog(Field::new("", beside.data_type().clone(), true), name)));
        }
        match beside.data_type() {
            number if number.is_numeric() && arithmetic => typed(number_type(&literal.expr, number)),
            DataType::Boolean if is_comparison(op) => typed(DataType::Boolean),
            DataType::FixedSizeBinary(16) if is_comparison(op) => typed(DataType::FixedSizeBinary(16)),
            DataType::Binary | DataType::BinaryView if is_comparison(op) || *op == B::StringConcat => {
                typed(DataType::Binary)
            }
            DataType::Interval(_) if is_comparison(op) => typed(beside.data_type().clone()),
            moment @ (DataType::Date32 | DataType::Timestamp(..)) if *op == B::Minus && !is_span(&literal.expr) => {
                typed(moment.clone())
            }
            list @ DataType::List(_) if arrays => typed(list.clone()),
            _ => None,
        }
    };
    let (left_wanted, right_wanted) = (wanted(&left, &right), wanted(&right, &left));
    let taken = |operand: Operand, wanted: Option<FieldRef>| match wanted {
        Some(field) => Operand { expr: operand.to(Arc::clone(&field)), field },
        None => operand,
    };
    (taken(left, left_wanted), taken(right, right_wanted))
}

impl ExprPlanner for FunctionPlanner {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if let Some(row) = rows::whole(&raw, schema)? {
            return Ok(PlannerResult::Planned(row));
        }
        if let Some(number) = narrowed(&raw.op, &raw.left) {
            return Ok(PlannerResult::Planned(number));
        }
        let (Ok((_, left)), Ok((_, right))) = (raw.left.to_field(schema), raw.right.to_field(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        let RawBinaryExpr { op, left: left_expr, right: right_expr } = raw;
        let left = Operand { expr: left_expr, field: left };
        let right = Operand { expr: right_expr, field: right };
        let (left, right) = of_literals(&op, left, right);
        if let Some(planned) = of_times(&op, &left, &right).or_else(|| of_json(&op, &left, &right)) {
            return Ok(PlannerResult::Planned(planned));
        }
        match op {
            B::AtArrow | B::ArrowAt if left.is_flat_list() && right.is_flat_list() => {
                let (whole, part) = if matches!(op, B::AtArrow) { (left, right) } else { (right, left) };
                return Ok(PlannerResult::Planned(call("polder_array_contains", vec![whole.expr, part.expr])));
            }
            B::PGOverlap if left.is_list() => {
                return Ok(PlannerResult::Planned(call("polder_array_overlap", vec![left.expr, right.expr])));
            }
            B::StringConcat if is_uuid(&left) != is_uuid(&right) && !left.is_list() && !right.is_list() => {
                let text = |operand: Operand| {
                    if is_uuid(&operand) { cast(operand.expr, DataType::Utf8) } else { operand.expr }
                };
                return Ok(PlannerResult::Original(RawBinaryExpr { op, left: text(left), right: text(right) }));
            }
            B::PGStartsWith => {
                let starts = datafusion::functions::string::expr_fn::starts_with(left.expr, right.expr);
                return Ok(PlannerResult::Planned(starts));
            }
            B::Lt | B::LtEq | B::Gt | B::GtEq if left.is_list() && right.is_list() => {
                let compared = call("polder_array_compared", vec![left.expr, right.expr]);
                return Ok(PlannerResult::Planned(compare(compared, &op, lit(0_i32))));
            }
            _ => {}
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left: left.expr, right: right.expr }))
    }

    /// `j['key']` and `j[1]`, which of JSON are steps of a path.
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let Ok((_, field)) = access.expr.to_field(schema) else { return Ok(PlannerResult::Original(access)) };
        if matches!(types::catalog_type(&field), Some("int2vector" | "oidvector")) {
            return Ok(PlannerResult::Original(from_zero(access)));
        }
        let is_array = matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_));
        let access = if is_array { from_one(access) } else { access };
        // The planner would make another aggregate of it, which does not know of what type PostgreSQL takes the values to be.
        if let (Expr::AggregateFunction(_), GetFieldAccess::ListIndex { key }) = (&access.expr, &access.field_access) {
            return Ok(PlannerResult::Planned(array_element(access.expr.clone(), key.as_ref().clone())));
        }
        if !types::is_json(&field) {
            return Ok(PlannerResult::Original(access));
        }
        let RawFieldAccessExpr { expr, field_access } = access;
        let step = match field_access {
            GetFieldAccess::NamedStructField { name } => lit(name),
            GetFieldAccess::ListIndex { key } => *key,
            GetFieldAccess::ListRange { .. } => {
                return Err(refuse("42804", "jsonb subscript does not support slices"));
            }
        };
        let path = make_array(vec![cast(step, DataType::Utf8View)]);
        Ok(PlannerResult::Planned(call("polder_json_path", vec![expr, path])))
    }

    /// An array of arrays is one of more dimensions. Texts in quotes beside days, moments and the like are read as such.
    fn plan_array_literal(&self, items: Vec<Expr>, schema: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        use DataType as D;
        let depths = items.iter().filter_map(|item| item.get_type(schema).ok()).map(|item| dimensions_of(&item));
        check_dimensions(1 + depths.max().unwrap_or(0))?;
        let is_read = |data_type: &D| {
            matches!(data_type, D::Date32 | D::Timestamp(..) | D::Time64(_) | D::Interval(_) | D::Boolean)
        };
        let types: Vec<D> = items.iter().filter_map(|item| item.get_type(schema).ok()).filter(is_read).collect();
        // Days beside moments are moments.
        let widest = types.iter().find(|data_type| matches!(data_type, D::Timestamp(..))).or(types.first());
        let Some(wanted) = widest.cloned() else { return Ok(PlannerResult::Original(items)) };
        let read = |item: Expr| match item {
            Expr::Literal(ScalarValue::Utf8(Some(_)), _) => cast(item, wanted.clone()),
            other => other,
        };
        Ok(PlannerResult::Original(items.into_iter().map(read).collect()))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let scale = match args.first() {
            Some(Expr::Literal(ScalarValue::Utf8(Some(part)), _)) => dates::extract_scale(part),
            _ => return Ok(PlannerResult::Original(args)),
        };
        let name = match scale {
            0 => "polder_extract",
            3 => "polder_extract_3",
            6 => "polder_extract_6",
            _ => "polder_extract_10",
        };
        Ok(PlannerResult::Planned(call(name, args)))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call("substring", args)))
    }
}

/// Before the first element there is none: the planner would count from the end.
fn from_one(access: RawFieldAccessExpr) -> RawFieldAccessExpr {
    let at_least = |place: Expr, least: i64| match place {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => lit(number.max(least)),
        Expr::Literal(ScalarValue::Int32(Some(number)), _) => lit(i64::from(number).max(least)),
        place => call("polder_at_least", vec![cast(place, DataType::Int64), lit(least)]),
    };
    let field_access = match access.field_access {
        GetFieldAccess::ListIndex { key } => GetFieldAccess::ListIndex { key: Box::new(at_least(*key, 0)) },
        GetFieldAccess::ListRange { start, stop, stride } => {
            let (start, stop) = (Box::new(at_least(*start, 1)), Box::new(at_least(*stop, 0)));
            GetFieldAccess::ListRange { start, stop, stride }
        }
        other => other,
    };
    RawFieldAccessExpr { field_access, ..access }
}

/// The vectors of PostgreSQL's catalog count from 0, and all other arrays from 1.
fn from_zero(access: RawFieldAccessExpr) -> RawFieldAccessExpr {
    let next = |place: Expr| place + lit(1_i64);
    let field_access = match access.field_access {
        GetFieldAccess::ListIndex { key } => GetFieldAccess::ListIndex { key: Box::new(next(*key)) },
        GetFieldAccess::ListRange { start, stop, stride } => {
            GetFieldAccess::ListRange { start: Box::new(next(*start)), stop: Box::new(next(*stop)), stride }
        }
        other => other,
    };
    RawFieldAccessExpr { field_access, ..access }
}
