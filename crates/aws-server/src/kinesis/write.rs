//! Records that are put.

use polder_capability::topics::{ShardRecord, TopicError, TopicFailure, TopicRef};

use super::{failed, names};
use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply};
use crate::value::{Value, map};

const RECORDS_MAX: usize = 500;

/// Bytes of data and keys in one call, for each MiB that a record may have.
const CALL_RECORDS: usize = 5;

/// The most that one call may have, however large records may be.
const CALL_BYTES_MAX: usize = 10 << 20;

fn record(input: &Input<'_>) -> ApiResult<ShardRecord> {
    let partition_key = input.needs_text("PartitionKey")?;
    if partition_key.is_empty() {
        return Err(ApiError::constraint(partition_key, "partitionKey", "have length greater than or equal to 1"));
    }
    if partition_key.chars().count() > 256 {
        return Err(ApiError::constraint(partition_key, "partitionKey", "have length less than or equal to 256"));
    }
    let hash_key = input.text("ExplicitHashKey")?.map(|text| names::hash_key(text, "explicitHashKey")).transpose()?;
    Ok(ShardRecord { partition_key: partition_key.to_owned(), hash_key, data: input.needs_blob("Data")?.into() })
}

fn size(record: &ShardRecord) -> usize {
    record.data.len() + record.partition_key.len()
}

fn too_long(at: &str, bytes_max: usize) -> ApiError {
    ApiError::validation(format!(
        "1 validation error detected: Value at '{at}' failed to satisfy constraint: Member must have length less than or \
         equal to {bytes_max}"
    ))
}

pub async fn put_one(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["Data", "PartitionKey", "ExplicitHashKey", "SequenceNumberForOrdering"])?;
    // Records of a key are in the order in which they come, whatever the client knows of the last one.
    if let Some(text) = input.text("SequenceNumberForOrdering")? {
        names::hash_key(text, "sequenceNumberForOrdering")?;
    }
    let stream = call.stream(&input)?;
    let record = record(&input)?;
    if size(&record) > stream.record_bytes_max {
        return Err(too_long("data", stream.record_bytes_max));
    }
    let named = TopicRef::Id(stream.id);
    let put = call.house.contracts.shards.put(&call.client, &named, vec![record]).await;
    let put = put.and_then(|mut results| results.pop().unwrap_or_else(|| Err(TopicError::Internal.into())));
    let put = put.map_err(failed(&stream.name))?;
    Ok(Reply::Value(map([
        ("ShardId", names::shard_id(put.shard).into()),
        ("SequenceNumber", put.sequence.to_string().into()),
        ("EncryptionType", "NONE".into()),
    ])))
}

pub async fn put_many(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["Records"])?;
    let stream = call.stream(&input)?;
    let given = input.needs_list("Records")?;
    if given.is_empty() {
        return Err(ApiError::constraint("[]", "records", "have length greater than or equal to 1"));
    }
    if given.len() > RECORDS_MAX {
        return Err(too_long("records", RECORDS_MAX));
    }
    let mut records = Vec::with_capacity(given.len());
    for value in given {
        let input = Input::of(value)?;
        input.only(&["Data", "PartitionKey", "ExplicitHashKey"])?;
        records.push(record(&input)?);
    }
    let bytes: usize = records.iter().map(size).sum();
    let bytes_max = (CALL_RECORDS * stream.record_bytes_max.max(1 << 20)).min(CALL_BYTES_MAX);
    if bytes > bytes_max {
        return Err(ApiError::argument(format!("Records size exceeds {} MB limit", bytes_max >> 20)));
    }
    let too_large = (1..).zip(&records).find(|(_, record)| size(record) > stream.record_bytes_max);
    if let Some((number, _)) = too_large {
        return Err(too_long(&format!("records.{number}.member.data"), stream.record_bytes_max));
    }
    let named = TopicRef::Id(stream.id);
    let put = call.house.contracts.shards.put(&call.client, &named, records).await.map_err(failed(&stream.name))?;
    let failures = put.iter().filter(|result| result.is_err()).count();
    let written = put.into_iter().map(|result| match result {
        Ok(put) => {
            map([("SequenceNumber", put.sequence.to_string().into()), ("ShardId", names::shard_id(put.shard).into())])
        }
        Err(failure) => refused(failure, &stream.name),
    });
    let written: Vec<Value> = written.collect();
    Ok(Reply::Value(map([
        ("FailedRecordCount", failures.into()),
        ("Records", written.into()),
        ("EncryptionType", "NONE".into()),
    ])))
}

/// Of a record there are two errors: too much at once, and all others.
fn refused(failure: TopicFailure, stream: &str) -> Value {
    let error = ApiError::of_topic(failure, stream);
    let code = match error.code {
        code @ "ProvisionedThroughputExceededException" => code,
        _ => "InternalFailure",
    };
    map([("ErrorCode", code.into()), ("ErrorMessage", error.message.into())])
}
