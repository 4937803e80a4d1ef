//! Values for columns that rows come without.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use polder_types::{Error, Result};

use crate::conform::is_overflow;
use crate::lake::Lake;
use crate::model::TableState;
use crate::names::TableName;

/// What `DEFAULT` stands for in some columns of a table.
#[derive(Debug, Clone)]
pub struct Defaults {
    table: String,
    /// By the column's place in the table.
    values: Vec<(usize, Arc<dyn PhysicalExpr>)>,
    counts: bool,
}

impl Defaults {
    /// The defaults of the columns at these places; `None` when none of them has any.
    pub(crate) fn of(lake: &Lake, name: &TableName, table: &Arc<TableState>, places: &[usize]) -> Result<Option<Self>> {
        let fields = table.arrow_schema.fields();
        let mut counts = false;
        let mut with_default = Vec::new();
        for place in places {
            let Some(field) = fields.get(*place) else { continue };
            let Some(column) = table.top_columns().find(|column| column.name == *field.name()) else { continue };
            let is_identity = table.rules.identity_of(column.id).is_some();
            let is_constant = column.default_value.as_deref().is_some_and(|text| text != "NULL");
            if is_identity || is_constant || table.rules.default_of(column.id).is_some() {
                counts |= is_identity;
                with_default.push((*place, column.name.clone()));
            }
        }
        if with_default.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = with_default.iter().map(|(_, name)| name.clone()).collect();
        let planned = lake.rule_keeper()?.defaults(name, table, &names)?;
        let values = with_default.into_iter().map(|(place, _)| place).zip(planned).collect();
        Ok(Some(Self { table: table.name.clone(), values, counts }))
    }

    /// Whether a column counts itself up, so that the order of the rows is seen.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.counts
    }

    /// The batch, which has the table's columns in their order, with the defaults in their places.
    ///
    /// # Errors
    /// `InvalidInput` when an expression fails, or the numbers of an identity are used up.
    pub fn fill(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut fields: Vec<FieldRef> = batch.schema_ref().fields().iter().cloned().collect();
        let mut columns = batch.columns().to_vec();
        for (place, expr) in &self.values {
            let (Some(field), Some(column)) = (fields.get_mut(*place), columns.get_mut(*place)) else { continue };
            let value = expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
            *column = value.map_err(|error| self.failed(field.name(), error))?;
            // The writer makes it the table's type, as it does with every value.
            *field = Arc::new(field.as_ref().clone().with_data_type(column.data_type().clone()).with_nullable(true));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|error| Error::internal(format!("{}: {error}", self.table)))
    }

    fn failed(&self, column: &str, error: DataFusionError) -> Error {
        let error = match error {
            DataFusionError::External(source) => match source.downcast::<Error>() {
                Ok(own) => return *own,
                Err(other) => DataFusionError::External(other),
            },
            other => other,
        };
        let error = error.to_string();
        let code = if is_overflow(&error) { "22003" } else { "22000" };
        Error::invalid(format!("the default of column {column:?} of {} cannot be computed: {error}", self.table))
            .with_code(code)
    }
}
