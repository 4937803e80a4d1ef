//! The line that says how far a statement is.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use polder_capability::{QueryProgress, QueryState};
use polder_types::QueryId;

use crate::connection::Connection;
use crate::terminal;

/// Most statements are done before a person would look.
const FIRST: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(200);

static SHOWN: AtomicBool = AtomicBool::new(false);

/// Shows progress until the answer begins. Never returns: it is dropped.
pub async fn follow(connection: &dyn Connection, id: QueryId, answering: &AtomicBool, wanted: bool) {
    tokio::time::sleep(FIRST).await;
    while wanted && !answering.load(Ordering::Relaxed) {
        if let Some(progress) = connection.progress(id).await
            && progress.state == QueryState::Running
            && !answering.load(Ordering::Relaxed)
        {
            show(&line(&progress));
        }
        tokio::time::sleep(EVERY).await;
    }
    std::future::pending::<()>().await;
}

/// `1,234,567 of 3,000,000 rows · 45.2 MiB · 1.2 s · Ctrl-C cancels`
fn line(progress: &QueryProgress) -> String {
    let mut rows = HumanCount(progress.rows_scanned).to_string();
    if let Some(total) = progress.rows_total.filter(|total| *total >= progress.rows_scanned) {
        rows.push_str(&format!(" of {}", HumanCount(total)));
    }
    let seconds = Duration::from_millis(progress.elapsed_ms).as_secs_f64();
    format!("{rows} rows · {} · {seconds:.1} s · Ctrl-C cancels", HumanBytes(progress.bytes_scanned))
}

fn show(text: &str) {
    SHOWN.store(true, Ordering::Relaxed);
    let text = terminal::truncated(text, terminal::width() - 1);
    let mut out = std::io::stderr().lock();
    // A line that cannot be shown does no harm.
    let _ = write!(out, "\r\x1b[2K{text}").and_then(|()| out.flush());
}

/// Takes the line away, if there is one.
pub fn clear() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r\x1b[2K").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests;
