//! The settings of topics, by Kafka's names and with its values.

use std::collections::BTreeMap;

use polder_capability::topics::{
    ConfigEntry, ConfigKind, ConfigOperation, ConfigSource, TopicError, TopicFailure, TopicResult,
};

/// A topic's settings, as far as they are its own.
pub type Config = BTreeMap<String, String>;

/// One setting that there is.
struct Spec {
    name: &'static str,
    kind: ConfigKind,
    default: &'static str,
    takes: Takes,
    documentation: &'static str,
}

/// What a setting takes.
enum Takes {
    /// A whole number from a bound on.
    From(i64),
    /// Bytes of a batch, up to what the server takes.
    MessageBytes,
    OneOf(&'static [&'static str]),
    /// One or more of these, with commas between.
    SomeOf(&'static [&'static str]),
    /// One value alone, and why.
    Only(&'static str, &'static str),
}

/// All of them, in the order of names. What is not here is not acted on, and so it is refused.
const SPECS: &[Spec] = &[
    Spec {
        name: "cleanup.policy",
        kind: ConfigKind::List,
        default: "delete",
        takes: Takes::SomeOf(&["delete", "compact"]),
        documentation: "whether old records are deleted, or all but the last one of each key",
    },
    Spec {
        name: "compression.type",
        kind: ConfigKind::Text,
        default: "producer",
        takes: Takes::OneOf(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
        documentation: "how batches are kept; producer: as their producers compressed them",
    },
    Spec {
        name: "delete.retention.ms",
        kind: ConfigKind::Long,
        default: "86400000",
        takes: Takes::From(0),
        documentation: "how long a compacted topic keeps the mark that a key was deleted",
    },
    Spec {
        name: "max.message.bytes",
        kind: ConfigKind::Int,
        default: "1048588",
        takes: Takes::MessageBytes,
        documentation: "the largest batch, as it is sent",
    },
    Spec {
        name: "message.timestamp.after.max.ms",
        kind: ConfigKind::Long,
        default: "9223372036854775807",
        takes: Takes::From(0),
        documentation: "how far the time of a record may lie ahead of the server's",
    },
    Spec {
        name: "message.timestamp.before.max.ms",
        kind: ConfigKind::Long,
        default: "9223372036854775807",
        takes: Takes::From(0),
        documentation: "how far the time of a record may lie behind the server's",
    },
    Spec {
        name: "message.timestamp.type",
        kind: ConfigKind::Text,
        default: "CreateTime",
        takes: Takes::OneOf(&["CreateTime", "LogAppendTime"]),
        documentation: "whether records keep their producers' times or get those of their arrival",
    },
    Spec {
        name: "min.compaction.lag.ms",
        kind: ConfigKind::Long,
        default: "0",
        takes: Takes::From(0),
        documentation: "how old records are before a compacted topic may lose them to newer ones of their key",
    },
    Spec {
        name: "min.insync.replicas",
        kind: ConfigKind::Int,
        default: "1",
        takes: Takes::Only("1", "there is one server, so there is one copy"),
        documentation: "there is one server, so there is one copy",
    },
    Spec {
        name: "retention.bytes",
        kind: ConfigKind::Long,
        default: "-1",
        takes: Takes::From(-1),
        documentation: "bytes of a partition beyond which its oldest records are deleted; -1: no bound",
    },
    Spec {
        name: "retention.ms",
        kind: ConfigKind::Long,
        default: "604800000",
        takes: Takes::From(-1),
        documentation: "age beyond which records are deleted; -1: none",
    },
    Spec {
        name: "segment.bytes",
        kind: ConfigKind::Int,
        default: "1073741824",
        takes: Takes::From(1 << 20),
        documentation: "the largest file of the topic alone; the newest records of all topics stand together before that",
    },
    Spec {
        name: "unclean.leader.election.enable",
        kind: ConfigKind::Boolean,
        default: "false",
        takes: Takes::Only("false", "there is one server, so no other one takes over"),
        documentation: "there is one server, so no other one takes over",
    },
];

fn spec(name: &str) -> TopicResult<&'static Spec> {
    SPECS.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let name: String = name.chars().take(100).collect();
        let known: Vec<&str> = SPECS.iter().map(|spec| spec.name).collect();
        refused(format!("there is no setting {name:?} here; there are: {}", known.join(", ")))
    })
}

