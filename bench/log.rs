//! The log beside the disk that it writes to: `cargo run --release -p polder-topic-log --example log -- DIR [SECONDS]`.
//!
//! In turns, so that both meet the same disk: a bare loop of 1 MiB write + fdatasync into a preallocated file, and
//! producers with records of 1 KB. Then the time to an acknowledgement at a fifth of the top rate, beside one bare
//! write + fdatasync of the same bytes; reads from memory; and a start.

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use polder_runtime::SystemClock;
use polder_topic_log::{Entry, Isolation, Log, LogOptions, Sync};
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn Error>>;

const PARTITIONS: u32 = 8;
const RECORD_BYTES: usize = 1000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("usage: log DIR [SECONDS]")?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let dir = Path::new(&dir);
    let time = Duration::from_secs(seconds);
    for (records, inflight) in [(16, 40), (64, 40), (512, 16)] {
        for sync in [Sync::OnAck, Sync::PageCache] {
            table(dir, time, records, inflight, sync).await?;
        }
    }
    Ok(())
}

async fn table(dir: &Path, time: Duration, records: usize, inflight: usize, sync: Sync) -> Outcome<()> {
    let place = dir.join(format!("log-{}", Uuid::new_v4()));
    let options = LogOptions { sync, identity: 1, ..LogOptions::default() };
    let (log, _) = Log::open(&place, options.clone(), Arc::new(SystemClock)).await?;
    let topic = Uuid::new_v4();
    let create = Entry::CreateTopic { name: "t".into(), id: topic, partitions: PARTITIONS, config: Default::default() };
    log.append(vec![create]).await.map_err(|error| error.to_string())?;
    let batch = batch(records);
    println!("{records} records of {RECORD_BYTES} bytes a batch, {inflight} batches in flight, {sync:?}");
    let mut best: f64 = 0.0;
    for _ in 0..3 {
        let bare = bare(dir, time, 1 << 20)?;
        let (rate, mut waits) = produce(&log, topic, &batch, inflight, time, None).await?;
        best = best.max(rate);
        waits.sort_unstable();
        println!(
            "  bare 1 MiB loop {:7.1} MB/s   log {rate:7.1} MB/s   share {:.2}   ack p50 {:.2} ms p99 {:.2} ms",
            bare.0,
            rate / bare.0,
            at(&waits, 0.5),
            at(&waits, 0.99)
        );
    }
    let metrics = log.metrics();
    println!("  {:.1} appends a sync", metrics.appends as f64 / metrics.syncs.max(1) as f64);
    let mut one = bare(dir, time, batch.len())?.1;
    one.sort_unstable();
    let (rate, mut waits) = produce(&log, topic, &batch, inflight, time, Some(best / 5.0)).await?;
    waits.sort_unstable();
    println!(
        "  at a fifth ({rate:.1} MB/s): ack p50 {:.2} ms p99 {:.2} ms; one bare write + fdatasync p50 {:.2} ms p99 {:.2} ms",
        at(&waits, 0.5),
        at(&waits, 0.99),
        at(&one, 0.5),
        at(&one, 0.99)
    );
    println!("  read from memory {:.0} MB/s", read(&log, topic).await?);
    let bytes = log.metrics().bytes;
    log.close().await?;
    drop(log);
    let start = Instant::now();
    let (log, recovered) = Log::open(&place, options, Arc::new(SystemClock)).await?;
    println!(
        "  start with {:.2} GB: {:.2} s, {:.1} MB replayed",
        bytes as f64 / 1e9,
        start.elapsed().as_secs_f64(),
        recovered.replayed_bytes as f64 / 1e6
    );
    log.close().await?;
    std::fs::remove_dir_all(place)?;
    Ok(())
}

fn at(sorted: &[u64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share) as usize).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1e6)
}

