//! Numbers: rounding, remainders, and numbers as text.

mod math;
mod pattern;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::Result;

use self::pattern::Pattern;
use super::function::{Call, Function, Gives, Kind as K, function, refuse, way};
use super::types;

/// Two decimals in one: what holds both.
fn both(types_: &[DataType]) -> Result<DataType> {
    let ((left, left_scale), (right, right_scale)) = (types::digits(&types_[0]), types::digits(&types_[1]));
    let scale = left_scale.max(right_scale);
    let whole = (left as i8 - left_scale).max(right as i8 - right_scale);
    Ok(DataType::Decimal128((whole + scale).clamp(1, 38) as u8, scale))
}

const INTEGER: Gives = Gives::Type(|_| Ok(DataType::Decimal128(38, 0)));

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "mod",
        "mod(a, b)",
        "The remainder of a division; it has the sign of the first number.",
        &[
            way(&[K::Int4, K::Int4], Gives::Int4, math::mod_int4),
            way(&[K::Int8, K::Int8], Gives::Int8, math::mod_int8),
            way(&[K::Numeric, K::Numeric], Gives::Type(both), math::mod_decimal),
        ],
    ),
    function(
        "gcd",
        "gcd(a, b)",
        "The greatest common divisor.",
        &[
            way(&[K::Int4, K::Int4], Gives::Int4, math::gcd_int4),
            way(&[K::Int8, K::Int8], Gives::Int8, math::gcd_int8),
            way(&[K::Numeric, K::Numeric], Gives::Type(both), math::gcd_decimal),
        ],
    ),
    function(
        "lcm",
        "lcm(a, b)",
        "The least common multiple.",
        &[
            way(&[K::Int4, K::Int4], Gives::Int4, math::lcm_int4),
            way(&[K::Int8, K::Int8], Gives::Int8, math::lcm_int8),
            way(&[K::Numeric, K::Numeric], Gives::Type(both), math::lcm_decimal),
        ],
    ),
    function(
        "div",
        "div(a, b)",
        "The whole part of a quotient.",
        &[way(&[K::Numeric, K::Numeric], INTEGER, math::div)],
    ),
    function(
        "sign",
        "sign(number)",
        "-1, 0 or 1.",
        &[way(&[K::Float], Gives::Float, math::sign_float), way(&[K::Numeric], INTEGER, math::sign_decimal)],
    ),
    function(
        "ceil",
        "ceil(number)",
        "The nearest whole number that is not below it.",
        &[
            way(&[K::Float], Gives::Float, |call| math::each(call, |x| Ok(x.ceil()))),
            way(&[K::Int8], Gives::Float, math::as_float),
            way(&[K::Numeric], INTEGER, math::ceil_decimal),
        ],
    ),
    function(
        "floor",
        "floor(number)",
        "The nearest whole number that is not above it.",
        &[
            way(&[K::Float], Gives::Float, |call| math::each(call, |x| Ok(x.floor()))),
            way(&[K::Int8], Gives::Float, math::as_float),
            way(&[K::Numeric], INTEGER, math::floor_decimal),
        ],
    ),
    function(
        "scale",
        "scale(numeric)",
        "How many digits a decimal has behind its point.",
        &[way(&[K::Numeric], Gives::Int4, math::scale)],
    ),
    function(
        "min_scale",
        "min_scale(numeric)",
        "How many digits behind the point a decimal needs.",
        &[way(&[K::Numeric], Gives::Int4, math::min_scale)],
    ),
    function(
        "width_bucket",
        "width_bucket(number, low, high, count) or width_bucket(number, thresholds)",
        "In which of so many equal parts of a range a number is; 0 below it, count + 1 above.",
        &[
            way(&[K::Float, K::Float, K::Float, K::Int4], Gives::Int4, math::width_bucket),
            way(&[K::Any, K::Array], Gives::Int4, math::width_bucket_of),
        ],
    ),
    function("acosd", "acosd(number)", "The arc cosine, in degrees.", &[way(&[K::Float], Gives::Float, math::acosd)]),
    function("asind", "asind(number)", "The arc sine, in degrees.", &[way(&[K::Float], Gives::Float, math::asind)]),
    function(
        "atand",
        "atand(number)",
        "The arc tangent, in degrees.",
        &[way(&[K::Float], Gives::Float, |call| math::each(call, |x| Ok(x.atan().to_degrees())))],
    ),
    function(
        "atan2d",
        "atan2d(y, x)",
        "The arc tangent of a quotient, in degrees.",
        &[way(&[K::Float, K::Float], Gives::Float, math::atan2d)],
    ),
    function(
        "cosd",
        "cosd(degrees)",
        "The cosine of an angle in degrees.",
        &[way(&[K::Float], Gives::Float, math::cosd)],
    ),
    function(
        "sind",
        "sind(degrees)",
        "The sine of an angle in degrees.",
        &[way(&[K::Float], Gives::Float, math::sind)],
    ),
    function(
        "tand",
        "tand(degrees)",
        "The tangent of an angle in degrees.",
        &[way(&[K::Float], Gives::Float, math::tand)],
    ),
    function("acos", "acos(number)", "The arc cosine.", &[way(&[K::Float], Gives::Float, math::acos)]),
    function("asin", "asin(number)", "The arc sine.", &[way(&[K::Float], Gives::Float, math::asin)]),
    function(
        "acosh",
        "acosh(number)",
        "The inverse hyperbolic cosine.",
        &[way(&[K::Float], Gives::Float, math::acosh)],
    ),
    function(
        "atanh",
        "atanh(number)",
        "The inverse hyperbolic tangent.",
        &[way(&[K::Float], Gives::Float, math::atanh)],
    ),
    function("polder_float_order", "", "", &[way(&[K::Float], Gives::Float, math::float_order)]),
    function("sqrt", "sqrt(number)", "The square root.", &[way(&[K::Float], Gives::Float, math::sqrt)]),
    function("ln", "ln(number)", "The natural logarithm.", &[way(&[K::Float], Gives::Float, math::ln)]),
    function("log10", "log10(number)", "The logarithm to base 10.", &[way(&[K::Float], Gives::Float, math::log10)]),
    function(
        "log",
        "log([base,] number)",
        "The logarithm to base 10, or to another one.",
        &[way(&[K::Float], Gives::Float, math::log10), way(&[K::Float, K::Float], Gives::Float, math::log_base)],
    ),
    function("exp", "exp(number)", "The natural exponential.", &[way(&[K::Float], Gives::Float, math::exp)]),
    function(
        "polder_bit_not",
        "",
        "",
        &[
            way(&[K::Int2], Gives::Argument(0), math::bit_not_int2),
            way(&[K::Int4], Gives::Int4, math::bit_not_int4),
            way(&[K::Int8], Gives::Int8, math::bit_not_int8),
        ],
    ),
    function(
        "to_number",
        "to_number(text, pattern)",
        "A number read from text that was written by a pattern.",
        &[way(&[K::Text, K::Text], Gives::Type(|_| Ok(DataType::Decimal128(38, 10))), to_number)],
    ),
];

