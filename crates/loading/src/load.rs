//! One load from its first byte to its commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::future::try_join_all;
use polder_capability::{CopyTerms, LoadMode, LoadReport, LoadRequest, SourceReport, TableReport};
use polder_types::{Error, ErrorKind, Result};
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::filling::Missing;
use crate::format::GuessedColumn;
use crate::given::name_columns;
use crate::group::{Document, Group, group, open_all, refuse_uneven_folders, shown};
use crate::infer::types::to_sql;
use crate::names::TableRef;
use crate::output::LaneOutput;
use crate::plan::{TablePlan, plan, wanted_type};
use crate::progress::{Job, Phase};
use crate::rejects::{self, Rejects};
use crate::source::{FILES_MAX, find};
use crate::store::{BatchWriter, Existing, LoadedContent, Store, Transaction};

/// Below this, a second writer would only make a second small file.
const ONE_LANE_BYTES: u64 = 4 << 20;

/// Bytes that a whole load reads for a message to a user's commit log.
const MESSAGE_SOURCES: usize = 3;

/// Loads everything that the request names, in one transaction.
pub(crate) async fn run(store: &dyn Store, request: &LoadRequest, job: Arc<Job>) -> Result<LoadReport> {
    let into = request.into.as_deref().map(TableRef::parse).transpose()?;
    if let Some(table) = &into
        && table.name.ends_with("__rejects")
    {
        return Err(
            Error::invalid(format!("{table} is the name of a table of rejects")).with_hint("choose another name")
        );
    }
    for choice in &request.options.columns {
        choice.data_type.as_deref().map(wanted_type).transpose()?;
    }
    let (groups, left_out) = fetch(request, into, &job).await?;
    let mut load = Load { request, job, transaction: store.begin().await?, loaded: Vec::new(), changed: false };
    let mut report = LoadReport::default();
    let mut prepared = Vec::with_capacity(groups.len());
    // All tables are looked at before the first is written, so that a refusal costs little.
    for group in groups {
        prepared.push(load.prepare(group).await?);
    }
    let prepared = load.infer(prepared).await?;
    let bytes = prepared.iter().flat_map(|table| &table.documents).map(|document| document.opened.reader.bytes()).sum();
    load.job.progress.enter(Phase::Loading, Some(bytes));
    for table in prepared {
        report.tables.push(load.write(table).await?);
    }
    if let Some(first) = report.tables.first_mut() {
        first.remarks.extend(left_out);
    }
    load.job.check()?;
    if load.changed {
        report.snapshot = Some(load.commit().await?);
    }
    Ok(report)
}

/// Brings the sources here, opens them, and sorts them into tables.
async fn fetch(request: &LoadRequest, into: Option<TableRef>, job: &Arc<Job>) -> Result<(Vec<Group>, Vec<String>)> {
    job.progress.enter(Phase::Fetching, None);
    if request.sources.is_empty() {
        return Err(
            Error::invalid("there is nothing to load").with_hint("name a file, a directory, a pattern or an address")
        );
    }
    let mut found = Vec::new();
    for source in &request.sources {
        job.progress.set_source(shown(source));
        found.extend(find(source, None, job).await?);
        if found.len() > FILES_MAX {
            return Err(crate::error::too_large(format!("more than {FILES_MAX} files"), "load them in parts"));
        }
    }
    let (options, job) = (request.options.clone(), job.clone());
    blocking(move || {
        let (documents, left_out) = open_all(&found, &options, &job)?;
        Ok((group(documents, into)?, left_out))
    })
    .await
}

/// Runs work that computes or reads files, away from the threads that serve others.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| Error::internal(format!("a reader died: {error}")))?
}

/// A table with the files that are new to it.
struct Prepared {
    table: TableRef,
    existing: Option<Existing>,
    documents: Vec<Document>,
    skipped: Vec<SourceReport>,
    guesses: Vec<Vec<GuessedColumn>>,
}

/// A file that was read into its table.
struct Filled {
    report: SourceReport,
    hash: String,
    remarks: Vec<String>,
}

struct Load<'a> {
    request: &'a LoadRequest,
    job: Arc<Job>,
    transaction: Box<dyn Transaction>,
    loaded: Vec<LoadedContent>,
    changed: bool,
}

