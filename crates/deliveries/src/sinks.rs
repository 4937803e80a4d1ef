//! Where lots go that do not go into tables: objects in a bucket, and servers elsewhere.
//!
//! Each record comes at least once. A lot that is sent again has the same objects, documents and requests as the first time
//! if it holds the same records, so that a receiver who keeps to their names has each once.

mod http;
mod objects;
mod opensearch;
mod post;
mod postgres;
mod retry;
mod rows;
mod splunk;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use polder_capability::deliveries::{Backup, DeliveryDefinition, DeliveryTarget, RejectedRecord, Secrets};
use polder_capability::topics::{columns, topic_schema};
use polder_runtime::Clock;
use polder_types::{Error, Result};
use uuid::Uuid;

/// Random bytes, handed in so that tests repeat.
pub type Random = Arc<dyn Fn() -> [u8; 16] + Send + Sync>;

/// Why a place takes nothing at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Lower case, no full stop.
    pub why: String,
    /// When the last try failed.
    pub at: DateTime<Utc>,
    /// When the next one is. `None`: the records are given up, or that is not known.
    pub next_at: Option<DateTime<Utc>>,
}

/// Is told of each try of a sink that tries by itself: what went wrong, or `None` once the place has taken something.
pub type Told = Arc<dyn Fn(Option<Trouble>) + Send + Sync>;

/// Records, or what a transform made of them, that are delivered together.
#[derive(Debug, Clone)]
pub struct Lot {
    /// The same whenever the same records are sent: made from their places.
    pub id: Uuid,
    /// The delivery's name.
    pub delivery: String,
    /// The topic's name.
    pub topic: String,
    /// The first record's time.
    pub time: DateTime<Utc>,
    /// Rows with the columns of a topic's table, or those of the transform.
    pub rows: RecordBatch,
}

impl Lot {
    /// Whether the rows are records as they came.
    fn is_untouched(&self) -> bool {
        let (have, topic) = (self.rows.schema(), topic_schema());
        have.fields().len() == topic.fields().len()
            && have
                .fields()
                .iter()
                .zip(topic.fields())
                .all(|(have, of_topic)| have.name() == of_topic.name() && have.data_type() == of_topic.data_type())
    }

    /// What a row is called for ever: by its record's place, if the rows tell it, or by its place in the lot.
    fn name_of(&self, row: usize) -> String {
        let column = |index: usize| {
            let field = topic_schema();
            let field = field.field(index);
            self.rows.column_by_name(field.name()).filter(|found| found.data_type() == field.data_type())
        };
        match (column(columns::PARTITION), column(columns::OFFSET)) {
            (Some(partition), Some(offset)) if partition.is_valid(row) && offset.is_valid(row) => {
                let partition = partition.as_primitive::<Int32Type>().value(row);
                let offset = offset.as_primitive::<Int64Type>().value(row);
                format!("{}-{partition}-{offset}", self.topic)
            }
            _ => format!("{}-{row}", self.id.simple()),
        }
    }

    /// When a row's record was written, if the rows tell it; otherwise the lot's time.
    fn time_of(&self, row: usize) -> DateTime<Utc> {
        self.rows
            .column_by_name("timestamp")
            .filter(|column| matches!(column.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _)))
            .filter(|column| column.is_valid(row))
            .and_then(|column| {
                DateTime::from_timestamp_micros(column.as_primitive::<TimestampMicrosecondType>().value(row))
            })
            .unwrap_or(self.time)
    }
}

/// A row that was not taken, and never will be as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the lot.
    pub row: usize,
    /// Lower case, no full stop.
    pub reason: String,
}

impl Refused {
    fn new(row: usize, reason: impl Into<String>) -> Self {
        Self { row, reason: reason.into() }
    }
}

/// A place outside.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Delivers a lot. When it returns, each row has arrived and is durable as far as the receiver says so, or is among those
    /// that are given: in the order of rows, each once.
    ///
    /// Dropping the future ends it; some rows may have arrived then.
    ///
    /// # Errors
    /// Nothing is known of any row: the lot is to be sent again. `Unavailable`, `Exhausted`: later. `InvalidInput`, `Forbidden`,
    /// `Unauthenticated`, `NotFound`: after the target, or what is there, was mended.
    async fn deliver(&self, lot: &Lot) -> Result<Vec<Refused>>;

    /// Keeps rejected records where the target says that they go besides. Nothing is done if it says no such place.
    ///
    /// # Errors
    /// As [`Sink::deliver`].
    async fn keep_rejected(&self, delivery: &str, rejected: &[RejectedRecord]) -> Result<()> {
        let _ = (delivery, rejected);
        Ok(())
    }
}

