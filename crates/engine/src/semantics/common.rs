//! The common type of values that meet: of a list, of the branches of CASE, of the inputs of UNION.
//!
//! The planner makes decimals of floats and decimals, which loses what is very large or very small, and nanoseconds of a
//! date and a moment, which end in 2262. In PostgreSQL floats win, and a date becomes a moment. This runs before the
//! planner decides, so that it finds one type.

use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::functions_nested::make_array::make_array_udf;
use datafusion::logical_expr::expr::{BinaryExpr, Case, InList, ScalarFunction};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Join, LogicalPlan, Operator, Projection, ScalarUDF, Union, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::rewrite_plan;
use super::literals::{ARRAY, NULLIF, numeric};
use super::operators::is_decimal;
use crate::functions::call;
use crate::functions::function::refuse;
use crate::functions::types::{is_text, postgres_name};

/// Functions whose arguments have one type.
const FUNCTIONS: &[(&str, Meeting)] = &[
    ("coalesce", Meeting::Common("COALESCE")),
    ("greatest", Meeting::Common("GREATEST")),
    ("least", Meeting::Common("LEAST")),
    (NULLIF, Meeting::Compared),
    (ARRAY, Meeting::Common("ARRAY")),
];

/// `nullif` that compares as `=` does.
const NULL_IF: &str = "polder_null_if";

#[derive(Debug)]
pub(super) struct CommonTypes;

impl AnalyzerRule for CommonTypes {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        // What is above a changed node learns of its types.
        let changed = Cell::new(false);
        plan.transform_up_with_subqueries(|plan| {
            let plan = if changed.get() { learned(plan)? } else { plan };
            let done = match plan {
                LogicalPlan::Union(union) => inputs(union),
                LogicalPlan::Join(join) => keys(join)?.transform_data(|plan| rewrite_plan(plan, &expression)),
                plan => rewrite_plan(plan, &expression),
            }?;
            if !done.transformed {
                return Ok(done);
            }
            changed.set(true);
            done.map_data(learned)
        })
        .data()
    }

    fn name(&self) -> &str {
        "common_types"
    }
}

/// A plan with the types that its inputs and expressions have now. Those of a UNION come from its inputs, in [`inputs`].
fn learned(plan: LogicalPlan) -> Result<LogicalPlan> {
    if matches!(plan, LogicalPlan::Union(_)) { Ok(plan) } else { plan.recompute_schema() }
}

/// What a type becomes beside the others.
fn beside(types: &[DataType]) -> impl Fn(&DataType) -> Option<DataType> + use<> {
    let floats = types.iter().any(DataType::is_floating);
    let moment = moment(types);
    let uuid = types.iter().find(|data_type| matches!(data_type, DataType::FixedSizeBinary(16))).cloned();
    move |data_type| match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => uuid.clone(),
        decimal if floats && is_decimal(decimal) => Some(DataType::Float64),
        DataType::Date32 => moment.clone(),
        _ => None,
    }
}

fn moment(types: &[DataType]) -> Option<DataType> {
    types.iter().find(|data_type| matches!(data_type, DataType::Timestamp(..))).cloned()
}

/// What a text in quotes is read as beside values of these types, where the planner would do otherwise, or refuse it.
fn quoted_as(types: &[DataType]) -> Option<DataType> {
    let is_read =
        |data_type: &&DataType| matches!(data_type, DataType::Boolean | DataType::List(_) | DataType::Interval(_));
    let other = || types.iter().find(|data_type| is_read(data_type) || is_bytes(data_type)).cloned();
    moment(types).or_else(other)
}

/// A number in quotes beside decimals, which have no more digits than their type says.
fn quoted_number(expr: &Expr) -> Option<Expr> {
    Some(Expr::Literal(numeric(quoted_text(expr)?)?, None))
}

fn quoted_text(expr: &Expr) -> Option<&str> {
    let Expr::Literal(value, _) = expr else { return None };
    value.try_as_str().flatten()
}

/// A text in quotes, which has no type of its own yet. Beside a moment the planner would count its nanoseconds too.
pub(super) fn is_quoted(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Literal(ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_)) | ScalarValue::LargeUtf8(Some(_)), _)
    )
}

