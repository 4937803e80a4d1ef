//! What a table promises beyond the types of its columns: keys, checks, identities, and the indexes asked for.
//!
//! The rules of a table are one tag of it (`polder_rules`, JSON) in the catalog: so they have versions as the columns
//! have, go with the table when it is dropped, and are passed over by programs that do not know them.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use polder_types::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{Access, Unowned};
use crate::conform::{is_overflow, nullable, stored};
use crate::error::own;
use crate::logical::{self, logical_batch};
use crate::model::{Snapshot, TableState};
use crate::names::TableName;
use crate::references::{Broken, ForeignKey, Reference};

/// The tag's name.
pub(crate) const TAG: &str = "polder_rules";

/// Columns of a row that an error shows, and characters of each value.
const SHOWN_COLUMNS: usize = 100;
const SHOWN_CHARS: usize = 64;

/// The rules of one table. Columns are named by their ids, so that a rename leaves them as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableRules {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<ComputedDefault>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// Columns whose values are always computed from the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generated: Vec<ComputedDefault>,
    /// Set on a materialized view's table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialized: Option<Materialized>,
    /// It was asked for as `UNLOGGED`, which is told to whoever asks: its commits are as durable as all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    /// The id that the table had before it was moved into another schema, where it is another one to the lake. Whoever holds
    /// its object id goes on finding it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_as: Option<i64>,
}

/// No two rows have the same values in these columns. Rows with a missing value in one of them count as different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    pub name: String,
    pub columns: Vec<i64>,
    /// The table's one PRIMARY KEY.
    #[serde(default)]
    pub primary: bool,
    /// It was made as an index: no constraint goes by its name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub index: bool,
    /// What is said of the constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What is said of the index that it is kept by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_comment: Option<String>,
}

/// A condition that no row makes false.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    pub sql: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A column that is counted up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub column: i64,
    /// An INSERT may not give a value of its own.
    pub always: bool,
    pub start: i64,
    pub step: i64,
}

/// A value that is computed for each row: a default such as `now()`, or a generated column's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComputedDefault {
    pub column: i64,
    pub sql: String,
}

/// An index as asked for: its columns get bloom filters in new files, and OPTIMIZE sorts by them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub name: String,
    pub columns: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What a materialized view is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Materialized {
    pub sql: String,
    /// The version of the lake that its rows were last computed from.
    pub snapshot: Option<i64>,
    /// The tables that it reads, as they were then; none when it can only be computed as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// What its query came to then, with the views and functions that it names put in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plan: String,
    /// Columns behind those of the query that keep what the next refresh needs and the query does not give, such as the
    /// sum and the count behind an average.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// A table as a materialized view has read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub table: i64,
    /// Rows with ids from here on have come since.
    pub next_row_id: i64,
}

impl TableRules {
    /// # Errors
    /// `Corrupt` for a tag that is not what this program wrote.
    pub(crate) fn from_tag(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Corrupt, format!("the rules of a table cannot be read: {error}")).with_source(error)
        })
    }

    /// The tag's text; `None` when there is nothing to keep.
    pub(crate) fn to_tag(&self) -> Result<Option<String>> {
        if *self == Self::default() {
            return Ok(None);
        }
        serde_json::to_string(self).map(Some).map_err(|error| Error::internal(error.to_string()))
    }

    #[must_use]
    pub fn primary_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.primary)
    }

    #[must_use]
    pub fn identity_of(&self, column: i64) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.column == column)
    }

    #[must_use]
    pub fn default_of(&self, column: i64) -> Option<&str> {
        self.defaults.iter().find(|default| default.column == column).map(|default| default.sql.as_str())
    }

    #[must_use]
    pub fn generated_of(&self, column: i64) -> Option<&str> {
        self.generated.iter().find(|generated| generated.column == column).map(|generated| generated.sql.as_str())
    }

    /// Columns whose new files get bloom filters.
    pub(crate) fn indexed(&self) -> impl Iterator<Item = i64> {
        let of_keys = self.keys.iter().flat_map(|key| key.columns.iter());
        of_keys.chain(self.indexes.iter().flat_map(|index| index.columns.iter())).copied()
    }

    /// Whether a name of a constraint or index is taken.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
            || self.foreign_keys.iter().any(|key| key.name == name)
            || self.checks.iter().any(|check| check.name == name)
            || self.indexes.iter().any(|index| index.name == name)
    }

    /// The rules once a column is gone: what stood on it goes with it.
    pub(crate) fn without_column(&self, column: i64) -> Self {
        let mut kept = self.clone();
        kept.keys.retain(|key| !key.columns.contains(&column));
        kept.foreign_keys.retain(|key| !key.columns.contains(&column));
        kept.indexes.retain(|index| !index.columns.contains(&column));
        kept.identities.retain(|identity| identity.column != column);
        kept.defaults.retain(|default| default.column != column);
        kept.generated.retain(|generated| generated.column != column);
        kept
    }

    /// The rules once a column has another id.
    pub(crate) fn with_column(&self, old: i64, new: i64) -> Self {
        let mut kept = self.clone();
        let of_keys = kept.keys.iter_mut().flat_map(|key| key.columns.iter_mut());
        let of_foreign = kept.foreign_keys.iter_mut().flat_map(|key| key.columns.iter_mut());
        let of_indexes = kept.indexes.iter_mut().flat_map(|index| index.columns.iter_mut());
        let of_identities = kept.identities.iter_mut().map(|identity| &mut identity.column);
        let of_defaults = kept.defaults.iter_mut().map(|default| &mut default.column);
        let of_generated = kept.generated.iter_mut().map(|generated| &mut generated.column);
        let all =
            of_keys.chain(of_foreign).chain(of_indexes).chain(of_identities).chain(of_defaults).chain(of_generated);
        for column in all.filter(|column| **column == old) {
            *column = new;
        }
        kept
    }
}

