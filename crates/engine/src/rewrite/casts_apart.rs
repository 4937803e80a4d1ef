//! `GROUP BY a, a::text` and `max(a), max(a::text)`: the planner calls a cast by the name of what is cast, and refuses two keys, two
//! aggregates or two columns of one name. Here what is cast gets a name of its own.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, GroupByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Value, VisitorMut,
};
use polder_sql_tree::{visit_expressions, visit_mut};
use polder_types::Result;

use crate::parse::parse_call;

/// The function that gives what it is given.
pub(crate) const SAME: &str = "polder_same";

/// Rewrites the SELECT of a query with its ORDER BY.
pub(super) fn apart(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_mut() else { return Ok(()) };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let mut exprs = own_exprs(select);
    if let Some(OrderByKind::Expressions(sorts)) = query.order_by.as_mut().map(|order| &mut order.kind) {
        exprs.extend(sorts.iter_mut().map(|sort| &mut sort.expr));
    }
    if !exprs.iter().any(|expr| has_cast(expr)) {
        return Ok(());
    }
    let same_name = SameName::among(&exprs, grouped);
    if same_name.0.is_empty() {
        return Ok(());
    }
    let mut renamer = Renamer(same_name.0);
    for expr in exprs {
        if let ControlFlow::Break(error) = visit_mut(expr, &mut renamer) {
            return Err(error);
        }
    }
    Ok(())
}

/// The expressions of a SELECT, without those in FROM.
fn own_exprs(select: &mut Select) -> Vec<&mut Expr> {
    let mut exprs: Vec<&mut Expr> = Vec::new();
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            exprs.push(expr);
        }
    }
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        exprs.extend(keys);
    }
    if let Some(Distinct::On(keys)) = &mut select.distinct {
        exprs.extend(keys);
    }
    exprs.extend([&mut select.having, &mut select.qualify].into_iter().flatten());
    exprs
}

fn has_cast(expr: &Expr) -> bool {
    let found = |part: &Expr| if is_cast(part) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    visit_expressions(expr, found).is_break()
}

fn is_cast(expr: &Expr) -> bool {
    matches!(expr, Expr::Cast { .. })
}

/// Casts in expressions that have the same name as another one.
struct SameName(Vec<Expr>);

impl SameName {
    /// Whole expressions are looked at if they may be keys of groups, and calls within them, of which some are aggregates.
    fn among(exprs: &[&mut Expr], grouped: bool) -> Self {
        let mut by_name: HashMap<String, Vec<Expr>> = HashMap::new();
        let mut add = |expr: &Expr| {
            if matches!(expr, Expr::Value(value) if matches!(value.value, Value::Number(..))) {
                return;
            }
            let known = by_name.entry(without_casts(expr).to_string()).or_default();
            if !known.contains(expr) {
                known.push(expr.clone());
            }
        };
        for expr in exprs {
            if grouped {
                add(expr);
            }
            let _ = visit_expressions(&**expr, |part| {
                if matches!(part, Expr::Function(_)) {
                    add(part);
                }
                ControlFlow::<()>::Continue(())
            });
        }
        let mut casts = Vec::new();
        for expr in by_name.into_values().filter(|alike| alike.len() > 1).flatten() {
            let _ = visit_expressions(&expr, |part| {
                if is_cast(part) && !casts.contains(part) {
                    casts.push(part.clone());
                }
                ControlFlow::<()>::Continue(())
            });
        }
        Self(casts)
    }
}

fn without_casts(expr: &Expr) -> Expr {
    struct Bare;
    impl VisitorMut for Bare {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
                *expr = inner.as_ref().clone();
            }
            ControlFlow::Continue(())
        }
    }
    let mut bare = expr.clone();
    let _ = visit_mut(&mut bare, &mut Bare);
    bare
}

struct Renamer(Vec<Expr>);

impl VisitorMut for Renamer {
    type Break = polder_types::Error;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if !self.0.contains(expr) {
            return ControlFlow::Continue(());
        }
        if let Expr::Cast { expr: inner, data_type, .. } = expr {
            // A constant has the type that the cast gives it, and needs no other name.
            if matches!(inner.as_ref(), Expr::Value(_)) {
                return ControlFlow::Continue(());
            }
            // Casts of one value to different types are told apart, too.
            let kind = data_type.to_string().replace('\'', "''");
            match parse_call(&format!("{SAME}(({inner}), '{kind}')")) {
                Ok(named) => **inner = named,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// What is given to the function, if the expression is a call of it.
pub(crate) fn unwrapped(function: &Function) -> Option<&Expr> {
    use datafusion::sql::sqlparser::ast::{FunctionArg, FunctionArgExpr, FunctionArguments};
    if function.name.to_string() != SAME {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.first() {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Nested(inner)))) => Some(inner),
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))) => Some(inner),
        _ => None,
    }
}
