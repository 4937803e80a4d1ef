//! Delivery streams that are made, changed and deleted.

use polder_capability::IfExists;
use polder_capability::deliveries::{
    AlterDelivery, DeliveryDefinition, DeliveryStart, DeliveryStatus, DeliveryTarget, Secrets,
};
use polder_types::ErrorKind;
use serde_json::Value as Json;

use super::plan::{Plan, plan};
use super::state::{About, Destination, from_json, to_json};
use super::{Hose, destination, failed, tags};
use crate::error::{ACCOUNT, ApiError, ApiResult};
use crate::input::Input;
use crate::kinesis::names as kinesis_names;
use crate::services::Reply;
use crate::value::{Value, map};

/// Delivery streams at once, of all users; those made with SQL are not counted. Each may hold a buffer.
const STREAMS_MAX: usize = 50;

/// The one that each has.
pub const DESTINATION_ID: &str = "destinationId-000000000001";

/// The topic of a delivery stream that records are put into.
pub fn own_topic(name: &str) -> String {
    format!("firehose.{name}")
}

pub fn nothing() -> Reply {
    Reply::Value(map([]))
}

/// Where records come from.
struct Source {
    topic: String,
    owns_topic: bool,
    start: DeliveryStart,
    given: Option<Json>,
    is_kafka: bool,
}

fn check_name(name: &str) -> ApiResult<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let at = "deliveryStreamName";
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(ApiError::constraint(name, at, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"));
    }
    if name.len() > 64 {
        return Err(ApiError::constraint(name, at, "have length less than or equal to 64"));
    }
    Ok(name)
}

fn source(input: &Input<'_>, name: &str) -> ApiResult<Source> {
    let kind = input.text("DeliveryStreamType")?.unwrap_or("DirectPut");
    let kinesis = input.part("KinesisStreamSourceConfiguration")?;
    let kafka = input.part("MSKSourceConfiguration")?;
    if kinesis.is_some() && kind != "KinesisStreamAsSource" {
        let message = "KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type";
        return Err(ApiError::argument(message));
    }
    if kafka.is_some() && kind != "MSKAsSource" {
        return Err(ApiError::argument("MSKSourceConfiguration is only applicable for MSKAsSource stream type"));
    }
    let missing = |member: &str| ApiError::argument(format!("{member} is needed for {kind}"));
    let given = |member: &str| input.get(member).map(to_json).transpose();
    match kind {
        "DirectPut" => {
            let (topic, start) = (own_topic(name), DeliveryStart::Earliest);
            Ok(Source { topic, owns_topic: true, start, given: None, is_kafka: false })
        }
        "KinesisStreamAsSource" => {
            let part = kinesis.ok_or_else(|| missing("KinesisStreamSourceConfiguration"))?;
            part.only(&["KinesisStreamARN", "RoleARN"])?;
            let topic = kinesis_names::stream_of(part.needs_text("KinesisStreamARN")?)?.to_owned();
            let given = given("KinesisStreamSourceConfiguration")?;
            Ok(Source { topic, owns_topic: false, start: DeliveryStart::Latest, given, is_kafka: false })
        }
        "MSKAsSource" => {
            let part = kafka.ok_or_else(|| missing("MSKSourceConfiguration"))?;
            part.only(&["MSKClusterARN", "TopicName", "AuthenticationConfiguration", "ReadFromTimestamp"])?;
            let topic = part.needs_text("TopicName")?.to_owned();
            let start = match part.time("ReadFromTimestamp")? {
                None => DeliveryStart::Latest,
                Some(..=0) => DeliveryStart::Earliest,
                Some(_) => {
                    return Err(ApiError::argument(
                        "a topic is read from its beginning (ReadFromTimestamp 0) or its end",
                    ));
                }
            };
            Ok(Source { topic, owns_topic: false, start, given: given("MSKSourceConfiguration")?, is_kafka: true })
        }
        _ => Err(ApiError::constraint(
            kind,
            "deliveryStreamType",
            "satisfy enum value set: [DirectPut, KinesisStreamAsSource, MSKAsSource]",
        )),
    }
}

/// The server reaches what others may not: the network that it stands in.
async fn may_leave(hose: &Hose<'_>, plan: &Plan) -> ApiResult<()> {
    if matches!(plan.target, DeliveryTarget::Table(_)) && plan.backup.is_none() {
        return Ok(());
    }
    match hose.contracts.accounts.is_superuser(&hose.call.client.caller.user).await.map_err(failed)? {
        true => Ok(()),
        false => Err(ApiError::new("AccessDeniedException", "only superusers make deliveries that leave the lake")),
    }
}

/// There is no service of keys, so nothing is said to be encrypted that is not.
fn no_keys() -> ApiError {
    let message = "there are no keys of KMS here: records are encrypted only if the disk is that the log is on";
    ApiError::new("InvalidKMSResourceException", message)
}

