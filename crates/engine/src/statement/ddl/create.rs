//! CREATE TABLE.

use arrow::datatypes::DataType;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, ColumnDef, ColumnOption, CreateTable, CreateTableLikeKind, CreateTableOptions,
    DataType as SqlType, ExactNumberInfo, Statement,
};
use futures::StreamExt;
use polder_lake::{ColumnSpec, TableName, TableRules, TextLength, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::names_out::{MARK, number_inside, number_stars, plain};
use super::super::{Context, ended};
use super::columns::of_default;
use super::foreign;
use super::rules::Draft;
use crate::error::from_datafusion;
use crate::functions::types;
use crate::rewrite::whole_numbers;
use crate::scope::Scope;
use crate::semantics::{settled, with_lengths};
use crate::session::Outcome;

/// What to do about views that read columns which a table that is replaced has no more.
pub(in super::super) const REPLACED: &str = "keep the columns that it reads, or drop it first";

impl Context<'_> {
    pub(super) async fn create_table(&self, cell: &TransactionCell, create: &CreateTable) -> Result<Outcome> {
        let name = self.name(&create.name)?;
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            self.settings.temporary.prepare(transaction, &name)?;
            let exists = transaction.table(&name).is_some();
            if exists && create.if_not_exists {
                let verb = if create.query.is_some() { "CREATE TABLE AS" } else { "CREATE TABLE" };
                return Ok(Outcome::done(verb, None, transaction.base()).skips("42P07", "relation", &name.table));
            }
            if exists && !create.or_replace {
                return Err(Error::new(polder_types::ErrorKind::AlreadyExists, format!("table {name} exists already"))
                    .with_hint("use CREATE OR REPLACE TABLE, CREATE TABLE IF NOT EXISTS, or another name"));
            }
        }
        if let Some(like) = &create.like {
            return self.create_as_another(cell, &name, create, like).await;
        }
        // Planned before anything is dropped: the query may well read the table that it replaces.
        let scope = self.writing_scope(cell).await?;
        let mut create = create.clone();
        let mut draft = Draft::take(&mut create)?;
        check_plain(&create)?;
        let create = &create;
        let (specs, plan) = self.plan_table(&scope, create, &mut draft).await?;
        let no_rows = plan.is_some() && self.extras.no_data;
        let rows = match plan.filter(|_| !no_rows) {
            Some(plan) => Some(self.execute(&scope, plan).await?),
            None => None,
        };
        let mut replaced = false;
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            if create.or_replace && transaction.table(&name).is_some() {
                foreign::release(transaction, &name, false, &[])?;
                transaction.drop_table(&name)?;
                replaced = true;
            }
            let table = transaction.create_table_with(&name, &specs, None)?;
            let foreign = std::mem::take(&mut draft.foreign);
            if !draft.is_empty() {
                let rules = draft.onto(self.engine, &table)?;
                transaction.set_rules(&name, rules)?;
            }
            self.declare_foreign(transaction, &name, foreign)?;
            if self.extras.unlogged
                && let Some(table) = transaction.table(&name)
            {
                transaction.set_rules(&name, TableRules { unlogged: true, ..table.rules.as_ref().clone() })?;
            }
        }
        if self.has_layout() {
            self.set_layout(cell, &name).await?;
        }
        if replaced {
            self.check_views(cell, &name, false, REPLACED).await?;
        }
        let outcome = match rows {
            None if no_rows => Outcome::done("CREATE TABLE AS", None, scope.snapshot.id),
            None => Outcome::done("CREATE TABLE", None, scope.snapshot.id),
            Some(rows) => Outcome::done("SELECT", Some(fill(cell, &name, rows).await?), scope.snapshot.id),
        };
        Ok(match self.extras.unlogged {
            true => outcome.notice("UNLOGGED makes no difference: each commit is durable"),
            false => outcome,
        })
    }

    /// `CREATE TABLE … (LIKE another)`
    async fn create_as_another(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        create: &CreateTable,
        like: &CreateTableLikeKind,
    ) -> Result<Outcome> {
        let (CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like)) = like;
        let mut plain = create.clone();
        plain.like = None;
        check_plain(&plain)?;
        if like.defaults.is_some() || !create.columns.is_empty() {
            return Err(Error::unsupported("LIKE beside other columns is not supported")
                .with_hint("CREATE TABLE t (LIKE another INCLUDING ALL), then ALTER TABLE t ADD COLUMN …"));
        }
        let mut replaced = false;
        if create.or_replace {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            if transaction.table(name).is_some() {
                foreign::release(transaction, name, false, &[])?;
                transaction.drop_table(name)?;
                replaced = true;
            }
        }
        self.create_like(cell, name, &like.name, &self.extras.including).await?;
        if self.has_layout() {
            self.set_layout(cell, name).await?;
        }
        if replaced {
            self.check_views(cell, name, false, REPLACED).await?;
        }
        let guard = cell.lock().await;
        Ok(Outcome::done("CREATE TABLE", None, guard.as_ref().ok_or_else(ended)?.base()))
    }

    /// The columns that a CREATE TABLE names, or those of its query, and the query's plan.
    async fn plan_table(
        &self,
        scope: &Scope,
        create: &CreateTable,
        draft: &mut Draft,
    ) -> Result<(Vec<ColumnSpec>, Option<LogicalPlan>)> {
        // Given another name, since DataFusion need not know whether this one is taken.
        let mut asked = create.clone();
        asked.or_replace = false;
        asked.if_not_exists = false;
        // Columns of one name are told apart, to be refused by their name. By a name in ORDER BY they may be meant.
        if let Some(query) = asked.query.as_mut().filter(|query| query.order_by.is_none()) {
            number_stars(query.body.as_mut());
            number_inside(query);
        }
        let statement = Parsed::Statement(Box::new(Statement::CreateTable(asked)));
        let plan = whole_numbers::plan(&scope.state, statement).await.map_err(|error| match &create.query {
            Some(_) => from_datafusion(error),
            None => of_default(from_datafusion(error)),
        })?;
        let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(table)) = plan else {
            return Err(Error::internal("CREATE TABLE planned as something else"));
        };
        let from_query = create.query.is_some();
        let input = table.input.as_ref().clone();
        let planned = if from_query { with_lengths(input).map_err(from_datafusion)? } else { input };
        let fields = match from_query {
            true => settled(&scope.state, &planned).map_err(from_datafusion)?,
            false => planned.schema().fields().iter().cloned().collect(),
        };
        let mut specs: Vec<ColumnSpec> = fields
            .iter()
            .map(|field| {
                // What a query gives may be known to be never missing; that is no promise about later rows.
                let nullable = field.is_nullable() || (from_query && create.columns.is_empty());
                spec_of(field, nullable)
            })
            .collect();
        if let Some(twice) = specs.iter().find(|spec| spec.name.contains(MARK)) {
            return Err(Error::invalid(format!("column {:?} is there twice", plain(&twice.name)))
                .with_code("42701")
                .with_hint("give one of them another name with AS"));
        }
        for definition in &create.columns {
            let name = super::column(&definition.name);
            if let Some(spec) = specs.iter_mut().find(|spec| spec.name == name) {
                name_text(spec, &definition.data_type);
            }
        }
        for (column, default) in &table.column_defaults {
            let Some(spec) = specs.iter_mut().find(|spec| spec.name == *column) else { continue };
            match self.literal(default, column, &spec.data_type, spec.declared.as_deref()) {
                Ok(text) => spec.default = Some(text),
                Err(error) if error.kind() == ErrorKind::Unsupported => draft.add_default(column, create)?,
                Err(error) => return Err(error),
            }
        }
        Ok((specs, from_query.then(|| table.input.as_ref().clone())))
    }
}

