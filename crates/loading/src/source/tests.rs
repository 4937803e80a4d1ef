//! Object stores, against a server of a few lines.

use std::sync::Arc;

use polder_runtime::SystemClock;
use polder_types::Result;
use tokio_util::sync::CancellationToken;

use super::{Found, http, object};
use crate::progress::{Job, Progress};
use crate::tests::places::{ok, serve};

const OBJECTS: [(&str, &str); 5] = [
    ("100% für uns/~{d}.csv", "x\n5\n"),
    ("in/a 1.csv", "x\n1\n"),
    ("in/b.csv", "x\n2\n"),
    ("in/sub/c.csv", "x\n3\n"),
    ("other.csv", "y\n4\n"),
];

/// Answers `GET /bucket?list-type=2&prefix=…` and `GET /bucket/key` as S3 does.
fn s3() -> String {
    serve(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let date = "Last-Modified: Mon, 23 Nov 2026 07:00:00 GMT\r\nETag: \"1\"\r\n";
        if query.contains("list-type=2") {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
            let prefix = http::decode_percent(&prefix.replace('+', " "));
            let items: String = OBJECTS
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix))
                .map(|(key, content)| {
                    format!("<Contents><Key>{key}</Key><Size>{}</Size><LastModified>2026-11-23T07:00:00.000Z</LastModified><ETag>1</ETag></Contents>", content.len())
                })
                .collect();
            return ok(
                "",
                format!("<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>").as_bytes(),
            );
        }
        let key = http::decode_percent(path.strip_prefix("/bucket/").unwrap_or_default());
        match OBJECTS.iter().find(|(known, _)| *known == key) {
            Some((_, content)) => ok(date, content.as_bytes()),
            None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        }
    })
}

fn fetch(location: &str) -> Result<Vec<Found>> {
    let directory = tempfile::tempdir().unwrap();
    let progress = Arc::new(Progress::new(Arc::new(SystemClock)));
    let job = Job::new(CancellationToken::new(), progress, directory.path().to_owned());
    let settings: Vec<(String, String)> = [
        ("AWS_ENDPOINT", s3()),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_REGION", "eu-west-1".into()),
        ("AWS_ACCESS_KEY_ID", "a".into()),
        ("AWS_SECRET_ACCESS_KEY", "b".into()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(object::fetch(location, &settings, None, &job))?;
    // Read before the directory goes away.
    Ok(found
        .into_iter()
        .map(|file| Found { body: super::Body::memory(file.body.read_all(100).unwrap()), ..file })
        .collect())
}

fn check(location: &str, expected: &[(&str, &str)]) {
    let found = fetch(location).unwrap();
    let found: Vec<(String, String)> = found
        .iter()
        .map(|file| (file.label.clone(), String::from_utf8(file.body.in_memory().unwrap().to_vec()).unwrap()))
        .collect();
    let expected: Vec<(String, String)> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(found, expected, "{location}");
}

#[test]
fn objects_prefixes_and_patterns_are_found() {
    check("s3://bucket/other.csv", &[("s3://bucket/other.csv", "y\n4\n")]);
    check("s3://bucket/in/a 1.csv", &[("s3://bucket/in/a 1.csv", "x\n1\n")]);
    let in_it = [("s3://bucket/in/a 1.csv", "x\n1\n"), ("s3://bucket/in/b.csv", "x\n2\n")];
    check("s3://bucket/in/*.csv", &in_it);
    check("s3://bucket/in/", &[in_it[0], in_it[1], ("s3://bucket/in/sub/c.csv", "x\n3\n")]);
    check("s3://bucket/in/**/c.*", &[("s3://bucket/in/sub/c.csv", "x\n3\n")]);
    for location in ["s3://bucket/100% für uns/", "s3://bucket/100% für uns/*.csv", "s3://bucket/100% für uns/~{d}.csv"]
    {
        check(location, &[("s3://bucket/100% für uns/~{d}.csv", "x\n5\n")]);
    }
    let missing = fetch("s3://bucket/none.csv").unwrap_err();
    assert_eq!(missing.kind(), polder_types::ErrorKind::NotFound);
    assert!(fetch("s3://bucket/none/").unwrap_err().message().contains("holds no object"));
}
