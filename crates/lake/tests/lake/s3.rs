//! Tables in an object store, here a server that speaks S3.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::TimeDelta;
use object_store::ObjectStoreExt;

use crate::support::{Duck, append, delete, free_port, make_pairs, name, open, pairs, python, update};

const DIRECTORY: &str = "POLDER_TEST_S3_DIRECTORY";
const BUCKET: &str = "s3://lake/some/prefix";

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The store's address and keys come from the environment, so the work is done in a process that has them.
#[test]
fn tables_in_a_bucket() {
    let port = free_port();
    let server = python().with_file_name("moto_server");
    let server =
        Command::new(server).args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _server = Server(server.expect("moto_server stands beside POLDER_PYTHON"));
    let endpoint = format!("http://127.0.0.1:{port}");
    for attempt in 0.. {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        assert!(attempt < 200, "moto_server does not answer");
        std::thread::sleep(Duration::from_millis(50));
    }
    let make = "import boto3, sys; boto3.client('s3', endpoint_url=sys.argv[1]).create_bucket(Bucket='lake')";
    let variables = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &endpoint),
    ];
    let made = Command::new(python()).args(["-c", make, &endpoint]).envs(variables).status().unwrap();
    assert!(made.success());
    let directory = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "s3::child", "--nocapture"])
        .envs(variables)
        .env(DIRECTORY, directory.path())
        .status()
        .unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let directory = std::path::Path::new(&directory);
    let opened = open(directory, None, BUCKET).await;
    let lake = &opened.lake;
    make_pairs(lake, "t", 1000).await;
    let mut transaction = lake.begin().await.unwrap();
    append(&mut transaction, "t", pairs(1000..1100)).await;
    transaction.insert(&name("t"), vec![pairs(1100..1102)]).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = lake.begin().await.unwrap();
    assert_eq!(delete(&mut transaction, "t", "a % 100 = 7").await, 11);
    assert_eq!(update(&mut transaction, "t", "a, 'u'", "a > 1090").await, 11);
    transaction.commit().await.unwrap();
    let sql = "SELECT count(*), sum(a), count(DISTINCT b) FROM t";
    let expected = opened.query(sql).await;
    assert_eq!(expected, ["1091|601074|1081"]);
    assert_eq!(lake.check().await.unwrap().problems, []);
    assert!(std::fs::read_dir(directory).unwrap().all(|entry| entry.unwrap().file_name() != "tables"));

    // Reopened, and read by DuckDB.
    opened.close().await;
    let opened = open(directory, None, BUCKET).await;
    assert_eq!(opened.query(sql).await, expected);
    let probe = Command::new(python()).args(["-c", "import duckdb_extension_httpfs"]).stderr(Stdio::null()).status();
    if probe.is_ok_and(|status| status.success()) {
        let mut duck = Duck::start(&["ducklake", "sqlite_scanner", "httpfs"]);
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap().replace("http://", "");
        duck.run(&format!(
            "CREATE SECRET (TYPE s3, KEY_ID 'test', SECRET 'test', REGION 'us-east-1', ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL false)"
        ));
        duck.run(&format!("ATTACH 'ducklake:sqlite:{}/metastore.sqlite' AS l", directory.display()));
        duck.run("USE l.public");
        assert_eq!(duck.query(sql), expected);
        duck.run("INSERT INTO t SELECT 5000 + range, 'd' FROM range(100)");
        duck.run("DELETE FROM t WHERE a BETWEEN 0 AND 99");
        assert_eq!(opened.query(sql).await, duck.query(sql));
    } else {
        println!("DuckDB's httpfs extension is not installed, so DuckDB does not read the bucket here");
    }

    // What nobody names goes; a lost object is named.
    let orphan = object_store::path::Path::from("some/prefix/public/polder-orphan.parquet");
    opened.lake.store().store.put(&orphan, "stray".into()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let sweep = opened.lake.sweep_orphans(TimeDelta::zero()).await.unwrap();
    assert_eq!(sweep.files, ["s3://lake/some/prefix/public/polder-orphan.parquet"]);
    assert_eq!(opened.lake.check().await.unwrap().problems, []);
    let newest = opened.lake.newest().await.unwrap();
    let table = newest.table(&name("t")).unwrap();
    let path = format!("some/prefix/public/{}{}", table.path, table.files[0].path);
    opened.lake.store().store.delete(&path.as_str().into()).await.unwrap();
    let problems = opened.lake.check().await.unwrap().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].file, format!("s3://lake/{path}"));
    let error = crate::support::try_query(&opened.lake, &newest, "SELECT max(b) FROM t").await.unwrap_err();
    let explained = polder_lake::explain_file_error(&error).unwrap();
    assert!(explained.message().contains(&path), "{explained}");
}
