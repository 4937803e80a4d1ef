//! Delivery streams as they are told.

use polder_capability::deliveries::{
    BUFFER_BYTES_MAX, Buffer, Compression, DeliveryDefinition, DeliveryStatus, DeliveryTarget, ObjectFormat,
};

use super::manage::{DESTINATION_ID, source_of};
use super::state::{About, Destination, from_json};
use super::{Hose, failed, plan};
use crate::error::{ApiError, ApiResult};
use crate::kinesis::names as kinesis_names;
use crate::services::Reply;
use crate::value::{Value, map};

/// Streams of a list where nobody says how many.
const LISTED: i64 = 10;
const LISTED_MAX: i64 = 10_000;

pub async fn list(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = crate::input::Input::of(&hose.call.input)?;
    input.only(&["Limit", "DeliveryStreamType", "ExclusiveStartDeliveryStreamName"])?;
    let limit = usize::try_from(input.bounded("Limit", 1..=LISTED_MAX)?.unwrap_or(LISTED)).unwrap_or_default();
    let after = input.text("ExclusiveStartDeliveryStreamName")?;
    let kind = input.text("DeliveryStreamType")?;
    if let Some(kind) = kind.filter(|kind| !["DirectPut", "KinesisStreamAsSource", "MSKAsSource"].contains(kind)) {
        let rule = "satisfy enum value set: [DirectPut, KinesisStreamAsSource, MSKAsSource]";
        return Err(ApiError::constraint(kind, "deliveryStreamType", rule));
    }
    let mut all = hose.deliveries().list().await.map_err(failed)?;
    all.sort_unstable_by(|a, b| a.definition.name.cmp(&b.definition.name));
    let mut names = Vec::new();
    for delivery in all {
        let name = &delivery.definition.name;
        let is_meant = after.is_none_or(|after| name.as_str() > after)
            && (kind.is_none() || kind == Some(About::of(&delivery)?.kind_of(&delivery)));
        if is_meant && hose.owns(&delivery).await? {
            names.push(name.clone());
        }
        // One more says that there are more.
        if names.len() > limit {
            break;
        }
    }
    let more = names.len() > limit;
    names.truncate(limit);
    Ok(Reply::Value(map([("DeliveryStreamNames", names.into()), ("HasMoreDeliveryStreams", more.into())])))
}

pub async fn describe(hose: &Hose<'_>) -> ApiResult<Reply> {
    let input = hose.input(&["Limit", "ExclusiveStartDestinationId"])?;
    input.bounded("Limit", 1..=LISTED_MAX)?;
    let (delivery, about) = hose.stream(&input).await?;
    let is_behind = input.text("ExclusiveStartDestinationId")?.is_some_and(|after| after >= DESTINATION_ID);
    let destinations = if is_behind { Vec::new() } else { vec![destination(&delivery, &about)?] };
    let name = delivery.definition.name.as_str();
    let description = map([
        ("DeliveryStreamName", name.into()),
        ("DeliveryStreamARN", hose.arn(name).into()),
        ("DeliveryStreamStatus", "ACTIVE".into()),
        ("DeliveryStreamType", about.kind_of(&delivery).into()),
        ("VersionId", about.version.to_string().into()),
        ("CreateTimestamp", Value::Time(delivery.created_at.timestamp_millis())),
        ("LastUpdateTimestamp", Value::Time(about.changed_ms)),
        ("Source", source(hose, &delivery, &about)?),
        ("Destinations", destinations.into()),
        ("HasMoreDestinations", false.into()),
    ]);
    Ok(Reply::Value(map([("DeliveryStreamDescription", description)])))
}

fn source(hose: &Hose<'_>, delivery: &DeliveryStatus, about: &About) -> ApiResult<Value> {
    if delivery.definition.owns_topic {
        return Ok(Value::Null);
    }
    let arn = kinesis_names::arn(&hose.call.region, &delivery.definition.topic);
    let given = source_of(about)?.unwrap_or_else(|| map([("KinesisStreamARN", arn.into())]));
    let Value::Map(mut members) = given else { return Err(ApiError::internal()) };
    members.push(("DeliveryStartTimestamp".to_owned(), Value::Time(delivery.created_at.timestamp_millis())));
    let name = if about.is_kafka { "MSKSourceDescription" } else { "KinesisStreamSourceDescription" };
    Ok(map([(name, Value::Map(members))]))
}

