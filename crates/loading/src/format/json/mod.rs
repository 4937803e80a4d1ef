//! JSON: one document a line, documents one after the other, or the elements of one array. What is nested stays
//! nested: objects become structs, arrays lists.

pub(crate) mod build;
pub(crate) mod evidence;
mod exact;
pub(crate) mod scan;

use std::collections::{HashMap, HashSet};

use arrow::array::ArrayRef;
use bytes::Bytes;
use polder_types::limits::JSON_DEPTH_MAX;
use polder_types::{Error, Result};
use serde::de::IgnoredAny;

use self::build::{Builder, PutDocument, Trouble};
use self::evidence::{JsonEvidence, KEYS_MAX, Look};
use self::exact::put;
use self::scan::{Found, Style, style, value};
use super::{ColumnEvidence, Content, Format, GuessedColumn, Opened, Origin, Output, Reader, Target};
use crate::error;
use crate::progress::Job;
use crate::rejects::{NO_VALUE, Reject, raw_text};
use crate::source::spool::Body;
use crate::text::column::missing;
use crate::text::reader::finish_batch;
use crate::text::split::{Fault, cut_at_line, line_end};
use crate::text::units::{Cut, Cutter, Unit, each_lane, survey};

/// Documents of one batch: nested ones may be large.
const BATCH_ROWS: usize = 16 << 10;

/// As far as the order of first appearance decides the order of columns.
const ORDER_BYTES: u64 = 16 << 20;

/// The column of documents that are no objects.
const VALUE: &str = "value";

struct JsonReader {
    label: String,
    body: Body,
    style: Style,
    /// Where the first document begins: behind an array's bracket.
    start: u64,
    /// Documents are numbers, words or lists, not objects.
    bare: bool,
    /// Keys of the first documents.
    sampled: Vec<String>,
    /// All keys, in the order of the guessed columns.
    keys: Vec<String>,
    units: Vec<Unit>,
}

impl Cut for Style {
    fn cut(&self, buffer: &[u8], least: usize, last: bool) -> Option<usize> {
        if *self == Self::Lines {
            return cut_at_line(buffer, least, last, b'\n');
        }
        let mut at = 0;
        while at < least {
            match value(buffer, at, last) {
                Found::Value { end, .. } | Found::Broken { end, .. } => at = end,
                Found::Nothing if last => return Some(buffer.len()),
                Found::Nothing | Found::More => return None,
            }
        }
        Some(at)
    }

    fn lines(&self, bytes: &[u8]) -> u64 {
        memchr::memchr_iter(b'\n', bytes).count() as u64
    }
}

/// A document, or what stands where one should.
struct Document<'a> {
    text: &'a [u8],
    line: u64,
    fault: Option<String>,
}

/// Goes through the documents of one unit.
struct Documents<'a> {
    style: Style,
    buffer: &'a [u8],
    at: usize,
    line: u64,
    done: bool,
}

impl<'a> Documents<'a> {
    fn new(style: Style, buffer: &'a [u8], line: u64) -> Self {
        Self { style, buffer, at: 0, line, done: false }
    }

    fn next_line(&mut self) -> Option<Document<'a>> {
        while self.at < self.buffer.len() {
            let (end, next) = line_end(self.buffer, self.at, true, b'\n')?;
            let text = self.buffer[self.at..end].trim_ascii();
            let line = self.line;
            self.at = next;
            self.line += 1;
            if text.is_empty() {
                continue;
            }
            let fault = match value(text, 0, true) {
                Found::Value { end, depth, .. } if text[end..].trim_ascii().is_empty() => too_deep(depth),
                Found::Value { .. } => Some("text behind the document".into()),
                _ => Some("not a whole JSON document".into()),
            };
            return Some(Document { text, line, fault });
        }
        None
    }

    fn next_value(&mut self) -> Option<Document<'a>> {
        if self.done {
            return None;
        }
        let before = self.at;
        let (start, end, fault) = match value(self.buffer, self.at, true) {
            Found::Nothing | Found::More => return None,
            Found::Value { start, end, depth } => (start, end, too_deep(depth)),
            Found::Broken { start, end } => {
                let text = &self.buffer[start..end];
                if self.style == Style::Array && text.first() == Some(&b']') {
                    return self.behind_array(start + 1);
                }
                (start, end, Some("not a whole JSON document".into()))
            }
        };
        let count = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count() as u64;
        let line = self.line + count(&self.buffer[before..start]);
        self.line = line + count(&self.buffer[start..end]);
        self.at = end;
        Some(Document { text: &self.buffer[start..end], line, fault })
    }

    /// Behind an array's end there may only be blanks.
    fn behind_array(&mut self, at: usize) -> Option<Document<'a>> {
        self.done = true;
        let text = self.buffer.get(at..)?.trim_ascii();
        (!text.is_empty()).then(|| Document {
            text,
            line: self.line,
            fault: Some("text behind the array's end".into()),
        })
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Document<'a>;

    fn next(&mut self) -> Option<Document<'a>> {
        match self.style {
            Style::Lines => self.next_line(),
            Style::Stream | Style::Array => self.next_value(),
        }
    }
}

