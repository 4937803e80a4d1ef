//! Passwords in the text of statements, which no record is to hold.

use std::borrow::Cow;

const WORD: &str = "password";

/// The secrets of deliveries: see `statement/deliveries/grammar.rs`.
const OF_DELIVERIES: &[&str] = &["password", "secret_access_key", "access_key", "token"];

/// What stands in a password's place.
const HIDDEN: &str = "'***'";

/// The word that a statement about deliveries has.
const DELIVERY: &[u8] = b"delivery";

/// How many times as much as there is of a text is looked at, before all that is left of it is hidden. A text has to be made for it
/// to take so long: of beginnings of comments that never end, say.
const LOOKS: usize = 16;

/// A text without what stands in quotes behind the word PASSWORD, or, in a statement about deliveries, behind another secret's
/// name. Rather too much is hidden than too little: these words stand in comments and in other texts, too.
pub(crate) fn concealed(sql: &str) -> Cow<'_, str> {
    // Comments of any length may stand before it, and other statements.
    let is_word = |part: &[u8]| matches!(part, [b'd' | b'D', ..]) && part.eq_ignore_ascii_case(DELIVERY);
    let is_delivery = sql.as_bytes().windows(DELIVERY.len()).any(is_word);
    let words = if is_delivery { OF_DELIVERIES } else { &[WORD] };
    without(sql, words, is_delivery).map_or(Cow::Borrowed(sql), Cow::Owned)
}

/// The text with other texts in the place of those behind words; `None` if there are none. `are_options`: the words may be in
/// quotes, and there may be a sign between a word and the text.
fn without(sql: &str, words: &[&str], are_options: bool) -> Option<String> {
    let bytes = sql.as_bytes();
    let begins = |byte: &u8| words.iter().any(|word| word.as_bytes().first() == Some(&byte.to_ascii_lowercase()));
    let stands = |word: &&&str, at: usize| {
        bytes.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    let (mut shown, mut told, mut at) = (String::new(), 0, 0);
    let mut left = bytes.len().saturating_mul(LOOKS);
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(begins)) {
        let start = at + found;
        at = start + 1;
        let Some(word) = words.iter().find(|word| stands(word, start)) else { continue };
        let (begin, end) = text_behind(sql, start + word.len(), are_options);
        left = left.saturating_sub(end.unwrap_or(begin) - start);
        let (begin, end) = match end {
            _ if left == 0 => (start, bytes.len()),
            Some(end) => (begin, end),
            None => continue,
        };
        // What looks like a text may be what is between two: of `/* a 'password' */ ALTER ROLE a PASSWORD 'x'` the second one is
        // hidden by what is found within the first.
        if begin >= told {
            shown.push_str(sql.get(told..begin).unwrap_or_default());
            shown.push_str(HIDDEN);
        }
        told = told.max(end);
        if told == bytes.len() {
            break;
        }
    }
    if told == 0 {
        return None;
    }
    shown.push_str(sql.get(told..).unwrap_or_default());
    Some(shown)
}

/// Where what is behind a word begins, and, if it is a text in quotes, where that ends.
fn text_behind(sql: &str, mut at: usize, are_options: bool) -> (usize, Option<usize>) {
    let bytes = sql.as_bytes();
    if are_options && bytes.get(at) == Some(&b'"') {
        at += 1;
    }
    at = after_blanks(sql, at);
    if are_options && bytes.get(at) == Some(&b'=') {
        at = after_blanks(sql, at + 1);
    }
    let mut end = end_of_text(bytes, at);
    // PostgreSQL's texts go on in the next line.
    while let Some(from) = end {
        let rest = sql.get(from..).unwrap_or_default().trim_start();
        if !rest.starts_with('\'') {
            break;
        }
        end = end_of_text(bytes, bytes.len() - rest.len());
    }
    (at, end)
}

/// Where blanks and comments end.
fn after_blanks(sql: &str, mut at: usize) -> usize {
    loop {
        let rest = sql.get(at..).unwrap_or_default();
        at += match rest.as_bytes() {
            [b'-', b'-', ..] => rest.find('\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => end_of_comment(rest.as_bytes()),
            _ if rest.starts_with(char::is_whitespace) => rest.len() - rest.trim_start().len(),
            _ => return at,
        };
    }
}

/// The end of a comment that begins here, with those that are in it; of one that is not closed the end of all.
fn end_of_comment(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The end of a text in quotes that begins here; of one that is not closed the end of all.
fn end_of_text(bytes: &[u8], begin: usize) -> Option<usize> {
    let rest = bytes.get(begin..)?;
    let (open, escapes) = match rest {
        [b'\'', ..] => (1, false),
        [b'e' | b'E', b'\'', ..] => (2, true),
        // Refused, and in the record nevertheless.
        [b'n' | b'N', b'\'', ..] => (2, false),
        [b'u' | b'U', b'&', b'\'', ..] => (3, false),
        [b'$', ..] => {
            let is_of_tag = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
            let letters = rest.get(1..)?.iter().take_while(|byte| is_of_tag(byte)).count();
            let tag = letters + 2;
            if rest.get(letters + 1) != Some(&b'$') {
                return None;
            }
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
        check("PASSWORD /* a /* b */ c */\u{a0}'x' p", "PASSWORD /* a /* b */ c */\u{a0}'***' p");
        check("PASSWORD 'a'\n 'b' p", "PASSWORD '***' p");
        check("PASSWORD U&'a' PASSWORD n'b' p", "PASSWORD '***' PASSWORD '***' p");
        check(
            "CREATE DELIVERY d WITH (\"token\" 's', \"x\" 'y')",
            "CREATE DELIVERY d WITH (\"token\" '***', \"x\" 'y')",
        );
    }

    #[test]
    fn what_stands_before_a_password_does_not_show_it() {
        for before in [
            "/* her 'password' */ ",
            "/* no password ' */ ",
            "-- her 'password'\n",
            "SELECT 'a password '; ",
            "SELECT 'a password'; ",
            "SELECT $$ password '$$; ",
            "/* PASSWORD $$ */ ",
            "/* password E' */ ",
        ] {
            let shown = concealed(&format!("{before}ALTER ROLE a PASSWORD 'secret'; SELECT 1")).into_owned();
            assert!(!shown.contains("secret") && shown.contains(HIDDEN), "{shown}");
            let delivery = format!("{before}CREATE DELIVERY d INTO HTTP 'u' WITH (token 'secret', retry_seconds 3)");
            let shown = concealed(&delivery).into_owned();
            assert!(!shown.contains("secret") && shown.contains(HIDDEN), "{shown}");
        }
    }

    #[test]
    fn what_is_made_to_take_long_is_hidden_soon() {
        for part in ["password/*", "password--", "password$a$ password$b$ ", "password ' "] {
            let shown = concealed(&part.repeat(100_000)).into_owned();
            assert!(shown.len() <= part.len() * 100_000, "{part}");
        }
        let shown = concealed(&format!("{} PASSWORD 'secret'", "password/*".repeat(10_000))).into_owned();
        assert!(!shown.contains("secret") && shown.ends_with(HIDDEN), "{}", shown.len());
    }
}
