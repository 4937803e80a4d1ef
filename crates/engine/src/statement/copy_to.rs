//! COPY … TO: rows into files. What fails leaves nothing behind, and what was there before as it was.

use std::collections::HashSet;
use std::path::Path as DiskPath;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{TryStreamExt, stream};
use polder_capability::CommandTag;
use polder_types::{Error, ErrorKind, Result};

use super::exports::Writing;
use super::names_out::{MARK, plain};
use super::sinks::with_own_sink;
use super::{Context, joins};
use crate::error::from_datafusion;
use crate::functions::strings::csv::CsvCells;
use crate::functions::{call, types};
use crate::scope::Scope;
use crate::session::Outcome;

/// The folder of rows without a value, as Hive, Spark and DuckDB name it.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The plan with its rows as the files shall hold them: what the format has no type for as text, and a name for what is
/// missing in the columns that folders are named after. The sink would take whatever lies beneath a missing value for one.
///
/// # Errors
/// `NotFound` for a folder of a column that the rows have not; `InvalidInput` (42701) for two columns of one name, unless
/// the files are CSV.
pub(super) fn for_files(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Copy(mut copy) => {
            let format = copy.file_type.get_ext();
            let cells = (format == "csv").then(|| cells_of(&mut copy)).flatten();
            copy.input = Arc::new(written(copy.input.as_ref().clone(), &copy.partition_by, &format, cells.as_ref())?);
            LogicalPlan::Copy(copy)
        }
        other => other,
    })
}

/// How cells of CSV are written, when it is we who put them in quotes: the writer's own way would take a missing value and
/// the empty text for the same. Not of a single column, of which a missing value would be an empty line.
fn cells_of(copy: &mut CopyTo) -> Option<CsvCells> {
    let columns = copy.input.schema().fields().len().saturating_sub(copy.partition_by.len());
    if columns < 2 || copy.options.contains_key("format.quote_style") {
        return None;
    }
    let letter = |name: &str, usual: char| {
        let given = copy.options.get(&format!("format.{name}")).and_then(|text| text.chars().next());
        given.filter(char::is_ascii).unwrap_or(usual)
    };
    let quote = letter("quote", '"');
    let cells = CsvCells {
        delimiter: letter("delimiter", ','),
        quote,
        escape: letter("escape", quote),
        null: copy.options.get("format.null_value").cloned().unwrap_or_default(),
    };
    copy.options.insert("format.quote_style".to_owned(), "never".to_owned());
    Some(cells)
}

fn written(input: LogicalPlan, folders: &[String], format: &str, cells: Option<&CsvCells>) -> Result<LogicalPlan> {
    let schema = Arc::clone(input.schema());
    if let Some(unknown) = folders.iter().find(|name| !schema.fields().iter().any(|field| field.name() == *name)) {
        return Err(Error::not_found(format!("column {unknown:?} does not exist")).with_code("42703"));
    }
    let is_csv = format == "csv";
    if !is_csv {
        refuse_repeated(&schema, format)?;
    }
    let mut any = false;
    let columns = schema.iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        if folders.contains(field.name()) {
            if !names_folders(field.data_type()) {
                return column;
            }
            any = true;
            let named = coalesce(vec![cast(column, DataType::Utf8), lit(NO_VALUE)]);
            return named.alias_qualified(qualifier.cloned(), field.name());
        }
        let shown = is_text_in(format, field.data_type()) || cells.is_some_and(is_part_of_values);
        let text = if shown { call("polder_text", vec![column]) } else { column };
        let cell = match cells {
            Some(cells) if shown || types::is_text(field.data_type()) => {
                call("polder_csv_cell", vec![text, lit(cells.to_terms())])
            }
            _ => text,
        };
        let name = plain(field.name());
        let written = cells.map_or_else(|| name.into(), |cells| cells.cell(name));
        // In CSV the number of a repeated name is taken off by the sink: no plan has a name twice.
        let number = if is_csv { &field.name()[name.len()..] } else { "" };
        any |= shown || cells.is_some() || (!is_csv && field.name().contains(MARK));
        cell.alias_qualified(qualifier.cloned(), format!("{written}{number}"))
    });
    let columns: Vec<Expr> = columns.collect();
    if !any {
        return Ok(input);
    }
    LogicalPlanBuilder::from(input).project(columns).and_then(LogicalPlanBuilder::build).map_err(from_datafusion)
}

/// # Errors
/// `InvalidInput` (42701) for two columns of one name.
fn refuse_repeated(schema: &DFSchema, format: &str) -> Result<()> {
    let mut seen = HashSet::new();
    match schema.fields().iter().map(|field| plain(field.name())).find(|name| !seen.insert(*name)) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!("column {name:?} is there twice, and {format} has each name once"))
            .with_code("42701")
            .with_hint("give one of them another name with AS")),
    }
}

/// Whether numbers and dates may hold what parts cells, and may have to be put in quotes, too.
fn is_part_of_values(cells: &CsvCells) -> bool {
    [cells.delimiter, cells.quote].into_iter().any(|letter| letter.is_alphanumeric() || "-:.+ ".contains(letter))
}

/// Whether a format has no values of a type, or others write it in another way than we do.
fn is_text_in(format: &str, data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) => format != "arrow",
        DataType::FixedSizeBinary(16) => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => matches!(format, "csv" | "json"),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => format == "csv",
        _ => false,
    }
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
        let physical = joins::physical(&scope.state, &plan).await.map_err(from_datafusion)?;
        let counts = self.start(&scope.state, with_own_sink(physical))?;
        let schema = counts.schema();
        Ok((schema, counts.try_collect().await.map_err(from_datafusion)?))
    }

    /// Refuses to write over what Polder keeps.
    pub(super) fn check_copy(&self, plan: &LogicalPlan) -> Result<()> {
        let LogicalPlan::Copy(copy) = plan else { return Ok(()) };
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
