//! What all cells of one column have shown so far. Two halves of a file are looked at apart and put together, so the
//! order in which they are merged must not matter.

use super::cell::{self, Look, NULL_WORDS};
use super::dates::{self, Day};

/// One bit for each kind of cell seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Kinds(u16);

impl Kinds {
    pub(crate) const EMPTY: Self = Self(1);
    pub(crate) const NULL: Self = Self(1 << 1);
    pub(crate) const BOOL: Self = Self(1 << 2);
    pub(crate) const INT: Self = Self(1 << 3);
    pub(crate) const LONG: Self = Self(1 << 4);
    pub(crate) const DOUBLE: Self = Self(1 << 5);
    pub(crate) const COMMA: Self = Self(1 << 6);
    pub(crate) const PADDED: Self = Self(1 << 7);
    pub(crate) const DATE: Self = Self(1 << 8);
    pub(crate) const STAMP: Self = Self(1 << 9);
    pub(crate) const STAMP_ZONE: Self = Self(1 << 10);
    pub(crate) const TEXT: Self = Self(1 << 11);
    pub(crate) const POINT_GROUPS: Self = Self(1 << 12);
    pub(crate) const COMMA_GROUPS: Self = Self(1 << 13);
    const COUNT: usize = 14;

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True if nothing but `allowed` was seen.
    pub(crate) const fn within(self, allowed: Self) -> bool {
        self.0 & !allowed.0 == 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn place(self) -> usize {
        self.0.trailing_zeros() as usize
    }
}

/// Fractions that are written with many digits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LongFractions {
    pub whole_digits_max: usize,
    pub fraction_digits_max: usize,
    /// One with more digits than a double tells apart.
    pub lossy: Option<First>,
}

impl LongFractions {
    fn observe(&mut self, cell: &[u8], line: impl FnOnce() -> u64) {
        let cell = cell::trim(cell);
        let Some((whole, fraction)) = cell::fraction_digits(cell) else { return };
        self.whole_digits_max = self.whole_digits_max.max(whole.len());
        self.fraction_digits_max = self.fraction_digits_max.max(fraction.len());
        if self.lossy.is_none() && cell::meant_digits(whole, fraction) > cell::DOUBLE_DIGITS {
            self.lossy = Some(First::new(cell, line()));
        }
    }

    fn merge(&mut self, other: Self) {
        self.whole_digits_max = self.whole_digits_max.max(other.whole_digits_max);
        self.fraction_digits_max = self.fraction_digits_max.max(other.fraction_digits_max);
        earliest(&mut self.lossy, other.lossy);
    }
}

/// Where something was first seen, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct First {
    pub line: u64,
    pub text: Box<str>,
}

impl First {
    fn new(cell: &[u8], line: u64) -> Self {
        let text: String = String::from_utf8_lossy(cell).chars().take(40).collect();
        Self { line, text: text.into() }
    }
}

/// What was seen about the order of day and month.
#[derive(Debug, Clone, Default)]
pub(crate) struct OrderEvidence {
    /// Bit `n`: the first number was `n` somewhere.
    pub first_numbers: u32,
    pub second_numbers: u32,
    /// A first number above 12.
    pub day_first: Option<First>,
    /// A second number above 12.
    pub month_first: Option<First>,
    pub example: Option<First>,
    /// With `AM` or `PM`, a habit of countries that write the month first.
    pub half_days: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub kinds: Kinds,
    /// Bit `n`: `NULL_WORDS[n]` was seen.
    pub null_words: u16,
    pub null_cells: u64,
    /// Cells that are these words out of quotes, which a text keeps.
    pub words: [u64; NULL_WORDS.len()],
    /// Cells looked at that were neither empty nor null words.
    pub cells: u64,
    pub long_digits_max: usize,
    pub long_fractions: LongFractions,
    /// An integer that is no `20150131`.
    pub loose_int: bool,
    /// A comma that separates no thousands.
    pub loose_comma: bool,
    /// A point that separates no thousands.
    pub loose_point: bool,
    /// A number with a point or an exponent that is no `1.250`, which may be more than a thousand.
    pub loose_double: bool,
    /// A fraction behind thousands that are set apart.
    pub grouped_fraction: bool,
    /// A first group of fewer than three digits.
    pub short_group: bool,
    pub order: OrderEvidence,
    /// A fraction of a second finer than microseconds.
    pub finer: bool,
    firsts: [Option<First>; Kinds::COUNT],
    /// The comma separates no cells here, so it may be a decimal sign.
    pub comma_is_free: bool,
    /// The type is given from outside: go on looking at cells after one that is plain text.
    pub type_is_given: bool,
}

