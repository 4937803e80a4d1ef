//! `pg_attribute` and `pg_attrdef`: columns and what they are when nobody gives a value.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use polder_lake::{ColumnState, TableState};
use polder_types::Result;

use super::columns;
use super::directory::{self, IndexOf, Of, Relation};
use super::row::{self, Cell, Rows};
use super::texts;
use super::types;
use super::{World, columns_of, oids, roles};
use crate::system::{TABLES, Views, information};
use crate::topics;

/// One column of a relation.
struct Attribute<'a> {
    relation: i64,
    number: i64,
    field: &'a Field,
    not_null: bool,
    default: bool,
    identity: &'a str,
    generated: &'a str,
    /// Who may do what with it by itself.
    list: Cell,
}

impl<'a> Attribute<'a> {
    fn plain(relation: i64, number: i64, field: &'a Field) -> Self {
        Self { relation, number, field, not_null: false, default: false, identity: "", generated: "", list: Cell::Null }
    }
}

/// How many dimensions a field has as an array.
fn dimensions(field: &Field) -> i64 {
    use arrow::datatypes::DataType as D;
    match field.data_type() {
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => 1 + dimensions(item),
        _ => 0,
    }
}

fn push(rows: &mut Rows, attribute: &Attribute<'_>) {
    let (oid, modifier) = types::of_field(attribute.field);
    let layout = types::layout(oid);
    rows.push([
        ("attrelid", attribute.relation.into()),
        ("attname", attribute.field.name().as_str().into()),
        ("atttypid", oid.into()),
        ("attstattarget", (-1_i64).into()),
        ("attlen", layout.length.into()),
        ("attnum", attribute.number.into()),
        ("attndims", dimensions(attribute.field).into()),
        ("attcacheoff", (-1_i64).into()),
        ("atttypmod", modifier.into()),
        ("attbyval", layout.by_value.into()),
        ("attalign", layout.align.into()),
        ("attstorage", layout.storage.into()),
        ("attnotnull", attribute.not_null.into()),
        ("atthasdef", attribute.default.into()),
        ("attidentity", attribute.identity.into()),
        ("attgenerated", attribute.generated.into()),
        ("attislocal", true.into()),
        ("attcollation", layout.collation.into()),
        ("attacl", attribute.list.clone()),
    ]);
}

/// `only`: the object id of the one relation that is asked for.
pub(super) async fn rows(world: &World, views: &dyn Views, only: Option<i64>) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_ATTRIBUTE);
    let directory = world.directory();
    for relation in directory.relations().filter(|relation| only.is_none_or(|only| relation.oid == only)) {
        match (relation.of, world.table(relation)) {
            (Of::Table(_), Some(table)) => of_table(&mut rows, world, relation, table),
            (Of::Index(_, place), Some(table)) => {
                if let Some(index) = directory::indexes(table).find(|index| index.place == place) {
                    of_index(&mut rows, relation, table, &index);
                }
            }
            (Of::View(id), _) => {
                let schema = directory.schema(relation.schema).unwrap_or_default();
                // One that cannot be planned any more has no columns.
                let Some(columns) = views.columns(schema, &relation.name).await else { continue };
                for (number, field) in (1..).zip(columns.fields()) {
                    let list = roles::list_of_column(world, id, number);
                    push(&mut rows, &Attribute { list, ..Attribute::plain(relation.oid, number, field) });
                }
            }
            (Of::Topic(_), _) => numbered(&mut rows, relation, &topics::shown()),
            (Of::System, _) => {
                if let Some(schema) = of_system(relation) {
                    numbered(&mut rows, relation, &schema);
                }
            }
            _ => {}
        }
    }
    rows.finish()
}

fn numbered(rows: &mut Rows, relation: &Relation, schema: &Schema) {
    for (number, field) in (1..).zip(schema.fields()) {
        push(rows, &Attribute::plain(relation.oid, number, field));
    }
}

fn of_table(rows: &mut Rows, world: &World, relation: &Relation, table: &TableState) {
    let schema = table.schema();
    for field in schema.fields().iter().take(table.shown_columns()) {
        let Some(column) = table.top_columns().find(|column| column.name == *field.name()) else { continue };
        let identity = table.rules.identity_of(column.id);
        let identity = identity.map_or("", |identity| if identity.always { "a" } else { "d" });
        let generated = table.rules.generated_of(column.id).is_some();
        push(
            rows,
            &Attribute {
                not_null: !field.is_nullable(),
                default: texts::default_of(table, column).is_some(),
                identity,
                generated: if generated { "s" } else { "" },
                list: roles::list_of_column(world, table.id, column.id),
                ..Attribute::plain(relation.oid, directory::number(column), field)
            },
        );
    }
}

fn of_index(rows: &mut Rows, relation: &Relation, table: &TableState, index: &IndexOf<'_>) {
    let schema = table.schema();
    let name = |id: &i64| table.top_columns().find(|column| column.id == *id).map(|column| column.name.as_str());
    let fields = index.columns.iter().filter_map(name).filter_map(|name| schema.field_with_name(name).ok());
    for (number, field) in (1..).zip(fields) {
        push(rows, &Attribute::plain(relation.oid, number, field));
    }
}

/// The columns of one of the system's own tables.
pub(super) fn of_system(relation: &Relation) -> Option<Schema> {
    match relation.schema {
        oids::INFORMATION_SCHEMA => Some(Schema::new(information::columns(&relation.name))),
        oids::POLDER => TABLES.iter().find(|table| table.name == relation.name).map(|table| (table.columns)()),
        _ => columns_of(relation.oid).map(row::schema),
    }
}

pub(super) fn defaults(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_ATTRDEF);
    for table in world.snapshot().tables.values() {
        for (column, text) in with_default(table) {
            rows.push([
                ("oid", oids::of_default(table.known_id(), column.id).into()),
                ("adrelid", oids::of(table.known_id(), 0).into()),
                ("adnum", directory::number(column).into()),
                ("adbin", Cell::Text(text)),
            ]);
        }
    }
    rows.finish()
}

/// The columns of a table that have a default or are computed, and the expression's text.
pub(super) fn with_default(table: &Arc<TableState>) -> impl Iterator<Item = (&ColumnState, String)> {
    table.top_columns().filter_map(move |column| Some((column, texts::default_of(table, column)?)))
}
