//! Many writers at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use polder_types::ErrorKind;

use crate::support::{Place, append, both, make_pairs, name, pairs, update};

both!(writers, writers_beside_duckdb, a_caller_who_goes_away);

const WRITERS: i64 = 16;
const COMMITS: i64 = 20;

async fn writers(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 0).await;
    make_pairs(&open.lake, "u", 16).await;
    let first = open.lake.newest().await.unwrap().id;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let lake = open.lake.clone();
        tasks.push(tokio::spawn(async move {
            let (mut snapshots, mut conflicts) = (Vec::new(), 0);
            for commit in 0..COMMITS {
                let row = writer * COMMITS + commit;
                loop {
                    let mut transaction = lake.begin().await.unwrap();
                    match commit % 5 {
                        4 => append(&mut transaction, "t", pairs(row..row + 1)).await,
                        _ => drop(transaction.insert(&name("t"), vec![pairs(row..row + 1)]).await.unwrap()),
                    }
                    if commit == 7 {
                        // All of them want the same file.
                        update(&mut transaction, "u", "a + 100, b", &format!("a = {writer}")).await;
                    }
                    match transaction.commit().await {
                        Ok(report) => {
                            snapshots.push(report.snapshot.id);
                            break;
                        }
                        Err(error) => {
                            assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "40001"), "{error}");
                            conflicts += 1;
                        }
                    }
                }
            }
            (snapshots, conflicts)
        }));
    }
    let (mut all, mut conflicts) = (Vec::new(), 0);
    for task in tasks {
        let (snapshots, conflicted) = task.await.unwrap();
        assert!(snapshots.is_sorted());
        all.extend(snapshots);
        conflicts += conflicted;
    }
    let rows = WRITERS * COMMITS;
    let distinct: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!(distinct, (first + 1..=first + rows).collect(), "each its own version, without a gap");
    assert!(conflicts > 0, "somebody must have come second");
    let expected = [format!("{rows}|{}|{rows}", rows * (rows - 1) / 2)];
    let sql = "SELECT count(*), sum(a), count(DISTINCT rowid) FROM";
    assert_eq!(open.query(&format!("{sql} rows.public.t")).await, expected);
    assert_eq!(open.query("SELECT count(*), min(a), max(a) FROM u").await, ["16|100|115"]);
    let mut duck = place.duckdb();
    assert_eq!(duck.query(&format!("{sql} public.t")), expected);
    let stats = "SELECT record_count, next_row_id FROM ducklake_table_stats WHERE table_id = $1";
    let table = open.lake.newest().await.unwrap().table(&name("t")).unwrap().id;
    let stats = open.metastore.query(stats, &[table.into()]).await.unwrap();
    assert_eq!((stats.len(), stats[0].int(0).unwrap(), stats[0].int(1).unwrap()), (1, rows, rows));
    let gaps = "SELECT count(*), max(snapshot_id) - min(snapshot_id) + 1 FROM ducklake_snapshot";
    let gaps = open.metastore.query(gaps, &[]).await.unwrap();
    assert_eq!(gaps[0].int(0).unwrap(), gaps[0].int(1).unwrap());
}

/// DuckDB commits as fast as it can while we do; its commits may be refused as locked, never lost, and ours neither.
async fn writers_beside_duckdb(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 0).await;
    let mut duck = place.duckdb();
    let theirs = std::thread::spawn(move || {
        let (mut done, mut refused) = (0, 0);
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end {
            match duck.try_run(&format!("INSERT INTO l.public.t VALUES ({}, 'd')", 1_000_000 + done)) {
                Ok(()) => done += 1,
                Err(_) => refused += 1,
            }
            // Reads always work.
            duck.query("SELECT count(*) FROM l.public.t");
        }
        (duck, done, refused)
    });
    let mut ours = 0;
    while !theirs.is_finished() {
        let mut transaction = open.lake.begin().await.unwrap();
        transaction.insert(&name("t"), vec![pairs(ours..ours + 1)]).await.unwrap();
        transaction.commit().await.unwrap();
        ours += 1;
        if ours % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let (mut duck, done, refused) = theirs.join().unwrap();
    println!("ours {ours}, theirs {done}, refused {refused}");
    assert!(done > 0 && ours > 0);
    let sql = "SELECT count(*), count(DISTINCT a) FROM public.t WHERE a";
    for (range, expected) in [("< 1000000", ours), (">= 1000000", done)] {
        let sql = format!("{sql} {range}");
        assert_eq!(open.query(&sql).await, [format!("{expected}|{expected}")]);
        assert_eq!(duck.query(&sql), [format!("{expected}|{expected}")]);
    }
    assert_eq!(duck.query("SELECT count(*) = count(DISTINCT rowid) FROM public.t"), ["true"]);
}

/// A commit whose caller goes away in the middle is whole or not there, and never without its files.
async fn a_caller_who_goes_away(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 0).await;
    for round in 0..40_i64 {
        let mut transaction = open.lake.begin().await.unwrap();
        append(&mut transaction, "t", pairs(round * 100..round * 100 + 100)).await;
        // Dropped at a later moment each time.
        let patience = Duration::from_micros(25 * round.unsigned_abs());
        let _ = tokio::time::timeout(patience, transaction.commit()).await;
    }
    // All that was queued is through once a later commit is.
    let mut last = open.lake.begin().await.unwrap();
    append(&mut last, "t", pairs(-100..0)).await;
    last.commit().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let rows: i64 = open.value("SELECT count(*) FROM t").await.parse().unwrap();
    assert_eq!(rows % 100, 0);
    assert_eq!(open.value("SELECT count(DISTINCT a) FROM t").await, rows.to_string());
    let mut duck = place.duckdb();
    assert_eq!(duck.value("SELECT count(*) FROM l.public.t"), rows.to_string());
}
