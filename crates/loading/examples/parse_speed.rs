//! Seconds for loading one file into a lake in a temporary directory: `parse_speed FILE [TIMES]`.

use std::sync::Arc;
use std::time::Instant;

use polder_capability::{Caller, LoadMode, LoadOptions, LoadRequest, LoadSource, Loader};
use polder_lake::{Lake, LakeOptions, TablesLocation};
use polder_loading::{FileLoader, LoaderOptions};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::{OwnFiles, SystemClock};
use polder_types::{Error, LoadId, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or_else(|| Error::invalid("name a file"))?;
    let times: u32 = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(1);
    let directory = tempfile::tempdir().map_err(|error| Error::internal(error.to_string()))?;
    let clock = Arc::new(SystemClock);
    let tables = directory.path().join("tables");
    let metastore = Metastore::open(MetastoreOptions {
        data_dir: directory.path().to_owned(),
        url: None,
        tables_path: tables.to_string_lossy().into_owned(),
        clock: clock.clone(),
    })
    .await?;
    let lake =
        Lake::open(LakeOptions { metastore, tables: TablesLocation::Directory(tables), clock: clock.clone() }).await?;
    let loader = FileLoader::new(LoaderOptions {
        lake,
        clock,
        temp_dir: directory.path().to_owned(),
        own_files: OwnFiles::default(),
    });
    for _ in 0..times {
        let begun = Instant::now();
        let request = LoadRequest {
            load_id: LoadId::new(),
            caller: Caller::new("bench", "cli"),
            sources: vec![LoadSource::Location(file.clone())],
            into: Some("speed".into()),
            mode: LoadMode::Replace,
            strict: false,
            again: true,
            options: LoadOptions::default(),
        };
        let id = loader.start(request)?;
        let mut phase = String::new();
        while let Some(status) = loader.status(id).filter(|status| status.report.is_none() && status.error.is_none()) {
            if status.progress.phase != phase {
                phase = status.progress.phase;
                println!("  {:.3} s {phase}", begun.elapsed().as_secs_f64());
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let status = loader.wait(id).await;
        let rows = status.as_ref().and_then(|status| status.report.as_ref()).map(|report| report.tables[0].rows_loaded);
        println!("{:.3} s, rows {rows:?}, {:?}", begun.elapsed().as_secs_f64(), status.and_then(|status| status.error));
    }
    Ok(())
}
