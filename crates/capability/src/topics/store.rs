//! What topics lie in, for those who watch over it.

/// What the log of all topics has done since the server started, and what is wrong with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Bytes written, with what the log adds.
    pub written_bytes: u64,
    /// Writes that somebody waited for; many share a sync.
    pub appends: u64,
    /// Times that the disk was asked to make writes durable.
    pub syncs: u64,
    /// Bytes given to readers out of memory.
    pub cache_read_bytes: u64,
    /// Bytes given to readers from the disk.
    pub disk_read_bytes: u64,
    /// Segments that are not as they were written, as far as somebody has come upon them: a check, a reader, a rewriting.
    pub damaged_segments: u64,
    /// Bytes that retention would have deleted, and that are there since they are not kept elsewhere yet.
    pub held_bytes: u64,
}

/// The log of all topics.
pub trait TopicStore: Send + Sync {
    fn counts(&self) -> StoreCounts;
}
