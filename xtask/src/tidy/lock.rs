//! Lock files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Problem;
use super::tree::Tree;

/// A second version of one of these would double the build, and their types would not fit together.
const ONCE: &[&str] = &["datafusion", "arrow", "parquet", "object_store"];

pub fn cargo(tree: &Tree) -> Result<Vec<Problem>> {
    let lock = tree.text("Cargo.lock")?.context("Cargo.lock is not text")?;
    Ok(judge_versions(&lock))
}

pub fn judge_versions(lock: &str) -> Vec<Problem> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let value = |line: &'_ str, key: &str| -> Option<(usize, usize)> {
        let rest = line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?;
        Some((line.len() - rest.len() - 1, line.len() - 1))
    };
    let mut name = "";
    for line in lock.lines() {
        if let Some((start, end)) = value(line, "name") {
            name = &line[start..end];
        } else if let Some((start, end)) = value(line, "version") {
            versions.entry(name).or_default().push(&line[start..end]);
        }
    }
    ONCE.iter()
        .filter_map(|name| match versions.get(name).map_or(&[][..], Vec::as_slice) {
            [_] => None,
            [] => Some(format!("Cargo.lock has no {name}")),
            several => Some(format!("Cargo.lock has {name} {}: there must be one", several.join(" and "))),
        })
        .collect()
}

pub fn npm(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| file.ends_with("package-lock.json")) {
        let text = tree.text(file)?.with_context(|| format!("{file} is not text"))?;
        let lock: Value = serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))?;
        problems.extend(judge_npm(file, &lock));
    }
    Ok(problems)
}

pub fn judge_npm(file: &str, lock: &Value) -> Vec<Problem> {
    let packages = lock["packages"].as_object();
    packages
        .into_iter()
        .flatten()
        .filter(|(_, package)| package.get("resolved").and_then(Value::as_str).is_some_and(|at| at.contains("://")))
        .map(|(name, _)| {
            format!("{file}: {name} has a download address; set omit-lockfile-registry-resolved in .npmrc")
        })
        .collect()
}
