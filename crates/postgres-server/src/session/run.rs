//! A statement from its text to its first row, in either way of asking.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::datatypes::Schema;
use polder_capability::{Answer, CommandTag, Parameter, TransactionState};
use polder_types::{Error, ErrorKind, Result};

use super::portal::{Described, Prepared, Source, tag};
use super::{Client, Flow, Point};
use crate::settings::Settings;
use crate::sql::command::{self, Command, CopyIn};
use crate::sql::copy_options::CopyOptions;
use crate::sql::cursor::Fetch;
use crate::sql::prepare;
use crate::sql::scan::{self, Statement, Token};
use crate::sql::set_config;
use crate::types::{Column, Format, Kind, VOID};
use crate::wire::backend;

/// Statements and portals that one client may keep.
pub(super) const KEPT_MAX: usize = 10_000;

/// `bigint`, `smallint`, `integer`.
const WHOLE_NUMBERS: &[u32] = &[20, 21, 23];

/// First words of statements about savepoints; those without a name are of the whole transaction, and come elsewhere.
const SAVEPOINT_VERBS: &[&str] = &["savepoint", "release", "rollback"];

/// What a statement has come to.
pub(super) enum Started {
    /// Done; the words that say so.
    Done(String),
    Rows(Source),
    CopyOut(Source, CopyOptions),
    CopyIn(CopyIn),
    Fetch(Fetch),
}

impl Prepared {
    /// # Errors
    /// `InvalidInput` for one of the server's own statements that is not understood.
    pub(super) fn of(statement: &Statement<'_>, sql: &str, oids: Vec<u32>) -> Result<Self> {
        let command = command::of(statement, sql)?;
        let tokens = &statement.tokens;
        let is_of_savepoint = tokens.first().and_then(Token::word).is_some_and(|word| SAVEPOINT_VERBS.contains(&word));
        let parameters = match command {
            // They are those of the statement that is prepared by it.
            Command::Prepare(_) => 0,
            _ => tokens.iter().filter_map(|token| prepare::number(token, sql)).max().unwrap_or(0),
        };
        Ok(Self {
            command: Some(command),
            sql: without_void(statement.sql, &oids),
            sent: None,
            noted: (statement.told().0 != statement.sql).then(|| (statement.told().0.to_owned(), statement.told().1)),
            verb: tokens.first().and_then(|token| token.word()).unwrap_or_default().to_owned(),
            alters_view: matches!(tokens.as_slice(), [alter, view, ..] if alter.is_word("alter") && view.is_word("view")),
            savepoint: tokens.last().filter(|_| is_of_savepoint).and_then(Token::name).map(str::to_owned),
            returns: tokens.iter().any(|token| token.is_word("returning"))
                || is_access_key(tokens)
                || set_config::is_called(tokens),
            parameters: parameters.max(oids.len()),
            oids,
            described: parking_lot::Mutex::new(None),
            silent: AtomicBool::new(false),
        })
    }

    /// Whether its rows are as the client was told. Tables may have changed since. What parameters of no type yet are taken
    /// for may have changed too, and is made up for when rows are sent; but a table's column depends on none.
    fn still_gives(&self, told: &[Column], schema: &Schema) -> bool {
        let now = Column::all(schema);
        let fixed = |column: &Column| self.parameters == 0 || column.origin != (0, 0);
        let same = |(told, now): (&Column, &Column)| !fixed(told) || (told.name == now.name && told.kind == now.kind);
        told.len() == now.len() && told.iter().zip(&now).all(same)
    }

    /// The types of its parameters as the client gave them, by their names; `None`: of no type yet.
    fn type_names(&self) -> Result<Vec<Option<String>>> {
        let name = |oid: &u32| match *oid {
            0 | 705 | VOID => Ok(None),
            oid => Kind::of_oid(oid).map(|kind| Some(kind.name())),
        };
        self.oids.iter().map(name).collect()
    }

    /// Whether it is PREPARE or EXECUTE itself.
    fn is_by_name(&self) -> bool {
        matches!(self.command, Some(Command::Prepare(_) | Command::Execute(_)))
    }

    /// Whether its columns are known only to the engine, or by beginning it.
    pub(super) fn may_give_rows(&self) -> bool {
        match &self.command {
            Some(Command::Plain { reads: true }) => true,
            Some(Command::Plain { reads: false }) => {
                self.returns || matches!(self.verb.as_str(), "with" | "call" | "run")
            }
            Some(Command::Execute(_) | Command::SetConfig(_)) => true,
            _ => false,
        }
    }

