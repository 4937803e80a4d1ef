//! Statements that are this server's own: cursors, settings of the protocol, what a pool does to clean up.

use bytes::BytesMut;
use polder_capability::{Kept, KeptAs, KeptStatement, Parameter};
use polder_types::{Error, ErrorKind, QueryId, Result};

use super::portal::{Hold, Portal, Prepared, Source, State};
use super::run::{Started, no_statement};
use super::scroll::Store;
use super::{Client, Flow};
use crate::settings::Settings;
use crate::sql::command::Command;
use crate::sql::cursor::{Declare, Fetch, Way};
use crate::sql::set_config::{SetConfig, Setting};
use crate::types::encode::Rows;
use crate::types::{Format, Kind};
use crate::wire::backend;

/// Cursors that one client may keep.
const CURSORS_MAX: usize = 1_000;

fn done(tag: &str) -> Flow<Started> {
    Ok(Started::Done(tag.to_owned()))
}

impl Client {
    pub(super) async fn own(&mut self, command: &Command, sql: &str, values: Vec<Parameter>) -> Flow<Started> {
        match command {
            Command::Declare(declare) => self.declare(declare, sql, values).await,
            Command::Close(name) => {
                match name {
                    Some(name) => drop(self.portals.remove(name).ok_or_else(|| no_cursor(name))?),
                    None => self.portals.clear(),
                }
                done(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" })
            }
            Command::Set { name, values, local } => match self.set(name, values, *local) {
                Some(set) => {
                    set?;
                    done("SET")
                }
                None => self.engines(sql).await,
            },
            Command::SetCharacteristics { lasting, words } => match characteristics(words)? {
                None => done("SET"),
                Some(read_only) => {
                    let name = if *lasting { "default_transaction_read_only" } else { "transaction_read_only" };
                    self.engines(&format!("SET {name} = {}", if read_only { "on" } else { "off" })).await
                }
            },
            Command::Show(name) if name == "all" => {
                let mut source = self.query(&self.settings.all_query(), Vec::new(), &[]).await?;
                source.tag.verb = "SHOW".into();
                Ok(Started::Rows(source))
            }
            Command::Show(name) => match self.settings.show(name) {
                Some(value) => {
                    Ok(Started::Rows(Source::of_text(QueryId::new(), "SHOW", Settings::shown_name(name), &value)?))
                }
                None => self.shown(sql, name).await,
            },
            Command::Reset(name) if name == "all" => {
                self.settings.reset_all();
                self.lasting.iter_mut().for_each(Settings::reset_all);
                self.engines(sql).await
            }
            Command::Reset(name) => match self.settings.reset(name) {
                Some(()) => {
                    if let Some(lasting) = &mut self.lasting {
                        lasting.reset(name);
                    }
                    done("RESET")
                }
                None => self.engines(sql).await,
            },
            Command::DiscardAll => self.discard_all().await,
            Command::DiscardNothing(tag) => done(tag),
            Command::Deallocate(Some(name)) => match self.prepared.remove(name) {
                Some(_) => done("DEALLOCATE"),
                None => Err(no_statement(name).into()),
            },
            Command::Deallocate(None) => {
                self.prepared.retain(|name, _| name.is_empty());
                done("DEALLOCATE ALL")
            }
            // Nobody listens, so nobody has to stop.
            Command::Unlisten => done("UNLISTEN"),
            Command::Refused(verb) => Err(Error::unsupported(format!("{verb} is not supported"))
                .with_hint("there are no notifications; ask again, or use a job")
                .into()),
            _ => Err(Error::internal("a statement came the wrong way").into()),
        }
    }

    /// Sets one of the server's own settings; `None` if it is none.
    fn set(&mut self, name: &str, values: &[String], local: bool) -> Option<Result<()>> {
        let before = self.settings.clone();
        let set = self.settings.set(name, values)?;
        match (&set, local) {
            (Ok(()), true) if self.is_idle() => {
                self.settings = before;
                self.warn("25P01", "SET LOCAL can only be used in transaction blocks");
            }
            (Ok(()), true) => drop(self.lasting.get_or_insert(before)),
            (Ok(()), false) => {
                // What is set for longer than a SET LOCAL holds too, once that is over.
                if let Some(lasting) = &mut self.lasting {
                    return lasting.set(name, values);
                }
            }
            (Err(_), _) => {}
        }
        Some(set)
    }

    /// Sets one of the server's own settings by `set_config`; `None` if it is none.
    pub(super) fn set_config(
        &mut self,
        call: &SetConfig,
        values: &[Parameter],
        result_formats: &[i16],
    ) -> Result<Option<Source>> {
        let Some(Setting { name, value, local }) = call.with(values) else { return Ok(None) };
        let given = value.unwrap_or_else(|| "default".to_owned());
        let before = self.settings.clone();
        let Some(set) = self.settings.set(&name, std::slice::from_ref(&given)) else { return Ok(None) };
        set?;
        let now = self.settings.show(&name).unwrap_or_default();
        if local {
            match self.is_idle() {
                // By itself it is a transaction that is over.
                true => self.settings = before,
                false => drop(self.lasting.get_or_insert(before)),
            }
        } else if let Some(lasting) = &mut self.lasting {
            lasting.set(&name, &[given]).unwrap_or(Ok(()))?;
        }
        let mut source = Source::of_text(QueryId::new(), "SELECT", "set_config", &now)?;
        source.set_formats(Format::of_each(result_formats, 1)?);
        Ok(Some(source))
    }

    /// One of the engine's statements that gives no rows.
    async fn engines(&mut self, sql: &str) -> Flow<Started> {
        let session = std::sync::Arc::clone(&self.session);
        let request = self.request(sql);
        let answer = self.watched(async move { session.run(request).await }).await??;
        self.notices(&answer.notices);
        self.ends();
        done(&answer.tag.verb)
    }

    async fn shown(&mut self, sql: &str, name: &str) -> Flow<Started> {
        let mut source = self.query(sql, Vec::new(), &[]).await?;
        source.tag.verb = "SHOW".into();
        // A list, as of tables, has names of its own.
        if let [column] = source.columns.as_mut_slice() {
            Settings::shown_name(name).clone_into(&mut column.name);
        }
        Ok(Started::Rows(source))
    }

    async fn discard_all(&mut self) -> Flow<Started> {
        if !self.is_idle() {
            return Err(Error::invalid("DISCARD ALL cannot run inside a transaction block").with_code("25001").into());
        }
        self.portals.clear();
        self.prepared.clear();
        self.settings.reset_all();
        self.command("DISCARD ALL").await?;
        done("DISCARD ALL")
    }

    async fn declare(&mut self, declare: &Declare, sql: &str, values: Vec<Parameter>) -> Flow<Started> {
        if !declare.hold && self.is_idle() {
            return Err(Error::invalid("DECLARE CURSOR can only be used in transaction blocks")
                .with_code("25P01")
                .with_hint("BEGIN, or declare it WITH HOLD")
                .into());
        }
        if self.portals.contains_key(&declare.name) {
            let message = format!("cursor \"{}\" already exists", declare.name);
            return Err(Error::new(ErrorKind::AlreadyExists, message).with_code("42P03").into());
        }
        if self.portals.len() >= CURSORS_MAX {
            return Err(Error::new(ErrorKind::TooLarge, format!("a connection keeps {CURSORS_MAX} cursors")).into());
        }
        let formats = [i16::from(declare.binary)];
        let mut source = self.query(&declare.query, values, &formats).await?;
        source.store = declare.scroll.then(Store::default);
        source.keeps_last = !declare.scroll;
        self.ends();
        let hold = match (declare.hold, self.is_idle()) {
            (false, _) => Hold::No,
            (true, false) => Hold::IfCommitted,
            (true, true) => Hold::Yes,
        };
        let kind = KeptAs::Cursor { is_held: declare.hold, is_binary: declare.binary, is_scrollable: declare.scroll };
        let shown = Some(self.show_cursor(&declare.name, sql, kind));
        let statement = std::sync::Arc::new(Prepared::empty());
        let portal = Portal::new(statement, Vec::new(), formats.to_vec(), State::Rows(source), hold, shown);
        self.portals.insert(declare.name.clone(), portal);
        done("DECLARE CURSOR")
    }

    /// Lets those see a cursor who ask for the session's.
    pub(super) fn show_cursor(&self, name: &str, sql: &str, kind: KeptAs) -> Box<dyn Kept> {
        self.session.keep(KeptStatement { name: name.to_owned(), sql: sql.to_owned(), kind })
    }

    /// Lets those see a prepared statement who ask for the session's. `oids`: the types of its parameters.
    pub(super) fn show_prepared(&self, name: &str, sql: &str, oids: &[u32], is_from_sql: bool) -> Box<dyn Kept> {
        let type_name = |oid: &u32| Kind::of_oid(*oid).map_or_else(|_| "unknown".to_owned(), Kind::name);
        let kind = KeptAs::Prepared { types: oids.iter().map(type_name).collect(), is_from_sql };
        self.session.keep(KeptStatement { name: name.to_owned(), sql: sql.to_owned(), kind })
    }

    /// The rows of a cursor.
    pub(super) fn cursor(&mut self, name: &str) -> Result<&mut Source> {
        match self.portals.get_mut(name).map(|portal| &mut portal.state) {
            Some(State::Rows(source)) => Ok(source),
            _ => Err(no_cursor(name)),
        }
    }

    /// FETCH and MOVE. `formats`: those that the rows are asked for in; without, they are the cursor's, and the columns
    /// are told.
    pub(super) async fn fetch(&mut self, fetch: &Fetch, formats: Option<&[i16]>) -> Flow<String> {
        let mut portal = self.portals.remove(&fetch.name).ok_or_else(|| no_cursor(&fetch.name))?;
        let fetched = self.fetch_from(&mut portal, fetch, formats).await;
        // A cursor whose query has failed is gone, with its transaction.
        let fetched = fetched?;
        self.portals.insert(fetch.name.clone(), portal);
        Ok(fetched)
    }

    async fn fetch_from(&mut self, portal: &mut Portal, fetch: &Fetch, formats: Option<&[i16]>) -> Flow<String> {
        // A portal that a driver has bound is a cursor too.
        if matches!(portal.state, State::Bound) {
            let (statement, values) = (std::sync::Arc::clone(&portal.statement), std::mem::take(&mut portal.values));
            // That is recorded by itself, in its own words.
            self.takes_up(&statement);
            let started = Box::pin(self.start(&statement, values, &portal.result_formats)).await;
            self.doing = None;
            self.recorded = false;
            if let Started::Rows(source) = started? {
                portal.state = State::Rows(source);
            }
        }
        let State::Rows(source) = &mut portal.state else { return Err(no_cursor(&fetch.name).into()) };
        // Without, they are those that the cursor was declared with.
        source.set_formats(Format::of_each(formats.unwrap_or(&portal.result_formats), source.columns.len())?);
        if !fetch.moves && formats.is_none() {
            backend::row_description(&mut self.wire.output, &source.columns, &source.formats);
        }
        self.goes_on(source.query_id);
        let moves = fetch.moves;
        let rows = match source.store {
            Some(_) => self.scroll(source, fetch.way, moves).await?,
            // A portal that a driver has bound need not go through its rows by FETCH.
            None if !source.keeps_last && source.given == 0 => {
                source.keeps_last = true;
                self.forward(source, fetch.way, moves).await?
            }
            None => self.forward(source, fetch.way, moves).await?,
        };
        self.ends();
        Ok(format!("{} {rows}", if moves { "MOVE" } else { "FETCH" }))
    }

    /// Goes on in a cursor whose rows are given as they are computed: how many they are.
    async fn forward(&mut self, source: &mut Source, way: Way, moves: bool) -> Flow<u64> {
        let back = || {
            Error::invalid("cursor can only scan forward")
                .with_code("55000")
                .with_hint("DECLARE name SCROLL CURSOR FOR …")
        };
        let (skipped, wanted) = match way {
            Way::Forward(0) | Way::Relative(0) | Way::Backward(0) => {
                let Some((rows, row)) = source.current() else { return Ok(0) };
                if !moves {
                    rows.data_row(&mut self.wire.output, row)?;
                }
                return Ok(1);
            }
            Way::Forward(rows) => (0, rows),
            Way::All => (0, u64::MAX),
            Way::Backward(_) | Way::BackwardAll => return Err(back().into()),
            Way::Relative(rows) => (u64::try_from(rows - 1).map_err(|_| back())?, 1),
            Way::Absolute(row) => {
                let row = u64::try_from(row).map_err(|_| back())?;
                (row.checked_sub(source.given + 1).ok_or_else(back)?, 1)
            }
        };
        if skipped > 0 {
            self.pull(source, skipped, |_, _, _| Ok(())).await?;
        }
        let put = |out: &mut BytesMut, rows: &Rows, row| if moves { Ok(()) } else { rows.data_row(out, row) };
        Ok(self.pull(source, wanted, put).await?.rows)
    }
}

fn no_cursor(name: &str) -> Error {
    Error::not_found(format!("cursor \"{name}\" does not exist")).with_code("34000")
}

/// What all transactions of the session shall be: a snapshot that may be written to is the only kind.
/// Whether the words say that nothing is to be changed; `None`: they say nothing of it.
fn characteristics(words: &[String]) -> Result<Option<bool>> {
    let mut rest: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut read_only = None;
    if rest.is_empty() {
        rest.push("nothing");
    }
    while !rest.is_empty() {
        let taken = match rest.as_slice() {
            ["isolation", "level", "serializable", ..] => {
                return Err(Error::unsupported(
                    "SERIALIZABLE is not there: a transaction reads one snapshot, and the first to commit wins",
                ));
            }
            ["isolation", "level", "read", "committed" | "uncommitted", ..]
            | ["isolation", "level", "repeatable", "read", ..] => 4,
            ["read", mode @ ("only" | "write"), ..] => {
                read_only = Some(*mode == "only");
                2
            }
            // One snapshot is read at once: there is nothing that could be put off.
            ["not", "deferrable", ..] => 2,
            ["deferrable", ..] => 1,
            _ => return Err(Error::unsupported("these characteristics of transactions are not supported")),
        };
        rest.drain(..taken);
    }
    Ok(read_only)
}