/// The columns of a plan with the types that they have when it is run. As a plan is first made, the first branch of a CASE gives
/// its type, and dates beside moments count nanoseconds.
pub(crate) fn settled(state: &SessionState, plan: &LogicalPlan) -> Result<Vec<FieldRef>> {
    let run = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
    let settled = plan.schema().fields().iter().zip(run.schema().fields()).map(|(guess, run)| {
        let unmarked = guess.data_type() == run.data_type() && guess.metadata().is_empty();
        match unmarked || is_other(guess.data_type(), run.data_type()) {
            true => Arc::new(run.as_ref().clone().with_name(guess.name()).with_nullable(guess.is_nullable())),
            false => Arc::clone(guess),
        }
    });
    Ok(settled.collect())
}

/// Whether values of the second type are not all values of the first one.
fn is_other(guess: &DataType, run: &DataType) -> bool {
    use DataType as D;
    match (guess, run) {
        (D::Null, _) => false,
        (D::Timestamp(one, zone), D::Timestamp(other, other_zone)) => {
            one != other || zone.is_some() != other_zone.is_some()
        }
        (one, other) => match (decimal_of(one), decimal_of(other)) {
            (Some((known, known_places)), Some((digits, places))) => {
                places > known_places || whole_digits(digits, places) > whole_digits(known, known_places)
            }
            _ => one != other && !(is_text(one) && is_text(other)),
        },
    }
}

fn decimal_of(data_type: &DataType) -> Option<(u8, i8)> {
    use DataType as D;
    match data_type {
        D::Decimal32(digits, places)
        | D::Decimal64(digits, places)
        | D::Decimal128(digits, places)
        | D::Decimal256(digits, places) => Some((*digits, *places)),
        _ => None,
    }
}

/// How many digits stand before the point.
fn whole_digits(digits: u8, places: i8) -> i16 {
    i16::from(digits) - i16::from(places)
}

/// How values meet.
#[derive(Clone, Copy)]
enum Meeting {
    Compared,
    /// They become values of one type, in what PostgreSQL calls so.
    Common(&'static str),
}

impl Meeting {
    /// # Errors
    /// 42883 and 42804 for numbers beside days: Arrow takes a day for the number of it since 1970.
    fn check(self, types: &[DataType]) -> Result<()> {
        let Some(number) = types.iter().find(|data_type| data_type.is_numeric()) else { return Ok(()) };
        if !types.contains(&DataType::Date32) {
            return Ok(());
        }
        let number = postgres_name(number);
        Err(match self {
            Self::Compared => refuse("42883", format!("operator does not exist: {number} and date are not compared")),
            Self::Common(what) => refuse("42804", format!("{what} types {number} and date cannot be matched")),
        })
    }

    /// # Errors
    /// 42883 and 42804 for texts that are not in quotes beside days, moments, spans and truths.
    fn check_texts(self, exprs: &[Expr], schema: &DFSchema) -> Result<()> {
        use DataType as D;
        let Ok(types) = exprs.iter().map(|expr| expr.get_type(schema)).collect::<Result<Vec<_>>>() else {
            return Ok(());
        };
        let is_unlike =
            |known: &&D| matches!(known, D::Boolean | D::Date32 | D::Timestamp(..) | D::Time64(_) | D::Interval(_));
        let is_open = |expr: &Expr| is_quoted(expr) || matches!(expr, Expr::Placeholder(_));
        let text = exprs.iter().zip(&types).find(|(expr, known)| is_text(known) && !is_open(expr));
        let (Some((_, text)), Some(other)) = (text, types.iter().find(is_unlike)) else { return Ok(()) };
        let (text, other) = (postgres_name(text), postgres_name(other));
        Err(match self {
            Self::Compared => refuse("42883", format!("operator does not exist: {other} and {text} are not compared")),
            Self::Common(what) => refuse("42804", format!("{what} types {other} and {text} cannot be matched")),
        })
    }

