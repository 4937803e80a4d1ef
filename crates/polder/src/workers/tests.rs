use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use polder_capability::{
    Answer, Caller, CommandTag, QueryProgress, QueryRecord, SqlRunner, SqlSession, StatementRequest,
};
use polder_types::{Error, ErrorKind, QueryId, Result};
use tokio::runtime::{Builder, Runtime};

use super::{BATCHES_BETWEEN, WorkersRunner};

/// Answers what its statement says, and notes when an answer is dropped.
#[derive(Default)]
struct Fake {
    dropped: Arc<AtomicBool>,
}

struct Noted(Arc<AtomicBool>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn batch(n: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![n])) as _)]).unwrap()
}

fn busy() -> impl Stream<Item = Result<RecordBatch>> {
    stream::iter([0]).map(|_| {
        std::thread::sleep(Duration::from_secs(2));
        Ok(batch(0))
    })
}

#[async_trait::async_trait]
impl SqlSession for Fake {
    async fn run(&self, request: StatementRequest) -> Result<Answer> {
        let noted = Noted(Arc::clone(&self.dropped));
        let batches = match request.sql.as_str() {
            "three" => stream::iter((0..3).map(|n| Ok(batch(n)))).boxed(),
            "wrong" => return Err(Error::invalid("wrong")),
            "late" => stream::iter([Ok(batch(0)), Err(Error::invalid("late"))]).boxed(),
            "panic" => stream::iter([0]).map(|_| panic!("on purpose")).boxed(),
            // Computes without a pause, deaf to everything.
            "busy" => busy().boxed(),
            "busy later" => stream::iter((0..BATCHES_BETWEEN as i64).map(|n| Ok(batch(n)))).chain(busy()).boxed(),
            _ => stream::repeat_with(move || {
                let _ = &noted;
                Ok(batch(0))
            })
            .boxed(),
        };
        Ok(Answer {
            query_id: request.query_id,
            tag: CommandTag { verb: "SELECT".to_owned(), rows: None },
            schema: batch(0).schema(),
            batches,
            snapshot: 0,
            notices: Vec::new(),
        })
    }

    fn in_transaction(&self) -> bool {
        false
    }
}

#[async_trait::async_trait]
impl SqlRunner for Fake {
    fn open_session(&self, _: Caller) -> Arc<dyn SqlSession> {
        Arc::new(Self { dropped: Arc::clone(&self.dropped) })
    }

    fn progress(&self, _: QueryId) -> Option<QueryProgress> {
        None
    }

    async fn record(&self, _: QueryId) -> Result<Option<QueryRecord>> {
        Ok(None)
    }

    fn running(&self) -> Vec<QueryRecord> {
        Vec::new()
    }

    fn cancel(&self, _: QueryId) -> bool {
        true
    }
}

struct Bench {
    servers: Runtime,
    workers: Runtime,
    runner: WorkersRunner,
    dropped: Arc<AtomicBool>,
}

impl Bench {
    fn new() -> Self {
        let workers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let servers = Builder::new_current_thread().enable_all().build().unwrap();
        let fake = Fake::default();
        let dropped = Arc::clone(&fake.dropped);
        let runner = WorkersRunner::new(Arc::new(fake), workers.handle().clone());
        Self { servers, workers, runner, dropped }
    }

    async fn all(&self, sql: &str) -> Result<usize> {
        let answer = self.start(sql, QueryId::new()).await?;
        Ok(answer.batches.try_collect::<Vec<_>>().await?.len())
    }

    async fn start(&self, sql: &str, query_id: QueryId) -> Result<Answer> {
        let session = self.runner.open_session(Caller::new("a", "test"));
        session.run(StatementRequest { sql: sql.to_owned(), query_id, row_limit: None, sent: None }).await
    }
}

#[test]
fn answers_cross_over() {
    let bench = Bench::new();
    let run = |sql: &str| bench.servers.block_on(bench.all(sql));
    assert_eq!(run("three").unwrap(), 3);
    assert_eq!(run("wrong").unwrap_err().message(), "wrong");
    assert_eq!(run("late").unwrap_err().message(), "late");
    assert_eq!(run("panic").unwrap_err().kind(), ErrorKind::Internal);
    assert!(bench.runner.stops.lock().is_empty());
}

#[test]
fn a_busy_statement_is_left_at_once() {
    let bench = Bench::new();
    let id = QueryId::new();
    bench.servers.block_on(async {
        let started = Instant::now();
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(bench.runner.cancel(id));
        };
        let (answer, ()) = tokio::join!(bench.start("busy", id), cancel);
        assert_eq!(answer.err().map(|error| error.kind()), Some(ErrorKind::Cancelled));
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    });
    bench.workers.shutdown_background();
}

#[test]
fn a_statement_that_gets_busy_is_left_at_once() {
    let bench = Bench::new();
    let id = QueryId::new();
    bench.servers.block_on(async {
        let mut answer = bench.start("busy later", id).await.unwrap();
        for _ in 0..BATCHES_BETWEEN {
            assert!(answer.batches.next().await.unwrap().is_ok());
        }
        let started = Instant::now();
        let read = answer.batches.next();
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(bench.runner.cancel(id));
        };
        let (read, ()) = tokio::join!(read, cancel);
        assert_eq!(read.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        assert!(answer.batches.next().await.is_none());
    });
    bench.workers.shutdown_background();
}

#[test]
fn dropping_the_answer_stops_the_work() {
    let bench = Bench::new();
    bench.servers.block_on(async {
        let mut answer = bench.start("endless", QueryId::new()).await.unwrap();
        assert!(answer.batches.next().await.is_some());
        drop(answer);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !bench.dropped.load(Ordering::SeqCst) {
            assert!(Instant::now() < deadline, "the work goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(bench.runner.stops.lock().is_empty());
}
