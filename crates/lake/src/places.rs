//! Where each table's files are, whatever version it is of.

use std::collections::HashMap;

use datafusion_ducklake::path_resolver::resolve_path;
use polder_metastore::{Metastore, Row};
use polder_types::{Error, ErrorKind, Result};

use crate::error::from_ducklake;
use crate::names::TableName;

/// A table's directory, and the last name that it had.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub name: TableName,
    /// Below the tables' root if relative; with a slash at its end.
    pub directory: String,
    pub relative: bool,
}

/// All tables that the catalog knows, dropped ones too.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<i64, Place>);

/// What [`Places::of_rows`] reads.
pub(crate) const SQL: &str = "SELECT t.table_id, t.table_name, t.path, t.path_is_relative, s.schema_name, s.path, s.path_is_relative \
                   FROM ducklake_table t JOIN ducklake_schema s ON s.schema_id = t.schema_id ORDER BY t.begin_snapshot";

impl Places {
    pub async fn read(metastore: &Metastore) -> Result<Self> {
        Self::of_rows(&metastore.query(SQL, &[]).await?)
    }

    pub fn of_rows(rows: &[Row]) -> Result<Self> {
        let mut places = HashMap::new();
        for row in rows {
            let text = |at| Ok::<_, Error>(row.opt_text(at)?.unwrap_or_default().to_owned());
            let table_relative = row.opt_bool(3)?.unwrap_or(true);
            let schema_relative = row.opt_bool(6)?.unwrap_or(true);
            let directory = if table_relative { text(5)? + &text(2)? } else { text(2)? };
            let place = Place {
                name: TableName::new(text(4)?, text(1)?),
                directory,
                relative: table_relative && schema_relative,
            };
            places.insert(row.int(0)?, place);
        }
        Ok(Self(places))
    }

    pub fn of(&self, table: i64) -> Result<&Place> {
        self.0.get(&table).ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("the catalog has files of table {table}, but no such table"))
                .with_hint("`polder check` says more")
        })
    }

    /// A file's path below the tables' root, or its whole path, and which of the two it is.
    pub fn below_root(&self, table: i64, path: &str, relative: bool) -> Result<(String, bool)> {
        if !relative {
            return Ok((path.to_owned(), false));
        }
        let place = self.of(table)?;
        // Refuses a path that leads out of the table's directory.
        resolve_path("/", path, true).map_err(from_ducklake)?;
        Ok((format!("{}{path}", place.directory), place.relative))
    }
}
