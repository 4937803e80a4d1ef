//! Keys, checks and the like, as a tag of their table.

use std::sync::Arc;

use polder_types::Result;

use super::Applier;
use crate::changes::Change;
use crate::rules::{TAG, TableRules};

impl Applier {
    /// Keys, checks and the like. What another transaction has written meanwhile was not held against them, so this
    /// counts as a change of the table's shape.
    pub(super) fn set_rules(&mut self, id: i64, rules: &Arc<TableRules>) -> Result<()> {
        let mut table = self.table(id)?.as_ref().clone();
        self.emit_rules(table.id, rules)?;
        table.rules = Arc::clone(rules);
        let id = table.id;
        self.put_table(table);
        self.schema_changed = true;
        self.changed(Change::AlteredTable(id));
        Ok(())
    }

    pub(super) fn emit_rules(&mut self, table: i64, rules: &TableRules) -> Result<()> {
        let at = self.snapshot.id;
        self.emit(
            format!("UPDATE ducklake_tag SET end_snapshot = $1 WHERE object_id = $2 AND key = '{TAG}' AND end_snapshot IS NULL"),
            vec![at.into(), table.into()],
        );
        if let Some(tag) = rules.to_tag()? {
            self.emit_row(
                "ducklake_tag (object_id, begin_snapshot, value, key)",
                vec![table.into(), at.into(), tag.into(), TAG.into()],
            );
        }
        Ok(())
    }
}