/// Texts that go by the name with which they are declared: `varchar` without a length, and JSON.
pub(super) fn name_text(spec: &mut ColumnSpec, data_type: &SqlType) {
    let name = match data_type {
        SqlType::Varchar(None) | SqlType::CharacterVarying(None) | SqlType::CharVarying(None) => "varchar",
        SqlType::JSON => polder_lake::JSON,
        SqlType::JSONB => polder_lake::JSONB,
        SqlType::Array(_) => match innermost(data_type) {
            SqlType::JSON => polder_lake::JSON_LIST,
            SqlType::JSONB => polder_lake::JSONB_LIST,
            _ => return,
        },
        _ => return,
    };
    spec.declared = Some(name.into());
}

/// What the elements of an array are, however deep.
fn innermost(data_type: &SqlType) -> &SqlType {
    match data_type {
        SqlType::Array(ArrayElemTypeDef::AngleBracket(item) | ArrayElemTypeDef::SquareBracket(item, _)) => {
            innermost(item)
        }
        other => other,
    }
}

/// Refuses what no column can keep: numbers with more digits than a lake's files and DuckDB have, which could read no table of
/// the lake then, and lengths of texts in arrays, for which the catalog has no place.
pub(super) fn check_declared(column: &str, data_type: &SqlType) -> Result<()> {
    check_digits(column, innermost(data_type))?;
    if !matches!(data_type, SqlType::Array(_)) {
        return Ok(());
    }
    let has_length = match innermost(data_type) {
        SqlType::Varchar(length) | SqlType::CharacterVarying(length) | SqlType::CharVarying(length) => {
            matches!(length, Some(CharacterLength::IntegerLength { .. }))
        }
        // A bare `char` is one character long.
        SqlType::Char(_) | SqlType::Character(_) => true,
        _ => false,
    };
    if has_length {
        return Err(Error::unsupported(format!(
            "column {column:?}: {data_type} is not supported, since the length of elements is not kept"
        ))
        .with_hint("text[], and a CHECK of the elements' length"));
    }
    Ok(())
}

