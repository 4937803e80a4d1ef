//! Workbooks of Excel and OpenDocument: each sheet is a table.
//!
//! They can only be read as a whole, so their size is bounded. A sheet becomes records of text cells, which are then
//! looked at like any other text: a column of numbers with one `n/a` is a column of numbers.

use std::io::{BufReader, Read, Write};

use calamine::{Data, DataRef, ExcelDateTime, Reader as _, SheetType, SheetVisible};
use polder_capability::LoadOptions;
use polder_types::limits::{COLUMNS_MAX, DECOMPRESSED_BYTES_FREE, DECOMPRESSION_RATIO_MAX, WORKBOOK_BYTES_MAX};
use polder_types::{Error, Result};

use super::{Content, Format, Opened};
use crate::error;
use crate::names::counted;
use crate::progress::Job;
use crate::source::spool::{Body, BodyReader, Spool};
use crate::source::unpack::is_workbook;
use crate::text::layout::{self, Sample};
use crate::text::reader::CellReader;
use crate::text::split::{Field, RECORD_BYTES_MAX, Scan, Splitter};

/// What all parts of a workbook may unpack to together.
const UNPACKED_BYTES_MAX: u64 = 2 << 30;

/// Sheets of one workbook.
const SHEETS_MAX: usize = 1000;

const ZIP: &[u8] = b"PK\x03\x04";
const OLE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// The container's kind, by what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Xlsx,
    Xlsb,
    Xls,
    Ods,
}

fn kind(head: &[u8], body: &Body) -> Option<Kind> {
    if head.starts_with(OLE) {
        return Some(Kind::Xls);
    }
    if !head.starts_with(ZIP) || !is_workbook(body) {
        return None;
    }
    let archive = zip::ZipArchive::new(BufReader::new(body.reader().ok()?)).ok()?;
    if archive.index_for_name("xl/workbook.xml").is_some() {
        Some(Kind::Xlsx)
    } else if archive.index_for_name("xl/workbook.bin").is_some() {
        Some(Kind::Xlsb)
    } else {
        Some(Kind::Ods)
    }
}

/// Records with their lengths in front: the row's number, the number of cells, then each cell's length and text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Frames;

const NUMBER_BYTES: usize = 4;

fn number_at(buffer: &[u8], at: usize) -> Option<usize> {
    let bytes = buffer.get(at..at + NUMBER_BYTES)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
}

impl Splitter for Frames {
    fn scan(&self, buffer: &[u8], at: usize, _last: bool, fields: &mut Vec<Field>) -> Scan {
        let Some(count) = number_at(buffer, at + NUMBER_BYTES) else { return Scan::More };
        let mut place = at + 2 * NUMBER_BYTES;
        for _ in 0..count {
            let Some(len) = number_at(buffer, place) else { return Scan::More };
            place += NUMBER_BYTES;
            if place + len > buffer.len() {
                return Scan::More;
            }
            fields.push(Field::plain(place, place + len));
            place += len;
        }
        Scan::Record { end: place }
    }

    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize> {
        let mut fields = Vec::new();
        let mut at = 0;
        while at < least {
            fields.clear();
            at = self.scan(buffer, at, last, &mut fields).end()?;
        }
        Some(at)
    }

    fn lines(&self, _bytes: &[u8]) -> u64 {
        1
    }

    fn is_framed(&self) -> bool {
        true
    }

    fn line_at(&self, buffer: &[u8], at: usize) -> Option<u64> {
        number_at(buffer, at).map(|row| row as u64)
    }
}

/// Writes one sheet as frames. Rows without any value are left out.
struct FrameWriter<'a> {
    spool: Spool<'a>,
    row: u32,
    cells: Vec<(u32, String)>,
    /// Columns before the first used one, and behind the last.
    first: u32,
    end: u32,
    failed_cells: u64,
    job: &'a Job,
}

impl<'a> FrameWriter<'a> {
    fn new((first, end): (u32, u32), job: &'a Job) -> Self {
        Self { spool: Spool::new(job), row: 0, cells: Vec::new(), first, end, failed_cells: 0, job }
    }

    fn push(&mut self, row: u32, column: u32, text: String) -> Result<()> {
        if row != self.row {
            self.end_row()?;
            self.row = row;
        }
        self.cells.push((column, text));
        Ok(())
    }

