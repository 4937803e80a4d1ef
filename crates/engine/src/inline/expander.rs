//! Calls, each replaced by the body of its function with the arguments in the place of the parameters.

use std::ops::ControlFlow;

use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::Volatility;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query,
    Select, SelectItem, TableAlias, TableAliasColumnDef, TableFactor, Value, Visitor, VisitorMut,
};
use polder_lake::FunctionState;
use polder_sql_tree::{Node, visit, visit_mut};
use polder_types::{Error, ErrorKind, Result};

use super::{Body, Definition, Functions, definitions, gives_a_value};
use crate::statement::{fold, name_parts, parse_query};

/// Functions that call functions, and so on.
const DEPTH_MAX: usize = 32;

/// Calls in one statement, those inside of functions included.
const CALLS_MAX: usize = 10_000;

pub(super) struct Expander<'a> {
    functions: &'a Functions<'a>,
    depth: usize,
    calls: usize,
}

impl<'a> Expander<'a> {
    pub fn new(functions: &'a Functions<'a>) -> Self {
        Self { functions, depth: 0, calls: 0 }
    }
}

impl VisitorMut for Expander<'_> {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Function(function)) = item {
                match self.functions.find(&function.name) {
                    // The column is called as the function is.
                    Ok(Some(found)) => {
                        let (expr, alias) = (Expr::Function(function.clone()), Ident::with_quote('"', &found.name));
                        *item = SelectItem::ExprWithAlias { expr, alias };
                    }
                    Ok(None) => {}
                    Err(error) => return ControlFlow::Break(error),
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        match self.value(function) {
            Ok(Some(value)) => *expr = value,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match self.rows(factor) {
            Ok(Some(rows)) => *factor = rows,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Expander<'_> {
    fn value(&mut self, function: &Function) -> Result<Option<Expr>> {
        let Some(found) = self.functions.find(&function.name)? else { return Ok(None) };
        let FunctionArguments::List(list) = &function.args else { return Ok(None) };
        let plain = function.over.is_none()
            && function.filter.is_none()
            && function.within_group.is_empty()
            && function.null_treatment.is_none()
            && list.duplicate_treatment.is_none()
            && list.clauses.is_empty();
        if !plain {
            return Err(
                Error::invalid(format!("{} is no aggregate and no window function", found.name)).with_code("42809")
            );
        }
        let (definition, arguments) = self.call(found, &list.args)?;
        let Body::Value(body) = &definition.body else {
            return Err(
                Error::invalid(format!("{} gives rows, and stands in FROM", definition.name)).with_code("0A000")
            );
        };
        let mut value = body.as_ref().clone();
        self.put_in(&mut value, &definition, &arguments)?;
        if definition.strict && !arguments.is_empty() {
            value = strict(value, &arguments);
        }
        Ok(Some(match definition.returns {
            Some(returns) => cast(value, returns),
            None => Expr::Nested(Box::new(value)),
        }))
    }

    fn rows(&mut self, factor: &TableFactor) -> Result<Option<TableFactor>> {
        let (name, arguments, alias) = match factor {
            TableFactor::Table { name, args: Some(args), alias, .. } => (name, &args.args, alias),
            TableFactor::Function { name, args, alias, .. } => (name, args, alias),
            _ => return Ok(None),
        };
        let Some(found) = self.functions.find(name)? else { return self.row(factor) };
        let (definition, arguments) = self.call(found, arguments)?;
        let query = match &definition.body {
            Body::Rows(query, _) => {
                let mut query = query.as_ref().clone();
                self.put_in(&mut query, &definition, &arguments)?;
                query
            }
            Body::Value(body) => {
                let mut value = body.as_ref().clone();
                self.put_in(&mut value, &definition, &arguments)?;
                let value = definition.returns.clone().map_or(value.clone(), |returns| cast(value, returns));
                parse_query(&format!("SELECT {value} AS {}", Ident::with_quote('"', &definition.name)))?
            }
        };
        let columns = match &definition.body {
            Body::Rows(_, columns) => columns.as_slice(),
            Body::Value(_) => &[],
        };
        let query = typed(query, columns)?;
        let mut alias = alias.clone().unwrap_or_else(|| TableAlias {
            explicit: true,
            name: Ident::with_quote('"', &definition.name),
            columns: Vec::new(),
            at: None,
        });
        // One column is called as the table is, unless it has a name of its own.
        let is_value = matches!(definition.body, Body::Value(_));
        let named = columns.len() == 1 && fold(&columns[0].0) == definition.name;
        if alias.columns.is_empty() && (is_value || named) {
            alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
        }
        let lateral = is_value && arguments.iter().any(|argument| look_at(argument, self.functions.state).0);
        Ok(Some(TableFactor::Derived { lateral, subquery: Box::new(query), alias: Some(alias), sample: None }))
    }

    /// A function of the system's that gives a value, in FROM: a row of it.
    fn row(&self, factor: &TableFactor) -> Result<Option<TableFactor>> {
        let (name, arguments, alias, ordinality) = match factor {
            TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
                (name, &args.args, alias, *with_ordinality)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => (name, args, alias, *with_ordinality),
            _ => return Ok(None),
        };
        if !gives_a_value(self.functions.state, name) {
            return Ok(None);
        }
        let function = name_parts(name)?.pop().unwrap_or_default();
        let mut alias = alias.clone().unwrap_or_else(|| TableAlias {
            explicit: true,
            name: Ident::with_quote('"', &function),
            columns: Vec::new(),
            at: None,
        });
        let column = |name: Ident| TableAliasColumnDef { name, data_type: None };
        // One column is called as the table is, unless it has a name of its own.
        if alias.columns.is_empty() {
            alias.columns.push(column(alias.name.clone()));
        }
        if ordinality && alias.columns.len() == 1 {
            alias.columns.push(column(Ident::new("ordinality")));
        }
        let values: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let number = if ordinality { ", CAST(1 AS BIGINT)" } else { "" };
        let query =
            parse_query(&format!("SELECT {}({}){number}", Ident::with_quote('"', &function), values.join(", ")))?;
        let lateral = arguments.iter().any(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => look_at(expr, self.functions.state).0,
            _ => false,
        });
        Ok(Some(TableFactor::Derived { lateral, subquery: Box::new(query), alias: Some(alias), sample: None }))
    }

    /// The implementation that takes a call's arguments, and those, each as its parameter's type.
    fn call(&mut self, found: &FunctionState, given: &[FunctionArg]) -> Result<(Definition, Vec<Expr>)> {
        self.calls += 1;
        if self.calls > CALLS_MAX || self.depth > DEPTH_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("function {} calls too many others", found.name))
                .with_code("54001")
                .with_hint("functions cannot call themselves"));
        }
        let all = definitions(found)?;
        let missing = || {
            let known: Vec<String> = all.iter().map(Definition::signature).collect();
            Error::not_found(format!("function {} with these {} arguments does not exist", found.name, given.len()))
                .with_code("42883")
                .with_hint(format!("there is {}", known.join(", ")))
        };
        // The one that needs the fewest defaults.
        let fitting = all.iter().filter(|definition| definition.takes(given.len()));
        let definition = fitting.min_by_key(|definition| definition.parameters.len()).ok_or_else(missing)?;
        let mut arguments: Vec<Option<Expr>> = vec![None; definition.parameters.len()];
        for (at, argument) in given.iter().enumerate() {
            let (at, argument) = match argument {
                FunctionArg::Unnamed(argument) => (at, argument),
                FunctionArg::Named { name, arg, .. } => {
                    let name = fold(name);
                    let at = definition.parameters.iter().position(|parameter| parameter.name.as_ref() == Some(&name));
                    (at.ok_or_else(missing)?, arg)
                }
                FunctionArg::ExprNamed { name: Expr::Identifier(name), arg, .. } => {
                    let name = fold(name);
                    let at = definition.parameters.iter().position(|parameter| parameter.name.as_ref() == Some(&name));
                    (at.ok_or_else(missing)?, arg)
                }
                FunctionArg::ExprNamed { .. } => return Err(missing()),
            };
            let FunctionArgExpr::Expr(expr) = argument else { return Err(missing()) };
            if arguments[at].replace(expr.clone()).is_some() {
                return Err(Error::invalid(format!("an argument of {} is given twice", found.name)).with_code("42601"));
            }
        }
        let arguments = arguments.into_iter().zip(&definition.parameters).map(|(argument, parameter)| {
            let argument = argument.or_else(|| parameter.default.clone()).ok_or_else(missing)?;
            Ok(match &parameter.data_type {
                Some(data_type) => cast(argument, data_type.clone()),
                None => Expr::Nested(Box::new(argument)),
            })
        });
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        Ok((definition.clone(), arguments))
    }

    /// Puts the arguments in the place of the parameters, and expands the functions that the body calls itself.
    pub fn put_in<T: Node>(&mut self, body: &mut T, definition: &Definition, arguments: &[Expr]) -> Result<()> {
        // The body's own calls first: what an argument calls is expanded already.
        self.depth += 1;
        let inner = visit_mut(body, self);
        self.depth -= 1;
        if let ControlFlow::Break(error) = inner {
            return Err(error);
        }
        let reads = has_query(body);
        let mut parameters = Parameters { definition, arguments, used: vec![0; arguments.len()] };
        let _ = visit_mut(body, &mut parameters);
        for (argument, used) in arguments.iter().zip(&parameters.used) {
            let (columns, volatile) = look_at(argument, self.functions.state);
            if reads && columns && *used > 0 {
                return Err(Error::unsupported(format!(
                    "{} reads tables, and takes only constants as arguments here",
                    definition.name
                ))
                .with_hint("write its query in the place of the call, with a join"));
            }
            if volatile && *used != 1 {
                return Err(Error::unsupported(format!(
                    "{} uses an argument {used} times, so it cannot be given one that changes each time",
                    definition.name
                ))
                .with_hint("compute the argument in a subquery first"));
            }
        }
        Ok(())
    }
}

