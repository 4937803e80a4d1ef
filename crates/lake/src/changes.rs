//! What each snapshot changed, in the words of `ducklake_snapshot_changes`, and which changes exclude each other.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::model::Snapshot;

/// One change of one snapshot. Written and read in DuckLake's own words, so DuckDB's commits count too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    CreatedSchema(String),
    DroppedSchema(i64),
    CreatedTable(String, String),
    DroppedTable(i64),
    AlteredTable(i64),
    CreatedView(String, String),
    DroppedView(i64),
    AlteredView(i64),
    /// Names in its query follow what was renamed. To DuckDB it is altered.
    RewordedView(i64),
    /// The same for a materialized view.
    RewordedTable(i64),
    /// The schema, the name, and whether its rows are a table.
    CreatedMacro(String, String, bool),
    DroppedMacro(i64, bool),
    InsertedInto(i64),
    DeletedFrom(i64),
    InlinedInsert(i64),
    InlinedDelete(i64),
    InlineFlush(i64),
    Compacted(i64),
    /// Goes with [`Change::Compacted`]: DuckDB's small deletes, which name rows by their places in files, stand beside a
    /// compaction but not beside this.
    Moved(i64),
    /// A change that this version does not know. It conflicts with nothing here, since nothing here makes it.
    Other(String),
}

/// A snapshot as listed in a history.
#[derive(Debug, Clone)]
pub struct SnapshotInfo {
    pub id: i64,
    pub committed_at: DateTime<Utc>,
    pub author: Option<String>,
    pub message: Option<String>,
    pub changes: Vec<Change>,
}

impl SnapshotInfo {
    /// Its changes, but for words that stand beside others only so that DuckDB sees a conflict: nothing was inlined there.
    pub fn told(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| match change {
            Change::Moved(id) => !self.changes.contains(&Change::Compacted(*id)),
            Change::InlinedDelete(id) => !self.changes.contains(&Change::DeletedFrom(*id)),
            _ => true,
        })
    }
}

impl Change {
    /// The table that it is about, if any.
    #[must_use]
    pub fn table(&self) -> Option<i64> {
        match self {
            Self::DroppedTable(id)
            | Self::AlteredTable(id)
            | Self::InsertedInto(id)
            | Self::DeletedFrom(id)
            | Self::InlinedInsert(id)
            | Self::InlinedDelete(id)
            | Self::InlineFlush(id)
            | Self::Compacted(id)
            | Self::Moved(id) => Some(*id),
            _ => None,
        }
    }

    /// Moves rows between files and changes none.
    #[must_use]
    pub fn is_housekeeping(&self) -> bool {
        matches!(self, Self::Compacted(_) | Self::InlineFlush(_) | Self::Moved(_))
    }

    /// What a transaction has done, for people: `altered table public.sale`. The names are those of a version.
    pub(crate) fn in_words(&self, names: &Snapshot) -> String {
        let table = |id: &i64| match names.tables.get(id) {
            Some(table) => format!("table {}", names.name_of(table)),
            None => "a table that is gone by now".to_owned(),
        };
        let view = |id: &i64| match names.views.get(id) {
            Some(view) => format!("view {:?}", view.name),
            None => "a view that is gone by now".to_owned(),
        };
        match self {
            Self::CreatedSchema(name) => format!("created schema {name:?}"),
            Self::DroppedSchema(id) => match names.schemas.get(id) {
                Some(schema) => format!("dropped schema {:?}", schema.name),
                None => "dropped a schema".to_owned(),
            },
            Self::CreatedTable(schema, name) => format!("created table {schema}.{name}"),
            Self::DroppedTable(id) => format!("dropped {}", table(id)),
            Self::AlteredTable(id) | Self::RewordedTable(id) => format!("altered {}", table(id)),
            Self::CreatedView(schema, name) => format!("created view {schema}.{name}"),
            Self::DroppedView(id) => format!("dropped {}", view(id)),
            Self::AlteredView(id) | Self::RewordedView(id) => format!("altered {}", view(id)),
            Self::CreatedMacro(schema, name, _) => format!("created function {schema}.{name}"),
            Self::DroppedMacro(..) => "dropped a function".to_owned(),
            Self::InsertedInto(id) | Self::InlinedInsert(id) => format!("added rows to {}", table(id)),
            Self::DeletedFrom(id) | Self::InlinedDelete(id) => format!("changed or deleted rows of {}", table(id)),
            Self::InlineFlush(id) | Self::Compacted(id) | Self::Moved(id) => format!("moved rows of {}", table(id)),
            Self::Other(text) => format!("made a change that is not known here, {text:?}"),
        }
    }
}

