//! `pg_catalog`, as PostgreSQL 15 has it: what its clients ask to learn what there is.
//!
//! The tables are made from the statement's snapshot, which within a transaction is that transaction's own view, when they
//! are scanned. One that describes what Polder has not (triggers, foreign tables, …) is there and empty, so that a
//! query over it has the answer that it should have.

pub(crate) mod activity;
mod attributes;
pub(crate) mod builtin;
mod columns;
mod constraints;
mod dependencies;
pub(crate) mod directory;
mod measured;
pub(crate) mod oids;
mod policies;
pub(crate) mod programs;
pub(crate) mod relations;
pub(crate) mod roles;
mod row;
pub(crate) mod schemas;
pub(crate) mod texts;
pub(crate) mod types;
mod views;
mod world;

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use polder_lake::{Snapshot, TableName};
use polder_types::Result;

pub(crate) use self::dependencies::{PG_PROC, views_read};
use self::row::Rows;
pub(crate) use self::world::World;
use super::{Views, external, memory};
use crate::authz::denied;

/// A table of `pg_catalog`.
#[derive(Debug, Clone, Copy)]
struct Definition {
    name: &'static str,
    /// The object id that the table itself has.
    oid: i64,
    /// Names and types of its columns.
    columns: &'static str,
    kind: Kind,
    /// In PostgreSQL it is a view.
    view: bool,
}

/// How the rows of a table are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    AccessMethods,
    Activity,
    Aggregates,
    Attributes,
    Casts,
    Classes,
    Collations,
    Conflicts,
    Constraints,
    Cursors,
    DatabaseStatistics,
    Databases,
    DefaultRights,
    Defaults,
    Dependencies,
    Descriptions,
    /// There is nothing of the kind.
    Empty,
    Encrypted,
    FamilyFunctions,
    FamilyOperators,
    Functions,
    Groups,
    IndexStatistics,
    Indexes,
    IndexesShown,
    Languages,
    Locks,
    MaterializedViews,
    Members,
    Namespaces,
    OperatorClasses,
    OperatorFamilies,
    Operators,
    Policies,
    PoliciesShown,
    PreparedStatements,
    RoleDependencies,
    RoleSettings,
    Roles,
    RolesShown,
    Rules,
    Sequences,
    SequencesShown,
    Settings,
    TableStatistics,
    Tables,
    Tablespaces,
    TimeZones,
    Types,
    /// One row of what PostgreSQL counts of a part of itself that is not here.
    Uncounted,
    Users,
    ValueStatistics,
    Views,
}

const fn table(name: &'static str, oid: i64, columns: &'static str, kind: Kind) -> Definition {
    Definition { name, oid, columns, kind, view: false }
}

const fn view(name: &'static str, oid: i64, columns: &'static str, kind: Kind) -> Definition {
    Definition { name, oid, columns, kind, view: true }
}

/// What tells of passwords, and what PostgreSQL calls it.
const OF_PASSWORDS: &[(&str, &str)] = &[("pg_authid", "table"), ("pg_shadow", "view")];

pub(crate) fn is_of_passwords(table: &str) -> bool {
    OF_PASSWORDS.iter().any(|(known, _)| *known == table)
}