    /// Whether it may be begun when its columns are asked for.
    pub(super) fn may_begin_early(&self) -> bool {
        matches!(self.command, Some(Command::Plain { reads: true } | Command::Execute(_)))
    }
}

/// Whether it is CREATE ACCESS KEY, which gives the key.
fn is_access_key(tokens: &[Token]) -> bool {
    matches!(tokens, [create, access, key, ..] if create.is_word("create") && access.is_word("access") && key.is_word("key"))
}

impl Client {
    /// Starts a statement. Rows, if there are any, are still to be read.
    pub(super) async fn start(
        &mut self,
        statement: &Prepared,
        values: Vec<Parameter>,
        result_formats: &[i16],
    ) -> Flow<Started> {
        let Some(command) = &statement.command else { return Ok(Started::Done(String::new())) };
        self.check_not_failed(command, &statement.verb)?;
        if self.implicit && matches!(statement.verb.as_str(), "savepoint" | "release") {
            let message = format!("{} can only be used in transaction blocks", statement.verb.to_uppercase());
            return Err(Error::invalid(message).with_code("25P01").into());
        }
        match command {
            Command::Begin | Command::Commit | Command::Rollback => self.transaction(statement, command).await,
            Command::Plain { .. } => self.plain(statement, values, result_formats).await,
            Command::SetConfig(call) => match self.set_config(call, &values, result_formats)? {
                Some(source) => Ok(Started::Rows(source)),
                None => self.plain(statement, values, result_formats).await,
            },
            Command::CopyOut { query, options } => {
                let source = self.query(query, values, &[]).await?;
                Ok(Started::CopyOut(source, options.clone()))
            }
            Command::CopyIn(copy) => Ok(Started::CopyIn(copy.clone())),
            Command::Fetch(fetch) => Ok(Started::Fetch(fetch.clone())),
            Command::Prepare(prepare) => self.prepare(prepare, &statement.sql).await,
            Command::Execute(execute) => {
                let filled = self.executed(execute)?;
                Box::pin(self.start(&filled, values, result_formats)).await
            }
            own => self.own(own, &statement.sql, values).await,
        }
    }

    /// In a transaction that has failed only its end is taken; the engine sees to its own statements.
    fn check_not_failed(&self, command: &Command, verb: &str) -> Result<()> {
        let ends = matches!(command, Command::Commit | Command::Rollback | Command::Plain { .. }) && verb != "release";
        if ends || self.session.status().transaction != TransactionState::Failed {
            return Ok(());
        }
        Err(Error::invalid("current transaction is aborted, commands ignored until end of transaction block")
            .with_code("25P02")
            .with_hint("ROLLBACK"))
    }

    async fn plain(&mut self, statement: &Prepared, values: Vec<Parameter>, result_formats: &[i16]) -> Flow<Started> {
        let mut answer = self.answer(&statement.sql, values).await?;
        if answer.schema.fields().is_empty() {
            // Views are altered as tables are.
            if answer.tag.verb == "ALTER TABLE" && statement.alters_view {
                answer.tag.verb = "ALTER VIEW".into();
            }
            if let Some(name) = &statement.savepoint {
                self.at_savepoint(&statement.verb, name);
            }
            self.ends();
            return Ok(Started::Done(tag(&answer.tag, None)));
        }
        if answer.tag.verb == "COPY" {
            let rows = self.told_count(&mut answer.batches).await?;
            self.ends();
            return Ok(Started::Done(tag(&CommandTag { rows: Some(rows), ..answer.tag }, None)));
        }
        let told = statement.described.lock().as_ref().and_then(|described| described.columns.clone());
        if told.as_deref().is_some_and(|told| !statement.still_gives(told, &answer.schema)) {
            return Err(Error::unsupported(backend::PLAN_CHANGED).with_hint("prepare it again").into());
        }
        Ok(Started::Rows(source(answer, told, result_formats)?))
    }

