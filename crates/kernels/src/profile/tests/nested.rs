//! Dictionaries, runs, lists, structs, maps and unions.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;

use super::super::ColumnProfiler;
use super::{check, line, profile};

fn dictionary(keys: Vec<Option<i32>>, values: ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), values).unwrap())
}

#[test]
fn dictionaries() {
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("never")]));
    let array = dictionary(vec![Some(0), Some(1), None, Some(2), Some(2)], words);
    check(array.clone(), "rows 5, missing 2, distinct 2, a to b", "", "b 2, a 1");
    check(array.slice(2, 2), "rows 2, missing 1, distinct 1, b to b", "", "b 1");
    // A word twice in the dictionary is one value.
    let twice: ArrayRef = Arc::new(StringArray::from(vec!["a", "a"]));
    check(dictionary(vec![Some(0), Some(1)], twice), "rows 2, distinct 1, a to a", "", "a 2");
    let none: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
    check(dictionary(vec![None, None], none), "rows 2, missing 2, distinct 0", "", "");
    let numbers: ArrayRef = Arc::new(Int64Array::from((0..1000).collect::<Vec<i64>>()));
    let few = dictionary(vec![Some(900), Some(1), Some(900), None], numbers);
    check(
        few,
        "rows 4, missing 1, distinct 2, 1 to 900, mean 600.3333333333334, ± 519.0379",
        "0 (1) 50 (17 × 0) 900 (2) 950",
        "900 2, 1 1",
    );
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    check(
        dictionary(vec![Some(0), Some(0), Some(1), Some(2)], flags),
        "rows 4, missing 1, distinct 2",
        "",
        "true 2, false 1",
    );
    let nothing: ArrayRef = Arc::new(NullArray::new(2));
    check(dictionary(vec![Some(0), None], nothing), "rows 2, missing 2, distinct 0", "", "");
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.0, f64::INFINITY]));
    check(
        dictionary(vec![Some(0), Some(0), Some(1), Some(1), Some(2)], floats),
        "rows 5, distinct 3, 1.0 to inf, mean 1, ± 0.0000, nan 2, infinite 1",
        "1 (2) 1",
        "1.0 2, NaN 2, inf 1",
    );
}

#[test]
fn a_long_word_is_not_repeated() {
    // Expanded, this would be 8 GB.
    let word: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1 << 20)]));
    let profile = profile(&[dictionary(vec![Some(0); 8192], word)]);
    assert_eq!(line(&profile).split(", ").take(2).collect::<Vec<_>>(), ["rows 8192", "distinct 1"]);
}

#[test]
fn runs() {
    let ends = Int32Array::from(vec![2, 5, 6]);
    let values = Int64Array::from(vec![Some(7), None, Some(9)]);
    let array: ArrayRef = Arc::new(RunArray::<Int32Type>::try_new(&ends, &values).unwrap());
    check(
        array.clone(),
        "rows 6, missing 3, distinct 2, 7 to 9, mean 7.666666666666667, ± 1.1547",
        "7 (2) 8 (0) 9 (1) 10",
        "7 2, 9 1",
    );
    check(array.slice(1, 2), "rows 2, missing 1, distinct 1, 7 to 7, mean 7", "7 (1) 7", "7 1");
    check(array.slice(0, 0), "rows 0, distinct 0", "", "");
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let packed = dictionary(vec![Some(1), None, Some(0)], words);
    let array: ArrayRef = Arc::new(RunArray::<Int32Type>::try_new(&ends, &packed).unwrap());
    check(array, "rows 6, missing 3, distinct 2, a to b", "", "b 2, a 1");
}

#[test]
fn layouts_may_change_between_batches() {
    let arrays: [ArrayRef; 4] = [
        Arc::new(StringArray::from(vec!["a"])),
        Arc::new(LargeStringArray::from(vec!["a"])),
        Arc::new(StringViewArray::from(vec!["a"])),
        dictionary(vec![Some(0)], Arc::new(StringArray::from(vec!["a"]))),
    ];
    assert_eq!(line(&profile(&arrays)), "rows 4, distinct 1, a to a");
    let mut profiler = ColumnProfiler::new(&DataType::Int32);
    let error = profiler.update(&arrays[0]).unwrap_err();
    assert_eq!(error.message(), "a column of type Int32 cannot be profiled with values of type Utf8");
    assert!(profiler.merge(ColumnProfiler::new(&DataType::Int64)).is_err());
}