/// The destination as it was given, with what SQL has changed of it since.
fn destination(delivery: &DeliveryStatus, about: &About) -> ApiResult<Value> {
    let mut members = vec![("DestinationId".to_owned(), DESTINATION_ID.into())];
    let Some(Destination { kind, config }) = &about.destination else {
        members.extend(of_sql(&delivery.definition));
        return Ok(Value::Map(members));
    };
    let mut config = from_json(config)?;
    if plan::buffer_of(*kind, &config)? != delivery.definition.buffer {
        set(&mut config, "BufferingHints", hints(delivery.definition.buffer));
    }
    if *kind == super::destination::Kind::ExtendedS3
        && let Value::Map(all) = &config
    {
        let plain = all.iter().filter(|(name, _)| plan::objects::MEMBERS.contains(&name.as_str())).cloned().collect();
        members.push(("S3DestinationDescription".to_owned(), Value::Map(plain)));
    }
    members.push((format!("{}DestinationDescription", kind.name()), config));
    Ok(Value::Map(members))
}

fn set(config: &mut Value, name: &str, to: Value) {
    let Value::Map(members) = config else { return };
    match members.iter_mut().find(|(member, _)| member == name) {
        Some((_, there)) => *there = to,
        None => members.push((name.to_owned(), to)),
    }
}

fn int(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

/// A buffer; parts of a MiB are told as a whole one.
fn hints(buffer: Buffer) -> Value {
    let size = buffer.bytes.min(BUFFER_BYTES_MAX).div_ceil(1 << 20);
    map([("SizeInMBs", int(size)), ("IntervalInSeconds", int(buffer.seconds))])
}

/// What comes closest to a target that was made with SQL. `None`: Firehose has nothing of the kind.
fn of_sql(definition: &DeliveryDefinition) -> Option<(String, Value)> {
    let hints = hints(definition.buffer);
    let retry = |seconds: u64| map([("DurationInSeconds", int(seconds))]);
    let (name, config) = match &definition.target {
        DeliveryTarget::Table(table) => {
            let table = map([
                ("DestinationDatabaseName", table.schema.as_str().into()),
                ("DestinationTableName", table.name.as_str().into()),
            ]);
            let tables = vec![table];
            ("Iceberg", map([("DestinationTableConfigurationList", tables.into()), ("BufferingHints", hints)]))
        }
        DeliveryTarget::Objects(objects) => {
            let place = objects.url.trim_start_matches("s3a://").trim_start_matches("s3://");
            let (bucket, _) = place.split_once('/').unwrap_or((place, ""));
            let is_parquet = objects.format == ObjectFormat::Parquet;
            let compression = match objects.compression {
                _ if is_parquet => "UNCOMPRESSED",
                Compression::None | Compression::Zstd => "UNCOMPRESSED",
                Compression::Gzip => "GZIP",
                Compression::Zip => "ZIP",
                Compression::Snappy => "Snappy",
                Compression::HadoopSnappy => "HADOOP_SNAPPY",
            };
            let config = map([
                ("BucketARN", format!("arn:aws:s3:::{bucket}").into()),
                ("Prefix", crate::value::maybe(objects.prefix.as_deref())),
                ("ErrorOutputPrefix", crate::value::maybe(objects.error_prefix.as_deref())),
                ("BufferingHints", hints),
                ("CompressionFormat", compression.into()),
            ]);
            ("ExtendedS3", config)
        }
        DeliveryTarget::Http(http) => {
            let endpoint = map([("Url", http.url.as_str().into())]);
            let config = [
                ("EndpointConfiguration", endpoint),
                ("BufferingHints", hints),
                ("RetryOptions", retry(http.retry_seconds)),
            ];
            ("HttpEndpoint", map(config))
        }
        DeliveryTarget::OpenSearch(search) => {
            let config = map([
                ("ClusterEndpoint", search.url.as_str().into()),
                ("IndexName", search.index.as_str().into()),
                ("BufferingHints", hints),
                ("RetryOptions", retry(search.retry_seconds)),
            ]);
            ("Amazonopensearchservice", config)
        }
        DeliveryTarget::Splunk(splunk) => {
            let config = map([
                ("HECEndpoint", splunk.url.as_str().into()),
                ("HECEndpointType", if splunk.raw { "Raw" } else { "Event" }.into()),
                ("BufferingHints", hints),
                ("RetryOptions", retry(splunk.retry_seconds)),
            ]);
            ("Splunk", config)
        }
        DeliveryTarget::Postgres(_) | DeliveryTarget::History(_) => return None,
    };
    Some((format!("{name}DestinationDescription"), config))
}
