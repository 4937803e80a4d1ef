//! CREATE FUNCTION and DROP FUNCTION.

use datafusion::common::DFSchema;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    CreateFunction, DropBehavior, DropFunction, Expr, FunctionDesc, Statement, Value,
};
use polder_lake::{
    FunctionState, Macro, MacroParameter, Snapshot, TableName, Transaction, TransactionCell, ducklake_type,
};
use polder_types::{Error, ErrorKind, Result};

use super::super::{Context, ended};
use super::readers;
use crate::error::from_datafusion;
use crate::inline::{self, Body, Definition, called};
use crate::parse::parse_kept;
use crate::rewrite::whole_numbers;
use crate::scope::Scope;
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn create_function(&self, cell: &TransactionCell, create: &CreateFunction) -> Result<Outcome> {
        check_plain(create)?;
        let name = self.name(&create.name)?;
        let definition = Definition::of(create)?;
        let scope = self.writing_scope(cell).await?;
        self.check_body(&scope, &definition).await?;
        let kept = kept(create, &name, &definition, &scope)?;
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let done = Outcome::done("CREATE FUNCTION", None, transaction.base());
        let (mut macros, mut texts) = match transaction.view().function(&name) {
            Some(known) if known.definitions.is_empty() => {
                return Err(Error::invalid(format!("{name} is a macro that DuckDB made"))
                    .with_code("42723")
                    .with_hint("use another name, or drop it first"));
            }
            Some(known) => (known.macros.clone(), known.definitions.clone()),
            None => (Vec::new(), Vec::new()),
        };
        let known = match transaction.view().function(&name) {
            Some(known) => inline::definitions(known)?,
            None => Vec::new(),
        };
        let same = known.iter().position(|known| known.parameters.len() == definition.parameters.len());
        match same {
            Some(at) => {
                check_replaced(create, &known[at], &definition)?;
                (macros[at], texts[at]) = kept;
            }
            None => {
                macros.push(kept.0);
                texts.push(kept.1);
            }
        }
        transaction.set_function(&name, macros, texts)?;
        Ok(done)
    }

    /// Plans the body once, so that a function that cannot work is not made.
    async fn check_body(&self, scope: &Scope, definition: &Definition) -> Result<()> {
        let functions = self.functions(scope);
        let query = inline::trial(definition, &functions)?;
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
        let plan = whole_numbers::plan(&scope.state, statement).await.map_err(from_datafusion)?;
        let (Some(returns), Body::Value(_)) = (&definition.returns, &definition.body) else { return Ok(()) };
        let sql = format!("CAST(NULL AS {returns})");
        let wanted = scope.state.create_logical_expr(&sql, &DFSchema::empty()).map_err(from_datafusion)?;
        let wanted = datafusion::logical_expr::ExprSchemable::get_type(&wanted, &DFSchema::empty());
        let wanted = wanted.map_err(from_datafusion)?;
        let given = plan.schema().field(0).data_type();
        let literal = matches!(&definition.body, Body::Value(body) if matches!(body.as_ref(), Expr::Value(_)));
        if !literal && !assignable(given, &wanted) {
            return Err(Error::invalid(format!("the function returns {returns}, and its body gives {given}"))
                .with_code("42P13")
                .with_hint("CAST the body"));
        }
        Ok(())
    }

    pub(super) async fn drop_function(&self, cell: &TransactionCell, drop: &DropFunction) -> Result<Outcome> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let mut outcome = Outcome::done("DROP FUNCTION", None, transaction.base());
        let cascade = matches!(drop.drop_behavior, Some(DropBehavior::Cascade));
        for wanted in &drop.func_desc {
            // Without a schema to look in there is none of a name alone.
            let missing = || Error::not_found(format!("function {} does not exist", wanted.name)).with_code("42883");
            let name = match self.name(&wanted.name) {
                Err(error) if error.kind() == ErrorKind::NotFound => Err(missing()),
                name => name,
            };
            match name.and_then(|name| drop_one(transaction, &name, wanted, cascade)) {
                Err(error) if drop.if_exists && error.kind() == ErrorKind::NotFound => {
                    outcome = outcome.notice(format!("{}, skipping", error.message()));
                }
                other => {
                    for above in other? {
                        outcome = outcome.notice(format!("{above} calls it, and is dropped too"));
                    }
                }
            }
        }
        Ok(outcome)
    }
}

/// Refuses what would be accepted and then ignored.
fn check_plain(create: &CreateFunction) -> Result<()> {
    if create.language.as_ref().is_some_and(|language| !language.value.eq_ignore_ascii_case("sql")) {
        return Err(Error::unsupported("functions are written in SQL").with_hint("LANGUAGE SQL"));
    }
    let plain = !create.or_alter
        && !create.temporary
        && !create.if_not_exists
        && create.security.is_none()
        && create.set_params.is_empty()
        && create.using.is_none()
        && create.options.is_none()
        && create.remote_connection.is_none();
    if plain {
        return Ok(());
    }
    Err(Error::unsupported("CREATE FUNCTION with SECURITY, SET, TEMPORARY or other options is not supported"))
}