    /// Keeps or brings back the settings of a savepoint. The engine has found it.
    fn at_savepoint(&mut self, verb: &str, name: &str) {
        let known = self.points.iter().rposition(|point| point.name == name);
        match (verb, known) {
            ("savepoint", _) => {
                let (settings, lasting) = (self.settings.clone(), self.lasting.clone());
                self.points.push(Point { name: name.to_owned(), settings, lasting });
            }
            ("release", Some(at)) => self.points.truncate(at),
            ("rollback", Some(at)) => {
                self.points.truncate(at + 1);
                if let Some(point) = self.points.last() {
                    (self.settings, self.lasting) = (point.settings.clone(), point.lasting.clone());
                }
            }
            _ => {}
        }
    }

    /// A query that must give rows.
    pub(super) async fn query(&mut self, sql: &str, values: Vec<Parameter>, result_formats: &[i16]) -> Flow<Source> {
        let answer = self.answer(sql, values).await?;
        if answer.schema.fields().is_empty() && answer.tag.verb != "SELECT" {
            return Err(Error::invalid("a query that gives rows is needed here").with_code("42601").into());
        }
        Ok(source(answer, None, result_formats)?)
    }

    async fn answer(&mut self, sql: &str, values: Vec<Parameter>) -> Flow<Answer> {
        let session = Arc::clone(&self.session);
        let request = self.request(sql);
        let answer = self.watched(async move { session.run_with(request, values).await }).await??;
        self.notices(&answer.notices);
        Ok(answer)
    }

    /// BEGIN, COMMIT and ROLLBACK, when a transaction may have been begun for the client already.
    async fn transaction(&mut self, statement: &Prepared, command: &Command) -> Flow<Started> {
        let was_implicit = self.implicit;
        if *command == Command::Begin && was_implicit {
            if statement.sql.split_whitespace().count() > 2 {
                let message = "BEGIN with modes must come first among statements that are sent together";
                return Err(Error::unsupported(message).with_hint("send it by itself").into());
            }
            self.implicit = false;
            self.before.get_or_insert_with(|| self.settings.clone());
            return Ok(Started::Done("BEGIN".into()));
        }
        let chains = *command != Command::Begin && command::chains(&statement.sql);
        let sql = match command {
            Command::Rollback if chains => "ROLLBACK AND CHAIN",
            Command::Rollback => "ROLLBACK",
            Command::Commit if chains => "COMMIT AND CHAIN",
            Command::Commit => "COMMIT",
            _ => statement.sql.as_str(),
        };
        if chains && (was_implicit || self.is_idle()) {
            let message = format!("{sql} can only be used in transaction blocks");
            return Err(Error::invalid(message).with_code("25P01").with_hint("BEGIN").into());
        }
        match command {
            Command::Begin if !self.is_idle() => {
                self.warn("25001", "there is already a transaction in progress");
                let tag = if statement.verb == "start" { "START TRANSACTION" } else { "BEGIN" };
                return Ok(Started::Done(tag.into()));
            }
            Command::Commit | Command::Rollback if self.is_idle() => {
                self.warn("25P01", "there is no transaction in progress");
                return Ok(Started::Done(sql.to_owned()));
            }
            _ => {}
        }
        if was_implicit {
            self.implicit = false;
            self.warn("25P01", "there is no transaction in progress");
        }
        let answer = self.answer(sql, Vec::new()).await;
        if *command == Command::Begin {
            self.before.get_or_insert_with(|| self.settings.clone());
        } else {
            let committed = answer.as_ref().is_ok_and(|answer| answer.tag.verb == "COMMIT");
            self.ends_with_transaction(committed);
        }
        let answer = answer?;
        if chains {
            // What was set for the one that has ended only is over.
            if let Some(lasting) = self.lasting.take() {
                self.settings = lasting;
            }
            self.before = Some(self.settings.clone());
        }
        self.ends();
        match answer.tag.verb.as_str() {
            "BEGIN" if statement.verb == "start" => Ok(Started::Done("START TRANSACTION".into())),
            _ => Ok(Started::Done(tag(&answer.tag, None))),
        }
    }

