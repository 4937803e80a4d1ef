//! Completion from the catalog, and when a line is whole.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use parking_lot::Mutex;
use polder_types::QueryId;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Result};
use tokio::runtime::Runtime;

use super::meta;
use crate::connection::{Connection, Request};
use crate::failure::Failure;
use crate::split;

/// Others may make tables meanwhile.
const FRESH: Duration = Duration::from_secs(60);
/// Completion that takes longer than this is no help.
const WAIT: Duration = Duration::from_millis(1500);
/// More names than this are no list any more.
const NAMES_MAX: u64 = 50_000;

const KEYWORDS: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "AS",
    "ASC",
    "AT",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IF",
    "ILIKE",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "RENAME",
    "REPLACE",
    "RIGHT",
    "ROLLBACK",
    "SCHEMA",
    "SELECT",
    "SET",
    "SHOW",
    "TABLE",
    "TABLES",
    "THEN",
    "TIMESTAMP",
    "TO",
    "TRUE",
    "TRUNCATE",
    "UNION",
    "UPDATE",
    "USING",
    "VALUES",
    "VERSION",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// What the catalog holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Schema and name.
    pub tables: Vec<(String, String)>,
    /// Schema, table and column.
    pub columns: Vec<(String, String, String)>,
    pub functions: Vec<String>,
}

/// The catalog's names, asked for at the first Tab and again when they may have changed.
pub struct Names {
    runtime: Arc<Runtime>,
    connection: Arc<dyn Connection>,
    known: Mutex<Option<(Instant, Arc<Catalog>)>>,
}

impl Names {
    #[must_use]
    pub fn new(runtime: Arc<Runtime>, connection: Arc<dyn Connection>) -> Self {
        Self { runtime, connection, known: Mutex::new(None) }
    }

    pub fn forget(&self) {
        *self.known.lock() = None;
    }

    /// Empty when the catalog cannot be had: Tab must not print errors into the line.
    fn catalog(&self) -> Arc<Catalog> {
        if let Some((at, catalog)) = &*self.known.lock()
            && at.elapsed() < FRESH
        {
            return Arc::clone(catalog);
        }
        let read = async { tokio::time::timeout(WAIT, read_catalog(self.connection.as_ref())).await };
        let catalog = match self.runtime.block_on(read) {
            Ok(Ok(catalog)) => Arc::new(catalog),
            _ => return Arc::default(),
        };
        *self.known.lock() = Some((Instant::now(), Arc::clone(&catalog)));
        catalog
    }
}

async fn read_catalog(connection: &dyn Connection) -> std::result::Result<Catalog, Failure> {
    let mut catalog = Catalog::default();
    for row in rows(connection, "SELECT schema_name, table_name FROM polder.tables ORDER BY 1, 2").await? {
        if let [schema, table] = &row[..] {
            catalog.tables.push((schema.clone(), table.clone()));
        }
    }
    let columns = "SELECT schema_name, table_name, column_name FROM polder.columns ORDER BY 1, 2, ordinal_position";
    for row in rows(connection, columns).await? {
        if let [schema, table, column] = &row[..] {
            catalog.columns.push((schema.clone(), table.clone(), column.clone()));
        }
    }
    for row in rows(connection, "SELECT DISTINCT name FROM polder.functions ORDER BY 1").await? {
        catalog.functions.extend(row);
    }
    Ok(catalog)
}

/// Every value as text.
async fn rows(connection: &dyn Connection, sql: &str) -> std::result::Result<Vec<Vec<String>>, Failure> {
    // Not in the user's conversation: that may be in a transaction that has failed.
    let request = Request { sql, query_id: QueryId::new(), row_limit: Some(NAMES_MAX), keep_session: false };
    let reply = connection.run(request).await?;
    let batches: Vec<RecordBatch> = reply.batches.try_collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        let texts = batch
            .columns()
            .iter()
            .map(|column| cast(column, &DataType::Utf8))
            .collect::<std::result::Result<Vec<_>, _>>();
        let texts = texts.map_err(|error| Failure::new(error.to_string()))?;
        let columns: Vec<&StringArray> = texts.iter().filter_map(|text| text.as_any().downcast_ref()).collect();
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_owned()).collect()),
        );
    }
    Ok(rows)
}

