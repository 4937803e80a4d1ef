//! Sessions of clients that have a number, as a process of PostgreSQL has one: who is there, and who is to leave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_capability::{Caller, Encryption};
use tokio_util::sync::CancellationToken;

/// A session with a number.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    pub caller: Caller,
    pub started: DateTime<Utc>,
    /// How its connection is encrypted; `None`: it is not.
    pub encryption: Option<Encryption>,
    pub transaction: InTransaction,
    /// Somebody has asked that it end.
    pub ends: CancellationToken,
}

/// The transaction that a session has open, told to others.
#[derive(Debug, Clone, Default)]
pub(crate) struct InTransaction(Arc<Mutex<Option<OpenTransaction>>>);

#[derive(Debug, Clone)]
pub(crate) struct OpenTransaction {
    pub began: DateTime<Utc>,
    failed: bool,
    /// What says that it has failed since; each has its own.
    spoiled: Arc<AtomicBool>,
}

impl OpenTransaction {
    pub fn has_failed(&self) -> bool {
        self.failed || self.spoiled.load(Ordering::Relaxed)
    }
}

impl InTransaction {
    pub fn get(&self) -> Option<OpenTransaction> {
        self.0.lock().clone()
    }

    /// Notes how the session stands: whether its transaction has failed, and what says that it has since. `now`: the time, if a
    /// transaction has begun.
    pub fn follow(&self, open: Option<(bool, &Arc<AtomicBool>)>, now: impl FnOnce() -> DateTime<Utc>) {
        let mut told = self.0.lock();
        let Some((failed, spoiled)) = open else {
            *told = None;
            return;
        };
        match told.as_mut().filter(|known| Arc::ptr_eq(spoiled, &known.spoiled)) {
            Some(known) => known.failed = failed,
            None => *told = Some(OpenTransaction { began: now(), failed, spoiled: Arc::clone(spoiled) }),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Backends(Mutex<BTreeMap<i32, Backend>>);

impl Backends {
    /// Notes that a session is there, if it has a number.
    pub fn enter(&self, backend: Backend) {
        if let Some(process) = backend.caller.process {
            self.0.lock().insert(process, backend);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_is_one_as_long_as_it_is_the_same() {
        let told = InTransaction::default();
        let (one, other) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
        told.follow(Some((false, &one)), || at(1));
        told.follow(Some((false, &one)), || at(2));
        assert_eq!(told.get().map(|open| (open.began, open.has_failed())), Some((at(1), false)));
        one.store(true, Ordering::Relaxed);
        assert!(told.get().is_some_and(|open| open.has_failed()));
        told.follow(Some((false, &other)), || at(3));
        assert_eq!(told.get().map(|open| (open.began, open.has_failed())), Some((at(3), false)));
        told.follow(None, || at(4));
        assert!(told.get().is_none());
    }
}
