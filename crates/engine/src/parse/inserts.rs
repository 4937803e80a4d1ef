//! An INSERT of rows that are written out, which applications send more often than all else: read here in one go, into
//! just what the parser makes of it.
//!
//! What is anything but names, constants and parameters is left to the parser, and so is what it might take in another
//! way.

use std::sync::LazyLock;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Ident, Insert, ObjectName, Parens, SetExpr, Statement, TableObject, TimezoneInfo,
    UnaryOperator, Value,
};
use datafusion::sql::sqlparser::tokenizer::{Location, Span};
use polder_capability::Parameter;

use super::values::{NUMBERS, TEXTS, is_plain_number};
use super::{Filling, ParsedStatement, parse_all};

/// Longer ones are worth a parser.
const BYTES_MAX: usize = 8 << 10;

/// Words that mean something where a name may stand, and how the text of a query begins.
const WORDS: &[&str] = &[
    "as",
    "default",
    "directory",
    "format",
    "from",
    "function",
    "into",
    "local",
    "only",
    "output",
    "overriding",
    "overwrite",
    "partition",
    "select",
    "set",
    "settings",
    "table",
    "value",
    "values",
    "with",
];

/// One INSERT, with nothing filled in.
static TEMPLATE: LazyLock<Option<Insert>> =
    LazyLock::new(|| match parse_all("INSERT INTO t VALUES (1)", &[]).ok()?.pop()? {
        ParsedStatement::Standard(Parsed::Statement(statement)) => match *statement {
            Statement::Insert(insert) => Some(insert),
            _ => None,
        },
        _ => None,
    });

/// An INSERT of constants, with values in the places of parameters. `None`: it is none, or one for the parser.
pub(crate) fn insert_of_constants<'a, F>(sql: &str, value: F) -> Option<Insert>
where
    F: Fn(usize) -> Option<&'a Parameter>,
{
    if sql.len() > BYTES_MAX {
        return None;
    }
    let mut text = Text { rest: sql, one_line: one_line(sql) };
    text.blanks();
    text.word("insert")?;
    text.word("into")?;
    let table = text.name()?;
    let mut columns = Vec::new();
    if text.takes('(') {
        loop {
            columns.push(ObjectName::from(vec![text.ident()?]));
            if !text.takes(',') {
                break;
            }
        }
        text.sign(')')?;
    }
    text.word("values")?;
    let mut rows = Vec::new();
    let mut is_typed = false;
    loop {
        text.sign('(')?;
        let mut cells = Vec::new();
        loop {
            let cell = match text.parameter() {
                Some(number) => filled(value(number?.checked_sub(1)?)?)?,
                None => text.constant()?,
            };
            is_typed |= matches!(cell, Expr::Cast { .. });
            cells.push(cell);
            if !text.takes(',') {
                break;
            }
        }
        text.sign(')')?;
        rows.push(Parens {
            opening_token: AttachedToken::empty(),
            content: cells,
            closing_token: AttachedToken::empty(),
        });
        if !text.takes(',') {
            break;
        }
    }
    text.takes(';');
    // Of several rows one says what the others are.
    if !text.rest.is_empty() || (is_typed && rows.len() > 1) {
        return None;
    }
    let mut insert = TEMPLATE.clone()?;
    insert.table = TableObject::TableName(table);
    insert.columns = columns;
    let SetExpr::Values(values) = insert.source.as_mut()?.body.as_mut() else { return None };
    values.rows = rows;
    Some(insert)
}

/// As [`insert_of_constants`], of what stands in the places of parameters.
pub(super) fn statement(sql: &str, values: &[Filling]) -> Option<ParsedStatement> {
    let insert = insert_of_constants(sql, |at| match values.get(at) {
        Some(Filling::Value(value)) => Some(value),
        Some(Filling::Open) | None => None,
    })?;
    Some(ParsedStatement::Standard(Parsed::Statement(Box::new(Statement::Insert(insert)))))
}

/// What is left of a text. Blanks behind what was taken are gone.
struct Text<'a> {
    rest: &'a str,
    /// Of a text in which every byte is a column of one line: how many there are.
    one_line: Option<usize>,
}

fn one_line(sql: &str) -> Option<usize> {
    (sql.is_ascii() && !sql.contains('\n')).then_some(sql.len())
}

