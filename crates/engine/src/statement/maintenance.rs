//! Statements that keep a lake in shape: OPTIMIZE, VACUUM, ANALYZE, RESTORE, CLONE, DESCRIBE HISTORY, CHECK and BACKUP.
//!
//! They are no part of the parser's dialect. What one of them says is worked out here, and it travels through the
//! session as a `CALL` that holds its text.

mod grammar;
mod tables;

pub(crate) use grammar::{Maintenance, recognise};

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::TimeDelta;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName};
use polder_capability::CommandTag;
use polder_lake::{AlterColumn, Compacted, Compaction, Retain, Snapshot, SortKey, TableState, TransactionCell};
use polder_types::{Error, ErrorKind, Result, SnapshotId};

use super::ddl::{self, REPLACED};
use super::names::fold;
use super::travel::{Point, resolve};
use super::{Context, ended};
use crate::authz::access_of_new;
use crate::parse::parse_expr;
use crate::session::{CONFLICT_TRIES, Outcome};

impl Context<'_> {
    /// Runs one of them.
    pub(super) async fn maintain(&self, open: Option<&TransactionCell>, work: &Maintenance) -> Result<Outcome> {
        match work {
            Maintenance::History { table } => self.history_of(open, table).await,
            Maintenance::Restore { .. } | Maintenance::Clone { .. } => match open {
                Some(cell) => self.rewrite_in(cell, work).await,
                None => self.rewrite_alone(work).await,
            },
            Maintenance::Analyze { tables } => self.analyze_tables(open, tables).await,
            Maintenance::Lock { tables } => self.lock_tables(open, tables).await,
            _ if open.is_some() => Err(Error::invalid(format!("{} cannot run in a transaction", verb(work)))
                .with_code("25001")
                .with_hint("COMMIT first")),
            Maintenance::Optimize { table, order } => self.optimize(table.as_ref(), order).await,
            Maintenance::Vacuum { retain, grace } => self.vacuum(*retain, *grace).await,
            Maintenance::VacuumTables { tables, verbose } => self.vacuum_tables(tables, *verbose).await,
            Maintenance::Check => self.check().await,
            Maintenance::Backup { directory } => self.backup(directory).await,
        }
    }

    async fn history_of(&self, open: Option<&TransactionCell>, table: &ObjectName) -> Result<Outcome> {
        let name = self.known(table)?;
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let text = format!("{}.{}", quoted(&name.schema), quoted(&name.table)).replace('\'', "''");
        let query = crate::parse::parse_kept(&format!("SELECT * FROM history('{text}')"))?;
        let mut outcome = self.read(open, query).await?;
        outcome.tag.verb = "DESCRIBE".into();
        Ok(outcome)
    }

    /// The version that a clause means; without one, what the transaction sees.
    async fn version(&self, cell: &TransactionCell, at: Option<&Point>) -> Result<Arc<Snapshot>> {
        let view = {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            transaction.settle().await?;
            Arc::clone(transaction.view())
        };
        let Some(point) = at else { return Ok(view) };
        let scope = self.engine.scope(view, None, self.settings);
        self.engine.lake.snapshot(resolve(point, &scope.state).await?).await
    }

    async fn rewrite_in(&self, cell: &TransactionCell, work: &Maintenance) -> Result<Outcome> {
        let point = cell.lock().await.as_ref().ok_or_else(ended)?.savepoint();
        let result = self.rewrite(cell, work).await;
        if result.is_err()
            && let Some(transaction) = cell.lock().await.as_mut()
        {
            transaction.rollback_to(&point);
        }
        result
    }

    /// As a transaction by itself, run again if another one came first.
    async fn rewrite_alone(&self, work: &Maintenance) -> Result<Outcome> {
        let mut tries = 0;
        loop {
            let mut transaction = self.engine.lake.begin().await?;
            transaction.describe(&self.caller.user, verb(work));
            let cell = TransactionCell::new(transaction);
            let mut outcome = self.rewrite(&cell, work).await?;
            let committed = match cell.take().await {
                Some(transaction) => transaction.commit().await,
                None => Err(ended()),
            };
            match committed {
                Ok(report) => {
                    outcome.snapshot = report.snapshot.id;
                    return Ok(outcome);
                }
                Err(error) if error.kind() == ErrorKind::Conflict && tries < CONFLICT_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn rewrite(&self, cell: &TransactionCell, work: &Maintenance) -> Result<Outcome> {
        match work {
            Maintenance::Restore { table, to } => {
                let name = self.known(table)?;
                let version = self.version(cell, Some(to)).await?;
                let mut guard = cell.lock().await;
                let transaction = guard.as_mut().ok_or_else(ended)?;
                let rows = transaction.restore_table(&name, &version).await?;
                Ok(Outcome::done("RESTORE", Some(rows), transaction.base()))
            }
            Maintenance::Clone { table, or_replace, if_not_exists, source, at } => {
                let (name, source) = (self.name(table)?, self.known(source)?);
                let version = self.version(cell, at.as_ref()).await?;
                let mut guard = cell.lock().await;
                let transaction = guard.as_mut().ok_or_else(ended)?;
                self.may_clone(&Arc::clone(transaction.view()), &source, version.table(&source))?;
                let mut replaced = false;
                if *if_not_exists && transaction.table(&name).is_some() {
                    let outcome = Outcome::done("CREATE TABLE", Some(0), transaction.base());
                    return Ok(outcome.notice(format!("table {name} exists already, so nothing was done")));
                }
                if *or_replace && transaction.table(&name).is_some() {
                    ddl::release(transaction, &name, false, &[])?;
                    transaction.drop_table(&name)?;
                    replaced = true;
                }
                let rows = transaction.clone_table(&name, &source, &version).await?;
                for made in transaction.unowned() {
                    if let Some(access) = access_of_new(&self.settings.who, &made, transaction.view()) {
                        transaction.set_access(made.id, access)?;
                    }
                }
                // What a materialized view keeps for itself is nothing to anybody else.
                let kept = version.table(&source).and_then(|table| table.rules.materialized.clone());
                for column in kept.into_iter().flat_map(|materialized| materialized.hidden) {
                    transaction.alter_column(&name, AlterColumn::Drop { name: column }).await?;
                }
                let outcome = Outcome::done("CREATE TABLE", Some(rows), transaction.base());
                drop(guard);
                if replaced {
                    self.check_views(cell, &name, false, REPLACED).await?;
                }
                Ok(outcome)
            }
            _ => Err(Error::internal("not a rewrite")),
        }
    }

    async fn optimize(&self, table: Option<&ObjectName>, order: &[SortKey]) -> Result<Outcome> {
        let lake = &self.engine.lake;
        let newest = lake.newest().await?;
        let names = match table {
            Some(name) => vec![self.known(name)?],
            None => newest
                .tables
                .values()
                .filter(|table| table.is_rewritable())
                .map(|table| newest.name_of(table))
                .collect(),
        };
        let mut order = order.to_vec();
        if let (true, [name]) = (table.is_some() && order.is_empty(), names.as_slice()) {
            order = newest.table(name).map(|table| declared_order(table)).unwrap_or_default();
        }
        let what = Compaction { order, ..Compaction::thorough() };
        let mut done = Vec::with_capacity(names.len());
        for name in names {
            match lake.compact(&name, &what, Some(&*self.engine.template)).await {
                Ok(one) => done.push((name, one)),
                // Dropped meanwhile, when all were asked for.
                Err(error) if table.is_none() && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let snapshot = done.iter().filter_map(|(_, one)| one.snapshot).max().unwrap_or(newest.id);
        let number = |of: fn(&Compacted) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                done.iter().map(|(_, one)| i64::try_from(of(one)).unwrap_or(i64::MAX)),
            ))
        };
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(done.iter().map(|(name, _)| name.to_string())));
        rows(
            "OPTIMIZE",
            vec![
                ("table_name", names),
                ("files_removed", number(|one| one.files_removed as u64)),
                ("files_added", number(|one| one.files_added as u64)),
                ("bytes_removed", number(|one| one.bytes_removed)),
                ("bytes_added", number(|one| one.bytes_added)),
                ("stored_rows", number(|one| one.stored_rows as u64)),
            ],
            snapshot,
        )
    }

    async fn vacuum(&self, retain: Retain, grace: TimeDelta) -> Result<Outcome> {
        let done = self.engine.lake.vacuum(retain, grace).await?;
        let number = |count: usize| one(i64::try_from(count).unwrap_or(i64::MAX));
        rows(
            "VACUUM",
            vec![
                ("snapshots_expired", number(done.snapshots_expired)),
                ("files_scheduled", number(done.files_scheduled)),
                ("files_deleted", number(done.files_deleted.len())),
                ("files_waiting", number(done.files_waiting)),
                ("orphans_deleted", number(done.orphans_deleted)),
                ("bytes_deleted", one(i64::try_from(done.bytes_deleted).unwrap_or(i64::MAX))),
            ],
            self.engine.lake.newest().await?.id,
        )
    }

    /// One row for each problem.
    async fn check(&self) -> Result<Outcome> {
        let report = self.engine.lake.check().await?;
        let beside = self.engine.check_beside().await?;
        let texts = |values: Vec<Option<String>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let of_tables = report
            .problems
            .iter()
            .map(|one| (one.table.as_ref().map(ToString::to_string), one.file.clone(), one.kind.to_string()));
        let of_others = beside.problems.into_iter().map(|one| (None, one.file, one.problem));
        let problems: Vec<(Option<String>, String, String)> = of_tables.chain(of_others).collect();
        let columns = vec![
            ("table_name", texts(problems.iter().map(|one| one.0.clone()).collect())),
            ("file", texts(problems.iter().map(|one| Some(one.1.clone())).collect())),
            ("problem", texts(problems.iter().map(|one| Some(one.2.clone())).collect())),
        ];
        let outcome = rows("CHECK", columns, self.engine.lake.newest().await?.id)?;
        let found =
            if problems.is_empty() { "nothing is wrong".to_owned() } else { format!("{} problems", problems.len()) };
        let log = if beside.bytes == 0 { String::new() } else { format!(" and {} bytes of topics", beside.bytes) };
        Ok(outcome.notice(format!("{} files of {} bytes{log} were read: {found}", report.files, report.bytes)))
    }

    async fn backup(&self, directory: &std::path::Path) -> Result<Outcome> {
        if !directory.is_absolute() {
            return Err(Error::invalid(format!("{} is no whole path", directory.display()))
                .with_code("42602")
                .with_hint("begin it with /: it is a directory of the server"));
        }
        let made = self.engine.lake.backup(directory, Box::pin(self.engine.back_up_beside(directory))).await?;
        let outcome = rows(
            "BACKUP",
            vec![
                ("snapshot", one(made.snapshot)),
                ("files", one(i64::try_from(made.files.len()).unwrap_or(i64::MAX))),
                ("bytes", one(i64::try_from(made.bytes()).unwrap_or(i64::MAX))),
            ],
            made.snapshot,
        )?;
        Ok(match made.outside.first() {
            None => outcome,
            Some(first) => outcome.notice(format!(
                "{} files that other programs keep outside of the lake are not in the backup, such as {first}",
                made.outside.len()
            )),
        })
    }
}

