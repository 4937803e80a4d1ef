//! Statements that were prepared, and portals: statements with their values, on their way through their rows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::array::RecordBatch;
use bytes::BytesMut;
use futures::StreamExt;
use polder_capability::{BatchStream, CommandTag, Kept, Parameter};
use polder_types::{Error, QueryId, Result};

use super::scroll::Store;
use super::{Client, Flow, Stop};
use crate::sql::command::Command;
use crate::types::encode::Rows;
use crate::types::{Column, Format, Kind};

/// A statement under a name.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// `None` for a text without a statement.
    pub command: Option<Command>,
    pub sql: String,
    /// The text that it was sent in, if something came before it, and where it begins there, in bytes: for errors.
    pub sent: Option<(String, usize)>,
    /// As above, with no more than the comments around it: for the record.
    pub noted: Option<(String, usize)>,
    /// The first word, in lower case, and whether there is a RETURNING.
    pub verb: String,
    /// ALTER VIEW.
    pub alters_view: bool,
    /// What SAVEPOINT, RELEASE and ROLLBACK TO are about.
    pub savepoint: Option<String>,
    pub returns: bool,
    /// As the client gave them; 0 is of no type yet.
    pub oids: Vec<u32>,
    pub parameters: usize,
    pub described: parking_lot::Mutex<Option<Described>>,
    /// The client was told that there are no rows.
    pub silent: AtomicBool,
}

impl Prepared {
    /// A text without a statement.
    pub(super) fn empty() -> Self {
        Self {
            command: None,
            sql: String::new(),
            sent: None,
            noted: None,
            verb: String::new(),
            alters_view: false,
            savepoint: None,
            returns: false,
            oids: Vec::new(),
            parameters: 0,
            described: parking_lot::Mutex::new(None),
            silent: AtomicBool::new(false),
        }
    }

    /// What is recorded of it, and where it begins there, in bytes.
    pub(super) fn told(&self) -> (&str, usize) {
        self.noted.as_ref().map_or((self.sql.as_str(), 0), |(text, start)| (text.as_str(), *start))
    }
}

/// What a client was told of a statement.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub oids: Vec<u32>,
    pub columns: Option<Vec<Column>>,
}

/// A statement with its values.
pub(crate) struct Portal {
    pub statement: Arc<Prepared>,
    pub values: Vec<Parameter>,
    pub result_formats: Vec<i16>,
    pub state: State,
    pub hold: Hold,
    /// Held for as long as it is there.
    _shown: Option<Box<dyn Kept>>,
}

/// A statement that was prepared, and that others may see it, if it has a name.
pub(crate) type Named = (Arc<Prepared>, Option<Box<dyn Kept>>);

/// How long a portal stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    No,
    /// After the transaction, if that commits.
    IfCommitted,
    Yes,
}

pub(crate) enum State {
    Bound,
    Rows(Source),
    /// It has been carried out when its columns were asked for; the words that say so.
    Done(String),
    Ended,
}

impl Portal {
    /// `shown`: that others may see it, if it has a name.
    pub(crate) fn new(
        statement: Arc<Prepared>,
        values: Vec<Parameter>,
        result_formats: Vec<i16>,
        state: State,
        hold: Hold,
        shown: Option<Box<dyn Kept>>,
    ) -> Self {
        Self { statement, values, result_formats, state, hold, _shown: shown }
    }

    /// Whether it is still there when a transaction has ended. One that is held stays from then on.
    pub(crate) fn outlives(&mut self, committed: bool) -> bool {
        if self.hold == Hold::IfCommitted && committed {
            self.hold = Hold::Yes;
        }
        self.hold == Hold::Yes
    }
}

/// Rows as they come.
pub(crate) struct Source {
    pub query_id: QueryId,
    pub tag: CommandTag,
    pub columns: Vec<Column>,
    pub formats: Vec<Format>,
    pub(super) batches: BatchStream,
    /// Rows that are here, and how many of the first batch have been given.
    ready: VecDeque<(Rows, usize)>,
    pub(super) ended: bool,
    /// Rows that have been given.
    pub given: u64,
    /// Of a cursor that goes back: the rows that have come.
    pub store: Option<Store>,
    /// Of a cursor that does not: the row that it is at may be asked for again, though its batch is through.
    pub keeps_last: bool,
    /// The batch of that row, once it is through.
    last: Option<Rows>,
    /// More rows were asked for than there are.
    is_behind: bool,
}

/// What came of reading on.
pub(crate) struct Pulled {
    pub rows: u64,
    /// There are no more.
    pub ended: bool,
}

impl Source {
    pub(crate) fn new(
        query_id: QueryId,
        tag: CommandTag,
        columns: Vec<Column>,
        formats: Vec<Format>,
        batches: BatchStream,
    ) -> Self {
        Self {
            query_id,
            tag,
            columns,
            formats,
            batches,
            ready: VecDeque::new(),
            ended: false,
            given: 0,
            store: None,
            keeps_last: false,
            last: None,
            is_behind: false,
        }
    }

