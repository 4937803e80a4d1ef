//! Trying again.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use polder_runtime::Clock;

use super::{Random, Told, Trouble};

const FIRST_MS: u64 = 500;
const LONGEST_MS: u64 = 60_000;

/// How sinks wait.
#[derive(Clone)]
pub(super) struct Waits {
    clock: Arc<dyn Clock>,
    random: Random,
    told: Told,
}

impl Waits {
    pub(super) fn new(clock: Arc<dyn Clock>, random: Random, told: Told) -> Self {
        Self { clock, random, told }
    }

    /// Begins to count the time in which a lot is tried.
    pub(super) fn begin(&self, seconds: u64) -> Patience {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).min(86_400);
        Patience { waits: self.clone(), until: self.clock.now() + Duration::seconds(seconds), next_ms: FIRST_MS }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Tells that something failed, and when it is tried again, if it is.
    pub(super) fn failed(&self, why: &str, next_at: Option<DateTime<Utc>>) {
        (self.told)(Some(Trouble { why: why.to_owned(), at: self.now(), next_at }));
    }

    pub(super) async fn pause(&self, ms: i64) {
        self.clock.sleep_until(self.clock.now() + Duration::milliseconds(ms)).await;
    }
}

/// The tries of one lot.
pub(super) struct Patience {
    waits: Waits,
    until: DateTime<Utc>,
    next_ms: u64,
}

impl Patience {
    /// After a try that failed: waits before the next one, each time twice as long and by chance somewhat shorter. False, without
    /// a wait: there is no time left for another one.
    pub(super) async fn again(&mut self, why: &str) -> bool {
        let now = self.waits.clock.now();
        let [chance, ..] = (self.waits.random)();
        let ms = self.next_ms - self.next_ms * u64::from(chance) / 1024;
        let at = now + Duration::milliseconds(i64::try_from(ms).unwrap_or(0));
        let is_left = at < self.until;
        self.waits.failed(why, is_left.then_some(at));
        if !is_left {
            return false;
        }
        self.next_ms = (self.next_ms * 2).min(LONGEST_MS);
        self.waits.clock.sleep_until(at).await;
        true
    }

    /// After a try that the server has answered as it should the waits are short again.
    pub(super) fn went_well(&mut self) {
        self.next_ms = FIRST_MS;
        (self.waits.told)(None);
    }
}
