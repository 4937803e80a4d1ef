//! Cells of one column to an Arrow array.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
    Float64Array, Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use polder_kernels::bytea;
use polder_types::{Error, Result};
use uuid::Uuid;

use super::cells::{parse_days, parse_decimal, parse_micros, within};
use crate::infer::cell::{self, trim};
use crate::infer::dates;
use crate::infer::decide::CellForm;
use crate::infer::types::{self, UUID_BYTES};

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
    /// Decimals are rounded to the table's digits; otherwise they must have no more.
    pub rounds: bool,
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
    rounds: bool,
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
    Bytes {
        bytes: Vec<u8>,
        ends: Vec<i32>,
    },
    /// Their bytes, one UUID behind the other.
    Uuid(Vec<u8>),
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
            rounds: plan.rounds,
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
            Values::Bytes { bytes, ends } => {
                if cell.is_empty() && !quoted && !self.empty_is_text {
                    self.push_null();
                    return Ok(());
                }
                let before = bytes.len();
                if bytea::read(cell, bytes).is_err() {
                    bytes.truncate(before);
                    return self.misfit();
                }
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
            // `1.250` is what it says only where points are no thousands'.
            Values::Double(values) if self.form.thousands != Some(b'.') => {
                cell::parse_f64(cell).filter(|value| !value.is_nan()).map(|value| values.push(value)).is_some()
            }
            Values::Date(values) => dates::iso_days(cell).map(|days| values.push(days)).is_some(),
            Values::Stamp { values, most } if self.zone.is_none() => dates::iso_micros(cell)
                .filter(|micros| within(*micros, *most))
                .map(|micros| values.push(micros))
                .is_some(),
            Values::Uuid(values) => parse_uuid(cell, values).is_some(),
            Values::Double(_) | Values::Stamp { .. } | Values::Bool(_) | Values::Decimal { .. } => false,
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
        let (form, zone, rounds) = (self.form, self.zone, self.rounds);
        let plain = |cell| cell::plain_number(cell, form.thousands, form.comma);
        let fits = match &mut self.values {
            Values::Int { values, min, max } => plain(cell)
                .and_then(|cell| cell::parse_i64(&cell))
                .filter(|value| (*min..=*max).contains(value))
                .map(|value| values.push(value)),
            Values::Double(values) => {
                plain(cell).and_then(|cell| cell::parse_f64(&cell)).map(|value| values.push(value))
            }
            Values::Bool(values) => cell::parse_bool(cell).map(|value| values.push(value)),
            Values::Date(values) => parse_days(cell, form).map(|days| values.push(days)),
            Values::Stamp { values, most } => {
                parse_micros(cell, form, zone).filter(|micros| within(*micros, *most)).map(|micros| values.push(micros))
            }
            Values::Decimal { values, digits, scale } => plain(cell)
                .and_then(|cell| parse_decimal(&cell, *digits, *scale, rounds))
                .map(|value| values.push(value)),
            Values::Uuid(values) => parse_uuid(cell, values),
            Values::Text { .. } | Values::Bytes { .. } => None,
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
            Values::Text { bytes, ends } | Values::Bytes { bytes, ends } => {
                ends.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            }
            Values::Uuid(values) => values.extend_from_slice(Uuid::nil().as_bytes()),
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
            Values::Bytes { bytes, ends } => {
                Arc::new(BinaryArray::try_new(OffsetBuffer::new(ends.into()), bytes.into(), nulls).map_err(wrong)?)
            }
            Values::Uuid(values) => {
                Arc::new(FixedSizeBinaryArray::try_new(UUID_BYTES, values.into(), nulls).map_err(wrong)?)
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
                Some(Self::Text { bytes: Vec::with_capacity(rows * 8), ends: first_end(rows) })
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Some(Self::Bytes { bytes: Vec::with_capacity(rows * 8), ends: first_end(rows) })
            }
            DataType::FixedSizeBinary(UUID_BYTES) => Some(Self::Uuid(Vec::with_capacity(rows * 16))),
            _ => None,
        }
    }
}

fn first_end(rows: usize) -> Vec<i32> {
    let mut ends = Vec::with_capacity(rows + 1);
    ends.push(0);
    ends
}

/// Adds the bytes of a UUID in one of its spellings.
fn parse_uuid(cell: &[u8], values: &mut Vec<u8>) -> Option<()> {
    let uuid = Uuid::try_parse_ascii(cell).ok()?;
    values.extend_from_slice(uuid.as_bytes());
    Some(())
}

/// Texts of a file that knows its types, as what a column holds; those that it cannot hold become missing.
pub(crate) fn from_texts(texts: &ArrayRef, plan: &ColumnPlan) -> Result<ArrayRef> {
    let texts = as_type(texts.clone(), &types::TEXT)?;
    let mut builder = ColumnBuilder::new(plan, texts.len())?;
    for text in texts.as_string_view() {
        let Some(text) = text else {
            builder.push_null();
            continue;
        };
        // A text that does not fit leaves a gap, which is found.
        let _ = builder.push(text.as_bytes(), true);
    }
    builder.finish()
}

/// An array of nothing.
pub(crate) fn missing(data_type: &DataType, rows: usize) -> ArrayRef {
    arrow::array::new_null_array(data_type, rows)
}