/// All of them. Adding one is a line here, its columns, and, unless it is empty, a function that gives its rows.
const TABLES: &[Definition] = &[
    table("pg_aggregate", 2600, columns::PG_AGGREGATE, Kind::Aggregates),
    table("pg_am", 2601, columns::PG_AM, Kind::AccessMethods),
    table("pg_amop", 2602, columns::PG_AMOP, Kind::FamilyOperators),
    table("pg_amproc", 2603, columns::PG_AMPROC, Kind::FamilyFunctions),
    table("pg_attrdef", 2604, columns::PG_ATTRDEF, Kind::Defaults),
    table("pg_attribute", 1249, columns::PG_ATTRIBUTE, Kind::Attributes),
    table("pg_auth_members", 1261, columns::PG_AUTH_MEMBERS, Kind::Members),
    table("pg_authid", 1260, columns::PG_AUTHID, Kind::Roles),
    table("pg_cast", 2605, columns::PG_CAST, Kind::Casts),
    table("pg_class", 1259, columns::PG_CLASS, Kind::Classes),
    table("pg_collation", 3456, columns::PG_COLLATION, Kind::Collations),
    table("pg_constraint", 2606, columns::PG_CONSTRAINT, Kind::Constraints),
    table("pg_conversion", 2607, columns::PG_CONVERSION, Kind::Empty),
    table("pg_database", 1262, columns::PG_DATABASE, Kind::Databases),
    table("pg_db_role_setting", 2964, columns::PG_DB_ROLE_SETTING, Kind::RoleSettings),
    table("pg_default_acl", 826, columns::PG_DEFAULT_ACL, Kind::DefaultRights),
    table("pg_depend", 2608, columns::PG_DEPEND, Kind::Dependencies),
    table("pg_description", 2609, columns::PG_DESCRIPTION, Kind::Descriptions),
    table("pg_enum", 3501, columns::PG_ENUM, Kind::Empty),
    table("pg_event_trigger", 3466, columns::PG_EVENT_TRIGGER, Kind::Empty),
    table("pg_extension", 3079, columns::PG_EXTENSION, Kind::Empty),
    table("pg_foreign_data_wrapper", 2328, columns::PG_FOREIGN_DATA_WRAPPER, Kind::Empty),
    table("pg_foreign_server", 1417, columns::PG_FOREIGN_SERVER, Kind::Empty),
    table("pg_foreign_table", 3118, columns::PG_FOREIGN_TABLE, Kind::Empty),
    table("pg_index", 2610, columns::PG_INDEX, Kind::Indexes),
    table("pg_inherits", 2611, columns::PG_INHERITS, Kind::Empty),
    table("pg_init_privs", 3394, columns::PG_INIT_PRIVS, Kind::Empty),
    table("pg_language", 2612, columns::PG_LANGUAGE, Kind::Languages),
    table("pg_largeobject_metadata", 2995, columns::PG_LARGEOBJECT_METADATA, Kind::Empty),
    table("pg_namespace", 2615, columns::PG_NAMESPACE, Kind::Namespaces),
    table("pg_opclass", 2616, columns::PG_OPCLASS, Kind::OperatorClasses),
    table("pg_operator", 2617, columns::PG_OPERATOR, Kind::Operators),
    table("pg_opfamily", 2753, columns::PG_OPFAMILY, Kind::OperatorFamilies),
    table("pg_parameter_acl", 6243, columns::PG_PARAMETER_ACL, Kind::Empty),
    table("pg_partitioned_table", 3350, columns::PG_PARTITIONED_TABLE, Kind::Empty),
    table("pg_policy", 3256, columns::PG_POLICY, Kind::Policies),
    table("pg_proc", 1255, columns::PG_PROC, Kind::Functions),
    table("pg_publication", 6104, columns::PG_PUBLICATION, Kind::Empty),
    table("pg_publication_namespace", 6237, columns::PG_PUBLICATION_NAMESPACE, Kind::Empty),
    table("pg_publication_rel", 6106, columns::PG_PUBLICATION_REL, Kind::Empty),
    table("pg_range", 3541, columns::PG_RANGE, Kind::Empty),
    table("pg_rewrite", 2618, columns::PG_REWRITE, Kind::Rules),
    table("pg_seclabel", 3596, columns::PG_SECLABEL, Kind::Empty),
    table("pg_sequence", 2224, columns::PG_SEQUENCE, Kind::Sequences),
    table("pg_shdepend", 1214, columns::PG_SHDEPEND, Kind::RoleDependencies),
    table("pg_shdescription", 2396, columns::PG_SHDESCRIPTION, Kind::Empty),
    table("pg_statistic_ext", 3381, columns::PG_STATISTIC_EXT, Kind::Empty),
    table("pg_statistic_ext_data", 3429, columns::PG_STATISTIC_EXT_DATA, Kind::Empty),
    table("pg_subscription", 6100, columns::PG_SUBSCRIPTION, Kind::Empty),
    table("pg_tablespace", 1213, columns::PG_TABLESPACE, Kind::Tablespaces),
    table("pg_transform", 3576, columns::PG_TRANSFORM, Kind::Empty),
    table("pg_trigger", 2620, columns::PG_TRIGGER, Kind::Empty),
    table("pg_ts_config", 3602, columns::PG_TS_CONFIG, Kind::Empty),
    table("pg_ts_config_map", 3603, columns::PG_TS_CONFIG_MAP, Kind::Empty),
    table("pg_ts_dict", 3600, columns::PG_TS_DICT, Kind::Empty),
    table("pg_ts_parser", 3601, columns::PG_TS_PARSER, Kind::Empty),
    table("pg_ts_template", 3764, columns::PG_TS_TEMPLATE, Kind::Empty),
    table("pg_type", 1247, columns::PG_TYPE, Kind::Types),
    table("pg_user_mapping", 1418, columns::PG_USER_MAPPING, Kind::Empty),
    table("pg_largeobject", 2613, columns::PG_LARGEOBJECT, Kind::Empty),
    table("pg_replication_origin", 6000, columns::PG_REPLICATION_ORIGIN, Kind::Empty),
    table("pg_shseclabel", 3592, columns::PG_SHSECLABEL, Kind::Empty),
    table("pg_statistic", 2619, columns::PG_STATISTIC, Kind::Empty),
    table("pg_subscription_rel", 6102, columns::PG_SUBSCRIPTION_REL, Kind::Empty),
    view("pg_roles", 12001, columns::PG_ROLES, Kind::RolesShown),
    view("pg_user", 12002, columns::PG_USER, Kind::Users),
    view("pg_shadow", 12003, columns::PG_SHADOW, Kind::Users),
    view("pg_group", 12004, columns::PG_GROUP, Kind::Groups),
    view("pg_policies", 12005, columns::PG_POLICIES, Kind::PoliciesShown),
    view("pg_rules", 12006, columns::PG_RULES, Kind::Empty),
    view("pg_views", 12007, columns::PG_VIEWS, Kind::Views),
    view("pg_tables", 12008, columns::PG_TABLES, Kind::Tables),
    view("pg_matviews", 12009, columns::PG_MATVIEWS, Kind::MaterializedViews),
    view("pg_indexes", 12010, columns::PG_INDEXES, Kind::IndexesShown),
    view("pg_sequences", 12011, columns::PG_SEQUENCES, Kind::SequencesShown),
    view("pg_settings", 12012, columns::PG_SETTINGS, Kind::Settings),
    view("pg_locks", 12013, columns::PG_LOCKS, Kind::Locks),
    view("pg_stat_activity", 12014, columns::PG_STAT_ACTIVITY, Kind::Activity),
    view("pg_stat_user_tables", 12015, columns::PG_STAT_USER_TABLES, Kind::TableStatistics),
    view("pg_publication_tables", 12016, columns::PG_PUBLICATION_TABLES, Kind::Empty),
    view("pg_cursors", 12017, columns::PG_CURSORS, Kind::Cursors),
    view("pg_prepared_xacts", 12018, columns::PG_PREPARED_XACTS, Kind::Empty),
    view("pg_prepared_statements", 12019, columns::PG_PREPARED_STATEMENTS, Kind::PreparedStatements),
    view("pg_available_extensions", 12020, columns::PG_AVAILABLE_EXTENSIONS, Kind::Empty),
    view("pg_user_mappings", 12021, columns::PG_USER_MAPPINGS, Kind::Empty),
    view("pg_seclabels", 12022, columns::PG_SECLABELS, Kind::Empty),
    view("pg_available_extension_versions", 12023, columns::PG_AVAILABLE_EXTENSION_VERSIONS, Kind::Empty),
    view("pg_backend_memory_contexts", 12024, columns::PG_BACKEND_MEMORY_CONTEXTS, Kind::Empty),
    view("pg_config", 12025, columns::PG_CONFIG, Kind::Empty),
    view("pg_file_settings", 12026, columns::PG_FILE_SETTINGS, Kind::Empty),
    view("pg_hba_file_rules", 12027, columns::PG_HBA_FILE_RULES, Kind::Empty),
    view("pg_ident_file_mappings", 12028, columns::PG_IDENT_FILE_MAPPINGS, Kind::Empty),
    view("pg_replication_origin_status", 12029, columns::PG_REPLICATION_ORIGIN_STATUS, Kind::Empty),
    view("pg_replication_slots", 12030, columns::PG_REPLICATION_SLOTS, Kind::Empty),
    view("pg_shmem_allocations", 12031, columns::PG_SHMEM_ALLOCATIONS, Kind::Empty),
    view("pg_stat_all_indexes", 12032, columns::PG_STAT_USER_INDEXES, Kind::IndexStatistics),
    view("pg_stat_all_tables", 12033, columns::PG_STAT_USER_TABLES, Kind::TableStatistics),
    view("pg_stat_archiver", 12034, columns::PG_STAT_ARCHIVER, Kind::Uncounted),
    view("pg_stat_bgwriter", 12035, columns::PG_STAT_BGWRITER, Kind::Uncounted),
    view("pg_stat_database", 12036, columns::PG_STAT_DATABASE, Kind::DatabaseStatistics),
    view("pg_stat_database_conflicts", 12037, columns::PG_STAT_DATABASE_CONFLICTS, Kind::Conflicts),
    view("pg_stat_gssapi", 12038, columns::PG_STAT_GSSAPI, Kind::Empty),
    view("pg_stat_progress_analyze", 12039, columns::PG_STAT_PROGRESS_ANALYZE, Kind::Empty),
    view("pg_stat_progress_basebackup", 12040, columns::PG_STAT_PROGRESS_BASEBACKUP, Kind::Empty),
    view("pg_stat_progress_cluster", 12041, columns::PG_STAT_PROGRESS_CLUSTER, Kind::Empty),
    view("pg_stat_progress_copy", 12042, columns::PG_STAT_PROGRESS_COPY, Kind::Empty),
    view("pg_stat_progress_create_index", 12043, columns::PG_STAT_PROGRESS_CREATE_INDEX, Kind::Empty),
    view("pg_stat_progress_vacuum", 12044, columns::PG_STAT_PROGRESS_VACUUM, Kind::Empty),
    view("pg_stat_recovery_prefetch", 12045, columns::PG_STAT_RECOVERY_PREFETCH, Kind::Uncounted),
    view("pg_stat_replication", 12046, columns::PG_STAT_REPLICATION, Kind::Empty),
    view("pg_stat_replication_slots", 12047, columns::PG_STAT_REPLICATION_SLOTS, Kind::Empty),
    view("pg_stat_slru", 12048, columns::PG_STAT_SLRU, Kind::Empty),
    view("pg_stat_ssl", 12049, columns::PG_STAT_SSL, Kind::Encrypted),
    view("pg_stat_subscription", 12050, columns::PG_STAT_SUBSCRIPTION, Kind::Empty),
    view("pg_stat_subscription_stats", 12051, columns::PG_STAT_SUBSCRIPTION_STATS, Kind::Empty),
    view("pg_stat_sys_indexes", 12052, columns::PG_STAT_USER_INDEXES, Kind::Empty),
    view("pg_stat_sys_tables", 12053, columns::PG_STAT_USER_TABLES, Kind::Empty),
    view("pg_stat_user_functions", 12054, columns::PG_STAT_USER_FUNCTIONS, Kind::Empty),
    view("pg_stat_user_indexes", 12055, columns::PG_STAT_USER_INDEXES, Kind::IndexStatistics),
    view("pg_stat_wal", 12056, columns::PG_STAT_WAL, Kind::Uncounted),
    view("pg_stat_wal_receiver", 12057, columns::PG_STAT_WAL_RECEIVER, Kind::Empty),
    view("pg_stat_xact_all_tables", 12058, columns::PG_STAT_XACT_USER_TABLES, Kind::Empty),
    view("pg_stat_xact_sys_tables", 12059, columns::PG_STAT_XACT_USER_TABLES, Kind::Empty),
    view("pg_stat_xact_user_functions", 12060, columns::PG_STAT_USER_FUNCTIONS, Kind::Empty),
    view("pg_stat_xact_user_tables", 12061, columns::PG_STAT_XACT_USER_TABLES, Kind::Empty),
    view("pg_statio_all_indexes", 12062, columns::PG_STATIO_USER_INDEXES, Kind::Empty),
    view("pg_statio_all_sequences", 12063, columns::PG_STATIO_USER_SEQUENCES, Kind::Empty),
    view("pg_statio_all_tables", 12064, columns::PG_STATIO_USER_TABLES, Kind::Empty),
    view("pg_statio_sys_indexes", 12065, columns::PG_STATIO_USER_INDEXES, Kind::Empty),
    view("pg_statio_sys_sequences", 12066, columns::PG_STATIO_USER_SEQUENCES, Kind::Empty),
    view("pg_statio_sys_tables", 12067, columns::PG_STATIO_USER_TABLES, Kind::Empty),
    view("pg_statio_user_indexes", 12068, columns::PG_STATIO_USER_INDEXES, Kind::Empty),
    view("pg_statio_user_sequences", 12069, columns::PG_STATIO_USER_SEQUENCES, Kind::Empty),
    view("pg_statio_user_tables", 12070, columns::PG_STATIO_USER_TABLES, Kind::Empty),
    view("pg_stats", 12071, columns::PG_STATS, Kind::ValueStatistics),
    view("pg_stats_ext", 12072, columns::PG_STATS_EXT, Kind::Empty),
    view("pg_stats_ext_exprs", 12073, columns::PG_STATS_EXT_EXPRS, Kind::Empty),
    view("pg_timezone_abbrevs", 12074, columns::PG_TIMEZONE_ABBREVS, Kind::Empty),
    view("pg_timezone_names", 12075, columns::PG_TIMEZONE_NAMES, Kind::TimeZones),
];

