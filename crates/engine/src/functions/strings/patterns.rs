//! Regular expressions, and the patterns of LIKE and SIMILAR TO written as what the engine knows.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use regex::{Regex, RegexBuilder};

use crate::functions::function::{Call, refuse};
use crate::functions::types;

/// A regular expression with PostgreSQL's flags.
fn compiled(pattern: &str, flags: &str) -> Result<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    // As in PostgreSQL, a point matches the end of a line too, unless it is told otherwise.
    builder.dot_matches_new_line(true);
    for flag in flags.chars() {
        match flag {
            'g' | 'c' | 's' => {}
            'i' => {
                builder.case_insensitive(true);
            }
            'x' => {
                builder.ignore_whitespace(true);
            }
            'n' | 'm' => {
                builder.multi_line(true).dot_matches_new_line(false);
            }
            other => return Err(refuse("22023", format!("invalid regular expression option: {other:?}"))),
        }
    }
    builder.build().map_err(|error| refuse("2201B", format!("invalid regular expression: {}", last_line(&error))))
}

fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Keeps the last expression, which most often is the next one too.
#[derive(Default)]
pub(super) struct Kept(Option<(String, String, Regex)>);

impl Kept {
    pub(super) fn get(&mut self, pattern: &str, flags: &str) -> Result<&Regex> {
        let same = self.0.as_ref().is_some_and(|(known, with, _)| known == pattern && with == flags);
        if !same {
            self.0 = Some((pattern.to_owned(), flags.to_owned(), compiled(pattern, flags)?));
        }
        self.0.as_ref().map(|(.., regex)| regex).ok_or_else(|| refuse("2201B", "invalid regular expression"))
    }
}

pub(super) fn flags<'a>(call: &'a Call<'_>, at: usize, row: usize) -> &'a str {
    if call.arrays.len() > at { call.text(at).value(row) } else { "" }
}

/// The parts between matches. Empty matches at the ends, and right behind a match, part nothing.
fn parts(regex: &Regex, text: &str) -> Vec<Option<String>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for found in regex.find_iter(text) {
        if found.is_empty()
            && (found.start() == 0
                || found.start() == text.len()
                || found.start() == start && start > 0 && parts.is_empty())
        {
            continue;
        }
        parts.push(Some(text[start..found.start()].to_owned()));
        start = found.end();
    }
    parts.push(Some(text[start..].to_owned()));
    parts
}

pub(super) fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    let mut lists = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        lists.push(if call.is_whole(row) {
            let regex = kept.get(call.text(1).value(row), flags(call, 2, row))?;
            Some(parts(regex, call.text(0).value(row)))
        } else {
            None
        });
    }
    types::text_lists(lists, call.gives)
}

pub(super) fn substr(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    call.texts(|row| {
        let text = call.text(0).value(row);
        let number = |at: usize| if call.arrays.len() > at { call.primitive::<Int64Type>(at).value(row) } else { 1 };
        let (start, nth) = (number(2), number(3));
        if start < 1 || nth < 1 {
            return Err(refuse("22023", "start and n of regexp_substr must be greater than zero"));
        }
        let from = text.char_indices().nth(start as usize - 1).map_or(text.len(), |(at, _)| at);
        let regex = kept.get(call.text(1).value(row), flags(call, 4, row))?;
        Ok(regex.find_iter(&text[from..]).nth(nth as usize - 1).map(|found| found.as_str().to_owned()))
    })
}

/// What the first group matches, or all that matches when there is none.
pub(super) fn substring(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    call.texts(|row| {
        let regex = kept.get(call.text(1).value(row), "")?;
        let groups = regex.captures(call.text(0).value(row));
        Ok(groups.and_then(|groups| {
            groups.get(usize::from(regex.captures_len() > 1)).map(|found| found.as_str().to_owned())
        }))
    })
}

/// `substring(text FROM pattern FOR escape)`: what stands between `#"` and `#"`.
pub(super) fn substring_similar(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    call.texts(|row| {
        let regex = kept.get(&similar(call.text(1).value(row), call.text(2).value(row))?, "")?;
        let groups = regex.captures(call.text(0).value(row));
        Ok(groups.and_then(|groups| {
            groups.get(usize::from(regex.captures_len() > 1)).map(|found| found.as_str().to_owned())
        }))
    })
}

