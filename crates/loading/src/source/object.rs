//! Objects in S3, Google Cloud Storage and Azure: one object, a prefix that ends in `/`, or a pattern.

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use polder_types::{Error, ErrorKind, Result};
use url::Url;

use super::{FILES_MAX, Found, Listing, SILENCE, folders, take_down, unavailable, whole_message};
use crate::error;
use crate::progress::Job;

/// A key and a value as the stores' own tools read them from the environment: `AWS_REGION`, ….
pub(super) type Setting = (String, String);

/// The stores' settings of this process.
pub(super) fn environment() -> Vec<Setting> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(key, _)| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| key.starts_with(prefix)))
        .collect()
}

pub(super) async fn fetch(location: &str, settings: &[Setting], head: Option<u64>, job: &Job) -> Result<Vec<Found>> {
    let (store, key) = open(location, settings)?;
    let whole = key.is_empty() || key.ends_with('/');
    let keys = if whole || key.contains(['*', '?', '[']) {
        list(location, store.as_ref(), &key, job).await?
    } else {
        vec![(Path::parse(&key).map_err(|error| Error::invalid(format!("{location}: {error}")))?, None)]
    };
    let bucket = location.strip_suffix(key.as_str()).unwrap_or(location);
    let mut files = Vec::with_capacity(keys.len());
    for (path, listing) in keys {
        let label = format!("{bucket}{path}");
        job.progress.set_source(&label);
        let (body, cut) = get(&label, store.as_ref(), &path, head, job).await?;
        let name = path.filename().unwrap_or_default().to_owned();
        files.push(Found { label, name, body, listing, cut });
        if head.is_some() {
            break;
        }
    }
    Ok(files)
}

/// The store and the key in it, as written: a key may hold `?` and `*`, which an address may not.
fn open(location: &str, settings: &[Setting]) -> Result<(Box<dyn ObjectStore>, String)> {
    let wrong = |why: String| {
        Error::invalid(format!("cannot open {location}: {why}"))
            .with_hint("write s3://bucket/key; keys and regions come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and their like")
    };
    let after_scheme = location.find("://").map_or(0, |at| at + 3);
    let bucket_end = location[after_scheme..].find('/').map_or(location.len(), |at| after_scheme + at);
    let key = location[bucket_end..].trim_start_matches('/').to_owned();
    let url = Url::parse(&location[..bucket_end]).map_err(|error| wrong(error.to_string()))?;
    let settings = settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let (store, _) = object_store::parse_url_opts(&url, settings).map_err(|error| wrong(error.to_string()))?;
    Ok((store, key))
}

async fn list(location: &str, store: &dyn ObjectStore, key: &str, job: &Job) -> Result<Vec<(Path, Option<Listing>)>> {
    let pattern = key
        .contains(['*', '?', '['])
        .then(|| glob::Pattern::new(key))
        .transpose()
        .map_err(|error| Error::invalid(format!("{location:?} is no valid pattern: {error}")))?;
    let fixed = key.find(['*', '?', '[']).map_or(key, |at| &key[..at]);
    let directory = fixed.rsplit_once('/').map_or("", |(directory, _)| directory);
    // As it is written: `Path::from` would ask for `100%25` where `100%` is meant.
    let prefix = Path::parse(directory).map_err(|error| Error::invalid(format!("{location}: {error}")))?;
    let prefix = (!prefix.is_root()).then_some(prefix);
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    let mut found = Vec::new();
    let mut objects = store.list(prefix.as_ref()).boxed();
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE, objects.try_next()) => next,
            () = job.cancel.cancelled() => return Err(Error::cancelled()),
        };
        let next = next.map_err(|_| unavailable(location, "the store does not answer"))?;
        let Some(object) = next.map_err(|error| failure(location, &error))? else { break };
        let path = object.location;
        let fits = pattern.as_ref().is_none_or(|pattern| pattern.matches_with(path.as_ref(), options));
        if fits && object.size > 0 && !path.filename().unwrap_or(".").starts_with(['.', '_']) {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            return Err(error::too_large(
                format!("{location} holds more than {FILES_MAX} objects"),
                "load it in parts",
            ));
        }
    }
    if found.is_empty() {
        return Err(Error::not_found(format!("{location} holds no object")).with_code("58P01"));
    }
    found.sort();
    let last = |directory: &str| directory.rsplit('/').next().unwrap_or_default().to_owned();
    let with_listing = |path: Path| {
        let inner = path.as_ref().rsplit_once('/').map_or("", |(directory, _)| directory);
        let between = inner.strip_prefix(directory).unwrap_or_default();
        let between: Vec<&str> = between.split('/').filter(|folder| !folder.is_empty()).collect();
        let listing = folders::listing(location, inner, &last(inner), &last(directory), &between);
        (path, Some(listing))
    };
    Ok(found.into_iter().map(with_listing).collect())
}

async fn get(
    label: &str,
    store: &dyn ObjectStore,
    path: &Path,
    head: Option<u64>,
    job: &Job,
) -> Result<(super::Body, bool)> {
    let answer = tokio::select! {
        answer = tokio::time::timeout(SILENCE, store.get(path)) => answer,
        () = job.cancel.cancelled() => return Err(Error::cancelled()),
    };
    let object =
        answer.map_err(|_| unavailable(label, "the store does not answer"))?.map_err(|error| failure(label, &error))?;
    take_down(label, object.into_stream(), head, job).await
}

fn failure(label: &str, error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let kind = match error {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => ErrorKind::Forbidden,
        Store::InvalidPath { .. } => ErrorKind::InvalidInput,
        _ => return unavailable(label, whole_message(error)),
    };
    Error::new(kind, format!("cannot fetch {label}: {}", whole_message(error)))
}
