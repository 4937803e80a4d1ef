//! `to_char` of numbers: PostgreSQL's patterns, such as `FM999,990.00`.
//!
//! <https://www.postgresql.org/docs/15/functions-formatting.html#FUNCTIONS-FORMATTING-NUMERIC-TABLE>

use datafusion::common::Result;

use crate::functions::dates::ordinal_suffix;
use crate::functions::function::refuse;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Nine,
    Zero,
    Point,
    Group,
    Sign,
    Minus,
    Plus,
    SignHere,
    Brackets,
    Currency,
    Ordinal(bool),
    Shift,
    Exponent,
    Roman(bool),
    Text(String),
}

/// A pattern, and what follows from all of it.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
    fill: bool,
    before: usize,
    after: usize,
    /// The first digit that is written even when it is a leading zero.
    zero_start: Option<usize>,
    zero_end: usize,
    /// Powers of ten by which `V` multiplies.
    pub shift: usize,
    point: bool,
    exponent: bool,
    roman: bool,
    sign_before: bool,
    sign_after: bool,
    sign_apart: bool,
    brackets: bool,
}

const KEYS: &[(&str, Piece)] = &[
    ("EEEE", Piece::Exponent),
    ("MI", Piece::Minus),
    ("PL", Piece::Plus),
    ("SG", Piece::SignHere),
    ("PR", Piece::Brackets),
    ("RN", Piece::Roman(true)),
    ("9", Piece::Nine),
    ("0", Piece::Zero),
    (".", Piece::Point),
    ("D", Piece::Point),
    (",", Piece::Group),
    ("G", Piece::Group),
    ("S", Piece::Sign),
    ("L", Piece::Currency),
    ("V", Piece::Shift),
];

