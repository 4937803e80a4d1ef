//! Where things are.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Problem;
use super::tree::Tree;

const CHANGELOG: &str = "CHANGELOG.md";

/// Each folder in `tests/slt/` bears the name of a crate in `crates/`.
pub fn sql_tests(tree: &Tree) -> Result<Vec<Problem>> {
    Ok(judge_sql_tests(&tree.files))
}

pub fn judge_sql_tests(files: &[String]) -> Vec<Problem> {
    let crates: BTreeSet<&str> =
        files.iter().filter_map(|file| file.strip_prefix("crates/")?.split('/').next()).collect();
    let mut problems = BTreeSet::new();
    for file in files {
        let Some(rest) = file.strip_prefix("tests/slt/") else { continue };
        // What waits for work is kept as the rest is.
        let rest = rest.strip_prefix("pending/").unwrap_or(rest);
        match rest.split_once('/') {
            Some((folder, _)) if crates.contains(folder) => {}
            Some((folder, _)) => {
                problems.insert(format!("tests/slt/{folder}: there is no capability of that name in crates/"));
            }
            None if rest.ends_with(".slt") => {
                problems.insert(format!("{file}: put it into the folder of its capability"));
            }
            None => {}
        }
    }
    problems.into_iter().collect()
}

pub fn changelog(tree: &Tree) -> Result<Vec<Problem>> {
    if !tree.files.iter().any(|file| file == CHANGELOG) {
        return Ok(vec![format!("there is no {CHANGELOG}")]);
    }
    Ok(judge_changelog(&tree.text(CHANGELOG)?.unwrap_or_default()))
}

pub fn judge_changelog(text: &str) -> Vec<Problem> {
    if text.lines().any(|line| line.trim_end() == "## Unreleased") {
        Vec::new()
    } else {
        vec![format!("{CHANGELOG} has no section \"## Unreleased\"")]
    }
}
