//! Cells of one column to an Arrow array.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use polder_kernels::zones;
use polder_types::{Error, Result};

use crate::infer::cell::{self, trim};
use crate::infer::dates::{self, DAY_US};
use crate::infer::decide::CellForm;
use crate::infer::types;

/// A column of the table that is being filled.
#[derive(Debug, Clone)]
pub(crate) struct ColumnPlan {
    pub name: String,
    /// The name in the file, for messages.
    pub source: String,
    pub data_type: DataType,
    pub form: CellForm,
    /// The zone of times that name none, in a column of instants. `None`: UTC.
    pub zone: Option<Tz>,
    /// Words that the user calls missing, in every type.
    pub own_nulls: Option<Arc<[Vec<u8>]>>,
    /// An empty cell is the empty text, unless it is one of those words.
    pub empty_is_text: bool,
    /// The table wants a value in every row.
    pub required: bool,
}

/// Values of one column, before they become an array.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    values: Values,
    valid: Validity,
    form: CellForm,
    zone: Option<Tz>,
    own_nulls: Option<Arc<[Vec<u8>]>>,
    empty_is_text: bool,
    data_type: DataType,
}

#[derive(Debug)]
enum Values {
    Int {
        values: Vec<i64>,
        min: i64,
        max: i64,
    },
    Double(Vec<f64>),
    Bool(Vec<bool>),
    Date(Vec<i32>),
    /// Microseconds of at most `most` from 1970: a column of nanoseconds reaches less far.
    Stamp {
        values: Vec<i64>,
        most: i64,
    },
    Decimal {
        values: Vec<i128>,
        digits: u8,
        scale: i8,
    },
    Text {
        bytes: Vec<u8>,
        ends: Vec<i32>,
    },
}

/// Bits of what is there. Nothing is kept while nothing is missing.
#[derive(Debug, Default)]
struct Validity {
    len: usize,
    missing: Option<Vec<bool>>,
}

impl Validity {
    #[inline]
    fn push(&mut self, valid: bool) {
        if let Some(missing) = &mut self.missing {
            missing.push(valid);
        } else if !valid {
            let mut bits = Vec::with_capacity(self.len + 1024);
            bits.resize(self.len, true);
            bits.push(false);
            self.missing = Some(bits);
        }
        self.len += 1;
    }

    fn finish(self) -> Option<NullBuffer> {
        self.missing.map(|bits| NullBuffer::new(BooleanBuffer::from(bits)))
    }
}

/// A cell that its column cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misfit;

