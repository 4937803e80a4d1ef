//! Functions of DataFusion's that are asked how much they will make before they make it.

mod joined;
mod texts;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, FieldRef, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use polder_types::Error;

use super::bounds::{Bound, bytes_of};
pub(crate) use joined::{is_joined, joined};

/// Puts each behind its bound.
///
/// # Errors
/// When the registry refuses a name.
pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for (name, makes) in BOUNDED {
        if let Some(inner) = state.scalar_functions().get(*name).cloned() {
            state.register_udf(bounded(inner, *makes))?;
        }
    }
    Ok(())
}

const BOUNDED: &[(&str, Makes)] = &[
    ("range", Makes::Range),
    ("array_repeat", Makes::Repeats),
    ("array_resize", Makes::Resizes),
    ("array_to_string", Makes::Writes),
    ("translate", Makes::Translates),
    ("regexp_replace", Makes::Replaces),
];

fn bounded(inner: Arc<ScalarUDF>, makes: Makes) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Bounded { inner, makes }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Makes {
    /// `range([start,] stop[, step])`
    Range,
    /// `array_repeat(value, times)`
    Repeats,
    /// `array_resize(array, length[, value])`
    Resizes,
    /// `array_to_string(array, between[, for_null])`
    Writes,
    /// `translate(text, from, to)`
    Translates,
    /// `regexp_replace(text, pattern, replacement[, flags])`
    Replaces,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    makes: Makes,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.inner.return_type(given)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        let (bound, given) = (Bound::of(&arguments.config_options), &arguments.args);
        match self.makes {
            Makes::Range => check_lists(bound, given, rows, range_bytes)?,
            Makes::Repeats => check_lists(bound, given, rows, repeated_bytes)?,
            Makes::Resizes => check_lists(bound, given, rows, resized_bytes)?,
            Makes::Writes => texts::written(bound, given, rows)?,
            Makes::Translates => texts::translated(bound, given, rows)?,
            Makes::Replaces if texts::is_short(given, rows) && texts::replaced_at_most(bound, given, rows).is_ok() => {}
            // How much that is shows while it is made, and how long it takes. Polder's own does the same, slower, and looks.
            Makes::Replaces => return super::named("polder_regexp_replace").invoke_with_args(arguments),
        }
        self.inner.invoke_with_args(arguments)
    }

    /// What a call is made into is behind its bound too.
    fn simplify(&self, arguments: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(match self.inner.simplify(arguments, info)? {
            ExprSimplifyResult::Simplified(Expr::ScalarFunction(mut call)) => {
                if let Some((_, makes)) = BOUNDED.iter().find(|(name, _)| *name == call.func.name()) {
                    call.func = bounded(call.func, *makes);
                }
                ExprSimplifyResult::Simplified(Expr::ScalarFunction(call))
            }
            other => other,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Whether lists may be made of which something says how long they get.
fn check_lists(
    bound: Bound<'_>,
    given: &[ColumnarValue],
    rows: usize,
    bytes: fn(&[ArrayRef]) -> Result<f64>,
) -> Result<()> {
    let arrays = given.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
    if arrays.iter().any(|array| array.data_type().is_null()) {
        return Ok(());
    }
    let bytes = bytes(&arrays)?;
    // Where a float is not exact, it is far beyond what is allowed.
    bound.check_batch(if bytes < 1e18 { bytes as usize } else { usize::MAX })
}

/// Numbers as they are, times and spans in nanoseconds, as a column of floats. Months count the least that one has.
fn floats(array: &ArrayRef) -> Result<ArrayRef> {
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let numbers = match array.data_type() {
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&cast(array, &DataType::Date32)?, &DataType::Int32)?;
            let days = cast(&days, &DataType::Float64)?;
            let nanoseconds = days.as_primitive::<Float64Type>().unary::<_, Float64Type>(|days| days * DAY_NANOS);
            return Ok(Arc::new(nanoseconds));
        }
        DataType::Timestamp(..) => cast(&cast(array, &nanoseconds)?, &DataType::Int64)?,
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let spans = array.as_primitive::<IntervalMonthDayNanoType>();
            return Ok(Arc::new(spans.unary::<_, Float64Type>(|span| {
                let days = f64::from(span.months) * 28.0 + f64::from(span.days);
                days * DAY_NANOS + span.nanoseconds as f64
            })));
        }
        _ => Arc::clone(array),
    };
    Ok(cast(&numbers, &DataType::Float64)?)
}

