//! Loads in `polder.queries`: what came in by the command line, an upload or a dropped file is recorded beside what came
//! by SQL.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use polder_capability::{
    Caller, LoadMode, LoadOptions, LoadRequest, LoadSource, LoadState, LoadStatus, Loader, Preview, QueryState,
    loaded_table,
};
use polder_lake::{Lake, TableName};
use polder_types::{Error, ErrorKind, LoadId, QueryId, Result};

use crate::authz::rights::INSERT;
use crate::authz::{Authority, READ_SERVER_FILES, Rights, Who, not_owner, word_of};
use crate::engine::Engine;
use crate::policies::check_load;
use crate::record::{Recorder, Running};
use crate::statement::no_server_files;

/// Sources that are named one by one.
const SOURCES_SHOWN: usize = 20;

/// How the table is called where a load puts what it cannot read: as the table, and this.
pub(crate) const REJECTS: &str = "__rejects";

/// A loader whose loads are recorded and can be cancelled by the id in the record. COPY is recorded as the statement
/// that it is, and uses the loader beneath.
struct RecordedLoader {
    inner: Arc<dyn Loader>,
    recorder: Arc<Recorder>,
    lake: Arc<Lake>,
    authority: Arc<Authority>,
    going_on: Arc<Mutex<HashMap<LoadId, Arc<Running>>>>,
}

impl Engine {
    /// The same loader, with a record of each load.
    #[must_use]
    pub fn recorded(&self, loader: Arc<dyn Loader>) -> Arc<dyn Loader> {
        Arc::new(RecordedLoader {
            inner: loader,
            recorder: Arc::clone(&self.recorder),
            lake: Arc::clone(&self.lake),
            authority: Arc::clone(&self.authority),
            going_on: Arc::default(),
        })
    }
}

impl RecordedLoader {
    /// Whoever loads, if they may read what they load.
    fn reader(&self, caller: &Caller, sources: &[LoadSource]) -> Result<Who> {
        let book = self.authority.known();
        let role = book.named(&caller.user)?.oid;
        let who = book.who(role, role);
        let is_elsewhere = |source: &LoadSource| matches!(source, LoadSource::Location(_));
        if !who.has(READ_SERVER_FILES) && sources.iter().any(is_elsewhere) {
            return Err(no_server_files("pg_read_server_files", "load a file of the server's"));
        }
        Ok(who)
    }

    /// # Errors
    /// `Forbidden` (42501) unless whoever loads may write into the table, or make it.
    fn check(&self, request: &LoadRequest) -> Result<()> {
        let who = self.reader(&request.caller, &request.sources)?;
        let known = self.lake.known();
        let rights = Rights::new(&who, &known);
        let named = request.into.as_deref().map(loaded_table).transpose();
        let named = named.map(|named| named.map(|(schema, table)| TableName::new(schema, table)));
        let name = match named {
            Ok(Some(name)) => name,
            // The loader finds the names, or says what is wrong.
            _ if who.superuser => return Ok(()),
            Ok(None) => {
                let message = "permission denied: the tables of a load are named unless a superuser loads";
                return Err(Error::new(ErrorKind::Forbidden, message).with_hint("name the table: --into schema.table"));
            }
            Err(error) => return Err(error),
        };
        if !request.strict {
            check_rejects(rights, &name)?;
        }
        if who.superuser {
            return Ok(());
        }
        if Rights::is_own_temporary(&name.schema) && request.options.copy.is_none() {
            let message = format!("permission denied for schema {}", name.schema);
            return Err(Error::new(ErrorKind::Forbidden, message)
                .with_hint("temporary tables are a session's own: name a table of another schema"));
        }
        match (known.table(&name), request.mode) {
            (Some(table), LoadMode::Append) => {
                rights.require(word_of(table), &name, table.id, INSERT)?;
                check_load(rights, table.id)
            }
            (Some(table), LoadMode::Replace) if !rights.owns(table.id) => {
                Err(not_owner(word_of(table), &name.table, rights.owner_name(table.id)))
            }
            _ => rights.create_in(&name.schema),
        }
    }
}

