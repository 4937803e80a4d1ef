//! Commands to the shell itself, which begin with a backslash.

use clap::ValueEnum;

use crate::cli::Format;
use crate::failure::Failure;

pub const HELP: &str = "\
  SELECT …;        a statement ends with ; and may take several lines
  \\d               tables and views
  \\d NAME          the columns of a table (also \\d schema.table)
  \\dt              tables and views
  \\x [on|off]      one line a value, for wide rows
  \\rows N|all      show at most N rows of an answer
  \\format FORMAT   table, csv, json, ndjson, markdown
  \\timing [on|off] say how long statements take
  \\q               leave (or Ctrl-D)
  Tab completes names, Ctrl-R searches the history, Ctrl-C cancels a running statement";

pub const TABLES: &str = "SELECT schema_name AS schema, table_name AS name, kind, row_count AS rows, byte_count AS bytes \
    FROM polder.tables WHERE schema_name NOT IN ('polder', 'information_schema', 'pg_catalog') \
    ORDER BY schema_name, table_name";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meta {
    Quit,
    Help,
    Tables,
    Describe(String),
    Timing(Option<bool>),
    Expanded(Option<bool>),
    Format(Format),
    /// `None`: all.
    Rows(Option<u64>),
}

/// `None` for a line that is SQL.
#[must_use]
pub fn parse(line: &str) -> Option<Result<Meta, Failure>> {
    let line = line.trim().trim_end_matches(';').trim_end();
    match line.to_ascii_lowercase().as_str() {
        "quit" | "exit" => return Some(Ok(Meta::Quit)),
        "help" => return Some(Ok(Meta::Help)),
        _ => {}
    }
    let command = line.strip_prefix('\\')?;
    let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    Some(known(name, argument.trim()))
}

fn known(name: &str, argument: &str) -> Result<Meta, Failure> {
    Ok(match name {
        "q" => Meta::Quit,
        "?" | "h" => Meta::Help,
        "d" | "dt" if argument.is_empty() => Meta::Tables,
        "d" => Meta::Describe(argument.to_owned()),
        "timing" => Meta::Timing(switch(argument)?),
        "x" => Meta::Expanded(switch(argument)?),
        "format" => {
            match Format::from_str(argument, true) {
                Ok(format) if !format.is_binary() => Meta::Format(format),
                _ => return Err(Failure::new(format!("the shell has no format {argument:?}")).with_hint(
                    "table, csv, json, ndjson or markdown; `polder sql --format parquet --output FILE` writes files",
                )),
            }
        }
        "rows" if argument == "all" => Meta::Rows(None),
        "rows" => match argument.parse() {
            Ok(rows) => Meta::Rows(Some(rows)),
            Err(_) => return Err(Failure::new("\\rows takes a number, or all")),
        },
        _ => return Err(Failure::new(format!("there is no command \\{name}")).with_hint("\\? lists them")),
    })
}

fn switch(argument: &str) -> Result<Option<bool>, Failure> {
    match argument {
        "" => Ok(None),
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        _ => Err(Failure::new("write on or off, or nothing to switch over")),
    }
}

/// The columns of a table, by its name with or without a schema.
#[must_use]
pub fn describe(name: &str) -> String {
    let (schema, table) = match name.split_once('.') {
        Some((schema, table)) => (plain(schema), plain(table)),
        None => ("public".to_owned(), plain(name)),
    };
    format!(
        "SELECT column_name AS column, data_type AS type, is_nullable AS nullable, column_default AS \"default\", comment \
         FROM polder.columns WHERE schema_name = {} AND table_name = {} ORDER BY ordinal_position",
        literal(&schema),
        literal(&table)
    )
}

/// A name as the catalog has it: as written in quotes, else in lower case.
fn plain(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests;
