//! Objects in a bucket.

mod pack;
mod template;

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions, ObjectStoreExt, WriteMultipart};
use polder_capability::deliveries::{Compression, ObjectFormat, ObjectsTarget, RejectedRecord, Secrets};
use polder_types::{Error, ErrorKind, Result};
use url::Url;

use self::template::{Filling, Template};
use super::{Lot, Refused, Sink, rows};

/// What a prefix is when nothing is said.
const PREFIX: &str = "!{timestamp:yyyy/MM/dd/HH}/";
/// Objects that one lot is divided into at most, as in Firehose.
const OBJECTS_MAX: usize = 500;
/// Larger objects are sent in parts.
const PART_BYTES: usize = 16 << 20;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// For one request.
const PART_WITHIN: Duration = Duration::from_secs(180);
/// What Firehose calls records that went wrong before they were delivered.
const ERROR_TYPE: &str = "processing-failed";

/// The key of a bucket.
#[derive(Clone)]
pub(super) struct Keys(Option<(String, String)>);

impl Keys {
    /// By the secrets' names.
    pub(super) fn new(secrets: &Secrets, id: &str, secret: &str) -> Result<Self> {
        match (secrets.get(id), secrets.get(secret)) {
            (Some(id), Some(secret)) => Ok(Self(Some((id.to_owned(), secret.to_owned())))),
            (None, None) => Ok(Self(None)),
            _ => Err(Error::invalid(format!("of {id} and {secret} there is only one"))),
        }
    }
}

/// A folder of a bucket.
pub(super) struct Objects {
    store: AmazonS3,
    /// Whether requests can be signed, or need not be.
    has_key: bool,
    bucket: String,
    folder: String,
    prefix: Template,
    error_prefix: Option<Template>,
    format: ObjectFormat,
    compression: Compression,
}

/// # Errors
/// `InvalidInput` (42703): the prefix names a column that is none of these.
pub(super) fn check_columns(target: &ObjectsTarget, columns: &[String]) -> Result<()> {
    let prefix = Template::parse(target.prefix.as_deref().unwrap_or(PREFIX), false)?;
    let Some(unknown) = prefix.columns().into_iter().find(|name| !columns.iter().any(|column| column == name)) else {
        return Ok(());
    };
    Err(Error::invalid(format!("the prefix names the column {unknown:?}, which the rows do not have"))
        .with_code("42703")
        .with_hint(format!("their columns are {}", columns.join(", "))))
}

impl Objects {
    pub(super) fn open(target: &ObjectsTarget, keys: Keys) -> Result<Self> {
        let url =
            Url::parse(&target.url).map_err(|error| Error::invalid(format!("{} is no URL: {error}", target.url)))?;
        let bucket = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "s3" | "s3a") {
            let message = format!("objects are delivered to s3://bucket/folder, and not to {}", target.url);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if bucket.is_empty() {
            return Err(Error::invalid(format!("{} names no bucket", target.url)));
        }
        pack::check(target.format, target.compression)?;
        let prefix = Template::parse(target.prefix.as_deref().unwrap_or(PREFIX), false)?;
        let error_prefix = target.error_prefix.as_deref().map(|text| Template::parse(text, true)).transpose()?;
        let (store, has_key) = bucket_of(bucket, target, keys)?;
        let (bucket, folder) = (bucket.to_owned(), url.path().trim_matches('/').to_owned());
        let (format, compression) = (target.format, target.compression);
        Ok(Self { store, has_key, bucket, folder, prefix, error_prefix, format, compression })
    }

    /// # Errors
    /// `InvalidInput`: there is no key for the bucket.
    pub(super) fn has_key(&self) -> Result<()> {
        if self.has_key {
            return Ok(());
        }
        let message = format!("there is no key for the bucket {}", self.bucket);
        Err(Error::invalid(message).with_code("22023").with_hint(
            "WITH (access_key_id '…', secret_access_key '…'), or start the server with AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY; on a computer of AWS with a role of its own, with AWS_METADATA_ENDPOINT",
        ))
    }

