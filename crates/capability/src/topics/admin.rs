//! Making, changing and describing topics.

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use super::{TopicClient, TopicRef, TopicResult, TopicRight, TopicThing};

/// Which topics are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicChoice {
    /// All that the caller may know of.
    All,
    These(Vec<TopicRef>),
}

/// What there is to know about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: String,
    pub id: Uuid,
    /// They are numbered from 0.
    pub partitions: u32,
    /// Kept by the server for itself.
    pub internal: bool,
}

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTopic {
    pub name: String,
    /// `None`: as many as the server makes by itself.
    pub partitions: Option<i32>,
    /// `None`: the server's own, which is 1.
    pub replication: Option<i16>,
    /// The servers of each partition, if the caller chooses: each must be this one.
    pub assignments: BTreeMap<i32, Vec<i32>>,
    /// A name that comes twice is the caller's mistake, so the order is kept. `None`: the default.
    pub config: Vec<(String, Option<String>)>,
}

/// A topic as it was made, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    pub id: Uuid,
    pub partitions: u32,
    pub config: Vec<ConfigEntry>,
}

/// A wish for more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MorePartitions {
    pub topic: String,
    /// How many there are to be.
    pub total: i32,
    /// The servers of each new one, if the caller chooses.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// What has settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConfigResource {
    Topic(String),
    /// The server itself. `None`: the default of all servers, which is the same here.
    Server(Option<i32>),
    Group(String),
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for this topic or group.
    Own,
    /// Set when the server was started.
    Server,
    Default,
}

/// What a setting's value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigKind {
    Boolean,
    Text,
    Int,
    Long,
    Double,
    List,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: String,
    /// `None`: it has none.
    pub value: Option<String>,
    pub source: ConfigSource,
    pub kind: ConfigKind,
    pub read_only: bool,
    pub documentation: Option<&'static str>,
}

/// What is done to a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOperation {
    Set(String),
    /// Back to the default.
    Reset,
    /// To a list.
    Append(String),
    /// From a list.
    Subtract(String),
}

/// A change of settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    pub resource: ConfigResource,
    /// Whatever is not named goes back to its default.
    pub replace: bool,
    pub operations: Vec<(String, ConfigOperation)>,
}

/// Making, changing and describing topics. Each change is durable when the call returns.
#[async_trait]
pub trait TopicAdmin: Send + Sync {
    /// The name of this installation, the same for ever: 22 letters of URL-safe base64.
    fn cluster_id(&self) -> String;

    /// What the client may do with a thing; `None`: it is not told.
    fn rights_on(&self, _client: &TopicClient, _thing: TopicThing<'_>) -> Option<Vec<TopicRight>> {
        None
    }

    /// What there is. `create`: those that are missing, and named by name, are made, if the caller and the server's
    /// settings let it. The results are in the order of the choice; of all, in the order of names.
    async fn describe(
        &self,
        client: &TopicClient,
        choice: &TopicChoice,
        create: bool,
    ) -> TopicResult<Vec<TopicResult<TopicDescription>>>;

    /// `try_only`: only says what would happen.
    async fn create(
        &self,
        client: &TopicClient,
        topics: Vec<NewTopic>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<CreatedTopic>>>;

    /// Gives what was deleted.
    async fn delete(
        &self,
        client: &TopicClient,
        topics: Vec<TopicRef>,
    ) -> TopicResult<Vec<TopicResult<TopicDescription>>>;

    async fn add_partitions(
        &self,
        client: &TopicClient,
        wishes: Vec<MorePartitions>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>>;

    /// Settings, in the order of names. `None`: all of them; names that are none are passed over.
    async fn configs(
        &self,
        client: &TopicClient,
        resources: Vec<(ConfigResource, Option<Vec<String>>)>,
    ) -> TopicResult<Vec<TopicResult<Vec<ConfigEntry>>>>;

    async fn change_configs(
        &self,
        client: &TopicClient,
        changes: Vec<ConfigChange>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>>;
}
