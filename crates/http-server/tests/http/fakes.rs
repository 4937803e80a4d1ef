//! In-memory stand-ins for the contracts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Schema;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt};
use polder_capability::*;
use polder_types::{Error, ErrorKind, LoadId, QueryId, Result, RunId};
use tokio::sync::watch;

/// Answers by the words of the "SQL": see [`FakeSession::run`].
#[derive(Default)]
pub struct FakeSql {
    pub log: Mutex<Vec<Logged>>,
    pub running: Mutex<HashMap<QueryId, (QueryRecord, watch::Sender<bool>)>>,
    pub cancelled: Mutex<Vec<QueryId>>,
    pub sessions_alive: Arc<AtomicUsize>,
    pub sessions_opened: AtomicUsize,
}

#[derive(Debug, Clone)]
pub struct Logged {
    pub caller: Caller,
    pub session: usize,
    pub sql: String,
}

impl FakeSql {
    pub fn was_cancelled(&self, id: QueryId) -> bool {
        self.cancelled.lock().unwrap().contains(&id)
    }

    pub fn last(&self) -> Logged {
        self.log.lock().unwrap().last().unwrap().clone()
    }
}

struct FakeSession {
    sql: Arc<FakeSql>,
    caller: Caller,
    number: usize,
    open: AtomicBool,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.sql.sessions_alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What the tests hand to the server: the same state, behind the contract.
pub struct SharedSql(pub Arc<FakeSql>);

#[async_trait]
impl SqlRunner for SharedSql {
    fn open_session(&self, caller: Caller) -> Arc<dyn SqlSession> {
        self.0.sessions_alive.fetch_add(1, Ordering::SeqCst);
        let number = self.0.sessions_opened.fetch_add(1, Ordering::SeqCst);
        Arc::new(FakeSession { sql: Arc::clone(&self.0), caller, number, open: AtomicBool::new(false) })
    }

    fn progress(&self, id: QueryId) -> Option<QueryProgress> {
        self.0.running.lock().unwrap().contains_key(&id).then_some(QueryProgress {
            query_id: id,
            state: QueryState::Running,
            rows_scanned: 500,
            bytes_scanned: 4000,
            rows_total: Some(1000),
            rows_returned: 1,
            elapsed_ms: 700,
        })
    }

    async fn record(&self, id: QueryId) -> Result<Option<QueryRecord>> {
        Ok(self.0.running.lock().unwrap().get(&id).map(|(record, _)| record.clone()))
    }

    fn running(&self) -> Vec<QueryRecord> {
        self.0.running.lock().unwrap().values().map(|(record, _)| record.clone()).collect()
    }

    fn cancel(&self, id: QueryId) -> bool {
        let Some((_, stop)) = self.0.running.lock().unwrap().remove(&id) else { return false };
        self.0.cancelled.lock().unwrap().push(id);
        stop.send_replace(true);
        true
    }
}

pub fn numbers(rows: std::ops::Range<i64>) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
    RecordBatch::try_from_iter([("n", column)]).unwrap()
}

fn answer(request: &StatementRequest, batches: Vec<Result<RecordBatch>>) -> Answer {
    let schema = match batches.first() {
        Some(Ok(batch)) => batch.schema(),
        _ => numbers(0..0).schema(),
    };
    Answer {
        query_id: request.query_id,
        tag: CommandTag { verb: "SELECT".to_owned(), rows: None },
        schema,
        batches: stream::iter(batches).boxed(),
        snapshot: 7,
        notices: Vec::new(),
    }
}

impl FakeSession {
    /// Marks the statement as running until it is cancelled.
    fn start(&self, request: &StatementRequest) -> watch::Receiver<bool> {
        let (stop, stopped) = watch::channel(false);
        let record = QueryRecord {
            query_id: request.query_id,
            user: self.caller.user.clone(),
            via: self.caller.via.clone(),
            sql: request.sql.clone(),
            state: QueryState::Running,
            started_at: DateTime::UNIX_EPOCH,
            elapsed_ms: 0,
            rows_returned: 0,
            rows_changed: 0,
            rows_scanned: 0,
            bytes_scanned: 0,
            snapshot: Some(7),
            error: None,
        };
        self.sql.running.lock().unwrap().insert(request.query_id, (record, stop));
        stopped
    }
}

