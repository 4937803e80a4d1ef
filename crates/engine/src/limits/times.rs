//! Times as PostgreSQL's settings have them.

use polder_types::{Error, Result};

/// Units and their milliseconds, the largest first.
const UNITS: &[(&str, f64)] =
    &[("d", 86_400_000.0), ("h", 3_600_000.0), ("min", 60_000.0), ("s", 1_000.0), ("ms", 1.0), ("us", 0.001)];

/// Reads a time, where a number without a unit is one of milliseconds; 0 is none.
///
/// # Errors
/// `InvalidInput` (22023).
pub(super) fn millis(name: &str, value: &str) -> Result<Option<u64>> {
    let value = value.trim();
    let is_of_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-' | '+');
    let (number, unit) = value.split_at(value.find(|letter| !is_of_number(letter)).unwrap_or(value.len()));
    let scale = match unit.trim() {
        "" => Some(1.0),
        unit => UNITS.iter().find(|(known, _)| *known == unit).map(|(_, scale)| *scale),
    };
    let read = number.parse::<f64>().ok().zip(scale).map(|(number, scale)| (number * scale).round());
    let hint = "a number of milliseconds, or one with us, ms, s, min, h or d; 0 for none";
    let message = match read {
        Some(0.0) => return Ok(None),
        Some(millis) if millis > 0.0 && millis <= f64::from(i32::MAX) => return Ok(Some(millis as u64)),
        Some(millis) if millis < 0.0 => {
            format!("{millis} ms is outside the valid range for parameter \"{name}\" (0 .. {})", i32::MAX)
        }
        _ => format!("invalid value for parameter \"{name}\": \"{value}\""),
    };
    Err(Error::invalid(message).with_code("22023").with_hint(hint))
}

/// With the largest unit of which it is a whole number.
pub(super) fn told(millis: Option<u64>) -> String {
    let Some(millis) = millis else { return "0".to_owned() };
    let whole =
        UNITS.iter().map(|(unit, scale)| (unit, *scale as u64)).find(|(_, scale)| *scale > 0 && millis % scale == 0);
    whole.map_or_else(|| format!("{millis}ms"), |(unit, scale)| format!("{}{unit}", millis / scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_told() {
        for (text, told_as) in [
            ("0", "0"),
            ("250", "250ms"),
            ("5s", "5s"),
            ("1.5s", "1500ms"),
            ("600 s", "10min"),
            ("90min", "90min"),
            ("24h", "1d"),
            ("2000us", "2ms"),
        ] {
            assert_eq!(told(millis("statement_timeout", text).unwrap()), told_as, "{text}");
        }
        for text in ["", "soon", "5 parsecs", "-1", "100d", "1-2"] {
            assert_eq!(millis("statement_timeout", text).unwrap_err().code(), "22023", "{text}");
        }
    }
}
