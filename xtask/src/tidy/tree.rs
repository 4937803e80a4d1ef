//! The files that git tracks, or would: what is ignored is not looked at.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

pub struct Tree {
    pub root: PathBuf,
    /// Relative to `root`, with `/`, sorted.
    pub files: Vec<String>,
}

impl Tree {
    pub fn read() -> Result<Self> {
        // Asked while it runs: a program built in another clone reads this one's files.
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("xtask is run by cargo: cargo xtask tidy")?;
        let root = Path::new(&xtask).parent().context("xtask has no parent folder")?.to_path_buf();
        let listed = output(
            Command::new("git")
                .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
                .current_dir(&root),
        )?;
        let mut files: Vec<String> = listed
            .split('\0')
            .filter(|name| !name.is_empty() && root.join(name).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        if files.is_empty() {
            bail!("git lists no files in {}", root.display());
        }
        Ok(Self { root, files })
    }

    /// The text of a file, or `None` when it is binary.
    pub fn text(&self, file: &str) -> Result<Option<String>> {
        let bytes = std::fs::read(self.root.join(file)).with_context(|| format!("cannot read {file}"))?;
        Ok(String::from_utf8(bytes).ok())
    }
}

/// Standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Result<String> {
    let result = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    if !result.status.success() {
        bail!("{:?} failed: {}", command, String::from_utf8_lossy(&result.stderr).trim());
    }
    String::from_utf8(result.stdout).with_context(|| format!("{:?} printed no UTF-8", command.get_program()))
}

/// What follows the last dot of a file's name, or its whole name.
pub fn extension(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit('.').next().unwrap_or(name)
}
