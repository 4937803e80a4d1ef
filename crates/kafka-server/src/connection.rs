//! One client's conversation: requests in, answers out in the same order.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};
use polder_capability::Caller;
use polder_capability::topics::{HeldRoom, TopicClient};
use polder_door::Place;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::login::{self, Known};
use crate::reply::Reply;
use crate::requests::{self, Ask, Endpoint};
use crate::server::House;
use crate::wire::{self, Frame, Input, Refused, Stream};

/// How a client's requests are marked.
pub(crate) const VIA: &str = "kafka";

/// A client that says nothing for longer, and waits for nothing, is hung up on, as Kafka does.
const IDLE_TIME_MAX: Duration = Duration::from_secs(600);

/// Writings that are under way at once on one connection. Idempotent producers send 5, others many.
const WRITES_MAX: usize = 32;

/// How fast a request that has begun must come, in bytes a second, beyond the time that its next part may take: nobody holds memory
/// by a byte now and then.
const BYTES_PER_SECOND_MIN: u32 = 16 << 10;

/// How fast all of a request must come, in bytes a second, beyond the time that its next part may take: a large one takes its
/// memory when it begins, and others wait for that.
const WHOLE_BYTES_PER_SECOND_MIN: usize = 1 << 20;

/// A client is never kept waiting for longer because of its quota.
const THROTTLE_MAX: Duration = Duration::from_secs(30);

/// An answer, and the memory of its request.
type Answer = (Reply, Option<OwnedSemaphorePermit>);

/// Serves a connection to its end.
pub(crate) async fn serve(house: Arc<House>, stream: TcpStream, peer: SocketAddr, place: Place) -> io::Result<()> {
    let shutdown = house.shutdown.clone();
    let local = stream.local_addr()?;
    let known = tokio::select! {
        () = shutdown.wait() => return Ok(()),
        () = place.taken() => return Ok(()),
        known = login::come_in(&house, stream, peer, local) => known?,
    };
    drop(place);
    let Ok(_permit) = Arc::clone(&house.clients).try_acquire_owned() else {
        tracing::warn!(%peer, "a client is hung up on: there are too many");
        return Ok(());
    };
    Conversation::new(house, known, peer, local).serve().await
}

/// Where clients are to come to.
pub(crate) fn endpoint(house: &House, local: SocketAddr) -> Endpoint {
    let (host, port) =
        house.advertised.clone().unwrap_or_else(|| (local.ip().to_canonical().to_string(), local.port()));
    Endpoint { host, port: port.into() }
}

struct Conversation {
    house: Arc<House>,
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    input: Input,
    user: String,
    ask: Ask,
    running: FuturesOrdered<BoxFuture<'static, Answer>>,
    /// Whether all that is running are writings, which may be joined by more.
    only_writes: bool,
    /// Nothing more comes.
    closed: bool,
    /// By when the next bytes are to be there.
    read_by: Instant,
    /// Since when the request that is coming has been coming.
    begun: Option<Instant>,
    muted_until: Option<Instant>,
}

impl Conversation {
    fn new(house: Arc<House>, known: Known, peer: SocketAddr, local: SocketAddr) -> Self {
        let (reader, writer) = tokio::io::split(known.stream);
        let client = TopicClient {
            caller: Caller::new(known.user.as_str(), VIA),
            client_id: "".into(),
            host: peer.ip().to_canonical().to_string().into(),
        };
        let ask = Ask {
            here: Arc::new(endpoint(&house, local)),
            house: Arc::clone(&house),
            client: Arc::new(client),
            fetching: Arc::default(),
            version: 0,
            correlation_id: 0,
        };
        let mut input = known.input;
        input.trust();
        Self {
            house,
            reader,
            writer,
            input,
            user: known.user,
            ask,
            running: FuturesOrdered::new(),
            only_writes: false,
            closed: false,
            read_by: Instant::now() + IDLE_TIME_MAX,
            begun: None,
            muted_until: None,
        }
    }

    async fn serve(mut self) -> io::Result<()> {
        let shutdown = self.house.shutdown.clone();
        loop {
            while self.may_start() {
                match self.input.next().map_err(broken)? {
                    Some((frame, permit)) => self.start(frame, permit).await?,
                    None => break,
                }
            }
            // A client that is gone waits for no answer, but what it has sent is written.
            if self.closed && (self.running.is_empty() || !self.only_writes) {
                return Ok(());
            }
            let muted_until = self.muted_until.unwrap_or(self.read_by);
            tokio::select! {
                () = shutdown.wait(), if !self.closed => self.closed = true,
                Some((reply, permit)) = self.running.next(), if !self.running.is_empty() => {
                    self.send(reply).await?;
                    drop(permit);
                }
                () = tokio::time::sleep_until(muted_until), if self.muted_until.is_some() => self.muted_until = None,
                read = tokio::time::timeout_at(self.read_by, self.input.fill(&mut self.reader)),
                    if !self.closed && !self.input.is_complete() => self.have_read(read)?,
            }
        }
    }

