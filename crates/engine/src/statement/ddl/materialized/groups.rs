//! Groups that are kept up to date: what is known of each group from the rows so far, put together with what new rows add.
//!
//! A query `SELECT shop, avg(price) FROM sale GROUP BY shop` is kept as its rows and, in hidden columns, the state that
//! they follow from: here the sum and the count. A state that the query itself gives needs no hidden column.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, ident};
use polder_types::{Error, Result};

use super::delta::{Reason, check_expr};
use crate::error::from_datafusion;
use crate::semantics::average;

/// A column of the state, and how two of its values become one.
struct Piece {
    expr: Expr,
    merge: fn(Expr) -> Expr,
    data_type: DataType,
}

/// A query with GROUP BY that can be kept up to date.
pub(super) struct Groups {
    /// What is grouped.
    pub input: LogicalPlan,
    keys: Vec<Expr>,
    pieces: Vec<Piece>,
    /// The query's columns, from those of the state.
    outputs: Vec<(String, Expr)>,
    /// For each column of the state the column of the query that is the same, if there is one.
    shown: Vec<Option<usize>>,
}

/// The name of a column of the state in plans.
fn state_name(at: usize) -> String {
    format!("state {at}")
}

fn state(at: usize) -> Expr {
    ident(state_name(at))
}

impl Groups {
    /// Takes a query apart; none when it does not group.
    ///
    /// # Errors
    /// Why it cannot be kept up to date.
    pub fn of(plan: &LogicalPlan) -> std::result::Result<Option<Self>, Reason> {
        let mut nodes = Vec::new();
        let mut node = plan;
        let aggregate = loop {
            match node {
                LogicalPlan::Projection(projection) => {
                    nodes.push(node);
                    node = &projection.input;
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    nodes.push(node);
                    node = &alias.input;
                }
                LogicalPlan::Aggregate(aggregate) => break aggregate,
                _ => return Ok(None),
            }
        };
        let (keys, pieces, columns) = take_apart(aggregate)?;
        let mut outputs: Vec<(String, Expr)> = names(&aggregate.schema).zip(columns).collect();
        let mut schema = aggregate.schema.as_ref();
        for node in nodes.iter().rev() {
            outputs = through(node, schema, &outputs)?;
            schema = node.schema();
        }
        let shown = (0..keys.len() + pieces.len())
            .map(|at| outputs.iter().position(|(_, output)| *output == state(at)))
            .collect();
        Ok(Some(Self { input: aggregate.input.as_ref().clone(), keys, pieces, outputs, shown }))
    }

    /// The names of the hidden columns.
    pub fn hidden(&self) -> Vec<String> {
        let hidden = self.shown.iter().enumerate().filter(|(_, shown)| shown.is_none());
        hidden.map(|(at, _)| self.hidden_name(at)).collect()
    }

    fn hidden_name(&self, at: usize) -> String {
        let mut name = format!("polder_state_{at}");
        while self.outputs.iter().any(|(output, _)| output.eq_ignore_ascii_case(&name)) {
            name.push('_');
        }
        name
    }

    /// The state of the groups of some rows.
    ///
    /// # Errors
    /// What the planner says.
    pub fn state_of(&self, input: LogicalPlan) -> Result<LogicalPlan> {
        let pieces = self.pieces.iter().map(|piece| piece.expr.clone());
        self.grouped(input, self.keys.clone(), pieces.collect())
    }

    /// The state that the view's own rows hold.
    ///
    /// # Errors
    /// As [`Groups::state_of`].
    pub fn kept_state(&self, view: LogicalPlan) -> Result<LogicalPlan> {
        let columns: Vec<String> = view.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut hidden = self.outputs.len()..;
        let items = self.shown.iter().enumerate().map(|(at, shown)| {
            let place = shown.or_else(|| hidden.next()).unwrap_or_default();
            let name = columns.get(place).ok_or_else(|| Error::internal("a view without its state"))?;
            Ok(ident(name).alias(state_name(at)))
        });
        let items = items.collect::<Result<Vec<_>>>()?;
        let built = LogicalPlanBuilder::from(view).project(items).and_then(LogicalPlanBuilder::build);
        built.map_err(from_datafusion)
    }

    /// Several states of one set of groups as one.
    ///
    /// # Errors
    /// As [`Groups::state_of`].
    pub fn merged(&self, states: Vec<LogicalPlan>) -> Result<LogicalPlan> {
        let mut states = states.into_iter();
        let first = states.next().ok_or_else(|| Error::internal("no state"))?;
        let all = states.try_fold(LogicalPlanBuilder::from(first), LogicalPlanBuilder::union);
        let all = all.and_then(LogicalPlanBuilder::build).map_err(from_datafusion)?;
        let keys = (0..self.keys.len()).map(state).collect();
        let pieces = self.pieces.iter().enumerate().map(|(at, piece)| (piece.merge)(state(self.keys.len() + at)));
        self.grouped(all, keys, pieces.collect())
    }

