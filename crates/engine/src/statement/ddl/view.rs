//! CREATE VIEW.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::DFSchema;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    CreateTableOptions, CreateView, Ident, ObjectName, Query, SelectItem, SetExpr, SqlOption, Statement, TableFactor,
    VisitorMut,
};
use polder_lake::{TableName, ThingKind, Transaction, TransactionCell, Unowned};
use polder_metastore::OWNER_OID;
use polder_sql_tree::visit_mut;
use polder_types::{Error, Result};

use super::super::names::fold;
use super::super::names_out::{number_in, plain};
use super::super::target::{parse_query, quoted, select_of};
use super::super::temporary::is_temporary;
use super::super::{Context, ended};
use super::depend::read_by;
use crate::authz::{Who, access_of_new};
use crate::error::from_datafusion;
use crate::inline::expand;
use crate::rewrite::{natural, whole_numbers};
use crate::scope::Scope;
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn create_view(&self, cell: &TransactionCell, create: &CreateView) -> Result<Outcome> {
        let plain = !create.secure
            && !create.temporary
            && !create.or_alter
            && !create.copy_grants
            && !create.with_no_schema_binding
            && create.cluster_by.is_empty()
            && create.to.is_none()
            && create.params.is_none();
        if !plain {
            return Err(Error::unsupported("CREATE VIEW with options is not supported"));
        }
        if let Some(column) =
            create.columns.iter().find(|column| column.options.is_some() || column.data_type.is_some())
        {
            return Err(Error::unsupported(format!("CREATE VIEW … ({column}) is not supported")).with_hint(
                "name the columns alone: types are the query's, and COMMENT ON COLUMN v.a IS '…' comments",
            ));
        }
        let invoker = match &create.options {
            CreateTableOptions::None => false,
            CreateTableOptions::With(options) if !create.materialized => as_invoker(options)?.unwrap_or(false),
            _ => return Err(Error::unsupported("CREATE VIEW with options is not supported")),
        };
        if create.materialized {
            return self.create_materialized(cell, create).await;
        }
        let name = self.name(&create.name)?;
        let scope = self.defining_scope(cell).await?;
        let query = self.view_query(&scope, create).await?;
        let plan = self.plan_kept(&scope, &query).await?;
        if create.or_replace && scope.snapshot.view(&name).is_some() {
            let reference =
                datafusion::common::TableReference::full("polder", name.schema.as_str(), name.table.as_str());
            // A view that can be planned no more may be replaced by any other.
            if let Ok(old) = scope.context().table(reference).await {
                keeps_columns(&name, old.schema(), plan.schema())?;
            }
        }
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let done = Outcome::done("CREATE VIEW", None, transaction.base());
        self.settings.temporary.prepare(transaction, &name)?;
        if transaction.view().view(&name).is_some() {
            if create.if_not_exists {
                return Ok(done.skips("42P07", "relation", &name.table));
            }
        }
        let replaced = create.or_replace && transaction.view().view(&name).is_some();
        match replaced {
            true => transaction.replace_view(&name, &query.to_string(), create.comment.clone())?,
            false => transaction.create_view(&name, &query.to_string(), create.comment.clone())?,
        }
        set_invoker(&self.settings.who, transaction, &name, invoker)?;
        for below in read_by(&query, &name.schema)? {
            transaction.stand_on(&below);
        }
        Ok(done)
    }

    /// The query as it is kept: every name with its schema, and the columns that it has now.
    pub(super) async fn view_query(&self, scope: &Scope, create: &CreateView) -> Result<Query> {
        let mut query = create.query.as_ref().clone();
        // Columns of one name are told apart, for the view to name them.
        number_in(&mut query);
        qualify(&mut query, &self.settings.schema)?;
        let functions = self.functions(scope);
        functions.qualify(&mut query)?;
        self.refuse_temporary(&query, create)?;
        // By the columns of today.
        let query = natural::resolve_query(&scope.state, query).await.map_err(from_datafusion)?;
        let plan = self.plan_kept(scope, &query).await?;
        let own: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
        if create.columns.len() > own.len() {
            return Err(Error::invalid(format!(
                "{} columns are named, and the query gives {}",
                create.columns.len(),
                own.len()
            ))
            .with_code("42601"));
        }
        let mut names: Vec<String> = create.columns.iter().map(|column| super::column(&column.name)).collect();
        names.extend(own.iter().skip(names.len()).map(|name| plain(name).to_owned()));
        let mut seen = HashSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(Error::invalid(format!("column {twice:?} is named twice"))
                .with_code("42701")
                .with_hint("give one of them another name with AS"));
        }
        let has_own_names = create.columns.is_empty() && own.iter().zip(&names).all(|(own, name)| own == name);
        if has_own_names && !has_wildcard(&query.body) {
            return Ok(query);
        }
        let items = own.iter().zip(&names).map(|(own, name)| match own == name {
            true => quoted(own),
            false => format!("{} AS {}", quoted(own), quoted(name)),
        });
        let items = items.collect::<Vec<_>>().join(", ");
        let mut outer = parse_query(&format!("SELECT {items} FROM (SELECT 1) AS rows"))?;
        if let Some(from) = select_of(&mut outer)?.from.first_mut()
            && let TableFactor::Derived { subquery, .. } = &mut from.relation
        {
            **subquery = query;
        }
        Ok(outer)
    }

    /// A view that stays cannot stand on what goes with the session.
    fn refuse_temporary(&self, query: &Query, create: &CreateView) -> Result<()> {
        let name = self.name(&create.name)?;
        let below = read_by(query, &self.settings.schema)?;
        match below.iter().find(|below| is_temporary(&below.schema) && !is_temporary(&name.schema)) {
            Some(below) => Err(Error::invalid(format!("{name} would stand on {}, which is temporary", below.table))
                .with_code("0A000")
                .with_hint("CREATE TEMPORARY VIEW")),
            None => Ok(()),
        }
    }

    /// Plans a query that is to be kept, or is kept, with the functions that it calls.
    pub(super) async fn plan_kept(&self, scope: &Scope, query: &Query) -> Result<LogicalPlan> {
        let mut statement = Statement::Query(Box::new(query.clone()));
        if !scope.snapshot.functions.is_empty() {
            let functions = self.functions(scope);
            expand(&mut statement, &functions)?;
        }
        let statement = Parsed::Statement(Box::new(statement));
        whole_numbers::plan(&scope.state, statement).await.map_err(from_datafusion)
    }
}

