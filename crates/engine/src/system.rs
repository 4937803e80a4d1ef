//! The schema `polder`: what the system knows of itself, as tables.

mod access_keys;
mod audit;
mod changes;
mod deliveries;
mod functions;
mod history;
mod information;
mod jobs;
mod keywords;
pub(crate) mod pg_catalog;
mod profile;
mod rules;
mod series;
mod tables;
mod topics;

use std::fmt;
use std::sync::{Arc, Weak};

use arrow::array::{ArrayRef, RecordBatch, StringArray, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{DataFusionError, Result as DataFusionResult};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use polder_capability::CommandTag;
use polder_lake::Snapshot;
use polder_types::{Error, Result, SnapshotId};

use crate::authz::denied;
use crate::computed::{Computed, Rows};
use crate::engine::Engine;
use crate::session::Outcome;

use pg_catalog::World;

pub(crate) use information::{InformationSchema, Views};
pub(crate) use tables::type_name;

/// A system table: its name, its columns, and how its rows are found.
#[derive(Clone, Copy)]
struct Definition {
    name: &'static str,
    columns: fn() -> Schema,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AccessKeys,
    Audit,
    Tables,
    Columns,
    Constraints,
    ConsumerGroups,
    ConsumerOffsets,
    Deliveries,
    Functions,
    Jobs,
    Queries,
    Runs,
    Snapshots,
    TopicPartitions,
    Topics,
}

/// All system tables. Adding one is a line here and a function that gives its rows.
const TABLES: &[Definition] = &[
    Definition { name: "access_keys", columns: access_keys::schema, kind: Kind::AccessKeys },
    Definition { name: "audit", columns: audit::schema, kind: Kind::Audit },
    Definition { name: "columns", columns: tables::columns_schema, kind: Kind::Columns },
    Definition { name: "constraints", columns: rules::schema, kind: Kind::Constraints },
    Definition { name: "consumer_groups", columns: topics::groups_schema, kind: Kind::ConsumerGroups },
    Definition { name: "consumer_offsets", columns: topics::offsets_schema, kind: Kind::ConsumerOffsets },
    Definition { name: "deliveries", columns: deliveries::schema, kind: Kind::Deliveries },
    Definition { name: "functions", columns: functions::schema, kind: Kind::Functions },
    Definition { name: "jobs", columns: jobs::jobs_schema, kind: Kind::Jobs },
    Definition { name: "queries", columns: tables::queries_schema, kind: Kind::Queries },
    Definition { name: "runs", columns: jobs::runs_schema, kind: Kind::Runs },
    Definition { name: "snapshots", columns: tables::snapshots_schema, kind: Kind::Snapshots },
    Definition { name: "tables", columns: tables::tables_schema, kind: Kind::Tables },
    Definition { name: "topic_partitions", columns: topics::partitions_schema, kind: Kind::TopicPartitions },
    Definition { name: "topics", columns: topics::topics_schema, kind: Kind::Topics },
];

/// The schema `polder` at one snapshot.
#[derive(Clone)]
pub(crate) struct SystemSchema {
    engine: Arc<Engine>,
    world: World,
    /// Knows the columns of views, once there is a planner.
    views: Option<Arc<dyn Views>>,
}

impl fmt::Debug for SystemSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemSchema")
    }
}

impl SystemSchema {
    pub fn new(world: &World) -> Self {
        Self { engine: Arc::clone(world.engine()), world: world.clone(), views: None }
    }

    pub fn with_views(&self, views: Arc<dyn Views>) -> Self {
        Self { views: Some(views), ..self.clone() }
    }
}

#[async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|table| table.name.to_owned()).collect()
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.iter().any(|table| table.name == name)
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(definition) = TABLES.iter().find(|table| table.name == name) else { return Ok(None) };
        let table = SystemTable { kind: definition.kind, of: self.clone() };
        Ok(Some(Computed::table(Arc::new((definition.columns)()), table)))
    }
}

/// A system table.
struct SystemTable {
    kind: Kind,
    of: SystemSchema,
}

impl SystemTable {
    /// Columns without rows.
    fn none(&self) -> Vec<ArrayRef> {
        let columns = TABLES.iter().filter(|table| table.kind == self.kind).map(|table| (table.columns)());
        columns
            .flat_map(|schema| {
                schema.fields().iter().map(|field| new_empty_array(field.data_type())).collect::<Vec<_>>()
            })
            .collect()
    }

