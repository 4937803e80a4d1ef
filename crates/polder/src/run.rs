//! One statement from its text to its written answer, with progress and Ctrl-C.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use polder_types::QueryId;

use crate::connection::{Connection, Reply, Request};
use crate::failure::Failure;
use crate::output::{AnswerWriter, Outcome};
use crate::shell::progress;
use crate::terminal;

/// How long a cancelled statement may take to say so.
const CANCEL_WAIT: Duration = Duration::from_secs(4);

/// How a statement is run.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub row_limit: Option<u64>,
    pub keep_session: bool,
    /// Show progress on standard error, if that is a terminal.
    pub progress: bool,
}

/// Runs a statement and writes its answer. `None` as writer: the rows are read and left out.
///
/// # Errors
/// What the statement failed with; cancelled, if Ctrl-C was pressed.
pub async fn run(
    connection: &dyn Connection,
    sql: &str,
    writer: Option<&mut dyn AnswerWriter>,
    manner: Manner,
) -> Result<Outcome, Failure> {
    let query_id = QueryId::new();
    let answering = AtomicBool::new(false);
    let request = Request {
        sql,
        query_id,
        // One more than is shown tells whether there are more.
        row_limit: manner.row_limit.map(|limit| limit.saturating_add(1)),
        keep_session: manner.keep_session,
    };
    let work = answer(connection, request, writer, manner.row_limit, &answering);
    let report = progress::follow(connection, query_id, &answering, manner.progress && terminal::stderr());
    tokio::pin!(work, report);
    let mut interrupted = false;
    let done = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            _ = tokio::signal::ctrl_c(), if !interrupted => {
                interrupted = true;
                // A server that does not even answer this is left alone; it notices that nobody listens.
                let _ = tokio::time::timeout(CANCEL_WAIT / 2, connection.cancel(query_id)).await;
            }
            () = tokio::time::sleep(CANCEL_WAIT / 2), if interrupted => break Err(Failure::interrupted()),
            () = &mut report => {}
        }
    };
    progress::clear();
    match done {
        // Whatever the server makes of the cut, it was asked for.
        Err(_) if interrupted => Err(Failure { message: "cancelled".to_owned(), ..Failure::interrupted() }),
        other => other,
    }
}

async fn answer(
    connection: &dyn Connection,
    request: Request<'_>,
    mut writer: Option<&mut dyn AnswerWriter>,
    row_limit: Option<u64>,
    answering: &AtomicBool,
) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let Reply { verb, rows_changed, schema, mut batches, notices } = connection.run(request).await?;
    let mut outcome = Outcome { verb, gives_rows: !schema.fields().is_empty(), rows_changed, ..Outcome::default() };
    if let Some(writer) = writer.as_deref_mut()
        && outcome.gives_rows
    {
        writer.begin(&schema)?;
    }
    while let Some(batch) = batches.next().await {
        let mut batch = batch?;
        if !outcome.gives_rows {
            continue;
        }
        if !answering.swap(true, Ordering::Relaxed) {
            progress::clear();
        }
        if let Some(limit) = row_limit {
            let left = usize::try_from(limit - outcome.rows).unwrap_or(usize::MAX);
            if batch.num_rows() > left {
                outcome.cut = true;
                batch = batch.slice(0, left);
            }
        }
        outcome.rows += batch.num_rows() as u64;
        if let Some(writer) = writer.as_deref_mut() {
            writer.batch(&batch)?;
        }
        if outcome.cut {
            break;
        }
    }
    drop(batches);
    if !answering.swap(true, Ordering::Relaxed) {
        progress::clear();
    }
    outcome.elapsed = started.elapsed();
    if let Some(writer) = writer {
        writer.end(&outcome)?;
    }
    for notice in notices {
        tell(&format!("note: {}", notice.message));
        if let Some(hint) = notice.hint {
            tell(&format!("hint: {hint}"));
        }
    }
    Ok(outcome)
}

/// A line to standard error. When nobody reads there, nobody misses it.
pub fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", terminal::printable(text, true));
}
