//! The log with its threads, in a real directory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use polder_runtime::{Clock, ManualClock};
use polder_types::ErrorKind;
use uuid::Uuid;

use super::world::{Client, create, entry};
use crate::disk::simulated::SimulatedDisk;
use crate::entry::{Appended, Entry, Refusal};
use crate::options::{LogOptions, Sync};
use crate::records::Isolation;
use crate::{AppendError, Log, Spared, SparedTopic};

fn clock() -> ManualClock {
    ManualClock::at(DateTime::from_timestamp_millis(1_700_000_000_000).unwrap())
}

async fn open(dir: &std::path::Path, options: LogOptions, clock: &ManualClock) -> Log {
    Log::open(dir, options, Arc::new(clock.clone()) as Arc<dyn Clock>).await.unwrap().0
}

fn small() -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, identity: 5, ..LogOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appends_share_syncs_and_each_has_its_offset() {
    for sync in [Sync::OnAck, Sync::PageCache] {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path(), LogOptions { sync, ..small() }, &clock()).await;
        let topic = Uuid::new_v4();
        log.append(vec![create("t", topic, 4, &[])]).await.unwrap();
        let mut tasks = Vec::new();
        for task in 0..8_u32 {
            let log = log.clone();
            tasks.push(tokio::spawn(async move {
                for number in 0..40 {
                    let values = [format!("{task} {number}")];
                    let batch = Client::of(&[&values[0], &"x".repeat(200)]).bytes();
                    let entries = vec![entry(topic, task % 4, batch.clone()), entry(topic, (task + 1) % 4, batch)];
                    for appended in log.append_each(entries).await {
                        assert!(matches!(appended, Ok(Appended::Batch(batch)) if !batch.duplicate));
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let metrics = log.metrics();
        assert_eq!(metrics.appends, 641);
        assert!(metrics.groups < 640, "{metrics:?}");
        let end: i64 = (0..4).map(|part| log.bounds(topic, part).unwrap().high_watermark).sum();
        assert_eq!(end, 8 * 40 * 2 * 2);
        log.close().await.unwrap();
        let closed = log.append(vec![Entry::DeleteTopic { id: topic }]).await;
        assert!(matches!(closed, Err(AppendError::Failed(error)) if error.kind() == ErrorKind::Unavailable));
        // Who waits for room gets it again: nothing of the queue is lost over a close.
        let log = open(dir.path(), small(), &clock()).await;
        assert_eq!(log.bounds(topic, 0).unwrap().high_watermark, 8 * 40);
        let records = log.read(topic, 3, 0, 1 << 20, Isolation::Uncommitted).await.unwrap();
        assert!(records.batches.len() > 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_woken_by_what_it_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small(), &clock()).await;
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    log.append(vec![create("one", one, 2, &[]), create("two", two, 1, &[])]).await.unwrap();
    let growth = log.appended(&[(one, 0), (one, 1), (Uuid::new_v4(), 0)]);
    log.append(vec![entry(two, 0, Client::of(&["other"]).bytes())]).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), growth.wait()).await.is_err());
    let waiting = async {
        growth.wait().await;
        // What woke it can be read.
        log.read(one, 1, 0, 1000, Isolation::Uncommitted).await.unwrap().batches.len()
    };
    let writing = log.append(vec![entry(one, 1, Client::of(&["this"]).bytes())]);
    let (batches, _) = tokio::join!(waiting, writing);
    assert_eq!(batches, 1);
    // A topic that goes wakes as well.
    let growth = log.appended(&[(two, 0)]);
    let mut changed = log.topics_changed();
    changed.mark_unchanged();
    log.append(vec![Entry::DeleteTopic { id: two }]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), growth.wait()).await.unwrap();
    assert!(changed.has_changed().unwrap());
    assert_eq!(log.topics().len(), 1);
    assert!(log.topic("two").is_none() && log.topic_by_id(one).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_for_themselves_are_refused_for_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small(), &clock()).await;
    let (plain, compact) = (Uuid::new_v4(), Uuid::new_v4());
    log.append(vec![create("p", plain, 1, &[]), create("c", compact, 1, &[("cleanup.policy", "compact")])])
        .await
        .unwrap();
    let before = log.metrics().syncs;
    let mut damaged = Client::of(&["x"]).bytes();
    damaged[30] ^= 1;
    let sound = Client::of(&["x"]).bytes();
    let entries = vec![
        entry(plain, 0, sound.clone()),
        entry(plain, 0, damaged),
        // No keys.
        entry(compact, 0, sound.clone()),
        entry(plain, 7, sound.clone()),
        entry(plain, 0, sound),
    ];
    let answers = log.append_each(entries).await;
    let refusals: Vec<Option<Refusal>> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok(_) => None,
            Err(AppendError::Refused { entry: 0, refusal }) => Some(refusal),
            Err(other) => panic!("{other}"),
        })
        .collect();
    assert!(matches!(
        &refusals[..],
        [None, Some(Refusal::CorruptBatch(_)), Some(Refusal::InvalidRecord(_)), Some(Refusal::UnknownTopic), None]
    ));
    assert_eq!(log.metrics().syncs, before + 1);
    assert_eq!(log.bounds(plain, 0).unwrap().high_watermark, 2);
    assert!(log.append_each(Vec::new()).await.is_empty());
    assert!(log.append(Vec::new()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_has_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small(), &clock()).await;
    let second = Log::open(dir.path(), small(), Arc::new(clock())).await;
    assert_eq!(second.err().unwrap().kind(), ErrorKind::Unavailable);
    log.close().await.unwrap();
    Log::open(dir.path(), small(), Arc::new(clock())).await.unwrap();
}

fn files(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_and_many_records_go_with_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = open(dir.path(), small(), &clock).await;
    let (old, many, kept) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let topics = vec![
        create("old", old, 1, &[("retention.ms", "60000")]),
        create("many", many, 1, &[("retention.ms", "-1"), ("retention.bytes", "50000")]),
        create("kept", kept, 1, &[("retention.ms", "-1")]),
        Entry::State { space: 2, key: Bytes::from("k"), value: Some(Bytes::from("v")) },
    ];
    log.append(topics).await.unwrap();
    let value = "x".repeat(1500);
    let batch = || Client::of(&[&value]).at(clock.now().timestamp_millis()).bytes();
    log.append(vec![entry(kept, 0, batch())]).await.unwrap();
    for _ in 0..10 {
        let pairs = (0..10).flat_map(|_| [entry(old, 0, batch()), entry(many, 0, batch())]);
        log.append_each(pairs.collect()).await;
    }
    log.housekeeping().await.unwrap();
    assert_eq!(log.bounds(old, 0).unwrap().log_start_offset, 0);
    let start = log.bounds(many, 0).unwrap().log_start_offset;
    assert!(start > 20 && log.partition_bytes(many, 0).unwrap() >= 50_000, "{start}");
    let before = files(dir.path());
    clock.advance(chrono::Duration::seconds(120));
    log.housekeeping().await.unwrap();
    let bounds = log.bounds(old, 0).unwrap();
    assert_eq!((bounds.log_start_offset, bounds.high_watermark), (100, 100));
    assert!(files(dir.path()) < before);
    log.close().await.unwrap();
    let log = open(dir.path(), small(), &clock).await;
    assert_eq!(log.bounds(old, 0).unwrap(), bounds);
    assert_eq!(log.read(kept, 0, 0, 10_000, Isolation::Uncommitted).await.unwrap().batches.len(), 1);
    assert_eq!(log.state(2), [(Bytes::from("k"), Bytes::from("v"))]);
    assert_eq!(log.state_of(2, b"k"), Some(Bytes::from("v")));
    let records = log.read(many, 0, start, 1 << 20, Isolation::Uncommitted).await.unwrap();
    assert_eq!(records.batches.len() as i64, 100 - start);
    log.scrub().await.unwrap();
}

/// What somebody still needs stays, whatever its age and number, and nothing else does.
#[tokio::test]
async fn retention_leaves_what_is_spared() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = open(dir.path(), small(), &clock).await;
    let (spared, other) = (Uuid::new_v4(), Uuid::new_v4());
    let settings = [("retention.ms", "60000"), ("retention.bytes", "1")];
    log.append(vec![create("spared", spared, 2, &settings), create("other", other, 1, &settings)]).await.unwrap();
    let value = "x".repeat(1500);
    let batch = || Client::of(&[&value]).at(clock.now().timestamp_millis()).bytes();
    for _ in 0..40 {
        let entries = vec![entry(spared, 0, batch()), entry(spared, 1, batch()), entry(other, 0, batch())];
        log.append_each(entries).await;
    }
    clock.advance(chrono::Duration::seconds(120));
    let start = |topic, partition| log.bounds(topic, partition).unwrap().log_start_offset;
    log.housekeeping_but_for(&Spared::Everything).await.unwrap();
    assert_eq!((start(spared, 0), start(other, 0)), (0, 0));
    let from = BTreeMap::from([(0, 25)]);
    let keeping = |bytes_max| {
        let topic = SparedTopic { from: from.clone(), bytes_max };
        Spared::From(HashMap::from([(spared, topic)]))
    };
    log.housekeeping_but_for(&keeping(None)).await.unwrap();
    // What lies together goes together, so somewhat more than that may stay. Of the other partition nothing was said.
    assert!((1..=25).contains(&start(spared, 0)), "{}", start(spared, 0));
    assert_eq!((start(spared, 1), start(other, 0)), (0, 40));
    let held = log.held_bytes(spared);
    let all = log.partition_bytes(spared, 0).unwrap() + log.partition_bytes(spared, 1).unwrap();
    assert_eq!((held, log.held_bytes(other)), (all, 0));
    // Within a bound the oldest go.
    let (before, most) = (start(spared, 0), held / 2);
    log.housekeeping_but_for(&keeping(Some(most))).await.unwrap();
    // Extents go as a whole.
    let left = log.held_bytes(spared);
    assert!(left > 0 && left <= most, "{left} of {held}");
    assert!(start(spared, 1) > 0 && start(spared, 1) < 40 && start(spared, 0) >= before);
    log.housekeeping().await.unwrap();
    assert_eq!((start(spared, 0), start(spared, 1)), (40, 40));
    assert_eq!(log.held_bytes(spared), 0);
}

