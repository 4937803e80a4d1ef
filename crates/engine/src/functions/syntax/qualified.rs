//! Operators and collations with the schema before them: `OPERATOR(pg_catalog.~)`, `COLLATE pg_catalog.default`.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, ObjectName};
use polder_types::{Error, Result};

/// The operator that is meant; itself if it is not known by its sign.
pub(super) fn operator(op: BinaryOperator) -> BinaryOperator {
    let found = match &op {
        BinaryOperator::PGCustomBinaryOperator(parts) => named(parts),
        _ => None,
    };
    found.unwrap_or(op)
}

fn named(parts: &[String]) -> Option<BinaryOperator> {
    use BinaryOperator as B;
    let sign = match parts {
        [sign] => sign,
        [schema, sign] if schema == "pg_catalog" => sign,
        _ => return None,
    };
    Some(match sign.as_str() {
        "=" => B::Eq,
        "<>" | "!=" => B::NotEq,
        "<" => B::Lt,
        "<=" => B::LtEq,
        ">" => B::Gt,
        ">=" => B::GtEq,
        "+" => B::Plus,
        "-" => B::Minus,
        "*" => B::Multiply,
        "/" => B::Divide,
        "%" => B::Modulo,
        "||" => B::StringConcat,
        "~" => B::PGRegexMatch,
        "~*" => B::PGRegexIMatch,
        "!~" => B::PGRegexNotMatch,
        "!~*" => B::PGRegexNotIMatch,
        "~~" => B::PGLikeMatch,
        "~~*" => B::PGILikeMatch,
        "!~~" => B::PGNotLikeMatch,
        "!~~*" => B::PGNotILikeMatch,
        "@>" => B::AtArrow,
        "<@" => B::ArrowAt,
        "&&" => B::PGOverlap,
        _ => return None,
    })
}

/// A text by the one collation that there is: the order of its bytes.
///
/// # Errors
/// As [`known_collation`].
pub(super) fn by_bytes(text: Expr, collation: &ObjectName) -> Result<Expr> {
    known_collation(collation).map(|()| text)
}

/// The collations that order texts by their bytes: in UTF-8 that is the order of the characters' numbers.
///
/// # Errors
/// `NotFound` (42704) for another.
pub(crate) fn known_collation(collation: &ObjectName) -> Result<()> {
    let name = collation.to_string().to_lowercase().replace('"', "");
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    if matches!(name, "default" | "c" | "posix" | "ucs_basic" | "c.utf8" | "c.utf-8") {
        return Ok(());
    }
    Err(Error::not_found(format!("collation {collation} for encoding \"UTF8\" does not exist"))
        .with_code("42704")
        .with_hint("texts are compared by their bytes, as by COLLATE \"C\"; lower(…) on both sides ignores case"))
}
