use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use futures::StreamExt;
use polder_types::QueryId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Server, error, eventually, header};

#[tokio::test]
async fn formats() {
    let server = Server::logged_in().await;
    let check = async |format: &str, content_type: &str, expected: &str| {
        let response = server.run(json!({"sql": "rows 3", "format": format})).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "content-type"), content_type);
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(response.text().await.unwrap(), expected);
    };
    check("ndjson", "application/x-ndjson", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n").await;
    check("json", "application/json", "[{\"n\":0},{\"n\":1},{\"n\":2}]").await;
    check("csv", "text/csv; charset=utf-8", "n\n0\n1\n2\n").await;
    error(server.run(json!({"sql": "rows 3", "format": "xml"})).await, 400, "invalid_input").await;
    error(server.run(json!({"sql": "rows 3", "rows": 3})).await, 400, "invalid_input").await;
}

#[tokio::test]
async fn arrow_is_the_default_and_exact() {
    let server = Server::logged_in().await;
    for (sql, rows) in [("rows 0", 0), ("rows 25500", 25_500), ("one batch 20000", 20_000)] {
        let response = server.run(json!({"sql": sql})).await;
        assert_eq!(header(&response, "content-type"), "application/vnd.apache.arrow.stream");
        let bytes = response.bytes().await.unwrap();
        let batches: Vec<_> = StreamReader::try_new(&bytes[..], None).unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows, "{sql}");
        assert!(bytes.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "the end marker");
    }
}

#[tokio::test]
async fn headers_tell_what_was_done() {
    let server = Server::logged_in().await;
    let id = Uuid::new_v4().to_string();
    let response = server.run(json!({"sql": "insert", "query_id": id, "format": "json"})).await;
    assert_eq!(header(&response, "polder-query-id"), id);
    assert_eq!(header(&response, "polder-command"), "INSERT");
    assert_eq!(header(&response, "polder-rows"), "3");
    assert_eq!(header(&response, "polder-snapshot"), "7");
    let notices = header(&response, "polder-notices");
    assert!(notices.starts_with("%5B%7B%22message%22%3A%22gr%C3%B6%C3%9Fer%2C%20%5C%22quoted"), "{notices}");
    assert_eq!(response.text().await.unwrap(), "[]");

    let response = server.run(json!({"sql": "rows 1"})).await;
    assert_eq!(header(&response, "polder-command"), "SELECT");
    assert!(!response.headers().contains_key("polder-rows"));
    assert!(!response.headers().contains_key("polder-notices"));
    assert!(header(&response, "polder-query-id").parse::<QueryId>().is_ok());
}

