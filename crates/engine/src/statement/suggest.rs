//! What may have been meant by the name of a table that is not there.

use polder_kernels::similar::closest;
use polder_lake::{Snapshot, TableName};
use polder_types::Error;

/// The error that a table does not exist, with a hint; any other as it is. `schema`: where a name without one is looked for.
pub(super) fn table(error: Error, snapshot: &Snapshot, schema: &str) -> Error {
    if error.code() != "42P01" || error.hint().is_some() {
        return error;
    }
    let name = error.message().strip_prefix("table ").and_then(|rest| rest.strip_suffix(" does not exist"));
    let Some(name) = name.map(str::to_owned) else { return error };
    let name = name.strip_prefix("polder.").filter(|rest| rest.contains('.')).unwrap_or(&name);
    let (schema, table) = name.rsplit_once('.').unwrap_or((schema, name));
    match hint(snapshot, schema, table) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn hint(snapshot: &Snapshot, schema: &str, table: &str) -> Option<String> {
    if matches!(schema, "polder" | "information_schema" | "pg_catalog") {
        return None;
    }
    let schemas = || snapshot.schemas.values().map(|known| known.name.as_str());
    if snapshot.schema(schema).is_none() {
        return Some(match closest(schema, schemas()) {
            Some(close) => format!("there is no schema {schema:?}; did you mean {:?}?", format!("{close}.{table}")),
            None => format!("there is no schema {schema:?}"),
        });
    }
    let names = snapshot.names_in(schema);
    if let Some(close) = closest(table, names.iter().map(String::as_str)) {
        return Some(format!("did you mean {close:?}?"));
    }
    let is_there = |other: &&str| {
        let name = TableName::new(*other, table);
        snapshot.table(&name).is_some() || snapshot.view(&name).is_some()
    };
    if let Some(other) = schemas().filter(|other| *other != schema).find(is_there) {
        return Some(format!("it is in another schema: write {other}.{table}, or SET search_path TO {other}"));
    }
    if snapshot.tables.is_empty() {
        return Some("there is no table yet: `polder load FILE` or CREATE TABLE makes one".to_owned());
    }
    Some("SHOW TABLES lists what is there".to_owned())
}
