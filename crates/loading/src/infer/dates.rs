//! Dates and times as people write them, without a clock, a locale or an allocation.
//!
//! Read are: year first (`2015-01-31`, `2015/01/31`), two numbers and a year (`31/01/2015`, `01-31-2015`,
//! `31.01.2015`), month names (`31 Jan 2015`, `Jan 31, 2015`, `31-Jan-2015`, `31/Jan/2015:10:05:03 +0000`), each with
//! an optional time of day, fraction, `AM`/`PM` and zone. Years have four digits: `1/2/15` stays text, because three
//! readings of it are common.

/// Microseconds of one day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// Which of the two numbers in `01/02/2015` is the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DateOrder {
    #[default]
    DayFirst,
    MonthFirst,
}

/// The calendar part of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Day {
    /// Days since 1970-01-01; there is one reading only.
    Known(i32),
    /// Two numbers, either of which may be the day.
    Ordered { first: u8, second: u8, year: u16 },
}

/// A moment as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub day: Day,
    /// Microseconds since midnight, when a time of day is there.
    pub time_us: Option<i64>,
    /// Seconds east of Greenwich, when a zone is there.
    pub offset_s: Option<i32>,
    /// The fraction has non-zero digits beyond microseconds.
    pub finer: bool,
}

impl Moment {
    /// Days since 1970-01-01, or `None` if the order makes no date of it.
    pub(crate) fn days(&self, order: DateOrder) -> Option<i32> {
        match self.day {
            Day::Known(days) => Some(days),
            Day::Ordered { first, second, year } => match order {
                DateOrder::DayFirst => days_of(year, second, first),
                DateOrder::MonthFirst => days_of(year, first, second),
            },
        }
    }

    /// Microseconds since 1970-01-01T00:00:00, shifted to UTC when there is a zone.
    pub(crate) fn micros(&self, order: DateOrder) -> Option<i64> {
        let days = i64::from(self.days(order)?);
        let offset_us = i64::from(self.offset_s.unwrap_or(0)) * 1_000_000;
        Some(days * DAY_US + self.time_us.unwrap_or(0) - offset_us)
    }
}

