//! Functions that give a set of rows, as the unfolding of arrays.

use datafusion::sql::sqlparser::ast::{Expr, Function, Ident, TableAlias, TableAliasColumnDef, TableFactor};

use super::{arguments, call, plain_arguments};

/// Functions that give a set of rows, and those that give the same as an array.
pub(super) const SETS: &[(&str, &str)] = &[
    ("json_array_elements", "polder_json_elements"),
    ("jsonb_array_elements", "polder_json_elements"),
    ("json_array_elements_text", "polder_json_elements_text"),
    ("jsonb_array_elements_text", "polder_json_elements_text"),
    ("json_object_keys", "polder_json_object_keys"),
    ("jsonb_object_keys", "polder_json_object_keys"),
    ("regexp_split_to_table", "regexp_split_to_array"),
    ("regexp_matches", "polder_regexp_matches"),
    ("string_to_table", "string_to_array"),
    ("generate_subscripts", "polder_subscripts"),
];

/// A function that gives a set, as the array that it unfolds.
pub(super) fn set(function: &Function) -> Option<Expr> {
    let name = function.name.to_string().to_lowercase();
    let (_, list) = SETS.iter().find(|(set, _)| *set == name)?;
    Some(call(list, arguments(function)?))
}

/// Functions that give rows of a key and a value, and the arrays that they unfold.
pub(super) const PAIRS: &[(&str, &str)] = &[
    ("json_each", "polder_json_values"),
    ("jsonb_each", "polder_json_values"),
    ("json_each_text", "polder_json_values_text"),
    ("jsonb_each_text", "polder_json_values_text"),
];

/// A function in FROM that gives a set, as the unfolding of arrays.
pub(crate) fn rewrite_table(factor: &mut TableFactor) {
    let (name, args, alias, ordinality) = match factor {
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            (name.to_string().to_lowercase(), &args.args, alias, *with_ordinality)
        }
        TableFactor::Function { name, args, alias, .. } => (name.to_string().to_lowercase(), &*args, alias, false),
        _ => return,
    };
    let Some(arguments) = plain_arguments(args) else { return };
    let (arrays, columns): (Vec<Expr>, Vec<&str>) = if let Some((set, list)) = SETS.iter().find(|(set, _)| *set == name)
    {
        // A function of one column names it as itself, or `value` where it is of JSON.
        let column = if set.contains("elements") { "value" } else { set };
        (vec![call(list, arguments)], vec![column])
    } else if let Some((_, values)) = PAIRS.iter().find(|(set, _)| *set == name) {
        (vec![call("polder_json_object_keys", arguments.clone()), call(values, arguments)], vec!["key", "value"])
    } else if name == "pg_options_to_table" {
        let arrays = vec![call("polder_option_names", arguments.clone()), call("polder_option_values", arguments)];
        (arrays, vec!["option_name", "option_value"])
    } else {
        return;
    };
    let mut alias = alias.take().unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::new(name.clone()),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        let named = |name: Ident| TableAliasColumnDef { name, data_type: None };
        alias.columns = if columns.len() == 1 && columns[0] != "value" && alias.name.value != name {
            vec![named(alias.name.clone())]
        } else {
            columns.iter().map(|column| named(Ident::new(*column))).collect()
        };
    }
    *factor = TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: arrays,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: ordinality,
    };
}