fn verb(work: &Maintenance) -> &'static str {
    match work {
        Maintenance::Optimize { .. } => "OPTIMIZE",
        Maintenance::Vacuum { .. } | Maintenance::VacuumTables { .. } => "VACUUM",
        Maintenance::Analyze { .. } => "ANALYZE",
        Maintenance::Lock { .. } => "LOCK TABLE",
        Maintenance::Restore { .. } => "RESTORE",
        Maintenance::Clone { .. } => "CREATE TABLE … CLONE",
        Maintenance::History { .. } => "DESCRIBE HISTORY",
        Maintenance::Check => "CHECK",
        Maintenance::Backup { .. } => "BACKUP",
    }
}

fn one(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

/// An answer of few rows.
pub(super) fn rows(verb: &str, columns: Vec<(&str, ArrayRef)>, snapshot: SnapshotId) -> Result<Outcome> {
    let field = |(name, array): &(&str, ArrayRef)| {
        let nullable = *array.data_type() == DataType::Utf8;
        Field::new(*name, array.data_type().clone(), nullable)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|error| Error::internal(error.to_string()))?;
    let stream = RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::iter([Ok(batch)]));
    Ok(Outcome {
        tag: CommandTag { verb: verb.to_owned(), rows: None },
        snapshot,
        notices: Vec::new(),
        rows: Some((schema, Box::pin(stream))),
    })
}

/// The order that a table is kept in: what CLUSTER BY names, or the columns of its first index.
fn declared_order(table: &TableState) -> Vec<SortKey> {
    let plain = |column: String| SortKey { column, descending: false, nulls_first: false };
    if let Some(sort) = &table.sort {
        let keys = sort.keys.iter().map(|(_, expression, _, direction, nulls)| {
            let column = match parse_expr(expression) {
                Ok(Expr::Identifier(ident)) => fold(&ident),
                // An expression of DuckDB's: what comes behind it would sort by nothing.
                _ => return None,
            };
            table.top_columns().any(|known| known.name == column).then(|| SortKey {
                column,
                descending: direction.eq_ignore_ascii_case("desc"),
                nulls_first: nulls.eq_ignore_ascii_case("nulls_first"),
            })
        });
        return keys.map_while(|key| key).collect();
    }
    let Some(index) = table.rules.indexes.first() else { return Vec::new() };
    let name = |id: &i64| table.top_columns().find(|column| column.id == *id).map(|column| column.name.clone());
    index.columns.iter().filter_map(name).map(plain).collect()
}
