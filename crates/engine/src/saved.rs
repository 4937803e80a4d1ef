use std::sync::Arc;

use polder_capability::{SavedQueries, SavedQuery};
use polder_metastore::Metastore;
use polder_types::{Error, ErrorKind, Result, limits};

/// Longest name and description of a saved query.
const NAME_BYTES_MAX: usize = 200;
const DESCRIPTION_BYTES_MAX: usize = 10_000;

/// Saved queries, kept in the metastore.
#[derive(Debug)]
pub struct StoredQueries(Arc<Metastore>);

impl StoredQueries {
    #[must_use]
    pub fn new(metastore: Arc<Metastore>) -> Self {
        Self(metastore)
    }
}

fn out(query: polder_metastore::SavedQuery) -> SavedQuery {
    SavedQuery {
        id: query.id,
        name: query.name,
        description: query.description,
        sql: query.sql,
        chart: query.chart,
        owner: query.owner,
        updated_at: query.updated_at,
    }
}

fn check(query: &SavedQuery) -> Result<()> {
    if query.name.trim().is_empty() {
        return Err(Error::invalid("a saved query needs a name"));
    }
    let too_long = query.name.len() > NAME_BYTES_MAX
        || query.description.len() > DESCRIPTION_BYTES_MAX
        || query.sql.len() > limits::STATEMENT_BYTES_MAX
        || query.chart.to_string().len() > DESCRIPTION_BYTES_MAX;
    if too_long {
        return Err(Error::new(ErrorKind::TooLarge, "the saved query's name, description, text or chart is too long"));
    }
    Ok(())
}

#[async_trait::async_trait]
impl SavedQueries for StoredQueries {
    async fn list(&self) -> Result<Vec<SavedQuery>> {
        Ok(self.0.saved_queries().list().await?.into_iter().map(out).collect())
    }

    async fn get(&self, id: &str) -> Result<Option<SavedQuery>> {
        Ok(self.0.saved_queries().get(id).await?.map(out))
    }

    async fn put(&self, query: SavedQuery) -> Result<SavedQuery> {
        check(&query)?;
        let stored = self
            .0
            .saved_queries()
            .put(polder_metastore::SavedQuery {
                id: query.id,
                name: query.name,
                description: query.description,
                sql: query.sql,
                chart: query.chart,
                owner: query.owner,
                updated_at: query.updated_at,
            })
            .await?;
        Ok(out(stored))
    }

    async fn delete(&self, id: &str) -> Result<bool> {
        self.0.saved_queries().delete(id).await
    }
}
