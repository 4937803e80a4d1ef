//! What a destination's configuration is as a delivery.

pub mod objects;
mod servers;

use polder_capability::deliveries::{Backup, Buffer, DeliveryTarget, TableTarget};

use super::destination::Kind;
use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::value::Value;

/// Bytes of a lot where nobody says otherwise, as at AWS.
const BUFFER_BYTES: u64 = 5 << 20;
const BUFFER_SECONDS: u64 = 300;
/// The same for Splunk.
const SPLUNK_SECONDS: u64 = 60;

/// The schema of a table that is not named.
const SCHEMA: &str = "public";

/// A delivery's share in a destination. Its secrets are elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub target: DeliveryTarget,
    pub backup: Option<Backup>,
    pub buffer: Buffer,
    pub partition_by: Vec<String>,
}

impl Plan {
    fn new(target: DeliveryTarget, backup: Option<Backup>, buffer: Buffer) -> Self {
        Self { target, backup, buffer, partition_by: Vec::new() }
    }
}

/// Makes a plan of a configuration with the names of descriptions.
///
/// # Errors
/// `ValidationException` for a member that is not known here, `InvalidArgumentException` for one that asks for what there is not.
pub fn plan(stream: &str, kind: Kind, config: &Value) -> ApiResult<Plan> {
    let input = &Input::of(config)?;
    match kind {
        Kind::S3 | Kind::ExtendedS3 => objects::plan(input, kind == Kind::ExtendedS3),
        Kind::HttpEndpoint => servers::http(input),
        Kind::Splunk => servers::splunk(input),
        Kind::Amazonopensearchservice | Kind::Elasticsearch => servers::search(input),
        Kind::Iceberg => iceberg(stream, input),
    }
}

/// The buffer that a configuration says.
///
/// # Errors
/// `ValidationException`.
pub fn buffer_of(kind: Kind, config: &Value) -> ApiResult<Buffer> {
    buffer(&Input::of(config)?, if kind == Kind::Splunk { SPLUNK_SECONDS } else { BUFFER_SECONDS })
}

fn buffer(input: &Input<'_>, seconds: u64) -> ApiResult<Buffer> {
    let default = Buffer { bytes: BUFFER_BYTES, seconds };
    let Some(hints) = input.part("BufferingHints")? else { return Ok(default) };
    hints.only(&["SizeInMBs", "IntervalInSeconds"])?;
    let number = |name, bounds| Ok(hints.bounded(name, bounds)?.and_then(|number| u64::try_from(number).ok()));
    Ok(Buffer {
        bytes: number("SizeInMBs", 1..=128)?.map_or(default.bytes, |size| size << 20),
        // A second is the least here; Firehose's 0 means as soon as can be.
        seconds: number("IntervalInSeconds", 0..=900)?.map_or(default.seconds, |seconds| seconds.max(1)),
    })
}

fn retry_seconds(input: &Input<'_>, default: u64) -> ApiResult<u64> {
    let Some(options) = input.part("RetryOptions")? else { return Ok(default) };
    options.only(&["DurationInSeconds"])?;
    let seconds = options.bounded("DurationInSeconds", 0..=7_200)?;
    Ok(seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(default))
}

/// One of several words.
fn choice<T: Copy>(input: &Input<'_>, name: &str, all: &[(&str, T)]) -> ApiResult<Option<T>> {
    let Some(text) = input.text(name)? else { return Ok(None) };
    match all.iter().find(|(word, _)| *word == text) {
        Some((_, meant)) => Ok(Some(*meant)),
        None => {
            let words: Vec<&str> = all.iter().map(|(word, _)| *word).collect();
            Err(ApiError::constraint(text, name, &format!("satisfy enum value set: [{}]", words.join(", "))))
        }
    }
}

fn unsupported(what: &str, instead: &str) -> ApiError {
    ApiError::argument(format!("{what} is not supported here: {instead}"))
}

/// A part that may be there if it is switched off.
fn must_be_off(input: &Input<'_>, name: &str, instead: &str) -> ApiResult<()> {
    match input.part(name)? {
        Some(part) if part.bool("Enabled")?.unwrap_or(true) => Err(unsupported(name, instead)),
        _ => Ok(()),
    }
}

