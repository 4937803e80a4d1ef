//! What a program does with the crate rdkafka. Each probe says, a line each, what it has seen; `test_kafka_rust.py` knows what that should be.
//!
//!     polder-rdkafka PROBE ARGUMENTS…     with SERVER, KAFKA_USER and KAFKA_PASSWORD in the environment

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::JoinSet;
use tokio::time::timeout;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A bound for what hangs.
const WAIT: Duration = Duration::from_secs(60);
/// How long nothing comes before a reader takes it that there is no more.
const QUIET: Duration = Duration::from_secs(3);

fn settings(more: &[(&str, &str)]) -> Outcome<ClientConfig> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", env::var("SERVER")?)
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", env::var("KAFKA_USER")?)
        .set("sasl.password", env::var("KAFKA_PASSWORD")?);
    for (name, value) in more {
        config.set(*name, *value);
    }
    Ok(config)
}

fn reader(group: &str, topic: &str, more: &[(&str, &str)]) -> Outcome<StreamConsumer> {
    let mut config = settings(more)?;
    config.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&[topic])?;
    Ok(consumer)
}

async fn create(topic: &str, partitions: i32) -> Outcome {
    let admin: AdminClient<DefaultClientContext> = settings(&[])?.create()?;
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for made in admin.create_topics(&[new], &AdminOptions::new()).await? {
        let name = made.map_err(|(name, code)| format!("{name}: {code}"))?;
        println!("created {name}");
    }
    Ok(())
}

/// Writes so many records, all of them under way at once, and says where each is.
async fn write(topic: &str, codec: &str, count: usize) -> Outcome {
    let producer: FutureProducer =
        settings(&[("compression.type", codec), ("enable.idempotence", "true"), ("linger.ms", "5")])?.create()?;
    let mut sent = JoinSet::new();
    for number in 0..count {
        let (producer, topic) = (producer.clone(), topic.to_owned());
        sent.spawn(async move {
            let (key, value) = (format!("k{number}"), format!("value {number}"));
            let headers = OwnedHeaders::new().insert(Header { key: "of", value: Some(&key) });
            let record = FutureRecord::to(&topic).key(&key).payload(&value).headers(headers);
            let delivery = producer.send(record, WAIT).await.map_err(|(error, _)| error)?;
            Outcome::Ok((delivery.partition, delivery.offset, value))
        });
    }
    while let Some(done) = sent.join_next().await {
        let (partition, offset, value) = done??;
        println!("{partition} {offset} {value}");
    }
    Ok(())
}

/// Reads so many records as one of a group, says what they are, and commits.
async fn read(topic: &str, group: &str, count: usize, isolation: &str) -> Outcome {
    let consumer = reader(group, topic, &[("isolation.level", isolation)])?;
    for _ in 0..count {
        let message = timeout(WAIT, consumer.recv()).await??;
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
        let headers = message.headers().map(|all| all.iter().map(|one| format!("{}={}", one.key, text(one.value))));
        let headers = headers.map(|all| all.collect::<Vec<_>>().join(",")).unwrap_or_default();
        let (partition, offset) = (message.partition(), message.offset());
        println!("{partition} {offset} {} [{}] {headers}", text(message.payload()), text(message.key()));
    }
    if count > 0 {
        consumer.commit_consumer_state(CommitMode::Sync)?;
    }
    if let Ok(more) = timeout(QUIET, consumer.recv()).await {
        println!("more: {}", more?.offset());
    }
    Ok(())
}

/// One member reads all the time, others come and go: each record is committed behind its reading, and so read by somebody.
async fn churn(topic: &str, group: &str, strategy: &str, count: usize) -> Outcome {
    let seen = Arc::new(std::sync::Mutex::new(BTreeMap::<String, usize>::new()));
    let member = |life: Option<Duration>| {
        let (topic, group, strategy, seen) =
            (topic.to_owned(), group.to_owned(), strategy.to_owned(), Arc::clone(&seen));
        async move {
            let more = [("partition.assignment.strategy", strategy.as_str()), ("session.timeout.ms", "10000")];
            let consumer = reader(&group, &topic, &more)?;
            let end = tokio::time::Instant::now() + life.unwrap_or(WAIT);
            loop {
                let enough = seen.lock().map_err(|_| "a member failed")?.len() >= count;
                if enough || tokio::time::Instant::now() >= end {
                    return Outcome::Ok(());
                }
                let Ok(message) = timeout(Duration::from_millis(200), consumer.recv()).await else { continue };
                let message = message?;
                let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
                *seen.lock().map_err(|_| "a member failed")?.entry(value).or_default() += 1;
                // Refused while partitions move: another member reads it again.
                let _ = consumer.commit_message(&message, CommitMode::Async);
            }
        }
    };
    let mut members = JoinSet::new();
    members.spawn(member(None));
    for _ in 0..2 {
        members.spawn(member(Some(Duration::from_secs(4))));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    while let Some(done) = members.join_next().await {
        done??;
    }
    for (value, times) in seen.lock().map_err(|_| "a member failed")?.iter() {
        println!("{times} {value}");
    }
    Ok(())
}

/// Takes records from one topic to another, their offsets with them, in transactions of ten: the first is given up, and done again.
async fn transactions(from: &str, to: &str, group: &str, count: usize) -> Outcome {
    let consumer = reader(group, from, &[("isolation.level", "read_committed")])?;
    let producer: FutureProducer = settings(&[("transactional.id", to)])?.create()?;
    producer.init_transactions(WAIT)?;
    let mut gives_up = true;
    let mut done = 0;
    while done < count {
        producer.begin_transaction()?;
        let (mut next, mut deliveries) = (TopicPartitionList::new(), Vec::new());
        let mut first = BTreeMap::new();
        for _ in 0..10.min(count - done) {
            let message = timeout(WAIT, consumer.recv()).await??;
            let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).to_uppercase();
            let key = message.key().unwrap_or_default().to_vec();
            let sent =
                producer.send_result(FutureRecord::to(to).key(&key).payload(&value)).map_err(|(error, _)| error)?;
            deliveries.push(sent);
            first.entry(message.partition()).or_insert(message.offset());
            let partition = message.partition();
            match next.find_partition(from, partition) {
                Some(mut there) => there.set_offset(Offset::Offset(message.offset() + 1))?,
                None => next.add_partition_offset(from, partition, Offset::Offset(message.offset() + 1))?,
            }
        }
        for delivery in &mut deliveries {
            delivery.await?.map_err(|(error, _)| error)?;
        }
        let metadata = consumer.group_metadata().ok_or("the group is not known")?;
        producer.send_offsets_to_transaction(&next, &metadata, WAIT)?;
        if std::mem::take(&mut gives_up) {
            producer.abort_transaction(WAIT)?;
            for (partition, offset) in first {
                consumer.seek(from, partition, Offset::Offset(offset), WAIT)?;
            }
            println!("given up {}", deliveries.len());
            continue;
        }
        producer.commit_transaction(WAIT)?;
        done += deliveries.len();
    }
    println!("committed {done}");
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["create", topic, partitions] => create(topic, partitions.parse()?).await,
        ["write", topic, codec, count] => write(topic, codec, count.parse()?).await,
        ["read", topic, group, count, isolation] => read(topic, group, count.parse()?, isolation).await,
        ["churn", topic, group, strategy, count] => churn(topic, group, strategy, count.parse()?).await,
        ["transactions", from, to, group, count] => transactions(from, to, group, count.parse()?).await,
        _ => Err(format!("there is no probe {arguments:?}").into()),
    }
}
