//! Prefixes with expressions in them, as Firehose's.

use chrono::{DateTime, Datelike, Timelike, Utc};
use polder_types::limits::NAME_BYTES_MAX;
use polder_types::{Error, Result};
use uuid::Uuid;

/// What a prefix may be, as in Firehose.
const BYTES_MAX: usize = 1024;
/// Letters of `!{firehose:random-string}`.
const RANDOM_LETTERS: usize = 11;

/// A prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Time(Vec<TimePiece>),
    Random,
    ErrorType,
    /// The place of its name in [`Template::columns`].
    Column(String),
}

/// A part of a pattern of time: a letter so many times, or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TimePiece {
    Letter(char, usize),
    Text(String),
}

/// What is filled in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) time: DateTime<Utc>,
    /// Random letters are made of it, so that they are the same when a lot is sent again.
    pub(super) id: Uuid,
    /// Of the columns, in the order of [`Template::columns`].
    pub(super) values: &'a [String],
    pub(super) error_type: &'a str,
}

impl Template {
    /// `of_errors`: it is for rejected records, which have a type of error and no columns.
    pub(super) fn parse(text: &str, of_errors: bool) -> Result<Self> {
        if text.len() > BYTES_MAX {
            return Err(Error::invalid(format!("a prefix is longer than {BYTES_MAX} bytes")));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, expression)) = rest.split_once("!{") {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (expression, behind) = expression
                .split_once('}')
                .ok_or_else(|| Error::invalid(format!("the prefix {text} has a !{{ that is not closed")))?;
            pieces.push(expression_of(expression, of_errors)?);
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The columns by whose values lots are divided.
    pub(super) fn columns(&self) -> Vec<&str> {
        let names = self.0.iter().filter_map(|piece| match piece {
            Piece::Column(name) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    pub(super) fn fill(&self, filling: &Filling<'_>) -> String {
        let mut text = String::new();
        let mut values = filling.values.iter();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Time(pieces) => fill_time(pieces, filling.time, &mut text),
                Piece::Random => {
                    let letters = filling.id.simple().to_string();
                    text.push_str(letters.get(letters.len() - RANDOM_LETTERS..).unwrap_or(&letters));
                }
                Piece::ErrorType => text.push_str(filling.error_type),
                Piece::Column(_) => text.push_str(values.next().map_or("", String::as_str)),
            }
        }
        text
    }
}

fn expression_of(expression: &str, of_errors: bool) -> Result<Piece> {
    let unknown = || {
        let of_both = "timestamp:yyyy/MM/dd and firehose:random-string";
        let others = if of_errors { "firehose:error-output-type" } else { "partitionKeyFromQuery:column" };
        Error::invalid(format!("a prefix does not know !{{{expression}}}"))
            .with_hint(format!("it knows {of_both}, and here {others}"))
    };
    let (space, name) = expression.split_once(':').ok_or_else(unknown)?;
    match (space.trim(), name.trim()) {
        // Blanks may be part of a pattern.
        ("timestamp", _) => time_pieces(name).map(Piece::Time),
        ("firehose", "random-string") => Ok(Piece::Random),
        ("firehose", "error-output-type") if of_errors => Ok(Piece::ErrorType),
        ("partitionKeyFromQuery", column) if !of_errors && !column.is_empty() && column.len() <= NAME_BYTES_MAX => {
            Ok(Piece::Column(column.to_owned()))
        }
        _ => Err(unknown()),
    }
}

/// A pattern as Java's `DateTimeFormatter` has them, of the letters that make sense in a prefix.
fn time_pieces(pattern: &str) -> Result<Vec<TimePiece>> {
    let wrong = |why: String| Error::invalid(format!("the pattern of time {pattern} {why}"));
    if pattern.is_empty() {
        return Err(wrong("is empty".to_owned()));
    }
    let mut pieces = Vec::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '\'' {
            pieces.push(TimePiece::Text(quoted(&mut letters).ok_or_else(|| wrong("has an open quote".to_owned()))?));
        } else if letter.is_ascii_alphabetic() {
            let mut times = 1;
            while letters.next_if_eq(&letter).is_some() {
                times += 1;
            }
            let widths = match letter {
                'y' | 'u' => matches!(times, 1 | 2 | 4),
                'M' => times <= 3,
                'd' | 'H' | 'm' | 's' => times <= 2,
                'D' => times <= 3,
                'S' => times <= 9,
                _ => return Err(wrong(format!("has the letter {letter}, which is not known here"))),
            };
            if !widths {
                return Err(wrong(format!("has the letter {letter} {times} times")));
            }
            pieces.push(TimePiece::Letter(letter, times));
        } else {
            pieces.push(TimePiece::Text(letter.to_string()));
        }
    }
    Ok(pieces)
}

/// A text up to the closing quote; two quotes are one.
fn quoted(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match letters.next()? {
            '\'' if letters.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Some(if text.is_empty() { "'".to_owned() } else { text }),
            letter => text.push(letter),
        }
    }
}

