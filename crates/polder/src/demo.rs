//! The demo: the flights of New York in 2013, and six saved queries that tell a story.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono::Utc;
use futures::TryStreamExt;
use indicatif::HumanCount;
use polder_capability::{
    Caller, LoadMode, LoadOptions, LoadRequest, LoadSource, LoadState, SavedQuery, SqlRunner, StatementRequest,
};
use polder_types::{LoadId, QueryId};
use serde::Deserialize;

use crate::failure::Failure;
use crate::output::seconds;
use crate::wiring::House;

/// Set once the demo is there, so that what the user deletes of it stays deleted.
const SETTING: &str = "demo";
const LOADED: &str = "loaded";

/// The demo's tables, each named after its file.
const TABLES: [(&str, &[u8]); 5] = [
    ("airlines.parquet", include_bytes!("../../../demo/airlines.parquet")),
    ("airports.parquet", include_bytes!("../../../demo/airports.parquet")),
    ("flights.parquet", include_bytes!("../../../demo/flights.parquet")),
    ("planes.parquet", include_bytes!("../../../demo/planes.parquet")),
    ("weather.parquet", include_bytes!("../../../demo/weather.parquet")),
];

/// What the tables and columns mean.
const COMMENTS: &str = include_str!("../../../demo/comments.sql");

const SAVED_QUERIES: &str = include_str!("../../../demo/saved-queries.json");

#[derive(Debug, Deserialize)]
struct Query {
    id: String,
    name: String,
    description: String,
    sql: String,
    chart: serde_json::Value,
}

/// Loads the demo, unless that was done before.
///
/// # Errors
/// When the name of one of its tables is taken, or the load fails; then nothing of it is there.
pub async fn prepare(house: &House, user: &str) -> Result<()> {
    if house.metastore.settings().get(SETTING).await?.as_deref() == Some(LOADED) {
        return Ok(());
    }
    if !is_there(house, user).await? {
        load(house, user).await?;
    }
    ask(house, user, COMMENTS.to_owned()).await.context("the demo's comments cannot be written")?;
    save_queries(house, user).await?;
    house.metastore.settings().set(SETTING, LOADED).await?;
    Ok(())
}

/// True if a start that died before it could note it has loaded the tables.
///
/// # Errors
/// When some of the names are taken: tables of the user are not touched.
async fn is_there(house: &House, user: &str) -> Result<bool> {
    let names = TABLES.map(|(file, _)| file.trim_end_matches(".parquet"));
    let sql = format!(
        "SELECT count(*) FROM polder.tables WHERE schema_name = 'public' AND table_name IN ('{}')",
        names.join("', '")
    );
    let batches = ask(house, user, sql).await?;
    let count = batches.iter().find(|batch| batch.num_rows() > 0).context("a count gave no row")?;
    match usize::try_from(count.column(0).as_primitive::<Int64Type>().value(0)) {
        Ok(0) => Ok(false),
        Ok(found) if found == names.len() => Ok(true),
        _ => Err(Failure::new(format!("the demo makes the tables {}, and some are there already", names.join(", ")))
            .with_hint("start it on another directory: polder up --demo --data DIR")
            .into()),
    }
}

async fn ask(house: &House, user: &str, sql: String) -> Result<Vec<RecordBatch>> {
    let session = house.engine.open_session(Caller::new(user, "demo"));
    let request = StatementRequest { sql, query_id: QueryId::new(), row_limit: None, sent: None };
    Ok(session.run(request).await?.batches.try_collect().await?)
}

/// Loads all tables in one transaction.
async fn load(house: &House, user: &str) -> Result<()> {
    let started = Instant::now();
    eprintln!("loading the demo: flights, weather, planes, airports and airlines of 2013 …");
    let folder = tempfile::tempdir_in(house.temp_dir()).context("cannot unpack the demo")?;
    let sources = unpack(folder.path())?;
    let rows = run(house, user, sources).await?;
    eprintln!("loaded {} rows in {}", HumanCount(rows), seconds(started.elapsed()));
    Ok(())
}

/// The loader reads files, so the embedded ones are put on disk for a moment.
fn unpack(folder: &Path) -> Result<Vec<LoadSource>> {
    let unpack = |(name, bytes): (&str, &[u8])| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(LoadSource::Spooled { path, name: name.to_owned() })
    };
    TABLES.into_iter().map(unpack).collect()
}

async fn run(house: &House, user: &str, sources: Vec<LoadSource>) -> Result<u64> {
    let id = house.loader.start(LoadRequest {
        load_id: LoadId::new(),
        caller: Caller::new(user, "demo"),
        sources,
        into: None,
        mode: LoadMode::Create,
        strict: true,
        again: true,
        options: LoadOptions::default(),
    })?;
    let status = house.loader.wait(id).await.context("the load of the demo is gone")?;
    match (status.state, status.report, status.error) {
        (LoadState::Done, Some(report), _) => Ok(report.tables.iter().map(|table| table.rows_loaded).sum()),
        (_, _, Some(error)) => Err(Failure::from(error)).context("the demo cannot be loaded"),
        (state, _, None) => Err(Failure::new(format!("the load of the demo ended as {state:?}")).into()),
    }
}

async fn save_queries(house: &House, user: &str) -> Result<()> {
    let queries: Vec<Query> = serde_json::from_str(SAVED_QUERIES).context("the demo's saved queries cannot be read")?;
    for Query { id, name, description, sql, chart } in queries {
        let query = SavedQuery { id, name, description, sql, chart, owner: user.to_owned(), updated_at: Utc::now() };
        house.saved.put(query).await?;
    }
    Ok(())
}