/// Whether the options of a view say with whose rights it reads.
///
/// # Errors
/// `InvalidInput` (22023), `Unsupported` for other options.
fn as_invoker(options: &[SqlOption]) -> Result<Option<bool>> {
    let mut invoker = None;
    for option in options {
        let SqlOption::KeyValue { key, value } = option else {
            return Err(Error::unsupported(format!("the option {option} of a view is not supported")));
        };
        let name = fold(key);
        if name != "security_invoker" {
            return Err(match name.as_str() {
                "security_barrier" => Error::unsupported("the option security_barrier is not supported")
                    .with_hint("leave it out: every view is a barrier"),
                "check_option" => {
                    Error::unsupported("the option check_option is not supported").with_hint("views are not written to")
                }
                _ => Error::invalid(format!("unrecognized parameter \"{name}\"")).with_code("22023"),
            });
        }
        let text = value.to_string();
        invoker = Some(match text.trim_matches('\'').to_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => true,
            "false" | "off" | "no" | "0" => false,
            other => {
                return Err(
                    Error::invalid(format!("invalid value for boolean option \"{name}\": {other}")).with_code("22023")
                );
            }
        });
    }
    Ok(invoker)
}

/// `ALTER VIEW … SET (…)`
///
/// # Errors
/// As the options; `Unsupported` for those of a table.
pub(super) fn set_options(
    who: &Who,
    transaction: &mut Transaction,
    name: &TableName,
    options: &[SqlOption],
) -> Result<()> {
    if transaction.view().view(name).is_none() {
        return Err(Error::unsupported("tables have no options of storage").with_hint("leave SET (…) out"));
    }
    match as_invoker(options)? {
        Some(invoker) => set_invoker(who, transaction, name, invoker),
        None => Ok(()),
    }
}