fn too_deep(depth: usize) -> Option<String> {
    (depth > JSON_DEPTH_MAX).then(|| format!("nested {depth} deep, and {JSON_DEPTH_MAX} is the most"))
}

/// Why a text is no JSON, or nothing. Where is told by the column, since the line is the document's own.
fn syntax_fault(text: &[u8]) -> Option<String> {
    if std::str::from_utf8(text).is_err() {
        return Some(Fault::InvalidEncoding.to_string());
    }
    serde_json::from_slice::<IgnoredAny>(text).err().map(|error| json_message(&error))
}

/// Without the place, which counts from the document's beginning and would mislead.
fn json_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    if error.column() == 0 {
        return format!("invalid JSON: {message}");
    }
    format!("invalid JSON at byte {}: {message}", error.column())
}

impl JsonReader {
    fn look(&self, line: u64, bytes: &[u8], evidence: &mut JsonEvidence) {
        for document in Documents::new(self.style, bytes, line) {
            let readable = document.fault.is_none()
                && syntax_fault(document.text).is_none()
                && (self.bare || document.text.first() == Some(&b'{'));
            if readable {
                // A number that no double holds is found again, and refused, by the second pass.
                let _ = put(document.text, Look(evidence));
            }
        }
    }

    /// Why no document has given a column.
    fn why_empty(&self) -> Result<Error> {
        let Some(unit) = self.units.first() else {
            return Ok(error::broken(&self.label, "JSON", "it holds no document"));
        };
        let bytes = unit.read(&mut self.body.reader()?)?;
        let first = Documents::new(self.style, &bytes, unit.line).next();
        let fault = match first {
            _ if unit.oversized => Some((unit.line, Fault::RecordTooLong.to_string())),
            Some(document) => {
                document.fault.or_else(|| syntax_fault(document.text)).map(|fault| (document.line, fault))
            }
            None => None,
        };
        Ok(match fault {
            Some((line, fault)) => error::broken(&self.label, "JSON", format_args!("line {line}: {fault}")),
            None => error::broken(&self.label, "JSON", "its documents have no keys"),
        })
    }

    fn columns_of(&self, evidence: JsonEvidence) -> Result<Vec<GuessedColumn>> {
        let guess = |source: String, evidence: JsonEvidence| GuessedColumn {
            source,
            evidence: ColumnEvidence::Json(Box::new(evidence)),
            usual: None,
            origin: Origin::File,
        };
        if self.bare {
            return Ok(vec![guess(VALUE.into(), evidence)]);
        }
        if evidence.too_many_keys() {
            return Err(error::too_large(
                format!("{} has more than {KEYS_MAX} different keys, so they are no columns", self.label),
                "turn the keys into values of one column first",
            ));
        }
        Ok(evidence.into_fields().into_iter().map(|(key, field)| guess(key, field)).collect())
    }

