//! Threads for work beside the threads that answer.
//!
//! A statement may compute for seconds without a pause. On the servers' own threads it would keep them from answering
//! anybody, even from hearing that it is to be cancelled. So statements and loads run on a runtime of their own, and
//! only their batches cross over.

mod beside;
mod driver;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use polder_capability::{
    Answer, BatchStream, Caller, LoadOptions, LoadRequest, LoadSource, LoadStatus, Loader, Parameter, Preview,
    QueryProgress, QueryRecord, SqlRunner, SqlSession, StatementRequest,
};
use polder_types::{Error, LoadId, QueryId, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use beside::Beside;

pub use driver::WorkersDriver;

/// Batches on their way between the threads. One is made while another is sent.
const BATCHES_BETWEEN: usize = 2;

/// Statements that a cancel must reach although their thread is busy.
type Stops = Arc<Mutex<HashMap<QueryId, CancellationToken>>>;

/// A runner whose statements run on the workers' threads.
pub struct WorkersRunner {
    inner: Arc<dyn SqlRunner>,
    workers: Handle,
    stops: Stops,
}

impl WorkersRunner {
    #[must_use]
    pub fn new(inner: Arc<dyn SqlRunner>, workers: Handle) -> Self {
        Self { inner, workers, stops: Stops::default() }
    }
}

#[async_trait::async_trait]
impl SqlRunner for WorkersRunner {
    fn open_session(&self, caller: Caller) -> Arc<dyn SqlSession> {
        let inner = self.inner.open_session(caller);
        Arc::new(WorkersSession { inner, workers: self.workers.clone(), stops: Arc::clone(&self.stops) })
    }

    fn progress(&self, id: QueryId) -> Option<QueryProgress> {
        self.inner.progress(id)
    }

    async fn record(&self, id: QueryId) -> Result<Option<QueryRecord>> {
        self.inner.record(id).await
    }

    fn running(&self) -> Vec<QueryRecord> {
        self.inner.running()
    }

    fn cancel(&self, id: QueryId) -> bool {
        // One that is being committed has an outcome, which is its answer.
        let cancelled = self.inner.cancel(id);
        if cancelled && let Some(stop) = self.stops.lock().get(&id) {
            stop.cancel();
        }
        cancelled
    }
}

struct WorkersSession {
    inner: Arc<dyn SqlSession>,
    workers: Handle,
    stops: Stops,
}

#[async_trait::async_trait]
impl SqlSession for WorkersSession {
    async fn run(&self, request: StatementRequest) -> Result<Answer> {
        if let Some(answer) = self.light(&request, &[]).await {
            return answer;
        }
        let inner = Arc::clone(&self.inner);
        self.answer(request.query_id, async move { inner.run(request).await }).await
    }

    fn in_transaction(&self) -> bool {
        self.inner.in_transaction()
    }
}

impl WorkersSession {
    /// On this thread, as far as that takes less than the way to another one.
    async fn light(&self, request: &StatementRequest, values: &[Parameter]) -> Option<Result<Answer>> {
        let work = Beside::new(&self.workers, self.inner.run_light(request, values));
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Some(Err(Error::internal(DIED))))
    }

    /// Works on the workers' threads, and brings the answer here.
    async fn answer(&self, id: QueryId, work: impl Future<Output = Result<Answer>> + Send + 'static) -> Result<Answer> {
        let stop = Stop::register(&self.stops, id);
        let task = AbortOnDropHandle::new(
            self.workers.spawn(async move { Ok::<_, polder_types::Error>(Begun::of(work.await?)) }),
        );
        let begun = tokio::select! {
            ended = task => ended.map_err(died)?,
            () = stop.token.cancelled() => return Err(Error::cancelled()),
        };
        let Begun { answer, ready, has_ended } = begun?;
        let batches = match has_ended {
            true => stream::iter(ready).boxed(),
            false => stream::iter(ready).chain(self.forward(answer.batches, stop)).boxed(),
        };
        Ok(Answer { batches, ..answer })
    }

    /// Batches made on the workers' threads, read here. Dropping the stream stops the work.
    fn forward(&self, mut batches: BatchStream, stop: Stop) -> BoxStream<'static, Result<RecordBatch>> {
        let (sender, receiver) = mpsc::channel(BATCHES_BETWEEN);
        let task = AbortOnDropHandle::new(self.workers.spawn(async move {
            while let Some(batch) = batches.next().await {
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        }));
        let reader = Reader { receiver, task: Some(task), stop };
        // Fused: whoever reads may well ask once more after the end.
        stream::unfold(reader, |mut reader| async move { reader.next().await.map(|batch| (batch, reader)) })
            .fuse()
            .boxed()
    }
}

