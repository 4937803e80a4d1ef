//! A process that is killed: what it was told to be durable is there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use polder_runtime::SystemClock;
use uuid::Uuid;

use super::world::{Client, create, entry};
use crate::entry::Appended;
use crate::options::LogOptions;
use crate::records::Isolation;
use crate::{Entry, Log};

const DIR: &str = "POLDER_LOG_KILL_DIR";
const TOPIC: Uuid = Uuid::from_u128(0x7070);
const PARTITIONS: u32 = 3;

fn options() -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, identity: 9, ..LogOptions::default() }
}

async fn open(dir: &Path) -> Log {
    Log::open(dir, options(), Arc::new(SystemClock)).await.unwrap().0
}

/// The process that is killed. It says what was acknowledged: partition, offset, value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let log = open(Path::new(&dir)).await;
    if log.topic("t").is_none() {
        log.append(vec![create("t", TOPIC, PARTITIONS, &[])]).await.unwrap();
    }
    let mut tasks = Vec::new();
    for task in 0..PARTITIONS * 2 {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            for number in 0.. {
                let value = format!("{} {task} {number}", std::process::id());
                let filler = "x".repeat(number % 700);
                let key = bytes::Bytes::from(format!("{task}"));
                let state = Entry::State { space: 1, key, value: Some(value.clone().into()) };
                let batch = entry(TOPIC, task % PARTITIONS, Client::of(&[&filler, &format!("<{value}>")]).bytes());
                let appended = log.append(vec![state, batch]).await.unwrap();
                let Appended::Batch(batch) = appended[1] else { panic!() };
                println!("acknowledged;{};{};<{value}>", task % PARTITIONS, batch.last_offset);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Runs the child until it dies or time is up; gives what it had acknowledged.
fn run(dir: &Path, fault: Option<String>, time: Duration) -> Vec<(u32, i64, String)> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["tests::kill::child", "--exact", "--nocapture"]).env(DIR, dir);
    if let Some(fault) = fault {
        command.env("POLDER_FAULT", fault);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reading = std::thread::spawn(move || {
        let each = lines.map_while(Result::ok).filter_map(|line| {
            let line = &line[line.find("acknowledged;")?..];
            let parts: Vec<&str> = line.split(';').collect();
            // The last line may be cut.
            let [_, partition, offset, value] = parts[..] else { return None };
            value.ends_with('>').then(|| (partition.parse().unwrap(), offset.parse().unwrap(), value.to_owned()))
        });
        each.collect::<Vec<_>>()
    });
    let end = Instant::now() + time;
    while child.try_wait().unwrap().is_none() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap()
}

async fn check(dir: &Path, acknowledged: &[(u32, i64, String)]) {
    let log = open(dir).await;
    for (partition, offset, value) in acknowledged {
        let records = log.read(TOPIC, *partition, *offset, 1, Isolation::Uncommitted).await.unwrap();
        let found = String::from_utf8_lossy(&records.batches[0]).into_owned();
        assert!(found.contains(value), "{partition} {offset} {value}");
    }
    for partition in 0..PARTITIONS {
        let Some(bounds) = log.bounds(TOPIC, partition) else { continue };
        let mut offset = 0;
        while offset < bounds.high_watermark {
            let records = log.read(TOPIC, partition, offset, 1 << 20, Isolation::Uncommitted).await.unwrap();
            for (header, _) in records.batches.iter().flat_map(|batch| crate::batch::batches(batch)) {
                assert_eq!(header.base_offset, offset);
                offset = header.last_offset() + 1;
            }
        }
    }
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    let points = ["before-write", "before-sync", "before-answer", "before-seal", "after-seal", "before-checkpoint"];
    for round in 0..9_u64 {
        let fault = usize::try_from(round).ok().and_then(|round| points.get(round)).map(|point| {
            let times = if point.contains("se") || point.contains("check") { 2 } else { 40 };
            format!("topic-log-{point}:{times}")
        });
        // Where there is a fault it dies by itself.
        let time = if fault.is_some() { 60_000 } else { 60 + round * 23 };
        let more = run(dir.path(), fault, Duration::from_millis(time));
        acknowledged.extend(more);
        check(dir.path(), &acknowledged).await;
    }
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
}
