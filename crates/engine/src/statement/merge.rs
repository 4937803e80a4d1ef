//! MERGE: a join of target and source, and for each row the first clause that holds.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, Join, JoinConstraint, JoinOperator, Merge, MergeAction, MergeClause, MergeClauseKind,
    MergeInsertExpr, MergeInsertKind, OutputClause, Query, SelectItem, TableFactor, VisitorMut,
};
use polder_lake::{Keys, TransactionCell};
use polder_types::{Error, Result};

use super::Context;
use super::changes::{self, Again, Changes};
use super::dml::{Planned, factor_name};
use super::insert::{at_surplus, refuse_always};
use super::names::parts;
use super::names_out::number_in;
use super::target::{Target, is_default, parse_query, quoted, quoted_ident, select_of};
use crate::authz::PASSED_ON;
use crate::parse::{DEFAULTS, NOTHING, parse_expr};
use crate::policies::{Purpose, Shown};
use crate::session::Outcome;

/// A column of the source that is true in every row of it, and missing where a row of the target has none.
pub(super) const MARK: &str = PASSED_ON;

/// What a clause does to a row.
enum Deed {
    Nothing,
    Insert(HashMap<String, Expr>),
    Update(HashMap<String, Expr>),
    Delete,
}

impl Deed {
    fn action(&self) -> i32 {
        match self {
            Self::Nothing => 0,
            Self::Insert(_) => changes::INSERT,
            Self::Update(_) => changes::UPDATE,
            Self::Delete => changes::DELETE,
        }
    }
}

impl Context<'_> {
    pub(super) async fn merge(&self, cell: &TransactionCell, merge: &Merge) -> Result<Outcome> {
        let planned = self.plan_merge(cell, merge).await?;
        self.carry_out(cell, planned).await
    }

    pub(super) async fn plan_merge<'a>(&self, cell: &TransactionCell, merge: &'a Merge) -> Result<Planned<'a>> {
        check_reachable(&merge.clauses)?;
        let returning = match &merge.output {
            None => None,
            Some(OutputClause::Returning { select_items, .. }) => Some(select_items.as_slice()),
            Some(other) => {
                return Err(Error::unsupported(format!("{other} is not supported")).with_hint("RETURNING is"));
            }
        };
        let scope = self.writing_scope(cell).await?;
        let target = Target::of_factor(&merge.table, &scope, &self.settings.schema)?;
        let target = target.seen_by(self.rights(&scope.snapshot));
        let source = factor_name(&merge.source)?;
        if source == target.alias {
            return Err(Error::invalid(format!("target and source are both called {source:?}"))
                .with_code("42712")
                .with_hint("give one of them another name with AS"));
        }
        let mut clauses = Vec::with_capacity(merge.clauses.len());
        for clause in &merge.clauses {
            clauses.push((condition(&target, &source, clause)?, deed(&target, &source, clause)?));
        }
        let number = |action: i32| parse_expr(&action.to_string());
        let actions = clauses
            .iter()
            .map(|(condition, deed)| Ok((condition.clone(), action(&target, deed)?)))
            .collect::<Result<Vec<_>>>()?;
        let values = target.columns().map(|column| value(&target, &clauses, column)).collect::<Result<Vec<_>>>()?;
        let mut query = target.query(values)?;
        let select = select_of(&mut query)?;
        let action = case(actions, number(0)?);
        select.projection.insert(0, SelectItem::ExprWithAlias { expr: action, alias: quoted_ident("action") });
        if returning.is_some() {
            let all = parse_query(&format!("SELECT {}.* FROM t", quoted(&source)))?;
            let mut all = all;
            select.projection.append(&mut select_of(&mut all)?.projection);
        }
        if let Some(from) = select.from.first_mut() {
            let join_operator = join(&merge.clauses, merge.on.as_ref().clone());
            from.joins = vec![Join { relation: marked(&merge.source, &source)?, global: false, join_operator }];
        }
        let query = self.query_rows(&scope, &target, Purpose::Merge, query).await?;
        let changed_keys = clauses
            .iter()
            .any(|(_, deed)| matches!(deed, Deed::Update(set) if target.keys_under(set) == Keys::MayChange));
        let shown = Shown { inserted: returning.is_some(), updated: true };
        let changes = Changes {
            checks: self.row_checks(&scope, &target, shown),
            target,
            action: None,
            values: true,
            row_ids: true,
            again: Again::Refuse("MERGE would change a row a second time; several rows of the source match it"),
            distinct: None,
            keys: if changed_keys { Keys::MayChange } else { Keys::Kept },
            returning: returning.is_some(),
        };
        Ok(Planned { scope, changes, query, verb: "MERGE", returning })
    }
}

