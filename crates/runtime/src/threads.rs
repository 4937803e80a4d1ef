//! Threads that serve connections, each with a runtime of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// More do not help: what computes does so on other threads.
const THREADS_MAX: usize = 8;

/// What blocks one of them is given so long once it stops.
const END_MAX: Duration = Duration::from_millis(200);

/// Threads for connections. Each looks after its own sockets: threads that share them wake each other for every message,
/// which takes longer than many an answer.
///
/// Dropping it stops the threads, with what still runs on them, and waits for their ends.
#[derive(Debug)]
pub struct ConnectionThreads {
    threads: Vec<ConnectionThread>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct ConnectionThread {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// A connection's place on a thread, for as long as it is kept.
#[derive(Debug)]
pub struct Seat {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl ConnectionThreads {
    /// Starts as many threads as there are processors, 8 at most, all called `name`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(name: &str) -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        // Made first: if a later thread fails, dropping it ends those before.
        let mut started = Self { threads: Vec::with_capacity(count), stop: CancellationToken::new() };
        for _ in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (handle, stop) = (runtime.handle().clone(), started.stop.clone());
            let serve = move || {
                runtime.block_on(stop.cancelled_owned());
                runtime.shutdown_timeout(END_MAX);
            };
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(serve)?;
            started.threads.push(ConnectionThread {
                runtime: handle,
                connections: Arc::default(),
                thread: Some(thread),
            });
        }
        Ok(started)
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// A place on the thread that has the fewest connections.
    #[must_use]
    pub fn seat(&self) -> Seat {
        let fewest = self.threads.iter().min_by_key(|thread| thread.connections.load(Ordering::Relaxed));
        let (runtime, connections) = match fewest {
            Some(thread) => (thread.runtime.clone(), Arc::clone(&thread.connections)),
            // There is one for each processor.
            None => (Handle::current(), Arc::default()),
        };
        connections.fetch_add(1, Ordering::Relaxed);
        Seat { runtime, connections }
    }
}

impl Drop for ConnectionThreads {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.iter_mut().filter_map(|thread| thread.thread.take()) {
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Seat {
    /// Where to spawn.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_over_the_threads() {
        let threads = ConnectionThreads::start("connections").unwrap();
        let count = threads.count();
        let seats: Vec<Seat> = (0..2 * count).map(|_| threads.seat()).collect();
        assert!(threads.threads.iter().all(|thread| thread.connections.load(Ordering::Relaxed) == 2));
        drop(seats);
        assert!(threads.threads.iter().all(|thread| thread.connections.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn what_is_spawned_runs_there_and_ends_with_them() {
        let threads = ConnectionThreads::start("connections").unwrap();
        let seat = threads.seat();
        let (sender, receiver) = std::sync::mpsc::channel();
        let task = seat.runtime().spawn(async move {
            sender.send(std::thread::current().name().map(str::to_owned)).unwrap();
            std::future::pending::<()>().await;
        });
        assert_eq!(receiver.recv().unwrap().as_deref(), Some("connections"));
        drop(threads);
        assert!(task.is_finished());
    }
}
