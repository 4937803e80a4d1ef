//! What runs and what ran: progress, cancelling, and the rows of `polder.queries`.

mod kept;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use parking_lot::Mutex;
use polder_capability::{Caller, QueryError, QueryProgress, QueryRecord, QueryState, StatementRequest};
use polder_metastore::{Metastore, QueryRow};
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, QueryId, Result, SnapshotId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::audit::AuditLog;
use crate::limits::{Allowance, StatementMemory, Usage};
use crate::passwords::concealed;
use kept::{record, row};

/// Finished statements that can still be asked for their progress without the metastore.
const RECENT_KEPT: usize = 256;

/// How long finished statements may wait, so that many go in one transaction.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// Records kept in memory when the metastore cannot take them. Beyond it the oldest go, with a warning.
const UNWRITTEN_MAX: usize = 10_000;

/// Rows of the record kept in the metastore, checked now and then.
const QUERIES_KEPT: u64 = 100_000;

/// Statements between two prunings of the record.
const PRUNE_EVERY: u64 = 1_000;

/// One statement, from its start.
#[derive(Debug)]
pub(crate) struct Running {
    pub id: QueryId,
    caller: Caller,
    sql: String,
    /// What stands in it before the statement that ran: errors tell their place in that.
    before: String,
    started_at: DateTime<Utc>,
    began: Instant,
    pub token: CancellationToken,
    plans: Mutex<Vec<Arc<dyn ExecutionPlan>>>,
    rows_total: AtomicU64,
    rows_returned: AtomicU64,
    rows_changed: AtomicU64,
    /// Rows and bytes that no plan has read: those of a load.
    loaded: Mutex<(u64, u64)>,
    end: Mutex<Option<End>>,
    snapshot: Mutex<Option<SnapshotId>>,
    allowance: Mutex<Allowance>,
    pub memory: StatementMemory,
    /// Set once the statement's change is on its way into the metastore: from then on it has an outcome, and the
    /// outcome is the answer.
    committing: Mutex<bool>,
}

#[derive(Debug, Clone)]
struct End {
    state: QueryState,
    elapsed_ms: u64,
    rows_scanned: u64,
    bytes_scanned: u64,
    error: Option<QueryError>,
}

/// Nothing is known about how many rows there are.
const UNKNOWN: u64 = u64::MAX;

impl Running {
    /// Shows a plan's scans in the progress.
    pub fn watch(&self, plan: &Arc<dyn ExecutionPlan>) {
        let total = scan_rows_expected(plan);
        match total {
            Some(rows) => {
                let before = self.rows_total.load(Ordering::Relaxed);
                self.rows_total.store(if before == UNKNOWN { rows } else { before + rows }, Ordering::Relaxed);
            }
            None => self.rows_total.store(UNKNOWN, Ordering::Relaxed),
        }
        self.plans.lock().push(Arc::clone(plan));
    }

    /// What the statement that begins now may read, and until when.
    pub fn allow(&self, statement: Option<u64>, day: Option<(u64, u64)>, ends: Option<Instant>) {
        let before = if statement.is_some() || day.is_some() { self.scanned().1 } else { 0 };
        *self.allowance.lock() = Allowance { statement, day, before, ends };
    }

    pub fn allowance(&self) -> Allowance {
        *self.allowance.lock()
    }

    /// Bytes that its plans have read so far.
    pub fn bytes_read(&self) -> u64 {
        self.scanned().1
    }

    pub fn returned(&self, rows: usize) {
        self.rows_returned.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub fn changed(&self, rows: u64) {
        self.rows_changed.fetch_add(rows, Ordering::Relaxed);
    }

    /// The point of no return: a cancel that comes later is refused, one that came before is the error.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn start_commit(&self) -> Result<()> {
        let mut committing = self.committing.lock();
        if self.token.is_cancelled() {
            return Err(Error::cancelled());
        }
        *committing = true;
        Ok(())
    }

    /// The commit is over, and a statement that tries again can be cancelled once more.
    pub fn end_commit(&self) {
        *self.committing.lock() = false;
    }

    /// False when it is too late.
    fn cancel(&self) -> bool {
        let committing = self.committing.lock();
        if *committing {
            return false;
        }
        self.token.cancel();
        true
    }

