//! The real binary, from its first start to its stop, as a person or a script uses it.

mod process;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use process::{Polder, Server, polder};

const SALES: &str = "day,shop,amount\n2024-01-31,Ghent,10.5\n2024-02-01,Delft,20\n2024-02-02,Delft,30.25\n";

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A whole HTTP exchange, as text.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_a_user_and_a_link() {
    let server = Server::start(&[]);
    let credentials: toml::Table = fs::read_to_string(server.data().join("credentials.toml")).unwrap().parse().unwrap();
    for key in ["user", "password", "access_key_id", "secret_access_key"] {
        assert!(credentials[key].as_str().unwrap().len() >= 6, "{key}");
    }
    assert_eq!(credentials["user"].as_str(), Some("polder"));
    assert_eq!(mode(&server.data().join("credentials.toml")), 0o600);
    assert!(get(&server.address, "/healthz").starts_with("HTTP/1.1 200"));

    let said = server.said();
    let link = said.split_whitespace().find_map(|word| word.strip_prefix(&format!("http://{}", server.address)));
    let link = link.unwrap_or_else(|| panic!("no link in {said}"));
    assert!(link.starts_with("/login?token="), "{link}");
    let first = get(&server.address, link);
    assert!(
        first.starts_with("HTTP/1.1 303") && first.to_lowercase().contains("set-cookie: polder_session="),
        "{first}"
    );
    assert!(get(&server.address, link).contains("expired=1"), "a link works once");

    let second = polder(&["up", "--http", "127.0.0.1:0"]).data(server.data()).run();
    second.failed(1);
    assert!(second.stderr.contains(&format!("process {}", server.pid())), "{}", second.stderr);
    assert!(second.stderr.contains(&server.address), "{}", second.stderr);

    let started = Instant::now();
    let data = server.stop();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!data.path().join("endpoints.json").exists());

    let again = Server::start_on(data, &[]);
    assert!(again.ready_after < Duration::from_secs(3), "{:?}", again.ready_after);
    assert!(!again.said().contains("token="), "later starts print no link into a file");
}

#[test]
fn trust_is_for_loopback_only() {
    let refused = polder(&["up", "--auth", "trust", "--http", "0.0.0.0:0"]).run();
    refused.failed(2);
    assert!(refused.stderr.contains("loopback"), "{}", refused.stderr);

    let server = Server::start(&["--auth", "trust"]);
    fs::remove_file(server.data().join("credentials.toml")).unwrap();
    assert_eq!(server.sql("SELECT 1 AS one", "csv"), "one\n1\n");
    assert!(get(&server.address, "/api/v1/me").contains("\"trust\""));
}

#[test]
fn sql_by_way_of_the_server() {
    let server = Server::start(&[]);
    formats(server.data());
    conversations(server.data());
    errors(server.data());
    let via = server.sql("SELECT DISTINCT via FROM polder.queries", "csv");
    assert_eq!(via, "via\ncli\n");
}

#[test]
fn sql_without_a_server() {
    let data = tempfile::tempdir().unwrap();
    formats(data.path());
    conversations(data.path());
    errors(data.path());
}

/// A crash leaves the address behind, and another server may get it.
#[test]
fn another_server_at_the_address_of_a_dead_one_is_told_nothing() {
    let dead = Server::start(&[]);
    dead.sql("CREATE TABLE mine AS SELECT 1 AS id", "csv");
    let endpoints = fs::read_to_string(dead.data().join("endpoints.json")).unwrap();
    let address = dead.address.clone();
    let data = dead.stop();

    let other = Server::start(&[]);
    fs::write(data.path().join("endpoints.json"), endpoints.replace(&address, &other.address)).unwrap();
    let rows = polder(&["sql", "-c", "SELECT id FROM mine", "--format", "csv"]).data(data.path()).run().done();
    assert_eq!(rows, "id\n1\n");
    polder(&["password", "--stdin"]).data(data.path()).stdin("quite another one\n").run().done();

    let seen = get(&other.address, "/metrics");
    for route in ["/api/v1/login", "/api/v1/statements", "/api/v1/password"] {
        assert!(!seen.contains(&format!("route=\"{route}\"")), "{seen}");
    }
    assert!(seen.contains("route=\"/healthz\""), "{seen}");
}

