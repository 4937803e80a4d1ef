//! Settings, saved queries, the record of queries, loaded content, checksums.

use chrono::Duration;
use polder_metastore::{
    AuditEvent, AuditRefusal, AuditRow, DataFileChecksum, DataFiles, LoadedContent, LoadedContents, QueryRow,
    SavedQuery,
};
use polder_runtime::Clock;
use polder_types::{Position, QueryId};

use crate::place::{Place, commit_next};

pub async fn settings(place: Place) {
    let metastore = place.open().await;
    let settings = metastore.settings();
    assert_eq!(settings.get("a").await.unwrap(), None);
    settings.set("a", "1").await.unwrap();
    settings.set("a", "2").await.unwrap();
    assert_eq!(settings.get("a").await.unwrap().as_deref(), Some("2"));
    assert!(settings.list().await.unwrap().contains(&("a".to_owned(), "2".to_owned())));
    settings.delete("a").await.unwrap();
    assert_eq!(settings.get("a").await.unwrap(), None);
}

pub async fn saved_queries(place: Place) {
    let metastore = place.open().await;
    let saved = metastore.saved_queries();
    let query = SavedQuery {
        id: String::new(),
        name: "delays".into(),
        description: "by month".into(),
        sql: "SELECT 1".into(),
        chart: serde_json::json!({"kind": "bar", "x": "month", "y": ["delay"]}),
        owner: "ada".into(),
        updated_at: place.clock.now(),
    };
    let mut stored = saved.put(query.clone()).await.unwrap();
    assert!(!stored.id.is_empty());
    assert_eq!(saved.get(&stored.id).await.unwrap(), Some(stored.clone()));
    place.clock.advance(Duration::hours(1));
    stored.name = "arrivals".into();
    stored.chart = serde_json::Value::Null;
    let stored = saved.put(stored).await.unwrap();
    assert_eq!(stored.updated_at, place.clock.now());
    let second = saved.put(query).await.unwrap();
    assert_eq!(saved.list().await.unwrap(), [stored.clone(), second]);
    assert!(saved.delete(&stored.id).await.unwrap());
    assert!(!saved.delete(&stored.id).await.unwrap());
    assert_eq!(saved.get(&stored.id).await.unwrap(), None);
}

pub async fn query_history(place: Place) {
    let metastore = place.open().await;
    let queries = metastore.queries();
    let record = |at: i64| QueryRow {
        query_id: QueryId::new(),
        user_name: "ada".into(),
        via: "http".into(),
        sql: format!("SELECT {at}"),
        state: "done".into(),
        started_at: place.clock.now() + Duration::milliseconds(at),
        elapsed_ms: 3,
        rows_returned: 1,
        rows_changed: 5,
        rows_scanned: u64::from(u32::MAX) + 7,
        bytes_scanned: 9,
        snapshot: Some(4),
        error_code: None,
        error_message: None,
        error_hint: None,
        error_position: None,
    };
    let mut records: Vec<_> = (0..75).map(record).collect();
    records[10] = QueryRow {
        state: "failed".into(),
        snapshot: None,
        error_code: Some("42P01".into()),
        error_message: Some("no table".into()),
        error_hint: Some("look".into()),
        error_position: Some(Position { line: 2, column: 5 }),
        ..record(10)
    };
    queries.append(&[]).await.unwrap();
    queries.append(&records).await.unwrap();
    assert_eq!(queries.count().await.unwrap(), 75);
    for at in [0, 10, 74] {
        assert_eq!(queries.find(records[at].query_id).await.unwrap().as_ref(), Some(&records[at]));
    }
    assert_eq!(queries.find(QueryId::new()).await.unwrap(), None);
    let newest = queries.recent(10, None).await.unwrap();
    assert_eq!(newest, records[65..].iter().rev().cloned().collect::<Vec<_>>());
    let older = queries.recent(10, Some(records[65].query_id)).await.unwrap();
    assert_eq!(older, records[55..65].iter().rev().cloned().collect::<Vec<_>>());

    // The same id again replaces, also within one batch; a long text is cut and a zero byte replaced.
    let long = QueryRow { sql: format!("\0{}", "é".repeat(100_000)), ..records[3].clone() };
    queries.append(&[records[3].clone(), long.clone()]).await.unwrap();
    let kept = queries.find(long.query_id).await.unwrap().unwrap();
    assert!(kept.sql.len() < 70_000 && kept.sql.starts_with('\u{FFFD}') && kept.sql.ends_with("… (cut)"));
    assert_eq!(queries.count().await.unwrap(), 75);

    queries.prune(100).await.unwrap();
    assert_eq!(queries.count().await.unwrap(), 75);
    queries.prune(20).await.unwrap();
    assert_eq!(queries.count().await.unwrap(), 20);
    assert_eq!(queries.recent(1, None).await.unwrap()[0], records[74]);
    queries.prune(0).await.unwrap();
    assert_eq!(queries.count().await.unwrap(), 0);
}

