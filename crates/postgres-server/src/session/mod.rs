//! One client's conversation, from its login to its end.
//!
//! `simple` and `extended` are the two ways to send statements; both start them in `run`, and read their rows by
//! `portal`. `own` has the statements that are this server's, `copy` those that carry rows through the connection.

mod copy;
mod extended;
mod own;
mod portal;
mod run;
mod scroll;
mod simple;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use polder_capability::{DriverSession, Notice, Sent, StatementRequest, TransactionState};
use polder_types::{Error, QueryId, Result};
use tokio::time::Instant;

use crate::registry::{Registered, Work};
use crate::server::House;
use crate::settings::{IDLE_IN_TRANSACTION_MAX, Level, Settings};
use crate::wire::backend::{self, Severity};
use crate::wire::frontend::Message;
use crate::wire::{Gone, Wire};

use portal::{Named, Portal, Prepared};

/// How often a statement that is to be cancelled is looked for, while it is only on its way to the engine.
const CANCEL_AGAIN: Duration = Duration::from_millis(5);

/// First words of statements that have no limit of time: they take none, unless the machine is busy, and whoever is kept from
/// ending a transaction, or from raising the limit, can do nothing more.
const UNTIMED: &[&str] = &["rollback", "abort", "set", "reset"];

/// Why work stops before its end.
pub(crate) enum Stop {
    Gone(Gone),
    Failed(Error),
}

