//! What Firehose knows of a delivery, and nobody else.

use polder_capability::deliveries::DeliveryStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::destination::Kind;
use crate::error::{ApiError, ApiResult};
use crate::value::{Value, read_json, write_json};

/// Under which it lies in a definition.
const KEY: &str = "firehose";

/// Of JSON, in a definition.
const BYTES_MAX: usize = 64 << 10;

/// A delivery stream beside its delivery. What was made with SQL has none of it until it is tagged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// `None`: it was made with SQL, and is changed there.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// The description of the source as it was given. `None`: records are put.
    #[serde(default)]
    pub source: Option<Json>,
    /// True: the source is a topic of Kafka's.
    #[serde(default)]
    pub is_kafka: bool,
    pub version: u64,
    /// In the order in which they came.
    #[serde(default)]
    pub tags: Vec<(String, String)>,
    /// When the destination was last changed, in milliseconds since 1970.
    pub changed_ms: i64,
}

/// A destination as it was given, without secrets, with the names that descriptions have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    pub kind: Kind,
    pub config: Json,
}

impl About {
    /// # Errors
    /// `InternalFailure` when it cannot be read.
    pub fn of(delivery: &DeliveryStatus) -> ApiResult<Self> {
        let Some(json) = Self::within(delivery) else {
            let changed_ms = delivery.created_at.timestamp_millis();
            return Ok(Self {
                destination: None,
                source: None,
                is_kafka: false,
                version: 1,
                tags: Vec::new(),
                changed_ms,
            });
        };
        serde_json::from_value(json.clone()).map_err(|error| {
            tracing::error!(%error, delivery = delivery.definition.name, "what Firehose kept of it cannot be read");
            ApiError::internal()
        })
    }

    fn within(delivery: &DeliveryStatus) -> Option<&Json> {
        delivery.definition.about.as_ref()?.get(KEY)
    }

    /// Whether a delivery was made by Firehose's API.
    pub fn is_of_firehose(delivery: &DeliveryStatus) -> bool {
        Self::within(delivery).and_then(|about| about.get("destination")).is_some_and(|kept| !kept.is_null())
    }

    /// As it is kept in a definition.
    ///
    /// # Errors
    /// `InvalidArgumentException`: too much.
    pub fn write(&self) -> ApiResult<Json> {
        let json = serde_json::json!({ KEY: self });
        if json.to_string().len() > BYTES_MAX {
            return Err(ApiError::argument(format!("a configuration and its tags have at most {BYTES_MAX} bytes")));
        }
        Ok(json)
    }

    /// `DirectPut`, or where records come from.
    pub fn kind_of(&self, delivery: &DeliveryStatus) -> &'static str {
        match (delivery.definition.owns_topic, self.is_kafka) {
            (true, _) => "DirectPut",
            (false, true) => "MSKAsSource",
            (false, false) => "KinesisStreamAsSource",
        }
    }
}

pub fn to_json(value: &Value) -> ApiResult<Json> {
    serde_json::from_slice(&write_json(value)).map_err(|_| ApiError::internal())
}

pub fn from_json(json: &Json) -> ApiResult<Value> {
    read_json(json.to_string().as_bytes())
}
