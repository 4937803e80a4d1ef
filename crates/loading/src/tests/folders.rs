//! Files in folders that are named after values.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use polder_capability::{CopyTerms, LoadColumns, LoadMode, LoadOptions, LoadRequest, LoadSource, Loader};

use super::memory::Bench;

fn parquet(name: &str, values: &[i64]) -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Three folders of a directory `parts`, the last one without a value.
fn parts(bench: &Bench, ending: &str, contents: [&[u8]; 3]) -> String {
    for (folder, content) in ["k=007", "k=a%2Fb", "k=__HIVE_DEFAULT_PARTITION__"].iter().zip(contents) {
        bench.file(&format!("parts/{folder}/data.{ending}"), content);
    }
    bench.directory.path().join("files/parts").to_str().unwrap().to_owned()
}

fn sorted(bench: &Bench, table: &str) -> Vec<String> {
    let mut rows = bench.rows(table);
    rows.sort();
    rows
}

#[test]
fn folders_become_a_column_in_every_format() {
    let check = |ending: &str, contents: [&[u8]; 3]| {
        let bench = Bench::new();
        let report = bench.load(parts(&bench, ending, contents));
        assert_eq!(report.table, "public.parts", "{ending}");
        assert_eq!(bench.columns("parts"), ["n bigint", "k text"], "{ending}");
        assert_eq!(sorted(&bench, "parts"), ["1|007", "1|a/b", "3|∅"], "{ending}");
    };
    // Equal contents are different rows.
    let one = parquet("n", &[1]);
    check("parquet", [&one, &one, &parquet("n", &[3])]);
    check("json", [b"{\"n\":1}\n", b"{\"n\":1}\n", b"{\"n\":3}\n"]);
}

#[test]
fn types_are_those_of_all_values() {
    let bench = Bench::new();
    for (folder, n) in [("day=2024-02-29/size=1", 1), ("day=2024-03-01/size=20", 2), ("day=2024-03-01/size=3", 1)] {
        bench.file(&format!("sales/{folder}/x.csv"), format!("n,word\n{n},a\n"));
    }
    // The table has the name of the folder that they are in, and so it has by a pattern.
    bench.load(bench.directory.path().join("files/sales"));
    assert_eq!(bench.columns("sales"), ["n bigint", "word text", "day date", "size bigint"]);
    let expected = ["1|a|2024-02-29|1", "1|a|2024-03-01|3", "2|a|2024-03-01|20"];
    assert_eq!(sorted(&bench, "sales"), expected);
    let into = Some("again".to_owned());
    let pattern = bench.directory.path().join("files/sales/day=*/*/x.csv");
    bench.load_request(LoadRequest { into, ..bench.request(pattern) });
    assert_eq!(sorted(&bench, "again"), expected);
    // What was given is no folder below it.
    let into = Some("one".to_owned());
    let given = bench.directory.path().join("files/sales/day=2024-03-01");
    bench.load_request(LoadRequest { into, ..bench.request(given) });
    assert_eq!(bench.columns("one"), ["n bigint", "word text", "size bigint"]);
    // All of it is known.
    let again = bench.load(bench.directory.path().join("files/sales"));
    assert!(again.sources.iter().all(|source| source.skipped), "{again:?}");
}

#[test]
fn the_value_of_a_folder_stands_in_for_the_column_of_the_file() {
    let check = |file: &str, content: &[u8], expected: &[&str], rows: &[&str]| {
        let bench = Bench::new();
        bench.file(file, content);
        let report = bench.load(bench.directory.path().join("files/own"));
        assert_eq!(bench.columns("own"), expected, "{file}");
        assert_eq!(bench.rows("own"), rows, "{file}");
        let said = "it is in the file and in the name of its folder, whose value is taken";
        assert!(report.remarks.iter().any(|remark| remark.ends_with(said)), "{:?}", report.remarks);
    };
    check("own/k=1/x.csv", b"k,n\n5,6\n", &["k bigint", "n bigint"], &["1|6"]);
    // Names that differ in nothing but the case are one column.
    check("own/city=Delft/x.csv", b"n,City\n1,5\n2,6\n", &["n bigint", "city text"], &["1|Delft", "2|Delft"]);
    check("own/City=Delft/x.json", b"{\"city\": 5}\n", &["city text"], &["Delft"]);
    check("own/N=a/x.parquet", &parquet("n", &[1, 2]), &["n text"], &["a", "a"]);
}

