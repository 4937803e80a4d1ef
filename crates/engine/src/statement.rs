//! Statements, one module a family.

pub(crate) mod access_keys;
pub(crate) mod allowed;
mod assign;
mod authorize;
mod blob_text;
mod changes;
mod constant;
mod control;
mod copy;
mod copy_to;
mod cursor;
mod ddl;
pub(crate) mod deliveries;
mod describe;
mod dml;
mod estimate;
mod explain;
mod exports;
mod follow;
mod insert;
pub(crate) mod jobs;
pub(crate) mod joins;
pub(crate) mod maintenance;
mod may;
mod merge;
mod names;
pub(crate) mod names_out;
pub(crate) mod origins;
mod prepare;
mod query;
mod resolve;
mod returning;
pub(crate) mod roles;
mod rows_in;
mod seen_keys;
mod set_config;
mod settings;
mod sinks;
mod suggest;
mod target;
pub(crate) mod temporary;
pub(crate) mod topics;
pub(crate) mod travel;

pub(crate) use constant::Constants;
pub(crate) use copy::no_server_files;
pub(crate) use ddl::partition_part;
pub(crate) use names::{fold, parts as name_parts};
pub(crate) use prepare::Prepared;
pub(crate) use rows_in::read_texts;
pub(crate) use settings::{shown_zone, time};
pub(crate) use target::{Target, is_default, parse_query, quoted, quoted_ident};

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::format::ExplainStatementOptions;
use datafusion::sql::parser::{ResetStatement, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{ObjectName, Statement};
use futures::future::BoxFuture;
use polder_capability::{Caller, RowsIn};
use polder_lake::{Transaction, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use crate::authz::access_of_new;
use crate::engine::Engine;
use crate::forms::{self, Extras, Overriding};
use crate::parse::{ParsedStatement, Refresh};
use crate::record::Running;
use crate::session::{CONFLICT_TRIES, Inner, Outcome, Settings};
use may::{check_may_write, leaves_roles, open_cell};

/// Characters of a statement in the history of the lake.
const NOTE_CHARS: usize = 200;

/// Everything that a statement needs besides its text.
pub(crate) struct Context<'a> {
    pub engine: &'a Arc<Engine>,
    pub caller: &'a Caller,
    pub settings: &'a Settings,
    pub running: &'a Arc<Running>,
    pub extras: &'a Extras,
    /// Answers keep types that text would lose: for drivers.
    pub typed: bool,
}

impl Engine {
    /// Runs one statement in a session.
    ///
    /// Boxed, as the ways below, for the sake of [`crate::opaque`]: whoever waits for it holds no part of a plan.
    pub(crate) fn statement<'a>(
        self: &'a Arc<Self>,
        caller: &'a Caller,
        inner: &'a mut Inner,
        statement: ParsedStatement,
        running: &'a Arc<Running>,
    ) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(self.run_statement(caller, inner, statement, running))
    }

    async fn run_statement(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        statement: ParsedStatement,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        if leaves_roles(&statement, inner) {
            self.leave_gone(&mut inner.settings).await?;
        }
        self.identify_in(caller, inner).await?;
        self.allow(caller, inner, running).await?;
        let (mut statement, extras) = match statement {
            ParsedStatement::Standard(statement) => (statement, Extras::default()),
            ParsedStatement::Extended(statement, extras) => (statement, extras),
            ParsedStatement::Job(statement) => return self.job(caller, inner, statement).await,
            ParsedStatement::Delivery(statement) => return self.delivery(inner, *statement).await,
            ParsedStatement::AccessKey(statement) => return self.access_key(caller, inner, statement).await,
            ParsedStatement::Topic(statement) => return self.topic(caller, inner, statement).await,
            ParsedStatement::Role(statement) => {
                return Box::pin(self.role(caller, inner, *statement, running)).await;
            }
            ParsedStatement::Refresh(refresh) => return self.refresh(caller, inner, &refresh, running).await,
        };
        if let Parsed::Statement(statement) = &statement {
            if let Some(outcome) = self.control(caller, inner, statement, running).await? {
                return Ok(outcome);
            }
            if let Some(calls) = set_config::calls(statement) {
                return Box::pin(self.set_config(caller, inner, calls, running)).await;
            }
            if let Some(beside) = set_config::beside(statement) {
                return Box::pin(self.set_config_beside(caller, inner, beside, running)).await;
            }
        }
        if let Parsed::Reset(ResetStatement::Variable(name)) = &statement {
            return self.reset(inner, name).await;
        }
        let open = open_cell(inner)?;
        if let Parsed::Statement(statement) = &statement {
            match statement.as_ref() {
                Statement::Prepare { name, data_types, statement } => {
                    return self.prepare(inner, name, data_types, statement).await;
                }
                Statement::Deallocate { name, .. } => return self.deallocate(inner, name).await,
                Statement::Execute { name, parameters, immediate: false, .. } => {
                    let statement = self.executed(inner, name.as_ref(), parameters)?;
                    let statement = ParsedStatement::Standard(Parsed::Statement(Box::new(statement)));
                    return Box::pin(self.statement(caller, inner, statement, running)).await;
                }
                _ => {}
            }
        }
        prepare::check_no_parameters(&statement)?;
        explain::of_query(&mut statement)?;
        let before = inner.settings.temporary.clone();
        temporary::place(&mut inner.settings.temporary, &mut statement)?;
        let settings = self.resolve(inner.settings.clone(), open.as_ref(), &mut statement).await?;
        let context =
            Context { engine: self, caller, settings: &settings, running, extras: &extras, typed: inner.typed };
        if let Some(form) = extras.estimate {
            return Box::pin(context.estimate(open.as_ref(), statement, form)).await;
        }
        if let Some(work) = maintenance::Maintenance::of(&statement)? {
            if work.changes_tables() {
                check_may_write(inner)?;
            }
            context.may_maintain(&*self.seen(&settings, open.as_ref()).await?, &work)?;
            return context.maintain(open.as_ref(), &work).await;
        }
        if let Some(kind) = Change::of(&statement)? {
            if kind.writes() {
                check_may_write(inner)?;
            }
            let changed = match open {
                Some(cell) => context.change_in(&cell, &kind).await,
                None => context.change_alone(&kind, &beginning(&statement)).await,
            };
            let Err(error) = changed else {
                if inner.open.is_none() {
                    inner.settings.temporary.committed();
                }
                return changed.map(|outcome| explain::told(outcome, &extras));
            };
            inner.settings.temporary = before;
            return Err(match self.lake.newest().await {
                Ok(newest) => suggest::table(error, &newest, &settings.schema),
                Err(_) => error,
            });
        }
        Box::pin(context.read(open.as_ref(), statement)).await.map(|outcome| explain::told(outcome, &extras))
    }
}

