//! Names of tables and columns from names that people gave.

use std::collections::HashSet;

use polder_capability::loaded_table;
use polder_types::limits::NAME_BYTES_MAX;
use polder_types::{Error, Result};

/// Room for a `__rejects` or a `_12` behind a name.
const SUFFIX_BYTES: usize = 16;

/// Endings that say how a file is packed or written, not what is in it.
const ENDINGS: [&str; 24] = [
    "gz", "gzip", "zst", "zstd", "bz2", "zip", "csv", "tsv", "psv", "tab", "txt", "dat", "data", "json", "jsonl",
    "ndjson", "parquet", "avro", "xlsx", "xlsm", "xlsb", "xls", "ods", "log",
];

/// A table in a schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TableRef {
    pub schema: String,
    pub name: String,
}

impl std::fmt::Display for TableRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl TableRef {
    pub(crate) fn public(name: impl Into<String>) -> Self {
        Self { schema: "public".into(), name: name.into() }
    }

    /// Where the rows go that could not be read.
    pub(crate) fn rejects(&self) -> Self {
        Self { schema: self.schema.clone(), name: format!("{}__rejects", self.name) }
    }

    /// Reads `table` or `schema.table` as whoever asks for rights does.
    ///
    /// # Errors
    /// `InvalidInput` for what is no name, or one that is too long.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (schema, name) = loaded_table(text)?;
        if schema.len().max(name.len()) > NAME_BYTES_MAX - SUFFIX_BYTES {
            return Err(Error::invalid(format!("{text:?} is not a table name: it is too long"))
                .with_hint("use name or schema.name"));
        }
        Ok(Self { schema, name })
    }
}

/// Lower case, letters (of any script), digits and `_`; never empty, never beginning with a digit.
pub(crate) fn safe(name: &str) -> Option<String> {
    let mut safe = String::with_capacity(name.len());
    for letter in name.trim().chars().flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() || is_mark(letter) {
            safe.push(letter);
        } else if !safe.ends_with('_') {
            safe.push('_');
        }
    }
    let safe = safe.trim_matches('_');
    if safe.is_empty() {
        return None;
    }
    let first_is_digit = safe.starts_with(|letter: char| letter.is_numeric());
    let safe = if first_is_digit { format!("_{safe}") } else { safe.to_owned() };
    Some(cut(&safe, NAME_BYTES_MAX - SUFFIX_BYTES).to_owned())
}

/// Whether two names mean the same column.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one == other || safe(one).is_some_and(|one| safe(other) == Some(one))
}

/// Combining marks belong to the letter before them.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{dff}')
}

/// The longest beginning of at most `bytes` bytes that ends between two letters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Names made different from each other by `_2`, `_3`, ….
#[derive(Debug, Default)]
pub(crate) struct Unique(HashSet<String>);

impl Unique {
    pub(crate) fn add(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        let mut number = 2;
        while !self.0.insert(candidate.clone()) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        candidate
    }
}

/// Column names for the names in a file, in the same order.
pub(crate) fn columns<S: AsRef<str>>(sources: &[S]) -> Vec<String> {
    let mut unique = Unique::default();
    sources
        .iter()
        .enumerate()
        .map(|(place, source)| unique.add(safe(source.as_ref()).unwrap_or_else(|| format!("column_{}", place + 1))))
        .collect()
}

/// `1 cell`, `2 cells`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// What a file's name says about its content: `data/flights.csv.zip` is `flights`.
pub(crate) fn stem(file: &str) -> &str {
    let mut stem = file.rsplit(['/', '\\']).next().unwrap_or(file);
    while let Some((front, ending)) = stem.rsplit_once('.') {
        if front.is_empty() || !ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) {
            break;
        }
        stem = front;
    }
    stem
}

/// A table name for a file's (or sheet's) name.
pub(crate) fn table(name: &str) -> String {
    safe(name).unwrap_or_else(|| "table_1".into())
}

/// A name for several files that go into one table: what their names begin with, or `fallback`.
pub(crate) fn common(stems: &[&str], fallback: &str) -> String {
    let Some((first, rest)) = stems.split_first() else { return table(fallback) };
    let mut end = first.len();
    for other in rest {
        let same = first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        end = end.min(same);
    }
    let mut prefix = cut(first, end);
    // `customers` and `customs` have no word in common.
    let splits_word = |stem: &&str| stem[prefix.len()..].starts_with(char::is_alphabetic);
    if prefix.ends_with(char::is_alphabetic) && stems.iter().any(splits_word) {
        prefix = prefix.trim_end_matches(char::is_alphabetic);
    }
    let prefix = prefix.trim_end_matches(|letter: char| !letter.is_alphabetic());
    if prefix.chars().count() >= 3 { table(prefix) } else { table(fallback) }
}

#[cfg(test)]
mod tests;
