//! Whether whoever runs a statement may change what it changes. Asked before each change is planned, by whatever way it came;
//! what the change reads of other tables is asked for where their names are resolved (`catalog.rs`).

mod shape;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, Insert, Merge, MergeAction, ObjectName, OnConflictAction, OnInsert, OutputClause,
    SelectItem, TableFactor, TableObject, Update, UpdateTableFromKind, Visitor,
};
use polder_lake::{Snapshot, TableName, TableState, TransactionCell};
use polder_sql_tree::{Node, visit};
use polder_types::Result;

use super::names::{fold, parts, table_name};
use super::{Change, Context, ended};
use crate::authz::rights::{DELETE, INSERT, SELECT, UPDATE};
use crate::authz::{Readable, Rights, Who, not_owner, word_of};
use crate::parse::DEFAULTS;

impl Context<'_> {
    pub(super) fn rights<'a>(&'a self, snapshot: &'a Snapshot) -> Rights<'a> {
        Rights::new(&self.settings.who, snapshot)
    }

    /// # Errors
    /// `Forbidden` (42501). What is not there is left to the statement, which says so.
    pub(super) async fn authorize(&self, cell: &TransactionCell, change: &Change<'_>) -> Result<()> {
        if self.settings.who.superuser {
            return Ok(());
        }
        let view = Arc::clone(cell.lock().await.as_ref().ok_or_else(ended)?.view());
        self.may_change(&view, change)
    }

    pub(super) fn may_change(&self, view: &Snapshot, change: &Change<'_>) -> Result<()> {
        match change {
            Change::Insert(insert) => self.may_insert(view, insert),
            Change::Update(update) => self.may_update(view, update),
            Change::Delete(delete) => self.may_delete(view, delete),
            Change::Merge(merge) => self.may_merge(view, merge),
            Change::Refresh(name) => self.must_own(view, &self.existing_name(name, view)?),
            Change::Shape(statement) => self.may_shape(view, statement),
            // Asked once the file's place and the columns are known.
            Change::CopyFrom(_) => Ok(()),
            Change::Explain(_, change) => self.may_change(view, change),
        }
    }

    /// With whose rights a materialized view is computed; `None`: with those of whoever runs the statement, or there is no
    /// such view.
    ///
    /// # Errors
    /// `Forbidden` (42501) unless that is the owner, or has the owner's rights.
    pub(super) fn refreshed(&self, view: &Snapshot, name: &ObjectName) -> Result<Option<Who>> {
        let name = self.existing_name(name, view)?;
        self.must_own(view, &name)?;
        let who = &self.settings.who;
        let Some(table) = view.table(&name) else { return Ok(None) };
        let owner = self.rights(view).owner(table.id);
        if owner == who.role {
            return Ok(None);
        }
        let owner = who.acting_as(owner);
        Ok((!owner.superuser || !who.superuser).then_some(owner))
    }

    /// # Errors
    /// `Forbidden` (42501) unless somebody has the rights of the owner of a table or view, or of its schema.
    pub(super) fn must_own(&self, view: &Snapshot, name: &TableName) -> Result<()> {
        // Whoever may not use the schema is not told what is in it.
        self.rights(view).use_schema(&name.schema)?;
        self.must_own_if_there(view, name, None)
    }

    /// The same of what may be there, and is to be replaced. `word`: for it in the refusal, if it is not its own.
    fn must_own_if_there(&self, view: &Snapshot, name: &TableName, word: Option<&str>) -> Result<()> {
        let found = match (view.table(name), view.view(name)) {
            (Some(table), _) => Some((table.id, word_of(table))),
            (None, Some(view)) => Some((view.id, "view")),
            (None, None) => None,
        };
        let Some((id, own_word)) = found else { return Ok(()) };
        let rights = self.rights(view);
        if rights.owns(id) || view.schema(&name.schema).is_some_and(|schema| rights.owns(schema.id)) {
            return Ok(());
        }
        Err(not_owner(word.unwrap_or(own_word), &name.table, rights.owner_name(id)))
    }

    /// # Errors
    /// `Forbidden` (42501) unless somebody may insert into these columns, by their ids.
    pub(super) fn may_fill(
        &self,
        view: &Snapshot,
        name: &TableName,
        table: &TableState,
        columns: &BTreeSet<i64>,
    ) -> Result<()> {
        self.must_have(view, &Target { name: name.clone(), alias: name.table.clone(), table }, INSERT, columns)
    }

    fn must_have(&self, view: &Snapshot, target: &Target<'_>, right: u32, columns: &BTreeSet<i64>) -> Result<()> {
        if self.settings.who.superuser {
            return Ok(());
        }
        let rights = self.rights(view);
        let (name, table) = (&target.name, target.table);
        rights.use_schema(&name.schema)?;
        let is_granted = match rights.columns_with(table.id, right) {
            Readable::All => true,
            Readable::Columns(granted) => columns.is_subset(&granted),
            Readable::Nothing => false,
        };
        if is_granted { Ok(()) } else { Err(rights.denied_on(word_of(table), name, table.id, right)) }
    }

    /// # Errors
    /// `Forbidden` (42501) for a schema that may not be used, whatever is in it.
    fn target<'a>(&self, view: &'a Snapshot, name: &ObjectName, alias: Option<&Ident>) -> Result<Option<Target<'a>>> {
        let Ok(name) = table_name(name, &self.settings.schema) else { return Ok(None) };
        self.rights(view).use_schema(&name.schema)?;
        let Some(table) = view.table(&name) else { return Ok(None) };
        let alias = alias.map_or_else(|| name.table.clone(), fold);
        Ok(Some(Target { name, alias, table }))
    }

    fn target_of<'a>(&self, view: &'a Snapshot, factor: &TableFactor) -> Result<Option<Target<'a>>> {
        match factor {
            TableFactor::Table { name, alias, .. } => self.target(view, name, alias.as_ref().map(|alias| &alias.name)),
            _ => Ok(None),
        }
    }

    fn may_insert(&self, view: &Snapshot, insert: &Insert) -> Result<()> {
        let TableObject::TableName(name) = &insert.table else { return Ok(()) };
        let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
        let Some(target) = self.target(view, name, alias)? else { return Ok(()) };
        let listed = insert.columns.iter().filter_map(|column| target.column(&last(column)?));
        let listed: BTreeSet<i64> = listed.collect();
        let filled = if insert.columns.is_empty() { target.all() } else { listed };
        self.must_have(view, &target, INSERT, &filled)?;
        let mut read = BTreeSet::new();
        if let Some(OnInsert::OnConflict(conflict)) = &insert.on {
            if let OnConflictAction::DoUpdate(update) = &conflict.action {
                self.must_have(view, &target, UPDATE, &target.assigned(&update.assignments))?;
                target.mentioned_in(update.assignments.iter().map(|assignment| &assignment.value), &mut read);
                target.mentioned_in(update.selection.iter(), &mut read);
            }
            // By which key a row is in the way is only told to those who name it.
            target.arbiters(conflict.conflict_target.as_ref(), &mut read);
        }
        target.returned(insert.returning.as_deref(), &mut read);
        self.must_read(view, &target, &read)
    }

    fn may_update(&self, view: &Snapshot, update: &Update) -> Result<()> {
        let Some(target) = self.target_of(view, &update.table.relation)? else { return Ok(()) };
        self.must_have(view, &target, UPDATE, &target.assigned(&update.assignments))?;
        self.must_read(view, &target, &read_by_update(&target, update))
    }

    /// Whether an UPDATE tells anything of the rows that it changes.
    pub(super) fn read_by_update(&self, view: &Snapshot, update: &Update) -> bool {
        let target = self.target_of(view, &update.table.relation).ok().flatten();
        target.is_some_and(|target| !read_by_update(&target, update).is_empty())
    }

    /// Whether a DELETE tells anything of the rows that it deletes.
    pub(super) fn read_by_delete(&self, view: &Snapshot, delete: &Delete) -> bool {
        let target = self.deleted_from(view, delete).ok().flatten();
        target.is_some_and(|target| !read_by_delete(&target, delete).is_empty())
    }

    fn deleted_from<'a>(&self, view: &'a Snapshot, delete: &Delete) -> Result<Option<Target<'a>>> {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        from.first().map_or(Ok(None), |from| self.target_of(view, &from.relation))
    }

    fn may_delete(&self, view: &Snapshot, delete: &Delete) -> Result<()> {
        let Some(target) = self.deleted_from(view, delete)? else { return Ok(()) };
        self.rights(view).require(word_of(target.table), &target.name, target.table.id, DELETE)?;
        self.must_read(view, &target, &read_by_delete(&target, delete))
    }

    fn may_merge(&self, view: &Snapshot, merge: &Merge) -> Result<()> {
        let Some(target) = self.target_of(view, &merge.table)? else { return Ok(()) };
        let mut read = BTreeSet::new();
        target.mentioned_in([merge.on.as_ref()], &mut read);
        for clause in &merge.clauses {
            target.mentioned_in(clause.predicate.iter(), &mut read);
            match &clause.action {
                MergeAction::Insert(insert) => {
                    let listed = insert.columns.iter().filter_map(|column| target.column(&last(column)?));
                    // DEFAULT VALUES fill all, as a list of no columns does.
                    let defaults = insert.columns.iter().any(|column| last(column).as_deref() == Some(DEFAULTS));
                    let is_all = insert.columns.is_empty() || defaults;
                    let filled = if is_all { target.all() } else { listed.collect() };
                    self.must_have(view, &target, INSERT, &filled)?;
                }
                MergeAction::Update(update) => {
                    self.must_have(view, &target, UPDATE, &target.assigned(&update.assignments))?;
                    let values = update.assignments.iter().map(|assignment| &assignment.value);
                    target.mentioned_in(values, &mut read);
                }
                MergeAction::Delete { .. } => {
                    self.rights(view).require(word_of(target.table), &target.name, target.table.id, DELETE)?;
                }
            }
        }
        if let Some(OutputClause::Returning { select_items, .. }) = &merge.output {
            target.returned(Some(select_items), &mut read);
        }
        self.must_read(view, &target, &read)
    }

    /// What a statement tells of the rows that it changes it reads; one that tells nothing of them need not read.
    fn must_read(&self, view: &Snapshot, target: &Target<'_>, columns: &BTreeSet<i64>) -> Result<()> {
        if columns.is_empty() { Ok(()) } else { self.must_have(view, target, SELECT, columns) }
    }
}

