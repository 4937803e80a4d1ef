//! Files that come over the network, from servers that these tests start themselves.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use polder_capability::{LoadOptions, LoadRequest, LoadSource, LoadState, Loader};

use super::memory::Bench;

/// Serves on a free port until the process ends. The answer is made from the request's first line.
pub(crate) fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || respond(connection, &*answer));
        }
    });
    format!("http://{address}")
}

fn respond(mut connection: TcpStream, answer: &dyn Fn(&str) -> Vec<u8>) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut first = String::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|count| count > 0) && line != "\r\n" {
        if first.is_empty() {
            first = std::mem::take(&mut line);
        }
        line.clear();
    }
    // A client that hangs up early is part of some tests.
    let _ = connection.write_all(&answer(first.trim()));
}

pub(crate) fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn files_are_fetched_from_web_servers() {
    let server = serve(|request| match request {
        line if line.contains("/data/My%20Towns.csv?v=1 ") => ok("", b"town,n\nDelft,1\n"),
        line if line.contains("/download ") => {
            ok("Content-Disposition: attachment; filename=\"rivers.csv\"\r\n", b"river\nMaas\n")
        }
        line if line.contains("/cut.csv ") => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\na,b\n1,2\n".to_vec(),
        line if line.contains("/moved ") => {
            b"HTTP/1.1 302 Found\r\nLocation: /download\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
        }
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    });
    let bench = Bench::new();
    assert_eq!(bench.load(format!("{server}/data/My%20Towns.csv?v=1")).table, "public.my_towns");
    assert_eq!(bench.load(format!("{server}/download")).table, "public.rivers");
    let status = bench.run(LoadRequest { into: Some("other".into()), ..bench.request(format!("{server}/moved")) });
    assert_eq!(status.state, LoadState::Done);
    let missing = bench.fail(bench.request(format!("{server}/nope.csv")));
    assert!(missing.contains("the server answers 404 Not Found"), "{missing}");
    let cut = bench.fail(bench.request(format!("{server}/cut.csv")));
    assert!(cut.starts_with(&format!("cannot fetch {server}/cut.csv")), "{cut}");
    let closed = bench.fail(bench.request("http://127.0.0.1:1/x.csv"));
    assert!(closed.starts_with("cannot fetch http://127.0.0.1:1/x.csv"), "{closed}");
    let unknown = bench.fail(bench.request("ftp://x/y.csv"));
    assert!(unknown.starts_with("cannot load from ftp://"), "{unknown}");
}

#[test]
fn a_preview_of_a_large_remote_file_fetches_its_beginning() {
    let server = serve(|_| {
        let mut body = b"id,name\n".to_vec();
        while body.len() < 16 << 20 {
            body.extend(b"12345,some name\n");
        }
        ok("", &body)
    });
    let bench = Bench::new();
    let source = LoadSource::Location(format!("{server}/large.csv"));
    let caller = polder_capability::Caller::new("ada", "test");
    let preview = bench.runtime.block_on(bench.loader.preview(&caller, &source, &LoadOptions::default())).unwrap();
    assert_eq!(preview.tables[0].rows.len(), 50);
    assert!(preview.tables[0].rows_seen < 200_000);
    assert_eq!(std::fs::read_dir(bench.directory.path().join("temp")).unwrap().count(), 0);
}
