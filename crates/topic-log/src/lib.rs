//! The durable log of topics. Appends of all partitions go, once, into shared segments; one sync serves all that wait.
//!
//! An append is a list of entries that is one fact: after any crash all of it is there or nothing. Topics, record
//! batches, producers' state, the state of those above and the bounds of partitions are all entries.

mod batch;
mod cache;
mod checkpoint;
mod codec;
mod coding;
mod compact;
mod copy;
mod disk;
mod end;
mod entry;
mod fact;
mod failure;
pub mod format;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod housekeeping;
mod index;
mod keeper;
mod log;
mod metrics;
mod options;
mod producer;
mod read;
mod record;
mod records;
mod recover;
mod request;
mod rewrite;
mod room;
mod scan;
mod scrub;
mod segment;
mod state;
#[cfg(test)]
mod tests;
mod topic;
mod turn;
mod varint;
mod view;
mod writer;

pub use entry::{AppendError, Appended, BatchAppended, Entry, Refusal};
pub use housekeeping::{Spared, SparedTopic};
pub use log::{Growth, Log};
pub use metrics::LogMetrics;
pub use options::{LogOptions, Recovered, Sync};
pub use records::{AbortedTransaction, Bounds, Isolation, ReadError, Records, TimedOffset};
pub use scrub::{DamagedSegment, LogChecked};
pub use topic::{Topic, TopicSettings};
