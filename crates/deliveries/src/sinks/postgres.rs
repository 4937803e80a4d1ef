//! Tables of a PostgreSQL server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use polder_capability::deliveries::{PostgresTarget, Secrets};
use polder_types::{Error, ErrorKind, Result};
use serde::de::IgnoredAny;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::post::parts;
use super::{Lot, Refused, Sink, rows};

/// Of JSON, in one statement.
const STATEMENT_BYTES: usize = 4 << 20;
const STATEMENT_ROWS: usize = 10_000;
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// For a whole lot.
const DELIVER_WITHIN: Duration = Duration::from_secs(600);

/// A table, which a connection is made to for each lot.
pub(super) struct Postgres {
    target: PostgresTarget,
    options: PgConnectOptions,
}

/// A row's JSON object.
struct Object<'a> {
    row: usize,
    text: &'a str,
}

impl Postgres {
    pub(super) fn open(target: &PostgresTarget, secrets: &Secrets) -> Self {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&target.host)
            .port(target.port)
            .username(&target.user)
            .database(&target.database)
            .application_name("polder")
            .ssl_mode(if target.tls { PgSslMode::VerifyFull } else { PgSslMode::Prefer });
        if let Some(password) = secrets.get("password") {
            options = options.password(password);
        }
        Self { target: target.clone(), options }
    }

    fn table(&self) -> String {
        format!("{}.{}", quoted(&self.target.schema), quoted(&self.target.table))
    }

    async fn columns(&self, connection: &mut PgConnection) -> Result<BTreeSet<String>> {
        let sql = "SELECT a.attname::text FROM pg_catalog.pg_attribute a \
                   JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped";
        let found = sqlx::query(sql).bind(&self.target.schema).bind(&self.target.table).fetch_all(connection).await;
        let found = found.map_err(|error| self.failed(&error))?;
        let names = found.iter().map(|row| row.try_get(0)).collect::<Result<BTreeSet<String>, _>>();
        let names = names.map_err(|error| self.failed(&error))?;
        if names.is_empty() {
            let message = format!("{} has no table {}", self.place(), self.table());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(names)
    }

    fn place(&self) -> String {
        format!("postgres://{}:{}/{}", self.target.host, self.target.port, self.target.database)
    }

    fn failed(&self, error: &sqlx::Error) -> Error {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let kind = code.and_then(|code| ErrorKind::of_code(&code)).map_or(ErrorKind::Unavailable, |(kind, _)| kind);
        Error::new(kind, format!("{}: {error}", self.place()))
    }

    /// Rows by the columns that they have, so that the others get their defaults.
    fn sort<'a>(
        texts: &'a rows::Texts,
        columns: &BTreeSet<String>,
        refused: &mut Vec<Refused>,
    ) -> BTreeMap<Vec<String>, Vec<Object<'a>>> {
        let mut groups: BTreeMap<Vec<String>, Vec<Object<'a>>> = BTreeMap::new();
        for (row, text) in texts.iter() {
            let text = std::str::from_utf8(text).unwrap_or_default();
            let Ok(fields) = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text) else {
                refused.push(Refused::new(row, "it is no JSON object, whose fields would be columns"));
                continue;
            };
            if let Some(unknown) = fields.keys().find(|name| !columns.contains(*name)) {
                refused.push(Refused::new(row, format!("the table has no column {unknown:?}")));
            } else if fields.is_empty() {
                refused.push(Refused::new(row, "it is an object without fields"));
            } else {
                groups.entry(fields.into_keys().collect()).or_default().push(Object { row, text });
            }
        }
        groups
    }

    fn statement(&self, columns: &[String]) -> String {
        let table = self.table();
        let names = columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let key = self.target.key.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let conflict = if key.is_empty() { String::new() } else { format!(" ON CONFLICT ({key}) DO NOTHING") };
        // The server itself reads each value as its column's type.
        format!(
            "INSERT INTO {table} ({names}) SELECT {names} FROM pg_catalog.json_populate_recordset(NULL::{table}, \
             $1::pg_catalog.json){conflict}"
        )
    }

    /// Writes rows of the same columns. Those that the server does not take are found by halves.
    async fn write(
        &self,
        transaction: &mut PgConnection,
        columns: &[String],
        objects: Vec<Object<'_>>,
        refused: &mut Vec<Refused>,
    ) -> Result<()> {
        let sql = self.statement(columns);
        let mut left = parts(objects, |object| object.text.len(), STATEMENT_BYTES, STATEMENT_ROWS);
        left.reverse();
        while let Some(mut part) = left.pop() {
            let texts: Vec<&str> = part.iter().map(|object| object.text).collect();
            let all = format!("[{}]", texts.join(","));
            let mut savepoint = transaction.begin().await.map_err(|error| self.failed(&error))?;
            let done = sqlx::query(AssertSqlSafe(sql.as_str())).bind(all).execute(&mut *savepoint).await;
            let error = match done {
                Ok(_) => {
                    savepoint.commit().await.map_err(|error| self.failed(&error))?;
                    continue;
                }
                Err(error) => error,
            };
            savepoint.rollback().await.map_err(|error| self.failed(&error))?;
            if !is_of_the_values(&error) {
                return Err(self.failed(&error));
            }
            if part.len() > 1 {
                left.push(part.split_off(part.len() / 2));
                left.push(part);
            } else {
                let why = error.as_database_error().map_or_else(String::new, |error| error.message().to_owned());
                refused.extend(part.iter().map(|object| Refused::new(object.row, why.clone())));
            }
        }
        Ok(())
    }

    async fn deliver_now(&self, lot: &Lot) -> Result<Vec<Refused>> {
        let (texts, mut refused) = rows::apart(lot, rows::json).await?;
        let late = |_| Error::new(ErrorKind::Unavailable, format!("{} does not answer", self.place()));
        let connected = tokio::time::timeout(CONNECT_WITHIN, PgConnection::connect_with(&self.options)).await;
        let mut connection = connected.map_err(late)?.map_err(|error| self.failed(&error))?;
        let columns = self.columns(&mut connection).await?;
        let groups = Self::sort(&texts, &columns, &mut refused);
        let mut transaction = connection.begin().await.map_err(|error| self.failed(&error))?;
        for (columns, objects) in groups {
            self.write(&mut transaction, &columns, objects, &mut refused).await?;
        }
        transaction.commit().await.map_err(|error| self.failed(&error))?;
        // What is written is written, however the farewell goes.
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "a connection of a delivery did not end well");
        }
        refused.sort_unstable_by_key(|one| one.row);
        Ok(refused)
    }
}

#[async_trait]
impl Sink for Postgres {
    async fn deliver(&self, lot: &Lot) -> Result<Vec<Refused>> {
        let late = |_| Error::new(ErrorKind::Unavailable, format!("{} takes too long for a lot", self.place()));
        tokio::time::timeout(DELIVER_WITHIN, self.deliver_now(lot)).await.map_err(late)?
    }
}

/// Whether the rows are at fault: values that are none of the column's type, constraints, bounds of depth and length, columns
/// that only the server fills, and what triggers refuse.
fn is_of_the_values(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["22", "23", "54", "428C9", "P0001"].iter().any(|kind| code.starts_with(kind)))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
