//! Functions made by CREATE FUNCTION: a call is replaced by the function's body before the statement is planned.

mod expander;

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    CreateFunction, CreateFunctionBody, DataType, Expr, FunctionCalledOnNull, FunctionReturnType, Ident, ObjectName,
    Query, SelectItem, SetExpr, Statement, TableFactor, Value, Visitor, VisitorMut,
};
use polder_lake::{FunctionState, Macro, Snapshot, TableName};
use polder_sql_tree::{Node, visit, visit_mut};
use polder_types::{Error, ErrorKind, Result};

use self::expander::{Expander, cast, typed};
use crate::authz::{Rights, Who, denied};
use crate::parse::{parse_expr, parse_kept};
use crate::rewrite::rewrite;
use crate::statement::{fold, name_parts, parse_query};

/// One function with one number of arguments.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub name: String,
    pub parameters: Vec<Parameter>,
    pub body: Body,
    pub returns: Option<DataType>,
    /// Missing when any argument is.
    pub strict: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub name: Option<String>,
    /// `None` for a macro of DuckDB's that takes any.
    pub data_type: Option<DataType>,
    pub default: Option<Expr>,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Value(Box<Expr>),
    /// Rows, and the names and types that their columns get.
    Rows(Box<Query>, Vec<(Ident, Option<DataType>)>),
}

impl Definition {
    /// # Errors
    /// `Unsupported` for what is no single expression or query of SQL.
    pub fn of(create: &CreateFunction) -> Result<Self> {
        let name = name_parts(&create.name)?.pop().unwrap_or_default();
        let parameters = create.args.iter().flatten().map(|argument| {
            if argument.mode.as_ref().is_some_and(|mode| mode.to_string() != "IN") {
                return Err(Error::unsupported("OUT and INOUT parameters are not supported")
                    .with_hint("RETURNS TABLE (…) gives several columns"));
            }
            Ok(Parameter {
                name: argument.name.as_ref().map(fold),
                data_type: Some(argument.data_type.clone()),
                default: argument.default_expr.clone(),
            })
        });
        let parameters = parameters.collect::<Result<Vec<_>>>()?;
        let (returns, columns) = match &create.return_type {
            Some(FunctionReturnType::DataType(DataType::Table(columns))) => {
                let columns = columns.iter().flatten();
                (None, Some(columns.map(|column| (column.name.clone(), Some(column.data_type.clone()))).collect()))
            }
            Some(FunctionReturnType::DataType(data_type)) => (Some(data_type.clone()), None),
            Some(FunctionReturnType::SetOf(data_type)) => {
                (None, Some(vec![(Ident::with_quote('"', &name), Some(data_type.clone()))]))
            }
            None => {
                return Err(Error::invalid("the function does not say what it RETURNS").with_code("42P13"));
            }
        };
        let body = body_of(create)?;
        let body = match (body, columns) {
            (Body::Rows(query, _), Some(columns)) => Body::Rows(query, columns),
            (Body::Value(_), Some(_)) => {
                return Err(
                    Error::invalid("a function that returns rows is a query: AS $$ SELECT … $$").with_code("42P13")
                );
            }
            (Body::Rows(query, _), None) => Body::Value(Box::new(only_value(*query))),
            (value, None) => value,
        };
        let strict = matches!(
            create.called_on_null,
            Some(FunctionCalledOnNull::Strict | FunctionCalledOnNull::ReturnsNullOnNullInput)
        );
        Ok(Self { name, parameters, body, returns, strict })
    }

