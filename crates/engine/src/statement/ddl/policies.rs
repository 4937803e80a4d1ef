//! CREATE, ALTER and DROP POLICY, row level security of tables, and masks of columns.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::datasource::MemTable;
use datafusion::datasource::empty::EmptyTable;
use datafusion::logical_expr::{Expr as Planned, LogicalPlanBuilder, cast};
use datafusion::physical_plan::collect;
use datafusion::sql::sqlparser::ast::{
    AlterPolicy, AlterPolicyOperation, AlterTableOperation, CreatePolicy, CreatePolicyCommand, CreatePolicyType,
    DropPolicy, Expr, Ident, Owner, SelectItem,
};
use polder_lake::{
    Access, EVERYBODY, Mask, Policies, PolicyCommand, RowPolicy, TableName, TableState, TransactionCell,
};
use polder_metastore::OWNER_OID;
use polder_types::{Error, ErrorKind, Result};

use super::super::names::fold;
use super::super::target::{parse_query, select_of};
use super::super::{Context, ended};
use super::told::Told;
use super::view::qualify;
use super::wrong_kind;
use crate::error::from_datafusion;
use crate::forms::MaskChange;
use crate::functions::types::postgres_name;
use crate::parse::parse_expr;
use crate::policies::{mentions, renamed};
use crate::scope::Scope;
use crate::session::Outcome;

/// Policies of one table. Each statement that reads the table plans those that are for its role.
const POLICIES_MAX: usize = 1_000;

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Becomes<'a> {
    Named(&'a str),
    /// `cascade`: with the policies that name it.
    Nothing {
        cascade: bool,
    },
}

/// An expression that is kept, and the columns of its table that queries in it name.
type Kept = (String, BTreeSet<String>);

