use super::*;

fn written(write: impl FnOnce(&mut BytesMut)) -> String {
    let mut out = BytesMut::new();
    write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn floats_are_the_shortest_that_read_back() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (100.0, "100"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e14, "100000000000000"),
        (1e15, "1e+15"),
        (1.234e300, "1.234e+300"),
        (123_456.789, "123456.789"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(written(|out| float(out, value, FLOAT8_PLACES)), expected);
    }
    assert_eq!(written(|out| float(out, 1e6f32, FLOAT4_PLACES)), "1e+06");
    assert_eq!(written(|out| float(out, 0.1f32, FLOAT4_PLACES)), "0.1");
}

#[test]
fn times_are_as_the_style_iso_has_them() {
    assert_eq!(written(|out| date(out, day(0).unwrap())), "1970-01-01");
    assert_eq!(written(|out| date(out, NaiveDate::from_ymd_opt(-43, 3, 15).unwrap())), "0044-03-15 BC");
    assert_eq!(written(|out| time(out, 86_399_999_999)), "23:59:59.999999");
    assert_eq!(written(|out| timestamp(out, moment(1_500_000).unwrap())), "1970-01-01 00:00:01.5");
    let zone: chrono::FixedOffset = "+05:30".parse().unwrap();
    assert_eq!(written(|out| timestamptz(out, moment(0).unwrap(), &zone)), "1970-01-01 05:30:00+05:30");
    assert_eq!(written(|out| timestamptz(out, moment(0).unwrap(), &Utc)), "1970-01-01 00:00:00+00");
}

#[test]
fn intervals_are_as_the_style_postgres_has_them() {
    for ((months, days, nanoseconds), expected) in [
        ((0, 0, 0), "00:00:00"),
        ((14, 3, 0), "1 year 2 mons 3 days"),
        ((1, -1, 0), "1 mon -1 days"),
        ((-1, 1, 0), "-1 mons +1 day"),
        ((0, -3, 14_706_700_000_000), "-3 days +04:05:06.7"),
        ((0, 0, -1_000_000_000), "-00:00:01"),
        ((0, 0, 360_000_000_000_000), "100:00:00"),
    ] {
        let span = IntervalMonthDayNano::new(months, days, nanoseconds);
        assert_eq!(written(|out| interval(out, span)), expected);
    }
}

#[test]
fn elements_and_fields_are_quoted_when_they_must_be() {
    for (text, as_element, as_field) in [
        ("a", "a", "a"),
        ("", "\"\"", "\"\""),
        ("null", "\"null\"", "null"),
        ("a b", "\"a b\"", "\"a b\""),
        ("a\"b", "\"a\\\"b\"", "\"a\"\"b\""),
        ("a\\b", "\"a\\\\b\"", "\"a\\\\b\""),
        ("{}", "\"{}\"", "{}"),
    ] {
        assert_eq!(written(|out| element(out, text.as_bytes())), as_element);
        assert_eq!(written(|out| field(out, text.as_bytes())), as_field);
    }
}

#[test]
fn bytes_are_hexadecimal() {
    assert_eq!(written(|out| bytea(out, b"\x00\xffa")), "\\x00ff61");
    let id: Vec<u8> = (0..16).collect();
    assert_eq!(written(|out| uuid(out, &id)), "00010203-0405-0607-0809-0a0b0c0d0e0f");
}
