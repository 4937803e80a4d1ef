//! VACUUM and ANALYZE of tables, as PostgreSQL's clients send them.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::ObjectName;
use polder_lake::{Compaction, Snapshot, TableName, TableState, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::{Context, ended};
use super::declared_order;
use super::grammar::Listed;
use crate::session::Outcome;

/// What a name in the list of such a statement means.
enum Meant<'a> {
    Table(TableName, &'a Arc<TableState>),
    /// PostgreSQL passes over it with a word.
    View(TableName),
}

impl Context<'_> {
    /// Rewrites the files of tables as OPTIMIZE does it, of all of them if none is named.
    pub(super) async fn vacuum_tables(&self, listed: &[Listed], verbose: bool) -> Result<Outcome> {
        let lake = &self.engine.lake;
        let newest = lake.newest().await?;
        let mut outcome = Outcome::done("VACUUM", None, newest.id);
        let mut names = Vec::new();
        for one in listed {
            match self.meant(one, &newest)? {
                Meant::Table(name, table) => names.push((name, declared_order(table))),
                Meant::View(name) => outcome = outcome.notice(passed_over(&name)),
            }
        }
        if listed.is_empty() {
            let writable = newest.tables.values().filter(|table| table.is_rewritable());
            names.extend(writable.map(|table| (newest.name_of(table), Vec::new())));
        }
        for (name, order) in names {
            let what = Compaction { order, ..Compaction::thorough() };
            match lake.compact(&name, &what, Some(&self.engine.template)).await {
                Ok(done) => {
                    outcome.snapshot = done.snapshot.map_or(outcome.snapshot, |made| made.max(outcome.snapshot));
                    if verbose {
                        outcome =
                            outcome.notice(format!("{name}: {} files became {}", done.files_removed, done.files_added));
                    }
                }
                // Dropped meanwhile, when all were asked for.
                Err(error) if listed.is_empty() && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(outcome)
    }

    /// Statistics are kept by every write: what is named must be there, and no more is to be done.
    pub(super) async fn analyze_tables(&self, open: Option<&TransactionCell>, listed: &[Listed]) -> Result<Outcome> {
        let seen = self.engine.seen(self.settings, open).await?;
        let snapshot = match open {
            Some(cell) => cell.lock().await.as_ref().ok_or_else(ended)?.base(),
            None => seen.id,
        };
        let mut outcome = Outcome::done("ANALYZE", None, snapshot);
        for one in listed {
            if let Meant::View(name) = self.meant(one, &seen)? {
                outcome = outcome.notice(passed_over(&name));
            }
        }
        Ok(outcome.notice("statistics are kept by every write: there is nothing to gather"))
    }

    /// Whoever reads in a transaction sees its tables to the end, whatever others do: the lock is there without being taken.
    pub(super) async fn lock_tables(&self, open: Option<&TransactionCell>, tables: &[ObjectName]) -> Result<Outcome> {
        let Some(cell) = open else {
            return Err(Error::invalid("LOCK TABLE can only be used in transaction blocks").with_code("25P01"));
        };
        let seen = self.engine.seen(self.settings, open).await?;
        for table in tables {
            let name = self.existing_name(table, &seen)?;
            if seen.table(&name).is_none() && seen.view(&name).is_none() {
                return Err(Error::not_found(format!("table {name} does not exist")).with_code("42P01"));
            }
        }
        let snapshot = cell.lock().await.as_ref().ok_or_else(ended)?.base();
        Ok(Outcome::done("LOCK TABLE", None, snapshot))
    }

    fn meant<'a>(&self, listed: &Listed, snapshot: &'a Snapshot) -> Result<Meant<'a>> {
        let name = self.existing_name(&listed.table, snapshot)?;
        if snapshot.view(&name).is_some() {
            return Ok(Meant::View(name));
        }
        let Some(table) = snapshot.table(&name) else {
            return Err(Error::not_found(format!("table {name} does not exist")));
        };
        for column in &listed.columns {
            if !table.top_columns().any(|known| known.name == *column) {
                return Err(Error::not_found(format!("column {column:?} of {name} does not exist")).with_code("42703"));
            }
        }
        Ok(Meant::Table(name, table))
    }
}

fn passed_over(name: &TableName) -> String {
    format!("skipping {name}: it is a view, which keeps no rows")
}
