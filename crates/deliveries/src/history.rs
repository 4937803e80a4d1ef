//! Histories of topics: what the log has to keep for them, and for those who read them.

use std::collections::{HashMap, HashSet};
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

/// The names of the deliveries that keep histories, by their topics: every statement that reads a topic asks for them.
#[derive(Default)]
pub(crate) struct KeptTopics {
    /// How often they have changed.
    changes: u64,
    /// `None`: not known yet, or changed since.
    by_topic: Option<Arc<HashMap<String, String>>>,
}

impl JobDeliveries {
    pub(crate) fn held(&self, name: &str, topic: Uuid) -> Arc<HistoryHold> {
        let hold = Arc::new(HistoryHold::new(name.to_owned(), topic));
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

    /// Said behind every change of the deliveries that there are.
    pub(crate) fn histories_changed(&self) {
        let mut kept = self.kept.lock();
        kept.changes += 1;
        kept.by_topic = None;
    }

    async fn kept_topics(&self) -> Result<Arc<HashMap<String, String>>> {
        let changes = {
            let kept = self.kept.lock();
            if let Some(by_topic) = &kept.by_topic {
                return Ok(Arc::clone(by_topic));
            }
            kept.changes
        };
        let all = self.histories().await?.into_iter();
        let by_topic = all.map(|Stored { definition, .. }| (definition.topic, definition.name)).collect();
        let by_topic = Arc::new(by_topic);
        let mut kept = self.kept.lock();
        // What has changed meanwhile may be missing in it.
        if kept.changes == changes {
            kept.by_topic = Some(Arc::clone(&by_topic));
        }
        Ok(by_topic)
    }

    pub(crate) async fn history_of(&self, topic: &str) -> Result<Option<TopicHistory>> {
        let Some(name) = self.kept_topics().await?.get(topic).cloned() else { return Ok(None) };
        // A job may be gone by another way than that of deliveries.
        let Some(job) = self.jobs()?.find(&name).await? else { return Ok(None) };
        let found = Stored::of(&job).transpose()?.filter(|stored| stored.definition.topic == topic);
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
        let others: Vec<_> = self.histories().await?.into_iter().map(|stored| stored.definition).collect();
        let others = others.into_iter().filter(|other| other.name != definition.name).collect::<Vec<_>>();
        // A topic `a__rejected` would have the table that the rejected records of `a` are kept in.
        let tables = |of: &DeliveryDefinition| [of.target.table().cloned(), Some(of.errors_table())];
        let own = tables(definition);
        if let Some(other) = others.iter().find(|other| tables(other).iter().any(|table| own.contains(table)))
            && other.topic != *topic
        {
            let message =
                format!("the histories of topics {topic:?} and {:?} would have a table in common", other.topic);
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_code("42P07")
                .with_hint("ON ERROR INTO another table"));
        }
        match others.into_iter().find(|other| other.topic == *topic) {
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
        let mut histories = HashSet::new();
        for Stored { id, definition } in self.histories().await? {
            histories.insert(definition.topic.clone());
            let offsets = self.tables()?.offsets(id).await?;
            let next = offsets.into_iter().map(|offset| ((offset.topic, offset.partition), offset.next));
            let held_bytes_max = definition.held_bytes_max;
            kept.push(KeptTopic { topic: definition.topic, next: next.collect(), held_bytes_max });
        }
        // Looked at last: who begins to read from now on reads what is kept by now.
        let holds: Vec<_> = self.holds.lock().iter().filter_map(std::sync::Weak::upgrade).collect();
        let holds: Vec<_> = holds.into_iter().filter(|hold| hold.holds()).collect();
        for ((topic, partition), next) in kept.iter_mut().flat_map(|kept| &mut kept.next) {
            let held = holds.iter().filter(|hold| hold.topic() == *topic).map(|hold| hold.from(*partition)).min();
            *next = held.map_or(*next, |held| held.min(*next));
        }
        // What somebody reads stays until it is read.
        kept.iter_mut()
            .filter(|kept| holds.iter().any(|hold| hold.name() == kept.topic))
            .for_each(|kept| kept.held_bytes_max = None);
        // A history may be dropped while somebody reads: the end of the log is read all the same.
        let dropped = holds.iter().filter(|hold| !histories.contains(hold.name()));
        kept.extend(dropped.map(|hold| KeptTopic {
            topic: hold.name().to_owned(),
            next: hold.places(),
            held_bytes_max: None,
        }));
        Ok(kept)
    }
}