fn formats(data: &Path) {
    let query = "SELECT 1 AS id, 'a' AS name UNION ALL SELECT 20, NULL ORDER BY id";
    let run = |format: &str| polder(&["sql", "-c", query, "--format", format]).data(data).run().done();
    assert_eq!(run("table"), " id │ name\n────┼──────\n  1 │ a\n 20 │ NULL\n(2 rows)\n");
    assert_eq!(run("csv"), "id,name\n1,a\n20,\n");
    assert_eq!(json(&run("json")), serde_json::json!([{"id": 1, "name": "a"}, {"id": 20, "name": null}]));
    assert_eq!(run("ndjson"), "{\"id\":1,\"name\":\"a\"}\n{\"id\":20,\"name\":null}\n");
    assert_eq!(run("markdown"), "| id | name |\n| --: | --- |\n| 1 | a |\n| 20 |  |\n");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.parquet");
    let output = file.to_str().unwrap();
    polder(&["sql", "-c", query, "--format", "parquet", "-o", output]).data(data).run().done();
    polder(&["load", output, "--into", "from_parquet"]).data(data).run().done();
    let back = polder(&["sql", "-c", "SELECT * FROM from_parquet ORDER BY id", "--format", "csv"]).data(data).run();
    assert_eq!(back.done(), "id,name\n1,a\n20,\n");
    polder(&["sql", "-c", "SELECT nosuch", "--format", "parquet", "-o", output]).data(data).run().failed(1);
    assert!(fs::read(&file).unwrap().starts_with(b"PAR1"), "a failed statement leaves the old file");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing beside it");

    let arrow = polder(&["sql", "-c", query, "--format", "arrow"]).data(data).run_bytes();
    let rows: usize = arrow::ipc::reader::StreamReader::try_new(&arrow[..], None)
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(rows, 2);
}

fn conversations(data: &Path) {
    let script = "BEGIN; CREATE TABLE kept (n BIGINT); INSERT INTO kept VALUES (1), (2); COMMIT;\n\
        BEGIN; INSERT INTO kept VALUES (3); ROLLBACK;\n\
        SELECT count(*) AS n FROM kept;\n";
    let run = polder(&["sql", "--format", "json"]).data(data).stdin(script).run();
    assert_eq!(json(&run.done()), serde_json::json!([{"n": 2}]));
    let run = polder(&["sql", "-c", "INSERT INTO kept VALUES (9)", "-c", "SELECT 1; SELECT 2 AS two"]).data(data).run();
    let text = run.done();
    assert!(text.contains("INSERT: 1 row\n") && text.contains("1\n(1 row)") && text.contains("two"), "{text}");
    assert_eq!(polder(&["sql", "--format", "json"]).data(data).stdin("").run().done(), "[]\n");
}

fn errors(data: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.sql");
    fs::write(&file, "-- first\nSELECT 1;\nSELECT nosuch\nFROM kept;\n").unwrap();
    let name = file.to_str().unwrap();
    let run = polder(&["sql", "-f", name, "--format", "csv"]).data(data).run();
    run.failed(1);
    assert!(run.stderr.contains("nosuch") && run.stderr.contains(&format!("{name}:3:8")), "{}", run.stderr);
    assert!(run.stderr.contains("3 | SELECT nosuch\n  |        ^"), "{}", run.stderr);
    polder(&["sql", "--format", "nosuch"]).data(data).run().failed(2);
    polder(&["sql", "-f", "/no/such/file.sql"]).data(data).run().failed(1);
}

#[test]
fn loads_account_for_every_row() {
    let server = Server::start(&[]);
    loads(server.data());
}

#[test]
fn loads_without_a_server() {
    let data = tempfile::tempdir().unwrap();
    loads(data.path());
}

