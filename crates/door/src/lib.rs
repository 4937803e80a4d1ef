//! What servers of protocols have at their doors: TLS, proofs of passwords, and places for those who have not logged in.

pub mod scram;
mod starts;
mod tls;

pub use starts::{Place, STARTS_MAX, Starts};
pub use tls::{Tls, TlsFiles};
