//! The DuckLake 1.0 catalog: created as DuckDB creates it, or adopted from DuckDB.

use std::path::Path;

use chrono::{DateTime, Utc};
use polder_types::{Error, ErrorKind, Result};
use sqlx::SqlStr;
use uuid::Uuid;

use crate::connection::{Connection, statement};
use crate::error::sql_error;
use crate::{Backend, Row, Value};

/// The version of the format that is read and written here.
const FORMAT_VERSION: &str = "1.0";

/// Where tables go whose schema is not named.
const DEFAULT_SCHEMA: &str = "public";

const TABLES: &str = include_str!("../migrations/ducklake-1.0.sql");

/// What DuckDB makes of PostgreSQL's types in a SQLite catalog. But for keys, which are the rows' own numbers when they are
/// `INTEGER`: any other type gives each of them an index, which each commit would write too. DuckDB takes both for `BIGINT`.
const SQLITE_TYPES: [(&str, &str); 4] = [
    (" BIGINT PRIMARY KEY", " INTEGER PRIMARY KEY"),
    (" BOOLEAN", " BIGINT"),
    (" UUID", " VARCHAR"),
    (" TIMESTAMP WITH TIME ZONE", " VARCHAR"),
];

/// A setting of ours: `created` if Polder chose the data path, `adopted` if the lake came with one.
const DATA_PATH_ORIGIN: &str = "metastore.data_path_origin";

/// True if the database holds a DuckLake catalog already.
pub(crate) async fn exists(connection: &mut Connection) -> Result<bool> {
    table_exists(connection, "ducklake_metadata").await
}

pub(crate) async fn table_exists(connection: &mut Connection, table: &str) -> Result<bool> {
    let sql = match connection.backend() {
        Backend::Sqlite => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1",
        Backend::Postgres => "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = $1",
    };
    let rows = query(connection, sql, &[Value::from(table)]).await?;
    Ok(first_int(&rows)? > 0)
}

/// Makes the tables, the first snapshot with the schema `main` as DuckDB does, and a second one with `public`.
pub(crate) async fn create(connection: &mut Connection, data_path: &str, now: DateTime<Utc>) -> Result<()> {
    let mut tables = TABLES.to_owned();
    if connection.backend() == Backend::Sqlite {
        for (postgres, sqlite) in SQLITE_TYPES {
            tables = tables.replace(postgres, sqlite);
        }
    }
    connection.script(tables).await.map_err(|error| sql_error("creating", error))?;
    let metadata = [
        ("version", FORMAT_VERSION),
        ("created_by", concat!("Polder ", env!("CARGO_PKG_VERSION"))),
        ("data_path", data_path),
        ("encrypted", "false"),
    ];
    for (key, value) in metadata {
        let sql = "INSERT INTO ducklake_metadata VALUES ($1, $2, NULL, NULL)";
        execute(connection, sql, &[key.into(), value.into()]).await?;
    }
    let first = NewSchema { snapshot: 0, schema_version: 0, schema_id: 0, next_file_id: 0, name: "main" };
    first.insert(connection, now).await?;
    let second = NewSchema { snapshot: 1, schema_version: 1, schema_id: 1, next_file_id: 0, name: DEFAULT_SCHEMA };
    second.insert(connection, now).await
}

/// A snapshot that does nothing but make a schema.
struct NewSchema {
    snapshot: i64,
    schema_version: i64,
    schema_id: i64,
    next_file_id: i64,
    name: &'static str,
}

impl NewSchema {
    async fn insert(&self, connection: &mut Connection, now: DateTime<Utc>) -> Result<()> {
        let snapshot = [
            self.snapshot.into(),
            now.into(),
            self.schema_version.into(),
            (self.schema_id + 1).into(),
            self.next_file_id.into(),
        ];
        execute(connection, "INSERT INTO ducklake_snapshot VALUES ($1, $2, $3, $4, $5)", &snapshot).await?;
        let changes = format!("created_schema:\"{}\"", self.name);
        let sql = "INSERT INTO ducklake_snapshot_changes VALUES ($1, $2, NULL, NULL, NULL)";
        execute(connection, sql, &[self.snapshot.into(), changes.into()]).await?;
        let schema = [
            self.schema_id.into(),
            Uuid::now_v7().into(),
            self.snapshot.into(),
            self.name.into(),
            format!("{}/", self.name).into(),
            true.into(),
        ];
        execute(connection, "INSERT INTO ducklake_schema VALUES ($1, $2, $3, NULL, $4, $5, $6)", &schema).await
    }
}

/// Refuses what cannot be read and written here: another version, or encrypted files.
pub(crate) async fn check(connection: &mut Connection) -> Result<()> {
    let version = metadata(connection, "version").await?.unwrap_or_default();
    if version != FORMAT_VERSION {
        return Err(Error::unsupported(format!(
            "the database holds a DuckLake catalog of version {version:?}, and this server reads {FORMAT_VERSION:?} only"
        ))
        .with_hint("bring it to 1.0 with DuckDB: ATTACH 'ducklake:…' AS lake (AUTOMATIC_MIGRATION true)"));
    }
    if metadata(connection, "encrypted").await?.as_deref() == Some("true") {
        return Err(Error::unsupported("the lake's data files are encrypted, which this server cannot read")
            .with_hint("copy it with DuckDB into a lake without ENCRYPTED"));
    }
    Ok(())
}