fn loads(data: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("sales.csv"), SALES).unwrap();
    let rows = |table: &str| {
        let query = format!("SELECT count(*) AS n FROM {table}");
        polder(&["sql", "-c", &query, "--format", "csv"])
            .data(data)
            .run()
            .done()
            .trim_start_matches("n\n")
            .trim()
            .to_owned()
    };
    let run = polder(&["load", "sales.csv"]).data(data).current_dir(folder.path()).run();
    assert!(run.done().contains("public.sales: 3 rows loaded"), "{}", run.stdout);
    assert_eq!(rows("sales"), "3");

    let run = polder(&["load", &path("sales.csv")]).data(data).run();
    assert!(run.done().contains("skipped"), "{}", run.stdout);
    fs::write(path("other.csv"), format!("{SALES}{SALES}")).unwrap();
    let run = polder(&["load", &path("other.csv"), "--into", "sales"]).data(data).run();
    run.failed(1);
    assert!(run.stderr.contains("hint: "), "{}", run.stderr);
    let run = polder(&["load", &path("sales.csv"), "--append"]).data(data).run();
    assert!(run.done().contains("skipped"), "{}", run.stdout);
    polder(&["load", &path("sales.csv"), "--append", "--again"]).data(data).run().done();
    assert_eq!(rows("sales"), "6");
    polder(&["load", &path("sales.csv"), "--replace", "--again"]).data(data).run().done();
    assert_eq!(rows("sales"), "3");

    fs::write(path("bad.csv"), "a,b\n1,x\n2,y\n3,z,too,many\n").unwrap();
    let run = polder(&["load", &path("bad.csv"), "--json"]).data(data).run();
    let report = json(&run.done());
    let table = &report["report"]["tables"][0];
    assert_eq!((&table["rows_loaded"], &table["rows_rejected"]), (&2.into(), &1.into()), "{report}");
    assert_eq!(table["rejects"][0]["line"], 4, "{report}");
    assert_eq!(rows("bad__rejects"), "1");
    fs::write(path("strict.csv"), "a,b\n1,x\n2,y\n3,z,too,many\n").unwrap();
    polder(&["load", &path("strict.csv"), "--strict"]).data(data).run().failed(1);
    polder(&["sql", "-c", "SELECT * FROM strict"]).data(data).run().failed(1);

    polder(&["load", "-", "--into", "piped"]).data(data).stdin(SALES).run().done();
    assert_eq!(rows("piped"), "3");
    polder(&["load", &path("nosuch.csv")]).data(data).run().failed(1);
    polder(&["load", &path("sales.csv"), "--into", "texts", "--type", "amount=text", "--rename", "day=date_sold"])
        .data(data)
        .run()
        .done();
    let query =
        "SELECT column_name, data_type FROM polder.columns WHERE table_name = 'texts' ORDER BY ordinal_position";
    let columns = polder(&["sql", "-c", query, "--format", "csv"]).data(data).run().done();
    assert!(columns.contains("date_sold,") && !columns.contains("\nday,"), "{columns}");
}

#[test]
fn another_server_is_reached_by_token() {
    let server = Server::start(&[]);
    let token = polder(&["token", "create", "script", "--days", "1"]).data(server.data()).run().done();
    let url = format!("http://{}", server.address);
    let elsewhere = tempfile::tempdir().unwrap();
    let away = |arguments: &[&str]| {
        polder(arguments).data(elsewhere.path()).env("POLDER_URL", &url).env("POLDER_TOKEN", token.trim())
    };
    assert_eq!(away(&["sql", "-c", "SELECT 1 AS one", "--format", "csv"]).run().done(), "one\n1\n");
    let file = elsewhere.path().join("sales.csv");
    fs::write(&file, SALES).unwrap();
    assert!(away(&["load", file.to_str().unwrap()]).run().done().contains("3 rows loaded"));
    away(&["sql", "-c", "SELECT 1"]).env("POLDER_TOKEN", "wrong").run().failed(1);

    let list = polder(&["token", "list"]).data(server.data()).run().done();
    let id = list.lines().find(|line| line.contains("script")).and_then(|line| line.split_whitespace().next()).unwrap();
    polder(&["token", "delete", id]).data(server.data()).run().done();
    away(&["sql", "-c", "SELECT 1"]).run().failed(1);
    polder(&["token", "delete", id]).data(server.data()).run().failed(1);
}

