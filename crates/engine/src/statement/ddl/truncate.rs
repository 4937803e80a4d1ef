//! TRUNCATE.

use datafusion::sql::sqlparser::ast::{CascadeOption, Truncate, TruncateIdentityOption};
use polder_lake::{TableName, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::{Context, ended};
use super::{foreign, is_materialized, wrong_kind};
use crate::authz::rights::TRUNCATE;
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn truncate(&self, cell: &TransactionCell, truncate: &Truncate) -> Result<Outcome> {
        if truncate.identity == Some(TruncateIdentityOption::Restart) {
            return Err(Error::unsupported("TRUNCATE … RESTART IDENTITY is not supported: no number is given twice")
                .with_hint("leave it out; or DROP the table and CREATE it again"));
        }
        if truncate.partitions.is_some() || truncate.on_cluster.is_some() {
            return Err(Error::unsupported("TRUNCATE with options is not supported"));
        }
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let mut outcome = Outcome::done("TRUNCATE TABLE", None, transaction.base());
        let named = truncate.table_names.iter().map(|target| self.existing_name(&target.name, transaction.view()));
        let mut all: Vec<TableName> = named.collect::<Result<_>>()?;
        if truncate.cascade == Some(CascadeOption::Cascade) {
            let more = foreign::referring(transaction, &all);
            for name in &more {
                if let Some(table) = transaction.table(name) {
                    self.rights(transaction.view()).require("table", name, table.id, TRUNCATE)?;
                }
                outcome = outcome.notice(format!("truncate cascades to table \"{}\"", name.table));
            }
            all.extend(more);
        }
        foreign::check_emptied(transaction, &all)?;
        for name in all {
            if is_materialized(transaction, &name) {
                return Err(wrong_kind(&name, "a materialized view", "REFRESH MATERIALIZED VIEW"));
            }
            match transaction.truncate(&name).await {
                Err(error) if truncate.if_exists && error.kind() == ErrorKind::NotFound => {
                    outcome = outcome.notice(format!("{}, skipping", error.message()));
                }
                Ok(0) => transaction.forget_loads(&name)?,
                other => {
                    other?;
                }
            }
        }
        Ok(outcome)
    }
}
