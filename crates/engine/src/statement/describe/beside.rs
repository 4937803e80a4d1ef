//! Types of parameters that stand beside values: in a list of arguments, among the results of CASE, in a column of UNION or
//! VALUES. They are what the values are, as in PostgreSQL.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::expr::{InList, Placeholder};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, Case, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Union};
use datafusion::sql::sqlparser::ast::{self, ExprWithAlias, FunctionArg, FunctionArgExpr, Query, TableFactor, Visitor};
use polder_sql_tree::visit;

use super::{Found, place};
use crate::functions::types::is_decimal;
use crate::rewrite::{SERIES, whole_numbers};

/// Functions whose arguments have one type.
const FUNCTIONS: &[&str] = &["coalesce", "greatest", "least", "nullif", "make_array", SERIES];

/// A comparison with each value of an array: the operator, the value, the array.
const COMPARISONS: &[&str] = &["polder_any", "polder_all"];

/// Notes what the parameters of a plan are, those left out of which more is known.
pub(super) fn in_plan(plan: &LogicalPlan, found: &mut Found) {
    // What cannot be looked at has no types to be found.
    let _ = plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Union(union) => inputs(union, found),
            LogicalPlan::Join(join) => keys(join, found),
            LogicalPlan::Values(values) => {
                let none = DFSchema::empty();
                for at in 0..values.schema.fields().len() {
                    let column = values.values.iter().filter_map(|row| row.get(at));
                    let members: Vec<Member> = column.map(|expr| Member::in_values(expr, &none, found)).collect();
                    together(members.into_iter(), found);
                }
            }
            _ => {}
        }
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                in_expr(part, &schema, found);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
}

/// Notes what the parameters of series in FROM are, which the planner has no expressions for.
pub(super) fn in_series(state: &SessionState, query: &Query, found: &mut Found) {
    let _ = visit(query, &mut Series { state, found });
}

struct Series<'a> {
    state: &'a SessionState,
    found: &'a mut Found,
}

impl Visitor for Series<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(args), .. } = factor
            && name.to_string().eq_ignore_ascii_case(SERIES)
        {
            let exprs = args.args.iter().filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            });
            let members: Vec<Member> = exprs.map(|expr| self.member(expr)).collect();
            together(members.into_iter(), self.found);
        }
        ControlFlow::Continue(())
    }
}

impl Series<'_> {
    fn member(&self, expr: &ast::Expr) -> Member {
        if let Some(at) = place(expr) {
            return Member::Open(at);
        }
        let none = DFSchema::empty();
        let expr = ExprWithAlias { expr: whole_numbers::of_column(expr), alias: None };
        self.state
            .create_logical_expr_from_sql_expr(expr, &none)
            .map_or(Member::Unknown, |expr| Member::of(&expr, &none))
    }
}

/// One of the values that are to be of one type.
enum Member {
    /// A parameter by its number from 0.
    Open(usize),
    Typed(DataType),
    Unknown,
}

impl Member {
    fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match expr {
            Expr::Placeholder(open) => Self::open(open),
            Expr::Alias(alias) => Self::of(&alias.expr, schema),
            // Text in quotes may become anything.
            Expr::Literal(ScalarValue::Utf8(_), _) => Self::Unknown,
            Expr::Literal(ScalarValue::Int64(Some(number)), _) if i32::try_from(*number).is_ok() => {
                Self::Typed(DataType::Int32)
            }
            other => other.get_type(schema).map_or(Self::Unknown, Self::typed),
        }
    }

    /// In VALUES the planner has made one type of a column's values already. What somebody casts is known by now.
    fn in_values(expr: &Expr, schema: &DFSchema, found: &Found) -> Self {
        if let Expr::Cast(cast) = expr {
            match Self::of(&cast.expr, schema) {
                Self::Open(at) if !found.contains_key(&at) => return Self::Open(at),
                Self::Open(_) => {}
                member => return member,
            }
        }
        Self::of(expr, schema)
    }

    fn open(open: &Placeholder) -> Self {
        let number = open.id.strip_prefix('$').and_then(|id| id.parse::<usize>().ok());
        number.and_then(|number| number.checked_sub(1)).map_or(Self::Unknown, Self::Open)
    }

    fn typed(data_type: DataType) -> Self {
        if matches!(data_type, DataType::Null | DataType::Utf8) { Self::Unknown } else { Self::Typed(data_type) }
    }
}

