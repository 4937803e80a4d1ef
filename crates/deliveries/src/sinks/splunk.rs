//! Splunk's HTTP event collector.

use std::collections::HashMap;

use async_trait::async_trait;
use polder_capability::deliveries::{Secrets, SplunkTarget};
use polder_types::{Error, Result};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use super::post::{self, parts};
use super::retry::{Patience, Waits};
use super::{Lot, Refused, Sink, rows, server_url};

/// In one request: what a collector takes if nobody has changed it.
const REQUEST_BYTES: usize = 900 << 10;
const REQUEST_ROWS: usize = 10_000;
/// How long indexers may take to acknowledge, and how often they are asked.
const ACKNOWLEDGE_MS: i64 = 180_000;
const ASK_EVERY_MS: i64 = 1000;
/// What Splunk calls an event that is none: without data, a blank, or of another form.
const CODES_OF_EVENTS: [i64; 4] = [6, 12, 13, 15];

/// A collector.
pub(super) struct Splunk {
    client: Client,
    /// With `/services/collector`.
    url: String,
    raw: bool,
    authorization: HeaderValue,
    retry_seconds: u64,
    waits: Waits,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    code: i64,
    #[serde(default, rename = "ackId")]
    ack_id: Option<u64>,
    #[serde(default, rename = "invalid-event-number")]
    invalid: Option<usize>,
}

#[derive(Deserialize)]
struct Acks {
    acks: HashMap<String, bool>,
}

/// A row, and what it is in a request.
struct Event {
    row: usize,
    text: Vec<u8>,
}

enum Failure {
    /// This one, by its place in the request, is the reason; the others may be taken.
    Event(usize, String),
    TooLarge(String),
    Passing(String),
}

impl Splunk {
    pub(super) fn open(target: &SplunkTarget, secrets: &Secrets, waits: Waits) -> Result<Self> {
        let token = secrets.get("token").ok_or_else(|| Error::invalid("Splunk needs the secret token"))?;
        let mut authorization = HeaderValue::from_str(&format!("Splunk {token}"))
            .map_err(|_| Error::invalid("the token cannot be sent in a header"))?;
        authorization.set_sensitive(true);
        let (url, client) = (format!("{}/services/collector", server_url(&target.url)?), post::client()?);
        Ok(Self { client, url, raw: target.raw, authorization, retry_seconds: target.retry_seconds, waits })
    }

    fn request(&self, lot: &Lot, path: &str) -> reqwest::RequestBuilder {
        // A channel is a sender: a delivery that sends a lot again goes on in the lot's own.
        let channel = lot.id.to_string();
        let url = format!("{}/{path}?channel={channel}", self.url);
        self.client
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header("X-Splunk-Request-Channel", channel)
    }

    /// Sends events until they are taken, and acknowledged if the collector does that.
    async fn send(&self, lot: &Lot, events: &[Event], patience: &mut Patience) -> Result<(), Failure> {
        loop {
            let failed = match self.try_once(lot, events).await {
                Ok(()) => {
                    patience.went_well();
                    return Ok(());
                }
                Err(Failure::Passing(why)) => why,
                Err(failure) => return Err(failure),
            };
            if !patience.again(&failed).await {
                return Err(Failure::Passing(failed));
            }
        }
    }

    async fn try_once(&self, lot: &Lot, events: &[Event]) -> Result<(), Failure> {
        let body: Vec<u8> = events.iter().flat_map(|event| event.text.iter().copied()).collect();
        let request = self.request(lot, if self.raw { "raw" } else { "event" });
        let answer = post::send(request.body(body)).await.map_err(Failure::Passing)?;
        let read: Option<Answer> = serde_json::from_slice(&answer.body).ok();
        match read {
            Some(read) if answer.status.is_success() && read.code == 0 => match read.ack_id {
                Some(id) => self.acknowledged(lot, id).await,
                None => Ok(()),
            },
            _ if answer.status.as_u16() == 413 => Err(Failure::TooLarge(answer.told())),
            Some(Answer { code, invalid: Some(place), .. })
                if CODES_OF_EVENTS.contains(&code) && place < events.len() =>
            {
                Err(Failure::Event(place, answer.told()))
            }
            _ => Err(Failure::Passing(answer.told())),
        }
    }