    /// What a text in quotes becomes among values of these types.
    fn read(self, types: &[DataType], quoted: &[bool], text: &str) -> Option<DataType> {
        match self {
            Self::Compared => quoted_as(types),
            Self::Common(_) => {
                let others = types.iter().zip(quoted).filter(|(data_type, quoted)| !**quoted && !data_type.is_null());
                one_of(&others.map(|(data_type, _)| data_type).collect::<Vec<_>>(), text)
            }
        }
    }
}

/// The type that values of these have in common, if it is one that a text in quotes is read as.
fn one_of(types: &[&DataType], text: &str) -> Option<DataType> {
    use DataType as D;
    let (first, all) = (*types.first()?, |is: fn(&D) -> bool| types.iter().all(|data_type| is(data_type)));
    let any = |is: fn(&D) -> bool| types.iter().copied().find(|data_type| is(data_type));
    if all(|data_type| matches!(data_type, D::Date32 | D::Timestamp(..))) {
        return any(|data_type| matches!(data_type, D::Timestamp(..))).or(Some(first)).cloned();
    }
    let same = types.iter().all(|data_type| *data_type == first);
    if !all(D::is_numeric) {
        let is_read = matches!(first, D::Boolean | D::List(_) | D::Interval(_) | D::Time64(_)) || is_bytes(first);
        let alike = same || all(|data_type| matches!(data_type, D::List(_)));
        return (alike && is_read).then(|| first.clone());
    }
    if let Some(decimal) = any(is_decimal).filter(|_| any(D::is_floating).is_none()) {
        return numeric(text).map(|number| number.data_type()).or_else(|| Some(decimal.clone()));
    }
    if same {
        return Some(first.clone());
    }
    Some(match any(|data_type| matches!(data_type, D::Int64 | D::UInt32 | D::UInt64)) {
        _ if any(D::is_floating).is_some() => D::Float64,
        Some(_) => D::Int64,
        None => D::Int32,
    })
}

/// Casts those of the expressions that are not of the common type; true if there are any.
fn unify(exprs: &mut [&mut Expr], schema: &DFSchema, meeting: Meeting) -> Result<bool> {
    // A correlated subquery names columns that are not here; what cannot be typed is left as it is.
    let Ok(types) = exprs.iter().map(|expr| expr.get_type(schema)).collect::<Result<Vec<_>>>() else {
        return Ok(false);
    };
    meeting.check(&types)?;
    let wanted = beside(&types);
    let quoted: Vec<bool> = exprs.iter().map(|expr| is_quoted(expr)).collect();
    let decimals = types.iter().any(is_decimal) && !types.iter().any(DataType::is_floating);
    let mut any = false;
    for (expr, data_type) in exprs.iter_mut().zip(&types) {
        if decimals && let Some(number) = quoted_number(expr) {
            **expr = number;
            any = true;
        } else if let Some(to) =
            wanted(data_type).or_else(|| quoted_text(expr).and_then(|text| meeting.read(&types, &quoted, text)))
        {
            let inner = std::mem::take(&mut **expr);
            **expr = cast(inner, to);
            any = true;
        }
    }
    Ok(any)
}

fn expression(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &mut expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            unify(&mut [left, right], schema, Meeting::Compared)?
        }
        Expr::Between(between) => {
            unify(&mut [&mut between.expr, &mut between.low, &mut between.high], schema, Meeting::Compared)?
        }
        Expr::InList(list) => {
            let mut all: Vec<&mut Expr> = std::iter::once(&mut *list.expr).chain(&mut list.list).collect();
            let changed = unify(&mut all, schema, Meeting::Compared)?;
            match cases_apart(list) {
                Some(apart) => {
                    expr = apart;
                    true
                }
                None => changed,
            }
        }
        Expr::InSubquery(within) => {
            let Ok(left) = within.expr.get_type(schema) else { return Ok(Transformed::no(expr)) };
            let right = within.subquery.subquery.schema().field(0).data_type().clone();
            Meeting::Compared.check(&[left.clone(), right.clone()])?;
            let wanted = beside(&[left.clone(), right.clone()]);
            if let Some(to) = wanted(&right) {
                let plan = Arc::unwrap_or_clone(Arc::clone(&within.subquery.subquery));
                within.subquery.subquery = Arc::new(recast(plan, &[Some(to)])?);
                true
            } else if let Some(to) = wanted(&left) {
                *within.expr = cast(std::mem::take(&mut *within.expr), to);
                true
            } else {
                false
            }
        }
        Expr::Case(Case { expr: base, when_then_expr, else_expr }) => {
            let (whens, thens): (Vec<&mut Expr>, Vec<&mut Expr>) =
                when_then_expr.iter_mut().map(|(when, then)| (&mut **when, &mut **then)).unzip();
            let mut results: Vec<&mut Expr> = thens.into_iter().chain(else_expr.as_deref_mut()).collect();
            let mut changed = unify(&mut results, schema, Meeting::Common("CASE"))?;
            if let Some(base) = base.as_deref_mut() {
                let mut compared: Vec<&mut Expr> = std::iter::once(base).chain(whens).collect();
                changed |= unify(&mut compared, schema, Meeting::Compared)?;
            }
            changed
        }
        Expr::ScalarFunction(function) if function.name() == "round" && function.args.len() == 2 => {
            places(&mut function.args[1])
        }
        // Bytes, which the planner would make a text.
        Expr::ScalarFunction(function) if matches!(function.name(), "character_length" | "octet_length") => {
            let [value] = function.args.as_slice() else { return Ok(Transformed::no(expr)) };
            if value.get_type(schema).is_ok_and(|data_type| is_bytes(&data_type)) {
                expr = call("polder_byte_length", vec![value.clone()]);
                true
            } else {
                false
            }
        }
        Expr::ScalarFunction(function) => {
            let changed = met(function, schema)?;
            match null_if_equal(function, schema) {
                Some(case) => {
                    expr = case;
                    true
                }
                None => changed,
            }
        }
        _ => false,
    };
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}

