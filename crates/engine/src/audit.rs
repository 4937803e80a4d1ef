//! What the audit is told off the hot path: logins and refusals, written a moment later.
//!
//! Changes of who may do what are no part of it: their row goes with the transaction that changes them
//! (`polder_metastore::AuditEvent::write`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_metastore::{AUDIT_ROWS_KEPT, AuditEvent, AuditRefusal, AuditRow, Metastore};
use polder_runtime::Clock;
use polder_types::Error;
use tokio::sync::Notify;

/// SQLSTATEs that refuse somebody something: no right, a wrong password, no such user, a limit.
const REFUSALS: &[&str] = &["42501", "28P01", "28000", "53400"];

/// How long events may wait, so that many go in one transaction.
const FLUSH_AFTER: Duration = Duration::from_millis(500);

/// Different events that wait to be written. What comes on top of them is counted, and the count is written.
const WAITING_MAX: usize = 4_096;

/// Of a message only the beginning waits: it may quote what somebody sent.
const MESSAGE_BYTES_MAX: usize = 1 << 10;

/// Rows between two prunings.
const PRUNE_EVERY: u64 = 1_000;

/// Takes events at once, and writes them soon. Those that are alike become one row with their number, so that a flood of
/// logins is few rows.
#[derive(Debug)]
pub(crate) struct AuditLog {
    metastore: Arc<Metastore>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    wake: Notify,
    written: AtomicU64,
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: Vec<AuditRow>,
    /// Where in `rows` an event is.
    places: HashMap<AuditEvent, usize>,
    lost: u64,
}

impl Waiting {
    fn add(&mut self, row: AuditRow) {
        if let Some(before) = self.places.get(&row.event).and_then(|at| self.rows.get_mut(*at)) {
            before.times += row.times;
        } else if self.rows.len() < WAITING_MAX {
            self.places.insert(row.event.clone(), self.rows.len());
            self.rows.push(row);
        } else {
            self.lost += row.times;
        }
    }
}

impl AuditLog {
    pub fn start(metastore: Arc<Metastore>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let log = Arc::new(Self {
            metastore,
            clock,
            waiting: Mutex::default(),
            wake: Notify::new(),
            written: AtomicU64::new(0),
            flushing: tokio::sync::Mutex::default(),
        });
        let weak = Arc::downgrade(&log);
        tokio::spawn(async move {
            loop {
                let Some(log) = weak.upgrade() else { return };
                let woken = tokio::time::timeout(Duration::from_secs(5), log.wake.notified()).await;
                if woken.is_ok() {
                    tokio::time::sleep(FLUSH_AFTER).await;
                    log.flush().await;
                }
            }
        });
        log
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Never waits.
    pub fn record(&self, event: AuditEvent) {
        let happened_at = self.clock.now();
        self.waiting.lock().add(AuditRow { happened_at, event, times: 1 });
        self.wake.notify_one();
    }

    /// An event that may have been refused.
    pub fn settled<T>(&self, event: AuditEvent, result: &Result<T, Error>) {
        let refusal = result.as_ref().err().map(|error| refusal(error.code(), error.message()));
        self.record(AuditEvent { refusal, ..event });
    }

    /// Records the error of a statement if it is a refusal.
    pub fn refused(&self, user: &str, via: &str, code: &str, message: &str) {
        if REFUSALS.contains(&code) {
            let refusal = Some(refusal(code, message));
            self.record(AuditEvent { refusal, ..AuditEvent::new("statement", user, via) });
        }
    }

    pub async fn flush(&self) {
        let _one_at_a_time = self.flushing.lock().await;
        let Waiting { mut rows, lost, .. } = std::mem::take(&mut *self.waiting.lock());
        if lost > 0 {
            let mut event = AuditEvent::new("lost", "", "");
            event.message = Some("events that came faster than they could be written".to_owned());
            rows.push(AuditRow { happened_at: self.clock.now(), event, times: lost });
        }
        if rows.is_empty() {
            return;
        }
        let audit = self.metastore.audit();
        if let Err(error) = audit.append(&rows).await {
            tracing::warn!(%error, rows = rows.len(), "the audit could not be written; trying again later");
            let mut waiting = self.waiting.lock();
            rows.into_iter().for_each(|row| waiting.add(row));
            return;
        }
        let count = rows.len() as u64;
        let before = self.written.fetch_add(count, Ordering::Relaxed);
        if before / PRUNE_EVERY != (before + count) / PRUNE_EVERY
            && let Err(error) = audit.prune(AUDIT_ROWS_KEPT).await
        {
            tracing::warn!(%error, "the audit could not be shortened");
        }
    }
}

fn refusal(code: &str, message: &str) -> AuditRefusal {
    let message = message.get(..message.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or_default();
    AuditRefusal { code: code.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_one_row_and_what_does_not_fit_is_counted() {
        let mut waiting = Waiting::default();
        let row = |user: &str| AuditRow {
            happened_at: DateTime::UNIX_EPOCH,
            event: AuditEvent::new("login", user, "http"),
            times: 1,
        };
        for _ in 0..3 {
            waiting.add(row("ada"));
        }
        assert_eq!((waiting.rows.len(), waiting.rows[0].times), (1, 3));
        for number in 0..WAITING_MAX + 4 {
            waiting.add(row(&format!("user {number}")));
        }
        assert_eq!((waiting.rows.len(), waiting.lost), (WAITING_MAX, 5));
    }
}
