//! `FROM t AS a(x)`: fewer names than there are columns. The others keep theirs, as in PostgreSQL; DataFusion wants all of them.

use datafusion::common::Result;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{TableAlias, TableAliasColumnDef, TableFactor};
use polder_types::Error;

use crate::error::into_datafusion;
use crate::statement::quoted_ident;

#[derive(Debug)]
pub(crate) struct PartNames;

impl RelationPlanner for PartNames {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let Some(mut alias) = taken(&mut relation) else { return Ok(RelationPlanning::Original(Box::new(relation))) };
        let plan = context.plan(relation)?;
        let (fields, given) = (plan.schema().fields(), alias.columns.len());
        if given > fields.len() {
            let (name, there) = (&alias.name.value, fields.len());
            let message = format!("table \"{name}\" has {there} columns available but {given} columns specified");
            return Err(into_datafusion(Error::invalid(message).with_code("42P10")));
        }
        let kept = fields.iter().skip(given).map(|field| quoted_ident(field.name()));
        alias.columns.extend(kept.map(|name| TableAliasColumnDef { name, data_type: None }));
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, Some(alias)))))
    }
}

/// Takes the alias that names columns.
fn taken(relation: &mut TableFactor) -> Option<TableAlias> {
    match relation {
        TableFactor::Table { alias, args: None, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias.take_if(|alias| !alias.columns.is_empty()),
        _ => None,
    }
}
