//! What foreign keys ask for when the rows that they refer to go, or get other keys: ON DELETE and ON UPDATE.
//!
//! The keys that a statement has changed are those of the rows whose ids are in the table as it was before and as it is
//! now, compared. What becomes of the rows that refer to them is an UPDATE or a DELETE like any other, in the same
//! statement, which may change keys in turn.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::common::{Column, JoinType, TableReference};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, Operator, binary_expr};
use datafusion::prelude::DataFrame;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use polder_lake::{Keys, Reference, ReferenceAction, Snapshot, TableName, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::changes::{self, Again, Changes};
use super::target::{Target, parse_query, quoted, select_of};
use super::temporary::Temporary;
use super::{Context, ended};
use crate::catalog::{Changed, INPUT_CATALOG};
use crate::error::from_datafusion;
use crate::parse::parse_expr;
use crate::policies::{Asked, Purpose};
use crate::session::Settings;

/// The table of changed keys, as the statements call it that follow them.
const CHANGED: &str = "changed";

/// Set where the row with the old key is gone.
const GONE: &str = "gone";

/// What the changed keys of one table may hold in memory.
const CHANGED_BYTES_MAX: usize = 256 << 20;

impl Context<'_> {
    /// Changes the rows that refer to rows of a table, as their foreign keys say, after a statement has changed it.
    /// `before`: the lake as the statement found it.
    pub(super) async fn follow(&self, cell: &TransactionCell, name: &TableName, before: Arc<Snapshot>) -> Result<()> {
        let mut queue = vec![(name.clone(), before)];
        while let Some((name, before)) = queue.pop() {
            let after = self.settled_view(cell).await?;
            let Some(table) = after.table(&name) else { continue };
            for reference in after.references_to(table) {
                if !(reference.key.on_delete.changes_rows() || reference.key.on_update.changes_rows()) {
                    continue;
                }
                let changed = self.changed_keys(&reference, &name, (&before, &after)).await?;
                if changed.iter().all(|batch| batch.num_rows() == 0) {
                    continue;
                }
                for (gone, action) in [(true, reference.key.on_delete), (false, reference.key.on_update)] {
                    let view = self.settled_view(cell).await?;
                    if action.changes_rows() && self.act(cell, &reference, (gone, action), &changed).await? {
                        queue.push((view.name_of(&reference.child), view));
                    }
                }
            }
        }
        Ok(())
    }

    /// What the transaction sees, with the rows that it has held back.
    pub(super) async fn settled_view(&self, cell: &TransactionCell) -> Result<Arc<Snapshot>> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        transaction.settle().await?;
        Ok(Arc::clone(transaction.view()))
    }

    /// The keys that rows had before and have no more: the old values, the new ones, and whether the row is gone.
    async fn changed_keys(
        &self,
        reference: &Reference,
        name: &TableName,
        (before, after): (&Arc<Snapshot>, &Arc<Snapshot>),
    ) -> Result<Vec<RecordBatch>> {
        let columns = reference.referenced();
        let old = self.keys_of(before, name, &columns, "old").await?;
        let new = self.keys_of(after, name, &columns, "new").await?;
        let mut changed = column("new row").is_null();
        for at in 0..columns.len() {
            let differs =
                binary_expr(column(&format!("old {at}")), Operator::IsDistinctFrom, column(&format!("new {at}")));
            changed = changed.or(differs);
        }
        let mut frame = old
            .join(new, JoinType::Left, &["old row"], &["new row"], None)
            .and_then(|frame| frame.filter(changed))
            .map_err(from_datafusion)?;
        let mut shown = Vec::new();
        for at in 0..columns.len() {
            let (old, new) = (format!("old {at}"), format!("new {at}"));
            // Nothing refers to a key with a missing value.
            frame = frame.filter(column(&old).is_not_null()).map_err(from_datafusion)?;
            shown.extend([column(&old), column(&new)]);
        }
        shown.push(column("new row").is_null().alias(GONE));
        let mut rows = frame.select(shown).map_err(from_datafusion)?.execute_stream().await.map_err(from_datafusion)?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(from_datafusion)?;
            bytes += batch.get_array_memory_size();
            if bytes > CHANGED_BYTES_MAX {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!("more keys of {name} change than fit into memory"),
                )
                .with_code("54000")
                .with_hint("change fewer rows at a time, or change the rows that refer to them first"));
            }
            found.push(batch);
        }
        Ok(found)
    }

    /// The ids and the keys of a table's rows in one version.
    async fn keys_of(
        &self,
        view: &Arc<Snapshot>,
        name: &TableName,
        columns: &[String],
        side: &str,
    ) -> Result<DataFrame> {
        let asked = Asked { purpose: Purpose::Rewrite, hidden: None, keys: Vec::new() };
        let changed = Changed { name: name.clone(), asked };
        let scope = self.engine.scope(Arc::clone(view), None, &everything()).with_rows(Some(&changed));
        let reference = TableReference::full(changed.catalog(), name.schema.as_str(), name.table.as_str());
        let frame = scope.context().table(reference).await.map_err(from_datafusion)?;
        let mut shown = vec![column("rowid").alias(format!("{side} row"))];
        shown.extend(columns.iter().enumerate().map(|(at, name)| column(name).alias(format!("{side} {at}"))));
        frame.select(shown).map_err(from_datafusion)
    }

    /// Changes the rows that refer to changed keys. True if there were any.
    async fn act(
        &self,
        cell: &TransactionCell,
        reference: &Reference,
        (gone, action): (bool, ReferenceAction),
        changed: &[RecordBatch],
    ) -> Result<bool> {
        let Some(first) = changed.first() else { return Ok(false) };
        let view = self.settled_view(cell).await?;
        let provider = MemTable::try_new(first.schema(), vec![changed.to_vec()]).map_err(from_datafusion)?;
        let input = MemorySchemaProvider::new();
        input.register_table(CHANGED.into(), Arc::new(provider)).map_err(from_datafusion)?;
        let scope = self.engine.scope(Arc::clone(&view), Some(cell.clone()), &everything());
        let scope = scope.with_input(Arc::new(input));
        let child = view.name_of(&reference.child);
        let alias = ast::Ident::with_quote('"', "child");
        let target = Target::named(child, Some(&alias), &view)?;
        let columns = reference.columns();
        let deletes = gone && action == ReferenceAction::Cascade;
        let mut set = HashMap::new();
        for (at, name) in columns.iter().enumerate().filter(|_| !deletes) {
            let value = match action {
                ReferenceAction::Cascade => parse_expr(&format!("{CHANGED}.{}", quoted(&format!("new {at}"))))?,
                ReferenceAction::SetDefault => target.default(name)?,
                _ => parse_expr("NULL")?,
            };
            set.insert(name.clone(), value);
        }
        let values = if deletes { Vec::new() } else { target.assigned(&set) };
        let mut query = target.query(values)?;
        let select = select_of(&mut query)?;
        let from = format!("SELECT 1 FROM {}.input.{CHANGED} AS {CHANGED}", quoted(INPUT_CATALOG));
        select.from.extend(select_of(&mut parse_query(&from)?)?.from.drain(..));
        let mut condition = format!("{CHANGED}.{GONE} = {gone}");
        for (at, name) in columns.iter().enumerate() {
            condition.push_str(&format!(
                " AND \"child\".{} = {CHANGED}.{}",
                quoted(name),
                quoted(&format!("old {at}"))
            ));
        }
        select.selection = Some(parse_expr(&condition)?);
        let query = self.query_rows(&scope, &target, Purpose::Rewrite, query).await?;
        let changes = Changes {
            target,
            action: Some(if deletes { changes::DELETE } else { changes::UPDATE }),
            values: !deletes,
            row_ids: true,
            again: Again::Ignore,
            distinct: None,
            keys: if deletes { Keys::Kept } else { Keys::MayChange },
            returning: false,
            checks: None,
        };
        Ok(self.apply_rows(cell, &changes, &query).await?.total() > 0)
    }
}

/// What no policy and no search path narrows: foreign keys are about all rows.
fn everything() -> Settings {
    Settings { temporary: Temporary::of_all(), ..Settings::default() }
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}
