//! The columns that a policy or mask names.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, VisitorMut};
use polder_sql_tree::visit_mut;

use crate::statement::{fold, quoted_ident};

/// Where a column's name is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// In the expression itself.
    pub outside: bool,
    /// In a query within, where it may be a column of another table.
    pub in_query: bool,
}

impl Mentions {
    pub fn any(self) -> bool {
        self.outside || self.in_query
    }
}

/// Where an expression names a column.
pub(crate) fn mentions(expr: &Expr, column: &str) -> Mentions {
    let mut walk = Walk { column, to: None, depth: 0, found: Mentions::default() };
    // It never breaks off.
    let _ = visit_mut(&mut expr.clone(), &mut walk);
    walk.found
}

/// The expression with another name for a column, but in queries within.
pub(crate) fn renamed(mut expr: Expr, column: &str, to: &str) -> Expr {
    let mut walk = Walk { column, to: Some(to), depth: 0, found: Mentions::default() };
    let _ = visit_mut(&mut expr, &mut walk);
    expr
}

struct Walk<'a> {
    column: &'a str,
    to: Option<&'a str>,
    depth: usize,
    found: Mentions,
}

impl Walk<'_> {
    fn meet(&mut self, ident: &mut Ident) {
        if fold(ident) != self.column {
            return;
        }
        match self.depth {
            0 => self.found.outside = true,
            _ => self.found.in_query = true,
        }
        if let Some(to) = self.to.filter(|_| self.depth == 0) {
            *ident = quoted_ident(to);
        }
    }
}

impl VisitorMut for Walk<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.meet(ident),
            // Of a field of a column, or a column of a table, either part may be the column.
            Expr::CompoundIdentifier(parts) => parts.iter_mut().for_each(|part| self.meet(part)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_expr;

    #[test]
    fn names_in_queries_are_told_apart() {
        let of = |sql: &str| mentions(&parse_expr(sql).unwrap(), "dept");
        assert_eq!(of("dept = 1 AND t.dept > 2"), Mentions { outside: true, in_query: false });
        assert_eq!(of("a IN (SELECT dept FROM b)"), Mentions { outside: false, in_query: true });
        assert!(!of("department = 'dept'").any());
    }

    #[test]
    fn columns_get_other_names() {
        let expr = parse_expr("dept = 1 AND t.dept IN (SELECT dept FROM b)").unwrap();
        let expected = r#""Dept" = 1 AND t."Dept" IN (SELECT dept FROM b)"#;
        assert_eq!(renamed(expr, "dept", "Dept").to_string(), expected);
    }
}