/// Where an identity stands, as far as one version of the table knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdentityPlace {
    pub table: Uuid,
    pub column: i64,
    /// Not before this: the start, or what follows the values that rows have.
    pub from: i64,
    pub step: i64,
}

impl IdentityPlace {
    /// `None` for a column that does not count itself up.
    #[must_use]
    pub fn of(table: &TableState, column: i64) -> Option<Self> {
        let identity = table.rules.identity_of(column)?;
        let (start, step) = (identity.start, identity.step);
        // The bounds that the catalog keeps never become narrower: they know of rows deleted since.
        let range = table.column_stats.get(&column);
        let bound = range.and_then(|range| if step > 0 { range.max.as_deref() } else { range.min.as_deref() });
        let after = bound.and_then(|bound| bound.parse::<i64>().ok()).map(|bound| bound.saturating_add(step));
        let from = match after {
            Some(after) if step > 0 => after.max(start),
            Some(after) => after.min(start),
            None => start,
        };
        Some(Self { table: table.uuid, column, from, step })
    }
}

/// What is done to each batch of a table's columns in order before it is written.
#[derive(Debug, Clone)]
pub enum RowRule {
    /// A CHECK: a condition that no row may make false.
    Check { name: String, expr: Arc<dyn PhysicalExpr> },
    /// A generated column: what is put into the column at this place.
    Generate { column: usize, expr: Arc<dyn PhysicalExpr> },
}

/// Plans what rules say. The lake keeps rules and calls for them at each write; SQL is understood a floor above.
#[async_trait]
pub trait RuleKeeper: fmt::Debug + Send + Sync {
    /// # Errors
    /// When an expression cannot be planned on the table's columns any more.
    fn row_rules(&self, table: &TableState) -> Result<Vec<RowRule>>;

    /// What `DEFAULT` stands for in these columns, each of which has one: expressions of no column, in the same order.
    ///
    /// # Errors
    /// When an expression cannot be planned any more; `Unsupported` by a keeper that plans none.
    fn defaults(
        &self,
        name: &TableName,
        _table: &Arc<TableState>,
        _columns: &[String],
    ) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        Err(Error::unsupported(format!("{name} has defaults, which this program cannot compute"))
            .with_hint("write with SQL"))
    }

    /// The first key that is there twice, as a batch of one row: among the rows of the view when `new` is `None`, in both the view
    /// and `new` (the key's columns, in order) otherwise.
    ///
    /// # Errors
    /// When the table cannot be read.
    async fn duplicate(
        &self,
        view: &Arc<Snapshot>,
        table: &TableName,
        columns: &[String],
        new: Option<&RecordBatch>,
    ) -> Result<Option<RecordBatch>>;

    /// Whose the things are that a transaction has made, by the name of its author, and who may do what with them.
    fn owned(&self, _author: Option<&str>, _made: &[Unowned], _view: &Snapshot) -> Vec<(i64, Access)> {
        Vec::new()
    }

    /// Those of some keys (the columns, in order) that rows of a table have.
    ///
    /// # Errors
    /// When the table cannot be read; `Unsupported` by a keeper that plans nothing.
    async fn found(
        &self,
        _view: &Arc<Snapshot>,
        table: &TableName,
        _columns: &[String],
        _keys: &RecordBatch,
    ) -> Result<Vec<RecordBatch>> {
        Err(Error::unsupported(format!("{table} is referenced, which this program cannot check")))
    }

    /// A row that breaks a foreign key: among those that `rows` has of its table, beside the referenced rows of `view`.
    ///
    /// # Errors
    /// As [`RuleKeeper::found`].
    async fn broken(
        &self,
        _rows: &Arc<Snapshot>,
        _view: &Arc<Snapshot>,
        reference: &Reference,
    ) -> Result<Option<Broken>> {
        Err(Error::unsupported(format!("{:?} is a foreign key, which this program cannot check", reference.key.name)))
    }
}

