//! Defaults that are constants: the catalog keeps them as texts of single values.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use polder_types::{Error, Result};

use super::super::{Context, blob_text};
use crate::error::from_datafusion;
use crate::functions::{casts, input, json, types};

impl Context<'_> {
    /// A default as the text that the catalog keeps, for a column of a type, and of what it is declared to be.
    pub(super) fn literal(
        &self,
        default: &Expr,
        column: &str,
        data_type: &DataType,
        declared: Option<&str>,
    ) -> Result<String> {
        let Some(value) = self.value_of(default.clone())? else {
            return Err(Error::unsupported(format!("the default of column {column:?} is not a constant"))
                .with_hint("give a number, a text, or a date"));
        };
        if value.is_null() {
            return Ok("NULL".into());
        }
        let text = value.try_as_str().flatten().map(str::to_owned);
        match (data_type, text) {
            (DataType::List(_), text) => {
                if let Some(text) = text {
                    read(text, data_type)?;
                }
                // The catalog's texts are of single values; CREATE TABLE keeps the expression.
                Err(Error::unsupported(format!("an array as the default of column {column:?} is not supported here"))
                    .with_hint("CREATE TABLE takes one"))
            }
            (DataType::FixedSizeBinary(_), text) => {
                if let Some(text) = text {
                    read(text, data_type)?;
                }
                Err(Error::unsupported(format!("an identifier as the default of column {column:?} is no text"))
                    .with_hint("CREATE TABLE and ADD COLUMN take one"))
            }
            (DataType::Interval(_), Some(text)) => {
                input::interval(&text, None).map(polder_lake::interval_text).map_err(from_datafusion)
            }
            (DataType::Binary, Some(text)) => {
                Ok(blob_text::written(read(text, data_type)?.as_binary::<i32>().value(0)))
            }
            (_, Some(text)) if declared == Some(polder_lake::JSONB) => json::normalised(&text).map_err(from_datafusion),
            (_, Some(text)) if declared == Some(polder_lake::JSON) => {
                json::normalised(&text).map(|_| text).map_err(from_datafusion)
            }
            _ => self.kept_text(value, data_type),
        }
    }

    fn kept_text(&self, value: ScalarValue, data_type: &DataType) -> Result<String> {
        let assigned = cast(Expr::Literal(value.clone(), None), data_type.clone());
        let value = match self.value_of(assigned)? {
            Some(value) if value.data_type() == *data_type => value,
            // Told by the cast itself, if it is not possible.
            _ => value.cast_to(data_type).map_err(from_datafusion)?,
        };
        if matches!(data_type, DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_)) {
            // As DuckDB writes them.
            let text = value.cast_to(&DataType::Utf8).map_err(from_datafusion)?;
            let text = text.try_as_str().flatten().unwrap_or_default();
            return Ok(text.replace('T', " ").replace('Z', "+00"));
        }
        Ok(match &value {
            ScalarValue::Binary(Some(bytes)) => blob_text::written(bytes),
            ScalarValue::IntervalMonthDayNano(Some(span)) => polder_lake::interval_text(*span),
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
                text.clone()
            }
            other => other.to_string(),
        })
    }

    /// The value of an expression as a query would compute it, with PostgreSQL's casts; `None` if it is no constant.
    fn value_of(&self, expr: Expr) -> Result<Option<ScalarValue>> {
        let is_more = |part: &Expr| {
            matches!(
                part,
                Expr::AggregateFunction(_)
                    | Expr::WindowFunction(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::Unnest(_)
            )
        };
        if expr.exists(|part| Ok(is_more(part))).map_err(from_datafusion)? {
            return Ok(None);
        }
        let state = &self.engine.template;
        let mut options = state.config_options().as_ref().clone();
        options.execution.time_zone = Some(self.settings.zone().to_owned());
        let plan = LogicalPlanBuilder::empty(true)
            .project([expr])
            .and_then(LogicalPlanBuilder::build)
            .and_then(|plan| state.analyzer().execute_and_check(plan, &options, |_, _| {}))
            .map_err(from_datafusion)?;
        let Some(expr) = plan.expressions().into_iter().next() else { return Ok(None) };
        let context = SimplifyContext::builder().with_config_options(Arc::new(options)).build();
        let simple = ExprSimplifier::new(context).simplify(expr.unalias_nested().data).map_err(from_datafusion)?;
        Ok(match simple {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        })
    }
}

/// Which of the types that Arrow keeps as text a column is declared to be.
pub(super) fn declared(field: &Field) -> Option<&str> {
    let declared = field.metadata().get(polder_lake::DECLARED).map(String::as_str);
    declared.or_else(|| types::is_json(field).then_some(polder_lake::JSONB))
}

/// A text as a value of a type.
fn read(text: String, data_type: &DataType) -> Result<ArrayRef> {
    let texts: ArrayRef = Arc::new(StringArray::from(vec![text]));
    casts::as_type(&texts, data_type).map_err(from_datafusion)
}
