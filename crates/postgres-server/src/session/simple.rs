//! The simple way: a text with any number of statements, all rows in text.

use std::sync::Arc;

use polder_types::Error;

use super::extended::check_size;
use super::portal::{Prepared, Pulled, Source};
use super::run::Started;
use super::{Client, Flow, Stop};
use crate::sql::command::Command;
use crate::sql::scan::{self, Statement};
use crate::wire::Gone;
use crate::wire::backend;

impl Client {
    /// Runs all statements of a text. Several of them are one transaction, unless they say otherwise.
    pub(super) async fn simple(&mut self, sql: &str) -> Result<(), Gone> {
        self.prepared.remove("");
        self.portals.remove("");
        if let Err(error) = check_size(sql) {
            self.fail(&error, None);
            self.ready();
            return self.wire.flush().await;
        }
        let statements = scan::statements(sql);
        if statements.is_empty() {
            backend::empty_query(&mut self.wire.output);
        }
        let several = statements.len() > 1;
        for statement in &statements {
            match self.one(statement, sql, several).await {
                Ok(()) => {}
                Err(Stop::Gone(gone)) => return Err(gone),
                Err(Stop::Failed(error)) => {
                    let error = placed(error, sql, statement.start);
                    self.fail(&error, Some(sql));
                    break;
                }
            }
        }
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

    async fn one(&mut self, statement: &Statement<'_>, sql: &str, several: bool) -> Flow<()> {
        let prepared = Prepared::of(statement, sql, Vec::new());
        let prepared = Arc::new(prepared.inspect_err(|error| self.refuse(statement.told(), error))?);
        let controls = matches!(
            prepared.command,
            Some(Command::Begin | Command::Commit | Command::Rollback | Command::DiscardAll)
        );
        if several && !controls && self.is_idle() {
            self.begin_implicit().await?;
        }
        let began = self.takes_up(&prepared);
        let done = self.carry_out(&prepared).await;
        self.note(prepared.told(), began, done.as_deref());
        let tag = done?;
        self.ends();
        backend::complete(&mut self.wire.output, &tag);
        Ok(())
    }

    /// The words that say what a statement did.
    async fn carry_out(&mut self, prepared: &Arc<Prepared>) -> Flow<String> {
        match self.start(prepared, Vec::new(), &[]).await? {
            Started::Done(tag) => Ok(tag),
            Started::Rows(mut source) => self.show(&mut source).await,
            Started::CopyOut(source, options) => self.copy_out(source, options).await,
            Started::CopyIn(copy) => self.copy_in(&prepared.sql, copy).await,
            Started::Fetch(fetch) => self.fetch(&fetch, None).await,
        }
    }

    /// All rows, with their columns before them.
    async fn show(&mut self, source: &mut Source) -> Flow<String> {
        backend::row_description(&mut self.wire.output, &source.columns, &source.formats);
        let Pulled { rows, .. } = self.pull(source, u64::MAX, |out, rows, row| rows.data_row(out, row)).await?;
        Ok(source.tag(rows))
    }
}

/// An error of one statement, with its place in the whole text.
pub(super) fn placed(error: Error, sql: &str, start: usize) -> Error {
    let Some(place) = error.position() else { return error };
    let place = place.behind(sql.get(..start).unwrap_or_default());
    error.at(place.line, place.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_moved_to_the_whole_text() {
        let sql = "SELECT 1;\n SELECT x\n+ y";
        let start = sql.find("SELECT x").unwrap();
        for ((line, column), (wanted_line, wanted_column)) in [((1, 8), (2, 9)), ((2, 3), (3, 3))] {
            let place = placed(Error::invalid("").at(line, column), sql, start).position().unwrap();
            assert_eq!((place.line, place.column), (wanted_line, wanted_column));
        }
    }
}
