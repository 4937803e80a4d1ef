//! The one SQL database: the DuckLake catalog and Polder's own rows, in a SQLite file or in PostgreSQL.
//!
//! Everything that changes goes through one connection: [`Metastore::commit`] for the lake, together with whatever
//! rows of ours belong to it, and [`Metastore::write`] for our own rows alone. Reads have a small pool.

mod audit;
mod catalog;
mod commit;
mod connection;
mod copy;
mod data_files;
mod deliveries;
mod error;
mod history;
mod jobs;
mod loaded_content;
mod lock;
mod migrations;
mod open;
mod postgres;
pub mod principals;
mod readers;
mod roles;
mod saved_queries;
mod schemas;
mod settings;
mod sqlite;
mod value;
mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polder_runtime::{Clock, to_the_end};
use polder_types::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use connection::{Connection, Source};
use error::sql_error;
use lock::DirectoryLock;
use principals::{Guesses, KnownSecrets, SecretKey};
use readers::Readers;
use writer::Writer;

pub use audit::{AUDIT_DAYS_KEPT, AUDIT_ROWS_KEPT, Audit, AuditEvent, AuditRefusal, AuditRow};
pub use commit::CommitOutcome;
pub use copy::{RestoreTarget, SQLITE_FILE, restore_copy};
pub use data_files::{DataFileChecksum, DataFiles};
pub use deliveries::{DeliveredTo, Deliveries};
pub use history::{QUERIES_KEPT, Queries, QueryRow};
pub use jobs::{Job, Jobs, Run, RunsWanted};
pub use loaded_content::{LoadedContent, LoadedContents};
pub use open::{MetastoreOptions, make_private_directory};
pub use principals::Principals;
pub use roles::{OWNER_OID, Role, RoleMember, RoleRows, Roles, TopicAccess};
pub use saved_queries::{SavedQueries, SavedQuery};
pub use schemas::{SchemaChange, SchemaRow, SchemaSettingRow, SchemaVersionRow, Schemas, SubjectRows};
pub use settings::Settings;
pub use value::{Row, Value};
pub use write::Write;

/// Which database holds the metastore. Statements are the same for both, but a few types and functions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// The open metastore. One per data directory, and one per PostgreSQL database.
#[derive(Debug)]
pub struct Metastore {
    source: Source,
    readers: Readers,
    writer: Arc<Mutex<Writer>>,
    clock: Arc<dyn Clock>,
    data_dir: PathBuf,
    tables_path: String,
    secret_key: SecretKey,
    guesses: Guesses,
    known_secrets: Arc<KnownSecrets>,
    lock: DirectoryLock,
}

impl Metastore {
    /// Opens the metastore, making it if it is not there, adopting a catalog that DuckDB made, and upgrading our own
    /// tables after a backup.
    ///
    /// # Errors
    /// `Unavailable` if another server holds the directory or the database (the message names it), `Unsupported` for
    /// a catalog of another version or a database of a newer program.
    pub async fn open(options: MetastoreOptions) -> Result<Arc<Self>> {
        open::open(options).await
    }

    #[must_use]
    pub fn backend(&self) -> Backend {
        self.source.backend()
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Where the tables' files are, with a slash at its end: what was asked for, or what an adopted lake came with.
    #[must_use]
    pub fn tables_path(&self) -> &str {
        &self.tables_path
    }

    /// The address under which another reader of the catalog opens the same database.
    #[must_use]
    pub fn catalog_url(&self) -> String {
        match &self.source {
            Source::Sqlite(source) => format!("sqlite:{}", source.path().display()),
            Source::Postgres(source) => source.url(),
        }
    }

    /// Tells a second process, when it is refused, where this one answers.
    pub async fn set_holder_note(&self, address: &str) -> Result<()> {
        self.lock.set_note(address)?;
        let Source::Postgres(source) = &self.source else {
            return Ok(());
        };
        let name = open::application_name(self.lock.started_at(), address);
        source.set_application_name(&name);
        let mut writer = self.writer.lock().await;
        let mut connection = writer.take().await?;
        if let Connection::Postgres(connection) = &mut connection {
            let name = source.application_name();
            postgres::rename(connection, &name).await.map_err(|error| sql_error("writing", error))?;
        }
        writer.put_back(connection);
        Ok(())
    }

    /// One query. Placeholders are `$1`, `$2`, …, and one may be used several times.
    pub async fn query(&self, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
        self.readers.query(sql, params).await
    }

    /// Several queries in one read transaction, so that they all see the same moment.
    pub async fn read_together(&self, queries: &[(&str, &[Value])]) -> Result<Vec<Vec<Row>>> {
        self.readers.read_together(queries).await
    }

    /// Polder's own rows, in one transaction: all of them or none.
    ///
    /// # Errors
    /// `Conflict` if a statement changed another number of rows than it promised, `AlreadyExists` for a taken key.
    pub async fn write(&self, writes: &[Write]) -> Result<()> {
        let mut writer = self.writer.clone().lock_owned().await;
        let writes = writes.to_vec();
        let secrets = self.secrets_of(&writes);
        run_to_the_end(async move {
            let written = writer.write(&writes).await;
            if let Some(secrets) = secrets {
                secrets.forget();
            }
            written
        })
        .await
    }

    /// The one commit. In one transaction: keeps every other committer out, checks that the lake's newest snapshot is
    /// `expected_head`, and runs the writes in order. When it answers `Committed`, all of it is on disk.
    ///
    /// A caller that stops waiting may do so: the transaction then ends by itself, one way or the other. Deadlocks and
    /// connections that broke before COMMIT are tried again here.
    ///
    /// # Errors
    /// `Conflict` if a statement changed another number of rows than it promised. `Unavailable` with code `08007` if the
    /// connection broke during COMMIT and PostgreSQL could not be asked what became of it. After any other error
    /// nothing has changed.
    pub async fn commit(&self, expected_head: i64, writes: &[Write]) -> Result<CommitOutcome> {
        let mut writer = self.writer.clone().lock_owned().await;
        let writes = writes.to_vec();
        let secrets = self.secrets_of(&writes);
        run_to_the_end(async move {
            let outcome = commit::commit(&mut writer, expected_head, &writes).await;
            if let Some(secrets) = secrets {
                secrets.forget();
            }
            outcome
        })
        .await
    }

    /// Forgets the known secrets if these writes concern them, and gives them to be forgotten once more behind the writes.
    fn secrets_of(&self, writes: &[Write]) -> Option<Arc<KnownSecrets>> {
        KnownSecrets::concerns(writes).then(|| {
            self.known_secrets.forget();
            Arc::clone(&self.known_secrets)
        })
    }

    /// The newest snapshot's number. One lookup by primary key.
    pub async fn head(&self) -> Result<i64> {
        let rows = self.query("SELECT max(snapshot_id) FROM ducklake_snapshot", &[]).await?;
        rows.first().ok_or_else(|| Error::internal("a maximum gave no row"))?.int(0)
    }

    /// Waits for what is being written, closes every connection, and frees the data directory for the next server.
    pub async fn close(&self) {
        self.writer.lock().await.close().await;
        self.readers.close().await;
        self.lock.release();
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

/// Runs a transaction to its end: a caller that is dropped in the middle must not cut it in two.
async fn run_to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    to_the_end(work)
        .await
        .map_err(|error| Error::new(ErrorKind::Internal, "a metastore transaction died").with_source(error))?
}
