//! What the log says, as the contract says it.

use polder_capability::topics::{TopicError, TopicFailure};
use polder_topic_log::{AppendError, ReadError, Refusal};
use polder_types::{Error, ErrorKind};

/// Why something was not appended.
pub fn of_append(error: AppendError) -> TopicFailure {
    match error {
        AppendError::Refused { refusal, .. } => of_refusal(&refusal),
        AppendError::Failed(error) => of_disk(&error),
    }
}

fn of_refusal(refusal: &Refusal) -> TopicFailure {
    let error = match refusal {
        Refusal::UnknownTopic => TopicError::UnknownTopic,
        Refusal::TopicExists => TopicError::TopicExists,
        Refusal::InvalidPartitions(_) => TopicError::InvalidPartitions,
        Refusal::InvalidConfig(_) => TopicError::InvalidConfig,
        Refusal::CorruptBatch(_) => TopicError::CorruptBatch,
        Refusal::InvalidRecord(_) => TopicError::InvalidRecord,
        Refusal::InvalidTimestamp(_) => TopicError::InvalidTimestamp,
        Refusal::UnsupportedFormat => TopicError::UnsupportedFormat,
        Refusal::TooLarge { .. } => TopicError::TooLarge,
        Refusal::OutOfOrderSequence { .. } => TopicError::OutOfOrderSequence,
        Refusal::InvalidProducerEpoch { .. } => TopicError::InvalidProducerEpoch,
        Refusal::InvalidTransactionState => TopicError::InvalidTransactionState,
        Refusal::OffsetOutOfRange { .. } => TopicError::OffsetOutOfRange,
    };
    TopicFailure::new(error, refusal.to_string())
}

/// Why something was not read.
pub fn of_read(error: &ReadError) -> TopicFailure {
    match error {
        ReadError::UnknownTopic => TopicError::UnknownTopic.into(),
        ReadError::OffsetOutOfRange(_) => TopicFailure::new(TopicError::OffsetOutOfRange, error.to_string()),
        ReadError::Failed(error) => of_disk(error),
    }
}

/// What the log's own error is to a client. Paths and other particulars are for the server's own log.
pub fn of_disk(error: &Error) -> TopicFailure {
    tracing::error!(%error, "the log of topics failed");
    match error.kind() {
        ErrorKind::Exhausted => TopicFailure::new(TopicError::Storage, "the disk is full"),
        ErrorKind::Unavailable | ErrorKind::Cancelled => TopicError::Unavailable.into(),
        _ => TopicFailure::new(TopicError::Storage, "the disk failed"),
    }
}