impl ColumnBuilder {
    /// # Errors
    /// `Unsupported` for a type that no text can be read as.
    pub(crate) fn new(plan: &ColumnPlan, rows: usize) -> Result<Self> {
        let values = Values::for_type(&plan.data_type, rows).ok_or_else(|| {
            Error::unsupported(format!(
                "column `{}` is {}, and text cannot be read as that",
                plan.name,
                types::to_sql(&plan.data_type)
            ))
        })?;
        Ok(Self {
            values,
            valid: Validity::default(),
            form: plan.form,
            zone: plan.zone.filter(|_| types::is_instant(&plan.data_type)),
            own_nulls: plan.own_nulls.clone(),
            empty_is_text: plan.empty_is_text,
            data_type: plan.data_type.clone(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.valid.len
    }

    pub(crate) fn data_type(&self) -> &DataType {
        &self.data_type
    }

    pub(crate) fn last_is_missing(&self) -> bool {
        self.valid.missing.as_ref().is_some_and(|bits| bits.last() == Some(&false))
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.values, Values::Text { .. })
    }

    pub(crate) fn is_double(&self) -> bool {
        matches!(self.values, Values::Double(_))
    }

    /// Adds a cell; of one that does not fit, a gap, so that all columns stay equally long.
    #[inline]
    pub(crate) fn push(&mut self, cell: &[u8], quoted: bool) -> Result<(), Misfit> {
        if let Some(words) = &self.own_nulls
            && !quoted
            && words.iter().any(|word| word == trim(cell))
        {
            self.push_null();
            return Ok(());
        }
        let fits = match &mut self.values {
            Values::Text { bytes, ends } => {
                if cell.is_empty() && !quoted && !self.empty_is_text {
                    self.push_null();
                    return Ok(());
                }
                bytes.extend_from_slice(cell);
                ends.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                self.valid.push(true);
                return Ok(());
            }
            Values::Int { values, min, max } => match cell::parse_i64(cell) {
                Some(value) if value >= *min && value <= *max => {
                    values.push(value);
                    true
                }
                _ => false,
            },
            Values::Double(values) => {
                cell::parse_f64(cell).filter(|value| !value.is_nan()).map(|value| values.push(value)).is_some()
            }
            Values::Date(values) => dates::iso_days(cell).map(|days| values.push(days)).is_some(),
            Values::Stamp { values, most } if self.zone.is_none() => dates::iso_micros(cell)
                .filter(|micros| within(*micros, *most))
                .map(|micros| values.push(micros))
                .is_some(),
            Values::Stamp { .. } | Values::Bool(_) | Values::Decimal { .. } => false,
        };
        if fits {
            self.valid.push(true);
            return Ok(());
        }
        self.push_unusual(cell)
    }

    /// Blanks around, words for missing, and the spellings that are not the most common one.
    #[inline(never)]
    fn push_unusual(&mut self, cell: &[u8]) -> Result<(), Misfit> {
        let cell = trim(cell);
        let is_null =
            cell.is_empty() || cell::null_word(cell).is_some_and(|place| self.form.null_words & (1 << place) != 0);
        if is_null {
            self.push_null();
            return Ok(());
        }
        let (form, zone) = (self.form, self.zone);
        let fits = match &mut self.values {
            Values::Int { values, min, max } => {
                cell::parse_i64(cell).filter(|value| (*min..=*max).contains(value)).map(|value| values.push(value))
            }
            Values::Double(values) => parse_double(cell, form).map(|value| values.push(value)),
            Values::Bool(values) => cell::parse_bool(cell).map(|value| values.push(value)),
            Values::Date(values) => parse_days(cell, form).map(|days| values.push(days)),
            Values::Stamp { values, most } => {
                parse_micros(cell, form, zone).filter(|micros| within(*micros, *most)).map(|micros| values.push(micros))
            }
            Values::Decimal { values, digits, scale } => {
                parse_decimal(cell, *digits, *scale).map(|value| values.push(value))
            }
            Values::Text { .. } => None,
        };
        match fits {
            Some(()) => {
                self.valid.push(true);
                Ok(())
            }
            None => {
                self.push_null();
                Err(Misfit)
            }
        }
    }

    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Int { values, .. } | Values::Stamp { values, .. } => values.push(0),
            Values::Double(values) => values.push(0.0),
            Values::Bool(values) => values.push(false),
            Values::Date(values) => values.push(0),
            Values::Decimal { values, .. } => values.push(0),
            Values::Text { bytes, ends } => ends.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX)),
        }
        self.valid.push(false);
    }

    pub(crate) fn push_i64(&mut self, value: i64) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Int { values, min, max } if (*min..=*max).contains(&value) => values.push(value),
            #[allow(clippy::cast_precision_loss, reason = "the column was decided to be fractions")]
            Values::Double(values) => values.push(value as f64),
            Values::Decimal { .. } | Values::Text { .. } => return self.push(value.to_string().as_bytes(), false),
            _ => return self.misfit(),
        }
        self.valid.push(true);
        Ok(())
    }

    pub(crate) fn push_f64(&mut self, value: f64) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Double(values) => values.push(value),
            Values::Decimal { .. } | Values::Text { .. } => return self.push(value.to_string().as_bytes(), false),
            _ => return self.misfit(),
        }
        self.valid.push(true);
        Ok(())
    }

    pub(crate) fn push_bool(&mut self, value: bool) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Bool(values) => values.push(value),
            Values::Text { .. } => return self.push(if value { b"true" } else { b"false" }, false),
            _ => return self.misfit(),
        }
        self.valid.push(true);
        Ok(())
    }

    pub(crate) fn misfit(&mut self) -> Result<(), Misfit> {
        self.push_null();
        Err(Misfit)
    }

    /// The array, of the planned type.
    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let nulls = self.valid.finish();
        let wrong = |error| Error::internal("cells do not make an array").with_source(error);
        let natural: ArrayRef = match self.values {
            Values::Int { values, .. } => Arc::new(Int64Array::try_new(values.into(), nulls).map_err(wrong)?),
            Values::Double(values) => Arc::new(Float64Array::try_new(values.into(), nulls).map_err(wrong)?),
            Values::Bool(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls)),
            Values::Date(values) => Arc::new(Date32Array::try_new(values.into(), nulls).map_err(wrong)?),
            Values::Stamp { values, .. } => {
                let zone = match &self.data_type {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                let array = TimestampMicrosecondArray::try_new(values.into(), nulls).map_err(wrong)?;
                Arc::new(array.with_timezone_opt(zone))
            }
            Values::Decimal { values, digits, scale } => {
                let array = Decimal128Array::try_new(values.into(), nulls).map_err(wrong)?;
                Arc::new(array.with_precision_and_scale(digits, scale).map_err(wrong)?)
            }
            Values::Text { bytes, ends } => {
                let offsets = OffsetBuffer::new(ends.into());
                let array = StringArray::try_new(offsets, bytes.into(), nulls).map_err(wrong)?;
                match self.data_type {
                    DataType::Utf8View => Arc::new(StringViewArray::from(&array)),
                    _ => Arc::new(array),
                }
            }
        };
        as_type(natural, &self.data_type)
    }
}

