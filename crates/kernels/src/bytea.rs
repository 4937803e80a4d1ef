//! Bytes in PostgreSQL's texts: `\x00ff`, or letters with `\ooo` and `\\`.

/// What is wrong with a text of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Behind `\x` stand no pairs of hexadecimal digits.
    Hex,
    /// A backslash begins neither `\\` nor three octal digits.
    Escape,
}

/// Adds the bytes of a text.
///
/// # Errors
/// Then some of the bytes may have been added.
pub fn read(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), Wrong> {
    match text.strip_prefix(b"\\x") {
        Some(digits) => read_hex(digits, bytes).ok_or(Wrong::Hex),
        None => read_escaped(text, bytes).ok_or(Wrong::Escape),
    }
}

fn read_hex(digits: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let mut high: Option<u8> = None;
    for letter in digits.iter().filter(|letter| !letter.is_ascii_whitespace()) {
        let digit = u8::try_from(char::from(*letter).to_digit(16)?).ok()?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    high.is_none().then_some(())
}

fn read_escaped(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let (byte, next) = match (first, after) {
            (b'\\', [b'\\', next @ ..]) => (b'\\', next),
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', next @ ..]) => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), next)
            }
            (b'\\', _) => return None,
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = next;
    }
    Some(())
}

#[cfg(test)]
mod tests;
