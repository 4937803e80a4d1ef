//! What every floor shares: the error that crosses boundaries, ids, and limits.

mod error;
mod ids;
pub mod limits;

pub use error::{Error, ErrorKind, Position, Result, Subject};
pub use ids::{LoadId, QueryId, RunId, SnapshotId};
