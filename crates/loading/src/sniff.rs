//! Which format a content has, from its first bytes, and what the user says about it.

use polder_capability::LoadOptions;
use polder_types::{Error, Result};

use crate::format::{Content, FORMATS, Format, Opened, SAMPLE_BYTES, csv};
use crate::progress::Job;
use crate::source::encoding;
use crate::source::spool::Body;
use crate::source::unpack::Part;

/// Contents that are no table, by their first bytes.
const STRANGERS: [(&[u8], &str); 12] = [
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"ORC", "an ORC file"),
    (b"ARROW1", "an Arrow file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ\0", "an XZ archive"),
    (b"\x7fELF", "a program"),
    (b"\x04\x22\x4d\x18", "an LZ4 archive"),
];

/// What the end of a name promises. Content that is something else was named wrongly, or harmed on its way: read as
/// text, it would become a table of nonsense.
const PROMISES: [(&str, &str); 12] = [
    (".parquet", "Parquet"),
    (".avro", "Avro"),
    (".xlsx", "an Excel workbook"),
    (".xlsm", "an Excel workbook"),
    (".xls", "an Excel workbook"),
    (".ods", "an OpenDocument workbook"),
    (".gz", "gzip"),
    (".zst", "Zstandard"),
    (".bz2", "bzip2"),
    (".zip", "a zip archive"),
    (".json", "JSON"),
    (".ndjson", "JSON"),
];

/// What a page begins with that came instead of the file: of a login, or of an error.
const PAGES: [(&str, &str); 3] =
    [("<!doctype html", "an HTML page"), ("<html", "an HTML page"), ("<?xml", "an XML document")];

/// Of so many bytes one may be zero; more of them make no text.
const BYTES_A_ZERO: usize = 1000;

/// Where a tar archive says that it is one.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Opens a content in the format that the user names, or in the first that recognises it.
///
/// # Errors
/// `InvalidInput` for an unknown format or an option that the format has not, `Unsupported` for content that is no
/// table, and whatever the format has to say about it.
pub(crate) fn open(part: &Part, options: &LoadOptions, job: &Job) -> Result<Vec<Opened>> {
    let chosen = chosen_format(options)?;
    if part.body.len() == 0 {
        return Err(Error::invalid(format!("{} is empty", part.label)));
    }
    let raw = Content {
        label: &part.label,
        name: &part.name,
        body: &part.body,
        head: &part.body.head(SAMPLE_BYTES)?,
        options,
        encoding: None,
        job,
    };
    let format = match chosen {
        Some(format) => Some(format),
        None => FORMATS.iter().filter(|format| !format.is_text).find(|format| (format.recognise)(&raw)),
    };
    if let Some(format) = format.filter(|format| !format.is_text) {
        refuse_idle_options(format, &part.label, options)?;
        return (format.open)(&raw);
    }
    if options.encoding.is_none() {
        refuse_stranger(&part.label, raw.head)?;
    }
    if chosen.is_none() {
        keep_promise(part, |promise| promise == "JSON")?;
    }
    open_text(part, format, options, job)
}

/// True for content in a format that is no text, which cannot be read from its beginning alone.
pub(crate) fn is_binary(part: &Part, options: &LoadOptions, job: &Job) -> bool {
    let Ok(head) = part.body.head(SAMPLE_BYTES) else { return false };
    let Part { label, name, body, .. } = part;
    let content = Content { label, name, body, head: &head, options, encoding: None, job };
    // A workbook that was cut is no whole zip any more, but still begins like one.
    head.starts_with(b"PK\x03\x04") || FORMATS.iter().any(|format| !format.is_text && (format.recognise)(&content))
}

