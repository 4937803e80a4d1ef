//! PostgreSQL's patterns of dates and times (`YYYY-MM-DD HH24:MI`), cut into pieces.
//!
//! <https://www.postgresql.org/docs/15/functions-formatting.html>

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub key: &'static str,
    /// As it stands in the pattern: its letters' case is the case of what is written.
    pub written: String,
    /// `FM`: no blanks and no leading zeros.
    pub fill: bool,
    /// `TH` or `th` behind it.
    pub ordinal: Option<bool>,
}

/// Longest first, so that `HH24` is not taken for `HH`.
const KEYS: &[&str] = &[
    "SSSSS", "Y,YYY", "MONTH", "A.M.", "P.M.", "B.C.", "A.D.", "HH24", "HH12", "IYYY", "IDDD", "SSSS", "YYYY", "IYY",
    "MON", "DAY", "DDD", "YYY", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "HH", "MI", "SS", "MS", "US",
    "AM", "PM", "BC", "AD", "MM", "DY", "DD", "ID", "WW", "IW", "CC", "RM", "TZ", "OF", "IY", "YY", "Y", "I", "D", "W",
    "J", "Q",
];

/// The pieces of a pattern. Anything that is no field stands for itself.
pub(super) fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        // One of them, and nothing where no field is behind it: `FMTM` is that of a `T`.
        let prefix = |upper: &str, lower: &str| rest.strip_prefix(upper).or_else(|| rest.strip_prefix(lower));
        let (fill, translated) = (prefix("FM", "fm"), prefix("TM", "tm"));
        rest = fill.or(translated).unwrap_or(rest);
        // Exact mode changes nothing here: reading is exact where it matters.
        if let Some(after) = strip(rest, "FX") {
            rest = after;
            continue;
        }
        let Some(first) = rest.chars().next() else { break };
        if first == '"' {
            let inner = &rest[1..];
            let mut text = String::new();
            let mut letters = inner.char_indices();
            let mut end = inner.len();
            while let Some((at, letter)) = letters.next() {
                match letter {
                    '"' => {
                        end = at + 1;
                        break;
                    }
                    '\\' => text.extend(letters.next().map(|(_, next)| next)),
                    _ => text.push(letter),
                }
            }
            push_text(&mut pieces, &text);
            rest = &inner[end.min(inner.len())..];
            continue;
        }
        if let Some(key) = KEYS.iter().find(|key| strip(rest, key).is_some()) {
            let written = rest[..key.len()].to_owned();
            rest = &rest[key.len()..];
            let mut ordinal = None;
            if let Some(suffix) = rest.get(..2).filter(|suffix| suffix.eq_ignore_ascii_case("th")) {
                ordinal = Some(suffix == "TH");
                rest = &rest[2..];
            }
            // Translated names, which are English ones here, have no blanks behind them.
            let is_name = matches!(*key, "MONTH" | "MON" | "DAY" | "DY");
            let fill = fill.is_some() || (translated.is_some() && is_name);
            pieces.push(Piece::Field(Field { key, written, fill, ordinal }));
            continue;
        }
        let escaped = first == '\\' && rest[1..].starts_with('"');
        let (letter, length) = if escaped { ('"', 2) } else { (first, first.len_utf8()) };
        push_text(&mut pieces, letter.encode_utf8(&mut [0; 4]));
        rest = &rest[length..];
    }
    pieces
}

fn strip<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let head = text.get(..key.len())?;
    head.eq_ignore_ascii_case(key).then(|| &text[key.len()..])
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(super) const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
