use chrono::DateTime;

use super::{Change, SnapshotInfo, excludes, parse};

#[test]
fn reads_what_it_writes() {
    let changes = vec![
        Change::CreatedSchema("a,b".into()),
        Change::CreatedTable("s".into(), "we \"said\". x:y".into()),
        Change::DroppedTable(7),
        Change::InlinedDelete(3),
        Change::Compacted(4),
        Change::Moved(4),
        Change::Other("invented_here:9".into()),
    ];
    let text = changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    assert_eq!(parse(&text), changes);
}

#[test]
fn reads_what_duckdb_writes() {
    assert_eq!(
        parse(r#"created_view:"main"."v",inlined_delete:1"#),
        vec![Change::CreatedView("main".into(), "v".into()), Change::InlinedDelete(1)]
    );
    assert_eq!(parse(""), vec![]);
}

#[test]
fn words_for_duckdb_alone_are_not_told() {
    let check = |changes: &str, expected: &str| {
        let committed_at = DateTime::UNIX_EPOCH;
        let info = SnapshotInfo { id: 1, committed_at, author: None, message: None, changes: parse(changes) };
        assert_eq!(info.told().map(ToString::to_string).collect::<Vec<_>>().join(","), expected);
    };
    check("rewrite_delete:4,flushed_inlined:4", "rewrite_delete:4");
    check("deleted_from_table:4,inlined_delete:4,inlined_delete:5", "deleted_from_table:4,inlined_delete:5");
    check("inlined_delete:4,inserted_into_table:4", "inlined_delete:4,inserted_into_table:4");
}

#[test]
fn excludes_as_the_design_says() {
    let check = |ours: Change, theirs: Change, expected: bool| {
        assert_eq!(excludes(&ours, &theirs), expected, "{ours} beside {theirs}");
    };
    check(Change::InsertedInto(1), Change::InsertedInto(1), false);
    check(Change::DeletedFrom(1), Change::InsertedInto(1), false);
    check(Change::InsertedInto(1), Change::AlteredTable(1), true);
    check(Change::AlteredTable(1), Change::InlinedInsert(1), true);
    check(Change::DroppedTable(1), Change::DeletedFrom(1), true);
    check(Change::DroppedTable(1), Change::DeletedFrom(2), false);
    check(Change::AlteredTable(1), Change::Compacted(1), false);
    check(Change::DroppedTable(1), Change::Moved(1), false);
    check(Change::CreatedTable("a".into(), "t".into()), Change::CreatedView("a".into(), "t".into()), true);
    for (ours, theirs) in [
        (Change::RewordedView(1), Change::RewordedView(1)),
        (Change::RewordedView(1), Change::AlteredView(1)),
        (Change::DroppedView(1), Change::RewordedView(1)),
        (Change::RewordedTable(1), Change::RewordedTable(1)),
        (Change::RewordedTable(1), Change::InsertedInto(1)),
    ] {
        check(ours, theirs, false);
    }
    check(Change::AlteredTable(1), Change::RewordedTable(1), true);
    check(Change::CreatedTable("a".into(), "t".into()), Change::CreatedTable("b".into(), "t".into()), false);
}
