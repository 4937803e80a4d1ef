//! Files that are lost, damaged, or nobody's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::TimeDelta;
use polder_lake::{ProblemKind, explain_file_error};
use polder_types::ErrorKind;

use crate::support::{Backend, Open, Place, append, delete, make_pairs, name, pairs, try_query};

fn parquet_files(below: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn age(file: &Path, by: Duration) {
    fs::File::options().append(true).open(file).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_are_swept() {
    let place = Place::new(Backend::Sqlite);
    let open = place.open().await;
    make_pairs(&open.lake, "t", 100).await;
    make_pairs(&open.lake, "dropped", 100).await;
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "t", "a < 50").await;
    transaction.drop_table(&name("dropped")).unwrap();
    transaction.commit().await.unwrap();
    place.duckdb().run("INSERT INTO l.public.t SELECT range, 'd' FROM range(100)");
    let named = parquet_files(&place.tables());
    assert_eq!(named.len(), 4);
    let day = Duration::from_secs(86_400);
    named.iter().for_each(|file| age(file, day));

    let directory = named[0].parent().unwrap().to_owned();
    let stray = |name: &str, old: bool| {
        let path = directory.join(name);
        fs::write(&path, b"stray").unwrap();
        if old {
            age(&path, day);
        }
        path
    };
    let old = stray("polder-old.parquet", true);
    let young = stray("polder-young.parquet", false);
    let foreign = stray("ducklake-old.parquet", true);
    let other = stray("polder-old.txt", true);
    let sweep = open.lake.sweep_orphans(TimeDelta::hours(1)).await.unwrap();
    assert_eq!(sweep.files, [old.to_str().unwrap()]);
    assert_eq!(sweep.bytes, 5);
    assert!(!old.exists() && young.exists() && foreign.exists() && other.exists());

    // What an open transaction has written stays, however old; what one gave up goes by itself.
    let mut open_one = open.lake.begin().await.unwrap();
    append(&mut open_one, "t", pairs(500..600)).await;
    assert_eq!(open.lake.sweep_orphans(TimeDelta::zero()).await.unwrap().files, Vec::<String>::new());
    let mut given_up = open.lake.begin().await.unwrap();
    append(&mut given_up, "t", pairs(600..700)).await;
    let mut half_done = given_up.append(&name("t")).unwrap();
    half_done.write(pairs(0..10)).await.unwrap();
    drop(half_done);
    drop(given_up);
    open_one.commit().await.unwrap();
    let wanted = named.len() + 3;
    for _ in 0..100 {
        if parquet_files(&place.tables()).len() == wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(parquet_files(&place.tables()).len(), wanted);
    let sweep = open.lake.sweep_orphans(TimeDelta::zero()).await.unwrap();
    assert_eq!(sweep.files, [young.to_str().unwrap()]);
    assert_eq!(open.query("SELECT count(*) FROM t").await, ["250"]);

    // Another lake in the same place is no orphan.
    let second = tempfile::tempdir().unwrap();
    let other = crate::support::open(second.path(), None, place.tables().to_str().unwrap()).await;
    let error = other.lake.sweep_orphans(TimeDelta::zero()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(open.query("SELECT count(*) FROM t").await, ["250"]);
}

async fn damaged() -> (Place, Open, PathBuf, PathBuf) {
    let place = Place::new(Backend::Sqlite);
    let open = place.open().await;
    make_pairs(&open.lake, "whole", 100).await;
    make_pairs(&open.lake, "t", 200_000).await;
    let data = parquet_files(&place.tables()).into_iter().find(|file| file.to_str().unwrap().contains("/t-")).unwrap();
    let mut transaction = open.lake.begin().await.unwrap();
    delete(&mut transaction, "t", "a % 1000 = 0").await;
    transaction.commit().await.unwrap();
    let files = parquet_files(&place.tables());
    let deletes = files.into_iter().find(|file| *file != data && file.to_str().unwrap().contains("/t-")).unwrap();
    (place, open, data, deletes)
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_what_is_wrong() {
    let (place, open, data, deletes) = damaged().await;
    place.duckdb().run("CREATE TABLE l.public.theirs AS SELECT range AS n, 'text ' || range AS t FROM range(100000)");
    assert_eq!(open.lake.check().await.unwrap().problems, []);
    let theirs =
        parquet_files(&place.tables()).into_iter().find(|file| file.to_str().unwrap().contains("theirs")).unwrap();
    let check = async |file: &Path| {
        let problems = open.lake.check().await.unwrap().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].file, file.to_str().unwrap());
        problems.into_iter().next().unwrap().kind
    };
    let size = fs::metadata(&data).unwrap().len();
    flip(&data, 5_000);
    assert!(matches!(check(&data).await, ProblemKind::WrongChecksum { .. }));
    flip(&data, 5_000);
    fs::File::options().write(true).open(&data).unwrap().set_len(size - 1).unwrap();
    assert_eq!(check(&data).await, ProblemKind::WrongSize { expected_bytes: size, found_bytes: size - 1 });
    let saved = fs::read(&deletes).unwrap();
    fs::remove_file(&deletes).unwrap();
    assert_eq!(open.lake.check().await.unwrap().problems.len(), 2);
    fs::write(&deletes, saved).unwrap();
    let found = open.lake.check().await.unwrap().problems;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].table, Some(name("t")));
    fs::remove_file(&data).unwrap();
    assert_eq!(check(&data).await, ProblemKind::Missing);
    let problems = open.lake.check().await.unwrap().problems.len();
    let length = fs::metadata(&theirs).unwrap().len();
    fs::write(&theirs, vec![0; usize::try_from(length).unwrap()]).unwrap();
    assert_eq!(open.lake.check().await.unwrap().problems.len(), problems + 1);
}

