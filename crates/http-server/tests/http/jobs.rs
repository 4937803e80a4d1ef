//! Jobs and runs over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, error};

async fn body(response: reqwest::Response, status: u16) -> Value {
    let code = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(code, status, "{text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

#[tokio::test]
async fn a_job_from_its_making_to_its_end() {
    let server = Server::logged_in().await;
    let request =
        json!({"name": "nightly", "sql": "SELECT 1", "schedule": "0 3 * * *", "retries": 2, "catch_up": "all"});
    let job = body(server.post("/jobs", request.clone()).await, 201).await;
    assert_eq!((&job["name"], &job["kind"], &job["owner"]), (&json!("nightly"), &json!("statement"), &json!("ann")));
    assert_eq!((&job["payload"], &job["time_zone"]), (&json!({"sql": "SELECT 1"}), &json!("UTC")));
    assert_eq!((&job["catch_up"], &job["backoff_seconds"], &job["paused"]), (&json!("all"), &json!(30), &json!(false)));
    error(server.post("/jobs", request).await, 409, "already_exists").await;
    let put = |name: &str, request: Value| server.request(Method::PUT, &format!("/jobs/{name}")).json(&request).send();
    let job = body(put("nightly", json!({"kind": "vacuum"})).await.unwrap(), 200).await;
    assert_eq!((&job["kind"], &job["payload"], &job["schedule"]), (&json!("vacuum"), &json!({}), &Value::Null));
    error(put("other", json!({"sql": "SELECT 1"})).await.unwrap(), 404, "not_found").await;
    error(put("nightly", json!({"name": "daily", "sql": "SELECT 1"})).await.unwrap(), 400, "invalid_input").await;
    assert_eq!(body(server.post("/jobs/nightly/pause", json!({})).await, 200).await["paused"], true);
    assert_eq!(body(server.get("/jobs/nightly").await, 200).await["paused"], true);
    assert_eq!(body(server.post("/jobs/nightly/resume", json!({})).await, 200).await["paused"], false);
    assert_eq!(body(server.get("/jobs").await, 200).await["jobs"].as_array().unwrap().len(), 1);
    body(server.delete("/jobs/nightly").await, 204).await;
    error(server.delete("/jobs/nightly").await, 404, "not_found").await;
    error(server.get("/jobs/nightly").await, 404, "not_found").await;
}

#[tokio::test]
async fn what_a_request_must_say() {
    let server = Server::logged_in().await;
    for request in [
        json!({"sql": "SELECT 1"}),
        json!({"name": "j"}),
        json!({"name": "j", "sql": "SELECT 1", "kind": "vacuum"}),
        json!({"name": "j", "sql": "SELECT 1", "every": "day"}),
        json!({"name": "j", "sql": "SELECT 1", "catch_up": "some"}),
    ] {
        error(server.post("/jobs", request).await, 400, "invalid_input").await;
    }
    error(server.bare(Method::GET, "/api/v1/jobs").send().await.unwrap(), 401, "unauthenticated").await;
}

#[tokio::test]
async fn runs_and_their_logs() {
    let server = Server::logged_in().await;
    body(server.post("/jobs", json!({"name": "two words", "sql": "SELECT 1"})).await, 201).await;
    let first = body(server.post("/jobs/two%20words/run", json!({})).await, 202).await["run_id"].clone();
    let first = first.as_str().unwrap();
    let second = body(server.post(&format!("/runs/{first}/again"), json!({})).await, 202).await["run_id"].clone();
    let run = body(server.get(&format!("/runs/{first}")).await, 200).await;
    assert_eq!((&run["job"], &run["state"], &run["reason"]), (&json!("two words"), &json!("waiting"), &json!("asked")));
    body(server.delete(&format!("/runs/{first}")).await, 204).await;
    error(server.delete(&format!("/runs/{first}")).await, 404, "not_found").await;
    let ids = async |query: &str| -> Vec<Value> {
        let list = body(server.get(&format!("/runs{query}")).await, 200).await;
        list["runs"].as_array().unwrap().iter().map(|run| run["run_id"].clone()).collect()
    };
    assert_eq!(ids("").await, [second.clone(), json!(first)]);
    assert_eq!(ids("?limit=1").await, [second.clone()]);
    assert_eq!(ids("?state=cancelled&job=two%20words").await, [json!(first)]);
    assert_eq!(ids(&format!("?before={}", second.as_str().unwrap())).await, [json!(first)]);
    error(server.get("/runs?limit=0").await, 400, "invalid_input").await;
    let log = body(server.get(&format!("/runs/{first}/log?from=4")).await, 200).await;
    assert_eq!(log, json!({"text": "two\n", "next": 8, "ended": true}));
    let nobody = "00000000-0000-7000-8000-000000000000";
    error(server.get(&format!("/runs/{nobody}/log")).await, 404, "not_found").await;
    error(server.post(&format!("/runs/{nobody}/again"), json!({})).await, 404, "not_found").await;
    error(server.get("/runs/7").await, 400, "invalid_input").await;
}

#[tokio::test]
async fn jobs_are_their_owners() {
    let mut server = Server::logged_in().await;
    body(server.post("/jobs", json!({"name": "ann's", "sql": "SELECT 1"})).await, 201).await;
    let run = body(server.post("/jobs/ann's/run", json!({})).await, 202).await["run_id"].clone();
    let run = format!("/runs/{}", run.as_str().unwrap());
    let ann = server.cookie.replace(server.login("bob").await);
    assert_eq!(body(server.get("/jobs").await, 200).await, json!({"jobs": []}));
    assert_eq!(body(server.get("/runs").await, 200).await, json!({"runs": []}));
    for (method, path) in [
        (Method::GET, "/jobs/ann's"),
        (Method::DELETE, "/jobs/ann's"),
        (Method::GET, &run),
        (Method::GET, &format!("{run}/log")),
        (Method::DELETE, &run),
    ] {
        error(server.request(method, path).send().await.unwrap(), 404, "not_found").await;
    }
    for path in ["/jobs/ann's/run", "/jobs/ann's/pause", "/jobs/ann's/resume", &format!("{run}/again")] {
        error(server.post(path, json!({})).await, 404, "not_found").await;
    }
    let put = server.request(Method::PUT, "/jobs/ann's").json(&json!({"sql": "SELECT 2"})).send().await.unwrap();
    error(put, 404, "not_found").await;
    // What runs without a statement's rights is not for everybody.
    error(server.post("/jobs", json!({"name": "all", "kind": "vacuum"})).await, 403, "forbidden").await;
    body(server.post("/jobs", json!({"name": "bob's", "sql": "SELECT 1"})).await, 201).await;
    assert_eq!(body(server.get("/jobs").await, 200).await["jobs"].as_array().unwrap().len(), 1);
    server.cookie = ann;
    assert_eq!(body(server.get("/jobs").await, 200).await["jobs"].as_array().unwrap().len(), 2);
    assert_eq!(body(server.get(&run).await, 200).await["state"], "waiting");
}
