//! COPY … TO STDOUT and COPY … FROM STDIN.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::{FutureExt, StreamExt};
use polder_capability::{Answer, BatchStream, RowsIn, StatementRequest};
use polder_types::{Error, Result};
use tokio::sync::mpsc;

use super::portal::{Source, tag};
use super::{Client, Flow, Stop, cancelled, too_slow, until};
use crate::copy::read::CopyReader;
use crate::copy::write::CopyWriter;
use crate::sql::command::CopyIn;
use crate::sql::copy_options::{CopyFormat, CopyOptions};
use crate::types::{Column, Format};
use crate::wire::backend;
use crate::wire::frontend::{Message, broken};

/// Batches on their way to the table: one is made while another is written.
const BATCHES_BETWEEN: usize = 2;

/// Rows, an error, or the end: nothing that is cut off may pass for what is done.
type Sender = mpsc::Sender<Result<Option<RecordBatch>>>;

/// The rows for the table. They end when the client has said so, and not because nobody sends any more.
fn rows_until_done(receiver: mpsc::Receiver<Result<Option<RecordBatch>>>) -> BatchStream {
    let next = |receiver: Option<mpsc::Receiver<Result<Option<RecordBatch>>>>| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Ok(Some(batch))) => Some((Ok(batch), Some(receiver))),
            Some(Ok(None)) => None,
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(Error::cancelled()), None)),
        }
    };
    futures::stream::unfold(Some(receiver), next).boxed()
}

/// Rows before an error. Refused ones tell their error by themselves, so it does not matter who still listens.
async fn hand_on(batches: Result<Vec<RecordBatch>>, sender: &Sender) {
    let batches: Vec<Result<RecordBatch>> = match batches {
        Ok(batches) => batches.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    };
    for batch in batches {
        let _ = sender.send(batch.map(Some)).await;
    }
}

/// What ended the reading of a copy.
enum Ended {
    /// The client has said that it is done, and all is handed on.
    Done,
    /// The rows have been refused: what comes is passed over.
    Refused(Answered),
}

type Answered = Result<Answer>;

impl Client {
    pub(super) async fn copy_out(&mut self, mut source: Source, options: CopyOptions) -> Flow<String> {
        let binary = options.format == CopyFormat::Binary;
        let format = if binary { Format::Binary } else { Format::Text };
        options.check_columns(source.columns.iter().map(|column| column.name.as_str()))?;
        source.set_formats(vec![format; source.columns.len()]);
        backend::copy_out(&mut self.wire.output, binary, source.columns.len());
        let mut writer = CopyWriter::new(options, &source.columns);
        writer.header(&mut self.wire.output)?;
        let pulled = self.pull(&mut source, u64::MAX, |out, rows, row| writer.row(out, rows, row)).await?;
        writer.end(&mut self.wire.output)?;
        backend::copy_done(&mut self.wire.output);
        Ok(format!("COPY {}", pulled.rows))
    }

    pub(super) async fn copy_in(&mut self, sql: &str, copy: CopyIn) -> Flow<String> {
        let CopyIn { table, columns, filter, options } = copy;
        let (session, name, listed) = (Arc::clone(&self.session), table.clone(), columns.clone());
        let condition = filter.clone();
        let query_id = self.begins();
        let fields =
            self.watched(async move { session.columns_of(&name, &listed, condition.as_deref()).await }).await??;
        let filled: Vec<Column> = Column::all(&arrow::datatypes::Schema::new(fields));
        options.check_columns(filled.iter().map(|column| column.name.as_str()))?;
        backend::copy_in(&mut self.wire.output, options.format == CopyFormat::Binary, filled.len());
        self.wire.flush().await?;
        let (sender, receiver) = mpsc::channel(BATCHES_BETWEEN);
        let rows = RowsIn { table, columns, filter, rows: rows_until_done(receiver) };
        let session = Arc::clone(&self.session);
        self.recorded = true;
        let sent = self.sent(sql);
        let request = StatementRequest { sql: sql.to_owned(), query_id, row_limit: None, sent };
        let mut inserting = async move { session.insert_rows(request, rows).await }.boxed();
        let mut reader = CopyReader::new(options, filled);
        let deadline = self.deadline;
        let cancelled = cancelled(self.registered.work(), Arc::clone(&self.house));
        let ended = tokio::select! {
            biased;
            answered = &mut inserting => Ended::Refused(answered),
            ended = self.read_copy(&mut reader, sender) => {
                ended?;
                Ended::Done
            }
            () = until(deadline) => return Err(too_slow().into()),
            error = cancelled => return Err(error.into()),
        };
        let answer = match ended {
            Ended::Done => self.watched(inserting).await??,
            // Nobody but an error ends it before its rows do.
            Ended::Refused(answered) => answered?,
        };
        self.notices(&answer.notices);
        Ok(tag(&answer.tag, None))
    }

    /// Hands on what the client sends until it is done, or has failed. An error of the rows is handed on too: by it the
    /// insert fails, and with it the transaction.
    async fn read_copy(&mut self, reader: &mut CopyReader, sender: Sender) -> Flow<()> {
        loop {
            let batch = match self.wire.message(None).await? {
                Ok(Message::CopyData(data)) => reader.feed(&data),
                Ok(Message::CopyDone) => {
                    // Refused rows tell their error by themselves, so it does not matter who still listens.
                    let last = reader.finish();
                    let failed = last.is_err();
                    if failed {
                        hand_on(reader.before_error(), &sender).await;
                    }
                    if let Some(last) = last.transpose() {
                        let _ = sender.send(last.map(Some)).await;
                    }
                    if !failed {
                        let _ = sender.send(Ok(None)).await;
                    }
                    return Ok(());
                }
                Ok(Message::CopyFail(reason)) => {
                    let message = format!("COPY from stdin failed: {reason}");
                    Err(reader.unfinished(Error::new(polder_types::ErrorKind::Cancelled, message)))
                }
                // Sent along with the statement, before its answer was known.
                Ok(Message::Flush | Message::Sync) => continue,
                Ok(_) => Err(reader.unfinished(broken("unexpected message type during COPY from stdin"))),
                Err(error) => return Err(Stop::Failed(error)),
            };
            let Some(batch) = batch.transpose() else { continue };
            let failed = batch.is_err();
            if failed {
                hand_on(reader.before_error(), &sender).await;
            }
            let _ = sender.send(batch.map(Some)).await;
            if failed {
                return Ok(());
            }
        }
    }
}
