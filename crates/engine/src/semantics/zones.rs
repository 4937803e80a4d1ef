//! Timestamps with a time zone: instants, which the session's zone turns into local times and back.
//!
//! In a plan they are of type `Timestamp(Microsecond, "UTC")` wherever they come from. The session's zone stands in the
//! options, `UTC` when none was set.

mod local;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringViewArray, StringViewBuilder};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::rewrite_plan;
use crate::functions::call;
pub(crate) use local::Zone;

/// The function that `AT TIME ZONE` is written as.
pub(crate) const AT_TIME_ZONE: &str = "timezone";

const SPAN: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn local_time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

pub(super) fn register(state: &mut dyn datafusion::execution::FunctionRegistry) -> Result<()> {
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(Convert::new(Way::AtTimeZone))))?;
    Ok(())
}

/// Casts from and to timestamps with a zone, by the session's zone.
#[derive(Debug)]
pub(super) struct SessionZone;

impl AnalyzerRule for SessionZone {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = config.execution.time_zone.clone().unwrap_or_else(|| "UTC".into());
        plan.transform_up_with_subqueries(|plan| {
            rewrite_plan(plan, &|expr: Expr, schema: &DFSchema| by_zone(expr, schema, &zone))
        })
        .data()
    }

    fn name(&self) -> &str {
        "session_zone"
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn by_zone(expr: Expr, schema: &DFSchema, zone: &str) -> Result<Transformed<Expr>> {
    match &expr {
        Expr::Cast(Cast { expr: inner, field }) => {
            // A correlated subquery names columns that are not here; what cannot be typed is left as it is.
            let Ok(from) = inner.get_type(schema) else { return Ok(Transformed::no(expr)) };
            let Some(way) = way(&from, field.data_type()) else { return Ok(Transformed::no(expr)) };
            let argument = match way {
                Way::OfText => cast(inner.as_ref().clone(), DataType::Utf8View),
                Way::ToInstant => cast(inner.as_ref().clone(), local_time()),
                _ => cast(inner.as_ref().clone(), instant()),
            };
            let converted = Arc::new(ScalarUDF::new_from_impl(Convert::new(way))).call(vec![lit(zone), argument]);
            let given = way.gives();
            let converted = if given == *field.data_type() {
                converted
            } else {
                Expr::Cast(Cast { expr: Box::new(converted), field: Arc::clone(field) })
            };
            Ok(Transformed::yes(converted))
        }
        // A day is as long as it is in the session's zone.
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) if zone != "UTC" => {
            let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
                return Ok(Transformed::no(expr));
            };
            let in_utc = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(zone)) if is_utc(zone));
            match (&left_type, &right_type) {
                (time, DataType::Interval(_)) if in_utc(time) => Ok(Transformed::yes(moved(left, *op, right, time))),
                (DataType::Interval(_), time) if in_utc(time) && *op == Operator::Plus => {
                    Ok(Transformed::yes(moved(right, *op, left, time)))
                }
                _ => Ok(Transformed::no(expr)),
            }
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == AT_TIME_ZONE => {
            let [given, value] = args.as_slice() else { return Ok(Transformed::no(expr)) };
            let Ok(from) = value.get_type(schema) else { return Ok(Transformed::no(expr)) };
            let value = match from {
                DataType::Timestamp(_, None) => return Ok(Transformed::no(expr)),
                DataType::Timestamp(_, Some(_)) => return Ok(Transformed::no(expr)),
                // Dates and texts are times with a zone first, as in PostgreSQL.
                _ => by_zone(cast(value.clone(), instant()), schema, zone)?.data,
            };
            Ok(Transformed::yes(func.call(vec![given.clone(), value])))
        }
        _ => Ok(Transformed::no(expr)),
    }
}

/// An instant and a span later, or before it. Arrow's own sum has none where the clocks skip the time that comes out.
fn moved(time: &Expr, op: Operator, span: &Expr, back: &DataType) -> Expr {
    let span = cast(span.clone(), SPAN);
    let span = if op == Operator::Minus { Expr::Negative(Box::new(span)) } else { span };
    cast(call("polder_instant_plus", vec![cast(time.clone(), instant()), span]), back.clone())
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z")
}

fn way(from: &DataType, to: &DataType) -> Option<Way> {
    match (from, to) {
        (DataType::Timestamp(_, Some(_)), to) if is_text(to) => Some(Way::ToText),
        (
            DataType::Timestamp(_, Some(_)),
            DataType::Timestamp(_, None)
            | DataType::Date32
            | DataType::Date64
            | DataType::Time32(_)
            | DataType::Time64(_),
        ) => Some(Way::ToLocal),
        (from, DataType::Timestamp(_, Some(_))) if is_text(from) => Some(Way::OfText),
        (DataType::Timestamp(_, None) | DataType::Date32 | DataType::Date64, DataType::Timestamp(_, Some(_))) => {
            Some(Way::ToInstant)
        }
        _ => None,
    }
}

/// A conversion by a zone, which is the first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    OfText,
    ToText,
    ToInstant,
    ToLocal,
    /// To a local time or to an instant, by what it is given.
    AtTimeZone,
}