impl Context<'_> {
    pub(super) async fn create_policy(&self, cell: &TransactionCell, create: &CreatePolicy) -> Result<Outcome> {
        let scope = self.writing_scope(cell).await?;
        let name = self.existing_name(&create.table_name, &scope.snapshot)?;
        let table = self.with_policies(&scope, &name)?;
        let policy = fold(&create.name);
        let command = command_of(create.command);
        check_clauses(command, create.using.is_some(), create.with_check.is_some())?;
        let (roles, notice) = self.policy_roles(create.to.as_deref())?;
        let using = self.condition(&scope, &name, &table, create.using.as_ref()).await?;
        let check = self.condition(&scope, &name, &table, create.with_check.as_ref()).await?;
        let made = |policies: &mut Policies| {
            if policies.find(&policy).is_some() {
                return Err(exists(&policy, &name));
            }
            if policies.rows.len() >= POLICIES_MAX {
                return Err(Error::new(ErrorKind::TooLarge, format!("a table has at most {POLICIES_MAX} policies"))
                    .with_code("54000")
                    .with_hint("name several roles in one, or let its condition read a table of who may see what"));
            }
            policies.last += 1;
            let outer = [&using, &check].into_iter().flatten().flat_map(|(_, outer)| outer.iter().cloned()).collect();
            policies.rows.push(RowPolicy {
                number: policies.last,
                name: policy.clone(),
                restrictive: create.policy_type == Some(CreatePolicyType::Restrictive),
                command,
                roles: roles.clone(),
                using: using.as_ref().map(|(sql, _)| sql.clone()),
                check: check.as_ref().map(|(sql, _)| sql.clone()),
                outer,
            });
            Ok(())
        };
        let told = Told::of("create policy", format!("policy {policy}"));
        self.change_policies(cell, &name, Some(told), made).await?;
        let outcome = Outcome::done("CREATE POLICY", None, scope.snapshot.id);
        Ok(notice.into_iter().fold(outcome, Outcome::notice))
    }

    pub(super) async fn alter_policy(&self, cell: &TransactionCell, alter: &AlterPolicy) -> Result<Outcome> {
        let scope = self.writing_scope(cell).await?;
        let name = self.existing_name(&alter.table_name, &scope.snapshot)?;
        let table = self.with_policies(&scope, &name)?;
        let policy = fold(&alter.name);
        let outcome = Outcome::done("ALTER POLICY", None, scope.snapshot.id);
        let (to, using, with_check) = match &alter.operation {
            AlterPolicyOperation::Rename { new_name } => {
                let to = fold(new_name);
                let rename = |policies: &mut Policies| {
                    if policies.find(&to).is_some() {
                        return Err(exists(&to, &name));
                    }
                    found(policies, &policy, &name)?.name.clone_from(&to);
                    Ok(())
                };
                let told = Told::of("alter policy", format!("policy {policy} is called {to}"));
                self.change_policies(cell, &name, Some(told), rename).await?;
                return Ok(outcome);
            }
            AlterPolicyOperation::Apply { to, using, with_check } => (to, using, with_check),
        };
        let roles = to.as_deref().map(|to| self.policy_roles(Some(to))).transpose()?;
        let using = self.condition(&scope, &name, &table, using.as_ref()).await?;
        let check = self.condition(&scope, &name, &table, with_check.as_ref()).await?;
        let change = |policies: &mut Policies| {
            let known = found(policies, &policy, &name)?;
            check_clauses(known.command, using.is_some(), check.is_some()).map_err(|error| match check {
                Some(_) => Error::invalid("only USING expression allowed for SELECT, DELETE").with_code("42601"),
                None => error,
            })?;
            if let Some((roles, _)) = &roles {
                known.roles.clone_from(roles);
            }
            for (place, new) in [(&mut known.using, &using), (&mut known.check, &check)] {
                if let Some((sql, outer)) = new {
                    *place = Some(sql.clone());
                    known.outer.extend(outer.iter().cloned());
                }
            }
            Ok(())
        };
        let told = Told::of("alter policy", format!("policy {policy}"));
        self.change_policies(cell, &name, Some(told), change).await?;
        let notice = roles.and_then(|(_, notice)| notice);
        Ok(notice.into_iter().fold(outcome, Outcome::notice))
    }

    pub(super) async fn drop_policy(&self, cell: &TransactionCell, drop: &DropPolicy) -> Result<Outcome> {
        let scope = self.writing_scope(cell).await?;
        let name = self.existing_name(&drop.table_name, &scope.snapshot)?;
        let policy = fold(&drop.name);
        let outcome = Outcome::done("DROP POLICY", None, scope.snapshot.id);
        let table = match self.with_policies(&scope, &name) {
            Err(error) if drop.if_exists && error.kind() == ErrorKind::NotFound => {
                return Ok(outcome.notice(format!("relation \"{}\" does not exist, skipping", name.table)));
            }
            table => table?,
        };
        let known = scope.snapshot.access(table.id).is_some_and(|access| access.policies.find(&policy).is_some());
        if !known && drop.if_exists {
            let message = format!("policy \"{policy}\" for relation \"{}\" does not exist, skipping", name.table);
            return Ok(outcome.notice(message));
        }
        let gone = |policies: &mut Policies| {
            found(policies, &policy, &name)?;
            policies.rows.retain(|known| known.name != policy);
            Ok(())
        };
        let told = Told::of("drop policy", format!("policy {policy}"));
        self.change_policies(cell, &name, Some(told), gone).await?;
        Ok(outcome)
    }

    /// `ENABLE ROW LEVEL SECURITY` and its like.
    pub(super) async fn set_row_security(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        operation: &AlterTableOperation,
    ) -> Result<()> {
        let set = |policies: &mut Policies| {
            match operation {
                AlterTableOperation::EnableRowLevelSecurity => policies.enabled = true,
                AlterTableOperation::DisableRowLevelSecurity => policies.enabled = false,
                AlterTableOperation::ForceRowLevelSecurity => policies.forced = true,
                AlterTableOperation::NoForceRowLevelSecurity => policies.forced = false,
                other => return Err(Error::internal(format!("{other} is nothing about policies"))),
            }
            Ok(())
        };
        let told = Told { event: row_security_event(operation), message: None };
        self.change_policies(cell, name, Some(told), set).await
    }

    pub(super) async fn set_mask(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        column: &str,
        change: &MaskChange,
    ) -> Result<()> {
        let scope = self.writing_scope(cell).await?;
        let table = self.with_policies(&scope, name)?;
        let id = super::rules::column_id(&table, column)?;
        let mask = match change {
            MaskChange::Drop => None,
            MaskChange::Set { expr, except } => {
                let roles = except.iter().map(|role| self.role_named(role)).collect::<Result<_>>()?;
                let (sql, outer) = self.mask(&scope, name, &table, column, expr).await?;
                Some(Mask { sql, except: roles, outer })
            }
        };
        let set = |policies: &mut Policies| {
            match &mask {
                Some(mask) => drop(policies.masks.insert(id, mask.clone())),
                None if policies.masks.remove(&id).is_some() => {}
                None => {
                    return Err(Error::not_found(format!(
                        "column \"{column}\" of table \"{}\" has no mask",
                        name.table
                    ))
                    .with_code("42704"));
                }
            }
            Ok(())
        };
        self.change_policies(cell, name, Some(mask_told(column, change)), set).await
    }

    /// What becomes of policies and masks when a column of their table is renamed or dropped.
    ///
    /// # Errors
    /// `InvalidInput` (2BP01) for a column that is dropped, and for one that a query in them may mean.
    pub(super) async fn policies_without(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        column: &str,
        becomes: Becomes<'_>,
    ) -> Result<()> {
        let known = {
            let guard = cell.lock().await;
            let view = guard.as_ref().ok_or_else(ended)?.view();
            let table = view.table(name);
            table.and_then(|table| Some((Arc::clone(table), view.access(table.id)?.policies.clone())))
        };
        let Some((table, known)) = known.filter(|(_, policies)| !policies.is_empty()) else { return Ok(()) };
        let mut policies = known.clone();
        let own = table.top_columns().find(|known| known.name == column).map(|known| known.id);
        if becomes == (Becomes::Nothing { cascade: true }) {
            let names = |sql: &String| parse_expr(sql).map_or(true, |expr| mentions(&expr, column).any());
            policies.rows.retain(|policy| !policy.using.iter().chain(&policy.check).any(names));
        }
        for policy in &mut policies.rows {
            let what = format!("policy {} on table {}", policy.name, name.table);
            for sql in [&mut policy.using, &mut policy.check].into_iter().flatten() {
                *sql = without(sql, column, becomes, name, &what)?;
            }
        }
        for (id, mask) in &mut policies.masks {
            // The mask of a column that is dropped goes along, and those of others that have gone are as good as gone.
            let is_there = table.top_columns().any(|known| known.id == *id);
            if is_there && (Some(*id) != own || matches!(becomes, Becomes::Named(_))) {
                mask.sql = without(&mask.sql, column, becomes, name, &format!("a mask on table {}", name.table))?;
            }
        }
        if policies == known {
            return Ok(());
        }
        self.change_policies(cell, name, None, |changed| {
            *changed = policies;
            Ok(())
        })
        .await
    }

    /// The table that policies are made for.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` (42809) for what is no table.
    fn with_policies(&self, scope: &Scope, name: &TableName) -> Result<Arc<TableState>> {
        let no_table = || Error::invalid(format!("\"{}\" is not a table", name.table)).with_code("42809");
        match scope.snapshot.table(name) {
            Some(table) if table.rules.materialized.is_some() => {
                Err(no_table().with_hint("it holds what its owner may see"))
            }
            Some(table) => Ok(Arc::clone(table)),
            None if scope.snapshot.view(name).is_some() => {
                Err(no_table().with_hint("make the policies of the tables below, by which its owner is bound"))
            }
            None => Err(Error::not_found(format!("relation \"{}\" does not exist", name.table)).with_code("42P01")),
        }
    }

    /// Changes the policies of a table, of which the audit is told.
    async fn change_policies(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        told: Option<Told>,
        change: impl FnOnce(&mut Policies) -> Result<()>,
    ) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let Some(id) = transaction.table(name).map(|table| table.id) else {
            return Err(wrong_kind(name, "no table", "CREATE TABLE"));
        };
        let mut access = transaction.view().access(id).map_or_else(Access::default, |known| known.as_ref().clone());
        change(&mut access.policies)?;
        // What nobody owns yet would go to whoever runs the next statement, and without its policies.
        access.owner = access.owner.or(Some(OWNER_OID));
        transaction.set_access(id, access)?;
        if let Some(told) = told {
            self.tell(transaction, name, told);
        }
        Ok(())
    }

    /// The roles of a policy, and what is to be said about them.
    fn policy_roles(&self, to: Option<&[Owner]>) -> Result<(Vec<i64>, Option<String>)> {
        let Some(to) = to else { return Ok((vec![EVERYBODY], None)) };
        let who = &self.settings.who;
        let mut roles = Vec::with_capacity(to.len());
        for role in to {
            roles.push(match role {
                Owner::CurrentRole | Owner::CurrentUser => who.role,
                Owner::SessionUser => who.user,
                Owner::Ident(ident) => self.role_named(ident)?,
            });
        }
        if roles.contains(&EVERYBODY) && roles.len() > 1 {
            let notice = "ignoring specified roles other than PUBLIC: all roles are members of the PUBLIC role";
            return Ok((vec![EVERYBODY], Some(notice.to_owned())));
        }
        roles.sort_unstable();
        roles.dedup();
        Ok((roles, None))
    }

    fn role_named(&self, ident: &Ident) -> Result<i64> {
        match fold(ident).as_str() {
            "public" => Ok(EVERYBODY),
            name => self.settings.who.book.named(name).map(|role| role.oid),
        }
    }

    /// A condition as it is kept.
    async fn condition(
        &self,
        scope: &Scope,
        name: &TableName,
        table: &TableState,
        expr: Option<&Expr>,
    ) -> Result<Option<Kept>> {
        let Some(expr) = expr else { return Ok(None) };
        let sql = self.kept_expression(scope, expr)?;
        let rows = Arc::new(EmptyTable::new(table.schema()));
        let (plan, outer) = scope.surroundings().new_expression(&sql, name, rows).await?;
        let plan = scope.state.optimize(&plan).map_err(from_datafusion)?;
        match plan.schema().field(0).data_type() {
            DataType::Boolean | DataType::Null => Ok(Some((sql, outer))),
            other => {
                let message = format!("argument of POLICY must be type boolean, not type {}", postgres_name(other));
                Err(Error::invalid(message).with_code("42804"))
            }
        }
    }

    /// A mask as it is kept, once it is known to give values of its column's type.
    async fn mask(
        &self,
        scope: &Scope,
        name: &TableName,
        table: &TableState,
        column: &str,
        expr: &Expr,
    ) -> Result<Kept> {
        let sql = self.kept_expression(scope, expr)?;
        let schema = table.schema();
        let field = schema.field_with_name(column).map_err(|error| Error::internal(error.to_string()))?;
        let rows = Arc::new(nothing(&schema)?);
        let (plan, outer) = scope.surroundings().new_expression(&sql, name, rows).await?;
        let value = Planned::Column(Column::from(plan.schema().qualified_field(0)));
        let typed = LogicalPlanBuilder::from(plan).project([cast(value, field.data_type().clone())]);
        let plan = typed.and_then(LogicalPlanBuilder::build).map_err(from_datafusion)?;
        // Of a row without values: what cannot be computed of it, or be cast, can be of none.
        let plan = scope.state.create_physical_plan(&plan).await.map_err(from_datafusion)?;
        collect(plan, scope.state.task_ctx()).await.map_err(from_datafusion)?;
        Ok((sql, outer))
    }

    /// An expression with the schemas of all that it names.
    fn kept_expression(&self, scope: &Scope, expr: &Expr) -> Result<String> {
        let mut query = parse_query("SELECT 1")?;
        select_of(&mut query)?.projection = vec![SelectItem::UnnamedExpr(expr.clone())];
        qualify(&mut query, &self.settings.schema)?;
        self.functions(scope).qualify(&mut query)?;
        match select_of(&mut query)?.projection.pop() {
            Some(SelectItem::UnnamedExpr(expr)) => Ok(expr.to_string()),
            _ => Err(Error::internal("an expression became something else")),
        }
    }
}

