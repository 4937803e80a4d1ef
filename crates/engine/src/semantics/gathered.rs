//! `array_agg` gives arrays of the type that it gathers, where Arrow has none for it: `oid[]`, `jsonb[]`. And what gathers
//! values, `string_agg` too, does it in the order that it says, whatever others beside it say; different ones in their own.

mod weighed;

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, Signature,
};
use datafusion::physical_expr::PhysicalSortExpr;

use crate::functions::types;
use weighed::Weighed;

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    state.register_udaf(gathering(array_agg_udaf(), true))?;
    state.register_udaf(gathering(string_agg_udaf(), false))?;
    Ok(())
}

fn gathering(inner: Arc<AggregateUDF>, lists: bool) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Gathering { inner, lists }))
}

/// A function under its own name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Gathering {
    inner: Arc<AggregateUDF>,
    /// It gives lists, which say what they are of.
    lists: bool,
}

impl AggregateUDFImpl for Gathering {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner.return_field(arguments)?;
        if !self.lists {
            return Ok(field);
        }
        Ok(match arguments.first().and_then(|item| types::list_mark(item)) {
            Some(mark) => Arc::new(types::of_catalog(field.as_ref().clone(), &mark)),
            None => field,
        })
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if arguments.is_distinct
            && arguments.order_bys.is_empty()
            && let Some(value) = arguments.exprs.first()
        {
            // PostgreSQL finds the different ones by sorting them.
            let nulls_last = SortOptions { descending: false, nulls_first: false };
            let order = [PhysicalSortExpr::new(Arc::clone(value), nulls_last)];
            return self.inner.accumulator(AccumulatorArgs { order_bys: &order, is_reversed: false, ..arguments });
        }
        if arguments.is_distinct && arguments.is_reversed {
            // Different values are sorted where they are gathered, by what is said here: turned around for rows that come
            // in the other order, it would stay so.
            let order: Vec<PhysicalSortExpr> = arguments.order_bys.iter().map(PhysicalSortExpr::reverse).collect();
            let turned = AccumulatorArgs { order_bys: &order, is_reversed: false, ..arguments };
            return self.inner.accumulator(turned);
        }
        // What is sorted or looked for in it is counted as it is.
        let is_plain = self.lists && !arguments.is_distinct && arguments.order_bys.is_empty();
        let inner = self.inner.accumulator(arguments)?;
        Ok(if is_plain { Box::new(Weighed::new(inner)) } else { inner })
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let inner = self.inner.create_groups_accumulator(arguments)?;
        Ok(if self.lists { Box::new(Weighed::new(inner)) } else { inner })
    }

    /// Both sort by themselves what does not come sorted, as of several orders only one can.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::SoftRequirement
    }

    fn with_beneficial_ordering(self: Arc<Self>, ordered: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        // `string_agg` has no other way for rows that come sorted.
        let inner = self.inner.as_ref().clone().with_beneficial_ordering(ordered)?;
        let inner = inner.map_or_else(|| Arc::clone(&self.inner), Arc::new);
        Ok(Some(Arc::new(Self { inner, lists: self.lists })))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(reversed) => ReversedUDAF::Reversed(gathering(reversed, self.lists)),
            other => other,
        }
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
