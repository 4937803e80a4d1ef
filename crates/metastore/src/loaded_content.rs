//! What has been loaded into which table, so that the same content is noticed when it comes again.

use chrono::{DateTime, Utc};
use polder_types::Result;

use crate::{Metastore, Row, Value, Write};

/// One source's content, loaded into one table.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedContent {
    pub table_id: i64,
    pub content_hash: String,
    /// As the user named it.
    pub source: String,
    pub rows: u64,
    pub snapshot: i64,
    pub loaded_at: DateTime<Utc>,
}

impl LoadedContent {
    /// Goes with the commit that holds the rows. The same content loaded again replaces its record.
    #[must_use]
    pub fn write(&self) -> Write {
        Write::new(
            "INSERT INTO polder_loaded_content (table_id, content_hash, source, row_count, snapshot, loaded_at) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (table_id, content_hash) DO UPDATE SET source = excluded.source, \
             row_count = excluded.row_count, snapshot = excluded.snapshot, loaded_at = excluded.loaded_at",
            vec![
                self.table_id.into(),
                self.content_hash.as_str().into(),
                self.source.as_str().into(),
                Value::count(self.rows),
                self.snapshot.into(),
                self.loaded_at.into(),
            ],
        )
    }
}

/// A view of the metastore: loaded content.
#[derive(Debug, Clone, Copy)]
pub struct LoadedContents<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn loaded_contents(&self) -> LoadedContents<'_> {
        LoadedContents(self)
    }
}

const SELECT: &str = "SELECT table_id, content_hash, source, row_count, snapshot, loaded_at FROM polder_loaded_content WHERE table_id = $1";

impl LoadedContents<'_> {
    pub async fn find(&self, table_id: i64, content_hash: &str) -> Result<Option<LoadedContent>> {
        let sql = format!("{SELECT} AND content_hash = $2");
        let rows = self.0.query(&sql, &[table_id.into(), content_hash.into()]).await?;
        rows.first().map(read).transpose()
    }

    /// Everything loaded into a table, the oldest first.
    pub async fn list(&self, table_id: i64) -> Result<Vec<LoadedContent>> {
        let rows = self.0.query(&format!("{SELECT} ORDER BY loaded_at, content_hash"), &[table_id.into()]).await?;
        rows.iter().map(read).collect()
    }

    /// Goes with the commit that empties the table as it was at a snapshot: what was loaded since stays in it.
    #[must_use]
    pub fn forget_until_write(table_id: i64, snapshot: i64) -> Write {
        Write::new(
            "DELETE FROM polder_loaded_content WHERE table_id = $1 AND snapshot <= $2",
            vec![table_id.into(), snapshot.into()],
        )
    }

    /// Goes with what drops the table.
    #[must_use]
    pub fn forget_write(table_id: i64) -> Write {
        Write::new("DELETE FROM polder_loaded_content WHERE table_id = $1", vec![table_id.into()])
    }
}

fn read(row: &Row) -> Result<LoadedContent> {
    Ok(LoadedContent {
        table_id: row.int(0)?,
        content_hash: row.text(1)?.to_owned(),
        source: row.text(2)?.to_owned(),
        rows: row.int(3)?.unsigned_abs(),
        snapshot: row.int(4)?,
        loaded_at: row.time(5)?,
    })
}
