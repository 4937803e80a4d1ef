//! Cells of text as values of a type.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::error::ArrowError;
use polder_kernels::zones;

use crate::infer::cell::{self, trim};
use crate::infer::dates::{self, DAY_US};
use crate::infer::decide::CellForm;
use crate::infer::types;

pub(super) fn parse_days(cell: &[u8], form: CellForm) -> Option<i32> {
    if form.compact && cell.len() == 8 && cell.iter().all(u8::is_ascii_digit) {
        return dates::compact(cell);
    }
    let moment = dates::parse(cell)?;
    // Of a time with a zone, the day that was written, not the day in Greenwich.
    moment.days(form.order)
}

/// Of a time without a zone, the instant at which the clocks of this one show it.
pub(super) fn parse_micros(cell: &[u8], form: CellForm, zone: Option<Tz>) -> Option<i64> {
    let (micros, has_zone) = match dates::parse(cell) {
        Some(moment) => (moment.micros(form.order)?, moment.offset_s.is_some()),
        None if form.compact => (i64::from(dates::compact(cell)?) * DAY_US, false),
        None => return None,
    };
    match zone {
        Some(zone) if !has_zone => zones::instant(zone, micros),
        _ => Some(micros),
    }
}

/// A column of a file that knows its types, where instants are wanted: its times without a zone as the instants at
/// which the clocks of this one show them. What is no such time becomes missing; columns of other types stay as they are.
pub(crate) fn instants(column: &ArrayRef, zone: Tz, form: CellForm) -> Result<ArrayRef, ArrowError> {
    let instants: TimestampMicrosecondArray = match types::kept_as(column.data_type()) {
        Some(DataType::Timestamp(_, None) | DataType::Date32) => {
            let local = cast(column, &types::TIMESTAMP)?;
            let local = local.as_primitive::<TimestampMicrosecondType>();
            local.unary_opt::<_, TimestampMicrosecondType>(|local| zones::instant(zone, local))
        }
        Some(text) if types::is_text(&text) => {
            let texts = cast(column, &types::TEXT)?;
            let read = |text: Option<&str>| parse_micros(trim(text?.as_bytes()), form, Some(zone));
            texts.as_string_view().iter().map(read).collect()
        }
        _ => return Ok(column.clone()),
    };
    Ok(Arc::new(instants.with_timezone("UTC")))
}

/// A decimal without an exponent. Digits beyond the scale are rounded, half away from zero, or must be zeros.
pub(super) fn parse_decimal(cell: &[u8], digits: u8, scale: i8, rounds: bool) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = match cell.iter().position(|byte| *byte == b'.') {
        Some(point) => (&cell[..point], &cell[point + 1..]),
        None => (cell, &[][..]),
    };
    let beyond = fraction.get(scale..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) || (!rounds && beyond.iter().any(|digit| *digit != b'0')) {
        return None;
    }
    let mut text = whole.to_vec();
    text.extend(fraction.iter().take(scale));
    text.resize(text.len() + scale.saturating_sub(fraction.len()), b'0');
    if !beyond.is_empty() && !text.last().is_some_and(u8::is_ascii_digit) {
        // `.5` as a whole number.
        text.push(b'0');
    }
    let value = cell::parse_i128(&text)?;
    let up = i128::from(beyond.first().is_some_and(|digit| *digit >= b'5'));
    let value = if text.starts_with(b"-") { value - up } else { value + up };
    let bound = 10_i128.checked_pow(u32::from(digits)).unwrap_or(i128::MAX);
    (value.abs() < bound).then_some(value)
}

pub(super) fn within(micros: i64, most: i64) -> bool {
    micros.unsigned_abs() <= most.unsigned_abs()
}