    fn end_row(&mut self) -> Result<()> {
        let cells = std::mem::take(&mut self.cells);
        if cells.iter().all(|(_, text)| text.is_empty()) {
            return Ok(());
        }
        if self.row.is_multiple_of(1024) {
            self.job.check()?;
        }
        let mut texts = vec![""; (self.end - self.first) as usize];
        for (column, text) in &cells {
            if let Some(place) = column.checked_sub(self.first).and_then(|place| texts.get_mut(place as usize)) {
                *place = text;
            }
        }
        let mut frame = Vec::new();
        frame.extend((self.row + 1).to_le_bytes());
        frame.extend(length(texts.len())?.to_le_bytes());
        for text in texts {
            frame.extend(length(text.len())?.to_le_bytes());
            frame.extend(text.as_bytes());
        }
        if frame.len() > RECORD_BYTES_MAX {
            return Err(error::too_large(
                format!("row {} is longer than {RECORD_BYTES_MAX} bytes", self.row + 1),
                "shorten its cells",
            ));
        }
        self.spool.write_all(&frame).map_err(|error| error::io("cannot keep a sheet", error))
    }

    fn finish(mut self) -> Result<(Body, u64)> {
        self.end_row()?;
        Ok((self.spool.finish()?.0, self.failed_cells))
    }
}

fn length(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| error::too_large("a cell is longer than 4 GiB", "shorten it"))
}

/// A sheet as text cells.
struct Sheet {
    name: String,
    body: Body,
    failed_cells: u64,
}

fn open(content: &Content<'_>) -> Result<Vec<Opened>> {
    let label = content.label;
    if content.body.len() > WORKBOOK_BYTES_MAX {
        return Err(error::too_large(
            format!(
                "{label} has {} bytes; a workbook is read as a whole, so {WORKBOOK_BYTES_MAX} is the most",
                content.body.len()
            ),
            "save its sheets as CSV and load those",
        ));
    }
    let kind = kind(content.head, content.body)
        .ok_or_else(|| error::broken(label, "workbook", "it is neither an Excel nor an OpenDocument file"))?;
    if kind != Kind::Xls {
        refuse_bomb(label, content.body, content.job)?;
    }
    let (sheets, mut left_out) = sheets(label, kind, content)?;
    let name = if kind == Kind::Ods { ODS.name } else { EXCEL.name };
    let several = sheets.len() + left_out.len() > 1;
    let mut opened = Vec::new();
    for sheet in sheets {
        if sheet.body.len() == 0 {
            left_out.push(format!("sheet `{}` is empty", sheet.name));
            continue;
        }
        opened.push(open_sheet(content, sheet, name, several)?);
    }
    match opened.first_mut() {
        Some(first) => first.remarks.append(&mut left_out),
        None => return Err(Error::invalid(format!("{label} has no sheet with cells"))),
    }
    Ok(opened)
}

fn open_sheet(content: &Content<'_>, sheet: Sheet, format: &'static str, several: bool) -> Result<Opened> {
    let label = if several { format!("{} sheet {}", content.label, sheet.name) } else { content.label.to_owned() };
    let head = sheet.body.head(super::SAMPLE_BYTES)?;
    let whole = head.len() as u64 == sheet.body.len();
    let sample = Sample { bytes: &head, is_whole: whole, header: content.options.header, label: &label };
    let layout = layout::find(&Frames, sample)?;
    let mut remarks = Vec::new();
    remarks.extend(layout.remark("row"));
    if sheet.failed_cells > 0 {
        remarks.push(format!("{} with an error such as #DIV/0! are missing", counted(sheet.failed_cells, "cell")));
    }
    let name =
        if several { format!("{}_{}", crate::names::stem(content.name), sheet.name) } else { content.name.to_owned() };
    let options = LoadOptions { header: Some(layout.header), ..content.found(format) };
    let reader = CellReader::new(Frames, &label, sheet.body, layout, content.options.nulls.as_deref());
    Ok(Opened { label, name, format, reader: Box::new(reader), options, remarks, sure: true, section: sheet.name })
}

