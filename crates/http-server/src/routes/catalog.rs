//! What is in the lake, answered from the system tables.

use std::collections::BTreeMap;

use axum::extract::State;
use chrono::{DateTime, Utc};
use polder_types::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Identity;
use crate::error::ApiResult;
use crate::extract::Segments;
use crate::state::App;
use crate::system::{self, Excess, json_text, known_moment, literal, moment, table_name, truth};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(get_catalog))
        .routes(routes!(get_table))
        .routes(routes!(get_profile))
        .routes(routes!(get_history))
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TableKind {
    Table,
    View,
}

/// All tables at one lake version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Catalog {
    snapshot: i64,
    schemas: Vec<CatalogSchema>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogSchema {
    name: String,
    tables: Vec<CatalogTable>,
}

/// A table in a list. Numbers are `null` where nobody counted (a view).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CatalogTable {
    name: String,
    kind: TableKind,
    rows: Option<u64>,
    bytes: Option<u64>,
    files: Option<u64>,
    comment: Option<String>,
    updated_at: Option<DateTime<Utc>>,
}

/// A row of `polder.tables`.
#[derive(Debug, Deserialize)]
struct TableRow {
    schema_name: String,
    table_name: String,
    kind: TableKind,
    row_count: Option<u64>,
    byte_count: Option<u64>,
    file_count: Option<u64>,
    comment: Option<String>,
    #[serde(deserialize_with = "moment")]
    created_at: Option<DateTime<Utc>>,
    #[serde(deserialize_with = "moment")]
    updated_at: Option<DateTime<Utc>>,
    view_sql: Option<String>,
}

const TABLE_COLUMNS: &str = "schema_name, table_name, kind, row_count, byte_count, file_count, comment, created_at, updated_at, \
                             view_sql";

/// Lists schemas and tables
#[utoipa::path(get, path = "/catalog", tag = "catalog", responses((status = 200, body = Catalog)))]
async fn get_catalog(State(app): State<App>, Identity(caller): Identity) -> ApiResult<axum::Json<Catalog>> {
    let sql = format!("SELECT {TABLE_COLUMNS} FROM polder.tables ORDER BY schema_name, table_name");
    let answer = system::rows::<TableRow>(&app.sql, &caller.user, sql, Excess::Refuse).await?;
    let mut schemas = BTreeMap::<String, Vec<CatalogTable>>::new();
    for row in answer.rows {
        schemas.entry(row.schema_name).or_default().push(CatalogTable {
            name: row.table_name,
            kind: row.kind,
            rows: row.row_count,
            bytes: row.byte_count,
            files: row.file_count,
            comment: row.comment,
            updated_at: row.updated_at,
        });
    }
    let schemas = schemas.into_iter().map(|(name, tables)| CatalogSchema { name, tables }).collect();
    Ok(axum::Json(Catalog { snapshot: answer.snapshot, schemas }))
}

/// A table with its columns.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Table {
    schema: String,
    name: String,
    kind: TableKind,
    comment: Option<String>,
    rows: Option<u64>,
    bytes: Option<u64>,
    files: Option<u64>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    /// The query of a view.
    sql: Option<String>,
    columns: Vec<TableColumn>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableColumn {
    name: String,
    /// A SQL type.
    r#type: String,
    nullable: bool,
    default: Option<String>,
    comment: Option<String>,
    /// From 1.
    position: u64,
}

/// A row of `polder.columns`.
#[derive(Debug, Deserialize)]
struct ColumnRow {
    column_name: String,
    data_type: String,
    #[serde(deserialize_with = "truth")]
    is_nullable: bool,
    column_default: Option<String>,
    comment: Option<String>,
    ordinal_position: u64,
}

/// Describes a table or a view
#[utoipa::path(get, path = "/catalog/{schema}/{table}", tag = "catalog",
    params(("schema" = String, Path), ("table" = String, Path)),
    responses((status = 200, body = Table)))]
async fn get_table(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments((schema, table)): Segments<(String, String)>,
) -> ApiResult<axum::Json<Table>> {
    let row = find_table(&app, &caller.user, &schema, &table).await?;
    let sql = format!(
        "SELECT column_name, data_type, is_nullable, column_default, comment, ordinal_position FROM polder.columns \
         WHERE schema_name = {} AND table_name = {} ORDER BY ordinal_position",
        literal(&schema),
        literal(&table)
    );
    let columns = system::rows::<ColumnRow>(&app.sql, &caller.user, sql, Excess::Refuse).await?.rows;
    let columns = columns.into_iter().map(|column| TableColumn {
        name: column.column_name,
        r#type: column.data_type,
        nullable: column.is_nullable,
        default: column.column_default,
        comment: column.comment,
        position: column.ordinal_position,
    });
    Ok(axum::Json(Table {
        schema: row.schema_name,
        name: row.table_name,
        kind: row.kind,
        comment: row.comment,
        rows: row.row_count,
        bytes: row.byte_count,
        files: row.file_count,
        created_at: row.created_at,
        updated_at: row.updated_at,
        sql: row.view_sql,
        columns: columns.collect(),
    }))
}

async fn find_table(app: &App, user: &str, schema: &str, table: &str) -> Result<TableRow> {
    let sql = format!(
        "SELECT {TABLE_COLUMNS} FROM polder.tables WHERE schema_name = {} AND table_name = {}",
        literal(schema),
        literal(table)
    );
    let rows = system::rows::<TableRow>(&app.sql, user, sql, Excess::Refuse).await?.rows;
    rows.into_iter().next().ok_or_else(|| {
        Error::not_found(format!("no table {}", table_name(schema, table)))
            .with_hint("see `SELECT * FROM polder.tables`")
    })
}

