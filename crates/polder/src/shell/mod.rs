//! The SQL shell: lines read and edited, statements run, meta-commands obeyed.

mod complete;
mod history;
mod meta;
pub mod progress;

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use rustyline::error::ReadlineError;
use rustyline::{CompletionType, Config, Editor};

use crate::cli::Format;
use crate::connection::Connected;
use crate::failure::{Excerpt, Failure};
use crate::output::{self, Outcome, Sink, TableStyle};
use crate::run::{self, Manner};
use crate::split;
use crate::sql::TERMINAL_ROWS_MAX;
use crate::terminal;
use complete::{Helper, Names};
use history::History;
use meta::Meta;

const PROMPT: &str = "polder> ";

/// What the user has set.
#[derive(Debug, Clone, Copy)]
struct Settings {
    format: Format,
    rows: Option<u64>,
    timing: bool,
    expanded: bool,
}

/// What to do after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    Quit,
}

struct Shell<'a> {
    connected: &'a Connected,
    settings: Settings,
    names: Arc<Names>,
}

/// Reads and runs until the user leaves.
///
/// # Errors
/// When the terminal cannot be read.
pub fn run(connected: &Connected, format: Format, rows: Option<u64>) -> Result<()> {
    let names = Arc::new(Names::new(Arc::clone(&connected.runtime), Arc::clone(&connected.connection)));
    let settings = Settings { format, rows: rows.or(Some(TERMINAL_ROWS_MAX)), timing: true, expanded: false };
    let mut shell = Shell { connected, settings, names: Arc::clone(&names) };
    let config = Config::builder()
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .auto_add_history(false)
        .bracketed_paste(true)
        .build();
    let mut editor: Editor<Helper, _> = Editor::with_config(config)?;
    editor.set_helper(Some(Helper::new(names, terminal::color_stdout())));
    let history = History::load(&mut editor);
    println!("polder {} on {}; \\? for help, \\q to leave", env!("CARGO_PKG_VERSION"), connected.connection.name());
    loop {
        match editor.readline(PROMPT) {
            Ok(line) => {
                if line.trim().is_empty() {
                    continue;
                }
                history.add(&mut editor, line.trim_end());
                if shell.line(&line) == Next::Quit {
                    break;
                }
            }
            // Ctrl-C throws the line away, Ctrl-D leaves.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

impl Shell<'_> {
    /// A line is a meta-command or statements. Errors are shown, and the shell goes on.
    fn line(&mut self, line: &str) -> Next {
        let done = match meta::parse(line) {
            Some(Ok(meta)) => self.obey(meta),
            Some(Err(failure)) => Err(failure),
            None => self.statements(line).map(|()| Next::Go),
        };
        done.unwrap_or_else(|failure| {
            // With standard error gone there is nobody left to tell.
            let _ = failure.render(&mut std::io::stderr().lock(), terminal::color_stderr());
            Next::Go
        })
    }

    fn statements(&mut self, line: &str) -> Result<(), Failure> {
        let source: Arc<str> = line.into();
        for statement in split::split(line).statements {
            let excerpt =
                Excerpt { source: Arc::clone(&source), name: None, line: statement.line, column: statement.column };
            let outcome = self.statement(statement.text).map_err(|failure| failure.in_statement(excerpt))?;
            if changes_names(&outcome) {
                self.names.forget();
            }
        }
        Ok(())
    }

    fn statement(&self, sql: &str) -> Result<Outcome, Failure> {
        let Settings { format, rows, timing, expanded } = self.settings;
        let style = TableStyle { width: Some(terminal::width()), color: terminal::color_stdout(), expanded, timing };
        let manner = Manner { row_limit: rows, keep_session: true, progress: true };
        let mut writer = output::writer(format, Sink::StandardOutput.out()?, style);
        self.connected.runtime.block_on(run::run(
            self.connected.connection.as_ref(),
            sql,
            Some(writer.as_mut()),
            manner,
        ))
    }

    fn obey(&mut self, meta: Meta) -> Result<Next, Failure> {
        match meta {
            Meta::Quit => return Ok(Next::Quit),
            Meta::Help => say(meta::HELP),
            Meta::Tables => drop(self.statement(meta::TABLES)?),
            Meta::Describe(name) => drop(self.statement(&meta::describe(&name))?),
            Meta::Timing(on) => {
                self.settings.timing = on.unwrap_or(!self.settings.timing);
                say(if self.settings.timing { "timing is on" } else { "timing is off" });
            }
            Meta::Expanded(on) => {
                self.settings.expanded = on.unwrap_or(!self.settings.expanded);
                say(if self.settings.expanded { "one line a value" } else { "one line a row" });
            }
            Meta::Format(format) => self.settings.format = format,
            Meta::Rows(rows) => self.settings.rows = rows,
        }
        Ok(Next::Go)
    }
}

fn say(text: &str) {
    // With standard output gone the next read ends the shell.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// The statement may have made, renamed or dropped something.
fn changes_names(outcome: &Outcome) -> bool {
    let first = outcome.verb.split_whitespace().next().unwrap_or_default();
    matches!(first.to_ascii_uppercase().as_str(), "CREATE" | "DROP" | "ALTER" | "COPY" | "ROLLBACK")
}
