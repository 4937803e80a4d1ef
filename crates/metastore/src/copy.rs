//! The whole database as files, at one moment, while others write; and back.
//!
//! SQLite gives a database file. PostgreSQL gives one file a table in COPY's own text form, and one with the
//! statements that make the tables.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use polder_types::{Error, ErrorKind, Result};
use sqlx::postgres::PgConnection;
use tokio::io::AsyncWriteExt;

use crate::catalog;
use crate::connection::{Connection, Source, statement};
use crate::error::{io_error, sql_error};
use crate::postgres::PostgresSource;
use crate::sqlite::SqliteSource;
use crate::{Backend, Metastore, Row, Value};

/// The name of a SQLite copy, which is that of the metastore itself.
pub const SQLITE_FILE: &str = "metastore.sqlite";

/// The directory of a PostgreSQL copy.
const POSTGRES_DIRECTORY: &str = "metastore";

/// The statements that make the tables, one a line.
const TABLES_FILE: &str = "tables.sql";

impl Metastore {
    /// Copies everything into `directory`, as it is at one moment, and answers the queries as of that moment.
    ///
    /// # Errors
    /// When the database cannot be read, or the copy not be written; `Corrupt` if the copy does not hold together.
    pub async fn copy_to(&self, directory: &Path, queries: &[&str]) -> Result<Vec<Vec<Row>>> {
        match &self.source {
            Source::Sqlite(source) => copy_sqlite(source, directory, queries).await,
            Source::Postgres(source) => copy_postgres(source, directory, queries).await,
        }
    }

    /// What the database finds wrong with itself, in its own words. SQLite looks at the structure of its file, for its pages
    /// have no checksums; PostgreSQL reads all rows, if its pages have some. Reads the whole database.
    pub async fn integrity(&self) -> Result<Vec<String>> {
        match self.backend() {
            Backend::Sqlite => self.sqlite_integrity().await,
            Backend::Postgres => self.postgres_integrity().await,
        }
    }

    async fn sqlite_integrity(&self) -> Result<Vec<String>> {
        let rows = match self.query("PRAGMA integrity_check", &[]).await {
            Ok(rows) => rows,
            // So damaged that it cannot even look.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(vec![error.message().to_owned()]),
            Err(error) => return Err(error),
        };
        let words = rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<Vec<_>>>()?;
        Ok(words.into_iter().filter(|text| text != "ok").collect())
    }

    /// A page's checksum is looked at when the page is read from the disk.
    async fn postgres_integrity(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        let asked = self.query("SELECT current_setting('data_checksums')", &[]).await?;
        if asked.first().map_or(Ok("off"), |row| row.text(0))? != "on" {
            return Ok(problems);
        }
        for row in self.query(TABLES, &[]).await? {
            let table = row.text(0)?;
            // A row as text needs all of it: no index will do, and values that stand elsewhere are fetched.
            let sql = format!("SELECT count((rows_of.*)::text) FROM {} AS rows_of", quoted(table));
            match self.query(&sql, &[]).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    problems.push(format!("{table}: {}", error.message()));
                }
                Err(error) => {
                    // A place for small rows may have been dropped meanwhile.
                    let there = self.query(TABLES, &[]).await?;
                    if there.iter().any(|row| row.text(0).is_ok_and(|name| name == table)) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(problems)
    }

    /// The database's name for people: a file, or an address without the password.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.source {
            Source::Sqlite(source) => source.path().display().to_string(),
            Source::Postgres(source) => source.shown(),
        }
    }
}

async fn ask(connection: &mut Connection, queries: &[&str]) -> Result<Vec<Vec<Row>>> {
    let mut answers = Vec::with_capacity(queries.len());
    for sql in queries {
        let rows = connection.query(statement(sql), &[]).await;
        answers.push(rows.map_err(|error| sql_error("copying", error))?);
    }
    Ok(answers)
}

async fn copy_sqlite(source: &SqliteSource, directory: &Path, queries: &[&str]) -> Result<Vec<Vec<Row>>> {
    let file = directory.join(SQLITE_FILE);
    let path = file.to_str().ok_or_else(|| Error::invalid("the backup's path is no UTF-8"))?.to_owned();
    let failed = |error| sql_error("copying", error);
    // A connection of its own: commits go on meanwhile, and this sees one moment.
    let mut connection = Connection::Sqlite(source.connect_writer().await.map_err(failed)?);
    let copied = connection.execute(statement("VACUUM INTO $1"), &[Value::from(path.as_str())]).await;
    close(connection).await;
    copied.map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600));
        private.map_err(|error| io_error("protecting", &file, error))?;
    }
    sync(&file)?;
    let mut copy = Connection::Sqlite(SqliteSource::new(file.clone()).connect_writer().await.map_err(failed)?);
    let checked = copy.query(statement("PRAGMA integrity_check"), &[]).await.map_err(failed)?;
    let words: Vec<&str> = checked.iter().filter_map(|row| row.text(0).ok()).filter(|text| *text != "ok").collect();
    if !words.is_empty() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("{} is damaged: {}", source.path().display(), words.join("; ")),
        )
        .with_hint("restore the metastore from an earlier backup; `polder check` says more"));
    }
    let answers = ask(&mut copy, queries).await;
    close(copy).await;
    // The copy is one file: what was only opened to be read needs no log beside it.
    for suffix in ["-wal", "-shm"] {
        remove(&directory.join(format!("{SQLITE_FILE}{suffix}")))?;
    }
    answers
}

