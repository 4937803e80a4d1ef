//! SQL text into statements, each knowing where it stands in the text.

mod bounds;
mod copy;
mod inserts;
mod places;
mod spelling;
mod values;

use datafusion::sql::parser::{CopyToSource, DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, SetExpr, Statement as SqlStatement, TableFactor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};
use polder_types::{Error, ErrorKind, Result, limits};

use crate::asof;
use crate::dialect::PolderDialect;
use crate::error::{from_datafusion, from_parser};
use crate::forms::{self, Extras, fold_forms};
use crate::rewrite::{rewrite, rewrite_query, rewrite_statement};
use crate::statement::access_keys::{AccessKeyStatement, parse_access_key};
use crate::statement::deliveries::{DeliveryStatement, parse_delivery};
use crate::statement::jobs::{JobStatement, parse_job};
use crate::statement::roles::{RoleStatement, parse_role};
use crate::statement::topics::{TopicStatement, parse_topic};
use crate::statement::{maintenance, travel};

/// Statements of one text. A longer script is a file for `polder sql -f`, which sends them one by one.
const STATEMENTS_MAX: usize = 10_000;

/// The column that `DO NOTHING` in a MERGE sets.
pub(crate) const NOTHING: &str = "polder$nothing";

/// The column that `INSERT DEFAULT VALUES` in a MERGE fills.
pub(crate) const DEFAULTS: &str = "polder$defaults";

static DIALECT: PolderDialect = PolderDialect;

pub(crate) use inserts::insert_of_constants;
pub(crate) use places::at_literal;
pub(crate) use values::Filling;

/// One statement.
#[derive(Debug)]
pub(crate) enum ParsedStatement {
    /// One that DataFusion's parser knows.
    Standard(Statement),
    /// One with words that the parser does not know.
    Extended(Statement, Extras),
    Job(JobStatement),
    Delivery(Box<DeliveryStatement>),
    AccessKey(AccessKeyStatement),
    Topic(TopicStatement),
    /// About roles, rights or owners.
    Role(Box<RoleStatement>),
    Refresh(Refresh),
}

/// `[EXPLAIN] REFRESH MATERIALIZED VIEW name`
#[derive(Debug)]
pub(crate) struct Refresh {
    pub view: ObjectName,
    /// Only told how it would be done.
    pub explain: bool,
}

/// All statements of a text; empty ones are left out.
///
/// # Errors
/// `InvalidInput` with line and column, `TooLarge`.
pub(crate) fn parse(sql: &str) -> Result<Vec<ParsedStatement>> {
    parse_with(sql, &[])
}

/// How many parameters a text has.
///
/// # Errors
/// As [`parse`], as far as words go.
pub(crate) fn parameters(sql: &str) -> Result<usize> {
    Ok(values::count(&tokenize(sql)?))
}

/// As [`parse`], with values in the places of parameters.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_with(sql: &str, values: &[Filling]) -> Result<Vec<ParsedStatement>> {
    match inserts::statement(sql, values) {
        Some(insert) => Ok(vec![insert]),
        None => parse_all(sql, values),
    }
}

fn parse_all(sql: &str, values: &[Filling]) -> Result<Vec<ParsedStatement>> {
    let mut tokens = tokenize(sql)?;
    if !values.is_empty() {
        tokens = values::fill(tokens, values)?;
    }
    let mut statements = Vec::new();
    for tokens in tokens.split(|token| token.token == Token::SemiColon) {
        if tokens.iter().all(|token| matches!(token.token, Token::Whitespace(_) | Token::EOF)) {
            continue;
        }
        if statements.len() == STATEMENTS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("more than {STATEMENTS_MAX} statements in one text")));
        }
        bounds::check_chains(tokens)?;
        bounds::check_guesses(tokens)?;
        statements.push(parse_one(sql, tokens.to_vec()).map_err(|error| forms::instead_of(error, tokens))?);
    }
    Ok(statements)
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>> {
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
    Ok(spelling::plain(without_signs(tokens)))
}

