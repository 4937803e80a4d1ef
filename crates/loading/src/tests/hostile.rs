//! Content that means harm, or is broken: a clear word within bounds, and nothing half-loaded.

use std::io::Write;

use polder_capability::{LoadRequest, LoadState};

use super::formats::zip;
use super::memory::{Bench, shown};

/// Peak of the resident memory since the process began, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}

#[test]
fn a_field_of_a_hundred_megabytes_is_one_reject() {
    for (quote, name) in [("", "plain.csv"), ("\"", "quoted.csv")] {
        let bench = Bench::new();
        let path = bench.file(name, "");
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        write!(file, "id,text\n1,short\n2,{quote}").unwrap();
        for _ in 0..100 {
            file.write_all(&[b'x'; 1 << 20]).unwrap();
        }
        write!(file, "{quote}\n3,short\n").unwrap();
        drop(file);
        let report = bench.load(path);
        assert_eq!((report.rows_loaded, report.rows_rejected), (2, 1), "{name}");
        let reject = &report.rejects[0];
        assert!(reject.reason.contains("longer than"), "{name}: {}", reject.reason);
        assert_eq!(reject.line, 3);
        let kept = bench.rows(&format!("{}__rejects", name.trim_end_matches(".csv")));
        assert!(kept[0].len() < 70_000, "{}", kept[0].len());
    }
    assert!(peak_memory() < 1 << 30, "{} bytes", peak_memory());
}

#[test]
fn a_bomb_is_refused() {
    let zeros = vec![0_u8; 8 << 20];
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut zst = zstd::Encoder::new(Vec::new(), 19).unwrap();
    for _ in 0..40 {
        gz.write_all(&zeros).unwrap();
        zst.write_all(&zeros).unwrap();
    }
    let gz = gz.finish().unwrap();
    let bombs = [("bomb.csv.gz", gz), ("bomb.csv.zst", zst.finish().unwrap())];
    for (name, content) in &bombs {
        let bench = Bench::new();
        let message = bench.fail(bench.request(bench.file(name, content)));
        assert!(message.contains("unpacks to more than 268435456 bytes"), "{message}");
    }
    // In a zip, once as a member and once as a workbook.
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("xl/workbook.xml", zip::write::SimpleFileOptions::default()).unwrap();
    for _ in 0..40 {
        writer.write_all(&zeros).unwrap();
    }
    let book = writer.finish().unwrap().into_inner();
    let bench = Bench::new();
    let message = bench.fail(bench.request(bench.file("bomb.xlsx", &book)));
    assert!(message.contains("unpacks to more than"), "{message}");
    let mut inner = zip(&[("a.csv", b"a\n1\n")]);
    for _ in 0..5 {
        inner = zip(&[("x.zip", &inner)]);
    }
    let message = bench.fail(bench.request(bench.file("deep.zip", &inner)));
    assert!(message.contains("packed more than 3 times over"), "{message}");
}

#[test]
fn json_nested_ten_thousand_deep_is_refused() {
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let bench = Bench::new();
    let message = bench.fail(bench.request(bench.file("deep.json", &deep)));
    assert!(message.contains("deep.json"), "{message}");
    assert!(message.contains("line 1: nested 10000 deep, and 64 is the most"), "{message}");
    let mixed = format!("{{\"a\":1}}\n{deep}\n{}\n{{\"a\":2}}\n", "[".repeat(10_000));
    let report = bench.load(bench.file("mixed.json", mixed));
    assert_eq!((report.rows_loaded, report.rows_rejected), (2, 2));
    assert_eq!(report.rejects[0].reason, "nested 10000 deep, and 64 is the most");
}

#[test]
fn invalid_bytes_are_rejected_by_row() {
    let mut content = "naam,stad\n".to_owned().into_bytes();
    for _ in 0..50 {
        content.extend("Zoë,Köln\n".as_bytes());
    }
    content.extend(b"Bob,\xff\xfe\n");
    let bench = Bench::new();
    let report = bench.load(bench.file("mixed.csv", content));
    assert_eq!((report.rows_loaded, report.rows_rejected), (50, 1));
    assert_eq!(report.rejects[0].reason, "invalid bytes for the encoding");
}

