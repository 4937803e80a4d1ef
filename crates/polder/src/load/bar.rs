//! How far a load is: a bar on a terminal, otherwise a line a second.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use polder_capability::LoadProgress;

use crate::run;
use crate::terminal;

/// A load shorter than this needs no progress.
const FIRST: Duration = Duration::from_millis(300);
const LINES: Duration = Duration::from_secs(1);

const KNOWN: &str = "{msg} {wide_bar:.blue} {percent}%  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
const UNKNOWN: &str = "{spinner} {msg}  {bytes}  {bytes_per_sec}";

pub struct Bar {
    bar: Option<ProgressBar>,
    hidden: bool,
    begun: Instant,
    last_line: Cell<Option<Instant>>,
    phase: Cell<Phase>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Other,
    Known,
    Unknown,
}

impl Bar {
    #[must_use]
    pub fn new() -> Self {
        Self::with(terminal::stderr().then(ProgressBar::no_length), false)
    }

    #[must_use]
    pub fn hidden() -> Self {
        Self::with(None, true)
    }

    fn with(bar: Option<ProgressBar>, hidden: bool) -> Self {
        Self { bar, hidden, begun: Instant::now(), last_line: Cell::new(None), phase: Cell::new(Phase::Other) }
    }

    pub fn show(&self, progress: &LoadProgress) {
        if self.hidden || self.begun.elapsed() < FIRST {
            return;
        }
        match &self.bar {
            Some(bar) => self.draw(bar, progress),
            None if self.last_line.get().is_none_or(|last| last.elapsed() >= LINES) => {
                self.last_line.set(Some(Instant::now()));
                run::tell(&line(progress));
            }
            None => {}
        }
    }

    fn draw(&self, bar: &ProgressBar, progress: &LoadProgress) {
        let phase = if progress.bytes_total.is_some() { Phase::Known } else { Phase::Unknown };
        if self.phase.replace(phase) != phase {
            let template = if phase == Phase::Known { KNOWN } else { UNKNOWN };
            // The templates are constants; one that were wrong would leave the plain bar.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸─"));
            }
        }
        if let Some(total) = progress.bytes_total {
            bar.set_length(total);
        }
        bar.set_position(progress.bytes_done);
        let mut message = progress.phase.clone();
        if progress.rows > 0 {
            message.push_str(&format!("  {} rows", HumanCount(progress.rows)));
        }
        bar.set_message(message);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `loading flights.csv: 120,000 rows, 31 MiB of 120 MiB, 15 MiB/s, 6 s left`
fn line(progress: &LoadProgress) -> String {
    let mut text = progress.phase.clone();
    if !progress.current_source.is_empty() {
        text.push_str(&format!(" {}", progress.current_source));
    }
    text.push_str(&format!(": {} rows, {}", HumanCount(progress.rows), HumanBytes(progress.bytes_done)));
    if let Some(total) = progress.bytes_total {
        text.push_str(&format!(" of {}", HumanBytes(total)));
    }
    let rate = progress.bytes_done.saturating_mul(1000).checked_div(progress.elapsed_ms).unwrap_or(0);
    text.push_str(&format!(", {}/s", HumanBytes(rate)));
    if let Some(left) =
        progress.bytes_total.and_then(|total| total.saturating_sub(progress.bytes_done).checked_div(rate))
    {
        text.push_str(&format!(", {left} s left"));
    }
    text
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests;
