//! The memory of one statement, taken from that of all.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::Result as DataFusionResult;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, TaskContext};

/// By this an error of too little memory says that it is the statement's own limit.
pub(crate) const NAME_IN_ERRORS: &str = "(statement_memory)";

/// What runs in it takes at most so many bytes of memory.
pub(crate) fn limited(state: &SessionState, bytes: u64) -> DataFusionResult<Arc<TaskContext>> {
    let runtime = state.runtime_env();
    let pool = StatementPool {
        of_all: Arc::clone(&runtime.memory_pool),
        most: usize::try_from(bytes).unwrap_or(usize::MAX),
        used: AtomicUsize::new(0),
    };
    let runtime = RuntimeEnvBuilder::from_runtime_env(runtime).with_memory_pool(Arc::new(pool)).build_arc()?;
    Ok(Arc::new(TaskContext::from(state).with_runtime(runtime)))
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
