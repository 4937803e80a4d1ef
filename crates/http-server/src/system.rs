//! Questions that the server itself asks the system tables, so that its numbers are those that SQL gives.

use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use futures::StreamExt;
use polder_capability::{Caller, SqlRunner, StatementRequest};
use polder_types::{Error, ErrorKind, QueryId, Result, SnapshotId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::encode::{Encoder, ndjson};

/// The way in that such questions are recorded under. The list of queries leaves them out: nobody typed them.
pub(crate) const VIA: &str = "internal";

/// JSON text of one answer. Larger ones are refused or cut, as the caller chooses.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What to do when the answer is larger than [`ANSWER_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    Refuse,
    Cut,
}

/// The rows of an answer, and the lake version that they come from.
pub(crate) struct Rows<T> {
    pub rows: Vec<T>,
    pub snapshot: SnapshotId,
}

/// Stops a statement that is no longer waited for.
struct CancelOnDrop<'a>(Option<(&'a Arc<dyn SqlRunner>, QueryId)>);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if let Some((sql, id)) = self.0 {
            sql.cancel(id);
        }
    }
}

/// Runs one statement in the user's name and reads each row as a `T`, by column names.
pub(crate) async fn rows<T: DeserializeOwned>(
    sql: &Arc<dyn SqlRunner>,
    user: &str,
    statement: String,
    excess: Excess,
) -> Result<Rows<T>> {
    let session = sql.open_session(Caller::new(user, VIA));
    let query_id = QueryId::new();
    let mut cancel = CancelOnDrop(Some((sql, query_id)));
    let answer = session.run(StatementRequest { sql: statement, query_id, row_limit: None, sent: None }).await;
    let mut answer = answer.inspect_err(|_| cancel.0 = None)?;
    let mut encoder = ndjson::Ndjson::new();
    let mut rows = Vec::new();
    let mut bytes = 0;
    'answer: while let Some(batch) = answer.batches.next().await {
        let text = encoder.batch(&batch?)?;
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            bytes += line.len();
            if bytes > ANSWER_BYTES_MAX && !rows.is_empty() {
                match excess {
                    Excess::Cut => break 'answer,
                    Excess::Refuse => {
                        return Err(Error::new(ErrorKind::TooLarge, "the answer is larger than 16 MiB")
                            .with_hint("ask the `polder` system tables by SQL, with a WHERE clause"));
                    }
                }
            }
            rows.push(serde_json::from_slice(line).map_err(|error| {
                Error::internal(format!("a system table has another shape than expected: {error}")).with_source(error)
            })?);
        }
    }
    if bytes <= ANSWER_BYTES_MAX {
        cancel.0 = None;
    }
    Ok(Rows { rows, snapshot: answer.snapshot })
}

/// A SQL literal for any text.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table's name as text, for the table functions that take one. Parts are quoted where SQL would fold or misread them.
pub(crate) fn table_name(schema: &str, table: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(table))
}

fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A moment that is always there.
pub(crate) fn known_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    moment(deserializer)?.ok_or_else(|| serde::de::Error::custom("a moment is missing"))
}

/// A moment, whether the column has a time zone or not (it is UTC then).
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    if let Ok(moment) = DateTime::parse_from_rfc3339(&text) {
        return Ok(Some(moment.with_timezone(&Utc)));
    }
    text.parse::<NaiveDateTime>().map(|moment| Some(moment.and_utc())).map_err(serde::de::Error::custom)
}

/// A truth value, as SQL has it or as `information_schema` spells it.
pub(crate) fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Truth {
        Bool(bool),
        Text(String),
    }
    Ok(match Truth::deserialize(deserializer)? {
        Truth::Bool(value) => value,
        Truth::Text(text) => text.eq_ignore_ascii_case("yes") || text.eq_ignore_ascii_case("true"),
    })
}

/// JSON that a column keeps as text, or has as a list.
pub(crate) fn json_text<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    use serde::de::Error as _;
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(text) if text.is_empty() => Ok(None),
        serde_json::Value::String(text) => serde_json::from_str(&text).map_err(D::Error::custom),
        value => serde_json::from_value(value).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests;
