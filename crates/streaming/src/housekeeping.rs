//! What is done now and then: old records, offsets and identities are forgotten, compacted topics are compacted.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use chrono::TimeDelta;
use polder_capability::topics::TopicKeeper;
use polder_runtime::Shutdown;
use polder_topic_log::{Spared, SparedTopic};
use polder_types::Result;
use uuid::Uuid;

use crate::Streaming;
use crate::effects::Effects;

/// How often the log looks for what is due.
const LOG_EVERY_SECONDS: i64 = 10;

/// How often offsets and identities are looked at, in rounds of the log: ten minutes, as in Kafka.
const EXPIRE_EVERY: u64 = 60;

/// Bytes that a history makes the log keep before anybody is told; then each time that they have doubled.
const HELD_BYTES_TOLD: u64 = 1 << 30;

/// How many groups, and identities, are cleaned in one call, so that nobody waits long behind it.
const AT_ONCE: usize = 20;

impl Streaming {
    pub(crate) async fn keep_house(self, shutdown: Shutdown) {
        let clock = self.inner.clock.clone();
        let mut told = HashMap::new();
        for round in 1_u64.. {
            let next = clock.now() + TimeDelta::seconds(LOG_EVERY_SECONDS);
            tokio::select! {
                () = shutdown.wait() => return,
                () = clock.sleep_until(next) => {}
            }
            self.keep_log(&shutdown).await;
            self.tell_held(&mut told);
            if round.is_multiple_of(EXPIRE_EVERY) {
                self.expire(&shutdown).await;
            }
            self.inner.quotas.forget_idle(self.now_ms());
        }
    }

    /// Tells who keeps records elsewhere: retention deletes none of theirs that they have not kept. Called once, before
    /// [`Streaming::start`]. When the keeper is gone, retention deletes nothing any more.
    pub fn set_keeper(&self, keeper: &Arc<dyn TopicKeeper>) {
        // A second one would be a mistake in the wiring; the first one stays.
        let _ = self.inner.keeper.set(Arc::downgrade(keeper));
    }

    async fn spared(&self) -> Result<Spared> {
        let Some(keeper) = self.inner.keeper.get() else { return Ok(Spared::Nothing) };
        let Some(keeper) = Weak::upgrade(keeper) else { return Ok(Spared::Everything) };
        let mut spared: HashMap<Uuid, SparedTopic> = HashMap::new();
        for kept in keeper.kept().await? {
            let Some(topic) = self.inner.log.topic(&kept.topic) else { continue };
            let known = spared.contains_key(&topic.id);
            let topic_spared = spared.entry(topic.id).or_default();
            // Whoever keeps it without bound has it without bound.
            topic_spared.bytes_max = match (known, topic_spared.bytes_max, kept.held_bytes_max) {
                (false, _, bound) => bound,
                (true, Some(bound), Some(other)) => Some(bound.max(other)),
                (true, _, _) => None,
            };
            for partition in 0..topic.partitions {
                let own = i32::try_from(partition).ok().and_then(|own| kept.next.get(&(topic.id, own)));
                let first = topic_spared.from.entry(partition).or_insert(i64::MAX);
                *first = own.copied().unwrap_or(0).min(*first);
            }
        }
        Ok(Spared::From(spared))
    }

    /// Says what the log is still holding that is due. `told`: how much it was when that was last said.
    fn tell_held(&self, told: &mut HashMap<Uuid, u64>) {
        let held = self.inner.log.held_bytes_of_all();
        told.retain(|topic, _| held.contains_key(topic));
        for (id, bytes) in held {
            let least = told.get(&id).map_or(HELD_BYTES_TOLD, |before| before.saturating_mul(2));
            if bytes < least {
                continue;
            }
            told.insert(id, bytes);
            let topic = self.inner.log.topic_by_id(id).map(|topic| topic.name.clone()).unwrap_or_default();
            tracing::warn!(topic, bytes, "a history that is behind makes the log keep what retention would delete");
        }
    }

    async fn keep_log(&self, shutdown: &Shutdown) {
        let spared = self.spared().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "retention waits, since it is not known what is kept elsewhere");
            Spared::Everything
        });
        while !shutdown.started() {
            match self.inner.log.housekeeping_but_for(&spared).await {
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