async fn close(connection: Connection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "closing a connection failed");
    }
}

fn sync(path: &Path) -> Result<()> {
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| io_error("syncing", path, error))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error("removing", path, error)),
        _ => Ok(()),
    }
}

/// The tables that are ours or the lake's.
const TABLES: &str = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                      WHERE n.nspname = 'public' AND c.relkind = 'r' \
                      AND (c.relname LIKE 'ducklake\\_%' OR c.relname LIKE 'polder\\_%') ORDER BY 1";

/// The statements that make them, with keys and indexes.
const DEFINITIONS: &str = "\
    SELECT 1, format('CREATE TABLE %I (%s)', c.relname, string_agg(format('%I %s%s%s', a.attname, \
      format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, \
      coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')), ', ' ORDER BY a.attnum)) \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
    WHERE n.nspname = 'public' AND c.relkind = 'r' AND (c.relname LIKE 'ducklake\\_%' OR c.relname LIKE 'polder\\_%') \
    GROUP BY c.relname \
    UNION ALL \
    SELECT 2, format('ALTER TABLE %I ADD CONSTRAINT %I %s', c.relname, k.conname, pg_get_constraintdef(k.oid)) \
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = 'public' AND k.contype IN ('p', 'u', 'c') \
      AND (c.relname LIKE 'ducklake\\_%' OR c.relname LIKE 'polder\\_%') \
    UNION ALL \
    SELECT 3, pg_get_indexdef(i.indexrelid) \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = 'public' AND (c.relname LIKE 'ducklake\\_%' OR c.relname LIKE 'polder\\_%') \
      AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid) \
    ORDER BY 1, 2";

async fn copy_postgres(source: &PostgresSource, directory: &Path, queries: &[&str]) -> Result<Vec<Vec<Row>>> {
    let failed = |error| sql_error("copying", error);
    let directory = directory.join(POSTGRES_DIRECTORY);
    std::fs::create_dir_all(&directory).map_err(|error| io_error("making", &directory, error))?;
    let mut connection = Connection::Postgres(source.connect_reader().await.map_err(failed)?);
    connection.begin_read().await.map_err(failed)?;
    let tables = ask(&mut connection, &[TABLES, DEFINITIONS]).await?;
    let [names, definitions] = &tables[..] else { return Err(Error::internal("two questions, two answers")) };
    let statements = definitions.iter().map(|row| row.text(1)).collect::<Result<Vec<_>>>()?;
    let path = directory.join(TABLES_FILE);
    std::fs::write(&path, statements.join("\n")).map_err(|error| io_error("writing", &path, error))?;
    sync(&path)?;
    for row in names {
        let name = row.text(0)?;
        let Connection::Postgres(postgres) = &mut connection else { continue };
        copy_out(postgres, name, &directory.join(format!("{name}.copy"))).await?;
    }
    let answers = ask(&mut connection, queries).await?;
    connection.end().await.map_err(failed)?;
    close(connection).await;
    sync(&directory)?;
    Ok(answers)
}

