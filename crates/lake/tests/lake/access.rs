//! Who owns what and may do what with it goes with the thing, through names, transactions and restarts.

use polder_lake::{Access, AlterColumn, EVERYBODY, Grant, Mask, Policies, PolicyCommand, RowPolicy, ThingKind};
use polder_types::ErrorKind;

use crate::support::{Place, both, make_pairs, name, pairs};

both!(goes_with_the_thing, of_one_grant_only, policies_are_kept);

fn of(owner: i64) -> Access {
    let everybody = Grant { role: EVERYBODY, grantor: owner, rights: 2, grantable: 0 };
    Access { owner: Some(owner), grants: Some(vec![everybody]), ..Access::default() }
}

async fn goes_with_the_thing(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 5).await;
    let mut transaction = open.lake.begin().await.unwrap();
    transaction.create_schema("sales").unwrap();
    transaction.create_view(&name("v"), "SELECT 1 AS one", None).unwrap();
    let made: Vec<ThingKind> = transaction.unowned().iter().map(|made| made.kind).collect();
    assert_eq!(made, [ThingKind::Schema, ThingKind::View]);
    for made in transaction.unowned() {
        transaction.set_access(made.id, of(7)).unwrap();
    }
    assert!(transaction.unowned().is_empty());
    let table = transaction.table(&name("t")).unwrap().id;
    transaction.set_access(table, of(8)).unwrap();
    let before = transaction.commit().await.unwrap().snapshot;

    let mut transaction = open.lake.begin().await.unwrap();
    transaction.rename_schema("sales", "trade").unwrap();
    transaction.replace_view(&name("v"), "SELECT 2 AS one", None).unwrap();
    transaction.rename_table(&name("t"), &name("u")).unwrap();
    transaction.commit().await.unwrap();
    open.close().await;

    let open = place.open().await;
    let newest = open.lake.newest().await.unwrap();
    let owner = |id: i64| newest.access(id).and_then(|access| access.owner);
    assert_eq!(owner(newest.schema("trade").unwrap().id), Some(7));
    let view = newest.view(&name("v")).unwrap();
    assert_eq!((owner(view.id), view.sql.as_str()), (Some(7), "SELECT 2 AS one"));
    assert_eq!(view.id, before.view(&name("v")).unwrap().id);
    assert_eq!(newest.access(table).map(AsRef::as_ref), Some(&of(8)));
    assert_eq!(newest.all_access().len(), 3);

    let mut transaction = open.lake.begin().await.unwrap();
    transaction.drop_table(&name("u")).unwrap();
    assert_eq!(transaction.set_access(table, of(9)).unwrap_err().kind(), ErrorKind::NotFound);
    let newest = transaction.commit().await.unwrap().snapshot;
    assert!(newest.access(table).is_none());
}

/// Grants are in nobody's way who writes rows; two at once on one thing are a conflict, or one would be lost.
async fn of_one_grant_only(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 5).await;
    let table = open.lake.newest().await.unwrap().table(&name("t")).unwrap().id;
    let mut one = open.lake.begin().await.unwrap();
    let mut other = open.lake.begin().await.unwrap();
    let mut rows = open.lake.begin().await.unwrap();
    rows.insert(&name("t"), vec![pairs(0..3)]).await.unwrap();
    one.set_access(table, of(7)).unwrap();
    other.set_access(table, of(8)).unwrap();
    one.commit().await.unwrap();
    rows.commit().await.unwrap();
    assert_eq!(other.commit().await.unwrap_err().kind(), ErrorKind::Conflict);
    let newest = open.lake.newest().await.unwrap();
    assert_eq!(newest.access(table).map(AsRef::as_ref), Some(&of(7)));
}

/// Policies are read back as they were.
async fn policies_are_kept(place: Place) {
    let open = place.open().await;
    make_pairs(&open.lake, "t", 5).await;
    let policy = RowPolicy {
        number: 3,
        name: "own rows".into(),
        restrictive: true,
        command: PolicyCommand::Update,
        roles: vec![EVERYBODY, 12],
        using: Some("owner = current_user".into()),
        check: None,
        outer: ["owner".to_owned()].into(),
    };
    let mut transaction = open.lake.begin().await.unwrap();
    let table = transaction.table(&name("t")).unwrap();
    let columns: Vec<(i64, String)> = table.top_columns().map(|column| (column.id, column.name.clone())).collect();
    let mask = |sql: &str| Mask { sql: sql.into(), except: vec![12], outer: Default::default() };
    let masks = columns.iter().map(|(id, _)| (*id, mask("NULL"))).collect();
    let policies = Policies { enabled: true, forced: false, rows: vec![policy], masks, last: 3 };
    assert!(!policies.is_empty() && policies.outer().contains("owner"));
    let access = Access { policies, ..of(7) };
    transaction.set_access(table.id, access.clone()).unwrap();
    transaction.commit().await.unwrap();
    open.close().await;

    let open = place.open().await;
    let newest = open.lake.newest().await.unwrap();
    assert_eq!(newest.access(table.id).map(AsRef::as_ref), Some(&access));
    let mut transaction = open.lake.begin().await.unwrap();
    let (gone, column) = columns.last().cloned().unwrap();
    transaction.alter_column(&name("t"), AlterColumn::Drop { name: column }).await.unwrap();
    let newest = transaction.commit().await.unwrap().snapshot;
    // That of a column that has gone stays for those who read an older version.
    assert!(newest.access(table.id).unwrap().policies.masks.contains_key(&gone));
}
