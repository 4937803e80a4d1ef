//! Groups, which read topics together, and how far they have come.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::{TopicClient, TopicPartition, TopicResult};

/// Who speaks within a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberId {
    /// Given by the server; empty before the first join.
    pub id: String,
    /// A static member's own name, under which it comes back after a restart.
    pub instance: Option<String>,
}

/// A wish to take part in a group whose members divide the partitions themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroup {
    pub group: String,
    pub member: MemberId,
    /// A member that is silent for longer is out.
    pub session_timeout: Duration,
    /// What members get to join anew.
    pub rebalance_timeout: Duration,
    pub protocol_type: String,
    /// Ways to divide that the member knows, the best first, each with what it says to the leader.
    pub protocols: Vec<(String, Bytes)>,
    /// A newcomer without an id is first given one, so that clients that go away leave no members behind.
    pub id_first: bool,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    pub member: MemberId,
    pub metadata: Bytes,
}

/// A generation of a group, as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedGroup {
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    /// The member that divides.
    pub leader: String,
    pub member_id: String,
    /// Told to the leader alone.
    pub members: Vec<JoinedMember>,
    /// The leader has come back and finds its division still in force.
    pub skip_assignment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    Group(JoinedGroup),
    /// Join again with this id.
    TakeId(String),
}

/// The leader's division, or a member's wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup {
    pub group: String,
    pub generation: i32,
    pub member: MemberId,
    /// `None`: not told. Otherwise they must be the group's.
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// By member id; empty for all but the leader.
    pub assignments: Vec<(String, Bytes)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedGroup {
    pub protocol_type: String,
    pub protocol: String,
    pub assignment: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavingMember {
    /// With an instance, the id may be empty: an administrator takes it out.
    pub member: MemberId,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// Its members divide the partitions among themselves.
    Classic,
    /// The server divides (KIP-848).
    Consumer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// They wait for the leader's division.
    CompletingRebalance,
    Stable,
    /// The server divides.
    Assigning,
    /// The members have not all taken what they were given.
    Reconciling,
    Dead,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    pub group: String,
    pub kind: GroupKind,
    pub state: GroupState,
    /// `consumer`, `connect`, …; empty if it has none.
    pub protocol_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    pub member: MemberId,
    pub client_id: Arc<str>,
    pub host: Arc<str>,
    pub metadata: Bytes,
    pub assignment: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    pub group: String,
    pub state: GroupState,
    pub protocol_type: String,
    pub protocol: String,
    pub members: Vec<GroupMember>,
}

/// Partitions of one topic, given to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAssignment {
    pub topic: Uuid,
    /// Told in descriptions; empty otherwise.
    pub name: String,
    pub partitions: Vec<i32>,
}

/// A sign of life in a group whose partitions the server divides, which joins, changes and leaves as well. What is `None`
/// has not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    pub group: String,
    pub member: MemberId,
    /// 0 joins, -1 leaves, -2 leaves for a while as a static member.
    pub epoch: i32,
    pub rack: Option<String>,
    pub rebalance_timeout: Option<Duration>,
    pub topics: Option<Vec<String>>,
    pub topics_regex: Option<String>,
    pub assignor: Option<String>,
    pub owned: Option<Vec<TopicAssignment>>,
    /// The client chooses its id itself (version 1 of the protocol). Otherwise an empty one is given one.
    pub own_id: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerHeartbeatAnswer {
    pub member_id: String,
    pub epoch: i32,
    pub interval: Duration,
    /// `None`: as before.
    pub assignment: Option<Vec<TopicAssignment>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerMember {
    pub member: MemberId,
    pub rack: Option<String>,
    pub epoch: i32,
    pub client_id: Arc<str>,
    pub host: Arc<str>,
    pub topics: Vec<String>,
    pub topics_regex: Option<String>,
    pub assignment: Vec<TopicAssignment>,
    pub target: Vec<TopicAssignment>,
    /// Whether it speaks the older protocol.
    pub classic: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDescription {
    pub group: String,
    pub state: GroupState,
    pub epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: String,
    pub members: Vec<ConsumerMember>,
}

/// How far a group has come in one partition: the next record that it will read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetEntry {
    pub of: TopicPartition,
    pub offset: i64,
    /// Of the record before, as the reader knew it.
    pub leader_epoch: Option<i32>,
    /// A note of the reader's own.
    pub metadata: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOffsets {
    pub group: String,
    /// The generation, or the member's epoch; -1, with an empty member id: not as a member.
    pub generation: i32,
    pub member: MemberId,
    pub offsets: Vec<OffsetEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchOffsets {
    pub group: String,
    /// Checked if told: the member and its epoch.
    pub member: Option<(String, i32)>,
    /// `None`: all that the group has.
    pub partitions: Option<Vec<TopicPartition>>,
    /// Refuse with `UnstableOffset` where an open transaction may change the answer.
    pub stable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedOffset {
    pub of: TopicPartition,
    /// `None`: the group has none there.
    pub result: TopicResult<Option<OffsetEntry>>,
}

/// Groups, which read topics together, and how far they have come.
#[async_trait]
pub trait TopicGroups: Send + Sync {
    /// Waits until the group's next generation begins.
    async fn join(&self, client: &TopicClient, join: JoinGroup) -> TopicResult<Joined>;

    /// Waits for the leader's division.
    async fn sync(&self, client: &TopicClient, sync: SyncGroup) -> TopicResult<SyncedGroup>;

    async fn heartbeat(&self, client: &TopicClient, group: &str, generation: i32, member: &MemberId)
    -> TopicResult<()>;

    async fn leave(
        &self,
        client: &TopicClient,
        group: &str,
        members: Vec<LeavingMember>,
    ) -> TopicResult<Vec<TopicResult<()>>>;

    async fn consumer_heartbeat(
        &self,
        client: &TopicClient,
        heartbeat: ConsumerHeartbeat,
    ) -> TopicResult<ConsumerHeartbeatAnswer>;

    /// All that the caller may know of.
    async fn list_groups(&self, client: &TopicClient) -> TopicResult<Vec<GroupListing>>;

    /// A group that there is not is [`GroupState::Dead`] and empty.
    async fn describe_groups(
        &self,
        client: &TopicClient,
        groups: Vec<String>,
    ) -> TopicResult<Vec<TopicResult<GroupDescription>>>;

    /// `UnknownGroup` for one that is classic.
    async fn describe_consumers(
        &self,
        client: &TopicClient,
        groups: Vec<String>,
    ) -> TopicResult<Vec<TopicResult<ConsumerDescription>>>;

    async fn delete_groups(&self, client: &TopicClient, groups: Vec<String>) -> TopicResult<Vec<TopicResult<()>>>;

    /// Durable when it returns.
    async fn commit_offsets(&self, client: &TopicClient, commit: CommitOffsets) -> TopicResult<Vec<TopicResult<()>>>;

    async fn fetch_offsets(&self, client: &TopicClient, fetch: FetchOffsets) -> TopicResult<Vec<FetchedOffset>>;

    async fn delete_offsets(
        &self,
        client: &TopicClient,
        group: &str,
        partitions: Vec<TopicPartition>,
    ) -> TopicResult<Vec<TopicResult<()>>>;
}
