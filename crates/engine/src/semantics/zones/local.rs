//! One time zone: its local times, and what PostgreSQL reads and writes in it.

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use chrono::{DateTime, Offset, TimeZone, Utc};
use polder_kernels::zones;
use polder_types::{Error, Result};

/// Short names that mean an offset and no place.
const SHORT: &[(&str, &str)] = &[
    ("z", "+00:00"),
    ("zulu", "+00:00"),
    ("utc", "UTC"),
    ("gmt", "+00:00"),
    ("ut", "+00:00"),
    ("wet", "+00:00"),
    ("cet", "+01:00"),
    ("met", "+01:00"),
    ("bst", "+01:00"),
    ("cest", "+02:00"),
    ("eet", "+02:00"),
    ("eest", "+03:00"),
    ("msk", "+03:00"),
    ("est", "-05:00"),
    ("edt", "-04:00"),
    ("cst", "-06:00"),
    ("cdt", "-05:00"),
    ("mst", "-07:00"),
    ("mdt", "-06:00"),
    ("pst", "-08:00"),
    ("pdt", "-07:00"),
    ("jst", "+09:00"),
];

#[derive(Debug, Clone, Copy)]
pub(crate) struct Zone(Tz);

impl Zone {
    /// A zone by its name, an abbreviation, or an offset in POSIX form, in which `+02` lies west of Greenwich.
    ///
    /// # Errors
    /// `InvalidInput` (22023).
    pub fn parse(text: &str) -> Result<Self> {
        Self::canonical(text).and_then(|name| Self::known(&name))
    }

    /// The name that [`Zone::known`] takes, and that a setting is shown as.
    pub fn canonical(text: &str) -> Result<String> {
        let text = text.trim();
        // A name in brackets before what POSIX counts, as SHOW has it.
        let counted = text.strip_prefix('<').and_then(|named| named.split_once('>')).map_or(text, |(_, west)| west);
        if let Some(offset) = offset(counted) {
            return Ok(format_offset(-offset));
        }
        if text.parse::<Tz>().is_ok() {
            return Ok(text.to_owned());
        }
        let lower = text.to_lowercase();
        if let Some((_, name)) = SHORT.iter().find(|(short, _)| *short == lower) {
            return Ok((*name).to_owned());
        }
        // Names of places are known by any case.
        let known = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(text));
        known.map(|zone| zone.name().to_owned()).ok_or_else(|| {
            Error::invalid(format!("time zone {text:?} not recognized"))
                .with_code("22023")
                .with_hint("for instance 'Europe/Amsterdam', or 'UTC'")
        })
    }

    /// A zone by the name that [`Zone::canonical`] gives, as the session's is.
    ///
    /// # Errors
    /// `InvalidInput` (22023).
    pub fn known(name: &str) -> Result<Self> {
        name.parse::<Tz>()
            .map(Self)
            .map_err(|_| Error::invalid(format!("time zone {name:?} not recognized")).with_code("22023"))
    }

    /// What its clocks show at an instant. Both in microseconds since 1970.
    pub fn local(self, instant: i64) -> Result<i64> {
        let utc = DateTime::from_timestamp_micros(instant).ok_or_else(out_of_range)?;
        let offset = self.0.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc();
        instant.checked_add(i64::from(offset) * 1_000_000).ok_or_else(out_of_range)
    }

    /// The instant at which its clocks show a time: of two, the one with standard time; a time that is skipped counts as
    /// if the clocks had not been moved yet.
    pub fn instant(self, local: i64) -> Result<i64> {
        zones::instant(self.0, local).ok_or_else(out_of_range)
    }

    /// An instant as PostgreSQL writes it: `2024-07-01 12:00:00+02`.
    pub fn write(self, instant: i64) -> Result<String> {
        let utc = DateTime::from_timestamp_micros(instant).ok_or_else(out_of_range)?;
        let local = utc.with_timezone(&self.0);
        let offset = local.offset().fix().local_minus_utc();
        let micros = local.timestamp_subsec_micros();
        let fraction =
            if micros == 0 { String::new() } else { format!(".{micros:06}").trim_end_matches('0').to_owned() };
        let (year, era) = match chrono::Datelike::year(&local) {
            year if year <= 0 => (1 - year, " BC"),
            year => (year, ""),
        };
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes, seconds) = (offset.abs() / 3600, offset.abs() / 60 % 60, offset.abs() % 60);
        let mut zone = format!("{sign}{hours:02}");
        if minutes != 0 || seconds != 0 {
            zone.push_str(&format!(":{minutes:02}"));
        }
        if seconds != 0 {
            zone.push_str(&format!(":{seconds:02}"));
        }
        Ok(format!("{year:04}-{}{fraction}{zone}{era}", local.format("%m-%d %H:%M:%S")))
    }

    /// An instant from text, in this zone when the text names none.
    ///
    /// # Errors
    /// `InvalidInput`: 22007 for what is no time, 22008 for one that cannot be.
    pub fn read(self, text: &str) -> Result<i64> {
        let wrong = |code: &'static str| {
            let shown: String = text.chars().take(60).collect();
            Error::invalid(format!("invalid input syntax for type timestamp with time zone: {shown:?}")).with_code(code)
        };
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("epoch") {
            return Ok(0);
        }
        let (time, zone) = split_zone(trimmed);
        let time = with_time(time);
        let naive = string_to_datetime(&Utc, &time).map_err(|_| {
            // The shape of a date with numbers that no date has.
            let shape = time.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) && time.contains('-');
            let letters = time.bytes().any(|byte| byte.is_ascii_alphabetic() && byte != b'T');
            wrong(if shape && !letters { "22008" } else { "22007" })
        })?;
        let local = naive.timestamp_micros();
        match zone {
            None => self.instant(local),
            Some(zone) => match offset(zone) {
                Some(seconds) => Ok(local - i64::from(seconds) * 1_000_000),
                None => Self::parse(zone)?.instant(local),
            },
        }
    }
}

