//! The settings of the server itself and of groups, which are told and not changed.

use polder_capability::topics::{ConfigEntry, ConfigKind, ConfigSource};

use crate::options::StreamingOptions;

fn entry(name: &str, value: impl ToString, kind: ConfigKind, documentation: &'static str) -> ConfigEntry {
    ConfigEntry {
        name: name.to_owned(),
        value: Some(value.to_string()),
        source: ConfigSource::Server,
        kind,
        read_only: true,
        documentation: Some(documentation),
    }
}

fn wanted(mut all: Vec<ConfigEntry>, names: Option<&[String]>) -> Vec<ConfigEntry> {
    all.retain(|entry| names.is_none_or(|names| names.contains(&entry.name)));
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// The server's settings by Kafka's names, in their order.
#[must_use]
pub fn of_server(options: &StreamingOptions, names: Option<&[String]>) -> Vec<ConfigEntry> {
    let (groups, transactions) = (&options.groups, &options.transactions);
    let all = vec![
        entry(
            "auto.create.topics.enable",
            options.auto_create,
            ConfigKind::Boolean,
            "whether a topic that a client asks for is made if there is none",
        ),
        entry("broker.id", options.node_id, ConfigKind::Int, "the number by which clients know this server"),
        entry("default.replication.factor", 1, ConfigKind::Int, "there is one server, so there is one copy"),
        entry(
            "group.consumer.heartbeat.interval.ms",
            groups.consumer.heartbeat_ms,
            ConfigKind::Int,
            "how often members for which the server divides tell that they live",
        ),
        entry(
            "group.consumer.session.timeout.ms",
            groups.consumer.session_ms,
            ConfigKind::Int,
            "how long they may be silent",
        ),
        entry(
            "group.initial.rebalance.delay.ms",
            groups.classic.initial_delay_ms,
            ConfigKind::Int,
            "how long an empty group waits for more members",
        ),
        entry(
            "group.max.session.timeout.ms",
            groups.classic.session_ms_max,
            ConfigKind::Int,
            "the longest that a member may ask to be silent",
        ),
        entry("group.max.size", groups.classic.members_max, ConfigKind::Int, "members of one group"),
        entry(
            "group.min.session.timeout.ms",
            groups.classic.session_ms_min,
            ConfigKind::Int,
            "the shortest that a member may ask for",
        ),
        entry("message.max.bytes", options.message_bytes_max, ConfigKind::Int, "the largest batch of any topic"),
        entry("min.insync.replicas", 1, ConfigKind::Int, "there is one server, so there is one copy"),
        entry("num.partitions", options.partitions, ConfigKind::Int, "partitions of a topic that does not say"),
        entry(
            "offset.metadata.max.bytes",
            crate::groups::METADATA_BYTES_MAX,
            ConfigKind::Int,
            "a note beside an offset",
        ),
        entry(
            "offsets.retention.minutes",
            groups.offsets_retention_ms / 60_000,
            ConfigKind::Int,
            "how long offsets of a group are kept in which nobody is",
        ),
        entry(
            "transaction.max.timeout.ms",
            transactions.timeout_ms_max,
            ConfigKind::Int,
            "the longest that a transaction may ask to stay open",
        ),
        entry(
            "transactional.id.expiration.ms",
            transactions.retention_ms,
            ConfigKind::Int,
            "how long an identity without a transaction is kept",
        ),
    ];
    wanted(all, names)
}

/// A group's settings, which are the server's.
#[must_use]
pub fn of_group(options: &StreamingOptions, names: Option<&[String]>) -> Vec<ConfigEntry> {
    let limits = &options.groups.consumer;
    let all = vec![
        entry(
            "consumer.heartbeat.interval.ms",
            limits.heartbeat_ms,
            ConfigKind::Int,
            "how often members tell that they live",
        ),
        entry("consumer.session.timeout.ms", limits.session_ms, ConfigKind::Int, "how long they may be silent"),
    ];
    wanted(all, names)
}
