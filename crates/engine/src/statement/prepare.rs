//! PREPARE, EXECUTE, DEALLOCATE: statements with values to be filled in.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Ident, ObjectName, Statement, Value};
use polder_sql_tree::{visit_expressions, visit_expressions_mut};
use polder_types::{Error, ErrorKind, Result};

use super::may::open_cell;
use super::names::{fold, parts};
use super::names_out::number_repeated;
use super::temporary;
use crate::engine::Engine;
use crate::error::from_datafusion;
use crate::rewrite::whole_numbers;
use crate::session::{Inner, Outcome, Settings};

/// Statements that one session may keep.
const PREPARED_MAX: usize = 1_000;

/// A statement kept under a name.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    statement: Statement,
    /// As declared; further parameters have no type of their own.
    types: Vec<DataType>,
    parameters: usize,
}

/// The number of a placeholder, from 1.
fn number(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(text) => text.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The highest number of a placeholder in a statement.
fn parameters(statement: &Statement) -> usize {
    let mut highest = 0;
    let _ = visit_expressions(statement, |expr| {
        highest = highest.max(number(expr).unwrap_or(0));
        ControlFlow::<()>::Continue(())
    });
    highest
}

/// Refuses a statement that needs values which nobody gives.
pub(super) fn check_no_parameters(statement: &Parsed) -> Result<()> {
    let Parsed::Statement(statement) = statement else { return Ok(()) };
    if matches!(statement.as_ref(), Statement::CreateFunction(_)) {
        return Ok(());
    }
    match parameters(statement) {
        0 => Ok(()),
        _ => Err(Error::invalid("there is no value for parameter $1")
            .with_code("42P02")
            .with_hint("PREPARE, then EXECUTE")),
    }
}

fn filled(prepared: &Prepared, values: &[Expr]) -> Statement {
    let mut statement = prepared.statement.clone();
    let _ = visit_expressions_mut(&mut statement, |expr| {
        if let Some(at) = number(expr).and_then(|number| number.checked_sub(1))
            && let Some(value) = values.get(at)
        {
            *expr = match prepared.types.get(at) {
                Some(data_type) => Expr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(value.clone()),
                    data_type: data_type.clone(),
                    array: false,
                    format: None,
                },
                None => Expr::Nested(Box::new(value.clone())),
            };
        }
        ControlFlow::<()>::Continue(())
    });
    statement
}

impl Engine {
    pub(super) async fn prepare(
        self: &Arc<Self>,
        inner: &mut Inner,
        name: &Ident,
        types: &[DataType],
        statement: &Statement,
    ) -> Result<Outcome> {
        let name = fold(name);
        if inner.prepared.contains_key(&name) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("prepared statement {name:?} exists already"))
                .with_code("42P05")
                .with_hint(format!("DEALLOCATE {name}")));
        }
        if inner.prepared.len() >= PREPARED_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("a session keeps {PREPARED_MAX} prepared statements"))
                .with_hint("DEALLOCATE ALL"));
        }
        let parameters = parameters(statement).max(types.len());
        let prepared = Prepared { statement: statement.clone(), types: types.to_vec(), parameters };
        let id = self.lake.newest().await?.id;
        if let Statement::Query(_) = statement {
            // Planned once, so that a mistake is told now.
            let nulls = vec![Expr::Value(Value::Null.into()); parameters];
            let mut tried = Parsed::Statement(Box::new(filled(&prepared, &nulls)));
            let open = open_cell(inner)?;
            // As when it is executed: names of temporary tables and of the whole search path are found.
            temporary::place(&mut inner.settings.temporary.clone(), &mut tried)?;
            let settings = self.resolve(inner.settings.clone(), open.as_ref(), &mut tried).await?;
            number_repeated(&mut tried);
            let view = self.seen(&settings, open.as_ref()).await?;
            // What it reads is asked for when it is executed.
            let settings = Settings { who: settings.who.defining(), ..settings };
            let scope = self.scope(view, None, &settings);
            whole_numbers::plan(&scope.state, tried).await.map_err(from_datafusion)?;
        }
        inner.prepared.insert(name, prepared);
        Ok(Outcome::done("PREPARE", None, id))
    }

    /// The statement that EXECUTE stands for.
    pub(super) fn executed(&self, inner: &Inner, name: Option<&ObjectName>, values: &[Expr]) -> Result<Statement> {
        let name = match name {
            Some(name) => parts(name)?.pop().unwrap_or_default(),
            None => return Err(Error::unsupported("EXECUTE IMMEDIATE is not supported")),
        };
        let prepared = inner.prepared.get(&name).ok_or_else(|| missing(&name))?;
        if values.len() != prepared.parameters {
            let (wanted, given) = (prepared.parameters, values.len());
            return Err(Error::invalid(format!(
                "prepared statement {name:?} takes {wanted} values, and {given} are given"
            ))
            .with_code("42601"));
        }
        Ok(filled(prepared, values))
    }

    pub(super) async fn deallocate(self: &Arc<Self>, inner: &mut Inner, name: &Ident) -> Result<Outcome> {
        let text = fold(name);
        if name.quote_style.is_none() && text == "all" {
            inner.prepared.clear();
        } else if inner.prepared.remove(&text).is_none() {
            return Err(missing(&text));
        }
        Ok(Outcome::done("DEALLOCATE", None, self.lake.newest().await?.id))
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("prepared statement {name:?} does not exist")).with_code("26000")
}