    fn read_unit(&self, lane: usize, unit: &Unit, bytes: &Bytes, plan: &Plan<'_>, output: &dyn Output) -> Result<()> {
        let refuse = |line: u64, raw: &[u8], column: Option<String>, reason: String| {
            output.reject(lane, Reject { source: self.label.clone(), line, column, reason, raw: raw_text(raw) })
        };
        if unit.oversized {
            return refuse(unit.line, bytes, None, Fault::RecordTooLong.to_string());
        }
        let mut batch = Batch::new(plan)?;
        for document in Documents::new(self.style, bytes, unit.line) {
            let fault = document.fault.or_else(|| syntax_fault(document.text));
            if let Some(fault) = fault {
                refuse(document.line, document.text, None, fault)?;
                continue;
            }
            if let Some((column, reason)) = batch.add(document.text, self.bare) {
                refuse(document.line, document.text, column, reason)?;
            }
            if batch.rows == BATCH_ROWS {
                output.batch(lane, std::mem::replace(&mut batch, Batch::new(plan)?).finish(output)?)?;
            }
        }
        if batch.rows > 0 {
            output.batch(lane, batch.finish(output)?)?;
        }
        Ok(())
    }
}

/// How keys become columns of the table.
struct Plan<'a> {
    targets: &'a [Target],
    /// Of each builder: the place of its target.
    built: Vec<usize>,
    keys: Vec<String>,
    places: HashMap<String, usize>,
    skipped: HashSet<String>,
}

impl<'a> Plan<'a> {
    fn new(targets: &'a [Target], all_keys: &[String]) -> Self {
        let mut order: Vec<(usize, usize)> =
            targets.iter().enumerate().filter_map(|(target, with)| Some((with.place?, target))).collect();
        // In the order of the documents' keys, so that the guess of the next key mostly holds.
        order.sort_unstable();
        let key_of = |place: usize| all_keys.get(place).cloned().unwrap_or_else(|| VALUE.into());
        let keys: Vec<String> = order.iter().map(|(place, _)| key_of(*place)).collect();
        let places: HashMap<String, usize> =
            keys.iter().cloned().enumerate().map(|(place, key)| (key, place)).collect();
        let skipped = all_keys.iter().filter(|key| !places.contains_key(*key)).cloned().collect();
        Self { targets, built: order.into_iter().map(|(_, target)| target).collect(), keys, places, skipped }
    }
}

struct Batch<'a> {
    plan: &'a Plan<'a>,
    builders: Vec<Builder>,
    rows: usize,
    dropped: Vec<usize>,
}

impl<'a> Batch<'a> {
    fn new(plan: &'a Plan<'a>) -> Result<Self> {
        let builders: Result<Vec<Builder>> = plan
            .built
            .iter()
            .filter_map(|target| plan.targets.get(*target))
            .map(|target| Builder::new(&target.plan, &target.plan.data_type))
            .collect();
        Ok(Self { plan, builders: builders?, rows: 0, dropped: Vec::new() })
    }

    /// Adds a document. Gives the column and the reason if it is refused.
    fn add(&mut self, text: &[u8], bare: bool) -> Option<(Option<String>, String)> {
        let mut trouble = Trouble::default();
        let mut column = None;
        let outcome = if bare {
            match self.builders.first_mut() {
                Some(builder) => put(text, build::Put { builder, trouble: &mut trouble }),
                None => Ok(()),
            }
        } else if text.first() == Some(&b'{') {
            let document = PutDocument {
                columns: &mut self.builders,
                places: &self.plan.places,
                keys: &self.plan.keys,
                skipped: &self.plan.skipped,
                row: self.rows,
                trouble: &mut trouble,
                column: &mut column,
            };
            put(text, document)
        } else {
            trouble.reason = Some("not an object, as the other documents are".into());
            Ok(())
        };
        if let Err(error) = outcome {
            trouble.reason.get_or_insert(json_message(&error));
        }
        self.rows += 1;
        for (builder, target) in self.builders.iter_mut().zip(&self.plan.built) {
            builder.pad(self.rows);
            let required = self.plan.targets.get(*target).filter(|target| target.plan.required);
            if let Some(target) = required.filter(|_| trouble.reason.is_none() && builder.last_is_missing()) {
                trouble.reason = Some(NO_VALUE.into());
                column = Some(target.plan.source.clone());
            }
        }
        let reason = trouble.reason?;
        self.dropped.push(self.rows - 1);
        Some((column, reason))
    }

    fn finish(self, output: &dyn Output) -> Result<arrow::array::RecordBatch> {
        let schema = output.schema();
        let mut arrays: Vec<ArrayRef> =
            schema.fields().iter().map(|field| missing(field.data_type(), self.rows)).collect();
        for (builder, target) in self.builders.into_iter().zip(&self.plan.built) {
            if let Some(array) = arrays.get_mut(*target) {
                *array = builder.finish()?;
            }
        }
        finish_batch(schema, arrays, self.rows, &self.dropped)
    }
}

