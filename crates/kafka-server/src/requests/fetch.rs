//! Records that are read. They go out as they are stored, from where they are.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use kafka_protocol::protocol::HeaderVersion;
use polder_capability::topics::{
    Fetch, FetchPartition, Fetched, HeldRoom, Isolation, TopicError, TopicFailure, TopicPartition, TopicRef,
    TopicResult,
};

use super::session::{self, Plan, Said};
use super::{Ask, epoch, millis, partition, produce, to_millis, topic};
use crate::reply::{Pieces, Reply};

/// Of one answer, however much a client asks for; it asks again for what is left.
const ANSWER_BYTES_MAX: u32 = 16 << 20;

/// However long a client would wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The isolation level of readers who see committed records alone.
const READ_COMMITTED: i8 = 1;

/// The versions that brought what is in an answer.
const HAS_START: i16 = 5;
const HAS_SESSIONS: i16 = 7;
const KNOWS_ZSTD: i16 = 10;
const HAS_PREFERRED: i16 = 11;
const IS_FLEXIBLE: i16 = 12;
const HAS_IDS: i16 = 13;

pub(super) async fn fetch(ask: &Ask, request: FetchRequest) -> Reply {
    let isolation =
        if request.isolation_level == READ_COMMITTED { Isolation::Committed } else { Isolation::Uncommitted };
    let (wait_max, bytes_min) = (millis(request.max_wait_ms).min(WAIT_MAX), bounded(request.min_bytes));
    let bytes_max = bounded(request.max_bytes).min(ANSWER_BYTES_MAX);
    let said = said(request, ask.version);
    let current = ask.fetching.lock().take();
    let next_id = || {
        let id = ask.house.sessions.fetch_add(1, Ordering::Relaxed);
        id.checked_rem(i32::MAX).unwrap_or_default().saturating_abs() + 1
    };
    let planned = match session::plan(current, said, next_id) {
        Ok(planned) => planned,
        Err(error) => return failed(ask, error.code()),
    };
    let partitions = match &planned {
        Plan::Alone(partitions) => partitions.clone(),
        Plan::Session { session, .. } => session.wanted(),
    };
    let count = partitions.len();
    // Without a partition there is nothing to wait for.
    let wait_max = if partitions.is_empty() { Duration::ZERO } else { wait_max };
    let fetch = Fetch { wait_max, bytes_min: bytes_min.min(bytes_max), bytes_max, isolation, partitions };
    let (throttle, results, room) = match ask.topics().fetch(&ask.client, &fetch).await {
        Ok(answer) => (answer.throttle, Ok(answer.results), answer.room),
        Err(failure) => (Duration::ZERO, Err(failure), HeldRoom::default()),
    };
    let results = crate::codes::spread(results, count);
    let (session_id, worth) = match planned {
        Plan::Alone(_) => (0, vec![true; count]),
        Plan::Session { mut session, whole } => {
            let (id, worth) = (session.id(), session.settle(&results, whole));
            *ask.fetching.lock() = Some(session);
            (id, worth)
        }
    };
    let told = fetch.partitions.into_iter().zip(results).zip(worth).filter(|(_, worth)| *worth).map(|(both, _)| both);
    answer(ask, session_id, throttle, told.collect()).holding(room)
}

fn bounded(bytes: i32) -> u32 {
    u32::try_from(bytes).unwrap_or_default()
}

fn said(request: FetchRequest, version: i16) -> Said {
    let mut wanted = Vec::new();
    for data in request.topics {
        let named = topic(&data.topic, data.topic_id);
        wanted.extend(data.partitions.into_iter().map(|data| FetchPartition {
            from: partition(&named, data.partition),
            offset: data.fetch_offset,
            bytes_max: bounded(data.partition_max_bytes),
            leader_epoch: epoch(data.current_leader_epoch),
        }));
    }
    let forgotten = request.forgotten_topics_data.into_iter().flat_map(|data| {
        let named = topic(&data.topic, data.topic_id);
        data.partitions.into_iter().map(move |index| partition(&named, index))
    });
    let (id, epoch) = if version >= HAS_SESSIONS { (request.session_id, request.session_epoch) } else { (0, -1) };
    Said { id, epoch, wanted, forgotten: forgotten.collect() }
}

/// An answer without any partition, for a request that fails as a whole.
fn failed(ask: &Ask, code: i16) -> Reply {
    let mut pieces = begin(ask, Duration::ZERO, code, 0);
    put_count(&mut pieces.open, ask.version, 0);
    end(ask, pieces, Duration::ZERO)
}

