//! What one cell of a text file looks like.

use std::borrow::Cow;

use super::dates::{self, Moment};

/// Cells that mean "missing" when the rest of the column has a type. In a text column they stay what they are.
/// The last three say in Dutch and German that there is none, or that it does not apply.
pub(crate) const NULL_WORDS: [&str; 16] = [
    "NA", "N/A", "n/a", "null", "NULL", "Null", "NaN", "nan", "-", "\\N", "?", "None", "#N/A", "n.a.", "n.v.t.", "k.A.",
];

/// The places of `NaN` and `nan` in [`NULL_WORDS`]: in a column of fractions they are a value, not a missing one.
pub(crate) const NAN_WORDS: u16 = (1 << 6) | (1 << 7);

/// What a cell looks like, blanks around it left aside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Look {
    Empty,
    /// One of [`NULL_WORDS`], by its place.
    Null(u8),
    Bool,
    /// Fits 64 bits.
    Int,
    /// An integer too long for 64 bits, with so many digits.
    Long(usize),
    /// With a point or an exponent.
    Double,
    /// `12,5`: a fraction where the comma is the decimal sign. True for one such as `1,250`, which may also be a
    /// thousand and more.
    Comma(bool),
    /// Thousands set apart beyond doubt: `1,234,567`, `1.234,50`.
    Grouped(Grouped),
    /// Digits with leading zeros or a plus: a code, not a quantity.
    Padded,
    Moment(Moment),
    Text,
}

/// A number whose thousands are set apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Grouped {
    /// By points, and so the comma is the decimal sign; otherwise the other way round.
    pub by_points: bool,
    pub has_fraction: bool,
    /// The first group has fewer than three digits, as those of a list of codes have not.
    pub is_short: bool,
}

/// Cuts blanks off both ends.
#[inline]
pub(crate) fn trim(cell: &[u8]) -> &[u8] {
    match cell {
        [first, .., last] if *first > b' ' && *last > b' ' => cell,
        _ => cell.trim_ascii(),
    }
}

/// Looks at a cell.
pub(crate) fn look(cell: &[u8]) -> Look {
    let cell = trim(cell);
    let Some(first) = cell.first() else { return Look::Empty };
    match first {
        b'0'..=b'9' => digits_first(cell),
        b'-' => signed(cell),
        b'+' => match look_number(&cell[1..]) {
            Look::Int | Look::Long(_) | Look::Double | Look::Comma(_) | Look::Grouped(_) | Look::Padded => Look::Padded,
            _ => Look::Text,
        },
        b'.' => look_number(cell),
        _ => word(cell),
    }
}

fn digits_first(cell: &[u8]) -> Look {
    match look_number(cell) {
        Look::Text => dates::parse(cell).map_or(Look::Text, Look::Moment),
        number => number,
    }
}

fn signed(cell: &[u8]) -> Look {
    match look_number(&cell[1..]) {
        Look::Text => word(cell),
        // -9223372036854775808 has one more value than its positive side.
        Look::Long(19) if parse_i64(cell).is_some() => Look::Int,
        number => number,
    }
}

/// A number without a sign, or `Text`.
fn look_number(cell: &[u8]) -> Look {
    let whole = cell.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let padded = whole > 1 && cell[0] == b'0';
    let Some((mark, rest)) = cell[whole..].split_first() else {
        return match whole {
            0 => Look::Text,
            _ if padded => Look::Padded,
            1..=18 => Look::Int,
            19 if parse_i64(cell).is_some() => Look::Int,
            _ => Look::Long(whole),
        };
    };
    let fraction = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let fits = match mark {
        b'.' => (whole + fraction > 0) && exponent(&rest[fraction..]),
        b'e' | b'E' => whole > 0 && exponent(&cell[whole..]),
        b',' => whole > 0 && fraction > 0 && fraction == rest.len(),
        _ => false,
    };
    // 1e999 is no number that a double can hold.
    let plain = *mark == b'.' && fraction == rest.len() && whole <= 300;
    match (fits, padded, mark) {
        (false, _, _) => grouped(cell).map_or(Look::Text, Look::Grouped),
        (true, true, _) => Look::Padded,
        (true, _, b',') => Look::Comma(is_one_group(cell, b',')),
        _ if plain || parse_f64(cell).is_some() => Look::Double,
        _ => Look::Text,
    }
}