/// Days since 1970-01-01 of a valid date of the proleptic Gregorian calendar.
pub(crate) fn days_of(year: u16, month: u8, day: u8) -> Option<i32> {
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > month_days(year, month) {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let (month, day) = (i32::from(month), i32::from(day));
    let year = i32::from(year) - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn month_days(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `20150131`, and only that.
pub(crate) fn compact(cell: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, m1, m2, d1, d2] = *cell else { return None };
    let year = number(&[y1, y2, y3, y4])?;
    // Narrow on purpose: the same eight digits are mostly ids.
    if !(1800..=2200).contains(&year) {
        return None;
    }
    days_of(year, small(&[m1, m2])?, small(&[d1, d2])?)
}

/// `2015-01-31`, and only that: the most common spelling, without the detour.
#[inline]
pub(crate) fn iso_days(cell: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *cell else { return None };
    days_of(number(&[y1, y2, y3, y4])?, small(&[m1, m2])?, small(&[d1, d2])?)
}

/// `2015-01-31T10:05:03Z` or with a blank and without the zone, and only that. Gives microseconds.
#[inline]
pub(crate) fn iso_micros(cell: &[u8]) -> Option<i64> {
    let (date, rest) = cell.split_at_checked(10)?;
    let [b'T' | b' ', h1, h2, b':', m1, m2, b':', s1, s2, zone @ ..] = rest else { return None };
    if !(zone.is_empty() || zone == b"Z") {
        return None;
    }
    let (hour, minute, second) = (small(&[*h1, *h2])?, small(&[*m1, *m2])?, small(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Some(i64::from(iso_days(date)?) * DAY_US + seconds * 1_000_000)
}

#[inline]
fn number(digits: &[u8]) -> Option<u16> {
    let mut value = 0_u16;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u16::from(digit);
    }
    Some(value)
}

#[inline]
fn small(digits: &[u8]) -> Option<u8> {
    number(digits).and_then(|value| u8::try_from(value).ok())
}

/// Reads a moment that fills the whole cell.
pub(crate) fn parse(cell: &[u8]) -> Option<Moment> {
    // The longest spelling, "Wednesday"-less, is well under this; anything longer is prose.
    if cell.len() < 8 || cell.len() > 48 {
        return None;
    }
    let mut text = Text(cell);
    let day = text.day()?;
    let mut moment = Moment { day, time_us: None, offset_s: None, finer: false };
    if !text.0.is_empty() {
        text.time(&mut moment)?;
    }
    text.0.is_empty().then_some(moment)
}

/// What is left to read of a cell.
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn peek(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == byte).then(|| self.0 = rest)
    }

    fn blanks(&mut self) -> bool {
        let before = self.0.len();
        while self.eat(b' ').is_some() {}
        self.0.len() < before
    }

    /// A number of `least` to `most` digits, not followed by another digit.
    fn digits(&mut self, least: usize, most: usize) -> Option<u16> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count < least || count > most {
            return None;
        }
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        number(digits)
    }

    fn byte_digits(&mut self, least: usize, most: usize) -> Option<u8> {
        self.digits(least, most).and_then(|value| u8::try_from(value).ok())
    }

    fn day(&mut self) -> Option<Day> {
        if self.peek().is_ascii_alphabetic() {
            return self.month_name_first();
        }
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 4 { self.year_first() } else { self.year_last() }
    }

    fn year_first(&mut self) -> Option<Day> {
        let year = self.digits(4, 4)?;
        let mark = self.mark(b"-/.")?;
        let month = self.byte_digits(1, 2)?;
        self.eat(mark)?;
        let day = self.byte_digits(1, 2)?;
        days_of(year, month, day).map(Day::Known)
    }

    fn year_last(&mut self) -> Option<Day> {
        let first = self.byte_digits(1, 2)?;
        let mark = self.mark(b"/-. ")?;
        if self.peek().is_ascii_alphabetic() {
            let month = self.month_name()?;
            self.eat(mark)?;
            return days_of(self.digits(4, 4)?, month, first).map(Day::Known);
        }
        if mark == b' ' {
            return None;
        }
        let second = self.byte_digits(1, 2)?;
        self.eat(mark)?;
        let year = self.digits(4, 4)?;
        if mark == b'.' {
            // Dots are written day first everywhere they are written.
            return days_of(year, second, first).map(Day::Known);
        }
        let possible = days_of(year, second, first).or_else(|| days_of(year, first, second)).is_some();
        possible.then_some(Day::Ordered { first, second, year })
    }

    fn month_name_first(&mut self) -> Option<Day> {
        let month = self.month_name()?;
        self.eat(b' ')?;
        let day = self.byte_digits(1, 2)?;
        let _ = self.eat(b',');
        self.eat(b' ')?;
        days_of(self.digits(4, 4)?, month, day).map(Day::Known)
    }

    fn mark(&mut self, allowed: &[u8]) -> Option<u8> {
        let mark = self.peek();
        allowed.contains(&mark).then(|| self.eat(mark))??;
        Some(mark)
    }

    fn month_name(&mut self) -> Option<u8> {
        const MONTHS: [&str; 12] = [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        let count = self.0.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (word, rest) = self.0.split_at_checked(count)?;
        let found = MONTHS.iter().position(|month| {
            let month = month.as_bytes();
            let short = word.len() == 3 || (word.len() == 4 && word.eq_ignore_ascii_case(b"sept"));
            let head = month.get(..word.len()).unwrap_or_default();
            word.eq_ignore_ascii_case(month) || (short && word.eq_ignore_ascii_case(head))
        })?;
        self.0 = rest;
        u8::try_from(found + 1).ok()
    }

    fn time(&mut self, moment: &mut Moment) -> Option<()> {
        match self.peek() {
            b'T' | b't' | b':' => self.eat(self.peek())?,
            b',' => {
                self.eat(b',')?;
                self.blanks().then_some(())?;
            }
            _ => self.blanks().then_some(())?,
        }
        let mut hour = self.byte_digits(1, 2)?;
        self.eat(b':')?;
        let minute = self.byte_digits(2, 2)?;
        let (mut second, mut fraction_us) = (0, 0);
        if self.eat(b':').is_some() {
            second = self.byte_digits(2, 2)?;
            if self.eat(b'.').or_else(|| self.eat(b',')).is_some() {
                fraction_us = self.fraction(moment)?;
            }
        }
        self.blanks();
        if let Some(afternoon) = self.half_of_day() {
            if !(1..=12).contains(&hour) {
                return None;
            }
            hour = hour % 12 + if afternoon { 12 } else { 0 };
            self.blanks();
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        moment.time_us = Some(seconds * 1_000_000 + fraction_us);
        if !self.0.is_empty() {
            moment.offset_s = Some(self.zone()?);
        }
        Some(())
    }

    fn fraction(&mut self, moment: &mut Moment) -> Option<i64> {
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 || count > 9 {
            return None;
        }
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        let mut micros = 0;
        for place in 0..6 {
            micros = micros * 10 + digits.get(place).map_or(0, |digit| i64::from(digit - b'0'));
        }
        moment.finer = digits.iter().skip(6).any(|digit| *digit != b'0');
        Some(micros)
    }

    fn half_of_day(&mut self) -> Option<bool> {
        let (half, rest) = self.0.split_at_checked(2)?;
        let afternoon = half.eq_ignore_ascii_case(b"PM");
        (afternoon || half.eq_ignore_ascii_case(b"AM")).then(|| {
            self.0 = rest;
            afternoon
        })
    }

    /// Seconds east of Greenwich: `Z`, `UTC`, `GMT`, `+02:00`, `+0200`, `+02`.
    fn zone(&mut self) -> Option<i32> {
        if [&b"Z"[..], b"z", b"UTC", b"GMT"].contains(&self.0) {
            self.0 = &[];
            return Some(0);
        }
        let sign = match self.mark(b"+-")? {
            b'-' => -1,
            _ => 1,
        };
        let (hours, minutes) = match self.0.len() {
            2 => (self.digits(2, 2)?, 0),
            4 => {
                let both = self.digits(4, 4)?;
                (both / 100, both % 100)
            }
            _ => {
                let hours = self.digits(2, 2)?;
                self.eat(b':')?;
                (hours, self.digits(2, 2)?)
            }
        };
        (hours <= 18 && minutes <= 59).then(|| sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60))
    }
}