    /// Whether the next frame, if there is one, may be taken on. Writings go together, so that they share a sync; everything
    /// else waits its turn, as at a Kafka broker.
    fn may_start(&self) -> bool {
        if self.muted_until.is_some() {
            return false;
        }
        self.running.is_empty() || (self.only_writes && self.running.len() < WRITES_MAX && self.input.is_produce())
    }

    fn have_read(&mut self, read: Result<io::Result<usize>, tokio::time::error::Elapsed>) -> io::Result<()> {
        match read {
            Ok(Ok(0)) => self.closed = true,
            Ok(Ok(_)) => {
                let now = Instant::now();
                let begun = *self.begun.get_or_insert(now);
                let earned = Duration::from_secs((self.input.received() / BYTES_PER_SECOND_MIN).into());
                let length = self.input.expected().map_err(broken)?.unwrap_or_default();
                let whole = Duration::from_secs((length / WHOLE_BYTES_PER_SECOND_MIN) as u64);
                self.read_by = (begun + earned.min(whole)).min(now) + self.house.message_time;
            }
            Ok(Err(error)) => return Err(error),
            Err(_) if self.input.has_begun() => {
                return Err(io::Error::new(ErrorKind::TimedOut, "half a request has come, and no more"));
            }
            // It waits for an answer.
            Err(_) if !self.running.is_empty() => self.read_by = Instant::now() + IDLE_TIME_MAX,
            Err(_) => self.closed = true,
        }
        Ok(())
    }

    /// Takes a request on.
    async fn start(&mut self, frame: Bytes, permit: Option<OwnedSemaphorePermit>) -> io::Result<()> {
        self.begun = None;
        self.read_by = Instant::now() + if self.input.has_begun() { self.house.message_time } else { IDLE_TIME_MAX };
        let request = match wire::parse(frame).map_err(broken)? {
            Frame::Request(request) => request,
            Frame::TooNew { correlation_id } => {
                self.only_writes = false;
                let reply = requests::too_new(correlation_id);
                self.running.push_back(futures::future::ready((reply, permit)).boxed());
                return Ok(());
            }
        };
        self.only_writes = requests::is_write(request.api);
        self.take_name(request.client_id.as_deref().unwrap_or_default());
        let ask = Ask { version: request.version, correlation_id: request.correlation_id, ..self.ask.clone() };
        let (api, body) = (request.api, request.body);
        let mut answer = async move { (requests::answer(ask, api, body).await, permit) }.boxed();
        // It takes its place in the order of its partitions now, before the next one is looked at.
        let answer = match futures::poll!(&mut answer) {
            std::task::Poll::Ready(answer) => futures::future::ready(answer).boxed(),
            std::task::Poll::Pending => answer,
        };
        self.running.push_back(answer);
        Ok(())
    }

    /// A client tells its name with each request, nearly always the same.
    fn take_name(&mut self, client_id: &str) {
        if &*self.ask.client.client_id != client_id {
            self.ask.client = Arc::new(TopicClient {
                caller: Caller::new(self.user.as_str(), VIA),
                client_id: client_id.into(),
                host: Arc::clone(&self.ask.client.host),
            });
        }
    }

    async fn send(&mut self, reply: Reply) -> io::Result<()> {
        let (pieces, throttle, _room) = match reply {
            Reply::HangUp(why) => return Err(io::Error::new(ErrorKind::InvalidData, why)),
            Reply::Frame(pieces, throttle) => (pieces, throttle, HeldRoom::default()),
            Reply::Records(pieces, throttle, room) => (pieces, throttle, room),
        };
        if !throttle.is_zero() {
            self.muted_until = Some(Instant::now() + throttle.min(THROTTLE_MAX));
        }
        match send(&mut self.writer, pieces, self.house.message_time).await {
            // Others of its writings may still be under way.
            Err(_) if self.only_writes && !self.running.is_empty() => {
                self.closed = true;
                Ok(())
            }
            sent => sent,
        }
    }
}

fn broken(refused: Refused) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, refused)
}

/// Sends a frame; the client takes the next part of it within `time`.
pub(crate) async fn send(
    writer: &mut (impl AsyncWriteExt + Unpin),
    pieces: Vec<Bytes>,
    time: Duration,
) -> io::Result<()> {
    for mut piece in pieces {
        while piece.has_remaining() {
            let written = tokio::time::timeout(time, writer.write_buf(&mut piece)).await;
            if written.map_err(|_| io::Error::new(ErrorKind::TimedOut, "a client does not take its answer"))?? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
    }
    tokio::time::timeout(time, writer.flush()).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
}