/// Thousands set apart, more than once or before a fraction: one group alone, as in `1,250`, may be a fraction itself.
fn grouped(cell: &[u8]) -> Option<Grouped> {
    let mark = *cell.iter().find(|byte| !byte.is_ascii_digit())?;
    let decimal = match mark {
        b'.' => b',',
        b',' => b'.',
        _ => return None,
    };
    let (whole, fraction) = match cell.iter().position(|byte| *byte == decimal) {
        Some(at) => (&cell[..at], Some(&cell[at + 1..])),
        None => (cell, None),
    };
    let groups = groups(whole, mark)?;
    let fits = fraction.map_or(groups > 1, |digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
    let is_short = whole.get(2).is_none_or(|third| *third == mark) || whole.get(1) == Some(&mark);
    fits.then_some(Grouped { by_points: mark == b'.', has_fraction: fraction.is_some(), is_short })
}

/// How many groups of three digits stand behind the first one, which has no leading zero; `None` if any has not three, or
/// there is none, or the number is too long to be one of 64 bits.
fn groups(whole: &[u8], mark: u8) -> Option<usize> {
    const GROUPS_MAX: usize = 5;
    let mut parts = whole.split(|byte| *byte == mark);
    let first = parts.next()?;
    let leads = (1..=3).contains(&first.len()) && first[0] != b'0' && first.iter().all(u8::is_ascii_digit);
    let mut count = 0;
    for part in parts {
        count += 1;
        if part.len() != 3 || !part.iter().all(u8::is_ascii_digit) {
            return None;
        }
    }
    (leads && (1..=GROUPS_MAX).contains(&count)).then_some(count)
}

/// True for one group alone, with a sign perhaps: `1.250`.
pub(crate) fn is_one_group(cell: &[u8], mark: u8) -> bool {
    groups(cell.strip_prefix(b"-").unwrap_or(cell), mark) == Some(1)
}

/// A number as the parsers of this module read it, its thousands together and its decimal sign a point. `None` if `mark`
/// stands elsewhere than between thousands.
pub(crate) fn plain_number(cell: &[u8], thousands: Option<u8>, comma: bool) -> Option<Cow<'_, [u8]>> {
    let is_plain = |byte: &u8| Some(*byte) != thousands && (*byte != b',' || !comma);
    if cell.iter().all(is_plain) {
        return Some(Cow::Borrowed(cell));
    }
    let decimal = if comma { b',' } else { b'.' };
    let whole = cell.split(|byte| *byte == decimal).next()?;
    if let Some(mark) = thousands
        && whole.contains(&mark)
    {
        groups(whole.strip_prefix(b"-").unwrap_or(whole), mark)?;
    }
    if cell[whole.len()..].iter().any(|byte| Some(*byte) == thousands) {
        return None;
    }
    let kept = cell.iter().filter(|byte| Some(**byte) != thousands);
    Some(Cow::Owned(kept.map(|byte| if *byte == decimal { b'.' } else { *byte }).collect()))
}

/// Decimal digits that always tell two doubles apart: no more of them are kept.
pub(crate) const DOUBLE_DIGITS: usize = 17;

/// The digits before and behind the point of a number without an exponent.
pub(crate) fn fraction_digits(cell: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    let point = memchr::memchr(b'.', digits)?;
    let (whole, fraction) = (&digits[..point], &digits[point + 1..]);
    whole.iter().chain(fraction).all(u8::is_ascii_digit).then_some((whole, fraction))
}

/// How many digits say something: zeros at both ends only say where the point is.
pub(crate) fn meant_digits(whole: &[u8], fraction: &[u8]) -> usize {
    let digits = || whole.iter().chain(fraction);
    let before = digits().take_while(|digit| **digit == b'0').count();
    let behind = digits().rev().take_while(|digit| **digit == b'0').count();
    digits().count().saturating_sub(before + behind)
}