/// Says with whose rights a view reads.
fn set_invoker(who: &Who, transaction: &mut Transaction, name: &TableName, invoker: bool) -> Result<()> {
    let Some((id, schema)) = transaction.view().view(name).map(|view| (view.id, view.schema_id)) else {
        return Err(Error::not_found(format!("view {name} does not exist")));
    };
    let known = transaction.view().access(id).map(|access| access.as_ref().clone());
    if known.as_ref().is_some_and(|access| access.invoker) == invoker {
        return Ok(());
    }
    let access = known.or_else(|| {
        let made = Unowned { id, kind: ThingKind::View, schema };
        access_of_new(who, &made, transaction.view())
    });
    let mut access = access.unwrap_or_default();
    // What nobody owns would go to whoever runs the next statement.
    access.owner = access.owner.or(Some(OWNER_OID));
    access.invoker = invoker;
    transaction.set_access(id, access)
}

/// As in PostgreSQL, a view that is replaced keeps its columns, and may get more behind them.
fn keeps_columns(name: &TableName, old: &DFSchema, new: &DFSchema) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::invalid(format!("view {name}: {what}"))
            .with_code("42P16")
            .with_hint("DROP VIEW first, or give it another name"))
    };
    for (at, field) in old.fields().iter().enumerate() {
        let Some(now) = new.fields().get(at) else {
            return refuse(format!("column {:?} cannot be dropped", field.name()));
        };
        if now.name() != field.name() {
            return refuse(format!("column {:?} cannot become {:?}", field.name(), now.name()));
        }
        if now.data_type() != field.data_type() {
            return refuse(format!(
                "column {:?} cannot become {} instead of {}",
                field.name(),
                crate::system::type_name(now.data_type()),
                crate::system::type_name(field.data_type())
            ));
        }
    }
    Ok(())
}

fn has_wildcard(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select
            .projection
            .iter()
            .any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))),
        SetExpr::Query(query) => has_wildcard(&query.body),
        SetExpr::SetOperation { left, right, .. } => has_wildcard(left) || has_wildcard(right),
        SetExpr::Values(_) => false,
        _ => true,
    }
}

/// Writes the schema before every table that has none, so that the view means the same for everybody.
pub(super) fn qualify(query: &mut Query, schema: &str) -> Result<()> {
    let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query.clone()))));
    let (tables, _) = resolve_table_references(&statement, true).map_err(from_datafusion)?;
    let bare: HashSet<String> =
        tables.iter().filter(|table| table.schema().is_none()).map(|table| table.table().to_owned()).collect();
    let _ = visit_mut(query, &mut Qualify { bare, schema, is_call: false });
    Ok(())
}

struct Qualify<'a> {
    bare: HashSet<String>,
    schema: &'a str,
    /// The next name is that of a function which gives rows, and looks like a table's.
    is_call: bool,
}

impl VisitorMut for Qualify<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        self.is_call = matches!(factor, TableFactor::Table { args: Some(_), .. });
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if !std::mem::take(&mut self.is_call)
            && let [part] = relation.0.as_slice()
            && let Some(ident) = part.as_ident()
            && self.bare.contains(&fold(ident))
        {
            let mut full = ObjectName::from(vec![Ident::with_quote('"', self.schema)]);
            full.0.append(&mut relation.0);
            *relation = full;
        }
        ControlFlow::Continue(())
    }
}
