//! Runs the examples of `docs/sql/*.md`, each page on a fresh lake, from its top to its end.
//!
//! A block marked `sql` must succeed, one marked `sql 22001` fails with that code. A block marked `text` holds the rows of
//! the one before it, columns parted by ` | `.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use polder_capability::{Caller, SqlRunner, StatementRequest};
use polder_types::QueryId;

/// (first line, mark, text) of each block that is marked.
fn blocks(page: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String, Vec<&str>)> = None;
    for (at, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(mark)) => open = Some((at + 2, mark.trim().to_owned(), Vec::new())),
            (Some(_), Some(_)) => {
                if let Some((from, mark, lines)) = open.take() {
                    found.push((from, mark, lines.join("\n")));
                }
            }
            (Some((.., lines)), None) => lines.push(line),
            (None, None) => {}
        }
    }
    found
}

fn rows(batches: &[RecordBatch]) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "));
        }
    }
    lines.join("\n")
}

async fn run(page: &Path) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let engine = super::engine(directory.path(), None).await;
    let session = engine.open_session(Caller::new("polder", "docs"));
    let mut failed = Vec::new();
    let mut last = String::new();
    let blocks = blocks(&std::fs::read_to_string(page).unwrap());
    // A list of functions, which another test compares with those that there are.
    if !page.ends_with("functions.md") && !blocks.iter().any(|(_, mark, _)| mark.starts_with("sql")) {
        failed.push(format!("{}: nothing on this page is run", page.display()));
    }
    for (line, mark, text) in blocks {
        let place = format!("{}:{line}", page.display());
        let mut words = mark.split_whitespace();
        match (words.next(), words.next()) {
            (Some("sql"), expected) => {
                let request = StatementRequest { sql: text, query_id: QueryId::new(), row_limit: None, sent: None };
                let answer = async { session.run(request).await?.batches.try_collect::<Vec<_>>().await }.await;
                match (answer, expected) {
                    (Ok(batches), None) => last = rows(&batches),
                    (Ok(_), Some(code)) => failed.push(format!("{place}: does not fail with {code}")),
                    (Err(error), Some(code)) if error.code() == code => {}
                    (Err(error), _) => failed.push(format!("{place}: {} {error}", error.code())),
                }
            }
            (Some("text"), _) if text != last => failed.push(format!("{place}: the rows are\n{last}")),
            _ => {}
        }
    }
    engine.close().await;
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example() {
    let directory = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../docs/sql");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let mut failed = Vec::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        failed.extend(run(page).await);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