    /// A macro of DuckDB's.
    fn of_macro(name: &str, known: &Macro) -> Result<Self> {
        let parameters = known.parameters.iter().map(|parameter| {
            let default = parameter.default.as_deref().map(|text| {
                let quoted = format!("'{}'", text.replace('\'', "''"));
                parse_expr(if parameter.default_type == "varchar" { &quoted } else { text })
            });
            Ok(Parameter { name: Some(parameter.name.clone()), data_type: None, default: default.transpose()? })
        });
        let parameters = parameters.collect::<Result<Vec<_>>>()?;
        let body = match known.table {
            true => Body::Rows(Box::new(parse_query(&known.sql)?), Vec::new()),
            false => Body::Value(Box::new(parse_expr(&known.sql)?)),
        };
        Ok(Self { name: name.to_owned(), parameters, body, returns: None, strict: false })
    }

    /// How many arguments a call may give.
    pub fn takes(&self, arguments: usize) -> bool {
        let needed = self.parameters.iter().filter(|parameter| parameter.default.is_none()).count();
        (needed..=self.parameters.len()).contains(&arguments)
    }

    /// Whether the body has a query in it that reads anything.
    pub fn reads_tables(&self) -> bool {
        struct Reads;
        impl Visitor for Reads {
            type Break = ();
            fn pre_visit_table_factor(&mut self, _factor: &TableFactor) -> ControlFlow<()> {
                ControlFlow::Break(())
            }
        }
        match &self.body {
            Body::Value(body) => visit(body.as_ref(), &mut Reads).is_break(),
            Body::Rows(query, _) => visit(query.as_ref(), &mut Reads).is_break(),
        }
    }

    pub fn signature(&self) -> String {
        let types = self.parameters.iter().map(|parameter| {
            parameter
                .data_type
                .as_ref()
                .map_or_else(|| "any".to_owned(), |data_type| data_type.to_string().to_lowercase())
        });
        format!("{}({})", self.name, types.collect::<Vec<_>>().join(", "))
    }
}

/// All implementations of a function.
///
/// # Errors
/// `Unsupported` for a macro of DuckDB's that is not understood here.
pub(crate) fn definitions(function: &FunctionState) -> Result<Vec<Definition>> {
    if function.definitions.is_empty() {
        return function.macros.iter().map(|known| Definition::of_macro(&function.name, known)).collect();
    }
    function
        .definitions
        .iter()
        .map(|sql| match parse_kept(sql)? {
            Parsed::Statement(statement) => match statement.as_ref() {
                Statement::CreateFunction(create) => Definition::of(create),
                _ => Err(Error::internal("the definition of a function is another statement")),
            },
            _ => Err(Error::internal("the definition of a function is another statement")),
        })
        .collect()
}

fn body_of(create: &CreateFunction) -> Result<Body> {
    let refuse = || {
        Error::unsupported("the body of a function is one expression or one query")
            .with_hint("CREATE FUNCTION f(x INT) RETURNS INT RETURN x + 1, or … AS $$ SELECT x + 1 $$")
    };
    let text = match &create.function_body {
        Some(CreateFunctionBody::Return(expr)) => return Ok(Body::Value(Box::new(expr.clone()))),
        Some(body) => text_of(body).ok_or_else(refuse)?,
        None => return Err(Error::invalid("the function has no body").with_code("42P13")),
    };
    let query = parse_query(text.trim().trim_end_matches(';')).map_err(|error| {
        if error.kind() == ErrorKind::Internal { refuse() } else { error.context("the function's body") }
    })?;
    Ok(Body::Rows(Box::new(query), Vec::new()))
}

/// A body that is given as a text.
fn text_of(body: &CreateFunctionBody) -> Option<String> {
    let CreateFunctionBody::AsBeforeOptions { body: Expr::Value(value), link_symbol: None } = body else { return None };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text.clone()),
        Value::DollarQuotedString(quoted) => Some(quoted.value.clone()),
        _ => None,
    }
}

