//! Kafka's numbers for what went wrong.

use kafka_protocol::error::ResponseError as Code;
use kafka_protocol::protocol::StrBytes;
use polder_capability::topics::{TopicError, TopicFailure, TopicResult};

/// Kafka's code for the meaning of an error.
pub(crate) const fn code(error: TopicError) -> Code {
    match error {
        TopicError::UnknownTopic => Code::UnknownTopicOrPartition,
        TopicError::UnknownTopicId => Code::UnknownTopicId,
        TopicError::TopicExists => Code::TopicAlreadyExists,
        TopicError::InvalidTopic => Code::InvalidTopicException,
        TopicError::InvalidPartitions => Code::InvalidPartitions,
        TopicError::InvalidReplication => Code::InvalidReplicationFactor,
        TopicError::InvalidAssignment => Code::InvalidReplicaAssignment,
        TopicError::InvalidConfig => Code::InvalidConfig,
        TopicError::InvalidRequest => Code::InvalidRequest,
        TopicError::Policy => Code::PolicyViolation,
        TopicError::OffsetOutOfRange => Code::OffsetOutOfRange,
        TopicError::CorruptBatch => Code::CorruptMessage,
        TopicError::InvalidRecord => Code::InvalidRecord,
        TopicError::TooLarge => Code::MessageTooLarge,
        TopicError::InvalidTimestamp => Code::InvalidTimestamp,
        TopicError::UnsupportedFormat => Code::UnsupportedForMessageFormat,
        TopicError::UnsupportedCompression => Code::UnsupportedCompressionType,
        TopicError::InvalidAcks => Code::InvalidRequiredAcks,
        TopicError::OutOfOrderSequence => Code::OutOfOrderSequenceNumber,
        TopicError::DuplicateSequence => Code::DuplicateSequenceNumber,
        TopicError::InvalidProducerEpoch => Code::InvalidProducerEpoch,
        TopicError::UnknownProducer => Code::UnknownProducerId,
        TopicError::FencedLeaderEpoch => Code::FencedLeaderEpoch,
        TopicError::UnknownLeaderEpoch => Code::UnknownLeaderEpoch,
        TopicError::InvalidGroup => Code::InvalidGroupId,
        TopicError::UnknownGroup => Code::GroupIdNotFound,
        TopicError::GroupNotEmpty => Code::NonEmptyGroup,
        TopicError::GroupSubscribed => Code::GroupSubscribedToTopic,
        TopicError::GroupFull => Code::GroupMaxSizeReached,
        TopicError::UnknownMember => Code::UnknownMemberId,
        TopicError::FencedInstance => Code::FencedInstanceId,
        TopicError::UnreleasedInstance => Code::UnreleasedInstanceId,
        TopicError::IllegalGeneration => Code::IllegalGeneration,
        TopicError::RebalanceInProgress => Code::RebalanceInProgress,
        TopicError::InconsistentProtocol => Code::InconsistentGroupProtocol,
        TopicError::InvalidSessionTimeout => Code::InvalidSessionTimeout,
        TopicError::FencedMemberEpoch => Code::FencedMemberEpoch,
        TopicError::StaleMemberEpoch => Code::StaleMemberEpoch,
        TopicError::UnsupportedAssignor => Code::UnsupportedAssignor,
        TopicError::InvalidRegex => Code::InvalidRegularExpression,
        TopicError::OffsetMetadataTooLarge => Code::OffsetMetadataTooLarge,
        TopicError::UnstableOffset => Code::UnstableOffsetCommit,
        TopicError::InvalidTransactionState => Code::InvalidTxnState,
        TopicError::InvalidTransactionTimeout => Code::InvalidTransactionTimeout,
        TopicError::InvalidProducerMapping => Code::InvalidProducerIdMapping,
        TopicError::ConcurrentTransactions => Code::ConcurrentTransactions,
        TopicError::ProducerFenced => Code::ProducerFenced,
        TopicError::NotAttempted => Code::OperationNotAttempted,
        TopicError::TopicForbidden => Code::TopicAuthorizationFailed,
        TopicError::GroupForbidden => Code::GroupAuthorizationFailed,
        TopicError::TransactionForbidden => Code::TransactionalIdAuthorizationFailed,
        TopicError::ServerForbidden => Code::ClusterAuthorizationFailed,
        TopicError::Storage => Code::KafkaStorageError,
        TopicError::Unavailable => Code::CoordinatorNotAvailable,
        TopicError::TimedOut => Code::RequestTimedOut,
        TopicError::Throttled => Code::ThrottlingQuotaExceeded,
        TopicError::Unsupported => Code::UnsupportedVersion,
        TopicError::Internal => Code::UnknownServerError,
    }
}

/// The code of a result, 0 for a success.
pub(crate) fn of<T>(result: &TopicResult<T>) -> i16 {
    result.as_ref().err().map_or(0, of_failure)
}

pub(crate) fn of_failure(failure: &TopicFailure) -> i16 {
    code(failure.error).code()
}

/// The code of a result about a partition: one that cannot be served now has no leader, rather than no coordinator.
pub(crate) fn of_partition<T>(result: &TopicResult<T>) -> i16 {
    match result {
        Err(failure) if failure.error == TopicError::Unavailable => Code::LeaderNotAvailable.code(),
        result => of(result),
    }
}

/// What is said about a failure; `None` for a success.
pub(crate) fn message<T>(result: &TopicResult<T>) -> Option<StrBytes> {
    result.as_ref().err().map(said)
}

pub(crate) fn said(failure: &TopicFailure) -> StrBytes {
    let text = failure.message.clone().unwrap_or_else(|| code(failure.error).to_string());
    StrBytes::from_string(text)
}

/// One result for each of so many things: a failure of the whole is that of each.
pub(crate) fn spread<T>(whole: TopicResult<Vec<TopicResult<T>>>, count: usize) -> Vec<TopicResult<T>> {
    let (mut results, rest) = match whole {
        Ok(results) => (results, TopicError::Internal.into()),
        Err(failure) => (Vec::new(), failure),
    };
    results.truncate(count);
    results.extend((results.len()..count).map(|_| Err::<T, TopicFailure>(rest.clone())).collect::<Vec<_>>());
    results
}
