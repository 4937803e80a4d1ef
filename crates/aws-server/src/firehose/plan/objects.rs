//! Buckets.

use polder_capability::deliveries::{Backup, Compression, DeliveryTarget, ObjectFormat, ObjectsTarget};

use super::{BUFFER_SECONDS, Plan, buffer, check_common, choice, must_be_off, unsupported};
use crate::error::{ApiError, ApiResult};
use crate::input::Input;

const COMPRESSIONS: [(&str, Compression); 5] = [
    ("UNCOMPRESSED", Compression::None),
    ("GZIP", Compression::Gzip),
    ("ZIP", Compression::Zip),
    ("Snappy", Compression::Snappy),
    ("HADOOP_SNAPPY", Compression::HadoopSnappy),
];

/// What is known of every bucket.
pub const MEMBERS: [&str; 8] = [
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
];

/// What is known of an extended one besides.
const EXTENDED: [&str; 6] = [
    "ProcessingConfiguration",
    "S3BackupMode",
    "S3BackupDescription",
    "DataFormatConversionConfiguration",
    "DynamicPartitioningConfiguration",
    "CustomTimeZone",
];

/// Put behind a prefix that says nothing of time, as AWS does it.
const TIME: &str = "!{timestamp:yyyy/MM/dd/HH}/";

pub fn plan(input: &Input<'_>, is_extended: bool) -> ApiResult<Plan> {
    let extended: &[&str] = if is_extended { &EXTENDED } else { &[] };
    input.only(&[&MEMBERS, extended].concat())?;
    check_common(input)?;
    let instead = "a prefix names columns of a delivery's transform in SQL";
    must_be_off(input, "DynamicPartitioningConfiguration", instead)?;
    if input.text("CustomTimeZone")?.is_some_and(|zone| zone != "UTC") {
        return Err(unsupported("CustomTimeZone", "times in names are in UTC"));
    }
    let mut target = bucket(input)?;
    if let Some(compression) = parquet(input)? {
        if target.compression != Compression::None {
            return Err(ApiError::argument("CompressionFormat is UNCOMPRESSED where the format is converted"));
        }
        target.format = ObjectFormat::Parquet;
        target.compression = compression;
    }
    let other = input.part("S3BackupDescription")?.map(|part| beside(&part)).transpose()?;
    let backup = match choice(input, "S3BackupMode", &[("Disabled", false), ("Enabled", true)])? {
        Some(true) => {
            let objects = other.ok_or_else(|| ApiError::argument("S3BackupMode needs an S3BackupConfiguration"))?;
            Some(Backup { objects, all: true })
        }
        _ => None,
    };
    Ok(Plan::new(DeliveryTarget::Objects(target), backup, buffer(input, BUFFER_SECONDS)?))
}

/// A bucket beside a destination: records as they came, and those that failed.
pub fn beside(input: &Input<'_>) -> ApiResult<ObjectsTarget> {
    input.only(&MEMBERS)?;
    check_common(input)?;
    // Lots are those of the destination.
    buffer(input, BUFFER_SECONDS)?;
    let mut target = bucket(input)?;
    if target.error_prefix.is_none() {
        let given = input.text("Prefix")?.filter(|prefix| !prefix.contains("!{")).unwrap_or_default();
        target.error_prefix = Some(format!("{given}!{{firehose:error-output-type}}/{TIME}"));
    }
    Ok(target)
}

fn bucket(input: &Input<'_>) -> ApiResult<ObjectsTarget> {
    let arn = input.needs_text("BucketARN")?;
    let name =
        arn.strip_prefix("arn:").and_then(|rest| rest.rsplit_once(':')).filter(|(before, _)| before.contains(":s3:"));
    let is_name = |name: &str| {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
        (3..=63).contains(&name.len()) && name.bytes().all(allowed)
    };
    let Some((_, name)) = name.filter(|(_, name)| is_name(name)) else {
        return Err(ApiError::constraint(
            arn,
            "bucketARN",
            "satisfy regular expression pattern: arn:.*:s3:::[\\w\\.\\-]{1,255}",
        ));
    };
    if let Some(encryption) = input.part("EncryptionConfiguration")? {
        encryption.only(&["NoEncryptionConfig"])?;
    }
    let prefix = |text: &str| if text.contains("!{") { text.to_owned() } else { format!("{text}{TIME}") };
    Ok(ObjectsTarget {
        url: format!("s3://{name}"),
        endpoint: None,
        region: None,
        format: ObjectFormat::Raw,
        compression: choice(input, "CompressionFormat", &COMPRESSIONS)?.unwrap_or_default(),
        prefix: input.text("Prefix")?.map(prefix),
        error_prefix: input.text("ErrorOutputPrefix")?.map(prefix),
    })
}

/// How Parquet is packed, if records are converted to it. The schema that a table of Glue's would give is that of the delivery's
/// transform, or of a topic's table: there is no Glue.
fn parquet(input: &Input<'_>) -> ApiResult<Option<Compression>> {
    let Some(part) = input.part("DataFormatConversionConfiguration")? else { return Ok(None) };
    part.only(&["Enabled", "SchemaConfiguration", "InputFormatConfiguration", "OutputFormatConfiguration"])?;
    if !part.bool("Enabled")?.unwrap_or(true) {
        return Ok(None);
    }
    part.part("SchemaConfiguration")?;
    if let Some(read) = part.part("InputFormatConfiguration")? {
        read.only(&["Deserializer"])?;
        let read = read.needs_part("Deserializer")?;
        read.only(&["OpenXJsonSerDe", "HiveJsonSerDe"])?;
        for name in ["OpenXJsonSerDe", "HiveJsonSerDe"] {
            read.part(name)?.map_or(Ok(()), |options| options.only(&[]))?;
        }
    }
    let written = part.needs_part("OutputFormatConfiguration")?;
    written.only(&["Serializer"])?;
    let serializer = written.needs_part("Serializer")?;
    serializer.only(&["ParquetSerDe", "OrcSerDe"])?;
    let Some(parquet) = serializer.part("ParquetSerDe")? else {
        return Err(unsupported("OrcSerDe", "records are converted to Parquet"));
    };
    parquet.only(&["Compression"])?;
    let all = [("SNAPPY", Compression::Snappy), ("GZIP", Compression::Gzip), ("UNCOMPRESSED", Compression::None)];
    Ok(Some(choice(&parquet, "Compression", &all)?.unwrap_or(Compression::Snappy)))
}
