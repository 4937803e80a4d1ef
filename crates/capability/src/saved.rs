use chrono::{DateTime, Utc};
use polder_types::Result;
use serde::{Deserialize, Serialize};

/// A query kept under a name, with the chart that shows its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
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

#[async_trait::async_trait]
pub trait SavedQueries: Send + Sync {
    async fn list(&self) -> Result<Vec<SavedQuery>>;
    async fn get(&self, id: &str) -> Result<Option<SavedQuery>>;
    /// Inserts or replaces by `id`. An empty `id` makes a new one. Gives what was stored.
    async fn put(&self, query: SavedQuery) -> Result<SavedQuery>;
    /// True if there was one.
    async fn delete(&self, id: &str) -> Result<bool>;
}
