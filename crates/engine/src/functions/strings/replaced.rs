//! `regexp_replace` from a place on, of one match of several, and by replacements that are read as PostgreSQL does.

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use regex::{Captures, Regex};

use super::patterns::{Kept, flags};
use crate::functions::bounds::Text;
use crate::functions::function::{Call, refuse};

/// `regexp_replace(text, pattern, replacement, start, n, flags)`: the match number `n` at or behind the letter number
/// `start`, or all of them for 0.
pub(super) fn replace(call: &Call<'_>) -> Result<ArrayRef> {
    let (mut kept, bound) = (Kept::default(), call.bound());
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
        replaced(regex, text, with, (from, nth as usize), bound.text()).map(Some)
    })
}

/// `regexp_replace(text, pattern, replacement, flags)`: the first match, or all of them with the flag `g`.
pub(super) fn replace_by_flags(call: &Call<'_>) -> Result<ArrayRef> {
    let (mut kept, bound) = (Kept::default(), call.bound());
    call.texts(|row| {
        let flags = flags(call, 3, row);
        let regex = kept.get(call.text(1).value(row), flags)?;
        let nth = usize::from(!flags.contains('g'));
        replaced(regex, call.text(0).value(row), call.text(2).value(row), (0, nth), bound.text()).map(Some)
    })
}

/// The match number `nth` at or behind a place, or all of them for 0.
fn replaced(regex: &Regex, text: &str, with: &str, (from, nth): (usize, usize), mut out: Text<'_>) -> Result<String> {
    let (mut done, mut at, mut count) = (0, from, 0);
    // What stands before the start is there for anchors to look at.
    while let Some(found) = regex.captures_at(text, at) {
        let Some(whole) = found.get(0) else { break };
        count += 1;
        out.look()?;
        if nth == 0 || count == nth {
            out.push(&text[done..whole.start()])?;
            put(&mut out, with, &found)?;
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
    out.push(&text[done..])?;
    Ok(out.done())
}

/// Writes what replaces a match: `\1` is its first group, `\&` all of it.
fn put(out: &mut Text<'_>, with: &str, found: &Captures<'_>) -> Result<()> {
    let group = |number: usize| found.get(number).map_or("", |group| group.as_str());
    let mut rest = with;
    while let Some(at) = rest.find('\\') {
        out.push(&rest[..at])?;
        let marked = &rest[at + 1..];
        let Some(letter) = marked.chars().next() else { return out.push("\\") };
        rest = &marked[letter.len_utf8()..];
        match (letter, letter.to_digit(10)) {
            ('&', _) => out.push(group(0))?,
            ('\\', _) => out.push("\\")?,
            (_, Some(digit @ 1..)) => out.push(group(digit as usize))?,
            _ => out.push(&with[with.len() - rest.len() - letter.len_utf8() - 1..with.len() - rest.len()])?,
        }
    }
    out.push(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::bounds::Bound;

    #[test]
    fn one_match_or_all_are_replaced_from_a_place_on() {
        let of = |pattern: &str, text: &str, with: &str, from: usize, nth: usize| {
            replaced(&Regex::new(pattern).unwrap(), text, with, (from, nth), Bound::WIDEST.text()).unwrap()
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