/// Rows that cannot be read go into a table beside the one that is loaded, which has to be that one's owner's: nobody else
/// is shown them.
///
/// # Errors
/// `Forbidden` (42501).
fn check_rejects(rights: Rights<'_>, name: &TableName) -> Result<()> {
    let rejects = TableName::new(&name.schema, format!("{}{REJECTS}", name.table));
    let Some(table) = rights.snapshot.table(&rejects) else { return Ok(()) };
    let loaded = rights.snapshot.table(name).map_or(rights.who.role, |table| rights.owner(table.id));
    let owner = rights.owner(table.id);
    if owner == loaded || rights.who.book.role(owner).is_some_and(|role| role.is_superuser) {
        return Ok(());
    }
    let loaded = rights.who.book.name(loaded).unwrap_or("nobody");
    Err(not_owner(word_of(table), &rejects.table, rights.owner_name(table.id)).with_hint(format!(
        "rows that cannot be read go there: DROP TABLE {rejects}, or ALTER TABLE {rejects} OWNER TO {loaded}"
    )))
}

/// A load in words; a comment to SQL, so that nobody takes it for a statement.
fn in_words(request: &LoadRequest) -> String {
    let mut words = String::from("-- load ");
    for (at, source) in request.sources.iter().take(SOURCES_SHOWN).enumerate() {
        let name = match source {
            LoadSource::Location(location) => location,
            LoadSource::Spooled { name, .. } => name,
        };
        let comma = if at == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(words, "{comma}{}", name.replace(['\n', '\r'], " "));
    }
    if request.sources.len() > SOURCES_SHOWN {
        let _ = write!(words, " and {} more", request.sources.len() - SOURCES_SHOWN);
    }
    if let Some(into) = &request.into {
        let _ = write!(words, " into {into}");
    }
    words.push_str(match request.mode {
        LoadMode::Create => "",
        LoadMode::Append => " (append)",
        LoadMode::Replace => " (replace)",
    });
    words
}

/// Writes down how a load ended.
fn end(recorder: &Recorder, running: &Arc<Running>, status: Option<LoadStatus>) {
    let Some(status) = status else {
        recorder.end(running, Some(&polder_types::Error::internal("the load is forgotten")));
        return;
    };
    running.loaded(status.progress.rows, status.progress.bytes_done);
    if let Some(report) = &status.report {
        running.changed(report.tables.iter().map(|table| table.rows_loaded).sum());
        if let Some(snapshot) = report.snapshot {
            running.read(snapshot);
        }
    }
    let state = match status.state {
        LoadState::Done => QueryState::Done,
        LoadState::Cancelled => QueryState::Cancelled,
        LoadState::Failed | LoadState::Running => QueryState::Failed,
    };
    recorder.end_as(running, state, status.error);
}

#[async_trait::async_trait]
impl Loader for RecordedLoader {
    async fn preview(&self, caller: &Caller, source: &LoadSource, options: &LoadOptions) -> Result<Preview> {
        self.reader(caller, std::slice::from_ref(source))?;
        self.inner.preview(caller, source, options).await
    }

    fn start(&self, request: LoadRequest) -> Result<LoadId> {
        let running = self.recorder.begin(QueryId::new(), &request.caller, &in_words(&request))?;
        let id = match self.check(&request).and_then(|()| self.inner.start(request)) {
            Ok(id) => id,
            Err(error) => {
                self.recorder.end(&running, Some(&error));
                return Err(error);
            }
        };
        self.going_on.lock().insert(id, Arc::clone(&running));
        let (inner, recorder, going_on) =
            (Arc::clone(&self.inner), Arc::clone(&self.recorder), Arc::clone(&self.going_on));
        tokio::spawn(async move {
            let status = tokio::select! {
                status = inner.wait(id) => status,
                () = running.token.cancelled() => {
                    inner.cancel(id);
                    inner.wait(id).await
                }
            };
            end(&recorder, &running, status);
            going_on.lock().remove(&id);
        });
        Ok(id)
    }

    fn status(&self, id: LoadId) -> Option<LoadStatus> {
        self.inner.status(id)
    }

    async fn wait(&self, id: LoadId) -> Option<LoadStatus> {
        let status = self.inner.wait(id).await;
        // Whoever has waited may close the house at once: the record is made by then.
        let running = self.going_on.lock().get(&id).cloned();
        if let Some(running) = running {
            end(&self.recorder, &running, status.clone());
        }
        status
    }

    fn running(&self) -> Vec<LoadStatus> {
        self.inner.running()
    }

    fn cancel(&self, id: LoadId) -> bool {
        self.inner.cancel(id)
    }
}
