//! Modes, rejects, content that is known, progress and cancelling.

use polder_capability::{ColumnChoice, LoadMode, LoadOptions, LoadRequest, LoadSource, LoadState, Loader};

use super::memory::Bench;

const CITIES: &str = "city,people\nUtrecht,376000\nLeiden,124000\n";

#[test]
fn a_file_becomes_a_table_named_after_it() {
    let bench = Bench::new();
    let report = bench.load(bench.file("Cities of 2024.csv", CITIES));
    assert_eq!(report.table, "public.cities_of_2024");
    assert_eq!(report.rows_loaded, 2);
    assert_eq!(bench.columns("cities_of_2024"), ["city text", "people bigint"]);
    assert_eq!(bench.rows("cities_of_2024"), ["Utrecht|376000", "Leiden|124000"]);
    assert_eq!(bench.store.0.lock().loaded.len(), 1);
}

#[test]
fn the_same_content_is_skipped_and_other_content_refused() {
    let bench = Bench::new();
    let path = bench.file("cities.csv", CITIES);
    bench.load(&path);
    let again = bench.load_request(bench.request(&path));
    assert_eq!(again.snapshot, None);
    assert!(again.tables[0].sources[0].skipped);
    bench.file("cities.csv", "city,people\nDelft,104000\n");
    insta::assert_snapshot!(bench.fail(bench.request(&path)), @"table public.cities exists; add to it with --append, make it anew with --replace, or name another table with --into");
    assert_eq!(bench.count("cities"), 2);
}

#[test]
fn append_adds_what_is_new_and_matches_by_name() {
    let bench = Bench::new();
    bench.load(bench.file("cities.csv", CITIES));
    let append = |name: &str, content: &str| LoadRequest {
        mode: LoadMode::Append,
        into: Some("cities".into()),
        ..bench.request(bench.file(name, content))
    };
    let report = bench.load_request(append("more.csv", "People;City\n104000;Delft\n007;Bond\n"));
    assert_eq!(report.tables[0].rows_loaded, 2);
    let report = bench.load_request(append("copy.csv", CITIES));
    assert!(report.tables[0].sources[0].skipped);
    let report = bench.load_request(LoadRequest { again: true, ..append("copy.csv", CITIES) });
    assert_eq!(report.tables[0].rows_loaded, 2);
    let report = bench.load_request(append("fewer.csv", "city\nGouda\n"));
    assert_eq!(report.tables[0].rows_loaded, 1);
    assert_eq!(
        bench.rows("cities"),
        ["Utrecht|376000", "Leiden|124000", "Delft|104000", "Bond|7", "Utrecht|376000", "Leiden|124000", "Gouda|∅"]
    );
    let wide = append("wide.csv", "city,people,mayor\nDelft,1,Ada\n");
    insta::assert_snapshot!(bench.fail(wide).replace(bench.directory.path().to_str().unwrap(), "…"), @"…/files/wide.csv has columns that the table has not: `mayor`; leave them out, rename them to the table's, add them with ALTER TABLE, or load with replace");
}

#[test]
fn append_rejects_what_does_not_fit_the_tables_types() {
    let bench = Bench::new();
    bench.load(bench.file("cities.csv", CITIES));
    let path = bench.file("more.csv", "city,people\nDelft,many\nGouda,75000\n");
    let request = LoadRequest { mode: LoadMode::Append, into: Some("cities".into()), ..bench.request(path) };
    let report = bench.load_request(request);
    let table = &report.tables[0];
    assert_eq!((table.rows_loaded, table.rows_rejected), (1, 1));
    assert_eq!(table.rejects_table.as_deref(), Some("public.cities__rejects"));
    assert_eq!(table.rejects[0].reason, "\"many\" is no bigint");
    assert_eq!(table.rejects[0].column.as_deref(), Some("people"));
    assert_eq!(table.rejects[0].raw, "Delft,many");
    let kept = bench.rows("cities__rejects").remove(0);
    assert!(kept.ends_with("more.csv|2|Delft,many|people|\"many\" is no bigint"), "{kept}");
}

