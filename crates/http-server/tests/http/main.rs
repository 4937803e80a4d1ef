//! The server over a real socket, with fakes behind it. One file a topic; `fakes` stands in for the engine, the loader
//! and the accounts, `harness` starts a server on a free port and speaks to it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod catalog;
mod console;
mod fakes;
mod harness;
mod jobs;
mod loads;
mod schema_registry;
mod server;
mod session;
mod statements;
mod trust;