fn macro_kind(table: bool) -> &'static str {
    if table { "table" } else { "scalar" }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreatedSchema(name) => write!(f, "created_schema:{}", quoted(name)),
            Self::DroppedSchema(id) => write!(f, "dropped_schema:{id}"),
            Self::CreatedTable(schema, name) => write!(f, "created_table:{}.{}", quoted(schema), quoted(name)),
            Self::DroppedTable(id) => write!(f, "dropped_table:{id}"),
            Self::AlteredTable(id) | Self::RewordedTable(id) => write!(f, "altered_table:{id}"),
            Self::CreatedView(schema, name) => write!(f, "created_view:{}.{}", quoted(schema), quoted(name)),
            Self::DroppedView(id) => write!(f, "dropped_view:{id}"),
            Self::AlteredView(id) | Self::RewordedView(id) => write!(f, "altered_view:{id}"),
            Self::CreatedMacro(schema, name, table) => {
                write!(f, "created_{}_macro:{}.{}", macro_kind(*table), quoted(schema), quoted(name))
            }
            Self::DroppedMacro(id, table) => write!(f, "dropped_{}_macro:{id}", macro_kind(*table)),
            Self::InsertedInto(id) => write!(f, "inserted_into_table:{id}"),
            Self::DeletedFrom(id) => write!(f, "deleted_from_table:{id}"),
            Self::InlinedInsert(id) => write!(f, "inlined_insert:{id}"),
            Self::InlinedDelete(id) => write!(f, "inlined_delete:{id}"),
            Self::InlineFlush(id) => write!(f, "inline_flush:{id}"),
            Self::Compacted(id) => write!(f, "rewrite_delete:{id}"),
            // DuckDB reads this word too, and writes the other one.
            Self::Moved(id) => write!(f, "flushed_inlined:{id}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// Reads a `changes_made` text. Names may hold commas, colons and doubled quotes.
#[must_use]
pub(crate) fn parse(text: &str) -> Vec<Change> {
    split_outside_quotes(text, ',').into_iter().map(|part| parse_one(part.trim())).collect()
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (index, character) in text.char_indices() {
        if character == '"' {
            quoted = !quoted;
        } else if character == separator && !quoted {
            parts.push(&text[start..index]);
            start = index + separator.len_utf8();
        }
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}

fn unquoted(text: &str) -> String {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .map_or_else(|| text.to_owned(), |inner| inner.replace("\"\"", "\""))
}

fn parse_one(text: &str) -> Change {
    let other = || Change::Other(text.to_owned());
    let Some((kind, subject)) = text.split_once(':') else { return other() };
    let pair = |make: fn(String, String) -> Change| match split_outside_quotes(subject, '.')[..] {
        [schema, name] => make(unquoted(schema), unquoted(name)),
        _ => other(),
    };
    let id = |make: fn(i64) -> Change| subject.parse().map_or_else(|_| other(), make);
    match kind {
        "created_schema" => Change::CreatedSchema(unquoted(subject)),
        "created_table" => pair(Change::CreatedTable),
        "created_view" => pair(Change::CreatedView),
        "created_scalar_macro" => pair(|schema, name| Change::CreatedMacro(schema, name, false)),
        "created_table_macro" => pair(|schema, name| Change::CreatedMacro(schema, name, true)),
        "dropped_scalar_macro" => id(|id| Change::DroppedMacro(id, false)),
        "dropped_table_macro" => id(|id| Change::DroppedMacro(id, true)),
        "dropped_schema" => id(Change::DroppedSchema),
        "dropped_table" => id(Change::DroppedTable),
        "dropped_view" => id(Change::DroppedView),
        "altered_table" => id(Change::AlteredTable),
        "altered_view" => id(Change::AlteredView),
        "inserted_into_table" => id(Change::InsertedInto),
        "deleted_from_table" => id(Change::DeletedFrom),
        "inlined_insert" => id(Change::InlinedInsert),
        "inlined_delete" => id(Change::InlinedDelete),
        "inline_flush" => id(Change::InlineFlush),
        "flushed_inlined" => id(Change::Moved),
        "compacted_table" | "merge_adjacent" | "rewrite_delete" => id(Change::Compacted),
        _ => other(),
    }
}

/// Whether a change of ours cannot stand beside one that somebody else committed meanwhile.
///
/// Row changes within one table are compared file by file when they are applied, not here: two deletes from
/// different files of one table are no conflict.
#[must_use]
pub(crate) fn excludes(ours: &Change, theirs: &Change) -> bool {
    use Change as C;
    match (ours, theirs) {
        // Creations of one name: also checked by name when applied; here for schemas dropped and made again.
        (C::CreatedSchema(a), C::CreatedSchema(b)) => a == b,
        (C::CreatedTable(s1, n1) | C::CreatedView(s1, n1), C::CreatedTable(s2, n2) | C::CreatedView(s2, n2)) => {
            s1 == s2 && n1 == n2
        }
        (C::CreatedMacro(s1, n1, _), C::CreatedMacro(s2, n2, _)) => s1 == s2 && n1 == n2,
        (C::DroppedMacro(a, _), C::DroppedMacro(b, _)) => a == b,
        (C::DroppedSchema(a), C::DroppedSchema(b)) => a == b,
        (C::DroppedView(a) | C::AlteredView(a), C::DroppedView(b) | C::AlteredView(b)) => a == b,
        // A new name in a query stands beside the drop of its view, and beside another new name in it; not beside rules that
        // are put whole in the place of the old ones.
        (C::AlteredTable(a), C::RewordedTable(b)) | (C::RewordedTable(a), C::AlteredTable(b)) => a == b,
        _ => match (ours.table(), theirs.table()) {
            (Some(a), Some(b)) if a == b => {
                let structural = |change: &Change| matches!(change, C::DroppedTable(_) | C::AlteredTable(_));
                // A new shape excludes every change of rows, and the other way round. Moving rows between files
                // changes none, so dropping or altering the table beside it is fine; the files are checked one by one.
                (structural(ours) && !theirs.is_housekeeping()) || (structural(theirs) && !ours.is_housekeeping())
            }
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests;
