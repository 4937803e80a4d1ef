//! PostgreSQL's protocol, version 3: psql, drivers and tools connect as they are.
//!
//! This crate translates: messages on one side, the contracts of `polder-capability` on the other. It decides nothing
//! about data. `startup` guards the door; `session` is one client's conversation; `sql` knows as much of SQL
//! as the protocol needs; `types` and `copy` are the forms of values and rows; `wire` cuts bytes into messages.
//!
//! It stands on `pgwire` for the messages that a server sends. What a client sends is read here (`wire::frontend` says
//! why), as are the login (`scram` says why), rows, which are written straight from Arrow's columns, and the conversation:
//! that crate's handlers know no transactions of several statements, no portals that stream, and no COPY in both ways.

mod copy;
mod encryption;
#[doc(hidden)]
pub mod fuzzing;
mod registry;
mod server;
mod session;
mod settings;
mod sql;
mod startup;
mod types;
mod wire;

pub use polder_door::{Auth, TlsFiles};
pub use server::{PostgresServer, PostgresServerOptions};