#[async_trait]
impl SqlSession for FakeSession {
    async fn run(&self, request: StatementRequest) -> Result<Answer> {
        self.sql.log.lock().unwrap().push(Logged {
            caller: self.caller.clone(),
            session: self.number,
            sql: request.sql.clone(),
        });
        let text = request.sql.clone();
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            ["rows", count] => {
                let count: i64 = count.parse().unwrap();
                let starts = (0..count).step_by(1000);
                Ok(answer(&request, starts.map(|start| Ok(numbers(start..count.min(start + 1000)))).collect()))
            }
            ["begin"] => {
                self.open.store(true, Ordering::SeqCst);
                Ok(answer(&request, Vec::new()))
            }
            ["one", "batch", count] => Ok(answer(&request, vec![Ok(numbers(0..count.parse().unwrap()))])),
            ["endless"] => {
                let stopped = self.start(&request);
                let batches = stream::unfold((0, stopped), |(start, stopped)| async move {
                    tokio::task::yield_now().await;
                    let stop = *stopped.borrow();
                    (!stop).then(|| (Ok(numbers(start..start + 1000)), (start + 1000, stopped)))
                });
                Ok(Answer { batches: batches.boxed(), ..answer(&request, Vec::new()) })
            }
            ["slow"] => {
                let mut stopped = self.start(&request);
                let rest = stream::once(async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                    Err(Error::cancelled())
                });
                let batches = stream::iter([Ok(numbers(0..1))]).chain(rest).boxed();
                Ok(Answer { batches, ..answer(&request, Vec::new()) })
            }
            ["stuck"] => {
                let mut stopped = self.start(&request);
                let _ = stopped.wait_for(|stop| *stop).await;
                Err(Error::cancelled())
            }
            ["wrong"] => Err(Error::not_found("table \"x\" does not exist").at(1, 15).with_hint("see the catalog")),
            ["wrong", "at", "once"] => {
                Ok(answer(&request, vec![Err(Error::invalid("division by zero").with_code("22012"))]))
            }
            ["wrong", "later"] => {
                Ok(answer(&request, vec![Ok(numbers(0..10)), Err(Error::invalid("division by zero"))]))
            }
            ["panic"] => panic!("a secret of the engine"),
            ["panic", "later"] => {
                let batches = stream::iter([true, false]).map(|good| {
                    assert!(good, "a secret of the engine");
                    Ok(numbers(0..10))
                });
                Ok(Answer { batches: batches.boxed(), ..answer(&request, Vec::new()) })
            }
            ["insert"] => Ok(Answer {
                tag: CommandTag { verb: "INSERT".to_owned(), rows: Some(3) },
                schema: Arc::new(Schema::empty()),
                notices: vec![Notice::new("größer, \"quoted\"")],
                ..answer(&request, Vec::new())
            }),
            _ => Ok(answer(&request, system_rows(&text).into_iter().map(Ok).collect())),
        }
    }

    fn in_transaction(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }
}

