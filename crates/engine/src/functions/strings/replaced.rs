//! `regexp_replace` from a place on, of one match of several, and by replacements that are read as PostgreSQL does.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use regex::{Captures, Regex};

use super::patterns::{Kept, flags};
use crate::functions::function::{Call, refuse};

/// `regexp_replace(text, pattern, replacement, start, n, flags)`: the match number `n` at or behind the letter number
/// `start`, or all of them for 0.
pub(super) fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    call.texts(|row| {
        let number = |at: usize| if call.arrays.len() > at { call.primitive::<Int64Type>(at).value(row) } else { 1 };
        let (start, nth) = (number(3), number(4));
        for (name, value, least) in [("start", start, 1), ("n", nth, 0)] {
            if value < least {
                return Err(refuse("22023", format!("invalid value for parameter \"{name}\": {value}")));
            }
        }
        let (text, with) = (call.text(0).value(row), call.text(2).value(row));
        let from = text.char_indices().nth(start as usize - 1).map_or(text.len(), |(at, _)| at);
        let regex = kept.get(call.text(1).value(row), flags(call, 5, row))?;
        Ok(Some(replaced(regex, text, with, from, nth as usize)))
    })
}

/// `regexp_replace(text, pattern, replacement, flags)`: the first match, or all of them with the flag `g`.
pub(super) fn replace_by_flags(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    call.texts(|row| {
        let flags = flags(call, 3, row);
        let regex = kept.get(call.text(1).value(row), flags)?;
        let nth = usize::from(!flags.contains('g'));
        Ok(Some(replaced(regex, call.text(0).value(row), call.text(2).value(row), 0, nth)))
    })
}

fn replaced(regex: &Regex, text: &str, with: &str, from: usize, nth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut done, mut at, mut count) = (0, from, 0);
    // What stands before the start is there for anchors to look at.
    while let Some(found) = regex.captures_at(text, at) {
        let Some(whole) = found.get(0) else { break };
        count += 1;
        if nth == 0 || count == nth {
            out.push_str(&text[done..whole.start()]);
            put(&mut out, with, &found);
            done = whole.end();
        }
        let next = text[whole.end()..].chars().next();
        at = match next {
            _ if count == nth => break,
            _ if !whole.is_empty() => whole.end(),
            Some(letter) => whole.end() + letter.len_utf8(),
            None => break,
        };
    }
    out.push_str(&text[done..]);
    out
}

/// Writes what replaces a match: `\1` is its first group, `\&` all of it.
fn put(out: &mut String, with: &str, found: &Captures<'_>) {
    let mut letters = with.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('&') => out.push_str(found.get(0).map_or("", |whole| whole.as_str())),
            Some('\\') | None => out.push('\\'),
            Some(other) => match other.to_digit(10).filter(|digit| *digit > 0) {
                Some(digit) => out.push_str(found.get(digit as usize).map_or("", |group| group.as_str())),
                None => {
                    out.push('\\');
                    out.push(other);
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_match_or_all_are_replaced_from_a_place_on() {
        let of = |pattern: &str, text: &str, with: &str, from: usize, nth: usize| {
            replaced(&Regex::new(pattern).unwrap(), text, with, from, nth)
        };
        assert_eq!(of("o", "foobar", "X", 0, 1), "fXobar");
        assert_eq!(of("o", "foobar", "X", 2, 1), "foXbar");
        assert_eq!(of("o", "foobar", "X", 0, 0), "fXXbar");
        assert_eq!(of("o", "foobar", "X", 0, 3), "foobar");
        assert_eq!(of("(b)(a)", "foobar", r"\2\1<\&>\\\x", 0, 0), r"fooab<ba>\\xr");
        assert_eq!(of("x*", "abc", "-", 0, 0), "-a-b-c-");
        assert_eq!(of("^b", "ab", "X", 1, 0), "ab");
    }
}