/// Notes the type of some values for the parameters among them.
fn together(members: impl Iterator<Item = Member>, found: &mut Found) {
    let (mut open, mut common) = (Vec::new(), None);
    for member in members {
        match member {
            Member::Open(at) => open.push(at),
            Member::Typed(data_type) => match &common {
                Some(known) if rank(&data_type) <= rank(known) => {}
                _ => common = Some(data_type),
            },
            Member::Unknown => {}
        }
    }
    let Some(common) = common else { return };
    for at in open {
        found.entry(at).or_insert_with(|| Arc::new(Field::new("", common.clone(), true)));
    }
}

/// Of types that meet, that of the highest rank is that of all.
fn rank(data_type: &DataType) -> usize {
    use DataType as D;
    match data_type {
        D::Int8 | D::Int16 | D::UInt8 | D::Date32 => 1,
        D::Int32 | D::UInt16 | D::Timestamp(_, None) => 2,
        D::Int64 | D::UInt32 | D::UInt64 | D::Timestamp(_, Some(_)) => 3,
        decimal if is_decimal(decimal) => 4,
        D::Float32 => 5,
        D::Float64 => 6,
        _ => 0,
    }
}

fn in_expr(expr: &Expr, schema: &DFSchema, found: &mut Found) {
    let of = |expr: &Expr| Member::of(expr, schema);
    match expr {
        Expr::Case(Case { expr: base, when_then_expr, else_expr }) => {
            let results = when_then_expr.iter().map(|(_, then)| then).chain(else_expr);
            together(results.map(|expr| of(expr)), found);
            if let Some(base) = base {
                together(
                    std::iter::once(base).chain(when_then_expr.iter().map(|(when, _)| when)).map(|expr| of(expr)),
                    found,
                );
            }
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            together([expr, low, high].map(|expr| of(expr)).into_iter(), found)
        }
        Expr::InList(InList { expr, list, .. }) => {
            together(std::iter::once(expr.as_ref()).chain(list).map(of), found);
        }
        Expr::ScalarFunction(function) if FUNCTIONS.contains(&function.name()) => {
            together(function.args.iter().map(of), found);
        }
        Expr::ScalarFunction(function) if COMPARISONS.contains(&function.name()) => {
            if let [_, value, array] = function.args.as_slice() {
                in_comparison(of(value), of(array), found);
            }
        }
        _ => {}
    }
}

fn in_comparison(value: Member, array: Member, found: &mut Found) {
    let (at, data_type) = match (value, array) {
        (Member::Open(at), Member::Typed(DataType::List(item))) => (at, item.data_type().clone()),
        (Member::Typed(data_type), Member::Open(at)) => (at, DataType::new_list(data_type, true)),
        _ => return,
    };
    found.entry(at).or_insert_with(|| Arc::new(Field::new("", data_type, true)));
}

fn inputs(union: &Union, found: &mut Found) {
    for at in 0..union.schema.fields().len() {
        together(union.inputs.iter().map(|input| column(input, at)), found);
    }
}

/// INTERSECT and EXCEPT, which are joins by all columns.
fn keys(join: &Join, found: &mut Found) {
    for (left, right) in &join.on {
        let (Expr::Column(left), Expr::Column(right)) = (left, right) else { continue };
        let (Some(left), Some(right)) =
            (join.left.schema().maybe_index_of_column(left), join.right.schema().maybe_index_of_column(right))
        else {
            continue;
        };
        together([column(&join.left, left), column(&join.right, right)].into_iter(), found);
    }
}

/// What a column of a plan is.
fn column(plan: &LogicalPlan, at: usize) -> Member {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(at) {
            Some(Expr::Column(inner)) => match projection.input.schema().maybe_index_of_column(inner) {
                Some(at) => column(&projection.input, at),
                None => Member::Unknown,
            },
            Some(expr) => Member::of(expr, projection.input.schema()),
            None => Member::Unknown,
        },
        LogicalPlan::SubqueryAlias(alias) => column(&alias.input, at),
        LogicalPlan::Distinct(Distinct::All(input)) => column(input, at),
        LogicalPlan::Filter(filter) => column(&filter.input, at),
        LogicalPlan::Sort(sort) => column(&sort.input, at),
        LogicalPlan::Limit(limit) => column(&limit.input, at),
        other => Member::typed(other.schema().field(at).data_type().clone()),
    }
}
