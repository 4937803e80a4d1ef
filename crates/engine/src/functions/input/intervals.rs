//! Intervals as people write them.

use datafusion::common::{DataFusionError, Result};

use super::wrong_time;
use crate::functions::dates::moment::{Span, span};
use crate::functions::dates::unit as unit_of;
use crate::functions::function::refuse;

/// `1 year 2 mons -3 days 04:05:06`, `1-2`, `P1Y2DT3H`, `@ 1 day ago`.
pub(crate) fn interval(text: &str, unit: Option<&str>) -> Result<Span> {
    let wrong = || wrong_time("interval", text);
    let lower = text.trim().to_ascii_lowercase();
    let mut body = lower.strip_prefix('@').unwrap_or(&lower).trim();
    if let Some(iso) = body.strip_prefix('p') {
        return iso_interval(iso, text);
    }
    let ago = body.strip_suffix("ago").map(|rest| body = rest.trim()).is_some();
    let mut total = Fraction::default();
    let mut number: Option<f64> = None;
    let mut any = false;
    for piece in body.split_whitespace().flat_map(split_units) {
        let negative = piece.starts_with('-');
        let bare = piece.trim_start_matches(['+', '-']);
        if bare.contains(':') {
            // A number before a time counts days.
            if let Some(days) = number.take() {
                total.days += days;
            }
            let seconds = clock_seconds(bare, unit).ok_or_else(wrong)?;
            total.seconds += if negative { -seconds } else { seconds };
            any = true;
        } else if let Some((years, months)) = bare.split_once('-') {
            let (years, months): (f64, f64) =
                (years.parse().map_err(|_| wrong())?, months.parse().map_err(|_| wrong())?);
            if months >= 12.0 {
                return Err(refuse("22008", format!("interval field value out of range: {text:?}")));
            }
            let months = years * 12.0 + months;
            total.months += if negative { -months } else { months };
            any = true;
        } else if bare.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.') {
            if number.is_some() {
                return Err(wrong());
            }
            number = Some(piece.parse().map_err(|_| wrong())?);
        } else {
            total.add(number.take().ok_or_else(wrong)?, piece).ok_or_else(wrong)?;
            any = true;
        }
    }
    if let Some(number) = number {
        total.add(number, unit.unwrap_or("second")).ok_or_else(wrong)?;
        any = true;
    }
    if !any {
        return Err(wrong());
    }
    let span = total.span()?;
    if ago { negated(span).ok_or_else(out_of_range) } else { Ok(span) }
}

fn negated(span: Span) -> Option<Span> {
    Some(Span {
        months: span.months.checked_neg()?,
        days: span.days.checked_neg()?,
        nanoseconds: span.nanoseconds.checked_neg()?,
    })
}

fn out_of_range() -> DataFusionError {
    refuse("22008", "interval out of range")
}

/// `3days` as `3` and `days`.
fn split_units(piece: &str) -> impl Iterator<Item = &str> {
    let at = piece.find(|letter: char| letter.is_ascii_alphabetic()).filter(|at| *at > 0).unwrap_or(piece.len());
    let (number, unit) = piece.split_at(at);
    [number, unit].into_iter().filter(|part| !part.is_empty())
}

/// `04:05:06.7` in seconds; two parts are hours and minutes, unless seconds are asked for.
fn clock_seconds(text: &str, unit: Option<&str>) -> Option<f64> {
    let parts: Vec<f64> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts.as_slice() {
        [minutes, seconds] if unit == Some("second") || text.contains('.') => Some(minutes * 60.0 + seconds),
        [hours, minutes] if *minutes < 60.0 => Some(hours * 3_600.0 + minutes * 60.0),
        [hours, minutes, seconds] if *minutes < 60.0 && *seconds < 61.0 => {
            Some(hours * 3_600.0 + minutes * 60.0 + seconds)
        }
        _ => None,
    }
}

/// Sums of parts that may have fractions.
#[derive(Debug, Default)]
struct Fraction {
    months: f64,
    days: f64,
    seconds: f64,
}

impl Fraction {
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        match unit_of(unit)? {
            "year" => self.months += (number * 12.0).round_ties_even(),
            "decade" => self.months += (number * 120.0).round_ties_even(),
            "century" => self.months += (number * 1_200.0).round_ties_even(),
            "millennium" => self.months += (number * 12_000.0).round_ties_even(),
            "month" => self.months += number,
            "quarter" => self.months += number * 3.0,
            "week" => self.days += number * 7.0,
            "day" => self.days += number,
            "hour" => self.seconds += number * 3_600.0,
            "minute" => self.seconds += number * 60.0,
            "second" => self.seconds += number,
            "milliseconds" => self.seconds += number / 1e3,
            "microseconds" => self.seconds += number / 1e6,
            _ => return None,
        }
        Some(())
    }

    /// What is less than a month becomes days of thirty, what is less than a day becomes time.
    fn span(&self) -> Result<Span> {
        let days = self.days + (self.months.fract() * 30.0 * 1e6).round() / 1e6;
        let micros = ((self.seconds + days.fract() * 86_400.0) * 1e6).round();
        // A conversion of what is too large gives the largest number, which is too large as well.
        let nanoseconds = (micros as i64).checked_mul(1_000).ok_or_else(out_of_range)?;
        span(self.months.trunc() as i64, days.trunc() as i64, nanoseconds)
    }
}

/// What follows the `P`.
fn iso_interval(iso: &str, text: &str) -> Result<Span> {
    let wrong = || wrong_time("interval", text);
    let mut total = Fraction::default();
    let mut in_time = false;
    let mut number = String::new();
    for letter in iso.chars() {
        match letter {
            't' => in_time = true,
            '0'..='9' | '.' | '-' | '+' => number.push(letter),
            _ => {
                let value: f64 = std::mem::take(&mut number).parse().map_err(|_| wrong())?;
                let unit = match (letter, in_time) {
                    ('y', false) => "year",
                    ('m', false) => "month",
                    ('w', false) => "week",
                    ('d', false) => "day",
                    ('h', true) => "hour",
                    ('m', true) => "minute",
                    ('s', true) => "second",
                    _ => return Err(wrong()),
                };
                total.add(value, unit).ok_or_else(wrong)?;
            }
        }
    }
    if number.is_empty() { total.span() } else { Err(wrong()) }
}
