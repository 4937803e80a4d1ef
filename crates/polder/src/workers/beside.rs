//! Work that is done on the thread that waits for it, and counts as the workers' all the same.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use polder_runtime::briefly;
use tokio::runtime::Handle;

/// What it spawns, and what it sleeps for, is the workers': the threads of connections end before those do, and have no
/// time for more than answers.
pub(super) struct Beside<'a, T> {
    workers: &'a Handle,
    work: BoxFuture<'a, T>,
}

impl<'a, T> Beside<'a, T> {
    pub(super) fn new(workers: &'a Handle, work: BoxFuture<'a, T>) -> Self {
        Self { workers, work }
    }
}

impl<T> Future for Beside<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let workers = self.workers;
        let _entered = workers.enter();
        briefly(|| self.work.as_mut().poll(context))
    }
}
