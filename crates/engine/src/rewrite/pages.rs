//! Ranges of `ctid`, by which DuckDB and others read a table of PostgreSQL in parts. Polder's tables have no pages: all rows of each
//! are on its first page, so that the range that begins with it gives all of them, and every other one none. Over ranges
//! that do not overlap each row comes once. Where an outer join may find no row of a table, its `ctid` is NULL, and no range has it:
//! whether there is a row nobody can tell here, so that only a range without rows is answered.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, JoinOperator, ObjectName, Select, TableFactor, TableWithJoins, Value,
};

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
    let missing = Missing::of(&select.from);
    // Conditions that AND joins stand one to the right of all others; there may be thousands.
    while let Expr::BinaryOp { left, op: BinaryOperator::And, right } = rest {
        answer_one(right, &missing);
        rest = left;
    }
    answer_one(rest, &missing);
}

fn answer_one(expr: &mut Expr, missing: &Missing) {
    let (place, holds) = match &*expr {
        Expr::Between { expr: place, negated: false, low, high } if is_place(place) => {
            match (first_page(low), first_page(high)) {
                (Some(low), Some(high)) => (place, low && !high),
                _ => return,
            }
        }
        Expr::BinaryOp { left, op, right } if is_place(left) => match (op, first_page(right)) {
            (BinaryOperator::Gt | BinaryOperator::GtEq, Some(first)) => (left, first),
            (BinaryOperator::Lt | BinaryOperator::LtEq, Some(first)) => (left, !first),
            _ => return,
        },
        _ => return,
    };
    if holds && missing.may_be(place) {
        return;
    }
    *expr = Expr::Value(Value::Boolean(holds).into());
}

/// The names of a FROM, and whether an outer join may find no row of each.
#[derive(Default)]
struct Missing(Vec<(Option<String>, bool)>);

impl Missing {
    fn of(from: &[TableWithJoins]) -> Self {
        let mut all = Self::default();
        from.iter().for_each(|table| all.add(table));
        all
    }

    fn add(&mut self, table: &TableWithJoins) {
        let start = self.0.len();
        self.add_factor(&table.relation);
        for join in &table.joins {
            let right = self.0.len();
            self.add_factor(&join.relation);
            let (before, after) = outer(&join.join_operator);
            for (at, (_, missing)) in self.0.iter_mut().enumerate().skip(start) {
                *missing |= if at < right { before } else { after };
            }
        }
    }

    fn add_factor(&mut self, factor: &TableFactor) {
        let named = match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.add(table_with_joins),
            TableFactor::Table { alias: Some(alias), .. } => Some(fold(&alias.name)),
            TableFactor::Table { name, .. } => name.0.last().and_then(|part| part.as_ident()).map(fold),
            // These have no places.
            _ => None,
        };
        self.0.push((named, false));
    }

    /// Whether a place may be that of no row. A name by itself is of any of the tables.
    fn may_be(&self, place: &Expr) -> bool {
        let table = match place {
            Expr::CompoundIdentifier(parts) => parts.iter().nth_back(1).map(fold),
            _ => None,
        };
        self.0.iter().any(|(name, missing)| *missing && (table.is_none() || *name == table))
    }
}

/// Whether a join may find no row of what is before it, and of what is behind it.
fn outer(operator: &JoinOperator) -> (bool, bool) {
    use JoinOperator as J;
    match operator {
        J::Left(_) | J::LeftOuter(_) | J::AsOf { .. } | J::OuterApply | J::LeftArrayJoin => (false, true),
        J::Right(_) | J::RightOuter(_) => (true, false),
        J::FullOuter(_) => (true, true),
        _ => (false, false),
    }
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
