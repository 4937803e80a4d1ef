//! Statements that SQL's parser does not know, word by word.

use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Word};
use polder_types::{Error, Result};

use super::names::fold;

/// A place between the tokens of a statement.
pub(super) struct Cursor<'a> {
    pub sql: &'a str,
    /// Without white space and comments.
    pub tokens: &'a [&'a TokenWithSpan],
    pub at: usize,
}

/// The tokens that mean something.
pub(super) fn solid(tokens: &[TokenWithSpan]) -> Vec<&TokenWithSpan> {
    tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)).collect()
}

/// Tokens, blanks included, among which a statement has said what it is about. Comments count as one.
const FIRST_WORDS: usize = 32;

/// Whether a word stands at the beginning of a statement, as it does in those that are about such a thing.
pub(super) fn begins_about(tokens: &[TokenWithSpan], thing: &str) -> bool {
    tokens.iter().take(FIRST_WORDS).any(|token| match &token.token {
        Token::Word(word) => word.value.eq_ignore_ascii_case(thing),
        _ => false,
    })
}

impl<'a> Cursor<'a> {
    pub fn peek(&self) -> Option<&'a TokenWithSpan> {
        self.tokens.get(self.at).copied()
    }

    /// Steps over these words if they come next.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let is_word = |(token, word): (&&TokenWithSpan, &&str)| match &token.token {
            Token::Word(Word { value, quote_style: None, .. }) => value.eq_ignore_ascii_case(word),
            _ => false,
        };
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        let found = rest.len() >= words.len() && rest.iter().zip(words).all(is_word);
        if found {
            self.at += words.len();
        }
        found
    }

    pub fn expected(&self, what: &str) -> Error {
        let (found, at) = match self.peek() {
            Some(token) => (format!("{}", token.token), Some(token.span.start)),
            None => ("the end".to_owned(), self.tokens.last().map(|token| token.span.end)),
        };
        let error = Error::invalid(format!("syntax error: expected {what}, found {found}")).with_code("42601");
        match at {
            Some(at) => error.at(at.line, at.column),
            None => error,
        }
    }

    /// `what`: said where there is no name.
    pub fn name(&mut self, what: &str) -> Result<String> {
        let Some(Token::Word(Word { value, quote_style, .. })) = self.peek().map(|token| &token.token) else {
            return Err(self.expected(what));
        };
        self.at += 1;
        let mut ident = Ident::new(value.clone());
        ident.quote_style = *quote_style;
        Ok(fold(&ident))
    }

    pub fn end(&self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.expected("the end")) }
    }

    pub fn last_name(&mut self, what: &str) -> Result<String> {
        let name = self.name(what)?;
        self.end()?;
        Ok(name)
    }

    pub fn text(&mut self, what: &str) -> Result<String> {
        match self.peek().map(|token| &token.token) {
            Some(Token::SingleQuotedString(text)) => {
                self.at += 1;
                Ok(text.clone())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// What is written between two tokens, the second one not included.
    pub fn written(&self, from: usize, to: usize) -> Result<&'a str> {
        let tokens = self.tokens.get(from..to).unwrap_or_default();
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return Ok("") };
        let (start, end) = (byte_at(self.sql, first.span.start), byte_at(self.sql, last.span.end));
        self.sql.get(start..end).ok_or_else(|| Error::internal("a statement is not where it was"))
    }
}

/// The byte of a place that counts lines and characters from 1.
fn byte_at(sql: &str, place: Location) -> usize {
    let lines = usize::try_from(place.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = sql.split_inclusive('\n').take(lines).map(str::len).sum();
    let columns = usize::try_from(place.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let rest = sql.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(columns).map_or(rest.len(), |(at, _)| at)
}