impl<'a> Text<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes so many bytes, and the blanks behind them.
    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        self.blanks();
        Some(taken)
    }

    fn takes(&mut self, sign: char) -> bool {
        let is_next = self.rest.starts_with(sign);
        if is_next {
            self.take(sign.len_utf8());
        }
        is_next
    }

    fn sign(&mut self, sign: char) -> Option<()> {
        self.takes(sign).then_some(())
    }

    /// Bytes of the word that comes next.
    fn word_bytes(&self) -> usize {
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let bytes = self.rest.as_bytes();
        match bytes.first() {
            Some(first) if first.is_ascii_alphabetic() || *first == b'_' => {
                bytes.iter().take_while(|byte| is_inside(byte)).count()
            }
            _ => 0,
        }
    }

    /// Whether a word of so many bytes ends there, and is no part of another one.
    fn ends(&self, bytes: usize) -> bool {
        self.rest
            .as_bytes()
            .get(bytes)
            .is_none_or(|next| matches!(next, b' ' | b'\t' | b'\n' | b'\r' | b'(' | b')' | b',' | b'.' | b';'))
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let bytes = self.word_bytes();
        let found = self.rest.get(..bytes)?;
        if !found.eq_ignore_ascii_case(word) || !self.ends(bytes) {
            return None;
        }
        self.take(bytes).map(drop)
    }

    fn ident(&mut self) -> Option<Ident> {
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (name, behind) = quoted.split_once('"')?;
            if name.is_empty() || behind.starts_with('"') {
                return None;
            }
            self.take(name.len() + 2)?;
            return Some(Ident::with_quote('"', name));
        }
        let bytes = self.word_bytes();
        let name = self.rest.get(..bytes).filter(|name| !name.is_empty())?;
        if !self.ends(bytes) || WORDS.iter().any(|word| name.eq_ignore_ascii_case(word)) {
            return None;
        }
        self.take(bytes).map(Ident::new)
    }

    fn name(&mut self) -> Option<ObjectName> {
        let mut parts = vec![self.ident()?];
        while self.takes('.') {
            parts.push(self.ident()?);
        }
        (parts.len() <= 3).then(|| ObjectName::from(parts))
    }

    /// `$1`; the inner `None`: one that is none.
    fn parameter(&mut self) -> Option<Option<usize>> {
        let digits = self.rest.strip_prefix('$')?;
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        let number = digits.get(..count).and_then(|digits| digits.parse().ok());
        let ends = self.ends(count + 1);
        self.take(count + 1);
        Some(number.filter(|_| ends))
    }

    /// Where the next byte stands, for an error of the value that begins there.
    fn span(&self) -> Span {
        let at = self.one_line.and_then(|all| u64::try_from(all.checked_sub(self.rest.len())?).ok());
        at.map_or_else(Span::empty, |at| Span::new(Location::new(1, at + 1), Location::new(1, at + 1)))
    }

    fn constant(&mut self) -> Option<Expr> {
        let span = self.span();
        let value = match *self.rest.as_bytes().first()? {
            b'\'' => Value::SingleQuotedString(self.text()?),
            b'-' => {
                let minus =
                    self.rest.strip_prefix('-').filter(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))?;
                self.rest = minus;
                return Some(negative(self.number()?));
            }
            b'0'..=b'9' => self.number()?,
            _ if self.word("null").is_some() => Value::Null,
            _ if self.word("true").is_some() => Value::Boolean(true),
            _ if self.word("false").is_some() => Value::Boolean(false),
            _ => return None,
        };
        Some(Expr::Value(value.with_span(span)))
    }

    /// Digits, with a point between them or without.
    fn number(&mut self) -> Option<Value> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(self.rest);
        let fraction = match self.rest.get(whole..)?.strip_prefix('.') {
            Some(fraction) => 1 + Some(digits(fraction)).filter(|count| *count > 0)?,
            None => 0,
        };
        let bytes = whole + fraction;
        if !self.ends(bytes) || self.rest.as_bytes().get(bytes) == Some(&b'.') {
            return None;
        }
        self.take(bytes).map(|number| Value::Number(number.to_owned(), false))
    }

    /// A text in quotes.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut at = 1;
        loop {
            let rest = self.rest.get(at..)?;
            let end = rest.find('\'')?;
            text.push_str(rest.get(..end)?);
            at += end + 1;
            if !self.rest.get(at..)?.starts_with('\'') {
                break;
            }
            text.push('\'');
            at += 1;
        }
        self.take(at)?;
        Some(text)
    }
}

fn value(value: Value) -> Expr {
    Expr::Value(value.into())
}

fn negative(number: Value) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(value(number)) }
}

/// A parameter's value, as [`super::values::fill`] writes it.
fn filled(parameter: &Parameter) -> Option<Expr> {
    let name = parameter.type_name.as_deref();
    let Some(text) = &parameter.text else {
        return match name {
            Some(name) => cast(Value::Null, name),
            None => Some(value(Value::Null)),
        };
    };
    let quoted = || Value::SingleQuotedString(text.clone());
    match name {
        None => Some(value(quoted())),
        Some(name) if TEXTS.contains(&name) => Some(value(quoted())),
        Some(name) if NUMBERS.contains(&name) && is_plain_number(text, name == "numeric") => {
            let point = if name == "numeric" && !text.contains('.') { "." } else { "" };
            let number = |digits: &str| Value::Number(format!("{digits}{point}"), name == "bigint");
            Some(match text.strip_prefix('-') {
                Some(digits) => Expr::Nested(Box::new(negative(number(digits)))),
                None => value(number(text)),
            })
        }
        Some("boolean") if matches!(text.as_str(), "true" | "false") => Some(value(Value::Boolean(text == "true"))),
        Some(name) => cast(quoted(), name),
    }
}

/// A cast to a type whose name has one meaning.
fn cast(value: Value, type_name: &str) -> Option<Expr> {
    let data_type = match type_name {
        "date" => DataType::Date,
        "double precision" => DataType::DoublePrecision,
        "uuid" => DataType::Uuid,
        "timestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::Tz),
        _ => return None,
    };
    let expr = Box::new(self::value(value));
    Some(Expr::Cast { kind: CastKind::Cast, expr, data_type, array: false, format: None })
}

#[cfg(test)]
mod tests;
