//! What each user's statements have read on each day.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use polder_metastore::Metastore;
use polder_types::Result;

/// Days that are remembered: nobody asks for more than today.
const DAYS_KEPT: i64 = 35;

/// Counted at once, and written with the record of queries.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// By day and user.
    unwritten: Mutex<HashMap<(String, String), u64>>,
    /// Held while it is written, so that nobody reads in between.
    writing: tokio::sync::Mutex<()>,
}

fn day(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d").to_string()
}

impl Usage {
    pub fn add(&self, user: &str, now: DateTime<Utc>, bytes: u64) {
        if bytes > 0 {
            let mut unwritten = self.unwritten.lock();
            let sum = unwritten.entry((day(now), user.to_owned())).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }

    pub async fn flush(&self, metastore: &Metastore, now: DateTime<Utc>) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let taken = std::mem::take(&mut *self.unwritten.lock());
        if taken.is_empty() {
            return Ok(());
        }
        let read: Vec<_> = taken.iter().map(|((day, user), bytes)| (day.clone(), user.clone(), *bytes)).collect();
        let written = metastore.audit().add_bytes_scanned(&read, &day(now - Duration::days(DAYS_KEPT))).await;
        if written.is_err() {
            let mut unwritten = self.unwritten.lock();
            for (key, bytes) in taken {
                *unwritten.entry(key).or_default() += bytes;
            }
        }
        written
    }

    /// What a user has read today, by statements that have ended.
    pub async fn today(&self, metastore: &Metastore, user: &str, now: DateTime<Utc>) -> Result<u64> {
        let _nobody_writes = self.writing.lock().await;
        let day = day(now);
        let written = metastore.audit().bytes_scanned(&day, user).await?;
        let unwritten = self.unwritten.lock().get(&(day, user.to_owned())).copied().unwrap_or(0);
        Ok(written.saturating_add(unwritten))
    }
}
