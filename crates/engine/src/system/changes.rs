//! `table_changes('schema.table', from [, to])`: what changed in a table, row by row.

use std::fmt;
use std::sync::{Arc, Weak};

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::logical_expr::Expr;
use polder_lake::{TableChanges, Version};
use polder_types::Error;

use super::pg_catalog::World;
use super::{external, table_argument};
use crate::authz::rights::SELECT;
use crate::authz::{Rights, word_of};
use crate::engine::Engine;
use crate::policies::{Bound, Governing, off};

pub(super) struct ChangesFunction {
    engine: Weak<Engine>,
}

impl ChangesFunction {
    pub fn new(engine: Weak<Engine>) -> Self {
        Self { engine }
    }
}

impl fmt::Debug for ChangesFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("table_changes")
    }
}

impl TableFunctionImpl for ChangesFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> DataFusionResult<Arc<dyn TableProvider>> {
        let exprs = args.exprs();
        let (name, from, to) = match exprs {
            [name, from] => (name, version(from)?, Version::Newest),
            [name, from, to] => (name, version(from)?, version(to)?),
            _ => return Err(wrong()),
        };
        if !matches!(name, Expr::Literal(value, _) if matches!(value.try_as_str(), Some(Some(_)))) {
            return Err(wrong());
        }
        let name = table_argument("table_changes", std::slice::from_ref(name), args.session())?;
        let engine = self.engine.upgrade().ok_or_else(|| external(Error::internal("the engine has stopped")))?;
        let changes = TableChanges::open(&engine.lake, &name, from, to).map_err(external)?;
        let world = World::of(args.session().config_options())?;
        let (known, table) = (engine.lake.known(), Arc::clone(changes.table()));
        let rights = Rights::new(world.who(), &known);
        rights.require(word_of(&table), &name, table.id, SELECT).map_err(external)?;
        let Some(bound) = Bound::of(rights, table.id) else { return Ok(Arc::new(changes)) };
        if bound.rows && !world.row_security() {
            return Err(external(off(&name.table, rights.owns(table.id))));
        }
        let ids = !bound.rows;
        Governing::table(known, name, &table, Arc::new(changes), ids)
    }
}

fn wrong() -> datafusion::common::DataFusionError {
    external(
        Error::invalid("table_changes() takes a table's name as text, and the first and the last version")
            .with_code("42883")
            .with_hint("SELECT * FROM table_changes('public.flights', 12, 20); a version is a number or a time"),
    )
}

/// A version's number, or a time.
fn version(expr: &Expr) -> DataFusionResult<Version> {
    let Expr::Literal(value, _) = expr else { return Err(wrong()) };
    if let Some(Some(text)) = value.try_as_str() {
        return crate::statement::time(text).map(Version::At).map_err(external);
    }
    match value {
        ScalarValue::Int64(Some(id)) => Ok(Version::Snapshot(*id)),
        _ => Err(wrong()),
    }
}