#[test]
fn broken_and_strange_files_are_named() {
    let bench = Bench::new();
    let fail = |name: &str, content: &[u8]| {
        let message = bench.fail(bench.request(bench.file(name, content)));
        message.replace(bench.directory.path().to_str().unwrap(), "…")
    };
    insta::assert_snapshot!(fail("empty.csv", b""), @"…/files/empty.csv is empty");
    insta::assert_snapshot!(fail("blank.csv", b"\n\n  \n"), @"…/files/blank.csv is empty");
    insta::assert_snapshot!(fail("a.pdf", b"%PDF-1.7 ..."), @"…/files/a.pdf is a PDF document, which holds no table that can be loaded; bring CSV, JSON, Parquet, Avro, Excel, ODS, logs, or these in gzip, Zstandard, bzip2 or zip");
    insta::assert_snapshot!(fail("noise.bin", &[7, 0, 1, 2, 0, 0, 9, 200, 0]), @"…/files/noise.bin is binary, in no format that is known here; bring CSV, JSON, Parquet, Avro, Excel, ODS, logs, or these in gzip, Zstandard, bzip2 or zip");
    insta::assert_snapshot!(fail("short.parquet", b"PAR1 and not much more"), @"…/files/short.parquet cannot be read as parquet: Parquet error: Invalid Parquet file. Corrupt footer; check that the file is whole and of this format");
    insta::assert_snapshot!(fail("short.avro", b"Obj\x01\x02"), @"…/files/short.avro cannot be read as avro: Avro error: EOF: Unexpected EOF while reading Avro header; check that the file is whole and of this format");
    insta::assert_snapshot!(fail("short.zip", b"PK\x03\x04 and then it ends"), @"…/files/short.zip cannot be read as zip: invalid Zip archive: Could not find EOCD; check that the file is whole and of this format");
    insta::assert_snapshot!(fail("short.csv.gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 75]), @"cannot unpack …/files/short.csv.gz: incomplete deflate stream");
    insta::assert_snapshot!(fail("old.xls", &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0]), @"…/files/old.xls cannot be read as workbook: Cfb error: I/O error: failed to fill whole buffer; check that the file is whole and of this format");
    let missing = LoadRequest { sources: vec![], ..bench.request("x") };
    insta::assert_snapshot!(bench.fail(missing), @"there is nothing to load; name a file, a directory, a pattern or an address");
    let nowhere = bench.fail(bench.request("/nowhere/at/all.csv"));
    assert_eq!(nowhere, "there is no file /nowhere/at/all.csv; of its directories, / is the last that is there");
    let into = |into: &str| {
        bench.fail(LoadRequest { into: Some(into.into()), ..bench.request(bench.file("t.csv", "a\n1\n")) })
    };
    insta::assert_snapshot!(into("a.b.c"), @r#""a.b.c" is not a table name: it has too many parts; use name or schema.name"#);
    insta::assert_snapshot!(into("\"open"), @r#""\"open" is not a table name: a quote is left open; use name or schema.name"#);
    insta::assert_snapshot!(into("x__rejects"), @"public.x__rejects is the name of a table of rejects; choose another name");
}

#[test]
fn a_damaged_parquet_file_loads_nothing() {
    use std::sync::Arc;
    let numbers: arrow::array::Int64Array = (0..100_000).collect();
    let batch = arrow::array::RecordBatch::try_from_iter([("n", Arc::new(numbers) as arrow::array::ArrayRef)]).unwrap();
    let mut content = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut content, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for at in [4, 50, 5000, content.len() / 2, content.len() - 40] {
        let mut damaged = content.clone();
        for byte in damaged.iter_mut().skip(at).take(20) {
            *byte = !*byte;
        }
        let bench = Bench::new();
        let status = bench.run(bench.request(bench.file("n.parquet", damaged)));
        match status.state {
            LoadState::Failed => assert!(bench.store.0.lock().tables.is_empty()),
            // Bytes of plain values may change without notice: the format has no sum over them by default.
            state => assert_eq!(state, LoadState::Done),
        }
    }
}

#[test]
fn a_quote_left_open_costs_one_line() {
    let mut content = String::from("id,name\n");
    for row in 0..200_000 {
        let quote = if row % 50_000 == 49_999 { "\"" } else { "" };
        content += &format!("{row},{quote}name of {row}\n");
    }
    let bench = Bench::new();
    let report = bench.load(bench.file("open.csv", content));
    assert_eq!((report.rows_loaded, report.rows_rejected), (199_996, 4));
}

#[test]
fn rows_of_many_columns_are_bounded() {
    let wide = format!("{}\n", vec!["x"; 5000].join(","));
    let bench = Bench::new();
    let message = bench.fail(bench.request(bench.file("wide.csv", wide)));
    assert!(message.contains("has 5000 columns, more than 4096"), "{message}");
}

#[test]
fn formula_like_text_and_controls_stay_text() {
    insta::assert_snapshot!(shown("odd.csv", "a,b\n=1+1,\u{7}\n@x,'; DROP TABLE t; --\n"), @r"
    odd: a text, b text
    =1+1|
    @x|'; DROP TABLE t; --
    ");
}

#[test]
fn a_zero_byte_costs_its_row_and_many_cost_the_file() {
    let bench = Bench::new();
    let report = bench.load(bench.file("zero.csv", b"id,word\n1,a\n2,b\0c\n3,d\n"));
    assert_eq!((report.rows_loaded, report.rows_rejected), (2, 1));
    assert_eq!(report.rejects[0].line, 3);
    assert!(report.rejects[0].reason.contains("a byte that is zero"), "{}", report.rejects[0].reason);
    let bench = Bench::new();
    let message = bench.fail(bench.request(bench.file("zeros.csv", b"id,word\n1,a\0\0\0\n")));
    assert!(message.contains("is binary"), "{message}");
}

#[test]
fn a_page_instead_of_the_file_is_no_table() {
    for (page, what) in [
        ("\n<!DOCTYPE HTML>\n<html><body>Log in</body></html>\n", "an HTML page"),
        ("<html>\n", "an HTML page"),
        ("<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>\n", "an XML document"),
    ] {
        let bench = Bench::new();
        let message = bench.fail(bench.request(bench.file("page.csv", page)));
        assert!(message.contains(what), "{message}");
    }
    let bench = Bench::new();
    let mut request = bench.request(bench.file("page.csv", "<html>\n1\n"));
    request.options.format = Some("csv".to_owned());
    assert_eq!(bench.load_request(request).tables[0].rows_loaded, 1);
}