    fn path(&self, prefix: &str, name: &str) -> Path {
        let folder = if self.folder.is_empty() { String::new() } else { format!("{}/", self.folder) };
        Path::from(format!("{folder}{prefix}{name}"))
    }

    async fn put(&self, path: &Path, bytes: Bytes) -> Result<()> {
        // Where nobody gave a key, one would be asked for on the network for half a minute.
        self.has_key()?;
        let failed = |error| from_store(path, &error);
        if bytes.len() <= PART_BYTES {
            return self.store.put(path, bytes.into()).await.map(|_| ()).map_err(failed);
        }
        let upload = self.store.put_multipart(path).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        upload.put(bytes);
        // On a failure the parts that were sent are taken back.
        upload.finish().await.map(|_| ()).map_err(failed)
    }

    /// The lot in parts, one for each value of the columns in the prefix.
    fn divide(&self, lot: &Lot, refused: &mut Vec<Refused>) -> Result<Vec<(Vec<String>, Vec<usize>)>> {
        let columns = self.prefix.columns();
        if columns.is_empty() {
            return Ok(vec![(Vec::new(), (0..lot.rows.num_rows()).collect())]);
        }
        let options = FormatOptions::new();
        let mut values = Vec::new();
        for name in columns {
            let column = lot.rows.column_by_name(name).ok_or_else(|| {
                Error::invalid(format!("the prefix names the column {name}, which the rows do not have"))
            })?;
            let shown = ArrayFormatter::try_new(column, &options)
                .map_err(|error| Error::invalid(format!("the column {name} cannot be part of a name: {error}")))?;
            values.push((name, column, shown));
        }
        let mut parts: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
        for row in 0..lot.rows.num_rows() {
            let missing = values.iter().find(|(_, column, _)| column.is_null(row));
            let key: Vec<String> = values.iter().map(|(_, _, shown)| shown.value(row).to_string()).collect();
            let empty = values.iter().zip(&key).find(|(_, text)| text.is_empty()).map(|(value, _)| value);
            if let Some((name, ..)) = missing.or(empty) {
                refused.push(Refused::new(row, format!("it has no {name}, by which objects are named")));
            } else if parts.len() >= OBJECTS_MAX && !parts.contains_key(&key) {
                refused
                    .push(Refused::new(row, format!("its lot would be divided into more than {OBJECTS_MAX} objects")));
            } else {
                parts.entry(key).or_default().push(row);
            }
        }
        Ok(parts.into_iter().collect())
    }
}

#[async_trait]
impl Sink for Objects {
    async fn deliver(&self, lot: &Lot) -> Result<Vec<Refused>> {
        let mut refused = Vec::new();
        for (values, places) in self.divide(lot, &mut refused)? {
            let part = Lot { rows: taken(&lot.rows, &places)?, ..lot.clone() };
            let (format, compression) = (self.format, self.compression);
            let (bytes, wrong) = rows::apart(&part, move |part| pack::pack(part, format, compression)).await?;
            refused.extend(wrong.into_iter().filter_map(|one| Some(Refused::new(*places.get(one.row)?, one.reason))));
            let Some(bytes) = bytes else { continue };
            let filling = Filling { time: lot.time, id: lot.id, values: &values, error_type: "" };
            let name = object_name(&lot.delivery, lot, &pack::extension(self.format, self.compression));
            self.put(&self.path(&self.prefix.fill(&filling), &name), bytes).await?;
        }
        refused.sort_unstable_by_key(|one| one.row);
        Ok(refused)
    }