fn fill_time(pieces: &[TimePiece], time: DateTime<Utc>, to: &mut String) {
    for piece in pieces {
        let (letter, width) = match piece {
            TimePiece::Text(text) => {
                to.push_str(text);
                continue;
            }
            TimePiece::Letter(letter, width) => (*letter, *width),
        };
        let year = time.year();
        let text = match letter {
            'y' | 'u' if width == 2 => format!("{:02}", year.rem_euclid(100)),
            'y' | 'u' => format!("{year:0width$}"),
            'M' if width == 3 => time.format("%b").to_string(),
            'M' => format!("{:0width$}", time.month()),
            'd' => format!("{:0width$}", time.day()),
            'D' => format!("{:0width$}", time.ordinal()),
            'H' => format!("{:0width$}", time.hour()),
            'm' => format!("{:0width$}", time.minute()),
            's' => format!("{:0width$}", time.second()),
            _ => format!("{:09}", time.nanosecond() % 1_000_000_000).chars().take(width).collect(),
        };
        to.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, of_errors: bool, values: &[&str]) -> Result<String> {
        let time = DateTime::parse_from_rfc3339("2026-02-03T04:05:06.789Z").unwrap().to_utc();
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        let filling = Filling { time, id: Uuid::from_u128(0xabc), values: &values, error_type: "failed" };
        Template::parse(text, of_errors).map(|template| template.fill(&filling))
    }

    #[test]
    fn expressions_are_filled_in_as_firehose_does() {
        for (text, expected) in [
            ("plain/", "plain/"),
            ("", ""),
            ("!{timestamp:yyyy/MM/dd/HH}/", "2026/02/03/04/"),
            ("year=!{timestamp:yyyy}/month=!{timestamp:M}/", "year=2026/month=2/"),
            ("!{timestamp:yyyy-'T'-'it''s'-ss.SSS-DDD-MMM}", "2026-T-it's-06.789-034-Feb"),
            ("!{timestamp:yy''mm}", "26'05"),
            ("a!{firehose:random-string}b", "a00000000abcb"),
            ("c=!{partitionKeyFromQuery:c}/d=!{ partitionKeyFromQuery : d }/", "c=x/d=y/"),
        ] {
            assert_eq!(filled(text, false, &["x", "y"]).unwrap(), expected, "{text}");
        }
        assert_eq!(filled("e/!{firehose:error-output-type}/", true, &[]).unwrap(), "e/failed/");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (text, of_errors) in [
            ("!{timestamp:yyyy", false),
            ("!{timestamp:}", false),
            ("!{timestamp:yyyy-q}", false),
            ("!{timestamp:'open}", false),
            ("!{timestamp:HHH}", false),
            ("!{firehose:error-output-type}", false),
            ("!{partitionKeyFromQuery:a}", true),
            ("!{partitionKeyFromLambda:a}", false),
            ("!{random}", false),
        ] {
            assert!(filled(text, of_errors, &[]).is_err(), "{text}");
        }
        assert!(filled(&"a".repeat(BYTES_MAX + 1), false, &[]).is_err());
    }
}
