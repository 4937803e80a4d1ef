//! The durable log of topics. Appends of all partitions go, once, into shared segments; one sync serves all that wait.
//!
//! An append is a list of entries that is one fact: after any crash all of it is there or nothing. Topics, record
//! batches, producers' state, the state of those above and the bounds of partitions are all entries.

mod entry;
mod log;
mod options;
mod records;
mod topic;

pub use entry::{AppendError, Appended, BatchAppended, Entry, Refusal};
pub use log::{Growth, Log};
pub use options::{LogOptions, Recovered, Sync};
pub use records::{AbortedTransaction, Bounds, Isolation, ReadError, Records, TimedOffset};
pub use topic::{Topic, TopicSettings};
