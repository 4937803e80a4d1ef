//! An answer as an Arrow stream: its schema at once, its batches as they arrive.

use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use polder_capability::Notice;
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::connection::Reply;
use crate::failure::Failure;

/// Asks what became of the statement, should the answer break off.
pub(super) type Verdict = Pin<Box<dyn Future<Output = Failure> + Send>>;

/// Reads up to the schema; the rest comes with the stream.
pub(super) async fn read(response: Response, verdict: Verdict) -> Result<Reply, Failure> {
    let headers = response.headers();
    let verb = header(headers, "polder-command").unwrap_or_default();
    let rows_changed = header(headers, "polder-rows").and_then(|text| text.parse().ok());
    let notices = notices(headers);
    let (schema, batches) = decode(response.bytes_stream().map_err(|_| ()), verdict).await?;
    Ok(Reply { verb, rows_changed, schema, batches, notices })
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Remarks travel as percent-encoded JSON. One that cannot be read is not worth failing an answer for.
fn notices(headers: &HeaderMap) -> Vec<Notice> {
    let Some(encoded) = header(headers, "polder-notices") else { return Vec::new() };
    let form = format!("n={}", encoded.replace('+', "%2B").replace('&', "%26"));
    let decoded = url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, text)| text.into_owned());
    decoded.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

struct Reader<S> {
    bytes: S,
    decoder: StreamDecoder,
    rest: Buffer,
    verdict: Option<Verdict>,
}

/// What an Arrow stream holds: the schema, then the batches.
async fn decode<S, E>(
    bytes: S,
    verdict: Verdict,
) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch, Failure>>), Failure>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: Send + 'static,
{
    let mut reader = Reader { bytes, decoder: StreamDecoder::new(), rest: Buffer::default(), verdict: Some(verdict) };
    let first = reader.step(true).await?;
    let Some(schema) = reader.decoder.schema() else { return Err(reader.broken_off().await) };
    let rest = stream::try_unfold(reader, |mut reader| async move {
        Ok::<_, Failure>(reader.step(false).await?.map(|batch| (batch, reader)))
    });
    let batches = stream::iter(first.map(Ok)).chain(rest).boxed();
    Ok((schema, batches))
}

impl<S, E> Reader<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Up to the next batch, or, if asked, to the schema. `None` at the end.
    async fn step(&mut self, stop_at_schema: bool) -> Result<Option<RecordBatch>, Failure> {
        loop {
            while !self.rest.is_empty() {
                match self.decoder.decode(&mut self.rest) {
                    Ok(Some(batch)) => return Ok(Some(batch)),
                    Ok(None) => {}
                    Err(error) => return Err(Failure::new(format!("the answer cannot be understood: {error}"))),
                }
            }
            if stop_at_schema && self.decoder.schema().is_some() {
                return Ok(None);
            }
            match self.bytes.next().await {
                Some(Ok(bytes)) => self.rest = Buffer::from(bytes),
                // Without its end marker an answer is a part of one.
                None if self.ended() => return Ok(None),
                Some(Err(_)) | None => return Err(self.broken_off().await),
            }
        }
    }

    /// The decoder has seen the end marker: of the two places where it may stop, only that one refuses a byte more.
    fn ended(&mut self) -> bool {
        self.decoder.finish().is_ok() && self.decoder.decode(&mut Buffer::from(&[0u8][..])).is_err()
    }

    async fn broken_off(&mut self) -> Failure {
        match self.verdict.take() {
            Some(verdict) => verdict.await,
            None => Failure::new("the answer broke off"),
        }
    }
}

#[cfg(test)]
mod tests;
