//! Requests to servers elsewhere.

use std::time::Duration;

use polder_types::{Error, Result};
use reqwest::{Client, RequestBuilder, StatusCode};

/// What an answer may be.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// What of an answer is told to people.
const TOLD_BYTES: usize = 300;

/// A client for one server.
pub(super) fn client() -> Result<Client> {
    Client::builder()
        .connect_timeout(Duration::from_secs(10))
        // What Firehose gives an endpoint.
        .timeout(Duration::from_secs(180))
        // A server that moves elsewhere is not followed with keys in hand.
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(30))
        .build()
        .map_err(|error| Error::internal(format!("making a client: {error}")))
}

/// A server's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// For people: what is wrong.
    pub(super) fn told(&self) -> String {
        let cut = self.body.get(..TOLD_BYTES.min(self.body.len())).unwrap_or_default();
        let text = String::from_utf8_lossy(cut);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("the server answered {}: {text}", self.status)
    }

    /// Whether the same request may be taken later.
    pub(super) fn is_passing(&self) -> bool {
        self.status.is_server_error() || matches!(self.status.as_u16(), 408 | 425 | 429)
    }
}

/// Sends a request. An error is for people to read, and to try again.
pub(super) async fn send(request: RequestBuilder) -> Result<Answer, String> {
    // An error's text holds the URL, which may have a key in its query.
    let unreached = |error: reqwest::Error| {
        let error = error.without_url();
        let mut text = format!("the server was not reached: {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    };
    let mut response = request.send().await.map_err(unreached)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreached)? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err("the server's answer is too long".to_owned());
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, body })
}

/// Rows in the order in which they come, in parts of up to so many bytes and rows, but of one row at least.
pub(super) fn parts<T>(rows: Vec<T>, bytes_of: impl Fn(&T) -> usize, bytes_max: usize, rows_max: usize) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let more = bytes_of(&row);
        match parts.last_mut() {
            Some(part) if bytes + more <= bytes_max && part.len() < rows_max => {
                bytes += more;
                part.push(row);
            }
            _ => {
                bytes = more;
                parts.push(vec![row]);
            }
        }
    }
    parts
}