    /// Groups, with the columns of a state.
    fn grouped(&self, input: LogicalPlan, keys: Vec<Expr>, pieces: Vec<Expr>) -> Result<LogicalPlan> {
        // Casts are no part of names: `sum` of a number and of the same number as a float would be called alike.
        let pieces: Vec<Expr> =
            pieces.into_iter().enumerate().map(|(at, piece)| piece.alias(format!("piece {at}"))).collect();
        let build = || {
            let grouped = LogicalPlanBuilder::from(input).aggregate(keys, pieces)?.build()?;
            let items = grouped.schema().columns().into_iter().enumerate().map(|(at, column)| {
                let value = Expr::Column(column);
                let value = match at.checked_sub(self.keys.len()).and_then(|at| self.pieces.get(at)) {
                    Some(piece) => cast(value, piece.data_type.clone()),
                    None => value,
                };
                value.alias(state_name(at))
            });
            let items: Vec<Expr> = items.collect();
            LogicalPlanBuilder::from(grouped).project(items)?.build()
        };
        build().map_err(from_datafusion)
    }

    /// The view's rows, hidden columns and all, from a state.
    ///
    /// # Errors
    /// As [`Groups::state_of`].
    pub fn rows(&self, state_plan: LogicalPlan) -> Result<LogicalPlan> {
        let outputs = self.outputs.iter().map(|(name, output)| output.clone().alias(name));
        let hidden = self.shown.iter().enumerate().filter(|(_, shown)| shown.is_none());
        let hidden = hidden.map(|(at, _)| state(at).alias(self.hidden_name(at)));
        let items: Vec<Expr> = outputs.chain(hidden).collect();
        let built = LogicalPlanBuilder::from(state_plan).project(items).and_then(LogicalPlanBuilder::build);
        built.map_err(from_datafusion)
    }
}

fn names(schema: &DFSchema) -> impl Iterator<Item = String> {
    schema.fields().iter().map(|field| field.name().clone())
}

/// The keys, the pieces of the state, and the aggregate's own columns from the state.
type Parts = (Vec<Expr>, Vec<Piece>, Vec<Expr>);

fn take_apart(aggregate: &Aggregate) -> std::result::Result<Parts, Reason> {
    if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return Err("it has GROUPING SETS".into());
    }
    let keys = aggregate.group_expr.clone();
    for key in &keys {
        check_expr(key)?;
    }
    let mut columns: Vec<Expr> = (0..keys.len()).map(state).collect();
    let mut pieces = Vec::new();
    for (at, expr) in aggregate.aggr_expr.iter().enumerate() {
        let expr = expr.clone().unalias_nested().data;
        let gives = aggregate.schema.field(keys.len() + at).data_type().clone();
        columns.push(add_pieces(&expr, gives, keys.len(), &mut pieces, aggregate.input.schema())?);
    }
    Ok((keys, pieces, columns))
}

/// Adds the state of one aggregate; what it is, from the state.
fn add_pieces(
    expr: &Expr,
    gives: DataType,
    keys: usize,
    pieces: &mut Vec<Piece>,
    input: &DFSchema,
) -> std::result::Result<Expr, Reason> {
    let Expr::AggregateFunction(function) = expr else { return Err("it has an aggregate of an unknown form".into()) };
    check_expr(expr)?;
    let AggregateFunctionParams { args, distinct, order_by, filter, .. } = &function.params;
    if *distinct || !order_by.is_empty() {
        return Err(format!("{}() with DISTINCT or ORDER BY needs all rows", function.func.name()));
    }
    let mut add = |expr: Expr, merge: fn(Expr) -> Expr| -> std::result::Result<Expr, Reason> {
        if let Some(at) = pieces.iter().position(|piece| piece.expr == expr) {
            return Ok(state(keys + at));
        }
        let data_type = expr.get_type(input).map_err(|error| error.to_string())?;
        pieces.push(Piece { expr, merge, data_type });
        Ok(state(keys + pieces.len() - 1))
    };
    let name = function.func.name();
    match (name, args.as_slice()) {
        ("count", _) => add(expr.clone(), sum),
        ("sum", _) => add(expr.clone(), sum),
        ("min", _) => add(expr.clone(), min),
        ("max", _) => add(expr.clone(), max),
        ("avg", [value]) if matches!(gives, DataType::Float64 | DataType::Decimal128(..)) => {
            let under = |mut aggregate: Expr| {
                if let Expr::AggregateFunction(AggregateFunction { params, .. }) = &mut aggregate {
                    params.filter.clone_from(filter);
                }
                aggregate
            };
            let total = add(under(sum(value.clone())), sum)?;
            let number = add(under(count(value.clone())), sum)?;
            Ok(average(total, number, gives))
        }
        _ => Err(format!("{name}() needs all rows")),
    }
}

/// The columns of a node from the state, given those of its input.
fn through(
    node: &LogicalPlan,
    below: &DFSchema,
    columns: &[(String, Expr)],
) -> std::result::Result<Vec<(String, Expr)>, Reason> {
    let names = names(node.schema());
    let LogicalPlan::Projection(projection) = node else {
        // An alias gives other names to the same columns.
        return Ok(names.zip(columns.iter().map(|(_, expr)| expr.clone())).collect());
    };
    let known: HashMap<Column, Expr> =
        below.columns().into_iter().zip(columns.iter().map(|(_, expr)| expr.clone())).collect();
    let replaced = projection.expr.iter().map(|expr| {
        check_expr(expr)?;
        let expr = expr.clone().unalias();
        let replaced = expr.transform_up(|part| match &part {
            Expr::Column(column) => match known.get(column) {
                Some(value) => Ok(Transformed::yes(value.clone())),
                None => Ok(Transformed::no(part)),
            },
            _ => Ok(Transformed::no(part)),
        });
        replaced.data().map_err(|error| error.to_string())
    });
    names.zip(replaced).map(|(name, expr)| Ok((name, expr?))).collect()
}
