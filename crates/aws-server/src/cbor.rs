//! Bodies in CBOR (RFC 8949), as AWS' SDKs for Java write them: times are milliseconds with tag 1.

use crate::error::ApiResult;
use crate::value::{DEPTH_MAX, VALUES_MAX, Value, unreadable};

/// # Errors
/// `SerializationException`.
pub fn read(bytes: &[u8]) -> ApiResult<Value> {
    let mut reader = Reader { rest: bytes, left: VALUES_MAX };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(unreadable("something follows it")) }
}

struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
}

/// The number in an item's head; `None`: it goes on until a break.
type Head = (u8, Option<u64>, u8);

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> ApiResult<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| unreadable("it ends too early"))?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(|| unreadable("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: u64) -> ApiResult<u64> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn head(&mut self) -> ApiResult<Head> {
        self.left = self.left.checked_sub(1).ok_or_else(|| unreadable("there are too many values"))?;
        let first = self.number(1)?.to_le_bytes()[0];
        let (major, detail) = (first >> 5, first & 0x1f);
        let number = match detail {
            0..24 => Some(u64::from(detail)),
            24..28 => Some(self.number(1 << (detail - 24))?),
            31 => None,
            _ => return Err(unreadable("an item of no known kind")),
        };
        Ok((major, number, detail))
    }

    fn at_break(&mut self) -> bool {
        let is_break = self.rest.first() == Some(&0xff);
        if is_break {
            self.rest = &self.rest[1..];
        }
        is_break
    }

    /// Bytes or text, whole or in parts.
    fn bytes(&mut self, major: u8, length: Option<u64>) -> ApiResult<Vec<u8>> {
        if let Some(length) = length {
            return Ok(self.take(length)?.to_vec());
        }
        let mut bytes = Vec::new();
        while !self.at_break() {
            match self.head()? {
                (of, Some(length), _) if of == major => bytes.extend_from_slice(self.take(length)?),
                _ => return Err(unreadable("a part is of another kind than the whole")),
            }
        }
        Ok(bytes)
    }

    fn text(&mut self, length: Option<u64>) -> ApiResult<String> {
        String::from_utf8(self.bytes(3, length)?).map_err(|_| unreadable("a text is no UTF-8"))
    }

    fn value(&mut self, depth: usize) -> ApiResult<Value> {
        if depth > DEPTH_MAX {
            return Err(unreadable("it is nested too deeply"));
        }
        let (major, number, detail) = self.head()?;
        match (major, number) {
            (0 | 1, Some(number)) => {
                let number = i64::try_from(number).map_err(|_| unreadable("a number is too large"))?;
                Ok(Value::Int(if major == 0 { number } else { -1 - number }))
            }
            (2, length) => Ok(Value::Blob(self.bytes(2, length)?)),
            (3, length) => Ok(Value::Text(self.text(length)?)),
            (4, length) => self.list(length, depth),
            (5, length) => self.map(length, depth),
            (6, Some(tag)) => match (tag, self.value(depth + 1)?) {
                (1, Value::Int(ms)) => Ok(Value::Time(ms)),
                // Whole milliseconds of seconds; what is beyond them is the nearest that there is.
                (1, Value::Float(seconds)) => Ok(Value::Time((seconds * 1_000.0).round() as i64)),
                (_, value) => Ok(value),
            },
            (7, Some(number)) => simple(number, detail),
            _ => Err(unreadable("an item that has no end, or an end of none")),
        }
    }

    fn list(&mut self, length: Option<u64>, depth: usize) -> ApiResult<Value> {
        let (mut items, mut left) = (Vec::new(), length);
        loop {
            match &mut left {
                Some(0) => break,
                Some(left) => *left -= 1,
                None if self.at_break() => break,
                None => {}
            }
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, length: Option<u64>, depth: usize) -> ApiResult<Value> {
        let (mut members, mut left) = (Vec::new(), length);
        loop {
            match &mut left {
                Some(0) => break,
                Some(left) => *left -= 1,
                None if self.at_break() => break,
                None => {}
            }
            let (3, length, _) = self.head()? else { return Err(unreadable("a member's name is no text")) };
            members.push((self.text(length)?, self.value(depth + 1)?));
        }
        Ok(Value::Map(members))
    }
}

fn simple(number: u64, detail: u8) -> ApiResult<Value> {
    match detail {
        20 => Ok(Value::Bool(false)),
        21 => Ok(Value::Bool(true)),
        22 | 23 => Ok(Value::Null),
        26 => Ok(Value::Float(f64::from(f32::from_bits(u32::try_from(number).unwrap_or_default())))),
        27 => Ok(Value::Float(f64::from_bits(number))),
        _ => Err(unreadable("a value of no known kind")),
    }
}

pub fn write(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, value);
    bytes
}

fn put_head(to: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..24 => to.push(major | bytes[7]),
        24..0x100 => to.extend([major | 24, bytes[7]]),
        0x100..0x1_0000 => {
            to.push(major | 25);
            to.extend(&bytes[6..]);
        }
        0x1_0000..0x1_0000_0000 => {
            to.push(major | 26);
            to.extend(&bytes[4..]);
        }
        _ => {
            to.push(major | 27);
            to.extend(bytes);
        }
    }
}

fn put_bytes(to: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    put_head(to, major, bytes.len() as u64);
    to.extend(bytes);
}

fn put_int(to: &mut Vec<u8>, number: i64) {
    match u64::try_from(number) {
        Ok(number) => put_head(to, 0, number),
        Err(_) => put_head(to, 1, (-1 - number).unsigned_abs()),
    }
}

fn put(to: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => to.push(0xf6),
        Value::Bool(value) => to.push(if *value { 0xf5 } else { 0xf4 }),
        Value::Int(number) => put_int(to, *number),
        Value::Float(number) => {
            to.push(0xfb);
            to.extend(number.to_bits().to_be_bytes());
        }
        Value::Text(text) => put_bytes(to, 3, text.as_bytes()),
        Value::Blob(bytes) => put_bytes(to, 2, bytes),
        Value::Time(ms) => {
            put_head(to, 6, 1);
            put_int(to, *ms);
        }
        Value::List(items) => {
            put_head(to, 4, items.len() as u64);
            items.iter().for_each(|item| put(to, item));
        }
        Value::Map(members) => {
            put_head(to, 5, members.len() as u64);
            for (name, value) in members {
                put_bytes(to, 3, name.as_bytes());
                put(to, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::map;

    #[test]
    fn what_is_written_is_read_and_what_lies_is_refused() {
        let list = vec![0_i64, 23, 24, 255, 256, 65_536, 1 << 40, -1, -500, i64::MIN];
        let value = map([
            ("list", list.into()),
            ("text", "ü".into()),
            ("blob", Value::Blob(vec![0; 300])),
            ("time", Value::Time(1_800_000_000_123)),
            ("more", vec![Value::Bool(true), Value::Null, Value::Float(2.5), map([])].into()),
        ]);
        let bytes = write(&value);
        assert_eq!(read(&bytes).unwrap(), value);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end}");
        }
        // Without lengths, as Jackson writes it.
        assert_eq!(read(b"\xbf\x61a\x9f\x01\x02\xff\x61b\x5f\x41x\x41y\xff\xff").unwrap(), {
            map([("a", vec![1_i64, 2].into()), ("b", Value::Blob(b"xy".to_vec()))])
        });
        let deep = [0x81; 100];
        for wrong in [
            &b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
            &deep,
            b"\xff",
            b"\xc1",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