#[test]
fn a_table_without_a_column_for_folders_leaves_them_out() {
    let bench = Bench::new();
    bench.load(bench.file("t.csv", "n,m\n1,2\n"));
    let append = |source: &str| LoadRequest {
        mode: LoadMode::Append,
        into: Some("t".into()),
        ..bench.request(bench.directory.path().join("files").join(source))
    };
    bench.file("in/year=2013/month=01/x.csv", "n,m\n3,4\n");
    bench.file("in/year=2014/x.csv", "n,m\n5,6\n");
    let report = bench.load_request(append("in")).tables.remove(0);
    assert_eq!(sorted(&bench, "t"), ["1|2", "3|4", "5|6"]);
    let expected = "the table has no column for the values of folders `year=…`, `month=…`: they are left out";
    assert_eq!(report.remarks, [expected]);
    // Columns of the file itself are refused as ever.
    bench.file("more/year=2013/x.csv", "n,year\n3,4\n");
    assert!(bench.fail(append("more")).contains("has columns that the table has not: `year`"));
}

#[test]
fn what_was_loaded_before_folders_were_read_is_known() {
    let bench = Bench::new();
    // A file that is named itself is remembered as every file was then.
    let file = bench.file("in/year=2013/x.csv", "n,m\n3,4\n");
    bench.load_request(LoadRequest { into: Some("t".into()), ..bench.request(file) });
    bench.file("in/year=2014/x.csv", "n,m\n3,4\n");
    let append = LoadRequest {
        mode: LoadMode::Append,
        into: Some("t".into()),
        ..bench.request(bench.directory.path().join("files/in"))
    };
    let report = bench.load_request(append).tables.remove(0);
    let skipped: Vec<bool> = report.sources.iter().map(|source| source.skipped).collect();
    assert_eq!((sorted(&bench, "t"), skipped.len()), (vec!["3|4".to_owned(), "3|4".to_owned()], 2));
    assert_eq!(skipped.iter().filter(|skipped| **skipped).count(), 1, "{:?}", report.sources);
}

#[test]
fn files_of_one_table_have_the_same_folders() {
    let bench = Bench::new();
    bench.file("mixed/k=1/x.csv", "n,m\n1,2\n");
    bench.file("mixed/x.csv", "n,m\n3,4\n");
    let mixed = bench.directory.path().join("files/mixed");
    let refused = bench.fail(LoadRequest { into: Some("t".into()), ..bench.request(&mixed) });
    assert!(refused.contains("k=1/x.csv has `k=…`, and ") && refused.contains("mixed/x.csv has none"), "{refused}");
    bench.file("twice/k=1/k=2/x.csv", "n,m\n1,2\n");
    let refused = bench.fail(bench.request(bench.directory.path().join("files/twice")));
    assert!(refused.contains("is in two folders `k=…`"), "{refused}");
}

#[test]
fn a_table_that_exists_takes_them_by_name() {
    let bench = Bench::new();
    bench.load(bench.file("t.csv", "k,n\n1,2\n"));
    let append = |source: &str, copy: Option<CopyTerms>| LoadRequest {
        mode: LoadMode::Append,
        into: Some("t".into()),
        strict: copy.is_some(),
        options: LoadOptions { header: copy.is_some().then_some(false), copy, ..LoadOptions::default() },
        ..bench.request(bench.directory.path().join("files").join(source))
    };
    bench.file("in/k=3/x.json", "{\"n\":4}\n");
    bench.load_request(append("in", None));
    assert_eq!(sorted(&bench, "t"), ["1|2", "3|4"]);
    // Without a header, the file has the columns that are left.
    bench.file("bare/k=5/x.csv", "6\n");
    let names = |names: &[&str], listed| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Some(CopyTerms { columns: Some(LoadColumns { names, listed }), ..CopyTerms::default() })
    };
    let csv = |source: &str, copy| {
        let request = append(source, copy);
        LoadRequest { options: LoadOptions { format: Some("csv".into()), ..request.options }, ..request }
    };
    bench.load_request(csv("bare", names(&["k", "n"], false)));
    // A list that lacks the folder's column leaves it out.
    bench.file("bare/k=5/x.csv", "7\n");
    bench.load_request(csv("bare", names(&["n"], true)));
    assert_eq!(sorted(&bench, "t"), ["1|2", "3|4", "5|6", "∅|7"]);
    bench.file("wrong/k=five/x.json", "{\"n\":4}\n");
    let refused = bench.fail(append("wrong", None));
    assert!(refused.contains("in column `k`: \"five\" is no bigint"), "{refused}");
}

#[test]
fn a_preview_shows_them() {
    let bench = Bench::new();
    bench.file("seen/k=1/x.csv", "n,m\n1,2\n");
    let source = LoadSource::Location(bench.directory.path().join("files/seen").to_str().unwrap().to_owned());
    let caller = polder_capability::Caller::new("ada", "test");
    let preview = bench.runtime.block_on(bench.loader.preview(&caller, &source, &LoadOptions::default())).unwrap();
    assert_eq!(preview.tables[0].rows, [["1", "2", "1"].map(|cell| Some(cell.to_owned()))]);
}
