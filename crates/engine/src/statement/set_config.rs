//! `SELECT set_config('name', 'value', is_local)`: a query that sets, as drivers and `pg_dump` send it. It does so where it is
//! the whole query and its arguments are constants, or a column of the answer (`beside.rs`); anywhere else the function only tells
//! what is set.

mod beside;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr, Statement, Value,
};
use polder_capability::{Caller, CommandTag};
use polder_types::{Error, Result};

use super::may::open_cell;
use super::names::fold;
use super::quoted;
use super::settings::configure;
use crate::engine::Engine;
use crate::foreign_settings;
use crate::parse::parse;
use crate::record::Running;
use crate::session::{Inner, Outcome};

pub(super) use beside::beside;

const NAME: &str = "set_config";

/// One call. A value that is NULL puts the setting back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    setting: Option<String>,
    value: Option<String>,
    local: bool,
    /// What the column of the answer is called.
    column: String,
}

/// The calls of a query that is nothing else; `None` for all others.
pub(super) fn calls(statement: &Statement) -> Option<Vec<Call>> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    if !select.from.is_empty() {
        return None;
    }
    let calls = select.projection.iter().map(call).collect::<Option<Vec<_>>>().filter(|calls| !calls.is_empty())?;
    let items: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
    // Written out there is nothing else: no condition, no order, no limit.
    (statement.to_string() == format!("SELECT {}", items.join(", "))).then_some(calls)
}

/// The call that a column of the answer is, and what it is called.
fn called(item: &SelectItem) -> Option<(&Function, String)> {
    let (expr, column) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, NAME.to_owned()),
        SelectItem::ExprWithAlias { expr, alias } => (expr, fold(alias)),
        _ => return None,
    };
    let Expr::Function(function) = expr else { return None };
    let parts: Option<Vec<String>> = function.name.0.iter().map(|part| part.as_ident().map(fold)).collect();
    let is_set_config = match parts?.as_slice() {
        [name] => name == NAME,
        [schema, name] => schema == "pg_catalog" && name == NAME,
        _ => false,
    };
    is_set_config.then_some((function, column))
}

fn call(item: &SelectItem) -> Option<Call> {
    let (function, column) = called(item)?;
    let [setting, value, local] = arguments(function)?;
    let local = match local.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("t" | "true" | "on" | "yes" | "y" | "1") => true,
        None | Some("f" | "false" | "off" | "no" | "n" | "0") => false,
        Some(_) => return None,
    };
    Some(Call { setting, value, local, column })
}

fn arguments(function: &Function) -> Option<[Option<String>; 3]> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let constants = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(expr, false),
        _ => None,
    });
    constants.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// The text of a constant; NULL has none. A number is no text, but may be cast into one.
fn constant(expr: &Expr, cast: bool) -> Option<Option<String>> {
    match expr {
        Expr::Nested(inner) => constant(inner, cast),
        Expr::Cast { expr, array: false, format: None, .. } => constant(expr, true),
        Expr::Value(value) => match &value.value {
            Value::Null => Some(None),
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(Some(text.clone())),
            Value::DollarQuotedString(text) => Some(Some(text.value.clone())),
            Value::Boolean(value) => Some(Some(value.to_string())),
            Value::Number(digits, _) if cast => Some(Some(digits.to_string())),
            _ => None,
        },
        _ => None,
    }
}

impl Engine {
    /// Sets what the calls say, all of it or nothing, and answers with what is set now.
    pub(super) async fn set_config(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        calls: Vec<Call>,
        running: &Arc<Running>,
    ) -> Result<Outcome> {
        open_cell(inner)?;
        let before = inner.settings.clone();
        let lasting = inner.open.as_ref().map(|open| open.lasting.clone());
        let done = self.configure_all(caller, inner, &calls, running).await;
        let (told, outside) = match done {
            Ok(told) => (told, inner.open.is_none()),
            Err(error) => {
                inner.settings = before;
                if let (Some(open), Some(lasting)) = (&mut inner.open, lasting) {
                    open.lasting = lasting;
                }
                return Err(error);
            }
        };
        let names: Vec<Option<String>> = calls.iter().map(|call| call.setting.clone()).collect();
        let set = Arc::clone(&inner.settings.custom);
        // What holds until the end of the transaction holds no longer where the statement is one by itself.
        if outside && calls.iter().any(|call| call.local) {
            inner.settings = before;
            let kept: Vec<Call> = calls.into_iter().filter(|call| !call.local).collect();
            self.configure_all(caller, inner, &kept, running).await?;
        }
        let names = names.iter().flatten();
        let notices = names.filter_map(|name| foreign_settings::notice(name, &set)).collect();
        Ok(Outcome { notices, ..row(told, self.lake.newest().await?.id)? })
    }

