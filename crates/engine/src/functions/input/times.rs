//! Dates and times as people write them.

use arrow::array::timezone::Tz;
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::common::Result;

use super::{no_time, wrong_time};
use crate::functions::dates::moment::{from_zone, micros, moment, zone};
use crate::functions::function::refuse;

/// A piece of a time: digits, letters, or a sign between them.
fn pieces(text: &str) -> Vec<&str> {
    let kind = |letter: char| match letter {
        '0'..='9' | '.' | ':' => 0,
        letter if letter.is_alphabetic() || matches!(letter, '/' | '_') => 1,
        letter if letter.is_whitespace() || letter == ',' => 3,
        _ => 2,
    };
    let mut out = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, letter) in text.char_indices() {
        let this = kind(letter);
        if last.is_some_and(|last| last != this || this == 2) {
            out.push(&text[start..at]);
            start = at;
        }
        last = Some(this);
    }
    out.push(&text[start..]);
    out.retain(|piece| !piece.chars().all(|letter| letter.is_whitespace() || letter == ','));
    out
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// What a text of a date or time says.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub date: Option<NaiveDate>,
    /// Microseconds since midnight.
    pub time: Option<i64>,
    zone: Option<SaidZone>,
}

#[derive(Debug)]
enum SaidZone {
    Offset(i64),
    Named(Tz),
}

impl Said {
    pub fn local(&self, text: &str, kind: &str) -> Result<NaiveDateTime> {
        let date = self.date.ok_or_else(|| wrong_time(kind, text))?;
        Ok(date.and_time(NaiveTime::MIN) + chrono::TimeDelta::microseconds(self.time.unwrap_or(0)))
    }

    /// The instant that is meant, in this zone if the text has none.
    pub fn instant(&self, text: &str, session: Option<Tz>) -> Result<i64> {
        let local = self.local(text, "timestamp with time zone")?;
        match (&self.zone, session) {
            (Some(SaidZone::Offset(offset)), _) => Ok(micros(local) - offset * 1_000_000),
            (Some(SaidZone::Named(zone)), _) => from_zone(local, *zone),
            (None, Some(zone)) => from_zone(local, zone),
            (None, None) => Ok(micros(local)),
        }
    }
}

/// `10:00`, `10:00:30.5`: microseconds.
fn clock(piece: &str, text: &str, kind: &str) -> Result<i64> {
    let mut parts = piece.split(':');
    let mut next = |most: i64| -> Result<Option<i64>> {
        let Some(part) = parts.next() else { return Ok(None) };
        let value: i64 = part.parse().map_err(|_| wrong_time(kind, text))?;
        if value > most { Err(no_time(text)) } else { Ok(Some(value)) }
    };
    let (whole, fraction) = piece.split_once('.').unwrap_or((piece, ""));
    let piece_parts = whole.split(':').count();
    if !(2..=3).contains(&piece_parts) {
        return Err(wrong_time(kind, text));
    }
    let hour = next(24)?.unwrap_or(0);
    let minute = if piece_parts == 2 && !fraction.is_empty() {
        return Err(wrong_time(kind, text));
    } else {
        next(59)?.unwrap_or(0)
    };
    let second: i64 = match whole.split(':').nth(2) {
        Some(second) => second.parse().map_err(|_| wrong_time(kind, text))?,
        None => 0,
    };
    if second > 60 {
        return Err(no_time(text));
    }
    let micros = if fraction.is_empty() {
        0
    } else {
        let value: f64 = format!("0.{fraction}").parse().map_err(|_| wrong_time(kind, text))?;
        (value * 1e6).round_ties_even() as i64
    };
    let total = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
    if total > 86_400_000_000 { Err(no_time(text)) } else { Ok(total) }
}

