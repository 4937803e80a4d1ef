//! The statements of a commit, and how rows that come together are inserted together.

use std::borrow::Cow;
use std::fmt::Write as _;

use polder_metastore::{Value, Write};

/// Rows of one INSERT. The numbers of rows are powers of two, so that few texts stay prepared.
const ROWS_MAX: usize = 32;

/// Parameters of one INSERT, far below the limit of either database.
const PARAMETERS_MAX: usize = 8_000;

/// One statement of a commit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    /// A new row. `into` is the table with the columns that have values: `t (a, b)`.
    Row {
        into: Cow<'static, str>,
        values: Vec<Value>,
    },
    Other(Write),
}

/// The statements as they are run. Rows of one table are inserted together, but none passes a statement of another
/// kind.
pub(crate) fn into_writes(statements: Vec<Statement>) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut waiting: Vec<(Cow<'static, str>, Vec<Vec<Value>>)> = Vec::new();
    for statement in statements {
        match statement {
            Statement::Row { into, values } => match waiting.iter_mut().find(|(table, _)| *table == into) {
                Some((_, rows)) => rows.push(values),
                None => waiting.push((into, vec![values])),
            },
            Statement::Other(write) => {
                flush(&mut waiting, &mut writes);
                writes.push(write);
            }
        }
    }
    flush(&mut waiting, &mut writes);
    writes
}

fn flush(waiting: &mut Vec<(Cow<'static, str>, Vec<Vec<Value>>)>, writes: &mut Vec<Write>) {
    for (into, rows) in waiting.drain(..) {
        let mut rows = rows.into_iter().peekable();
        while let Some(first) = rows.peek() {
            let columns = first.len().max(1);
            let together = floor_power_of_two(rows.len().min(ROWS_MAX).min(PARAMETERS_MAX / columns));
            let params = rows.by_ref().take(together).flatten().collect();
            writes.push(Write::new(insert_sql(&into, together, columns), params));
        }
    }
}

fn floor_power_of_two(count: usize) -> usize {
    1 << count.max(1).ilog2()
}

fn insert_sql(into: &str, rows: usize, columns: usize) -> String {
    let mut sql = format!("INSERT INTO {into} VALUES ");
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", row * columns + column + 1);
        }
        sql.push(')');
    }
    sql
}

#[cfg(test)]
mod tests;
