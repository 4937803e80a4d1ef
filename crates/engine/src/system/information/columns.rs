//! What `information_schema` tells of columns and of their types.

use arrow::datatypes::{DataType, Field, TimeUnit};
use polder_lake::{ColumnState, TableRules, TextLength};
use polder_metastore::OWNER_OID;

use super::{CATALOG, Cell, Rows, Table, standard_name};
use crate::system::TABLES;
use crate::system::pg_catalog::{relations, types};
use crate::topics;

/// How many bytes a text of no stated length may have, and a character of one.
const OCTETS_MAX: i64 = 1 << 30;
const OCTETS_OF_CHARACTER: i64 = 4;

/// A column with what it is a column of.
struct Column<'a> {
    schema: &'a str,
    table: &'a str,
    /// From 0.
    at: usize,
    field: &'a Field,
    state: Option<&'a ColumnState>,
    rules: Option<&'a TableRules>,
}

impl Table {
    /// The columns of all tables and views, one after the other. Those of materialized views are in PostgreSQL's own catalog only.
    async fn each_column(&self, mut row: impl FnMut(&Column<'_>)) {
        let tables = self.snapshot.tables.values().filter(|table| table.rules.materialized.is_none());
        for table in tables {
            let name = self.snapshot.name_of(table);
            for (at, field) in table.schema().fields().iter().take(table.shown_columns()).enumerate() {
                let state = table.top_columns().find(|column| column.name == *field.name());
                let rules = Some(table.rules.as_ref());
                row(&Column { schema: &name.schema, table: &name.table, at, field, state, rules });
            }
        }
        for view in self.snapshot.views.values() {
            let schema = self.schema_of(view.schema_id);
            let Some(columns) = self.views.columns(schema, &view.name).await else { continue };
            for (at, field) in columns.fields().iter().enumerate() {
                let field = &field.as_ref().clone().with_nullable(true);
                row(&Column { schema, table: &view.name, at, field, state: None, rules: None });
            }
        }
        for table in TABLES {
            for (at, field) in (table.columns)().fields().iter().enumerate() {
                row(&Column { schema: "polder", table: table.name, at, field, state: None, rules: None });
            }
        }
        let shown = topics::shown();
        for topic in self.topics() {
            for (at, field) in shown.fields().iter().enumerate() {
                row(&Column { schema: topics::SCHEMA, table: &topic.name, at, field, state: None, rules: None });
            }
        }
    }

    pub(super) async fn columns(&self, rows: &mut Rows) {
        self.each_column(|column| push(rows, column)).await;
    }

    /// `column_udt_usage`: the types are the owner's of the whole.
    pub(super) async fn column_types(&self, rows: &mut Rows) {
        if !self.world.who().has(OWNER_OID) {
            return;
        }
        self.each_column(|column| {
            rows.push([
                CATALOG.into(),
                "pg_catalog".into(),
                types::name_of_field(column.field).as_str().into(),
                CATALOG.into(),
                column.schema.into(),
                column.table.into(),
                column.field.name().as_str().into(),
            ]);
        })
        .await;
    }

    /// What the arrays in tables are made of.
    pub(super) fn element_types(&self, rows: &mut Rows) {
        for table in self.snapshot.tables.values() {
            for (at, field) in table.schema().fields().iter().take(table.shown_columns()).enumerate() {
                let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
                    field.data_type()
                else {
                    continue;
                };
                rows.push([
                    CATALOG.into(),
                    self.schema_of(table.schema_id).into(),
                    table.name.as_str().into(),
                    "TABLE".into(),
                    (at + 1).to_string().as_str().into(),
                    standard_name(item).as_str().into(),
                    CATALOG.into(),
                    "pg_catalog".into(),
                    types::name_of_field(item).as_str().into(),
                    format!("a{}", at + 1).as_str().into(),
                ]);
            }
        }
    }
}

fn push(rows: &mut Rows, column: &Column<'_>) {
    let Column { schema, table, at, field, state, rules } = column;
    let id = state.map(|state| state.id);
    let rule =
        |find: &dyn Fn(&TableRules, i64) -> Option<String>| rules.zip(id).and_then(|(rules, id)| find(rules, id));
    let constant = state.and_then(|state| state.default_value.clone()).filter(|text| text != "NULL");
    let default = rule(&|rules, id| rules.default_of(id).map(str::to_owned)).or(constant);
    let identity = rules.zip(id).and_then(|(rules, id)| rules.identity_of(id));
    let range = identity.map(|identity| relations::range(types::of_field(field).0, identity.step));
    let generated = rule(&|rules, id| rules.generated_of(id).map(str::to_owned));
    let data_type = field.data_type();
    let (precision, scale) = numeric(data_type);
    let number = |number: i64| number.to_string();
    rows.push([
        CATALOG.into(),
        (*schema).into(),
        (*table).into(),
        field.name().as_str().into(),
        i64::try_from(at + 1).ok().into(),
        default.into(),
        if field.is_nullable() { "YES" } else { "NO" }.into(),
        standard_name(field).as_str().into(),
        TextLength::of_field(field).and_then(|length| i64::try_from(length.max).ok()).into(),
        octets(field).into(),
        precision.into(),
        precision.map(|_| if matches!(types::of_field(field).0, types::NUMERIC) { 10 } else { 2 }).into(),
        scale.into(),
        moment_precision(data_type).into(),
        if identity.is_some() { "YES" } else { "NO" }.into(),
        Cell::Text(identity.map(|identity| if identity.always { "ALWAYS" } else { "BY DEFAULT" }.to_owned())),
        identity.map(|identity| number(identity.start)).into(),
        identity.map(|identity| number(identity.step)).into(),
        range.map(|(_, greatest)| number(greatest)).into(),
        range.map(|(least, _)| number(least)).into(),
        if generated.is_some() { "ALWAYS" } else { "NEVER" }.into(),
        generated.into(),
        CATALOG.into(),
        "pg_catalog".into(),
        types::name_of_field(field).as_str().into(),
        (at + 1).to_string().as_str().into(),
        if rules.is_some_and(|rules| rules.materialized.is_none()) { "YES" } else { "NO" }.into(),
    ]);
}

/// How many bytes a text may have.
fn octets(field: &Field) -> Option<i64> {
    match TextLength::of_field(field) {
        Some(length) => i64::try_from(length.max).ok()?.checked_mul(OCTETS_OF_CHARACTER),
        None => matches!(standard_name(field).as_str(), "text" | "character varying").then_some(OCTETS_MAX),
    }
}

/// Digits of a number, and those behind the point.
pub(super) fn numeric(data_type: &DataType) -> (Option<i64>, Option<i64>) {
    match data_type {
        DataType::Int8 | DataType::Int16 => (Some(16), Some(0)),
        DataType::Int32 => (Some(32), Some(0)),
        DataType::Int64 => (Some(64), Some(0)),
        DataType::Float32 => (Some(24), None),
        DataType::Float64 => (Some(53), None),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (Some(i64::from(*precision)), Some(i64::from(*scale))),
        _ => (None, None),
    }
}

fn moment_precision(data_type: &DataType) -> Option<i64> {
    match data_type {
        DataType::Date32 | DataType::Date64 => Some(0),
        DataType::Interval(_) => Some(6),
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => Some(match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        }),
        _ => None,
    }
}
