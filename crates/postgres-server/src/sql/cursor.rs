//! DECLARE, FETCH and MOVE.

use polder_types::{Error, Result};

use super::command::syntax;
use super::scan::{Token, TokenKind};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declare {
    pub name: String,
    pub binary: bool,
    /// Stays after the transaction.
    pub hold: bool,
    pub query: String,
}

/// How far a cursor goes. There is no way back: rows come as they are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// So many rows.
    Forward(u64),
    All,
    /// To the row with this number, which is given alone.
    Absolute(u64),
    /// So many rows on, of which the last is given.
    Relative(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub name: String,
    pub way: Way,
    /// MOVE: no row is given.
    pub moves: bool,
}

/// # Errors
/// `InvalidInput` (42601), `Unsupported` for SCROLL.
pub(crate) fn declare(tokens: &[Token], sql: &str) -> Result<Declare> {
    let wrong = || syntax("DECLARE name [BINARY] CURSOR [WITH HOLD] FOR query");
    let name = tokens.get(1).and_then(Token::name).ok_or_else(wrong)?.to_owned();
    let cursor = tokens.iter().position(|token| token.is_word("cursor")).ok_or_else(wrong)?;
    let from = tokens.iter().position(|token| token.is_word("for")).filter(|at| *at > cursor).ok_or_else(wrong)?;
    let before = tokens.get(2..cursor).unwrap_or_default();
    let has = |word: &str| before.iter().any(|token| token.is_word(word));
    if has("scroll") && !has("no") {
        return Err(Error::unsupported("cursors that go back are not supported").with_hint("leave SCROLL out"));
    }
    let after = tokens.get(cursor + 1..from).unwrap_or_default();
    let holds = after.iter().any(|token| token.is_word("hold")) && !after.iter().any(|token| token.is_word("without"));
    let (Some(first), Some(last)) = (tokens.get(from + 1), tokens.last()) else { return Err(wrong()) };
    let query = sql.get(first.start..last.end).unwrap_or_default().to_owned();
    Ok(Declare { name, binary: has("binary"), hold: holds, query })
}

/// # Errors
/// `InvalidInput` (42601), (55000) for a way back.
pub(crate) fn fetch(tokens: &[Token]) -> Result<Fetch> {
    let moves = tokens.first().is_some_and(|token| token.is_word("move"));
    let wrong = || syntax("FETCH needs a cursor");
    let (last, before) = tokens.get(1..).unwrap_or_default().split_last().ok_or_else(wrong)?;
    let name = last.name().ok_or_else(wrong)?.to_owned();
    let before = match before.split_last() {
        Some((word, rest)) if word.is_word("from") || word.is_word("in") => rest,
        _ => before,
    };
    Ok(Fetch { name, way: way(before)?, moves })
}

fn way(tokens: &[Token]) -> Result<Way> {
    let back = || {
        Error::invalid("cursor can only scan forward").with_code("55000").with_hint("rows come as they are computed")
    };
    let count = |tokens: &[Token]| match tokens {
        [Token { kind: TokenKind::Number(digits), .. }] => {
            digits.parse::<u64>().map_err(|_| syntax(&format!("{digits} is no number of rows")))
        }
        [minus, _] if minus.is_symbol('-') => Err(back()),
        [plus, Token { kind: TokenKind::Number(digits), .. }] if plus.is_symbol('+') => {
            digits.parse::<u64>().map_err(|_| syntax(&format!("{digits} is no number of rows")))
        }
        _ => Err(syntax("FETCH takes NEXT, ALL, FORWARD, ABSOLUTE, RELATIVE or a number")),
    };
    let Some((first, rest)) = tokens.split_first() else { return Ok(Way::Forward(1)) };
    match (first.word(), rest) {
        (Some("next"), []) | (Some("forward"), []) => Ok(Way::Forward(1)),
        (Some("first"), []) => Ok(Way::Absolute(1)),
        (Some("all"), []) => Ok(Way::All),
        (Some("forward"), [all]) if all.is_word("all") => Ok(Way::All),
        (Some("forward"), rest) => count(rest).map(Way::Forward),
        (Some("absolute"), rest) => count(rest).map(Way::Absolute),
        (Some("relative"), rest) => count(rest).map(Way::Relative),
        (Some("prior" | "last" | "backward"), _) => Err(back()),
        _ => count(tokens).map(Way::Forward),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::scan;

    #[test]
    fn cursors_are_declared() {
        let sql = "DECLARE \"c\" BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1 FOR UPDATE";
        let declare = declare(&scan(sql), sql).unwrap();
        let expected = Declare { name: "c".into(), binary: true, hold: true, query: "SELECT 1 FOR UPDATE".into() };
        assert_eq!(declare, expected);
        let sql = "DECLARE c SCROLL CURSOR FOR SELECT 1";
        assert_eq!(super::declare(&scan(sql), sql).unwrap_err().code(), "0A000");
    }

    #[test]
    fn ways_are_read() {
        for (sql, way) in [
            ("FETCH c", Way::Forward(1)),
            ("FETCH FORWARD 100 FROM \"c\"", Way::Forward(100)),
            ("FETCH 5 IN c", Way::Forward(5)),
            ("FETCH ALL FROM c", Way::All),
            ("MOVE FORWARD ALL IN c", Way::All),
            ("FETCH ABSOLUTE 3 FROM c", Way::Absolute(3)),
            ("MOVE RELATIVE 0 FROM c", Way::Relative(0)),
        ] {
            assert_eq!(fetch(&scan(sql)).unwrap().way, way, "{sql}");
        }
        for sql in ["FETCH PRIOR FROM c", "FETCH -1 FROM c", "FETCH BACKWARD ALL FROM c"] {
            assert_eq!(fetch(&scan(sql)).unwrap_err().code(), "55000", "{sql}");
        }
    }
}