/// A part that may be there if it is switched on, since it is so here.
fn must_be_on(input: &Input<'_>, name: &str, since: &str) -> ApiResult<()> {
    match input.part(name)? {
        Some(part) if !part.bool("Enabled")?.unwrap_or(true) => Err(unsupported(&format!("{name} that is off"), since)),
        _ => Ok(()),
    }
}

/// What all destinations have in common. Logging is kept as it is wanted, as the monitoring of streams is: there is no
/// CloudWatch that would show it.
fn check_common(input: &Input<'_>) -> ApiResult<()> {
    input.text("RoleARN")?;
    if let Some(logging) = input.part("CloudWatchLoggingOptions")? {
        logging.only(&["Enabled", "LogGroupName", "LogStreamName"])?;
    }
    let instead = "a delivery has a transform in SQL, ALTER DELIVERY … SET TRANSFORM AS";
    must_be_off(input, "ProcessingConfiguration", instead)
}

/// The bucket beside a destination. It is written into if a mode says what: `all` or those that failed.
fn backup(input: &Input<'_>, failed: &str, all: &str) -> ApiResult<Option<Backup>> {
    let objects = input.part("S3DestinationDescription")?.map(|part| objects::beside(&part)).transpose()?;
    let Some(all) = choice(input, "S3BackupMode", &[(failed, false), (all, true)])? else { return Ok(None) };
    let objects = objects.ok_or_else(|| ApiError::argument("S3BackupMode needs an S3Configuration"))?;
    Ok(Some(Backup { objects, all }))
}

/// A table of the lake, which stands for the catalog, whatever its name.
fn iceberg(stream: &str, input: &Input<'_>) -> ApiResult<Plan> {
    input.only(&[
        "RoleARN",
        "CatalogConfiguration",
        "DestinationTableConfigurationList",
        "SchemaEvolutionConfiguration",
        "TableCreationConfiguration",
        "BufferingHints",
        "CloudWatchLoggingOptions",
        "ProcessingConfiguration",
        "S3BackupMode",
        "AppendOnly",
        "S3DestinationDescription",
    ])?;
    check_common(input)?;
    must_be_on(input, "SchemaEvolutionConfiguration", "fields that a table has no column for add one")?;
    must_be_on(input, "TableCreationConfiguration", "a table that is not there is made")?;
    if let Some(catalog) = input.part("CatalogConfiguration")? {
        catalog.only(&["CatalogARN"])?;
    }
    input.bool("AppendOnly")?;
    // Records that fail are kept in a table, from which they can be delivered again.
    let backup = backup(input, "FailedDataOnly", "AllData")?.filter(|backup| backup.all);
    let (table, partition_by) = match input.list("DestinationTableConfigurationList")?.unwrap_or_default() {
        [] => (TableTarget { schema: SCHEMA.to_owned(), name: stream.to_owned() }, Vec::new()),
        [one] => table(&Input::of(one)?)?,
        _ => return Err(unsupported("a second table", "one delivery stream brings into one table")),
    };
    let plan = Plan::new(DeliveryTarget::Table(table), backup, buffer(input, BUFFER_SECONDS)?);
    Ok(Plan { partition_by, ..plan })
}

fn table(input: &Input<'_>) -> ApiResult<(TableTarget, Vec<String>)> {
    input.only(&["DestinationTableName", "DestinationDatabaseName", "PartitionSpec", "UniqueKeys"])?;
    if !input.list("UniqueKeys")?.unwrap_or_default().is_empty() {
        return Err(unsupported("UniqueKeys", "rows are added"));
    }
    let text = |name: &str| match input.needs_text(name)? {
        "" => Err(ApiError::constraint("", name, "have length greater than or equal to 1")),
        text => Ok(text.to_owned()),
    };
    let (schema, name) = (text("DestinationDatabaseName")?, text("DestinationTableName")?);
    let mut columns = Vec::new();
    if let Some(spec) = input.part("PartitionSpec")? {
        spec.only(&["Identity"])?;
        for field in spec.list("Identity")?.unwrap_or_default() {
            let field = Input::of(field)?;
            field.only(&["SourceName"])?;
            columns.push(format!("\"{}\"", field.needs_text("SourceName")?.replace('"', "\"\"")));
        }
    }
    Ok((TableTarget { schema, name }, columns))
}

#[cfg(test)]
mod tests;