/// Refuses a clause behind one of its kind that takes all rows.
fn check_reachable(clauses: &[MergeClause]) -> Result<()> {
    let (mut matched, mut by_target, mut by_source) = (false, false, false);
    for clause in clauses {
        let taken = match clause.clause_kind {
            MergeClauseKind::Matched => &mut matched,
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => &mut by_target,
            MergeClauseKind::NotMatchedBySource => &mut by_source,
        };
        if *taken {
            return Err(Error::invalid("unreachable WHEN clause specified after unconditional WHEN clause")
                .with_code("42601")
                .with_hint(format!("give the WHEN {} before it a condition: AND …", clause.clause_kind)));
        }
        *taken = clause.predicate.is_none();
    }
    Ok(())
}

/// The number of what a clause does, or of its refusal for a row that no policy lets it change.
fn action(target: &Target, deed: &Deed) -> Result<Expr> {
    let number = |action: i32| parse_expr(&action.to_string());
    let allowed = match deed {
        Deed::Update(_) if target.has_policies => target.own(&target.hidden.may_update()),
        Deed::Delete if target.has_policies => target.own(&target.hidden.may_delete()),
        _ => return number(deed.action()),
    };
    Ok(case(vec![(allowed, number(deed.action())?)], number(changes::REFUSED)?))
}

/// The join that gives every row that a clause may be about.
fn join(clauses: &[MergeClause], on: Expr) -> JoinOperator {
    let any = |wanted: fn(MergeClauseKind) -> bool| clauses.iter().any(|clause| wanted(clause.clause_kind));
    let by_target = any(|kind| matches!(kind, MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget));
    let by_source = any(|kind| matches!(kind, MergeClauseKind::NotMatchedBySource));
    let on = JoinConstraint::On(on);
    match (by_target, by_source) {
        (true, true) => JoinOperator::FullOuter(on),
        (true, false) => JoinOperator::Right(on),
        (false, true) => JoinOperator::Left(on),
        (false, false) => JoinOperator::Inner(on),
    }
}

/// The source, with its mark.
fn marked(source: &TableFactor, name: &str) -> Result<TableFactor> {
    let sql = format!("SELECT 1 FROM (SELECT *, true AS {} FROM t) AS {}", quoted(MARK), quoted(name));
    let mut query = parse_query(&sql)?;
    let Some(from) = select_of(&mut query)?.from.pop() else { return Err(Error::internal("a query without FROM")) };
    let mut factor = from.relation;
    if let TableFactor::Derived { subquery, .. } = &mut factor
        && let Some(inner) = select_of(subquery)?.from.first_mut()
    {
        inner.relation = source.clone();
        // Columns of one name do no harm as long as nobody asks for them.
        if let TableFactor::Derived { subquery, .. } = &mut inner.relation {
            number_in(subquery);
        }
    }
    Ok(factor)
}

/// When a clause is about a row.
fn condition(target: &Target, source: &str, clause: &MergeClause) -> Result<Expr> {
    let row = format!("{}.rowid", quoted(&target.alias));
    let mark = format!("{}.{}", quoted(source), quoted(MARK));
    let kind = parse_expr(&match clause.clause_kind {
        MergeClauseKind::Matched => format!("{row} IS NOT NULL AND {mark} IS NOT NULL"),
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => format!("{row} IS NULL"),
        MergeClauseKind::NotMatchedBySource => format!("{mark} IS NULL"),
    })?;
    let Some(predicate) = &clause.predicate else { return Ok(kind) };
    let predicate = match clause.clause_kind {
        MergeClauseKind::Matched => predicate.clone(),
        MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => of_one_side(predicate, target, source),
        MergeClauseKind::NotMatchedBySource => of_one_side(predicate, target, &target.alias),
    };
    Ok(Expr::BinaryOp {
        left: Box::new(kind),
        op: datafusion::sql::sqlparser::ast::BinaryOperator::And,
        right: Box::new(Expr::Nested(Box::new(predicate))),
    })
}

/// An expression of a clause that sees one side only: names that both sides have are that side's.
fn of_one_side(expr: &Expr, target: &Target, side: &str) -> Expr {
    let mut expr = expr.clone();
    let mut names = SideNames { columns: target.columns().collect(), side, depth: 0 };
    // It never breaks off.
    let _ = polder_sql_tree::visit_mut(&mut expr, &mut names);
    expr
}

