//! Words that must not be in the tree.

use anyhow::Result;

use super::Problem;
use super::tree::{Tree, extension};

/// Code; prose may speak of these words.
const CODE: &[&str] = &["rs", "ts", "tsx", "js", "mjs", "css", "py", "sh", "toml", "slt", "Makefile"];

const UNFINISHED: &[&str] = &[
    "todo!",
    "unimplemented!",
    "FIXME",
    "TODO",
    "XXX",
    "#[ignore",
    "test.skip(",
    "test.only(",
    "it.skip(",
    "it.only(",
];

/// Folders of one person's machine, and the registries' servers: the clients know where these are.
const MACHINE: &[&str] = &[
    "/work/",
    "/root/",
    "/home/",
    "/Users/",
    "registry.npmjs.org",
    "index.crates.io",
    "static.crates.io",
    "pypi.org",
    "pythonhosted.org",
    "deb.debian.org",
];

/// Lists the words, so cannot be without them.
const SELF: &str = "xtask/src/tidy/";

pub fn unfinished(tree: &Tree) -> Result<Vec<Problem>> {
    search(tree, UNFINISHED, |file| CODE.contains(&extension(file)))
}

pub fn machine(tree: &Tree) -> Result<Vec<Problem>> {
    search(tree, MACHINE, |_| true)
}

fn search(tree: &Tree, words: &[&str], wanted: impl Fn(&str) -> bool) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for file in tree.files.iter().filter(|file| wanted(file) && !file.starts_with(SELF)) {
        if let Some(text) = tree.text(file)? {
            problems.extend(find(&text, words).into_iter().map(|(line, word)| format!("{file}:{line}: {word}")));
        }
    }
    Ok(problems)
}

/// Line (from 1) and word of each occurrence. A word counts when it is whole; a path, when it begins at the root.
pub fn find<'w>(text: &str, words: &[&'w str]) -> Vec<(usize, &'w str)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for &word in words {
            if line.match_indices(word).any(|(at, _)| stands_alone(word, &line[..at], &line[at + word.len()..])) {
                found.push((number + 1, word));
            }
        }
    }
    found
}

fn stands_alone(word: &str, before: &str, after: &str) -> bool {
    let letter = |symbol: char| symbol.is_alphanumeric() || symbol == '_';
    let path = |symbol: char| letter(symbol) || matches!(symbol, '.' | '-' | '@' | '}');
    let begins =
        !(word.starts_with(letter) && before.ends_with(letter) || word.starts_with('/') && before.ends_with(path));
    begins && !(word.ends_with(letter) && after.starts_with(letter))
}