/// A step of which one part leads on and another back may stand still, of which no function would find an end.
fn check_steps(step: &ArrayRef) -> Result<()> {
    let Some(spans) = step.as_primitive_opt::<IntervalMonthDayNanoType>() else { return Ok(()) };
    let is_mixed = |span: IntervalMonthDayNano| {
        let parts = [i64::from(span.months), i64::from(span.days), span.nanoseconds];
        parts.iter().any(|part| *part > 0) && parts.iter().any(|part| *part < 0)
    };
    if spans.iter().flatten().any(is_mixed) {
        let error = Error::invalid("the step of a range leads on and back").with_code("22023");
        return Err(DataFusionError::External(Box::new(error.with_hint("let all its parts have one sign"))));
    }
    Ok(())
}

const DAY_NANOS: f64 = 86_400e9;

fn range_bytes(arrays: &[ArrayRef]) -> Result<f64> {
    if let [_, _, step, ..] = arrays {
        check_steps(step)?;
    }
    let columns = arrays.iter().map(floats).collect::<Result<Vec<_>>>()?;
    let columns: Vec<_> = columns.iter().map(|column| column.as_primitive::<Float64Type>()).collect();
    let rows = columns.first().map_or(0, |column| column.len());
    let items = (0..rows).filter(|row| columns.iter().all(|column| column.is_valid(*row))).map(|row| {
        let (start, stop, step) = match columns.as_slice() {
            [stop] => (0.0, stop.value(row), 1.0),
            [start, stop] => (start.value(row), stop.value(row), 1.0),
            [start, stop, step, ..] => (start.value(row), stop.value(row), step.value(row)),
            [] => return 0.0,
        };
        // No step is refused by the function itself.
        if step == 0.0 { 0.0 } else { ((stop - start) / step).max(0.0) }
    });
    Ok(items.sum::<f64>() * size_of::<i64>() as f64)
}

fn repeated_bytes(arrays: &[ArrayRef]) -> Result<f64> {
    let [value, times, ..] = arrays else { return Ok(0.0) };
    let times = cast(times, &DataType::Float64)?;
    let times = times.as_primitive::<Float64Type>();
    // Each of them, and where it is found in the list.
    let mut bytes = 0.0;
    for row in (0..value.len()).filter(|row| times.is_valid(*row) && times.value(*row) > 0.0) {
        let size = bytes_of(&value.slice(row, 1))? + size_of::<u64>();
        bytes += times.value(row) * size as f64;
    }
    Ok(bytes)
}

fn resized_bytes(arrays: &[ArrayRef]) -> Result<f64> {
    let [_, lengths, more @ ..] = arrays else { return Ok(0.0) };
    let lengths = cast(lengths, &DataType::Float64)?;
    let lengths = lengths.as_primitive::<Float64Type>();
    let mut bytes = 0.0;
    for row in (0..lengths.len()).filter(|row| lengths.is_valid(*row) && lengths.value(*row) > 0.0) {
        let size = more.first().map_or(Ok(0), |value| bytes_of(&value.slice(row, 1)))?;
        bytes += lengths.value(row) * (size + size_of::<u64>()) as f64;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Int64Array, IntervalMonthDayNanoArray, StringArray};

    use super::*;

    fn numbers(of: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(of.iter().copied()))
    }

    #[test]
    fn how_much_a_range_makes() {
        assert!((range_bytes(&[numbers(&[10, -5])]).unwrap() - 80.0).abs() < 1.0);
        assert!((range_bytes(&[numbers(&[10]), numbers(&[0]), numbers(&[-2])]).unwrap() - 40.0).abs() < 1.0);
        assert!(range_bytes(&[numbers(&[0]), numbers(&[i64::MAX])]).unwrap() > 1e18);
        let days: ArrayRef = Arc::new(Date32Array::from_iter_values([0]));
        let later: ArrayRef = Arc::new(Date32Array::from_iter_values([28]));
        let month = IntervalMonthDayNano { months: 1, days: 0, nanoseconds: 0 };
        let month: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from_iter_values([month]));
        assert!((range_bytes(&[Arc::clone(&days), Arc::clone(&later), month]).unwrap() - 8.0).abs() < 1.0);
        let still = IntervalMonthDayNano { months: 1, days: -28, nanoseconds: 0 };
        let still: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from_iter_values([still]));
        assert!(range_bytes(&[days, later, still]).unwrap_err().to_string().contains("on and back"));
    }

    #[test]
    fn how_much_repeating_makes() {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(["x".repeat(1000), "y".into()]));
        let bytes = repeated_bytes(&[texts, numbers(&[1000, -1])]).unwrap();
        assert!((1e6..2e6).contains(&bytes), "{bytes}");
    }
}