/// What is in a table, column by column.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableProfile {
    rows: u64,
    /// Only a part of the rows was looked at, because there are very many.
    sampled: bool,
    columns: Vec<ColumnProfile>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnProfile {
    name: String,
    r#type: String,
    /// Rows without a value.
    missing: u64,
    /// Different values.
    distinct: Option<u64>,
    /// Whether `distinct` was counted; else it is an estimate.
    distinct_exact: bool,
    #[schema(value_type = Option<Scalar>)]
    min: Value,
    #[schema(value_type = Option<Scalar>)]
    max: Value,
    #[schema(value_type = Option<Scalar>)]
    mean: Value,
    /// Equally wide ranges of values, for numbers and times.
    histogram: Option<Vec<HistogramBin>>,
    /// The most frequent values.
    top: Option<Vec<TopValue>>,
}

/// A value of a column: a number, a text, or a truth value.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it stands for a shape in the OpenAPI document")]
pub(crate) enum Scalar {
    Number(f64),
    Text(String),
    Truth(bool),
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HistogramBin {
    #[schema(value_type = Scalar)]
    low: Value,
    #[schema(value_type = Scalar)]
    high: Value,
    count: u64,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct TopValue {
    #[schema(value_type = Option<Scalar>)]
    value: Value,
    count: u64,
}

/// A row of the table function `profile`.
#[derive(Debug, Deserialize)]
struct ProfileRow {
    column_name: String,
    data_type: String,
    row_count: u64,
    missing: u64,
    distinct_count: Option<u64>,
    distinct_exact: bool,
    min: Value,
    max: Value,
    mean: Value,
    #[serde(deserialize_with = "json_text")]
    histogram: Option<Vec<HistogramBin>>,
    #[serde(deserialize_with = "json_text")]
    top: Option<Vec<TopValue>>,
}

/// Profiles a table
///
/// Missing and different values, extremes, mean, histogram and most frequent values of each column.
#[utoipa::path(get, path = "/catalog/{schema}/{table}/profile", tag = "catalog",
    params(("schema" = String, Path), ("table" = String, Path)),
    responses((status = 200, body = TableProfile)))]
async fn get_profile(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments((schema, table)): Segments<(String, String)>,
) -> ApiResult<axum::Json<TableProfile>> {
    let known = find_table(&app, &caller.user, &schema, &table).await?.row_count.unwrap_or(0);
    let sql = format!("SELECT * FROM profile({})", literal(&table_name(&schema, &table)));
    let rows = system::rows::<ProfileRow>(&app.sql, &caller.user, sql, Excess::Refuse).await?.rows;
    let seen = rows.iter().map(|row| row.row_count).max().unwrap_or(known);
    let columns = rows.into_iter().map(|row| ColumnProfile {
        name: row.column_name,
        r#type: row.data_type,
        missing: row.missing,
        distinct: row.distinct_count,
        distinct_exact: row.distinct_exact,
        min: row.min,
        max: row.max,
        mean: row.mean,
        histogram: row.histogram,
        top: row.top,
    });
    Ok(axum::Json(TableProfile { rows: seen.max(known), sampled: seen < known, columns: columns.collect() }))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableHistory {
    versions: Vec<TableVersion>,
}

/// A change of a table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableVersion {
    snapshot: i64,
    committed_at: DateTime<Utc>,
    author: Option<String>,
    message: Option<String>,
    /// `created_table`, `inserted_into_table`, …
    changes: Vec<String>,
    rows_added: Option<u64>,
    rows_removed: Option<u64>,
}

/// A row of the table function `history`.
#[derive(Debug, Deserialize)]
struct HistoryRow {
    snapshot: i64,
    #[serde(deserialize_with = "known_moment")]
    committed_at: DateTime<Utc>,
    author: Option<String>,
    message: Option<String>,
    changes: Value,
    rows_added: Option<u64>,
    rows_removed: Option<u64>,
}

/// Lists the versions of a table, newest first
#[utoipa::path(get, path = "/catalog/{schema}/{table}/history", tag = "catalog",
    params(("schema" = String, Path), ("table" = String, Path)),
    responses((status = 200, body = TableHistory)))]
async fn get_history(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments((schema, table)): Segments<(String, String)>,
) -> ApiResult<axum::Json<TableHistory>> {
    let sql = format!("SELECT * FROM history({}) ORDER BY snapshot DESC", literal(&table_name(&schema, &table)));
    let rows = system::rows::<HistoryRow>(&app.sql, &caller.user, sql, Excess::Refuse).await?.rows;
    let versions = rows.into_iter().map(|row| TableVersion {
        snapshot: row.snapshot,
        committed_at: row.committed_at,
        author: row.author,
        message: row.message,
        changes: changes(row.changes),
        rows_added: row.rows_added,
        rows_removed: row.rows_removed,
    });
    Ok(axum::Json(TableHistory { versions: versions.collect() }))
}

/// The changes of a version: a list, a list as JSON text, or words between commas.
fn changes(value: Value) -> Vec<String> {
    let list = match value {
        Value::Array(list) => list,
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Array(list)) => list,
            _ => text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(Value::from).collect(),
        },
        _ => Vec::new(),
    };
    list.into_iter()
        .map(|item| match item {
            Value::String(text) => text,
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
