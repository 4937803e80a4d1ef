//! Other names in the queries of views, whatever the queries have become when the commit comes.

use std::fmt;
use std::sync::Arc;

use polder_types::Result;

use super::{Applier, end_sql};
use crate::changes::Change;
use crate::rules::Materialized;

/// Writes other names into a query: from its text and the schema of its view to the new text, or none if it stays as it is.
#[derive(Clone)]
pub struct Reword(Arc<Rewording>);

type Rewording = dyn Fn(&str, &str) -> Option<String> + Send + Sync;

impl Reword {
    #[must_use]
    pub fn new(reword: impl Fn(&str, &str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(reword))
    }
}

impl fmt::Debug for Reword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reword").finish_non_exhaustive()
    }
}

impl Applier {
    /// Two transactions that rename two tables below one view both write into its query, each its own name. A view that
    /// another transaction has dropped meanwhile reads nothing any more.
    pub(super) fn reword(&mut self, id: i64, reword: &Reword) -> Result<()> {
        let id = self.real(id);
        let snapshot = &self.snapshot;
        let schema_of = |id: i64| snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str());
        if let Some(view) = snapshot.views.get(&id) {
            let Some(sql) = (reword.0)(&view.sql, schema_of(view.schema_id)) else { return Ok(()) };
            let mut changed = view.as_ref().clone();
            changed.sql = sql;
            self.emit_exactly(1, end_sql("view"), vec![self.snapshot.id.into(), id.into()]);
            self.emit_view_row(&changed);
            self.snapshot.views.insert(id, Arc::new(changed));
            self.changed(Change::RewordedView(id));
        } else if let Some(table) = snapshot.tables.get(&id)
            && let Some(materialized) = &table.rules.materialized
        {
            let Some(sql) = (reword.0)(&materialized.sql, schema_of(table.schema_id)) else { return Ok(()) };
            let mut changed = table.as_ref().clone();
            let mut rules = table.rules.as_ref().clone();
            rules.materialized = Some(Materialized { sql, ..materialized.clone() });
            changed.rules = Arc::new(rules);
            self.emit_rules(id, &changed.rules)?;
            self.put_table(changed);
            self.changed(Change::RewordedTable(id));
        }
        self.schema_changed = true;
        Ok(())
    }
}
