//! The registry of schemas: logins, numbers of errors, and what is refused. Its rules have tests of their own.

use std::sync::Arc;

use async_trait::async_trait;
use polder_capability::Caller;
use polder_capability::schemas::{
    Deleted, NewSchema, Page, RegistryMode, Schema, SchemaError, SchemaFailure, SchemaForm, SchemaKind, SchemaRegistry,
    SchemaResult, SchemaVersion, SubjectConfig, VersionChoice,
};
use polder_http_server::Auth;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{Server, header, trust};

/// A registry that has the subject `ann` for `ann`, with one version, and knows nothing else.
pub struct FakeRegistry;

fn no<T>(error: SchemaError) -> SchemaResult<T> {
    Err(SchemaFailure::new(error, "no"))
}

fn one(schema: Schema) -> SchemaVersion {
    SchemaVersion { subject: "ann".to_owned(), version: 1, id: 7, schema, is_deleted: false }
}

#[async_trait]
impl SchemaRegistry for FakeRegistry {
    async fn subjects(&self, caller: &Caller, _: &str, _: Deleted) -> SchemaResult<Vec<String>> {
        Ok(vec![caller.user.clone()])
    }

    async fn versions(&self, _: &Caller, subject: &str, _: Deleted) -> SchemaResult<Vec<i32>> {
        if subject == "a/b" { Ok(vec![1, 2, 3]) } else { no(SchemaError::UnknownSubject) }
    }

    async fn version(
        &self,
        _: &Caller,
        _: &str,
        version: VersionChoice,
        _: Deleted,
        _: SchemaForm,
    ) -> SchemaResult<SchemaVersion> {
        match version {
            VersionChoice::Latest => {
                Ok(one(Schema { kind: SchemaKind::Json, text: "{}".to_owned(), references: Vec::new() }))
            }
            VersionChoice::Number(_) => no(SchemaError::UnknownVersion),
        }
    }

    async fn referenced_by(&self, _: &Caller, _: &str, _: VersionChoice) -> SchemaResult<Vec<i32>> {
        no(SchemaError::Store)
    }

    async fn look_up(&self, _: &Caller, _: &str, schema: Schema, _: bool, _: Deleted) -> SchemaResult<SchemaVersion> {
        Ok(one(schema))
    }

    async fn register(&self, _: &Caller, _: &str, schema: NewSchema) -> SchemaResult<SchemaVersion> {
        Ok(one(schema.schema))
    }

    async fn delete_version(&self, _: &Caller, _: &str, _: VersionChoice, _: bool) -> SchemaResult<i32> {
        no(SchemaError::Busy)
    }

    async fn delete_subject(&self, _: &Caller, _: &str, _: bool) -> SchemaResult<Vec<i32>> {
        Ok(vec![1])
    }

    async fn schema(&self, _: &Caller, _: i32, _: SchemaForm) -> SchemaResult<Schema> {
        no(SchemaError::UnknownSchema)
    }

    async fn uses(&self, _: &Caller, _: i32, _: Deleted) -> SchemaResult<Vec<(String, i32)>> {
        no(SchemaError::UnknownSchema)
    }

    async fn list(&self, _: &Caller, _: &str, _: Deleted, _: bool, _: Page) -> SchemaResult<Vec<SchemaVersion>> {
        Ok(Vec::new())
    }

    async fn check(
        &self,
        _: &Caller,
        _: &str,
        _: Option<VersionChoice>,
        _: Schema,
        _: bool,
    ) -> SchemaResult<Vec<String>> {
        Ok(vec!["a difference".to_owned()])
    }

    async fn config(&self, _: &Caller, _: Option<&str>, _: bool) -> SchemaResult<SubjectConfig> {
        no(SchemaError::NoSubjectConfig)
    }

    async fn set_config(&self, _: &Caller, _: Option<&str>, config: SubjectConfig) -> SchemaResult<SubjectConfig> {
        Ok(config)
    }

    async fn delete_config(&self, _: &Caller, _: Option<&str>) -> SchemaResult<SubjectConfig> {
        no(SchemaError::Forbidden)
    }

    async fn mode(&self, _: &Caller, _: Option<&str>, _: bool) -> SchemaResult<RegistryMode> {
        Ok(RegistryMode::ReadWrite)
    }

    async fn set_mode(&self, _: &Caller, _: Option<&str>, mode: RegistryMode, _: bool) -> SchemaResult<RegistryMode> {
        Ok(mode)
    }

    async fn delete_mode(&self, _: &Caller, _: Option<&str>) -> SchemaResult<RegistryMode> {
        no(SchemaError::NoSubjectMode)
    }
}

const KIND: &str = "application/vnd.schemaregistry.v1+json";

/// A request by `ann`, with name and password.
fn by_ann(server: &Server, method: Method, path: &str) -> RequestBuilder {
    server.bare(method, &format!("/schema-registry{path}")).basic_auth("ann", Some("secret"))
}

async fn check(request: RequestBuilder, status: u16, body: Value) {
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "content-type"), KIND);
    let found = response.status().as_u16();
    assert_eq!((found, response.json::<Value>().await.unwrap()), (status, body));
}

/// That an answer is an error of this number.
async fn refused(request: RequestBuilder, status: u16, code: u32) {
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "content-type"), KIND);
    let found = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!((found, &body["error_code"]), (status, &json!(code)), "{body}");
    assert!(body["message"].is_string());
}

