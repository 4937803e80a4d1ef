//! Types that are kept as text, since neither Parquet nor DuckLake has a form that loses nothing: intervals, of which
//! Parquet keeps no microseconds and no negative ones, and JSON, of which DuckDB would keep no spelling; and arrays of JSON.
//!
//! The catalog calls such a column `varchar` (an array: a list of them) and says in its declaration what it is. So DuckDB reads
//! text that it can cast, and here the text becomes the type again at the edge of the table: in what a scan gives, and in what
//! is written.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray, RecordBatch, StringViewBuilder, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options, take};
use arrow::datatypes::{
    DataType, Field, FieldRef, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Schema, SchemaRef,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{ColumnStatistics, Result as DataFusionResult, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs};
use futures::StreamExt;
use polder_kernels::json::Json;
use polder_types::{Error, Result};

use crate::declared::DECLARED;
use crate::error::into_datafusion;
use crate::inlined;

/// Where Arrow keeps the name of a type that is more than its layout.
pub const EXTENSION: &str = "ARROW:extension:name";
/// That name for JSON.
pub const JSON_EXTENSION: &str = "arrow.json";

/// Where a list says what its items are of, if Arrow has no type for it. What a field of its items says is part of Arrow's
/// type, and gets lost. The contracts, which are not below, have the same name for it.
pub const CATALOG_TYPE: &str = "polder:catalog_type";

/// How an interval column is declared.
pub const INTERVAL: &str = "interval";
/// How a column of JSON is declared that keeps its spelling.
pub const JSON: &str = "json";
/// How a column of JSON is declared that keeps the value and not its spelling.
pub const JSONB: &str = "jsonb";
/// As [`JSON`], of an array of any depth.
pub const JSON_LIST: &str = "json[]";
/// As [`JSONB`], of an array of any depth.
pub const JSONB_LIST: &str = "jsonb[]";

const NANOS_PER_MICRO: i64 = 1_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Interval,
    Json,
    Jsonb,
    JsonList,
    JsonbList,
}

impl Kind {
    fn of(field: &Field) -> Option<Self> {
        let is_list = matches!(field.data_type(), DataType::List(_));
        match field.metadata().get(DECLARED)?.as_str() {
            INTERVAL => Some(Self::Interval),
            JSON => Some(Self::Json),
            JSONB => Some(Self::Jsonb),
            JSON_LIST if is_list => Some(Self::JsonList),
            JSONB_LIST if is_list => Some(Self::JsonbList),
            _ => None,
        }
    }
}

/// Whether the column is an interval that is kept as text.
pub(crate) fn is_interval(field: &Field) -> bool {
    Kind::of(field) == Some(Kind::Interval)
}

/// A stored column as those see it who compute with it.
fn field(stored: &FieldRef) -> FieldRef {
    match Kind::of(stored) {
        None => Arc::clone(stored),
        Some(Kind::Interval) => {
            Arc::new(stored.as_ref().clone().with_data_type(DataType::Interval(IntervalUnit::MonthDayNano)))
        }
        Some(Kind::Json | Kind::Jsonb) => said(stored, EXTENSION, JSON_EXTENSION),
        Some(Kind::JsonList) => said(stored, CATALOG_TYPE, JSON_LIST),
        Some(Kind::JsonbList) => said(stored, CATALOG_TYPE, JSONB_LIST),
    }
}

fn said(stored: &FieldRef, key: &str, what: &str) -> FieldRef {
    let mut metadata: HashMap<String, String> = stored.metadata().clone();
    metadata.insert(key.to_owned(), what.to_owned());
    Arc::new(stored.as_ref().clone().with_metadata(metadata))
}

/// A table's columns as those see them who compute with them.
#[must_use]
pub fn logical_schema(stored: &SchemaRef) -> SchemaRef {
    if stored.fields().iter().all(|field| Kind::of(field).is_none()) {
        return Arc::clone(stored);
    }
    let fields: Vec<FieldRef> = stored.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, stored.metadata().clone()))
}

/// The columns of a scan, which knows nothing of declarations, as those of its table.
pub(crate) fn scanned(scan: &SchemaRef, stored: &SchemaRef) -> SchemaRef {
    let known = |name: &str| stored.field_with_name(name).ok().filter(|field| field.metadata().contains_key(DECLARED));
    if scan.fields().iter().all(|field| known(field.name()).is_none()) {
        return Arc::clone(scan);
    }
    let fields = scan.fields().iter().map(|scanned| match known(scanned.name()) {
        Some(declared) => {
            let mut metadata = scanned.metadata().clone();
            metadata.extend(declared.metadata().clone());
            field(&Arc::new(scanned.as_ref().clone().with_metadata(metadata)))
        }
        None => Arc::clone(scanned),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), scan.metadata().clone()))
}