/// What can stand at the cursor: where the word begins, and its continuations.
#[must_use]
pub fn candidates(line: &str, pos: usize, catalog: &Catalog) -> (usize, Vec<String>) {
    let before = &line[..pos];
    let start = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '"'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = before[start..].trim_start_matches('"').to_lowercase();
    let mut found: Vec<String> = Vec::new();
    let mut offer = |name: &str, text: String| {
        if name.to_lowercase().starts_with(&word) && !found.contains(&text) {
            found.push(text);
        }
    };
    if let Some(owner) = before[..start].strip_suffix('.') {
        let owner = last_word(owner);
        for (schema, table) in &catalog.tables {
            if *schema == owner {
                offer(table, quoted(table));
            }
        }
        let table = aliased(line, &owner).unwrap_or(owner);
        for (_, _, column) in catalog.columns.iter().filter(|(_, name, _)| *name == table) {
            offer(column, quoted(column));
        }
        return (start, found);
    }
    let describes = before.trim_start().starts_with("\\d");
    // Columns of the tables that the statement names come first.
    if !describes && !word.is_empty() {
        let words: Vec<String> = words(line).collect();
        for (_, _, column) in catalog.columns.iter().filter(|(_, table, _)| words.contains(table)) {
            offer(column, quoted(column));
        }
    }
    for (schema, table) in &catalog.tables {
        if schema == "public" {
            offer(table, quoted(table));
        } else {
            offer(schema, format!("{}.", quoted(schema)));
        }
    }
    if !describes && !word.is_empty() {
        for function in &catalog.functions {
            offer(function, format!("{function}("));
        }
        for keyword in KEYWORDS {
            offer(keyword, (*keyword).to_owned());
        }
    }
    (start, found)
}

/// A name as SQL wants it: in quotes if it is not plain.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit());
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn last_word(text: &str) -> String {
    text.rsplit(|c: char| !(c.is_alphanumeric() || c == '_'))
        .find(|word| !word.is_empty())
        .unwrap_or_default()
        .to_lowercase()
}

/// The table that `FROM table alias` or `JOIN table AS alias` gives another name.
fn aliased(line: &str, alias: &str) -> Option<String> {
    let words: Vec<String> = words(line).collect();
    let at = words.iter().enumerate().skip(2).find_map(|(at, word)| {
        let named = if words[at - 1] == "as" { at.checked_sub(2)? } else { at - 1 };
        // The name may carry its schema: `from s.t alias`.
        let introduced = |word: &str| matches!(word, "from" | "join" | "update" | "into");
        let begins = introduced(words.get(named.checked_sub(1)?)?)
            || named.checked_sub(2).is_some_and(|before| introduced(&words[before]));
        (word == alias && begins).then_some(named)
    })?;
    Some(words[at].clone())
}

/// What the editor asks while a line is typed.
pub struct Helper {
    names: Arc<Names>,
    color: bool,
}

impl Helper {
    #[must_use]
    pub fn new(names: Arc<Names>, color: bool) -> Self {
        Self { names, color }
    }
}

impl Completer for Helper {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let (start, found) = candidates(line, pos, &self.names.catalog());
        let pair = |text: String| Pair { display: text.clone(), replacement: text };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Validator for Helper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let input = context.input();
        let whole = input.trim().is_empty() || meta::parse(input).is_some() || split::split(input).complete;
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Highlighter for Helper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        if self.color { Cow::Owned(format!("\x1b[1;34m{prompt}\x1b[0m")) } else { Cow::Borrowed(prompt) }
    }
}

impl Hinter for Helper {
    type Hint = String;
}

impl rustyline::Helper for Helper {}

#[cfg(test)]
mod tests;