/// Qualifies the names of the target's columns, except in subqueries, which have names of their own.
struct SideNames<'a> {
    columns: HashSet<&'a str>,
    side: &'a str,
    depth: usize,
}

impl VisitorMut for SideNames<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr
            && self.depth == 0
        {
            let name = if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() };
            if self.columns.contains(name.as_str()) {
                *expr = Expr::CompoundIdentifier(vec![quoted_ident(self.side), quoted_ident(&name)]);
            }
        }
        ControlFlow::Continue(())
    }
}

fn deed(target: &Target, source: &str, clause: &MergeClause) -> Result<Deed> {
    match &clause.action {
        MergeAction::Delete { .. } => Ok(Deed::Delete),
        MergeAction::Update(update) => {
            if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                return Err(Error::unsupported("WHERE behind the action of a MERGE is not supported")
                    .with_hint("write WHEN MATCHED AND … THEN"));
            }
            let nothing = |assignment: &datafusion::sql::sqlparser::ast::Assignment| {
                assignment.to_string() == format!("\"{NOTHING}\" = 1")
            };
            if update.assignments.iter().any(nothing) {
                return Ok(Deed::Nothing);
            }
            Ok(Deed::Update(target.assignments(&update.assignments)?))
        }
        MergeAction::Insert(insert) => inserted(target, source, insert),
    }
}

fn inserted(target: &Target, source: &str, insert: &MergeInsertExpr) -> Result<Deed> {
    if insert.insert_predicate.is_some() {
        return Err(Error::unsupported("WHERE behind the action of a MERGE is not supported")
            .with_hint("write WHEN NOT MATCHED AND … THEN"));
    }
    let MergeInsertKind::Values(values) = &insert.kind else {
        return Err(Error::unsupported("INSERT ROW is not supported").with_hint("INSERT (columns) VALUES (…)"));
    };
    let [row] = values.rows.as_slice() else {
        return Err(Error::invalid("INSERT in a MERGE takes one row of values").with_code("42601"));
    };
    let columns: Vec<String> = if insert.columns.is_empty() {
        target.columns().take(row.content.len()).map(str::to_owned).collect()
    } else {
        let last = |name| parts(name).map(|mut parts| parts.pop().unwrap_or_default());
        insert.columns.iter().map(last).collect::<Result<_>>()?
    };
    if columns.iter().any(|column| column == NOTHING) {
        return Ok(Deed::Nothing);
    }
    if columns.iter().any(|column| column == DEFAULTS) {
        let all = target.columns().map(|column| Ok((column.to_owned(), target.default(column)?)));
        return all.collect::<Result<_>>().map(Deed::Insert);
    }
    if columns.len() != row.content.len() {
        let what = format!("{} values are given for {} columns", row.content.len(), columns.len());
        return Err(at_surplus(Error::invalid(what).with_code("42601"), &row.content, columns.len()));
    }
    let mut set = HashMap::new();
    for (column, expr) in columns.into_iter().zip(&row.content) {
        let value = if is_default(expr) {
            target.default(&column)?
        } else {
            refuse_always(target, std::slice::from_ref(&column), None)?;
            target.typed(&of_one_side(expr, target, source), &column)
        };
        set.insert(column, value);
    }
    for column in target.columns() {
        if !set.contains_key(column) {
            set.insert(column.to_owned(), target.default(column)?);
        }
    }
    Ok(Deed::Insert(set))
}

/// What becomes of one column: by the first clause that holds, and itself otherwise.
fn value(target: &Target, clauses: &[(Expr, Deed)], column: &str) -> Result<Expr> {
    let own = target.stored(column);
    let cases = clauses
        .iter()
        .map(|(condition, deed)| {
            let value = match deed {
                Deed::Nothing | Deed::Delete => own.clone(),
                Deed::Insert(set) | Deed::Update(set) => set.get(column).cloned().unwrap_or_else(|| own.clone()),
            };
            (condition.clone(), value)
        })
        .collect::<Vec<_>>();
    Ok(case(cases, own))
}

/// `CASE WHEN … THEN … ELSE … END`
pub(super) fn case(whens: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    if whens.is_empty() {
        return otherwise;
    }
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: whens.into_iter().map(|(condition, result)| CaseWhen { condition, result }).collect(),
        else_result: Some(Box::new(otherwise)),
    }
}