/// The columns of the rows that an UPDATE changes of which it tells something.
fn read_by_update(target: &Target<'_>, update: &Update) -> BTreeSet<i64> {
    let mut read = BTreeSet::new();
    target.mentioned_in(update.assignments.iter().map(|assignment| &assignment.value), &mut read);
    target.mentioned_in(update.selection.iter(), &mut read);
    if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = &update.from {
        target.mentioned_in(from.iter(), &mut read);
    }
    target.returned(update.returning.as_deref(), &mut read);
    read
}

/// The same of a DELETE.
fn read_by_delete(target: &Target<'_>, delete: &Delete) -> BTreeSet<i64> {
    let mut read = BTreeSet::new();
    target.mentioned_in(delete.selection.iter(), &mut read);
    target.mentioned_in(delete.using.iter().flatten(), &mut read);
    target.returned(delete.returning.as_deref(), &mut read);
    read
}

/// The table that a statement changes, and what the statement calls it.
struct Target<'a> {
    name: TableName,
    alias: String,
    table: &'a TableState,
}

impl Target<'_> {
    fn all(&self) -> BTreeSet<i64> {
        self.table.top_columns().map(|column| column.id).collect()
    }

    fn column(&self, name: &str) -> Option<i64> {
        self.table.top_columns().find(|column| column.name == name).map(|column| column.id)
    }

    fn assigned(&self, assignments: &[Assignment]) -> BTreeSet<i64> {
        let names = assignments.iter().flat_map(|assignment| match &assignment.target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names.as_slice(),
        });
        names.filter_map(|name| self.column(&last(name)?)).collect()
    }

    /// The columns of the key that ON CONFLICT names.
    fn arbiters(&self, named: Option<&ConflictTarget>, found: &mut BTreeSet<i64>) {
        match named {
            None => {}
            Some(ConflictTarget::Columns(columns)) => {
                found.extend(columns.iter().filter_map(|column| self.column(&fold(column))));
            }
            Some(ConflictTarget::OnConstraint(name)) => {
                let name = last(name);
                let keys = self.table.rules.keys.iter().filter(|key| Some(&key.name) == name.as_ref());
                found.extend(keys.flat_map(|key| key.columns.iter().copied()));
            }
        }
    }

    /// The columns that some parts of the statement may read: a name alone that a column has may be that of another table's,
    /// and counts all the same.
    fn mentioned_in<'n, N: Node + 'n>(&self, nodes: impl IntoIterator<Item = &'n N>, found: &mut BTreeSet<i64>) {
        for node in nodes {
            let _ = visit(node, &mut Mentions { target: self, found });
        }
    }

    fn mention(&self, name: &str, found: &mut BTreeSet<i64>) {
        // The row as a whole is called as the table is.
        if name == self.alias && self.column(name).is_none() {
            found.extend(self.all());
        }
        found.extend(self.column(name));
    }

    fn mention_of(&self, parts: &[Ident], found: &mut BTreeSet<i64>) {
        let names: Vec<String> = parts.iter().map(fold).collect();
        let is_own = names.iter().rev().skip(1).any(|name| *name == self.alias || *name == self.name.table);
        // What was to be inserted is told by what is there.
        let is_excluded = names.first().is_some_and(|first| first == "excluded");
        match names.iter().find_map(|name| self.column(name)) {
            Some(column) if is_own || is_excluded => {
                found.insert(column);
            }
            None if is_own => found.extend(self.all()),
            // A field of a column, or a column of another table.
            _ => found.extend(names.first().and_then(|first| self.column(first))),
        }
    }

    fn returned(&self, items: Option<&[SelectItem]>, found: &mut BTreeSet<i64>) {
        for item in items.unwrap_or_default() {
            match item {
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => found.extend(self.all()),
                other => self.mentioned_in([other], found),
            }
        }
    }
}

/// Gathers the columns of the target that a part of a statement reads.
struct Mentions<'a> {
    target: &'a Target<'a>,
    found: &'a mut BTreeSet<i64>,
}

impl Visitor for Mentions<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.target.mention(&fold(ident), self.found),
            Expr::CompoundIdentifier(parts) => self.target.mention_of(parts, self.found),
            Expr::QualifiedWildcard(..) | Expr::Wildcard(..) => self.found.extend(self.target.all()),
            Expr::Function(function) => {
                if let FunctionArguments::List(list) = &function.args
                    && list
                        .args
                        .iter()
                        .any(|argument| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_))))
                {
                    self.found.extend(self.target.all());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The last part of a name.
fn last(name: &ObjectName) -> Option<String> {
    parts(name).ok()?.pop()
}
