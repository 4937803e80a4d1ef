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
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use polder_capability::CommandTag;
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::Context;
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
        let written = match self.written(scope, LogicalPlan::Copy(copy)).await {
            Ok(written) => writing.keep().await.map(|()| written),
            Err(error) => Err(error),
        };
        writing.end(written.is_ok()).await;
        let (schema, counts) = written?;
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

/// Where a COPY writes while nobody knows yet whether it fails: the sink closes its files when its rows end, whether
/// they end in good order or not, and what it closes replaces what was there.
enum Place {
    /// On a disk: a file or folder beside the one that is wanted, to take its name in the end.
    Beside { written: Path, wanted: Path, is_file: bool },
    /// One object of a bucket, with what was there before. A bucket has no other name to write under that would not
    /// cost a second copy.
    Object { wanted: Path, before: Option<ObjectMeta> },
    /// Objects under names of their own in a bucket: those that are there stay as they are.
    Bucket,
}

/// A COPY under way; what it has written goes with it, unless it is kept.
struct Writing {
    store: Arc<dyn ObjectStore>,
    place: Option<Place>,
}

impl Writing {
    async fn begin(scope: &Scope, copy: CopyTo) -> Result<(CopyTo, Self)> {
        let url = ListingTableUrl::parse(&copy.output_url).map_err(from_datafusion)?;
        let store = scope.state.runtime_env().object_store(url.object_store()).map_err(from_datafusion)?;
        // As the planner decides it.
        let is_file = match copy.options.get("single_file_output").map(|value| value.trim()) {
            Some("true") => true,
            Some("false") => false,
            _ => !url.is_collection() && url.file_extension().is_some(),
        };
        let wanted = url.prefix().clone();
        if url.scheme() != "file" {
            let place = if is_file {
                Place::Object { before: store.head(&wanted).await.ok(), wanted }
            } else {
                Place::Bucket
            };
            return Ok((copy, Self { store, place: Some(place) }));
        }
        let output_url = beside(&copy.output_url, is_file);
        let written = ListingTableUrl::parse(&output_url).map_err(from_datafusion)?.prefix().clone();
        let place = Place::Beside { written, wanted, is_file };
        Ok((CopyTo { output_url, ..copy }, Self { store, place: Some(place) }))
    }

    /// Gives what was written the names that it shall have.
    async fn keep(&self) -> Result<()> {
        let Some(Place::Beside { written, wanted, is_file }) = &self.place else { return Ok(()) };
        let failed = |error: object_store::Error| {
            Error::new(ErrorKind::Unavailable, format!("cannot put the copy in its place: {error}")).with_source(error)
        };
        if *is_file {
            return self.store.rename(written, wanted).await.map_err(failed);
        }
        let files: Vec<ObjectMeta> = self.store.list(Some(written)).try_collect().await.map_err(failed)?;
        for file in files {
            let Some(parts) = file.location.prefix_match(written) else { continue };
            let to = parts.fold(wanted.clone(), |path, part| path.join(part));
            self.store.rename(&file.location, &to).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Takes away what is not kept, and the folder that it was written to.
    async fn end(&mut self, kept: bool) {
        if let Some(place) = self.place.take() {
            clear(&self.store, place, kept).await;
        }
    }
}

impl Drop for Writing {
    /// A caller who has gone away waits for nothing.
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let store = Arc::clone(&self.store);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { clear(&store, place, false).await })),
            Err(error) => tracing::warn!(%error, "what a COPY has written stays"),
        }
    }
}

/// What cannot be removed is told in the log: the statement's own error says more.
async fn clear(store: &Arc<dyn ObjectStore>, place: Place, kept: bool) {
    let unwanted: Vec<object_store::Result<Path>> = match &place {
        Place::Beside { .. } if kept => Vec::new(),
        Place::Beside { written, is_file: true, .. } => vec![Ok(written.clone())],
        Place::Beside { written, .. } => store.list(Some(written)).map_ok(|file| file.location).collect().await,
        Place::Object { wanted, before } if !kept => match store.head(wanted).await {
            Ok(now) if before.as_ref() != Some(&now) => vec![Ok(wanted.clone())],
            _ => Vec::new(),
        },
        Place::Object { .. } | Place::Bucket => Vec::new(),
    };
    for path in unwanted {
        let removed = match path {
            Ok(path) => store.delete(&path).await,
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => tracing::warn!(%error, "what a COPY has written stays"),
        }
    }
    if let Place::Beside { written, is_file: false, .. } = &place {
        // Only folders are left of it, if the sink came to make any.
        let folder = DiskPath::new("/").join(written.as_ref());
        if let Err(error) = tokio::fs::remove_dir_all(&folder).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %folder.display(), %error, "the folder of a COPY stays");
        }
    }
}

/// A name of its own in the same folder.
fn beside(url: &str, is_file: bool) -> String {
    let url = url.trim_end_matches('/');
    let folder = match url.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/"),
        // The root of the disk, or a name by itself.
        None if url.is_empty() => "/".to_owned(),
        None => String::new(),
    };
    let ending = if is_file { ".tmp" } else { "/" };
    format!("{folder}.copy-{}{ending}", Uuid::new_v4().simple())
}
