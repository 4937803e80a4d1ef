//! Where in the log's keyed state what is kept, and by which keys.

use bytes::Bytes;
use polder_topic_log::Entry;
use polder_types::Result;
use uuid::Uuid;

use crate::codec::{Reader, Writer};

/// What the installation is called, and the producer ids that may have been given out.
pub const SERVER: u8 = 1;
/// How far groups have come, by group, topic and partition.
pub const OFFSETS: u8 = 2;
/// Classic groups, by name.
pub const CLASSIC: u8 = 3;
/// Consumer groups, by name, and their members, by name and id.
pub const CONSUMER: u8 = 4;
/// Transactions, by transactional id.
pub const TRANSACTIONS: u8 = 5;
/// Offsets that wait for the end of their transaction, by transactional id, group, topic and partition.
pub const PENDING_OFFSETS: u8 = 6;
/// Quotas, by whom they are for.
pub const QUOTAS: u8 = 7;
/// What Kinesis knows of topics beyond Kafka, by the topic's id.
pub const STREAMS: u8 = 8;

/// One partition, by the topic's id.
pub type Place = (Uuid, i32);

#[must_use]
pub fn set(space: u8, key: Bytes, value: Bytes) -> Entry {
    Entry::State { space, key, value: Some(value) }
}

#[must_use]
pub fn forget(space: u8, key: Bytes) -> Entry {
    Entry::State { space, key, value: None }
}

#[must_use]
pub fn name_key(name: &str) -> Bytes {
    Writer::key().text(name).done()
}

/// # Errors
/// `Corrupt`.
pub fn read_name_key(key: &[u8]) -> Result<String> {
    Reader::key(key).text()
}

#[must_use]
pub fn offset_key(group: &str, (topic, partition): Place) -> Bytes {
    Writer::key().text(group).uuid(topic).i32(partition).done()
}

/// # Errors
/// `Corrupt`.
pub fn read_offset_key(key: &[u8]) -> Result<(String, Place)> {
    let mut reader = Reader::key(key);
    Ok((reader.text()?, (reader.uuid()?, reader.i32()?)))
}

#[must_use]
pub fn pending_key(transactional_id: &str, group: &str, (topic, partition): Place) -> Bytes {
    Writer::key().text(transactional_id).text(group).uuid(topic).i32(partition).done()
}

/// # Errors
/// `Corrupt`.
pub fn read_pending_key(key: &[u8]) -> Result<(String, String, Place)> {
    let mut reader = Reader::key(key);
    Ok((reader.text()?, reader.text()?, (reader.uuid()?, reader.i32()?)))
}

/// `member`: `None` for the group by itself.
#[must_use]
pub fn consumer_key(group: &str, member: Option<&str>) -> Bytes {
    Writer::key().text(group).maybe_text(member).done()
}

/// # Errors
/// `Corrupt`.
pub fn read_consumer_key(key: &[u8]) -> Result<(String, Option<String>)> {
    let mut reader = Reader::key(key);
    Ok((reader.text()?, reader.maybe_text()?))
}
