//! The extended way: statements that are prepared, bound to values, described and executed, in any order and many at a
//! time; what follows an error is passed over until the client says Sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use polder_capability::{CommandTag, KeptAs, Notice, Parameter};
use polder_types::{Error, ErrorKind, Result, limits};

use super::portal::{Hold, Portal, Prepared, Pulled, Source, State, tag};
use super::run::{KEPT_MAX, Started, no_statement};
use super::{Client, Flow, Stop};
use crate::sql::command::Command;
use crate::sql::cursor::Way;
use crate::sql::scan;
use crate::types::Format;
use crate::types::parameters::parameter;
use crate::wire::Gone;
use crate::wire::backend;
use crate::wire::frontend::{Bind, Message, Target, broken};

/// How long to look for what follows an Execute: a client that means Sync sends it along.
const LOOK_AHEAD: Duration = Duration::from_millis(20);

const SYNC: u8 = b'S';

/// A text is taken apart here before the engine sees it, and that takes memory.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_size(sql: &str) -> Result<()> {
    if sql.len() <= limits::STATEMENT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("a statement has at most {} MiB", limits::STATEMENT_BYTES_MAX >> 20);
    Err(Error::new(ErrorKind::TooLarge, message).with_hint("load data with COPY"))
}

impl Client {
    pub(super) async fn extended(&mut self, message: Message) -> Flow<()> {
        self.at = None;
        match message {
            Message::Parse { name, sql, types } => self.parse(name, &sql, types).await,
            Message::Bind(bind) => self.bind(bind).await,
            Message::Describe { target: Target::Statement, name } => self.describe_statement(&name).await,
            Message::Describe { target: Target::Portal, name } => self.describe_portal(&name).await,
            Message::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Message::Close { target, name } => {
                match target {
                    Target::Statement => drop(self.prepared.remove(&name)),
                    Target::Portal => drop(self.portals.remove(&name)),
                }
                backend::close_complete(&mut self.wire.output);
                Ok(())
            }
            Message::Password(_) => Err(broken("a password that nobody asked for").into()),
            _ => Ok(()),
        }
    }

    pub(super) async fn sync(&mut self) -> Result<(), Gone> {
        self.skips = false;
        match self.end_implicit().await {
            Ok(()) => {}
            Err(Stop::Gone(gone)) => return Err(gone),
            Err(Stop::Failed(error)) => self.fail(&error, None),
        }
        if self.is_idle() {
            self.close_portals(true);
        }
        self.tell_settings();
        self.ready();
        self.wire.flush().await
    }

    async fn parse(&mut self, name: String, sql: &str, types: Vec<u32>) -> Flow<()> {
        self.check_new(&name)?;
        check_size(sql)?;
        let statements = scan::statements(sql);
        let prepared = match statements.as_slice() {
            [] => Prepared::empty(),
            [statement] => {
                let prepared = Prepared::of(statement, sql, types);
                let mut prepared = prepared.inspect_err(|error| self.refuse(statement.told(), error))?;
                prepared.sent = (statement.start > 0).then(|| (sql.to_owned(), statement.start));
                prepared
            }
            _ => {
                return Err(Error::invalid("cannot insert multiple commands into a prepared statement")
                    .with_code("42601")
                    .into());
            }
        };
        let prepared = Arc::new(prepared);
        let mut shown = None;
        if !name.is_empty() {
            // It is to be used again, so its errors belong to those who prepare it. They are found by planning it.
            self.at = Some(Arc::clone(&prepared));
            let described = self.described(&prepared).await;
            if let Err(Stop::Failed(error)) = &described {
                self.refuse(prepared.told(), error);
            }
            let described = described?;
            shown = Some(self.show_prepared(&name, sql, &described.oids, false));
        }
        self.prepared.insert(name, (prepared, shown));
        backend::parse_complete(&mut self.wire.output);
        Ok(())
    }

    fn statement(&mut self, name: &str) -> Result<Arc<Prepared>> {
        self.at = self.prepared.get(name).map(|(prepared, _)| Arc::clone(prepared));
        self.at.clone().ok_or_else(|| no_statement(name))
    }

