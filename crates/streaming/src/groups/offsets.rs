//! How far groups have come.

use bytes::Bytes;
use polder_types::Result;

use crate::codec::{Reader, Writer};

const FORM: u8 = 1;

/// A note of a reader's own beside an offset, in bytes: Kafka's own bound.
pub const METADATA_BYTES_MAX: usize = 4_096;

/// The next record that a group will read in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: i64,
}

impl Committed {
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Writer::new(FORM)
            .i64(self.offset)
            .i32(self.leader_epoch.unwrap_or(-1))
            .text(&self.metadata)
            .i64(self.at_ms)
            .done()
    }

    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, FORM)?;
        let offset = reader.i64()?;
        let leader_epoch = Some(reader.i32()?).filter(|epoch| *epoch >= 0);
        Ok(Self { offset, leader_epoch, metadata: reader.text()?, at_ms: reader.i64()? })
    }
}

/// The topics that a member of a classic group reads, by what it tells its leader; `None` if that is of another kind.
#[must_use]
pub fn subscribed(metadata: &[u8]) -> Option<Vec<String>> {
    let mut rest = metadata.get(2..)?;
    let count = i32::from_be_bytes(take(&mut rest)?);
    (0..count)
        .map(|_| {
            let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
            let (name, after) = rest.split_at_checked(length)?;
            rest = after;
            String::from_utf8(name.to_vec()).ok()
        })
        .collect()
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}
