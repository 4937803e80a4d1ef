//! Where a statement says the value that a cast refuses. The error comes when constants are computed, and they have no place.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use polder_types::Error;

use super::DIALECT;

/// A longer text is not gone through again.
const BYTES_MAX: usize = 1 << 20;

/// Types that stand before their literals, `DATE '2026-01-31'`.
const TYPES: &[&str] = &["date", "time", "timestamp", "timestamptz", "interval", "numeric", "uuid", "bool", "boolean"];

/// The error with the place of the literal that it names, where there is one alone and it is a cast's: what else reads
/// like it may come from a table.
pub(crate) fn at_literal(error: Error, sql: &str) -> Error {
    if error.position().is_some()
        || sql.len() > BYTES_MAX
        || !matches!(error.code(), "22P02" | "22007" | "22008" | "22003")
    {
        return error;
    }
    match place(error.message(), sql) {
        Some(start) => error.at(start.line, start.column),
        None => error,
    }
}

/// `… for type integer: "x"`, `… out of range: "x"`
fn place(message: &str, sql: &str) -> Option<Location> {
    let value = message.split_once(": \"")?.1.strip_suffix('"')?;
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location().ok()?;
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut same = tokens.iter().enumerate().filter(|(_, token)| is_text(&token.token, value));
    let (Some((at, found)), None) = (same.next(), same.next()) else { return None };
    let before = at.checked_sub(1).and_then(|before| tokens.get(before)).map(|token| &token.token);
    let after = tokens.get(at + 1).map(|token| &token.token);
    let typed = matches!(before, Some(Token::Word(word)) if is_type(&word.value));
    let cast = matches!(after, Some(Token::DoubleColon))
        || matches!(after, Some(Token::Word(word)) if word.keyword == Keyword::AS)
            && matches!(before, Some(Token::LParen))
            && matches!(at.checked_sub(2).and_then(|at| tokens.get(at)), Some(token) if is_word(token, Keyword::CAST));
    (typed || cast || is_of_constants(&tokens)).then_some(found.span.start)
}

/// Whether all values of a statement are written in it, as in `INSERT INTO t VALUES ('x')`.
fn is_of_constants(tokens: &[TokenWithSpan]) -> bool {
    let has = |keyword| tokens.iter().any(|token| is_word(token, keyword));
    tokens.first().is_some_and(|token| is_word(token, Keyword::INSERT)) && has(Keyword::VALUES) && !has(Keyword::SELECT)
}

fn is_word(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == keyword)
}

fn is_type(word: &str) -> bool {
    TYPES.iter().any(|name| word.eq_ignore_ascii_case(name))
}

fn is_text(token: &Token, value: &str) -> bool {
    matches!(token, Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) if text == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: Option<(u64, u64)>) {
        let error = Error::invalid("invalid input syntax for type integer: \"x\"").with_code("22P02");
        let error = at_literal(error, sql);
        assert_eq!(error.position().map(|place| (place.line, place.column)), expected, "{sql}");
    }

    #[test]
    fn a_literal_that_is_cast_has_a_place() {
        check("SELECT 'x'::int", Some((1, 8)));
        check("SELECT 1,\n  CAST('x' AS int)", Some((2, 8)));
        check("SELECT date 'x'", Some((1, 13)));
        check("INSERT INTO t VALUES (1, 'x')", Some((1, 26)));
        // It may be a value of the table.
        check("SELECT a::int FROM t WHERE a = 'x'", None);
        check("SELECT 'x'::int, 'x'", None);
        check("INSERT INTO t SELECT a::int FROM s WHERE b = 'x'", None);
        check("SELECT 1", None);
    }
}
