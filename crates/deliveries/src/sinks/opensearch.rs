//! OpenSearch and Elasticsearch, by their bulk API.

use async_trait::async_trait;
use chrono::{DateTime, Datelike, Utc};
use polder_capability::deliveries::{OpenSearchTarget, Rotation, Secrets};
use polder_types::{Error, Result};
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

use super::post::{self, parts};
use super::retry::{Patience, Waits};
use super::{Lot, Refused, Sink, rows, server_url};

/// In one request.
const REQUEST_BYTES: usize = 5 << 20;
const REQUEST_ROWS: usize = 10_000;

/// An index.
pub(super) struct Search {
    client: Client,
    url: String,
    index: String,
    rotation: Rotation,
    login: Option<(String, Option<String>)>,
    retry_seconds: u64,
    waits: Waits,
}

/// A row, and the two lines that it is in a request.
struct Document {
    row: usize,
    lines: Vec<u8>,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Indexed,
}

#[derive(Deserialize)]
struct Indexed {
    status: u16,
    #[serde(default)]
    error: Value,
}

impl Search {
    pub(super) fn open(target: &OpenSearchTarget, secrets: &Secrets, waits: Waits) -> Result<Self> {
        let name = &target.index;
        let is_name = !name.is_empty()
            && name.len() <= 230
            && !name.starts_with(['-', '_', '+', '.'])
            && !name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':'])
            && !name.chars().any(|letter| letter.is_uppercase() || letter.is_control());
        if !is_name {
            return Err(Error::invalid(format!("no index can be called {name:?}")));
        }
        let login = target.user.clone().map(|user| (user, secrets.get("password").map(ToOwned::to_owned)));
        let (url, client) = (format!("{}/_bulk", server_url(&target.url)?), post::client()?);
        let (index, rotation) = (name.clone(), target.rotation);
        Ok(Self { client, url, index, rotation, login, retry_seconds: target.retry_seconds, waits })
    }

    fn document(&self, lot: &Lot, row: usize, text: &[u8]) -> Document {
        let index = index_at(&self.index, self.rotation, lot.time_of(row));
        let action = serde_json::json!({ "index": { "_index": index, "_id": lot.name_of(row) } });
        let mut lines = action.to_string().into_bytes();
        lines.push(b'\n');
        lines.extend_from_slice(text);
        lines.push(b'\n');
        Document { row, lines }
    }

    /// Sends documents until each is taken or refused.
    async fn send(&self, mut documents: Vec<Document>, patience: &mut Patience, refused: &mut Vec<Refused>) {
        loop {
            let (left, why) = match self.try_once(&documents).await {
                Ok(statuses) => sorted(documents, statuses, refused),
                Err(why) => (documents, why),
            };
            if left.is_empty() {
                patience.went_well();
                return;
            }
            documents = left;
            if !patience.again(&why).await {
                refused.extend(documents.iter().map(|document| Refused::new(document.row, why.clone())));
                return;
            }
        }
    }

    /// What came of each document.
    async fn try_once(&self, documents: &[Document]) -> Result<Vec<Indexed>, String> {
        let body: Vec<u8> = documents.iter().flat_map(|document| document.lines.iter().copied()).collect();
        let mut request = self.client.post(&self.url).header(CONTENT_TYPE, "application/x-ndjson").body(body);
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, password.as_ref());
        }
        let answer = post::send(request).await?;
        if !answer.status.is_success() {
            return Err(answer.told());
        }
        let read: Answer = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("the server's answer is not that of a bulk request: {error}"))?;
        if read.items.len() != documents.len() {
            return Err("the server's answer does not tell of every document".to_owned());
        }
        Ok(read.items.into_iter().map(|item| item.index).collect())
    }
}

/// Those that are to be sent again, and why; those that never will be taken are refused.
fn sorted(documents: Vec<Document>, statuses: Vec<Indexed>, refused: &mut Vec<Refused>) -> (Vec<Document>, String) {
    let mut left = Vec::new();
    let mut why = String::new();
    for (document, indexed) in documents.into_iter().zip(statuses) {
        let told = || {
            let error: String = indexed.error.to_string().chars().take(1000).collect();
            format!("the server answered {}: {error}", indexed.status)
        };
        match indexed.status {
            200..=299 => {}
            429 | 500..=599 => {
                why = told();
                left.push(document);
            }
            _ => refused.push(Refused::new(document.row, told())),
        }
    }
    (left, why)
}

fn index_at(index: &str, rotation: Rotation, time: DateTime<Utc>) -> String {
    match rotation {
        Rotation::None => index.to_owned(),
        Rotation::Hour => format!("{index}-{}", time.format("%Y-%m-%d-%H")),
        Rotation::Day => format!("{index}-{}", time.format("%Y-%m-%d")),
        Rotation::Week => {
            let week = time.iso_week();
            format!("{index}-{}-w{:02}", week.year(), week.week())
        }
        Rotation::Month => format!("{index}-{}", time.format("%Y-%m")),
    }
}

#[async_trait]
impl Sink for Search {
    async fn deliver(&self, lot: &Lot) -> Result<Vec<Refused>> {
        let (texts, mut refused) = rows::apart(lot, rows::json).await?;
        let mut documents = Vec::new();
        for (row, text) in texts.iter() {
            if text.trim_ascii_start().starts_with(b"{") {
                documents.push((row, text));
            } else {
                refused.push(Refused::new(row, "a document is a JSON object, and this is none"));
            }
        }
        let mut patience = self.waits.begin(self.retry_seconds);
        for part in parts(documents, |(_, text)| text.len(), REQUEST_BYTES, REQUEST_ROWS) {
            let part = part.into_iter().map(|(row, text)| self.document(lot, row, text)).collect();
            self.send(part, &mut patience, &mut refused).await;
        }
        refused.sort_unstable_by_key(|one| one.row);
        Ok(refused)
    }
}
