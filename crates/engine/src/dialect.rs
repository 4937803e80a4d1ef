//! The dialect: PostgreSQL's, and on top of it what warehouses have added to SQL.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{BinaryOperator, ColumnOption, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// PostgreSQL's dialect, with `SELECT * EXCLUDE/REPLACE/RENAME`, `ORDER BY ALL` and `AT (VERSION => …)`.
#[derive(Debug)]
pub(crate) struct PolderDialect;

static BASE: PostgreSqlDialect = PostgreSqlDialect {};

/// Answers of the base, and what is switched on beside them.
macro_rules! switches {
    (base: $($base:ident)*; own: $($own:ident)*;) => {
        $(fn $base(&self) -> bool {
            BASE.$base()
        })*
        $(fn $own(&self) -> bool {
            true
        })*
    };
}

impl PolderDialect {
    fn distinct_from(&self, parser: &mut Parser<'_>, expr: &Expr) -> Option<Result<Expr, ParserError>> {
        let negated = is_word(&parser.peek_nth_token(1).token, "not");
        let words = 1 + usize::from(negated);
        if !is_word(&parser.peek_nth_token(words).token, "distinct")
            || !is_word(&parser.peek_nth_token(words + 1).token, "from")
        {
            return None;
        }
        for _ in 0..words + 2 {
            parser.next_token();
        }
        let other = parser.parse_subexpr(self.prec_value(Precedence::Is));
        let left = Box::new(expr.clone());
        Some(other.map(Box::new).map(|right| match negated {
            true => Expr::IsNotDistinctFrom(left, right),
            false => Expr::IsDistinctFrom(left, right),
        }))
    }

    /// Between two bounds, whichever is the lower one.
    fn between_symmetric(&self, parser: &mut Parser<'_>, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
        let precedence = self.prec_value(Precedence::Between);
        let first = parser.parse_subexpr(precedence)?;
        parser.expect_keyword(Keyword::AND)?;
        let second = parser.parse_subexpr(precedence)?;
        let between = |low: &Expr, high: &Expr| {
            let (low, high) = (Box::new(low.clone()), Box::new(high.clone()));
            Box::new(Expr::Between { expr: Box::new(expr.clone()), negated, low, high })
        };
        let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
        let either = Expr::BinaryOp { left: between(&first, &second), op, right: between(&second, &first) };
        Ok(Expr::Nested(Box::new(either)))
    }

    /// `x IN ((SELECT 1), 2)`: a list of which the first value is, or begins with, a subquery. The parser takes it for a query
    /// that stands in brackets.
    fn in_values(parser: &mut Parser<'_>, expr: &Expr, negated: bool) -> Option<Result<Expr, ParserError>> {
        let words = 1 + usize::from(negated);
        if parser.peek_nth_token(words).token != Token::LParen
            || parser.peek_nth_token(words + 1).token != Token::LParen
        {
            return None;
        }
        let mut lists = false;
        // Told by what stands behind the inner brackets; nothing is taken.
        let looked: Result<(), ParserError> = parser.try_parse(|ahead| {
            for _ in 0..=words {
                ahead.next_token();
            }
            let mut open = 0_usize;
            loop {
                match ahead.next_token().token {
                    Token::LParen => open += 1,
                    Token::RParen if open == 1 => break,
                    Token::RParen => open -= 1,
                    Token::EOF => return Err(ParserError::ParserError(String::new())),
                    _ => {}
                }
            }
            let behind = ahead.next_token().token;
            lists = behind != Token::RParen && !GOES_ON.iter().any(|word| is_word(&behind, word));
            Err(ParserError::ParserError(String::new()))
        });
        if looked.is_ok() || !lists {
            return None;
        }
        for _ in 0..=words {
            parser.next_token();
        }
        let list = parser.parse_comma_separated(Parser::parse_expr).and_then(|list| {
            parser.expect_token(&Token::RParen)?;
            Ok(list)
        });
        Some(list.map(|list| Expr::InList { expr: Box::new(expr.clone()), list, negated }))
    }
}

/// Words behind a query in brackets with which it goes on.
const GOES_ON: &[&str] = &["union", "intersect", "except", "order", "limit", "offset", "fetch", "for"];

/// What other databases say of a column. The parser takes the words, asks only then whose they are, and forgets them.
const FOREIGN_COLUMN_WORDS: &[&[&str]] = &[
    &["AUTO_INCREMENT"],
    &["AUTOINCREMENT"],
    &["IDENTITY"],
    &["ON", "UPDATE"],
    &["AS"],
    &["SRID"],
    &["ASC"],
    &["DESC"],
];

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}

impl Dialect for PolderDialect {
    /// The parser takes it for PostgreSQL's wherever it asks which one it is.
    fn dialect(&self) -> TypeId {
        BASE.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        BASE.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        BASE.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        BASE.is_custom_operator_part(ch)
    }

