//! Slows down whoever guesses passwords.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use polder_runtime::Clock;
use polder_types::{Error, ErrorKind, Result};
use tokio::sync::OwnedMutexGuard;

/// Wrong passwords before waiting begins: people mistype.
const FREE_FAILURES: u32 = 5;
const WAIT_SECONDS_MAX: i64 = 60;

/// Pairs of user and origin that are remembered at once. When it is full, those with the fewest failures go first, so
/// that a guesser cannot push its own record out with made-up names.
const RECORDS_MAX: usize = 4096;

/// Somebody quiet for so long starts afresh.
const FORGOTTEN_AFTER: Duration = Duration::hours(1);

/// Longer names and origins are cut: they only have to be told apart.
const KEY_BYTES_MAX: usize = 255;

#[derive(Debug, Default)]
struct Record {
    failures: u32,
    last: DateTime<Utc>,
    next_allowed: DateTime<Utc>,
}

type Key = (String, String);
type SharedRecord = Arc<tokio::sync::Mutex<Record>>;

#[derive(Debug)]
pub(crate) struct Guesses {
    clock: Arc<dyn Clock>,
    records: Mutex<HashMap<Key, SharedRecord>>,
}

/// A password is being checked. Attempts of one user from one place go one after the other, so that a thousand at once
/// are no way around the wait. One that is dropped without a word counts as wrong.
#[derive(Debug)]
pub struct LoginAttempt {
    clock: Arc<dyn Clock>,
    record: OwnedMutexGuard<Record>,
    succeeded: bool,
}

impl Guesses {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, records: Mutex::new(HashMap::new()) }
    }

    /// # Errors
    /// `Unavailable` while the wait lasts; the hint says for how long.
    pub(crate) async fn attempt(&self, user: &str, origin: &str) -> Result<LoginAttempt> {
        let mut record = self.record(user, origin).lock_owned().await;
        let now = self.clock.now();
        if now - record.last > FORGOTTEN_AFTER {
            *record = Record::default();
        }
        let wait = record.next_allowed - now;
        if wait > Duration::zero() {
            let seconds = (wait + Duration::milliseconds(999)).num_seconds();
            return Err(Error::new(ErrorKind::Unavailable, "too many wrong passwords")
                .with_hint(format!("try again in {seconds} s")));
        }
        Ok(LoginAttempt { clock: self.clock.clone(), record, succeeded: false })
    }

    fn record(&self, user: &str, origin: &str) -> SharedRecord {
        let cut = |text: &str| text.get(..text.floor_char_boundary(KEY_BYTES_MAX)).unwrap_or_default().to_owned();
        let key = (cut(user), cut(origin));
        let mut records = self.records.lock();
        if !records.contains_key(&key) && records.len() >= RECORDS_MAX {
            forget_least(&mut records);
        }
        records.entry(key).or_default().clone()
    }
}

/// Drops the record that matters least. One that is in use stays.
fn forget_least(records: &mut HashMap<Key, SharedRecord>) {
    let weigh = |record: &SharedRecord| record.try_lock().ok().map(|record| (record.failures, record.last));
    let least = records
        .iter()
        .filter(|(_, record)| Arc::strong_count(record) == 1)
        .filter_map(|(key, record)| Some((weigh(record)?, key)))
        .min();
    if let Some((_, key)) = least {
        let key = key.clone();
        records.remove(&key);
    }
}

impl LoginAttempt {
    /// The password was right: earlier failures are forgiven.
    pub fn succeeded(mut self) {
        self.succeeded = true;
    }

    /// The password was wrong.
    pub fn failed(self) {}
}

impl Drop for LoginAttempt {
    fn drop(&mut self) {
        if self.succeeded {
            *self.record = Record::default();
            return;
        }
        let now = self.clock.now();
        self.record.failures = self.record.failures.saturating_add(1);
        self.record.last = now;
        if let Some(doublings) = self.record.failures.checked_sub(FREE_FAILURES) {
            let seconds = 1i64.checked_shl(doublings).filter(|seconds| *seconds > 0).unwrap_or(WAIT_SECONDS_MAX);
            self.record.next_allowed = now + Duration::seconds(seconds.min(WAIT_SECONDS_MAX));
        }
    }
}

#[cfg(test)]
mod tests;
