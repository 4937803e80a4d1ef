//! Streams that are made, changed and deleted.

use polder_capability::topics::{NewStream, StreamChange, TopicRef};

use super::{failed, names};
use crate::error::{ACCOUNT, ApiError, ApiResult};
use crate::input::Input;
use crate::services::{Call, Reply};
use crate::value::map;

/// Shards of an on-demand stream, as AWS begins with.
const ON_DEMAND_SHARDS: i64 = 4;

/// Bytes of a record where nobody says otherwise.
pub const RECORD_BYTES: usize = 1 << 20;

const HOURS_MIN: i64 = 24;
const HOURS_MAX: i64 = 8_760;

/// What can be measured by shard.
const METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
];

fn is_on_demand(input: &Input<'_>) -> ApiResult<Option<bool>> {
    let Some(details) = input.part("StreamModeDetails")? else { return Ok(None) };
    details.only(&["StreamMode"])?;
    match details.needs_text("StreamMode")? {
        "ON_DEMAND" => Ok(Some(true)),
        "PROVISIONED" => Ok(Some(false)),
        mode => Err(ApiError::constraint(
            mode,
            "streamModeDetails.streamMode",
            "satisfy enum value set: [PROVISIONED, ON_DEMAND]",
        )),
    }
}

fn record_bytes(input: &Input<'_>) -> ApiResult<Option<usize>> {
    let kib = input.bounded("MaxRecordSizeInKiB", 1_024..=10_240)?;
    Ok(kib.and_then(|kib| usize::try_from(kib << 10).ok()))
}

pub async fn create(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["StreamName", "ShardCount", "StreamModeDetails", "Tags", "MaxRecordSizeInKiB"])?;
    let name = names::check(input.needs_text("StreamName")?, "streamName")?;
    let on_demand = is_on_demand(&input)?.unwrap_or(false);
    let shards = match (input.bounded("ShardCount", 1..=100_000)?, on_demand) {
        (Some(_), true) => {
            return Err(ApiError::validation("ShardCount cannot be told for a stream that is on demand"));
        }
        (None, true) => ON_DEMAND_SHARDS,
        (Some(shards), false) => shards,
        (None, false) => return Err(ApiError::validation("ShardCount is needed for a stream that is not on demand")),
    };
    let new = NewStream {
        name: name.to_owned(),
        shards: u32::try_from(shards).unwrap_or(u32::MAX),
        on_demand,
        record_bytes_max: record_bytes(&input)?.unwrap_or(RECORD_BYTES),
        tags: input.pairs("Tags")?.unwrap_or_default(),
    };
    super::tags::check(&new.tags)?;
    call.house.contracts.shards.create_stream(&call.client, new).await.map_err(|failure| {
        use polder_capability::topics::TopicError::{InvalidPartitions, InvalidTopic};
        match failure.error {
            InvalidPartitions => ApiError::new("LimitExceededException", failure.message.unwrap_or_default()),
            InvalidTopic => ApiError::validation(failure.message.unwrap_or_default()),
            _ => ApiError::of_topic(failure, name),
        }
    })?;
    Ok(Reply::Empty)
}

pub async fn delete(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["EnforceConsumerDeletion"])?;
    let stream = call.stream(&input)?;
    // AWS' reference says the same of a member that is not there and of false.
    if !stream.consumers.is_empty() && input.bool("EnforceConsumerDeletion")? != Some(true) {
        let message = format!("Stream {} under account {ACCOUNT} has consumers registered", stream.name);
        return Err(ApiError::new("ResourceInUseException", message));
    }
    let named = TopicRef::Id(stream.id);
    call.house.contracts.shards.delete_stream(&call.client, &named).await.map_err(failed(&stream.name))?;
    Ok(Reply::Empty)
}

impl Call {
    /// Changes a stream that is there.
    pub(super) async fn change(&self, stream: &str, change: StreamChange) -> ApiResult<()> {
        let named = TopicRef::named(stream);
        self.house.contracts.shards.change_stream(&self.client, &named, change).await.map_err(failed(stream))
    }
}

pub async fn retain(call: &Call, longer: bool) -> ApiResult<Reply> {
    let input = call.members(&["RetentionPeriodHours"])?;
    let stream = call.stream(&input)?;
    let hours = input.needs_int("RetentionPeriodHours")?;
    let refuse = |message: String| Err(ApiError::argument(message));
    if hours < HOURS_MIN {
        return refuse(format!(
            "Minimum allowed retention period is {HOURS_MIN} hours. Requested retention period ({hours} hours) is too short."
        ));
    }
    if hours > HOURS_MAX {
        return refuse(format!(
            "Maximum allowed retention period is {HOURS_MAX} hours. Requested retention period ({hours} hours) is too long."
        ));
    }
    // For ever is longer than anything that can be asked for.
    let now = stream.retention_hours.unwrap_or(i64::MAX);
    let (name, wrong, other) = match longer {
        true if hours < now => (&stream.name, "shorter", "Decrease"),
        false if hours > now => (&stream.name, "longer", "Increase"),
        _ => {
            call.change(&stream.name, StreamChange::RetentionHours(hours)).await?;
            return Ok(Reply::Empty);
        }
    };
    refuse(format!(
        "Requested retention period ({hours} hours) for stream {name} can not be {wrong} than existing retention period \
         ({now} hours). Use {other}RetentionPeriod API."
    ))
}

