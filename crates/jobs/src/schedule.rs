//! Cron expressions in a time zone: when is it due next.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use polder_types::{Error, Result};

/// Times a day that are listed one by one. Longer lists are taken as an interval.
const FIXED_TIMES_MAX: usize = 64;

/// A cron expression with five fields (minute, hour, day of the month, month, day of the week), or six with seconds in
/// front, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Days of the month and of the week that are both
/// given are alternatives, as in Vixie cron; `L`, `#` and `W` are known.
///
/// The fields are the wall clock's in the time zone. Where daylight saving time begins, an hour of it is missing, and where
/// it ends, an hour comes twice:
///
/// - *Fixed times* (the seconds, minutes and hours are numbers or lists of numbers: `30 2 * * *`, `0 2,14 * * *`) happen
///   once a day whatever the clocks do. One in the missing hour is due at the first moment after it: 02:30 becomes 03:00.
///   One in the doubled hour is due the first time only.
/// - *Intervals* (all others: `*/15 * * * *`, `0 * * * *`, `0 1-5 * * *`) go on evenly. What falls into the missing hour
///   does not exist, and what falls into the doubled hour is due both times.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// Due whenever one of them is. More than one only for lists of fixed times.
    patterns: Vec<Cron>,
    zone: Tz,
}

impl Schedule {
    /// # Errors
    /// `InvalidInput` for an expression that cannot be read or will never be due, or an unknown time zone.
    pub fn parse(expression: &str, zone: &str) -> Result<Self> {
        let zone: Tz = zone.parse().map_err(|_| {
            Error::invalid(format!("there is no time zone {zone:?}"))
                .with_code("22023")
                .with_hint("an IANA name, for instance 'Europe/Amsterdam' or 'UTC'")
        })?;
        let wrong = |reason: String| {
            Error::invalid(format!("the schedule {expression:?} cannot be used: {reason}"))
                .with_code("22023")
                .with_hint("minute, hour, day of the month, month, day of the week: '30 2 * * MON-FRI', '*/15 * * * *'")
        };
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parse = |text: &str| {
            parser.parse(text).map_err(|error| wrong(error.to_string().trim_end_matches('.').to_lowercase()))
        };
        parse(expression)?;
        let patterns = fixed_times(expression).iter().map(|text| parse(text)).collect::<Result<Vec<_>>>()?;
        let schedule = Self { patterns, zone };
        if schedule.next_after(DateTime::UNIX_EPOCH).is_none() {
            return Err(wrong("it is never due".to_owned()));
        }
        Ok(schedule)
    }

    /// The first time after `time`. `None`: never again.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.patterns.iter().filter_map(|pattern| {
            let find =
                |after: DateTime<Utc>| pattern.find_next_occurrence(&after.with_timezone(&self.zone), false).ok();
            // The library gives up where more than two hours are missing, as when a country changes sides of the date line.
            find(time).or_else(|| find(time + TimeDelta::days(1) - TimeDelta::seconds(1)))
        });
        next.map(|next| next.with_timezone(&Utc)).min()
    }

    /// The times after `after` and up to `until`, at most `max` of them, the first ones first.
    pub fn between(&self, after: DateTime<Utc>, until: DateTime<Utc>, max: usize) -> Vec<DateTime<Utc>> {
        let next = |time: &DateTime<Utc>| self.next_after(*time);
        std::iter::successors(self.next_after(after), next).take_while(|time| *time <= until).take(max).collect()
    }

    /// The last time up to `until`. `None`: never before.
    pub fn last_until(&self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let until = until.with_timezone(&self.zone);
        let last = self.patterns.iter().filter_map(|pattern| pattern.find_previous_occurrence(&until, true).ok());
        last.map(|last| last.with_timezone(&Utc)).max()
    }
}

/// An expression whose seconds, minutes and hours are lists of numbers as one expression a time of the day; any other
/// as it is. The library knows a fixed time by its single numbers.
fn fixed_times(expression: &str) -> Vec<String> {
    let as_it_is = || vec![expression.to_owned()];
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let clock = match fields.len() {
        5 => 2,
        6 => 3,
        _ => return as_it_is(),
    };
    let (times, days) = fields.split_at(clock);
    let is_list = |field: &&str| field.split(',').all(|number| number.parse::<u8>().is_ok());
    let count: usize = times.iter().map(|field| field.split(',').count()).product();
    if !times.iter().all(is_list) || count > FIXED_TIMES_MAX {
        return as_it_is();
    }
    let mut texts = vec![String::new()];
    for field in times {
        texts = texts.iter().flat_map(|text| field.split(',').map(move |number| format!("{text}{number} "))).collect();
    }
    texts.into_iter().map(|text| text + &days.join(" ")).collect()
}

#[cfg(test)]
mod tests;
