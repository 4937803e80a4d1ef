//! What a segment is made of: frames, each with a checksum of its own.
//!
//! A checksum begins with the log's identity, the segment and the position, so that neither a client's bytes nor a frame
//! of elsewhere passes for the frame that belongs here. The header has one more for itself: its length can be trusted
//! before the rest is read.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 56;
/// Frames begin at multiples of this.
const ALIGNMENT: usize = 8;
const LAST: u8 = 1;

/// What a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Batch = 1,
    CreateTopic = 2,
    DeleteTopic = 3,
    AddPartitions = 4,
    SetConfig = 5,
    State = 6,
    DeleteRecords = 7,
    /// The segment is whole.
    Seal = 8,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::Batch,
        Self::CreateTopic,
        Self::DeleteTopic,
        Self::AddPartitions,
        Self::SetConfig,
        Self::State,
        Self::DeleteRecords,
        Self::Seal,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    /// The append ends with this frame.
    pub(crate) last: bool,
    pub(crate) payload_bytes: u32,
    /// The topic's number in this log, where the kind has one.
    pub(crate) topic: u32,
    pub(crate) partition: u32,
    /// The append's number. They count up without a gap.
    pub(crate) sequence: u64,
    /// The number of the last append that was durable when this frame was written.
    pub(crate) synced: u64,
    /// A batch's base offset, or the offset that records are deleted before.
    pub(crate) offset: i64,
}

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) identity: u64,
    pub(crate) segment: u64,
    pub(crate) position: u64,
}

impl Place {
    fn seed(self) -> u64 {
        let mut place = [0_u8; 16];
        place[..8].copy_from_slice(&self.segment.to_le_bytes());
        place[8..].copy_from_slice(&self.position.to_le_bytes());
        xxh3_64_with_seed(&place, self.identity)
    }
}

/// Bytes that a frame takes, with what fills it up.
pub(crate) fn frame_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Fills in the header of a frame whose payload stands in `frame` behind it.
pub(crate) fn finish(frame: &mut [u8], header: &FrameHeader, place: Place) {
    let seed = place.seed();
    let mut head = [0_u8; HEADER_BYTES];
    head[12] = header.kind as u8;
    head[13] = if header.last { LAST } else { 0 };
    head[16..20].copy_from_slice(&header.payload_bytes.to_le_bytes());
    head[20..24].copy_from_slice(&header.topic.to_le_bytes());
    head[24..28].copy_from_slice(&header.partition.to_le_bytes());
    head[32..40].copy_from_slice(&header.sequence.to_le_bytes());
    head[40..48].copy_from_slice(&header.synced.to_le_bytes());
    head[48..56].copy_from_slice(&header.offset.to_le_bytes());
    let own = header_sum(&head, seed);
    head[8..12].copy_from_slice(&own.to_le_bytes());
    if let Some(start) = frame.get_mut(..HEADER_BYTES) {
        start.copy_from_slice(&head);
    }
    let sum = xxh3_64_with_seed(frame.get(8..).unwrap_or_default(), seed);
    if let Some(start) = frame.get_mut(..8) {
        start.copy_from_slice(&sum.to_le_bytes());
    }
}

fn header_sum(head: &[u8], seed: u64) -> u32 {
    (xxh3_64_with_seed(head.get(12..HEADER_BYTES).unwrap_or_default(), seed) >> 32) as u32
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// The header at the front of these bytes; `None` if it is none that belongs there.
pub(crate) fn read_header(bytes: &[u8], place: Place) -> Option<FrameHeader> {
    let head = bytes.get(..HEADER_BYTES)?;
    // Most of what is no header is zeros.
    let kind = *Kind::ALL.iter().find(|kind| head.get(12) == Some(&(**kind as u8)))?;
    if header_sum(head, place.seed()) != u32::from_le_bytes(take(head, 8)?) {
        return None;
    }
    Some(FrameHeader {
        kind,
        last: head.get(13)? & LAST != 0,
        payload_bytes: u32::from_le_bytes(take(head, 16)?),
        topic: u32::from_le_bytes(take(head, 20)?),
        partition: u32::from_le_bytes(take(head, 24)?),
        sequence: u64::from_le_bytes(take(head, 32)?),
        synced: u64::from_le_bytes(take(head, 40)?),
        offset: i64::from_le_bytes(take(head, 48)?),
    })
}

/// Whether the whole frame is as it was written. `frame` has the length that [`frame_bytes`] says.
pub(crate) fn is_whole(frame: &[u8], place: Place) -> bool {
    let Some(stored) = take(frame, 0).map(u64::from_le_bytes) else { return false };
    xxh3_64_with_seed(frame.get(8..).unwrap_or_default(), place.seed()) == stored
}
