//! Kinesis Data Streams: one file for each kind of operation.

mod consumers;
mod filter;
mod manage;
pub(crate) mod names;
mod read;
mod reshard;
mod show;
mod subscribe;
mod tags;
mod tokens;
mod write;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use polder_capability::topics::{Stream, TopicFailure, TopicRef};

use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply, Service};

pub const SERVICE: Service = Service { target: "Kinesis_20131202", signed_as: "kinesis", run };

fn run(call: Call) -> BoxFuture<'static, ApiResult<Reply>> {
    dispatch(call).boxed()
}

/// All operations.
async fn dispatch(call: Call) -> ApiResult<Reply> {
    let call = &call;
    match call.operation.as_str() {
        "CreateStream" => manage::create(call).await,
        "DeleteStream" => manage::delete(call).await,
        "IncreaseStreamRetentionPeriod" => manage::retain(call, true).await,
        "DecreaseStreamRetentionPeriod" => manage::retain(call, false).await,
        "UpdateStreamMode" => manage::mode(call).await,
        "UpdateMaxRecordSize" => manage::record_size(call).await,
        "EnableEnhancedMonitoring" => manage::monitor(call, true).await,
        "DisableEnhancedMonitoring" => manage::monitor(call, false).await,
        "StartStreamEncryption" => manage::encrypt(call),
        "StopStreamEncryption" => manage::decrypt(call),
        "GetResourcePolicy" => manage::policy(call),
        "PutResourcePolicy" => manage::put_policy(call),
        "DeleteResourcePolicy" => manage::delete_policy(call),
        "DescribeStream" => show::describe(call),
        "DescribeStreamSummary" => show::summary(call),
        "ListStreams" => show::streams(call),
        "ListShards" => show::shards(call),
        "DescribeLimits" => show::limits(call),
        "DescribeAccountSettings" => show::account(call),
        "SplitShard" => reshard::split(call).await,
        "MergeShards" => reshard::merge(call).await,
        "UpdateShardCount" => reshard::total(call).await,
        "AddTagsToStream" => tags::add(call).await,
        "RemoveTagsFromStream" => tags::remove(call).await,
        "ListTagsForStream" => tags::list(call),
        "TagResource" => tags::tag(call).await,
        "UntagResource" => tags::untag(call).await,
        "ListTagsForResource" => tags::of_resource(call),
        "RegisterStreamConsumer" => consumers::register(call).await,
        "DeregisterStreamConsumer" => consumers::deregister(call).await,
        "DescribeStreamConsumer" => consumers::describe(call),
        "ListStreamConsumers" => consumers::list(call),
        "SubscribeToShard" => subscribe::subscribe(call).await,
        "PutRecord" => write::put_one(call).await,
        "PutRecords" => write::put_many(call).await,
        "GetShardIterator" => read::iterator(call).await,
        "GetRecords" => read::records(call).await,
        _ => Err(ApiError::new("UnknownOperationException", "there is no such operation")),
    }
}

/// How a request names its stream.
const STREAM: [&str; 2] = ["StreamName", "StreamARN"];

impl Call {
    /// What a request says, if it says nothing but these members and those that name a stream.
    fn members(&self, names: &[&str]) -> ApiResult<Input<'_>> {
        let input = Input::of(&self.input)?;
        input.only(&[&STREAM, names].concat())?;
        Ok(input)
    }

    /// The name of the stream that is meant.
    fn stream_name(&self, input: &Input<'_>) -> ApiResult<String> {
        match (input.text("StreamName")?, input.text("StreamARN")?) {
            (None, None) => Err(ApiError::argument("either StreamName or StreamARN is needed")),
            (Some(name), None) => names::check(name, "streamName").map(str::to_owned),
            (name, Some(arn)) => {
                let of_arn = names::stream_of(arn)?;
                if name.is_some_and(|name| name != of_arn) {
                    return Err(ApiError::argument("StreamName and StreamARN name two streams"));
                }
                Ok(of_arn.to_owned())
            }
        }
    }

    fn stream(&self, input: &Input<'_>) -> ApiResult<Stream> {
        self.stream_named(&self.stream_name(input)?)
    }

    fn stream_named(&self, name: &str) -> ApiResult<Stream> {
        let found = self.house.contracts.shards.stream(&self.client, &TopicRef::named(name));
        found.map_err(|failure| ApiError::of_topic(failure, name))
    }

    fn arn(&self, stream: &str) -> String {
        names::arn(&self.region, stream)
    }
}

/// What the fuzz target feeds: names and tokens. Nothing panics, and what was read is what was written.
pub fn fuzzing(text: &str) {
    let _ = (names::check(text, "x"), names::stream_of(text), names::consumer_of(text), names::hash_key(text, "x"));
    let _ = (tokens::Iterator::read(text, 0), filter::Filter::read_place(text));
    if let Some(number) = names::shard_number(text) {
        assert_eq!(names::shard_number(&names::shard_id(number)), Some(number));
    }
    if let Ok((stream, after)) = tokens::read_page(text) {
        assert_eq!(tokens::read_page(&tokens::write_page(&stream, &after)), Ok((stream, after)));
    }
}

/// What went wrong with this stream.
fn failed(name: &str) -> impl Fn(TopicFailure) -> ApiError {
    move |failure| ApiError::of_topic(failure, name)
}