fn check_digits(column: &str, data_type: &SqlType) -> Result<()> {
    let (SqlType::Numeric(digits) | SqlType::Decimal(digits) | SqlType::Dec(digits)) = data_type else { return Ok(()) };
    let (precision, scale) = match digits {
        ExactNumberInfo::None => return Ok(()),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if precision == 0 {
        return Err(Error::invalid("NUMERIC precision 0 must be between 1 and 38").with_code("22023"));
    }
    if precision > 38 || !u64::try_from(scale).is_ok_and(|scale| scale <= precision) {
        return Err(Error::unsupported(format!("column {column:?}: {data_type} is not supported")).with_hint(
            "a column's numbers have 38 digits at most, none to as many of them behind the point; a double or a text has more",
        ));
    }
    Ok(())
}

/// A column as planned, with what its declaration says beyond the type.
pub(super) fn spec_of(field: &arrow::datatypes::Field, nullable: bool) -> ColumnSpec {
    // A sum may have more digits than a column; writing tells if one needs them.
    let data_type = match field.data_type() {
        wide @ DataType::Decimal256(_, scale) if (0..=38).contains(scale) => types::as_decimal(wide),
        other => other.clone(),
    };
    let mut spec = ColumnSpec::new(field.name(), data_type, nullable);
    let declared = field.metadata().get(polder_lake::DECLARED).cloned();
    let of_another = |declared: &str| TextLength::of(declared).is_some() && TextLength::of_field(field).is_none();
    spec.declared = declared.filter(|declared| declared != types::TEXT && !of_another(declared));
    if spec.declared.is_none() && types::is_json(field) {
        // What a query computes of JSON has the form that jsonb has.
        spec.declared = Some(polder_lake::JSONB.to_owned());
    }
    if let Some(list @ (polder_lake::JSON_LIST | polder_lake::JSONB_LIST)) = types::catalog_type(field) {
        spec.declared = Some(list.to_owned());
    }
    spec
}

/// Streams a query's rows into a table just made.
pub(super) async fn fill(
    cell: &TransactionCell,
    name: &TableName,
    mut rows: datafusion::execution::SendableRecordBatchStream,
) -> Result<u64> {
    let mut writer = {
        let guard = cell.lock().await;
        guard.as_ref().ok_or_else(ended)?.append(name)?
    };
    while let Some(batch) = rows.next().await {
        writer.write(batch.map_err(from_datafusion)?).await?;
    }
    let files = writer.finish().await?;
    let mut guard = cell.lock().await;
    let transaction = guard.as_mut().ok_or_else(ended)?;
    let rows = transaction.add_files(name, files)?;
    transaction.verify_keys().await?;
    Ok(rows)
}

/// Refuses every option that would be accepted and then ignored.
fn check_plain(create: &CreateTable) -> Result<()> {
    create.columns.iter().try_for_each(check_column)?;
    let plain = CreateTableBuilder::new(create.name.clone())
        .columns(create.columns.clone())
        .query(create.query.clone())
        .if_not_exists(create.if_not_exists)
        .or_replace(create.or_replace)
        .build();
    if Statement::CreateTable(create.clone()).to_string() != Statement::CreateTable(plain).to_string() {
        let (what, hint) = other_option(create);
        return Err(Error::unsupported(format!("CREATE TABLE … {what} is not supported")).with_hint(hint));
    }
    Ok(())
}

/// What a CREATE TABLE asks for that is not there, and what there is instead.
fn other_option(create: &CreateTable) -> (&'static str, &'static str) {
    let leave = "leave it out: data stands in files that OPTIMIZE sorts and merges";
    let sorted = "CLUSTER BY (a) orders a table's files, PARTITIONED BY (b) parts them";
    match create {
        _ if create.inherits.is_some() => {
            ("INHERITS", "LIKE other INCLUDING ALL takes over columns, a view shows both tables")
        }
        _ if create.partition_by.is_some() => ("PARTITION BY", "PARTITIONED BY (a) parts the files by themselves"),
        _ if create.partition_of.is_some() => ("PARTITION OF", "PARTITIONED BY (a) parts the files by themselves"),
        _ if create.on_commit.is_some() => ("ON COMMIT", "a temporary table ends with its session, or by DROP TABLE"),
        _ if create.diststyle.is_some() || create.distkey.is_some() => ("DISTSTYLE and DISTKEY", leave),
        _ if create.sortkey.is_some() || create.order_by.is_some() => ("SORTKEY and ORDER BY", sorted),
        _ if create.clustered_by.is_some() => ("CLUSTERED BY", sorted),
        _ if create.table_options != CreateTableOptions::None => ("WITH (…) and OPTIONS", leave),
        _ if create.external || create.location.is_some() || create.file_format.is_some() => {
            ("of a file", "load it: `polder load FILE`, or COPY t FROM 'file'")
        }
        _ if create.comment.is_some() => ("COMMENT", "COMMENT ON TABLE t IS '…'"),
        _ => ("with these options", "columns with NOT NULL, DEFAULT, CHECK, keys and identities, or AS SELECT"),
    }
}

pub(super) fn check_column(column: &ColumnDef) -> Result<()> {
    check_declared(&column.name.value, &column.data_type)?;
    let says = |wanted: &ColumnOption| column.options.iter().any(|said| said.option == *wanted);
    if says(&ColumnOption::Null) && says(&ColumnOption::NotNull) {
        let message = format!("conflicting NULL/NOT NULL declarations for column {}", column.name);
        return Err(Error::invalid(message).with_code("42601").with_hint("leave one of them out"));
    }
    for option in &column.options {
        match &option.option {
            ColumnOption::Null | ColumnOption::NotNull | ColumnOption::Default(_) => {}
            other => {
                let error = Error::unsupported(format!("column {}: {other} is not supported", column.name));
                return Err(match instead_of(&other.to_string()) {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                });
            }
        }
    }
    Ok(())
}

/// What there is for that which other databases say of a column.
fn instead_of(option: &str) -> Option<&'static str> {
    Some(match option.split(' ').next().unwrap_or_default().to_uppercase().as_str() {
        "AUTO_INCREMENT" | "AUTOINCREMENT" | "IDENTITY" => "GENERATED BY DEFAULT AS IDENTITY counts up by itself",
        "AS" => "GENERATED ALWAYS AS (…) STORED",
        "ASC" | "DESC" => "leave it out: CLUSTER BY orders a table's files",
        "COMMENT" => "COMMENT ON COLUMN t.a IS '…'",
        _ => return None,
    })
}