/// Makes the schema `public`, in a snapshot of its own, if a lake that came from elsewhere lacks it.
pub(crate) async fn ensure_default_schema(connection: &mut Connection, now: DateTime<Utc>) -> Result<()> {
    let sql = "SELECT count(*) FROM ducklake_schema WHERE lower(schema_name) = $1 AND end_snapshot IS NULL";
    if first_int(&query(connection, sql, &[DEFAULT_SCHEMA.into()]).await?)? > 0 {
        return Ok(());
    }
    let sql = "SELECT snapshot_id, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot \
               ORDER BY snapshot_id DESC LIMIT 1";
    let rows = query(connection, sql, &[]).await?;
    let head = rows.first().ok_or_else(no_snapshot)?;
    let schema = NewSchema {
        snapshot: head.int(0)? + 1,
        schema_version: head.int(1)? + 1,
        schema_id: head.int(2)?,
        next_file_id: head.int(3)?,
        name: DEFAULT_SCHEMA,
    };
    schema.insert(connection, now).await
}

fn no_snapshot() -> Error {
    Error::new(ErrorKind::Corrupt, "the lake's catalog has no snapshot")
        .with_hint("restore the metastore from a backup")
}

/// Settles where the data files are, and gives that path.
///
/// DuckDB resolves a relative path against its own working directory, so what is stored is absolute, and a directory
/// that has moved is noticed and stored anew. A lake that was adopted keeps the place it came with, as long as it is
/// there.
pub(crate) async fn settle_data_path(connection: &mut Connection, wanted: &str, adopting: bool) -> Result<String> {
    let stored = metadata(connection, "data_path").await?.unwrap_or_default();
    if adopting {
        let sql = "INSERT INTO polder_setting (key, value) VALUES ($1, $2)";
        let origin = if is_empty_lake(connection).await? { "created" } else { "adopted" };
        execute(connection, sql, &[DATA_PATH_ORIGIN.into(), origin.into()]).await?;
    }
    if stored == wanted {
        return Ok(stored);
    }
    let sql = "SELECT count(*) FROM polder_setting WHERE key = $1 AND value = 'adopted'";
    let adopted = first_int(&query(connection, sql, &[DATA_PATH_ORIGIN.into()]).await?)? > 0;
    let stays = is_remote(&stored) || Path::new(&stored).is_absolute() && Path::new(&stored).is_dir();
    if adopted && stays {
        return Ok(stored);
    }
    let moved = !is_remote(&stored) && !is_remote(wanted);
    if !moved && !is_empty_lake(connection).await? {
        return Err(Error::invalid(format!("the lake's files are in {stored}, not in {wanted}"))
            .with_hint(format!("start with --tables {stored}")));
    }
    let sql = "UPDATE ducklake_metadata SET value = $1 WHERE key = 'data_path' AND scope IS NULL";
    execute(connection, sql, &[wanted.into()]).await?;
    tracing::info!(from = stored, to = wanted, "the lake's data path is stored anew");
    Ok(wanted.to_owned())
}

async fn is_empty_lake(connection: &mut Connection) -> Result<bool> {
    let rows = query(connection, "SELECT count(*) FROM ducklake_data_file", &[]).await?;
    Ok(first_int(&rows)? == 0)
}

fn is_remote(path: &str) -> bool {
    path.contains("://")
}

/// The path as DuckDB stores it: absolute if local, and with a slash at its end.
pub(crate) fn normal_data_path(path: &str) -> Result<String> {
    let mut path = if is_remote(path) {
        path.to_owned()
    } else {
        let absolute = std::path::absolute(path)
            .map_err(|error| Error::invalid(format!("the tables' directory {path:?} cannot be used: {error}")))?;
        absolute
            .to_str()
            .ok_or_else(|| Error::invalid(format!("the tables' directory {path:?} is no UTF-8")))?
            .to_owned()
    };
    if !path.ends_with('/') {
        path.push('/');
    }
    Ok(path)
}

async fn metadata(connection: &mut Connection, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM ducklake_metadata WHERE key = $1 AND scope IS NULL";
    let rows = query(connection, sql, &[key.into()]).await?;
    match rows.first() {
        Some(row) => Ok(row.opt_text(0)?.map(str::to_owned)),
        None => Ok(None),
    }
}

pub(crate) async fn query(connection: &mut Connection, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
    connection.query(statement(sql), params).await.map_err(|error| sql_error("opening", error))
}

pub(crate) async fn execute(connection: &mut Connection, sql: &'static str, params: &[Value]) -> Result<()> {
    let sql = SqlStr::from_static(sql);
    connection.execute(sql, params).await.map(drop).map_err(|error| sql_error("opening", error))
}

fn first_int(rows: &[Row]) -> Result<i64> {
    rows.first().ok_or_else(|| Error::internal("a count gave no row"))?.int(0)
}
