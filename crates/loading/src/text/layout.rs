//! Where the rows begin, how wide they are, and what the columns are called.

use std::collections::{HashMap, HashSet};

use polder_types::limits::COLUMNS_MAX;
use polder_types::{Error, Result};

use super::split::{Field, Scan, Splitter};
use crate::error;
use crate::infer::cell::{Look, look};

/// Records of the sample that are looked at.
const SAMPLE_RECORDS: usize = 1000;

/// What holds for a whole file of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    /// Names as in the file, or `column_1`, …
    pub columns: Vec<String>,
    pub header: bool,
    /// The first column has no name in the header.
    pub row_names: bool,
    /// The rows end with separators that the header has not.
    pub open_ended: bool,
    /// Where the first row begins.
    pub start: u64,
    pub line: u64,
    /// Lines before the header that belong to no row.
    pub preamble: Vec<(u64, String)>,
}

impl Layout {
    /// What is to be said of the columns' names. `head`: what a header would be, a line or a row.
    pub(crate) fn remark(&self, head: &str) -> Option<String> {
        if !self.header {
            return Some(format!("there is no header {head}, so the columns are numbered"));
        }
        if self.open_ended {
            let remark =
                "each row ends with a separator that the header has not: what is behind it is empty, and left out";
            return Some(remark.to_owned());
        }
        let unnamed = "each row has a cell more than the header, so the first column is called row_name";
        self.row_names.then(|| unnamed.to_owned())
    }
}

#[derive(Debug)]
struct SampleRow {
    line: u64,
    start: usize,
    end: usize,
    cells: Vec<String>,
}

impl SampleRow {
    fn is_width(&self, width: usize) -> bool {
        self.cells.len() == width
    }

    fn is_empty(&self) -> bool {
        self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

/// The beginning of a text of records, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample<'a> {
    pub bytes: &'a [u8],
    /// It is the whole text.
    pub is_whole: bool,
    /// Whether the first row holds the names, if the user says so.
    pub header: Option<bool>,
    /// What errors call it.
    pub label: &'a str,
}

impl Sample<'_> {
    /// What is left of it from there on.
    pub(crate) fn behind(self, start: usize) -> Self {
        Self { bytes: &self.bytes[start..], ..self }
    }
}

/// Finds the layout from the beginning of a file.
///
/// # Errors
/// `InvalidInput` when there is no record at all, `TooLarge` for too many columns.
pub(crate) fn find<S: Splitter>(splitter: &S, sample: Sample<'_>) -> Result<Layout> {
    let Sample { bytes, is_whole, header, label } = sample;
    let rows = sample_rows(splitter, bytes, is_whole);
    let Some(width) = usual_width(&rows) else {
        return Err(Error::invalid(format!("{label} holds no row")).with_hint("check that it is the right file"));
    };
    let first = rows.iter().position(|row| row.is_width(width)).unwrap_or(0);
    let titles = if header == Some(false) { 0 } else { titles(&rows, width, splitter.is_framed()) };
    let first = first.max(titles);
    let open_ended = match splitter.tolerates_extra_empty() && header != Some(false) {
        true => open_ended_header(&rows, width),
        false => None,
    };
    let (is_open_ended, row_names) = (open_ended.is_some(), open_ended.is_none());
    let layout = if let Some(columns) = open_ended.or_else(|| row_names_header(&rows, width, header)) {
        let after = rows.first().map_or(0, |row| row.end);
        Layout {
            columns,
            header: true,
            row_names,
            open_ended: is_open_ended,
            start: after as u64,
            line: line_after(splitter, bytes, &rows, 0),
            preamble: vec![],
        }
    } else if header.unwrap_or_else(|| is_header(&rows[first], &rows[first + 1..], width)) {
        let names = &rows[first].cells;
        let mut columns: Vec<String> = names.iter().map(|name| one_line(name)).collect();
        while columns.last().is_some_and(String::is_empty)
            && rows[first + 1..].iter().all(|row| last_is_empty(row, columns.len()))
        {
            columns.pop();
        }
        let above = rows[..first].iter().filter(|row| !row.is_empty());
        let preamble = above.map(|row| (row.line, raw(splitter, bytes, row))).collect();
        let line = line_after(splitter, bytes, &rows, first);
        Layout { columns, header: true, start: rows[first].end as u64, line, preamble, ..Layout::default() }
    } else {
        let columns = (1..=width).map(|place| format!("column_{place}")).collect();
        Layout { columns, line: 1, ..Layout::default() }
    };
    if layout.columns.len() > COLUMNS_MAX {
        let found = layout.columns.len();
        return Err(error::too_large(
            format!("{label} has {found} columns, more than {COLUMNS_MAX}"),
            "check the separator",
        ));
    }
    Ok(layout)
}

