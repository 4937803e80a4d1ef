//! Days and months of the proleptic Gregorian calendar, for years beyond what a date library holds.
//!
//! After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".

/// Days from 1970-01-01 to the first of a month; months are counted from January of year 0.
pub(super) fn month_start(month: i128) -> i128 {
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    // A year begins in March here, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The month that a day lies in, counted from January of year 0, and the day of the month, from 1.
pub(super) fn month_of(day: i128) -> (i128, i128) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day = day.rem_euclid(146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    ((era * 400 + year_of_era) * 12 + march_month + 2, day_of_month)
}

/// `2013-01-31`; years beyond four digits carry their sign, as ISO 8601 has it.
pub(super) fn date_text(day: i128) -> String {
    let (month, day) = month_of(day);
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

/// `05:30:00`, with as many digits of a second as are needed. `ticks`: since midnight, never negative.
pub(super) fn time_text(ticks: i128, per_second: i128) -> String {
    let (seconds, rest) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest != 0 {
        let digits = per_second.ilog10() as usize;
        text.push_str(format!(".{rest:0digits$}").trim_end_matches('0'));
    }
    text
}

/// `2013-01-31T05:30:00`.
pub(super) fn timestamp_text(ticks: i128, per_second: i128) -> String {
    let per_day = per_second * 86_400;
    format!("{}T{}", date_text(ticks.div_euclid(per_day)), time_text(ticks.rem_euclid(per_day), per_second))
}

#[cfg(test)]
mod tests;
