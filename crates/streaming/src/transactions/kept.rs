//! What of a transaction outlives the server.

use std::collections::BTreeMap;

use bytes::Bytes;
use polder_capability::topics::Producer;
use polder_types::{Error, ErrorKind, Result};

use super::{Phase, Transaction};
use crate::codec::{Reader, Writer};

const FORM: u8 = 1;

impl Transaction {
    pub(super) fn encode(&self) -> Bytes {
        let phase = match self.phase {
            Phase::Empty => 0,
            Phase::Open => 1,
            Phase::Committed => 2,
            Phase::Aborted => 3,
        };
        let last = self.last.unwrap_or(Producer { id: -1, epoch: -1 });
        Writer::new(FORM)
            .i64(self.producer.id)
            .i16(self.producer.epoch)
            .i64(last.id)
            .i16(last.epoch)
            .i64(self.timeout_ms)
            .u8(phase)
            .i64(self.began_ms)
            .i64(self.updated_ms)
            .list(self.places.iter(), |writer, (topic, partition)| writer.uuid(*topic).i32(*partition))
            .list(self.groups.iter(), |writer, group| writer.text(group))
            .done()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, FORM)?;
        let producer = Producer { id: reader.i64()?, epoch: reader.i16()? };
        let last = Producer { id: reader.i64()?, epoch: reader.i16()? };
        let timeout_ms = reader.i64()?;
        let phase = match reader.u8()? {
            0 => Phase::Empty,
            1 => Phase::Open,
            2 => Phase::Committed,
            3 => Phase::Aborted,
            _ => return Err(Error::new(ErrorKind::Corrupt, "a transaction is in no state that there is")),
        };
        let (began_ms, updated_ms) = (reader.i64()?, reader.i64()?);
        let places = reader.list(|reader| Ok((reader.uuid()?, reader.i32()?)))?.into_iter().collect();
        let groups = reader.list(Reader::text)?.into_iter().collect();
        Ok(Self {
            producer,
            last: Some(last).filter(|last| last.id >= 0),
            timeout_ms,
            phase,
            began_ms,
            updated_ms,
            places,
            groups,
            offsets: BTreeMap::new(),
            ending: None,
        })
    }
}
