//! `ASOF JOIN` as DuckDB writes it. The parser knows Snowflake's form alone, which has MATCH_CONDITION.

use datafusion::sql::sqlparser::ast::{Join, JoinOperator, Select, TableFactor, TableWithJoins};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use polder_types::{Error, Result};

fn keyword(token: &TokenWithSpan) -> Option<Keyword> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn next_keyword(tokens: &[TokenWithSpan], from: usize) -> Option<Keyword> {
    let next = tokens.iter().skip(from).find(|token| !matches!(token.token, Token::Whitespace(_)))?;
    keyword(next)
}

/// Writes `ASOF [LEFT] JOIN … ON` as `GLOBAL [LEFT] JOIN … ON`: a word that the parser takes in that place, keeps, and
/// that nothing else uses.
///
/// # Errors
/// `InvalidInput` for a join that is written with GLOBAL.
pub(crate) fn mark(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let joins = |next: Option<Keyword>| {
        matches!(
            next,
            Some(Keyword::JOIN | Keyword::LEFT | Keyword::RIGHT | Keyword::INNER | Keyword::FULL | Keyword::CROSS)
        )
    };
    for at in 0..tokens.len() {
        match keyword(&tokens[at]) {
            Some(Keyword::GLOBAL) if joins(next_keyword(&tokens, at + 1)) => {
                let start = tokens[at].span.start;
                return Err(Error::invalid("syntax error: GLOBAL is no kind of join")
                    .with_code("42601")
                    .at(start.line, start.column));
            }
            Some(Keyword::ASOF) if joins(next_keyword(&tokens, at + 1)) && !has_match_condition(&tokens[at + 1..]) => {
                tokens[at].token = Token::make_keyword("GLOBAL");
            }
            _ => {}
        }
    }
    Ok(tokens)
}

/// Whether MATCH_CONDITION comes before ON and USING.
fn has_match_condition(tokens: &[TokenWithSpan]) -> bool {
    let mut depth = 0_usize;
    for token in tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return false,
            Token::RParen => depth -= 1,
            _ if depth > 0 => {}
            _ => match keyword(token) {
                Some(Keyword::MATCH_CONDITION) => return true,
                Some(Keyword::ON | Keyword::USING | Keyword::WHERE) => return false,
                _ => {}
            },
        }
    }
    false
}

pub(super) fn is_asof(join: &Join) -> bool {
    join.global || matches!(join.join_operator, JoinOperator::AsOf { .. })
}

/// Puts each ASOF join, with all that stands before it, in brackets: a relation that is planned by itself.
pub(crate) fn nest(select: &mut Select) {
    select.from.iter_mut().for_each(nest_in);
}

fn nest_in(from: &mut TableWithJoins) {
    nest_factor(&mut from.relation);
    for join in &mut from.joins {
        nest_factor(&mut join.relation);
    }
    let Some(at) = from.joins.iter().rposition(is_asof) else { return };
    let rest = from.joins.split_off(at + 1);
    let Some(join) = from.joins.pop() else { return };
    let mut before = TableWithJoins { relation: from.relation.clone(), joins: std::mem::take(&mut from.joins) };
    nest_in(&mut before);
    let left = if before.joins.is_empty() {
        before.relation
    } else {
        TableFactor::NestedJoin { table_with_joins: Box::new(before), alias: None }
    };
    let pair = TableWithJoins { relation: left, joins: vec![join] };
    from.relation = TableFactor::NestedJoin { table_with_joins: Box::new(pair), alias: None };
    from.joins = rest;
}

fn nest_factor(factor: &mut TableFactor) {
    if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
        let pair = table_with_joins.joins.len() == 1 && table_with_joins.joins.first().is_some_and(is_asof);
        if !pair {
            nest_in(table_with_joins);
        }
    }
}
