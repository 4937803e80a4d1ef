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
        self.width = self.width.max(terminal::columns(cell.unwrap_or("NULL")));
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

    #[must_use]
    pub fn row(&self, columns: &[Column], row: &[Option<String>], color: bool) -> String {
        let cell = |shown: &Option<(usize, usize)>| {
            let Some((at, width)) = *shown else { return "…".to_owned() };
            match &row[at] {
                Some(text) => self.pad(text, width, columns[at].right),
                None if color => format!("\x1b[2m{}\x1b[0m", self.pad("NULL", width, columns[at].right)),
                None => self.pad("NULL", width, columns[at].right),
            }
        };
        let cells: Vec<String> = self.shown.iter().map(cell).collect();
        format!(" {}\n", cells.join(" │ ").trim_end())
    }

    fn pad(&self, text: &str, width: usize, right: bool) -> String {
        let text = if self.unlimited { text.into() } else { terminal::truncated(text, width) };
        let blanks = " ".repeat(width.saturating_sub(terminal::columns(&text)));
        if right { format!("{blanks}{text}") } else { format!("{text}{blanks}") }
    }
}

#[cfg(test)]
mod tests;
