//! Settings of a log, and what opening one found.

use std::time::Duration;

/// When an append counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Once the disk has it. A crash of the machine loses nothing acknowledged.
    #[default]
    OnAck,
    /// Once the system's page cache has it. A killed process loses nothing; a crash of the machine loses what was
    /// written since the last sync, which comes at the end of each segment and with each second.
    PageCache,
}

/// Settings of a log. They may differ at each start, `identity` apart, which only a new log takes.
#[derive(Debug, Clone)]
pub struct LogOptions {
    pub sync: Sync,
    /// Size of a segment; the first ones of a log are smaller. A larger one makes fewer checkpoints and a longer replay
    /// after a crash: at most one segment is read again, which takes a fraction of a second. At least 64 KiB.
    pub segment_bytes: u32,
    /// How much is written with one sync while others wait.
    pub group_bytes: usize,
    /// Appends that wait to be written, those that nobody waits for any more among them. More are refused: a disk that stands
    /// still must not fill the memory.
    pub queue_bytes: usize,
    /// The newest records kept in memory, so that those who read along ask no disk.
    pub cache_bytes: usize,
    /// Indexes of old segments kept in memory.
    pub index_cache_bytes: usize,
    /// The newest segments stay as they were written, all partitions in one. Older ones are rewritten by partition, so
    /// that who reads one partition from far back does not pass over all the others.
    pub hot_bytes: u64,
    /// A random number that sets this log's frames apart from any other bytes: no record can pass for one.
    pub identity: u64,
    /// How long a producer that sends nothing is remembered.
    pub producer_expiry: Duration,
}

/// The size of a log's first segment; each one behind it is twice as large, up to the settings' size. A log that is hardly used
/// takes hardly any room.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;

impl LogOptions {
    /// Bytes of a segment, by its number, which begins with 1.
    pub(crate) fn room_of(&self, segment: u64) -> u64 {
        let doublings = u32::try_from(segment.saturating_sub(1)).unwrap_or(u32::MAX).min(12);
        u64::from(self.segment_bytes).min(FIRST_SEGMENT_BYTES << doublings)
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            sync: Sync::OnAck,
            segment_bytes: 64 << 20,
            group_bytes: 8 << 20,
            queue_bytes: 384 << 20,
            cache_bytes: 64 << 20,
            index_cache_bytes: 16 << 20,
            hot_bytes: 1 << 30,
            identity: 0,
            producer_expiry: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// What opening a log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    pub topics: usize,
    /// Bytes that were read again, from the last checkpoint on.
    pub replayed_bytes: u64,
    pub replayed_appends: u64,
    /// Bytes at the end that were not whole, and that nothing says to have been durable: cut off.
    pub torn_bytes: u64,
    /// Where they began, if there were any: the segment's file, and the position in it.
    pub torn_at: Option<(String, u64)>,
    /// They look like a write that was begun and not ended, which nobody can have acknowledged as being on the disk: the beginning
    /// of an append, and zeros where the rest of it would be, to the end of the room that the file had from its start. Damage to
    /// what was written looks otherwise, but for whole pages of zeros at its very end.
    pub torn_is_unfinished: bool,
    /// The file of the last segment, and its length, if that is less than a kill or a crash leaves of it: somebody has cut it short.
    /// What was acknowledged behind it, which nothing that is left vouches for, is lost.
    pub cut_short_at: Option<(String, u64)>,
    /// Files that a crash had left behind, removed.
    pub removed_files: usize,
}
