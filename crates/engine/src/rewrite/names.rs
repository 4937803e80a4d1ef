//! What the columns of an answer are called when nobody named them: as PostgreSQL calls them, `count` and `?column?`,
//! where the planner would show its own words for the expression.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, CastKind, CopySource, DataType, Distinct, Expr, Function, Insert, OrderBy,
    OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor, TimezoneInfo, TrimWhereField, Value,
    VisitorMut,
};
use polder_sql_tree::{visit_expressions, visit_mut};

use crate::statement::fold;
use crate::statement::names_out::MARK;
use crate::statement::quoted_ident;

/// PostgreSQL's name of what has none.
const NAMELESS: &str = "?column?";

/// Names the columns of a query, and of those in it that it sees by name.
pub(crate) fn of_own_query(query: &mut Query) {
    of_query(query);
    let _ = visit_mut(query, &mut Givers);
}

/// Names the columns of a statement's queries that others see: its own, those in FROM, and those in WITH. A subquery
/// within an expression has no names to be seen.
pub(super) fn give(statement: &mut Statement) {
    own(statement);
    let _ = visit_mut(statement, &mut Givers);
}

fn own(statement: &mut Statement) {
    match statement {
        Statement::Query(query) => of_query(query),
        Statement::CreateTable(create) => create.query.as_deref_mut().into_iter().for_each(of_query),
        Statement::CreateView(create) => of_query(&mut create.query),
        Statement::Insert(Insert { source: Some(source), .. }) => of_query(source),
        Statement::Copy { source: CopySource::Query(query), .. } => of_query(query),
        Statement::Explain { statement, .. } | Statement::Prepare { statement, .. } => own(statement),
        _ => {}
    }
}

struct Givers;

impl VisitorMut for Givers {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            of_query(&mut cte.query);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor {
            of_query(subquery);
        }
        ControlFlow::Continue(())
    }
}

fn of_query(query: &mut Query) {
    let mut hidden = HashSet::new();
    let first_of_each =
        matches!(query.body.as_ref(), SetExpr::Select(select) if matches!(select.distinct, Some(Distinct::On(_))));
    if let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = &query.order_by {
        // By itself a name is that of the answer's column; within an expression it is of a table's. That of DISTINCT ON becomes
        // part of one.
        for sort in exprs.iter().filter(|sort| first_of_each || !matches!(sort.expr, Expr::Identifier(_))) {
            names_in(&sort.expr, &mut hidden);
        }
    }
    of_body(&mut query.body, &hidden);
}

fn of_body(body: &mut SetExpr, hidden: &HashSet<String>) {
    match body {
        SetExpr::Select(select) => of_select(select, hidden),
        SetExpr::Query(query) => of_query(query),
        // The names are those of the first.
        SetExpr::SetOperation { left, .. } => of_body(left, hidden),
        _ => {}
    }
}

fn of_select(select: &mut Select, hidden: &HashSet<String>) {
    let mut hidden = hidden.clone();
    if let Some(Distinct::On(on)) = &select.distinct {
        // With QUALIFY it is planned by the expressions themselves, which a name of a column would hide.
        if select.qualify.is_some() {
            return;
        }
        on.iter().for_each(|expr| names_in(expr, &mut hidden));
    }
    for condition in [&select.having, &select.qualify].into_iter().flatten() {
        names_in(condition, &mut hidden);
    }
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        let mut alias = name(expr);
        if hidden.contains(&alias) {
            alias.push(MARK);
            alias.push('0');
        }
        let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
        *item = SelectItem::ExprWithAlias { expr, alias: quoted_ident(&alias) };
    }
}

fn names_in(expr: &Expr, names: &mut HashSet<String>) {
    let _ = visit_expressions(expr, |part| {
        if let Expr::Identifier(ident) = part {
            names.insert(fold(ident));
        }
        ControlFlow::<()>::Continue(())
    });
}

/// The name of an expression's column.
pub(crate) fn name(expr: &Expr) -> String {
    named(expr).map_or_else(|| NAMELESS.to_owned(), |(name, _)| name)
}

/// A name, and whether it is more than that of a type or a form: a cast of something so named takes the name over.
fn named(expr: &Expr) -> Option<(String, bool)> {
    let word = |word: &str| Some((word.to_owned(), true));
    match expr {
        Expr::Identifier(ident) => Some((fold(ident), true)),
        Expr::CompoundIdentifier(idents) => idents.last().map(|ident| (fold(ident), true)),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => Some((fold(field), true)),
            _ => named(root),
        },
        Expr::Function(function) => of_function(function),
        Expr::Cast { expr, data_type, kind: CastKind::Cast | CastKind::DoubleColon | CastKind::TryCast, .. } => {
            match named(expr) {
                Some((name, true)) => Some((name, true)),
                _ => Some((type_name(data_type), false)),
            }
        }
        Expr::TypedString(typed) => Some((type_name(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".to_owned(), false)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => named(inner),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(named) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Array(_) => word("array"),
        Expr::Tuple(_) => word("row"),
        Expr::Exists { .. } => word("exists"),
        Expr::Subquery(query) => of_subquery(&query.body),
        Expr::Extract { .. } => word("extract"),
        Expr::Ceil { .. } => word("ceil"),
        Expr::Floor { .. } => word("floor"),
        Expr::Position { .. } => word("position"),
        Expr::Substring { shorthand, .. } => word(if *shorthand { "substr" } else { "substring" }),
        Expr::Overlay { .. } => word("overlay"),
        Expr::AtTimeZone { .. } => word("timezone"),
        Expr::Trim { trim_where, .. } => word(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        _ => None,
    }
}

fn of_function(function: &Function) -> Option<(String, bool)> {
    let last = function.name.0.last()?.as_ident()?;
    Some((fold(last), true))
}

fn of_subquery(body: &SetExpr) -> Option<(String, bool)> {
    match body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => named(expr),
            SelectItem::ExprWithAlias { alias, .. } => Some((fold(alias), true)),
            _ => None,
        },
        SetExpr::Query(query) => of_subquery(&query.body),
        SetExpr::SetOperation { left, .. } => of_subquery(left),
        _ => None,
    }
}

/// A type by the name that PostgreSQL's catalog has for it.
fn type_name(data_type: &DataType) -> String {
    use DataType as D;
    let zoned = |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
    match data_type {
        D::Bool | D::Boolean => "bool",
        D::SmallInt(_) | D::Int2(_) => "int2",
        D::Int(_) | D::Integer(_) | D::Int4(_) => "int4",
        D::BigInt(_) | D::Int8(_) => "int8",
        D::Real | D::Float4 => "float4",
        D::Double(_) | D::DoublePrecision | D::Float8 | D::Float(_) => "float8",
        D::Numeric(_) | D::Decimal(_) | D::Dec(_) => "numeric",
        D::Varchar(_) | D::CharacterVarying(_) | D::CharVarying(_) => "varchar",
        D::Char(_) | D::Character(_) => "bpchar",
        D::Time(_, zone) => return if zoned(zone) { "timetz".into() } else { "time".into() },
        D::Timestamp(_, zone) => return if zoned(zone) { "timestamptz".into() } else { "timestamp".into() },
        D::Interval { .. } => "interval",
        D::Array(ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::AngleBracket(inner)) => {
            return type_name(inner);
        }
        // Without the schema, and the quotes that tell `"char"` from a word of SQL.
        other => {
            let written = other.to_string().to_lowercase();
            return written.strip_prefix("pg_catalog.").unwrap_or(&written).trim_matches('"').to_owned();
        }
    }
    .to_owned()
}
