//! Which separator and quotes a text has.

use super::csv::{Dialect, NO_DELIMITER};
use super::blanks::Blanks;
use crate::text::split::{Scan, Splitter};

/// Separators of tables, the rarest in prose first: of two that fit equally well, the earlier is meant.
const USUAL: [u8; 4] = [b'\t', b'|', b';', b','];

/// Separators that are also common in cells, so they must fit everywhere.
const UNUSUAL: [u8; 5] = [0x01, 0x1f, b'^', b'~', b':'];

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
    let quote = quote.or_else(|| Some(quote_of(sample)));
    let base = Dialect { delimiter: NO_DELIMITER, quote, escape: None, newline };
    let dialect = match delimiter {
        Some(delimiter) => Dialect { delimiter, ..base },
        None => best(sample, &USUAL, base, 0.75, 2).or_else(|| best(sample, &UNUSUAL, base, 0.98, 3))?,
    };
    Some(with_escape(sample, dialect))
}

/// Text of one column.
pub(crate) fn one_column(sample: &[u8], quote: Option<u8>) -> Dialect {
    Dialect { delimiter: NO_DELIMITER, quote: quote.or(Some(b'"')), escape: None, newline: newline_of(sample) }
}

/// True if every line splits into the same number of words, at least two.
pub(crate) fn is_blanks(sample: &[u8], last: bool) -> bool {
    let sample = whole_lines(&sample[..sample.len().min(SAMPLE_BYTES)], last, b'\n');
    let mut widths: Vec<usize> = Vec::new();
    measure(&Blanks { quote: Some(b'"') }, sample, &mut widths);
    fit(&widths).is_some_and(|fit| fit.width >= 2 && fit.share >= 0.95)
}

fn best(sample: &[u8], delimiters: &[u8], base: Dialect, share_min: f64, width_min: usize) -> Option<Dialect> {
    let mut best: Option<(Fit, Dialect)> = None;
    for delimiter in delimiters {
        let dialect = Dialect { delimiter: *delimiter, ..base };
        let Some(fit) = fit_of(&dialect, sample) else { continue };
        let better = best.is_none_or(|(known, _)| (fit.share, fit.width as f64) > (known.share, known.width as f64));
        if fit.share >= share_min && fit.width >= width_min && better {
            best = Some((fit, dialect));
        }
    }
    best.map(|(_, dialect)| dialect)
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
    let mut opened = 0;
    for separator in USUAL {
        opened += memchr::memmem::find_iter(sample, &[b'\'', separator, b'\'']).count();
    }
    if opened > 0 { b'\'' } else { b'"' }
}

/// With a backslash as escape, if more records fit then.
fn with_escape(sample: &[u8], dialect: Dialect) -> Dialect {
    let Some(quote) = dialect.quote else { return dialect };
    if memchr::memmem::find(sample, &[b'\\', quote]).is_none() {
        return dialect;
    }
    let escaped = Dialect { escape: Some(b'\\'), ..dialect };
    match (fit_of(&dialect, sample), fit_of(&escaped, sample)) {
        (Some(plain), Some(escaping)) if escaping.share > plain.share => escaped,
        _ => dialect,
    }
}
