//! The console's files: embedded, or read from a folder while they are developed.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use polder_types::{Error, Result};
use rust_embed::RustEmbed;

use super::no_such_path;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::state::App;

const INDEX: &str = "index.html";

/// What is in `/assets/` has a hash of its content in its name.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public,max-age=31536000,immutable");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// Shown when the server was built before the console.
const PLACEHOLDER: &str = include_str!("console/placeholder.html");

/// Compressed siblings that the console's build makes, best first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Embedded;

/// Where the console's files come from.
#[derive(Debug, Clone)]
pub(crate) enum Console {
    Embedded,
    Folder(PathBuf),
}

struct File {
    data: Bytes,
    /// With quotes.
    etag: String,
}

impl Console {
    /// The file at a path inside the console, or `None`.
    async fn file(&self, path: &str) -> Result<Option<File>> {
        match self {
            Self::Embedded => Ok(Embedded::get(path).map(|file| {
                let hash = file.metadata.sha256_hash();
                let data = match file.data {
                    Cow::Borrowed(data) => Bytes::from_static(data),
                    Cow::Owned(data) => data.into(),
                };
                let etag: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
                File { data, etag: format!("\"{etag}\"") }
            })),
            Self::Folder(folder) => read(folder, path).await,
        }
    }
}

async fn read(folder: &Path, path: &str) -> Result<Option<File>> {
    // The path comes from outside: plain names only, no way up.
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(None);
    }
    let full = folder.join(path);
    let failed = |error: std::io::Error| Error::internal(format!("cannot read {path} of the console: {error}"));
    let metadata = match tokio::fs::metadata(&full).await {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let data = tokio::fs::read(&full).await.map_err(failed)?;
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let etag = format!("\"{:x}-{:x}\"", changed.map_or(0, |time| time.as_nanos()), data.len());
    Ok(Some(File { data: data.into(), etag }))
}

/// Rooms of the console whose pages are called by the names of tables, topics and jobs.
const NAMED: [&str; 3] = ["data/", "streams/", "jobs/"];

/// Answers every path that no route has.
pub(crate) async fn serve(State(app): State<App>, request: Request) -> ApiResult<Response> {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return Err(no_such_path(path));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(no_such_path(path));
    }
    let name = path.trim_start_matches('/');
    let name = if name.is_empty() { INDEX } else { name };
    if let Some(response) = respond(&app.console, name, request.headers()).await? {
        return Ok(response);
    }
    // A path without a dot is a page of the console, which routes by itself; so is one of something that has a name, which may
    // have dots in it.
    let is_named = NAMED.iter().any(|room| name.starts_with(room));
    let is_page = is_named || !name.rsplit('/').next().unwrap_or_default().contains('.');
    if !is_page && name != INDEX {
        return Err(Error::not_found(format!("no such file: {path}")).with_code(UNDEFINED_OBJECT).into());
    }
    match respond(&app.console, INDEX, request.headers()).await? {
        Some(response) => Ok(response),
        None => {
            Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], PLACEHOLDER)
                .into_response())
        }
    }
}

/// A file as an answer: compressed if it can be, not at all if the browser has it.
async fn respond(console: &Console, name: &str, request: &HeaderMap) -> Result<Option<Response>> {
    let Some(plain) = console.file(name).await? else { return Ok(None) };
    let mut file = plain;
    let mut encoding = None;
    for (label, suffix) in ENCODINGS {
        if accepts(request, label)
            && let Some(compressed) = console.file(&format!("{name}{suffix}")).await?
        {
            (file, encoding) = (compressed, Some(label));
            break;
        }
    }
    let is_immutable = name.starts_with("assets/");
    let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if known.split(',').any(|etag| etag.trim().trim_start_matches("W/") == file.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Response::new(Body::from(file.data));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
        if let Some(label) = encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(label));
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, if is_immutable { IMMUTABLE } else { REVALIDATE });
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&file.etag) {
        headers.insert(header::ETAG, etag);
    }
    Ok(Some(response))
}

/// True if `Accept-Encoding` names the encoding and does not refuse it.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let listed = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        named && quality.is_ok_and(|quality| quality > 0.0)
    })
}

/// The media type, by what a console is made of.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("woff") => "font/woff",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