impl Evidence {
    pub(crate) fn new(type_is_given: bool) -> Self {
        Self { type_is_given, ..Self::default() }
    }

    /// True when nothing more can be learned.
    #[inline]
    pub(crate) fn settled(&self) -> bool {
        self.kinds.has(Kinds::TEXT) && !self.type_is_given
    }

    pub(crate) fn first(&self, kind: Kinds) -> Option<&First> {
        self.firsts.get(kind.place())?.as_ref()
    }

    /// Looks at one cell. `line` is for remarks.
    #[inline]
    pub(crate) fn observe(&mut self, cell: &[u8], line: impl FnOnce() -> u64) {
        if self.settled() {
            return;
        }
        if self.observe_small_int(cell) {
            return;
        }
        if self.observe_iso(cell) {
            self.cells += 1;
            return;
        }
        self.observe_any(cell, line);
    }

    /// The most common cell by far, without looking up what it is called: up to 18 digits, no leading zero.
    #[inline]
    fn observe_small_int(&mut self, cell: &[u8]) -> bool {
        let digits = cell.strip_prefix(b"-").unwrap_or(cell);
        let plain = !digits.is_empty()
            && digits.len() <= 18
            && (digits[0] != b'0' || digits.len() == 1)
            && digits.iter().all(u8::is_ascii_digit);
        if !plain || !self.kinds.has(Kinds::INT) {
            return false;
        }
        self.cells += 1;
        if !self.loose_int {
            self.loose_int = dates::compact(cell).is_none();
        }
        true
    }

    /// A date or time in the form that machines write, again.
    #[inline]
    fn observe_iso(&self, cell: &[u8]) -> bool {
        match cell.len() {
            10 => self.kinds.has(Kinds::DATE) && dates::iso_days(cell).is_some(),
            19 => self.kinds.has(Kinds::STAMP) && dates::iso_micros(cell).is_some(),
            20 => self.kinds.has(Kinds::STAMP_ZONE) && dates::iso_micros(cell).is_some(),
            _ => false,
        }
    }

    #[inline(never)]
    fn observe_any(&mut self, cell: &[u8], line: impl FnOnce() -> u64) {
        let look = cell::look(cell);
        let kind = match look {
            Look::Empty => Kinds::EMPTY,
            Look::Null(place) => {
                self.null_words |= 1 << place;
                self.null_cells += 1;
                Kinds::NULL
            }
            Look::Bool => Kinds::BOOL,
            Look::Int => {
                self.loose_int |= dates::compact(cell::trim(cell)).is_none();
                Kinds::INT
            }
            Look::Long(digits) => {
                self.long_digits_max = self.long_digits_max.max(digits);
                Kinds::LONG
            }
            Look::Double => {
                if !self.loose_double && !cell::is_one_group(cell::trim(cell), b'.') {
                    self.loose_double = true;
                }
                self.loose_point =
                    self.loose_point || (cell.contains(&b'.') && !cell::is_one_group(cell::trim(cell), b'.'));
                if cell.len() > cell::DOUBLE_DIGITS {
                    let line = line();
                    self.long_fractions.observe(cell, || line);
                    return self.note(Kinds::DOUBLE, cell, || line);
                }
                Kinds::DOUBLE
            }
            Look::Comma(thousands) => {
                self.loose_comma |= !thousands;
                Kinds::COMMA
            }
            Look::Grouped(grouped) => {
                self.grouped_fraction |= grouped.has_fraction;
                self.short_group |= grouped.is_short;
                if grouped.by_points { Kinds::POINT_GROUPS } else { Kinds::COMMA_GROUPS }
            }
            Look::Padded => Kinds::PADDED,
            Look::Moment(moment) => return self.observe_moment(cell, moment, line),
            Look::Text => Kinds::TEXT,
        };
        self.note(kind, cell, line);
    }

