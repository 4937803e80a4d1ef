//! Widths of columns, and what is left out when the terminal is too narrow.

use crate::terminal;

/// Text is not made narrower than this; columns are left out instead.
const TEXT_WIDTH_MIN: usize = 12;
/// What stands between two columns: ` │ `.
const GAP: usize = 3;

#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub right: bool,
    /// Of the widest value seen, or of the name.
    width: usize,
}

impl Column {
    #[must_use]
    pub fn new(name: &str, right: bool) -> Self {
        let name = terminal::printable(name, false).into_owned();
        Self { width: terminal::columns(&name), name, right }
    }

    pub fn see(&mut self, cell: Option<&str>) {
        let widest = marked_lines(cell.unwrap_or("NULL")).map(|line| terminal::columns(&line)).max().unwrap_or(0);
        self.width = self.width.max(widest);
    }
}

/// The columns shown, from left to right. `None` stands for those left out.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    shown: Vec<Option<(usize, usize)>>,
    hidden: usize,
    /// Cells may be longer than their column, since nothing limits them.
    unlimited: bool,
}

impl Layout {
    /// Narrows texts, the widest first, then leaves out columns from the middle.
    #[must_use]
    pub fn fit(columns: &[Column], width: Option<usize>) -> Self {
        let mut widths: Vec<usize> = columns.iter().map(|column| column.width).collect();
        let all = |widths: &[usize]| Self {
            shown: widths.iter().copied().enumerate().map(Some).collect(),
            hidden: 0,
            unlimited: width.is_none(),
        };
        let Some(limit) = width else { return all(&widths) };
        // One blank at each end.
        let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1) + 2;
        for width in &mut widths {
            *width = (*width).min(limit.saturating_sub(2).max(1));
        }
        while total(&widths) > limit {
            let widest =
                widths.iter_mut().zip(columns).filter(|(width, column)| !column.right && **width > TEXT_WIDTH_MIN);
            match widest.max_by_key(|(width, _)| **width) {
                Some((width, _)) => *width -= 1,
                None => break,
            }
        }
        let mut layout = all(&widths);
        let size = |shown: &[Option<(usize, usize)>]| {
            total(&shown.iter().map(|column| column.map_or(1, |(_, width)| width)).collect::<Vec<_>>())
        };
        while size(&layout.shown) > limit {
            let visible = columns.len() - layout.hidden;
            if visible <= 1 {
                break;
            }
            let marker = layout.shown.iter().position(Option::is_none);
            // Keep one more at the left than at the right: names and keys tend to come first.
            match marker {
                None => layout.shown[visible / 2] = None,
                Some(at) if at > layout.shown.len() - 1 - at => drop(layout.shown.remove(at - 1)),
                Some(at) if at + 1 < layout.shown.len() => drop(layout.shown.remove(at + 1)),
                Some(at) => drop(layout.shown.remove(at - 1)),
            }
            layout.hidden += 1;
        }
        layout
    }

    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// The names and the line below them.
    #[must_use]
    pub fn head(&self, columns: &[Column]) -> String {
        let names: Vec<String> = self
            .shown
            .iter()
            .map(|shown| {
                shown.map_or("…".to_owned(), |(at, width)| self.pad(&columns[at].name, width, columns[at].right))
            })
            .collect();
        let rules: Vec<String> =
            self.shown.iter().map(|shown| "─".repeat(shown.map_or(1, |(_, width)| width))).collect();
        format!(" {}\n─{}─\n", names.join(" │ ").trim_end(), rules.join("─┼─"))
    }

    /// One row: as many lines as its longest cell has.
    #[must_use]
    pub fn row(&self, columns: &[Column], row: &[Option<String>], color: bool) -> String {
        let cells: Vec<Vec<String>> = self.shown.iter().map(|shown| self.cell(*shown, columns, row, color)).collect();
        let lines = cells.iter().map(Vec::len).max().unwrap_or(1);
        let mut text = String::new();
        for line in 0..lines {
            let parts: Vec<String> = cells
                .iter()
                .zip(&self.shown)
                .map(|(cell, shown)| {
                    let blank = || " ".repeat(shown.map_or(1, |(_, width)| width));
                    cell.get(line).cloned().unwrap_or_else(blank)
                })
                .collect();
            text.push_str(format!(" {}", parts.join(" │ ")).trim_end());
            text.push('\n');
        }
        text
    }

    fn cell(
        &self,
        shown: Option<(usize, usize)>,
        columns: &[Column],
        row: &[Option<String>],
        color: bool,
    ) -> Vec<String> {
        let Some((at, width)) = shown else { return vec!["…".to_owned()] };
        let right = columns[at].right;
        match row[at].as_deref() {
            // A text of several lines is there to be read: what is too long is folded, and not cut.
            Some(text) if text.contains('\n') => marked_lines(text)
                .flat_map(|line| if self.unlimited { vec![line] } else { terminal::folded(&line, width) })
                .map(|line| self.pad(&line, width, right))
                .collect(),
            Some(text) => vec![self.pad(text, width, right)],
            None if color => vec![format!("\x1b[2m{}\x1b[0m", self.pad("NULL", width, right))],
            None => vec![self.pad("NULL", width, right)],
        }
    }

    fn pad(&self, text: &str, width: usize, right: bool) -> String {
        let text = if self.unlimited { text.into() } else { terminal::truncated(text, width) };
        let blanks = " ".repeat(width.saturating_sub(terminal::columns(&text)));
        if right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
    }
}

/// The lines of a cell, with a mark at the end of each that goes on. A break at the very end is left out.
fn marked_lines(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n').peekable();
    std::iter::from_fn(move || {
        let line = lines.next()?;
        Some(if lines.peek().is_some() { format!("{line}↵") } else { line.to_owned() })
    })
}

#[cfg(test)]
mod tests;
