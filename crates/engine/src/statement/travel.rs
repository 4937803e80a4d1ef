//! Time travel: `t AT (VERSION => n)` and `t AT (TIMESTAMP => …)` in any query.
//!
//! The parser knows no such clause in PostgreSQL's dialect, so it is folded into the table's name before parsing:
//! `t AT (VERSION => 3)` becomes `"t AT (VERSION => 3)" AS t`, and the catalog opens that name in that version. Views
//! may travel too: their text keeps the name.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Utc};
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_TABLE_ALIAS};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Word};
use polder_lake::Version;
use polder_types::{Error, Result};

use crate::error::from_datafusion;

/// Between a table's name and what it says of the version.
const AT: &str = " AT (";

/// Which version is meant, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Point {
    Version(String),
    Timestamp(String),
}

/// A name that carries a version: the table's own name, and the version.
pub(crate) fn travelled(name: &str) -> Option<(&str, Point)> {
    let (table, clause) = name.rsplit_once(AT)?;
    let (kind, expression) = clause.strip_suffix(')')?.split_once(" => ")?;
    match kind {
        "VERSION" => Some((table, Point::Version(expression.to_owned()))),
        "TIMESTAMP" => Some((table, Point::Timestamp(expression.to_owned()))),
        _ => None,
    }
}

/// Folds each `AT (…)` clause into the name before it.
///
/// # Errors
/// `InvalidInput` for a clause that says neither VERSION nor TIMESTAMP.
pub(crate) fn fold_clauses(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut folded: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut rest = &tokens[..];
    while let Some((token, after)) = rest.split_first() {
        let name = folded.iter().rposition(|token| !matches!(token.token, Token::Whitespace(_)));
        if is_word(token, "AT")
            && let Some(at) = name
            && let Token::Word(table) = &folded[at].token
            && !reserved(table)
            && let Some((point, left)) = clause(after)?
        {
            let plain = if table.quote_style.is_some() { table.value.clone() } else { table.value.to_lowercase() };
            let text = match point {
                Point::Version(text) => format!("{plain}{AT}VERSION => {text})"),
                Point::Timestamp(text) => format!("{plain}{AT}TIMESTAMP => {text})"),
            };
            folded.truncate(at + 1);
            folded[at].token = quoted(text);
            if !has_alias(left) {
                let span = folded[at].span;
                for token in [space(), Token::make_keyword("AS"), space(), quoted(plain)] {
                    folded.push(TokenWithSpan { token, span });
                }
            }
            rest = left;
            continue;
        }
        // It is a name like others, too, which the parser does not know.
        let next = after.iter().find(|token| !matches!(token.token, Token::Whitespace(_)));
        let is_zone = next.is_some_and(|next| is_word(next, "TIME") || is_word(next, "LOCAL"));
        let is_open = next.is_some_and(|next| matches!(next.token, Token::LParen | Token::Period));
        let is_name = is_word(token, "AT") && !is_zone && !is_open && follows_name(&folded, name);
        folded.push(match is_name {
            true => TokenWithSpan { token: quoted("at".to_owned()), span: token.span },
            false => token.clone(),
        });
        rest = after;
    }
    Ok(folded)
}

