use std::path::Path;

use polder_http_server::Auth;
use reqwest::{Method, StatusCode};

use crate::harness::{Server, error, header};

fn console(folder: &Path) {
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    for (name, content) in [
        ("index.html", "<html>console</html>"),
        ("favicon.svg", "<svg/>"),
        ("assets/app-1a2b.js", "plain"),
        ("assets/app-1a2b.js.br", "brotli"),
        ("assets/app-1a2b.js.gz", "gzip"),
        ("assets/small-3c4d.css", "css"),
    ] {
        std::fs::write(folder.join(name), content).unwrap();
    }
}

#[tokio::test]
async fn files_pages_and_caching() {
    let folder = tempfile::tempdir().unwrap();
    console(folder.path());
    let server = Server::with(Auth::Password, Some(folder.path().to_owned())).await;
    let get = |path: &str| server.bare(Method::GET, path);

    // Pages of the console are all the same file.
    for path in ["/", "/sql", "/catalog/public/flights", "/streams/orders.placed", "/index.html"] {
        let response = get(path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert!(!header(&response, "etag").is_empty());
        assert_eq!(response.text().await.unwrap(), "<html>console</html>");
    }
    let etag = header(&get("/").send().await.unwrap(), "etag").to_owned();
    let known = get("/").header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(known.text().await.unwrap(), "");
    let head = server.bare(Method::HEAD, "/").send().await.unwrap();
    assert_eq!((header(&head, "content-length"), head.status()), ("20", StatusCode::OK));

    // Hashed names are kept for ever, compressed as the browser likes.
    for (accepted, encoding, content) in [
        ("gzip, deflate, br", "br", "brotli"),
        ("gzip", "gzip", "gzip"),
        ("br;q=0, gzip;q=0.1", "gzip", "gzip"),
        ("identity", "", "plain"),
    ] {
        let response = get("/assets/app-1a2b.js").header("accept-encoding", accepted).send().await.unwrap();
        assert_eq!(header(&response, "content-encoding"), encoding);
        assert_eq!(header(&response, "content-type"), "text/javascript; charset=utf-8");
        assert_eq!(header(&response, "cache-control"), "public,max-age=31536000,immutable");
        assert_eq!(header(&response, "vary"), "accept-encoding");
        assert_eq!(response.text().await.unwrap(), content);
    }
    let uncompressed = get("/assets/small-3c4d.css").header("accept-encoding", "br").send().await.unwrap();
    assert_eq!(uncompressed.text().await.unwrap(), "css");
    let icon = get("/favicon.svg").send().await.unwrap();
    assert_eq!((header(&icon, "content-type"), header(&icon, "cache-control")), ("image/svg+xml", "no-cache"));
}

#[tokio::test]
async fn what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    console(&dist);
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    let server = Server::with(Auth::Password, Some(dist)).await;
    for path in ["/missing.js", "/assets/old-9f9f.js", "/a/b.map"] {
        error(server.bare(Method::GET, path).send().await.unwrap(), 404, "not_found").await;
    }
    for path in ["/api", "/api/v1", "/api/v1/nothing", "/api/v2/me", "/api/x.js"] {
        error(server.bare(Method::GET, path).send().await.unwrap(), 404, "not_found").await;
    }
    error(server.bare(Method::POST, "/sql").send().await.unwrap(), 404, "not_found").await;
    error(server.bare(Method::PATCH, "/api/v1/me").send().await.unwrap(), 400, "invalid_input").await;
    for path in ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt", "//etc/passwd.txt"] {
        let answer = server.raw(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn without_a_console_a_page_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(Auth::Password, Some(folder.path().to_owned())).await;
    let response = server.bare(Method::GET, "/").send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
    assert!(response.text().await.unwrap().contains("npm run build"));
}

#[tokio::test]
async fn the_embedded_console_answers() {
    let server = Server::start().await;
    let response = server.bare(Method::GET, "/").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.text().await.unwrap().contains("<title>Polder</title>"));
}
