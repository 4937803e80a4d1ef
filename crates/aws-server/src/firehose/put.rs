//! Records that are put.

use bytes::Bytes;
use polder_capability::deliveries::{DeliveryStatus, OfferedRecord};
use polder_capability::topics::TopicRef;
use polder_types::ErrorKind;

use super::{Hose, failed, no_stream};
use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::services::Reply;
use crate::value::{Value, map};

const RECORDS_MAX: usize = 500;

/// Of one record.
const RECORD_BYTES_MAX: usize = 1_000 << 10;

/// Of all records of one call.
const CALL_BYTES_MAX: usize = 4 << 20;

fn data(record: &Input<'_>, at: &str) -> ApiResult<Bytes> {
    record.only(&["Data"])?;
    let data = record.needs_blob("Data")?;
    if data.len() > RECORD_BYTES_MAX {
        return Err(too_long(at, RECORD_BYTES_MAX));
    }
    Ok(data.into())
}

fn too_long(at: &str, most: usize) -> ApiError {
    ApiError::validation(format!(
        "1 validation error detected: Value at '{at}' failed to satisfy constraint: Member must have length less than or \
         equal to {most}"
    ))
}

/// Writes records, all or none, and gives an id of each.
async fn put(hose: &Hose<'_>, name: &str, data: Vec<Bytes>) -> ApiResult<Vec<Value>> {
    let found = hose.deliveries().find(name).await.map_err(failed)?;
    let delivery = found.ok_or_else(|| no_stream(name))?;
    if !delivery.definition.owns_topic {
        // Nobody is told that there is one who may not know of it.
        if !hose.owns(&delivery).await? {
            return Err(no_stream(name));
        }
        let message = format!("Firehose {name} takes no records: it reads the topic {}", delivery.definition.topic);
        return Err(ApiError::argument(message));
    }
    let records = data.into_iter().map(|value| OfferedRecord { key: None, value }).collect();
    let places = hose.deliveries().offer(&hose.call.client.caller, name, records).await;
    let places = match places {
        Ok(places) => places,
        Err(error) => {
            let is_hidden = match error.kind() {
                ErrorKind::NotFound => true,
                ErrorKind::Forbidden => !knows(hose, &delivery).await?,
                _ => false,
            };
            return Err(if is_hidden { no_stream(name) } else { failed(error) });
        }
    };
    let id = delivery.id.simple();
    Ok(places.into_iter().map(|(partition, offset)| format!("{id}{partition:04}{offset:020}").into()).collect())
}

/// Whether the caller may know of a delivery that records are put into, or of its topic.
async fn knows(hose: &Hose<'_>, delivery: &DeliveryStatus) -> ApiResult<bool> {
    let topic = TopicRef::named(&delivery.definition.topic);
    let is_told = hose.call.house.contracts.shards.stream(&hose.call.client, &topic).is_ok();
    Ok(is_told || hose.owns(delivery).await?)
}

pub async fn one(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&["Record"])?;
    let name = input.needs_text("DeliveryStreamName")?;
    let data = data(&input.needs_part("Record")?, "record.data")?;
    let id = put(hose, name, vec![data]).await?.pop().ok_or_else(ApiError::internal)?;
    Ok(Reply::Value(map([("RecordId", id), ("Encrypted", false.into())])))
}

pub async fn many(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&["Records"])?;
    let name = input.needs_text("DeliveryStreamName")?;
    let given = input.needs_list("Records")?;
    if given.is_empty() {
        return Err(ApiError::constraint("[]", "records", "have length greater than or equal to 1"));
    }
    if given.len() > RECORDS_MAX {
        return Err(too_long("records", RECORDS_MAX));
    }
    let numbered = (1..).zip(given);
    let records = numbered.map(|(number, record)| data(&Input::of(record)?, &format!("records.{number}.member.data")));
    let records = records.collect::<ApiResult<Vec<Bytes>>>()?;
    if records.iter().map(Bytes::len).sum::<usize>() > CALL_BYTES_MAX {
        return Err(ApiError::argument("Records size exceeds 4 MB limit"));
    }
    let ids = put(hose, name, records).await?;
    let answers: Vec<Value> = ids.into_iter().map(|id| map([("RecordId", id)])).collect();
    Ok(Reply::Value(map([
        ("FailedPutCount", 0_i64.into()),
        ("Encrypted", false.into()),
        ("RequestResponses", answers.into()),
    ])))
}