/// The arguments of a function that are of one type; true if that changes any.
fn met(function: &mut ScalarFunction, schema: &DFSchema) -> Result<bool> {
    let Some((name, meeting)) = FUNCTIONS.iter().find(|(name, _)| *name == function.name()) else { return Ok(false) };
    if matches!(*name, NULLIF | ARRAY) {
        meeting.check_texts(&function.args, schema)?;
    }
    let changed = unify(&mut function.args.iter_mut().collect::<Vec<_>>(), schema, *meeting)?;
    Ok(changed | (*name == ARRAY && plain_array(&mut function.func)))
}

/// `nullif` of what is equal and yet another value, as [`NULL_IF`]. With CASE the value would stand there twice, and in another
/// `nullif` four times.
fn null_if_equal(function: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let [value, _] = function.args.as_slice() else { return None };
    let is_alike = |data_type: DataType| matches!(data_type, DataType::Interval(_)) || data_type.is_floating();
    let is_meant = function.name() == NULLIF && value.get_type(schema).is_ok_and(is_alike);
    is_meant.then(|| call(NULL_IF, function.args.clone()))
}

/// Once its values are of one type, an array is made by the planner's own function, of which it knows more.
fn plain_array(function: &mut Arc<ScalarUDF>) -> bool {
    let plain = make_array_udf();
    let is_other = *function != plain;
    if is_other {
        *function = plain;
    }
    is_other
}

