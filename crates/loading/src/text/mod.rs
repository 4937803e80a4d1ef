//! Formats that are records of cells one after the other: how they are cut, looked at, and read by several threads.

pub(crate) mod block;
pub(crate) mod cells;
pub(crate) mod column;
pub(crate) mod comments;
pub(crate) mod layout;
pub(crate) mod reader;
pub(crate) mod split;
#[cfg(test)]
mod tests;
pub(crate) mod units;
