//! Values in Avro's binary form as JSON.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveTime};

use super::{AvroSchema, Field, Meaning, Type, TypeId};
use crate::decoded::{DecodeError, Text};

/// Reads values of one schema.
///
/// JSON as people write it, and not Avro's own form of it: the value of a union stands for itself, bytes are base64, decimals
/// are numbers, times are texts of ISO 8601.
#[derive(Debug)]
pub(crate) struct Decoder(AvroSchema);

type Decoded<T = ()> = Result<T, DecodeError>;

impl Decoder {
    pub fn new(schema: AvroSchema) -> Self {
        Self(schema)
    }

    pub fn decode(&self, value: &[u8]) -> Decoded<String> {
        let mut reading = Reading { schema: &self.0, bytes: value, text: Text::new() };
        reading.value(self.0.root, 0)?;
        if !reading.bytes.is_empty() {
            return Err(DecodeError::wrong(format!("{} bytes are left behind the value", reading.bytes.len())));
        }
        Ok(reading.text.finish())
    }
}

struct Reading<'a> {
    schema: &'a AvroSchema,
    /// What is left.
    bytes: &'a [u8],
    text: Text,
}

impl<'a> Reading<'a> {
    fn value(&mut self, id: TypeId, depth: usize) -> Decoded {
        let depth = self.text.deeper(depth)?;
        match self.schema.get(id) {
            Type::Unfinished => return Err(DecodeError::wrong("the schema has a hole")),
            Type::Null => self.text.raw("null")?,
            Type::Boolean => match self.take(1)? {
                [0] => self.text.raw("false")?,
                [1] => self.text.raw("true")?,
                _ => return Err(DecodeError::wrong("a boolean is neither 0 nor 1")),
            },
            Type::Int(meaning) => {
                let number = i32::try_from(self.long()?).map_err(|_| DecodeError::wrong("an int is too large"))?;
                self.number(i64::from(number), *meaning)?;
            }
            Type::Long(meaning) => {
                let number = self.long()?;
                self.number(number, *meaning)?;
            }
            Type::Float => {
                let number = f32::from_le_bytes(self.array()?);
                self.text.float(f64::from(number), |text| write!(text, "{number:?}"))?;
            }
            Type::Double => {
                let number = f64::from_le_bytes(self.array()?);
                self.text.float(number, |text| write!(text, "{number:?}"))?;
            }
            Type::Bytes(meaning) => {
                let bytes = self.counted()?;
                self.blob(bytes, *meaning)?;
            }
            Type::Fixed { size, meaning, .. } => {
                let bytes = self.take(*size)?;
                self.blob(bytes, *meaning)?;
            }
            Type::String => {
                let string = self.string()?;
                self.text.string(string)?;
            }
            Type::Enum { symbols, .. } => {
                let number = self.long()?;
                let symbol = usize::try_from(number).ok().and_then(|number| symbols.get(number));
                let symbol = symbol.ok_or_else(|| DecodeError::wrong(format!("the enum has no symbol {number}")))?;
                self.text.string(symbol)?;
            }
            Type::Union(branches) => {
                let number = self.long()?;
                let branch = usize::try_from(number).ok().and_then(|number| branches.get(number));
                let branch = branch.ok_or_else(|| DecodeError::wrong(format!("the union has no branch {number}")))?;
                self.value(*branch, depth)?;
            }
            Type::Array(items) => {
                self.text.raw("[")?;
                self.blocks(|reading| reading.value(*items, depth))?;
                self.text.raw("]")?;
            }
            Type::Map(values) => {
                self.text.raw("{")?;
                self.blocks(|reading| {
                    let key = reading.string()?;
                    reading.text.string(key)?;
                    reading.text.raw(":")?;
                    reading.value(*values, depth)
                })?;
                self.text.raw("}")?;
            }
            Type::Record { fields, .. } => self.record(fields, depth)?,
        }
        Ok(())
    }

    fn record(&mut self, fields: &[Field], depth: usize) -> Decoded {
        self.text.raw("{")?;
        for (number, field) in fields.iter().enumerate() {
            if number > 0 {
                self.text.raw(",")?;
            }
            self.text.string(&field.name)?;
            self.text.raw(":")?;
            self.value(field.of, depth)?;
        }
        self.text.raw("}")
    }

