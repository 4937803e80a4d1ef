//! Looks, dates and decisions, one small case a line.

use arrow::datatypes::DataType;

use super::cell::{self, Look, look};
use super::dates::{self, DateOrder, days_of};
use super::decide::{Surroundings, decide, form_for};
use super::evidence::Evidence;
use super::types::to_sql;

#[test]
fn cells_are_looked_at() {
    let check = |cell: &str, expected: &str| {
        let found = match look(cell.as_bytes()) {
            Look::Moment(moment) => match (moment.time_us, moment.offset_s) {
                (_, Some(_)) => "timestamptz".to_owned(),
                (Some(_), None) => "timestamp".to_owned(),
                (None, None) => "date".to_owned(),
            },
            Look::Null(_) => "null".to_owned(),
            Look::Long(digits) => format!("long {digits}"),
            Look::Comma(_) => "comma".to_owned(),
            Look::Grouped(found) => {
                let mark = if found.by_points { "points" } else { "commas" };
                format!("{mark}{}", if found.has_fraction { " and fraction" } else { "" })
            }
            other => format!("{other:?}").to_lowercase(),
        };
        assert_eq!(found, expected, "{cell:?}");
    };
    for cell in ["", " ", "\t"] {
        check(cell, "empty");
    }
    for cell in ["0", "7", "-7", " 12 ", "999999999999999999", "9223372036854775807", "-9223372036854775808"] {
        check(cell, "int");
    }
    check("9223372036854775808", "long 19");
    check("12345678901234567890", "long 20");
    for cell in ["1.5", "-0.5", ".5", "5.", "1e3", "1E-3", "1.5e+10", "inf", "-Infinity", "00012.5e"] {
        check(cell, if cell == "00012.5e" { "text" } else { "double" });
    }
    for cell in ["007", "00", "+5", "+1.5", "-007", "00.5", "0123456789012345678901234567890"] {
        check(cell, "padded");
    }
    for cell in ["12,5", "1,250", "-0,5"] {
        check(cell, "comma");
    }
    for cell in ["1,234,567", "-12,345,678", "999,999,999,999,999,999"] {
        check(cell, "commas");
    }
    for cell in ["1,234.5", "-123,456,789.25"] {
        check(cell, "commas and fraction");
    }
    check("1.234.567", "points");
    check("-1.234,50", "points and fraction");
    for cell in
        ["1,23,456", "1234,567.5", "0,123,456", "1,234.", "1,234,56", "1.234,5,6", "1,234.567,8", ",123,456", "1,234e5"]
    {
        check(cell, "text");
    }
    for cell in ["NA", "N/A", "null", "NULL", "NaN", "-", "\\N", "?"] {
        check(cell, "null");
    }
    for cell in ["true", "FALSE", "True"] {
        check(cell, "bool");
    }
    for cell in [
        "2015-01-31",
        "31/01/2015",
        "1/2/2015",
        "31.01.2015",
        "31 Jan 2015",
        "Jan 31, 2015",
        "January 31 2015",
        "31-Sep-2015",
    ] {
        check(cell, if cell == "31-Sep-2015" { "text" } else { "date" });
    }
    for cell in
        ["2015-01-31 10:05", "2015-01-31T10:05:03.123", "31/01/2015 10:05", "01/31/2015 10:05 PM", "01/31/2015, 10:05"]
    {
        check(cell, "timestamp");
    }
    for cell in [
        "2015-01-31T10:05:03Z",
        "2015-01-31 10:05:03+02",
        "17/May/2015:10:05:03 +0000",
        "2015-01-31 10:05:03 UTC",
        "2015-01-31T10:05:03-05:30",
    ] {
        check(cell, "timestamptz");
    }
    for cell in [
        "2015-02-29",
        "2015-13-01",
        "32/01/2015",
        "1099-4300",
        "1-2-3",
        "10:05",
        "1/2/15",
        "2015-01",
        "10.0.0.1",
        "1,2,3",
        "12a",
        "--1",
        "1e",
        "1e99999",
        "0x10",
        "yes",
        "Marching on 2015",
        "2015-01-31T25:00:00",
    ] {
        check(cell, "text");
    }
}

