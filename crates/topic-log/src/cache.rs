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

/// What one takes beside its bytes, about.
const GROUP_BYTES: usize = 128;

#[derive(Debug)]
struct Group {
    bytes: Bytes,
    /// The memory that it takes, which may be more than it has bytes.
    held: usize,
}

#[derive(Debug, Default)]
struct Held {
    /// By segment and position of their first byte.
    groups: BTreeMap<(u64, u64), Group>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: RwLock::default() }
    }

    /// `capacity`: bytes of the memory that the group lies in.
    pub(crate) fn put(&self, segment: u64, position: u64, bytes: Bytes, capacity: usize) {
        let group = Group { held: capacity.max(bytes.len()) + GROUP_BYTES, bytes };
        if group.held > self.bytes_max {
            return;
        }
        let mut held = self.held.write();
        held.bytes += group.held;
        if let Some(before) = held.groups.insert((segment, position), group) {
            held.bytes -= before.held;
        }
        while held.bytes > self.bytes_max {
            let Some((_, oldest)) = held.groups.pop_first() else { break };
            held.bytes -= oldest.held;
        }
    }

    /// What is held of a segment from the beginning of a frame on, up to the end of its chunk.
    pub(crate) fn written(&self, segment: u64, position: u64) -> Option<Bytes> {
        let held = self.held.read();
        let ((_, start), group) = held.groups.range((segment, 0)..=(segment, position)).next_back()?;
        let from = usize::try_from(position - start).ok()?;
        (from < group.bytes.len()).then(|| group.bytes.slice(from..))
    }

    /// The payload of a frame, if it is held.
    pub(crate) fn payload(&self, segment: u64, position: u32, payload_bytes: u32) -> Option<Bytes> {
        let position = u64::from(position);
        let held = self.held.read();
        let ((_, start), group) = held.groups.range((segment, 0)..=(segment, position)).next_back()?;
        let from = usize::try_from(position - start).ok()?.checked_add(HEADER_BYTES)?;
        let to = from.checked_add(usize::try_from(payload_bytes).ok()?)?;
        (to <= group.bytes.len()).then(|| group.bytes.slice(from..to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_and_not_bytes() {
        let cache = Cache::new(10_000);
        for number in 0..10 {
            let mut group = Vec::with_capacity(4_000);
            group.resize(HEADER_BYTES + 8, 7);
            let capacity = group.capacity();
            cache.put(1, number * 1000, Bytes::from(group), capacity);
        }
        let held = (0..10_u32).filter(|number| cache.payload(1, number * 1000, 8).is_some()).count();
        assert_eq!(held, 2);
    }
}
