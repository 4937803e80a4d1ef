//! What a topic is.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::codec::Codec;
use crate::entry::Refusal;

/// A topic as it is now. A changed one is a new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub id: Uuid,
    pub name: String,
    pub partitions: u32,
    /// As it was given. The log acts on `cleanup.policy`, `retention.ms`, `retention.bytes`, `delete.retention.ms`,
    /// `min.compaction.lag.ms`, `message.timestamp.type`, `message.timestamp.before.max.ms`,
    /// `message.timestamp.after.max.ms`, `max.message.bytes`, `compression.type` and `segment.bytes`.
    pub config: BTreeMap<String, String>,
    /// What the log acts on, read.
    pub settings: TopicSettings,
}

/// The settings that the log acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSettings {
    /// `cleanup.policy` has `delete`.
    pub delete: bool,
    /// `cleanup.policy` has `compact`.
    pub compact: bool,
    /// Milliseconds; `None` for ever.
    pub retention_ms: Option<i64>,
    /// Bytes of a partition; `None` without limit.
    pub retention_bytes: Option<u64>,
    /// How long a compacted topic keeps tombstones, in milliseconds.
    pub delete_retention_ms: i64,
    /// How old the records of a stretch are before it is compacted, in milliseconds.
    pub min_compaction_lag_ms: i64,
    /// How far the time that a record comes with may lie before the log's own, in milliseconds; `None` without limit.
    pub timestamp_before_max_ms: Option<i64>,
    /// And behind it.
    pub timestamp_after_max_ms: Option<i64>,
    /// Bytes of a file that holds this topic alone, once its records are out of the hot window.
    pub segment_bytes: u64,
    /// Records get the time of their append instead of the one that they came with.
    pub log_append_time: bool,
    /// How batches are compressed; `None`: as their producers did.
    pub compression: Option<Codec>,
    /// Bytes of a batch, with its header.
    pub max_message_bytes: usize,
}

impl Default for TopicSettings {
    fn default() -> Self {
        Self {
            delete: true,
            compact: false,
            retention_ms: Some(7 * 24 * 60 * 60 * 1000),
            retention_bytes: None,
            delete_retention_ms: 24 * 60 * 60 * 1000,
            min_compaction_lag_ms: 0,
            timestamp_before_max_ms: None,
            timestamp_after_max_ms: None,
            segment_bytes: 1 << 30,
            compression: None,
            log_append_time: false,
            max_message_bytes: 1_048_588,
        }
    }
}

impl TopicSettings {
    /// Reads what the log acts on; other settings are passed over.
    ///
    /// # Errors
    /// `InvalidConfig` for a value that cannot be read.
    pub fn of(config: &BTreeMap<String, String>) -> Result<Self, Refusal> {
        let mut settings = Self::default();
        for (name, value) in config {
            match name.as_str() {
                "cleanup.policy" => (settings.delete, settings.compact) = policy(value)?,
                "retention.ms" => settings.retention_ms = limit(name, value)?,
                "retention.bytes" => settings.retention_bytes = limit(name, value)?.map(i64::cast_unsigned),
                "delete.retention.ms" => settings.delete_retention_ms = limit(name, value)?.unwrap_or(i64::MAX),
                "min.compaction.lag.ms" => settings.min_compaction_lag_ms = number(name, value)?,
                "message.timestamp.before.max.ms" => settings.timestamp_before_max_ms = distance(name, value)?,
                "message.timestamp.after.max.ms" => settings.timestamp_after_max_ms = distance(name, value)?,
                "compression.type" => settings.compression = compression(value)?,
                "segment.bytes" => settings.segment_bytes = number(name, value)?.cast_unsigned(),
                "message.timestamp.type" => {
                    settings.log_append_time = match value.as_str() {
                        "CreateTime" => false,
                        "LogAppendTime" => true,
                        _ => return Err(unreadable(name, value)),
                    }
                }
                "max.message.bytes" => {
                    let bytes = number(name, value)?;
                    settings.max_message_bytes = usize::try_from(bytes).map_err(|_| unreadable(name, value))?;
                }
                _ => {}
            }
        }
        Ok(settings)
    }
}

fn policy(value: &str) -> Result<(bool, bool), Refusal> {
    let (mut delete, mut compact) = (false, false);
    for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part {
            "delete" => delete = true,
            "compact" => compact = true,
            _ => return Err(unreadable("cleanup.policy", value)),
        }
    }
    Ok((delete, compact))
}

fn compression(value: &str) -> Result<Option<Codec>, Refusal> {
    Ok(Some(match value {
        "producer" => return Ok(None),
        "uncompressed" => Codec::None,
        "gzip" => Codec::Gzip,
        "snappy" => Codec::Snappy,
        "lz4" => Codec::Lz4,
        "zstd" => Codec::Zstd,
        _ => return Err(unreadable("compression.type", value)),
    }))
}

/// A number from 0.
fn number(name: &str, value: &str) -> Result<i64, Refusal> {
    limit(name, value)?.ok_or_else(|| unreadable(name, value))
}

/// A number from 0; the largest there is stands for no limit, as in Kafka.
fn distance(name: &str, value: &str) -> Result<Option<i64>, Refusal> {
    Ok(Some(number(name, value)?).filter(|far| *far < i64::MAX))
}

/// A number from 0, or -1 for none.
fn limit(name: &str, value: &str) -> Result<Option<i64>, Refusal> {
    match value.trim().parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(number) if number >= 0 => Ok(Some(number)),
        _ => Err(unreadable(name, value)),
    }
}

fn unreadable(name: &str, value: &str) -> Refusal {
    let value: String = value.chars().take(100).collect();
    Refusal::InvalidConfig(format!("{name} cannot be {value}"))
}
