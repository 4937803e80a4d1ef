//! Patterns of LIKE that end in the middle of an escape.

use datafusion::sql::sqlparser::ast::{Expr, Value};
use polder_types::Result;

use super::text;
use crate::parse::parse_call;

/// What stands before the backslash that a pattern in quotes ends with, if nothing does that it could escape.
pub(super) fn unfinished(pattern: &Expr) -> Option<&str> {
    let Expr::Value(value) = pattern else { return None };
    let Value::SingleQuotedString(pattern) = &value.value else { return None };
    pattern.strip_suffix('\\').filter(|before| backslashes(before) % 2 == 0)
}

fn backslashes(text: &str) -> usize {
    text.len() - text.trim_end_matches('\\').len()
}

/// A comparison with such a pattern: no text matches it, and one that goes on where the backslash stands is refused, as PostgreSQL
/// does once it gets there. Behind `%` it gets there with any text.
pub(super) fn refused(expr: &Expr, op: &str, before: &str) -> Result<Expr> {
    let any = before.strip_suffix('%').is_some_and(|before| backslashes(before) % 2 == 0);
    let reached = text(if any { before.to_owned() } else { format!("{before}_%") });
    let pattern = format!("CASE WHEN {expr} IS NULL THEN NULL WHEN {expr} {op} {reached} THEN 'x\\' ELSE 'x' END");
    parse_call(&format!("(polder_like_pattern({pattern}, '\\') <> 'x')"))
}