    async fn configure_all(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        calls: &[Call],
        running: &Arc<Running>,
    ) -> Result<Vec<(String, String)>> {
        let mut told = Vec::with_capacity(calls.len());
        for call in calls {
            let name = call.setting.as_deref().map(str::to_lowercase).ok_or_else(|| {
                Error::invalid("SET requires parameter name")
                    .with_code("22004")
                    .with_hint("set_config('name', 'value', false)")
            })?;
            let shown = match name.as_str() {
                "role" | "session_authorization" => {
                    self.take_on(caller, inner, &name, call, running).await?;
                    call.value.clone().unwrap_or_default()
                }
                _ => {
                    let (value, local) = (call.value.as_deref(), call.local && inner.open.is_some());
                    self.set_by(inner, local, |settings| configure(settings, &name, value)).await?;
                    // A path is told as it was written.
                    match &call.value {
                        Some(path) if name == "search_path" => path.clone(),
                        _ => super::control::shown(inner, &name).unwrap_or_default(),
                    }
                }
            };
            told.push((call.column.clone(), shown));
        }
        Ok(told)
    }

    /// Who the statements run as is no setting like others: it is asked whether they may.
    async fn take_on(
        self: &Arc<Self>,
        caller: &Caller,
        inner: &mut Inner,
        name: &str,
        call: &Call,
        running: &Arc<Running>,
    ) -> Result<()> {
        let what = if name == "role" { "ROLE" } else { "SESSION AUTHORIZATION" };
        let scope = if call.local { "LOCAL" } else { "SESSION" };
        let sql = match call.value.as_deref() {
            None => format!("RESET {what}"),
            Some("none") if name == "role" => format!("SET {scope} ROLE NONE"),
            Some("default") => format!("SET {scope} {what} DEFAULT"),
            Some(role) => format!("SET {scope} {what} {}", quoted(role)),
        };
        for statement in parse(&sql)? {
            Box::pin(self.statement(caller, inner, statement, running)).await?;
        }
        Ok(())
    }
}

/// The answer: one row of texts.
fn row(told: Vec<(String, String)>, snapshot: polder_types::SnapshotId) -> Result<Outcome> {
    let fields: Vec<Field> = told.iter().map(|(name, _)| Field::new(name, DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let column = |(_, value): (String, String)| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let columns: Vec<ArrayRef> = told.into_iter().map(column).collect();
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| Error::internal(error.to_string()))?;
    let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::iter([Ok(batch)]));
    Ok(Outcome {
        tag: CommandTag { verb: "SELECT".into(), rows: None },
        snapshot,
        notices: Vec::new(),
        rows: Some((schema, Box::pin(rows))),
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::parser::Statement as Parsed;

    use super::*;
    use crate::parse::ParsedStatement;

    fn read(sql: &str) -> Option<Vec<(Option<String>, Option<String>, bool)>> {
        let Some(ParsedStatement::Standard(Parsed::Statement(statement))) = parse(sql).unwrap().pop() else {
            return None;
        };
        let calls = calls(&statement)?;
        Some(calls.into_iter().map(|call| (call.setting, call.value, call.local)).collect())
    }

    #[test]
    fn a_whole_query_of_constants_sets() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            read("SELECT pg_catalog.set_config('search_path', '', false)"),
            Some(vec![(text("search_path"), text(""), false)])
        );
        assert_eq!(
            read(
                "SELECT set_config('a.b', CAST(5 AS text), true), set_config('a.c', NULL, CAST('off' AS boolean)) AS c"
            ),
            Some(vec![(text("a.b"), text("5"), true), (text("a.c"), None, false)])
        );
        for sql in [
            "SELECT 1",
            "SELECT set_config('a.b', 'x', true), 1",
            "SELECT set_config('a.b', 'x', true) FROM t",
            "SELECT set_config('a.b', upper('x'), true)",
            "SELECT set_config('a.b', 'x', true) LIMIT 0",
            "SELECT set_config('a.b', 'x', true) WHERE false",
            "SELECT other.set_config('a.b', 'x', true)",
        ] {
            assert_eq!(read(sql), None, "{sql}");
        }
    }
}
