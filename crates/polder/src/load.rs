//! `polder load`: files into tables, with progress, Ctrl-C and an account of every row.

mod bar;
mod report;

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use polder_capability::{ColumnChoice, LoadMode, LoadOptions, LoadState, LoadStatus};
use polder_types::LoadId;

use crate::cli::{CorrectionArgs, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, LoadArgs};
use crate::connection::{Connected, Connection, LoadOrder, Source};
use crate::failure::Failure;
use crate::terminal;
use bar::Bar;

/// How often the load is asked how far it is. A small load should not wait for the next question.
const FIRST_QUESTIONS: Duration = Duration::from_millis(10);
const QUESTIONS: Duration = Duration::from_millis(100);
/// How long a cancelled load may take to say so.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

pub fn main(args: &LoadArgs) -> Result<u8> {
    let order = order(args)?;
    let connected = Connected::open(&args.directory, &args.server)?;
    let done = connected.runtime.block_on(load(connected.connection.as_ref(), order, args.json));
    connected.close();
    let status = done?;
    if args.json {
        let text = serde_json::to_string_pretty(&status)?;
        writeln!(std::io::stdout().lock(), "{text}").map_err(Failure::output)?;
        return Ok(match status.state {
            LoadState::Done => EXIT_DONE,
            LoadState::Cancelled => EXIT_INTERRUPTED,
            LoadState::Running | LoadState::Failed => EXIT_FAILED,
        });
    }
    match (status.state, status.report, status.error) {
        (LoadState::Done, Some(report), _) => {
            let text = report::text(&report, args);
            std::io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::output)?;
            Ok(EXIT_DONE)
        }
        (LoadState::Cancelled, ..) => {
            Err(Failure { message: "cancelled, nothing was loaded".to_owned(), ..Failure::interrupted() }.into())
        }
        (_, _, Some(error)) => Err(Failure::from(error).into()),
        (state, ..) => Err(Failure::new(format!("the load ended as {state:?} without a report")).into()),
    }
}

/// Starts the load and follows it to its end.
async fn load(connection: &dyn Connection, order: LoadOrder, quiet: bool) -> Result<LoadStatus, Failure> {
    let bar = if quiet { Bar::hidden() } else { Bar::new() };
    let id = tokio::select! {
        started = connection.start_load(order) => started?,
        // Standard input may still be on its way; what was sent of it is thrown away.
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure { message: "cancelled, nothing was loaded".to_owned(), ..Failure::interrupted() });
        }
    };
    let mut cancelled = false;
    let follow = follow(connection, id, &bar);
    tokio::pin!(follow);
    let status = loop {
        tokio::select! {
            status = &mut follow => break status?,
            _ = tokio::signal::ctrl_c(), if !cancelled => {
                cancelled = true;
                connection.cancel_load(id).await;
            }
            () = tokio::time::sleep(CANCEL_WAIT), if cancelled => return Err(Failure::interrupted()),
        }
    };
    bar.clear();
    Ok(status)
}

async fn follow(connection: &dyn Connection, id: LoadId, bar: &Bar) -> Result<LoadStatus, Failure> {
    let mut wait = FIRST_QUESTIONS;
    loop {
        let status = connection.load_status(id).await?;
        if status.state != LoadState::Running {
            return Ok(status);
        }
        bar.show(&status.progress);
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(QUESTIONS);
    }
}

/// The options as the loader wants them.
fn order(args: &LoadArgs) -> Result<LoadOrder> {
    let pipes = args.sources.iter().filter(|source| *source == "-").count();
    if pipes > 1 {
        return Err(Failure::usage("standard input can be loaded once only").into());
    }
    if pipes == 1 && terminal::stdin() {
        return Err(Failure::usage("standard input is a terminal")
            .with_hint("pipe data into it: cat FILE | polder load -")
            .into());
    }
    let source = |text: &String| if text == "-" { Source::StandardInput } else { Source::Location(text.clone()) };
    Ok(LoadOrder {
        sources: args.sources.iter().map(source).collect(),
        into: args.into.clone(),
        mode: match (args.append, args.replace) {
            (true, _) => LoadMode::Append,
            (_, true) => LoadMode::Replace,
            _ => LoadMode::Create,
        },
        strict: args.strict,
        again: args.again,
        options: options(&args.corrections)?,
    })
}

fn options(args: &CorrectionArgs) -> Result<LoadOptions> {
    let mut columns: Vec<ColumnChoice> = Vec::new();
    for text in &args.types {
        let (source, data_type) = pair("--type", text)?;
        choice(&mut columns, source).data_type = Some(data_type.to_owned());
    }
    for text in &args.renames {
        let (source, name) = pair("--rename", text)?;
        choice(&mut columns, source).name = Some(name.to_owned());
    }
    for source in &args.skips {
        choice(&mut columns, source).skip = true;
    }
    Ok(LoadOptions {
        format: args.format.clone(),
        delimiter: args.delimiter.as_deref().map(delimiter).transpose()?,
        quote: args.quote,
        header: args.header.then_some(true).or(args.no_header.then_some(false)),
        encoding: args.encoding.clone(),
        nulls: args.nulls.clone(),
        columns,
        copy: None,
    })
}

/// What is chosen for a column, in the order in which columns were first named.
fn choice<'a>(columns: &'a mut Vec<ColumnChoice>, source: &str) -> &'a mut ColumnChoice {
    let at = columns.iter().position(|column| column.source == source).unwrap_or_else(|| {
        columns.push(ColumnChoice { source: source.to_owned(), ..ColumnChoice::default() });
        columns.len() - 1
    });
    &mut columns[at]
}

/// `COLUMN=VALUE`; a column's name may hold `=` itself, the value does not.
fn pair<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    match text.rsplit_once('=') {
        Some((column, value)) if !column.is_empty() && !value.is_empty() => Ok((column, value)),
        _ => Err(Failure::usage(format!("{option} {text}: not of the form COLUMN=VALUE")).into()),
    }
}

fn delimiter(text: &str) -> Result<char> {
    let mut chars = text.chars();
    match (text, chars.next(), chars.next()) {
        ("tab" | "\\t", ..) => Ok('\t'),
        (_, Some(one), None) => Ok(one),
        _ => Err(Failure::usage(format!("--delimiter {text}: more than one character"))
            .with_hint("write one character, or `tab`")
            .into()),
    }
}

#[cfg(test)]
mod tests;
