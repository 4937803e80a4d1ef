//! Files, directories and patterns on this disk.

use std::path::{Component, Path, PathBuf};

use polder_runtime::OwnFiles;
use polder_types::{Error, ErrorKind, Result};

use super::spool::Body;
use super::{FILES_MAX, Found, Listing, folders};
use crate::error;

/// How deep a directory may nest.
const DEPTH_MAX: usize = 32;

pub(super) fn find_url(location: &str, own: &OwnFiles) -> Result<Vec<Found>> {
    let path = url::Url::parse(location).ok().and_then(|url| url.to_file_path().ok());
    let path = path.ok_or_else(|| Error::invalid(format!("{location} is no address of a file")))?;
    find(&path.to_string_lossy(), own)
}

/// The files that a path or pattern names. Polder's own are passed over where they come with others, and refused where
/// they are named: passwords and keys are no data.
pub(super) fn find(location: &str, own: &OwnFiles) -> Result<Vec<Found>> {
    let path = Path::new(location);
    if location.is_empty() {
        return Err(Error::invalid("a source is empty").with_hint("name a file, a directory, a pattern or an address"));
    }
    if path.exists() && own.holds(path) {
        return Err(Error::new(ErrorKind::Forbidden, format!("{location} is in Polder's own data directory"))
            .with_hint("what is loaded already is read by SQL; load from another place"));
    }
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut files = Vec::new();
            walk(path, 0, own, &mut files)?;
            listed(location, path, files)
        }
        Ok(_) => Ok(vec![found(path, None)?]),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && has_pattern(location) => matching(location, own),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::not_found(format!("there is no file {location}"))
                .with_code("58P01")
                .with_hint(whereabouts(path)))
        }
        Err(error) => Err(error::io(format!("cannot open {location}"), error)),
    }
}

/// Where a path that leads nowhere was looked up.
fn whereabouts(path: &Path) -> String {
    if path.is_absolute() {
        let known = path.ancestors().skip(1).find(|directory| directory.is_dir());
        return known.map_or_else(
            || "check the path".into(),
            |directory| format!("of its directories, {} is the last that is there", directory.display()),
        );
    }
    match std::env::current_dir() {
        Ok(here) => format!("paths are looked up from {}", here.display()),
        Err(_) => "use an absolute path".into(),
    }
}

fn has_pattern(location: &str) -> bool {
    location.contains(['*', '?', '['])
}

fn matching(location: &str, own: &OwnFiles) -> Result<Vec<Found>> {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let paths = glob::glob_with(location, options)
        .map_err(|error| Error::invalid(format!("{location:?} is no valid pattern: {error}")))?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| error::io(format!("cannot look up {location}"), error.into()))?;
        if path.is_file() && !own.holds(&path) {
            push(&mut files, path, location)?;
        }
    }
    listed(location, before_pattern(location), files)
}

/// The directory that a pattern begins with.
fn before_pattern(location: &str) -> &Path {
    let fixed = location.find(['*', '?', '[']).and_then(|at| location.get(..at)).unwrap_or(location);
    Path::new(fixed.rfind('/').and_then(|at| fixed.get(..=at)).unwrap_or("."))
}

/// Files below a directory, by name. Hidden ones are left out; links to directories are not followed, since they may
/// lead in circles.
fn walk(directory: &Path, depth: usize, own: &OwnFiles, files: &mut Vec<PathBuf>) -> Result<()> {
    let doing = || format!("cannot read directory {}", directory.display());
    if depth > DEPTH_MAX {
        return Err(error::too_large(
            format!("{} is too deep", directory.display()),
            "load its directories one by one",
        ));
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| error::io(doing(), error))? {
        let entry = entry.map_err(|error| error::io(doing(), error))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push(entry);
        }
        if entries.len() > FILES_MAX {
            return Err(too_many(&directory.to_string_lossy()));
        }
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(|error| error::io(doing(), error))?;
        if own.holds(&entry.path()) {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), depth + 1, own, files)?;
        } else if entry.path().is_file() {
            push(files, entry.path(), &directory.to_string_lossy())?;
        }
    }
    Ok(())
}

fn push(files: &mut Vec<PathBuf>, path: PathBuf, location: &str) -> Result<()> {
    if files.len() == FILES_MAX {
        return Err(too_many(location));
    }
    files.push(path);
    Ok(())
}

fn too_many(location: &str) -> Error {
    error::too_large(format!("{location} holds more than {FILES_MAX} files"), "load it in parts")
}

/// `base`: the directory that was given.
fn listed(location: &str, base: &Path, files: Vec<PathBuf>) -> Result<Vec<Found>> {
    if files.is_empty() {
        let path = Path::new(location);
        let hint = if path.is_dir() { "hidden files are left out".into() } else { whereabouts(path) };
        return Err(Error::not_found(format!("{location} holds no file")).with_code("58P01").with_hint(hint));
    }
    let given = base.canonicalize().unwrap_or_else(|_| base.to_owned());
    let given_name = given.file_name().unwrap_or_default().to_string_lossy();
    files
        .iter()
        .map(|path| {
            let directory = path.parent().unwrap_or(Path::new("."));
            let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let between = between(base, path);
            let between: Vec<&str> = between.iter().map(String::as_str).collect();
            let directory = directory.to_string_lossy();
            found(path, Some(folders::listing(location, &directory, &name, &given_name, &between)))
        })
        .collect()
}

/// The names of the directories below `base` that a file in it is in.
fn between(base: &Path, file: &Path) -> Vec<String> {
    let is_named = |part: &Component<'_>| *part != Component::CurDir;
    let above = base.components().filter(is_named).count();
    let all = file.parent().into_iter().flat_map(Path::components).filter(is_named);
    all.skip(above).map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

fn found(path: &Path, listing: Option<Listing>) -> Result<Found> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Found { label: path.to_string_lossy().into_owned(), name, body: Body::file(path, None)?, listing, cut: false })
}