/// A list with a CASE in it, or what becomes one (a subquery, a function such as COALESCE), as comparisons, one by one: to find what
/// is the same for all rows, the planner computes the list of no rows, and takes what some forms of CASE give there for a constant.
fn cases_apart(list: &InList) -> Option<Expr> {
    let is_case = |part: &Expr| matches!(part, Expr::Case(_) | Expr::ScalarSubquery(_) | Expr::ScalarFunction(_));
    let has_case = |item: &&Expr| item.exists(|part| Ok(is_case(part))).unwrap_or(false);
    if list.expr.is_volatile() || !list.list.iter().any(|item| has_case(&item)) {
        return None;
    }
    let (cases, others): (Vec<&Expr>, Vec<&Expr>) = list.list.iter().partition(has_case);
    let value = list.expr.as_ref();
    let others = (!others.is_empty()).then(|| value.clone().in_list(others.into_iter().cloned().collect(), false));
    let cases = cases.into_iter().map(|case| value.clone().eq(case.clone()));
    let any = others.into_iter().chain(cases).reduce(Expr::or)?;
    Some(if list.negated { Expr::Not(Box::new(any)) } else { any })
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

pub(super) fn is_comparison(op: Operator) -> bool {
    use Operator as O;
    matches!(op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq | O::IsDistinctFrom | O::IsNotDistinctFrom)
}

/// The number of places in the type that `round` takes. Under a cast it is no constant to it for a while, and what `round`
/// gives has another scale then than later on: what was coerced to the first is cut to the second.
fn places(expr: &mut Expr) -> bool {
    let number = match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => Some(*number),
        Expr::Negative(inner) => match inner.as_ref() {
            Expr::Literal(ScalarValue::Int64(Some(number)), _) => number.checked_neg(),
            _ => None,
        },
        _ => None,
    };
    match number.and_then(|number| i32::try_from(number).ok()) {
        Some(number) => {
            *expr = lit(number);
            true
        }
        None => false,
    }
}

/// A plan whose columns have other types, under the names that they had.
fn recast(plan: LogicalPlan, wanted: &[Option<DataType>]) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().zip(wanted).map(|((qualifier, field), wanted)| {
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        match wanted {
            Some(to) => cast(column, to.clone()).alias_qualified(qualifier.cloned(), field.name()),
            None => column,
        }
    });
    Projection::try_new(columns.collect(), Arc::new(plan.clone())).map(LogicalPlan::Projection)
}

fn inputs(union: Union) -> Result<Transformed<LogicalPlan>> {
    let width = union.schema.fields().len();
    let types = |at: usize| -> Vec<DataType> {
        union.inputs.iter().map(|input| input.schema().field(at).data_type().clone()).collect()
    };
    if union.inputs.iter().any(|input| input.schema().fields().len() != width) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let meeting = Meeting::Common("UNION");
    (0..width).try_for_each(|at| meeting.check(&types(at)))?;
    let rules: Vec<_> = (0..width).map(|at| beside(&types(at))).collect();
    let quoted =
        |at: usize| -> Vec<bool> { union.inputs.iter().map(|input| given_quoted(input, at).is_some()).collect() };
    let mut changed = false;
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let fields = input.schema().fields().iter().enumerate();
        let wanted: Vec<Option<DataType>> = fields
            .zip(&rules)
            .map(|((at, field), rule)| {
                let read = || meeting.read(&types(at), &quoted(at), given_quoted(input, at)?);
                rule(field.data_type()).or_else(read)
            })
            .collect();
        if wanted.iter().any(Option::is_some) {
            changed = true;
            inputs.push(Arc::new(recast(input.as_ref().clone(), &wanted)?));
        } else {
            inputs.push(Arc::clone(input));
        }
    }
    // Made of other types than those that its inputs have by now.
    let stale = (0..width).any(|at| !types(at).contains(union.schema.field(at).data_type()));
    if !changed && !stale {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    Union::try_new_with_loose_types(inputs).map(|union| Transformed::yes(LogicalPlan::Union(union)))
}

/// The text in quotes that a column of a plan is.
fn given_quoted(plan: &LogicalPlan, at: usize) -> Option<&str> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let mut expr = projection.expr.get(at)?;
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    quoted_text(expr)
}

/// The keys of a join, of which each pair is compared.
fn keys(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let (left, right) = (Arc::clone(join.left.schema()), Arc::clone(join.right.schema()));
    let mut changed = false;
    for (one, other) in &mut join.on {
        let (Ok(one_type), Ok(other_type)) = (one.get_type(&left), other.get_type(&right)) else { continue };
        Meeting::Compared.check(&[one_type.clone(), other_type.clone()])?;
        let wanted = beside(&[one_type.clone(), other_type.clone()]);
        for (expr, data_type) in [(one, one_type), (other, other_type)] {
            if let Some(to) = wanted(&data_type) {
                *expr = cast(std::mem::take(expr), to);
                changed = true;
            }
        }
    }
    let join = LogicalPlan::Join(join);
    Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) })
}
