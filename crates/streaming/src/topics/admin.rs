//! Topics that are made, changed, described and deleted.

use std::collections::BTreeSet;

use async_trait::async_trait;
use polder_capability::topics::{
    ConfigChange, ConfigEntry, ConfigResource, CreatedTopic, MorePartitions, NewTopic, TopicAdmin, TopicChoice,
    TopicClient, TopicDescription, TopicError, TopicFailure, TopicRef, TopicResult, TopicRight, TopicThing,
};
use polder_topic_log::{Entry, Topic};
use uuid::Uuid;

use super::{config, names, settings};
use crate::Streaming;
use crate::failure::of_append;

fn described(topic: &Topic) -> TopicDescription {
    TopicDescription {
        name: topic.name.clone(),
        id: topic.id,
        partitions: topic.partitions,
        internal: names::INTERNAL.contains(&topic.name.as_str()),
    }
}

#[async_trait]
impl TopicAdmin for Streaming {
    fn cluster_id(&self) -> String {
        self.inner.cluster_id.clone()
    }

    fn rights_on(&self, client: &TopicClient, thing: TopicThing<'_>) -> Option<Vec<TopicRight>> {
        Some(TopicRight::ALL.into_iter().filter(|right| self.may(client, *right, thing)).collect())
    }

    async fn describe(
        &self,
        client: &TopicClient,
        choice: &TopicChoice,
        create: bool,
    ) -> TopicResult<Vec<TopicResult<TopicDescription>>> {
        let wanted = match choice {
            TopicChoice::All => {
                let seen = |topic: &Topic| self.may(client, TopicRight::Describe, TopicThing::Topic(&topic.name));
                return Ok(self.inner.log.topics().iter().filter(|t| seen(t)).map(|t| Ok(described(t))).collect());
            }
            TopicChoice::These(wanted) => wanted,
        };
        let mut results = Vec::with_capacity(wanted.len());
        for topic in wanted {
            let found = self.topic(client, TopicRight::Describe, topic);
            results.push(match (found, topic) {
                (Ok(topic), _) => Ok(described(&topic)),
                (Err(TopicError::UnknownTopic), TopicRef::Name(name)) => match names::check(name) {
                    Ok(()) if create && self.inner.options.auto_create => self.auto_create(client, name).await,
                    Ok(()) => Err(TopicError::UnknownTopic.into()),
                    Err(failure) => Err(failure),
                },
                (Err(error), _) => Err(error.into()),
            });
        }
        Ok(results)
    }

    async fn create(
        &self,
        client: &TopicClient,
        topics: Vec<NewTopic>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<CreatedTopic>>> {
        let twice = repeated(topics.iter().map(|topic| topic.name.as_str()));
        let mut results = Vec::with_capacity(topics.len());
        for topic in &topics {
            results.push(if twice.contains(topic.name.as_str()) {
                Err(TopicFailure::new(TopicError::InvalidRequest, "the topic is in the request twice"))
            } else {
                self.create_one(client, topic, try_only).await
            });
        }
        Ok(results)
    }

    async fn delete(
        &self,
        client: &TopicClient,
        topics: Vec<TopicRef>,
    ) -> TopicResult<Vec<TopicResult<TopicDescription>>> {
        let mut results = Vec::with_capacity(topics.len());
        for topic in &topics {
            results.push(self.delete_one(client, topic).await);
        }
        Ok(results)
    }

    async fn add_partitions(
        &self,
        client: &TopicClient,
        wishes: Vec<MorePartitions>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        let twice = repeated(wishes.iter().map(|wish| wish.topic.as_str()));
        let mut results = Vec::with_capacity(wishes.len());
        for wish in &wishes {
            results.push(if twice.contains(wish.topic.as_str()) {
                Err(TopicFailure::new(TopicError::InvalidRequest, "the topic is in the request twice"))
            } else {
                self.add_partitions_to(client, wish, try_only).await
            });
        }
        Ok(results)
    }

    async fn configs(
        &self,
        client: &TopicClient,
        resources: Vec<(ConfigResource, Option<Vec<String>>)>,
    ) -> TopicResult<Vec<TopicResult<Vec<ConfigEntry>>>> {
        let one = |(resource, wanted): &(ConfigResource, Option<Vec<String>>)| {
            let wanted = wanted.as_deref();
            match resource {
                ConfigResource::Topic(name) => {
                    let topic = self.topic(client, TopicRight::Describe, &TopicRef::named(name))?;
                    Ok(config::entries(&topic.config, wanted))
                }
                ConfigResource::Server(node) => {
                    self.check_server(client, TopicRight::Describe)?;
                    self.check_node(*node)?;
                    Ok(settings::of_server(&self.inner.options, wanted))
                }
                ConfigResource::Group(name) => {
                    self.check_group(client, TopicRight::Describe, name)?;
                    Ok(settings::of_group(&self.inner.options, wanted))
                }
            }
        };
        Ok(resources.iter().map(one).collect())
    }

    async fn change_configs(
        &self,
        client: &TopicClient,
        changes: Vec<ConfigChange>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        let mut results = Vec::with_capacity(changes.len());
        for change in &changes {
            results.push(self.change_one(client, change, try_only).await);
        }
        Ok(results)
    }
}

fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

impl Streaming {
    fn check_server(&self, client: &TopicClient, right: TopicRight) -> TopicResult<()> {
        let allowed = self.must(client, right, TopicThing::Server);
        if allowed { Ok(()) } else { Err(TopicError::ServerForbidden.into()) }
    }

