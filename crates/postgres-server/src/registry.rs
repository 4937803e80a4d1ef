//! Who is connected, and what runs for them: for requests to cancel.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use polder_types::QueryId;
use rand::Rng;
use subtle::ConstantTimeEq;

#[derive(Default)]
pub(crate) struct Registry(Mutex<State>);

#[derive(Default)]
struct State {
    last: i32,
    entries: HashMap<i32, Entry>,
}

struct Entry {
    secret: i32,
    running: Arc<Mutex<Option<QueryId>>>,
}

/// A connection's entry, gone with it.
pub(crate) struct Registered {
    registry: Arc<Registry>,
    pub process: i32,
    pub secret: i32,
    running: Arc<Mutex<Option<QueryId>>>,
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
        let running = Arc::<Mutex<Option<QueryId>>>::default();
        state.entries.insert(process, Entry { secret, running: Arc::clone(&running) });
        Registered { registry: Arc::clone(self), process, secret, running }
    }

    /// The statement that runs on a connection, for those who know its secret.
    pub(crate) fn running(&self, process: i32, secret: i32) -> Option<QueryId> {
        let state = self.0.lock();
        let entry = state.entries.get(&process)?;
        let known = bool::from(entry.secret.to_be_bytes().ct_eq(&secret.to_be_bytes()));
        if known { *entry.running.lock() } else { None }
    }
}

impl Registered {
    /// Notes what runs now; `None`: nothing does.
    pub(crate) fn runs(&self, id: Option<QueryId>) {
        *self.running.lock() = id;
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.0.lock().entries.remove(&self.process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_finds_what_runs() {
        let registry = Arc::new(Registry::default());
        let one = registry.enter();
        let id = QueryId::new();
        one.runs(Some(id));
        assert_eq!(registry.running(one.process, one.secret), Some(id));
        assert_eq!(registry.running(one.process, one.secret.wrapping_add(1)), None);
        let process = one.process;
        let secret = one.secret;
        drop(one);
        assert_eq!(registry.running(process, secret), None);
    }
}