    async fn bind(&mut self, bind: Bind) -> Flow<()> {
        let statement = self.statement(&bind.statement)?;
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            let message = format!("cursor \"{}\" already exists", bind.portal);
            return Err(Error::new(ErrorKind::AlreadyExists, message).with_code("42P03").into());
        }
        if self.portals.len() >= KEPT_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("a connection keeps {KEPT_MAX} portals")).into());
        }
        if bind.values.len() != statement.parameters {
            let (given, wanted) = (bind.values.len(), statement.parameters);
            let message = format!(
                "bind message supplies {given} parameters, but prepared statement \"{}\" requires {wanted}",
                bind.statement
            );
            return Err(broken(message).into());
        }
        let formats = Format::of_each(&bind.formats, bind.values.len())?;
        let unknown = |at: usize| matches!(statement.oids.get(at), None | Some(0 | 705));
        // Bytes in binary mean nothing without a type; a text may be of none.
        let needs_types = formats.iter().enumerate().any(|(at, format)| *format == Format::Binary && unknown(at));
        let told = match needs_types {
            true => Some(self.described(&statement).await?.oids),
            false => statement.described.lock().as_ref().map(|described| described.oids.clone()),
        };
        let mut values = Vec::with_capacity(bind.values.len());
        for (at, (value, format)) in bind.values.into_iter().zip(formats).enumerate() {
            let oid = match (format, &told) {
                // A text keeps its freedom, whatever the client was told.
                (Format::Text, _) if unknown(at) => 0,
                (_, Some(told)) => told.get(at).copied().unwrap_or(0),
                (_, None) => statement.oids.get(at).copied().unwrap_or(0),
            };
            let read = parameter(oid, format, value);
            values.push(read.map_err(|error| error.context(format!("parameter ${}", at + 1)))?);
        }
        let is_binary = bind.result_formats.first() == Some(&1);
        let named = !bind.portal.is_empty();
        let kind = KeptAs::Cursor { is_held: false, is_binary, is_scrollable: false };
        let shown = named.then(|| self.show_cursor(&bind.portal, &statement.sql, kind));
        let portal = Portal::new(statement, values, bind.result_formats, State::Bound, Hold::No, shown);
        self.portals.insert(bind.portal, portal);
        backend::bind_complete(&mut self.wire.output);
        Ok(())
    }

    async fn describe_statement(&mut self, name: &str) -> Flow<()> {
        let statement = self.statement(name)?;
        let described = self.described(&statement).await?;
        backend::parameters(&mut self.wire.output, described.oids);
        match &described.columns {
            Some(columns) => {
                // How they will come is not said before Bind.
                let formats = vec![Format::Text; columns.len()];
                backend::row_description(&mut self.wire.output, columns, &formats);
            }
            None => {
                statement.silent.store(true, Ordering::Relaxed);
                backend::no_data(&mut self.wire.output);
            }
        }
        Ok(())
    }

    async fn describe_portal(&mut self, name: &str) -> Flow<()> {
        let mut portal = self.take(name)?;
        let told = self.columns_of(&mut portal).await;
        let statement = Arc::clone(&portal.statement);
        self.portals.insert(name.to_owned(), portal);
        match told? {
            Some((columns, formats)) => backend::row_description(&mut self.wire.output, &columns, &formats),
            None => {
                statement.silent.store(true, Ordering::Relaxed);
                backend::no_data(&mut self.wire.output);
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str) -> Result<Portal> {
        let portal = self
            .portals
            .remove(name)
            .ok_or_else(|| Error::not_found(format!("portal \"{name}\" does not exist")).with_code("34000"))?;
        self.at = Some(Arc::clone(&portal.statement));
        Ok(portal)
    }

    async fn columns_of(&mut self, portal: &mut Portal) -> Flow<Option<(Vec<crate::types::Column>, Vec<Format>)>> {
        // A query's columns are best known by beginning it, which has to be done anyway.
        if matches!(portal.state, State::Bound) && portal.statement.may_begin_early() {
            self.begin_for(&portal.statement).await?;
            let values = std::mem::take(&mut portal.values);
            let statement = Arc::clone(&portal.statement);
            let began = self.takes_up(&statement);
            let started = self.start(&statement, values, &portal.result_formats).await;
            self.note(statement.told(), began, started.as_ref().map(|_| ""));
            portal.state = match started? {
                Started::Rows(source) => State::Rows(source),
                Started::Done(told) => State::Done(told),
                _ => State::Ended,
            };
        }
        if let State::Rows(source) = &portal.state {
            return Ok(Some((source.columns.clone(), source.formats.clone())));
        }
        let own = matches!(portal.statement.command, Some(Command::Show(_) | Command::Fetch(_)));
        if !own && !portal.statement.may_give_rows() {
            return Ok(None);
        }
        let statement = Arc::clone(&portal.statement);
        let Some(columns) = self.described(&statement).await?.columns else { return Ok(None) };
        let formats = Format::of_each(&portal.result_formats, columns.len())?;
        Ok(Some((columns, formats)))
    }

    async fn execute(&mut self, name: &str, rows_max: u32) -> Flow<()> {
        let mut portal = self.take(name)?;
        let rows_max = if rows_max == 0 || rows_max > i32::MAX as u32 { u64::MAX } else { u64::from(rows_max) };
        // One that fails is gone.
        self.execute_portal(&mut portal, rows_max).await?;
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    async fn execute_portal(&mut self, portal: &mut Portal, rows_max: u64) -> Flow<()> {
        if portal.statement.command.is_none() && matches!(portal.state, State::Bound) {
            backend::empty_query(&mut self.wire.output);
            return Ok(());
        }
        if matches!(portal.state, State::Bound) {
            self.begin_for(&portal.statement).await?;
            let values = std::mem::take(&mut portal.values);
            let statement = Arc::clone(&portal.statement);
            let began = self.takes_up(&statement);
            let done = self.carry_out_bound(&statement, portal, values).await;
            self.note(statement.told(), began, done.as_ref().map(|told| told.as_deref().unwrap_or_default()));
            if let Some(told) = done? {
                self.ends();
                portal.state = State::Ended;
                backend::complete(&mut self.wire.output, &told);
                return Ok(());
            }
        }
        match &mut portal.state {
            State::Rows(source) => {
                let statement = Arc::clone(&portal.statement);
                let ended = self.rows_of(&statement, source, rows_max).await?;
                if ended {
                    portal.state = State::Ended;
                }
                Ok(())
            }
            State::Done(told) => {
                backend::complete(&mut self.wire.output, told);
                portal.state = State::Ended;
                Ok(())
            }
            State::Bound | State::Ended => {
                // All has been given before: nothing is left.
                let none = CommandTag { verb: "SELECT".into(), rows: None };
                backend::complete(&mut self.wire.output, &tag(&none, Some(0)));
                Ok(())
            }
        }
    }

    /// The words that say what it did; `None`: the portal has its rows.
    async fn carry_out_bound(
        &mut self,
        statement: &Prepared,
        portal: &mut Portal,
        values: Vec<Parameter>,
    ) -> Flow<Option<String>> {
        let told = match self.start(statement, values, &portal.result_formats).await? {
            Started::Rows(source) => {
                portal.state = State::Rows(source);
                return Ok(None);
            }
            Started::Done(told) => told,
            Started::CopyOut(source, options) => self.copy_out(source, options).await?,
            Started::CopyIn(copy) => self.copy_in(&statement.sql, copy).await?,
            Started::Fetch(fetch) => self.fetch(&fetch, Some(&portal.result_formats)).await?,
        };
        Ok(Some(told))
    }

    /// Sends rows of a portal; true if there are no more.
    async fn rows_of(&mut self, statement: &Prepared, source: &mut Source, rows_max: u64) -> Flow<bool> {
        self.goes_on(source.query_id);
        // A statement that was described as giving no rows must not give any.
        if statement.silent.load(Ordering::Relaxed) {
            let rows = self.drain(source).await?;
            let message = format!("{rows} rows of the answer are not shown: the driver was told that there are none");
            self.notices(&[Notice { hint: Some("run it as a simple query".into()), ..Notice::new(message) }]);
            self.ends();
            backend::complete(&mut self.wire.output, &source.tag(rows));
            return Ok(true);
        }
        if source.store.is_some() {
            let way = if rows_max == u64::MAX { Way::All } else { Way::Forward(rows_max) };
            let rows = self.scroll(source, way, false).await?;
            self.ends();
            match rows < rows_max {
                true => backend::complete(&mut self.wire.output, &source.tag(rows)),
                false => backend::suspended(&mut self.wire.output),
            }
            // It may go back.
            return Ok(false);
        }
        let Pulled { rows, ended } = self.pull(source, rows_max, |out, rows, row| rows.data_row(out, row)).await?;
        self.ends();
        if ended {
            backend::complete(&mut self.wire.output, &source.tag(rows));
        } else {
            backend::suspended(&mut self.wire.output);
        }
        Ok(ended)
    }

    /// Statements up to a Sync are one transaction. One that stands alone needs none.
    async fn begin_for(&mut self, statement: &Prepared) -> Flow<()> {
        let is_change = match &statement.command {
            Some(Command::Plain { reads }) => !reads,
            Some(Command::CopyIn(_) | Command::Execute(_) | Command::SetConfig(_)) => true,
            _ => false,
        };
        if !is_change || !self.is_idle() {
            return Ok(());
        }
        match self.wire.next_kind_within(LOOK_AHEAD).await? {
            Some(SYNC) => Ok(()),
            // Nothing follows for now: what comes later is one with it all the same.
            _ => self.begin_implicit().await,
        }
    }
}
