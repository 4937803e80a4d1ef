//! `NATURAL RIGHT JOIN` and `NATURAL FULL JOIN`: by the columns that both sides have, which no text tells.
//!
//! Where such a join is read, it becomes one by a column that no table has. On the way to the planner each table of the join
//! is planned by itself; what they have in common stands in USING from then on, and is merged as there.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, JoinConstraint, ObjectName, Query, Select, SetExpr, Statement, TableFactor, TableWithJoins,
    Value, VisitorMut, With,
};
use polder_types::Error;

use super::using::{constraint_of, is_outer, merge, refused};
use super::whole_numbers::{plan, visit_queries};
use super::wildcards;
use crate::parse::parse_query;
use crate::statement::fold;

/// The column of a join whose columns are not known yet.
const UNKNOWN: &str = "polder$natural";

/// Such joins in one statement.
const JOINS_MAX: usize = 64;

/// Marks the joins whose columns are to be found out; whether there are any.
pub(super) fn mark(from: &mut [TableWithJoins]) -> bool {
    let mut any = false;
    for join in from.iter_mut().flat_map(|from| &mut from.joins) {
        let outer = is_outer(&join.join_operator);
        let Some(constraint) = constraint_of(&mut join.join_operator) else { continue };
        if outer && *constraint == JoinConstraint::Natural {
            *constraint = JoinConstraint::Using(vec![column(UNKNOWN)]);
        }
        any |= is_unknown(constraint);
    }
    any
}

fn column(name: &str) -> ObjectName {
    ObjectName::from(vec![Ident::with_quote('"', name)])
}

fn is_unknown(constraint: &JoinConstraint) -> bool {
    matches!(constraint, JoinConstraint::Using(columns) if columns.iter().any(|known| *known == column(UNKNOWN)))
}

/// Whether a query has a join whose columns are to be found out.
pub(super) fn is_marked(query: &mut Query) -> bool {
    marked(query.body.as_mut()).is_some()
}

/// The first of the queries that make a set which has one.
fn marked(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => mark(&mut select.from).then_some(select.as_mut()),
        SetExpr::SetOperation { left, right, .. } => {
            if marked(left).is_some() {
                return marked(left);
            }
            marked(right)
        }
        _ => None,
    }
}

/// As [`resolve`], of a query by itself.
///
/// # Errors
/// The same.
pub(crate) async fn resolve_query(state: &SessionState, query: Query) -> Result<Query> {
    let mut statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
    resolve(state, &mut statement).await?;
    if let Parsed::Statement(statement) = statement
        && let Statement::Query(query) = *statement
    {
        return Ok(*query);
    }
    Err(external(Error::internal("a query became something else")))
}