    /// Items come in blocks, each with its count, until an empty one.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Decoded) -> Decoded {
        let mut is_first = true;
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // The block's length in bytes, for those who skip it.
                self.long()?;
            }
            // Each item writes something, so that the bound on the text ends a count that lies.
            for _ in 0..count.unsigned_abs() {
                if !is_first {
                    self.text.raw(",")?;
                }
                is_first = false;
                item(self)?;
            }
        }
    }

    fn number(&mut self, number: i64, meaning: Meaning) -> Decoded {
        let text = match meaning {
            Meaning::Date => date(number),
            Meaning::Time(parts) => time(number, parts),
            Meaning::Timestamp(parts) => timestamp(number, parts, "Z"),
            Meaning::LocalTimestamp(parts) => timestamp(number, parts, ""),
            Meaning::Plain | Meaning::Decimal { .. } | Meaning::Uuid | Meaning::Duration => None,
        };
        match text {
            Some(text) => self.text.string(&text),
            // Before or after all calendars, or no time at all.
            None => self.text.raw(&number.to_string()),
        }
    }

    fn blob(&mut self, bytes: &[u8], meaning: Meaning) -> Decoded {
        match meaning {
            Meaning::Decimal { scale } => {
                let text = decimal(bytes, scale).ok_or_else(|| DecodeError::wrong("a decimal is too long"))?;
                self.text.raw(&text)
            }
            Meaning::Uuid => {
                let mut text = String::with_capacity(38);
                for (number, byte) in bytes.iter().enumerate() {
                    if matches!(number, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    write!(text, "{byte:02x}").map_err(|_| DecodeError::wrong("a uuid cannot be written"))?;
                }
                self.text.string(&text)
            }
            Meaning::Duration => {
                let part = |at: usize| {
                    let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                    bytes.map_or(0, u32::from_le_bytes)
                };
                let (months, days, millis) = (part(0), part(4), part(8));
                self.text.raw(&format!("{{\"months\":{months},\"days\":{days},\"milliseconds\":{millis}}}"))
            }
            _ => self.text.base64(bytes),
        }
    }

    fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(DecodeError::cut_off)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| DecodeError::cut_off())
    }

    fn counted(&mut self) -> Decoded<&'a [u8]> {
        let count = usize::try_from(self.long()?).map_err(|_| DecodeError::wrong("a length is negative"))?;
        self.take(count)
    }

    fn string(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.counted()?).map_err(|_| DecodeError::wrong("a string is no UTF-8"))
    }

    fn long(&mut self) -> Decoded<i64> {
        crate::decoded::zigzag(&mut self.bytes)
    }
}

fn date(days: i64) -> Option<String> {
    let moment = DateTime::from_timestamp(days.checked_mul(86_400)?, 0)?;
    Some(moment.format("%Y-%m-%d").to_string())
}

fn time(number: i64, parts: i64) -> Option<String> {
    let (seconds, nanos) = split(number, parts)?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(seconds).ok()?, nanos)?;
    Some(time.format(if parts == 1_000 { "%H:%M:%S%.3f" } else { "%H:%M:%S%.6f" }).to_string())
}

fn timestamp(number: i64, parts: i64, zone: &str) -> Option<String> {
    let (seconds, nanos) = split(number, parts)?;
    let form = match parts {
        1_000 => "%Y-%m-%dT%H:%M:%S%.3f",
        1_000_000 => "%Y-%m-%dT%H:%M:%S%.6f",
        _ => "%Y-%m-%dT%H:%M:%S%.9f",
    };
    Some(format!("{}{zone}", DateTime::from_timestamp(seconds, nanos)?.format(form)))
}

/// Seconds, and nanoseconds of the next one.
fn split(number: i64, parts: i64) -> Option<(i64, u32)> {
    let nanos = number.rem_euclid(parts) * (1_000_000_000 / parts);
    Some((number.div_euclid(parts), u32::try_from(nanos).ok()?))
}

/// A decimal's digits: its bytes are a two's complement number, the most significant first. `None`: longer than any
/// precision needs.
fn decimal(bytes: &[u8], scale: u32) -> Option<String> {
    const BYTES_MAX: usize = 512;
    const STEP: u64 = 1_000_000_000;
    if bytes.len() > BYTES_MAX {
        return None;
    }
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut limbs: Vec<u64> = Vec::new();
    for byte in bytes {
        // Of a negative number, the complement, which is one less than what is meant.
        let mut carry = u64::from(if is_negative { !byte } else { *byte });
        for limb in &mut limbs {
            let wide = *limb * 256 + carry;
            (*limb, carry) = (wide % STEP, wide / STEP);
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    if is_negative {
        let mut carry = 1;
        for limb in &mut limbs {
            let wide = *limb + carry;
            (*limb, carry) = (wide % STEP, wide / STEP);
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut digits = String::new();
    for limb in limbs.iter().rev() {
        digits.push_str(&if digits.is_empty() { limb.to_string() } else { format!("{limb:09}") });
    }
    let scale = scale as usize;
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if is_negative { "-" } else { "" };
    Some(if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") })
}