/// An operator ends in a sign only if it has one of these, as in PostgreSQL: `j->-1` and `a<>-1` are of -1.
const BEFORE_SIGNS: &[char] = &['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'];

/// Operators and the signs behind them as tokens of their own. The text of a COMMENT, for which the parser knows one form
/// only, in that form.
fn without_signs(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_comment = words(&tokens).next() == Some(Keyword::COMMENT);
    let mut apart = Vec::with_capacity(tokens.len());
    for token in tokens {
        match &token.token {
            Token::DollarQuotedString(text) if is_comment => {
                let text = Token::SingleQuotedString(text.value.clone());
                apart.push(TokenWithSpan { token: text, span: token.span });
            }
            Token::CustomBinaryOperator(text) => match before_signs(text) {
                Some(parts) => {
                    apart.extend(parts.into_iter().map(|part| TokenWithSpan { token: part, span: token.span }));
                }
                None => apart.push(token),
            },
            _ => apart.push(token),
        }
    }
    apart
}

/// An operator and the signs that it ends in; none if it is one with them.
fn before_signs(text: &str) -> Option<Vec<Token>> {
    let operator = text.trim_end_matches(['+', '-']);
    let signs = text.strip_prefix(operator).filter(|signs| !signs.is_empty())?;
    if text.contains(BEFORE_SIGNS) {
        return None;
    }
    let mut tokens = Tokenizer::new(&DIALECT, operator).tokenize().ok().filter(|tokens| tokens.len() == 1)?;
    tokens.extend(signs.chars().map(|sign| if sign == '-' { Token::Minus } else { Token::Plus }));
    Some(tokens)
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
    if let Some(refresh) = parse_refresh(&tokens)? {
        return Ok(ParsedStatement::Refresh(refresh));
    }
    if let Some(statement) = parse_role(&tokens)? {
        return Ok(ParsedStatement::Role(Box::new(statement)));
    }
    if let Some(statement) = parse_access_key(sql, &tokens)? {
        return Ok(ParsedStatement::AccessKey(statement));
    }
    if let Some(statement) = parse_topic(sql, &tokens)? {
        return Ok(ParsedStatement::Topic(statement));
    }
    if let Some(statement) = parse_delivery(sql, &tokens)? {
        return Ok(ParsedStatement::Delivery(Box::new(statement)));
    }
    match parse_job(sql, &tokens)? {
        Some(statement) => Ok(ParsedStatement::Job(statement)),
        None => {
            let (tokens, extras) = fold_forms(tokens)?;
            let statement = parse_standard(tokens)?;
            if extras == Extras::default() {
                Ok(ParsedStatement::Standard(statement))
            } else {
                Ok(ParsedStatement::Extended(statement, extras))
            }
        }
    }
}

fn parse_refresh(tokens: &[TokenWithSpan]) -> Result<Option<Refresh>> {
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens.to_vec());
    let explain = parser.parse_keyword(Keyword::EXPLAIN);
    if !parser.parse_keyword(Keyword::REFRESH) {
        return Ok(None);
    }
    let _ = parser.parse_keywords(&[Keyword::MATERIALIZED, Keyword::VIEW]);
    // Readers of the old rows are never in the way, so CONCURRENTLY is how it is done anyway.
    let _ = parser.parse_keyword(Keyword::CONCURRENTLY);
    let view = parser.parse_object_name(false).map_err(|error| from_parser(&error))?;
    if parser.parse_keywords(&[Keyword::WITH, Keyword::NO, Keyword::DATA]) {
        return Err(Error::unsupported("REFRESH … WITH NO DATA is not supported")
            .with_hint("DROP it, and CREATE it anew WITH NO DATA"));
    }
    let _ = parser.parse_keywords(&[Keyword::WITH, Keyword::DATA]);
    parser.expect_token(&Token::EOF).map_err(|error| from_parser(&error))?;
    Ok(Some(Refresh { view, explain }))
}

