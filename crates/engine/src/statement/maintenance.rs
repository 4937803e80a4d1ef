//! Statements that keep a lake in shape: OPTIMIZE, VACUUM, RESTORE, CLONE, DESCRIBE HISTORY, CHECK and BACKUP.
//!
//! They are no part of the parser's dialect. What one of them says is worked out here, and it travels through the
//! session as a `CALL` that holds its text.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::TimeDelta;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, OrderByExpr, Statement, Value,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use polder_capability::CommandTag;
use polder_lake::{Compacted, Compaction, Retain, Snapshot, SortKey, TableName, TransactionCell};
use polder_types::{Error, ErrorKind, Result, SnapshotId};

use super::names::{fold, table_name};
use super::travel::{Point, clause, resolve};
use super::{Context, ended};
use crate::error::from_parser;
use crate::session::{CONFLICT_TRIES, Outcome};

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
    const FIRST: [&str; 8] = ["OPTIMIZE", "VACUUM", "RESTORE", "DESCRIBE", "DESC", "CHECK", "BACKUP", "CREATE"];
    let first = tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_)));
    first.is_some_and(|token| match &token.token {
        Token::Word(word) => FIRST.iter().any(|known| word.value.eq_ignore_ascii_case(known)),
        _ => false,
    })
}

impl Maintenance {
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
        return Err(words
            .unexpected("RETAIN or GRACE")
            .with_hint("VACUUM expires versions of the whole lake; OPTIMIZE table rewrites the files of one table"));
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

impl Context<'_> {
    /// Runs one of them.
    pub(super) async fn maintain(&self, open: Option<&TransactionCell>, work: &Maintenance) -> Result<Outcome> {
        match work {
            Maintenance::History { table } => self.history_of(open, table).await,
            Maintenance::Restore { .. } | Maintenance::Clone { .. } => match open {
                Some(cell) => self.rewrite_in(cell, work).await,
                None => self.rewrite_alone(work).await,
            },
            _ if open.is_some() => Err(Error::invalid(format!("{} cannot run in a transaction", verb(work)))
                .with_code("25001")
                .with_hint("COMMIT first")),
            Maintenance::Optimize { table, order } => self.optimize(table.as_ref(), order).await,
            Maintenance::Vacuum { retain, grace } => self.vacuum(*retain, *grace).await,
            Maintenance::Check => self.check().await,
            Maintenance::Backup { directory } => self.backup(directory).await,
        }
    }

    async fn history_of(&self, open: Option<&TransactionCell>, table: &ObjectName) -> Result<Outcome> {
        let name = self.full_name(table)?;
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let text = format!("{}.{}", quoted(&name.schema), quoted(&name.table)).replace('\'', "''");
        let query = crate::parse::parse_kept(&format!("SELECT * FROM history('{text}')"))?;
        let mut outcome = self.read(open, query).await?;
        outcome.tag.verb = "DESCRIBE".into();
        Ok(outcome)
    }

    fn full_name(&self, name: &ObjectName) -> Result<TableName> {
        table_name(name, &self.settings.schema)
    }

    /// The version that a clause means; without one, what the transaction sees.
    async fn version(&self, cell: &TransactionCell, at: Option<&Point>) -> Result<Arc<Snapshot>> {
        let view = {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            transaction.settle().await?;
            Arc::clone(transaction.view())
        };
        let Some(point) = at else { return Ok(view) };
        let scope = self.engine.scope(view, None, self.settings);
        self.engine.lake.snapshot(resolve(point, &scope.state).await?).await
    }

    async fn rewrite_in(&self, cell: &TransactionCell, work: &Maintenance) -> Result<Outcome> {
        let point = cell.lock().await.as_ref().ok_or_else(ended)?.savepoint();
        let result = self.rewrite(cell, work).await;
        if result.is_err()
            && let Some(transaction) = cell.lock().await.as_mut()
        {
            transaction.rollback_to(&point);
        }
        result
    }

