//! `regexp_replace`: DataFusion's, which is fast, where a replacement means the same to it as in PostgreSQL.

use datafusion::sql::sqlparser::ast::{Expr, Function, Value};

use super::{arguments, call};

/// The call of Polder's own function; none for what DataFusion's does as well.
pub(super) fn replaced(function: &Function) -> Option<Expr> {
    let given = arguments(function)?;
    // From a place on, which is a number where flags are a text.
    let from_a_place = given.get(3).is_some_and(is_number);
    let same = given.len() < 3 || given.get(2).and_then(text).is_some_and(is_plain);
    (from_a_place || !same).then(|| call("polder_regexp_replace", given))
}

/// Whether all that a replacement says is letters and groups of one digit. DataFusion reads `$1` as a group too, `\12` as the
/// twelfth, and neither `\&` nor `\\`.
fn is_plain(with: &str) -> bool {
    let mut letters = with.chars().peekable();
    while let Some(letter) = letters.next() {
        let plain = match letter {
            '$' => false,
            '\\' => {
                let group = letters.next().is_some_and(|digit| matches!(digit, '1'..='9'));
                group && !letters.peek().is_some_and(char::is_ascii_digit)
            }
            _ => true,
        };
        if !plain {
            return false;
        }
    }
    true
}

fn text(expr: &Expr) -> Option<&str> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
        _ => None,
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_number(inner),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_of_letters_and_groups_are_plain() {
        for (with, plain) in [
            ("", true),
            (r"X\1Y\2", true),
            ("$1", false),
            (r"\&", false),
            (r"\\", false),
            (r"\12", false),
            (r"\", false),
        ] {
            assert_eq!(is_plain(with), plain, "{with}");
        }
    }
}
