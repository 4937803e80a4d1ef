//! PostgreSQL's `numeric` in binary: digits in base 10,000, the weight of the first one, a sign, and the digits shown
//! behind the point. (PostgreSQL's source, `src/backend/utils/adt/numeric.c`, `numeric_send`.)

use bytes::{Buf, BufMut, Bytes, BytesMut};
use polder_types::Result;

use crate::wire::frontend::{Fields, broken};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITE: u16 = 0xD000;
const MINUS_INFINITE: u16 = 0xF000;

/// Decimal digits in one of base 10,000.
const GROUP: usize = 4;

/// Digits before and behind the point that are read: more than any number here can have.
const DIGITS_MAX: i32 = 1_000;

/// Writes a decimal number, such as `-12.50`.
pub(crate) fn write(out: &mut BytesMut, text: &str) {
    let (sign, text) = text.strip_prefix('-').map_or((POSITIVE, text), |rest| (NEGATIVE, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let lead = (GROUP - whole.len() % GROUP) % GROUP;
    let trail = (GROUP - fraction.len() % GROUP) % GROUP;
    let digits = format!("{:0<lead$}{whole}{fraction}{:0<trail$}", "", "");
    let value = |group: &[u8]| group.iter().fold(0, |sum: u16, digit| sum * 10 + u16::from(digit.saturating_sub(b'0')));
    let groups: Vec<u16> = digits.as_bytes().chunks(GROUP).map(value).collect();
    let first = groups.iter().position(|group| *group != 0).unwrap_or(groups.len());
    let last = groups.iter().rposition(|group| *group != 0).map_or(first, |last| last + 1);
    let shown = groups.get(first..last).unwrap_or_default();
    let weight = if shown.is_empty() { 0 } else { signed((whole.len() + lead) / GROUP) - signed(first) - 1 };
    out.put_u16(u16::try_from(shown.len()).unwrap_or(u16::MAX));
    out.put_i16(weight);
    out.put_u16(if shown.is_empty() { POSITIVE } else { sign });
    out.put_u16(u16::try_from(fraction.len()).unwrap_or(u16::MAX));
    shown.iter().for_each(|group| out.put_u16(*group));
}

fn signed(count: usize) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

/// Reads one as a decimal text.
///
/// # Errors
/// `InvalidInput` (08P01).
pub(crate) fn read(bytes: Bytes) -> Result<String> {
    let mut fields = Fields(bytes);
    let count = i32::from(fields.i16()?);
    let weight = i32::from(fields.i16()?);
    let sign = fields.i16()? as u16;
    let scale = i32::from(fields.i16()?);
    match sign {
        NAN => return Ok("NaN".into()),
        INFINITE => return Ok("Infinity".into()),
        MINUS_INFINITE => return Ok("-Infinity".into()),
        POSITIVE | NEGATIVE => {}
        _ => return Err(broken("a number has no such sign")),
    }
    if weight.abs() > DIGITS_MAX || !(0..=DIGITS_MAX * 16).contains(&scale) || count < 0 {
        return Err(broken("a number has more digits than can be"));
    }
    let groups = (0..count).map(|_| fields.i16()).collect::<Result<Vec<i16>>>()?;
    if fields.0.has_remaining() || groups.iter().any(|group| !(0..10_000).contains(group)) {
        return Err(broken("a number has wrong digits"));
    }
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let mut text = String::new();
    for at in 0..=weight {
        let digits = group(at);
        text.push_str(&if at == 0 { digits.to_string() } else { format!("{digits:04}") });
    }
    if text.is_empty() {
        text.push('0');
    }
    if scale > 0 {
        let fraction: String = (weight + 1..=weight + 1 + scale / 4).map(|at| format!("{:04}", group(at))).collect();
        text.push('.');
        text.push_str(fraction.get(..usize::try_from(scale).unwrap_or(0)).unwrap_or(&fraction));
    }
    Ok(if sign == NEGATIVE { format!("-{text}") } else { text })
}

#[cfg(test)]
mod tests;
