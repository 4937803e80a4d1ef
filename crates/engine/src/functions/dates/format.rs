//! `to_char` of moments and intervals.

use chrono::Datelike;
use datafusion::common::Result;

use super::moment::Parts;
use super::pattern::{DAYS, Field, MONTHS, Piece, ROMAN, pieces};
use crate::functions::function::refuse;

/// A pattern, cut once and written many times.
pub(super) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), pieces: pieces(text) }
    }

    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// # Errors
    /// 22007 for a part of a date in an interval.
    pub fn write(&self, parts: &Parts) -> Result<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(field) => out.push_str(&written(field, parts)?),
            }
        }
        Ok(out)
    }
}

/// A number with leading zeros, unless they are not wanted.
fn number(value: i64, width: usize, field: &Field) -> String {
    let width = if field.fill { 0 } else { width };
    let text = if value < 0 { format!("-{:0width$}", value.unsigned_abs()) } else { format!("{value:0width$}") };
    match field.ordinal {
        Some(upper) => format!("{text}{}", suffix(value, upper)),
        None => text,
    }
}

pub(in crate::functions) fn suffix(value: i64, upper: bool) -> &'static str {
    let value = value.unsigned_abs();
    let suffix = match (value % 100, value % 10) {
        (11..=13, _) => 3,
        (_, 1) => 0,
        (_, 2) => 1,
        (_, 3) => 2,
        _ => 3,
    };
    if upper { ["ST", "ND", "RD", "TH"][suffix] } else { ["st", "nd", "rd", "th"][suffix] }
}

/// A name in the case of the pattern, filled with blanks to the longest.
fn name(name: &str, width: usize, field: &Field) -> String {
    let mut letters = field.written.chars();
    let (first, second) = (letters.next().unwrap_or('A'), letters.next().unwrap_or('A'));
    let text = match (first.is_uppercase(), second.is_uppercase()) {
        (true, true) => name.to_uppercase(),
        (true, false) => name.to_owned(),
        _ => name.to_lowercase(),
    };
    if field.fill { text } else { format!("{text:width$}") }
}

fn half(field: &Field, first: &str, second: &str, is_second: bool) -> String {
    let text = if is_second { second } else { first };
    let text =
        if field.key.contains('.') { text.chars().flat_map(|letter| [letter, '.']).collect() } else { text.to_owned() };
    if field.written.starts_with(char::is_uppercase) { text } else { text.to_lowercase() }
}

fn written(field: &Field, parts: &Parts) -> Result<String> {
    let number = |value, width| number(value, width, field);
    let twelve = if parts.hour % 12 == 0 { 12 } else { parts.hour % 12 };
    // There is no year 0: before 1 comes 1 BC.
    let shown = if parts.date.is_some() && parts.year <= 0 { 1 - parts.year } else { parts.year };
    Ok(match field.key {
        "HH24" => number(parts.hour, 2),
        "HH" | "HH12" => number(twelve, 2),
        "MI" => number(parts.minute, 2),
        "SS" => number(parts.second, 2),
        "MS" => number(parts.micros / 1_000, 3),
        "US" => number(parts.micros, 6),
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
            let width = usize::from(field.key.as_bytes()[2] - b'0');
            format!("{:06}", parts.micros.abs())[..width].to_owned()
        }
        "SSSS" | "SSSSS" => number(parts.hour * 3_600 + parts.minute * 60 + parts.second, 0),
        "AM" | "PM" | "A.M." | "P.M." => half(field, "AM", "PM", parts.hour % 24 >= 12),
        "YYYY" => number(shown, 4),
        "Y,YYY" => {
            let text = format!("{},{:03}", shown / 1_000, shown % 1_000);
            if field.fill { text.trim_start_matches("0,").to_owned() } else { text }
        }
        "YYY" => number(shown % 1_000, 3),
        "YY" => number(shown % 100, 2),
        "Y" => number(shown % 10, 1),
        "MM" => number(parts.month, 2),
        "DD" => number(parts.day, 2),
        "CC" if parts.date.is_none() => number(parts.year / 100, 2),
        "RM" if parts.date.is_none() && parts.month == 0 => String::new(),
        "RM" => {
            let roman = ROMAN[(parts.month - 1).rem_euclid(12) as usize];
            let roman = if field.written.starts_with('r') { roman.to_lowercase() } else { roman.to_owned() };
            if field.fill { roman } else { format!("{roman:4}") }
        }
        "Q" if parts.date.is_none() => number((parts.month - 1) / 3 + 1, 1),
        _ => return of_date(field, parts),
    })
}

/// The fields that only a date has.
fn of_date(field: &Field, parts: &Parts) -> Result<String> {
    let Some(date) = parts.date else {
        return Err(refuse("22007", format!("an interval has no {:?}", field.written)));
    };
    let number = |value: i64, width| number(value, width, field);
    let month = MONTHS[date.month0() as usize];
    let weekday = DAYS[date.weekday().num_days_from_sunday() as usize];
    let iso = date.iso_week();
    let iso_day = i64::from(date.weekday().number_from_monday());
    let (zone, offset) = parts.zone.clone().unwrap_or_default();
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3_600, offset.abs() / 60 % 60);
    Ok(match field.key {
        "MONTH" => name(month, 9, field),
        "MON" => name(&month[..3], 3, field),
        "DAY" => name(weekday, 9, field),
        "DY" => name(&weekday[..3], 3, field),
        "DDD" => number(date.ordinal().into(), 3),
        "D" => number(i64::from(date.weekday().number_from_sunday()), 1),
        "ID" => number(iso_day, 1),
        "IDDD" => number(i64::from(iso.week() - 1) * 7 + iso_day, 3),
        "W" => number((parts.day - 1) / 7 + 1, 1),
        "WW" => number(i64::from(date.ordinal0()) / 7 + 1, 2),
        "IW" => number(iso.week().into(), 2),
        "IYYY" => number(iso.year().into(), 4),
        "IYY" => number(i64::from(iso.year()) % 1_000, 3),
        "IY" => number(i64::from(iso.year()) % 100, 2),
        "I" => number(i64::from(iso.year()) % 10, 1),
        "CC" => number(super::fields::century(parts.year), 2),
        "Q" => number((parts.month - 1) / 3 + 1, 1),
        "J" => number(super::fields::julian_day(date), 0),
        "BC" | "AD" | "B.C." | "A.D." => half(field, "AD", "BC", parts.year <= 0),
        "TZ" => {
            let zone = match minutes {
                _ if !zone.is_empty() || parts.zone.is_none() => zone,
                0 => format!("{sign}{hours:02}"),
                _ => format!("{sign}{hours:02}:{minutes:02}"),
            };
            if field.written.starts_with('t') { zone.to_lowercase() } else { zone }
        }
        "TZH" => format!("{sign}{hours:02}"),
        "TZM" => format!("{minutes:02}"),
        "OF" if minutes == 0 => format!("{sign}{hours:02}"),
        "OF" => format!("{sign}{hours:02}:{minutes:02}"),
        other => return Err(refuse("22007", format!("{other:?} is no part of a date"))),
    })
}
