//! Texts that were once read as something else without a word.

use polder_capability::{ColumnChoice, LoadOptions};

use super::memory::{Bench, shown, shown_with};

#[test]
fn single_quotes_are_found_around_single_cells() {
    insta::assert_snapshot!(shown("needed.csv", "id,w\n0,'a0,b'\n1,'it''s'\n2,c\n3,d\n"), @r"
    needed: id bigint, w text
    0|a0,b
    1|it's
    2|c
    3|d
    ");
    insta::assert_snapshot!(shown("usual.csv", "id,w\n0,'a0'\n1,'a1'\n"), @r"
    usual: id bigint, w text
    0|a0
    1|a1
    ");
    insta::assert_snapshot!(shown("first.csv", "w,id\n'a0, b',0\n'a1',1\n"), @r"
    first: w text, id bigint
    a0, b|0
    a1|1
    ");
    // An apostrophe, and one word in quotes among many without, are letters.
    insta::assert_snapshot!(shown("letters.csv", "id,place\n1,'s Gravenhage\n2,'t Zand\n3,'so'\n4,Delft\n5,Goes\n"), @r"
    letters: id bigint, place text
    1|'s Gravenhage
    2|'t Zand
    3|'so'
    4|Delft
    5|Goes
    ");
}

#[test]
fn rows_that_end_with_a_separator_have_no_cell_more() {
    insta::assert_snapshot!(shown("open.csv", "id,w\n1,a,\n2,b,\n3\n"), @r"
    open: id bigint, w text
    1|a
    2|b
    rejected line 4 None: 1 field instead of 2: 3
    - each row ends with a separator that the header has not: what is behind it is empty, and left out
    ");
}

#[test]
fn titles_above_the_header_are_no_rows() {
    // As Excel writes a sheet.
    let padded = "Report;;\r\nby Jan;;\r\n;;\r\nRegion;Units;Sum\r\nNorth;10;1.000,50\r\nSouth;20;2.000,75\r\n";
    insta::assert_snapshot!(shown("padded.csv", padded), @r"
    padded: region text, units bigint, sum double
    North|10|1000.5
    South|20|2000.75
    rejected line 1 None: stands before the header: Report;;
    rejected line 2 None: stands before the header: by Jan;;
    - `sum`: points set thousands apart, and the comma is the decimal sign
    ");
    let bare = "Report\nby Jan\n\nRegion,Units,Sum\nNorth,10,1.5\nSouth,20,2.5\n\nTotal,30,4\n";
    insta::assert_snapshot!(shown("bare.csv", bare), @r"
    bare: region text, units bigint, sum double
    North|10|1.5
    South|20|2.5
    Total|30|4.0
    rejected line 1 None: stands before the header: Report
    rejected line 2 None: stands before the header: by Jan
    ");
    insta::assert_snapshot!(shown("unnamed.csv", "town,\nDelft,x\nGoes,y\nBreda,5\n"), @r"
    unnamed: town text, column_2 text
    Delft|x
    Goes|y
    Breda|5
    - names made safe: `` is `column_2`
    ");
    // Words below a cell alone are no header for certain.
    insta::assert_snapshot!(shown("words.csv", "Delft,,\nGoes,x,y\nBreda,z,w\n"), @r"
    words: column_1 text, column_2 text, column_3 text
    Delft|∅|∅
    Goes|x|y
    Breda|z|w
    - there is no header line, so the columns are numbered
    ");
}

#[test]
fn words_of_other_countries_mean_missing_beside_numbers() {
    insta::assert_snapshot!(shown("words.csv", "id;n\n1;1.234,50\n2;n.v.t.\n3;k.A.\n4;n.a.\n"), @r"
    words: id bigint, n double
    1|1234.5
    2|∅
    3|∅
    4|∅
    - `n`: points set thousands apart, and the comma is the decimal sign
    - `n`: `n.a.`, `n.v.t.` and `k.A.` mean missing (3 cells)
    ");
}

#[test]
fn a_first_line_may_name_the_separator() {
    insta::assert_snapshot!(shown("named.csv", "sep=;\r\nid;w\r\n1\r\n2;x,y\r\n3;z\r\n"), @r"
    named: id bigint, w text
    2|x,y
    3|z
    rejected line 3 None: 1 field instead of 2: 1
    - the first line names the separator
    ");
    insta::assert_snapshot!(shown("numbers.csv", "sep=|\n1|2\n3|4\n"), @r"
    numbers: column_1 bigint, column_2 bigint
    1|2
    3|4
    - the first line names the separator
    - there is no header line, so the columns are numbered
    ");
    insta::assert_snapshot!(shown("noted.csv", "SEP=,\n# by hand\nid,w\n1,x\n"), @r"
    noted: id bigint, w text
    1|x
    - the first line names the separator; below it, the first line begins with # and is left out: by hand
    ");
}

#[test]
fn digits_beyond_a_double_are_said_and_kept_by_a_decimal() {
    let text = "a,b,c,d\n0.12345678901234567890,123456789.123456789,0.30000000000000004,1.00000000000000000000\n";
    let bench = Bench::new();
    let report = bench.load(bench.file("digits.csv", text));
    assert_eq!(bench.columns("digits"), ["a double", "b double", "c double", "d double"]);
    insta::assert_snapshot!(report.remarks.join("\n"), @r"
    `a`: a double keeps 17 of the digits of `0.12345678901234567890` in line 2; decimal(38, 20), said with --type, keeps all
    `b`: a double keeps 17 of the digits of `123456789.123456789` in line 2; decimal(38, 9), said with --type, keeps all
    ");
    let choice = ColumnChoice { source: "a".into(), data_type: Some("numeric(38,20)".into()), ..Default::default() };
    let options = LoadOptions { columns: vec![choice], ..LoadOptions::default() };
    insta::assert_snapshot!(shown_with("kept.csv", "a,b\n0.12345678901234567890,1\n", options), @r"
    kept: a decimal(38, 20), b bigint
    0.12345678901234567890|1
    ");
}

/// Three names and two cells: what the comma is, nobody can say, so it is kept.
#[test]
fn a_comma_is_no_decimal_sign_below_names_that_commas_separate() {
    insta::assert_snapshot!(shown("few.csv", "a,b,c\n1,2\n3,4\n"), @r"
    few: a_b_c text
    1,2
    3,4
    - names made safe: `a,b,c` is `a_b_c`
    - `a_b_c`: text, because `1,2` in line 2 can be read in more than one way
    - no separator was found, so each line is one cell
    ");
}

/// In a column of text `NA` may be meant, so it stays; how often, and what makes it missing, is said. In quotes it is meant.
#[test]
fn words_that_are_kept_as_text_are_counted() {
    let text = format!("id,tail,all,place\n{}2,\"NA\",NA,NULL\n3,NA,NA,N/A\n", "1,N10156,NA,Delft\n".repeat(3000));
    let bench = Bench::new();
    let report = bench.load(bench.file("planes.csv", &text));
    insta::assert_snapshot!(report.remarks.join("\n"), @r"
    `tail`: `NA` is kept as text (1 cell); --nulls NA makes it NULL
    `all`: `NA` is kept as text (3002 cells); --nulls NA makes it NULL
    `place`: `N/A` and `NULL` are kept as text (2 cells); --nulls N/A,NULL makes them NULL
    ");
    let options = LoadOptions { nulls: Some(vec!["NA".into()]), ..LoadOptions::default() };
    insta::assert_snapshot!(shown_with("said.csv", "id,tail\n1,NA\n2,N10156\n", options), @r"
    said: id bigint, tail text
    1|∅
    2|N10156
    ");
}
