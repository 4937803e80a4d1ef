//! Sessions of clients that have a number, as a process of PostgreSQL has one: who is there, and who is to leave.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_capability::Caller;
use tokio_util::sync::CancellationToken;

/// A session with a number.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub caller: Caller,
    pub started: DateTime<Utc>,
    /// Somebody has asked that it end.
    pub ends: CancellationToken,
}

#[derive(Debug, Default)]
pub(crate) struct Backends(Mutex<BTreeMap<i32, Backend>>);

impl Backends {
    /// Notes that a session is there, if it has a number. What says that it is to end.
    pub fn enter(&self, caller: &Caller, started: DateTime<Utc>) -> CancellationToken {
        let ends = CancellationToken::new();
        if let Some(process) = caller.process {
            self.0.lock().insert(process, Backend { caller: caller.clone(), started, ends: ends.clone() });
        }
        ends
    }

    pub fn leave(&self, caller: &Caller) {
        if let Some(process) = caller.process {
            self.0.lock().remove(&process);
        }
    }

    pub fn find(&self, process: i32) -> Option<Backend> {
        self.0.lock().get(&process).cloned()
    }

    /// All of them, by number.
    pub fn all(&self) -> Vec<(i32, Backend)> {
        self.0.lock().iter().map(|(process, backend)| (*process, backend.clone())).collect()
    }
}
