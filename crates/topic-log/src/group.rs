//! The bytes of a group: appends one behind the other, as they will stand in the segment.

use crate::frame::{self, FrameHeader, HEADER_BYTES, Kind, Place, frame_bytes};

#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) bytes: Vec<u8>,
    /// Frames of the append that is being made: where each begins, and its header.
    open: Vec<(usize, FrameHeader)>,
}

impl Group {
    /// Makes room for a header, and gives where the frame begins.
    pub(crate) fn begin(&mut self) -> usize {
        let start = self.bytes.len();
        self.bytes.resize(start + HEADER_BYTES, 0);
        start
    }

    /// The payload, so far, of the frame that begins there.
    pub(crate) fn payload(&mut self, start: usize) -> &mut [u8] {
        self.bytes.get_mut(start + HEADER_BYTES..).unwrap_or_default()
    }

    pub(crate) fn end(&mut self, start: usize, kind: Kind, topic: u32, partition: u32, offset: i64) {
        let payload = self.bytes.len() - start - HEADER_BYTES;
        self.bytes.resize(start + frame_bytes(payload), 0);
        let payload_bytes = u32::try_from(payload).unwrap_or(u32::MAX);
        let header = FrameHeader { kind, last: false, payload_bytes, topic, partition, sequence: 0, synced: 0, offset };
        self.open.push((start, header));
    }

    /// Drops what was begun since `bytes`.
    pub(crate) fn roll_back(&mut self, bytes: usize) {
        self.open.clear();
        self.bytes.truncate(bytes);
    }

    /// Closes an append; `false` if it has no frame. `at` is where the group's first byte will stand.
    pub(crate) fn close(&mut self, sequence: u64, synced: u64, at: Place) -> bool {
        let open = std::mem::take(&mut self.open);
        let count = open.len();
        for (number, (start, header)) in open.into_iter().enumerate() {
            let header = FrameHeader { last: number + 1 == count, sequence, synced, ..header };
            let end = start + frame_bytes(usize::try_from(header.payload_bytes).unwrap_or(0));
            let place = Place { position: at.position + start as u64, ..at };
            if let Some(bytes) = self.bytes.get_mut(start..end) {
                frame::finish(bytes, &header, place);
            }
        }
        count > 0
    }
}