fn parse_standard(tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    if let Some(statement) = maintenance::recognise(&tokens)? {
        return Ok(statement);
    }
    let tokens = table_queries(asof::mark(nothing_in_merge(travel::fold_clauses(tokens)?))?);
    let tokens = copy::with_list(tokens)?;
    if copies_from(&tokens) {
        return copy::from(tokens);
    }
    let tokens = copy::with_options(tokens)?;
    let mut parser = DFParserBuilder::new(tokens).with_dialect(&DIALECT).build().map_err(from_datafusion)?;
    let mut statements = parser.parse_statements().map_err(from_datafusion)?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(mut statement), true) => {
            into_table(&mut statement)?;
            rewrite_inside(&mut statement)?;
            Ok(statement)
        }
        _ => Err(Error::invalid("syntax error: no statement").with_code("42601")),
    }
}

/// `SELECT … INTO t FROM …` is CREATE TABLE t AS SELECT … FROM …
fn into_table(statement: &mut Statement) -> Result<()> {
    let Statement::Statement(inner) = statement else { return Ok(()) };
    let SqlStatement::Query(query) = inner.as_mut() else { return Ok(()) };
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
    let Some(into) = select.into.take() else { return Ok(()) };
    if into.unlogged {
        return Err(Error::unsupported("SELECT INTO UNLOGGED is not supported")
            .with_hint("CREATE UNLOGGED TABLE t AS SELECT …"));
    }
    let create = CreateTableBuilder::new(into.name).temporary(into.temporary).query(Some(query.clone()));
    **inner = SqlStatement::CreateTable(create.build());
    Ok(())
}

