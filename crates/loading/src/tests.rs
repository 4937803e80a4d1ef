//! Whole loads into a store in memory.

mod memory;
mod load;
mod formats;
mod hostile;
pub(crate) mod places;
