//! COPY … TO: rows into files. What fails leaves nothing behind, and what was there before as it was.

use std::path::Path as DiskPath;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Column;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use polder_capability::CommandTag;
use polder_types::{Error, ErrorKind, Result};

use super::Context;
use super::exports::Writing;
use crate::error::from_datafusion;
use crate::scope::Scope;
use crate::session::Outcome;

/// The folder of rows without a value, as Hive, Spark and DuckDB name it.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The plan with a name for what is missing in the columns that folders are named after: the sink would take whatever
/// lies beneath a missing value for one.
///
/// # Errors
/// `NotFound` for a column that the rows have not.
pub(super) fn named_folders(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Copy(copy) if !copy.partition_by.is_empty() => {
            let input = with_names(copy.input.as_ref().clone(), &copy.partition_by)?;
            LogicalPlan::Copy(CopyTo { input: Arc::new(input), ..copy })
        }
        LogicalPlan::Analyze(mut analyze) => {
            analyze.input = Arc::new(named_folders(analyze.input.as_ref().clone())?);
            LogicalPlan::Analyze(analyze)
        }
        other => other,
    })
}

fn with_names(input: LogicalPlan, folders: &[String]) -> Result<LogicalPlan> {
    let schema = Arc::clone(input.schema());
    if let Some(unknown) = folders.iter().find(|name| !schema.fields().iter().any(|field| field.name() == *name)) {
        return Err(Error::not_found(format!("column {unknown:?} does not exist")).with_code("42703"));
    }
    let columns = schema.iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        if !folders.contains(field.name()) || !names_folders(field.data_type()) {
            return column;
        }
        coalesce(vec![cast(column, DataType::Utf8), lit(NO_VALUE)]).alias_qualified(qualifier.cloned(), field.name())
    });
    let columns: Vec<Expr> = columns.collect();
    LogicalPlanBuilder::from(input).project(columns).and_then(LogicalPlanBuilder::build).map_err(from_datafusion)
}

/// The types that the sink makes folders of; it refuses others by their name.
fn names_folders(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Date32
                | DataType::Date64
                | DataType::Null
        )
}

impl Context<'_> {
    /// Writes the files, all of them before it answers.
    pub(super) async fn copy_to(&self, scope: &Scope, copy: CopyTo) -> Result<Outcome> {
        let (copy, mut writing) = Writing::begin(scope, copy).await?;
        let (schema, counts) = match self.written(scope, LogicalPlan::Copy(copy)).await {
            Ok(written) => written,
            Err(error) => {
                writing.discard().await;
                return Err(error);
            }
        };
        writing.keep().await?;
        let counts = RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter(counts.into_iter().map(Ok)));
        let tag = CommandTag { verb: "COPY".to_owned(), rows: None };
        Ok(Outcome { tag, snapshot: scope.snapshot.id, notices: Vec::new(), rows: Some((schema, Box::pin(counts))) })
    }

    async fn written(&self, scope: &Scope, plan: LogicalPlan) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let counts = self.execute(scope, plan).await?;
        let schema = counts.schema();
        Ok((schema, counts.try_collect().await.map_err(from_datafusion)?))
    }

    /// Refuses to write over what Polder keeps: a COPY … TO that is to run, or to be analyzed.
    pub(super) fn check_copy(&self, plan: &LogicalPlan) -> Result<()> {
        let copy = match plan {
            LogicalPlan::Copy(copy) => copy,
            LogicalPlan::Analyze(analyze) => return self.check_copy(&analyze.input),
            _ => return Ok(()),
        };
        let url = ListingTableUrl::parse(&copy.output_url).map_err(from_datafusion)?;
        let store = self.engine.lake.store();
        let own = if url.scheme() == "file" {
            // As it is written and as it is understood: a letter may stand there in its percent form.
            let understood = DiskPath::new("/").join(url.prefix().as_ref());
            self.engine.own_files.holds(&understood) || self.engine.own_files.holds(DiskPath::new(&copy.output_url))
        } else {
            url.object_store() == *store.url && url.prefix().as_ref().starts_with(store.base.trim_matches('/'))
        };
        if own {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("{} is where Polder keeps its own files", copy.output_url),
            )
            .with_hint("copy to another place"));
        }
        Ok(())
    }
}