impl Engine {
    async fn refresh(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        refresh: &Refresh,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        let open = open_cell(inner)?;
        let mut settings = self.current(inner.settings.clone(), open.as_ref()).await?;
        let extras = Extras::default();
        let name = &refresh.view;
        let seen = self.seen(&settings, open.as_ref()).await?;
        let asking =
            Context { engine: self, caller, settings: &settings, running, extras: &extras, typed: inner.typed };
        // It holds what its owner may read, whoever has it computed anew.
        if let Some(owner) = asking.refreshed(&seen, name)? {
            settings.who = owner;
        }
        let context =
            Context { engine: self, caller, settings: &settings, running, extras: &extras, typed: inner.typed };
        if refresh.explain {
            let cell = match open {
                Some(cell) => cell,
                None => TransactionCell::new(self.lake.begin().await?),
            };
            return context.explain_refresh(&cell, name).await;
        }
        check_may_write(inner)?;
        let change = Change::Refresh(name);
        match open {
            Some(cell) => context.change_in(&cell, &change).await,
            None => context.change_alone(&change, &format!("REFRESH MATERIALIZED VIEW {name}")).await,
        }
    }
}

impl Engine {
    /// Rows that a driver sends for a table.
    pub(crate) fn rows_in<'a>(
        self: &'a Arc<Self>,
        caller: &'a Caller,
        inner: &'a mut Inner,
        rows: RowsIn,
        running: &'a Arc<Running>,
    ) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(self.take_rows_in(caller, inner, rows, running))
    }

    async fn take_rows_in(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        rows: RowsIn,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        self.identify_in(caller, inner).await?;
        let open = open_cell(inner)?;
        check_may_write(inner)?;
        let settings = self.current(inner.settings.clone(), open.as_ref()).await?;
        // What a copy has of identities it keeps.
        let extras = Extras { overriding: Some(Overriding::System), ..Extras::default() };
        let context =
            Context { engine: self, caller, settings: &settings, running, extras: &extras, typed: inner.typed };
        match open {
            Some(cell) => context.rows_within(&cell, rows).await,
            None => context.rows_alone(rows).await,
        }
    }

    /// The columns that rows for a table fill.
    pub(crate) async fn columns_in(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        table: &str,
        columns: &[String],
        filter: Option<&str>,
        running: &Arc<Running>,
    ) -> Result<Vec<FieldRef>> {
        self.identify_in(caller, inner).await?;
        let open = open_cell(inner)?;
        let settings = self.current(inner.settings.clone(), open.as_ref()).await?;
        let extras = Extras::default();
        let context =
            Context { engine: self, caller, settings: &settings, running, extras: &extras, typed: inner.typed };
        let snapshot = context.engine.seen(&settings, open.as_ref()).await?;
        let (target, fields) = context.filled_columns(&snapshot, table, columns)?;
        if let Some(condition) = filter {
            context.check_filter(snapshot, &target, &fields, condition).await?;
        }
        // Before the rows are on their way.
        check_may_write(inner)?;
        Ok(fields)
    }
}

