//! PostgreSQL: how connections are opened, and how statements run.

mod types;

use std::str::FromStr;

use futures::TryStreamExt;
use parking_lot::RwLock;
use polder_types::{Error, ErrorKind, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor, Row as _, SqlStr, Statement};
use std::sync::Arc;

use crate::sqlite::STATEMENTS_CACHED;
use crate::{Row, Value};

/// The advisory lock that one server holds per database: "polder" in ASCII.
const SERVER_LOCK: i64 = 0x706f_6c64_6572;

/// PostgreSQL cuts an application's name at 63 bytes.
const APPLICATION_NAME_BYTES_MAX: usize = 63;

#[derive(Debug, Clone)]
pub(crate) struct PostgresSource {
    options: PgConnectOptions,
    /// Shown in `pg_stat_activity`, and to a second server that is refused.
    application_name: Arc<RwLock<String>>,
}

impl PostgresSource {
    /// The whole address, with the password.
    pub(crate) fn url(&self) -> String {
        use sqlx::ConnectOptions as _;
        self.options.to_url_lossy().to_string()
    }

    /// Where the database is, for people.
    pub(crate) fn shown(&self) -> String {
        let database = self.options.get_database().unwrap_or("postgres");
        format!("postgres://{}:{}/{database}", self.options.get_host(), self.options.get_port())
    }

    pub(crate) fn from_url(url: &str) -> Result<Self> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        if !known {
            return Err(Error::invalid("the metastore's address is no postgres:// URL")
                .with_hint("write postgres://user:password@host:5432/database, or leave it out for a SQLite file"));
        }
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| Error::invalid(format!("the metastore's PostgreSQL URL cannot be read: {error}")))?
            .statement_cache_capacity(STATEMENTS_CACHED)
            .disable_statement_logging();
        Ok(Self { options, application_name: Arc::new(RwLock::new("polder".to_owned())) })
    }

    /// Takes effect at the next connection; an open one is told by [`rename`].
    pub(crate) fn set_application_name(&self, name: &str) {
        let mut name = name.to_owned();
        while name.len() > APPLICATION_NAME_BYTES_MAX {
            name.pop();
        }
        *self.application_name.write() = name;
    }

    pub(crate) fn application_name(&self) -> String {
        self.application_name.read().clone()
    }

    pub(crate) async fn connect_reader(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.options.clone().application_name(&self.application_name()).connect().await?;
        // DuckDB names the schema in each statement; we set it once.
        connection.execute("SET search_path TO public").await?;
        Ok(connection)
    }

    pub(crate) async fn connect_writer(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.connect_reader().await?;
        // A commit that is acknowledged must be on disk, whatever the database's own default says.
        connection
            .execute(
                "SET lock_timeout TO '10s'; \
                 SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            )
            .await?;
        Ok(connection)
    }
}

/// Tries to become the one server of this database. Gives `None` on success, else who it is.
pub(crate) async fn take_server_lock(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let sql = SqlStr::from_static("SELECT pg_try_advisory_lock($1)");
    let rows = query(connection, sql, &[Value::Int(SERVER_LOCK)]).await?;
    if rows.first().is_some_and(|row| row.bool(0).unwrap_or(false)) {
        return Ok(None);
    }
    let sql = SqlStr::from_static(
        "SELECT format('%s (PostgreSQL backend %s, connected since %s%s)', a.application_name, a.pid, \
           to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'), \
           coalesce(' from ' || host(a.client_addr), '')) \
         FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND (l.classid::bigint << 32) | l.objid::bigint = $1",
    );
    let rows = query(connection, sql, &[Value::Int(SERVER_LOCK)]).await?;
    let holder = rows.first().and_then(|row| row.text(0).ok()).unwrap_or("a server that has just gone");
    Ok(Some(holder.to_owned()))
}

/// The refusal that a second server gets.
pub(crate) fn server_lock_error(holder: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the PostgreSQL database is in use by {holder}"))
        .with_code("55006")
        .with_hint("stop that server, or give this one a database of its own")
}

/// Begins a commit, in one round trip. Gives the newest snapshot's number and the transaction's id.
///
/// DuckDB's commit begins with an insert into this table, so it waits at the lock and then finds its number taken.
/// Readers pass.
pub(crate) async fn begin_commit(connection: &mut PgConnection) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let script = "BEGIN ISOLATION LEVEL READ COMMITTED; \
                  LOCK TABLE ducklake_snapshot IN EXCLUSIVE MODE; \
                  SELECT max(snapshot_id), txid_current() FROM ducklake_snapshot";
    let rows = sqlx::raw_sql(script).fetch_all(connection).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let head: Option<i64> = row.try_get(0)?;
    let transaction: i64 = row.try_get(1)?;
    Ok(head.map(|head| (head, transaction)))
}

/// Shows the new name in `pg_stat_activity`.
pub(crate) async fn rename(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let sql = SqlStr::from_static("SELECT set_config('application_name', $1, false)");
    query(connection, sql, &[Value::from(name)]).await.map(drop)
}

pub(crate) async fn query(
    connection: &mut PgConnection,
    sql: SqlStr,
    params: &[Value],
) -> Result<Vec<Row>, sqlx::Error> {
    // The server says what type each parameter has, so a NULL fits anywhere and an integer fits its column.
    let statement = connection.prepare(sql).await?;
    let arguments = types::arguments(&statement, params)?;
    let mut stream = statement.query_with(arguments).fetch(connection);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        rows.push(types::decode(&row)?);
    }
    Ok(rows)
}

pub(crate) async fn execute(connection: &mut PgConnection, sql: SqlStr, params: &[Value]) -> Result<u64, sqlx::Error> {
    let statement = connection.prepare(sql).await?;
    let arguments = types::arguments(&statement, params)?;
    let done = statement.query_with(arguments).execute(connection).await?;
    Ok(done.rows_affected())
}