    /// What fails as a form is read once more as a column's name, with all that is within it: nested ones would double the work
    /// with each level. PostgreSQL has no column of these names either.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        matches!(keyword, Keyword::ARRAY | Keyword::CASE | Keyword::CAST | Keyword::NOT)
            || BASE.is_reserved_for_identifier(keyword)
    }

    /// `SELECT 1 ON CONFLICT …`: the parser takes ON for the column's name.
    fn is_column_alias(&self, keyword: &Keyword, parser: &mut Parser) -> bool {
        *keyword != Keyword::ON && BASE.is_column_alias(keyword, parser)
    }

    /// Words that would be forgotten are the column's, so that they are refused by their names.
    fn parse_column_option(
        &self,
        parser: &mut Parser<'_>,
    ) -> Result<Option<Result<Option<ColumnOption>, ParserError>>, ParserError> {
        let stand =
            |words: &[&str]| words.iter().enumerate().all(|(at, word)| is_word(&parser.peek_nth_token(at).token, word));
        let Some(words) = FOREIGN_COLUMN_WORDS.iter().find(|words| stand(words)) else { return Ok(None) };
        let taken = words.iter().map(|_| parser.next_token().token).collect();
        Ok(Some(Ok(Some(ColumnOption::DialectSpecific(taken)))))
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        if is_word(&parser.peek_token_ref().token, "isnull") {
            return Some(Ok(self.prec_value(Precedence::Is)));
        }
        BASE.get_next_precedence(parser)
    }

    /// A sign binds tighter than a power: `-2 ^ 2` is 4. Other operators before a value bind less than a sum: `~1 + 1` is -3.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let (op, precedence) = match parser.peek_token_ref().token {
            Token::Minus => (UnaryOperator::Minus, Precedence::Caret),
            Token::Plus => (UnaryOperator::Plus, Precedence::Caret),
            Token::Tilde => (UnaryOperator::BitwiseNot, Precedence::PgOther),
            Token::AtSign => (UnaryOperator::PGAbs, Precedence::PgOther),
            _ => return None,
        };
        parser.next_token();
        let operand = parser.parse_subexpr(self.prec_value(precedence));
        Some(operand.map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }))
    }

    /// `x ISNULL`, `x::text COLLATE "C"`, `x [NOT] IN ((SELECT 1), 2)`, `x [NOT] BETWEEN SYMMETRIC a AND b`, and `x IS [NOT] DISTINCT FROM y`, of which the parser takes all that
    /// follows for `y`.
    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        if is_word(&parser.peek_token_ref().token, "isnull") {
            parser.next_token();
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
        }
        if is_word(&parser.peek_token_ref().token, "is") {
            return self.distinct_from(parser, expr);
        }
        // Behind a value the parser takes it by itself, behind a cast and other operators it does not.
        if is_word(&parser.peek_token_ref().token, "collate") {
            parser.next_token();
            let collation = parser.parse_object_name(false);
            return Some(collation.map(|collation| Expr::Collate { expr: Box::new(expr.clone()), collation }));
        }
        let negated = is_word(&parser.peek_token_ref().token, "not");
        let words = usize::from(negated);
        if is_word(&parser.peek_nth_token(words).token, "in") {
            return Self::in_values(parser, expr, negated);
        }
        if !is_word(&parser.peek_nth_token(words).token, "between")
            || !is_word(&parser.peek_nth_token(words + 1).token, "symmetric")
        {
            return None;
        }
        for _ in 0..words + 2 {
            parser.next_token();
        }
        Some(self.between_symmetric(parser, expr, negated))
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        BASE.prec_value(precedence)
    }

    // Without `supports_named_fn_args_with_expr_name`: each argument would be read twice, in case that it is a name, and nested
    // calls double that with each level. A name is an identifier in PostgreSQL too.
    switches! {
        base:
            supports_unicode_string_literal
            supports_filter_during_aggregation
            supports_group_by_expr
            allow_extract_custom
            allow_extract_single_quotes
            supports_create_index_with_clause
            supports_explain_with_utility_options
            supports_comment_on
            supports_empty_projections
            supports_nested_comments
            supports_string_escape_constant
            supports_numeric_literal_underscores
            supports_array_typedef_with_brackets
            supports_factorial_operator
            supports_bitwise_shift_operators
            supports_named_fn_args_with_colon_operator
            supports_geometric_types
            supports_set_names
            supports_alter_column_type_using
            supports_notnull_operator
            supports_interval_options
            supports_insert_table_alias
            supports_create_table_like_parenthesized
            supports_select_wildcard_with_alias
            supports_comma_separated_trim;
        own:
            supports_select_wildcard_exclude
            supports_select_wildcard_replace
            supports_select_wildcard_rename
            supports_order_by_all
            supports_table_versioning
            supports_window_clause_named_window_reference
            supports_from_first_select
            supports_optimize_table;
    }
}
