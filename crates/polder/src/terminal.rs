//! What is known of the terminal, and how text is made fit for it.

use std::borrow::Cow;
use std::io::IsTerminal;

use unicode_width::UnicodeWidthChar;

/// Columns assumed when the terminal does not say.
const WIDTH_UNKNOWN: usize = 80;

#[must_use]
pub fn stdin() -> bool {
    std::io::stdin().is_terminal()
}

#[must_use]
pub fn stdout() -> bool {
    std::io::stdout().is_terminal()
}

#[must_use]
pub fn stderr() -> bool {
    std::io::stderr().is_terminal()
}

/// Colour on standard error: on a terminal, unless `NO_COLOR` is set (no-color.org).
#[must_use]
pub fn color_stderr() -> bool {
    stderr() && colors_wanted()
}

#[must_use]
pub fn color_stdout() -> bool {
    stdout() && colors_wanted()
}

fn colors_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns of the terminal.
#[must_use]
pub fn width() -> usize {
    terminal_size::terminal_size()
        .map_or(WIDTH_UNKNOWN, |(terminal_size::Width(columns), _)| usize::from(columns))
        .max(20)
}

/// Columns that a text takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// The text without what would move the cursor or speak to the terminal. Data may come from anywhere.
/// `lines`: leaves line breaks as they are.
#[must_use]
pub fn printable(text: &str, lines: bool) -> Cow<'_, str> {
    let harmless = |c: char| !is_control(c) || (lines && c == '\n');
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            c if harmless(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

/// Controls, and the marks that turn the direction of what follows.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text in pieces of at most `width` columns.
#[must_use]
pub fn folded(text: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > width && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

/// The text cut to `width` columns, its end marked by `…`.
#[must_use]
pub fn truncated(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}