    /// Waits until the indexers have it.
    async fn acknowledged(&self, lot: &Lot, id: u64) -> Result<(), Failure> {
        let until = self.waits.now().timestamp_millis() + ACKNOWLEDGE_MS;
        let mut last = "the events were taken, but no indexer has acknowledged them".to_owned();
        while self.waits.now().timestamp_millis() < until {
            let body = serde_json::json!({ "acks": [id] });
            match post::send(self.request(lot, "ack").json(&body)).await {
                Ok(answer) if answer.status.is_success() => {
                    let acks: Option<Acks> = serde_json::from_slice(&answer.body).ok();
                    if acks.is_some_and(|read| read.acks.get(&id.to_string()) == Some(&true)) {
                        return Ok(());
                    }
                }
                Ok(answer) if answer.is_passing() => last = answer.told(),
                // Nobody will ever tell: better twice than never.
                Ok(answer) => return Err(Failure::Passing(answer.told())),
                Err(why) => {
                    self.waits.failed(&why, None);
                    last = why;
                }
            }
            self.waits.pause(ASK_EVERY_MS).await;
        }
        Err(Failure::Passing(last))
    }
}

/// The rows as lines of which each is an event.
fn raw_events(lot: &Lot) -> Result<(Vec<Event>, Vec<Refused>)> {
    let texts = rows::raw(lot)?;
    let events = texts.iter().map(|(row, text)| Event { row, text: [text, b"\n"].concat() }).collect();
    Ok((events, Vec::new()))
}

fn events(lot: &Lot) -> Result<(Vec<Event>, Vec<Refused>)> {
    let (texts, mut refused) = rows::json(lot)?;
    let mut events = Vec::new();
    for (row, text) in texts.iter() {
        let value = text.trim_ascii();
        if matches!(value, b"null" | b"\"\"" | b"") {
            refused.push(Refused::new(row, "an event is not empty"));
            continue;
        }
        let ms = lot.time_of(row).timestamp_millis();
        let time = format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
        let all = serde_json::json!({ "time": time, "source": lot.delivery, "sourcetype": "_json" });
        let mut text = all.to_string().into_bytes();
        text.pop();
        text.extend_from_slice(b",\"event\":");
        text.extend_from_slice(value);
        text.extend_from_slice(b"}\n");
        events.push(Event { row, text });
    }
    Ok((events, refused))
}

#[async_trait]
impl Sink for Splunk {
    async fn deliver(&self, lot: &Lot) -> Result<Vec<Refused>> {
        let read = if self.raw { raw_events } else { events };
        let (events, mut refused) = rows::apart(lot, read).await?;
        let mut patience = self.waits.begin(self.retry_seconds);
        let mut left = parts(events, |event| event.text.len(), REQUEST_BYTES, REQUEST_ROWS);
        left.reverse();
        while let Some(mut part) = left.pop() {
            match self.send(lot, &part, &mut patience).await {
                Ok(()) => {}
                Err(Failure::Event(place, why)) => {
                    patience.went_well();
                    refused.push(Refused::new(part.remove(place).row, why));
                    if !part.is_empty() {
                        left.push(part);
                    }
                }
                Err(Failure::TooLarge(_)) if part.len() > 1 => {
                    left.push(part.split_off(part.len() / 2));
                    left.push(part);
                }
                Err(Failure::TooLarge(why) | Failure::Passing(why)) => {
                    refused.extend(part.iter().map(|event| Refused::new(event.row, why.clone())));
                }
            }
        }
        refused.sort_unstable_by_key(|one| one.row);
        Ok(refused)
    }
}
