//! Shards that are split and merged.

use polder_capability::topics::{Division, Stream, TopicError, TopicRef};

use super::{names, show};
use crate::error::{ACCOUNT, ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply};
use crate::value::map;

/// The number of a shard that may be split or merged.
fn eligible(input: &Input<'_>, stream: &Stream, name: &str, at: &str) -> ApiResult<u32> {
    let id = names::check(input.needs_text(name)?, at)?;
    let unknown = |_| {
        let stream = &stream.name;
        ApiError::not_found(format!("Could not find shard {id} in stream {stream} under account {ACCOUNT}."))
    };
    let number = show::numbered(stream, id).map_err(unknown)?;
    if stream.shards.iter().any(|shard| shard.number == number && !shard.is_open()) {
        return Err(ApiError::argument(format!(
            "Shard {id} in stream {} under account {ACCOUNT} has already been merged or split, and thus is not eligible \
             for merging or splitting.",
            stream.name
        )));
    }
    Ok(number)
}

async fn divide(call: &Call, stream: &Stream, division: Division) -> ApiResult<()> {
    let divided = call.house.contracts.shards.divide(&call.client, &TopicRef::Id(stream.id), division).await;
    divided.map_err(|failure| match failure.error {
        TopicError::InvalidPartitions => ApiError::argument(failure.message.unwrap_or_default()),
        _ => ApiError::of_topic(failure, &stream.name),
    })
}

pub async fn split(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["ShardToSplit", "NewStartingHashKey"])?;
    let stream = call.stream(&input)?;
    let number = eligible(&input, &stream, "ShardToSplit", "shardToSplit")?;
    let at = names::hash_key(input.needs_text("NewStartingHashKey")?, "newStartingHashKey")?;
    let shard = stream.shards.iter().find(|shard| shard.number == number);
    if let Some(shard) = shard
        && (at <= shard.first_hash || at > shard.last_hash)
    {
        return Err(ApiError::argument(format!(
            "NewStartingHashKey {at} used in SplitShard() on shard {} in stream {} under account {ACCOUNT} is not both \
             greater than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
            names::shard_id(number),
            stream.name,
            shard.first_hash,
            shard.last_hash
        )));
    }
    divide(call, &stream, Division::Split { shard: number, at }).await?;
    Ok(Reply::Empty)
}

pub async fn merge(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["ShardToMerge", "AdjacentShardToMerge"])?;
    let stream = call.stream(&input)?;
    let shard = eligible(&input, &stream, "ShardToMerge", "shardToMerge")?;
    let adjacent = eligible(&input, &stream, "AdjacentShardToMerge", "adjacentShardToMerge")?;
    let find = |number| stream.shards.iter().find(|shard| shard.number == number);
    if let (Some(one), Some(other)) = (find(shard), find(adjacent)) {
        let follows = one.last_hash.checked_add(1) == Some(other.first_hash);
        if !follows && other.last_hash.checked_add(1) != Some(one.first_hash) {
            // All that AWS says.
            return Err(ApiError::argument(names::shard_id(adjacent)));
        }
    }
    divide(call, &stream, Division::Merge { shard, adjacent }).await?;
    Ok(Reply::Empty)
}

pub async fn total(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["TargetShardCount", "ScalingType"])?;
    let stream = call.stream(&input)?;
    if input.needs_text("ScalingType")? != "UNIFORM_SCALING" {
        return Err(ApiError::argument("ScalingType can only be UNIFORM_SCALING"));
    }
    input.needs_int("TargetShardCount")?;
    let target = input.bounded("TargetShardCount", 1..=10_000)?.unwrap_or(1);
    if stream.on_demand {
        return Err(ApiError::validation(format!(
            "Request is invalid. Stream {} under account {ACCOUNT} is in On-Demand mode.",
            stream.name
        )));
    }
    let current = stream.shards.iter().filter(|shard| shard.is_open()).count();
    divide(call, &stream, Division::Total(u32::try_from(target).unwrap_or(u32::MAX))).await?;
    Ok(Reply::Value(map([
        ("StreamName", stream.name.as_str().into()),
        ("CurrentShardCount", current.into()),
        ("TargetShardCount", target.into()),
        ("StreamARN", call.arn(&stream.name).into()),
    ])))
}