pub async fn loaded_content_and_checksums(place: Place) {
    let metastore = place.open().await;
    let loaded = LoadedContent {
        table_id: 7,
        content_hash: "ab".into(),
        source: "sales.csv".into(),
        rows: 12,
        snapshot: 2,
        loaded_at: place.clock.now(),
    };
    let checksum = DataFileChecksum { data_file_id: 0, checksum: "crc32:1c291ca3".into(), size_bytes: 99 };
    commit_next(&metastore, "load", &[loaded.write(), checksum.write()]).await.unwrap();
    let again = LoadedContent { rows: 13, ..loaded.clone() };
    commit_next(&metastore, "again", &[again.write()]).await.unwrap();
    assert_eq!(metastore.loaded_contents().find(7, "ab").await.unwrap(), Some(again.clone()));
    assert_eq!(metastore.loaded_contents().find(8, "ab").await.unwrap(), None);
    assert_eq!(metastore.loaded_contents().list(7).await.unwrap(), [again.clone()]);
    commit_next(&metastore, "empty", &[LoadedContents::forget_until_write(7, 1)]).await.unwrap();
    assert_eq!(metastore.loaded_contents().list(7).await.unwrap(), [again.clone()]);
    commit_next(&metastore, "empty", &[LoadedContents::forget_until_write(7, 2)]).await.unwrap();
    assert_eq!(metastore.loaded_contents().list(7).await.unwrap(), []);
    commit_next(&metastore, "load", &[again.write()]).await.unwrap();
    assert_eq!(metastore.data_files().checksum(0).await.unwrap(), Some(checksum.clone()));
    assert_eq!(metastore.data_files().checksums().await.unwrap(), [checksum]);
    let forget = [LoadedContents::forget_write(7), DataFiles::forget_write(0)];
    commit_next(&metastore, "drop", &forget).await.unwrap();
    assert_eq!(metastore.loaded_contents().list(7).await.unwrap(), []);
    assert_eq!(metastore.data_files().checksums().await.unwrap(), []);
}

pub async fn audit(place: Place) {
    let metastore = place.open().await;
    let audit = metastore.audit();
    let row = |event: AuditEvent, times| AuditRow { happened_at: place.clock.now(), event, times };
    let came = row(AuditEvent::new("login", "ada", "postgres"), 1);
    let refusal = AuditRefusal { code: "28P01".into(), message: "wrong user name or password".into() };
    let refused = AuditEvent {
        origin: Some("127.0.0.1".into()),
        refusal: Some(refusal),
        ..AuditEvent::new("login", "eve", "http").of("console")
    };
    let refused = row(refused, 7);
    audit.append(std::slice::from_ref(&came)).await.unwrap();
    place.clock.advance(Duration::seconds(1));
    audit.append(&[AuditRow { happened_at: place.clock.now(), ..refused.clone() }]).await.unwrap();
    let rows = audit.recent(10).await.unwrap();
    assert_eq!(rows[0].event, refused.event);
    assert_eq!((rows[0].times, &rows[1]), (7, &came));
    // Later refusals push out refusals alone.
    place.clock.advance(Duration::seconds(1));
    audit.append(&[AuditRow { happened_at: place.clock.now(), ..refused.clone() }]).await.unwrap();
    audit.prune(1).await.unwrap();
    let rows = audit.recent(10).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1], came);
    place.clock.advance(Duration::days(polder_metastore::AUDIT_DAYS_KEPT + 1));
    audit.prune(1).await.unwrap();
    assert_eq!(audit.recent(10).await.unwrap(), []);
    // A user, and the row that tells of it, come in one transaction.
    metastore.principals().create_user("ada", "a long password").await.unwrap();
    metastore.principals().create_user("ada", "a long password").await.unwrap_err();
    assert!(!metastore.principals().delete_user("eve").await.unwrap());
    let rows = audit.recent(10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].event.event.as_str(), rows[0].event.object.as_deref()), ("create user", Some("ada")));
}

pub async fn bytes_scanned(place: Place) {
    let metastore = place.open().await;
    let audit = metastore.audit();
    let read = |day: &str, bytes| (day.to_owned(), "ada".to_owned(), bytes);
    audit.add_bytes_scanned(&[read("2026-01-01", 5), read("2026-01-02", 7)], "2026-01-01").await.unwrap();
    audit.add_bytes_scanned(&[read("2026-01-02", 1)], "2026-01-02").await.unwrap();
    assert_eq!(audit.bytes_scanned("2026-01-02", "ada").await.unwrap(), 8);
    assert_eq!(audit.bytes_scanned("2026-01-01", "ada").await.unwrap(), 0);
    assert_eq!(audit.bytes_scanned("2026-01-02", "eve").await.unwrap(), 0);
}
