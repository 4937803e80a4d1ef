use clap::Parser;
use polder_capability::{LoadReport, RejectSample, SourceReport, TableReport};

use super::text;
use crate::cli::{Cli, Command, LoadArgs};

fn args() -> LoadArgs {
    match Cli::parse_from(["polder", "load", "x"]).command {
        Command::Load(args) => args,
        other => panic!("{other:?}"),
    }
}

fn source(name: &str, rows_loaded: u64, skipped: bool) -> SourceReport {
    SourceReport { source: name.to_owned(), format: "csv".to_owned(), rows_loaded, skipped, ..SourceReport::default() }
}

fn check(tables: Vec<TableReport>, snapshot: Option<i64>, expected: &str) {
    assert_eq!(text(&LoadReport { tables, snapshot, elapsed_ms: 1234 }, &args()), expected);
}

#[test]
fn one_file_one_line() {
    let table = TableReport {
        table: "public.flights".to_owned(),
        rows_loaded: 336_776,
        sources: vec![source("flights.csv", 336_776, false)],
        ..TableReport::default()
    };
    check(vec![table], Some(3), "public.flights: 336,776 rows loaded from flights.csv (csv)\nsnapshot 3, 1.234 s\n");
}

#[test]
fn every_row_is_accounted_for() {
    let table = TableReport {
        table: "public.t".to_owned(),
        rows_loaded: 1,
        rows_rejected: 1,
        rejects_table: Some("public.t__rejects".to_owned()),
        sources: vec![source("a.csv", 1, false), source("b.csv", 0, false), source("c.csv", 0, true)],
        remarks: vec!["dates are day first".to_owned()],
        rejects: vec![RejectSample {
            source: "b.csv".to_owned(),
            line: 7,
            column: Some("n".to_owned()),
            reason: "not a number".to_owned(),
            raw: "x\u{1b}[2J,1\n".to_owned(),
        }],
    };
    let expected = "\
public.t: 1 row loaded, 1 row rejected from 2 sources
  a.csv (csv): 1 row loaded
  b.csv (csv): 0 rows loaded
  skipped c.csv: the same content was loaded before
  --again loads it again
  dates are day first
  rejected: b.csv, line 7, column n: not a number
    x\\u{1b}[2J,1
  all of them: SELECT * FROM public.t__rejects
snapshot 4, 1.234 s
";
    check(vec![table], Some(4), expected);
}

#[test]
fn what_is_said_of_a_whole_file_is_shown() {
    let mut remarks: Vec<String> = ('a'..='f').map(|column| format!("`{column}`: `NA` means missing")).collect();
    remarks.push("the first column is called row_name".to_owned());
    let table = TableReport { table: "public.t".to_owned(), remarks, ..TableReport::default() };
    let expected = "\
public.t: 0 rows loaded
  the first column is called row_name
  `a`: `NA` means missing
  `b`: `NA` means missing
  `c`: `NA` means missing
  `d`: `NA` means missing
  and 2 more remarks; --json shows all
snapshot 5, 1.234 s
";
    check(vec![table], Some(5), expected);
}

#[test]
fn nothing_new() {
    let table =
        TableReport { table: "public.t".to_owned(), sources: vec![source("a.csv", 0, true)], ..TableReport::default() };
    let expected = "public.t: 0 rows loaded\n  skipped a.csv: the same content was loaded before\n  \
        --again loads it again\nnothing new, 1.234 s\n";
    check(vec![table], None, expected);
}