#[test]
fn lists() {
    let rows = vec![Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(1), None]), Some(vec![Some(1)])];
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(rows.clone());
    check(Arc::new(list.clone()), "rows 5, missing 1, distinct 3", "", "");
    check(Arc::new(list.slice(2, 2)), "rows 2, distinct 2", "", "");
    assert_eq!(profile(&[Arc::new(list)]).top, None);
    check(
        Arc::new(LargeListArray::from_iter_primitive::<Int32Type, _, _>(rows)),
        "rows 5, missing 1, distinct 3",
        "",
        "",
    );
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        [Some([Some(1), Some(2)]), None, Some([Some(1), Some(2)]), Some([Some(2), Some(1)])]
            .map(|row| row.map(|row| row.to_vec())),
        2,
    );
    check(Arc::new(fixed.clone()), "rows 4, missing 1, distinct 2", "", "");
    check(Arc::new(fixed.slice(1, 3)), "rows 3, missing 1, distinct 2", "", "");
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![0.0, 1.0, -0.0]));
    let view = ListViewArray::new(
        item.clone(),
        ScalarBuffer::from(vec![0, 2, 1]),
        ScalarBuffer::from(vec![1, 1, 1]),
        values.clone(),
        None,
    );
    check(Arc::new(view), "rows 3, distinct 2", "", "");
    let view =
        LargeListViewArray::new(item, ScalarBuffer::from(vec![0, 0]), ScalarBuffer::from(vec![1, 3]), values, None);
    check(Arc::new(view), "rows 2, distinct 2", "", "");
}

#[test]
fn structs_and_maps() {
    let fields = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]);
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), None, Some(1)]));
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), Some("x"), Some("x"), None]));
    let nulls = NullBuffer::from(vec![true, true, true, true]);
    check(
        Arc::new(StructArray::new(fields.clone(), vec![numbers.clone(), words.clone()], Some(nulls))),
        "rows 4, distinct 3",
        "",
        "",
    );
    let nulls = NullBuffer::from(vec![true, false, true, false]);
    let entries = StructArray::new(fields, vec![numbers, words], Some(nulls));
    check(Arc::new(entries.slice(1, 3)), "rows 3, missing 2, distinct 1", "", "");

    let fields =
        Fields::from(vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Int32, true)]);
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["k", "k", "l"]));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 1]));
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
    let map = MapArray::new(field, OffsetBuffer::new(vec![0, 1, 2, 3, 3].into()), entries, None, false);
    check(Arc::new(map), "rows 4, distinct 3", "", "");
}

#[test]
fn unions_and_intervals() {
    let fields: UnionFields =
        [(0, Arc::new(Field::new("a", DataType::Int32, true))), (5, Arc::new(Field::new("b", DataType::Utf8, true)))]
            .into_iter()
            .collect();
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), None]));
    let words: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let union =
        UnionArray::try_new(fields, vec![0, 0, 0, 5].into(), Some(vec![0, 1, 2, 0].into()), vec![numbers, words])
            .unwrap();
    check(Arc::new(union), "rows 4, missing 1, distinct 2", "", "");
    check(
        Arc::new(IntervalYearMonthArray::from(vec![Some(1), Some(1), None, Some(2)])),
        "rows 4, missing 1, distinct 2",
        "",
        "",
    );
    let days = IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 2), IntervalDayTime::new(1, 3)]);
    check(Arc::new(days), "rows 2, distinct 2", "", "");
}

#[test]
fn dictionaries_and_runs_within_structs() {
    let words: ArrayRef = Arc::new(StringArray::from(vec!["x", "x", "y"]));
    let packed = dictionary(vec![Some(0), Some(1), None, Some(2)], words);
    let runs: ArrayRef =
        Arc::new(RunArray::<Int16Type>::try_new(&Int16Array::from(vec![3, 4]), &Int8Array::from(vec![1, 2])).unwrap());
    let fields = Fields::from(vec![
        Field::new("a", packed.data_type().clone(), true),
        Field::new("b", runs.data_type().clone(), true),
    ]);
    let array = StructArray::new(fields, vec![packed, runs], None);
    check(Arc::new(array.clone()), "rows 4, distinct 3", "", "");
    check(Arc::new(array.slice(1, 2)), "rows 2, distinct 2", "", "");
}