/// The body in the definition of a function, as PostgreSQL shows it: `RETURN …`, or the text between marks.
pub(crate) fn shown_body(definition: &str) -> Option<String> {
    let Ok(Parsed::Statement(statement)) = parse_kept(definition) else { return None };
    let Statement::CreateFunction(create) = statement.as_ref() else { return None };
    match create.function_body.as_ref()? {
        CreateFunctionBody::Return(expr @ (Expr::BinaryOp { .. } | Expr::UnaryOp { .. })) => {
            Some(format!("RETURN ({expr})"))
        }
        CreateFunctionBody::Return(expr) => Some(format!("RETURN {expr}")),
        body => {
            let text = text_of(body)?;
            let mark = if text.contains("$function$") { "$function_of_text$" } else { "$function$" };
            Some(format!("AS {mark}{text}{mark}"))
        }
    }
}

/// The query as a value: that of its first row.
fn only_value(mut query: Query) -> Expr {
    if query.limit_clause.is_none()
        && query.order_by.is_none()
        && query.with.is_none()
        && let SetExpr::Select(select) = query.body.as_mut()
        && let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] = select.projection.as_slice()
        && select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && select.distinct.is_none()
    {
        return expr.clone();
    }
    Expr::Subquery(Box::new(query))
}

/// Replaces the calls of a statement's functions.
///
/// # Errors
/// `NotFound` (42883) for a number of arguments that no function of the name takes; `TooLarge`.
pub(crate) fn expand<T: Node>(statement: &mut T, functions: &Functions<'_>) -> Result<()> {
    let mut expander = Expander::new(functions);
    match visit_mut(statement, &mut expander) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Where functions are looked for.
pub(crate) struct Functions<'a> {
    pub snapshot: &'a Snapshot,
    /// The schemas of names without one.
    pub path: &'a [String],
    pub state: &'a SessionState,
    /// Who calls them, with whose rights.
    pub who: &'a Who,
}

impl Functions<'_> {
    /// The function that a name means; `None` for one of the system's.
    ///
    /// # Errors
    /// `Forbidden` (42501) for one that may not be called.
    fn find(&self, name: &ObjectName) -> Result<Option<&FunctionState>> {
        let found = self.look_up(name)?;
        if let Some(function) = found
            && !self.who.superuser
        {
            Rights::new(self.who, self.snapshot).execute(function)?;
            self.check_lent(function)?;
        }
        Ok(found)
    }

    /// In a view a function reads with the rights of the view's owner: those are lent to nobody else who wrote it.
    fn check_lent(&self, function: &FunctionState) -> Result<()> {
        let owner = Rights::new(self.who, self.snapshot).owner(function.id);
        let is_trusted = owner == self.who.role || self.who.book.role(owner).is_some_and(|owner| owner.is_superuser);
        if !self.who.lent || is_trusted || !definitions(function)?.iter().any(Definition::reads_tables) {
            return Ok(());
        }
        Err(denied(
            "function",
            &function.name,
            format!("it reads tables, and within a view of {} only that role's functions do", self.who.role_name()),
        ))
    }

    fn look_up(&self, name: &ObjectName) -> Result<Option<&FunctionState>> {
        let mut parts = name_parts(name)?;
        let function = parts.pop().unwrap_or_default();
        if let Some(schema) = parts.pop() {
            return Ok(self.snapshot.function(&TableName::new(schema, function)).map(AsRef::as_ref));
        }
        if is_built_in(self.state, &function) {
            return Ok(None);
        }
        let found = self.path.iter().find_map(|schema| self.snapshot.function(&TableName::new(schema, &function)));
        Ok(found.map(AsRef::as_ref))
    }
}