impl Way {
    fn gives(self) -> DataType {
        match self {
            Self::OfText | Self::ToInstant => instant(),
            Self::ToText => DataType::Utf8View,
            Self::ToLocal | Self::AtTimeZone => local_time(),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Convert {
    way: Way,
    signature: Signature,
}

impl Convert {
    fn new(way: Way) -> Self {
        Self { way, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Convert {
    fn name(&self) -> &str {
        match self.way {
            Way::OfText => "polder_instant_of_text",
            Way::ToText => "polder_instant_to_text",
            Way::ToInstant => "polder_instant",
            Way::ToLocal => "polder_local_time",
            Way::AtTimeZone => AT_TIME_ZONE,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match (self.way, arguments.get(1)) {
            (Way::AtTimeZone, Some(DataType::Timestamp(_, None))) => Ok(instant()),
            (way, _) => Ok(way.gives()),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [zone, value] = arguments.args.as_slice() else {
            return Err(DataFusionError::Internal("a conversion takes a zone and a value".into()));
        };
        let scalar = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let array = value.to_array(if scalar { 1 } else { arguments.number_rows })?;
        let zone = &named_offsets(zone)?;
        let way = match (self.way, array.data_type()) {
            (Way::AtTimeZone, DataType::Timestamp(_, None)) => Way::ToInstant,
            (Way::AtTimeZone, _) => Way::ToLocal,
            (way, _) => way,
        };
        // Written in a query, an offset's sign is POSIX's; the session's zone has its own name already.
        let named = if self.way == Way::AtTimeZone { Zone::parse } else { Zone::known };
        let converted = match zone {
            ColumnarValue::Scalar(zone) => match zone.try_as_str() {
                Some(Some(zone)) => convert(way, &array, named, |_| Ok(Some(zone.to_owned())))?,
                _ => arrow::array::new_null_array(&way.gives(), array.len()),
            },
            ColumnarValue::Array(zones) => {
                let zones = arrow::compute::cast(zones, &DataType::Utf8View)?;
                let zones = zones.as_string_view();
                convert(way, &array, named, |row| Ok(zones.is_valid(row).then(|| zones.value(row).to_owned())))?
            }
        };
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?));
        }
        Ok(ColumnarValue::Array(converted))
    }
}

/// The names of offsets that are given as intervals, in POSIX form; other zones are named already.
fn named_offsets(zone: &ColumnarValue) -> Result<ColumnarValue> {
    if !matches!(zone.data_type(), DataType::Interval(_)) {
        return Ok(zone.clone());
    }
    let spans = arrow::compute::cast(&zone.to_array(1)?, &SPAN)?;
    let spans = spans.as_primitive::<IntervalMonthDayNanoType>();
    let names: StringViewArray = spans.iter().map(|span| span.map(offset_name).transpose()).collect::<Result<_>>()?;
    Ok(match zone {
        ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&names, 0)?),
        ColumnarValue::Array(_) => ColumnarValue::Array(Arc::new(names)),
    })
}

fn offset_name(span: IntervalMonthDayNano) -> Result<String> {
    if span.months != 0 || span.days != 0 {
        let error = polder_types::Error::invalid("interval time zone must not include months or days");
        return Err(external(error.with_code("22023")));
    }
    let seconds = span.nanoseconds / 1_000_000_000;
    let sign = if seconds < 0 { '+' } else { '-' };
    let seconds = seconds.unsigned_abs();
    Ok(format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60))
}

/// Each value by its row's zone.
fn convert(
    way: Way,
    array: &ArrayRef,
    named: fn(&str) -> polder_types::Result<Zone>,
    zone_of: impl Fn(usize) -> Result<Option<String>>,
) -> Result<ArrayRef> {
    let mut known: Option<(String, Zone)> = None;
    let mut zone = |row: usize| -> Result<Option<Zone>> {
        let Some(name) = zone_of(row)? else { return Ok(None) };
        if let Some((last, zone)) = &known
            && *last == name
        {
            return Ok(Some(*zone));
        }
        let zone = named(&name).map_err(external)?;
        known = Some((name, zone));
        Ok(Some(zone))
    };
    if way == Way::OfText {
        let texts = arrow::compute::cast(array, &DataType::Utf8View)?;
        let texts = texts.as_string_view();
        let values = (0..texts.len()).map(|row| match (texts.is_valid(row), zone(row)?) {
            (true, Some(zone)) => zone.read(texts.value(row)).map(Some).map_err(external),
            _ => Ok(None),
        });
        return Ok(Arc::new(instants(values.collect::<Result<Vec<_>>>()?)));
    }
    let from = if way == Way::ToInstant { local_time() } else { instant() };
    let times = arrow::compute::cast(array, &from)?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let mut each = |row: usize| {
        Ok::<_, DataFusionError>(match (times.is_valid(row), zone(row)?) {
            (true, Some(zone)) => Some((zone, times.value(row))),
            _ => None,
        })
    };
    if way == Way::ToText {
        let mut texts = StringViewBuilder::with_capacity(times.len());
        for row in 0..times.len() {
            match each(row)? {
                Some((zone, time)) => texts.append_value(zone.write(time).map_err(external)?),
                None => texts.append_null(),
            }
        }
        return Ok(Arc::new(texts.finish()));
    }
    let values = (0..times.len()).map(|row| {
        let Some((zone, time)) = each(row)? else { return Ok(None) };
        let moved = if way == Way::ToInstant { zone.instant(time) } else { zone.local(time) };
        moved.map(Some).map_err(external)
    });
    let values = values.collect::<Result<Vec<_>>>()?;
    Ok(match way {
        Way::ToInstant => Arc::new(instants(values)),
        _ => Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(values)),
    })
}

fn instants(values: Vec<Option<i64>>) -> PrimitiveArray<TimestampMicrosecondType> {
    PrimitiveArray::<TimestampMicrosecondType>::from(values).with_timezone("UTC")
}

fn external(error: polder_types::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
