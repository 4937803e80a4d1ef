//! JSON in the form of `jsonb`, without a tree where the text says no more than what that form keeps.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use super::{Json, key_order};

/// Deeper ones, which are few, are read as trees.
const DEPTH_MAX: usize = 64;

/// A text in the form of `jsonb`; `None`: it is no JSON that the functions of `jsonb` read.
///
/// Borrowed where it has that form already. Reads the text once, unless something in it is rarely there: exponents, escapes
/// of letters (`\u00e4`), escapes in keys, and depths.
#[must_use]
pub fn normal(text: &str) -> Option<Cow<'_, str>> {
    let mut writer = Writer { text, at: 0, out: String::with_capacity(text.len() + text.len() / 8) };
    if writer.whole().is_some() {
        return Some(if writer.out == text { Cow::Borrowed(text) } else { Cow::Owned(writer.out) });
    }
    Json::parse(text).ok().map(|json| Cow::Owned(json.to_string()))
}

/// A member of an object, by its places in what is written.
struct Member {
    /// Without the quotes.
    key: Range<usize>,
    whole: Range<usize>,
}

/// Writes a text in its form, as far as that can be told while it is read: `None` says nothing of the text.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

impl Writer<'_> {
    fn whole(&mut self) -> Option<()> {
        self.value(0)?;
        self.blanks();
        (self.at == self.text.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Writes what has been read since then.
    fn copy(&mut self, from: usize) -> Option<()> {
        self.out.push_str(self.text.get(from..self.at)?);
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        self.blanks();
        match self.peek()? {
            b'{' if depth < DEPTH_MAX => self.object(depth),
            b'[' if depth < DEPTH_MAX => self.array(depth),
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b'n' => self.word("null"),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        if !self.text.get(self.at..)?.starts_with(word) {
            return None;
        }
        self.at += word.len();
        self.out.push_str(word);
        Some(())
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Option<()> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (zero && whole > 1) {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            return None;
        }
        self.copy(from)
    }

    /// Tells whether there are escapes in it.
    fn string(&mut self) -> Option<bool> {
        let (from, mut escaped) = (self.at, false);
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    self.copy(from)?;
                    return Some(escaped);
                }
                b'\\' => {
                    let escape = self.text.as_bytes().get(self.at + 1)?;
                    // The others are written in another way.
                    if !matches!(escape, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') {
                        return None;
                    }
                    escaped = true;
                    self.at += 2;
                }
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.out.push('[');
        self.blanks();
        if self.peek()? == b']' {
            self.at += 1;
            self.out.push(']');
            return Some(());
        }
        loop {
            self.value(depth + 1)?;
            self.blanks();
            match self.peek()? {
                b',' => self.out.push_str(", "),
                b']' => {
                    self.at += 1;
                    self.out.push(']');
                    return Some(());
                }
                _ => return None,
            }
            self.at += 1;
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        self.out.push('{');
        self.blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            self.out.push('}');
            return Some(());
        }
        let (start, mut members, mut sorted) = (self.out.len(), Vec::<Member>::new(), true);
        loop {
            let member = self.member(depth)?;
            if let Some(last) = members.last() {
                let (last, key) = (self.out.get(last.key.clone())?, self.out.get(member.key.clone())?);
                sorted = sorted && key_order(last, key) == Ordering::Less;
            }
            members.push(member);
            self.blanks();
            match self.peek()? {
                b',' => self.out.push_str(", "),
                b'}' => break,
                _ => return None,
            }
            self.at += 1;
        }
        self.at += 1;
        if !sorted {
            self.sort(start, members)?;
        }
        self.out.push('}');
        Some(())
    }

    fn member(&mut self, depth: usize) -> Option<Member> {
        self.blanks();
        let from = self.out.len();
        // Keys are sorted by what they stand for, which escapes are longer than.
        if self.peek()? != b'"' || self.string()? {
            return None;
        }
        let key = from + 1..self.out.len() - 1;
        self.blanks();
        if self.peek()? != b':' {
            return None;
        }
        self.at += 1;
        self.out.push_str(": ");
        self.value(depth + 1)?;
        Some(Member { key, whole: from..self.out.len() })
    }

    /// Writes the members anew that begin at `start`: sorted, of equal keys the last one.
    fn sort(&mut self, start: usize, mut members: Vec<Member>) -> Option<()> {
        let written = self.out.get(start..)?.to_owned();
        let part = |range: &Range<usize>| written.get(range.start - start..range.end - start).unwrap_or_default();
        members.reverse();
        members.sort_by(|left, right| key_order(part(&left.key), part(&right.key)));
        members.dedup_by(|left, right| part(&left.key) == part(&right.key));
        self.out.truncate(start);
        for (at, member) in members.iter().enumerate() {
            self.out.push_str(if at > 0 { ", " } else { "" });
            self.out.push_str(part(&member.whole));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