fn check_replaced(create: &CreateFunction, known: &Definition, new: &Definition) -> Result<()> {
    let types = |definition: &Definition| -> Vec<Option<String>> {
        definition.parameters.iter().map(|parameter| parameter.data_type.as_ref().map(ToString::to_string)).collect()
    };
    if types(known) != types(new) {
        return Err(Error::unsupported(format!(
            "there is {} already, and functions of one name are told apart by the number of their arguments",
            known.signature()
        ))
        .with_hint("use another name"));
    }
    if !create.or_replace {
        return Err(Error::new(ErrorKind::AlreadyExists, format!("function {} exists already", known.signature()))
            .with_code("42723")
            .with_hint("CREATE OR REPLACE FUNCTION"));
    }
    if known.returns.as_ref().map(ToString::to_string) != new.returns.as_ref().map(ToString::to_string) {
        return Err(Error::invalid(format!("the type that {} returns cannot be changed", known.signature()))
            .with_code("42P13")
            .with_hint("DROP FUNCTION first"));
    }
    Ok(())
}

/// How the catalog names the type of a parameter that takes everything.
const ANY_TYPE: &str = "unknown";

/// DuckDB reads no table of a lake with a parameter whose type it cannot read, and it reads neither nested ones nor numbers wider
/// than its own: such a parameter takes everything there.
fn named_for_duckdb(arrow: &arrow::datatypes::DataType) -> Result<String> {
    use arrow::datatypes::DataType as D;
    if arrow.is_nested() || matches!(arrow, D::Decimal256(..) | D::Null) {
        return Ok(ANY_TYPE.into());
    }
    ducklake_type(arrow)
}

/// The function for the catalog: as a macro for DuckDB, and as it was written.
fn kept(create: &CreateFunction, name: &TableName, definition: &Definition, scope: &Scope) -> Result<(Macro, String)> {
    let parameters = definition.parameters.iter().enumerate().map(|(at, parameter)| {
        let data_type = match &parameter.data_type {
            Some(data_type) => {
                let sql = format!("CAST(NULL AS {data_type})");
                let empty = DFSchema::empty();
                let expr = scope.state.create_logical_expr(&sql, &empty).map_err(from_datafusion)?;
                let arrow =
                    datafusion::logical_expr::ExprSchemable::get_type(&expr, &empty).map_err(from_datafusion)?;
                named_for_duckdb(&arrow)?
            }
            None => ANY_TYPE.into(),
        };
        // DuckDB keeps literals only.
        let (default, default_type) = match &parameter.default {
            Some(Expr::Value(value)) => match &value.value {
                Value::Number(number, _) if number.to_string().parse::<i32>().is_ok() => {
                    (Some(number.to_string()), "int32")
                }
                Value::SingleQuotedString(text) => (Some(text.clone()), "varchar"),
                _ => (None, ANY_TYPE),
            },
            _ => (None, ANY_TYPE),
        };
        let name = parameter.name.clone().unwrap_or_else(|| format!("argument{}", at + 1));
        Ok(MacroParameter { name, data_type, default, default_type: default_type.into() })
    });
    let parameters = parameters.collect::<Result<Vec<_>>>()?;
    let (sql, table) = match (&definition.body, &definition.returns) {
        (Body::Value(body), Some(returns)) => (format!("CAST({body} AS {returns})"), false),
        (Body::Value(body), None) => (body.to_string(), false),
        (Body::Rows(query, _), _) => (query.to_string(), true),
    };
    let mut plain = create.clone();
    plain.or_replace = false;
    plain.name = datafusion::sql::sqlparser::ast::ObjectName::from(vec![
        super::super::target::quoted_ident(&name.schema),
        super::super::target::quoted_ident(&name.table),
    ]);
    let text = Statement::CreateFunction(plain).to_string();
    // What is kept must be read back.
    parse_kept(&text)?;
    Ok((Macro { dialect: "duckdb".into(), sql, table, parameters }, text))
}

/// Whether PostgreSQL casts by itself when a function returns.
pub(super) fn assignable(from: &arrow::datatypes::DataType, to: &arrow::datatypes::DataType) -> bool {
    use arrow::datatypes::DataType as D;
    let text = |data_type: &D| matches!(data_type, D::Utf8 | D::LargeUtf8 | D::Utf8View);
    let moment = |data_type: &D| matches!(data_type, D::Date32 | D::Date64 | D::Timestamp(..));
    from == to
        || *from == D::Null
        || text(to)
        || (from.is_numeric() && to.is_numeric())
        || (moment(from) && moment(to))
        || matches!((from, to), (D::Time32(_) | D::Time64(_), D::Time32(_) | D::Time64(_)))
        || matches!((from, to), (D::Interval(_) | D::Duration(_), D::Interval(_)))
        || (from.is_nested() && to.is_nested())
        || (matches!(from, D::Binary | D::BinaryView | D::LargeBinary)
            && matches!(to, D::Binary | D::BinaryView | D::LargeBinary))
}