fn begin(ask: &Ask, throttle: Duration, code: i16, session_id: i32) -> Pieces {
    let mut pieces = Pieces::begin(ask.correlation_id, FetchResponse::header_version(ask.version));
    pieces.open.put_i32(to_millis(throttle));
    if ask.version >= HAS_SESSIONS {
        pieces.open.put_i16(code);
        pieces.open.put_i32(session_id);
    }
    pieces
}

fn end(ask: &Ask, mut pieces: Pieces, throttle: Duration) -> Reply {
    put_no_tags(&mut pieces.open, ask.version);
    match pieces.finish() {
        Some(frame) => Reply::Frame(frame, throttle),
        None => Reply::HangUp("an answer is larger than a frame can be".into()),
    }
}

type Told = (FetchPartition, TopicResult<Fetched>);

fn answer(ask: &Ask, session_id: i32, throttle: Duration, mut told: Vec<Told>) -> Reply {
    let version = ask.version;
    // A topic's partitions stand together, in the order in which the first of each comes; usually they do already.
    let by_topic: Vec<&[Told]> = {
        let together = told.chunk_by(|one, next| one.0.from.topic == next.0.from.topic).count();
        let distinct = told.iter().map(|(one, _)| &one.from.topic).collect::<std::collections::HashSet<_>>().len();
        if together != distinct {
            told.sort_by(|(one, _), (other, _)| one.from.topic.cmp(&other.from.topic));
        }
        told.chunk_by(|one, next| one.0.from.topic == next.0.from.topic).collect()
    };
    let mut pieces = begin(ask, throttle, 0, session_id);
    put_count(&mut pieces.open, version, by_topic.len());
    for topic in by_topic {
        let Some((first, _)) = topic.first() else { continue };
        put_topic(&mut pieces.open, version, &first.from);
        put_count(&mut pieces.open, version, topic.len());
        for (wanted, result) in topic {
            put_partition(&mut pieces, version, wanted.from.partition, result);
        }
        put_no_tags(&mut pieces.open, version);
    }
    end(ask, pieces, throttle)
}

fn put_topic(open: &mut BytesMut, version: i16, of: &TopicPartition) {
    match &of.topic {
        TopicRef::Id(id) => open.put_slice(id.as_bytes()),
        // A client of these versions that has named no id gets none back.
        TopicRef::Name(_) if version >= HAS_IDS => open.put_slice(&[0; 16]),
        TopicRef::Name(name) => {
            if version >= IS_FLEXIBLE {
                put_varint(open, name.len() + 1);
            } else {
                open.put_i16(i16::try_from(name.len()).unwrap_or_default());
            }
            open.put_slice(name.as_bytes());
        }
    }
}

fn put_partition(pieces: &mut Pieces, version: i16, index: i32, result: &TopicResult<Fetched>) {
    let zstd: TopicResult<Fetched>;
    let result = match result {
        Ok(fetched) if version < KNOWS_ZSTD && fetched.batches.iter().any(|batch| produce::has_zstd(batch)) => {
            let message = "zstd is given from version 10 of Fetch on";
            zstd = Err(TopicFailure::new(TopicError::UnsupportedCompression, message));
            &zstd
        }
        result => result,
    };
    let open = &mut pieces.open;
    open.put_i32(index);
    open.put_i16(session::code(result));
    let fetched = result.as_ref().ok();
    open.put_i64(fetched.map_or(-1, |fetched| fetched.high_watermark));
    open.put_i64(fetched.map_or(-1, |fetched| fetched.last_stable_offset));
    if version >= HAS_START {
        open.put_i64(fetched.map_or(-1, |fetched| fetched.log_start_offset));
    }
    let aborted = fetched.map_or(&[][..], |fetched| &fetched.aborted);
    put_count(open, version, aborted.len());
    for transaction in aborted {
        open.put_i64(transaction.producer_id);
        open.put_i64(transaction.first_offset);
        put_no_tags(open, version);
    }
    if version >= HAS_PREFERRED {
        // To read from this server is best.
        open.put_i32(-1);
    }
    let batches = fetched.map_or(&[][..], |fetched| &fetched.batches);
    put_count(open, version, batches.iter().map(bytes::Bytes::len).sum());
    for batch in batches {
        pieces.put(batch);
    }
    put_no_tags(&mut pieces.open, version);
}

/// The length of an array or of bytes.
fn put_count(open: &mut BytesMut, version: i16, count: usize) {
    if version >= IS_FLEXIBLE {
        put_varint(open, count + 1);
    } else {
        open.put_i32(i32::try_from(count).unwrap_or_default());
    }
}

fn put_no_tags(open: &mut BytesMut, version: i16) {
    if version >= IS_FLEXIBLE {
        open.put_u8(0);
    }
}

fn put_varint(open: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        open.put_u8(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    open.put_u8(u8::try_from(value).unwrap_or_default());
}