impl Pattern {
    /// # Errors
    /// 42601 for parts that do not go together.
    pub fn new(text: &str) -> Result<Self> {
        let mut pattern = Self { text: text.to_owned(), ..Self::default() };
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let is = |key: &str| rest.get(..key.len()).is_some_and(|head| head.eq_ignore_ascii_case(key));
            if is("FM") {
                (pattern.fill, rest) = (true, &rest[2..]);
            } else if is("TH") {
                pattern.pieces.push(Piece::Ordinal(letter == 'T'));
                rest = &rest[2..];
            } else if let Some((key, piece)) = KEYS.iter().find(|(key, _)| is(key)) {
                let piece = if let Piece::Roman(_) = piece { Piece::Roman(letter == 'R') } else { piece.clone() };
                pattern.add(piece)?;
                rest = &rest[key.len()..];
            } else if letter == '"' {
                let inner = &rest[1..];
                let end = inner.find('"').unwrap_or(inner.len());
                pattern.pieces.push(Piece::Text(inner[..end].to_owned()));
                rest = inner.get(end + 1..).unwrap_or_default();
            } else {
                pattern.pieces.push(Piece::Text(letter.to_string()));
                rest = &rest[letter.len_utf8()..];
            }
        }
        Ok(pattern)
    }

    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn add(&mut self, piece: Piece) -> Result<()> {
        let clash = |what: &str| Err(refuse("42601", format!("{what} in the pattern {:?}", self.text)));
        match piece {
            Piece::Nine if self.shift > 0 => self.shift += 1,
            Piece::Nine if self.point => self.after += 1,
            Piece::Nine => self.before += 1,
            Piece::Zero => {
                if self.zero_start.is_none() && !self.point {
                    self.zero_start = Some(self.before);
                }
                if self.point {
                    self.after += 1;
                } else {
                    self.before += 1;
                }
                self.zero_end = self.before + self.after;
            }
            Piece::Point if self.point => return clash("there are two decimal points"),
            Piece::Point if self.shift > 0 => return clash("V and a decimal point are together"),
            Piece::Point => self.point = true,
            Piece::Sign if self.sign_before || self.sign_after || self.sign_apart => return clash("S stands twice"),
            Piece::Sign if self.before + self.after == 0 => self.sign_before = true,
            Piece::Sign => self.sign_after = true,
            // Beside `PL` alone the number keeps its own sign.
            Piece::Minus | Piece::SignHere => self.sign_apart = true,
            Piece::Brackets => self.brackets = true,
            Piece::Shift if self.point => return clash("V and a decimal point are together"),
            Piece::Shift => self.shift = 1,
            Piece::Exponent => self.exponent = true,
            Piece::Roman(_) => self.roman = true,
            _ => {}
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// Digits behind the point.
    pub fn decimals(&self) -> usize {
        self.after
    }

    pub fn is_exponent(&self) -> bool {
        self.exponent
    }

    /// How far `V` moves the point.
    pub fn shifted(&self) -> usize {
        self.shift.saturating_sub(1)
    }

    /// A number with an exponent: `digits` is what Rust writes for `{:e}`.
    pub fn write_exponent(&self, negative: bool, digits: &str) -> String {
        let (mantissa, exponent) = digits.split_once('e').unwrap_or((digits, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        let lead = if negative {
            "-"
        } else if self.fill {
            ""
        } else {
            " "
        };
        format!("{lead}{mantissa}e{sign}{exponent:0>2}")
    }

    /// A number, given as the digits of its absolute value with [`Self::decimals`] digits behind the point.
    pub fn write(&self, negative: bool, digits: &str) -> String {
        if self.roman {
            return self.write_roman(negative, digits);
        }
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let width = self.before + self.shifted();
        let whole = if width == 0 && whole == "0" { "" } else { whole };
        let overflows = whole.len() > width;
        let number: Vec<char> = if overflows {
            let mut filled = "#".repeat(width);
            if self.after > 0 {
                filled = format!("{filled}.{}", "#".repeat(self.after));
            }
            filled.chars().collect()
        } else if self.after > 0 {
            format!("{whole}.{fraction}").chars().collect()
        } else {
            whole.chars().collect()
        };
        let blanks = width - whole.len().min(width);
        let writer = Writer {
            pattern: self,
            negative,
            number: &number,
            blanks,
            blank_zero: self.zero_start.is_none() && whole == "0" && self.after > 0,
            last: self.last_relevant(&number, blanks),
            out: String::new(),
            place: 0,
            at: 0,
            began: false,
            signed: self.sign_apart || self.sign_after,
        };
        writer.write(digits)
    }

    /// With `FM`, the last digit behind the point that is to be seen; the point itself when there is none.
    fn last_relevant(&self, number: &[char], blanks: usize) -> Option<usize> {
        if !self.fill {
            return None;
        }
        let point = number.iter().position(|letter| *letter == '.')?;
        let last = number.iter().rposition(|letter| *letter != '0').unwrap_or(point).max(point);
        let kept = if self.zero_end > blanks { self.zero_end - blanks } else { 0 };
        Some(last.max(kept.min(number.len().saturating_sub(1))).max(point))
    }

    fn write_roman(&self, negative: bool, digits: &str) -> String {
        let value: u32 = digits.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0);
        if negative || !(1..4_000).contains(&value) {
            return "#".repeat(15);
        }
        let upper = self.pieces.contains(&Piece::Roman(true));
        let roman = roman(value);
        let roman = if upper { roman } else { roman.to_lowercase() };
        if self.fill { roman } else { format!("{roman:>15}") }
    }
}

fn roman(mut value: u32) -> String {
    const STEPS: [(u32, &str); 13] = [
        (1_000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut out = String::new();
    for (step, letters) in STEPS {
        while value >= step {
            out.push_str(letters);
            value -= step;
        }
    }
    out
}

/// Walks pattern and number side by side.
struct Writer<'a> {
    pattern: &'a Pattern,
    negative: bool,
    number: &'a [char],
    /// Places before the first digit.
    blanks: usize,
    /// `0.5` is written `.5` unless the pattern has a zero.
    blank_zero: bool,
    last: Option<usize>,
    out: String,
    place: usize,
    at: usize,
    began: bool,
    signed: bool,
}

impl Writer<'_> {
    fn write(mut self, digits: &str) -> String {
        let pieces = &self.pattern.pieces;
        let end = pieces.iter().rposition(|piece| matches!(piece, Piece::Nine | Piece::Zero | Piece::Point));
        for (index, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Nine | Piece::Zero | Piece::Point => self.digit(piece),
                Piece::Group if self.began => self.out.push(','),
                Piece::Group | Piece::Currency => self.blank(),
                Piece::Minus if self.negative => self.out.push('-'),
                Piece::Plus if !self.negative => self.out.push('+'),
                Piece::Minus | Piece::Plus => self.blank(),
                Piece::SignHere => self.out.push(if self.negative { '-' } else { '+' }),
                Piece::Ordinal(upper) if !self.negative && !self.pattern.point => {
                    let last: i64 = digits
                        .chars()
                        .rev()
                        .take(2)
                        .collect::<Vec<_>>()
                        .iter()
                        .rev()
                        .collect::<String>()
                        .parse()
                        .unwrap_or(0);
                    self.out.push_str(ordinal_suffix(last, *upper));
                }
                Piece::Text(text) => self.out.push_str(text),
                _ => {}
            }
            if Some(index) == end {
                self.end();
            }
        }
        self.out
    }

    fn blank(&mut self) {
        if !self.pattern.fill {
            self.out.push(' ');
        }
    }

    fn end(&mut self) {
        if self.pattern.sign_after {
            self.out.push(if self.negative { '-' } else { '+' });
        }
        if self.pattern.brackets {
            if self.negative {
                self.out.push('>');
            } else {
                self.blank();
            }
        }
    }

    /// The zero before the point, which is not written.
    fn is_blank_zero(&self) -> bool {
        self.blank_zero && self.at == 0 && self.place >= self.blanks
    }

    fn only_point(&self) -> bool {
        self.last.is_some_and(|last| self.number.get(last) == Some(&'.'))
    }

    fn sign(&mut self) {
        let reached = self.place >= self.blanks || self.pattern.zero_start.is_some_and(|start| start <= self.place);
        if self.signed || !reached || (self.is_blank_zero() && !self.only_point()) {
            return;
        }
        self.signed = true;
        if self.pattern.sign_before {
            self.out.push(if self.negative { '-' } else { '+' });
        } else if self.negative {
            self.out.push(if self.pattern.brackets { '<' } else { '-' });
        } else {
            self.blank();
        }
    }

    fn digit(&mut self, piece: &Piece) {
        self.sign();
        let zeros = self.pattern.zero_start.is_some_and(|start| start <= self.place);
        if self.place < self.blanks {
            if zeros {
                self.out.push('0');
                self.began = true;
            } else {
                self.blank();
            }
        } else if let Some(letter) = self.number.get(self.at).copied() {
            if self.last.is_some_and(|last| self.at > last) && *piece != Piece::Zero {
                // FM: zeros at the end are left out.
            } else if self.is_blank_zero() {
                if !self.pattern.fill {
                    self.out.push(' ');
                } else if self.only_point() {
                    self.out.push('0');
                }
            } else {
                self.out.push(letter);
                self.began = true;
            }
            self.at += 1;
        } else if *piece == Piece::Point {
            self.out.push('.');
        }
        self.place += 1;
    }
}