    pub fn read(&self, snapshot: SnapshotId) {
        *self.snapshot.lock() = Some(snapshot);
    }

    /// What a load has read.
    pub fn loaded(&self, rows: u64, bytes: u64) {
        *self.loaded.lock() = (rows, bytes);
    }

    fn scanned(&self) -> (u64, u64) {
        let loaded = *self.loaded.lock();
        self.plans.lock().iter().map(scanned).fold(loaded, |(rows, bytes), (r, b)| (rows + r, bytes + b))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn record(&self) -> QueryRecord {
        let end = self.end.lock().clone();
        let (rows_scanned, bytes_scanned) = match &end {
            Some(end) => (end.rows_scanned, end.bytes_scanned),
            None => self.scanned(),
        };
        QueryRecord {
            query_id: self.id,
            user: self.caller.user.clone(),
            via: self.caller.via.clone(),
            sql: self.sql.clone(),
            state: end.as_ref().map_or(QueryState::Running, |end| end.state),
            started_at: self.started_at,
            elapsed_ms: end.as_ref().map_or_else(|| self.elapsed_ms(), |end| end.elapsed_ms),
            rows_returned: self.rows_returned.load(Ordering::Relaxed),
            rows_changed: self.rows_changed.load(Ordering::Relaxed),
            rows_scanned,
            bytes_scanned,
            snapshot: *self.snapshot.lock(),
            error: end.and_then(|end| end.error),
        }
    }
}

/// Rows and bytes that the leaves of a plan have read.
fn scanned(plan: &Arc<dyn ExecutionPlan>) -> (u64, u64) {
    let children = plan.children();
    if children.is_empty() {
        let Some(metrics) = plan.metrics() else { return (0, 0) };
        let bytes = metrics.sum_by_name("bytes_scanned").map_or(0, |value| value.as_usize());
        return (metrics.output_rows().unwrap_or(0) as u64, bytes as u64);
    }
    children.into_iter().map(scanned).fold((0, 0), |(rows, bytes), (r, b)| (rows + r, bytes + b))
}

/// Rows that the leaves will read, when all of them know.
fn scan_rows_expected(plan: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    let children = plan.children();
    if children.is_empty() {
        let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).ok()?;
        return statistics.num_rows.get_value().map(|rows| *rows as u64);
    }
    children.into_iter().map(scan_rows_expected).sum()
}

/// Knows what runs, and writes down what ran.
#[derive(Debug)]
pub(crate) struct Recorder {
    metastore: Arc<Metastore>,
    clock: Arc<dyn Clock>,
    audit: Arc<AuditLog>,
    usage: Usage,
    running: Mutex<HashMap<QueryId, Arc<Running>>>,
    /// By their ids: each new statement looks whether its own is among them.
    recent: Mutex<VecDeque<(QueryId, Arc<Running>)>>,
    unwritten: Mutex<VecDeque<QueryRow>>,
    wake: Notify,
    written: AtomicU64,
    flushing: tokio::sync::Mutex<()>,
}

impl Recorder {
    pub fn start(metastore: Arc<Metastore>, clock: Arc<dyn Clock>, audit: Arc<AuditLog>) -> Arc<Self> {
        let recorder = Arc::new(Self {
            metastore,
            clock,
            audit,
            usage: Usage::default(),
            running: Mutex::default(),
            recent: Mutex::default(),
            unwritten: Mutex::default(),
            wake: Notify::new(),
            written: AtomicU64::new(0),
            flushing: tokio::sync::Mutex::default(),
        });
        let weak = Arc::downgrade(&recorder);
        tokio::spawn(async move {
            loop {
                let Some(recorder) = weak.upgrade() else { return };
                let woken = tokio::time::timeout(Duration::from_secs(5), recorder.wake.notified()).await;
                if woken.is_ok() {
                    tokio::time::sleep(FLUSH_AFTER).await;
                    recorder.flush().await;
                }
            }
        });
        recorder
    }

    /// What is looked at and not run.
    pub fn unrecorded(&self, id: QueryId, caller: &Caller, sql: &str) -> Arc<Running> {
        self.begun(id, caller, (sql, 0), Duration::ZERO)
    }

