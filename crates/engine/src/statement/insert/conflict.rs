//! ON CONFLICT: which keys are meant, and the query that finds what becomes of each row.

use datafusion::logical_expr::{Expr as Planned, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{ConflictTarget, Expr, Ident, OnConflict, OnConflictAction, Query, SelectItem};
use polder_lake::Key;
use polder_types::{Error, Result};

use super::EXCLUDED;
use crate::catalog::INPUT_CATALOG;
use crate::error::from_datafusion;
use crate::functions::call;
use crate::parse::parse_expr;
use crate::statement::names::{fold, parts};
use crate::statement::target::{Target, parse_query, quoted, quoted_ident, select_of};
use crate::statement::{changes, merge};

/// The keys whose rows are a conflict.
pub(super) fn arbiters(target: &Target, conflict: &OnConflict) -> Result<Vec<Key>> {
    let keys = &target.table.rules.keys;
    let found: Vec<Key> = match &conflict.conflict_target {
        None => keys.clone(),
        Some(ConflictTarget::OnConstraint(name)) => {
            let name = parts(name)?.pop().unwrap_or_default();
            keys.iter().filter(|key| !key.index && key.name == name).cloned().collect()
        }
        Some(ConflictTarget::Columns(columns)) => {
            let mut wanted =
                columns.iter().map(|column: &Ident| target.column_id(&fold(column))).collect::<Result<Vec<_>>>()?;
            wanted.sort_unstable();
            let same = |key: &&Key| {
                let mut ids = key.columns.clone();
                ids.sort_unstable();
                ids == wanted
            };
            keys.iter().filter(same).cloned().collect()
        }
    };
    let update = matches!(conflict.action, OnConflictAction::DoUpdate(_));
    if conflict.conflict_target.is_none() && update {
        return Err(Error::invalid("ON CONFLICT DO UPDATE needs the columns of a key").with_code("42601"));
    }
    if found.is_empty()
        && let Some(ConflictTarget::OnConstraint(name)) = &conflict.conflict_target
    {
        let message = format!("constraint \"{name}\" for table {:?} does not exist", target.name.table);
        return Err(Error::not_found(message).with_code("42704"));
    }
    if found.is_empty() && conflict.conflict_target.is_some() {
        return Err(Error::invalid("no primary key or unique constraint has the columns that ON CONFLICT names")
            .with_code("42P10")
            .with_hint("ALTER TABLE … ADD UNIQUE (…)"));
    }
    Ok(found)
}

pub(super) fn positions(target: &Target, key: &Key) -> Result<Vec<usize>> {
    key.columns
        .iter()
        .map(|id| {
            let column = target.table.top_columns().find(|column| column.id == *id);
            let at = column.and_then(|column| target.columns().position(|name| name == column.name));
            at.ok_or_else(|| Error::internal("a key without its column"))
        })
        .collect()
}

/// The rows to be inserted, none of which may lack a value that its column demands: whether there is a conflict is asked after that.
pub(super) fn without_missing(target: &Target, keys: &[Key], rows: LogicalPlan) -> Result<LogicalPlan> {
    let given = rows.schema().columns();
    let table = &target.table;
    let fields = table.arrow_schema.fields();
    // A row without a value of the only key is in no conflict. The writing finds it, and shows it.
    let of_key: &[i64] = if let [key] = keys { &key.columns } else { &[] };
    let demanded = |name: &str| {
        let id = target.column_id(name)?;
        // Those that are computed come with the writing, too.
        let is_later = of_key.contains(&id) || table.rules.generated_of(id).is_some();
        Ok::<_, Error>(!is_later && fields.iter().any(|field| field.name() == name && !field.is_nullable()))
    };
    let mut columns = Vec::with_capacity(given.len());
    for (column, name) in given.into_iter().zip(target.columns()) {
        columns.push(match demanded(name)? {
            true => {
                let alias = column.name.clone();
                let named = [name, target.name.table.as_str()].map(lit);
                let given = std::iter::once(Planned::Column(column)).chain(named);
                call("polder_there", given.collect()).alias(alias)
            }
            false => Planned::Column(column),
        });
    }
    let projected = LogicalPlanBuilder::from(rows).project(columns).map_err(from_datafusion)?;
    projected.build().map_err(from_datafusion)
}

/// `SELECT action, values…, rowid FROM target RIGHT JOIN excluded ON the keys`
pub(super) fn upsert_query(target: &Target, conflict: &OnConflict, keys: &[Key]) -> Result<Query> {
    let alias = quoted(&target.alias);
    let columns: Vec<&str> = target.columns().collect();
    let mut any = Vec::new();
    for key in keys {
        let all = positions(target, key)?
            .into_iter()
            .map(|at| format!("{} = {EXCLUDED}.{}", target.stored(columns[at]), quoted(columns[at])));
        any.push(format!("({})", all.collect::<Vec<_>>().join(" AND ")));
    }
    let on = if any.is_empty() { "false".to_owned() } else { any.join(" OR ") };
    let found = parse_expr(&format!("{alias}.rowid IS NOT NULL"))?;
    let excluded = |column: &str| Expr::CompoundIdentifier(vec![quoted_ident(EXCLUDED), quoted_ident(column)]);
    let number = |action: i32| parse_expr(&action.to_string());
    let (action, values) = match &conflict.action {
        OnConflictAction::DoNothing => (
            merge::case(vec![(found, number(0)?)], number(changes::INSERT)?),
            columns.iter().map(|column| excluded(column)).collect::<Vec<_>>(),
        ),
        OnConflictAction::DoUpdate(update) => {
            let set = target.assignments(&update.assignments)?;
            let mut cases = vec![(parse_expr(&format!("{alias}.rowid IS NULL"))?, number(changes::INSERT)?)];
            if target.has_policies {
                let allowed = parse_expr(&format!("{} IS NOT TRUE", target.own(&target.hidden.may_update())))?;
                cases.push((allowed, number(changes::REFUSED)?));
            }
            let otherwise = match &update.selection {
                None => number(changes::UPDATE)?,
                Some(condition) => {
                    cases.push((condition.clone(), number(changes::UPDATE)?));
                    number(0)?
                }
            };
            let values = columns
                .iter()
                .zip(target.assigned(&set))
                .map(|(column, new)| merge::case(vec![(found.clone(), new)], excluded(column)))
                .collect();
            (merge::case(cases, otherwise), values)
        }
    };
    let mut query = target.query(values)?;
    let mut joined = parse_query(&format!(
        "SELECT 1 FROM (SELECT 1) AS t RIGHT JOIN {}.input.{EXCLUDED} AS {EXCLUDED} ON {on}",
        quoted(INPUT_CATALOG)
    ))?;
    let select = select_of(&mut query)?;
    select.projection.insert(0, SelectItem::ExprWithAlias { expr: action, alias: quoted_ident("action") });
    let joins = select_of(&mut joined)?.from.pop().map(|from| from.joins).unwrap_or_default();
    if let Some(from) = select.from.first_mut() {
        from.joins = joins;
    }
    Ok(query)
}