fn sample_rows<S: Splitter>(splitter: &S, sample: &[u8], last: bool) -> Vec<SampleRow> {
    let mut rows = Vec::new();
    let mut fields: Vec<Field> = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < sample.len() && rows.len() < SAMPLE_RECORDS {
        fields.clear();
        let scan = splitter.scan(sample, at, last, &mut fields);
        let Some(end) = scan.end() else { break };
        if let Scan::Record { .. } = scan {
            let cells: Vec<String> = fields.iter().map(|field| text(splitter, sample, field)).collect();
            let blank = cells.len() == 1 && cells[0].trim().is_empty();
            if !blank {
                let line = splitter.line_at(sample, at).unwrap_or(line);
                rows.push(SampleRow { line, start: at, end, cells });
            }
        }
        line += splitter.lines(&sample[at..end]);
        at = end.max(at + 1);
    }
    rows
}

pub(crate) fn text<S: Splitter>(splitter: &S, buffer: &[u8], field: &Field) -> String {
    let raw = field.bytes(buffer);
    if field.escaped {
        let mut text = Vec::new();
        splitter.unescape(raw, &mut text);
        return String::from_utf8_lossy(&text).into_owned();
    }
    String::from_utf8_lossy(raw).into_owned()
}

fn raw<S: Splitter>(splitter: &S, sample: &[u8], row: &SampleRow) -> String {
    if splitter.is_framed() {
        return row.cells.join("\t").trim_end().to_owned();
    }
    String::from_utf8_lossy(&sample[row.start..row.end]).trim_end().to_owned()
}

fn line_after<S: Splitter>(splitter: &S, sample: &[u8], rows: &[SampleRow], place: usize) -> u64 {
    rows.get(place).map_or(1, |row| row.line + splitter.lines(&sample[row.start..row.end]).max(1))
}

/// The number of cells that most rows have; of two equally common, the larger.
fn usual_width(rows: &[SampleRow]) -> Option<usize> {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for row in rows {
        *counts.entry(row.cells.len()).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(width, count)| (*count, *width)).map(|(width, _)| width)
}

/// R writes names of rows without a name for their column: the header has one cell less than each row.
fn row_names_header(rows: &[SampleRow], width: usize, header: Option<bool>) -> Option<Vec<String>> {
    let (first, rest) = rows.split_first()?;
    let fits = header != Some(false)
        && width >= 3
        && first.is_width(width - 1)
        && !rest.is_empty()
        && rest.iter().all(|row| row.is_width(width))
        && first.cells.iter().all(|cell| matches!(look(cell.as_bytes()), Look::Text))
        && rest.iter().any(|row| row.cells.iter().any(|cell| is_value(cell)));
    fits.then(|| std::iter::once("row_name".to_owned()).chain(first.cells.iter().map(|name| one_line(name))).collect())
}

/// The header above rows that end with separators, and it does not: what seems to be a cell more is none.
fn open_ended_header(rows: &[SampleRow], width: usize) -> Option<Vec<String>> {
    let (first, rest) = rows.split_first()?;
    let own = first.cells.len();
    let named = |cell: &String| matches!(look(cell.as_bytes()), Look::Text);
    let fits = (2..width).contains(&own)
        && (first.cells.iter().all(named) || heads_years(first, rest))
        && rest.iter().filter(|row| row.is_width(width)).all(|row| row.cells.iter().skip(own).all(String::is_empty));
    fits.then(|| first.cells.iter().map(|name| one_line(name)).collect())
}

