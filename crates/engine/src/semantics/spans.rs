//! `avg` and `sum` of intervals: months, days and time are added apart, as PostgreSQL does, and a sum that is too long is refused.
//! And `avg` of decimals, which has as many digits as a quotient.
//!
//! DataFusion's `avg` takes no intervals, and its `sum` of them begins anew where it is full.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, Documentation, GroupsAccumulator, ReversedUDAF, Signature,
    TypeSignature, TypeSignatureClass, Volatility,
};

use super::rounded::{Rounded, RoundedGroups, average_of, finer, is_rounded};
use crate::functions::dates::moment::{Span, of_fractions, span};
use crate::functions::function::refuse;

const SPAN: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// 38 digits hold the nanoseconds of as many intervals as there can be.
const NANOSECONDS: DataType = DataType::Decimal128(38, 0);

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    state.register_udaf(Arc::new(AggregateUDF::new_from_impl(Averages::new(avg_udaf()))))?;
    Ok(())
}

/// The sum of intervals, which takes the place of DataFusion's.
pub(super) fn sum() -> Arc<AggregateUDF> {
    let signature = Signature::exact(vec![SPAN], Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(Sum { signature }))
}

fn too_long() -> datafusion::common::DataFusionError {
    refuse("22008", "interval out of range")
}

fn state_fields(arguments: &StateFieldsArgs<'_>) -> Vec<FieldRef> {
    let field = |name: &str, data_type| Arc::new(Field::new(format_state_name(arguments.name, name), data_type, true));
    vec![
        field("number", DataType::Int64),
        field("months", DataType::Int64),
        field("days", DataType::Int64),
        field("nanoseconds", NANOSECONDS),
    ]
}

/// `avg` of everything that DataFusion's takes, and of intervals.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Averages {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Averages {
    fn new(inner: Arc<AggregateUDF>) -> Self {
        let mut signature = inner.signature().clone();
        if let TypeSignature::OneOf(ways) = &mut signature.type_signature {
            ways.push(TypeSignature::Coercible(vec![Coercion::new_exact(TypeSignatureClass::Interval)]));
        }
        Self { inner, signature }
    }
}

fn is_of_spans(arguments: &AccumulatorArgs<'_>) -> bool {
    matches!(arguments.return_field.data_type(), DataType::Interval(_))
}

impl AggregateUDFImpl for Averages {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Interval(_)] => Ok(SPAN),
            [number] => average_of(number).map_or_else(|| self.inner.return_type(arguments), Ok),
            _ => self.inner.return_type(arguments),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if matches!(arguments.return_field.data_type(), DataType::Interval(_)) {
            return Ok(state_fields(&arguments));
        }
        self.inner.state_fields(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if is_rounded(arguments.return_type()) {
            let is_distinct = arguments.is_distinct;
            let return_field =
                if is_distinct { finer(&arguments.return_field) } else { Arc::clone(&arguments.return_field) };
            let inner = self.inner.accumulator(AccumulatorArgs { return_field, ..arguments })?;
            return Ok(Box::new(Rounded { inner, is_distinct }));
        }
        if !is_of_spans(&arguments) {
            return self.inner.accumulator(arguments);
        }
        if arguments.is_distinct {
            return Err(refuse("0A000", "avg(DISTINCT …) of intervals is not supported"));
        }
        Ok(Box::new(Sums { average: true, ..Sums::default() }))
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if is_of_spans(&arguments) || is_rounded(arguments.return_type()) {
            self.accumulator(arguments)
        } else {
            self.inner.create_sliding_accumulator(arguments)
        }
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        !is_of_spans(&arguments) && self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        if is_rounded(arguments.return_type()) {
            return Ok(Box::new(RoundedGroups(self.inner.create_groups_accumulator(arguments)?)));
        }
        self.inner.create_groups_accumulator(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    signature: Signature,
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &'static str {
        "polder_sum_of_intervals"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(SPAN)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(state_fields(&arguments))
    }

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Sums::default()))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// What was added so far. As many months, days and nanoseconds as these hold are never there.
#[derive(Debug, Default)]
struct Sums {
    average: bool,
    number: i64,
    months: i64,
    days: i64,
    nanoseconds: i128,
}

impl Sums {
    /// With a sign of 1 the values are added, with -1 taken away.
    fn add(&mut self, values: &ArrayRef, sign: i64) -> Result<()> {
        let values = arrow::compute::cast(values, &SPAN)?;
        for value in values.as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            self.number += sign;
            self.months += sign * i64::from(value.months);
            self.days += sign * i64::from(value.days);
            self.nanoseconds += i128::from(sign) * i128::from(value.nanoseconds);
        }
        Ok(())
    }

    fn value(&self) -> Result<Span> {
        if !self.average {
            return span(self.months, self.days, i64::try_from(self.nanoseconds).map_err(|_| too_long())?);
        }
        let number = self.number as f64;
        of_fractions(self.months as f64 / number, self.days as f64 / number, self.nanoseconds as f64 / 1_000.0 / number)
    }
}

impl Accumulator for Sums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.iter().try_for_each(|values| self.add(values, 1))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.iter().try_for_each(|values| self.add(values, -1))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = if self.number > 0 { Some(self.value()?) } else { None };
        Ok(ScalarValue::IntervalMonthDayNano(value))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.number)),
            ScalarValue::Int64(Some(self.months)),
            ScalarValue::Int64(Some(self.days)),
            ScalarValue::Decimal128(Some(self.nanoseconds), 38, 0),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [number, months, days, nanoseconds] = states else { return Ok(()) };
        let total = |of: &ArrayRef| of.as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        self.number += total(number);
        self.months += total(months);
        self.days += total(days);
        self.nanoseconds += nanoseconds.as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>();
        Ok(())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
