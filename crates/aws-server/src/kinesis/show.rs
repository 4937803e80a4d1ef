//! Streams and shards as they are described and listed.

use polder_capability::topics::{Shard, Stream};

use super::filter::Filter;
use super::{names, tokens};
use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply};
use crate::value::{Value, map, maybe};

/// Streams in one answer, where nobody says otherwise.
const STREAMS: i64 = 100;

/// Shards in one answer, where nobody says otherwise.
const DESCRIBED_SHARDS: i64 = 100;
const LISTED_SHARDS: i64 = 1_000;

/// What AWS lets an account have in its large regions.
const SHARD_LIMIT: i64 = 6_000;
const ON_DEMAND_LIMIT: i64 = 50;

/// For ever, in the hours of a year.
const HOURS_MAX: i64 = 8_760;

pub fn shard(shard: &Shard) -> Value {
    let sequences = map([
        ("StartingSequenceNumber", shard.first_sequence.to_string().into()),
        ("EndingSequenceNumber", maybe(shard.last_sequence.map(|last| last.to_string()))),
    ]);
    map([
        ("ShardId", names::shard_id(shard.number).into()),
        ("ParentShardId", maybe(shard.parent.map(names::shard_id))),
        ("AdjacentParentShardId", maybe(shard.adjacent_parent.map(names::shard_id))),
        ("HashKeyRange", hashes(shard)),
        ("SequenceNumberRange", sequences),
    ])
}

fn hashes(shard: &Shard) -> Value {
    map([
        ("StartingHashKey", shard.first_hash.to_string().into()),
        ("EndingHashKey", shard.last_hash.to_string().into()),
    ])
}

/// A shard as one that goes on where others end.
pub fn child(shard: &Shard) -> Value {
    let parents = [shard.parent, shard.adjacent_parent].into_iter().flatten().map(names::shard_id);
    map([
        ("ShardId", names::shard_id(shard.number).into()),
        ("ParentShards", parents.collect::<Vec<_>>().into()),
        ("HashKeyRange", hashes(shard)),
    ])
}

fn mode(stream: &Stream) -> Value {
    map([("StreamMode", if stream.on_demand { "ON_DEMAND" } else { "PROVISIONED" }.into())])
}

fn metrics(stream: &Stream) -> Value {
    vec![map([("ShardLevelMetrics", stream.metrics.clone().into())])].into()
}

fn hours(stream: &Stream) -> Value {
    stream.retention_hours.unwrap_or(HOURS_MAX).into()
}

fn open(stream: &Stream) -> usize {
    stream.shards.iter().filter(|shard| shard.is_open()).count()
}

pub fn describe(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["Limit", "ExclusiveStartShardId"])?;
    let stream = call.stream(&input)?;
    let limit = input.bounded("Limit", 1..=10_000)?.unwrap_or(DESCRIBED_SHARDS);
    let after = input.text("ExclusiveStartShardId")?.map(|id| numbered(&stream, id)).transpose()?;
    let mut left = stream.shards.iter().filter(|shard| after.is_none_or(|after| shard.number > after));
    let page: Vec<Value> = left.by_ref().take(usize::try_from(limit).unwrap_or_default()).map(shard).collect();
    let description = map([
        ("StreamName", stream.name.as_str().into()),
        ("StreamARN", call.arn(&stream.name).into()),
        ("StreamStatus", "ACTIVE".into()),
        ("StreamModeDetails", mode(&stream)),
        ("Shards", page.into()),
        ("HasMoreShards", left.next().is_some().into()),
        ("RetentionPeriodHours", hours(&stream)),
        ("StreamCreationTimestamp", Value::Time(stream.created_ms)),
        ("EnhancedMonitoring", metrics(&stream)),
        ("EncryptionType", "NONE".into()),
    ]);
    Ok(Reply::Value(map([("StreamDescription", description)])))
}

pub fn summary(call: &Call) -> ApiResult<Reply> {
    let stream = call.stream(&call.members(&[])?)?;
    let description = map([
        ("StreamName", stream.name.as_str().into()),
        ("StreamARN", call.arn(&stream.name).into()),
        ("StreamStatus", "ACTIVE".into()),
        ("StreamModeDetails", mode(&stream)),
        ("RetentionPeriodHours", hours(&stream)),
        ("StreamCreationTimestamp", Value::Time(stream.created_ms)),
        ("EnhancedMonitoring", metrics(&stream)),
        ("EncryptionType", "NONE".into()),
        ("OpenShardCount", open(&stream).into()),
        ("ConsumerCount", stream.consumers.len().into()),
        ("MaxRecordSizeInKiB", (stream.record_bytes_max >> 10).into()),
    ]);
    Ok(Reply::Value(map([("StreamDescriptionSummary", description)])))
}

