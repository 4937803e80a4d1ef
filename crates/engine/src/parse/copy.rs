//! `COPY … FROM`, and `COPY … TO 'place' (FORMAT csv, HEADER, …)`: PostgreSQL's list of options, as the planner's parser
//! writes it.

use std::collections::HashSet;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use polder_types::{Error, Result};

use super::{DIALECT, words};
use crate::error::from_parser;

/// `COPY table FROM …`, which is not the planner's. The parser stops where it knows no more, and leaves the rest.
///
/// # Errors
/// `InvalidInput` (42601), `Unsupported` for WHERE.
pub(super) fn from(tokens: Vec<TokenWithSpan>) -> Result<Statement> {
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| from_parser(&error))?;
    let start = parser.peek_token_ref().span.start;
    if parser.parse_keyword(Keyword::WHERE) {
        return Err(Error::unsupported("COPY … FROM … WHERE is not supported")
            .with_hint("copy into a table, then INSERT INTO … SELECT … FROM that table WHERE …")
            .at(start.line, start.column));
    }
    parser.expect_token(&Token::EOF).map_err(|error| from_parser(&error))?;
    Ok(Statement::Statement(Box::new(statement)))
}

/// The statement with options of the older form, which stand behind the place in no brackets, as the list that they are now:
/// `CSV HEADER NULL AS 'x' FORCE NOT NULL a, b` as `(FORMAT csv, HEADER, NULL 'x', FORCE_NOT_NULL (a, b))`.
///
/// # Errors
/// `InvalidInput` (42601) for an option that is none.
pub(super) fn with_list(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    if words(&tokens).next() != Some(Keyword::COPY) {
        return Ok(tokens);
    }
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
    let Some(place) = place_of(&tokens, &["to", "from"]).map(|way| way + 1) else { return Ok(tokens) };
    if !matches!(tokens.get(place).map(|token| &token.token), Some(Token::SingleQuotedString(_))) {
        return Ok(tokens);
    }
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| is_word(&token.token, word));
    let begin = if is(place + 1, "with") { place + 2 } else { place + 1 };
    if !OLDER.iter().any(|word| is(begin, word)) {
        return Ok(tokens);
    }
    let condition = tokens.iter().skip(begin).position(|token| is_word(&token.token, "where"));
    let end = condition.map_or(tokens.len(), |at| begin + at);
    let span = tokens[begin].span;
    let list = listed(&tokens[begin..end])?;
    let list = Tokenizer::new(&DIALECT, &list).tokenize().map_err(|error| from_parser(&error.into()))?;
    let list = list.into_iter().map(|token| TokenWithSpan { token, span });
    Ok(tokens[..=place].iter().cloned().chain(list).chain(tokens[end..].iter().cloned()).collect())
}

/// What an option of the older form begins with.
const OLDER: &[&str] = &["binary", "csv", "delimiter", "encoding", "escape", "force", "header", "null", "quote"];

fn unknown(token: &TokenWithSpan) -> Error {
    let start = token.span.start;
    Error::invalid(format!("syntax error in COPY: option {} is not known", token.token))
        .with_code("42601")
        .with_hint("COPY t FROM 'file' (FORMAT csv, HEADER, …)")
        .at(start.line, start.column)
}

fn listed(tokens: &[TokenWithSpan]) -> Result<String> {
    let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| is_word(&token.token, word));
    // NULL belongs to FORCE NULL and FORCE NOT NULL.
    let begins = |at: usize| {
        let inside = at.checked_sub(1).is_some_and(|before| is(before, "force") || is(before, "not"));
        !inside && OLDER.iter().any(|word| is(at, word))
    };
    let mut options = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let end = (at + 1..tokens.len()).find(|next| begins(*next)).unwrap_or(tokens.len());
        let (name, skip, is_list) = if is(at, "force") && is(at + 1, "not") && is(at + 2, "null") {
            ("FORCE_NOT_NULL".to_owned(), 3, true)
        } else if is(at, "force") && is(at + 1, "null") {
            ("FORCE_NULL".to_owned(), 2, true)
        } else if is(at, "force") && is(at + 1, "quote") {
            ("FORCE_QUOTE".to_owned(), 2, true)
        } else if is(at, "csv") || is(at, "binary") {
            (format!("FORMAT {}", tokens[at].token), 1, false)
        } else {
            (tokens[at].token.to_string(), 1 + usize::from(is(at + 1, "as")), false)
        };
        if !begins(at) || is_list && at + skip == end {
            return Err(unknown(&tokens[at]));
        }
        let value: Vec<String> =
            tokens.get(at + skip..end).unwrap_or_default().iter().map(|token| written(&token.token)).collect();
        let value = value.join(" ");
        options.push(if is_list && value != "*" { format!("{name} ({value})") } else { format!("{name} {value}") });
        at = end;
    }
    Ok(format!(" ({})", options.join(", ")))
}

/// A token as it is read again: the parser writes texts without what in them is doubled or escaped.
fn written(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        other => other.to_string(),
    }
}