#[test]
fn numbers_are_parsed_as_the_standard_library_does() {
    for text in [
        "0",
        "-0",
        "1.5",
        "39.02",
        "10.357019999999999",
        "0.1",
        "123456789.123456",
        "999999999999999",
        "1e22",
        "-2.5e-8",
        "4.9e-324",
    ] {
        let expected: f64 = text.parse().unwrap();
        assert_eq!(cell::parse_f64(text.as_bytes()).map(f64::to_bits), Some(expected.to_bits()), "{text}");
    }
    for text in ["", "-", ".", "1e400", "a", "1.2.3", "1 "] {
        assert_eq!(cell::parse_f64(text.as_bytes()), None, "{text}");
    }
    for text in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
        assert_eq!(cell::parse_i64(text.as_bytes()), text.parse().ok(), "{text}");
    }
    for text in ["", "-", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "+1", "1a"] {
        assert_eq!(cell::parse_i64(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn days_are_counted_as_chrono_does() {
    use chrono::{Datelike, NaiveDate};
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    let mut day = NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
    while day.year() < 2500 {
        let expected = i32::try_from(day.signed_duration_since(epoch).num_days()).unwrap();
        let found = days_of(u16::try_from(day.year()).unwrap(), day.month() as u8, day.day() as u8);
        assert_eq!(found, Some(expected), "{day}");
        assert_eq!(dates::iso_days(day.to_string().as_bytes()), Some(expected));
        day = day.checked_add_days(chrono::Days::new(17)).unwrap();
    }
    assert_eq!(days_of(1900, 2, 29), None);
    assert_eq!(days_of(2000, 2, 29), Some(11_016));
    assert_eq!(days_of(0, 1, 1), None);
}

#[test]
fn moments_are_exact() {
    let check = |text: &str, order: DateOrder, expected: i64| {
        assert_eq!(dates::parse(text.as_bytes()).and_then(|moment| moment.micros(order)), Some(expected), "{text}");
    };
    use DateOrder::{DayFirst, MonthFirst};
    check("1970-01-01T00:00:01.5Z", DayFirst, 1_500_000);
    check("1970-01-01T02:00:00+02:00", DayFirst, 0);
    check("1969-12-31 23:59:59.999999", DayFirst, -1);
    check("02/01/1970 00:00", DayFirst, 86_400_000_000);
    check("01/02/1970 12:00 AM", MonthFirst, 86_400_000_000);
    check("01/02/1970 12:30 pm", MonthFirst, 86_400_000_000 + 45_000_000_000);
    check("01/Jan/1970:00:00:01 +0000", DayFirst, 1_000_000);
    assert_eq!(dates::iso_micros(b"1970-01-01T00:00:01Z"), Some(1_000_000));
    assert_eq!(dates::iso_micros(b"1970-01-01 00:00:61"), None);
}

fn decided(name: &str, cells: &[&str]) -> String {
    let mut whole = Evidence::default();
    let mut halves = (Evidence::default(), Evidence::default());
    for (place, cell) in cells.iter().enumerate() {
        whole.observe(cell.as_bytes(), || place as u64 + 2);
        let half = if place % 2 == 0 { &mut halves.0 } else { &mut halves.1 };
        half.observe(cell.as_bytes(), || place as u64 + 2);
    }
    let around = |evidence: &Evidence| Surroundings::of(std::iter::once(evidence), false);
    let decision = decide(name, &whole, &around(&whole));
    let (mut merged, other) = halves;
    merged.merge(other);
    assert_eq!(decide(name, &merged, &around(&merged)), decision, "two halves decide otherwise: {cells:?}");
    format!("{}: {}", to_sql(&decision.data_type), decision.remarks.join("; "))
}

#[test]
fn columns_are_decided() {
    let check = |cells: &[&str], expected: &str| assert_eq!(decided("c", cells), expected, "{cells:?}");
    check(&[], "text: no cell has a value");
    check(&["", ""], "text: no cell has a value");
    check(&["NA", "NA"], "text: ");
    check(&["1", "", "NA"], "bigint: `NA` means missing (1 cell)");
    check(&["1", "2.5"], "double: ");
    check(&["1", "NaN"], "bigint: `NaN` means missing (1 cell)");
    check(&["1.5", "NaN", "?"], "double: `?` means missing");
    check(&["true", "False", "-"], "boolean: `-` means missing (1 cell)");
    check(&["1", "true"], "text: text, because it holds both `true` in line 3 and `1` in line 2");
    check(&["01", "2"], "text: text, because leading zeros and signs belong to it: `01` in line 2");
    check(&["99999999999999999999", "1"], "decimal(38, 0): has numbers of 20 digits");
    check(&["2015-01-31", "2015-02-01 10:00"], "timestamp: ");
    check(&["2015-01-31", "2015-02-01T10:00Z"], "text: text, because some times have a zone and some have none");
    check(&["01/02/2015", "13/02/2015"], "date: dates are day first, because 13/02/2015 is in line 3");
    check(&["01/02/2015", "02/13/2015"], "date: dates are month first, because 02/13/2015 is in line 3");
    check(
        &["13/02/2015", "02/13/2015"],
        "text: text, because `13/02/2015` in line 2 is day first and `02/13/2015` in line 3 is month first",
    );
    check(
        &["02/03/2015", "03/02/2015"],
        "date: dates are day first, which is the more common order, though no date proves it: 02/03/2015 is in line 2",
    );
    check(
        &["01/01/2015", "01/02/2015", "01/03/2015"],
        "date: dates are day first, because the first number is always 1, as in 01/01/2015, and the other varies",
    );
    check(&["19970101", "20151231"], "bigint: ");
    assert!(decided("order_date", &["19970101", "20151231"]).starts_with("date: "));
    assert!(decided("order_date", &["19970101", "20151232"]).starts_with("bigint: "));
    assert!(decided("zip", &["35233", "35234"]).starts_with("text: "));
}

#[test]
fn marks_between_thousands_are_told_from_decimal_signs() {
    let check = |cells: &[&str], comma_is_free: bool, expected: &str| {
        let mut evidence = Evidence::new(false);
        evidence.comma_is_free = comma_is_free;
        for (line, cell) in cells.iter().enumerate() {
            evidence.observe(cell.as_bytes(), || line as u64 + 2);
        }
        let found = decide("v", &evidence, &Surroundings::default());
        assert_eq!(format!("{}: {}", to_sql(&found.data_type), found.remarks.join("; ")), expected, "{cells:?}");
    };
    let points = "points set thousands apart, and the comma is the decimal sign";
    check(&["1.234,50", "n/a", "12,5", "7", "1.250"], true, &format!("double: {points}; `n/a` means missing (1 cell)"));
    check(&["1.234.567", "12,5"], true, &format!("double: {points}"));
    check(&["1.234,50"], false, &format!("double: {points}"));
    let commas = "commas set thousands apart";
    check(&["1,234.50", "0.5", "-"], false, &format!("double: {commas}; `-` means missing (1 cell)"));
    check(&["1,234", "0.5", "12"], false, &format!("double: {commas}"));
    check(&["1,234,567", "12", "1,250"], true, &format!("bigint: {commas}"));
    check(&["12,5", "1,250"], true, "double: the comma is the decimal sign");
    // What may be one or the other stays as it is.
    check(&["1.250", "12,5"], true, "text: text, because it holds both `1.250` in line 2 and `12,5` in line 3");
    check(&["1,250", "0.5"], true, "text: text, because it holds both `0.5` in line 3 and `1,250` in line 2");
    check(&["0,123", "0.5"], false, "text: text, because it holds both `0.5` in line 3 and `0,123` in line 2");
    check(&["1,250", "2e5"], true, "text: text, because it holds both `2e5` in line 3 and `1,250` in line 2");
    check(&["212,646,917"], false, "text: text, because `212,646,917` in line 2 can be read in more than one way");
    check(&["0,125"], true, "double: the comma is the decimal sign");
    check(&["1,250"], true, "text: text, because `1,250` in line 2 can be read in more than one way");
    check(&["100.100.100"], true, "text: text, because `100.100.100` in line 2 can be read in more than one way");
    check(
        &["1.234,50", "1,234.50"],
        true,
        "text: text, because it holds both `1.234,50` in line 2 and `1,234.50` in line 3",
    );
    check(&["1.234,50", "0.5"], true, "text: text, because it holds both `0.5` in line 3 and `1.234,50` in line 2");
    check(&["1.250", "1,250"], true, "text: text, because it holds both `1.250` in line 2 and `1,250` in line 3");
}

#[test]
fn points_set_thousands_apart_beside_a_column_with_decimal_commas() {
    let seen = |cells: &[&str], comma_is_free: bool| {
        let mut evidence = Evidence::new(false);
        evidence.comma_is_free = comma_is_free;
        for (line, cell) in cells.iter().enumerate() {
            evidence.observe(cell.as_bytes(), || line as u64 + 2);
        }
        evidence
    };
    let commas = Surroundings::of([seen(&["1.234,50", "12,5"], true)].iter(), false);
    assert!(commas.commas);
    for other in [&["1.250", "7"][..], &["12,5", "about 12,5 metres"]] {
        assert!(!Surroundings::of([seen(other, true)].iter(), false).commas, "{other:?}");
    }
    let check = |evidence: &Evidence, around: &Surroundings, expected: &str| {
        let found = decide("v", evidence, around);
        assert_eq!(format!("{}: {}", to_sql(&found.data_type), found.remarks.join("; ")), expected);
        found.form
    };
    let whole = seen(&["1.000", "-2.500", "999"], true);
    let form = check(
        &whole,
        &commas,
        "bigint: points set thousands apart, since the comma is the decimal sign in another column",
    );
    assert_eq!(cell::plain_number(b"-2.500", form.thousands, form.comma).as_deref(), Some(&b"-2500"[..]));
    // What no other column tells is said, and told by a type.
    let said = "double: the point of `1.000` in line 2 is read as the decimal sign, as are all; bigint, said with --type, \
                reads points that set thousands apart";
    check(&whole, &Surroundings::default(), said);
    assert_eq!(form_for(&DataType::Int64, &whole, &Surroundings::default()).thousands, Some(b'.'));
    assert_eq!(form_for(&DataType::Float64, &whole, &Surroundings::default()).thousands, None);
    assert_eq!(form_for(&DataType::Float64, &whole, &commas).thousands, Some(b'.'));
    // These are fractions, and the comma separates cells.
    for (cells, comma_is_free) in [(["1.000", "0.5"], true), (["1.000", "2e5"], true), (["1.000", "7"], false)] {
        check(&seen(&cells, comma_is_free), &commas, "double: ");
    }
}

#[test]
fn numbers_are_read_past_the_marks_between_their_thousands() {
    let check = |cell: &str, thousands: Option<u8>, comma: bool, expected: Option<&str>| {
        let found = cell::plain_number(cell.as_bytes(), thousands, comma);
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{cell}");
    };
    for (cell, expected) in [("-1.234,50", "-1234.50"), ("12,5", "12.5"), ("7", "7"), ("1.250", "1250")] {
        check(cell, Some(b'.'), true, Some(expected));
    }
    for cell in ["12.5", "1.23,4", "1.234,5.6", "1234.567,8", "0.123"] {
        check(cell, Some(b'.'), true, None);
    }
    check("-1,234,567.5", Some(b','), false, Some("-1234567.5"));
    check("12,5", Some(b','), false, None);
    check("12,5", None, true, Some("12.5"));
    check("12,5", None, false, Some("12,5"));
}
