//! Values in JSON: floats that it has no number for. Arrow's writer makes them `null`, which reads as a value that is missing.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Float16Type, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};

/// Those of Arrow, by which numbers are written.
static PLAIN: LazyLock<EncoderOptions> = LazyLock::new(EncoderOptions::default);

/// Writes `"NaN"`, `"Infinity"` and `"-Infinity"` for them, as PostgreSQL's `to_json` does. All other values are as Arrow
/// writes them.
#[derive(Debug, Clone, Copy, Default)]
pub struct FloatsInFull;

impl EncoderFactory for FloatsInFull {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let values: Option<Values<'a>> = match array.data_type() {
            DataType::Float16 => odd(array.as_primitive::<Float16Type>()),
            DataType::Float32 => odd(array.as_primitive::<Float32Type>()),
            DataType::Float64 => odd(array.as_primitive::<Float64Type>()),
            _ => None,
        };
        let Some(values) = values else { return Ok(None) };
        let plain = make_encoder(field, array, &PLAIN)?;
        Ok(Some(NullableEncoder::new(Box::new(Floats { values, plain }), array.nulls().cloned())))
    }
}

/// How an answer's values are written: missing ones as `null`, no float lost.
#[must_use]
pub fn in_full() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(FloatsInFull))
}

type Values<'a> = Box<dyn Fn(usize) -> f64 + 'a>;

/// The values, if there is one among them that is no number in JSON.
fn odd<T>(array: &PrimitiveArray<T>) -> Option<Values<'_>>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    let is_odd = |value: &T::Native| {
        let value: f64 = (*value).into();
        !value.is_finite()
    };
    array
        .values()
        .iter()
        .any(is_odd)
        .then(|| Box::new(move |row: usize| -> f64 { array.value(row).into() }) as Values<'_>)
}

struct Floats<'a> {
    values: Values<'a>,
    plain: NullableEncoder<'a>,
}

impl Encoder for Floats<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = (self.values)(row);
        let word: &[u8] = if value.is_finite() {
            return self.plain.encode(row, out);
        } else if value.is_nan() {
            b"\"NaN\""
        } else if value > 0.0 {
            b"\"Infinity\""
        } else {
            b"\"-Infinity\""
        };
        out.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, ListArray};
    use arrow::datatypes::Field;

    use super::*;

    fn check(array: ArrayRef, expected: &[&str]) {
        let field: FieldRef = Arc::new(Field::new("a", array.data_type().clone(), true));
        let options = in_full();
        let mut encoder = make_encoder(&field, &array, &options).unwrap();
        for (row, expected) in expected.iter().enumerate() {
            let mut out = Vec::new();
            if encoder.is_null(row) {
                out.extend_from_slice(b"null");
            } else {
                encoder.encode(row, &mut out);
            }
            assert_eq!(String::from_utf8(out).unwrap(), *expected);
        }
    }

    #[test]
    fn floats_that_are_no_numbers_are_words() {
        let odd = vec![Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), None, Some(-0.5)];
        let words = ["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "null", "-0.5"];
        check(Arc::new(Float64Array::from(odd.clone())), &words);
        #[allow(clippy::cast_possible_truncation, reason = "the values are the same")]
        let narrow: Vec<Option<f32>> = odd.iter().map(|value| value.map(|value| value as f32)).collect();
        check(Arc::new(Float32Array::from(narrow)), &words);
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(odd), None]);
        check(Arc::new(list), &["[\"NaN\",\"Infinity\",\"-Infinity\",null,-0.5]", "null"]);
        check(Arc::new(Float64Array::from(vec![Some(1.0), None])), &["1.0", "null"]);
        check(Arc::new(Int64Array::from(vec![1])), &["1"]);
    }
}