    /// As a transaction by itself, run again if another one came first.
    async fn rewrite_alone(&self, work: &Maintenance) -> Result<Outcome> {
        let mut tries = 0;
        loop {
            let mut transaction = self.engine.lake.begin().await?;
            transaction.describe(&self.caller.user, verb(work));
            let cell = TransactionCell::new(transaction);
            let mut outcome = self.rewrite(&cell, work).await?;
            let committed = match cell.take().await {
                Some(transaction) => transaction.commit().await,
                None => Err(ended()),
            };
            match committed {
                Ok(report) => {
                    outcome.snapshot = report.snapshot.id;
                    return Ok(outcome);
                }
                Err(error) if error.kind() == ErrorKind::Conflict && tries < CONFLICT_TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn rewrite(&self, cell: &TransactionCell, work: &Maintenance) -> Result<Outcome> {
        match work {
            Maintenance::Restore { table, to } => {
                let name = self.full_name(table)?;
                let version = self.version(cell, Some(to)).await?;
                let mut guard = cell.lock().await;
                let transaction = guard.as_mut().ok_or_else(ended)?;
                let rows = transaction.restore_table(&name, &version).await?;
                Ok(Outcome::done("RESTORE", Some(rows), transaction.base()))
            }
            Maintenance::Clone { table, or_replace, if_not_exists, source, at } => {
                let (name, source) = (self.full_name(table)?, self.full_name(source)?);
                let version = self.version(cell, at.as_ref()).await?;
                let mut guard = cell.lock().await;
                let transaction = guard.as_mut().ok_or_else(ended)?;
                if *if_not_exists && transaction.table(&name).is_some() {
                    let outcome = Outcome::done("CREATE TABLE", Some(0), transaction.base());
                    return Ok(outcome.notice(format!("table {name} exists already, so nothing was done")));
                }
                if *or_replace && transaction.table(&name).is_some() {
                    transaction.drop_table(&name)?;
                }
                let rows = transaction.clone_table(&name, &source, &version).await?;
                Ok(Outcome::done("CREATE TABLE", Some(rows), transaction.base()))
            }
            _ => Err(Error::internal("not a rewrite")),
        }
    }

    async fn optimize(&self, table: Option<&ObjectName>, order: &[SortKey]) -> Result<Outcome> {
        let lake = &self.engine.lake;
        let newest = lake.newest().await?;
        let names = match table {
            Some(name) => vec![self.full_name(name)?],
            None => newest
                .tables
                .values()
                .filter(|table| table.partition.is_none() && table.unreadable.is_none())
                .map(|table| newest.name_of(table))
                .collect(),
        };
        let what = Compaction { order: order.to_vec(), ..Compaction::thorough() };
        let mut done = Vec::with_capacity(names.len());
        for name in names {
            match lake.compact(&name, &what, Some(&self.engine.template)).await {
                Ok(one) => done.push((name, one)),
                // Dropped meanwhile, when all were asked for.
                Err(error) if table.is_none() && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let snapshot = done.iter().filter_map(|(_, one)| one.snapshot).max().unwrap_or(newest.id);
        let number = |of: fn(&Compacted) -> u64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(
                done.iter().map(|(_, one)| i64::try_from(of(one)).unwrap_or(i64::MAX)),
            ))
        };
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(done.iter().map(|(name, _)| name.to_string())));
        rows(
            "OPTIMIZE",
            vec![
                ("table_name", names),
                ("files_removed", number(|one| one.files_removed as u64)),
                ("files_added", number(|one| one.files_added as u64)),
                ("bytes_removed", number(|one| one.bytes_removed)),
                ("bytes_added", number(|one| one.bytes_added)),
                ("stored_rows", number(|one| one.stored_rows as u64)),
            ],
            snapshot,
        )
    }

    async fn vacuum(&self, retain: Retain, grace: TimeDelta) -> Result<Outcome> {
        let done = self.engine.lake.vacuum(retain, grace).await?;
        let number = |count: usize| one(i64::try_from(count).unwrap_or(i64::MAX));
        rows(
            "VACUUM",
            vec![
                ("snapshots_expired", number(done.snapshots_expired)),
                ("files_scheduled", number(done.files_scheduled)),
                ("files_deleted", number(done.files_deleted.len())),
                ("files_waiting", number(done.files_waiting)),
                ("orphans_deleted", number(done.orphans_deleted)),
                ("bytes_deleted", one(i64::try_from(done.bytes_deleted).unwrap_or(i64::MAX))),
            ],
            self.engine.lake.newest().await?.id,
        )
    }

    /// One row for each problem.
    async fn check(&self) -> Result<Outcome> {
        let report = self.engine.lake.check().await?;
        let texts = |values: Vec<Option<String>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let problems = &report.problems;
        let columns = vec![
            ("table_name", texts(problems.iter().map(|one| one.table.as_ref().map(ToString::to_string)).collect())),
            ("file", texts(problems.iter().map(|one| Some(one.file.clone())).collect())),
            ("problem", texts(problems.iter().map(|one| Some(one.kind.to_string())).collect())),
        ];
        let outcome = rows("CHECK", columns, self.engine.lake.newest().await?.id)?;
        let found =
            if problems.is_empty() { "nothing is wrong".to_owned() } else { format!("{} problems", problems.len()) };
        Ok(outcome.notice(format!("{} files of {} bytes were read: {found}", report.files, report.bytes)))
    }

    async fn backup(&self, directory: &std::path::Path) -> Result<Outcome> {
        if !directory.is_absolute() {
            return Err(Error::invalid(format!("{} is no whole path", directory.display()))
                .with_code("42602")
                .with_hint("begin it with /: it is a directory of the server"));
        }
        let made = self.engine.lake.backup(directory).await?;
        let outcome = rows(
            "BACKUP",
            vec![
                ("snapshot", one(made.snapshot)),
                ("files", one(i64::try_from(made.files.len()).unwrap_or(i64::MAX))),
                ("bytes", one(i64::try_from(made.bytes()).unwrap_or(i64::MAX))),
            ],
            made.snapshot,
        )?;
        Ok(match made.outside.first() {
            None => outcome,
            Some(first) => outcome.notice(format!(
                "{} files that other programs keep outside of the lake are not in the backup, such as {first}",
                made.outside.len()
            )),
        })
    }
}

fn verb(work: &Maintenance) -> &'static str {
    match work {
        Maintenance::Optimize { .. } => "OPTIMIZE",
        Maintenance::Vacuum { .. } => "VACUUM",
        Maintenance::Restore { .. } => "RESTORE",
        Maintenance::Clone { .. } => "CREATE TABLE … CLONE",
        Maintenance::History { .. } => "DESCRIBE HISTORY",
        Maintenance::Check => "CHECK",
        Maintenance::Backup { .. } => "BACKUP",
    }
}

fn one(value: i64) -> ArrayRef {
    Arc::new(Int64Array::from(vec![value]))
}

/// An answer of few rows.
fn rows(verb: &str, columns: Vec<(&str, ArrayRef)>, snapshot: SnapshotId) -> Result<Outcome> {
    let field = |(name, array): &(&str, ArrayRef)| {
        let nullable = *array.data_type() == DataType::Utf8;
        Field::new(*name, array.data_type().clone(), nullable)
    };
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|error| Error::internal(error.to_string()))?;
    let stream = RecordBatchStreamAdapter::new(Arc::clone(&schema), futures::stream::iter([Ok(batch)]));
    Ok(Outcome {
        tag: CommandTag { verb: verb.to_owned(), rows: None },
        snapshot,
        notices: Vec::new(),
        rows: Some((schema, Box::pin(stream))),
    })
}
