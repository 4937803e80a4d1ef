//! Which separator and quotes a text has.

use super::blanks::Blanks;
use super::csv::{Dialect, NO_DELIMITER};
use crate::infer::cell::{Look, look};
use crate::text::split::{Field, Scan, Splitter};

/// Separators of tables, the rarest in prose first: of two that fit equally well, the earlier is meant.
const USUAL: [u8; 4] = [b'\t', b'|', b';', b','];

/// Separators that are also common in cells, so they must fit everywhere.
const UNUSUAL: [u8; 5] = [0x01, 0x1f, b'^', b'~', b':'];

/// The share of records that have as many cells as most.
const USUAL_SHARE: f64 = 0.75;

/// Lines above a header that are looked at.
const TITLES_MAX: usize = 20;

const SAMPLE_BYTES: usize = 256 << 10;
const SAMPLE_RECORDS: usize = 500;

/// How well a way of splitting fits.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fit {
    /// The number of cells that most records have.
    width: usize,
    /// The share of records that have it.
    share: f64,
}

/// The dialect of a text, if any separator splits it evenly. What the user has said is taken as it is.
pub(crate) fn find(sample: &[u8], last: bool, delimiter: Option<u8>, quote: Option<u8>) -> Option<Dialect> {
    let sample = &sample[..sample.len().min(SAMPLE_BYTES)];
    let newline = newline_of(sample);
    let sample = whole_lines(sample, last, newline);
    let quote = quote.unwrap_or_else(|| quote_of(sample));
    let base = Dialect { delimiter: NO_DELIMITER, quote: Some(quote), escape: None, newline };
    // A backslash is only an escape where more records fit with it than without.
    let escapes = memchr::memmem::find(sample, &[b'\\', quote]).is_some();
    let bases = [Some(base), escapes.then_some(Dialect { escape: Some(b'\\'), ..base })];
    let mut found: Option<(Fit, Dialect)> = None;
    for base in bases.into_iter().flatten() {
        let candidate = match delimiter {
            Some(delimiter) => {
                let dialect = Dialect { delimiter, ..base };
                Some((fit_of(&dialect, sample).unwrap_or(Fit { width: 0, share: 0.0 }), dialect))
            }
            None => best(sample, &USUAL, base, is_usual_fit).or_else(|| best(sample, &UNUSUAL, base, is_unusual_fit)),
        };
        if let Some((fit, dialect)) = candidate
            && found.is_none_or(|(known, _)| fit.share > known.share)
        {
            found = Some((fit, dialect));
        }
    }
    found.map(|(_, dialect)| dialect)
}

/// Most rows fit; or, in a small and dirty file, the first does and looks like a header.
fn is_usual_fit(fit: Fit, dialect: &Dialect, sample: &[u8]) -> bool {
    let is_even = |share: f64| share >= USUAL_SHARE;
    fit.width >= 2
        && (is_even(fit.share)
            || fit.share >= 0.4 && begins_with_header(dialect, sample, fit.width)
            || below_titles(dialect, sample).is_some_and(|below| {
                begins_with_header(dialect, below, fit.width)
                    && fit_of(dialect, below).is_some_and(|found| found.width == fit.width && is_even(found.share))
            }))
}

/// What stands below lines of one cell and blank ones, if there are any.
fn below_titles<'a>(dialect: &Dialect, sample: &'a [u8]) -> Option<&'a [u8]> {
    let mut fields = Vec::new();
    let mut at = 0;
    for _ in 0..TITLES_MAX {
        fields.clear();
        let scan = dialect.scan(sample, at, true, &mut fields);
        if fields.len() > 1 {
            break;
        }
        at = scan.end().filter(|end| *end > at)?;
    }
    sample.get(at..).filter(|below| at > 0 && !below.is_empty())
}

fn is_unusual_fit(fit: Fit, _dialect: &Dialect, _sample: &[u8]) -> bool {
    fit.width >= 3 && fit.share >= 0.98
}

/// Short words without a blank before them, as many as the rows have cells, or one less as R writes them.
fn begins_with_header(dialect: &Dialect, sample: &[u8], width: usize) -> bool {
    let mut fields = Vec::new();
    let scan = dialect.scan(sample, 0, true, &mut fields);
    let is_name = |cell: &[u8]| !cell.is_empty() && cell.len() <= 64 && cell[0] != b' ' && look(cell) == Look::Text;
    matches!(scan, Scan::Record { .. })
        && (fields.len() == width || (width >= 3 && fields.len() + 1 == width))
        && fields.iter().all(|field| is_name(field.bytes(sample)))
}

/// Text of one column.
pub(crate) fn one_column(sample: &[u8], quote: Option<u8>) -> Dialect {
    Dialect { delimiter: NO_DELIMITER, quote: quote.or(Some(b'"')), escape: None, newline: newline_of(sample) }
}

