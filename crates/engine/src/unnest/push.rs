//! The dependent join, pushed down to where a subquery takes from the outer query.
//!
//! A subquery is computed once for all *keys*, the distinct values that it takes: every operator works on the rows of each
//! key apart, and carries the key along in columns of its own. Where the rows below an operator fix the key by an
//! equality, they bring it themselves; elsewhere the outer query's distinct keys are joined in.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, NullEquality, Result, not_impl_err};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::expr::{AggregateFunction, GroupingSet};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, Filter, Join, JoinConstraint, JoinType, LogicalPlan, LogicalPlanBuilder,
    Projection, Sort, SortExpr, SubqueryAlias, lit, when,
};
use polder_types::Error;

use super::Names;
use super::join::{join_on_keys, key_pairs};
use super::keys::Keys;
use super::recursive::Step;
use super::rows::unrolled;

/// A subquery for all keys.
pub(super) struct Pushed {
    pub plan: LogicalPlan,
    /// The columns that carry the keys, in their order.
    pub keys: Vec<Column>,
    /// The keys come from equalities: none is NULL, and there may be more of them than the outer query has.
    pub strict: bool,
    /// A key without a row stands for one row of these values, which may name columns of the outer query.
    pub empty: Option<Vec<Expr>>,
}

/// Pushes a dependent join on `outer` down.
pub(super) struct Pusher<'a> {
    pub outer: &'a LogicalPlan,
    pub keys: &'a Keys<'a>,
    pub names: &'a Names,
    /// The recursive queries around the plan that is being pushed into.
    pub steps: Vec<Step>,
}

pub(super) fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

pub(super) fn columns(keys: &[Column]) -> impl Iterator<Item = Expr> + '_ {
    keys.iter().cloned().map(Expr::Column)
}

pub(super) fn project(exprs: Vec<Expr>, input: LogicalPlan) -> Result<LogicalPlan> {
    Projection::try_new(exprs, Arc::new(input)).map(LogicalPlan::Projection)
}

pub(super) fn filter(predicate: Option<Expr>, input: LogicalPlan) -> Result<LogicalPlan> {
    match predicate {
        Some(predicate) => Filter::try_new(predicate, Arc::new(input)).map(LogicalPlan::Filter),
        None => Ok(input),
    }
}

pub(super) fn owned(plan: Arc<LogicalPlan>) -> LogicalPlan {
    Arc::unwrap_or_clone(plan)
}