impl Load<'_> {
    /// Looks whether the table may be made or filled, and leaves out content that it has already.
    async fn prepare(&mut self, group: Group) -> Result<Prepared> {
        let Group { table, documents } = group;
        let existing = self.transaction.table(&table).await?;
        let appended = existing.as_ref().filter(|_| self.request.mode != LoadMode::Replace);
        refuse_uneven_folders(&documents, appended.map(|existing| &existing.schema))?;
        let known = match appended {
            Some(_) if !self.request.again => {
                let hashes = documents.iter().flat_map(|document| [&document.hash, &document.content_hash]);
                self.transaction.loaded(&table, &hashes.cloned().collect()).await?
            }
            _ => HashMap::new(),
        };
        let all_known = documents.iter().all(|document| document.is_known(&known));
        if existing.is_some() && self.request.mode == LoadMode::Create && !all_known {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("table {table} exists"))
                .with_hint("add to it with --append, make it anew with --replace, or name another table with --into"));
        }
        let mut seen = HashSet::new();
        let (mut fresh, mut skipped) = (Vec::new(), Vec::new());
        for document in documents {
            let is_new = !document.is_known(&known) && seen.insert(document.hash.clone());
            if !self.request.again && !is_new {
                skipped.push(SourceReport { skipped: true, ..source_report(&document, (0, 0)) });
            } else {
                fresh.push(document);
            }
        }
        Ok(Prepared { table, existing, documents: fresh, skipped, guesses: Vec::new() })
    }

    /// The first pass over all files of all tables.
    async fn infer(&mut self, tables: Vec<Prepared>) -> Result<Vec<Prepared>> {
        let bytes =
            tables.iter().flat_map(|table| &table.documents).map(|document| document.opened.reader.bytes()).sum();
        self.job.progress.enter(Phase::Inferring, Some(bytes));
        let job = self.job.clone();
        let chosen: HashSet<String> = self
            .request
            .options
            .columns
            .iter()
            .filter(|choice| choice.data_type.is_some())
            .map(|choice| choice.source.clone())
            .collect();
        blocking(move || {
            let mut tables = tables;
            for table in &mut tables {
                // Rows for a table that exists have its types, whatever they look like.
                let exists = table.existing.is_some();
                for document in &mut table.documents {
                    job.progress.set_source(&document.opened.label);
                    let given = |source: &str| exists || chosen.contains(source);
                    table.guesses.push(document.opened.reader.infer(&given, &job)?);
                }
            }
            Ok(tables)
        })
        .await
    }

    async fn write(&mut self, prepared: Prepared) -> Result<TableReport> {
        let Prepared { table, existing, documents, skipped, guesses } = prepared;
        let mut report = TableReport { table: table.to_string(), sources: skipped, ..TableReport::default() };
        if documents.is_empty() {
            report
                .remarks
                .push("all of this was loaded before, so nothing was done; load it again to have it twice".into());
            return Ok(report);
        }
        let labels: Vec<String> = documents.iter().map(|document| document.opened.label.clone()).collect();
        let appended = existing.as_ref().filter(|_| self.request.mode != LoadMode::Replace);
        let mut guesses = guesses;
        if let (Some(wanted), Some(_)) = (self.copy_terms().columns, appended) {
            name_columns(&mut guesses, &documents, &wanted)?;
        }
        let mut plan = plan(&guesses, &self.request.options, appended.map(|existing| &existing.schema), &labels)?;
        let target = self.make_room(&table, existing.as_ref(), &plan).await?;
        plan.adopt(&target.schema);
        if self.copy_terms().empty_is_text {
            plan.columns.iter_mut().for_each(|column| column.empty_is_text = true);
        }
        let missing = Missing::of(self.transaction.as_mut(), &table, &target, &plan, documents.len()).await?;
        self.changed = true;
        let (sources, rejects) = self.fill(&table, target, &plan, documents, missing).await?;
        report.remarks = plan.all_remarks();
        for Filled { report: source, hash, remarks } in sources {
            report.remarks.extend(remarks);
            report.rows_loaded += source.rows_loaded;
            report.rows_rejected += source.rows_rejected;
            self.loaded.push(LoadedContent {
                table: table.clone(),
                content_hash: hash,
                source: source.source.clone(),
                rows: source.rows_loaded,
            });
            report.sources.push(source);
        }
        refuse_all_rejected(&report, &rejects)?;
        report.rejects.clone_from(&rejects.samples);
        report.rejects_table = self.write_rejects(&table, rejects).await?;
        Ok(report)
    }

    fn copy_terms(&self) -> CopyTerms {
        self.request.options.copy.clone().unwrap_or_default()
    }

    /// Makes, empties or keeps the table. Gives it as it is now.
    async fn make_room(&mut self, table: &TableRef, existing: Option<&Existing>, plan: &TablePlan) -> Result<Existing> {
        match existing {
            Some(existing) if self.request.mode != LoadMode::Replace => return Ok(existing.clone()),
            Some(existing) if same_shape(existing, plan) => self.transaction.truncate(table).await?,
            Some(_) => {
                self.transaction.drop_table(table).await?;
                self.transaction.create(table, plan.schema.clone()).await?;
            }
            None => self.transaction.create(table, plan.schema.clone()).await?,
        }
        let made = self.transaction.table(table).await?;
        made.ok_or_else(|| Error::internal(format!("table {table} is not there after it was made")))
    }

    /// The second pass: from the files through the lanes into the table's writers.
    async fn fill(
        &mut self,
        table: &TableRef,
        target: Existing,
        plan: &TablePlan,
        documents: Vec<Document>,
        missing: Vec<Missing>,
    ) -> Result<(Vec<Filled>, Rejects)> {
        // Numbers are counted up in the order of the file.
        let lanes = if missing.iter().any(Missing::counts) { 1 } else { lanes(&documents, self.job.threads) };
        let (output, ends) = LaneOutput::new(target.schema, lanes, self.request.strict, self.job.clone());
        let mut writers = Vec::with_capacity(ends.len());
        for end in ends {
            let writer = self.transaction.writer(table).await?;
            writers.push(Abort(tokio::spawn(drain(end, writer))));
        }
        let targets: Vec<_> = (0..documents.len()).map(|file| plan.targets(file)).collect();
        let job = self.job.clone();
        let reading = blocking(move || {
            let mut sources = Vec::with_capacity(documents.len());
            for ((document, targets), missing) in documents.into_iter().zip(targets).zip(missing) {
                job.progress.set_source(&document.opened.label);
                let before = output.counts();
                document.opened.reader.read(&targets, &missing.filled(&output), &job)?;
                let after = output.counts();
                let report = source_report(&document, (after.0 - before.0, after.1 - before.1));
                sources.push(Filled { report, hash: document.hash, remarks: document.opened.remarks });
            }
            Ok((sources, output.into_rejects()))
        });
        let read = reading.await;
        match &read {
            // The lanes are closed, so the writers end by themselves; a writer that had failed is why reading did.
            Ok(_) => {
                try_join_all(writers.into_iter().map(Abort::join)).await?;
            }
            Err(error) if error.kind() == ErrorKind::Internal => {
                try_join_all(writers.into_iter().map(Abort::join)).await?;
            }
            Err(_) => drop(writers),
        }
        read
    }

    async fn write_rejects(&mut self, table: &TableRef, rejects: Rejects) -> Result<Option<String>> {
        let name = table.rejects();
        let existing = self.transaction.table(&name).await?;
        if rejects.count == 0 {
            // The rows that these were refused beside are gone.
            if existing.is_some() && self.request.mode == LoadMode::Replace {
                self.transaction.truncate(&name).await?;
            }
            return Ok(None);
        }
        match &existing {
            None => self.transaction.create(&name, rejects::schema()).await?,
            Some(existing) if !is_rejects(existing) => {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("{name} is needed for rejected rows but is another table"),
                )
                .with_hint("rename it"));
            }
            Some(_) if self.request.mode == LoadMode::Replace => self.transaction.truncate(&name).await?,
            Some(_) => {}
        }
        let mut writer = self.transaction.writer(&name).await?;
        let job = self.job.clone();
        let batches = blocking(move || rejects.into_batches(&job)).await?;
        for batch in batches {
            self.job.check()?;
            writer.write(batch?).await?;
        }
        writer.finish().await?;
        Ok(Some(name.to_string()))
    }

    async fn commit(self) -> Result<i64> {
        self.job.progress.enter(Phase::Committing, None);
        let sources: Vec<&str> = self.request.sources.iter().map(shown).take(MESSAGE_SOURCES).collect();
        let more = self.request.sources.len().saturating_sub(MESSAGE_SOURCES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("load {}{more}", sources.join(", "));
        self.transaction.commit(&self.request.caller.user, &message, self.loaded).await
    }
}

