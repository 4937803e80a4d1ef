//! `information_schema`, as the standard and PostgreSQL have it.

mod fields;
mod keys;
mod rights;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::physical_plan::ExecutionPlan;
use polder_lake::{ColumnState, Snapshot, TableRules, TextLength};

use super::pg_catalog::World;
use super::{TABLES, memory, visible};
use crate::computed::{self, Computed};

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ApplicableRoles,
    CheckConstraints,
    ColumnPrivileges,
    Columns,
    ConstraintColumns,
    Constraints,
    EnabledRoles,
    KeyColumns,
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
    Views,
}

const NAMES: &[(&str, Kind)] = &[
    ("applicable_roles", Kind::ApplicableRoles),
    ("check_constraints", Kind::CheckConstraints),
    ("column_privileges", Kind::ColumnPrivileges),
    ("columns", Kind::Columns),
    ("constraint_column_usage", Kind::ConstraintColumns),
    ("enabled_roles", Kind::EnabledRoles),
    ("key_column_usage", Kind::KeyColumns),
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
    ("views", Kind::Views),
];

/// The names of its tables.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// The columns of one of its tables.
pub(super) fn columns(table: &str) -> Vec<Field> {
    NAMES.iter().find(|(name, _)| *name == table).map(|(_, kind)| kind.fields()).unwrap_or_default()
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        NAMES.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn table_exist(&self, name: &str) -> bool {
        NAMES.iter().any(|(known, _)| *known == name)
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some((_, kind)) = NAMES.iter().find(|(known, _)| *known == name) else { return Ok(None) };
        let table = Table {
            kind: *kind,
            snapshot: visible(&self.world, |id| self.world.rights().sees(id)),
            world: self.world.clone(),
            views: Arc::clone(&self.views),
        };
        Ok(Some(Computed::table(Arc::new(Schema::new(kind.fields())), table)))
    }
}

struct Table {
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
        let mut rows = Rows::new(schema);
        match self.kind {
            Kind::ApplicableRoles => self.applicable_roles(&mut rows),
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
        memory(schema, rows.finish(), projection)
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
    Int(Int64Builder),
}

struct Rows(Vec<Column>);

impl Rows {
    fn new(schema: &Schema) -> Self {
        let column = |field: &Arc<Field>| match field.data_type() {
            DataType::Int64 => Column::Int(Int64Builder::new()),
            _ => Column::Text(StringBuilder::new()),
        };
        Self(schema.fields().iter().map(column).collect())
    }

    fn push<const N: usize>(&mut self, cells: [Cell; N]) {
        for (column, cell) in self.0.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(builder), Cell::Text(text)) => builder.append_option(text),
                (Column::Int(builder), Cell::Int(number)) => builder.append_option(number),
                (Column::Text(builder), Cell::Int(_)) => builder.append_null(),
                (Column::Int(builder), Cell::Text(_)) => builder.append_null(),
            }
        }
    }

    fn finish(self) -> Vec<ArrayRef> {
        self.0
            .into_iter()
            .map(|column| match column {
                Column::Text(mut builder) => Arc::new(builder.finish()) as ArrayRef,
                Column::Int(mut builder) => Arc::new(builder.finish()) as ArrayRef,
            })
            .collect()
    }
}

