//! Who is connected, and what runs for them: for requests to cancel.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use polder_types::QueryId;
use rand::Rng;
use subtle::ConstantTimeEq;
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Default)]
struct State {
    last: i32,
    entries: HashMap<i32, Entry>,
}

struct Entry {
    secret: i32,
    work: Arc<Work>,
}

/// A connection's entry, gone with it.
pub(crate) struct Registered {
    registry: Arc<Registry>,
    pub process: i32,
    pub secret: i32,
    work: Arc<Work>,
}

/// What a connection is about. A request to cancel stays until what it means has failed or the client is told that all is
/// done: it may come while a statement is still planned, or between two that came together.
#[derive(Default)]
pub(crate) struct Work {
    now: Mutex<Now>,
    /// There is a request to cancel. Only the connection's own task waits for it.
    asked: Notify,
}

#[derive(Default)]
struct Now {
    /// There is a message that is not answered yet.
    busy: bool,
    statement: Option<QueryId>,
    cancelled: bool,
}

impl Registry {
    pub(crate) fn enter(self: &Arc<Self>) -> Registered {
        let mut state = self.0.lock();
        // Numbers come round again after two thousand million connections; those that are still there are passed over.
        loop {
            state.last = state.last.checked_add(1).unwrap_or(1);
            if !state.entries.contains_key(&state.last) {
                break;
            }
        }
        let (process, secret) = (state.last, rand::rng().random());
        let work = Arc::<Work>::default();
        state.entries.insert(process, Entry { secret, work: Arc::clone(&work) });
        Registered { registry: Arc::clone(self), process, secret, work }
    }

    /// Asks that what a connection is busy with be cancelled, for those who know its secret. The statement that runs there,
    /// if one does. A connection that waits for its client takes no notice.
    pub(crate) fn cancel(&self, process: i32, secret: i32) -> Option<QueryId> {
        let state = self.0.lock();
        let entry = state.entries.get(&process)?;
        if !bool::from(entry.secret.to_be_bytes().ct_eq(&secret.to_be_bytes())) {
            return None;
        }
        let mut now = entry.work.now.lock();
        if !now.busy {
            return None;
        }
        now.cancelled = true;
        entry.work.asked.notify_one();
        now.statement
    }
}

impl Work {
    /// Until there is a request to cancel. The statement that runs then, if one does.
    pub(crate) async fn cancelled(&self) -> Option<QueryId> {
        loop {
            {
                let now = self.now.lock();
                if now.cancelled {
                    return now.statement;
                }
            }
            // A request that comes in between is kept by it.
            self.asked.notified().await;
        }
    }
}

impl Registered {
    pub(crate) fn work(&self) -> Arc<Work> {
        Arc::clone(&self.work)
    }

    /// A message has come.
    pub(crate) fn works(&self) {
        self.work.now.lock().busy = true;
    }

    /// The next message is waited for, which may belong to what has been begun.
    pub(crate) fn waits(&self) {
        self.work.now.lock().busy = false;
    }

    /// All is answered, or has failed: there is nothing that could be cancelled.
    pub(crate) fn rests(&self) {
        *self.work.now.lock() = Now::default();
    }

    /// Notes what runs now; `None`: nothing does.
    pub(crate) fn runs(&self, id: Option<QueryId>) {
        self.work.now.lock().statement = id;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.0.lock().entries.remove(&self.process);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn only_the_secret_cancels() {
        let registry = Arc::new(Registry::default());
        let one = registry.enter();
        let id = QueryId::new();
        one.works();
        one.runs(Some(id));
        assert_eq!(registry.cancel(one.process, one.secret.wrapping_add(1)), None);
        assert_eq!(one.work().cancelled().now_or_never(), None);
        assert_eq!(registry.cancel(one.process, one.secret), Some(id));
        assert_eq!(one.work().cancelled().now_or_never(), Some(Some(id)));
        let (process, secret) = (one.process, one.secret);
        drop(one);
        assert_eq!(registry.cancel(process, secret), None);
    }

    #[test]
    fn a_request_stays_until_all_is_answered() {
        let registry = Arc::new(Registry::default());
        let one = registry.enter();
        let asked = |registered: &Registered| registered.work().cancelled().now_or_never().is_some();
        let cancel = |registered: &Registered| registry.cancel(registered.process, registered.secret);
        // Who is idle is not struck later.
        cancel(&one);
        one.works();
        assert!(!asked(&one));
        cancel(&one);
        one.waits();
        one.works();
        assert!(asked(&one));
        one.rests();
        one.works();
        assert!(!asked(&one));
    }

    #[tokio::test]
    async fn who_waits_already_is_told() {
        let registry = Arc::new(Registry::default());
        let one = registry.enter();
        one.works();
        let work = one.work();
        let waiting = tokio::spawn(async move { work.cancelled().await });
        tokio::task::yield_now().await;
        registry.cancel(one.process, one.secret);
        assert_eq!(waiting.await.unwrap(), None);
    }
}