/// Rows of the system tables, as the engine gives them: views of text, timestamps with and without a zone.
fn system_rows(sql: &str) -> Option<RecordBatch> {
    let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringViewArray::from(values)) };
    let number = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let moment = |values: Vec<Option<i64>>| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
    };
    let columns: Vec<(&str, ArrayRef)> = if sql.contains("FROM polder.tables") && !sql.contains("'nothing'") {
        let one_only = sql.contains("WHERE");
        let columns = vec![
            ("schema_name", text(vec![Some("public"), Some("sales")])),
            ("table_name", text(vec![Some("flights"), Some("orders")])),
            ("kind", text(vec![Some("table"), Some("view")])),
            ("row_count", number(vec![Some(336_776), None])),
            ("byte_count", number(vec![Some(5_000_000), None])),
            ("file_count", number(vec![Some(1), None])),
            ("comment", text(vec![Some("departures of 2013"), None])),
            ("created_at", moment(vec![Some(1_767_322_800_000_000), None])),
            ("updated_at", moment(vec![Some(1_767_322_800_000_000), None])),
            ("view_sql", text(vec![None, Some("SELECT 1")])),
        ];
        let rows = if one_only { 1 } else { 2 };
        columns.into_iter().map(|(name, column)| (name, column.slice(0, rows))).collect()
    } else if sql.contains("FROM polder.columns") {
        vec![
            ("column_name", text(vec![Some("year"), Some("carrier")])),
            ("data_type", text(vec![Some("BIGINT"), Some("VARCHAR")])),
            ("is_nullable", Arc::new(BooleanArray::from(vec![false, true]))),
            ("column_default", text(vec![None, None])),
            ("comment", text(vec![None, Some("two letters")])),
            ("ordinal_position", Arc::new(Int32Array::from(vec![1, 2]))),
        ]
    } else if sql.contains("FROM profile(") {
        vec![
            ("column_name", text(vec![Some("year"), Some("carrier")])),
            ("data_type", text(vec![Some("BIGINT"), Some("VARCHAR")])),
            ("row_count", number(vec![Some(10), Some(10)])),
            ("missing", number(vec![Some(0), Some(2)])),
            ("distinct_count", number(vec![Some(1), Some(3)])),
            ("distinct_exact", Arc::new(BooleanArray::from(vec![true, false]))),
            ("min", text(vec![Some("2013"), Some("AA")])),
            ("max", text(vec![Some("2013"), Some("WN")])),
            ("mean", Arc::new(Float64Array::from(vec![Some(2013.0), None]))),
            ("histogram", text(vec![Some(r#"[{"low":2013,"high":2014,"count":10}]"#), None])),
            ("top", text(vec![None, Some(r#"[{"value":"AA","count":5}]"#)])),
        ]
    } else if sql.contains("FROM history(") {
        vec![
            ("snapshot", number(vec![Some(7)])),
            ("committed_at", moment(vec![Some(1_767_322_800_000_000)])),
            ("author", text(vec![Some("ann")])),
            ("message", text(vec![None])),
            ("changes", text(vec![Some(r#"["inserted_into_table"]"#)])),
            ("rows_added", number(vec![Some(10)])),
            ("rows_removed", number(vec![Some(0)])),
        ]
    } else if sql.contains("FROM polder.queries") {
        vec![
            ("query_id", text(vec![Some("01890a5d-ac96-774b-bcce-b302099a8057")])),
            ("user_name", text(vec![Some("ann")])),
            ("via", text(vec![Some("console")])),
            ("sql", text(vec![Some("SELECT 1/0")])),
            ("state", text(vec![Some("failed")])),
            ("started_at", moment(vec![Some(1_767_322_800_000_000)])),
            ("elapsed_ms", number(vec![Some(12)])),
            ("rows_returned", number(vec![Some(0)])),
            ("rows_changed", number(vec![Some(3)])),
            ("rows_scanned", number(vec![Some(0)])),
            ("bytes_scanned", number(vec![None])),
            ("snapshot", number(vec![Some(7)])),
            ("error_code", text(vec![Some("22012")])),
            ("error_message", text(vec![Some("division by zero")])),
        ]
    } else {
        return None;
    };
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    Some(RecordBatch::try_from_iter_with_nullable(columns).unwrap())
}

/// Keeps every load running until the test ends it.
#[derive(Default)]
pub struct FakeLoader {
    pub loads: Mutex<HashMap<LoadId, (LoadRequest, watch::Sender<LoadState>)>>,
}

impl FakeLoader {
    pub fn end(&self, id: LoadId, state: LoadState) {
        self.loads.lock().unwrap()[&id].1.send_replace(state);
    }
}

fn load_status(id: LoadId, state: LoadState) -> LoadStatus {
    let report = (state == LoadState::Done).then(|| LoadReport {
        tables: vec![TableReport { table: "public.sales".to_owned(), rows_loaded: 3, ..TableReport::default() }],
        snapshot: Some(8),
        elapsed_ms: 5,
    });
    let user = "ann".to_owned();
    LoadStatus { load_id: id, user, state, progress: LoadProgress::default(), report, error: None }
}

#[async_trait]
impl Loader for FakeLoader {
    async fn preview(&self, _: &Caller, source: &LoadSource, options: &LoadOptions) -> Result<Preview> {
        let (source, content) = match source {
            LoadSource::Location(location) => (location.clone(), String::new()),
            LoadSource::Spooled { path, name } => (name.clone(), std::fs::read_to_string(path).unwrap()),
        };
        let rows = content.lines().map(|line| vec![Some(line.to_owned()), None]).collect();
        let table = TablePreview {
            table: "public.sales".to_owned(),
            source,
            options: options.clone(),
            rows,
            ..TablePreview::default()
        };
        Ok(Preview { tables: vec![table] })
    }

    fn start(&self, request: LoadRequest) -> Result<LoadId> {
        if request.into.as_deref() == Some("taken") {
            return Err(Error::new(ErrorKind::AlreadyExists, "table taken exists").with_hint("append or replace"));
        }
        let id = request.load_id;
        self.loads.lock().unwrap().insert(id, (request, watch::Sender::new(LoadState::Running)));
        Ok(id)
    }

    fn status(&self, id: LoadId) -> Option<LoadStatus> {
        self.loads.lock().unwrap().get(&id).map(|(_, state)| load_status(id, *state.borrow()))
    }

    async fn wait(&self, id: LoadId) -> Option<LoadStatus> {
        let mut state = self.loads.lock().unwrap().get(&id)?.1.subscribe();
        let state = *state.wait_for(|state| *state != LoadState::Running).await.ok()?;
        Some(load_status(id, state))
    }

    fn running(&self) -> Vec<LoadStatus> {
        let loads = self.loads.lock().unwrap();
        let running = loads.iter().filter(|(_, (_, state))| *state.borrow() == LoadState::Running);
        running.map(|(id, _)| load_status(*id, LoadState::Running)).collect()
    }

    fn cancel(&self, id: LoadId) -> bool {
        let loads = self.loads.lock().unwrap();
        let Some((_, state)) = loads.get(&id) else { return false };
        state.send_replace(LoadState::Cancelled) == LoadState::Running
    }
}

/// The user `ann` with the password `secret`, and `bob` with `secret`; the link `once`.
#[derive(Default)]
pub struct FakeAccounts {
    state: Mutex<AccountsState>,
}

#[derive(Default)]
struct AccountsState {
    wrong: HashMap<String, u32>,
    link_used: bool,
    sessions: HashMap<String, String>,
    tokens: HashMap<String, ApiToken>,
    count: u32,
}

impl AccountsState {
    fn secret(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, "wrong user or password")
}

#[async_trait]
impl Accounts for FakeAccounts {
    async fn login(&self, user: &str, password: &str, origin: Origin<'_>) -> Result<String> {
        assert_eq!(origin, Origin { via: "http", address: "127.0.0.1" });
        let mut state = self.state.lock().unwrap();
        let wrong = state.wrong.entry(user.to_owned()).or_default();
        if *wrong >= 3 {
            return Err(Error::new(ErrorKind::Unavailable, "too many wrong passwords").with_hint("try again in 7 s"));
        }
        if ["ann", "bob"].contains(&user) && password == "secret" {
            return Ok(user.to_owned());
        }
        *wrong += 1;
        Err(refused())
    }

    async fn redeem_link(&self, token: &str) -> Result<String> {
        let mut state = self.state.lock().unwrap();
        if token != "once" || std::mem::replace(&mut state.link_used, true) {
            return Err(refused());
        }
        Ok("ann".to_owned())
    }

    async fn start_session(&self, user: &str) -> Result<String> {
        let mut state = self.state.lock().unwrap();
        let secret = state.secret("session");
        state.sessions.insert(secret.clone(), user.to_owned());
        Ok(secret)
    }

    async fn session_user(&self, secret: &str) -> Result<Option<String>> {
        Ok(self.state.lock().unwrap().sessions.get(secret).cloned())
    }

    async fn end_session(&self, secret: &str) -> Result<()> {
        self.state.lock().unwrap().sessions.remove(secret);
        Ok(())
    }

    async fn create_token(&self, user: &str, name: &str, expires_at: Option<DateTime<Utc>>) -> Result<NewApiToken> {
        let mut state = self.state.lock().unwrap();
        let secret = state.secret("token");
        let token = ApiToken {
            id: format!("id-{secret}"),
            name: name.to_owned(),
            user: user.to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            last_used_at: None,
            expires_at,
        };
        state.tokens.insert(secret.clone(), token.clone());
        Ok(NewApiToken { token, secret })
    }

    async fn list_tokens(&self, user: &str) -> Result<Vec<ApiToken>> {
        Ok(self.state.lock().unwrap().tokens.values().filter(|token| token.user == user).cloned().collect())
    }

    async fn delete_token(&self, user: &str, id: &str) -> Result<bool> {
        let mut state = self.state.lock().unwrap();
        let before = state.tokens.len();
        state.tokens.retain(|_, token| token.id != id || token.user != user);
        Ok(state.tokens.len() < before)
    }

    async fn token_user(&self, secret: &str) -> Result<Option<String>> {
        Ok(self.state.lock().unwrap().tokens.get(secret).map(|token| token.user.clone()))
    }

    async fn change_password(&self, _: &str, old: &str, new: &str) -> Result<()> {
        if old != "secret" {
            return Err(Error::new(ErrorKind::Forbidden, "the old password is wrong"));
        }
        if new.len() < 8 { Err(Error::invalid("the new password is too short")) } else { Ok(()) }
    }

    async fn reaches(&self, user: &str, owner: &str, reach: Reach) -> Result<bool> {
        Ok(user == owner || user == "ann" || user == "eye" && reach == Reach::See)
    }

    async fn is_superuser(&self, user: &str) -> Result<bool> {
        Ok(user == "ann")
    }
}

#[derive(Default)]
pub struct FakeSaved {
    queries: Mutex<Vec<SavedQuery>>,
}

#[async_trait]
impl SavedQueries for FakeSaved {
    async fn list(&self) -> Result<Vec<SavedQuery>> {
        Ok(self.queries.lock().unwrap().clone())
    }

    async fn get(&self, id: &str) -> Result<Option<SavedQuery>> {
        Ok(self.queries.lock().unwrap().iter().find(|query| query.id == id).cloned())
    }

    async fn put(&self, mut query: SavedQuery) -> Result<SavedQuery> {
        let mut queries = self.queries.lock().unwrap();
        if query.id.is_empty() {
            query.id = format!("q{}", queries.len() + 1);
        }
        queries.retain(|other| other.id != query.id);
        queries.push(query.clone());
        Ok(query)
    }

    async fn delete(&self, id: &str) -> Result<bool> {
        let mut queries = self.queries.lock().unwrap();
        let before = queries.len();
        queries.retain(|query| query.id != id);
        Ok(queries.len() < before)
    }
}

/// Keeps definitions; its runs never start.
#[derive(Default)]
pub struct FakeJobs {
    jobs: Mutex<Vec<JobStatus>>,
    runs: Mutex<Vec<RunRecord>>,
}

impl FakeJobs {
    fn change(&self, name: &str, change: impl FnOnce(&mut JobStatus)) -> Result<JobStatus> {
        let mut jobs = self.jobs.lock().unwrap();
        let job = jobs.iter_mut().find(|job| job.definition.name == name);
        let job = job.ok_or_else(|| Error::not_found("no such job").with_code("42704"))?;
        change(job);
        Ok(job.clone())
    }
}

#[async_trait]
impl Jobs for FakeJobs {
    async fn list(&self) -> Result<Vec<JobStatus>> {
        Ok(self.jobs.lock().unwrap().clone())
    }

    async fn find(&self, name: &str) -> Result<Option<JobStatus>> {
        Ok(self.jobs.lock().unwrap().iter().find(|job| job.definition.name == name).cloned())
    }

    async fn create(&self, definition: JobDefinition, if_exists: IfExists) -> Result<(JobStatus, bool)> {
        let mut jobs = self.jobs.lock().unwrap();
        let has_name = |job: &JobStatus| job.definition.name == definition.name;
        if jobs.iter().any(has_name) && if_exists == IfExists::Refuse {
            return Err(Error::new(ErrorKind::AlreadyExists, "it exists").with_code("42710"));
        }
        jobs.retain(|job| !has_name(job));
        let (created_at, next_at) = (DateTime::UNIX_EPOCH, definition.schedule.as_ref().map(|_| DateTime::UNIX_EPOCH));
        jobs.push(JobStatus { definition, enabled: true, created_at, next_at, last_run: None });
        Ok((jobs[jobs.len() - 1].clone(), true))
    }

    async fn replace(&self, seen: &JobDefinition, definition: JobDefinition) -> Result<JobStatus> {
        self.change(&seen.name, |job| {
            job.next_at = definition.schedule.as_ref().map(|_| DateTime::UNIX_EPOCH);
            job.definition = definition;
        })
    }

    async fn pause(&self, name: &str) -> Result<JobStatus> {
        self.change(name, |job| job.enabled = false)
    }

    async fn resume(&self, name: &str) -> Result<JobStatus> {
        self.change(name, |job| job.enabled = true)
    }

    async fn remove(&self, name: &str) -> Result<bool> {
        let mut jobs = self.jobs.lock().unwrap();
        let before = jobs.len();
        jobs.retain(|job| job.definition.name != name);
        Ok(jobs.len() < before)
    }

    async fn run(&self, _: &Caller, name: &str) -> Result<RunId> {
        let job = self.change(name, |_| {})?;
        let run_id = RunId::new();
        self.runs.lock().unwrap().push(RunRecord {
            run_id,
            job: job.definition.name,
            kind: job.definition.kind,
            state: RunState::Waiting,
            reason: RunReason::Asked,
            attempt: 1,
            due_at: None,
            queued_at: DateTime::UNIX_EPOCH,
            not_before: DateTime::UNIX_EPOCH,
            started_at: None,
            ended_at: None,
            caused_by: None,
            error: None,
        });
        Ok(run_id)
    }

    async fn run_again(&self, caller: &Caller, id: RunId) -> Result<RunId> {
        let run = self.run_record(id).await?.ok_or_else(|| Error::not_found("no such run").with_code("42704"))?;
        self.run(caller, &run.job).await
    }

    async fn cancel(&self, id: RunId) -> Result<bool> {
        let mut runs = self.runs.lock().unwrap();
        let run = runs.iter_mut().find(|run| run.run_id == id && !run.state.has_ended());
        Ok(run.map(|run| run.state = RunState::Cancelled).is_some())
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>> {
        let fits = |run: &&RunRecord| {
            filter.job.as_ref().is_none_or(|job| run.job == *job)
                && filter.state.is_none_or(|state| run.state == state)
                && filter.before.is_none_or(|before| run.run_id < before)
        };
        let runs = self.runs.lock().unwrap();
        Ok(runs.iter().rev().filter(fits).take(filter.limit as usize).cloned().collect())
    }

    async fn run_record(&self, id: RunId) -> Result<Option<RunRecord>> {
        Ok(self.runs.lock().unwrap().iter().find(|run| run.run_id == id).cloned())
    }

    async fn log(&self, id: RunId, from: u64) -> Result<Option<LogPart>> {
        let Some(run) = self.run_record(id).await? else { return Ok(None) };
        let text = "one\ntwo\n".get(from as usize..).unwrap_or_default().to_owned();
        Ok(Some(LogPart { text, next: 8, has_ended: run.state.has_ended() }))
    }
}