impl Definition {
    /// The letter that `relkind` has for it.
    fn kind(&self) -> &'static str {
        if self.view { "v" } else { "r" }
    }
}

/// Whether a name without a schema means a table of `pg_catalog`, which is looked into before any other schema.
pub(crate) fn is_table(name: &str) -> bool {
    TABLES.iter().any(|table| table.name == name)
}

/// The object id of a table of `pg_catalog`.
pub(crate) fn oid_of(name: &str) -> Option<i64> {
    TABLES.iter().find(|table| table.name == name).map(|table| table.oid)
}

/// The object id of a table or view, and the number of a column of it. `place`: where that is among its columns.
pub(crate) fn column_origin(snapshot: &Snapshot, name: &TableName, column: &str, place: usize) -> Option<(i64, i64)> {
    let number = i64::try_from(place).ok()? + 1;
    if name.schema == "pg_catalog" {
        return Some((oid_of(&name.table)?, number));
    }
    if let Some(table) = snapshot.table(name) {
        let column = table.top_columns().find(|known| known.name == column)?;
        return Some((oids::of(table.known_id(), 0), directory::number(column)));
    }
    Some((oids::of(snapshot.view(name)?.id, 0), number))
}

/// The columns of the table with an object id.
fn columns_of(oid: i64) -> Option<&'static str> {
    TABLES.iter().find(|table| table.oid == oid).map(|table| table.columns)
}

