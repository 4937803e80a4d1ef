//! Topics: their names, settings, and how they are made, changed and described.

mod admin;
mod config;
mod names;
mod settings;

use std::sync::Arc;

use polder_capability::topics::{
    TopicClient, TopicError, TopicNames, TopicPartition, TopicRef, TopicResult, TopicRight, TopicThing,
};
use polder_topic_log::Topic;
use uuid::Uuid;

use crate::Streaming;
use crate::spaces::Place;

impl TopicNames for Streaming {
    fn id_of(&self, topic: &str) -> Option<Uuid> {
        self.inner.log.topic(topic).map(|topic| topic.id)
    }

    fn all(&self) -> Vec<(String, Uuid)> {
        self.inner.log.topics().iter().map(|topic| (topic.name.clone(), topic.id)).collect()
    }
}

impl Streaming {
    pub(crate) fn may(&self, client: &TopicClient, right: TopicRight, thing: TopicThing<'_>) -> bool {
        self.inner.rights.may(&client.caller, right, thing)
    }

    /// Asks for the sake of a request that is refused if the answer is no.
    pub(crate) fn must(&self, client: &TopicClient, right: TopicRight, thing: TopicThing<'_>) -> bool {
        let may = self.may(client, right, thing);
        if !may {
            self.inner.rights.refused(client, right, thing);
        }
        may
    }

    /// # Errors
    /// `GroupForbidden`.
    pub(crate) fn check_group(&self, client: &TopicClient, right: TopicRight, group: &str) -> Result<(), TopicError> {
        if self.must(client, right, TopicThing::Group(group)) { Ok(()) } else { Err(TopicError::GroupForbidden) }
    }

    /// # Errors
    /// `TransactionForbidden`.
    pub(crate) fn check_transaction(
        &self,
        client: &TopicClient,
        right: TopicRight,
        id: &str,
    ) -> Result<(), TopicError> {
        let allowed = self.must(client, right, TopicThing::Transaction(id));
        if allowed { Ok(()) } else { Err(TopicError::TransactionForbidden) }
    }

    /// A topic, for somebody who has a right to it. Whether it exists is told to nobody else.
    ///
    /// # Errors
    /// `UnknownTopic`, `UnknownTopicId`, `TopicForbidden`.
    pub(crate) fn topic(
        &self,
        client: &TopicClient,
        right: TopicRight,
        topic: &TopicRef,
    ) -> Result<Arc<Topic>, TopicError> {
        match topic {
            TopicRef::Name(name) => {
                if !self.must(client, right, TopicThing::Topic(name)) {
                    return Err(TopicError::TopicForbidden);
                }
                self.inner.log.topic(name).ok_or(TopicError::UnknownTopic)
            }
            TopicRef::Id(id) => {
                let topic = self.inner.log.topic_by_id(*id).ok_or(TopicError::UnknownTopicId)?;
                if self.must(client, right, TopicThing::Topic(&topic.name)) {
                    Ok(topic)
                } else if self.may(client, TopicRight::Describe, TopicThing::Topic(&topic.name)) {
                    Err(TopicError::TopicForbidden)
                } else {
                    Err(TopicError::UnknownTopicId)
                }
            }
        }
    }

    /// A partition, for somebody who has a right to its topic.
    ///
    /// # Errors
    /// As [`Streaming::topic`].
    pub(crate) fn place(
        &self,
        client: &TopicClient,
        right: TopicRight,
        of: &TopicPartition,
    ) -> Result<(Arc<Topic>, u32), TopicError> {
        let topic = self.topic(client, right, &of.topic)?;
        let partition = u32::try_from(of.partition).map_err(|_| TopicError::UnknownTopic)?;
        if partition < topic.partitions { Ok((topic, partition)) } else { Err(TopicError::UnknownTopic) }
    }

    /// The same for many, as the coordinators know partitions.
    pub(crate) fn places(
        &self,
        client: &TopicClient,
        right: TopicRight,
        all: &[TopicPartition],
    ) -> Vec<TopicResult<Place>> {
        let place = |of| self.place(client, right, of).map(|(topic, _)| (topic.id, of.partition));
        all.iter().map(|of| place(of).map_err(Into::into)).collect()
    }
}