/// A table with one row, in which nothing is.
fn nothing(schema: &SchemaRef) -> Result<MemTable> {
    let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options);
    let row = row.map_err(|error| Error::internal(error.to_string()))?;
    MemTable::try_new(schema, vec![vec![row]]).map_err(from_datafusion)
}

fn command_of(command: Option<CreatePolicyCommand>) -> PolicyCommand {
    match command {
        None | Some(CreatePolicyCommand::All) => PolicyCommand::All,
        Some(CreatePolicyCommand::Select) => PolicyCommand::Select,
        Some(CreatePolicyCommand::Insert) => PolicyCommand::Insert,
        Some(CreatePolicyCommand::Update) => PolicyCommand::Update,
        Some(CreatePolicyCommand::Delete) => PolicyCommand::Delete,
    }
}

/// # Errors
/// `InvalidInput` (42601) for a condition that a command has no use for.
fn check_clauses(command: PolicyCommand, using: bool, check: bool) -> Result<()> {
    let message = match command {
        PolicyCommand::Select | PolicyCommand::Delete if check => "WITH CHECK cannot be applied to SELECT or DELETE",
        PolicyCommand::Insert if using => "only WITH CHECK expression allowed for INSERT",
        _ => return Ok(()),
    };
    Err(Error::invalid(message).with_code("42601"))
}

