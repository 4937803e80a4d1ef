//! `polder check`, `polder backup` and `polder restore`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use clap::Args;
use futures::TryStreamExt;
use polder_lake::restore_backup;
use polder_metastore::{RestoreTarget, make_private_directory};
use polder_types::QueryId;

use crate::cli::{DirectoryArgs, EXIT_DONE, EXIT_FAILED, ServerArgs};
use crate::connection::{Connected, Reply, Request};
use crate::failure::Failure;
use crate::run::tell;
use crate::settings::Directory;
use crate::{terminal, topics};

pub const CHECK_EXAMPLES: &str = "\
Examples:
  polder check                           every file of ./polder-data, through its server if one runs
  polder check --data /srv/polder

Every byte of every file of every kept version is read and compared with the checksum of when it was written; the
metastore checks itself, and its catalog is compared with itself. What is wrong goes to standard output, a line each.
Exit codes: 0 nothing is wrong, 1 something is, or the check failed.";

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub directory: DirectoryArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

pub const BACKUP_EXAMPLES: &str = "\
Examples:
  polder backup /backup/monday           a new directory; statements and loads go on meanwhile
  polder restore /backup/monday --data /srv/polder

The backup is of one moment. Each file's checksum is verified while it is copied, and a damaged file makes the backup
fail by its name. It holds passwords and keys, as the data directory does: keep it as safe.";

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// A directory that is empty or not there
    #[arg(value_name = "DIR")]
    pub into: PathBuf,
    #[command(flatten)]
    pub directory: DirectoryArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

pub const RESTORE_EXAMPLES: &str = "\
Examples:
  polder restore /backup/monday                       into ./polder-data, which must not be there yet
  polder restore /backup/monday --data /srv/polder
  polder restore /backup/monday --metastore postgres://…/empty_database    for a backup of PostgreSQL
  polder restore /backup/monday --tables s3://bucket/prefix                table files into an object store

Then: polder up --data /srv/polder";

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// What `polder backup` has written
    #[arg(value_name = "BACKUP")]
    pub from: PathBuf,
    #[command(flatten)]
    pub directory: DirectoryArgs,
}

/// Runs one statement and gives all of its few rows.
async fn ask(connected: &Connected, sql: &str) -> Result<Vec<RecordBatch>, Failure> {
    let request = Request { sql, query_id: QueryId::new(), row_limit: None, keep_session: false };
    let Reply { batches, notices, .. } = connected.connection.run(request).await?;
    let rows = batches.try_collect().await?;
    for notice in notices {
        tell(&notice.message);
    }
    Ok(rows)
}

/// # Errors
/// When nothing could be looked at.
pub fn check(args: &CheckArgs) -> Result<u8> {
    let connected = Connected::open(&args.directory, &args.server)?;
    let rows = connected.runtime.block_on(ask(&connected, "CHECK TABLES"));
    connected.close();
    let mut out = std::io::stdout().lock();
    let mut found = false;
    for batch in rows? {
        let text = |column: usize, row: usize| {
            let values = arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8);
            let values = values.map_err(|error| Failure::new(error.to_string()))?;
            let values = values.as_string::<i32>();
            let value = arrow::array::Array::is_valid(values, row).then(|| values.value(row).to_owned());
            Ok::<_, Failure>(value.map(|text| terminal::printable(&text, false).into_owned()))
        };
        for row in 0..batch.num_rows() {
            found = true;
            let (file, problem) = (text(1, row)?.unwrap_or_default(), text(2, row)?.unwrap_or_default());
            let of = text(0, row)?.map_or_else(String::new, |table| format!(", a file of {table}"));
            writeln!(out, "{file}{of}: {problem}").map_err(Failure::output)?;
        }
    }
    Ok(if found { EXIT_FAILED } else { EXIT_DONE })
}

/// # Errors
/// When the backup could not be made; then there is none.
pub fn backup(args: &BackupArgs) -> Result<u8> {
    let into =
        std::path::absolute(&args.into).map_err(|error| Failure::usage(format!("{}: {error}", args.into.display())))?;
    let text = into.to_str().ok_or_else(|| Failure::usage("the backup's path is no UTF-8"))?;
    let connected = Connected::open(&args.directory, &args.server)?;
    let sql = format!("BACKUP TO '{}'", text.replace('\'', "''"));
    let rows = connected.runtime.block_on(ask(&connected, &sql));
    connected.close();
    let rows = rows?;
    let number = |column: usize| {
        let value = rows.first().map(|batch| batch.column(column).as_primitive::<Int64Type>().value(0));
        value.unwrap_or_default()
    };
    let line = format!("version {} in {}: {} files, {} bytes", number(0), text, number(1), number(2));
    writeln!(std::io::stdout(), "{line}").map_err(Failure::output)?;
    Ok(EXIT_DONE)
}

/// # Errors
/// When something is in the way, or the backup is damaged.
pub fn restore(args: &RestoreArgs) -> Result<u8> {
    let directory = Directory::from_args(&args.directory)?;
    if !is_free(&directory.data) {
        return Err(Failure::new(format!("{} is not empty", directory.data.display()))
            .with_hint("name another directory with --data, or move that one away")
            .into());
    }
    make_private_directory(&directory.data)?;
    let target = RestoreTarget {
        data_dir: directory.data.clone(),
        url: directory.metastore.clone(),
        tables_path: directory.tables.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let restored = runtime.block_on(async {
        // First: the metastore comes last of all, so that nobody finds a lake whose topics are missing.
        topics::restore(&args.from, &directory.data).await?;
        restore_backup(&args.from, &target).await
    })?;
    directory.remember()?;
    let line = format!(
        "version {} of {} is in {}: {} files, {} bytes",
        restored.snapshot,
        restored.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
        directory.data.display(),
        restored.files.len(),
        restored.bytes()
    );
    writeln!(std::io::stdout(), "{line}").map_err(Failure::output)?;
    for file in &restored.outside {
        tell(&format!("not in the backup, because another program keeps it elsewhere: {file}"));
    }
    Ok(EXIT_DONE)
}

fn is_free(path: &Path) -> bool {
    std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none())
}