/// A clock that is wrong neither keeps records for ever nor deletes them at once.
#[tokio::test]
async fn records_without_a_time_or_of_one_to_come_are_kept_from_when_they_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = open(dir.path(), small(), &clock).await;
    let topics = [Uuid::new_v4(), Uuid::new_v4()];
    let now = clock.now().timestamp_millis();
    let times = [-1, now + 1_000_000_000];
    for (topic, name) in topics.iter().zip(["never", "later"]) {
        log.append(vec![create(name, *topic, 1, &[("retention.ms", "60000")])]).await.unwrap();
    }
    for (topic, time) in topics.iter().zip(times) {
        log.append(vec![entry(*topic, 0, Client::of(&["x"]).at(time).bytes())]).await.unwrap();
        log.append(vec![entry(*topic, 0, Client::of(&["y"]).at(now).bytes())]).await.unwrap();
    }
    let starts = |log: &Log| topics.map(|topic| log.bounds(topic, 0).unwrap().log_start_offset);
    clock.advance(chrono::Duration::seconds(30));
    log.housekeeping().await.unwrap();
    assert_eq!(starts(&log), [0, 0]);
    log.close().await.unwrap();
    let log = open(dir.path(), small(), &clock).await;
    clock.advance(chrono::Duration::seconds(20));
    log.housekeeping().await.unwrap();
    assert_eq!(starts(&log), [0, 0]);
    // Those that were read again at the start count from then.
    clock.advance(chrono::Duration::seconds(61));
    log.housekeeping().await.unwrap();
    assert_eq!(starts(&log), [2, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_made_meanwhile_opens_with_all_that_was_acknowledged_before() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, clock) = (open(dir.path(), small(), &clock()).await, clock());
    let topic = Uuid::new_v4();
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (log, stop) = (log.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            for number in 0.. {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let batch = Client::of(&[&format!("{number}"), &"x".repeat(100)]).bytes();
                log.append(vec![entry(topic, 0, batch)]).await.unwrap();
            }
        })
    };
    let mut copies: Vec<(i64, std::path::PathBuf, i64)> = Vec::new();
    // Some of them behind segments that were sealed before.
    while copies.iter().filter(|(before, ..)| *before > 1_000).count() < 3 {
        let before = log.bounds(topic, 0).unwrap().high_watermark;
        let into = elsewhere.path().join(copies.len().to_string());
        log.copy_to(&into).await.unwrap();
        copies.push((before, into, log.bounds(topic, 0).unwrap().high_watermark));
        while log.bounds(topic, 0).unwrap().high_watermark < 300 * copies.len() as i64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    stop.store(true, Ordering::SeqCst);
    writing.await.unwrap();
    assert!(log.copy_to(elsewhere.path()).await.is_err(), "there is something");
    log.close().await.unwrap();
    for (before, into, after) in copies {
        let copy = open(&into, small(), &clock).await;
        let there = copy.bounds(topic, 0).unwrap().high_watermark;
        assert!((before..=after).contains(&there), "{before} {there} {after}");
        let mut offset = 0;
        while offset < there {
            let read = copy.read(topic, 0, offset, 1 << 20, Isolation::Uncommitted).await.unwrap();
            assert!(!read.batches.is_empty(), "nothing at {offset} of {there}");
            offset += 2 * i64::try_from(read.batches.len()).unwrap();
        }
        copy.scrub().await.unwrap();
        copy.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_taken_while_others_write_opens() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(&dir.path().join("log"), small(), &clock()).await;
    let topic = Uuid::new_v4();
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    let writing = tokio::spawn({
        let log = log.clone();
        async move {
            loop {
                let batch = Client::of(&[&"x".repeat(3000)]).bytes();
                if log.append(vec![entry(topic, 0, batch)]).await.is_err() {
                    break;
                }
            }
        }
    });
    for number in 0..6 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let before = log.bounds(topic, 0).unwrap().high_watermark;
        let place = dir.path().join(format!("copy {number}"));
        log.copy_to(&place).await.unwrap();
        let copy = open(&place, small(), &clock()).await;
        let bounds = copy.bounds(topic, 0).unwrap();
        assert!(bounds.high_watermark >= before);
        copy.scrub().await.unwrap();
        copy.append(vec![entry(topic, 0, Client::of(&["more"]).bytes())]).await.unwrap();
    }
    log.close().await.unwrap();
    writing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_poll_takes_the_place_however_much_waits() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small(), &clock()).await;
    let topic = Uuid::new_v4();
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    let large = "x".repeat(40 << 10);
    let mut begun = Vec::new();
    for number in 0..200 {
        let log = log.clone();
        let batch = Client::of(&[&large]).producer(3, 0, number).bytes();
        let mut append = Box::pin(async move { log.append(vec![entry(topic, 0, batch)]).await });
        let polled = first(&mut append).await;
        begun.push((polled, append));
    }
    // The last one is waited for first.
    for (polled, append) in begun.into_iter().rev() {
        let outcome = match polled {
            std::task::Poll::Ready(outcome) => outcome,
            std::task::Poll::Pending => append.await,
        };
        outcome.unwrap();
    }
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_has_a_bound() {
    let disk = SimulatedDisk::default();
    let options = LogOptions { queue_bytes: 1, ..small() };
    let (log, _) = Log::open_on(Arc::new(disk.clone()), options, Arc::new(clock())).unwrap();
    let topic = Uuid::new_v4();
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    let batch = Client::of(&[&"x".repeat(40 << 10)]).bytes();
    // The disk stands still in the midst of a sync.
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    disk.before_sync(move || waits.recv().unwrap());
    let mut waiting = Vec::new();
    let error = loop {
        let mut append = Box::pin(log.append(vec![entry(topic, 0, batch.clone())]));
        match first(&mut append).await {
            std::task::Poll::Ready(Err(AppendError::Failed(error))) => break error,
            std::task::Poll::Ready(other) => panic!("{other:?}"),
            std::task::Poll::Pending => waiting.push(append),
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // One is being written, one waits.
    assert!((1..=2).contains(&waiting.len()), "{}", waiting.len());
    go_on.send(()).unwrap();
    for append in waiting {
        append.await.unwrap();
    }
    // It goes on when there is room again.
    while log.append(vec![entry(topic, 0, batch.clone())]).await.is_err() {}
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_waiting_for_syncs_there_is_one_a_second_while_more_and_more_comes() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let log = open(dir.path(), LogOptions { sync: Sync::PageCache, ..LogOptions::default() }, &clock).await;
    let topic = Uuid::new_v4();
    log.append(vec![create("t", topic, 1, &[])]).await.unwrap();
    let before = log.metrics().syncs;
    for _ in 0..50 {
        log.append(vec![entry(topic, 0, Client::of(&["x"]).bytes())]).await.unwrap();
        clock.advance(chrono::TimeDelta::milliseconds(100));
    }
    let syncs = log.metrics().syncs - before;
    assert!((4..=6).contains(&syncs), "{syncs}");
    log.close().await.unwrap();
}

/// Polls once.
async fn first<F: Future + Unpin>(of: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *of).poll(context))).await
}