/// Reads a date, a time or both, with or without a zone.
///
/// # Errors
/// 22007 for what is neither, 22008 for a day or an hour that does not exist.
pub(crate) fn time(text: &str, kind: &str) -> Result<Said> {
    let lower = text.trim().to_ascii_lowercase();
    let mut said = Said::default();
    let mut numbers: Vec<&str> = Vec::new();
    let mut month = None;
    let mut before_christ = false;
    let parts = pieces(&lower);
    let mut at = 0;
    let today = chrono::Utc::now().date_naive();
    while let Some(piece) = parts.get(at) {
        at += 1;
        match *piece {
            "t" if !numbers.is_empty() || said.date.is_some() => {}
            "z" | "utc" | "gmt" | "zulu" => said.zone = Some(SaidZone::Offset(0)),
            "epoch" => {
                (said.date, said.time, said.zone) =
                    (NaiveDate::from_ymd_opt(1970, 1, 1), Some(0), Some(SaidZone::Offset(0)))
            }
            "now" => {
                let now = moment(chrono::Utc::now().timestamp_micros())?;
                said.date = Some(now.date());
                said.time = Some((now - now.date().and_time(NaiveTime::MIN)).num_microseconds().unwrap_or(0));
                said.zone = Some(SaidZone::Offset(0));
            }
            "today" => said.date = Some(today),
            "tomorrow" => said.date = today.succ_opt(),
            "yesterday" => said.date = today.pred_opt(),
            "allballs" => said.time = Some(0),
            "infinity" => return Err(refuse("0A000", format!("infinite dates and times are not supported: {text:?}"))),
            "ad" => {}
            "bc" => before_christ = true,
            "am" | "pm" => {
                let time = said.time.ok_or_else(|| wrong_time(kind, text))?;
                let hour = time / 3_600_000_000;
                if !(1..=12).contains(&hour) {
                    return Err(no_time(text));
                }
                said.time =
                    Some(time % 3_600_000_000 + (hour % 12 + if *piece == "pm" { 12 } else { 0 }) * 3_600_000_000);
            }
            // A date may have an offset too, as drivers send it.
            "+" | "-" if said.time.is_some() || numbers.len() == 3 => {
                let digits = parts.get(at).ok_or_else(|| wrong_time(kind, text))?;
                at += 1;
                let offset = offset(digits).ok_or_else(|| wrong_time(kind, text))?;
                said.zone = Some(SaidZone::Offset(if *piece == "-" { -offset } else { offset }));
            }
            "-" | "/" | "." if month.is_none() || numbers.len() < 3 => {}
            word if word.starts_with(char::is_alphabetic) => {
                let short = word.get(..3).unwrap_or_default();
                let weekday =
                    ["sun", "mon", "tue", "wed", "thu", "fri", "sat"].contains(&short) && word.ends_with(|_| true);
                if let Some(found) =
                    MONTHS.iter().position(|name| *name == short).filter(|_| month.is_none() && said.date.is_none())
                {
                    month = Some((found as i64 + 1, numbers.len()));
                } else if !weekday && said.time.is_none() && numbers.is_empty() {
                    return Err(wrong_time(kind, text));
                } else if !weekday {
                    // A zone's name: as it was written, since names have capitals.
                    let rest = &text.trim()[text.trim().to_ascii_lowercase().find(word).unwrap_or(0)..];
                    let name = rest.split_whitespace().next().unwrap_or(rest);
                    while parts.get(at).is_some() {
                        at += 1;
                    }
                    said.zone = Some(SaidZone::Named(zone(name)?));
                }
            }
            piece if piece.contains(':') => said.time = Some(clock(piece, text, kind)?),
            piece if piece.starts_with(|letter: char| letter.is_ascii_digit()) => {
                if kind == "time" && said.time.is_none() && numbers.is_empty() && piece.len() >= 4 && parts.len() <= 3 {
                    said.time = Some(clock(&compact(piece).ok_or_else(|| wrong_time(kind, text))?, text, kind)?);
                } else if piece.contains('.') {
                    numbers.extend(piece.split('.'));
                } else {
                    numbers.push(piece);
                }
            }
            _ => return Err(wrong_time(kind, text)),
        }
    }
    if !numbers.is_empty() {
        said.date = Some(date(&numbers, month, before_christ, text, kind)?);
    }
    if said.date.is_none() && said.time.is_none() {
        return Err(wrong_time(kind, text));
    }
    Ok(said)
}

/// `0415` as `04:15`, `041530` as `04:15:30`.
fn compact(digits: &str) -> Option<String> {
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    match whole.len() {
        4 => Some(format!("{}:{}", &whole[..2], &whole[2..])),
        6 => Some(format!("{}:{}:{}{fraction}", &whole[..2], &whole[2..4], &whole[4..])),
        _ => None,
    }
}

/// `02`, `0530`, `05:30`: seconds.
fn offset(digits: &str) -> Option<i64> {
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes.get(..2)?),
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 16 && minutes < 60).then_some(hours * 3_600 + minutes * 60)
}

/// A date of its numbers: year first when it has more than two digits, else month, day, year.
fn date(
    numbers: &[&str],
    month: Option<(i64, usize)>,
    before_christ: bool,
    text: &str,
    kind: &str,
) -> Result<NaiveDate> {
    let parse = |piece: &str| piece.parse::<i64>().map_err(|_| wrong_time(kind, text));
    let year_of = |piece: &str| -> Result<i64> {
        let year = parse(piece)?;
        Ok(if piece.len() == 2 { year + if year < 70 { 2_000 } else { 1_900 } } else { year })
    };
    let (year, month, day) = match (numbers, month) {
        ([one], None) if one.len() >= 8 => {
            let (year, rest) = one.split_at(one.len() - 4);
            (parse(year)?, parse(&rest[..2])?, parse(&rest[2..])?)
        }
        ([year, day_of_year], None) if year.len() > 2 && day_of_year.len() == 3 => {
            let (year, day) = (parse(year)?, parse(day_of_year)?);
            let date = i32::try_from(year).ok().zip(u32::try_from(day).ok());
            return date.and_then(|(year, day)| NaiveDate::from_yo_opt(year, day)).ok_or_else(|| no_time(text));
        }
        ([first, second], Some((month, _))) if first.len() > 2 => (parse(first)?, month, parse(second)?),
        ([first, second], Some((month, _))) => (year_of(second)?, month, parse(first)?),
        ([first, second, third], None) if first.len() > 2 => (parse(first)?, parse(second)?, parse(third)?),
        ([first, second, third], None) => (year_of(third)?, parse(first)?, parse(second)?),
        _ => return Err(wrong_time(kind, text)),
    };
    if year == 0 {
        return Err(no_time(text));
    }
    let year = if before_christ { 1 - year } else { year };
    let parts = (i32::try_from(year), u32::try_from(month), u32::try_from(day));
    match parts {
        (Ok(year), Ok(month), Ok(day)) => NaiveDate::from_ymd_opt(year, month, day),
        _ => None,
    }
    .filter(|date| date.year() < 262_000)
    .ok_or_else(|| no_time(text))
}
