//! What of a group outlives the server: as in Kafka, its last generation that was settled.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use polder_capability::topics::GroupState;
use polder_types::Result;

use super::{ClassicGroup, ClassicLimits, ClassicMember};
use crate::codec::{Reader, Writer};

const FORM: u8 = 1;

impl ClassicGroup {
    /// The group as it is to be found after a restart.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Writer::new(FORM)
            .i32(self.generation)
            .maybe_text(self.protocol_type.as_deref())
            .maybe_text(self.protocol.as_deref())
            .maybe_text(self.leader.as_deref())
            .i64(self.since_ms)
            .list(self.members.iter(), |writer, (id, member)| {
                writer
                    .text(id)
                    .maybe_text(member.instance_id.as_deref())
                    .text(&member.client_id)
                    .text(&member.host)
                    .i64(member.session_ms)
                    .i64(member.rebalance_ms)
                    .bytes(&member.assignment)
                    .list(member.protocols.iter(), |writer, (name, metadata)| writer.text(name).bytes(metadata))
            })
            .done()
    }

    /// The group as it was kept. Its members have a session's time to be heard of.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn decode(limits: ClassicLimits, now_ms: i64, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, FORM)?;
        let mut group = Self::new(limits, now_ms);
        group.generation = reader.i32()?;
        group.protocol_type = reader.maybe_text()?;
        group.protocol = reader.maybe_text()?;
        group.leader = reader.maybe_text()?;
        group.since_ms = reader.i64()?;
        let members = reader.list(|reader| {
            let id = reader.text()?;
            let instance_id = reader.maybe_text()?;
            let (client_id, host) = (reader.text()?.into(), reader.text()?.into());
            let (session_ms, rebalance_ms) = (reader.i64()?, reader.i64()?);
            let assignment = Bytes::copy_from_slice(reader.bytes()?);
            let protocols = reader.list(|reader| Ok((reader.text()?, Bytes::copy_from_slice(reader.bytes()?))))?;
            let expires_at = now_ms + session_ms;
            let (new, joining, syncing) = (false, None, None);
            let member = ClassicMember {
                instance_id,
                client_id,
                host,
                protocols,
                session_ms,
                rebalance_ms,
                assignment,
                expires_at,
                new,
                joining,
                syncing,
            };
            Ok((id, member))
        })?;
        let instance = |(id, member): &(String, ClassicMember)| Some((member.instance_id.clone()?, id.clone()));
        group.instances = members.iter().filter_map(instance).collect::<HashMap<_, _>>();
        group.members = members.into_iter().collect::<BTreeMap<_, _>>();
        if !group.members.is_empty() {
            group.state = GroupState::Stable;
        }
        Ok(group)
    }
}
