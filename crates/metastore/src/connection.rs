//! One connection to either database, and the few things that are done with one.

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, SqlSafeStr, SqlStr};

use crate::postgres::PostgresSource;
use crate::sqlite::{AtOnce, SqliteSource};
use crate::write::WriteProblem;
use crate::{Backend, Row, Value, Write, postgres, sqlite};

/// How to make connections.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "one lives, and is cloned when a connection is made")]
pub(crate) enum Source {
    Sqlite(SqliteSource),
    Postgres(PostgresSource),
}

impl Source {
    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    pub(crate) async fn connect_reader(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite(source) => source.connect_reader().await.map(Connection::Sqlite),
            Self::Postgres(source) => source.connect_reader().await.map(Connection::Postgres),
        }
    }

    pub(crate) async fn connect_writer(&self) -> Result<Connection, sqlx::Error> {
        match self {
            Self::Sqlite(source) => source.connect_writer().await.map(Connection::Sqlite),
            Self::Postgres(source) => source.connect_writer().await.map(Connection::Postgres),
        }
    }
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful of connections live, and none moves in a hot path")]
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(crate) fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    /// Runs one prepared and cached statement and gives its rows.
    pub(crate) async fn query(&mut self, sql: SqlStr, params: &[Value]) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => sqlite::query(connection, sql, params).await,
            Self::Postgres(connection) => postgres::query(connection, sql, params).await,
        }
    }

    /// Runs one prepared and cached statement and gives the number of rows it changed.
    pub(crate) async fn execute(&mut self, sql: SqlStr, params: &[Value]) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => sqlite::execute(connection, sql, params).await,
            Self::Postgres(connection) => postgres::execute(connection, sql, params).await,
        }
    }

    /// Runs the writes in order and stops at the first that fails. Takes few turns where it can.
    pub(crate) async fn execute_all(&mut self, writes: &[Write]) -> Result<(), WriteProblem> {
        match self {
            Self::Sqlite(connection) => sqlite::execute_all(connection, writes).await,
            Self::Postgres(connection) => {
                for write in writes {
                    let sql = AssertSqlSafe(write.sql.clone()).into_sql_str();
                    let changed = postgres::execute(connection, sql, &write.params).await.map_err(WriteProblem::Sql)?;
                    write.check(changed)?;
                }
                Ok(())
            }
        }
    }

    /// Whether [`Connection::commit_at_once`] is for these writes.
    pub(crate) fn commits_at_once(&self, writes: &[Write]) -> bool {
        matches!(self, Self::Sqlite(_)) && sqlite::is_one_turn(writes)
    }

    /// A whole commit in one turn, of writes that [`Connection::commits_at_once`].
    pub(crate) async fn commit_at_once(&mut self, expected_head: i64, writes: &[Write]) -> AtOnce {
        match self {
            Self::Sqlite(connection) => sqlite::commit_at_once(connection, expected_head, writes).await,
            Self::Postgres(_) => AtOnce::Refused(sqlx::Error::Encode("PostgreSQL commits in steps".into())),
        }
    }

    /// Begins a commit: takes the lock that keeps every other committer out, DuckDB included, and only then looks at the
    /// newest snapshot. Gives its number, and the transaction's own id on PostgreSQL.
    pub(crate) async fn begin_commit(&mut self) -> Result<(i64, i64), sqlx::Error> {
        let head = match self {
            Self::Sqlite(connection) => {
                let sql = "BEGIN IMMEDIATE; SELECT max(snapshot_id) FROM ducklake_snapshot";
                let rows = sqlite::query(connection, SqlStr::from_static(sql), &[]).await?;
                rows.first().and_then(|row| row.opt_int(0).ok()?).map(|head| (head, 0))
            }
            Self::Postgres(connection) => postgres::begin_commit(connection).await?,
        };
        head.ok_or_else(|| sqlx::Error::Decode("the lake has no snapshot".into()))
    }

    /// Runs several statements without parameters, unprepared.
    pub(crate) async fn script(&mut self, sql: impl Into<String>) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.into()));
        match self {
            Self::Sqlite(connection) => sql.execute(connection).await.map(drop),
            Self::Postgres(connection) => sql.execute(connection).await.map(drop),
        }
    }

    pub(crate) async fn begin_read(&mut self) -> Result<(), sqlx::Error> {
        self.script(match self.backend() {
            Backend::Sqlite => "BEGIN DEFERRED",
            Backend::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
        .await
    }

    pub(crate) async fn begin_write(&mut self) -> Result<(), sqlx::Error> {
        self.script(match self.backend() {
            Backend::Sqlite => "BEGIN IMMEDIATE",
            Backend::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        })
        .await
    }

    pub(crate) async fn end(&mut self) -> Result<(), sqlx::Error> {
        self.script("COMMIT").await
    }

    pub(crate) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        self.script("ROLLBACK").await
    }

    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

/// Statements come from our own crates; what a user wrote goes into parameters.
pub(crate) fn statement(sql: &str) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}
