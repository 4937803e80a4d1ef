//! `ALTER TABLE t ALTER COLUMN c SET MASK (expression) [EXCEPT TO role, …]` and `… DROP MASK`: taken out of the statement, and
//! kept beside it.

use datafusion::sql::sqlparser::ast::{Expr, Ident};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;
use polder_types::{Error, Result};

use super::{DIALECT, Folder};
use crate::error::from_parser;
use crate::rewrite::rewrite;

/// What a column's mask becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MaskChange {
    Set {
        expr: Box<Expr>,
        /// The roles that see what is stored.
        except: Vec<Ident>,
    },
    Drop,
}

/// How it is written, for errors.
const FORM: &str = "ALTER TABLE t ALTER COLUMN c SET MASK (expression) [EXCEPT TO role, …], or DROP MASK";

impl Folder {
    /// # Errors
    /// `InvalidInput` (42601) for a mask that is no expression, and for what stands behind it.
    pub(super) fn mask(&mut self) -> Result<()> {
        if !self.is(1, "table") {
            return Ok(());
        }
        let name = if self.are(2, &["if", "exists"]) { 4 } else { 2 };
        let mut column = self.behind_name(name);
        if !self.is(column, "alter") {
            return Ok(());
        }
        column += if self.is(column + 1, "column") { 2 } else { 1 };
        let verb = column + 1;
        let change = if self.are(verb, &["drop", "mask"]) {
            self.ends(verb + 2)?;
            MaskChange::Drop
        } else if self.are(verb, &["set", "mask"]) {
            self.set_mask(verb + 2)?
        } else {
            return Ok(());
        };
        // Any operation will do: what goes along says which it is.
        self.remove_and_insert(verb, self.len() - verb, "DROP DEFAULT");
        self.extras.mask = Some(change);
        Ok(())
    }

    fn set_mask(&self, open: usize) -> Result<MaskChange> {
        let close = self.closing(open).ok_or_else(wrong)?;
        let (Some(from), Some(to)) = (self.at(open), self.at(close)) else { return Err(wrong()) };
        let tokens = self.tokens.get(from..=to).unwrap_or_default().to_vec();
        let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens);
        let mut expr = parser.parse_expr().map_err(|error| from_parser(&error))?;
        parser.expect_token(&Token::EOF).map_err(|error| from_parser(&error))?;
        rewrite(&mut expr)?;
        let mut except = Vec::new();
        let mut number = close + 1;
        if self.are(number, &["except", "to"]) {
            number += 1;
            while number == close + 2 || self.token(number) == Some(&Token::Comma) {
                let Some(Token::Word(role)) = self.token(number + 1) else { return Err(wrong()) };
                except.push(Ident {
                    value: role.value.clone(),
                    quote_style: role.quote_style,
                    span: self.span(number + 1),
                });
                number += 2;
            }
        }
        self.ends(number)?;
        Ok(MaskChange::Set { expr: Box::new(expr), except })
    }

    /// The number of the bracket that closes the one of a number.
    fn closing(&self, open: usize) -> Option<usize> {
        if self.token(open) != Some(&Token::LParen) {
            return None;
        }
        let mut depth = 0_usize;
        for number in open..self.len() {
            match self.token(number)? {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(number);
            }
        }
        None
    }

    fn ends(&self, number: usize) -> Result<()> {
        if number == self.len() { Ok(()) } else { Err(wrong()) }
    }

    fn span(&self, number: usize) -> datafusion::sql::sqlparser::tokenizer::Span {
        let empty = datafusion::sql::sqlparser::tokenizer::Span::empty;
        self.at(number).and_then(|at| self.tokens.get(at)).map_or_else(empty, |token| token.span)
    }
}

fn wrong() -> Error {
    Error::invalid("syntax error in what a mask is set to").with_code("42601").with_hint(FORM)
}
