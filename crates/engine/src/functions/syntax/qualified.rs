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
/// `Unsupported` for another.
pub(super) fn by_bytes(text: Expr, collation: &ObjectName) -> Result<Expr> {
    let name = collation.to_string().to_lowercase().replace('"', "");
    if matches!(name.strip_prefix("pg_catalog.").unwrap_or(&name), "default" | "c" | "posix" | "ucs_basic") {
        return Ok(text);
    }
    Err(Error::unsupported(format!("COLLATE {collation} is not supported"))
        .with_hint("texts are compared by their bytes, as by COLLATE \"C\"; lower(…) on both sides ignores case"))
}