/// MB/s, and nanoseconds of each round.
fn bare(dir: &Path, time: Duration, bytes: usize) -> Outcome<(f64, Vec<u64>)> {
    let path = dir.join("bare");
    let file = File::create(&path)?;
    let room = 256 << 20;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, room)?;
    file.sync_all()?;
    let block: Vec<u8> = (0..bytes).map(|place| (place * 31 % 251) as u8).collect();
    let (mut position, mut written, mut waits) = (0, 0_u64, Vec::new());
    let start = Instant::now();
    while start.elapsed() < time {
        if position + bytes as u64 > room {
            // A new file's room each time, as the log has it.
            file.set_len(0)?;
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, room)?;
            file.sync_all()?;
            position = 0;
        }
        let one = Instant::now();
        file.write_all_at(&block, position)?;
        file.sync_data()?;
        waits.push(one.elapsed().as_nanos() as u64);
        position += bytes as u64;
        written += bytes as u64;
    }
    let rate = written as f64 / 1e6 / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok((rate, waits))
}

/// MB/s, and nanoseconds to each acknowledgement. `rate` in MB/s, or as fast as it goes.
async fn produce(
    log: &Log,
    topic: Uuid,
    batch: &Bytes,
    inflight: usize,
    time: Duration,
    rate: Option<f64>,
) -> Outcome<(f64, Vec<u64>)> {
    let written = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..inflight {
        let (log, batch, written) = (log.clone(), batch.clone(), Arc::clone(&written));
        let every = rate.map(|rate| Duration::from_secs_f64(batch.len() as f64 * inflight as f64 / rate / 1e6));
        tasks.push(tokio::spawn(async move {
            let mut waits = Vec::new();
            // Spread over a round, so that they do not all come at once.
            let mut due = start + every.unwrap_or_default().mul_f64(task as f64 / inflight as f64);
            while start.elapsed() < time {
                if let Some(every) = every {
                    tokio::time::sleep_until(due.into()).await;
                    due += every;
                }
                let entry = Entry::Batch { topic, partition: task as u32 % PARTITIONS, bytes: batch.clone() };
                let one = Instant::now();
                log.append(vec![entry]).await?;
                waits.push(one.elapsed().as_nanos() as u64);
                written.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
            Ok::<_, polder_topic_log::AppendError>(waits)
        }));
    }
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    Ok((written.load(Ordering::Relaxed) as f64 / 1e6 / start.elapsed().as_secs_f64(), waits))
}

/// MB/s of the newest records, read again and again.
async fn read(log: &Log, topic: Uuid) -> Outcome<f64> {
    let start = Instant::now();
    let (mut bytes, mut sum) = (0, 0);
    while start.elapsed() < Duration::from_secs(1) {
        for partition in 0..PARTITIONS {
            let bounds = log.bounds(topic, partition).ok_or("no such partition")?;
            let mut offset = bounds.high_watermark - 2000;
            while offset < bounds.high_watermark {
                let records = log.read(topic, partition, offset, 1 << 20, Isolation::Uncommitted).await?;
                bytes += records.bytes();
                // Every byte is looked at, as a server that sends it does.
                for batch in &records.batches {
                    sum ^= crc32c::crc32c(batch);
                }
                // Records are all of one size.
                offset += (records.bytes() / RECORD_BYTES).max(1) as i64;
            }
        }
    }
    std::hint::black_box(sum);
    Ok(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// A batch as librdkafka makes it, uncompressed.
fn batch(records: usize) -> Bytes {
    let mut body = Vec::new();
    for number in 0..records {
        let mut record = vec![0_u8];
        varint(&mut record, 0);
        varint(&mut record, number as i64);
        varint(&mut record, -1);
        varint(&mut record, RECORD_BYTES as i64);
        record.extend((0..RECORD_BYTES).map(|place| (place * 7 + number * 13) as u8));
        varint(&mut record, 0);
        varint(&mut body, record.len() as i64);
        body.extend(record);
    }
    let mut batch = Vec::with_capacity(61 + body.len());
    batch.extend(0_i64.to_be_bytes());
    batch.extend((body.len() as i32 + 49).to_be_bytes());
    batch.extend([0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
    batch.extend((records as i32 - 1).to_be_bytes());
    batch.extend([0; 16]);
    batch.extend((-1_i64).to_be_bytes());
    batch.extend((-1_i16).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.extend((records as i32).to_be_bytes());
    batch.extend(body);
    let sum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
    batch.into()
}

fn varint(to: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}
