//! AWS' APIs of streams: their SDKs connect as they are.
//!
//! This crate translates: signed requests on one side, the contracts of `polder_capability` on the other. `server` takes
//! connections, `request` reads requests within bounds, `signature` knows who sent them, `value` and `cbor` read and write the two
//! forms of their bodies, `events` writes answers that do not end. `services` is the list of what is spoken; each service has a
//! folder.

mod cbor;
mod error;
mod events;
mod firehose;
#[doc(hidden)]
pub mod fuzzing;
mod input;
mod kinesis;
mod request;
mod server;
mod services;
mod signature;
#[cfg(test)]
mod tests;
mod value;

pub use polder_door::{Auth, TlsFiles};
pub use server::{AwsContracts, AwsServer, AwsServerOptions, DeliveryContracts};