impl Table {
    fn schema_of(&self, id: i64) -> &str {
        self.snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str())
    }

    async fn columns(&self, rows: &mut Rows) {
        for table in self.snapshot.tables.values() {
            let name = self.snapshot.name_of(table);
            for (at, field) in table.schema().fields().iter().take(table.shown_columns()).enumerate() {
                let state = table.top_columns().find(|column| column.name == *field.name());
                push_column(rows, (&name.schema, &name.table), at, field, state, Some(&table.rules));
            }
        }
        for view in self.snapshot.views.values() {
            let schema = self.schema_of(view.schema_id);
            let Some(columns) = self.views.columns(schema, &view.name).await else { continue };
            for (at, field) in columns.fields().iter().enumerate() {
                push_column(rows, (schema, &view.name), at, &field.as_ref().clone().with_nullable(true), None, None);
            }
        }
        for table in TABLES {
            for (at, field) in (table.columns)().fields().iter().enumerate() {
                push_column(rows, ("polder", table.name), at, field, None, None);
            }
        }
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
                ]);
            }
        }
        for view in self.snapshot.views.values() {
            rows.push([
                CATALOG.into(),
                self.schema_of(view.schema_id).into(),
                view.name.as_str().into(),
                "VIEW".into(),
            ]);
        }
        for table in TABLES {
            rows.push([CATALOG.into(), "polder".into(), table.name.into(), "VIEW".into()]);
        }
        for (name, _) in NAMES {
            rows.push([CATALOG.into(), "information_schema".into(), (*name).into(), "VIEW".into()]);
        }
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
        for name in own.chain(system) {
            rows.push([CATALOG.into(), name.into(), self.owner_of_schema(name).into()]);
        }
    }

    fn constraints(&self, rows: &mut Rows) {
        for table in self.snapshot.tables.values() {
            let full = self.snapshot.name_of(table);
            let keys = table.rules.keys.iter();
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
                ]);
            }
        }
    }

    fn routines(&self, rows: &mut Rows) {
        for function in self.snapshot.functions.values() {
            for (at, known) in function.macros.iter().enumerate() {
                let definition = function.definitions.get(at).unwrap_or(&known.sql);
                rows.push([
                    CATALOG.into(),
                    self.schema_of(function.schema_id).into(),
                    function.name.as_str().into(),
                    "FUNCTION".into(),
                    "SQL".into(),
                    definition.as_str().into(),
                ]);
            }
        }
    }
}

fn push_column(
    rows: &mut Rows,
    (schema, table): (&str, &str),
    at: usize,
    field: &Field,
    state: Option<&ColumnState>,
    rules: Option<&TableRules>,
) {
    let id = state.map(|state| state.id);
    let rule =
        |find: &dyn Fn(&TableRules, i64) -> Option<String>| rules.zip(id).and_then(|(rules, id)| find(rules, id));
    let constant = state.and_then(|state| state.default_value.clone()).filter(|text| text != "NULL");
    let default = rule(&|rules, id| rules.default_of(id).map(str::to_owned)).or(constant);
    let identity = rule(&|rules, id| {
        rules.identity_of(id).map(|identity| if identity.always { "ALWAYS" } else { "BY DEFAULT" }.to_owned())
    });
    let generated = rule(&|rules, id| rules.generated_of(id).map(str::to_owned));
    let data_type = field.data_type();
    let (precision, scale) = numeric(data_type);
    rows.push([
        CATALOG.into(),
        schema.into(),
        table.into(),
        field.name().as_str().into(),
        i64::try_from(at + 1).ok().into(),
        default.into(),
        if field.is_nullable() { "YES" } else { "NO" }.into(),
        standard_name(field).as_str().into(),
        TextLength::of_field(field).and_then(|length| i64::try_from(length.max).ok()).into(),
        precision.into(),
        scale.into(),
        moment_precision(data_type).into(),
        if identity.is_some() { "YES" } else { "NO" }.into(),
        identity.into(),
        if generated.is_some() { "ALWAYS" } else { "NEVER" }.into(),
        generated.into(),
        CATALOG.into(),
        "pg_catalog".into(),
        super::pg_catalog::types::name_of_field(field).as_str().into(),
    ]);
}

/// PostgreSQL's name of a column's type, without lengths and precisions.
pub(crate) fn standard_name(field: &Field) -> String {
    match TextLength::of_field(field) {
        Some(length) if length.blank_padded => return "character".into(),
        Some(_) => return "character varying".into(),
        None => match field.metadata().get(polder_lake::DECLARED).map(String::as_str) {
            Some("varchar") => return "character varying".into(),
            Some(declared) => return declared.to_owned(),
            None => {}
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

fn numeric(data_type: &DataType) -> (Option<i64>, Option<i64>) {
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
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => Some(match unit {
            TimeUnit::Second => 0,
            TimeUnit::Millisecond => 3,
            TimeUnit::Microsecond => 6,
            TimeUnit::Nanosecond => 9,
        }),
        _ => None,
    }
}
