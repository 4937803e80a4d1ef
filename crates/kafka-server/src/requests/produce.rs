//! Records that are written. They pass through as they came.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TopicName};
use polder_capability::topics::{
    Acks, Produce, ProduceBatch, Produced, TopicError, TopicFailure, TopicRef, TopicResult,
};

use super::{Ask, millis, partition, to_millis};
use crate::codes;
use crate::reply::{self, Reply};

/// Where a batch says how long it is, what its format is, and how it is compressed.
const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;

/// Bytes before the length counts.
const LENGTH_FROM: usize = 12;

/// The format of batches that is written and read.
const MAGIC: u8 = 2;

const COMPRESSION: u8 = 0b111;
const ZSTD: u8 = 4;

/// From this version on clients know zstd.
const KNOWS_ZSTD: i16 = 7;

pub(super) async fn produce(ask: &Ask, request: ProduceRequest) -> Reply {
    let acks = match request.acks {
        0 => Acks::None,
        1 => Acks::Leader,
        -1 => Acks::All,
        _ => return refuse_all(ask, request),
    };
    let mut batches = Vec::new();
    let mut checked: Vec<(TopicName, i32, TopicResult<()>)> = Vec::new();
    for topic in request.topic_data {
        let named = TopicRef::named(&topic.name);
        for data in topic.partition_data {
            let bytes = data.records.unwrap_or_default();
            let result = check(&bytes, ask.version);
            if result.is_ok() {
                batches.push(ProduceBatch { to: partition(&named, data.index), bytes });
            }
            checked.push((topic.name.clone(), data.index, result));
        }
    }
    let transactional_id = request.transactional_id.map(|id| id.to_string());
    let produce = Produce { transactional_id, acks, timeout: millis(request.timeout_ms), batches };
    let count = produce.batches.len();
    let (throttle, results) = match ask.topics().produce(&ask.client, produce).await {
        Ok(answer) => (answer.throttle, Ok(answer.results)),
        Err(failure) => (Duration::ZERO, Err(failure)),
    };
    let mut written = codes::spread(results, count).into_iter();
    let results = checked.into_iter().map(|(topic, index, checked)| {
        let result = checked.and_then(|()| written.next().unwrap_or_else(|| Err(TopicError::Internal.into())));
        (topic, index, result)
    });
    answer(ask, acks, throttle, results.collect())
}

/// Whether this is one batch of a format that is written. What is in it is checked where it is written.
fn check(bytes: &Bytes, version: i16) -> TopicResult<()> {
    let invalid = |message: &str| Err(TopicFailure::new(TopicError::InvalidRecord, message));
    if bytes.is_empty() {
        return invalid("there is no batch of records");
    }
    let (Some(length), Some(magic)) = (bytes.get(LENGTH_AT..LENGTH_FROM), bytes.get(MAGIC_AT)) else {
        return Err(TopicFailure::new(TopicError::CorruptBatch, "a batch of records is cut off"));
    };
    if *magic != MAGIC {
        return invalid("only batches of records of format 2 are taken, which Kafka 0.11 brought");
    }
    let length = length.try_into().map(i32::from_be_bytes).ok().and_then(|length| usize::try_from(length).ok());
    match length.and_then(|length| length.checked_add(LENGTH_FROM)) {
        Some(length) if length == bytes.len() => {}
        Some(length) if length < bytes.len() => {
            return invalid("there must be one batch of records, and there are more");
        }
        _ => return Err(TopicFailure::new(TopicError::CorruptBatch, "the length of a batch of records is wrong")),
    }
    if version < KNOWS_ZSTD && compression(bytes) == Some(ZSTD) {
        let message = "zstd is taken from version 7 of Produce on";
        return Err(TopicFailure::new(TopicError::UnsupportedCompression, message));
    }
    Ok(())
}

fn compression(batch: &[u8]) -> Option<u8> {
    // Two bytes, of which the second one has it.
    batch.get(ATTRIBUTES_AT + 1).map(|attributes| attributes & COMPRESSION)
}

/// Whether any of the batches is compressed with zstd.
pub(super) fn has_zstd(mut batches: &[u8]) -> bool {
    while let Some(length) = batches.get(LENGTH_AT..LENGTH_FROM).and_then(|length| length.try_into().ok()) {
        if compression(batches) == Some(ZSTD) {
            return true;
        }
        let Ok(length) = usize::try_from(i32::from_be_bytes(length)) else { return false };
        batches = batches.get(LENGTH_FROM + length..).unwrap_or_default();
    }
    false
}

fn refuse_all(ask: &Ask, request: ProduceRequest) -> Reply {
    let failure = TopicFailure::new(TopicError::InvalidAcks, "acks must be 0, 1 or -1");
    let all = request.topic_data.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partition_data.into_iter().map(move |data| (name.clone(), data.index))
    });
    let results = all.map(|(topic, index)| (topic, index, Err(failure.clone()))).collect();
    answer(ask, Acks::All, Duration::ZERO, results)
}

fn answer(ask: &Ask, acks: Acks, throttle: Duration, results: Vec<(TopicName, i32, TopicResult<Produced>)>) -> Reply {
    if acks == Acks::None {
        // Nobody waits for an answer; a client whose connection ends looks for what has changed.
        return match results.iter().find_map(|(_, _, result)| result.as_ref().err()) {
            Some(failure) => Reply::HangUp(format!("records that nobody waits for are refused: {failure}")),
            None => Reply::Frame(Vec::new(), throttle),
        };
    }
    let mut topics: Vec<TopicProduceResponse> = Vec::new();
    for (name, index, result) in results {
        let partition = one(index, &result, ask.version);
        match topics.last_mut() {
            Some(topic) if topic.name == name => topic.partition_responses.push(partition),
            _ => topics.push(TopicProduceResponse::default().with_name(name).with_partition_responses(vec![partition])),
        }
    }
    let response = ProduceResponse::default().with_responses(topics).with_throttle_time_ms(to_millis(throttle));
    reply::encoded(ask.correlation_id, ask.version, &response, throttle)
}

/// From this version on a client knows that a record itself is refused.
const KNOWS_INVALID_RECORD: i16 = 8;

fn one(index: i32, result: &TopicResult<Produced>, version: i16) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match result {
        Ok(produced) => response
            .with_base_offset(produced.base_offset)
            .with_log_append_time_ms(produced.log_append_time.unwrap_or(-1))
            .with_log_start_offset(produced.log_start_offset),
        Err(failure) => {
            let code = match codes::of_partition(result) {
                code if code == ResponseError::InvalidRecord.code() && version < KNOWS_INVALID_RECORD => {
                    ResponseError::CorruptMessage.code()
                }
                code => code,
            };
            response
                .with_error_code(code)
                .with_base_offset(-1)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1)
                .with_error_message(Some(codes::said(failure)))
        }
    }
}
