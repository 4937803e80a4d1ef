//! What is known of a delivery while the server runs.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use polder_capability::deliveries::DeliveryCounts;

use crate::sinks::Trouble;

/// The time over which a rate is told.
const RATE_OVER: TimeDelta = TimeDelta::seconds(60);

#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    counts: DeliveryCounts,
    /// When lots arrived, and how many records they had.
    lots: VecDeque<(DateTime<Utc>, u64)>,
    last_delivery_at: Option<DateTime<Utc>>,
    lag: Lag,
    trouble: Option<Trouble>,
}

/// How far a delivery is behind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lag {
    /// `None`: not known yet.
    pub records: Option<u64>,
    /// The time of the oldest record that is gathered, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    pub buffered_bytes: u64,
}

/// As of one moment.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub counts: DeliveryCounts,
    pub last_delivery_at: Option<DateTime<Utc>>,
    pub lag: Lag,
    /// Why nothing is taken, since the last time that something was.
    pub trouble: Option<Trouble>,
}

impl Live {
    pub fn delivered(&self, records: u64, bytes: u64, rejected: u64, now: DateTime<Utc>) {
        let mut inner = self.0.lock();
        inner.counts.records += records;
        inner.counts.bytes += bytes;
        inner.counts.rejected += rejected;
        inner.lots.push_back((now, records));
        if records > 0 {
            inner.last_delivery_at = Some(now);
        }
        forget(&mut inner.lots, now);
    }

    pub fn lost(&self, records: u64) {
        self.0.lock().counts.lost += records;
    }

    pub fn is_behind(&self, lag: Lag) {
        self.0.lock().lag = lag;
    }

    /// How the last try went. Gives whether there was trouble before.
    pub fn tried(&self, trouble: Option<Trouble>) -> bool {
        std::mem::replace(&mut self.0.lock().trouble, trouble).is_some()
    }

    pub fn seen(&self, now: DateTime<Utc>) -> Seen {
        let mut inner = self.0.lock();
        forget(&mut inner.lots, now);
        let recent: u64 = inner.lots.iter().map(|(_, records)| records).sum();
        let mut counts = inner.counts;
        #[expect(clippy::cast_precision_loss, reason = "a rate that people read")]
        let rate = recent as f64 / RATE_OVER.num_seconds() as f64;
        counts.records_per_second = rate;
        Seen { counts, last_delivery_at: inner.last_delivery_at, lag: inner.lag, trouble: inner.trouble.clone() }
    }
}

fn forget(lots: &mut VecDeque<(DateTime<Utc>, u64)>, now: DateTime<Utc>) {
    while lots.front().is_some_and(|(at, _)| now - *at > RATE_OVER) {
        lots.pop_front();
    }
}