#[test]
fn replace_makes_the_table_anew() {
    let bench = Bench::new();
    let replace = |name: &str, content: &str| LoadRequest {
        mode: LoadMode::Replace,
        into: Some("cities".into()),
        ..bench.request(bench.file(name, content))
    };
    bench.load_request(replace("a.csv", "city,people\nUtrecht,1\nbad\n"));
    assert_eq!(bench.count("cities__rejects"), 1);
    bench.load_request(replace("b.csv", "city,people\nDelft,2\n"));
    assert_eq!(bench.rows("cities"), ["Delft|2"]);
    assert_eq!(bench.count("cities__rejects"), 0);
    bench.load_request(replace("c.csv", "city,people,since\nDelft,2,1246-04-15\n"));
    assert_eq!(bench.columns("cities"), ["city text", "people bigint", "since date"]);
    bench.load_request(replace("c.csv", "city,people,since\nDelft,2,1246-04-15\n"));
    assert_eq!(bench.count("cities"), 1);
}

#[test]
fn rows_of_another_width_are_rejected_and_all_are_counted() {
    let bench = Bench::new();
    let path = bench
        .file("cities.csv", "city,people\nUtrecht,376000\nLeiden\n\nDelft,104000,,\nGouda,1,2\n\"Breda,5\nGoes,6\n");
    let report = bench.load(&path);
    assert_eq!((report.rows_loaded, report.rows_rejected), (3, 3));
    let reasons: Vec<String> =
        report.rejects.iter().map(|reject| format!("{}: {} ({})", reject.line, reject.reason, reject.raw)).collect();
    assert_eq!(
        reasons,
        [
            "3: 1 field instead of 2 (Leiden)",
            "6: 3 fields instead of 2 (Gouda,1,2)",
            "7: a quote is never closed (\"Breda,5)"
        ]
    );
    let strict = LoadRequest { strict: true, into: Some("strict".into()), ..bench.request(&path) };
    let message = bench.fail(strict);
    assert!(message.contains("cities.csv line 3: 1 field instead of 2"), "{message}");
}

#[test]
fn a_strict_load_names_the_first_bad_row_of_a_large_file() {
    let bench = Bench::new();
    let mut content = String::from("id,name\n");
    for row in 0..400_000 {
        if row == 150_000 || row == 350_000 {
            content += "only one\n";
        } else {
            content += &format!("{row},name of {row}\n");
        }
    }
    let path = bench.file("large.csv", &content);
    let message = bench.fail(LoadRequest { strict: true, ..bench.request(&path) });
    assert!(message.contains("line 150002: 1 field"), "{message}");
    let report = bench.load(&path);
    assert_eq!((report.rows_loaded, report.rows_rejected), (399_998, 2));
    assert_eq!(report.rejects.iter().map(|reject| reject.line).collect::<Vec<_>>(), [150_002, 350_002]);
    // The order of the file is the order of the table, whichever lane was faster.
    let rows = bench.rows("large");
    let ids: Vec<u64> = rows.iter().map(|row| row.split('|').next().unwrap().parse().unwrap()).collect();
    assert!(ids.is_sorted());
}

#[test]
fn a_file_of_nothing_but_rejects_is_refused() {
    let bench = Bench::new();
    let options = LoadOptions {
        columns: vec![ColumnChoice { source: "a".into(), data_type: Some("bigint".into()), ..ColumnChoice::default() }],
        ..LoadOptions::default()
    };
    let path = bench.file("words.csv", "a,b\nx,1\ny,2\n");
    let message = bench.fail(LoadRequest { options, ..bench.request(path) });
    assert!(message.contains("none of the 2 rows for public.words can be read"), "{message}");
    assert!(message.contains("line 2: \"x\" is no bigint"), "{message}");
}

#[test]
fn files_of_one_directory_with_equal_columns_make_one_table() {
    let bench = Bench::new();
    bench.file("in/sales_2023.csv", "day,amount\n2023-01-01,5\n");
    bench.file("in/sales_2024.csv", "amount,day\n7.5,2024-01-01\n");
    bench.file("in/shops.csv", "shop,town\nA,Delft\n");
    bench.file("in/notes.txt", "just some words\n");
    bench.file("in/picture.png", b"\x89PNG\r\n\x1a\n....");
    bench.file("in/.hidden.csv", "x\n1\n");
    let report = bench.load_request(bench.request(bench.directory.path().join("files/in")));
    let tables: Vec<&str> = report.tables.iter().map(|table| table.table.as_str()).collect();
    assert_eq!(tables, ["public.sales", "public.shops"]);
    assert_eq!(bench.columns("sales"), ["day date", "amount double"]);
    assert_eq!(bench.rows("sales"), ["2023-01-01|5.0", "2024-01-01|7.5"]);
    let remarks = report.tables[0].remarks.join("\n");
    assert!(remarks.contains("notes.txt is text without columns"), "{remarks}");
    assert!(remarks.contains("picture.png is a picture"), "{remarks}");
    let report = bench.load_request(LoadRequest {
        into: Some("all_sales".into()),
        ..bench.request(bench.directory.path().join("files/in/sales_*.csv"))
    });
    assert_eq!(report.tables[0].rows_loaded, 2);
}

