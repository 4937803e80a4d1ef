//! Histories of topics: what the log has to keep for them, and for those who read them.

use std::sync::Arc;

use async_trait::async_trait;
use polder_capability::Caller;
use polder_capability::deliveries::{DeliveryDefinition, DeliveryOffset, HistoryHold, OffsetStep, TopicHistory};
use polder_capability::topics::{KeptTopic, TopicKeeper};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::JobDeliveries;
use crate::run::VIA;
use crate::stored::Stored;

impl JobDeliveries {
    pub(crate) fn held(&self, topic: Uuid) -> Arc<HistoryHold> {
        let hold = Arc::new(HistoryHold::new(topic));
        let mut holds = self.holds.lock();
        holds.retain(|hold| hold.strong_count() > 0);
        holds.push(Arc::downgrade(&hold));
        hold
    }

    /// Deliveries that keep histories.
    async fn histories(&self) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        for job in self.jobs()?.list().await? {
            if let Some(stored) = Stored::of(&job).transpose()?
                && stored.definition.target.history().is_some()
            {
                found.push(stored);
            }
        }
        Ok(found)
    }

    pub(crate) async fn history_of(&self, topic: &str) -> Result<Option<TopicHistory>> {
        let found = self.histories().await?.into_iter().find(|stored| stored.definition.topic == topic);
        let history = |Stored { id, definition }: Stored| {
            definition.target.history().map(|table| TopicHistory { delivery: id, table: table.clone() })
        };
        Ok(found.and_then(history))
    }

    /// Refuses what cannot be a history beside those that there are.
    pub(crate) async fn check_history(&self, definition: &DeliveryDefinition) -> Result<()> {
        if definition.target.history().is_none() {
            return Ok(());
        }
        let caller = Caller::new(&definition.owner, VIA);
        let topic = &definition.topic;
        if self.rows.find(&caller, topic).is_some_and(|topic| topic.is_compacted) {
            return Err(Error::new(ErrorKind::Unsupported, format!("topic {topic:?} is compacted: it has no history"))
                .with_code("0A000")
                .with_hint("the log keeps the newest record of each key itself; INTO TABLE keeps all of them"));
        }
        let other = self.histories().await?.into_iter().map(|stored| stored.definition);
        match other.into_iter().find(|other| other.topic == *topic && other.name != definition.name) {
            Some(other) => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("the delivery {:?} keeps the history of topic {topic:?} already", other.name),
            )
            .with_code("42710")),
            None => Ok(()),
        }
    }

    /// Where a new delivery goes on whose table has records of the topic already.
    pub(crate) async fn begin_behind_kept(&self, id: Uuid, definition: &DeliveryDefinition) -> Result<()> {
        let caller = Caller::new(&definition.owner, VIA);
        let Some(topic) = self.rows.find(&caller, &definition.topic) else { return Ok(()) };
        let ends = self.tables()?.history_ends(definition, topic.id).await?;
        let step =
            |DeliveryOffset { topic, partition, next }| OffsetStep { topic, partition, before: None, after: next };
        self.begin_at(id, definition, ends.into_iter().map(step).collect()).await
    }
}

#[async_trait]
impl TopicKeeper for JobDeliveries {
    async fn kept(&self) -> Result<Vec<KeptTopic>> {
        let mut kept = Vec::new();
        for Stored { id, definition } in self.histories().await? {
            let offsets = self.tables()?.offsets(id).await?;
            let next = offsets.into_iter().map(|offset| ((offset.topic, offset.partition), offset.next));
            kept.push(KeptTopic { topic: definition.topic, next: next.collect() });
        }
        // Looked at last: who begins to read from now on reads what is kept by now.
        let holds: Vec<_> = self.holds.lock().iter().filter_map(std::sync::Weak::upgrade).collect();
        for ((topic, partition), next) in kept.iter_mut().flat_map(|kept| &mut kept.next) {
            let held = holds.iter().filter(|hold| hold.topic() == *topic).map(|hold| hold.from(*partition)).min();
            *next = held.map_or(*next, |held| held.min(*next));
        }
        Ok(kept)
    }
}
