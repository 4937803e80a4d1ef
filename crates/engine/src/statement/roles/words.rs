//! The words of a statement, one after the other.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use polder_types::{Error, Result, limits};

use super::names::RoleName;
use crate::statement::names::fold;

#[derive(Clone)]
pub(super) struct Words<'a> {
    /// Without white space and comments.
    tokens: Vec<&'a TokenWithSpan>,
    at: usize,
}

impl<'a> Words<'a> {
    pub fn of(tokens: &'a [TokenWithSpan]) -> Self {
        let is_solid = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_) | Token::EOF);
        Self { tokens: tokens.iter().filter(is_solid).collect(), at: 0 }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    /// Whether these words come next.
    pub fn are(&self, words: &[&str]) -> bool {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        rest.len() >= words.len() && rest.iter().zip(words).all(|(token, word)| is_word(&token.token, word))
    }

    /// Steps over these words if they come next.
    pub fn take(&mut self, words: &[&str]) -> bool {
        let found = self.are(words);
        if found {
            self.at += words.len();
        }
        found
    }

    /// Steps over the one of these words that comes next.
    pub fn take_one_of<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        words.iter().find(|word| self.take(&[**word])).copied()
    }

    pub fn expect(&mut self, words: &[&str]) -> Result<()> {
        if self.take(words) { Ok(()) } else { Err(self.expected(&words.join(" "))) }
    }

    /// Steps over a sign if it comes next.
    pub fn take_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.expected(&token.to_string())) }
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn end(&self) -> Result<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.expected("the end")) }
    }

    /// Whether the statement ends in `OWNER TO` and a name.
    pub fn ends_with_owner(&self) -> bool {
        let behind = self.tokens.len().saturating_sub(4);
        let rest = self.tokens.get(behind..).unwrap_or_default();
        // A column may be called so, and be renamed.
        let is_column = |token: &TokenWithSpan| is_word(&token.token, "COLUMN") || is_word(&token.token, "RENAME");
        matches!(rest, [before, owner, to, _]
            if is_word(&owner.token, "OWNER") && is_word(&to.token, "TO") && !is_column(before))
    }

    pub fn expected(&self, what: &str) -> Error {
        let found = match self.peek() {
            // What is in quotes may be a password.
            Some(Token::Word(_) | Token::Number(..)) => self.peek().map(ToString::to_string).unwrap_or_default(),
            Some(token) if token.to_string().len() == 1 => token.to_string(),
            Some(_) => "something else".to_owned(),
            None => "the end".to_owned(),
        };
        self.here(Error::invalid(format!("syntax error: expected {what}, found {found}")).with_code("42601"))
    }

    /// The error, with the place that the words have come to.
    pub fn here(&self, error: Error) -> Error {
        let at = match self.tokens.get(self.at) {
            Some(token) => Some(token.span.start),
            None => self.tokens.last().map(|token| token.span.end),
        };
        match at {
            Some(at) => error.at(at.line, at.column),
            None => error,
        }
    }

    /// The next word, whatever it is, in upper case, if it is not quoted.
    pub fn word(&mut self) -> Option<String> {
        let Some(Token::Word(Word { value, quote_style: None, .. })) = self.peek() else { return None };
        self.at += 1;
        Some(value.to_uppercase())
    }

    pub fn ident(&mut self, what: &str) -> Result<Ident> {
        let Some(Token::Word(Word { value, quote_style, .. })) = self.peek() else { return Err(self.expected(what)) };
        if value.is_empty() {
            return Err(self.here(Error::invalid("zero-length delimited identifier").with_code("42601")));
        }
        if value.len() > limits::NAME_BYTES_MAX {
            let message = format!("a name has at most {} bytes", limits::NAME_BYTES_MAX);
            return Err(self.here(Error::invalid(message).with_code("42622")));
        }
        self.at += 1;
        let mut ident = Ident::new(value.clone());
        ident.quote_style = *quote_style;
        Ok(ident)
    }

    pub fn name(&mut self, what: &str) -> Result<String> {
        self.ident(what).map(|ident| fold(&ident))
    }

    /// `a`, `a.b`, …
    pub fn object_name(&mut self, what: &str) -> Result<ObjectName> {
        let mut parts = vec![self.ident(what)?];
        while self.take_token(&Token::Period) {
            parts.push(self.ident(what)?);
        }
        Ok(ObjectName::from(parts))
    }

    /// One or more, with commas between them.
    pub fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut all = vec![one(self)?];
        while self.take_token(&Token::Comma) {
            all.push(one(self)?);
        }
        Ok(all)
    }

    pub fn names(&mut self, what: &str) -> Result<Vec<String>> {
        self.list(|words| words.name(what))
    }

    pub fn text(&mut self, what: &str) -> Result<String> {
        let text = match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => text.clone(),
            Some(Token::DollarQuotedString(quoted)) => quoted.value.clone(),
            _ => return Err(self.expected(what)),
        };
        self.at += 1;
        Ok(text)
    }

    /// A whole number, with or without a sign.
    pub fn number(&mut self, what: &str) -> Result<i64> {
        let start = self.at;
        let sign = if self.take_token(&Token::Minus) { "-" } else { "" };
        let _ = sign.is_empty() && self.take_token(&Token::Plus);
        if let Some(Token::Number(digits, _)) = self.peek()
            && let Ok(number) = format!("{sign}{digits}").parse::<i32>()
        {
            self.at += 1;
            return Ok(number.into());
        }
        self.at = start;
        Err(self.expected(what))
    }

    /// A role that is there: by its name, or by a word for it.
    pub fn role(&mut self) -> Result<RoleName> {
        for (word, role) in RoleName::WORDS {
            if self.take(&[word]) {
                return Ok(role.clone());
            }
        }
        let start = self.at;
        match self.name("the name of a role")? {
            name if name == "public" => Ok(RoleName::Public),
            name if name == "none" => {
                self.at = start;
                Err(self.here(reserved("none")))
            }
            name => Ok(RoleName::Named(name)),
        }
    }

    pub fn roles(&mut self) -> Result<Vec<RoleName>> {
        self.list(Self::role)
    }

    /// The name of a role that is named, made or renamed, for which no other word will do.
    ///
    /// # Errors
    /// 42939 for a word or a name that means something else.
    pub fn role_id(&mut self) -> Result<String> {
        for (word, _) in RoleName::WORDS {
            if self.are(&[word]) {
                let message = format!("{word} cannot be used as a role name here");
                return Err(self.here(Error::invalid(message).with_code("42939")));
            }
        }
        let start = self.at;
        let name = self.name("the name of a role")?;
        if matches!(name.as_str(), "public" | "none") {
            self.at = start;
            return Err(self.here(reserved(&name)));
        }
        Ok(name)
    }

    /// A list in brackets, each part as it is written: the types of a function's arguments.
    pub fn arguments(&mut self) -> Result<Vec<String>> {
        self.expect_token(&Token::LParen)?;
        let (mut all, mut depth): (Vec<String>, usize) = (Vec::new(), 1);
        loop {
            let Some(token) = self.peek() else { return Err(self.expected(")")) };
            self.at += 1;
            match token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth -= 1,
                Token::Comma if depth == 1 => {
                    all.push(String::new());
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                return Ok(all);
            }
            if all.is_empty() {
                all.push(String::new());
            }
            if let Some(last) = all.last_mut() {
                let is_joined =
                    matches!(token, Token::LParen | Token::RParen | Token::LBracket | Token::RBracket | Token::Comma);
                if !last.is_empty() && !is_joined && !last.ends_with(['(', '[']) {
                    last.push(' ');
                }
                last.push_str(&token.to_string().to_lowercase());
            }
        }
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(Word { value, quote_style: None, .. }) if value.eq_ignore_ascii_case(word))
}

/// A name that no role can have.
pub(super) fn reserved(name: &str) -> Error {
    Error::invalid(format!("role name \"{name}\" is reserved")).with_code("42939")
}
