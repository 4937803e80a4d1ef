//! `information_schema`, as the standard and PostgreSQL have it.

mod columns;
mod fields;
mod keys;
mod programs;
mod rights;
mod standard;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int32Builder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::physical_plan::ExecutionPlan;
use polder_capability::topics::TopicTable;
use polder_lake::{Snapshot, TextLength};

use self::standard::VIEWS;
use super::pg_catalog::World;
use super::{TABLES, memory, visible};
use crate::computed::{self, Computed};
use crate::topics;

/// The catalog that all of it is in.
const CATALOG: &str = "polder";

/// Gives the columns of a view; `None` when it cannot be planned.
#[async_trait]
pub(crate) trait Views: Send + Sync {
    async fn columns(&self, schema: &str, view: &str) -> Option<SchemaRef>;
}

/// The schema at one snapshot, with what somebody has any right on.
pub(crate) struct InformationSchema {
    world: World,
    views: Arc<dyn Views>,
}

impl InformationSchema {
    pub fn new(world: World, views: Arc<dyn Views>) -> Self {
        Self { world, views }
    }
}

impl fmt::Debug for InformationSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InformationSchema")
    }
}

/// How the rows of a view are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AdministrableRoles,
    ApplicableRoles,
    CatalogName,
    CharacterSets,
    CheckConstraints,
    ColumnPrivileges,
    ColumnTypes,
    Columns,
    ConstraintColumns,
    ConstraintTables,
    Constraints,
    ElementTypes,
    /// There is nothing of the kind.
    Empty,
    EnabledRoles,
    KeyColumns,
    Parameters,
    Privileges,
    References,
    RoleColumnGrants,
    RoleRoutineGrants,
    RoleTableGrants,
    RoutinePrivileges,
    Routines,
    Schemata,
    Sequences,
    Tables,
    ViewTables,
    Views,
}

/// Those that have rows; the others of [`VIEWS`] are about what is not there.
const FILLED: &[(&str, Kind)] = &[
    ("administrable_role_authorizations", Kind::AdministrableRoles),
    ("applicable_roles", Kind::ApplicableRoles),
    ("character_sets", Kind::CharacterSets),
    ("check_constraints", Kind::CheckConstraints),
    ("column_privileges", Kind::ColumnPrivileges),
    ("column_udt_usage", Kind::ColumnTypes),
    ("columns", Kind::Columns),
    ("constraint_column_usage", Kind::ConstraintColumns),
    ("constraint_table_usage", Kind::ConstraintTables),
    ("element_types", Kind::ElementTypes),
    ("enabled_roles", Kind::EnabledRoles),
    ("information_schema_catalog_name", Kind::CatalogName),
    ("key_column_usage", Kind::KeyColumns),
    ("parameters", Kind::Parameters),
    ("referential_constraints", Kind::References),
    ("role_column_grants", Kind::RoleColumnGrants),
    ("role_routine_grants", Kind::RoleRoutineGrants),
    ("role_table_grants", Kind::RoleTableGrants),
    ("routine_privileges", Kind::RoutinePrivileges),
    ("routines", Kind::Routines),
    ("schemata", Kind::Schemata),
    ("sequences", Kind::Sequences),
    ("table_constraints", Kind::Constraints),
    ("table_privileges", Kind::Privileges),
    ("tables", Kind::Tables),
    ("view_table_usage", Kind::ViewTables),
    ("views", Kind::Views),
];

/// The names of its tables.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    VIEWS.iter().map(|(name, _)| *name)
}

/// The columns of one of its tables.
pub(super) fn columns(table: &str) -> Vec<Field> {
    VIEWS.iter().find(|(name, _)| *name == table).map(|(_, columns)| fields::whole(columns)).unwrap_or_default()
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        names().map(str::to_owned).collect()
    }

    fn table_exist(&self, name: &str) -> bool {
        names().any(|known| known == name)
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some((view, columns)) = VIEWS.iter().find(|(known, _)| *known == name) else { return Ok(None) };
        let kind = FILLED.iter().find(|(known, _)| *known == name).map_or(Kind::Empty, |(_, kind)| *kind);
        let table = Table {
            view,
            kind,
            snapshot: visible(&self.world, |id| self.world.rights().sees(id)),
            world: self.world.clone(),
            views: Arc::clone(&self.views),
        };
        Ok(Some(Computed::table(Arc::new(Schema::new(fields::whole(columns))), table)))
    }
}