/// Casts, where a value that does not fit is a failure of ours: fitting was checked cell by cell.
pub(crate) fn as_type(array: ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if array.data_type() == data_type {
        return Ok(array);
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&array, data_type, &options)
        .map_err(|error| Error::invalid(format!("a value does not fit {}: {error}", types::to_sql(data_type))))
}

impl Values {
    fn for_type(data_type: &DataType, rows: usize) -> Option<Self> {
        let int = |min: i64, max: i64| Some(Self::Int { values: Vec::with_capacity(rows), min, max });
        match data_type {
            DataType::Int8 => int(i8::MIN.into(), i8::MAX.into()),
            DataType::Int16 => int(i16::MIN.into(), i16::MAX.into()),
            DataType::Int32 => int(i32::MIN.into(), i32::MAX.into()),
            DataType::Int64 => int(i64::MIN, i64::MAX),
            DataType::UInt8 => int(0, u8::MAX.into()),
            DataType::UInt16 => int(0, u16::MAX.into()),
            DataType::UInt32 => int(0, u32::MAX.into()),
            DataType::UInt64 => int(0, i64::MAX),
            DataType::Float32 | DataType::Float64 => Some(Self::Double(Vec::with_capacity(rows))),
            DataType::Boolean => Some(Self::Bool(Vec::with_capacity(rows))),
            DataType::Date32 => Some(Self::Date(Vec::with_capacity(rows))),
            DataType::Timestamp(unit, _) => {
                let most = if *unit == TimeUnit::Nanosecond { i64::MAX / 1000 } else { i64::MAX };
                Some(Self::Stamp { values: Vec::with_capacity(rows), most })
            }
            DataType::Decimal128(digits, scale) => {
                Some(Self::Decimal { values: Vec::with_capacity(rows), digits: *digits, scale: *scale })
            }
            text if types::is_text(text) => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Some(Self::Text { bytes: Vec::with_capacity(rows * 8), ends })
            }
            _ => None,
        }
    }
}

fn parse_double(cell: &[u8], form: CellForm) -> Option<f64> {
    if form.comma && cell.contains(&b',') {
        let text: Vec<u8> = cell.iter().map(|byte| if *byte == b',' { b'.' } else { *byte }).collect();
        return cell::parse_f64(&text);
    }
    cell::parse_f64(cell)
}

fn parse_days(cell: &[u8], form: CellForm) -> Option<i32> {
    if form.compact && cell.len() == 8 && cell.iter().all(u8::is_ascii_digit) {
        return dates::compact(cell);
    }
    let moment = dates::parse(cell)?;
    // Of a time with a zone, the day that was written, not the day in Greenwich.
    moment.days(form.order)
}

/// Of a time without a zone, the instant at which the clocks of this one show it.
fn parse_micros(cell: &[u8], form: CellForm, zone: Option<Tz>) -> Option<i64> {
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

/// A decimal without an exponent; digits beyond the scale must be zeros.
fn parse_decimal(cell: &[u8], digits: u8, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = match cell.iter().position(|byte| *byte == b'.') {
        Some(point) => (&cell[..point], &cell[point + 1..]),
        None => (cell, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) || fraction.iter().skip(scale).any(|digit| *digit != b'0') {
        return None;
    }
    let mut text = whole.to_vec();
    text.extend(fraction.iter().take(scale));
    text.resize(text.len() + scale.saturating_sub(fraction.len()), b'0');
    let value = cell::parse_i128(&text)?;
    let bound = 10_i128.checked_pow(u32::from(digits)).unwrap_or(i128::MAX);
    (value.abs() < bound).then_some(value)
}

fn within(micros: i64, most: i64) -> bool {
    micros.unsigned_abs() <= most.unsigned_abs()
}

/// An array of nothing.
pub(crate) fn missing(data_type: &DataType, rows: usize) -> ArrayRef {
    arrow::array::new_null_array(data_type, rows)
}
