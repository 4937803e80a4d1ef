//! Things of the catalog as the SQL that would make them, and the comments on them.

use std::cell::OnceCell;
use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, BooleanArray, new_null_array};
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator};

use super::{bools_of_oids, named_or_number, relation_of, texts_of_oids};
use crate::functions::function::{Call, refuse};
use crate::functions::strings::quoted_name;
use crate::inline;
use crate::parse::parse_call;
use crate::system::pg_catalog::directory::{self, Of};
use crate::system::pg_catalog::programs::{self, Program};
use crate::system::pg_catalog::{self, World, builtin, oids, texts, types as catalog_types};

/// NULL for everything.
pub(super) fn nothing(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(new_null_array(call.gives, call.rows))
}

/// Whether an argument is true in a row.
fn is_true(call: &Call<'_>, argument: usize, row: usize) -> bool {
    let flags = call.arrays.get(argument).and_then(|array| array.as_any().downcast_ref::<BooleanArray>());
    flags.is_some_and(|flags| flags.is_valid(row) && flags.value(row))
}

/// NULL as a modifier means another than -1 does: so rows are not skipped for it.
pub(super) fn format_type(call: &Call<'_>) -> Result<ArrayRef> {
    let directory = World::of(call.config)?.directory();
    let (numbers, modifiers) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
    let mut texts = arrow::array::StringBuilder::new();
    for row in 0..call.rows {
        if numbers.is_null(row) {
            texts.append_null();
            continue;
        }
        let modifier = modifiers.is_valid(row).then(|| modifiers.value(row));
        texts.append_value(catalog_types::title(directory, numbers.value(row), modifier));
    }
    crate::functions::types::fit(std::sync::Arc::new(texts.finish()), call.gives)
}

/// Expressions are kept as SQL. Those of operators stand in brackets, unless a short form is asked for.
pub(super) fn expression(call: &Call<'_>) -> Result<ArrayRef> {
    call.texts(|row| {
        let text = call.text(0).value(row);
        let bare = is_true(call, 2, row) || !is_of_operators(text);
        Ok(Some(if bare { text.to_owned() } else { format!("({text})") }))
    })
}