struct Table {
    view: &'static str,
    kind: Kind,
    snapshot: Arc<Snapshot>,
    world: World,
    views: Arc<dyn Views>,
}

#[async_trait]
impl computed::Rows for Table {
    async fn plan(
        &self,
        _state: &dyn Session,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut rows = Rows::new(&self.kind.columns());
        match self.kind {
            Kind::AdministrableRoles => self.applicable_roles(&mut rows, true),
            Kind::CatalogName => rows.push([CATALOG.into()]),
            Kind::CharacterSets => rows.push(["UTF8".into(), "UCS".into(), "UTF8".into(), CATALOG.into()]),
            Kind::ColumnTypes => self.column_types(&mut rows).await,
            Kind::ConstraintTables => self.constraint_tables(&mut rows),
            Kind::ElementTypes => self.element_types(&mut rows),
            Kind::Empty => {}
            Kind::Parameters => self.parameters(&mut rows),
            Kind::ViewTables => self.view_tables(&mut rows),
            Kind::ApplicableRoles => self.applicable_roles(&mut rows, false),
            Kind::CheckConstraints => self.check_constraints(&mut rows),
            Kind::ColumnPrivileges => self.column_privileges(&mut rows, true).await,
            Kind::Columns => self.columns(&mut rows).await,
            Kind::ConstraintColumns => self.constraint_columns(&mut rows),
            Kind::Constraints => self.constraints(&mut rows),
            Kind::EnabledRoles => self.enabled_roles(&mut rows),
            Kind::KeyColumns => self.key_columns(&mut rows),
            Kind::Privileges => self.privileges(&mut rows, true),
            Kind::References => self.references(&mut rows),
            Kind::RoleColumnGrants => self.column_privileges(&mut rows, false).await,
            Kind::RoleRoutineGrants => self.routine_privileges(&mut rows, false),
            Kind::RoleTableGrants => self.privileges(&mut rows, false),
            Kind::RoutinePrivileges => self.routine_privileges(&mut rows, true),
            Kind::Routines => self.routines(&mut rows),
            Kind::Sequences => self.sequences(&mut rows),
            Kind::Schemata => self.schemata(&mut rows),
            Kind::Tables => self.tables(&mut rows),
            Kind::Views => self.views(&mut rows),
        }
        memory(schema, self.widened(schema, rows), projection)
    }
}

/// One value.
enum Cell {
    Text(Option<String>),
    Int(Option<i64>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

enum Column {
    Text(StringBuilder),
    Int(Int32Builder),
}

/// What is known of a view: some of its columns, in an order of their own.
struct Rows {
    columns: Vec<(&'static str, Column)>,
    count: usize,
}

impl Rows {
    fn new(names: &[&'static str]) -> Self {
        let column = |name: &&'static str| {
            let number = fields::NUMBERS.contains(name);
            (*name, if number { Column::Int(Int32Builder::new()) } else { Column::Text(StringBuilder::new()) })
        };
        Self { columns: names.iter().map(column).collect(), count: 0 }
    }

    fn push<const N: usize>(&mut self, cells: [Cell; N]) {
        self.count += 1;
        for ((_, column), cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(builder), Cell::Text(text)) => builder.append_option(text),
                (Column::Int(builder), Cell::Int(number)) => {
                    builder.append_option(number.and_then(|number| i32::try_from(number).ok()));
                }
                (Column::Text(builder), Cell::Int(_)) => builder.append_null(),
                (Column::Int(builder), Cell::Text(_)) => builder.append_null(),
            }
        }
    }
}

impl Column {
    fn finish(self) -> ArrayRef {
        match self {
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Int(mut builder) => Arc::new(builder.finish()),
        }
    }
}

impl Table {
    /// All columns of the view: those that are known, those that say the same of everything, and the others without a value.
    fn widened(&self, schema: &Schema, rows: Rows) -> Vec<ArrayRef> {
        let count = rows.count;
        let mut known: HashMap<&str, ArrayRef> =
            rows.columns.into_iter().map(|(name, column)| (name, column.finish())).collect();
        let column = |field: &Arc<Field>| {
            let name = field.name().as_str();
            let same = || -> ArrayRef {
                let value = fields::constant(self.view, name);
                match field.data_type() {
                    DataType::Int32 => {
                        let number = value.and_then(|text| text.parse::<i32>().ok());
                        Arc::new(Int32Array::from(vec![number; count]))
                    }
                    _ => Arc::new(StringArray::from(vec![value; count])),
                }
            };
            known.remove(name).unwrap_or_else(same)
        };
        schema.fields().iter().map(column).collect()
    }
}

impl Table {
    fn schema_of(&self, id: i64) -> &str {
        self.snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str())
    }

