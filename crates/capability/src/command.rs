//! Typed settings that a capability reads, so that `SHOW ALL`, `--help` and the console agree.

use polder_types::{Error, Result};

/// The milliseconds of a duration, as PostgreSQL reads settings that are one: a number without a unit is one of milliseconds.
/// `None` for 0, which is no limit.
///
/// # Errors
/// `InvalidInput` (22023), naming the setting.
pub fn millis(name: &str, value: &str) -> Result<Option<u64>> {
    let value = value.trim();
    let digits = value.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let scale = match unit.trim() {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let millis = number.parse::<u64>().ok().zip(scale).and_then(|(number, scale)| number.checked_mul(scale));
    match millis {
        Some(0) => Ok(None),
        Some(millis) if i32::try_from(millis).is_ok() => Ok(Some(millis)),
        _ => Err(Error::invalid(format!("invalid value for parameter \"{name}\": \"{value}\""))
            .with_code("22023")
            .with_hint("a number of milliseconds, or one with ms, s, min, h or d; 0 for none")),
    }
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