    /// One column of texts that is here already.
    pub(crate) fn of_text(query_id: QueryId, verb: &str, name: &str, value: &str) -> Result<Self> {
        use arrow::array::StringArray;
        use arrow::datatypes::{DataType, Field, Schema};
        let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, true)]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec![value]))])
            .map_err(|error| Error::internal(error.to_string()))?;
        let columns = vec![Column { name: name.to_owned(), kind: Kind::text(), modifier: -1, origin: (0, 0) }];
        let batches = futures::stream::iter([Ok(batch)]).boxed();
        let tag = CommandTag { verb: verb.to_owned(), rows: None };
        Ok(Self::new(query_id, tag, columns, vec![Format::Text], batches))
    }

    /// Other formats for the rows from here on.
    pub(crate) fn set_formats(&mut self, formats: Vec<Format>) {
        self.ready.iter_mut().for_each(|(rows, _)| rows.set_formats(&formats));
        if let Some(store) = &mut self.store {
            store.set_formats(&formats);
        }
        if let Some(last) = &mut self.last {
            last.set_formats(&formats);
        }
        self.formats = formats;
    }

    /// The row that was given last, unless all have been passed.
    pub(super) fn current(&self) -> Option<(&Rows, usize)> {
        if self.is_behind {
            return None;
        }
        match self.ready.front() {
            Some((rows, at)) if *at > 0 => Some((rows, *at - 1)),
            _ => self.last.as_ref().and_then(|rows| Some((rows, rows.count.checked_sub(1)?))),
        }
    }

    /// What the statement did, for the client.
    pub(crate) fn tag(&self, rows: u64) -> String {
        tag(&self.tag, Some(rows))
    }
}

/// The words that say what a statement did. `given`: the rows that the client got.
pub(crate) fn tag(tag: &CommandTag, given: Option<u64>) -> String {
    let rows = tag.rows.or(given).unwrap_or(0);
    match tag.verb.as_str() {
        "INSERT" => format!("INSERT 0 {rows}"),
        "SELECT" | "UPDATE" | "DELETE" | "MERGE" | "COPY" | "FETCH" | "MOVE" => format!("{} {rows}", tag.verb),
        verb => verb.to_owned(),
    }
}

impl Client {
    /// Reads on, at most so many rows, each written by `put`. Sends them as they come and waits while the client does not
    /// read: nothing but a batch or two is in memory.
    pub(super) async fn pull(
        &mut self,
        source: &mut Source,
        rows_max: u64,
        mut put: impl FnMut(&mut BytesMut, &Rows, usize) -> Result<()>,
    ) -> Flow<Pulled> {
        let mut pulled = Pulled { rows: 0, ended: false };
        while pulled.rows < rows_max {
            if let Some((rows, at)) = source.ready.front_mut() {
                while *at < rows.count && pulled.rows < rows_max {
                    put(&mut self.wire.output, rows, *at)?;
                    *at += 1;
                    pulled.rows += 1;
                    self.wire.relieve().await?;
                }
                if *at == rows.count
                    && let Some((rows, _)) = source.ready.pop_front()
                    && source.keeps_last
                    && rows.count > 0
                {
                    source.last = Some(rows);
                }
                continue;
            }
            if source.ended {
                pulled.ended = true;
                source.is_behind = true;
                break;
            }
            match self.watched(source.batches.next()).await? {
                Some(batch) => {
                    let rows = Rows::new(&batch?, &source.columns, &source.formats)?;
                    source.ready.push_back((rows, 0));
                }
                None => source.ended = true,
            }
        }
        source.given += pulled.rows;
        Ok(pulled)
    }

    /// Reads all rows and shows none of them.
    pub(super) async fn drain(&mut self, source: &mut Source) -> Flow<u64> {
        Ok(self.pull(source, u64::MAX, |_, _, _| Ok(())).await?.rows)
    }

    /// The number that a statement tells in rows, as COPY … TO a file does.
    pub(super) async fn told_count(&mut self, batches: &mut BatchStream) -> Flow<u64> {
        use arrow::array::AsArray;
        use arrow::datatypes::UInt64Type;
        let mut sum = 0;
        while let Some(batch) = self.watched(batches.next()).await? {
            let batch = batch.map_err(Stop::from)?;
            let counts = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>().cloned());
            sum += counts.map_or(0, |counts| counts.values().iter().sum::<u64>());
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_postgresqls() {
        let told = |verb: &str, rows, given| tag(&CommandTag { verb: verb.into(), rows }, given);
        assert_eq!(told("INSERT", Some(2), None), "INSERT 0 2");
        assert_eq!(told("SELECT", None, Some(3)), "SELECT 3");
        assert_eq!(told("UPDATE", Some(1), Some(1)), "UPDATE 1");
        assert_eq!(told("CREATE TABLE", None, None), "CREATE TABLE");
    }
}
