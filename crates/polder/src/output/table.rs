//! Aligned columns, fitted to the terminal.

mod layout;

use std::time::Duration;

use ::arrow::array::RecordBatch;
use ::arrow::datatypes::SchemaRef;

use super::cell::{Encoding, is_right_aligned};
use super::{AnswerWriter, Out, Outcome};
use crate::failure::Failure;
use crate::terminal;
use layout::{Column, Layout};

/// Rows that the widths are taken from. Later rows follow them.
const SAMPLE_ROWS: usize = 1000;

/// How tables look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableStyle {
    /// Columns of the terminal; `None` leaves every cell whole.
    pub width: Option<usize>,
    pub color: bool,
    /// One line a value instead of one a row.
    pub expanded: bool,
    /// Say how long the statement took.
    pub timing: bool,
}

type Cell = Option<String>;

pub struct TableWriter {
    out: Out,
    style: TableStyle,
    columns: Vec<Column>,
    sample: Vec<Vec<Cell>>,
    layout: Option<Layout>,
    rows: u64,
}

impl TableWriter {
    #[must_use]
    pub fn new(out: Out, style: TableStyle) -> Self {
        Self { out, style, columns: Vec::new(), sample: Vec::new(), layout: None, rows: 0 }
    }

    fn put(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes()).map_err(Failure::output)
    }

    /// Decides the widths and writes the head and the rows seen so far.
    fn settle(&mut self) -> Result<(), Failure> {
        let sample = std::mem::take(&mut self.sample);
        for row in &sample {
            for (column, cell) in self.columns.iter_mut().zip(row) {
                column.see(cell.as_deref());
            }
        }
        let layout = Layout::fit(&self.columns, self.style.width);
        let head = layout.head(&self.columns);
        self.put(&head)?;
        self.layout = Some(layout);
        sample.iter().try_for_each(|row| self.row(row))
    }

    fn row(&mut self, row: &[Cell]) -> Result<(), Failure> {
        let Some(layout) = &self.layout else { return Ok(()) };
        let line = layout.row(&self.columns, row, self.style.color);
        self.put(&line)
    }

    /// One line a value.
    fn expanded_row(&mut self, row: &[Cell]) -> Result<(), Failure> {
        let names = self.columns.iter().map(|column| terminal::columns(&column.name)).max().unwrap_or(0);
        let width = self.style.width.map(|width| width.saturating_sub(names + 4).max(8));
        let mut text = format!("─[ row {} ]─\n", self.rows);
        for (column, cell) in self.columns.iter().zip(row) {
            let pad = " ".repeat(names - terminal::columns(&column.name));
            let value = cell.as_deref().unwrap_or("NULL");
            let value = value.strip_suffix('\n').unwrap_or(value);
            let lines: Vec<String> = match width {
                None => value.split('\n').map(str::to_owned).collect(),
                Some(width) if value.contains('\n') => {
                    value.split('\n').flat_map(|line| terminal::folded(line, width)).collect()
                }
                Some(width) => vec![terminal::truncated(value, width).into_owned()],
            };
            let gap = format!("\n {} │ ", " ".repeat(names));
            text.push_str(&format!(" {}{pad} │ {}\n", column.name, lines.join(&gap)));
        }
        self.put(&text)
    }
}

impl AnswerWriter for TableWriter {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        let column =
            |field: &::arrow::datatypes::FieldRef| Column::new(field.name(), is_right_aligned(field.data_type()));
        self.columns = schema.fields().iter().map(column).collect();
        self.sample.clear();
        self.layout = None;
        self.rows = 0;
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let encoding = Encoding::of(batch);
        let mut cells = encoding.cells(batch)?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            let mut line = Vec::with_capacity(cells.len());
            for cell in &mut cells {
                line.push(cell.write(row, &mut text)?.then(|| terminal::printable(&text, true).into_owned()));
            }
            self.rows += 1;
            if self.style.expanded {
                self.expanded_row(&line)?;
            } else if self.layout.is_some() {
                self.row(&line)?;
            } else {
                self.sample.push(line);
                if self.sample.len() == SAMPLE_ROWS {
                    self.settle()?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        if outcome.gives_rows && self.layout.is_none() && !self.style.expanded {
            self.settle()?;
        }
        let hidden = self.layout.as_ref().filter(|_| outcome.gives_rows).map_or(0, Layout::hidden);
        let summary = summary(outcome, hidden, self.columns.len(), self.style.timing);
        self.put(&summary)?;
        self.out.flush().map_err(Failure::output)
    }
}

/// `(3 rows, 0.012 s)`, `INSERT: 3 rows (0.010 s)`, `CREATE TABLE`.
fn summary(outcome: &Outcome, hidden: usize, columns: usize, timing: bool) -> String {
    let seconds = if timing { Some(seconds(outcome.elapsed)) } else { None };
    if !outcome.gives_rows {
        let verb = if outcome.verb.is_empty() { "done" } else { &outcome.verb };
        let changed = outcome.rows_changed.map(|rows| format!(": {}", count(rows, "row"))).unwrap_or_default();
        let seconds = seconds.map(|text| format!(" ({text})")).unwrap_or_default();
        return format!("{verb}{changed}{seconds}\n");
    }
    let mut parts = Vec::new();
    if outcome.cut {
        parts.push(format!("first {}; there are more", count(outcome.rows, "row")));
    } else {
        parts.push(count(outcome.rows, "row"));
    }
    if hidden > 0 {
        parts.push(format!("{} of {columns} columns", columns - hidden));
    }
    parts.extend(seconds);
    format!("({})\n", parts.join(", "))
}

fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", indicatif::HumanCount(number))
}

/// Milliseconds matter below a minute, and nothing else above.
pub fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.3} s") } else { format!("{seconds:.1} s") }
}