/// Arrays of arrays of texts.
pub(super) fn lists_of_texts(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::new_list(DataType::new_list(DataType::Utf8View, true), true))
}

/// The groups of each match, all in one list: only the first match without the flag `g`.
pub(super) fn matches(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    let mut all = Vec::new();
    let mut sizes = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let before = all.len();
        if call.is_whole(row) {
            let flags = flags(call, 2, row);
            let regex = kept.get(call.text(1).value(row), flags)?;
            let first = usize::from(regex.captures_len() > 1);
            for groups in regex.captures_iter(call.text(0).value(row)) {
                let found = groups.iter().skip(first).map(|group| group.map(|group| group.as_str().to_owned()));
                all.push(Some(found.collect()));
                if !flags.contains('g') {
                    break;
                }
            }
        }
        sizes.push(all.len() - before);
    }
    let DataType::List(item) = call.gives else { return Err(refuse("42804", "an array is expected")) };
    let values = types::text_lists(all, item.data_type())?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(sizes), values, None)?))
}

/// The groups of the first match.
pub(super) fn first_match(call: &Call<'_>) -> Result<ArrayRef> {
    let mut kept = Kept::default();
    let mut lists = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let mut found = None;
        if call.is_whole(row) {
            let regex = kept.get(call.text(1).value(row), flags(call, 2, row))?;
            found = regex.captures(call.text(0).value(row)).map(|groups| {
                let first = usize::from(regex.captures_len() > 1);
                groups.iter().skip(first).map(|group| group.map(|group| group.as_str().to_owned())).collect()
            });
        }
        lists.push(found);
    }
    types::text_lists(lists, call.gives)
}

fn escape_letter(escape: &str) -> Result<Option<char>> {
    let mut letters = escape.chars();
    match (letters.next(), letters.next()) {
        (letter, None) => Ok(letter),
        _ => Err(refuse("22025", "invalid escape string: it must be empty or one character")),
    }
}

/// A pattern of LIKE whose escape is a backslash.
pub(super) fn like_pattern(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let escape = escape_letter(call.text(1).value(row))?;
        let mut out = String::new();
        let mut letters = call.text(0).value(row).chars();
        while let Some(letter) = letters.next() {
            if Some(letter) == escape {
                let next =
                    letters.next().ok_or_else(|| refuse("22025", "LIKE pattern must not end with escape character"))?;
                if matches!(next, '%' | '_' | '\\') {
                    out.push('\\');
                }
                out.push(next);
            } else {
                if letter == '\\' {
                    out.push('\\');
                }
                out.push(letter);
            }
        }
        Ok(Some(out))
    })
}

/// A pattern of SIMILAR TO as a regular expression that matches the whole text.
fn similar(pattern: &str, escape: &str) -> Result<String> {
    let escape = escape_letter(escape)?;
    let mut out = String::from("^(?s:");
    let mut letters = pattern.chars();
    let (mut in_class, mut parts) = (false, 0);
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            match letters.next() {
                // The first part of a pattern with `#"` is as short as can be.
                Some('"') => {
                    out.push_str(if parts == 0 { ")(" } else { ")(?:" });
                    parts += 1;
                }
                Some(next) => out.push_str(&regex::escape(&next.to_string())),
                None => return Err(refuse("22025", "SIMILAR TO pattern must not end with escape character")),
            }
        } else if in_class {
            in_class = letter != ']';
            if letter == '\\' {
                out.push('\\');
            }
            out.push(letter);
        } else {
            match letter {
                '[' => {
                    in_class = true;
                    out.push('[');
                }
                '%' => out.push_str("(?s:.)*"),
                '_' => out.push_str("(?s:.)"),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(letter);
                }
                other => out.push(other),
            }
        }
    }
    out.push_str(")$");
    Ok(out)
}

pub(super) fn similar_pattern(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| similar(call.text(0).value(row), call.text(1).value(row)).map(Some))
}
