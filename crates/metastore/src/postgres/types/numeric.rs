//! PostgreSQL's binary NUMERIC: digits in base 10,000, a weight, a sign and a display scale.
//! (`src/backend/utils/adt/numeric.c`, `numeric_send`)

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// The decimal text of a binary numeric, or `None` if the bytes are no numeric.
pub(super) fn decode(bytes: &[u8]) -> Option<String> {
    let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let count = usize::from(words.next()?);
    #[allow(clippy::cast_possible_wrap, reason = "the weight is signed on the wire")]
    let weight = i32::from(words.next()? as i16);
    let sign = words.next()?;
    let scale = usize::from(words.next()?);
    match sign {
        NOT_A_NUMBER => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let groups: Vec<u16> = words.take(count).collect();
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let mut text = String::new();
    if sign == NEGATIVE {
        text.push('-');
    }
    if weight < 0 {
        text.push('0');
    }
    for at in 0..=weight {
        let digits = if at == 0 { group(at).to_string() } else { format!("{:04}", group(at)) };
        text.push_str(&digits);
    }
    if scale > 0 {
        let mut fraction = String::new();
        let mut at = weight + 1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", if at < 0 { 0 } else { group(at) }));
            at += 1;
        }
        fraction.truncate(scale);
        text.push('.');
        text.push_str(&fraction);
    }
    Some(text)
}

/// Appends the binary form of a decimal text such as `-12.50`. `None` if it is none.
pub(super) fn encode(text: &str, buffer: &mut Vec<u8>) -> Option<()> {
    let special = match text {
        "NaN" => Some(NOT_A_NUMBER),
        "Infinity" | "inf" => Some(INFINITY),
        "-Infinity" | "-inf" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        for word in [0, 0, sign, 0] {
            buffer.extend(word.to_be_bytes());
        }
        return Some(());
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || whole.len() + fraction.len() == 0 {
        return None;
    }
    let padded_whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let padded_fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let mut groups: Vec<u16> = Vec::new();
    for chunk in padded_whole.as_bytes().chunks(4).chain(padded_fraction.as_bytes().chunks(4)) {
        groups.push(std::str::from_utf8(chunk).ok()?.parse().ok()?);
    }
    let mut weight = i16::try_from(padded_whole.len() / 4).ok()? - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    groups.drain(..leading);
    weight -= i16::try_from(leading).ok()?;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    buffer.extend(u16::try_from(groups.len()).ok()?.to_be_bytes());
    buffer.extend(weight.to_be_bytes());
    buffer.extend(sign.to_be_bytes());
    buffer.extend(u16::try_from(fraction.len()).ok()?.to_be_bytes());
    for group in groups {
        buffer.extend(group.to_be_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests;