/// The statements that change the lake.
pub(crate) enum Change<'a> {
    Insert(&'a datafusion::sql::sqlparser::ast::Insert),
    Update(&'a datafusion::sql::sqlparser::ast::Update),
    Delete(&'a datafusion::sql::sqlparser::ast::Delete),
    Merge(&'a datafusion::sql::sqlparser::ast::Merge),
    Refresh(&'a ObjectName),
    Shape(&'a Statement),
    CopyFrom(&'a Statement),
    Explain(&'a ExplainStatementOptions, Box<Change<'a>>),
}

impl<'a> Change<'a> {
    fn of(parsed: &'a Parsed) -> Result<Option<Self>> {
        let statement = match parsed {
            Parsed::Statement(statement) => statement.as_ref(),
            Parsed::CreateExternalTable(_) => {
                return Err(Error::unsupported("CREATE EXTERNAL TABLE is not there")
                    .with_hint("load the file: `polder load FILE`, or COPY table FROM 'file'"));
            }
            Parsed::Explain(explain) => {
                let change = Self::of(&explain.statement)?;
                return Ok(change.map(|change| Self::Explain(&explain.options, Box::new(change))));
            }
            _ => return Ok(None),
        };
        use Statement as S;
        Ok(match statement {
            S::Insert(insert) => Some(Self::Insert(insert)),
            S::Update(update) => Some(Self::Update(update)),
            S::Delete(delete) => Some(Self::Delete(delete)),
            S::Merge(merge) => Some(Self::Merge(merge)),
            S::Copy { .. } => Some(Self::CopyFrom(statement)),
            S::CreateTable(_)
            | S::CreateView(_)
            | S::CreateSchema { .. }
            | S::Drop { .. }
            | S::AlterTable(_)
            | S::Truncate(_)
            | S::CreateIndex(_)
            | S::AlterIndex { .. }
            | S::AlterSchema(_)
            | S::CreateFunction(_)
            | S::DropFunction(_)
            | S::CreatePolicy(_)
            | S::AlterPolicy(_)
            | S::DropPolicy(_)
            | S::Comment { .. } => Some(Self::Shape(statement)),
            S::Query(_)
            | S::Explain { .. }
            | S::ExplainTable { .. }
            | S::ShowTables { .. }
            | S::ShowColumns { .. }
            | S::ShowVariable { .. }
            | S::ShowFunctions { .. } => None,
            other => return Err(forms::not_there(other)),
        })
    }
}

impl Change<'_> {
    fn writes(&self) -> bool {
        match self {
            Self::Explain(options, _) => options.analyze,
            _ => true,
        }
    }
}

impl Context<'_> {
    /// A change in a transaction that the session holds open.
    async fn change_in(&self, cell: &TransactionCell, change: &Change<'_>) -> Result<Outcome> {
        if let Change::CopyFrom(_) = change {
            return Err(Error::unsupported("COPY … FROM is a transaction by itself")
                .with_code("25001")
                .with_hint("COMMIT first; or copy into a table, then INSERT … SELECT in the transaction"));
        }
        // So that a statement that fails half way changes nothing, it can be taken back by itself.
        let point = {
            let mut guard = cell.lock().await;
            guard.as_mut().ok_or_else(ended)?.savepoint()
        };
        let result = self.change(cell, change).await;
        if result.is_err()
            && let Some(transaction) = cell.lock().await.as_mut()
        {
            transaction.rollback_to(&point);
        }
        result
    }

    /// A change by itself: committed at once, and run again if another one came first.
    async fn change_alone(&self, change: &Change<'_>, statement: &str) -> Result<Outcome> {
        if let Change::CopyFrom(statement) = change {
            return self.copy_from(statement).await;
        }
        for attempt in 1.. {
            // What reads nothing need not ask for the newest version first: the commit compares it.
            let is_blind = attempt == 1 && matches!(change, Change::Insert(insert) if self.is_blind(insert));
            let mut transaction =
                if is_blind { self.engine.lake.begin_on_known() } else { self.engine.lake.begin().await? };
            self.describe(&mut transaction, statement);
            let cell = TransactionCell::new(transaction);
            let result = self.change(&cell, change).await;
            let transaction = cell.take().await;
            if is_blind && result.is_err() {
                // The error is told of the newest version.
                continue;
            }
            let committed = match (result, transaction) {
                (Ok(outcome), Some(mut transaction)) => {
                    self.settings.temporary.before_commit(&mut transaction).await?;
                    self.running.start_commit()?;
                    let report = transaction.commit().await;
                    if report.is_err() {
                        self.running.end_commit();
                    }
                    report.map(|report| (outcome, report))
                }
                (Ok(_), None) => Err(ended()),
                (Err(error), _) => Err(error),
            };
            match committed {
                Ok((mut outcome, report)) => {
                    outcome.snapshot = report.snapshot.id;
                    return Ok(outcome);
                }
                Err(error) if error.kind() == ErrorKind::Conflict && attempt < CONFLICT_TRIES => {
                    // Those who lost wait a little, each another while, or they meet again.
                    let wait = std::time::Duration::from_millis(rand_below(4 << attempt.min(6)));
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::internal("the tries have no end"))
    }

    fn describe(&self, transaction: &mut Transaction, statement: &str) {
        transaction.describe(&self.caller.user, statement);
    }

    async fn change(&self, cell: &TransactionCell, change: &Change<'_>) -> Result<Outcome> {
        self.authorize(cell, change).await?;
        // Each on the heap: one future that held them all would be large, and slow to compile.
        let done = match change {
            Change::Insert(insert) => Box::pin(self.insert(cell, insert)).await,
            Change::Update(update) => Box::pin(self.update(cell, update)).await,
            Change::Delete(delete) => Box::pin(self.delete(cell, delete)).await,
            Change::Merge(merge) => Box::pin(self.merge(cell, merge)).await,
            Change::Refresh(name) => Box::pin(self.refresh(cell, name)).await,
            Change::Shape(statement) => Box::pin(self.shape(cell, statement)).await,
            Change::Explain(options, change) => Box::pin(self.explain(cell, options, change)).await,
            Change::CopyFrom(_) => Err(Error::internal("COPY has its own way")),
        }?;
        if matches!(change, Change::Shape(_)) {
            self.own_what_is_made(cell).await?;
        }
        Ok(done)
    }

    /// Whoever runs a statement owns what it has made.
    async fn own_what_is_made(&self, cell: &TransactionCell) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        for made in transaction.unowned() {
            if let Some(access) = access_of_new(&self.settings.who, &made, transaction.view()) {
                transaction.set_access(made.id, access)?;
            }
        }
        Ok(())
    }
}

/// What a statement begins with, for the note of its commit: a thousand rows need not be written out for that.
fn beginning(statement: &impl std::fmt::Display) -> String {
    struct Beginning {
        text: String,
        room: usize,
    }
    impl Write for Beginning {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let chars = text.chars().count();
            self.text.extend(text.chars().take(self.room));
            let is_whole = self.room > chars;
            self.room = self.room.saturating_sub(chars);
            if is_whole { Ok(()) } else { Err(std::fmt::Error) }
        }
    }
    let mut beginning = Beginning { text: String::new(), room: NOTE_CHARS };
    // Full, it breaks the writing off.
    let _ = write!(beginning, "{statement}");
    beginning.text
}

pub(crate) fn ended() -> Error {
    Error::invalid("the transaction has ended").with_code("25P01")
}

/// A whole number below `bound`, from the clock's low bits: enough to keep two losers apart.
fn rand_below(bound: u64) -> u64 {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()));
    nanos % bound.max(1)
}
