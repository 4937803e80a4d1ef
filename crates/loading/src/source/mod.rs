//! Where raw data comes from: this disk, a web server, an object store. Whatever it is, it becomes files that can be
//! read twice.

pub(crate) mod encoding;
pub(crate) mod folders;
mod http;
mod local;
mod object;
pub(crate) mod spool;
#[cfg(test)]
mod tests;
pub(crate) mod unpack;

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use polder_capability::LoadSource;
use polder_types::limits::UPLOAD_BYTES_MAX;
use polder_types::{Error, ErrorKind, Result};

use crate::error;
use crate::progress::Job;
use spool::{Body, temporary};

/// Files of one load: a directory of more is a data lake, and is loaded in parts.
pub(crate) const FILES_MAX: usize = 10_000;

/// How long a server may stay silent.
const SILENCE: Duration = Duration::from_secs(60);

/// A file as it lies there, still packed.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// As shown: the path or address.
    pub label: String,
    /// The last part of it.
    pub name: String,
    pub body: Body,
    /// The directory, pattern or prefix it was found by; `None` for a file that was named itself.
    pub listing: Option<Listing>,
    /// Only the first bytes are here.
    pub cut: bool,
}

/// What brought several files together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Equal for files of the same directory of the same source.
    pub key: String,
    /// The directory's own name.
    pub name: String,
    /// The folders below what was given that are named after a value, from the outermost.
    pub folders: Vec<folders::Folder>,
}

/// Everything that a source names, in the order of its names. `head`: only the first so many bytes are needed, which
/// saves fetching the rest of a remote file.
pub(crate) async fn find(source: &LoadSource, head: Option<u64>, job: &Job) -> Result<Vec<Found>> {
    job.check()?;
    match source {
        LoadSource::Spooled { path, name } => {
            let body = Body::file(path, None)?;
            let name = unpack::printable(name);
            Ok(vec![Found { label: name.clone(), name, body, listing: None, cut: false }])
        }
        LoadSource::Location(location) => match location.split_once("://").map(|(scheme, _)| scheme) {
            None => local::find(location, &job.own_files),
            Some("file") => local::find_url(location, &job.own_files),
            Some("http" | "https") => Ok(vec![http::fetch(location, head, job).await?]),
            Some("s3" | "s3a" | "gs" | "az" | "abfs" | "abfss") => {
                object::fetch(location, &object::environment(), head, job).await
            }
            Some(scheme) => Err(Error::unsupported(format!("cannot load from {scheme}://"))
                .with_hint("use a path, s3://, gs://, az://, http:// or https://")),
        },
    }
}

/// Takes a remote body to this disk. Gives it, and whether it was cut at `head`.
async fn take_down<E: std::error::Error>(
    label: &str,
    mut chunks: impl Stream<Item = Result<Bytes, E>> + Unpin,
    head: Option<u64>,
    job: &Job,
) -> Result<(Body, bool)> {
    let (mut file, path) = temporary(job)?;
    let mut len = 0_u64;
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE, chunks.next()) => next,
            () = job.cancel.cancelled() => return Err(Error::cancelled()),
        };
        let Ok(next) = next else {
            return Err(unavailable(label, format!("nothing came for {} seconds", SILENCE.as_secs())));
        };
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|error| unavailable(label, whole_message(&error)))?;
        len += chunk.len() as u64;
        if len > UPLOAD_BYTES_MAX || !job.take_spool(chunk.len() as u64) {
            return Err(error::too_large(
                format!("{label} is larger than {UPLOAD_BYTES_MAX} bytes"),
                "load it in parts",
            ));
        }
        job.progress.add_bytes(chunk.len() as u64);
        file.write_all(&chunk).map_err(|error| error::io("cannot write a temporary file", error))?;
        if head.is_some_and(|head| len >= head) {
            let at = path.to_path_buf();
            return Ok((Body::file(&at, Some(path))?, true));
        }
    }
    let at = path.to_path_buf();
    Ok((Body::file(&at, Some(path))?, false))
}

fn unavailable(label: &str, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot fetch {label}: {why}"))
        .with_hint("check the address and the network, then try again")
}

/// An error with its causes: the outermost alone mostly says "error sending request".
fn whole_message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    message
}
