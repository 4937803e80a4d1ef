//! Sessions for drivers whose statements run on the workers' threads.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::FieldRef;
use polder_capability::{
    Answer, Caller, Description, DriverSession, DriverSql, Encryption, Kept, KeptStatement, Parameter, QueryProgress,
    QueryRecord, RowsIn, SessionStatus, SqlRunner, SqlSession, StatementRequest,
};
use polder_types::{Error, QueryId, Result};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::{WorkersRunner, WorkersSession, died};

pub struct WorkersDriver {
    inner: Arc<dyn DriverSql>,
    plain: WorkersRunner,
}

impl WorkersDriver {
    #[must_use]
    pub fn new(inner: Arc<dyn DriverSql>, workers: Handle) -> Self {
        let plain = WorkersRunner::new(Arc::clone(&inner) as Arc<dyn SqlRunner>, workers);
        Self { inner, plain }
    }
}

#[async_trait::async_trait]
impl SqlRunner for WorkersDriver {
    fn open_session(&self, caller: Caller) -> Arc<dyn SqlSession> {
        self.plain.open_session(caller)
    }

    fn progress(&self, id: QueryId) -> Option<QueryProgress> {
        self.plain.progress(id)
    }

    async fn record(&self, id: QueryId) -> Result<Option<QueryRecord>> {
        self.plain.record(id).await
    }

    fn running(&self) -> Vec<QueryRecord> {
        self.plain.running()
    }

    fn cancel(&self, id: QueryId) -> bool {
        self.plain.cancel(id)
    }
}

impl DriverSql for WorkersDriver {
    fn open_driver_session(&self, caller: Caller, encryption: Option<Encryption>) -> Arc<dyn DriverSession> {
        let inner = self.inner.open_driver_session(caller, encryption);
        let plain = WorkersSession {
            inner: Arc::clone(&inner) as Arc<dyn SqlSession>,
            workers: self.plain.workers.clone(),
            stops: Arc::clone(&self.plain.stops),
        };
        Arc::new(WorkersDriverSession { inner, plain })
    }
}

struct WorkersDriverSession {
    inner: Arc<dyn DriverSession>,
    plain: WorkersSession,
}

impl WorkersDriverSession {
    async fn on_workers<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        AbortOnDropHandle::new(self.plain.workers.spawn(work)).await.map_err(died)?
    }
}

#[async_trait::async_trait]
impl SqlSession for WorkersDriverSession {
    async fn run(&self, request: StatementRequest) -> Result<Answer> {
        self.plain.run(request).await
    }

    fn in_transaction(&self) -> bool {
        self.plain.in_transaction()
    }
}

#[async_trait::async_trait]
impl DriverSession for WorkersDriverSession {
    async fn describe(&self, sql: &str, types: &[Option<String>]) -> Result<Description> {
        let (inner, sql, types) = (Arc::clone(&self.inner), sql.to_owned(), types.to_vec());
        self.on_workers(async move { inner.describe(&sql, &types).await }).await
    }

    fn known(&self, request: &StatementRequest) -> Option<Answer> {
        self.inner.known(request)
    }

    async fn run_with(&self, request: StatementRequest, values: Vec<Parameter>) -> Result<Answer> {
        // The way to another thread and back would take longer.
        if values.is_empty()
            && let Some(answer) = self.known(&request)
        {
            return Ok(answer);
        }
        if let Some(answer) = self.plain.light(&request, &values).await {
            return answer;
        }
        let inner = Arc::clone(&self.inner);
        self.plain.answer(request.query_id, async move { inner.run_with(request, values).await }).await
    }

    async fn columns_of(&self, table: &str, columns: &[String], filter: Option<&str>) -> Result<Vec<FieldRef>> {
        let (inner, table, columns) = (Arc::clone(&self.inner), table.to_owned(), columns.to_vec());
        let filter = filter.map(str::to_owned);
        self.on_workers(async move { inner.columns_of(&table, &columns, filter.as_deref()).await }).await
    }

    async fn insert_rows(&self, request: StatementRequest, rows: RowsIn) -> Result<Answer> {
        let inner = Arc::clone(&self.inner);
        self.plain.answer(request.query_id, async move { inner.insert_rows(request, rows).await }).await
    }

    async fn begin(&self) {
        self.inner.begin().await;
    }

    async fn ended(&self) {
        self.inner.ended().await;
    }

    fn status(&self) -> SessionStatus {
        self.inner.status()
    }

    fn keep(&self, statement: KeptStatement) -> Box<dyn Kept> {
        self.inner.keep(statement)
    }

    fn record(&self, text: &str, start: usize, elapsed: Duration, done: Result<u64, &Error>) {
        self.inner.record(text, start, elapsed, done);
    }

    fn fail_transaction(&self) {
        self.inner.fail_transaction();
    }
}
