//! PREPARE and EXECUTE: statements by name, whose values are written into them.

use polder_types::{Error, Result};

use super::command::syntax;
use super::scan::{Token, TokenKind, scan};

/// What can be prepared by name, as PostgreSQL has it.
const PREPARABLE: &[&str] = &["select", "insert", "update", "delete", "merge", "values", "with", "table"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepare {
    pub name: String,
    /// The statement, in which each parameter that was declared is a cast to its type.
    pub statement: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Execute {
    pub name: String,
    /// Expressions.
    pub values: Vec<String>,
    /// What the statement stands in, as in EXPLAIN EXECUTE: what is written before it, and after.
    pub before: String,
    pub after: String,
}

/// `PREPARE name (types) AS statement`
///
/// # Errors
/// `InvalidInput` (42601).
pub(crate) fn prepare(tokens: &[Token], sql: &str) -> Result<Prepare> {
    let wrong = || syntax("PREPARE name (types) AS statement");
    let name = tokens.get(1).and_then(Token::name).ok_or_else(wrong)?.to_owned();
    let (types, rest) = listed(tokens.get(2..).unwrap_or_default(), sql).ok_or_else(wrong)?;
    let [word, statement @ ..] = rest else { return Err(wrong()) };
    let (Some(first), Some(last)) = (statement.first(), statement.last()) else { return Err(wrong()) };
    let query = first.is_symbol('(') || first.word().is_some_and(|word| PREPARABLE.contains(&word));
    if !word.is_word("as") || !query {
        return Err(wrong());
    }
    let text = sql.get(first.start..last.end).unwrap_or_default();
    let statement = filled(text, |at| types.get(at).map(|name| format!("CAST(${} AS {name})", at + 1)));
    Ok(Prepare { name, statement })
}

/// `EXECUTE name (values)`
///
/// # Errors
/// `InvalidInput` (42601).
pub(crate) fn execute(tokens: &[Token], sql: &str) -> Result<Execute> {
    let wrong = || syntax("EXECUTE name (values)");
    let name = tokens.get(1).and_then(Token::name).ok_or_else(wrong)?.to_owned();
    match listed(tokens.get(2..).unwrap_or_default(), sql) {
        Some((values, [])) => Ok(Execute { name, values, before: String::new(), after: String::new() }),
        _ => Err(wrong()),
    }
}

/// `EXPLAIN EXECUTE name (values)`, `CREATE TABLE t AS EXECUTE name (values)`; `None` for all others.
///
/// # Errors
/// `InvalidInput` (42601).
pub(crate) fn within(tokens: &[Token], sql: &str) -> Result<Option<Execute>> {
    let Some(at) = tokens.iter().position(|token| token.is_word("execute")) else { return Ok(None) };
    let (before, rest) = tokens.split_at(at);
    let explains = match before {
        [explain, options @ ..] if explain.is_word("explain") => match options {
            // One pair of brackets: behind it something may be called so, as in SELECT count(*) execute.
            [open, within @ .., close] if open.is_symbol('(') => {
                close.is_symbol(')') && !within.iter().any(|token| token.is_symbol(')'))
            }
            words => words.iter().all(|token| token.is_word("analyze") || token.is_word("verbose")),
        },
        _ => false,
    };
    // A column may be called so, but then it does not stand behind the first AS.
    let makes = before.iter().take(4).any(|token| token.is_word("table"))
        && before.iter().position(|token| token.is_word("as")) == at.checked_sub(1);
    let (Some(first), Some(start)) = (before.first(), rest.first()) else { return Ok(None) };
    if !explains && !makes {
        return Ok(None);
    }
    // WITH DATA, WITH NO DATA
    let with = rest.iter().position(|token| makes && token.is_word("with"));
    let (called, after) = rest.split_at(with.unwrap_or(rest.len()));
    let after = match (after.first(), after.last()) {
        (Some(first), Some(last)) => sql.get(first.start..last.end).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let before = sql.get(first.start..start.start).unwrap_or_default().to_owned();
    Ok(Some(Execute { before, after, ..execute(called, sql)? }))
}

/// What stands between brackets at the beginning, if any do, each part as it is written; and what follows.
fn listed<'t>(tokens: &'t [Token], sql: &str) -> Option<(Vec<String>, &'t [Token])> {
    if !tokens.first().is_some_and(|token| token.is_symbol('(')) {
        return Some((Vec::new(), tokens));
    }
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut begun = 1;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol('(' | '[') => depth += 1,
            TokenKind::Symbol(')' | ']') => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 || depth == 1 && token.is_symbol(',') {
            let part = tokens.get(begun..at)?;
            parts.push(sql.get(part.first()?.start..part.last()?.end)?.to_owned());
            begun = at + 1;
        }
        if depth == 0 {
            return Some((parts, tokens.get(at + 1..)?));
        }
    }
    None
}

/// A statement with something else for each parameter that there is something for; they count from 0.
pub(crate) fn filled(sql: &str, with: impl Fn(usize) -> Option<String>) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut done = 0;
    for token in scan(sql) {
        if let Some(put) = number(&token, sql).and_then(|number| with(number.checked_sub(1)?)) {
            text.push_str(sql.get(done..token.start).unwrap_or_default());
            text.push_str(&put);
            done = token.end;
        }
    }
    text.push_str(sql.get(done..).unwrap_or_default());
    text
}

/// The number of a parameter, from 1.
pub(crate) fn number(token: &Token, sql: &str) -> Option<usize> {
    match token.kind {
        TokenKind::Symbol('$') => sql.get(token.start + 1..token.end)?.parse().ok(),
        _ => None,
    }
}

/// # Errors
/// `InvalidInput` (42601) when there are more or fewer values than parameters.
pub(crate) fn check_count(name: &str, wanted: usize, given: usize) -> Result<()> {
    if wanted == given {
        return Ok(());
    }
    let message = format!("wrong number of parameters for prepared statement \"{name}\"");
    Err(Error::invalid(message).with_code("42601").with_hint(format!("it takes {wanted}, and {given} are given")))
}
