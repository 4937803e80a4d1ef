//! Queries kept under a name, with their chart.

use chrono::{DateTime, Utc};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::{Metastore, Row, Write};

/// A query kept under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedQuery {
    pub id: String,
    pub name: String,
    pub description: String,
    pub sql: String,
    /// The chart as the console understands it, or `null` for a table.
    pub chart: serde_json::Value,
    pub owner: String,
    pub updated_at: DateTime<Utc>,
}

/// A view of the metastore: the saved queries.
#[derive(Debug, Clone, Copy)]
pub struct SavedQueries<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn saved_queries(&self) -> SavedQueries<'_> {
        SavedQueries(self)
    }
}

const SELECT: &str = "SELECT id, name, description, sql, chart, owner, updated_at FROM polder_saved_query";

impl SavedQueries<'_> {
    /// All of them, by name.
    pub async fn list(&self) -> Result<Vec<SavedQuery>> {
        let rows = self.0.query(&format!("{SELECT} ORDER BY name, id"), &[]).await?;
        rows.iter().map(read).collect()
    }

    pub async fn get(&self, id: &str) -> Result<Option<SavedQuery>> {
        let rows = self.0.query(&format!("{SELECT} WHERE id = $1"), &[id.into()]).await?;
        rows.first().map(read).transpose()
    }

    /// Inserts or replaces by id. An empty id makes a new one; `updated_at` becomes now. Gives what was stored.
    pub async fn put(&self, mut query: SavedQuery) -> Result<SavedQuery> {
        if query.id.is_empty() {
            query.id = Uuid::now_v7().to_string();
        }
        query.updated_at = self.0.clock().now();
        let params = vec![
            query.id.as_str().into(),
            query.name.as_str().into(),
            query.description.as_str().into(),
            query.sql.as_str().into(),
            query.chart.to_string().into(),
            query.owner.as_str().into(),
            query.updated_at.into(),
        ];
        let write = Write::new(
            "INSERT INTO polder_saved_query (id, name, description, sql, chart, owner, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, \
             sql = excluded.sql, chart = excluded.chart, owner = excluded.owner, updated_at = excluded.updated_at",
            params,
        );
        self.0.write(&[write]).await?;
        Ok(query)
    }

    /// True if there was one.
    pub async fn delete(&self, id: &str) -> Result<bool> {
        self.0.write_if_there(Write::new("DELETE FROM polder_saved_query WHERE id = $1", vec![id.into()])).await
    }
}

impl Metastore {
    /// Runs a statement that should change one row. False, and nothing changed, if it does not.
    pub(crate) async fn write_if_there(&self, write: Write) -> Result<bool> {
        match self.write(&[write.affecting(1)]).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn read(row: &Row) -> Result<SavedQuery> {
    let chart = serde_json::from_str(row.text(4)?)
        .map_err(|error| Error::new(ErrorKind::Corrupt, "a saved query's chart is no JSON").with_source(error))?;
    Ok(SavedQuery {
        id: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        description: row.text(2)?.to_owned(),
        sql: row.text(3)?.to_owned(),
        chart,
        owner: row.text(5)?.to_owned(),
        updated_at: row.time(6)?,
    })
}
