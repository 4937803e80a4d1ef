//! `polder.functions`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::Schema;
use datafusion::logical_expr::Documentation;
use polder_lake::Snapshot;
use polder_types::Result;

use super::text;
use crate::engine::Engine;
use crate::inline::{self, Body};

pub(super) fn schema() -> Schema {
    Schema::new(vec![text("name", false), text("kind", false), text("signature", true), text("description", true)])
}

/// The functions of tables are few, and DataFusion keeps no words about them.
const TABLE_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("pg_get_keywords", "pg_get_keywords()", "The words of SQL, and whether they are reserved."),
    (
        "profile",
        "profile('schema.table')",
        "For each column: missing and distinct values, extremes, mean, histogram, most frequent values.",
    ),
    ("history", "history('schema.table')", "The versions of a table: when, by whom, and what changed."),
    (
        "table_changes",
        "table_changes('schema.table', from [, to])",
        "The rows that were inserted, deleted and updated from one version to another, both included.",
    ),
];

pub(super) fn rows(engine: &Engine, snapshot: &Snapshot) -> Result<Vec<ArrayRef>> {
    let state = &engine.template;
    let mut all: Vec<(String, &str, Option<String>, Option<String>)> = Vec::new();
    let words = |documentation: Option<&Documentation>| {
        let signature = documentation.map(|words| words.syntax_example.clone());
        let description = documentation.map(|words| words.description.trim().replace('\n', " "));
        (signature, description)
    };
    for (name, function) in state.scalar_functions() {
        let (signature, description) = words(function.documentation());
        all.push((name.clone(), "scalar", signature, description));
    }
    for (name, function) in state.aggregate_functions() {
        let (signature, description) = words(function.documentation());
        all.push((name.clone(), "aggregate", signature, description));
    }
    for (name, function) in state.window_functions() {
        let (signature, description) = words(function.documentation());
        all.push((name.clone(), "window", signature, description));
    }
    for name in state.table_functions().keys() {
        let known = TABLE_FUNCTIONS.iter().find(|(known, ..)| known == name);
        let signature = known.map(|(_, signature, _)| (*signature).to_owned());
        let description = known.map(|(.., description)| (*description).to_owned());
        all.push((name.clone(), "table", signature, description));
    }
    // Those of the system are called by statements, not by people.
    all.retain(|(name, ..)| !name.starts_with("polder_"));
    for function in snapshot.functions.values() {
        let schema = snapshot.schemas.get(&function.schema_id).map_or("", |schema| schema.name.as_str());
        // A macro of DuckDB's may be one that nobody but DuckDB can call.
        for definition in inline::definitions(function).unwrap_or_default() {
            let kind = if matches!(definition.body, Body::Rows(..)) { "table" } else { "scalar" };
            all.push((function.name.clone(), kind, Some(definition.signature()), Some(format!("in schema {schema}"))));
        }
    }
    all.sort();
    let mut builders: [StringBuilder; 4] = std::array::from_fn(|_| StringBuilder::new());
    for (name, kind, signature, description) in &all {
        let values = [Some(name.as_str()), Some(*kind), signature.as_deref(), description.as_deref()];
        for (builder, value) in builders.iter_mut().zip(values) {
            builder.append_option(value);
        }
    }
    Ok(builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect())
}
