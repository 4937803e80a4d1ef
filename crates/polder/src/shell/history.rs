//! What was typed before, kept for the user alone.

use std::path::PathBuf;

use rustyline::history::DefaultHistory;
use rustyline::{Editor, Helper};

use crate::run;

pub struct History(Option<PathBuf>);

impl History {
    /// Fills the editor with what was kept. A shell without a history still works, so failures are only told.
    pub fn load<H: Helper>(editor: &mut Editor<H, DefaultHistory>) -> Self {
        let Some(directory) = config_dir() else { return Self(None) };
        if let Err(error) = make_private(&directory) {
            run::tell(&format!("note: no history is kept: {}: {error}", directory.display()));
            return Self(None);
        }
        let path = directory.join("history");
        if path.exists()
            && let Err(error) = editor.load_history(&path)
        {
            run::tell(&format!("note: the history cannot be read: {error}"));
        }
        Self(Some(path))
    }

    /// Keeps a line at once, so that several shells add to one history and a crash loses nothing.
    pub fn add<H: Helper>(&self, editor: &mut Editor<H, DefaultHistory>, line: &str) {
        let added = editor.add_history_entry(line).unwrap_or(false);
        if let (Some(path), true) = (&self.0, added) {
            // The file gets mode 0600 from the editor.
            let _ = editor.append_history(path);
        }
    }
}

/// `$XDG_CONFIG_HOME/polder`, else `~/.config/polder`.
fn config_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(base.join("polder"))
}

fn make_private(directory: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