struct Parameters<'a> {
    definition: &'a Definition,
    arguments: &'a [Expr],
    used: Vec<usize>,
}

impl Parameters<'_> {
    fn position(&self, expr: &Expr) -> Option<usize> {
        let named = |name: &Ident| {
            let name = fold(name);
            self.definition.parameters.iter().position(|parameter| parameter.name.as_ref() == Some(&name))
        };
        match expr {
            Expr::Identifier(name) => named(name),
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [function, name] if fold(function) == self.definition.name => named(name),
                _ => None,
            },
            Expr::Value(value) => match &value.value {
                Value::Placeholder(text) => {
                    let number: usize = text.strip_prefix('$')?.parse().ok()?;
                    (1..=self.arguments.len()).contains(&number).then(|| number - 1)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl VisitorMut for Parameters<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(at) = self.position(expr) {
            self.used[at] += 1;
            *expr = self.arguments[at].clone();
        }
        ControlFlow::Continue(())
    }
}

/// Whether there is a query inside.
fn has_query<T: Node>(body: &T) -> bool {
    struct Queries;
    impl Visitor for Queries {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    visit(body, &mut Queries).is_break()
}

/// Whether an expression names columns, and whether it gives another value each time.
fn look_at(expr: &Expr, state: &SessionState) -> (bool, bool) {
    struct Look<'a> {
        state: &'a SessionState,
        columns: bool,
        volatile: bool,
    }
    impl Visitor for Look<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {
                    self.columns = true;
                }
                Expr::Function(function) => {
                    let name = name_parts(&function.name).ok().and_then(|mut parts| parts.pop()).unwrap_or_default();
                    let known = self.state.udf(&name).ok();
                    self.volatile |= known.is_some_and(|known| known.signature().volatility == Volatility::Volatile);
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut look = Look { state, columns: false, volatile: false };
    let _ = visit(expr, &mut look);
    (look.columns, look.volatile)
}

pub(super) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// NULL when any argument is missing.
fn strict(value: Expr, arguments: &[Expr]) -> Expr {
    let conditions = arguments.iter().map(|argument| CaseWhen {
        condition: Expr::IsNull(Box::new(argument.clone())),
        result: Expr::Value(Value::Null.into()),
    });
    Expr::Case {
        case_token: datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        end_token: datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken::empty(),
        operand: None,
        conditions: conditions.collect(),
        else_result: Some(Box::new(value)),
    }
}

/// The query with the names and types that the function's columns have.
pub(super) fn typed(query: Query, columns: &[(Ident, Option<DataType>)]) -> Result<Query> {
    if columns.is_empty() {
        return Ok(query);
    }
    let names: Vec<String> = columns.iter().map(|(name, _)| name.to_string()).collect();
    let items = columns.iter().map(|(name, data_type)| match data_type {
        Some(data_type) => format!("CAST({name} AS {data_type}) AS {name}"),
        None => name.to_string(),
    });
    let items = items.collect::<Vec<_>>().join(", ");
    parse_query(&format!("SELECT {items} FROM ({query}) AS rows ({})", names.join(", ")))
}
