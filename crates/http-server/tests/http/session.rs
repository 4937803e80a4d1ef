use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, cookie_of, error, header};

#[tokio::test]
async fn login_and_logout() {
    let server = Server::start().await;
    error(server.get("/me").await, 401, "unauthenticated").await;

    let login = json!({"user": "ann", "password": "secret"});
    let response = server.bare(Method::POST, "/api/v1/login").json(&login).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&response, "set-cookie"), "polder_session=session1; Path=/; HttpOnly; SameSite=Strict");
    let cookie = cookie_of(&response);

    let me = server.get("/me");
    let response = server.bare(Method::GET, "/api/v1/me").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"user": "ann", "version": "1.2.3", "auth": "password"}));
    error(me.await, 401, "unauthenticated").await;

    let logout = server.request(Method::POST, "/logout").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(logout.status(), StatusCode::NO_CONTENT);
    assert!(header(&logout, "set-cookie").contains("Max-Age=0"));
    let response = server.bare(Method::GET, "/api/v1/me").header("cookie", &cookie).send().await.unwrap();
    error(response, 401, "unauthenticated").await;
}

#[tokio::test]
async fn wrong_passwords_are_slowed_down() {
    let server = Server::start().await;
    let wrong = json!({"user": "ann", "password": "guess"});
    for _ in 0..3 {
        let response = server.post("/login", wrong.clone()).await;
        assert_eq!(header(&response, "www-authenticate"), "Bearer realm=\"polder\"");
        error(response, 401, "unauthenticated").await;
    }
    let response = server.post("/login", wrong).await;
    assert_eq!(header(&response, "retry-after"), "7");
    error(response, 503, "unavailable").await;
}

#[tokio::test]
async fn bodies_are_checked() {
    let server = Server::start().await;
    let send = |body: String, kind: &'static str| {
        server.request(Method::POST, "/login").header("content-type", kind).body(body).send()
    };
    let long = format!("{{\"user\": \"ann\", \"password\": \"{}\"}}", "x".repeat(5000));
    error(send(long, "application/json").await.unwrap(), 413, "too_large").await;
    let form = send("user=ann&password=secret".to_owned(), "application/x-www-form-urlencoded").await.unwrap();
    error(form, 400, "invalid_input").await;
    let text = send("{\"user\": \"ann\", \"password\": \"secret\"}".to_owned(), "text/plain").await.unwrap();
    error(text, 400, "invalid_input").await;
    let unknown = send("{\"user\": \"ann\",\n \"remember\": true}".to_owned(), "application/json").await.unwrap();
    let told = error(unknown, 400, "invalid_input").await;
    assert_eq!((&told["line"], &told["column"]), (&json!(2), &json!(11)));
    assert!(told["message"].as_str().unwrap().contains("unknown field `remember`"), "{told}");
    let broken = send("{\"user\":".to_owned(), "application/json; charset=utf-8").await.unwrap();
    error(broken, 400, "invalid_input").await;
}

#[tokio::test]
async fn changes_need_the_guard() {
    let server = Server::logged_in().await;
    let body = json!({"old": "secret", "new": "long enough"});
    let request = || server.bare(Method::POST, "/api/v1/password").json(&body).header("cookie", server.cookie());
    error(request().send().await.unwrap(), 403, "forbidden").await;
    let foreign = request().header("x-polder", "1").header("origin", "http://evil.example");
    error(foreign.send().await.unwrap(), 403, "forbidden").await;
    let own = request().header("x-polder", "1").header("origin", format!("http://{}", server.address));
    assert_eq!(own.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let foreign_login = server.bare(Method::POST, "/api/v1/login").header("origin", "http://evil.example");
    let foreign_login = foreign_login.json(&json!({"user": "ann", "password": "secret"}));
    error(foreign_login.send().await.unwrap(), 403, "forbidden").await;
}

#[tokio::test]
async fn the_console_link_works_once() {
    let server = Server::start().await;
    let open = |token: &str| server.bare(Method::GET, &format!("/login?token={token}")).send();
    let expired = "/#/login?expired=1";
    let response = open("wrong").await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "location")), (303, expired));
    assert!(!response.headers().contains_key("set-cookie"));
    let response = open("once").await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "location")), (303, "/"));
    let cookie = cookie_of(&response);
    let me = server.bare(Method::GET, "/api/v1/me").header("cookie", cookie).send().await.unwrap();
    assert_eq!(me.json::<Value>().await.unwrap()["user"], "ann");
    let response = open("once").await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "location")), (303, expired));
    let response = server.bare(Method::GET, "/login").send().await.unwrap();
    assert_eq!(header(&response, "location"), expired);
}

#[tokio::test]
async fn api_tokens() {
    let server = Server::logged_in().await;
    let made: Value = server.post("/tokens", json!({"name": " nightly load "})).await.json().await.unwrap();
    assert_eq!(made["token"]["name"], "nightly load");
    assert_eq!(made["token"]["expires_at"], Value::Null);
    let secret = made["secret"].as_str().unwrap();
    let id = made["token"]["id"].as_str().unwrap();

    let by_token = |path: &str| server.bare(Method::POST, path).bearer_auth(secret).json(&json!({"sql": "rows 1"}));
    let response = by_token("/api/v1/statements").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!((server.sql.last().caller.user.as_str(), server.sql.last().caller.via.as_str()), ("ann", "http"));
    by_token("/api/v1/statements").header("user-agent", "polder/0.1.0").send().await.unwrap();
    assert_eq!(server.sql.last().caller.via, "cli");

    let list: Value = server.get("/tokens").await.json().await.unwrap();
    assert_eq!(list["tokens"].as_array().unwrap().len(), 1);
    assert!(list["tokens"][0].get("secret").is_none());
    assert_eq!(server.delete(&format!("/tokens/{id}")).await.status(), StatusCode::NO_CONTENT);
    error(server.delete(&format!("/tokens/{id}")).await, 404, "not_found").await;
    error(by_token("/api/v1/statements").send().await.unwrap(), 401, "unauthenticated").await;

    error(server.post("/tokens", json!({"name": " "})).await, 400, "invalid_input").await;
    let past = json!({"name": "late", "expires_at": "2026-01-02T02:59:59Z"});
    error(server.post("/tokens", past).await, 400, "invalid_input").await;
    let future = json!({"name": "soon", "expires_at": "2026-01-02T03:00:01Z"});
    assert_eq!(server.post("/tokens", future).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_password_is_changed_by_its_owner() {
    let server = Server::logged_in().await;
    error(server.post("/password", json!({"old": "x", "new": "long enough"})).await, 403, "forbidden").await;
    error(server.post("/password", json!({"old": "secret", "new": "short"})).await, 400, "invalid_input").await;
    let changed = server.post("/password", json!({"old": "secret", "new": "long enough"})).await;
    assert_eq!(changed.status(), StatusCode::NO_CONTENT);
}
