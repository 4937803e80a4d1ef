//! Endpoints that take Firehose's requests.

use std::io::Write;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use polder_capability::deliveries::{Compression, HttpTarget, Secrets};
use polder_types::{Error, Result};
use reqwest::Client;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::post::{self, parts};
use super::retry::{Patience, Waits};
use super::{Lot, Refused, Sink, rows, server_url};

/// Of values, in one request.
const REQUEST_BYTES: usize = 4 << 20;
const REQUEST_ROWS: usize = 10_000;
/// What an endpoint may tell, as in Firehose.
const MESSAGE_LETTERS: usize = 8192;

/// An endpoint.
pub(super) struct Endpoint {
    client: Client,
    url: String,
    access_key: Option<HeaderValue>,
    attributes: HeaderValue,
    gzip: bool,
    retry_seconds: u64,
    waits: Waits,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    request_id: &'a str,
    timestamp: i64,
    records: Vec<RecordOf>,
}

#[derive(Serialize)]
struct RecordOf {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    request_id: String,
    #[serde(default)]
    error_message: Option<String>,
}

impl Endpoint {
    pub(super) fn open(target: &HttpTarget, secrets: &Secrets, waits: Waits) -> Result<Self> {
        let gzip = match target.compression {
            Compression::None => false,
            Compression::Gzip => true,
            _ => return Err(Error::invalid("requests are packed with gzip, or not at all")),
        };
        let no_header = |what: &str| Error::invalid(format!("{what} cannot be sent in a header"));
        let attributes = serde_json::json!({ "commonAttributes": target.attributes }).to_string();
        let attributes = HeaderValue::from_str(&attributes).map_err(|_| no_header("these attributes"))?;
        let access_key = secrets.get("access_key").map(|key| {
            let mut value = HeaderValue::from_str(key).map_err(|_| no_header("the access key"))?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        });
        let access_key = access_key.transpose()?;
        let (url, client) = (server_url(&target.url)?, post::client()?);
        Ok(Self { client, url, access_key, attributes, gzip, retry_seconds: target.retry_seconds, waits })
    }

    /// Sends records until they are taken. The error is why they are not.
    async fn send(&self, lot: &Lot, records: &[(usize, &[u8])], patience: &mut Patience) -> Result<(), Failure> {
        // The same for each try of the same records, by which an endpoint knows what it has.
        let first = records.first().map_or(0, |(row, _)| *row) as u128;
        let id = lot.id.as_u128().wrapping_add(first).wrapping_add((records.len() as u128) << 64);
        let id = Uuid::from_u128(id).to_string();
        loop {
            let failed = match self.try_once(lot, &id, records).await {
                Ok(()) => {
                    patience.went_well();
                    return Ok(());
                }
                Err(failure @ Failure::TooLarge(_)) => return Err(failure),
                Err(Failure::Passing(why)) => why,
            };
            if !patience.again(&failed).await {
                return Err(Failure::Passing(failed));
            }
        }
    }

    async fn try_once(&self, lot: &Lot, id: &str, records: &[(usize, &[u8])]) -> Result<(), Failure> {
        let records = records.iter().map(|(_, value)| RecordOf { data: BASE64.encode(value) }).collect();
        let request = Request { request_id: id, timestamp: self.waits.now().timestamp_millis(), records };
        let body = serde_json::to_vec(&request).map_err(|error| Failure::Passing(error.to_string()))?;
        let arn = format!("arn:aws:firehose:us-east-1:000000000000:deliverystream/{}", lot.delivery);
        let mut request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Amz-Firehose-Protocol-Version", "1.0")
            .header("X-Amz-Firehose-Request-Id", id)
            .header("X-Amz-Firehose-Source-Arn", arn)
            .header("X-Amz-Firehose-Common-Attributes", self.attributes.clone());
        if let Some(key) = &self.access_key {
            request = request.header("X-Amz-Firehose-Access-Key", key.clone());
        }
        let request = if self.gzip {
            let packed = gzip(&body).map_err(|error| Failure::Passing(error.to_string()))?;
            request.header(CONTENT_ENCODING, "gzip").body(packed)
        } else {
            request.body(body)
        };
        let answer = post::send(request).await.map_err(Failure::Passing)?;
        if answer.status.as_u16() == 413 {
            return Err(Failure::TooLarge(answer.told()));
        }
        let response: Option<Response> = serde_json::from_slice(&answer.body).ok();
        match response {
            // A server that knows nothing of requests says 200, too: only one that names the request has it.
            Some(response) if answer.status.as_u16() == 200 && response.request_id == id => Ok(()),
            Some(Response { error_message: Some(message), .. }) if answer.status.as_u16() != 200 => {
                let message: String = message.chars().take(MESSAGE_LETTERS).collect();
                Err(Failure::Passing(format!("the server answered {}: {message}", answer.status)))
            }
            _ if answer.status.as_u16() == 200 => {
                Err(Failure::Passing("the server's answer does not name the request that it has taken".to_owned()))
            }
            _ => Err(Failure::Passing(answer.told())),
        }
    }
}

enum Failure {
    /// Less may be taken.
    TooLarge(String),
    /// The same may be taken later.
    Passing(String),
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes)?;
    to.finish()
}

#[async_trait]
impl Sink for Endpoint {
    async fn deliver(&self, lot: &Lot) -> Result<Vec<Refused>> {
        let texts = rows::apart(lot, rows::raw).await?;
        let mut refused = Vec::new();
        let mut patience = self.waits.begin(self.retry_seconds);
        let mut left = parts(texts.iter().collect(), |(_, value)| value.len(), REQUEST_BYTES, REQUEST_ROWS);
        left.reverse();
        while let Some(mut part) = left.pop() {
            match self.send(lot, &part, &mut patience).await {
                Ok(()) => {}
                Err(Failure::TooLarge(_)) if part.len() > 1 => {
                    left.push(part.split_off(part.len() / 2));
                    left.push(part);
                }
                Err(Failure::TooLarge(why) | Failure::Passing(why)) => {
                    refused.extend(part.iter().map(|(row, _)| Refused::new(*row, why.clone())));
                }
            }
        }
        Ok(refused)
    }
}