fn is_of_operators(text: &str) -> bool {
    let Ok(expr) = parse_call(text) else { return false };
    matches!(
        expr,
        Expr::BinaryOp { .. }
            | Expr::UnaryOp { op: UnaryOperator::Not, .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::Between { .. }
            | Expr::InList { .. }
            | Expr::Like { .. }
    )
}

pub(super) fn index(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let numbers = call.primitive::<Int64Type>(0);
    call.texts(|row| {
        let column = if call.arrays.len() > 1 { call.primitive::<Int64Type>(1).value(row) } else { 0 };
        let Ok(column) = usize::try_from(column) else { return Ok(None) };
        Ok(texts::index_with(world, numbers.value(row), column))
    })
}

pub(super) fn constraint(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let numbers = call.primitive::<Int64Type>(0);
    call.texts(|row| Ok(texts::constraint_with(world, numbers.value(row), is_true(call, 1, row))))
}

pub(super) fn view(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    call.texts(|row| Ok(relation_of(call, world, row)?.and_then(|relation| texts::view(world, relation))))
}

/// A text for each function of the first argument.
fn of_programs(call: &Call<'_>, text: impl Fn(&Program) -> Option<String>) -> Result<ArrayRef> {
    let programs = programs::all(World::of(call.config)?);
    let by_oid: HashMap<i64, &Program> = programs.iter().map(|program| (program.oid, program)).collect();
    texts_of_oids(call, |_, oid| Ok(by_oid.get(&oid).and_then(|program| text(program))))
}

pub(super) fn function(call: &Call<'_>) -> Result<ArrayRef> {
    let directory = World::of(call.config)?.directory();
    of_programs(call, |program| {
        let definition = program.definition.as_deref()?;
        let Some(body) = inline::shown_body(definition) else { return Some(definition.to_owned()) };
        let schema = quoted_name(directory.schema(program.schema).unwrap_or_default());
        let (name, arguments, gives) = (quoted_name(&program.name), program.arguments(true), program.gives());
        let strict = if program.is_strict() { " STRICT\n" } else { "" };
        Some(format!(
            "CREATE OR REPLACE FUNCTION {schema}.{name}({arguments})\n RETURNS {gives}\n LANGUAGE sql\n{strict}{body}\n"
        ))
    })
}

pub(super) fn arguments(call: &Call<'_>) -> Result<ArrayRef> {
    of_programs(call, |program| Some(program.arguments(true)))
}

pub(super) fn own_arguments(call: &Call<'_>) -> Result<ArrayRef> {
    of_programs(call, |program| Some(program.arguments(false)))
}

pub(super) fn result(call: &Call<'_>) -> Result<ArrayRef> {
    of_programs(call, |program| Some(program.gives().to_owned()))
}

/// `public.t_id_seq`
pub(super) fn sequence(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let directory = world.directory();
    call.texts(|row| {
        let Some(relation) = relation_of(call, world, row)? else { return Ok(None) };
        let Some(table) = world.table(relation) else { return Ok(None) };
        let wanted = call.text(1).value(row);
        if !table.top_columns().any(|column| column.name == wanted) {
            let name = quoted_name(&relation.name);
            return Err(refuse("42703", format!("column \"{wanted}\" of relation {name} does not exist")));
        }
        let found = directory::identities(table).find(|(.., column)| column.name == wanted);
        let sequence =
            found.and_then(|(place, ..)| directory.relation(oids::of(table.known_id(), oids::SEQUENCE + place as i64)));
        Ok(sequence.map(|sequence| sequence.qualified(directory)))
    })
}

pub(super) fn comment(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let numbers = call.primitive::<Int64Type>(0);
    let words = OnceCell::new();
    let is_named = call.arrays.len() > 1;
    call.texts(|row| {
        let oid = numbers.value(row);
        // Object ids are those of one table of the catalog; without its name they are those of what somebody has made.
        let class = if is_named { call.text(1).value(row) } else { "" };
        if matches!(class, "" | "pg_class")
            && let Some(relation) = world.directory().relation(oid)
        {
            return Ok(texts::comment(world, relation, 0).map(str::to_owned));
        }
        if matches!(class, "" | "pg_namespace") {
            let schemas = world.snapshot().schemas.values();
            return Ok(schemas
                .filter(|schema| oids::of(schema.id, 0) == oid)
                .find_map(|schema| schema.comment.clone()));
        }
        if class == "pg_constraint" {
            return Ok(texts::comment_of_constraint(world, oid));
        }
        let Some(class) = pg_catalog::oid_of(class) else { return Ok(None) };
        if let Some(words) = builtin::description(class, oid) {
            return Ok(Some(words.to_owned()));
        }
        let of_functions = || words.get_or_init(|| programs::words(world));
        Ok(if class == pg_catalog::PG_PROC { of_functions().get(&oid).cloned() } else { None })
    })
}

pub(super) fn column_comment(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let (numbers, columns) = (call.primitive::<Int64Type>(0), call.primitive::<Int64Type>(1));
    call.texts(|row| {
        // 0 would be the table itself.
        let column = columns.value(row);
        let relation = world.directory().relation(numbers.value(row)).filter(|_| column > 0);
        Ok(relation.and_then(|relation| texts::comment(world, relation, column)).map(str::to_owned))
    })
}

pub(super) fn visible(call: &Call<'_>) -> Result<ArrayRef> {
    bools_of_oids(call, |world, oid| {
        let directory = world.directory();
        directory.relation(oid).map(|relation| directory.is_visible(relation))
    })
}

pub(super) fn visible_type(call: &Call<'_>) -> Result<ArrayRef> {
    bools_of_oids(call, |world, oid| {
        let directory = world.directory();
        let fixed = catalog_types::find(oid).map(|_| true);
        fixed.or_else(|| directory.row_type(oid).map(|(relation, _)| directory.is_visible(relation)))
    })
}

pub(super) fn visible_function(call: &Call<'_>) -> Result<ArrayRef> {
    let programs = programs::all(World::of(call.config)?);
    let schemas: HashMap<i64, i64> = programs.iter().map(|program| (program.oid, program.schema)).collect();
    bools_of_oids(call, |world, oid| schemas.get(&oid).map(|schema| world.directory().path().contains(schema)))
}

pub(super) fn publishable(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    call.bools(|row| {
        let relation = relation_of(call, world, row)?;
        Ok(relation.map(|relation| matches!(relation.of, Of::Table(_)) && relation.kind == "r"))
    })
}

pub(super) fn number(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    call.values::<Int64Type>(|row| {
        let oid = named_or_number(call, world, row)?;
        Ok(world.directory().relation(oid).map(|relation| relation.oid))
    })
}
