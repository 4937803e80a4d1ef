//! What servers of protocols have at their doors: who takes connections, TLS, proofs of passwords, and places for those who have not logged in.

mod listener;
pub mod scram;
mod starts;
mod tls;

pub use listener::{Auth, Listener};
pub use starts::{Place, STARTS_MAX, Starts};
pub use tls::{Tls, TlsFiles};
