//! One caller's conversation: its settings, its transaction, its statements one after the other.

mod driver;
mod kept;
mod light;
mod literals;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use polder_capability::{Answer, Caller, CommandTag, Encryption, Notice, Parameter, SqlSession, StatementRequest};
use polder_lake::{Access, Savepoint, TransactionCell, Version};
use polder_types::{Error, ErrorKind, Result, SnapshotId};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::authz::{RoleBook, Who};
use crate::backends::{Backend, InTransaction};
use crate::deliveries::Brought;
use crate::engine::Engine;
use crate::limits::LimitSettings;
use crate::parse::{ParsedStatement, at_literal, parse};
use crate::record::Running;
use crate::statement::Prepared;
use crate::statement::roles::begin_with;
use crate::statement::temporary::{Temporary, drop_later};
use crate::stream::{Tracked, in_zone};

pub(crate) use kept::KeptStatements;
pub(crate) use literals::Literals;

/// How often a single statement outside of a transaction is run again after a conflict.
pub(crate) const CONFLICT_TRIES: usize = 10;

/// What `SET` changes.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whoever logged in, by number, if that is known: it goes on through changes of its name.
    pub login: Option<i64>,
    /// The session's user, by number, if it is another one.
    pub user: Option<i64>,
    /// The role that SET ROLE has named.
    pub role: Option<i64>,
    /// The session's number, if it has one.
    pub process: Option<i32>,
    /// In whose name the statement runs that is at hand, and with which rights.
    pub who: Who,
    /// The roles as the open transaction has changed them.
    pub roles: Option<Arc<RoleBook>>,
    /// The schema that things without one are made in.
    pub schema: String,
    /// The schemas in which names without one are looked for, in this order.
    pub path: Vec<String>,
    /// The version that reads see.
    pub version: Version,
    pub time_zone: Option<String>,
    /// Tables are shown as far as their row policies let; otherwise those are refused that are not shown as a whole.
    pub row_security: bool,
    /// Transactions that do not say otherwise change nothing, and neither does a statement by itself.
    pub read_only: bool,
    /// Settings of applications, by their names, which have a dot in them: policies and masks may go by them.
    pub custom: Arc<BTreeMap<String, String>>,
    pub temporary: Temporary,
    pub limits: LimitSettings,
    /// Those that the session began with, which RESET goes back to. `None`: nothing is set in them.
    pub first: Option<Arc<Settings>>,
    /// What its role's sessions begin with.
    pub of_role: Arc<BTreeMap<String, String>>,
    /// Records that stand for a topic.
    pub brought: Option<Brought>,
    /// What the client of the session keeps.
    pub kept: Arc<KeptStatements>,
    /// The statement that is at hand, for what reads tables while it is planned.
    pub running: Weak<Running>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            login: None,
            user: None,
            role: None,
            process: None,
            who: Who::system(),
            roles: None,
            schema: "public".into(),
            path: vec!["public".into()],
            version: Version::Newest,
            time_zone: None,
            row_security: true,
            read_only: false,
            custom: Arc::default(),
            temporary: Temporary::default(),
            limits: LimitSettings::default(),
            first: None,
            of_role: Arc::default(),
            brought: None,
            kept: Arc::default(),
            running: Weak::new(),
        }
    }
}

impl Settings {
    /// Those of the same caller with nothing set but what the session began with.
    pub fn unset(&self) -> Self {
        let (who, roles, temporary) = (self.who.clone(), self.roles.clone(), self.temporary.clone());
        match &self.first {
            None => {
                let (login, process, of_role) = (self.login, self.process, Arc::clone(&self.of_role));
                let (limits, kept) = (self.limits.unset(), Arc::clone(&self.kept));
                let mut unset =
                    Self { login, process, who, roles, temporary, limits, of_role, kept, ..Self::default() };
                begin_with(&mut unset, &self.of_role);
                unset
            }
            Some(first) => {
                let limits = self.limits.back_to(first.limits);
                Self { who, roles, temporary, limits, first: self.first.clone(), ..first.as_ref().clone() }
            }
        }
    }

