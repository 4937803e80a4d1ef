//! How fast clients may go.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{TopicClient, TopicResult};

/// Whom a quota is for, in one respect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QuotaName {
    /// The respect does not count.
    Any,
    /// Everybody who has none of their own.
    Default,
    Name(String),
}

/// Whom a quota is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaKey {
    pub user: QuotaName,
    pub client_id: QuotaName,
}

/// A quota: `producer_byte_rate` and `consumer_byte_rate` in bytes a second, `request_percentage`, …
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    pub key: QuotaKey,
    pub values: BTreeMap<String, f64>,
}

/// A change of a quota. A value of `None` takes it away.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaChange {
    pub key: QuotaKey,
    pub values: Vec<(String, Option<f64>)>,
}

/// How fast clients may go.
#[async_trait]
pub trait TopicQuotas: Send + Sync {
    async fn quotas(&self, client: &TopicClient) -> TopicResult<Vec<Quota>>;

    async fn change_quotas(
        &self,
        client: &TopicClient,
        changes: Vec<QuotaChange>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>>;
}