impl From<Gone> for Stop {
    fn from(gone: Gone) -> Self {
        Self::Gone(gone)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(crate) type Flow<T> = Result<T, Stop>;

pub(crate) struct Client {
    wire: Wire,
    house: Arc<House>,
    session: Arc<dyn DriverSession>,
    settings: Settings,
    /// After a SET LOCAL: the settings once the transaction is over.
    lasting: Option<Settings>,
    /// Those before the transaction, which hold again when it comes to nothing.
    before: Option<Settings>,
    /// Those at each savepoint, which hold again when the transaction goes back to it.
    points: Vec<Point>,
    registered: Registered,
    prepared: HashMap<String, Named>,
    portals: HashMap<String, Portal>,
    /// The statement that the message at hand is about.
    at: Option<Arc<Prepared>>,
    /// The statement that is carried out: in its words the engine records what it is asked for.
    doing: Option<Arc<Prepared>>,
    /// The engine has recorded it.
    recorded: bool,
    /// A transaction that was begun for several statements that came together.
    implicit: bool,
    /// After an error, everything up to the next Sync is passed over.
    skips: bool,
    /// What the client was last told.
    told: HashMap<&'static str, String>,
    /// When the statement that runs has had its time.
    deadline: Option<Instant>,
}

/// The settings at a savepoint.
struct Point {
    name: String,
    settings: Settings,
    lasting: Option<Settings>,
}

/// What the main loop waits for.
enum Event {
    Message(Result<Message>),
    Stopping,
    IdleTooLong,
}

impl Client {
    pub(crate) fn new(
        mut wire: Wire,
        house: Arc<House>,
        session: Arc<dyn DriverSession>,
        settings: Settings,
        registered: Registered,
    ) -> Self {
        wire.share(&house.unread, house.message_time);
        if house.stays_awake {
            wire.stay_awake();
        }
        Self {
            wire,
            house,
            session,
            settings,
            lasting: None,
            before: None,
            points: Vec::new(),
            registered,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            at: None,
            doing: None,
            recorded: false,
            implicit: false,
            skips: false,
            told: HashMap::new(),
            deadline: None,
        }
    }

    pub(crate) async fn serve(mut self) -> Result<(), Gone> {
        self.tell_settings();
        backend::key_data(&mut self.wire.output, self.registered.process, self.registered.secret);
        self.ready();
        self.wire.flush().await?;
        loop {
            match self.event().await? {
                Event::Message(Ok(Message::Terminate)) => return Ok(()),
                Event::Message(Ok(message)) => self.message(message).await?,
                // Where the next message begins is not known any more.
                Event::Message(Err(error)) => return self.leave(&error).await,
                Event::Stopping => {
                    let message = "terminating connection due to administrator command";
                    let error = Error::new(polder_types::ErrorKind::Unavailable, message).with_code("57P01");
                    return self.leave(&error).await;
                }
                Event::IdleTooLong => {
                    let message = "terminating connection due to idle-in-transaction timeout";
                    let error = Error::new(polder_types::ErrorKind::Unavailable, message).with_code("25P03");
                    return self.leave(&error).await;
                }
            }
        }
    }

    async fn leave(&mut self, error: &Error) -> Result<(), Gone> {
        backend::error(&mut self.wire.output, error, Severity::Fatal, None);
        self.wire.flush().await?;
        self.wire.close().await;
        Ok(())
    }

    async fn event(&mut self) -> Result<Event, Gone> {
        let idle = match self.session.status().transaction {
            TransactionState::None => None,
            _ => Some(self.settings.idle_in_transaction.unwrap_or(IDLE_IN_TRANSACTION_MAX)),
        };
        if !self.wire.has_message() {
            self.registered.waits();
        }
        let (shutdown, session) = (self.house.shutdown.clone(), Arc::clone(&self.session));
        Ok(tokio::select! {
            // Before what has come meanwhile: whoever is to leave does no more.
            biased;
            () = session.ended() => Event::Stopping,
            () = shutdown.wait() => Event::Stopping,
            message = self.wire.message(None) => Event::Message(message?),
            () = wait(idle) => Event::IdleTooLong,
        })
    }

    async fn message(&mut self, message: Message) -> Result<(), Gone> {
        // After an error there is nothing to cancel: what is left must be carried out. Nor is there in what does nothing.
        if !self.skips && !message.is_idle() {
            self.registered.works();
        }
        match message {
            Message::Sync => self.sync().await,
            _ if self.skips => Ok(()),
            Message::Query(sql) => self.simple(&sql).await,
            Message::Flush => self.wire.flush().await,
            // Left over from a COPY that has failed meanwhile.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => Ok(()),
            message => match self.extended(message).await {
                Ok(()) => self.wire.relieve().await,
                Err(Stop::Gone(gone)) => Err(gone),
                Err(Stop::Failed(error)) => {
                    self.fail_placed(error);
                    self.skips = true;
                    // What asks for it is passed over too.
                    self.wire.flush().await
                }
            },
        }
    }

    /// Tells an error of the statement that a message was about, with its place in the text that the client sent.
    fn fail_placed(&mut self, error: Error) {
        let Some(statement) = self.at.take() else { return self.fail(&error, None) };
        let (text, start) = statement.sent.as_ref().map_or((&statement.sql, 0), |(text, start)| (text, *start));
        self.fail(&simple::placed(error, text, start), Some(text));
    }

    /// Tells an error, by which an open transaction has failed.
    fn fail(&mut self, error: &Error, sql: Option<&str>) {
        self.registered.rests();
        self.deadline = None;
        self.session.fail_transaction();
        // What was set since the last savepoint, or since the transaction began, has come to nothing.
        match (self.points.last(), &self.before) {
            (Some(point), _) => (self.settings, self.lasting) = (point.settings.clone(), point.lasting.clone()),
            (None, Some(before)) => (self.settings, self.lasting) = (before.clone(), None),
            (None, None) => {}
        }
        backend::error(&mut self.wire.output, error, Severity::Error, sql);
    }

    fn ready(&mut self) {
        // A transaction that was begun for the client is none of its own.
        let state = if self.implicit { TransactionState::None } else { self.session.status().transaction };
        self.registered.rests();
        backend::ready(&mut self.wire.output, state);
    }

    /// Settings that the client keeps count of, as far as it does not know them yet.
    fn tell_settings(&mut self) {
        if self.is_idle() {
            self.before = None;
            self.points.clear();
            if let Some(lasting) = self.lasting.take() {
                self.settings = lasting;
            }
        }
        let status = self.session.status();
        let is_superuser = if status.is_superuser { "on" } else { "off" };
        let read_only = if status.read_only { "on" } else { "off" };
        let engines = [
            ("default_transaction_read_only", read_only.to_owned()),
            ("TimeZone", status.time_zone),
            ("is_superuser", is_superuser.to_owned()),
            ("session_authorization", status.user),
        ];
        let own = Settings::REPORTED.iter().filter_map(|(shown, name)| Some((*shown, self.settings.show(name)?)));
        for (name, value) in own.chain(engines) {
            if self.told.get(name) != Some(&value) {
                backend::parameter_status(&mut self.wire.output, name, &value);
                self.told.insert(name, value);
            }
        }
    }

    fn notices(&mut self, notices: &[Notice]) {
        for notice in notices {
            let level = if notice.warns { Level::Warning } else { Level::Notice };
            if self.settings.level <= level {
                backend::notice(&mut self.wire.output, notice);
            }
        }
    }

    fn warn(&mut self, code: &'static str, message: &str) {
        self.notices(&[Notice::warning(code, message)]);
    }

    /// Closes what ends with a transaction: all portals but the cursors that are held.
    fn close_portals(&mut self, committed: bool) {
        self.portals.retain(|_, portal| portal.outlives(committed));
    }

    /// Notes that a statement begins: it can be cancelled, and has a time, unless it is none to wait for.
    fn begins(&mut self) -> QueryId {
        let id = QueryId::new();
        self.goes_on(id);
        if self.doing.as_ref().is_some_and(|statement| UNTIMED.contains(&statement.verb.as_str())) {
            self.deadline = None;
        }
        id
    }

    /// Takes up a statement: what becomes of it is recorded in its words.
    fn takes_up(&mut self, statement: &Arc<Prepared>) -> Instant {
        self.doing = Some(Arc::clone(statement));
        self.recorded = false;
        Instant::now()
    }

    /// Asks the engine for it, or for what it stands for.
    fn request(&mut self, sql: &str) -> StatementRequest {
        self.recorded = true;
        let sent = self.sent(sql);
        StatementRequest { sql: sql.to_owned(), query_id: self.begins(), row_limit: None, sent }
    }

    /// What came, if that is more than this, or other words.
    fn sent(&self, sql: &str) -> Option<Sent> {
        let (text, start) = self.doing.as_ref()?.told();
        (text != sql).then(|| Sent { text: text.to_owned(), start })
    }

    /// Records a statement that was not understood.
    fn refuse(&self, (text, start): (&str, usize), error: &Error) {
        self.session.record(text, start, Duration::ZERO, Err(error));
    }

    /// Records a statement that the engine has not seen: one that was carried out here, or refused. `done`: the words that
    /// say what it did.
    fn note(&mut self, (text, start): (&str, usize), began: Instant, done: Result<&str, &Stop>) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let done = match done {
            Ok(told) => Ok(told.strip_prefix("FETCH ").and_then(|rows| rows.parse().ok()).unwrap_or(0)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Gone(_)) => return,
        };
        self.session.record(text, start, began.elapsed(), done);
    }

    /// Notes that a statement goes on.
    fn goes_on(&mut self, id: QueryId) {
        self.registered.runs(Some(id));
        self.deadline = self.session.status().statement_timeout.map(|timeout| Instant::now() + timeout);
    }

    fn ends(&mut self) {
        self.registered.runs(None);
        self.deadline = None;
    }

    /// Waits for work of the engine, for as long as the client is there and the statement has time, and nobody has asked that
    /// it be cancelled. What it sends meanwhile is kept. Dropped work is cancelled.
    async fn watched<T>(&mut self, work: impl Future<Output = T>) -> Flow<T> {
        let deadline = self.deadline;
        let cancelled = cancelled(self.registered.work(), Arc::clone(&self.house));
        tokio::select! {
            biased;
            done = work => Ok(done),
            gone = self.wire.gone() => Err(Stop::Gone(gone)),
            () = until(deadline) => Err(Stop::Failed(too_slow())),
            error = cancelled => Err(Stop::Failed(error)),
        }
    }

    /// Runs a statement of the server's own making, such as BEGIN, for what it does.
    async fn command(&mut self, sql: &str) -> Flow<()> {
        self.command_as(sql, None).await
    }

    /// As [`Self::command`], recorded as what was sent.
    async fn command_as(&mut self, sql: &str, sent: Option<Sent>) -> Flow<()> {
        let session = Arc::clone(&self.session);
        self.recorded = true;
        let request = StatementRequest { sql: sql.to_owned(), query_id: self.begins(), row_limit: None, sent };
        let done = self.watched(async move { session.run(request).await }).await;
        self.ends();
        done?.map(drop).map_err(Stop::from)
    }

    /// Begins a transaction for statements that came together.
    async fn begin_implicit(&mut self) -> Flow<()> {
        self.command("BEGIN").await?;
        self.implicit = true;
        self.before.get_or_insert_with(|| self.settings.clone());
        Ok(())
    }

    /// Ends the transaction that was begun for statements that came together, if there is one.
    async fn end_implicit(&mut self) -> Flow<()> {
        if !std::mem::take(&mut self.implicit) {
            return Ok(());
        }
        let failed = self.session.status().transaction == TransactionState::Failed;
        let ended = self.command(if failed { "ROLLBACK" } else { "COMMIT" }).await;
        self.ends_with_transaction(!failed && ended.is_ok());
        ended
    }

    /// What a transaction takes along when it ends: portals, and settings if it comes to nothing.
    fn ends_with_transaction(&mut self, committed: bool) {
        self.close_portals(committed);
        self.points.clear();
        if let Some(before) = self.before.take().filter(|_| !committed) {
            self.settings = before;
            self.lasting = None;
        }
    }

    fn is_idle(&self) -> bool {
        self.session.status().transaction == TransactionState::None
    }
}

fn too_slow() -> Error {
    Error::new(polder_types::ErrorKind::Cancelled, "canceling statement due to statement timeout")
}

/// Waits for a request to cancel, and hands it on to the engine once that knows the statement: what is being committed has
/// an outcome, so it is for the statement to end. What is only planned is no statement yet, and ends by this error.
async fn cancelled(work: Arc<Work>, house: Arc<House>) -> Error {
    let Some(id) = work.cancelled().await else { return Error::cancelled() };
    while !house.sql.cancel(id) {
        tokio::time::sleep(CANCEL_AGAIN).await;
    }
    std::future::pending().await
}

async fn wait(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A client that is gone waits for nothing: what still runs is stopped by dropping it, and its transaction with
        // its session.
        self.portals.clear();
    }
}
