//! Topics as a request reaches them: who asks, what there is, and what a refusal means here.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use polder_capability::Caller;
use polder_capability::deliveries::Deliveries;
use polder_capability::schemas::SchemaRegistry;
use polder_capability::topics::{
    FetchOffsets, OffsetEntry, PartitionBounds, TopicClient, TopicDescription, TopicError, TopicFailure, TopicRows,
    TopicStore, Topics, partition_bounds,
};
use polder_types::{Error, ErrorKind, Result};

use crate::error::UNDEFINED_OBJECT;
use crate::state::AppState;

/// What the server translates to, of topics.
#[derive(Clone)]
pub struct StreamServices {
    pub topics: Arc<dyn Topics>,
    pub rows: Arc<dyn TopicRows>,
    pub store: Arc<dyn TopicStore>,
    /// `None`: nothing is delivered.
    pub deliveries: Option<Arc<dyn Deliveries>>,
    /// Where Kafka's clients find the server; `None`: nowhere.
    pub kafka: Option<SocketAddr>,
}

/// A refusal in the API's words. `what`: the thing, as in `topic "clicks"`.
pub(crate) fn refused(failure: TopicFailure, what: &str) -> Error {
    let kind = kind_of(failure.error);
    let message = match (kind, failure.message) {
        (ErrorKind::NotFound, _) => format!("there is no {what}"),
        (_, Some(message)) => message,
        (ErrorKind::AlreadyExists, None) => format!("there is a {what} already"),
        (ErrorKind::Forbidden, None) => format!("permission denied for {what}"),
        (_, None) => format!("{what}: {:?}", failure.error),
    };
    let error = Error::new(kind, message);
    match failure.error {
        TopicError::UnknownTopic | TopicError::UnknownTopicId | TopicError::UnknownGroup => {
            error.with_code(UNDEFINED_OBJECT)
        }
        TopicError::GroupNotEmpty => error.with_hint("stop its members first"),
        _ => error,
    }
}

const fn kind_of(error: TopicError) -> ErrorKind {
    match error {
        TopicError::UnknownTopic | TopicError::UnknownTopicId | TopicError::UnknownGroup => ErrorKind::NotFound,
        TopicError::TopicExists => ErrorKind::AlreadyExists,
        TopicError::InvalidTopic
        | TopicError::InvalidPartitions
        | TopicError::InvalidReplication
        | TopicError::InvalidAssignment
        | TopicError::InvalidConfig
        | TopicError::InvalidRequest
        | TopicError::InvalidGroup
        | TopicError::OffsetOutOfRange
        | TopicError::Policy => ErrorKind::InvalidInput,
        TopicError::TopicForbidden
        | TopicError::GroupForbidden
        | TopicError::TransactionForbidden
        | TopicError::ServerForbidden => ErrorKind::Forbidden,
        TopicError::GroupNotEmpty | TopicError::GroupSubscribed => ErrorKind::Conflict,
        TopicError::Storage => ErrorKind::Exhausted,
        TopicError::Unavailable | TopicError::TimedOut | TopicError::Throttled => ErrorKind::Unavailable,
        TopicError::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Internal,
    }
}

pub(crate) fn no_such_topic(name: &str) -> Error {
    Error::not_found(format!("there is no topic {name:?}")).with_code(UNDEFINED_OBJECT)
}

impl AppState {
    /// # Errors
    /// `Unsupported`: this server has no topics.
    pub fn streams(&self) -> Result<&StreamServices> {
        self.streams.as_ref().ok_or_else(|| Error::new(ErrorKind::Unsupported, "this server has no topics"))
    }
}

/// Topics, as somebody sees them.
pub(crate) struct Seen<'a> {
    pub services: &'a StreamServices,
    pub schemas: Option<&'a Arc<dyn SchemaRegistry>>,
    pub client: TopicClient,
}

impl<'a> Seen<'a> {
    pub fn new(app: &'a AppState, caller: Caller) -> Result<Self> {
        let client = TopicClient { caller, client_id: "console".into(), host: "".into() };
        Ok(Self { services: app.streams()?, schemas: app.schemas.as_ref(), client })
    }

    /// The bounds of all partitions of some topics, by name and number.
    ///
    /// # Errors
    /// Those of a call that fails as a whole. A topic that went away meanwhile has none.
    pub async fn bounds(&self, topics: &[TopicDescription]) -> Result<HashMap<(String, i32), PartitionBounds>> {
        let found = partition_bounds(&*self.services.topics, &self.client, topics).await;
        found.map_err(|failure| refused(failure, "topic"))
    }

    /// How far a group has come, by the topics' names.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn committed(&self, group: &str) -> Result<Vec<OffsetEntry>> {
        let asked = FetchOffsets { group: group.to_owned(), member: None, partitions: None, stable: false };
        let found = self.services.topics.fetch_offsets(&self.client, asked).await;
        let found = found.map_err(|failure| refused(failure, &format!("group {group:?}")))?;
        Ok(found.into_iter().filter_map(|found| found.result.ok().flatten()).collect())
    }
}

pub(crate) fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// A time in milliseconds since 1970, as far as the calendar goes.
pub(crate) fn moment(millis: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
}
