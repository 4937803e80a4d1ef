//! Creation, opening, adoption, and who is refused.

use polder_metastore::{Backend, Metastore, Value, Write};
use polder_types::ErrorKind;

use crate::place::{Place, commit_next, count};

async fn metadata(metastore: &Metastore, key: &str) -> String {
    let sql = "SELECT value FROM ducklake_metadata WHERE key = $1";
    metastore.query(sql, &[key.into()]).await.unwrap()[0].text(0).unwrap().to_owned()
}

async fn schemas(metastore: &Metastore) -> Vec<(i64, i64, String, String, bool)> {
    let sql = "SELECT schema_id, begin_snapshot, schema_name, path, path_is_relative FROM ducklake_schema \
               WHERE end_snapshot IS NULL ORDER BY schema_id";
    let rows = metastore.query(sql, &[]).await.unwrap();
    let read = |row: &polder_metastore::Row| {
        (
            row.int(0).unwrap(),
            row.int(1).unwrap(),
            row.text(2).unwrap().to_owned(),
            row.text(3).unwrap().to_owned(),
            row.bool(4).unwrap(),
        )
    };
    rows.iter().map(read).collect()
}

pub async fn created_and_opened_again(place: Place) {
    let metastore = place.open().await;
    assert_eq!(metastore.backend(), if place.url.is_some() { Backend::Postgres } else { Backend::Sqlite });
    assert_eq!(metastore.head().await.unwrap(), 1);
    assert_eq!(metadata(&metastore, "version").await, "1.0");
    assert!(metadata(&metastore, "created_by").await.starts_with("Polder "));
    assert_eq!(metadata(&metastore, "encrypted").await, "false");
    assert_eq!(metadata(&metastore, "data_path").await, format!("{}/", place.tables()));
    assert_eq!(metastore.tables_path(), format!("{}/", place.tables()));
    let expected =
        [(0, 0, "main".to_owned(), "main/".to_owned(), true), (1, 1, "public".to_owned(), "public/".to_owned(), true)];
    assert_eq!(schemas(&metastore).await, expected);
    let rows = metastore
        .query(
            "SELECT s.snapshot_id, snapshot_time, schema_version, next_catalog_id, next_file_id, changes_made \
             FROM ducklake_snapshot s JOIN ducklake_snapshot_changes c ON c.snapshot_id = s.snapshot_id ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    for (at, (row, changes)) in rows.iter().zip(["created_schema:\"main\"", "created_schema:\"public\""]).enumerate() {
        let at = at as i64;
        let numbers: Vec<_> = [0, 2, 3, 4].map(|column| row.int(column).unwrap()).to_vec();
        assert_eq!(numbers, [at, at, at + 1, 0]);
        assert_eq!(row.time(1).unwrap(), polder_runtime::Clock::now(&place.clock));
        assert_eq!(row.text(5).unwrap(), changes);
    }
    let sql = "SELECT schema_uuid FROM ducklake_schema";
    for row in metastore.query(sql, &[]).await.unwrap() {
        row.uuid(0).unwrap();
    }
    assert_eq!(commit_next(&metastore, "kept", &[]).await.unwrap(), 2);
    metastore.close().await;
    drop(metastore);

    let metastore = place.open().await;
    assert_eq!(metastore.head().await.unwrap(), 2);
    assert_eq!(schemas(&metastore).await, expected);
    assert_eq!(count(&metastore, "SELECT count(*) FROM polder_migration").await, newest_version(&metastore).await);
}

async fn newest_version(metastore: &Metastore) -> i64 {
    count(metastore, "SELECT max(version) FROM polder_migration").await
}

pub async fn a_moved_directory_is_noticed(place: Place) {
    place.open().await.close().await;
    let elsewhere = place.data_dir().with_file_name("elsewhere");
    std::fs::rename(place.data_dir(), &elsewhere).unwrap();
    let mut options = place.options();
    options.data_dir = elsewhere.clone();
    options.tables_path = elsewhere.join("tables").to_str().unwrap().to_owned();
    let metastore = Metastore::open(options.clone()).await.unwrap();
    assert_eq!(metadata(&metastore, "data_path").await, format!("{}/", options.tables_path));
    // With files in it, a lake does not change from a directory to an object store by a mere setting.
    let file =
        Write::new("INSERT INTO ducklake_data_file (data_file_id, table_id) VALUES ($1, $2)", vec![0.into(), 1.into()]);
    metastore.write(&[file]).await.unwrap();
    metastore.close().await;
    drop(metastore);
    options.tables_path = "s3://bucket/lake".to_owned();
    let error = Metastore::open(options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.hint().unwrap().contains("--tables"), "{error}");
}

pub async fn held_by_one_server_only(place: Place) {
    let metastore = place.open().await;
    let error = place.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let pid = std::process::id().to_string();
    assert!(error.message().contains(&pid) && error.message().contains("2024-10-04 00:00:00"), "{error}");
    metastore.set_holder_note("http://127.0.0.1:7400").await.unwrap();
    let error = place.try_open().await.unwrap_err();
    assert!(error.message().ends_with("answers at http://127.0.0.1:7400"), "{error}");
    metastore.close().await;
    drop(metastore);
    place.open().await;
}