pub fn streams(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["Limit", "ExclusiveStartStreamName", "NextToken"])?;
    let limit = usize::try_from(input.bounded("Limit", 1..=10_000)?.unwrap_or(STREAMS)).unwrap_or_default();
    let token = input.text("NextToken")?.map(tokens::read_page).transpose()?;
    let after = token.map(|(_, after)| after);
    let after = after.as_deref().or(input.text("ExclusiveStartStreamName")?);
    let all = call.house.contracts.shards.streams(&call.client);
    let mut left = all.iter().filter(|stream| after.is_none_or(|after| stream.name.as_str() > after));
    let page: Vec<&Stream> = left.by_ref().take(limit).collect();
    let more = left.next().is_some();
    let summary = |stream: &&Stream| {
        map([
            ("StreamName", stream.name.as_str().into()),
            ("StreamARN", call.arn(&stream.name).into()),
            ("StreamStatus", "ACTIVE".into()),
            ("StreamModeDetails", mode(stream)),
            ("StreamCreationTimestamp", Value::Time(stream.created_ms)),
        ])
    };
    let last = page.last().filter(|_| more).map(|last| tokens::write_page("", &last.name));
    Ok(Reply::Value(map([
        ("StreamNames", page.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().into()),
        ("HasMoreStreams", more.into()),
        ("NextToken", maybe(last)),
        ("StreamSummaries", page.iter().map(summary).collect::<Vec<_>>().into()),
    ])))
}

/// The number of a shard that the stream has.
///
/// # Errors
/// `ResourceNotFoundException`.
pub fn numbered(stream: &Stream, id: &str) -> ApiResult<u32> {
    let number = names::shard_number(id).filter(|number| stream.shards.iter().any(|shard| shard.number == *number));
    number.ok_or_else(|| {
        let account = crate::error::ACCOUNT;
        ApiError::not_found(format!("Shard {id} in stream {} under account {account} does not exist", stream.name))
    })
}

pub fn shards(call: &Call) -> ApiResult<Reply> {
    let names = ["NextToken", "ExclusiveStartShardId", "MaxResults", "StreamCreationTimestamp", "ShardFilter"];
    let input = call.members(&names)?;
    let token = input.text("NextToken")?.map(tokens::read_page).transpose()?;
    let (stream, after, filter) = match token {
        Some((stream, place)) => {
            let (after, filter) = Filter::read_place(&place).ok_or_else(tokens::invalid)?;
            (call.stream_named(&stream)?, Some(after), filter)
        }
        None => {
            let stream = call.stream(&input)?;
            let after = input.text("ExclusiveStartShardId")?.map(|after| numbered(&stream, after)).transpose()?;
            (stream, after, Filter::All)
        }
    };
    // Of several streams that had the name one after the other, there is one.
    if input.time("StreamCreationTimestamp")?.is_some_and(|time| time / 1_000 != stream.created_ms / 1_000) {
        return Err(ApiError::no_stream(&stream.name));
    }
    let filter = Filter::of(&input, &stream)?.unwrap_or(filter);
    let limit = usize::try_from(input.bounded("MaxResults", 1..=10_000)?.unwrap_or(LISTED_SHARDS)).unwrap_or_default();
    let wanted = filter.wanted(&stream);
    let mut left = wanted.filter(|shard| after.is_none_or(|after| shard.number > after));
    let page: Vec<&Shard> = left.by_ref().take(limit).collect();
    let last = page.last().filter(|_| left.next().is_some());
    let next = last.map(|last| tokens::write_page(&stream.name, &filter.write_place(last.number)));
    let page: Vec<Value> = page.into_iter().map(shard).collect();
    Ok(Reply::Value(map([("Shards", page.into()), ("NextToken", maybe(next))])))
}

pub fn limits(call: &Call) -> ApiResult<Reply> {
    Input::of(&call.input)?.only(&[])?;
    let all = call.house.contracts.shards.streams(&call.client);
    let provisioned = all.iter().filter(|stream| !stream.on_demand);
    Ok(Reply::Value(map([
        ("ShardLimit", SHARD_LIMIT.into()),
        ("OpenShardCount", provisioned.map(open).sum::<usize>().into()),
        ("OnDemandStreamCount", all.iter().filter(|stream| stream.on_demand).count().into()),
        ("OnDemandStreamCountLimit", ON_DEMAND_LIMIT.into()),
    ])))
}

pub fn account(call: &Call) -> ApiResult<Reply> {
    Input::of(&call.input)?.only(&[])?;
    // Nothing is billed, so nothing is committed to.
    Ok(Reply::Value(map([("MinimumThroughputBillingCommitment", map([("Status", "DISABLED".into())]))])))
}