#[test]
fn a_password_is_replaced() {
    let server = Server::start(&[]);
    let password = |data: &Path| {
        let table: toml::Table = fs::read_to_string(data.join("credentials.toml")).unwrap().parse().unwrap();
        table["password"].as_str().unwrap().to_owned()
    };
    let first = password(server.data());
    polder(&["password"]).data(server.data()).run().done();
    let second = password(server.data());
    assert_ne!(first, second);
    let data = server.stop();
    polder(&["password", "--stdin"]).data(data.path()).stdin("correct horse battery\n").run().done();
    assert_eq!(password(data.path()), "correct horse battery");
    let server = Server::start_on(data, &[]);
    // Without the token the command line logs in with the password.
    let path = server.data().join("credentials.toml");
    let text = fs::read_to_string(&path).unwrap();
    let kept: String =
        text.lines().filter(|line| !line.starts_with("api_token")).map(|line| format!("{line}\n")).collect();
    fs::write(&path, kept).unwrap();
    assert_eq!(server.sql("SELECT 1 AS one", "csv"), "one\n1\n");
}

#[test]
fn ctrl_c_cancels_in_the_server() {
    let server = Server::start(&[]);
    let query = "SELECT count(*) FROM generate_series(1, 20000000) a, generate_series(1, 20000000) b";
    let running = polder(&["sql", "-c", query]).data(server.data()).spawn();
    std::thread::sleep(Duration::from_millis(700));
    let started = Instant::now();
    let ended = running.interrupt();
    ended.failed(130);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let states = server
        .sql("SELECT state FROM polder.queries WHERE sql LIKE '%generate_series%' AND sql NOT LIKE '%LIKE%'", "csv");
    assert_eq!(states, "state\ncancelled\n");
}

#[test]
fn the_demo_is_loaded_once() {
    let server = Server::start(&["--demo"]);
    let count = "SELECT (SELECT count(*) FROM flights) AS flights, (SELECT count(*) FROM airlines) AS airlines";
    assert_eq!(json(&server.sql(count, "json")), serde_json::json!([{"flights": 336_776, "airlines": 16}]));
    server.sql("DROP TABLE planes", "csv");
    let before = server.sql("SELECT max(snapshot) AS n FROM polder.snapshots", "csv");
    let data = server.stop();
    let server = Server::start_on(data, &["--demo"]);
    assert_eq!(server.sql("SELECT max(snapshot) AS n FROM polder.snapshots", "csv"), before);
}

#[test]
fn the_shell_answers() {
    let server = Server::start(&[]);
    let input = "SELECT 1 +\n 2 AS three;\n\\format csv\nSELECT 'x' AS y;\nSELECT nosuch;\n\\d\n\\q\n";
    let said = Polder::terminal(server.data(), input);
    for expected in ["three", "(1 row, ", "y\r\nx\r\n", "error: ", "schema,name"] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
}

#[test]
fn the_client_is_quick() {
    let server = Server::start(&[]);
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let started = Instant::now();
            server.sql("SELECT 1", "csv");
            started.elapsed()
        })
        .collect();
    times.sort();
    // The goal is 100 ms; tests beside this one want the processor too.
    assert!(times[4] < Duration::from_millis(300), "{times:?}");
}

#[test]
fn the_api_is_described() {
    let document = json(&polder(&["openapi"]).run().done());
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"]["/api/v1/statements"].is_object());
}

#[test]
fn help_teaches() {
    for command in ["up", "sql", "load", "password"] {
        let help = polder(&[command, "--help"]).run().done();
        assert!(help.contains("Examples:") || help.contains("polder "), "{command}");
    }
    polder(&["nosuch"]).run().failed(2);
}