    fn check_node(&self, node: Option<i32>) -> TopicResult<()> {
        match node {
            Some(node) if node != self.inner.options.node_id => {
                Err(TopicFailure::new(TopicError::InvalidRequest, format!("there is no server {node}")))
            }
            _ => Ok(()),
        }
    }

    /// Makes a topic that somebody asked for and that there is not. Two may ask at once: one makes it, both get it.
    async fn auto_create(&self, client: &TopicClient, name: &str) -> TopicResult<TopicDescription> {
        let allowed = self.may(client, TopicRight::Create, TopicThing::Server)
            || self.must(client, TopicRight::Create, TopicThing::Topic(name));
        if !allowed {
            return Err(TopicError::UnknownTopic.into());
        }
        let new = NewTopic { name: name.to_owned(), ..NewTopic::default() };
        match self.create_one(client, &new, false).await {
            Ok(_) | Err(TopicFailure { error: TopicError::TopicExists, .. }) => {}
            Err(failure) => return Err(failure),
        }
        self.inner.log.topic(name).map(|topic| described(&topic)).ok_or_else(|| TopicError::UnknownTopic.into())
    }

    async fn create_one(&self, client: &TopicClient, new: &NewTopic, try_only: bool) -> TopicResult<CreatedTopic> {
        let (created, entry) = self.new_topic(client, new)?;
        if !try_only {
            self.make(client, &new.name, created.id, vec![entry]).await?;
        }
        Ok(created)
    }

    /// Appends the entries that make a topic, once it is written down whose it is.
    ///
    /// # Errors
    /// `Storage`, and those of the log.
    pub(crate) async fn make(
        &self,
        client: &TopicClient,
        name: &str,
        id: Uuid,
        entries: Vec<Entry>,
    ) -> TopicResult<()> {
        let owned = self.inner.rights.making(&client.caller, name, id).await;
        owned.map_err(|error| TopicFailure::new(TopicError::Storage, error.to_string()))?;
        if let Err(error) = self.inner.log.append(entries).await {
            // Another one may have made it at the same time, with another id.
            self.inner.rights.deleted(id).await;
            return Err(of_append(error));
        }
        Ok(())
    }

    /// A topic that somebody may make, and the entry that makes it.
    ///
    /// # Errors
    /// `TopicForbidden`, `InvalidTopic`, `TopicExists`, `InvalidPartitions`, `InvalidConfig`, and those of assignments.
    pub(crate) fn new_topic(&self, client: &TopicClient, new: &NewTopic) -> TopicResult<(CreatedTopic, Entry)> {
        let allowed = self.may(client, TopicRight::Create, TopicThing::Server)
            || self.must(client, TopicRight::Create, TopicThing::Topic(&new.name));
        if !allowed {
            return Err(TopicError::TopicForbidden.into());
        }
        names::check(&new.name)?;
        if self.inner.log.topic(&new.name).is_some() {
            return Err(TopicFailure::new(TopicError::TopicExists, format!("topic {:?} exists already", new.name)));
        }
        let partitions = self.partitions_of(new)?;
        self.check_room(u64::from(partitions))?;
        let given = config::of_new(&new.config, self.inner.options.message_bytes_max)?;
        let id = Uuid::from_bytes((self.inner.options.random)());
        let created = CreatedTopic { id, partitions, config: config::entries(&given, None) };
        Ok((created, Entry::CreateTopic { name: new.name.clone(), id, partitions, config: given }))
    }

    fn partitions_of(&self, new: &NewTopic) -> TopicResult<u32> {
        let options = &self.inner.options;
        if !new.assignments.is_empty() {
            if new.partitions.is_some() || new.replication.is_some() {
                return Err(TopicFailure::new(
                    TopicError::InvalidRequest,
                    "the servers of each partition are told, and so is their number",
                ));
            }
            self.check_assignments(new.assignments.values())?;
            if new.assignments.keys().zip(0..).any(|(partition, expected)| *partition != expected) {
                return Err(TopicFailure::new(TopicError::InvalidAssignment, "partitions are numbered from 0"));
            }
        }
        if new.replication.is_some_and(|copies| copies != 1) {
            return Err(TopicFailure::new(
                TopicError::InvalidReplication,
                "there is one server, so there is one copy of each partition",
            ));
        }
        let wanted = match (new.partitions, new.assignments.len()) {
            (Some(wanted), _) => i64::from(wanted),
            (None, 0) => i64::from(options.partitions),
            (None, told) => i64::try_from(told).unwrap_or(i64::MAX),
        };
        u32::try_from(wanted).ok().filter(|wanted| (1..=options.partitions_max).contains(wanted)).ok_or_else(|| {
            let message = format!("a topic has from 1 to {} partitions", options.partitions_max);
            TopicFailure::new(TopicError::InvalidPartitions, message)
        })
    }