    /// What a statement takes and gives, asked of the engine once.
    pub(super) async fn described(&mut self, statement: &Prepared) -> Flow<Described> {
        if let Some(known) = statement.described.lock().clone() {
            return Ok(known);
        }
        let described = match &statement.command {
            Some(Command::Plain { .. } | Command::SetConfig(_))
                if statement.parameters > 0 || statement.may_give_rows() =>
            {
                self.asked(statement, &statement.sql).await?
            }
            Some(Command::Declare(declare)) if statement.parameters > 0 => {
                Described { columns: None, ..self.asked(statement, &declare.query).await? }
            }
            Some(Command::Execute(execute)) if !execute.before.is_empty() => {
                let filled = self.executed(execute)?;
                let columns = Box::pin(self.described(&filled)).await?.columns;
                return Ok(Described { oids: statement.oids.clone(), columns });
            }
            Some(Command::Execute(execute)) => {
                // The name may be another statement's the next time.
                let prepared = self.prepared.get(&execute.name).map(|(prepared, _)| Arc::clone(prepared));
                let columns = match prepared {
                    Some(prepared) if !prepared.is_by_name() => Box::pin(self.described(&prepared)).await?.columns,
                    _ => None,
                };
                return Ok(Described { oids: statement.oids.clone(), columns });
            }
            Some(Command::Show(name)) => {
                let column =
                    |name: &str| Column { name: name.to_owned(), kind: Kind::text(), modifier: -1, origin: (0, 0) };
                let columns = match name.as_str() {
                    "all" => Settings::ALL_COLUMNS.iter().map(|name| column(name)).collect(),
                    name => vec![column(Settings::shown_name(name))],
                };
                Described { oids: statement.oids.clone(), columns: Some(columns) }
            }
            Some(Command::Fetch(fetch)) if !fetch.moves => {
                let columns = self.cursor(&fetch.name)?.columns.clone();
                // The cursor may be another one the next time.
                return Ok(Described { oids: statement.oids.clone(), columns: Some(columns) });
            }
            _ => Described { oids: statement.oids.clone(), columns: None },
        };
        *statement.described.lock() = Some(described.clone());
        Ok(described)
    }
}

impl Client {
    async fn asked(&mut self, statement: &Prepared, sql: &str) -> Flow<Described> {
        let types = statement.type_names()?;
        let (session, sql) = (Arc::clone(&self.session), sql.to_owned());
        let told = self.watched(async move { session.describe(&sql, &types).await }).await??;
        let oid = |(at, field): (usize, &arrow::datatypes::FieldRef)| match statement.oids.get(at) {
            Some(oid) if !matches!(oid, 0 | 705) => *oid,
            _ => Kind::of(field).oid(),
        };
        Ok(Described {
            oids: told.parameters.iter().enumerate().map(oid).collect(),
            columns: told.schema.map(|schema| Column::all(&schema)),
        })
    }
}

/// Statements by name: those that PREPARE makes and those that come as a message share their names.
impl Client {
    /// `sql`: as it came.
    async fn prepare(&mut self, prepare: &prepare::Prepare, sql: &str) -> Flow<Started> {
        self.check_new(&prepare.name)?;
        let statements = scan::statements(&prepare.statement);
        let [statement] = statements.as_slice() else {
            return Err(Error::invalid("PREPARE takes one statement").with_code("42601").into());
        };
        let mut prepared = Prepared::of(statement, &prepare.statement, Vec::new())?;
        // The engine plans it, so that a mistake is told now. It is kept here, where drivers find it too.
        let sent = self.sent(sql);
        self.command_as(sql, sent).await?;
        self.command(&format!("DEALLOCATE \"{}\"", prepare.name.replace('"', "\"\""))).await?;
        let told = if prepared.parameters > 0 { self.parameter_types(&prepared).await? } else { Vec::new() };
        // Rows of constants alone become what their columns are, and are written faster without casts.
        if prepared.verb != "insert" || prepared.returns {
            // A value says itself what it is, unless it is one of those of which there are several.
            let kept = |oid: &u32| if WHOLE_NUMBERS.contains(oid) { *oid } else { 0 };
            prepared.oids = told.iter().map(kept).collect();
        }
        let shown = self.show_prepared(&prepare.name, sql, &told, true);
        self.prepared.insert(prepare.name.clone(), (Arc::new(prepared), Some(shown)));
        Ok(Started::Done("PREPARE".into()))
    }

    /// The types of the parameters of a statement. None are known of what cannot be planned without values.
    async fn parameter_types(&mut self, prepared: &Prepared) -> Flow<Vec<u32>> {
        let types = vec![None; prepared.parameters];
        let (session, sql) = (Arc::clone(&self.session), prepared.sql.clone());
        // What cannot be planned without values is told about with them, by EXECUTE.
        let told = self.watched(async move { session.describe(&sql, &types).await }).await?;
        let fields = told.map(|told| told.parameters).unwrap_or_default();
        Ok(fields.iter().map(|field| Kind::of(field).oid()).collect())
    }

