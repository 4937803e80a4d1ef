//! A file of more than 500 lines is mostly two files.

use anyhow::Result;

use super::Problem;
use super::tree::{Tree, extension};

const LINES_MAX: usize = 500;

pub fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| counts(file)) {
        let lines = tree.text(file)?.map_or(0, |text| text.lines().count());
        if lines > LINES_MAX {
            problems.push(format!("{file}: {lines} lines; what is it really two of?"));
        }
    }
    Ok(problems)
}

/// Production code that people write: no tests, nothing generated.
pub fn counts(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let code = matches!(extension(file), "rs" | "ts" | "tsx");
    let test = file.split('/').any(|part| matches!(part, "tests" | "test"))
        || name == "tests.rs"
        || name.ends_with("_tests.rs")
        || name.contains(".test.");
    let generated =
        name.contains(".gen.") || name.ends_with(".d.ts") || file.split('/').any(|part| part == "generated");
    code && !test && !generated
}
