//! What a topic is.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::entry::Refusal;

/// A topic as it is now. A changed one is a new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub id: Uuid,
    pub name: String,
    pub partitions: u32,
    /// As it was given. The log acts on `cleanup.policy`, `retention.ms`, `retention.bytes`, `delete.retention.ms`,
    /// `message.timestamp.type` and `max.message.bytes`.
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
    /// Records get the time of their append instead of the one that they came with.
    pub log_append_time: bool,
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
                "message.timestamp.type" => {
                    settings.log_append_time = match value.as_str() {
                        "CreateTime" => false,
                        "LogAppendTime" => true,
                        _ => return Err(unreadable(name, value)),
                    }
                }
                "max.message.bytes" => {
                    let bytes = limit(name, value)?.ok_or_else(|| unreadable(name, value))?;
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
