//! `to_timestamp`, `to_date`: text read by a pattern.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::common::Result;

use super::pattern::{DAYS, Field, MONTHS, Piece, ROMAN, pieces};
use crate::functions::function::refuse;

/// What has been read so far.
#[derive(Debug, Default)]
struct Found {
    year: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    century: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    second_of_day: Option<i64>,
    /// Seconds east of Greenwich.
    offset: Option<i64>,
}

/// A moment as read: local time, and the offset when the text had one.
pub(super) struct Moment {
    pub local: NaiveDateTime,
    pub offset: Option<i64>,
}

/// Reads a text by a pattern.
///
/// # Errors
/// 22007 for text that does not fit the pattern, 22008 for a moment that is none.
pub(super) fn read(text: &str, pattern: &str) -> Result<Moment> {
    let pieces = pieces(pattern);
    let mut found = Found::default();
    let mut rest = text.trim_start();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(expected) => rest = skip(rest, expected),
            Piece::Field(field) => {
                rest = rest.trim_start();
                // Digits that follow directly belong to the next field, unless something parts them.
                let bounded = matches!(pieces.get(at + 1), Some(Piece::Field(next)) if is_number(next))
                    || matches!(pieces.get(at + 1), Some(Piece::Text(text)) if text.starts_with(|c: char| c.is_ascii_digit()));
                rest = found.take(field, rest, bounded)?;
            }
        }
    }
    found.moment()
}

/// Blanks and separators of a pattern fit any of the text; letters pass over one letter each.
fn skip<'a>(mut rest: &'a str, expected: &str) -> &'a str {
    for letter in expected.chars() {
        if letter.is_whitespace() {
            rest = rest.trim_start();
        } else if letter.is_alphanumeric() {
            rest = rest.strip_prefix(|_: char| true).unwrap_or(rest);
        } else {
            let trimmed = rest.trim_start();
            rest = trimmed.strip_prefix(|c: char| !c.is_alphanumeric() && c != '+').unwrap_or(trimmed);
        }
    }
    rest
}

fn is_number(field: &Field) -> bool {
    !matches!(
        field.key,
        "MONTH" | "MON" | "DAY" | "DY" | "AM" | "PM" | "A.M." | "P.M." | "BC" | "AD" | "B.C." | "A.D." | "TZ" | "RM"
    )
}

/// The most digits of a field.
fn width(key: &str) -> usize {
    match key {
        "YYYY" | "IYYY" | "SSSSS" | "SSSS" => 4 + usize::from(key.starts_with('S')),
        "YYY" | "IYY" | "DDD" | "IDDD" | "MS" => 3,
        "US" => 6,
        "Y" | "I" | "D" | "ID" | "W" | "Q" => 1,
        "J" => 7,
        "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => usize::from(key.as_bytes()[2] - b'0'),
        _ => 2,
    }
}

fn wrong(field: &Field, rest: &str) -> datafusion::common::DataFusionError {
    let near: String = rest.chars().take(12).collect();
    refuse("22007", format!("invalid value {near:?} for {:?}", field.written))
}

fn digits<'a>(field: &Field, rest: &'a str, bounded: bool) -> Result<(i64, usize, &'a str)> {
    let (negative, body) = match rest.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let most = if bounded || !matches!(field.key, "YYYY" | "IYYY" | "J" | "US") { width(field.key) } else { 9 };
    let length = body.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let value: i64 = body[..length].parse().map_err(|_| wrong(field, rest))?;
    Ok((if negative { -value } else { value }, length, &body[length..]))
}

fn named<'a>(field: &Field, rest: &'a str, names: &[&str], short: bool) -> Result<(i64, &'a str)> {
    let lower = rest.to_lowercase();
    for (at, name) in names.iter().enumerate() {
        let name = if short { &name[..3] } else { name };
        if lower.starts_with(&name.to_lowercase()) {
            return Ok((at as i64, rest.get(name.len()..).unwrap_or_default()));
        }
    }
    Err(wrong(field, rest))
}

/// Two or three digits of a year are one near 2020.
fn near(year: i64, length: usize) -> i64 {
    match (length, year) {
        (1 | 2, 0..70) => 2_000 + year,
        (1 | 2, 70..100) => 1_900 + year,
        (3, 0..520) => 2_000 + year,
        (3, 520..1_000) => 1_000 + year,
        _ => year,
    }
}

