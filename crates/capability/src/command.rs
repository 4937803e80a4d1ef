//! Typed settings that a capability reads, so that `SHOW ALL`, `--help` and the console agree.

use polder_types::{Error, Result};

/// Units of durations, and their milliseconds.
const UNITS: &[(&str, f64)] =
    &[("us", 0.001), ("ms", 1.0), ("s", 1_000.0), ("min", 60_000.0), ("h", 3_600_000.0), ("d", 86_400_000.0)];

/// The milliseconds of a duration, as PostgreSQL reads settings that are one: a number without a unit is one of milliseconds.
/// `None` for 0, which is no limit.
///
/// # Errors
/// `InvalidInput` (22023), naming the setting.
pub fn millis(name: &str, value: &str) -> Result<Option<u64>> {
    let value = value.trim();
    let is_of_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-' | '+');
    let (number, unit) = value.split_at(value.find(|letter| !is_of_number(letter)).unwrap_or(value.len()));
    let scale = match unit.trim() {
        "" => Some(1.0),
        unit => UNITS.iter().find(|(known, _)| *known == unit).map(|(_, scale)| *scale),
    };
    let read = number.parse::<f64>().ok().zip(scale).map(|(number, scale)| (number * scale).round());
    let message = match read {
        Some(0.0) => return Ok(None),
        Some(millis) if millis > 0.0 && millis <= f64::from(i32::MAX) => return Ok(Some(millis as u64)),
        Some(millis) if millis < 0.0 => {
            format!("{millis} ms is outside the valid range for parameter \"{name}\" (0 .. {})", i32::MAX)
        }
        _ => format!("invalid value for parameter \"{name}\": \"{value}\""),
    };
    Err(Error::invalid(message)
        .with_code("22023")
        .with_hint("a number of milliseconds, or one with us, ms, s, min, h or d; 0 for none"))
}

/// A setting's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    Bool,
    Integer,
    Text,
    Bytes,
    Seconds,
}

/// One setting: its name, type, default and reason.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    pub kind: SettingKind,
    pub default: &'static str,
    pub help: &'static str,
}
