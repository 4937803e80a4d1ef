//! Topics, groups and transactions as a whole, on a real log in a directory, with restarts in between.

mod admin;
mod bounds;
mod groups;
mod random;
mod records;
mod rights;
mod rows;
mod transactions;
pub(crate) mod world;