/// The scrub reads a little at a time, and comes round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scrub_comes_round() {
    let (_place, open, data, _) = damaged().await;
    let (mut files, mut turns) = (0, 0);
    loop {
        let turn = open.lake.scrub(1).await.unwrap();
        assert_eq!(turn.problems, []);
        files += turn.files;
        turns += 1;
        if turn.around {
            break;
        }
    }
    assert_eq!((files, turns), (3, 3));
    flip(&data, 5_000);
    let turn = open.lake.scrub(u64::MAX).await.unwrap();
    assert!(turn.around);
    assert_eq!(turn.problems.len(), 1);
    assert_eq!(turn.problems[0].file, data.to_str().unwrap());
}

/// Files of old versions count too, and so does the catalog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_looks_at_all_versions_and_at_the_catalog() {
    let (_place, open, data, _) = damaged().await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.drop_table(&name("t")).unwrap();
    transaction.commit().await.unwrap();
    flip(&data, 5_000);
    let found = open.lake.check().await.unwrap();
    assert_eq!(found.files, 3);
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].file, data.to_str().unwrap());
    flip(&data, 5_000);
    let write = |sql: &'static str| [polder_metastore::Write::new(sql, Vec::new())];
    open.metastore.write(&write("DELETE FROM ducklake_table WHERE table_name = 't'")).await.unwrap();
    open.metastore.write(&write("UPDATE ducklake_delete_file SET data_file_id = 77")).await.unwrap();
    let found = open.lake.check().await.unwrap();
    let words: Vec<String> = found.problems.iter().map(|problem| problem.kind.to_string()).collect();
    assert!(words.iter().any(|text| text.contains("is of no table")), "{words:?}");
    assert!(words.iter().any(|text| text.contains("is of no data file")), "{words:?}");
    assert!(found.problems.iter().all(|problem| problem.table.is_none()));
}

/// A scan over a damaged file says which one it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scans_name_the_broken_file() {
    let damage: &[(&str, fn(&Path))] = &[
        ("missing", |file| fs::remove_file(file).unwrap()),
        ("cut in half", |file| {
            let size = fs::metadata(file).unwrap().len();
            fs::File::options().write(true).open(file).unwrap().set_len(size / 2).unwrap();
        }),
        ("empty", |file| fs::write(file, b"").unwrap()),
        ("all zeros", |file| {
            let size = fs::metadata(file).unwrap().len();
            fs::write(file, vec![0; usize::try_from(size).unwrap()]).unwrap();
        }),
        ("garbage in the middle", |file| {
            let mut bytes = fs::read(file).unwrap();
            let (from, to) = (bytes.len() / 10, bytes.len() / 2);
            bytes[from..to].fill(0xA5);
            fs::write(file, bytes).unwrap();
        }),
        ("garbage in the footer", |file| {
            let mut bytes = fs::read(file).unwrap();
            let end = bytes.len();
            bytes[end - 60..end - 8].fill(0xFF);
            fs::write(file, bytes).unwrap();
        }),
    ];
    for (what, break_it) in damage {
        for of_deletes in [false, true] {
            let (_place, open, data, deletes) = damaged().await;
            let file = if of_deletes { deletes } else { data };
            break_it(&file);
            let newest = open.lake.newest().await.unwrap();
            let sql = "SELECT sum(a), max(b) FROM t WHERE b <> 'x'";
            let Err(error) = try_query(&open.lake, &newest, sql).await else { panic!("{what}: the scan went well") };
            let Some(explained) = explain_file_error(&error) else { panic!("{what}: {error}") };
            assert_eq!(explained.kind(), ErrorKind::Corrupt, "{what}");
            assert!(explained.message().contains(file.to_str().unwrap()), "{what}, deletes {of_deletes}: {explained}");
            assert_eq!(open.query("SELECT count(*) FROM whole").await, ["100"]);
        }
    }
}
