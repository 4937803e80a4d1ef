//! Values that a client sends, as texts that SQL reads.

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{Buf, Bytes, BytesMut};
use chrono::Utc;
use polder_capability::Parameter;
use polder_types::{Error, Result};

use super::{Base, Format, Kind, UNKNOWN, VOID, numeric, text};
use crate::wire::frontend::{Fields, broken, utf8};

/// Dimensions of an array, as PostgreSQL bounds them.
const DIMENSIONS_MAX: i32 = 6;

/// The last moment of a day is 24:00.
const DAY_MICROS: u64 = 86_400_000_000;

/// A value of the type with an OID.
///
/// # Errors
/// `InvalidInput` (08P01, 22021) for bytes that are none, `Unsupported` for a type that is not known.
pub(crate) fn parameter(oid: u32, format: Format, value: Option<Bytes>) -> Result<Parameter> {
    if UNKNOWN.contains(&oid) {
        // Bytes of no type are a text, in either format.
        let text = value.map(|value| whole(utf8(&value)?.to_owned())).transpose()?;
        return Ok(Parameter { type_name: None, text });
    }
    if oid == VOID {
        return Ok(Parameter { type_name: None, text: None });
    }
    let kind = Kind::of_oid(oid)?;
    let type_name = Some(kind.name());
    let Some(value) = value else { return Ok(Parameter { type_name, text: None }) };
    let text = match format {
        Format::Text => plain(kind, utf8(&value)?),
        Format::Binary => {
            let mut out = BytesMut::new();
            binary(kind, value, &mut out)?;
            utf8(&out)?.to_owned()
        }
    };
    Ok(Parameter { type_name, text: Some(whole(text)?) })
}

/// # Errors
/// `InvalidInput` (22021) for a text with a zero in it, which PostgreSQL has none of.
fn whole(text: String) -> Result<String> {
    if text.contains('\0') {
        return Err(Error::invalid("invalid byte sequence for encoding \"UTF8\": 0x00").with_code("22021"));
    }
    Ok(text)
}

/// A text as it is, except that truth has one spelling.
fn plain(kind: Kind, text: &str) -> String {
    if kind != (Kind { base: Base::Bool, array: false }) {
        return text.to_owned();
    }
    match text.trim() {
        "t" | "T" | "1" | "true" | "TRUE" | "on" | "yes" => "true".into(),
        "f" | "F" | "0" | "false" | "FALSE" | "off" | "no" => "false".into(),
        other => other.to_owned(),
    }
}

/// A value in binary, as its text.
pub(crate) fn binary(kind: Kind, value: Bytes, out: &mut BytesMut) -> Result<()> {
    if kind.array {
        return array(kind, value, out);
    }
    let mut fields = Fields(value);
    match kind.base {
        Base::Bool => text::push(out, format_args!("{}", fields.u8()? != 0)),
        Base::Int2 => text::push(out, format_args!("{}", fields.i16()?)),
        Base::Int4 => text::push(out, format_args!("{}", fields.i32()?)),
        Base::Oid => text::push(out, format_args!("{}", fields.u32()?)),
        Base::Int8 => text::push(out, format_args!("{}", fields.i64()?)),
        Base::Float4 => {
            let value = f32::from_bits(fields.u32()?);
            text::float(out, value, text::FLOAT4_PLACES);
        }
        Base::Float8 => {
            let value = f64::from_bits(u64::from_be_bytes(fields.i64()?.to_be_bytes()));
            text::float(out, value, text::FLOAT8_PLACES);
        }
        Base::Numeric => {
            let rest = std::mem::take(&mut fields.0);
            out.extend_from_slice(numeric::read(rest)?.as_bytes());
        }
        Base::Bytea => text::bytea(out, &std::mem::take(&mut fields.0)),
        Base::Uuid => text::uuid(out, &fields.take(16)?),
        Base::Date => date(out, fields.i32()?)?,
        Base::Time => match u64::try_from(fields.i64()?) {
            Ok(micros) if micros <= DAY_MICROS => text::time(out, micros),
            _ => return Err(Error::invalid("time out of range").with_code("22008")),
        },
        Base::Timestamp | Base::Timestamptz => moment(out, fields.i64()?, kind.base == Base::Timestamptz)?,
        Base::Interval => {
            let (micros, days, months) = (fields.i64()?, fields.i32()?, fields.i32()?);
            let out_of_range = || Error::invalid("interval out of range").with_code("22008");
            let nanoseconds = micros.checked_mul(1_000).ok_or_else(out_of_range)?;
            text::interval(out, IntervalMonthDayNano::new(months, days, nanoseconds));
        }
        Base::Jsonb => {
            if fields.u8()? != 1 {
                return Err(broken("unsupported jsonb version number"));
            }
            out.extend_from_slice(&std::mem::take(&mut fields.0));
        }
        Base::Int2vector | Base::Oidvector => {
            let element = if kind.base == Base::Oidvector { Base::Oid } else { Base::Int2 };
            let rest = std::mem::take(&mut fields.0);
            return array(Kind { base: element, array: true }, rest, out);
        }
        Base::Text | Base::Varchar | Base::Bpchar | Base::Json | Base::Name | Base::Char => {
            out.extend_from_slice(&std::mem::take(&mut fields.0));
        }
    }
    if fields.0.has_remaining() {
        return Err(broken(format!("a value of type {} is too long", kind.name())));
    }
    Ok(())
}

