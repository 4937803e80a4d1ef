//! Record batches of Kafka's format, version 2, and the records in them, for those who look into topics.
//!
//! Reading: [`batches`] or [`Records::committed`] gives batches, [`Batch::unpack`] their records, which borrow from what was
//! unpacked, or from the batch itself if it is not compressed. Writing: [`BatchBuilder`].

mod build;
mod unpack;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use build::{BatchBuilder, BatchProducer, NewRecord};
pub use unpack::{Header, Headers, Record, RecordIter, RecordPlace, SharedRecords, Unpacked};

pub use crate::batch::BatchHeader;
pub use crate::codec::Codec;

use crate::batch::{self, EndOfTransaction};
use crate::records::{AbortedTransaction, Records};

/// One whole batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// All of it, the header included.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether it is the end of a transaction, and whether that commits.
    fn ends(&self) -> Option<bool> {
        self.header.is_control().then(|| EndOfTransaction::commits(self.bytes)).flatten()
    }
}

/// The batches in these bytes, one behind the other. It ends where no whole batch of version 2 follows.
pub fn batches(bytes: &[u8]) -> impl Iterator<Item = Batch<'_>> {
    batch::batches(bytes).map(|(header, bytes)| Batch { header, bytes })
}

impl Records {
    /// The batches of data that are not of an aborted transaction, if they were read with
    /// [`Isolation::Committed`](crate::Isolation::Committed); otherwise all but the log's own markers.
    pub fn committed(&self) -> impl Iterator<Item = Batch<'_>> {
        let mut passed = Passed::new(&self.aborted);
        self.batches.iter().flat_map(|bytes| batches(bytes)).filter(move |batch| !passed.over(batch))
    }
}

/// Which batches those pass over who read what is committed: an aborted transaction lasts from its first offset to its
/// marker.
#[derive(Debug)]
pub struct Passed {
    /// The next ones, the first one last.
    coming: Vec<AbortedTransaction>,
    /// Producers whose transaction began here and will be aborted.
    open: HashSet<i64>,
}

impl Passed {
    /// For the batches that were read along with these transactions.
    #[must_use]
    pub fn new(aborted: &[AbortedTransaction]) -> Self {
        let mut coming = aborted.to_vec();
        coming.sort_unstable_by_key(|one| std::cmp::Reverse(one.first_offset));
        Self { coming, open: HashSet::new() }
    }

    /// Whether to pass over this batch: it is a marker, or of an aborted transaction. To be called with all of them in order.
    pub fn over(&mut self, batch: &Batch<'_>) -> bool {
        let header = batch.header();
        while let Some(begun) = self.coming.pop_if(|one| one.first_offset <= header.last_offset()) {
            self.open.insert(begun.producer_id);
        }
        if header.is_control() {
            if batch.ends() == Some(false) {
                self.open.remove(&header.producer_id);
            }
            return true;
        }
        header.is_transactional() && self.open.contains(&header.producer_id)
    }
}