impl Pusher<'_> {
    pub fn push(&self, plan: LogicalPlan) -> Result<Pushed> {
        if !self.touch(&plan)? {
            return self.times_keys(plan);
        }
        match plan {
            LogicalPlan::Subquery(subquery) => self.push(owned(subquery.subquery)),
            LogicalPlan::SubqueryAlias(alias) => self.alias(alias),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(node) => self.filter(node.predicate, owned(node.input)),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Distinct(distinct) => self.distinct(distinct),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Values(values) => self.push(unrolled(&values)?),
            LogicalPlan::RecursiveQuery(query) => self.recursive(query),
            LogicalPlan::TableScan(scan) => match self.carried(&scan)? {
                Some(carried) => Ok(carried),
                None => not_impl_err!("a correlated subquery with {}", scan.table_name),
            },
            LogicalPlan::Unnest(unnest) => {
                let Pushed { plan, keys, strict, .. } = self.total(owned(unnest.input))?;
                let plan = LogicalPlanBuilder::from(plan)
                    .unnest_columns_with_options(unnest.exec_columns, unnest.options)?
                    .build()?;
                Ok(Pushed { plan, keys, strict, empty: None })
            }
            other => not_impl_err!("a correlated subquery with {}", other.display()),
        }
    }

    /// The distinct keys of the outer query, which is computed a second time for them.
    pub(super) fn domain(&self) -> Result<(LogicalPlan, Vec<Column>)> {
        if !is_repeatable(self.outer)? {
            return Err(DataFusionError::External(Box::new(
                Error::unsupported("a correlated subquery on rows that may be others each time they are computed")
                    .with_hint("CREATE TABLE … AS what random() or a LIMIT without ORDER BY gives, and query that"),
            )));
        }
        let names = self.names.keys(self.keys.exprs.len());
        let exprs = self.keys.exprs.iter().zip(&names).map(|(key, name)| key.clone().alias(name)).collect();
        let plan = project(exprs, self.outer.clone())?;
        let keys = names.into_iter().map(Column::new_unqualified).collect();
        Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(plan))), keys))
    }

    /// A plan that takes nothing, for each key.
    fn times_keys(&self, plan: LogicalPlan) -> Result<Pushed> {
        if self.keys.exprs.is_empty() {
            return Ok(Pushed { plan, keys: Vec::new(), strict: true, empty: None });
        }
        let (domain, keys) = self.domain()?;
        if matches!(&plan, LogicalPlan::EmptyRelation(empty) if empty.produce_one_row) {
            return Ok(Pushed { plan: domain, keys, strict: false, empty: None });
        }
        let plan = join_on_keys(domain, plan, JoinType::Inner, Vec::new(), None)?;
        Ok(Pushed { plan, keys, strict: false, empty: None })
    }

    /// As [`Self::push`], with all rows that there are for a key.
    pub(super) fn total(&self, plan: LogicalPlan) -> Result<Pushed> {
        let pushed = self.push(plan)?;
        self.completed(pushed)
    }

    /// Puts in the rows that stand for keys without any.
    pub fn completed(&self, pushed: Pushed) -> Result<Pushed> {
        let Pushed { plan, keys, strict, empty } = pushed;
        let Some(empty) = empty else { return Ok(Pushed { plan, keys, strict, empty }) };
        let (domain, all_keys) = self.domain()?;
        let marker = self.names.marker();
        let values: Vec<Expr> =
            columns_of(&plan).into_iter().filter(|expr| !matches!(expr, Expr::Column(c) if keys.contains(c))).collect();
        let mut exprs = columns_of(&plan);
        exprs.push(lit(true).alias(&marker));
        let marked = project(exprs, plan)?;
        let pairs = key_pairs(all_keys.iter().cloned().map(Expr::Column).collect(), &keys, false);
        let joined = join_on_keys(domain, marked, JoinType::Left, pairs, None)?;
        let mut exprs = Vec::with_capacity(values.len() + all_keys.len());
        for (value, empty) in values.into_iter().zip(empty) {
            let empty = self.keys.bind(empty, &all_keys)?;
            let (qualifier, name) = value.qualified_name();
            exprs.push(or_empty(&marker, None, empty, value)?.alias_qualified(qualifier, name));
        }
        exprs.extend(columns(&all_keys));
        Ok(Pushed { plan: project(exprs, joined)?, keys: all_keys, strict: false, empty: None })
    }

    fn alias(&self, alias: SubqueryAlias) -> Result<Pushed> {
        let Pushed { plan, keys, strict, empty } = self.push(owned(alias.input))?;
        let plan = SubqueryAlias::try_new(Arc::new(plan), alias.alias.clone()).map(LogicalPlan::SubqueryAlias)?;
        let keys = keys.into_iter().map(|key| Column::new(Some(alias.alias.clone()), key.name)).collect();
        Ok(Pushed { plan, keys, strict, empty })
    }

    fn projection(&self, projection: Projection) -> Result<Pushed> {
        let input_schema = Arc::clone(projection.input.schema());
        let Pushed { plan, keys, strict, empty } = self.push(owned(projection.input))?;
        let empty = match empty {
            Some(values) => Some(
                projection
                    .expr
                    .iter()
                    .map(|expr| {
                        let replaced = expr.clone().transform_up(|part| {
                            Ok(match part {
                                Expr::Column(column) => {
                                    let at = input_schema.index_of_column(&column)?;
                                    Transformed::yes(values.get(at).cloned().unwrap_or(Expr::Column(column)))
                                }
                                part => Transformed::no(part),
                            })
                        })?;
                        Ok(replaced.data.unalias_nested().data)
                    })
                    .collect::<Result<Vec<_>>>()?,
            ),
            None => None,
        };
        let mut exprs = self.keys.bind_all(projection.expr, &keys)?;
        exprs.extend(columns(&keys));
        Ok(Pushed { plan: project(exprs, plan)?, keys, strict, empty })
    }

    pub(super) fn filter(&self, predicate: Expr, input: LogicalPlan) -> Result<Pushed> {
        let conjuncts = split_conjunction_owned(predicate);
        if !self.touch(&input)?
            && let Some(fixed) = self.fixed_by(&conjuncts)
        {
            let names = self.names.keys(fixed.len());
            let mut exprs = columns_of(&input);
            exprs.extend(fixed.iter().zip(&names).map(|(expr, name)| expr.clone().alias(name)));
            let keys: Vec<Column> = names.into_iter().map(Column::new_unqualified).collect();
            let mut wanted: Vec<Expr> = Vec::new();
            for (key, expr) in keys.iter().zip(&fixed) {
                if expr.nullable(input.schema()).unwrap_or(true) {
                    wanted.push(Expr::Column(key.clone()).is_not_null());
                }
            }
            for conjunct in conjuncts {
                // What fixes a key is true of the key that it brings.
                let bringing = self.keys.fixed(&conjunct).is_some_and(|(_, inner)| fixed.contains(inner));
                let bound = self.keys.bind(conjunct, &keys)?;
                let repeated = matches!(&bound, Expr::BinaryExpr(equal)
                    if keys.iter().zip(&fixed).any(|(key, expr)| *equal.right == Expr::Column(key.clone()) && *equal.left == *expr));
                if !(bringing && repeated) {
                    wanted.push(bound);
                }
            }
            let plan = filter(conjunction(wanted), project(exprs, input)?)?;
            return Ok(Pushed { plan, keys, strict: true, empty: None });
        }
        let Pushed { plan, keys, strict, .. } = self.total(input)?;
        let bound = conjuncts.into_iter().map(|expr| self.keys.bind(expr, &keys)).collect::<Result<Vec<_>>>()?;
        Ok(Pushed { plan: filter(conjunction(bound), plan)?, keys, strict, empty: None })
    }

    /// For each key the expression that it must be equal to, when there is one for all of them.
    fn fixed_by(&self, conjuncts: &[Expr]) -> Option<Vec<Expr>> {
        self.keys
            .exprs
            .iter()
            .map(|key| {
                conjuncts.iter().find_map(|conjunct| {
                    let (outer, inner) = self.keys.fixed(conjunct)?;
                    let same = self.keys.unbound(outer.clone()).is_ok_and(|outer| outer == *key);
                    (same && !inner.column_refs().is_empty() && !inner.is_volatile()).then(|| inner.clone())
                })
            })
            .collect()
    }

    fn aggregate(&self, aggregate: Aggregate) -> Result<Pushed> {
        if aggregate.group_expr.iter().any(is_sets) {
            return not_impl_err!("ROLLUP, CUBE and GROUPING SETS in a correlated subquery");
        }
        let schema = Arc::clone(&aggregate.schema);
        let (group, whole) = (aggregate.group_expr, aggregate.aggr_expr);
        if whole.iter().any(is_of_outer_query) {
            return Err(DataFusionError::External(Box::new(
                Error::unsupported("an aggregate of columns of the outer query alone, which is the outer query's")
                    .with_hint("compute it in the outer query, or in a query around it"),
            )));
        }
        let Pushed { plan, keys, strict, .. } = self.total(owned(aggregate.input))?;
        let none = whole.iter().zip(schema.fields()).map(|(expr, field)| none_of(expr, field.data_type()));
        let empty = group.is_empty().then(|| none.collect::<Result<Vec<_>>>());
        let names = NamePreserver::new_for_projection();
        let bind = |expr: Expr| {
            let name = names.save(&expr);
            Ok(name.restore(self.keys.bind(expr, &keys)?))
        };
        let mut groups: Vec<Expr> = columns(&keys).collect();
        groups.extend(group.into_iter().map(bind).collect::<Result<Vec<_>>>()?);
        let whole = whole.into_iter().map(bind).collect::<Result<Vec<_>>>()?;
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(plan), groups, whole)?);
        Ok(Pushed { plan, keys, strict, empty: empty.transpose()? })
    }

    fn join(&self, join: Join) -> Result<Pushed> {
        let (mut left, mut right) = (self.touch(&join.left)?, self.touch(&join.right)?);
        if join.join_type == JoinType::Inner && !left && !right {
            let predicate = join.filter.clone();
            let inner = LogicalPlan::Join(Join { filter: None, ..join });
            let predicate = predicate.unwrap_or_else(|| lit(true));
            return self.filter(predicate, inner);
        }
        // Rows of the side that an outer join keeps are kept once for each key.
        left |= join.join_type != JoinType::Inner && !keeps_right(join.join_type);
        right |= join.join_type == JoinType::Full || keeps_right(join.join_type);
        let (left, left_keys) = self.side(join.left, left)?;
        let (right, right_keys) = self.side(join.right, right)?;
        let mut on = join.on;
        let mut condition = join.filter;
        if let (Some((left_keys, left_strict)), Some((right_keys, right_strict))) = (&left_keys, &right_keys) {
            if join.null_equality == NullEquality::NullEqualsNull {
                on.extend(columns(left_keys).zip(columns(right_keys)));
            } else {
                let plain = *left_strict && *right_strict;
                let pairs = key_pairs(columns(left_keys).collect(), right_keys, plain);
                let with_keys = super::join::condition(&left, &right, pairs, !on.is_empty() || condition.is_some())?;
                condition = conjunction(condition.into_iter().chain(with_keys));
            }
        }
        let kept =
            if keeps_right(join.join_type) { right_keys.clone() } else { left_keys.clone().or(right_keys.clone()) };
        let Some((keys, strict)) = kept else { return not_impl_err!("a correlated join of this kind") };
        let on = on
            .into_iter()
            .map(|(l, r)| Ok((self.keys.bind(l, &keys)?, self.keys.bind(r, &keys)?)))
            .collect::<Result<Vec<_>>>()?;
        let condition = condition.map(|expr| self.keys.bind(expr, &keys)).transpose()?;
        let joined = LogicalPlan::Join(Join::try_new(
            Arc::new(left),
            Arc::new(right),
            on,
            condition,
            join.join_type,
            JoinConstraint::On,
            join.null_equality,
            join.null_aware,
        )?);
        match (join.join_type, left_keys, right_keys) {
            (JoinType::Full, Some((left, _)), Some((right, _))) => self.either_keys(joined, &left, &right),
            _ => Ok(Pushed { plan: joined, keys, strict, empty: None }),
        }
    }

    /// One side of a join, with its keys and whether they are strict, if it is to have any.
    fn side(&self, plan: Arc<LogicalPlan>, keyed: bool) -> Result<(LogicalPlan, Option<(Vec<Column>, bool)>)> {
        if !keyed {
            return Ok((owned(plan), None));
        }
        let Pushed { plan, keys, strict, .. } = self.total(owned(plan))?;
        Ok((plan, Some((keys, strict))))
    }

    /// The keys after a full join, of which either side may be missing.
    fn either_keys(&self, joined: LogicalPlan, left: &[Column], right: &[Column]) -> Result<Pushed> {
        let names = self.names.keys(left.len());
        let mut exprs = columns_of(&joined);
        for ((left, right), name) in columns(left).zip(columns(right)).zip(&names) {
            exprs.push(coalesce(vec![left, right]).alias(name));
        }
        let keys = names.into_iter().map(Column::new_unqualified).collect();
        Ok(Pushed { plan: project(exprs, joined)?, keys, strict: false, empty: None })
    }

    fn sort(&self, sort: Sort) -> Result<Pushed> {
        let Pushed { plan, keys, strict, .. } = self.total(owned(sort.input))?;
        let expr = self.bind_sort(sort.expr, &keys)?;
        let plan = LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: None });
        Ok(Pushed { plan, keys, strict, empty: None })
    }

    pub(super) fn bind_sort(&self, exprs: Vec<SortExpr>, keys: &[Column]) -> Result<Vec<SortExpr>> {
        exprs.into_iter().map(|sort| Ok(sort.with_expr(self.keys.bind(sort.expr.clone(), keys)?))).collect()
    }
}