async fn copy_out(connection: &mut PgConnection, table: &str, path: &Path) -> Result<()> {
    let failed = |error| io_error("writing", path, error);
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    let sql = format!("COPY {} TO STDOUT", quoted(table));
    let mut rows = connection.copy_out_raw(&sql).await.map_err(|error| sql_error("copying", error))?;
    while let Some(bytes) = rows.try_next().await.map_err(|error| sql_error("copying", error))? {
        file.write_all(&bytes).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Where a copy goes when it is restored.
#[derive(Debug, Clone)]
pub struct RestoreTarget {
    /// For a SQLite copy: gets `metastore.sqlite`. It exists.
    pub data_dir: PathBuf,
    /// For a PostgreSQL copy: a database without tables of ours.
    pub url: Option<String>,
    /// Where the tables' files are from now on: a directory, or a URL of an object store.
    pub tables_path: String,
}

/// Puts a copy that [`Metastore::copy_to`] made in place, all of it or nothing.
///
/// # Errors
/// `InvalidInput` if the copy is of the other kind of database; `AlreadyExists` if there is a metastore already.
pub async fn restore_copy(copy: &Path, target: &RestoreTarget) -> Result<()> {
    let tables_path = catalog::normal_data_path(&target.tables_path)?;
    let is_sqlite = copy.join(SQLITE_FILE).is_file();
    match &target.url {
        None if is_sqlite => restore_sqlite(copy, target, &tables_path).await,
        Some(url) if !is_sqlite => restore_postgres(copy, &PostgresSource::from_url(url)?, &tables_path).await,
        None => Err(Error::invalid("the backup is of a metastore in PostgreSQL")
            .with_hint("name an empty database with --metastore postgres://…")),
        Some(_) => Err(Error::invalid("the backup is of a metastore in SQLite").with_hint("leave --metastore out")),
    }
}

/// What makes the restored lake find its files in their new place.
fn moved(tables_path: &str) -> [(&'static str, Vec<Value>); 2] {
    [
        ("UPDATE ducklake_metadata SET value = $1 WHERE key = 'data_path' AND scope IS NULL", vec![tables_path.into()]),
        // An adopted lake would go on with the files of the old place, if that is still there.
        ("UPDATE polder_setting SET value = 'created' WHERE key = 'metastore.data_path_origin'", Vec::new()),
    ]
}

async fn restore_sqlite(copy: &Path, target: &RestoreTarget, tables_path: &str) -> Result<()> {
    let (to, half_done) = (target.data_dir.join(SQLITE_FILE), target.data_dir.join("metastore.restore-half-done"));
    if to.exists() {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("{} exists already", to.display())));
    }
    let from = copy.join(SQLITE_FILE);
    remove(&half_done)?;
    std::fs::copy(&from, &half_done).map_err(|error| io_error("copying", &from, error))?;
    let failed = |error| sql_error("restoring", error);
    let source = SqliteSource::new(half_done.clone());
    let mut connection = Connection::Sqlite(source.connect_writer().await.map_err(failed)?);
    connection.begin_write().await.map_err(failed)?;
    for (sql, params) in moved(tables_path) {
        connection.execute(statement(sql), &params).await.map_err(failed)?;
    }
    connection.end().await.map_err(failed)?;
    // Closing the last connection brings the log home.
    connection.close().await.map_err(failed)?;
    for suffix in ["-wal", "-shm"] {
        remove(&target.data_dir.join(format!("metastore.restore-half-done{suffix}")))?;
    }
    sync(&half_done)?;
    std::fs::rename(&half_done, &to).map_err(|error| io_error("renaming", &half_done, error))?;
    sync(&target.data_dir)
}

async fn restore_postgres(copy: &Path, source: &PostgresSource, tables_path: &str) -> Result<()> {
    let failed = |error| sql_error("restoring", error);
    let directory = copy.join(POSTGRES_DIRECTORY);
    let path = directory.join(TABLES_FILE);
    let statements = std::fs::read_to_string(&path).map_err(|error| io_error("reading", &path, error))?;
    let mut connection = Connection::Postgres(source.connect_writer().await.map_err(failed)?);
    connection.begin_write().await.map_err(failed)?;
    let there = ask(&mut connection, &[TABLES]).await?;
    if there.first().is_some_and(|rows| !rows.is_empty()) {
        return Err(Error::new(ErrorKind::AlreadyExists, "the database has a lake already")
            .with_hint("make an empty one with createdb"));
    }
    for sql in statements.lines() {
        connection.script(sql).await.map_err(failed)?;
    }
    let Connection::Postgres(mut postgres) = connection else { return Err(Error::internal("no PostgreSQL")) };
    for entry in std::fs::read_dir(&directory).map_err(|error| io_error("reading", &directory, error))? {
        let path = entry.map_err(|error| io_error("reading", &directory, error))?.path();
        if path.extension().is_none_or(|extension| extension != "copy") {
            continue;
        }
        let table = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let file = tokio::fs::File::open(&path).await.map_err(|error| io_error("reading", &path, error))?;
        let mut copying = postgres.copy_in_raw(&format!("COPY {} FROM STDIN", quoted(&table))).await.map_err(failed)?;
        copying.read_from(file).await.map_err(failed)?;
        copying.finish().await.map_err(failed)?;
    }
    let mut connection = Connection::Postgres(postgres);
    for (sql, params) in moved(tables_path) {
        connection.execute(statement(sql), &params).await.map_err(failed)?;
    }
    connection.end().await.map_err(failed)?;
    close(connection).await;
    Ok(())
}