pub async fn mode(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["StreamARN", "StreamModeDetails"])?;
    let stream = call.stream_named(names::stream_of(input.needs_text("StreamARN")?)?)?;
    input.needs_part("StreamModeDetails")?;
    let on_demand = is_on_demand(&input)?.unwrap_or(stream.on_demand);
    call.change(&stream.name, StreamChange::OnDemand(on_demand)).await?;
    Ok(Reply::Empty)
}

pub async fn record_size(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["StreamARN", "MaxRecordSizeInKiB"])?;
    let stream = call.stream_named(names::stream_of(input.needs_text("StreamARN")?)?)?;
    input.needs_int("MaxRecordSizeInKiB")?;
    let bytes = record_bytes(&input)?.unwrap_or(RECORD_BYTES);
    call.change(&stream.name, StreamChange::RecordBytesMax(bytes)).await?;
    Ok(Reply::Empty)
}

pub async fn monitor(call: &Call, more: bool) -> ApiResult<Reply> {
    let input = call.members(&["ShardLevelMetrics"])?;
    let stream = call.stream(&input)?;
    let named = input.texts("ShardLevelMetrics")?;
    if named.is_empty() || named.iter().any(|name| name != "ALL" && !METRICS.contains(&name.as_str())) {
        return Err(ApiError::constraint(
            &named.join(", "),
            "shardLevelMetrics",
            &format!("satisfy enum value set: [ALL, {}]", METRICS.join(", ")),
        ));
    }
    let mut after = stream.metrics.clone();
    let all = named.iter().any(|name| name == "ALL");
    match (more, all) {
        (true, true) => after = vec!["ALL".to_owned()],
        (true, false) => after.extend(named.into_iter().filter(|name| !stream.metrics.contains(name))),
        (false, true) => after.clear(),
        (false, false) => {
            if after.iter().any(|name| name == "ALL") {
                after = METRICS.map(str::to_owned).into();
            }
            after.retain(|name| !named.contains(name));
        }
    }
    call.change(&stream.name, StreamChange::Metrics(after.clone())).await?;
    Ok(Reply::Value(map([
        ("StreamName", stream.name.as_str().into()),
        ("CurrentShardLevelMetrics", stream.metrics.into()),
        ("DesiredShardLevelMetrics", after.into()),
        ("StreamARN", call.arn(&stream.name).into()),
    ])))
}

/// There is no service of keys, so nothing is said to be encrypted that is not.
pub fn encrypt(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["EncryptionType", "KeyId"])?;
    call.stream(&input)?;
    let message = "there are no keys of KMS here: a stream is encrypted only if the disk is that its log is on";
    Err(ApiError::new("KMSNotFoundException", message))
}

/// What is asked for is so already.
pub fn decrypt(call: &Call) -> ApiResult<Reply> {
    let input = call.members(&["EncryptionType", "KeyId"])?;
    call.stream(&input)?;
    Ok(Reply::Empty)
}

/// The stream that a policy is about.
fn of_policy(call: &Call, names: &[&str]) -> ApiResult<String> {
    let input = Input::of(&call.input)?;
    input.only(names)?;
    let arn = input.needs_text("ResourceARN")?;
    let name = names::consumer_of(arn).map_or_else(|| names::stream_of(arn), |(stream, _)| Ok(stream))?;
    call.stream_named(name).map_err(|error| match error.code {
        "ResourceNotFoundException" => ApiError::no_stream(arn),
        _ => error,
    })?;
    Ok(arn.to_owned())
}

pub fn policy(call: &Call) -> ApiResult<Reply> {
    of_policy(call, &["ResourceARN"])?;
    Ok(Reply::Value(map([("Policy", "{}".into())])))
}

pub fn put_policy(call: &Call) -> ApiResult<Reply> {
    of_policy(call, &["ResourceARN", "Policy"])?;
    Err(ApiError::argument("there is one account, and who may do what in it is said by GRANT in SQL, not by policies"))
}

pub fn delete_policy(call: &Call) -> ApiResult<Reply> {
    let arn = of_policy(call, &["ResourceARN"])?;
    Err(ApiError::not_found(format!("No resource policy found for resource ARN {arn}.")))
}
