//! Materialized views: a query whose rows are kept, and brought up to date when asked for.
//!
//! A refresh reads only the rows that its tables got since the last one, where that is enough: for a query of filters,
//! projections and inner joins they are put behind the others, for one with GROUP BY the groups are put together with what
//! they add. In all other cases the query is run anew. [`Work`] is that decision, which EXPLAIN REFRESH shows.

mod delta;
mod groups;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use datafusion::common::ScalarValue;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::{CreateView, ObjectName};
use polder_lake::{
    ColumnSpec, Growth, LakeTable, Materialized, Snapshot, Source, TableName, TableState, TransactionCell, sources_of,
};
use polder_types::{Error, ErrorKind, Result, SnapshotId};

use super::super::maintenance::rows;
use super::super::target::parse_query;
use super::super::{Context, ended};
use super::create::{fill, spec_of};
use super::depend::read_by;
use crate::error::from_datafusion;
use crate::scope::Scope;
use crate::session::Outcome;
use delta::{Grown, Reason};
use groups::Groups;

/// Versions that a refresh may find nothing in before it is written down that it has.
const VERSIONS_LOOKED_THROUGH: i64 = 1_000;

/// The query of a materialized view, as far as it can be kept up to date.
struct Kept {
    /// All of its rows, hidden columns and all.
    whole: LogicalPlan,
    hidden: Vec<String>,
    /// What the query comes to, as text, behind a line of the time zone that it is computed in: rows that were made by
    /// another text are no beginning.
    text: String,
    shape: std::result::Result<Shape, Reason>,
}

/// A query that can be kept up to date, and the tables that it reads.
struct Shape {
    tables: Vec<i64>,
    /// Of the query itself, or of what it groups.
    input: LogicalPlan,
    groups: Option<Groups>,
}

/// What a refresh does.
enum Work {
    /// No table has changed.
    Nothing,
    /// Rows behind the others.
    Append(Vec<LogicalPlan>),
    /// All rows, made from those that are there and from what has come.
    Merge(LogicalPlan),
    /// All rows, by the query.
    Whole(Reason),
}

