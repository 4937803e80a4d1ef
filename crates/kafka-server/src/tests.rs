//! The whole server, with topics in memory, over TCP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use polder_capability::topics::{TopicAdmin, TopicClient};
use polder_door::TlsFiles;
use polder_runtime::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::apis::APIS;
use crate::{Auth, KafkaContracts, KafkaServer, KafkaServerOptions};

mod fetching;
mod hostile;
mod logging_in;
pub(crate) mod logins;
pub(crate) mod memory;
mod versions;

const SOON: Duration = Duration::from_secs(20);

/// A running server, stopped when it goes.
struct Running {
    address: SocketAddr,
    topics: Arc<memory::MemoryTopics>,
    shutdown: Shutdown,
    folder: PathBuf,
}

impl Running {
    async fn start(name: &str, auth: Auth) -> Self {
        let folder = std::env::temp_dir().join(format!("polder-kafka-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let options = KafkaServerOptions {
            address: "127.0.0.1:0".parse().unwrap(),
            advertised: None,
            auth,
            tls: TlsFiles { certificate: folder.join("tls.crt"), key: folder.join("tls.key"), make: true },
            message_time: Duration::from_millis(500),
        };
        let topics = Arc::new(memory::MemoryTopics::default());
        let contracts = KafkaContracts {
            topics: Arc::<memory::MemoryTopics>::clone(&topics),
            grants: None,
            accounts: Arc::new(logins::OneUser),
            logins: Arc::new(logins::OneUser),
        };
        let shutdown = Shutdown::new();
        let server = KafkaServer::bind(options, contracts, shutdown.clone()).await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.serve());
        Self { address, topics, shutdown, folder }
    }

    async fn trusting(name: &str) -> Self {
        Self::start(name, Auth::Trust { user: "ada".into() }).await
    }

    async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), last: 0 }
    }

    /// Makes a topic of one partition.
    async fn make_topic(&self, name: &str) {
        let client = TopicClient {
            caller: polder_capability::Caller::new("ada", "kafka"),
            client_id: "".into(),
            host: "".into(),
        };
        let topic = polder_capability::topics::NewTopic { name: name.into(), ..Default::default() };
        self.topics.create(&client, vec![topic], false).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.start();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A client that knows no more than frames.
struct Client {
    stream: TcpStream,
    last: i32,
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// A frame; `None`: the server has hung up.
    async fn frame(&mut self) -> Option<Bytes> {
        let read = async {
            let length = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(SOON, read).await.expect("the server answers or hangs up")
    }

    /// Sends a body with its header; gives the correlation id.
    async fn say(&mut self, key: i16, version: i16, flexible: bool, body: &[u8]) -> i32 {
        self.last += 1;
        let frame = framed(key, version, self.last, flexible, body);
        self.send(&frame).await;
        self.last
    }

    async fn ask<Q: Request>(&mut self, request: &Q, version: i16) -> Option<Q::Response> {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        let id = self.say(Q::KEY, version, Q::header_version(version) >= 2, &body).await;
        let mut frame = self.frame().await?;
        assert_eq!(frame.get_i32(), id);
        if Q::Response::header_version(version) >= 1 {
            assert_eq!(frame.get_u8(), 0);
        }
        let response = Q::Response::decode(&mut frame, version).unwrap();
        assert!(frame.is_empty(), "bytes are left over");
        Some(response)
    }
}

fn framed(key: i16, version: i16, correlation_id: i32, flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(body.len() + 10 + usize::from(flexible)).unwrap());
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    frame.put_i16(-1);
    if flexible {
        frame.put_u8(0);
    }
    frame.put_slice(body);
    frame.to_vec()
}

fn s(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

/// A batch of so many records that nobody looks into.
fn batch(records: i32, bytes: usize) -> Bytes {
    let mut batch = BytesMut::new();
    batch.put_i64(0);
    batch.put_i32(i32::try_from(49 + bytes).unwrap());
    batch.put_i32(-1);
    batch.put_u8(2);
    batch.put_slice(&[0; 40]);
    batch.put_i32(records);
    batch.put_slice(&vec![7; bytes]);
    batch.freeze()
}

fn produce(topic: &'static str, records: Option<Bytes>, acks: i16) -> ProduceRequest {
    let data = produce_request::PartitionProduceData::default().with_records(records);
    let topic =
        produce_request::TopicProduceData::default().with_name(TopicName(s(topic))).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![topic])
}