/// `( VERSION => expression )` at the beginning; what it says, and what comes after it.
pub(crate) fn clause(tokens: &[TokenWithSpan]) -> Result<Option<(Point, &[TokenWithSpan])>> {
    let solid = |from: usize| {
        let found = tokens.iter().skip(from).position(|token| !matches!(token.token, Token::Whitespace(_)));
        found.map(|at| from + at)
    };
    let Some(open) = solid(0).filter(|at| tokens[*at].token == Token::LParen) else { return Ok(None) };
    let Some(kind) = solid(open + 1) else { return Ok(None) };
    let Some(arrow) = solid(kind + 1).filter(|at| tokens[*at].token == Token::RArrow) else { return Ok(None) };
    let mut depth = 1_usize;
    let mut close = None;
    for (at, token) in tokens.iter().enumerate().skip(arrow + 1) {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            close = Some(at);
            break;
        }
    }
    let Location { line, column } = tokens[kind].span.start;
    let wrong = |message: String| {
        Error::invalid(message)
            .with_code("42601")
            .with_hint("t AT (VERSION => 12), or t AT (TIMESTAMP => '2026-01-31 12:00:00')")
            .at(line, column)
    };
    let Some(close) = close else { return Err(wrong("AT ( has no end".into())) };
    let text: String = tokens[arrow + 1..close].iter().map(|token| token.token.to_string()).collect();
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(wrong("AT (…) says no version".into()));
    }
    let point = if is_word(&tokens[kind], "VERSION") {
        Point::Version(text)
    } else if is_word(&tokens[kind], "TIMESTAMP") {
        Point::Timestamp(text)
    } else {
        return Err(wrong(format!("AT takes VERSION or TIMESTAMP, not {}", tokens[kind].token)));
    };
    Ok(Some((point, &tokens[close + 1..])))
}

fn follows_name(folded: &[TokenWithSpan], last: Option<usize>) -> bool {
    let last = last.and_then(|at| folded.get(at)).map(|token| &token.token);
    matches!(last, Some(Token::Word(word)) if word.quote_style.is_some() || word.keyword == Keyword::NoKeyword)
}

fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Words that stand before an `AT` which is something else, such as `AT TIME ZONE`, do not matter: that has no `(`.
fn reserved(word: &Word) -> bool {
    word.quote_style.is_none() && word.keyword != Keyword::NoKeyword && RESERVED_FOR_TABLE_ALIAS.contains(&word.keyword)
}

fn has_alias(tokens: &[TokenWithSpan]) -> bool {
    let next = tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_)));
    match next.map(|token| &token.token) {
        Some(Token::Word(word)) => word.keyword == Keyword::AS || !reserved(word),
        _ => false,
    }
}

fn quoted(value: String) -> Token {
    Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword })
}

fn space() -> Token {
    Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space)
}

/// The version that a clause means. Expressions are worked out as a query would.
///
/// # Errors
/// `InvalidInput` for an expression that is no number, or no time.
pub(crate) async fn resolve(point: &Point, state: &SessionState) -> Result<Version> {
    let (sql, wanted) = match point {
        Point::Version(text) => {
            if let Ok(id) = text.parse() {
                return Ok(Version::Snapshot(id));
            }
            (format!("SELECT CAST(({text}) AS BIGINT)"), "number")
        }
        Point::Timestamp(text) => (format!("SELECT CAST(({text}) AS TIMESTAMP WITH TIME ZONE)"), "time"),
    };
    let wrong =
        |error: Error| Error::invalid(format!("AT takes a constant {wanted}: {}", error.message())).with_code("22023");
    let run = async {
        let plan = state.create_logical_plan(&sql).await?;
        SessionContext::new_with_state(state.clone()).execute_logical_plan(plan).await?.collect().await
    };
    let batches = run.await.map_err(|error| wrong(from_datafusion(error)))?;
    let none = || Error::invalid(format!("AT takes a {wanted}, not NULL")).with_code("22023");
    let column = batches.iter().find(|batch| batch.num_rows() == 1).map(|batch| Arc::clone(batch.column(0)));
    let column = column.filter(|column| column.null_count() == 0).ok_or_else(none)?;
    match point {
        Point::Version(_) => {
            let ids = column.as_primitive_opt::<arrow::datatypes::Int64Type>().ok_or_else(none)?;
            Ok(Version::Snapshot(ids.value(0)))
        }
        Point::Timestamp(_) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let times = arrow::compute::cast(&column, &micros).map_err(|error| Error::internal(error.to_string()))?;
            let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(none)?;
            let time: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(times.value(0));
            time.map(Version::At).ok_or_else(none)
        }
    }
}