    /// A statement that began so long ago: a text, and where the statement begins in it.
    fn begun(&self, id: QueryId, caller: &Caller, (sql, start): (&str, usize), ago: Duration) -> Arc<Running> {
        let now = Instant::now();
        Arc::new(Running {
            id,
            caller: caller.clone(),
            sql: concealed(sql).into_owned(),
            before: sql.get(..start).unwrap_or_default().to_owned(),
            started_at: self.clock.now() - TimeDelta::from_std(ago).unwrap_or_default(),
            began: now.checked_sub(ago).unwrap_or(now),
            token: CancellationToken::new(),
            plans: Mutex::default(),
            rows_total: AtomicU64::new(UNKNOWN),
            rows_returned: AtomicU64::new(0),
            rows_changed: AtomicU64::new(0),
            loaded: Mutex::default(),
            end: Mutex::default(),
            snapshot: Mutex::default(),
            allowance: Mutex::default(),
            memory: StatementMemory::default(),
            committing: Mutex::default(),
        })
    }

    /// # Errors
    /// `InvalidInput` for an id that is in use.
    pub fn begin(&self, id: QueryId, caller: &Caller, sql: &str) -> Result<Arc<Running>> {
        self.enter(self.unrecorded(id, caller, sql))
    }

    /// As [`Recorder::begin`], in the words in which a statement was sent.
    pub fn begin_request(&self, request: &StatementRequest, caller: &Caller) -> Result<Arc<Running>> {
        self.enter(self.begun(request.query_id, caller, (request.text(), request.start()), Duration::ZERO))
    }

    fn enter(&self, running: Arc<Running>) -> Result<Arc<Running>> {
        let id = running.id;
        let mut all = self.running.lock();
        if all.contains_key(&id) || self.recent.lock().iter().any(|(done, _)| *done == id) {
            return Err(
                Error::invalid(format!("query id {id} is in use")).with_hint("choose a new one for each statement")
            );
        }
        all.insert(id, Arc::clone(&running));
        Ok(running)
    }

    /// Records a statement that was carried out elsewhere, and has ended: the rows that it gave, or why there are none.
    pub fn ended_elsewhere(&self, caller: &Caller, sent: (&str, usize), elapsed: Duration, done: Result<u64, &Error>) {
        let running = self.begun(QueryId::new(), caller, sent, elapsed);
        if let Ok(rows) = done {
            running.rows_returned.store(rows, Ordering::Relaxed);
        }
        self.end(&running, done.err());
    }

    /// The statement is to be begun anew, by its own id: it has done nothing.
    pub fn withdraw(&self, running: &Running) {
        self.running.lock().remove(&running.id);
    }

    /// The statement has ended. Only the first call counts.
    pub fn end(&self, running: &Arc<Running>, error: Option<&Error>) {
        let state = match error {
            None => QueryState::Done,
            Some(error) if error.kind() == ErrorKind::Cancelled => QueryState::Cancelled,
            Some(_) => QueryState::Failed,
        };
        let error = error.map(|error| QueryError {
            code: error.code().to_owned(),
            message: error.described(),
            position: error.position().map(|place| place.behind(&running.before)),
            hint: error.hint().map(str::to_owned),
        });
        self.end_as(running, state, error);
    }

    /// As [`Recorder::end`], of what has its error in words already.
    pub fn end_as(&self, running: &Arc<Running>, state: QueryState, error: Option<QueryError>) {
        {
            let mut end = running.end.lock();
            if end.is_some() {
                return;
            }
            if let Some(error) = &error {
                self.audit.refused(&running.caller.user, &running.caller.via, &error.code, &error.message);
            }
            let (rows_scanned, bytes_scanned) = running.scanned();
            self.usage.add(&running.caller.user, self.clock.now(), bytes_scanned);
            *end = Some(End { state, elapsed_ms: running.elapsed_ms(), rows_scanned, bytes_scanned, error });
        }
        // The plan holds files and memory; the numbers are all that is needed now.
        running.plans.lock().clear();
        {
            let mut recent = self.recent.lock();
            recent.push_front((running.id, Arc::clone(running)));
            recent.truncate(RECENT_KEPT);
        }
        {
            let mut unwritten = self.unwritten.lock();
            if unwritten.len() >= UNWRITTEN_MAX {
                unwritten.pop_front();
                tracing::warn!("the record of queries cannot be written; the oldest entry is dropped");
            }
            unwritten.push_back(row(running.record()));
        }
        // Last, so that whoever looks finds it in one place or the other.
        self.running.lock().remove(&running.id);
        self.wake.notify_one();
    }

