//! Kinds of destinations, and their configurations as they are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{ApiError, ApiResult};
use crate::input::Input;
use crate::value::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    S3,
    ExtendedS3,
    HttpEndpoint,
    Splunk,
    Amazonopensearchservice,
    Elasticsearch,
    Iceberg,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::S3,
        Self::ExtendedS3,
        Self::HttpEndpoint,
        Self::Splunk,
        Self::Amazonopensearchservice,
        Self::Elasticsearch,
        Self::Iceberg,
    ];

    /// What members of requests begin with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "S3",
            Self::ExtendedS3 => "ExtendedS3",
            Self::HttpEndpoint => "HttpEndpoint",
            Self::Splunk => "Splunk",
            Self::Amazonopensearchservice => "Amazonopensearchservice",
            Self::Elasticsearch => "Elasticsearch",
            Self::Iceberg => "Iceberg",
        }
    }

    /// Buckets may become one another; everything else stays what it is.
    const fn family(self) -> Self {
        match self {
            Self::ExtendedS3 => Self::S3,
            other => other,
        }
    }
}

/// Places that nothing here can reach, and why.
const ELSEWHERE: [(&str, &str); 3] = [
    ("Redshift", "Redshift is not reached from here; a table of PostgreSQL's is, by CREATE DELIVERY … INTO POSTGRES"),
    ("Snowflake", "Snowflake is not reached from here: its protocol is its own"),
    ("AmazonOpenSearchServerless", "collections without servers want AWS' own credentials; a cluster has an address"),
];

/// The members that configure destinations, with this behind the kind's name.
pub fn members(suffix: &str) -> Vec<String> {
    let ours = Kind::ALL.iter().map(|kind| kind.name());
    ours.chain(ELSEWHERE.iter().map(|(name, _)| *name)).map(|name| format!("{name}Destination{suffix}")).collect()
}

/// The one destination that a request configures.
///
/// # Errors
/// `InvalidArgumentException`: none or several, or one that there is not here.
pub fn given(input: &Input<'_>, suffix: &str) -> ApiResult<(Kind, Value)> {
    let is_there = |name: &str| input.get(&format!("{name}Destination{suffix}"));
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| is_there(name).is_some());
    let mut found: Vec<_> = Kind::ALL.into_iter().filter_map(|kind| Some((kind, is_there(kind.name())?))).collect();
    match (found.pop(), found.is_empty(), elsewhere) {
        (Some((kind, config)), true, None) => {
            Input::of(config)?;
            Ok((kind, config.clone()))
        }
        (None, _, Some((_, why))) => Err(ApiError::argument(*why)),
        _ => Err(ApiError::argument("Exactly one destination configuration is supported for a Firehose")),
    }
}

/// The name that a member has in descriptions.
fn described(name: &str) -> &str {
    match name {
        "S3Configuration" | "S3Update" => "S3DestinationDescription",
        "S3BackupConfiguration" | "S3BackupUpdate" => "S3BackupDescription",
        other => other,
    }
}

fn members_of(value: &mut Value) -> Option<&mut Vec<(String, Value)>> {
    match value {
        Value::Map(members) => Some(members),
        _ => None,
    }
}

fn member<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    members_of(value)?.iter_mut().find(|(member, _)| member == name).map(|(_, value)| value)
}

/// Takes a text out of a configuration.
fn take_text(value: &mut Value, name: &str) -> Option<String> {
    let members = members_of(value)?;
    let at = members.iter().position(|(member, value)| member == name && matches!(value, Value::Text(_)))?;
    match members.remove(at).1 {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// A configuration as it is kept, and its secrets. `None`: it says nothing of any, so that those that there are stay.
pub fn kept(kind: Kind, mut config: Value) -> (Value, Option<BTreeMap<String, String>>) {
    for (name, _) in members_of(&mut config).into_iter().flatten() {
        *name = described(name).to_owned();
    }
    let secret = match kind {
        Kind::HttpEndpoint => member(&mut config, "EndpointConfiguration")
            // Another endpoint is not told the old one's key.
            .map(|endpoint| take_text(endpoint, "AccessKey").map(|key| ("access_key", key))),
        Kind::Splunk => take_text(&mut config, "HECToken").map(|token| Some(("token", token))),
        _ => None,
    };
    let secrets = secret.map(|one| one.into_iter().map(|(name, text)| (name.to_owned(), text)).collect());
    (config, secrets)
}

/// Changes a configuration: what is told takes the place of what there is. Of a bucket beside the destination, member by
/// member.
fn merge(base: &mut Value, update: Value) {
    let (Value::Map(update), Some(members)) = (update, members_of(base)) else { return };
    for (name, value) in update {
        match members.iter_mut().find(|(member, _)| *member == name) {
            Some((_, there)) if name.starts_with("S3") && matches!(value, Value::Map(_)) => merge(there, value),
            Some((_, there)) => *there = value,
            None => members.push((name, value)),
        }
    }
}

/// A destination after an update.
///
/// # Errors
/// `InvalidArgumentException`: another kind of destination.
pub fn updated(kind: Kind, mut config: Value, to: Kind, update: Value) -> ApiResult<(Kind, Value)> {
    if kind.family() != to.family() {
        let named = if to == Kind::S3 { kind } else { to };
        let message =
            format!("Changing the destination type to or from {} is not supported at this time.", named.name());
        return Err(ApiError::argument(message));
    }
    merge(&mut config, update);
    // What an extended one has beside stays.
    let kind = if kind == Kind::ExtendedS3 { kind } else { to };
    Ok((kind, config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{read_json, write_json};

    #[test]
    fn secrets_are_taken_out_and_updates_change_what_they_name() {
        let read = |text: &str| read_json(text.as_bytes()).unwrap();
        let text = r#"{"EndpointConfiguration":{"Url":"https://a","AccessKey":"k"},"S3Configuration":{"BucketARN":"b","Prefix":"p"}}"#;
        let (config, secrets) = kept(Kind::HttpEndpoint, read(text));
        assert_eq!(secrets.unwrap().get("access_key").unwrap(), "k");
        let (update, none) = kept(Kind::HttpEndpoint, read(r#"{"S3Update":{"Prefix":"q"}}"#));
        assert_eq!(none, None);
        let (_, gone) = kept(Kind::HttpEndpoint, read(r#"{"EndpointConfiguration":{"Url":"https://b"}}"#));
        assert_eq!(gone, Some(BTreeMap::new()));
        let (_, config) = updated(Kind::HttpEndpoint, config, Kind::HttpEndpoint, update).unwrap();
        assert_eq!(
            String::from_utf8(write_json(&config)).unwrap(),
            r#"{"EndpointConfiguration":{"Url":"https://a"},"S3DestinationDescription":{"BucketARN":"b","Prefix":"q"}}"#
        );
        assert!(updated(Kind::S3, config.clone(), Kind::HttpEndpoint, read("{}")).is_err());
        assert_eq!(updated(Kind::S3, config.clone(), Kind::ExtendedS3, read("{}")).unwrap().0, Kind::ExtendedS3);
        assert_eq!(updated(Kind::ExtendedS3, config, Kind::S3, read("{}")).unwrap().0, Kind::ExtendedS3);
        let two = read(r#"{"S3DestinationConfiguration":{},"IcebergDestinationConfiguration":{}}"#);
        assert!(given(&Input::of(&two).unwrap(), "Configuration").is_err());
        let snow = read(r#"{"SnowflakeDestinationConfiguration":{}}"#);
        assert!(given(&Input::of(&snow).unwrap(), "Configuration").unwrap_err().message.contains("Snowflake"));
    }
}