/// An answer with those of its batches that were there at once. Each step from thread to thread takes longer than many a
/// statement, and a short answer takes one.
struct Begun {
    answer: Answer,
    ready: Vec<Result<RecordBatch>>,
    /// Nothing follows.
    has_ended: bool,
}

impl Begun {
    fn of(mut answer: Answer) -> Self {
        let mut ready = Vec::new();
        loop {
            match answer.batches.next().now_or_never() {
                Some(Some(batch)) => ready.push(batch),
                Some(None) => return Self { answer, ready, has_ended: true },
                None => break,
            }
            if ready.len() == BATCHES_BETWEEN {
                break;
            }
        }
        Self { answer, ready, has_ended: false }
    }
}

/// Where the batches arrive.
struct Reader {
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    /// `None` once the stream has ended.
    task: Option<AbortOnDropHandle<()>>,
    stop: Stop,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.task.as_ref()?;
        tokio::select! {
            biased;
            batch = self.receiver.recv() => match batch {
                Some(batch) => Some(batch),
                // The sender is gone: the work is done, or it died.
                None => self.task.take()?.await.err().map(|error| Err(died(error))),
            },
            () = self.stop.token.cancelled() => {
                self.task = None;
                Some(Err(Error::cancelled()))
            }
        }
    }
}

/// A statement's entry among those that can be stopped, for as long as it runs.
struct Stop {
    stops: Stops,
    id: QueryId,
    token: CancellationToken,
}

impl Stop {
    fn register(stops: &Stops, id: QueryId) -> Self {
        let token = CancellationToken::new();
        stops.lock().insert(id, token.clone());
        Self { stops: Arc::clone(stops), id, token }
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.stops.lock().remove(&self.id);
    }
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function")]
const DIED: &str = "a statement died";

fn died(error: tokio::task::JoinError) -> Error {
    if error.is_cancelled() { Error::cancelled() } else { Error::internal(DIED).with_source(error) }
}

/// A loader whose loads run on the workers' threads.
pub struct WorkersLoader {
    inner: Arc<dyn Loader>,
    workers: Handle,
}

impl WorkersLoader {
    #[must_use]
    pub fn new(inner: Arc<dyn Loader>, workers: Handle) -> Self {
        Self { inner, workers }
    }
}

#[async_trait::async_trait]
impl Loader for WorkersLoader {
    async fn preview(&self, caller: &Caller, source: &LoadSource, options: &LoadOptions) -> Result<Preview> {
        let (inner, caller, source, options) =
            (Arc::clone(&self.inner), caller.clone(), source.clone(), options.clone());
        let work = self.workers.spawn(async move { inner.preview(&caller, &source, &options).await });
        AbortOnDropHandle::new(work).await.map_err(died)?
    }

    fn start(&self, request: LoadRequest) -> Result<LoadId> {
        let _workers = self.workers.enter();
        self.inner.start(request)
    }

    fn status(&self, id: LoadId) -> Option<LoadStatus> {
        self.inner.status(id)
    }

    async fn wait(&self, id: LoadId) -> Option<LoadStatus> {
        self.inner.wait(id).await
    }

    fn running(&self) -> Vec<LoadStatus> {
        self.inner.running()
    }

    fn cancel(&self, id: LoadId) -> bool {
        self.inner.cancel(id)
    }
}

#[cfg(test)]
mod tests;
