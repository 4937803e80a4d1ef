//! `polder-features` keeps cargo from choosing other features of the dependencies for one of our crates than for
//! another, which would compile DataFusion again: half an hour on two cores.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Result;

use super::Problem;
use super::tree::{Tree, output};

/// What is built by itself, day to day, and links the query engine.
const BUILT_ALONE: &[&str] = &["polder", "polder-lake", "polder-engine", "polder-loading"];

pub fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let workspace = resolve(tree, &["--workspace"])?;
    let mut problems = Vec::new();
    for package in BUILT_ALONE {
        problems.extend(compare(package, &resolve(tree, &["--package", package])?, &workspace));
    }
    Ok(problems)
}

/// Each dependency with its version and features, as cargo would build them for a selection of packages.
fn resolve(tree: &Tree, selection: &[&str]) -> Result<BTreeSet<String>> {
    let listed = output(
        Command::new("cargo")
            .arg("tree")
            .args(selection)
            .args(["--edges", "normal,build,dev", "--prefix", "none", "--format", "{p} {f}"])
            .current_dir(&tree.root),
    )?;
    Ok(external(&listed))
}

/// The crates that are not ours (those have a path in brackets).
pub fn external(listed: &str) -> BTreeSet<String> {
    listed
        .lines()
        .map(|line| line.trim_end_matches(" (*)").trim())
        .filter(|line| !line.is_empty() && !line.contains("(/") && !line.contains("(file:"))
        .map(str::to_owned)
        .collect()
}

pub fn compare(package: &str, alone: &BTreeSet<String>, workspace: &BTreeSet<String>) -> Vec<Problem> {
    let other: Vec<&str> = alone.difference(workspace).map(String::as_str).collect();
    if other.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "{package} built alone takes other features of {}: it must depend on polder-features, which must name every dependency",
        other.iter().map(|line| line.split(' ').next().unwrap_or(line)).collect::<Vec<_>>().join(", ")
    )]
}