fn row_security_event(operation: &AlterTableOperation) -> &'static str {
    match operation {
        AlterTableOperation::EnableRowLevelSecurity => "enable row level security",
        AlterTableOperation::DisableRowLevelSecurity => "disable row level security",
        AlterTableOperation::ForceRowLevelSecurity => "force row level security",
        _ => "no force row level security",
    }
}

fn mask_told(column: &str, change: &MaskChange) -> Told {
    match change {
        MaskChange::Drop => Told::of("drop mask", format!("column {column}")),
        MaskChange::Set { except, .. } if except.is_empty() => Told::of("set mask", format!("column {column}")),
        MaskChange::Set { except, .. } => {
            let except: Vec<_> = except.iter().map(fold).collect();
            Told::of("set mask", format!("column {column}, except for {}", except.join(", ")))
        }
    }
}

fn exists(policy: &str, table: &TableName) -> Error {
    let message = format!("policy \"{policy}\" for table \"{}\" already exists", table.table);
    Error::new(ErrorKind::AlreadyExists, message).with_code("42710")
}

fn found<'a>(policies: &'a mut Policies, policy: &str, table: &TableName) -> Result<&'a mut RowPolicy> {
    policies.rows.iter_mut().find(|known| known.name == policy).ok_or_else(|| {
        let message = format!("policy \"{policy}\" for table \"{}\" does not exist", table.table);
        Error::not_found(message).with_code("42704")
    })
}

/// An expression once a column has another name, or is not there any more.
fn without(sql: &str, column: &str, becomes: Becomes<'_>, table: &TableName, what: &str) -> Result<String> {
    let expr = parse_expr(sql)?;
    let found = mentions(&expr, column);
    let column_of = format!("column {column} of table {}", table.table);
    let refuse = |verb: &str, hint: &str| {
        let message = format!("cannot {verb} {column_of} because other objects depend on it");
        let detail = format!("{what} depends on {column_of}");
        Err(Error::invalid(message).with_code("2BP01").with_detail(detail).with_hint(hint.to_owned()))
    };
    match becomes {
        _ if !found.any() => Ok(sql.to_owned()),
        Becomes::Nothing { .. } => {
            refuse("drop", "Use DROP ... CASCADE to drop the dependent objects too, or DROP POLICY or DROP MASK first.")
        }
        Becomes::Named(_) if found.in_query => {
            refuse("rename", "a query in it names such a column: DROP POLICY or DROP MASK first, and make it again")
        }
        Becomes::Named(to) => Ok(renamed(expr, column, to).to_string()),
    }
}