    /// From here on RESET comes back to what is set now.
    pub fn begin(&mut self) {
        self.first = None;
        self.first = Some(Arc::new(self.clone()));
    }

    /// The time zone, in which times with a zone are read and shown.
    pub fn zone(&self) -> &str {
        self.time_zone.as_deref().unwrap_or("UTC")
    }
}

/// A transaction between BEGIN and COMMIT.
#[derive(Debug)]
pub(crate) struct Open {
    pub cell: TransactionCell,
    /// What was granted when it began.
    pub granted: Arc<BTreeMap<i64, Arc<Access>>>,
    /// An error has happened: only ROLLBACK is taken now.
    pub failed: bool,
    /// A statement is being carried out. Found set by the next one, its caller went away in the middle, and what it has
    /// half done must not be committed.
    pub busy: bool,
    /// Statements that change anything are refused.
    pub read_only: bool,
    pub savepoints: Vec<Point>,
    /// The session's settings before it, which it has again when the transaction comes to nothing.
    pub settings: Settings,
    /// After a SET LOCAL: the settings that the session has once the transaction is over.
    pub lasting: Option<Settings>,
    /// Set by an answer that ends in an error, which may come long after its statement has.
    pub spoiled: Arc<AtomicBool>,
}

/// A savepoint by its name, and the settings at that time.
#[derive(Debug)]
pub(crate) struct Point {
    pub name: String,
    pub work: Savepoint,
    pub settings: Settings,
    pub lasting: Option<Settings>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub settings: Settings,
    pub open: Option<Open>,
    pub prepared: HashMap<String, Prepared>,
    /// Answers keep types that text would lose: for drivers.
    pub typed: bool,
}

/// What came of one statement.
pub(crate) struct Outcome {
    pub tag: CommandTag,
    pub snapshot: SnapshotId,
    pub notices: Vec<Notice>,
    /// Rows still to come, and what they look like.
    pub rows: Option<(SchemaRef, SendableRecordBatchStream)>,
}

impl Outcome {
    pub fn done(verb: &str, rows: Option<u64>, snapshot: SnapshotId) -> Self {
        let tag = CommandTag { verb: verb.to_owned(), rows };
        Self { tag, snapshot, notices: Vec::new(), rows: None }
    }

    pub fn notice(self, message: impl Into<String>) -> Self {
        self.told(Notice::new(message))
    }

    pub fn told(mut self, notice: Notice) -> Self {
        self.notices.push(notice);
        self
    }

    /// Something of this name is there, and stays.
    pub fn skips(self, code: &'static str, what: &str, name: &str) -> Self {
        self.told(Notice::new(format!("{what} {name:?} already exists, skipping")).with_code(code))
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    engine: Weak<Engine>,
    caller: Caller,
    inner: Mutex<Inner>,
    /// Somebody has asked that it end.
    ends: CancellationToken,
    /// What others are told of its transaction.
    transaction: InTransaction,
    kept: Arc<KeptStatements>,
    seen: parking_lot::Mutex<Seen>,
}

/// What can be told of a session while a statement runs in it: how it stood after the last one.
#[derive(Debug, Default)]
struct Seen {
    /// The open transaction: whether it had failed, and what says that it has since.
    transaction: Option<(bool, Arc<AtomicBool>)>,
    zone: String,
    /// The zone once the transaction fails: what it has set since its last savepoint comes to nothing then.
    zone_if_failed: String,
    user: String,
    is_superuser: bool,
    read_only: bool,
    timeout: Option<Duration>,
}

fn timeout(settings: &Settings) -> Option<Duration> {
    settings.limits.now.timeout.map(Duration::from_millis)
}

impl Session {
    pub fn new(engine: Weak<Engine>, caller: Caller) -> Self {
        Self::opened(engine, caller, None, Inner::default())
    }