/// Takes away everything of ours, so that what is left is what DuckDB makes.
async fn as_duckdb_makes_it(metastore: &Metastore) {
    let list = match metastore.backend() {
        Backend::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'polder%'",
        Backend::Postgres => "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'polder%'",
    };
    let tables = metastore.query(list, &[]).await.unwrap();
    let mut writes: Vec<Write> =
        tables.iter().map(|row| Write::new(format!("DROP TABLE {}", row.text(0).unwrap()), vec![])).collect();
    for table in ["ducklake_snapshot", "ducklake_snapshot_changes"] {
        writes.push(Write::new(format!("DELETE FROM {table} WHERE snapshot_id = 1"), vec![]));
    }
    writes.push(Write::new("DELETE FROM ducklake_schema WHERE schema_id = 1", vec![]));
    metastore.write(&writes).await.unwrap();
}

pub async fn a_catalog_made_elsewhere_is_adopted(place: Place) {
    let elsewhere = tempfile::tempdir().unwrap();
    let data_path = format!("{}/", elsewhere.path().display());
    let metastore = place.open().await;
    as_duckdb_makes_it(&metastore).await;
    metastore
        .write(&[
            Write::new(
                "UPDATE ducklake_metadata SET value = $1 WHERE key = 'data_path'",
                vec![data_path.as_str().into()],
            ),
            Write::new(
                "INSERT INTO ducklake_snapshot VALUES ($1, $2, $3, $4, $5)",
                vec![1.into(), Value::Time(chrono::Utc::now()), 1.into(), 7.into(), 3.into()],
            ),
            Write::new("INSERT INTO ducklake_data_file (data_file_id, table_id) VALUES (2, 1)", vec![]),
        ])
        .await
        .unwrap();
    metastore.close().await;
    drop(metastore);

    // Twice: the second time it is ours, and still where it was.
    for _ in 0..2 {
        let metastore = place.open().await;
        assert_eq!(metastore.head().await.unwrap(), 2);
        assert_eq!(schemas(&metastore).await[1], (7, 2, "public".to_owned(), "public/".to_owned(), true));
        let sql = "SELECT schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot WHERE snapshot_id = 2";
        let row = &metastore.query(sql, &[]).await.unwrap()[0];
        assert_eq!([0, 1, 2].map(|column| row.int(column).unwrap()), [2, 8, 3]);
        assert_eq!(metastore.tables_path(), data_path);
        let newest = newest_version(&metastore).await;
        assert_eq!(count(&metastore, "SELECT count(*) FROM polder_migration").await, newest);
        if place.url.is_none() {
            assert!(place.data_dir().join(format!("metastore.sqlite.before-v{newest}")).is_file());
        }
        metastore.close().await;
    }
}

pub async fn a_newer_database_is_refused(place: Place) {
    let metastore = place.open().await;
    let sql = "INSERT INTO polder_migration (version, name, applied_at) VALUES ($1, $2, $3)";
    metastore.write(&[Write::new(sql, vec![999.into(), "later".into(), chrono::Utc::now().into()])]).await.unwrap();
    metastore.close().await;
    drop(metastore);
    let error = place.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("version 999"), "{error}");
}

pub async fn another_catalog_version_is_refused(place: Place) {
    let metastore = place.open().await;
    let change = |key: &str, value: &str| {
        Write::new("UPDATE ducklake_metadata SET value = $2 WHERE key = $1", vec![key.into(), value.into()])
            .affecting(1)
    };
    metastore.write(&[change("version", "0.3")]).await.unwrap();
    metastore.close().await;
    drop(metastore);
    let error = place.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("\"0.3\""), "{error}");
}

#[tokio::test]
async fn a_damaged_file_names_itself() {
    let place = Place::sqlite();
    std::fs::create_dir(place.data_dir()).unwrap();
    std::fs::write(place.data_dir().join("metastore.sqlite"), vec![7u8; 100_000]).unwrap();
    let error = place.try_open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.hint().unwrap().contains("metastore.sqlite"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_no_database_is_refused() {
    for url in ["mysql://localhost/x", "postgres", "", "sqlite:x"] {
        let mut options = Place::sqlite().options();
        options.url = Some(url.to_owned());
        assert_eq!(Metastore::open(options).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{url:?}");
    }
    let mut options = Place::sqlite().options();
    options.url = Some("postgres://nobody@127.0.0.1:1/none".to_owned());
    assert_eq!(Metastore::open(options).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_it_makes_is_its_owners_alone() {
    let place = Place::sqlite();
    let metastore = place.open().await;
    let mode = |path| std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777;
    assert_eq!(mode(place.data_dir()), 0o700);
    for file in ["metastore.sqlite", "metastore.sqlite-wal"] {
        assert_eq!(mode(place.data_dir().join(file)), 0o600, "{file}");
    }
    metastore.close().await;
}
