//! What a frame that is no batch says, and its form.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::coding::{Put, Take};
use crate::frame::{FrameHeader, Kind};
use crate::state::{Location, State};
use crate::topic::{Topic, TopicSettings};

pub(crate) fn write_topic(to: &mut Vec<u8>, id: Uuid, name: &str, partitions: u32, config: &BTreeMap<String, String>) {
    to.put_uuid(id);
    to.put_bytes(name.as_bytes());
    to.put_u32(partitions);
    to.put_map(config);
}

pub(crate) fn read_topic(from: &mut Take<'_>) -> Option<Topic> {
    let (id, name, partitions, config) = (from.uuid()?, from.text()?, from.u32()?, from.map()?);
    // It was readable when it was taken. A version that reads more goes by what it knows.
    let settings = TopicSettings::of(&config).unwrap_or_default();
    Some(Topic { id, name, partitions, config, settings })
}

pub(crate) fn write_state(to: &mut Vec<u8>, space: u8, key: &[u8], value: Option<&[u8]>) {
    to.put_u8(space);
    to.put_bytes(key);
    to.put_u8(u8::from(value.is_some()));
    to.put_bytes(value.unwrap_or_default());
}

/// Does what a frame says; `None` if it says nothing that can be read.
pub(crate) fn replay(state: &mut State, header: &FrameHeader, payload: &[u8], at: Location, now: i64) -> Option<()> {
    let mut from = Take(payload);
    match header.kind {
        Kind::Batch => {
            state.take_batches(header.topic, header.partition, payload, at, now);
            return Some(());
        }
        Kind::CreateTopic => {
            let topic = read_topic(&mut from)?;
            state.create(header.topic, topic);
        }
        Kind::DeleteTopic => state.delete(header.topic),
        Kind::AddPartitions => state.add_partitions(header.topic, from.u32()?),
        Kind::SetConfig => {
            let config = from.map()?;
            let settings = TopicSettings::of(&config).unwrap_or_default();
            state.set_config(header.topic, config, settings);
        }
        Kind::State => {
            let (space, key, has_value, value) = (from.u8()?, from.bytes()?, from.u8()?, from.bytes()?);
            state.keep(space, key, (has_value == 1).then_some(value));
        }
        Kind::DeleteRecords => state.delete_records(header.topic, header.partition, header.offset),
        Kind::Seal => {}
    }
    from.done()
}
