//! Passwords in the text of statements, which no record is to hold.

use std::borrow::Cow;

const WORD: &str = "password";

/// The secrets of deliveries: see `statement/deliveries/grammar.rs`.
const OF_DELIVERIES: &[&str] = &["password", "secret_access_key", "access_key", "token"];

/// What stands in a password's place.
const HIDDEN: &str = "'***'";

/// The word that a statement about deliveries has.
const DELIVERY: &[u8] = b"delivery";

/// A text without what stands in quotes behind the word PASSWORD, or, in a statement about deliveries, behind another secret's
/// name.
pub(crate) fn concealed(sql: &str) -> Cow<'_, str> {
    // Comments of any length may stand before it, and other statements.
    let is_word = |part: &[u8]| matches!(part, [b'd' | b'D', ..]) && part.eq_ignore_ascii_case(DELIVERY);
    let is_delivery = sql.as_bytes().windows(DELIVERY.len()).any(is_word);
    let words = if is_delivery { OF_DELIVERIES } else { &[WORD] };
    words.iter().fold(Cow::Borrowed(sql), |shown, word| match without(&shown, word.as_bytes(), is_delivery) {
        Some(shown) => Cow::Owned(shown),
        None => shown,
    })
}

/// The text with other texts in the place of those behind a word; `None` if there are none. `are_options`: there may be a sign
/// between the word and the text.
fn without(sql: &str, word: &[u8], are_options: bool) -> Option<String> {
    let bytes = sql.as_bytes();
    let first = *word.first()?;
    let (mut shown, mut told, mut at) = (String::new(), 0, 0);
    let begins = |byte: &u8| byte.eq_ignore_ascii_case(&first);
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(begins)) {
        let start = at + found;
        at = start + 1;
        let Some(next) = bytes.get(start..start + word.len()) else { break };
        if !next.eq_ignore_ascii_case(word) {
            continue;
        }
        let mut begin = after_blanks(bytes, start + word.len());
        if are_options && bytes.get(begin) == Some(&b'=') {
            begin = after_blanks(bytes, begin + 1);
        }
        let Some(end) = end_of_text(bytes, begin) else { continue };
        shown.push_str(sql.get(told..begin).unwrap_or_default());
        shown.push_str(HIDDEN);
        (told, at) = (end, end);
    }
    if told == 0 {
        return None;
    }
    shown.push_str(sql.get(told..).unwrap_or_default());
    Some(shown)
}

/// Where blanks and comments end.
fn after_blanks(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let ends = |mark: &[u8], from: usize| {
            let found = rest.get(from..).and_then(|rest| rest.windows(mark.len()).position(|part| part == mark));
            found.map_or(rest.len(), |found| from + found + mark.len())
        };
        at += match rest {
            [blank, ..] if blank.is_ascii_whitespace() => 1,
            [b'-', b'-', ..] => ends(b"\n", 2),
            [b'/', b'*', ..] => ends(b"*/", 2),
            _ => return at,
        };
    }
}

/// The end of a text in quotes that begins here; of one that is not closed the end of all.
fn end_of_text(bytes: &[u8], begin: usize) -> Option<usize> {
    let rest = bytes.get(begin..)?;
    let (open, escapes) = match rest {
        [b'\'', ..] => (1, false),
        [b'e' | b'E', b'\'', ..] => (2, true),
        [b'$', ..] => {
            let tag = 2 + rest.get(1..)?.iter().position(|byte| *byte == b'$')?;
            let mark = rest.get(..tag)?;
            let closed = rest.get(tag..)?.windows(tag).position(|part| part == mark);
            return Some(closed.map_or(bytes.len(), |at| begin + tag + at + tag));
        }
        _ => return None,
    };
    let mut at = open;
    loop {
        match rest.get(at..).unwrap_or_default() {
            [] => return Some(bytes.len()),
            [b'\'', b'\'', ..] => at += 2,
            [b'\\', _, ..] if escapes => at += 2,
            [b'\'', ..] => return Some(begin + at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        assert_eq!(concealed(sql), expected);
    }

    #[test]
    fn passwords_are_left_out() {
        check("SELECT 1", "SELECT 1");
        check("CREATE USER ada PASSWORD 'it''s mine' LOGIN", "CREATE USER ada PASSWORD '***' LOGIN");
        check(
            "alter role a password/* x */ -- y\n E'it\\'s' ; SELECT 'p'",
            "alter role a password/* x */ -- y\n '***' ; SELECT 'p'",
        );
        check("ALTER ROLE a PASSWORD $t$ a $ b $t$", "ALTER ROLE a PASSWORD '***'");
        check("ALTER ROLE a PASSWORD 'é; ALTER ROLE b PASSWORD NULL", "ALTER ROLE a PASSWORD '***'");
        check("SELECT password FROM p WHERE password = 'x'", "SELECT password FROM p WHERE password = 'x'");
        check("ALTER ROLE a PASSWORD NULL", "ALTER ROLE a PASSWORD NULL");
        check(
            "CREATE DELIVERY d FROM TOPIC t INTO OBJECTS 's3://b' WITH (access_key_id 'AK', secret_access_key = 's')",
            "CREATE DELIVERY d FROM TOPIC t INTO OBJECTS 's3://b' WITH (access_key_id 'AK', secret_access_key = '***')",
        );
        let long = format!("/* {} */ SELECT 1; -- x\nALTER DELIVERY d SET (token ", "x".repeat(300));
        check(&format!("{long}'s')"), &format!("{long}'***')"));
        check("CREATE TABLE t (token text DEFAULT 'x')", "CREATE TABLE t (token text DEFAULT 'x')");
        check("PASSWORD 'a' PASSWORD 'b' p", "PASSWORD '***' PASSWORD '***' p");
    }
}
