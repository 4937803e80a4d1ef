//! What jobs can do by SQL: a kind composes statements and runs them through the one way there is. Other kinds are other
//! crates'.

mod maintenance;
mod statement;

use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use polder_capability::{Caller, CommandTag, JobRun, SqlRunner, StatementRequest};
use polder_types::{Error, QueryId, Result};

pub use maintenance::MaintenanceKind;
pub use statement::StatementKind;

/// The way in of statements that jobs run, as kept in `polder.queries`.
const VIA: &str = "job";

/// Runs SQL to its end as the job's owner, and writes into the log what came of it. Cancels it when the run must stop.
async fn run_sql(sql: &Arc<dyn SqlRunner>, run: &JobRun, text: &str) -> Result<()> {
    let session = sql.open_session(Caller::new(&run.owner, VIA));
    let query_id = QueryId::new();
    run.log.line(format!("query {query_id}"));
    let request = StatementRequest { sql: text.to_owned(), query_id, row_limit: None, sent: None };
    let mut work = pin!(async {
        let mut answer = session.run(request).await?;
        for notice in &answer.notices {
            run.log.line(format!("notice: {}", notice.message));
        }
        let mut rows = 0_u64;
        while let Some(batch) = answer.batches.next().await {
            rows += batch?.num_rows() as u64;
        }
        if session.in_transaction() {
            return Err(Error::invalid("the transaction was left open, and what it changed is lost")
                .with_code("25000")
                .with_hint("end the statements with COMMIT"));
        }
        Ok((answer.tag, rows))
    });
    let result = tokio::select! {
        result = &mut work => result,
        () = run.stop.cancelled() => {
            sql.cancel(query_id);
            work.await
        }
    };
    let (CommandTag { verb, rows: changed }, returned) = result?;
    run.log.line(match changed {
        Some(changed) => format!("{verb}: {changed} rows changed"),
        None if returned > 0 => format!("{verb}: {returned} rows"),
        None => verb,
    });
    Ok(())
}