/// Finds out by which columns the joins of a statement are.
///
/// # Errors
/// The planner's for their tables; `InvalidInput` (42702) for a column that is there twice.
pub(super) async fn resolve(state: &SessionState, statement: &mut Parsed) -> Result<()> {
    for _ in 0..JOINS_MAX {
        let mut finder = Finder::default();
        visit_queries(statement, &mut finder);
        let Some(tables) = finder.found else { return Ok(()) };
        let mut columns = Vec::with_capacity(tables.len());
        for table in tables {
            let table = Parsed::Statement(Box::new(Statement::Query(Box::new(table))));
            let planned = plan(state, table).await?;
            columns.push(planned.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>());
        }
        let mut giver = Giver { columns, failed: None };
        visit_queries(statement, &mut giver);
        if let Some(error) = giver.failed {
            return Err(external(error));
        }
    }
    Err(external(Error::unsupported(format!("more than {JOINS_MAX} NATURAL outer joins in one statement"))))
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Finds the first query with such joins, those within others first: each of its tables as a query.
#[derive(Default)]
struct Finder {
    /// What is named around the query that is visited, the outermost first.
    named: Vec<Option<With>>,
    found: Option<Vec<Query>>,
}

impl Finder {
    fn queries(&self, select: &Select) -> Option<Vec<Query>> {
        let factors = select
            .from
            .iter()
            .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
        factors.map(|factor| self.query_of(factor)).collect()
    }

    fn query_of(&self, factor: &TableFactor) -> Option<Query> {
        let mut query = parse_query("SELECT *").ok()?;
        let SetExpr::Select(select) = query.body.as_mut() else { return None };
        select.from = vec![TableWithJoins { relation: factor.clone(), joins: Vec::new() }];
        query.with = self.with();
        Some(query)
    }

    /// All that is named around, but for what cannot be planned yet.
    fn with(&self) -> Option<With> {
        let mut with = self.named.iter().flatten().next_back()?.clone();
        with.recursive = self.named.iter().flatten().any(|known| known.recursive);
        let mut hidden = HashSet::new();
        let inner = self.named.iter().flatten().rev().flat_map(|known| known.cte_tables.iter().rev());
        let seen = inner.filter(|cte| hidden.insert(fold(&cte.alias.name)) && !cte.query.to_string().contains(UNKNOWN));
        let mut tables: Vec<Cte> = seen.cloned().collect();
        tables.reverse();
        with.cte_tables = tables;
        (!with.cte_tables.is_empty()).then_some(with)
    }
}

impl VisitorMut for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.named.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(select) = marked(query.body.as_mut()) {
            self.found = self.queries(select);
            return ControlFlow::Break(());
        }
        self.named.pop();
        ControlFlow::Continue(())
    }
}

/// Gives the joins of the query that [`Finder`] found their columns.
struct Giver {
    /// Of each table.
    columns: Vec<Vec<String>>,
    failed: Option<Error>,
}

impl VisitorMut for Giver {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let order = if matches!(*query.body, SetExpr::Select(_)) { query.order_by.as_mut() } else { None };
        let Some(select) = marked(query.body.as_mut()) else { return ControlFlow::Continue(()) };
        let done = match select.from.as_mut_slice() {
            [from] => joined(from, &self.columns),
            _ => Err(refused()),
        };
        self.failed = done.and_then(|()| merge(select, order)).err();
        wildcards::full(select);
        ControlFlow::Break(())
    }
}

fn joined(from: &mut TableWithJoins, columns: &[Vec<String>]) -> polder_types::Result<()> {
    let mut columns = columns.iter();
    let mut left = columns.next().cloned().unwrap_or_default();
    for (join, right) in from.joins.iter_mut().zip(columns) {
        let Some(constraint) = constraint_of(&mut join.join_operator) else {
            left.extend(right.iter().cloned());
            continue;
        };
        let mut common = Vec::new();
        if *constraint == JoinConstraint::Natural || is_unknown(constraint) {
            common = left.iter().filter(|name| right.contains(name)).cloned().collect();
            check_once(&common, &left, "left")?;
            check_once(&common, right, "right")?;
            *constraint = match common.is_empty() {
                true => JoinConstraint::On(Expr::Value(Value::Boolean(true).into())),
                false => JoinConstraint::Using(common.iter().map(|name| column(name)).collect()),
            };
        } else if let JoinConstraint::Using(names) = &*constraint {
            common = names.iter().filter_map(|name| name.0.last()?.as_ident().map(fold)).collect();
        }
        let others = left.iter().chain(right).filter(|name| !common.contains(name)).cloned();
        left = common.iter().cloned().chain(others).collect();
    }
    Ok(())
}

fn check_once(common: &[String], columns: &[String], side: &str) -> polder_types::Result<()> {
    match common.iter().find(|name| columns.iter().filter(|known| known == name).count() > 1) {
        Some(twice) => {
            let message = format!("common column name \"{twice}\" appears more than once in {side} table");
            Err(Error::invalid(message).with_code("42702"))
        }
        None => Ok(()),
    }
}