/// What sinks need of the world.
#[derive(Clone)]
pub struct Sinks {
    clock: Arc<dyn Clock>,
    random: Random,
}

impl Sinks {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Random) -> Self {
        Self { clock, random }
    }

    /// The way to a target. Nothing is reached before the first lot. `None`: it is a table.
    ///
    /// # Errors
    /// `InvalidInput`: the target contradicts itself, or a secret is missing. `Unsupported`: a kind of URL.
    pub fn open(&self, target: &DeliveryTarget, secrets: &Secrets, told: Told) -> Result<Option<Arc<dyn Sink>>> {
        let waits = retry::Waits::new(Arc::clone(&self.clock), Arc::clone(&self.random), told);
        Ok(Some(match target {
            DeliveryTarget::Table(_) | DeliveryTarget::History(_) => return Ok(None),
            DeliveryTarget::Objects(target) => {
                let keys = objects::Keys::new(secrets, "access_key_id", "secret_access_key")?;
                Arc::new(objects::Objects::open(target, keys)?)
            }
            DeliveryTarget::Http(target) => Arc::new(http::Endpoint::open(target, secrets, waits)?),
            DeliveryTarget::OpenSearch(target) => Arc::new(opensearch::Search::open(target, secrets, waits)?),
            DeliveryTarget::Splunk(target) => Arc::new(splunk::Splunk::open(target, secrets, waits)?),
            DeliveryTarget::Postgres(target) => Arc::new(postgres::Postgres::open(target, secrets)),
        }))
    }

    /// Refuses a target that [`Sinks::open`] refuses, and a bucket that neither the secrets nor the server's settings have a key
    /// for.
    ///
    /// # Errors
    /// As [`Sinks::open`].
    pub fn check(&self, target: &DeliveryTarget, secrets: &Secrets) -> Result<()> {
        if let DeliveryTarget::Objects(target) = target {
            let keys = objects::Keys::new(secrets, "access_key_id", "secret_access_key")?;
            return objects::Objects::open(target, keys)?.has_key();
        }
        self.open(target, secrets, Arc::new(|_| {})).map(|_| ())
    }

    /// The way to the objects that records are written into besides: lots of records as they came.
    ///
    /// # Errors
    /// As [`Sinks::open`].
    pub fn open_backup(&self, backup: &Backup, secrets: &Secrets) -> Result<Arc<dyn Sink>> {
        let keys = objects::Keys::new(secrets, "backup_access_key_id", "backup_secret_access_key")?;
        Ok(Arc::new(objects::Objects::open(&backup.objects, keys)?))
    }
}

/// Refuses prefixes of objects that name columns which there are not: `columns` are those of the rows that are sent. A backup
/// has the records as they came.
///
/// # Errors
/// `InvalidInput` (42703).
pub(crate) fn check_columns(definition: &DeliveryDefinition, columns: &[String]) -> Result<()> {
    if let DeliveryTarget::Objects(target) = &definition.target {
        objects::check_columns(target, columns)?;
    }
    if let Some(backup) = &definition.backup {
        let of_topic: Vec<String> = topic_schema().fields().iter().map(|field| field.name().clone()).collect();
        objects::check_columns(&backup.objects, &of_topic)?;
    }
    Ok(())
}

/// A URL of a server, as people give it.
fn server_url(url: &str) -> Result<String> {
    let parsed = url::Url::parse(url).map_err(|error| Error::invalid(format!("{url} is no URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none_or(str::is_empty) {
        return Err(Error::invalid(format!("{url} is no http:// or https:// URL")));
    }
    if parsed.username() != "" || parsed.password().is_some() {
        return Err(
            Error::invalid("a URL that holds a password would be shown to others").with_hint("give it as a secret")
        );
    }
    Ok(url.trim_end_matches('/').to_owned())
}
