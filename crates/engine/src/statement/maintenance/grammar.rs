//! What statements of upkeep say: their words, and how they travel through the session.

use std::path::PathBuf;

use chrono::TimeDelta;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, OrderByExpr, Statement, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use polder_lake::{Retain, SortKey};
use polder_types::{Error, Result};

use super::super::names::fold;
use super::super::travel::{Point, clause};
use crate::error::from_parser;

/// The name under which these statements travel.
const CARRIER: &str = "polder$maintenance";

/// Versions are kept for a week unless VACUUM says otherwise.
const RETAIN_DEFAULT: TimeDelta = TimeDelta::days(7);

/// Readers elsewhere have this long to end, unless VACUUM says otherwise.
const GRACE_DEFAULT: TimeDelta = TimeDelta::hours(1);

static DIALECT: PostgreSqlDialect = PostgreSqlDialect {};

/// One of the statements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Maintenance {
    /// `OPTIMIZE [TABLE] [name] [ORDER BY …]`: all tables without a name.
    Optimize { table: Option<ObjectName>, order: Vec<SortKey> },
    /// `VACUUM [RETAIN n HOURS|SNAPSHOTS] [GRACE n HOURS]`
    Vacuum { retain: Retain, grace: TimeDelta },
    /// `VACUUM [(option, …)] [FULL] [FREEZE] [VERBOSE] [ANALYZE] [name [(column, …)], …]`, with an option or a name: all
    /// tables without one.
    VacuumTables { tables: Vec<Listed>, verbose: bool },
    /// `ANALYZE [(option, …)] [VERBOSE] [name [(column, …)], …]`
    Analyze { tables: Vec<Listed> },
    /// `LOCK [TABLE] name, … IN ACCESS SHARE MODE`, which is what every reader has.
    Lock { tables: Vec<ObjectName> },
    /// `RESTORE [TABLE] name TO (VERSION => n)`
    Restore { table: ObjectName, to: Point },
    /// `CREATE [OR REPLACE] TABLE [IF NOT EXISTS] name CLONE source [AT (VERSION => n)]`
    Clone { table: ObjectName, or_replace: bool, if_not_exists: bool, source: ObjectName, at: Option<Point> },
    /// `DESCRIBE HISTORY name`
    History { table: ObjectName },
    /// `CHECK TABLES`
    Check,
    /// `BACKUP TO 'directory'`
    Backup { directory: PathBuf },
}

/// A table in a list, and columns of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub table: ObjectName,
    pub columns: Vec<String>,
}

/// One of these statements as the session carries it; `None` for any other.
///
/// # Errors
/// A syntax error with its place.
pub(crate) fn recognise(tokens: &[TokenWithSpan]) -> Result<Option<Parsed>> {
    if !may_be(tokens) || parse(tokens)?.is_none() {
        return Ok(None);
    }
    let there = tokens.iter().filter(|token| token.token != Token::EOF);
    let text: String = there.map(|token| token.token.to_string()).collect();
    let sql = format!("CALL \"{CARRIER}\"('{}')", text.trim().replace('\'', "''"));
    let mut statements = Parser::parse_sql(&DIALECT, &sql).map_err(|error| from_parser(&error))?;
    let statement = statements.pop().ok_or_else(|| Error::internal("a statement was lost"))?;
    Ok(Some(Parsed::Statement(Box::new(statement))))
}

/// Whether the first word is one of ours: a long INSERT need not be copied to find that it is none.
fn may_be(tokens: &[TokenWithSpan]) -> bool {
    const FIRST: [&str; 11] = [
        "LOCK", "OPTIMIZE", "VACUUM", "ANALYZE", "ANALYSE", "RESTORE", "DESCRIBE", "DESC", "CHECK", "BACKUP", "CREATE",
    ];
    let first = tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_)));
    first.is_some_and(|token| match &token.token {
        Token::Word(word) => FIRST.iter().any(|known| word.value.eq_ignore_ascii_case(known)),
        _ => false,
    })
}

impl Maintenance {
    /// Whether what tables hold is another afterwards.
    pub fn changes_tables(&self) -> bool {
        matches!(self, Self::Restore { .. } | Self::Clone { .. })
    }

    /// What [`recognise`] has put away.
    pub fn of(statement: &Parsed) -> Result<Option<Self>> {
        let Parsed::Statement(statement) = statement else { return Ok(None) };
        let Statement::Call(function) = statement.as_ref() else { return Ok(None) };
        let FunctionArguments::List(arguments) = &function.args else { return Ok(None) };
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] = &arguments.args[..] else {
            return Ok(None);
        };
        let Value::SingleQuotedString(text) = &value.value else { return Ok(None) };
        if function.name.to_string() != format!("\"{CARRIER}\"") {
            return Ok(None);
        }
        let tokens = Tokenizer::new(&DIALECT, text)
            .tokenize_with_location()
            .map_err(|error| from_parser(&ParserError::from(error)))?;
        parse(&tokens)
    }
}

