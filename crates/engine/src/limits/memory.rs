//! The memory of one statement, taken from that of all.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::Result as DataFusionResult;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, TaskContext};
use parking_lot::Mutex;

/// By this an error of too little memory says that it is the statement's own limit.
pub(crate) const NAME_IN_ERRORS: &str = "(statement_memory)";

/// The memory that all plans of one statement share.
#[derive(Debug, Default)]
pub(crate) struct StatementMemory(Mutex<Option<Arc<StatementPool>>>);

impl StatementMemory {
    /// What runs in it takes, with all else that runs in such a one, at most so many bytes of memory; `None`: as many as there are.
    pub fn context(&self, state: &SessionState, bytes: Option<u64>) -> DataFusionResult<Arc<TaskContext>> {
        let Some(bytes) = bytes else { return Ok(state.task_ctx()) };
        let (runtime, most) = (state.runtime_env(), usize::try_from(bytes).unwrap_or(usize::MAX));
        let pool = {
            let mut kept = self.0.lock();
            // Several statements of one text may have a limit each.
            match kept.as_ref().filter(|kept| kept.most == most && Arc::ptr_eq(&kept.of_all, &runtime.memory_pool)) {
                Some(kept) => Arc::clone(kept),
                None => {
                    let of_all = Arc::clone(&runtime.memory_pool);
                    Arc::clone(kept.insert(Arc::new(StatementPool { of_all, most, used: AtomicUsize::new(0) })))
                }
            }
        };
        let runtime = RuntimeEnvBuilder::from_runtime_env(runtime).with_memory_pool(pool).build_arc()?;
        Ok(Arc::new(TaskContext::from(state).with_runtime(runtime)))
    }
}

/// A part of another pool. What asks for more gets an error, upon which sorts and groups spill.
#[derive(Debug)]
struct StatementPool {
    of_all: Arc<dyn MemoryPool>,
    most: usize,
    used: AtomicUsize,
}

impl fmt::Display for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement({} of {})", self.used.load(Ordering::Relaxed), self.most)
    }
}

impl MemoryPool for StatementPool {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.of_all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.of_all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.of_all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.of_all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> DataFusionResult<()> {
        let fits = |used: usize| used.checked_add(additional).filter(|used| *used <= self.most);
        if let Err(used) = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "the statement has {used} bytes of memory and needs {additional} more; it may have {} {NAME_IN_ERRORS}",
                self.most
            )));
        }
        self.of_all.try_grow(reservation, additional).inspect_err(|_| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.most)
    }
}
