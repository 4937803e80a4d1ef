//! The log as a whole, on a disk that forgets and fails.

mod clients;
mod damage;
mod full;
mod kill;
mod model;
mod producers;
mod reading;
mod rewriting;
mod stopped;
mod syncs;
mod threads;
mod unreadable;
pub(crate) mod world;
