//! What the lake needs to have done from time to time, as kinds of jobs.

mod cleanup;
mod compaction;
mod scrub;

use polder_types::{Error, Result};
use serde_json::{Map, Value};

pub use cleanup::CleanupKind;
pub use compaction::CompactionKind;
pub use scrub::ScrubKind;

/// A payload's fields, if it has none but those that the kind knows.
fn fields<'a>(kind: &str, payload: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>> {
    let fields = payload.as_object().ok_or_else(|| Error::invalid("the payload must be a JSON object"))?;
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(Error::invalid(format!("a job of the kind \"{kind}\" does not know `{unknown}`"))),
        None => Ok(fields),
    }
}
