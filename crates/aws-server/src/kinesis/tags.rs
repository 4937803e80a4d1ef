//! Tags of streams and consumers.

use polder_capability::topics::StreamChange;

use super::names;
use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply};
use crate::value::{Value, map};

/// # Errors
/// `InvalidArgumentException`: too long, or reserved.
pub fn check(tags: &[(String, String)]) -> ApiResult<()> {
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(ApiError::argument("a tag has a key of 1 to 128 characters and a value of up to 256"));
        }
        if key.starts_with("aws:") {
            return Err(ApiError::argument("keys of tags that begin with aws: are kept for AWS"));
        }
    }
    Ok(())
}

fn written(tags: &[(String, String)]) -> Value {
    let tag = |(key, value): &(String, String)| map([("Key", key.as_str().into()), ("Value", value.as_str().into())]);
    Value::List(tags.iter().map(tag).collect())
}

pub async fn add(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["Tags"])?;
    let stream = call.stream(&input)?;
    let tags = input.pairs("Tags")?.ok_or_else(|| ApiError::validation("Tags are needed"))?;
    check(&tags)?;
    call.change(&stream.name, StreamChange::Tag(tags)).await?;
    Ok(Reply::Empty)
}

pub async fn remove(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["TagKeys"])?;
    let stream = call.stream(&input)?;
    call.change(&stream.name, StreamChange::Untag(input.texts("TagKeys")?)).await?;
    Ok(Reply::Empty)
}

pub fn list(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["ExclusiveStartTagKey", "Limit"])?;
    let stream = call.stream(&input)?;
    let after = input.text("ExclusiveStartTagKey")?;
    let limit = usize::try_from(input.bounded("Limit", 1..=50)?.unwrap_or(50)).unwrap_or_default();
    let mut tags = stream.tags;
    tags.retain(|(key, _)| after.is_none_or(|after| key.as_str() > after));
    let more = tags.len() > limit;
    tags.truncate(limit);
    Ok(Reply::Value(map([("Tags", written(&tags)), ("HasMoreTags", more.into())])))
}

/// A stream, or a consumer of one.
enum Resource {
    Stream(String),
    Consumer(String, String),
}

fn resource(call: &Call, members: &[&str]) -> ApiResult<Resource> {
    let input = Input::of(&call.input)?;
    input.only(&[&["ResourceARN"], members].concat())?;
    let arn = input.needs_text("ResourceARN")?;
    match names::consumer_of(arn) {
        Some((stream, consumer)) => Ok(Resource::Consumer(stream.to_owned(), consumer.to_owned())),
        None => Ok(Resource::Stream(names::stream_of(arn)?.to_owned())),
    }
}

pub async fn tag(call: &Call) -> ApiResult<Reply> {
    let resource = resource(call, &["Tags"])?;
    let tags = Input::of(&call.input)?.pairs("Tags")?.ok_or_else(|| ApiError::validation("Tags are needed"))?;
    check(&tags)?;
    match resource {
        Resource::Stream(stream) => call.change(&stream, StreamChange::Tag(tags)).await?,
        Resource::Consumer(stream, name) => call.change(&stream, StreamChange::TagConsumer(name, tags)).await?,
    }
    Ok(Reply::Empty)
}

pub async fn untag(call: &Call) -> ApiResult<Reply> {
    let resource = resource(call, &["TagKeys"])?;
    let keys = Input::of(&call.input)?.texts("TagKeys")?;
    match resource {
        Resource::Stream(stream) => call.change(&stream, StreamChange::Untag(keys)).await?,
        Resource::Consumer(stream, name) => call.change(&stream, StreamChange::UntagConsumer(name, keys)).await?,
    }
    Ok(Reply::Empty)
}

pub fn of_resource(call: &Call) -> ApiResult<Reply> {
    let tags = match resource(call, &[])? {
        Resource::Stream(stream) => call.stream_named(&stream)?.tags,
        Resource::Consumer(stream, name) => {
            let consumer = call.stream_named(&stream)?.consumers.into_iter().find(|one| one.name == name);
            consumer.ok_or_else(|| super::consumers::unknown(&name))?.tags
        }
    };
    Ok(Reply::Value(map([("Tags", written(&tags))])))
}