/// The schema in one statement.
pub(crate) struct PgCatalog {
    pub world: World,
    pub views: Arc<dyn Views>,
}

impl fmt::Debug for PgCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PgCatalog")
    }
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|table| table.name.to_owned()).collect()
    }

    fn table_exist(&self, name: &str) -> bool {
        is_table(name)
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(definition) = TABLES.iter().find(|table| table.name == name) else { return Ok(None) };
        if let Some((_, word)) = OF_PASSWORDS.iter().find(|(table, _)| *table == name)
            && !self.world.who().superuser
        {
            return Err(external(denied(word, name, "superusers may; pg_roles tells of roles")));
        }
        let schema: Schema = row::schema(definition.columns);
        let (world, views) = (self.world.clone(), Arc::clone(&self.views));
        Ok(Some(Arc::new(Table { definition, schema: Arc::new(schema), world, views })))
    }
}

struct Table {
    definition: &'static Definition,
    schema: SchemaRef,
    world: World,
    views: Arc<dyn Views>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.definition.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        if self.definition.view { TableType::View } else { TableType::Base }
    }

    /// To know the columns of a view takes planning it, so a query about one relation need not do that for all.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let taken = match self.definition.kind {
            Kind::Attributes => TableProviderFilterPushDown::Inexact,
            _ => TableProviderFilterPushDown::Unsupported,
        };
        Ok(vec![taken; filters.len()])
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let only = filters.iter().find_map(|filter| wanted(filter, "attrelid"));
        let planned = |name: &str| {
            let place = self.schema.index_of(name).ok();
            projection.is_none_or(|wanted| wanted.iter().any(|at| Some(*at) == place))
        };
        let columns = self.rows(only, planned("relnatts")).await.map_err(external)?;
        memory(&self.schema, columns, projection)
    }
}

