use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, ListArray, ListBuilder, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalMonthDayNanoType};

use super::{interval_text, read, stored};
use crate::declared::DECLARED;

fn column(declared: &str) -> Field {
    let metadata = HashMap::from([(DECLARED.to_owned(), declared.to_owned())]);
    Field::new("c", DataType::Utf8View, true).with_metadata(metadata)
}

#[test]
fn intervals_come_back_as_they_were() {
    let check = |months, days, micros: i64, text: &str| {
        let value = IntervalMonthDayNano::new(months, days, micros * 1_000);
        assert_eq!(interval_text(value), text);
        assert_eq!(crate::inlined::interval(text), Some(value), "{text}");
    };
    check(0, 0, 0, "00:00:00");
    check(14, 0, 0, "14 mons");
    check(-14, 3, 0, "-14 mons 3 days");
    check(0, -1, 1, "-1 days 00:00:00.000001");
    check(0, 0, -3_600_000_000, "-01:00:00");
    check(1, 2, 14_706_500_000, "1 mons 2 days 04:05:06.5");
    check(0, 0, 360_000_000_000, "100:00:00");
}

#[test]
fn texts_and_intervals_are_stored_alike() {
    let field = column("interval");
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("2 hours 3 days"), None]));
    let values: ArrayRef =
        Arc::new(IntervalMonthDayNanoArray::from(vec![Some(IntervalMonthDayNano::new(0, 3, 7_200_000_000_000)), None]));
    for given in [texts, Arc::clone(&values)] {
        let kept = stored(&given, &field, "t").unwrap().unwrap();
        assert_eq!(kept.as_string_view().value(0), "3 days 02:00:00");
        assert!(kept.is_null(1));
        let logical = super::field(&Arc::new(field.clone()));
        let back = read(&kept, &logical).unwrap();
        assert_eq!(back.as_primitive::<IntervalMonthDayNanoType>(), values.as_primitive());
    }
    let wrong: ArrayRef = Arc::new(StringArray::from(vec!["soon"]));
    assert_eq!(stored(&wrong, &field, "t").unwrap().unwrap_err().code(), "22007");
}

#[test]
fn jsonb_keeps_the_value_and_json_the_spelling() {
    let text = r#"{"bb": 1,   "a":[1 , 2], "a": 3}"#;
    let given: ArrayRef = Arc::new(StringArray::from(vec![text]));
    let kept = |declared| stored(&given, &column(declared), "t").unwrap().unwrap().as_string_view().value(0).to_owned();
    assert_eq!(kept("json"), text);
    assert_eq!(kept("jsonb"), r#"{"a": 3, "bb": 1}"#);
    let wrong: ArrayRef = Arc::new(StringArray::from(vec!["{oops"]));
    for declared in ["json", "jsonb"] {
        assert_eq!(stored(&wrong, &column(declared), "t").unwrap().unwrap_err().code(), "22P02");
    }
    assert!(stored(&given, &column("varchar(3)"), "t").is_none());
}

fn lists(all: &[Option<&[Option<&str>]>]) -> ListArray {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in all {
        for value in list.unwrap_or_default() {
            builder.values().append_option(*value);
        }
        builder.append(list.is_some());
    }
    builder.finish()
}

#[test]
fn elements_of_arrays_are_json() {
    let metadata = |declared: &str| HashMap::from([(DECLARED.to_owned(), declared.to_owned())]);
    let column = |declared: &str| {
        Field::new("c", DataType::new_list(DataType::Utf8View, true), true).with_metadata(metadata(declared))
    };
    let given = lists(&[Some(&[Some("{"), None]), Some(&[Some(r#"{"a":1}"#), None]), None, Some(&[])]);
    // What lies before the first list is none of its elements.
    let given: ArrayRef = Arc::new(given.slice(1, 3));
    let kept = stored(&given, &column("jsonb[]"), "t").unwrap().unwrap();
    assert_eq!(kept.data_type(), column("jsonb[]").data_type());
    let kept = kept.as_list::<i32>();
    assert_eq!((kept.len(), kept.is_null(1), kept.value_length(2)), (3, true, 0));
    let first = kept.value(0);
    assert_eq!((first.as_string_view().value(0), first.is_null(1)), (r#"{"a": 1}"#, true));
    let spelled = stored(&given, &column("json[]"), "t").unwrap().unwrap();
    assert_eq!(spelled.as_list::<i32>().value(0).as_string_view().value(0), r#"{"a":1}"#);
    let wrong: ArrayRef = Arc::new(lists(&[Some(&[Some("oops")])]));
    for declared in ["json[]", "jsonb[]"] {
        assert_eq!(stored(&wrong, &column(declared), "t").unwrap().unwrap_err().code(), "22P02");
        let logical = super::field(&Arc::new(column(declared)));
        assert_eq!(logical.metadata().get(super::CATALOG_TYPE).map(String::as_str), Some(declared));
    }
}