impl Context<'_> {
    pub(super) async fn create_materialized(&self, cell: &TransactionCell, create: &CreateView) -> Result<Outcome> {
        let name = self.name(&create.name)?;
        {
            let guard = cell.lock().await;
            let transaction = guard.as_ref().ok_or_else(ended)?;
            let taken = transaction.table(&name).is_some() || transaction.view().view(&name).is_some();
            if taken && create.if_not_exists {
                let done = Outcome::done("CREATE MATERIALIZED VIEW", None, transaction.base());
                return Ok(done.skips("42P07", "relation", &name.table));
            }
            if taken {
                return Err(Error::new(ErrorKind::AlreadyExists, format!("{name} exists already"))
                    .with_hint("DROP MATERIALIZED VIEW it first, or use another name"));
            }
        }
        let scope = self.writing_scope(cell).await?;
        let query = self.view_query(&scope, create).await?;
        let kept = self.kept(&scope, self.plan_kept(&scope, &query).await?)?;
        let specs: Vec<ColumnSpec> = kept.whole.schema().fields().iter().map(|field| spec_of(field, true)).collect();
        let sources = self.sources(cell, &scope, &kept).await?;
        let rows = match self.extras.no_data {
            true => None,
            false => Some(self.execute(&scope, kept.whole).await?),
        };
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            let snapshot = rows.is_some().then(|| transaction.base());
            let table = transaction.create_table_with(&name, &specs, create.comment.clone())?;
            let mut rules = table.rules.as_ref().clone();
            let (sql, plan, hidden) = (query.to_string(), kept.text, kept.hidden);
            rules.materialized = Some(Materialized { sql, snapshot, sources, plan, hidden });
            transaction.set_rules(&name, rules)?;
            for below in read_by(&query, &name.schema)? {
                transaction.stand_on(&below);
            }
        }
        if self.has_layout() {
            self.set_layout(cell, &name).await?;
        }
        let Some(rows) = rows else {
            return Ok(Outcome::done("CREATE MATERIALIZED VIEW", None, scope.snapshot.id));
        };
        let written = fill(cell, &name, rows).await?;
        Ok(Outcome::done("SELECT", Some(written), scope.snapshot.id))
    }

    /// REFRESH MATERIALIZED VIEW: its rows become those of its query, at once for everybody.
    pub(in super::super) async fn refresh(&self, cell: &TransactionCell, name: &ObjectName) -> Result<Outcome> {
        let scope = self.writing_scope(cell).await?;
        let name = self.existing_name(name, &scope.snapshot)?;
        let (table, rule) = materialized(&scope.snapshot, &name)?;
        let kept = self.kept_as(&scope, &name, &table, &rule).await?;
        let sources = self.sources(cell, &scope, &kept).await?;
        let work = self.work(cell, &scope, &table, &rule, &kept).await?;
        let plans = match work {
            // So as not to look through ever more versions, the view is said to be newer now and then.
            Work::Nothing if scope.snapshot.id - rule.snapshot.unwrap_or_default() < VERSIONS_LOOKED_THROUGH => {
                return Ok(Outcome::done("REFRESH MATERIALIZED VIEW", Some(0), scope.snapshot.id));
            }
            Work::Nothing => Vec::new(),
            Work::Append(terms) => terms,
            Work::Merge(plan) => {
                // Read before the rows that it reads are gone.
                self.replace(cell, &name).await?;
                vec![plan]
            }
            Work::Whole(_) => {
                self.replace(cell, &name).await?;
                vec![kept.whole]
            }
        };
        let mut written = 0;
        for plan in plans {
            let rows = self.execute(&scope, plan).await?;
            written += fill(cell, &name, rows).await?;
        }
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let mut rules = table.rules.as_ref().clone();
        let (sql, plan, snapshot) = (rule.sql, kept.text, Some(transaction.base()));
        rules.materialized = Some(Materialized { sql, snapshot, sources, plan, hidden: rule.hidden });
        transaction.set_rules(&name, rules)?;
        Ok(Outcome::done("REFRESH MATERIALIZED VIEW", Some(written), scope.snapshot.id))
    }

    /// EXPLAIN REFRESH MATERIALIZED VIEW: how it would be done, and why.
    pub(in super::super) async fn explain_refresh(&self, cell: &TransactionCell, name: &ObjectName) -> Result<Outcome> {
        let scope = self.writing_scope(cell).await?;
        let name = self.existing_name(name, &scope.snapshot)?;
        let (table, rule) = materialized(&scope.snapshot, &name)?;
        let kept = self.kept_as(&scope, &name, &table, &rule).await?;
        let since = rule.snapshot.unwrap_or_default();
        let told = match self.work(cell, &scope, &table, &rule, &kept).await? {
            Work::Nothing => ("nothing", format!("no table that it reads has changed since version {since}")),
            Work::Append(terms) => {
                let rows = new_rows(&scope.snapshot, &rule.sources);
                (
                    "incremental",
                    format!("{rows} since version {since}; what they give is appended, by {}", parts(terms.len())),
                )
            }
            Work::Merge(_) => {
                let rows = new_rows(&scope.snapshot, &rule.sources);
                ("incremental", format!("{rows} since version {since}; their groups are merged into those of the view"))
            }
            Work::Whole(reason) => ("full", reason),
        };
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        rows("EXPLAIN", vec![("refresh", text(told.0)), ("because", text(&told.1))], scope.snapshot.id)
    }

    async fn replace(&self, cell: &TransactionCell, name: &TableName) -> Result<()> {
        let mut guard = cell.lock().await;
        guard.as_mut().ok_or_else(ended)?.truncate(name).await.map(|_| ())
    }

    /// Finds out how far a query can be kept up to date.
    fn kept(&self, scope: &Scope, plan: LogicalPlan) -> Result<Kept> {
        // Views are put in, and types are made to fit; what is left is what will be run.
        let options = scope.state.config_options();
        let analyzed = scope.state.analyzer().execute_and_check(plan, options, |_, _| {}).map_err(from_datafusion)?;
        let text = format!("{}\n{}", self.settings.zone(), analyzed.display_indent());
        let whole =
            |shape: Reason| Kept { whole: analyzed.clone(), hidden: Vec::new(), text: text.clone(), shape: Err(shape) };
        let (groups, input) = match Groups::of(&analyzed) {
            Ok(Some(groups)) => {
                let input = groups.input.clone();
                (Some(groups), input)
            }
            Ok(None) => (None, analyzed.clone()),
            Err(reason) => return Ok(whole(reason)),
        };
        let tables = match delta::sources(&input, &scope.snapshot) {
            Ok(tables) => tables,
            Err(reason) => return Ok(whole(reason)),
        };
        let (whole, hidden) = match &groups {
            Some(groups) => (groups.rows(groups.state_of(input.clone())?)?, groups.hidden()),
            None => (analyzed.clone(), Vec::new()),
        };
        Ok(Kept { whole, hidden, text, shape: Ok(Shape { tables, input, groups }) })
    }

    /// The query of a view that is there, checked to give the columns that it has.
    async fn kept_as(&self, scope: &Scope, name: &TableName, table: &TableState, rule: &Materialized) -> Result<Kept> {
        let query = parse_query(&rule.sql)?;
        let plan = self.plan_kept(scope, &query).await.map_err(|error| match error.kind() {
            // What may not be read is told as everywhere.
            ErrorKind::Forbidden => error,
            _ => error.context(name.to_string()),
        })?;
        let mut kept = self.kept(scope, plan)?;
        if kept.hidden != rule.hidden {
            // Taken apart otherwise when it was made: its own columns are filled, and what it kept for itself is not known.
            let shown = kept.whole.schema().fields().len() - kept.hidden.len();
            kept = without_state(kept, shown, table, rule.hidden.len())?;
        }
        let fields = table.arrow_schema.fields().iter().map(|field| field.name());
        if !kept.whole.schema().fields().iter().map(|field| field.name()).eq(fields) {
            return Err(Error::invalid(format!("the query of {name} gives other columns than before"))
                .with_hint("DROP MATERIALIZED VIEW, and CREATE it again"));
        }
        Ok(kept)
    }

    /// The tables as this refresh reads them; none if the next one cannot go on from here.
    async fn sources(&self, cell: &TransactionCell, scope: &Scope, kept: &Kept) -> Result<Vec<Source>> {
        let guard = cell.lock().await;
        let transaction = guard.as_ref().ok_or_else(ended)?;
        match &kept.shape {
            // What this transaction has changed itself gets its numbers when it commits.
            Ok(shape) if !transaction.changed() => sources_of(&scope.snapshot, shape.tables.iter().copied()),
            _ => Ok(Vec::new()),
        }
    }

    /// Decides what a refresh does.
    async fn work(
        &self,
        cell: &TransactionCell,
        scope: &Scope,
        table: &Arc<TableState>,
        rule: &Materialized,
        kept: &Kept,
    ) -> Result<Work> {
        let shape = match &kept.shape {
            Ok(shape) => shape,
            Err(reason) => return Ok(Work::Whole(reason.clone())),
        };
        let Some(since) = rule.snapshot else { return Ok(Work::Whole("it has no rows yet".into())) };
        if cell.lock().await.as_ref().ok_or_else(ended)?.changed() {
            return Ok(Work::Whole("the transaction has changed tables before".into()));
        }
        if rule.sources.is_empty() {
            return Ok(Work::Whole("it was last computed in a way that gives nothing to go on from".into()));
        }
        if let Some(reason) = differs(&rule.plan, &kept.text) {
            return Ok(Work::Whole(reason));
        }
        if !self.engine.lake.is_as_refreshed(since, &scope.snapshot, table.id).await? {
            return Ok(Work::Whole("another program has changed its rows".into()));
        }
        let from = match self.grown(&scope.snapshot, since, &rule.sources).await? {
            Ok(from) if from.is_empty() => return Ok(Work::Nothing),
            Ok(from) => from,
            Err(reason) => return Ok(Work::Whole(reason)),
        };
        let grown = Grown { lake: &self.engine.lake, snapshot: &scope.snapshot, from };
        let terms = grown.terms(&shape.input)?;
        let Some(groups) = &shape.groups else { return Ok(Work::Append(terms)) };
        let name = scope.snapshot.name_of(table);
        let view = LakeTable::open(&self.engine.lake, &scope.snapshot, name, table, None)?;
        let view = LogicalPlanBuilder::scan("kept", provider_as_source(Arc::new(view)), None);
        let view = view.and_then(LogicalPlanBuilder::build).map_err(from_datafusion)?;
        let mut states = vec![groups.kept_state(view)?];
        for term in terms {
            states.push(groups.state_of(term)?);
        }
        Ok(Work::Merge(groups.rows(groups.merged(states)?)?))
    }

    /// Where the new rows of each table begin that has got any.
    async fn grown(
        &self,
        snapshot: &Snapshot,
        since: SnapshotId,
        sources: &[Source],
    ) -> Result<std::result::Result<BTreeMap<i64, i64>, Reason>> {
        let mut from = BTreeMap::new();
        for (source, growth) in sources.iter().zip(self.engine.lake.growth(since, snapshot, sources).await?) {
            match growth {
                Growth::Same => {}
                Growth::Appended { from: first, .. } => {
                    from.insert(source.table, first);
                }
                Growth::Changed(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(from))
    }
}

/// Why rows that were made by one text of [`Kept`] are no beginning for those of another.
fn differs(before: &str, now: &str) -> Option<Reason> {
    let zone = |text: &str| text.split_once('\n').map(|(zone, _)| zone.to_owned());
    match (zone(before), zone(now)) {
        _ if before == now => None,
        (Some(before), Some(now)) if before != now => {
            Some(format!("it was last computed in the time zone {before}, and the session's is {now}"))
        }
        _ => Some("a view or a function that its rows come by is another one now".into()),
    }
}

/// The columns that people see, with NULL in those of a state that is not kept.
fn without_state(kept: Kept, shown: usize, table: &TableState, hidden: usize) -> Result<Kept> {
    let schema = table.schema();
    let fields = schema.fields();
    let nulls = fields
        .iter()
        .skip(fields.len() - hidden)
        .map(|field| cast(lit(ScalarValue::Null), field.data_type().clone()).alias(field.name()));
    let own = kept.whole.schema().columns().into_iter().take(shown).map(Expr::Column);
    let whole = LogicalPlanBuilder::from(kept.whole).project(own.chain(nulls).collect::<Vec<_>>());
    let whole = whole.and_then(LogicalPlanBuilder::build).map_err(from_datafusion)?;
    let reason =
        "it was made by another version of Polder: DROP and CREATE it, and it can be kept up to date".to_owned();
    Ok(Kept { whole, hidden: Vec::new(), text: kept.text, shape: Err(reason) })
}

/// `12 rows have come into public.sale`
fn new_rows(snapshot: &Snapshot, sources: &[Source]) -> String {
    let grown = sources.iter().filter_map(|source| {
        let table = snapshot.tables.get(&source.table)?;
        let rows = table.next_row_id - source.next_row_id;
        let (s, have) = if rows == 1 { ("", "has") } else { ("s", "have") };
        (rows > 0).then(|| format!("{rows} row{s} {have} come into {}", snapshot.name_of(table)))
    });
    grown.collect::<Vec<_>>().join(", ")
}

fn parts(number: usize) -> String {
    if number == 1 { "one query".to_owned() } else { format!("{number} queries") }
}

/// A materialized view and what it is made from.
fn materialized(snapshot: &Snapshot, name: &TableName) -> Result<(Arc<TableState>, Materialized)> {
    let found = snapshot.table(name).and_then(|table| {
        let rule = table.rules.materialized.clone()?;
        Some((Arc::clone(table), rule))
    });
    found.ok_or_else(|| {
        if snapshot.table(name).is_some() || snapshot.view(name).is_some() {
            return Error::invalid(format!("{name} is no materialized view")).with_code("0A000");
        }
        Error::not_found(format!("materialized view {name} does not exist"))
    })
}
