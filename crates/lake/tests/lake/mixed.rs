//! A long row of changes by both sides, against a model in memory.

use std::collections::BTreeMap;

use polder_lake::Version;

use crate::support::{Duck, Open, Place, append, both, delete, make_pairs, name, pairs, query, update};

both!(both_sides);

/// A small generator: the same steps in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Number to text, as the table should be.
type Model = BTreeMap<i64, String>;

async fn step(open: &Open, duck: &mut Duck, dice: &mut Dice, model: &mut Model, next: &mut i64) -> String {
    let count = if dice.roll(2) == 0 { 1 + dice.roll(5) } else { 20 + dice.roll(200) } as i64;
    let (divisor, rest) = (3 + dice.roll(40) as i64, dice.roll(3) as i64);
    let condition = format!("a % {divisor} = {rest}");
    let ours = dice.roll(2) == 0;
    let kind = dice.roll(10);
    let done = format!("{} {kind} {count} {condition}", if ours { "we" } else { "they" });
    let mut transaction = open.lake.begin().await.unwrap();
    match (kind, ours) {
        (0..=3, true) => {
            let rows = pairs(*next..*next + count);
            if count <= 10 {
                transaction.insert(&name("t"), vec![rows]).await.unwrap();
            } else {
                append(&mut transaction, "t", rows).await;
            }
            insert(model, next, count);
        }
        (0..=3, false) => {
            duck.run(&format!("INSERT INTO t SELECT {next} + range, 'text ' || ({next} + range) FROM range({count})"));
            insert(model, next, count);
        }
        (4..=6, _) => {
            let expected = model.keys().filter(|a| **a % divisor == rest).count() as u64;
            if ours {
                assert_eq!(delete(&mut transaction, "t", &condition).await, expected, "{done}");
            } else {
                duck.run(&format!("DELETE FROM t WHERE {condition}"));
            }
            model.retain(|a, _| a % divisor != rest);
        }
        (7..=8, _) => {
            if ours {
                update(&mut transaction, "t", "a, b || '+'", &condition).await;
            } else {
                duck.run(&format!("UPDATE t SET b = b || '+' WHERE {condition}"));
            }
            model.iter_mut().filter(|(a, _)| *a % divisor == rest).for_each(|(_, b)| b.push('+'));
        }
        (_, true) => {
            // Inserted and deleted within one transaction, beside a change of what was there.
            append(&mut transaction, "t", pairs(*next..*next + count)).await;
            insert(model, next, count);
            update(&mut transaction, "t", "a, b || '*'", &condition).await;
            model.iter_mut().filter(|(a, _)| *a % divisor == rest).for_each(|(_, b)| b.push('*'));
            delete(&mut transaction, "t", &format!("a % {} = 0", divisor + 1)).await;
            model.retain(|a, _| a % (divisor + 1) != 0);
        }
        (_, false) => match dice.roll(3) {
            0 => duck.run("CALL ducklake_flush_inlined_data('l')"),
            1 => duck.run("CALL ducklake_merge_adjacent_files('l')"),
            _ => duck.run("CALL ducklake_rewrite_data_files('l', delete_threshold => 0.3)"),
        },
    }
    transaction.commit().await.unwrap();
    done
}

fn insert(model: &mut Model, next: &mut i64, count: i64) {
    model.extend((*next..*next + count).map(|a| (a, format!("text {a}"))));
    *next += count;
}

fn same(expected: &[String], found: &[String], whose: &str, steps: &[String]) {
    let without = |a: &[String], b: &[String]| a.iter().filter(|row| !b.contains(row)).cloned().collect::<Vec<_>>();
    assert!(
        expected == found,
        "{whose}: lost {:?}, gained {:?}, after\n{}",
        without(expected, found),
        without(found, expected),
        steps.join("\n")
    );
}

async fn both_sides(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 0).await;
    let mut duck = place.duckdb();
    duck.run("USE l.public");
    let (mut dice, mut model, mut next) = (Dice(7), Model::new(), 0);
    let (mut steps, mut history) = (Vec::new(), Vec::new());
    let all = "SELECT a, b FROM t ORDER BY a";
    for _ in 0..70 {
        steps.push(step(&open, &mut duck, &mut dice, &mut model, &mut next).await);
        let expected: Vec<String> = model.iter().map(|(a, b)| format!("{a}|{b}")).collect();
        same(&expected, &open.query(all).await, "here", &steps);
        same(&expected, &duck.query(all), "in DuckDB", &steps);
        let newest = open.lake.newest().await.unwrap();
        let counted = open.lake.row_count(&newest, newest.table(&name("t")).unwrap()).await.unwrap();
        assert_eq!(counted, model.len() as u64, "after {}", steps.join("\n"));
        assert_eq!(
            open.query("SELECT count(*), min(a), max(a) FROM t").await,
            duck.query("SELECT count(*), min(a), max(a) FROM t")
        );
        history.push((newest.id, expected));
    }
    for (version, expected) in history {
        let snapshot = open.lake.snapshot(Version::Snapshot(version)).await.unwrap();
        assert!(query(&open.lake, &snapshot, all).await == expected, "version {version}");
    }
    let rows = "SELECT count(*) = count(DISTINCT rowid) FROM";
    assert_eq!(open.query(&format!("{rows} rows.public.t")).await, ["true"]);
    assert_eq!(duck.query(&format!("{rows} t")), ["true"]);
    assert_eq!(open.lake.check().await.unwrap().problems, []);
}