fn out_of_range() -> Error {
    Error::invalid("timestamp out of range").with_code("22008")
}

/// Seconds of `+02`, `-5:30`, `+0530`, `+01:02:03`.
fn offset(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text[1..];
    let parts: Vec<&str> = digits.split(':').collect();
    let number = |part: &str| (!part.is_empty() && part.len() <= 2).then(|| part.parse::<i32>().ok()).flatten();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [whole] if matches!(whole.len(), 3 | 4) => {
            let (hours, minutes) = whole.split_at(whole.len() - 2);
            (number(hours)?, number(minutes)?, 0)
        }
        [hours] => (number(hours)?, 0, 0),
        [hours, minutes] => (number(hours)?, number(minutes)?, 0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        _ => return None,
    };
    (hours < 16 && minutes < 60 && seconds < 60).then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

fn format_offset(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", seconds.abs() / 3600, seconds.abs() / 60 % 60)
}

/// A time, and the zone at its end.
fn split_zone(text: &str) -> (&str, Option<&str>) {
    // A sign behind a colon or a blank can only be an offset's: a date's dashes come before.
    let time_from = text.find(':').unwrap_or(text.len());
    if let Some(at) = text[time_from..].find(['+', '-']) {
        let at = time_from + at;
        return (text[..at].trim_end(), Some(text[at..].trim()));
    }
    let letters = |c: char| c.is_ascii_alphabetic();
    match text.rfind(|c: char| c.is_ascii_digit()) {
        Some(last) if text[last + 1..].trim_start().starts_with(letters) => {
            (text[..=last].trim_end(), Some(text[last + 1..].trim()))
        }
        _ => {
            // `2024-06-01 12:00 Etc/GMT+5` and the like: the zone is the last word.
            match text.rsplit_once(' ') {
                Some((time, zone)) if zone.starts_with(letters) => (time.trim_end(), Some(zone)),
                _ => (text, None),
            }
        }
    }
}

/// A date without a time is its midnight; a time may lack its seconds.
fn with_time(text: &str) -> String {
    let Some((date, time)) = text.split_once([' ', 'T']) else { return format!("{text}T00:00:00") };
    let time = time.trim_start();
    let time = match time.matches(':').count() {
        1 if !time.contains('.') => format!("{time}:00"),
        _ => time.to_owned(),
    };
    // An hour of one digit.
    let time = if time.find(':') == Some(1) { format!("0{time}") } else { time };
    format!("{date}T{time}")
}

#[cfg(test)]
mod tests;
