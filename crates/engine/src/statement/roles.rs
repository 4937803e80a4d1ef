//! Roles and their members, rights and owners.
//!
//! All statements but those about the session are parts of their transaction. Roles are rows of the metastore that go with
//! its commit, and until then stand in the settings of the session, which go back with it; rights and owners are the lake's.

mod defaults;
mod dependents;
mod grammar;
mod grants;
mod members;
mod names;
mod options;
mod owners;
mod passing;
mod rights_grammar;
mod session;
mod settings;
mod statements;
mod things;
mod topics;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::TableReference;
use polder_capability::{Caller, Notice};
use polder_lake::{Transaction, TransactionCell};
use polder_metastore::{AuditEvent, Role, RoleRows};
use polder_types::{Error, ErrorKind, Result};

use super::may::{check_may_write, open_cell};
use super::{Context, ended, rand_below};
use crate::authz::rights::Kind;
use crate::authz::{RoleBook, Who};
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::forms::Extras;
use crate::record::Running;
use crate::session::{CONFLICT_TRIES, Inner, Outcome, Settings};

pub(crate) use grammar::parse_role;
use names::RoleName;
pub(crate) use settings::{begin_with, taken_on};
use statements::On;
pub(crate) use statements::RoleStatement;

/// What the commit of such a statement is called in the history of the lake: its text may hold a password.
const NOTE: &str = "a change of roles or rights";

/// A statement about roles that is being carried out.
struct Work<'a> {
    context: &'a Context<'a>,
    who: &'a Who,
    transaction: &'a mut Transaction,
    /// The roles as they will be.
    rows: RoleRows,
    /// Whether anything of them has changed.
    is_changed: bool,
    notices: Vec<Notice>,
    /// Who owns which job.
    jobs: Vec<(String, String)>,
}

/// What was done: the command's tag, and for the audit what it is called, what it was done to, and what else there is to say.
struct Done {
    verb: &'static str,
    event: &'static str,
    object: String,
    message: Option<String>,
}

fn done(verb: &'static str, event: &'static str, object: impl Into<String>) -> Done {
    Done { verb, event, object: object.into(), message: None }
}

/// A statement's outcome, and the roles if it has changed them.
type Changed = (Outcome, Option<Arc<RoleBook>>);

impl Engine {
    /// Runs a statement about roles or rights.
    pub(crate) async fn role(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        statement: RoleStatement,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        let open = open_cell(inner)?;
        if statement.is_about_session() {
            return self.set_session(caller, inner, &statement).await;
        }
        check_may_write(inner)?;
        // A role that goes or is called otherwise leaves nothing behind for whoever has its name next.
        self.recorder.flush().await;
        let extras = Extras::default();
        // Those of open transactions meet at their commits.
        let _one_at_a_time = match &open {
            Some(_) => None,
            None => {
                let turn = self.authority.one_at_a_time().await;
                self.identify(caller, &mut inner.settings).await?;
                Some(turn)
            }
        };
        for attempt in 1.. {
            let settings = self.current(inner.settings.clone(), open.as_ref()).await?;
            let context =
                Context { engine: self, caller, settings: &settings, running, extras: &extras, typed: inner.typed };
            let Some(cell) = &open else {
                match context.role_alone(&statement).await {
                    // Who was there before may be another one now, or gone.
                    Err(error) if is_overtaken(&error) && attempt < CONFLICT_TRIES => {
                        tokio::time::sleep(Duration::from_millis(rand_below(4 << attempt.min(6)))).await;
                        self.authority.reload().await?;
                        self.identify(caller, &mut inner.settings).await?;
                        continue;
                    }
                    result => return result,
                }
            };
            let (outcome, book) = context.role_in(cell, &statement).await?;
            if book.is_some() {
                inner.settings.roles = book;
            }
            return Ok(outcome);
        }
        Err(Error::internal("the tries have no end"))
    }
}

/// Another transaction came first: a role's number or name was taken meanwhile, or the role is gone.
fn is_overtaken(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict || (error.kind() == ErrorKind::AlreadyExists && error.code() != ALREADY_THERE)
}