/// Writes each row by its pattern, which is read only when it changes.
fn by_pattern(call: &Call<'_>, digits: impl Fn(usize, &Pattern) -> (bool, String)) -> Result<ArrayRef> {
    let mut pattern: Option<Pattern> = None;
    call.texts(|row| {
        let text = call.text(1).value(row);
        let known = match pattern.take().filter(|known| known.is(text)) {
            Some(known) => known,
            None => Pattern::new(text)?,
        };
        let (negative, digits) = digits(row, &known);
        let written =
            if known.is_exponent() { known.write_exponent(negative, &digits) } else { known.write(negative, &digits) };
        pattern = Some(known);
        Ok((!text.is_empty()).then_some(written))
    })
}

/// The digits of a decimal, rounded half away from zero to what a pattern shows.
fn decimal_digits(value: i128, scale: i8, pattern: &Pattern) -> (bool, String) {
    let wanted = pattern.decimals() as i8;
    if pattern.is_exponent() {
        let float = value.unsigned_abs() as f64 / 10_f64.powi(scale.into());
        return (value < 0, format!("{float:.places$e}", places = pattern.decimals()));
    }
    let value = value.saturating_mul(10_i128.saturating_pow(pattern.shifted() as u32));
    let rounded = if scale > wanted {
        let power = 10_i128.pow(u32::from((scale - wanted).unsigned_abs()));
        let half = if value < 0 { -power / 2 } else { power / 2 };
        value.saturating_add(half) / power
    } else {
        value.saturating_mul(10_i128.saturating_pow(u32::from((wanted - scale).unsigned_abs())))
    };
    let digits = format!("{:0>width$}", rounded.unsigned_abs(), width = wanted as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - wanted as usize);
    let text = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
    (rounded < 0, text)
}

pub(super) fn to_char_int(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.primitive::<Int64Type>(0);
    by_pattern(call, |row, pattern| decimal_digits(values.value(row).into(), 0, pattern))
}

pub(super) fn to_char_decimal(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.primitive::<Decimal128Type>(0);
    by_pattern(call, |row, pattern| decimal_digits(values.value(row), values.scale(), pattern))
}

pub(super) fn to_char_float(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.primitive::<Float64Type>(0);
    by_pattern(call, |row, pattern| {
        let value = values.value(row) * 10_f64.powi(pattern.shifted() as i32);
        let places = pattern.decimals();
        let digits = if pattern.is_exponent() {
            format!("{:.places$e}", value.abs())
        } else {
            format!("{:.places$}", value.abs())
        };
        (value < 0.0, digits)
    })
}

/// The digits, the sign and the point; all else is passed over.
fn to_number(call: &Call<'_>) -> Result<ArrayRef> {
    let (_, scale) = types::digits(call.gives);
    call.values::<Decimal128Type>(|row| {
        let text = call.text(0).value(row);
        let shift = Pattern::new(call.text(1).value(row))?.shifted();
        let mut digits = String::new();
        let negative = text.contains('-') || (text.contains('<') && text.contains('>'));
        for letter in text.chars() {
            match letter {
                '0'..='9' => digits.push(letter),
                '.' if !digits.contains('.') => digits.push('.'),
                _ => {}
            }
        }
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(refuse("22P02", format!("invalid input syntax for type numeric: {text:?}")));
        }
        let places = (scale.unsigned_abs() as usize).saturating_sub(shift);
        let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(places).collect();
        let value: i128 =
            format!("{whole}{fraction}").parse().map_err(|_| refuse("22003", "value overflows numeric format"))?;
        Ok(Some(if negative { -value } else { value }))
    })
}
