//! Values in the places of a statement's parameters, as if they had been written there: each is one token, or a cast of
//! one, so that no value can be anything else than a value.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use polder_capability::Parameter;
use polder_types::{Error, Result};

use super::DIALECT;
use crate::error::from_parser;

/// Types whose values need no cast: a number is of the type that its place wants.
pub(super) const NUMBERS: &[&str] = &["smallint", "integer", "bigint", "numeric"];

/// Types whose values are what a text in quotes is.
pub(super) const TEXTS: &[&str] = &["text", "character varying"];

/// What stands in a parameter's place.
#[derive(Debug, Clone)]
pub(crate) enum Filling {
    Value(Parameter),
    /// Nothing yet: the parameter stays.
    Open,
}

impl Filling {
    /// NULL, of a type if one is known.
    pub(crate) fn null(type_name: Option<String>) -> Self {
        Self::Value(Parameter { type_name, text: None })
    }
}

/// The number of a parameter, from 1.
fn number(token: &Token) -> Option<usize> {
    match token {
        Token::Placeholder(text) => text.strip_prefix('$')?.parse().ok().filter(|number| *number > 0),
        _ => None,
    }
}

/// The highest number of a parameter among tokens.
pub(super) fn count(tokens: &[TokenWithSpan]) -> usize {
    tokens.iter().filter_map(|token| number(&token.token)).max().unwrap_or(0)
}

/// The tokens with values in the places of parameters. A parameter without one stays, to be refused by its name later.
///
/// # Errors
/// `InvalidInput` for a type name that is none.
pub(super) fn fill(tokens: Vec<TokenWithSpan>, values: &[Filling]) -> Result<Vec<TokenWithSpan>> {
    let kept = is_kept(&tokens);
    let mut out = Vec::with_capacity(tokens.len());
    for token in tokens {
        let value = number(&token.token).and_then(|number| values.get(number - 1));
        match value {
            Some(Filling::Value(value)) => {
                let span = token.span;
                out.extend(written(value, kept)?.into_iter().map(|token| TokenWithSpan { token, span }));
            }
            Some(Filling::Open) | None => out.push(token),
        }
    }
    Ok(out)
}

/// Whether the statement's text may be kept, for others to read.
fn is_kept(tokens: &[TokenWithSpan]) -> bool {
    let mut words = tokens.iter().filter_map(|token| match &token.token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    });
    matches!(words.next(), Some(Keyword::CREATE | Keyword::ALTER))
}

fn written(value: &Parameter, kept: bool) -> Result<Vec<Token>> {
    let type_name = value.type_name.as_deref();
    let Some(text) = &value.text else {
        return match type_name {
            Some(name) => cast(Token::make_keyword("NULL"), name),
            None => Ok(vec![Token::make_keyword("NULL")]),
        };
    };
    let quoted = || Token::SingleQuotedString(text.clone());
    match type_name {
        None => Ok(vec![quoted()]),
        Some(name) if TEXTS.contains(&name) => Ok(vec![quoted()]),
        Some(name) if NUMBERS.contains(&name) && is_plain_number(text, name == "numeric") => {
            // `5L`, which the planner takes for 5: it is no `integer` however small it is.
            let long = !kept && name == "bigint";
            // `5.`, which is no whole number however whole it is.
            let point = if name == "numeric" && !text.contains('.') { "." } else { "" };
            let number = |digits: &str| Token::Number(format!("{digits}{point}"), long);
            Ok(match text.strip_prefix('-') {
                Some(digits) => vec![Token::LParen, Token::Minus, number(digits), Token::RParen],
                None => vec![number(text)],
            })
        }
        Some("boolean") if matches!(text.as_str(), "true" | "false") => Ok(vec![Token::make_keyword(text)]),
        Some(name) => cast(quoted(), name),
    }
}

/// Digits that the planner holds without loss: those of a whole number, or at most 38 with a point among them.
pub(super) fn is_plain_number(text: &str, fractions: bool) -> bool {
    if !fractions {
        return text.parse::<i64>().is_ok() && !text.starts_with('+');
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let significant = digits.strip_prefix("0.").unwrap_or(digits);
    significant.bytes().filter(u8::is_ascii_digit).count() <= 38
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
}

fn cast(value: Token, type_name: &str) -> Result<Vec<Token>> {
    let name = Tokenizer::new(&DIALECT, type_name).tokenize().map_err(|error| from_parser(&error.into()))?;
    if name.is_empty() {
        return Err(Error::invalid("a parameter's type has no name").with_code("42704"));
    }
    let space = || Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space);
    let mut tokens = vec![Token::make_keyword("CAST"), Token::LParen, value, space()];
    tokens.extend([Token::make_keyword("AS"), space()]);
    tokens.extend(name);
    tokens.push(Token::RParen);
    Ok(tokens)
}