/// One record in a batch, packed.
fn packed(compression: i16, value_bytes: usize) -> Vec<u8> {
    let plain = Client::of(&[&"x".repeat(value_bytes)]).bytes();
    let mut batch = Vec::new();
    let records = crate::codec::compress(compression, &plain[crate::batch::HEADER_BYTES..]).unwrap();
    crate::batch::repack(&plain, &records, compression, &mut batch);
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_send_what_unpacks_to_much_are_answered_all() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small(), &clock()).await;
    let (topic, plain) = (Uuid::new_v4(), Uuid::new_v4());
    let unpacked = [("compression.type", "uncompressed"), ("max.message.bytes", "50000")];
    log.append(vec![create("t", topic, 1, &[]), create("plain", plain, 1, &unpacked)]).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..60_usize {
        let (size, bytes_max) = ([40, 900_000, 3 << 20][number % 3], crate::codec::BYTES_MAX);
        let batch = packed([1, 4][number % 2], size);
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            let appended = log.append(vec![entry(topic, 0, batch.clone())]).await;
            assert_eq!(appended.is_ok(), size < bytes_max, "{size}: {appended:?}");
            match log.append(vec![entry(plain, 0, batch)]).await {
                Ok(_) => assert!(size < 50_000),
                Err(AppendError::Refused { refusal: Refusal::TooLarge { bytes, bytes_max: 50_000 }, .. }) => {
                    assert!((size..size + 200).contains(&bytes), "{bytes} of {size}");
                }
                Err(error) => assert!(size > bytes_max, "{size}: {error}"),
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(log.bounds(topic, 0).unwrap().high_watermark, 40);
    assert_eq!(log.bounds(plain, 0).unwrap().high_watermark, 20);
    log.close().await.unwrap();
}
