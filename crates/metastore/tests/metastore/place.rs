//! A fresh place for one case.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use polder_metastore::{CommitOutcome, Metastore, MetastoreOptions, Value, Write};
use polder_runtime::ManualClock;
use polder_types::Result;

pub struct Place {
    directory: tempfile::TempDir,
    pub url: Option<String>,
    pub clock: ManualClock,
}

impl Place {
    pub fn sqlite() -> Self {
        Self::new(None)
    }

    pub fn postgres(url: String) -> Self {
        Self::new(Some(url))
    }

    fn new(url: Option<String>) -> Self {
        let start = DateTime::<Utc>::UNIX_EPOCH + Duration::days(20_000) + Duration::microseconds(123_456);
        Self { directory: tempfile::tempdir().unwrap(), url, clock: ManualClock::at(start) }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn tables(&self) -> String {
        self.data_dir().join("tables").to_str().unwrap().to_owned()
    }

    pub fn options(&self) -> MetastoreOptions {
        MetastoreOptions {
            data_dir: self.data_dir(),
            url: self.url.clone(),
            tables_path: self.tables(),
            clock: Arc::new(self.clock.clone()),
        }
    }

    pub async fn try_open(&self) -> Result<Arc<Metastore>> {
        Metastore::open(self.options()).await
    }

    pub async fn open(&self) -> Arc<Metastore> {
        self.try_open().await.unwrap()
    }
}

/// The rows that make snapshot `id`, with `note` as its message.
pub fn snapshot(id: i64, note: &str) -> Vec<Write> {
    vec![
        Write::new(
            "INSERT INTO ducklake_snapshot (snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id) \
             SELECT $1, $2, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot WHERE snapshot_id = $3",
            vec![id.into(), Utc::now().into(), (id - 1).into()],
        )
        .affecting(1),
        Write::new(
            "INSERT INTO ducklake_snapshot_changes VALUES ($1, $2, $3, $4, $5)",
            vec![id.into(), "".into(), Value::Null, note.into(), Value::Null],
        ),
    ]
}

/// Commits one snapshot on top of whatever is there, as often as it takes.
pub async fn commit_next(metastore: &Metastore, note: &str, more: &[Write]) -> Result<i64> {
    let mut head = metastore.head().await?;
    loop {
        let mut writes = snapshot(head + 1, note);
        writes.extend_from_slice(more);
        match metastore.commit(head, &writes).await? {
            CommitOutcome::Committed => return Ok(head + 1),
            CommitOutcome::Stale { head: newest } => head = newest,
        }
    }
}

pub async fn count(metastore: &Metastore, sql: &str) -> i64 {
    metastore.query(sql, &[]).await.unwrap()[0].int(0).unwrap()
}
