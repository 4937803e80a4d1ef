//! A real PostgreSQL.

use polder_capability::deliveries::{DeliveryTarget, PostgresTarget};
use polder_types::ErrorKind;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use self::postgres_server::PostgresServer;
use super::{records, rows_of, sink, transformed};

#[path = "../../../../metastore/tests/metastore/postgres_server.rs"]
#[expect(dead_code, reason = "the metastore's tests have more to do with it")]
mod postgres_server;

async fn told(connection: &mut PgConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

fn target(port: u16, table: &str, key: &[&str]) -> DeliveryTarget {
    DeliveryTarget::Postgres(PostgresTarget {
        host: "127.0.0.1".to_owned(),
        port,
        database: "postgres".to_owned(),
        user: "polder".to_owned(),
        schema: "public".to_owned(),
        table: table.to_owned(),
        key: key.iter().map(ToString::to_string).collect(),
        tls: false,
    })
}

#[tokio::test]
async fn rows_come_into_a_table_and_those_that_do_not_fit_are_told() {
    let server = tokio::task::spawn_blocking(PostgresServer::start).await.unwrap();
    let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let made = "CREATE TABLE \"odd \"\"name\" (id int PRIMARY KEY, at timestamptz DEFAULT '2026-01-01Z', doc jsonb, \
                bytes bytea, small smallint CHECK (small > 0)); CREATE TABLE plain (c text, n bigint)";
    sqlx::raw_sql(made).execute(&mut connection).await.unwrap();

    let odd = sink(target(server.port, "odd \"name", &["id"]), &[("password", "not asked")]);
    let lot = records(&[
        Some(br#"{"id":1,"doc":{"a":[1]},"bytes":"\\x00ff"}"#),
        Some(br#"{"id":2,"at":"2026-05-06T07:08:09Z"}"#),
        Some(br#"{"id":"three"}"#),
        Some(br#"{"id":4,"small":0}"#),
        Some(br#"{"id":5,"other":1}"#),
        Some(b"[1]"),
        Some(b"{}"),
        None,
        Some(br#"{"id":6,"small":7}"#),
    ]);
    for _ in 0..2 {
        let refused = odd.deliver(&lot).await.unwrap();
        assert_eq!(rows_of(&refused), [2, 3, 4, 5, 6]);
        assert!(refused[0].reason.contains("three"), "{}", refused[0].reason);
        assert!(refused[1].reason.contains("check constraint"), "{}", refused[1].reason);
        assert!(refused[2].reason.contains("other"), "{}", refused[2].reason);
    }
    let rows = told(
        &mut connection,
        "SELECT concat_ws('|', id, extract(month FROM at AT TIME ZONE 'UTC'), doc, bytes, small) FROM \"odd \"\"name\" ORDER BY id",
    )
    .await;
    assert_eq!(rows, [r#"1|1|{"a": [1]}|\x00ff"#, "2|5", "6|1|7"]);

    let plain = sink(target(server.port, "plain", &[]), &[]);
    assert!(plain.deliver(&transformed(&[Some("it's"), None])).await.unwrap().is_empty());
    let rows = told(&mut connection, "SELECT concat_ws('|', c, n) FROM plain ORDER BY n").await;
    assert_eq!(rows, ["it's|0", "1"]);

    let missing = sink(target(server.port, "missing", &[]), &[]);
    assert_eq!(missing.deliver(&transformed(&[Some("a")])).await.unwrap_err().kind(), ErrorKind::NotFound);
    server.stop("immediate");
    assert_eq!(plain.deliver(&transformed(&[Some("a")])).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
