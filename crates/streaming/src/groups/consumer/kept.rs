//! What of a group outlives the server: the group by itself, and each of its members.

use std::collections::BTreeMap;

use bytes::Bytes;
use polder_types::{Error, ErrorKind, Result};

use super::{Assignor, ConsumerGroup, ConsumerLimits, Member, Partitions, Progress};
use crate::codec::{Reader, Writer};

const FORM: u8 = 1;

/// Something that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    Group(Bytes),
    /// `None`: it is gone.
    Member(String, Option<Bytes>),
}

impl ConsumerGroup {
    /// What has changed since this was last asked.
    pub fn take_changes(&mut self) -> Vec<Keep> {
        let mut changes = Vec::new();
        if std::mem::take(&mut self.header_changed) {
            changes.push(Keep::Group(self.encode()));
        }
        for id in std::mem::take(&mut self.changed) {
            let member = self.members.get(&id).map(encode_member);
            changes.push(Keep::Member(id, member));
        }
        changes
    }

    fn encode(&self) -> Bytes {
        Writer::new(FORM)
            .i32(self.epoch)
            .i32(self.target_epoch)
            .i64(self.since_ms)
            .list(self.seen.iter(), |writer, (name, (id, partitions))| {
                writer.text(name).uuid(*id).i64(i64::from(*partitions))
            })
            .done()
    }

    /// The group (`member`: `None`) or one of its members is what the log says it is. Members have a session's time to be
    /// heard of.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn load(&mut self, now_ms: i64, member: Option<&str>, value: Option<&[u8]>) -> Result<()> {
        match (member, value) {
            (Some(id), Some(bytes)) => {
                let member = decode_member(now_ms, self.limits, bytes)?;
                if let Some(instance) = &member.instance {
                    self.instances.insert(instance.clone(), id.to_owned());
                }
                self.replace(id, member);
            }
            (Some(id), None) => self.drop_member(id),
            (None, Some(bytes)) => {
                let mut reader = Reader::new(bytes, FORM)?;
                self.epoch = reader.i32()?;
                self.target_epoch = reader.i32()?;
                self.since_ms = reader.i64()?;
                let seen = reader.list(|reader| {
                    let (name, id, partitions) = (reader.text()?, reader.uuid()?, reader.i64()?);
                    Ok((name, (id, u32::try_from(partitions).unwrap_or(0))))
                })?;
                self.seen = seen.into_iter().collect::<BTreeMap<_, _>>();
                self.seen_at = None;
            }
            (None, None) => (self.epoch, self.target_epoch) = (0, 0),
        }
        self.changed.clear();
        self.header_changed = false;
        Ok(())
    }
}

fn write_partitions(writer: Writer, partitions: &Partitions) -> Writer {
    writer.list(partitions.topics(), |writer, (topic, set)| {
        writer.uuid(*topic).list(set.iter(), |writer, partition| writer.i32(*partition))
    })
}

fn read_partitions(reader: &mut Reader<'_>) -> Result<Partitions> {
    let topics = reader.list(|reader| Ok((reader.uuid()?, reader.list(Reader::i32)?)))?;
    Ok(topics.into_iter().flat_map(|(topic, set)| set.into_iter().map(move |partition| (topic, partition))).collect())
}

fn encode_member(member: &Member) -> Bytes {
    let progress = match member.progress {
        Progress::Stable => 0,
        Progress::Revoking => 1,
        Progress::Waiting => 2,
    };
    let writer = Writer::new(FORM)
        .maybe_text(member.instance.as_deref())
        .maybe_text(member.rack.as_deref())
        .text(&member.client_id)
        .text(&member.host)
        .i64(member.rebalance_ms)
        .list(member.topics.iter(), |writer, topic| writer.text(topic))
        .maybe_text(member.regex.as_deref())
        .list(member.found.iter(), |writer, topic| writer.text(topic))
        .maybe_text(member.assignor.map(Assignor::name))
        .i32(member.epoch)
        .i32(member.previous_epoch)
        .u8(progress);
    let writer = write_partitions(writer, &member.assigned);
    let writer = write_partitions(writer, &member.revoking);
    write_partitions(writer, &member.target).done()
}

fn decode_member(now_ms: i64, limits: ConsumerLimits, bytes: &[u8]) -> Result<Member> {
    let mut reader = Reader::new(bytes, FORM)?;
    let (instance, rack) = (reader.maybe_text()?, reader.maybe_text()?);
    let (client_id, host) = (reader.text()?.into(), reader.text()?.into());
    let rebalance_ms = reader.i64()?;
    let topics = reader.list(Reader::text)?.into_iter().collect();
    let regex = reader.maybe_text()?;
    let found = reader.list(Reader::text)?.into_iter().collect();
    let assignor = reader.maybe_text()?.as_deref().and_then(Assignor::of_name);
    let (epoch, previous_epoch) = (reader.i32()?, reader.i32()?);
    let progress = match reader.u8()? {
        0 => Progress::Stable,
        1 => Progress::Revoking,
        2 => Progress::Waiting,
        _ => return Err(Error::new(ErrorKind::Corrupt, "a member of a group is in no state that there is")),
    };
    let revoke_by = (progress == Progress::Revoking).then_some(now_ms + rebalance_ms);
    Ok(Member {
        instance,
        rack,
        client_id,
        host,
        rebalance_ms,
        topics,
        regex,
        found,
        assignor,
        epoch,
        previous_epoch,
        progress,
        assigned: read_partitions(&mut reader)?,
        revoking: read_partitions(&mut reader)?,
        target: read_partitions(&mut reader)?,
        expires_at: now_ms + limits.session_ms,
        revoke_by,
        found_at: None,
    })
}
