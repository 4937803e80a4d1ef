//! What hangs on tables, as the SQL that would make it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::Expr;
use polder_lake::{Check, ColumnState, Reference, ReferenceAction, Snapshot, TableState};
use polder_sql_tree::visit_expressions;

use super::World;
use super::directory::{self, IndexOf, Of, Relation};
use super::oids;
use super::types;
use crate::functions::strings::{quoted_literal, quoted_name};
use crate::parse::parse_call;
use crate::statement::fold;

/// Types whose values stand in SQL as they are; all others are written as texts.
const BARE: &[i64] = &[16, 20, 21, 23, 700, 701, 1_700];

/// The default of a column, or the expression that it is computed by; none if it has neither.
pub(crate) fn default_of(table: &TableState, column: &ColumnState) -> Option<String> {
    let rules = &table.rules;
    if let Some(expression) = rules.generated_of(column.id).or_else(|| rules.default_of(column.id)) {
        return Some(expression.to_owned());
    }
    let constant = column.default_value.as_deref().filter(|text| *text != "NULL")?;
    let schema = table.schema();
    let field = schema.field_with_name(&column.name).ok()?;
    let (oid, _) = types::of_field(field);
    let title = types::find(oid).map_or("text", |(base, _)| base.title);
    let array = if types::find(oid).is_some_and(|(_, array)| array) { "[]" } else { "" };
    if BARE.contains(&oid) {
        return Some(constant.to_owned());
    }
    Some(format!("{}::{title}{array}", quoted_literal(constant).trim_start()))
}

/// Names of columns by their ids, as a list in SQL.
pub(super) fn names(table: &TableState, columns: &[i64]) -> String {
    let name = |id: &i64| table.top_columns().find(|column| column.id == *id).map(|column| quoted_name(&column.name));
    columns.iter().filter_map(name).collect::<Vec<_>>().join(", ")
}

/// `CREATE UNIQUE INDEX t_pkey ON public.t USING btree (id)`
pub(super) fn index(world: &World, table: &TableState, index: &IndexOf<'_>) -> String {
    let directory = world.directory();
    let on = directory.relation(oids::of(table.known_id(), 0)).map(|relation| relation.qualified(directory));
    let unique = if index.unique { "UNIQUE " } else { "" };
    let (name, columns) = (quoted_name(index.name), names(table, index.columns));
    format!("CREATE {unique}INDEX {name} ON {} USING btree ({columns})", on.unwrap_or_default())
}

/// The definition of the index with an object id; with a column's number, that column alone.
pub(crate) fn index_with(world: &World, oid: i64, column: usize) -> Option<String> {
    let relation = world.directory().relation(oid)?;
    let Of::Index(_, place) = relation.of else { return None };
    let table = world.table(relation)?;
    let found = directory::indexes(table).find(|index| index.place == place)?;
    match column.checked_sub(1) {
        None => Some(index(world, table, &found)),
        Some(at) => Some(names(table, found.columns.get(at..=at)?)),
    }
}

/// A constraint of a table.
#[derive(Debug, Clone)]
pub(super) enum Constraint<'a> {
    Key(IndexOf<'a>),
    Check(&'a Check),
    Foreign(Reference),
}

impl Constraint<'_> {
    pub(super) fn comment(&self) -> Option<&str> {
        match self {
            Self::Key(key) => key.comment_of_constraint,
            Self::Check(check) => check.comment.as_deref(),
            Self::Foreign(reference) => reference.key.comment.as_deref(),
        }
    }

    /// `short`: without the brackets that PostgreSQL puts around each condition.
    pub(super) fn definition(&self, world: &World, table: &TableState, short: bool) -> String {
        match self {
            Self::Key(key) => {
                let kind = if key.primary { "PRIMARY KEY" } else { "UNIQUE" };
                format!("{kind} ({})", names(table, key.columns))
            }
            Self::Check(check) if short => format!("CHECK ({})", check.sql),
            Self::Check(check) => format!("CHECK (({}))", check.sql),
            Self::Foreign(reference) => {
                let directory = world.directory();
                let parent = directory.relation(oids::of(reference.parent.known_id(), 0));
                foreign(&parent.map(|relation| relation.shown(directory)).unwrap_or_default(), reference)
            }
        }
    }
}

/// The numbers of the columns that a check is about, in the order in which it names them.
pub(super) fn checked(table: &TableState, check: &Check) -> Vec<i64> {
    named_in(table, std::iter::once(&check.sql))
}

/// The numbers of a table's columns that conditions name.
pub(super) fn named_in<'a>(table: &TableState, conditions: impl Iterator<Item = &'a String>) -> Vec<i64> {
    let mut numbers = Vec::new();
    for condition in conditions.filter_map(|sql| parse_call(sql).ok()) {
        add_named(table, &condition, &mut numbers);
    }
    numbers
}