/// Unpacks every part once, for its size alone: a reader of workbooks takes each into memory.
fn refuse_bomb(label: &str, body: &Body, job: &Job) -> Result<()> {
    let wrong = |error: &dyn std::fmt::Display| error::broken(label, "workbook", error);
    let mut archive = zip::ZipArchive::new(BufReader::new(body.reader()?)).map_err(|error| wrong(&error))?;
    let bound = DECOMPRESSED_BYTES_FREE.max(body.len().saturating_mul(DECOMPRESSION_RATIO_MAX)).min(UNPACKED_BYTES_MAX);
    let mut total = 0_u64;
    let mut buffer = vec![0; 256 << 10];
    for place in 0..archive.len() {
        let mut part = archive.by_index(place).map_err(|error| wrong(&error))?;
        loop {
            job.check()?;
            let count = part.read(&mut buffer).map_err(|error| wrong(&error))?;
            if count == 0 {
                break;
            }
            total += count as u64;
            if total > bound {
                return Err(error::too_large(
                    format!("{label} unpacks to more than {bound} bytes"),
                    "if it is no trap, save its sheets as CSV and load those",
                ));
            }
        }
    }
    Ok(())
}

type Source = BufReader<BodyReader>;

/// Reads a sheet cell by cell, twice: the first time only for its width, so that a cell far out costs no memory.
macro_rules! stream_sheet {
    ($book:expr, $name:expr, $job:expr, $wrong:expr) => {{
        let mut width = Width::default();
        {
            let mut cells = $book.worksheet_cells_reader($name).map_err(|error| $wrong(&error))?;
            while let Some(cell) = cells.next_cell().map_err(|error| $wrong(&error))? {
                width.see(cell.get_position().1, matches!(cell.get_value(), DataRef::Empty));
            }
        }
        let mut frames = FrameWriter::new(width.bounded($name)?, $job);
        let mut cells = $book.worksheet_cells_reader($name).map_err(|error| $wrong(&error))?;
        while let Some(cell) = cells.next_cell().map_err(|error| $wrong(&error))? {
            let (row, column) = cell.get_position();
            let text = text_of(&Data::from(cell.get_value().clone()), &mut frames.failed_cells);
            frames.push(row, column, text)?;
        }
        let (body, failed_cells) = frames.finish()?;
        Ok(Sheet { name: $name.into(), body, failed_cells })
    }};
}

/// The sheets' cells, and remarks about sheets that have none.
fn sheets(label: &str, kind: Kind, content: &Content<'_>) -> Result<(Vec<Sheet>, Vec<String>)> {
    let source = BufReader::with_capacity(256 << 10, content.body.reader()?);
    let wrong = |error: &dyn std::fmt::Display| error::broken(label, "workbook", error);
    match kind {
        Kind::Xlsx => {
            let mut book = calamine::Xlsx::<Source>::new(source).map_err(|error| wrong(&error))?;
            each_sheet(book.sheets_metadata().to_vec(), |name| stream_sheet!(book, name, content.job, wrong))
        }
        Kind::Xlsb => {
            let mut book = calamine::Xlsb::<Source>::new(source).map_err(|error| wrong(&error))?;
            each_sheet(book.sheets_metadata().to_vec(), |name| stream_sheet!(book, name, content.job, wrong))
        }
        Kind::Xls => {
            let mut book = calamine::Xls::<Source>::new(source).map_err(|error| wrong(&error))?;
            each_sheet(book.sheets_metadata().to_vec(), |name| {
                let range = book.worksheet_range(name).map_err(|error| wrong(&error))?;
                range_sheet(&range, name, content.job)
            })
        }
        Kind::Ods => {
            let mut book = calamine::Ods::<Source>::new(source).map_err(|error| wrong(&error))?;
            each_sheet(book.sheets_metadata().to_vec(), |name| {
                let range = book.worksheet_range(name).map_err(|error| wrong(&error))?;
                range_sheet(&range, name, content.job)
            })
        }
    }
}