    fn observe_moment(&mut self, cell: &[u8], moment: dates::Moment, line: impl FnOnce() -> u64) {
        self.finer |= moment.finer;
        let kind = match (moment.time_us, moment.offset_s) {
            (_, Some(_)) => Kinds::STAMP_ZONE,
            (Some(_), None) => Kinds::STAMP,
            (None, None) => Kinds::DATE,
        };
        let Day::Ordered { first, second, .. } = moment.day else {
            return self.note(kind, cell, line);
        };
        let line = line();
        let order = &mut self.order;
        order.first_numbers |= 1 << (first & 31);
        order.second_numbers |= 1 << (second & 31);
        order.half_days |= cell.last().is_some_and(|last| last.eq_ignore_ascii_case(&b'm'));
        if first > 12 && order.day_first.is_none() {
            order.day_first = Some(First::new(cell, line));
        }
        if second > 12 && order.month_first.is_none() {
            order.month_first = Some(First::new(cell, line));
        }
        if order.example.is_none() {
            order.example = Some(First::new(cell, line));
        }
        self.note(kind, cell, || line);
    }

    /// Counts a word that would mean "missing" if this were no text. Said of every cell, also when all else is settled.
    #[inline]
    pub(crate) fn count_word(&mut self, raw: &[u8]) {
        if raw.len() <= 4
            && matches!(raw.first(), Some(b'N' | b'n' | b'\\' | b'#'))
            && let Some(place) = cell::null_word(raw)
            && let Some(count) = self.words.get_mut(usize::from(place))
        {
            *count += 1;
        }
    }

    /// A cell that the user's own list calls missing.
    pub(crate) fn observe_null(&mut self) {
        self.kinds = self.kinds.and(Kinds::EMPTY);
    }

    fn note(&mut self, kind: Kinds, cell: &[u8], line: impl FnOnce() -> u64) {
        if !Kinds::EMPTY.and(Kinds::NULL).has(kind) {
            self.cells += 1;
        }
        if !self.kinds.has(kind) {
            self.kinds = self.kinds.and(kind);
            if let Some(first) = self.firsts.get_mut(kind.place()) {
                *first = Some(First::new(cell, line()));
            }
        }
    }

    /// Adds what another part of the column has shown.
    pub(crate) fn merge(&mut self, other: Self) {
        self.kinds = self.kinds.and(other.kinds);
        self.null_words |= other.null_words;
        self.null_cells += other.null_cells;
        for (mine, theirs) in self.words.iter_mut().zip(other.words) {
            *mine += theirs;
        }
        self.cells += other.cells;
        self.long_digits_max = self.long_digits_max.max(other.long_digits_max);
        self.long_fractions.merge(other.long_fractions);
        self.loose_int |= other.loose_int;
        self.loose_comma |= other.loose_comma;
        self.loose_point |= other.loose_point;
        self.loose_double |= other.loose_double;
        self.grouped_fraction |= other.grouped_fraction;
        self.short_group |= other.short_group;
        self.finer |= other.finer;
        self.comma_is_free &= other.comma_is_free;
        for (mine, theirs) in self.firsts.iter_mut().zip(other.firsts) {
            earliest(mine, theirs);
        }
        self.order.first_numbers |= other.order.first_numbers;
        self.order.second_numbers |= other.order.second_numbers;
        self.order.half_days |= other.order.half_days;
        earliest(&mut self.order.day_first, other.order.day_first);
        earliest(&mut self.order.month_first, other.order.month_first);
        earliest(&mut self.order.example, other.order.example);
    }
}

fn earliest(mine: &mut Option<First>, theirs: Option<First>) {
    *mine = match (mine.take(), theirs) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}
