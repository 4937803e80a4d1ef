//! Whole loads into a store in memory.

mod folders;
mod formats;
mod hostile;
mod load;
mod memory;
mod misreads;
pub(crate) mod places;
mod sheets;
