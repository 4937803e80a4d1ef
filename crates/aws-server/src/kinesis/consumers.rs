//! Consumers that read a stream each on a way of its own.

use polder_capability::topics::{ShardConsumer, StreamChange};

use super::{names, tokens};
use crate::error::{ACCOUNT, ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply};
use crate::value::{Value, map, maybe};

pub fn unknown(consumer: &str) -> ApiError {
    ApiError::not_found(format!("Consumer {consumer}, account {ACCOUNT} not found."))
}

fn written(call: &Call, stream: &str, consumer: &ShardConsumer) -> [(&'static str, Value); 4] {
    [
        ("ConsumerName", consumer.name.as_str().into()),
        ("ConsumerARN", names::consumer_arn(&call.region, stream, &consumer.name).into()),
        ("ConsumerStatus", "ACTIVE".into()),
        ("ConsumerCreationTimestamp", Value::Time(consumer.created_ms)),
    ]
}

pub async fn register(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["StreamARN", "ConsumerName", "Tags"])?;
    let stream = call.stream_named(names::stream_of(input.needs_text("StreamARN")?)?)?;
    let name = names::check(input.needs_text("ConsumerName")?, "consumerName")?;
    let tags = input.pairs("Tags")?.unwrap_or_default();
    super::tags::check(&tags)?;
    let created_ms = call.house.contracts.clock.now().timestamp_millis();
    let consumer = ShardConsumer { name: name.to_owned(), created_ms, tags };
    let in_use = |error: ApiError| match error.code {
        "ResourceInUseException" => {
            let message = format!("Consumer {name} under stream {} already exists for account {ACCOUNT}.", stream.name);
            ApiError { message, ..error }
        }
        _ => error,
    };
    call.change(&stream.name, StreamChange::AddConsumer(consumer.clone())).await.map_err(in_use)?;
    Ok(Reply::Value(map([("Consumer", map(written(call, &stream.name, &consumer)))])))
}

/// The consumer that a request names, and its stream.
fn named(call: &Call) -> ApiResult<(String, ShardConsumer)> {
    let input = Input::of(&call.input)?;
    input.only(&["StreamARN", "ConsumerName", "ConsumerARN"])?;
    let (stream, name, told) = match (input.text("ConsumerARN")?, input.text("StreamARN")?) {
        (Some(arn), _) => {
            let (stream, name) = names::consumer_of(arn).ok_or_else(|| unknown(arn))?;
            (stream, name, arn)
        }
        (None, Some(arn)) => {
            let name = input.needs_text("ConsumerName")?;
            (names::stream_of(arn)?, name, name)
        }
        (None, None) => return Err(ApiError::argument("either ConsumerARN, or StreamARN and ConsumerName are needed")),
    };
    let found = call.stream_named(stream)?.consumers.into_iter().find(|consumer| consumer.name == name);
    Ok((stream.to_owned(), found.ok_or_else(|| unknown(told))?))
}

pub async fn deregister(call: &Call) -> ApiResult<Reply> {
    let (stream, consumer) = named(call)?;
    call.change(&stream, StreamChange::RemoveConsumer(consumer.name)).await?;
    Ok(Reply::Empty)
}

pub fn describe(call: &Call) -> ApiResult<Reply> {
    let (stream, consumer) = named(call)?;
    let [name, arn, status, created] = written(call, &stream, &consumer);
    let description = map([name, arn, status, created, ("StreamARN", call.arn(&stream).into())]);
    Ok(Reply::Value(map([("ConsumerDescription", description)])))
}

pub fn list(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["StreamARN", "NextToken", "MaxResults", "StreamCreationTimestamp"])?;
    let stream = call.stream_named(names::stream_of(input.needs_text("StreamARN")?)?)?;
    if input.time("StreamCreationTimestamp")?.is_some_and(|time| time / 1_000 != stream.created_ms / 1_000) {
        return Err(ApiError::no_stream(&stream.name));
    }
    let limit = usize::try_from(input.bounded("MaxResults", 1..=100)?.unwrap_or(100)).unwrap_or_default();
    let after = input.text("NextToken")?.map(tokens::read_page).transpose()?.map(|(_, after)| after);
    let mut consumers = stream.consumers;
    consumers.sort_by(|one, other| one.name.cmp(&other.name));
    let mut left = consumers.iter().filter(|one| after.as_ref().is_none_or(|after| one.name > *after));
    let page: Vec<&ShardConsumer> = left.by_ref().take(limit).collect();
    let last = page.last().filter(|_| left.next().is_some());
    let next = last.map(|last| tokens::write_page(&stream.name, &last.name));
    let page: Vec<Value> = page.iter().map(|consumer| map(written(call, &stream.name, consumer))).collect();
    Ok(Reply::Value(map([("Consumers", page.into()), ("NextToken", maybe(next))])))
}