impl Functions<'_> {
    /// Writes the schema before each function of a query, so that it means the same for everybody.
    ///
    /// # Errors
    /// For a name that is none.
    pub fn qualify(&self, query: &mut Query) -> Result<()> {
        struct Qualify<'a>(&'a Functions<'a>);
        impl Qualify<'_> {
            fn name(&self, name: &mut ObjectName) -> ControlFlow<Error> {
                if name.0.len() > 1 {
                    return ControlFlow::Continue(());
                }
                let found = match self.0.find(name) {
                    Ok(found) => found,
                    Err(error) => return ControlFlow::Break(error),
                };
                if let Some(found) = found
                    && let Some(schema) = self.0.snapshot.schemas.get(&found.schema_id)
                {
                    *name = ObjectName::from(vec![
                        Ident::with_quote('"', &schema.name),
                        Ident::with_quote('"', &found.name),
                    ]);
                }
                ControlFlow::Continue(())
            }
        }
        impl VisitorMut for Qualify<'_> {
            type Break = Error;
            fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
                match expr {
                    Expr::Function(function) => self.name(&mut function.name),
                    _ => ControlFlow::Continue(()),
                }
            }
            fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
                match factor {
                    TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                        self.name(name)
                    }
                    _ => ControlFlow::Continue(()),
                }
            }
        }
        match visit_mut(query, &mut Qualify(self)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

fn is_built_in(state: &SessionState, name: &str) -> bool {
    state.scalar_functions().contains_key(name)
        || state.aggregate_functions().contains_key(name)
        || state.window_functions().contains_key(name)
        || state.table_functions().contains_key(name)
}

/// Whether a name is one of the system's functions that give one value for their arguments.
fn gives_a_value(state: &SessionState, name: &ObjectName) -> bool {
    let Ok(mut parts) = name_parts(name) else { return false };
    let function = parts.pop().unwrap_or_default();
    let own = parts.pop().is_none_or(|schema| schema == "pg_catalog");
    own && state.scalar_functions().contains_key(&function) && !state.table_functions().contains_key(&function)
}

/// Whether a statement calls anything that is not one of the system's functions.
pub(crate) fn calls_others<T: Node>(statement: &T, state: &SessionState) -> bool {
    struct Calls<'a>(&'a SessionState);
    impl Calls<'_> {
        fn look(&self, name: &ObjectName) -> ControlFlow<()> {
            match name_parts(name) {
                Ok(parts) if parts.len() == 1 && is_built_in(self.0, &parts[0]) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        }
    }
    impl Visitor for Calls<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(function) => self.look(&function.name),
                _ => ControlFlow::Continue(()),
            }
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match factor {
                // One that gives a value gives a row of it in FROM, which is written out too.
                TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. }
                    if gives_a_value(self.0, name) =>
                {
                    ControlFlow::Break(())
                }
                TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.look(name),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    visit(statement, &mut Calls(state)).is_break()
}

/// The names of all functions that a statement calls.
pub(crate) fn called(statement: &Statement) -> HashSet<String> {
    struct Called(HashSet<String>);
    impl Visitor for Called {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr {
                self.0.extend(name_parts(&function.name).ok().and_then(|mut parts| parts.pop()));
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } = factor {
                self.0.extend(name_parts(name).ok().and_then(|mut parts| parts.pop()));
            }
            ControlFlow::Continue(())
        }
    }
    let mut called = Called(HashSet::new());
    let _ = visit(statement, &mut called);
    called.0
}

/// An expression as [`expand`] leaves it, for the check of a new function.
///
/// # Errors
/// As [`expand`].
pub(crate) fn trial(definition: &Definition, functions: &Functions<'_>) -> Result<Query> {
    let mut expander = Expander::new(functions);
    let arguments: Vec<Expr> = definition
        .parameters
        .iter()
        .map(|parameter| {
            let null = Expr::Value(Value::Null.into());
            parameter.data_type.clone().map_or(null.clone(), |data_type| cast(null, data_type))
        })
        .collect();
    match &definition.body {
        Body::Value(body) => {
            let mut value = body.as_ref().clone();
            rewrite(&mut value)?;
            expander.put_in(&mut value, definition, &arguments)?;
            parse_query(&format!("SELECT {value} AS value"))
        }
        Body::Rows(query, columns) => {
            let mut query = query.as_ref().clone();
            expander.put_in(&mut query, definition, &arguments)?;
            typed(query, columns)
        }
    }
}
