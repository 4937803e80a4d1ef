//! Deliveries into tables: records of a topic become rows, and the topic's offsets move with them, in one transaction.
//!
//! A record that makes no row (what is in it is no object, does not fit its column, breaks a rule of the table) is kept in a
//! table of rejected records with its reason. Which ones those are is found by trying: all together first, then in halves.

mod attempt;
mod history;
mod parts;
mod plain;
mod tables;

pub(crate) use attempt::Brought;
pub(crate) use history::kept_columns;