/// Rows above the header that hold a word in their first cell alone, or nothing. `framed`: of a sheet, whose rows are all
/// of one width, as Excel writes them into a text, too.
fn titles(rows: &[SampleRow], width: usize, framed: bool) -> usize {
    let is_title = |row: &&SampleRow| {
        let (first, rest) = row.cells.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        matches!(look(first.as_bytes()), Look::Text | Look::Empty) && rest.iter().all(|cell| cell.trim().is_empty())
    };
    let titles = if width < 2 { 0 } else { rows.iter().take_while(is_title).count() };
    let Some((header, below)) = rows.get(titles..).and_then(<[SampleRow]>::split_first) else { return 0 };
    // Of two columns, the second may be without a name: only numbers below words tell a header. In a text, the first rows
    // may also be short of cells, so that all of a column must be numbers.
    let shows = match framed {
        true => width > 2 || below.iter().any(|row| row.cells.iter().any(|cell| is_value(cell))),
        false => width > 2 && has_typed_column(below, width),
    };
    let is_whole = header.cells.iter().all(|cell| !cell.trim().is_empty());
    if shows && is_whole && header.is_width(width) && is_header(header, below, width) { titles } else { 0 }
}

fn last_is_empty(row: &SampleRow, width: usize) -> bool {
    row.cells.get(width - 1).is_none_or(|cell| cell.is_empty())
}

fn one_line(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Something that stands in rows, hardly ever in a header.
fn is_value(cell: &str) -> bool {
    !matches!(look(cell.as_bytes()), Look::Text | Look::Empty | Look::Null(_))
}

/// Whether all cells of a column that hold something are numbers, dates or truth values.
fn has_typed_column(rows: &[SampleRow], width: usize) -> bool {
    let rows = || rows.iter().filter(|row| row.is_width(width));
    (0..width).any(|place| {
        let cells = rows().filter_map(|row| row.cells.get(place)).filter(|cell| !cell.trim().is_empty());
        let mut cells = cells.peekable();
        cells.peek().is_some() && cells.all(|cell| is_value(cell))
    })
}

/// A header is words: no numbers or dates among them (years may head columns of numbers), none of them found again in
/// its own column.
fn is_header(first: &SampleRow, rest: &[SampleRow], width: usize) -> bool {
    let values = first.cells.iter().filter(|cell| is_value(cell)).count();
    let empty = first.cells.iter().filter(|cell| cell.trim().is_empty()).count();
    if empty * 2 > width {
        return false;
    }
    if values > 0 {
        return heads_years(first, rest);
    }
    if has_typed_column(rest, width) {
        return true;
    }
    let rest: Vec<&SampleRow> = rest.iter().filter(|row| row.is_width(width)).collect();
    let mut seen = HashSet::new();
    let repeated = first.cells.iter().filter(|cell| !cell.is_empty()).any(|cell| !seen.insert(cell.as_str()));
    let found_again = (0..width).any(|place| {
        let name = &first.cells[place];
        !name.is_empty() && rest.iter().any(|row| row.cells[place] == *name)
    });
    !repeated && !found_again
}

/// `country,2019,2020` over numbers.
fn heads_years(first: &SampleRow, rest: &[SampleRow]) -> bool {
    let mut years = HashSet::new();
    let fits = first.cells.iter().enumerate().all(|(place, cell)| {
        if !is_value(cell) {
            return true;
        }
        let year = cell.trim().parse::<u16>().is_ok_and(|year| cell.trim().len() == 4 && (1800..=2200).contains(&year));
        // Below a year that heads a column are quantities, not years again.
        let years_below = rest.iter().filter(|row| row.cells.get(place).is_some_and(|below| is_year(below))).count();
        year && years.insert(cell.trim()) && years_below * 2 <= rest.len()
    });
    let words = first.cells.iter().any(|cell| !is_value(cell) && !cell.trim().is_empty());
    fits && words && !rest.is_empty()
}

fn is_year(cell: &str) -> bool {
    cell.trim().parse::<u16>().is_ok_and(|year| (1800..=2200).contains(&year))
}