    /// A session whose answers keep their types.
    pub fn for_driver(engine: Weak<Engine>, caller: Caller, encryption: Option<Encryption>) -> Self {
        Self::opened(engine, caller, encryption, Inner { typed: true, ..Inner::default() })
    }

    fn opened(engine: Weak<Engine>, caller: Caller, encryption: Option<Encryption>, mut inner: Inner) -> Self {
        // Until its first statement asks.
        inner.settings.who = Who::nobody();
        let mut is_superuser = false;
        inner.settings.process = caller.process;
        let (ends, transaction) = (CancellationToken::new(), InTransaction::default());
        if let Some(engine) = engine.upgrade() {
            engine.backends.enter(Backend {
                caller: caller.clone(),
                started: engine.recorder.now(),
                encryption,
                transaction: transaction.clone(),
                ends: ends.clone(),
            });
            engine.start(&caller.user, &mut inner.settings);
            engine.authority.count(&caller, 1);
            is_superuser = engine.authority.known().find(&caller.user).is_some_and(|role| role.is_superuser);
        }
        let (zone, user) = (inner.settings.zone().to_owned(), caller.user.clone());
        let timeout = timeout(&inner.settings);
        let read_only = inner.settings.read_only;
        let seen =
            Seen { transaction: None, zone_if_failed: zone.clone(), zone, user, is_superuser, read_only, timeout };
        let kept = Arc::clone(&inner.settings.kept);
        Self { engine, caller, inner: Mutex::new(inner), ends, transaction, kept, seen: parking_lot::Mutex::new(seen) }
    }