/// A writer's task, ended with its owner: a load that failed must not go on writing.
struct Abort(JoinHandle<Result<()>>);

impl Abort {
    async fn join(mut self) -> Result<()> {
        (&mut self.0).await.map_err(|error| Error::internal(format!("a writer died: {error}")))?
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn drain(mut batches: Receiver<RecordBatch>, mut writer: Box<dyn BatchWriter>) -> Result<()> {
    while let Some(batch) = batches.recv().await {
        writer.write(batch).await?;
    }
    writer.finish().await
}

fn lanes(documents: &[Document], threads: usize) -> usize {
    let bytes: u64 = documents.iter().map(|document| document.opened.reader.bytes()).sum();
    if bytes < ONE_LANE_BYTES { 1 } else { threads.max(1) }
}

fn source_report(document: &Document, (rows_loaded, rows_rejected): (u64, u64)) -> SourceReport {
    SourceReport {
        source: document.opened.label.clone(),
        format: document.opened.format.into(),
        rows_loaded,
        rows_rejected,
        bytes: document.bytes,
        skipped: false,
    }
}

fn same_shape(existing: &Existing, plan: &TablePlan) -> bool {
    let fields = |schema: &arrow::datatypes::Schema| -> Vec<(String, String)> {
        schema.fields().iter().map(|field| (field.name().clone(), to_sql(field.data_type()))).collect()
    };
    fields(&existing.schema) == fields(&plan.schema)
}

fn is_rejects(existing: &Existing) -> bool {
    let names = |schema: &arrow::datatypes::Schema| -> Vec<String> {
        schema.fields().iter().map(|field| field.name().clone()).collect()
    };
    names(&existing.schema) == names(&rejects::schema())
}

/// A table of nothing but rejects is a misunderstanding about the file, so nothing of it is kept.
fn refuse_all_rejected(report: &TableReport, rejects: &Rejects) -> Result<()> {
    if report.rows_loaded > 0 || rejects.count == 0 {
        return Ok(());
    }
    let first = rejects.samples.first();
    let place =
        first.map(|first| format!("{} line {}: {}", first.source, first.line, first.reason)).unwrap_or_default();
    Err(Error::invalid(format!("none of the {} rows for {} can be read; {place}", rejects.count, report.table))
        .with_hint("say the format, separator or encoding, or check that it is the right file"))
}