fn add_named(table: &TableState, condition: &Expr, numbers: &mut Vec<i64>) {
    let _ = visit_expressions(condition, |expr| {
        let name = match expr {
            Expr::Identifier(name) => Some(fold(name)),
            Expr::CompoundIdentifier(names) => names.last().map(fold),
            _ => None,
        };
        let column = name.and_then(|name| table.top_columns().find(|column| column.name == name));
        if let Some(number) = column.map(directory::number).filter(|number| !numbers.contains(number)) {
            numbers.push(number);
        }
        ControlFlow::<()>::Continue(())
    });
}

/// `FOREIGN KEY (a) REFERENCES t(id) ON DELETE CASCADE`, where `parent` is what the other table is called.
pub(crate) fn foreign(parent: &str, reference: &Reference) -> String {
    let own = names(&reference.child, &reference.key.columns);
    let theirs = names(&reference.parent, &reference.key.referenced);
    let full = if reference.key.full { " MATCH FULL" } else { "" };
    let on = |verb: &str, action: ReferenceAction| match words(action) {
        "NO ACTION" => String::new(),
        words => format!(" ON {verb} {words}"),
    };
    let (update, delete) = (on("UPDATE", reference.key.on_update), on("DELETE", reference.key.on_delete));
    format!("FOREIGN KEY ({own}) REFERENCES {parent}({theirs}){full}{update}{delete}")
}

/// What becomes of rows, as SQL says it.
pub(crate) fn words(action: ReferenceAction) -> &'static str {
    match action {
        ReferenceAction::NoAction => "NO ACTION",
        ReferenceAction::Restrict => "RESTRICT",
        ReferenceAction::Cascade => "CASCADE",
        ReferenceAction::SetNull => "SET NULL",
        ReferenceAction::SetDefault => "SET DEFAULT",
    }
}

/// The constraints of a table, each with its object id and its name.
pub(super) fn constraints<'a>(
    snapshot: &Snapshot,
    table: &'a TableState,
) -> impl Iterator<Item = (i64, String, Constraint<'a>)> + use<'a> {
    let keys = directory::indexes(table).filter(|index| index.of_constraint);
    let keys =
        keys.map(move |key| (oids::of_index(table.known_id(), key.place), key.name.to_owned(), Constraint::Key(key)));
    let checks = table.rules.checks.iter().take(oids::CHECKS_MAX).enumerate();
    let checks = checks.map(move |(place, check)| {
        (oids::of(table.known_id(), oids::CHECK + place as i64), check.name.clone(), Constraint::Check(check))
    });
    let foreign = snapshot.references_from(table).into_iter().take(oids::FOREIGN_MAX).enumerate();
    let foreign = foreign.map(move |(place, reference)| {
        let oid = oids::of(table.known_id(), oids::FOREIGN + place as i64);
        (oid, reference.key.name.clone(), Constraint::Foreign(reference))
    });
    keys.chain(checks).chain(foreign)
}

/// The comment on the constraint with an object id.
pub(crate) fn comment_of_constraint(world: &World, oid: i64) -> Option<String> {
    world.snapshot().tables.values().find_map(|table| {
        let (_, _, found) = constraints(world.snapshot(), table).find(|(known, ..)| *known == oid)?;
        found.comment().map(str::to_owned)
    })
}

/// The definition of the constraint with an object id.
pub(crate) fn constraint_with(world: &World, oid: i64, short: bool) -> Option<String> {
    world.snapshot().tables.values().find_map(|table| {
        let (_, _, found) = constraints(world.snapshot(), table).find(|(known, ..)| *known == oid)?;
        Some(found.definition(world, table, short))
    })
}

/// The object id of the index that a foreign key is checked by.
pub(super) fn referenced_index(reference: &Reference) -> i64 {
    let key = reference.parent_key().map(|key| key.name.as_str());
    let found = directory::indexes(&reference.parent).find(|index| index.unique && Some(index.name) == key);
    found.map_or(0, |index| oids::of_index(reference.parent.known_id(), index.place))
}

/// The query of a view or materialized view.
pub(crate) fn view(world: &World, relation: &Relation) -> Option<String> {
    let of_view = world.view(relation).map(|view| view.sql.as_str());
    let of_table = || match relation.of {
        Of::Table(_) => {
            world.table(relation)?.rules.materialized.as_ref().map(|materialized| materialized.sql.as_str())
        }
        _ => None,
    };
    // PostgreSQL ends it so.
    of_view.or_else(of_table).map(|sql| format!("{sql};"))
}

/// The comment on a relation, or on one of its columns.
pub(crate) fn comment<'a>(world: &'a World, relation: &Relation, column: i64) -> Option<&'a str> {
    match relation.of {
        Of::Table(_) => {
            let table = world.table(relation)?;
            if column == 0 {
                return table.comment.as_deref();
            }
            table.top_columns().find(|known| directory::number(known) == column)?.comment.as_deref()
        }
        Of::Index(table, place) if column == 0 => {
            let table = world.snapshot().tables.get(&table)?;
            directory::indexes(table).find(|index| index.place == place)?.comment
        }
        Of::View(_) if column == 0 => world.view(relation)?.comment.as_deref(),
        Of::View(_) => world.view(relation)?.column_comments.get(&column).map(String::as_str),
        _ => None,
    }
}