/// Fills in the generated columns of a batch whose other columns are as they will be stored.
///
/// # Errors
/// `InvalidInput` when an expression fails.
pub(crate) fn generate(rules: &[RowRule], schema: &SchemaRef, columns: &mut [ArrayRef], table: &str) -> Result<()> {
    if !rules.iter().any(|rule| matches!(rule, RowRule::Generate { .. })) {
        return Ok(());
    }
    // NOT NULL is not checked yet.
    let batch = nullable(schema, columns, table)?;
    for rule in rules {
        let RowRule::Generate { column, expr } = rule else { continue };
        let field = schema.field(*column);
        let failed = |error: &DataFusionError| {
            own(error).unwrap_or_else(|| {
                let error = error.to_string();
                let code = if is_overflow(&error) { "22003" } else { "22000" };
                Error::invalid(format!("column {:?} of {table} cannot be computed: {error}", field.name()))
                    .with_code(code)
            })
        };
        let value = expr.evaluate(&batch).map_err(|error| failed(&error))?;
        let value = value.into_array(batch.num_rows()).map_err(|error| failed(&error))?;
        columns[*column] = stored(&value, field, table)?;
    }
    Ok(())
}

/// Refuses a batch (the table's columns, perhaps more behind them) with a row that makes a check false.
pub(crate) fn enforce(rules: &[RowRule], batch: &RecordBatch, table: &str) -> Result<()> {
    if !rules.iter().any(|rule| matches!(rule, RowRule::Check { .. })) {
        return Ok(());
    }
    let batch = &logical_batch(batch, &logical::logical_schema(batch.schema_ref()))?;
    for rule in rules {
        let RowRule::Check { name, expr } = rule else { continue };
        let failed = |error: &dyn fmt::Display| {
            Error::invalid(format!("check {name:?} of {table} cannot be evaluated: {error}")).with_code("22000")
        };
        let value = expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
        let value = value.map_err(|error| own(&error).unwrap_or_else(|| failed(&error)))?;
        let Some(holds) = value.as_boolean_opt() else { return Err(failed(&"it is neither true nor false")) };
        let broken = (0..holds.len()).find(|row| holds.is_valid(*row) && !holds.value(*row));
        if let Some(row) = broken {
            return Err(Error::invalid(format!("new row for relation {table:?} violates check constraint {name:?}"))
                .with_code("23514")
                .with_detail(refused_row(batch, row))
                .of_constraint(name));
        }
    }
    Ok(())
}

/// A refusal that names a constraint or a column, with the table that they are of.
pub(crate) fn with_subject(error: Error, schema: &str, table: &str) -> Error {
    if error.subject().is_some() { error.of_table(schema, table) } else { error }
}

/// What PostgreSQL says of a row that a constraint refuses.
pub(crate) fn refused_row(batch: &RecordBatch, row: usize) -> String {
    // The id that a rewritten row carries along is nothing to a person.
    let own = |at: &usize| !batch.schema_ref().field(*at).name().starts_with("_ducklake_internal");
    let columns: Vec<usize> = (0..batch.num_columns()).filter(own).collect();
    let mut values: Vec<String> =
        columns.iter().take(SHOWN_COLUMNS).map(|at| shown(batch.column(*at).as_ref(), row)).collect();
    if columns.len() > SHOWN_COLUMNS {
        values.push("…".to_owned());
    }
    format!("Failing row contains ({}).", values.join(", "))
}

/// A key with its values, as PostgreSQL writes it: `(a, b)=(1, x)`.
pub(crate) fn shown_key(key: &RecordBatch, row: usize) -> String {
    let is_plain = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '_');
    let name = |name: &String| if name.chars().all(is_plain) { name.clone() } else { format!("{name:?}") };
    let names: Vec<String> = key.schema_ref().fields().iter().map(|field| name(field.name())).collect();
    format!("({})=({})", names.join(", "), values(key, row))
}

/// The values of one row: `1, x`.
#[must_use]
pub fn values(batch: &RecordBatch, row: usize) -> String {
    batch.columns().iter().map(|column| shown(column.as_ref(), row)).collect::<Vec<_>>().join(", ")
}

/// One value as PostgreSQL writes it, cut short when it is long.
fn shown(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    if let Some(values) = column.as_boolean_opt() {
        return if values.value(row) { "t" } else { "f" }.to_owned();
    }
    let options = FormatOptions::default().with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"));
    let formatter = ArrayFormatter::try_new(column, &options).ok();
    let value = formatter.and_then(|formatter| formatter.value(row).try_to_string().ok()).unwrap_or_default();
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value,
    }
}
