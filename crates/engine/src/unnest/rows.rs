//! The dependent join below operators for which the rows of a key belong together: LIMIT, DISTINCT, UNION, windows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue, not_impl_err};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Distinct, DistinctOn, Expr, ExprFunctionExt, Limit, LogicalPlan, LogicalPlanBuilder, SortExpr, SubqueryAlias,
    Union, Values, Window, cast, lit,
};

use super::push::{Pushed, Pusher, columns, columns_of, filter, owned, project};

impl Pusher<'_> {
    pub(super) fn limit(&self, limit: Limit) -> Result<Pushed> {
        let number = |expr: &Option<Box<Expr>>| match expr.as_deref() {
            None | Some(Expr::Literal(ScalarValue::Int64(None), _)) => Some(None),
            Some(Expr::Literal(ScalarValue::Int64(Some(number)), _)) => Some(Some(*number)),
            Some(_) => None,
        };
        let (Some(skip), Some(fetch)) = (number(&limit.skip), number(&limit.fetch)) else {
            return not_impl_err!("LIMIT and OFFSET of a correlated subquery that are no numbers");
        };
        let skip = skip.unwrap_or(0);
        if skip < 0 || fetch.is_some_and(|fetch| fetch < 0) {
            return limit.get_skip_type().and(limit.get_fetch_type()).and_then(|_| not_impl_err!("this LIMIT"));
        }
        let input = owned(limit.input);
        if skip == 0 && fetch.is_none_or(|fetch| fetch > 0 && super::at_most_one_row(&input)) {
            return self.push(input);
        }
        let originals = columns_of(&input);
        let (Pushed { plan, keys, strict, .. }, number) = self.numbered(input)?;
        let number = cast(Expr::Column(number), DataType::Int64);
        let mut wanted = vec![number.clone().gt(lit(skip))];
        wanted.extend(fetch.map(|fetch| number.lt_eq(lit(skip.saturating_add(fetch)))));
        let plan = filter(conjunction(wanted), plan)?;
        let exprs = originals.into_iter().chain(columns(&keys)).collect();
        Ok(Pushed { plan: project(exprs, plan)?, keys, strict, empty: None })
    }

    /// Numbers the rows of each key, in the order that they have.
    fn numbered(&self, plan: LogicalPlan) -> Result<(Pushed, Column)> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let (Pushed { plan, keys, strict, .. }, number) = self.numbered(owned(projection.input))?;
                let mut exprs = self.keys.bind_all(projection.expr, &keys)?;
                exprs.extend(columns(&keys));
                exprs.push(Expr::Column(number.clone()));
                Ok((Pushed { plan: project(exprs, plan)?, keys, strict, empty: None }, number))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let (Pushed { plan, keys, strict, .. }, number) = self.numbered(owned(alias.input))?;
                let plan =
                    SubqueryAlias::try_new(Arc::new(plan), alias.alias.clone()).map(LogicalPlan::SubqueryAlias)?;
                let requalified = |key: Column| Column::new(Some(alias.alias.clone()), key.name);
                let keys = keys.into_iter().map(requalified).collect();
                Ok((Pushed { plan, keys, strict, empty: None }, requalified(number)))
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
                let pushed = self.total(owned(sort.input))?;
                let order = self.bind_sort(sort.expr, &pushed.keys)?;
                self.number(pushed, order)
            }
            other => {
                let pushed = self.total(other)?;
                self.number(pushed, Vec::new())
            }
        }
    }

    fn number(&self, pushed: Pushed, order: Vec<SortExpr>) -> Result<(Pushed, Column)> {
        let name = self.names.marker();
        let number = row_number().partition_by(columns(&pushed.keys).collect()).order_by(order).build()?.alias(&name);
        let plan = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(pushed.plan))?);
        Ok((Pushed { plan, empty: None, ..pushed }, Column::new_unqualified(name)))
    }

    pub(super) fn distinct(&self, distinct: Distinct) -> Result<Pushed> {
        match distinct {
            Distinct::All(input) => {
                let originals = columns_of(&input);
                let Pushed { plan, keys, strict, .. } = self.total(owned(input))?;
                let plan = project(originals.into_iter().chain(columns(&keys)).collect(), plan)?;
                let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(plan)));
                Ok(Pushed { plan, keys, strict, empty: None })
            }
            Distinct::On(on) => {
                let Pushed { plan, keys, strict, .. } = self.total(owned(on.input))?;
                let bind = |expr: Expr| self.keys.bind(expr, &keys);
                let names = NamePreserver::new_for_projection();
                let mut on_exprs: Vec<Expr> = columns(&keys).collect();
                on_exprs.extend(on.on_expr.into_iter().map(bind).collect::<Result<Vec<_>>>()?);
                let mut selected = Vec::new();
                for expr in on.select_expr {
                    let name = names.save(&expr);
                    selected.push(name.restore(bind(expr)?));
                }
                selected.extend(columns(&keys));
                let order = match on.sort_expr {
                    Some(order) => {
                        let mut all: Vec<_> = columns(&keys).map(|key| key.sort(true, false)).collect();
                        all.extend(self.bind_sort(order, &keys)?);
                        Some(all)
                    }
                    None => None,
                };
                let plan = Distinct::On(DistinctOn::try_new(on_exprs, selected, order, Arc::new(plan))?);
                Ok(Pushed { plan: LogicalPlan::Distinct(plan), keys, strict, empty: None })
            }
        }
    }

    pub(super) fn union(&self, union: Union) -> Result<Pushed> {
        let names = self.names.keys(self.keys.exprs.len());
        let mut strict = true;
        let mut inputs = Vec::with_capacity(union.inputs.len());
        for input in union.inputs {
            let originals = columns_of(&input);
            let pushed = self.total(owned(input))?;
            strict &= pushed.strict;
            let keys = columns(&pushed.keys).zip(&names).map(|(key, name)| key.alias(name));
            inputs.push(Arc::new(project(originals.into_iter().chain(keys).collect(), pushed.plan)?));
        }
        let plan = LogicalPlan::Union(Union::try_new(inputs)?);
        let mut exprs: Vec<Expr> = columns_of(&plan)
            .into_iter()
            .zip(union.schema.iter())
            .map(|(expr, (qualifier, field))| expr.alias_qualified(qualifier.cloned(), field.name()))
            .collect();
        let found = plan.schema().columns();
        let keys = names.iter().filter_map(|name| found.iter().find(|column| column.name == **name));
        exprs.extend(keys.zip(&names).map(|(key, name)| Expr::Column(key.clone()).alias(name)));
        let keys = names.into_iter().map(Column::new_unqualified).collect();
        Ok(Pushed { plan: project(exprs, plan)?, keys, strict, empty: None })
    }

    pub(super) fn window(&self, window: Window) -> Result<Pushed> {
        let Pushed { plan, keys, strict, .. } = self.total(owned(window.input))?;
        let names = NamePreserver::new_for_projection();
        let exprs = window
            .window_expr
            .into_iter()
            .map(|expr| {
                let name = names.save(&expr);
                let bound = self.keys.bind(expr, &keys)?;
                let parted = bound.transform_up(|part| {
                    Ok(match part {
                        Expr::WindowFunction(mut function) => {
                            by_key(&mut function, &keys);
                            Transformed::yes(Expr::WindowFunction(function))
                        }
                        part => Transformed::no(part),
                    })
                })?;
                Ok(name.restore(parted.data))
            })
            .collect::<Result<Vec<_>>>()?;
        let plan = LogicalPlan::Window(Window::try_new(exprs, Arc::new(plan))?);
        Ok(Pushed { plan, keys, strict, empty: None })
    }
}

fn by_key(function: &mut WindowFunction, keys: &[Column]) {
    let parts = std::mem::take(&mut function.params.partition_by);
    function.params.partition_by = columns(keys).chain(parts).collect();
}

/// `VALUES` as a union of rows, each of which may take from the outer query.
pub(super) fn unrolled(values: &Values) -> Result<LogicalPlan> {
    let mut rows = Vec::with_capacity(values.values.len());
    for row in &values.values {
        let named = row.iter().zip(values.schema.fields()).map(|(expr, field)| expr.clone().alias(field.name()));
        rows.push(Arc::new(project(named.collect(), LogicalPlanBuilder::empty(true).build()?)?));
    }
    match <[Arc<LogicalPlan>; 1]>::try_from(rows) {
        Ok([row]) => Ok(owned(row)),
        Err(rows) => Ok(LogicalPlan::Union(Union::try_new(rows)?)),
    }
}