fn rewrite_inside(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Statement(inner) => rewrite_statement(inner),
        Statement::Explain(explain) => rewrite_inside(&mut explain.statement),
        Statement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => rewrite_query(query.as_mut()),
            CopyToSource::Relation(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The one statement of a text that the system itself has written or kept.
///
/// # Errors
/// `InvalidInput`, as for any text.
pub(crate) fn parse_kept(sql: &str) -> Result<Statement> {
    match parse(sql)?.pop() {
        Some(ParsedStatement::Standard(statement)) => Ok(statement),
        _ => Err(Error::internal(format!("{sql:?} is no statement that can be kept"))),
    }
}

/// An expression by itself, from text that the catalog keeps.
///
/// # Errors
/// `InvalidInput` for what is no expression.
pub(crate) fn parse_expr(sql: &str) -> Result<Expr> {
    let mut expr = parse_call(sql)?;
    rewrite(&mut expr)?;
    Ok(expr)
}

/// A condition by itself, from text that somebody else has written.
///
/// # Errors
/// `InvalidInput` (42601) for what is no expression, or is more than one.
pub(crate) fn parse_condition(sql: &str) -> Result<Expr> {
    let mut parser = Parser::new(&DIALECT).try_with_sql(sql).map_err(|error| from_parser(&error))?;
    let condition = parser.parse_expr().map_err(|error| from_parser(&error))?;
    parser.expect_token(&Token::EOF).map_err(|error| from_parser(&error))?;
    Ok(condition)
}

/// As [`parse_expr`], of parts that are rewritten already.
///
/// # Errors
/// `InvalidInput` for what is no expression.
pub(crate) fn parse_call(sql: &str) -> Result<Expr> {
    let mut parser = Parser::new(&DIALECT).try_with_sql(sql).map_err(|error| from_parser(&error))?;
    parser.parse_expr().map_err(|error| from_parser(&error))
}

/// A query by itself.
///
/// # Errors
/// `InvalidInput`, as for any text.
pub(crate) fn parse_query(sql: &str) -> Result<Query> {
    let mut parser = Parser::new(&DIALECT).try_with_sql(sql).map_err(|error| from_parser(&error))?;
    parser.parse_query().map(|query| *query).map_err(|error| from_parser(&error))
}

/// What may stand in FROM, by itself.
///
/// # Errors
/// `InvalidInput`, as for any text.
pub(crate) fn parse_factor(sql: &str) -> Result<TableFactor> {
    let mut parser = Parser::new(&DIALECT).try_with_sql(sql).map_err(|error| from_parser(&error))?;
    parser.parse_table_factor().map_err(|error| from_parser(&error))
}

/// `WHEN … THEN DO NOTHING` and `INSERT DEFAULT VALUES`, which the parser does not know, as actions on columns that no table has.
fn nothing_in_merge(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if words(&tokens).next() != Some(Keyword::MERGE) {
        return tokens;
    }
    let keyword = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    };
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let (mut not_matched, mut then) = (false, false);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match keyword(&token) {
            Some(Keyword::WHEN) => (not_matched, then) = (false, false),
            Some(Keyword::NOT) if out.iter().rev().find_map(keyword) == Some(Keyword::WHEN) => not_matched = true,
            // NOT MATCHED BY SOURCE has a row to be changed, as MATCHED has.
            Some(Keyword::SOURCE) if !then => not_matched = false,
            Some(Keyword::THEN) => then = true,
            Some(Keyword::INSERT) if then && out.iter().rev().find_map(keyword) == Some(Keyword::THEN) => {
                let ahead: Vec<Option<Keyword>> = tokens
                    .clone()
                    .filter(|next| !matches!(next.token, Token::Whitespace(_)))
                    .map(|next| keyword(&next))
                    .take(2)
                    .collect();
                if ahead == [Some(Keyword::DEFAULT), Some(Keyword::VALUES)] {
                    for _ in 0..2 {
                        while tokens.next_if(|next| matches!(next.token, Token::Whitespace(_))).is_some() {}
                        tokens.next();
                    }
                    let text = format!("INSERT (\"{DEFAULTS}\") VALUES (1)");
                    let action = Tokenizer::new(&DIALECT, &text).tokenize().unwrap_or_default();
                    out.extend(action.into_iter().map(|action| TokenWithSpan { token: action, span: token.span }));
                    continue;
                }
            }
            Some(Keyword::DO) if then && out.iter().rev().find_map(keyword) == Some(Keyword::THEN) => {
                while tokens.next_if(|next| matches!(next.token, Token::Whitespace(_))).is_some() {}
                if tokens.next_if(|next| keyword(next) == Some(Keyword::NOTHING)).is_some() {
                    let text = if not_matched {
                        format!("INSERT (\"{NOTHING}\") VALUES (1)")
                    } else {
                        format!("UPDATE SET \"{NOTHING}\" = 1")
                    };
                    let action = Tokenizer::new(&DIALECT, &text).tokenize().unwrap_or_default();
                    out.extend(action.into_iter().map(|action| TokenWithSpan { token: action, span: token.span }));
                    continue;
                }
            }
            _ => {}
        }
        out.push(token);
    }
    out
}

fn joins_queries(token: &Token) -> bool {
    let Token::Word(word) = token else { return false };
    word.quote_style.is_none() && matches!(word.keyword, Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT)
}

/// `TABLE t` as `SELECT * FROM t`, where a query may stand: the parser knows it in some places alone.
fn table_queries(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let is_table =
            matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::TABLE);
        let mut before = out.iter().rev().filter(is_solid).map(|token| &token.token);
        let begins = match before.next() {
            None | Some(Token::LParen) => true,
            Some(Token::Word(word)) if matches!(word.keyword, Keyword::ALL | Keyword::DISTINCT) => {
                before.next().is_some_and(joins_queries)
            }
            Some(word) => joins_queries(word),
        };
        let named = tokens.iter().skip(at + 1).find(is_solid).is_some_and(|next| matches!(next.token, Token::Word(_)));
        if is_table && begins && named {
            let words = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
            for word in words {
                out.push(TokenWithSpan { token: word, span: token.span });
                out.push(TokenWithSpan { token: Token::Whitespace(Whitespace::Space), span: token.span });
            }
            continue;
        }
        out.push(token.clone());
    }
    out
}

#[cfg(test)]
mod tests;
