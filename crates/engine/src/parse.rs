//! SQL text into statements, each knowing where it stands in the text.

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use polder_types::{Error, ErrorKind, Result, limits};

use crate::error::{from_datafusion, from_parser};
use crate::statement::{maintenance, travel};

/// Statements of one text. A longer script is a file for `polder sql -f`, which sends them one by one.
const STATEMENTS_MAX: usize = 10_000;

static DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// All statements of a text; empty ones are left out.
///
/// # Errors
/// `InvalidInput` with line and column, `TooLarge`.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
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
        statements.push(parse_one(tokens.to_vec())?);
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

fn parse_one(tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    if let Some(statement) = maintenance::recognise(&tokens)? {
        return Ok(statement);
    }
    let tokens = travel::fold_clauses(tokens)?;
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