    fn tables(&self, rows: &mut Rows) {
        for table in self.snapshot.tables.values() {
            // As in PostgreSQL, which has materialized views in its own catalog only.
            if table.rules.materialized.is_none() {
                let name = self.snapshot.name_of(table);
                rows.push([
                    CATALOG.into(),
                    name.schema.as_str().into(),
                    name.table.as_str().into(),
                    "BASE TABLE".into(),
                    "YES".into(),
                ]);
            }
        }
        for view in self.snapshot.views.values() {
            rows.push([
                CATALOG.into(),
                self.schema_of(view.schema_id).into(),
                view.name.as_str().into(),
                "VIEW".into(),
                "NO".into(),
            ]);
        }
        for table in TABLES {
            rows.push([CATALOG.into(), "polder".into(), table.name.into(), "VIEW".into(), "NO".into()]);
        }
        for topic in self.topics() {
            rows.push([CATALOG.into(), topics::SCHEMA.into(), topic.name.as_ref().into(), "VIEW".into(), "NO".into()]);
        }
        for name in names() {
            rows.push([CATALOG.into(), "information_schema".into(), name.into(), "VIEW".into(), "NO".into()]);
        }
    }

    /// The topics that are what their names mean.
    fn topics(&self) -> Vec<TopicTable> {
        let others = self.snapshot.names_in(topics::SCHEMA);
        self.world.topics().into_iter().filter(|topic| !others.iter().any(|name| **name == *topic.name)).collect()
    }

    fn views(&self, rows: &mut Rows) {
        for view in self.snapshot.views.values() {
            rows.push([
                CATALOG.into(),
                self.schema_of(view.schema_id).into(),
                view.name.as_str().into(),
                view.sql.as_str().into(),
                "NONE".into(),
                "NO".into(),
            ]);
        }
    }

    fn schemata(&self, rows: &mut Rows) {
        let system = ["polder", "information_schema", "pg_catalog"];
        let own = self.snapshot.schemas.values().map(|schema| schema.name.as_str());
        // DuckDB makes a schema `main` in every lake; as long as nothing is in it, it only confuses.
        let own = own.filter(|name| *name != "main" || !self.snapshot.names_in("main").is_empty());
        let is_own = self.snapshot.schema(topics::SCHEMA).is_some();
        let topics = (!is_own && !self.world.topics().is_empty()).then_some(topics::SCHEMA);
        for name in own.chain(system).chain(topics) {
            rows.push([CATALOG.into(), name.into(), self.owner_of_schema(name).into()]);
        }
    }

    fn constraints(&self, rows: &mut Rows) {
        for table in self.snapshot.tables.values() {
            let full = self.snapshot.name_of(table);
            let keys = table.rules.keys.iter().filter(|key| !key.index);
            let keys = keys.map(|key| (&key.name, if key.primary { "PRIMARY KEY" } else { "UNIQUE" }));
            let checks = table.rules.checks.iter().map(|check| (&check.name, "CHECK"));
            let foreign = table.rules.foreign_keys.iter().map(|key| (&key.name, "FOREIGN KEY"));
            for (name, kind) in keys.chain(foreign).chain(checks) {
                rows.push([
                    CATALOG.into(),
                    full.schema.as_str().into(),
                    name.as_str().into(),
                    CATALOG.into(),
                    full.schema.as_str().into(),
                    full.table.as_str().into(),
                    kind.into(),
                    Cell::Text((kind == "UNIQUE").then(|| "YES".to_owned())),
                ]);
            }
        }
    }
}

/// PostgreSQL's name of a column's type, without lengths and precisions.
pub(crate) fn standard_name(field: &Field) -> String {
    match TextLength::of_field(field) {
        Some(length) if length.blank_padded => return "character".into(),
        Some(_) => return "character varying".into(),
        None => match field.metadata().get(polder_lake::DECLARED).map(String::as_str) {
            Some("varchar") => return "character varying".into(),
            Some(declared) if !declared.ends_with("[]") => return declared.to_owned(),
            _ => {}
        },
    }
    match field.data_type() {
        DataType::Float64 => "double precision".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time without time zone".into(),
        DataType::Timestamp(_, None) => "timestamp without time zone".into(),
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone".into(),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            "numeric".into()
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "ARRAY".into(),
        other => super::type_name(other),
    }
}

#[cfg(test)]
mod tests;