    fn publish(&self, inner: &Inner) {
        self.transaction.follow(
            inner.open.as_ref().map(|open| (open.failed, &open.spoiled)),
            // A server that is stopping tells nobody.
            || self.engine.upgrade().map_or_else(Default::default, |engine| engine.recorder.now()),
        );
        let transaction = inner.open.as_ref().map(|open| (open.failed, Arc::clone(&open.spoiled)));
        let kept =
            |open: &Open| open.savepoints.last().map_or(&open.settings, |point| &point.settings).zone().to_owned();
        let zone = inner.settings.zone().to_owned();
        let mut seen = self.seen.lock();
        seen.timeout = timeout(&inner.settings);
        seen.read_only = inner.settings.read_only;
        let who = &inner.settings.who;
        // Before a session's first statement nobody has asked who it is.
        if let Some(user) = who.book.name(who.user) {
            (seen.user, seen.is_superuser) = (user.to_owned(), who.superuser);
        }
        seen.zone_if_failed = inner.open.as_ref().map_or_else(|| zone.clone(), kept);
        (seen.transaction, seen.zone) = (transaction, zone);
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The session, for statements that the engine runs in it by itself.
    pub(crate) async fn alone(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().await
    }

    fn engine(&self) -> Result<Arc<Engine>> {
        self.engine.upgrade().ok_or_else(|| Error::new(ErrorKind::Unavailable, "the server is stopping"))
    }

    /// Runs all statements; the last one's outcome is the answer.
    async fn run_all(
        &self,
        engine: &Arc<Engine>,
        statements: Vec<ParsedStatement>,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        let mut inner = self.inner.lock().await;
        let mut last = None;
        let mut notices = Vec::new();
        for statement in statements {
            if let Some(Outcome { rows: Some((_, mut rows)), .. }) = last.take() {
                // An answer that nobody will read is still run, for its errors.
                while let Some(batch) = rows.next().await {
                    batch.map_err(crate::error::from_datafusion)?;
                }
            }
            if let Some(open) = &mut inner.open {
                open.failed |= std::mem::replace(&mut open.busy, true);
                open.failed |= open.spoiled.swap(false, Ordering::Relaxed);
            }
            let result = self.run_one(engine, &mut inner, statement, running).await;
            if let Some(open) = &mut inner.open {
                open.busy = false;
                open.failed |= result.is_err();
            }
            self.publish(&inner);
            let mut outcome = result?;
            notices.append(&mut outcome.notices);
            running.read(outcome.snapshot);
            running.changed(outcome.tag.rows.unwrap_or_default());
            last = Some(outcome);
        }
        match last {
            Some(mut outcome) => {
                outcome.notices = notices;
                Ok(outcome)
            }
            None => Ok(Outcome::done("", None, engine.lake.newest().await?.id)),
        }
    }

    async fn run_one(
        &self,
        engine: &Arc<Engine>,
        inner: &mut Inner,
        statement: ParsedStatement,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        // The statement before may have committed.
        running.end_commit();
        let work = engine.statement(&self.caller, inner, statement, running);
        tokio::select! {
            biased;
            // Never in the middle of a commit: `Running::start_commit` sees to it.
            () = running.token.cancelled() => Err(Error::cancelled()),
            outcome = work => {
                let mut outcome = outcome?;
                outcome.rows = outcome.rows.map(|(schema, rows)| in_zone(schema, rows, inner.settings.zone()));
                Ok(outcome)
            }
        }
    }
}

impl Session {
    /// Runs what has been parsed. `closable`: the answer may be dropped before its end without an error.
    async fn answer(
        &self,
        request: StatementRequest,
        parse: impl FnOnce(&str) -> Result<Vec<ParsedStatement>> + Send,
        closable: bool,
    ) -> Result<Answer> {
        let engine = self.engine()?;
        let running = engine.recorder.begin_request(&request, &self.caller)?;
        // If the caller gives up here, the record still says how it ended.
        let guard = EndOnDrop { engine: &engine, running: &running, armed: true };
        let result = match parse(&request.sql) {
            Ok(statements) => {
                let are_literals = closable && literals::are_all(&statements);
                match self.run_all(&engine, statements, &running).await {
                    Ok(outcome) if are_literals => engine.literals.keep(&request.sql, outcome).await,
                    other => other.map_err(|error| at_literal(error, &request.sql)),
                }
            }
            Err(error) => {
                // A statement that is not understood fails its transaction as any other does.
                let mut inner = self.inner.lock().await;
                if let Some(open) = &mut inner.open {
                    open.failed = true;
                }
                self.publish(&inner);
                Err(error)
            }
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                engine.recorder.end(&running, Some(&error));
                return Err(error);
            }
        };
        guard.disarm();
        let (schema, batches) = match outcome.rows {
            Some((schema, rows)) => {
                // A driver's server reads ahead, and fails the transaction itself once its client is told of an error: rows of
                // a cursor that nobody fetches fail nothing.
                let spoiled = match closable {
                    true => None,
                    false => self.inner.lock().await.open.as_ref().map(|open| Arc::clone(&open.spoiled)),
                };
                let tracked = Tracked::new(rows, running, Arc::clone(&engine.recorder), request.row_limit, spoiled);
                let tracked = if closable { tracked.closable() } else { tracked };
                (schema, tracked.boxed())
            }
            None => {
                engine.recorder.end(&running, None);
                (Arc::new(Schema::empty()), futures::stream::empty().boxed())
            }
        };
        Ok(Answer {
            query_id: request.query_id,
            tag: outcome.tag,
            schema,
            batches,
            snapshot: outcome.snapshot,
            notices: outcome.notices,
        })
    }
}

#[async_trait::async_trait]
impl SqlSession for Session {
    async fn run(&self, request: StatementRequest) -> Result<Answer> {
        self.answer(request, parse, false).await
    }

    async fn run_light(&self, request: &StatementRequest, values: &[Parameter]) -> Option<Result<Answer>> {
        self.light(request, values).await
    }

    fn in_transaction(&self) -> bool {
        self.seen.lock().transaction.is_some()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.authority.count(&self.caller, -1);
            engine.backends.leave(&self.caller);
            drop_later(&engine, &self.inner.get_mut().settings);
        }
    }
}

struct EndOnDrop<'a> {
    engine: &'a Arc<Engine>,
    running: &'a Arc<Running>,
    armed: bool,
}

impl EndOnDrop<'_> {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.engine.recorder.end(self.running, Some(&Error::cancelled()));
        }
    }
}
