//! Settings: a name and a text each.

use polder_types::Result;

use crate::{Metastore, Write};

/// A view of the metastore: its settings.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn settings(&self) -> Settings<'_> {
        Settings(self)
    }
}

impl Settings<'_> {
    pub async fn get(&self, key: &str) -> Result<Option<String>> {
        let rows = self.0.query("SELECT value FROM polder_setting WHERE key = $1", &[key.into()]).await?;
        rows.first().map(|row| row.text(0).map(str::to_owned)).transpose()
    }

    /// Every setting, by name.
    pub async fn list(&self) -> Result<Vec<(String, String)>> {
        let rows = self.0.query("SELECT key, value FROM polder_setting ORDER BY key", &[]).await?;
        rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect()
    }

    pub async fn set(&self, key: &str, value: &str) -> Result<()> {
        self.0.write(&[Self::set_write(key, value)]).await
    }

    /// The same as [`Settings::set`], to go with a commit.
    #[must_use]
    pub fn set_write(key: &str, value: &str) -> Write {
        Write::new(
            "INSERT INTO polder_setting (key, value) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            vec![key.into(), value.into()],
        )
    }

    pub async fn delete(&self, key: &str) -> Result<()> {
        let write = Write::new("DELETE FROM polder_setting WHERE key = $1", vec![key.into()]);
        self.0.write(&[write]).await
    }
}