/// Whether a plan gives the same rows each time.
fn is_repeatable(plan: &LogicalPlan) -> Result<bool> {
    let mut repeatable = true;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            // Which of rows without columns are left, nobody can tell.
            repeatable &= limit.input.schema().fields().is_empty() || is_ordered(&limit.input);
        }
        node.apply_expressions(|expr| {
            repeatable &= !expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(repeatable)
}

fn is_ordered(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) | LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Projection(node) => is_ordered(&node.input),
        LogicalPlan::SubqueryAlias(node) => is_ordered(&node.input),
        _ => false,
    }
}

fn keeps_right(join_type: JoinType) -> bool {
    matches!(join_type, JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark)
}

fn is_sets(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_sets(&alias.expr),
        Expr::GroupingSet(GroupingSet::GroupingSets(_) | GroupingSet::Rollup(_) | GroupingSet::Cube(_)) => true,
        _ => false,
    }
}

/// Whether an aggregate takes nothing from the rows of its own query: it is the outer query's then.
fn is_of_outer_query(expr: &Expr) -> bool {
    let outer = |part: &Expr| Ok(matches!(part, Expr::OuterReferenceColumn(..)));
    expr.column_refs().is_empty() && expr.exists(outer).unwrap_or(false)
}

/// What an aggregate of no rows is.
fn none_of(expr: &Expr, data_type: &DataType) -> Result<Expr> {
    match expr {
        Expr::Alias(alias) => none_of(&alias.expr, data_type),
        Expr::AggregateFunction(AggregateFunction { func, .. }) => Ok(lit(func.default_value(data_type)?)),
        _ => not_impl_err!("{expr} in a correlated subquery"),
    }
}

/// `value`, or what it is for a key without rows.
pub(super) fn or_empty(marker: &str, qualifier: Option<&str>, empty: Expr, value: Expr) -> Result<Expr> {
    let marker = match qualifier {
        Some(qualifier) => Column::new(Some(qualifier), marker),
        None => Column::new_unqualified(marker),
    };
    if matches!(&empty, Expr::Literal(value, _) if value.is_null()) {
        return Ok(value);
    }
    when(Expr::Column(marker).is_null(), empty).otherwise(value)
}