    pub async fn flush(&self) {
        let _one_at_a_time = self.flushing.lock().await;
        if let Err(error) = self.usage.flush(&self.metastore, self.clock.now()).await {
            tracing::warn!(%error, "what users have read could not be written; trying again later");
        }
        let rows: Vec<QueryRow> = self.unwritten.lock().iter().cloned().collect();
        if rows.is_empty() {
            return;
        }
        let queries = self.metastore.queries();
        if let Err(error) = queries.append(&rows).await {
            tracing::warn!(%error, rows = rows.len(), "the record of queries could not be written; trying again later");
            return;
        }
        self.unwritten.lock().drain(..rows.len());
        let before = self.written.fetch_add(rows.len() as u64, Ordering::Relaxed);
        if before / PRUNE_EVERY != (before + rows.len() as u64) / PRUNE_EVERY
            && let Err(error) = queries.prune(QUERIES_KEPT).await
        {
            tracing::warn!(%error, "the record of queries could not be shortened");
        }
    }

    /// Bytes that a user's statements have read today, those that run too.
    pub async fn read_today(&self, user: &str) -> Result<u64> {
        let running: Vec<_> = self.running.lock().values().filter(|it| it.caller.user == user).cloned().collect();
        let now_read: u64 = running.iter().map(|running| running.bytes_read()).sum();
        let ended = self.usage.today(&self.metastore, user, self.clock.now()).await?;
        Ok(ended.saturating_add(now_read))
    }

    fn known(&self, id: QueryId) -> Option<Arc<Running>> {
        let running = self.running.lock().get(&id).cloned();
        running.or_else(|| self.recent.lock().iter().find(|(done, _)| *done == id).map(|(_, done)| Arc::clone(done)))
    }

    pub fn progress(&self, id: QueryId) -> Option<QueryProgress> {
        let running = self.known(id)?;
        let record = running.record();
        let total = running.rows_total.load(Ordering::Relaxed);
        Some(QueryProgress {
            query_id: id,
            state: record.state,
            rows_scanned: record.rows_scanned,
            bytes_scanned: record.bytes_scanned,
            rows_total: (total != UNKNOWN).then_some(total),
            rows_returned: record.rows_returned,
            elapsed_ms: record.elapsed_ms,
        })
    }

    pub async fn find(&self, id: QueryId) -> Result<Option<QueryRecord>> {
        if let Some(running) = self.known(id) {
            return Ok(Some(running.record()));
        }
        Ok(self.metastore.queries().find(id).await?.map(record))
    }

    pub fn running(&self) -> Vec<QueryRecord> {
        let mut all: Vec<QueryRecord> = self.running.lock().values().map(|running| running.record()).collect();
        all.sort_by_key(|record| record.started_at);
        all
    }

    /// By the clock that times are recorded with.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// As [`Recorder::running`], each with the number of its session, if that has one.
    pub fn running_by_process(&self) -> Vec<(Option<i32>, QueryRecord)> {
        let running: Vec<_> = self.running.lock().values().cloned().collect();
        let mut all: Vec<_> = running.iter().map(|running| (running.caller.process, running.record())).collect();
        all.sort_by_key(|(_, record)| record.started_at);
        all
    }

    /// True if it runs and could be cancelled. It is recorded as cancelled at once, though its thread may take a moment
    /// to notice.
    pub fn cancel(&self, id: QueryId) -> bool {
        let running = self.running.lock().get(&id).cloned();
        running.is_some_and(|running| {
            let cancelled = running.cancel();
            if cancelled {
                self.end(&running, Some(&Error::cancelled()));
            }
            cancelled
        })
    }

    /// Everything that is recorded, newest first: running, not yet written, written.
    pub async fn all(&self, limit: u64) -> Result<Vec<QueryRecord>> {
        let mut all = self.running();
        self.flush().await;
        all.reverse();
        let written = self.metastore.queries().recent(limit, None).await?;
        // One that ended meanwhile is in both.
        all.retain(|running| written.iter().all(|row| row.query_id != running.query_id));
        all.extend(written.into_iter().map(record));
        Ok(all)
    }
}