fn each_sheet(
    sheets: Vec<calamine::Sheet>,
    mut read: impl FnMut(&str) -> Result<Sheet>,
) -> Result<(Vec<Sheet>, Vec<String>)> {
    if sheets.len() > SHEETS_MAX {
        return Err(error::too_large(
            format!("{} sheets are more than {SHEETS_MAX}", sheets.len()),
            "split the workbook",
        ));
    }
    let (mut read_ones, mut left_out) = (Vec::new(), Vec::new());
    for sheet in sheets {
        if sheet.typ != SheetType::WorkSheet {
            left_out.push(format!("sheet `{}` is a chart or macro and is left out", sheet.name));
        } else if sheet.visible != SheetVisible::Visible {
            left_out.push(format!("sheet `{}` is hidden and is left out", sheet.name));
        } else {
            read_ones.push(read(&sheet.name)?);
        }
    }
    Ok((read_ones, left_out))
}

fn range_sheet(range: &calamine::Range<Data>, name: &str, job: &Job) -> Result<Sheet> {
    let mut width = Width::default();
    let (first_row, first_column) = range.start().unwrap_or_default();
    for (_, column, value) in range.used_cells() {
        width.see(first_column + narrow(column), matches!(value, Data::Empty));
    }
    let mut frames = FrameWriter::new(width.bounded(name)?, job);
    for (row, column, value) in range.used_cells() {
        let text = text_of(value, &mut frames.failed_cells);
        frames.push(first_row + narrow(row), first_column + narrow(column), text)?;
    }
    let (body, failed_cells) = frames.finish()?;
    Ok(Sheet { name: name.into(), body, failed_cells })
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The used columns of a sheet.
#[derive(Default)]
struct Width(Option<(u32, u32)>);

impl Width {
    fn see(&mut self, column: u32, empty: bool) {
        if !empty {
            let (first, end) = self.0.unwrap_or((column, column + 1));
            self.0 = Some((first.min(column), end.max(column + 1)));
        }
    }

    fn bounded(&self, sheet: &str) -> Result<(u32, u32)> {
        let (first, end) = self.0.unwrap_or_default();
        if (end - first) as usize > COLUMNS_MAX {
            return Err(error::too_large(
                format!("sheet `{sheet}` has {} columns, more than {COLUMNS_MAX}", end - first),
                "clear the cells far out",
            ));
        }
        Ok((first, end))
    }
}

/// A cell as text that is read back without loss. A cell that holds an error is missing.
fn text_of(value: &Data, failed_cells: &mut u64) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Bool(value) => value.to_string(),
        Data::Int(value) => value.to_string(),
        Data::Float(value) => float(*value),
        Data::DateTime(moment) if moment.is_datetime() => moment_of(moment),
        Data::DateTime(duration) => duration_of(duration),
        Data::DateTimeIso(text) => text.strip_suffix("T00:00:00").unwrap_or(text).to_owned(),
        Data::DurationIso(text) => text.clone(),
        Data::Error(_) => {
            *failed_cells += 1;
            String::new()
        }
    }
}

/// Excel has no integers: 12 is kept as 12.0.
fn float(value: f64) -> String {
    let whole = value.fract() == 0.0 && value.abs() < 1e15;
    if whole { format!("{value:.0}") } else { value.to_string() }
}

fn moment_of(moment: &ExcelDateTime) -> String {
    match moment.as_datetime() {
        // A number below one is a time of day without a date.
        Some(moment_read) if moment.as_f64() < 1.0 => moment_read.format("%H:%M:%S").to_string(),
        Some(read) if read.time() == chrono::NaiveTime::MIN => read.format("%Y-%m-%d").to_string(),
        Some(read) => read.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
        None => float(moment.as_f64()),
    }
}

fn duration_of(duration: &ExcelDateTime) -> String {
    let seconds = duration.as_duration().map_or(0, |duration| duration.num_seconds());
    let (sign, seconds) = if seconds < 0 { ("-", -seconds) } else { ("", seconds) };
    format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

pub(crate) const EXCEL: Format = Format {
    name: "excel",
    aliases: &["xlsx", "xls", "xlsb", "xlsm"],
    is_text: false,
    options: &["header", "nulls"],
    recognise: |content| kind(content.head, content.body).is_some_and(|kind| kind != Kind::Ods),
    open,
};

pub(crate) const ODS: Format = Format {
    name: "ods",
    aliases: &["opendocument"],
    is_text: false,
    options: &["header", "nulls"],
    recognise: |content| kind(content.head, content.body) == Some(Kind::Ods),
    open,
};
