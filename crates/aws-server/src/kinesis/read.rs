//! Records that are read.

use std::sync::Arc;
use std::time::Duration;

use polder_capability::topics::{ReadRecord, ReadShard, ShardRead, ShardStart, Stream, TopicError, TopicRef};

use tokio::sync::OwnedSemaphorePermit;

use super::tokens::Iterator;
use super::{names, show};
use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply};
use crate::value::{Value, map, maybe};

/// Records and bytes of one answer.
const RECORDS_MAX: i64 = 10_000;
const BYTES_MAX: usize = 10 << 20;

/// What a record takes beside its data, about.
const RECORD_BYTES: usize = 512;

/// A record is there as it was read and as it is written, in base64.
const COPIES: usize = 3;

/// How long an answer waits for the room that others take.
const ROOM_TIME: Duration = Duration::from_secs(10);

/// Where a reading begins.
///
/// # Errors
/// `InvalidArgumentException`.
pub fn start(input: &Input<'_>, kind: &str, kind_name: &str, sequence: &str, stream: &Stream) -> ApiResult<ShardStart> {
    let sequence = || {
        let text = input.text(sequence)?.ok_or_else(|| ApiError::argument(format!("{kind} needs a {sequence}")))?;
        text.parse::<i64>().map_err(|_| {
            let stream = &stream.name;
            ApiError::argument(format!("{sequence} {text} is not one of stream {stream}"))
        })
    };
    match kind {
        "TRIM_HORIZON" => Ok(ShardStart::TrimHorizon),
        "LATEST" => Ok(ShardStart::Latest),
        "AT_SEQUENCE_NUMBER" => Ok(ShardStart::At(sequence()?)),
        "AFTER_SEQUENCE_NUMBER" => Ok(ShardStart::After(sequence()?)),
        "AT_TIMESTAMP" => {
            let time = input.time("Timestamp")?;
            Ok(ShardStart::Timestamp(time.ok_or_else(|| ApiError::argument("AT_TIMESTAMP needs a Timestamp"))?))
        }
        _ => {
            let kind: String = kind.chars().take(100).collect();
            Err(ApiError::argument(format!("Invalid {kind_name}: {kind}")))
        }
    }
}

impl Call {
    pub(super) async fn start_at(&self, stream: &Stream, shard: u32, start: ShardStart) -> ApiResult<i64> {
        let named = TopicRef::Id(stream.id);
        let sequence = self.house.contracts.shards.start_at(&self.client, &named, shard, start).await;
        sequence.map_err(|failure| match failure.error {
            TopicError::OffsetOutOfRange => ApiError::argument(failure.message.unwrap_or_default()),
            _ => ApiError::of_topic(failure, &stream.name),
        })
    }
}

pub async fn iterator(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["ShardId", "ShardIteratorType", "StartingSequenceNumber", "Timestamp"])?;
    let stream = call.stream(&input)?;
    let shard = show::numbered(&stream, input.needs_text("ShardId")?)?;
    let kind = input.needs_text("ShardIteratorType")?;
    let start = start(&input, kind, "ShardIteratorType", "StartingSequenceNumber", &stream)?;
    let sequence = call.start_at(&stream, shard, start).await?;
    let made_ms = call.house.contracts.clock.now().timestamp_millis();
    let iterator = Iterator { stream: stream.id, shard, sequence, made_ms };
    Ok(Reply::Value(map([("ShardIterator", iterator.write().into())])))
}

pub fn record(record: ReadRecord) -> Value {
    map([
        ("SequenceNumber", record.sequence.to_string().into()),
        ("ApproximateArrivalTimestamp", Value::Time(record.timestamp_ms)),
        ("Data", Value::Blob(record.data)),
        ("PartitionKey", record.partition_key.into()),
        ("EncryptionType", "NONE".into()),
    ])
}

/// Those that go on at the end of a shard; `Null` where it is not the end.
pub fn children(read: &ShardRead) -> Value {
    match read.next {
        Some(_) => Value::Null,
        None => Value::List(read.children.iter().map(show::child).collect()),
    }
}

pub async fn records(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["ShardIterator", "Limit", "StreamARN"])?;
    let now_ms = call.house.contracts.clock.now().timestamp_millis();
    let iterator = Iterator::read(input.needs_text("ShardIterator")?, now_ms)?;
    let limit = input.bounded("Limit", 1..=RECORDS_MAX)?.unwrap_or(RECORDS_MAX);
    if let Some(arn) = input.text("StreamARN")?
        && call.stream_named(names::stream_of(arn)?)?.id != iterator.stream
    {
        return Err(ApiError::argument("the iterator is one of another stream than StreamARN names"));
    }
    let mut room = room(call).await?;
    let wanted = ReadShard {
        stream: iterator.stream,
        shard: iterator.shard,
        sequence: iterator.sequence,
        records_max: usize::try_from(limit).unwrap_or_default(),
        bytes_max: BYTES_MAX,
        wait_max: Duration::ZERO,
        shared: true,
    };
    let read = call.house.contracts.shards.read_shard(&call.client, &wanted).await;
    let read = read.map_err(|failure| ApiError::of_topic(failure, "of the iterator"))?;
    let bytes: usize = read.records.iter().map(|record| RECORD_BYTES + record.data.len()).sum();
    drop(room.split(room.num_permits().saturating_sub(COPIES * bytes)));
    let children = children(&read);
    let next = read.next.map(|sequence| Iterator { sequence, made_ms: now_ms, ..iterator }.write());
    let records: Vec<Value> = read.records.into_iter().map(record).collect();
    let answer = map([
        ("Records", records.into()),
        ("NextShardIterator", maybe(next)),
        ("MillisBehindLatest", read.behind_ms.into()),
        ("ChildShards", children),
    ]);
    Ok(Reply::Records(answer, room))
}

/// Room for the largest answer, until it is known how large this one is.
async fn room(call: &Call) -> ApiResult<OwnedSemaphorePermit> {
    let most = u32::try_from(COPIES * BYTES_MAX).unwrap_or(u32::MAX);
    let room = Arc::clone(&call.house.answers).acquire_many_owned(most);
    match tokio::time::timeout(ROOM_TIME, room).await {
        Ok(Ok(room)) => Ok(room),
        _ => Err(ApiError::unavailable()),
    }
}