/// True for nothing, or a whole exponent.
fn exponent(rest: &[u8]) -> bool {
    let Some((mark, rest)) = rest.split_first() else { return true };
    let digits = match rest {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    matches!(mark, b'e' | b'E') && (1..=4).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

fn word(cell: &[u8]) -> Look {
    if cell.len() <= 6 {
        if cell.eq_ignore_ascii_case(b"true") || cell.eq_ignore_ascii_case(b"false") {
            return Look::Bool;
        }
        if let Some(place) = null_word(cell) {
            return Look::Null(place);
        }
    }
    if infinity(cell).is_some() {
        return Look::Double;
    }
    if cell[0].is_ascii_alphabetic() {
        return dates::parse(cell).map_or(Look::Text, Look::Moment);
    }
    Look::Text
}

/// The place of a cell in [`NULL_WORDS`].
#[inline]
pub(crate) fn null_word(cell: &[u8]) -> Option<u8> {
    if cell.is_empty() || cell.len() > 6 {
        return None;
    }
    let place = NULL_WORDS.iter().position(|word| word.as_bytes() == cell)?;
    u8::try_from(place).ok()
}

fn infinity(cell: &[u8]) -> Option<f64> {
    let (sign, word) = match cell {
        [b'-', word @ ..] => (-1.0, word),
        word => (1.0, word),
    };
    [&b"inf"[..], b"Inf", b"Infinity"].contains(&word).then_some(sign * f64::INFINITY)
}

/// A 64-bit integer without blanks, plus sign or separators.
#[inline]
pub(crate) fn parse_i64(cell: &[u8]) -> Option<i64> {
    let (negative, digits) = match cell {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    // Nineteen digits fit 64 bits without a sign, so overflow is looked at once, at the end.
    let mut value = 0_u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    if negative { 0_i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// An integer of up to 38 digits.
pub(crate) fn parse_i128(cell: &[u8]) -> Option<i128> {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    if digits.is_empty() || digits.len() > 38 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(cell).ok()?.parse().ok()
}

/// A finite double, or a spelled infinity. `NaN` is read too: who means "missing" by it asks first.
#[inline]
pub(crate) fn parse_f64(cell: &[u8]) -> Option<f64> {
    if let Some(value) = short_f64(cell) {
        return Some(value);
    }
    let first = *cell.strip_prefix(b"-").unwrap_or(cell).first()?;
    if first.is_ascii_digit() || first == b'.' {
        let value: f64 = std::str::from_utf8(cell).ok()?.parse().ok()?;
        return value.is_finite().then_some(value);
    }
    match cell {
        b"NaN" | b"nan" => Some(f64::NAN),
        _ => infinity(cell),
    }
}

/// Up to 15 digits around one point. Both parts are exact doubles, so one division rounds correctly
/// (W. D. Clinger, "How to Read Floating Point Numbers Accurately", 1990, the fast path).
#[inline]
fn short_f64(cell: &[u8]) -> Option<f64> {
    const TENS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match cell {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    let mut value = 0_u64;
    let mut point = None;
    for (place, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(place);
        } else {
            return None;
        }
    }
    let fraction = point.map_or(0, |place| digits.len() - place - 1);
    let count = digits.len() - usize::from(point.is_some());
    if count == 0 || count > 15 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "fifteen digits are exact")]
    let value = value as f64 / TENS.get(fraction)?;
    Some(if negative { -value } else { value })
}

/// True for the spellings of yes and no that a column chosen to be boolean may have.
pub(crate) fn parse_bool(cell: &[u8]) -> Option<bool> {
    const SPELLINGS: [(&[u8], bool); 10] = [
        (b"true", true),
        (b"false", false),
        (b"t", true),
        (b"f", false),
        (b"yes", true),
        (b"no", false),
        (b"y", true),
        (b"n", false),
        (b"1", true),
        (b"0", false),
    ];
    SPELLINGS.iter().find(|(word, _)| cell.eq_ignore_ascii_case(word)).map(|(_, value)| *value)
}
