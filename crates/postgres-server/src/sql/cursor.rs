//! DECLARE, FETCH and MOVE.

use polder_types::Result;

use super::command::syntax;
use super::scan::{Token, TokenKind};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declare {
    pub name: String,
    pub binary: bool,
    /// Stays after the transaction.
    pub hold: bool,
    /// Goes back, too.
    pub scroll: bool,
    pub query: String,
}

/// How far a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// So many rows.
    Forward(u64),
    All,
    /// So many rows before the one that it is at, the nearest first.
    Backward(u64),
    BackwardAll,
    /// To the row with this number, which is given alone; below zero they are counted from the end.
    Absolute(i64),
    /// So many rows on, of which the last is given.
    Relative(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub name: String,
    pub way: Way,
    /// MOVE: no row is given.
    pub moves: bool,
}

/// # Errors
/// `InvalidInput` (42601).
pub(crate) fn declare(tokens: &[Token], sql: &str) -> Result<Declare> {
    let wrong = || syntax("DECLARE name [BINARY] CURSOR [WITH HOLD] FOR query");
    let name = tokens.get(1).and_then(Token::name).ok_or_else(wrong)?.to_owned();
    let cursor = tokens.iter().position(|token| token.is_word("cursor")).ok_or_else(wrong)?;
    let from = tokens.iter().position(|token| token.is_word("for")).filter(|at| *at > cursor).ok_or_else(wrong)?;
    let before = tokens.get(2..cursor).unwrap_or_default();
    let has = |word: &str| before.iter().any(|token| token.is_word(word));
    let after = tokens.get(cursor + 1..from).unwrap_or_default();
    let holds = after.iter().any(|token| token.is_word("hold")) && !after.iter().any(|token| token.is_word("without"));
    let (Some(first), Some(last)) = (tokens.get(from + 1), tokens.last()) else { return Err(wrong()) };
    let query = sql.get(first.start..last.end).unwrap_or_default().to_owned();
    let scroll = has("scroll") && !has("no");
    Ok(Declare { name, binary: has("binary"), hold: holds, scroll, query })
}

/// # Errors
/// `InvalidInput` (42601).
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
    let number = |digits: &str| digits.parse::<i64>().map_err(|_| syntax(&format!("{digits} is no number of rows")));
    let count = |tokens: &[Token]| match tokens {
        [Token { kind: TokenKind::Number(digits), .. }] => number(digits),
        [minus, Token { kind: TokenKind::Number(digits), .. }] if minus.is_symbol('-') => {
            number(digits).map(|rows| -rows)
        }
        [plus, Token { kind: TokenKind::Number(digits), .. }] if plus.is_symbol('+') => number(digits),
        _ => {
            Err(syntax("FETCH takes NEXT, PRIOR, FIRST, LAST, ALL, FORWARD, BACKWARD, ABSOLUTE, RELATIVE or a number"))
        }
    };
    let rows = |count: i64| match count {
        0.. => Way::Forward(count.unsigned_abs()),
        _ => Way::Backward(count.unsigned_abs()),
    };
    let Some((first, rest)) = tokens.split_first() else { return Ok(Way::Forward(1)) };
    match (first.word(), rest) {
        (Some("next" | "forward"), []) => Ok(Way::Forward(1)),
        (Some("prior" | "backward"), []) => Ok(Way::Backward(1)),
        (Some("first"), []) => Ok(Way::Absolute(1)),
        (Some("last"), []) => Ok(Way::Absolute(-1)),
        (Some("all"), []) => Ok(Way::All),
        (Some("forward"), [all]) if all.is_word("all") => Ok(Way::All),
        (Some("backward"), [all]) if all.is_word("all") => Ok(Way::BackwardAll),
        (Some("forward"), rest) => count(rest).map(rows),
        // No row before this one is this one.
        (Some("backward"), rest) => count(rest).map(|count| rows(-count)),
        (Some("absolute"), rest) => count(rest).map(Way::Absolute),
        (Some("relative"), rest) => count(rest).map(Way::Relative),
        _ => count(tokens).map(rows),
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
        let expected =
            Declare { name: "c".into(), binary: true, hold: true, scroll: false, query: "SELECT 1 FOR UPDATE".into() };
        assert_eq!(declare, expected);
        let sql = "DECLARE c SCROLL CURSOR FOR SELECT 1";
        assert!(super::declare(&scan(sql), sql).unwrap().scroll);
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
            ("FETCH PRIOR FROM c", Way::Backward(1)),
            ("FETCH -2 FROM c", Way::Backward(2)),
            ("FETCH BACKWARD -2 FROM c", Way::Forward(2)),
            ("FETCH BACKWARD 0 FROM c", Way::Forward(0)),
            ("FETCH BACKWARD ALL FROM c", Way::BackwardAll),
            ("FETCH LAST c", Way::Absolute(-1)),
            ("MOVE RELATIVE -3 IN c", Way::Relative(-3)),
        ] {
            assert_eq!(fetch(&scan(sql)).unwrap().way, way, "{sql}");
        }
        for sql in ["FETCH PRIOR 2 FROM c", "FETCH x y FROM c", "FETCH ABSOLUTE FROM c"] {
            assert_eq!(fetch(&scan(sql)).unwrap_err().code(), "42601", "{sql}");
        }
    }
}
