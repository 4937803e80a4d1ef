//! `COPY … FROM STDIN WHERE …`: which of the rows are taken.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::sql::sqlparser::ast::Expr;
use polder_lake::Snapshot;
use polder_sql_tree::visit_expressions;
use polder_types::{Error, Result};

use super::super::Context;
use super::super::names::fold;
use super::super::target::{Target, quoted};
use crate::catalog::INPUT_CATALOG;
use crate::error::from_datafusion;
use crate::functions::types;
use crate::parse::{parse_condition, parse_kept};
use crate::rewrite::whole_numbers;

const ELSEWHERE: &str = "copy into a temporary table, then INSERT INTO … SELECT … FROM it WHERE …";

/// The rows that come.
pub(super) fn input() -> String {
    format!("{}.input.copy", quoted(INPUT_CATALOG))
}

impl Context<'_> {
    /// Looks at a condition before there are rows, as a client expects to be told what is wrong with it.
    ///
    /// # Errors
    /// As [`of`], and as planning goes.
    pub(crate) async fn check_filter(
        &self,
        snapshot: Arc<Snapshot>,
        target: &Target,
        copied: &[FieldRef],
        condition: &str,
    ) -> Result<()> {
        let empty =
            |field: &FieldRef| format!("CAST(NULL AS {}) AS {}", types::field_name(field), quoted(field.name()));
        // SQL has no name for the type of a row.
        let named_types =
            copied.iter().filter(|field| !matches!(field.data_type(), DataType::Struct(_) | DataType::Map(..)));
        let mut columns: Vec<String> = named_types.map(empty).collect();
        columns.extend(defaults(condition, target, copied).map_err(unplaced)?);
        let statement = parse_kept(&format!("SELECT 1 FROM {}", chosen(&columns, "", target, condition)))?;
        let scope = self.engine.scope(snapshot, None, self.settings);
        let plan = whole_numbers::plan(&scope.state, statement).await;
        let planned = plan.and_then(|plan| scope.state.optimize(&plan));
        planned.map(|_| ()).map_err(|error| unplaced(from_datafusion(error)))
    }
}

/// An error without a place, which would be one of the text that is planned and not of the client's.
fn unplaced(error: Error) -> Error {
    let told = Error::new(error.kind(), error.message()).with_code(error.code());
    match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

/// Rows under the table's name, and the condition.
fn chosen(columns: &[String], from: &str, target: &Target, condition: &str) -> String {
    let (columns, name) = (columns.join(", "), quoted(&target.name.table));
    // The line ends before the bracket does: the condition may end in a comment.
    format!("(SELECT {columns}{from}) AS {name} WHERE ({condition}\n)")
}

/// What stands behind FROM: the rows under the table's name, with the defaults of the columns that the condition names and no
/// row has; and the condition.
///
/// # Errors
/// `InvalidInput` (42601) for what is no condition; `Unsupported` for subqueries, and for defaults that count.
pub(super) fn of(condition: &str, target: &Target, copied: &[FieldRef]) -> Result<String> {
    let mut columns: Vec<String> = copied.iter().map(|field| quoted(field.name())).collect();
    columns.extend(defaults(condition, target, copied)?);
    Ok(chosen(&columns, &format!(" FROM {}", input()), target, condition))
}

/// The columns that the condition names and no row has.
fn defaults(condition: &str, target: &Target, copied: &[FieldRef]) -> Result<Vec<String>> {
    let is_copied = |name: &String| copied.iter().any(|field| field.name() == name);
    let names = named(&parse_condition(condition)?)?;
    let others =
        names.iter().filter(|name| !is_copied(*name) && target.columns().any(|column| column == name.as_str()));
    others.map(|name| Ok(format!("{} AS {}", default(target, name)?, quoted(name)))).collect()
}

/// The names that the condition has for columns.
fn named(condition: &Expr) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let seen = visit_expressions(condition, |part| {
        match part {
            Expr::Identifier(name) => names.insert(fold(name)),
            Expr::CompoundIdentifier(path) => path.last().is_some_and(|name| names.insert(fold(name))),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                let error = Error::unsupported("cannot use subquery in COPY FROM WHERE conditions");
                return ControlFlow::Break(error.with_hint(ELSEWHERE));
            }
            Expr::Function(function) if function.over.is_some() => {
                let error = Error::invalid("window functions are not allowed in COPY FROM WHERE conditions");
                return ControlFlow::Break(error.with_code("42P20").with_hint(ELSEWHERE));
            }
            _ => false,
        };
        ControlFlow::Continue(())
    });
    match seen {
        ControlFlow::Continue(()) => Ok(names),
        ControlFlow::Break(error) => Err(error),
    }
}

/// What a column has that no row gives a value for.
fn default(target: &Target, column: &str) -> Result<String> {
    let id = target.column_id(column)?;
    if target.table.rules.generated_of(id).is_some() {
        return Err(Error::invalid("generated columns are not supported in COPY FROM WHERE conditions")
            .with_code("42P10")
            .with_detail(format!("Column {column:?} is a generated column.")));
    }
    if target.has_computed_default(column) {
        return Err(Error::unsupported(format!("the default of column {column:?} is computed when the row is stored"))
            .with_hint("give the column a value in each row, or leave it out of the condition"));
    }
    let schema = target.table.schema();
    let field = schema.field_with_name(column).map_err(|error| Error::internal(error.to_string()))?;
    Ok(format!("CAST({} AS {})", target.default(column)?, types::field_name(field)))
}
