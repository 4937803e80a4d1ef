//! The demo: the flights of New York in 2013, and six saved queries that tell a story.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use chrono::Utc;
use indicatif::HumanCount;
use polder_capability::{Caller, LoadMode, LoadOptions, LoadRequest, LoadSource, LoadState, SavedQuery};
use polder_types::LoadId;
use rust_embed::Embed;
use serde::Deserialize;

use crate::failure::Failure;
use crate::output::seconds;
use crate::wiring::House;

/// Set once the demo is there, so that what the user deletes of it stays deleted.
const SETTING: &str = "demo";
const LOADED: &str = "loaded";

const SAVED_QUERIES: &str = "saved-queries.json";

#[derive(Embed)]
#[folder = "../../demo"]
#[include = "*.parquet"]
#[include = "saved-queries.json"]
struct Files;

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
/// When a table of one of the names is there already, or the load fails; then nothing of it is there.
pub async fn prepare(house: &House, user: &str) -> Result<()> {
    if house.metastore.settings().get(SETTING).await?.as_deref() == Some(LOADED) {
        return Ok(());
    }
    let started = Instant::now();
    eprintln!("loading the demo: flights, weather, planes, airports and airlines of 2013 …");
    let folder = tempfile::tempdir_in(house.temp_dir()).context("cannot unpack the demo")?;
    let sources = unpack(folder.path())?;
    let rows = load(house, user, sources).await?;
    save_queries(house, user).await?;
    house.metastore.settings().set(SETTING, LOADED).await?;
    eprintln!("loaded {} rows in {}", HumanCount(rows), seconds(started.elapsed()));
    Ok(())
}

/// The loader reads files, so the embedded ones are put on disk for a moment.
fn unpack(folder: &Path) -> Result<Vec<LoadSource>> {
    let mut sources = Vec::new();
    for name in Files::iter().filter(|name| name.ends_with(".parquet")) {
        let Some(file) = Files::get(&name) else { continue };
        let path = folder.join(name.as_ref());
        std::fs::write(&path, &file.data).with_context(|| format!("cannot write {}", path.display()))?;
        sources.push(LoadSource::Spooled { path, name: name.into_owned() });
    }
    Ok(sources)
}

async fn load(house: &House, user: &str, sources: Vec<LoadSource>) -> Result<u64> {
    let id = house.loader.start(LoadRequest {
        load_id: LoadId::new(),
        caller: Caller::new(user, "demo"),
        sources,
        into: None,
        // A start that died between the load and the note of it finds its tables and replaces them.
        mode: LoadMode::Replace,
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
    let file = Files::get(SAVED_QUERIES).context("the demo's saved queries are not part of this program")?;
    let queries: Vec<Query> = serde_json::from_slice(&file.data).context("the demo's saved queries cannot be read")?;
    for Query { id, name, description, sql, chart } in queries {
        let query = SavedQuery { id, name, description, sql, chart, owner: user.to_owned(), updated_at: Utc::now() };
        house.saved.put(query).await?;
    }
    Ok(())
}