impl Found {
    fn take<'a>(&mut self, field: &Field, rest: &'a str, bounded: bool) -> Result<&'a str> {
        if let Some(rest) = self.take_words(field, rest)? {
            return Ok(rest);
        }
        let (value, length, mut rest) = digits(field, rest, bounded)?;
        let range = |low: i64, high: i64| {
            if (low..=high).contains(&value) {
                Ok(value)
            } else {
                Err(refuse("22008", format!("date/time field value out of range: {:?} is {value}", field.written)))
            }
        };
        let fraction = |places: usize| value * 10_i64.pow((6_usize.saturating_sub(places)) as u32);
        match field.key {
            "YYYY" => self.year = Some(value),
            "Y,YYY" => {
                let body = rest.strip_prefix(',').ok_or_else(|| wrong(field, rest))?;
                let (low, _, after) = digits(&Field { key: "YYY", ..field.clone() }, body, true)?;
                (self.year, rest) = (Some(value * 1_000 + low), after);
            }
            "YYY" | "YY" | "Y" => self.year = Some(near(value, length)),
            "IYYY" => self.iso_year = Some(value),
            "IYY" | "IY" | "I" => self.iso_year = Some(near(value, length)),
            "CC" => self.century = Some(value),
            "MM" => self.month = Some(range(1, 12)?),
            "DD" => self.day = Some(range(1, 31)?),
            "DDD" => self.day_of_year = Some(range(1, 366)?),
            "IDDD" => self.iso_day = Some(range(1, 371)?),
            "WW" => self.week = Some(range(1, 53)?),
            "W" => self.week_of_month = Some(range(1, 5)?),
            "IW" => self.iso_week = Some(range(1, 53)?),
            "ID" => self.iso_day = Some(range(1, 7)?),
            "D" | "Q" => {}
            "J" => self.julian = Some(value),
            "HH24" => self.hour = range(0, 24)?,
            "HH" | "HH12" => {
                self.hour = range(1, 12)?;
                self.afternoon = self.afternoon.or(Some(false));
            }
            "MI" => self.minute = range(0, 59)?,
            "SS" => self.second = range(0, 59)?,
            "MS" => self.micros = fraction(length),
            "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => self.micros = fraction(length),
            "SSSS" | "SSSSS" => self.second_of_day = Some(range(0, 86_400)?),
            "TZH" | "OF" => {
                self.offset = Some(value * 3_600);
                if let Some(minutes) = rest.strip_prefix(':').filter(|_| field.key == "OF") {
                    let (minutes, _, after) = digits(&Field { key: "MI", ..field.clone() }, minutes, true)?;
                    self.offset = Some(value * 3_600 + value.signum() * minutes * 60);
                    rest = after;
                }
            }
            "TZM" => self.offset = self.offset.map(|hours| hours + hours.signum() * value * 60),
            other => return Err(refuse("0A000", format!("{other:?} cannot be read"))),
        }
        Ok(rest)
    }

    /// The fields that are words; none when it is a number.
    fn take_words<'a>(&mut self, field: &Field, rest: &'a str) -> Result<Option<&'a str>> {
        let (value, rest) = match field.key {
            "MONTH" => named(field, rest, &MONTHS, false)?,
            "MON" => named(field, rest, &MONTHS, true)?,
            "DAY" => named(field, rest, &DAYS, false)?,
            "DY" => named(field, rest, &DAYS, true)?,
            "RM" => {
                let length =
                    rest.bytes().take_while(|byte| matches!(byte.to_ascii_uppercase(), b'I' | b'V' | b'X')).count();
                let at = ROMAN.iter().position(|roman| roman.eq_ignore_ascii_case(&rest[..length]));
                (at.ok_or_else(|| wrong(field, rest))? as i64, &rest[length..])
            }
            "AM" | "PM" => named(field, rest, &["AM", "PM"], false)?,
            "A.M." | "P.M." => named(field, rest, &["A.M.", "P.M."], false)?,
            "BC" | "AD" => named(field, rest, &["AD", "BC"], false)?,
            "B.C." | "A.D." => named(field, rest, &["A.D.", "B.C."], false)?,
            "TZ" => return Err(refuse("0A000", "\"TZ\" cannot be read; TZH and TZM can")),
            _ => return Ok(None),
        };
        match field.key {
            "MONTH" | "MON" | "RM" => self.month = Some(value + 1),
            "AM" | "PM" | "A.M." | "P.M." => self.afternoon = Some(value == 1),
            "BC" | "AD" | "B.C." | "A.D." => self.before_christ = value == 1,
            _ => {}
        }
        Ok(Some(rest))
    }

    fn moment(&self) -> Result<Moment> {
        let wrong = || refuse("22008", "date/time field value out of range");
        let date = self.date().ok_or_else(wrong)?;
        let mut seconds = match self.second_of_day {
            Some(seconds) => seconds,
            None => {
                let hour = match self.afternoon {
                    Some(true) if self.hour < 12 => self.hour + 12,
                    Some(false) if self.hour == 12 => 0,
                    _ => self.hour,
                };
                (hour * 60 + self.minute) * 60 + self.second
            }
        };
        if seconds > 86_400 {
            return Err(wrong());
        }
        let mut local = date.and_time(NaiveTime::MIN);
        if seconds == 86_400 {
            local = local.checked_add_days(Days::new(1)).ok_or_else(wrong)?;
            seconds = 0;
        }
        local += chrono::TimeDelta::microseconds(seconds * 1_000_000 + self.micros);
        Ok(Moment { local, offset: self.offset })
    }

    fn date(&self) -> Option<NaiveDate> {
        if let Some(julian) = self.julian {
            let days = i32::try_from(julian - 2_440_588 + 719_163).ok()?;
            return NaiveDate::from_num_days_from_ce_opt(days);
        }
        if let Some(year) = self.iso_year {
            let monday = NaiveDate::from_isoywd_opt(i32::try_from(year).ok()?, 1, chrono::Weekday::Mon)?;
            let days = (self.iso_week.unwrap_or(1) - 1) * 7 + self.iso_day.unwrap_or(1) - 1;
            return monday.checked_add_days(Days::new(u64::try_from(days).ok()?));
        }
        let mut year = match (self.year, self.century) {
            (Some(year), Some(century)) if year < 100 => (century - 1) * 100 + year,
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1) * 100 + 1,
            // PostgreSQL's year when nothing is said is 1 BC.
            (None, None) => 0,
        };
        if self.before_christ {
            year = 1 - year;
        }
        let year = i32::try_from(year).ok()?;
        if let Some(day) = self.day_of_year {
            return NaiveDate::from_yo_opt(year, u32::try_from(day).ok()?);
        }
        if let Some(week) = self.week {
            let day = u32::try_from((week - 1) * 7 + 1).ok()?;
            return NaiveDate::from_yo_opt(year, day);
        }
        let day = self.day.or(self.week_of_month.map(|week| (week - 1) * 7 + 1)).unwrap_or(1);
        let date = NaiveDate::from_ymd_opt(year, u32::try_from(self.month.unwrap_or(1)).ok()?, 1)?;
        date.with_day(u32::try_from(day).ok()?)
    }
}
