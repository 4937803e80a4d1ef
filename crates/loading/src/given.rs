//! The columns that COPY names: which of a file's columns they are.

use polder_capability::LoadColumns;
use polder_types::{Error, Result};

use crate::format::{GuessedColumn, Origin};
use crate::group::Document;
use crate::names::{self, counted};

/// Columns that are told one by one.
const SHOWN: usize = 20;

/// Gives the columns of files without a header the names of the table's, by their places, and compares those of the
/// others with the list if there is one. What folders are named after is left out where the list lacks it.
///
/// # Errors
/// `InvalidInput` (22P04) for too few columns or too many, `NotFound` (42703) for one that is not in the list.
pub(crate) fn name_columns(
    files: &mut [Vec<GuessedColumn>],
    documents: &[Document],
    wanted: &LoadColumns,
) -> Result<()> {
    for (columns, document) in files.iter_mut().zip(documents) {
        let label = &document.opened.label;
        let own =
            columns.iter().take_while(|column| matches!(column.origin, Origin::File | Origin::FileAndFolder)).count();
        let (own, folders) = columns.split_at_mut(own);
        // What a folder says has a name, whatever the file has.
        let of_folder = |column: &GuessedColumn, name: &String| {
            column.source == *name || names::safe(&column.source).is_some_and(|safe| safe == name.to_lowercase())
        };
        let mut expected = wanted.names.clone();
        expected.retain(|name| !folders.iter().any(|column| of_folder(column, name)));
        for column in folders {
            if wanted.listed && !wanted.names.iter().any(|name| of_folder(column, name)) {
                column.origin = Origin::LeftOut;
            }
        }
        if document.opened.options.header == Some(false) {
            by_place(own, label, &expected)?;
        } else if wanted.listed {
            by_name(own, label, &expected)?;
        }
    }
    Ok(())
}

fn by_place(columns: &mut [GuessedColumn], label: &str, wanted: &[String]) -> Result<()> {
    if columns.len() != wanted.len() {
        let what = match wanted.get(columns.len()) {
            Some(name) => format!("missing data for column {name:?}"),
            None => "extra data after last expected column".to_owned(),
        };
        let found = counted(columns.len() as u64, "column");
        return Err(Error::invalid(format!(
            "{what}: {label} has {found} and no header, {} are expected",
            wanted.len()
        ))
        .with_code("22P04")
        .with_hint("list the columns that the file has: COPY table (column, …) FROM …"));
    }
    for (column, name) in columns.iter_mut().zip(wanted) {
        column.source.clone_from(name);
    }
    Ok(())
}

fn by_name(columns: &[GuessedColumn], label: &str, wanted: &[String]) -> Result<()> {
    let sources: Vec<&str> = columns.iter().map(|column| column.source.as_str()).collect();
    let safe = names::columns(&sources);
    let is = |place: usize, name: &String| {
        sources[place] == name || safe[place] == *name || safe[place] == name.to_lowercase()
    };
    let places = 0..sources.len();
    let others: Vec<String> = places
        .clone()
        .filter(|place| !wanted.iter().any(|name| is(*place, name)))
        .map(|place| format!("`{}`", sources[place]))
        .take(SHOWN)
        .collect();
    if !others.is_empty() {
        return Err(Error::not_found(format!("{label} has columns that are not in the list: {}", others.join(", ")))
            .with_code("42703")
            .with_hint("list all columns of the file; if it has no header, say HEADER false"));
    }
    match wanted.iter().find(|name| !places.clone().any(|place| is(place, name))) {
        Some(name) => Err(Error::invalid(format!("missing data for column {name:?}: {label} has no such column"))
            .with_code("22P04")
            .with_hint("list the columns that the file has")),
        None => Ok(()),
    }
}
