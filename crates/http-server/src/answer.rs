//! The answer to a statement as a body: encoded batch by batch in a task of its own, as fast as the client reads.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use polder_capability::{BatchStream, SqlRunner};
use polder_runtime::Shutdown;
use polder_types::{Error, ErrorKind, QueryId, Result};
use tokio::sync::mpsc;

use crate::encode::Encoder;
use crate::middleware::InFlight;
use crate::sessions::Turn;

/// Pieces that wait for the client. A few, so that the engine works while the network does.
const PIECES_WAITING_MAX: usize = 4;

/// Rows encoded at once, which bounds the size of a piece.
const PIECE_ROWS: usize = 8192;

/// A client that reads nothing for so long has gone, whatever its connection says.
const READER_WAIT_MAX: Duration = Duration::from_secs(600);

/// A statement whose answer is under way. Dropped before [`RunningStatement::ended`], it is cancelled.
pub(crate) struct RunningStatement {
    sql: Arc<dyn SqlRunner>,
    query_id: QueryId,
    ended: bool,
    turn: Option<Turn>,
    _in_flight: Option<InFlight>,
}

impl RunningStatement {
    pub(crate) fn new(sql: Arc<dyn SqlRunner>, query_id: QueryId, turn: Turn, in_flight: Option<InFlight>) -> Self {
        Self { sql, query_id, ended: false, turn: Some(turn), _in_flight: in_flight }
    }

    /// It has come to its end, good or bad: there is nothing to cancel, and its session is free.
    pub(crate) fn ended(&mut self) {
        self.ended = true;
        self.turn = None;
    }
}

impl Drop for RunningStatement {
    fn drop(&mut self) {
        if !self.ended && self.sql.cancel(self.query_id) {
            tracing::debug!(query_id = %self.query_id, "cancelled: nobody waits for the answer");
        }
    }
}

/// A piece of the body on its way from the task to the connection.
enum Piece {
    Data(Bytes),
    /// All of it was sent. Without it the body counts as broken: a task that died must not look like an end.
    End,
    Broken(String),
}

/// The body of an answer. Waits for the first rows, so that an error that comes before them is told as an error and not
/// by a broken body.
pub(crate) async fn body(
    mut encoder: Box<dyn Encoder>,
    mut batches: BatchStream,
    mut statement: RunningStatement,
    stop: Shutdown,
) -> Result<Body> {
    let first = batches.next().await.transpose().inspect_err(|_| statement.ended())?;
    let mut head = encoder.start()?;
    let Some(batch) = first else {
        // All of it is there: no task is needed to send it.
        head.append(&mut encoder.finish()?);
        drop(batches);
        statement.ended();
        return Ok(Body::from(head));
    };
    let rows = PIECE_ROWS.min(batch.num_rows());
    head.append(&mut encoder.batch(&batch.slice(0, rows))?);
    let rest = Some(batch.slice(rows, batch.num_rows() - rows));
    let (pieces, received) = mpsc::channel(PIECES_WAITING_MAX);
    tokio::spawn(async move {
        if let Err(error) = send(head, rest, encoder, batches, statement, &stop, &pieces).await {
            tracing::info!(%error, "an answer ended before its end");
            // Nobody may be there to hear it; then it does not matter.
            let _ = pieces.send(Piece::Broken(error.to_string())).await;
        }
    });
    Ok(Body::from_stream(bytes_of(received)))
}

fn bytes_of(received: mpsc::Receiver<Piece>) -> impl Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold(Some(received), |received| async {
        let mut received = received?;
        match received.recv().await {
            Some(Piece::Data(bytes)) => Some((Ok(bytes), Some(received))),
            Some(Piece::End) => None,
            Some(Piece::Broken(reason)) => Some((Err(io::Error::other(reason)), None)),
            None => Some((Err(io::Error::other("the answer's task ended early")), None)),
        }
    })
}

async fn send(
    head: Vec<u8>,
    mut next: Option<RecordBatch>,
    mut encoder: Box<dyn Encoder>,
    mut batches: BatchStream,
    mut statement: RunningStatement,
    stop: &Shutdown,
    pieces: &mpsc::Sender<Piece>,
) -> Result<()> {
    push(pieces, head).await?;
    loop {
        if let Some(batch) = next {
            let mut offset = 0;
            while offset < batch.num_rows() {
                let rows = PIECE_ROWS.min(batch.num_rows() - offset);
                push(pieces, encoder.batch(&batch.slice(offset, rows))?).await?;
                offset += rows;
            }
        }
        next = tokio::select! {
            biased;
            () = pieces.closed() => return Err(reader_gone()),
            () = stop.wait() => return Err(Error::new(ErrorKind::Unavailable, "the server is stopping")),
            batch = batches.next() => batch.transpose().inspect_err(|_| statement.ended())?,
        };
        if next.is_none() {
            break;
        }
    }
    let end = encoder.finish()?;
    // Before the last byte leaves: who has read it may send the next statement of the session at once.
    drop(batches);
    statement.ended();
    push(pieces, end).await?;
    pieces.send(Piece::End).await.map_err(|_| reader_gone())
}

async fn push(pieces: &mpsc::Sender<Piece>, bytes: Vec<u8>) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    match tokio::time::timeout(READER_WAIT_MAX, pieces.send(Piece::Data(bytes.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(reader_gone()),
        Err(_) => Err(Error::new(ErrorKind::Cancelled, "the client did not read for 10 minutes")),
    }
}

fn reader_gone() -> Error {
    Error::new(ErrorKind::Cancelled, "the client closed the connection")
}
