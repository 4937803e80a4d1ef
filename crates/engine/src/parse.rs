//! SQL text into statements, each knowing where it stands in the text.

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use polder_types::{Error, ErrorKind, Result, limits};

use crate::error::{from_datafusion, from_parser};
use crate::statement::jobs::{JobStatement, parse_job};

/// Statements of one text. A longer script is a file for `polder sql -f`, which sends them one by one.
const STATEMENTS_MAX: usize = 10_000;

static DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// One statement.
#[derive(Debug)]
pub(crate) enum ParsedStatement {
    /// One that DataFusion's parser knows.
    Standard(Statement),
    Job(JobStatement),
}

/// All statements of a text that DataFusion's parser knows.
///
/// # Errors
/// As [`parse_any`], and for a statement of our own.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let standard = |statement| match statement {
        ParsedStatement::Standard(statement) => Ok(statement),
        ParsedStatement::Job(_) => Err(Error::invalid("a statement about jobs cannot stand here").with_code("42601")),
    };
    parse_any(sql)?.into_iter().map(standard).collect()
}

/// All statements of a text; empty ones are left out.
///
/// # Errors
/// `InvalidInput` with line and column, `TooLarge`.
pub(crate) fn parse_any(sql: &str) -> Result<Vec<ParsedStatement>> {
    if sql.len() > limits::STATEMENT_BYTES_MAX {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the statement is {} MiB long; at most {} MiB are taken",
                sql.len() >> 20,
                limits::STATEMENT_BYTES_MAX >> 20
            ),
        )
        .with_hint("load data as a file, with `polder load` or COPY"));
    }
    let tokens = Tokenizer::new(&DIALECT, sql)
        .tokenize_with_location()
        .map_err(|error| from_parser(&ParserError::from(error)))?;
    let mut statements = Vec::new();
    for tokens in tokens.split(|token| token.token == Token::SemiColon) {
        if tokens.iter().all(|token| matches!(token.token, Token::Whitespace(_) | Token::EOF)) {
            continue;
        }
        if statements.len() == STATEMENTS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {STATEMENTS_MAX} statements in one text")));
        }
        statements.push(parse_one(sql, tokens.to_vec())?);
    }
    Ok(statements)
}

fn words(tokens: &[TokenWithSpan]) -> impl Iterator<Item = Keyword> + '_ {
    tokens.iter().filter_map(|token| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    })
}

/// DataFusion's parser takes every COPY for one that writes.
fn copies_from(tokens: &[TokenWithSpan]) -> bool {
    let mut words = words(tokens);
    if words.next() != Some(Keyword::COPY) {
        return false;
    }
    let mut depth = 0_usize;
    for token in tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.quote_style.is_none() => match word.keyword {
                Keyword::FROM => return true,
                Keyword::TO => return false,
                _ => {}
            },
            _ => {}
        }
    }
    false
}

/// One statement, from its tokens in the whole text.
pub(crate) fn parse_one(sql: &str, tokens: Vec<TokenWithSpan>) -> Result<ParsedStatement> {
    match parse_job(sql, &tokens)? {
        Some(statement) => Ok(ParsedStatement::Job(statement)),
        None => parse_standard(tokens).map(ParsedStatement::Standard),
    }
}

fn parse_standard(tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    if copies_from(&tokens) {
        let statement = Parser::new(&DIALECT)
            .with_tokens_with_locations(tokens)
            .parse_statement()
            .map_err(|error| from_parser(&error))?;
        return Ok(Statement::Statement(Box::new(statement)));
    }
    let mut parser = DFParserBuilder::new(tokens).with_dialect(&DIALECT).build().map_err(from_datafusion)?;
    let mut statements = parser.parse_statements().map_err(from_datafusion)?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        _ => Err(Error::invalid("syntax error: no statement").with_code("42601")),
    }
}

#[cfg(test)]
mod tests;