/// Stored rows as those see them who compute with them.
///
/// # Errors
/// `Corrupt` for a text that is no interval.
pub fn logical_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(array, field)| read(array, field)).collect::<Result<Vec<_>>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| Error::internal(error.to_string()))
}

/// A stored column in the type that it has for those who compute with it.
pub(crate) fn read(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    if !matches!(field.data_type(), DataType::Interval(IntervalUnit::MonthDayNano)) {
        return cast(array, field.data_type()).map_err(|error| Error::internal(error.to_string()));
    }
    let texts = cast(array, &DataType::Utf8View).map_err(|error| Error::internal(error.to_string()))?;
    let values = texts.as_string_view().iter().map(|text| text.map(|text| interval(field, text)).transpose());
    Ok(Arc::new(values.collect::<Result<PrimitiveArray<IntervalMonthDayNanoType>>>()?))
}

fn interval(field: &Field, text: &str) -> Result<IntervalMonthDayNano> {
    inlined::interval(text).ok_or_else(|| {
        Error::new(
            polder_types::ErrorKind::Corrupt,
            format!("column {:?} is of intervals, but has the text {text:?}", field.name()),
        )
        .with_hint("another program may have written it: UPDATE it there to a text such as '1 day 02:00:00'")
    })
}

/// Values as the column stores them; `None` if it has no such type.
///
/// # Errors
/// `InvalidInput` (22P02, 22007) for what is no JSON and no interval.
pub(crate) fn stored(array: &ArrayRef, field: &Field, table: &str) -> Option<Result<ArrayRef>> {
    let kind = Kind::of(field)?;
    Some(match kind {
        Kind::Interval => intervals(array, field, table),
        Kind::Json | Kind::Jsonb => documents(array, field, table, kind),
        Kind::JsonList | Kind::JsonbList => lists(array, field, table, kind),
    })
}

/// Arrays whose innermost elements are JSON.
fn lists(array: &ArrayRef, field: &Field, table: &str, kind: Kind) -> Result<ArrayRef> {
    let wrong = |what: &dyn fmt::Display| {
        Error::invalid(format!("column {:?} of {table}: {what}", field.name())).with_code("22P02")
    };
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let lists = cast_with_options(array, field.data_type(), &strict).map_err(|error| wrong(&error))?;
    elements(&lists, field, table, kind)
}

fn elements(array: &ArrayRef, field: &Field, table: &str, kind: Kind) -> Result<ArrayRef> {
    let Some(lists) = array.as_list_opt::<i32>() else {
        let leaf = Field::new(field.name(), array.data_type().clone(), true);
        return documents(array, &leaf, table, if kind == Kind::JsonList { Kind::Json } else { Kind::Jsonb });
    };
    let internal = |error: arrow::error::ArrowError| Error::internal(error.to_string());
    let DataType::List(item) = array.data_type() else { return Ok(Arc::clone(array)) };
    // Elements that no list has are no values: they are left behind.
    let kept = lists.iter().map(|list| list.map_or(0, |list| list.len()));
    let offsets = OffsetBuffer::from_lengths(kept);
    let places = lists.value_offsets().windows(2).enumerate().filter(|(row, _)| lists.is_valid(*row));
    let places: Vec<u64> = places.flat_map(|(_, ends)| ends[0] as u64..ends[1] as u64).collect();
    let values = take(lists.values(), &UInt64Array::from(places), None).map_err(internal)?;
    let values = elements(&values, field, table, kind)?;
    let lists = ListArray::try_new(Arc::clone(item), offsets, values, lists.nulls().cloned()).map_err(internal)?;
    Ok(Arc::new(lists))
}

fn intervals(array: &ArrayRef, field: &Field, table: &str) -> Result<ArrayRef> {
    let wrong = |what: &dyn fmt::Display| {
        Error::invalid(format!("column {:?} of {table}: {what}", field.name())).with_code("22007")
    };
    let unit = DataType::Interval(IntervalUnit::MonthDayNano);
    let values = match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let texts = cast(array, &DataType::Utf8View).map_err(|error| wrong(&error))?;
            let read = texts.as_string_view().iter().map(|text| {
                let Some(text) = text else { return Ok(None) };
                let value = inlined::interval(text);
                value.map(Some).ok_or_else(|| wrong(&format!("invalid input syntax for type interval: {text:?}")))
            });
            read.collect::<Result<PrimitiveArray<IntervalMonthDayNanoType>>>()?
        }
        _ => {
            let values = cast(array, &unit).map_err(|error| wrong(&error))?;
            values.as_primitive::<IntervalMonthDayNanoType>().clone()
        }
    };
    let mut builder = StringViewBuilder::with_capacity(values.len());
    values.iter().for_each(|value| builder.append_option(value.map(interval_text)));
    cast(&(Arc::new(builder.finish()) as ArrayRef), field.data_type()).map_err(|error| wrong(&error))
}