/// Drops one implementation, or all when no arguments are named. Gives what was dropped with it.
fn drop_one(
    transaction: &mut Transaction,
    name: &TableName,
    wanted: &FunctionDesc,
    cascade: bool,
) -> Result<Vec<String>> {
    let missing = || Error::not_found(format!("function {name} does not exist")).with_code("42883");
    let known = transaction.view().function(name).cloned().ok_or_else(missing)?;
    let at = match &wanted.args {
        Some(arguments) => {
            let fits = |known: &Macro| known.parameters.len() == arguments.len();
            Some(known.macros.iter().position(fits).ok_or_else(missing)?)
        }
        None if known.macros.len() == 1 => None,
        None => {
            return Err(Error::invalid(format!("function name {name} is not unique"))
                .with_code("42725")
                .with_hint("name the types of its arguments too"));
        }
    };
    if known.macros.len() == 1 {
        return drop_whole(transaction, name, cascade);
    }
    let (mut macros, mut texts) = (known.macros.clone(), known.definitions.clone());
    match at {
        Some(at) => {
            macros.remove(at);
            if at < texts.len() {
                texts.remove(at);
            }
        }
        None => {
            macros.clear();
            texts.clear();
        }
    }
    transaction.set_function(name, macros, texts)?;
    Ok(Vec::new())
}

/// Drops a function with all its implementations. Gives what was dropped with it.
///
/// # Errors
/// 2BP01 for one that others call, unless they are to go too.
pub(in super::super) fn drop_whole(
    transaction: &mut Transaction,
    name: &TableName,
    cascade: bool,
) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    while let Some(first) = callers(transaction.view(), name).into_iter().next() {
        if !cascade {
            return Err(Error::invalid(format!("function {name} cannot be dropped: {first} calls it"))
                .with_code("2BP01")
                .with_hint("DROP … CASCADE drops both"));
        }
        dropped.extend(drop_caller(transaction, &first)?);
    }
    readers::release(transaction, name, readers::Kind::Function, cascade)?;
    transaction.set_function(name, Vec::new(), Vec::new())?;
    Ok(dropped)
}

fn drop_caller(transaction: &mut Transaction, caller: &TableName) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    if transaction.view().view(caller).is_some() || transaction.view().table(caller).is_some() {
        dropped.extend(super::depend::release(transaction, caller, true)?.iter().map(ToString::to_string));
        if transaction.view().view(caller).is_some() {
            transaction.drop_view(caller)?;
        } else {
            transaction.drop_table(caller)?;
        }
    } else {
        for above in callers(transaction.view(), caller) {
            dropped.extend(drop_caller(transaction, &above)?);
        }
        readers::release(transaction, caller, readers::Kind::Function, true)?;
        transaction.set_function(caller, Vec::new(), Vec::new())?;
    }
    dropped.push(caller.to_string());
    Ok(dropped)
}

/// Functions, views and materialized views that call a function, by its name.
fn callers(snapshot: &Snapshot, name: &TableName) -> Vec<TableName> {
    let calls = |sql: &str| match parse_kept(sql) {
        Ok(Parsed::Statement(statement)) => called(&statement).contains(&name.table),
        _ => false,
    };
    let schema = |id: i64| snapshot.schemas.get(&id).map_or("", |schema| schema.name.as_str());
    let own = |function: &FunctionState| schema(function.schema_id) == name.schema && function.name == name.table;
    let functions = snapshot.functions.values().filter(|function| !own(function)).filter(|function| {
        inline::definitions(function).is_ok_and(|all| all.iter().any(|definition| body_calls(definition, name)))
    });
    let mut found: Vec<TableName> =
        functions.map(|function| TableName::new(schema(function.schema_id), &function.name)).collect();
    let views = snapshot.views.values().filter(|view| calls(&view.sql));
    found.extend(views.map(|view| TableName::new(schema(view.schema_id), &view.name)));
    let materialized = snapshot
        .tables
        .values()
        .filter(|table| table.rules.materialized.as_ref().is_some_and(|materialized| calls(&materialized.sql)));
    found.extend(materialized.map(|table| snapshot.name_of(table)));
    found
}

fn body_calls(definition: &Definition, name: &TableName) -> bool {
    let text = match &definition.body {
        Body::Value(body) => format!("SELECT {body}"),
        Body::Rows(query, _) => query.to_string(),
    };
    match parse_kept(&text) {
        Ok(Parsed::Statement(statement)) => called(&statement).contains(&name.table),
        _ => false,
    }
}
