//! Work that nobody who waits for it can cut in two.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;

/// What a piece of work leaves that panicked. The panic itself has been told by then.
#[derive(Debug)]
pub struct Died;

impl std::fmt::Display for Died {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it panicked")
    }
}

impl std::error::Error for Died {}

/// Does the work where it is called. If whoever waits goes away, the rest is done in a task of its own: so the way to
/// another task and back, which may wake another thread, is taken by those alone.
///
/// # Errors
/// When the work panicked.
pub async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Died> {
    let work = AssertUnwindSafe(work).catch_unwind().boxed();
    ToTheEnd { work: Some(work), runtime: Handle::try_current().ok() }.await.map_err(|_| Died)
}

type Ended<T> = Result<T, Box<dyn Any + Send>>;

struct ToTheEnd<T: Send + 'static> {
    /// `None` once it is done.
    work: Option<BoxFuture<'static, Ended<T>>>,
    runtime: Option<Handle>,
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = Ended<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let ended = std::task::ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(ended)
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let (Some(work), Some(runtime)) = (self.work.take(), &self.runtime) {
            runtime.spawn(async move { work.await.map(drop).map_err(drop) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn gives_what_the_work_gives() {
        assert_eq!(to_the_end(async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn goes_on_without_the_one_who_waited() {
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (gone, told) = (Arc::clone(&go), Arc::clone(&done));
        let work = to_the_end(async move {
            gone.notified().await;
            told.notify_one();
        });
        assert!(tokio::time::timeout(Duration::from_millis(10), work).await.is_err());
        go.notify_one();
        tokio::time::timeout(Duration::from_secs(10), done.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let work = async { assert!(std::hint::black_box(false), "as asked") };
        assert!(to_the_end(work).await.is_err());
    }
}
