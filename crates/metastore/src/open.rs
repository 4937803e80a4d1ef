//! Opening: the lock, the catalog, our own tables, in one transaction.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use polder_runtime::Clock;
use polder_types::{Error, Result};
use tokio::sync::Mutex;

use crate::connection::{Connection, Source};
use crate::error::{io_error, sql_error};
use crate::lock::DirectoryLock;
use crate::postgres::PostgresSource;
use crate::principals::{Guesses, SecretKey};
use crate::readers::Readers;
use crate::sqlite::SqliteSource;
use crate::writer::Writer;
use crate::{Metastore, catalog, migrations};

/// Where the metastore is.
#[derive(Debug, Clone)]
pub struct MetastoreOptions {
    /// Holds `metastore.sqlite`, the lock and the secret key. Made if it is not there.
    pub data_dir: PathBuf,
    /// `postgres://…`. `None`: the SQLite file in `data_dir`.
    pub url: Option<String>,
    /// Where the tables' Parquet files are: a directory, or a URL of an object store.
    pub tables_path: String,
    pub clock: Arc<dyn Clock>,
}

pub(crate) async fn open(options: MetastoreOptions) -> Result<Arc<Metastore>> {
    let MetastoreOptions { data_dir, url, tables_path, clock } = options;
    let wanted_path = catalog::normal_data_path(&tables_path)?;
    make_private_directory(&data_dir)?;
    let lock = DirectoryLock::take(&data_dir, clock.now())?;
    let source = match url {
        Some(url) => Source::Postgres(PostgresSource::from_url(&url)?),
        None => Source::Sqlite(SqliteSource::new(data_dir.join("metastore.sqlite"))),
    };
    if let Source::Postgres(source) = &source {
        source.set_application_name(&application_name(lock.started_at(), ""));
    }
    if let Source::Sqlite(source) = &source {
        make_private_file(source.path())?;
    }
    let mut writer = Writer::new(source.clone());
    let mut connection = writer.take().await?;
    let tables_path = match prepare(&mut connection, &source, &wanted_path, clock.now()).await {
        Ok(path) => path,
        Err(error) => {
            writer.put_back(connection);
            writer.close().await;
            return Err(error);
        }
    };
    writer.put_back(connection);
    if matches!(source, Source::Sqlite(_)) {
        // The new file's name is on disk only once its directory is.
        let synced = std::fs::File::open(&data_dir).and_then(|directory| directory.sync_all());
        synced.map_err(|error| io_error("syncing", &data_dir, error))?;
    }
    Ok(Arc::new(Metastore {
        readers: Readers::new(source.clone()),
        writer: Arc::new(Mutex::new(writer)),
        source,
        secret_key: SecretKey::new(data_dir.join("secret.key")),
        guesses: Guesses::new(clock.clone()),
        known_secrets: Arc::default(),
        data_dir,
        tables_path,
        clock,
        lock,
    }))
}

/// Brings the database to where this program needs it: all of it or nothing. Gives the data path.
async fn prepare(
    connection: &mut Connection,
    source: &Source,
    wanted_path: &str,
    now: DateTime<Utc>,
) -> Result<String> {
    let version = migrations::version(connection).await?;
    migrations::check(version)?;
    let has_catalog = catalog::exists(connection).await?;
    if has_catalog {
        catalog::check(connection).await?;
    } else if version > 0 {
        return Err(Error::new(polder_types::ErrorKind::Corrupt, "the metastore has lost its lake catalog")
            .with_hint("restore it from a backup"));
    }
    if has_catalog
        && version < migrations::newest()
        && let Source::Sqlite(source) = source
    {
        let copy = migrations::back_up(connection, source.path()).await?;
        tracing::info!(copy = %copy.display(), "the metastore was copied before its upgrade");
    }
    connection.begin_write().await.map_err(|error| sql_error("opening", error))?;
    let prepared = prepare_in_transaction(connection, version, has_catalog, wanted_path, now).await;
    match prepared {
        Ok(path) => {
            connection.end().await.map_err(|error| sql_error("opening", error))?;
            Ok(path)
        }
        Err(error) => {
            if let Err(rollback) = connection.rollback().await {
                tracing::debug!(%rollback, "rollback failed");
            }
            Err(error)
        }
    }
}

async fn prepare_in_transaction(
    connection: &mut Connection,
    version: i64,
    has_catalog: bool,
    wanted_path: &str,
    now: DateTime<Utc>,
) -> Result<String> {
    if !has_catalog {
        catalog::create(connection, wanted_path, now).await?;
    }
    if version < migrations::newest() {
        migrations::run(connection, version, now).await?;
    }
    catalog::ensure_default_schema(connection, now).await?;
    catalog::settle_data_path(connection, wanted_path, version == 0).await
}

/// Shown by PostgreSQL to whoever asks who is connected.
pub(crate) fn application_name(started_at: DateTime<Utc>, address: &str) -> String {
    let started_at = started_at.format("%Y-%m-%dT%H:%M:%SZ");
    let pid = std::process::id();
    if address.is_empty() {
        format!("polder {pid} {started_at}")
    } else {
        format!("polder {pid} {started_at} {address}")
    }
}

/// A data directory is for its owner: it holds verifiers and keys. One that exists keeps its rights. Its name is on disk then.
///
/// # Errors
/// When it cannot be made.
pub fn make_private_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        // A first start that died may have left its name unsynced. Where the parent cannot be read, somebody else made it.
        let _ = sync_parent(path);
        return Ok(());
    }
    let made: Vec<&Path> =
        path.ancestors().filter(|above| !above.as_os_str().is_empty()).take_while(|above| !above.is_dir()).collect();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| io_error("making the data directory", path, error))?;
    made.into_iter().try_for_each(|directory| {
        sync_parent(directory).map_err(|error| io_error("syncing the directory above", directory, error))
    })
}

/// A name is on disk only once the directory that holds it is.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = match path.parent() {
        None => return Ok(()),
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
    };
    std::fs::File::open(parent)?.sync_all()
}

/// SQLite takes an empty file for a new database, and gives its log the same rights.
fn make_private_file(path: &Path) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io_error("making", path, error)),
    }
}
