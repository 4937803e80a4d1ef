//! The keys of rows that one statement inserts.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use polder_types::Result;

use crate::error::from_datafusion;

/// Keys that are remembered to refuse the second row with one of them: 71 MB.
const REMEMBERED_MAX: usize = 7 << 19;

/// Of the smallest hash tables.
const PLACES_MIN: usize = 16;

/// The keys of rows that a statement has inserted, by their hashes.
pub(super) struct SeenKeys {
    keys: HashSet<u128>,
    /// What they take of the memory of all statements.
    bytes: MemoryReservation,
    /// What they are remembered for: to leave a row out, or only to refuse it in better words than the check of the
    /// table's keys would.
    may_forget: bool,
    are_forgotten: bool,
}

impl SeenKeys {
    pub fn new(pool: &Arc<dyn MemoryPool>, may_forget: bool) -> Self {
        Self {
            keys: HashSet::new(),
            bytes: MemoryConsumer::new("keys of inserted rows").register(pool),
            may_forget,
            are_forgotten: false,
        }
    }

    /// Takes the memory for so many more before it is used.
    pub fn make_room(&mut self, more: usize) -> Result<()> {
        let wanted = self.keys.len() + more;
        if self.are_forgotten || wanted <= self.keys.capacity() {
            return Ok(());
        }
        if self.may_forget && wanted > REMEMBERED_MAX {
            return Ok(self.forget());
        }
        // While it grows, a hash table is there twice. It has a byte for each place besides what is in it.
        let place = size_of::<u128>() + 1;
        let grown = (wanted * 8 / 7).next_power_of_two().max(PLACES_MIN) * place;
        match self.bytes.try_resize(self.keys.capacity() * place + grown) {
            Ok(()) => {
                self.keys.reserve(more);
                self.bytes.resize(grown);
                Ok(())
            }
            Err(_) if self.may_forget => Ok(self.forget()),
            Err(error) => Err(from_datafusion(error)),
        }
    }

    pub fn are_forgotten(&self) -> bool {
        self.are_forgotten
    }

    /// Gives the memory back: all rows have come.
    pub fn close(&mut self) {
        self.keys = HashSet::new();
        self.bytes.free();
    }

    fn forget(&mut self) {
        self.close();
        self.are_forgotten = true;
    }

    pub fn is_again(&mut self, key: u128) -> bool {
        !self.are_forgotten && !self.keys.insert(key)
    }
}

#[cfg(test)]
mod tests;