fn date(out: &mut BytesMut, days: i32) -> Result<()> {
    match days {
        i32::MAX => out.extend_from_slice(b"infinity"),
        i32::MIN => out.extend_from_slice(b"-infinity"),
        days => text::date(out, text::day(days.saturating_add(text::EPOCH_DAYS))?),
    }
    Ok(())
}

fn moment(out: &mut BytesMut, micros: i64, zoned: bool) -> Result<()> {
    let since_1970 = || text::moment(micros.saturating_add(text::EPOCH_MICROS));
    match micros {
        i64::MAX => out.extend_from_slice(b"infinity"),
        i64::MIN => out.extend_from_slice(b"-infinity"),
        _ if zoned => text::timestamptz(out, since_1970()?, &Utc),
        _ => text::timestamp(out, since_1970()?),
    }
    Ok(())
}

fn array(kind: Kind, value: Bytes, out: &mut BytesMut) -> Result<()> {
    let mut fields = Fields(value);
    let dimensions = fields.i32()?;
    let (_has_null, _element) = (fields.i32()?, fields.u32()?);
    if !(0..=DIMENSIONS_MAX).contains(&dimensions) {
        return Err(broken("an array has a wrong number of dimensions"));
    }
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        let length = usize::try_from(fields.i32()?).map_err(|_| broken("an array has a negative length"))?;
        let _first_index = fields.i32()?;
        lengths.push(length);
    }
    let none = usize::from(!lengths.is_empty());
    let elements = lengths.iter().try_fold(none, |all, length| all.checked_mul(*length));
    // Each element takes at least the four bytes of its length.
    if elements.is_none_or(|elements| elements > fields.0.remaining() / 4) {
        return Err(broken("an array is shorter than its dimensions say"));
    }
    if lengths.is_empty() || elements == Some(0) {
        out.extend_from_slice(b"{}");
    } else {
        level(kind.element(), &mut fields, &lengths, out)?;
    }
    if fields.0.has_remaining() {
        return Err(broken("an array is longer than its dimensions say"));
    }
    Ok(())
}

fn level(kind: Kind, fields: &mut Fields, lengths: &[usize], out: &mut BytesMut) -> Result<()> {
    let Some((length, below)) = lengths.split_first() else { return Ok(()) };
    // Each element takes at least the four bytes of its length.
    if *length > fields.0.remaining() / 4 {
        return Err(broken("an array is shorter than its dimensions say"));
    }
    out.extend_from_slice(b"{");
    for at in 0..*length {
        if at > 0 {
            out.extend_from_slice(b",");
        }
        if !below.is_empty() {
            level(kind, fields, below, out)?;
            continue;
        }
        match fields.value()? {
            None => out.extend_from_slice(b"NULL"),
            Some(value) => {
                let mut written = BytesMut::new();
                binary(kind, value, &mut written)?;
                text::element(out, &written);
            }
        }
    }
    out.extend_from_slice(b"}");
    Ok(())
}

#[cfg(test)]
mod tests;