impl Reader for JsonReader {
    fn columns(&self) -> Vec<String> {
        self.sampled.clone()
    }

    fn infer(&mut self, _given: &dyn Fn(&str) -> bool, job: &Job) -> Result<Vec<GuessedColumn>> {
        let cutter = Cutter::new(&self.body, &self.style, self.start, 1)?;
        let new = Vec::<(u64, JsonEvidence)>::new;
        let (mut units, gathered) = survey(cutter, job, new, |unit, bytes, evidence| {
            if unit.oversized {
                return Ok(());
            }
            match evidence.last_mut() {
                // The order of the columns is settled by now, and the number of units has no bound.
                Some((offset, last)) if *offset > self.start + ORDER_BYTES => self.look(unit.line, bytes, last),
                _ => {
                    let mut mine = JsonEvidence::default();
                    self.look(unit.line, bytes, &mut mine);
                    evidence.push((unit.offset, mine));
                }
            }
            Ok(())
        })?;
        units.sort_by_key(|unit| unit.offset);
        // By place, so that the columns come in the order of the file whichever thread was faster.
        let mut gathered: Vec<(u64, JsonEvidence)> = gathered.into_iter().flatten().collect();
        gathered.sort_by_key(|(offset, _)| *offset);
        let mut whole = JsonEvidence::default();
        for (_, evidence) in gathered {
            whole.merge(evidence);
        }
        self.units = units;
        let columns = self.columns_of(whole)?;
        if columns.is_empty() {
            return Err(self.why_empty()?);
        }
        self.keys = columns.iter().map(|column| column.source.clone()).collect();
        Ok(columns)
    }

    fn read(&self, targets: &[Target], output: &dyn Output, job: &Job) -> Result<()> {
        let plan = Plan::new(targets, &self.keys);
        each_lane(&self.body, &self.units, output.lanes(), job, |lane, unit, bytes| {
            self.read_unit(lane, unit, bytes, &plan, output)
        })
    }

    fn bytes(&self) -> u64 {
        self.body.len()
    }
}

fn open(content: &Content<'_>) -> Result<Vec<Opened>> {
    let head = content.head;
    let Some(style) = style(head) else {
        return Err(error::broken(content.label, "JSON", "it begins neither with { nor with ["));
    };
    let bracket = head.iter().position(|byte| *byte == b'[').filter(|_| style == Style::Array);
    let start = bracket.map_or(0, |bracket| bracket as u64 + 1);
    let first = usize::try_from(start).unwrap_or(0);
    let bare = Documents::new(style, &head[first..], 1).find(|document| document.fault.is_none());
    let bare = bare.is_some_and(|document| document.text.first() != Some(&b'{'));
    let mut reader = JsonReader {
        label: content.label.into(),
        body: content.body.clone(),
        style,
        start,
        bare,
        sampled: Vec::new(),
        keys: Vec::new(),
        units: Vec::new(),
    };
    let mut sample = JsonEvidence::default();
    reader.look(1, &head[first..], &mut sample);
    reader.sampled = if bare { vec![VALUE.into()] } else { sample.keys().map(str::to_owned).collect() };
    let how = match style {
        Style::Lines => "one document a line",
        Style::Stream => "documents one after the other",
        Style::Array => "the elements of one array",
    };
    Ok(vec![Opened {
        label: content.label.into(),
        name: content.name.into(),
        format: FORMAT.name,
        reader: Box::new(reader),
        options: content.found(FORMAT.name),
        remarks: vec![format!("read as JSON, {how}")],
        sure: true,
        section: String::new(),
    }])
}

pub(crate) const FORMAT: Format = Format {
    name: "json",
    aliases: &["ndjson", "jsonl"],
    is_text: true,
    options: &["encoding"],
    recognise: |content| {
        style(content.head).is_some_and(|style| {
            let first = Documents::new(style, content.head, 1).next();
            // Text in brackets that is no JSON may still be a table: `[a];[b]`.
            let array = content.head.trim_ascii_start().first() == Some(&b'[');
            !array || first.is_none_or(|document| document.fault.is_none() || document.text.starts_with(b"["))
        })
    },
    open,
};