#[tokio::test]
async fn errors_before_the_first_row_are_told() {
    let server = Server::logged_in().await;
    let told = error(server.run(json!({"sql": "wrong"})).await, 404, "not_found").await;
    assert_eq!(told["code"], "42P01");
    assert_eq!((&told["line"], &told["column"], &told["hint"]), (&json!(1), &json!(15), &json!("see the catalog")));
    let told = error(server.run(json!({"sql": "wrong at once"})).await, 400, "invalid_input").await;
    assert_eq!(told["code"], "22012");
    assert_eq!((&told["line"], &told["hint"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn errors_after_the_first_row_break_the_body() {
    let server = Server::logged_in().await;
    for format in ["arrow", "ndjson", "json", "csv"] {
        for sql in ["wrong later", "panic later"] {
            let response = server.run(json!({"sql": sql, "format": format})).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert!(response.bytes().await.is_err(), "{sql} as {format} looked complete");
        }
    }
}

#[tokio::test]
async fn a_panic_is_an_error_without_secrets() {
    let server = Server::logged_in().await;
    let told = error(server.run(json!({"sql": "panic"})).await, 500, "internal").await;
    assert!(!told.to_string().contains("secret"), "{told}");
    assert_eq!(server.run(json!({"sql": "rows 1"})).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn sql_is_bounded() {
    let server = Server::logged_in().await;
    let fits = format!("rows 1 --{}", "x".repeat((4 << 20) - 9));
    let too_long = format!("{fits}x");
    assert_eq!(server.run(json!({"sql": fits})).await.status(), StatusCode::OK);
    error(server.run(json!({"sql": too_long})).await, 413, "too_large").await;
    error(server.run(json!({"sql": "x".repeat(10 << 20)})).await, 413, "too_large").await;
    // Without a declared length, too.
    let chunks = futures::stream::iter((0..10).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1 << 20])));
    let request = server.request(Method::POST, "/statements").header("content-type", "application/json");
    error(request.body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap(), 413, "too_large").await;
}

#[tokio::test]
async fn closing_the_connection_cancels() {
    let server = Server::logged_in().await;
    for sql in ["slow", "endless"] {
        let id = Uuid::new_v4();
        let mut body = server.run(json!({"sql": sql, "query_id": id})).await.bytes_stream();
        body.next().await.unwrap().unwrap();
        assert!(!server.sql.was_cancelled(QueryId(id)));
        drop(body);
        eventually(sql, || server.sql.was_cancelled(QueryId(id))).await;
    }
    // Before the head of the answer, too.
    let id = Uuid::new_v4();
    let request = server.request(Method::POST, "/statements").json(&json!({"sql": "stuck", "query_id": id}));
    let waiting = request.timeout(Duration::from_millis(200)).send().await;
    assert!(waiting.unwrap_err().is_timeout());
    eventually("stuck", || server.sql.was_cancelled(QueryId(id))).await;
    eventually("sessions are dropped", || server.sql.sessions_alive.load(std::sync::atomic::Ordering::SeqCst) == 0)
        .await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_engine_back() {
    let server = Server::logged_in().await;
    let id = Uuid::new_v4();
    let response = server.run(json!({"sql": "endless", "query_id": id})).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Nothing was read, so only what fits into the channel and the sockets was made.
    let text = server.bare(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let sent = text.lines().find_map(|line| line.strip_prefix("polder_http_sent_bytes_total ")).unwrap();
    assert!(sent.parse::<u64>().unwrap() < 64 << 20, "{sent}");
    drop(response);
    eventually("cancelled", || server.sql.was_cancelled(QueryId(id))).await;
}

#[tokio::test]
async fn progress_and_cancel() {
    let server = Server::logged_in().await;
    let id = Uuid::new_v4();
    let path = format!("/queries/{id}");
    error(server.get(&path).await, 404, "not_found").await;
    let running =
        tokio::spawn(server.request(Method::POST, "/statements").json(&json!({"sql": "stuck", "query_id": id})).send());
    eventually("running", || server.sql.running.lock().unwrap().contains_key(&QueryId(id))).await;
    let record: Value = server.get(&path).await.json().await.unwrap();
    assert_eq!(
        record,
        json!({
            "query_id": id, "user": "ann", "via": "console", "sql": "stuck", "state": "running",
            "started_at": "1970-01-01T00:00:00Z", "elapsed_ms": 700, "rows_returned": 1, "rows_changed": 0, "rows_scanned": 500,
            "bytes_scanned": 4000, "rows_total": 1000, "snapshot": 7, "error": null,
        })
    );
    let list: Value = server.get("/running").await.json().await.unwrap();
    assert_eq!(list, json!({"queries": [record], "loads": []}));
    error(server.run(json!({"sql": "rows 1", "query_id": id})).await, 409, "already_exists").await;
    assert!(!server.sql.was_cancelled(QueryId(id)), "the second one must not cancel the first");

    assert_eq!(server.delete(&path).await.status(), StatusCode::NO_CONTENT);
    error(running.await.unwrap().unwrap(), 499, "cancelled").await;
    error(server.delete(&path).await, 404, "not_found").await;
    error(server.delete("/queries/no-id").await, 400, "invalid_input").await;
}

#[tokio::test]
async fn a_session_is_kept() {
    let server = Server::logged_in().await;
    let id = Uuid::new_v4();
    let run = async |session: Option<Uuid>| {
        let response = server.run(json!({"sql": "rows 1", "session": session})).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.unwrap();
        server.sql.last().session
    };
    let first = run(Some(id)).await;
    assert_eq!(run(Some(id)).await, first);
    assert_ne!(run(None).await, first);
    assert_ne!(run(Some(Uuid::new_v4())).await, first);

    // The same id of another user is another session.
    let bob = server.login("bob").await;
    let request = server.bare(Method::POST, "/api/v1/statements").header("cookie", bob).header("x-polder", "1");
    request.json(&json!({"sql": "rows 1", "session": id})).send().await.unwrap();
    assert_ne!(server.sql.last().session, first);

    server.clock.advance(chrono::TimeDelta::minutes(9));
    assert_eq!(run(Some(id)).await, first);
    server.clock.advance(chrono::TimeDelta::minutes(10));
    let second = run(Some(id)).await;
    assert_ne!(second, first);
    assert_eq!(server.delete(&format!("/sessions/{id}")).await.status(), StatusCode::NO_CONTENT);
    error(server.delete(&format!("/sessions/{id}")).await, 404, "not_found").await;
    assert_ne!(run(Some(id)).await, second);
}

/// The one that is idle for longest makes room, unless it is in the middle of a transaction.
#[tokio::test]
async fn sessions_are_bounded() {
    let server = Server::logged_in().await;
    let run = |sql: &'static str, id: Uuid| server.run(json!({"sql": sql, "session": id}));
    let alive = || server.sql.sessions_alive.load(Ordering::SeqCst);
    let busy = Uuid::new_v4();
    run("begin", busy).await;
    for _ in 0..100 {
        server.clock.advance(chrono::TimeDelta::seconds(1));
        assert_eq!(run("rows 1", Uuid::new_v4()).await.status(), StatusCode::OK);
    }
    assert_eq!(alive(), 64);
    let opened = server.sql.sessions_opened.load(Ordering::SeqCst);
    assert_eq!(run("rows 1", busy).await.status(), StatusCode::OK);
    assert_eq!(server.sql.sessions_opened.load(Ordering::SeqCst), opened, "the transaction is still there");
    for _ in 1..64 {
        assert_eq!(run("begin", Uuid::new_v4()).await.status(), StatusCode::OK);
    }
    error(run("rows 1", Uuid::new_v4()).await, 503, "exhausted").await;
    server.clock.advance(chrono::TimeDelta::minutes(10));
    assert_eq!(run("rows 1", Uuid::new_v4()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn one_statement_at_a_time_in_a_session() {
    let server = Server::logged_in().await;
    let (session, query) = (Uuid::new_v4(), Uuid::new_v4());
    let slow = server.run(json!({"sql": "slow", "session": session, "query_id": query})).await;
    // A session in use does not end, however long its statement takes.
    server.clock.advance(chrono::TimeDelta::hours(1));
    error(server.run(json!({"sql": "rows 1", "session": session})).await, 409, "conflict").await;
    server.delete(&format!("/queries/{query}")).await;
    assert!(slow.bytes().await.is_err());
    assert_eq!(server.run(json!({"sql": "rows 1", "session": session})).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_older_version_can_be_read() {
    let server = Server::logged_in().await;
    assert_eq!(server.run(json!({"sql": "rows 1", "snapshot": 5})).await.status(), StatusCode::OK);
    let log = server.sql.log.lock().unwrap().clone();
    let sqls: Vec<_> = log.iter().map(|entry| entry.sql.as_str()).collect();
    assert_eq!(sqls, ["SET snapshot = 5", "rows 1"]);
    assert_eq!(log[0].session, log[1].session);
    let both = json!({"sql": "rows 1", "snapshot": 5, "session": Uuid::new_v4()});
    error(server.run(both).await, 400, "invalid_input").await;
}