/// True if nearly every line splits into the same number of words, and they are more than prose: numbers or dates
/// among them, quotes, or blanks in a row.
pub(crate) fn is_blanks(sample: &[u8], last: bool) -> bool {
    let splitter = Blanks { quote: Some(b'"') };
    let sample = whole_lines(&sample[..sample.len().min(SAMPLE_BYTES)], last, b'\n');
    let mut widths: Vec<usize> = Vec::new();
    measure(&splitter, sample, &mut widths);
    let even = fit(&widths).is_some_and(|fit| fit.width >= 2 && fit.share >= 0.95);
    if !even || widths.len() < 2 {
        return false;
    }
    let mut fields = Vec::new();
    let mut at = 0;
    while let Some(end) = (at < sample.len()).then(|| splitter.scan(sample, at, true, &mut fields).end()).flatten() {
        at = end.max(at + 1);
    }
    let is_value = |field: &Field| field.quoted || !matches!(look(field.bytes(sample)), Look::Text | Look::Null(_));
    fields.iter().filter(|field| is_value(field)).count() * 4 >= widths.len()
        || memchr::memmem::find_iter(sample, b"  ").count() * 2 >= widths.len()
}

/// Of separators that fit equally well, the first of the list.
fn best(
    sample: &[u8],
    delimiters: &[u8],
    base: Dialect,
    is_fit: fn(Fit, &Dialect, &[u8]) -> bool,
) -> Option<(Fit, Dialect)> {
    let mut best: Option<(Fit, Dialect)> = None;
    for delimiter in delimiters {
        let dialect = Dialect { delimiter: *delimiter, ..base };
        let Some(fit) = fit_of(&dialect, sample) else { continue };
        if is_fit(fit, &dialect, sample) && best.is_none_or(|(known, _)| fit.share > known.share) {
            best = Some((fit, dialect));
        }
    }
    best
}

fn fit_of(splitter: &impl Splitter, sample: &[u8]) -> Option<Fit> {
    let mut widths = Vec::new();
    measure(splitter, sample, &mut widths);
    fit(&widths)
}

/// The number of cells of each record; 0 for one that is broken.
fn measure(splitter: &impl Splitter, sample: &[u8], widths: &mut Vec<usize>) {
    let mut fields = Vec::new();
    let mut at = 0;
    while at < sample.len() && widths.len() < SAMPLE_RECORDS {
        fields.clear();
        let scan = splitter.scan(sample, at, true, &mut fields);
        match scan {
            Scan::Record { .. } => widths.push(fields.len()),
            Scan::Broken { .. } => widths.push(0),
            Scan::Blank { .. } | Scan::More => {}
        }
        at = scan.end().unwrap_or(sample.len()).max(at + 1);
    }
}

fn fit(widths: &[usize]) -> Option<Fit> {
    let width = *widths.iter().filter(|width| **width > 0).max_by_key(|width| (count(widths, **width), **width))?;
    #[allow(clippy::cast_precision_loss, reason = "at most SAMPLE_RECORDS")]
    let share = count(widths, width) as f64 / widths.len() as f64;
    Some(Fit { width, share })
}

fn count(widths: &[usize], width: usize) -> usize {
    widths.iter().filter(|known| **known == width).count()
}

fn newline_of(sample: &[u8]) -> u8 {
    let has = |byte| memchr::memchr(byte, sample).is_some();
    if !has(b'\n') && has(b'\r') { b'\r' } else { b'\n' }
}

/// Without a last line that goes on behind the sample.
fn whole_lines(sample: &[u8], last: bool, newline: u8) -> &[u8] {
    match memchr::memrchr(newline, sample) {
        Some(end) if !last => &sample[..=end],
        _ => sample,
    }
}

/// Double quotes, unless cells stand in single ones and no double one is there.
fn quote_of(sample: &[u8]) -> u8 {
    if memchr::memchr(b'"', sample).is_some() {
        return b'"';
    }
    let single = USUAL.iter().any(|separator| {
        memchr::memmem::find(sample, &[b'\'', *separator, b'\'']).is_some()
            || SingleQuotes::of(sample, *separator).hold()
    });
    if single { b'\'' } else { b'"' }
}

/// Cells that begin with a single quote.
#[derive(Default)]
struct SingleQuotes {
    lines: usize,
    /// They end with one, too.
    whole: usize,
    /// Whole ones with the separator in them.
    needed: usize,
    /// They do not, as `'s Gravenhage`.
    open: usize,
}

impl SingleQuotes {
    fn of(sample: &[u8], separator: u8) -> Self {
        let mut found = Self::default();
        for line in sample.split(|byte| matches!(*byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
            found.lines += 1;
            found.see(line, separator);
        }
        found
    }

    fn see(&mut self, line: &[u8], separator: u8) {
        let next = |rest: &[u8]| memchr::memmem::find(rest, &[separator, b'\'']).map(|place| place + 2);
        let mut rest = line;
        let mut found = if line.starts_with(b"'") { Some(1) } else { next(rest) };
        while let Some(start) = found {
            let text = &rest[start..];
            let ends = |at: &usize| text.get(at + 1).is_none_or(|next| *next == separator);
            let Some(end) = memchr::memchr_iter(b'\'', text).find(ends) else {
                self.open += 1;
                return;
            };
            self.whole += 1;
            self.needed += usize::from(text[..end].contains(&separator));
            rest = &text[end + 1..];
            found = next(rest);
        }
    }

    /// Most of them are whole, and they are usual or hold what would be another cell.
    fn hold(&self) -> bool {
        self.whole > self.open && (self.needed > 0 || self.whole * 2 >= self.lines)
    }
}
