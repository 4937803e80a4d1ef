//! What came of a load, in words.

use std::time::Duration;

use indicatif::HumanCount;
use polder_capability::{LoadReport, SourceReport, TableReport};

use crate::cli::LoadArgs;
use crate::output::seconds;
use crate::terminal;

/// Remarks and rejects shown of each table; the rest is counted.
const SHOWN_MAX: usize = 5;
/// Columns shown of a row that could not be read.
const RAW_COLUMNS_MAX: usize = 80;

/// The report as printed: a table a paragraph, and the lake's new version.
#[must_use]
pub fn text(report: &LoadReport, args: &LoadArgs) -> String {
    let mut lines = Vec::new();
    for table in &report.tables {
        about(table, args, &mut lines);
    }
    if report.tables.is_empty() {
        lines.push("nothing was loaded".to_owned());
    }
    let took = seconds(Duration::from_millis(report.elapsed_ms));
    lines.push(match report.snapshot {
        Some(snapshot) => format!("snapshot {snapshot}, {took}"),
        None => format!("nothing new, {took}"),
    });
    let text = lines.join("\n") + "\n";
    terminal::printable(&text, true).into_owned()
}

fn about(table: &TableReport, args: &LoadArgs, lines: &mut Vec<String>) {
    let (loaded, skipped): (Vec<_>, Vec<_>) = table.sources.iter().partition(|source| !source.skipped);
    let mut first = format!("{}: {} loaded", table.table, rows(table.rows_loaded));
    if table.rows_rejected > 0 {
        first.push_str(&format!(", {} rejected", rows(table.rows_rejected)));
    }
    match &loaded[..] {
        [] => {}
        [SourceReport { source, format, .. }] => first.push_str(&format!(" from {source} ({format})")),
        many => first.push_str(&format!(" from {} sources", many.len())),
    }
    lines.push(first);
    if loaded.len() > 1 {
        let source = |source: &&SourceReport| {
            let rejected = match source.rows_rejected {
                0 => String::new(),
                count => format!(", {} rejected", rows(count)),
            };
            format!("  {} ({}): {} loaded{rejected}", source.source, source.format, rows(source.rows_loaded))
        };
        limited(loaded.iter().map(source), loaded.len(), "more sources", lines);
    }
    for source in skipped.iter().take(SHOWN_MAX) {
        lines.push(format!("  skipped {}: the same content was loaded before", source.source));
    }
    if !skipped.is_empty() && !args.again {
        let more = skipped.len().saturating_sub(SHOWN_MAX);
        let more = if more > 0 { format!("{more} more were skipped; ") } else { String::new() };
        lines.push(format!("  {more}--again loads it again"));
    }
    let mut remarks: Vec<&String> = table.remarks.iter().collect();
    if remarks.len() > SHOWN_MAX {
        // What is said of the whole file must not be among those that are left out.
        remarks.sort_by_key(|remark| remark.starts_with('`'));
    }
    limited(remarks.iter().map(|remark| format!("  {remark}")), remarks.len(), "more remarks", lines);
    rejects(table, lines);
}

fn rejects(table: &TableReport, lines: &mut Vec<String>) {
    for reject in table.rejects.iter().take(SHOWN_MAX) {
        let column = reject.column.as_ref().map(|column| format!(", column {column}")).unwrap_or_default();
        lines.push(format!("  rejected: {}, line {}{column}: {}", reject.source, reject.line, reject.reason));
        let raw = terminal::printable(reject.raw.trim_end(), false);
        if !raw.is_empty() {
            lines.push(format!("    {}", terminal::truncated(&raw, RAW_COLUMNS_MAX)));
        }
    }
    if let Some(name) = &table.rejects_table {
        lines.push(format!("  all of them: SELECT * FROM {name}"));
    }
}

fn limited(texts: impl Iterator<Item = String>, count: usize, rest: &str, lines: &mut Vec<String>) {
    lines.extend(texts.take(SHOWN_MAX));
    if count > SHOWN_MAX {
        lines.push(format!("  and {} {rest}; --json shows all", count - SHOWN_MAX));
    }
}

fn rows(count: u64) -> String {
    format!("{} row{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
