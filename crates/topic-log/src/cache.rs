//! The newest groups, as they were written: who reads along asks no disk.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::frame::HEADER_BYTES;

#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// By segment and position of their first byte.
    groups: BTreeMap<(u64, u64), Bytes>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: RwLock::default() }
    }

    pub(crate) fn put(&self, segment: u64, position: u64, group: Bytes) {
        if group.len() > self.bytes_max {
            return;
        }
        let mut held = self.held.write();
        held.bytes += group.len();
        held.groups.insert((segment, position), group);
        while held.bytes > self.bytes_max {
            let Some((_, oldest)) = held.groups.pop_first() else { break };
            held.bytes -= oldest.len();
        }
    }

    /// The payload of a frame, if it is held.
    pub(crate) fn payload(&self, segment: u64, position: u32, payload_bytes: u32) -> Option<Bytes> {
        let position = u64::from(position);
        let held = self.held.read();
        let ((_, start), group) = held.groups.range((segment, 0)..=(segment, position)).next_back()?;
        let from = usize::try_from(position - start).ok()?.checked_add(HEADER_BYTES)?;
        let to = from.checked_add(usize::try_from(payload_bytes).ok()?)?;
        (to <= group.len()).then(|| group.slice(from..to))
    }
}
