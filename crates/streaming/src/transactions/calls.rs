//! Producers and transactions, as servers of protocols call them.

use async_trait::async_trait;
use polder_capability::topics::{
    InitProducer, Producer, TopicClient, TopicError, TopicPartition, TopicResult, TopicRight, TopicTransactions,
    TransactionOffsets,
};

use crate::Streaming;
use crate::groups::merged;

#[async_trait]
impl TopicTransactions for Streaming {
    async fn init_producer(&self, client: &TopicClient, init: InitProducer) -> TopicResult<Producer> {
        if let Some(id) = &init.transactional_id {
            self.check_transaction(client, TopicRight::Write, id)?;
        }
        let given = self.inner.coordination.end(move |coordinator, now_ms, ticket| {
            let (transactions, mut around, _) = coordinator.with_around(now_ms);
            transactions.init(&mut around, ticket, &init)
        });
        given.await
    }

    async fn add_to_transaction(
        &self,
        client: &TopicClient,
        transactional_id: &str,
        producer: Producer,
        partitions: Vec<TopicPartition>,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        self.check_transaction(client, TopicRight::Write, transactional_id)?;
        let places = self.places(client, TopicRight::Write, &partitions);
        if places.iter().any(Result::is_err) {
            // All or none: those that could be added are told that they were not tried.
            let untried = |_| Err(TopicError::NotAttempted.into());
            return Ok(places.into_iter().map(|place| place.and_then(untried)).collect());
        }
        let added: Vec<_> = places.iter().flatten().copied().collect();
        let id = transactional_id.to_owned();
        let begun = self.inner.coordination.ask(move |coordinator, now_ms| {
            Ok(((), coordinator.transactions.add_places(now_ms, &id, producer, added)?))
        });
        begun.await?;
        Ok(places.into_iter().map(|_| Ok(())).collect())
    }

    async fn add_group_to_transaction(
        &self,
        client: &TopicClient,
        transactional_id: &str,
        producer: Producer,
        group: &str,
    ) -> TopicResult<()> {
        self.check_transaction(client, TopicRight::Write, transactional_id)?;
        self.check_group(client, TopicRight::Read, group)?;
        let (id, group) = (transactional_id.to_owned(), group.to_owned());
        let begun = self.inner.coordination.ask(move |coordinator, now_ms| {
            Ok(((), coordinator.transactions.add_group(now_ms, &id, producer, &group)?))
        });
        begun.await
    }

    async fn commit_in_transaction(
        &self,
        client: &TopicClient,
        offsets: TransactionOffsets,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        let TransactionOffsets { transactional_id, producer, commit } = offsets;
        self.check_transaction(client, TopicRight::Write, &transactional_id)?;
        let (places, commit) = self.commit_of(client, commit)?;
        let pending = self.inner.coordination.ask(move |coordinator, now_ms| {
            let (transactions, around, _) = coordinator.with_around(now_ms);
            transactions.commit_offsets(now_ms, &transactional_id, producer, commit, around.groups)
        });
        Ok(merged(places, pending.await?))
    }

    async fn end_transaction(
        &self,
        client: &TopicClient,
        transactional_id: &str,
        producer: Producer,
        commit: bool,
    ) -> TopicResult<()> {
        self.check_transaction(client, TopicRight::Write, transactional_id)?;
        let id = transactional_id.to_owned();
        let ended = self.inner.coordination.end(move |coordinator, now_ms, ticket| {
            let (transactions, mut around, _) = coordinator.with_around(now_ms);
            transactions.end(&mut around, ticket, &id, producer, commit)
        });
        ended.await.map(drop)
    }
}
