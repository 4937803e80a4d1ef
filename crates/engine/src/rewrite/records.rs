//! `jsonb_to_recordset(x) AS t (a int, b text)` and its like in FROM: a query that takes the fields out, and casts them.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    DataType, FunctionArg, FunctionArgExpr, TableAlias, TableAliasColumnDef, TableFactor,
};
use polder_types::{Error, Result};

use super::{columns_of, quoted};
use crate::parse::parse_factor;
use crate::statement::fold;

/// Rewrites such a call in place, before what stands in it is visited.
///
/// # Errors
/// `InvalidInput` (42601) without the columns' types, `Unsupported` for arrays.
pub(super) fn derive(factor: &mut TableFactor) -> Result<()> {
    let (name, args, alias) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. } => (name, &args.args, alias),
        TableFactor::Function { name, args, alias, with_ordinality: false, .. } => (name, &*args, alias),
        _ => return Ok(()),
    };
    let name = name.to_string().to_lowercase();
    let (json, is_set) = match name.strip_prefix("pg_catalog.").unwrap_or(&name) {
        "json_to_recordset" => ("json", true),
        "jsonb_to_recordset" => ("jsonb", true),
        "json_to_record" => ("json", false),
        "jsonb_to_record" => ("jsonb", false),
        _ => return Ok(()),
    };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = args.as_slice() else { return Ok(()) };
    let untyped = || {
        Error::invalid("a column definition list is required for functions returning \"record\"")
            .with_code("42601")
            .with_hint(format!("{name}(…) AS t (a int, b text)"))
    };
    let Some(TableAlias { name: alias, columns, .. }) = alias.as_ref().filter(|alias| !alias.columns.is_empty()) else {
        return Err(untyped());
    };
    let fields = columns.iter().map(|column| match &column.data_type {
        Some(data_type) => field(column, data_type),
        None => Err(untyped()),
    });
    let fields = fields.collect::<Result<Vec<_>>>()?.join(", ");
    let source = match is_set {
        true => format!("{json}_array_elements(({argument})::{json})"),
        false => format!("(VALUES (({argument})::{json}))"),
    };
    let mut named = BTreeSet::new();
    columns_of(argument, &mut named);
    let lateral = if named.is_empty() { "" } else { "LATERAL " };
    *factor = parse_factor(&format!("{lateral}(SELECT {fields} FROM {source} AS record (value)) AS {alias}"))?;
    Ok(())
}

/// One of the columns. A JSON null is no value, whatever the type.
fn field(column: &TableAliasColumnDef, data_type: &DataType) -> Result<String> {
    let name = fold(&column.name);
    let key = name.replace('\'', "''");
    let text = format!("record.value ->> '{key}'");
    let value = match data_type {
        DataType::JSON | DataType::JSONB => {
            format!("CASE WHEN ({text}) IS NOT NULL THEN (record.value -> '{key}')::{data_type} END")
        }
        DataType::Array(_) => {
            return Err(Error::unsupported(format!("column {name:?}: an array of a record is not supported"))
                .with_hint("take it as jsonb, and its values by jsonb_array_elements"));
        }
        _ => format!("({text})::{data_type}"),
    };
    Ok(format!("{value} AS {}", quoted(&name)))
}