pub async fn create(hose: &Hose<'_>) -> ApiResult<Reply> {
    let configurations = destination::members("Configuration");
    let mut names: Vec<&str> = configurations.iter().map(String::as_str).collect();
    names.extend(["DeliveryStreamType", "KinesisStreamSourceConfiguration", "MSKSourceConfiguration", "Tags"]);
    names.push("DeliveryStreamEncryptionConfigurationInput");
    let input = hose.input(&names)?;
    let name = check_name(input.needs_text("DeliveryStreamName")?)?;
    let (kind, config) = destination::given(&input, "Configuration")?;
    let source = source(&input, name)?;
    if input.part("DeliveryStreamEncryptionConfigurationInput")?.is_some() {
        return Err(no_keys());
    }
    let tags = tags::given(&input)?.unwrap_or_default();
    let (config, secrets) = destination::kept(kind, config);
    let plan = plan(name, kind, &config)?;
    may_leave(hose, &plan).await?;
    let about = About {
        destination: Some(Destination { kind, config: to_json(&config)? }),
        source: source.given,
        is_kafka: source.is_kafka,
        version: 1,
        tags,
        changed_ms: hose.now_ms(),
    };
    let owner = &hose.call.client.caller.user;
    let mut definition = DeliveryDefinition::new(name, owner, source.topic, plan.target);
    definition.owns_topic = source.owns_topic;
    definition.start = source.start;
    definition.buffer = plan.buffer;
    definition.partition_by = plan.partition_by;
    definition.backup = plan.backup;
    definition.secrets = Secrets(secrets.unwrap_or_default());
    definition.about = Some(about.write()?);
    let _alone = hose.changes().await?;
    check_room(hose, name).await?;
    hose.deliveries().create(definition, IfExists::Refuse).await.map_err(|error| match error.kind() {
        // A topic, or a schema; a stream is not looked for.
        ErrorKind::NotFound => ApiError::argument(error.described()),
        _ => failed(error),
    })?;
    Ok(Reply::Value(map([("DeliveryStreamARN", hose.arn(name).into())])))
}

/// Refuses a name that is taken, and too many streams.
async fn check_room(hose: &Hose<'_>, name: &str) -> ApiResult<()> {
    let all = hose.deliveries().list().await.map_err(failed)?;
    if all.iter().any(|delivery| delivery.definition.name == name) {
        let message = format!("Firehose {name} under accountId {ACCOUNT} already exists");
        return Err(ApiError::new("ResourceInUseException", message));
    }
    if all.iter().filter(|delivery| About::is_of_firehose(delivery)).count() >= STREAMS_MAX {
        let message = format!("You have already consumed your firehose quota of {STREAMS_MAX} hoses.");
        return Err(ApiError::new("LimitExceededException", message));
    }
    Ok(())
}

pub async fn delete(hose: &Hose<'_>) -> ApiResult<Reply> {
    // Nothing stands in the way of deleting one that force would have to remove.
    let input = hose.input(&["AllowForceDelete"])?;
    input.bool("AllowForceDelete")?;
    let _alone = hose.changes().await?;
    let (delivery, _) = hose.stream(&input).await?;
    hose.deliveries().remove(&delivery.definition.name).await.map_err(failed)?;
    Ok(nothing())
}

pub async fn update(hose: &Hose<'_>) -> ApiResult<Reply> {
    let updates = destination::members("Update");
    let mut names: Vec<&str> = updates.iter().map(String::as_str).collect();
    names.extend(["CurrentDeliveryStreamVersionId", "DestinationId"]);
    let input = hose.input(&names)?;
    let (to, update) = destination::given(&input, "Update")?;
    let version = input.needs_text("CurrentDeliveryStreamVersionId")?;
    let _alone = hose.changes().await?;
    let (delivery, mut about) = hose.stream(&input).await.map_err(|error| match error.code {
        // So AWS words it here.
        "ResourceNotFoundException" => {
            ApiError { message: error.message.replace("under account ", "under accountId "), ..error }
        }
        _ => error,
    })?;
    let name = delivery.definition.name.as_str();
    if about.version.to_string() != version {
        let now = about.version;
        let message = format!(
            "Cannot update firehose: {name} since the current version id: {now} and specified version id: {version} do \
             not match"
        );
        return Err(ApiError::new("ConcurrentModificationException", message));
    }
    let id = input.needs_text("DestinationId")?;
    if id != DESTINATION_ID {
        return Err(ApiError::argument(format!("Destination Id {id} not found")));
    }
    let Some(before) = about.destination else {
        return Err(ApiError::argument(format!(
            "the delivery {name} was made with SQL, and is changed with ALTER DELIVERY"
        )));
    };
    let (update, secrets) = destination::kept(to, update);
    let (kind, config) = destination::updated(before.kind, from_json(&before.config)?, to, update)?;
    let plan = plan(name, kind, &config)?;
    may_leave(hose, &plan).await?;
    about.destination = Some(Destination { kind, config: to_json(&config)? });
    about.version += 1;
    about.changed_ms = hose.now_ms();
    let change = AlterDelivery {
        buffer_bytes: Some(plan.buffer.bytes),
        buffer_seconds: Some(plan.buffer.seconds),
        partition_by: Some(plan.partition_by),
        target: Some(plan.target),
        backup: Some(plan.backup),
        about: Some(about.write()?),
        secrets: secrets.map(Secrets),
        ..AlterDelivery::default()
    };
    hose.deliveries().alter(name, change).await.map_err(failed)?;
    Ok(nothing())
}

/// Keeps what Firehose knows of a delivery.
pub async fn keep(hose: &Hose<'_>, delivery: &DeliveryStatus, about: &About) -> ApiResult<()> {
    let change = AlterDelivery { about: Some(about.write()?), ..AlterDelivery::default() };
    hose.deliveries().alter(&delivery.definition.name, change).await.map_err(failed)?;
    Ok(())
}

pub async fn encrypt(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&["DeliveryStreamEncryptionConfigurationInput"])?;
    hose.stream(&input).await?;
    Err(no_keys())
}

/// What is asked for is so already.
pub async fn decrypt(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&[])?;
    hose.stream(&input).await?;
    Ok(nothing())
}

/// A part of a value, for descriptions.
pub fn source_of(about: &About) -> ApiResult<Option<Value>> {
    about.source.as_ref().map(from_json).transpose()
}
