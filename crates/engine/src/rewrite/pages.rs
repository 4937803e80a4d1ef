//! Ranges of `ctid`, by which DuckDB and others read a table of PostgreSQL in parts. Polder's tables have no pages: all rows of each
//! are on its first page, so that the range that begins with it gives all of them, and every other one none. Over ranges
//! that do not overlap each row comes once.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, ObjectName, Select, Value};

use crate::statement::fold;

/// What PostgreSQL calls the place of a row: its page, and its number on that page, which begins with 1.
const PLACE: &str = "ctid";
const TYPE: &str = "tid";

/// Answers such conditions where WHERE asks for them beside others. A change of rows has no SELECT, and stays refused.
pub(super) fn answer(select: &mut Select) {
    if select.from.is_empty() {
        return;
    }
    let Some(mut rest) = select.selection.as_mut() else { return };
    // Conditions that AND joins stand one to the right of all others; there may be thousands.
    while let Expr::BinaryOp { left, op: BinaryOperator::And, right } = rest {
        answer_one(right);
        rest = left;
    }
    answer_one(rest);
}

fn answer_one(expr: &mut Expr) {
    let holds = match &*expr {
        Expr::Between { expr: place, negated: false, low, high } if is_place(place) => {
            match (first_page(low), first_page(high)) {
                (Some(low), Some(high)) => low && !high,
                _ => return,
            }
        }
        Expr::BinaryOp { left, op, right } if is_place(left) => match (op, first_page(right)) {
            (BinaryOperator::Gt | BinaryOperator::GtEq, Some(first)) => first,
            (BinaryOperator::Lt | BinaryOperator::LtEq, Some(first)) => !first,
            _ => return,
        },
        _ => return,
    };
    *expr = Expr::Value(Value::Boolean(holds).into());
}

fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(ident) => fold(ident) == PLACE,
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|ident| fold(ident) == PLACE),
        _ => false,
    }
}

/// Whether a place that is written out is the beginning of the first page, before all rows; none if it is not the beginning of
/// any page: what rows are among those of one page nobody can say.
fn first_page(expr: &Expr) -> Option<bool> {
    let Expr::Cast { expr: text, data_type: DataType::Custom(name, modifiers), .. } = expr else { return None };
    let Expr::Value(text) = text.as_ref() else { return None };
    let Value::SingleQuotedString(text) = &text.value else { return None };
    if !modifiers.is_empty() || !is_type(name) {
        return None;
    }
    let (page, row) = text.trim().strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    let (page, row): (u32, u16) = (page.trim().parse().ok()?, row.trim().parse().ok()?);
    (row == 0).then_some(page == 0)
}

fn is_type(name: &ObjectName) -> bool {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|ident| fold(ident) == TYPE)
}

#[cfg(test)]
mod tests;
