//! A delivery as the payload of its job.

use polder_capability::deliveries::{
    BUFFER_BYTES_MAX, BUFFER_SECONDS_MAX, DELIVERY_KIND, DeliveryDefinition, DeliveryStart, DeliveryTarget,
};
use polder_capability::{JobDefinition, JobStatus};
use polder_types::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Seconds before a delivery that failed is tried again; doubled each time.
const BACKOFF_SECONDS: u64 = 1;

/// For which a lot may be tried.
const RETRY_SECONDS_MAX: u64 = 86_400;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Under which its place in the topic is kept.
    pub id: Uuid,
    #[serde(flatten)]
    pub definition: DeliveryDefinition,
}

impl Stored {
    /// # Errors
    /// `Corrupt` for a payload that is none.
    pub fn read(payload: &Value) -> Result<Self> {
        serde_json::from_value(payload.clone()).map_err(|error| {
            Error::new(polder_types::ErrorKind::Corrupt, format!("a delivery's definition cannot be read: {error}"))
        })
    }

    /// The delivery that a job is; `None` if it is another job.
    pub fn of(job: &JobStatus) -> Option<Result<Self>> {
        (job.definition.kind == DELIVERY_KIND).then(|| Self::read(&job.definition.payload))
    }

    /// The job that it is.
    ///
    /// # Errors
    /// `Internal`.
    pub fn job(&self) -> Result<JobDefinition> {
        let payload = serde_json::to_value(self).map_err(|error| Error::internal(error.to_string()))?;
        let definition = &self.definition;
        let mut job = JobDefinition::new(&definition.name, DELIVERY_KIND, payload, &definition.owner);
        job.schedule = Some(JobDefinition::ALWAYS.to_owned());
        job.backoff_seconds = BACKOFF_SECONDS;
        Ok(job)
    }
}

/// Refuses a definition that contradicts itself, or asks for what there is not.
pub(crate) fn check(definition: &DeliveryDefinition) -> Result<()> {
    let invalid = |message: String| Err(Error::invalid(message).with_code("22023"));
    let buffer = definition.buffer;
    if buffer.bytes == 0 || buffer.bytes > BUFFER_BYTES_MAX {
        return invalid(format!("a buffer has 1 to {BUFFER_BYTES_MAX} bytes"));
    }
    if buffer.seconds == 0 || buffer.seconds > BUFFER_SECONDS_MAX {
        return invalid(format!("a buffer waits 1 to {BUFFER_SECONDS_MAX} seconds"));
    }
    if definition.target.table().is_some_and(|table| *table == definition.errors_table()) {
        return invalid("rejected records go into a table of their own".to_owned());
    }
    let retry_seconds = match &definition.target {
        DeliveryTarget::Http(target) => target.retry_seconds,
        DeliveryTarget::OpenSearch(target) => target.retry_seconds,
        DeliveryTarget::Splunk(target) => target.retry_seconds,
        _ => 0,
    };
    if retry_seconds > RETRY_SECONDS_MAX {
        return invalid(format!("retry_seconds is 0 to {RETRY_SECONDS_MAX}"));
    }
    match (definition.held_bytes_max, definition.target.history()) {
        (Some(0), _) => return invalid("HOLD is at least 1 byte".to_owned()),
        (Some(_), None) => return invalid("HOLD is for histories: retention waits for no other delivery".to_owned()),
        _ => {}
    }
    match &definition.target {
        DeliveryTarget::History(_) if definition.transform.is_some() => {
            return invalid("a history has the records as they are: it has no transform".to_owned());
        }
        // What is in the topic already would be in neither.
        DeliveryTarget::History(_) if definition.start == DeliveryStart::Latest => {
            return invalid("a history begins where its topic does".to_owned());
        }
        DeliveryTarget::Table(_) | DeliveryTarget::History(_) => {}
        _ if definition.partition_by.is_empty() => {}
        _ => return invalid("PARTITION BY is for tables; objects have a prefix".to_owned()),
    }
    Ok(())
}
