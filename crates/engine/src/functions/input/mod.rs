//! Text as PostgreSQL reads it into other types.

mod arrays;
mod intervals;
mod times;

use datafusion::common::{DataFusionError, Result};
use polder_kernels::bytea;

pub(crate) use self::arrays::{Element, array};
pub(crate) use self::intervals::interval;
pub(crate) use self::times::time;
use super::function::refuse;

pub(crate) fn wrong(kind: &str, text: &str) -> DataFusionError {
    refuse("22P02", format!("invalid input syntax for type {kind}: {text:?}"))
}

fn wrong_time(kind: &str, text: &str) -> DataFusionError {
    refuse("22007", format!("invalid input syntax for type {kind}: {text:?}"))
}

fn no_time(text: &str) -> DataFusionError {
    refuse("22008", format!("date/time field value out of range: {text:?}"))
}

/// `t`, `yes`, `on`, `1` and their beginnings.
pub(crate) fn boolean(text: &str) -> Result<bool> {
    let lower = text.trim().to_ascii_lowercase();
    let begins = |word: &str, least: usize| lower.len() >= least && word.starts_with(&lower);
    if begins("true", 1) || begins("yes", 1) || lower == "on" || lower == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || lower == "0" {
        Ok(false)
    } else {
        Err(wrong("boolean", text))
    }
}

/// A whole number of `bits` bits.
pub(crate) fn integer(text: &str, low: i64, high: i64, kind: &str) -> Result<i64> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(kind, text));
    }
    match trimmed.parse::<i64>() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(refuse("22003", format!("value {text:?} is out of range for type {kind}"))),
    }
}

pub(crate) fn float(text: &str, single: bool) -> Result<f64> {
    let kind = if single { "real" } else { "double precision" };
    let lower = text.trim().to_ascii_lowercase();
    let (negative, body) = match lower.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, lower.strip_prefix('+').unwrap_or(&lower)),
    };
    let value = match body {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => f64::NAN,
        _ if !body.starts_with(|first: char| first.is_ascii_digit() || first == '.') => return Err(wrong(kind, text)),
        _ => {
            let value: f64 = body.parse().map_err(|_| wrong(kind, text))?;
            let shown = if single { f64::from(value as f32) } else { value };
            let nonzero =
                body.split('e').next().is_some_and(|mantissa| mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b)));
            if shown.is_infinite() || (shown == 0.0 && nonzero) {
                return Err(refuse("22003", format!("{text:?} is out of range for type {kind}")));
            }
            value
        }
    };
    Ok(if negative { -value } else { value })
}

/// A decimal of so many digits, rounded half away from zero.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128> {
    let trimmed = text.trim();
    let (negative, body) = match trimmed.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let lower = body.to_ascii_lowercase();
    if matches!(lower.as_str(), "nan" | "inf" | "infinity") {
        return Err(refuse("0A000", format!("a decimal cannot hold {body}; a float can")));
    }
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong("numeric", text))?),
        None => (lower.as_str(), 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("numeric", text));
    }
    let overflow = || {
        refuse(
            "22003",
            format!("numeric field overflow: {trimmed} has more digits than numeric({precision},{scale}) holds"),
        )
    };
    // Where the rounded number ends among the digits.
    let keep = i64::from(whole.len() as i32 + exponent) + i64::from(scale);
    let mut value: i128 = 0;
    let mut round = false;
    for (at, byte) in digits().enumerate() {
        let at = at as i64;
        if at < keep {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(i128::from(byte - b'0')))
                .ok_or_else(overflow)?;
        } else if at == keep {
            round = byte >= b'5';
        }
    }
    let missing = keep - digits().count() as i64;
    if missing > 0 && value != 0 {
        let power = 10_i128.checked_pow(u32::try_from(missing).map_err(|_| overflow())?).ok_or_else(overflow)?;
        value = value.checked_mul(power).ok_or_else(overflow)?;
    }
    value += i128::from(round);
    if value >= 10_i128.checked_pow(precision.into()).unwrap_or(i128::MAX) {
        return Err(overflow());
    }
    Ok(if negative { -value } else { value })
}

/// `\x00ff`, or letters with `\ooo` and `\\`.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    bytea::read(text.as_bytes(), &mut out).map_err(|what| match what {
        bytea::Wrong::Hex => refuse("22023", format!("invalid hexadecimal data: {text:?}")),
        bytea::Wrong::Escape => wrong("bytea", text),
    })?;
    Ok(out)
}
