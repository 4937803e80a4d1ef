use super::*;

#[test]
fn accepted_encodings() {
    let check = |value: &str, encoding: &str, expected: bool| {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(accepts(&headers, encoding), expected, "{value} {encoding}");
    };
    check("gzip, deflate, br", "br", true);
    check("gzip, deflate", "br", false);
    check("br;q=0, gzip", "br", false);
    check("br;q=0.5", "br", true);
    check("BR", "br", true);
    check("brotli", "br", false);
    check("br;q=x", "br", false);
    check("", "gzip", false);
}

#[tokio::test]
async fn a_folder_cannot_be_left() {
    let folder = tempfile::tempdir().unwrap();
    let console = folder.path().join("dist");
    std::fs::create_dir_all(console.join("assets")).unwrap();
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    std::fs::write(console.join("assets/a.js"), "a").unwrap();
    let console = Console::Folder(console);
    for (path, expected) in [
        ("assets/a.js", true),
        ("assets", false),
        ("assets/b.js", false),
        ("assets/a.js/b", false),
        ("../secret.txt", false),
        ("assets/../../secret.txt", false),
        ("/etc/passwd", false),
        ("%2e%2e/secret.txt", false),
    ] {
        assert_eq!(console.file(path).await.unwrap().is_some(), expected, "{path}");
    }
}