#[tokio::test]
async fn names_and_passwords() {
    let server = Server::with(Auth::Password, None).await;
    let answer = server.bare(Method::GET, "/schema-registry/subjects").send().await.unwrap();
    assert_eq!(header(&answer, "www-authenticate"), "Basic realm=\"polder\"");
    refused(server.bare(Method::GET, "/schema-registry/subjects"), 401, 40101).await;
    check(by_ann(&server, Method::GET, "/subjects"), 200, json!(["ann"])).await;
    // The session is remembered, and each pair of name and password has its own.
    check(by_ann(&server, Method::GET, "/subjects"), 200, json!(["ann"])).await;
    let bob = server.bare(Method::GET, "/schema-registry/subjects").basic_auth("bob", Some("secret"));
    check(bob, 200, json!(["bob"])).await;
    for _ in 0..3 {
        let wrong = server.bare(Method::GET, "/schema-registry/subjects").basic_auth("ann", Some("guess"));
        refused(wrong, 401, 40101).await;
    }
    let slowed = server.bare(Method::GET, "/schema-registry/subjects").basic_auth("ann", Some("guess"));
    let answer = slowed.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (503, "7"));
    // The cookie of the console goes as well.
    let cookie = server.login("bob").await;
    check(server.bare(Method::GET, "/schema-registry/subjects").header("cookie", cookie), 200, json!(["bob"])).await;
}

#[tokio::test]
async fn answers_and_errors_are_those_that_clients_know() {
    let server = Server::with(Auth::Password, None).await;
    let get = |path: &str| by_ann(&server, Method::GET, path);
    check(get(""), 200, json!({})).await;
    check(get("/schemas/types"), 200, json!(["JSON", "PROTOBUF", "AVRO"])).await;
    check(get("/contexts"), 200, json!(["."])).await;
    check(get("/subjects/a%2Fb/versions?offset=1&limit=1"), 200, json!([2])).await;
    check(get("/subjects/a%2Fb/versions?limit=-1&deleted=False"), 200, json!([1, 2, 3])).await;
    let version = json!({"subject": "ann", "version": 1, "id": 7, "schemaType": "JSON", "schema": "{}"});
    check(get("/subjects/ann/versions/latest"), 200, version).await;
    check(get("/mode"), 200, json!({"mode": "READWRITE"})).await;
    refused(get("/subjects/x/versions"), 404, 40401).await;
    refused(get("/subjects/x/versions/7"), 404, 40402).await;
    refused(get("/subjects/x/versions/first"), 422, 42202).await;
    refused(get("/schemas/ids/7"), 404, 40403).await;
    refused(get("/config/x"), 404, 40408).await;
    refused(get("/subjects/x/versions/1/referencedby"), 500, 50001).await;
    refused(get("/nowhere"), 404, 404).await;
    refused(get("/subjects?sideways=1"), 400, 400).await;
    refused(get("/subjects?deleted=perhaps"), 400, 400).await;
    refused(get("/schemas/ids/7?format=upside-down"), 400, 400).await;
    refused(get("/subjects/:.elsewhere:x/versions"), 422, 42205).await;
    refused(by_ann(&server, Method::PATCH, "/subjects"), 405, 405).await;
    refused(by_ann(&server, Method::DELETE, "/config"), 403, 40301).await;
    refused(by_ann(&server, Method::DELETE, "/mode/x"), 404, 40409).await;
    refused(by_ann(&server, Method::DELETE, "/subjects/x/versions/1"), 503, 50301).await;
}

#[tokio::test]
async fn bodies_are_read_within_bounds() {
    let server = Server::with(Auth::Password, None).await;
    let post = |path: &str, body: Value| {
        by_ann(&server, Method::POST, path).header("content-type", KIND).body(body.to_string())
    };
    let path = "/subjects/x/versions";
    let registered = json!({"id": 7, "version": 1, "subject": "ann"});
    check(post(path, json!({"schema": "\"int\"", "ruleSet": null, "references": []})), 200, registered).await;
    check(
        post("/compatibility/subjects/x/versions?verbose=true", json!({"schema": "\"int\""})),
        200,
        json!({"is_compatible": false, "messages": ["a difference"]}),
    )
    .await;
    refused(post(path, json!({})), 422, 42201).await;
    refused(post(path, json!({"schema": "x", "schemaType": "XML"})), 422, 42201).await;
    refused(post(path, json!({"schema": "\"int\"", "metadata": {"tags": {"a": ["b"]}}})), 422, 42205).await;
    refused(post(path, json!([])), 422, 422).await;
    refused(post(path, json!({"schema": "x".repeat(5 << 20)})), 413, 41301).await;
    refused(by_ann(&server, Method::POST, path).header("content-type", "text/plain").body("{}"), 415, 415).await;
    let put = |path: &str, body: Value| by_ann(&server, Method::PUT, path).json(&body);
    check(put("/config", json!({"compatibility": "full"})), 200, json!({"compatibility": "FULL"})).await;
    refused(put("/config", json!({"compatibility": "SIDEWAYS"})), 422, 42203).await;
    refused(put("/config", json!({"compatibility": "FULL", "overrideRuleSet": {"x": 1}})), 422, 42205).await;
    check(put("/mode/x?force=True", json!({"mode": "import"})), 200, json!({"mode": "IMPORT"})).await;
    refused(put("/mode", json!({"mode": "ASLEEP"})), 422, 42204).await;
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let server = Server::with(trust(), None).await;
    let bare = |method: Method| server.bare(method, "/schema-registry/subjects/x");
    check(bare(Method::DELETE), 200, json!([1])).await;
    refused(bare(Method::DELETE).header("origin", "http://elsewhere.example"), 403, 40301).await;
    refused(bare(Method::POST).header("content-type", "text/plain").body("{\"schema\": \"\\\"int\\\"\"}"), 415, 415)
        .await;
}

/// The registry of the harness.
pub fn registry() -> Option<Arc<dyn SchemaRegistry>> {
    Some(Arc::new(FakeRegistry))
}
