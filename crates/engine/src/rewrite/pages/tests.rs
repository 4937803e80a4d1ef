use datafusion::sql::sqlparser::ast::Expr;

use super::{Missing, answer_one};
use crate::parse::parse_expr;

fn check(condition: &str, expected: &str) {
    let mut expr: Expr = parse_expr(condition).unwrap();
    answer_one(&mut expr, &Missing::default());
    assert_eq!(expr.to_string(), expected, "{condition}");
}

#[test]
fn ranges_of_whole_pages_are_answered() {
    check("ctid BETWEEN '(0,0)'::tid AND '(4294967295,0)'::tid", "true");
    check("ctid BETWEEN '(0,0)'::tid AND '(1000,0)'::tid", "true");
    check("ctid BETWEEN '(1000,0)'::tid AND '(4294967295,0)'::tid", "false");
    check("ctid BETWEEN '(0,0)'::tid AND '(0,0)'::TID", "false");
    check("t.ctid >= '(0,0)'::tid", "true");
    check("t.ctid >= CAST('(8,0)' AS tid)", "false");
    check("ctid < '(8,0)'::tid", "true");
    check("ctid < '(0,0)'::tid", "false");
}

#[test]
fn single_rows_are_not() {
    for condition in
        ["ctid = '(0,0)'::tid", "ctid BETWEEN '(0,1)'::tid AND '(0,1)'::tid", "ctid >= '(0,0)'", "a < '(8,0)'::tid"]
    {
        check(condition, &parse_expr(condition).unwrap().to_string());
    }
}
