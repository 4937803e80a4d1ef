use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A wait that a [`Clock`] ends.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time of day, and waiting for it.
pub trait Clock: Send + Sync + Debug {
    fn now(&self) -> DateTime<Utc>;

    /// Ends once [`Clock::now`] has reached `at`; at once if it has already. The wait begins with this call, not
    /// with the first poll. Dropping it takes it back.
    fn sleep_until(&self, at: DateTime<Utc>) -> Sleep;
}

/// The computer's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The time of day may be set, and a computer may sleep: a long wait looks at the clock now and then.
const LOOK_EVERY: StdDuration = StdDuration::from_secs(30);

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn sleep_until(&self, at: DateTime<Utc>) -> Sleep {
        Box::pin(async move {
            loop {
                // A time that has passed is no duration.
                let Ok(left) = (at - Utc::now()).to_std() else { return };
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_EVERY)).await;
            }
        })
    }
}

/// A clock that a test moves by hand. All clones are one.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    now: watch::Sender<DateTime<Utc>>,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    last_id: u64,
    until: BTreeMap<u64, DateTime<Utc>>,
}

/// A wait's entry, gone with it.
struct Wait {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.shared.waits.lock().until.remove(&self.id);
    }
}

impl ManualClock {
    #[must_use]
    pub fn at(start: DateTime<Utc>) -> Self {
        Self(Arc::new(Shared { now: watch::Sender::new(start), waits: Mutex::default() }))
    }

    pub fn advance(&self, by: Duration) {
        self.0.now.send_modify(|now| *now += by);
    }

    /// Moves to a time, also back.
    pub fn set(&self, to: DateTime<Utc>) {
        self.0.now.send_replace(to);
    }

    /// The earliest time that somebody waits for.
    #[must_use]
    pub fn next_wait(&self) -> Option<DateTime<Utc>> {
        self.0.waits.lock().until.values().min().copied()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.now.borrow()
    }

    fn sleep_until(&self, at: DateTime<Utc>) -> Sleep {
        let mut moved = self.0.now.subscribe();
        let id = {
            let mut waits = self.0.waits.lock();
            waits.last_id += 1;
            let id = waits.last_id;
            waits.until.insert(id, at);
            id
        };
        let wait = Wait { shared: Arc::clone(&self.0), id };
        Box::pin(async move {
            // The sender lives as long as the entry does, so this cannot fail.
            let _ = moved.wait_for(|now| *now >= at).await;
            drop(wait);
        })
    }
}

#[cfg(test)]
mod tests;