fn refused(message: impl Into<String>) -> TopicFailure {
    TopicFailure::new(TopicError::InvalidConfig, message)
}

impl Spec {
    fn check(&self, value: &str, message_bytes_max: u32) -> TopicResult<()> {
        let name = self.name;
        let number = || {
            let parsed = value.trim().parse::<i64>();
            parsed.map_err(|_| refused(format!("{name} is a whole number")))
        };
        match &self.takes {
            Takes::From(least) => {
                if number()? < *least {
                    return Err(refused(format!("{name} is at least {least}")));
                }
            }
            Takes::MessageBytes => {
                if !(0..=i64::from(message_bytes_max)).contains(&number()?) {
                    return Err(refused(format!("{name} is from 0 to {message_bytes_max} on this server")));
                }
            }
            Takes::OneOf(values) => {
                if !values.contains(&value) {
                    return Err(refused(format!("{name} is one of: {}", values.join(", "))));
                }
            }
            Takes::SomeOf(values) => {
                let parts = list(value);
                if parts.is_empty() || parts.iter().any(|part| !values.contains(part)) {
                    return Err(refused(format!("{name} is made of: {}", values.join(", "))));
                }
            }
            Takes::Only(only, why) => {
                if value != *only {
                    return Err(refused(format!("{name} can only be {only} here: {why}")));
                }
            }
        }
        Ok(())
    }
}

fn list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// The settings that a topic is made with.
///
/// # Errors
/// `InvalidConfig`.
pub fn of_new(given: &[(String, Option<String>)], message_bytes_max: u32) -> TopicResult<Config> {
    let mut config = Config::new();
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in given {
        let spec = spec(name)?;
        if !seen.insert(name) {
            return Err(refused(format!("{name} is there twice")));
        }
        if let Some(value) = value {
            spec.check(value, message_bytes_max)?;
            config.insert(name.clone(), value.clone());
        }
    }
    Ok(config)
}

/// The settings after some changes. `replace`: what is not named goes back to its default.
///
/// # Errors
/// `InvalidConfig`, `InvalidRequest`.
pub fn changed(
    before: &Config,
    operations: &[(String, ConfigOperation)],
    replace: bool,
    message_bytes_max: u32,
) -> TopicResult<Config> {
    let mut config = if replace { Config::new() } else { before.clone() };
    let mut seen = std::collections::BTreeSet::new();
    for (name, operation) in operations {
        let spec = spec(name)?;
        if !seen.insert(name) {
            return Err(TopicFailure::new(TopicError::InvalidRequest, format!("{name} is changed twice")));
        }
        let value = match operation {
            ConfigOperation::Reset => {
                config.remove(name);
                continue;
            }
            ConfigOperation::Set(value) => value.clone(),
            ConfigOperation::Append(value) | ConfigOperation::Subtract(value) => {
                if spec.kind != ConfigKind::List {
                    return Err(refused(format!("{name} is no list")));
                }
                let appends = matches!(operation, ConfigOperation::Append(_));
                let now = config.get(name).map_or(spec.default, String::as_str);
                let mut parts: Vec<&str> = list(now);
                let named = list(value);
                parts.retain(|part| !named.contains(part));
                if appends {
                    parts.extend(named);
                }
                parts.join(",")
            }
        };
        spec.check(&value, message_bytes_max)?;
        config.insert(name.clone(), value);
    }
    Ok(config)
}

/// All settings of a topic, in the order of names. `names`: of these alone.
#[must_use]
pub fn entries(config: &Config, names: Option<&[String]>) -> Vec<ConfigEntry> {
    let wanted = |spec: &&Spec| names.is_none_or(|names| names.iter().any(|name| name == spec.name));
    let entry = |spec: &Spec| {
        let own = config.get(spec.name);
        ConfigEntry {
            name: spec.name.to_owned(),
            value: Some(own.map_or(spec.default, String::as_str).to_owned()),
            source: if own.is_some() { ConfigSource::Own } else { ConfigSource::Default },
            kind: spec.kind,
            read_only: matches!(spec.takes, Takes::Only(..)),
            documentation: Some(spec.documentation),
        }
    };
    SPECS.iter().filter(wanted).map(entry).collect()
}
