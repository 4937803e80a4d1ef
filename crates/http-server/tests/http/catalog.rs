use serde_json::{Value, json};

use crate::harness::{Server, error};

async fn get(server: &Server, path: &str) -> Value {
    let response = server.get(path).await;
    assert_eq!(response.status().as_u16(), 200, "{path}");
    response.json().await.unwrap()
}

#[tokio::test]
async fn schemas_and_tables() {
    let server = Server::logged_in().await;
    assert_eq!(
        get(&server, "/catalog").await,
        json!({"snapshot": 7, "schemas": [
            {"name": "public", "tables": [{
                "name": "flights", "kind": "table", "rows": 336_776, "bytes": 5_000_000, "files": 1,
                "comment": "departures of 2013", "updated_at": "2026-01-02T03:00:00Z",
            }]},
            {"name": "sales", "tables": [{
                "name": "orders", "kind": "view", "rows": null, "bytes": null, "files": null, "comment": null,
                "updated_at": null,
            }]},
        ]})
    );
    assert_eq!(server.sql.last().caller.via, "internal");
}

#[tokio::test]
async fn one_table() {
    let server = Server::logged_in().await;
    assert_eq!(
        get(&server, "/catalog/public/flights").await,
        json!({
            "schema": "public", "name": "flights", "kind": "table", "comment": "departures of 2013", "rows": 336_776,
            "bytes": 5_000_000, "files": 1, "created_at": "2026-01-02T03:00:00Z", "updated_at": "2026-01-02T03:00:00Z",
            "sql": null,
            "columns": [
                {"name": "year", "type": "BIGINT", "nullable": false, "default": null, "comment": null, "position": 1},
                {"name": "carrier", "type": "VARCHAR", "nullable": true, "default": null, "comment": "two letters",
                 "position": 2},
            ],
        })
    );
    let told = error(server.get("/catalog/public/nothing").await, 404, "not_found").await;
    assert_eq!((&told["code"], &told["message"]), (&json!("42P01"), &json!("no table public.nothing")));
}

#[tokio::test]
async fn names_cannot_become_sql() {
    let server = Server::logged_in().await;
    get(&server, "/catalog/public/x'%3B%20DROP%20TABLE%20y%3B%20--").await;
    let sql = server.sql.last().sql;
    assert!(sql.contains("table_name = 'x''; DROP TABLE y; --'"), "{sql}");
    get(&server, "/catalog/public/O'Hare%22/profile").await;
    assert_eq!(server.sql.last().sql, r#"SELECT * FROM profile('public."O''Hare"""')"#);
}

#[tokio::test]
async fn profile() {
    let server = Server::logged_in().await;
    assert_eq!(
        get(&server, "/catalog/public/flights/profile").await,
        json!({"rows": 336_776, "sampled": true, "columns": [
            {"name": "year", "type": "BIGINT", "missing": 0, "distinct": 1, "distinct_exact": true, "min": "2013",
             "max": "2013", "mean": 2013.0, "histogram": [{"low": 2013, "high": 2014, "count": 10}], "top": null},
            {"name": "carrier", "type": "VARCHAR", "missing": 2, "distinct": 3, "distinct_exact": false, "min": "AA",
             "max": "WN", "mean": null, "histogram": null, "top": [{"value": "AA", "count": 5}]},
        ]})
    );
    assert_eq!(server.sql.last().sql, "SELECT * FROM profile('public.flights')");
    error(server.get("/catalog/public/nothing/profile").await, 404, "not_found").await;
}

#[tokio::test]
async fn history() {
    let server = Server::logged_in().await;
    assert_eq!(
        get(&server, "/catalog/public/flights/history").await,
        json!({"versions": [{
            "snapshot": 7, "committed_at": "2026-01-02T03:00:00Z", "author": "ann", "message": null,
            "changes": ["inserted_into_table"], "rows_added": 10, "rows_removed": 0,
        }]})
    );
}

#[tokio::test]
async fn past_statements() {
    let server = Server::logged_in().await;
    let list = get(&server, "/queries?limit=10&search=1/0").await;
    assert_eq!(
        list["queries"],
        json!([{
            "query_id": "01890a5d-ac96-774b-bcce-b302099a8057", "user": "ann", "via": "console", "sql": "SELECT 1/0",
            "state": "failed", "started_at": "2026-01-02T03:00:00Z", "elapsed_ms": 12, "rows_returned": 0,
            "rows_changed": 3, "rows_scanned": 0, "bytes_scanned": 0, "rows_total": null, "snapshot": 7,
            "error": {"code": "22012", "message": "division by zero", "position": null, "hint": null},
        }])
    );
    assert!(server.sql.last().sql.ends_with("LIMIT 10"));
    get(&server, "/queries").await;
    assert!(server.sql.last().sql.ends_with("LIMIT 100"));
    for query in ["limit=0", "limit=1001", "limit=x", "before=x", "sort=up"] {
        error(server.get(&format!("/queries?{query}")).await, 400, "invalid_input").await;
    }
    let long = "x".repeat(1001);
    error(server.get(&format!("/queries?search={long}")).await, 400, "invalid_input").await;
}

#[tokio::test]
async fn saved_queries() {
    let server = Server::logged_in().await;
    let chart =
        json!({"kind": "bar", "x": "carrier", "y": ["delay"], "series": null, "stacked": false, "title": "Delay"});
    let draft = json!({"name": "Delays", "description": "by carrier", "sql": "SELECT 1", "chart": chart});
    let response = server.post("/saved-queries", draft.clone()).await;
    assert_eq!(response.status().as_u16(), 201);
    let saved: Value = response.json().await.unwrap();
    assert_eq!((&saved["id"], &saved["owner"], &saved["chart"]), (&json!("q1"), &json!("ann"), &chart));
    assert_eq!(saved["updated_at"], "2026-01-02T03:00:00Z");

    server.clock.advance(chrono::TimeDelta::hours(1));
    let changed = json!({"name": "Delays 2", "description": "", "sql": "SELECT 2", "chart": null});
    let request =
        |id: &str| server.request(reqwest::Method::PUT, &format!("/saved-queries/{id}")).json(&changed).send();
    let response: Value = request("q1").await.unwrap().json().await.unwrap();
    assert_eq!((&response["name"], &response["chart"]), (&json!("Delays 2"), &Value::Null));
    assert_eq!((&response["owner"], &response["updated_at"]), (&json!("ann"), &json!("2026-01-02T04:00:00Z")));
    error(request("q9").await.unwrap(), 404, "not_found").await;

    assert_eq!(get(&server, "/saved-queries").await["queries"].as_array().unwrap().len(), 1);
    assert_eq!(server.delete("/saved-queries/q1").await.status().as_u16(), 204);
    error(server.delete("/saved-queries/q1").await, 404, "not_found").await;
    let mut wrong = draft.clone();
    wrong["chart"]["kind"] = json!("donut");
    error(server.post("/saved-queries", wrong).await, 400, "invalid_input").await;
    let mut wrong = draft;
    wrong["name"] = json!("");
    error(server.post("/saved-queries", wrong).await, 400, "invalid_input").await;
    error(server.post("/saved-queries", json!({"name": "n", "sql": "x".repeat(1 << 20)})).await, 413, "too_large")
        .await;
}
