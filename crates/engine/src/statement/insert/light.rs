//! An INSERT of constants by itself, which asks nothing of the lake but its table's shape.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::sql::sqlparser::ast::Insert;
use polder_capability::Caller;
use polder_lake::{Snapshot, TableName, Version};
use polder_types::{ErrorKind, Result};

use super::constants;
use crate::engine::Engine;
use crate::forms::Extras;
use crate::record::Running;
use crate::session::{Inner, Outcome, Settings};
use crate::statement::{Change, Context, Target, beginning};

/// More go to a file, which takes its time.
const ROWS_MAX: usize = 10;

impl Engine {
    /// Inserts on the version that is known here. `None`: nothing has happened, and the statement is to be run: it is for the
    /// planner, or refused on a version that may be an old one, or another transaction came first.
    pub(crate) async fn insert_at_once(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        insert: &Insert,
        running: &Arc<Running>,
    ) -> Option<Result<Outcome>> {
        if inner.open.is_some() || !has_plain_names(&inner.settings) {
            return None;
        }
        self.identify(caller, &mut inner.settings).await.ok()?;
        let (settings, extras) = (&inner.settings, Extras::default());
        let context = Context { engine: self, caller, settings, running, extras: &extras, typed: inner.typed };
        context.insert_on_known(insert).await
    }
}

/// Whether a name without a schema is one of the session's one schema, and the session may write and is not counted.
fn has_plain_names(settings: &Settings) -> bool {
    settings.path.len() == 1
        && settings.version == Version::Newest
        && !settings.read_only
        && settings.roles.is_none()
        && settings.temporary.schema.is_none()
        && settings.brought.is_none()
        && settings.limits.now.bytes_scanned_per_day.is_none()
}

impl Context<'_> {
    async fn insert_on_known(&self, insert: &Insert) -> Option<Result<Outcome>> {
        let mut transaction = self.engine.lake.begin_on_known();
        let view = Arc::clone(transaction.view());
        let (name, rows) = self.light_rows(&view, insert)?;
        if !self.settings.who.superuser {
            self.may_change(&view, &Change::Insert(insert)).ok()?;
        }
        self.describe(&mut transaction, &beginning(insert));
        let count = transaction.insert(&name, vec![rows]).await.ok()?;
        if let Err(cancelled) = self.running.start_commit() {
            return Some(Err(cancelled));
        }
        match transaction.commit().await {
            Ok(report) => Some(Ok(Outcome::done("INSERT", Some(count), report.snapshot.id))),
            Err(error) => {
                self.running.end_commit();
                (error.kind() != ErrorKind::Conflict).then_some(Err(error))
            }
        }
    }

    /// The rows, if all that is to be done with them is to keep them in the metastore.
    fn light_rows(&self, view: &Snapshot, insert: &Insert) -> Option<(TableName, RecordBatch)> {
        let name = self.inserted_name(insert).ok()?;
        let target = Target::named(name, None, view).ok()?.seen_by(self.rights(view));
        let (table, rules) = (&target.table, &target.table.rules);
        let has_rules = target.has_policies
            || !rules.keys.is_empty()
            || !rules.foreign_keys.is_empty()
            || !rules.checks.is_empty()
            || !rules.generated.is_empty();
        if has_rules || table.partition.is_some() || table.inlined_tables.is_empty() {
            return None;
        }
        let rows = constants::rows(&target, insert, self.settings.zone())?;
        (rows.num_rows() <= ROWS_MAX).then_some((target.name, rows))
    }
}