/// `14 mons -3 days 04:05:06.5`, which DuckDB and PostgreSQL read alike. Of nanoseconds the nearest microsecond is kept.
#[must_use]
pub fn interval_text(value: IntervalMonthDayNano) -> String {
    let mut parts = Vec::new();
    for (count, unit) in [(value.months, "mons"), (value.days, "days")] {
        if count != 0 {
            parts.push(format!("{count} {unit}"));
        }
    }
    let half = NANOS_PER_MICRO / 2 * value.nanoseconds.signum();
    let micros = value.nanoseconds.saturating_add(half) / NANOS_PER_MICRO;
    if micros != 0 || parts.is_empty() {
        let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let mut clock = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if fraction != 0 {
            clock.push_str(format!(".{fraction:06}").trim_end_matches('0'));
        }
        parts.push(clock);
    }
    parts.join(" ")
}

fn documents(array: &ArrayRef, field: &Field, table: &str, kind: Kind) -> Result<ArrayRef> {
    let wrong = |error: Error| error.context(format!("column {:?} of {table}", field.name()));
    let internal = |error: arrow::error::ArrowError| Error::internal(error.to_string());
    let texts = cast(array, &DataType::Utf8View).map_err(internal)?;
    let mut builder = StringViewBuilder::with_capacity(texts.len());
    for text in texts.as_string_view() {
        match text {
            None => builder.append_null(),
            Some(text) => {
                let value = Json::parse(text).map_err(wrong)?;
                if kind == Kind::Jsonb {
                    builder.append_value(value.to_string());
                }
            }
        }
    }
    // JSON keeps its spelling; that it can be read is enough.
    let kept: ArrayRef = if kind == Kind::Jsonb { Arc::new(builder.finish()) } else { texts };
    cast(&kept, field.data_type()).map_err(internal)
}

/// Statistics without what is known of the texts of intervals, whose order is another.
pub(crate) fn without_texts(mut statistics: Statistics, schema: &Schema) -> Statistics {
    for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
        if is_interval(field) {
            *column = ColumnStatistics::new_unknown();
        }
    }
    statistics
}

/// Whether the columns of two schemas have the same types, whatever else is said of them.
fn same_types(one: &Schema, other: &Schema) -> bool {
    let types = |schema: &Schema| schema.fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
    types(one) == types(other)
}

/// Rows of a scan as those see them who compute with them. Where that is another type, filters stay above: below, the
/// columns are texts.
#[derive(Debug, Clone)]
pub(crate) struct LogicalExec {
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl LogicalExec {
    /// A scan under a schema with the same columns; the scan itself, if no column is other than stored.
    pub fn above(input: Arc<dyn ExecutionPlan>, schema: SchemaRef) -> Arc<dyn ExecutionPlan> {
        if input.schema() == schema {
            return input;
        }
        let below = input.properties();
        let same_types = same_types(&input.schema(), &schema);
        let orderings = below.equivalence_properties().oeq_class().iter().filter(|_| same_types).cloned();
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(Arc::clone(&schema), orderings),
            below.output_partitioning().clone(),
            below.emission_type,
            below.boundedness,
        );
        Arc::new(Self { input, schema, properties: Arc::new(properties) })
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Self::above(input, Arc::clone(&self.schema))
    }
}

impl DisplayAs for LogicalExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => f.write_str("LogicalExec"),
            // A tree has the node's name already.
            DisplayFormatType::TreeRender => Ok(()),
        }
    }
}

impl ExecutionPlan for LogicalExec {
    crate::one_input!("LogicalExec");

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.input.repartitioned(target_partitions, config)?.map(|input| self.over(input)))
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![same_types(&self.input.schema(), &self.schema)]
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterDescription> {
        if same_types(&self.input.schema(), &self.schema) {
            FilterDescription::from_children(parent_filters, &self.children())
        } else {
            Ok(FilterDescription::all_unsupported(&parent_filters, &self.children()))
        }
    }

    fn statistics_from_inputs(
        &self,
        input_stats: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> DataFusionResult<Arc<Statistics>> {
        Ok(Arc::new(without_texts(input_stats[0].as_ref().clone(), &self.schema)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let schema = Arc::clone(&self.schema);
        let read = rows.map(move |batch| logical_batch(&batch?, &schema).map_err(into_datafusion));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), read)))
    }
}

#[cfg(test)]
mod tests;