/// The code of a role's name that is taken, as far as is known before the commit.
const ALREADY_THERE: &str = "42710";

impl Context<'_> {
    /// In the transaction that is open; all of it or nothing.
    async fn role_in(&self, cell: &TransactionCell, statement: &RoleStatement) -> Result<Changed> {
        let point = cell.lock().await.as_ref().ok_or_else(ended)?.savepoint();
        let result = self.change_roles(cell, statement).await;
        if result.is_err()
            && let Some(transaction) = cell.lock().await.as_mut()
        {
            transaction.rollback_to(&point);
        }
        result
    }

    /// As a transaction by itself.
    async fn role_alone(&self, statement: &RoleStatement) -> Result<Outcome> {
        let mut transaction = self.engine.lake.begin().await?;
        self.describe(&mut transaction, NOTE);
        let cell = TransactionCell::new(transaction);
        let (mut outcome, book) = self.change_roles(&cell, statement).await?;
        let transaction = cell.take().await.ok_or_else(ended)?;
        self.running.start_commit()?;
        let committed = transaction.commit().await;
        if committed.is_err() {
            self.running.end_commit();
        }
        outcome.snapshot = committed?.snapshot.id;
        if book.is_some() {
            self.engine.authority.changed().await;
        }
        Ok(outcome)
    }

    async fn change_roles(&self, cell: &TransactionCell, statement: &RoleStatement) -> Result<Changed> {
        let jobs = self.owned_jobs(statement).await?;
        let columns = self.columns_of_views(cell, statement).await?;
        let who = &self.settings.who;
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let (rows, base) = (who.book.rows.clone(), transaction.base());
        let mut work = Work { context: self, who, transaction, rows, is_changed: false, notices: Vec::new(), jobs };
        let done = work.run(statement, &columns).await?;
        let mut event = AuditEvent::new(done.event, who.user_name(), &self.caller.via).of(&done.object);
        event.message = done.message;
        work.transaction.attach(event.write(self.engine.audit.now()));
        let book = work.is_changed.then(|| Arc::new(RoleBook::of(work.rows)));
        let outcome = Outcome::done(done.verb, None, base);
        Ok((work.notices.into_iter().fold(outcome, Outcome::told), book))
    }

    /// The columns of the views on whose columns a statement grants, which are known by planning them.
    async fn columns_of_views(
        &self,
        cell: &TransactionCell,
        statement: &RoleStatement,
    ) -> Result<BTreeMap<i64, Vec<String>>> {
        let mut columns = BTreeMap::new();
        let RoleStatement::Grant(granted) = statement else { return Ok(columns) };
        let On::Relations(Kind::Table, names) = &granted.on else { return Ok(columns) };
        if !granted.wanted.names_columns() {
            return Ok(columns);
        }
        let scope = self.trusted_scope(cell).await?;
        for name in names {
            let name = self.existing_name(name, &scope.snapshot)?;
            let Some(view) = scope.snapshot.view(&name) else { continue };
            let reference = TableReference::full("polder", name.schema.as_str(), name.table.as_str());
            let frame = scope.context().table(reference).await.map_err(from_datafusion)?;
            columns.insert(view.id, frame.schema().fields().iter().map(|field| field.name().clone()).collect());
        }
        Ok(columns)
    }

    /// The jobs with their owners, where the statement may not leave one without.
    async fn owned_jobs(&self, statement: &RoleStatement) -> Result<Vec<(String, String)>> {
        // A program without jobs has none.
        let Ok(jobs) = self.engine.jobs() else { return Ok(Vec::new()) };
        if !matches!(statement, RoleStatement::Drop { .. } | RoleStatement::Rename { .. }) {
            return Ok(Vec::new());
        }
        let all = jobs.list().await?.into_iter();
        Ok(all.map(|job| (job.definition.name, job.definition.owner)).collect())
    }
}

