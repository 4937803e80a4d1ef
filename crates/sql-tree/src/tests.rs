use datafusion::sql::sqlparser::ast::Ident;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;

const SQL: &str =
    "WITH x AS (SELECT a FROM t WHERE b > (SELECT max(c) FROM u)) SELECT a + 1 FROM x JOIN v ON x.a = v.a";

fn statement() -> Statement {
    Parser::parse_sql(&PostgreSqlDialect {}, SQL).unwrap().remove(0)
}

/// Notes every moment down.
#[derive(Default)]
struct Notes(Vec<String>);

impl Visitor for Notes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.0.push(format!("query {query}"));
        ControlFlow::Continue(())
    }

    fn post_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.0.push(format!("relation {relation}"));
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.0.push(format!("expr {expr}"));
        ControlFlow::Continue(())
    }
}

#[test]
fn the_walk_is_that_of_the_parser() {
    let (mut ours, mut theirs) = (Notes::default(), Notes::default());
    assert!(visit(&statement(), &mut ours).is_continue());
    assert!(statement().visit(&mut theirs).is_continue());
    assert!(ours.0.len() > 10, "{:?}", ours.0);
    assert_eq!(ours.0, theirs.0);
}

#[test]
fn a_reason_to_break_off_is_passed_on() {
    let mut seen = 0;
    let found = visit_expressions(&statement(), |expr| {
        seen += 1;
        if matches!(expr, Expr::Function(_)) { ControlFlow::Break(expr.to_string()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(found, ControlFlow::Break("max(c)".to_owned()));
    assert!(seen < 8, "{seen}");
}

#[test]
fn nodes_are_changed_in_place() {
    let mut statement = statement();
    let done = visit_relations_mut(&mut statement, |name| {
        *name = ObjectName::from(vec![Ident::new(format!("my_{name}"))]);
        ControlFlow::<()>::Continue(())
    });
    assert!(done.is_continue());
    let mut names = Vec::new();
    let _ = visit_relations(&statement, |name| {
        names.push(name.to_string());
        ControlFlow::<()>::Continue(())
    });
    names.sort();
    assert_eq!(names, ["my_t", "my_u", "my_v", "my_x"]);
}
