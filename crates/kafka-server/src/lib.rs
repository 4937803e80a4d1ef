//! Kafka's protocol: its clients connect as they are.
//!
//! This crate translates: frames on one side, the contract `polder_capability::topics` on the other. It decides nothing
//! about topics, groups or transactions. `wire` cuts bytes into frames, and `shape` walks over each before the codec of
//! `kafka-protocol` reads it, which would believe what an array says of its size; `apis` is the list of what is answered;
//! `connection` keeps the answers in order; `requests` has one file for each kind of request. Record batches pass
//! through as they came, in both directions.

mod apis;
mod codes;
mod connection;
#[doc(hidden)]
pub mod fuzzing;
mod login;
mod reply;
mod requests;
mod server;
mod shape;
#[cfg(test)]
mod tests;
mod wire;

pub use polder_door::{Auth, TlsFiles};
pub use server::{KafkaContracts, KafkaServer, KafkaServerOptions};
