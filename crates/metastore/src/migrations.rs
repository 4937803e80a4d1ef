//! The versions of Polder's own tables.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use polder_types::{Error, Result};

use crate::catalog::{execute, query, table_exists};
use crate::connection::Connection;
use crate::error::{io_error, sql_error};

/// One step. Its SQL runs on SQLite and on PostgreSQL alike.
struct Migration {
    name: &'static str,
    sql: &'static str,
}

/// Every step there has been, in order; the first is version 1. A step that has been released never changes.
const MIGRATIONS: &[Migration] = &[
    Migration { name: "ground", sql: include_str!("../migrations/0001_ground.sql") },
    Migration { name: "jobs", sql: include_str!("../migrations/0002_jobs.sql") },
    Migration { name: "rows_changed", sql: include_str!("../migrations/0003_rows_changed.sql") },
    Migration { name: "audit", sql: include_str!("../migrations/0004_audit.sql") },
    Migration { name: "roles", sql: include_str!("../migrations/0005_roles.sql") },
    Migration { name: "deliveries", sql: include_str!("../migrations/0006_deliveries.sql") },
    Migration { name: "schemas", sql: include_str!("../migrations/0007_schemas.sql") },
    Migration { name: "topic_access", sql: include_str!("../migrations/0008_topic_access.sql") },
];

/// The version that this program brings a database to.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

/// The version of the database; 0 if it has none of our tables.
pub(crate) async fn version(connection: &mut Connection) -> Result<i64> {
    if !table_exists(connection, "polder_migration").await? {
        return Ok(0);
    }
    let rows = query(connection, "SELECT coalesce(max(version), 0) FROM polder_migration", &[]).await?;
    rows.first().ok_or_else(|| Error::internal("a maximum gave no row"))?.int(0)
}

/// Refuses a database that a newer program has upgraded.
pub(crate) fn check(version: i64) -> Result<()> {
    if version <= newest() {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "the metastore has version {version}, and this program ({}) knows versions up to {}",
        env!("CARGO_PKG_VERSION"),
        newest()
    ))
    .with_hint("start the newer program that upgraded it, or restore the backup made before the upgrade"))
}

/// Brings the tables from `version` to the newest. The caller has a transaction open.
pub(crate) async fn run(connection: &mut Connection, version: i64, now: DateTime<Utc>) -> Result<()> {
    let sql = "CREATE TABLE IF NOT EXISTS polder_migration \
               (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at TIMESTAMPTZ NOT NULL)";
    execute(connection, sql, &[]).await?;
    let done = usize::try_from(version).unwrap_or(0);
    for (migration, version) in MIGRATIONS.iter().zip(1i64..).skip(done) {
        let ran = connection.script(migration.sql).await;
        ran.map_err(|error| sql_error("upgrading", error).context(format!("step {version} ({})", migration.name)))?;
        let sql = "INSERT INTO polder_migration (version, name, applied_at) VALUES ($1, $2, $3)";
        execute(connection, sql, &[version.into(), migration.name.into(), now.into()]).await?;
    }
    Ok(())
}

/// Copies a SQLite database to `<file>.before-v<N>` before it is upgraded to version N. Gives the copy's path.
pub(crate) async fn back_up(connection: &mut Connection, database: &Path) -> Result<PathBuf> {
    let copy = beside(database, &format!(".before-v{}", newest()));
    let half_done = beside(database, ".backup-half-done");
    if let Err(error) = std::fs::remove_file(&half_done)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(io_error("removing", &half_done, error));
    }
    let path = half_done.to_str().ok_or_else(|| Error::invalid("the data directory's path is no UTF-8"))?;
    execute(connection, "VACUUM INTO $1", &[path.into()]).await?;
    let sync = |path: &Path| std::fs::File::open(path).and_then(|file| file.sync_all());
    sync(&half_done).map_err(|error| io_error("syncing", &half_done, error))?;
    std::fs::rename(&half_done, &copy).map_err(|error| io_error("renaming", &half_done, error))?;
    if let Some(directory) = copy.parent() {
        sync(directory).map_err(|error| io_error("syncing", directory, error))?;
    }
    Ok(copy)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
