//! `polder sql`: statements from options, files or standard input, or else the shell.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use clap::ArgMatches;
use polder_types::limits::STATEMENT_BYTES_MAX;

use crate::cli::{EXIT_DONE, Format, SqlArgs};
use crate::connection::{Connected, Connection};
use crate::failure::{Excerpt, Failure};
use crate::output::{self, AnswerWriter, Sink, TableStyle};
use crate::run::{self, Manner};
use crate::shell;
use crate::split;
use crate::terminal;

/// Rows of a table that a terminal is shown.
pub const TERMINAL_ROWS_MAX: u64 = 500;

/// A script of many statements may be long; more than this is data.
const SCRIPT_BYTES_MAX: u64 = 16 * STATEMENT_BYTES_MAX as u64;

/// SQL text and where it came from.
struct Script {
    text: Arc<str>,
    name: Option<String>,
}

pub fn main(args: &SqlArgs, matches: Option<&ArgMatches>) -> Result<u8> {
    let scripts = scripts(args, matches)?;
    if scripts.is_empty() && args.output.is_some() {
        return Err(Failure::usage("--output needs a statement").with_hint("give it with -c or -f").into());
    }
    if scripts.is_empty() {
        let connected = Connected::open(&args.directory, &args.server)?;
        let done = shell::run(&connected, args.format, args.rows);
        connected.close();
        return done.map(|()| EXIT_DONE);
    }
    if args.format.is_binary() && args.output.is_none() && terminal::stdout() {
        return Err(Failure::usage("a terminal cannot show this format").with_hint("add --output FILE").into());
    }
    let sink = Sink::open(args.output.as_deref())?;
    let connected = Connected::open(&args.directory, &args.server)?;
    let done = connected.runtime.block_on(run_scripts(connected.connection.as_ref(), &scripts, args, &sink));
    connected.close();
    done?;
    sink.keep()?;
    Ok(EXIT_DONE)
}

/// What the options name, in their order; standard input if they name nothing and it is no terminal.
fn scripts(args: &SqlArgs, matches: Option<&ArgMatches>) -> Result<Vec<Script>> {
    let indices = |id: &str| matches.and_then(|matches| matches.indices_of(id)).into_iter().flatten();
    let mut found = Vec::new();
    for (index, text) in indices("commands").zip(&args.commands) {
        found.push((index, Script { text: text.as_str().into(), name: None }));
    }
    for (index, path) in indices("files").zip(&args.files) {
        found.push((index, file(path)?));
    }
    found.sort_by_key(|(index, _)| *index);
    if found.is_empty() && !terminal::stdin() {
        return Ok(vec![standard_input()?]);
    }
    Ok(found.into_iter().map(|(_, script)| script).collect())
}

fn file(path: &Path) -> Result<Script> {
    if path == Path::new("-") {
        return standard_input();
    }
    let name = path.display().to_string();
    let file = fs::File::open(path).map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
    Ok(Script { text: read(file, &name)?, name: Some(name) })
}

fn standard_input() -> Result<Script> {
    Ok(Script { text: read(std::io::stdin().lock(), "standard input")?, name: Some("stdin".to_owned()) })
}

fn read(source: impl Read, name: &str) -> Result<Arc<str>, Failure> {
    let mut bytes = Vec::new();
    source
        .take(SCRIPT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > SCRIPT_BYTES_MAX {
        return Err(Failure::new(format!("{name} holds more than {SCRIPT_BYTES_MAX} bytes of SQL"))
            .with_hint("is it data? `polder load` makes a table of it"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Failure::new(format!("{name} is no UTF-8 text (byte {})", error.utf8_error().valid_up_to()))
            .with_hint("is it data? `polder load` makes a table of it")
    })?;
    // Editors of some systems write a mark of the byte order first.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).into())
}

async fn run_scripts(connection: &dyn Connection, scripts: &[Script], args: &SqlArgs, sink: &Sink) -> Result<()> {
    let statements: Vec<(&Script, split::Statement<'_>)> = scripts
        .iter()
        .flat_map(|script| split::split(&script.text).statements.into_iter().map(move |statement| (script, statement)))
        .collect();
    let on_terminal = terminal::stdout() && args.output.is_none();
    let style = TableStyle {
        width: on_terminal.then(terminal::width),
        color: on_terminal && terminal::color_stdout(),
        expanded: false,
        timing: on_terminal,
    };
    let usual_limit = (on_terminal && args.format == Format::Table).then_some(TERMINAL_ROWS_MAX);
    let manner = Manner { row_limit: args.rows.or(usual_limit), keep_session: statements.len() > 1, progress: true };
    let mut writer = output::writer(args.format, sink.out()?, style);
    let last = statements.len().saturating_sub(1);
    if statements.is_empty() {
        // A document of no rows is still a document.
        if matches!(args.format, Format::Json) {
            writer.end(&output::Outcome::default())?;
        }
        return Ok(());
    }
    for (index, (script, statement)) in statements.iter().enumerate() {
        let shown = args.format.shows_all() || index == last;
        let writer: Option<&mut dyn AnswerWriter> = if shown { Some(writer.as_mut()) } else { None };
        let outcome = run::run(connection, statement.text, writer, manner)
            .await
            .map_err(|failure| failure.in_statement(excerpt(script, statement)))?;
        if !shown && outcome.rows > 0 {
            run::tell(&format!(
                "note: {} rows of statement {} are left out: this format holds the last answer only",
                outcome.rows,
                index + 1
            ));
        }
    }
    Ok(())
}

fn excerpt(script: &Script, statement: &split::Statement<'_>) -> Excerpt {
    Excerpt {
        source: Arc::clone(&script.text),
        name: script.name.clone(),
        line: statement.line,
        column: statement.column,
    }
}