    /// Refuses a name that is taken, and more statements than a connection may keep.
    pub(super) fn check_new(&self, name: &str) -> Result<()> {
        if !name.is_empty() && self.prepared.contains_key(name) {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_code("42P05")
                .with_hint(format!("DEALLOCATE \"{name}\"")));
        }
        if self.prepared.len() >= KEPT_MAX {
            let message = format!("a connection keeps {KEPT_MAX} prepared statements");
            return Err(Error::new(ErrorKind::TooLarge, message).with_hint("DEALLOCATE ALL"));
        }
        Ok(())
    }

    /// The statement that EXECUTE stands for, with its values.
    fn executed(&self, execute: &prepare::Execute) -> Result<Prepared> {
        let name = &execute.name;
        let named = self.prepared.get(name).filter(|_| !name.is_empty());
        let (prepared, _) = named.ok_or_else(|| no_statement(name))?;
        if prepared.is_by_name() {
            return Err(Error::unsupported(format!("prepared statement \"{name}\" is about others by their names"))
                .with_hint("EXECUTE those"));
        }
        prepare::check_count(name, prepared.parameters, execute.values.len())?;
        let types = prepared.type_names()?;
        let sql = prepare::filled(&prepared.sql, |at| {
            let value = execute.values.get(at)?;
            Some(match types.get(at) {
                Some(Some(name)) => format!("CAST(({value}) AS {name})"),
                _ => format!("({value})"),
            })
        });
        let is_whole = execute.before.is_empty();
        let sql = if is_whole { sql } else { format!("{}{sql} {}", execute.before, execute.after) };
        match scan::statements(&sql).as_slice() {
            [] => Ok(Prepared::empty()),
            [statement] => Prepared::of(statement, &sql, Vec::new()),
            _ => Err(Error::invalid("a value of EXECUTE is an expression").with_code("42601")),
        }
    }
}

/// No statement of such a name.
pub(super) fn no_statement(name: &str) -> Error {
    let message = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{name}\" does not exist"),
    };
    Error::not_found(message).with_code("26000")
}

/// A statement without the arguments of functions that are parameters of type void. PostgreSQL passes them over: they stand for
/// what the function gives, as in `{? = call f(?)}` of JDBC.
fn without_void(sql: &str, oids: &[u32]) -> String {
    if !oids.contains(&VOID) {
        return sql.to_owned();
    }
    let is_void = |token: &Token| {
        let at = prepare::number(token, sql).and_then(|number| number.checked_sub(1));
        at.and_then(|at| oids.get(at)) == Some(&VOID)
    };
    let tokens = scan::scan(sql);
    let mut kept = String::with_capacity(sql.len());
    let mut done = 0;
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| is_void(token)) {
        let symbol = |at: Option<usize>, symbol: char| {
            at.and_then(|at| tokens.get(at)).is_some_and(|token| token.is_symbol(symbol))
        };
        let before = at.checked_sub(1);
        let opens = symbol(before, '(') || symbol(before, ',');
        if !opens || !(symbol(Some(at + 1), ')') || symbol(Some(at + 1), ',')) {
            continue;
        }
        // The comma behind it goes along; of the last one, the comma before it.
        let start = match before.and_then(|before| tokens.get(before)) {
            Some(comma) if comma.is_symbol(',') && symbol(Some(at + 1), ')') && comma.start >= done => comma.start,
            _ => token.start,
        };
        let end = match tokens.get(at + 1) {
            Some(comma) if comma.is_symbol(',') => comma.end,
            _ => token.end,
        };
        kept.push_str(sql.get(done..start).unwrap_or_default());
        done = end;
    }
    kept.push_str(sql.get(done..).unwrap_or_default());
    kept
}

/// The rows of an answer, as the client was told that they are.
fn source(answer: Answer, told: Option<Vec<Column>>, result_formats: &[i16]) -> Result<Source> {
    let columns = told.unwrap_or_else(|| Column::all(&answer.schema));
    let formats = Format::of_each(result_formats, columns.len())?;
    Ok(Source::new(answer.query_id, answer.tag, columns, formats, answer.batches))
}