impl Work<'_> {
    /// Of views on whose columns something is granted the names of their columns, by their ids.
    async fn run(&mut self, statement: &RoleStatement, columns: &BTreeMap<i64, Vec<String>>) -> Result<Done> {
        match statement {
            RoleStatement::Create { name, options } => self.create(name, options).await,
            RoleStatement::Alter { role, options } => self.alter(role, options).await,
            RoleStatement::Rename { role, to } => self.rename(role, to),
            RoleStatement::Configure { role, change } => self.configure(role, change),
            RoleStatement::Drop { roles, if_exists } => self.drop_roles(roles, *if_exists),
            RoleStatement::Members(members) => self.members(members),
            RoleStatement::Grant(granted) => self.grant(granted, columns),
            RoleStatement::Defaults(defaults) => self.defaults(defaults),
            RoleStatement::Owner(owner) => self.set_owner(owner),
            RoleStatement::Reassign { from, to } => self.reassign(from, to),
            RoleStatement::DropOwned { by, cascade } => self.drop_owned(by, *cascade),
            RoleStatement::SetRole { .. } | RoleStatement::SetSession { .. } => {
                Err(Error::internal("a statement about the session came the wrong way"))
            }
        }
    }

    fn note(&mut self, message: impl Into<String>) {
        self.notices.push(Notice::new(message));
    }

    fn warn(&mut self, code: &'static str, message: impl Into<String>) {
        self.notices.push(Notice::warning(code, message));
    }

    fn role(&self, oid: i64) -> Option<&Role> {
        self.rows.roles.iter().find(|role| role.oid == oid)
    }

    fn role_name(&self, oid: i64) -> &str {
        self.role(oid).map_or("", |role| role.name.as_str())
    }

    /// # Errors
    /// `NotFound` (42704).
    fn named(&self, name: &str) -> Result<&Role> {
        self.rows.roles.iter().find(|role| role.name == name).ok_or_else(|| {
            let error = missing(name).with_code("42704");
            let known = self.rows.roles.iter().map(|role| role.name.as_str());
            match polder_kernels::similar::closest(name, known) {
                Some(close) => error.with_hint(format!("did you mean {close:?}?")),
                None => error.with_hint("SELECT rolname FROM pg_roles lists those that are there"),
            }
        })
    }

    /// The number of a role that a statement names, which is one.
    ///
    /// # Errors
    /// `NotFound` (42704).
    fn resolve(&self, name: &RoleName) -> Result<i64> {
        match name {
            RoleName::Named(name) => self.named(name).map(|role| role.oid),
            RoleName::CurrentUser => Ok(self.who.role),
            RoleName::SessionUser => Ok(self.who.user),
            RoleName::Public => Err(missing("public").with_code("42704")),
        }
    }

    /// Whether whoever runs the statement may make roles, and change others that are no superusers.
    fn makes_roles(&self) -> bool {
        self.who.superuser || self.role(self.who.role).is_some_and(|role| role.creates_roles)
    }

    fn is_superuser(&self, oid: i64) -> bool {
        self.role(oid).is_some_and(|role| role.is_superuser)
    }

    /// All roles that one is a member of, itself included, whether it has their rights or must ask for them.
    fn memberships(&self, oid: i64) -> Vec<i64> {
        let mut found = vec![oid];
        let mut next = 0;
        while let Some(member) = found.get(next).copied() {
            let above = self.rows.members.iter().filter(|known| known.member == member).map(|known| known.role);
            for role in above.collect::<Vec<_>>() {
                if !found.contains(&role) {
                    found.push(role);
                }
            }
            next += 1;
        }
        found
    }

    /// Whether whoever runs the statement is a member of a role, or is it, or may be anybody.
    fn is_member_of(&self, role: i64) -> bool {
        self.who.superuser || self.memberships(self.who.role).contains(&role)
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("role \"{name}\" does not exist"))
}

fn forbidden(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Forbidden, message)
}

/// The settings of a session, in which it says who it is.
fn names_of(settings: &Settings) -> (&str, &str) {
    (settings.who.user_name(), settings.who.role_name())
}
