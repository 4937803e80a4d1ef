//! Files on web servers.

use std::time::Duration;

use polder_types::{Error, ErrorKind, Result};
use reqwest::header::CONTENT_DISPOSITION;
use reqwest::{Client, Response, StatusCode, Url};

use super::{Found, SILENCE, take_down, unavailable, whole_message};
use crate::progress::Job;

pub(super) async fn fetch(location: &str, head: Option<u64>, job: &Job) -> Result<Found> {
    let url = Url::parse(location).map_err(|error| Error::invalid(format!("{location} is no address: {error}")))?;
    let client = Client::builder()
        .user_agent(concat!("polder/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        .redirect(reqwest::redirect::Policy::limited(5))
        .build()
        .map_err(|error| Error::internal("cannot make an HTTP client").with_source(error))?;
    let request = tokio::time::timeout(SILENCE, client.get(url).send());
    let answer = tokio::select! {
        answer = request => answer,
        () = job.cancel.cancelled() => return Err(Error::cancelled()),
    };
    let response = answer
        .map_err(|_| unavailable(location, format!("no answer within {} seconds", SILENCE.as_secs())))?
        .map_err(|error| unreached(location, whole_message(&error.without_url())))?;
    refuse_failure(location, response.status())?;
    let name = name_of(&response);
    let (body, cut) = take_down(location, response.bytes_stream(), head, job).await?;
    Ok(Found { label: location.into(), name, body, listing: None, cut })
}

/// A server whose certificate is not trusted will not be another time either.
fn unreached(location: &str, why: String) -> Error {
    let error = unavailable(location, &why);
    if !why.contains("certificate") {
        return error;
    }
    error.with_hint(
        "SSL_CERT_FILE names the file of the authorities that are trusted; it is read by the process that fetches, which is the server where one runs",
    )
}

fn refuse_failure(location: &str, status: StatusCode) -> Result<()> {
    let kind = match status {
        status if status.is_success() => return Ok(()),
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        _ => ErrorKind::Unavailable,
    };
    Err(Error::new(kind, format!("cannot fetch {location}: the server answers {status}")))
}

/// The name that the server gives, else the last part of the path, else the host.
fn name_of(response: &Response) -> String {
    let given = response
        .headers()
        .get(CONTENT_DISPOSITION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split("filename=").nth(1))
        .map(|rest| rest.split(';').next().unwrap_or(rest).trim().trim_matches('"').to_owned());
    let url = response.url();
    let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
    [given.as_deref(), Some(last), url.host_str()]
        .into_iter()
        .flatten()
        .map(decode_percent)
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| "download".into())
}

/// `%20` is a blank. What is no valid escape stays as it is.
pub(super) fn decode_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let value =
            escaped.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
