//! What can go wrong, by its meaning.

use std::fmt;

/// Why a call, or one thing of it, was refused. Each server has its protocol's own code for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicError {
    // Topics and what is in them.
    /// There is no such topic or partition, or the caller may not know.
    UnknownTopic,
    /// No topic has this id (any more).
    UnknownTopicId,
    TopicExists,
    /// No topic can have such a name.
    InvalidTopic,
    InvalidPartitions,
    /// More copies were asked for than there are servers.
    InvalidReplication,
    InvalidAssignment,
    InvalidConfig,
    /// The request contradicts itself, or asks for what there is not.
    InvalidRequest,
    /// A rule of this server forbids it, such as a bound on the number of topics.
    Policy,

    // Records.
    /// Before the first record that is kept, or beyond the last one.
    OffsetOutOfRange,
    /// The checksum, a length or a count of a batch is wrong.
    CorruptBatch,
    /// A batch or a record breaks a rule of its topic, as one without a key in a compacted topic does.
    InvalidRecord,
    /// A batch is larger than its topic takes.
    TooLarge,
    /// The timestamp is further from now than the topic takes.
    InvalidTimestamp,
    /// A batch of an older format, which has no place for what was asked for.
    UnsupportedFormat,
    UnsupportedCompression,
    InvalidAcks,
    OutOfOrderSequence,
    /// A batch that has been written before, so long ago that its offset is not known any more.
    DuplicateSequence,
    /// An older instance of the producer.
    InvalidProducerEpoch,
    /// Nothing is known of this producer (any more).
    UnknownProducer,
    /// The leader epoch that the caller knows is older, or newer, than there is.
    FencedLeaderEpoch,
    UnknownLeaderEpoch,

    // Groups.
    InvalidGroup,
    UnknownGroup,
    /// Only an empty group can be deleted.
    GroupNotEmpty,
    /// Offsets of a topic cannot be deleted while the group reads it.
    GroupSubscribed,
    GroupFull,
    UnknownMember,
    /// The same static member has come from elsewhere since.
    FencedInstance,
    /// Another living member has this instance id.
    UnreleasedInstance,
    IllegalGeneration,
    RebalanceInProgress,
    /// The members have no way to divide partitions in common.
    InconsistentProtocol,
    InvalidSessionTimeout,
    FencedMemberEpoch,
    StaleMemberEpoch,
    UnsupportedAssignor,
    InvalidRegex,
    OffsetMetadataTooLarge,
    /// The offset is part of a transaction that has not ended.
    UnstableOffset,

    // Transactions.
    InvalidTransactionState,
    InvalidTransactionTimeout,
    /// The transactional id belongs to another producer id.
    InvalidProducerMapping,
    /// The last transaction is still being ended: try again.
    ConcurrentTransactions,
    /// A newer instance of the same transactional id has taken over.
    ProducerFenced,
    /// Nothing is wrong with this one, but all were to be done or none, and another was refused.
    NotAttempted,

    // Rights.
    TopicForbidden,
    GroupForbidden,
    TransactionForbidden,
    /// What concerns the whole server.
    ServerForbidden,

    // The server.
    /// The disk is full or fails. Nothing was written; try again.
    Storage,
    /// Starting or stopping: try again.
    Unavailable,
    /// It took longer than the caller would wait.
    TimedOut,
    /// Slow down.
    Throttled,
    Unsupported,
    /// An error of the server's own. Report it.
    Internal,
}

/// A refusal, and what to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFailure {
    pub error: TopicError,
    /// Lower case, no full stop: what, where, what to do. `None`: the error says all.
    pub message: Option<String>,
}

pub type TopicResult<T> = Result<T, TopicFailure>;

impl TopicFailure {
    #[must_use]
    pub fn new(error: TopicError, message: impl Into<String>) -> Self {
        Self { error, message: Some(message.into()) }
    }
}

impl From<TopicError> for TopicFailure {
    fn from(error: TopicError) -> Self {
        Self { error, message: None }
    }
}

impl fmt::Display for TopicFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "{:?}: {message}", self.error),
            None => write!(f, "{:?}", self.error),
        }
    }
}

impl std::error::Error for TopicFailure {}