    fn check_assignments<'a>(&self, mut all: impl Iterator<Item = &'a Vec<i32>>) -> TopicResult<()> {
        if all.any(|servers| servers.as_slice() != [self.inner.options.node_id]) {
            let message = format!("each partition is on one server, {}", self.inner.options.node_id);
            return Err(TopicFailure::new(TopicError::InvalidAssignment, message));
        }
        Ok(())
    }

    /// Whether there may be so many partitions more.
    pub(crate) fn check_room(&self, more: u64) -> TopicResult<()> {
        let now: u64 = self.inner.log.topics().iter().map(|topic| u64::from(topic.partitions)).sum();
        let most = self.inner.options.all_partitions_max;
        if now + more > most {
            let message = format!("all topics together have at most {most} partitions on this server");
            return Err(TopicFailure::new(TopicError::Policy, message));
        }
        Ok(())
    }

    async fn delete_one(&self, client: &TopicClient, topic: &TopicRef) -> TopicResult<TopicDescription> {
        let topic = self.topic(client, TopicRight::Delete, topic)?;
        self.inner.log.append(vec![Entry::DeleteTopic { id: topic.id }]).await.map_err(of_append)?;
        // What groups and transactions have in it goes behind it; a crash in between is made good at the next start.
        let id = topic.id;
        let forgotten = self
            .inner
            .coordination
            .ask(move |coordinator, now_ms| Ok(((), coordinator.forget_topics(now_ms, |gone| gone == id))));
        if let Err(failure) = forgotten.await {
            tracing::warn!(topic = topic.name, %failure, "offsets of a deleted topic are left until the next start");
        }
        self.inner.rights.deleted(id).await;
        Ok(described(&topic))
    }

    async fn add_partitions_to(&self, client: &TopicClient, wish: &MorePartitions, try_only: bool) -> TopicResult<()> {
        // Not while it is divided, which counts its partitions.
        let _one = self.inner.streams.change().await?;
        let topic = self.topic(client, TopicRight::Alter, &TopicRef::named(&wish.topic))?;
        let refuse = |message: String| Err(TopicFailure::new(TopicError::InvalidPartitions, message));
        let most = self.inner.options.partitions_max;
        let total = match u32::try_from(wish.total) {
            Ok(total) if total > most => return refuse(format!("a topic has at most {most} partitions")),
            Ok(total) if total > topic.partitions => total,
            _ => return refuse(format!("topic {:?} has {} partitions already", topic.name, topic.partitions)),
        };
        let more = total - topic.partitions;
        if let Some(assignments) = &wish.assignments {
            self.check_assignments(assignments.iter())?;
            if assignments.len() != more as usize {
                let message = format!("{more} partitions are new, and {} are told", assignments.len());
                return Err(TopicFailure::new(TopicError::InvalidAssignment, message));
            }
        }
        self.check_room(u64::from(more))?;
        if !try_only {
            let entry = Entry::AddPartitions { id: topic.id, total };
            self.inner.log.append(vec![entry]).await.map_err(of_append)?;
        }
        Ok(())
    }

    async fn change_one(&self, client: &TopicClient, change: &ConfigChange, try_only: bool) -> TopicResult<()> {
        let fixed = || TopicFailure::new(TopicError::InvalidConfig, "it is set when the server is started");
        match &change.resource {
            ConfigResource::Topic(name) => {
                let topic = self.topic(client, TopicRight::Alter, &TopicRef::named(name))?;
                let most = self.inner.options.message_bytes_max;
                let after = config::changed(&topic.config, &change.operations, change.replace, most)?;
                if !try_only && after != topic.config {
                    let entry = Entry::SetConfig { id: topic.id, config: after };
                    self.inner.log.append(vec![entry]).await.map_err(of_append)?;
                }
                Ok(())
            }
            ConfigResource::Server(node) => {
                self.check_server(client, TopicRight::Alter)?;
                self.check_node(*node)?;
                if change.operations.is_empty() { Ok(()) } else { Err(fixed()) }
            }
            ConfigResource::Group(name) => {
                self.check_group(client, TopicRight::Alter, name)?;
                if change.operations.is_empty() { Ok(()) } else { Err(fixed()) }
            }
        }
    }
}