    async fn keep_rejected(&self, delivery: &str, rejected: &[RejectedRecord]) -> Result<()> {
        let (Some(prefix), Some(first)) = (&self.error_prefix, rejected.first()) else { return Ok(()) };
        let mut lines = Vec::new();
        for record in rejected {
            serde_json::to_writer(&mut lines, &line_of(record)).map_err(|error| Error::internal(error.to_string()))?;
            lines.push(b'\n');
        }
        // The same records have the same name.
        let id = uuid::Uuid::from_u64_pair(
            first.offset.cast_unsigned() ^ (u64::from(first.partition.cast_unsigned()) << 48),
            first.at.timestamp_micros().cast_unsigned(),
        );
        let filling = Filling { time: first.at, id, values: &[], error_type: ERROR_TYPE };
        let name = format!("{delivery}-{}-{}.json", first.at.format("%Y-%m-%d-%H-%M-%S"), id.simple());
        self.put(&self.path(&prefix.fill(&filling), &name), lines.into()).await
    }
}

/// A rejected record as Firehose writes it, and its place.
fn line_of(record: &RejectedRecord) -> serde_json::Value {
    serde_json::json!({
        "errorCode": "Rejected",
        "errorMessage": record.reason,
        "arrivalTimestamp": record.timestamp,
        "rejectedTimestamp": record.at.timestamp_millis(),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "rawKey": record.key.as_ref().map(|key| BASE64.encode(key)),
        "rawData": record.value.as_ref().map(|value| BASE64.encode(value)),
    })
}

fn object_name(delivery: &str, lot: &Lot, extension: &str) -> String {
    format!("{delivery}-{}-{}{extension}", lot.time.format("%Y-%m-%d-%H-%M-%S"), lot.id.simple())
}

fn taken(batch: &RecordBatch, rows: &[usize]) -> Result<RecordBatch> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    let too_many = |_| Error::new(ErrorKind::TooLarge, "a lot has too many rows");
    let places = rows.iter().map(|row| u32::try_from(*row)).collect::<Result<Vec<_>, _>>().map_err(too_many)?;
    take_record_batch(batch, &UInt32Array::from(places))
        .map_err(|error| Error::internal(format!("dividing a lot: {error}")))
}

fn bucket_of(bucket: &str, target: &ObjectsTarget, keys: Keys) -> Result<(AmazonS3, bool)> {
    let mut builder = match keys.0 {
        Some((id, secret)) => AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret),
        // The server's own key is for places that the server was given with it.
        None if target.endpoint.is_some() => {
            return Err(Error::invalid("a bucket with an endpoint of its own needs a key of its own")
                .with_hint("give access_key_id and secret_access_key"));
        }
        None => AmazonS3Builder::from_env(),
    };
    // Options replace those that the environment has given.
    let allows_http = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
    let allows_http = builder.get_config_value(&allows_http).is_some_and(|told| told.eq_ignore_ascii_case("true"));
    let times = ClientOptions::new().with_connect_timeout(CONNECT_WITHIN).with_timeout(PART_WITHIN);
    builder = builder.with_bucket_name(bucket).with_client_options(times).with_allow_http(allows_http);
    if let Some(region) = &target.region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &target.endpoint {
        let endpoint = super::server_url(endpoint)?;
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    let has_key = has_key(&builder);
    let store = builder.build();
    let store = store.map_err(|error| Error::invalid(format!("the bucket {bucket} cannot be used: {error}")))?;
    Ok((store, has_key))
}

/// Whether a builder was told where keys are, or that there are none to be used.
fn has_key(builder: &AmazonS3Builder) -> bool {
    use AmazonS3ConfigKey as Key;
    let told = |key: Key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let all = |keys: [Key; 2]| keys.into_iter().all(|key| told(key).is_some());
    all([Key::AccessKeyId, Key::SecretAccessKey])
        || all([Key::WebIdentityTokenFile, Key::RoleArn])
        || told(Key::ContainerCredentialsRelativeUri).is_some()
        || told(Key::ContainerCredentialsFullUri).is_some()
        || told(Key::MetadataEndpoint).is_some()
        || told(Key::SkipSignature).is_some_and(|told| told.eq_ignore_ascii_case("true"))
}

fn from_store(path: &Path, error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let kind = match error {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::PermissionDenied { .. } => ErrorKind::Forbidden,
        Store::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, format!("the object {path} was not written: {error}"))
}
