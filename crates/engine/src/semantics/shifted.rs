//! `lag`, `lead` and `nth_value` by a number that differs from row to row, of which DataFusion's take a constant only.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl};

use crate::functions::function::refuse;
use crate::functions::types::postgres_name;

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for which in [Which::Lag, Which::Lead, Which::Nth] {
        let function = Shifted { which, signature: Signature::user_defined(Volatility::Immutable) };
        state.register_udwf(Arc::new(WindowUDF::new_from_impl(function)))?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    Lag,
    Lead,
    Nth,
}

/// `polder_lag(value, rows)` and its like.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shifted {
    which: Which,
    signature: Signature,
}

impl WindowUDFImpl for Shifted {
    fn name(&self) -> &str {
        match self.which {
            Which::Lag => "polder_lag",
            Which::Lead => "polder_lead",
            Which::Nth => "polder_nth_value",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [value, number] if number.is_integer() || number.is_null() => Ok(vec![value.clone(), DataType::Int64]),
            _ => {
                let name = self.name().trim_start_matches("polder_");
                let types: Vec<String> = types.iter().map(postgres_name).collect();
                Err(refuse("42883", format!("function {name}({}) does not exist", types.join(", "))))
            }
        }
    }

    fn partition_evaluator(&self, _arguments: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(ShiftedEvaluator { which: self.which, row: 0 }))
    }

    fn field(&self, arguments: WindowUDFFieldArgs) -> Result<FieldRef> {
        let given = arguments.input_fields().first().cloned();
        let given = given.unwrap_or_else(|| Arc::new(Field::new("", DataType::Null, true)));
        Ok(Arc::new(given.as_ref().clone().with_name(arguments.name()).with_nullable(true)))
    }
}

#[derive(Debug)]
struct ShiftedEvaluator {
    which: Which,
    /// The next one that is asked for: of those that look at a frame, all rows of a partition are, one after the other.
    row: usize,
}

fn numbers(values: &[ArrayRef]) -> Result<(&ArrayRef, ArrayRef)> {
    match values {
        [value, number, ..] => Ok((value, cast(number, &DataType::Int64)?)),
        _ => Err(refuse("XX000", "a window function without its arguments")),
    }
}

impl PartitionEvaluator for ShiftedEvaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let (value, by) = numbers(values)?;
        let by = by.as_primitive::<Int64Type>();
        let place = |row: usize| {
            let by = by.is_valid(row).then(|| by.value(row))?;
            let row = i64::try_from(row).ok()?;
            let at = if self.which == Which::Lag { row.checked_sub(by) } else { row.checked_add(by) };
            at.and_then(|at| u64::try_from(at).ok()).filter(|at| *at < rows as u64)
        };
        Ok(take(value, &(0..rows).map(place).collect::<UInt64Array>(), None)?)
    }

    fn evaluate(&mut self, values: &[ArrayRef], frame: &Range<usize>) -> Result<ScalarValue> {
        let (value, nth) = numbers(values)?;
        let nth = nth.as_primitive::<Int64Type>();
        let row = self.row;
        self.row += 1;
        if !nth.is_valid(row) {
            return ScalarValue::try_from(value.data_type());
        }
        if nth.value(row) < 1 {
            return Err(refuse("22016", "argument of nth_value must be greater than zero"));
        }
        let at = usize::try_from(nth.value(row) - 1).ok().and_then(|behind| frame.start.checked_add(behind));
        match at.filter(|at| *at < frame.end) {
            Some(at) => ScalarValue::try_from_array(value, at),
            None => ScalarValue::try_from(value.data_type()),
        }
    }

    fn uses_window_frame(&self) -> bool {
        self.which == Which::Nth
    }
}
