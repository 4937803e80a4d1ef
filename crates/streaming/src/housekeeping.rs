//! What is done now and then: old records, offsets and identities are forgotten, compacted topics are compacted.

use chrono::TimeDelta;
use polder_runtime::Shutdown;

use crate::Streaming;
use crate::effects::Effects;

/// How often the log looks for what is due.
const LOG_EVERY_SECONDS: i64 = 10;

/// How often offsets and identities are looked at, in rounds of the log: ten minutes, as in Kafka.
const EXPIRE_EVERY: u64 = 60;

/// How many groups, and identities, are cleaned in one call, so that nobody waits long behind it.
const AT_ONCE: usize = 20;

impl Streaming {
    pub(crate) async fn keep_house(self, shutdown: Shutdown) {
        let clock = self.inner.clock.clone();
        for round in 1_u64.. {
            let next = clock.now() + TimeDelta::seconds(LOG_EVERY_SECONDS);
            tokio::select! {
                () = shutdown.wait() => return,
                () = clock.sleep_until(next) => {}
            }
            self.keep_log(&shutdown).await;
            if round.is_multiple_of(EXPIRE_EVERY) {
                self.expire(&shutdown).await;
            }
            self.inner.quotas.forget_idle(self.now_ms());
        }
    }

    async fn keep_log(&self, shutdown: &Shutdown) {
        while !shutdown.started() {
            match self.inner.log.housekeeping().await {
                Ok(true) => tokio::task::yield_now().await,
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "old records of topics are left until the next round");
                    return;
                }
            }
        }
    }

    /// Forgets offsets and identities that are too old, until there is none left.
    pub(crate) async fn expire(&self, shutdown: &Shutdown) {
        while !shutdown.started() {
            let log = self.inner.log.clone();
            let cleaned = self.inner.coordination.ask(move |coordinator, now_ms| {
                let name_of = |topic| log.topic_by_id(topic).map(|topic| topic.name.clone());
                let mut all = coordinator.groups.expire(now_ms, AT_ONCE, name_of);
                all.extend(coordinator.transactions.expire(now_ms, AT_ONCE));
                let number = all.len();
                let mut effects = Effects::default();
                all.into_iter().for_each(|one| effects.merge(one));
                Ok((number, effects))
            });
            match cleaned.await {
                Ok(number) if number >= AT_ONCE => {}
                Ok(_) => return,
                Err(failure) => {
                    tracing::warn!(%failure, "old offsets are left until the next round");
                    return;
                }
            }
        }
    }
}
