//! Records as the metastore keeps them.

use polder_capability::{QueryError, QueryRecord, QueryState};
use polder_metastore::QueryRow;

pub(super) fn row(record: QueryRecord) -> QueryRow {
    let state = match record.state {
        QueryState::Running => "running",
        QueryState::Done => "done",
        QueryState::Failed => "failed",
        QueryState::Cancelled => "cancelled",
    };
    let error = record.error;
    QueryRow {
        query_id: record.query_id,
        user_name: record.user,
        via: record.via,
        sql: record.sql,
        state: state.to_owned(),
        started_at: record.started_at,
        elapsed_ms: record.elapsed_ms,
        rows_returned: record.rows_returned,
        rows_changed: record.rows_changed,
        rows_scanned: record.rows_scanned,
        bytes_scanned: record.bytes_scanned,
        snapshot: record.snapshot,
        error_code: error.as_ref().map(|error| error.code.clone()),
        error_message: error.as_ref().map(|error| error.message.clone()),
        error_hint: error.as_ref().and_then(|error| error.hint.clone()),
        error_position: error.and_then(|error| error.position),
    }
}

pub(super) fn record(row: QueryRow) -> QueryRecord {
    let error = row.error_code.map(|code| QueryError {
        code,
        message: row.error_message.unwrap_or_default(),
        position: row.error_position,
        hint: row.error_hint,
    });
    let state = match row.state.as_str() {
        "done" => QueryState::Done,
        "cancelled" => QueryState::Cancelled,
        "running" => QueryState::Running,
        _ => QueryState::Failed,
    };
    QueryRecord {
        query_id: row.query_id,
        user: row.user_name,
        via: row.via,
        sql: row.sql,
        state,
        started_at: row.started_at,
        elapsed_ms: row.elapsed_ms,
        rows_returned: row.rows_returned,
        rows_changed: row.rows_changed,
        rows_scanned: row.rows_scanned,
        bytes_scanned: row.bytes_scanned,
        snapshot: row.snapshot,
        error,
    }
}
