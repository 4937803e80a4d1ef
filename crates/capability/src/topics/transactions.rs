//! Producers with an identity, and transactions over partitions and groups' offsets.

use std::time::Duration;

use async_trait::async_trait;

use super::{CommitOffsets, TopicClient, TopicPartition, TopicResult};

/// An instance of a producer. Of two with one id the one with the lower epoch is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitProducer {
    /// `None`: it sends each batch once, and has no transactions.
    pub transactional_id: Option<String>,
    /// A transaction that takes longer is aborted.
    pub timeout: Duration,
    /// Who it was so far, to go on as the next epoch.
    pub current: Option<Producer>,
}

/// Offsets that are committed with a transaction, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionOffsets {
    pub transactional_id: String,
    pub producer: Producer,
    pub commit: CommitOffsets,
}

/// Producers with an identity, and transactions.
#[async_trait]
pub trait TopicTransactions: Send + Sync {
    /// Gives an identity. A transaction that the same transactional id has left open is aborted first.
    async fn init_producer(&self, client: &TopicClient, init: InitProducer) -> TopicResult<Producer>;

    /// Begins the transaction if none is open. All or none of the partitions are added.
    async fn add_to_transaction(
        &self,
        client: &TopicClient,
        transactional_id: &str,
        producer: Producer,
        partitions: Vec<TopicPartition>,
    ) -> TopicResult<Vec<TopicResult<()>>>;

    /// Begins the transaction if none is open.
    async fn add_group_to_transaction(
        &self,
        client: &TopicClient,
        transactional_id: &str,
        producer: Producer,
        group: &str,
    ) -> TopicResult<()>;

    async fn commit_in_transaction(
        &self,
        client: &TopicClient,
        offsets: TransactionOffsets,
    ) -> TopicResult<Vec<TopicResult<()>>>;

    /// Durable in one piece when it returns: the end, all markers, all offsets. The same end again is a success.
    async fn end_transaction(
        &self,
        client: &TopicClient,
        transactional_id: &str,
        producer: Producer,
        commit: bool,
    ) -> TopicResult<()>;
}
