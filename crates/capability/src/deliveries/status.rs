use chrono::{DateTime, Utc};
use polder_types::RunId;
use uuid::Uuid;

use super::DeliveryDefinition;
use crate::QueryError;

/// What a delivery is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It reads and delivers.
    Running,
    /// About to begin: the server has just started, or it was just resumed.
    Starting,
    /// Somebody has stopped it.
    Paused,
    /// The last attempt failed, or the last try of the place; the next comes at [`DeliveryStatus::next_attempt_at`].
    Failing,
}

impl DeliveryState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Paused => "paused",
            Self::Failing => "failing",
        }
    }
}

/// What has gone through a delivery since the server started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DeliveryCounts {
    /// Records that arrived.
    pub records: u64,
    /// Of their keys and values.
    pub bytes: u64,
    /// Records that were rejected.
    pub rejected: u64,
    /// Records that were deleted from the topic before they were delivered.
    pub lost: u64,
    /// Records a second, over the last minute.
    pub records_per_second: f64,
}

/// A delivery and where it stands.
#[derive(Debug, Clone)]
pub struct DeliveryStatus {
    /// Never given twice: a delivery that is removed and made anew has another one.
    pub id: Uuid,
    /// Without its secrets.
    pub definition: DeliveryDefinition,
    pub state: DeliveryState,
    pub created_at: DateTime<Utc>,
    pub counts: DeliveryCounts,
    /// Records in the topic that have not arrived. `None`: not known yet.
    pub lag_records: Option<u64>,
    /// How long ago the oldest of those was written; 0 without any. `None`: not known yet.
    pub lag_ms: Option<u64>,
    /// Gathered and not delivered yet.
    pub buffered_bytes: u64,
    /// Of a history: what the log keeps for it beyond the topic's retention.
    pub held_bytes: Option<u64>,
    /// When a lot last arrived, since the server started.
    pub last_delivery_at: Option<DateTime<Utc>>,
    /// Of the last attempt that failed, until one succeeds. Where the place is tried again within an attempt: of the last try.
    pub last_error: Option<QueryError>,
    pub last_error_at: Option<DateTime<Utc>>,
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The newest run of its job, whose log tells more.
    pub run: Option<RunId>,
}
