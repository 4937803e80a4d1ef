use polder_capability::{LoadMode, LoadSource, LoadState};
use polder_types::LoadId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::{Server, error, eventually};

async fn upload(server: &Server, name: &str, content: &str) -> Value {
    let request = server.request(Method::POST, "/uploads").query(&[("name", name)]);
    let response = request.body(content.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_file_is_uploaded_looked_at_and_loaded() {
    let server = Server::logged_in().await;
    let uploaded = upload(&server, "sales.csv", "a\n1\n").await;
    assert_eq!((&uploaded["name"], &uploaded["bytes"]), (&json!("sales.csv"), &json!(4)));
    let id = &uploaded["upload_id"];

    let request = json!({"upload_id": id, "options": {"delimiter": ";", "columns": [{"source": "a", "skip": true}]}});
    let preview: Value = server.post("/loads/preview", request).await.json().await.unwrap();
    let table = &preview["tables"][0];
    assert_eq!((&table["source"], &table["rows"]), (&json!("sales.csv"), &json!([["a", null], ["1", null]])));
    assert_eq!(
        table["options"],
        json!({"format": null, "delimiter": ";", "quote": null, "header": null, "encoding": null, "nulls": null,
               "columns": [{"source": "a", "name": null, "data_type": null, "skip": true}]})
    );

    let request = json!({"upload_ids": [id], "into": "sales", "mode": "append", "strict": true});
    let response = server.post("/loads", request).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let load: Value = response.json().await.unwrap();
    let load_id: LoadId = load["load_id"].as_str().unwrap().parse().unwrap();
    let wanted = server.loader.loads.lock().unwrap()[&load_id].0.clone();
    assert_eq!((wanted.mode, wanted.strict, wanted.again), (LoadMode::Append, true, false));
    assert_eq!((wanted.caller.user.as_str(), wanted.into.as_deref()), ("ann", Some("sales")));
    let LoadSource::Spooled { path, name } = &wanted.sources[0] else { panic!("not spooled") };
    assert_eq!((std::fs::read_to_string(path).unwrap().as_str(), name.as_str()), ("a\n1\n", "sales.csv"));

    let path = format!("/loads/{load_id}");
    let status: Value = server.get(&path).await.json().await.unwrap();
    assert_eq!((&status["state"], &status["report"]), (&json!("running"), &Value::Null));
    let running: Value = server.get("/running").await.json().await.unwrap();
    assert_eq!(running["loads"], json!([status]));
    server.loader.end(load_id, LoadState::Done);
    let status: Value = server.get(&path).await.json().await.unwrap();
    assert_eq!((&status["state"], &status["report"]["tables"][0]["rows_loaded"]), (&json!("done"), &json!(3)));
    eventually("the upload is gone", || server.uploads() == 0).await;
    error(server.delete(&path).await, 404, "not_found").await;
}

#[tokio::test]
async fn after_a_failure_the_upload_stays() {
    let server = Server::logged_in().await;
    let id = upload(&server, "sales.csv", "a\n1\n").await["upload_id"].clone();
    error(server.post("/loads", json!({"upload_ids": [id], "into": "taken"})).await, 409, "already_exists").await;
    for _ in 0..2 {
        let load: Value = server.post("/loads", json!({"upload_ids": [id]})).await.json().await.unwrap();
        let path = format!("/loads/{}", load["load_id"].as_str().unwrap());
        assert_eq!(server.delete(&path).await.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(server.post("/loads/preview", json!({"upload_id": id})).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn uploads_belong_to_their_user() {
    let server = Server::logged_in().await;
    let id = upload(&server, "sales.csv", "a\n1\n").await["upload_id"].clone();
    let bob = server.login("bob").await;
    let request = |path: &str, body: Value| {
        let request = server.bare(Method::POST, &format!("/api/v1{path}")).header("cookie", &bob);
        request.header("x-polder", "1").json(&body).send()
    };
    error(request("/loads/preview", json!({"upload_id": id})).await.unwrap(), 404, "not_found").await;
    error(request("/loads", json!({"upload_ids": [id]})).await.unwrap(), 404, "not_found").await;
}

#[tokio::test]
async fn loads_belong_to_their_user() {
    let mut server = Server::logged_in().await;
    let id = upload(&server, "sales.csv", "a\n1\n").await["upload_id"].clone();
    let load: Value = server.post("/loads", json!({"upload_ids": [id]})).await.json().await.unwrap();
    let path = format!("/loads/{}", load["load_id"].as_str().unwrap());
    let ann = server.cookie.replace(server.login("bob").await);
    error(server.get(&path).await, 404, "not_found").await;
    error(server.delete(&path).await, 404, "not_found").await;
    let running: Value = server.get("/running").await.json().await.unwrap();
    assert_eq!(running, json!({"queries": [], "loads": []}));
    server.cookie = ann;
    assert_eq!(server.delete(&path).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_name_is_never_a_path() {
    let server = Server::logged_in().await;
    for (name, expected) in [("../../etc/passwd", "passwd"), ("..", "upload"), ("C:\\x\\a.csv", "a.csv")] {
        assert_eq!(upload(&server, name, "x").await["name"], expected);
    }
    assert_eq!(server.uploads(), 6, "each has its data and its description, inside the folder");
    assert_eq!(std::fs::read_dir(server.folder.path()).unwrap().count(), 1);
    error(server.request(Method::POST, "/uploads").body("x").send().await.unwrap(), 400, "invalid_input").await;
}

#[tokio::test]
async fn an_upload_cut_off_leaves_nothing() {
    let server = Server::logged_in().await;
    let head = |length: &str| {
        format!(
            "POST /api/v1/uploads?name=a.csv HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nX-Polder: 1\r\n{length}\r\n\r\n",
            server.address,
            server.cookie()
        )
    };
    for (length, start) in [("Content-Length: 1000000", "a\n1\n"), ("Transfer-Encoding: chunked", "4\r\na\n1\n\r\n")] {
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{}{start}", head(length)).as_bytes()).await.unwrap();
        eventually("it has begun", || server.uploads() == 1).await;
        drop(stream);
        eventually("it is gone", || server.uploads() == 0).await;
    }
    let too_large = server.raw(&head("Content-Length: 99999999999999")).await;
    assert!(too_large.starts_with("HTTP/1.1 413"), "{too_large}");
    assert_eq!(server.uploads(), 0);
}

#[tokio::test]
async fn what_to_load_is_checked() {
    let server = Server::logged_in().await;
    let check = async |path: &str, body: Value| error(server.post(path, body).await, 400, "invalid_input").await;
    check("/loads", json!({})).await;
    check("/loads", json!({"sources": ["a.csv"], "mode": "merge"})).await;
    check("/loads", json!({"sources": vec!["a.csv"; 1001]})).await;
    check("/loads", json!({"sources": ["a.csv"], "option": {}})).await;
    check("/loads", json!({"sources": ["a.csv"], "options": {"delimiter": "ab"}})).await;
    check("/loads/preview", json!({})).await;
    check("/loads/preview", json!({"source": "a.csv", "upload_id": LoadId::new()})).await;
    error(server.post("/loads", json!({"upload_ids": [LoadId::new()]})).await, 404, "not_found").await;
    error(server.get(&format!("/loads/{}", LoadId::new())).await, 404, "not_found").await;
    let preview: Value = server.post("/loads/preview", json!({"source": "s3://b/a.csv"})).await.json().await.unwrap();
    assert_eq!(preview["tables"][0]["source"], "s3://b/a.csv");
}
