//! Functions made by CREATE FUNCTION, as DuckLake's macros: DuckDB can call those that it understands.
//!
//! A name is one macro, and each number of arguments is one implementation of it. The definitions as they were written,
//! with all types, are a tag of the macro; a macro of DuckDB's has none.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use polder_metastore::Row;
use polder_types::{Error, ErrorKind, Result};

/// The tag's name: a JSON list of statements, one an implementation.
pub(crate) const TAG: &str = "polder_functions";

pub(crate) const IMPLEMENTATIONS: &str = "SELECT i.macro_id, i.impl_id, i.dialect, i.\"sql\", i.\"type\" FROM ducklake_macro_impl i JOIN ducklake_macro m ON m.macro_id = i.macro_id WHERE m.begin_snapshot <= $1 AND (m.end_snapshot IS NULL OR m.end_snapshot > $1) ORDER BY i.macro_id, i.impl_id";

pub(crate) const PARAMETERS: &str = "SELECT p.macro_id, p.impl_id, p.parameter_name, p.parameter_type, p.default_value, p.default_value_type FROM ducklake_macro_parameters p JOIN ducklake_macro m ON m.macro_id = p.macro_id WHERE m.begin_snapshot <= $1 AND (m.end_snapshot IS NULL OR m.end_snapshot > $1) ORDER BY p.macro_id, p.impl_id, p.column_id";

/// What one name in a schema can be called for.
#[derive(Debug, Clone)]
pub struct FunctionState {
    pub id: i64,
    pub schema_id: i64,
    pub name: String,
    pub macros: Vec<Macro>,
    /// One statement for each of `macros`; empty for a macro that DuckDB made.
    pub definitions: Vec<String>,
}

/// One implementation.
#[derive(Debug, Clone, PartialEq)]
pub struct Macro {
    pub dialect: String,
    pub sql: String,
    /// Its rows are a table.
    pub table: bool,
    pub parameters: Vec<MacroParameter>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MacroParameter {
    pub name: String,
    /// DuckLake's name of the type; `unknown` for any.
    pub data_type: String,
    /// A literal.
    pub default: Option<String>,
    pub default_type: String,
}

impl FunctionState {
    /// Whether any implementation gives a table.
    pub(crate) fn is_table(&self) -> bool {
        self.macros.iter().any(|known| known.table)
    }
}

pub(crate) fn read(
    macros: &[Row],
    bodies: &[Row],
    parameters: &[Row],
    definitions: &[Row],
) -> Result<Arc<BTreeMap<i64, Arc<FunctionState>>>> {
    let mut parameters_of: HashMap<(i64, i64), Vec<MacroParameter>> = HashMap::new();
    for row in parameters {
        let default_type = row.opt_text(5)?.unwrap_or("unknown").to_owned();
        let default = row.opt_text(4)?.filter(|text| default_type != "unknown" || *text != "NULL");
        parameters_of.entry((row.int(0)?, row.int(1)?)).or_default().push(MacroParameter {
            name: row.text(2)?.to_owned(),
            data_type: row.opt_text(3)?.unwrap_or("unknown").to_owned(),
            default: default.map(str::to_owned),
            default_type,
        });
    }
    let mut bodies_of: HashMap<i64, Vec<Macro>> = HashMap::new();
    for row in bodies {
        let key = (row.int(0)?, row.int(1)?);
        bodies_of.entry(key.0).or_default().push(Macro {
            dialect: row.opt_text(2)?.unwrap_or("duckdb").to_owned(),
            sql: row.opt_text(3)?.unwrap_or_default().to_owned(),
            table: row.opt_text(4)?.is_some_and(|kind| kind == "table"),
            parameters: parameters_of.remove(&key).unwrap_or_default(),
        });
    }
    let mut definitions_of = HashMap::new();
    for row in definitions {
        let texts: Vec<String> = row
            .opt_text(1)?
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| {
                Error::new(ErrorKind::Corrupt, format!("the definition of a function cannot be read: {error}"))
            })?
            .unwrap_or_default();
        definitions_of.insert(row.int(0)?, texts);
    }
    let mut functions = BTreeMap::new();
    for row in macros {
        let id = row.int(1)?;
        let state = FunctionState {
            id,
            schema_id: row.int(0)?,
            name: row.text(2)?.to_owned(),
            macros: bodies_of.remove(&id).unwrap_or_default(),
            definitions: definitions_of.remove(&id).unwrap_or_default(),
        };
        functions.insert(id, Arc::new(state));
    }
    Ok(Arc::new(functions))
}