#[test]
fn several_files_into_one_table_may_lack_columns() {
    let bench = Bench::new();
    let mut request = bench.request(bench.file("a.csv", "id,name\n1,x\n"));
    request.sources.push(LoadSource::Location(bench.file("b.csv", "id,extra\n2,y\n").to_str().unwrap().into()));
    request.into = Some("s.both".into());
    let report = bench.load_request(request.clone());
    assert_eq!(report.tables[0].table, "s.both");
    request.sources.push(LoadSource::Location(bench.file("c.csv", "other\n2\n").to_str().unwrap().into()));
    request.load_id = polder_types::LoadId::new();
    request.into = Some("three".into());
    assert!(bench.fail(request).contains("no column in common"));
}

#[test]
fn corrections_are_followed() {
    let bench = Bench::new();
    let choice = |source: &str| ColumnChoice { source: source.into(), ..ColumnChoice::default() };
    let options = LoadOptions {
        nulls: Some(vec!["gone".into()]),
        columns: vec![
            ColumnChoice { name: Some("Town".into()), ..choice("city") },
            ColumnChoice { data_type: Some("text".into()), ..choice("people") },
            ColumnChoice { data_type: Some("date mdy".into()), ..choice("since") },
            ColumnChoice { skip: true, ..choice("junk") },
        ],
        ..LoadOptions::default()
    };
    let path = bench.file("cities.csv", "city,people,since,junk\nDelft,1,01/02/2015,x\ngone,2,02/03/2015,y\n");
    bench.load_request(LoadRequest { options: options.clone(), ..bench.request(&path) });
    assert_eq!(bench.columns("cities"), ["town text", "people text", "since date"]);
    assert_eq!(bench.rows("cities"), ["Delft|1|2015-01-02", "∅|2|2015-02-03"]);
    let wrong =
        |options: LoadOptions| bench.fail(LoadRequest { options, into: Some("x".into()), ..bench.request(&path) });
    insta::assert_snapshot!(wrong(LoadOptions { columns: vec![choice("nope")], ..LoadOptions::default() }), @r#"there is no column "nope" to correct; the file has city, people, since, junk"#);
    insta::assert_snapshot!(wrong(LoadOptions { format: Some("dbase".into()), ..LoadOptions::default() }), @r#"unknown format "dbase"; use one of parquet, avro, excel, ods, json, weblog, csv, blanks"#);
    insta::assert_snapshot!(wrong(LoadOptions { encoding: Some("ebcdic".into()), ..LoadOptions::default() }), @r#"unknown encoding "ebcdic"; use a WHATWG label such as utf-8, utf-16le, windows-1252, shift_jis or gb18030"#);
    let json = LoadOptions { format: Some("json".into()), ..LoadOptions::default() };
    assert!(wrong(json).contains("cannot be read as JSON"));
    let typed = ColumnChoice { data_type: Some("money".into()), ..choice("city") };
    assert!(wrong(LoadOptions { columns: vec![typed], ..LoadOptions::default() }).contains("unknown type \"money\""));
}

#[test]
fn a_load_can_be_cancelled_and_leaves_nothing() {
    let bench = Bench::new();
    let mut content = String::from("id,name\n");
    for row in 0..2_000_000 {
        content += &format!("{row},name of {row}\n");
    }
    let path = bench.file("large.csv", content);
    let status = bench.runtime.block_on(async {
        let id = bench.loader.start(bench.request(path)).unwrap();
        while bench.loader.status(id).unwrap().progress.rows == 0 {
            assert_eq!(bench.loader.status(id).unwrap().state, LoadState::Running);
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert!(bench.loader.cancel(id));
        let begun = std::time::Instant::now();
        let status = bench.loader.wait(id).await.unwrap();
        assert!(begun.elapsed().as_secs_f64() < 1.0);
        assert!(!bench.loader.cancel(id));
        status
    });
    assert_eq!(status.state, LoadState::Cancelled);
    assert!(bench.store.0.lock().tables.is_empty());
    assert_eq!(std::fs::read_dir(bench.directory.path().join("temp")).unwrap().count(), 0);
}

#[test]
fn loads_wait_for_each_other() {
    let bench = Bench::new();
    let ids = bench.runtime.block_on(async {
        let mut ids = Vec::new();
        for number in 0..8 {
            let path = bench.file(&format!("f{number}.csv"), CITIES);
            ids.push(bench.loader.start(bench.request(path)).unwrap());
        }
        for id in &ids {
            bench.loader.wait(*id).await.unwrap();
        }
        ids
    });
    assert!(bench.loader.running().is_empty());
    for id in ids {
        assert_ne!(bench.loader.status(id).unwrap().state, LoadState::Running);
    }
}

#[test]
fn a_preview_shows_names_types_and_rows() {
    let bench = Bench::new();
    let path = bench.file(
        "people.csv",
        "Full Name;Born;Zip\n\"Lovelace; Ada\";10/12/1815;01234\nHopper;09/12/1906;00501\nTuring;23/06/1912;\n",
    );
    let source = LoadSource::Location(path.to_str().unwrap().into());
    let caller = polder_capability::Caller::new("ada", "test");
    let preview = bench.runtime.block_on(bench.loader.preview(&caller, &source, &LoadOptions::default())).unwrap();
    let table = &preview.tables[0];
    assert_eq!((table.table.as_str(), table.format.as_str(), table.rows_seen), ("public.people", "csv", 3));
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            format!(
                "{} -> {} {} ({})",
                column.source,
                column.name,
                column.data_type,
                column.remark.as_deref().unwrap_or("")
            )
        })
        .collect();
    insta::assert_snapshot!(columns.join("\n"), @r"
    Full Name -> full_name text ()
    Born -> born date (dates are day first, because 23/06/1912 is in line 4)
    Zip -> zip text (text, because leading zeros and signs belong to it: `01234` in line 2)
    ");
    assert_eq!(table.rows[0], [Some("Lovelace; Ada".into()), Some("1815-12-10".into()), Some("01234".into())]);
    assert_eq!(table.rows[2][2], None);
    assert_eq!((table.options.delimiter, table.options.header), (Some(';'), Some(true)));
}

#[test]
fn an_uncertain_order_of_dates_is_said_also_when_the_type_is_given() {
    let bench = Bench::new();
    bench.load(bench.file("days.csv", "day\n2015-01-31\n"));
    let path = bench.file("more.csv", "day\n01/02/2015\n02/03/2015\n");
    let append = LoadRequest { mode: LoadMode::Append, into: Some("days".into()), ..bench.request(path) };
    let report = bench.load_request(append);
    assert_eq!(bench.rows("days"), ["2015-01-31", "2015-02-01", "2015-03-02"]);
    insta::assert_snapshot!(report.tables[0].remarks[0], @"`day`: dates are day first, which is the more common order, though no date proves it: 01/02/2015 is in line 2");
}

#[test]
fn each_row_of_a_directory_is_accounted_for_across_encodings_and_packings() {
    use std::io::Write;
    let bench = Bench::new();
    bench.file("in/a.csv", "id,name\n1,x\n2\n");
    bench.file("in/b.csv", "id;name\n3;y\n");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all("name\tid\nz\t4\n".as_bytes()).unwrap();
    bench.file("in/c.tsv.gz", gz.finish().unwrap());
    bench.file("in/d.jsonl", "{\"id\":5,\"name\":\"w\"}\n");
    let report = bench.load_request(bench.request(bench.directory.path().join("files/in")));
    let table = &report.tables[0];
    assert_eq!((table.table.as_str(), table.rows_loaded, table.rows_rejected), ("public.in", 4, 1));
    assert_eq!(table.sources.iter().map(|source| source.rows_loaded).collect::<Vec<_>>(), [1, 1, 1, 1]);
    let mut rows = bench.rows("in");
    rows.sort();
    assert_eq!(rows, ["1|x", "3|y", "4|z", "5|w"]);
}
