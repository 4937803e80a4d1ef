//! `polder.audit`: who came in, who was refused, and what changed about who may.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Schema;
use polder_metastore::{AuditEvent, AuditRow};
use polder_types::Result;

use super::{int, text, time};
use crate::engine::Engine;

/// More is no list any more; the newest are shown.
const ROWS_MAX: u64 = 10_000;

pub(super) fn schema() -> Schema {
    Schema::new(vec![
        time("happened_at", false),
        text("event", false),
        text("user_name", false),
        text("via", false),
        text("origin", true),
        text("object", true),
        text("outcome", false),
        text("error_code", true),
        text("message", true),
        int("times", false),
    ])
}

pub(super) async fn rows(engine: &Engine) -> Result<Vec<ArrayRef>> {
    engine.audit.flush().await;
    let rows = engine.metastore.audit().recent(ROWS_MAX).await?;
    let texts = |of: fn(&AuditEvent) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(&row.event)).collect::<StringArray>())
    };
    let happened = rows.iter().map(|row| Some(row.happened_at.timestamp_micros()));
    let happened = happened.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
    let times = |row: &AuditRow| i64::try_from(row.times).unwrap_or(i64::MAX);
    Ok(vec![
        Arc::new(happened),
        texts(|event| Some(event.event.as_str())),
        texts(|event| Some(event.user.as_str())),
        texts(|event| Some(event.via.as_str())),
        texts(|event| event.origin.as_deref()),
        texts(|event| event.object.as_deref()),
        texts(|event| Some(if event.refusal.is_some() { "refused" } else { "ok" })),
        texts(|event| event.refusal.as_ref().map(|refusal| refusal.code.as_str())),
        texts(|event| event.refusal.as_ref().map(|refusal| refusal.message.as_str()).or(event.message.as_deref())),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(times))),
    ])
}