    async fn rows(&self) -> Result<Vec<ArrayRef>> {
        let SystemSchema { engine, world, views } = &self.of;
        let rights = world.rights();
        // What is in a table is known by those who may read it, and that it is there by those who have any right on it.
        match self.kind {
            Kind::AccessKeys => access_keys::rows(engine, rights.who).await,
            Kind::Audit if !rights.who.superuser => Err(denied("table", "audit", "superusers read the audit")),
            Kind::Audit => audit::rows(engine).await,
            Kind::Tables => tables::tables(engine, &visible(world, |id| rights.reads(id)), &rights).await,
            Kind::Columns => Ok(tables::columns(&visible(world, |id| rights.sees(id)), views.as_deref()).await),
            Kind::Constraints => Ok(rules::rows(&visible(world, |id| rights.sees(id)))),
            Kind::Deliveries => deliveries::rows(engine, rights.who).await,
            Kind::ConsumerGroups | Kind::ConsumerOffsets | Kind::TopicPartitions | Kind::Topics => {
                let Some(seen) = topics::Seen::of(engine, rights.who) else { return Ok(self.none()) };
                match self.kind {
                    Kind::ConsumerGroups => seen.groups().await,
                    Kind::ConsumerOffsets => seen.offsets().await,
                    Kind::TopicPartitions => seen.partitions().await,
                    _ => seen.topics().await,
                }
            }
            Kind::Functions => functions::rows(engine, world.snapshot()),
            Kind::Jobs => jobs::jobs(engine, rights.who).await,
            Kind::Runs => jobs::runs(engine, rights.who).await,
            Kind::Queries => tables::queries(engine, rights.who).await,
            Kind::Snapshots => tables::snapshots(engine, rights.who).await,
        }
    }
}

/// The snapshot with only those tables and views that somebody is to be told of.
pub(crate) fn visible(world: &World, told: impl Fn(i64) -> bool) -> Arc<Snapshot> {
    match world.who().superuser {
        true => Arc::clone(world.snapshot()),
        false => Arc::new(world.snapshot().with_only(told)),
    }
}

pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Columns as a plan that gives them.
fn memory(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    projection: Option<&Vec<usize>>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
    Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], Arc::clone(schema), projection.cloned())?)
}

#[async_trait]
impl Rows for SystemTable {
    async fn plan(
        &self,
        _state: &dyn Session,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        memory(schema, self.rows().await.map_err(external)?, projection)
    }
}

/// The functions that give tables.
pub(crate) fn register_functions(state: &mut SessionState, engine: &Weak<Engine>) {
    let functions: [(&str, Arc<dyn datafusion::catalog::TableFunctionImpl>); 4] = [
        ("pg_get_keywords", Arc::new(keywords::KeywordsFunction)),
        ("profile", Arc::new(profile::ProfileFunction)),
        ("history", Arc::new(history::HistoryFunction::new(Weak::clone(engine)))),
        ("table_changes", Arc::new(changes::ChangesFunction::new(Weak::clone(engine)))),
    ];
    for (name, function) in functions {
        state.register_udtf(name, function);
    }
    series::register(state);
}

/// The one argument of a function of tables: `schema.table`, or `table` in the first schema of the path that has it.
fn table_argument(function: &str, exprs: &[Expr], session: &dyn Session) -> DataFusionResult<polder_lake::TableName> {
    let wrong = || {
        external(
            Error::invalid(format!("{function}() takes one table's name as text"))
                .with_code("42883")
                .with_hint(format!("SELECT * FROM {function}('public.flights')")),
        )
    };
    let [Expr::Literal(value, _)] = exprs else { return Err(wrong()) };
    let Some(Some(text)) = value.try_as_str() else { return Err(wrong()) };
    // A name with dots in it is given with quotes, as in SQL.
    let reference = datafusion::common::TableReference::parse_str(text);
    let name = |schema: &str| polder_lake::TableName::new(schema, reference.table());
    if let Some(schema) = reference.schema() {
        return Ok(name(schema));
    }
    let world = pg_catalog::World::of(session.config_options())?;
    world.schema_of(reference.table()).map(name).ok_or_else(|| {
        external(
            Error::not_found(format!("table {} does not exist", reference.table()))
                .with_code("42P01")
                .with_hint(format!("name its schema: {function}('public.flights')")),
        )
    })
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn int(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Int64, nullable)
}

fn time(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable)
}

/// The answer of SHOW: one text.
pub(crate) fn one_text(name: &str, value: &str, snapshot: SnapshotId) -> Result<Outcome> {
    let schema = Arc::new(Schema::new(vec![text(name, false)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from(vec![value]))])
        .map_err(|error| Error::internal(error.to_string()))?;
    let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::iter([Ok(batch)]));
    Ok(Outcome {
        tag: CommandTag { verb: "SHOW".into(), rows: None },
        snapshot,
        notices: Vec::new(),
        rows: Some((schema, Box::pin(rows))),
    })
}