/// The statement with its options written as `STORED AS … PARTITIONED BY (…) OPTIONS (…)`; any other as it is.
///
/// # Errors
/// `InvalidInput` (42601) or `Unsupported` for an option, by its name.
pub(super) fn with_options(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    if words(&tokens).next() != Some(Keyword::COPY) {
        return Ok(tokens);
    }
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect();
    let Some(to) = place_of(&tokens, &["to"]) else { return Ok(tokens) };
    let mut at = to + 2;
    if tokens.get(at).is_some_and(|token| is_word(&token.token, "with")) {
        at += 1;
    }
    let is_list = matches!(tokens.get(to + 1).map(|token| &token.token), Some(Token::SingleQuotedString(_)))
        && tokens.get(at).is_some_and(|token| token.token == Token::LParen);
    if !is_list {
        return Ok(tokens);
    }
    let span = tokens[at].span;
    let mut written = Written::default();
    for option in options_of(&tokens[at + 1..])? {
        written.add(&option)?;
    }
    let text = written.text();
    let added = Tokenizer::new(&DIALECT, &text).tokenize().map_err(|error| from_parser(&error.into()))?;
    let mut all = tokens[..to + 2].to_vec();
    all.extend(added.into_iter().map(|token| TokenWithSpan { token, span }));
    Ok(all)
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

/// Where the first of some words stands that is in no brackets.
fn place_of(tokens: &[TokenWithSpan], words: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && words.iter().any(|word| is_word(&token.token, word))
    })
}

/// The tokens of each option; the list ends the statement.
fn options_of(tokens: &[TokenWithSpan]) -> Result<Vec<Vec<Token>>> {
    let wrong = |message: &str| Error::invalid(format!("syntax error in COPY: {message}")).with_code("42601");
    let mut options = vec![Vec::new()];
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::RParen if depth == 0 => {
                return if at + 1 == tokens.len() { Ok(options) } else { Err(wrong("the options end the statement")) };
            }
            Token::Comma if depth == 0 => {
                options.push(Vec::new());
                continue;
            }
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if let Some(last) = options.last_mut() {
            last.push(token.token.clone());
        }
    }
    Err(wrong("a bracket is missing"))
}

/// What the options ask for.
#[derive(Default)]
struct Written {
    format: Option<String>,
    partition: Vec<String>,
    options: Vec<(String, String)>,
    /// Those that have been given.
    names: HashSet<String>,
}

impl Written {
    fn add(&mut self, option: &[Token]) -> Result<()> {
        let Some((Token::Word(name), value)) = option.split_first() else {
            return Err(Error::invalid("syntax error in COPY: an option has no name").with_code("42601"));
        };
        let name = name.value.to_lowercase();
        if !self.names.insert(name.clone()) {
            return Err(Error::invalid("conflicting or redundant options").with_code("42601"));
        }
        let plain = match value {
            [] => None,
            [token] => Some(text_of(token)),
            _ => None,
        };
        let needed =
            || plain.clone().ok_or_else(|| Error::invalid(format!("COPY: {name} needs one value")).with_code("42601"));
        match name.as_str() {
            "format" => match needed()?.to_lowercase().as_str() {
                known @ ("csv" | "json" | "parquet" | "arrow") => self.format = Some(known.to_uppercase()),
                other => {
                    return Err(Error::unsupported(format!("COPY … TO writes no {other}"))
                        .with_hint("FORMAT csv, with DELIMITER; json, parquet or arrow"));
                }
            },
            "header" => {
                let on = plain.clone().unwrap_or_else(|| "true".into()).to_lowercase();
                let on = match on.as_str() {
                    "true" | "on" | "1" => "true",
                    "false" | "off" | "0" => "false",
                    _ => return Err(Error::invalid("COPY: HEADER is true or false").with_code("22023")),
                };
                self.option("has_header", on);
            }
            "delimiter" | "quote" | "escape" => {
                let value = needed()?;
                if value.len() != 1 {
                    return Err(Error::invalid(format!("COPY: {name} must be a single character")).with_code("22023"));
                }
                self.option(&name, &value);
            }
            "null" => {
                let value = needed()?;
                self.option("null_value", &value);
            }
            "compression" => {
                let value = needed()?;
                self.option("compression", &value.to_lowercase());
            }
            "partition_by" => {
                let names = value.iter().filter(|token| !matches!(token, Token::LParen | Token::RParen | Token::Comma));
                self.partition = names.map(column_of).collect::<Result<_>>()?;
            }
            _ => {
                return Err(Error::unsupported(format!("COPY … TO has no option {name}"))
                    .with_hint("FORMAT, HEADER, DELIMITER, QUOTE, ESCAPE, NULL, COMPRESSION, PARTITION_BY"));
            }
        }
        Ok(())
    }

    fn option(&mut self, name: &str, value: &str) {
        self.options.push((format!("format.{name}"), value.to_owned()));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(format) = &self.format {
            text.push_str(&format!(" STORED AS {format}"));
        }
        if !self.partition.is_empty() {
            text.push_str(&format!(" PARTITIONED BY ({})", self.partition.join(", ")));
        }
        if !self.options.is_empty() {
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            let each = self.options.iter().map(|(name, value)| format!("{} {}", quoted(name), quoted(value)));
            text.push_str(&format!(" OPTIONS ({})", each.collect::<Vec<_>>().join(", ")));
        }
        text
    }
}

fn text_of(token: &Token) -> String {
    match token {
        Token::Word(word) => word.value.clone(),
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
        other => other.to_string(),
    }
}

fn column_of(token: &Token) -> Result<String> {
    match token {
        Token::Word(word) => {
            let name = if word.quote_style.is_some() { word.value.clone() } else { word.value.to_lowercase() };
            // The planner takes the quotes for part of the name.
            if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(Error::unsupported(format!("COPY: a folder cannot be named after column {name:?}"))
                    .with_hint("COPY (SELECT … AS another_name …) TO …"));
            }
            Ok(name)
        }
        other => Err(Error::invalid(format!("COPY: {other} is no column")).with_code("42601")),
    }
}