fn open_text(part: &Part, chosen: Option<&'static Format>, options: &LoadOptions, job: &Job) -> Result<Vec<Opened>> {
    let mut text = encoding::decode(&part.label, &part.body, options.encoding.as_deref(), job)?;
    if part.cut {
        text.body = whole_lines(&text.body)?;
    }
    let content = Content {
        label: &part.label,
        name: &part.name,
        body: &text.body,
        head: &text.body.head(SAMPLE_BYTES)?,
        options,
        encoding: Some(text.encoding.name()),
        job,
    };
    let zeros = memchr::memchr_iter(0, content.head).count();
    if zeros > 1 + content.head.len() / BYTES_A_ZERO {
        return Err(unknown(&part.label));
    }
    if content.head.trim_ascii().is_empty() {
        return Err(Error::invalid(format!("{} is empty", part.label)));
    }
    if chosen.is_none() {
        refuse_page(&part.label, content.head)?;
    }
    let format = chosen
        .or_else(|| FORMATS.iter().filter(|format| format.is_text).find(|format| (format.recognise)(&content)))
        .unwrap_or(&csv::FORMAT);
    if chosen.is_none() && format.name != "json" {
        keep_promise(part, |_| false)?;
    }
    refuse_idle_options(format, &part.label, options)?;
    let mut opened = (format.open)(&content)?;
    for table in &mut opened {
        table.remarks.extend(text.remark.clone());
    }
    Ok(opened)
}

/// The format by name. A separator can only mean one format.
fn chosen_format(options: &LoadOptions) -> Result<Option<&'static Format>> {
    let Some(name) = &options.format else {
        return Ok(options.delimiter.is_some().then_some(&csv::FORMAT));
    };
    let wanted = name.trim().to_ascii_lowercase();
    FORMATS
        .iter()
        .find(|format| format.name == wanted || format.aliases.contains(&wanted.as_str()))
        .map(Some)
        .ok_or_else(|| {
            let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            let wanted: String = wanted.chars().take(64).collect();
            Error::invalid(format!("unknown format {wanted:?}")).with_hint(format!("use one of {}", names.join(", ")))
        })
}

/// An option that changes nothing is a misunderstanding.
fn refuse_idle_options(format: &Format, label: &str, options: &LoadOptions) -> Result<()> {
    let given = [
        ("delimiter", options.delimiter.is_some()),
        ("quote", options.quote.is_some()),
        ("header", options.header.is_some()),
        ("encoding", options.encoding.is_some()),
        ("nulls", options.nulls.is_some()),
    ];
    match given.iter().find(|(name, is_given)| *is_given && !format.options.contains(name)) {
        Some((name, _)) => {
            Err(Error::invalid(format!("{label} is {}, where option `{name}` means nothing", format.name))
                .with_hint("leave the option out, or name another format"))
        }
        None => Ok(()),
    }
}

fn refuse_stranger(label: &str, head: &[u8]) -> Result<()> {
    let known = STRANGERS.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what);
    let tar = head.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)).then_some("a tar archive");
    match known.or(tar) {
        Some(what) => Err(Error::unsupported(format!("{label} is {what}, which holds no table that can be loaded"))
            .with_hint("bring CSV, JSON, Parquet, Avro, Excel, ODS, logs, or these in gzip, Zstandard, bzip2 or zip")),
        None => Ok(()),
    }
}

fn refuse_page(label: &str, head: &[u8]) -> Result<()> {
    let head = head.trim_ascii_start();
    let begins = |mark: &&(&str, &str)| {
        head.get(..mark.0.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark.0.as_bytes()))
    };
    match PAGES.iter().find(begins) {
        Some((_, what)) => Err(Error::unsupported(format!("{label} is {what}, which holds no table that can be loaded"))
            .with_hint("a server may have answered with a page instead of the file: look at it; to load its lines, say --format csv")),
        None => Ok(()),
    }
}

/// Refuses content whose name promises something else, unless that is still `possible`.
fn keep_promise(part: &Part, possible: impl Fn(&str) -> bool) -> Result<()> {
    let name = part.name.to_ascii_lowercase();
    match PROMISES.iter().find(|(end, what)| name.ends_with(end) && !possible(what)) {
        Some((end, what)) => {
            Err(Error::invalid(format!("{} is not {what}, though its name ends in {end}", part.label))
                .with_hint("check that the file is whole; if it is something else, say so with --format"))
        }
        None => Ok(()),
    }
}

fn unknown(label: &str) -> Error {
    Error::unsupported(format!("{label} is binary, in no format that is known here"))
        .with_hint("bring CSV, JSON, Parquet, Avro, Excel, ODS, logs, or these in gzip, Zstandard, bzip2 or zip")
}

/// Without the line that was cut, unless it is the only one.
fn whole_lines(body: &Body) -> Result<Body> {
    let all = body.read_all(body.len())?;
    Ok(match memchr::memrchr(b'\n', &all) {
        Some(end) => body.take(end as u64 + 1),
        None => body.clone(),
    })
}