/// The only object id that a condition lets through in a column.
fn wanted(filter: &Expr, column: &str) -> Option<i64> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let is_column = |expr: &Expr| match expr {
        Expr::Column(found) => found.name == column,
        Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Column(found) if found.name == column),
        _ => false,
    };
    let value = match (is_column(left), is_column(right)) {
        (true, false) => right,
        (false, true) => left,
        _ => return None,
    };
    let Expr::Literal(value, _) = value.as_ref() else { return None };
    match value {
        ScalarValue::Int64(oid) => *oid,
        other => other.try_as_str().flatten().and_then(|text| text.parse().ok()),
    }
}

impl Table {
    /// `planned`: what takes planning views is asked for.
    async fn rows(&self, only: Option<i64>, planned: bool) -> Result<Vec<ArrayRef>> {
        let world = &self.world;
        match self.definition.kind {
            Kind::AccessMethods => schemas::access_methods(),
            Kind::Activity => activity::running(world),
            Kind::Aggregates => programs::aggregates(world),
            Kind::Attributes => attributes::rows(world, self.views.as_ref(), only).await,
            Kind::Casts => builtin::cast_rows(),
            Kind::Classes => relations::classes(world, self.views.as_ref(), planned).await,
            Kind::Collations => schemas::collations(),
            Kind::Constraints => constraints::rows(world),
            Kind::Cursors => activity::cursors(world),
            Kind::Conflicts => measured::conflicts(),
            Kind::DatabaseStatistics => measured::database(world),
            Kind::Databases => schemas::databases(world),
            Kind::DefaultRights => roles::defaults(world),
            Kind::Defaults => attributes::defaults(world),
            Kind::Dependencies => dependencies::rows(world),
            Kind::Descriptions => dependencies::descriptions(world),
            Kind::Empty => Rows::new(self.definition.columns).finish(),
            Kind::Encrypted => activity::encrypted(world),
            Kind::FamilyFunctions => builtin::family_functions(),
            Kind::FamilyOperators => builtin::family_operators(),
            Kind::Functions => programs::rows(world),
            Kind::Groups => roles::groups(world),
            Kind::IndexStatistics => measured::indexes(world),
            Kind::Indexes => relations::indexes(world),
            Kind::IndexesShown => views::indexes(world),
            Kind::Languages => schemas::languages(),
            Kind::Locks => activity::locks(world),
            Kind::MaterializedViews => views::materialized(world),
            Kind::Members => roles::members(world),
            Kind::Namespaces => schemas::namespaces(world),
            Kind::OperatorClasses => schemas::operator_classes(),
            Kind::OperatorFamilies => schemas::operator_families(),
            Kind::Operators => builtin::operator_rows(),
            Kind::Policies => policies::stored(world),
            Kind::PoliciesShown => policies::shown(world),
            Kind::PreparedStatements => activity::prepared(world),
            Kind::RoleDependencies => dependencies::on_roles(world),
            Kind::RoleSettings => roles::role_settings(world),
            Kind::Roles => roles::stored(world),
            Kind::RolesShown => roles::shown(world),
            Kind::Rules => dependencies::rules(world),
            Kind::Sequences => relations::sequences(world),
            Kind::SequencesShown => views::sequences(world),
            Kind::Settings => activity::settings(world),
            Kind::TableStatistics => views::statistics(world),
            Kind::Tables => views::tables(world),
            Kind::Tablespaces => schemas::tablespaces(),
            Kind::TimeZones => measured::zones(),
            Kind::Types => types::rows(world.directory()),
            Kind::Uncounted => measured::uncounted(self.definition.columns),
            Kind::Users => roles::users(world, self.definition.columns),
            Kind::ValueStatistics => measured::values(world),
            Kind::Views => views::views(world),
        }
    }
}

#[cfg(test)]
mod tests;