/// The tokens that count, one after the other.
struct Words<'a> {
    parser: Parser<'a>,
}

impl Words<'_> {
    fn next_is(&self, word: &str) -> bool {
        matches!(&self.parser.peek_token().token,
            Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// Takes a word if it comes next.
    fn take(&mut self, word: &str) -> bool {
        let there = self.next_is(word);
        if there {
            self.parser.advance_token();
        }
        there
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.take(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let found = self.parser.peek_token();
        let error = Error::invalid(format!("expected {wanted}, found {}", found.token)).with_code("42601");
        if found.span.start.line > 0 { error.at(found.span.start.line, found.span.start.column) } else { error }
    }

    fn name(&mut self) -> Result<ObjectName> {
        self.parser.parse_object_name(false).map_err(|error| from_parser(&error))
    }

    fn number(&mut self) -> Result<u32> {
        let number = self.parser.parse_literal_uint().map_err(|error| from_parser(&error))?;
        u32::try_from(number).map_err(|_| Error::invalid(format!("{number} is too large")).with_code("22003"))
    }

    /// `(option [ON|OFF], …)`, or options as words: those that are on.
    fn options(&mut self, known: &[&'static str]) -> Result<Vec<&'static str>> {
        let mut on = Vec::new();
        if self.parser.consume_token(&Token::LParen) {
            loop {
                let option = known.iter().copied().find(|option| self.take(option));
                let option = option.ok_or_else(|| self.unexpected(&known.join(" or ")))?;
                if !self.take("OFF") && !self.take("FALSE") {
                    let _ = self.take("ON") || self.take("TRUE");
                    on.push(option);
                }
                if !self.parser.consume_token(&Token::Comma) {
                    break;
                }
            }
            self.parser.expect_token(&Token::RParen).map_err(|error| from_parser(&error))?;
        } else {
            on.extend(known.iter().copied().filter(|option| self.take(option)));
        }
        Ok(on)
    }

    /// `[name [(column, …)], …]` to the end of the statement.
    fn listed(&mut self) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        while !self.at_end() {
            if !listed.is_empty() {
                self.parser.expect_token(&Token::Comma).map_err(|error| from_parser(&error))?;
            }
            let table = self.name()?;
            let mut columns = Vec::new();
            if self.parser.consume_token(&Token::LParen) {
                let names = self.parser.parse_comma_separated(|parser| parser.parse_identifier());
                columns = names.map_err(|error| from_parser(&error))?.iter().map(fold).collect();
                self.parser.expect_token(&Token::RParen).map_err(|error| from_parser(&error))?;
            }
            listed.push(Listed { table, columns });
        }
        Ok(listed)
    }

    fn at_end(&self) -> bool {
        matches!(self.parser.peek_token().token, Token::EOF)
    }

    fn end(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.unexpected("the end of the statement")) }
    }

    /// `(VERSION => n)`.
    fn point(&mut self) -> Result<Point> {
        let mut rest = Vec::new();
        while !self.at_end() {
            rest.push(self.parser.next_token());
            rest.push(TokenWithSpan::wrap(Token::Whitespace(datafusion::sql::sqlparser::tokenizer::Whitespace::Space)));
        }
        match clause(&rest)? {
            Some((point, after)) if after.iter().all(|token| matches!(token.token, Token::Whitespace(_))) => Ok(point),
            _ => Err(Error::invalid("expected (VERSION => n) or (TIMESTAMP => time)").with_code("42601")),
        }
    }
}

fn parse(tokens: &[TokenWithSpan]) -> Result<Option<Maintenance>> {
    let mut words = Words { parser: Parser::new(&DIALECT).with_tokens_with_locations(tokens.to_vec()) };
    let parsed = if words.take("OPTIMIZE") {
        optimize(&mut words)?
    } else if words.take("VACUUM") {
        vacuum(&mut words)?
    } else if words.take("ANALYZE") || words.take("ANALYSE") {
        words.options(&["VERBOSE"])?;
        Maintenance::Analyze { tables: words.listed()? }
    } else if words.take("LOCK") {
        match lock(&mut words)? {
            Some(lock) => lock,
            None => return Ok(None),
        }
    } else if words.take("RESTORE") {
        words.take("TABLE");
        let table = words.name()?;
        words.expect("TO")?;
        Maintenance::Restore { table, to: words.point()? }
    } else if words.take("DESCRIBE") || words.take("DESC") {
        if !words.take("HISTORY") || words.at_end() {
            return Ok(None);
        }
        Maintenance::History { table: words.name()? }
    } else if words.take("CHECK") {
        words.expect("TABLES")?;
        Maintenance::Check
    } else if words.take("BACKUP") {
        words.expect("TO")?;
        let directory = words.parser.parse_literal_string().map_err(|error| from_parser(&error))?;
        Maintenance::Backup { directory: directory.into() }
    } else if words.take("CREATE") {
        match clone(&mut words)? {
            Some(clone) => clone,
            None => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    words.end()?;
    Ok(Some(parsed))
}

/// `None` for a lock that keeps others away: there is none.
fn lock(words: &mut Words<'_>) -> Result<Option<Maintenance>> {
    words.take("TABLE");
    let mut tables = Vec::new();
    loop {
        words.take("ONLY");
        tables.push(words.name()?);
        if !words.parser.consume_token(&Token::Comma) {
            break;
        }
    }
    let shared = ["IN", "ACCESS", "SHARE", "MODE"].into_iter().all(|word| words.take(word));
    words.take("NOWAIT");
    Ok(shared.then_some(Maintenance::Lock { tables }))
}

fn optimize(words: &mut Words<'_>) -> Result<Maintenance> {
    words.take("TABLE");
    let sorts = |words: &Words<'_>| words.next_is("ORDER") || words.next_is("CLUSTER");
    let table = if words.at_end() || sorts(words) { None } else { Some(words.name()?) };
    let mut order = Vec::new();
    if words.take("ORDER") || words.take("CLUSTER") {
        words.expect("BY")?;
        if table.is_none() {
            return Err(Error::invalid("OPTIMIZE … ORDER BY needs a table's name").with_code("42601"));
        }
        let parens = words.parser.consume_token(&Token::LParen);
        let keys = words.parser.parse_comma_separated(|parser| parser.parse_order_by_expr());
        order = keys.map_err(|error| from_parser(&error))?.iter().map(sort_key).collect::<Result<_>>()?;
        if parens {
            words.parser.expect_token(&Token::RParen).map_err(|error| from_parser(&error))?;
        }
    }
    Ok(Maintenance::Optimize { table, order })
}

fn sort_key(key: &OrderByExpr) -> Result<SortKey> {
    let Expr::Identifier(column) = &key.expr else {
        return Err(Error::unsupported(format!("OPTIMIZE sorts by columns, not by {}", key.expr)));
    };
    let descending = key.options.asc == Some(false);
    Ok(SortKey {
        column: fold(column),
        descending,
        // As ORDER BY does it: what is missing is larger than what is there.
        nulls_first: key.options.nulls_first.unwrap_or(descending),
    })
}

fn vacuum(words: &mut Words<'_>) -> Result<Maintenance> {
    if !words.at_end() && !words.next_is("RETAIN") && !words.next_is("GRACE") {
        let options = words.options(&["FULL", "FREEZE", "VERBOSE", "ANALYZE"])?;
        let tables = words.listed()?;
        let columns = tables.iter().any(|one| !one.columns.is_empty());
        if columns && !options.contains(&"ANALYZE") {
            return Err(Error::unsupported("ANALYZE option must be specified when a column list is provided"));
        }
        return Ok(Maintenance::VacuumTables { tables, verbose: options.contains(&"VERBOSE") });
    }
    let (mut retain, mut grace) = (Retain::Time(RETAIN_DEFAULT), GRACE_DEFAULT);
    if words.take("RETAIN") {
        let number = words.number()?;
        retain = if words.take("SNAPSHOTS") || words.take("SNAPSHOT") || words.take("VERSIONS") {
            Retain::Snapshots(number)
        } else {
            Retain::Time(time(words, number)?)
        };
    }
    if words.take("GRACE") {
        let number = words.number()?;
        grace = time(words, number)?;
    }
    if !words.at_end() {
        return Err(words.unexpected("RETAIN or GRACE").with_hint(
            "VACUUM RETAIN expires versions of the whole lake; VACUUM table rewrites the files of one table",
        ));
    }
    Ok(Maintenance::Vacuum { retain, grace })
}

fn time(words: &mut Words<'_>, number: u32) -> Result<TimeDelta> {
    let number = i64::from(number);
    let units: [(&str, &str, fn(i64) -> TimeDelta); 4] = [
        ("DAYS", "DAY", TimeDelta::days),
        ("HOURS", "HOUR", TimeDelta::hours),
        ("MINUTES", "MINUTE", TimeDelta::minutes),
        ("SECONDS", "SECOND", TimeDelta::seconds),
    ];
    for (many, one, make) in units {
        if words.take(many) || words.take(one) {
            return Ok(make(number));
        }
    }
    Err(words.unexpected("DAYS, HOURS, MINUTES or SECONDS"))
}

fn clone(words: &mut Words<'_>) -> Result<Option<Maintenance>> {
    let or_replace = words.parser.parse_keywords(&[Keyword::OR, Keyword::REPLACE]);
    if !words.take("TABLE") {
        return Ok(None);
    }
    let if_not_exists = words.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let Ok(table) = words.parser.parse_object_name(false) else { return Ok(None) };
    if !words.take("CLONE") {
        return Ok(None);
    }
    let source = words.name()?;
    let at = if words.take("AT") { Some(words.point()?) } else { None };
    Ok(Some(Maintenance::Clone { table, or_replace, if_not_exists, source, at }))
}
